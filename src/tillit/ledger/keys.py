"""The ledger's keys: one for each person, and the one that signs.

In:    profile ids.
Out:   a token and a cipher for each; what opens an entry again; keys destroyed.
Never: a profile id in the file; a key that was destroyed made anew for what was noted before.

The file lies apart from journal.db and registry.db, and is not backed up with them: a restored copy of a destroyed key
would undo an erasure. Whoever backs it up keeps that copy elsewhere and replaces it, and never keeps a row of them.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tillit.ledger.entries import SALT_BYTES, TOKEN_BYTES
from tillit.ledger.notes import public_key_of
from tillit.store import Reading, SqliteState, migrations_of

KEYS_MIGRATIONS = migrations_of("tillit.ledger", room="ledger", folder="migrations/keys")

NONCE_BYTES = 12  # what AES-GCM is made for
_KEY_BYTES = 32  # AES-256
# A blob that began with a random byte would now and then look like gzip to whoever looks for bytes.
_FORM = b"\x01"
_NEVER = -(1 << 63)
_MOST_REMEMBERED = 32_768  # people whose keys stay in memory between two entries; some 12 MB


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class SubjectKey(NamedTuple):
    """What one person's entries are sealed with."""

    token: bytes
    key: bytes
    shredded_at: int  # what was noted until then belongs to a key that is gone

    def __repr__(self) -> str:
        """Show nothing of what is inside."""
        return "SubjectKey(...)"

    def cipher(self) -> "_Cipher":
        """Give what seals with it. Made for each batch: remembered, it would take ten times the room of the key."""
        return _cipher(self.key)


