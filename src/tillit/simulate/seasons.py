"""When people come: weeks, hours by their own clock, and the weeks before Christmas.

In:    the days of a history, a time zone, chance.
Out:   instants.
Never: a customer awake by the server's clock.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

from tillit.clock import DAY, HOUR, SECOND

NEVER = 1 << 62  # later than any instant
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Chosen, not measured. Monday first: Sundays are long, Fridays are for other things.
_WEEK = (1.0, 0.95, 0.95, 1.05, 0.9, 1.15, 1.3)
# Hours of the day, by how many visits begin in them: quiet nights, a lunch, a long evening.
_HOURS = tuple(accumulate((1, 1, 1, 1, 1, 2, 4, 7, 8, 8, 9, 10, 12, 10, 8, 8, 9, 11, 14, 17, 18, 15, 9, 4)))
# A shop's tills are open from 9 to 19.
_OPEN_HOURS = tuple(accumulate((4, 5, 6, 8, 6, 5, 6, 9, 8, 4)))


def day_weight(at: int) -> float:
    """Say how busy a day is beside a plain one: weekday times season."""
    day = (_EPOCH + timedelta(microseconds=at)).date()
    weight = _WEEK[day.weekday()]
    if day.month == 12 and day.day <= 23:
        weight *= 1.6 + day.day / 20  # up to 2.75 on the last day that parcels arrive in time
    elif (day.month == 12) or (day.month == 11 and day.day >= 22):
        weight *= 1.4
    elif day.month in {1, 7}:
        weight *= 0.8
    return weight


class Calendar:
    """The days of one history. Units: UTC epoch microseconds."""

    def __init__(self, begin: int, end: int) -> None:
        """Weigh the days from `begin` to `end`."""
        self.begin, self.end = begin, end
        n_days = max(1, (end - begin) // DAY)
        self._upto = (0.0, *accumulate(day_weight(begin + day * DAY) for day in range(n_days)))

    def pick(self, rng: Random, after: int, zone: str, *, in_shop: bool = False) -> int:
        """Give an instant after another: a day by its weight, an hour by the person's clock."""
        upto = self._upto
        first = upto[min(max(0, (after - self.begin) // DAY), len(upto) - 2)]
        day = bisect_right(upto, first + rng.random() * (upto[-1] - first)) - 1
        at = self.moment(rng, self.begin + day * DAY, zone, in_shop=in_shop)
        return at if at > after else after + int(rng.random() * DAY)

    def moment(self, rng: Random, at: int, zone: str, *, in_shop: bool = False) -> int:
        """Give an instant on the day of another, at an hour when people are up where the clock shows this zone."""
        hours = _OPEN_HOURS if in_shop else _HOURS
        hour = bisect_right(hours, rng.random() * hours[-1]) + (9 if in_shop else 0)
        day = at // DAY
        return day * DAY + hour * HOUR + int(rng.random() * 3_600) * SECOND - offset_of(zone, day)


@lru_cache(maxsize=16_384)
def offset_of(zone: str, day: int) -> int:
    """Give how far a zone is ahead of UTC at noon of a day since 1970, in microseconds."""
    offset = (_EPOCH + timedelta(days=day, hours=12)).astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)
