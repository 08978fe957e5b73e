"""The pages of accounts in a real browser: accessible, fitting, and usable with the keyboard alone."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import expect

from tests.console.conftest import PATIENCE_MS, Opening
from tests.console.looks import faults_in_light_and_dark
from tests.running import RunningServer, typed

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def colleague(server: RunningServer) -> str:
    """An operator with a long name whom no other test knows."""
    login = f"{uuid.uuid4().hex[:8]}@shop.example"
    typed("operators", "create", login, "--name", f"Åsa {'x' * 80}", "--workspace", str(server.workspace))
    return login


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
def test_every_page_of_accounts_is_accessible_and_fits(
    server: RunningServer, open_page: Opening, colleague: str, width: int
) -> None:
    faults: list[str] = []
    page = open_page("/console/operators", viewport={"width": width, "height": 800})
    for path in ("/console/operators", "/console/me", "/console/audit", "/console/audit?action=none", "/console/enter"):
        page.goto(server.url + path)
        faults += [f"{path}  {one}" for one in faults_in_light_and_dark(page)]

    assert faults == []


def test_an_operator_is_invited_and_disabled_with_the_keyboard_alone(open_page: Opening) -> None:
    login = f"{uuid.uuid4().hex[:8]}@shop.example"
    page = open_page("/console/live")
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator("h1")).to_have_text("Operators")

    page.locator("#login").focus()
    page.keyboard.type(login)
    page.keyboard.press("Tab")
    page.keyboard.type("Keyboarder")
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_contain_text("/console/enter?token=")
    row = page.locator("li", has_text=login)
    row.get_by_role("button", name="Disable").focus()
    page.keyboard.press("Enter")

    expect(row).to_contain_text("disabled")
    assert "token=" not in page.url
