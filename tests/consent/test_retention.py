"""Retention: what a purpose is too old for it does not see, and what no purpose keeps any more is forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.consent.conftest import Shop
from tests.still_clock import Clock
from tillit.cli.commands import app as commands
from tillit.clock import DAY, HOUR, now_us, rfc3339
from tillit.consent import Choice
from tillit.privacy import Proof
from tillit.records import TRUST_SERVER, LogRow
from tillit.store.lake import Lake
from tillit.store.scan import find_bytes
from tillit.workspace import Workspace

AGED = """
purposes:
  service: {title: Service, basis: contract, fields: all, retention: 60 days}
  analytics: {title: Analytics, basis: legitimate_interest, fields: all, categories: [Counting], retention: 20 days}
  ads: {title: Ads, basis: consent, fields: all, categories: [Ads], retention: 90 days}
sources: {site: [analytics, ads], till: [service]}
"""
REFUSES = {"consent": {"categoryPreferences": {"Ads": False, "Counting": True}}}
REFUSES_ALL = {"consent": {"categoryPreferences": {"Ads": False, "Counting": False}}}


@pytest.fixture
def aged(ws: Workspace, clock: Clock) -> Shop:
    ws.consent.apply(AGED)
    return Shop(ws, clock)


def names(shop: Shop, who: str = "user_id:u1", purpose: str = "service") -> list[str]:
    told = shop.ws.profiles.timeline(who, shop.ws.scope(purpose))
    return [str(one["name"]) for one in told.events] if told is not None else []


def bodies(shop: Shop) -> dict[int, str]:
    return {row.position: (row.body or b"").decode() for row in shop.ws.log.read(0, 1_000)}


def kept_words(shop: Shop) -> set[str]:
    return {json.loads(body)["event"] for body in bodies(shop).values() if '"event"' in body}


def sound(shop: Shop) -> None:
    assert shop.ws.folding.check() == []


# -- reading


def test_what_is_older_than_a_purpose_keeps_it_does_not_see(aged: Shop) -> None:
    aged.say(type="identify", userId="u1", traits={"email": "ana@example.org", "city": "Lund"})
    aged.say(userId="u1", event="Old")
    aged.clock.go_on(15 * DAY)
    aged.say(type="identify", userId="u1", traits={"city": "Malmo"})
    aged.say(userId="u1", event="New")
    assert names(aged, purpose="analytics") == ["New", "None", "Old", "None"]
    aged.clock.go_on(10 * DAY)

    document = aged.read("user_id:u1", "analytics")
    assert {name: one["value"] for name, one in document["traits"].items()} == {"city": "Malmo"}
    assert document["withheld"] == [{"field": "traits.email", "reason": "retention_over"}]
    assert document["counts"] == {"New": 1, "Old": 1}  # sums still include it
    assert names(aged, purpose="analytics") == ["New", "None"]
    told, _ = aged.ws.events.applied(0, aged.ws.scope("analytics"))
    assert [one["name"] for _, one in told] == [None, "New"]
    assert sorted(aged.read("user_id:u1", "service")["traits"]) == ["city", "email"]
    assert names(aged) == ["New", "None", "Old", "None"]
    past = aged.ws.profiles.as_of("user_id:u1", aged.clock.at - 12 * DAY, aged.ws.scope("analytics"))
    assert past is not None
    assert past["traits"] == {}


def test_the_time_of_a_purpose_ends_to_the_hour_and_never_late(aged: Shop) -> None:
    aged.say(userId="u1", event="Old")
    logged_at = aged.ws.log.head_logged_at()
    for early, expected in ((2 * HOUR, ["Old"]), (0, [])):
        aged.clock.at = logged_at + 20 * DAY - early
        assert names(aged, purpose="analytics") == expected


def test_a_trimmed_log_hides_no_more_and_no_less(aged: Shop) -> None:
    for day in range(30):
        aged.say(userId="u1", event=f"Day {day}", type="track")
        aged.clock.go_on(DAY)
    before = names(aged, purpose="analytics")
    aged.ws.folding.write_lake()
    assert aged.ws.log.trim(aged.ws.log.head() - 3) > 0

    assert names(aged, purpose="analytics") == before
    assert len(before) == 19


def test_a_place_in_a_group_that_is_too_old_is_not_told(aged: Shop) -> None:
    aged.say(type="group", userId="u1", groupId="home", traits={"kind": "household"})
    aged.clock.go_on(30 * DAY)

    assert aged.read("user_id:u1", "analytics")["groups"] == []
    assert [one["group"] for one in aged.read("user_id:u1", "service")["groups"]] == ["household:home"]
    assert aged.ws.groups.get("household:home", aged.ws.scope("analytics"))["members"] == []


# -- sweeping


def test_the_longest_purpose_that_may_use_an_event_keeps_it(aged: Shop) -> None:
    aged.say(userId="u1", event="Till", source="till")  # 60 days
    aged.say(userId="u1", event="Site", source="site")  # 90 days
    aged.say(userId="u1", event="Refused", source="site", context=REFUSES)  # 20 days
    aged.say(userId="u1", event="Shop", source="shop", context=REFUSES)  # 60 days
    aged.say(userId="u1", event="Later", source="site", context=REFUSES)
    expected = [
        (21, {"Till", "Site", "Shop", "Later"}),  # the latest answer stays
        (61, {"Site", "Later"}),
        (91, {"Later"}),
    ]
    began = aged.clock.at
    for days, left in expected:
        aged.clock.at = began + days * DAY
        outlook = aged.ws.retention.outline()
        swept = aged.ws.retention.sweep()
        assert swept.n_events == outlook.n_due > 0
        assert kept_words(aged) == left
        again = aged.ws.retention.sweep()
        assert (again.n_events, again.n_proofs) == (0, 1)
        sound(aged)


def test_what_no_purpose_may_use_is_kept_for_nothing(ws: Workspace, clock: Clock) -> None:
    shop = Shop(ws, clock)
    shop.say(userId="u1", event="Refused", context=REFUSES_ALL)
    shop.say(userId="u1", event="Refused again", context=REFUSES_ALL)
    ws.consent.apply("purposes: {ads: {title: A, basis: consent, fields: all, categories: [Ads], retention: 9 days}}")

    assert ws.retention.outline().months[0].purposes == ()
    ws.retention.sweep()
    assert kept_words(shop) == {"Refused again"}


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "purposes: {ads: {title: A, basis: consent, fields: all, categories: [Ads]}}",
        AGED.replace("fields: all, retention: 60 days", "fields: all").partition("sources:")[0],
    ],
)
def test_without_an_end_for_every_purpose_nothing_is_ever_swept(ws: Workspace, clock: Clock, policy: str) -> None:
    if policy:
        ws.consent.apply(policy)
    shop = Shop(ws, clock)
    shop.say(userId="u1", event="Kept", context=REFUSES_ALL)
    clock.go_on(9_000 * DAY)

    assert not ws.retention.is_declared()
    assert ws.retention.sweep().n_events == 0
    assert kept_words(shop) == {"Kept"}


def test_what_is_told_late_is_kept_from_when_it_came(aged: Shop) -> None:
    aged.clock.go_on(200 * DAY)
    aged.say(userId="u1", event="Long ago", timestamp="2020-01-01T00:00:00Z")
    aged.clock.go_on(80 * DAY)

    aged.ws.retention.sweep()
    assert names(aged, purpose="service") == []  # 60 days, and ads may use it for 90
    assert kept_words(aged) == {"Long ago"}


def test_proofs_stay_and_hold(aged: Shop) -> None:
    aged.say(type="identify", userId="u1", traits={"email": "ana@example.org"})
    aged.say(type="identify", userId="u2", traits={"email": "ana@example.org"})
    aged.chooses({"userId": "u1"}, TRUST_SERVER, analytics=False)
    note = aged.ws.profiles.note("user_id:u1", "calls in the morning", operator="kim")
    fixed = aged.ws.profiles.correct("user_id:u1", "city", "Lund", reason="typed wrongly", operator="kim")
    aged.ws.flush()
    aged.ws.profiles.undo(note, operator="kim")
    aged.ws.identity.pin("user_id:u1", "user_id:u2", reason="two people", operator="kim")
    aged.ws.flush()
    assert fixed
    aged.clock.go_on(100 * DAY)
    aged.say(type="identify", userId="u1", traits={"email": "ana@example.org"})
    aged.say(type="identify", userId="u2", traits={"email": "ana@example.org"})

    # What ties the address to whoever objected stays.
    assert aged.ws.retention.sweep().n_events == 3
    assert aged.why_not("user_id:u1", "analytics") == "objected"
    assert aged.read("user_id:u1", "service")["traits"].keys() == {"email"}
    one, two = (aged.ws.profiles.membership(f"user_id:{who}") for who in ("u1", "u2"))
    assert one is not None
    assert two is not None
    assert one.profile_id != two.profile_id
    assert sum('"retract"' in body for body in bodies(aged).values()) == 1
    sound(aged)


def test_a_refusal_that_an_event_carried_outlives_its_neighbours(aged: Shop) -> None:
    aged.chooses({"userId": "u1"}, ads=True)
    aged.say(userId="u1", event="One", context=REFUSES)
    aged.clock.go_on(DAY)
    aged.say(userId="u1", event="Two", context=REFUSES)
    before = aged.why_not("user_id:u1", "ads")
    aged.clock.go_on(300 * DAY)

    aged.ws.retention.sweep()
    assert aged.why_not("user_id:u1", "ads") == before
    assert "Two" in kept_words(aged)
    assert "One" not in kept_words(aged)


@pytest.mark.parametrize("chain", [["tablet"], ["tablet", "card"]])
def test_a_no_that_was_said_before_anybody_knew_whose_stays_theirs(aged: Shop, chain: list[str]) -> None:
    aged.say(anonymousId="tablet", event="Refuses", context=REFUSES_ALL)
    card: dict[str, Any] = {"context": {"externalIds": [{"type": "card", "id": "c1"}]}}
    if "card" in chain:
        aged.say(anonymousId="tablet", event="Ties", **card)
        aged.say(userId="u1", event="Is", **card)
    else:
        aged.say(userId="u1", anonymousId="tablet", event="Is")
    aged.say(userId="u1", event="Later")
    assert aged.why_not("user_id:u1", "analytics") == "objected"
    aged.clock.go_on(100 * DAY)

    swept = aged.ws.retention.sweep()

    assert (swept.n_events, swept.n_proofs) == (1, 1 + len(chain))
    assert aged.why_not("user_id:u1", "analytics") == "objected"
    assert "Later" not in kept_words(aged)
    sound(aged)


def test_a_legal_hold_stops_it_until_it_ends(aged: Shop) -> None:
    for who in ("u1", "u2"):
        mail = {"email": f"{who}@example.org"}
        aged.say(type="identify", userId=who, anonymousId=f"d-{who}", traits=mail, event=f"Is {who}")
        aged.say(anonymousId=f"d-{who}", event=f"By {who}")
    aged.clock.go_on(89 * DAY)
    ask = aged.ws.requests.open("user_id:u1", "erasure", proof=Proof(3, "sign_in"))
    aged.ws.requests.hold(
        ask.request_id, basis="legal_claim", until_at=aged.clock.at + 30 * DAY, reason="court", by_whom="kim"
    )
    aged.clock.go_on(2 * DAY)

    outlook = aged.ws.retention.outline()
    assert (outlook.n_due, outlook.n_held) == (2, 2)
    for _ in range(2):
        assert aged.ws.retention.sweep().n_held == 2
    assert kept_words(aged) == {"Is u1", "By u1"}
    aged.ws.requests.release(ask.request_id, reason="court is over", by_whom="kim")
    assert aged.ws.retention.sweep().n_events == 2
    assert kept_words(aged) == set()
    assert aged.ws.retention.sweep().n_events == 0
    sound(aged)


def test_whoever_is_restricted_is_only_stored_and_nothing_of_theirs_is_swept(aged: Shop) -> None:
    aged.say(userId="u1", anonymousId="d1", event="Mine")
    aged.say(anonymousId="d1", event="By mine")
    aged.say(userId="u2", event="Theirs")
    aged.ws.consent.set("user_id:u1", [Choice("*", "restricted")])
    aged.clock.go_on(91 * DAY)

    outlook = aged.ws.retention.outline()
    assert (outlook.n_due, outlook.n_held) == (1, 2)
    swept = aged.ws.retention.sweep()
    assert (swept.n_events, swept.n_held) == (1, 2)
    assert kept_words(aged) == {"Mine", "By mine"}
    aged.ws.consent.set("user_id:u1", [Choice("*", "released")])
    assert aged.ws.retention.sweep().n_events == 2
    assert kept_words(aged) == set()
    sound(aged)


@pytest.mark.parametrize("fact", [{"deceased": True}, {"minor": True}, {"birthday": "2010-06-01"}])
def test_what_makes_somebody_dead_or_a_minor_is_not_swept_while_it_does(aged: Shop, fact: dict[str, Any]) -> None:
    aged.say(type="identify", userId="u1", event="Told before", traits=fact)
    aged.say(type="identify", userId="u1", event="Told", traits=fact)
    aged.say(type="identify", userId="u2", event="Grown up", traits={"birthday": "1980-06-01", "minor": False})
    aged.clock.go_on(91 * DAY)
    before = aged.why_not("user_id:u1", "analytics")
    assert before in {"deceased", "minor"}

    swept = aged.ws.retention.sweep()
    assert (swept.n_events, swept.n_held) == (2, 1)
    assert kept_words(aged) == {"Told"}
    assert aged.why_not("user_id:u1", "analytics") == before
    aged.say(type="identify", userId="u1", traits={"deceased": False, "minor": False, "birthday": "1980-06-01"})
    assert aged.ws.retention.sweep().n_events == 1
    assert aged.may("user_id:u1", "analytics")
    sound(aged)


def test_who_comes_of_age_is_a_minor_by_nothing_that_is_kept(aged: Shop) -> None:
    aged.say(type="identify", userId="u1", traits={"birthday": rfc3339(aged.clock.at - 17 * 365 * DAY)[:10]})
    aged.clock.go_on(91 * DAY)
    assert aged.ws.retention.sweep().n_held == 1
    aged.clock.go_on(400 * DAY)

    assert aged.ws.retention.sweep().n_events == 1


def test_a_colleagues_word_that_somebody_died_is_kept_and_so_is_what_another_name_of_theirs_says(aged: Shop) -> None:
    aged.say(type="identify", userId="u1", anonymousId="d1", traits={"minor": True})
    aged.say(type="identify", anonymousId="d1", traits={"minor": True})
    aged.say(userId="u2")
    aged.ws.profiles.correct("user_id:u2", "deceased", True, reason="the family called", operator="kim")
    aged.ws.flush()
    aged.clock.go_on(91 * DAY)

    assert aged.ws.retention.sweep().n_held == 3
    assert aged.why_not("user_id:u2", "analytics") == "deceased"
    aged.ws.identity.cut("user_id:u1", "anonymous_id:d1", reason="two people", operator="kim")
    assert aged.why_not("anonymous_id:d1", "analytics") == "minor"
    assert aged.why_not("user_id:u1", "analytics") == "minor"
    sound(aged)


def test_a_sweep_ends_when_other_purposes_come_and_heeds_a_restriction_at_once(
    aged: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillit.workspace.retention._FIRST", 2)
    monkeypatch.setattr("tillit.workspace.retention._MOST", 2)
    for n in range(6):
        aged.say(userId=f"u{n}", event=f"Of u{n}")
    aged.clock.go_on(91 * DAY)

    def meanwhile(n_gone: int) -> None:
        if n_gone == 2:
            aged.ws.consent.set("user_id:u2", [Choice("*", "restricted")])
        if n_gone == 3:
            aged.ws.consent.apply(AGED.replace("90 days", "900 days"))

    aged.ws.retention.sweep(progress=meanwhile)
    assert kept_words(aged) == {"Of u2", "Of u4", "Of u5"}
    assert aged.ws.retention.sweep().n_events == 0


def test_other_purposes_look_at_everything_once_more(aged: Shop) -> None:
    for day in range(4):
        aged.say(userId="u1", event=f"Day {day}", source="till")
        aged.clock.go_on(10 * DAY)
    assert aged.ws.retention.sweep().n_events == 0
    aged.ws.consent.apply(AGED.replace("60 days", "15 days").replace("90 days", "15 days"))

    assert aged.ws.retention.sweep().n_events == 3
    aged.clock.go_on(10 * DAY)
    assert aged.ws.retention.outline().n_due == 1


def test_a_sweep_looks_only_at_what_became_due(aged: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(100):
        aged.say(userId="u1", event=f"Day {day}")
        aged.clock.go_on(DAY)
    aged.ws.retention.sweep()
    read: list[int] = []
    plain = aged.ws.log.read

    def noting(after: int, limit: int) -> list[LogRow]:
        read.append(after)
        return plain(after, limit)

    monkeypatch.setattr(aged.ws.log, "read", noting)
    aged.clock.go_on(DAY)

    assert aged.ws.retention.sweep().n_events == 1
    assert min(read) > 10  # the tenth of a hundred days is where the last sweep ended


def test_the_act_says_why_and_the_audit_and_the_notes_how_many(aged: Shop) -> None:
    aged.say(userId="u1", event="Old")
    aged.clock.go_on(91 * DAY)
    aged.ws.retention.sweep()

    act = next(json.loads(body) for body in bodies(aged).values() if '"act"' in body)
    assert (act["reason"], act["policy"]) == ("retention", aged.ws.consent.declared().hash)
    last = aged.ws.retention.last()
    assert last is not None
    assert (last.swept_at, last.n_events) == (aged.clock.at, 1)


def test_no_file_holds_what_was_swept_once_the_lake_followed(aged: Shop) -> None:
    aged.say(type="identify", userId="user-swept-1", traits={"email": "swept-mark@example.org"})
    aged.say(userId="user-kept-2", event="kept-mark-2", source="till", properties={"order_id": "swept-order-1"})
    aged.ws.folding.write_lake()
    aged.ws.log.trim(aged.ws.log.head() - 1)
    aged.clock.go_on(91 * DAY)
    aged.say(userId="user-kept-2", event="kept-mark-2")
    assert aged.ws.retention.sweep().n_events == 2

    aged.ws.folding.write_lake()
    with Lake.open(aged.ws.paths.lake, read_only=True) as lake:
        assert lake.position() == aged.ws.log.head()
    words = ["user-swept-1", "swept-mark@example.org", "swept-order-1", "kept-mark-2"]
    found = find_bytes(aged.ws.paths.root, words)
    assert {words[one.marker] for one in found if one.marker >= 0} == {"kept-mark-2"}
    assert all(one.marker >= 0 for one in found)
    sound(aged)


def test_a_resend_goes_with_its_first_and_one_that_comes_later_goes_when_it_is_due(aged: Shop) -> None:
    aged.ws.append([{"type": "track", "userId": "u1", "event": "Twice", "messageId": "one"}])
    aged.clock.go_on(DAY)
    aged.ws.append([{"type": "track", "userId": "u1", "event": "Twice", "messageId": "one"}])
    aged.ws.flush()
    aged.clock.go_on(90 * DAY)
    aged.ws.retention.sweep()
    assert kept_words(aged) == set()
    aged.ws.append([{"type": "track", "userId": "u1", "event": "Twice", "messageId": "one"}])
    aged.ws.flush()
    assert kept_words(aged) == {"Twice"}
    aged.clock.go_on(91 * DAY)

    aged.ws.retention.sweep()
    assert kept_words(aged) == set()
    sound(aged)


# -- the command


def run(shop: Shop, *words: str) -> str:
    done = CliRunner().invoke(commands, [*words, "--workspace", str(shop.ws.paths.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_says_what_would_go_and_does_it_with_yes(ws: Workspace, clock: Clock) -> None:
    clock.at = now_us() - 20 * DAY  # the commands go by the real clock
    shop = Shop(ws, clock)
    shop.say(userId="u1", event="Old")
    ws.folding.release()
    assert "Nothing is ever due" in run(shop, "privacy", "retention")
    ws.consent.apply("purposes: {service: {title: S, basis: contract, fields: all, retention: 10 days}}")
    ws.folding.release()

    told = run(shop, "privacy", "retention")
    assert "Would forget 1 event:" in told
    assert "shop  1 event, kept for service; the oldest of " in told
    assert "Never swept." in told
    assert "LOOK retention   never swept, 1 events are due" in examined(shop)
    document: Any = json.loads(run(shop, "privacy", "retention", "--json"))
    assert (document["done"], document["n_due"], document["months"][0]["n_events"]) == (False, 1, 1)
    assert run(shop, "privacy", "retention", "--yes") == "1 event forgotten.\n"
    assert kept_words(shop) == set()
    noted = ws.audit.actions(action="retention.sweep")
    assert [(one.operator_id, one.target, one.details["n_events"]) for one in noted] == [
        ("cli", ws.consent.declared().hash, 1)
    ]
    assert "0 events are due" in examined(shop)


def examined(shop: Shop) -> str:
    return CliRunner().invoke(commands, ["doctor", "--workspace", str(shop.ws.paths.root)]).stdout
