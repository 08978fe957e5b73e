"""What could not be taken: reading it, trying it again, mending it.

In:    quarantined events; what somebody wrote in the place of one.
Out:   rows in the log, and the note that they were taken.
Never: bytes that are changed: a mended event goes beside what came.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tillit.collect.door import Refuses
from tillit.collect.limits import Limits
from tillit.collect.quarantine import (
    Quarantined,
    count_by_code,
    count_since,
    expire,
    find_quarantined,
    list_groups,
    list_quarantined,
    list_waiting,
    note_replayed,
    retry,
    retry_mended,
)
from tillit.errors import NotFound
from tillit.records import NewRow
from tillit.store import Log

_PART = 500  # events judged and taken together

Append = Callable[[Sequence[NewRow]], tuple[int, int]]


class Replayed(NamedTuple):
    """What a second try came to."""

    n_replayed: int
    n_refused: int
    next: int | None = None  # of many: where the next part begins; None at the end


class Quarantine:
    """What could not be taken."""

    def __init__(
        self, log: Log, *, limits: Callable[[], Limits], append: Append, erased: Callable[[], Refuses | None]
    ) -> None:
        """Know the log, and the way into it; `erased` gives what refuses events of people who were erased."""
        self._store = log.tables()
        self._limits = limits
        self._append = append
        self._erased = erased

    def rows(
        self, *, limit: int = 100, before: int | None = None, code: str | None = None, source: str | None = None
    ) -> list[Quarantined]:
        """Give quarantined events, newest first."""
        return list_quarantined(self._store, limit=limit, before=before, code=code, source=source)

    def find(self, quarantine_id: int) -> Quarantined | None:
        """Give one quarantined event."""
        return find_quarantined(self._store, quarantine_id)

    def counts(self) -> dict[str, int]:
        """Say how many wait, by code."""
        return count_by_code(self._store)

    def count(self) -> int:
        """Say how many wait."""
        return sum(self.counts().values())

    def replay(self, ids: Iterable[int] | None = None) -> Replayed:
        """Judge events again under today's rules; all that wait when none is named."""
        parts = self._waiting() if ids is None else ([self._get(one)] for one in ids)
        done = [self._judge(part) for part in parts]
        return Replayed(sum(one.n_replayed for one in done), sum(one.n_refused for one in done))

    def replay_part(
        self, *, limit: int, before: int | None = None, code: str | None = None, source: str | None = None
    ) -> Replayed:
        """Judge one part of those that wait again, newest first; `next` says where to go on."""
        waiting = list_waiting(self._store, limit=limit, before=before, code=code, source=source)
        more = waiting[-1].quarantine_id if len(waiting) == limit else None
        return self._judge(waiting)._replace(next=more)

    def mend(self, quarantine_id: int, mended: bytes) -> str | None:
        """Take what was written in the place of one event; None when it was taken, else why it is still refused.

        The bytes that came stay in quarantine; the mended event has the same message id, so both together count once.
        Raises: NotFound, AlreadyReplayed, MendedOtherId.
        """
        taken = retry_mended(self._get(quarantine_id), mended, limits=self._limits(), refuses=self._erased())
        if not taken.rows:
            return taken.quarantine[0].reason if taken.quarantine else "There is no event in it."
        first, _ = self._append(taken.rows)
        note_replayed(self._store, [(quarantine_id, first)])
        return None

    def groups(self) -> list[tuple[str, str, int, int]]:
        """Give (code, source, how many wait, when the newest came)."""
        return list_groups(self._store)

    def count_since(self, at: int) -> int:
        """Say how many were turned away since an instant."""
        return count_since(self._store, at)

    def expire(self, before: int) -> int:
        """Let go of what arrived before an instant; say how many."""
        n_gone = expire(self._store, before=before)
        if n_gone:
            self._store.scrub()
        return n_gone

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def _get(self, quarantine_id: int) -> Quarantined:
        found = self.find(quarantine_id)
        if found is None:
            raise NotFound(f"There is no quarantined event {quarantine_id}.", code="collect.unknown-quarantine")
        return found

    def _waiting(self) -> Iterator[list[Quarantined]]:
        before: int | None = None
        while part := list_waiting(self._store, limit=_PART, before=before):
            before = part[-1].quarantine_id
            yield part

    def _judge(self, part: Iterable[Quarantined]) -> Replayed:
        """Judge events again that were not replayed, and put what is taken into the log in one commit."""
        refuses = self._erased()
        judged = [
            (kept, retry(kept, limits=self._limits(), refuses=refuses))
            for kept in part
            if kept.replayed_position is None
        ]
        good = [(kept.quarantine_id, taken.rows[0]) for kept, taken in judged if taken.rows]
        if good:
            first, _ = self._append([row for _, row in good])
            note_replayed(self._store, [(number, first + i) for i, (number, _) in enumerate(good)])
        return Replayed(len(good), len(judged) - len(good))
