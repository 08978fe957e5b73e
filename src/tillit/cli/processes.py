"""The processes of a served workspace: web (takes and answers), engine (folds), keeper (lake, retention).

In:    a workspace folder; for web, the listening socket and what it shares with the others.
Out:   one process each, that stops when told or when its parent is gone.
Never: two engines (a kernel lock); an access log (paths may hold identifiers).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from tillit import clock
from tillit.api import Api, create_api
from tillit.cli.connections import BoundedConnection
from tillit.cli.import_worker import run_imports
from tillit.cli.plan_worker import run_plans
from tillit.cli.sharing import Acceptor, Holding
from tillit.collect.files import Uploads, forget_rejects, forget_uploads
from tillit.collect.routes import TrackingApi
from tillit.console import create_console
from tillit.errors import BusyError, TillitError
from tillit.flow import EngineBusy, LakeWriter, file_lock, quiet_garbage_collector
from tillit.store import GroupCommit
from tillit.store.lake import Lake
from tillit.workspace import Workspace, forget_plans
from tillit.workspace.exports import KEPT, forget_exports

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_APPLIED_POLL_S = 0.004
_HOUR_S = 3600.0
_SHARED_ANEW_S = 60.0


def web(path: Path, parent: int, listener: socket.socket, *, holding: Holding, number: int) -> int:
    """Take events and answer questions until told to stop."""
    # Threads hand the interpreter over every half millisecond: the committing thread must not wait 5 ms for its turn.
    sys.setswitchinterval(0.0005)
    with Workspace(path) as workspace:
        workspace.folding.leave_to_others()
        commit = GroupCommit(workspace.log, now=workspace.now)
        try:
            plans = WorkerStarter("plans", path)
            api = create_api(workspace, start_plans=plans.start)
            app = build_app(workspace, commit, api, plans)
            config = uvicorn.Config(
                app,
                loop="uvloop",
                http=BoundedConnection,
                ws="none",
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                timeout_keep_alive=65,
                timeout_graceful_shutdown=5,
                proxy_headers=False,
            )
            server = _WebServer(config, listener, holding, number, before_end=api.close)
            _stop_with_parent(parent, lambda: setattr(server, "should_exit", True))
            with quiet_garbage_collector(young=200_000):
                server.run(sockets=[])
        finally:
            commit.close()
    return 0


class _WebServer(uvicorn.Server):
    """Shares the socket with other processes, and ends live streams: uvicorn waits for them, and they have no end."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        holding: Holding,
        number: int,
        *,
        before_end: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._before_end = before_end
        self._acceptor = Acceptor(
            listener,
            holding,
            number,
            make_protocol=lambda: BoundedConnection(config, self.server_state, self.lifespan.state),
            n_connections=lambda: len(self.server_state.connections),
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets)
        self._acceptor.start()

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second."""
        self._acceptor.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking, finish what was begun."""
        self._acceptor.close()
        self._listener.close()
        self._before_end()
        await super().shutdown(sockets)


