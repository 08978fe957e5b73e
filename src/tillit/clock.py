"""The one place that reads the clock.

In:    nothing, or an instant as text.
Out:   UTC epoch microseconds, and their RFC 3339 text.
Never: local time.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Say what time it is: UTC epoch microseconds."""
    return time.time_ns() // 1000


def monotonic_s() -> float:
    """Give a clock that never goes back, in seconds, for measuring spans."""
    return time.monotonic()


@lru_cache(maxsize=8_192)
def rfc3339(at: int) -> str:
    """Write an instant as RFC 3339 UTC with as many decimals as it needs (none, 3 or 6).

    What was written is kept for a while: a profile names few instants and days, each many times.

    >>> rfc3339(0), rfc3339(1_500_000), rfc3339(1)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500Z', '1970-01-01T00:00:00.000001Z')
    """
    day, within = divmod(at, DAY)
    whole, micro = divmod(within, SECOND)
    head = f"{_date(day)}T{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    if micro == 0:
        return head + "Z"
    if micro % 1000 == 0:
        return f"{head}.{micro // 1000:03d}Z"
    return f"{head}.{micro:06d}Z"


def instant(text: str) -> int | None:
    """Read an ISO 8601 instant: UTC epoch microseconds, or None. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        span = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return span.days * DAY + span.seconds * SECOND + span.microseconds


@lru_cache(maxsize=4_096)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()
