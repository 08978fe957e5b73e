"""An audience built from nothing in a browser: by sentences, with the count beside it, and what comes after."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.conftest import Opening
from tests.console.looks import faults_in_light_and_dark
from tests.running import RunningServer
from tillit.clock import DAY, now_us, rfc3339
from tillit.workspace import Workspace, create_workspace

_AGO = (60, 50)  # days: twice in 90, nothing in 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its counts are of people whom these tests bring."""
    folder: Path = tmp_path_factory.mktemp("building") / "shop"
    create_workspace(folder)
    with RunningServer(folder) as running:
        for name in ("ana", "bo"):
            identify(running, name)
            for days in _AGO:
                buy(running, name, days_ago=days)
        identify(running, "cem")
        buy(running, "cem", days_ago=60)
        running.settle()
        yield running


def identify(server: RunningServer, name: str) -> None:
    server.send("/v1/identify", {"userId": name, "traits": {"firstName": name.title()}})


def buy(server: RunningServer, name: str, *, days_ago: int) -> None:
    at = rfc3339(now_us() - days_ago * DAY)
    told = {"userId": name, "event": "Order Completed", "properties": {"total": 70}, "timestamp": at}
    server.send("/v1/track", {**told, "messageId": uuid.uuid4().hex})


def fill_first_row(page: Page) -> None:
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Condition 1: name").fill("Order Completed")
    page.get_by_role("button", name="only with a property").click()
    page.get_by_label("Condition 1, property 1: name").fill("total")
    page.get_by_label("Condition 1, property 1: how it compares").select_option("greater")
    page.get_by_label("Condition 1, property 1: value").fill("50")
    page.get_by_label("Condition 1: value").fill("2")
    page.get_by_label("Condition 1: when").select_option("within")
    page.get_by_label("Condition 1: span: how many").fill("90")


def test_bought_twice_and_then_nothing_is_built_from_nothing_and_followed_to_its_members(
    server: RunningServer, open_page: Opening
) -> None:
    page = open_page("/console/audiences")
    page.get_by_role("link", name="New audience").click()
    expect(page.locator("#preview")).to_contain_text("Not counted yet")
    page.get_by_role("textbox", name="Title", exact=True).fill("Lapsing regulars")
    fill_first_row(page)
    expect(page.locator(".row-said").first).to_have_text(
        "Order Completed with total over 50 happened at least 2 times in the last 90 days"
    )
    expect(page.locator("#live-count")).to_have_text("2")

    # The count moves with what arrives meanwhile.
    buy(server, "cem", days_ago=45)
    server.settle()
    page.get_by_role("button", name="Add a condition").click()
    expect(page.get_by_label("Condition 2: name")).to_be_focused()
    expect(page.locator("#fault-d\\.rows\\.1")).to_contain_text("Say which event")
    page.get_by_label("Condition 2: name").fill("Order Completed")
    page.get_by_label("Condition 2: how it compares").select_option("equals")
    page.get_by_label("Condition 2: value").fill("0")
    page.get_by_label("Condition 2: when").select_option("within")
    page.get_by_label("Condition 2: span: how many").fill("30")
    expect(page.locator("#live-count")).to_have_text("3")
    assert faults_in_light_and_dark(page) == []

    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#plan")).to_contain_text("Would come in3")
    page.get_by_label("Why?").fill("the autumn letter")
    page.get_by_role("button", name="Put it in force").click()

    expect(page.locator("h1")).to_contain_text("Lapsing regulars")
    with Workspace(server.workspace) as ws:
        assert ws.audiences.history("audience", "lapsing-regulars")[0].reason == "the autumn letter"
        wait_for(ws, 3)
    page.reload()
    page.get_by_role("link", name="Why Ana is in it").click()
    expect(page.locator("h1")).to_contain_text("Ana is in Lapsing regulars")
    expect(page.locator(".why-leaf:not(.is-heading)")).to_have_count(2)
    expect(page.locator(".why-leaf a").first).to_be_visible()
    assert faults_in_light_and_dark(page) == []


def wait_for(ws: Workspace, n: int) -> None:
    for _ in range(400):
        if ws.memberships.count("lapsing-regulars") == n:
            return
        ws.folding.judge()
    raise AssertionError(f"{ws.memberships.count('lapsing-regulars')} members, not {n}")


def test_an_edit_is_undone_and_redone_tried_and_the_version_before_comes_back(
    server: RunningServer, open_page: Opening
) -> None:
    text = "audience: buyers\npurpose: service\ndefinition: {event: Order Completed, within: 90d}\n"
    with Workspace(server.workspace) as ws:
        ws.audiences.apply(text, reason="first", operator="kim")
    page = open_page("/console/audiences/buyers/edit")
    expect(page.locator("#live-count")).to_have_text("3")

    page.get_by_role("button", name="Add a group").click()
    expect(page.locator(".build-row")).to_have_count(3)
    page.locator("#undo").click()
    expect(page.locator(".build-row")).to_have_count(1)
    page.locator("#redo").click()
    expect(page.locator(".build-row")).to_have_count(3)
    page.get_by_role("button", name="Take away: Condition 2", exact=True).click()
    expect(page.locator(".build-row")).to_have_count(1)
    page.get_by_label("Condition 1: span: how many").fill("55")
    expect(page.locator("#live-count")).not_to_have_text("0")
    page.get_by_role("button", name="As text").click()
    expect(page.get_by_label("The audience, as YAML")).to_have_value(
        "audience: buyers\npurpose: service\ndefinition:\n  event: Order Completed\n  within: 55d\n"
    )
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#plan .sentences")).to_contain_text("in the last 90 days → ")
    page.get_by_label("Why?").fill("fewer")
    page.get_by_role("button", name="Put it in force").click()
    expect(page.locator("#history .chapter")).to_have_count(2)
    expect(page.locator("#history .chapter").first).to_contain_text("in the last 55 days")

    page.get_by_role("button", name="Go back to this version").click()
    page.get_by_label("Why?").fill("as it was")
    page.get_by_role("button", name="Put it in force").click()

    expect(page.locator("#history .chapter")).to_have_count(3)
    with Workspace(server.workspace) as ws:
        assert ws.audiences.history("audience", "buyers")[0].text == text


def test_whoever_goes_on_writing_while_the_rows_are_drawn_anew_loses_nothing(
    server: RunningServer, open_page: Opening
) -> None:
    page = open_page("/console/audiences/new")
    fill_first_row(page)
    expect(page.locator(".row-said").first).to_contain_text("total over 50")
    held: list[Route] = []
    page.route("**/console/audiences/build", lambda route: held.append(route))  # noqa: PLW0108 -- it wants a function

    page.get_by_label("Condition 1, property 1: how it compares").select_option("at_least")
    page.get_by_label("Condition 1, property 1: value").select_text()
    page.keyboard.type("7")
    while not held:
        page.wait_for_timeout(10)
    with page.expect_response("**/console/audiences/build"):
        held.pop().continue_()
    page.wait_for_timeout(100)
    page.keyboard.type("5")

    expect(page.get_by_label("Condition 1, property 1: value")).to_be_focused()
    expect(page.get_by_label("Condition 1, property 1: value")).to_have_value("75")
    expect(page.locator(".row-said").first).to_contain_text("total at least 75")
