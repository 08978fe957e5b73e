"""Asked: messages that were asked for, so that whoever asks twice under one key is answered alike, and sends once.

In:    a key of whoever asks, and what they ask for.
Out:   whether the same was asked for before; where the request stands in the log.
Never: the key, or what was asked for, in plain: keyed hashes alone.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tillit.deliver.requests import RequestInvalid
from tillit.errors import InputError
from tillit.store import SqliteState

_LONGEST_KEY = 256
_encode = msgspec.json.Encoder(order="deterministic").encode


class KeyReused(InputError):
    """A key under which a message was asked for comes with another message."""

    code = "deliver.key-reused"
    status = 409

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "Another message was asked for under this key. Send the same request again, or choose a new key."
        )


class AskedFor(NamedTuple):
    """A message that was asked for. Grain: one per key of whoever asks; without a key, one per request."""

    request_hash: bytes
    body_hash: bytes  # empty: the person was erased
    delivery_key: bytes
    template: str
    position: int  # of the request in the log; 0: it is not there yet
    asked_at: int  # UTC epoch microseconds


_COLUMNS = ", ".join(AskedFor._fields)


class AskedMessages:
    """The messages that were asked for in one workspace. `secret` keys the hashes."""

    def __init__(self, store: SqliteState, *, secret: bytes, now: Callable[[], int]) -> None:
        """Use the deliveries' store."""
        self._store = store
        self._secret = secret
        self._now = now

    def name(self, asked_by: str, key: str) -> bytes:
        """Name a request: the same key of the same asker comes to the same. Raises RequestInvalid."""
        if not key:
            return secrets.token_bytes(16)
        if len(key) > _LONGEST_KEY or not key.isprintable():
            raise RequestInvalid(f"its key must be 1 to {_LONGEST_KEY} printable characters.")
        return self._hash(["key", asked_by, key])

    def note(self, request_hash: bytes, body: Sequence[object], delivery_key: bytes, template: str) -> AskedFor | None:
        """Note that a message is asked for; give what was noted before, if it was. Raises KeyReused."""
        body_hash = self._hash(["body", *body])
        with self._store.transaction() as tx:
            rows = tx.read(f"SELECT {_COLUMNS} FROM message_request WHERE request_hash = ?", (request_hash,))
            if not rows:
                tx.execute(
                    f"INSERT INTO message_request ({_COLUMNS}) VALUES (?, ?, ?, ?, 0, ?)",
                    (request_hash, body_hash, delivery_key, template, self._now()),
                )
                return None
        found = _asked_for(rows[0])
        if found.body_hash not in (body_hash, b""):
            raise KeyReused
        return found

    def place(self, request_hash: bytes, position: int) -> None:
        """Note where a request stands in the log: the log has it."""
        with self._store.transaction() as tx:
            tx.execute(
                "UPDATE message_request SET position = ? WHERE request_hash = ? AND position = 0",
                (position, request_hash),
            )

    def find(self, delivery_key: bytes) -> AskedFor | None:
        """Find what was asked for by the key of its delivery."""
        rows = self._store.read(f"SELECT {_COLUMNS} FROM message_request WHERE delivery_key = ?", (delivery_key,))
        return _asked_for(rows[0]) if rows else None

    def forget(self, subjects: Sequence[str]) -> None:
        """Let go of what messages to a person said."""
        with self._store.transaction() as tx:
            rows = tx.read_in("SELECT delivery_key FROM delivery WHERE subject_ref IN {in}", subjects)
            tx.executemany(
                "UPDATE message_request SET body_hash = ? WHERE delivery_key = ?", [(b"", k) for (k,) in rows]
            )

    def _hash(self, told: Sequence[object]) -> bytes:
        return hmac.digest(self._secret, _encode(told), "sha256")[:16]


def _asked_for(row: Sequence[object]) -> AskedFor:
    one = AskedFor(*row)  # type: ignore[arg-type]  # as the table has them
    return one._replace(
        request_hash=bytes(one.request_hash), body_hash=bytes(one.body_hash), delivery_key=bytes(one.delivery_key)
    )
