"""Look for bytes in everything a folder holds, whatever they are wrapped in.

In:    a folder and the markers to look for (what a forgotten person left).
Out:   findings: which file, where in it, which marker by its number; and files that could not be looked into.
Never: a marker's value in a finding; a file skipped in silence; a write.

Formats: any file as it lies on disk, SQLite (values of every table, blobs unwrapped, free pages, pages split over a
boundary, write-ahead files), Parquet (every column's values, whether or not the table still refers to the file),
gzip, zlib, zstd and zip, each inside the other.
"""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import apsw
import msgspec

if TYPE_CHECKING:  # loaded by those who read Parquet
    import duckdb

UNREADABLE = -1  # the marker number of a file that could not be looked into

_DEEPEST = 6  # wrappings inside wrappings; more is an attack or a mistake, and is reported
_LARGEST = 1 << 30  # bytes one wrapping may unfold to before we call it unreadable
_PAGE_POINTER = 4  # bytes at the beginning of a page of a long value: where it goes on
_PATIENCE_MS = 10_000
_BLOCK_BYTES = 1 << 20  # taste: large enough that each look is long, small enough for the processor's cache
_MOST_ROUNDS = 20  # each while files went in the one before: the lake merges some a minute
_SHORTEST_SPLIT = 4  # fewer bytes at a page's edge match by chance


Wanted = Sequence[Sequence[bytes]]  # the spellings of each marker
Found = Iterator[tuple[str, int]]  # place and marker number


class Finding(NamedTuple):
    """One place that holds a marker. Grain: one per file, place in it and marker."""

    file: str  # relative to the folder
    place: str  # "bytes", "table log, column body", "column user_id", ...
    marker: int  # which of the markers, or UNREADABLE


def find_bytes(
    folder: Path,
    markers: Sequence[bytes | str],
    *,
    passing_over: Callable[[str], bool] = lambda _: False,
    apart: bool = False,
) -> list[Finding]:
    """List every place below a folder that holds one of the markers.

    Shape:  markers as text or bytes -> findings in order of file name; a file that should open and does not is a
            finding with marker UNREADABLE, so that an empty list means: everything was read and nothing was there.
            Files whose name `passing_over` takes are the caller's to look into.
            With `apart` a marker counts only where it stands for itself: `ana@example.org` is not found in
            `diana@example.org`.
    """
    wanted = [spellings(marker) for marker in markers]
    findings: list[Finding] = []
    explained: set[tuple[str, int]] = set()
    looked: set[Path] = set()
    gone = True
    with contextlib.closing(_ParquetReader()) as parquet:
        for _ in range(_MOST_ROUNDS):
            if not gone:
                break
            # What went while it was looked for may have been written elsewhere: whatever came since is looked into too.
            gone = False
            for file in sorted({one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()} - looked):
                name = file.relative_to(folder).as_posix()
                if passing_over(name):
                    continue
                seen: dict[Finding, None] = {}
                try:
                    for place, marker in _in_file(file, wanted, parquet):
                        if place.endswith(_WITHIN):
                            explained.add((name.removesuffix("-wal"), marker))
                        seen[Finding(name, place, marker)] = None
                except FileNotFoundError:
                    gone = True
                looked.add(file)
                findings.extend(seen)
    if gone:
        findings.append(Finding("", "files that went while they were looked for", UNREADABLE))
    if apart:
        # The raw bytes of a table say nothing of where a value ends: within a longer one they are explained.
        return [
            one
            for one in findings
            if not one.place.endswith(_WITHIN)
            and not (one.place in _RAW and (one.file.removesuffix("-wal"), one.marker) in explained)
        ]
    return list(dict.fromkeys(one._replace(place=one.place.removesuffix(_WITHIN)) for one in findings))


_SQLITE = b"SQLite format 3\0"
_WAL = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_WITHIN = ", within a longer word"
_RAW = ("bytes", "split over two pages")
_LETTER = rb"A-Za-z0-9_@+\-\x80-\xff"


