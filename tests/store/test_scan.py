"""The verifier finds a planted marker in every kind of store.

In:    a folder with one marker hidden in each format.
Out:   a finding for each; none where there is none; never the marker itself.
Never: a store kind without a plant.
"""

import gzip
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import apsw
import duckdb
import pytest
from deltalake import DeltaTable

from tests.store.rows import event_row
from tillit.store.lake import Lake
from tillit.store.scan import UNREADABLE, find_bytes, find_freed

MARKER = "ana.märker-7f3ac2d9e1@example.org"
NOISE = b'{"user":"somebody else"}' * 50


def _plain(folder: Path) -> None:
    (folder / "rejects.jsonl").write_bytes(NOISE + MARKER.encode() + NOISE)


def _json_escapes(folder: Path) -> None:
    (folder / "rejects.jsonl").write_bytes(b'{"email":"ana.m\\u00e4rker-7f3ac2d9e1@example.org"}')


def _url(folder: Path) -> None:
    (folder / "access.log").write_bytes(b"GET /?email=ana.m%C3%A4rker-7f3ac2d9e1%40example.org")


def _gzip(folder: Path) -> None:
    (folder / "body.gz").write_bytes(gzip.compress(NOISE + MARKER.encode()))


def _zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("people.csv", MARKER * 20)


def _zstd(folder: Path) -> None:
    _duckdb_copy(folder / "export.csv.zst", "(FORMAT csv, COMPRESSION zstd)")


def _duckdb_copy(to: Path, how: str) -> None:
    engine = duckdb.connect()
    engine.execute(f"COPY (SELECT repeat('x', 300) || '{MARKER}' AS v FROM range(20)) TO '{to}' {how}")
    engine.close()


def _sqlite_row(folder: Path) -> None:
    with _sqlite(folder / "state.db") as connection:
        connection.execute("CREATE TABLE person(email TEXT)")
        connection.execute("INSERT INTO person VALUES (?)", (MARKER,))
    connection.close()


def _sqlite_compressed_blob(folder: Path) -> None:
    with _sqlite(folder / "log.db") as connection:
        connection.execute("CREATE TABLE log(body BLOB)")
        connection.execute("INSERT INTO log VALUES (?)", (zlib.compress(gzip.compress(NOISE + MARKER.encode())),))
    connection.close()


def _sqlite_free_page(folder: Path) -> None:
    connection = _sqlite(folder / "log.db")
    connection.pragma("secure_delete", False)
    connection.execute("CREATE TABLE log(body TEXT)")
    connection.executemany("INSERT INTO log VALUES (?)", [(MARKER + "x" * 3000,)] * 20)
    connection.execute("DELETE FROM log")
    connection.close()


def _sqlite_split_over_free_pages(folder: Path) -> None:
    connection = _sqlite(folder / "log.db")
    connection.pragma("page_size", 4096)
    connection.pragma("secure_delete", False)
    connection.execute("CREATE TABLE log(body TEXT)")
    # A long value lies in a chain of pages, 4,092 bytes on each. One of these places a boundary inside the marker.
    plain = MARKER.encode().hex()
    connection.executemany(
        "INSERT INTO log VALUES (?)", [("y" * (7_000 + 15 * n) + plain + "y" * (8_000 - 15 * n),) for n in range(300)]
    )
    connection.execute("DELETE FROM log")
    connection.close()
    content = (folder / "log.db").read_bytes()
    (folder / "log.db").write_bytes(content.replace(plain.encode(), b"z" * len(plain)))


def _write_ahead_split(folder: Path) -> None:
    connection = _sqlite(folder / "first.db")
    connection.pragma("journal_mode", "wal")
    connection.pragma("wal_autocheckpoint", 0)
    connection.execute("CREATE TABLE log(body TEXT)")
    plain = MARKER.encode().hex()
    connection.executemany(
        "INSERT INTO log VALUES (?)", [("y" * (7_000 + 15 * n) + plain + "y" * (8_000 - 15 * n),) for n in range(300)]
    )
    content = (folder / "first.db-wal").read_bytes()
    connection.close()
    (folder / "log.db-wal").write_bytes(content.replace(plain.encode(), b"z" * len(plain)))
    for name in ("first.db", "first.db-wal", "first.db-shm"):
        (folder / name).unlink(missing_ok=True)


