"""Break-glass: when a colleague looked at somebody without leave, until when, and why.

In:    who opens whose data, in which session, with a reason.
Out:   what is open in a session now; what was ever opened of somebody, and lately.
Never: an opening without a reason or an end, of more than one person at a time, or for anybody but the session.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from tillit.clock import MINUTE
from tillit.errors import InputError
from tillit.store import SqliteState

OPEN_US = 15 * MINUTE  # taste: long enough to help in an emergency, short enough to be asked for again
_SHORTEST, _LONGEST = 10, 500  # characters of a reason


class Opening(NamedTuple):
    """One time that somebody was looked at without leave."""

    opening_id: str
    at: int
    until: int  # when it ends, or was ended
    operator_id: str
    session_id: str
    profile_id: str  # of that moment
    reason: str  # empty: the person was erased, and it went with them
    person: str  # a hash of every id that was theirs then

    def is_of(self, subjects: Iterable[str]) -> bool:
        """Say whether a person is who they were when they were opened, by every id of theirs."""
        return _hash(subjects) == self.person


class ReasonMissing(InputError):
    """Somebody's data was to be opened without saying why."""

    code = "access.reason-missing"

    def __init__(self) -> None:
        """Say how long it must be."""
        super().__init__(
            f"Nothing was opened: say in {_SHORTEST} to {_LONGEST} characters why it cannot wait for leave.",
            field="reason",
        )


class Openings:
    """What was opened without leave."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Use the journal's store."""
        self._store = store
        self._now = now

    def plan(
        self, *, operator_id: str, session_id: str, profile_id: str, subjects: Iterable[str], reason: str
    ) -> Opening:
        """Give the opening that `begin` would write: it is noted elsewhere first. Raises ReasonMissing.

        `subjects` are all ids of the person.
        """
        told = reason.strip()
        if not _SHORTEST <= len(told) <= _LONGEST:
            raise ReasonMissing
        now = self._now()
        opening_id, person = "g_" + secrets.token_hex(6), _hash(subjects)
        return Opening(opening_id, now, now + OPEN_US, operator_id, session_id, profile_id, told, person)

    def begin(self, opening: Opening) -> None:
        """Open; what was open in the session before is closed."""
        with self._store.transaction() as tx:
            tx.execute(
                "UPDATE break_glass SET until = ? WHERE session_id = ? AND until > ?",
                (opening.at, opening.session_id, opening.at),
            )
            tx.execute("INSERT INTO break_glass VALUES (?, ?, ?, ?, ?, ?, ?, ?)", opening)

    def find_open(self, session_id: str) -> Opening | None:
        """Give what is open in a session now."""
        rows = self._store.read(f"{_SELECT} WHERE session_id = ? AND until > ?", (session_id, self._now()))
        return Opening(*rows[0]) if rows else None

    def close(self, session_id: str) -> Opening | None:
        """Close what is open in a session; give what it was, or None."""
        found = self.find_open(session_id)
        if found is None:
            return None
        now = self._now()
        with self._store.transaction() as tx:
            tx.execute("UPDATE break_glass SET until = ? WHERE opening_id = ?", (now, found.opening_id))
        return found._replace(until=now)

    def list_of(self, profile_ids: Sequence[str]) -> list[Opening]:
        """Give every opening of a person, by all ids of theirs, newest first."""
        rows = self._store.read_in(f"{_SELECT} WHERE profile_id IN {{in}}", list(profile_ids))
        return sorted((Opening(*row) for row in rows), key=lambda one: (-one.at, one.opening_id))

    def list_since(self, since: int) -> list[Opening]:
        """Give every opening since an instant, newest first."""
        rows = self._store.read(f"{_SELECT} WHERE at >= ? ORDER BY at DESC, opening_id", (since,))
        return [Opening(*row) for row in rows]

    def list_by(self, opening_ids: Sequence[str]) -> list[Opening]:
        """Give openings by their ids, in no order."""
        return [Opening(*row) for row in self._store.read_in(f"{_SELECT} WHERE opening_id IN {{in}}", opening_ids)]

    def forget(self, profile_ids: Sequence[str]) -> None:
        """Delete why a person was looked at, so that no byte of it stays, and end the looking; that it was stays."""
        now = self._now()
        with self._store.transaction() as tx:
            tx.executemany(
                "UPDATE break_glass SET reason = '', person = '', until = min(until, ?) WHERE profile_id = ?",
                [(now, one) for one in profile_ids],
            )
        self._store.scrub()


def _hash(subjects: Iterable[str]) -> str:
    return sha256(" ".join(sorted(subjects)).encode()).hexdigest()


_SELECT = "SELECT opening_id, at, until, operator_id, session_id, profile_id, reason, person FROM break_glass"
