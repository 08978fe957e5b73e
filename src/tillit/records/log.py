"""Rows of the log: what happened, in order.

In:    nothing.
Out:   `NewRow` (before the log gave it a place), `LogRow` (after), `QuarantineRow` (what the door turned away).
Never: a profile id. Rows hold identifiers; who they belong to is derived.
"""

import hashlib
from typing import NamedTuple

KIND_EVENT = 1
KIND_TICK = 2  # the engine's own note of time on an idle log
KIND_DEFINITION = 3  # the full text of a definition that was applied
KIND_ACT = 4  # something an operator or the system did: forget, cut, correct

# How well the sender is known. Higher wins.
TRUST_CLAIMED = 1  # a public key: anyone who reads the page's source can send it
TRUST_SERVER = 2  # a secret key, a file
TRUST_OPERATOR = 3  # a named colleague
TRUST_VERIFIED = 4  # the customer proved it
TRUST_NAMES = {TRUST_CLAIMED: "claimed", TRUST_SERVER: "server", TRUST_OPERATOR: "operator", TRUST_VERIFIED: "verified"}

# Types of event that only a colleague's own acts have: no door takes them from a source.
ACT_TYPES = frozenset({"correct", "note", "retract", "group_join", "group_leave", "consent"})
# The same for what they decide about who is who.
IDENTITY_ACT_TYPES = frozenset({"cut", "pin", "join", "undo", "block", "free", "alarm"})


# What stands in the log for an event that was refused because whom it names was erased: that there was one.
REFUSED_BODY = b'{"type":"husk","refused":"erased"}'
# What the log holds of an event that said itself that it may be used for nothing its source collects for.
WITHHELD_BODY = b'{"type":"husk","refused":"consent"}'


def message_hash(source: str, message_id: str) -> bytes:
    """Name a message as the log does: 16 bytes of blake2b over source and message id."""
    return hashlib.blake2b(f"{source}\0{message_id}".encode(), digest_size=16).digest()


class NewRow(NamedTuple):
    """One thing that happened, on its way into the log."""

    kind: int
    source: str
    trust: int
    received_at: int  # UTC epoch microseconds, when our door took it
    event_at: int  # UTC epoch microseconds, when it happened (clock skew corrected)
    message_hash: bytes  # 16 bytes of blake2b over source and message id
    body: bytes  # UTF-8 JSON


class LogRow(NamedTuple):
    """One thing that happened, at its place in the log. Grain: one per position, never reused."""

    position: int
    logged_at: int  # UTC epoch microseconds, strictly rising: the fold's only "now"
    kind: int
    source: str
    trust: int
    received_at: int
    event_at: int
    message_hash: bytes
    body: bytes | None  # None or a husk once it was forgotten


class QuarantineRow(NamedTuple):
    """What the door could not take: kept with its reason and its bytes for 30 days, replayable."""

    received_at: int
    source: str
    trust: int
    code: str
    reason: str
    message_id: str | None
    raw: bytes
