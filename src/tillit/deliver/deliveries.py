"""Deliveries: what is to leave, each try of it, and what a gate says of it, as records.

In:    rows of `deliveries.db`.
Out:   `Delivery`, `Attempt`, and the records that courier, gate and queue exchange.
Never: a value of a person, but for the recipient's own words.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from tillit.deliver.wire import DELIVERED, REFUSED, UNKNOWN, Answer, Outgoing
from tillit.store import Writing, migrations_of

DELIVERIES_MIGRATIONS = migrations_of("tillit.deliver", room="deliver", folder="migrations/deliveries")

# What a delivery is about; what leaves for a record is decided when it leaves.
MESSAGE, EVENT, RECORD = "message", "event", "record"
# Its state.
WAITING, CLAIMED, UNCHANGED, DEAD, WITHHELD = "waiting", "claimed", "unchanged", "dead", "withheld"
SUPERSEDED = "superseded"  # the code of a delivery of a record whose place a newer one takes
ENDED = (DELIVERED, UNCHANGED, REFUSED, DEAD, UNKNOWN, WITHHELD)


class Delivery(NamedTuple):
    """One thing that is to leave. Grain: one per destination and message, event, or change of a record."""

    delivery_id: int
    delivery_key: bytes
    kind: str
    destination: str
    template: str
    purpose: str
    message_class: str
    position: int  # log position of what caused it
    record_key: str
    subject_ref: str
    state: str
    code: str
    due_at: int
    lease_until: int
    fence: int
    courier: str
    n_attempts: int
    n_forgiven: int  # of them, before it was last replayed
    is_again: bool
    is_told: bool
    created_at: int
    ended_at: int | None

    @property
    def key(self) -> str:
        """Give the idempotency key as it leaves."""
        return self.delivery_key.hex()


COLUMNS = ", ".join(Delivery._fields)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Read a row."""
    one = Delivery(*row)
    return one._replace(is_again=bool(one.is_again), is_told=bool(one.is_told), delivery_key=bytes(one.delivery_key))


class Attempt(NamedTuple):
    """One time that a courier turned to the wire. Grain: one per delivery and try."""

    delivery_id: int
    attempt: int
    fence: int
    begun_at: int
    ended_at: int | None
    what: str  # event, upsert, remove, message
    outcome: str
    code: str
    words: str
    reference: str
    subject_ref: str
    field_names: str  # separated by spaces
    payload_hash: bytes
    basis: str
    record_position: int | None
    decided_at: int  # log position
    until_at: int | None
    address_hash: bytes
    is_again: bool
    disclosure: int

    @property
    def fields(self) -> tuple[str, ...]:
        """Give the names of the fields that left."""
        return tuple(self.field_names.split("\n")) if self.field_names else ()


ATTEMPT_COLUMNS = ", ".join(Attempt._fields)


class Beginning(NamedTuple):
    """An attempt that is about to begin."""

    delivery: Delivery
    what: str
    record_key: str
    record_kind: str  # empty: no record is kept of it
    subject_ref: str
    fields: tuple[str, ...]
    payload_hash: bytes
    basis: str
    record_position: int | None
    decided_at: int
    until_at: int | None
    address_hash: bytes = b""


class Going(NamedTuple):
    """A delivery that passed the last gate."""

    begin: Beginning
    outgoing: Outgoing


class Outcome(NamedTuple):
    """How an attempt ended."""

    begun: Beginning
    answer: Answer
    most_attempts: int
    is_idempotent: bool  # may be sent again under its key when nobody knows what came of it


class Stop(NamedTuple):
    """A delivery that does not go to the wire: withheld, unchanged, or put off."""

    delivery: Delivery
    state: str  # withheld, unchanged, waiting
    code: str
    subject_ref: str = ""
    due_at: int = 0
    until_at: int | None = None  # of what is unchanged: when its leave ends now


class Line(NamedTuple):
    """What a message or an event is to be sent through."""

    destination: str
    template: str
    purpose: str
    message_class: str
    subject_ref: str = ""  # the profile id of whoever it was asked for


def key_of(destination: str, kind: str, told: bytes) -> bytes:
    """Name a delivery so that the same comes to the same: 16 bytes."""
    return blake2b(b"\0".join((destination.encode(), kind.encode(), told)), digest_size=16).digest()


def asking(
    kind: str, destination: str, purpose: str, record_key: str = "", *, template: str = "", position: int = 0
) -> Delivery:
    """Give a delivery that nobody made: to ask the gate what would become of one."""
    key = key_of(destination, kind, record_key.encode())
    row = new_row(key, kind, Line(destination, template, purpose, ""), position, record_key, "", 0)
    return Delivery(0, *row)


def new_row(
    key: bytes, kind: str, line: Line, position: int, record_key: str, subject_ref: str, now: int
) -> tuple[Any, ...]:
    """Write the row of a delivery that waits, without its number."""
    return (
        key,
        kind,
        line.destination,
        line.template,
        line.purpose,
        line.message_class,
        position,
        record_key,
        subject_ref,
        WAITING,
        "",
        now,
        0,
        0,
        "",
        0,
        0,
        0,
        1,
        now,
        None,
    )


def insert_deliveries(tx: Writing, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add deliveries; what is there already stays as it is."""
    columns = Delivery._fields[1:]
    tx.executemany(
        f"INSERT INTO delivery ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING",
        rows,
    )
