"""Acts that stop halfway, and acts about events that only the lake still holds: done whole, and as if nothing had been.

Each micro-batch may fail at any step of an act, because the process ends or because the state is out of reach; then it
is taken again, by another process or by the same one, whose memory must not say more than the state.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_forgetting import ANA, EMAIL, N_EXAMPLES, Killed, Shop, marked, new_shop, said, stories, told_logs
from tests.laws.test_identity_acts import act
from tests.strategies import cuts
from tillit.records import LogRow
from tillit.store import StoreUnreachable

STEPS = (
    "tillit.flow.fold.keep_act",
    "tillit.flow.fold.refold_people",
    "tillit.flow.refold.find_people",
    "tillit.flow.refold.find_positions",
    "tillit.flow.refold._clear",
    "tillit.flow.refold.index_events",
    "tillit.identity.resolve.Resolver.resolve",
    "tillit.profile.strands.StrandWriter.write",
    "tillit.flow.fold._keep_position",
)


@contextlib.contextmanager
def failing_at(step: str, error: BaseException, *, is_after: bool, passes: int) -> Iterator[None]:
    """Fail just before or just after one step, once it was passed so many times."""
    owner, _, name = step.rpartition(".")
    module, _, kind = owner.rpartition(".")
    target: Any = (
        getattr(importlib.import_module(module), kind) if kind[0].isupper() else importlib.import_module(owner)
    )
    before = getattr(target, name)
    left = [passes]

    def fail(*args: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            return before(*args, **more)
        if is_after:
            before(*args, **more)
        raise error

    with mock.patch.object(target, name, fail):
        yield


@settings(max_examples=N_EXAMPLES * 2)
@given(st.data())
def test_an_act_that_stops_halfway_is_done_whole_the_next_time(data: st.DataObject) -> None:
    rows, _ = marked(data.draw(st.one_of(stories(), told_logs())))
    with new_shop() as shop:
        for batch in data.draw(cuts(len(rows))):
            error: BaseException = data.draw(st.sampled_from([Killed(), StoreUnreachable("The server is gone.")]))
            is_after, passes = data.draw(st.booleans()), data.draw(st.integers(0, 1))
            with (
                failing_at(data.draw(st.sampled_from(STEPS)), error, is_after=is_after, passes=passes),
                contextlib.suppress(Killed, StoreUnreachable),
            ):
                shop.take(rows[batch])
            if isinstance(error, Killed):
                shop.restart()
            shop.engine.catch_up()

        assert shop.engine.fold.position == len(rows)
        assert shop.differences() == []


@settings(max_examples=N_EXAMPLES * 2)
@given(st.data())
def test_acts_fold_anew_what_only_the_lake_still_holds(data: st.DataObject) -> None:
    rows, _ = marked(data.draw(st.one_of(stories(), told_logs())))
    with new_shop() as shop:
        for batch in data.draw(cuts(len(rows))):
            shop.take(rows[batch])
            shop.trim(data.draw(st.sampled_from([0, len(rows) // 2, len(rows)])))

        assert shop.differences() == []
        assert {row.position for row in shop.lake.iter_rows(0, len(rows))} >= events_in(shop, rows)


def events_in(shop: Shop, rows: list[LogRow]) -> set[int]:
    """Give the events that the lake is to hold by now, acts among them: all but resends, up to where it is."""
    passed_over = {p for (p,) in shop.state.read("SELECT position FROM fate WHERE of_position IS NOT NULL")}
    upto = shop.log.first_position()
    return {p for p, row in enumerate(rows, 1) if row.kind == 1 and p < upto and p not in passed_over}


@pytest.mark.parametrize("step", STEPS)
def test_before_the_commit_of_a_cut_two_are_one_and_after_it_they_are_not(step: str) -> None:
    with new_shop() as shop:
        shop.take([said(1)])
        together = shop.document("email:ana@example.org")
        with failing_at(step, Killed(), is_after=True, passes=0), contextlib.suppress(Killed):
            shop.take([act(2, "cut", ANA, EMAIL)])
        still = shop.document("email:ana@example.org")
        shop.restart()
        shop.engine.catch_up()
        apart = shop.document("email:ana@example.org")

        assert still == together
        assert apart is not None
        assert apart["identifiers"] == []
        assert shop.differences() == []
