"""What an event said about who it is, and what became of each: for people who look.

In:    one event as the log holds it.
Out:   every identifier that it names, as it came and as it counts, or why it does not.
Never: another answer than the fold's: both ask the same namespaces.
"""

import re
from typing import Any, NamedTuple

from tillit.identity.namespaces import ALIAS_RANK, Event, is_for_nobody, is_of_group
from tillit.identity.rules import Rules
from tillit.records import IDENTITY_ACT_TYPES

_LONGEST = 256


class Said(NamedTuple):
    """One identifier that an event names. Grain: one per place in the event."""

    place: str  # where it stands: `traits.email`
    namespace: str
    given: str
    counts_as: str  # empty: it does not count
    why_not: str  # empty: it counts
    is_device: bool


def list_said(event: Event, rules: Rules) -> list[Said]:
    """Give every identifier that an event names, in the order in which the fold looks."""
    counted = {(one.namespace, one.value) for one in rules.handles_of(event) if one.rank != ALIAS_RANK}
    said = [_judge(place, name, value, counted, rules) for place, name, value in _named(event, rules)]
    said += _of_groups(event)
    if event.type == "alias" and event.previousId is not None:
        said.append(Said("previousId", "previous", event.previousId, event.previousId, "", is_device=False))
    return said


def _named(event: Event, rules: Rules) -> list[tuple[str, str, Any]]:
    if event.type in IDENTITY_ACT_TYPES:
        pairs = event.identifiers if isinstance(event.identifiers, list) else []
        return [(f"identifiers[{i}]", str(pair[0]), pair[1]) for i, pair in enumerate(pairs) if len(pair) > 1]
    found: list[tuple[str, str, Any]] = [("proof", h.namespace, h.value) for h in rules.proven(event)]
    found.append(("userId", "user_id", event.userId))
    found.append(("anonymousId", "anonymous_id", event.anonymousId))
    if event.type == "identify" and isinstance(event.traits, dict):
        found += [(f"traits.{name}", name, event.traits.get(name)) for name in ("email", "phone")]
    context = event.context
    if context is not None:
        if context.traits is not None:
            told = (("email", context.traits.email), ("phone", context.traits.phone))
            found += [(f"context.traits.{name}", name, value) for name, value in told]
        if isinstance(context.externalIds, list):
            found += [
                (f"context.externalIds[{i}]", str(one.get("type", "")), one.get("id"))
                for i, one in enumerate(context.externalIds)
                if isinstance(one, dict) and not is_of_group(one)
            ]
    return [one for one in found if one[2] is not None]


def _of_groups(event: Event) -> list[Said]:
    told = event.context.externalIds if event.context is not None else None
    why_not = "it is an id of a group, not of a person"
    return [
        Said(f"context.externalIds[{i}]", str(one.get("type", "")), str(one.get("id")), "", why_not, is_device=False)
        for i, one in enumerate(told if isinstance(told, list) else ())
        if isinstance(one, dict) and is_of_group(one)
    ]


def _judge(place: str, name: str, value: Any, counted: set[tuple[str, str]], rules: Rules) -> Said:
    kind = rules.namespace(name)
    given = value if isinstance(value, str) else str(value)
    if kind is None:
        return Said(place, name, given, "", "no namespace can be called so", is_device=False)
    if not isinstance(value, str):
        return Said(place, name, given, "", "it is not a text", is_device=kind.is_device)
    written = kind.normalise(value)
    if written is None:
        return Said(place, name, given, "", _why_not(kind.name, value), is_device=kind.is_device)
    if (kind.name, written) not in counted:
        return Said(place, name, given, "", "the event names too many", is_device=kind.is_device)
    return Said(place, name, given, written, "", is_device=kind.is_device)


def _why_not(name: str, value: str) -> str:
    plain = value.strip()
    if not plain:
        return "it is empty"
    if "\0" in plain:
        return "it holds the character NUL"
    if len(plain) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    if name == "email":
        return "it is not an e-mail address"
    if name == "phone":
        digits = re.sub(r"\D", "", plain)
        return (
            "all its digits are the same" if len(set(digits)) == 1 else "it is not a telephone number of 7 to 15 digits"
        )
    if is_for_nobody(plain):
        return "programs send this when they have no id"
    return "the identity rules do not take it"
