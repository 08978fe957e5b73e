"""What one event says of a group: that somebody belongs to it, and what the group itself is like.

In:    `group` calls, and what colleagues say (`group_join`, `group_leave`).
Out:   statements; log rows' bodies.
Never: a guess. A role or an instant that cannot be read was not said; a group id that is none makes no group.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tillit.clock import instant
from tillit.errors import InputError
from tillit.records import TRUST_OPERATOR, LogRow

GROUP, GROUP_JOIN, GROUP_LEAVE = "group", "group_join", "group_leave"
ACCOUNT, HOUSEHOLD = "account", "household"
GUARDIAN = "guardian"
LONGEST_ROLE = 64
NO_END = 1 << 62  # later than any instant
_LONGEST_ID = 256
_LONGEST_NAME = 256
_MOST_TRAITS = 100  # of a group, from one event. Taste: a company's master data has some thirty.

_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
# What programs send when they know no group: everybody would be in it.
_NO_GROUP = frozenset(["", "null", "none", "nil", "undefined", "unknown", "nan", "0", "-1", "[object object]"])
# Words of a group's traits that are about somebody's place in it.
_ABOUT_PLACE = frozenset({"kind", "role", "since", "until", "member"})


class GroupInvalid(InputError):
    """A group, a role or an instant cannot be as it is."""

    code = "groups.invalid"

    def __init__(self, field: str, why: str) -> None:
        """Name the field, never its value."""
        super().__init__(f"The {field} {why}", field=field)


class Statement(NamedTuple):
    """What one event said of somebody's place in a group. Grain: one per event."""

    group_key: str  # kind:id
    identifier_id: int
    part: int
    position: int
    event_at: int  # UTC epoch microseconds, as all instants here
    trust: int
    source: str
    is_member: int  # 1, or 0 for somebody who left
    role: str | None  # None: not said; empty: none
    since_at: int | None
    until_at: int | None  # NO_END: said to have none


class _Body(msgspec.Struct, gc=False):
    type: str
    groupId: Any = None
    traits: Any = None


_decode = msgspec.json.Decoder(_Body).decode


def may_speak(kind: str, trust: int) -> bool:
    """Say whether an event is about a group: a `group` call, or a colleague's own act."""
    return kind == GROUP or (trust == TRUST_OPERATOR and kind in (GROUP_JOIN, GROUP_LEAVE))


def read_statement(row: LogRow, identifier_id: int, part: int) -> tuple[Statement, dict[str, Any]] | None:
    """Read an event about a group: whose place it is, and the group's own traits; None when it names no group."""
    told = _decode(row.body or b"{}")
    traits = told.traits if isinstance(told.traits, dict) else {}
    key = group_key(traits.get("kind"), told.groupId)
    if key is None:
        return None
    is_member = told.type != GROUP_LEAVE and traits.get("member") is not False
    role, since, until = traits.get("role"), traits.get("since"), traits.get("until")
    statement = Statement(
        group_key=key,
        identifier_id=identifier_id,
        part=part,
        position=row.position,
        event_at=row.event_at,
        trust=row.trust,
        source=row.source,
        is_member=int(is_member),
        role="" if "role" in traits and role is None else _text(role, LONGEST_ROLE),
        since_at=instant(since) if isinstance(since, str) else None,
        until_at=NO_END if "until" in traits and until is None else instant(until) if isinstance(until, str) else None,
    )
    return statement, _own_traits(traits) if told.type == GROUP else {}


def _own_traits(traits: dict[str, Any]) -> dict[str, Any]:
    about_place = _ABOUT_PLACE if _kind(traits.get("kind")) else _ABOUT_PLACE - {"kind"}
    named = [(name, value) for name, value in traits.items() if name not in about_place]
    return {name: value for name, value in named[:_MOST_TRAITS] if _text(name, _LONGEST_NAME) == name}


def group_key(kind: object, group_id: object) -> str | None:
    """Write a group as `kind:id`; None when the id is none. A kind that is no short word is the sender's own trait.

    >>> group_key("household", " h1 "), group_key(None, 7), group_key("B2B, large", "acme"), group_key(None, "null")
    ('household:h1', 'account:7', 'account:acme', None)
    """
    if isinstance(group_id, int) and not isinstance(group_id, bool):
        group_id = str(group_id)
    told = _text(group_id, _LONGEST_ID)
    if told is None or told.lower() in _NO_GROUP:
        return None
    return f"{_kind(kind) or ACCOUNT}:{told}"


def _kind(value: object) -> str | None:
    word = value.strip().lower() if isinstance(value, str) else ""
    return word if _KIND.fullmatch(word) else None


def _text(value: object, longest: int) -> str | None:
    """Give a text as both engines can hold it."""
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if len(value) <= longest and "\0" not in value and _is_whole(value) else None


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def parse_group(text: str) -> str | None:
    """Read `kind:id` as people write it; None when it names no group.

    >>> parse_group("household:h1"), parse_group("h1"), parse_group("Household:h1")
    ('household:h1', None, 'household:h1')
    """
    kind, colon, group_id = text.partition(":")
    return group_key(kind, group_id) if colon and _kind(kind) else None


def join_body(group: str, *, role: str = "", since: str = "", until: str = "") -> dict[str, Any]:
    """Write a colleague's word that somebody belongs to a group. Raises GroupInvalid."""
    traits: dict[str, Any] = {}
    if role.strip():
        told = _text(role, LONGEST_ROLE)
        if told is None:
            raise GroupInvalid("role", f"must have at most {LONGEST_ROLE} characters and no NUL.")
        traits["role"] = told
    for field, value in (("since", since), ("until", until)):
        if value:
            if instant(value) is None:
                raise GroupInvalid(field, "must be a day or an instant, such as 2026-11-22 or 2026-11-22T10:00:00Z.")
            traits[field] = value
    return _body(GROUP_JOIN, group, traits)


def leave_body(group: str) -> dict[str, Any]:
    """Write a colleague's word that somebody does not belong to a group. Raises GroupInvalid."""
    return _body(GROUP_LEAVE, group, {})


def _body(kind: str, group: str, traits: Mapping[str, Any]) -> dict[str, Any]:
    key = parse_group(group)
    if key is None:
        raise GroupInvalid("group", "must be written as kind:id, such as household:h1 or account:acme.")
    of_kind, _, group_id = key.partition(":")
    return {"type": kind, "groupId": group_id, "traits": {"kind": of_kind, **traits}}
