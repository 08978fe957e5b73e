"""Tombstones: who was erased, told by nothing but keyed hashes, and what they stop.

In:    the identifiers of somebody who was erased; what an event says of itself.
Out:   rows of erasures.db; whether an event is refused as erased.
Never: an identifier in plain; a look-up that grows with how many were erased.

A tombstone stops what was sent or dated before the erasure, whoever sends it. What comes later may name an erased
*device*: it begins a new profile. Any other erased identifier needs a new act first: an identity token that proves
it, or a server's word about something that it dates after the erasure. From that act on the identifier is open.
"""

import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tillit.errors import InternalError
from tillit.records import TRUST_OPERATOR, TRUST_SERVER
from tillit.store import SqliteState

_HASH_BYTES = 16  # 128 bits of HMAC-SHA256: no two of 10^9 identifiers share one (derived)
_MESSAGE = b"message\0"
_IDENTIFIER = b"identifier\0"

Key = tuple[str, str]  # namespace, normalised value


class PepperLost(InternalError):
    """The secret with which tombstones were hashed is not the one that is here."""

    code = "privacy.pepper-lost"

    def __init__(self) -> None:
        """Say which file to bring back."""
        super().__init__(
            "erasures.db was written with another secret than registry.db holds: it would let erased people back in. "
            "Bring back the registry.db of this workspace, from any back-up made since it was first opened with "
            "erasures."
        )


class Said(NamedTuple):
    """What the judgement needs of one event."""

    keys: Sequence[Key]  # its identifiers, under all rules that any erasure was made under
    proven: frozenset[Key]  # those that an identity token proves
    message_hash: bytes
    received_at: int  # UTC epoch microseconds
    event_at: int
    has_own_time: bool  # the sender named it; else it is that of arrival
    trust: int


class Judged(NamedTuple):
    """What tombstones make of one event."""

    is_refused: bool
    opens: tuple[bytes, ...] = ()  # identifiers that this event brings back, as a new act


class _Stone(NamedTuple):
    erased_at: int
    open_at: int | None
    is_device: bool


_PASSES, _REFUSED = Judged(is_refused=False), Judged(is_refused=True)


class Tombstones:
    """The tombstones of one workspace, held in memory and read again when they changed."""

    def __init__(self, store: SqliteState, pepper: Callable[[], bytes]) -> None:
        """Use erasures.db; the pepper is asked for once somebody was erased."""
        self._store = store
        self._pepper_of = pepper
        self._key = b""
        self._version = -1
        self._stones: dict[bytes, _Stone] = {}
        self._messages: set[bytes] = set()
        self.rules: tuple[str, ...] = ()  # texts of the rules under which erasures were made

    def refresh(self) -> bool:
        """Read what changed; say whether anybody was erased at all."""
        version = self._store.data_version()
        if version != self._version:
            self._load()
            self._version = version  # last: what could not be read must not count as read
        return bool(self._stones or self._messages)

    def reload(self) -> None:
        """Read again at the next look: this process itself wrote."""
        self._version = -1

    def _load(self) -> None:
        rows = self._store.read(
            "SELECT identifier_hash, erased_at, open_at, is_device FROM tombstone WHERE state = 'standing'"
        )
        for (kept,) in self._store.read("SELECT check_hash FROM tombstone_check"):
            if bytes(kept) != self.check_hash():
                raise PepperLost
        self._stones = {bytes(h): _Stone(erased, opened, bool(device)) for h, erased, opened, device in rows}
        self._messages = {bytes(h) for (h,) in self._store.read("SELECT message_hash FROM erased_message")}
        self.rules = tuple(str(text) for (text,) in self._store.read("SELECT DISTINCT rules FROM erasure"))

    def hash_of(self, key: Key) -> bytes:
        """Give the keyed hash of an identifier: HMAC-SHA256 over namespace, NUL and value."""
        return self._hash(_IDENTIFIER + "\0".join(key).encode("utf-8", "surrogatepass"))

    def hash_of_message(self, message_hash: bytes) -> bytes:
        """Give the keyed hash of a message."""
        return self._hash(_MESSAGE + message_hash)

    def check_hash(self) -> bytes:
        """Give what tells whether the pepper is the one that it was."""
        return self._hash(b"check\0")

    def commit(self, words: bytes) -> str:
        """Give a keyed hash that stands for something in a certificate: only this workspace can make it again."""
        return hmac.digest(self._pepper(), b"commitment\0" + words, "sha256").hex()

    def _hash(self, words: bytes) -> bytes:
        return hmac.digest(self._pepper(), words, "sha256")[:_HASH_BYTES]

    def _pepper(self) -> bytes:
        if not self._key:
            self._key = self._pepper_of()
        return self._key

    def judge(self, said: Said) -> Judged:
        """Say whether an event is refused as erased; `refresh` comes first, once a request."""
        if self._messages and self.hash_of_message(said.message_hash) in self._messages:
            return _REFUSED
        opens: list[bytes] = []
        for key in said.keys:
            hashed = self.hash_of(key)
            stone = self._stones.get(hashed)
            if stone is None:
                continue
            if said.event_at <= stone.erased_at or said.received_at <= stone.erased_at:
                return _REFUSED
            if stone.is_device or (stone.open_at is not None and said.event_at >= stone.open_at):
                continue
            if said.trust == TRUST_OPERATOR:
                continue
            if key not in said.proven and not (said.trust == TRUST_SERVER and said.has_own_time):
                return _REFUSED
            opens.append(hashed)
        return Judged(is_refused=False, opens=tuple(opens)) if opens else _PASSES

    def find_hashes(self, keys: Iterable[Key]) -> dict[Key, int]:
        """Give those of some identifiers that have a tombstone, with the instant of the erasure."""
        self.refresh()
        return {key: stone.erased_at for key in keys if (stone := self._stones.get(self.hash_of(key))) is not None}

    def open(self, hashes: Sequence[bytes], *, at: int) -> None:
        """Let identifiers come back from an instant on: a new act named them."""
        with self._store.transaction() as tx:
            tx.executemany(
                "UPDATE tombstone SET open_at = ? WHERE identifier_hash = ? AND (open_at IS NULL OR open_at > ?)",
                [(at, one, at) for one in hashes],
            )
        self.reload()
