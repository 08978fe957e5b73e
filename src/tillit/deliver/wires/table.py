"""Table: records as rows of one table, in PostgreSQL or in an SQLite file.

In:    upserts, events and removals of one destination.
Out:   a row per record: `id`, `at`, then the fields; an answer per item.
Never: a column or a table dropped; two rows of one record; a row that a later removal could miss.

Every call is one transaction. A row that the database refuses is found by halves, and the others go.
The transactions of one table follow each other (an advisory lock; an SQLite file has one writer): a commit that an
earlier call lost sight of is over, one way or the other, before the next call looks. So nothing older comes later.

Where a removed row still is: in PostgreSQL's files until its vacuum, and in the back-ups of whoever runs it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from tillit.clock import monotonic_s
from tillit.deliver.definitions import DefinitionInvalid, Destination, read_to_as
from tillit.deliver.outward import check_host
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN, Answer, Checked, Outgoing, cut_words
from tillit.deliver.wires import Ways
from tillit.deliver.wires.columns import KEY, Unfit, at_text, check_name, read_columns, read_kinds
from tillit.deliver.wires.databases import MARK, Database, Failed, Postgres, Server, Sqlite, quoted
from tillit.deliver.wires.places import Resolve, Secret, check_path, is_inside
from tillit.errors import MissingExtra, TillitError

_HERE = ("localhost", "127.0.0.1", "::1")
_TLS = ("verify-full", "require", "disable")
_ROLLED_BACK = ("table.constraint", "table.trigger", "table.locked")


class TableTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the table is."""

    url: str  # postgresql://user@host:port/database, or the absolute path of an SQLite file
    table: str
    schema: str = ""  # of PostgreSQL; empty: where its search path puts it
    columns: dict[str, str] = {}  # the kind of a field that is not text
    secret: str = ""  # the name of the secret that holds the password
    sslmode: str = ""  # verify-full unless the server is this machine


def read_to(where: str, to: Mapping[str, Any]) -> TableTo:
    """Read the `to:` of a table. Raises DefinitionInvalid."""
    told = read_to_as(where, to, TableTo)
    read_kinds(where, told.columns)
    check_name(where, "table", told.table)
    if told.url.startswith("/"):
        check_path(where, told.url)
        if told.schema or told.secret or told.sslmode:
            raise DefinitionInvalid(where, "schema, secret and sslmode are of PostgreSQL; to.url is a file.")
        if told.table.lower().startswith("sqlite_"):
            raise DefinitionInvalid(where, "names that begin with sqlite_ are SQLite's own.")
        return told
    _server(where, told)
    if told.schema:
        check_name(where, "schema", told.schema)
    return told


