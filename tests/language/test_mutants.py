"""A fault in an evaluator is told by the cases of the operators that run through it.

Faults for each operator are drawn from a fixed seed out of what answers it, first from lines that few operators share.
Each is lived with in this process while the operator's fixed cases are asked (`tests/language/table.py`), and then
those of the other operators that the function answers, and some edges that have names. `EQUAL` lists what is no fault.

Half of them are in what writes SQL, and those are judged by questions about all of an operator's people in DuckDB.

`TILLIT_MUTANTS` says how many of each operator, ten when it says nothing.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import pytest

from tests.language import test_window_edges as edges
from tests.language.asking_all import ask_all, ask_edges, write_all
from tests.language.mutants import SQL_FILES, Site, choose, kin_of, lines_run, living_with, statements_run
from tests.language.permitting import permits_of_a_town
from tests.language.table import ask, is_caught, read_costs
from tests.language_cases import OPERATORS

N_MUTANTS = int(os.environ.get("TILLIT_MUTANTS", "10"))
N_PARTS = 4  # so that two workers share them
N_WRITTEN = 3  # definitions of each operator, to see which statements write them

# Mutants that say the same as what they come from, and why; each is the beginning of a title.
_ONE_PATH = "an aggregate is of one property: the first path is the last"
_FIRST_OF = "months and years are counted on, and begin with their first day again"
_IN_STEP = "who ends later began no earlier: of those that wait the last is as good as any"
_REFUSED = "test_sql holds that groups of members are refused"
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
    "belonging.Belonging.holds: if self._is_of_member  ->  if False": _REFUSED,
    "tapes.count_value: if (at, position) > (held[V_AT], held[V_POSITION])  ->  "
    "if (at, position) >= (held[V_AT], held[V_POSITION])": "no two events have one place",
    "tapes.add_base: if (at, position) > (held[V_AT], held[V_POSITION])  ->  "
    "if (at, position) >= (held[V_AT], held[V_POSITION])": "no two events have one place",
    "tapes.value_key: return f'b{value:d}' if type(value) is bool else f'n{float(value) + 0.0!r}'  ->  "
    "return f'b{value:d}' if type(value) is bool else f'n{float(value) - 0.0!r}'": "what is kept has one zero",
}

_AS_SURE = "of a text that can be printed the quick way finds what the sure way finds, in DuckDB as in Python's JSON"
_ONE = "of one, the first is the last"
_NAMES_ONLY = "a number that only names a variable; what stands inside speaks of no other"
_NO_MATTER = "who is listed twice is listed"
_ALL_DRAWN = "every share is at least 0, and 2^-32 of people are nobody"
# Of what writes SQL: the function, what stands in the mutant, and why it asks the same.
EQUAL_IN_SQL: tuple[tuple[str, str, str], ...] = (
    ("dialects.DuckDb.equals_text", "'\"' in wanted", _AS_SURE),
    ("dialects.DuckDb.equals_text", "('\\\\' in wanted)", _AS_SURE),
    ("dialects.DuckDb.equals_text", "if False", _AS_SURE),
    ("passing._is_one_of", "texts[-1]", _ONE),
    ("passing._is_one_of", "if True", "DuckDB says that nothing is one of none"),
    ("seen.Seen._seen", "get, 1)", _NAMES_ONLY),
    ("seen.Seen._seen", "get, -1)", _NAMES_ONLY),
    ("seen.Seen._seen", "matchers[-1]", _ONE),
    ("traits.Traits._known_query", "list(", "names may come in any order"),
    ("traits.Traits.passes", "self.at, 1)", _NAMES_ONLY),
    ("traits.Traits.passes", "self.at, -1)", _NAMES_ONLY),
    ("passing._nested", "depth + 0", _NAMES_ONLY),
    ("passing._nested", "depth + 2", _NAMES_ONLY),
    ("passing._nested", "depth - 1", _NAMES_ONLY),
    ("aggregates.Aggregates._of_numbers", ":n >= 0", "DuckDB gives nothing for a division by none"),
    ("belonging.Belonging._member_counts", "self._is_of_member = False", _REFUSED),
    ("aggregates.Aggregates.value", "is_number=False", "DuckDB reads a number as it reads one in JSON"),
    ("belonging.Belonging.holds", "Told(is_number=False, sql=n)", "DuckDB reads a number as it reads one in JSON"),
    ("aggregates.Aggregates._elements", "MAX(u.e)", "of one key there is one value; the two zeros are the same number"),
    ("habits.first_time", "at + window.older_than", "`first_time` has no `older_than`"),
    ("sequences._steps", "'SELECT w.person FROM _rows AS w WHERE", _NO_MATTER),
    ("samples.sample", "if low > 1", _ALL_DRAWN),
    ("samples.sample", "if low >= 0", _ALL_DRAWN),
    ("samples.sample", "if low > -1", _ALL_DRAWN),
    ("samples.sample", "high > -1", _ALL_DRAWN),
    ("samples.sample", "if True", _ALL_DRAWN),
    ("samples.sample", "high > 1", _ALL_DRAWN),
    ("samples.sample", "high >= 0", _ALL_DRAWN),
    ("samples.sample", "high > 0 else truth(True)", "no part ends at 0"),
    ("passing._number_passes", "if True else truth(False)", "DuckDB says that nothing is one of none"),
    ("passing._number_passes", "(not len(told) == 1)", "of other tests none holds a number against one"),
    ("question._Asking.write", "if True", "a relation that nobody reads is not read"),
    ("audiences.Permissions.__call__", "epoch=", "it names events, and nobody asks which"),
)


def is_told_by_edges() -> bool:
    """Say whether the edges that have a name tell a mutant: some instants are too rare among cases."""
    try:
        edges.test_a_first_order_of_today_is_none_of_yesterday()
        edges.test_a_first_order_that_lies_ahead_is_none_yet()
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
    spoiled = site.told.partition("  ->  ")[2]
    if any(site.evaluator == function and here in spoiled for function, here, _ in EQUAL_IN_SQL):
        return True
    return any(site.title.startswith(title) for title in EQUAL)


class Chosen(NamedTuple):
    """The mutants of all operators, and the places that each operator runs through."""

    sites: dict[str, list[Site]]
    lines: dict[str, set[tuple[str, int]]]


@pytest.fixture(scope="module")
def permits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], list[str]]]:
    """Give what asks a workspace whom purposes may use: the one thing that no tape says."""
    with permits_of_a_town(tmp_path_factory.mktemp("permits") / "town") as ask_permits:
        yield ask_permits


@pytest.fixture(scope="module")
def chosen(permits: Callable[[], list[str]]) -> Chosen:
    """Choose the mutants of all operators: which lines are an operator's own shows when all have run."""
    assert permits() == []
    assert ask_edges() == []
    lines = {
        operator: lines_run(partial(ask, operator, 20)) | statements_run(partial(write_all, operator, N_WRITTEN))
        for operator in OPERATORS
    }
    lines["permitted"] |= lines_run(permits)
    often = Counter(line for told in lines.values() for line in told)
    return Chosen(
        {operator: choose(operator, told, often, N_MUTANTS, is_equal=is_equal) for operator, told in lines.items()},
        lines,
    )


