"""Audiences that rank everybody: chosen at ticks and kept between them, live as in batch as in the slow reading.

`top` and `limit` are of everybody at once, and so they are none of the operators of `tests/language_cases.py`: here and
in `tests/language/test_ranks.py` they have cases of their own, in `tests/language/test_rank_mutants.py` faults.
"""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.quarter import PURPOSES
from tests.audience.shop import Town
from tests.audience.slow_reading import File, everybody, taken
from tests.audience.test_crashes import fold_and_kill, pour
from tests.audience.test_laws import USERS, Act, acts, events, waits
from tests.still_clock import Clock
from tillit import clock as clock_module
from tillit.audience import AudienceInvalid, write_ranking
from tillit.clock import DAY, HOUR, SECOND, instant
from tillit.consent import Choice
from tillit.errors import NotFound
from tillit.flow.audiences import Judging
from tillit.identity import profile_id
from tillit.language.live import draw
from tillit.records import KIND_EVENT

ORDERS = {"event": "Order Completed"}
SPENT = {**ORDERS, "sum": "total"}
PAID = {**ORDERS, "last": "total"}  # nothing for those who never bought


@pytest.fixture
def town(tmp_path: Path, clock: Clock) -> Iterator[Town]:
    with Town(tmp_path / "town", clock) as town:
        yield town


def buy(town: Town, who: str, total: Any, ago: int = 0) -> None:
    told = {"type": "track", "event": "Order Completed", "userId": who, "properties": {"total": total}}
    town.say(told, ago)


def settle(town: Town) -> None:
    town.clock.go_on(SECOND)
    town.ws.flush()


def root_of(town: Town, who: str) -> int:
    found = town.ws.audiences.membership(f"user_id:{who}")
    return min(one.identifier_id for one in found.identifiers if profile_id(one.identifier_id) == found.profile_id)


def members(town: Town, name: str) -> set[int]:
    return {one.root_id for one in town.ws.memberships.members(name, limit=1_000)}


def named(town: Town, name: str, *who: str) -> set[str]:
    held = members(town, name)
    return {one for one in who if root_of(town, one) in held}


def next_day(town: Town) -> None:
    town.wait(DAY - town.clock.at % DAY)
    settle(town)


WHO = ("ana", "bo", "cem", "dag", "eva")


def test_the_first_are_in_until_the_next_tick_which_comes_on_an_idle_log(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, 10 * (number + 1))
    town.put("best", {"top": {"by": PAID, "highest": 2}})
    settle(town)
    assert named(town, "best", *WHO) == {"dag", "eva"}
    buy(town, "ana", 500)
    settle(town)
    assert named(town, "best", *WHO) == {"dag", "eva"}, "between ticks nobody enters or leaves"
    found = town.ws.audiences.check("best")
    assert (found["is_stale"], found["only_batch"]) == (True, 0), "as of the instant before"
    next_day(town)
    assert named(town, "best", *WHO) == {"ana", "eva"}
    found = town.ws.audiences.check("best")
    assert (found["is_stale"], found["only_live"], found["only_batch"]) == (False, 0, 0)
    as_of = instant(found["as_of"]) or 0
    assert as_of % DAY < 10 * SECOND
    changes = [(one.kind, one.cause) for one in town.ws.audiences.changes(name="best")]
    assert changes == [("enter", "edit"), ("enter", "edit"), ("exit", "rank"), ("enter", "rank")]
    assert town.ws.audiences.health("best").words == "Everybody is ranked anew every 24 hours."


def test_a_value_in_a_window_moves_people_with_time_alone(town: Town) -> None:
    buy(town, "ana", 100, ago=6 * DAY)
    buy(town, "bo", 50)
    town.put("best", {"top": {"by": {**SPENT, "within": "7d"}, "highest": 1, "every": "6h"}})
    settle(town)
    assert named(town, "best", *WHO[:2]) == {"ana"}
    for _ in range(5):
        town.wait(6 * HOUR)
        settle(town)
    assert named(town, "best", *WHO[:2]) == {"bo"}
    town.look()


