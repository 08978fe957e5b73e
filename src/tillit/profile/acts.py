"""What colleagues say of a person: corrections, notes, and what takes one of them back.

In:    a colleague's words; rows of operator_act.
Out:   log rows; the corrections and notes that stand.
Never: an act that counts as something the customer did; one that a source's key could send (no door knows these types,
       and the fold honours them from colleagues only).

Each act is an event of its own in the log, anchored at one identifier. An act that takes another back names it by its
message id, so the order in which they arrive says nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.records import ACT_TYPES, KIND_EVENT, TRUST_OPERATOR, LogRow, MemberIdentifier, NewRow, message_hash
from tillit.store import Reading

CORRECT, NOTE, RETRACT = "correct", "note", "retract"
SOURCE = "console"
# Taste: a note is read beside a telephone call, a reason is one sentence.
LONGEST_NOTE = 4_000
LONGEST_REASON = 500
LONGEST_VALUE = 4_000
LONGEST_TRAIT_NAME = 256

_encode = msgspec.json.Encoder().encode


class ActInvalid(InputError):
    """A correction, a note or its reason cannot be kept as it is."""

    code = "profile.act-invalid"

    def __init__(self, field: str, why: str) -> None:
        """Name the field, never its value."""
        super().__init__(f"The {field} {why}", field=field)


class Act(NamedTuple):
    """One act. Grain: one per event of a colleague."""

    position: int
    event_at: int  # UTC epoch microseconds
    kind: str
    message_id: str
    operator: str
    reason: str
    text: str  # of a note
    traits: dict[str, Any]  # of a correction
    of: str  # of a retraction: the message id of what it takes back


class _Said(msgspec.Struct, gc=False):
    type: str
    messageId: str = ""
    operator: str = ""
    reason: str = ""
    text: str = ""
    traits: dict[str, Any] = {}
    of: str = ""


_decode = msgspec.json.Decoder(_Said).decode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Said).decode


class Standing(NamedTuple):
    """What stands of a person's acts."""

    corrections: dict[str, Act]  # trait -> the correction that counts
    notes: list[Act]  # newest first
    retracted: dict[str, Act]  # message id -> what took it back


def is_act(kind: str, trust: int) -> bool:
    """Say whether an event is a colleague's own."""
    return kind in ACT_TYPES and trust == TRUST_OPERATOR


def pack_act(row: LogRow) -> bytes | None:
    """Give what is kept of an act; None when its body says nothing that can be read."""
    try:
        return _pack(_decode(row.body or b"{}"))
    except msgspec.MsgspecError:
        return None


def read_act(row: LogRow) -> Act | None:
    """Read an act of the log; None when its body says nothing that can be read."""
    packed = pack_act(row)
    return act_of(row.position, row.event_at, packed) if packed is not None else None


def act_of(position: int, event_at: int, packed: bytes) -> Act:
    """Read what is kept of an act."""
    said = _unpack(packed)
    return Act(
        position, event_at, said.type, said.messageId, said.operator, said.reason, said.text, said.traits, said.of
    )


def load_acts(reading: Reading, keys: Iterable[tuple[int, int]]) -> list[Act]:
    """Read the acts of strands, oldest first."""
    found = [
        act_of(*row)
        for key in keys
        for row in reading.read(
            "SELECT position, event_at, document FROM operator_act WHERE identifier_id = ? AND part = ?", key
        )
    ]
    return sorted(found, key=lambda act: (act.event_at, act.position))


def judge_acts(acts: Sequence[Act]) -> Standing:
    """Say which corrections and notes stand. Their order does not count."""
    retracted: dict[str, Act] = {}
    for act in acts:
        if act.kind == RETRACT:
            retracted.setdefault(act.of, act)
    corrections: dict[str, Act] = {}
    notes = []
    for act in sorted(acts, key=lambda act: (act.event_at, act.position)):
        if act.message_id in retracted:
            continue
        if act.kind == CORRECT:
            corrections.update(dict.fromkeys(act.traits, act))
        elif act.kind == NOTE:
            notes.append(act)
    return Standing(corrections, notes[::-1], retracted)


def act_row(
    body: Mapping[str, Any],
    whose: MemberIdentifier | None,
    *,
    operator: str,
    reason: str,
    message_id: str,
    now: int,
    event_at: int,
) -> NewRow:
    """Write an act of an operator about whoever holds an identifier; without one the body names it already.

    Units:  now and event_at are UTC epoch microseconds.
    Raises: ActInvalid when the reason is too long.
    """
    reason = _text("reason", reason, LONGEST_REASON)
    told = {
        **body,
        **(_naming(whose) if whose is not None else {}),
        "messageId": message_id,
        "operator": operator,
        "reason": reason,
        "timestamp": rfc3339(event_at),
        "receivedAt": rfc3339(now),
    }
    return NewRow(KIND_EVENT, SOURCE, TRUST_OPERATOR, now, event_at, message_hash(SOURCE, message_id), _encode(told))


def correct_body(name: str, value: Any) -> dict[str, Any]:
    """Write what a correction says; None takes a trait back. Raises InputError."""
    name = _text("name", name, LONGEST_TRAIT_NAME)
    if not name:
        raise ActInvalid("name", "of the trait is missing.")
    _text("value", value if isinstance(value, str) else _encode(value).decode(), LONGEST_VALUE)
    return {"type": CORRECT, "traits": {name: value}}


def note_body(text: str) -> dict[str, Any]:
    """Write what a note says. Raises InputError."""
    text = _text("text", text, LONGEST_NOTE)
    if not text:
        raise ActInvalid("text", "is missing: a note says something.")
    return {"type": NOTE, "text": text}


def retract_body(target: LogRow) -> dict[str, Any] | None:
    """Write what takes an act back, about the same identifier; None when the row is no act that can be."""
    said = msgspec.json.decode(target.body or b"{}")
    # What somebody agreed to is not taken back as if it had never been said: another statement follows it.
    if not is_act(said.get("type", ""), target.trust) or said["type"] in (RETRACT, "consent"):
        return None
    named = {name: said[name] for name in ("userId", "anonymousId", "context") if name in said}
    return {"type": RETRACT, "of": said["messageId"], **named}


def _text(field: str, text: str, longest: int) -> str:
    text = text.strip()
    if len(text) > longest or "\0" in text:
        raise ActInvalid(field, f"must have at most {longest:,} characters and no NUL; it has {len(text):,}.")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ActInvalid(field, "holds half a character.") from exc
    return text


def _naming(whose: MemberIdentifier) -> dict[str, Any]:
    """Name an identifier as an event does."""
    name, value = whose.namespace, whose.value
    if name == "user_id":
        return {"userId": value}
    if name == "anonymous_id":
        return {"anonymousId": value}
    if name in {"email", "phone"}:
        return {"context": {"traits": {name: value}}}
    return {"context": {"externalIds": [{"type": name, "id": value}]}}
