"""Traffic: bodies as the browser SDK sends them, about 770 bytes an event, and a client that sends them fast."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import NamedTuple, cast

import msgspec
import uvloop

_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"
_NAMES = ("Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed")


class Visits:
    """Visitors who come and go, as shops see them: a few hundred at a time, some eight events a visit."""

    def __init__(self, rng: Random, n_people: int, run: str, *, at_a_time: int = 300) -> None:
        """Begin with everyone who is there now."""
        self._rng = rng
        self._n_people = n_people
        self._run = run
        self._number = 0
        self._visits = [self._visit() for _ in range(at_a_time)]

    def _visit(self) -> list[int]:
        # A person, events left of this visit, and whether they sign in (half of them do).
        return [self._rng.randrange(self._n_people), 1 + int(self._rng.expovariate(1 / 7)), self._rng.random() < 0.5]

    def event(self, timestamp: str = "2026-11-22T10:00:00.000Z") -> dict[str, object]:
        """Give the next event of somebody's visit: one of ten says who they are."""
        place = self._rng.randrange(len(self._visits))
        person, left, signs_in = self._visits[place]
        self._visits[place][1] -= 1
        if left <= 1:
            self._visits[place] = self._visit()
        number = self._number
        self._number += 1
        told: dict[str, object] = {
            "timestamp": timestamp,
            "integrations": {"Segment.io": True},
            "type": "track",
            "event": _NAMES[number % len(_NAMES)],
            "properties": {
                "sku": f"sku-{number % 977}",
                "category": f"category-{number % 977 % 40}",
                "price": 12.5 + number % 89,
                "currency": "EUR",
                "position": number % 30,
            },
            "context": {
                "page": {
                    "path": "/p/47",
                    "referrer": "",
                    "search": "",
                    "title": "Shop",
                    "url": "https://shop.example/p/47",
                },
                "userAgent": _USER_AGENT,
                "locale": "sv-SE",
                "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
                "timezone": "Europe/Stockholm",
            },
            "messageId": f"ajs-next-{self._run}-{number:012d}-6eff838e-84fb-4ce0-b3e1",
            "anonymousId": f"6eff838e-84fb-4ce0-b3e1-{person:012d}",
        }
        if signs_in:
            told["userId"] = f"user-{person}"
            if self._rng.random() < 0.2:
                told["type"] = "identify"
                told["traits"] = {
                    "email": f"person-{person}@example.org",
                    "name": f"Person {person}",
                    "plan": "regular",
                }
                del told["event"], told["properties"]
        return told


def bodies(n_requests: int, *, per_request: int, n_people: int, run: str, seed: int = 1) -> list[bytes]:
    """Make request bodies with message ids that no other run has."""
    visits = Visits(Random(seed), n_people, run)
    encode = msgspec.json.encode
    made = []
    for _ in range(n_requests):
        batch = [visits.event() for _ in range(per_request)]
        one = per_request == 1
        made.append(encode(batch[0]) if one else encode({"batch": batch, "sentAt": "2026-11-22T10:00:00.000Z"}))
    return made


def post(path: str, body: bytes, key: str, host: str = "127.0.0.1") -> bytes:
    """Write one HTTP request."""
    import base64

    token = base64.b64encode(f"{key}:".encode()).decode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {token}\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, key: str, host: str = "127.0.0.1") -> bytes:
    """Write one HTTP request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


class Sent(NamedTuple):
    """What came of a load."""

    seconds: float
    latencies_ms: list[float]
    n_refused: int
    began_s: float  # by time.perf_counter


class _Client(asyncio.Protocol):
    def __init__(self, work: Iterator[tuple[bytes, float]], done: "asyncio.Future[None]", sent: list[float]) -> None:
        self._work = work
        self._done = done
        self._latencies = sent
        self._buffer = b""
        self.n_refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        request = next(self._work, None)
        if request is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        body, due_at = request
        wait = due_at - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, body, due_at)
        else:
            self._send(body, due_at)

    def _send(self, body: bytes, due_at: float) -> None:
        # From when it was due, not from when it could be sent: a slow server must not hide its own queue.
        self._began_at = due_at if due_at > 0 else time.perf_counter()
        self._transport.write(body)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = self._buffer[end + 4 + length :]
        if not head.startswith(b"http/1.1 200"):
            self.n_refused += 1
        self._latencies.append((time.perf_counter() - self._began_at) * 1000)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))


def load(port: int, requests: list[bytes], *, connections: int, per_second: float | None = None) -> Sent:
    """Send requests over kept connections: as fast as they are answered, or at a steady rate."""

    async def run() -> Sent:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        if per_second is None:
            work = iter([(request, 0.0) for request in requests])
        else:
            work = iter([(request, began + i / per_second) for i, request in enumerate(requests)])
        latencies: list[float] = []
        done, clients = [], []
        for _ in range(connections):
            future: asyncio.Future[None] = loop.create_future()
            _, client = await loop.create_connection(partial(_Client, work, future, latencies), "127.0.0.1", port)
            done.append(future)
            clients.append(client)
        await asyncio.gather(*done)
        return Sent(time.perf_counter() - began, latencies, sum(c.n_refused for c in clients), began)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
