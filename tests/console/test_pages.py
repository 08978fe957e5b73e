"""The pages in a real browser: they show what arrives, find people, say where each value is from, and run nothing
that a customer wrote.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.conftest import PATIENCE_MS, Opening, Watched
from tests.console.looks import faults_in_light_and_dark
from tests.running import RunningServer

expect.set_options(timeout=PATIENCE_MS)

SCRIPT = "<script>alert(1)</script>"
PICTURE = "\"'><img src=x onerror=alert(2)>"


def send_person(server: RunningServer, *, name: str, user_id: str | None = None, **more: Any) -> str:
    """Send one identify and one track of a person nobody else knows; give the user id."""
    user_id = user_id or f"u-{uuid.uuid4().hex[:10]}"
    traits = {"firstName": name, "email": f"{user_id}@example.org", **more.get("traits", {})}
    anonymous_id = str(uuid.uuid4())
    sent = [
        server.send("/v1/page", {"anonymousId": anonymous_id, "name": more.get("page", "Home")}, key="public"),
        server.send("/v1/identify", {"anonymousId": anonymous_id, "userId": user_id, "traits": traits}, key="public"),
        server.send(
            "/v1/track",
            {
                "userId": user_id,
                "event": more.get("event", "Order Completed"),
                "properties": more.get("properties", {}),
            },
        ),
    ]
    assert [answer.status for answer in sent] == [200, 200, 200]
    return user_id


def id_of(server: RunningServer, user_id: str) -> str:
    found = server.find_profile(f"user_id:{user_id}")
    assert found is not None
    return str(found["id"])


def test_an_event_shows_while_the_page_is_open(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console/live")
    expect(page.locator("#state-text")).to_have_text("live")

    send_person(server, name="Zusje", event="Kettle Boiled")

    row = page.locator(".event", has_text="Kettle Boiled")
    expect(row.locator(".who")).to_have_text("Zusje")
    expect(row.locator(".source")).to_have_text("backend")
    expect(row.locator(".kind")).to_have_text("track")
    expect(page.locator("#pace svg polyline")).to_have_count(1)


def test_a_row_opens_the_event_and_holds_the_list_while_it_is_read(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console/live")
    expect(page.locator("#state-text")).to_have_text("live")
    send_person(server, name="Reader", event="Book Opened", properties={"title": "The patient kettle"})
    opens = page.locator(".event", has_text="Book Opened").locator("a.opens")

    opens.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".event .json")).to_contain_text('"title": "The patient kettle"')
    send_person(server, name="Other", event="Book Closed")
    expect(page.locator("#state-text")).to_have_text("held while you read")
    expect(page.locator(".event", has_text="Book Closed")).to_have_count(0)
    page.keyboard.press("Enter")

    expect(page.locator(".event", has_text="Book Closed")).to_have_count(1)
    expect(opens).to_have_attribute("aria-expanded", "false")


def test_pause_holds_and_resume_shows_what_came(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console/live")
    expect(page.locator("#state-text")).to_have_text("live")

    page.get_by_role("button", name="Pause").click()
    send_person(server, name="Late", event="Bell Rung")
    expect(page.get_by_role("button", name="Resume (3 new)")).to_be_visible()
    expect(page.locator(".event", has_text="Bell Rung")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()

    expect(page.locator(".event", has_text="Bell Rung")).to_have_count(1)


def test_the_filter_sifts_what_is_there_and_what_comes(server: RunningServer, open_page: Opening) -> None:
    send_person(server, name="Before", event="Apple Picked")
    server.settle()
    page = open_page("/console/live")
    expect(page.locator("#state-text")).to_have_text("live")

    page.keyboard.press("/")
    page.keyboard.type("pear")
    expect(page.locator(".event", has_text="Apple Picked")).to_be_hidden()
    send_person(server, name="After", event="Pear Picked")

    expect(page.locator(".event", has_text="Pear Picked")).to_be_visible()
    expect(page.locator(".event:visible")).to_have_count(1)


def test_search_finds_while_typing_and_the_text_stays_out_of_addresses(
    server: RunningServer, open_page: Opening, watched: Watched
) -> None:
    user_id = send_person(server, name="Quetzalina")
    server.settle()
    page = open_page("/console/customers")
    page.locator("h1").click()

    page.keyboard.press("/")
    page.keyboard.type("quetz")
    expect(page.locator("a.person")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("Quetzalina")
    assert page.url == f"{server.url}/console/customers/{id_of(server, user_id)}"
    assert not [address for address in watched.addresses if "quetz" in address.lower() or user_id in address]


def test_an_empty_search_says_what_can_be_searched(open_page: Opening) -> None:
    page = open_page("/console/customers")

    page.locator("#query").fill("nobody-is-called-this")

    expect(page.locator("#found h2")).to_have_text("Nobody found")
    expect(page.locator("#told")).to_have_text("Nobody found")


def test_a_customer_page_says_where_each_value_is_from(server: RunningServer, open_page: Opening) -> None:
    user_id = send_person(server, name="Ana", traits={"plan": "gold", "address": {"city": "Évora"}})
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")

    plan = page.locator("section[aria-labelledby=h-traits] li", has_text="plan")
    identifiers = page.locator("section[aria-labelledby=h-identifiers] li")

    expect(plan).to_contain_text("gold")
    expect(plan).to_contain_text("from site")
    expect(plan).to_contain_text("claimed")
    expect(page.locator("section[aria-labelledby=h-traits]")).to_contain_text('{"city":"Évora"}')
    expect(identifiers).to_have_count(3)
    expect(identifiers.filter(has_text="user_id")).to_contain_text("server")
    expect(identifiers.filter(has_text="email")).to_contain_text(f"{user_id}@example.org")
    expect(page.locator("section[aria-labelledby=h-counts] li", has_text="Order Completed")).to_contain_text("1")
    # Newest first: the visit before the sign-in is hers, too.
    expect(page.locator("#events .kind")).to_have_text(["track", "identify", "page"])
    plan.get_by_role("link", name="The event that said plan").click()
    expect(page.locator(".json")).to_contain_text('"plan": "gold"')


def test_a_long_timeline_is_read_in_parts(server: RunningServer, open_page: Opening) -> None:
    user_id = f"u-{uuid.uuid4().hex[:10]}"
    batch = [{"type": "track", "userId": user_id, "event": f"Step {n:02d}"} for n in range(95)]
    assert server.send("/v1/batch", {"batch": batch}).status == 200
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    expect(page.locator("#events .event")).to_have_count(40)

    page.get_by_role("link", name="Older").click()
    expect(page.locator("#events .event")).to_have_count(80)
    page.get_by_role("link", name="Older").click()

    expect(page.locator("#events .event")).to_have_count(95)
    expect(page.get_by_role("link", name="Older")).to_have_count(0)


def test_what_customers_write_is_text_on_every_page(
    server: RunningServer, open_page: Opening, watched: Watched
) -> None:
    live = open_page("/console/live")
    expect(live.locator("#state-text")).to_have_text("live")
    user_id = send_person(
        server,
        name=SCRIPT,
        user_id=f"{PICTURE}{uuid.uuid4().hex[:6]}",
        event=f"{SCRIPT}{PICTURE}",
        page=PICTURE,
        traits={f"{SCRIPT}": PICTURE, PICTURE: {"deep": SCRIPT}, "long": SCRIPT * 40, "url": "javascript:alert(3)"},
        properties={"name": PICTURE, SCRIPT: SCRIPT, "path": "javascript:alert(4)", "url": f"https://x/{PICTURE}"},
    )
    bad = server.send("/v1/track", {"event": SCRIPT, "properties": {SCRIPT: PICTURE}}, key="public")
    server.settle()

    expect(live.locator(".event .who", has_text="<script>").first).to_be_visible()
    live.locator("a.opens", has_text="<script>").first.click()
    expect(live.locator(".event .json")).to_contain_text("onerror")
    customers = open_page("/console/customers")
    customers.locator("#query").fill("<script>")
    expect(customers.locator("a.person").first).to_contain_text("<script>")
    customers.locator("#query").fill("\"'><img")
    customer = open_page(f"/console/customers/{id_by_search(server, user_id)}")
    for link in customer.locator("#events a.opens").all():
        link.click()
    expect(customer.locator("#events .json")).to_have_count(3)
    quarantine = open_page("/console/quarantine")
    quarantine.locator("details summary").first.click()
    expect(quarantine.locator(".json").first).to_contain_text("<script>")

    assert bad.status in {200, 400}
    for page in (live, customers, customer, quarantine):
        assert page.locator("main script, main img:not([src^='/console/static/'])").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
    assert not [address for address in watched.addresses if not address.startswith(server.url)]


def id_by_search(server: RunningServer, user_id: str) -> str:
    """Look somebody up whose id does not fit into a path."""
    body = {"namespace": "user_id", "value": user_id}
    answer = server.request(
        "POST",
        "/api/profiles/lookup",
        body=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.keys['api']}", "Content-Type": "application/json"},
    )
    assert answer.status in {200, 201}, answer
    return str(answer.json()["id"])


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
def test_every_page_is_accessible_and_fits(server: RunningServer, open_page: Opening, width: int) -> None:
    user_id = send_person(server, name="Åsa", traits={"note": "long " * 200})
    server.send("/v1/track", {"properties": {}}, key="public")
    server.settle()
    customer = f"/console/customers/{id_of(server, user_id)}"
    paths = (
        *("/console", "/console/live", "/console/customers", customer, "/console/quarantine", "/console/quarantine/1"),
        *("/console/sources", "/console/imports", "/console/enter"),
    )

    faults: list[str] = []
    page = open_page("/console", viewport={"width": width, "height": 800})
    for path in paths:
        page.goto(server.url + path)
        if path == "/console/live":
            page.locator("a.opens").first.click()
            page.locator(".event .json").wait_for()
        faults += [f"{path}  {one}" for one in faults_in_light_and_dark(page)]

    assert faults == []


def test_the_pages_work_without_scripts(server: RunningServer, open_page: Opening) -> None:
    user_id = send_person(server, name="Scriptless")
    server.settle()
    page = open_page("/console/customers", java_script_enabled=False)

    page.locator("#query").fill("scriptl")
    page.get_by_role("button", name="Search").click()
    page.locator("a.person", has_text="Scriptless").click()
    expect(page.locator("h1")).to_have_text("Scriptless")
    page.locator("#events a.opens").first.click()

    expect(page.locator(".json")).to_contain_text(user_id)
