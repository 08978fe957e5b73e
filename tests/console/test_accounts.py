"""Signing in, the own account, other operators and the audit, as pages and forms."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from tests.console.visitor import Page, Visitor
from tests.still_clock import Clock
from tillit.clock import HOUR
from tillit.console import create_console
from tillit.console.app import App
from tillit.console.pages.entrance import safe_next
from tillit.console.sessions import form_token_of
from tillit.settings import Console, Settings
from tillit.workspace import Workspace, create_workspace

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

PASSWORD = "a kettle sings at dawn"
OTHER = "three spoons under rain"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def app(ws: Workspace) -> App:
    return create_console(ws)


@pytest.fixture
def visitor(app: App, ws: Workspace) -> Visitor:
    return Visitor(app, ws)


@pytest.fixture
def ana(ws: Workspace) -> str:
    return ws.operators.create(login="ana", name="Ana", role="admin", password=PASSWORD).operator_id


@pytest.fixture
def bo(ws: Workspace) -> str:
    return ws.operators.create(login="bo", name="Bo", role="editor", password=OTHER).operator_id


def actions(ws: Workspace) -> list[tuple[str, str, str, str]]:
    """Give who did what to what and how it went, the first first."""
    return [(one.operator_id, one.action, one.target, one.outcome) for one in reversed(ws.audit.actions())]


# -- signing in


def test_a_page_asks_who_is_there_and_leads_back_to_itself(visitor: Visitor, ana: str) -> None:
    closed = visitor.get("/console/sources")
    field = re.search(r'name="next" value="([^"]*)"', closed.text)
    assert field is not None

    answer = visitor.sign_in("Ana", PASSWORD, next=field[1])
    page = visitor.get(answer.header("location"))

    assert (closed.status, closed.header("cache-control")) == (401, "no-store")
    assert (answer.status, answer.header("location")) == (303, "/console/sources")
    assert page.status == 200
    assert "Ana" in page.text


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/console",
        "//evil.example",
        "/\\evil.example",
        "/console//evil.example",
        "/console/../v1/track",
        "/consolex",
        "javascript:alert(1)",
        "/console/leave",
        "/console/enter?token=x",
        "/console/%0d%0aset-cookie:a=b",
        "/console/\r\nx: y",
        "",
    ],
)
def test_signing_in_leads_nowhere_but_into_the_console(visitor: Visitor, ana: str, path: str) -> None:
    assert safe_next(path) == "/console"
    assert visitor.sign_in("ana", PASSWORD, next=path).header("location") == "/console"


def test_every_sign_in_gives_a_new_cookie_and_ends_the_one_before(visitor: Visitor, ws: Workspace, ana: str) -> None:
    visitor.cookies[ws.sessions.cookie_name] = "fixed-by-an-attacker"
    visitor.sign_in("ana", PASSWORD)
    first = visitor.cookie
    visitor.sign_in("ana", PASSWORD)

    assert first != "fixed-by-an-attacker"
    assert visitor.cookie != first
    assert ws.sessions.find(first) is None
    assert ws.sessions.find("fixed-by-an-attacker") is None


def test_cookies_are_for_the_server_alone_and_over_tls_for_tls_alone(
    visitor: Visitor, ws: Workspace, app: App, ana: str
) -> None:
    plain = visitor.sign_in("ana", PASSWORD).cookies
    tls = Visitor(app, ws, scheme="https").sign_in("ana", PASSWORD).cookies
    settings = Settings(console=Console(public_url="https://cdp.example"))
    with Workspace(ws.paths.root, settings=settings, now=ws.now) as behind:
        proxied = Visitor(create_console(behind), behind).sign_in("ana", PASSWORD).cookies

    for cookies in (plain, tls, proxied):
        assert len(cookies) == 2  # the session, and that this browser is known
        for morsel in cookies.values():
            assert morsel["httponly"] is True
            assert morsel["samesite"] == "strict"
            assert morsel["path"].startswith("/console")
            assert morsel["domain"] == ""
    assert {bool(morsel["secure"]) for morsel in plain.values()} == {False}
    assert {bool(morsel["secure"]) for morsel in (*tls.values(), *proxied.values())} == {True}


def test_a_sign_in_form_of_another_site_is_refused(visitor: Visitor, ana: str) -> None:
    answers = [
        visitor.post("/console/enter", site=site, login="ana", password=PASSWORD)
        for site in ("cross-site", "same-site", "none")
    ]

    assert {answer.status for answer in answers} == {403}
    assert visitor.cookies == {}


def test_brute_force_is_slowed_down_and_noted_without_what_was_typed(visitor: Visitor, ws: Workspace, ana: str) -> None:
    answers = [visitor.sign_in("ana", f"guess number {n} of many") for n in range(8)]

    assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
    assert answers[-1].header("retry-after") == "1"
    assert actions(ws) == [("", "session.refused", ana, "refused")] * 5
    assert visitor.cookies == {}


def test_an_unknown_login_is_answered_as_a_known_one_is(visitor: Visitor, ana: str) -> None:
    known, unknown = visitor.sign_in("ana", "wrong"), visitor.sign_in("eve", "wrong")

    assert known.status == unknown.status == 401
    assert known.text.replace('value="ana"', "") == unknown.text.replace('value="eve"', "")


def test_the_first_link_makes_an_owner_who_is_asked_for_login_and_password(visitor: Visitor, ws: Workspace) -> None:
    visitor.use_link(ws.sessions.issue())
    asked = visitor.get("/console/sources").text
    answer = visitor.post("/console/me/password", login="Owner@Shop.example", new=PASSWORD, again=PASSWORD)
    after = visitor.get("/console/sources").text
    visitor.post("/console/leave")

    assert "Set a login and a password" in asked
    assert answer.status == 303
    assert "Set a login and a password" not in after
    assert visitor.get("/console/sources").status == 401
    assert visitor.sign_in("owner@shop.example", PASSWORD).status == 303


# -- the own account


def test_a_new_password_needs_the_current_one_and_ends_every_other_session(
    visitor: Visitor, app: App, ws: Workspace, bo: str
) -> None:
    elsewhere = Visitor(app, ws).hold(bo)
    visitor.hold(bo)
    before = visitor.cookie

    wrong = visitor.post("/console/me/password", current="wrong", new=PASSWORD, again=PASSWORD)
    differ = visitor.post("/console/me/password", current=OTHER, new=PASSWORD, again=PASSWORD + "x")
    weak = visitor.post("/console/me/password", current=OTHER, new="123456789012", again="123456789012")
    still = elsewhere.get("/console/me").status
    right = visitor.post("/console/me/password", current=OTHER, new=PASSWORD, again=PASSWORD)

    assert [page.status for page in (wrong, differ, weak, right)] == [403, 400, 400, 303]
    assert (wrong.fault, still) == ("The current password is another.", 200)
    assert elsewhere.get("/console/me").status == 401
    assert visitor.get("/console/me").status == 200
    assert visitor.cookie != before
    assert Visitor(app, ws).sign_in("bo", OTHER).status == 401
    assert Visitor(app, ws).sign_in("bo", PASSWORD).status == 303
    assert actions(ws)[:2] == [(bo, "account.password", bo, "refused"), (bo, "account.password", bo, "done")]


def test_sessions_are_listed_and_ended_one_by_one_or_all(visitor: Visitor, app: App, ws: Workspace, bo: str) -> None:
    elsewhere, visitor = Visitor(app, ws).hold(bo), visitor.hold(bo)
    session = ws.sessions.find(elsewhere.cookie)
    assert session is not None

    listed = visitor.get("/console/me").text
    visitor.post(f"/console/me/sessions/{session.session_id}/end")
    after_one = elsewhere.get("/console/me").status
    elsewhere.hold(bo)
    visitor.post("/console/me/sign-out-everywhere")

    assert listed.count("Signed in with a link") == 2
    assert after_one == 401
    assert elsewhere.get("/console/me").status == visitor.get("/console/me").status == 401
    assert [action for _, action, _, _ in actions(ws)] == ["session.end", "session.end-all"]


def test_nobody_ends_a_colleagues_session_from_their_own_account(
    visitor: Visitor, app: App, ws: Workspace, ana: str, bo: str
) -> None:
    admin = Visitor(app, ws).hold(ana)
    session = ws.sessions.find(admin.cookie)
    assert session is not None

    visitor.hold(bo).post(f"/console/me/sessions/{session.session_id}/end")

    assert admin.get("/console/operators").status == 200


# -- operators


def test_an_invited_operator_comes_by_a_link_that_is_shown_once(
    visitor: Visitor, app: App, ws: Workspace, ana: str
) -> None:
    made = visitor.hold(ana).post("/console/operators/invite", login="Cem@shop.example", name="Cem", role="reader")
    found = re.search(r"enter\?token=([\w-]+)", made.text)
    assert found is not None
    cem = Visitor(app, ws)

    entered = cem.use_link(found[1])
    asked = cem.get("/console/me")
    again = Visitor(app, ws).use_link(found[1])

    assert (made.status, entered.status, again.status) == (200, 303, 401)
    assert "Set a password" in asked.text
    assert cem.get("/console/operators").status == 403
    assert found[1] not in visitor.get("/console/operators").text
    assert "cem@shop.example" in visitor.get("/console/operators").text


def test_a_link_of_yesterday_opens_nothing(visitor: Visitor, app: App, ws: Workspace, clock: Clock, ana: str) -> None:
    made = visitor.hold(ana).post("/console/operators/invite", login="cem", name="Cem", role="reader")
    found = re.search(r"enter\?token=([\w-]+)", made.text)
    assert found is not None
    clock.at += 24 * HOUR

    answer = Visitor(app, ws).use_link(found[1])

    assert answer.status == 401
    assert "too old" in answer.text


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"login": "bo", "name": "Another", "role": "reader"}, "Another operator has this login"),
        ({"login": "two words", "name": "X", "role": "reader"}, "A login is"),
        ({"login": "x", "name": "X", "role": "owner"}, "A role is one of"),
        ({"login": "x", "name": "\u202e\u0007", "role": "reader"}, "A name is"),
    ],
    ids=["taken", "spaces", "role", "name"],
)
def test_an_invitation_that_cannot_be_says_why_and_keeps_what_was_typed(
    visitor: Visitor, ws: Workspace, ana: str, bo: str, fields: dict[str, str], word: str
) -> None:
    answer = visitor.hold(ana).post("/console/operators/invite", **fields)

    assert answer.status == 400
    assert word in answer.fault
    assert f'value="{fields["login"]}"' in answer.text
    assert len(ws.operators.list_all()) == 2


def test_a_disabled_operators_open_session_ends_at_once(
    visitor: Visitor, app: App, ws: Workspace, ana: str, bo: str
) -> None:
    working = Visitor(app, ws).hold(bo)
    before = working.get("/console/sources").status

    visitor.hold(ana).post(f"/console/operators/{bo}/disable")
    after = working.get("/console/sources").status
    signing_in = working.sign_in("bo", OTHER).status
    visitor.post(f"/console/operators/{bo}/enable")

    assert (before, after, signing_in) == (200, 401, 401)
    assert working.get("/console/sources").status == 401  # enabling opens no session of before
    assert working.sign_in("bo", OTHER).status == 303


def test_an_open_stream_ends_with_its_session(workspace_dir: Path) -> None:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as ws:
        bo = ws.operators.create(login="bo", role="reader").operator_id
        ws.operators.create(login="ana", role="admin")
        told = asyncio.run(listen(create_console(ws), Visitor(create_console(ws), ws).hold(bo), ws, bo))

    assert told[0]["status"] == 200
    assert [message.get("more_body") for message in told[1:]][-1] is False
    # What came after the end of the session is an empty last part.
    assert told[-1]["body"] == b""


async def listen(app: App, visitor: Visitor, ws: Workspace, operator_id: str) -> list[dict[str, Any]]:
    """Open the live stream, disable its reader after the first part, and give everything that was sent."""
    told: list[dict[str, Any]] = []
    has_begun, is_over = asyncio.Event(), asyncio.Event()
    cookie = f"{ws.sessions.cookie_name}={visitor.cookie}"

    async def receive() -> dict[str, Any]:
        if not told:
            return {"type": "http.request", "body": b"after=0", "more_body": False}
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(dict(message))
        if message["type"] == "http.response.body":
            has_begun.set()
            if not message.get("more_body"):
                is_over.set()

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/console/live/stream",
        "raw_path": b"/console/live/stream",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"console.example"),
            (b"cookie", cookie.encode()),
            (b"sec-fetch-site", b"same-origin"),
            (b"x-form-token", form_token_of(visitor.cookie).encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", b"7"),
        ],
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    task = asyncio.ensure_future(app(scope, receive, send))
    await asyncio.wait_for(has_begun.wait(), 20)
    ws.operators.disable(operator_id)
    ws.track(user_id="u1", event="After the end")
    ws.flush()
    await asyncio.wait_for(is_over.wait(), 20)
    await asyncio.wait_for(task, 20)
    return told


def test_a_demoted_admin_does_nothing_more_with_the_open_page(
    visitor: Visitor, app: App, ws: Workspace, ana: str
) -> None:
    other = ws.operators.create(login="cem", role="admin").operator_id
    cem = Visitor(app, ws).hold(other)
    cem.get("/console/operators")

    visitor.hold(ana).post(f"/console/operators/{other}/role", role="reader")

    assert cem.post(f"/console/operators/{ana}/disable").status == 401
    assert ws.operators.get(ana).disabled_at is None


def test_the_only_admin_stays_one(visitor: Visitor, ws: Workspace, ana: str, bo: str) -> None:
    visitor.hold(ana)

    answers = [
        visitor.post(f"/console/operators/{ana}/disable"),
        visitor.post(f"/console/operators/{ana}/role", role="editor"),
    ]

    assert [answer.status for answer in answers] == [409, 409]
    assert "the only admin" in answers[0].fault
    assert (ws.operators.get(ana).role, ws.operators.get(ana).disabled_at) == ("admin", None)


def test_names_are_text_wherever_they_stand(visitor: Visitor, ws: Workspace, ana: str) -> None:
    visitor.hold(ana)
    pages = [visitor.post("/console/operators/invite", login=SCRIPT, name=SCRIPT, role="editor")]
    scripted = ws.operators.find(SCRIPT)
    assert scripted is not None
    pages += [visitor.get("/console/operators"), visitor.get("/console/audit")]
    visitor.hold(scripted.operator_id)
    pages += [visitor.get("/console/me"), visitor.get("/console/sources"), visitor.sign_in(f'"><{SCRIPT}', "x" * 20)]

    assert [page.status for page in pages] == [200, 200, 200, 200, 200, 401]
    for page in pages:
        assert "alert(1)" in page.text
        assert "<script>alert" not in page.text
        assert not re.search(r"<[^>]*\son\w+=", page.text)


# -- the audit


def test_every_action_leaves_its_row(visitor: Visitor, app: App, ws: Workspace, ana: str, bo: str) -> None:
    visitor.sign_in("ana", PASSWORD)
    for way in ("disable", "enable", "link", "sign-out"):
        visitor.post(f"/console/operators/{bo}/{way}")
    visitor.post(f"/console/operators/{bo}/role", role="reader")
    visitor.post("/console/operators/invite", login="cem", name="Cem", role="reader")
    visitor.post("/console/me/name", name="Ana A")
    Visitor(app, ws).sign_in("ana", "wrong")
    Visitor(app, ws).use_link("guess")
    cem = ws.operators.find("cem")
    assert cem is not None
    session = ws.sessions.find(visitor.cookie)
    assert session is not None
    visitor.post("/console/leave")

    assert actions(ws) == [
        (ana, "session.sign-in", ana, "done"),
        (ana, "operator.disable", bo, "done"),
        (ana, "operator.enable", bo, "done"),
        (ana, "operator.link", bo, "done"),
        (ana, "operator.sign-out", bo, "done"),
        (ana, "operator.role", bo, "done"),
        (ana, "operator.create", cem.operator_id, "done"),
        (ana, "account.name", ana, "done"),
        ("", "session.refused", ana, "refused"),
        ("", "session.refused", "", "refused"),
        (ana, "session.sign-out", session.session_id, "done"),
    ]


def test_the_audit_page_filters_and_goes_back_page_by_page(visitor: Visitor, ws: Workspace, ana: str, bo: str) -> None:
    for n in range(60):
        ws.audit.note(operator_id=bo if n % 2 else ana, action="trait.correct", target=f"p{n:03d}")
    visitor.hold(ana)

    first = visitor.get("/console/audit?operator=&action=")
    older = re.search(r'rel="next" href="([^"]*)"', first.text)
    assert older is not None
    second = visitor.get(older[1].replace("&amp;", "&"))
    of_bo = visitor.get(f"/console/audit?operator={bo}&action=trait.correct")

    assert targets(first) == [f"p{n:03d}" for n in range(59, 9, -1)]
    assert targets(second) == [f"p{n:03d}" for n in range(9, -1, -1)]
    assert targets(of_bo) == [f"p{n:03d}" for n in range(59, 0, -2)]
    assert "Nothing fits" in visitor.get("/console/audit?action=key.create").text


def targets(page: Page) -> list[str]:
    return re.findall(r'<code class="fine">(p\d+)</code>', page.text)


# -- nothing of it lies about


def test_passwords_cookies_and_tokens_are_in_no_file_log_or_page(
    visitor: Visitor, app: App, ws: Workspace, ana: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong, new = "the wrong marked kettle", "the newest marked kettle"
    pages = [visitor.sign_in("ana", wrong), visitor.sign_in("ana", PASSWORD)]
    secrets = [wrong, new, PASSWORD, *visitor.cookies.values()]
    pages += [visitor.get("/console/me"), visitor.post("/console/me/password", current=wrong, new=new, again=new)]
    pages += [visitor.post("/console/me/password", current=PASSWORD, new=new, again="another")]
    pages += [visitor.post("/console/me/password", current=PASSWORD, new=new, again=new)]
    invited = visitor.post("/console/operators/invite", login="cem", name="Cem", role="reader")
    token = re.findall(r"enter\?token=([\w-]+)", invited.text)[0]
    Visitor(app, ws).use_link(token)
    secrets += [*visitor.cookies.values(), token]
    pages += [visitor.get("/console/audit"), visitor.get("/console/operators"), visitor.get("/console/nowhere")]

    places = {
        str(file.relative_to(ws.paths.root)): file.read_bytes() for file in ws.paths.root.rglob("*") if file.is_file()
    }
    places["the log"] = caplog.text.encode()
    places.update({f"page {n}": page.text.encode() for n, page in enumerate(pages)})
    found = [place for place, content in places.items() for secret in secrets if secret.encode() in content]

    assert "registry.db" in places
    assert found == []
