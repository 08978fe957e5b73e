"""State in PostgreSQL through psycopg: the same plain SQL as in SQLite, for more than one machine.

In:    an address, a schema, and SQL with `?` placeholders in the common subset.
Out:   rows as tuples of int, str, bytes and None; transactions; errors that say who must act.
Never: SQL of any concept; a password or a value in an error.

The common subset, where the engines would part silently: sort with ORDER BY before LIMIT; text compares by its bytes
(COLLATE "C"); whole numbers are 64 bits; no truth values in results; no NUL in text, which PostgreSQL cannot hold;
after a failed statement a transaction is over.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tillit.clock import monotonic_s
from tillit.errors import BusyError, InternalError, MissingExtra, SettingsError
from tillit.store.migrations import Migration
from tillit.store.sqlite import (
    BUSY_TIMEOUT_S,
    StoreBroken,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreachable,
)
from tillit.store.state import Params, Reading, Row, Writing, apply_pending, distinct

if TYPE_CHECKING:
    import psycopg

Found = TypeVar("Found")

# From this many rows on one COPY or one array per column is faster than a pipeline of single rows (measured on a local
# socket: 3 rows 69 against 101 microseconds a row, 2,000 rows 5 against 29).
_BULK_ROWS = 3


class TransactionMisused(InternalError):
    """A transaction was opened within another, or went on after a failed statement."""

    code = "store.transaction-misused"


class WrongEncoding(SettingsError):
    """The database cannot hold every letter."""

    code = "store.wrong-encoding"


# -- one map from psycopg's errors to ours, by SQLSTATE: the exact one first, then its class (the first two characters)

Advice = tuple[type[BusyError] | type[InternalError], str]

_LOST: Advice = (
    StoreUnreachable,
    "could not be reached or broke off. Check that PostgreSQL runs, the address, user and password.",
)
_LOCKED: Advice = (StoreLocked, "is locked by another session. Try again; if it stays so, look in pg_stat_activity.")
_BROKEN: Advice = (StoreBroken, "is damaged. Rebuild it with `tillit rebuild`: state is derived from the log.")
_READ_ONLY: Advice = (StoreReadOnly, "takes no writes. Is the address that of a standby, or the session read-only?")

_BY_STATE: dict[str, Advice] = {
    "25006": _READ_ONLY,  # read_only_sql_transaction
    "53100": (StoreFull, "could not grow: the server's disk is full. Free space; nothing acknowledged is lost."),
    "55006": _LOCKED,  # object_in_use
    "55P03": _LOCKED,  # lock_not_available
    "XX001": _BROKEN,  # data_corrupted
    "XX002": _BROKEN,  # index_corrupted
}
_BY_CLASS: dict[str, Advice] = {
    "08": _LOST,  # connection
    "28": _LOST,  # authorization
    "40": _LOCKED,  # rolled back for the sake of another: deadlock, serialization
    "53": _LOST,  # resources: memory, too many connections
    "57": _LOST,  # operator: shutdown, cancelled, starting up
    "58": _LOST,  # the server's operating system
    "F0": _LOST,  # the server's own files
}
# Families that the same statement would meet again, so that trying again is no answer (a row too wide for an index), or
# that need what we never use (stored routines, triggers, savepoints, foreign tables). They pass as they are.
PASSING_CLASSES = frozenset({"27", "2F", "38", "39", "3B", "54", "55", "HV"})
PASSING_NAMES = frozenset({"PipelineAborted"})  # follows another error of the same pipeline, which is the one raised


def advice_for(error: "psycopg.Error") -> Advice | None:
    """Say what an error of psycopg means to us; None when it passes as it is."""
    import psycopg

    state = error.sqlstate
    if state is not None:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    # Without a state it never came from the server: no connection, or no longer one.
    is_ours = isinstance(error, psycopg.OperationalError) and type(error).__name__ not in PASSING_NAMES
    return _LOST if is_ours else None


@contextmanager
def translated(schema: str) -> Iterator[None]:
    """Turn psycopg's errors into ours; anything unlisted passes as it is."""
    import psycopg

    try:
        yield
    except psycopg.Error as exc:
        advice = advice_for(exc)
        if advice is None:
            raise
        # The server's own words stay in the cause: they may hold the address or values.
        raise advice[0](
            f"State in PostgreSQL (schema {schema}) {advice[1]}", schema=schema, sqlstate=exc.sqlstate
        ) from exc


