"""Cases 44, 47, 48, 52 and 58 on the whole product: what can be got out by asking cleverly."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.abuse.knocking import Stranger
from tests.running import Answer, basic


def ask(stranger: Stranger, method: str, path: str, document: Any = None, *, key: str = "api") -> Answer:
    server = stranger.server
    body = None if document is None else json.dumps(document).encode()
    headers = {"Authorization": f"Bearer {server.keys[key]}", "Content-Type": "application/json"}
    return server.request(method, path, body=body, headers=headers)


def shown(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body


def test_case_44_ids_that_are_tried_in_turn_tell_nothing_apart(stranger: Stranger) -> None:
    stranger.batch({"type": "identify", "userId": stranger.name("ana"), "traits": {"email": "a@example.org"}})
    ana = stranger.profile("ana")
    assert ana is not None
    near = [ana["id"][:-1] + digit for digit in "0123456789abcdefghjkmnpqrstvwxyz" if ana["id"][-1] != digit]
    never = ["p0000000000000", "pzzzzzzzzzzzzz", "p1", "x" * 400, "user_id:", f"user_id:{stranger.name('nobody')}"]

    answers = {shown(ask(stranger, "GET", f"/api/profiles/{quote(who, safe=':')}")) for who in [*near, *never]}

    unknown = {answer for answer in answers if answer[0] != 200}
    assert len(unknown) == 1
    assert next(iter(unknown))[0] == 404


def test_case_44_no_key_and_a_key_that_only_sends_learn_of_nobody(stranger: Stranger) -> None:
    stranger.batch(stranger.good("ana"))
    there, nowhere = f"user_id:{stranger.name('ana')}", f"user_id:{stranger.name('nobody')}"

    for key in ("public", "secret"):
        answers = [shown(ask(stranger, "GET", f"/api/profiles/{who}", key=key)) for who in (there, nowhere)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 403
    for who in (there, nowhere):
        assert stranger.server.request("GET", f"/api/profiles/{who}").status == 401


def test_case_52_an_address_that_is_known_and_one_that_is_not_are_answered_alike_at_the_door(
    stranger: Stranger,
) -> None:
    known, unknown = f"{stranger.name('ana')}@example.org", f"{stranger.name('bo')}@example.org"
    stranger.batch({"type": "identify", "userId": stranger.name("ana"), "traits": {"email": known}})

    def told(email: str, n: int) -> Answer:
        event = {"type": "identify", "anonymousId": stranger.name(f"d{n}"), "traits": {"email": email}}
        return stranger.post("/v1/identify", json.dumps(event).encode(), key="public")

    answers = [told(email, n) for n, email in enumerate((known, unknown))]

    assert shown(answers[0]) == shown(answers[1])


@pytest.mark.parametrize("text", ["%", "_", "%%%%%%%%", "pl%n", "\\", "'", "';--", '"', "*", "[a-z]", "?", "\u202e%"])
def test_case_58_wildcards_and_quotes_are_letters_like_any_other(stranger: Stranger, text: str) -> None:
    stranger.batch({"type": "identify", "userId": stranger.name("ana"), "traits": {"name": "Plain Person"}})

    answer = ask(stranger, "POST", "/api/profiles/search", {"q": text})

    assert answer.status == 200
    # Other tests' strangers bear such names: only who is called so is found.
    for person in answer.json()["profiles"]:
        assert any(one["value"].startswith(text) for one in person["identifiers"]), person["identifiers"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/events?type=track'--",
        "/api/events?name=%25",
        "/api/events?source=web'%20OR%201=1",
        "/api/profiles?q=%27%20UNION%20SELECT%20*%20FROM%20access_key--",
    ],
)
def test_case_58_a_filter_is_a_value_and_never_a_question(stranger: Stranger, path: str) -> None:
    stranger.batch(stranger.good())

    answer = ask(stranger, "GET", path)

    assert answer.status == 200
    found = answer.json()
    assert found.get("events", []) == []
    assert found.get("profiles", []) == []


def test_case_47_a_costly_question_is_bounded(stranger: Stranger) -> None:
    # Three hundred people with names that all match what is asked.
    people = [
        {"type": "identify", "userId": stranger.name(f"u{n}"), "traits": {"name": f"Zz{stranger.mark} Common Name{n}"}}
        for n in range(300)
    ]
    stranger.batch(*people)
    words = " ".join(f"z{'z' * n}" for n in range(120))

    answers = [
        ask(stranger, "POST", "/api/profiles/search", {"q": "z", "limit": 10_000}),
        ask(stranger, "POST", "/api/profiles/search", {"q": f"zz{stranger.mark}", "limit": 10_000}),
        ask(stranger, "POST", "/api/profiles/search", {"q": words[:256], "limit": 10_000}),
        ask(stranger, "GET", "/api/events?limit=10000"),
    ]

    assert {answer.status for answer in answers} <= {200, 400}
    assert all(len(answer.json().get("profiles", [])) <= 100 for answer in answers)
    assert ask(stranger, "POST", "/api/profiles/search", {"q": "z" * 257}).status == 400


@pytest.mark.parametrize("path", ["/graphql", "/ws", "/api/ws", "/api/admin", "/admin", "/console/admin", "/internal"])
def test_case_48_no_other_door_stands_open(stranger: Stranger, path: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for headers in ({}, upgrade, {"Authorization": basic(stranger.server.keys["secret"])}):
        answer = stranger.server.request("GET", path, headers=headers)
        assert answer.status in {400, 401, 403, 404}, (headers, answer.status)


def test_case_48_every_route_of_the_api_asks_for_a_key(stranger: Stranger) -> None:
    described = json.loads(stranger.server.request("GET", "/api/openapi.json").body)
    opened = []
    for template, methods in described["paths"].items():
        path = template.replace("{who}", "user_id:x").replace("{key_id}", "k_1").replace("{number}", "1")
        for method in methods:
            if method not in {"get", "post", "delete", "put", "patch"}:
                continue
            status = stranger.server.request(method.upper(), path, body=b"{}" if method != "get" else None).status
            if status < 400:
                opened.append(f"{method.upper()} {template}")

    # These say that the server lives, and what its API looks like; nothing of anybody.
    assert set(opened) <= {"GET /health", "GET /ready", "GET /api", "GET /api/openapi.json"}
