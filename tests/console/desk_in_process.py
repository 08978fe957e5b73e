"""The console's pages without a server: one workspace whose clock a test moves, one session of any role.

In:    a folder; the role of who sits at the desk.
Out:   pages as answers; forms that carry the session's token.
Never: a real clock, a socket, an engine that runs by itself.
"""

from __future__ import annotations

import asyncio
import uuid
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from litestar.exceptions import LitestarDeprecationWarning

from tests.running import Answer
from tests.still_clock import Clock
from tillit.access import ROLES
from tillit.console import create_console
from tillit.console.sessions import form_token_of
from tillit.workspace import Workspace, create_workspace

NOON = 1_750_000_000_000_000 // 60_000_000 * 60_000_000  # a whole minute


class DeskInProcess:
    """A workspace and its console."""

    def __init__(self, folder: Path) -> None:
        create_workspace(folder)
        self.clock = Clock(NOON)
        self.ws = Workspace(folder, now=self.clock.now)
        for role in ROLES:
            self.ws.operators.create(login=role, name=role.title(), role=role)
        self.become("admin")
        self.n_starts = 0
        with warnings.catch_warnings():
            # How a parameter's place is written changes with Litestar 3; a served console shows no warning.
            warnings.simplefilter("ignore", LitestarDeprecationWarning)
            self.app = create_console(self.ws, start_imports=self._note_start)

    def _note_start(self) -> None:
        self.n_starts += 1

    def become(self, role: str) -> None:
        """Sit down as the operator of one role."""
        operator = next(one for one in self.ws.operators.list_all() if one.login == role)
        cookie = self.ws.sessions.open(operator.operator_id, via="link")
        self.token = form_token_of(cookie)
        self.cookie = f"{self.ws.sessions.cookie_name}={cookie}"

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, fields: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **headers: str) -> Answer:
        pairs = [("form_token", self.token), *(fields.items() if isinstance(fields, Mapping) else fields)]
        headers = {"content-type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", path, urlencode(pairs).encode(), headers)

    def upload(self, path: str, name: str, content: bytes, *, token: str | None = None) -> Answer:
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token or self.token}'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + content,
            f"--{boundary}--\r\n".encode(),
        ]
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return self.ask("POST", path, b"\r\n".join(parts), headers)

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        # In a thread: where a browser test ran before, a loop is running in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(self._ask(method, path, body, headers))).result()

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        place, _, query = path.partition("?")
        told = {"host": "127.0.0.1", "cookie": self.cookie, "sec-fetch-site": "same-origin", **headers}
        told["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": place,
            "raw_path": place.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        chunks = [body[i : i + 65_536] for i in range(0, len(body), 65_536)] or [b""]
        sent: list[Any] = []
        is_answered = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if chunks:
                return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}
            await is_answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                is_answered.set()

        await self.app(scope, receive, send)
        start = next(one for one in sent if one["type"] == "http.response.start")
        found = {bytes(name).decode().lower(): bytes(value).decode() for name, value in start["headers"]}
        content = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
        return Answer(start["status"], found, content)

    def close(self) -> None:
        self.ws.close()