def _sqlite_wal(folder: Path) -> None:
    connection = _sqlite(folder / "first.db")
    connection.pragma("journal_mode", "wal")
    connection.pragma("wal_autocheckpoint", 0)
    connection.execute("CREATE TABLE log(body TEXT)")
    connection.execute("INSERT INTO log VALUES (?)", (MARKER,))
    (folder / "log.db-wal").write_bytes((folder / "first.db-wal").read_bytes())
    connection.close()
    for name in ("first.db", "first.db-wal", "first.db-shm"):
        (folder / name).unlink(missing_ok=True)


def _sqlite_full_text(folder: Path) -> None:
    with _sqlite(folder / "state.db") as connection:
        connection.execute("CREATE VIRTUAL TABLE search USING fts5(email)")
        connection.execute("INSERT INTO search VALUES (?)", (MARKER,))
    connection.close()


def _parquet(folder: Path) -> None:
    _duckdb_copy(folder / "export.parquet", "(FORMAT parquet, COMPRESSION zstd)")


def _lake(folder: Path) -> None:
    lake = Lake.open(folder / "lake")
    lake.append([event_row(1, user_id=MARKER)], epoch=1, through=1)
    lake.close()


def _unreferenced_lake_file(folder: Path) -> None:
    lake = Lake.open(folder / "lake")
    lake.append([event_row(1, user_id=MARKER)], epoch=1, through=1)
    lake.close()
    DeltaTable(folder / "lake").delete("position = 1")


def _delta_log(folder: Path) -> None:
    lake = Lake.open(folder / "lake")
    lake.append([event_row(1, user_id="somebody else")], epoch=1, through=1)
    lake.close()
    DeltaTable(folder / "lake").delete(f"user_id = 'somebody else' OR user_id = '{MARKER}'")


def _sqlite(path: Path) -> apsw.Connection:
    return apsw.Connection(str(path))


PLANTS = [
    _plain,
    _json_escapes,
    _url,
    _gzip,
    _zip,
    _zstd,
    _sqlite_row,
    _sqlite_compressed_blob,
    _sqlite_free_page,
    _sqlite_wal,
    _sqlite_full_text,
    _parquet,
    _lake,
    _unreferenced_lake_file,
    _delta_log,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__.strip("_"))
def test_a_marker_is_found_in_every_kind_of_store(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path)

    found = find_bytes(tmp_path, ["nobody-4c1d@example.org", MARKER])

    assert {finding.marker for finding in found} == {1}
    assert MARKER not in repr(found)


@pytest.mark.parametrize("plant", [_sqlite_split_over_free_pages, _write_ahead_split])
def test_a_marker_cut_in_two_by_a_page_is_found(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path)

    found = find_bytes(tmp_path, [MARKER.encode().hex().encode()])

    assert [finding.place for finding in found] == ["split over two pages"]


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    for plant in PLANTS:
        room = tmp_path / plant.__name__.strip("_")
        room.mkdir()
        plant(room)

    assert find_bytes(tmp_path, ["nobody-4c1d@example.org", b"\x00nobody-4c1d"]) == []


@pytest.mark.parametrize("sign", [b"\x1f\x8b", b"BZh"], ids=["gzip", "bzip2"])
def test_a_hash_that_begins_like_a_wrapping_is_none(tmp_path: Path, sign: bytes) -> None:
    with _sqlite(tmp_path / "journal.db") as connection:
        connection.execute("CREATE TABLE entry (hash)")
        connection.execute("INSERT INTO entry VALUES (?)", (sign + b"\x91" * 30,))

    assert find_bytes(tmp_path, [MARKER]) == []


