"""Knock at the door in process: a tiny ASGI client, keys, a log.

In:    requests.
Out:   answers, and what the log and the quarantine hold afterwards.
Never: a mock of the log: `Log` and `GroupCommit` are the real ones.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.still_clock import Clock
from tillit.collect.limits import Limits
from tillit.collect.quarantine import Quarantined, list_quarantined
from tillit.collect.routes import Commit, TrackingApi
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, LogRow
from tillit.store import GroupCommit, Log

NOON = 1_795_304_100_000_000  # 2026-11-21T23:35:00Z, half a minute after the SDKs were recorded


class FakeKey(NamedTuple):
    key_id: str
    kind: str = "public"
    source: str = "web"
    origins: tuple[str, ...] = ()

    @property
    def trust(self) -> int:
        return TRUST_SERVER if self.kind == "secret" else TRUST_CLAIMED


class KeyRing(dict[str, FakeKey]):
    def find(self, plain: str) -> FakeKey | None:
        return self.get(plain)


KEYS = KeyRing(
    PUB=FakeKey("k1"),
    SEC=FakeKey("k2", "secret", "till"),
    API=FakeKey("k3", "api", "web"),
    SHOP=FakeKey("k4", "public", "shop", ("https://shop.example", "https://*.shop.example")),
)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


class Shop:
    """One workspace's door with its log."""

    def __init__(self, folder: Path, *, limits: Limits | None = None, keys: KeyRing = KEYS) -> None:
        self.clock = Clock(NOON)
        self.limits = limits or Limits()
        self.log = Log.open(folder / "log.db")
        self.group_commit = GroupCommit(self.log, now=self.clock.now)
        self.waited: list[tuple[int, float]] = []
        self.is_applied = True
        self.api = self.with_commit(self.group_commit, keys=keys)

    def with_commit(self, commit: Commit, *, keys: KeyRing = KEYS) -> TrackingApi:
        return TrackingApi(
            keys=keys,
            commit=commit,
            limits=self.limits,
            now=self.clock.now,
            wait_applied=self._wait,
            monotonic_s=self.clock.monotonic_s,
            new_id=lambda: "made-here",
        )

    async def _wait(self, position: int, timeout_s: float) -> bool:
        self.waited.append((position, timeout_s))
        return self.is_applied

    def send(self, *args: Any, **kwargs: Any) -> Answer:
        return knock(self.api, *args, **kwargs)

    def track(self, **fields: Any) -> Answer:
        event = {"type": "track", "event": "Seen", "userId": "u1", "messageId": "m1", **fields}
        return self.send("POST", "/v1/track", json.dumps(event).encode(), headers=basic("PUB"))

    def batch(self, body: bytes, key: str = "PUB") -> Answer:
        return self.send("POST", "/v1/batch", body, headers=basic(key))

    def rows(self) -> list[LogRow]:
        return self.log.read(0, 10_000)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(row.body or b"{}") for row in self.rows()]

    def message_ids(self) -> list[str]:
        return [event["messageId"] for event in self.events()]

    def quarantined(self) -> list[Quarantined]:
        tables = self.log.tables()
        try:
            return list_quarantined(tables)
        finally:
            tables.close()

    def close(self) -> None:
        self.group_commit.close()
        self.log.close()


def knock(
    api: TrackingApi,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | Sequence[tuple[str, str]] = (),
    query: str = "",
    client: str = "203.0.113.77",
    chunks: Sequence[bytes] | None = None,
    is_endless: bool = False,
) -> Answer:
    """Send one request straight into the application."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
    }
    parts = [body] if chunks is None else list(chunks)
    waiting = [
        {"type": "http.request", "body": part, "more_body": is_endless or i + 1 < len(parts)}
        for i, part in enumerate(parts)
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()  # the sender falls silent
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(api(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], answered, b"".join(part["body"] for part in sent[1:]))
