"""Definitions: destinations and templates, as people write them, as the log keeps them, as they are in force.

In:    YAML of one destination or one template; log rows of definitions.
Out:   `Destination`, `Template`; log rows; rows of delivery_definition.
Never: a secret (a definition names it); an edit. A definition that is applied again under its name is its new version.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.records import KIND_DEFINITION, TRUST_OPERATOR, LogRow, NewRow, NotReadable, message_hash, read_yaml
from tillit.store import Reading, Writing

DESTINATION, TEMPLATE = "destination", "template"
KINDS = (DESTINATION, TEMPLATE)
SOURCE = "definition"
_LONGEST_REASON = 500
_LONGEST_TEXT = 200_000  # taste: a template with its pictures as addresses is a tenth of this
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
# What a destination may be told: of the person, of an event, of a message.
_FIELD = re.compile(
    r"(profile\.id|traits\.[^.]{1,256}|identifiers\.[a-z][a-z0-9_]{0,62}|event\.(name|at|key|source)|properties\..{1,256})"
)

Known = TypeVar("Known", "Destination", "Template")
Placed = TypeVar("Placed", bound=msgspec.Struct)
Class = Literal["transactional", "service", "marketing"]


class DefinitionInvalid(InputError):
    """A destination or a template cannot be read, or says what cannot be."""

    code = "deliver.definition-invalid"

    def __init__(self, where: str, why: str) -> None:
        """Name the definition and the field, and say what is wrong."""
        super().__init__(f"{where}: {why}", where=where)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much a destination takes."""

    per_second: int = 0  # calls; 0: as fast as it answers
    at_once: int = 8  # calls that may be under way
    timeout_s: float = 10.0  # of one call


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a destination tells later what became of messages: it posts to /feedback/NAME."""

    shape: Literal["plain", "ses", "sendgrid", "postmark", "mailgun"]
    secret: str  # name of the secret by which it is known


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where values of people go. Grain: one per name and version."""

    destination: str  # its name
    kind: Literal["webhook", "folder", "table", "email"]
    purpose: str  # for which everything here leaves
    send: Literal["people", "events", "messages"]
    to: dict[str, Any]  # where: each kind says what it wants
    recipient: str = ""  # as the purposes name the party; empty: the destination's own name
    title: str = ""
    events: tuple[str, ...] = ()  # names; "*": all
    audience: str = ""  # of people: only its members; empty: everybody
    fields: dict[str, str] = {}  # their name: ours
    feedback: Feed | None = None
    limits: Limits = Limits()
    late_s: int = 86_400  # an event that came so long after it happened is not forwarded
    most_attempts: int = 12
    retired: bool = False  # nothing more goes there, and everybody is taken back

    @property
    def party(self) -> str:
        """Name who receives."""
        return self.recipient or self.destination


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a message says, with places for a person's values. Grain: one per name and version."""

    template: str  # its name
    purpose: str
    message_class: Class = msgspec.field(name="class")
    destination: str  # through which it goes; of kind email, or webhook with send: messages
    title: str = ""
    sender: str = msgspec.field(name="from", default="")
    reply_to: str = ""
    subject: str = ""
    mjml: str = ""
    html: str = ""
    text: str = ""
    body: dict[str, str] = {}  # of a webhook: each value is a template
    expires_s: int = 7 * 86_400  # a message that could not go for so long is not sent at all


class Applied(NamedTuple):
    """A definition as somebody applied it. Grain: one per definition in the log."""

    position: int
    kind: str
    name: str
    text: str
    operator: str
    reason: str
    event_at: int  # UTC epoch microseconds


class _Said(msgspec.Struct):
    kind: str
    name: str = ""
    text: str = ""
    operator: str = ""
    reason: str = ""


def read_destination(text: str) -> Destination:
    """Read one destination. Raises DefinitionInvalid. What `to` holds is judged by its kind, in `wires`."""
    told = _read(text, DESTINATION, Destination)
    where = f"Destination {told.destination!r}"
    if told.send == "events" and not told.events:
        raise DefinitionInvalid(where, "it sends events, and names none under `events:`. Name them, or say `*`.")
    if told.send != "events" and told.events:
        raise DefinitionInvalid(where, f"it sends {told.send}, so `events:` says nothing. Leave it out.")
    if told.kind == "email" and told.send != "messages":
        raise DefinitionInvalid(where, "by e-mail only messages go. Say `send: messages`.")
    if told.kind in ("folder", "table") and told.send == "messages":
        raise DefinitionInvalid(where, f"no messages go to a {told.kind}. Say `send: people` or `send: events`.")
    if told.audience and told.send != "people":
        raise DefinitionInvalid(where, f"it sends {told.send}, and only people are members. Say `send: people`.")
    if told.send != "messages" and not told.fields:
        raise DefinitionInvalid(where, "`fields:` is empty. Name what leaves: their name, and ours behind it.")
    for theirs, ours in told.fields.items():
        if not _FIELD.fullmatch(ours):
            raise DefinitionInvalid(
                where,
                f"the field {theirs!r} is {ours!r}. There are: profile.id, traits.NAME, identifiers.NAMESPACE, "
                "event.name, event.at, event.key, event.source, properties.NAME.",
            )
        if told.send == "people" and ours.startswith(("event.", "properties.")):
            raise DefinitionInvalid(where, f"it sends people, and {ours!r} is of an event.")
    limits = told.limits
    for name, value, least, most in (
        ("limits.per_second", limits.per_second, 0, 100_000),
        ("limits.at_once", limits.at_once, 1, 256),
        ("limits.timeout_s", limits.timeout_s, 0.1, 300),
        ("late_s", told.late_s, 0, 10 * 366 * 86_400),
        ("most_attempts", told.most_attempts, 1, 100),
    ):
        if not least <= value <= most:
            raise DefinitionInvalid(where, f"{name} is {value:g}; it must be from {least:g} to {most:g}.")
    return told


