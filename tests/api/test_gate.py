"""Every route asks for a key, of the right kind, living, with its scope: made from the table of routes."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tests.still_clock import Clock
from tillit.api import create_api
from tillit.api.app import list_routes
from tillit.api.desk import Desk
from tillit.clock import SECOND
from tillit.settings import Settings
from tillit.workspace import Workspace, create_workspace

OPEN = {"GET /health", "GET /ready"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, str, str | None]]]:
    """(method, path with its parameters filled in, scope) of every route there is."""
    folder = tmp_path_factory.mktemp("routes") / "workspace"
    create_workspace(folder)
    with Workspace(folder) as ws:
        desk = Desk(ws)
        yield [
            (
                method,
                path.replace("{who:str}", "user_id:42").replace("{number:int}", "1").replace("{key_id:str}", "k_1"),
                handler.opt.get("scope"),
            )
            for handler in list_routes(desk)
            for path in handler.paths
            for method in handler.http_methods
        ]
        desk.close()


Table = list[tuple[str, str, str | None]]


def test_every_route_names_a_scope_or_is_known_to_be_open(table: Table) -> None:
    without = {f"{method} {path}" for method, path, scope in table if scope is None}

    assert without == OPEN


def test_no_route_answers_without_a_key(table: Table, ask: Asker) -> None:
    answers = {
        (f"{m} {p}", answer.status, answer.code, answer.headers["www-authenticate"])
        for m, p, scope in table
        if scope
        for answer in [ask(m, p)]
    }

    assert {told[1:] for told in answers} == {(401, "api.no-key", 'Bearer realm="tillit"')}


def test_no_route_answers_to_a_key_that_may_not_read(table: Table, ask: Asker, keys: KeyRing) -> None:
    for sort, status, code in (
        ("revoked", 401, "api.no-key"),
        ("public", 403, "api.wrong-kind"),
        ("secret", 403, "api.wrong-kind"),
    ):
        plain = getattr(keys, sort)
        answers = {(f"{m} {p}", a.status, a.code) for m, p, scope in table if scope for a in [ask(m, p, key=plain)]}

        assert {told[1:] for told in answers} == {(status, code)}


def test_no_route_answers_to_a_key_without_its_scope(table: Table, ask: Asker, ws: Workspace) -> None:
    scopes = sorted({scope for _, _, scope in table if scope})
    wrong = []
    for scope in scopes:
        others, _ = ws.keys.create("api", "others", scopes=[one for one in scopes if one != scope])
        for method, path, wanted in table:
            if wanted == scope:
                answer = ask(method, path, key=others)
                if (answer.status, answer.code) != (403, "api.missing-scope"):
                    wrong.append(f"{method} {path}  {answer.status}")

    assert wrong == []


def test_a_key_that_is_revoked_stops_within_a_second(ask: Asker, people: Workspace, clock: Clock) -> None:
    plain, key = people.keys.create("api", "short")
    assert ask.get("/api/profiles/user_id:42", plain).status == 200

    people.keys.revoke(key.key_id)
    clock.go_on(1 * SECOND)

    assert ask.get("/api/profiles/user_id:42", plain).status == 401


def test_the_key_may_come_as_the_user_of_basic(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    token = base64.b64encode(f"{keys.reader}:".encode()).decode()

    assert ask.get("/api/profiles/user_id:42", headers={"Authorization": f"Basic {token}"}).status == 200


def test_a_header_that_holds_no_key_is_no_key(ask: Asker) -> None:
    for sent in ("Bearer", "Bearer ", "Basic !!!", "Basic", "Digest x", "", "bearer ak_nobody"):
        assert ask.get("/api/profiles/user_id:42", headers={"Authorization": sent}).status == 401


# Case 50, and what the library would add of its own.
NOT_THERE = [
    *("/v0", "/api", "/api/", "/api/v0/profiles", "/api/v1/profiles", "/api/debug", "/debug", "/admin", "/schema"),
    *("/schema/openapi.json", "/schema/swagger", "/api/schema", "/api/description", "/docs", "/openapi.json"),
    *("/api/openapi.yaml", "/api/docs/swagger", "/static/x", "/api/users", "/graphql", "/.env", "/error"),
]


def test_there_are_no_old_debug_or_library_routes(ask: Asker, keys: KeyRing) -> None:
    told = {(path, answer.status, answer.code) for path in NOT_THERE for answer in [ask.get(path, keys.all)]}

    assert told == {(path, 404, "api.no-such-route") for path in NOT_THERE}


# Case 17.
def test_a_key_of_one_workspace_opens_nothing_in_another(ask: Asker, people: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "other"
    create_workspace(other)
    with Workspace(other) as theirs:
        plain, _ = theirs.keys.create("api", "reader")
        theirs.identify(user_id="42", traits={"email": "their-42@example.org"})
        theirs.flush()
        api = create_api(theirs)
        ask_them = Asker(api)
        mine = ask.get("/api/profiles/user_id:42", people.keys.create("api", "reader")[0])
        their = ask_them.get("/api/profiles/user_id:42", plain)

        assert ask.get("/api/profiles/user_id:42", plain).status == 401
        assert "ana@example.org" in mine.body.decode()
        assert "their-42" not in mine.body.decode()
        assert "ana@example.org" not in their.body.decode()

        api.close()
        ask_them.close()


def test_the_budget_is_shown_spent_and_filled_again(workspace_dir: Path, clock: Clock) -> None:
    create_workspace(workspace_dir)
    settings = Settings()
    settings = replace(settings, api=replace(settings.api, rate_per_minute=3))
    with Workspace(workspace_dir, settings=settings, now=clock.now) as ws:
        plain, _ = ws.keys.create("api", "reader")
        api = create_api(ws, monotonic_s=clock.monotonic_s)
        ask = Asker(api)

        seen = [ask.get("/api/profiles/user_id:1", plain) for _ in range(4)]

        assert [one.status for one in seen] == [404, 404, 404, 429]
        assert [one.headers["ratelimit-remaining"] for one in seen] == ["2", "1", "0", "0"]
        assert {one.headers["ratelimit-limit"] for one in seen} == {"3"}
        assert seen[0].headers["ratelimit-reset"] == "20"  # one of three a minute
        assert seen[3].headers["x-ratelimit-reset"] == "60"
        assert seen[3].headers["retry-after"] == "20"
        assert seen[3].code == "api.rate-limited"
        clock.go_on(20 * SECOND)
        assert ask.get("/api/profiles/user_id:1", plain).status == 404

        api.close()
        ask.close()
