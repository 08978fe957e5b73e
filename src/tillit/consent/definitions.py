"""Definitions: purposes in the log, each set with its author, and which of them hold.

In:    the text of a policy that somebody applies.
Out:   log rows; rows of consent_policy.
Never: an edit. Whoever goes back to earlier purposes applies them again.
"""

from typing import NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.consent.policy import Declared, read_policy
from tillit.records import KIND_DEFINITION, TRUST_OPERATOR, LogRow, NewRow, message_hash
from tillit.store import Reading, Writing

KIND = "purposes"
SOURCE = "definition"
_LONGEST_REASON = 500


class AppliedPolicy(NamedTuple):
    """Purposes as somebody applied them. Grain: one per definition in the log."""

    position: int  # 0: the built-in ones, which nobody applied
    text: str
    operator: str
    reason: str
    event_at: int  # UTC epoch microseconds


DEFAULT = AppliedPolicy(0, "", "", "", 0)


class _Said(msgspec.Struct):
    kind: str
    text: str = ""
    operator: str = ""
    reason: str = ""


def policy_row(text: str, *, operator: str, reason: str, message_id: str, now: int) -> NewRow:
    """Write a definition of purposes for the log.

    Units:  now is UTC epoch microseconds.
    Raises: PolicyInvalid.
    """
    read_policy(text)
    kept = reason.strip().replace("\0", "")[:_LONGEST_REASON]
    told = {"kind": KIND, "text": text, "operator": operator, "reason": kept, "timestamp": rfc3339(now)}
    digest = message_hash(SOURCE, message_id)
    return NewRow(KIND_DEFINITION, SOURCE, TRUST_OPERATOR, now, now, digest, msgspec.json.encode(told))


def keep_policy(tx: Writing, row: LogRow) -> None:
    """Note purposes that somebody applied; a row that defines something else is passed over."""
    if row.kind != KIND_DEFINITION or not row.body:
        return
    said = msgspec.json.decode(row.body, type=_Said)
    if said.kind == KIND:
        tx.execute(
            "INSERT INTO consent_policy (position, text, operator, reason, event_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (position) DO NOTHING",
            (row.position, said.text, said.operator, said.reason, row.event_at),
        )


def read_policies(reading: Reading) -> list[AppliedPolicy]:
    """Give all purposes that were ever applied, newest first."""
    rows = reading.read("SELECT position, text, operator, reason, event_at FROM consent_policy ORDER BY position DESC")
    return [AppliedPolicy(*row) for row in rows]


def policy_applied(reading: Reading, *, before: int | None = None) -> AppliedPolicy:
    """Give the purposes in force, or those that were before an instant."""
    rows = reading.read(
        "SELECT position, text, operator, reason, event_at FROM consent_policy WHERE event_at <= ? "
        "ORDER BY position DESC LIMIT 1",
        ((1 << 62) if before is None else before,),
    )
    return AppliedPolicy(*rows[0]) if rows else DEFAULT


def policy_in_force(reading: Reading, *, before: int | None = None) -> Declared:
    """Give the purposes in force, read."""
    return read_policy(policy_applied(reading, before=before).text)
