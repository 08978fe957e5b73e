"""The product's answers about everybody: the people of an operator's fixed cases, asked in SQL of DuckDB in memory.

In:    an operator; how many of its definitions, each with one instant.
Out:   whom each definition holds of, by DuckDB and by the third reading.
Never: relations built twice: each operator's people stand in a schema of their own for as long as the process lives.
"""

from __future__ import annotations

import json
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import duckdb

from tests.audience_model import DAY, HOUR, Event, Person, is_member
from tests.language_cases import AUDIENCES, FEATURES, OPERATORS, START, as_written, fixed_cases
from tillit.clock import rfc3339
from tillit.language.groups import for_purpose, kind_of
from tillit.language.reading import read_condition, read_value
from tillit.language.sql import UnknownName, members_sql

N_PEOPLE = 40
N_ASKED = 16  # definitions, each at one instant
TABLES = {
    "people": "person BIGINT, profile_id TEXT",
    "events": 'person BIGINT, "at" BIGINT, position BIGINT, type TEXT, name TEXT, properties JSON',
    "traits": "person BIGINT, name TEXT, value JSON",
    "permits": "person BIGINT, purpose TEXT, until BIGINT",
    "moment": "now BIGINT",
    "belonging": "person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN, since BIGINT, until BIGINT",
    "group_traits": "group_key TEXT, name TEXT, value JSON",
}
VIEWS = {
    "permitted": "SELECT person, purpose FROM permits, moment WHERE now < until",
    "group_places": "SELECT person, group_key, kind, role, is_near FROM belonging, moment "
    "WHERE since <= now AND now < until",
}
NAMED: dict[str, Any] = {
    "audiences": {name: read_condition(one) for name, one in AUDIENCES.items()},
    "features": {name: read_value(one) for name, one in FEATURES.items()},
}


# What is too rare among fixed cases, each with the properties of somebody's one event, which are their traits as well:
# names and texts that are written otherwise, days long ago, tests of a number that no number passes, the last
# microsecond of a window.
_ODD = 'a"b\\c'
_DAY_AFTER = "2026-03-29"  # the day after START
EDGES: tuple[tuple[Any, dict[str, Any]], ...] = (
    ({"event": "A", "where": {"property": [_ODD], "equals": 1}}, {_ODD: 1}),
    ({"event": "A", "where": {"property": ["o", _ODD], "equals": 1}}, {"o": {_ODD: 1}}),
    *(
        ({"event": "A", "where": {"p": {"equals": one}}}, {"p": one})
        for one in (_ODD, 'a"b', "a\\b", "a\tb", "a\x1fb", "Å")
    ),
    ({"trait": "t", "equals": "Å"}, {"t": "Å"}),
    ({"event": "A", "where": {"p": {"before": "2026-01-01"}}}, {"p": "0001-02-03"}),
    *(
        ({"event": "A", "where": {"p": {"before": "2026-01-01"}}}, {"p": f"{year}-02-29"})
        for year in (1900, 2000, 2024)
    ),
    ({"event": "A", "where": {"p": {"after": "2026-02-14"}}}, {"p": "2026-02-15"}),
    ({"event": "A", "where": {"p": {"before": "2026-02-16"}}}, {"p": "2026-02-15"}),
    *(({"event": "A", "count": test}, {}) for test in ({"all_of": [1]}, {"all_of": [1, 2]}, {"contains": "1"})),
    *(({"event": "A", "count": test}, {}) for test in ({"equals": "a"}, {"none_of": ["a"]}, {"starts_with": "1"})),
    ({"event": "A", "sum": {"of": "p", "at_least": 0.000002}}, {"p": 0.0000015}),
    ({"event": "A", "most_frequent": {"of": "p", "equals": True}}, {"p": [True, False]}),
    ({"all": [{"audience": "buyers"}, {"not": {"audience": "quiet"}}, {"audience": "buyers"}]}, {}),
    ({"all": [{"feature": "often", "equals": 1}, {"feature": "often", "less": 2}]}, {}),
    ({"all": [{"event": "A", "distinct": {"of": "p", test: 1}} for test in ("at_least", "at_most")]}, {"p": "a"}),
    ({"all": [{"group": {"member": {"event": one}}} for one in "AB"]}, {}),
    ({"sample": {"from": 0.9999999999, "until": 1}}, {}),
    ({"event": "A", "calendar": {"unit": "day", "back": 1}}, {}),
    ({"first_time": {"event": "A", "calendar": {"unit": "day", "back": 1}}}, {}),
    ({"first_time": {"event": "A", "until": _DAY_AFTER}}, {}),
    ({"first_time": {"event": "A", "from": _DAY_AFTER}}, {}),
)


class Question(NamedTuple):
    """A definition at an instant, and whom the third reading says it holds of."""

    told: Any
    node: Any
    at: int
    expected: frozenset[int]


@lru_cache(maxsize=1)
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1})


