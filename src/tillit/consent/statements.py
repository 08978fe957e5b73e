"""Statements: what events say of what somebody's data may be used for.

In:    events: our own acts of consent, preference events of consent managers, what events carry, browsers' signals.
Out:   statements of one strand; bodies of acts.
Never: a yes from nothing. A word that cannot be read says nothing, and a truthy text is no yes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.clock import instant, rfc3339
from tillit.errors import InputError
from tillit.records import TRUST_OPERATOR, TRUST_SERVER, LogRow

CONSENT = "consent"
# Events of type `track` that say what somebody chose.
PREFERENCE_EVENTS = frozenset({"Segment Consent Preference Updated", "Consent Preference Updated", "Consent Updated"})

# The ten states of consent of the Data Privacy Vocabulary, and what people say beside consent.
GIVES = frozenset({"given", "renewed"})
REFUSES = frozenset({"refused", "withdrawn", "expired", "revoked", "invalidated", "objected"})
OPEN = frozenset({"unknown", "requested", "deferred"})
STATES = GIVES | REFUSES | OPEN
RESTRICTED, RELEASED = "restricted", "released"  # GDPR, article 18: of everything
EVERYTHING = "*"
CATEGORY = "category:"  # before the name that a consent manager gives it
OTHER_CATEGORIES = "category:*"  # a no to those that found no room
BY = ("self", "parent", "guardian", "agent", "staff", "controller", "import")

_NAME = re.compile(r"[A-Za-z][\w .:/-]{0,63}")
_MOST = 64  # statements of one event
_LONGEST = 500
_MOST_CHANNELS = 16  # of one event; taste


class StatementInvalid(InputError):
    """What somebody is said to have chosen cannot be kept as it is."""

    code = "consent.statement-invalid"

    def __init__(self, field: str, why: str) -> None:
        """Name the field, never its value."""
        super().__init__(f"The {field} {why}", field=field)


class Statement(NamedTuple):
    """What one event said of one purpose, category or signal. Grain: one per event (or answer carried) and name."""

    name: str  # of a purpose; `category:Ads` of a consent manager's; `gpc`; "*": everything
    state: str
    identifier_id: int  # of whom it was said
    part: int
    position: int
    said_at: int  # by the clock of whoever said it, never later than it was received; UTC epoch microseconds
    received_at: int
    trust: int
    is_explicit: bool  # an act of its own; else carried by an event that was about something else
    is_proved: bool  # an identity token proved whoever it is about
    by: str = "self"
    channels: tuple[str, ...] = ()  # empty: all
    notice: str = ""  # name@version
    served: str = ""  # id under which it was shown
    evidence: str = ""
    method: str = ""
    valid_until: int | None = None
    jurisdiction: str = ""
    source: str = ""

    @property
    def gives(self) -> bool:
        """Say whether it is a yes."""
        return self.state in GIVES

    @property
    def refuses(self) -> bool:
        """Say whether it is a no."""
        return self.state in REFUSES


class _Kept(msgspec.Struct, gc=False, omit_defaults=True, array_like=True):
    """One event's statements as consent_statement holds them."""

    said: list[tuple[str, str, tuple[str, ...], int | None]]  # name, state, channels, valid_until
    said_at: int
    received_at: int
    trust: int
    is_proved: bool
    by: str
    notice: str
    served: str
    evidence: str
    method: str
    jurisdiction: str
    source: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Kept).decode


class _Said(msgspec.Struct, gc=False):
    type: str = ""
    event: Any = None
    statements: Any = None
    properties: Any = None
    by: Any = None
    method: Any = None
    notice: Any = None
    served: Any = None
    evidence: Any = None
    jurisdiction: Any = None


_decode = msgspec.json.Decoder(_Said).decode


def says_consent(event: Any, trust: int) -> bool:
    """Say whether an event is an act of consent of its own."""
    kind = event.type
    name = event.event
    return (kind == "track" and type(name) is str and name in PREFERENCE_EVENTS) or (
        kind == CONSENT and trust >= TRUST_SERVER
    )


def read_statements(row: LogRow, choices: Mapping[str, bool] | None, *, is_proved: bool) -> bytes | None:
    """Read an act of consent for the store; None when it says nothing.

    `choices` is what it carries by categories; `is_proved` says that the customer proved to be whoever it is about.
    """
    try:
        told = _decode(row.body or b"{}")
    except msgspec.MsgspecError:
        return None
    about = told.properties if told.type == "track" and isinstance(told.properties, dict) else {}
    by = _word(told.by if told.type == CONSENT else about.get("by")) or "self"
    received_at = row.received_at
    said = [_said(one) for one in _listed(told, about)[:_MOST]]
    kept = [one for one in said if one is not None]
    kept += [
        (f"category:{name}", "given" if is_given else "refused", (), None) for name, is_given in (choices or {}).items()
    ]
    if not kept:
        return None
    at = about if told.type == "track" else {name: getattr(told, name) for name in _ABOUT}
    return _pack(
        _Kept(
            said=kept,
            said_at=min(row.event_at, received_at),
            received_at=received_at,
            trust=row.trust,
            is_proved=is_proved,
            by=by if by in BY else "agent",
            notice=_word(at.get("notice")),
            served=_word(at.get("served")),
            evidence=_word(at.get("evidence")),
            method=_word(at.get("method")),
            jurisdiction=_word(at.get("jurisdiction")),
            source=row.source,
        )
    )


