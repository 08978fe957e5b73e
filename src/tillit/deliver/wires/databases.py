"""Databases: what a table destination asks of PostgreSQL and of SQLite, and what their errors mean.

In:    statements with MARK where a value goes; rows.
Out:   the same, done in a transaction.
Never: a value in what is said of an error, beyond the database's own words.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import apsw

from tillit.deliver.wire import HALTED, LATER, REFUSED, cut_words
from tillit.deliver.wires.places import is_inside

if TYPE_CHECKING:
    import psycopg

MARK = "\0"  # where a value goes in a statement: no name holds one


class Server(NamedTuple):
    """A PostgreSQL server, and as whom to speak to which database."""

    user: str
    host: str
    port: int
    database: str
    sslmode: str


class Failed(Exception):
    """The database said no, or nothing: the outcome, a code and its words."""

    def __init__(self, outcome: str, code: str, words: str) -> None:
        """Keep all three."""
        super().__init__(code)
        self.outcome, self.code, self.words = outcome, code, cut_words(words)


class Database(Protocol):
    """A database, open. Each method raises Failed, REFUSED for a fault of the values alone."""

    types: Mapping[str, str]  # of columns, by our kinds
    is_folding: bool  # Email and email are one column: `columns` gives them in small letters

    def begin(self) -> None:
        """Begin a transaction, alone on the table."""
        ...

    def columns(self) -> set[str]:
        """Name the columns of the table; none when there is no table."""
        ...

    def run(self, sql: str) -> None:
        """Run a statement without values."""
        ...

    def put(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        ...

    def commit(self) -> None:
        """Keep all of it."""
        ...

    def rollback(self) -> None:
        """Keep nothing of it; what is broken already stays so."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def quoted(name: str) -> str:
    """Write a name so that it is nothing but a name."""
    return '"' + name.replace('"', '""') + '"'


# -- PostgreSQL

_POSTGRES = {
    "text": "TEXT",
    "bigint": "BIGINT",
    "double": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "json": "JSONB",
}
# By SQLSTATE: the exact one first, then its class (the first two characters). What is not here is the destination's.
_BY_STATE = {
    "25006": (LATER, "table.read-only"),  # a standby, for as long as a fail-over takes
    "55006": (LATER, "table.locked"),
    "55P03": (LATER, "table.locked"),
}
_BY_CLASS = {
    "08": (LATER, "table.unreachable"),
    "22": (REFUSED, "table.value"),
    "23": (REFUSED, "table.constraint"),
    "27": (REFUSED, "table.trigger"),
    "28": (HALTED, "table.credentials"),
    "38": (REFUSED, "table.trigger"),
    "39": (REFUSED, "table.trigger"),
    "40": (LATER, "table.locked"),
    "44": (REFUSED, "table.constraint"),
    "53": (LATER, "table.full"),
    "54": (REFUSED, "table.value"),
    "57": (LATER, "table.unreachable"),
    "58": (LATER, "table.unreachable"),
    "P0": (REFUSED, "table.trigger"),
}
# What a server says that lets nobody in for now (a refused connection comes without SQLSTATE).
_FOR_NOW = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "not yet accepting")


