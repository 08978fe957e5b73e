"""Owners: which event is whose, for everybody, kept up with the fold.

In:    a moment of the state; what was known at an earlier one, in memory or in files.
Out:   relations of one engine: owners (position, person), roots (identifier_id, person, is_somebody), holders
       (identifier_id, part, from_at, person).
Never: a personal value, in memory or on disk: positions and ids alone; what is known of a state that is another now.

To read it all takes seconds, so it is kept: in files as of some moment, and in memory what came since. A step compares
who everybody is with who they were, which finds joins, cuts and devices that changed hands whatever the cause. Then it
reads the events that came, and those of whoever is somebody else now. Which identifier an event counts for is settled
when it comes, but for two things: what stands for many was decided anew (all is read again), and it was forgotten.
"""

import os
import re
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import msgspec

from tillit.flow.fates import FORGOTTEN
from tillit.flow.fold import FOLD_VERSION, trusted_position
from tillit.identity import (
    Acts,
    iter_identifiers,
    iter_places,
    iter_tenures,
    load_acts,
    read_event,
    rules_in_force,
)
from tillit.records import KIND_EVENT, TRUST_OPERATOR
from tillit.store import Log, Reading
from tillit.store.lake import files_sql

if TYPE_CHECKING:  # an outside package, loaded at its seam by those who ask about many
    import duckdb

Row = tuple[Any, ...]
Columns = tuple["array[int]", ...]
Block = tuple[list[str], ...]  # columns, each as some texts like "3,7,12"
T = TypeVar("T")

_BEFORE_ALL = -(1 << 62)
_SHARE_BESIDE = 20  # the file is made anew when a 20th of it lies beside it (taste: 3 s for every 500,000 of 10 M)
_KEEPINGS = 10  # so often is what lies beside the file kept before it is made anew
_AHEAD = 8  # blocks that wait to be taken up: some 40 MB (taste)
_SMALL = ("roots", "holders", "fresh", "dropped")  # kept beside the owners
_NAME = re.compile(r"history-(.+)-(\d+)-(\d+)-([0-9a-f]+)-([0-9a-f]+)-by-(.+)-roots\.parquet")
_STALE_NS = 3600 * 10**9
_HOLDERS = "identifier_id, part, from_at, person"
_IDENTIFIER = ("identifier_id", "root_id")
_TENURE = ("identifier_id", "from_at", "from_position", "holder_id")
_PLACE = ("anchor_id", "event_at", "position")


class Mark(NamedTuple):
    """What a state was made of. Two of one mark say the same of who is who."""

    made: str  # version of the fold, epoch of the log, identity rules
    position: int
    n_forgotten: int
    acts: str  # a digest of the acts about who is who
    blocked: str  # a digest of what stands for many by such acts

    @classmethod
    def read(cls, reading: Reading) -> Self:
        """Read the mark of a state. Raises FoldOutdated."""
        position = trusted_position(reading)
        epoch, rules = reading.read("SELECT epoch, rules FROM fold")[0]
        (n_forgotten,) = reading.read("SELECT count(*) FROM fate WHERE fate = ?", (FORGOTTEN,))[0]
        acts = load_acts(reading)
        told = [(act.position, act.kind, act.one_id, act.other_id, act.of_message) for act in acts]
        blocked = sorted(Acts(acts).blocked)
        return cls(f"{FOLD_VERSION}-{epoch}-{rules}", position, n_forgotten, _digest(told), _digest(blocked))

    @property
    def text(self) -> str:
        """Give it as part of a file's name."""
        return "-".join(map(str, self))


class Step(NamedTuple):
    """What changed between two moments."""

    stirred: frozenset[int] | None  # the identifiers of whose strands some may differ; None: any
    is_same_log: bool = True  # else another may have been restored, with other events at the same positions


