"""What only PostgreSQL can do to us: go away, be full, be somebody else's; and what it leaves on its disk."""

import sys
import uuid
from pathlib import Path

import psycopg
import psycopg.errors
import pytest

from tests.engines import PATIENCE_S, Engine, PostgresServer
from tillit.errors import MissingExtra
from tillit.store import (
    Migration,
    PostgresState,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreachable,
)
from tillit.store import postgres as seam
from tillit.store.postgres import TransactionMisused, WrongEncoding

SECRET = "swordfish-password"
THING = Migration("things", 1, "thing", "CREATE TABLE thing (thing_id {int64} PRIMARY KEY, name {text});")


@pytest.fixture
def state(postgres_engine: Engine) -> PostgresState:
    opened = postgres_engine.open()
    assert isinstance(opened, PostgresState)
    opened.migrate((THING,))
    return opened


def end_sessions(server: PostgresServer, *links: object) -> None:
    for link in links:
        assert isinstance(link, seam._Link)
        server.ask("SELECT pg_terminate_backend(%s, 5000)", link.open().info.backend_pid)


# -- errors


def test_every_family_of_operational_errors_has_its_place_in_the_map() -> None:
    kinds = {
        name: kind
        for name, kind in vars(psycopg.errors).items()
        if isinstance(kind, type) and issubclass(kind, psycopg.OperationalError)
    }
    known = set(seam._BY_CLASS) | seam.PASSING_CLASSES
    without_a_place = [
        f"{name} ({kind.sqlstate})" for name, kind in kinds.items() if kind.sqlstate and kind.sqlstate[:2] not in known
    ]
    # Those without a state come from psycopg itself; a new one must be looked at before it is called a lost connection.
    stateless = {name for name, kind in kinds.items() if not kind.sqlstate}

    assert len(kinds) > 50
    assert without_a_place == []
    assert stateless == {
        "OperationalError", "ConnectionTimeout", "CancellationTimeout", "_WaitTimeout", *seam.PASSING_NAMES,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sqlstate", "ours"),
    [
        ("53100", StoreFull),
        ("25006", StoreReadOnly),
        ("55P03", StoreLocked),
        ("40P01", StoreLocked),
        ("57P01", StoreUnreachable),
        ("53300", StoreUnreachable),
        ("54000", None),  # a row too wide for an index: trying again would stop the log for ever
        ("23505", None),
    ],
)
def test_an_error_says_who_must_act(sqlstate: str, ours: type[Exception] | None) -> None:
    advice = seam.advice_for(psycopg.errors.lookup(sqlstate)("server's words"))

    assert (advice[0] if advice else None) == ours


def test_without_psycopg_the_answer_is_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtra, match=r"pip install 'tillit\[postgres\]'"):
        PostgresState("postgresql://nobody@localhost/x")


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable) as told:
        PostgresState(f"postgresql://ana:{SECRET}@/tillit?host={tmp_path}")

    assert SECRET not in f"{told.value} {told.value.details}"
    assert told.value.retryable


