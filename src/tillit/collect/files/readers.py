"""Readers: the rows of a file, one after the other, however large it is.

In:    a CSV, JSONL or Parquet file (the first two also gzipped) and its mapping.
Out:   `FileRow`s with their number; a row that cannot be read comes with its fault and the others go on.
Never: more of the file in memory than a block; a row silently dropped or repaired.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, cast

from tillit.collect.files.mapping import ENCODINGS, Mapping, bom_encoding
from tillit.errors import InputError

if TYPE_CHECKING:  # an outside package of 22 MB, loaded by those who read Parquet
    import duckdb

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
LONGEST_LINE = 1 << 20  # a thirty-second of this is the largest event the door takes
SNIFF_CHARS = 65_536
SNIFF_LINES = 50
PARQUET_BLOCK = 2_000  # rows fetched at a time
_TIME_TYPE = re.compile(r"TIMESTAMP(_S|_MS|_NS)?")


class BadFile(InputError):
    """A file cannot be read as its mapping says."""

    code = "collect.bad-file"


class Fault(NamedTuple):
    """Why one row was not taken."""

    code: str
    reason: str


class FileRow(NamedTuple):
    """One row of a file. Grain: one per row, numbered from 1 without the header."""

    number: int
    line: int | None  # of a text file: where the row begins, counted from 1
    values: dict[str, Any]
    raw: object  # as it stood, for the reject file
    fault: Fault | None


class RowReader(Protocol):
    """Rows in order, and how far we are."""

    def __iter__(self) -> Iterator[FileRow]:
        """Give the rows."""
        ...

    def share_read(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def open_rows(path: Path, mapping: Mapping) -> RowReader:
    """Open a file as its mapping says.

    Raises: BadFile when it cannot be read so, when iterating or now.
    """
    if mapping.format == "parquet":
        return ParquetRows(path, mapping)
    return CsvRows(path, mapping) if mapping.format == "csv" else JsonRows(path, mapping)


def content_of(row: FileRow, mapping: Mapping) -> bytes:
    """Give what a row says, in one form: the order of columns, quotes and spacing make no difference."""
    # Without a header the names are the mapping's own; another name there must not make another row.
    said = row.values if mapping.header else list(row.values.values())
    return _written(said).encode()


class _OpenFile:
    """The bytes of a file, unzipped on the way, and how far we are in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.raw: BufferedReader = path.open("rb")
        except OSError as exc:
            raise BadFile(f"{path.name} cannot be opened: {exc.strerror}.", file=path.name) from exc
        self.size = path.stat().st_size
        is_zipped = self.raw.peek(2)[:2] == GZIP_MAGIC
        self.stream = cast("BufferedReader", gzip.GzipFile(fileobj=self.raw) if is_zipped else self.raw)
        with translated(path), closed_on_error(self):
            self.head = self.stream.peek(4)[:4]

    def share_read(self) -> float:
        return min(1.0, self.raw.tell() / self.size) if self.size and not self.raw.closed else 1.0

    def close(self) -> None:
        self.stream.close()
        self.raw.close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the libraries raise about a file into our own error."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise BadFile(
            f"{path.name} is a gzip file that is damaged or ends early. Fetch it again; what was read before is kept.",
            file=path.name,
        ) from exc
    except UnicodeError as exc:
        listed = ", ".join(ENCODINGS)
        raise BadFile(
            f"{path.name} is not in the encoding its mapping names. Set `encoding` to one of {listed}.", file=path.name
        ) from exc
    except OSError as exc:
        raise BadFile(f"{path.name} cannot be read: {exc.strerror}.", file=path.name) from exc


@contextmanager
def closed_on_error(opened: "_OpenFile | duckdb.DuckDBPyConnection") -> Iterator[None]:
    """Let go of what was opened when opening the rest fails."""
    with ExitStack() as undo:
        undo.callback(opened.close)
        yield
        undo.pop_all()


