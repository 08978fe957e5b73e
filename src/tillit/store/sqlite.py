"""SQLite through apsw: connections, pragmas, and one map from its errors to ours.

In:    a path.
Out:   connections set up alike, and errors that say who must act.
Never: SQL of any concept.
"""

import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from tillit import clock
from tillit.errors import BusyError, InternalError

BUSY_TIMEOUT_S = 5.0  # taste: longer than any honest transaction of ours, shorter than an SDK's patience (10 s)


class StoreLocked(BusyError):
    """Another process holds the file."""

    code = "store.locked"


class StoreFull(BusyError):
    """The disk is full."""

    code = "store.full"


class StoreReadOnly(BusyError):
    """The disk or the file may not be written."""

    code = "store.read-only"


class StoreUnreachable(BusyError):
    """The file cannot be opened, read or written."""

    code = "store.unreachable"


class StoreBroken(InternalError):
    """The file is damaged or is not ours."""

    code = "store.broken"


_ADVICE: tuple[tuple[type[apsw.Error], type[BusyError] | type[InternalError], str], ...] = (
    (apsw.BusyError, StoreLocked, "is locked by another process. Try again; if it stays so, look for a stuck process."),
    (apsw.LockedError, StoreLocked, "is locked within this process. Try again."),
    (apsw.FullError, StoreFull, "could not grow: the disk is full. Free space; nothing acknowledged is lost."),
    (apsw.ReadOnlyError, StoreReadOnly, "is read-only. Check the folder's owner and mode, and the mount."),
    (apsw.IOError, StoreUnreachable, "could not be read or written by the operating system. Check the disk."),
    (apsw.CantOpenError, StoreUnreachable, "could not be opened. Check that the folder exists and its mode."),
    (apsw.PermissionsError, StoreReadOnly, "may not be opened with these permissions. Check owner and mode."),
    (
        apsw.CorruptError,
        StoreBroken,
        "is damaged. `tillit rebuild` makes state.db anew from the log; any other file comes from a back-up.",
    ),
    (
        apsw.NotADBError,
        StoreBroken,
        "is no database of ours or is damaged. `tillit rebuild` makes state.db anew; others come from a back-up.",
    ),
)


class translated:  # noqa: N801 -- read as a verb: `with translated(path):`
    """Turn apsw's errors into ours; anything unlisted passes as it is.

    A class, because a generator costs three times as much, and every question to a store stands in one.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path | str) -> None:
        """Name the file whose trouble it would be."""
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise ours in the place of apsw's."""
        if isinstance(error, apsw.Error):
            name = Path(self._path).name
            for theirs, ours, advice in _ADVICE:
                if isinstance(error, theirs):
                    raise ours(f"{name} {advice}", file=name) from error


def connect(
    path: Path | str,
    *,
    synchronous: str = "NORMAL",
    vfs: str | None = None,
    read_only: bool = False,
    cache_kb: int = 16_384,
    timeout_s: float = BUSY_TIMEOUT_S,
) -> apsw.Connection:
    """Open a database file in WAL mode with the settings every store of ours shares."""
    with translated(path):
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=200)
        connection.set_busy_handler(_patience(timeout_s))
        if not read_only:
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", synchronous)
            # Deleted content is overwritten with zeros: what was forgotten must not linger in free pages.
            connection.pragma("secure_delete", "on")
            connection.wal_autocheckpoint(4_000)  # pages, 16 MB: fewer, larger checkpoints (measured)
        connection.pragma("cache_size", -cache_kb)
        connection.pragma("temp_store", "memory")
        return connection


def _patience(timeout_s: float) -> Callable[[int], bool]:
    # SQLite's own handler sleeps up to 100 ms at a time, which shows in p99; half a millisecond does not.
    deadline = [0.0]

    def wait(n_tries: int) -> bool:
        moment = clock.monotonic_s()
        if n_tries == 0:
            deadline[0] = moment + timeout_s
        if moment >= deadline[0]:
            return False
        time.sleep(0.0005)
        return True

    return wait


# Rows per INSERT, largest first. One statement is one hand-over of the interpreter, for which a busy web process may
# make the committing thread wait: so a rest of 36 rows is three statements, not 36. More than 64 gained nothing.
_ROWS_PER_INSERT = (64, 16, 4, 1)
_ONE_ROW = re.compile(r"(INSERT INTO .* VALUES )(\((?:\?, ?)*\?\))(.*)", re.DOTALL)


def execute_many(connection: apsw.Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run one statement for many rows; a plain INSERT takes many at a time."""
    statements = _inserts(sql)
    if not statements:
        connection.executemany(sql, rows)
        return
    start, last = 0, len(rows)
    for size, insert in statements:
        while last - start >= size:
            connection.execute(insert, tuple(chain.from_iterable(rows[start : start + size])))
            start += size


@lru_cache(maxsize=100)
def _inserts(sql: str) -> tuple[tuple[int, str], ...]:
    """Give an INSERT of one row as INSERTs of several sizes; nothing for any other statement.

    >>> [(size, insert.count("(?)")) for size, insert in _inserts("INSERT INTO t (a) VALUES (?)")]
    [(64, 64), (16, 16), (4, 4), (1, 1)]
    >>> _inserts("DELETE FROM t WHERE a = ?")
    ()
    """
    found = _ONE_ROW.fullmatch(sql)
    if found is None:
        return ()
    return tuple((size, found[1] + ",".join([found[2]] * size) + found[3]) for size in _ROWS_PER_INSERT)


def truncate_wal(connection: apsw.Connection, path: Path | str, *, tries: int = 200) -> None:
    """Move everything from the write-ahead file into the database and empty it, so that no old page lingers there."""
    with translated(path):
        for _ in range(tries):
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                time.sleep(0.01)
            else:
                return
    name = Path(path).name
    raise StoreLocked(
        f"{name} has readers that do not end, so its write-ahead file keeps old pages. Try again.", file=name
    )
