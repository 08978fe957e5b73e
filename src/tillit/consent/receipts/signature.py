"""Signatures of records: who wrote one, and that nobody changed it since.

In:    a document; the shop's Ed25519 key, as an argument.
Out:   the document with its signature; what a signature proves.
Never: a key from disk or from a store; an algorithm that the document chooses; the address of a key that is fetched.

The signature is a JWS in compact form with a detached payload (`header..signature`, RFC 7515 appendix F). The payload
is the canonical form (RFC 8785) of the document without its signature, so that another program may indent, reorder
and write it anew. The public key rides in the header: it proves that nothing was changed, and who wrote it only to
those who know the key.
Source: RFC 7515 (JWS), RFC 7638 (thumbprint), RFC 8037 (Ed25519), RFC 8725 (what goes wrong).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from tillit.consent.receipts.json_text import NotCanonical, Unreadable, canonical, read
from tillit.errors import InputError

MEMBER = "tillit:signature"
NAMESPACE = "urn:tillit:consent#"
TYPE = "consent-record+jws"  # RFC 8725 3.11: no token of another kind passes for a record's signature

_ALGORITHMS = ("EdDSA", "Ed25519")
_LONGEST = 4_096  # taste: ours has about 350

# What became of a signature: "good", or the rule that it broke.
Verdict = Literal["good", "signature.form", "signature.key", "signature.valid"]


class KeyUnreadable(InputError):
    """A file that should hold a public Ed25519 key holds none."""

    code = "consent.key-unreadable"

    def __init__(self) -> None:
        """Say which forms are read."""
        super().__init__(
            "The key cannot be read. It must be a public Ed25519 key: a PEM file, a JWK, or 32 bytes in base64url."
        )


class NotSignable(InputError):
    """A document holds numbers or characters that have no canonical form, so nobody could check a signature of it."""

    code = "consent.not-signable"

    def __init__(self) -> None:
        """Say what to write instead."""
        super().__init__("The document cannot be signed: write its fractions and large numbers as text.")


def sign(document: Mapping[str, Any], secret: bytes) -> dict[str, Any]:
    """Sign a record or a receipt, in place of any signature that it has.

    Shape:  secret: the 32 bytes of an Ed25519 private key.
    Raises: NotSignable.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # 40 ms to load, and seldom asked

    unsigned = {name: value for name, value in document.items() if name != MEMBER}
    unsigned["@context"] = _declared(unsigned.get("@context"))
    private = Ed25519PrivateKey.from_private_bytes(secret)
    jwk = _jwk(private.public_key().public_bytes_raw())
    header = _pack(canonical({"alg": "EdDSA", "jwk": jwk, "kid": thumbprint(jwk), "typ": TYPE}))
    try:
        signed = f"{header}.{_pack(canonical(unsigned))}"
    except NotCanonical as exc:
        raise NotSignable from exc
    return unsigned | {MEMBER: f"{header}..{_pack(private.sign(signed.encode('ascii')))}"}


def judge(signature: str, document: Mapping[str, Any], *, without: Collection[str], key: bytes | None) -> Verdict:
    """Say what a signature of a document proves.

    Shape: without: the members of the document that hold the signature; key: 32 bytes, or None to believe the key
           in the signature's own header.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    header_text, _, rest = signature.partition(".")
    payload_text, _, signature_text = rest.partition(".")
    if len(signature) > _LONGEST or payload_text:
        return "signature.form"
    try:
        header = read(_unpack(header_text))
        given = _unpack(signature_text)
        payload = canonical({name: value for name, value in document.items() if name not in without})
    except (ValueError, Unreadable, NotCanonical):
        return "signature.form"
    told = header.document
    if header.slips or not isinstance(told, dict) or told.get("typ") != TYPE:
        return "signature.form"
    if told.get("alg") not in _ALGORITHMS or "crit" in told or "b64" in told:
        return "signature.form"  # it asks for rules that we do not know
    public = key if key is not None else _embedded(told.get("jwk"))
    if public is None:
        return "signature.key"
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(given, f"{header_text}.{_pack(payload)}".encode("ascii"))
    except (InvalidSignature, ValueError):
        return "signature.valid"
    return "good"


def read_public_key(text: bytes) -> bytes:
    """Read a public key from a file's bytes: PEM, JWK or base64url.

    Raises: KeyUnreadable.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if text.lstrip().startswith(b"-----"):
            found = load_pem_public_key(text)
            if not isinstance(found, Ed25519PublicKey):
                raise KeyUnreadable
            return found.public_bytes_raw()
        told = text.strip()
        raw = _embedded(json.loads(told)) if told.startswith(b"{") else _unpack(told.decode("ascii"))
    except (ValueError, RecursionError, UnsupportedAlgorithm) as exc:
        raise KeyUnreadable from exc
    if raw is None or len(raw) != 32:
        raise KeyUnreadable
    return raw


def public_key(secret: bytes) -> bytes:
    """Give the public half of a key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Name a key by its own bytes, as RFC 7638 does."""
    return _pack(hashlib.sha256(canonical({name: jwk[name] for name in ("crv", "kty", "x")})).digest())


def _declared(context: Any) -> Any:
    ours = {"tillit": NAMESPACE}
    if isinstance(context, dict):
        return context | ours
    return [*(context if isinstance(context, list) else [] if context is None else [context]), ours]


def _jwk(public: bytes) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _pack(public)}


def _embedded(jwk: object) -> bytes | None:
    if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        return None
    try:
        raw = _unpack(jwk.get("x"))
    except ValueError:
        return None
    return raw if len(raw) == 32 else None


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unpack(text: object) -> bytes:
    # Without its padding, and with nothing left over: one signature has one spelling.
    if not isinstance(text, str) or not text.isascii():
        raise binascii.Error
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _pack(raw) != text:
        raise binascii.Error
    return raw
