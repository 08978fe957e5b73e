"""What holds for every page, whichever it is: each is reached by links, clean for axe in both themes, usable by
keyboard alone and on a telephone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.console.conftest import PATIENCE_MS
from tests.console.looks import faults_in_light_and_dark
from tests.console.test_deliveries import NEWS, POST, PURPOSES, state_of, until
from tests.console.test_pages import send_person
from tests.console.walk import NO_PAGE, RouteOf, addresses_of, routes_of
from tests.running import RunningServer, typed
from tillit.access import ROLES
from tillit.workspace import Workspace

_MOST_STOPS = 400
EVERYBODY = "audience: everybody\npurpose: service\ndefinition: everybody\n"
VISITS = "feature: visits\npurpose: service\ndefinition: {event: '*', count: true}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: messages may be sent from it."""
    with RunningServer(tmp_path_factory.mktemp("pages") / "shop") as running:
        yield running


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[RouteOf]:
    return routes_of(tmp_path_factory.mktemp("routes") / "shop")


@pytest.fixture(scope="module")
def addresses(server: RunningServer, chromium: Browser, session: StorageState, routes: list[RouteOf]) -> dict[str, str]:
    """One address for each page, of a shop in which something happened."""
    names = ("Ana", "بو", "Cem Çaydanlık")
    people = [send_person(server, name=name, properties={"order_id": f"o-{name}", "revenue": 12.5}) for name in names]
    server.send("/v1/track", {"event": "Nobody Named"})
    server.settle()
    said = ("--evidence", "ticket-1", "--workspace", str(server.workspace))
    typed("privacy", "requests", "open", f"user_id:{people[0]}", "access", *said)
    with Workspace(server.workspace) as ws:
        ws.consent.apply(PURPOSES, operator="kim", reason="")
        for text in (POST % "https://hooks.example.com", NEWS):
            ws.deliveries.apply(text, operator="kim", reason="")
        for text in (EVERYBODY, VISITS):
            ws.audiences.apply(text, operator="kim", reason="")
        until(lambda: ws.memberships.count("everybody") >= len(people))
        # Nobody agreed to it: it is held back here, and nothing goes out.
        asked = ws.deliveries.send("news", f"user_id:{people[0]}", {})
        until(lambda: state_of(ws, asked.key) == "withheld")
        ws.deliveries.suppressions.add(
            "address", "ana@example.org", "operator", source="console", at=ws.now(), by="kim", words="she called"
        )
    with closing(chromium.new_context(storage_state=session)) as context:
        page = context.new_page()
        page.goto(server.url + "/console/imports")
        table = b"order_id,customer,total\nr-1,u-1,12.50\nr-2,u-2,7.00\n"
        page.locator("#file").set_input_files({"name": "till.csv", "mimeType": "text/csv", "buffer": table})
        page.get_by_role("button", name="Upload").click()
        page.wait_for_url("**/console/imports/*")
        return addresses_of(page, server.url, routes)


@pytest.fixture(params=["light", "dark"])
def page(
    request: pytest.FixtureRequest, chromium: Browser, session: StorageState, addresses: dict[str, str]
) -> Iterator[Page]:
    assert addresses
    with closing(chromium.new_context(storage_state=session, color_scheme=request.param)) as context:
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        yield opened


def test_every_page_is_reached_by_following_links(routes: list[RouteOf], addresses: dict[str, str]) -> None:
    pages = {route.template for route in routes if route.method == "GET"} - NO_PAGE.keys()

    assert pages - addresses.keys() == set()


@pytest.mark.parametrize("role", ROLES)
def test_a_walk_as_each_role_comes_to_all_that_is_theirs_and_to_no_closed_door(
    server: RunningServer, chromium: Browser, routes: list[RouteOf], addresses: dict[str, str], role: str
) -> None:
    assert addresses
    login = f"walker-{role}-{uuid.uuid4().hex[:6]}"
    typed("operators", "create", login, "--role", role, "--workspace", str(server.workspace))
    said = typed("console", "link", "--as", login, "--workspace", str(server.workspace))
    link = re.search(r"/console/enter\?token=[\w-]+", said)
    assert link is not None
    held = ROLES[: ROLES.index(role) + 1]

    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(server.url + link[0])
        page.wait_for_url(server.url + "/console")
        found = addresses_of(page, server.url, routes)

    theirs = {route.template for route in routes if route.method == "GET" and route.role in held}
    assert theirs - NO_PAGE.keys() - found.keys() == set()


def test_no_exception_from_the_walk_is_stale(routes: list[RouteOf]) -> None:
    assert NO_PAGE.keys() - {route.template for route in routes} == set()


