"""Web processes share one socket: each holds about as many connections as the others, and all go on when one falls."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.running import RunningServer


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("sharing") / "shop", arguments=("--workers", "2")) as running:
        yield running


@pytest.fixture
def server(one_server: RunningServer) -> RunningServer:
    """Serve with two web processes, both of which have begun: a test before may have killed one."""
    wait_for_both(one_server)
    return one_server


@contextmanager
def connected(server: RunningServer, n_connections: int) -> Iterator[list[http.client.HTTPConnection]]:
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(n_connections)]
    try:
        for connection in connections:
            connection.connect()
        yield connections
    finally:
        for connection in connections:
            connection.close()


def web_processes(server: RunningServer) -> list[psutil.Process]:
    return [process for process in server.processes()[1:] if "web" in process.cmdline()]


def shares(server: RunningServer, connections: list[http.client.HTTPConnection]) -> dict[int, int]:
    """Say how many of these connections each web process holds; all of them answer."""
    for connection in connections:
        connection.request("GET", "/robots.txt")
        assert connection.getresponse().read()
    ours = {connection.sock.getsockname()[1] for connection in connections}
    return {
        process.pid: len({c.raddr.port for c in process.net_connections("tcp4") if c.raddr} & ours)
        for process in web_processes(server)
    }


def wait_for_both(server: RunningServer) -> None:
    """Wait until both web processes take connections, and have let go of those that found it out."""
    until = time.monotonic() + 20
    held: list[int] = []
    while len(held) < 2 or min(held) == 0:
        assert time.monotonic() < until, held
        time.sleep(0.1)
        with connected(server, 8) as connections:
            held = list(shares(server, connections).values())
    while any(c.raddr for process in web_processes(server) for c in process.net_connections("tcp4")):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.3)  # each tells the other ten times a second how many it holds


@pytest.mark.parametrize("n_connections", [2, 8, 40])
def test_connections_are_shared_evenly(server: RunningServer, n_connections: int) -> None:
    with connected(server, n_connections) as connections:
        held = shares(server, connections).values()

    assert sum(held) == n_connections
    # A process hears of another's connections only when it asks.
    assert max(held) - min(held) <= 2 + n_connections // 10


def test_when_one_process_is_killed_the_other_takes_all_at_once(server: RunningServer) -> None:
    one, other = web_processes(server)
    one.kill()
    one.wait(5)

    with connected(server, 6) as connections:
        began = time.monotonic()
        held = shares(server, connections)
        took_s = time.monotonic() - began

    assert held[other.pid] >= 3  # none waited for the one that is gone; the one that came for it may have had some
    assert took_s < 5


def test_a_process_that_was_started_again_gets_its_share(server: RunningServer) -> None:
    web_processes(server)[0].kill()
    wait_for_both(server)
    with connected(server, 8) as connections:
        held = shares(server, connections)

    assert sorted(held.values()) in ([4, 4], [3, 5])


def test_a_stopped_server_leaves_nothing_in_its_folder(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop") as running:
        while_running = {path.name for path in (running.workspace / "run").iterdir()}
    left = {path.name for path in (tmp_path / "shop" / "run").iterdir()}

    assert left <= while_running - {"serve.url"}