class LedgerKeys:
    """The keys of one workspace, shared by its processes."""

    def __init__(
        self,
        store: SqliteState,
        *,
        now: Callable[[], int],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Use a file of keys; its secrets are made when there are none."""
        self._store = store
        self.now = now
        self._random_bytes = random_bytes
        self._remembered: OrderedDict[str, SubjectKey] = OrderedDict()
        self._lock = threading.RLock()
        store.migrate(KEYS_MIGRATIONS)
        # A committed key must be on disk before an entry is sealed with it; see `open`.
        self._hash_key = self._secret("subject-hash")
        self.signing_seed = self._secret("signing")
        self._last_shred = self._last_shredded_at()

    @classmethod
    def open(cls, path: Path, *, now: Callable[[], int]) -> "LedgerKeys":
        """Open the file of keys, or make one that only its owner may read."""
        path.touch(mode=0o600)
        return cls(SqliteState(path, synchronous="FULL", cache_kb=4_096), now=now)

    @property
    def public_key(self) -> bytes:
        """Give what checkpoints are checked with."""
        return public_key_of(self.signing_seed)

    def __repr__(self) -> str:
        """Show nothing of what is inside."""
        return "LedgerKeys(...)"

    def _secret(self, name: str) -> bytes:
        asked = "SELECT secret FROM ledger_secret WHERE name = ?"
        rows = self._store.read(asked, (name,))
        if not rows:
            with self._store.transaction() as tx:
                made = (name, self._random_bytes(_KEY_BYTES))
                # Another process may have been first.
                tx.execute("INSERT INTO ledger_secret (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING", made)
                rows = tx.read(asked, (name,))
        return bytes(rows[0][0])

    def of_subjects(self, subjects: Collection[str]) -> dict[str, SubjectKey]:
        """Give the key of each person, made when there is none yet; it is on disk before this returns."""
        with self._lock:
            self._forget_if_shredded()
            found = {}
            missing = []
            for subject in subjects:
                known = self._remembered.get(subject)
                if known is None:
                    missing.append(subject)
                else:
                    self._remembered.move_to_end(subject)
                    found[subject] = known
            if missing:
                made = self._load_or_make({self._hash(subject): subject for subject in missing})
                found |= made
                self._remembered |= made
                while len(self._remembered) > _MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
            return found

    def _load_or_make(self, subjects: dict[bytes, str]) -> dict[str, SubjectKey]:
        hashes = list(subjects)
        rows = self._store.read_in(_SELECT, hashes)
        if len(rows) < len(hashes):
            with self._store.transaction() as tx:
                rows = tx.read_in(_SELECT, hashes)  # another process may have been first
                known = {bytes(row[0]) for row in rows}
                made = [
                    (digest, self._random_bytes(TOKEN_BYTES), self._random_bytes(_KEY_BYTES))
                    for digest in hashes
                    if digest not in known
                ]
                tx.executemany("INSERT INTO subject_key (subject_hash, subject_token, key) VALUES (?, ?, ?)", made)
                rows += made
        shredded: dict[bytes, int] = dict(
            self._store.read_in(
                "SELECT subject_hash, shredded_at FROM shredded_subject WHERE subject_hash IN {in}", hashes
            )
        )
        return {
            subjects[bytes(digest)]: SubjectKey(bytes(token), bytes(key), shredded.get(bytes(digest), _NEVER))
            for digest, token, key in rows
        }

    def make_throwaway(self) -> SubjectKey:
        """Give a key that nobody keeps: for what was noted of a person before they were forgotten, and comes late."""
        return SubjectKey(self._random_bytes(TOKEN_BYTES), self._random_bytes(_KEY_BYTES), _NEVER)

    def find_tokens(self, subjects: Sequence[str]) -> list[bytes]:
        """Give the tokens of those people who have entries that can be read."""
        hashes = [self._hash(subject) for subject in subjects]
        return [bytes(row[1]) for row in self._store.read_in(_SELECT, hashes)]

    def find_ciphers(self, tokens: Collection[bytes]) -> dict[bytes, _Cipher]:
        """Give what opens the entries with these tokens; none where the key was destroyed."""
        rows = self._store.read_in(
            "SELECT subject_token, key FROM subject_key WHERE subject_token IN {in}", list(tokens)
        )
        return {bytes(token): _cipher(bytes(key)) for token, key in rows}

    def shred(self, subjects: Sequence[str]) -> int:
        """Destroy the keys of people, in the file and its write-ahead file; say how many there were."""
        hashes = [(self._hash(subject),) for subject in dict.fromkeys(subjects)]
        with self._lock:
            with self._store.transaction() as tx:
                # It strictly rises, so that every process sees that a key was destroyed, also when a clock goes back.
                at = max(self.now(), _newest(tx) + 1)
                n_keys = len(tx.read_in(_SELECT, [digest for (digest,) in hashes]))
                tx.executemany("DELETE FROM subject_key WHERE subject_hash = ?", hashes)
                tx.executemany("DELETE FROM shredded_subject WHERE subject_hash = ?", hashes)
                tx.executemany(
                    "INSERT INTO shredded_subject (subject_hash, shredded_at) VALUES (?, ?)",
                    [(digest, at) for (digest,) in hashes],
                )
            self._remembered.clear()
            self._store.scrub()
        return n_keys

    def count(self) -> tuple[int, int]:
        """Say how many people have a key, and how many had theirs destroyed."""
        [(n_keys,)] = self._store.read("SELECT COUNT(*) FROM subject_key")
        [(n_shredded,)] = self._store.read("SELECT COUNT(*) FROM shredded_subject")
        return int(n_keys), int(n_shredded)

    def _forget_if_shredded(self) -> None:
        # Another process may have destroyed a key that is remembered here.
        last = self._last_shredded_at()
        if last != self._last_shred:
            self._remembered.clear()
            self._last_shred = last

    def _last_shredded_at(self) -> int:
        return _newest(self._store)

    def _hash(self, subject: str) -> bytes:
        return hmac.digest(self._hash_key, subject.encode("utf-8", "surrogatepass"), "sha256")

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()


_SELECT = "SELECT subject_hash, subject_token, key FROM subject_key WHERE subject_hash IN {in}"


def _newest(reading: Reading) -> int:
    [(newest,)] = reading.read("SELECT MAX(shredded_at) FROM shredded_subject")
    return _NEVER if newest is None else int(newest)


def _cipher(key: bytes) -> _Cipher:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 40 ms to load

    return AESGCM(key)


def seal(cipher: _Cipher, token: bytes, text: bytes, *, salt: bytes, nonce: bytes) -> bytes:
    """Encrypt an entry's text and its salt. The token is bound in: a row cannot be given to somebody else."""
    return _FORM + nonce + cipher.encrypt(nonce, salt + text, token)


def unseal(cipher: _Cipher, token: bytes, sealed: bytes) -> tuple[bytes, bytes] | None:
    """Give an entry's salt and text; None when it was altered."""
    from cryptography.exceptions import InvalidTag

    begin = len(_FORM) + NONCE_BYTES
    if sealed[: len(_FORM)] != _FORM or len(sealed) < begin + SALT_BYTES:
        return None
    try:
        opened = cipher.decrypt(sealed[len(_FORM) : begin], sealed[begin:], token)
    except InvalidTag:
        return None
    return opened[:SALT_BYTES], opened[SALT_BYTES:]
