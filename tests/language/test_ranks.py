"""L4 of orders: whom a definition that ranks takes, live, asked of all and read slowly; how it is written and said."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.audience_model import Person, chosen, drawn
from tests.engines import PostgresServer
from tests.language.asking import Definitions, Kept, in_batches, record
from tests.language.test_one_answer_in_sql import NAMED, TABLES, put
from tests.language_cases import Case, an_order, any_person
from tillit.clock import HOUR
from tillit.language.nodes import Ranked, Sample
from tillit.language.python import event, limit, top, trait
from tillit.language.ranks import (
    Places,
    compile_score,
    first_of,
    instant_for,
    is_held_out,
    members_of,
    n_kept,
    number_of,
)
from tillit.language.reading import LanguageInvalid, read_condition
from tillit.language.sentences import difference, lines, sentence
from tillit.language.sql import members_sql, places_sql
from tillit.language.values import NEVER
from tillit.language.writing import to_plain

N_PEOPLE = 12


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        yield connection


def people_of(chance: Random, told: Any) -> list[Person]:
    return [any_person(chance, told)._replace(profile_id=f"p_{number}") for number in range(N_PEOPLE)]


def kept_of(told: Any, people: list[Person], chance: Random) -> list[Kept]:
    kept = []
    for person in people:
        case = Case("order", told, person, tuple(chance.randrange(3) for _ in person.events))
        definitions = Definitions(told, person)
        kept.append(Kept(definitions, person, record(definitions, in_batches(case, chance))))
    return kept


def hold(engine: duckdb.DuckDBPyConnection, told: Any, chance: Random) -> None:
    """Hold the three readings of an order against one another, of some people; some of them may be held out."""
    hold_of(engine, told, people_of(chance, told), chance)


def hold_of(engine: duckdb.DuckDBPyConnection, told: Any, people: list[Person], chance: Random) -> None:
    """Hold them of people who are given."""
    at = max(event.logged_at for person in people for event in person.events)
    node = read_condition(told)
    assert isinstance(node, Ranked)
    first = wanted = chosen(told, people, at)
    if chance.random() < 0.4:
        node = node._replace(held=Sample("h", 0.0, 0.4))
        wanted = {one for one in first if drawn("h", one) >= 0.4}
    put(engine, people, at)
    kept = kept_of(told, people, chance)

    asked = engine.execute(members_sql(node, at, **NAMED)).fetchall()
    places = engine.execute(places_sql(node, at, **NAMED)).fetchall()
    scores = compile_score(node)

    assert {people[number].profile_id for (number,) in asked} == wanted, told
    assert members_of(node, kept, at) == wanted, told
    assert {people[number].profile_id for number, _, place, _, n in places if place <= n} == first
    assert sorted(place for _, _, place, _, _ in places) == list(range(1, len(places) + 1))
    assert {n for _, _, _, n, _ in places} <= {len(places)}
    for one in kept:
        score, until = scores(one, at)
        assert until > at
        assert scores(one, until - 1)[0] == score, "it holds until then"


@settings(max_examples=50)
@given(seed=st.integers(0, 1 << 32))
@example(seed=1)
def test_the_first_are_the_same_live_in_batch_and_read_slowly(engine: duckdb.DuckDBPyConnection, seed: int) -> None:
    chance = Random(seed)
    hold(engine, an_order(chance), chance)


def test_postgresql_is_asked_alike(postgres: PostgresServer) -> None:
    columns = ", ".join(f"('p_{number}', {number}, {score})" for number, score in enumerate((3, 1, 3, 3, 2)))
    common = (
        f"WITH told(profile_id, person, n) AS (VALUES {columns}), people AS (SELECT person, profile_id FROM told), "
        "traits AS (SELECT person, 'n' AS name, to_jsonb(n) AS value FROM told), "
    )
    for order, wanted in (
        ({"top": {"by": {"trait": "n"}, "highest": 2}}, {0, 2}),
        ({"top": {"by": {"trait": "n"}, "lowest": "41%"}}, {0, 1, 4}),
        ({"limit": {"to": 4}}, None),
    ):
        node = read_condition(order)
        assert isinstance(node, Ranked)
        for sql in (members_sql(node, 0, audiences={}, features={}, dialect="postgres"),
                    (f"SELECT person FROM ({places_sql(node, 0, audiences={}, features={}, dialect='postgres')}) AS p "
                    "WHERE place <= kept")):  # fmt: skip
            with_people = f"{common} asked AS ({sql}) SELECT person FROM asked"
            found = {person for (person,) in postgres.ask(with_people)}
            assert found == wanted if wanted is not None else len(found) == 4


def test_a_number_for_which_not_every_engine_has_room_has_no_place(engine: duckdb.DuckDBPyConnection) -> None:
    told = {"top": {"by": {"trait": "t"}, "highest": 100}}
    numbers = (1e300, -1e300, 9e299, 1e301, 0.0, -0.0)
    people = people_of(Random(1), told)
    people = [one._replace(traits={"t": number}) for one, number in zip(people, numbers, strict=False)]

    hold_of(engine, told, people, Random(2))

    assert [number_of(one) for one in numbers] == [None, None, 9e299, None, 0.0, 0.0]


def test_a_part_of_many_is_no_person_more_or_less() -> None:
    node = read_condition({"limit": {"to": "50%"}})
    assert isinstance(node, Ranked)
    assert [n_kept(node, n) for n in (0, 1, 4_000_000, 4_000_001)] == [0, 1, 2_000_000, 2_000_001]
    assert not is_held_out(node, "p_1")


def test_between_two_ticks_it_is_the_first_of_them() -> None:
    order, other = read_condition({"limit": {"to": 1, "every": "1h"}}), read_condition("everybody")
    assert [instant_for(order, at) for at in (HOUR - 1, HOUR, HOUR + 1)] == [0, HOUR, HOUR]
    assert instant_for(other, HOUR + 1) == HOUR + 1


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32))
def test_it_is_written_as_it_is_read_and_told(seed: int) -> None:
    told = an_order(Random(seed))
    node = read_condition(told)
    assert read_condition(yaml.safe_load(yaml.safe_dump(to_plain(node)))) == node
    assert difference(node, read_condition(json.loads(json.dumps(told)))) == []
    assert sentence(node).endswith("judged anew every 24 hours")
    assert lines(node)[0].text


def test_it_is_read_aloud_and_written_in_python() -> None:
    spent = event("Order Completed").within("90d").sum("total")
    best = top(spent, highest=1_000, of=trait("plan") == "pro", every="6h")
    assert sentence(best.node) == (
        "the 1,000 people with the highest value: the sum of total of Order Completed in the last 90 days, of those of "
        'whom it is so that plan is "pro", judged anew every 6 hours'
    )
    assert [row.depth for row in lines(best.node)] == [0, 1]
    drawn = limit(event("A"), to="5%", salt="spring")
    assert sentence(drawn.node).startswith("5% of them drawn at random as drawn by spring, of those of whom it is so")
    assert difference(best.node, top(spent, highest=500, of=trait("plan") == "free", every="6h").node) == [
        (
            "changed: the 1,000 people with the highest value: the sum of total of Order Completed in the last 90 "
            "days, judged anew every 6 hours → the 500 people with the highest value: the sum of total of Order "
            "Completed in the last 90 days, judged anew every 6 hours"
        ),
        'changed: plan is "pro" → plan is "free"',
    ]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"all": [{"top": {"by": {"trait": "a"}, "highest": 1}}]}, "root of an audience alone"),
        ({"not": {"limit": {"to": 1}}}, "root of an audience alone"),
        ({"top": {"of": {"limit": {"to": 1}}, "by": {"trait": "a"}, "highest": 1}}, "root of an audience alone"),
        ({"top": {"by": {"trait": "a"}}}, "say how many"),
        ({"top": {"by": {"trait": "a"}, "highest": 1, "lowest": 1}}, "one of the two"),
        ({"top": {"highest": 1}}, "what to rank by"),
        ({"top": {"by": {"trait": "a", "equals": 1}, "highest": 1}}, "not known here"),
        ({"limit": {"to": 0}}, "from 1 to"),
        ({"limit": {"to": True}}, "from 1 to"),
        ({"limit": {"to": "0%"}}, "from 1 to"),
        ({"limit": {"of": "everybody"}}, "from 1 to"),
        ({"limit": {"to": 5, "every": "30s"}}, "a minute at least"),
        ({"limit": {"to": 5, "by": {"trait": "a"}}}, "not known here"),
    ],
)
def test_what_ranks_nobody_is_refused(told: Any, why: str) -> None:
    with pytest.raises(LanguageInvalid, match=why):
        read_condition(told)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 9), st.booleans()),
        max_size=40,
    )
)
def test_places_are_those_that_were_put_last(put_or_dropped: list[tuple[int, int | None, int, bool]]) -> None:
    places = Places()
    known: dict[int, tuple[int | None, int]] = {}
    for root, score, until, is_dropped in put_or_dropped:
        if is_dropped:
            places.drop(root)
            known.pop(root, None)
        else:
            places.put(root, score, until)
            known[root] = score, until
    assert len(places) == len(known)
    assert dict(places.placed()) == {root: score for root, (score, _) in known.items() if score is not None}
    assert places.over(4) == sorted(root for root, (_, until) in known.items() if until <= 4)
    node = read_condition({"limit": {"to": 3}})
    assert isinstance(node, Ranked)
    first, n = first_of(node, places.placed(), str)
    ranked = sorted((score, str(root)) for root, (score, _) in known.items() if score is not None)
    assert (sorted(first), n) == (sorted(int(root) for _, root in ranked[:3]), len(ranked))
    assert NEVER > 4
