"""State: what we believe, derived from the log, in plain SQL that two engines read alike.

In:    SQL with `?` placeholders in the subset that SQLite and PostgreSQL share.
Out:   rows as tuples; transactions that hold effects and the fold's position together.
Never: a concept. Each room brings its own tables and its own SQL.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import apsw

from tillit.store.migrations import Migration, pending
from tillit.store.sqlite import BUSY_TIMEOUT_S, StoreReadOnly, connect, execute_many, translated, truncate_wal

Row = tuple[Any, ...]
Params = Sequence[Any]

# Sizes of the IN lists we send: few sizes, so that prepared statements are found again; short lists are padded.
_IN_SIZES = (1, 4, 16, 64, 256)


class Reading(Protocol):
    """Something that answers questions."""

    def read(self, sql: str, params: Params = ()) -> list[Row]:
        """Give all rows of one question."""
        ...

    def read_in(self, sql: str, keys: Sequence[Any], params: Params = ()) -> list[Row]:
        """Ask for many keys at once: `x IN {in}` in the SQL, after any other parameters.

        Ask per key: a long list may be asked in parts, so ORDER BY holds for one key's rows and LIMIT means nothing.
        """
        ...


class Writing(Reading, Protocol):
    """An open transaction."""

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        """Run one statement for many rows."""
        ...


class State(Reading, Protocol):
    """The engine that keeps derived tables. Two implementations: SQLite and PostgreSQL."""

    dialect: str

    def transaction(self) -> AbstractContextManager[Writing]:
        """Open a transaction: all of it is kept, or none. After a failed statement it is over."""
        ...

    def snapshot(self) -> AbstractContextManager[Reading]:
        """See one unchanging moment over several questions."""
        ...

    def data_version(self) -> int:
        """Give a number that changes when something was committed: a cheap 'is there news?'."""
        ...

    def migrate(self, migrations: tuple[Migration, ...]) -> None:
        """Bring one room's tables to the newest number."""
        ...

    def scrub(self) -> None:
        """Make deleted content unreadable in the engine's own files."""
        ...

    def hurried(self) -> AbstractContextManager[None]:
        """Write without waiting for the disk: for what can be made again when the power goes."""
        ...

    def size_bytes(self) -> int:
        """Say how much disk it takes."""
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...


def in_chunks(sql: str, keys: Sequence[Any], params: Params) -> Iterator[tuple[str, list[Any]]]:
    """Cut a long key list into questions of few sizes, each with its parameters.

    >>> [(q, p) for q, p in in_chunks("x IN {in}", [1, 2], ())]
    [('x IN (?,?,?,?)', [1, 2, 2, 2])]
    """
    largest = _IN_SIZES[-1]
    keys = distinct(keys)
    for start in range(0, len(keys), largest):
        chunk = keys[start : start + largest]
        size = next(size for size in _IN_SIZES if size >= len(chunk))
        yield _sized(sql, size), [*params, *chunk, *[chunk[-1]] * (size - len(chunk))]


@lru_cache(maxsize=400)
def _sized(sql: str, size: int) -> str:
    return sql.replace("{in}", "(" + ",".join("?" * size) + ")")


def distinct(keys: Sequence[Any]) -> list[Any]:
    """Give each key once, in order: a key in two parts of a list would be answered twice."""
    return list(dict.fromkeys(keys))


def apply_pending(tx: Writing, migrations: tuple[Migration, ...], types: dict[str, str]) -> None:
    """Run what is new of one room's migrations, and keep their checksums."""
    tx.execute(
        "CREATE TABLE IF NOT EXISTS migration (room TEXT NOT NULL, number INTEGER NOT NULL, "
        "checksum TEXT NOT NULL, PRIMARY KEY (room, number))"
    )
    rows = tx.read("SELECT number, checksum FROM migration WHERE room = ?", (migrations[0].room,))
    for migration in pending(migrations, {int(n): str(c) for n, c in rows}):
        for statement in migration.statements(types):
            tx.execute(statement)
        tx.execute("INSERT INTO migration VALUES (?, ?, ?)", (migration.room, migration.number, migration.checksum))


class _SqliteReading:
    """Questions on one apsw connection."""

    def __init__(self, connection: apsw.Connection, path: Path | str) -> None:
        self._connection = connection
        self._path = path

    def read(self, sql: str, params: Params = ()) -> list[Row]:
        """Give all rows of one question."""
        with translated(self._path):
            return self._connection.execute(sql, tuple(params)).fetchall()

    def read_in(self, sql: str, keys: Sequence[Any], params: Params = ()) -> list[Row]:
        """Ask for many keys at once."""
        found: list[Row] = []
        with translated(self._path):
            for question, values in in_chunks(sql, keys, params):
                found.extend(self._connection.execute(question, values))
        return found


