"""A fault in an evaluator is told by the cases of the operators that run through it.

Faults for each operator are drawn from a fixed seed out of what answers it, first from lines that few operators share.
Each is lived with in this process while the operator's fixed cases are asked (`tests/language/table.py`), and then
those of the other operators that the function answers, and some edges that have names. `EQUAL` lists what is no fault.

`TILLIT_MUTANTS` says how many of each operator; the common suite runs a few.
"""

import os
from collections import Counter
from functools import partial

import pytest

from tests.language import test_window_edges as edges
from tests.language.mutants import Site, choose, kin_of, lines_run, living_with
from tests.language.table import ask, is_caught, read_costs
from tests.language_cases import OPERATORS

N_MUTANTS = int(os.environ.get("TILLIT_MUTANTS", "4"))

# Mutants that say the same as what they come from, and why; each is the beginning of a title.
_ONE_PATH = "an aggregate is of one property: the first path is the last"
_FIRST_OF = "months and years are counted on, and begin with their first day again"
_IN_STEP = "who ends later began no earlier: of those that wait the last is as good as any"
EQUAL: dict[str, str] = {
    "instants._begin: return day.replace(day=1)  ->  return day.replace(day=2)": _FIRST_OF,
    "instants._begin: return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)  ->  "
    "return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=2)": _FIRST_OF,
    "instants._begin: return day.replace(month=1, day=1) if unit == 'year' else day  ->  "
    "return day.replace(month=1, day=2) if unit == 'year' else day": _FIRST_OF,
    "live._MADE.first: lambda base: base[B_PATHS][0][P_FIRST][2] if base[B_PATHS][0][P_FIRST] else None  ->  "
    "lambda base: base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.first: lambda base: base[B_PATHS][0][P_FIRST][2] if base[B_PATHS][0][P_FIRST] else None  ->  "
    "lambda base: base[B_PATHS][0][P_FIRST][2] if base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.last: lambda base: base[B_PATHS][0][P_LAST][2] if base[B_PATHS][0][P_LAST] else None  ->  "
    "lambda base: base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.last: lambda base: base[B_PATHS][0][P_LAST][2] if base[B_PATHS][0][P_LAST] else None  ->  "
    "lambda base: base[B_PATHS][0][P_LAST][2] if base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.maximum: lambda base: base[B_PATHS][0][P_MAX]  ->  lambda base: base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.minimum: lambda base: base[B_PATHS][0][P_MIN]  ->  lambda base: base[B_PATHS][-1]": _ONE_PATH,
    "live._MADE.distinct: lambda base: float(len(base[B_PATHS][0][P_VALUES]))  ->  "
    "lambda base: float(len(base[B_PATHS][-1]": _ONE_PATH,
    "live._most_frequent: values = base[B_PATHS][0][P_VALUES].values()  ->  values = base[B_PATHS][-1]": _ONE_PATH,
    "live._go_on: if best and best[-1][1] <= ways[taken][1]  ->  if best": _IN_STEP,
    "live._total: held = document[BASE][B_PATHS][0]  ->  held = document[BASE][B_PATHS][-1]": _ONE_PATH,
    "live._sequence: if not person.documents(ids[0])  ->  if False": "what never began has no way in what follows",
    "live._nth: if len(within) == 1  ->  if False": "the search over several tapes finds the same in one",
    "live._nth: if len(within) == 1  ->  if len(within) == 0": "the search over several tapes finds the same in one",
    "live._frequency: kind = 2 if type(value) is str else 0 if type(value) is bool else 1  ->  "
    "kind = 2 if type(value) is str else -1": "truths come last all the same",
    "live._nth: entries, low, _ = within[0]  ->  entries, low, _ = within[-1]": "of one, the first is the last",
    "live._reach: return 0  ->  return": "what is kept apart, rather than added up, is added up in the answer",
    "live._first_time: ends, begins = (first + window.within, first + window.older_than)  ->  "
    "ends, begins = (first + window.within, first - window.older_than)": "`first_time` has no `older_than`",
    "live._go_on: if best and best[-1][1] <= ways[taken][1]  ->  if best and best[-1][1] < ways[taken][1]": _IN_STEP,
    "live._go_on: if best and (total is None or here[0] - best[0][1] <= total)  ->  "
    "if best and (total is None or here[0] - best[-1][1] <= total)": _IN_STEP,
    "live._go_on: since = apart[passed - 1] if passed else (-NEVER, 0)  ->  "
    "since = apart[passed - 1] if passed else (-NEVER, ": "the far past is before every place",
    "live._sequence: unless_id = None if node.unless is None else apart_tape(node, node.unless).tape_id  ->  "
    "unless_id = None if False": "a tape that nobody keeps is empty",
    "live.draw: return int(md5(f'{salt}:{profile_id}'.encode(), usedforsecurity=False).hexdigest()[:8], 16) / "
    "4294967296  ->  return int(md5(f'{salt}:{profile_id}'.encode(), usedforsecurity=False).hexdigest()[:8], 16) / "
    "429496729": "off by less than a drawing's step; test_window_edges holds the exact share",
    "tapes.count_value: if (at, position) > (held[V_AT], held[V_POSITION])  ->  "
    "if (at, position) >= (held[V_AT], held[V_POSITION])": "no two events have one place",
    "tapes.add_base: if (at, position) > (held[V_AT], held[V_POSITION])  ->  "
    "if (at, position) >= (held[V_AT], held[V_POSITION])": "no two events have one place",
    "tapes.value_key: return f'b{value:d}' if type(value) is bool else f'n{float(value) + 0.0!r}'  ->  "
    "return f'b{value:d}' if type(value) is bool else f'n{float(value) - 0.0!r}'": "what is kept has one zero",
}


