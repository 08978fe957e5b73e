"""One definition as SQL: each operator gives the answer of the live evaluator, in DuckDB and in PostgreSQL.

In:    people with random histories, on edges; definitions that use every operator.
Out:   nothing: a difference fails.
Never: an operator that no definition here uses.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from tests.engines import PostgresServer
from tests.language.shop_of_people import NOW, TABLES, Somebody, live_members, live_values, make_people, rows_of
from tillit.language import nodes
from tillit.language.dialects import NotInSql
from tillit.language.nodes import OF_MISSING
from tillit.language.patterns import to_postgres
from tillit.language.reading import read_condition, read_value
from tillit.language.sql import UnknownName, members_sql, values_sql


class _Plain(yaml.SafeLoader):
    """YAML whose days stay texts, as JSON has them."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in told if tag != "tag:yaml.org,2002:timestamp"]
    for first, told in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def plain(text: str) -> Any:
    return yaml.load(text, _Plain)


CONDITIONS = [
    "everybody",
    "{event: A}",
    "{event: [A, B, it's]}",
    "{event: '*'}",
    "{page: '*'}",
    "{screen: [A, B]}",
    "{event: A, count: {equals: 0}}",
    "{event: A, count: {not_equals: 2}}",
    "{event: A, count: {between: [1, 3]}}",
    "{event: A, count: [1, 4]}",
    "{event: '*', count: {at_most: 3}}",
    "{event: '*', count: {less: 3, greater: 0}}",
    "{event: A, within: 30d}",
    "{event: '*', within: 1s}",
    "{event: '*', within: 90d, older_than: 30d}",
    "{event: '*', older_than: 7d, count: {at_least: 2}}",
    "{event: '*', from: 2026-08-21, until: 2026-09-21T14:13:20Z}",
    "{event: '*', until: 2026-06-01}",
    "{event: '*', from: 2026-09-21}",
    "{event: '*', from: '1970-01-01'}",
    "{event: '*', calendar: {unit: day, zone: Europe/Stockholm}}",
    "{event: '*', calendar: {unit: week, back: 1, zone: America/New_York}}",
    "{event: '*', calendar: {unit: month, back: 2, length: 2}}",
    "{event: '*', calendar: {unit: quarter}}",
    "{event: '*', calendar: {unit: year, back: 1}}",
    "{event: '*', since_last: {event: A}, count: {at_least: 1}}",
    "{event: B, since_last: {event: [A, C]}, within: 30d}",
    "{event: '*', since_last: {event: '*'}, within: 30d, count: {equals: 0}}",
    "{event: '*', session: 30m}",
    "{event: '*', session: 12h, count: {at_least: 2}}",
    "{event: [A, B, C], session: 1d}",
    "{event: '*', sum: {of: total, greater: 50}}",
    "{event: '*', sum: {of: total, equals: 0}, within: 30d}",
    "{event: '*', average: {of: total, at_least: 50}}",
    "{event: '*', average: {of: total, is_missing: true}}",
    "{event: '*', minimum: {of: total, less: 11}}",
    "{event: '*', maximum: {of: total, at_most: 99.99}}",
    "{event: '*', distinct: {of: brand, at_least: 2}}",
    "{event: '*', distinct: {of: items, equals: 0}}",
    "{event: '*', distinct: {of: brand, at_least: 2}, since_last: {event: A}}",
    "{event: '*', first: {of: brand, equals: acme}}",
    "{event: '*', last: {of: brand, not_equals: acme}}",
    "{event: '*', last: {of: brand, is_set: true}, session: 1d}",
    "{event: '*', last: {of: brand, within_last: 30d}}",
    "{event: '*', most_frequent: {of: brand, one_of: [acme, bolt]}}",
    "{event: '*', most_frequent: {of: total, equals: 50}, within: 90d}",
    "{event: '*', where: {total: 50}}",
    "{event: '*', where: {total: {greater: 50, less: 99}}}",
    "{event: '*', where: {any: [{total: 10}, {brand: acme}], not: {session: s1}}}",
    "{event: '*', where: {all: [{brand: {starts_with: a}}, {total: {at_least: 10}}]}}",
    "{event: '*', where: {nested.total: {greater: 50}}}",
    "{event: '*', where: {nested.total: {is_missing: true}}}",
    "{event: '*', where: {nested.deep.x: b}}",
    "{event: '*', where: {items.0: {is_set: true}}}",
    "{event: '*', where: {property: ['odd\".*\\'], is_set: true}}",
    "{event: '*', where: {property: ['0'], is_set: true}}",
    "{event: '*', where: {items: {some: {sku: a, price: 20}}}}",
    "{event: '*', where: {items: {every: {price: {at_most: 20}}}}}",
    "{event: '*', where: {items: {none: {sku: [a, b]}}}}",
    "{event: '*', where: {items: {some: {not: {price: '20'}}}}}",
    "{event: '*', where: {nested.deep.x: {some: {y: 2}}}}",
    "{first_time: {event: '*', within: 30d}}",
    "{first_time: {event: B, within: 90d}}",
    "{first_time: {event: A, from: 2026-06-01, until: 2026-09-01}}",
    "{first_time: {event: '*', calendar: {unit: month}}}",
    "{stopped: {event: '*', quiet: 7d, active: 60d}}",
    "{restarted: {event: '*', within: 7d, quiet: 30d}}",
    "{restarted: {event: A, within: 90d, quiet: 1d}}",
    "{regularly: {event: '*', every: 30d, at_least: 2, of: 4}}",
    "{regularly: {event: A, every: 1d, at_least: 1, of: 2}}",
    "{sequence: {steps: [{event: A}, {event: B}], within: 90d}}",
    "{sequence: {steps: [{event: '*'}, {event: '*'}, {event: '*'}], within: 90d, total: 30d}}",
    "{sequence: {steps: [{event: '*'}, {event: '*', within: 1d}], within: 90d}}",
    "{sequence: {steps: [{event: A}, {event: '*', without: {event: B}}, {event: C, within: 30d}], within: 90d}}",
    "{sequence: {steps: [{event: '*'}, {event: '*', without: {event: '*'}}], within: 30d, same: brand}}",
    "{sequence: {steps: [{event: '*'}, {event: '*'}], within: 90d, same: [session, brand]}}",
    "{sequence: {steps: [{event: '*'}, {event: '*'}], within: 90d, same: total, total: 7d}}",
    "{sequence: {steps: [{event: A}], within: 90d, unless: {event: B, within: 30d}}}",
    "{sequence: {steps: [{event: '*'}, {event: A}], within: 90d, unless: {event: '*', within: 1d}}}",
    "{sequence: {steps: [{event: '*', where: {total: 50}}, {event: '*', where: {brand: bolt}}], within: 90d}}",
    "{all: [{event: A}, {not: {event: B}}, {trait: plan, equals: pro}]}",
    "{any: [{event: A, within: 1d}, {trait: plan, equals: free}]}",
    "{not: {any: [{event: A}, {event: B}]}}",
    "{audience: buyers}",
    "{not: {audience: quiet}}",
    "{feature: spent, greater: 50}",
    "{feature: favourite, is_missing: true}",
    "{feature: plan, equals: pro}",
    "{permitted: news}",
    "{all: [{permitted: ads}, {not: {permitted: news}}]}",
    "{sample: {share: 50%, salt: it's}}",
    "{sample: {from: 0.25, until: 0.75, salt: b}}",
    "{sample: {share: 1.0, salt: c}}",
    "{group: '*'}",
    "{group: {kind: household, role: [admin, owner]}}",
    "{group: {kind: account, trait: plan, equals: pro}}",
    "{group: {trait: plan, is_missing: true}}",
    "{group: {kind: account, trait: renews.on, before: '2026-01-01'}}",
    "{group: {kind: household, members: {at_least: 3}}}",
    "{group: {kind: household, member: {event: A, within: 30d}, others_only: true}}",
    "{group: {kind: household, member: {trait: plan, equals: pro}, count: {at_least: 2}}}",
    "{group: {member: {sequence: {steps: [{event: A}, {event: B}], within: 90d}}, count: 0}}",
    "{group: {kind: account, trait: plan, equals: pro, members: {less: 9}, member: {audience: buyers}, count: 1}}",
]
WANTED: dict[str, list[Any]] = {
    "equals": ["EUR", 1, 50, True, False, "", 'say "hi"', "back\\slash", "new\nline", "null", 0, "Zoë", "1"],
    "not_equals": ["a", 2, True],
    "greater": [0, 50],
    "at_least": [50.5, -0.0],
    "less": [1],
    "at_most": [0.1],
    "between": [[0, 2], [-3, -3]],
    "one_of": [["a", "b", 1, True], [False], ["1", "2"], [0.1, 0.2]],
    "none_of": [["a", 50], [0]],
    "all_of": [["a"], ["a", 1], ["a", "a"], [1, True]],
    "contains": ["a", "ack\\s", "%", "_", '"'],
    "not_contains": ["a"],
    "starts_with": ["E", "2026", "new\nl"],
    "ends_with": ["b", "Z", "x"],
    "matches": ["^a", "a$", "^[a-zA-Z]{1,2}$", r"\d{4}-\d\d", "w.l", r"^\s*$", "(EU|ac)R?", "x{5,9}?$", "[^a-z]"],
    "before": ["2026-09-21", "2026-09-21T14:13:20.123456Z", "0001-01-01"],
    "after": ["2024-02-28T23:59:59.999999Z", "2026-09-20"],
    "within_last": ["1d", "1y", "1s"],
    "more_than_ago": ["1s", "1d", "1y"],
    "within_next": ["1s", "1d"],
    "is_set": [True, False],
    "is_missing": [True],
}
PATHS = ("renews", "address.sku", "tags.0")
VALUES = [
    *(f"{{event: '*', {kind}: total}}" for kind in nodes.AGGREGATES if kind != "count"),
    *(f"{{event: '*', {kind}: items}}" for kind in ("distinct", "first", "last", "most_frequent", "sum")),
    *(f"{{event: [A, B], {kind}: brand, within: 90d}}" for kind in ("distinct", "first", "last", "most_frequent")),
    "{event: '*', count: true}",
    "{event: '*', where: {brand: acme}, count: true, session: 1d}",
    "{trait: plan}",
    "{trait: address.sku}",
    "{trait: [a.b]}",
    "{feature: spent}",
    "{feature: favourite}",
]
AUDIENCES = {
    "buyers": read_condition(plain("{event: 'Order Completed', where: {total: {at_least: 50}}}")),
    "quiet": read_condition(plain("{not: {event: '*', within: 30d}}")),
}
FEATURES = {
    "spent": read_value(plain("{event: '*', sum: total, within: 90d}")),
    "favourite": read_value(plain("{event: '*', most_frequent: brand}")),
    "plan": read_value(plain("{trait: plan}")),
}
NAMED: dict[str, Any] = {"audiences": AUDIENCES, "features": FEATURES}