def _server(where: str, to: TableTo) -> Server:
    try:
        parts = urlsplit(to.url)
        host, port = parts.hostname or "", parts.port or 5432
    except ValueError:
        raise DefinitionInvalid(where, "to.url has no port that could be.") from None
    if parts.password is not None:
        raise DefinitionInvalid(where, "to.url holds a password. Set it as a secret and name that in to.secret.")
    database = unquote(parts.path.removeprefix("/"))
    is_whole = parts.username and host and database and "/" not in database
    if parts.scheme not in ("postgresql", "postgres") or not is_whole or parts.query or parts.fragment:
        raise DefinitionInvalid(
            where, "to.url is neither postgresql://user@host:port/database nor the absolute path of an SQLite file."
        )
    if to.sslmode and to.sslmode not in _TLS:
        raise DefinitionInvalid(where, f"to.sslmode is {to.sslmode!r}. There are: {', '.join(_TLS)}.")
    is_here = host in _HERE
    return Server(
        unquote(parts.username or ""), host, port, database, to.sslmode or ("disable" if is_here else _TLS[0])
    )


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where a table is, and its columns. Raises DefinitionInvalid, OutwardInvalid, OutwardRefused."""
    where = f"Destination {destination.destination!r}"
    told = read_to(where, destination.to)
    read_columns(where, destination.fields, told.columns)
    if not told.url.startswith("/"):
        check_host(_server(where, told).host, allow=ways.allow)
    elif is_inside(Path(told.url), ways.workspace):
        raise DefinitionInvalid(where, "to.url lies inside the workspace.")


def open_wire(destination: Destination, ways: Ways) -> "TableWire":
    """Open a table, in a running loop; see `TableWire`."""
    check_to(destination, ways)
    return TableWire(destination, workspace=ways.workspace, secret=ways.revealed, resolve=ways.resolve)


class TableWire:
    """A table, open. Calls follow each other in a thread of its own, on one connection."""

    is_idempotent = True
    n_together = 500

    def __init__(self, destination: Destination, *, workspace: Path, secret: Secret, resolve: Resolve) -> None:
        """Take a destination of kind table; nothing is connected to yet. Raises DefinitionInvalid, MissingExtra."""
        where = f"Destination {destination.destination!r}"
        self._to = read_to(where, destination.to)
        self._server = None if self._to.url.startswith("/") else _server(where, self._to)
        self._columns = read_columns(where, destination.fields, self._to.columns)
        self._limit_s = destination.limits.timeout_s
        self._workspace, self._secret, self._resolve = workspace, secret, resolve
        self._table = quoted(self._to.table)
        if self._to.schema:
            self._table = f"{quoted(self._to.schema)}.{self._table}"
        self._database: Database | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="table")
        if self._server is not None:
            try:
                import psycopg  # noqa: F401  # asked here once, so that the answer is ours and not an ImportError later
            except ImportError as exc:
                raise MissingExtra("postgres", "A table in PostgreSQL") from exc

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Insert rows, or write them anew."""
        return await self._run(lambda addresses: self._send(items, addresses), len(items))

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Delete rows."""
        return await self._run(lambda addresses: self._remove(items, addresses), len(items))

    async def check(self) -> Checked:
        """Connect, and look for the table."""
        began = monotonic_s()
        answer = (await self._run(self._look, 1))[0]
        return Checked(answer.outcome == DELIVERED, answer.words, (monotonic_s() - began) * 1000)

    async def close(self) -> None:
        """Let go of the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    async def _run(self, act: Callable[[list[str]], list[Answer]], n: int) -> list[Answer]:
        try:
            addresses: list[str] = []
            if self._server is not None:
                addresses = await self._resolve(self._server.host, self._server.port)
                if not addresses:
                    raise Failed(LATER, "connect.dns", "The host has no address.")
            return await asyncio.get_running_loop().run_in_executor(self._thread, act, addresses)
        except Failed as exc:
            failed = Answer(exc.outcome, exc.code, exc.words, has_left=False)
        except TillitError as exc:
            failed = Answer(LATER if exc.retryable else HALTED, exc.code, cut_words(exc.message), has_left=False)
        except OSError as exc:
            failed = Answer(LATER, "connect.dns", cut_words(exc.strerror or ""), has_left=False)
        return [failed] * n

    # -- in the thread

    def _look(self, addresses: list[str]) -> list[Answer]:
        database = self._begin(addresses)
        try:
            columns = database.columns()
        finally:
            database.rollback()
        if columns and KEY not in columns:
            return [Answer(HALTED, "table.no-id", "The table has no column id.")]
        return [Answer(DELIVERED, words="The table is there." if columns else "The table will be made.")]

    def _send(self, items: Sequence[Outgoing], addresses: list[str]) -> list[Answer]:
        answers: dict[int, Answer] = {}
        rows: list[tuple[int, list[Any]]] = []
        for n, item in enumerate(items):
            try:
                rows.append((n, self._bound(item)))
            except Unfit as exc:
                answers[n] = Answer(REFUSED, "table.value", str(exc), has_left=False)
        if not rows:
            return [answers[n] for n in range(len(items))]
        names = [quoted(name) for name in self._columns.header]
        sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        sql = (
            f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join(MARK * len(names))}) "
            f"ON CONFLICT ({names[0]}) DO UPDATE SET {sets}"
        )
        database = self._begin(addresses)
        try:
            self._make_table(database)
        except Failed:
            database.rollback()
            raise
        answers |= _within(database, rows, lambda: _put(database, sql, rows))
        return [answers[n] for n in range(len(items))]

    def _remove(self, items: Sequence[Outgoing], addresses: list[str]) -> list[Answer]:
        database = self._begin(addresses)
        try:
            columns = database.columns()
        except Failed:
            database.rollback()
            raise
        if columns and KEY not in columns:
            database.rollback()
            raise Failed(HALTED, "table.no-id", "The table has no column id.")
        rows = [(n, [item.record_key]) for n, item in enumerate(items)]
        sql = f"DELETE FROM {self._table} WHERE {quoted(KEY)} = {MARK}"
        answers = _within(database, rows, lambda: _put(database, sql, rows) if columns else _done(rows))
        return [answers[n] for n in range(len(items))]

    def _begin(self, addresses: list[str]) -> Database:
        if self._database is not None:
            try:
                self._database.begin()
            except Failed as exc:
                self._drop()
                # The server may have let go of a connection that nobody used: ask on a new one.
                if exc.code != "table.unreachable":
                    raise
            else:
                return self._database
        self._database = self._open(addresses)
        try:
            self._database.begin()
        except Failed:
            self._drop()
            raise
        return self._database

    def _open(self, addresses: list[str]) -> Database:
        if self._server is None:
            return Sqlite(Path(self._to.url), self._workspace, self._table, self._limit_s)
        server = self._server
        secret = self._secret(self._to.secret, f"{server.host}:{server.port}") if self._to.secret else ""
        return Postgres(server, addresses, secret, self._table, self._limit_s)

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _make_table(self, database: Database) -> None:
        """Make the table, or the columns that it lacks. Raises Failed."""
        there = database.columns()
        kinds = ("timestamp", *self._columns.kinds)
        wanted = [
            f"{quoted(name)} {database.types[kind]}" for name, kind in zip(self._columns.header[1:], kinds, strict=True)
        ]
        try:
            if not there:
                database.run(
                    f"CREATE TABLE {self._table} ({quoted(KEY)} TEXT NOT NULL PRIMARY KEY, {', '.join(wanted)})"
                )
            elif KEY not in there:
                raise Failed(HALTED, "table.no-id", "The table has no column id.")
            else:
                for name, column in zip(self._columns.header[1:], wanted, strict=True):
                    if (name.lower() if database.is_folding else name) not in there:
                        database.run(f"ALTER TABLE {self._table} ADD COLUMN {column}")
        except Failed as exc:
            raise Failed(HALTED if exc.outcome == REFUSED else exc.outcome, exc.code, exc.words) from None

    def _bound(self, item: Outgoing) -> list[Any]:
        kinds = ("text", "timestamp", *self._columns.kinds)
        return [
            at_text(int(value)) if kind == "timestamp" and value is not None else value
            for kind, value in zip(kinds, self._columns.row(item), strict=True)
        ]


