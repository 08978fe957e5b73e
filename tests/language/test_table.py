"""The cases of each operator are worth asking: as many in as out, and answers that change for every reason."""

import pytest

from tests.language.table import Row, judge, lines, read_costs
from tests.language_cases import OPERATORS

LEAST_SHARE = 0.2
# What answers hang on besides events: there time alone changes nothing, and neither does a late event or a join.
STILL = {name for name in OPERATORS if name.startswith("trait.")} | {"sample", "permitted"}
STILL |= {"group.place", "group.trait", "group.members", "group.other"}  # on what others are and do


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [judge(operator) for operator in OPERATORS]


def test_every_answer_of_the_table_is_the_models(rows: list[Row]) -> None:
    assert [fault for row in rows for fault in row.faults] == []


def test_of_each_operators_pairs_a_fifth_is_in_and_a_fifth_out(rows: list[Row]) -> None:
    print("\n".join(lines(rows)))

    assert [row for row in rows if not LEAST_SHARE <= row.share_in <= 1 - LEAST_SHARE] == []


def test_answers_change_with_late_events_and_with_joins(rows: list[Row]) -> None:
    assert [row for row in rows if row.operator not in STILL and not (row.late and row.joined)] == []


def test_windows_end_without_an_event(rows: list[Row]) -> None:
    moving = {"window.within", "window.older_than", "window.calendar", "window.since_last", "window.session", "stopped"}
    moving |= {"first_time", "restarted", "regularly", "sequence.steps", "permitted", "trait.within_last"}

    assert [row for row in rows if row.operator in moving and not row.expiries] == []


def test_no_operator_costs_more_than_is_written_down(rows: list[Row]) -> None:
    # Counted, not timed. Who makes it cost less writes it down: python -m tests.language.table --write
    costs = read_costs()

    assert [
        (row.operator, row.looks, row.bytes, costs[row.operator])
        for row in rows
        if row.looks > costs[row.operator]["looks"] or row.bytes > costs[row.operator]["bytes"]
    ] == []
