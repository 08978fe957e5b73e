"""Why two identifiers are one person, and what programs decide about it, over HTTP."""

import threading
from typing import Any

import pytest

from tests.api.asking import Answer, Asker
from tests.api.conftest import KeyRing
from tests.looks import looks
from tillit.cli.plan_worker import run_plans
from tillit.records import TRUST_CLAIMED
from tillit.workspace import Workspace

ANA, BO, ANAS_MAIL, BOS_MAIL = "user_id:ana", "user_id:bo", "email:ana@example.org", "email:bo@example.org"
MISTAKE = {"userId": "ana", "traits": {"email": "bo@example.org"}, "type": "identify"}
WHY = "The till mistook one for the other."


@pytest.fixture
def mixed(ws: Workspace) -> Workspace:
    """Ana, who was given Bo's e-mail by mistake; Bo, who tried to have it; a tablet."""
    ws.identify(user_id="ana", anonymous_id="tablet", traits={"email": "ana@example.org"}, message_id="m1")
    ws.append([{**MISTAKE, "messageId": "m2"}], source="till")
    ws.identify(user_id="bo", traits={"email": "bo@example.org"}, message_id="m3")
    ws.flush()
    return ws


def decide(ask: Asker, key: str, kind: str, a: str, b: str, **more: Any) -> Answer:
    return ask.post(f"/api/identity/{kind}", {"a": a, "b": b, "reason": WHY, **more}, key)


def id_of(ask: Asker, key: str, who: str) -> str:
    return str(ask.get(f"/api/profiles/{who}", key).json()["id"])


