"""L4: the live evaluator says what the slow reading of all events says, whatever came in what order.

Each operator has cases of its own; see `tests/language_cases.py`, and `python -m tests.language.table` for how they
are balanced.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience_model import is_member
from tests.language.asking import (
    Definitions,
    Kept,
    differences,
    expect,
    in_batches,
    in_order,
    record,
    walk,
    written,
)
from tests.language_cases import OPERATORS, any_case, as_written, cases, fixed_cases
from tillit.language import live

N_DRAWN = 6  # of each operator and test: there are many operators
each_operator = pytest.mark.parametrize("operator", OPERATORS)


@each_operator
@settings(max_examples=N_DRAWN)
@given(data=st.data())
def test_an_answer_is_the_models_until_it_says(operator: str, data: st.DataObject) -> None:
    case, chance = data.draw(cases(operator))
    definitions = Definitions(case.definition, case.person)

    heard = walk(case, record(definitions, in_batches(case, chance)), definitions)

    assert differences(expect(case, chance), heard) == [], as_written(case)


@each_operator
def test_balanced_cases_are_answered_as_by_the_model(operator: str) -> None:
    wrong = []
    for case, chance in fixed_cases(operator, 25):
        definitions = Definitions(case.definition, case.person)
        documents = record(definitions, in_batches(case, chance))
        wrong += [
            f"{as_written(case)}\n{fault}"
            for fault in differences(expect(case, chance), walk(case, documents, definitions))
        ]

    assert wrong == []


@each_operator
@settings(max_examples=N_DRAWN)
@given(data=st.data())
def test_any_instant_may_be_asked_first(operator: str, data: st.DataObject) -> None:
    case, chance = data.draw(cases(operator))
    definitions = Definitions(case.definition, case.person)
    answers = live.compile_condition(definitions.node)
    kept = Kept(definitions, case.person, record(definitions, in_batches(case, chance)))

    asked = [(at, answers(kept, at)[0]) for at, _ in expect(case, chance, most=12)]

    assert asked == [(at, is_member(case.definition, case.person, at)) for at, _ in asked], as_written(case)


@settings(max_examples=200)
@given(operator=st.sampled_from(list(OPERATORS)), seed=st.integers(0, 1 << 32), other=st.integers(0, 1 << 32))
def test_any_order_and_any_batches_give_the_same_documents(operator: str, seed: int, other: int) -> None:
    case = any_case(Random(seed), operator, n_draws=1)
    definitions = Definitions(case.definition, case.person)

    told = written(record(definitions, in_batches(case, Random(other))))

    assert told == written(record(definitions, in_order(case))), as_written(case)


@settings(max_examples=200)
@given(operator=st.sampled_from(list(OPERATORS)), seed=st.integers(0, 1 << 32), strands=st.integers(1, 4))
def test_a_person_of_many_strands_is_answered_as_one_of_one(operator: str, seed: int, strands: int) -> None:
    chance = Random(seed)
    case = any_case(chance, operator)
    definitions = Definitions(case.definition, case.person)
    apart = case._replace(strands=tuple(chance.randrange(strands) for _ in case.strands))
    together = case._replace(strands=tuple(0 for _ in case.strands))

    heard = walk(apart, record(definitions, in_batches(apart, chance)), definitions)

    assert heard == walk(together, record(definitions, in_order(together)), definitions), as_written(apart)
