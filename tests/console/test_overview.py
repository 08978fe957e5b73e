"""The overview: its numbers are the log's, its alarms say what to do."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Opening
from tests.console.desk_in_process import NOON, DeskInProcess
from tests.running import RunningServer
from tillit.access import SourceActivity
from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.console.pulse import Pulse, PulseView, Rates, source_health
from tillit.flow import file_lock
from tillit.records import KIND_TICK, TRUST_OPERATOR, NewRow

VENDORED = files("tillit.console").joinpath("static", "vendor")


def tell(desk: DeskInProcess, n: int, *, user: str = "u", source: str = "till") -> None:
    desk.ws.append([{"type": "track", "event": "Tick", "userId": f"{user}{i}"} for i in range(n)], source=source)


def tick(desk: DeskInProcess) -> None:
    at = desk.clock.at
    desk.ws.append_rows([NewRow(KIND_TICK, "engine", TRUST_OPERATOR, at, at, bytes(16), b"{}")])


def codes(view: PulseView) -> set[str]:
    return {alarm.code for alarm in view.alarms}


def test_a_state_of_another_fold_shows_nobody_and_says_what_to_do(desk: DeskInProcess) -> None:
    tell(desk, 1)
    desk.ws.flush()
    who = desk.ws.profiles.get("user_id:u0")["id"]
    with desk.ws.state.transaction() as tx:
        tx.execute("UPDATE fold SET version = 2")

    pages = [desk.get(path) for path in ("/console/customers?q=u0", f"/console/customers/{who}", "/console/live")]

    assert [page.status for page in pages] == [500, 500, 500]
    assert all(b"tillit rebuild" in page.body for page in pages)
    assert desk.get("/console").status == 200


def test_every_vendored_file_is_the_one_that_was_published() -> None:
    found = {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in VENDORED.iterdir()
        if entry.name != "manifest.json"
    }
    listed = json.loads(VENDORED.joinpath("manifest.json").read_text())

    assert found == {name: digest for package in listed for name, digest in package["sha256"].items()}
    assert "MIT License" in VENDORED.joinpath("LICENSE.uplot.txt").read_text()


def test_buckets_count_events_and_not_the_notes_of_time_between_them(desk: DeskInProcess) -> None:
    for minute, n in ((0, 3), (1, 0), (2, 7)):
        desk.clock.at = NOON + minute * MINUTE + SECOND
        tick(desk)
        if n:
            tell(desk, n, user=f"m{minute}-")
    desk.clock.at = NOON + 3 * MINUTE
    rates = Rates(desk.ws.log, bucket_us=MINUTE, n_buckets=4)

    first = rates.buckets(now=desk.clock.at)
    again = rates.buckets(now=desk.clock.at + MINUTE)

    assert [one.n for one in first] == [0, 3, 0, 7]
    assert [one.n for one in again] == [3, 0, 7, 0]
    assert first[3].per_s == 7 / 60


def test_what_was_counted_is_not_read_again(desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(desk, 5)
    rates = Rates(desk.ws.log, bucket_us=MINUTE, n_buckets=60)
    rates.buckets(now=NOON + MINUTE)
    asked: list[int] = []
    monkeypatch.setattr(desk.ws.log, "position_before", asked.append)

    rates.buckets(now=NOON + MINUTE)

    assert asked == []


def test_the_numbers_are_those_of_a_known_log(desk: DeskInProcess) -> None:
    tell(desk, 20)
    desk.ws.flush()
    desk.clock.at += 10 * SECOND
    tell(desk, 5, user="late")  # not applied yet

    view = Pulse(desk.ws).view()

    assert (view.head, view.lag) == (25, 5)
    assert view.newest_age_s == 10.0
    assert view.per_s == 25 / 10  # `ten seconds ago` is within the span
    desk.clock.at += MINUTE
    assert Pulse(desk.ws).view().n_last_hour == 25


def test_an_alarm_says_that_the_engine_does_not_run_and_goes_when_it_does(desk: DeskInProcess) -> None:
    stopped = desk.get("/console").body.decode()
    with (
        file_lock(desk.ws.paths.engine_lock, "fold"),
        file_lock(desk.ws.paths.lake_lock, "lake"),
    ):
        running = desk.get("/console").body.decode()

    assert "The engine is not running" in stopped
    assert "tillit serve" in stopped
    assert "not running" not in running


def test_an_alarm_names_the_keeper_when_only_that_is_gone(desk: DeskInProcess) -> None:
    with file_lock(desk.ws.paths.engine_lock, "fold"):
        assert codes(Pulse(desk.ws).view()) == {"keeper"}


def test_an_alarm_rises_when_nothing_is_applied_for_five_seconds(desk: DeskInProcess) -> None:
    pulse = Pulse(desk.ws)
    with file_lock(desk.ws.paths.engine_lock, "fold"), file_lock(desk.ws.paths.lake_lock, "lake"):
        tell(desk, 3)
        before = codes(pulse.view())
        desk.clock.at += 6 * SECOND

        assert before == set()
        assert codes(pulse.view()) == {"lag"}


def test_an_alarm_rises_when_many_events_are_refused(desk: DeskInProcess) -> None:
    with pytest.raises(Exception, match="went to quarantine"):
        desk.ws.append([{"type": "track", "userId": f"u{i}"} for i in range(25)])

    view = Pulse(desk.ws).view()

    assert "quarantine" in codes(view)
    assert view.waiting == {"event_not_defined": 25}


def test_an_alarm_rises_when_a_busy_source_is_silent(desk: DeskInProcess) -> None:
    desk.ws.keys.create("secret", "till")
    for hour in range(4):
        desk.clock.at = NOON + hour * HOUR
        tell(desk, 30, user=f"h{hour}-")
    desk.clock.at = NOON + 5 * HOUR + 2 * MINUTE

    view = Pulse(desk.ws).view()

    assert [(one.source, one.state) for one in view.sources] == [("till", "quiet")]
    assert "source" in codes(view)


def test_an_alarm_rises_when_the_log_takes_nothing(desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    from tillit.store import StoreFull

    def full() -> None:
        raise StoreFull("The disk is full.")

    monkeypatch.setattr(desk.ws.log, "check_writable", full)

    assert "log" in codes(Pulse(desk.ws).view())


@pytest.mark.parametrize(
    ("n_hour", "n_day", "last", "state"),
    [
        pytest.param(0, 0, None, "not heard", id="never"),
        pytest.param(100, 2400, NOON, "ok", id="as usual"),
        pytest.param(10, 2400, NOON, "quiet", id="far below its usual hour"),
        pytest.param(0, 3, NOON, "ok", id="a source that hardly ever speaks"),
    ],
)
def test_a_source_is_held_against_its_usual_hour(n_hour: int, n_day: int, last: int | None, state: str) -> None:
    activity = SourceActivity("s", 1, 1, last, n_hour, n_day)

    assert source_health(activity, DAY).state == state


def test_an_empty_workspace_says_how_to_begin(desk: DeskInProcess) -> None:
    page = desk.get("/console").body.decode()

    assert "Nothing has arrived yet" in page
    assert "no event yet" in page


def test_lines_are_drawn_without_scripts_and_the_numbers_stand_beside_them(desk: DeskInProcess) -> None:
    tell(desk, 6)
    desk.clock.at += MINUTE

    page = desk.get("/console").body.decode()

    assert page.count("<polyline") == 2
    assert page.count("<tr>") == 2 + 60 + 96
    assert '<td class="num">0.100</td>' in page  # 6 events in a minute


def test_the_overview_goes_on_by_itself(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console")
    expect(page.locator("#chart-hour canvas")).to_have_count(1)
    before = page.locator("#lag + .fine").inner_text()

    assert server.send("/v1/track", {"userId": "on", "event": "Moved On"}).status == 200

    expect(page.locator("#state-text")).to_have_text("live")
    expect(page.locator("#lag + .fine")).not_to_have_text(before)
    expect(page.locator("#chart-hour canvas")).to_have_count(1)


def test_a_busy_minute_is_counted_by_positions_alone(desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(desk, 20_000)
    desk.clock.at += MINUTE

    def read(after: int, limit: int) -> None:
        raise AssertionError(f"{limit} rows were read after {after}")

    monkeypatch.setattr(desk.ws.log, "arrivals", read)

    assert [one.n for one in Rates(desk.ws.log, bucket_us=MINUTE, n_buckets=2).buckets(now=desk.clock.at)] == [
        0,
        20_000,
    ]
