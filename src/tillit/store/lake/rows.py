"""Rows of the log as columns of the lake, and back.

In:    log rows.
Out:   record batches of one schema; log rows again.
Never: statistics of a column that says anything of a person.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tillit.records import KIND_EVENT, LogRow, message_hash

if TYPE_CHECKING:  # an outside package, loaded at its seam by those who touch the lake
    from arro3.core import RecordBatch
    from arro3.core import Schema as ArrowSchema

NUMBERS = ("position", "epoch", "logged_at", "received_at", "event_at", "trust")
# `message_hash` is filled only where it cannot be computed again from source and message id (husks).
BINARY = ("message_hash",)
TEXTS = ("type", "name", "source", "message_id", "user_id", "anonymous_id", "properties", "traits", "body")
# Only these have statistics, in Parquet footers and in the transaction log: none of them says anything of a person.
WITH_STATISTICS = ("position", "logged_at", "event_at")
WITHOUT_DICTIONARY = ("message_id", "properties", "traits", "body")  # nearly every value is new


class _Fields(msgspec.Struct, rename="camel", gc=False):
    """The parts of an event's body that have a column of their own; the two documents stay as they were sent."""

    type: str = "unknown"
    message_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    event: str | None = None
    name: str | None = None
    properties: msgspec.Raw = msgspec.Raw()
    traits: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Fields).decode


def schema() -> "ArrowSchema":
    """Give the columns of the table."""
    from arro3.core import DataType, Field, Schema

    return Schema(
        [Field(name, DataType.int64(), nullable=False) for name in NUMBERS]
        + [Field(name, DataType.binary(), nullable=True) for name in BINARY]
        + [Field(name, DataType.string(), nullable=True) for name in TEXTS]
    )


def batch(rows: Sequence[LogRow], epochs: Sequence[int]) -> "RecordBatch":
    """Lay log rows out in columns.

    Documents go in as bytes and are cast: five times quicker than one Python string each (measured).
    """
    from arro3.core import Array, DataType, RecordBatch

    number, text, binary = DataType.int64(), DataType.string(), DataType.binary()
    bodies = [row.body for row in rows]
    fields = [_fields(body) for body in bodies]
    arrays = [
        Array([row.position for row in rows], number),
        Array(list(epochs), number),
        Array([row.logged_at for row in rows], number),
        Array([row.received_at for row in rows], number),
        Array([row.event_at for row in rows], number),
        Array([row.trust for row in rows], number),
        Array(
            [row.message_hash if its.message_id is None else None for row, its in zip(rows, fields, strict=True)],
            binary,
        ),
        Array([its.type for its in fields], text),
        Array([its.event if its.event is not None else its.name for its in fields], text),
        Array([row.source for row in rows], text),
        Array([its.message_id for its in fields], text),
        Array([its.user_id for its in fields], text),
        Array([its.anonymous_id for its in fields], text),
        Array([_document(its.properties) for its in fields], binary).cast(text),
        Array([_document(its.traits) for its in fields], binary).cast(text),
        Array(bodies, binary).cast(text),
    ]
    return RecordBatch.from_arrays(arrays, schema=schema())


def _fields(body: bytes | None) -> _Fields:
    if not body:
        return _Fields(type=HUSK)  # forgotten: its place and the hash of its message id are all that stays
    try:
        return _decode(body)
    except msgspec.DecodeError:
        return _Fields()  # not of the shape the door makes; the whole body is kept all the same


def _document(raw: msgspec.Raw) -> bytes | None:
    document = bytes(raw)
    return None if document in (b"", b"null") else document


HUSK = "husk"  # the type of what was forgotten
ROW = "position, logged_at, source, trust, received_at, event_at, message_id, message_hash, body"


def log_row(row: tuple[Any, ...]) -> LogRow:
    """Give a row of the lake (columns ROW) as the log had it."""
    position, logged_at, source, trust, received_at, event_at, message_id, hashed, body = row
    return LogRow(
        position,
        logged_at,
        KIND_EVENT,
        source,
        trust,
        received_at,
        event_at,
        bytes(hashed) if hashed is not None else message_hash(source, message_id),
        body.encode() if body is not None else None,
    )
