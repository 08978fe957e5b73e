"""The two secrets of erasing: what tombstones are hashed with, what certificates are signed with.

In:    registry.db.
Out:   the pepper; a signing key.
Never: either of them beside what it protects: tombstones lie in erasures.db, certificates in files.
"""

import secrets
from typing import TYPE_CHECKING

from tillit.store import SqliteState

if TYPE_CHECKING:  # an outside package, loaded where something is signed
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PEPPER, SIGNING = "pepper", "signing"
_BYTES = 32


def make_secrets(registry: SqliteState) -> None:
    """Make what is missing: with the workspace, so that every back-up of the registry holds them."""
    known = {str(name) for (name,) in registry.read("SELECT name FROM erasure_secret")}
    missing = [(name, secrets.token_bytes(_BYTES)) for name in (PEPPER, SIGNING) if name not in known]
    if missing:
        with registry.transaction() as tx:
            tx.executemany(
                "INSERT INTO erasure_secret (name, secret) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", missing
            )


def load_pepper(registry: SqliteState) -> bytes:
    """Give what tombstones are hashed with."""
    return _load(registry, PEPPER)


def load_signing_key(registry: SqliteState) -> "Ed25519PrivateKey":
    """Give what certificates are signed with."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(_load(registry, SIGNING))


def load_signing_bytes(registry: SqliteState) -> bytes:
    """Give the 32 bytes of the key that certificates and consent records are signed with."""
    return _load(registry, SIGNING)


def _load(registry: SqliteState, name: str) -> bytes:
    return bytes(registry.read("SELECT secret FROM erasure_secret WHERE name = ?", (name,))[0][0])
