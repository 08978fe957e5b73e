"""Checkpoints: what the ledger was at one size, signed.

In:    an origin, a size, a root; a key.
Out:   a signed note that stands alone; what a note says, once its signature is found good.
Never: what a note says before that.

The form is C2SP's tlog-checkpoint in a signed-note with Ed25519, which other tools read.
The origin holds a hash of the public key, so that a note can be checked with the key that travels with it.
Source: c2sp.org/tlog-checkpoint, c2sp.org/signed-note, RFC 8032.
"""

import base64
import binascii
import re
from hashlib import sha256
from typing import NamedTuple

from tillit.errors import InputError
from tillit.ledger.merkle import HASH_BYTES

_ED25519 = b"\x01"  # the signature type that signed-note gives it
_KEY_ID_BYTES = 4
_SIGNATURE_BYTES = 64
_MOST_SIGNATURES = 64  # the specification wants 16 to be read; witnesses add theirs to ours
_LONGEST_NOTE = 64_000
_ORIGIN = "tillit.ledger/"
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_NOTE = re.compile(r"^\S+\n(?:0|[1-9][0-9]{0,17})\n[A-Za-z0-9+/=]{44}\n\n(?:— \S+ [A-Za-z0-9+/=]+\n)+", re.MULTILINE)


class NoteInvalid(InputError):
    """A checkpoint is not what its signer signed, or is none."""

    code = "ledger.note-invalid"

    def __init__(self, what: str) -> None:
        """Say what is wrong with it."""
        super().__init__(
            f"This checkpoint proves nothing: {what}. Use it as it was handed out, to the last character.", what=what
        )


class Checkpoint(NamedTuple):
    """What a ledger was at one size."""

    origin: str
    size: int
    root: bytes


def origin_of(public_key: bytes) -> str:
    """Give the name of the ledger that signs with this key."""
    return _ORIGIN + sha256(public_key).hexdigest()[:32]


def verifier_key(public_key: bytes) -> str:
    """Write a public key as other tools for signed notes read it: name+id+key."""
    name = origin_of(public_key)
    return f"{name}+{key_id(name, public_key).hex()}+{_text(_ED25519 + public_key)}"


def read_verifier_key(text: str) -> bytes:
    """Give the public key of `verifier_key`. Raises NoteInvalid."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise NoteInvalid("the key is not written as name+id+key")
    raw = _bytes(found[3], len(_ED25519) + HASH_BYTES)
    if raw[:1] != _ED25519 or key_id(found[1], raw[1:]).hex() != found[2] or found[1] != origin_of(raw[1:]):
        raise NoteInvalid("the key is none of a ledger of Tillit")
    return raw[1:]


def sign_checkpoint(size: int, root: bytes, seed: bytes) -> str:
    """Write and sign what the ledger is: the same size and root always give the same text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # 40 ms to load

    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    origin = origin_of(public)
    text = f"{origin}\n{size}\n{_text(root)}\n"
    signature = key_id(origin, public) + private.sign(text.encode())
    return f"{text}\n— {origin} {_text(signature)}\n"


def public_key_of(seed: bytes) -> bytes:
    """Give the public half of a signing key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def open_checkpoint(note: str, public_key: bytes) -> Checkpoint:
    """Give what a note says, once its signature by this key was found good. Raises NoteInvalid."""
    if len(note) > _LONGEST_NOTE or not note.endswith("\n") or any(c < " " and c != "\n" for c in note):
        raise NoteInvalid("it is not a signed note")
    text, gap, signatures = note[:-1].rpartition("\n\n")
    if not gap:
        raise NoteInvalid("it is not a signed note")
    text += "\n"
    _check_signatures(signatures.split("\n"), text, public_key)
    lines = text.split("\n")
    # The form allows lines of extension; ours has none, and what we do not know we do not vouch for.
    if len(lines) != 4 or lines[0] != origin_of(public_key) or not _SIZE.fullmatch(lines[1]):
        raise NoteInvalid("it is signed, but is no checkpoint of this ledger")
    return Checkpoint(lines[0], int(lines[1]), _bytes(lines[2], HASH_BYTES))


def _check_signatures(lines: list[str], text: str, public_key: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(lines) > _MOST_SIGNATURES:
        raise NoteInvalid("it has too many signatures")
    name = origin_of(public_key)
    wanted = key_id(name, public_key)
    is_signed = False
    for line in lines:
        dash, _, rest = line.partition(" ")
        signer, _, signature_text = rest.partition(" ")
        if dash != "—" or not signer or not signature_text:
            raise NoteInvalid("a line of signature is malformed")
        # A witness's signature says nothing against ours, and we cannot judge it.
        if signer != name:
            continue
        signature = _bytes(signature_text, _KEY_ID_BYTES + _SIGNATURE_BYTES)
        if signature[:_KEY_ID_BYTES] != wanted:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature[_KEY_ID_BYTES:], text.encode())
        except (InvalidSignature, ValueError):
            raise NoteInvalid("its signature does not fit") from None
        is_signed = True
    if not is_signed:
        raise NoteInvalid("it is not signed by this ledger's key")


def find_notes(text: str) -> list[str]:
    """Find every checkpoint in a text that holds many, such as the file that checkpoints are added to."""
    return [found[0] for found in _NOTE.finditer(text)]


def key_id(name: str, public_key: bytes) -> bytes:
    """Give the four bytes by which a signature line says whose key it is by."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_BYTES]


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str, n_bytes: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("a part of it is no base64") from None
    # One text for one value: other spellings of the last character would be another text with the same meaning.
    if len(raw) != n_bytes or _text(raw) != text:
        raise NoteInvalid("a part of it has the wrong length")
    return raw
