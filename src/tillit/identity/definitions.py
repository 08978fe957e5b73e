"""Definitions: identity rules in the log, each with its author, and which of them hold.

In:    the text of a definition that somebody applies.
Out:   log rows; rows of identity_rules.
Never: an edit. Whoever goes back to earlier rules applies them again.
"""

from typing import NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.identity.acts import kept_reason
from tillit.identity.rules import DEFAULT_RULES, Rules, read_rules
from tillit.records import KIND_DEFINITION, TRUST_OPERATOR, LogRow, NewRow, message_hash
from tillit.store import Reading, Writing

KIND = "identity"
SOURCE = "definition"


class AppliedRules(NamedTuple):
    """Rules as somebody applied them. Grain: one per definition in the log."""

    position: int  # 0: the default, which nobody applied
    text: str
    operator: str
    reason: str
    event_at: int  # UTC epoch microseconds


DEFAULT = AppliedRules(0, "", "", "", 0)


class _Said(msgspec.Struct):
    kind: str
    text: str = ""
    operator: str = ""
    reason: str = ""


def rules_row(text: str, *, operator: str, reason: str, message_id: str, now: int) -> NewRow:
    """Write a definition of identity rules for the log.

    Units:  now is UTC epoch microseconds.
    Raises: RulesInvalid, ReasonInvalid.
    """
    read_rules(text)
    told = {"kind": KIND, "text": text, "operator": operator, "reason": kept_reason(reason), "timestamp": rfc3339(now)}
    digest = message_hash(SOURCE, message_id)
    return NewRow(KIND_DEFINITION, SOURCE, TRUST_OPERATOR, now, now, digest, msgspec.json.encode(told))


def read_definition(row: LogRow) -> AppliedRules | None:
    """Read a row of the log; None when it defines something else."""
    if row.kind != KIND_DEFINITION or not row.body:
        return None
    said = msgspec.json.decode(row.body, type=_Said)
    return (
        AppliedRules(row.position, said.text, said.operator, said.reason, row.event_at) if said.kind == KIND else None
    )


def keep_definition(tx: Writing, applied: AppliedRules) -> None:
    """Note rules that somebody applied. What a rebuild knew beforehand stays."""
    tx.execute(
        "INSERT INTO identity_rules (position, text, operator, reason, event_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (position) DO NOTHING",
        applied,
    )


def read_applied(reading: Reading) -> list[AppliedRules]:
    """Give all rules that were ever applied, newest first."""
    rows = reading.read("SELECT position, text, operator, reason, event_at FROM identity_rules ORDER BY position DESC")
    return [AppliedRules(*row) for row in rows]


def newest_rules(reading: Reading) -> AppliedRules:
    """Give the rules that were applied last, whether or not they are in force yet."""
    rows = reading.read(
        "SELECT position, text, operator, reason, event_at FROM identity_rules ORDER BY position DESC LIMIT 1"
    )
    return AppliedRules(*rows[0]) if rows else DEFAULT


def applied_rules(reading: Reading) -> AppliedRules:
    """Give the rules under which everything is folded."""
    rows = reading.read(
        "SELECT r.position, r.text, r.operator, r.reason, r.event_at FROM fold f "
        "JOIN identity_rules r ON r.position = f.rules"
    )
    return AppliedRules(*rows[0]) if rows else DEFAULT


def rules_in_force(reading: Reading) -> Rules:
    """Give the rules under which everything is folded, read."""
    applied = applied_rules(reading)
    return read_rules(applied.text) if applied.position else DEFAULT_RULES
