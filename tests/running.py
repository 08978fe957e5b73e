"""Run a real `tillit serve` for tests that need processes, sockets and a folder.

In:    a folder that becomes the workspace, or that already is one.
Out:   a running server with its url and keys, which can be stopped, killed and started again.
Never: reaches inside the package. All goes through the command line and HTTP, as it does for a user;
       only `log_events` and `fates` open the workspace's files, to see what the server itself would not show.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode, urlsplit

import psutil  # type: ignore[import-untyped]  # ships no types

from tests.cli.in_process import run

# Generous: the machine that runs the suite may be busy with the rest of it.
START_S = 60.0
STOP_S = 30.0
FOLD_S = 20.0
_TYPING = threading.Lock()  # there is one standard output for all threads
EVENT_KIND = 1  # the `kind` of an event in the log, as the log's own documentation states it


def free_port() -> int:
    """Give a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tillit(*arguments: str, timeout_s: float = 60.0) -> str:
    """Run the command line as a user would and give what it printed; fail with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "tillit", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        said = f"tillit {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise AssertionError(said)
    return done.stdout


def typed(*words: str) -> str:
    """Type a command in this process and give what it printed; fail with what it said. A process takes a second."""
    with _TYPING:
        done = run(*words)
    if done.returncode != 0:
        said = f"tillit {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise AssertionError(said)
    return done.stdout


def create_key(workspace: Path, kind: str, source: str, *more: str) -> str:
    """Make one key as the command line does and give its plain text."""
    printed = typed(
        "keys", "create", "--workspace", str(workspace), "--kind", kind, "--source", source, *more, "--json"
    )
    return str(json.loads(printed)["key"])


def basic(key: str) -> str:
    """The Authorization header that SDKs send: the key as user name, no password."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


class _Keys(dict[str, str]):
    """kind -> key, made when first asked for."""

    SOURCES: ClassVar[Mapping[str, str]] = {"public": "site", "secret": "backend", "api": "reader"}

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace

    def __missing__(self, kind: str) -> str:
        self[kind] = create_key(self._workspace, kind, self.SOURCES[kind])
        return self[kind]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RunningServer:
    """One `tillit serve` and its workspace."""

    def __init__(self, workspace: Path, *, port: int | None = None, arguments: Sequence[str] = ()) -> None:
        """Prepare a server for a workspace; a folder that is not one yet is initialised. `start` starts it."""
        self.workspace = workspace
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.keys = _Keys(workspace)
        self.arguments = tuple(arguments)
        self.talk = workspace.parent / f"{workspace.name}.serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        if not (workspace / "tillit.toml").exists():
            typed("init", str(workspace))

    # -- its life

    def start(self) -> Self:
        """Start serving and return when the fold runs."""
        if self.process is not None:
            raise AssertionError("This server is already running; call stop() or kill9() first.")
        with self.talk.open("ab") as talk:
            # A session of its own: kill9 takes the supervisor and every worker at once, as a power cut would.
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tillit", "serve", "--workspace", str(self.workspace)),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                    *self.arguments,
                ],
                stdout=talk,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_for("/ready", timeout_s=START_S)
        return self

    def wait_for(self, path: str, *, timeout_s: float) -> None:
        """Return when `path` answers 200; fail when the process ends or the time is over."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                code = None if self.process is None else self.process.returncode
                self.process = None
                raise AssertionError(f"tillit serve ended with {code} before {path} answered:\n{self.last_words()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", path, timeout_s=5.0).status == http.HTTPStatus.OK:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{path} did not answer 200 within {timeout_s:.0f} s:\n{self.last_words()}")

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and give the exit code; everything it took must be safe before it goes."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"tillit serve did not end within {STOP_S:.0f} s:\n{self.last_words()}") from None
        # A worker that outlives its supervisor would hold the port and the locks of the next start.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self.process = None
        return code

    def kill9(self) -> None:
        """End every process of the server at once, with no chance to tidy up."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)
        self.process = None

    def restart(self) -> Self:
        """Start again on the same folder and port, stopping first when it still runs."""
        if self.process is not None:
            self.stop()
        return self.start()

    def processes(self) -> list[psutil.Process]:
        """The supervisor first, then every process below it."""
        top = psutil.Process(self._running().pid)
        return [top, *top.children(recursive=True)]

    def last_words(self, n_bytes: int = 4000) -> str:
        """The end of what the server said."""
        return self.talk.read_bytes()[-n_bytes:].decode(errors="replace") if self.talk.exists() else ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise AssertionError("This server is not running; call start() first.")
        return self.process

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()

    # -- talking to it

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 15.0,
    ) -> Answer:
        """Send one request on a connection of its own."""
        target = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def send(self, path: str, message: Mapping[str, Any], *, key: str = "secret") -> Answer:
        """Send one message of the tracking protocol with Basic authentication."""
        return self.request(
            "POST",
            path,
            body=json.dumps(message).encode(),
            headers={"Content-Type": "application/json", "Authorization": basic(self.keys[key])},
        )

    def read(self, path: str) -> Answer:
        """Read from the API with the api key."""
        return self.request("GET", path, headers={"Authorization": f"Bearer {self.keys['api']}"})

    def find_profile(self, identifier: str) -> dict[str, Any] | None:
        """The profile of `namespace:value`, or None when nobody has that identifier."""
        answer = self.read(f"/api/profiles/{quote(identifier, safe=':')}")
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        assert answer.status == http.HTTPStatus.OK, answer
        return dict(answer.json())

    def events_of(self, identifier: str) -> list[dict[str, Any]]:
        """Every event of a profile, newest first, through as many pages as it takes."""
        events: list[dict[str, Any]] = []
        before: str | None = None
        while True:
            asked = {"limit": "100"} if before is None else {"limit": "100", "before": before}
            answer = self.read(f"/api/profiles/{quote(identifier, safe=':')}/events?{urlencode(asked)}")
            assert answer.status == http.HTTPStatus.OK, answer
            page = answer.json()
            events += page["events"]
            if page["next"] is None:
                return events
            before = str(page["next"])

    def settle(self, *, timeout_s: float = FOLD_S) -> None:
        """Return when everything taken so far has been folded.

        The fold goes in the order of the log, so when a message sent now is visible, all before it is too.
        """
        mark = f"settled-{uuid.uuid4()}"
        answer = self.send("/v1/track", {"userId": mark, "event": "Settled", "messageId": mark})
        assert answer.status == http.HTTPStatus.OK, answer
        until = time.monotonic() + timeout_s
        while self.find_profile(f"user_id:{mark}") is None:
            if time.monotonic() > until:
                raise AssertionError(f"The fold did not reach the head in {timeout_s:.0f} s:\n{self.last_words()}")
            time.sleep(0.02)

    # -- looking at its files

    def log_events(self) -> list[tuple[int, dict[str, Any]]]:
        """(position, body) of every event in the log, resends included, in order."""
        rows = self._rows("log.db", "SELECT position, body FROM log WHERE kind = ? ORDER BY position", (EVENT_KIND,))
        return [(int(position), {} if body is None else json.loads(body)) for position, body in rows]

    def fates(self) -> dict[int, str]:
        """position -> fate, of every event that was not simply applied."""
        return {
            int(position): str(fate) for position, fate in self._rows("state.db", "SELECT position, fate FROM fate")
        }

    def _rows(self, file: str, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        address = f"file:{quote(str(self.workspace / file))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            return connection.execute(sql, parameters).fetchall()
