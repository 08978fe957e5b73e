"""Plan: what other identity rules would make of the people there are, before anybody applies them.

In:    the live state at one moment; a state beside it, folded as far under the other rules.
Out:   who would become one, who would part, and a sample of both with the evidence.
Never: a change; more than a sample of anybody's values.
"""

from typing import Any, NamedTuple

from tillit.flow.changeover import Beside
from tillit.identity import DEVICE_RANK, SHARED_RANK, LinkEvidence, read_links
from tillit.store import Reading

_PAGE = 10_000
_MOST_SIDES = 5  # people shown of one case
_MOST_EVIDENCE = 3
# Spreads neighbours apart, the same way each time.
_MIXED = "(id * 2654435761) % 4294967291"


class Case(NamedTuple):
    """People who would become one, or somebody who would part."""

    kind: str  # merge, split
    n_before: int
    n_after: int
    before: list[int]  # root ids as they are now, at most a few
    handles: list[tuple[str, str]]  # some of the identifiers, as (namespace, value)
    evidence: list[LinkEvidence]  # under the new rules


class Cluster(NamedTuple):
    """Somebody whom the new rules would make of several."""

    n_before: int
    n_identifiers: int
    before: list[int]


class Planned(NamedTuple):
    """What would come of other rules."""

    position: int  # how much of the log was looked at
    n_people_before: int
    n_people_after: int
    n_merges: int  # new people made of several
    n_merged: int  # those several
    n_splits: int  # people who would part
    n_affected: int  # people of now whose page would change, also by a device that changes hands
    n_devices: int  # devices that would be somebody else's
    fewer: dict[str, int]  # by namespace: identifiers that would no longer stand for a person
    more: dict[str, int]  # that would begin to
    soft: tuple[int, int]  # soft links now and then
    refused: tuple[int, int]
    largest: list[Cluster]
    cases: list[Case]


def measure(live: Reading, beside: Beside, *, n_cases: int = 20) -> Planned:
    """Compare two states that have folded as much of the log, but under other rules."""
    anew = beside.state
    with anew.transaction() as tx:
        tx.execute(
            "CREATE TABLE before (namespace TEXT, value TEXT, rank INTEGER, root INTEGER, UNIQUE (namespace, value))"
        )
        tx.execute(
            "CREATE TABLE tenure_before (device INTEGER, from_at INTEGER, from_position INTEGER, holder INTEGER)"
        )
        _copy(live, tx, "identifier", "before", "identifier_id", "namespace, value, rank, root_id")
        _copy(live, tx, "tenure", "tenure_before", "identifier_id, from_at, from_position", _TENURE)
        tx.execute(
            "CREATE TABLE pair AS SELECT b.root AS before_id, i.root_id AS after_id, count(*) AS n "
            "FROM identifier i JOIN before b ON b.namespace = i.namespace AND b.value = i.value "
            f"WHERE i.rank < {DEVICE_RANK} AND b.rank < {DEVICE_RANK} GROUP BY 1, 2"
        )
        tx.execute("CREATE INDEX pair_before ON pair (before_id)")
        tx.execute("CREATE INDEX pair_after ON pair (after_id)")
        for kind, one, other in (("merge", "after_id", "before_id"), ("split", "before_id", "after_id")):
            tx.execute(
                f"CREATE TABLE {kind} AS SELECT {one} AS id, count(DISTINCT {other}) AS n_sides, sum(n) AS n "
                f"FROM pair GROUP BY 1 HAVING count(DISTINCT {other}) > 1"
            )
        tx.execute(
            "CREATE TABLE moved AS SELECT device, holder FROM "
            f"(SELECT * FROM (SELECT * FROM tenure_before EXCEPT SELECT {_TENURE} FROM tenure) "
            f"UNION ALL SELECT * FROM (SELECT {_TENURE} FROM tenure EXCEPT SELECT * FROM tenure_before))"
        )
    return Planned(
        beside.position,
        _one(anew, "SELECT count(DISTINCT before_id) FROM pair"),
        _one(anew, "SELECT count(DISTINCT after_id) FROM pair"),
        _one(anew, "SELECT count(*) FROM merge"),
        _one(anew, "SELECT coalesce(sum(n_sides), 0) FROM merge"),
        _one(anew, "SELECT count(*) FROM split"),
        _one(
            anew,
            "SELECT count(*) FROM (SELECT p.before_id FROM pair p JOIN merge m ON m.id = p.after_id "
            "UNION SELECT id FROM split "
            "UNION SELECT b.root FROM moved d JOIN identifier i ON i.identifier_id = d.holder "
            "JOIN before b ON b.namespace = i.namespace AND b.value = i.value)",
        ),
        _one(
            anew,
            "SELECT count(DISTINCT d.device) FROM moved d JOIN identifier i ON i.identifier_id = d.device "
            "JOIN before b ON b.namespace = i.namespace AND b.value = i.value "
            f"WHERE i.rank >= {DEVICE_RANK} AND b.rank >= {DEVICE_RANK}",
        ),
        _by_namespace(
            anew,
            "SELECT b.namespace, count(*) FROM before b LEFT JOIN identifier i "
            "ON i.namespace = b.namespace AND i.value = b.value "
            f"WHERE b.rank < {DEVICE_RANK} AND coalesce(i.rank, {SHARED_RANK}) >= {DEVICE_RANK} GROUP BY 1 ORDER BY 1",
        ),
        _by_namespace(
            anew,
            "SELECT i.namespace, count(*) FROM identifier i LEFT JOIN before b "
            "ON i.namespace = b.namespace AND i.value = b.value "
            f"WHERE i.rank < {DEVICE_RANK} AND coalesce(b.rank, {SHARED_RANK}) >= {DEVICE_RANK} GROUP BY 1 ORDER BY 1",
        ),
        (_n_links(live, "soft"), _n_links(anew, "soft")),
        (_n_links(live, "refused"), _n_links(anew, "refused")),
        [
            Cluster(n_sides, n, _sides(anew, "after_id", "before_id", root))
            for root, n_sides, n in anew.read("SELECT id, n_sides, n FROM merge ORDER BY n DESC, id LIMIT 10")
        ],
        _cases(anew, n_cases),
    )


