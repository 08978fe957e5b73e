"""The table: one process writes (append, forget, compact, rewind), any number read.

In:    applied events of the log, in order; positions to forget; SQL questions.
Out:   commits that are on disk; rows.
Never: a second place for how far the lake has come: that position stands in the table's own transaction record, in
       the same commit as the rows, so no crash makes the two disagree.
"""

import re
import shutil
import threading
import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote

from tillit.records import KIND_EVENT, LogRow
from tillit.store.lake.disk import CHECKPOINT, STAGED, added_by, checkpoint_version, fsync, mend
from tillit.store.lake.faults import LakePathRefused, LakeQueryRefused, answered, busy, translated
from tillit.store.lake.rewrite import SCRATCH, Rewriting, commit, find_places, no_hooks, scratch_folder
from tillit.store.lake.rows import (
    BINARY,
    HUSK,
    NUMBERS,
    ROW,
    TEXTS,
    WITH_STATISTICS,
    WITHOUT_DICTIONARY,
    batch,
    log_row,
    schema,
)

if TYPE_CHECKING:  # outside packages: 22 MB and 0.1 s each, loaded at their seam by those who touch the lake
    import duckdb
    from deltalake import CommitProperties, DeltaTable, WriterProperties

_APP_ID = "tillit-lake"

# Rows per row group: a timeline reads a few rows here and there, and a reader unpacks whole row groups.
# Fifty scattered rows of 200,000 took 0.15 s with 8,192, 0.12 s with 2,048, which makes every file's foot longer.
_ROW_GROUP = 4_096
# A file is copied when one of its rows is forgotten, so a large file makes forgetting slow, a small one makes reading
# slow. 16 MB holds about 160,000 events.
_FILE_BYTES = 16 << 20
# Small files are merged to 2 MB first and to the full size from there, so that no row is rewritten at each merge.
_TIERS = (2 << 20, _FILE_BYTES)
_FILES_PER_MERGE = 8  # taste: few enough to keep reads quick, enough to make a merge worth its commit
_OPENING_TRIES = 5
_OPENING_PAUSE_S = 0.02
_COMMITS_PER_CHECKPOINT = 64  # opening the table reads every commit after the last checkpoint

_MISREAD = re.compile(r"[\[\]^|\\*?]")

# More positions than this are forgotten in several commits.
_POSITIONS_PER_COMMIT = 20_000
_POSITIONS_PER_READ = 20_000


class _File(NamedTuple):
    """One live data file. Grain: one per file; positions of different files may overlap after a merge."""

    path: Path
    n_bytes: int
    n_rows: int
    first: int  # smallest position in it
    last: int  # greatest position in it