class Owners:
    """The relations of one engine, and the folder of their files. One thread at a time."""

    def __init__(self, log: Log, folder: Path, *, dialect: str, few: int = 200_000) -> None:
        """Know the log, the folder and the state's dialect.

        `few`: so many events are kept beside the file before it is made anew (taste: joined in some 10 ms).
        """
        self._log = log
        self._folder = folder
        self._dialect = dialect
        self._few = few
        self._mark: Mark | None = None  # of what is in memory
        self._base = folder  # the file of owners
        self._identity = (0, 0)  # of that file
        self._n_base = 0  # events in it
        self._n_beside = 0  # events in memory beside it
        self._n_kept = 0  # of these in files too

    def let_go(self) -> None:
        """Let go of what is in memory: the engine is another."""
        self._mark = None

    def relate(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading) -> Step:
        """Bring the relations to a moment of the state; say what changed since they were asked for last.

        Raises: FoldOutdated.
        """
        mark = Mark.read(reading)
        before, self._mark = self._mark, None  # whatever fails on the way: then nothing is known
        if before is not None and not (self._may_follow(before, mark) and self._is_there()):
            before = None
        is_known = before is not None
        if before is None:
            before = self._load(cursor, mark)
        step: Step | None = Step(frozenset())
        if before is None:
            step = None
        elif before != mark:
            step = self._step(cursor, reading, before, mark)
        if step is None:
            self._read_all(cursor, reading, mark)
        self._mark = mark
        return step if step is not None and is_known else Step(None, is_same_log=False)

    # -- files

    @staticmethod
    def _may_follow(before: Mark, mark: Mark) -> bool:
        """Say whether one moment can be reached from another by steps."""
        return (before.made, before.blocked) == (mark.made, mark.blocked) and (
            before == mark or (before.position, before.n_forgotten) <= (mark.position, mark.n_forgotten)
        )

    def _is_there(self) -> bool:
        # Whoever makes the state anew takes the files away: then nothing in memory is of this state.
        return self._identity == _identity(self._base)

    def _load(self, cursor: "duckdb.DuckDBPyConnection", mark: Mark) -> Mark | None:
        """Take the newest files from which a moment can be reached into memory."""
        found = []
        for path in self._folder.glob("history-*-roots.parquet"):
            if told := _NAME.fullmatch(path.name):
                kept = Mark(told[1], int(told[2]), int(told[3]), told[4], told[5])
                if self._may_follow(kept, mark):
                    found.append((kept, told[6]))
        for kept, base in sorted(found, reverse=True):
            self._base = self._folder / f"history-{base}-owners.parquet"
            self._identity = _identity(self._base)
            files = self._files(kept)
            if self._is_there() and all(path.exists() for path in files.values()):
                for name, path in files.items():
                    cursor.execute(f"CREATE OR REPLACE TABLE {name} AS {files_sql([path])}")
                self._relate_owners(cursor)
                self._n_kept = self._n_beside
                return kept
        return None

    def _files(self, mark: Mark) -> dict[str, Path]:
        by = self._base.name.removeprefix("history-").removesuffix("-owners.parquet")
        return {name: self._folder / f"history-{mark.text}-by-{by}-{name}.parquet" for name in _SMALL}

    def _keep(self, cursor: "duckdb.DuckDBPyConnection", mark: Mark) -> None:
        """Write what is in memory, and take away what it replaces."""
        files = self._files(mark)
        for name, path in files.items():
            _write(cursor, f"SELECT * FROM {name}", path)
        self._n_kept = self._n_beside
        for path in self._folder.glob("history-*.parquet"):
            if path not in files.values() and path != self._base:
                path.unlink(missing_ok=True)
        for path in self._folder.glob("history-*.half"):
            # What another process writes is younger; what is so old was left by one that was killed.
            if _identity(path)[1] < self._identity[1] - _STALE_NS:
                path.unlink(missing_ok=True)

    def _write_base(self, cursor: "duckdb.DuckDBPyConnection", sql: str, mark: Mark) -> None:
        """Write the owners of all events anew: (position, anchor_id, person)."""
        base = self._folder / f"history-{mark.text}-owners.parquet"
        _write(cursor, f"SELECT * FROM ({sql}) ORDER BY position", base)
        self._base, self._identity = base, _identity(base)
        cursor.execute("CREATE OR REPLACE TABLE fresh (position BIGINT, anchor_id BIGINT, person BIGINT)")
        cursor.execute("CREATE OR REPLACE TABLE dropped (position BIGINT)")
        self._relate_owners(cursor)
        self._keep(cursor, mark)

    def _relate_owners(self, cursor: "duckdb.DuckDBPyConnection") -> None:
        """Give the owners: those in the file but for the dropped, and the fresh."""
        base = files_sql([self._base])
        (self._n_base,) = cursor.execute(f"SELECT count(*) FROM ({base})").fetchall()[0]
        (n_dropped,) = cursor.execute("SELECT count(*) FROM dropped").fetchall()[0]
        (n_fresh,) = cursor.execute("SELECT count(*) FROM fresh").fetchall()[0]
        sql = f"SELECT b.position, b.anchor_id, b.person FROM ({base}) AS b"
        # An empty relation costs a question as much as a small one.
        if n_dropped:
            sql += " ANTI JOIN dropped AS d ON d.position = b.position"
        if n_fresh:
            sql += " UNION ALL SELECT position, anchor_id, person FROM fresh"
        cursor.execute(f"CREATE OR REPLACE VIEW owners AS {sql}")
        self._n_beside = n_dropped + n_fresh

    # -- all of it

    def _read_all(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, mark: Mark) -> None:
        _read_who(cursor, reading, self._dialect)
        with ahead(iter_places(reading, self._dialect)) as places:
            _relate_people(cursor)
            cursor.execute("CREATE OR REPLACE TABLE roots AS SELECT * FROM known")
            cursor.execute(f"CREATE OR REPLACE TABLE holders AS SELECT {_HOLDERS} FROM held")
            _fill_from_texts(cursor, "place", ("anchor_id", "position"), places)
        # Only of a device that changed hands is each event asked for its time.
        passed_on = cursor.execute("SELECT DISTINCT identifier_id FROM holders WHERE part <> 0").fetchall()
        _read_events_of(cursor, reading, [one for (one,) in passed_on])
        sql = (
            "SELECT p.position, p.anchor_id, w.person FROM place AS p JOIN ("
            "SELECT r.identifier_id, coalesce(h.person, r.person) AS person FROM roots AS r "
            "LEFT JOIN holders AS h ON h.identifier_id = r.identifier_id "
            "WHERE r.identifier_id NOT IN (SELECT identifier_id FROM holders WHERE part <> 0)"
            ") AS w ON w.identifier_id = p.anchor_id "
            f"UNION ALL {_OWNED}"
        )
        self._write_base(cursor, sql, mark)

    # -- what came

    def _step(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, before: Mark, mark: Mark) -> Step | None:
        """Follow the state from one moment to another; None when it is quicker, or safer, to read all of it."""
        is_calm = (before.n_forgotten, before.acts) == (mark.n_forgotten, mark.acts)
        named = self._named(reading, before.position, mark.position) if is_calm else None
        gone = () if is_calm else [p for (p,) in reading.read("SELECT position FROM fate WHERE fate = ?", (FORGOTTEN,))]
        fill(cursor, "gone", ("position",), (array("q", gone),))
        scope = ""
        came = _come_to(reading, named, before.position) if named is not None else None
        if named is None or came is None:
            _read_who(cursor, reading, self._dialect)
            _relate_people(cursor)
            came = reading.read(f"{_PLACES} WHERE position > ?", (before.position,))
        else:
            around = _around(reading, named.ids)
            fill(cursor, "identifier", _IDENTIFIER, columns_of(around.roots))
            fill(cursor, "tenure", _TENURE, columns_of(around.tenures))
            _relate_people(cursor)
            fill(cursor, "scope", ("identifier_id",), (array("q", around.ids),))
            scope = " WHERE identifier_id IN (SELECT identifier_id FROM scope)"
        had = f"SELECT {_HOLDERS} FROM holders{scope}"
        have = f"SELECT {_HOLDERS} FROM held"
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE changed AS "
            "SELECT coalesce(n.identifier_id, r.identifier_id) AS identifier_id "
            f"FROM (SELECT * FROM known{scope}) AS n "
            f"FULL JOIN (SELECT * FROM roots{scope}) AS r ON r.identifier_id = n.identifier_id "
            "WHERE r.person IS DISTINCT FROM n.person "
            f"UNION SELECT identifier_id FROM ({had} EXCEPT {have}) "
            f"UNION SELECT identifier_id FROM ({have} EXCEPT {had})"
        )
        changed = [one for (one,) in cursor.execute("SELECT identifier_id FROM changed").fetchall()]
        if len(changed) > self._few:
            return None
        _read_events_of(cursor, reading, changed)
        fill(cursor, "later", _PLACE, columns_of(came))
        cursor.execute(
            "INSERT INTO come SELECT l.* FROM later AS l ANTI JOIN changed AS c ON c.identifier_id = l.anchor_id"
        )
        among = "IN (SELECT identifier_id FROM changed)"
        forgotten = "position IN (SELECT position FROM gone)"
        was_dropped = f"anchor_id {among}" if is_calm else f"(anchor_id {among} OR {forgotten})"
        if changed or gone:
            cursor.execute(
                f"INSERT INTO dropped SELECT position FROM ({files_sql([self._base])}) WHERE {was_dropped} "
                "EXCEPT SELECT position FROM dropped"
            )
            cursor.execute(f"DELETE FROM fresh WHERE {was_dropped}")
            cursor.execute(f"DELETE FROM roots WHERE identifier_id {among}")
            cursor.execute(f"INSERT INTO roots SELECT * FROM known WHERE identifier_id {among}")
            cursor.execute(f"DELETE FROM holders WHERE identifier_id {among}")
            cursor.execute(f"INSERT INTO holders {have} WHERE identifier_id {among}")
        cursor.execute(f"INSERT INTO fresh {_OWNED}")
        self._relate_owners(cursor)
        if self._n_beside > max(self._few, self._n_base // _SHARE_BESIDE):
            self._write_base(cursor, "SELECT position, anchor_id, person FROM owners", mark)
        elif not is_calm or self._n_beside > self._n_kept + self._few // _KEEPINGS:
            self._keep(cursor, mark)
        stirred = cursor.execute("SELECT identifier_id FROM changed UNION SELECT anchor_id FROM come").fetchall()
        return Step(frozenset(one for (one,) in stirred) if is_calm else None)

    def _named(self, reading: Reading, after: int, through: int) -> "_Named | None":
        """Give whom the events named that came; None when there are too many to look at each."""
        if through - after > self._few // _KEEPINGS or self._log.first_position() > after + 1:
            return None
        rules = rules_in_force(reading)
        keys: dict[str, set[str]] = {}
        telling: set[int] = set()
        for row in self._log.read(after, through - after):
            if row.kind != KIND_EVENT or row.position > through:
                continue
            try:
                handles = rules.handles_of(read_event(row.body or b""))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
                continue  # it lies in quarantine
            for told in handles:
                # An alias does not say what kind its previous id is.
                for name in ("user_id", "anonymous_id") if told.rank < 0 else (told.namespace,):
                    keys.setdefault(name, set()).add(told.value)
            if handles and row.trust != TRUST_OPERATOR:
                telling.add(row.position)
        for (position,) in reading.read(
            "SELECT position FROM fate WHERE position > ? AND position <= ?", (after, through)
        ):
            telling.discard(position)
        sql = "SELECT identifier_id FROM identifier WHERE namespace = ? AND value IN {in}"
        ids = {one for name, values in keys.items() for (one,) in reading.read_in(sql, sorted(values), (name,))}
        return _Named(sorted(ids), telling)


class _Named(NamedTuple):
    """Whom events named."""

    ids: list[int]
    telling: set[int]  # the places of those that were applied


_PLACES = "SELECT anchor_id, event_at, position FROM event_index"
_OWNED = (
    "SELECT e.position, e.anchor_id, coalesce(h.person, r.person) AS person FROM come AS e "
    "JOIN roots AS r ON r.identifier_id = e.anchor_id "
    "ASOF LEFT JOIN holders AS h ON h.identifier_id = e.anchor_id AND e.event_at >= h.from_at"
)


def _come_to(reading: Reading, named: _Named, after: int) -> list[Row] | None:
    """Give the places of events that came to some identifiers; None when one of them is not found there."""
    rows = reading.read_in(f"{_PLACES} WHERE position > ? AND anchor_id IN {{in}}", named.ids, (after,))
    return rows if named.telling <= {position for _, _, position in rows} else None


class _Around(NamedTuple):
    """All whose person may be another since some were named."""

    ids: list[int]
    roots: list[tuple[int, int]]  # of these, and of whoever has or had their devices
    tenures: list[Row]


def _around(reading: Reading, ids: Sequence[int]) -> _Around:
    """Read those who are one person with somebody who was named, and all devices that such a person has or had."""
    roots = [root for (root,) in reading.read_in("SELECT root_id FROM identifier WHERE identifier_id IN {in}", ids)]
    members = reading.read_in("SELECT identifier_id, root_id FROM identifier WHERE root_id IN {in}", roots)
    theirs = [one for one, _ in members]
    held = reading.read_in("SELECT identifier_id FROM tenure WHERE holder_id IN {in}", theirs)
    devices = sorted({*theirs, *(one for (one,) in held)})
    tenures = reading.read_in(
        "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in}", devices
    )
    everybody = sorted({*devices, *(holder for *_, holder in tenures)})
    told = reading.read_in("SELECT identifier_id, root_id FROM identifier WHERE identifier_id IN {in}", everybody)
    return _Around(devices, [(one, root) for one, root in told], tenures)


def _read_who(cursor: "duckdb.DuckDBPyConnection", reading: Reading, dialect: str) -> None:
    """Read all identifiers and tenures."""
    with ahead(iter_identifiers(reading, dialect)) as identifiers:
        _fill_from_texts(cursor, "identifier", _IDENTIFIER, identifiers)
    with ahead(iter_tenures(reading, dialect)) as tenures:
        _fill_from_texts(cursor, "tenure", _TENURE, tenures)


def _relate_people(cursor: "duckdb.DuckDBPyConnection") -> None:
    """Make of identifiers and tenures who everybody is, and who had which device when."""
    # The first tenure reaches back before its claim, as part 0; of two at one instant the later in the log counts.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE held AS SELECT t.identifier_id, t.part, "
        f"CASE WHEN t.part = 0 THEN {_BEFORE_ALL} ELSE t.from_at END AS from_at, "
        "arg_max(i.root_id, t.from_position) AS person FROM ("
        "SELECT *, CASE WHEN row_number() OVER (PARTITION BY identifier_id ORDER BY from_at, from_position) = 1 "
        "THEN 0 ELSE from_at END AS part FROM tenure) AS t "
        "JOIN identifier AS i ON i.identifier_id = t.holder_id GROUP BY ALL"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT i.identifier_id, i.root_id AS person, "
        "i.identifier_id = i.root_id AND h.identifier_id IS NULL AS is_somebody FROM identifier AS i "
        "LEFT JOIN (SELECT DISTINCT identifier_id FROM tenure) AS h ON h.identifier_id = i.identifier_id"
    )


