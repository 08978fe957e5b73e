"""Deliveries in the console: why a message was not sent, what did not arrive, templates for real people, the list of
whom nothing is sent to.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.console.conftest import PATIENCE_MS, Opening, Watched
from tests.console.desk_in_process import DeskInProcess
from tests.deliver.receiver import Receiver, Request, receiver, reply, telling
from tests.running import RunningServer
from tillit.consent import Choice
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
recipients:
  crm: {name: Our CRM, role: processor, country: SE}
  mailer: {name: The mailer, role: processor, country: DE}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [crm, mailer]}
  counting: {title: Counting, basis: legitimate_interest, fields: [events], staff: [reader]}
  letters: {title: Letters, basis: consent, fields: [identifiers.email, traits.firstName], recipients: [mailer]}
"""
PEOPLE = """
destination: crm
kind: webhook
purpose: service
send: people
to: {url: "%s"}
fields: {id: profile.id, first_name: traits.firstName}
"""
POST = """
destination: post
recipient: mailer
kind: webhook
purpose: service
send: messages
to: {url: "%s"}
"""
MAIL = """
destination: mailer
kind: email
purpose: letters
send: messages
to: {host: mail.example.com, sender: "The shop <shop@example.com>"}
"""
NEWS = """
template: news
purpose: letters
class: marketing
destination: post
body: {text: "Hello {{ profile.traits.firstName }}"}
"""
LETTER = """
template: letter
purpose: letters
class: marketing
destination: mailer
subject: Order {{ message.order_id }}
html: '<p id="hello" style="color: rgb(200, 0, 0)">Hello {{ profile.traits.firstName }}</p>
  <img src="https://elsewhere.example/pixel.png" alt="seen"> <a href="{{ unsubscribe_url }}">No more letters</a>'
text: Hello {{ profile.traits.firstName }}, as text
"""


