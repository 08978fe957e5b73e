"""Memberships: who is in which audience, and every change of it, written once.

In:    what people were judged to be.
Out:   rows of membership, membership_change, due, audience_standing; lists and counts of them.
Never: a change without its membership: both are one transaction, so that nothing is told twice and nothing is missed.

The file is a journal: it tells what was published, and is not made again with the state.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from tillit.store import SqliteState, Writing, migrations_of

MEMBERSHIP_MIGRATIONS = migrations_of("tillit.audience", room="audience", folder="migrations/journal")

ENTER, EXIT, MOVE = "enter", "exit", "move"
# Why somebody came into an audience or went.
EVENT, TIMER, LATE, MERGE, CUT, EDIT, ERASURE, CORRECTION, RANK = (
    "event", "timer", "late", "merge", "cut", "edit", "erasure", "correction", "rank",
)  # fmt: skip
JOINED = "joined"  # of a move into somebody who is a member already: two memberships become one
NOBODY = 1 << 62  # a walk that is over
_DAY = 86_400_000_000


class Change(NamedTuple):
    """One change of one person's membership. Grain: one per audience, person and moment."""

    change_id: int
    audience: str
    version: int  # position of the definition that decided it
    root_id: int
    kind: str  # enter, exit, move
    at: int  # UTC epoch microseconds: when it became so
    cause: str
    position: int  # of the log, up to which was known
    since_at: int  # since when they were in, of an exit or a move
    from_root: int = 0  # of a move: who they were before


class Member(NamedTuple):
    """One person in one audience."""

    audience: str
    root_id: int
    since_at: int
    cause: str
    position: int


class Standing(NamedTuple):
    """How one audience stands."""

    version: int
    judged_at: int
    n_members: int


class Judged(NamedTuple):
    """How far everybody was judged."""

    epoch: int
    position: int
    at: int
    walk: int  # the next identifier of the walk over everybody; NOBODY: there is none
    cause: str  # of the walk
    under: str  # the definitions by which people are judged


_CHANGE = "change_id, audience, version, root_id, kind, at, cause, position, since_at, from_root"


class Memberships:
    """The memberships of one workspace."""

    def __init__(self, store: SqliteState) -> None:
        """Take the journal's file."""
        self.store = store

    # -- judging

    def judged(self) -> Judged:
        """Say how far everybody was judged."""
        rows = self.store.read("SELECT epoch, position, at, walk, cause, under FROM judged")
        return Judged(*rows[0]) if rows else Judged(0, 0, 0, NOBODY, "", "")

    def of_roots(self, roots: Collection[int]) -> dict[int, dict[str, Member]]:
        """Give the memberships of some roots."""
        found: dict[int, dict[str, Member]] = {}
        for row in self.store.read_in(
            "SELECT audience, root_id, since_at, cause, position FROM membership WHERE root_id IN {in}", sorted(roots)
        ):
            one = Member(*row)
            found.setdefault(one.root_id, {})[one.audience] = one
        return found

    def dues_of(self, roots: Collection[int]) -> dict[int, int]:
        """Give when some people are to be judged again by themselves."""
        return dict(self.store.read_in("SELECT root_id, due_at FROM due WHERE root_id IN {in}", sorted(roots)))

    def due(self, at: int, *, most: int) -> list[int]:
        """Give people who are to be judged again by an instant, whoever is due first."""
        rows = self.store.read("SELECT root_id FROM due WHERE due_at <= ? ORDER BY due_at LIMIT ?", (at, most))
        return [one for (one,) in rows]

    def next_due(self) -> int | None:
        """Say when somebody is to be judged again by themselves."""
        rows = self.store.read("SELECT min(due_at) FROM due")
        return rows[0][0] if rows else None

    def write(
        self,
        judged: Judged,
        changes: Sequence[Change],
        dues: Mapping[int, int | None],
        *,
        versions: Mapping[str, int],
        also: Callable[[Writing], None] | None = None,
    ) -> None:
        """Write what some people were judged to be; all of it or nothing.

        `changes`: in order, their ids are given here. `dues`: by root; None: nothing changes by itself. `also`: what
        else is written with them.
        """
        with self.store.transaction() as tx:
            if also is not None:
                also(tx)
            _write_changes(tx, changes)
            gone = [(root,) for root, due_at in dues.items() if due_at is None]
            tx.executemany("DELETE FROM due WHERE root_id = ?", gone)
            tx.executemany(
                "INSERT INTO due (root_id, due_at) VALUES (?, ?) "
                "ON CONFLICT (root_id) DO UPDATE SET due_at = excluded.due_at",
                [(root, due_at) for root, due_at in dues.items() if due_at is not None],
            )
            _count(tx, changes, judged.at, versions)
            write_judged(tx, judged)

    # -- reading

    def version(self) -> int:
        """Give a number that changes when somebody came or went in another process."""
        return self.store.data_version()

    def is_member(self, audience: str, roots: Collection[int]) -> bool:
        """Say whether somebody is in an audience, by any identifier that they were known by."""
        rows = self.store.read_in(
            "SELECT root_id FROM membership WHERE audience = ? AND root_id IN {in} LIMIT 1", sorted(roots), (audience,)
        )
        return bool(rows)

    def find_member(self, audience: str, roots: Collection[int]) -> Member | None:
        """Give the membership of one person in an audience, by any identifier that they were known by."""
        return next((mine[audience] for mine in self.of_roots(roots).values() if audience in mine), None)

    def find_exit(self, audience: str, roots: Collection[int]) -> Change | None:
        """Give the newest change by which one person left an audience."""
        rows = self.store.read_in(
            f"SELECT {_CHANGE} FROM membership_change WHERE audience = ? AND kind = ? AND root_id IN {{in}}",
            sorted(roots),
            (audience, EXIT),
        )
        return max((Change(*row) for row in rows), default=None)

    def standings(self) -> dict[str, Standing]:
        """Say how each audience stands that was ever judged."""
        rows = self.store.read("SELECT audience, version, judged_at, n_members FROM audience_standing")
        return {name: Standing(*rest) for name, *rest in rows}

    def count(self, audience: str) -> int:
        """Count the members of an audience."""
        return int(self.store.read("SELECT count(*) FROM membership WHERE audience = ?", (audience,))[0][0])

    def members(self, audience: str, *, after: int = -1, limit: int) -> list[Member]:
        """Give members of an audience in the order of their roots, after one of them."""
        rows = self.store.read(
            "SELECT audience, root_id, since_at, cause, position FROM membership "
            "WHERE audience = ? AND root_id > ? ORDER BY root_id LIMIT ?",
            (audience, after, limit),
        )
        return [Member(*row) for row in rows]

    def changes(self, *, after: int = 0, audience: str = "", limit: int) -> list[Change]:
        """Give changes after one of them, in the order in which they were published; with a name, of one audience."""
        rows = self.store.read(
            f"SELECT {_CHANGE} FROM membership_change WHERE change_id > ? AND (? = '' OR audience = ?) "
            "ORDER BY change_id LIMIT ?",
            (after, audience, audience, limit),
        )
        return [Change(*row) for row in rows]

    def newest(self, audience: str, *, limit: int) -> list[Change]:
        """Give the newest changes of an audience, newest first."""
        rows = self.store.read(
            f"SELECT {_CHANGE} FROM membership_change WHERE audience = ? ORDER BY change_id DESC LIMIT ?",
            (audience, limit),
        )
        return [Change(*row) for row in rows]

    def last_change_id(self) -> int:
        """Give the id of the newest change; 0: there is none."""
        return int(self.store.read("SELECT max(change_id) FROM membership_change")[0][0] or 0)

    def changes_of(self, roots: Collection[int], *, limit: int) -> list[Change]:
        """Give the newest changes of one person, newest first."""
        rows = self.store.read_in(f"SELECT {_CHANGE} FROM membership_change WHERE root_id IN {{in}}", sorted(roots))
        return [Change(*row) for row in sorted(rows, reverse=True)[:limit]]

    def days(self, audience: str, *, since: int) -> list[tuple[int, int]]:
        """Give how many were in an audience at the end of each day on which that changed; days since 1970, UTC."""
        rows = self.store.read(
            "SELECT day, n_members FROM audience_day WHERE audience = ? AND day >= ? ORDER BY day", (audience, since)
        )
        return [(day, n) for day, n in rows]