def read_template(text: str) -> Template:
    """Read one template. Raises DefinitionInvalid. What is in its texts is judged where they are rendered."""
    told = _read(text, TEMPLATE, Template)
    where = f"Template {told.template!r}"
    if told.body:
        if told.subject or told.mjml or told.html or told.text:
            raise DefinitionInvalid(where, "`body` is of a webhook; subject, mjml, html and text are of e-mail.")
    elif not told.subject or not (told.mjml or told.html or told.text):
        raise DefinitionInvalid(where, "an e-mail wants `subject`, and one of `mjml`, `html` or `text`.")
    if told.mjml and told.html:
        raise DefinitionInvalid(where, "it has `mjml` and `html`; HTML is made from MJML. Keep one of them.")
    if not 1 <= told.expires_s <= 366 * 86_400:
        raise DefinitionInvalid(where, "expires_s must be from 1 second to 366 days.")
    return told


def _read(text: str, kind: str, struct: type[Known]) -> Known:
    where = f"This {kind}"
    if len(text) > _LONGEST_TEXT:
        raise DefinitionInvalid(where, f"it has {len(text):,} characters; at most {_LONGEST_TEXT:,} are taken.")
    try:
        told = read_yaml(text)
    except NotReadable as exc:
        raise DefinitionInvalid(where, f"it is {exc}") from None
    name = told.get(kind) if isinstance(told, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionInvalid(
            where, f"`{kind}:` must be its name: small letters, digits and hyphens, at most 63, a letter first."
        )
    try:
        return msgspec.convert(told, struct)
    except msgspec.ValidationError as exc:
        raise DefinitionInvalid(f"{kind.capitalize()} {name!r}", f"{exc}.") from None


def read_to_as(where: str, to: Mapping[str, Any], struct: type[Placed]) -> Placed:
    """Read where a destination is, as its kind wants it said. Raises DefinitionInvalid."""
    try:
        return msgspec.convert(to, struct)
    except msgspec.ValidationError as exc:
        raise DefinitionInvalid(where, f"`to:` cannot be read: {exc}.") from None


# -- in the log


def definition_row(kind: str, name: str, text: str, *, operator: str, reason: str, message_id: str, now: int) -> NewRow:
    """Write a definition for the log; whoever calls has read it.

    Units: now is UTC epoch microseconds.
    """
    kept = reason.strip().replace("\0", "")[:_LONGEST_REASON]
    told = {
        "kind": kind,
        "name": name,
        "text": text,
        "operator": operator,
        "reason": kept,
        "timestamp": rfc3339(now),
    }
    digest = message_hash(SOURCE, message_id)
    return NewRow(KIND_DEFINITION, SOURCE, TRUST_OPERATOR, now, now, digest, msgspec.json.encode(told))


def keep_delivery(tx: Writing, row: LogRow) -> bool:
    """Note a destination or a template that somebody applied; say whether the row was one."""
    if row.kind != KIND_DEFINITION or not row.body:
        return False
    said = msgspec.json.decode(row.body, type=_Said)
    if said.kind not in KINDS:
        return False
    tx.execute(
        "INSERT INTO delivery_definition (position, kind, name, text, operator, reason, event_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (position) DO NOTHING",
        (row.position, said.kind, said.name, said.text, said.operator, said.reason, row.event_at),
    )
    return True


_COLUMNS = "position, kind, name, text, operator, reason, event_at"


def list_applied(reading: Reading, kind: str, name: str = "") -> list[Applied]:
    """Give every definition of a kind that was ever applied, newest first; with a name, of that one."""
    rows = reading.read(
        f"SELECT {_COLUMNS} FROM delivery_definition WHERE kind = ? AND (? = '' OR name = ?) ORDER BY position DESC",
        (kind, name, name),
    )
    return [Applied(*row) for row in rows]


class Definitions(NamedTuple):
    """The destinations and templates in force, by name, with the log position at which each was applied."""

    destinations: Mapping[str, tuple[int, Destination]]
    templates: Mapping[str, tuple[int, Template]]

    def destination(self, name: str) -> Destination | None:
        """Find a destination."""
        found = self.destinations.get(name)
        return found[1] if found is not None else None

    def template(self, name: str) -> Template | None:
        """Find a template."""
        found = self.templates.get(name)
        return found[1] if found is not None else None


def definitions_in_force(reading: Reading) -> Definitions:
    """Give the newest of each name."""
    rows = reading.read(
        f"SELECT {_COLUMNS} FROM delivery_definition d WHERE position = "
        "(SELECT max(e.position) FROM delivery_definition e WHERE e.kind = d.kind AND e.name = d.name) ORDER BY name"
    )
    destinations: dict[str, tuple[int, Destination]] = {}
    templates: dict[str, tuple[int, Template]] = {}
    for row in rows:
        one = Applied(*row)
        if one.kind == DESTINATION:
            destinations[one.name] = one.position, read_destination(one.text)
        else:
            templates[one.name] = one.position, read_template(one.text)
    return Definitions(destinations, templates)
