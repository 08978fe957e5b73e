"""Reports: what was told of a delivery after it had left, each once.

In:    a delivery, what somebody says became of it.
Out:   rows of feedback.
Never: the recipient's own words: a kind and a code alone.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from tillit.store import SqliteState


class Report(NamedTuple):
    """What was told of one delivery. Grain: one per delivery, kind and code."""

    delivery_id: int
    kind: str  # bounced, delayed, delivered, complained, unsubscribed
    code: str
    at: int  # UTC epoch microseconds


class Reports:
    """What was told later of the deliveries of one workspace."""

    def __init__(self, store: SqliteState) -> None:
        """Use the deliveries' store."""
        self._store = store

    def has(self, report: Report) -> bool:
        """Say whether the same was told before."""
        return bool(self._store.read("SELECT 1 FROM feedback WHERE feedback_hash = ?", (_hash(report),)))

    def add(self, report: Report) -> None:
        """Keep it, once."""
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT INTO feedback (feedback_hash, delivery_id, kind, code, at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (_hash(report), *report),
            )

    def list_of(self, delivery_ids: Sequence[int]) -> list[Report]:
        """Give what was told of deliveries, oldest first."""
        rows = self._store.read_in(
            "SELECT delivery_id, kind, code, at FROM feedback WHERE delivery_id IN {in}", delivery_ids
        )
        return sorted((Report(*row) for row in rows), key=lambda one: one.at)


def _hash(report: Report) -> bytes:
    told = f"{report.delivery_id}\0{report.kind}\0{report.code}"
    return blake2b(told.encode(), digest_size=16).digest()
