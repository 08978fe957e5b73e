"""Row groups of Parquet files: a new file made of whole row groups of others, whose bytes are copied as they are.

In:    Parquet files that the lake's writer made.
Out:   their row groups; a file of any of them.
Never: a value decoded; an index of pages or a Bloom filter taken along (the lake writes no filter, and its row groups
       have one page a column).

A Parquet file is row groups and, at its end, a footer in Thrift's compact protocol that says where each column of each
group begins. Only these places and a group's number change when a group moves.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_MAGIC = b"PAR1"

# Thrift's compact protocol
_TRUE, _FALSE, _BYTE, _SHORT, _INT, _LONG, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12

# Fields of Parquet's footer (parquet.thrift): FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, Statistics.
_N_ROWS, _GROUPS = 3, 4
_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _ORDINAL = 1, 3, 5, 7
_CHUNK = 3  # page indexes follow
_CHUNK_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET, _STATISTICS = 7, 9, 11, 12
_MAX, _MIN = 5, 6

Span = tuple[int, int]  # the first byte of something in a footer, and the one behind it
Patch = tuple[int, int, int]  # the span of a number, and the number


class Group(NamedTuple):
    """One row group. Grain: one per file and place in it."""

    file: Path
    start: int  # its first byte in the file
    n_bytes: int
    n_rows: int
    told: bytes  # its description in the footer; what follows says where in that
    offsets: list[Patch]  # places in the file
    ordinal: list[Span]  # its number, if it has one
    indexes: list[Span]  # where page indexes lie: they are left behind
    bounds: list[tuple[bytes, bytes] | None]  # least and greatest value of each column, as far as it has statistics


class Footer(NamedTuple):
    """What a file says of itself."""

    before: bytes  # version and columns, up to the number of rows
    groups: list[Group]
    after: bytes  # who wrote it, order of values


def read_footer(file: Path) -> Footer:
    """Read where the row groups of a file lie."""
    with file.open("rb") as opened:
        opened.seek(-8, os.SEEK_END)
        (size,) = struct.unpack("<I", opened.read(4))
        opened.seek(-8 - size, os.SEEK_END)
        raw = opened.read(size)
    groups: list[Group] = []
    before = b""
    at, field = 0, 0
    while head := raw[at]:
        field += head >> 4
        if field == _N_ROWS:
            before = raw[:at]
        if field == _GROUPS:
            n, _, at = _size(raw, at + 1)
            for _ in range(n):
                group, at = _group(raw, at, file)
                groups.append(group)
            break
        at = _skip(raw, at + 1, head & 15)
    return Footer(before, groups, raw[at:])


def write_groups(file: Path, footer: Footer, groups: Sequence[Group]) -> None:
    """Make a file of row groups in this order, with the columns of a footer."""
    told = []
    with file.open("xb") as made:
        made.write(_MAGIC)
        at = len(_MAGIC)
        for number, group in enumerate(groups):
            told.append(_moved(group, at - group.start, number))
            at += group.n_bytes
        for source, start, n_bytes in _stretches(groups):
            with source.open("rb") as opened:
                opened.seek(start)
                made.write(opened.read(n_bytes))
        n_rows = _zigzag(sum(group.n_rows for group in groups))
        # Each field's head is its distance from the one before and its kind; so is a list's, with its size.
        foot = footer.before + bytes([1 << 4 | _LONG]) + n_rows + bytes([1 << 4 | _LIST, 15 << 4 | _STRUCT])
        foot += _varint(len(told)) + b"".join(told) + footer.after
        made.write(foot + struct.pack("<I", len(foot)) + _MAGIC)


def _stretches(groups: Sequence[Group]) -> Iterator[tuple[Path, int, int]]:
    """Give neighbours as one stretch of bytes."""
    file, start, n_bytes = groups[0].file, groups[0].start, 0
    for group in groups:
        if (group.file, group.start) != (file, start + n_bytes):
            yield file, start, n_bytes
            file, start, n_bytes = group.file, group.start, 0
        n_bytes += group.n_bytes
    yield file, start, n_bytes


def _moved(group: Group, by: int, number: int) -> bytes:
    """Describe a group as it stands so many bytes further on, under a new number."""
    edits = [(begin, end, _zigzag(value + by)) for begin, end, value in group.offsets]
    edits += [(begin, end, _zigzag(number)) for begin, end in group.ordinal]
    edits += [(begin, end, b"") for begin, end in group.indexes]
    parts, last = [], 0
    for begin, end, new in sorted(edits):
        parts += [group.told[last:begin], new]
        last = end
    return b"".join([*parts, group.told[last:]])


# Long footers are read in a person's few seconds: a struct's loop is written out where a call would cost more than it.
# Fields of these structs are never 16 apart, so that each head holds its whole distance.


def _group(raw: bytes, begin: int, file: Path) -> tuple[Group, int]:
    """Read the description of one group; give it with the byte behind it."""
    columns: list[_Column] = []
    offsets: list[Patch] = []
    ordinal: list[Span] = []
    n_rows = field = 0
    at = begin
    while head := raw[at]:
        field += head >> 4
        start = at + 1
        if field == _COLUMNS:
            n, _, at = _size(raw, start)
            for _ in range(n):
                column = _column(raw, at)
                columns.append(column)
                at = column.behind
            continue
        at = _skip(raw, start, head & 15)
        if field == _GROUP_ROWS:
            n_rows = _number(raw, start)
        elif field == _GROUP_OFFSET:
            offsets.append((start, at, _number(raw, start)))
        elif field == _ORDINAL:
            ordinal.append((start, at))
    at += 1
    offsets += [patch for column in columns for patch in column.offsets]
    first = min(column.start for column in columns)
    told = Group(
        file,
        first,
        max(column.end for column in columns) - first,
        n_rows,
        raw[begin:at],
        [(start - begin, end - begin, value) for start, end, value in offsets],
        [(start - begin, end - begin) for start, end in ordinal],
        [(start - begin, end - begin) for column in columns for start, end in column.indexes],
        [column.bounds for column in columns],
    )
    return told, at


class _Column(NamedTuple):
    """The bytes of one column in one group."""

    start: int
    end: int
    offsets: list[Patch]
    indexes: list[Span]
    bounds: tuple[bytes, bytes] | None
    behind: int  # the byte behind its description


def _column(raw: bytes, at: int) -> _Column:
    n_bytes = first = field = 0
    offsets: list[Patch] = []
    indexes: list[Span] = []
    bounds = None
    while head := raw[at]:
        field += head >> 4
        start = at + 1
        if field == _CHUNK:
            at, inner = start, 0
            while its := raw[at]:
                inner += its >> 4
                start = at + 1
                at = _skip(raw, start, its & 15)
                if inner == _CHUNK_BYTES:
                    n_bytes = _number(raw, start)
                elif inner in (_DATA_OFFSET, _DICTIONARY_OFFSET):
                    value = _number(raw, start)
                    offsets.append((start, at, value))
                    first = min(first or value, value)
                elif inner == _STATISTICS:
                    bounds = _bounds(raw, start)
            at += 1
            continue
        at = _skip(raw, start, head & 15)
        if field > _CHUNK:
            indexes.append((start - 1, at))
        elif (value := _number(raw, start)) != 0:
            # A column may say 0 for itself, which is no place.
            offsets.append((start, at, value))
    return _Column(first, first + n_bytes, offsets, indexes, bounds, at + 1)


def _bounds(raw: bytes, at: int) -> tuple[bytes, bytes] | None:
    limits: dict[int, bytes] = {}
    field = 0
    while head := raw[at]:
        field += head >> 4
        at = _skip(raw, at + 1, head & 15)
        if field in (_MAX, _MIN):
            limits[field] = raw[at - 8 : at]  # numbers alone have statistics
    return (limits[_MIN], limits[_MAX]) if len(limits) == 2 else None


def _number(raw: bytes, at: int) -> int:
    value = _varint_at(raw, at)
    return (value >> 1) ^ -(value & 1)


def _size(raw: bytes, at: int) -> tuple[int, int, int]:
    """Say how many values of which kind a list has, and where they begin."""
    head = raw[at]
    if head >> 4 < 15:
        return head >> 4, head & 15, at + 1
    return _varint_at(raw, at + 1), head & 15, _skip(raw, at + 1, _LONG)


def _skip(raw: bytes, at: int, kind: int) -> int:
    """Give the byte behind a value."""
    if _SHORT <= kind <= _LONG:
        while raw[at] >= 0x80:
            at += 1
        return at + 1
    if kind == _STRUCT:
        while head := raw[at]:
            at += 1
            if _SHORT <= head & 15 <= _LONG:
                while raw[at] >= 0x80:
                    at += 1
                at += 1
            else:
                at = _skip(raw, at, head & 15)
        return at + 1
    if kind == _BINARY:
        return _skip(raw, at, _LONG) + _varint_at(raw, at)
    if kind in (_LIST, _SET):
        n, inner, at = _size(raw, at)
        if inner in (_TRUE, _FALSE, _BYTE):
            return at + n
        for _ in range(n):
            at = _skip(raw, at, inner)
        return at
    return at + {_BYTE: 1, _DOUBLE: 8}.get(kind, 0)  # a truth lies in its kind


def _varint_at(raw: bytes, at: int) -> int:
    value = shift = 0
    while (byte := raw[at]) >= 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return value | byte << shift


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)