def conditions() -> list[nodes.Condition]:
    found = [read_condition(plain(text)) for text in CONDITIONS]
    for op, wanted in WANTED.items():
        for n, one in enumerate(wanted):
            found += [read_condition({"trait": path, op: one}) for path in (("score", "tags"), PATHS)[n % 2]]
            if op not in ("within_last", "more_than_ago", "within_next"):
                name = ("brand", "items")[n % 2]
                found.append(read_condition({"event": "*", "where": {name: {op: one}}}))
            if n == 0:
                found.append(read_condition({"event": "*", "last": {"of": "total", op: one}}))
    return found


class Desk:
    """An engine with the relations of some people, which answers in rows."""

    def __init__(self, dialect: str, people: list[Somebody], ask: Any) -> None:
        self.dialect = dialect
        self.people = people
        self.ask = ask

    def members(self, node: nodes.Condition) -> list[int]:
        return [person for (person,) in self.ask(members_sql(node, NOW, dialect=self.dialect, **NAMED))]

    def values(self, node: nodes.Value) -> dict[int, Any]:
        rows = self.ask(values_sql(node, NOW, dialect=self.dialect, **NAMED))
        found = {person: None if value is None else json.loads(value) for person, value in rows}
        assert len(found) == len(rows)
        return found


@pytest.fixture(scope="module")
def duck() -> Iterator[Desk]:
    with duckdb.connect() as engine:
        people = make_people(seed=7, n=120)
        for table in TABLES:
            engine.execute(table)
        for name, rows in rows_of(people).items():
            engine.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        yield Desk("duckdb", people, lambda sql: engine.execute(sql).fetchall())


