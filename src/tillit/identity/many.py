"""Values of many: identifiers that so many people or devices said that they stand for nobody.

In:    identifiers that got new evidence; links; rules.
Out:   for each that stands for many a block, or an alarm, as a row of the log.
Never: a judgement that the fold makes: it is an event, so that a rebuild comes to the same; a value judged twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tillit.identity.acts import BLOCK, identity_act_row
from tillit.identity.namespaces import DEVICE_RANK, SHARED_RANK, Handle
from tillit.identity.rules import Rules
from tillit.records import NewRow
from tillit.store import Reading

ALARM = "alarm"
AUTHOR = "tillit"


class ValueOfMany(NamedTuple):
    """An identifier that stands for many."""

    identifier_id: int
    handle: Handle
    kind: str  # block or alarm
    reason: str


def find_values_of_many(reading: Reading, rules: Rules, ids: Sequence[int]) -> list[ValueOfMany]:
    """Give those of these identifiers that stand for many by the rules, and of which nobody has decided yet."""
    found = []
    for identifier_id, namespace, value, rank in reading.read_in(
        "SELECT identifier_id, namespace, value, rank FROM identifier WHERE identifier_id IN {in}", list(ids)
    ):
        reason = _why(reading, rules, identifier_id, rank) if rank < SHARED_RANK else ""
        if reason and not reading.read(
            "SELECT 1 FROM identity_act WHERE one_id = ? AND other_id = ?", (identifier_id,) * 2
        ):
            kind = ALARM if namespace in rules.automatic.except_for else BLOCK
            found.append(ValueOfMany(identifier_id, Handle(rank, namespace, value), kind, reason))
    return sorted(found)


def value_row(one: ValueOfMany, *, now: int) -> NewRow:
    """Write what was found for the log. The same finding is the same message, however often it is made."""
    message_id = f"{one.kind}-{one.identifier_id}"
    return identity_act_row(one.kind, [one.handle], operator=AUTHOR, reason=one.reason, message_id=message_id, now=now)


def _why(reading: Reading, rules: Rules, identifier_id: int, rank: int) -> str:
    automatic = rules.automatic
    if rank >= DEVICE_RANK:
        n = automatic.holders
        return f"more than {n} people claimed it" if n and _n_said(reading, identifier_id, n) > n else ""
    n = automatic.people
    if n and _n_said(reading, identifier_id, n) + _n_said_of(reading, identifier_id, n, is_device=False) > n:
        return f"more than {n} people have it"
    n = automatic.devices
    if n and _n_said_of(reading, identifier_id, n, is_device=True) > n:
        return f"more than {n} devices said it"
    return ""


def _n_said(reading: Reading, identifier_id: int, most: int) -> int:
    """Count who named it beside themselves, up to one more than asked for."""
    sql = "SELECT count(*) FROM (SELECT DISTINCT strong_id FROM link WHERE weak_id = ? LIMIT ?) AS some"
    return int(reading.read(sql, (identifier_id, most + 1))[0][0])


def _n_said_of(reading: Reading, identifier_id: int, most: int, *, is_device: bool) -> int:
    """Count what was named beside it, up to one more than asked for."""
    sql = (
        "SELECT count(*) FROM (SELECT DISTINCT l.weak_id FROM link l JOIN identifier i ON i.identifier_id = l.weak_id "
        f"WHERE l.strong_id = ? AND i.rank {'>=' if is_device else '<'} {DEVICE_RANK} LIMIT ?) AS some"
    )
    return int(reading.read(sql, (identifier_id, most + 1))[0][0])
