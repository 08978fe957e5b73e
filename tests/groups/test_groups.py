"""Households and accounts: who belongs to them, in which role, since when; what colleagues say; facts about people."""

from typing import Any

import pytest

from tests.laws.folding import new_fold, tables_of
from tests.random_log import random_log
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, rfc3339
from tillit.errors import InputError, NotFound
from tillit.groups import GroupInvalid
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED
from tillit.workspace import Workspace

HOME: dict[str, Any] = {"kind": "household"}


def say(ws: Workspace, who: str, *, group: str = "h1", trust: int = TRUST_SERVER, **traits: Any) -> None:
    ws.append([{"type": "group", "userId": who, "groupId": group, "traits": traits}], trust=trust)
    ws.flush()


def groups(ws: Workspace, who: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ws.profiles.get(f"user_id:{who}")["groups"]
    return found


def facts(ws: Workspace, who: str) -> dict[str, Any]:
    found = ws.profiles.facts(f"user_id:{who}", ws.scope())
    assert found is not None
    return found


def members(ws: Workspace, group: str) -> list[str]:
    return [one["profile_id"] for one in ws.groups.get(group, ws.scope())["members"]]


def id_of(ws: Workspace, who: str) -> str:
    found = ws.profiles.membership(f"user_id:{who}")
    assert found is not None
    return found.profile_id


def identify(ws: Workspace, who: str, trust: int = TRUST_SERVER, **traits: Any) -> None:
    ws.append([{"type": "identify", "userId": who, "traits": traits}], trust=trust)
    ws.flush()


# -- places in groups


def test_a_group_call_puts_somebody_into_a_group_with_role_and_bounds(ws: Workspace, clock: Clock) -> None:
    say(ws, "ana", group="acme", name="Acme AB", role="buyer", since="2025-02-01", until="2030-01-01T00:00:00Z")

    assert groups(ws, "ana") == [
        {
            "group": "account:acme",
            "kind": "account",
            "name": "Acme AB",
            "role": "buyer",
            "since": "2025-02-01T00:00:00Z",
            "until": "2030-01-01T00:00:00Z",
            "source": "python",
            "event_id": "e1-1",
            "trust": "server",
        }
    ]
    clock.go_on(5 * 365 * DAY)
    assert groups(ws, "ana") == []  # it has ended with no event


def test_members_of_a_household_stay_people_of_their_own(ws: Workspace) -> None:
    say(ws, "ana", **HOME, name="Ek", role="guardian")
    say(ws, "bo", **HOME)
    told = ws.groups.get("household:h1", ws.scope())

    assert id_of(ws, "ana") != id_of(ws, "bo")
    assert {one["profile_id"]: one["role"] for one in told["members"]} == {
        id_of(ws, "ana"): "guardian",
        id_of(ws, "bo"): None,
    }
    assert (told["name"], told["traits"]["name"]["trust"]) == ("Ek", "server")
    assert "role" not in told["traits"]
    with pytest.raises(NotFound):
        ws.groups.get("account:h1", ws.scope())


def test_since_is_the_first_word_after_the_last_leaving(ws: Workspace, clock: Clock) -> None:
    say(ws, "ana")
    clock.go_on(DAY)
    say(ws, "ana", member=False)
    left = groups(ws, "ana")
    clock.go_on(DAY)
    again = clock.at
    say(ws, "ana", role="buyer")
    clock.go_on(DAY)
    say(ws, "ana")

    assert left == []
    assert [(one["since"], one["role"]) for one in groups(ws, "ana")] == [(rfc3339(again), "buyer")]


def test_what_is_better_trusted_counts_whatever_a_browser_says_later(ws: Workspace) -> None:
    say(ws, "ana", role="buyer")
    say(ws, "ana", trust=TRUST_CLAIMED, member=False, name="Taken over")
    say(ws, "bo", trust=TRUST_CLAIMED, name="Mine")

    assert [(one["role"], one["trust"]) for one in groups(ws, "ana")] == [("buyer", "server")]
    assert ws.groups.get("account:h1", ws.scope())["name"] == "Mine"
    say(ws, "bo", name="Acme")
    assert ws.groups.get("account:h1", ws.scope())["name"] == "Acme"


@pytest.mark.parametrize("group", ["null", "undefined", " NaN ", "[object Object]", 0])
def test_what_programs_send_for_no_group_is_none(ws: Workspace, group: Any) -> None:
    ws.append([{"type": "group", "userId": "ana", "groupId": group, "traits": {"name": "x"}}])
    ws.flush()

    assert groups(ws, "ana") == []


def test_a_cut_takes_places_along_and_forgetting_takes_them_away(ws: Workspace) -> None:
    ws.append([{"type": "identify", "userId": "ana", "traits": {"email": "bo@example.org"}}])
    ws.append(
        [{"type": "group", "groupId": "h1", "anonymousId": "tablet", "traits": {**HOME, "name": "Secret Ek"},
          "context": {"traits": {"email": "bo@example.org"}}}]
    )  # fmt: skip
    ws.flush()
    together = groups(ws, "ana")
    ws.identity.cut("user_id:ana", "email:bo@example.org", reason="typed the wrong address", operator="kim")
    after_cut = (groups(ws, "ana"), ws.profiles.get("email:bo@example.org")["groups"])
    ws.forget([2])

    assert after_cut == ([], together)
    assert ws.state.read("SELECT count(*) FROM group_member") == [(0,)]
    assert ws.state.read("SELECT count(*) FROM group_trait") == [(0,)]
    assert ws.folding.check() == []


def test_a_shared_tablet_speaks_for_whoever_held_it_then(ws: Workspace, clock: Clock) -> None:
    def tablet(**more: Any) -> None:
        ws.append([{"type": "track", "event": "E", "anonymousId": "tablet", **more}])

    tablet(userId="ana")
    ws.append([{"type": "group", "anonymousId": "tablet", "groupId": "h1"}])
    clock.go_on(HOUR)
    tablet(userId="bo")
    ws.append([{"type": "group", "anonymousId": "tablet", "groupId": "h2"}])
    ws.flush()

    assert [one["group"] for one in groups(ws, "ana")] == ["account:h1"]
    assert [one["group"] for one in groups(ws, "bo")] == ["account:h2"]
    assert members(ws, "account:h1") == [id_of(ws, "ana")]
    assert members(ws, "account:h2") == [id_of(ws, "bo")]


def test_members_come_page_by_page_each_once(ws: Workspace) -> None:
    people = [f"u{n}" for n in range(7)]
    for who in people:
        ws.append([{"type": "group", "userId": who, "groupId": "acme"}])
    # Ana is in it by two identifiers of hers.
    ws.append([{"type": "group", "groupId": "acme", "anonymousId": "d", "context": {"traits": {"email": "u0@x.org"}}}])
    ws.append([{"type": "identify", "userId": "u0", "traits": {"email": "u0@x.org"}}])
    ws.flush()
    found: list[str] = []
    after = None
    while True:
        page = ws.groups.get("account:acme", ws.scope(), limit=2, after=after)
        found += [one["profile_id"] for one in page["members"]]
        after = page["next"]
        if after is None:
            break

    assert sorted(found) == sorted(id_of(ws, who) for who in people)
    with pytest.raises(InputError):
        ws.groups.get("account:acme", ws.scope(), after="-1")


def test_a_past_profile_has_the_groups_that_were_known_then(ws: Workspace, clock: Clock) -> None:
    before = clock.at
    clock.go_on(HOUR)
    say(ws, "ana", role="buyer")
    between = clock.at
    clock.go_on(HOUR)
    say(ws, "ana", member=False)
    taken_back = ws.groups.join("user_id:ana", "account:other")
    meanwhile = clock.at
    clock.go_on(HOUR)
    ws.profiles.undo(taken_back)
    ws.flush()
    past = [ws.profiles.as_of("user_id:ana", at, ws.scope()) for at in (before, between, meanwhile + 1_000, clock.at)]

    assert [[one["group"] for one in (each or {})["groups"]] for each in past] == [
        [],
        ["account:h1"],
        ["account:other"],
        [],
    ]


# -- what colleagues say


def test_a_colleagues_word_counts_more_than_a_source_and_can_be_taken_back(ws: Workspace) -> None:
    say(ws, "ana", **HOME, role="child")
    before = groups(ws, "ana")
    left = ws.groups.leave("user_id:ana", "household:h1", reason="moved out", operator="maria")
    say(ws, "ana", **HOME)
    gone = groups(ws, "ana")
    ws.profiles.undo(left, operator="maria")
    ws.flush()
    joined = ws.groups.join("user_id:ana", "account:acme", role="buyer", since="2024-05-01", operator="maria")
    ws.flush()

    assert gone == []
    assert [(one["group"], one["role"], one["since"]) for one in groups(ws, "ana")] == [
        ("account:acme", "buyer", "2024-05-01T00:00:00Z"),
        ("household:h1", "child", before[0]["since"]),
    ]
    assert members(ws, "account:acme") == [id_of(ws, "ana")]
    ws.profiles.undo(joined, operator="maria")
    ws.flush()
    assert members(ws, "account:acme") == []
    assert ws.profiles.get("user_id:ana")["n_events"] == 2  # hers; a colleague's word is nothing that she did
    assert ws.folding.check() == []


def test_a_group_a_role_or_an_instant_that_cannot_be_is_refused(ws: Workspace) -> None:
    say(ws, "ana")
    for group, more in (
        ("acme", {}),
        ("account:null", {}),
        ("account:acme", {"role": "x" * 65}),
        ("account:acme", {"since": "soon"}),
        ("account:acme", {"until": "2026-13-01"}),
    ):
        with pytest.raises(GroupInvalid):
            ws.groups.join("user_id:ana", group, **more)
    with pytest.raises(NotFound):
        ws.groups.join("user_id:nobody", "account:acme")


# -- facts


def test_a_public_key_declares_nobody_dead(ws: Workspace) -> None:
    identify(ws, "ana", trust=TRUST_CLAIMED, deceased=True, deceasedAt="2026-01-01")
    claimed = facts(ws, "ana")["deceased"]
    identify(ws, "ana", deceasedAt="2026-02-01")
    told = facts(ws, "ana")["deceased"]
    ws.profiles.correct("user_id:ana", "deceased", False, reason="a mistake of the registry", operator="maria")
    ws.flush()

    assert claimed is None
    assert (told["deceased_at"], told["trust"], told["event_id"]) == ("2026-02-01", "server", "e1-2")
    assert facts(ws, "ana")["deceased"] is None


def test_a_minor_comes_of_age_with_no_event(ws: Workspace, clock: Clock) -> None:
    # The clock stands at 22 November 2026.
    identify(ws, "cem", birthday="2008-11-23T00:00:00Z")
    child = facts(ws, "cem")
    clock.go_on(2 * DAY)
    grown = facts(ws, "cem")

    assert (child["minor"], grown["minor"]) == (True, False)
    assert child["minor_evidence"]["event_id"] == "e1-1"
    assert facts_unknown(ws) == {"deceased": None, "minor": None, "minor_evidence": None, "guardians": []}


def facts_unknown(ws: Workspace) -> dict[str, Any]:
    identify(ws, "dana", birthday="a while ago", minor="perhaps", deceased="?")
    return facts(ws, "dana")


def test_a_birthday_counts_before_a_word_of_equal_trust_and_not_before_a_better_one(ws: Workspace) -> None:
    identify(ws, "cem", birthday="1990-01-01", minor=True)
    equal = facts(ws, "cem")["minor"]
    identify(ws, "cem", trust=TRUST_VERIFIED, minor=True)

    assert (equal, facts(ws, "cem")["minor"]) == (False, True)


def test_a_minors_guardians_are_those_of_the_household_whom_no_public_key_named(ws: Workspace) -> None:
    identify(ws, "cem", minor=True)
    say(ws, "cem", **HOME, role="child")
    say(ws, "ana", **HOME, role="guardian")
    say(ws, "eve", **HOME, trust=TRUST_CLAIMED, role="guardian")
    say(ws, "bo", **HOME, role="uncle")
    say(ws, "boss", group="acme", role="guardian")
    say(ws, "cem", group="acme")
    told = facts(ws, "cem")["guardians"]

    assert [(one["profile_id"], one["group"]) for one in told] == [(id_of(ws, "ana"), "household:h1")]
    assert facts(ws, "ana")["guardians"] == []  # she is of no known age: nobody speaks for her
    say(ws, "eve", group="h9", **HOME, role="guardian")
    say(ws, "cem", group="h9", trust=TRUST_CLAIMED, **HOME)
    assert len(facts(ws, "cem")["guardians"]) == 1  # nor does a public key put a child into a stranger's home


# -- laws on long logs


@pytest.mark.parametrize("seed", [1, 2])
def test_places_in_groups_hang_on_no_batch_and_a_random_log_has_many(seed: int) -> None:
    rows = random_log(seed, 800, n_people=60)
    one = tables_of(rows)
    many = tables_of(rows, [slice(at, at + 37) for at in range(0, len(rows), 37)])

    assert (one["group_member"], one["group_trait"]) == (many["group_member"], many["group_trait"])
    assert len(one["group_member"]) > 20
    assert {row[7] for row in one["group_member"]} == {0, 1}


def test_a_later_event_of_another_trust_is_kept_beside_the_first() -> None:
    rows = random_log(3, 800, n_people=20)
    with new_fold() as folded:
        folded.take(rows)
        trusts = {trust for (trust,) in folded.state.read("SELECT DISTINCT trust FROM group_member")}

    assert trusts == {1, 2, 3}


# -- who shares an address or a card


def test_people_who_share_an_address_are_a_household_and_two_people(ws: Workspace) -> None:
    ws.rules.apply("namespaces: {address: {}, family_card: {strength: shared}}")
    home = {"street": "Storgatan 1", "postalCode": "111 22", "city": "Stockholm"}
    identify(ws, "ana", address=home)
    identify(ws, "bo", address=home | {"street": "  storgatan  1 "})
    identify(ws, "cem", address=home | {"street": "Storgatan 2"})

    (mine,) = groups(ws, "ana")
    assert (mine["kind"], mine["name"]) == ("household", "address storgatan 1, 111 22, stockholm")
    assert [one["group"] for one in groups(ws, "bo")] == [mine["group"]]
    assert members(ws, mine["group"]) == [id_of(ws, "ana"), id_of(ws, "bo")]
    assert mine["group"] not in {one["group"] for one in groups(ws, "cem")}
    assert "torgatan" not in mine["group"]


def test_an_office_is_no_household(ws: Workspace) -> None:
    ws.rules.apply("namespaces: {address: {}}")
    for n in range(13):
        identify(ws, f"u{n}", address="Box 1, Stockholm")

    assert groups(ws, "u0") == []


def test_without_a_rule_an_address_is_a_trait_and_no_more(ws: Workspace) -> None:
    identify(ws, "ana", address="Storgatan 1, Stockholm")

    assert groups(ws, "ana") == []