@pytest.fixture(scope="module")
def elephant(postgres: PostgresServer) -> Iterator[Desk]:
    with psycopg.connect(postgres.address) as connection:
        people = make_people(seed=8, n=60)
        for table in TABLES:
            connection.execute(table.replace("TABLE", "TEMP TABLE").encode())
        for name, rows in rows_of(people).items():
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(rows[0]))})".encode(), rows)
        yield Desk("postgres", people, lambda sql: connection.execute(sql.encode()).fetchall())


def judged(desk: Desk) -> list[tuple[nodes.Condition, list[int], set[int]]]:
    """Ask each condition of SQL and live."""
    return [(node, desk.members(node), live_members(node, desk.people, **NAMED)) for node in conditions()]


def differences(answers: list[tuple[nodes.Condition, list[int], set[int]]]) -> list[str]:
    return [
        f"{node}: {sorted(wanted ^ set(found))} of {len(wanted)}"
        for node, found, wanted in answers
        if sorted(found) != sorted(wanted)
    ]


def value_differences(desk: Desk) -> Iterator[str]:
    for text in VALUES:
        node = read_value(plain(text))
        found = desk.values(node)
        for person, value in live_values(node, desk.people, **NAMED).items():
            if found[person] != value or isinstance(found[person], bool) != isinstance(value, bool):
                yield f"{text}: {person} has {value!r:.60}, in SQL {found[person]!r:.60}"