def _stands_apart(way: bytes, blob: bytes) -> bool:
    r"""Say whether bytes hold a spelling that is not part of a longer word, wherever text can be told from the rest.

    >>> _stands_apart(b"ana@x.org", b'"diana@x.org"'), _stands_apart(b"ana@x.org", b'"by\\nana@x.org."')
    (False, True)
    """
    if not _is_text(blob):
        try:
            blob = b"\n".join(_strings(msgspec.msgpack.decode(blob)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            return True
        if way not in blob:
            return True
    before = rb"(?:(?<![." + _LETTER + rb"])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
    after = rb"(?![" + _LETTER + rb"]|\.[" + _LETTER + rb"])"
    return re.search(before + re.escape(way) + after, blob) is not None


def _is_text(blob: bytes) -> bool:
    try:
        return "\0" not in blob.decode()
    except UnicodeDecodeError:
        return False


def _strings(told: object) -> Iterator[bytes]:
    if isinstance(told, str):
        yield told.encode("utf-8", "surrogatepass")
    elif isinstance(told, bytes):
        yield told
    elif isinstance(told, dict):
        for name, value in told.items():
            yield from _strings(name)
            yield from _strings(value)
    elif isinstance(told, list):
        for one in told:
            yield from _strings(one)


def spellings(marker: bytes | str) -> list[bytes]:
    """Write a marker in each way our formats would: plain, JSON with escapes, percent signs of a URL, UTF-16."""
    if isinstance(marker, bytes):
        return [marker]
    escaped = json.dumps(marker)[1:-1]
    plain = json.dumps(marker, ensure_ascii=False)[1:-1]
    ways = [marker, plain, escaped, json.dumps(escaped)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]]
    ways += [quote(marker, safe=""), quote(marker)]
    unique = dict.fromkeys(way.encode() for way in ways)
    return [*unique, marker.encode("utf-16-le"), marker.encode("utf-16-be")]


def _in_file(file: Path, wanted: Wanted, parquet: "_ParquetReader") -> Found:
    if file.stat().st_size == 0:
        return
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        head = whole[:16]
        is_plain = head != _SQLITE and head[:4] not in (*_WAL, b"PAR1")
        for number, ways in enumerate(wanted):
            if any(whole.find(way) >= 0 for way in ways):
                yield _placed("bytes", ways, whole[:]) if is_plain else "bytes", number
        if _is_wrapped(head):
            yield from _in_blob(whole[:], wanted, "bytes")
        if head == _SQLITE:
            yield from _in_split_pages(whole, _page_size(whole[16:18]), wanted)
            yield from _in_sqlite(file, wanted)
        elif head[:4] in _WAL:
            yield from _in_split_pages(whole, struct.unpack(">I", whole[8:12])[0], wanted, first=32, head=24)
        elif head[:4] == b"PAR1" or ".parquet" in file.name:
            yield from _in_parquet(file, wanted, parquet)


# SQLite


def _page_size(raw: bytes) -> int:
    size = int(struct.unpack(">H", raw)[0])
    return 65_536 if size == 1 else size


def _in_split_pages(whole: mmap.mmap, page: int, wanted: Wanted, *, first: int = 0, head: int = 0) -> Found:
    """Find markers cut in two at a page's end: a long value goes on, after 4 bytes, on some other page.

    What a query no longer reaches (free pages, old frames) can be found only so. A page starts at `first`, and at
    each `head + page` bytes from there, behind a frame's head.
    """
    skip = head + _PAGE_POINTER
    cuts = [(way[:cut], way[cut:]) for ways in wanted for way in ways for cut in _cuts(way)]
    ends: dict[bytes, list[int]] = {here[-_SHORTEST_SPLIT:]: [] for here, _ in cuts}
    begins: dict[bytes, list[int]] = {there[:_SHORTEST_SPLIT]: [] for _, there in cuts}
    for start in range(first, len(whole) - page + 1, head + page):
        end = start + head + page
        if (edge := whole[end - _SHORTEST_SPLIT : end]) in ends:
            ends[edge].append(end)
        if (edge := whole[start + skip : start + skip + _SHORTEST_SPLIT]) in begins:
            begins[edge].append(start + skip)
    for number, ways in enumerate(wanted):
        for way in ways:
            for cut in _cuts(way):
                here, there = way[:cut], way[cut:]
                if any(whole[end - cut : end] == here for end in ends[here[-_SHORTEST_SPLIT:]]) and any(
                    whole[at : at + len(there)] == there for at in begins[there[:_SHORTEST_SPLIT]]
                ):
                    yield "split over two pages", number


def _cuts(way: bytes) -> range:
    return range(_SHORTEST_SPLIT, len(way) - _SHORTEST_SPLIT + 1)


def find_freed(path: Path) -> int:
    """Count the pages that an SQLite file no longer uses and that are not all zero: what was deleted may lie there.

    Walks the list of free pages; its own pages hold numbers of pages, also of those that were taken into use again.
    """
    with path.open("rb") as opened:
        head = opened.read(100)
        if head[:16] != _SQLITE:
            return 0
        page = _page_size(head[16:18])
        trunk = struct.unpack(">I", head[32:36])[0]
        n_pages = path.stat().st_size // page
        found = 0
        while trunk:
            opened.seek((trunk - 1) * page)
            raw = opened.read(page)
            trunk, n = struct.unpack(">II", raw[:8])
            found += any(number > n_pages for number in struct.unpack(f">{page // 4 - 2 - n}I", raw[8 + 4 * n :]))
            leaves = struct.unpack(f">{n}I", raw[8 : 8 + 4 * n])
            for leaf in leaves:
                opened.seek((leaf - 1) * page)
                found += any(opened.read(page))
        return found


def _in_sqlite(file: Path, wanted: Wanted) -> Found:
    try:
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        yield "database", UNREADABLE
        return
    # Whoever serves it may hold it for a moment; that it is busy does not make it unreadable.
    connection.set_busy_timeout(_PATIENCE_MS)
    try:
        # Virtual tables' values lie in shadow tables, which are tables like any other.
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall()
        for (table,) in tables:
            cursor = connection.execute(f"SELECT * FROM {_name(str(table))}")
            try:
                columns = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                continue  # an empty table
            for some in _blocks(cursor):
                # All at once first: what stands in none of them needs no look at each, unless it is wrapped.
                is_held = _hold_any(b"\0".join(blob for _, blob in some), wanted)
                for number, blob in some:
                    if is_held or blob[:1] in _FIRST_BYTES:
                        yield from _in_blob(blob, wanted, f"table {table}, column {columns[number]}")
    except apsw.Error:
        yield "database", UNREADABLE
    finally:
        connection.close()


def _blocks(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[int, bytes]]]:
    """Give the texts and blobs of rows, each with the number of its column, about a megabyte at a time."""
    some: list[tuple[int, bytes]] = []
    n_bytes = 0
    for row in rows:
        for number, value in enumerate(row):
            if isinstance(value, (str, bytes)):
                blob = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
                some.append((number, blob))
                n_bytes += len(blob)
        if n_bytes >= _BLOCK_BYTES:
            yield some
            some, n_bytes = [], 0
    if some:
        yield some