def restricts(document: bytes) -> bool:
    """Say whether a kept act of consent restricts everything."""
    return any(name == EVERYTHING and state == RESTRICTED for name, state, _, _ in _unpack(document).said)


_ABOUT = ("notice", "served", "evidence", "method", "jurisdiction")


def _listed(told: _Said, about: Mapping[str, Any]) -> list[Any]:
    if told.type == CONSENT:
        return told.statements if isinstance(told.statements, list) else []
    purposes = about.get("purposes")
    if not isinstance(purposes, dict):
        return []
    shared = {name: about.get(name) for name in ("channels", "valid_until")}
    # A yes is `true` or a state; anything else that is said of a purpose is a no.
    return [
        {
            "purpose": name,
            "state": "given" if value is True else value if isinstance(value, str) else "refused",
            **shared,
        }
        for name, value in purposes.items()
    ]


def _said(one: Any) -> tuple[str, str, tuple[str, ...], int | None] | None:
    if not isinstance(one, dict):
        return None
    name, state = one.get("purpose"), one.get("state")
    if not isinstance(name, str) or not (name == EVERYTHING or _NAME.fullmatch(name)):
        return None
    if name == EVERYTHING:
        return (name, state, (), None) if state in (RESTRICTED, RELEASED) else None
    if not isinstance(state, str) or state not in STATES:
        state = "refused"
    channels = one.get("channels")
    words = channels if isinstance(channels, list) else []
    told = tuple(sorted({word for word in words if isinstance(word, str) and word and len(word) <= 32}))
    if len(told) > _MOST_CHANNELS:
        told = ()
    if channels is not None and not told and state in GIVES:
        return None  # a yes for channels that cannot be read is none for all
    until = one.get("valid_until")
    at = instant(until) if isinstance(until, str) else None
    if until is not None and at is None and state in GIVES:
        return None
    return name, state, told, at


def _word(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        return ""
    return value.strip()[:_LONGEST]


def unpack_statements(identifier_id: int, part: int, position: int, document: bytes) -> list[Statement]:
    """Read back what one event said."""
    kept = _unpack(document)
    return [
        Statement(
            name, state, identifier_id, part, position, kept.said_at, kept.received_at, kept.trust,
            is_explicit=True, is_proved=kept.is_proved, by=kept.by, channels=channels, notice=kept.notice,
            served=kept.served, evidence=kept.evidence, method=kept.method, valid_until=valid_until,
            jurisdiction=kept.jurisdiction, source=kept.source,
        )
        for name, state, channels, valid_until in kept.said
    ]  # fmt: skip


# -- bodies


class Choice(NamedTuple):
    """What is said of one purpose."""

    purpose: str
    state: str
    channels: tuple[str, ...] = ()
    valid_until: int | None = None


def consent_body(
    choices: Sequence[Choice],
    *,
    by: str = "self",
    method: str = "",
    notice: str = "",
    served: str = "",
    evidence: str = "",
    jurisdiction: str = "",
    trust: int = TRUST_OPERATOR,
) -> dict[str, Any]:
    """Write what somebody chose, for the log.

    Raises: StatementInvalid; also when a colleague says that somebody agreed and names no evidence.
    """
    if not choices:
        raise StatementInvalid("choice", "is missing: name a purpose and what was said of it.")
    for one in choices:
        _check(one)
    if by not in BY:
        raise StatementInvalid("by", f"must be one of {', '.join(BY)}.")
    told = {"method": method, "notice": notice, "served": served, "evidence": evidence, "jurisdiction": jurisdiction}
    for field, value in told.items():
        if len(value) > _LONGEST or _word(value) != value.strip():
            raise StatementInvalid(field, f"must have at most {_LONGEST} characters, and no NUL.")
    if trust == TRUST_OPERATOR and not evidence.strip() and any(one.state in GIVES for one in choices):
        raise StatementInvalid(
            "evidence", "is missing: a colleague who writes down a yes says where it can be seen (a form, a call)."
        )
    return {
        "type": CONSENT,
        "statements": [
            {
                "purpose": one.purpose,
                "state": one.state,
                **({"channels": list(one.channels)} if one.channels else {}),
                **({"valid_until": rfc3339(one.valid_until)} if one.valid_until is not None else {}),
            }
            for one in choices
        ],
        "by": by,
        **{field: value.strip() for field, value in told.items() if value.strip()},
    }


def _check(one: Choice) -> None:
    if one.purpose == EVERYTHING:
        if one.state not in (RESTRICTED, RELEASED):
            raise StatementInvalid("state", f"of everything ('*') is {RESTRICTED} or {RELEASED}.")
    elif not _NAME.fullmatch(one.purpose):
        raise StatementInvalid("purpose", "is called by letters, digits and . : / - _, and begins with a letter.")
    elif one.state not in STATES:
        raise StatementInvalid("state", f"must be one of {', '.join(sorted(STATES))}.")
