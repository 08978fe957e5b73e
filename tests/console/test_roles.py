"""Every route of the console answers each role as it says itself, also the routes that come later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.console.visitor import Visitor
from tillit.access import ROLES
from tillit.console import create_console
from tillit.console.app import App
from tillit.console.desk import Desk
from tillit.console.pages import list_routes
from tillit.console.render import Pages
from tillit.workspace import Workspace, create_workspace

# The only routes that judge for themselves.
OPEN = {
    ("GET", "/console/enter"),
    ("POST", "/console/enter"),
    ("GET", "/console/enter/sso"),
    ("GET", "/console/enter/return"),
}
PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")

# Pages that still leave it to Litestar where a parameter comes from.
pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


class Way(NamedTuple):
    """One method on one path."""

    method: str
    path: str
    role: str  # empty: open

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@pytest.fixture
def ws(workspace_dir: Path) -> Iterator[Workspace]:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as workspace:
        workspace.identify(user_id="u1", traits={"firstName": "Ana"})
        workspace.flush()
        yield workspace


@pytest.fixture
def app(ws: Workspace) -> App:
    return create_console(ws)


@pytest.fixture
def ways(ws: Workspace) -> list[Way]:
    return [
        Way(method, filled(ws, path), str(handler.opt.get("role", "")))
        for handler in list_routes(Desk(ws, Pages("shop")))
        for path in handler.paths
        for method in sorted(handler.http_methods - {"OPTIONS"})
    ]


def filled(ws: Workspace, path: str) -> str:
    """Put ids that could be into a path."""
    profile = ws.profiles.get("user_id:u1")["id"]
    known = {
        "profile_id": profile,
        "customer_id": profile,
        "event_id": "e1-1",
        "operator_id": ws.operators.create(login=f"target-{path}", role="reader").operator_id
        if "{operator_id" in path
        else "",
    }
    return PARAMETER.sub(lambda found: known.get(found[1]) or ("1" if found[2] == "int" else "x1"), path)


def visitor_with(ws: Workspace, app: App, role: str) -> Visitor:
    login = f"one-{role}"
    found = ws.operators.find(login) or ws.operators.create(login=login, role=role)
    return Visitor(app, ws).hold(found.operator_id)


def ask(visitor: Visitor, way: Way) -> int:
    return (visitor.get(way.path) if way.method in {"GET", "HEAD"} else visitor.post(way.path)).status


def test_only_the_ways_in_are_open(ways: list[Way]) -> None:
    assert {(way.method, way.path) for way in ways if not way.role and way.method != "HEAD"} == OPEN
    assert {way.role for way in ways} - {""} <= set(ROLES)


def test_whoever_writes_is_at_least_an_editor_or_writes_about_themselves(ways: list[Way]) -> None:
    # A search and a question are forms so that their text stays out of addresses; they change nothing.
    reading = (
        "/console/me/",
        "/console/leave",
        "/console/customers",
        "/console/live",
        "/console/privacy/question",
        "/console/destinations/x1/try",
        "/console/templates/x1/preview",
        "/console/suppressions/find",
        "/console/features/x1/value",
    )
    by_readers = [str(way) for way in ways if way.method == "POST" and way.role == "reader"]

    assert [way for way in by_readers if not way.partition(" ")[2].startswith(reading)] == []


def test_every_route_answers_every_role_as_it_says(ws: Workspace, app: App, ways: list[Way]) -> None:
    ws.operators.create(login="another-admin", role="admin")  # so that no admin is the last
    wrong = []
    for way in ways:
        if not way.role:
            continue
        nobody = Visitor(app, ws)
        nobody.cookies = {ws.sessions.cookie_name: "guess"}
        status = ask(nobody, way)
        if status != 401:
            wrong.append(f"{way}  nobody got {status}")
        for role in ROLES:
            # A fresh session for each: some of these routes end the one they are asked with.
            status = ask(visitor_with(ws, app, role), way)
            is_enough = ROLES.index(role) >= ROLES.index(way.role)
            if (status in {401, 403}) is is_enough or status >= 500:
                wrong.append(f"{way}  {role} got {status}, it is for {way.role}")

    assert wrong == []


def test_no_form_is_taken_without_its_token_or_from_another_site(ws: Workspace, app: App, ways: list[Way]) -> None:
    taken = []
    for way in ways:
        if way.method in {"GET", "HEAD"}:
            continue
        for word, sent in (
            ("no token", {"token": ""}),
            ("another token", {"token": "0" * 32}),
            ("site", {"site": "cross-site"}),
        ):
            if not way.role and "token" in sent:
                continue
            status = visitor_with(ws, app, "admin").post(way.path, **sent).status
            # Uploads look for their token in the stream: what is no upload at all is turned away before.
            is_no_upload = way.path.startswith("/console/imports") and status in {400, 404}
            if status != 403 and not is_no_upload:
                taken.append(f"{way}  {word}: {status}")

    assert taken == []


def test_a_path_that_is_no_route_is_closed_to_nobody_and_missing_to_an_admin(ws: Workspace, app: App) -> None:
    assert Visitor(app, ws).get("/console/nowhere").status == 401
    assert visitor_with(ws, app, "admin").get("/console/nowhere").status == 404