def _hold_any(blob: bytes, wanted: Wanted) -> bool:
    return any(way in blob for ways in wanted for way in ways)


# Parquet


class _ParquetReader:
    """DuckDB, started for the first file and kept for the others: starting it costs as much as reading a small file."""

    def __init__(self) -> None:
        self._engine: duckdb.DuckDBPyConnection | None = None

    def cursor(self) -> "duckdb.DuckDBPyConnection":
        import duckdb

        if self._engine is None:
            self._engine = duckdb.connect(":memory:", config={"temp_directory": ""})
            self._engine.execute("SET autoinstall_known_extensions = false")
        return self._engine.cursor()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _in_parquet(file: Path, wanted: Wanted, parquet: _ParquetReader) -> Found:
    import duckdb

    engine = parquet.cursor()
    told = [(number, text) for number, ways in enumerate(wanted) for way in ways if (text := _as_text(way)) is not None]
    numbers, texts = [number for number, _ in told], [text for _, text in told]
    try:
        source = f"read_parquet({_text(_literal(file))})"
        described = engine.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        for column, kind, *_ in described:
            if kind == "BLOB":
                engine.execute(f"SELECT {_name(column)} FROM {source} WHERE {_name(column)} IS NOT NULL")
                while some := engine.fetchmany(1_000):
                    for (blob,) in some:
                        yield from _in_blob(bytes(blob), wanted, f"column {column}")
                continue
            if kind in _HOLD_NO_TEXT or not told:
                continue
            # One question for all markers: each reads the whole column. The markers are a table: a condition for each
            # takes longer to plan than a small file to read.
            sql = (
                "SELECT DISTINCT number FROM (SELECT unnest(?::VARCHAR[]) AS text, unnest(?::INTEGER[]) AS number), "
                f"(SELECT {_name(column)}::VARCHAR AS value FROM {source}) WHERE contains(value, text) ORDER BY number"
            )
            for (number,) in engine.execute(sql, [texts, numbers]).fetchall():
                own = [text for text, of in zip(texts, numbers, strict=True) if of == number]
                engine.execute(
                    f"SELECT {_name(column)}::VARCHAR FROM {source} WHERE "
                    + " OR ".join([f"contains({_name(column)}::VARCHAR, ?)"] * len(own)),
                    own,
                )
                held = b"\n".join(str(value).encode() for (value,) in engine.fetchall())
                yield _placed(f"column {column}", wanted[number], held), number
    except duckdb.Error:
        yield "table", UNREADABLE  # torn, or another format under this name: its packed pages were not looked into
    finally:
        engine.close()


