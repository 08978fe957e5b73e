"""The rules of who is who in the console, on a shop whose truth is known: a wrongly merged pair is found, cut and put
back; other rules are tried, put in force and taken back; a plan is its owner's, and gone when it must be.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import PATIENCE_MS, Opening, Watched
from tests.console.desk_in_process import DeskInProcess
from tests.console.looks import faults_in_light_and_dark
from tests.console.test_customer import section
from tests.running import RunningServer, tillit
from tillit.cli.plan_worker import run_plans
from tillit.clock import DAY, SECOND
from tillit.console.rulebook import what_is_wrong
from tillit.identity import RulesInvalid, read_rules
from tillit.simulate import Shop, Truth, truth_path, write_history
from tillit.simulate.score import HELD, JOINED_WRONGLY, read_beliefs, trap_outcome
from tillit.simulate.traps import Trap
from tillit.workspace import Workspace, create_workspace

expect.set_options(timeout=PATIENCE_MS)

_END = 1_795_312_000 * SECOND
_WAITS_MS = 60_000  # for a fold of all of history, however busy the machine is
TWO_LOGINS = "namespaces:\n  user_id: {limit: 2 ever}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A served shop of 60 simulated customers, with the truth beside it."""
    folder = tmp_path_factory.mktemp("rules") / "shop"
    create_workspace(folder)
    with Workspace(folder) as ws, closing(Truth.begin(truth_path(folder), Shop(5, 60, end=_END))) as truth:
        write_history(ws, truth.shop(), truth)
        ws.flush()
    with RunningServer(folder) as running:
        yield running


def trap_of(server: RunningServer, kind: str) -> Trap:
    with closing(Truth(truth_path(server.workspace), read_only=True)) as truth:
        return next(one.trap for one in truth.list_traps() if one.trap.kind == kind)


def became_of(server: RunningServer, trap: Trap) -> str:
    with Workspace(server.workspace) as ws:
        return trap_outcome(trap, read_beliefs(ws).profiles)


def test_a_wrongly_merged_pair_is_found_cut_and_put_back(server: RunningServer, open_page: Opening) -> None:
    trap = trap_of(server, "gift-to-guest")
    receiver, giver = trap.sides[0][0][1], trap.sides[1][0][1]
    assert became_of(server, trap) == JOINED_WRONGLY

    # when: somebody looks for the one, finds the other, and asks why
    page = open_page("/console/customers")
    page.locator("#query").press_sequentially(receiver)
    page.locator("#results a.person", has_text=giver).click()
    page.get_by_role("link", name="Look into it, cut or join").click()
    page.get_by_label("This", exact=True).select_option(label=f"user_id: {giver}")
    page.get_by_label("and this").select_option(label=f"email: {receiver}")
    page.get_by_role("button", name="Show why").click()
    step = section(page, "why").locator(".step-word")
    expect(step).to_have_count(1)
    expect(step).to_contain_text("one event named both, server from shop")
    step.get_by_role("link").click()
    expect(page.locator(".side-raw")).to_contain_text('"is_gift": true')
    page.go_back()
    row = page.locator(".tie-row", has_text=receiver).filter(has_text=giver)
    row.locator("summary").click()
    row.get_by_label("Why is it wrong?").fill("a gift: the address is the receiver's")
    row.get_by_role("button", name="Cut this link").click()

    # then: two people, each with their own
    outcome = section(page, "outcome")
    expect(outcome).to_contain_text("Cut: now two customers")
    assert became_of(server, trap) == HELD
    one, other = (server.find_profile(who) for who in (f"email:{receiver}", f"user_id:{giver}"))
    assert one is not None
    assert other is not None
    assert trap.sides[0][1] in {(told["namespace"], told["value"]) for told in one["identifiers"]}

    # when: the cut is taken back
    outcome.get_by_text("Undo", exact=True).click()
    outcome.get_by_label("Why take it back?").fill("only to see what comes of it")
    outcome.get_by_role("button", name="Take it back").click()

    expect(section(page, "outcome")).to_contain_text("Taken back: one customer")
    assert became_of(server, trap) == JOINED_WRONGLY