def _read_events_of(cursor: "duckdb.DuckDBPyConnection", reading: Reading, anchors: Sequence[int]) -> None:
    rows = reading.read_in(f"{_PLACES} WHERE anchor_id IN {{in}}", anchors)
    fill(cursor, "come", _PLACE, columns_of(rows))


def columns_of(rows: Sequence[Row]) -> Columns:
    """Turn rows of whole numbers into columns."""
    return tuple(array("q", column) for column in zip(*rows, strict=True))


def fill(cursor: "duckdb.DuckDBPyConnection", table: str, names: Sequence[str], columns: Columns) -> None:
    """Make a table of whole numbers, for this cursor alone."""
    _create(cursor, table, names)
    if columns and columns[0]:
        register_block(cursor, dict(zip(names, columns, strict=True)))
        cursor.execute(f"INSERT INTO {table} SELECT * FROM block")
        cursor.unregister("block")


@contextmanager
def ahead(blocks: Iterator[T], *, n_blocks: int = _AHEAD) -> Iterator[Iterator[T]]:
    """Give blocks that another thread reads ahead. Nobody else may read on their connection meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="tillit-everybody") as reader:
        coming = deque(reader.submit(next, blocks, None) for _ in range(n_blocks))

        def read() -> Iterator[T]:
            while (block := coming.popleft().result()) is not None:
                coming.append(reader.submit(next, blocks, None))
                yield block

        yield read()


def _fill_from_texts(
    cursor: "duckdb.DuckDBPyConnection", table: str, names: Sequence[str], blocks: Iterator[Block]
) -> None:
    """Make a table of whole numbers that come as texts, for this cursor alone."""
    _create(cursor, table, names)
    numbers = ", ".join(f"unnest(CAST(string_split({name}, ',') AS BIGINT[]))" for name in names)
    for texts in blocks:
        register_block(cursor, dict(zip(names, texts, strict=True)))
        cursor.execute(f"INSERT INTO {table} SELECT {numbers} FROM block")
        cursor.unregister("block")


def _create(cursor: "duckdb.DuckDBPyConnection", table: str, names: Sequence[str]) -> None:
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({', '.join(f'{name} BIGINT' for name in names)})")


def register_block(cursor: "duckdb.DuckDBPyConnection", columns: Mapping[str, "array[int] | list[Any]"]) -> None:
    """Give an engine columns of numbers and texts as the relation `block`."""
    from arro3.core import Array, DataType, Table

    number, text = DataType.int64(), DataType.string()
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, array):
            arrays[name] = Array.from_buffer(column)
        else:
            arrays[name] = Array(column, text if isinstance(column[0], str) else number)
    cursor.register("block", Table.from_pydict(arrays))


def _write(cursor: "duckdb.DuckDBPyConnection", sql: str, path: Path) -> None:
    half = path.with_name(f"{path.name}.{os.getpid()}.half")
    # The second version writes numbers as differences: half as large in less time, and as quick to read (measured).
    quoted = str(half).replace("'", "''")
    cursor.execute(f"COPY ({sql}) TO '{quoted}' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION snappy)")
    half.chmod(0o600)
    half.replace(path)


def _identity(path: Path) -> tuple[int, int]:
    """Tell one file from another of its name; (0, 0) when there is none."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_ino, told.st_mtime_ns


def _digest(told: object) -> str:
    return blake2b(repr(told).encode(), digest_size=10).hexdigest()
