"""What the ledger says: who received a person's values, and who looked at them.

In:    one record for each time.
Out:   its canonical text, the leaf that commits to it, and the record again.
Never: a person's value, but for what a colleague wrote as the reason of a look. A person is named by a profile id, a
       field by its name, a colleague by their id.

The text is the canonical JSON of RFC 8785. The leaf commits to a salted hash of it, so that a leaf alone tells nothing
of what it stands for, and to everything else in the row, so that a row can be checked when its key is gone.
"""

from hashlib import sha256
from typing import NamedTuple

import msgspec

from tillit.errors import InternalError

DISCLOSURE = "disclosure"
ACCESS = "access"
KINDS = (DISCLOSURE, ACCESS)
UNKNOWN = "unknown"  # the subject where nobody can say whose it is: bytes in quarantine, rows of a file

SALT_BYTES = 32
TOKEN_BYTES = 16
_LONGEST_TEXT = 200  # taste: ids, names of fields and routes are shorter; a longer text is somebody's words
_LONGEST_REASON = 500  # taste: a few sentences
_MOST_NAMES = 1_000  # taste: no profile of ours has more fields


class Disclosure(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=DISCLOSURE):
    """One time that values of one person left for one recipient."""

    subject_ref: str  # the profile id of that moment
    recipient: str  # the legal person who got them
    role: str  # processor, controller, joint-controller, ...
    purpose: str
    basis: str  # the lawful basis
    record_position: int | None = None  # the log position of the consent record it stands on
    field_names: tuple[str, ...] = ()
    data_categories: tuple[str, ...] = ()
    channel: str = ""
    payload_commitment: str = ""  # hex: a salted hash of the bytes that left
    country: str = ""  # where the recipient keeps them, ISO 3166-1 alpha-2
    transfer_tool: str = ""  # what allows a transfer to that country
    decision_position: int | None = None  # the log position at which it was decided
    delivery: str = ""  # the key of the delivery that it left with, and which try it was
    at: int


class Access(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=ACCESS):
    """One time that somebody looked at one person."""

    subject_ref: str  # the profile id of that moment
    actor_id: str  # an operator, a key, or at the command line "cli/" and the system's user
    role: str
    route: str  # the pattern, never the address that was asked for: it may hold a value
    purpose: str
    break_glass: bool = False
    reason_ref: str = ""  # where the reason for breaking the glass is kept
    reason: str = ""  # why they looked, in their own words: sealed like the rest, and gone with it
    n_profiles: int = 1  # how many people the same look showed: each has an entry of their own
    at: int


Entry = Disclosure | Access


class Recorded(NamedTuple):
    """One entry of the ledger as it is read."""

    entry_index: int
    at: int
    kind: str
    entry: Entry | None  # None: its key was destroyed, nobody can read it any more


class BadEntry(InternalError):
    """An entry for the ledger holds words that may be a personal value, or names nobody."""

    code = "ledger.bad-entry"

    def __init__(self, kind: str, part: str) -> None:
        """Name the part, not what it said."""
        super().__init__(
            f"An entry of the {kind} ledger was not written: its {part} is no id or short word. Please report it.",
            kind=kind,
            part=part,
        )


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Disclosure | Access).decode


def kind_of(entry: Entry) -> str:
    """Say which of `KINDS` an entry is."""
    return DISCLOSURE if isinstance(entry, Disclosure) else ACCESS


def encode_entry(entry: Entry) -> bytes:
    """Give the canonical text of an entry. Raises BadEntry when a part of it could be a personal value."""
    text = _encode(entry)
    # One look at the whole is the common case; only a suspect is looked at part by part. An address has an @, words of
    # somebody are long, and a backslash may hide a quotation mark between two short pieces.
    pieces = text.split(b'"')
    if (
        not entry.subject_ref
        or b"@" in text
        or b"\\" in text
        or len(pieces) > _MOST_NAMES
        or max(map(len, pieces)) > _LONGEST_TEXT
    ):
        _refuse_words(entry)
    return text


def decode_entry(text: bytes) -> Entry:
    """Read an entry back."""
    entry: Entry = _decode(text)
    return entry


def _refuse_words(entry: Entry) -> None:
    if not entry.subject_ref:
        raise BadEntry(kind_of(entry), "subject_ref")
    for part in entry.__struct_fields__:
        value = getattr(entry, part)
        if part == "reason" and len(value) <= _LONGEST_REASON:
            continue
        names = value if isinstance(value, tuple) else (value,)
        if len(names) > _MOST_NAMES:
            raise BadEntry(kind_of(entry), part)
        for name in names:
            if isinstance(name, str) and ("@" in name or len(name) > _LONGEST_TEXT):
                raise BadEntry(kind_of(entry), part)


def commit_to(salt: bytes, text: bytes) -> bytes:
    """Hash an entry's text with its salt: shows nothing of it without both."""
    return sha256(salt + text).digest()


def leaf_data(at: int, kind: str, subject_token: bytes, commitment: bytes, sealed_hash: bytes) -> bytes:
    """Give the bytes that a leaf is the hash of: every column of the row, the sealed one by its hash.

    Shape: 8 bytes of `at`, big-endian, two's complement; 16, 32 and 32 bytes as they are; the kind in ASCII.
    """
    return b"".join((at.to_bytes(8, "big", signed=True), subject_token, commitment, sealed_hash, kind.encode()))
