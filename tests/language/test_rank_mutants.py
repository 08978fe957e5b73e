"""A fault in what ranks people is told by the cases of `top` and `limit`.

Faults are drawn from a fixed seed out of the functions that rank, half of them in what writes SQL. Each is lived with
in this process while fixed cases are held (`tests/language/test_ranks.py`). `EQUAL` lists what is no fault.

`TILLIT_MUTANTS` says how many of each of the two, ten when it says nothing.
"""

import os
from collections.abc import Iterator
from random import Random

import duckdb
import pytest

from tests.language import test_ranks as ranks
from tests.language.mutants import SQL_FILES, Site, all_sites, living_with
from tests.language.test_one_answer_in_sql import TABLES
from tests.language.test_ranks import hold
from tests.language_cases import an_order

N_MUTANTS = int(os.environ.get("TILLIT_MUTANTS", "10"))
N_CASES = 40
WORDS = ("top", "limit")
EVALUATORS = {
    *("ranks.compile_score", "ranks.number_of", "ranks.n_kept", "ranks.is_held_out", "ranks.first_of"),
    *("ranks.members_of", "orders.first", "orders.places", "orders._order", "question._Asking.scored"),
}
_EDGE = "2^-32 of people are drawn at the edge of a part"
# The function, what stands in the mutant, and why it ranks alike.
EQUAL: tuple[tuple[str, str, str], ...] = (
    ("question._Asking.scored", "told.sql if False", "DuckDB reads a number as it reads one in JSON"),
    ("ranks.is_held_out", "held.from_share < draw", _EDGE),
    ("ranks.is_held_out", "<= held.until_share", _EDGE),
    ("ranks.first_of", "if True", "of an order that holds nobody out nobody is"),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        yield connection


def is_equal(site: Site) -> bool:
    spoiled = site.told.partition("  ->  ")[2]
    return any(site.evaluator == function and here in spoiled for function, here, _ in EQUAL)


def choose() -> list[Site]:
    sites = [site for site in all_sites() if site.evaluator in EVALUATORS and not is_equal(site)]
    found: list[Site] = []
    for is_sql in (True, False):
        some = [site for site in sites if (site.file in SQL_FILES) == is_sql]
        found += Random(f"ranks {is_sql}").sample(some, min(len(some), N_MUTANTS * len(WORDS) // 2))
    return found


def is_caught(engine: duckdb.DuckDBPyConnection) -> bool:
    try:
        for seed in range(N_CASES):
            chance = Random(f"case {seed}")
            hold(engine, an_order(chance), chance)
        ranks.test_a_number_for_which_not_every_engine_has_room_has_no_place(engine)
        ranks.test_a_part_of_many_is_no_person_more_or_less()
    except Exception:  # noqa: BLE001  # whatever a mutant raises, here or in the engine
        return True
    return False


def test_every_mutant_is_caught(engine: duckdb.DuckDBPyConnection) -> None:
    assert not is_caught(engine)
    alive = []
    for site in choose():
        with living_with(site):
            if not is_caught(engine):
                alive.append(site.title)

    assert alive == []


def test_both_evaluators_have_their_mutants() -> None:
    sites = [site for site in all_sites() if site.evaluator in EVALUATORS]

    assert {site.evaluator for site in sites} == EVALUATORS
    assert len(choose()) == N_MUTANTS * len(WORDS)
