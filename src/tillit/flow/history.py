"""History: a definition asked of everybody, over all that happened up to where the fold is.

In:    state, lake, the tail of the log; conditions and values of the audience language.
Out:   who it holds of, the value of each, one person's events: the answer of the live evaluator.
Never: a personal value on disk, or an event that was not applied; an answer of two moments: state is read in one
       snapshot, and what came later than its position belongs to nobody in it.

A person is the root of their identifiers; a device that nobody is known to have is somebody too. An event belongs to
whoever held its strongest identifier at its time. Which event is whose takes long to read for everybody, so it is kept
in `run/` for as long as the fold stands where it was: positions and ids alone.
"""

import os
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tillit.audience import Lens
from tillit.consent import Many
from tillit.flow.fold import FOLD_VERSION, trusted_position
from tillit.identity import iter_identifiers, iter_index, iter_tenures, profile_id_sql
from tillit.language.live import inputs_of
from tillit.language.nodes import Condition, Value
from tillit.language.sql import TYPES, members_sql, values_sql
from tillit.profile import Act, ToldTrait, corrections_of, iter_told, load_all_acts
from tillit.records import KIND_EVENT, carried_allows, carried_text
from tillit.records.carried import read_choices
from tillit.store import Log, Reading, State
from tillit.store.lake import Lake, LakeBusy, answered, batch, files_sql, reading_engine

if TYPE_CHECKING:  # outside packages: loaded at their seam by those who ask about many
    import duckdb
    from arro3.core import Table

_TRIES = 3
_LOG_ROWS = 20_000  # read at once
_BEFORE_ALL = -(1 << 62)
_KEPT = ("owners", "roots", "holders")  # relations that are kept in files
_decode = msgspec.json.Decoder().decode
Permits = Callable[[Reading, str, int], Many]


class Happening(NamedTuple):
    """One event of a person. Grain: one per position."""

    at: int  # UTC epoch microseconds
    position: int
    type: str
    name: str | None
    properties: Any


class Needs(NamedTuple):
    """What a question reads beside events."""

    traits: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    at: int = 0  # the instant for which permissions hold
    lens: Lens = None  # through which events and traits are seen: a purpose may not use what was refused for it