_TENURE = "identifier_id, from_at, from_position, holder_id"


def _copy(live: Reading, tx: Any, table: str, into: str, key: str, columns: str) -> None:
    n_keys = key.count(",") + 1
    marks = ", ".join("?" * n_keys)
    after: tuple[int, ...] = (-1,) + (-(1 << 62),) * (n_keys - 1)
    n_columns = columns.count(",") + 1
    while rows := live.read(
        f"SELECT {key}, {columns} FROM {table} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT {_PAGE}", after
    ):
        tx.executemany(f"INSERT INTO {into} VALUES ({', '.join('?' * n_columns)})", [row[n_keys:] for row in rows])
        after = rows[-1][:n_keys]


def _one(reading: Reading, sql: str) -> int:
    return int(reading.read(sql)[0][0])


def _n_links(reading: Reading, verdict: str) -> int:
    return int(reading.read("SELECT count(*) FROM link WHERE verdict = ?", (verdict,))[0][0])


def _by_namespace(reading: Reading, sql: str) -> dict[str, int]:
    return {str(name): int(n) for name, n in reading.read(sql)}


def _sides(anew: Reading, one: str, other: str, root: int) -> list[int]:
    rows = anew.read(f"SELECT {other} FROM pair WHERE {one} = ? ORDER BY n DESC, {other} LIMIT {_MOST_SIDES}", (root,))
    return [i for (i,) in rows]


def _cases(anew: Reading, most: int) -> list[Case]:
    """Sample merges and splits, half of each as far as there are."""
    told = {
        kind: anew.read(f"SELECT id, n_sides FROM {kind} ORDER BY {_MIXED}, id LIMIT ?", (most,))
        for kind in ("merge", "split")
    }
    n_merges = min(len(told["merge"]), max(most // 2, most - len(told["split"])))
    cases = [_merge(anew, root, n) for root, n in told["merge"][:n_merges]]
    return cases + [_split(anew, root, n) for root, n in told["split"][: most - n_merges]]


# Links whose two ends were, or would be, other people's.
_TIES = (
    "SELECT l.strong_id, l.weak_id, l.trust, l.chapter FROM link l JOIN identifier a ON a.identifier_id = l.strong_id "
    "JOIN identifier b ON b.identifier_id = l.weak_id "
    "JOIN before pa ON pa.namespace = a.namespace AND pa.value = a.value "
    "JOIN before pb ON pb.namespace = b.namespace AND pb.value = b.value "
)


def _merge(anew: Reading, root: int, n_sides: int) -> Case:
    keys = anew.read(
        f"{_TIES} WHERE a.root_id = ? AND b.root_id = a.root_id AND l.verdict = 'admitted' AND pa.root <> pb.root "
        f"ORDER BY l.position LIMIT {_MOST_EVIDENCE}",
        (root,),
    )
    handles = anew.read(
        f"SELECT namespace, value FROM identifier WHERE root_id = ? ORDER BY rank, identifier_id LIMIT {_MOST_SIDES}",
        (root,),
    )
    return Case("merge", n_sides, 1, _sides(anew, "after_id", "before_id", root), handles, read_links(anew, keys))


def _split(anew: Reading, root: int, n_sides: int) -> Case:
    keys = anew.read(
        f"{_TIES} WHERE pa.root = ? AND pb.root = pa.root AND l.verdict <> 'admitted' AND a.root_id <> b.root_id "
        f"ORDER BY l.position LIMIT {_MOST_EVIDENCE}",
        (root,),
    )
    handles = anew.read(
        "SELECT i.namespace, i.value FROM before b "
        "JOIN identifier i ON i.namespace = b.namespace AND i.value = b.value "
        f"WHERE b.root = ? AND i.rank < {DEVICE_RANK} AND i.identifier_id = i.root_id "
        f"ORDER BY i.rank, i.identifier_id LIMIT {_MOST_SIDES}",
        (root,),
    )
    return Case("split", 1, n_sides, [root], handles, read_links(anew, keys))
