"""Instants and spans: how they are written, and where days, weeks and months begin in a time zone.

In:    text as people write it; an instant and a zone.
Out:   microseconds.
Never: the clock, or a zone of this machine.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.language.nodes import Calendar

_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d|w|y)")
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}
LONGEST = 100 * 366 * DAY
# What counts as an instant in a property or a trait: one spelling, so that every engine reads the same.
# Hours end at 23: readers differ on 24:00, also those of two Python versions, and on minutes beyond 59.
INSTANT = r"\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?"
_INSTANT = re.compile(INSTANT, re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_span(text: str) -> int | None:
    """Read a span of time; None when it is none. A year is 365 days.

    >>> read_span("90d") == 90 * DAY, read_span("36h") == 36 * HOUR, read_span("2 weeks"), read_span("0d")
    (True, True, None, 0)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    span = int(found[1]) * _UNITS[found[2]]
    return span if span <= LONGEST else None


def write_span(span: int) -> str:
    """Write a span as `read_span` reads it, in the largest unit that leaves nothing over.

    >>> write_span(90 * DAY), write_span(36 * HOUR), write_span(14 * DAY), write_span(0)
    ('90d', '36h', '2w', '0s')
    """
    for unit in ("y", "w", "d", "h", "m"):
        if span and span % _UNITS[unit] == 0:
            return f"{span // _UNITS[unit]}{unit}"
    return f"{span // SECOND}s"


def read_instant(text: str) -> int | None:
    """Read an instant; None when it is none. A day is its first instant in UTC; without a zone it is UTC.

    >>> read_instant("1970-01-02") == DAY, read_instant("1970-01-01T01:00+01:00"), read_instant("2 May 2026")
    (True, 0, None)
    """
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    span = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
    return _micros(span)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Say whether there is such a time zone."""
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def calendar_span(window: Calendar, at: int) -> tuple[int, int]:
    """Give the first instant of a calendar window at an instant, and the one after its last."""
    return _span(window, _day(window.zone, at))


def next_turn(zone: str, unit: str, at: int) -> int:
    """Give the instant at which the present day, week, month, quarter or year of a zone ends."""
    return _span(Calendar(unit, 0, 1, zone), _day(zone, at))[1]


def _day(zone: str, at: int) -> date:
    shown = _shown(zone, at)
    after = shown + timedelta(days=1)
    # A clock that is put back over midnight shows the day before again: the day that had begun goes on.
    return after if _first_instant(after, zone) <= at else shown


def _shown(zone: str, at: int) -> date:
    return (_EPOCH + timedelta(microseconds=at)).astimezone(_zone(zone)).date()


@lru_cache(maxsize=4_096)
def _span(window: Calendar, today: date) -> tuple[int, int]:
    begins = _shift(_begin(today, window.unit), window.unit, -window.back)
    return _first_instant(begins, window.zone), _first_instant(_shift(begins, window.unit, window.length), window.zone)


def _begin(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def _shift(day: date, unit: str, n: int) -> date:
    if unit in ("day", "week"):
        return day + timedelta(days=n * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + n * {"month": 1, "quarter": 3, "year": 12}[unit]
    return date(months // 12, months % 12 + 1, 1)


@lru_cache(maxsize=4_096)
def _first_instant(day: date, zone: str) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=_zone(zone))
    first, other = (_micros(midnight.replace(fold=fold).astimezone(UTC) - _EPOCH) for fold in (0, 1))
    # Of two midnights the first. Where there is none (clocks go forward over it), the two readings lie before and
    # behind the change, and the day begins with the change.
    while other < first:
        middle = (other + first) // 2
        if _shown(zone, middle) < day:
            other = middle + 1
        else:
            first = middle
    return first


def _micros(span: timedelta) -> int:
    return span.days * DAY + span.seconds * SECOND + span.microseconds
