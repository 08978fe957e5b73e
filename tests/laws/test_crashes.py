"""L1, L2 and L8 under `kill -9`: real processes die at random points while events pour in.

Each round sends messages with ids of their own, single and in batches, through several threads that send again (same
id) what was not acknowledged, as an SDK does, or give some up. Meanwhile random processes are killed: web workers, the
engine, the keeper, the supervisor, everything at once. At the end every acknowledged message is applied exactly once,
the others once or not at all, the lake holds each applied event once, and `tillit rebuild --check` finds nothing.

`TILLIT_CRASH_ROUNDS` says how many rounds, `TILLIT_CRASH_SEED` which comes first; `make crash` runs hundreds.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.running import RunningServer, basic
from tillit.store.lake import Lake

N_ROUNDS = int(os.environ.get("TILLIT_CRASH_ROUNDS", "4"))
FIRST_SEED = int(os.environ.get("TILLIT_CRASH_SEED", "1"))
N_SENDERS = 3
EVENTS_PER_S = 400  # of each sender at most: what arrived is held against the log event by event
N_PEOPLE = 40
ROUND_S = 2.5

# Often enough each, and now and then all of it, as a power cut would.
VICTIMS = ("web", "web", "engine", "engine", "keeper", "supervisor", "everything")


class Sender(threading.Thread):
    """One client: sends, and sends again what was not acknowledged."""

    def __init__(self, server: RunningServer, seed: int, prefix: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._chance = random.Random(seed)
        self._prefix = prefix
        self._over = over
        self.acknowledged: dict[str, str] = {}  # message id -> user id
        self.sent: dict[str, str] = {}
        self.n_retries = 0
        self.faults: list[str] = []

    def run(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        try:
            self._send()
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self) -> None:
        headers = {"Content-Type": "application/json", "Authorization": basic(self._server.keys["secret"])}
        n = 0
        pending: list[dict[str, object]] = []
        while not self._over.is_set():
            if not pending:
                pending = [self._message(n + i) for i in range(self._chance.choice((1, 1, 1, 20, 100)))]
                n += len(pending)
                self.sent.update({str(m["messageId"]): str(m["userId"]) for m in pending})
            path, body = ("/v1/track", pending[0]) if len(pending) == 1 else ("/v1/batch", {"batch": pending})
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
                self._connection.request("POST", path, json.dumps(body), headers)
                answer = self._connection.getresponse()
                told = answer.read()
            except (OSError, http.client.HTTPException):
                self._hang_up()
            else:
                if answer.status == http.HTTPStatus.OK:
                    self.acknowledged.update({str(m["messageId"]): str(m["userId"]) for m in pending})
                    self._over.wait(len(pending) / EVENTS_PER_S)
                    pending = []
                    continue
                if answer.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    self.faults.append(f"{answer.status} {told[:200]!r}")
            self.n_retries += 1
            self._over.wait(self._chance.uniform(0, 0.05))
            if self._chance.random() < 0.02:
                pending = []  # some clients give up

    def _message(self, n: int) -> dict[str, object]:
        who = f"u{self._chance.randrange(N_PEOPLE)}"
        return {
            "type": "track",
            "messageId": f"{self._prefix}-{n}",
            "userId": who,
            "anonymousId": f"d{self._chance.randrange(N_PEOPLE * 2)}",
            "event": "Bought",
            "properties": {"n": n},
        }


def kill(server: RunningServer, chance: random.Random) -> str:
    """Kill one process, or all; start again when the supervisor is gone. Say which."""
    victim = chance.choice(VICTIMS)
    assert server.process is not None
    if victim == "everything":
        server.kill9()
    elif victim == "supervisor":
        orphans = server.processes()[1:]
        server.process.kill()
        server.process.wait()
        server.process = None
        _, left = psutil.wait_procs(orphans, timeout=20)
        assert left == [], "a process outlived its supervisor"
    else:
        found = [process for process in server.processes()[1:] if victim in _command(process)]
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                chance.choice(found).send_signal(signal.SIGKILL)
    if server.process is None:
        server.start()
    return victim


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("crashes") / "shop"
    running = RunningServer(folder, arguments=("--workers", "2"))
    with running:
        yield running


class Totals:
    """What all rounds did together."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}  # message id -> user id
        self.sent: dict[str, str] = {}
        self.kills: Counter[str] = Counter()
        self.n_retries = 0


