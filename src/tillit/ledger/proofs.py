"""Proofs as text: that an entry stands in the ledger, and that the ledger only grew.

In:    what the ledger knows; later, the text alone.
Out:   a text that a person can keep and anybody can check; what it proves.
Never: trust in a word of it that the signature does not cover.

An inclusion proof is C2SP's tlog-proof; its extra line carries what the leaf is made of and the public key, both of
which are checked: the first against the path, the second against the origin. A proof of growth has the form in which
C2SP's witnesses are asked. Source: c2sp.org/tlog-proof, c2sp.org/tlog-witness.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tillit.errors import InputError
from tillit.ledger.entries import SALT_BYTES, TOKEN_BYTES, Entry, commit_to, decode_entry, kind_of, leaf_data
from tillit.ledger.merkle import HASH_BYTES, hash_leaf, is_consistent, is_included
from tillit.ledger.notes import Checkpoint, open_checkpoint, origin_of, read_verifier_key

_HEAD = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})", re.ASCII)
_OLD = re.compile(r"old (0|[1-9][0-9]{0,17})", re.ASCII)
_MOST_HASHES = 63  # the form's own limit
_LONGEST_PROOF = 1_000_000


class ProofInvalid(InputError):
    """A proof of the ledger does not prove what it says."""

    code = "ledger.proof-invalid"

    def __init__(self, what: str) -> None:
        """Say what is wrong with it."""
        super().__init__(f"This is no proof: {what}. Use it as it was handed out, to the last character.", what=what)


class Proven(NamedTuple):
    """What an inclusion proof proves."""

    entry_index: int
    at: int
    kind: str
    entry: Entry | None  # None: the proof shows that something stands there, and no longer what
    checkpoint: Checkpoint


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a leaf is made of, as a proof carries it."""

    at: int
    kind: str
    subject_token: bytes
    commitment: bytes
    sealed_hash: bytes
    public_key: bytes
    salt: bytes | None = None
    text: bytes | None = None


def write_inclusion(leaf: Leaf, index: int, path: Sequence[bytes], note: str) -> str:
    """Write a proof that an entry stands in the ledger."""
    lines = [_HEAD, f"extra {_text(msgspec.json.encode(leaf))}", f"index {index}", *map(_text, path), ""]
    return "\n".join(lines) + "\n" + note


def verify_inclusion(proof: str, key: str | None = None) -> Proven:
    """Say what a proof proves, from nothing but its text.

    With `key` (see `Ledger.verifier_key`) it must be by the ledger of that key; without, by the one that it names: its
    origin is a hash of the key. Raises ProofInvalid, NoteInvalid.
    """
    lines, note = _split(proof)
    if len(lines) < 3 or lines[0] != _HEAD or not lines[1].startswith("extra "):
        raise ProofInvalid("it does not begin as one")
    index = _INDEX.fullmatch(lines[2])
    if index is None:
        raise ProofInvalid("it names no index")
    try:
        told = _bytes(lines[1].removeprefix("extra "))
        leaf = msgspec.json.decode(told, type=Leaf)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProofInvalid("what it says of the leaf cannot be read") from None
    if msgspec.json.encode(leaf) != told:
        raise ProofInvalid("what it says of the leaf is not written as it was handed out")
    checkpoint = _open(note, leaf.public_key, key)
    hashed = hash_leaf(_data(leaf))
    if not is_included(hashed, int(index[1]), checkpoint.size, _hashes(lines[3:]), checkpoint.root):
        raise ProofInvalid("its path does not lead from the entry to the signed root")
    return Proven(int(index[1]), leaf.at, leaf.kind, _entry(leaf), checkpoint)


def write_consistency(old_size: int, path: Sequence[bytes], note: str) -> str:
    """Write a proof that the ledger at `old_size` is the beginning of the ledger that the note signs."""
    return "\n".join([f"old {old_size}", *map(_text, path), ""]) + "\n" + note


def verify_consistency(old_note: str, proof: str, key: str) -> tuple[Checkpoint, Checkpoint]:
    """Give both checkpoints once the newer was found to continue the older. Raises ProofInvalid, NoteInvalid."""
    public_key = read_verifier_key(key)
    lines, note = _split(proof)
    old_size = _OLD.fullmatch(lines[0])
    if old_size is None:
        raise ProofInvalid("it does not say from which size on")
    old, new = open_checkpoint(old_note, public_key), open_checkpoint(note, public_key)
    if int(old_size[1]) != old.size:
        raise ProofInvalid("it begins at another size than the checkpoint")
    if not is_consistent(old.size, old.root, new.size, new.root, _hashes(lines[1:])):
        raise ProofInvalid("the newer ledger does not begin with the older one")
    return old, new


def _split(proof: str) -> tuple[list[str], str]:
    if len(proof) > _LONGEST_PROOF:
        raise ProofInvalid("it is too long")
    head, gap, note = proof.partition("\n\n")
    if not gap:
        raise ProofInvalid("it has no checkpoint")
    return head.split("\n"), note


def _open(note: str, public_key: bytes, key: str | None) -> Checkpoint:
    if key is not None and read_verifier_key(key) != public_key:
        raise ProofInvalid("it is by another ledger than the key's")
    checkpoint = open_checkpoint(note, public_key)
    assert checkpoint.origin == origin_of(public_key), "a note opens only under its own name"
    return checkpoint


def _data(leaf: Leaf) -> bytes:
    if (len(leaf.subject_token), len(leaf.commitment), len(leaf.sealed_hash)) != (TOKEN_BYTES, HASH_BYTES, HASH_BYTES):
        raise ProofInvalid("a part of the leaf has the wrong length")
    if not -(1 << 63) <= leaf.at < 1 << 63:
        raise ProofInvalid("its instant is none")
    try:
        return leaf_data(leaf.at, leaf.kind, leaf.subject_token, leaf.commitment, leaf.sealed_hash)
    except UnicodeEncodeError:
        raise ProofInvalid("its kind is no word") from None


def _entry(leaf: Leaf) -> Entry | None:
    if leaf.salt is None and leaf.text is None:
        return None
    # The salt's length is fixed: where it ends and the text begins must not be a matter of opinion.
    if (
        leaf.salt is None
        or leaf.text is None
        or len(leaf.salt) != SALT_BYTES
        or commit_to(leaf.salt, leaf.text) != leaf.commitment
    ):
        raise ProofInvalid("the entry is not the one that was committed to")
    try:
        entry = decode_entry(leaf.text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProofInvalid("the entry cannot be read") from None
    if entry.at != leaf.at or kind_of(entry) != leaf.kind:
        raise ProofInvalid("the entry and its row tell different things")
    return entry


def _hashes(lines: Sequence[str]) -> list[bytes]:
    if len(lines) > _MOST_HASHES:
        raise ProofInvalid("its path is too long")
    hashes = [_bytes(line) for line in lines]
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid("a hash has the wrong length")
    return hashes


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofInvalid("a part of it is no base64") from None
    if _text(raw) != text:
        raise ProofInvalid("a part of it is not written as it was handed out")
    return raw