class Postgres:
    """One connection to a PostgreSQL server."""

    types: Mapping[str, str] = _POSTGRES
    is_folding = False

    def __init__(self, server: Server, addresses: list[str], password: str, table: str, limit_s: float) -> None:
        """Connect to one of the addresses. Raises Failed."""
        import psycopg

        self._table = table
        # To wait for somebody's lock is known from a slow answer.
        self._limits = f"{round(limit_s * 500)}ms", f"{round(limit_s * 1000)}ms"
        self._lock = int.from_bytes(blake2b(f"tillit {table}".encode(), digest_size=8).digest(), "big", signed=True)
        try:
            self._connection: psycopg.Connection[Any] = psycopg.connect(
                # The name for TLS, the addresses that were found allowed for the connection.
                host=",".join([server.host] * len(addresses)),
                hostaddr=",".join(addresses),
                port=str(server.port),
                user=server.user,
                password=password or None,
                passfile=f"{os.devnull}/none",  # no password of this machine's user goes to a stranger
                dbname=server.database,
                sslmode=server.sslmode,
                sslrootcert="system" if server.sslmode == "verify-full" else None,
                gssencmode="disable",
                client_encoding="utf8",
                application_name="tillit",
                connect_timeout=max(2, round(limit_s)),
                tcp_user_timeout=round(limit_s * 1000),
                autocommit=True,
            )
        except psycopg.Error as exc:
            words = str(exc).rpartition(" failed: ")[2]  # without the address
            if "FATAL" in words and not any(one in words for one in _FOR_NOW):
                raise Failed(HALTED, "table.credentials", words.rpartition("FATAL:")[2]) from None
            raise Failed(LATER, "table.unreachable", words) from None

    def begin(self) -> None:
        """Begin a transaction, alone on the table."""
        self.run("BEGIN")
        self._ask(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            self._limits,
        )
        # Row locks alone would not do: a DELETE does not wait for a row that another transaction has not committed.
        self._ask("SELECT pg_advisory_xact_lock(%s)", (self._lock,))
        self.run("SET CONSTRAINTS ALL IMMEDIATE")  # so that a refusal has a row

    def columns(self) -> set[str]:
        """Name the columns of the table; none when there is no table."""
        rows = self._ask(
            "SELECT attname::text FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self._table,),
        )
        return {str(name) for (name,) in rows}

    def run(self, sql: str) -> None:
        """Run a statement without values."""
        self._ask(sql, None)

    def put(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        import psycopg

        spelt = sql.replace("%", "%%").replace(MARK, "%s")
        # As text without a type, whatever somebody made of the column.
        texts = [[_untyped(value) for value in row] for row in rows]
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(spelt.encode(), texts)
        except psycopg.Error as exc:
            raise _judged(exc) from None

    def commit(self) -> None:
        """Keep all of it."""
        self.run("COMMIT")

    def rollback(self) -> None:
        """Keep nothing of it; what is broken already stays so."""
        with suppress(Failed):
            self.run("ROLLBACK")

    def close(self) -> None:
        """Let go."""
        self._connection.close()

    def _ask(self, sql: str, values: Sequence[Any] | None) -> list[tuple[Any, ...]]:
        import psycopg

        try:
            cursor = self._connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description is not None else []
        except psycopg.Error as exc:
            raise _judged(exc) from None


def _untyped(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower()


def _judged(exc: "psycopg.Error") -> Failed:
    import psycopg

    state = exc.sqlstate
    if state is None:
        # Without a state it never came from the server.
        is_lost = isinstance(exc, psycopg.OperationalError)
        return Failed(LATER if is_lost else REFUSED, "table.unreachable" if is_lost else "table.value", str(exc))
    outcome, code = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or (HALTED, "table.schema")
    # Not the detail, which shows the whole row.
    return Failed(outcome, code, f"{state} {exc.diag.message_primary or ''}")


# -- SQLite

_SQLITE = {
    "text": "TEXT",
    "bigint": "INTEGER",
    "double": "REAL",
    "boolean": "INTEGER",
    "timestamp": "TEXT",
    "json": "TEXT",
}
_BY_ERROR: tuple[tuple[type[apsw.Error], str, str], ...] = (
    (apsw.ConstraintError, REFUSED, "table.constraint"),
    (apsw.MismatchError, REFUSED, "table.value"),
    (apsw.TooBigError, REFUSED, "table.value"),
    (apsw.BusyError, LATER, "table.locked"),
    (apsw.LockedError, LATER, "table.locked"),
    (apsw.FullError, LATER, "table.full"),
    (apsw.IOError, LATER, "table.unreachable"),
    (apsw.InterruptError, LATER, "table.unreachable"),
    (apsw.CantOpenError, HALTED, "table.unreachable"),
)


class Sqlite:
    """One connection to an SQLite file, whose journal mode stays as it is."""

    types: Mapping[str, str] = _SQLITE
    is_folding = True

    def __init__(self, path: Path, workspace: Path, table: str, limit_s: float) -> None:
        """Open the file, made when there is none. Raises Failed."""
        if is_inside(path, workspace):
            raise Failed(HALTED, "table.inside-workspace", "The file lies inside the workspace.")
        self._table = table
        self._path = path
        try:
            # Made first, so that nobody else may read it. One that is there is not opened: to close it would take the
            # locks of every other connection of this process to it.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            self._inode = path.stat().st_ino
            flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
            self._connection = apsw.Connection(str(path.parent.resolve() / path.name), flags=flags)
            self._connection.set_busy_timeout(round(limit_s * 1000))
            self._connection.pragma("secure_delete", "on")  # what was removed is overwritten with zeros
        except OSError as exc:
            raise Failed(HALTED, "table.unreachable", exc.strerror or "") from None
        except apsw.Error as exc:
            raise _judged_here(exc) from None

    def begin(self) -> None:
        """Begin a transaction, alone on the table."""
        try:
            is_ours = self._path.lstat().st_ino == self._inode
        except OSError:
            is_ours = False
        if not is_ours:
            raise Failed(LATER, "table.unreachable", "The file is another one now.")
        self.run("BEGIN IMMEDIATE")

    def columns(self) -> set[str]:
        """Name the columns of the table; none when there is no table."""
        try:
            return {str(row[1]).lower() for row in self._connection.execute(f"PRAGMA table_info({self._table})")}
        except apsw.Error as exc:
            raise _judged_here(exc) from None

    def run(self, sql: str) -> None:
        """Run a statement without values."""
        try:
            self._connection.execute(sql)
        except apsw.Error as exc:
            raise _judged_here(exc) from None

    def put(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        try:
            self._connection.executemany(sql.replace(MARK, "?"), rows)
        except apsw.Error as exc:
            raise _judged_here(exc) from None

    def commit(self) -> None:
        """Keep all of it."""
        self.run("COMMIT")
        # In a file with a write-ahead log, what was written over or removed lies there until it is moved.
        with suppress(apsw.Error):
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def rollback(self) -> None:
        """Keep nothing of it; what is broken already stays so."""
        with suppress(Failed):
            self.run("ROLLBACK")

    def close(self) -> None:
        """Let go."""
        self._connection.close()


def _judged_here(exc: apsw.Error) -> Failed:
    for kind, outcome, code in _BY_ERROR:
        if isinstance(exc, kind):
            return Failed(outcome, code, str(exc))
    return Failed(HALTED, "table.schema", str(exc))