def try_rules(page: Page, text: str) -> None:
    page.get_by_label("The rules, as YAML").fill(text)
    page.get_by_role("button", name="Try these rules").click()
    expect(section(page, "plan")).to_contain_text("What these rules would change", timeout=_WAITS_MS)


def put_in_force(page: Page, reason: str) -> None:
    page.get_by_label("Why these rules?").fill(reason)
    page.get_by_role("button", name="Put in force").click()
    expect(page.locator("#in-force")).to_be_visible(timeout=_WAITS_MS)


def test_other_rules_are_tried_put_in_force_and_taken_back(server: RunningServer, open_page: Opening) -> None:
    before = tillit("rules", "--workspace", str(server.workspace))
    two = trap_of(server, "gift-to-member")
    assert became_of(server, two) == HELD
    page = open_page("/console/identity")
    page.get_by_role("link", name="Rules").click()
    expect(section(page, "force")).to_contain_text("Strongest first: user_id")

    # when: two logins may be one person
    try_rules(page, TWO_LOGINS)
    plan = section(page, "plan")
    expect(plan.locator(".diff-come")).to_contain_text("limit: 2 ever")
    case = plan.locator(".case").filter(has_text=two.sides[0][0][1])
    expect(case.locator(".versus-side").first.get_by_role("link")).to_have_count(2)
    expect(case).to_contain_text("Then one person")
    expect(case.locator(".tie-words")).to_contain_text("one event named both")
    assert faults_in_light_and_dark(page, within="main") == []
    assert became_of(server, two) == HELD  # nothing has changed yet
    put_in_force(page, "people forget their first login")

    # then: it is so, and everything says who did it and why
    assert became_of(server, two) == JOINED_WRONGLY
    history = section(page, "history")
    expect(history.locator(".chapter").first).to_contain_text("people forget their first login")
    expect(history.locator(".chapter").first).to_contain_text("in force")
    expect(page.locator("#force .kinds tr", has_text="user_id").first).to_contain_text("2")

    # when: they go back
    history.get_by_role("button", name="Go back to these").last.click()
    expect(section(page, "plan")).to_contain_text("would part", ignore_case=True, timeout=_WAITS_MS)
    expect(section(page, "plan").locator(".case", has_text="Then 2 people").first).to_be_visible()
    put_in_force(page, "two people at once is worse")

    assert became_of(server, two) == HELD
    assert tillit("rules", "--workspace", str(server.workspace)) == before
    tillit("rebuild", "--check", "--workspace", str(server.workspace))


