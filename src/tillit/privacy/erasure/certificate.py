"""The certificate: what was erased, where it was looked for afterwards, and what stays; signed.

In:    counts, names of stores, keyed hashes, positions.
Out:   a JSON document with an Ed25519 signature (RFC 8032) over its own canonical form; whether one holds.
Never: a personal value. Without this workspace's secrets nothing in it leads to anybody.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillit.errors import InputError

if TYPE_CHECKING:  # an outside package, loaded where something is signed
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "tillit-erasure-certificate"
VERSION = 1
_LONGEST = 50 << 20  # bytes; a certificate names runs of positions


class CertificateInvalid(InputError):
    """A certificate of erasure cannot be read, or its signature does not hold."""

    code = "privacy.certificate-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong with it."""
        super().__init__(f"This is no certificate that this workspace vouches for: {why}.")


def canonical(document: Mapping[str, Any]) -> bytes:
    """Write a document as it is signed: sorted keys, no white space, ASCII."""
    told = {name: value for name, value in document.items() if name != "signature"}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def sign(document: Mapping[str, Any], key: "Ed25519PrivateKey") -> dict[str, Any]:
    """Give the document with its signature."""
    public = key.public_key().public_bytes_raw()
    signature = {"alg": "Ed25519", "public_key": _text(public), "value": _text(key.sign(canonical(document)))}
    return {**document, "signature": signature}


def read_certificate(path: Path, key: "Ed25519PrivateKey") -> dict[str, Any]:
    """Read a certificate that this workspace signed. Raises CertificateInvalid."""
    from cryptography.exceptions import InvalidSignature

    try:
        if path.stat().st_size > _LONGEST:
            raise CertificateInvalid("it is too large")
        told = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
        if not isinstance(told, dict) or told.get("type") != KIND or told.get("version") != VERSION:
            raise CertificateInvalid("it is none of this kind and version")
        key.public_key().verify(_bytes(told["signature"]["value"]), canonical(told))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise CertificateInvalid("it cannot be read") from exc
    except InvalidSignature as exc:
        raise CertificateInvalid("it was changed, or another workspace signed it") from exc
    return told


def save_certificate(folder: Path, document: Mapping[str, Any]) -> Path:
    """Put a certificate on disk, whole or not at all, where only the owner reads it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{document['erasure_id']}.json"
    fresh = path.with_name(f".{path.name}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, ensure_ascii=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def digest(*parts: bytes) -> str:
    """Give one hash of several texts of bytes, each with its length."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name stands twice")
    return told


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
