"""Stand between an SDK and the server, and fail as networks and servers fail, on a script.

In:    the server's url, and plans: for each new body that is posted, what shall happen to its attempts in turn.
Out:   a url to give to the SDK, and `attempts`: all that went by, what was done to it and what the server said.
Never: changes a byte of what passes. A request reaches the server as the SDK wrote it, or not at all.

A body is known by its first message id, so a resend is recognised as the next attempt of the same body and a plan
happens to it whatever else is sent at the same time. After its plan, and for bodies beyond the last plan, all passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """What happens to one attempt."""

    name: str
    forwarded: bool = True  # does the server get to see it?
    status: int | None = None  # answered by us in place of the server
    retry_after: str | None = None
    readable: bool = True  # does our answer carry the CORS headers that let a page's script read it?
    cut: bool = False  # the connection ends in place of an answer
    wait_s: float = 0.0  # time the attempt spends on its way back


PASSES = Fault("passes")
REFUSED = Fault("503, not stored", forwarded=False, status=503)
REFUSED_FOR_1_S = Fault("503 with Retry-After, not stored", forwarded=False, status=503, retry_after="1")
REFUSED_UNREADABLY = Fault("503 without CORS headers, not stored", forwarded=False, status=503, readable=False)
STORED_BUT_REFUSED = Fault("503 after it was stored", status=503)
STORED_BUT_REFUSED_FOR_1_S = Fault("503 with Retry-After after it was stored", status=503, retry_after="1")
STORED_BUT_REFUSED_UNREADABLY = Fault("503 without CORS headers after it was stored", status=503, readable=False)
CUT = Fault("connection cut, not stored", forwarded=False, cut=True)
STORED_BUT_CUT = Fault("connection cut after it was stored", cut=True)
SLOW = Fault("slow", wait_s=0.3)


def too_slow(seconds: float) -> Fault:
    """Stored, but answered later than the SDK is willing to wait."""
    return Fault("stored, answered after the SDK's patience", wait_s=seconds)


@dataclass
class Attempt:
    """One request that came by."""

    method: str
    path: str
    headers: dict[str, str]
    message_ids: tuple[str, ...]
    fault: Fault
    server_said: int | None = None  # status of the server's own answer
    told: int | None = None  # status the SDK was given


@dataclass
class _Message:
    """One HTTP message with the bytes it came as."""

    first_line: str
    headers: dict[str, str]
    raw: bytes
    body: bytes = b""


@dataclass
class FaultyProxy:
    """A reverse proxy in a thread of its own; use as a context manager."""

    server_url: str
    plans: Sequence[Sequence[Fault]] = ()
    meanwhile: Fault | None = None  # befalls all that is posted for as long as it is set, plans or not
    attempts: list[Attempt] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self._waiting = [list(plan) for plan in self.plans]
        self._left: dict[str, list[Fault]] = {}
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    # -- what a test asks

    @property
    def acknowledged(self) -> set[str]:
        """Message ids for which the SDK was told 200 by the server itself."""
        return {each for it in self.attempts if it.told == it.server_said == 200 for each in it.message_ids}

    @property
    def posted(self) -> set[str]:
        """Message ids that were posted at all."""
        return {each for it in self.attempts if it.method == "POST" for each in it.message_ids}

    def happened(self) -> list[str]:
        """The names of the faults that befell an attempt, in order."""
        return [it.fault.name for it in self.attempts if it.fault is not PASSES]

    def unused(self) -> int:
        """How many planned faults have not happened: a test that injected nothing has shown nothing."""
        return sum(map(len, self._waiting)) + sum(map(len, self._left.values()))

    # -- the proxy itself

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stopping.wait()
        server.close()
        # A browser opens connections in advance, also at this moment: until none is left, and each has had its turn
        # of the loop to close its socket.
        while self._open:
            for task in tuple(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await asyncio.sleep(0.01)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle the requests of one connection, one after the other."""
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while request := await _read_message(reader, is_request=True):
                    if not await self._handle(request, writer):
                        break
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _handle(self, request: _Message, writer: asyncio.StreamWriter) -> bool:
        """Do to one request what was planned for it; False when the connection is over."""
        method, path, _ = request.first_line.split(" ", 2)
        message_ids = _message_ids(request)
        fault = self._fault_for(method, message_ids, request.body)
        attempt = Attempt(method, path, request.headers, message_ids, fault)
        self.attempts.append(attempt)

        answer = b""
        if fault.forwarded:
            response = await self._ask_server(request)
            attempt.server_said, answer = int(response.first_line.split(" ")[1]), response.raw
        await asyncio.sleep(fault.wait_s)
        if fault.cut:
            _reset(writer)
            return False
        if fault.status is not None:
            answer = _refusal(fault, request.headers.get("origin"))
        writer.write(answer)
        await writer.drain()
        attempt.told = fault.status if fault.status is not None else attempt.server_said
        return True

    def _fault_for(self, method: str, message_ids: tuple[str, ...], body: bytes) -> Fault:
        if method != "POST":
            return PASSES
        if self.meanwhile is not None:
            return self.meanwhile
        known_as = message_ids[0] if message_ids else body.hex()
        if known_as not in self._left:
            self._left[known_as] = self._waiting.pop(0) if self._waiting else []
        plan = self._left[known_as]
        return plan.pop(0) if plan else PASSES

    async def _ask_server(self, request: _Message) -> _Message:
        target = urlsplit(self.server_url)
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        try:
            writer.write(request.raw)
            await writer.drain()
            response = await _read_message(reader, is_request=False)
            if response is None:
                raise ConnectionResetError("the server hung up")
            return response
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _read_message(reader: asyncio.StreamReader, *, is_request: bool) -> _Message | None:
    """Read one HTTP/1.1 message, whole; None when the other side is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        if ended.partial:
            raise
        return None
    first_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    message = _Message(first_line, headers, head)
    if "chunked" in headers.get("transfer-encoding", ""):
        while True:
            size_line = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(size_line.split(b";")[0], 16) + 2)
            message.raw += size_line + chunk
            if chunk == b"\r\n":
                return message
            message.body += chunk[:-2]
    if not is_request and first_line.split(" ")[1] in {"204", "304"}:
        return message
    message.body = await reader.readexactly(int(headers.get("content-length", "0")))
    message.raw += message.body
    return message


def _message_ids(request: _Message) -> tuple[str, ...]:
    body = request.body
    try:
        content = json.loads(gzip.decompress(body) if "gzip" in request.headers.get("content-encoding", "") else body)
    except (ValueError, OSError, EOFError, zlib.error):
        return ()
    batch = content.get("batch", [content]) if isinstance(content, dict) else []
    return tuple(item["messageId"] for item in batch if "messageId" in item)


def _refusal(fault: Fault, origin: str | None) -> bytes:
    """A refusal as the server itself would word it."""
    body = b'{"error":{"code":"store.full","message":"Not stored. Try again.","details":{}}}'
    lines = [
        f"HTTP/1.1 {fault.status} Service Unavailable",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if fault.retry_after is not None:
        lines.append(f"Retry-After: {fault.retry_after}")
    if origin is not None and fault.readable:
        lines += [
            f"Access-Control-Allow-Origin: {origin}",
            "Access-Control-Allow-Credentials: true",
            "Access-Control-Expose-Headers: Retry-After",
            "Vary: Origin",
        ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a reset, as a crashed machine or a dropped route does, not with a polite goodbye."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