# -- one SQL, two spellings

_TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?")


@lru_cache(maxsize=4_096)
def in_psycopg(sql: str) -> bytes:
    """Spell a question for psycopg: `?` becomes `%s`, except in quotes; `%` is doubled.

    >>> in_psycopg("SELECT '?' WHERE a = ? AND b LIKE 'x%'")
    b"SELECT '?' WHERE a = %s AND b LIKE 'x%%'"
    """
    # Bytes, because psycopg wants a str to be a literal of the source; ours are built from constants.
    return _TOKENS.sub(lambda found: "%s" if found[0] == "?" else found[0], sql.replace("%", "%%")).encode()


@lru_cache(maxsize=1_024)
def _with_array(sql: str) -> bytes:
    # One parameter for the whole list, so that the same prepared statement serves every length.
    return in_psycopg(re.sub(r"\bIN\s*\{in\}", "= ANY(?)", sql, flags=re.IGNORECASE))


_INSERT = re.compile(
    r"INSERT INTO (?P<table>\w+) \((?P<columns>[\w, ]+)\) VALUES \(\?(?:, ?\?)*\)"
    r"(?P<rest> ON CONFLICT \((?P<keys>[\w, ]+)\) DO (?:UPDATE SET [^?]*|NOTHING))?",
    re.IGNORECASE,
)


class _Bulk:
    """How one INSERT is done for many rows at once."""

    def __init__(self, found: "re.Match[str]", types: dict[str, str]) -> None:
        columns = [name.strip() for name in found["columns"].split(",")]
        keys = [name.strip() for name in found["keys"].split(",")] if found["keys"] else []
        listed = ", ".join(columns)
        self.types = [types[name] for name in columns]
        self.copy = f"COPY {found['table']} ({listed}) FROM STDIN (FORMAT BINARY)".encode()
        arrays = ", ".join(f"%b::{kind}[]" for kind in self.types)
        self.upsert = (
            f"INSERT INTO {found['table']} ({listed}) SELECT * FROM unnest({arrays}){found['rest'] or ''}".encode()
        )
        self.is_upsert = bool(found["rest"])
        self._keys = [columns.index(name) for name in keys]

    def may_take(self, rows: Sequence[Params]) -> bool:
        """Say whether one statement may take all the rows: an upsert may not touch a row twice."""
        return not self.is_upsert or len({tuple(row[i] for i in self._keys) for row in rows}) == len(rows)


# -- connections


