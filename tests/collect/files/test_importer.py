"""A row is taken once: ids follow from what rows say, an interrupted import is taken up, rejects are kept."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collect.files.importing import NOON, ORDERS, Shop
from tillit.clock import DAY
from tillit.collect.files import AlreadyImporting, Progress, forget_rejects, read_mapping
from tillit.collect.files.importer import Occurrences, _sole_import, id_of_import, message_id
from tillit.store import Log

HEADER = "customer,at,total\n"
REPEATED = ["ana,2026-03-01,1\n", "bo,2026-03-01,2\n", "ana,2026-03-01,1\n", "ana,2026-03-01,1\n"]


def test_importing_twice_gives_the_same_ids(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + "".join(REPEATED))

    first, second = shop.bring(path), shop.bring(path)

    assert first.ids == second.ids
    assert [row.message_hash for row in first.rows] == [row.message_hash for row in second.rows]


def test_rows_that_repeat_are_kept(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + "".join(REPEATED))

    done = shop.bring(path)

    assert len(set(done.ids)) == 4
    assert Counter(body["userId"] for body in done.bodies) == {"ana": 3, "bo": 1}


def test_the_same_rows_in_another_order_under_another_file_name_have_the_same_ids(shop: Shop) -> None:
    first = shop.bring(shop.write("orders.csv", HEADER + "".join(REPEATED)))

    second = shop.bring(shop.write("orders-again.csv", HEADER + "".join(reversed(REPEATED))))

    assert sorted(first.ids) == sorted(second.ids)


def test_columns_in_another_order_and_other_quotes_have_the_same_ids(shop: Shop) -> None:
    first = shop.bring(shop.write("orders.csv", "customer,at,total\nana,2026-03-01,1\n"))

    second = shop.bring(shop.write("orders2.csv", 'total;"customer";at\n"1";ana;2026-03-01\n'))

    assert first.ids == second.ids


def test_another_mapping_name_makes_other_events(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + REPEATED[0])

    assert shop.bring(path).ids != shop.bring(path, ORDERS.replace("name: orders", "name: refunds")).ids


def test_with_a_key_the_key_alone_makes_the_id(shop: Shop) -> None:
    keyed = ORDERS + "key: receipt\n"
    first = shop.bring(shop.write("a.csv", "receipt,customer,at,total\nr-1,ana,2026-03-01,1\n"), keyed)

    second = shop.bring(shop.write("b.csv", "receipt,customer,at,total\nr-1,ana,2026-03-01,99\n"), keyed)

    assert first.ids == second.ids


def test_a_row_without_its_key_is_rejected(shop: Shop) -> None:
    path = shop.write("a.csv", "receipt,customer,at,total\n,ana,2026-03-01,1\n")

    done = shop.bring(path, ORDERS + "key: [receipt]\n")

    assert [r["code"] for r in done.rejects[:-1]] == ["collect.row-no-key"]


ROWS = st.lists(
    st.tuples(st.sampled_from(["ana", "bo", "cem"]), st.integers(1, 3).map(str), st.sampled_from(["1", "2"])),
    max_size=30,
)


@given(rows=ROWS, chance=st.randoms(use_true_random=False))
def test_ids_are_one_per_row_and_free_of_order(rows: list[tuple[str, str, str]], chance: random.Random) -> None:
    shuffled = chance.sample(rows, k=len(rows))

    ids, again = ids_of(rows), ids_of(shuffled)

    assert len(set(ids)) == len(rows)
    assert sorted(ids) == sorted(again)


@given(rows=ROWS, cut=st.integers(0, 30))
def test_a_longer_export_keeps_the_ids_of_the_rows_it_repeats(rows: list[tuple[str, str, str]], cut: int) -> None:
    earlier = rows[:cut]

    assert set(ids_of(earlier)) <= set(ids_of(rows))


@given(parts=st.lists(st.binary(max_size=4), min_size=1, max_size=4), other=st.lists(st.binary(max_size=4), max_size=4))
def test_an_id_tells_its_parts_apart(parts: list[bytes], other: list[bytes]) -> None:
    mapping = read_mapping(ORDERS)

    assert (message_id(mapping, *parts) == message_id(mapping, *other)) == (parts == other)


def ids_of(rows: list[tuple[str, str, str]]) -> list[str]:
    mapping, seen = read_mapping(ORDERS), Occurrences()
    contents = [json.dumps(row).encode() for row in rows]
    return [message_id(mapping, b"row", content, str(seen.next(content)).encode()) for content in contents]


def test_a_time_outside_what_is_taken_is_rejected_and_not_moved_to_today(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + "ana,2199-01-01,1\nana,1901-01-01,1\n")

    done = shop.bring(path)

    assert done.rows == []
    assert [r["code"] for r in done.rejects[:-1]] == ["collect.row-time-range"] * 2


def test_history_keeps_its_own_times(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + "ana,1997-01-01T00:30:00+01:00,1\n")

    (row,) = shop.bring(path).rows

    assert (row.event_at, row.received_at) == (852_075_000_000_000, NOON)  # 1996-12-31T23:30:00Z


def test_what_the_door_turns_away_keeps_its_row_number(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + f"ana,2026-03-01,1\n{'x' * 300},2026-03-01,1\nbo,2026-03-01,1\n")

    done = shop.bring(path)

    assert [body["userId"] for body in done.bodies] == ["ana", "bo"]
    assert [r["row"] for r in done.rejects[:-1]] == [2]
    assert done.rejects[0]["code"].startswith("collect.")


def test_a_reject_file_is_private_and_goes_when_nothing_is_rejected(shop: Shop) -> None:
    bad = shop.bring(shop.write("bad.csv", HEADER + "ana,never,1\n"))
    good = shop.bring(shop.write("good.csv", HEADER + "ana,2026-03-01,1\n"))

    assert bad.outcome.rejects is not None
    assert bad.outcome.rejects.stat().st_mode & 0o777 == 0o600
    assert good.outcome.rejects is None
    assert [path.name for path in (shop.folder / "rejects").iterdir()] == [bad.outcome.rejects.name]


def test_reject_files_go_after_thirty_days(shop: Shop) -> None:
    rejects = shop.bring(shop.write("bad.csv", HEADER + "ana,never,1\n")).outcome.rejects
    assert rejects is not None
    written_at = rejects.stat().st_mtime_ns // 1000

    assert forget_rejects(rejects.parent, before=written_at - DAY) == 0
    assert forget_rejects(rejects.parent, before=written_at + 1) == 1
    assert not rejects.exists()


def test_a_second_import_of_a_file_that_is_being_imported_is_told_so(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + REPEATED[0])
    lock = shop.folder / "run" / "imports" / f"{id_of_import(path, read_mapping(ORDERS))}.lock"
    lock.parent.mkdir(parents=True)

    with _sole_import(lock, "orders.csv"), pytest.raises(AlreadyImporting, match="by another process"):
        shop.bring(path)


class Interrupted(Exception):
    """The test pulls the plug."""


def stop_after(n_rows: int) -> "Stop":
    return Stop(n_rows)


class Stop:
    """Interrupts an import once it has taken so many rows."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows

    def __call__(self, reached: Progress) -> None:
        if reached.n_rows >= self.n_rows:
            raise Interrupted


