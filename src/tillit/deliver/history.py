"""History: deliveries and their tries, to be looked at.

In:    deliveries.db.
Out:   deliveries, attempts, counts.
Never: a change.
"""

from collections.abc import Sequence
from typing import Any

from tillit.deliver.deliveries import ATTEMPT_COLUMNS, COLUMNS, WAITING, Attempt, Delivery, delivery_of
from tillit.store import SqliteState


class History:
    """The deliveries of one workspace, to be looked at."""

    def __init__(self, store: SqliteState) -> None:
        """Use the deliveries' store."""
        self.store = store

    def get_many(self, ids: Sequence[int]) -> list[Delivery]:
        """Give deliveries by their ids."""
        rows = self.store.read_in(f"SELECT {COLUMNS} FROM delivery WHERE delivery_id IN {{in}}", ids)
        return [delivery_of(row) for row in rows]

    def find_by_key(self, key: bytes) -> Delivery | None:
        """Find a delivery by its key."""
        rows = self.store.read(f"SELECT {COLUMNS} FROM delivery WHERE delivery_key = ?", (key,))
        return delivery_of(rows[0]) if rows else None

    def find_by_reference(self, destination: str, reference: str) -> Delivery | None:
        """Find a delivery by what its recipient calls it."""
        rows = self.store.read(
            "SELECT a.delivery_id FROM attempt a JOIN delivery d ON d.delivery_id = a.delivery_id "
            "WHERE a.reference = ? AND a.reference <> '' AND d.destination = ?",
            (reference, destination),
        )
        return next(iter(self.get_many([i for (i,) in rows])), None)

    def find_by_position(self, position: int) -> list[Delivery]:
        """Give what came of one log row."""
        rows = self.store.read(f"SELECT {COLUMNS} FROM delivery WHERE position = ? ORDER BY delivery_id", (position,))
        return [delivery_of(row) for row in rows]

    def list_newest(
        self,
        *,
        destination: str = "",
        template: str = "",
        states: Sequence[str] = (),
        kind: str = "",
        subjects: Sequence[str] = (),
        code: str = "",
        is_doubtful: bool = False,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """Give deliveries, newest first; `is_doubtful`: those that nobody knows the outcome of, or that left twice."""
        wheres, params = ["delivery_id < ?"], list[Any]([(1 << 62) if before is None else before])
        for column, values in (
            ("destination", (destination,) if destination else ()),
            ("template", (template,) if template else ()),
            ("state", tuple(states)),
            ("kind", (kind,) if kind else ()),
            ("subject_ref", tuple(subjects)),
            ("code", (code,) if code else ()),
        ):
            if values:
                wheres.append(f"{column} IN ({', '.join('?' * len(values))})")
                params += values
        if is_doubtful:
            wheres.append("(state = 'unknown' OR is_again = 1)")
        rows = self.store.read(
            f"SELECT {COLUMNS} FROM delivery WHERE {' AND '.join(wheres)} ORDER BY delivery_id DESC LIMIT ?",
            (*params, limit),
        )
        return [delivery_of(row) for row in rows]

    def attempts(self, delivery_ids: Sequence[int]) -> list[Attempt]:
        """Give the attempts of deliveries, in order."""
        rows = self.store.read_in(f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id IN {{in}}", delivery_ids)
        return sorted((Attempt(*row) for row in rows), key=lambda one: one[:2])

    def find_last_left(self, delivery_id: int) -> Attempt | None:
        """Give the last attempt of a delivery that went to the wire and came back."""
        rows = self.store.read(
            f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id = ? AND outcome NOT IN ('', 'stopped') "
            "ORDER BY attempt DESC LIMIT 1",
            (delivery_id,),
        )
        return Attempt(*rows[0]) if rows else None

    def counts(self, destination: str) -> dict[str, int]:
        """Count a destination's deliveries by state."""
        return {
            str(state): int(n)
            for state, n in self.store.read(
                "SELECT state, count(*) FROM delivery WHERE destination = ? GROUP BY state", (destination,)
            )
        }

    def failures(self, destination: str) -> list[tuple[str, str, int]]:
        """Count what did not arrive, by state and reason, the most first."""
        rows = self.store.read(
            "SELECT state, code, count(*) FROM delivery WHERE destination = ? "
            "AND (state IN ('refused', 'dead', 'unknown', 'withheld') OR (state = 'waiting' AND code <> '')) "
            "GROUP BY state, code ORDER BY 3 DESC",
            (destination,),
        )
        return [(str(s), str(c), int(n)) for s, c, n in rows]

    def counts_by_minute(self, destination: str, *, since: int) -> list[tuple[int, str, int]]:
        """Count what ended since an instant: (minute as UTC epoch microseconds, state, count), oldest first."""
        rows = self.store.read(
            "SELECT ended_at / 60000000, state, count(*) FROM delivery WHERE destination = ? AND ended_at >= ? "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            (destination, since),
        )
        return [(int(minute) * 60_000_000, str(state), int(n)) for minute, state, n in rows]

    def count_waiting(self, *, destination: str = "", template: str = "") -> int:
        """Count what waits to leave."""
        rows = self.store.read(
            "SELECT count(*) FROM delivery WHERE state = ? AND (? = '' OR destination = ?) "
            "AND (? = '' OR template = ?)",
            (WAITING, destination, destination, template, template),
        )
        return int(rows[0][0])

    def count_doubtful(self) -> int:
        """Count messages that nobody knows the outcome of."""
        return int(self.store.read("SELECT count(*) FROM delivery WHERE kind = 'message' AND state = 'unknown'")[0][0])