class Lake:
    """The table of all events. One object may write; open others with `read_only=True` to read beside it."""

    def __init__(self, path: Path, *, read_only: bool, sync: bool, memory_limit: str) -> None:
        """Use `Lake.open`."""
        self.path = path.resolve()
        self._read_only = read_only
        self._sync = sync
        self._memory_limit = memory_limit
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer: DeltaTable | None = None
        self._reader: DeltaTable | None = None
        self._live: tuple[int, list[_File]] = (-1, [])
        self._synced: int | None = None  # the newest version that is on disk for good
        self._engine: duckdb.DuckDBPyConnection | None = None

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, sync: bool = True, memory_limit: str = "1GB") -> Self:
        """Open the lake, creating the table when it is new; the writer also clears away what a crash left.

        Units:  memory_limit is what one question to DuckDB may use; it never spills to disk, since spilled bytes
                would be personal values outside the table.
        Raises: LakeBroken when the table's record cannot be read; StoreFull, StoreReadOnly, StoreUnreachable.
        """
        lake = cls(path, read_only=read_only, sync=sync, memory_limit=memory_limit)
        with translated(lake.path):
            if not read_only:
                lake._open_writer()
        return lake

    def position(self) -> int:
        """Say up to which log position the lake has taken everything (0: nothing yet)."""
        with self._read_lock, translated(self.path):
            table = self._fresh_reader()
            return 0 if table is None else _position(table)

    def append(self, rows: Iterable[LogRow], *, epoch: int, through: int) -> None:
        """Take the rows after `position()` and up to `through`, and remember `through`, in one commit.

        Shape:  log rows in order; rows of other kinds are passed over, duplicates are the
                caller's to leave out. With no rows left the commit holds `through` alone.
        Raises: LakeBusy when another writer committed first (nothing was kept); StoreFull, StoreReadOnly.
        """
        with self._write_lock, translated(self.path):
            table = self._fresh_writer()
            after = _position(table)
            if through <= after:
                return
            taken = [row for row in rows if row.kind == KIND_EVENT and after < row.position <= through]
            self._commit(table, taken, [epoch] * len(taken), through)

    def forget(self, positions: Collection[int], husks: Collection[LogRow] = ()) -> int:
        """Remove the rows at these positions, leave the given husks in their place, and no old byte in any file.

        Shape:  positions -> how many rows there were. A husk counts only where the lake holds its row.
        Raises: LakeBusy when another writer committed first: say it again, it may be repeated.
        """
        with self._write_lock, translated(self.path):
            table = self._fresh_writer()
            ordered = sorted(set(positions))
            n_gone = 0
            for start in range(0, len(ordered), _POSITIONS_PER_COMMIT):
                n_gone += self._rewrite(table, ordered[start : start + _POSITIONS_PER_COMMIT], husks)
            # Also when nothing matched: an earlier call may have been killed between its rewrite and this.
            self._checkpoint(table)
            self._sweep(table)
            return n_gone

    def compact(self, *, full: bool = False) -> int:
        """Merge small files, drop the replaced ones and old commit records; say how many files went.

        `full` merges whatever is below the full size, however few files there are.
        """
        from deltalake.exceptions import CommitFailedError

        with self._write_lock, translated(self.path):
            table = self._fresh_writer()
            n_merged = 0
            for tier in _TIERS:
                small = sum(file.n_bytes < tier for file in _files_of(table, self.path))
                if small < (2 if full else _FILES_PER_MERGE):
                    continue
                try:
                    done = table.optimize.compact(
                        target_size=tier,
                        # One at a time: memory matters more than the seconds of a job in the background.
                        max_concurrent_tasks=1,
                        writer_properties=_writer_properties(),
                        post_commithook_properties=no_hooks(),
                    )
                except CommitFailedError as exc:
                    raise busy(self.path) from exc
                n_merged += int(done["numFilesRemoved"])
                self._make_durable(table)
            since = table.version() - checkpoint_version(self.path)
            if since >= _COMMITS_PER_CHECKPOINT or (full and since):
                self._checkpoint(table)
            if n_merged:
                self._sweep(table)
            return n_merged

    def rewind(self, through: int) -> None:
        """Drop everything after a log position: the log was restored from a back-up and ends there."""
        with self._write_lock, translated(self.path):
            table = self._fresh_writer()
            if through >= _position(table):
                return
            # Two commits. Killed between them, position() is still the old one and the call is repeated.
            table.delete(
                f"position > {int(through)}",
                writer_properties=_writer_properties(),
                post_commithook_properties=no_hooks(),
            )
            self._make_durable(table)
            self._commit(table, [], [], through)
            self._checkpoint(table)
            self._sweep(table)

    def files(self) -> list[Path]:
        """List the data files that make up the table now."""
        return [file.path for file in self._current()]

    def moment(self) -> tuple[int, list[Path]]:
        """Give a position and the data files of the table that holds everything up to it, for `reading_engine`."""
        with self._read_lock, translated(self.path):
            table = self._fresh_reader()
            if table is None:
                return 0, []
            return _position(table), [file.path for file in _files_of(table, self.path)]

    def size(self) -> tuple[int, int]:
        """Say how many rows there are and how many bytes they take on disk."""
        live = self._current()
        return sum(file.n_rows for file in live), sum(file.n_bytes for file in live)

    def query(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Answer one SELECT over the view `events`.

        Shape:  DuckDB's SQL with `?` placeholders -> all rows.
        Raises: LakeQueryRefused when it is not one reading statement; LakeQueryFailed; LakeBusy.
        """
        return self._ask(sql, params, None)

    def read_positions(self, positions: Iterable[int]) -> list[LogRow]:
        """Give the rows at these positions that the lake has, in order of position."""
        ordered = sorted(set(positions))
        found: list[LogRow] = []
        for start in range(0, len(ordered), _POSITIONS_PER_READ):
            part = ordered[start : start + _POSITIONS_PER_READ]
            sql = f"SELECT {ROW} FROM events WHERE {_predicate(part)} ORDER BY position"
            found.extend(map(log_row, self._ask(sql, (), part)))
        return found

    def count_told(self, positions: Iterable[int]) -> int:
        """Say at how many of these positions the lake has an event that was not forgotten. No body is read for it."""
        ordered = sorted(set(positions))
        n_told = 0
        for start in range(0, len(ordered), _POSITIONS_PER_READ):
            part = ordered[start : start + _POSITIONS_PER_READ]
            sql = f"SELECT count(*) FROM events WHERE ({_predicate(part)}) AND type <> '{HUSK}'"
            n_told += self._ask(sql, (), part)[0][0]
        return n_told

    def iter_rows(self, after: int, through: int) -> Iterator[LogRow]:
        """Give the rows after one position and up to another, in order, a block at a time."""
        sql = f"SELECT {ROW} FROM events WHERE position > ? AND position <= ? ORDER BY position"
        while after < through:
            ahead = sorted((file.first, file.last) for file in self._current() if file.last > after)
            if not ahead:
                return
            start = max(after, ahead[0][0] - 1)
            end = min(through, start + _POSITIONS_PER_READ)
            rows = self._ask(sql, (start, end), range(start + 1, end + 1))
            yield from map(log_row, rows)
            after = end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the table and the engine."""
        with self._write_lock, self._read_lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._writer = self._reader = None

    # The table

    def _open_writer(self) -> None:
        from deltalake import DeltaTable

        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mend(self.path)
        if DeltaTable.is_deltatable(_location(self.path)):
            self._writer = DeltaTable(_location(self.path))
        else:
            self._writer = DeltaTable.create(
                _location(self.path),
                schema=schema(),
                mode="ignore",
                name="events",
                description="One row per applied event. Times are UTC epoch microseconds.",
                configuration={
                    "delta.dataSkippingStatsColumns": ",".join(WITH_STATISTICS),
                    # A rewind writes the rows that stay into files of this size; the default is 100 MB.
                    "delta.targetFileSize": str(_FILE_BYTES),
                    # Old versions are no use to us and hold what people asked to be forgotten.
                    "delta.deletedFileRetentionDuration": "interval 0 days",
                    "delta.logRetentionDuration": "interval 0 days",
                },
            )
        self._make_durable(self._writer)
        self._sweep(self._writer)

    def _fresh_writer(self) -> "DeltaTable":
        assert self._writer is not None, "this lake was opened for reading only, or is closed"
        self._writer.update_incremental()
        return self._writer

    def _fresh_reader(self) -> "DeltaTable | None":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        if self._reader is not None:
            try:
                self._reader.update_incremental()
            except (DeltaError, OSError):
                self._reader = None  # the commits since our version have been cleared away: begin from the checkpoint
        for tries_left in range(_OPENING_TRIES - 1, -1, -1):
            if self._reader is not None:
                break
            try:
                self._reader = DeltaTable(_location(self.path))
            except TableNotFoundError:
                return None  # nothing was ever written; a reader creates nothing
            except DeltaError:
                # The writer cleared old commits away between our look at the folder and our reading of them.
                if not tries_left:
                    raise
                time.sleep(_OPENING_PAUSE_S)
        return self._reader

    def _current(self) -> list[_File]:
        with self._read_lock, translated(self.path):
            table = self._fresh_reader()
            if table is None:
                return []
            if self._live[0] != table.version():
                self._live = (table.version(), _files_of(table, self.path))
            return self._live[1]

    def _commit(self, table: "DeltaTable", rows: list[LogRow], epochs: list[int], through: int) -> None:
        from deltalake import write_deltalake
        from deltalake.exceptions import CommitFailedError

        try:
            write_deltalake(
                table,
                [batch(rows, epochs)],
                mode="append",
                writer_properties=_writer_properties(),
                commit_properties=_commit_properties(through),
                post_commithook_properties=no_hooks(),
            )
        except CommitFailedError as exc:
            raise busy(self.path) from exc
        self._make_durable(table)

    def _rewrite(self, table: "DeltaTable", positions: list[int], husks: Collection[LogRow]) -> int:
        import duckdb

        gone, staying = set(positions), {row.position: row for row in husks}
        try:
            with self._connect().cursor() as engine, scratch_folder(self.path) as scratch, answered():
                places = find_places(engine, self._holding(positions), _predicate(positions))
                if not places:
                    return 0
                rewriting = Rewriting(engine, gone, staying, _writer_properties(), scratch)
                done = rewriting.rewrite_all(places)
            commit(self.path / "_delta_log", table.version() + 1, done)
        except (FileExistsError, duckdb.IOException) as exc:
            raise busy(self.path) from exc
        table.update_incremental()
        self._make_durable(table)
        return sum(len(at) for at in places.values())

    # The disk: the Delta library writes without syncing, so that a power cut could lose or tear the newest commit.
    # The log may be trimmed only up to what the lake has for good, so we sync; mend undoes a torn commit.

    def _make_durable(self, table: "DeltaTable") -> None:
        if not self._sync:
            return
        record = self.path / "_delta_log"
        newest = table.version()
        # A process killed before this left at most its newest commit unsynced.
        synced = newest - 1 if self._synced is None else self._synced
        for version in range(synced + 1, newest + 1):
            commit = record / f"{version:020d}.json"
            for name in added_by(commit):
                fsync(self.path / name)
            fsync(commit)
        fsync(self.path)
        fsync(record)
        self._synced = newest

    def _checkpoint(self, table: "DeltaTable") -> None:
        """Write the state of the table down in one file and drop the commits before it."""
        table.create_checkpoint()
        record = self.path / "_delta_log"
        if self._sync:
            for entry in record.iterdir():
                if CHECKPOINT.match(entry.name) or entry.name == "_last_checkpoint":
                    fsync(entry)
            fsync(record)
        table.cleanup_metadata()

    def _sweep(self, table: "DeltaTable") -> None:
        """Delete every data file that the table does not use, and what killed writers left half written."""
        shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
        live = {file.path.name for file in _files_of(table, self.path)}
        for entry in self.path.iterdir():
            if entry.is_file() and entry.name not in live and (entry.suffix == ".parquet" or STAGED.search(entry.name)):
                entry.unlink(missing_ok=True)
        for entry in (self.path / "_delta_log").iterdir():
            if entry.is_file() and STAGED.search(entry.name):
                entry.unlink(missing_ok=True)

    # Questions

    def _ask(self, sql: str, params: Sequence[object], positions: Sequence[int] | None) -> list[tuple[Any, ...]]:
        import duckdb

        for attempt in (1, 2, 3):
            cursor = self._connect().cursor()
            try:
                with answered():
                    _refuse_writing(cursor, sql)
                    cursor.execute(f"CREATE TEMP VIEW events AS {files_sql(self._holding(positions))}")
                    return cursor.execute(sql, list(params)).fetchall()
            except duckdb.IOException as exc:
                # A merge or an erasure took a file away between the list and the read: ask again with a new list.
                if attempt == 3:
                    raise busy(self.path) from exc
            finally:
                cursor.close()
        raise AssertionError("unreachable")

    def _holding(self, positions: Sequence[int] | None) -> list[Path]:
        """List the files that may hold one of these positions (sorted), or all of them."""
        live = self._current()
        if positions is None:
            return [file.path for file in live]
        chosen = []
        for file in live:
            at = bisect_left(positions, file.first)
            if at < len(positions) and positions[at] <= file.last:
                chosen.append(file.path)
        return chosen

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        with self._read_lock:
            if self._engine is None:
                self._engine = reading_engine([self.path], memory_limit=self._memory_limit)
            return self._engine


def reading_engine(folders: Sequence[Path], *, memory_limit: str) -> "duckdb.DuckDBPyConnection":
    """Open an engine in memory that reaches these folders and nothing else, and spills nothing to disk."""
    import duckdb

    engine = duckdb.connect(":memory:")
    listed = ", ".join(_quoted(str(folder)) for folder in folders)
    engine.execute(f"SET memory_limit = {_quoted(memory_limit)}")
    engine.execute("SET temp_directory = ''")
    engine.execute("SET autoinstall_known_extensions = false")
    engine.execute("SET autoload_known_extensions = false")
    engine.execute(f"SET allowed_directories = [{listed}]")
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    return engine


def files_sql(files: Sequence[Path]) -> str:
    """Write the relation of the rows in some of the lake's files."""
    if not files:
        numbers = [f"NULL::BIGINT AS {name}" for name in NUMBERS]
        others = [f"NULL::BLOB AS {name}" for name in BINARY] + [f"NULL::VARCHAR AS {name}" for name in TEXTS]
        return f"SELECT {', '.join(numbers + others)} WHERE false"
    return f"SELECT * FROM read_parquet([{', '.join(_quoted(str(file)) for file in files)}])"


def _commit_properties(through: int) -> "CommitProperties":
    from deltalake import CommitProperties, Transaction

    # No retries: a second writer must fail and look again, not append after the first.
    return CommitProperties(app_transactions=[Transaction(_APP_ID, through)], max_commit_retries=0)


def _writer_properties() -> "WriterProperties":
    from deltalake import ColumnProperties, WriterProperties

    columns = {name: ColumnProperties(statistics_enabled="CHUNK") for name in WITH_STATISTICS}
    for name in WITHOUT_DICTIONARY:
        columns[name] = ColumnProperties(statistics_enabled="NONE", dictionary_enabled=False)
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,  # 3 took half as long again and saved nothing (measured)
        max_row_group_size=_ROW_GROUP,
        default_column_properties=ColumnProperties(statistics_enabled="NONE", dictionary_enabled=True),
        column_properties=columns,
    )