def is_told_by_edges() -> bool:
    """Say whether the edges that have a name tell a mutant: some instants are too rare among cases."""
    try:
        edges.test_a_first_order_of_today_is_none_of_yesterday()
        edges.test_from_is_in_and_until_is_out()
        edges.test_a_visit_goes_on_over_a_pause_as_long_as_the_gap()
        edges.test_what_happens_now_does_not_come_into_a_window_that_is_over()
        edges.test_of_two_events_that_lie_ahead_the_first_is_due()
        edges.test_a_count_may_be_held_against_half_an_event()
        edges.test_of_one_list_texts_come_before_numbers_and_numbers_before_truths()
        edges.test_a_number_of_nine_millions_of_millions_is_left_out_of_sums()
        for unit in ("month", "quarter", "year"):
            edges.test_units_of_a_calendar_are_those_of_the_slow_reading("UTC", unit)
    except Exception:  # noqa: BLE001  # whatever a mutant raises
        return True
    return False


def is_equal(operator: str, site: Site) -> bool:
    """Say whether a mutant is listed as none."""
    # Of different values nobody asks how often each came, or when.
    if operator == "distinct" and ("V_AT" in site.told or "V_N" in site.told):
        return True
    return any(site.title.startswith(title) for title in EQUAL)


@pytest.fixture(scope="module")
def chosen() -> dict[str, list[Site]]:
    """Choose the mutants of all operators: which lines are an operator's own shows when all have run."""
    lines = {operator: lines_run(partial(ask, operator, 20)) for operator in OPERATORS}
    often = Counter(line for told in lines.values() for line in told)
    return {operator: choose(operator, told, often, N_MUTANTS) for operator, told in lines.items()}


@pytest.mark.slow
def test_every_mutant_is_caught(chosen: dict[str, list[Site]]) -> None:
    costs = read_costs()
    alive = []
    for operator, sites in chosen.items():
        for site in sites:
            if not is_equal(operator, site):
                with living_with(site):
                    kin = (operator, *kin_of(operator, site))
                    if not any(is_caught(one, costs[one]) for one in kin) and not is_told_by_edges():
                        alive.append(f"{operator}: {site.title}")

    assert alive == []


def test_every_operator_has_its_mutants(chosen: dict[str, list[Site]]) -> None:
    # What a function says in one line has few faults; `permitted` passes on what another room says.
    short = {"window.since_last", "regularly", "sample", "all", "any", "permitted"}

    assert {operator for operator, sites in chosen.items() if len(sites) < N_MUTANTS} <= short
    assert {operator for operator, sites in chosen.items() if not sites} == {"permitted"}
