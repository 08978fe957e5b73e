"""Sending an audience somewhere: what a form asks, and the destination that comes of it as text.

In:    an audience; the fields of a form; purposes, recipients, names of traits.
Out:   choices to show; the text of a destination.
Never: a field that the audience's purpose does not reach.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tillit.audience import Audience
from tillit.console.naming import free_name
from tillit.errors import InputError

_MOST_FIELDS = 60
_MOST_TRAITS = 40
_TABLE, _WEBHOOK, _FOLDER = "table", "webhook", "folder"
# Ways: what each is called, what it does, examples of an address.
WAYS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (_TABLE, "Into a table", "People are rows: they come and go with the audience.",
     ("postgresql://loader@db.example/crm", "/srv/crm/people.db")),
    (_WEBHOOK, "To another system", "It is told of each who comes in, changes or leaves, by webhook.",
     ("https://crm.example.com/people",)),
    (_FOLDER, "As files", "A folder of CSV files on this machine.", ("/srv/exports/people",)),
)  # fmt: skip
_IDENTIFIERS = ("email", "phone", "user_id")
# Asked for first, when the workspace knows them.
_TRAITS = ("firstName", "lastName", "email", "phone", "city", "country")


class _Unsaid(InputError):
    """A form that sends an audience lacks something."""

    code = "console.send-unsaid"

    def __init__(self, what: str) -> None:
        super().__init__(what)


class Asked(NamedTuple):
    """What somebody chose."""

    title: str
    way: str
    place: str
    table: str
    secret: str
    recipient: str
    fields: tuple[str, ...]


def choices(traits: Sequence[str], allows: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Give the fields of a person that may leave: ours, and what they are called there. Their id goes along always.

    >>> choices(["plan", "Email", "address.city"], lambda field: field != "identifiers.phone")
    [('identifiers.email', 'email'), ('identifiers.user_id', 'user_id'), ('traits.plan', 'plan')]
    """
    known = [*(one for one in _TRAITS if one in traits), *(one for one in traits if one not in _TRAITS)]
    found = [(f"identifiers.{one}", one) for one in _IDENTIFIERS]
    found += [(f"traits.{one}", one) for one in known[:_MOST_TRAITS] if "." not in one]
    # Many who read tables do not tell Email from email; `id` and `at` are always there.
    taken = {"id", "at"}
    told = []
    for ours, theirs in found:
        if allows(ours) and theirs.casefold() not in taken:
            taken.add(theirs.casefold())
            told.append((ours, theirs))
    return told


def begin(audience: Audience, recipients: Sequence[str], offered: Sequence[tuple[str, str]]) -> Asked:
    """Give what the form says first."""
    ticked = [ours for ours, _ in offered if ours in ("identifiers.email", "traits.firstName")]
    return Asked(
        audience.title or audience.audience,
        _TABLE,
        "",
        audience.audience.replace("-", "_"),
        "",
        recipients[0] if recipients else "",
        tuple(ticked),
    )


def read_asked(data: Mapping[str, str]) -> Asked:
    """Read the form."""
    told = {
        name: data.get(name, "").strip()[:500] for name in ("title", "way", "place", "table", "secret", "recipient")
    }
    ways = [way for way, *_ in WAYS]
    fields = tuple(name.removeprefix("field.") for name in data if name.startswith("field."))[:_MOST_FIELDS]
    return Asked(**{**told, "way": told["way"] if told["way"] in ways else _TABLE}, fields=fields)


def text_of(audience: Audience, asked: Asked, offered: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Write the destination. Raises InputError when something is missing; `names` of others are taken."""
    fields = {theirs: ours for ours, theirs in offered if ours in asked.fields}
    if not asked.place:
        raise _Unsaid("Say where it goes: an address, or a file.")
    if not asked.recipient:
        raise _Unsaid("Say who receives it.")
    if not fields:
        raise _Unsaid("Tick at least one thing that is told of each person.")
    if asked.way == _TABLE and not asked.table:
        raise _Unsaid("Say what the table is called.")
    to: dict[str, Any] = {"path" if asked.way == _FOLDER else "url": asked.place}
    if asked.way == _TABLE:
        to["table"] = asked.table
    if asked.secret and asked.way != _FOLDER:
        to["secret"] = asked.secret
    told = {
        "destination": free_name(f"{audience.audience[:50]}-{asked.way}", names.__contains__),
        "title": asked.title or audience.title or audience.audience,
        "kind": asked.way,
        "purpose": audience.purpose,
        "recipient": asked.recipient,
        "send": "people",
        "audience": audience.audience,
        "fields": fields,
        "to": to,
    }
    return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100))
