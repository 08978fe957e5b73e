"""What is shared between definitions is found by what they say: equal is the same, and nothing else is."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.language.asking import Definitions, in_batches, record, walk
from tests.language_cases import OPERATORS, any_case, as_written
from tillit.language.live import inputs_of
from tillit.language.nodes import (
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Everybody,
    FeatureValue,
    InAudience,
    Matcher,
    Permitted,
    PropertyTest,
)
from tillit.language.nodes import (
    Test as Asked,
)
from tillit.language.reading import LanguageInvalid, read_condition
from tillit.language.tapes import Tape, add_entries, entry_of, new_document
from tillit.language.values import passes

PLAN = PropertyTest(("plan",), (Asked("equals", "pro"),))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AllOf((Everybody(),)), AnyOf((Everybody(),))),
        (AllClauses((PLAN,)), AnyClause((PLAN,))),
        (InAudience("news"), Permitted("news")),
        (InAudience("news"), FeatureValue("news")),
        (Asked("equals", True), Asked("equals", 1.0)),
        (Asked("one_of", (False, "a")), Asked("one_of", (0.0, "a"))),
    ],
)
def test_nodes_that_ask_different_things_are_not_equal(one: object, other: object) -> None:
    assert one != other
    assert len({one, other}) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"total": {"equals": 1}}, {"total": {"equals": True}}),
        ({"all": [{"a": 1}, {"b": 2}]}, {"any": [{"a": 1}, {"b": 2}]}),
        ({"not": {"a": 1}}, {"all": [{"a": 1}]}),
    ],
)
def test_definitions_that_differ_in_a_clause_keep_tapes_of_their_own(one: object, other: object) -> None:
    tapes = [inputs_of(read_condition({"event": "A", "where": clause})).tapes for clause in (one, other)]

    assert not tapes[0] & tapes[1]
    assert len({tape.tape_id for told in tapes for tape in told}) == 2


@settings(max_examples=100)
@given(operators=st.lists(st.sampled_from(list(OPERATORS)), min_size=2, max_size=5), seed=st.integers(0, 1 << 32))
def test_definitions_side_by_side_are_answered_as_each_alone(operators: list[str], seed: int) -> None:
    chance = Random(seed)
    cases = [any_case(chance, operator, n_draws=1) for operator in operators]
    # All are asked of the first one's person.
    cases = [one._replace(person=cases[0].person, strands=cases[0].strands) for one in cases]
    each = [Definitions(one.definition, one.person) for one in cases]
    together = Definitions("everybody", cases[0].person)
    together.tapes = tuple({tape for one in each for tape in one.tapes})

    shared = record(together, in_batches(cases[0], chance))

    for one, alone in zip(cases, each, strict=True):
        heard = walk(one, shared, alone)
        assert heard == walk(one, record(alone, in_batches(one, chance)), alone), as_written(one)


def test_there_is_one_zero() -> None:
    tape = Tape(Matcher("track", ("A",)), (("n",),), has_base=True, has_values=True)
    forth, back = new_document(tape), new_document(tape)
    entries = [entry_of(tape, place, place, {"n": number}) for place, number in ((1, 0.0), (2, -0.0))]
    taken = [one for one in entries if one is not None]

    add_entries(tape, forth, taken, 5)
    for entry in reversed(taken):
        add_entries(tape, back, [entry], 5)

    assert repr(forth) == repr(back)


def test_a_sample_needs_no_salt() -> None:
    assert read_condition({"sample": {"share": "10%"}}) == read_condition({"sample": {"from": 0, "until": 0.1}})


@pytest.mark.parametrize("told", ["a", ["a", "b"]])
def test_a_list_of_wanted_values_may_say_one_twice(told: object) -> None:
    assert passes(Asked("all_of", ("a", "a")), told, 0)


@pytest.mark.parametrize("unit", ["month", "quarter", "year"])
def test_a_calendar_reaches_back_100_years_at_most(unit: str) -> None:
    with pytest.raises(LanguageInvalid):
        read_condition({"event": "A", "calendar": {"unit": unit, "back": 2_000}})
