"""L4 of every operator, in a workspace as it is: late events, joins, cuts, withdrawals and erasures, one after another.

`tests/audience/quarter.py` lets them happen to households, and after each round holds live, batch and the third reading
against one another. Here is said how often each kind of act must have turned an answer of each operator.

There are as many rounds as it takes, and no fewer than three. `TILLIT_ROUNDS` lets more happen.
"""

from collections import Counter

import pytest

from tests.audience.quarter import CUT, ERASED, JOIN, KINDS, LATE, TIME, WITHDRAWN, live_through
from tests.language_cases import MOVING, OPERATORS

# Why an act of a kind cannot turn an answer of an operator.
_BY_ID = "who is drawn hangs on the profile's id alone"
_SAID_OF_ALL = "it asks what somebody chose, whatever they did"
NEVER: dict[tuple[str, str], str] = {
    ("sample", TIME): _BY_ID,
    ("sample", LATE): _BY_ID,
    ("sample", WITHDRAWN): _BY_ID,
    ("permitted", TIME): "these choices have no end",
    ("permitted", LATE): _SAID_OF_ALL,
    **{
        (operator, TIME): "a trait stays as it is"
        for operator in OPERATORS
        if operator.startswith("trait.") and operator.removeprefix("trait.") not in MOVING
    },
}
# Turned by time where a window ends; some have none, or one that seldom ends within a day.
AT_LEAST_ONCE = (LATE, JOIN, CUT, WITHDRAWN, ERASED)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    folder = tmp_path_factory.mktemp("quarter") / "town"
    return live_through(folder, until=lambda counts: not _missing(counts))


def _missing(counts: dict[str, Counter[str]]) -> list[tuple[str, str]]:
    wanted = [(operator, kind) for operator in OPERATORS for kind in AT_LEAST_ONCE if (operator, kind) not in NEVER]
    return [(operator, kind) for operator, kind in wanted if not counts[operator][kind]]


def test_each_kind_of_act_turns_answers_of_each_operator(counts: dict[str, Counter[str]]) -> None:
    assert _missing(counts) == []


def test_what_is_said_to_turn_no_answer_turns_none(counts: dict[str, Counter[str]]) -> None:
    assert [(operator, kind) for operator, kind in NEVER if counts[operator][kind]] == []


def test_nobody_is_asked_in_vain(counts: dict[str, Counter[str]]) -> None:
    # People here are everybody's: what is rare of a definition's own people is rarer. The fixed cases hold a fifth.
    assert [operator for operator, told in counts.items() if not 0 < told["in"] < told["pairs"]] == []
    assert {kind for told in counts.values() for kind in told} <= {*KINDS, "pairs", "in", "given", "nothing"}
