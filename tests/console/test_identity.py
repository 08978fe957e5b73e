"""Who is who in a real browser: two people whom a wrong event made one are found, cut apart and joined again; refused
links are judged by keyboard alone; a reader looks and decides nothing.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.console.conftest import PATIENCE_MS, Opening
from tests.console.desk_in_process import DeskInProcess
from tests.console.looks import faults_in_light_and_dark, serious
from tests.console.test_customer import section
from tests.console.test_pages import PICTURE, SCRIPT, id_of
from tests.running import RunningServer, typed
from tillit.access import ROLES

expect.set_options(timeout=PATIENCE_MS)


class Mixed(NamedTuple):
    """Two people, by the marks that nobody else in the workspace has."""

    ana: str  # a user id
    bo: str  # an e-mail address


def identify(server: RunningServer, user_id: str | None = None, *, key: str = "secret", **traits: Any) -> None:
    who = {"userId": user_id} if user_id else {"context": {"traits": {"email": traits["email"]}}}
    assert (
        server.send("/v1/identify", {"anonymousId": uuid.uuid4().hex, **who, "traits": traits}, key=key).status == 200
    )


@pytest.fixture
def mixed(server: RunningServer) -> Mixed:
    """Ana and Bo, known apart, then made one by an event of Ana's with Bo's address."""
    mark = uuid.uuid4().hex[:8]
    ana, bo = f"ana-{mark}", f"bo-{mark}@example.org"
    identify(server, ana, firstName="Ana", lastName=mark, email=f"{ana}@example.org", city="Zagreb")
    identify(server, email=bo, firstName="Bo", lastName=mark, city="Utrecht")
    identify(server, ana, email=bo)
    server.settle()
    return Mixed(ana, bo)


def test_a_wrong_link_is_seen_cut_and_joined_again(server: RunningServer, open_page: Opening, mixed: Mixed) -> None:
    # given: somebody searches for Ana and finds one person with two addresses
    page = open_page("/console/customers")
    page.locator("#query").press_sequentially(mixed.ana)
    page.locator("#results a.person", has_text=mixed.ana).click()
    page.get_by_role("link", name="Look into it, cut or join").click()
    expect(page.locator("h1")).to_contain_text("is one person")

    # when: they ask why, and cut what is wrong
    page.get_by_label("This", exact=True).select_option(label=f"user_id: {mixed.ana}")
    page.get_by_label("and this").select_option(label=f"email: {mixed.bo}")
    page.get_by_role("button", name="Show why").click()
    expect(section(page, "why").locator(".steps")).to_contain_text("one event named both, server from backend")
    row = page.locator(".tie-row", has_text=mixed.bo).filter(has_text=mixed.ana)
    row.locator("summary").click()
    row.get_by_label("Why is it wrong?").fill("Bo's address was typed for Ana's")
    row.get_by_role("button", name="Cut this link").click()

    # then: both are there again, and everything says so
    outcome = section(page, "outcome")
    expect(outcome).to_contain_text("Cut: now two customers")
    expect(outcome.locator(".person-card")).to_have_count(2)
    expect(row).to_contain_text("Bo's address was typed for Ana's")
    ana, bo = (server.find_profile(one) for one in (f"user_id:{mixed.ana}", f"email:{mixed.bo}"))
    assert ana is not None
    assert bo is not None
    assert ana["id"] != bo["id"]
    assert [one["traits"]["city"]["value"] for one in (ana, bo)] == ["Zagreb", "Utrecht"]

    # when: it turns out that the cut was wrong
    outcome.get_by_text("Undo", exact=True).click()
    outcome.get_by_label("Why take it back?").fill("he is called both")
    outcome.get_by_role("button", name="Take it back").click()

    # then: one again; and the undo can be undone
    expect(section(page, "outcome")).to_contain_text("Taken back: one customer")
    expect(section(page, "history")).to_contain_text("took back the cut between")
    assert id_of(server, mixed.ana) == str((server.find_profile(f"email:{mixed.bo}") or {})["id"])
    outcome.get_by_text("Undo this undo").click()
    outcome.get_by_label("Why take it back?").fill("no, they are two")
    outcome.get_by_role("button", name="Take it back").click()
    expect(section(page, "outcome")).to_contain_text("these are two customers")


def test_a_cut_that_does_not_part_shows_the_way_that_is_left_and_pins(
    server: RunningServer, open_page: Opening
) -> None:
    mark = uuid.uuid4().hex[:8]
    ana, one, other = f"ana-{mark}", f"one-{mark}@example.org", f"+4670{int(mark, 16) % 10**7:07d}"
    identify(server, ana, email=one, phone=other)
    # A second way between the address and the number: they stand in one event without Ana.
    identify(server, email=one, phone=other)
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, ana)}/identity")

    row = page.locator(".tie-row", has_text=other).filter(has_text=ana)
    row.locator("summary").click()
    row.get_by_label("Why is it wrong?").fill("the number is her mother's")
    row.get_by_role("button", name="Cut this link").click()
    outcome = section(page, "outcome")
    expect(outcome).to_contain_text("Cut: still one customer")
    expect(outcome.locator(".step-end")).to_have_count(3)
    outcome.get_by_role("button", name="Pin apart").click()

    expect(outcome).to_contain_text("Pinned apart: now two customers")
    expect(outcome).to_contain_text("the number is her mother's")


def test_another_customer_is_compared_and_joined(server: RunningServer, open_page: Opening) -> None:
    mark = uuid.uuid4().hex[:8]
    left, right = f"left-{mark}", f"right-{mark}"
    identify(server, left, firstName="Lea", email=f"{left}@example.org", plan="free")
    identify(server, right, firstName="Lea", email=f"{right}@example.org", plan="plus")
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, left)}/identity")

    page.get_by_label("Another customer").fill(f"{right}@example.org")
    section(page, "join").get_by_role("button", name="Compare").click()
    beside = section(page, "beside")
    expect(beside.locator(".differs", has_text="plan")).to_contain_text(re.compile("free.*plus", re.DOTALL))
    assert right not in page.url
    assert serious(page, within="main") == []
    beside.get_by_label("Why are they one person?").fill("same face on both cards")
    beside.get_by_role("button", name="They are one person").click()

    expect(section(page, "outcome")).to_contain_text("Joined: one customer")
    row = page.locator(".tie-row.is-admitted", has_text=right).filter(has_text=left)
    expect(row).to_contain_text("same face on both cards")
    assert id_of(server, left) == id_of(server, right)


def test_links_that_wait_are_judged_by_keyboard_alone(server: RunningServer, open_page: Opening) -> None:
    mark = uuid.uuid4().hex[:8]
    users = [f"{name}-{mark}" for name in ("one", "two", "three")]
    for user in users:
        identify(server, user, firstName=user.title(), email=f"{user}@example.org")
    identify(server, users[1], email=f"{users[0]}@example.org")
    identify(server, users[2], email=f"{users[1]}@example.org")
    server.settle()
    page = open_page("/console/identity")
    first, second = (
        page.locator(".violation", has_text=f"{user}@example.org").filter(has_text=mark)
        for user in (users[1], users[0])
    )
    expect(first.first).to_contain_text("one event named both")
    assert serious(page, within="main") == []

    # when: newest first, the first are kept apart, the next are one
    page.keyboard.press("j")
    expect(page.locator(".violation").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("n")
    page.keyboard.type("two ladies of one house, joy and kay")
    page.keyboard.press("Enter")
    expect(section(page, "outcome")).to_contain_text("Pinned apart: now two customers")
    expect(page.locator(".violation", has_text=mark)).to_have_count(1)  # what was decided waits no longer
    expect(second).to_be_focused()  # what waits next is at hand
    page.keyboard.press("y")
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    page.keyboard.type("a second login of hers")
    page.keyboard.press("Enter")

    expect(section(page, "outcome")).to_contain_text("Joined: one customer")
    page.get_by_role("link", name="All links").click()
    settled = page.locator(".violation.is-settled", has_text=mark)
    expect(settled.filter(has_text="kept apart")).to_have_count(1)
    expect(settled.filter(has_text="one person since")).to_have_count(1)
    assert id_of(server, users[0]) == id_of(server, users[1])
    assert id_of(server, users[1]) != id_of(server, users[2])


@pytest.fixture
def reader_page(server: RunningServer, chromium: Browser) -> Any:
    """A page of somebody who may read and no more."""
    assert ROLES[0] == "reader"
    login = f"reader-{uuid.uuid4().hex[:6]}"
    typed("operators", "create", login, "--role", "reader", "--workspace", str(server.workspace))
    said = typed("console", "link", "--as", login, "--workspace", str(server.workspace))
    link = re.search(r"/console/enter\?token=[\w-]+", said)
    assert link is not None
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(server.url + link[0])
    page.wait_for_url(server.url + "/console")
    yield page
    context.close()


def test_a_reader_sees_the_evidence_and_no_form(server: RunningServer, reader_page: Page, mixed: Mixed) -> None:
    address = f"{server.url}/console/customers/{id_of(server, mixed.ana)}/identity"
    reader_page.goto(address)
    expect(reader_page.locator(".tie-row", has_text=mixed.bo).first).to_be_visible()
    forms = reader_page.locator("main form").evaluate_all("forms => forms.map((form) => form.method)")
    token = reader_page.locator("meta[name=form-token]").get_attribute("content") or ""
    head = {"X-Form-Token": token, "Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    said: dict[str, str | float | bool] = {
        "one": f"user_id:{mixed.ana}",
        "other": f"email:{mixed.bo}",
        "reason": "r",
        "beside": "x",
        "who": "x",
    }
    places = [f"{address}/{kind}" for kind in ("cut", "pin", "join", "undo", "beside")]
    places += [f"{server.url}/console/identity/{kind}" for kind in ("join", "pin")]
    got = [reader_page.request.post(place, form=said, headers=head).status for place in places]
    reader_page.goto(f"{server.url}/console/identity")

    assert forms == ["get"]  # why, which is asked and not decided
    assert got == [403] * 7
    assert reader_page.locator("main form").count() == 0


def test_a_line_of_the_drawing_leads_to_its_evidence(server: RunningServer, open_page: Opening) -> None:
    mark = uuid.uuid4().hex[:8]
    for i in range(20):
        server.send("/v1/track", {"userId": f"u-{mark}", "anonymousId": f"device-{mark}-{i:02d}", "event": "Read"})
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, f'u-{mark}')}/identity")

    line = page.locator("a.tie", has_text=f"device-{mark}-19")
    line.focus()
    expect(page.locator("#drawn-told")).to_contain_text(f"device-{mark}-19: linked, one event named both, server")
    page.keyboard.press("Enter")

    # It stands in the folded part of the table, which opens.
    expect(page.locator(".tie-row:focus")).to_contain_text(f"device-{mark}-19")
    expect(page.locator(".node")).to_have_count(21)


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
def test_whatever_an_identifier_holds_is_text_and_fits(server: RunningServer, open_page: Opening, width: int) -> None:
    odd = [SCRIPT, PICTURE, "\u202eturned", "Donaudampfschiff" * 15, "محمد الأحمد", "{{ 7 * 7 }}"]
    user_id = f"{SCRIPT}{uuid.uuid4().hex[:6]}"
    for one in odd:
        server.send("/v1/track", {"userId": user_id, "anonymousId": one, "event": "x"})
        server.send("/v1/track", {"userId": f"{user_id}-2", "anonymousId": one, "event": "x"})
    identify(server, user_id, email=f"{uuid.uuid4().hex}@example.org", firstName=PICTURE)
    server.settle()
    page = open_page(
        f"/console/customers/{id_of(server, user_id)}/identity",
        viewport={"width": width, "height": 800},
    )

    assert page.locator("main script, main img").count() == 0
    assert faults_in_light_and_dark(page, within="main") == []


def test_who_has_one_identifier_is_told_so_kindly(server: RunningServer, open_page: Opening) -> None:
    alone = uuid.uuid4().hex
    server.send("/v1/page", {"anonymousId": alone, "name": "Home"}, key="public")
    server.settle()
    found = server.find_profile(f"anonymous_id:{alone}")
    assert found is not None
    page = open_page(f"/console/customers/{found['id']}/identity")

    expect(section(page, "links")).to_contain_text("One identifier is known of this person")
    expect(section(page, "join")).to_contain_text("Only a device is known of them")
    expect(page.locator("svg.drawing")).to_have_count(0)


def test_a_decision_is_an_event_that_says_what_it_was(
    server: RunningServer, open_page: Opening, session: StorageState, mixed: Mixed
) -> None:
    assert session
    page = open_page(f"/console/customers/{id_of(server, mixed.ana)}/identity")
    row = page.locator(".tie-row", has_text=mixed.bo).filter(has_text=mixed.ana)
    row.locator("summary").click()
    row.get_by_label("Why is it wrong?").fill("mistyped")
    row.get_by_role("button", name="Cut this link").click()
    section(page, "outcome").get_by_role("link", name="event").click()

    expect(page.locator("h1")).to_contain_text("Cut a link")
    understood = page.locator(".side-understood")
    expect(understood).to_contain_text(re.compile(r"cut the link between.*because mistyped", re.DOTALL))
    expect(understood).to_contain_text("It stands")
    page.goto(server.url + "/console/live")
    line = page.locator(".event", has_text="Cut a link").filter(has_text=mixed.bo)
    expect(line).to_contain_text(f"{mixed.ana} and {mixed.bo}")
    expect(line.locator(".kind")).to_have_text("cut")


# -- without a browser


def test_no_form_decides_about_somebody_else_or_without_a_reason(desk: DeskInProcess) -> None:
    ws = desk.ws
    for user in ("ana", "bo", "cem"):
        ws.identify(user_id=user, traits={"email": f"{user}@example.org"})
    ws.identify(user_id="ana", traits={"email": "other@example.org"})
    ws.flush()
    ana, bo = (ws.profiles.get(f"user_id:{one}")["id"] for one in ("ana", "bo"))
    of_ana = {"one": "user_id:ana", "other": "email:other@example.org", "reason": "r"}
    act = desk.post(f"/console/customers/{ana}/identity/cut", of_ana)
    action = act.headers["location"].partition("did=")[2]

    got = {
        "cut": act.status,
        "again": desk.post(f"/console/customers/{ana}/identity/cut", of_ana).status,
        "not theirs": desk.post(f"/console/customers/{bo}/identity/cut", of_ana).status,
        "pin not theirs": desk.post(f"/console/customers/{bo}/identity/pin", of_ana).status,
        "no reason": desk.post(f"/console/customers/{ana}/identity/pin", of_ana | {"reason": " "}).status,
        "undo without a reason": desk.post(
            f"/console/customers/{ana}/identity/undo", {"action": action, "reason": ""}
        ).status,
        "one and the same": desk.post(
            f"/console/customers/{ana}/identity/pin", of_ana | {"other": "user_id:ana"}
        ).status,
        "compare with nobody": desk.post(f"/console/customers/{ana}/identity/beside", {"who": "x@example.com"}).status,
        "join nobody": desk.post(f"/console/customers/{ana}/identity/join", {"beside": "p1", "reason": "r"}).status,
        "join themselves": desk.post(f"/console/customers/{ana}/identity/join", {"beside": ana, "reason": "r"}).status,
        "undo of somebody else": desk.post(
            f"/console/customers/{bo}/identity/undo", {"action": action, "reason": "r"}
        ).status,
        "undo nothing": desk.post(f"/console/customers/{ana}/identity/undo", {"action": "e1-1", "reason": "r"}).status,
        "nobody": desk.post("/console/customers/p000000000zzzz/identity/cut", of_ana).status,
        "an identifier": desk.get("/console/customers/user_id:ana/identity").status,
        "a cursor": desk.get("/console/identity?before=x").status,
    }

    assert got == {
        "cut": 303,
        "again": 409,
        "not theirs": 404,
        "pin not theirs": 404,
        "no reason": 400,
        "undo without a reason": 400,
        "one and the same": 400,
        "compare with nobody": 404,
        "join nobody": 404,
        "join themselves": 400,
        "undo of somebody else": 404,
        "undo nothing": 404,
        "nobody": 404,
        "an identifier": 404,
        "a cursor": 400,
    }


def test_each_decision_is_in_the_audit_under_the_colleagues_name_and_names_nobody(desk: DeskInProcess) -> None:
    ws = desk.ws
    ws.identify(user_id="ana", traits={"email": "ana@example.org"})
    ws.identify(user_id="bo", traits={"email": "bo@example.org"})
    ws.identify(user_id="bo", traits={"email": "ana@example.org"})
    ws.flush()
    ana = ws.profiles.get("user_id:ana")["id"]
    desk.become("editor")
    editor = next(one for one in ws.operators.list_all() if one.login == "editor")
    pair = {"one": "user_id:ana", "other": "email:ana@example.org"}
    cut = desk.post(f"/console/customers/{ana}/identity/cut", pair | {"reason": "r"})
    action = cut.headers["location"].partition("did=")[2]
    desk.post(f"/console/customers/{ana}/identity/undo", {"action": action, "reason": "r"})
    joined = {"one": "user_id:bo", "other": "email:ana@example.org", "reason": "r"}
    desk.post("/console/identity/join", joined)

    noted = [one for one in ws.audit.actions() if one.action.startswith("identity.")]

    assert [one.action for one in noted] == ["identity.join", "identity.undo", "identity.cut"]
    assert {one.operator_id for one in noted} == {editor.operator_id}
    assert {one["operator"] for one in ws.identity.decisions(ana, ws.scope()) or []} == {editor.operator_id}
    assert "ana@" not in str(noted)


def test_two_thousand_identifiers_are_a_page_that_is_no_heavier_than_sixty_rows(desk: DeskInProcess) -> None:
    ws = desk.ws
    for i in range(2_000):
        ws.track(event="Read", user_id="ana", anonymous_id=f"device-{i:04d}")
    ws.flush()
    ana = ws.profiles.get("user_id:ana")["id"]

    page = desk.get(f"/console/customers/{ana}/identity").body.decode()
    every = desk.get(f"/console/customers/{ana}/identity?links=all").body.decode()

    assert page.count('class="tie-row') == 60
    assert page.count('<g class="node ') == 60
    assert every.count('class="tie-row') == 200
    assert "1,941 more identifiers are not drawn" in page  # 2,001 less 60
    assert len(page) < 400_000
