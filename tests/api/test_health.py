"""/health says that events are taken, /ready that the fold runs, /metrics what happened, without anybody in it."""

import pytest

from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tests.still_clock import Clock
from tillit.clock import SECOND
from tillit.store import StoreFull
from tillit.workspace import Workspace


def test_health_is_fine_without_a_key_when_the_log_takes_rows(ask: Asker) -> None:
    assert ask.get("/health").json() == {"status": "ok"}
    head = ask("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")


def test_health_writes_at_most_once_a_second(
    ask: Asker, ws: Workspace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write = ws.log.check_writable

    def count_and_write() -> None:
        writes.append(1)
        write()

    monkeypatch.setattr(ws.log, "check_writable", count_and_write)

    for _ in range(5):
        ask.get("/health")
    assert len(writes) == 1
    clock.go_on(1 * SECOND)
    ask.get("/health")

    assert len(writes) == 2


def test_health_says_what_stands_in_the_way(ask: Asker, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise StoreFull("log.db could not grow: the disk is full.")

    monkeypatch.setattr(ws.log, "check_writable", full)

    answer = ask.get("/health")

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "store.full", "1")


def test_a_trial_write_changes_nothing(ws: Workspace) -> None:
    ws.track(user_id="42", event="Seen")
    before = (ws.log.head(), ws.log.head_logged_at(), ws.log.read(0, 10))

    ws.log.check_writable()

    assert (ws.log.head(), ws.log.head_logged_at(), ws.log.read(0, 10)) == before


def test_ready_needs_somebody_who_folds(ask: Asker, ws: Workspace) -> None:
    ws.track(user_id="42", event="Seen")

    stopped = ask.get("/ready")
    ws.folding.engine().catch_up()
    running = ask.get("/ready")

    assert (stopped.status, stopped.code) == (503, "api.fold-stopped")
    assert (running.status, running.json()) == (
        200,
        {"status": "ready", "fold": {"position": 1, "head": 1, "lag": 0}},
    )


def test_a_state_of_another_fold_is_told_and_shown_to_nobody(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    with people.state.transaction() as tx:
        tx.execute("UPDATE fold SET version = 2")

    answers = [
        ask.get("/ready"),
        ask.get("/api/profiles/email:ana%40example.org", keys.reader),
        ask.get("/api/profiles?q=ana", keys.reader),
        ask.get("/api/profiles/user_id:42/events", keys.reader),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(500, "flow.fold-outdated")] * 4
    assert all("tillit rebuild" in answer.json()["error"]["message"] for answer in answers)
    assert ask.get("/health").status == 200  # events are taken all the same


def test_ready_tells_a_fold_that_stands_still(ask: Asker, ws: Workspace, clock: Clock) -> None:
    engine = ws.folding.engine()
    ws.track(user_id="42", event="Seen")

    assert ask.get("/ready").status == 200  # one row behind is no trouble yet
    clock.go_on(6 * SECOND)
    stuck = ask.get("/ready")
    assert (stuck.status, stuck.code) == (503, "api.fold-behind")

    engine.catch_up()
    assert ask.get("/ready").status == 200


def test_metrics_hold_templates_and_nobody(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    ask.get("/api/profiles/email:ana%40example.org", keys.reader)
    ask.get("/api/profiles?q=ana", keys.reader)
    ask.get("/nowhere/ana", keys.reader)
    ask("BREW-ana", "/health")

    answer = ask.get("/metrics", keys.scopeless)
    text = answer.body.decode()

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'route="/api/profiles/{who}",method="GET",status="200"} 1' in text
    assert 'route="(none)",method="GET",status="404"} 1' in text
    assert "tillit_fold_lag_rows 0\n" in text
    assert "ana" not in text
    assert ask.get("/metrics").status == 401