def is_caught_in_sql(operator: str) -> bool:
    """Say whether an operator's questions about everybody tell a mutant from the real thing."""
    try:
        return bool(ask_all(operator))
    except Exception:  # noqa: BLE001  # whatever a mutant raises, here or in the engine
        return True


def is_caught_anywhere(
    operator: str, site: Site, chosen: Chosen, costs: Mapping[str, Mapping[str, int]], permits: Callable[[], list[str]]
) -> bool:
    """Say whether a mutant is told by its operator's cases, by an edge, or by those of another that it answers."""
    kin = kin_of(operator, site, chosen.lines)
    if site.file in SQL_FILES:
        return any(is_caught_in_sql(one) for one in (operator, "edges", *kin))
    if operator == "permitted":
        try:
            return bool(permits())
        except Exception:  # noqa: BLE001  # whatever a mutant raises
            return True
    return any(is_caught(one, costs[one]) for one in (operator, *kin)) or is_told_by_edges()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(N_PARTS))
def test_every_mutant_is_caught(part: int, chosen: Chosen, permits: Callable[[], list[str]]) -> None:
    costs = read_costs()
    alive = []
    for operator, sites in [*chosen.sites.items()][part::N_PARTS]:
        n_caught = 0
        for site in sites:
            with living_with(site):
                if is_caught_anywhere(operator, site, chosen, costs, permits):
                    n_caught += 1
                else:
                    alive.append(f"{operator}: {site.title}")
        in_sql = sum(site.file in SQL_FILES for site in sites)
        print(f"{operator:24}{n_caught:4} of {len(sites):3} caught, {in_sql:3} of them in SQL")

    assert alive == []


def test_every_operator_has_its_mutants(chosen: Chosen) -> None:
    few = {operator: len(sites) for operator, sites in chosen.sites.items() if len(sites) < N_MUTANTS}

    assert few == {}
    assert [operator for operator, sites in chosen.sites.items() if not any(s.file in SQL_FILES for s in sites)] == []