def text_of(file: "_OpenFile", encoding: str) -> TextIOWrapper:
    """Read bytes as text. Bytes that are no text are marked, so that they cost one row and not the file."""
    announced = bom_encoding(file.head)
    if announced is not None and announced.removesuffix("-sig") != encoding.removesuffix("-sig"):
        raise BadFile(
            f"{file.path.name} begins with the mark of {announced.removesuffix('-sig')}, its mapping says {encoding}. "
            f"Set `encoding: {announced.removesuffix('-sig')}`.",
            file=file.path.name,
        )
    if encoding == "utf-16" and announced is None:
        raise BadFile(
            f"{file.path.name} does not begin with the mark of utf-16. Save it as utf-8.", file=file.path.name
        )
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    return TextIOWrapper(file.stream, encoding=encoding, errors=errors, newline="")


class _Lines:
    """Lines of a text, none longer than the limit, which can be put back."""

    def __init__(self, stream: TextIOWrapper) -> None:
        self._stream = stream
        self._again: list[tuple[str, bool]] = []
        self.number = 0  # of the newest line given
        self.taken: list[tuple[str, bool]] = []  # lines of the row being read, and whether each was cut

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._read()
        self.number += 1
        self.taken.append(line)
        return line[0]

    def _read(self) -> tuple[str, bool]:
        line = self._stream.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        if len(line) < LONGEST_LINE or line.endswith(("\n", "\r")):
            return line, False
        while (rest := self._stream.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
            pass
        return line + "\n", True

    def put_back(self, lines: list[tuple[str, bool]]) -> None:
        self._again.extend(reversed(lines))
        self.number -= len(lines)


class CsvRows:
    """Rows of a CSV, or of columns parted by spaces."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        """Open the file, find its delimiter, read its header."""
        self._file = _OpenFile(path)
        self._path = path
        self._mapping = mapping
        with translated(path), closed_on_error(self._file):
            self._lines = _Lines(text_of(self._file, mapping.encoding))
            sample = self._peek()
            self.delimiter = sniff_delimiter(sample) if mapping.delimiter == "auto" else mapping.delimiter
            self.columns = self._read_header() if mapping.header else list(mapping.columns)

    def _peek(self) -> list[str]:
        sample, n_chars = [], 0
        for line in self._lines:
            sample.append(line)
            n_chars += len(line)
            if len(sample) >= SNIFF_LINES or n_chars >= SNIFF_CHARS:
                break
        self._lines.put_back(self._lines.taken)
        self._lines.taken = []
        return sample

    def _cells(self) -> Iterator[list[str]]:
        if self.delimiter == "whitespace":
            return (line.split() for line in self._lines)
        return csv.reader(self._lines, delimiter=self.delimiter)

    def _read_header(self) -> list[str]:
        names: list[str] = []
        for cells in self._cells():
            names = [cell.strip() for cell in cells]
            if any(names):
                break
        if not any(names):
            raise BadFile(f"{self._path.name} is empty: it has no header.", file=self._path.name)
        for column in self._mapping.columns_named():
            if names.count(column) > 1:
                raise BadFile(f"{self._path.name} has two columns called {column!r}. Rename one.", file=self._path.name)
            if column not in names:
                near = get_close_matches(column, names, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise BadFile(
                    # The names found are not told: in a file without a header they would be somebody's values.
                    f"{self._path.name} has no column {column!r}, which its mapping names.{hint} Its first line has "
                    f"{len(names)} fields. Mend the mapping, or draft one: tillit import FILE --suggest.",
                    file=self._path.name,
                    column=column,
                )
        seen: dict[str, int] = {}
        for i, name in enumerate(names):
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:  # a column that the mapping does not read still counts for what the row says
                names[i] = f"{name}#{seen[name]}"
        return names

    def __iter__(self) -> Iterator[FileRow]:
        """Give the rows; blank lines are none."""
        lines, columns, number = self._lines, self.columns, 0
        may_hold_marks = self._mapping.encoding != "latin-1"
        cells_of = self._cells()
        with translated(self._path):
            while True:
                lines.taken = []
                fault = None
                cells: list[str] = []
                try:
                    cells = next(cells_of)
                except StopIteration:
                    return
                except csv.Error:
                    fault = Fault("collect.row-unreadable", "A field is too long, or its quotes do not close.")
                if fault is None:
                    if not cells or (len(cells) == 1 and len(columns) > 1 and not cells[0].strip()):
                        continue
                    fault = self._judge(cells)
                if fault is not None and len(lines.taken) > 1:
                    # A quote that never closes swallows the rows after it: it costs its own line, they are read again.
                    lines.put_back(lines.taken[1:])
                    del lines.taken[1:]
                    cells_of = self._cells()
                number += 1
                line = lines.number - len(lines.taken) + 1
                raw = "".join(text for text, _ in lines.taken).rstrip("\r\n")
                if may_hold_marks and fault is None and _is_damaged(raw):
                    fault = Fault("collect.row-encoding", f"Bytes that are not {self._mapping.encoding}.")
                if any(was_cut for _, was_cut in lines.taken):
                    fault = Fault("collect.row-too-long", f"Longer than {LONGEST_LINE} characters.")
                    raw = raw[:SNIFF_CHARS]
                yield FileRow(number, line, {} if fault else dict(zip(columns, cells, strict=True)), raw, fault)

    def _judge(self, cells: list[str]) -> Fault | None:
        if len(cells) == len(self.columns):
            return None
        return Fault("collect.row-width", f"It has {len(cells)} fields where {len(self.columns)} belong.")

    def share_read(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._file.share_read()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class JsonRows:
    """Rows of a file with one JSON object in each line."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        """Open the file."""
        self._file = _OpenFile(path)
        self._path = path
        self._mapping = mapping
        with translated(path), closed_on_error(self._file):
            self._lines = _Lines(text_of(self._file, mapping.encoding))

    def __iter__(self) -> Iterator[FileRow]:
        """Give the rows; blank lines are none."""
        number = 0
        with translated(self._path):
            for text in self._lines:
                (_, was_cut) = self._lines.taken.pop()
                raw = text.strip()
                if not raw:
                    continue
                number += 1
                values: dict[str, Any] = {}
                if was_cut:
                    raw = raw[:SNIFF_CHARS]
                    fault: Fault | None = Fault("collect.row-too-long", f"Longer than {LONGEST_LINE} characters.")
                elif _is_damaged(raw) and self._mapping.encoding != "latin-1":
                    fault = Fault("collect.row-encoding", f"Bytes that are not {self._mapping.encoding}.")
                else:
                    values, fault = _read_object(raw)
                yield FileRow(number, self._lines.number, values, raw, fault)

    def share_read(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._file.share_read()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ParquetRows:
    """Rows of a Parquet file."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        """Open the file and look at its columns."""
        self._path = path
        try:
            with path.open("rb") as file:
                head = file.read(4)
        except OSError as exc:
            raise BadFile(f"{path.name} cannot be opened: {exc.strerror}.", file=path.name) from exc
        if head != PARQUET_MAGIC:
            raise BadFile(f"{path.name} is not a Parquet file.", file=path.name)
        import duckdb

        self._engine = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"})
        pattern = re.sub(r"([*?\[])", r"[\1]", str(path.resolve()))  # the name of one file, not a pattern of many
        with closed_on_error(self._engine), _parquet_faults(path):
            self._engine.execute("SET allowed_directories = ?", [[str(path.resolve().parent)]])
            self._engine.execute("SET enable_external_access = false")
            described = self._engine.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern]).fetchall()
            self.columns = [str(name) for name, *_ in described]
            for column in mapping.columns_named():
                if column.partition(".")[0] not in self.columns and column not in self.columns:
                    near = get_close_matches(column, self.columns, n=1)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    raise BadFile(
                        f"{path.name} has no column {column!r}, which its mapping names.{hint}",
                        file=path.name,
                        column=column,
                    )
            self._n_rows = int(self._engine.execute("SELECT count(*) FROM read_parquet(?)", [pattern]).fetchall()[0][0])
            taken = ", ".join(_sql_of_column(str(name), str(kind)) for name, kind, *_ in described)
            self._rows = self._engine.execute(f"SELECT {taken} FROM read_parquet(?)", [pattern])
        self._n_read = 0

    def __iter__(self) -> Iterator[FileRow]:
        """Give the rows, in the order of the file."""
        while True:
            with _parquet_faults(self._path):
                block = self._rows.fetchmany(PARQUET_BLOCK)
            if not block:
                return
            for cells in block:
                self._n_read += 1
                values = {name: _plain(cell) for name, cell in zip(self.columns, cells, strict=True)}
                yield FileRow(self._n_read, None, values, values, None)

    def share_read(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._n_read / self._n_rows if self._n_rows else 1.0

    def close(self) -> None:
        """Let go of the file."""
        self._engine.close()


@contextmanager
def _parquet_faults(path: Path) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as exc:
        raise BadFile(
            f"{path.name} cannot be read as Parquet: it is damaged, or holds a type that cannot be read. "
            "Write it again with plain columns.",
            file=path.name,
        ) from exc


def sniff_delimiter(sample: list[str]) -> str:
    """Find the character that parts the fields: the one that gives most rows the same number of them, more than one.

    >>> sniff_delimiter(["a;b,c", "1;2,5", "3;4,5,6"])
    ';'
    """
    best, best_score = ",", 0.0
    for delimiter in (",", ";", "\t", "|"):
        widths = [len(cells) for cells in _read_leniently(sample, delimiter) if cells]
        if not widths:
            continue
        usual = max(set(widths), key=widths.count)
        share = widths.count(usual) / len(widths)
        score = share + usual / 10_000  # of two that fit alike, the one with more fields
        if usual > 1 and share > 0.5 and score > best_score:
            best, best_score = delimiter, score
    return best


def _read_leniently(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue


def _is_damaged(text: str) -> bool:
    """Say whether decoding left a mark: a lone surrogate (utf-8) or the replacement character (utf-16)."""
    return not text.isascii() and ("\ufffd" in text or any("\ud800" <= character <= "\udfff" for character in text))


def _read_object(raw: str) -> tuple[dict[str, Any], Fault | None]:
    try:
        values = _decoder.decode(raw)
    except (ValueError, RecursionError):
        return {}, Fault("collect.row-not-json", "It is not one JSON object with each key once and finite numbers.")
    if not isinstance(values, dict):
        return {}, Fault("collect.row-not-json", "It is not a JSON object.")
    return values, None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")  # two readers would disagree about whose row it is
    return made


def _not_finite(_: str) -> NoReturn:
    raise ValueError("not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        _not_finite(text)
    return number


_written = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_decoder = json.JSONDecoder(object_pairs_hook=_no_repeats, parse_constant=_not_finite, parse_float=_finite)


def _sql_of_column(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    # Times leave as text: aware ones would need a time zone package, and naive ones get the mapping's zone later.
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(make_timestamp(epoch_us({quoted})), '%Y-%m-%dT%H:%M:%S.%fZ')"
    if _TIME_TYPE.fullmatch(kind):
        return f"strftime({quoted}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%f')"
    if kind in {"DATE", "TIME", "UUID", "INTERVAL", "TIME WITH TIME ZONE"}:
        return f"{quoted}::VARCHAR"
    return f"hex({quoted})" if kind == "BLOB" else quoted


def _plain(cell: object) -> Any:
    """Write a value as JSON can hold it; not-a-number is no value."""
    if cell is None or isinstance(cell, (str, bool, int)):
        return cell
    if isinstance(cell, float):
        return cell if cell - cell == 0 else None
    if isinstance(cell, dict):
        return {str(key): _plain(one) for key, one in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [_plain(one) for one in cell]
    return str(cell)  # decimals keep every digit; dates inside lists read as ISO
