"""The lake holds every applied event once, readable by anyone, and forgets without a trace.

In:    log rows; a writer that is killed; a disk that tears the newest commit.
Out:   each position once, through our own reader, a fresh Delta reader and DuckDB.
Never: a mock of the table format.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.store.rows import event_row
from tillit.errors import TillitError
from tillit.records import KIND_TICK, LogRow
from tillit.store.lake import (
    Lake,
    LakeBusy,
    LakePathRefused,
    LakeQueryFailed,
    LakeQueryRefused,
)
from tillit.store.lake.groups import Group, read_footer
from tillit.store.lake.rewrite import Rewriting
from tillit.store.lake.table import _writer_properties
from tillit.store.scan import find_bytes

MARKER = "ana-7f3ac2d9e1@example.org"


def rows_of(first: int, last: int) -> list[LogRow]:
    return [event_row(position, user_id=f"user-{position % 7}") for position in range(first, last + 1)]


def positions_in(lake: Lake) -> list[int]:
    return [row[0] for row in lake.query("SELECT position FROM events ORDER BY position")]


def fill(lake: Lake, *, commits: int, per_commit: int) -> None:
    for commit in range(commits):
        first = commit * per_commit + 1
        lake.append(rows_of(first, first + per_commit - 1), epoch=1, through=first + per_commit - 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake" / "events", sync=False)


def test_an_event_comes_back_as_it_went_into_the_log(lake: Lake) -> None:
    rows = [event_row(1, user_id="ana", traits={"e": "ä"}, properties={"n": 1.50}), event_row(2, anonymous_id="a-2")]

    lake.append(rows, epoch=3, through=2)

    assert list(lake.iter_rows(0, 2)) == rows
    assert lake.read_positions([2, 99]) == rows[1:]
    asked = "SELECT epoch, type, name, message_id, user_id, anonymous_id, properties, traits FROM events ORDER BY 4"
    assert lake.query(asked) == [
        (3, "track", "Product Viewed", "message-1", "ana", None, '{"n":1.5}', '{"e":"ä"}'),
        (3, "track", "Product Viewed", "message-2", None, "a-2", None, None),
    ]


def test_only_events_are_taken_and_what_was_forgotten_keeps_its_place(lake: Lake) -> None:
    tick = event_row(2)._replace(kind=KIND_TICK)
    emptied = event_row(3)._replace(body=None)

    lake.append([event_row(1), tick, emptied], epoch=1, through=3)

    assert list(lake.iter_rows(0, 3)) == [event_row(1), emptied]
    assert lake.position() == 3


def test_an_event_of_an_odd_shape_is_kept_whole(lake: Lake) -> None:
    odd = event_row(1)._replace(body=b'{"type":"track","messageId":"message-1","event":5}')

    lake.append([odd], epoch=1, through=1)

    assert [row.body for row in lake.iter_rows(0, 1)] == [odd.body]


def test_appending_again_what_the_lake_has_changes_nothing(lake: Lake) -> None:
    lake.append(rows_of(1, 5), epoch=1, through=5)

    lake.append(rows_of(1, 5), epoch=1, through=5)
    lake.append(rows_of(1, 8), epoch=1, through=8)

    assert positions_in(lake) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_position_moves_on_over_rows_that_are_not_events(lake: Lake) -> None:
    lake.append([], epoch=1, through=40)

    assert (lake.position(), lake.files()) == (40, [])


def test_an_empty_lake_answers(lake: Lake, tmp_path: Path) -> None:
    never_written = Lake.open(tmp_path / "other", read_only=True)

    assert (lake.position(), positions_in(lake), list(lake.iter_rows(0, 9))) == (0, [], [])
    assert (never_written.position(), positions_in(never_written)) == (0, [])


def test_a_second_writer_is_refused_not_interleaved(lake: Lake) -> None:
    other = Lake.open(lake.path, sync=False)
    stale = other._fresh_writer()
    lake.append(rows_of(1, 3), epoch=1, through=3)

    with pytest.raises(LakeBusy):
        other._commit(stale, rows_of(1, 3), [1, 1, 1], 3)

    assert positions_in(lake) == [1, 2, 3]


@pytest.mark.parametrize("name", ["a%20b", "a[b]", "a|b", "a*b", "a\\b"])
def test_a_folder_that_the_format_misreads_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakePathRefused):
        Lake.open(tmp_path / name / "events")


def test_a_folder_with_blanks_quotes_and_accents_is_fine(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "l'été 100% à nous" / "events")
    lake.append(rows_of(1, 2), epoch=1, through=2)
    lake.compact(full=True)
    lake.forget([1])

    assert positions_in(lake) == [2]


# Statistics


def test_no_statistics_are_kept_of_personal_columns(lake: Lake) -> None:
    fill(lake, commits=10, per_commit=3)
    lake.compact()
    lake.forget([4])
    fill_after = rows_of(31, 33)
    lake.append(fill_after, epoch=1, through=33)

    record = lake.path / "_delta_log"
    lines = [line for entry in record.glob("*.json") for line in entry.read_bytes().splitlines()]
    stats = [json.loads(line)["add"]["stats"] for line in lines if b'"add"' in line]
    checkpoint = "SELECT add.stats FROM read_parquet(?) WHERE add.stats IS NOT NULL"
    engine = duckdb.connect()
    stats += [row[0] for row in engine.execute(checkpoint, [str(record / "*.checkpoint.parquet")]).fetchall()]
    feet = engine.execute(
        "SELECT DISTINCT path_in_schema FROM parquet_metadata(?) WHERE coalesce(stats_min, stats_max, stats_min_value, "
        "stats_max_value) IS NOT NULL OR bloom_filter_offset IS NOT NULL",
        [[str(file) for file in lake.files()]],
    ).fetchall()
    engine.close()

    allowed = {"position", "logged_at", "event_at"}
    assert len(stats) >= 2
    for document in map(json.loads, stats):
        assert set(document["minValues"]) | set(document["maxValues"]) | set(document["nullCount"]) == allowed
    assert {row[0] for row in feet} == allowed
    assert find_bytes(record, ["user-3", "message-3", "Product Viewed"]) == []


# Forgetting


def test_forgetting_leaves_no_byte_of_a_person_in_any_file(lake: Lake) -> None:
    mine = event_row(5, user_id=MARKER, properties={"email": MARKER}, context={"page": MARKER})
    lake.append([*rows_of(1, 4), mine], epoch=1, through=5)
    lake.append([*rows_of(6, 9), mine._replace(position=10)], epoch=1, through=10)
    lake.compact(full=True)
    lake.append(rows_of(11, 12), epoch=1, through=12)
    (lake.path / "part-9.parquet#1").write_bytes(MARKER.encode())  # a writer was killed here
    assert 0 in {finding.marker for finding in find_bytes(lake.path, [MARKER])}

    gone = lake.forget([5, 10, 77])

    assert gone == 2
    assert find_bytes(lake.path, [MARKER]) == []
    assert positions_in(lake) == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12]
    assert lake.position() == 12


def test_a_husk_takes_the_place_of_its_row_and_keeps_its_hash(lake: Lake) -> None:
    mine = event_row(2, user_id=MARKER)
    lake.append([event_row(1), mine, event_row(3)], epoch=4, through=3)
    husk = mine._replace(body=b'{"type":"husk","userId":"shared"}')

    gone = lake.forget([2], husks=[husk, event_row(9)])

    assert gone == 1
    assert list(lake.iter_rows(0, 9)) == [event_row(1), husk, event_row(3)]
    assert lake.query("SELECT DISTINCT epoch FROM events") == [(4,)]
    assert find_bytes(lake.path, [MARKER]) == []


def test_forgetting_finishes_what_a_killed_call_began(lake: Lake) -> None:
    lake.append([event_row(1, user_id=MARKER), event_row(2)], epoch=1, through=2)
    DeltaTable(lake.path).delete("position = 1")  # killed after the rewrite, before the old file went

    lake.forget([1])

    assert find_bytes(lake.path, [MARKER]) == []


def test_many_positions_are_forgotten_at_once(lake: Lake) -> None:
    lake.append(rows_of(1, 3_000), epoch=1, through=3_000)
    odd = range(1, 3_001, 2)

    assert lake.forget([*odd, *range(2_000, 2_101)]) == 1_500 + 51  # of 2,000 to 2,100 the 51 even ones are new
    assert positions_in(lake) == [p for p in range(1, 3_001) if p % 2 == 0 and not 2_000 <= p <= 2_100]


def test_forgetting_keeps_files_apart_so_that_reads_stay_short(lake: Lake) -> None:
    fill(lake, commits=4, per_commit=50)

    lake.forget([5, 60, 61, 170])

    spans = [(file.first, file.last) for file in lake._current()]
    assert spans == [(1, 50), (51, 100), (101, 150), (151, 200)]


def groups_in(lake: Lake) -> list[tuple[int, int, int]]:
    """Give least and greatest position and size in bytes of each row group, in order of file and place."""
    asked = (
        "SELECT stats_min_value::BIGINT, stats_max_value::BIGINT, row_group_compressed_bytes FROM parquet_metadata(?) "
        "WHERE path_in_schema = 'position' ORDER BY file_name, row_group_id"
    )
    with duckdb.connect() as engine:
        return engine.execute(asked, [[str(file) for file in lake.files()]]).fetchall()


def bytes_of(group: Group, file: bytes) -> bytes:
    """Give the bytes of one row group."""
    return file[group.start : group.start + group.n_bytes]


def are_rows(table: pa.Table, positions: Sequence[int]) -> bool:
    """Say whether a table holds the rows of `rows_of` at these positions, or husks, in order."""
    told = zip(*(table.column(name).to_pylist() for name in ("position", "user_id", "type")), strict=True)
    users = [(p, user if kind == "husk" else f"user-{p % 7}") for p, user, kind in told]
    return users == list(zip(positions, table.column("user_id").to_pylist(), strict=True))


def test_row_groups_without_a_forgotten_row_are_taken_over_byte_by_byte(lake: Lake) -> None:
    mine = event_row(9_000, user_id=MARKER, traits={"email": MARKER})
    lake.append([*rows_of(1, 8_999), mine, *rows_of(9_001, 20_000)], epoch=2, through=20_000)
    (old,), old_bytes = [read_footer(file) for file in lake.files()], lake.files()[0].read_bytes()
    husk = mine._replace(body=None)

    lake.forget([9_000], husks=[husk])

    (new,), new_bytes = [read_footer(file) for file in lake.files()], lake.files()[0].read_bytes()
    read = pq.read_table(lake.files()[0])
    assert [group.n_rows for group in new.groups] == [group.n_rows for group in old.groups] == [4_096] * 4 + [3_616]
    kept = [bytes_of(a, old_bytes) == bytes_of(b, new_bytes) for a, b in zip(old.groups, new.groups, strict=True)]
    assert kept == [True, True, False, True, True]
    assert are_rows(read, range(1, 20_001))
    assert DeltaTable(lake.path).to_pyarrow_table().num_rows == 20_000
    assert lake.read_positions([4_096, 8_999, 9_000, 9_001, 20_000]) == [
        event_row(4_096, user_id=f"user-{4_096 % 7}"),
        event_row(8_999, user_id=f"user-{8_999 % 7}"),
        husk,
        event_row(9_001, user_id=f"user-{9_001 % 7}"),
        event_row(20_000, user_id=f"user-{20_000 % 7}"),
    ]
    assert find_bytes(lake.path, [husk.message_hash]) != []
    assert find_bytes(lake.path, [MARKER]) == []


def test_what_was_rewritten_can_be_merged_rewritten_again_and_rewound(lake: Lake) -> None:
    for first in range(1, 30_001, 10_000):
        lake.append(rows_of(first, first + 9_999), epoch=1, through=first + 9_999)

    assert lake.forget([5, 12_000, 12_001, 29_000]) == 4
    assert lake.compact(full=True) == 3
    assert lake.forget([6, 12_002, 12_002, 30_000]) == 3
    assert lake.forget(range(1, 101)) == 98
    lake.rewind(29_500)

    gone = {*range(1, 101), 12_000, 12_001, 12_002, 29_000}
    assert positions_in(lake) == [p for p in range(1, 29_501) if p not in gone]
    assert DeltaTable(lake.path).count() == 29_500 - len(gone)


def test_statistics_of_a_rewritten_file_are_those_of_what_stays(lake: Lake) -> None:
    lake.append(rows_of(1, 5_000), epoch=1, through=5_000)

    lake.forget([1, 2, 5_000])

    assert [(low, high) for low, high, _ in groups_in(lake)] == [(3, 4_098), (4_099, 4_999)]
    assert [(file.first, file.last, file.n_rows) for file in lake._current()] == [(3, 4_999, 4_997)]


def test_a_file_of_which_nothing_stays_goes(lake: Lake) -> None:
    fill(lake, commits=2, per_commit=3)

    assert lake.forget([1, 2, 3]) == 3
    assert (len(lake.files()), positions_in(lake)) == (1, [4, 5, 6])


def test_a_file_whose_columns_are_described_otherwise_is_decoded_whole(lake: Lake) -> None:
    lake.append(rows_of(1, 9_000), epoch=1, through=9_000)
    (file,) = lake.files()
    table = pq.read_table(file)
    columns = [field.with_nullable(True) for field in table.schema]
    pq.write_table(table.cast(pa.schema(columns)), file, row_group_size=1_000)
    scratch = lake.path / "_rewriting"
    scratch.mkdir()
    with duckdb.connect() as engine:
        done = Rewriting(engine, {1_500, 9_000}, {}, _writer_properties(), scratch).rewrite(file, [1_499, 8_999])

    assert done.new is not None
    read = pq.read_table(done.new)
    assert are_rows(read, [p for p in range(1, 9_000) if p != 1_500])


def test_a_writer_that_was_quicker_is_not_overwritten_by_a_forgetting(lake: Lake) -> None:
    fill(lake, commits=1, per_commit=5)
    other = Lake.open(lake.path, sync=False)
    stale = other._fresh_writer()
    lake.append(rows_of(6, 8), epoch=1, through=8)

    with pytest.raises(LakeBusy):
        other._rewrite(stale, [2], [])

    assert positions_in(lake) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert lake.forget([2]) == 1


def test_row_groups_that_a_killed_rewriting_left_behind_are_deleted(lake: Lake) -> None:
    lake.append([event_row(1, user_id=MARKER)], epoch=1, through=1)
    lake.forget([1])
    (lake.path / "_rewriting" / "0").mkdir(parents=True)
    (lake.path / "_rewriting" / "0" / "part.parquet").write_text(MARKER)
    (lake.path / "_delta_log" / "00000000000000000009.json.tmp").write_text(MARKER)
    lake.close()

    Lake.open(lake.path, sync=False).close()

    assert find_bytes(lake.path, [MARKER]) == []


# Compaction


def test_merging_small_files_keeps_rows_position_and_the_record_of_them(lake: Lake) -> None:
    fill(lake, commits=70, per_commit=2)

    merged = lake.compact()

    assert merged == 70
    assert (len(lake.files()), lake.position(), positions_in(lake)) == (1, 140, list(range(1, 141)))
    assert [entry for entry in lake.path.glob("*.parquet") if entry not in lake.files()] == []
    assert len(list((lake.path / "_delta_log").glob("*.json"))) == 1  # the rest is in the checkpoint
    reopened = Lake.open(lake.path, sync=False)
    reopened.append(rows_of(139, 142), epoch=1, through=142)
    assert positions_in(lake) == list(range(1, 143))


def test_a_few_small_files_are_left_alone(lake: Lake) -> None:
    fill(lake, commits=3, per_commit=2)

    assert lake.compact() == 0
    assert lake.compact(full=True) == 3


def test_readers_keep_reading_while_the_lake_is_rewritten(lake: Lake) -> None:
    fill(lake, commits=4, per_commit=25)
    reader = Lake.open(lake.path, read_only=True)
    counts: list[int] = []
    failures: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                counts.append(reader.query("SELECT count(DISTINCT position) FROM events")[0][0])
            except TillitError as exc:
                failures.append(exc)
                return

    thread = threading.Thread(target=read)
    thread.start()
    for turn in range(12):
        first = 101 + turn * 10
        lake.append(rows_of(first, first + 9), epoch=1, through=first + 9)
        lake.compact(full=True)
    done.set()
    thread.join()

    assert failures == []
    assert counts == sorted(counts)


# Rewinding


def test_a_rewind_drops_what_the_restored_log_never_had(lake: Lake) -> None:
    fill(lake, commits=2, per_commit=5)

    lake.rewind(7)
    lake.append([event_row(8, user_id="second life")], epoch=2, through=8)

    assert (lake.position(), positions_in(lake)) == (8, [1, 2, 3, 4, 5, 6, 7, 8])
    assert lake.query("SELECT epoch, user_id FROM events WHERE position = 8") == [(2, "second life")]


# Questions


@pytest.mark.parametrize(
    "sql",
    ["COPY (SELECT 1) TO 'x.csv'", "SELECT 1; SELECT 2", "ATTACH 'x.db'", "CREATE TABLE t(a INT)", "SET threads = 1"],
)
def test_only_one_reading_statement_is_answered(lake: Lake, sql: str) -> None:
    with pytest.raises((LakeQueryRefused, LakeQueryFailed)):
        lake.query(sql)


def test_a_question_reads_no_file_outside_the_lake(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")

    with pytest.raises(LakeQueryFailed):
        lake.query(f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")


def test_a_failed_question_quotes_no_value(lake: Lake) -> None:
    lake.append([event_row(1, user_id=MARKER)], epoch=1, through=1)

    with pytest.raises(LakeQueryFailed) as failed:
        lake.query("SELECT user_id::BIGINT FROM events")

    assert MARKER not in repr(failed.getrepr(chain=True))


def test_a_sparse_lake_is_read_in_order_over_blocks_and_files(lake: Lake) -> None:
    positions = [3, 4, 19_999, 20_003, 70_000, 70_001, 95_000]
    for through in (20_003, 95_000):
        some = [event_row(p) for p in positions if lake.position() < p <= through]
        lake.append(some, epoch=1, through=through)

    assert [row.position for row in lake.iter_rows(3, 94_999)] == [4, 19_999, 20_003, 70_000, 70_001]


# Crashes

_WRITER = """
import sys
from pathlib import Path
from tests.store.rows import event_row
from tillit.store.lake import Lake
lake = Lake.open(Path(sys.argv[1]))
print("open", flush=True)
turn = 0
while True:
    after = lake.position()
    rows = [event_row(p) for p in range(after + 1, after + 41)]
    lake.append(rows, epoch=1, through=after + 40)
    turn += 1
    if turn % 10 == 0:
        lake.compact()
    if turn % 17 == 0:
        lake.forget([after + 40, after + 41])
        print(after + 40, flush=True)
