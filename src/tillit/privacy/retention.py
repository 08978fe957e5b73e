"""Retention's own notes: how far the log was looked through, what was left there, when it was swept.

In:    positions of the log, hashes of purposes, an instant.
Out:   where the next sweep goes on.
Never: a value of anybody's: losing these notes costs one look through the whole log, and nothing else.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tillit.store import SqliteState


class LastSweep(NamedTuple):
    """The last sweep that came to its end."""

    swept_at: int  # UTC epoch microseconds
    n_events: int


class RetentionNotes:
    """Remembers where the next sweep goes on, under one policy and in one life of the log."""

    def __init__(self, store: SqliteState) -> None:
        """Use the journal's store."""
        self._store = store

    def mark(self, policy: str, span_us: int, epoch: int) -> int:
        """Say how far was looked for events of one time of keeping; 0: nowhere yet."""
        rows = self._store.read(
            "SELECT position FROM retention_mark WHERE policy = ? AND span_us = ? AND epoch = ?",
            (policy, span_us, epoch),
        )
        return int(rows[0][0]) if rows else 0

    def left(self, policy: str, epoch: int) -> list[int]:
        """Give the positions that were looked at and left."""
        rows = self._store.read(
            "SELECT position FROM retention_left WHERE EXISTS "
            "(SELECT 1 FROM retention_mark WHERE policy = ? AND epoch = ?) ORDER BY position",
            (policy, epoch),
        )
        return [position for (position,) in rows]

    def begin(self, policy: str, epoch: int) -> None:
        """Drop what was noted under other purposes, or before the log was restored: all is looked at anew."""
        with self._store.transaction() as tx:
            if not tx.read("SELECT 1 FROM retention_mark WHERE policy = ? AND epoch = ?", (policy, epoch)):
                tx.execute("DELETE FROM retention_left")
            tx.execute("DELETE FROM retention_mark WHERE policy <> ? OR epoch <> ?", (policy, epoch))

    def pass_over(self, policy: str, span_us: int, epoch: int, position: int, left: Sequence[int]) -> None:
        """Note that the log was looked through up to a position, and what was left on the way."""
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT INTO retention_mark VALUES (?, ?, ?, ?) "
                "ON CONFLICT (policy, span_us) DO UPDATE SET position = excluded.position",
                (policy, span_us, epoch, position),
            )
            tx.executemany("INSERT INTO retention_left VALUES (?) ON CONFLICT DO NOTHING", [(one,) for one in left])

    def drop(self, positions: Collection[int]) -> None:
        """Note that these are left no more."""
        with self._store.transaction() as tx:
            tx.executemany("DELETE FROM retention_left WHERE position = ?", [(one,) for one in sorted(positions)])

    def finish(self, policy: str, *, now: int, n_events: int) -> None:
        """Note that a sweep came to its end."""
        with self._store.transaction() as tx:
            tx.execute("DELETE FROM retention_sweep")
            tx.execute("INSERT INTO retention_sweep VALUES (?, ?, ?)", (policy, now, n_events))

    def last(self) -> LastSweep | None:
        """Give the last sweep; None: there was none."""
        rows = self._store.read("SELECT swept_at, n_events FROM retention_sweep")
        return LastSweep(*rows[0]) if rows else None
