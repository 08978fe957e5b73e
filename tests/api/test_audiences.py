"""Audiences and features over the API: who may be told of whom, page by page, and as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.asking import Asker, Listener
from tests.api.test_description import shape
from tests.audience_shop import BIG, CALLERS, QUIET, REGULARS, SPEND, apply, buy, id_of, let_pass, make_shop
from tests.looks import looks
from tests.still_clock import Clock
from tillit.access import API_SCOPES
from tillit.api import Api, create_api
from tillit.api.description import EXAMPLES
from tillit.clock import DAY, SECOND, rfc3339
from tillit.consent import Choice
from tillit.language.python import event
from tillit.workspace import Workspace


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ws(workspace_dir: Path, clock: Clock) -> Iterator[Workspace]:
    with make_shop(workspace_dir, clock) as shop:
        apply(shop, SPEND, REGULARS, BIG, QUIET, CALLERS)
        yield shop


@pytest.fixture
def ask(ws: Workspace, clock: Clock) -> Iterator[Asker]:
    api = create_api(ws, monotonic_s=clock.monotonic_s)
    asker = Asker(api)
    yield asker
    api.close()
    asker.close()


@pytest.fixture
def key(ws: Workspace) -> str:
    return ws.keys.create("api", "office", scopes=API_SCOPES, purposes=["service", "newsletter"])[0]


@pytest.fixture
def servant(ws: Workspace) -> str:
    """A key for service alone."""
    return ws.keys.create("api", "till", scopes=API_SCOPES, purposes=["service"])[0]


def run(ask: Asker, story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(story(), 60)

    ask.runner.run(whole())


# -- what there is


def test_audiences_are_listed_with_their_sizes_and_one_is_shown_whole(ask: Asker, key: str) -> None:
    listed = ask.get("/api/audiences", key).json()
    whole = ask.get("/api/audiences/regulars", key).json()

    assert {one["audience"]: one["members"] for one in listed["audiences"]} == {
        "big": 1, "callers": 3, "quiet": 0, "regulars": 2,
    }  # fmt: skip
    assert shape(listed) == shape(EXAMPLES["GET /api/audiences"][1])
    assert shape(whole) | {"definition": "…"} == shape(EXAMPLES["GET /api/audiences/{name}"][1]) | {"definition": "…"}
    assert whole["trend"][-1][1] == 2
    assert len(whole["trend"]) == 90
    assert "Order Completed" in whole["sentence"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/audiences/regulars",
        "/api/audiences/regulars/members",
        "/api/audiences/regulars/changes",
        "/api/audiences/regulars/why/user_id:ana",
        "/api/features/spend",
        "/api/features/spend/values",
    ],
)
def test_a_key_is_held_to_its_purposes(ask: Asker, key: str, servant: str, path: str) -> None:
    told = ask.get(path, servant)

    assert (told.status, told.code) == (403, "api.purpose-not-allowed")
    assert ask.get(path, key).status == 200


def test_a_key_without_the_scope_is_told_nothing(ws: Workspace, ask: Asker) -> None:
    plain = ws.keys.create("api", "reader", purposes=["newsletter"])[0]

    told = ask.get("/api/audiences", plain)

    assert (told.status, told.code) == (403, "api.missing-scope")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/audiences/nobody", "audience.unknown"),
        ("/api/audiences/nobody/members", "audience.unknown"),
        ("/api/audiences/nobody/changes", "audience.unknown"),
        ("/api/audiences/regulars/why/user_id:nobody", "profile.unknown"),
        ("/api/features/nothing", "audience.unknown-feature"),
    ],
)
def test_what_is_not_there_is_said_to_be_so(ask: Asker, key: str, path: str, code: str) -> None:
    told = ask.get(path, key)

    assert (told.status, told.code) == (404, code)


# -- members


def test_members_whom_the_purpose_may_not_use_are_counted_and_not_shown(ws: Workspace, ask: Asker, key: str) -> None:
    told = ask.get("/api/audiences/regulars/members", key)

    assert [one["profile_id"] for one in told.json()["members"]] == [id_of(ws, "ana")]
    assert told.json()["withheld"] == {"no_consent": 1}
    assert id_of(ws, "bo").encode() not in told.body
    assert shape(told.json()) | {"withheld": "…"} == shape(EXAMPLES["GET /api/audiences/{name}/members"][1]) | {
        "withheld": "…"
    }
    assert [(one.route, one.purpose, one.subject_ref) for one in looks(ws)] == [
        ("GET /api/audiences/{name}/members", "newsletter", id_of(ws, "ana"))
    ]


def test_pages_of_members_hold_each_once_and_their_cursors_name_nobody(ws: Workspace, ask: Asker, key: str) -> None:
    pages = [ask.get("/api/audiences/callers/members?limit=1", key).json()]
    while pages[-1]["next"] is not None:
        pages.append(ask.get(f"/api/audiences/callers/members?limit=1&after={pages[-1]['next']}", key).json())

    people = [one["profile_id"] for page in pages for one in page["members"]]
    assert people == [id_of(ws, who) for who in ("ana", "bo", "cem")]
    assert {type(page["next"]) for page in pages} == {int, type(None)}


def test_whoever_agrees_is_shown_from_then_on_and_whoever_withdraws_no_longer(
    ws: Workspace, ask: Asker, key: str
) -> None:
    def shown() -> list[str]:
        return [one["profile_id"] for one in ask.get("/api/audiences/regulars/members", key).json()["members"]]

    ws.consent.set("user_id:bo", [Choice("newsletter", "given")], evidence="form-2")
    both = shown()
    ws.consent.set("user_id:ana", [Choice("newsletter", "withdrawn")], evidence="mail-1")

    assert both == [id_of(ws, "ana"), id_of(ws, "bo")]
    assert shown() == [id_of(ws, "bo")]


# -- why


def test_why_is_answered_by_address_and_by_body_alike(ws: Workspace, ask: Asker, key: str) -> None:
    by_address = ask.get("/api/audiences/regulars/why/email:ana@example.org", key).json()
    by_body = ask.post("/api/audiences/regulars/why", {"identifier": "user_id:ana"}, key).json()
    not_in = ask.get("/api/audiences/quiet/why/user_id:ana", key).json()

    assert by_address == by_body
    assert (by_address["is_member"], by_address["profile_id"]) == (True, id_of(ws, "ana"))
    assert not_in["is_member"] is False
    assert {leaf["holds"] for leaf in not_in["leaves"]} == {True, False}
    wanted = EXAMPLES["GET /api/audiences/{name}/why/{who}"][1]
    assert set(by_address) == set(wanted)
    assert {name for leaf in by_address["leaves"] for name in leaf} == set(wanted["leaves"][0])
    assert {one.route for one in looks(ws)} == {
        "GET /api/audiences/{name}/why/{who}",
        "POST /api/audiences/{name}/why",
    }


def test_why_is_not_told_of_somebody_whom_the_purpose_may_not_use(ws: Workspace, ask: Asker, key: str) -> None:
    told = ask.get("/api/audiences/regulars/why/user_id:bo", key)

    assert (told.status, told.code) == (403, "consent.withheld")
    assert looks(ws) == []


def test_an_identifier_in_the_address_may_hold_a_slash_and_stays_out_of_measures(
    ws: Workspace, ask: Asker, key: str
) -> None:
    ws.identify(user_id="shop/ana", traits={"email": "ana@example.org"})
    ws.flush()

    told = ask.get("/api/audiences/regulars/why/user_id:shop%2Fana", key)
    plain = ask.get("/api/audiences/regulars/why/user_id:shop/ana", key)
    measures = ask.get("/metrics", key).body

    assert (told.status, plain.status) in {(200, 200), (403, 403)}
    assert b"shop/ana" not in measures
    assert b"/api/audiences/{name}/why/{who}" in measures


# -- preview


def test_a_preview_counts_all_and_names_those_whom_the_purpose_may_use(ws: Workspace, ask: Asker, key: str) -> None:
    asked = {"definition": {"event": "Order Completed"}, "purpose": "newsletter"}

    told = ask.post("/api/audiences/preview", asked, key).json()

    assert (told["people"], told["of"], told["permitted"]) == (3, 3, 2)
    assert sorted(told["sample"]) == sorted([id_of(ws, "ana"), id_of(ws, "cem")])
    assert set(told) == set(EXAMPLES["POST /api/audiences/preview"][1])
    assert {one.subject_ref for one in looks(ws)} == set(told["sample"])
    assert ask.get("/api/audiences", key).json()["audiences"][0]["audience"] == "big"  # nothing is in force by it


@pytest.mark.parametrize(
    "definition",
    [{"evnt": "Order Completed"}, {"audience": "nobody"}, "nobody", {"event": "A", "count": {"at_most": "x"}}],
    ids=["word", "name", "text", "number"],
)
def test_a_definition_that_cannot_be_read_is_refused_with_the_place(ask: Asker, key: str, definition: Any) -> None:
    told = ask.post("/api/audiences/preview", {"definition": definition, "purpose": "newsletter"}, key)

    assert told.status == 400, told.body
    assert told.code.split(".")[0] in {"language", "audience"}


def test_a_preview_is_for_a_purpose_of_the_key(ask: Asker, servant: str) -> None:
    asked = {"definition": "everybody", "purpose": "newsletter"}

    told = ask.post("/api/audiences/preview", asked, servant)

    assert (told.status, told.code) == (403, "api.purpose-not-allowed")


# -- changes


def test_changes_are_told_once_in_order_with_their_cause_and_others_counted(
    ws: Workspace, ask: Asker, key: str, clock: Clock
) -> None:
    before = ask.get("/api/audiences/quiet/changes", key).json()
    let_pass(ws, clock, 31 * DAY)
    entered = ask.get(f"/api/audiences/quiet/changes?after={before['next']}", key).json()
    buy(ws, clock, "ana")
    left = ask.get(f"/api/audiences/quiet/changes?after={entered['next']}", key).json()
    nothing = ask.get(f"/api/audiences/quiet/changes?after={left['next']}", key).json()

    ana = id_of(ws, "ana")
    told = [(one["kind"], one["profile_id"], one["cause"]) for one in entered["changes"] + left["changes"]]
    assert told == [("enter", ana, "timer"), ("exit", ana, "event")]
    assert (entered["withheld"], left["withheld"]) == ({"no_consent": 1}, {})
    assert (nothing["changes"], nothing["next"], nothing["is_last"]) == ([], left["next"], True)
    assert shape(entered["changes"][0]) == shape(EXAMPLES["GET /api/audiences/{name}/changes"][1]["changes"][0])


def test_pages_of_changes_go_on_past_those_that_are_withheld(ws: Workspace, ask: Asker, key: str) -> None:
    whole = ask.get("/api/audiences/regulars/changes", key).json()
    told, after = [], 0
    while True:
        page = ask.get(f"/api/audiences/regulars/changes?limit=1&after={after}", key).json()
        told += page["changes"]
        if page["is_last"]:
            break
        after = page["next"]

    assert told == whole["changes"]
    assert len(told) == 1


def test_two_who_become_one_move(ws: Workspace, ask: Asker, key: str) -> None:
    ws.consent.set("user_id:bo", [Choice("newsletter", "given")], evidence="form-2")
    before = ask.get("/api/audiences/regulars/changes", key).json()
    was = id_of(ws, "bo")
    ws.identity.join("user_id:ana", "user_id:bo", reason="sisters were one", operator="kim")
    ws.flush()
    moved = ask.get(f"/api/audiences/regulars/changes?after={before['next']}", key).json()["changes"]

    assert [(one["kind"], one["cause"]) for one in moved] == [("move", "joined")]
    assert {moved[0]["profile_id"], moved[0]["from_profile_id"]} == {id_of(ws, "ana"), was}


def test_of_somebody_who_was_erased_it_is_told_that_somebody_came_and_went(ws: Workspace, ask: Asker, key: str) -> None:
    was = id_of(ws, "ana")
    ws.erasure.erase("user_id:ana")
    ws.flush()

    told = ask.get("/api/audiences/regulars/changes", key)

    assert [(one["kind"], one["profile_id"]) for one in told.json()["changes"]] == [("enter", None), ("exit", None)]
    assert was.encode() not in told.body


def test_what_was_decided_for_another_purpose_is_not_told_to_a_key_for_the_present_one(
    ws: Workspace, ask: Asker, servant: str
) -> None:
    apply(ws, REGULARS.replace("purpose: newsletter", "purpose: service"))

    told = ask.get("/api/audiences/regulars/changes", servant)

    assert told.status == 200
    assert (told.json()["changes"], told.json()["withheld"]) == ([], {})


# -- as it happens


def test_changes_arrive_as_they_happen_for_the_key_s_purposes(
    ws: Workspace, ask: Asker, key: str, servant: str, clock: Clock
) -> None:
    async def story() -> None:
        mine, theirs = (Listener(ask.app, "/api/audiences/changes/stream", one) for one in (key, servant))
        assert [await one.status() for one in (mine, theirs)] == [200, 200]
        frames = mine.frames(), theirs.frames()
        for one in frames:
            assert "retry" in await anext(one)
        buy(ws, clock, "cem")
        ws.identify(user_id="dee")
        ws.flush()
        buy(ws, clock, "dee")

        told = [json.loads((await anext(frames[0])).partition("data: ")[2]) for _ in range(2)]
        served = json.loads((await anext(frames[1])).partition("data: ")[2])

        assert [(one["audience"], one["profile_id"]) for one in told] == [
            ("regulars", id_of(ws, "cem")),
            ("callers", id_of(ws, "dee")),
        ]
        assert (served["audience"], served["profile_id"]) == ("callers", id_of(ws, "dee"))
        await mine.leave()
        await theirs.leave()

    run(ask, story)
    assert {one.route for one in looks(ws)} == {"GET /api/audiences/changes/stream"}
    assert {(one.purpose, one.subject_ref) for one in looks(ws)} == {
        ("newsletter", id_of(ws, "cem")),
        ("service", id_of(ws, "dee")),
    }


def test_a_listener_that_comes_back_goes_on_where_it_left(ws: Workspace, ask: Asker, key: str) -> None:
    whole = ask.get("/api/audiences/callers/changes", key).json()["changes"]

    async def story() -> None:
        first = Listener(ask.app, "/api/audiences/changes/stream?after=0", key)
        await first.status()
        told = await first.events(1)
        await first.leave()
        again = Listener(
            ask.app, "/api/audiences/changes/stream?after=0", key, {"Last-Event-ID": str(whole[0]["change_id"])}
        )
        await again.status()
        others = await again.events(2)
        await again.leave()

        assert told[0]["id"] < whole[0]["change_id"]
        assert [one["change_id"] for one in others] == [one["change_id"] for one in whole[1:]]
        assert [one["id"] for one in others] == [one["change_id"] for one in others]

    run(ask, story)


def test_streams_of_changes_end_with_the_server(ws: Workspace, ask: Asker, key: str) -> None:
    api = ask.app
    assert isinstance(api, Api)

    async def story() -> None:
        listener = Listener(api, "/api/audiences/changes/stream", key)
        await listener.status()
        api.close()
        frames = [frame async for frame in listener.frames()]
        await listener.ended()

        assert [frame for frame in frames if "data:" in frame] == []

    run(ask, story)


# -- features


def test_values_are_told_of_those_whom_the_purpose_may_use(ws: Workspace, ask: Asker, key: str) -> None:
    listed = ask.get("/api/features", key).json()
    whole = ask.get("/api/features/spend", key).json()
    values = ask.get("/api/features/spend/values", key)
    first = ask.get("/api/features/spend/values?limit=1", key).json()
    second = ask.get(f"/api/features/spend/values?limit=1&after={first['next']}", key).json()
    one = ask.post("/api/features/spend/values/lookup", {"identifier": "user_id:cem"}, key)
    refused = ask.post("/api/features/spend/values/lookup", {"identifier": "user_id:bo"}, key)

    assert [one["feature"] for one in listed["features"]] == ["spend"]
    assert (whole["n"], whole["missing"]) == (2, 0)
    assert values.json()["values"] == [
        {"profile_id": id_of(ws, "ana"), "value": 30.0},
        {"profile_id": id_of(ws, "cem"), "value": 10.0},
    ]
    assert values.json()["withheld"] == {"no_consent": 1}
    assert first["values"] + second["values"] == values.json()["values"]
    assert (one.json()["profile_id"], one.json()["value"]) == (id_of(ws, "cem"), 10.0)
    assert set(one.json()) == set(EXAMPLES["POST /api/features/{name}/values/lookup"][1])
    assert (refused.status, refused.code) == (403, "consent.withheld")


# -- the profile


def test_a_profile_tells_the_audiences_of_its_purpose_and_one_that_is_refused_none(
    ws: Workspace, ask: Asker, key: str, servant: str
) -> None:
    def audiences(who: str, purpose: str) -> dict[str, Any]:
        found: dict[str, Any] = ask.get(f"/api/profiles/user_id:{who}?purpose={purpose}", key).json()["audiences"]
        return found

    assert set(audiences("ana", "newsletter")) == {"big", "regulars"}
    assert set(audiences("ana", "service")) == {"callers"}
    assert set(audiences("cem", "newsletter")) == set()
    assert audiences("bo", "newsletter") == {}
    assert audiences("ana", "service") == ws.profiles.get("user_id:ana")["audiences"]
    assert audiences("ana", "service")["callers"]["cause"] == "edit"
    found = ask.get("/api/profiles?q=ana&purpose=newsletter", key).json()["profiles"]
    assert [set(one["audiences"]) for one in found] == [{"big", "regulars"}]


def test_a_profile_as_of_then_tells_the_audiences_of_then(ws: Workspace, ask: Asker, key: str, clock: Clock) -> None:
    clock.go_on(SECOND)  # rows of one instant are a microsecond apart
    then = clock.at
    let_pass(ws, clock, 31 * DAY)
    clock.go_on(SECOND)
    quiet_at = clock.at
    buy(ws, clock, "ana")
    clock.go_on(SECOND)

    def audiences(at: int) -> set[str]:
        path = f"/api/profiles/user_id:ana?purpose=newsletter&as_of={rfc3339(at)}"
        return set(ask.get(path, key).json()["audiences"])

    assert audiences(then) == {"big", "regulars"}
    assert audiences(quiet_at) == {"big", "regulars", "quiet"}
    assert audiences(clock.at) == {"big", "regulars"}


# -- Python


def test_python_asks_one_audience_for_its_own_purpose(ws: Workspace, clock: Clock) -> None:
    regulars = ws.audiences["regulars"]

    assert [one["profile_id"] for one in regulars.members()] == [id_of(ws, "ana")]
    assert regulars.count() == {
        "audience": "regulars",
        "purpose": "newsletter",
        "as_of": None,
        "members": 2,
        "permitted": 1,
        "withheld": {"no_consent": 1},
    }
    assert regulars.why("user_id:ana")["is_member"] is True
    assert [one["kind"] for one in regulars.changes()] == ["enter"]
    seen = next(iter(regulars.changes()))["change_id"]
    buy(ws, clock, "cem")
    assert [one["profile_id"] for one in regulars.changes(after=seen)] == [id_of(ws, "cem")]


def test_what_is_written_in_python_is_in_force_as_a_file_would_be(ws: Workspace) -> None:
    often = event("Order Completed").count() >= 2
    ws.audiences.define("often", often, purpose="newsletter", title="Often", reason="spring", operator="kim")
    ws.audiences.define("orders", event("Order Completed").count(), purpose="newsletter", kind="feature")

    assert [one["profile_id"] for one in ws.audiences["often"].members()] == [id_of(ws, "ana")]
    assert ws.audiences.get("often").node == ws.audiences.get("regulars").node
    assert ws.audiences.history("audience", "often")[0].operator == "kim"
    assert ws.audiences.feature("orders").feature.purpose == "newsletter"
