"""Identity tokens: a customer proves who they are, by a word that the shop's server signed.

In:    a token as an event carried it, and when the event came.
Out:   what it proves, or why it proves nothing: a document that the door writes into the event.
Never: the token itself, or a word of it, in a store, a log or an error; an algorithm that the token chooses; an
       exception, whatever was sent.

Whether the token was used before is not asked here: that depends on the log, and the fold judges it.
Source: RFC 7519 (claims), RFC 7515 (compact form), RFC 8037 (Ed25519), RFC 8725 (what goes wrong with tokens).
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from tillit.access.keys import Key, Keys
from tillit.clock import MINUTE, SECOND

# namespace:value -> (namespace, value) as the fold writes it; None: nobody can be proved so.
ReadIdentifier = Callable[[str], tuple[str, str] | None]

LONGEST_TOKEN = 4_096  # bytes; taste: a token of these claims has about 400
LONGEST_LIFE_US = 10 * MINUTE
LEEWAY_US = 30 * SECOND  # a shop's clock may be ahead of ours by this
_LONGEST_JTI = 256
# RFC 9864 gives what RFC 8037 calls EdDSA, with a key of this curve, a name of its own.
_ALGORITHMS = frozenset({"EdDSA", "Ed25519"})
_VERIFIED = (("email", "email_verified", "email"), ("phone_number", "phone_number_verified", "phone"))


class _Header(msgspec.Struct):
    alg: str
    kid: str
    crit: Any = None


class _Claims(msgspec.Struct):
    sub: Any = None
    exp: Any = None
    nbf: Any = None
    iat: Any = None
    jti: Any = None
    email: Any = None
    email_verified: Any = None
    phone_number: Any = None
    phone_number_verified: Any = None


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_claims = msgspec.json.Decoder(_Claims).decode


class IdentityTokens:
    """Judges the tokens of one workspace by its living identity keys."""

    def __init__(self, keys: Keys, *, read: ReadIdentifier) -> None:
        """Know the keys, and how identifiers are written."""
        self._keys = keys
        self._read = read

    def judge(self, token: object, received_at: int) -> dict[str, Any]:
        """Say what a token proves.

        Shape: {"sub": [namespace, value], "also": [[namespace, value], ...], "jti": a hash in hex, "kid", "exp"}, or
               {"refused": code}.
        Units: received_at is UTC epoch microseconds; exp is UTC epoch seconds, as in the token.
        """
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN or token.count(".") != 2:
            return _refused("malformed")
        signed, _, signature_text = token.rpartition(".")
        header_text, _, claims_text = signed.partition(".")
        try:
            header = _decode_header(_unpack(header_text))
            claims = _decode_claims(_unpack(claims_text))
            signature = _unpack(signature_text)
        except (msgspec.MsgspecError, binascii.Error, UnicodeError, RecursionError, ValueError):
            return _refused("malformed")
        if header.alg not in _ALGORITHMS:
            return _refused("wrong_algorithm")
        if header.crit is not None:
            return _refused("malformed")  # it asks for rules that we do not know
        key = self._keys.find_identity(header.kid)
        if key is None:
            return _refused("unknown_key")
        if not _is_signed(key, signature, signed.encode()):
            return _refused("bad_signature")
        return self._judge_claims(claims, key.key_id, received_at)

    def _judge_claims(self, claims: _Claims, kid: str, received_at: int) -> dict[str, Any]:
        expires_at = _instant(claims.exp)
        if expires_at is None:
            return _refused("malformed")
        if expires_at <= received_at:
            return _refused("expired")
        if expires_at > received_at + LONGEST_LIFE_US + LEEWAY_US:
            return _refused("too_long")
        for told in (claims.nbf, claims.iat):
            if told is not None and ((at := _instant(told)) is None or at > received_at + LEEWAY_US):
                return _refused("not_yet")
        if not isinstance(claims.jti, str) or not 0 < len(claims.jti) <= _LONGEST_JTI:
            return _refused("no_jti")
        subject = self._read(claims.sub) if isinstance(claims.sub, str) else None
        if subject is None:
            return _refused("bad_subject")
        also = []
        for name, is_verified, namespace in _VERIFIED:
            value = getattr(claims, name)
            if isinstance(value, str) and getattr(claims, is_verified) is True:
                found = self._read(f"{namespace}:{value}")
                if found is not None and found != subject:
                    also.append(list(found))
        # With the key and the subject: what a server numbers twice by mistake is still two people's.
        told = "\0".join((kid, *subject, claims.jti))
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return {"sub": list(subject), "also": also, "jti": digest, "kid": kid, "exp": expires_at // SECOND}


def _refused(code: str) -> dict[str, Any]:
    return {"refused": code}


def _unpack(text: str) -> bytes:
    # Without its padding, as RFC 7515 writes it.
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _instant(told: object) -> int | None:
    # A NumericDate may have a fraction; beyond year 9999 no clock of ours goes.
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told < 253_402_300_800:
        return None
    return int(told * SECOND)


def _is_signed(key: Key, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # 40 ms to load, and most workspaces see no token
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_unpack(key.public_key)).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
