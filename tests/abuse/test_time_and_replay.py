"""Cases 27, 28, 30 and 31 on the whole product: false clocks and things said again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tillit
from tests.abuse.knocking import Stranger
from tests.running import START_S
from tests.running import tillit as tillit_command

FAR = (
    "9999-12-31T23:59:59Z",
    "+010000-01-01T00:00:00.000Z",
    "-271821-04-20T00:00:00.000Z",
    "+275760-09-13T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "1899-12-30T00:00:00Z",
    "2200-01-01T00:00:00+14:00",
)
UNREADABLE = (
    "yesterday",
    "",
    "0000-00-00",
    "2026-02-30T00:00:00Z",
    "2026-13-01",
    "1e9",
    "2026-01-01T25:00:00Z",
    "9" * 4_000,
)


@pytest.mark.parametrize("timestamp", [*FAR, *UNREADABLE, 0, -1, 10**15, 1.5, True, None, [], {}])
def test_case_27_an_impossible_date_becomes_the_time_of_arrival_and_is_kept_beside_it(
    stranger: Stranger, timestamp: object
) -> None:
    answer = stranger.batch({**stranger.good("far"), "timestamp": timestamp}, stranger.good("near"))

    assert (answer.status, answer.json()["accepted"]) == (200, 2)
    event = stranger.server.events_of(f"user_id:{stranger.name('far')}")[0]
    assert event["event_at"] == event["received_at"]
    body = next(body for body in stranger.taken() if body["userId"] == stranger.name("far"))
    if isinstance(timestamp, str):
        assert (body["originalTimestamp"], body["clock"] in {"clamped", "unreadable"}) == (timestamp, True)
    assert stranger.profile("near") is not None


def test_case_27_a_clock_that_is_wrong_by_years_is_corrected_or_clamped(stranger: Stranger) -> None:
    said = {**stranger.good("skew"), "timestamp": "2011-01-01T00:00:00Z", "sentAt": "2011-01-01T00:00:10Z"}
    absurd = {**stranger.good("absurd"), "timestamp": "9999-12-31T23:59:59Z", "sentAt": "0001-01-01T00:00:00Z"}

    assert stranger.batch(said, absurd).status == 200

    event = stranger.server.events_of(f"user_id:{stranger.name('skew')}")[0]
    apart = datetime.fromisoformat(event["received_at"]) - datetime.fromisoformat(event["event_at"])
    assert apart == timedelta(seconds=10)
    event = stranger.server.events_of(f"user_id:{stranger.name('absurd')}")[0]
    assert event["event_at"] == event["received_at"]


def test_case_28_a_date_in_the_future_does_not_outlive_forgetting(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    tillit_command("init", str(folder))
    marker = "future-marker-5d1c"
    with tillit.open(str(folder)) as ws:
        for day in ("2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None):
            ws.track(user_id=marker, event="E", properties={"note": marker}, timestamp=day, message_id=f"m-{day}")
        ws.track(user_id="other", event="E")
        ws.flush()
        found = ws.profiles.get(f"user_id:{marker}")
        assert found["n_events"] == 3
        assert datetime.fromisoformat(found["last_seen_at"]) <= datetime.now(UTC) + timedelta(minutes=5)
        positions = [1, 2, 3]  # by subject: every event of hers, whatever it is dated
        ws.forget(positions)
        ws.flush()
        assert ws.profiles.get("user_id:other")["n_events"] == 1

    left = [path.name for path in folder.rglob("*") if path.is_file() and marker.encode() in path.read_bytes()]
    assert left == []


def test_case_30_a_captured_request_said_again_changes_nothing(stranger: Stranger) -> None:
    who = stranger.name("buyer")
    body = json.dumps(
        {
            "batch": [
                {
                    "type": "track",
                    "event": "Order Completed",
                    "userId": who,
                    "messageId": f"{who}-{n}",
                    "properties": {"total": 10},
                    "timestamp": "2026-01-01T00:00:00Z",
                }
                for n in range(5)
            ],
            "sentAt": "2026-01-01T00:00:00Z",
        }
    ).encode()
    assert stranger.post("/v1/batch?wait=applied", body).status == 200
    before = stranger.profile("buyer")

    answers = [stranger.post("/v1/batch?wait=applied", body) for _ in range(10)]

    assert {answer.status for answer in answers} == {200}
    assert stranger.profile("buyer") == before
    assert len(stranger.server.events_of(f"user_id:{who}")) == 5
    fates = stranger.server.fates()
    mine = [fates.get(at, "applied") for at, body in stranger.server.log_events() if who in json.dumps(body)]
    assert (mine.count("applied"), mine.count("duplicate")) == (5, 50)


def test_case_30_a_replay_after_a_crash_changes_nothing(stranger: Stranger) -> None:
    stranger.batch(stranger.good("once"))
    for process in stranger.server.processes()[1:]:
        process.kill()  # the supervisor starts them again
    stranger.server.wait_for("/ready", timeout_s=START_S)

    stranger.batch(stranger.good("once"))

    found = stranger.profile("once")
    assert found is not None
    assert found["n_events"] == 1
    assert stranger.is_served_as_before()


def test_case_31_the_first_body_of_an_id_wins_and_the_conflict_is_recorded(stranger: Stranger) -> None:
    who, message_id = stranger.name("first"), stranger.name("id")
    first = {"type": "identify", "userId": who, "messageId": message_id, "traits": {"plan": "free"}}
    other = {**first, "traits": {"plan": "gold"}}
    stolen = {"type": "track", "event": "E", "userId": stranger.name("stolen"), "messageId": message_id}

    stranger.batch(first)
    assert stranger.batch(other, stolen).status == 200
    within = [{**stranger.good("w"), "properties": {"n": n}} for n in range(2)]
    assert stranger.batch(*within).status == 200

    found = stranger.profile("first")
    assert found is not None
    assert (found["traits"]["plan"]["value"], found["n_events"]) == ("free", 1)
    assert stranger.profile("stolen") is None
    fates = stranger.server.fates()
    mine = [fates.get(at, "applied") for at, body in stranger.server.log_events() if stranger.mark in json.dumps(body)]
    assert mine == ["applied", "conflict", "conflict", "applied", "conflict"]
    assert stranger.server.events_of(f"user_id:{stranger.name('w')}")[0]["properties"] == {"n": 0}


def test_case_31_another_source_may_use_the_same_id(stranger: Stranger) -> None:
    message_id = stranger.name("id")

    for word, key in (("one", "secret"), ("two", "public")):
        stranger.batch({**stranger.good(word), "messageId": message_id}, key=key)

    assert (stranger.profile("one") is not None, stranger.profile("two") is not None) == (True, True)


def test_case_31_another_id_of_the_same_body_is_another_event(stranger: Stranger) -> None:
    event = stranger.good("twice")

    stranger.batch(event, {**event, "messageId": stranger.name("second")})

    found = stranger.profile("twice")
    assert found is not None
    assert found["n_events"] == 2