@pytest.fixture(scope="module")
def totals() -> Iterator[Totals]:
    found = Totals()
    yield found
    print(
        f"\ncrashes: {N_ROUNDS} rounds from seed {FIRST_SEED}, {sum(found.kills.values())} kills {dict(found.kills)}, "
        f"{len(found.acknowledged)} events acknowledged, {len(found.sent)} sent, {found.n_retries} retries"
    )


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + N_ROUNDS))
def test_kill_9_loses_nothing_and_doubles_nothing(server: RunningServer, totals: Totals, seed: int) -> None:
    chance = random.Random(seed)
    stop = threading.Event()
    senders = [Sender(server, chance.getrandbits(32), f"s{seed}-{i}", stop) for i in range(N_SENDERS)]
    for sender in senders:
        sender.start()

    until = time.monotonic() + ROUND_S
    while time.monotonic() < until:
        time.sleep(2 ** chance.uniform(-8, 0))
        totals.kills[kill(server, chance)] += 1
    stop.set()
    for sender in senders:
        sender.join(30)
        totals.acknowledged |= sender.acknowledged
        totals.sent |= sender.sent
        totals.n_retries += sender.n_retries

    again = f"Rerun: TILLIT_CRASH_SEED={seed} TILLIT_CRASH_ROUNDS=1 make crash"
    assert [fault for sender in senders for fault in sender.faults] == [], again
    server.settle(timeout_s=60)
    positions = find_faults(server, totals, again)
    if seed % 25 == 0 or seed == FIRST_SEED + N_ROUNDS - 1:
        check_profiles(server, positions, again)
        check_lake(server, again)
        check_rebuild(server, again)


def find_faults(server: RunningServer, totals: Totals, again: str) -> dict[str, Counter[str]]:
    """Hold the log and its fates against what the senders know; give how often each person did what."""
    applied: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {}
    fates = server.fates()
    for position, body in server.log_events():
        fate = fates.get(position, "applied")
        assert fate in {"applied", "duplicate"}, f"position {position} was {fate}. {again}"
        if fate == "applied":
            applied[body["messageId"]] += 1
            counts.setdefault(body["userId"], Counter())[body["event"]] += 1
    ours = {message_id: n for message_id, n in applied.items() if not message_id.startswith("settled-")}

    lost = sorted(set(totals.acknowledged) - set(ours))
    assert lost == [], f"{len(lost)} acknowledged and gone, first {lost[:3]}. {again}"
    assert [message_id for message_id, n in ours.items() if n > 1] == [], f"applied twice. {again}"
    assert sorted(set(ours) - set(totals.sent)) == [], f"nobody sent them. {again}"
    return counts


def check_profiles(server: RunningServer, counts: dict[str, Counter[str]], again: str) -> None:
    for who, expected in counts.items():
        profile = server.find_profile(f"user_id:{who}")
        assert profile is not None, f"{who} is unknown. {again}"
        assert profile["counts"] == dict(expected), f"{who}. {again}"
        if who.startswith("u"):
            assert len(server.events_of(f"user_id:{who}")) == expected.total(), f"{who}. {again}"


def check_lake(server: RunningServer, again: str) -> None:
    """Every applied event lies in the lake exactly once."""
    server.stop()  # an orderly end may leave the keeper behind; the next one goes on
    server.start()
    fates = server.fates()
    expected = {position for position, _ in server.log_events() if position not in fates}
    until = time.monotonic() + 60
    while True:
        with contextlib.closing(Lake.open(server.workspace / "lake" / "events", read_only=True)) as lake:
            if lake.position() >= max(expected):
                rows = [position for (position,) in lake.query("SELECT position FROM events ORDER BY position")]
                break
        assert time.monotonic() < until, f"the lake did not follow. {again}"
        time.sleep(0.2)
    assert rows == sorted(expected), again


def check_rebuild(server: RunningServer, again: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tillit", "rebuild", "--check", "--workspace", str(server.workspace)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr} {again}"


def test_a_process_that_starts_while_its_supervisor_dies_ends(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "shop", arguments=("--workers", "1")) as server:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        command = [sys.executable, "-m", "tillit.cli.processes", "keeper", str(server.workspace), str(gone.pid)]
        orphan = subprocess.run(command, timeout=30, check=False)

        assert orphan.returncode == 0