def test_who_stands_equal_is_told_apart_by_id_and_who_has_no_number_is_not_ranked(town: Town) -> None:
    for who, total in zip(WHO, (7, 7.0, 7, "7", None), strict=True):
        buy(town, who, total)
    for name, definition in {
        "two": {"top": {"by": PAID, "highest": 2}},
        "low": {"top": {"by": PAID, "lowest": 2}},
        "all": {"top": {"by": PAID, "highest": 99}},
        "part": {"top": {"by": PAID, "highest": "34%"}},
    }.items():
        town.put(name, definition)
    settle(town)
    ids = sorted((profile_id(root_of(town, who)), root_of(town, who)) for who in WHO[:3])
    equal = [root for _, root in ids]
    assert members(town, "two") == members(town, "low") == set(equal[:2])
    assert members(town, "all") == set(equal)
    assert members(town, "part") == set(equal[:2]), "34% of three is one and a part of another"
    town.look()


def test_a_limit_draws_the_same_people_and_fills_up(town: Town) -> None:
    for who in WHO:
        buy(town, who, 1)
    town.put("some", {"limit": {"of": ORDERS, "to": 3, "salt": "spring", "every": "1h"}})
    settle(town)
    by = sorted(WHO, key=lambda who: draw("spring", profile_id(root_of(town, who))))
    assert named(town, "some", *WHO) == set(by[:3])
    town.erase(f"user_id:{by[0]}")
    settle(town)
    assert named(town, "some", *by[1:]) == set(by[1:3]), "nobody takes a place between ticks"
    town.wait(HOUR)
    settle(town)
    assert named(town, "some", *by[1:]) == set(by[1:4])
    town.look()