_HOLD_NO_TEXT = frozenset({"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "BOOLEAN", "DOUBLE", "FLOAT"})


def _as_text(way: bytes) -> str | None:
    try:
        text = way.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _literal(file: Path) -> str:
    """Keep a path's own stars and brackets from being read as a pattern."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in str(file))


# Wrappings


def _is_wrapped(head: bytes) -> bool:
    return any(head.startswith(magic) for magic, _, _ in _WRAPPINGS)


def _in_blob(blob: bytes, wanted: Wanted, place: str, depth: int = 0) -> Found:
    for number, ways in enumerate(wanted):
        if any(way in blob for way in ways):
            yield _placed(place, ways, blob), number
    if depth > _DEEPEST:
        yield place, UNREADABLE
        return
    for magic, name, unwrap in _WRAPPINGS:
        if not blob.startswith(magic):
            continue
        try:
            for inner in unwrap(blob):
                yield from _in_blob(inner, wanted, f"{place}, {name}", depth + 1)
        except _FAILED:
            # Two bytes begin many things that are not zlib; the longer signs are no accident.
            if _NO_ACCIDENT.match(blob):
                yield f"{place}, {name}", UNREADABLE


def _placed(place: str, ways: Sequence[bytes], blob: bytes) -> str:
    """Name a place, with whether every marker in it is part of a longer word."""
    held = [way for way in ways if way in blob]
    return place if any(_stands_apart(way, blob) for way in held) else place + _WITHIN


def _unzlib(blob: bytes) -> Iterable[bytes]:
    return [_all_of(zlib.decompressobj(), blob)]


def _all_of(unpacker: "zlib._Decompress", blob: bytes) -> bytes:
    inner = unpacker.decompress(blob, _LARGEST)
    if unpacker.unconsumed_tail:
        raise ValueError("unfolds to more than we look at")
    return inner


def _ungzip(blob: bytes) -> Iterable[bytes]:
    with gzip.open(io.BytesIO(blob)) as opened:
        inner = opened.read(_LARGEST)
        if opened.read(1):
            raise ValueError("unfolds to more than we look at")
    return [inner]


def _unzip(blob: bytes) -> Iterable[bytes]:
    with zipfile.ZipFile(io.BytesIO(blob)) as opened:
        return [opened.read(name) for name in opened.namelist()]


def _unzstd(blob: bytes) -> Iterable[bytes]:
    """Unfold with DuckDB, which has zstd built in; Python has it from 3.14 on only."""
    import tempfile

    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "blob.zst"
        packed.write_bytes(blob)
        engine = duckdb.connect(":memory:", config={"temp_directory": ""})
        try:
            # One column and no quoting: every line comes out as it went in, whatever bytes it holds.
            rows = engine.execute(
                "SELECT line FROM read_csv(?, compression = 'zstd', header = false, auto_detect = false, "
                "columns = {'line': 'VARCHAR'}, delim = '', quote = '', escape = '', max_line_size = 67108864, "
                "encoding = 'latin-1')",
                [str(packed)],
            ).fetchall()
        except duckdb.Error as exc:
            raise ValueError("not zstd") from exc
        finally:
            engine.close()
    return ["\n".join(row[0] or "" for row in rows).encode("latin-1")]


# What a wrapping of each kind begins with as far as its head is fixed. A shorter sign would be met by chance: of every
# 65,536 hashes one begins as gzip does.
_NO_ACCIDENT = re.compile(
    rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]|\x28\xb5\x2f\xfd|PK\x03\x04"
    rb"|BZh[1-9](?:1AY&SY|\x17rE8P\x90)|\xfd7zXZ\x00",
    re.DOTALL,
)
_FAILED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, UnicodeError)
_WRAPPINGS: tuple[tuple[bytes, str, Callable[[bytes], Iterable[bytes]]], ...] = (
    (b"\x1f\x8b", "gzip", _ungzip),
    (b"\x28\xb5\x2f\xfd", "zstd", _unzstd),
    (b"PK\x03\x04", "zip", _unzip),
    (b"BZh", "bzip2", lambda blob: [bz2.decompress(blob)]),
    (b"\xfd7zXZ\0", "xz", lambda blob: [lzma.decompress(blob)]),
    (b"\x78\x01", "zlib", _unzlib),
    (b"\x78\x5e", "zlib", _unzlib),
    (b"\x78\x9c", "zlib", _unzlib),
    (b"\x78\xda", "zlib", _unzlib),
)
_FIRST_BYTES = frozenset(magic[:1] for magic, _, _ in _WRAPPINGS)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
