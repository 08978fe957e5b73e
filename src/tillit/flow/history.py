"""History: a definition asked of everybody, over all that happened up to where the fold is.

In:    state, lake, the tail of the log; conditions and values of the audience language.
Out:   who it holds of, the value of each, one person's events: the answer of the live evaluator.
Never: a personal value on disk, or an event that was not applied; an answer of two moments: state is read in one
       snapshot, and what came later than its position belongs to nobody in it.

A person is the root of their identifiers; a device that nobody is known to have is somebody too. An event belongs to
whoever held its strongest identifier at its time (`tillit.flow.owners`).
"""

import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tillit.audience import Lens, lens_allows
from tillit.consent import Many
from tillit.flow.fold import trusted_position
from tillit.flow.group_history import relate_groups
from tillit.flow.owners import Owners, Step, ahead, fill, register_block
from tillit.identity import profile_id_sql
from tillit.language.live import inputs_of
from tillit.language.nodes import Condition, InGroup, Value
from tillit.language.sql import TYPES, members_sql, values_sql
from tillit.profile import Act, ToldTrait, corrections_of, iter_told, load_all_acts
from tillit.records import KIND_EVENT, carried_text
from tillit.records.carried import read_choices
from tillit.store import Log, Reading, State
from tillit.store.lake import Lake, LakeBusy, answered, batch, files_sql, reading_engine

if TYPE_CHECKING:  # outside packages: loaded at their seam by those who ask about many
    import duckdb
    from arro3.core import Table