def _write_changes(tx: Writing, changes: Sequence[Change]) -> None:
    if not changes:
        return
    last = int(tx.read("SELECT max(change_id) FROM membership_change")[0][0] or 0)
    tx.executemany(
        f"INSERT INTO membership_change ({_CHANGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(number, *change[1:]) for number, change in enumerate(changes, last + 1)],
    )
    # What each membership comes to in the end: of one that changed twice the last counts.
    ends: dict[tuple[int, str], tuple[int, str, int, str, int] | None] = {}
    for _, audience, _, root, kind, at, cause, position, since, from_root in changes:
        if kind != ENTER:
            ends[from_root if kind == MOVE else root, audience] = None
        if kind != EXIT and cause != JOINED:
            ends[root, audience] = root, audience, since if kind == MOVE else at, cause, position
    gone = sorted(key for key, end in ends.items() if end is None)
    tx.executemany("DELETE FROM membership WHERE root_id = ? AND audience = ?", gone)
    tx.executemany(
        "INSERT INTO membership (root_id, audience, since_at, cause, position) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (root_id, audience) DO UPDATE SET since_at = excluded.since_at, cause = excluded.cause, "
        "position = excluded.position",
        sorted(end for end in ends.values() if end is not None),
    )


def _count(tx: Writing, changes: Sequence[Change], at: int, versions: Mapping[str, int]) -> None:
    by = Counter[str]()
    for (audience, kind, cause), n in Counter((one[1], one[4], one[6]) for one in changes).items():
        by[audience] += n * _by(kind, cause)
    names = sorted({*by, *versions})
    told: dict[str, int] = dict(
        tx.read_in("SELECT audience, n_members FROM audience_standing WHERE audience IN {in}", names)
    )
    tx.executemany(
        "INSERT INTO audience_standing (audience, version, judged_at, n_members) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (audience) DO UPDATE SET judged_at = excluded.judged_at, n_members = excluded.n_members, "
        "version = CASE WHEN excluded.version = 0 THEN audience_standing.version ELSE excluded.version END",
        [(name, versions.get(name, 0), at, told.get(name, 0) + by[name]) for name in names],
    )
    tx.executemany(
        "INSERT INTO audience_day (audience, day, n_members) VALUES (?, ?, ?) "
        "ON CONFLICT (audience, day) DO UPDATE SET n_members = excluded.n_members",
        [(name, at // _DAY, told.get(name, 0) + by[name]) for name in names if by[name]],
    )


def _by(kind: str, cause: str) -> int:
    if kind == MOVE:
        return -1 if cause == JOINED else 0
    return 1 if kind == ENTER else -1


def write_judged(tx: Writing, judged: Judged) -> None:
    """Write how far everybody was judged."""
    tx.execute(
        "INSERT INTO judged (one, epoch, position, at, walk, cause, under) VALUES (1, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, position = excluded.position, at = excluded.at, "
        "walk = excluded.walk, cause = excluded.cause, under = excluded.under",
        judged,
    )
