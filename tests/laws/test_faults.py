"""When the disk, a lock, a port or a file is not as it should be: 503 while it lasts, nothing lost after."""

import contextlib
import gzip
import http.client
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.running import Answer, RunningServer, basic
from tillit.clock import DAY
from tillit.errors import BusyError
from tillit.flow import EngineBusy, FoldAhead, FoldOutdated, LakeWriter
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow, QuarantineRow
from tillit.settings import Settings
from tillit.store import Log, StoreFull, StoreReadOnly, StoreUnreachable
from tillit.store.lake import Lake
from tillit.store.scan import find_bytes
from tillit.workspace import Workspace, create_workspace

NOON = 1_770_000_000_000_000
SECOND = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("faults") / "shop", arguments=("--workers", "1")) as running:
        yield running


def tillit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tillit", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def web_process(server: RunningServer) -> psutil.Process:
    return next(process for process in server.processes()[1:] if "web" in process.cmdline())


def track(server: RunningServer, message_id: str, *, size: int = 10) -> Answer:
    message = {
        "userId": f"who-{message_id}",
        "event": "Bought",
        "messageId": message_id,
        "properties": {"x": "y" * size},
    }
    return server.send("/v1/track", message)


def assert_try_again(answer: Answer, code: str) -> None:
    assert answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE
    assert int(answer.headers["retry-after"]) >= 1
    error = answer.json()["error"]
    assert error["code"] == code
    assert "who-" not in error["message"]


def assert_applied_once(server: RunningServer, *message_ids: str) -> None:
    server.settle()
    for message_id in message_ids:
        events = server.events_of(f"user_id:who-{message_id}")
        assert [event["message_id"] for event in events] == [message_id]


# -- the running server


def test_a_disk_that_takes_no_more_is_503_until_it_does(server: RunningServer) -> None:
    assert track(server, "before-full").status == http.HTTPStatus.OK
    processes = server.processes()[1:]
    limits = [(process, process.rlimit(psutil.RLIMIT_FSIZE)) for process in processes]

    for process in processes:
        process.rlimit(psutil.RLIMIT_FSIZE, (4_096, limits[0][1][1]))
    try:
        during = [track(server, f"full-{n}") for n in range(3)]
        until = time.monotonic() + 10
        while (health := server.request("GET", "/health")).status == http.HTTPStatus.OK and time.monotonic() < until:
            time.sleep(0.1)  # it looks once a second
    finally:
        for process, limit in limits:
            with contextlib.suppress(psutil.NoSuchProcess):  # who could not start over was ended, and starts again
                process.rlimit(psutil.RLIMIT_FSIZE, limit)

    for answer in during:
        assert_try_again(answer, "store.unreachable")
    assert health.status == http.HTTPStatus.SERVICE_UNAVAILABLE
    server.wait_for("/ready", timeout_s=60)
    assert [track(server, f"full-{n}").status for n in range(3)] == [200, 200, 200]
    assert_applied_once(server, "before-full", "full-0", "full-1", "full-2")


