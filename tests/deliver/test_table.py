"""A table has a row per record, whatever the database, the network and colleagues do."""

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from tests.deliver.wire_laws import (
    FIELDS,
    Step,
    anywhere,
    destination,
    keeps_the_model,
    outcomes,
    outgoing,
    run,
    steps,
)
from tests.engines import PostgresServer
from tillit.deliver.definitions import DefinitionInvalid, Limits
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN, Answer
from tillit.deliver.wires.table import TableWire, read_to
from tillit.errors import RefusedError, SettingsError

MARKED = "ana.marked@example.org"


class Door:
    """A TCP door to the server's socket, which passes bytes on until it is told to break the line.

    `way` says what becomes of what a client says: "pass"; "break", here and on both sides; "deaf", the server hears it
    and its answer is lost; "keep", the client loses the line and the server waits for what was said.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._inner = str(next(server.folder.glob(".s.PGSQL.*[0-9]")))
        self._outer = socket.create_server(("127.0.0.1", 0))
        self.port = self._outer.getsockname()[1]
        self.way: Callable[[bytes], str] = lambda _: "pass"
        self.kept: list[tuple[socket.socket, bytes]] = []
        self._sockets = [self._outer]
        self._threads: list[threading.Thread] = []
        self._begin(self._serve)

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _begin(self, act: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=act, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._outer.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._inner)
                deaf = threading.Event()
                self._sockets += [client, server]
                self._begin(self._ask, client, server, deaf)
                self._begin(self._answer, client, server, deaf)

    def _ask(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(65_536):
                match self.way(said):
                    case "break":
                        break
                    case "keep":
                        self.kept.append((server, said))
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    case "deaf":
                        deaf.set()
                server.sendall(said)
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while (told := server.recv(65_536)) and not deaf.is_set():
                client.sendall(told)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def door(postgres: PostgresServer) -> Iterator[Door]:
    opened = Door(postgres)
    yield opened
    opened.close()


class Base:
    """A real database: how a wire opens it, and what its own client sees there."""

    def __init__(self, to: dict[str, Any], workspace: Path, ask: Callable[..., list[tuple[Any, ...]]]) -> None:
        self.to, self.workspace, self.ask = to, workspace, ask

    def open(self, *, fields: dict[str, str] = FIELDS, **more: Any) -> TableWire:
        told = destination("table", {**self.to, **more}, fields=fields, limits=Limits(timeout_s=1.0))
        return TableWire(told, workspace=self.workspace, secret=lambda *_: "x", resolve=anywhere)

    def emails(self) -> dict[str, str | None]:
        return dict(self.ask("SELECT id, email FROM people"))


@pytest.fixture
def postgres_base(postgres: PostgresServer, door: Door, tmp_path: Path) -> Iterator[Base]:
    schema = f"t{uuid.uuid4().hex[:10]}"
    postgres.ask(f"CREATE SCHEMA {schema}")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(postgres.address, autocommit=True, options=f"-c search_path={schema}") as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description is not None else []

    url = f"postgresql://postgres@127.0.0.1:{door.port}/postgres"
    yield Base({"url": url, "table": "people", "schema": schema}, tmp_path / "workspace", ask)
    postgres.ask(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def sqlite_base(tmp_path: Path) -> Base:
    file = tmp_path / "out.db"

    def ask(sql: str) -> list[tuple[Any, ...]]:
        # Not the standard library's SQLite: two of them in one process do not see each other's locks.
        with closing(apsw.Connection(str(file))) as connection:
            return connection.execute(sql).fetchall()

    return Base({"url": str(file), "table": "people"}, tmp_path / "workspace", ask)


@pytest.fixture(params=["sqlite", "postgres"])
def base(request: pytest.FixtureRequest) -> Base:
    found: Base = request.getfixturevalue(f"{request.param}_base")
    return found


async def one(wire: TableWire, key: str, payload: dict[str, Any]) -> Answer:
    return (await wire.send([outgoing(key, payload)]))[0]


# The table is emptied for each example, by the model's own means.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=steps)
def test_whatever_is_sent_removed_and_sent_again_the_table_has_the_rows_of_the_model(
    base: Base, history: list[Step]
) -> None:
    base.ask("DROP TABLE IF EXISTS people")

    async def walk() -> None:
        wire = base.open()
        # Before the first upsert there is no table, and nothing in it.
        await wire.send([outgoing("first", {})])
        await wire.remove([outgoing("first", {})])
        await keeps_the_model(wire, history, base.emails)
        await wire.close()

    run(walk())


def test_the_table_is_made_with_the_kinds_that_were_named(base: Base) -> None:
    kinds = {"n": "bigint", "d": "double", "b": "boolean", "t": "timestamp", "j": "json"}
    sent = {"n": 12, "d": 1.5, "b": True, "t": "2026-01-02T03:04:05Z", "j": {"a": [1]}, "100% of ?": [1, "\0"]}

    async def walk() -> None:
        wire = base.open(fields={name: f"traits.{name}" for name in sent}, columns=kinds)
        assert outcomes(await wire.send([outgoing("ana", sent), outgoing("bo", {})])) == [DELIVERED] * 2
        assert (await wire.check())[:2] == (True, "The table is there.")
        await wire.close()

    run(walk())

    ana, bo = base.ask("SELECT * FROM people ORDER BY id")
    told = [getattr(value, "isoformat", lambda value=value: value)() for value in ana]
    if base.to["url"].startswith("/"):
        assert told == [
            "ana",
            "2025-11-24T16:00:00.123456Z",
            12,
            1.5,
            1,
            "2026-01-02T03:04:05.000000Z",
            '{"a":[1]}',
            '[1,"�"]',
        ]
    else:
        assert [type(value).__name__ for value in ana] == [
            "str",
            "datetime",
            "int",
            "float",
            "bool",
            "datetime",
            "dict",
            "str",
        ]
        assert ana[1].timestamp() == 1_764_000_000.123456
        assert ana[2:] == (12, 1.5, True, ana[5], {"a": [1]}, '[1,"�"]')
    assert bo[2:] == (None,) * 6


def test_rows_that_the_database_rejects_are_found_by_halves_and_the_others_go(base: Base) -> None:
    base.ask(
        "CREATE TABLE people (id TEXT PRIMARY KEY, at TEXT, email TEXT UNIQUE, age INTEGER NOT NULL CHECK (age >= 18))"
    )
    bad: dict[int, dict[str, Any]] = {
        3: {"age": 17},
        50: {"age": None},
        51: {"age": 17},
        99: {"email": "0@example.org", "age": 20},
    }
    items = [outgoing(f"p{n:02d}", {"email": f"{n}@example.org", "age": 20, **bad.get(n, {})}) for n in range(100)]

    async def walk() -> list[Answer]:
        wire = base.open()
        answers = await wire.send(items)
        await wire.close()
        return answers

    answers = run(walk())

    assert {n for n, answer in enumerate(answers) if answer.outcome == REFUSED} == set(bad)
    assert {answers[n].code for n in bad} == {"table.constraint"}
    assert all(answers[n].words and answers[n].has_left for n in bad)
    assert not any("example.org" in answer.words for answer in answers)
    assert outcomes(answers).count(DELIVERED) == 96
    assert sorted(base.emails()) == [item.record_key for n, item in enumerate(items) if n not in bad]


def test_a_deferred_constraint_refuses_its_row_alone(postgres_base: Base) -> None:
    postgres_base.ask("CREATE TABLE team (name TEXT PRIMARY KEY)")
    postgres_base.ask("INSERT INTO team VALUES ('a')")
    postgres_base.ask(
        "CREATE TABLE people (id TEXT PRIMARY KEY, at TEXT, age INT, "
        "email TEXT REFERENCES team DEFERRABLE INITIALLY DEFERRED)"
    )

    async def walk() -> list[Answer]:
        wire = postgres_base.open()
        answers = await wire.send([outgoing("ana", {"email": "a"}), outgoing("bo", {"email": "none"})])
        await wire.close()
        return answers

    assert outcomes(run(walk())) == [DELIVERED, REFUSED]
    assert postgres_base.emails() == {"ana": "a"}


def test_a_value_that_does_not_fit_never_leaves(base: Base) -> None:
    async def walk() -> list[Answer]:
        wire = base.open(columns={"age": "bigint"})
        answers = await wire.send([outgoing("ana", {"age": MARKED}), outgoing("bo", {"age": 3})])
        await wire.close()
        return answers

    ana, bo = run(walk())

    assert (ana.outcome, ana.code, ana.has_left, MARKED in ana.words) == (REFUSED, "table.value", False, False)
    assert bo.outcome == DELIVERED


def test_a_table_that_somebody_dropped_is_made_again_and_a_removal_from_it_is_done(base: Base) -> None:
    async def walk() -> None:
        wire = base.open()
        assert (await one(wire, "ana", {"email": "x"})).outcome == DELIVERED
        base.ask("DROP TABLE people")
        assert outcomes(await wire.remove([outgoing("ana", {})])) == [DELIVERED]
        assert (await one(wire, "bo", {"email": "y"})).outcome == DELIVERED
        await wire.close()

    run(walk())

    assert base.emails() == {"bo": "y"}


def test_a_column_that_somebody_renamed_comes_again_and_theirs_stays(base: Base) -> None:
    async def walk() -> None:
        wire = base.open()
        await one(wire, "ana", {"email": "x"})
        base.ask("ALTER TABLE people RENAME COLUMN email TO mail")
        assert (await one(wire, "bo", {"email": "y"})).outcome == DELIVERED
        assert base.ask("SELECT id, mail, email FROM people ORDER BY id") == [("ana", "x", None), ("bo", None, "y")]
        assert outcomes(await wire.remove([outgoing("ana", {})])) == [DELIVERED]
        await wire.close()

    run(walk())

    assert base.ask("SELECT id FROM people") == [("bo",)]


def test_a_table_without_our_key_halts_what_is_sent_and_what_is_taken_back(base: Base) -> None:
    async def walk() -> list[Answer]:
        wire = base.open()
        await one(wire, "ana", {"email": "x"})
        base.ask("ALTER TABLE people RENAME COLUMN id TO who")
        answers = [await one(wire, "bo", {}), *await wire.remove([outgoing("ana", {})])]
        assert not (await wire.check()).is_well
        await wire.close()
        return answers

    assert {(answer.outcome, answer.code, answer.has_left) for answer in run(walk())} == {
        (HALTED, "table.no-id", False)
    }


def test_a_table_whose_id_is_no_key_halts(base: Base) -> None:
    base.ask("CREATE TABLE people (id TEXT, at TEXT)")

    async def walk() -> Answer:
        wire = base.open()
        answer = await one(wire, "ana", {"email": "x"})
        await wire.close()
        return answer

    answer = run(walk())

    assert (answer.outcome, answer.code) == (HALTED, "table.schema")
    assert "ON CONFLICT" in answer.words


def test_names_are_names_whatever_they_hold(base: Base) -> None:
    table, field = 'x"; DROP TABLE people; --', 'e"mail%s?; DROP TABLE people'
    base.ask("CREATE TABLE people (id TEXT PRIMARY KEY)")

    async def walk() -> None:
        wire = base.open(table=table, fields={field: "traits.email"})
        assert (await one(wire, "a'; DROP TABLE people; --", {field: "x"})).outcome == DELIVERED
        await wire.close()

    run(walk())

    doubled = table.replace('"', '""')
    assert base.ask("SELECT count(*) FROM people") == [(0,)]
    assert base.ask(f'SELECT id FROM "{doubled}"') == [("a'; DROP TABLE people; --",)]


def test_somebody_who_holds_the_table_makes_it_later_and_nothing_is_kept(base: Base) -> None:
    async def walk() -> list[Answer]:
        wire = base.open()
        first = await one(wire, "ana", {"email": "x"})
        if base.to["url"].startswith("/"):
            holder: Any = apsw.Connection(base.to["url"])
            holder.execute("BEGIN EXCLUSIVE")
        else:
            holder = psycopg.connect(base.to["url"], sslmode="disable")
            holder.execute(f"LOCK TABLE {base.to['schema']}.people")
        second = await one(wire, "ana", {"email": "y"})
        holder.close()
        third = await one(wire, "ana", {"email": "z"})
        await wire.close()
        return [first, second, third]

    first, second, third = run(walk())

    assert [first.outcome, second.outcome, third.outcome] == [DELIVERED, LATER, DELIVERED]
    assert second.code == "table.locked"
    assert base.emails() == {"ana": "z"}


# -- PostgreSQL: the line breaks


def test_a_commit_whose_answer_is_lost_is_unknown_and_the_same_again_is_one_row(
    postgres_base: Base, door: Door
) -> None:
    async def walk() -> None:
        wire = postgres_base.open()
        await one(wire, "first", {})
        door.way = lambda said: "deaf" if b"COMMIT" in said else "pass"
        lost = await one(wire, "ana", {"email": "x"})
        assert (lost.outcome, lost.has_left) == (UNKNOWN, True)
        door.way = lambda _: "pass"
        assert (await one(wire, "ana", {"email": "x"})).outcome == DELIVERED
        await wire.close()

    run(walk())

    assert postgres_base.emails() == {"first": None, "ana": "x"}


def test_a_line_that_breaks_before_the_commit_is_later_and_nothing_is_kept(postgres_base: Base, door: Door) -> None:
    async def walk() -> list[Answer]:
        wire = postgres_base.open()
        await one(wire, "first", {})
        door.way = lambda said: "break" if b"ana" in said else "pass"
        answers = list(await wire.send([outgoing("ana", {"email": "x"}), outgoing("bo", {"email": "y"})]))
        await wire.close()
        return answers

    answers = run(walk())

    assert {(answer.outcome, answer.has_left) for answer in answers} == {(LATER, True)}
    assert postgres_base.emails() == {"first": None}


def test_a_connection_that_the_server_let_go_of_is_made_again_unseen(
    postgres_base: Base, postgres: PostgresServer
) -> None:
    async def walk() -> None:
        wire = postgres_base.open()
        await one(wire, "ana", {"email": "x"})
        postgres.ask(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'tillit' AND state = 'idle' AND client_port IS NOT NULL AND query = 'COMMIT'"
        )
        assert (await one(wire, "ana", {"email": "y"})).outcome == DELIVERED
        await wire.close()

    run(walk())

    assert postgres_base.emails() == {"ana": "y"}


def test_a_removal_waits_for_a_commit_that_the_server_has_not_come_to_yet(postgres_base: Base, door: Door) -> None:
    async def walk() -> list[Answer]:
        wire = postgres_base.open()
        first = await one(wire, "first", {})
        door.way = lambda said: "keep" if b"COMMIT" in said else "pass"
        lost = await one(wire, "ana", {"email": "x"})
        door.way = lambda _: "pass"
        (early,) = await wire.remove([outgoing("ana", {})])
        ((server, commit),) = door.kept
        server.sendall(commit)
        (late,) = await wire.remove([outgoing("ana", {})])
        await wire.close()
        return [first, lost, early, late]

    _, lost, early, late = run(walk())

    assert lost.outcome == UNKNOWN
    assert (early.outcome, early.code) == (LATER, "table.locked")
    assert late.outcome == DELIVERED
    assert postgres_base.emails() == {"first": None}


def test_who_may_not_sign_in_or_make_a_table_halts_and_who_is_not_there_is_later(
    postgres_base: Base, postgres: PostgresServer
) -> None:
    role = f"r{uuid.uuid4().hex[:8]}"
    postgres.ask(f"CREATE ROLE {role} LOGIN")
    url = postgres_base.to["url"]

    async def ask(url: str) -> Answer:
        wire = postgres_base.open(url=url)
        answer = await one(wire, "ana", {"email": MARKED})
        await wire.close()
        return answer

    nobody = run(ask(url.replace("postgres@", "nobody@")))
    elsewhere = run(ask(url.removesuffix("postgres") + "none"))
    powerless = run(ask(url.replace("postgres@", f"{role}@")))
    absent = run(ask("postgresql://postgres@127.0.0.1:9/postgres"))
    postgres.ask(f"DROP ROLE {role}")

    assert (nobody.outcome, nobody.code, nobody.has_left) == (HALTED, "table.credentials", False)
    assert 'role "nobody" does not exist' in nobody.words
    assert (elsewhere.outcome, elsewhere.has_left) == (HALTED, False)
    assert (powerless.outcome, powerless.code, powerless.has_left) == (HALTED, "table.schema", False)
    assert (absent.outcome, absent.code, absent.has_left) == (LATER, "table.unreachable", False)
    assert not any("127.0.0.1" in answer.words for answer in (nobody, elsewhere, powerless, absent))


def test_a_server_without_tls_is_told_nothing_unless_the_definition_says_so(postgres_base: Base, door: Door) -> None:
    said: list[bytes] = []

    def listen(what: bytes) -> str:
        said.append(what)
        return "pass"

    door.way = listen

    async def walk() -> Answer:
        wire = postgres_base.open(url=postgres_base.to["url"].replace("127.0.0.1", "db.example.org"))
        answer = await one(wire, "ana", {"email": MARKED})
        await wire.close()
        return answer

    answer = run(walk())

    assert (answer.outcome, answer.has_left) == (LATER, False)
    assert [len(one) for one in said] == [8]  # the question for TLS, and nothing after its no


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (RefusedError("Not there.", code="deliver.outward-refused"), HALTED, "deliver.outward-refused"),
        (SettingsError("No such secret.", code="deliver.secret-missing"), HALTED, "deliver.secret-missing"),
        (socket.gaierror(-2, "Name or service not known"), LATER, "connect.dns"),
    ],
)
def test_a_host_that_may_not_be_connected_to_is_never_connected_to(
    error: Exception, outcome: str, code: str, postgres_base: Base
) -> None:
    async def refuse(host: str, port: int) -> list[str]:
        raise error

    told = destination("table", postgres_base.to)
    wire = TableWire(told, workspace=postgres_base.workspace, secret=lambda *_: "x", resolve=refuse)

    answer = run(one(wire, "ana", {}))

    assert (answer.outcome, answer.code, answer.has_left) == (outcome, code, False)


# -- SQLite


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_removal_leaves_no_byte_in_the_file(mode: str, sqlite_base: Base) -> None:
    sqlite_base.ask(f"PRAGMA journal_mode = {mode}")
    folder = Path(sqlite_base.to["url"]).parent

    def holds() -> bool:
        return any(MARKED.encode() in file.read_bytes() for file in folder.glob("out.db*"))

    async def walk() -> None:
        wire = sqlite_base.open()
        await wire.send([outgoing(f"p{n}", {"email": MARKED if n == 3 else "other" * 20}) for n in range(200)])
        assert holds()
        await wire.remove([outgoing("p3", {})])
        assert not holds()
        await wire.close()

    run(walk())

    assert sqlite_base.ask("PRAGMA journal_mode") == [(mode,)]
    assert len(sqlite_base.emails()) == 199


def test_a_file_that_is_made_is_the_owners_alone_and_one_put_in_its_place_is_noticed(sqlite_base: Base) -> None:
    file = Path(sqlite_base.to["url"])

    def modes() -> list[int]:
        return [one.stat().st_mode & 0o777 for one in file.parent.glob("out.db*")]

    def move() -> None:
        file.replace(file.with_name("moved"))

    async def walk() -> None:
        wire = sqlite_base.open()
        await one(wire, "ana", {"email": "x"})
        assert modes() == [0o600]
        move()
        assert (await one(wire, "bo", {"email": "y"})).outcome == DELIVERED
        await wire.close()

    run(walk())

    assert sqlite_base.emails() == {"bo": "y"}


@pytest.mark.parametrize("trouble", ["inside", "link", "garbage", "no parent"])
def test_a_file_that_may_not_be_written_halts(trouble: str, sqlite_base: Base, tmp_path: Path) -> None:
    workspace, file = sqlite_base.workspace, tmp_path / "x.db"
    workspace.mkdir()
    if trouble == "inside":
        file = workspace / "state.db"
    elif trouble == "link":
        (tmp_path / "real.db").write_bytes(b"")
        file.symlink_to(tmp_path / "real.db")
    elif trouble == "garbage":
        file.write_bytes(b"no database" * 1_000)
    else:
        file = tmp_path / "none" / "x.db"

    async def walk() -> Answer:
        wire = sqlite_base.open(url=str(file))
        answer = await one(wire, "ana", {"email": MARKED})
        await wire.close()
        return answer

    answer = run(walk())

    assert (answer.outcome, answer.has_left) == (HALTED, False)
    assert not (workspace / "state.db").exists()


@pytest.mark.parametrize(
    "to",
    [
        {"url": "postgresql://u:secret@host/db", "table": "t"},
        {"url": "postgresql://u@host/db?host=other", "table": "t"},
        {"url": "postgresql://u@host", "table": "t"},
        {"url": "postgresql:///db", "table": "t"},
        {"url": "postgresql://u@host:99999/db", "table": "t"},
        {"url": "mysql://u@host/db", "table": "t"},
        {"url": "relative.db", "table": "t"},
        {"url": "/a/../b.db", "table": "t"},
        {"url": "/a.db", "table": "t", "secret": "x"},
        {"url": "/a.db", "table": "sqlite_master"},
        {"url": "/a.db", "table": ""},
        {"url": "/a.db", "table": "a\0b"},
        {"url": "/a.db", "table": "t" * 64},
        {"url": "/a.db", "table": "t", "columns": {"email": "varchar"}},
        {"url": "postgresql://u@host/db", "table": "t", "sslmode": "prefer"},
    ],
)
def test_a_place_that_cannot_be_is_refused_when_it_is_declared(to: dict[str, Any]) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        read_to("Destination 'x'", to)

    assert "secret@" not in str(refused.value)