def test_the_page_of_rules_and_a_mistake_in_them_are_read_by_everybody(open_page: Opening, watched: Watched) -> None:
    page = open_page("/console/identity/rules")
    page.get_by_label("The rules, as YAML").fill("namespaces:\n  email:\n    rank: 20\n    strength: week\n")
    page.get_by_label("The rules, as YAML").press("Tab")
    with page.expect_response("**/rules/plan") as answer:
        page.keyboard.press("Enter")

    assert answer.value.status == 400
    expect(page.locator(".wrong-line")).to_contain_text("strength: week")
    box = page.get_by_label("The rules, as YAML")
    expect(box).to_have_value("namespaces:\n  email:\n    rank: 20\n    strength: week\n")
    expect(box).to_be_focused()
    marked = box.evaluate("(box) => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert marked == "    strength: week"
    assert faults_in_light_and_dark(page, within="main") == []
    # The browser tells of every answer of this kind.
    assert [complaint for complaint in watched.complaints if "400" not in complaint] == []
    watched.complaints.clear()


# -- without a browser


def fill(desk: DeskInProcess) -> None:
    ws = desk.ws
    ws.identify(user_id="ana", traits={"email": "ana@example.org"})
    ws.identify(user_id="bo", traits={"email": "bo@example.org"})
    ws.identify(user_id="bo", traits={"email": "ana@example.org"})
    ws.flush()


def ask(desk: DeskInProcess, text: str = TWO_LOGINS) -> Path:
    """Try rules as whoever sits at the desk, let the worker do its part; give the plan's folder."""
    assert desk.post("/console/identity/rules/plan", {"text": text}).status == 303
    run_plans(desk.ws, threading.Event())
    return max(desk.ws.paths.plans.glob("p*"), key=lambda place: place.stat().st_mtime_ns)


def test_a_plan_is_for_the_eyes_of_whoever_asked_and_goes_with_the_next_one(desk: DeskInProcess) -> None:
    fill(desk)
    desk.become("editor")
    place = ask(desk)
    mine = desk.get("/console/identity/rules").body.decode()
    desk.become("admin")
    others = desk.get("/console/identity/rules").body.decode()
    modes = {one.name: oct(one.stat().st_mode & 0o777) for one in [place.parent, *place.iterdir()]}
    desk.become("editor")
    ask(desk, "person: {birth_dates: any}")

    assert "What these rules would change" in mine
    assert "ana@example.org" in mine
    assert "What these rules would change" not in others
    assert modes == {"plans": "0o700", "plan": "0o600", "result": "0o600"}
    assert not place.exists()
    assert len(list(desk.ws.paths.plans.iterdir())) == 1


def test_a_plan_is_gone_after_a_day_and_when_somebody_is_forgotten(desk: DeskInProcess) -> None:
    fill(desk)
    old = ask(desk)
    desk.clock.go_on(DAY)
    desk.become("admin")  # a session does not last so long
    page = desk.get("/console/identity/rules").body.decode()
    place = ask(desk)
    desk.ws.forget([1])

    assert "What these rules would change" not in page
    assert old != place
    assert list(desk.ws.paths.plans.iterdir()) == []


def test_a_worker_writes_nothing_of_a_plan_that_was_let_go(desk: DeskInProcess) -> None:
    fill(desk)
    desk.post("/console/identity/rules/plan", {"text": TWO_LOGINS})
    plan = desk.ws.plans.find_next()
    assert plan is not None
    desk.post("/console/identity/rules/drop")
    with pytest.raises(Exception, match="no longer kept"):
        desk.ws.plans.save_result(plan, {"cases": []})
    run_plans(desk.ws, threading.Event())

    assert list(desk.ws.paths.plans.iterdir()) == []
    assert list(desk.ws.paths.run.glob("plan-*")) == []


def test_rules_come_in_force_only_as_they_were_tried_and_with_a_reason(desk: DeskInProcess) -> None:
    fill(desk)
    ask(desk)
    plan = re.search(r'name="plan" value="(p\w+)"', desk.get("/console/identity/rules").body.decode())
    assert plan is not None
    form = {"plan": plan[1], "reason": "logins are shared"}

    no_reason = desk.post("/console/identity/rules/apply", form | {"reason": " "}).status
    other_plan = desk.post("/console/identity/rules/apply", form | {"plan": "p0"}).status
    desk.ws.rules.apply("person: {birth_dates: any}", operator="kim")
    stale = desk.post("/console/identity/rules/apply", form)
    ask(desk)
    fresh = desk.ws.plans.find_next() or desk.ws.plans.find_of(desk.ws.operators.get_by_login("admin").operator_id)
    assert fresh is not None
    applied = desk.post("/console/identity/rules/apply", form | {"plan": fresh.plan_id})
    again = desk.post("/console/identity/rules/plan", {"text": TWO_LOGINS})
    desk.become("reader")
    page = desk.get("/console/identity/rules").body.decode()

    assert (no_reason, other_plan, stale.status, applied.status, again.status) == (400, 404, 409, 303, 409)
    assert b"Other rules were put in force since" in stale.body
    assert "logins are shared" in page
    assert "<textarea" not in page
    newest = desk.ws.audit.actions(limit=1, action="rules.apply")[0]
    assert newest.target == desk.ws.rules.status()["action"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", 1),
        ("person: {}\nnamespaces:\n  email:\n    rank: 1\n    strength: week", 5),
        ("person: {}\nnamespaces:\n  card: {limit: often}", 3),
        ("namespaces: {}\nautomatic:\n  people: many", 3),
        ("namespaces: {}\nfoo: 1", 2),
        ("- 1", 0),
    ],
)
def test_a_mistake_is_shown_at_its_line(text: str, line: int) -> None:
    with pytest.raises(RulesInvalid) as fault:
        read_rules(text)

    assert what_is_wrong(text, fault.value).line == line


