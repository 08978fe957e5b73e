"""What may be done with somebody's data, from what they and others said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.consent.conftest import PURPOSES, Shop
from tests.running import tillit
from tillit.consent import Choice, PolicyInvalid, StatementInvalid, UnknownPurpose
from tillit.consent.paper import NothingToRecord
from tillit.consent.receipts import check_record
from tillit.records import TRUST_CLAIMED, TRUST_OPERATOR
from tillit.store.scan import find_bytes
from tillit.workspace import Workspace

ANA = {"userId": "ana"}
TABLET = {"anonymousId": "tablet"}
DAY = 86_400_000_000


# -- silence, yes and no


def test_silence_is_no_consent_and_no_objection(shop: Shop) -> None:
    shop.say(**ANA)

    assert [shop.may("user_id:ana", name) for name in ("newsletter", "analytics", "service", "bookkeeping")] == [
        False,
        True,
        True,
        True,
    ]
    assert shop.why_not("user_id:ana", "newsletter") == "no_consent"


def test_a_yes_counts_until_it_is_withdrawn_and_again_after_another(shop: Shop) -> None:
    told = []
    for said in (True, "withdrawn", "renewed", False):
        shop.chooses(ANA, newsletter=said)
        told.append(shop.why_not("user_id:ana", "newsletter"))

    assert told == [None, "consent_withdrawn", None, "consent_refused"]


@pytest.mark.parametrize("word", ["true", "yes", 1, 0, None, "false", [True], {"a": True}, ""])
def test_only_true_and_the_states_are_a_yes(shop: Shop, word: Any) -> None:
    shop.chooses(ANA, newsletter=word)

    assert not shop.may("user_id:ana", "newsletter")


def test_an_objection_ends_what_rests_on_a_legitimate_interest(shop: Shop) -> None:
    shop.chooses(ANA, analytics="objected", service="objected")

    assert shop.why_not("user_id:ana", "analytics") == "objected"
    assert shop.may("user_id:ana", "service")


def test_a_restriction_ends_all_but_what_the_law_demands_until_it_is_lifted(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.ws.consent.set("user_id:ana", [Choice("*", "restricted")], operator="maria")
    during = [shop.why_not("user_id:ana", name) for name in ("newsletter", "analytics", "service", "bookkeeping")]
    shop.clock.at += 1
    shop.ws.consent.set("user_id:ana", [Choice("*", "released")], operator="maria")

    assert during == ["restricted", "restricted", "restricted", None]
    assert shop.may("user_id:ana", "newsletter")


def test_a_channel_is_agreed_to_alone(shop: Shop) -> None:
    shop.ws.append([{"type": "identify", "userId": "ana"}])
    shop.ws.flush()
    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "given", ("email",))], evidence="form 7", operator="maria")

    assert shop.may("user_id:ana", "newsletter", channel="email")
    assert not shop.may("user_id:ana", "newsletter", channel="sms")
    assert shop.why_not("user_id:ana", "newsletter", channel="fax") == "other_channel"


def test_only_declared_recipients_get_anything(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)

    assert shop.may("user_id:ana", "newsletter", recipient="mailer")
    assert shop.why_not("user_id:ana", "newsletter", recipient="broker") == "recipient_undeclared"


# -- who speaks


def test_a_device_does_not_speak_for_somebody_known_but_its_no_does(shop: Shop) -> None:
    shop.chooses(TABLET, TRUST_CLAIMED, newsletter=True, analytics=False)
    alone = shop.may("anonymous_id:tablet", "newsletter")
    shop.say(**ANA, **TABLET)

    assert alone
    assert shop.why_not("user_id:ana", "newsletter") == "no_consent"
    assert shop.why_not("user_id:ana", "analytics") == "objected"


def test_a_public_key_gives_nobodys_consent_and_may_withdraw_it(shop: Shop) -> None:
    shop.chooses(ANA, TRUST_CLAIMED, newsletter=True)
    claimed = shop.why_not("user_id:ana", "newsletter")
    shop.chooses(ANA, newsletter=True)
    said = shop.may("user_id:ana", "newsletter")
    shop.chooses(ANA, TRUST_CLAIMED, newsletter="withdrawn")

    assert claimed == "not_confirmed"
    assert said
    assert shop.why_not("user_id:ana", "newsletter") == "consent_withdrawn"


def test_a_colleague_who_writes_down_a_yes_names_where_it_can_be_seen(shop: Shop) -> None:
    shop.say(**ANA)
    with pytest.raises(StatementInvalid):
        shop.ws.consent.set("user_id:ana", [Choice("newsletter", "given")], operator="maria")

    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "given")], operator="maria", evidence="call 4711")

    assert shop.may("user_id:ana", "newsletter")


def test_what_must_be_confirmed_counts_only_when_the_customer_proved_it(shop: Shop) -> None:
    shop.chooses(ANA, ads=True)

    assert shop.why_not("user_id:ana", "ads") == "not_confirmed"


def test_of_two_people_who_became_one_each_must_have_said_yes(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.say(userId="bo")
    shop.ws.identity.join("user_id:ana", "user_id:bo", reason="one person", operator="maria")
    joined = shop.why_not("user_id:ana", "newsletter")
    shop.chooses({"userId": "bo"}, newsletter=True)
    both = shop.may("user_id:bo", "newsletter")
    shop.ws.identity.cut("user_id:ana", "user_id:bo", reason="they are two", operator="maria")

    assert joined == "one_of_several_people"
    assert both
    assert shop.may("user_id:ana", "newsletter")


def test_a_cut_gives_each_side_its_own_answer_back(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.chooses({"userId": "bo"}, newsletter=False)
    shop.ws.identity.join("user_id:ana", "user_id:bo", reason="one person", operator="maria")
    joined = shop.why_not("user_id:ana", "newsletter")
    shop.ws.identity.cut("user_id:ana", "user_id:bo", reason="they are two", operator="maria")

    assert joined == "consent_refused"
    assert shop.may("user_id:ana", "newsletter")
    assert shop.why_not("user_id:bo", "newsletter") == "consent_refused"


def test_a_minor_needs_a_guardians_yes(shop: Shop) -> None:
    shop.say(type="identify", userId="kim", traits={"birthday": "2015-06-01"})
    shop.chooses({"userId": "kim"}, newsletter=True)
    alone = shop.why_not("user_id:kim", "newsletter")
    shop.ws.consent.set("user_id:kim", [Choice("newsletter", "given")], by="guardian", evidence="form 8")

    assert alone == "minor"
    assert shop.may("user_id:kim", "newsletter")
    assert shop.why_not("user_id:kim", "analytics") == "minor"


def test_the_dead_are_written_to_for_no_consent_of_theirs(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.say(type="identify", userId="ana", traits={"deceased": True})

    assert shop.why_not("user_id:ana", "newsletter") == "deceased"


# -- clocks


def test_a_consent_ends_when_its_time_is_over(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    until = shop.ws.consent.decide("user_id:ana", "newsletter")["until"]
    shop.clock.at += 24 * 30 * DAY - 1
    last = shop.may("user_id:ana", "newsletter")
    shop.clock.at += 1

    assert until is not None
    assert last
    assert shop.why_not("user_id:ana", "newsletter") == "consent_expired"


def test_a_yes_that_is_dated_back_takes_back_no_no(shop: Shop) -> None:
    shop.chooses(ANA, newsletter="withdrawn")
    shop.say(event="Consent Updated", properties={"purposes": {"newsletter": True}}, timestamp="2026-06-01", **ANA)

    assert shop.why_not("user_id:ana", "newsletter") == "consent_withdrawn"


def test_a_yes_is_not_older_than_the_notice_it_answers(shop: Shop) -> None:
    said = {"purposes": {"newsletter": True}, "notice": "newsletter@2"}
    shop.say(event="Consent Updated", properties=said, timestamp="2025-12-31T23:59:59Z", **ANA)
    before = shop.why_not("user_id:ana", "newsletter")
    shop.say(event="Consent Updated", properties=said, **ANA)

    assert before == "notice_not_yet_shown"
    assert shop.may("user_id:ana", "newsletter")


def test_what_could_be_used_on_a_day_is_told_as_it_was_known_then(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    between = shop.clock.at
    shop.chooses(ANA, newsletter="withdrawn")

    assert shop.may("user_id:ana", "newsletter", at=between)
    assert not shop.may("user_id:ana", "newsletter")


# -- signals and what events carry


def test_a_browsers_signal_refuses_where_a_purpose_says_so(shop: Shop) -> None:
    shop.web(**TABLET, context={"gpc": True})
    shop.say(**ANA, **TABLET)

    assert shop.why_not("user_id:ana", "profiling", jurisdiction="US-CA") == "browser_signal"
    assert shop.may("user_id:ana", "analytics")


def test_what_an_event_carries_counts_as_said(shop: Shop) -> None:
    shop.web(**TABLET, context={"consent": {"categoryPreferences": {"Marketing": True, "Analytics": False}}})
    shop.say(**ANA, context={"consent": {"categoryPreferences": {"Marketing": True}}})

    assert shop.may("anonymous_id:tablet", "newsletter")
    assert shop.why_not("anonymous_id:tablet", "analytics") == "objected"
    assert shop.may("user_id:ana", "newsletter")
    assert not shop.may("user_id:ana", "profiling")  # it needs two categories


@pytest.mark.parametrize("name", ["marketing", "MARKETING", " Marketing", "Unknown"])
def test_a_category_is_meant_as_it_is_written(shop: Shop, name: str) -> None:
    shop.say(**ANA, context={"consent": {"categoryPreferences": {name: True}}})

    assert not shop.may("user_id:ana", "newsletter")


def test_what_an_event_carries_does_not_undo_an_act(shop: Shop) -> None:
    carries = {"consent": {"categoryPreferences": {"Marketing": True}}}
    shop.say(**ANA, context=carries)
    carried = shop.may("user_id:ana", "newsletter")
    shop.say(
        event="Segment Consent Preference Updated",
        context={"consent": {"categoryPreferences": {"Marketing": False}}},
        **ANA,
    )
    shop.say(**ANA, context=carries)
    by_category = shop.why_not("user_id:ana", "newsletter")
    shop.say(event="Segment Consent Preference Updated", context=carries, **ANA)
    again = shop.may("user_id:ana", "newsletter")
    shop.chooses(ANA, newsletter="withdrawn")
    shop.say(event="Segment Consent Preference Updated", context=carries, **ANA)

    assert (carried, by_category, again) == (True, "consent_refused", True)
    assert shop.why_not("user_id:ana", "newsletter") == "consent_withdrawn"


def test_a_yes_to_one_category_takes_back_no_no_to_another(shop: Shop) -> None:
    for choices in (
        {"Personalisation": True, "Analytics": True},
        {"Personalisation": False, "Analytics": True},
        {"Analytics": True},
    ):
        shop.say(event="Consent Updated", context={"consent": {"categoryPreferences": choices}}, **ANA)

    assert shop.why_not("user_id:ana", "profiling") == "consent_refused"


def test_each_category_needs_a_yes_that_counts(shop: Shop) -> None:
    shop.say(event="Consent Updated", context={"consent": {"categoryPreferences": {"Analytics": True}}}, **ANA)
    shop.web(event="Consent Updated", context={"consent": {"categoryPreferences": {"Personalisation": True}}}, **ANA)
    claimed = shop.may("user_id:ana", "profiling")
    shop.say(event="Consent Updated", context={"consent": {"categoryPreferences": {"Personalisation": True}}}, **ANA)

    assert not claimed
    assert shop.may("user_id:ana", "profiling")


def test_a_no_to_every_channel_is_a_no_without_a_channel(shop: Shop) -> None:
    shop.say(**ANA)
    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "given", ("email",))], evidence="form 7")
    given = shop.may("user_id:ana", "newsletter")
    shop.clock.at += 1
    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "withdrawn", ("email",))])
    withdrawn = shop.may("user_id:ana", "newsletter")
    shop.clock.at += 1
    shop.ws.consent.set("user_id:ana", [Choice("analytics", "objected", ("sms",))])

    assert (given, withdrawn) == (True, False)
    assert shop.may("user_id:ana", "analytics")


def test_a_restriction_is_lifted_for_whom_it_was_said(shop: Shop) -> None:
    shop.say(**ANA)
    shop.say(userId="bo")
    for who, state in (("ana", "restricted"), ("bo", "restricted"), ("bo", "released")):
        shop.clock.at += 1
        shop.ws.consent.set(f"user_id:{who}", [Choice("*", state)])
    shop.ws.identity.join("user_id:ana", "user_id:bo", reason="one person", operator="maria")
    joined = shop.why_not("user_id:bo", "service")
    shop.clock.at += 1
    shop.ws.consent.set("user_id:bo", [Choice("*", "released")])

    assert joined == "restricted"
    assert shop.may("user_id:bo", "service")


def test_a_purpose_that_asks_for_a_guardian_asks_whatever_its_basis(shop: Shop) -> None:
    shop.ws.consent.apply(
        "purposes:\n"
        "  game: {title: Game, basis: contract, fields: all, minors: guardian}\n"
        "  counting: {title: Counting, basis: legitimate_interest, fields: all, minors: guardian}\n"
    )
    shop.say(type="identify", userId="kim", traits={"birthday": "2015-06-01"})
    shop.say(userId="ana")
    alone = [shop.why_not("user_id:kim", name) for name in ("game", "counting")]
    shop.ws.consent.set("user_id:kim", [Choice("game", "given")], by="guardian", evidence="form 8")

    assert alone == ["minor", "minor"]
    assert [shop.may("user_id:kim", name) for name in ("game", "counting")] == [True, False]
    assert [shop.may("user_id:ana", name) for name in ("game", "counting")] == [True, True]


def test_a_no_that_finds_no_room_is_a_no_to_all(shop: Shop) -> None:
    for part in range(3):
        names = {f"c{part}-{n}": True for n in range(25)}
        shop.web(**TABLET, context={"consent": {"categoryPreferences": names}})
    shop.web(**TABLET, context={"gpc": True})
    signalled = shop.why_not("anonymous_id:tablet", "profiling", jurisdiction="US-CA")
    before = shop.why_not("anonymous_id:tablet", "analytics")
    shop.web(**TABLET, context={"consent": {"categoryPreferences": {"Analytics": False}}})
    shop.web(**TABLET, context={"consent": {"categoryPreferences": {"Marketing": True}}})

    assert (signalled, before) == ("browser_signal", None)
    assert shop.why_not("anonymous_id:tablet", "analytics") == "objected"
    assert not shop.may("anonymous_id:tablet", "newsletter")


# -- purposes


def test_a_purpose_that_is_renamed_takes_no_consent_along(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.ws.consent.apply(
        PURPOSES.replace("  newsletter:\n    title", "  letters:\n    title").replace("[Marketing]", "[]")
    )

    assert not shop.may("user_id:ana", "letters")
    assert shop.why_not("user_id:ana", "newsletter") == "purpose_undeclared"
    with pytest.raises(UnknownPurpose):
        shop.read("user_id:ana", "newsletter")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("purposes: {a: {title: A, fields: all}}", "basis"),
        ("purposes: {a: {title: A, basis: consent}}", "fields"),
        ("purposes: {a: {title: A, basis: consent, fields: []}}", "reaches no field"),
        ("purposes: {a: {title: A, basis: consent, fields: [everything]}}", "begins with one of"),
        ("purposes: {a: {title: A, basis: consent, fields: all, recipients: [x]}}", "not declared"),
        ("purposes: {a: {title: A, basis: consent, fields: all, notice: x}}", "not declared"),
        ("purposes: {a: {title: A, basis: consent, fields: all, valid_for: long}}", "24 months"),
        ("purposes: {a: {title: A, basis: consent, fields: all, colour: red}}", "colour"),
        ("purposes: {A b: {title: A, basis: consent, fields: all}}", "small letters"),
        (
            "purposes: {a: {title: A, basis: consent, fields: all}, a: {title: B, basis: contract, fields: all}}",
            "twice",
        ),
        ("- a", "purposes:"),
    ],
)
def test_purposes_that_cannot_be_used_are_refused_with_the_reason(ws: Workspace, text: str, told: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        ws.consent.apply(text)

    assert told in str(refused.value)


def test_without_purposes_there_are_the_two_built_in(ws: Workspace) -> None:
    ws.identify(user_id="ana")
    ws.flush()

    assert {one["purpose"]: one["permitted"] for one in ws.consent.state("user_id:ana")["purposes"]} == {
        "service": True,
        "analytics": True,
    }


def test_a_plan_counts_who_gains_and_loses(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.say(userId="bo")

    planned = shop.ws.consent.plan(PURPOSES.replace("basis: legitimate_interest", "basis: consent", 1))

    counted = {one["purpose"]: (one["before"], one["after"], one["lost"]) for one in planned["purposes"]}
    assert counted["analytics"] == (2, 0, 2)
    assert counted["newsletter"] == (1, 1, 0)
    assert {case["id"] for case in planned["cases"]} == {
        shop.read(who, "service")["id"] for who in ("user_id:ana", "user_id:bo")
    }


# -- what is read


def test_a_purpose_reads_its_fields_and_says_what_is_withheld(shop: Shop) -> None:
    shop.say(type="identify", userId="ana", traits={"firstName": "Ana", "plan": "gold", "email": "ana@example.org"})
    refused = shop.read("user_id:ana", "newsletter")
    shop.chooses(ANA, newsletter=True)
    found = shop.read("user_id:ana", "newsletter")

    assert (refused["traits"], refused["identifiers"], refused["n_events"]) == ({}, [], 0)
    assert refused["withheld"] == [{"field": "*", "reason": "no_consent"}]
    assert list(found["traits"]) == ["firstName"]
    assert [one["namespace"] for one in found["identifiers"]] == ["email"]
    assert {one["field"] for one in found["withheld"]} == {
        "traits.plan",
        "traits.email",
        "identifiers.user_id",
        "groups",
        "facts",
    }


def test_what_was_refused_when_it_was_collected_stays_withheld(shop: Shop) -> None:
    shop.say(type="identify", userId="ana", traits={"plan": "free"})
    refusing = {"consent": {"categoryPreferences": {"Analytics": False}}}
    shop.say(type="identify", userId="bo", traits={"plan": "free"})
    shop.say(type="identify", userId="bo", traits={"plan": "gold", "city": "Umeå"}, context=refusing)
    shop.say(type="identify", userId="bo", context={"consent": {"categoryPreferences": {"Analytics": True}}})
    service, analytics = (shop.read("user_id:bo", purpose) for purpose in ("service", "analytics"))

    assert service["traits"]["plan"]["value"] == "gold"
    assert analytics["traits"]["plan"]["value"] == "free"  # what may be used is told, not nothing
    assert "city" not in analytics["traits"]
    assert {"field": "traits.city", "reason": "refused_when_collected"} in analytics["withheld"]
    assert service["n_events"] == analytics["n_events"] + 1


def test_nobody_is_found_or_listed_for_a_purpose_they_did_not_agree_to(shop: Shop) -> None:
    shop.say(type="identify", userId="ana", traits={"firstName": "Ana", "email": "ana@example.org"})
    shop.say(type="identify", userId="bo", traits={"firstName": "Anabel"})
    shop.chooses({"userId": "bo"}, newsletter=True)

    assert [one["traits"]["firstName"]["value"] for one in shop.ws.profiles.search("ana", purpose="newsletter")] == [
        "Anabel"
    ]
    assert shop.ws.profiles.search("email:ana@example.org", purpose="newsletter") == []
    assert len(shop.ws.profiles.search("ana", purpose="service")) == 2


def test_a_stream_tells_of_those_alone_who_agreed(shop: Shop) -> None:
    shop.say(**ANA, properties={"secret": 1})
    shop.say(userId="bo")
    shop.chooses({"userId": "bo"}, newsletter=True)

    told, _ = shop.ws.events.applied(0, shop.ws.scope("newsletter"))
    both, _ = shop.ws.events.applied(0, shop.ws.scope("service"))

    assert len(told) == 2
    assert len(both) == 3
    shop.ws.consent.set("user_id:ana", [Choice("*", "restricted")], operator="maria")
    assert len(shop.ws.events.applied(0, shop.ws.scope("service"))[0]) == 2


def test_a_timeline_leaves_out_what_the_purpose_does_not_reach(shop: Shop) -> None:
    shop.say(**ANA, event="Order Completed", properties={"order_id": "o1"})
    shop.say(**ANA, event="Viewed")

    told = shop.ws.profiles.events("user_id:ana", shop.ws.scope("bookkeeping"))

    assert told is not None
    assert [one["name"] for one in told[0]] == ["Order Completed"]


def test_consent_survives_a_rebuild(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.web(**TABLET, context={"gpc": True, "consent": {"categoryPreferences": {"Ads": False}}})
    before = [shop.ws.consent.state(who) for who in ("user_id:ana", "anonymous_id:tablet")]
    folder = shop.ws.paths.root
    shop.ws.close()

    assert "No difference" in tillit("rebuild", "--check", "--workspace", str(folder))
    tillit("rebuild", "--workspace", str(folder))

    with Workspace(folder, now=shop.clock.now) as again:
        assert [again.consent.state(who) for who in ("user_id:ana", "anonymous_id:tablet")] == before
        assert all(one["statements"] for one in before)
        assert "newsletter" in again.consent.declared().purposes


def test_a_statement_of_a_colleague_is_nothing_the_customer_did(shop: Shop) -> None:
    shop.say(**ANA)
    before = shop.read("user_id:ana", "service")["n_events"]
    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "refused")], operator="maria", trust=TRUST_OPERATOR)

    assert shop.read("user_id:ana", "service")["n_events"] == before


# -- on paper


def test_a_record_on_paper_is_valid_signed_and_tells_what_was_said(shop: Shop) -> None:
    shop.chooses(ANA, newsletter=True)
    shop.chooses(ANA, newsletter="withdrawn")

    told = shop.ws.papers.record("user_id:ana", "newsletter")
    again = json.dumps(told).encode()

    assert check_record(again) == []
    assert [one["@type"] for one in told["dpv:hasConsentStatus"]] == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    assert check_record(again.replace(b"ConsentWithdrawn", b"ConsentGiven")) != []
    assert b"user_id" not in again


def test_there_is_no_record_of_silence(shop: Shop) -> None:
    shop.say(**ANA)

    with pytest.raises(NothingToRecord):
        shop.ws.papers.record("user_id:ana", "newsletter")


# -- at the door


REFUSING = {"consent": {"categoryPreferences": {"Analytics": False, "Ads": False}}}


def test_an_event_that_may_be_used_for_nothing_its_source_is_for_is_not_kept(shop: Shop) -> None:
    refusing: list[dict[str, Any]] = [REFUSING, {"consent": {"categoryPreferences": {}}}, {"consentManagement": {}}]
    for context in refusing:
        shop.say(source="site", userId="ana", properties={"secret": "kept nowhere"}, context=context)
    shop.say(source="shop", userId="ana", properties={"secret": "an order"}, context=REFUSING)
    shop.say(source="site", userId="ana", context={"consent": {"categoryPreferences": {"Analytics": True}}})
    folder = shop.ws.paths.root
    told = shop.read("user_id:ana", "service")

    assert told["n_events"] == 2
    assert set(shop.ws.events.fates(1, shop.ws.log.head()).values()) == {("withheld", "consent.withheld")}
    assert [one for one in find_bytes(folder, ["kept nowhere"]) if one.marker >= 0] == []
    assert [one for one in find_bytes(folder, ["an order"]) if one.marker >= 0] != []


def test_a_choice_is_kept_when_nothing_else_of_its_event_may_be(shop: Shop) -> None:
    said = {"purposes": {"newsletter": "withdrawn"}, "secret": "kept nowhere"}
    shop.chooses(ANA, newsletter=True)
    shop.say(source="site", event="Consent Updated", properties=said, context=REFUSING, **ANA)

    assert shop.why_not("user_id:ana", "newsletter") == "consent_withdrawn"
    assert [one for one in find_bytes(shop.ws.paths.root, ["kept nowhere"]) if one.marker >= 0] == []


def test_a_browsers_signal_closes_the_door_for_what_heeds_it(shop: Shop) -> None:
    shop.ws.consent.apply(PURPOSES.replace("[analytics, ads]", "[ads]"))
    shop.say(source="site", userId="ana", context={"gpc": True})
    shop.say(source="site", userId="ana")

    assert shop.read("user_id:ana", "service")["n_events"] == 1