class Listening:
    """A receiver in a thread of its own; what it answers may change."""

    def __init__(self) -> None:
        self.answer = reply(204)
        self.requests: list[Request] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._close = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._is_open.wait(10)

    async def _run(self) -> None:
        async with receiver(telling(lambda _: self.answer)) as one:
            self._know(one)
            await self._close.wait()

    def _know(self, one: Receiver) -> None:
        self.url, self.requests = one.url, one.requests
        self._is_open.set()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._close.set)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def there() -> Iterator[Listening]:
    with closing(Listening()) as listening:
        yield listening


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own, which may send to this machine."""
    folder = tmp_path_factory.mktemp("deliveries") / "shop"
    create_workspace(folder)
    with (folder / "tillit.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[deliver]\nallow_private = ["127.0.0.1"]\npublic_url = "https://shop.example"\n')
    with RunningServer(folder) as running:
        yield running


@pytest.fixture(scope="module")
def ws(server: RunningServer, there: Listening) -> Iterator[Workspace]:
    with Workspace(server.workspace) as opened:
        opened.consent.apply(PURPOSES, operator="kim", reason="")
        for text in (PEOPLE % there.url, POST % there.url, MAIL, NEWS, LETTER):
            opened.deliveries.apply(text, operator="kim", reason="")
        yield opened


def make_person(server: RunningServer, ws: Workspace, name: str, *, agrees: bool = True) -> str:
    """Send a person; give the id of their profile."""
    told = {"userId": name, "traits": {"firstName": name.title(), "email": f"{name}@example.org"}}
    server.send("/v1/identify", told)
    server.settle()
    if agrees:
        ws.consent.set(f"user_id:{name}", [Choice("letters", "given")], evidence="form-1")
    membership = ws.profiles.membership(f"user_id:{name}")
    assert membership is not None
    return membership.profile_id


def until(is_so: Callable[[], bool]) -> None:
    """Wait for the courier of the running server."""
    patience = time.monotonic() + PATIENCE_MS / 1000
    while not is_so():
        assert time.monotonic() < patience, "the courier did not come so far"
        time.sleep(0.02)


def state_of(ws: Workspace, key: str) -> str:
    found = ws.deliveries.queue.history.find_by_key(bytes.fromhex(key))
    return found.state if found is not None else ""


def test_why_a_message_was_not_sent_is_found_from_the_customer_s_page(
    server: RunningServer, ws: Workspace, open_page: Opening
) -> None:
    profile_id = make_person(server, ws, "vera", agrees=False)
    asked = ws.deliveries.send("news", "user_id:vera", {}, asked_by="the till")
    until(lambda: state_of(ws, asked.key) == "withheld")
    page = open_page(f"/console/customers/{profile_id}")

    row = page.locator("#messages .delivery-row").filter(has_text="news")
    expect(row).to_contain_text("not sent")
    expect(row).to_contain_text("Nobody said yes")
    row.get_by_role("link").click()

    expect(page.locator("h1")).to_contain_text("not sent")
    expect(page.locator("#reason")).to_contain_text("Nobody said yes")
    expect(page.locator(".life")).to_contain_text("Asked for by the till")
    expect(page.locator("main")).to_contain_text("Vera")


def test_a_message_that_was_refused_is_replayed_under_its_key_and_arrives(
    server: RunningServer, ws: Workspace, there: Listening, open_page: Opening
) -> None:
    make_person(server, ws, "rosa")
    there.answer = reply(422, "no such box: rosa@example.org")
    asked = ws.deliveries.send("news", "user_id:rosa", {}, asked_by="the till")
    until(lambda: state_of(ws, asked.key) == "refused")
    there.answer = reply(204)
    page = open_page("/console/destinations/post")

    failure = page.locator("#failures li").filter(has_text="http.422")
    expect(failure).to_contain_text("The recipient answered 422")
    failure.get_by_text("Replay these of http.422").first.click()
    failure.get_by_role("checkbox").check()
    failure.get_by_role("button", name="Replay").click()

    expect(page.get_by_role("status")).to_contain_text("1 go once more")
    until(lambda: state_of(ws, asked.key) == "delivered")
    page.goto(f"{server.url}/console/deliveries/{asked.key}")
    expect(page.locator(".life")).to_contain_text("no such box: rosa@example.org")
    expect(page.locator(".life")).to_contain_text("Try 2")
    expect(page.get_by_role("link", name="with its proof")).to_have_count(2)
    keys = [one.headers["webhook-id"] for one in there.requests]
    assert keys.count(asked.key) == 2


def test_a_template_is_previewed_as_it_would_leave_and_loads_nothing_from_elsewhere(
    server: RunningServer, ws: Workspace, chromium: Browser, session: StorageState
) -> None:
    make_person(server, ws, "tove")
    watched = Watched()
    with closing(chromium.new_context(storage_state=session)) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        watched.watch(page)
        page.goto(f"{server.url}/console/templates/letter")
        page.get_by_role("textbox", name="Person").fill("user_id:tove")
        page.get_by_label("as JSON").fill('{"order_id": "o-17"}')
        page.get_by_role("button", name="Preview").click()

        expect(page.locator("#headers")).to_contain_text("Order o-17")
        expect(page.locator("#headers")).to_contain_text("tove@example.org")
        expect(page.locator("#text-part")).to_have_text(re.compile("Hello Tove, as text"))
        expect(page.locator("#fields-used")).to_contain_text("traits.firstName")
        hello = page.frame_locator("iframe.letter").locator("#hello")
        expect(hello).to_have_text("Hello Tove")
        expect(hello).to_have_css("color", "rgb(200, 0, 0)")
        assert page.locator("iframe.letter").get_attribute("sandbox") == ""

    assert not [one for one in watched.addresses if "elsewhere.example" in one and not one.startswith(server.url)]
    assert [one for one in watched.complaints if "Content Security Policy" not in one] == []


def test_somebody_is_taken_off_the_suppression_list_with_a_reason(
    server: RunningServer, ws: Workspace, open_page: Opening
) -> None:
    make_person(server, ws, "siri")
    page = open_page("/console/suppressions")
    page.get_by_label("An address, a domain").fill("siri@example.org")
    page.locator("#add-reason").fill("she called")
    page.get_by_role("button", name="Put on the list").click()
    row = page.locator(".suppressed").filter(has_text="Siri")
    expect(row).to_contain_text("she called")
    assert ws.deliveries.try_out("letter", "user_id:siri", {"order_id": "1"}).outgoing is None

    row.get_by_text("Take it off").first.click()
    row.get_by_label("Why?").fill("she called again")
    row.get_by_role("button", name="Take it off").click()

    expect(page.get_by_role("status")).to_contain_text("Off the list")
    expect(page.locator(".suppressed").filter(has_text="Siri")).to_have_count(0)
    assert ws.deliveries.try_out("letter", "user_id:siri", {"order_id": "1"}).outgoing is not None
    page.get_by_label("also what was lifted").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".suppressed").filter(has_text="Siri")).to_contain_text("she called again")
    assert "suppression.lift" in ws.audit.list_actions()


# -- without a browser: one desk, whose courier runs when a test says so


@pytest.fixture
def shop(tmp_path: Path, there: Listening, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskInProcess]:
    """Ana agreed to letters; the receiver on this machine may be sent to."""
    monkeypatch.setenv("TILLIT_DELIVER__ALLOW_PRIVATE", '["127.0.0.1"]')
    monkeypatch.setenv("TILLIT_DELIVER__PUBLIC_URL", "https://shop.example")
    there.answer = reply(204)
    desk = DeskInProcess(tmp_path / "shop")
    desk.ws.consent.apply(PURPOSES, operator="kim", reason="")
    for text in (POST % there.url, MAIL, NEWS, LETTER):
        desk.ws.deliveries.apply(text, operator="kim", reason="")
    told = {"type": "identify", "userId": "ana", "traits": {"firstName": "Ana", "email": "ana@example.org"}}
    desk.ws.append([told])
    desk.ws.flush()
    desk.clock.at += 1_000_000
    desk.ws.consent.set("user_id:ana", [Choice("letters", "given")], evidence="form-1")
    yield desk
    desk.close()


def carry(desk: DeskInProcess) -> None:
    desk.ws.flush()
    # In a thread: where a browser test ran before, a loop is running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(desk.ws.deliveries.courier("test").run(until_idle=True))).result()


def act_for(desk: DeskInProcess, purpose: str) -> None:
    desk.post("/console/me/purpose", {"purpose": purpose})


def test_a_new_destination_is_shown_with_whom_it_would_reach_before_it_is_in_force(
    shop: DeskInProcess, there: Listening
) -> None:
    text = PEOPLE % there.url

    plan = shop.post("/console/definitions/plan", {"kind": "destination", "text": text}).body.decode()

    assert "1 would be there" in plan
    assert "<code>traits.firstName</code>" in plan
    assert shop.ws.deliveries.definitions().destination("crm") is None
    done = shop.post(
        "/console/definitions/apply", {"kind": "destination", "text": text, "against": "0", "reason": "the CRM is new"}
    )
    assert done.headers["location"] == "/console/destinations/crm?told=applied"
    assert "the CRM is new" in shop.get("/console/destinations/crm").body.decode()


def test_a_definition_is_not_put_in_force_over_one_that_came_meanwhile(shop: DeskInProcess) -> None:
    text = NEWS.replace("Hello", "Good day")

    late = shop.post("/console/definitions/apply", {"kind": "template", "text": text, "against": "1", "reason": "x"})

    assert late.status == 409
    assert "Good day" not in shop.ws.deliveries.history("template", "news")[0].text


def test_what_is_wrong_with_a_definition_is_said_beside_the_text_as_it_was_typed(shop: DeskInProcess) -> None:
    text = NEWS.replace("firstName", "shoeSize")

    answer = shop.post("/console/definitions/plan", {"kind": "template", "text": text})

    assert answer.status == 400
    assert "does not reach traits.shoeSize" in answer.body.decode()
    assert "Hello {{ profile.traits.shoeSize }}" in answer.body.decode()


def test_what_left_is_named_by_fields_with_statement_and_ledger_entry(shop: DeskInProcess) -> None:
    asked = shop.ws.deliveries.send("news", "user_id:ana", {"code": "x"}, asked_by="the till")
    carry(shop)

    page = shop.get(f"/console/deliveries/{asked.key}").body.decode()

    statement = shop.ws.consent.state("user_id:ana")["statements"][0]["event_id"]
    assert "arrived" in page
    assert "<code>traits.firstName</code>" in page
    assert f'/console/events/{statement}">this statement' in page
    assert re.search(r"entry \d+</a>", page)


def test_a_recipient_s_words_are_kept_from_whoever_acts_for_a_purpose_without_addresses(
    shop: DeskInProcess, there: Listening
) -> None:
    there.answer = reply(422, "no box ana@example.org")
    asked = shop.ws.deliveries.send("news", "user_id:ana", {}, asked_by="the till")
    carry(shop)

    assert b"no box ana@example.org" in shop.get(f"/console/deliveries/{asked.key}").body
    act_for(shop, "counting")
    page = shop.get(f"/console/deliveries/{asked.key}").body.decode()

    assert "ana@example.org" not in page
    assert "not shown to you for Counting" in page


def test_a_preview_shows_no_value_that_the_page_s_own_purpose_withholds(shop: DeskInProcess) -> None:
    asked = {"who": "user_id:ana", "data": '{"order_id": "o-1"}'}

    assert b"Hello Ana" in shop.post("/console/templates/letter/preview", asked).body
    act_for(shop, "counting")
    page = shop.post("/console/templates/letter/preview", asked).body.decode()

    assert "Hello Ana" not in page
    assert "ana@example.org" not in page
    assert "<code>traits.firstName</code> (the purpose does not reach it)" in page


def test_an_address_on_the_list_is_shown_only_while_somebody_holds_it(shop: DeskInProcess) -> None:
    shop.post("/console/suppressions/add", {"who": "ana@example.org", "ground": "operator", "reason": "she called"})
    shop.post("/console/suppressions/add", {"who": "bo@example.org", "ground": "operator", "reason": "he called"})

    page = shop.get("/console/suppressions").body.decode()
    act_for(shop, "counting")
    narrow = shop.get("/console/suppressions").body.decode()

    assert page.count("ana@example.org</bdi>") == 1
    assert page.count("an address nobody here holds now") == 1
    assert "bo@example.org" not in page
    assert "ana@example.org" not in narrow


def test_an_address_is_looked_for_on_the_list_without_standing_in_an_address(shop: DeskInProcess) -> None:
    shop.post("/console/suppressions/add", {"who": "ana@example.org", "ground": "operator", "reason": "she called"})

    found = shop.post("/console/suppressions/find", {"who": "Ana@Example.org"}).body.decode()
    missing = shop.post("/console/suppressions/find", {"who": "bo@example.org"}).body.decode()

    assert "she called" in found
    assert "Not on the list" in missing


def test_a_destination_that_is_held_says_by_whom_and_goes_on_when_it_may(shop: DeskInProcess) -> None:
    shop.post("/console/destinations/post/pause")
    asked = shop.ws.deliveries.send("news", "user_id:ana", {}, asked_by="the till")
    carry(shop)
    held = shop.get("/console/destinations/post").body.decode()
    assert state_of(shop.ws, asked.key) == "waiting"

    shop.post("/console/destinations/post/resume")
    carry(shop)

    assert "Admin holds it." in held
    assert state_of(shop.ws, asked.key) == "delivered"
    assert {"destination.pause", "destination.resume"} <= set(shop.ws.audit.list_actions())


def test_a_check_reaches_the_destination_and_tells_it_nothing_of_anybody(shop: DeskInProcess, there: Listening) -> None:
    n_before = len(there.requests)

    page = shop.post("/console/destinations/post/check").body.decode()

    assert "It can be reached." in page
    assert not any(b"Ana" in one.body for one in there.requests[n_before:])


def test_nothing_is_replayed_that_nobody_confirmed(shop: DeskInProcess, there: Listening) -> None:
    there.answer = reply(422, "no")
    asked = shop.ws.deliveries.send("news", "user_id:ana", {}, asked_by="the till")
    carry(shop)

    answers = [
        shop.post("/console/destinations/post/replay", {"code": "http.422"}),
        shop.post(f"/console/deliveries/{asked.key}/replay"),
    ]

    assert [one.status for one in answers] == [400, 400]
    assert state_of(shop.ws, asked.key) == "refused"


def test_a_reader_sees_what_failed_and_may_change_nothing(shop: DeskInProcess) -> None:
    shop.become("reader")

    page = shop.get("/console/destinations/post")

    assert page.status == 200
    assert b"Hold it" not in page.body
    for path in ("destinations/post/pause", "destinations/post/replay", "suppressions/add", "definitions/plan"):
        assert shop.post(f"/console/{path}").status == 403, path
