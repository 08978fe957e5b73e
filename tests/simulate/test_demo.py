"""The demo writes a past, then sends a present through the real protocol to a real server; its truth knows both."""

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import RunningServer
from tillit.clock import DAY, now_us
from tillit.simulate import SOURCES, DemoRefused, Truth, run_demo, score_workspace, truth_path
from tillit.workspace import Workspace


def run_until_open(server: RunningServer, keys: dict[str, str], *, seed: int) -> tuple[list[str], int]:
    """Run the demo until its past is in and the present has begun; give what it told and how many were taken."""
    stop = threading.Event()
    told: list[str] = []
    outcome: list[int] = []

    def work() -> None:
        outcome.append(
            run_demo(
                server.workspace,
                base_url=server.url,
                keys=keys,
                n_customers=120,
                seed=seed,
                stop=stop,
                told=told.append,
            )
        )

    n_before = len(server.log_events())
    worker = threading.Thread(target=work)
    worker.start()
    until = time.monotonic() + 60
    if n_before == 0:
        while not told and time.monotonic() < until:
            time.sleep(0.05)
        n_before = len(server.log_events())
    while len(server.log_events()) < n_before + 20 and time.monotonic() < until:
        time.sleep(0.1)
    stop.set()
    worker.join(30)
    assert not worker.is_alive()
    return told, outcome[0]


def test_a_demo_brings_a_past_once_and_then_the_present(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop") as server:
        with Workspace(server.workspace) as ws:
            keys = {source: ws.keys.create(kind, source)[0] for source, kind in SOURCES.items()}
        told, n_taken = run_until_open(server, keys, seed=7)
        server.settle()
        events = server.log_events()
        customer = server.find_profile("user_id:c-000010")

        told_again, n_again = run_until_open(server, keys, seed=7)
    with Workspace(server.workspace) as ws, closing(Truth(truth_path(server.workspace), read_only=True)) as truth:
        ws.flush()
        score = score_workspace(ws, truth)
        times = [row.event_at for row in ws.log.read(0, 100_000) if row.kind == 1]

    assert len(told) == 1
    assert len(events) - 1 == n_taken  # one more: the mark that settle() sent
    assert n_taken > 1_000
    assert customer is not None
    assert customer["traits"]["email"]["value"].endswith(("example.org", "example.com", "example.net"))
    assert told_again == []
    assert 20 <= n_again < 200
    # Six months ago until now; settle()'s mark is the one identifier and event that are no simulated person's.
    assert min(times) < now_us() - 170 * DAY
    assert max(times) > now_us() - DAY // 24
    assert (score.n_unknown, score.n_events_unknown, score.n_wrong_outside) == (1, 1, 0)


def test_a_key_that_is_not_taken_ends_the_demo_with_what_to_do(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop") as server, pytest.raises(DemoRefused, match="tillit keys create") as refusal:
        run_demo(
            server.workspace,
            base_url=server.url,
            keys=dict.fromkeys(SOURCES, "pk_unknown"),
            n_customers=3,
            stop=threading.Event(),
        )

    assert "pk_unknown" not in str(refusal.value)
