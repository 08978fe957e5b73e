"""What staff act for, and looking without leave: as a browser shows both, and as forms and clocks take them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest
from playwright.sync_api import expect

from tests.console.conftest import PATIENCE_MS, Opening
from tests.console.desk_in_process import DeskInProcess
from tests.console.looks import faults_in_light_and_dark
from tests.console.test_pages import id_of, send_person
from tests.running import RunningServer, typed
from tillit.access import ROLES
from tillit.clock import MINUTE
from tillit.consent import Choice, PolicyInvalid, read_policy, staff_of
from tillit.consent.policy import Role
from tillit.console.acting import acting_of
from tillit.errors import InputError
from tillit.ledger import Access
from tillit.store.scan import find_bytes

expect.set_options(timeout=PATIENCE_MS)

SHOP = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  newsletter: {title: Newsletter, basis: legitimate_interest, fields: [identifiers.user_id, traits.firstName]}
  fraud: {title: Against fraud, basis: legal_obligation, fields: all}
"""
REASON = "A call from the hospital"
WHY = {"reason": REASON, "confirmed": "yes"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A served shop with purposes of its own."""
    folder = tmp_path_factory.mktemp("leave") / "shop"
    with RunningServer(folder) as running:
        file = folder.parent / "purposes.yaml"
        file.write_text(SHOP, encoding="utf-8")
        typed("apply", str(file), "--yes", "--reason", "ours", "--workspace", str(folder))
        yield running


def test_a_page_shows_what_the_chosen_purpose_reaches_and_offers_those_that_reach_more(
    server: RunningServer, open_page: Opening
) -> None:
    user_id = send_person(server, name="Ylva")
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    expect(page.locator("main")).to_contain_text(f"{user_id}@example.org")

    page.get_by_label("You act for").select_option("newsletter")
    page.get_by_role("button", name="Change what you act for").press("Enter")

    expect(page.get_by_label("You act for")).to_have_value("newsletter")
    expect(page.locator("h1")).to_have_text(re.compile("Ylva"))
    expect(page.locator("main")).not_to_contain_text(f"{user_id}@example.org")
    expect(page.locator("#may")).to_contain_text("Some of it is shown when you act for another purpose")
    assert faults_in_light_and_dark(page) == []
    page.locator("#may").get_by_role("button", name="Act for Service").click()
    expect(page.locator("main")).to_contain_text(f"{user_id}@example.org")


def test_a_restricted_person_is_opened_with_a_reason_and_closed_again(
    server: RunningServer, open_page: Opening
) -> None:
    user_id = send_person(server, name="Embla")
    server.settle()
    profile_id = id_of(server, user_id)
    typed("consent", "set", profile_id, "*=restricted", "--workspace", str(server.workspace))
    page = open_page(f"/console/customers/{profile_id}")
    expect(page.locator("h1")).to_have_text("You may not see this person for Service")
    expect(page.locator("#closed")).to_contain_text("The person's data is restricted")
    expect(page.locator("main")).not_to_contain_text("Embla")
    assert faults_in_light_and_dark(page) == []

    page.get_by_label("Why it cannot wait").fill(REASON)
    page.get_by_label("I look at this person’s data without their leave").check()
    page.get_by_role("button", name="Open for 15 minutes").click()

    expect(page.locator("h1")).to_have_text(re.compile("Embla"))
    expect(page.locator("#glass")).to_contain_text(f"Reason: {REASON}")
    expect(page.locator("#may")).to_contain_text("Opened without leave on")
    assert faults_in_light_and_dark(page) == []
    page.goto(server.url + "/console")
    expect(page.locator("#openings")).to_contain_text("1 in the last 30 days")
    assert faults_in_light_and_dark(page) == []
    page.goto(server.url + f"/console/customers/{profile_id}/identity")
    expect(page.locator("main")).to_contain_text("Embla")
    page.get_by_role("button", name="Close now").click()
    expect(page.locator("h1")).to_have_text("You may not see this person for Service")
    expect(page.locator("#glass")).to_have_count(0)


# -- without a browser


def fill(desk: DeskInProcess, purposes: str = SHOP) -> str:
    """Apply purposes; Ana's data is restricted, Bo's is not."""
    ws = desk.ws
    ws.consent.apply(purposes, operator="maria", reason="ours")
    for who in ("ana", "bo"):
        ws.identify(user_id=who, anonymous_id="tablet", traits={"email": f"{who}@example.org", "firstName": who})
        ws.track(user_id=who, event="Lamp Bought", properties={"colour": f"{who}-red"})
    ws.flush()
    ws.consent.set("user_id:ana", [Choice("*", "restricted")], operator="maria")
    return id_here(desk, "ana")


def id_here(desk: DeskInProcess, user_id: str) -> str:
    membership = desk.ws.profiles.membership(f"user_id:{user_id}")
    assert membership is not None
    return membership.profile_id


def text_of(desk: DeskInProcess, path: str, **headers: str) -> str:
    answer = desk.get(path, **headers)
    assert answer.status == 200, f"{path} answered {answer.status}"
    return answer.body.decode()


def pages_of(desk: DeskInProcess, profile_id: str) -> list[str]:
    """Give every page that is about one person."""
    membership = desk.ws.profiles.membership(profile_id)
    assert membership is not None
    own = desk.ws.profiles.rows(profile_id, desk.ws.own_scope())
    assert own is not None
    epoch = desk.ws.log.epoch()
    events = [
        f"/console/events/e{epoch}-{row.position}" for row in own.rows if row.body and b'"type":"track"' in row.body
    ]
    assert events
    return [f"/console/customers/{profile_id}", f"/console/customers/{profile_id}/identity", *events]


def test_a_role_acts_for_what_its_purposes_say_and_by_default_for_service() -> None:
    declared = read_policy(SHOP + "  care: {title: Care, basis: contract, fields: all, staff: [editor]}\n")

    assert get_args(Role) == ROLES
    assert {name: staff_of(name, one) for name, one in declared.purposes.items()} == {
        "service": ("reader",), "newsletter": ("editor",), "fraud": ("admin",), "care": ("editor",)
    }  # fmt: skip


def test_staff_of_a_purpose_are_roles_that_there_are() -> None:
    for staff in ("[]", "[boss]", "editor"):
        with pytest.raises(PolicyInvalid):
            read_policy(f"purposes:\n  service: {{title: S, basis: contract, fields: all, staff: {staff}}}\n")
    with pytest.raises(PolicyInvalid):
        read_policy("purposes:\n  break_glass: {title: S, basis: contract, fields: all}\n")


def test_a_purpose_that_the_role_may_not_act_for_is_not_offered_and_not_taken(desk: DeskInProcess) -> None:
    fill(desk)
    offered = {}
    forged = {}
    for role in ROLES:
        desk.become(role)
        page = text_of(desk, "/console/sources")
        part = page.partition('<form class="acting"')[2].partition("</form>")[0]
        offered[role] = re.findall(r'<option value="(\w+)"', part)
        forged[role] = [desk.post("/console/me/purpose", {"purpose": one}).status for one in ("fraud", "none", "")]

    assert offered == {
        "reader": [], "editor": ["service", "newsletter"], "admin": ["service", "newsletter", "fraud"]
    }  # fmt: skip
    assert forged == {"reader": [403, 400, 400], "editor": [403, 400, 400], "admin": [303, 400, 400]}


def test_a_purpose_is_kept_with_the_session_and_given_up_when_it_is_closed(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    bo = id_here(desk, "bo")
    desk.become("editor")
    desk.post("/console/me/purpose", {"purpose": "newsletter"})
    chosen = text_of(desk, f"/console/customers/{bo}")
    found = desk.post("/console/customers", {"query": "bo"}).body.decode()
    closed = SHOP.replace("traits.firstName]", "traits.firstName], staff: [admin]")
    desk.ws.consent.apply(closed, operator="maria", reason="ours")
    fallen = text_of(desk, f"/console/customers/{bo}")

    assert profile_id != bo
    assert "bo@example.org" not in chosen
    assert "bo@example.org" not in found
    assert "bo@example.org" in fallen


def test_without_service_staff_act_for_the_first_that_their_role_may(desk: DeskInProcess) -> None:
    fill(desk, SHOP.replace("service:", "care:").replace("title: Service", "title: Care, staff: [editor]"))
    bo = id_here(desk, "bo")
    pages = ("/console", f"/console/customers/{bo}", f"/console/customers/{bo}/identity", "/console/customers",
             "/console/live", "/console/identity?only=all", "/console/identity/rules", "/console/identity/values",
             "/console/privacy", "/console/sources")  # fmt: skip
    desk.become("editor")
    shown = [desk.get(path).status for path in pages]
    pinned = desk.post(
        f"/console/customers/{bo}/identity/pin", {"one": "user_id:bo", "other": "user_id:ana", "reason": "two people"}
    ).status
    desk.become("reader")
    closed = desk.get(f"/console/customers/{bo}")
    open_still = desk.get("/console/privacy").status

    assert shown == [200] * len(pages)
    assert pinned == 303
    assert (closed.status, open_still) == (403, 200)
    assert b"There is nothing that you may act for" in closed.body
    assert b"staff: [reader]" in closed.body


def test_every_page_of_a_person_who_may_not_be_seen_says_so_and_shows_nothing(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    told = {path: text_of(desk, path) for path in pages_of(desk, profile_id)}
    told["earlier"] = desk.post(f"/console/customers/{profile_id}/earlier", {"trait": "firstName"}).body.decode()
    part = text_of(desk, f"/console/customers/{profile_id}", **{"x-part": "1"})

    for path, page in told.items():
        assert "You may not see this person for Service" in page, path
        assert "ana@example.org" not in page, path
        assert "ana-red" not in page, path
    # Of a restricted person only what a law demands is done: that purpose is offered.
    assert "Act for Against fraud" in told[f"/console/customers/{profile_id}"]
    assert "Act for Newsletter" not in told[f"/console/customers/{profile_id}"]
    assert part.startswith('<p class="notice">Not shown for Service.')


def test_an_event_that_the_purpose_does_not_reach_is_offered_under_those_that_do(desk: DeskInProcess) -> None:
    fill(desk)
    bo = id_here(desk, "bo")
    desk.post("/console/me/purpose", {"purpose": "newsletter"})
    page = text_of(desk, pages_of(desk, bo)[-1])

    assert "You may not see this event for Newsletter" in page
    assert "bo-red" not in page
    assert "Act for Service" in page


def test_an_opening_shows_one_person_to_one_session_until_it_ends(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    desk.ws.consent.set("user_id:bo", [Choice("*", "restricted")], operator="maria")
    bo = id_here(desk, "bo")
    opened = desk.post(f"/console/customers/{profile_id}/open", WHY).status
    mine, cookie, token = pages_of(desk, profile_id), desk.cookie, desk.token
    seen = [text_of(desk, path) for path in mine]
    of_bo = text_of(desk, f"/console/customers/{bo}")
    elsewhere = text_of(desk, "/console/sources")
    desk.become("admin")  # another session
    by_others = text_of(desk, mine[0])
    desk.cookie, desk.token = cookie, token
    desk.clock.go_on(15 * MINUTE - 1)
    last = text_of(desk, mine[0])
    desk.clock.go_on(1)
    after = text_of(desk, mine[0])

    assert opened == 303
    assert all("ana" in page and 'id="glass"' in page for page in seen)
    assert "ana-red" in seen[-1]
    assert "ana@example.org" in seen[0]
    assert not any("bo@example.org" in page or "bo-red" in page for page in seen)
    assert "You may not see this person" in of_bo
    assert REASON in elsewhere
    assert "You may not see this person" in by_others
    assert 'id="glass"' not in by_others
    assert "ana@example.org" in last
    assert "You may not see this person" in after
    assert 'id="glass"' not in after


def test_an_opening_is_in_ledger_audit_and_overview_and_on_the_page_ever_after(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    desk.post(f"/console/customers/{profile_id}/open", WHY)
    kept = [one.entry for one in desk.ws.ledger.read([profile_id]).entries]
    text_of(desk, f"/console/customers/{profile_id}")
    desk.post("/console/me/opened/close")
    desk.ws.accesses.flush()
    entries = [one.entry for one in desk.ws.ledger.read([profile_id]).entries]
    audit = text_of(desk, "/console/audit")
    overview = text_of(desk, "/console")
    desk.clock.go_on(MINUTE)
    desk.ws.consent.set("user_id:ana", [Choice("*", "released")], operator="maria")
    desk.become("reader")
    page = text_of(desk, f"/console/customers/{profile_id}")
    overview_of_reader = text_of(desk, "/console")

    [opening] = desk.ws.openings.list_of([profile_id])
    glass = [(one.route, one.purpose, one.reason) for one in entries if isinstance(one, Access) and one.break_glass]
    # On disk before anything is shown; then each look.
    assert [(one.route, one.break_glass) for one in kept if isinstance(one, Access)] == [("break-glass", True)]
    assert glass == [
        ("/console/customers/{profile_id}", "break_glass", opening.reason),
        ("break-glass", "break_glass", opening.reason),
    ]
    noted = [(one.action, one.target) for one in desk.ws.audit.actions(limit=2)]
    assert noted == [("break-glass.close", profile_id), ("break-glass.open", profile_id)]
    assert REASON in audit
    assert "1 in the last 30 days" in overview
    assert REASON in overview
    assert "Opened without leave on" in page
    assert f"<bdi>Admin</bdi> because <q><bdi>{REASON}</bdi></q>" in page
    assert REASON not in overview_of_reader


def test_nobody_is_opened_without_a_reason_a_word_or_the_role(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    bo = id_here(desk, "bo")
    place = f"/console/customers/{profile_id}/open"
    refused = [desk.post(place, fields).status for fields in
               ({}, {"reason": REASON}, {"confirmed": "yes"}, {"confirmed": "yes", "reason": "too short"})]  # fmt: skip
    needless = desk.post(f"/console/customers/{bo}/open", WHY).status
    unknown = desk.post("/console/customers/p999/open", WHY).status
    by_address = desk.post("/console/customers/user_id%3Aana/open", WHY).status
    desk.become("editor")
    role = desk.post(place, WHY).status
    form = text_of(desk, f"/console/customers/{profile_id}")

    assert refused == [400, 400, 400, 400]
    assert (needless, unknown, by_address, role) == (303, 404, 404, 403)
    assert "Open all the same" not in form
    assert desk.ws.openings.list_since(0) == []


def test_whom_somebody_became_one_with_is_not_opened_by_it(desk: DeskInProcess) -> None:
    fill(desk)
    desk.ws.consent.set("user_id:bo", [Choice("*", "restricted")], operator="maria")
    bo = id_here(desk, "bo")
    desk.post(f"/console/customers/{bo}/open", WHY)
    before = text_of(desk, f"/console/customers/{bo}")
    desk.ws.identity.join("user_id:bo", "user_id:ana", reason="one login each", operator="maria")
    merged = id_here(desk, "bo")

    assert "bo@example.org" in before
    assert merged != bo
    assert "You may not see this person" in text_of(desk, f"/console/customers/{merged}")


def test_why_somebody_was_opened_goes_when_they_are_erased(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    desk.post(f"/console/customers/{profile_id}/open", WHY)
    before = find_bytes(desk.ws.paths.root, [REASON])
    desk.ws.erasure.erase("user_id:ana", reason="request")

    assert before != []
    assert find_bytes(desk.ws.paths.root, [REASON]) == []
    assert [one.reason for one in desk.ws.openings.list_since(0)] == [""]
    assert desk.get(f"/console/customers/{profile_id}").status == 404
    assert "the reason went with the person" in text_of(desk, "/console")


def test_acting_is_for_nothing_where_nothing_is_left(desk: DeskInProcess) -> None:
    session = desk.ws.sessions.find(desk.cookie.partition("=")[2])
    assert session is not None

    from tillit.console.sessions import session_from

    reader = session_from(session, "x")._replace(role="reader")
    acting = acting_of(read_policy(SHOP.replace("service:", "care:")), reader)

    assert (acting.name, acting.title, acting.purposes) == ("", "nothing", {})


def test_an_opening_ends_when_who_the_person_is_changes(desk: DeskInProcess) -> None:
    ana = fill(desk)
    desk.ws.consent.set("user_id:bo", [Choice("*", "restricted")], operator="maria")
    bo = id_here(desk, "bo")
    desk.post(f"/console/customers/{ana}/open", WHY)
    before = text_of(desk, f"/console/customers/{ana}")
    joined = desk.ws.identity.join("user_id:ana", "user_id:bo", reason="one login each", operator="maria")
    merged = id_here(desk, "bo")
    while_joined = [text_of(desk, path) for path in pages_of(desk, merged)]
    desk.ws.identity.undo(joined["action"], reason="two people", operator="maria")
    desk.ws.accesses.flush()

    assert "ana@example.org" in before
    assert merged == ana != bo
    assert all("You may not see this person" in page and 'id="glass"' not in page for page in while_joined)
    assert not any("bo@example.org" in page or "bo-red" in page for page in while_joined)
    # They are who they were, and the quarter of an hour is not over.
    assert "ana@example.org" in text_of(desk, f"/console/customers/{ana}")


def test_a_look_by_an_opening_is_in_the_ledger_as_one_and_why_is_told_to_admins(desk: DeskInProcess) -> None:
    ana = fill(desk)
    desk.post(f"/console/customers/{ana}/open", WHY)
    for path in (f"/console/customers/{ana}", "/console/customers", f"/console/privacy/ledger?who={ana}"):
        text_of(desk, path)
    desk.ws.accesses.flush()
    entries = [one.entry for one in desk.ws.ledger.read([ana]).entries]
    as_admin = text_of(desk, f"/console/privacy/ledger?who={ana}")
    desk.become("editor")
    as_editor = text_of(desk, f"/console/privacy/ledger?who={ana}")

    assert [(one.route, one.break_glass) for one in entries if isinstance(one, Access)] == [
        ("/console/privacy/ledger", False),
        ("/console/customers", False),
        ("/console/customers/{profile_id}", True),
        ("break-glass", True),
    ]
    assert REASON in as_admin
    assert "without leave" in as_editor
    assert REASON not in as_editor


def test_a_package_is_made_from_a_page_only_where_all_is_shown(desk: DeskInProcess) -> None:
    ana, bo = fill(desk), id_here(desk, "bo")
    desk.post(f"/console/customers/{ana}/open", WHY)
    opened = desk.post(f"/console/customers/{ana}/package", {"kind": "access"})
    page_opened = text_of(desk, f"/console/customers/{ana}")
    desk.become("editor")
    restricted = desk.post(f"/console/customers/{ana}/package", {"kind": "access"})
    page_restricted = text_of(desk, f"/console/customers/{ana}")
    desk.post("/console/me/purpose", {"purpose": "newsletter"})
    narrow = desk.post(f"/console/customers/{bo}/package", {"kind": "access"})
    desk.post("/console/me/purpose", {"purpose": "service"})
    whole = desk.post(f"/console/customers/{bo}/package", {"kind": "access"})
    page_whole = text_of(desk, f"/console/customers/{bo}")
    desk.ws.accesses.flush()
    newest = desk.ws.ledger.search(purpose="own_data", limit=9).entries

    assert [one.status for one in (opened, restricted, narrow, whole)] == [403, 403, 403, 200]
    assert "Open a request: its package holds everything" in restricted.body.decode()
    assert b"bo@example.org" not in narrow.body
    assert "Make the package" in page_whole
    assert not any("Make the package" in page for page in (page_opened, page_restricted))
    assert [one.entry.subject_ref for one in newest if one.entry] == [bo]


def test_whoever_may_act_for_nothing_is_shown_no_bytes_and_no_lists(desk: DeskInProcess) -> None:
    fill(desk, SHOP.replace("service:", "care:").replace("title: Service", "title: Care, staff: [admin]"))
    bo = id_here(desk, "bo")
    with pytest.raises(InputError):
        desk.ws.append([{"type": "nonsense", "userId": "bo-in-quarantine"}])
    text_of(desk, f"/console/customers/{bo}")
    desk.ws.accesses.flush()
    desk.become("reader")
    closed = [
        desk.get("/console/quarantine"),
        desk.get("/console/quarantine/1"),
        desk.get(f"/console/privacy/ledger?who={bo}"),
        desk.post("/console/privacy/question", {"who": bo, "purpose": "care"}),
    ]
    desk.become("admin")
    shown = desk.get("/console/quarantine/1")
    desk.ws.accesses.flush()

    assert [one.status for one in closed] == [403] * 4
    assert not any(b"bo-in-quarantine" in one.body for one in closed)
    assert b"bo-in-quarantine" in shown.body
    assert {one.entry.purpose for one in desk.ws.ledger.search().entries if isinstance(one.entry, Access)} == {"care"}


def test_a_live_stream_shows_what_is_acted_for_now(desk: DeskInProcess) -> None:
    fill(desk)
    me = desk.ws.sessions.find(desk.cookie.partition("=")[2])
    assert me is not None
    less = SHOP.replace("basis: contract, fields: all", "basis: contract, fields: [events.Lamp Bought]")

    # What the purpose reaches changes under the stream: it follows. What is acted for changes: it ends.
    changes: list[Callable[[], object]] = [
        lambda: desk.ws.consent.apply(less, operator="maria", reason="less"),
        lambda: desk.ws.sessions.choose_purpose(me.session_id, "newsletter"),
    ]
    # In a thread: where a browser test ran before, a loop is running in this one.
    with ThreadPoolExecutor(1) as pool:
        followed, ended = pool.map(lambda change: asyncio.run(listen(desk, change)), changes)

    assert "Lamp Bought" in followed
    assert "Sofa Looked At" not in followed
    assert "Lamp Bought" not in ended


async def listen(desk: DeskInProcess, change: Callable[[], object]) -> str:
    """Open the live stream, change something, let Bo do two things; give what is told after that."""
    parts: list[str] = []
    has_begun, is_over = asyncio.Event(), asyncio.Event()
    asked = [b"after=" + str(desk.ws.log.head()).encode()]

    async def receive() -> dict[str, Any]:
        if asked:
            return {"type": "http.request", "body": asked.pop(), "more_body": False}
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            parts.append(message["body"].decode())
            has_begun.set()
            if not message.get("more_body") or "Lamp Bought" in parts[-1]:
                is_over.set()

    told = {
        "host": "127.0.0.1", "cookie": desk.cookie, "sec-fetch-site": "same-origin", "x-form-token": desk.token,
        "content-type": "application/x-www-form-urlencoded", "content-length": str(len(asked[0])),
    }  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "scheme": "http", "path": "/console/live/stream",
        "raw_path": b"/console/live/stream", "root_path": "", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    task = asyncio.ensure_future(desk.app(scope, receive, send))
    await asyncio.wait_for(has_begun.wait(), 20)
    parts.clear()
    change()
    for event in ("Sofa Looked At", "Lamp Bought"):
        desk.ws.track(user_id="bo", event=event)
    desk.ws.flush()
    await asyncio.wait_for(is_over.wait(), 20)
    await asyncio.wait_for(task, 20)
    return "".join(parts)
