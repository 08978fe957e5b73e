"""What an event itself says it may be used for: the consent that its sender stamped on it.

In:    `context.consent` (Segment), `context.consentManagement` (RudderStack), `context.gpc` (our door's).
Out:   one short text for each combination, under which the event is kept, and the judgement of a purpose by it.
Never: a guess. What is not true is not given; a word that cannot be read gives nothing.

Shape of the text: "" for an event that carries nothing; else "+" (nothing was refused) or "-" and what was given,
sorted, parted by tabs. What a category means is said by the purposes in force when somebody asks, not here.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

GPC = "gpc"
_MOST = 32  # categories of one event. Taste: consent managers have four to twelve.
_LONGEST = 64
# Lawful bases that the customer's choice decides: consent, and legitimate interest with its objection.
LISTED_BASES = frozenset({"consent", "legitimate_interest"})


class Carried(msgspec.Struct, gc=False):
    """What the fold reads of `context.consent`."""

    categoryPreferences: Any = None


class Carrying(Protocol):
    """What is read of an event's context."""

    @property
    def consent(self) -> Carried | None:
        """Give Segment's object."""
        ...

    @property
    def consentManagement(self) -> Any:  # noqa: N802 -- the protocol's word
        """Give RudderStack's object."""
        ...


def carried_choices(context: Carrying | None) -> dict[str, bool] | None:
    """Give what an event says of each category; None when it says nothing at all."""
    if context is None or (context.consent is None and context.consentManagement is None):
        return None
    return read_choices(
        context.consent.categoryPreferences if context.consent is not None else None, context.consentManagement
    )


def read_choices(preferences: Any, managed: Any) -> dict[str, bool] | None:
    """Read Segment's preferences and RudderStack's lists; None when there are neither.

    >>> read_choices({"Ads": False, "Analytics": True}, None), read_choices({"Ads": "false"}, None)
    ({'Ads': False, 'Analytics': True}, {'Ads': False})
    >>> read_choices(None, {"allowedConsentIds": ["a", "b"], "deniedConsentIds": ["b"]}), read_choices({}, None)
    ({'a': True, 'b': False}, {})
    """
    told: dict[str, bool] | None = None
    if preferences is not None:
        told = {
            name: value is True for name, value in _named(preferences.items() if isinstance(preferences, dict) else ())
        }
    if managed is not None:
        told = told if told is not None else {}
        lists = managed if isinstance(managed, dict) else {}
        for name, _ in _named((one, None) for one in _texts(lists.get("allowedConsentIds"))):
            told[name] = told.get(name, True)
        for name, _ in _named((one, None) for one in _texts(lists.get("deniedConsentIds"))):
            told[name] = False
    return told


def carried_by(context: Carrying | None) -> str:
    """Write what an event carries as one text."""
    choices = carried_choices(context)
    return carried_text(choices) if choices is not None else ""


def carried_text(choices: dict[str, bool]) -> str:
    """Write choices as one text.

    >>> carried_text({"Ads": False, "Analytics": True}), carried_text({}), carried_text({"Ads": True})
    ('-Analytics', '-', '+Ads')
    """
    given = sorted(name for name, is_given in choices.items() if is_given)
    return ("+" if given and len(given) == len(choices) else "-") + "\t".join(given)


def carried_allows(carried: str, basis: str, categories: Iterable[str]) -> bool:
    """Say whether an event that carries this may be used for a purpose of this basis.

    A purpose that no category stands for may use it when nothing at all was refused.

    >>> carried_allows("-Analytics", "consent", ["Analytics"]), carried_allows("-Analytics", "consent", ["Ads"])
    (True, False)
    >>> carried_allows("", "consent", ["Ads"]), carried_allows("-", "contract", []), carried_allows("-", "consent", [])
    (True, True, False)
    """
    if not carried or basis not in LISTED_BASES:
        return True
    given = carried[1:].split("\t")
    wanted = tuple(categories)
    return all(one in given for one in wanted) if wanted else carried[0] == "+"


def _named(items: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in items
        if isinstance(name, str) and 0 < len(name) <= _LONGEST and name.isprintable()
    ][:_MOST]


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
