"""Waterfalls and holdouts: nobody is in two audiences of a chain, and whoever is held out stays so."""

import json
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
from tests.audience.test_laws import acts, events, waits
from tests.still_clock import Clock
from tillit.audience import AudienceInvalid, read_audience
from tillit.identity import profile_id
from tillit.language.live import draw
from tillit.language.sentences import sentence

ORDERS = {"event": "Order Completed"}
CHAIN: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("vip", {**ORDERS, "sum": {"of": "total", "at_least": 100}}, ()),
    ("fresh", {**ORDERS, "within": "1d"}, ("vip",)),
    ("others", {"any": [{"event": "*"}, {"trait": "plan", "is_set": True}]}, ("vip", "fresh")),
)


FILES: dict[str, File] = {
    name: {"audience": name, "purpose": "service", "definition": definition, "after": list(after)}
    for name, definition, after in CHAIN
}
FILES["apart"] = {"audience": "apart", "purpose": "service", "definition": "everybody", "holdout": "40%"}


@pytest.fixture
def town(tmp_path: Path, clock: Clock) -> Iterator[Town]:
    with Town(tmp_path / "town", clock) as town:
        yield town


def members(town: Town, name: str) -> set[int]:
    return {one.root_id for one in town.ws.memberships.members(name, limit=1_000)}


def people(town: Town, n: int) -> None:
    for number in range(n):
        town.say({"type": "track", "event": "Order Completed", "userId": f"user-{number}"}, 0)
    town.ws.flush()


@settings(max_examples=5)
@given(st.data())
def test_nobody_is_in_two_audiences_of_a_chain_after_anything_that_happens(data: st.DataObject) -> None:
    done = data.draw(st.lists(st.one_of(events(), events(), acts(), waits()), min_size=4, max_size=12))
    with TemporaryDirectory() as folder, Town(Path(folder) / "town", Clock(), purposes=PURPOSES) as town:
        for name, file in FILES.items():
            more = {word: one for word, one in file.items() if word in ("after", "holdout")}
            town.put(name, file["definition"], **more)
        for act in done:
            act(town)
            town.ws.flush()
            held = [members(town, name) for name, _, _ in CHAIN]
            assert sum(map(len, held)) == len(set().union(*held))
        town.look()
        people, at = everybody(town), town.ws.memberships.judged().at
        for name in FILES:
            assert {profile_id(root) for root in members(town, name)} == taken(FILES, name, people, at), name


def test_whoever_leaves_an_earlier_audience_comes_into_a_later_one_by_the_clock_alone(town: Town) -> None:
    for name, definition, after in CHAIN:
        town.put(name, definition, after=after)
    people(town, 1)
    assert [len(members(town, name)) for name, _, _ in CHAIN] == [0, 1, 0]
    town.wait(86_400_000_000)
    town.look()
    assert [len(members(town, name)) for name, _, _ in CHAIN] == [0, 0, 1]


def test_an_audience_comes_after_none_of_another_purpose_and_not_after_itself(town: Town) -> None:
    town.put("a", ORDERS)
    with pytest.raises(AudienceInvalid, match="for another purpose"):
        town.put("b", ORDERS, "ads", after=["a"])
    town.put("b", ORDERS, after=["a"])
    with pytest.raises(AudienceInvalid, match="hangs on itself: a → b → a"):
        town.put("a", ORDERS, after=["b"])
    with pytest.raises(AudienceInvalid, match="no audience 'c'"):
        town.put("d", ORDERS, after=["c"])
    with pytest.raises(AudienceInvalid, match="could not be answered"):
        town.put("a", ORDERS, "ads")


def test_a_part_is_held_out_drawn_by_the_name_or_by_a_salt_and_stays(town: Town) -> None:
    town.put("buyers", ORDERS, holdout="30%")
    town.put("others", ORDERS, holdout={"share": 0.3, "salt": "buyers"})
    town.put("apart", ORDERS, holdout=0.3)
    people(town, 40)
    everybody = [one for (one,) in town.ws.state.read("SELECT DISTINCT root_id FROM identifier")]
    kept = {root for root in everybody if draw("buyers", profile_id(root)) >= 0.3}
    assert members(town, "buyers") == members(town, "others") == kept
    assert members(town, "apart") != kept
    assert town.ws.audiences.holdout("buyers") == {
        "audience": "buyers", "people": 40, "members": len(kept), "held_out": 40 - len(kept),
    }  # fmt: skip
    assert town.ws.audiences.whole("buyers")["held_out"] == 40 - len(kept)
    people(town, 40)
    town.look()
    assert members(town, "buyers") == kept
    planned = town.ws.audiences.plan(json.dumps({"audience": "buyers", "purpose": "service", "definition": ORDERS}))
    assert (planned["people"]["entering"], planned["held_out"]) == (40 - len(kept), None)


@pytest.mark.parametrize("holdout", ["5", "most", -0.1, 1, "100%", {"salt": "x"}, {"share": 0.1, "of": 1}, 0])
def test_a_share_that_is_none_is_refused(holdout: Any) -> None:
    with pytest.raises(AudienceInvalid):
        read_audience(json.dumps({"audience": "a", "purpose": "p", "definition": "everybody", "holdout": holdout}))


def test_what_is_left_out_is_read_aloud() -> None:
    told = {"audience": "a", "purpose": "p", "definition": {"trait": "plan"} | {"equals": "pro"}}
    _, node = read_audience(json.dumps({**told, "after": ["vip", "vip"], "holdout": "5%"}))
    out = "not in the audience vip, and not in the first 5% of everybody as drawn by a"
    assert sentence(node) == f'plan is "pro", and {out}'
