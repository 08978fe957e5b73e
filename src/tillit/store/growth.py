"""Growth: how fast a workspace fills its disk.

In:    the log, and the bytes that all stores take now.
Out:   bytes a day.
Never: a number from a few rows or a few seconds.
"""

from tillit.clock import DAY, SECOND
from tillit.store.log import Log

_LOOK_BACK_DAYS = 7
_FEWEST_ROWS = 100


def bytes_per_day(log: Log, used_bytes: int, *, now: int) -> float | None:
    """Forecast growth from the last days: bytes that a row takes in all stores, times rows a day; None: too early.

    Units: now is UTC epoch microseconds.
    """
    head = log.head()
    if head < _FEWEST_ROWS:
        return None
    since = now - _LOOK_BACK_DAYS * DAY
    before = log.position_before(since)
    oldest = log.arrivals(log.first_position() - 1, 1)
    span_us = now - max(since, oldest[0][3] if oldest else since)
    if span_us < 60 * SECOND:
        return None
    rows_per_day = (head - before) * DAY / span_us
    return rows_per_day * used_bytes / head
