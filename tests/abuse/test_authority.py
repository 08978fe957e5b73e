"""Cases 14 to 17, 45 and 50 on the whole product: who may say what, and what nobody may say."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tillit
from tests.abuse.knocking import Stranger, codes
from tests.running import RunningServer, basic, create_key
from tests.running import tillit as tillit_command


def track(who: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "E", "userId": who, **more}


def identify(who: str | None = None, traits: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "identify", **({"userId": who} if who else {}), "traits": dict(traits or {}), **more}


def test_case_14_a_public_key_never_merges_two_known_people(stranger: Stranger) -> None:
    ana, bo = stranger.name("ana"), stranger.name("bo")
    mails = {who: f"{who}@example.org" for who in (ana, bo)}
    phone = f"+46{int(stranger.mark, 16) % 10**9:09d}"
    stranger.batch(identify(ana, {"email": mails[ana], "plan": "gold"}), identify(bo, {"email": mails[bo]}))
    stranger.batch(track(stranger.name("x"), context={"traits": {"phone": phone}}))
    before = [stranger.profile("ana"), stranger.profile("bo"), stranger.server.find_profile(f"phone:{phone}")]
    assert None not in before

    answer = stranger.batch(
        {"type": "alias", "userId": ana, "previousId": bo},
        {"type": "alias", "userId": bo, "previousId": ana},
        identify(ana, {"email": mails[bo]}),
        identify(bo, {"email": mails[ana]}),
        track(ana, context={"traits": {"email": mails[bo], "phone": phone}}),
        track(ana, context={"externalIds": [{"type": "user_id", "id": bo}, {"type": "email", "id": mails[bo]}]}),
        identify(None, {"email": mails[ana], "phone": phone}, anonymousId=stranger.name("device")),
        {"type": "group", "userId": ana, "groupId": bo},
        {**track(ana), "identifiers": [["user_id", bo]], "merge": bo, "previousId": bo},
        key="public",
    )

    assert answer.status == 200
    after = [stranger.profile("ana"), stranger.profile("bo"), stranger.server.find_profile(f"phone:{phone}")]
    ids = [found["id"] for found in after if found is not None]
    assert ids == [found["id"] for found in before if found is not None]
    assert len(set(ids)) == 3
    for word, other in (("ana", bo), ("bo", ana)):
        found = stranger.profile(word)
        assert found is not None
        assert mails[other] not in {one["value"] for one in found["identifiers"]}
        assert other not in {one["value"] for one in found["identifiers"]}


def test_case_14_a_public_key_never_overwrites_what_a_server_said(stranger: Stranger) -> None:
    ana = stranger.name("ana")
    mail = f"{ana}@example.org"
    stranger.batch(identify(ana, {"email": mail, "plan": "free", "vip": False}, timestamp="2020-01-01T00:00:00Z"))

    answer = stranger.batch(
        identify(ana, {"plan": "gold", "vip": True, "email": "mallory@example.org", "nickname": "A"}),
        identify(None, {"email": mail, "plan": "gold"}, anonymousId=stranger.name("d")),
        identify(ana, {"plan": None, "vip": None}),
        key="public",
    )

    assert answer.status == 200
    found = stranger.profile("ana")
    assert found is not None
    told = {name: (trait["value"], trait["trust"]) for name, trait in found["traits"].items()}
    assert told == {
        "plan": ("free", "server"),
        "vip": (False, "server"),
        "email": (mail, "server"),
        "nickname": ("A", "claimed"),
    }
    stranger.batch(identify(ana, {"nickname": "Ana"}, timestamp="2020-01-01T00:00:00Z"))
    again = stranger.profile("ana")
    assert again is not None
    assert again["traits"]["nickname"]["value"] == "Ana"


def test_case_14_a_public_key_with_origins_works_from_them_only(stranger: Stranger) -> None:
    key = create_key(stranger.server.workspace, "public", "shop", "--origin", "https://shop.example")
    body = json.dumps(track(stranger.name("visitor"))).encode()
    headers = {"Authorization": basic(key)}
    time.sleep(0.6)  # until every process has read the registry again

    refused = [
        stranger.post("/v1/track", body, headers={**headers, "Origin": origin})
        for origin in ("https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null", "")
    ]
    no_origin = stranger.post("/v1/track", body, headers=headers)
    assert stranger.taken() == []
    taken = stranger.post("/v1/track?wait=applied", body, headers={**headers, "Origin": "https://shop.example"})

    assert {answer.status for answer in (*refused, no_origin)} == {403}
    assert {answer.json()["error"]["code"] for answer in refused} == {"collect.origin-refused"}
    assert (taken.status, stranger.profile("visitor") is not None) == (200, True)


def test_case_14_only_an_api_key_reads_and_it_does_not_append(stranger: Stranger) -> None:
    keys = stranger.server.keys
    body = json.dumps(track(stranger.name("nobody"))).encode()
    stranger.batch(track(stranger.name("ana")))
    who = f"/api/profiles/user_id:{stranger.name('ana')}"

    assert stranger.post("/v1/track", body, key="api").json()["error"]["code"] == "collect.key-may-not-append"
    for kind in ("public", "secret"):
        for path in (
            who,
            f"{who}/events",
            "/api/events",
            "/api/profiles?q=a",
            "/api/quarantine",
            "/api/keys",
            "/metrics",
        ):
            for form in (f"Bearer {keys[kind]}", basic(keys[kind])):
                answer = stranger.server.request("GET", path, headers={"Authorization": form})
                assert (answer.status, answer.json()["error"]["code"]) == (403, "api.wrong-kind")
    for word in ("", "Bearer ", "Bearer x", "Basic !!!", "Bearer " + keys["api"][:-1], "Bearer " + keys["api"].upper()):
        assert stranger.server.request("GET", who, headers={"Authorization": word}).status == 401
    assert stranger.server.request("GET", f"{who}?key={keys['api']}").status == 401
    assert stranger.taken() == [body for body in stranger.taken() if body["userId"] == stranger.name("ana")]


def test_case_14_a_flood_with_one_key_leaves_the_others_served(stranger: Stranger) -> None:
    for n in range(5):
        stranger.batch(*(track(stranger.name(f"bot{n}-{k}")) for k in range(500)), key="public")

    assert stranger.is_served_as_before()


def test_case_15_a_secret_key_from_a_web_page_is_refused(stranger: Stranger) -> None:
    body = json.dumps(track(stranger.name("page"))).encode()

    for origin in ("https://shop.example", "null", "http://localhost:3000"):
        answer = stranger.post("/v1/track", body, headers={"Origin": origin})
        assert (answer.status, answer.json()["error"]["code"]) == (403, "collect.secret-key-in-browser")
    settings = stranger.server.request("GET", f"/v1/projects/{stranger.server.keys['secret']}/settings")
    script = stranger.server.request("GET", f"/analytics.js/v1/{stranger.server.keys['secret']}/analytics.min.js")

    assert (settings.status, script.status, stranger.taken()) == (404, 404, [])
    assert stranger.is_served_as_before()


def test_case_16_a_revoked_key_stops_at_once_and_what_it_sent_stays(stranger: Stranger) -> None:
    made = json.loads(
        tillit_command(
            *("keys", "create", "--workspace", str(stranger.server.workspace), "--kind", "secret"),
            *("--source", "leaving", "--json"),
        )
    )
    assert stranger.batch(track(stranger.name("early")), key=made["key"]).status == 200

    with tillit.open(str(stranger.server.workspace)) as ws:
        ws.keys.revoke(made["key_id"])
    revoked_at = time.monotonic()
    statuses: list[tuple[float, int]] = []
    while time.monotonic() - revoked_at < 1:
        answer = stranger.batch(track(stranger.name(f"late{len(statuses)}")), key=made["key"])
        statuses.append((time.monotonic() - revoked_at, answer.status))
        time.sleep(0.02)

    # By every web process, from the first request on; and what was answered 200 before is in the log.
    assert {status for _, status in statuses} == {401}
    assert len(stranger.taken()) == 1
    assert stranger.profile("early") is not None
    assert stranger.is_served_as_before()


def test_case_17_a_key_of_one_workspace_is_nobody_in_another(stranger: Stranger, tmp_path: Path) -> None:
    who = stranger.name("shared")
    stranger.batch(identify(who, {"secret": "of the first"}))

    with RunningServer(tmp_path / "other") as other:
        theirs = Stranger(other)
        theirs.mark = stranger.mark
        for key in (stranger.server.keys["public"], stranger.server.keys["secret"]):
            assert theirs.post("/v1/track", json.dumps(track(who)).encode(), key=key).status == 401
        reader = {"Authorization": f"Bearer {stranger.server.keys['api']}"}
        assert other.request("GET", f"/api/profiles/user_id:{who}", headers=reader).status == 401
        assert theirs.profile("shared") is None
        theirs.batch(identify(who, {"secret": "of the second"}))
        found = theirs.profile("shared")
        profile_id = (found or {})["id"]
        page = other.read(f"/api/profiles/user_id:{who}/events").json()

    mine = stranger.profile("shared")
    assert (found or {})["traits"]["secret"]["value"] == "of the second"
    assert (mine or {})["traits"]["secret"]["value"] == "of the first"
    assert len(page["events"]) == 1
    # Ids are places in one log: asked for here, the other's id is somebody of ours or nobody.
    answer = stranger.server.read(f"/api/profiles/{profile_id}")
    assert "of the second" not in answer.body.decode()
    assert stranger.is_served_as_before()


GREEDY = (
    "id",
    "trust",
    "identifiers",
    "counts",
    "types",
    "n_events",
    "first_seen_at",
    "last_seen_at",
    "__class__",
    "is_staff",
    "tenant_id",
    "score",
    "consent",
    "source",
    "known",
    "root_id",
    "position",
    "traits",
    "kind",
)


def test_case_45_what_a_sender_names_its_traits_changes_nothing_else(stranger: Stranger) -> None:
    who = stranger.name("greedy")
    stranger.batch(track(who))
    before = stranger.profile("greedy")
    assert before is not None

    answer = stranger.batch(
        identify(who, dict.fromkeys(GREEDY, "staff")),
        track(who, properties=dict.fromkeys(GREEDY, "staff")),
        {**track(who), **{name: "staff" for name in GREEDY if name != "traits"}},
        {**identify(who), "trust": 4, "source": "operator", "kind": 4, "receivedAt": "1999-01-01T00:00:00Z"},
        key="public",
    )

    assert (answer.status, codes(answer)) == (200, [])
    after = stranger.profile("greedy")
    assert after is not None
    assert {name: trait["value"] for name, trait in after["traits"].items()} == dict.fromkeys(GREEDY, "staff")
    assert {trait["trust"] for trait in after["traits"].values()} == {"claimed"}
    assert {trait["source"] for trait in after["traits"].values()} == {"site"}
    assert (after["id"], after["identifiers"][0]["value"], after["n_events"]) == (before["id"], who, 5)
    assert after["counts"] == {"E": 3}
    assert set(after) == set(before)
    events = stranger.server.events_of(f"user_id:{who}")
    assert {event["source"] for event in events} == {"site", "backend"}
    assert all(event["received_at"] > "2020" for event in events)


@pytest.mark.parametrize(
    "kind", ["husk", "forget", "tick", "act", "definition", "__class__", "IDENTIFY", 4, None, ["track"]]
)
def test_case_45_our_own_kinds_of_rows_cannot_be_sent(stranger: Stranger, kind: object) -> None:
    event = {**track(stranger.name("kind")), "type": kind, "act": "forget", "positions": [1, 2, 3]}

    answer = stranger.batch(event, stranger.good())

    assert (answer.status, codes(answer)) == (200, ["type_unknown"])
    assert (stranger.profile("kind"), stranger.profile("good") is not None) == (None, True)


def test_case_45_a_body_of_the_api_takes_no_field_that_it_does_not_know(stranger: Stranger) -> None:
    key = create_key(stranger.server.workspace, "api", "admin", "--scope", "keys:write", "--scope", "profiles:read")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    time.sleep(0.6)

    def ask(path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        answer = stranger.server.request("POST", path, body=json.dumps(body).encode(), headers=headers)
        return answer.status, answer.body.decode()

    who = {"identifier": f"user_id:{stranger.name('x')}"}
    for path, body in (
        ("/api/profiles/lookup", {**who, "trust": 4}),
        ("/api/profiles/search", {"q": "x", "as_staff": True}),
        ("/api/keys", {"kind": "api", "source": "x", "trust": 4}),
        ("/api/keys", {"kind": "public", "source": "x", "key_id": "k_1", "created_at": 1}),
    ):
        assert ask(path, body)[0] == 400
    # A key gives no more than it has.
    status, told = ask("/api/keys", {"kind": "api", "source": "x", "scopes": ["profiles:read", "quarantine:read"]})
    assert (status, "quarantine:read" in told) == (403, True)
    assert ask("/api/keys", {"kind": "operator", "source": "x"})[0] == 400


OLD_ROUTES = (
    "/v0/track",
    "/v2/track",
    "/v1",
    "/api",
    "/api/v1/profiles",
    "/debug",
    "/__debug__",
    "/_debug",
    "/docs",
    "/schema",
    "/schema/openapi.json",
    "/openapi.json",
    "/redoc",
    "/swagger",
    "/graphql",
    "/admin",
    "/.env",
    "/.git/config",
    "/log.db",
    "/state.db",
    "/tillit.toml",
    "/run/serve.url",
    "/server-status",
    "/phpinfo.php",
    "/api/profiles/../../log.db",
    "/console/static/../../tillit.toml",
    "/console/static/%2e%2e/views.py",
    "/analytics-next/bundles/..%2f..%2fscript.py",
    "//v1/track",
    "/v1//track",
    "/v1/track/../batch",
    "/V1/TRACK",
)


def test_case_50_there_are_no_old_debug_or_file_routes(stranger: Stranger) -> None:
    for path in OLD_ROUTES:
        for method in ("GET", "POST"):
            answer = stranger.server.request(method, path, headers={"Accept": "text/html"})
            assert answer.status in {401, 403, 404, 405}, f"{method} {path}: {answer.status}"
            assert b"Traceback" not in answer.body
            assert b"sqlite" not in answer.body.lower()
    assert stranger.is_served_as_before()


def test_case_50_the_console_and_the_measures_need_a_key(stranger: Stranger) -> None:
    for path in ("/console", "/console/live", "/console/customers", "/console/customers/p0000000000020", "/metrics"):
        answer = stranger.server.request("GET", path)
        assert answer.status in {401, 403, 404}
    # A link is only shown by GET, so that nothing that looks ahead uses it up; a token nobody made opens nothing.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for token in (b"token=admin", b"token=", b""):
        answer = stranger.server.request("POST", "/console/enter", body=token, headers=form)
        assert (answer.status in {400, 401, 403, 404}, "set-cookie" in answer.headers) == (True, False)
