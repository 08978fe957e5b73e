"""Accesses on their way into the ledger: a read does not wait for the disk.

In:    the people that one look showed.
Out:   entries of the ledger, one for each of them, a few times a second.
Never: more notes in memory than can be lost with a good conscience; a broken glass that is not on disk.
"""

import threading
from collections.abc import Callable, Sequence

from tillit.errors import BusyError, TillitError
from tillit.ledger.entries import Access, encode_entry
from tillit.ledger.ledger import Ledger

_WRITE_EVERY_S = 0.25
_MOST_WAITING = 100_000  # half a minute of the busiest reader; after that nobody reads until the disk writes again
_ONCE_EVERY_US = 3_600_000_000  # taste: whoever watches all day is in a person's list once an hour
_MOST_REMEMBERED = 100_000  # who was shown to whom; 30 MB. Whoever falls out is noted again
_MOST_AT_ONCE = 2_000  # entries in one transaction: the journal is locked for some 20 ms


class AccessesBehind(BusyError):
    """Accesses cannot be written down, so nobody may look."""

    code = "ledger.behind"

    def __init__(self, n_waiting: int) -> None:
        """Say how many wait."""
        super().__init__(
            f"{n_waiting} accesses wait to be written to the ledger in journal.db, and it takes none. "
            "Nobody reads personal values until it does: check the disk.",
            n_waiting=n_waiting,
        )


class Accesses:
    """Notes accesses; a thread writes them a few times a second, and `close` writes the rest."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        now: Callable[[], int],
        every_s: float = _WRITE_EVERY_S,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """Start the writing thread."""
        self._ledger = ledger
        self._now = now
        self._every_s = every_s
        self._most_waiting = most_waiting
        self._notes: list[Access] = []
        self._shown: dict[tuple[str, str, str, str], int] = {}  # (actor, route, purpose, subject) -> when, oldest first
        self._lock = threading.Lock()  # of the notes
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillit-ledger", daemon=True)
        self._thread.start()

    def note(
        self,
        subjects: Sequence[str],
        *,
        actor_id: str,
        role: str,
        route: str,
        purpose: str,
        break_glass: bool = False,
        reason_ref: str = "",
        reason: str = "",
    ) -> None:
        """Note that somebody looked at these people. A broken glass is on disk when this returns.

        Raises: BadEntry; AccessesBehind when too many wait already: then the answer must not be given.
        """
        at = self._now()
        notes = [
            Access(
                subject_ref=subject,
                actor_id=actor_id,
                role=role,
                route=route,
                purpose=purpose,
                break_glass=break_glass,
                reason_ref=reason_ref,
                reason=reason,
                n_profiles=len(subjects),
                at=at,
            )
            for subject in subjects
        ]
        for one in notes:
            encode_entry(one)  # whoever notes nonsense is told, and the thread need not fear it
        with self._lock:
            if len(self._notes) + len(notes) > self._most_waiting:
                raise AccessesBehind(len(self._notes))
            self._notes += notes
        if break_glass:
            self.flush()

    def note_flow(self, subjects: Sequence[str], *, actor_id: str, role: str, route: str, purpose: str) -> None:
        """Note who was shown in what flows by: of each person the first time in an hour, for one viewer and purpose.

        Raises: as `note` does.
        """
        since = self._now() - _ONCE_EVERY_US
        with self._lock:
            fresh = [one for one in subjects if self._shown.get((actor_id, route, purpose, one), since) <= since]
        if not fresh:
            return
        self.note(fresh, actor_id=actor_id, role=role, route=route, purpose=purpose)
        with self._lock:
            for one in fresh:
                # Taken out first, so that the order is that of time.
                self._shown.pop((actor_id, route, purpose, one), None)
                self._shown[actor_id, route, purpose, one] = since + _ONCE_EVERY_US
            while len(self._shown) > _MOST_REMEMBERED:
                del self._shown[next(iter(self._shown))]

    def flush(self) -> None:
        """Write what waits; it is on disk when this returns. What cannot be written goes on waiting."""
        with self._writing:
            while True:
                with self._lock:
                    some = self._notes[:_MOST_AT_ONCE]
                if not some:
                    return
                self._ledger.append(some)
                # Only now: a failure must not lose them. Others may have added at the end meanwhile.
                with self._lock:
                    del self._notes[: len(some)]

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.flush()
            except TillitError:
                # They wait on; when too many do, `note` says so to whoever would read.
                continue

    def close(self) -> None:
        """Write what is left and stop."""
        self._stop.set()
        self._thread.join()
        self.flush()
