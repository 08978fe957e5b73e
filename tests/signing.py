"""How the tests sign: what a shop's server does, and what a thief of one token or of none does.

In:    an identity key as `tillit keys create` prints it.
Out:   tokens, good and bad.
Never: a library that would refuse to make the bad ones.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def packed(part: bytes | Mapping[str, Any]) -> str:
    told = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(told).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


class Signer:
    """A server of the shop."""

    def __init__(self, key: str) -> None:
        self.key = json.loads(key)
        self._private = Ed25519PrivateKey.from_private_bytes(unpacked(self.key["d"]))

    def claims(self, sub: str, **more: Any) -> dict[str, Any]:
        """Give the claims of a good token; None takes one away."""
        told = {"sub": sub, "exp": int(time.time()) + 300, "jti": uuid.uuid4().hex, **more}
        return {name: value for name, value in told.items() if value is not None}

    def token(self, sub: str, **more: Any) -> str:
        """Make a good token, unless its claims say otherwise."""
        return self.sign({"alg": "EdDSA", "kid": self.key["kid"], "typ": "JWT"}, self.claims(sub, **more))

    def sign(self, header: Mapping[str, Any], claims: bytes | Mapping[str, Any]) -> str:
        """Sign any header over any claims."""
        signed = f"{packed(header)}.{packed(claims)}"
        return f"{signed}.{packed(self._private.sign(signed.encode()))}"