def test_the_life_of_a_mistake(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    why = ask.get(f"/api/identity/why?a={ANA}&b={BOS_MAIL}", keys.all).json()
    assert (why["together"], [(one["from"], one["to"], one["source"]) for one in why["path"]]) == (
        True,
        [(ANA, BOS_MAIL, "till")],
    )
    together = id_of(ask, keys.all, BOS_MAIL)

    cut = decide(ask, keys.all, "cut", ANA, BOS_MAIL)

    assert cut.status == 200, cut
    told = cut.json()
    assert (told["kind"], told["operator"], told["reason"], told["together"]) == ("cut", "key:office", WHY, False)
    assert told["profiles"] == [id_of(ask, keys.all, ANA), id_of(ask, keys.all, BOS_MAIL)]
    assert together == told["profiles"][0] != told["profiles"][1]

    # What Bo said of his own e-mail counts now, and the till's next mistake does not.
    assert id_of(ask, keys.all, BO) == told["profiles"][1]
    mixed.append([{**MISTAKE, "messageId": "m4"}], source="till")
    mixed.flush()
    assert id_of(ask, keys.all, BOS_MAIL) == told["profiles"][1]

    undone = ask.post("/api/identity/undo", {"action": told["action"], "reason": "It was no mistake."}, keys.all)

    assert (undone.status, undone.json()["kind"], undone.json()["together"]) == (200, "undo", True)
    assert id_of(ask, keys.all, BOS_MAIL) == together
    history = ask.get(f"/api/profiles/{ANA}/decisions", keys.all).json()["decisions"]
    assert [(one["kind"], one["stands"], one["operator"]) for one in history] == [
        ("cut", False, "key:office"),
        ("undo", True, "key:office"),
    ]
    assert ask.post("/api/identity/undo", {"action": told["action"], "reason": "x"}, keys.all).code == (
        "identity.already-undone"
    )


def test_what_is_asked_in_the_body_is_answered_as_in_the_address(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    decide(ask, keys.all, "pin", ANA, BO)

    assert (
        ask.post("/api/identity/why", {"a": ANA, "b": BO}, keys.all).json()
        == ask.get(f"/api/identity/why?a={ANA}&b={BO}", keys.all).json()
    )
    assert (
        ask.post("/api/profiles/lookup/decisions", {"identifier": BO}, keys.all).json()
        == ask.get(f"/api/profiles/{BO}/decisions", keys.all).json()
    )


def test_two_user_ids_are_joined(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    told = decide(ask, keys.all, "join", BO, ANA).json()

    assert told["together"]
    assert told["profiles"] == [id_of(ask, keys.all, ANA), id_of(ask, keys.all, BO)]
    assert [(one["rule"], one["trust"]) for one in told["path"]] == [("colleague", "operator")]


def test_what_is_pinned_apart_is_not_joined_and_the_action_is_named(
    ask: Asker, mixed: Workspace, keys: KeyRing
) -> None:
    action = decide(ask, keys.all, "pin", ANA, BO).json()["action"]

    refused = decide(ask, keys.all, "join", ANAS_MAIL, BO)

    assert (refused.status, refused.code) == (409, "identity.pinned-apart")
    assert refused.json()["error"]["details"] == {"action": action}
    assert action in refused.json()["error"]["message"]


def test_without_a_direct_link_a_cut_says_how_long_the_path_is(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    refused = decide(ask, keys.all, "cut", ANAS_MAIL, BOS_MAIL)

    assert (refused.status, refused.code) == (409, "identity.no-direct-link")
    assert refused.json()["error"]["details"] == {"n_steps": 2}  # e-mail, user id, e-mail


@pytest.mark.parametrize("kind", ["pin", "join"])
def test_a_device_is_nobody(kind: str, ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    refused = decide(ask, keys.all, kind, ANA, "anonymous_id:tablet")

    assert (refused.status, refused.code) == (409, "identity.is-device")


@pytest.mark.parametrize(
    "who",
    [
        "user_id:eve",
        "email:no-address",
        "nothing",
        "",
        ":",
        "user_id:",
        "user_id:a\0b",
        "user_id:\ud800",
        "email:" + "a" * 594,
    ],
)
def test_whoever_is_unknown_is_unknown_whatever_the_reason(
    who: str, ask: Asker, mixed: Workspace, keys: KeyRing
) -> None:
    answers = [ask.post("/api/identity/why", {"a": ANA, "b": who}, keys.all)]
    answers += [decide(ask, keys.all, kind, who, ANA) for kind in ("cut", "pin", "join")]
    answers.append(ask.post("/api/profiles/lookup/decisions", {"identifier": who}, keys.all))

    # Half a character is no JSON; all else is nobody.
    wanted = (400, "api.bad-request") if "\ud800" in who else (404, "profile.unknown")
    assert {(one.status, one.code) for one in answers} == {wanted}


def test_one_identifier_written_twice_is_no_pair(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    refused = ask.post("/api/identity/why", {"a": ANAS_MAIL, "b": "email: Ana@Example.org"}, keys.all)

    assert (refused.status, refused.code) == (400, "identity.same-identifier")


@pytest.mark.parametrize("action", ["", "e1-1", "e1-999", "e2-4", "e1-x", "4", "e1-" + "9" * 40])
def test_only_a_decision_can_be_undone(action: str, ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    refused = ask.post("/api/identity/undo", {"action": action, "reason": WHY}, keys.all)

    assert (refused.status, refused.code) == (404, "identity.unknown-action")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        *((kind, reason) for kind in ("cut", "pin", "join", "undo") for reason in ("x" * 501, "a\0b")),
        ("cut", ""),
        ("cut", "  \n"),
    ],
)
def test_a_reason_can_be_kept_and_a_cut_has_one(
    kind: str, reason: str, ask: Asker, mixed: Workspace, keys: KeyRing
) -> None:
    about = {"a": ANA, "b": BOS_MAIL if kind == "cut" else BO}
    if kind == "undo":
        about = {"action": decide(ask, keys.all, "pin", ANA, BO).json()["action"]}
    head = mixed.log.head()

    refused = ask.post(f"/api/identity/{kind}", {**about, "reason": reason}, keys.all)

    assert (refused.status, refused.code) == (400, "identity.reason-invalid")
    assert mixed.log.head() == head


@pytest.mark.parametrize("body", [{}, {"a": ANA}, {"a": ANA, "b": 1, "reason": "x"}, {"a": ANA, "b": BO, "c": 1}])
def test_a_body_that_is_none_is_refused(body: Any, ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    assert ask.post("/api/identity/cut", body, keys.all).code == "api.bad-request"


def test_reading_does_not_decide(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    reader = mixed.keys.create("api", "reader", scopes=["identity:read"])[0]
    writer = mixed.keys.create("api", "writer", scopes=["identity:write"])[0]
    head = mixed.log.head()

    assert ask.get(f"/api/identity/why?a={ANA}&b={BO}", reader).status == 200
    assert (decide(ask, reader, "cut", ANA, BOS_MAIL).code, mixed.log.head()) == ("api.missing-scope", head)
    assert ask.get(f"/api/identity/why?a={ANA}&b={BO}", writer).code == "api.missing-scope"
    # What a key gets when no scope is named is for reading profiles.
    assert ask.get(f"/api/identity/why?a={ANA}&b={BO}", keys.reader).code == "api.missing-scope"


def test_every_answer_is_noted_with_its_purpose_and_whose_it_is(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    one = id_of(ask, keys.all, ANA)
    ask.get(f"/api/identity/why?a={ANA}&b={BOS_MAIL}&purpose=analytics", keys.all)
    decide(ask, keys.all, "cut", ANA, BOS_MAIL)
    ask.get(f"/api/profiles/{ANA}/decisions", keys.all)
    ask.get("/api/identity/violations", keys.all)
    ask.get(f"/api/identity/why?a={ANA}&b=user_id:eve", keys.all)  # tells nothing, so nothing is noted

    noted = [(read.route, read.purpose, read.n_profiles) for read in looks(mixed)[::-1] if read.subject_ref == one]

    assert noted[1:] == [
        ("GET /api/identity/why", "analytics", 1),
        ("POST /api/identity/cut", "service", 2),
        ("GET /api/profiles/{who}/decisions", "service", 1),
    ]
    unknown = decide(ask, keys.all, "pin", ANA, BO, purpose="gossip")
    assert unknown.code == "consent.unknown-purpose"
    assert len(ask.get(f"/api/profiles/{ANA}/decisions", keys.all).json()["decisions"]) == 1


def test_violations_are_listed_newest_first_page_by_page(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    mixed.identify(user_id="cem", traits={"email": "ana@example.org"}, message_id="m4")
    mixed.flush()

    first = ask.get("/api/identity/violations?limit=1", keys.all).json()
    second = ask.get(f"/api/identity/violations?limit=1&before={first['next']}", keys.all).json()

    told = [(one["a"], one["b"], one["verdict"], one["reason"]) for one in first["violations"] + second["violations"]]
    assert told == [
        ("user_id:cem", ANAS_MAIL, "soft", "two user ids"),
        (BO, BOS_MAIL, "soft", "two user ids"),
    ]
    assert second["next"] is None
    for before in ("x", "e2-1", "e1-" + "9" * 40, "1"):
        answer = ask.get(f"/api/identity/violations?before={before}", keys.all)
        assert (answer.status, answer.code) == (400, "identity.bad-cursor")


def test_no_source_sends_a_decision(ws: Workspace, mixed: Workspace) -> None:
    before = mixed.profiles.get(BOS_MAIL)["id"]
    act = {"identifiers": [["user_id", "ana"], ["email", "bo@example.org"]], "operator": "kim", "reason": "x"}

    for kind in ("cut", "pin", "join", "undo"):
        with pytest.raises(Exception, match="'type' is missing or none of"):
            mixed.append([{"type": kind, "userId": "ana", **act}], source="identity", trust=TRUST_CLAIMED)

    assert mixed.quarantine.counts() == {"type_unknown": 4}
    assert mixed.profiles.get(BOS_MAIL)["id"] == before


def test_a_decision_that_is_not_applied_in_time_is_named(
    ask: Asker, mixed: Workspace, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed.folding.leave_to_others()  # as a server does whose engine is away
    monkeypatch.setattr("tillit.workspace.identity._WAIT_S", 0.02)

    answer = decide(ask, keys.all, "cut", ANA, BOS_MAIL)

    assert (answer.status, answer.code) == (503, "identity.pending")
    assert answer.json()["error"]["details"] == {"action": "e1-4"}
    assert "retry-after" not in answer.headers  # a second try would be a second decision
    mixed.folding.engine().catch_up()
    assert [one["action"] for one in ask.get(f"/api/profiles/{ANA}/decisions", keys.all).json()["decisions"]] == [
        "e1-4"
    ]


def test_a_value_that_stands_for_many_is_blocked_and_freed(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    said = {"value": BOS_MAIL, "reason": "The till's own."}

    blocked = ask.post("/api/identity/block", said, keys.all)

    assert (blocked.status, blocked.json()["kind"], blocked.json()["operator"]) == (200, "block", "key:office")
    assert len({id_of(ask, keys.all, one) for one in (ANA, BO, BOS_MAIL)}) == 3
    assert ask.post("/api/identity/block", said, keys.all).status == 409
    assert ask.post("/api/identity/block", {"value": "email:nobody@example.org", "reason": "x"}, keys.all).status == 404
    assert ask.post("/api/identity/block", {"value": ANAS_MAIL}, keys.all).status == 400
    assert ask.post("/api/identity/block", said, keys.reader).status == 403

    assert ask.post("/api/identity/free", said, keys.all).status == 200
    assert id_of(ask, keys.all, BOS_MAIL) == id_of(ask, keys.all, ANA)
    assert ask.post("/api/identity/undo", {"action": blocked.json()["action"]}, keys.all).status == 200


def test_rules_are_read_applied_and_taken_back(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    before = ask.get("/api/identity/rules", keys.all).json()
    assert (before["action"], before["in_force"], len(before["history"])) == (None, True, 1)
    together = id_of(ask, keys.all, BO)

    applied = ask.post("/api/identity/rules", {"text": "namespaces: {user_id: {limit: 2}}"}, keys.all)

    assert (applied.status, applied.json()["in_force"]) == (200, True)
    assert id_of(ask, keys.all, BO) == id_of(ask, keys.all, ANA) != together
    assert ask.post("/api/identity/rules", {"text": "namespaces: {user_id: {limit: 2}}"}, keys.all).status == 409
    for text in ("namespaces: [", "namespaces: {user_id: {limit: many}}", "spaces: {}", "person: {growth: -1}"):
        answer = ask.post("/api/identity/rules", {"text": text}, keys.all)
        assert (answer.status, answer.json()["error"]["code"]) == (400, "identity.rules-invalid"), text
    assert ask.post("/api/identity/rules", {"text": ""}, keys.reader).status == 403

    assert ask.post("/api/identity/rules/undo", {"reason": "They are two."}, keys.all).json()["in_force"] is True
    assert id_of(ask, keys.all, BO) == together
    assert [one["in_force"] for one in ask.get("/api/identity/rules", keys.all).json()["history"]] == [
        True,
        False,
        False,
    ]


def test_rules_are_tried_before_they_are_applied(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    assert ask.get("/api/identity/plan", keys.all).status == 404

    asked = ask.post("/api/identity/plan", {"text": "namespaces: {user_id: {limit: 2}}"}, keys.all)
    run_plans(mixed, threading.Event())  # as the server's worker does

    assert (asked.status, asked.json()["state"]) == (202, "waiting")
    told = ask.get("/api/identity/plan", keys.all).json()
    assert (told["plan"], told["state"]) == (asked.json()["plan"], "done")
    assert (told["result"]["people"], told["result"]["merges"]) == ({"before": 2, "after": 1}, 1)
    assert [one["kind"] for one in told["result"]["cases"]] == ["merge"]
    assert ask.post("/api/identity/plan", {"text": "people: ["}, keys.all).status == 400
    assert ask.get("/api/identity/plan", keys.reader).status == 403
    assert len({id_of(ask, keys.all, one) for one in (ANA, BO)}) == 2


def test_who_may_well_be_one_person_is_told_for_analytics_alone(ask: Asker, mixed: Workspace, keys: KeyRing) -> None:
    told = ask.get(f"/api/profiles/{ANA}/possible?purpose=analytics", keys.all)

    assert told.status == 200, told
    assert [(one["profile_id"], one["verdict"], one["violation"]) for one in told.json()["possible"]] == [
        (id_of(ask, keys.all, BO), "soft", "two_logins")
    ]
    refused = ask.get(f"/api/profiles/{ANA}/possible?purpose=service", keys.all)
    assert (refused.status, refused.json()["error"]["code"]) == (403, "identity.soft-for-analytics")
    assert ask.get("/api/profiles/user_id:nobody/possible?purpose=analytics", keys.all).status == 404
