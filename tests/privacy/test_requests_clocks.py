"""By when an answer is due: calendar months, days, extensions, at the ends of months and years."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillit.clock import DAY, SECOND, instant, rfc3339
from tillit.privacy import REGIMES, NoExtension, UnknownRegime, due_at, regime_of
from tillit.privacy.clocks import PLACES, check_extension


def at(text: str) -> int:
    found = instant(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("received", "place", "due", "extended"),
    [
        ("2026-01-31T10:00:00Z", "DE", "2026-02-28T10:00:00Z", "2026-04-30T10:00:00Z"),
        ("2028-01-31T10:00:00Z", "DE", "2028-02-29T10:00:00Z", "2028-04-30T10:00:00Z"),
        ("2026-02-28T00:00:00Z", "GB", "2026-03-28T00:00:00Z", "2026-05-28T00:00:00Z"),
        ("2026-11-30T23:59:59Z", "FR", "2026-12-30T23:59:59Z", "2027-02-28T23:59:59Z"),
        ("2026-12-31T12:00:00Z", "SE", "2027-01-31T12:00:00Z", "2027-03-31T12:00:00Z"),
        # Clocks were put on in Berlin on 29 March 2026: a day of UTC is a day.
        ("2026-03-15T08:30:00Z", "DE", "2026-04-15T08:30:00Z", "2026-06-15T08:30:00Z"),
        ("2026-01-31T10:00:00Z", "US-CA", "2026-03-17T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("2026-01-31T10:00:00Z", "US-VA", "2026-03-17T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("2026-01-31T10:00:00Z", "US-TX", "2026-03-17T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("2026-01-31T10:00:00Z", "CA", "2026-03-02T10:00:00Z", "2026-04-01T10:00:00Z"),
        ("2026-01-31T10:00:00Z", "CA-QC", "2026-03-02T10:00:00Z", None),
        ("2026-01-31T10:00:00Z", "CH", "2026-03-02T10:00:00Z", None),
        ("2026-01-31T10:00:00Z", "BR", "2026-02-15T10:00:00Z", None),
        ("2026-01-31T10:00:00Z", "KR", "2026-02-10T10:00:00Z", None),
    ],
)
def test_each_law_has_its_clock(received: str, place: str, due: str, extended: str | None) -> None:
    regime = regime_of(place)

    assert rfc3339(due_at(at(received), regime, kind="access")) == due
    if extended is None:
        assert regime.extension is None
        with pytest.raises(NoExtension, match="no more time"):
            check_extension(at(received), regime, kind="access", is_extended=False, now=at(received))
    else:
        assert rfc3339(due_at(at(received), regime, kind="access", is_extended=True)) == extended


def test_an_opt_out_in_california_has_the_shorter_clock_and_no_extension() -> None:
    regime, received = regime_of("US-CA"), at("2026-06-01T00:00:00Z")

    assert rfc3339(due_at(received, regime, kind="objection")) == "2026-06-16T00:00:00Z"
    with pytest.raises(NoExtension):
        check_extension(received, regime, kind="objection", is_extended=False, now=received)


def test_an_extension_is_taken_once_and_before_the_time_is_over() -> None:
    regime, received = regime_of("gdpr"), at("2026-01-31T10:00:00Z")
    due = due_at(received, regime, kind="access")

    check_extension(received, regime, kind="access", is_extended=False, now=due - 1)
    with pytest.raises(NoExtension, match="over"):
        check_extension(received, regime, kind="access", is_extended=False, now=due)
    with pytest.raises(NoExtension, match="once"):
        check_extension(received, regime, kind="access", is_extended=True, now=received)


@given(received=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), name=st.sampled_from([*REGIMES]))  # noqa: DTZ001 -- made aware below
def test_a_due_day_keeps_the_time_of_day_and_never_skips_a_month(received: datetime, name: str) -> None:
    regime = REGIMES[name]
    start = at(received.replace(tzinfo=UTC).isoformat())

    due = due_at(start, regime, kind="access")
    extended = due_at(start, regime, kind="access", is_extended=True)

    assert due % DAY == start % DAY
    assert 10 * DAY <= due - start <= 45 * DAY
    assert due <= extended <= start + 92 * DAY
    began, ends = (datetime.fromtimestamp(one // SECOND, UTC).date() for one in (start, due))
    if regime.answer.months:
        assert (ends.year * 12 + ends.month) - (began.year * 12 + began.month) == 1
        is_last = (ends.day + 1 > 28) and date.fromordinal(ends.toordinal() + 1).day == 1
        assert ends.day == began.day or (is_last and ends.day < began.day)


def test_every_place_has_a_known_law_and_every_law_names_its_source() -> None:
    assert {*PLACES.values()} == {*REGIMES}
    assert all(len(one.source) > 10 for one in REGIMES.values())


@pytest.mark.parametrize("place", ["XX", "Ana Ek", "ana@example.org", "US"])
def test_an_unknown_place_is_refused_without_being_repeated(place: str) -> None:
    with pytest.raises(UnknownRegime) as refused:
        regime_of(place)

    assert "gdpr" in refused.value.message
    assert "Ana" not in refused.value.message
    assert "ana@" not in refused.value.message
