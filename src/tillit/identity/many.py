"""Values of many: identifiers that so many people or devices said that they stand for nobody.

In:    identifiers that got new evidence; links; rules.
Out:   for each that stands for many a block, or an alarm, as a row of the log.
Never: a judgement that the fold makes: it is an event, so that a rebuild comes to the same; a value judged twice.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tillit.clock import DAY
from tillit.identity.acts import BLOCK, FREE, IdentityAct, identity_act_row, load_acts, standing
from tillit.identity.evidence import Named
from tillit.identity.namespaces import DEVICE_RANK, SHARED_RANK, Handle
from tillit.identity.paths import read_names
from tillit.identity.rules import Rules
from tillit.records import NewRow
from tillit.store import Reading

ALARM = "alarm"
AUTHOR = "tillit"
# A browser that deletes its cookies each week is 150 devices of one customer in three years.
_DAYS = 30


class ValueOfMany(NamedTuple):
    """An identifier that stands for many."""

    identifier_id: int
    handle: Handle
    kind: str  # block or alarm
    reason: str


class JudgedValue(NamedTuple):
    """A value that was blocked or freed, or of which an alarm tells. Grain: one per identifier."""

    one: Named
    act: IdentityAct  # the newest that stands


def read_judged_values(reading: Reading, *, limit: int) -> list[JudgedValue]:
    """Give the values that somebody, or Tillit itself, decided about, newest decision first."""
    kinds = (BLOCK, FREE, ALARM)
    rows = reading.read(
        "SELECT one_id, max(position) FROM identity_act WHERE kind IN (?, ?, ?) "
        "GROUP BY one_id ORDER BY 2 DESC LIMIT ?",
        (*kinds, limit),
    )
    ids = [int(identifier_id) for identifier_id, _ in rows]
    acts = load_acts(reading, ids)
    stand = standing(acts)
    newest = {act.one_id: act for act in acts if act.kind in kinds and act.position in stand}
    named = read_names(reading, newest.keys() & set(ids))
    return [JudgedValue(named[i], newest[i]) for i in ids if i in named]


def find_values_of_many(reading: Reading, rules: Rules, ids: Sequence[int]) -> list[ValueOfMany]:
    """Give those of these identifiers that stand for many by the rules, and of which nobody has decided yet."""
    decided = reading.read_in("SELECT one_id FROM identity_act WHERE one_id = other_id AND one_id IN {in}", ids)
    left = _with_many_links(reading, rules, sorted(set(ids).difference(i for (i,) in decided)))
    found = []
    for identifier_id, namespace, value, rank in reading.read_in(
        "SELECT identifier_id, namespace, value, rank FROM identifier WHERE identifier_id IN {in}", left
    ):
        reason = _why(reading, rules, identifier_id, rank) if rank < SHARED_RANK else ""
        if reason:
            kind = ALARM if namespace in rules.automatic.except_for else BLOCK
            found.append(ValueOfMany(identifier_id, Handle(rank, namespace, value), kind, reason))
    return sorted(found)


def _with_many_links(reading: Reading, rules: Rules, ids: Sequence[int]) -> list[int]:
    """Leave out, at once, all that cannot: nearly every identifier has a handful of links."""
    automatic = rules.automatic
    fewest = min((n for n in (automatic.people, automatic.devices, automatic.holders) if n), default=None)
    if fewest is None:
        return []
    n_links = Counter[int]()
    for end in ("strong_id", "weak_id"):
        sql = f"SELECT {end}, count(*) FROM link WHERE {end} IN {{in}} GROUP BY {end}"
        n_links.update(dict(reading.read_in(sql, ids)))
    return [i for i, n in n_links.items() if n > fewest]


def value_row(one: ValueOfMany, *, now: int) -> NewRow:
    """Write what was found for the log. The same finding is the same message, however often it is made."""
    message_id = f"{one.kind}-{one.identifier_id}"
    return identity_act_row(one.kind, [one.handle], operator=AUTHOR, reason=one.reason, message_id=message_id, now=now)


def _why(reading: Reading, rules: Rules, identifier_id: int, rank: int) -> str:
    automatic = rules.automatic
    n = automatic.holders if rank >= DEVICE_RANK else automatic.people
    if n and _n_people(reading, identifier_id, n) > n:
        return f"more than {n} people {'claimed' if rank >= DEVICE_RANK else 'have'} it"
    n = automatic.devices
    if n and rank < DEVICE_RANK and _n_devices(reading, identifier_id, n) > n:
        return f"more than {n} devices said it within {_DAYS} days"
    return ""


def _n_people(reading: Reading, identifier_id: int, most: int) -> int:
    """Count whom it was named beside, up to one more than asked for."""
    ids: set[int] = set()
    for end, other in (("weak_id", "strong_id"), ("strong_id", "weak_id")):
        sql = (
            f"SELECT DISTINCT i.root_id FROM link l JOIN identifier i ON i.identifier_id = l.{other} "
            f"WHERE l.{end} = ? AND i.rank < {DEVICE_RANK} LIMIT ?"
        )
        ids.update(i for (i,) in reading.read(sql, (identifier_id, most + 1)))
    return len(ids)


def _n_devices(reading: Reading, identifier_id: int, most: int) -> int:
    """Count the devices that began to name it within some days before the last that did, up to one more."""
    sql = (
        "SELECT count(*) FROM (SELECT DISTINCT l.weak_id FROM link l JOIN identifier i ON i.identifier_id = l.weak_id "
        f"WHERE l.strong_id = ? AND i.rank >= {DEVICE_RANK} AND i.rank < {SHARED_RANK} AND l.event_at > "
        "(SELECT max(event_at) FROM link WHERE strong_id = ?) - ? LIMIT ?) AS listed"
    )
    return int(reading.read(sql, (identifier_id, identifier_id, _DAYS * DAY, most + 1))[0][0])
