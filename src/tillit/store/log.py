"""The log: one durable, ordered record of what happened.

In:    rows that the door took, and what it turned away.
Out:   positions, given only once the rows are on disk; rows in order.
Never: an acknowledgement before the sync; a position used twice; an opinion about duplicates (the fold judges).
"""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import apsw

from tillit.records import KIND_DEFINITION, LogRow, NewRow, QuarantineRow
from tillit.store.migrations import migrations_of
from tillit.store.sqlite import StoreUnreachable, connect, execute_many, translated, truncate_wal
from tillit.store.state import SqliteState

if TYPE_CHECKING:  # brings TLS and more: loaded by those who serve
    import asyncio

    _Waiting = tuple[
        Sequence[NewRow], Sequence[QuarantineRow], asyncio.Future[tuple[int, int]], asyncio.AbstractEventLoop
    ]

_COLUMNS = "position, logged_at, kind, source, trust, received_at, event_at, message_hash, body"
_INSERT = f"INSERT INTO log ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"
_INSERT_QUARANTINE = (
    "INSERT INTO quarantine (received_at, source, trust, code, reason, message_id, raw) VALUES (?,?,?,?,?,?,?)"
)


class Log:
    """The log file of one workspace. Many processes may append at once; each holds its own Log."""

    def __init__(self, path: Path, writer: apsw.Connection | None, reader: apsw.Connection) -> None:
        """Use `Log.open`."""
        self.path = path
        self._writer = writer
        self._reader = reader
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._file = _identity(path)
        self._epoch: int | None = None

    @classmethod
    def open(cls, path: Path, *, synchronous: str = "FULL", vfs: str | None = None, read_only: bool = False) -> Self:
        """Open the log, creating it when it is new."""
        if not read_only:
            tables = SqliteState(path, synchronous=synchronous, vfs=vfs)
            tables.migrate(migrations_of("tillit.store", room="log", folder="migrations/log"))
            tables.close()
        writer = None if read_only else connect(path, synchronous=synchronous, vfs=vfs, cache_kb=4_096)
        reader = connect(path, vfs=vfs, read_only=read_only, cache_kb=4_096)
        return cls(path, writer, reader)

    def append(
        self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = (), *, now: int | None
    ) -> tuple[int, int]:
        """Put rows at the end and return once they are on disk.

        Shape:  rows -> (first position, last position); with no rows, (head + 1, head).
        Units:  now is UTC epoch microseconds; logged_at of the i-th row is max(now, last + 1) + i.
                None is for a past that is made up: each row is logged when it was received, or right after the last.
        Raises: StoreLocked, StoreFull, StoreReadOnly, StoreUnreachable: nothing was kept, try again.
        """
        with self._writing() as writer:
            head, logged_at = _ints(writer.execute("SELECT position, logged_at FROM log_head"))
            last = len(rows)
            stamps: Sequence[int]
            if now is None:
                stamps = list(accumulate((row.received_at for row in rows), _later, initial=logged_at))[1:]
            else:
                stamp = max(now, logged_at + 1)
                stamps = range(stamp, stamp + last)
            execute_many(
                writer,
                _INSERT,
                [(head + 1 + i, at, *row) for i, (at, row) in enumerate(zip(stamps, rows, strict=True))],
            )
            if quarantine:
                writer.executemany(_INSERT_QUARANTINE, quarantine)
            if last:
                writer.execute("UPDATE log_head SET position = ?, logged_at = ?", (head + last, stamps[-1]))
        # SQLite goes on writing into a file that was deleted under it: nobody would ever find these rows.
        if _identity(self.path) != self._file:
            raise StoreUnreachable(
                f"{self.path.name} is no longer in its folder: it was moved, deleted or replaced while open. "
                "Put it back, or start the server again.",
                file=self.path.name,
            )
        return head + 1, head + last

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """Hold the log's one writing transaction: all of it is on disk at the end, or nothing of it was kept."""
        writer = self._writer
        assert writer is not None, "this log was opened for reading only"
        with self._write_lock, translated(self.path):
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise

    def read(self, after: int, limit: int) -> list[LogRow]:
        """Give up to `limit` rows after a position, in order."""
        sql = f"SELECT {_COLUMNS} FROM log WHERE position > ? ORDER BY position LIMIT ?"
        with self._read_lock, translated(self.path):
            # As LogRow._make does, without a call of Python's for each row.
            return list(map(partial(tuple.__new__, LogRow), self._reader.execute(sql, (after, limit))))

    def get(self, positions: Sequence[int]) -> dict[int, LogRow]:
        """Give the rows at these positions that the log still holds."""
        sql = f"SELECT {_COLUMNS} FROM log WHERE position = ?"
        found = {}
        with self._read_lock, translated(self.path):
            for position in positions:
                for row in self._reader.execute(sql, (position,)):
                    found[position] = LogRow._make(row)
        return found

    def definitions(self) -> list[LogRow]:
        """Give every definition that was ever applied, in order, also from before the first position."""
        sql = f"SELECT {_COLUMNS} FROM log WHERE kind = {KIND_DEFINITION} ORDER BY position"
        with self._read_lock, translated(self.path):
            return [LogRow._make(row) for row in self._reader.execute(sql)]

    def arrivals(self, after: int, limit: int) -> list[tuple[int, int, str, int]]:
        """Give (position, kind, source, received_at) of rows after a position: what arrived, not what it said."""
        sql = "SELECT position, kind, source, received_at FROM log WHERE position > ? ORDER BY position LIMIT ?"
        with self._read_lock, translated(self.path):
            return list(self._reader.execute(sql, (after, limit)))

    def message_hashes(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Give (position, message hash) of rows after a position."""
        sql = "SELECT position, message_hash FROM log WHERE position > ? ORDER BY position LIMIT ?"
        with self._read_lock, translated(self.path):
            return list(self._reader.execute(sql, (after, limit)))

    def position_before(self, logged_at: int) -> int:
        """Say the newest position that was logged before an instant (0 when there is none); a few point reads."""
        low, high = self.first_position() - 1, self.head()
        sql = "SELECT position, logged_at FROM log WHERE position >= ? ORDER BY position LIMIT 1"
        with self._read_lock, translated(self.path):
            while low < high:
                middle = (low + high + 1) // 2
                found = [_ints([row]) for row in self._reader.execute(sql, (middle,))]
                if found and found[0][1] < logged_at:
                    low = found[0][0]
                else:
                    high = middle - 1
        return low

    def check_writable(self) -> None:
        """Make sure that a row could be appended now: a write and a sync that change nothing. Raises as append."""
        with self._writing() as writer:
            # SQLite leaves a page alone when an update changes nothing in it: a number nobody reads is flipped.
            (mark,) = _ints(writer.execute("PRAGMA user_version"))
            writer.execute(f"PRAGMA user_version = {0 if mark else 1}")

    def head(self) -> int:
        """Say the position of the newest row (0 when there is none)."""
        return self._head_row()[0]

    def head_logged_at(self) -> int:
        """Say when the newest row was logged."""
        return self._head_row()[1]

    def epoch(self) -> int:
        """Say which life of the log this is: a restore from a back-up, with everything stopped, begins a new one."""
        if self._epoch is None:
            self._epoch = self._head_row()[2]
        return self._epoch

    def first_position(self) -> int:
        """Say the oldest position the log still holds; older rows are in the lake."""
        return self._head_row()[3]

    def _head_row(self) -> tuple[int, int, int, int]:
        sql = "SELECT position, logged_at, epoch, first_position FROM log_head"
        with self._read_lock, translated(self.path):
            position, logged_at, epoch, first = _ints(self._reader.execute(sql))
        return position, logged_at, epoch, first

    def data_version(self) -> int:
        """Give a number that changes when someone has appended: a cheap 'is there news?'."""
        with self._read_lock, translated(self.path):
            return int(self._reader.pragma("data_version"))

    def forget(self, husks: Sequence[LogRow]) -> None:
        """Replace the bodies of these rows and leave no byte of the old ones in the file.

        Shape: rows as they shall read from now on. What was trimmed is held here again until the lake has followed.
        """
        with self._writing() as writer:
            (first,) = _ints(writer.execute("SELECT first_position FROM log_head"))
            writer.executemany(
                "UPDATE log SET body = ? WHERE position = ?", [(row.body, row.position) for row in husks]
            )
            trimmed = [row for row in husks if row.position < first]
            writer.executemany(_INSERT.replace("INSERT", "INSERT OR IGNORE"), trimmed)
            writer.executemany("INSERT OR IGNORE INTO husked VALUES (?)", [(row.position,) for row in husks])
        with self._write_lock:
            truncate_wal(writer, self.path)

    def husked(self) -> list[LogRow]:
        """Give the husks of rows whose copies in the lake still say what was forgotten."""
        sql = f"SELECT {_COLUMNS} FROM log WHERE position IN (SELECT position FROM husked) ORDER BY position"
        with self._read_lock, translated(self.path):
            return [LogRow._make(row) for row in self._reader.execute(sql)]

    def lake_forgot(self, positions: Sequence[int]) -> None:
        """Note that the lake holds no more than the husks of these rows."""
        with self._writing() as writer:
            (first,) = _ints(writer.execute("SELECT first_position FROM log_head"))
            writer.executemany("DELETE FROM husked WHERE position = ?", [(p,) for p in positions])
            writer.executemany("DELETE FROM log WHERE position = ?", [(p,) for p in positions if p < first])

    def trim(self, through: int) -> int:
        """Drop rows up to a position (they are in the lake) and say how many went. The newest row always stays.

        Definitions stay: the lake holds events alone. None goes while the lake still holds something that was
        forgotten here.
        """
        through = min(through, self.head() - 1)
        with self._writing() as writer:
            gone = 0
            if not writer.execute("SELECT 1 FROM husked LIMIT 1").fetchall():
                writer.execute(f"DELETE FROM log WHERE position <= ? AND kind <> {KIND_DEFINITION}", (through,))
                gone = writer.changes()
                writer.execute("UPDATE log_head SET first_position = max(first_position, ?)", (through + 1,))
        return gone

    def tables(self) -> SqliteState:
        """Open the file for the room that owns the quarantine table."""
        return SqliteState(self.path, synchronous="FULL")

    def size_bytes(self) -> int:
        """Say how much disk the file and its write-ahead file take."""
        return sum(p.stat().st_size for p in (self.path, Path(f"{self.path}-wal")) if p.exists())

    def close(self) -> None:
        """Let go of the file."""
        with self._write_lock, self._read_lock:
            if self._writer is not None:
                self._writer.close()
            self._reader.close()


class GroupCommit:
    """Many waiting requests of one process share one sync.

    While one commit is on its way to disk, new requests gather; they all go in the next one.
    """

    def __init__(self, log: Log, *, now: Callable[[], int]) -> None:
        """Start the committing thread."""
        self._log = log
        self._now = now
        self._waiting: list[_Waiting] = []
        self._committing = False
        self._jobs: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tillit-commit", daemon=True)
        self._thread.start()

    async def append(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        """Put rows in the log; return their first and last position after the sync. Raises as Log.append."""
        import asyncio

        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[int, int]] = loop.create_future()
        self._waiting.append((rows, quarantine, done, loop))
        if not self._committing:
            self._send()
        return await done

    def _send(self) -> None:
        self._committing = True
        jobs, self._waiting = self._waiting, []
        self._jobs.put(jobs)

    def _run(self) -> None:
        while (jobs := self._jobs.get()) is not None:
            rows = [row for job in jobs for row in job[0]]
            quarantine = [row for job in jobs for row in job[1]]
            outcome: int | Exception
            try:
                outcome = self._log.append(rows, quarantine, now=self._now())[0]
            except Exception as exc:  # noqa: BLE001 -- a rim: whatever went wrong is each waiting request's answer
                outcome = exc
            loop = jobs[0][3]
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, jobs, outcome)

    def _settle(self, jobs: "list[_Waiting]", outcome: int | Exception) -> None:
        if self._waiting:
            self._send()
        else:
            self._committing = False
        if isinstance(outcome, Exception):
            for _, _, done, _ in jobs:
                if not done.done():
                    done.set_exception(outcome)
            return
        position = outcome
        for rows, _, done, _ in jobs:
            if not done.done():
                done.set_result((position, position + len(rows) - 1))
            position += len(rows)

    def close(self) -> None:
        """Finish what was begun and stop the thread."""
        self._jobs.put(None)
        self._thread.join()


def _later(last: int, received_at: int) -> int:
    return max(received_at, last + 1)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # on the path of every commit: a third of the time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _ints(rows: Iterable[Any]) -> tuple[int, ...]:
    """Give the one row of an answer that holds whole numbers."""
    (row,) = rows
    return tuple(int(value) for value in row)
