"""A profile as of an instant: what had happened and had been heard by then, and nothing else."""

from typing import Any

import pytest

from tests.laws.folding import orderless
from tests.random_log import random_log
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, rfc3339
from tillit.records import NewRow
from tillit.workspace import Workspace


def as_of(ws: Workspace, who: str, at: int) -> dict[str, Any]:
    found = ws.profiles.as_of(who, at, ws.scope())
    assert found is not None
    return found


def plan(document: dict[str, Any]) -> Any:
    return document["traits"].get("plan", {}).get("value")


def test_each_instant_has_what_was_known_then(ws: Workspace, clock: Clock) -> None:
    began = clock.at
    ws.identify(user_id="ana", traits={"plan": "free"})
    clock.go_on(DAY)
    ws.identify(user_id="ana", traits={"plan": "plus"})
    clock.go_on(DAY)
    # Heard of a day after it happened: on the first day nobody knew.
    ws.identify(user_id="ana", traits={"city": "Umeå"}, timestamp=rfc3339(began + HOUR))
    ws.flush()
    first, second, third = (as_of(ws, "user_id:ana", began + n * DAY + 2 * HOUR) for n in range(3))

    assert [plan(each) for each in (first, second, third)] == ["free", "plus", "plus"]
    assert [each["n_events"] for each in (first, second, third)] == [1, 2, 3]
    assert ["city" in each["traits"] for each in (first, second, third)] == [False, False, True]
    assert as_of(ws, "user_id:ana", began - 1)["n_events"] == 0
    assert first["id"] == third["id"]


def test_corrections_count_from_when_they_were_made(ws: Workspace, clock: Clock) -> None:
    ws.identify(user_id="ana", traits={"plan": "free"})
    ws.flush()
    before = clock.at
    clock.go_on(HOUR)
    ws.profiles.correct("user_id:ana", "plan", "gold", reason="on the phone", operator="maria")
    ws.flush()

    assert plan(as_of(ws, "user_id:ana", before)) == "free"
    assert plan(as_of(ws, "user_id:ana", clock.at + 1_000)) == "gold"


@pytest.mark.parametrize("seed", [1, 2])
def test_as_of_now_is_the_profile(ws: Workspace, clock: Clock, seed: int) -> None:
    rows = random_log(seed, 600, n_people=60)
    ws.append_rows([NewRow(*row[2:-1], row.body or b"") for row in rows])
    ws.flush()
    told = [f"{name}:{value}" for name, value in ws.state.read("SELECT namespace, value FROM identifier")]

    assert len(told) > 60
    for who in told:
        document = ws.profiles.find(who, ws.scope())
        # Their instants lie before and behind the clock of this test; none lies later than a year from it.
        assert document is not None
        assert orderless(as_of(ws, who, clock.at + 365 * DAY)) == orderless(document)


def test_a_cut_holds_for_the_past_too(ws: Workspace, clock: Clock) -> None:
    ws.identify(user_id="bo", traits={"plan": "free"})
    ws.identify(user_id="ana", traits={"email": "bo@example.org"})
    ws.flush()
    then = clock.at + HOUR
    clock.go_on(DAY)
    together = as_of(ws, "email:bo@example.org", then)
    ws.identity.cut("user_id:ana", "email:bo@example.org", reason="typed the wrong address", operator="kim")
    apart = as_of(ws, "email:bo@example.org", then)

    assert together["n_events"] == 1
    assert apart["n_events"] == 0