_TRIES = 3
_LOG_ROWS = 20_000  # read at once
_TOLD_AHEAD = 2  # blocks of traits that wait to be taken up: some 15 MB
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
    groups: frozenset[InGroup] = frozenset()  # what is asked about groups
    then: int | None = None  # an instant before, by what was said of groups up to it
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
        few: int = 200_000,
    ) -> None:
        """Know the stores, a folder for what is kept, and who says which people a purpose may use.

        `state` should be opened for this alone: a snapshot of it is held while a question is answered.
        `few`: see `Owners`.
        """
        self._log = log
        self._state = state
        self._lake = lake
        self._folder = folder.resolve()
        self._permits = permits
        self._memory_limit = memory_limit
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._owners = Owners(log, self._folder, dialect=state.dialect, few=few)
        self._carried_through = 0  # up to which position it is in memory what events carried of consent
        self._known: frozenset[str] = frozenset()  # names of the traits in memory
        self._stirred: set[int] = set()  # identifiers whose traits in memory may be of an earlier moment
        self._shown: tuple[frozenset[str], Lens] | None = None  # the names and the lens of the traits that are shown
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
        step = self._owners.relate(cursor, reading)
        self._relate_people(cursor)
        if not step.is_same_log:
            self._carried_through = 0
        self._relate_events(cursor, through, needs.lens)
        self._relate_traits(cursor, reading, step, needs)
        self._relate_permitted(cursor, reading, needs)
        if needs.groups:
            relate_groups(cursor, reading, needs.groups, needs.at, then=needs.then)
        self.position = through

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        if self._engine is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._engine = reading_engine([self._lake().path, self._folder], memory_limit=self._memory_limit)
            self._owners.let_go()
        return self._engine

    # -- who is who

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
            self._read_carried(cursor, rows, through)
            told = cursor.execute("SELECT DISTINCT carried FROM carrying").fetchall()
            refused = [_text(carried) for (carried,) in told if not lens_allows(lens, carried)]
            if refused:
                but = f" AND e.position NOT IN (SELECT position FROM carrying WHERE carried IN ({', '.join(refused)}))"
        # Of everything that was applied: since when somebody is known.
        cursor.execute(
            'CREATE TEMP VIEW heard AS SELECT o.person, e.event_at AS "at" '
            f"FROM ({rows}) AS e JOIN owners AS o ON o.position = e.position"
        )
        # Only what was applied has an owner.
        cursor.execute(
            'CREATE TEMP VIEW events AS SELECT o.person, e.event_at AS "at", e.position, e.type, e.name, e.properties '
            f"FROM ({rows}) AS e JOIN owners AS o ON o.position = e.position WHERE e.type IN ({kinds}){but}"
        )

    def _read_carried(self, cursor: "duckdb.DuckDBPyConnection", rows: str, through: int) -> None:
        """Bring to this moment which events carried consent, and what: no body is read twice for it."""
        after, self._carried_through = self._carried_through, 0
        if not after:
            cursor.execute("CREATE OR REPLACE TABLE carrying (position BIGINT, carried TEXT)")
        asked = cursor.execute(
            f"SELECT position, body FROM ({rows}) WHERE position > {after} AND position <= {through} "
            "AND contains(body, '\"consent')"
        )
        found: list[tuple[int, str]] = []
        while some := asked.fetchmany(_LOG_ROWS):
            found += [(position, carried) for position, body in some if (carried := _carried(body))]
        if found:
            positions, told = zip(*found, strict=True)
            register_block(cursor, {"position": array("q", positions), "carried": list(told)})
            cursor.execute("INSERT INTO carrying SELECT position, carried FROM block")
            cursor.unregister("block")
        self._carried_through = through

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

    def _relate_traits(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, step: Step, needs: Needs) -> None:
        if step.stirred != frozenset():
            self._shown = None
        if step.stirred is None:
            self._known = frozenset()
            self._stirred = set()
        elif self._known:
            self._stirred |= step.stirred
        wanted = (needs.traits, needs.lens)
        if self._shown == wanted:
            return
        self._shown = None
        self._read_traits(cursor, reading, needs.traits)
        self._show_traits(cursor, reading, needs)
        self._shown = wanted

    def _read_traits(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, names: frozenset[str]) -> None:
        """Bring to this moment what strands say of these traits, and of those that were asked for before."""
        known, stirred = self._known, self._stirred
        self._known, self._stirred = frozenset(), set()
        if not known:
            cursor.execute(
                "CREATE OR REPLACE TABLE told (identifier_id BIGINT, part BIGINT, carried TEXT, name TEXT, "
                "weight BIGINT, told_at BIGINT, position BIGINT, value TEXT)"
            )
        elif stirred:
            fill(cursor, "stirred", ("identifier_id",), (array("q", sorted(stirred)),))
            cursor.execute("DELETE FROM told WHERE identifier_id IN (SELECT identifier_id FROM stirred)")
            for columns in iter_told(reading, self._state.dialect, known, sorted(stirred)):
                _add_told(cursor, "told", columns)
        if missing := names - known:
            with ahead(iter_told(reading, self._state.dialect, missing), n_blocks=_TOLD_AHEAD) as blocks:
                for columns in blocks:
                    _add_told(cursor, "told", columns)
        self._known = known | names

    def _show_traits(self, cursor: "duckdb.DuckDBPyConnection", reading: Reading, needs: Needs) -> None:
        """Of all that was said of each person's traits take what the profile shows."""
        cursor.execute("CREATE OR REPLACE TEMP TABLE corrected AS SELECT 0::BIGINT AS person, * FROM told LIMIT 0")
        if needs.traits and (corrections := self._corrections(cursor, reading, needs.traits)):
            columns = zip(*((person, *told) for person, told in corrections), strict=True)
            _add_told(cursor, "corrected", list(map(list, columns)))
        names = ", ".join(_text(name) for name in sorted(needs.traits)) or "NULL"
        refused = [
            carried
            for (carried,) in cursor.execute("SELECT DISTINCT carried FROM told").fetchall()
            if not lens_allows(needs.lens, carried)
        ]
        but = f"AND carried NOT IN ({', '.join(map(_text, refused))})" if refused else ""
        said = "weight, told_at, position, value"
        cursor.execute(
            "CREATE OR REPLACE TABLE traits AS SELECT person, name, value FROM ("
            f"SELECT person, name, arg_max(value, ROW(weight, told_at, position)) AS value FROM ("
            f"SELECT coalesce(h.person, i.person) AS person, name, {said} FROM told AS s "
            "JOIN roots AS i ON i.identifier_id = s.identifier_id "
            "LEFT JOIN holders AS h ON h.identifier_id = s.identifier_id AND h.part = s.part "
            f"WHERE name IN ({names}) {but} "
            f"UNION ALL SELECT person, name, {said} FROM corrected"
            ") AS said GROUP BY ALL) AS best WHERE value <> 'null'"  # null takes a trait back
        )

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
            fill(cursor, "otherwise", ("person",), (array("q", roots),))
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


def needs_of(node: Condition | Value, audiences: Mapping[str, Condition], features: Mapping[str, Value]) -> Needs:
    """Say what a definition reads beside events, with what the audiences and features that it names read."""
    traits: set[str] = set()
    purposes: set[str] = set()
    groups: set[InGroup] = set()
    waiting: list[Condition | Value] = [node]
    met: set[tuple[str, str]] = set()
    while waiting:
        told = inputs_of(waiting.pop())
        traits |= told.traits
        purposes |= told.purposes
        groups |= told.groups
        for kind, names, known in (("audience", told.audiences, audiences), ("feature", told.features, features)):
            for name in names:
                if (kind, name) not in met and name in known:
                    met.add((kind, name))
                    waiting.append(known[name])
    return Needs(frozenset(traits), frozenset(purposes), groups=frozenset(groups))


def _add_told(cursor: "duckdb.DuckDBPyConnection", table: str, columns: Sequence["array[int] | list[Any]"]) -> None:
    names = (["person"] if table == "corrected" else []) + list(ToldTrait._fields)
    register_block(cursor, dict(zip(names, columns, strict=True)))
    cursor.execute(f"INSERT INTO {table} SELECT * FROM block")
    cursor.unregister("block")


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _busy() -> LakeBusy:
    return LakeBusy("The lake was changed while everybody was asked about. Try again.")
