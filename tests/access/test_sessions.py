"""Sessions and links: kept as hashes, ended in time, and by whatever changes who somebody is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.still_clock import Clock
from tillit.clock import HOUR, MINUTE
from tillit.errors import RefusedError
from tillit.workspace import Workspace

PASSWORD = "a kettle sings at dawn"


@pytest.fixture
def bo(ws: Workspace) -> str:
    ws.operators.create(login="ana", role="admin")
    return ws.operators.create(login="bo", role="editor", password=PASSWORD).operator_id


def test_cookies_and_tokens_are_kept_as_hashes_and_end(ws: Workspace, clock: Clock) -> None:
    token, late = ws.sessions.issue(), ws.sessions.issue()
    operator_id = ws.sessions.redeem(token)
    assert operator_id is not None
    cookie = ws.sessions.open(operator_id, via="link")
    ws._registry.scrub()
    written = ws.paths.registry.read_bytes()

    clock.go_on(11 * HOUR)
    is_open_today = ws.sessions.find(cookie) is not None
    clock.go_on(2 * HOUR)

    assert token.encode() not in written
    assert cookie.encode() not in written
    assert ws.sessions.redeem(token) is None
    assert ws.sessions.redeem(late) is None  # issued thirteen hours ago
    assert is_open_today
    assert ws.sessions.find(cookie) is None
    assert ws.sessions.find("") is None


def test_the_first_link_makes_the_first_admin_and_no_second(ws: Workspace) -> None:
    first = ws.sessions.redeem(ws.sessions.issue())
    second = ws.sessions.redeem(ws.sessions.issue())

    [owner] = ws.operators.list_all()
    assert first == second == owner.operator_id
    assert (owner.name, owner.role, owner.login, owner.has_password) == ("Owner", "admin", "", False)


def test_of_many_who_spend_one_link_at_once_one_gets_in(ws: Workspace, bo: str) -> None:
    token = ws.sessions.issue(bo)
    let_in: list[str | None] = []
    threads = [threading.Thread(target=lambda: let_in.append(ws.sessions.redeem(token))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(let_in, key=str) == sorted([bo, *[None] * 11], key=str)


@pytest.mark.parametrize(
    "change",
    [
        lambda ws, bo: ws.operators.disable(bo),
        lambda ws, bo: ws.operators.set_role(bo, "reader"),
        lambda ws, bo: ws.operators.set_password(bo, "another kettle at dusk"),
        lambda ws, bo: ws.sessions.end_all(bo),
    ],
    ids=["disabled", "another role", "another password", "signed out everywhere"],
)
def test_what_changes_somebody_ends_their_sessions_links_and_known_browsers(
    ws: Workspace, bo: str, change: Callable[[Workspace, str], object]
) -> None:
    cookies = [ws.sessions.open(bo, via="password") for _ in range(3)]
    token = ws.sessions.issue(bo)
    device = ws.sessions.know_device(bo)
    ana = ws.operators.find("ana")
    assert ana is not None
    colleague = ws.sessions.open(ana.operator_id, via="link")

    change(ws, bo)

    assert [ws.sessions.find(cookie) for cookie in cookies] == [None] * 3
    assert ws.sessions.redeem(token) is None
    assert not ws.sessions.is_known_device(device, bo)
    assert ws.sessions.find(colleague) is not None


def test_another_process_sees_the_end_of_a_session_at_once(ws: Workspace, bo: str) -> None:
    cookie = ws.sessions.open(bo, via="link")
    with Workspace(ws.paths.root, now=ws.now) as other:
        was_open = other.sessions.find(cookie) is not None
        ws.operators.disable(bo)

        assert was_open
        assert other.sessions.find(cookie) is None


def test_a_link_for_a_disabled_operator_is_not_made(ws: Workspace, bo: str) -> None:
    ws.operators.disable(bo)

    with pytest.raises(RefusedError, match="disabled"):
        ws.sessions.issue(bo)


def test_nobody_ends_the_session_of_another(ws: Workspace, bo: str) -> None:
    cookie = ws.sessions.open(bo, via="link")
    session = ws.sessions.find(cookie)
    assert session is not None

    ws.sessions.end_one("op_somebody", session.session_id)
    is_still_open = ws.sessions.find(cookie) is not None
    ws.sessions.end_one(bo, session.session_id)

    assert is_still_open
    assert ws.sessions.find(cookie) is None


def test_use_is_noted_at_most_once_a_minute(ws: Workspace, bo: str, clock: Clock) -> None:
    cookie = ws.sessions.open(bo, via="link")
    found = ws.sessions.find(cookie)
    assert found is not None
    is_due_at_once = ws.sessions.is_due(found)
    clock.go_on(1 * MINUTE)
    is_due_later = ws.sessions.is_due(found)
    ws.sessions.note_seen(found.session_id)
    seen = ws.sessions.find(cookie)

    assert seen is not None
    assert (is_due_at_once, is_due_later, ws.sessions.is_due(seen)) == (False, True, False)