def _within(
    database: Database, rows: Sequence[tuple[int, Any]], act: Callable[[], dict[int, Answer]]
) -> dict[int, Answer]:
    """Do the one thing of a transaction and commit it; what breaks is the answer for all."""
    is_ending = False
    try:
        answers = act()
        is_ending = True
        database.commit()
    except Failed as exc:
        database.rollback()
        # At the end: rolled back by the database's own word, or nobody knows.
        outcome = UNKNOWN if is_ending and exc.code not in _ROLLED_BACK else exc.outcome
        return dict.fromkeys((n for n, _ in rows), Answer(outcome, exc.code, exc.words))
    return answers


def _put(database: Database, sql: str, rows: Sequence[tuple[int, Sequence[Any]]]) -> dict[int, Answer]:
    """Run one statement for rows; those that the database refuses are found by halves. Raises Failed."""
    database.run("SAVEPOINT rows")
    try:
        database.put(sql, [row for _, row in rows])
    except Failed as exc:
        if exc.outcome != REFUSED:
            raise
        database.run("ROLLBACK TO SAVEPOINT rows")
        database.run("RELEASE SAVEPOINT rows")
        if len(rows) == 1:
            return {rows[0][0]: Answer(exc.outcome, exc.code, exc.words)}
        middle = len(rows) // 2
        return _put(database, sql, rows[:middle]) | _put(database, sql, rows[middle:])
    database.run("RELEASE SAVEPOINT rows")
    return _done(rows)


def _done(rows: Sequence[tuple[int, Any]]) -> dict[int, Answer]:
    return {n: Answer(DELIVERED) for n, _ in rows}
