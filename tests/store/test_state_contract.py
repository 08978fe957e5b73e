"""The contract of state: whatever a room may rely on holds on every engine."""

import threading
from collections.abc import Iterable

import apsw
import psycopg
import pytest

from tests.engines import PATIENCE_S, AnyState, Engine
from tillit.clock import monotonic_s
from tillit.errors import TillitError
from tillit.store import Migration, StoreLocked, StoreReadOnly
from tillit.store.migrations import MigrationChanged

LARGEST = (1 << 63) - 1
SMALLEST = -(1 << 63)
# Bytes of UTF-8 order these; a locale would put the accents beside their letters and the emoji first.
WORDS = ["Z", "a", "aa", "z", "~", "Ångström", "é", "ß", "я", "あ", "ﬁ", "👩‍👩‍👧", "\U0010ffff"]

THINGS = Migration(
    "things",
    1,
    "things",
    "-- Things. Grain: one per thing_id.\n"
    "CREATE TABLE thing (thing_id {int64} PRIMARY KEY, name {text}, body {bytes}, UNIQUE (name)) {clustered};\n"
    "CREATE INDEX thing_body ON thing (body);\n",
)
INSERT = "INSERT INTO thing (thing_id, name, body) VALUES (?, ?, ?)"
UPSERT = INSERT + " ON CONFLICT (thing_id) DO UPDATE SET name = excluded.name, body = excluded.body"


@pytest.fixture
def state(engine: Engine) -> AnyState:
    opened = engine.open()
    opened.migrate((THINGS,))
    return opened


def put(state: AnyState, *rows: tuple[int, str | None, bytes | None]) -> None:
    with state.transaction() as tx:
        tx.executemany(INSERT, rows)


def names(state: AnyState) -> list[str]:
    return [name for (name,) in state.read("SELECT name FROM thing ORDER BY thing_id")]


# -- values


@pytest.mark.parametrize("number", [0, 1, -1, 1 << 31, 1 << 62, -(1 << 62), LARGEST, SMALLEST])
def test_a_whole_number_of_64_bits_comes_back_as_it_was(state: AnyState, number: int) -> None:
    put(state, (number, "n", None))

    assert state.read("SELECT thing_id FROM thing WHERE thing_id = ?", (number,)) == [(number,)]


@pytest.mark.parametrize("body", [b"", b"\0", b"a\0b", bytes(range(256)), b"\\x41", b"%s?", b"\xff" * 100_000])
def test_bytes_come_back_as_the_same_bytes(state: AnyState, body: bytes) -> None:
    put(state, (1, "n", body))

    [(found,)] = state.read("SELECT body FROM thing")

    assert type(found) is bytes
    assert found == body


@pytest.mark.parametrize(
    "text", ["", "'", '"', "?", "%", "%s", "\\", "{in}", "\t\n", "👩‍👩‍👧", "e\u0301", "\ufeff", "\U0010ffff"]
)
def test_text_comes_back_letter_by_letter(state: AnyState, text: str) -> None:
    put(state, (1, text, None))

    assert state.read("SELECT name FROM thing WHERE name = ?", (text,)) == [(text,)]


def test_none_is_null_and_nothing_else(state: AnyState) -> None:
    put(state, (1, None, None), (2, "", b""))

    assert state.read("SELECT thing_id FROM thing WHERE name IS NULL AND body IS NULL") == [(1,)]
    assert state.read("SELECT name, body FROM thing WHERE thing_id = 1") == [(None, None)]


@pytest.mark.parametrize("n_rows", [1, 2, 3, 40])
def test_a_column_of_nothing_but_none_is_kept(state: AnyState, n_rows: int) -> None:
    with state.transaction() as tx:
        tx.executemany(UPSERT, [(i, None, None) for i in range(n_rows)])
        tx.executemany(INSERT, [(i + n_rows, None, None) for i in range(n_rows)])

    assert state.read("SELECT count(*) FROM thing WHERE name IS NULL AND body IS NULL") == [(2 * n_rows,)]


def test_sums_and_counts_are_whole_numbers(state: AnyState) -> None:
    put(state, (1, "a", None), (1 << 40, "b", None))

    [row] = state.read("SELECT sum(thing_id), count(*), max(thing_id), min(name) FROM thing")

    assert row == (1 + (1 << 40), 2, 1 << 40, "a")
    assert [type(value) for value in row] == [int, int, int, str]


def test_rows_are_tuples(state: AnyState) -> None:
    put(state, (1, "a", b"b"))

    assert state.read("SELECT thing_id, name, body FROM thing") == [(1, "a", b"b")]
    assert type(state.read("SELECT thing_id FROM thing")[0]) is tuple