@lru_cache(maxsize=100)
def questions(operator: str) -> list[Question]:
    """Give what is asked about an operator's people; they stand in its schema from then on."""
    cases = [case for case, _ in fixed_cases(operator, max(N_PEOPLE, N_ASKED))]
    people = [case.person for case in cases[:N_PEOPLE]]
    _put(operator, people)
    chance = Random(operator)
    found = []
    for case in cases[:N_ASKED]:
        # On an edge, beside one, or when the last row had come.
        beside = chance.choice((-1, 0, 0, 0, 1))
        edge = chance.choice(case.person.events).at + chance.choice((0, 6, 12, 24, 36, 48, 72)) * HOUR
        at = case.asked_at if chance.random() < 0.4 else edge + beside
        seen_for = case.person.seen_for
        seen = [person._replace(seen_for=seen_for) for person in people]
        expected = frozenset(n for n, person in enumerate(seen) if is_member(case.definition, person, at))
        found.append(Question(case.definition, for_purpose(read_condition(case.definition), seen_for), at, expected))
    return found


def _put(operator: str, people: list[Any]) -> None:
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    for n, person in enumerate([*people, *_beside(people, rows)]):
        rows["people"].append((n, person.profile_id))
        rows["events"] += [(n, *one[:4], json.dumps(one.properties)) for one in person.events]
        rows["traits"] += [(n, name, json.dumps(value)) for name, value in person.traits.items()]
        rows["permits"] += [(n, purpose, until) for purpose, until in person.permitted.items()]
    rows["moment"].append((0,))
    engine, schema = _engine(), _schema(operator)
    engine.execute(f"CREATE SCHEMA {schema}")
    engine.execute(f"SET schema = '{schema}'")
    for name, columns in TABLES.items():
        engine.execute(f"CREATE TABLE {name} ({columns})")
        if rows[name]:
            marks = ", ".join(["(" + ", ".join("?" * len(rows[name][0])) + ")"] * len(rows[name]))
            engine.execute(f"INSERT INTO {name} VALUES {marks}", [cell for row in rows[name] for cell in row])
    for name, told in VIEWS.items():
        engine.execute(f"CREATE VIEW {name} AS {told}")


def _beside(people: list[Person], rows: dict[str, list[tuple[Any, ...]]]) -> list[Person]:
    """Write everybody's groups; give who else belongs to them, who come behind these people."""
    beside: list[Person] = []
    for n, person in enumerate(people):
        for group, place in person.groups:
            key = f"{group.key}{n}"
            rows["group_traits"] += [(key, name, json.dumps(value)) for name, value in group.traits.items()]
            for one in (place, *group.others):
                who = n if one.who is None else len(people) + len(beside)
                beside += [one.who] if one.who is not None else []
                rows["belonging"].append((who, key, kind_of(key), one.role, one.is_near, one.since, one.until))
    return beside


def _schema(operator: str) -> str:
    return f"s{list(OPERATORS).index(operator)}" if operator in OPERATORS else operator


def ask_all(operator: str, n: int | None = None) -> list[str]:
    """Ask an operator's questions, or the `edges`; say where the first answer that is wrong is wrong."""
    if operator == "edges":
        return ask_edges()
    asked = questions(operator)[:n]
    engine = _engine()
    engine.execute(f"SET schema = '{_schema(operator)}'")
    for one in asked:
        engine.execute("UPDATE moment SET now = ?", [one.at])
        rows = engine.execute(members_sql(one.node, one.at, **NAMED)).fetchall()
        found = {person for (person,) in rows if person < N_PEOPLE}
        if found != one.expected:
            person = min(found ^ one.expected)
            case = fixed_cases(operator, person + 1)[person][0]._replace(definition=one.told)
            return [f"{rfc3339(one.at)} SQL says {person in found}\n{as_written(case)}"]
    return []


def ask_edges() -> list[str]:
    """Ask what is too rare among fixed cases; say where an answer is wrong."""
    asked = _edges()
    engine = _engine()
    engine.execute("SET schema = 'edges'")
    refused = ({"audience": "round"}, {"audience": "unheard-of"}, {"feature": "unheard-of", "equals": 1})
    wrong = [str(told) for told in refused if not _is_refused(told)]
    for one in asked:
        found = {person for (person,) in engine.execute(members_sql(one.node, one.at, **NAMED)).fetchall()}
        wrong += [str(one.told)] * (found != one.expected)
    return wrong


def _is_refused(told: Any) -> bool:
    try:
        members_sql(read_condition(told), START, audiences={"round": read_condition(told)}, features={})
    except UnknownName:
        return True
    return False


@lru_cache(maxsize=1)
def _edges() -> list[Question]:
    people = [
        Person(f"p_{n}", (Event(at, 1, "track", "A", properties, at),), properties, {}, AUDIENCES, FEATURES)
        for n, properties in enumerate(properties for _, properties in EDGES)
        for at in (START - 1, START, START + DAY - 1, START + DAY)
    ]
    _put("edges", people)
    asked = []
    for told, _ in EDGES:
        for at in (START + DAY + HOUR, *((START + HOUR,) if "calendar" in str(told) else ())):
            expected = frozenset(n for n, person in enumerate(people) if is_member(told, person, at))
            asked.append(Question(told, read_condition(told), at, expected))
    return asked


def write_all(operator: str, n: int) -> None:
    """Write some of an operator's questions as SQL, and ask nobody."""
    for one in questions(operator)[:n]:
        members_sql(one.node, one.at, **NAMED)