def build_app(workspace: Workspace, commit: GroupCommit, api: Api, plans: "WorkerStarter") -> App:
    """Put the doors behind one address: tracking, programs, staff."""

    async def wait_applied(position: int, timeout_s: float) -> bool:
        deadline = clock.monotonic_s() + timeout_s
        while workspace.folding.position() < position:
            if clock.monotonic_s() > deadline:
                return False
            await asyncio.sleep(_APPLIED_POLL_S)
        return True

    collect = TrackingApi(
        keys=workspace.keys,
        commit=commit,
        limits=workspace.limits,
        now=workspace.now,
        wait_applied=wait_applied,
        monotonic_s=clock.monotonic_s,
        prove=workspace.identity_tokens.judge,
        erased=workspace.door,
    )
    imports = WorkerStarter("imports", workspace.paths.root)
    console = create_console(workspace, start_imports=imports.start, start_plans=plans.start)
    if Uploads(workspace.paths.uploads, now=workspace.now).find_next() is not None:
        imports.start()  # a server was stopped in the middle of one
    if workspace.plans.find_next() is not None:
        plans.start()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if collect.knows(path):
            await collect(scope, receive, send)
        elif path == "/":
            await _redirect(send, "/console")
        elif path.startswith("/console"):
            await console(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


async def _redirect(send: Send, where: str) -> None:
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", where.encode())]})
    await send({"type": "http.response.body", "body": b""})


class WorkerStarter:
    """Starts a process that does long work: beside the web process, so that the door is as quick as ever."""

    def __init__(self, kind: str, path: Path) -> None:
        """Work on one workspace, at imports or at plans; nothing is started yet."""
        self._kind = kind
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless this process has one running; of several processes' workers one gets the lock."""
        if self._process is None or self._process.poll() is not None:
            arguments = (self._kind, str(self._path), str(os.getpid()))
            self._process = subprocess.Popen([sys.executable, "-m", "tillit.cli.processes", *arguments])


def imports(path: Path, parent: int) -> int:
    """Import uploaded files, one after the other, until none waits."""
    os.nice(10)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        run_imports(workspace, stop)
    return 0


def plans(path: Path, parent: int) -> int:
    """Find out what rules would change that somebody tries, one after the other, until none waits."""
    os.nice(10)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        workspace.folding.leave_to_others()
        run_plans(workspace, stop)
    return 0


def engine(path: Path, parent: int) -> int:
    """Fold until told to stop."""
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        while not stop.is_set():
            try:
                folding = workspace.folding.engine()
            except EngineBusy:
                # The engine of a server that was killed is still on its way out.
                stop.wait(0.2)
                continue
            folding.run(stop, poll_s=workspace.settings.engine.poll_ms / 1000)
        workspace.folding.release()
    return 0


def keeper(path: Path, parent: int) -> int:
    """Let the lake follow the fold, trim the log, let quarantined bytes expire, until told to stop."""
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        while not stop.is_set():
            try:
                with file_lock(workspace.paths.lake_lock, "lake"):
                    _keep(workspace, stop)
            except EngineBusy:
                stop.wait(0.2)
    return 0


def _keep(workspace: Workspace, stop: threading.Event) -> None:
    settings = workspace.settings
    lake = Lake.open(workspace.paths.lake)
    writer = LakeWriter(workspace.log, workspace.state, lake)
    housekeeping_at = 0.0
    sharing = Sharing(workspace)
    while not stop.wait(settings.lake.flush_s):
        if writer.catch_up():
            lake.compact()
        sharing.step()
        if clock.monotonic_s() >= housekeeping_at:
            housekeeping_at = clock.monotonic_s() + _HOUR_S
            now = workspace.now()
            workspace.folding.clear_checks()
            kept_from = now - settings.collect.quarantine_days * clock.DAY
            workspace.quarantine.expire(kept_from)
            forget_rejects(workspace.paths.rejects, before=kept_from)
            forget_uploads(workspace.paths.uploads, before=kept_from)
            forget_plans(workspace.paths.plans, before=now - clock.DAY)
            forget_exports(workspace.paths.exports, before=now - KEPT)
            if settings.log.retention_days:
                writer.trim(now - settings.log.retention_days * clock.DAY)
    lake.close()


class Sharing:
    """Lets the tables for others follow the lake: at once while that is cheap, else a tenth of the time."""

    def __init__(self, workspace: Workspace) -> None:
        """Nothing is shared yet."""
        self._workspace = workspace
        self._position = -1
        self._next_s = self._latest_s = 0.0

    def step(self) -> None:
        """Do a round when something happened since the last, or when a consent may have ended by itself."""
        position, now_s = self._workspace.folding.position(), clock.monotonic_s()
        if now_s < self._next_s or (position == self._position and now_s < self._latest_s):
            return
        with contextlib.suppress(BusyError):
            self._workspace.shares.share_all()
            self._position = position
        took_s = clock.monotonic_s() - now_s
        self._next_s, self._latest_s = now_s + 10 * took_s, now_s + max(_SHARED_ANEW_S, 10 * took_s)


def _stop_event(parent: int) -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _stop_with_parent(parent, stop.set)
    return stop


def _stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Stop when the supervisor is gone, however and whenever it went: it may have been killed while we started."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: at once, on Linux

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        stop()

    threading.Thread(target=watch, name="tillit-parent", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run one process: `engine FOLDER PARENT`, `keeper`, `imports`, `plans`.

    `web FOLDER PARENT LISTENER HOLDING NUMBER N`: LISTENER and HOLDING are descriptors; NUMBER of N from 0. PARENT is
    the supervisor's process id.
    """
    kind, folder, parent = arguments[0], Path(arguments[1]), int(arguments[2])
    try:
        if kind == "web":
            listener, shared, number, n_web = map(int, arguments[3:7])
            return web(folder, parent, socket.socket(fileno=listener), holding=Holding(shared, n_web), number=number)
        return {"engine": engine, "imports": imports, "keeper": keeper, "plans": plans}[kind](folder, parent)
    except TillitError as error:
        print(f"{kind}: {error.message}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