def test_every_condition_holds_in_duckdb_of_whom_it_holds_live(duck: Desk) -> None:
    answers = judged(duck)
    assert differences(answers) == []

    # A definition that holds of nobody, or of all, would hide a difference.
    n_telling = sum(0 < len(wanted) < len(duck.people) for _, _, wanted in answers)
    assert n_telling > 0.7 * len(answers)


def test_every_condition_holds_in_postgresql_of_whom_it_holds_live(elephant: Desk) -> None:
    assert differences(judged(elephant)) == []


def test_every_value_is_the_same_in_duckdb(duck: Desk) -> None:
    assert not list(value_differences(duck))


def test_every_value_is_the_same_in_postgresql(elephant: Desk) -> None:
    assert not list(value_differences(elephant))


def test_every_operator_is_asked_for() -> None:
    assert set(WANTED) == set(OF_MISSING)
    told = repr([read_condition(plain(text)) for text in CONDITIONS])
    for name, kind in vars(nodes).items():
        if name == "Ranked":
            continue  # of everybody at once: tests/language/test_ranks.py
        if isinstance(kind, type) and issubclass(kind, tuple) and kind.__module__ == nodes.__name__:
            assert f"{name}(" in told, name
    for kind in nodes.AGGREGATES:
        assert f"kind='{kind}'" in told
    for unit in nodes.UNITS:
        assert f"unit='{unit}'" in told


def test_a_definition_that_is_part_of_itself_is_refused() -> None:
    one = read_condition({"audience": "one"})
    with pytest.raises(UnknownName, match="part of itself"):
        members_sql(one, NOW, audiences={"one": one}, features={})
    with pytest.raises(UnknownName, match="not defined"):
        members_sql(one, NOW, audiences={}, features={})


@pytest.mark.parametrize("pattern", ["(?i)a", r"\bx", r"\pL", "[[:alpha:]]", "a{300}", "(?P<n>a)", r"\Aa"])
def test_what_postgresql_reads_otherwise_is_refused(pattern: str) -> None:
    node = read_condition({"trait": "plan", "matches": pattern})
    assert to_postgres(pattern) is None
    with pytest.raises(NotInSql):
        members_sql(node, NOW, dialect="postgres", **NAMED)


def test_no_question_asks_an_engine_for_the_time() -> None:
    for dialect in ("duckdb", "postgres"):
        told = " ".join(
            members_sql(node, NOW, dialect=dialect, **NAMED)
            for node in [read_condition(plain(text)) for text in CONDITIONS]
        ).upper()
        for word in ("TIMESTAMP", "INTERVAL", "CURRENT_", "NOW(", "DATE", "EPOCH"):
            assert word not in told


def test_what_groups_of_members_are_is_refused_also_by_what_is_named() -> None:
    nested = read_condition({"group": {"kind": "household", "member": {"audience": "one"}}})
    one = read_condition({"group": "account"})
    with pytest.raises(UnknownName, match="asks about groups in turn"):
        members_sql(nested, NOW, audiences={"one": one}, features={})