def test_two_who_become_one_keep_one_place(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    town.put("best", {"top": {"by": PAID, "highest": 2}})
    settle(town)
    town.join("user_id:dag", "user_id:ana")
    town.join("user_id:eva", "user_id:ana")
    settle(town)
    assert named(town, "best", *WHO) == {"ana", "dag", "eva"}
    assert len(members(town, "best")) == 1
    assert {one.kind for one in town.ws.audiences.changes(name="best")} == {"enter", "move"}
    next_day(town)
    town.look()
    assert len(members(town, "best")) == 2


def test_an_edit_is_judged_at_once_and_who_is_retired_is_left_by_all(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    town.put("best", {"top": {"by": PAID, "highest": 1}})
    settle(town)
    town.put("best", {"top": {"by": PAID, "lowest": 2, "of": {**ORDERS, "where": {"total": {"greater": 0}}}}})
    settle(town)
    assert named(town, "best", *WHO) == {"bo", "cem"}
    town.put("best", ORDERS)
    settle(town)
    assert named(town, "best", *WHO) == set(WHO)
    assert town.ws.audiences.as_of("best") is None
    town.put("best", {"top": {"by": PAID, "highest": 1}})
    settle(town)
    assert named(town, "best", *WHO) == {"eva"}
    town.look()
    town.put("best", {"top": {"by": PAID, "highest": 1}}, retired=True)
    settle(town)
    assert members(town, "best") == set()
    assert town.ws.memberships.standings()["best"].n_members == 0


def test_who_comes_before_is_not_ranked_and_who_is_held_out_keeps_their_place(town: Town) -> None:
    everybody = [f"user-{number}" for number in range(20)]
    for number, who in enumerate(everybody):
        buy(town, who, number)
    town.put("vip", {**ORDERS, "where": {"total": {"at_least": 18}}})
    town.put("next", {"top": {"by": PAID, "highest": 10}}, after=["vip"], holdout="40%")
    settle(town)
    first = everybody[8:18]
    held = {who for who in first if draw("next", profile_id(root_of(town, who))) < 0.4}
    assert held
    assert named(town, "next", *everybody) == set(first) - held
    assert town.ws.audiences.holdout("next")["held_out"] == len(held)
    town.look()


def test_an_edit_of_what_it_names_is_judged_at_once(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    spent = {"feature": "spent", "purpose": "service", "definition": PAID}
    town.ws.audiences.apply(json.dumps(spent), reason="", operator="kim")
    town.put("vip", {**ORDERS, "where": {"total": {"at_least": 4}}})
    town.put("next", {"top": {"by": {"feature": "spent"}, "highest": 1}}, after=["vip"])
    settle(town)
    assert named(town, "next", *WHO) == {"dag"}
    town.put("vip", {**ORDERS, "where": {"total": {"at_least": 3}}})
    settle(town)
    assert named(town, "next", *WHO) == {"cem"}
    town.ws.audiences.apply(json.dumps({**spent, "definition": {**ORDERS, "first": "no"}}), reason="", operator="kim")
    settle(town)
    assert members(town, "next") == set()
    assert not town.ws.audiences.check("next")["is_stale"]


def test_why_tells_the_place_and_the_edge(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, 10.5 * number)
    town.say({"type": "identify", "userId": "fay", "traits": {"plan": "pro"}}, 0)
    for name, n in (("best", 3), ("two", 2)):
        town.put(name, {"top": {"by": PAID, "highest": n, "of": {"event": "*"}}})
    settle(town)

    def why(who: str, name: str = "best") -> Any:
        return town.ws.audiences.why_of(name, f"user_id:{who}", town.ws.audiences.scope_of(name))

    told = why("bo")
    assert not told["is_member"]
    assert told["changes_at"].endswith("T00:00:00Z")
    assert "place 4 of 5 with 10.5; wanted is place 3 or before (the last one in has 21)" in told["words"][0]
    assert why("dag")["is_member"]
    assert "place 2 of 5" in why("dag")["leaves"][0]["value"]
    assert why("dag", "two")["leaves"][0]["wanted"] == "place 2 or before", "of so few nobody's value is told"
    assert why("fay")["leaves"][0]["value"] == "no place"
    assert not why("fay")["leaves"][1]["holds"]


def test_preview_count_and_plan_answer_for_it(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    town.put("best", {"top": {"by": PAID, "highest": 2}})
    settle(town)
    scope = town.ws.scope("service")
    found = town.ws.audiences.preview({"limit": {"to": "50%", "of": ORDERS}}, "service", scope)
    assert (found["people"], found["of"]) == (3, 5)
    plan = json.dumps(
        {"audience": "best", "purpose": "service", "definition": {"top": {"by": PAID, "highest": 3, "every": "1w"}}}
    )
    assert town.ws.audiences.plan(plan)["people"]["entering"] == 1
    assert town.ws.audiences.count("best", scope)["members"] == 2
    assert (
        town.ws.audiences.whole("best")["as_of"] == town.ws.audiences.list_members("best", scope)["as_of"] is not None
    )


def test_a_number_that_nobody_can_reach_takes_all(town: Town) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    town.put("all", {"limit": {"to": 1_000_000}})
    settle(town)
    assert named(town, "all", *WHO) == set(WHO)
    for to in (0, -1, 10**12, "0%", "101%"):
        with pytest.raises(AudienceInvalid):
            town.put("all", {"limit": {"to": to}})


def test_others_do_not_name_it(town: Town) -> None:
    town.put("best", {"top": {"by": SPENT, "highest": 2}})
    for definition, after in (({"audience": "best"}, []), (ORDERS, ["best"])):
        with pytest.raises(AudienceInvalid, match="ranks everybody at ticks, and others cannot name it"):
            town.put("other", definition, after=after)


def test_it_asks_nothing_of_groups_also_not_by_what_it_names(town: Town) -> None:
    together = {"group": {"kind": "household", "member": ORDERS}}
    town.put("together", together)
    orders: list[tuple[Any, list[str]]] = [
        ({"top": {"of": together, "by": SPENT, "highest": 2}}, []),
        ({"limit": {"of": {"audience": "together"}, "to": 2}}, []),
        ({"top": {"by": SPENT, "highest": 2}}, ["together"]),
    ]
    for definition, after in orders:
        with pytest.raises(AudienceInvalid, match="ranks everybody and asks about groups"):
            town.put("best", definition, after=after)


def test_everybody_is_looked_at_in_pieces_and_whoever_is_touched_meanwhile_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillit.flow.audiences._WALK_AT_ONCE", 2)
    for number, who in enumerate(WHO):
        buy(town, who, number)
    settle(town)
    engine = town.ws.folding.engine()
    town.ws.append_rows([town.row("best", _text({"top": {"by": PAID, "highest": 2}}), 1)])
    town.ws.folding.leave_to_others()
    while engine.step():
        pass
    judging = engine.judges.now
    assert isinstance(judging, Judging)
    n_pieces = 0
    while judging._ranks._walk is None or judging._ranks._walk.onward < 1 << 62:
        assert engine.keep_audiences()
        n_pieces += 1
    assert n_pieces > 3
    # Everybody was looked at; these come before the snapshot is made.
    buy(town, "ana", 99)
    buy(town, "new", 98)
    while engine.step():
        pass
    while engine.keep_audiences():
        pass
    assert named(town, "best", *WHO, "new") == {"ana", "new"}
    town.restart()
    town.look()


def test_a_number_that_time_changed_while_others_were_looked_at_is_made_anew(town: Town) -> None:
    buy(town, "ana", 100)
    town.wait(6 * DAY)
    buy(town, "bo", 50)
    settle(town)
    engine = town.ws.folding.engine()
    town.ws.append_rows([town.row("best", _text({"top": {"by": {**SPENT, "within": "7d"}, "highest": 1}}), 1)])
    town.ws.folding.leave_to_others()
    while engine.step():
        pass
    judging = engine.judges.now
    assert isinstance(judging, Judging)
    while judging._ranks._walk is None or judging._ranks._walk.onward < 1 << 62:
        assert engine.keep_audiences()
    town.wait(2 * DAY)
    town.say({"type": "page", "name": "Home", "userId": "cem"}, 0)
    while engine.step() or engine.keep_audiences():
        pass
    assert named(town, "best", "ana", "bo") == {"bo"}
    town.restart()
    town.look()


def _text(definition: Any) -> str:
    return json.dumps({"audience": "best", "purpose": "service", "definition": definition})


def test_a_snapshot_that_was_not_finished_begins_anew_and_is_told_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, who in enumerate(WHO):
        buy(town, who, number)
    town.put("best", {"top": {"by": PAID, "highest": 2}})
    settle(town)
    buy(town, "ana", 99)
    town.wait(DAY)
    real, n_failed = write_ranking, 0

    def fail_once(*told: Any) -> None:
        nonlocal n_failed
        n_failed += 1
        if n_failed == 1:
            raise RuntimeError("killed")
        real(*told)

    monkeypatch.setattr("tillit.flow.ranks.write_ranking", fail_once)
    with pytest.raises(RuntimeError):
        settle(town)
    town.restart()
    town.look()
    assert n_failed == 2
    assert named(town, "best", *WHO) == {"ana", "eva"}
    assert [one.cause for one in town.ws.audiences.changes(name="best")] == ["edit", "edit", "rank", "rank"]


@pytest.mark.crash
def test_killed_while_everybody_is_ranked_each_change_is_told_once(tmp_path: Path) -> None:
    chance = random.Random(5)
    real = Clock()
    real.now = clock_module.now_us  # type: ignore[method-assign]
    n_killed = 0
    with Town(tmp_path / "town", real) as town:
        town.ws.folding.leave_to_others()
        pour(town, chance, 300)
        for number in range(6):
            definition = {"top": {"by": SPENT, "highest": f"{10 + 10 * number}%", "of": {"event": "*"}}}
            town.ws.append_rows([town.row("best", _text(definition), number)])
            pour(town, chance, 100)
            n_killed += fold_and_kill(tmp_path / "town", chance.uniform(0.4, 1.0))
        town.restart()
        town.look()
        assert not town.ws.audiences.check("best")["is_stale"]
        assert town.ws.memberships.count("best") > 0
        assert town.ws.folding.check() == []
    assert n_killed, "nothing was killed in the middle"


RANKED: dict[str, File] = {
    "vip": {"definition": {**ORDERS, "sum": {"of": "total", "at_least": 100}}},
    "rich": {"definition": {"top": {"by": SPENT, "highest": 1, "every": "1h"}}},
    "poor": {
        "definition": {"top": {"by": {**ORDERS, "within": "7d", "average": "total"}, "lowest": "50%", "every": "1d"}}
    },
    "pros": {"definition": {"limit": {"of": {"trait": "plan", "equals": "pro"}, "to": 1, "salt": "x", "every": "1h"}}},
    "agreed": {"definition": {"limit": {"of": {"permitted": "newsletter"}, "to": 2, "every": "1d"}}},
    "never": {"definition": {"limit": {"of": {"not": ORDERS}, "to": "50%", "every": "1h"}}},
    "rest": {
        "definition": {"top": {"by": {**ORDERS, "count": True}, "highest": 3, "every": "1h"}},
        "after": ["vip"],
        "holdout": "40%",
    },
}


@st.composite
def more_acts(draw: st.DrawFn) -> Act:
    kind, who = draw(st.sampled_from(["yes", "no", "edit", "forget"])), draw(st.sampled_from(USERS))
    name, n = draw(st.sampled_from(sorted(RANKED))), draw(st.sampled_from([1, 2, "100%", 1_000_000]))
    if kind in ("yes", "no"):
        return lambda town: choose(town, who, is_yes=kind == "yes")
    if kind == "edit":
        return lambda town: edit(town, name, n)
    return forget_the_newest


def choose(town: Town, who: str, *, is_yes: bool) -> None:
    town.ws.flush()
    with contextlib.suppress(NotFound):
        town.ws.consent.set(f"user_id:{who}", [Choice("newsletter", "given" if is_yes else "withdrawn")], evidence="f")


def edit(town: Town, name: str, n: Any) -> None:
    """Let an audience take another number, from the other end."""
    file = town.ws.audiences.get(name).audience
    ((word, said),) = file.definition.items() if name != "vip" else (("sum", {}),)
    if word == "top":
        said = {one: told for one, told in said.items() if one not in ("highest", "lowest")}
        said["lowest" if "highest" in file.definition["top"] else "highest"] = n
        apply_file(town, {**RANKED[name], "definition": {"top": said}}, name, file.purpose)


def forget_the_newest(town: Town) -> None:
    town.ws.flush()
    rows = [row for row in town.ws.log.read(0, 10_000) if row.kind == KIND_EVENT and row.body]
    said = [row.position for row in rows if json.loads(row.body or b"{}")["type"] in ("track", "page", "identify")]
    if said:
        town.ws.forget(said[-1:])


def apply_file(town: Town, file: File, name: str, purpose: str) -> None:
    town.ws.audiences.apply(json.dumps({**file, "audience": name, "purpose": purpose}), reason="", operator="kim")


def look_slowly(town: Town) -> None:
    """Hold live and batch against the slow reading, each audience for the instant of its members."""
    town.look()
    files = {
        name: {**RANKED[name], "audience": name, "purpose": one.audience.purpose, "definition": one.audience.definition}
        for name, one in town.ws.audiences.definitions().audiences.items()
        if name in RANKED
    }
    people = everybody(town)
    for name in files:
        ranking = town.ws.audiences.ranking(name)
        assert (ranking is None) == (name == "vip")
        assert not town.ws.audiences.check(name)["is_stale"], name
        at = town.ws.memberships.judged().at if ranking is None else ranking.judged_at
        assert {profile_id(root) for root in members(town, name)} == taken(files, name, people, at), name


@settings(max_examples=10)
@given(st.data())
def test_at_a_tick_live_is_batch_and_the_slow_reading_after_anything_that_happens(data: st.DataObject) -> None:
    some = st.one_of(events(), events(), events(), acts(), more_acts(), waits())
    done = data.draw(st.lists(some, min_size=4, max_size=16))
    purpose = data.draw(st.sampled_from(["service", "ads"]))
    with TemporaryDirectory() as folder, Town(Path(folder) / "town", Clock(), purposes=PURPOSES) as town:
        for name, file in RANKED.items():
            apply_file(town, file, name, purpose)
        for number, act in enumerate(done):
            act(town)
            if number % 3 == 2:
                settle(town)
                town._follow()
        next_day(town)
        if data.draw(st.booleans()):
            town.restart()
        look_slowly(town)
        assert town.ws.folding.check() == []
