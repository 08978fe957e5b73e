"""Errors have one shape at every door, and never hold what was sent."""

import logging
from typing import Any

import pytest

from tests.api.asking import Answer, Asker
from tests.api.conftest import KeyRing
from tillit.store import StoreFull
from tillit.workspace import Workspace

MARK = "marked-fake-person@example.org"


def check_shape(answer: Answer) -> None:
    told = answer.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == {"code", "message", "details"}
    assert isinstance(told["error"]["code"], str)
    assert told["error"]["message"].endswith(".")
    assert isinstance(told["error"]["details"], dict)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert MARK not in answer.body.decode()


WRONG: list[tuple[str, str, Any, int, str]] = [
    ("GET", f"/api/nowhere/{MARK}", None, 404, "api.no-such-route"),
    ("GET", f"/api/profiles/email:{MARK}", None, 404, "profile.unknown"),
    ("GET", "/api/quarantine/999", None, 404, "api.not-in-quarantine"),
    ("GET", f"/api/quarantine/{MARK}", None, 404, "api.no-such-route"),
    ("PUT", "/api/profiles/user_id:1", None, 405, "api.method-not-allowed"),
    ("OPTIONS", "/api/profiles/user_id:1", None, 405, "api.method-not-allowed"),
    ("DELETE", "/api/profiles/lookup", None, 405, "api.method-not-allowed"),
    ("GET", f"/api/events?limit={MARK}", None, 400, "api.bad-request"),
    ("GET", "/api/events?limit=0", None, 400, "api.bad-request"),
    ("GET", "/api/events?limit=-1", None, 400, "api.bad-request"),
    ("GET", "/api/events?limit=1001", None, 400, "api.bad-request"),
    ("GET", f"/api/events?{MARK}=1", None, 400, "api.unknown-parameter"),
    ("GET", "/api/events?after=99999999999999999999", None, 400, "api.bad-request"),
    ("GET", "/api/profiles", None, 400, "api.bad-request"),
    ("GET", f"/api/profiles?q={'x' * 300}{MARK}", None, 400, "api.bad-request"),
    ("GET", f"/api/profiles/user_id:42/events?before={MARK}", None, 400, "profile.bad-cursor"),
    ("GET", f"/api/profiles/user_id:42/events?before={'9' * 40}.1", None, 400, "profile.bad-cursor"),
    ("POST", "/api/profiles/lookup", {}, 400, "api.bad-request"),
    ("POST", "/api/profiles/lookup", {"identifier": "user_id:1", "value": MARK}, 400, "api.bad-request"),
    ("POST", "/api/profiles/lookup", {"identifier": 42}, 400, "api.bad-request"),
    ("POST", "/api/profiles/lookup", {"identifier": {"$ne": MARK}}, 400, "api.bad-request"),
    ("POST", "/api/profiles/lookup", [MARK], 400, "api.bad-request"),
    ("POST", "/api/profiles/lookup", MARK, 400, "api.bad-request"),
    ("POST", "/api/profiles/search", {"q": ""}, 400, "api.bad-request"),
    ("POST", "/api/quarantine/replay", {"ids": []}, 400, "api.bad-request"),
    ("POST", "/api/quarantine/replay", {"ids": [MARK]}, 400, "api.bad-request"),
    ("POST", "/api/quarantine/replay", {"ids": [999]}, 404, "collect.unknown-quarantine"),
    ("POST", "/api/keys", {"kind": "root", "source": "x"}, 400, "access.unknown-kind"),
    ("POST", "/api/keys", {"kind": "api", "source": "x", "purpose": "spying"}, 400, "consent.unknown-purpose"),
    ("DELETE", "/api/keys/k_unknown", None, 404, "access.unknown-key"),
]