def test_axe_finds_nothing_serious_on_any_page(
    server: RunningServer, chromium: Browser, session: StorageState, addresses: dict[str, str]
) -> None:
    found = []
    with closing(chromium.new_context(storage_state=session, color_scheme="light")) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        for template, path in addresses.items():
            page.goto(server.url + path)
            page.wait_for_load_state("load")
            found += [f"{template}  {one}" for one in faults_in_light_and_dark(page)]

    assert found == []


def test_every_page_says_what_it_is(server: RunningServer, page: Page, addresses: dict[str, str]) -> None:
    titles = {}
    for template, path in addresses.items():
        page.goto(server.url + path)
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("main")).to_have_count(1)
        titles[template] = page.title()

    assert len(set(titles.values())) == len(titles), titles


# Marks what can be used and shows, so that a walk by keyboard can tell what it did not come to.
_MARK = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
  const usable = all.filter((one) => one.checkVisibility() && !one.disabled && one.type !== "hidden"
    && !one.closest("dialog:not([open])"));
  // Of a group of radio buttons the keyboard stops at one; arrows lead to the others.
  const radios = new Set();
  return usable.filter((one) => {
    if (one.type !== "radio") return true;
    const key = one.form + one.name;
    if (radios.has(key)) return false;
    radios.add(key);
    return true;
  }).map((one, i) => {
    one.dataset.walk = String(i);
    return one.outerHTML.slice(0, 120);
  });
}"""
# Writes down each stop and whether it shows: asking after each press would take longer than the press.
_WATCH = """() => {
  window.stops = [];
  document.addEventListener("focusin", () => {
    const one = document.activeElement;
    const seen = getComputedStyle(one);
    window.stops.push([one.dataset.walk ?? "", seen.outlineStyle !== "none" && parseFloat(seen.outlineWidth) > 0]);
  });
}"""


def test_every_page_works_by_keyboard_alone(server: RunningServer, page: Page, addresses: dict[str, str]) -> None:
    missed, unseen = [], []
    for template, path in addresses.items():
        page.goto(server.url + path)
        page.locator("main").focus()
        page.evaluate("() => document.activeElement.blur()")
        usable = page.evaluate(_MARK)
        page.evaluate(_WATCH)
        wanted = {str(i) for i in range(min(len(usable), _MOST_STOPS - 20))}
        # A field of a date has a stop for each of its parts.
        for n_presses in (len(wanted), 20):
            for _ in range(n_presses):
                page.keyboard.press("Tab")
            stops = page.evaluate("() => window.stops")
            reached = {place for place, _ in stops}
            if wanted <= reached:
                break
        missed += [f"{template}  {usable[int(i)]}" for i in sorted(wanted - reached)]
        unseen += [f"{template}  {usable[int(i)]}" for i, has_outline in stops if i and not has_outline]

    assert missed == []
    assert unseen == []


def test_no_page_scrolls_sideways_on_a_telephone(
    server: RunningServer, chromium: Browser, session: StorageState, addresses: dict[str, str]
) -> None:
    wide = []
    with closing(chromium.new_context(storage_state=session, viewport={"width": 390, "height": 780})) as context:
        page = context.new_page()
        for template, path in addresses.items():
            page.goto(server.url + path)
            width = page.evaluate("() => document.documentElement.scrollWidth")
            if width > 390:
                wide.append(f"{template}  {width}")

    assert wide == []


def test_the_palette_goes_to_a_page_and_finds_a_customer(
    server: RunningServer, page: Page, addresses: dict[str, str]
) -> None:
    assert addresses
    page.goto(server.url + "/console/customers")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-query")).to_be_focused()

    page.keyboard.type("quar")
    expect(page.locator("#palette-list [role=option]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Quarantine")
    page.wait_for_load_state("load")  # a heading is there before the keys are
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-query")).to_be_focused()
    page.keyboard.type("çaydan")
    expect(page.locator("#palette-list [role=option]").first).to_contain_text("Cem")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_contain_text("Cem")


def test_two_keys_go_to_a_page_and_a_list_tells_them(
    server: RunningServer, page: Page, addresses: dict[str, str]
) -> None:
    assert addresses
    page.goto(server.url + "/console/sources")

    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("h1")).to_have_text("Customers")
    page.wait_for_load_state("load")  # a heading is there before the keys are
    page.locator("main").focus()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.locator("#keys")).to_be_hidden()


def test_the_chosen_colours_stay_on_the_next_page(server: RunningServer, page: Page, addresses: dict[str, str]) -> None:
    assert addresses
    page.goto(server.url + "/console/customers")

    page.locator("#theme").click()
    page.locator("#theme").click()
    page.goto(server.url + "/console/sources")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("() => getComputedStyle(document.body).colorScheme") == "dark"
