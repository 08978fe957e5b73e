"""Ask an ASGI application as a program does, without a socket.

In:    a method, a target as it stands on the wire, a key.
Out:   the whole answer, or the frames of a stream as they come.
Never: decodes a target before the application does.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

App = Callable[..., Coroutine[Any, Any, None]]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


class Asker:
    """One event loop for all questions of a test, as a server has."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.runner.close()

    def __call__(
        self,
        method: str,
        target: str,
        *,
        key: str | None = None,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self.runner.run(ask(self.app, method, target, key=key, body=body, raw=raw, headers=headers))

    def get(self, target: str, key: str | None = None, **more: Any) -> Answer:
        return self("GET", target, key=key, **more)

    def post(self, target: str, body: Any, key: str | None = None, **more: Any) -> Answer:
        return self("POST", target, key=key, body=body, **more)


def scope_of(method: str, target: str, key: str | None, headers: Mapping[str, str] | None) -> dict[str, Any]:
    path, _, query = target.partition("?")
    sent = {"host": "localhost", **(headers or {})}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }


async def ask(
    app: App,
    method: str,
    target: str,
    *,
    key: str | None = None,
    body: Any = None,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    more = {**(headers or {})}
    if content:
        more = {"content-type": "application/json", "content-length": str(len(content)), **more}
    waiting = [{"type": "http.request", "body": content, "more_body": False}]
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(scope_of(method, target, key, more), receive, send)
    start = next(message for message in told if message["type"] == "http.response.start")
    whole = b"".join(message.get("body", b"") for message in told if message["type"] == "http.response.body")
    return Answer(start["status"], {n.decode().lower(): v.decode() for n, v in start["headers"]}, whole)


class Listener:
    """One open stream."""

    def __init__(self, app: App, target: str, key: str, headers: Mapping[str, str] | None = None) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._text = ""
        self._task = asyncio.get_running_loop().create_task(
            app(scope_of("GET", target, key, headers), self._receive, self._send)
        )

    async def _receive(self) -> dict[str, Any]:
        if not self._text:
            self._text = "asked"
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._messages.put(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()  # as servers do: when all is said, waiting for the other side ends

    async def status(self) -> int:
        return int((await asyncio.wait_for(self._messages.get(), 10))["status"])

    async def frames(self) -> AsyncIterator[str]:
        """Give frames until the server ends the stream."""
        while True:
            message = await asyncio.wait_for(self._messages.get(), 20)
            for frame in message["body"].decode().split("\n\n"):
                if frame:
                    yield frame
            if not message.get("more_body"):
                return

    async def events(self, n: int) -> list[dict[str, Any]]:
        """Give the next n events."""
        found: list[dict[str, Any]] = []
        async for frame in self.frames():
            lines = dict(line.split(": ", 1) for line in frame.split("\n"))
            if "data" in lines:
                found.append({"id": int(lines["id"]), **json.loads(lines["data"])})
            if len(found) == n:
                break
        return found

    async def leave(self) -> None:
        self._gone.set()
        await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 10)

    async def ended(self) -> None:
        await asyncio.wait_for(self._task, 10)
