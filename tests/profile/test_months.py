"""Months: what a strand counts by source and month is the same in any order, within its bound."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.folding import new_fold, tables_of
from tests.strategies import place, row
from tillit.profile import load_person, strands
from tillit.profile.strands import month_of
from tillit.records import Permit, Scope
from tillit.workspace import find_membership_of

DAY_S = 86_400


def events(days: list[int]) -> list[Any]:
    return [
        row(i, {"type": "track", "event": "x", "userId": "ana"}, at=day * DAY_S)._replace(source="ab"[day % 2])
        for i, day in enumerate(days, start=1)
    ]


def months(rows: list[Any]) -> dict[str, dict[int, int]]:
    with new_fold() as folded:
        folded.take(rows)
        membership = find_membership_of(folded.state, "user_id:ana")
        assert membership is not None
        return load_person(
            folded.state,
            membership,
            Permit(Scope("service", 0, "test", 0, "contract", "", None, ()), "", None, None),
            epoch=1,
        ).months


@given(st.lists(st.integers(-90_000, 40_000), min_size=1, max_size=25), st.randoms())
def test_events_are_counted_by_source_and_month_whatever_their_order(days: list[int], chance: Any) -> None:
    rows = events(days)
    expected: dict[str, dict[int, int]] = {}
    for one in rows:
        counted = expected.setdefault(one.source, {})
        counted[month_of(one.event_at)] = counted.get(month_of(one.event_at), 0) + 1

    shuffled = place(chance.sample(rows, k=len(rows)))

    assert months(rows) == months(shuffled) == expected
    assert tables_of(rows)["strand"] == tables_of(rows, [slice(i, i + 1) for i in range(len(rows))])["strand"]


def test_beyond_the_bound_months_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strands, "MAX_MONTHS", 2)
    rows = events([0, 40, 80, 120, 0])

    told = months(rows)

    assert sum(n for counted in told.values() for n in counted.values()) == 5
    assert told[""] == {0: 2}
    assert tables_of(rows)["strand"] == tables_of(rows, [slice(i, i + 1) for i in range(5)])["strand"]
