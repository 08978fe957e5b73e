"""The web process: takes events and answers questions.

In:    a workspace folder, the listening socket, what the web processes share.
Out:   tracking, API and console behind one address, until told to stop or the supervisor is gone.
Never: an access log (paths may hold identifiers).
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from tillit import clock
from tillit.api import Api, create_api
from tillit.cli.connections import BoundedConnection
from tillit.cli.parent import WorkerStarter, stop_with_parent
from tillit.cli.sharing import Acceptor, Holding
from tillit.collect.files import Uploads
from tillit.collect.routes import TrackingApi
from tillit.console import create_console
from tillit.flow import quiet_garbage_collector
from tillit.portal import create_portal
from tillit.store import GroupCommit
from tillit.workspace import Workspace

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_APPLIED_POLL_S = 0.004


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
            stop_with_parent(parent, lambda: setattr(server, "should_exit", True))
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


def build_app(workspace: Workspace, commit: GroupCommit, api: Api, plans: WorkerStarter) -> App:
    """Put the doors behind one address: tracking, programs, staff, recipients of messages."""

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
    portal = create_portal(workspace, slowly=api.slowly)
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
        elif portal.knows(path):
            await portal(scope, receive, send)
        elif path.startswith("/console"):
            await console(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


async def _redirect(send: Send, where: str) -> None:
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", where.encode())]})
    await send({"type": "http.response.body", "body": b""})
