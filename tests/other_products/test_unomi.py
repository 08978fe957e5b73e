"""What Apache Unomi's integration tests hold of merging and aliases, by number; where ours differ, what ours do.

What is alike and what differs, and why, is in docs/reference/differences.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tillit.errors import InputError
from tillit.records import TRUST_CLAIMED

if TYPE_CHECKING:
    from tests.other_products.conftest import Shop

ANA, BO = "ana@example.org", "bo@example.org"


def test_unomi_01_at_a_login_the_profile_that_was_there_first_goes_on(shop: Shop) -> None:
    shop.say(email=ANA)
    before = shop.id_of(f"email:{ANA}")
    shop.say(device="laptop", day=1)

    shop.say(device="laptop", email=ANA, day=2)

    assert shop.id_of(f"email:{ANA}") == before
    assert shop.get(f"email:{ANA}")["n_events"] == 3


@pytest.mark.parametrize("first", ["card", "loyalty"])
def test_unomi_02_may_let_the_event_choose_the_profile_and_here_the_oldest_of_the_strongest_is_it(
    shop: Shop, first: str
) -> None:
    second = {"card": "loyalty", "loyalty": "card"}[first]
    shop.say_all([{"email": ANA}, {first: "1", "day": 1}, {second: "1", "day": 2}])
    oldest = shop.id_of(f"{first}:1")

    shop.say_all([{second: "1", first: "1", "email": ANA, "day": 3}])

    assert shop.id_of(f"{second}:1") == shop.id_of(f"email:{ANA}") == oldest


def test_unomi_03_after_a_merge_the_old_id_resolves(shop: Shop) -> None:
    shop.say(email=ANA)
    old = shop.id_of(f"email:{ANA}")

    shop.say(user="ana", email=ANA, day=1)

    assert shop.id_of("user_id:ana") != old
    assert shop.get(old) == shop.get("user_id:ana")


def test_unomi_04_another_login_on_one_browser_makes_a_new_profile_and_moves_no_earlier_visit(shop: Shop) -> None:
    shop.say(device="laptop")
    shop.say(device="laptop", email=ANA, day=1)

    shop.say(device="laptop", email=BO, day=2)

    assert not shop.is_one(f"email:{ANA}", f"email:{BO}")
    assert shop.get(f"email:{ANA}")["n_events"] == 2
    assert shop.get(f"email:{BO}")["n_events"] == 1


def test_unomi_05_another_login_on_one_browser_goes_to_the_profile_that_has_it(shop: Shop) -> None:
    shop.say(email=BO)
    shop.say(device="laptop", email=ANA, day=1)

    shop.say(device="laptop", email=BO, day=2)
    shop.say(device="laptop", day=3)

    assert shop.get(f"email:{BO}")["n_events"] == 3
    assert shop.get(f"email:{ANA}")["n_events"] == 1


def test_unomi_06_points_past_events_at_the_profile_and_here_no_event_is_ever_rewritten(shop: Shop) -> None:
    shop.say(email=ANA)
    shop.say(card="7", day=1)
    before = shop.ws.log.read(0, 10)

    shop.say(user="ana", email=ANA, card="7", day=2)

    assert shop.ws.log.read(0, 10)[: len(before)] == before
    told = shop.ws.profiles.events("user_id:ana", shop.scope)
    assert told is not None
    assert len(told[0]) == 3


def test_unomi_07_makes_past_visits_nobodys_for_a_visitor_who_asks_and_here_for_a_device_that_stands_for_many(
    shop: Shop,
) -> None:
    shop.say(device="kiosk")
    shop.ws.identity.block("anonymous_id:kiosk", reason="The kiosk at the door.")

    shop.say(device="kiosk", email=ANA, day=1)
    shop.say(device="kiosk", day=2)

    assert shop.get(f"email:{ANA}")["n_events"] == 1
    assert shop.ids(f"email:{ANA}", "anonymous_id") == []
    assert not shop.is_one(f"email:{ANA}", "anonymous_id:kiosk")


def test_unomi_08_what_both_say_is_held_once_and_here_by_the_later_word_whoever_goes_on(shop: Shop) -> None:
    shop.say(user="ana", traits={"plan": "free", "city": "Lund"})
    shop.say(email=ANA, traits={"plan": "gold"}, day=1)

    shop.say(user="ana", email=ANA, day=2)

    traits = shop.get("user_id:ana")["traits"]
    assert (traits["plan"]["value"], traits["city"]["value"]) == ("gold", "Lund")


def test_unomi_09_an_alias_gives_the_profile_itself(shop: Shop) -> None:
    shop.say(user="old")
    shop.say(user="new", previous="old", day=1)

    assert shop.get("user_id:old") == shop.get("user_id:new")


def test_unomi_10_an_alias_of_oneself_joins_nothing(shop: Shop) -> None:
    shop.say(user="ana", previous="ana")

    assert [one["value"] for one in shop.get("user_id:ana")["identifiers"]] == ["ana"]
    with pytest.raises(InputError) as refused:
        shop.ws.identity.join("user_id:ana", "user_id: ana", reason="One person.")
    assert refused.value.code == "identity.same-identifier"


def test_unomi_11_an_alias_that_is_somebody_elses_is_refused_from_a_public_key(shop: Shop) -> None:
    shop.say(user="ana")
    shop.say(user="bo", day=1)

    shop.say(user="bo", previous="ana", day=2, trust=TRUST_CLAIMED)

    assert not shop.is_one("user_id:ana", "user_id:bo")


def test_unomi_11_refuses_it_always_and_here_a_server_joins_two_user_ids_by_alias(shop: Shop) -> None:
    shop.say(user="ana")
    shop.say(user="bo", day=1)

    shop.say(user="bo", previous="ana", day=2)

    assert shop.is_one("user_id:ana", "user_id:bo")


def test_unomi_12_when_a_person_is_forgotten_no_id_of_theirs_resolves(shop: Shop) -> None:
    shop.say(email=ANA)
    old = shop.id_of(f"email:{ANA}")
    shop.say(user="ana", email=ANA, day=1)
    new = shop.id_of("user_id:ana")

    shop.ws.forget([1, 2])

    assert [shop.find(who) for who in (old, new, "user_id:ana", f"email:{ANA}")] == [None] * 4


def test_unomi_13_two_people_on_one_browser_have_each_their_own_first_and_last_visit(shop: Shop) -> None:
    shop.say(device="laptop", email=ANA)
    shop.say(device="laptop", day=0.5)
    shop.say(device="laptop", email=BO, day=1)
    shop.say(device="laptop", day=1.5)

    ana, bo = shop.get(f"email:{ANA}"), shop.get(f"email:{BO}")
    assert ana["id"] != bo["id"]
    assert (ana["first_seen_at"], ana["last_seen_at"]) == ("2025-01-01T00:00:00Z", "2025-01-01T12:00:00Z")
    assert (bo["first_seen_at"], bo["last_seen_at"]) == ("2025-01-02T00:00:00Z", "2025-01-02T12:00:00Z")
