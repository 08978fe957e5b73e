"""L4 and L5 of a whole workspace: after anything that can happen, live is batch, and every change was told once."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.shop import DEFINITIONS, Town
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, SECOND

Act = Callable[[Town], None]
USERS = ("user-ana-7f3kq9", "user-bo-3x8vd2", "user-cem-5t1wz4")
DEVICES = ("device-one-9zk", "device-two-4wq")
NAMES = ("Order Completed", "Product Viewed", "Cart Viewed")


@st.composite
def events(draw: st.DrawFn) -> Act:
    told: dict[str, Any] = {"type": draw(st.sampled_from(["track"] * 5 + ["page", "identify"]))}
    who = draw(st.integers(0, 5))
    if who != 0:
        told["userId"] = draw(st.sampled_from(USERS))
    if who in (0, 1, 2):
        told["anonymousId"] = draw(st.sampled_from(DEVICES))
    if told["type"] == "track":
        told["event"] = draw(st.sampled_from(NAMES))
        told["properties"] = {"total": draw(st.sampled_from([20, 60, 100.5])), "sku": draw(st.sampled_from("ab"))}
    elif told["type"] == "page":
        told["name"] = "Home"
    else:
        told["traits"] = {"plan": draw(st.sampled_from(["pro", "free", None]))}
        if draw(st.booleans()):
            told["traits"]["email"] = draw(st.sampled_from(["ana@example.org", "bo@example.org"]))
    if draw(st.integers(0, 9)) == 0:
        told["context"] = {"consent": {"categoryPreferences": {"Ads": draw(st.booleans())}}}
    ago = draw(st.sampled_from([0, 0, 0, 0, 5 * SECOND, HOUR, 3 * DAY, 40 * DAY, -30 * SECOND, -2 * HOUR]))
    return lambda town: town.say(told, ago)


@st.composite
def acts(draw: st.DrawFn) -> Act:
    kind = draw(st.sampled_from(["cut", "join", "erase", "withdraw", "agree", "apply", "apply", "retire"]))
    one, other = draw(st.permutations([*USERS]))[:2]
    device = draw(st.sampled_from(DEVICES))
    if kind == "cut":
        return lambda town: town.cut(f"user_id:{one}", f"anonymous_id:{device}")
    if kind == "join":
        return lambda town: town.join(f"user_id:{one}", f"user_id:{other}")
    if kind == "erase":
        return lambda town: town.erase(f"user_id:{one}")
    if kind in ("withdraw", "agree"):
        return lambda town: town.choose(one, is_yes=kind == "agree")
    name = draw(st.sampled_from(sorted(DEFINITIONS)))
    version = draw(st.integers(0, 1))
    return lambda town: town.apply(name, version, is_retired=kind == "retire")


@st.composite
def waits(draw: st.DrawFn) -> Act:
    by = draw(st.sampled_from([SECOND, 10 * SECOND, HOUR, DAY, DAY, 8 * DAY, 31 * DAY]))
    return lambda town: town.wait(by)


def test_an_edited_feature_is_judged_anew_also_where_all_that_it_reads_was_kept(tmp_path: Path) -> None:
    spent = {"feature": "spent", "purpose": "service", "definition": {"event": "Order Completed", "sum": "total"}}
    big = {"audience": "big", "purpose": "service", "definition": {"feature": "spent", "at_least": 50}}
    least = {**spent, "definition": {"event": "Order Completed", "minimum": "total"}}
    order = {"type": "track", "event": "Order Completed", "userId": "ana", "properties": {"total": 30}}
    with Town(tmp_path / "town", Clock()) as town:
        for told in (spent, big):
            town.ws.audiences.apply(json.dumps(told), reason="", operator="kim")
        for _ in range(2):
            town.say(order, 0)
        town.look()
        assert len(town.told["big"]) == 1
        town.ws.audiences.apply(json.dumps(least), reason="", operator="kim")
        town.look()
        assert town.told["big"] == set()


@settings(max_examples=8)
@given(st.data())
def test_after_anything_that_happens_live_is_batch_and_each_change_was_told_once(data: st.DataObject) -> None:
    done = data.draw(st.lists(st.one_of(events(), events(), events(), acts(), waits()), min_size=4, max_size=14))
    with TemporaryDirectory() as folder, Town(Path(folder) / "town", Clock()) as town:
        for name in data.draw(st.sets(st.sampled_from(sorted(DEFINITIONS)), min_size=1)):
            town.apply(name, 0)
        for number, act in enumerate(done):
            act(town)
            if number % 3 == 2:
                town.look()
        town.look()
        town.restart()
        town.look()

        assert town.ws.folding.check() == []
