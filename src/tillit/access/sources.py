"""Sources: who sends, with how many keys, and how busy each has been lately.

In:    the keys of the registry, the end of the log.
Out:   one `SourceActivity` per source.
Never: a walk through the whole log. Counting goes on where it stopped; when too much is new, the oldest of it is left
       out and the answer says from when on it is complete.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

from tillit.access.keys import Keys
from tillit.clock import DAY, HOUR, MINUTE
from tillit.records import KIND_EVENT
from tillit.store import Log

# Rows looked at in one call: about 0.3 s from a warm disk (measured), so the caller uses a thread.
_MOST_ROWS = 200_000
_BLOCK_ROWS = 5_000  # between blocks other readers of the log get their turn


class SourceActivity(NamedTuple):
    """One source: its keys and how busy it is. Grain: one per source that has a key or sent something lately."""

    source: str
    n_keys: int
    n_living_keys: int
    last_received_at: int | None  # None: not in the part of the log that was counted
    n_last_hour: int
    n_last_day: int


class Activity(NamedTuple):
    """All sources, and from when on their counts are complete."""

    sources: list[SourceActivity]
    counted_from: int | None  # UTC epoch microseconds; None: the log holds nothing of the last day


class Sources:
    """The sources of one workspace, with counts by minute that grow as they are asked for."""

    def __init__(self, log: Log, keys: Keys, *, now: Callable[[], int]) -> None:
        """Count nothing yet."""
        self._log = log
        self._keys = keys
        self._now = now
        self._lock = threading.Lock()
        self._position = 0
        self._counted_from: int | None = None
        self._minutes: dict[str, dict[int, int]] = {}
        self._last: dict[str, int] = {}

    def activity(self) -> Activity:
        """Say how busy each source is. Cost: the log's rows since the last call, at most 200,000 of them."""
        with self._lock:
            now = self._now()
            self._count(now)
            return Activity(self._told(now), self._counted_from)

    def _count(self, now: int) -> None:
        head = self._log.head()
        start = max(self._position, self._log.position_before(now - DAY), head - _MOST_ROWS)
        if start > self._position:
            # A gap: what was counted before it would be added to what comes after it.
            self._minutes.clear()
            self._counted_from = None
        position = start
        while position < head:
            block = self._log.arrivals(position, min(_BLOCK_ROWS, head - position))
            if not block:
                break
            position = block[-1][0]
            for _, kind, source, received_at in block:
                if self._counted_from is None:
                    self._counted_from = received_at
                if kind == KIND_EVENT:
                    minutes = self._minutes.setdefault(source, {})
                    minute = received_at // MINUTE
                    minutes[minute] = minutes.get(minute, 0) + 1
                    self._last[source] = max(received_at, self._last.get(source, received_at))
        self._position = max(position, start)
        oldest = (now - DAY) // MINUTE
        for source, minutes in self._minutes.items():
            self._minutes[source] = {minute: n for minute, n in minutes.items() if minute >= oldest}

    def _told(self, now: int) -> list[SourceActivity]:
        keys = self._keys.list_all()
        told = []
        for source in sorted({key.source for key in keys} | set(self._last)):
            minutes = self._minutes.get(source, {})
            hour = (now - HOUR) // MINUTE
            own = [key for key in keys if key.source == source]
            told.append(
                SourceActivity(
                    source,
                    len(own),
                    sum(key.lives_at(now) for key in own),
                    self._last.get(source),
                    sum(n for minute, n in minutes.items() if minute >= hour),
                    sum(minutes.values()),
                )
            )
        return told
