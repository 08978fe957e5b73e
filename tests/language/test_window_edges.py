"""Windows begin and end where they say: to the second, over changes of clocks, leap days and long years.

Each edge is asked of the live evaluator, and the slow reading must say the same.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.audience_model import Event, Person, calendar, day_begins, drawn, is_member
from tests.language.asking import Definitions, Kept, record
from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.language import live
from tillit.language.instants import calendar_span, next_turn, read_instant
from tillit.language.nodes import Calendar
from tillit.language.values import NEVER

BOUGHT = "Order Completed"
TOTAL = {"of": "total", "greater": 0}


def at(text: str) -> int:
    found = read_instant(text)
    assert found is not None
    return found


def somebody(*times: str | int, name: str = BOUGHT, **more: Any) -> Person:
    """Make somebody who did one thing at some instants, each heard of at once."""
    instants = sorted(at(one) if isinstance(one, str) else one for one in times)
    return Person("p_1", tuple(Event(one, n, "track", name, {}, one) for n, one in enumerate(instants, 1)), **more)


def ask(definition: Any, person: Person, when: int) -> tuple[bool, int]:
    """Ask the live evaluator, which must say what the slow reading says."""
    definitions = Definitions(definition, person)
    known = [event for event in person.events if event.logged_at <= when]
    documents = record(definitions, [(n % 2, [event]) for n, event in enumerate(known)])
    holds, until = live.compile_condition(definitions.node)(Kept(definitions, person, documents), when)
    assert holds == is_member(definition, person._replace(events=tuple(known)), when)
    return holds, until


def test_a_rolling_window_ends_to_the_microsecond() -> None:
    bought = at("2026-05-04T10:00:00Z")
    person = somebody(bought)
    lately = {"event": BOUGHT, "within": "90s"}

    assert ask(lately, person, bought) == (True, bought + 90 * SECOND)
    assert ask(lately, person, bought + 90 * SECOND - 1) == (True, bought + 90 * SECOND)
    assert ask(lately, person, bought + 90 * SECOND) == (False, NEVER)


def test_absence_begins_to_the_microsecond() -> None:
    bought = at("2026-05-04T10:00:00Z")
    person = somebody(bought)
    lapsing = {"stopped": {"event": BOUGHT, "quiet": "30d", "active": "60d"}}

    assert ask(lapsing, person, bought + 30 * DAY - 1) == (False, bought + 30 * DAY)
    assert ask(lapsing, person, bought + 30 * DAY) == (True, bought + 90 * DAY)
    assert ask(lapsing, person, bought + 90 * DAY) == (False, NEVER)


def test_an_event_that_is_dated_ahead_counts_from_then_on() -> None:
    now, later = at("2026-05-04T10:00:00Z"), at("2026-05-05T10:00:00Z")
    ahead = Event(later, 1, "track", BOUGHT, {}, now)
    person = Person("p_1", (ahead,))
    ever = {"event": BOUGHT}

    assert ask(ever, person, now) == (False, later)
    assert ask(ever, person, later) == (True, NEVER)


def test_a_rolling_day_is_24_hours_also_when_clocks_change() -> None:
    # In Stockholm 2026-03-29 has 23 hours; a rolling window does not know.
    bought = at("2026-03-28T23:30:00Z")
    person = somebody(bought)

    assert ask({"event": BOUGHT, "within": "1d"}, person, bought + DAY - 1)[0]
    assert not ask({"event": BOUGHT, "within": "1d"}, person, bought + DAY)[0]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Stockholm", "2026-03-29", 23),
        ("Europe/Stockholm", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/Santiago", "2026-09-06", 23),  # has no midnight: 24:00 becomes 01:00
        ("America/Santiago", "2026-04-04", 25),
        ("Africa/Cairo", "2026-04-24", 23),  # has no midnight
        ("Asia/Kolkata", "2026-03-29", 24),
        ("UTC", "2024-02-29", 24),
    ],
)
def test_a_calendar_day_is_as_long_as_its_clock_says(zone: str, day: str, hours: int) -> None:
    first = day_begins(zone, date.fromisoformat(day))
    today = {"event": BOUGHT, "calendar": {"unit": "day", "zone": zone}}

    for bought in (first, first + hours * HOUR - 1):
        assert ask(today, somebody(bought), bought) == (True, first + hours * HOUR)
        assert not ask(today, somebody(bought), first + hours * HOUR)[0]
    assert not ask(today, somebody(first - 1), first)[0]


def test_where_there_is_no_midnight_the_day_begins_with_the_change() -> None:
    # Santiago, 2026-09-05 24:00 -04:00 is 2026-09-06 01:00 -03:00. Toronto, 1919-03-30 23:30 was 00:30 of the 31st.
    santiago, toronto = at("2026-09-06T04:00:00Z"), at("1919-03-31T04:30:00Z")

    assert next_turn("America/Santiago", "day", santiago - 1) == santiago
    assert next_turn("America/Toronto", "day", toronto - 1) == toronto


def test_a_day_that_has_begun_goes_on_when_the_clock_is_put_back_over_midnight() -> None:
    # St. John's, 2007-11-04 00:01 was 23:01 of the 3rd again.
    begun = at("2007-11-04T02:30:00Z")
    again = begun + MINUTE
    assert (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=again)).astimezone(
        ZoneInfo("America/St_Johns")
    ).date() == date(2007, 11, 3)

    for moment in (begun, again, again + 30 * MINUTE):
        assert calendar_span(Calendar("day", 0, 1, "America/St_Johns"), moment)[0] == begun
        assert next_turn("America/St_Johns", "day", moment) > moment


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Stockholm", "America/New_York", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia"]
)
@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_units_of_a_calendar_are_those_of_the_slow_reading(zone: str, unit: str) -> None:
    moments = [at(f"{year}-{day}") for year in (2011, 2020, 2024, 2026) for day in ("02-29", "12-29", "12-31") if
               read_instant(f"{year}-{day}") is not None]  # fmt: skip
    moments += [at(f"2026-{month:02}-{day}") for month in range(1, 13) for day in ("01", "15")]

    for moment in moments:
        for back, length in ((0, 1), (1, 1), (2, 2)):
            told = {"unit": unit, "back": back, "length": length, "zone": zone}
            assert calendar_span(Calendar(unit, back, length, zone), moment) == calendar(told, moment), (told, moment)


def test_a_month_ago_counts_from_the_first_also_over_a_leap_day() -> None:
    last_month = {"event": BOUGHT, "calendar": {"unit": "month", "back": 1}}
    leap_day = somebody("2024-02-29T12:00:00Z")

    assert ask(last_month, leap_day, at("2024-03-01T00:00:00Z")) == (True, at("2024-04-01"))
    assert ask(last_month, leap_day, at("2024-03-31T23:59:59Z"))[0]
    assert not ask(last_month, leap_day, at("2024-04-01T00:00:00Z"))[0]


def test_week_53_is_one_week_over_the_turn_of_the_year() -> None:
    # 2026 has 53 weeks: the last begins on Monday the 28th of December.
    monday = at("2026-12-28T00:00:00Z")
    this_week = {"event": BOUGHT, "calendar": {"unit": "week"}}
    person = somebody(monday)

    assert ask(this_week, person, at("2027-01-03T23:59:59Z")) == (True, at("2027-01-04"))
    assert not ask(this_week, person, at("2027-01-04T00:00:00Z"))[0]
    assert not ask(this_week, somebody(monday - 1), monday)[0]


def test_a_year_in_a_span_is_365_days_and_in_a_calendar_its_own() -> None:
    bought = at("2024-01-01T00:00:00Z")  # a leap year

    assert not ask({"event": BOUGHT, "within": "1y"}, somebody(bought), at("2024-12-31T00:00:00Z"))[0]
    assert ask({"event": BOUGHT, "calendar": {"unit": "year"}}, somebody(bought), at("2024-12-31T23:59:59Z"))[0]


def test_the_first_day_of_1970_is_a_day_like_others() -> None:
    first_order = {"first_time": {"event": BOUGHT, "from": "1970-01-01"}}
    until = {"first_time": {"event": BOUGHT, "until": "1970-01-01"}}

    assert not ask(first_order, somebody(-DAY, DAY), 2 * DAY)[0]
    assert ask(until, somebody(-DAY, DAY), 2 * DAY)[0]
    assert not ask(until, somebody(DAY), 2 * DAY)[0]


def test_a_first_order_of_today_is_none_of_yesterday() -> None:
    today = at("2026-05-04T00:00:00Z")
    yesterday = {"first_time": {"event": BOUGHT, "calendar": {"unit": "day", "back": 1}}}

    assert not ask(yesterday, somebody(today), today)[0]
    assert ask(yesterday, somebody(today - DAY, today), today) == (True, today + DAY)
    assert not ask(yesterday, somebody(today - DAY - 1), today)[0]


def test_a_first_order_that_lies_ahead_is_none_yet() -> None:
    now, later = at("2026-05-04T10:00:00Z"), at("2026-05-04T20:00:00Z")
    person = Person("p_1", (Event(later, 1, "track", BOUGHT, {}, now),))
    today = {"first_time": {"event": BOUGHT, "calendar": {"unit": "day"}}}

    assert ask(today, person, now) == (False, later)
    assert ask(today, person, later)[0]


def test_from_is_in_and_until_is_out() -> None:
    may = {"from": "2026-05-01", "until": "2026-06-01"}
    first, last = at("2026-05-01"), at("2026-06-01")

    for told in ({"event": BOUGHT, **may}, {"first_time": {"event": BOUGHT, **may}}):
        for bought, holds in ((first - 1, False), (first, True), (last - 1, True), (last, False)):
            assert ask(told, somebody(bought), last)[0] == holds


def test_a_count_may_be_held_against_half_an_event() -> None:
    when = at("2026-05-04T10:00:00Z")
    for n, more in ((1, False), (2, True), (3, True)):
        person = somebody(*(when - one for one in range(n)))
        for window in ({}, {"within": "1d"}):
            assert ask({"event": BOUGHT, **window, "count": {"greater": 1.5}}, person, when)[0] == more
            assert ask({"event": BOUGHT, **window, "count": {"at_least": 1.5}}, person, when)[0] == more
            assert ask({"event": BOUGHT, **window, "count": {"at_most": 1.5}}, person, when)[0] != more


def test_of_one_list_texts_come_before_numbers_and_numbers_before_truths() -> None:
    when = at("2026-05-04T10:00:00Z")
    for listed, first in (([True, 1.0], 1), ([1.0, True], 1), ([True, "a", 1.0], "a"), ([True, False], True)):
        person = Person("p_1", (Event(when, 1, "track", BOUGHT, {"tags": listed}, when),))
        assert ask({"event": BOUGHT, "most_frequent": {"of": "tags", "equals": first}}, person, when)[0]


def test_a_number_of_nine_millions_of_millions_is_left_out_of_sums() -> None:
    when = at("2026-05-04T10:00:00Z")
    for most, holds in ((9e12, False), (8_999_999_999_999.0, True), (-9e12, False)):
        person = Person("p_1", (Event(when, 1, "track", BOUGHT, {"total": most}, when),))
        for kind in ("sum", "average"):
            assert ask({"event": BOUGHT, kind: {"of": "total", "not_equals": 0, "is_set": True}}, person, when)[0] == (
                holds
            ) or (kind == "sum" and not holds)


def test_a_visit_goes_on_over_a_pause_as_long_as_the_gap() -> None:
    began = at("2026-05-04T10:00:00Z")
    twice = {"event": BOUGHT, "session": "30m", "count": {"at_least": 2}}
    second = began + 30 * MINUTE

    assert ask(twice, somebody(began, second), second) == (True, second + 30 * MINUTE + 1)
    assert ask(twice, somebody(began, second), second + 30 * MINUTE)[0]
    assert not ask(twice, somebody(began, second), second + 30 * MINUTE + 1)[0]
    assert not ask(twice, somebody(began, second + 1), second + 1)[0]


def test_what_happens_now_does_not_come_into_a_window_that_is_over() -> None:
    now = at("2026-05-04T10:00:00Z")
    yesterday = {"event": BOUGHT, "calendar": {"unit": "day", "back": 1}}

    assert ask(yesterday, somebody(now - DAY, now), now) == (True, at("2026-05-05"))


def test_of_two_events_that_lie_ahead_the_first_is_due() -> None:
    now = at("2026-05-04T10:00:00Z")
    ahead = tuple(Event(now + n * DAY, n, "track", BOUGHT, {}, now) for n in (1, 2))

    for told in ({"event": BOUGHT}, {"first_time": {"event": BOUGHT, "within": "9d"}}, {"event": BOUGHT, "sum": TOTAL}):
        assert ask(told, Person("p_1", ahead), now) == (False, now + DAY)
    this_month = {"first_time": {"event": BOUGHT, "calendar": {"unit": "month"}}}
    assert ask(this_month, Person("p_1", ahead), now) == (False, now + DAY)


@pytest.mark.parametrize("profile_id", ["p_1", "p_2", "0190", "Å"])
def test_a_share_is_32_bits_of_a_digest_and_a_part_is_without_its_end(profile_id: str) -> None:
    share = drawn("spring", profile_id)
    person = Person(profile_id, somebody("2026-05-04").events)

    assert live.draw("spring", profile_id) == share
    for part, holds in (({"from": share, "until": 1}, True), ({"until": share}, False)):
        assert ask({"sample": {"salt": "spring", **part}}, person, at("2026-05-04"))[0] == holds