class _SqliteWriting(_SqliteReading):
    """An open transaction on one apsw connection."""

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement."""
        with translated(self._path):
            self._connection.execute(sql, tuple(params))

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        """Run one statement for many rows; an INSERT takes some at a time."""
        with translated(self._path):
            execute_many(self._connection, sql, list(rows))


class SqliteState:
    """State in one SQLite file: one writer, any number of reading processes."""

    dialect = "sqlite"
    types: ClassVar[dict[str, str]] = {
        "int64": "INTEGER",
        "text": "TEXT",
        "bytes": "BLOB",
        "clustered": "WITHOUT ROWID",
    }

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "NORMAL",
        vfs: str | None = None,
        read_only: bool = False,
        cache_kb: int = 131_072,
        timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Open or create the file. NORMAL is enough: the log is the truth and the position rides in each commit."""
        self.path = path
        self._read_only = read_only
        # The writer first: it creates the file.
        self._writer = (
            None
            if read_only
            else connect(path, synchronous=synchronous, vfs=vfs, cache_kb=cache_kb, timeout_s=timeout_s)
        )
        self._reader = connect(
            path,
            synchronous=synchronous,
            vfs=vfs,
            read_only=read_only,
            cache_kb=min(cache_kb, 16_384),
            timeout_s=timeout_s,
        )
        self._reading = _SqliteReading(self._reader, path)
        self._read_lock = threading.RLock()
        self._write_lock = threading.RLock()

    def read(self, sql: str, params: Params = ()) -> list[Row]:
        """Give all rows of one question."""
        with self._read_lock:
            return self._reading.read(sql, params)

    def read_in(self, sql: str, keys: Sequence[Any], params: Params = ()) -> list[Row]:
        """Ask for many keys at once."""
        with self._read_lock:
            return self._reading.read_in(sql, keys, params)

    @contextmanager
    def snapshot(self) -> Iterator[Reading]:
        """See one unchanging moment over several questions."""
        with self._read_lock, translated(self.path):
            self._reader.execute("BEGIN")
            try:
                yield self._reading
            finally:
                self._reader.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        """Open a transaction: all of it is kept, or none."""
        if self._writer is None:
            raise StoreReadOnly(f"{self.path.name} was opened for reading only.", file=self.path.name)
        with self._write_lock, translated(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteWriting(self._writer, self.path)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def migrate(self, migrations: tuple[Migration, ...]) -> None:
        """Bring one room's tables to the newest number."""
        if not migrations:
            return
        # With nothing to do no lock is asked for: a workspace can be opened while a file of it is locked.
        if self.read("SELECT 1 FROM sqlite_schema WHERE name = 'migration'"):
            rows = self.read("SELECT number, checksum FROM migration WHERE room = ?", (migrations[0].room,))
            if not pending(migrations, {int(n): str(c) for n, c in rows}):
                return
        with self.transaction() as tx:
            apply_pending(tx, migrations, self.types)

    def data_version(self) -> int:
        """Give a number that changes when another connection has committed: a cheap 'is there news?'."""
        with self._read_lock, translated(self.path):
            return int(self._reader.pragma("data_version"))

    def scrub(self) -> None:
        """Empty the write-ahead file; free pages were zeroed as they were freed (secure_delete)."""
        if self._writer is not None:
            with self._write_lock:
                truncate_wal(self._writer, self.path)

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Write without waiting for the disk; at the end everything is on it.

        A power cut in between may damage the file: it is then made again from the log.
        """
        assert self._writer is not None, "this state was opened for reading only"
        writer = self._writer
        before = writer.pragma("synchronous")
        writer.pragma("synchronous", "off")
        try:
            yield
        finally:
            writer.pragma("synchronous", "full")
            self.scrub()
            writer.pragma("synchronous", before)

    def size_bytes(self) -> int:
        """Say how much disk the file and its write-ahead file take."""
        return sum(p.stat().st_size for p in (self.path, Path(f"{self.path}-wal")) if p.exists())

    def close(self) -> None:
        """Let go of the file."""
        with self._write_lock, self._read_lock:
            if self._writer is not None:
                self._writer.close()
            self._reader.close()