"""


@pytest.mark.crash
def test_killed_at_any_moment_each_position_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "events"
    chance = random.Random(20_260_701)
    root = Path(__file__).parents[2]
    forgotten: set[int] = set()

    for _ in range(int(os.environ.get("TILLIT_CRASH_ROUNDS", "6"))):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            time.sleep(chance.uniform(0.05, 1.2))
            writer.send_signal(signal.SIGKILL)
            forgotten |= {int(line) for line in writer.stdout.read().splitlines() if line}
        with Lake.open(path) as lake:
            head = lake.position()
            found = positions_in(lake)
            on_disk = set(path.glob("*.parquet*"))
            live = set(lake.files())

        missing = set(range(1, head + 1)) - set(found)
        assert len(found) == len(set(found))
        assert set(found) <= set(range(1, head + 1))
        # A kill may fall between the end of a forget and its word to us: one more of those rows may be gone.
        assert forgotten <= missing
        assert [p % 40 for p in missing - forgotten] in ([], [0])
        forgotten |= missing
        assert on_disk == live
        fresh = DeltaTable(path)
        assert fresh.count() == len(found)
        assert fresh.transaction_version("tillit-lake") == head
    assert head > 40


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "no data file", "torn data file"])
def test_a_commit_torn_by_a_power_cut_is_taken_back(lake: Lake, damage: str) -> None:
    fill(lake, commits=3, per_commit=4)
    newest = max((lake.path / "_delta_log").glob("*.json"))
    data = lake.path / next(
        json.loads(line)["add"]["path"] for line in newest.read_bytes().splitlines() if b'"add"' in line
    )
    whole = newest.read_bytes()
    lake.close()
    match damage:
        case "empty":
            newest.write_bytes(b"")
        case "cut":
            newest.write_bytes(whole[: len(whole) // 2])
        case "zeros":
            newest.write_bytes(bytes(len(whole)))
        case "no data file":
            data.unlink()
        case _:
            data.write_bytes(bytes(data.stat().st_size))

    with Lake.open(lake.path) as mended:
        assert mended.position() == 8
        mended.append(rows_of(9, 12), epoch=1, through=12)

        assert positions_in(mended) == list(range(1, 13))


def test_a_torn_checkpoint_is_passed_over(lake: Lake) -> None:
    fill(lake, commits=3, per_commit=4)
    DeltaTable(lake.path).create_checkpoint()
    lake.close()
    checkpoint = next((lake.path / "_delta_log").glob("*.checkpoint.parquet"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])

    with Lake.open(lake.path) as mended:
        assert positions_in(mended) == list(range(1, 13))


def test_a_lake_loads_its_engines_only_when_it_is_touched() -> None:
    code = (
        "import sys, tillit.store.lake, tillit.store.scan;"
        "print([m for m in ('deltalake', 'arro3', 'duckdb', 'pyarrow') if m in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"