class History:
    """Answers questions about everybody. It may be shared by threads; they wait for one another."""

    def __init__(
        self,
        log: Log,
        state: State,
        lake: Callable[[], Lake],
        folder: Path,
        *,
        permits: Permits | None = None,
        memory_limit: str = "2GB",
    ) -> None:
        """Know the stores, a folder for what is kept, and who says which people a purpose may use.

        `state` should be opened for this alone: a snapshot of it is held while a question is answered.
        """
        self._log = log
        self._state = state
        self._lake = lake
        self._folder = folder.resolve()
        self._permits = permits
        self._memory_limit = memory_limit
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._known: tuple[str, frozenset[str]] = ("", frozenset())  # the moment and names of the traits in memory
        self._lock = threading.Lock()
        self.position = 0  # up to which the last answer was

    def permits(self, reading: Reading, purpose: str, at: int) -> Many:
        """Say which people a purpose may use at an instant."""
        assert self._permits is not None, "nobody was named who says which people a purpose may use"
        return self._permits(reading, purpose, at)

    def members(
        self,
        node: Condition,
        at: int,
        *,
        audiences: Mapping[str, Condition] | None = None,
        features: Mapping[str, Value] | None = None,
        lens: Lens = None,
    ) -> list[int]:
        """Give whom a condition holds of at an instant, by the root of their identifiers, in order.

        Units:  at is UTC epoch microseconds.
        Raises: UnknownName, LakeBusy, LakeQueryFailed; FoldOutdated.
        """
        told, known = audiences or {}, features or {}
        sql = members_sql(node, at, audiences=told, features=known)
        return [
            person
            for (person,) in self.ask(f"{sql} ORDER BY 1", needs_of(node, told, known)._replace(lens=lens, at=at))
        ]

    def count(
        self,
        node: Condition,
        at: int,
        *,
        audiences: Mapping[str, Condition] | None = None,
        features: Mapping[str, Value] | None = None,
        lens: Lens = None,
    ) -> int:
        """Count whom a condition holds of at an instant. Raises as `members`."""
        told, known = audiences or {}, features or {}
        sql = members_sql(node, at, audiences=told, features=known)
        needs = needs_of(node, told, known)._replace(lens=lens, at=at)
        return int(self.ask(f"SELECT count(*) FROM ({sql}) AS listed", needs)[0][0])

    def values(
        self,
        node: Value,
        at: int,
        *,
        audiences: Mapping[str, Condition] | None = None,
        features: Mapping[str, Value] | None = None,
        lens: Lens = None,
    ) -> dict[int, Any]:
        """Give the value of everybody at an instant; None where it is missing. Raises as `members`."""
        told, known = audiences or {}, features or {}
        sql = values_sql(node, at, audiences=told, features=known)
        rows = self.ask(sql, needs_of(node, told, known)._replace(lens=lens, at=at))
        return {person: None if value is None else _decode(value) for person, value in rows}

    def events(self, person: int) -> list[Happening]:
        """Give all that one person did, in order of time."""
        rows = self.ask(
            'SELECT "at", position, type, name, properties FROM events WHERE person = ? ORDER BY "at", position',
            params=(person,),
        )
        return [Happening._make((*told, None if written is None else _decode(written))) for *told, written in rows]

    def ask(self, sql: str, needs: Needs | None = None, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Answer one SELECT over people, events, traits and permitted (see `tillit.language.sql`).

        Raises: LakeBusy, LakeQueryFailed; FoldOutdated.
        """
        with self._open(needs if needs is not None else Needs()) as cursor, answered():
            return cursor.execute(sql, list(params)).fetchall()

    def close(self) -> None:
        """Let go of the engine."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    # -- a moment

    @contextmanager
    def _open(self, needs: Needs) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Give an engine in which the relations of this moment stand."""
        import duckdb

        with self._lock:
            for attempt in range(_TRIES):
                with closing(self._connect().cursor()) as cursor:
                    try:
                        with self._state.snapshot() as reading, answered():
                            self._relate(cursor, reading, needs)
                    except duckdb.IOException as exc:
                        # A merge, an erasure or another process's files came between the list and the read.
                        if attempt == _TRIES - 1:
                            raise _busy() from exc
                        continue
                    try:
                        yield cursor
                    except duckdb.IOException as exc:
                        raise _busy() from exc
                    return

    def _relate(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, needs: Needs) -> None:
        through = trusted_position(reading)
        # Other rules, taken over where the fold stands, make other people of the same log.
        epoch, rules = reading.read("SELECT epoch, rules FROM fold")[0]
        moment = f"{FOLD_VERSION}-{epoch}-{rules}-{through}"
        self._keep(cursor, reading, moment)
        self._relate_people(cursor)
        self._relate_events(cursor, through, needs.lens)
        self._relate_traits(cursor, reading, f"{moment} {needs.lens!r}", needs)
        self._relate_permitted(cursor, reading, needs)
        self.position = through

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        if self._engine is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._engine = reading_engine([self._lake().path, self._folder], memory_limit=self._memory_limit)
            self._known = ("", frozenset())
        return self._engine

    # -- who is who

    def _keep(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, moment: str) -> None:
        """Give which event is whose, from files of this moment; write them when there are none."""
        files = {name: self._folder / f"history-{moment}-{name}.parquet" for name in _KEPT}
        if not all(path.exists() for path in files.values()):
            self._write(cursor, reading, files)
        for name, path in files.items():
            cursor.execute(f"CREATE TEMP VIEW {name} AS {files_sql([path])}")

    def _write(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, files: Mapping[str, Path]) -> None:
        _fill(cursor, "identifier", ("identifier_id", "root_id", "is_device"), iter_identifiers(reading))
        _fill(cursor, "tenure", ("identifier_id", "from_at", "from_position", "holder_id"), iter_tenures(reading))
        _fill(cursor, "event_index", ("anchor_id", "event_at", "position"), iter_index(reading))
        # The first tenure reaches back before its claim, as part 0; of two at one instant the later in the log counts.
        cursor.execute(
            "CREATE TEMP TABLE held AS SELECT t.identifier_id, t.part, "
            f"CASE WHEN t.part = 0 THEN {_BEFORE_ALL} ELSE t.from_at END AS from_at, "
            "arg_max(i.root_id, t.from_position) AS person FROM ("
            "SELECT *, CASE WHEN row_number() OVER (PARTITION BY identifier_id ORDER BY from_at, from_position) = 1 "
            "THEN 0 ELSE from_at END AS part FROM tenure) AS t "
            "JOIN identifier AS i ON i.identifier_id = t.holder_id GROUP BY ALL"
        )
        questions = {
            "owners": (
                "SELECT e.position, coalesce(h.person, i.root_id) AS person FROM event_index AS e "
                "JOIN identifier AS i ON i.identifier_id = e.anchor_id "
                "ASOF LEFT JOIN held AS h ON h.identifier_id = e.anchor_id AND e.event_at >= h.from_at "
                "ORDER BY e.position"
            ),
            "roots": (
                "SELECT i.identifier_id, i.root_id AS person, i.identifier_id = i.root_id AND h.identifier_id IS NULL "
                "AS is_somebody FROM identifier AS i "
                "LEFT JOIN (SELECT DISTINCT identifier_id FROM tenure) AS h ON h.identifier_id = i.identifier_id "
                "ORDER BY i.identifier_id"
            ),
            "holders": "SELECT identifier_id, part, person FROM held ORDER BY identifier_id, part",
        }
        for name, path in files.items():
            half = path.with_suffix(f".{os.getpid()}.half")
            cursor.execute(f"COPY ({questions[name]}) TO '{_quoted(half)}' (FORMAT parquet, COMPRESSION zstd)")
            half.chmod(0o600)
            half.replace(path)
        for table in ("identifier", "tenure", "event_index", "held"):
            cursor.execute(f"DROP TABLE {table}")
        for path in self._folder.glob("history-*"):
            if path not in files.values():
                path.unlink(missing_ok=True)

    def _relate_people(self, cursor: "duckdb.DuckDBPyConnection") -> None:
        cursor.execute(
            f"CREATE TEMP VIEW people AS SELECT person, {profile_id_sql('person')} AS profile_id "
            "FROM roots WHERE is_somebody"
        )

    # -- what happened

    def _relate_events(self, cursor: "duckdb.DuckDBPyConnection", through: int, lens: Lens) -> None:
        columns = "position, event_at, type, name, properties" + (", body" if lens is not None else "")
        for _ in range(_TRIES):
            position, files = self._lake().moment()
            tail = self._tail(position, through)
            # The log may have been trimmed since, up to where the lake has come meanwhile.
            if self._log.first_position() <= position + 1:
                break
        else:
            raise _busy()
        rows = f"SELECT {columns} FROM ({files_sql(files)})"
        if tail is not None:
            cursor.register("arrived", tail)
            cursor.execute(f"CREATE TEMP TABLE tail AS SELECT {columns} FROM arrived")
            cursor.unregister("arrived")
            rows += f" UNION ALL SELECT {columns} FROM tail"
        kinds = ", ".join(f"'{kind}'" for kind in TYPES)
        but = ""
        if lens is not None:
            sql = f"SELECT position, body FROM ({rows}) WHERE contains(body, '\"consent')"
            refused = [at for at, body in cursor.execute(sql).fetchall() if not _allows(lens, _carried(body))]
            _fill(cursor, "refused", ("position",), [(array("q", sorted(refused)),)])
            but = " AND o.position NOT IN (SELECT position FROM refused)"
        # Only what was applied has an owner.
        cursor.execute(
            'CREATE TEMP VIEW events AS SELECT o.person, e.event_at AS "at", e.position, e.type, e.name, e.properties '
            f"FROM ({rows}) AS e JOIN owners AS o ON o.position = e.position WHERE e.type IN ({kinds}){but}"
        )

    def _tail(self, after: int, through: int) -> "Table | None":
        """Give the log's rows that the lake does not have yet, as the lake would."""
        from arro3.core import Table

        batches = []
        while after < through:
            rows = [row for row in self._log.read(after, _LOG_ROWS) if row.position <= through]
            if not rows:
                break
            after = rows[-1].position
            events = [row for row in rows if row.kind == KIND_EVENT]
            if events:
                batches.append(batch(events, [0] * len(events)))
        return Table.from_batches(batches) if batches else None

    # -- what is known

    def _relate_traits(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, moment: str, needs: Needs) -> None:
        known_at, known = self._known
        names = needs.traits
        if known_at != moment or not names <= known:
            wanted = names if known_at != moment else names | known
            self._known = ("", frozenset())
            self._read_traits(cursor, reading, wanted, needs.lens)
            self._known = (moment, wanted)

    def _read_traits(
        self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, names: frozenset[str], lens: Lens
    ) -> None:
        cursor.execute(
            "CREATE TEMP TABLE said (identifier_id BIGINT, part BIGINT, person BIGINT, name TEXT, weight BIGINT, "
            "told_at BIGINT, position BIGINT, value TEXT)"
        )
        if names:
            for told in iter_told(reading, names, lambda carried: _allows(lens, carried)):
                _add_told(cursor, [(None, one) for one in told])
            _add_told(cursor, self._corrections(cursor, reading, names))
        cursor.execute(
            "CREATE OR REPLACE TABLE traits AS SELECT person, name, value FROM ("
            "SELECT coalesce(s.person, h.person, i.person) AS person, s.name, "
            "arg_max(s.value, ROW(s.weight, s.told_at, s.position)) AS value FROM said AS s "
            "LEFT JOIN roots AS i ON i.identifier_id = s.identifier_id "
            "LEFT JOIN holders AS h ON h.identifier_id = s.identifier_id AND h.part = s.part GROUP BY ALL"
            ") AS best WHERE value <> 'null'"  # null takes a trait back
        )
        cursor.execute("DROP TABLE said")

    def _corrections(
        self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, names: frozenset[str]
    ) -> list[tuple[int | None, ToldTrait]]:
        acts = load_all_acts(reading)
        if not acts:
            return []
        ids = ", ".join(str(i) for i in sorted({identifier_id for identifier_id, _, _ in acts}))
        roots: dict[int, int] = dict(
            cursor.execute(f"SELECT identifier_id, person FROM roots WHERE identifier_id IN ({ids})").fetchall()
        )
        held: dict[tuple[int, int], int] = {
            (identifier_id, part): person
            for identifier_id, part, person in cursor.execute(
                f"SELECT identifier_id, part, person FROM holders WHERE identifier_id IN ({ids})"
            ).fetchall()
        }
        said: dict[int, list[Act]] = {}
        for identifier_id, part, act in acts:
            person = held.get((identifier_id, part), roots[identifier_id])
            said.setdefault(person, []).append(act)
        return list(corrections_of(said, names))

    def _relate_permitted(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, needs: Needs) -> None:
        cursor.execute("CREATE TEMP TABLE permitted (person BIGINT, purpose TEXT)")
        for purpose in sorted(needs.purposes):
            many = self.permits(reading, purpose, needs.at)
            roots = sorted({int(root) for (root,) in reading.read(many.otherwise, many.params)})
            _fill(cursor, "otherwise", ("person",), [(array("q", roots),)])
            which = "NOT IN" if many.is_open else "IN"
            cursor.execute(
                "INSERT INTO permitted SELECT person, ? FROM roots "
                f"WHERE is_somebody AND person {which} (SELECT person FROM otherwise)",
                [purpose],
            )
            cursor.execute("DROP TABLE otherwise")


class _Said(msgspec.Struct):
    context: Any = None


_decode_said = msgspec.json.Decoder(_Said).decode


def _carried(body: str) -> str:
    context = _decode_said(body).context
    told = context if isinstance(context, dict) else {}
    consent = told.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if not isinstance(consent, dict) and told.get("consentManagement") is None:
        return ""
    return carried_text(read_choices(preferences, told.get("consentManagement")) or {})


def _allows(lens: Lens, carried: str) -> bool:
    return lens is None or not carried or carried_allows(carried, *lens)


def needs_of(node: Condition | Value, audiences: Mapping[str, Condition], features: Mapping[str, Value]) -> Needs:
    """Say what a definition reads beside events, with what the audiences and features that it names read."""
    traits: set[str] = set()
    purposes: set[str] = set()
    waiting: list[Condition | Value] = [node]
    met: set[tuple[str, str]] = set()
    while waiting:
        told = inputs_of(waiting.pop())
        traits |= told.traits
        purposes |= told.purposes
        for kind, names, known in (("audience", told.audiences, audiences), ("feature", told.features, features)):
            for name in names:
                if (kind, name) not in met and name in known:
                    met.add((kind, name))
                    waiting.append(known[name])
    return Needs(frozenset(traits), frozenset(purposes))


def _fill(
    cursor: "duckdb.DuckDBPyConnection", table: str, names: Sequence[str], blocks: Iterable[Sequence[Any]]
) -> None:
    """Make a table of whole numbers from blocks of columns."""
    from arro3.core import Array, Table

    cursor.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{name} BIGINT' for name in names)})")
    for columns in blocks:
        if not columns[0]:
            continue
        arrays: dict[str, Any] = {name: Array.from_buffer(column) for name, column in zip(names, columns, strict=True)}
        cursor.register("block", Table.from_pydict(arrays))
        cursor.execute(f"INSERT INTO {table} SELECT * FROM block")
        cursor.unregister("block")


def _add_told(cursor: "duckdb.DuckDBPyConnection", told: Sequence[tuple[int | None, ToldTrait]]) -> None:
    from arro3.core import Array, DataType, Table

    if not told:
        return
    number, text = DataType.int64(), DataType.string()
    rows = [one for _, one in told]
    columns: dict[str, Any] = {
        "identifier_id": Array([one.identifier_id for one in rows], number),
        "part": Array([one.part for one in rows], number),
        "person": Array([person for person, _ in told], number),
        "name": Array([one.name for one in rows], text),
        "weight": Array([one.weight for one in rows], number),
        "told_at": Array([one.at for one in rows], number),
        "position": Array([one.position for one in rows], number),
        "value": Array([one.value for one in rows], text),
    }
    cursor.register("block", Table.from_pydict(columns))
    cursor.execute("INSERT INTO said SELECT * FROM block")
    cursor.unregister("block")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _busy() -> LakeBusy:
    return LakeBusy("The lake was changed while everybody was asked about. Try again.")
