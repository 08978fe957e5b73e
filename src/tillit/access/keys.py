"""Keys: who may knock, and what for.

In:    a key as it was sent.
Out:   the `Key` it is, or None.
Never: the key itself in a store, a log or an error; an identity key taken for one that may knock.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tillit.errors import InputError, NotFound
from tillit.records import TRUST_CLAIMED, TRUST_SERVER
from tillit.store import SqliteState

KINDS = ("public", "secret", "api", "identity")
_COLUMNS = "key_id, kind, source, scopes, purpose, origins, created_at, revoked_at, public_key"
_PREFIX = {"public": "pk_", "secret": "sk_", "api": "ak_"}
API_SCOPES = (
    "profiles:read",
    "events:read",
    "identity:read",
    "identity:write",
    "rules:read",
    "rules:write",
    "consent:read",
    "consent:write",
    "privacy:read",
    "privacy:write",
    "quarantine:read",
    "quarantine:write",
    "messages:send",
    "messages:read",
    "destinations:read",
    "destinations:write",
    "audiences:read",
    "keys:read",
    "keys:write",
    "feedback:write",
    "verifications:write",
    "metrics:read",
)


class Key(NamedTuple):
    """One key, as the registry knows it."""

    key_id: str
    kind: str  # public: browsers and apps, may only append; secret: servers; api: reading; identity: signs tokens
    source: str
    scopes: tuple[str, ...]
    purposes: tuple[str, ...]  # what an api key may read for; the first is its own, when none is named
    origins: tuple[str, ...]  # of a public key: which pages may use it; empty: any
    created_at: int
    revoked_at: int | None
    public_key: str = ""  # of an identity key: what its signatures are checked with (`x` of RFC 8037)

    def lives_at(self, now: int) -> bool:
        """Say whether it opens anything: a key that is being replaced may have an end in the future."""
        return self.revoked_at is None or now < self.revoked_at

    @property
    def purpose(self) -> str:
        """Give what it reads for when no purpose is named."""
        return self.purposes[0]

    @property
    def trust(self) -> int:
        """Say how far events sent with this key are trusted."""
        return TRUST_SERVER if self.kind == "secret" else TRUST_CLAIMED

    @property
    def may_send(self) -> bool:
        """Say whether events are sent with it."""
        return self.kind in {"public", "secret"}


class Keys:
    """The keys of one workspace, held in memory and read again when the registry changed."""

    def __init__(self, registry: SqliteState, *, now: Callable[[], int]) -> None:
        """Read the registry."""
        self._registry = registry
        self._now = now
        self._by_hash: dict[bytes, Key] = {}
        self._identity: dict[str, Key] = {}
        self._version = -1
        self._known: dict[str, bytes] = {}

    def create(
        self,
        kind: str,
        source: str,
        *,
        scopes: Sequence[str] = (),
        purposes: Sequence[str] = ("service",),
        origins: Sequence[str] = (),
    ) -> tuple[str, Key]:
        """Make a key. The first part of the answer is the key itself: it cannot be asked for again.

        An identity key is a private JSON Web Key (RFC 8037), in one line.
        """
        if kind not in KINDS:
            raise InputError(
                f"A key is one of {', '.join(KINDS)}, not {kind!r}.", code="access.unknown-kind", kind=kind
            )
        if not source or len(source) > 64 or any(c.isspace() or not c.isprintable() for c in source):
            raise InputError(
                "A source's name is 1 to 64 printable characters without spaces, such as 'web' or 'till-3'.",
                code="access.bad-source",
            )
        unknown = sorted(set(scopes) - set(API_SCOPES))
        if unknown:
            raise InputError(
                f"Unknown scope {', '.join(unknown)}. There are: {', '.join(API_SCOPES)}.",
                code="access.unknown-scope",
                scopes=unknown,
            )
        if scopes and kind != "api":
            raise InputError("Only api keys have scopes: the others can only send events.", code="access.scope-not-api")
        if kind == "api" and not scopes:
            scopes = ("profiles:read", "events:read", "quarantine:read")
        key_id = "k_" + secrets.token_hex(6)
        plain, public_key = _key_pair(key_id) if kind == "identity" else (_PREFIX[kind] + secrets.token_urlsafe(24), "")
        made_at = self._now()
        told = tuple(dict.fromkeys(purposes)) or ("service",)
        key = Key(key_id, kind, source, tuple(sorted(scopes)), told, tuple(origins), made_at, None, public_key)
        with self._registry.transaction() as tx:
            tx.execute(
                "INSERT INTO access_key "
                "(key_id, key_hash, kind, source, scopes, purpose, origins, created_at, revoked_at, public_key) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                (
                    key.key_id,
                    _hash(plain),
                    kind,
                    source,
                    " ".join(key.scopes),
                    " ".join(key.purposes),
                    " ".join(key.origins),
                    key.created_at,
                    public_key,
                ),
            )
        self._version = -1
        return plain, key

    def find(self, plain: str) -> Key | None:
        """Give the living key that this text is, or None."""
        self._refresh()
        # Hashing is the price of never holding keys; a small memory of the last few spares it on every request.
        digest = self._known.get(plain)
        if digest is None:
            digest = _hash(plain)
            if digest in self._by_hash:
                if len(self._known) > 1_000:
                    self._known.clear()
                self._known[plain] = digest
        found = self._by_hash.get(digest)
        return found if found is not None and found.lives_at(self._now()) else None

    def find_identity(self, key_id: str) -> Key | None:
        """Give the living identity key of this id, or None."""
        self._refresh()
        found = self._identity.get(key_id)
        return found if found is not None and found.lives_at(self._now()) else None

    def list_all(self) -> list[Key]:
        """Give every key ever made, newest first, the revoked too."""
        rows = self._registry.read(f"SELECT {_COLUMNS} FROM access_key ORDER BY created_at DESC, key_id")
        return [_key(row) for row in rows]

    def rotate(self, key_id: str, *, old_lives_us: int | None) -> tuple[str, Key]:
        """Make a key like this one; the old one lives on for so long, or until it is revoked when None."""
        old = self._get(key_id)
        made = self.create(old.kind, old.source, scopes=old.scopes, purposes=old.purposes, origins=old.origins)
        if old_lives_us is not None:
            self.revoke(key_id, at=self._now() + old_lives_us)
        return made

    def revoke(self, key_id: str, *, at: int | None = None) -> None:
        """Stop a key, now or at an instant to come. Events it sent stay; what it sends after that is refused."""
        self._get(key_id)
        ends_at = self._now() if at is None else at
        with self._registry.transaction() as tx:
            tx.execute(
                "UPDATE access_key SET revoked_at = ? WHERE key_id = ? AND (revoked_at IS NULL OR revoked_at > ?)",
                (ends_at, key_id, ends_at),
            )
        self._version = -1

    def _get(self, key_id: str) -> Key:
        found = next((key for key in self.list_all() if key.key_id == key_id), None)
        if found is None:
            raise NotFound(
                f"There is no key {key_id[:16]!r}. `tillit keys list` shows them.", code="access.unknown-key"
            )
        return found

    def _refresh(self) -> None:
        # Asked for every request: a key revoked in one process is refused by all from then on.
        version = self._registry.data_version()
        if version == self._version:
            return
        rows = self._registry.read(
            f"SELECT {_COLUMNS}, key_hash FROM access_key WHERE revoked_at IS NULL OR revoked_at > ?", (self._now(),)
        )
        keys = {bytes(row[-1]): _key(row[:-1]) for row in rows}
        self._by_hash = {digest: key for digest, key in keys.items() if key.kind != "identity"}
        self._identity = {key.key_id: key for key in keys.values() if key.kind == "identity"}
        self._known.clear()
        self._version = version  # last: keys that could not be read must not count as read


def _key(row: tuple[object, ...]) -> Key:
    key_id, kind, source, scopes, purposes, origins, created_at, revoked_at, public_key = row
    return Key(
        str(key_id),
        str(kind),
        str(source),
        tuple(str(scopes).split()),
        tuple(str(purposes).split()),
        tuple(str(origins).split()),
        int(str(created_at)),
        int(str(revoked_at)) if revoked_at is not None else None,
        str(public_key),
    )


def _key_pair(key_id: str) -> tuple[str, str]:
    """Make an Ed25519 key: the private one as a JSON Web Key that names itself, and the public one alone."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # loads where it is needed

    made = Ed25519PrivateKey.generate()
    public, private = (
        base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        for half in (made.public_key().public_bytes_raw(), made.private_bytes_raw())
    )
    told = {"kty": "OKP", "crv": "Ed25519", "x": public, "d": private, "kid": key_id, "alg": "EdDSA", "use": "sig"}
    return json.dumps(told, separators=(",", ":")), public


def _hash(plain: str) -> bytes:
    # A key has 192 random bits: a plain sha256 cannot be turned back, and a slow hash would only slow the door.
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
