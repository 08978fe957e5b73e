"""Standings: how each destination is: well, paused, resting after failures.

In:    answers of destinations; colleagues who pause and resume.
Out:   whether anything may be sent there now.
Never: one destination's trouble at another.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN, Answer
from tillit.store import SqliteState, Writing

_SECOND = 1_000_000
_FIRST_REST_S, _LONGEST_REST_S = 2.0, 300.0  # taste
_MOST_FAILED = 5  # in a row, before a destination rests; taste


class Standing(NamedTuple):
    """How a destination is."""

    destination: str
    paused_at: int | None
    paused_by: str
    pause_code: str
    resting_until: int
    n_failed: int
    delivered_at: int | None
    failed_at: int | None
    fail_code: str


_STANDING_COLUMNS = ", ".join(Standing._fields)


class Standings:
    """How the destinations of one workspace are."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Use the deliveries' store."""
        self.store = store
        self._now = now

    def of(self, destination: str) -> Standing:
        """Say how a destination is."""
        rows = self.store.read(
            f"SELECT {_STANDING_COLUMNS} FROM destination_standing WHERE destination = ?", (destination,)
        )
        return Standing(*rows[0]) if rows else Standing(destination, None, "", "", 0, 0, None, None, "")

    def pause(self, destination: str, *, by: str, code: str) -> None:
        """Hold everything for a destination."""
        with self.store.transaction() as tx:
            _pause(tx, destination, by, code, self._now())

    def resume(self, destination: str) -> None:
        """Let a destination go on, at once."""
        with self.store.transaction() as tx:
            tx.execute(
                "UPDATE destination_standing SET paused_at = NULL, paused_by = '', pause_code = '', resting_until = 0, "
                "n_failed = 0 WHERE destination = ?",
                (destination,),
            )


def note_answers(tx: Writing, destination: str, answers: Sequence[Answer], now: int) -> None:
    """Keep what a destination answered: how it is follows from that."""
    tx.execute(
        "INSERT INTO destination_standing (destination, paused_at, paused_by, pause_code, resting_until, n_failed, "
        "delivered_at, failed_at, fail_code) VALUES (?, NULL, '', '', 0, 0, NULL, NULL, '') ON CONFLICT DO NOTHING",
        (destination,),
    )
    halted = next((one for one in answers if one.outcome == HALTED), None)
    if halted is not None:
        _pause(tx, destination, "courier", halted.code, now)
    if any(one.outcome in (DELIVERED, REFUSED) for one in answers):
        tx.execute(
            "UPDATE destination_standing SET n_failed = 0, resting_until = 0, delivered_at = ? WHERE destination = ?",
            (now, destination),
        )
    failed = [one for one in answers if one.outcome in (LATER, UNKNOWN)]
    if failed:
        tx.execute(
            "UPDATE destination_standing SET n_failed = n_failed + ?, failed_at = ?, fail_code = ? "
            "WHERE destination = ?",
            (len(failed), now, failed[-1].code, destination),
        )
        if len(failed) == len(answers):
            (n,) = tx.read("SELECT n_failed FROM destination_standing WHERE destination = ?", (destination,))[0]
            if n >= _MOST_FAILED:
                asked = max((one.retry_after_s or 0.0) for one in failed)
                rest = max(asked, min(_FIRST_REST_S * 2 ** min(n // _MOST_FAILED, 8), _LONGEST_REST_S))
                tx.execute(
                    "UPDATE destination_standing SET resting_until = ? WHERE destination = ?",
                    (now + int(rest * _SECOND), destination),
                )


def _pause(tx: Writing, destination: str, by: str, code: str, now: int) -> None:
    tx.execute(
        "INSERT INTO destination_standing (destination, paused_at, paused_by, pause_code, resting_until, n_failed, "
        "delivered_at, failed_at, fail_code) VALUES (?, ?, ?, ?, 0, 0, NULL, NULL, '') ON CONFLICT (destination) "
        "DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by, "
        "pause_code = excluded.pause_code",
        (destination, now, by, code),
    )