def test_a_database_that_cannot_hold_every_letter_is_refused(postgres: PostgresServer) -> None:
    name = f"latin_{uuid.uuid4().hex[:12]}"
    postgres.ask(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")

    with pytest.raises(WrongEncoding) as told:
        PostgresState(postgres.address.replace("/postgres?", f"/{name}?"))

    assert told.value.code == "store.wrong-encoding"
    postgres.ask(f"DROP DATABASE {name}")


def test_a_standby_is_read_only(state: PostgresState) -> None:
    with pytest.raises(StoreReadOnly), state.transaction() as tx:  # noqa: PT012  # the whole block is the claim
        tx.execute("SET TRANSACTION READ ONLY")
        tx.execute("INSERT INTO thing VALUES (1, 'a')")


# -- sessions that end


def test_a_question_is_asked_again_when_the_connection_was_lost(state: PostgresState, postgres: PostgresServer) -> None:
    end_sessions(postgres, state._reader)

    assert state.read("SELECT count(*) FROM thing") == [(0,)]


def test_a_transaction_begins_anew_when_the_connection_was_lost_before(
    state: PostgresState, postgres: PostgresServer
) -> None:
    end_sessions(postgres, state._writer, state._reader)

    with state.transaction() as tx:
        tx.execute("INSERT INTO thing VALUES (1, 'a')")

    assert state.read("SELECT name FROM thing") == [("a",)]


def test_a_transaction_that_loses_its_connection_is_over_and_the_next_one_works(
    state: PostgresState, postgres: PostgresServer
) -> None:
    with pytest.raises(StoreUnreachable), state.transaction() as tx:  # noqa: PT012  # the whole block is the claim
        tx.execute("INSERT INTO thing VALUES (1, 'a')")
        end_sessions(postgres, state._writer)
        tx.execute("INSERT INTO thing VALUES (2, 'b')")

    with state.transaction() as tx:
        tx.execute("INSERT INTO thing VALUES (3, 'c')")
    assert state.read("SELECT name FROM thing") == [("c",)]


def test_a_snapshot_that_loses_its_connection_is_not_quietly_another_moment(
    state: PostgresState, postgres: PostgresServer
) -> None:
    with pytest.raises(StoreUnreachable), state.snapshot() as moment:  # noqa: PT012  # the whole block is the claim
        moment.read("SELECT 1")
        end_sessions(postgres, state._reader)
        moment.read("SELECT 1")

    assert state.read("SELECT 1") == [(1,)]


def test_a_transaction_that_went_on_after_a_failed_statement_says_that_nothing_was_kept(state: PostgresState) -> None:
    with pytest.raises(TransactionMisused), state.transaction() as tx:  # noqa: PT012  # the whole block is the claim
        tx.execute("INSERT INTO thing VALUES (1, 'a')")
        with pytest.raises(psycopg.IntegrityError):
            tx.execute("INSERT INTO thing VALUES (1, 'again')")

    assert state.read("SELECT count(*) FROM thing") == [(0,)]


def test_a_transaction_within_a_transaction_is_refused(state: PostgresState) -> None:
    with state.transaction() as tx:
        tx.execute("INSERT INTO thing VALUES (1, 'a')")
        with pytest.raises(TransactionMisused), state.transaction():
            pytest.fail("a transaction within a transaction")

    assert state.read("SELECT name FROM thing") == [("a",)]


# -- two workspaces, and the server's disk


def test_two_schemas_of_one_database_know_nothing_of_each_other(state: PostgresState, postgres: PostgresServer) -> None:
    schema = f"other {uuid.uuid4().hex[:12]}"
    other = PostgresState(postgres.address, schema=schema, timeout_s=PATIENCE_S)

    with state.transaction() as tx:
        other.migrate((THING,))  # nor do they wait for each other
        tx.execute("INSERT INTO thing VALUES (1, 'a')")

    assert other.read("SELECT count(*) FROM thing") == [(0,)]
    other.close()
    postgres.ask(f'DROP SCHEMA "{schema}" CASCADE')


def test_after_scrubbing_no_table_or_index_file_holds_what_was_deleted(
    state: PostgresState, postgres: PostgresServer
) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    with state.transaction() as tx:
        tx.execute("CREATE INDEX thing_name ON thing (name)")
        tx.executemany("INSERT INTO thing (thing_id, name) VALUES (?, ?)", [(i, f"{marker} {i}") for i in range(50)])
    postgres.ask("CHECKPOINT")
    planted = files_with(postgres, marker)

    with state.transaction() as tx:
        tx.execute("DELETE FROM thing WHERE thing_id <> 7")
        tx.execute("UPDATE thing SET name = 'kept'")
    state.scrub()
    postgres.ask("CHECKPOINT")

    assert len(planted) >= 2, "the search must find what is there: a table and an index"
    assert files_with(postgres, marker) == []
    assert state.read("SELECT name FROM thing") == [("kept",)]


def files_with(server: PostgresServer, marker: str) -> list[str]:
    return [
        path.name
        for path in (server.folder / "base").rglob("*")
        if path.is_file() and marker.encode() in path.read_bytes()
    ]


def test_scrubbing_waits_for_older_readers_and_says_so(state: PostgresState, postgres_engine: Engine) -> None:
    hasty = postgres_engine.open(timeout_s=PATIENCE_S)
    other = postgres_engine.open()

    with other.snapshot() as moment:
        moment.read("SELECT 1")
        with state.transaction() as tx:
            tx.execute("INSERT INTO thing VALUES (1, 'a')")
        with pytest.raises(StoreLocked):
            hasty.scrub()

    hasty.scrub()
