"""Connections: how much and how slowly a stranger may say before there is a request to answer.

In:    bytes of one HTTP/1.1 connection.
Out:   requests, handed to the application; one shape of error for what is no request.
Never: a head or a body awaited for ever; a head held in memory without a bound; a line in the log per bad request.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tillit.errors import InputError

# Twice the time in which the tracking API itself gives up on a body: whoever is slower holds the connection, no more.
REQUEST_S = 60.0
_LOOK_EVERY_S = 5.0
# Web servers commonly take 8 to 32 kB; an SDK's longest pixel address stays below 16 kB.
MAX_HEAD_BYTES = 65_536


class UnreadableRequest(InputError):
    """The bytes are no HTTP/1.1 request, or one that two readers could read differently."""

    code = "http.unreadable-request"

    def __init__(self) -> None:
        """Name the usual reason."""
        super().__init__(
            "This is no HTTP/1.1 request, or an ambiguous one (two lengths, a length beside chunks). Mend it."
        )


class HeadTooLarge(InputError):
    """The address and the headers are longer than any request needs."""

    code = "http.head-too-large"
    status: ClassVar[int] = 431

    def __init__(self) -> None:
        """Say how long they may be."""
        super().__init__(
            f"The address and headers may hold {MAX_HEAD_BYTES} bytes together. Send long values in the body.",
            most_bytes=MAX_HEAD_BYTES,
        )


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the head's size and on the time until a request is there."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch."""
        super().connection_made(transport)
        self._awaited_since: float | None = self.loop.time()
        self._is_in_head = True
        self._head_bytes = 0
        self._n_heads = 0
        self._watch = self.loop.call_later(_LOOK_EVERY_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._unset_keepalive_if_required()
        n_heads = self._n_heads
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # to nothing: the request itself is answered
        except httptools.HttpParserError:
            self._refuse(UnreadableRequest())
            return
        # Bytes that ended a head, or a body, are not counted: the next head starts with the next bytes.
        if self._is_in_head and self._n_heads == n_heads:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadTooLarge())

    def on_message_begin(self) -> None:
        """Note when a request began."""
        super().on_message_begin()
        self._awaited_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Leave the head: what follows is bounded by whoever reads it."""
        self._is_in_head = False
        self._n_heads += 1
        # An application that knows who is speaking may wait longer for the rest: a colleague's upload takes its time.
        self.scope["tillit.wait_longer"] = self._wait_longer  # type: ignore[typeddict-unknown-key]  # ours
        super().on_headers_complete()

    def _wait_longer(self) -> None:
        if self._awaited_since is not None:
            self._awaited_since = self.loop.time()

    def on_message_complete(self) -> None:
        """Note that the whole request is there."""
        self._awaited_since = None
        self._is_in_head = True
        self._n_heads += 1
        self._head_bytes = 0
        super().on_message_complete()

    def _look(self) -> None:
        since = self._awaited_since
        if since is not None and self.loop.time() - since > REQUEST_S:
            self.transport.close()
            return
        self._watch = self.loop.call_later(_LOOK_EVERY_S, self._look)

    def _refuse(self, fault: InputError) -> None:
        if self.transport.is_closing():
            return
        body = msgspec.json.encode(fault.as_document())
        head: list[Any] = [
            f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()
