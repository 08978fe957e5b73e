"""How the abuse tests knock: the words of a stranger, said to one real server.

In:    a running server.
Out:   answers, and what became of what was sent: log, fate, quarantine, profile.
Never: a way in that a stranger does not have; the workspace's files are only read, to see the truth.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tests.running import Answer, RunningServer, basic


class Stranger:
    """Somebody who sends what they like. Every name they use is their own, so that tests never meet."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.mark = uuid.uuid4().hex[:12]

    def name(self, word: str) -> str:
        return f"{word}-{self.mark}"

    def post(
        self, path: str, body: bytes, *, key: str | None = "secret", headers: Mapping[str, str] | None = None
    ) -> Answer:
        told = {"Content-Type": "application/json", **(headers or {})}
        if key is not None and "Authorization" not in told:
            told["Authorization"] = basic(self.server.keys.get(key) or (self.server.keys[key] if key in KINDS else key))
        return self.server.request("POST", path, body=body, headers=told)

    def batch(self, *events: bytes | Mapping[str, Any], key: str = "secret") -> Answer:
        """Send a batch and wait until it is in the profiles."""
        told = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        return self.post("/v1/batch?wait=applied", b'{"batch":[' + b",".join(told) + b"]}", key=key)

    def good(self, word: str = "good") -> dict[str, Any]:
        """An event that nothing is wrong with."""
        name = self.name(word)
        return {"type": "track", "event": "Good", "userId": name, "messageId": name}

    def profile(self, word: str, namespace: str = "user_id") -> dict[str, Any] | None:
        return self.server.find_profile(f"{namespace}:{self.name(word)}")

    def taken(self) -> list[dict[str, Any]]:
        """Every event of the log that bears this stranger's mark."""
        return [body for _, body in self.server.log_events() if self.mark in json.dumps(body)]

    def quarantined(self) -> list[tuple[str, bytes]]:
        """(code, bytes) of everything in quarantine that bears this stranger's mark, or that it just sent."""
        address = f"file:{quote(str(self.server.workspace / 'log.db'))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            rows = connection.execute("SELECT code, raw FROM quarantine ORDER BY quarantine_id").fetchall()
        return [(str(code), bytes(raw)) for code, raw in rows if self.mark.encode() in bytes(raw)]

    def is_served_as_before(self) -> bool:
        """Say whether a normal event of a normal sender still becomes a profile."""
        name = f"after-{uuid.uuid4().hex[:8]}"
        answer = self.server.send("/v1/track?wait=applied", {"userId": name, "event": "Normal"})
        found = self.server.find_profile(f"user_id:{name}")
        return answer.status == 200 and found is not None and found["counts"] == {"Normal": 1}

    def say(self, data: bytes, *, wait_s: float = 3.0, more: Sequence[bytes] = ()) -> bytes:
        """Send bytes on a connection of its own and give everything that comes back until it is quiet or closed."""
        target = ("127.0.0.1", self.server.port)
        heard = b""
        with socket.create_connection(target, timeout=wait_s) as wire, contextlib.suppress(TimeoutError, OSError):
            for part in (data, *more):
                wire.sendall(part)
            while part := wire.recv(65_536):
                heard += part
        return heard

    def authorization(self, key: str = "secret") -> bytes:
        return f"Authorization: {basic(self.server.keys[key])}\r\n".encode()


KINDS = ("public", "secret", "api")


def codes(answer: Answer) -> list[str]:
    return [rejected["code"] for rejected in answer.json()["rejected"]]


def status_of(heard: bytes) -> int:
    return int(heard.split(b" ", 2)[1]) if heard.startswith(b"HTTP/") else 0


def raw_event(user: str, inside: bytes, *, message_id: str | None = None) -> bytes:
    """A track event whose properties are these bytes, whatever they are."""
    own = json.dumps(message_id or user).encode()
    return (
        b'{"type":"track","event":"Bad","userId":'
        + json.dumps(user).encode()
        + b',"messageId":'
        + own
        + b',"properties":'
        + inside
        + b"}"
    )