# -- questions


def test_a_question_mark_and_a_percent_sign_in_quotes_are_letters(state: AnyState) -> None:
    put(state, (1, "50 % off?", None))

    assert state.read("SELECT thing_id, '?', '%s' FROM thing WHERE name LIKE '50 %' AND thing_id = ?", (1,)) == [
        (1, "?", "%s")
    ]


def test_text_is_ordered_by_its_bytes(state: AnyState) -> None:
    put(state, *[(i, word, None) for i, word in enumerate(reversed(WORDS))])

    by_name = [word for (word,) in state.read("SELECT name FROM thing ORDER BY name")]

    assert by_name == sorted(WORDS, key=str.encode)


def test_the_beginning_of_a_word_is_a_span_of_its_bytes(state: AnyState) -> None:
    put(state, *[(i, word, None) for i, word in enumerate(WORDS)])

    found = state.read("SELECT name FROM thing WHERE name >= ? AND name < ? ORDER BY name", ("a", "a\U0010ffff"))

    assert found == [("a",), ("aa",)]


def test_bytes_are_ordered_as_bytes(state: AnyState) -> None:
    bodies = [b"", b"\0", b"\0\0", b"a", b"\x7f", b"\x80", b"\xff"]
    put(state, *[(i, str(i), body) for i, body in enumerate(reversed(bodies))])

    assert state.read("SELECT body FROM thing ORDER BY body") == [(body,) for body in bodies]


@pytest.mark.parametrize("n_keys", [0, 1, 2, 3, 4, 5, 17, 63, 64, 65, 255, 256, 257, 1_000])
def test_a_list_of_any_length_finds_each_of_its_keys_once(state: AnyState, n_keys: int) -> None:
    put(state, *[(i, f"name {i}", None) for i in range(1_100)])

    found = state.read_in(
        "SELECT thing_id FROM thing WHERE thing_id >= ? AND thing_id IN {in}", range(50, 50 + n_keys), (0,)
    )

    assert sorted(found) == [(i,) for i in range(50, 50 + n_keys)]


def test_a_list_of_text_and_a_list_of_bytes_find_their_keys(state: AnyState) -> None:
    put(state, *[(i, word, word.encode()) for i, word in enumerate(WORDS)])

    by_name = state.read_in("SELECT thing_id FROM thing WHERE name IN {in}", [*WORDS, "nobody"])
    by_body = state.read_in("SELECT thing_id FROM thing WHERE body IN {in}", [w.encode() for w in WORDS])

    assert sorted(by_name) == sorted(by_body) == [(i,) for i in range(len(WORDS))]


def test_a_key_said_twice_is_answered_once(state: AnyState) -> None:
    put(state, (1, "a", None))

    assert state.read_in("SELECT name FROM thing WHERE thing_id IN {in}", [1, *range(2, 400), 1]) == [("a",)]


def test_an_order_holds_for_the_rows_of_one_key(state: AnyState) -> None:
    put(state, *[(i, f"{i:04d}", b"odd" if i % 2 else b"even") for i in range(300)])

    found = state.read_in("SELECT body, name FROM thing WHERE body IN {in} ORDER BY body, name", [b"odd", b"even"])

    odd = [name for body, name in found if body == b"odd"]
    assert odd == sorted(odd)
    assert len(odd) == 150


# -- writing


def test_a_transaction_reads_what_it_wrote(state: AnyState) -> None:
    with state.transaction() as tx:
        tx.execute(INSERT, (1, "a", b"x"))

        assert tx.read("SELECT name FROM thing") == [("a",)]
        assert tx.read_in("SELECT name FROM thing WHERE thing_id IN {in}", [1]) == [("a",)]


def test_nobody_else_sees_a_transaction_before_its_end(state: AnyState) -> None:
    with state.transaction() as tx:
        tx.execute(INSERT, (1, "a", None))
        during = names(state)

    assert during == []
    assert names(state) == ["a"]


def test_an_error_takes_the_whole_transaction_back(state: AnyState) -> None:
    def fail() -> None:
        with state.transaction() as tx:
            tx.execute(INSERT, (2, "b", None))
            tx.executemany(INSERT, [(i, str(i), None) for i in range(3, 40)])
            tx.execute("CREATE TABLE short_lived (x INTEGER)")
            raise LookupError

    put(state, (1, "a", None))

    with pytest.raises(LookupError):
        fail()

    assert names(state) == ["a"]
    put(state, (2, "b", None))
    assert names(state) == ["a", "b"]


