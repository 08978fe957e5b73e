"""An audience is sent to a table from its page, and people come and go there while it is watched."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Opening
from tests.console.looks import faults_in_light_and_dark
from tests.running import RunningServer
from tillit.clock import DAY, SECOND, now_us, rfc3339
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
recipients:
  crm: {name: Good Neighbours CRM, country: DE}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [crm]}
  inner: {title: Our own counting, basis: contract, fields: all}
"""
LAPSING = """
audience: lapsing
title: Lapsing regulars
purpose: service
definition:
  all:
    - {event: Order Completed, where: {total: {greater: 50}}, within: 90d, count: {at_least: 2}}
    - {event: Order Completed, within: 30d, count: {equals: 0}}
"""
VIEWERS = "audience: viewers\npurpose: service\ndefinition: {event: Product Viewed, within: 30d}\n"
COUNTED = "audience: counted\npurpose: inner\ndefinition: {event: Order Completed}\n"
SOON = 4 * SECOND  # until a window ends


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("sending") / "shop"
    create_workspace(folder)
    with Workspace(folder) as ws:
        ws.consent.apply(PURPOSES, operator="kim", reason="")
        for text in (LAPSING, VIEWERS, COUNTED):
            ws.audiences.apply(text, reason="", operator="kim")
    with RunningServer(folder) as running:
        yield running


def identify(server: RunningServer, name: str) -> None:
    server.send("/v1/identify", {"userId": name, "traits": {"firstName": name.title()}})


def buy(server: RunningServer, name: str, *spans: int, event: str = "Order Completed") -> None:
    for ago in spans:
        told = {"userId": name, "event": event, "properties": {"total": 70}}
        server.send("/v1/track", {**told, "timestamp": rfc3339(now_us() - ago), "messageId": uuid.uuid4().hex})


def names_in(file: Path) -> set[str]:
    if not file.exists():
        return set()
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as table:
        if not table.execute("SELECT 1 FROM sqlite_master WHERE name = 'lapsing'").fetchall():
            return set()
        return {name for (name,) in table.execute("SELECT firstName FROM lapsing")}


def test_members_come_to_a_table_and_go_while_somebody_watches(
    server: RunningServer, open_page: Opening, tmp_path: Path
) -> None:
    file = tmp_path / "crm.db"
    for name in ("ana", "bo", "cem", "dag"):
        identify(server, name)
    buy(server, "ana", 60 * DAY, 50 * DAY)
    server.settle()
    page = open_page("/console/audiences/lapsing")

    def wait_for(holds: Callable[[], bool]) -> None:
        for _ in range(600):
            if holds():
                return
            page.wait_for_timeout(50)
        raise AssertionError(f"in the table: {names_in(file)}\n{server.last_words()}")

    # From the page of the audience to a destination, without a line of YAML.
    expect(page.locator("section[aria-labelledby=h-used]")).to_contain_text("Nothing uses it yet")
    page.get_by_role("link", name="Send it somewhere").click()
    expect(page.locator("h1")).to_have_text("Send Lapsing regulars somewhere")
    assert faults_in_light_and_dark(page) == []
    page.get_by_label("Address").fill(str(file))
    page.get_by_label("firstName").check()
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#plan")).to_contain_text("1 would be there")
    page.get_by_label("Why?").fill("the CRM writes to them")
    page.get_by_role("button", name="Put it in force").click()
    expect(page.locator("h1")).to_contain_text("Lapsing regulars")
    wait_for(lambda: names_in(file) == {"Ana"})

    # By what they did, and because time passed: Cem's last order is thirty days ago in a moment, Dag's first ninety.
    buy(server, "bo", 60 * DAY, 50 * DAY)
    wait_for(lambda: "Bo" in names_in(file))
    buy(server, "cem", 60 * DAY, 30 * DAY - SOON)
    buy(server, "dag", 90 * DAY - SOON, 60 * DAY)
    buy(server, "ana", 0)
    wait_for(lambda: names_in(file) == {"Bo", "Cem"})
    with Workspace(server.workspace) as ws:
        wait_for(lambda: len(ws.memberships.changes(audience="lapsing", limit=10)) == 6)
        causes = [(one.kind, one.cause) for one in ws.memberships.changes(audience="lapsing", limit=10)]
        assert sorted(one for one in causes if one[1] == "timer") == [("enter", "timer"), ("exit", "timer")]
        wait_for(lambda: ws.deliveries.queue.copies.counts("lapsing-table").get("acknowledged") == 2)

    page.goto(f"{server.url}/console/audiences/lapsing")
    used = page.locator("section[aria-labelledby=h-used]")
    expect(used).to_contain_text("Lapsing regulars destination: a table · 2 there")
    used.get_by_role("link", name="Lapsing regulars").click()
    expect(page.locator("section[aria-labelledby=h-records]")).to_contain_text("there 2")


def test_the_page_says_who_was_in_it_on_a_day_and_where_nobody_may_receive_what_to_do(
    server: RunningServer, open_page: Opening
) -> None:
    identify(server, "eva")
    buy(server, "eva", 40 * DAY, event="Product Viewed")
    server.settle()
    page = open_page("/console/audiences/viewers")

    page.get_by_label("Day (UTC)").fill(rfc3339(now_us() - 15 * DAY)[:10])
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#then .sampled")).to_contain_text("Eva")
    page.get_by_label("Day (UTC)").fill(rfc3339(now_us() - 41 * DAY)[:10])
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#then .size")).to_contain_text("0 people")
    assert faults_in_light_and_dark(page) == []

    page.goto(f"{server.url}/console/audiences/counted/send")
    expect(page.locator("main")).to_contain_text("Nobody may receive it yet")
    page.get_by_role("link", name="Change the purposes").click()
    expect(page.locator("h1")).to_be_visible()
