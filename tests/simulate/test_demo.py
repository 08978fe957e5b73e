"""The demo sends a past and a present through the real protocol to a real server."""

import threading
import time
from pathlib import Path

import pytest

from tests.running import RunningServer
from tillit.simulate import DemoRefused, run_demo


def run_until_open(server: RunningServer, *, seed: int) -> tuple[list[str], int]:
    """Run the demo until its past is in and the present has begun; give what it told and how many were taken."""
    stop = threading.Event()
    told: list[str] = []
    outcome: list[int] = []

    def work() -> None:
        outcome.append(
            run_demo(
                server.workspace,
                base_url=server.url,
                public_key=server.keys["public"],
                secret_key=server.keys["secret"],
                n_customers=12,
                seed=seed,
                stop=stop,
                told=told.append,
            )
        )

    n_before = len(server.log_events())
    worker = threading.Thread(target=work)
    worker.start()
    until = time.monotonic() + 60
    while len(server.log_events()) < n_before + 20 and time.monotonic() < until:
        time.sleep(0.1)
    if n_before == 0:
        while not told and time.monotonic() < until:
            time.sleep(0.05)
    stop.set()
    worker.join(30)
    assert not worker.is_alive()
    return told, outcome[0]


def test_a_demo_brings_weeks_of_past_once_and_then_the_present(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop") as server:
        told, n_taken = run_until_open(server, seed=7)
        server.settle()
        n_first = len(server.log_events())
        customer = server.find_profile("user_id:c-000000")

        told_again, n_again = run_until_open(server, seed=7)
        server.settle()

    assert len(told) == 1
    assert n_first - 1 == n_taken  # one more: the mark that settle() sent
    assert n_taken > 200
    assert customer is not None
    assert customer["traits"]["email"]["value"].endswith(("example.org", "example.com", "example.net"))
    assert told_again == []
    assert 20 <= n_again < 100


def test_a_key_that_is_not_taken_ends_the_demo_with_what_to_do(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop") as server, pytest.raises(DemoRefused, match="tillit keys create") as refusal:
        run_demo(
            server.workspace,
            base_url=server.url,
            public_key="pk_unknown",
            secret_key="sk_unknown",
            n_customers=3,
            stop=threading.Event(),
        )

    assert "pk_unknown" not in str(refusal.value)