@pytest.mark.parametrize("n_rows", [1, 2, 32, 33, 500])
def test_a_row_that_is_there_already_is_an_error_and_nothing_is_kept(state: AnyState, n_rows: int) -> None:
    put(state, (n_rows - 1, "first", None))

    with pytest.raises((apsw.ConstraintError, psycopg.IntegrityError)):
        put(state, *[(i, str(i), None) for i in range(n_rows)])

    assert names(state) == ["first"]


@pytest.mark.parametrize("n_rows", [1, 2, 32, 33, 500])
def test_an_upsert_replaces_what_was_there(state: AnyState, n_rows: int) -> None:
    put(state, *[(i, f"old {i}", b"old") for i in range(0, n_rows, 2)])

    with state.transaction() as tx:
        tx.executemany(UPSERT, [(i, f"new {i}", b"new") for i in range(n_rows)])

    assert names(state) == [f"new {i}" for i in range(n_rows)]


def test_an_upsert_of_one_row_twice_keeps_the_last(state: AnyState) -> None:
    with state.transaction() as tx:
        tx.executemany(UPSERT, [(1, f"version {i}", None) for i in range(100)])

    assert names(state) == ["version 99"]


def test_on_conflict_do_nothing_keeps_the_first(state: AnyState) -> None:
    with state.transaction() as tx:
        tx.executemany(INSERT + " ON CONFLICT (thing_id) DO NOTHING", [(i // 2, f"{i}", None) for i in range(100)])

    assert names(state) == [str(i) for i in range(0, 100, 2)]


def test_rows_may_come_from_a_generator(state: AnyState) -> None:
    rows: Iterable[tuple[int, str, bytes]] = ((i, str(i), b"x") for i in range(100))

    with state.transaction() as tx:
        tx.executemany(INSERT, rows)
        tx.executemany(INSERT, iter(()))

    assert state.read("SELECT count(*) FROM thing") == [(100,)]


@pytest.mark.parametrize("n_rows", [1, 3, 100])
def test_many_updates_and_deletes_touch_their_own_rows(state: AnyState, n_rows: int) -> None:
    put(state, *[(i, str(i), None) for i in range(2 * n_rows)])

    with state.transaction() as tx:
        tx.executemany("UPDATE thing SET body = ? WHERE thing_id = ?", [(b"%d" % i, i) for i in range(n_rows)])
        tx.executemany("DELETE FROM thing WHERE thing_id = ?", [(i,) for i in range(n_rows, 2 * n_rows)])

    assert state.read("SELECT thing_id, body FROM thing ORDER BY thing_id") == [(i, b"%d" % i) for i in range(n_rows)]


# -- many at once


def test_a_snapshot_sees_one_moment(engine: Engine, state: AnyState) -> None:
    put(state, (1, "a", None))
    other = engine.open()

    with state.snapshot() as moment:
        before = moment.read("SELECT name FROM thing")
        put(other, (2, "b", None))
        after = (
            moment.read("SELECT name FROM thing"),
            moment.read_in("SELECT name FROM thing WHERE thing_id IN {in}", [2]),
        )

    assert (before, after) == ([("a",)], ([("a",)], []))
    assert names(state) == ["a", "b"]


def test_a_snapshot_that_fails_leaves_no_moment_behind(engine: Engine, state: AnyState) -> None:
    def fail() -> None:
        with state.snapshot() as moment:
            moment.read("SELECT name FROM thing")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    put(engine.open(), (1, "a", None))

    assert names(state) == ["a"]


def test_a_second_writer_waits_and_is_then_told_that_state_is_locked(engine: Engine, state: AnyState) -> None:
    other = engine.open(timeout_s=PATIENCE_S)

    with state.transaction() as tx:
        tx.execute(INSERT, (1, "a", None))
        began = monotonic_s()
        with pytest.raises(StoreLocked) as told, other.transaction():
            pytest.fail("two transactions at once")
        waited_s = monotonic_s() - began

    assert PATIENCE_S * 0.9 <= waited_s < PATIENCE_S + 3
    assert told.value.retryable
    put(other, (2, "b", None))
    assert names(other) == ["a", "b"]


def test_readers_do_not_wait_for_a_writer(engine: Engine, state: AnyState) -> None:
    put(state, (1, "a", None))
    other = engine.open(timeout_s=PATIENCE_S)

    with state.transaction() as tx:
        tx.execute("UPDATE thing SET name = ?", ("b",))

        assert names(other) == ["a"]


def test_many_readers_and_a_writer_get_along(engine: Engine, state: AnyState) -> None:
    wrong: list[object] = []
    done = threading.Event()
    put(state, *[(i, str(i), b"\0") for i in range(100)])

    def look() -> None:
        reader = engine.open(read_only=True)
        while not done.is_set():
            told = {body for (body,) in reader.read("SELECT body FROM thing")}
            if len(told) != 1:
                wrong.append(told)

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(1, 30):
        with state.transaction() as tx:
            tx.execute("UPDATE thing SET body = ? WHERE thing_id < 50", (b"%d" % turn,))
            tx.execute("UPDATE thing SET body = ? WHERE thing_id >= 50", (b"%d" % turn,))
    done.set()
    for reader in readers:
        reader.join()

    assert wrong == []


def test_threads_share_one_state(state: AnyState) -> None:
    wrong: list[object] = []

    def write(number: int) -> None:
        for i in range(20):
            put(state, (number * 100 + i, f"{number} {i}", None))
            if not state.read("SELECT 1 FROM thing WHERE thing_id = ?", (number * 100 + i,)):
                wrong.append((number, i))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert wrong == []
    assert state.read("SELECT count(*) FROM thing") == [(80,)]


def test_the_data_version_changes_when_somebody_else_commits(engine: Engine, state: AnyState) -> None:
    other = engine.open()
    before = other.data_version()

    put(state, (1, "a", None))

    assert other.data_version() != before


def test_the_data_version_changes_with_the_states_own_commit(state: AnyState) -> None:
    before = state.data_version()

    put(state, (1, "a", None))

    assert state.data_version() != before


def test_a_state_opened_for_reading_refuses_to_write(engine: Engine, state: AnyState) -> None:
    reader = engine.open(read_only=True)

    with pytest.raises(StoreReadOnly), reader.transaction():
        pytest.fail("it may not write")

    assert names(reader) == []


# -- migrations


def more(number: int, sql: str) -> Migration:
    return Migration("things", number, "more", sql)


def test_running_a_migration_again_does_nothing(engine: Engine, state: AnyState) -> None:
    put(state, (1, "a", None))

    state.migrate((THINGS,))
    engine.open().migrate((THINGS,))

    assert names(state) == ["a"]
    assert state.read("SELECT room, number, checksum FROM migration") == [("things", 1, THINGS.checksum)]


def test_a_new_migration_runs_once_and_in_order(state: AnyState) -> None:
    put(state, (1, "a", None))
    second = more(2, "ALTER TABLE thing ADD COLUMN colour {text};")
    third = more(3, "UPDATE thing SET colour = 'red';")

    state.migrate((THINGS, second, third))
    state.migrate((THINGS, second, third))

    assert state.read("SELECT name, colour FROM thing") == [("a", "red")]


def test_a_migration_that_changed_after_it_ran_is_an_error(state: AnyState) -> None:
    with pytest.raises(MigrationChanged) as told:
        state.migrate((THINGS._replace(sql=THINGS.sql + "-- edited"),))

    assert told.value.code == "store.migration-changed"


def test_a_migration_that_fails_leaves_nothing_behind(state: AnyState) -> None:
    with pytest.raises((apsw.SQLError, psycopg.ProgrammingError)):
        state.migrate((THINGS, more(2, "CREATE TABLE half (x {int64}); CREATE TABLE half (x {int64});")))

    state.migrate((THINGS, more(2, "CREATE TABLE half (x {int64});")))
    assert state.read("SELECT x FROM half") == []


def test_two_processes_that_migrate_at_once_do_it_once(engine: Engine) -> None:
    failed: list[BaseException] = []

    def start(opened: AnyState) -> None:
        try:
            opened.migrate((THINGS, more(2, "INSERT INTO thing VALUES (1, 'once', NULL);")))
        except (TillitError, apsw.Error, psycopg.Error) as exc:
            failed.append(exc)

    states = [engine.open() for _ in range(4)]
    threads = [threading.Thread(target=start, args=(opened,)) for opened in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert names(states[0]) == ["once"]


# -- the engine's own files


def test_the_size_grows_with_what_is_kept(state: AnyState) -> None:
    before = state.size_bytes()

    put(state, *[(i, str(i), i.to_bytes(8, "big") * 100) for i in range(2_000)])

    assert state.size_bytes() > before + 1_000_000  # 2,000 rows of 800 bytes


def test_scrubbing_keeps_what_was_not_deleted(state: AnyState) -> None:
    put(state, *[(i, str(i), b"x" * 500) for i in range(200)])
    with state.transaction() as tx:
        tx.execute("DELETE FROM thing WHERE thing_id >= 100")

    state.scrub()

    assert names(state) == [str(i) for i in range(100)]