@pytest.mark.parametrize("key", ["", "key: [at]\n"], ids=["by content", "by key"])
def test_an_interrupted_import_goes_on_where_it_was(shop: Shop, key: str) -> None:
    days = [f"2026-03-{day:02d}" for day in range(1, 21)]
    text = HEADER + "".join(f"ana,{day},{'x' if day.endswith('5') else 1}\n" for day in days)
    path = shop.write("orders.csv", text)
    whole = shop.bring(shop.write("copy.csv", text), ORDERS + key)

    with pytest.raises(Interrupted):
        shop.bring(path, ORDERS + key, block_rows=4, on_progress=stop_after(8))
    head = shop.log.head()
    rest = shop.bring(path, ORDERS + key, block_rows=4)

    assert rest.outcome.first_row == 9
    assert rest.outcome.n_rows == 20
    assert rest.outcome.n_rejected == 2
    assert [r["row"] for r in rest.rejects[:-1]] == [5, 15]
    assert [body["messageId"] for body in rest.bodies] == whole.ids[-(shop.log.head() - head) :]
    assert not list((shop.folder / "run" / "imports").iterdir())


def test_a_restored_log_makes_an_interrupted_import_begin_anew(shop: Shop) -> None:
    path = shop.write("orders.csv", HEADER + "".join(REPEATED))
    with pytest.raises(Interrupted):
        shop.bring(path, block_rows=1, on_progress=stop_after(2))

    done = shop.bring(path, epoch=1)

    assert done.outcome.first_row == 1
    assert len(done.rows) == 4


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"epoch":0,"n_rows":2,"new_key":1}'])
def test_a_damaged_place_means_from_the_start(shop: Shop, left: bytes) -> None:
    path = shop.write("orders.csv", HEADER + "".join(REPEATED))
    place = shop.folder / "run" / "imports" / f"{id_of_import(path, read_mapping(ORDERS))}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(left)

    assert shop.bring(path).outcome.first_row == 1


IMPORTING = """
import sys
from pathlib import Path
from tests.collect.files.importing import open_shop

with open_shop(Path(sys.argv[1])) as shop:
    shop.bring(Path(sys.argv[2]), block_rows=50, on_progress=lambda reached: print(reached.n_rows, flush=True))
"""


@pytest.mark.crash
def test_an_import_that_was_killed_in_the_middle_is_finished_by_the_next(tmp_path: Path) -> None:
    lines = [f"customer-{i % 90},2026-03-{i % 28 + 1:02d},{'bad' if i % 400 == 399 else i % 3}\n" for i in range(2_000)]
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    command = [sys.executable, "-c", IMPORTING, str(tmp_path), str(path)]

    for killed_after in (150, 700, 1_300):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                if int(line) >= killed_after:
                    os.kill(running.pid, signal.SIGKILL)
                    break
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)

    # It was taken up, not begun again: the last run had fewer blocks to do than the file has.
    assert len(finished.stdout.split()) <= (2_000 - 1_300) // 50 + 1
    log = Log.open(tmp_path / "log.db", read_only=True)
    rows = log.read(0, 10_000)
    log.close()
    ids = {row.message_hash for row in rows}
    assert len(ids) == 1_995  # every good row of the file, and nothing else
    assert len(rows) <= 1_995 + 3 * 50  # at most one block a kill stands twice; the fold drops it
    (rejects,) = (tmp_path / "rejects").iterdir()
    records = [json.loads(line) for line in rejects.read_text(encoding="ascii").splitlines()]
    assert [record.get("row") for record in records] == [400, 800, 1_200, 1_600, 2_000, None]
