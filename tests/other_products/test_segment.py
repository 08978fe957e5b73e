"""The examples of Segment's published identity rules, each by name; where ours differ, the test says what ours do.

What is alike and what differs, and why, is in docs/reference/differences.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tillit.errors import InputError
from tillit.records import TRUST_CLAIMED

if TYPE_CHECKING:
    from tests.other_products.conftest import Shop

JANE = "jane@example1.com"


# -- blocked values


@pytest.mark.parametrize("value", ["0", "0000", "-", "---", "0-0-0", "00000000-0000-0000-0000-000000000000"])
def test_segment_blocks_zeroes_and_dashes(shop: Shop, value: str) -> None:
    shop.say(user=value, email="ana@example.org")
    shop.say(user=value, device=value, email="bo@example.org", card=value)

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")
    assert shop.find(f"user_id:{value}") is None


@pytest.mark.parametrize("value", ["-1", "null", "anonymous"])
def test_segment_blocks_what_programs_send_for_nobody(shop: Shop, value: str) -> None:
    shop.say(user=value, email="ana@example.org")
    shop.say(user=value, device=value, email="bo@example.org", card=value)

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")
    assert shop.find(f"user_id:{value}") is None


@pytest.mark.parametrize("value", ["void", "abc123"])
def test_segment_blocks_values_of_ones_own(shop: Shop, value: str) -> None:
    shop.rules("namespaces: {user_id: {block: {values: [void, abc123]}}}")
    shop.say(user=value, email="ana@example.org")
    shop.say(user=value, email="bo@example.org")

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")
    assert shop.find(f"user_id:{value}") is None


def test_segment_blocks_by_pattern(shop: Shop) -> None:
    shop.rules("namespaces: {user_id: {block: {patterns: ['^test[0-9]*$']}}}")
    shop.say(user="test7", email="ana@example.org")
    shop.say(user="testing", email="bo@example.org")

    assert shop.find("user_id:test7") is None
    assert shop.is_one("user_id:testing", "email:bo@example.org")


def test_segment_leaves_a_blocked_value_in_the_event(shop: Shop) -> None:
    shop.say(user="null", email="ana@example.org")

    body = shop.ws.log.read(0, 1)[0].body
    assert body is not None
    assert json.loads(body)["userId"] == "null"
    assert shop.get("email:ana@example.org")["n_events"] == 1


def test_segment_reports_an_event_without_one_admitted_identifier(shop: Shop) -> None:
    shop.say(user="null", device="anonymous")

    assert shop.ws.events.fates(1, 1) == {1: ("quarantined", "identity.no-identifier")}


def test_segment_logs_each_blocked_value_and_here_the_rule_says_it_once(shop: Shop) -> None:
    shop.say_all([{"user": "null", "email": f"{n}@example.org"} for n in range(3)])

    assert shop.violations() == []


def test_segment_blocks_for_new_data_only_and_here_for_all_that_was_ever_said(shop: Shop) -> None:
    shop.say(user="void", email="ana@example.org")
    shop.say(user="void", email="bo@example.org")
    assert shop.is_one("email:ana@example.org", "email:bo@example.org")

    shop.rules("namespaces: {user_id: {block: {values: [void]}}}")

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")


# -- limits


def test_segment_lets_a_person_have_one_user_id(shop: Shop) -> None:
    shop.say(user="1", card="c")
    shop.say(user="2", card="c")

    assert not shop.is_one("user_id:1", "user_id:2")


@pytest.mark.parametrize(("name", "most"), [("email", 5), ("phone", 5), ("loyalty", 20)])
def test_segment_lets_a_person_have_five_of_other_kinds_and_here_twenty_but_of_email_and_phone(
    shop: Shop, name: str, most: int
) -> None:
    values = {"email": "{}@example.org", "phone": "+46 70 123 45 {:02}", "loyalty": "L{}"}
    shop.say_all([{"user": "ana", "day": n, name: values[name].format(n)} for n in range(most + 1)])

    assert len(shop.ids("user_id:ana", name)) == most
    assert shop.violations() == [("refused", "identifier_value_limit_exceeded")]


def test_segment_example_of_two_user_ids_and_one_email(shop: Shop) -> None:
    shop.rules("namespaces: {user_id: {limit: 2}, email: {limit: 1}}")
    shop.say(user="shopify-7", email="ana@example.org")
    shop.say(user="8f14e45f", email="ana@example.org")
    shop.say(user="8f14e45f", email="other@example.org")
    shop.say(user="third", email="ana@example.org")

    assert shop.is_one("user_id:shopify-7", "user_id:8f14e45f", "email:ana@example.org")
    assert shop.violations() == [
        ("refused", "identifier_value_set_to_unique"),
        ("refused", "identifier_value_limit_exceeded"),
    ]


def test_segment_example_of_five_emails_annually(shop: Shop) -> None:
    shop.rules("namespaces: {email: {limit: 5 annually}}")
    shop.say_all([{"user": "ana", "email": f"{n}@example.org", "day": n} for n in range(6)])
    assert shop.ids("user_id:ana", "email") == [f"{number}@example.org" for number in range(5)]

    shop.say(user="ana", email="6@example.org", day=400)
    shop.say(user="ana", email="told-late@example.org", day=-400)

    assert len(shop.ids("user_id:ana", "email")) == 7
    assert shop.violations() == [("refused", "identifier_value_time_limit_exceeded")]


def test_segment_example_of_five_anonymous_ids_weekly_and_here_a_device_is_bounded_by_its_tenures(shop: Shop) -> None:
    shop.say_all([{"user": "ana", "device": f"browser-{n}", "day": n / 8} for n in range(8)])
    shop.say(user="bo", device="browser-0", day=2)

    assert len(shop.ids("user_id:ana", "anonymous_id")) == 8
    assert shop.is_one("user_id:bo", "anonymous_id:browser-0")
    assert shop.get("user_id:ana")["n_events"] == 8


def test_segment_advises_against_stricter_rules_later_and_here_they_hold_for_people_that_there_are(shop: Shop) -> None:
    shop.say_all([{"user": "ana", "email": f"{n}@example.org", "day": n} for n in range(5)])
    before = shop.id_of("user_id:ana")

    shop.rules("namespaces: {email: {limit: 2}}")
    assert shop.ids("user_id:ana", "email") == ["0@example.org", "1@example.org"]
    shop.ws.rules.undo()

    assert len(shop.ids("user_id:ana", "email")) == 5
    assert shop.id_of("user_id:ana") == before


# -- priority


def test_segment_example_of_priority_abc123_and_abc456(shop: Shop) -> None:
    shop.say(user="abc123", email=JANE)
    shop.say(user="abc456", email=JANE, day=1)

    assert not shop.is_one("user_id:abc456", "user_id:abc123")
    assert shop.is_one(f"email:{JANE}", "user_id:abc123")
    assert shop.get("user_id:abc456")["n_events"] == 1


def test_segment_drops_the_demoted_email_and_here_it_waits_for_somebodys_word(shop: Shop) -> None:
    shop.say(user="abc123", email=JANE)
    shop.say(user="abc456", email=JANE, day=1)
    assert shop.violations() == [("soft", "two_logins")]

    shop.ws.identity.cut("user_id:abc123", f"email:{JANE}", reason="It was never hers.")

    assert shop.is_one(f"email:{JANE}", "user_id:abc456")


def test_segment_reshuffles_ranks_when_a_kind_appears_and_here_a_new_kind_moves_nothing(shop: Shop) -> None:
    both: dict[str, Any] = {"device": "web-1", "ga_client_id": "ga-1"}
    shop.say(**both)
    before = shop.id_of("anonymous_id:web-1")

    shop.say_all([{"device": "app-1", "android.id": "phone-1", "day": 1}, both | {"day": 2}])

    # Ranked by name, android.id would come before anonymous_id, and ga_client_id after both.
    assert shop.id_of("anonymous_id:web-1") == before
    assert shop.get("anonymous_id:web-1")["n_events"] == 2
    assert shop.get("anonymous_id:app-1")["n_events"] == 1


# -- flat matching


def test_segment_matching_1_makes_a_new_profile_when_nobody_matches(shop: Shop) -> None:
    shop.say(user="ana")
    shop.say(user="bo", email="bo@example.org")

    assert not shop.is_one("user_id:ana", "user_id:bo")
    assert shop.get("user_id:bo")["n_events"] == 1


def test_segment_matching_2_adds_to_the_one_that_matches(shop: Shop) -> None:
    shop.say(email="ana@example.org")
    shop.say(user="ana", email="ana@example.org", card="7", day=1)

    assert shop.is_one("user_id:ana", "email:ana@example.org", "card:7")
    assert shop.get("card:7")["n_events"] == 2


def test_segment_matching_3_merges_several_that_match(shop: Shop) -> None:
    shop.say(email="ana@example.org")
    shop.say(card="7", day=1)
    shop.say(phone="+46701234567", day=2)
    shop.say(user="ana", email="ana@example.org", phone="+46701234567", card="7", day=3)

    assert shop.is_one("user_id:ana", "email:ana@example.org", "card:7", "phone:+46701234567")
    assert shop.get("user_id:ana")["n_events"] == 4


def test_segment_merges_by_a_device_and_here_devices_never_merge_people(shop: Shop) -> None:
    shop.say(device="laptop", email="ana@example.org")
    shop.say(device="laptop", email="bo@example.org", day=1)

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")


def test_segment_example_of_the_shared_ipad(shop: Shop) -> None:
    names = ["ana", "bo", "cem", "dag", "eva", "fia", "gun"]
    for hour, name in enumerate(names):
        looked, registered = hour / 24, (hour + 0.5) / 24
        visit = [
            {"device": "ipad", "day": looked},
            {"device": "ipad", "email": f"{name}@example.org", "day": registered},
        ]
        shop.say_all(visit)

    assert len({shop.id_of(f"email:{name}@example.org") for name in names}) == 7
    # The first visit is Ana's too: she is the first whom the tablet knew. Later ones belong to whoever held it then.
    assert [shop.get(f"email:{name}@example.org")["n_events"] for name in names] == [3, 2, 2, 2, 2, 2, 1]


def test_segment_example_of_a_visitor_who_signs_up(shop: Shop) -> None:
    shop.say(device="anon_123")
    before = shop.id_of("anonymous_id:anon_123")

    shop.say(user="use_123", device="anon_123", day=1)

    assert shop.get("user_id:use_123")["n_events"] == 2
    # There the profile keeps its id. Here a profile's id is its strongest identifier's; the old one works as well.
    assert shop.id_of(before) == shop.id_of("user_id:use_123")


def test_segment_takes_a_custom_external_id(shop: Shop) -> None:
    shop.say(user="use_123", phone="123-456-7890")
    shop.say(shopify_id="S1", phone="1234567890", day=1)

    assert shop.is_one("phone:123-456-7890", "shopify_id:S1", "user_id:use_123")


def test_segment_external_ids_of_a_group_join_nobody(shop: Shop) -> None:
    for name in ("ana", "bo"):
        told = {"id": "acme", "type": "company", "collection": "accounts", "encoding": "none"}
        shop.ws.identify(
            anonymous_id=f"receipt-{name}", traits={"email": f"{name}@example.org"}, context={"externalIds": [told]}
        )
    shop.ws.flush()

    assert not shop.is_one("email:ana@example.org", "email:bo@example.org")
    assert shop.find("company:acme") is None


def test_segment_matches_by_group_id_and_here_a_group_is_a_list_of_people(shop: Shop) -> None:
    for name in ("ana", "bo"):
        shop.ws.identify(user_id=name)
        shop.ws.group(user_id=name, group_id="acme")
    shop.ws.flush()

    assert not shop.is_one("user_id:ana", "user_id:bo")
    assert [one["group"] for one in shop.get("user_id:bo")["groups"]] == ["account:acme"]


def test_segment_reads_ids_out_of_properties_and_here_a_property_says_what_happened(shop: Shop) -> None:
    shop.ws.track(user_id="ana", event="Order Completed", properties={"phone": "+46701234567"})
    shop.ws.flush()

    assert shop.find("phone:+46701234567") is None


def test_segment_removes_an_identifier_and_here_a_cut_parts_what_it_brought(shop: Shop) -> None:
    shop.say(card="7")
    shop.say(user="ana", card="7", day=1)

    cut = shop.ws.identity.cut("user_id:ana", "card:7", reason="Somebody else's card.")
    assert shop.get("user_id:ana")["n_events"] == 1
    assert shop.get("card:7")["n_events"] == 1

    shop.ws.identity.undo(cut["action"], reason="It was hers.")
    assert shop.get("user_id:ana")["n_events"] == 2


# -- what Profiles Insights calls a violation

VIOLATIONS: list[Any] = [
    pytest.param(
        "namespaces: {card: {limit: 2}}",
        [{"user": "ana", "card": "1"}, {"user": "ana", "card": "2"}, {"user": "ana", "card": "3"}],
        ("refused", "identifier_value_limit_exceeded"),
        id="identifier_value_limit_exceeded",
    ),
    pytest.param(
        "namespaces: {card: {limit: 1 weekly}}",
        [{"user": "ana", "card": "1"}, {"user": "ana", "card": "2", "day": 1}],
        ("refused", "identifier_value_time_limit_exceeded"),
        id="identifier_value_time_limit_exceeded",
    ),
    pytest.param(
        "person: {growth: 3 hourly}",
        [
            {"user": "ana", "card": "1", "phone": "+46701234567"},
            {"user": "ana", "email": "ana@example.org"},
        ],
        ("soft", "profile_merge_limit_exceeded"),
        id="profile_merge_limit_exceeded",
    ),
    pytest.param(
        "person: {identifiers: 2}",
        [{"user": "ana", "card": "1"}, {"user": "ana", "card": "2"}],
        ("refused", "identifier_mapping_limit_exceeded"),
        id="identifier_mapping_limit_exceeded",
    ),
    pytest.param(
        "namespaces: {card: {limit: 1}}",
        [{"user": "ana", "card": "1"}, {"user": "ana", "card": "2"}],
        ("refused", "identifier_value_set_to_unique"),
        id="identifier_value_set_to_unique",
    ),
]


@pytest.mark.parametrize(("rules", "events", "found"), VIOLATIONS)
def test_segment_violations_by_name(
    shop: Shop, rules: str, events: list[dict[str, Any]], found: tuple[str, str]
) -> None:
    shop.rules(rules)

    for told in events:
        shop.say(**told)

    assert shop.violations() == [found]


def test_segment_knows_no_value_of_many_and_here_it_is_blocked_by_itself(shop: Shop) -> None:
    shop.rules("automatic: {people: 3}")
    for number in range(4):
        shop.say(user=f"u{number}", card="7")

    assert shop.evidence("user_id:u0", "card:7") == [("noted", "id_value_blocked")]
    shop.ws.identity.free("card:7", reason="One family, one card.")
    shop.say(user="u5", card="7")

    assert shop.is_one("user_id:u0", "card:7")


def test_segment_violation_id_value_blocked(shop: Shop) -> None:
    shop.say(user="ana", card="7")

    shop.ws.identity.block("card:7", reason="The shop's own card.")

    assert shop.evidence("user_id:ana", "card:7") == [("noted", "id_value_blocked")]


def test_segment_maps_at_most_1000_identifiers_and_here_100_unless_the_rules_say_otherwise(shop: Shop) -> None:
    kinds = ["app", "crm", "guest", "loyalty", "shopify", "till"]
    shop.say_all([{"user": "ana", kind: f"{kind}-{n}", "day": n} for kind in kinds for n in range(18)])
    assert len(shop.get("user_id:ana")["identifiers"]) == 100
    assert set(shop.violations()) == {("refused", "identifier_mapping_limit_exceeded")}

    shop.rules("person: {identifiers: 1000}")

    assert len(shop.get("user_id:ana")["identifiers"]) == 1 + 6 * 18
    assert shop.violations() == []


def test_segment_merges_at_most_100_times_and_here_more_than_30_new_identifiers_an_hour_wait_for_a_word(
    shop: Shop,
) -> None:
    kinds = ["app", "crm", "guest"]
    shop.say_all([{"user": "ana", kind: f"{kind}-{n}", "day": n / 10_000} for kind in kinds for n in range(12)])
    assert set(shop.violations()) == {("soft", "profile_merge_limit_exceeded")}

    shop.say_all([{"user": "bo", kind: f"{kind}-b{n}", "day": n} for kind in kinds for n in range(12)])

    assert len(shop.get("user_id:ana")["identifiers"]) == 30
    assert len(shop.get("user_id:bo")["identifiers"]) == 1 + 3 * 12


def test_segment_events_beyond_the_mapping_limit_still_count(shop: Shop) -> None:
    shop.rules("person: {identifiers: 2}")
    shop.say_all([{"user": "ana", "card": f"c{n}"} for n in range(4)])

    assert shop.get("user_id:ana")["n_events"] == 4
    assert shop.ids("user_id:ana", "card") == ["c0"]


def test_segment_trusts_every_key_alike_and_here_a_public_key_joins_no_two_known_people(shop: Shop) -> None:
    shop.say(email="ana@example.org")
    shop.say(card="7", day=1)

    shop.say(email="ana@example.org", card="7", day=2, trust=TRUST_CLAIMED)
    assert shop.violations() == [("refused", "known_people_claimed")]
    shop.say(email="ana@example.org", card="7", day=3)

    assert shop.is_one("email:ana@example.org", "card:7")


def test_a_limit_is_written_as_segment_writes_it(shop: Shop) -> None:
    for limit in ("1 ever", "5 weekly", "5 monthly", "5 annually"):
        shop.rules(f"namespaces: {{email: {{limit: {limit}}}}}")

    with pytest.raises(InputError, match="a limit is a number"):
        shop.ws.rules.apply("namespaces: {email: {limit: 5 per week}}")
