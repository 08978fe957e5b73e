"""L4: one question over everybody's history has the answer that the slow reading has for each person.

The same definitions and people as for the live evaluator, all people of an operator in one run of DuckDB in memory.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience_model import Person, is_member, value_of
from tests.language_cases import AUDIENCES, FEATURES, OPERATORS, START, Case, any_case, as_written, turns
from tillit.clock import DAY, rfc3339
from tillit.language.groups import for_purpose
from tillit.language.reading import read_condition, read_value
from tillit.language.sql import members_sql, values_sql

N_PEOPLE = 30
N_DEFINITIONS = 1  # of each operator, people and instant
NAMED: dict[str, Any] = {
    "audiences": {name: read_condition(one) for name, one in AUDIENCES.items()},
    "features": {name: read_value(one) for name, one in FEATURES.items()},
}
TABLES = {
    "people": "person BIGINT, profile_id TEXT",
    "events": 'person BIGINT, "at" BIGINT, position BIGINT, type TEXT, name TEXT, properties JSON',
    "traits": "person BIGINT, name TEXT, value JSON",
    "permitted": "person BIGINT, purpose TEXT",
    "group_places": "person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN",
    "group_traits": "group_key TEXT, name TEXT, value JSON",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        yield connection


def put(engine: duckdb.DuckDBPyConnection, people: list[Person], at: int) -> None:
    """Write everybody into the relations, with who is permitted at an instant."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    for number, person in enumerate(_with_groups(people, rows, at)):
        rows["people"].append((number, person.profile_id))
        for event in person.events:
            told = json.dumps(event.properties, ensure_ascii=False)
            rows["events"].append((number, event.at, event.position, event.type, event.name, told))
        for name, value in person.traits.items():
            rows["traits"].append((number, name, json.dumps(value, ensure_ascii=False)))
        rows["permitted"] += [(number, purpose) for purpose, until in person.permitted.items() if at < until]
    for name, listed in rows.items():
        engine.execute(f"TRUNCATE {name}")
        if listed:
            marks = ", ".join(["(" + ", ".join("?" * len(listed[0])) + ")"] * len(listed))
            engine.execute(f"INSERT INTO {name} VALUES {marks}", [cell for row in listed for cell in row])


def _with_groups(people: list[Person], rows: dict[str, list[tuple[Any, ...]]], at: int) -> list[Person]:
    """Write everybody's groups; give these people, and behind them who else belongs to the groups."""
    beside: list[Person] = []
    for number, person in enumerate(people):
        for group, place in person.groups:
            key = f"{group.key}{number}"
            rows["group_traits"] += [(key, name, json.dumps(value)) for name, value in group.traits.items()]
            for one in (place, *group.others):
                who = number if one.who is None else len(people) + len(beside)
                beside += [one.who] if one.who is not None else []
                if one.since <= at < one.until:
                    rows["group_places"].append((who, key, key.partition(":")[0], one.role, one.is_near))
    return [*people, *beside]


def everybody(chance: Random, operator: str) -> list[Case]:
    """Draw the people of an operator, each with a definition in mind."""
    return [any_case(chance, operator, n_draws=2) for _ in range(N_PEOPLE)]


def an_instant(chance: Random, case: Case) -> int:
    """Draw an instant at which something may turn, or one beside it."""
    near = [at for at in turns(case) if START <= at < START + 12 * DAY]
    return chance.choice(near) + chance.choice((-1, 0, 0, 1)) if near else case.asked_at


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=2)
@given(seed=st.integers(0, 1 << 32))
def test_a_question_about_all_has_the_models_answer_for_each(
    engine: duckdb.DuckDBPyConnection, operator: str, seed: int
) -> None:
    chance = Random(seed)
    cases = everybody(chance, operator)

    wrong = []
    for case in cases[:N_DEFINITIONS]:
        at = an_instant(chance, case)
        cases = [one._replace(person=one.person._replace(seen_for=case.person.seen_for)) for one in cases]
        put(engine, [one.person for one in cases], at)
        node = for_purpose(read_condition(case.definition), case.person.seen_for)
        asked = members_sql(node, at, **NAMED, dialect="duckdb")
        found = {row[0] for row in engine.execute(asked).fetchall()}
        wrong += [
            f"{rfc3339(at)} SQL says {number in found}\n{as_written(one._replace(definition=case.definition))}"
            for number, one in enumerate(cases)
            if is_member(case.definition, one.person, at) != (number in found)
        ]

    assert wrong[:3] == []


@pytest.mark.parametrize("feature", FEATURES)
@settings(max_examples=2)
@given(seed=st.integers(0, 1 << 32))
def test_a_features_value_is_the_models_for_each(engine: duckdb.DuckDBPyConnection, feature: str, seed: int) -> None:
    chance = Random(seed)
    cases = everybody(chance, "feature")
    at = an_instant(chance, cases[0])
    put(engine, [one.person for one in cases], at)

    asked = engine.execute(values_sql(NAMED["features"][feature], at, **NAMED, dialect="duckdb")).fetchall()

    told = {number: None if value is None else json.loads(value) for number, value in asked}
    assert told == {number: value_of(FEATURES[feature], one.person, at) for number, one in enumerate(cases)}