class _Link:
    """One connection to the server, made when first needed and again when it was lost."""

    def __init__(self, address: str, schema: str, *, synchronous: str, read_only: bool, timeout_s: float) -> None:
        self._address = address
        self._schema = schema
        self._session = {
            "search_path": _quoted(schema),
            "lock_timeout": f"{round(timeout_s * 1000)}ms",
            "synchronous_commit": "on" if synchronous == "FULL" else "off",
            "default_transaction_read_only": "on" if read_only else "off",
            "jit": "off",  # our questions are over in less time than compiling them takes
        }
        self._connection: psycopg.Connection[Row] | None = None

    def open(self) -> "psycopg.Connection[Row]":
        """Give the connection, made anew when there is none or it was lost."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        """Let go."""
        if self._connection is not None:
            self._connection.close()

    def outside(self, act: "Callable[[psycopg.Connection[Row]], Found]") -> Found:
        """Do something outside a transaction; once more when the connection turns out to be lost."""
        import psycopg

        with translated(self._schema):
            connection = self.open()
            try:
                return act(connection)
            except (psycopg.Error, StoreUnreachable):
                if not connection.closed:
                    raise
            return act(self.open())

    def _connect(self) -> "psycopg.Connection[Row]":
        import psycopg

        connection: psycopg.Connection[Row] = psycopg.connect(
            self._address,
            autocommit=True,
            prepare_threshold=2,
            client_encoding="utf8",
            application_name="tillit",
            connect_timeout=5,
            tcp_user_timeout=10_000,  # ms, taste: a cable pulled must not hold a request for the system's 15 minutes
        )
        if connection.info.parameter_status("server_encoding") != "UTF8":
            connection.close()
            raise WrongEncoding(
                "The PostgreSQL database of state is not encoded in UTF8, so it cannot hold every name. "
                "Create one with ENCODING 'UTF8' and set [state] to its address."
            )
        connection.prepared_max = 400
        _teach(connection)
        pairs = ", ".join("set_config(%s, %s, false)" for _ in self._session)
        connection.execute(f"SELECT {pairs}", [text for pair in self._session.items() for text in pair])
        return connection


def _teach(connection: "psycopg.Connection[Row]") -> None:
    """Make types what the common subset says: every int 64 bits, bytes as bytes, sums as int."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format
    from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper, NumericBinaryLoader, NumericLoader

    class IntegralBinary(NumericBinaryLoader):
        def load(self, data: Any) -> Any:
            return _plain_number(super().load(data))

    class Integral(NumericLoader):
        def load(self, data: Any) -> Any:
            return _plain_number(super().load(data))

    class Bytes(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> bytes:
            return bytes(data)

    adapters = connection.adapters
    # psycopg takes the smallest type that holds a value; one type for all lets a prepared statement be found again.
    adapters.register_dumper(int, Int8Dumper)
    adapters.register_dumper(int, Int8BinaryDumper)
    adapters.register_loader("numeric", Integral)
    adapters.register_loader("numeric", IntegralBinary)
    import psycopg

    if psycopg.pq.__impl__ == "python":  # the compiled one gives bytes already, and faster
        adapters.register_loader("bytea", Bytes)


def _plain_number(value: Any) -> int | float:
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


# -- reading and writing


class _PostgresReading:
    """Questions on one connection. Inside a transaction nothing is tried twice."""

    def __init__(self, connection: "psycopg.Connection[Row]", schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def read(self, sql: str, params: Params = ()) -> list[Row]:
        """Give all rows of one question."""
        with translated(self._schema):
            return self._connection.execute(in_psycopg(sql), params, binary=True).fetchall()

    def read_in(self, sql: str, keys: Sequence[Any], params: Params = ()) -> list[Row]:
        """Ask for many keys at once."""
        if not keys:
            return []
        with translated(self._schema):
            return self._connection.execute(_with_array(sql), [*params, distinct(keys)], binary=True).fetchall()


class _PostgresWriting(_PostgresReading):
    """An open transaction on one connection."""

    def __init__(self, connection: "psycopg.Connection[Row]", schema: str, bulks: dict[str, _Bulk | None]) -> None:
        super().__init__(connection, schema)
        self._bulks = bulks

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement."""
        with translated(self._schema):
            self._connection.execute(in_psycopg(sql), params)

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        """Run one statement for many rows."""
        many = rows if isinstance(rows, list) else list(rows)
        if not many:
            return
        with translated(self._schema), self._connection.cursor() as cursor:
            bulk = self._bulk(sql) if len(many) >= _BULK_ROWS else None
            if bulk is None or not bulk.may_take(many):
                cursor.executemany(in_psycopg(sql), many)  # psycopg sends them all before it waits for an answer
            elif bulk.is_upsert:
                cursor.execute(bulk.upsert, [list(column) for column in zip(*many, strict=True)])
            else:
                with cursor.copy(bulk.copy) as out:
                    out.set_types(bulk.types)
                    for row in many:
                        out.write_row(row)

    def _bulk(self, sql: str) -> _Bulk | None:
        if sql not in self._bulks:
            found = _INSERT.fullmatch(sql.strip())
            self._bulks[sql] = _Bulk(found, self._types_of(found["table"])) if found is not None else None
        return self._bulks[sql]

    def _types_of(self, table: str) -> dict[str, str]:
        return dict(
            self._connection.execute(
                "SELECT attname::text, atttypid::regtype::text FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0",
                (table,),
            ).fetchall()
        )


class PostgresState:
    """State in one schema of a PostgreSQL database: one writing session at a time, any number of readers."""

    dialect = "postgres"
    types: ClassVar[dict[str, str]] = {"int64": "BIGINT", "text": 'TEXT COLLATE "C"', "bytes": "BYTEA", "clustered": ""}

    def __init__(
        self,
        address: str,
        *,
        schema: str = "tillit",
        synchronous: str = "NORMAL",
        read_only: bool = False,
        timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Reach the server. NORMAL answers a commit before the server's disk has it: the log is the truth.

        Raises: MissingExtra without psycopg; StoreUnreachable; WrongEncoding.
        """
        try:
            import psycopg  # noqa: F401  # asked here once, so that the answer is ours and not an ImportError later
        except ImportError as exc:
            raise MissingExtra("postgres", "State in PostgreSQL") from exc
        self.schema = schema
        self._timeout_s = timeout_s
        # Writers queue on this lock as SQLite's queue on the file, so no two of them can deadlock or see half a change.
        self._lock_id = int.from_bytes(blake2b(f"tillit {schema}".encode(), digest_size=8).digest(), "big", signed=True)
        self._bulks: dict[str, _Bulk | None] = {}
        self._writer = (
            None if read_only else _Link(address, schema, synchronous=synchronous, read_only=False, timeout_s=timeout_s)
        )
        self._reader = _Link(address, schema, synchronous=synchronous, read_only=True, timeout_s=timeout_s)
        self._snapshot: _PostgresReading | None = None
        self._read_lock = threading.RLock()
        self._write_lock = threading.RLock()
        self._reader.outside(lambda connection: connection.execute("SELECT 1"))

    def read(self, sql: str, params: Params = ()) -> list[Row]:
        """Give all rows of one question."""
        return self._reading(lambda reading: reading.read(sql, params))

    def read_in(self, sql: str, keys: Sequence[Any], params: Params = ()) -> list[Row]:
        """Ask for many keys at once."""
        return self._reading(lambda reading: reading.read_in(sql, keys, params))

    def _reading(self, ask: Callable[[_PostgresReading], list[Row]]) -> list[Row]:
        with self._read_lock:
            if self._snapshot is not None:
                return ask(self._snapshot)
            return self._reader.outside(lambda connection: ask(_PostgresReading(connection, self.schema)))

    @contextmanager
    def snapshot(self) -> Iterator[Reading]:
        """See one unchanging moment over several questions."""
        with self._read_lock, translated(self.schema):
            self._reader.outside(lambda connection: connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ"))
            connection = self._reader.open()
            self._snapshot = _PostgresReading(connection, self.schema)
            try:
                yield self._snapshot
            finally:
                self._snapshot = None
                if not connection.closed:
                    connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        """Open a transaction: all of it is kept, or none.

        Raises: StoreUnreachable when the connection breaks within. If it broke at the very end the server may have
                kept the transaction all the same: whoever tries again asks first.
        """
        with self._write_lock, translated(self.schema):
            connection = self._begin()
            try:
                yield _PostgresWriting(connection, self.schema, self._bulks)
                if connection.execute("COMMIT").statusmessage != "COMMIT":
                    # PostgreSQL answers a commit after a failed statement with a quiet rollback.
                    raise TransactionMisused(
                        "A statement failed and the transaction went on. Nothing of it was kept: "
                        "let the error through, or ask before instead of catching after."
                    )
            except BaseException:
                if not connection.closed:
                    connection.execute("ROLLBACK")
                raise

    def _begin(self) -> "psycopg.Connection[Row]":
        if self._writer is None:
            raise StoreReadOnly(f"State in schema {self.schema} was opened for reading only.", schema=self.schema)
        writer = self._writer

        def begin(connection: "psycopg.Connection[Row]") -> None:
            # READ COMMITTED, so that the first question after the lock sees what its former holder wrote.
            if connection.info.transaction_status.name != "IDLE":
                raise TransactionMisused("A transaction is open already on this state. Pass it on instead.")
            connection.execute("BEGIN")
            try:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_id,))
            except BaseException:
                if not connection.closed:
                    connection.execute("ROLLBACK")
                raise

        writer.outside(begin)
        return writer.open()

    def migrate(self, migrations: tuple[Migration, ...]) -> None:
        """Bring one room's tables to the newest number. Two that start at once go one after the other."""
        if not migrations:
            return
        with self.transaction() as tx:
            # Asked first: IF NOT EXISTS wants the right to create even when there is nothing to do.
            if not tx.read("SELECT 1 FROM pg_namespace WHERE nspname = ?", (self.schema,)):
                tx.execute(f"CREATE SCHEMA {_quoted(self.schema)}")
            apply_pending(tx, migrations, self.types)
        self._bulks.clear()

    def data_version(self) -> int:
        """Give a number that changes when anything was committed: a cheap 'is there news?'.

        Other work on the same server changes it too: a false alarm costs one look, a missed one would be a lie.
        """
        told = self.read("SELECT CAST(pg_current_snapshot() AS TEXT)")
        return int.from_bytes(blake2b(told[0][0].encode(), digest_size=7).digest())

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Work as always: how hard the server syncs is its operator's choice."""
        yield

    def scrub(self) -> None:
        """Write every table anew without its deleted rows, and drop the old files.

        What PostgreSQL can promise: after this, no file of our tables and indexes holds a deleted value (VACUUM alone
        would leave its bytes in freed space). What it cannot: its write-ahead log holds recent changes until those
        segments are overwritten, and its archives, standbys and back-ups keep what they were given. Each is the
        operator's to expire.

        Raises: StoreLocked when a table is in use, or an older reader may still see deleted rows, for too long.
        """
        if self._writer is None:
            return
        with self._write_lock:
            writer = self._writer
            tables = self.read(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                "(SELECT oid FROM pg_namespace WHERE nspname = ?) ORDER BY relname",
                (self.schema,),
            )
            writer.outside(self._outlast_older_readers)
            for (table,) in tables:
                sql = f"VACUUM (FULL) {_quoted(self.schema)}.{_quoted(str(table))}".encode()
                writer.outside(lambda connection, sql=sql: connection.execute(sql))  # type: ignore[misc]  # mypy: a lambda's default

    def _outlast_older_readers(self, connection: "psycopg.Connection[Row]") -> None:
        # A row is rewritten, deleted or not, while anyone may still see it.
        (mark,) = connection.execute("SELECT CAST(pg_current_xact_id() AS TEXT)").fetchall()[0]
        deadline = monotonic_s() + self._timeout_s
        while connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND age(backend_xmin) > age(CAST(%s AS xid)) LIMIT 1",
            (str(int(mark) % (1 << 32)),),
        ).fetchall():
            if monotonic_s() > deadline:
                raise StoreLocked(
                    f"State in PostgreSQL (schema {self.schema}) has readers that do not end, so deleted rows stay "
                    "for them. Try again; if it stays so, look in pg_stat_activity.",
                    schema=self.schema,
                )
            time.sleep(0.01)

    def size_bytes(self) -> int:
        """Say how much of the server's disk the tables and their indexes take."""
        told = self.read(
            "SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ?)",
            (self.schema,),
        )
        return int(told[0][0])

    def close(self) -> None:
        """Let go of the server."""
        with self._write_lock, self._read_lock:
            if self._writer is not None:
                self._writer.close()
            self._reader.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
