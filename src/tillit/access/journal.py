"""The journal of reads: who asked for personal values, for what, and of whom.

In:    one note per answered request.
Out:   rows that are only added to.
Never: an identifier or a trait; profiles are named by their id.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

from tillit.store import SqliteState

_WRITE_EVERY_S = 0.25


class Read(NamedTuple):
    """One answered request for personal values."""

    at: int
    asked_by: str
    route: str
    purpose: str
    profile_id: str  # empty when more than one
    n_profiles: int


class Journal:
    """Notes reads; a thread writes them a few times a second, and `close` writes the rest."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Start the writing thread."""
        self._store = store
        self._now = now
        self._notes: list[Read] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillit-journal", daemon=True)
        self._thread.start()

    def note(self, *, asked_by: str, route: str, purpose: str, profile_id: str = "", n_profiles: int = 1) -> None:
        """Note that personal values were handed out."""
        self._notes.append(Read(self._now(), asked_by, route, purpose, profile_id, n_profiles))

    def reads(self, limit: int = 100) -> list[Read]:
        """Give the newest notes first."""
        self._write()
        rows = self._store.read(
            "SELECT at, asked_by, route, purpose, profile_id, n_profiles FROM access ORDER BY access_id DESC LIMIT ?",
            (limit,),
        )
        return [Read(*row) for row in rows]

    def _run(self) -> None:
        while not self._stop.wait(_WRITE_EVERY_S):
            self._write()

    def _write(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            with self._store.transaction() as tx:
                tx.executemany(
                    "INSERT INTO access (at, asked_by, route, purpose, profile_id, n_profiles) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    notes,
                )

    def close(self) -> None:
        """Write what is left and stop."""
        self._stop.set()
        self._thread.join()
        self._write()
