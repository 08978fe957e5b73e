"""Households and accounts in audiences: live is batch whatever happens to the groups of people and to their members."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.shop import Town
from tests.still_clock import Clock
from tillit.audience import Beside
from tillit.clock import DAY, HOUR, SECOND, rfc3339
from tillit.flow import group_history, group_members

BOUGHT = {"event": "Order Completed", "within": "30d"}
DEFINITIONS: dict[str, tuple[str, Any]] = {
    "at-home": ("service", {"group": "household"}),
    "admins": ("service", {"group": {"kind": "account", "role": "admin"}}),
    "pro": ("service", {"group": {"kind": "account", "trait": "plan", "equals": "pro"}}),
    "not-pro": ("ads", {"group": {"trait": "plan", "not_equals": "pro"}}),
    "large": ("ads", {"group": {"kind": "household", "members": {"at_least": 2}}}),
    "beside-buyers": ("service", {"group": {"kind": "household", "member": BOUGHT, "others_only": True}}),
    "buyers": ("ads", {"group": {"kind": "household", "member": BOUGHT, "count": {"at_least": 2}}}),
    "waiting": (
        "service",
        {"all": [{"not": BOUGHT}, {"group": {"member": {"stopped": {"event": "*", "quiet": "1d", "active": "30d"}}}}]},
    ),
    "free-beside-pro": (
        "service",
        {"group": {"kind": "account", "member": {"trait": "plan", "equals": "pro"}, "others_only": True, "count": 0}},
    ),
}
DEFINITIONS |= {
    "regulars": ("ads", {"group": {"member": {**BOUGHT, "count": {"at_least": 2}}, "count": {"less": 2}}}),
    "deciders": (
        "service",
        {
            "group": {
                "kind": "household",
                "member": {
                    "sequence": {"steps": [{"event": "Product Viewed"}, {"event": "Order Completed"}], "within": "30d"}
                },
                "others_only": True,
            }
        },
    ),
    "beside-the-willing": ("service", {"not": {"group": {"member": {"permitted": "ads"}, "others_only": True}}}),
}
USERS = ("user-ana-7f3kq9", "user-bo-3x8vd2", "user-cem-5t1wz4")
DEVICES = ("device-one-9zk", "device-two-4wq")


class House(Town):
    """A town in which people live and work together."""

    def text(self, name: str, version: int = 0, *, is_retired: bool = False) -> str:
        purpose, definition = DEFINITIONS[name]
        return json.dumps({"audience": name, "purpose": purpose, "definition": definition, "retired": is_retired})

    def belong(self, user: str, group: str = "household:h1", *, ago: int = 0, **traits: Any) -> None:
        """Let somebody say that they belong to a group."""
        kind, _, group_id = group.partition(":")
        self.say({"type": "group", "userId": user, "groupId": group_id, "traits": {"kind": kind, **traits}}, ago)

    def buy(self, user: str, ago: int = 0) -> None:
        """Let somebody buy."""
        self.say({"type": "track", "userId": user, "event": "Order Completed"}, ago)

    def members(self, name: str) -> set[str]:
        """Give who is in an audience, live, by the first letters of what they are called."""
        self.look()
        found = set()
        for user in USERS:
            membership = self.ws.profiles.membership(f"user_id:{user}")
            roots = {one.identifier_id for one in membership.identifiers} if membership is not None else set()
            if roots & self.told.get(name, set()):
                found.add(user.split("-")[1])
        return found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "town", Clock()) as made:
        yield made


ANA, BO, CEM = USERS


def test_whoever_joins_and_leaves_a_group_enters_and_leaves(town: House) -> None:
    town.apply("at-home", 0)
    town.belong(ANA)
    assert town.members("at-home") == {"ana"}
    town.belong(ANA, member=False)
    assert town.members("at-home") == set()


def test_a_place_begins_and_ends_with_no_event(town: House) -> None:
    town.apply("at-home", 0)
    now = town.clock.at
    town.belong(ANA, since=rfc3339(now + DAY), until=rfc3339(now + 2 * DAY))
    assert town.members("at-home") == set()
    town.wait(DAY)
    assert town.members("at-home") == {"ana"}
    town.wait(DAY)
    assert town.members("at-home") == set()


def test_what_one_does_counts_for_the_others_until_it_is_too_long_ago(town: House) -> None:
    town.apply("beside-buyers", 0)
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    assert town.members("beside-buyers") == {"ana"}
    town.buy(ANA, ago=29 * DAY)
    assert town.members("beside-buyers") == {"ana", "bo"}
    town.wait(DAY)
    assert town.members("beside-buyers") == {"ana"}
    town.belong(ANA, member=False)
    assert town.members("beside-buyers") == set()


def test_a_groups_trait_moves_its_members(town: House) -> None:
    town.apply("pro", 0)
    town.belong(ANA, "account:acme", plan="free")
    town.belong(BO, "account:acme")
    assert town.members("pro") == set()
    town.belong(BO, "account:acme", plan="pro")
    assert town.members("pro") == {"ana", "bo"}
    town.belong(CEM, "account:acme", plan="free", member=False)  # who belongs to it no more may still say it
    assert town.members("pro") == set()


def test_a_member_who_may_not_be_used_is_not_counted(town: House) -> None:
    town.apply("large", 0)
    town.belong(ANA)
    town.belong(BO)
    assert town.members("large") == set()
    town.choose(ANA, is_yes=True)
    assert town.members("large") == set()
    town.choose(BO, is_yes=True)
    assert town.members("large") == {"ana", "bo"}
    town.choose(BO, is_yes=False)
    assert town.members("large") == set()


def test_a_trait_is_heard_of_those_alone_who_may_be_used(town: House) -> None:
    town.apply("not-pro", 0)
    town.belong(ANA, "account:acme", plan="free")
    town.belong(BO, "account:acme", plan="pro")
    town.choose(ANA, is_yes=True)
    assert town.members("not-pro") == {"ana", "bo"}  # membership is decided; who may be shown is asked for apart
    town.choose(BO, is_yes=True)
    assert town.members("not-pro") == set()


def test_who_is_forgotten_leaves_their_household(town: House) -> None:
    town.apply("beside-buyers", 0)
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    assert town.members("beside-buyers") == {"ana"}
    town.erase(f"user_id:{BO}")
    assert town.members("beside-buyers") == set()


def test_two_who_become_one_are_no_others_of_each_other(town: House) -> None:
    town.apply("beside-buyers", 0)
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    assert town.members("beside-buyers") == {"ana"}
    town.join(f"user_id:{ANA}", f"user_id:{BO}")
    assert town.members("beside-buyers") == set()
    town.ws.flush()
    town.ws.identity.cut(f"user_id:{ANA}", f"user_id:{BO}", operator="kim", reason="test")
    assert town.members("beside-buyers") == {"ana"}


def test_what_a_colleague_took_back_puts_nobody_into_a_group(town: House) -> None:
    town.apply("at-home", 0)
    town.buy(ANA)
    town.ws.flush()
    event_id = town.ws.groups.join(f"user_id:{ANA}", "household:h1")
    assert town.members("at-home") == {"ana"}
    town.ws.profiles.undo(event_id)
    assert town.members("at-home") == set()


def test_an_audience_that_comes_to_a_history_finds_its_groups(town: House) -> None:
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    town.look()
    town.apply("beside-buyers", 0)
    assert town.members("beside-buyers") == {"ana"}


def test_beyond_the_first_of_a_group_nobody_is_looked_at(town: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (group_history, group_members):
        monkeypatch.setattr(module, "MOST_MEMBERS", 2)
    for name in ("beside-buyers", "at-home"):
        town.apply(name, 0)
    for user in USERS:
        town.belong(user)
    town.buy(CEM)
    assert town.members("beside-buyers") == set()
    town.buy(BO)
    assert town.members("beside-buyers") == {"ana"}
    assert town.members("at-home") == {"ana", "bo", "cem"}
    town.erase(f"user_id:{ANA}")  # now the third is the second
    assert town.members("beside-buyers") == {"bo", "cem"}
    town.buy(BO)
    assert town.members("beside-buyers") == {"bo", "cem"}


def test_why_names_the_group_and_those_who_may_be_named(town: House) -> None:
    town.apply("beside-buyers", 0)
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    town.look()
    scope = town.ws.audiences.scope_of("beside-buyers")
    bo = town.ws.profiles.membership(f"user_id:{BO}")
    assert bo is not None

    told = town.ws.audiences.why_of("beside-buyers", f"user_id:{ANA}", scope)

    assert told["is_member"]
    assert told["leaves"][0]["value"] == f"household:h1 (2 members whom the purpose may use, 1 fits: {bo.profile_id})"
    assert told["changes_at"] == rfc3339(town.clock.at - SECOND + 30 * DAY)


def test_why_names_nobody_whom_the_purpose_may_not_use(town: House) -> None:
    town.apply("buyers", 0)
    for user in (ANA, BO):
        town.belong(user)
        town.buy(user)
    town.choose(ANA, is_yes=True)
    town.look()
    scope = town.ws.audiences.scope_of("buyers")
    bo = town.ws.profiles.membership(f"user_id:{BO}")
    assert bo is not None

    told = town.ws.audiences.why_of("buyers", f"user_id:{ANA}", scope)

    assert bo.profile_id not in repr(told)
    assert "1 member whom the purpose may use, 1 fits" in told["leaves"][0]["value"]


def test_who_was_in_it_is_told_by_what_was_said_of_groups_by_then(town: House) -> None:
    town.apply("beside-buyers", 0)
    town.belong(ANA)
    town.belong(BO)
    town.buy(BO)
    town.look()
    then = town.clock.at
    town.wait(10 * DAY)
    town.belong(BO, member=False)
    town.belong(CEM)
    assert town.members("beside-buyers") == set()
    ana = town.ws.profiles.membership(f"user_id:{ANA}")
    assert ana is not None

    members = [one["profile_id"] for one in town.ws.audiences["beside-buyers"].members(as_of=then)]
    scope = town.ws.audiences.scope_of("beside-buyers")
    told = town.ws.audiences.preview(DEFINITIONS["beside-buyers"][1], "service", scope)

    assert members == [ana.profile_id]
    assert told["people"] == 0
    assert [n for _, n in told["trend"]][-3:] == [0, 1, 0]  # a fortnight ago, a week ago, today


def test_of_a_group_of_one_nobody_is_the_other(town: House) -> None:
    for name in ("beside-buyers", "large", "buyers"):
        town.apply(name, 0)
    town.belong(ANA)
    town.buy(ANA)
    town.buy(ANA)
    town.choose(ANA, is_yes=True)
    assert town.members("beside-buyers") | town.members("large") | town.members("buyers") == set()


def test_what_she_did_who_withdrew_counts_for_nobody_and_counts_again_when_she_agrees(town: House) -> None:
    town.apply("buyers", 0)
    for user in (ANA, BO):
        town.belong(user)
        town.buy(user)
        town.choose(user, is_yes=True)
    assert town.members("buyers") == {"ana", "bo"}
    town.choose(BO, is_yes=False)
    assert town.members("buyers") == set()
    town.choose(BO, is_yes=True)
    assert town.members("buyers") == {"ana", "bo"}


def test_who_died_is_no_member_to_a_purpose_that_asks_for_consent(town: House) -> None:
    town.apply("large", 0)
    for user in (ANA, BO):
        town.belong(user)
        town.choose(user, is_yes=True)
    assert town.members("large") == {"ana", "bo"}
    town.say({"type": "identify", "userId": BO, "traits": {"deceased": True}}, 0)
    assert town.members("large") == set()


def test_others_are_asked_again_only_when_what_came_may_turn_their_answer(
    town: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.apply("beside-buyers", 0)
    town.apply("free-beside-pro", 0)
    for user in USERS:
        town.belong(user)
        town.belong(user, "account:acme")
    town.look()
    asked: list[set[str]] = []
    find = Beside.find

    def listening(beside: Beside, *told: Any) -> set[str]:
        asked.append(find(beside, *told))
        return asked[-1]

    monkeypatch.setattr(Beside, "find", listening)
    town.say({"type": "track", "userId": BO, "event": "Product Viewed"}, 0)
    town.ws.flush()
    town.buy(BO)
    town.ws.flush()
    town.buy(BO)
    town.ws.flush()
    town.say({"type": "identify", "userId": BO, "traits": {"plan": "pro"}}, 0)
    town.ws.flush()

    assert [one for one in asked if one] == [{"beside-buyers"}, {"free-beside-pro"}]
    assert town.members("beside-buyers") == {"ana", "cem"}


# -- anything

Act = Callable[[House], None]


@st.composite
def words_of_groups(draw: st.DrawFn) -> Act:
    user = draw(st.sampled_from(USERS))
    group = draw(st.sampled_from(["household:h1", "household:h1", "household:h2", "account:acme"]))
    traits: dict[str, Any] = draw(
        st.sampled_from([{}, {}, {"role": "admin"}, {"plan": "pro"}, {"plan": "free"}, {"member": False}])
    )
    bounds = draw(st.sampled_from([(None, None), (None, None), (None, DAY), (HOUR, None), (DAY, 8 * DAY)]))
    ago = draw(st.sampled_from([0, 0, HOUR, 3 * DAY]))

    def act(town: House) -> None:
        told = {word: rfc3339(town.clock.at + by) for word, by in zip(("since", "until"), bounds, strict=True) if by}
        town.belong(user, group, ago=ago, **traits, **told)

    return act


@st.composite
def events(draw: st.DrawFn) -> Act:
    told: dict[str, Any] = {"type": "track", "event": draw(st.sampled_from(["Order Completed", "Product Viewed"]))}
    who = draw(st.integers(0, 5))
    if who != 0:
        told["userId"] = draw(st.sampled_from(USERS))
    if who in (0, 1, 2):
        told["anonymousId"] = draw(st.sampled_from(DEVICES))
    if draw(st.integers(0, 4)) == 0:
        told |= {"type": "identify", "traits": {"plan": draw(st.sampled_from(["pro", "free"]))}}
    if draw(st.integers(0, 9)) == 0:
        told["context"] = {"consent": {"categoryPreferences": {"Ads": draw(st.booleans())}}}
    ago = draw(st.sampled_from([0, 0, 0, HOUR, 3 * DAY, 29 * DAY, -2 * HOUR]))
    return lambda town: town.say(told, ago)


@st.composite
def acts(draw: st.DrawFn) -> Act:
    kind = draw(st.sampled_from(["cut", "join", "erase", "withdraw", "agree", "agree", "apply", "retire", "colleague"]))
    one, other = draw(st.permutations([*USERS]))[:2]
    device = draw(st.sampled_from(DEVICES))
    name = draw(st.sampled_from(sorted(DEFINITIONS)))
    if kind == "cut":
        return lambda town: town.cut(f"user_id:{one}", f"anonymous_id:{device}")
    if kind == "join":
        return lambda town: town.join(f"user_id:{one}", f"user_id:{other}")
    if kind == "erase":
        return lambda town: town.erase(f"user_id:{one}")
    if kind in ("withdraw", "agree"):
        return lambda town: town.choose(one, is_yes=kind == "agree")
    if kind == "colleague":
        takes_back = draw(st.booleans())
        return lambda town: colleague(town, one, takes_back=takes_back)
    return lambda town: town.apply(name, 0, is_retired=kind == "retire")


def colleague(town: House, user: str, *, takes_back: bool) -> None:
    """Let a colleague put somebody into a household, and take that back."""
    town.ws.flush()
    if town.ws.profiles.membership(f"user_id:{user}") is None:
        return
    event_id = town.ws.groups.join(f"user_id:{user}", "household:h2", role="guardian")
    if takes_back:
        town.wait(SECOND)
        town.ws.profiles.undo(event_id)


def wait(by: int) -> Act:
    return lambda town: town.wait(by)


waits = st.sampled_from([SECOND, HOUR, DAY, 2 * DAY, 8 * DAY, 31 * DAY]).map(wait)


@settings(max_examples=6)
@given(st.data())
def test_after_anything_that_happens_to_groups_live_is_batch(data: st.DataObject) -> None:
    any_act = st.one_of(words_of_groups(), words_of_groups(), words_of_groups(), events(), events(), acts(), waits)
    done = data.draw(st.lists(any_act, min_size=6, max_size=14))
    with TemporaryDirectory() as folder, House(Path(folder) / "town", Clock()) as town:
        for name in data.draw(st.sets(st.sampled_from(sorted(DEFINITIONS)), min_size=2, max_size=4)):
            town.apply(name, 0)
        for number, act in enumerate(done):
            act(town)
            if number % 4 == 3:
                town.look()
        town.look()