def test_a_locked_log_is_503_until_it_is_let_go(server: RunningServer) -> None:
    # The first send of all opens this workspace here, and closing a file lets go of every lock this process has on it.
    assert track(server, "before-locked").status == http.HTTPStatus.OK
    with contextlib.closing(sqlite3.connect(server.workspace / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        during = track(server, "locked")
        other.execute("ROLLBACK")

    assert_try_again(during, "store.locked")
    assert track(server, "locked").status == http.HTTPStatus.OK
    assert_applied_once(server, "locked")


def test_a_locked_state_holds_up_the_fold_and_not_the_door(server: RunningServer) -> None:
    assert track(server, "before-state-locked").status == http.HTTPStatus.OK  # as above
    with contextlib.closing(sqlite3.connect(server.workspace / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        during = track(server, "state-locked")
        time.sleep(7)  # longer than the engine waits
        other.execute("ROLLBACK")

    assert during.status == http.HTTPStatus.OK
    server.wait_for("/ready", timeout_s=60)
    assert_applied_once(server, "state-locked")


def test_a_second_server_says_where_the_first_is(server: RunningServer) -> None:
    for port in (server.port, 0):
        second = tillit("serve", "--workspace", str(server.workspace), "--port", str(port))

        assert second.returncode == BusyError.exit_code
        assert f"already served at {server.url}" in second.stderr
    assert track(server, "beside-second").status == http.HTTPStatus.OK
    assert_applied_once(server, "beside-second")


def test_a_taken_port_is_named(server: RunningServer, tmp_path: Path) -> None:
    create_workspace(tmp_path / "other")

    second = tillit("serve", "--workspace", str(tmp_path / "other"), "--port", str(server.port))

    assert second.returncode == 3
    assert f"127.0.0.1:{server.port}" in second.stderr
    assert "--port" in second.stderr


def test_while_a_server_folds_nobody_else_rebuilds(server: RunningServer) -> None:
    done = tillit("rebuild", "--workspace", str(server.workspace))

    assert done.returncode == BusyError.exit_code
    assert "already holds the fold" in done.stderr


# -- strangers who hold the door open


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def head_of(server: RunningServer, *more: str) -> bytes:
    lines = ["POST /v1/batch HTTP/1.1", "Host: shop", f"Authorization: {basic(server.keys['secret'])}", *more]
    return "\r\n".join(lines).encode()


def test_slow_senders_take_no_memory_and_no_turn(server: RunningServer) -> None:
    process = web_process(server)
    before = process.memory_info().rss
    slow = [connect(server) for _ in range(200)]
    for number, sender in enumerate(slow):
        if number % 2:
            sender.sendall(head_of(server))  # a head that never ends
        else:
            sender.sendall(
                head_of(server, "Transfer-Encoding: chunked", "", "") + b"1\r\n{\r\n"
            )  # a body that never ends
    try:
        for n in range(20):
            for sender in slow:
                with contextlib.suppress(OSError):
                    sender.sendall(b"1\r\n \r\n")
            assert track(server, f"beside-slow-{n}").status == http.HTTPStatus.OK
        grown = process.memory_info().rss - before
    finally:
        for sender in slow:
            sender.close()

    assert grown < 30_000_000  # 200 connections at 150 kB each
    assert_applied_once(server, "beside-slow-0", "beside-slow-19")


def test_a_head_without_end_is_cut_off(server: RunningServer) -> None:
    process = web_process(server)
    before = process.memory_info().rss
    with connect(server) as sender:
        sender.sendall(head_of(server) + b"\r\nX-Long: ")
        n_sent = 0
        with contextlib.suppress(OSError):
            while n_sent < 50_000_000:
                n_sent += sender.send(b"x" * 65_536)

    assert n_sent < 50_000_000
    assert process.memory_info().rss - before < 20_000_000


def test_a_body_without_end_is_cut_off(server: RunningServer) -> None:
    process = web_process(server)
    before = process.memory_info().rss
    with connect(server) as sender:
        sender.sendall(head_of(server, "Transfer-Encoding: chunked", "", ""))
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(100):
                sender.sendall(chunk)
        told = sender.recv(200)

    assert told.startswith(b"HTTP/1.1 400")
    assert process.memory_info().rss - before < 20_000_000


def test_a_small_body_that_unfolds_to_a_large_one_is_refused(server: RunningServer) -> None:
    process = web_process(server)
    bomb = gzip.compress(bytes(400_000_000), 9)[:499_000]
    before = process.memory_info().rss
    headers = {"Authorization": basic(server.keys["secret"]), "Content-Encoding": "gzip"}

    found: list[int] = []

    def send() -> None:
        found.append(server.request("POST", "/v1/batch", body=bomb, headers=headers).status)

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert found == [400] * 8
    assert process.memory_info().rss - before < 30_000_000


# -- the log alone


def row(message_id: str, *, size: int = 10) -> NewRow:
    body = json.dumps({"type": "track", "messageId": message_id, "userId": "dana", "event": "x" * size}).encode()
    return NewRow(KIND_EVENT, "web", TRUST_SERVER, NOON, NOON, message_id.encode().ljust(16, b"."), body)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with contextlib.closing(Log.open(tmp_path / "log.db")) as opened:
        yield opened


def test_a_full_disk_keeps_nothing_of_the_rows_and_all_of_those_before(log: Log) -> None:
    assert log._writer is not None
    log.append([row("before")], now=NOON)
    log._writer.pragma("max_page_count", log._writer.pragma("page_count"))

    with pytest.raises(StoreFull, match=r"log\.db .* disk is full"):
        log.append([row(f"full-{n}", size=2_000) for n in range(50)], now=NOON)

    log._writer.pragma("max_page_count", 1_000_000)
    assert log.append([row("after")], now=NOON) == (2, 2)
    assert [one.message_hash.rstrip(b".") for one in log.read(0, 10)] == [b"before", b"after"]


def test_a_read_only_file_says_so(log: Log) -> None:
    assert log._writer is not None
    log._writer.pragma("query_only", True)

    with pytest.raises(StoreReadOnly, match="read-only"):
        log.append([row("x")], now=NOON)

    log._writer.pragma("query_only", False)
    assert log.append([row("x")], now=NOON) == (1, 1)


def test_rows_written_into_a_deleted_file_are_not_acknowledged(log: Log) -> None:
    log.append([row("kept")], now=NOON)
    moved = log.path.with_name("elsewhere.db")
    log.path.rename(moved)

    with pytest.raises(StoreUnreachable, match="no longer in its folder"):
        log.append([row("lost")], now=NOON)

    moved.rename(log.path)
    first, _ = log.append([row("again")], now=NOON)
    assert log.get([first])[first].message_hash.startswith(b"again")


def test_a_clock_that_is_put_back_stops_nothing(log: Log) -> None:
    for now in (NOON, NOON - 3_600 * SECOND, 0, NOON + SECOND, NOON - 1):
        log.append([row("a"), row("b")], now=now)

    stamps = [one.logged_at for one in log.read(0, 100)]
    assert stamps == sorted(set(stamps))
    assert len(stamps) == 10


# -- a state that does not fit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_workspace(tmp_path / "shop")
    with Workspace(tmp_path / "shop") as ws:
        for n in range(30):
            ws.track(event="Bought", user_id=f"who-{n % 7}", message_id=f"m-{n % 20}", properties={"n": n % 20})
        ws.identify(user_id="who-1", anonymous_id="phone", message_id="i-1", traits={"email": "who@example.org"})
        ws.flush()
    return tmp_path / "shop"


def change_state(folder: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as state:
        state.execute(sql)


def assert_rebuild_mends(folder: Path) -> None:
    done = tillit("rebuild", "--workspace", str(folder))
    assert done.returncode == 0, done.stderr
    with Workspace(folder) as ws:
        assert ws.folding.check() == []
        assert ws.profiles.get("email:who@example.org")["counts"] == {"Bought": 3}  # who-1: m-1, m-8 and m-15


def test_a_log_older_than_the_state_is_refused(folder: Path) -> None:
    change_state(folder, "UPDATE fold SET position = 1000")

    with Workspace(folder) as ws, pytest.raises(FoldAhead, match="tillit rebuild"):
        ws.flush()
    checked = tillit("rebuild", "--check", "--workspace", str(folder))

    assert checked.returncode == 1
    assert "tillit rebuild" in checked.stderr
    assert_rebuild_mends(folder)


def test_a_state_of_another_fold_is_refused(folder: Path) -> None:
    change_state(folder, "UPDATE fold SET version = 0")

    with Workspace(folder) as ws:
        with pytest.raises(FoldOutdated, match="tillit rebuild"):
            ws.flush()
        with pytest.raises(FoldOutdated, match="tillit rebuild"):
            ws.scope()
    asked = [
        tillit(*words, "--workspace", str(folder))
        for words in (["profile", "show", "email:who@example.org"], ["rebuild", "--check"], ["doctor"])
    ]

    assert [answer.returncode for answer in asked] == [1, 1, 1]
    assert all("tillit rebuild" in answer.stderr + answer.stdout for answer in asked)
    assert_rebuild_mends(folder)


@pytest.mark.parametrize("table", ["sqlite_schema", "identifier", "strand"])
def test_a_damaged_state_is_made_anew(folder: Path, table: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "state.db")) as opened:
        pages = opened.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchall()
    at = (pages[0][0] - 1) * 4_096 if pages else 0
    with (folder / "state.db").open("r+b") as state:
        state.seek(at)
        state.write(b"\xff" * 4_096)

    seen = tillit("rebuild", "--check", "--workspace", str(folder))

    assert seen.returncode == 1
    assert "state.db" in seen.stderr
    assert "tillit rebuild" in seen.stderr
    assert "Traceback" not in seen.stderr
    assert_rebuild_mends(folder)


def test_a_migration_that_changed_is_mended_by_rebuilding(folder: Path) -> None:
    change_state(folder, "UPDATE migration SET checksum = 'other'")

    assert_rebuild_mends(folder)


def test_a_missing_workspace_is_named(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))

    done = tillit("doctor", "--workspace", str(folder))

    assert done.returncode == 3
    assert "tillit init" in done.stderr


def test_one_process_folds_at_a_time(folder: Path) -> None:
    with Workspace(folder) as one, Workspace(folder) as other:
        one.folding.engine()

        with pytest.raises(EngineBusy, match=r"process \d+"):
            other.folding.engine()


def test_what_a_killed_check_left_is_cleared_away(folder: Path) -> None:
    left = folder / "run" / "check-killed"
    left.mkdir()
    (left / "state.db").write_bytes(b"who@example.org")

    with Workspace(folder) as ws:
        ws.folding.check()

    assert not left.exists()


def test_what_a_killed_plan_left_is_cleared_away_when_somebody_is_forgotten(folder: Path) -> None:
    left = folder / "run" / "plan-killed"
    left.mkdir()
    (left / "state.db").write_bytes(b"who@example.org")

    with Workspace(folder) as ws:
        ws.forget([1])

    assert not left.exists()


def test_a_file_of_rules_that_is_no_text_is_named(folder: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_bytes(b"namespaces: {\xff: {}}")

    done = tillit("apply", str(rules), "--yes", "--workspace", str(folder))

    assert done.returncode == 2
    assert "rules.yaml is not written in UTF-8" in done.stderr


# -- what the log lets go of


def test_what_was_trimmed_is_read_from_the_lake(folder: Path) -> None:
    with Workspace(folder) as ws:
        before = ws.profiles.events("user_id:who-1", ws.scope())
        ws.folding.write_lake()
        with contextlib.closing(Lake.open(ws.paths.lake)) as lake:
            gone = LakeWriter(ws.log, ws.state, lake).trim(ws.now() + DAY)

        assert gone == ws.log.head() - 1
        assert ws.log.first_position() == ws.log.head()
        assert before is not None
        assert len(before[0]) == 4
        assert ws.profiles.events("user_id:who-1", ws.scope()) == before
        assert ws.folding.check() == []
        ws.track(event="Bought", user_id="who-1", message_id="m-1", properties={"n": 1})  # a resend of what was trimmed
        ws.track(event="Bought", user_id="who-1", message_id="m-new")
        ws.flush()
        assert ws.profiles.get("user_id:who-1")["counts"] == {"Bought": 4}
        assert ws.folding.check() == []
        ws.folding.rebuild()
        assert ws.profiles.get("user_id:who-1")["counts"] == {"Bought": 4}


def test_quarantined_bytes_are_gone_after_their_time(folder: Path) -> None:
    days = Settings.load(folder).collect.quarantine_days
    old = QuarantineRow(NOON, "web", 1, "collect.bad", "It is bad.", None, b"old-marker-8qz " * 500)
    young = old._replace(received_at=NOON + DAY, raw=b"young-marker-8qz " * 500)
    with Workspace(folder) as ws:
        ws.append_rows([], [old, young])
        assert {found.marker for found in find_bytes(folder, ["old-marker-8qz", "young-marker-8qz"])} == {0, 1}

        assert ws.quarantine.expire(NOON + days * DAY + SECOND - days * DAY) == 1

        assert {found.marker for found in find_bytes(folder, ["old-marker-8qz", "young-marker-8qz"])} == {1}
        assert ws.quarantine.count() == 1


def test_a_rebuild_finishes_what_a_killed_engine_began_to_forget(folder: Path) -> None:
    with Workspace(folder) as ws:
        (position,) = [one.position for one in ws.log.read(0, 100) if one.body and b"who@example.org" in one.body]
        ws.folding.write_lake()
        ws.append_rows(
            [NewRow(4, "operator", 3, NOON, NOON, bytes(16), b'{"act":"forget","positions":[%d]}' % position)]
        )

        ws.folding.rebuild()

        ws.folding.write_lake()
        assert ws.folding.check() == []
    assert find_bytes(folder, ["who@example.org"]) == []