def test_each_marker_is_found_in_its_own_columns_of_a_packed_table(tmp_path: Path) -> None:
    table = (tmp_path / "export.parquet").as_posix()
    with duckdb.connect() as engine:
        columns = "'ana' || i % 7 || '@example.org' AS who, 'café ' || i % 5 AS place, i AS n"
        engine.execute(f"COPY (SELECT {columns} FROM range(5000) r(i)) TO '{table}' (FORMAT parquet, COMPRESSION zstd)")

    found = find_bytes(tmp_path, ["ana9@example.org", "ana3@example.org", "café 4", b"ana5@", b"\xff\xfe"])

    assert {(one.place, one.marker) for one in found if one.place != "bytes"} == {
        ("column who", 1),
        ("column place", 2),
        ("column who", 3),
    }
    assert {one.marker for one in found} == {1, 2, 3}


@pytest.mark.parametrize("name", ["part-0.parquet", "part-1.parquet#1", "export.gz", "state.db"])
def test_a_file_that_cannot_be_looked_into_is_reported(tmp_path: Path, name: str) -> None:
    _parquet(tmp_path)
    whole = (tmp_path / "export.parquet").read_bytes()
    torn = {".gz": gzip.compress(os.urandom(500))[:200], ".db": b"SQLite format 3\0" + b"\x10\0" + os.urandom(9_000)}
    (tmp_path / "export.parquet").unlink()
    (tmp_path / name).write_bytes(torn.get(Path(name).suffix, whole[: len(whole) // 2]))

    found = find_bytes(tmp_path, [MARKER])

    assert UNREADABLE in {finding.marker for finding in found}


def _freed(path: Path, *, secure: str) -> Path:
    """Make a database whose list of free pages grew and shrank again."""
    connection = apsw.Connection(str(path))
    connection.pragma("secure_delete", secure)
    connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE other (body TEXT)")
    connection.executemany("INSERT INTO person VALUES (?, ?)", [(i, MARKER * 40) for i in range(200)])
    connection.execute("DELETE FROM person")
    connection.executemany("INSERT INTO other VALUES (?)", [("z" * 3_000,) for _ in range(20)])
    connection.close()
    return path


def test_zeroed_free_pages_hold_nothing_though_their_list_names_pages_in_use(tmp_path: Path) -> None:
    assert find_freed(_freed(tmp_path / "state.db", secure="on")) == 0


def test_free_pages_that_were_not_zeroed_are_counted(tmp_path: Path) -> None:
    assert find_freed(_freed(tmp_path / "state.db", secure="off")) > 0


def test_a_word_behind_the_numbers_in_the_list_of_free_pages_is_counted(tmp_path: Path) -> None:
    path = _freed(tmp_path / "state.db", secure="on")
    raw = bytearray(path.read_bytes())
    trunk = int.from_bytes(raw[32:36], "big")
    raw[trunk * 4_096 - 40 : trunk * 4_096 - 40 + 12] = b"ana@shop.org"
    path.write_bytes(raw)

    assert find_freed(path) == 1


def test_a_marker_is_found_in_any_of_many_rows_plain_or_wrapped(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "state.db"))
    connection.execute("CREATE TABLE row (id INTEGER, body BLOB)")
    bodies = [NOISE + b"%d" % i for i in range(3_000)]
    bodies[1_700] = gzip.compress(MARKER.encode() + NOISE)
    connection.executemany("INSERT INTO row VALUES (?, ?)", list(enumerate(bodies)))
    connection.close()

    assert [one.place for one in find_bytes(tmp_path, [MARKER])] == ["table row, column body, gzip"]


def test_what_goes_elsewhere_while_it_is_looked_for_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing")
    (tmp_path / "b.txt").write_text("ana@example.org")

    def merge(name: str) -> bool:
        if name == "b.txt":
            (tmp_path / name).rename(tmp_path / "0.txt")
        return False

    found = find_bytes(tmp_path, ["ana@example.org"], passing_over=merge)

    assert [(one.file, one.marker) for one in found] == [("0.txt", 0)]


def test_files_that_never_stay_are_no_proof_that_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "0.txt").write_text("ana@example.org")

    def move_on(name: str) -> bool:
        (tmp_path / name).rename(tmp_path / f"{int(name[:-4]) + 1}.txt")
        return False

    found = find_bytes(tmp_path, ["ana@example.org"], passing_over=move_on)

    assert [one.marker for one in found] == [UNREADABLE]
