"""Parts: the files of a folder destination, as bytes, in the two formats that there are.

In:    rows of Columns; the bytes of a part.
Out:   the bytes of a part; its rows by key, in the columns of today.
Never: a cell of CSV that a spreadsheet would run; a column that the destination has no more.

CSV is RFC 4180 in UTF-8, without a value where there is none. Parquet has the kinds of the columns, json as text.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tillit.deliver.wires.columns import AT, KEY, Columns, Row, Value, at_text
from tillit.records import plain_cell, safe_cell

if TYPE_CHECKING:
    from arro3.core import DataType

csv.field_size_limit(1 << 24)  # a cell of ours is at most some hundred kilobytes
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")

Rows = dict[str, Row]


class NotReadable(Exception):
    """A part is not what was written here."""


class Format(Protocol):
    """How a part is written down."""

    def row(self, row: Row) -> Row:
        """Give a row as `read` would give it back."""
        ...

    def read(self, data: bytes) -> tuple[Rows, bool]:
        """Give the rows of a part by key, and whether it has the columns of today. Raises NotReadable."""
        ...

    def write(self, rows: Iterable[Row]) -> bytes:
        """Write a part."""
        ...


class Csv:
    """Parts that people open. A row is the text of its cells, so what is rewritten is copied to the letter."""

    def __init__(self, columns: Columns) -> None:
        """Take the columns of today."""
        self._columns = columns

    def row(self, row: Row) -> Row:
        """Write the cells of a row."""
        kinds = ("text", "timestamp", *self._columns.kinds)
        return tuple(_cell(kind, value) for kind, value in zip(kinds, row, strict=True))

    def read(self, data: bytes) -> tuple[Rows, bool]:
        """Give the rows of a part by key, and whether it has the columns of today. Raises NotReadable."""
        try:
            header, *rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        except (ValueError, csv.Error) as exc:
            raise NotReadable from exc
        names = [plain_cell(name) for name in header]
        if names[:2] != [KEY, AT] or any(len(row) != len(names) for row in rows):
            raise NotReadable
        places = [names.index(name) if name in names else None for name in self._columns.header]
        found: Rows = {plain_cell(row[0]): tuple("" if at is None else row[at] for at in places) for row in rows}
        return found, tuple(names) == self._columns.header

    def write(self, rows: Iterable[Row]) -> bytes:
        """Write a part."""
        out = io.StringIO(newline="")
        table = csv.writer(out, lineterminator="\r\n")
        table.writerow([safe_cell(name) for name in self._columns.header])
        table.writerows(rows)
        return out.getvalue().encode()


def _cell(kind: str, value: Value) -> str:
    if value is None:
        return ""
    if kind == "timestamp":
        return at_text(int(value))
    text = value if isinstance(value, str) else str(value).lower()
    # A minus before a plain number is no formula, and programs read numbers.
    return text if _NUMBER.fullmatch(text) else safe_cell(text)


class Parquet:
    """Parts that programs open. DuckDB reads and writes files alone, so each passes through a scratch file."""

    def __init__(self, columns: Columns, scratch: Path) -> None:
        """Take the columns of today, and a file that may be overwritten."""
        import duckdb

        self._columns = columns
        self._scratch = scratch
        # Nothing is fetched: what a part needs is in the package.
        config: dict[str, Any] = {
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._engine = duckdb.connect(config=config)
        self._kinds = ("text", "timestamp", *columns.kinds)

    def row(self, row: Row) -> Row:
        """Give the row: values are kept as they are."""
        return row

    def read(self, data: bytes) -> tuple[Rows, bool]:
        """Give the rows of a part by key, cast to the kinds of today, and whether it has them. Raises NotReadable."""
        import duckdb

        try:
            self._scratch_out(data)
            source = "FROM read_parquet(?)"
            told = self._engine.execute(f"DESCRIBE SELECT * {source}", [str(self._scratch)]).fetchall()
            names = [(str(name), str(kind)) for name, kind, *_ in told]
            if not {KEY, AT} <= {name for name, _ in names}:
                raise NotReadable
            cells = ", ".join(
                _READ[kind].format(_quoted(name)) if name in {one for one, _ in names} else "NULL"
                for name, kind in zip(self._columns.header, self._kinds, strict=True)
            )
            rows = self._engine.execute(f"SELECT {cells} {source}", [str(self._scratch)]).fetchall()
        except duckdb.Error as exc:
            raise NotReadable from exc
        finally:
            self._scratch.unlink(missing_ok=True)
        is_current = names == [
            (name, _STORED.get(kind, "VARCHAR")) for name, kind in zip(self._columns.header, self._kinds, strict=True)
        ]
        return {row[0]: row for row in rows}, is_current

    def write(self, rows: Iterable[Row]) -> bytes:
        """Write a part. Raises OSError."""
        import duckdb
        from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table

        lists: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
        names = self._columns.header
        types = [_arrow(kind) for kind in self._kinds]
        plain = [
            DataType.int64() if kind == "timestamp" else type_ for kind, type_ in zip(self._kinds, types, strict=True)
        ]
        schema = Schema([Field(name, type_, nullable=True) for name, type_ in zip(names, types, strict=True)])
        columns = [
            Array(values, bare).cast(type_)
            for values, bare, type_ in zip(lists or [[] for _ in names], plain, types, strict=True)
        ]
        batch = RecordBatch.from_arrays(columns, schema=schema)
        self._engine.register("rows", Table.from_batches([batch]))
        path = str(self._scratch).replace("'", "''")
        try:
            self._scratch_out(b"")  # made first, so that nobody else may read it
            self._engine.execute(
                f"COPY (SELECT * FROM rows) TO '{path}' (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
            )
            return self._scratch.read_bytes()
        except duckdb.IOException as exc:
            raise OSError from exc
        finally:
            self._engine.unregister("rows")
            self._scratch.unlink(missing_ok=True)

    def _scratch_out(self, data: bytes) -> None:
        with os.fdopen(os.open(self._scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)


_READ: Mapping[str, str] = {
    "text": "CAST({} AS VARCHAR)",
    "json": "CAST({} AS VARCHAR)",
    "bigint": "TRY_CAST({} AS BIGINT)",
    "double": "TRY_CAST({} AS DOUBLE)",
    "boolean": "TRY_CAST({} AS BOOLEAN)",
    "timestamp": "epoch_us(TRY_CAST({} AS TIMESTAMPTZ))",
}

_STORED = {
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}


def _arrow(kind: str) -> "DataType":
    from arro3.core import DataType

    if kind == "timestamp":
        return DataType.timestamp("us", tz="UTC")
    return {"bigint": DataType.int64, "double": DataType.float64, "boolean": DataType.bool}.get(kind, DataType.string)()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