def _position(table: "DeltaTable") -> int:
    return table.transaction_version(_APP_ID) or 0


def _files_of(table: "DeltaTable", root: Path) -> list[_File]:
    actions = table.get_add_actions(flatten=True)
    if actions.num_rows == 0:
        return []
    columns = ("path", "size_bytes", "num_records", "min.position", "max.position")
    rows = zip(*(actions.column(name).to_pylist() for name in columns), strict=True)
    return sorted((_File(root / row[0], *row[1:]) for row in rows), key=lambda file: file.first)


def _location(path: Path) -> str:
    """Give the path as the Delta library wants it, and refuse those that it misreads.

    It decodes percent signs once too often (a folder "a%20b" silently becomes "a b"), takes a backslash for a slash,
    and panics at its first write under brackets, carets and bars. DuckDB takes stars and question marks for patterns.
    """
    if unquote(str(path)) != str(path) or _MISREAD.search(str(path)):
        raise LakePathRefused(
            f"The lake cannot lie in {path.name!r} or below one of its parents: a name there holds one of [ ] ^ | * ? "
            "or a backslash, or a percent sign with two hexadecimal digits. Rename the folder or choose another."
        )
    return str(path)


def _predicate(positions: Sequence[int]) -> str:
    """Name positions (sorted) in SQL, runs as ranges: numbers only, whatever the caller holds."""
    alone: list[int] = []
    runs: list[str] = []
    start = previous = int(positions[0])
    for position in [*map(int, positions[1:]), None]:
        if position == previous + 1:
            previous = position
            continue
        if previous - start < 2:
            alone.extend(range(start, previous + 1))
        else:
            runs.append(f"position BETWEEN {start} AND {previous}")
        if position is not None:
            start = previous = position
    if alone:
        runs.append(f"position IN ({','.join(map(str, alone))})")
    return " OR ".join(runs)


def _refuse_writing(cursor: "duckdb.DuckDBPyConnection", sql: str) -> None:
    import duckdb

    # allowed_directories lets a COPY write there too, so the kind of statement is checked as well.
    reading = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    statements = cursor.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in reading:
        raise LakeQueryRefused("The lake was asked something other than one SELECT. Send one reading statement.")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
