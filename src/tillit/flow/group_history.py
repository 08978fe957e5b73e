"""Group history: who belongs to which group at an instant, of everybody, for questions in SQL.

In:    a moment of the state; who holds which strand, and who may be used for a purpose, as relations.
Out:   the relations group_places and group_traits.
Never: another judgement of a place than `groups/` makes of one person.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tillit.groups import Statement, iter_sayings, iter_statements, judge_places, list_anchors, list_large
from tillit.language.groups import MOST_MEMBERS, kind_of
from tillit.language.nodes import InGroup
from tillit.profile import Act, judge_acts, load_all_acts
from tillit.records import TRUST_OPERATOR
from tillit.store import Reading

if TYPE_CHECKING:  # an outside package: loaded at its seam by those who ask about many
    import duckdb

Key = tuple[int, int]  # identifier_id, part
_PLACES = "person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN"
_TRAITS = "group_key TEXT, name TEXT, value TEXT"


def relate_groups(
    cursor: "duckdb.DuckDBPyConnection",
    reading: Reading,
    groups: Collection[InGroup],
    at: int,
    *,
    then: int | None = None,
) -> None:
    """Make the relations that questions about groups read, as of an instant; as of one before with `then`.

    As of one before, what was said since of who belongs where is left out. A group's traits are as they are today.
    Reads: roots, holders, permitted. Units: at is UTC epoch microseconds.
    """
    places = [
        (person, one.group_key, kind_of(one.group_key), one.role, one.group_key in near)
        for person, said, near in _each_persons(cursor, reading)
        for one in judge_places(said if then is None else [one for one in said if one.event_at <= then], then or at)
    ]
    _put(cursor, "group_places", _PLACES, places)
    traits = []
    # Who asks asks for one purpose.
    purpose = next((one.purpose for one in groups if one.purpose), "")
    for name in sorted({one.trait[0] for one in groups if one.trait}):
        told = list(iter_sayings(reading, name))
        person_of = _people_of(cursor, {key for _, said in told for key, _ in said})
        may = _permitted(cursor, purpose) if purpose else None
        for group_key, said in told:
            heard = next((value for key, value in said if may is None or person_of.get(key) in may), None)
            if heard is not None:
                traits.append((group_key, name, msgspec.json.encode(heard).decode()))
    _put(cursor, "group_traits", _TRAITS, traits)


def _each_persons(
    cursor: "duckdb.DuckDBPyConnection", reading: Reading
) -> Iterable[tuple[int, list[Statement], set[str]]]:
    """Give each person of whom something was said of groups, what stands of it, and the groups they are near in."""
    strands = list(iter_statements(reading))
    person_of = _people_of(cursor, {(said[0].identifier_id, said[0].part) for said in strands})
    last = {
        key: list_anchors(reading, key, after=-1, limit=MOST_MEMBERS)[-1] for key in list_large(reading, MOST_MEMBERS)
    }
    by_person: dict[int, list[Statement]] = {}
    for said in strands:
        person = person_of.get((said[0].identifier_id, said[0].part))
        if person is not None:
            by_person.setdefault(person, []).extend(said)
    gone = _taken_back(cursor, reading, strands)
    for person, told in by_person.items():
        standing = [one for one in told if one.position not in gone.get(person, ())]
        near = {one.group_key for one in standing if one.identifier_id <= last.get(one.group_key, one.identifier_id)}
        yield person, standing, near


def _taken_back(
    cursor: "duckdb.DuckDBPyConnection", reading: Reading, strands: Sequence[Sequence[Statement]]
) -> dict[int, set[int]]:
    """Give the places of what colleagues said of somebody and took back, by person."""
    if not any(one.trust == TRUST_OPERATOR for said in strands for one in said):
        return {}
    acts = load_all_acts(reading)
    person_of = _people_of(cursor, {(identifier_id, part) for identifier_id, part, _ in acts})
    by_person: dict[int, list[Act]] = {}
    for identifier_id, part, act in acts:
        person = person_of.get((identifier_id, part))
        if person is not None:
            by_person.setdefault(person, []).append(act)
    found = {}
    for person, told in by_person.items():
        retracted = judge_acts(told).retracted
        found[person] = {act.position for act in told if act.message_id in retracted}
    return found


def _people_of(cursor: "duckdb.DuckDBPyConnection", keys: Collection[Key]) -> dict[Key, int]:
    """Say whose strands these are."""
    _put(cursor, "asked", "identifier_id BIGINT, part BIGINT", sorted(keys))
    rows = cursor.execute(
        "SELECT a.identifier_id, a.part, coalesce(h.person, i.person) FROM asked AS a "
        "LEFT JOIN roots AS i ON i.identifier_id = a.identifier_id "
        "LEFT JOIN holders AS h ON h.identifier_id = a.identifier_id AND h.part = a.part"
    ).fetchall()
    cursor.execute("DROP TABLE asked")
    return {(identifier_id, part): person for identifier_id, part, person in rows if person is not None}


def _permitted(cursor: "duckdb.DuckDBPyConnection", purpose: str) -> set[int]:
    rows = cursor.execute("SELECT person FROM permitted WHERE purpose = ?", [purpose]).fetchall()
    return {person for (person,) in rows}


def _put(cursor: "duckdb.DuckDBPyConnection", table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    from arro3.core import Array, DataType, Table

    cursor.execute(f"CREATE TEMP TABLE {table} ({columns})")
    if not rows:
        return
    kinds = {"BIGINT": DataType.int64(), "TEXT": DataType.string(), "BOOLEAN": DataType.bool()}
    named = [one.rsplit(" ", 1) for one in columns.split(", ")]
    told: dict[str, Any] = {
        name: Array([row[place] for row in rows], kinds[kind]) for place, (name, kind) in enumerate(named)
    }
    cursor.register("block", Table.from_pydict(told))
    cursor.execute(f"INSERT INTO {table} SELECT * FROM block")
    cursor.unregister("block")
