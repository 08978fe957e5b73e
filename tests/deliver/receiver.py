"""A receiver of webhooks on this machine: real sockets, and any bytes that a test wants answered.

In:    what it answers to each request.
Out:   its address; the requests it had, as they came.
Never: better manners than a stranger's server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from tillit.clock import SECOND, now_us
from tillit.deliver.definitions import Destination, Limits
from tillit.deliver.outward import Allow, read_allow
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import EVENT, Outgoing
from tillit.deliver.wires.webhook import WebhookWire

HERE = read_allow(["127.0.0.1"])
AT = 1_795_312_000 * SECOND


class Request(NamedTuple):
    head: str
    headers: dict[str, str]  # by names in small letters
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """A server that keeps what it is sent, and how often somebody connected."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.requests: list[Request] = []
        self.n_connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?shop=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(first, headers, body)
                self.requests.append(request)
                await self.answering(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def receiver(
    answering: Answering, tls: ssl.SSLContext | None = None, *, port: int = 0
) -> AsyncIterator[Receiver]:
    """Run a receiver for a while."""
    one = Receiver(answering)
    under_way: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(one.serve(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls, limit=1 << 22)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in tuple(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def reply(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Write an answer."""
    told = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(told)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + told


def always(answer: bytes) -> Answering:
    """Answer each request with the same bytes."""

    async def answering(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return answering


def telling(judge: Callable[[Request], bytes]) -> Answering:
    """Answer each request with what is made of it."""

    async def answering(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(judge(request))
        await writer.drain()

    return answering


async def hang(_request: Request, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def break_off(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    linger = b"\1\0\0\0\0\0\0\0"  # on, for no time
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def destination(to: dict[str, Any], *, send: str = "events", timeout_s: float = 5.0, at_once: int = 8) -> Destination:
    """Give a destination as a definition would say it."""
    return Destination(
        destination="hooks",
        kind="webhook",
        purpose="service",
        send=send,  # type: ignore[arg-type]  # a test says one of the three
        to=to,
        limits=Limits(timeout_s=timeout_s, at_once=at_once),
    )


@contextlib.asynccontextmanager
async def wire(
    one: Destination,
    *,
    allow: Allow = HERE,
    secret: Callable[[str, str], Secret] | None = None,
    now: Callable[[], int] = now_us,
) -> AsyncIterator[WebhookWire]:
    """Open a wire for a while."""
    opened = WebhookWire(one, allow=allow, secret=secret or no_secret, now=now)
    try:
        yield opened
    finally:
        await opened.close()


def no_secret(name: str, host: str) -> Secret:
    raise AssertionError(f"nobody has {name} for {host}")


def outgoing(n: int = 0, kind: str = EVENT, name: str = "Order Completed", **payload: Any) -> Outgoing:
    """Give one thing that has leave to go."""
    return Outgoing(f"{n:032x}", kind, f"record-{n}", name, payload or {"total": 12.5, "city": "Zürich"}, AT)


class NamesLoop(asyncio.SelectorEventLoop):
    """A loop whose names stand for what a test says, one answer after the other, the last for ever."""

    def __init__(self, names: dict[str, list[list[str]]]) -> None:
        super().__init__()
        self.names = {name: list(answers) for name, answers in names.items()}
        self.n_asked = 0
        self.connected: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.n_asked += 1
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses
        ]

    async def sock_connect(self, sock: Any, address: Any) -> None:
        self.connected.append(address[0])
        await super().sock_connect(sock, address)