def test_every_refusal_has_the_shape_and_no_value(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for method, target, body, status, code in WRONG:
        answer = ask(method, target, key=keys.all, body=body)
        check_shape(answer)
        assert (method, target, answer.status, answer.code) == (method, target, status, code)


# Case 45: what a caller may not set cannot be set, on any route that takes a body.
BODIES: dict[str, dict[str, Any]] = {
    "/api/profiles/lookup": {"identifier": "user_id:42"},
    "/api/profiles/lookup/events": {"identifier": "user_id:42"},
    "/api/profiles/search": {"q": "ana"},
    "/api/quarantine/replay": {"ids": [1]},
    "/api/keys": {"kind": "api", "source": "x"},
}


def test_a_field_that_is_not_ours_is_refused(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    n_keys = len(people.keys.list_all())

    for target, body in BODIES.items():
        for field in ("score", "consent", "is_staff", "tenant_id", "trust", "key_id", MARK):
            answer = ask.post(target, {**body, field: True}, keys.all)
            check_shape(answer)
            assert (target, field, answer.status, answer.code) == (target, field, 400, "api.bad-request")
    assert len(people.keys.list_all()) == n_keys


UNREADABLE = [b"{", b"\xff\xfe", b'{"identifier": "\\ud800"}', b"null", b"{}{}", b"[" * 5_000, b""]


def test_a_body_that_cannot_be_read_is_refused(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for raw in UNREADABLE:
        answer = ask("POST", "/api/profiles/lookup", key=keys.reader, raw=raw)
        check_shape(answer)
        assert (raw[:20], answer.status, answer.code) == (raw[:20], 400, "api.bad-request")


def test_a_body_larger_than_any_question_is_refused(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    answer = ask("POST", "/api/profiles/lookup", key=keys.reader, raw=b'{"identifier": "' + b"x" * 70_000 + b'"}')

    check_shape(answer)
    assert (answer.status, answer.code) == (413, "api.body-too-large")


def test_a_bug_of_ours_says_nothing_of_the_person(
    ask: Asker, people: Workspace, keys: KeyRing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(MARK)

    monkeypatch.setattr(people.profiles, "find", fail)

    with caplog.at_level(logging.DEBUG):
        answer = ask.get(f"/api/profiles/email:{MARK}", keys.reader)

    check_shape(answer)
    assert (answer.status, answer.code) == (500, "internal")
    assert "internal ValueError" in caplog.text
    assert MARK not in caplog.text


def test_a_store_that_is_busy_asks_to_try_again(
    ask: Asker, people: Workspace, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreFull("log.db could not grow: the disk is full.")

    monkeypatch.setattr(people.profiles, "find", fail)

    answer = ask.get("/api/profiles/user_id:42", keys.reader)

    check_shape(answer)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "store.full", "1")


def test_an_api_key_gives_no_scope_that_it_lacks(ask: Asker, ws: Workspace) -> None:
    maker, _ = ws.keys.create("api", "maker", scopes=["keys:write", "profiles:read"])

    beyond = ask.post("/api/keys", {"kind": "api", "source": "x", "scopes": ["keys:read"]}, maker)
    usual = ask.post("/api/keys", {"kind": "api", "source": "x"}, maker)
    within = ask.post("/api/keys", {"kind": "api", "source": "x", "scopes": ["profiles:read"]}, maker)

    assert (beyond.status, beyond.code, beyond.json()["error"]["details"]) == (
        403,
        "api.missing-scope",
        {"scopes": ["keys:read"]},
    )
    assert usual.status == 403  # what is given when none is named goes beyond as well
    assert within.status == 201
    assert within.json()["scopes"] == ["profiles:read"]


def test_a_key_is_shown_once_and_can_be_revoked(ask: Asker, ws: Workspace, keys: KeyRing) -> None:
    made = ask.post("/api/keys", {"kind": "api", "source": "x", "scopes": ["profiles:read"]}, keys.all).json()

    listed = ask.get("/api/keys", keys.all)
    assert made["key"] not in listed.body.decode()
    assert made["key_id"] in {one["key_id"] for one in listed.json()["keys"]}
    assert ask.get("/api/profiles/user_id:1", made["key"]).status == 404
    assert ask("DELETE", f"/api/keys/{made['key_id']}", key=keys.all).json()["revoked_at"] is not None
    assert ask.get("/api/profiles/user_id:1", made["key"]).status == 401