def test_what_waits_and_what_was_refused_stand_apart_and_what_is_settled_in_neither(desk: DeskInProcess) -> None:
    fill(desk)
    ws = desk.ws
    ws.identify(user_id="cem", traits={"email": "cem@example.org"})
    ws.identify(user_id="cem", traits={"email": "bo@example.org"})
    ws.append([{"type": "identify", "userId": "ana", "traits": {"email": "cem@example.org"}}], source="site", trust=1)
    ws.flush()
    waiting = desk.get("/console/identity").body.decode()
    refused = desk.get("/console/identity?only=refused").body.decode()
    counts = ws.identity.n_violations()
    pinned = desk.post("/console/identity/pin", {"one": "user_id:bo", "other": "email:ana@example.org", "reason": "r"})
    joined = desk.post("/console/identity/join", {"one": "user_id:cem", "other": "email:bo@example.org", "reason": "r"})
    after = ws.identity.n_violations()

    assert counts == {"soft": 2, "refused": 1, "all": 3}
    assert ("Two user ids" in waiting, "Claimed by a public key" in waiting) == (True, False)
    assert ("Two user ids" in refused, "Claimed by a public key" in refused) == (False, True)
    assert (pinned.status, joined.status) == (303, 303)
    assert after == {"soft": 0, "refused": 1, "all": 3}
    assert "Nothing waits for your word" in desk.get("/console/identity").body.decode()


def test_a_value_that_was_blocked_by_itself_raises_an_alarm_until_somebody_looked(desk: DeskInProcess) -> None:
    ws = desk.ws
    ws.rules.apply("automatic: {people: 3}")
    for number in range(6):
        ws.identify(user_id=f"u{number}", traits={"email": f"u{number}@example.org"})
        ws.identify(user_id=f"u{number}", traits={"email": "shop@example.org"})
        ws.flush()
    address = "email:shop@example.org"

    alarmed = desk.get("/console").body.decode()
    page = desk.get("/console/identity/values").body.decode()
    action = re.search(r'name="action" value="(e[\d-]+)"', page)
    assert action is not None
    desk.post("/console/identity/values/looked", {"action": action[1]})
    desk.clock.go_on(60 * SECOND)
    calm = desk.get("/console").body.decode()

    assert "1 value was found to stand for many" in alarmed
    assert "shop@example.org" not in alarmed
    assert "more than 3 people have it" in page
    assert "found to stand for many" not in calm

    # when: it turns out to be somebody's after all, and then not
    freed = desk.post("/console/identity/values/free", {"value": address, "reason": "it is Ana's"})
    states = [one["state"] for one in ws.identity.values(ws.scope())]
    twice = desk.post("/console/identity/values/free", {"value": address, "reason": "it is Ana's"}).status
    silent = desk.post("/console/identity/values/block", {"value": address, "reason": " "}).status
    blocked = desk.post("/console/identity/values/block", {"value": address, "reason": "no, the shop's"}).status
    event = desk.get(f"/console/events/{freed.headers['location'].partition('did=')[2]}")

    assert (freed.status, states, twice, silent, blocked) == (303, ["freed"], 409, 400, 303)
    assert "Freed a value" in event.body.decode()
    assert "Blocked a value" in desk.get("/console/live").body.decode()
    assert [one["state"] for one in ws.identity.values(ws.scope())] == ["blocked"]


def test_the_customer_page_names_who_is_possibly_the_same_person(desk: DeskInProcess) -> None:
    fill(desk)
    bo, ana = (desk.ws.profiles.get(f"user_id:{who}")["id"] for who in ("bo", "ana"))

    page = desk.get(f"/console/customers/{bo}").body.decode()
    identity = desk.get(f"/console/customers/{bo}/identity").body.decode()

    possibly = page.partition('id="possibly"')[2].partition("</section>")[0]
    assert f'href="/console/customers/{ana}"' in possibly
    assert "for looking and counting only" in possibly
    assert 'class="line line-soft"' in page
    assert 'class="line line-soft"' in identity
    assert "waits for a colleague’s word" in identity
