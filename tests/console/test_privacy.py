"""Purposes, requests, the ledger and what we may do with one person's data, in the console: as a browser shows them,
and without one as forms take them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.consent.conftest import PURPOSES
from tests.console.conftest import PATIENCE_MS, Opening
from tests.console.desk_in_process import DeskInProcess
from tests.console.looks import faults_in_light_and_dark
from tests.console.test_customer import section
from tests.console.test_pages import id_of, send_person
from tests.running import RunningServer, typed
from tillit.clock import DAY, MINUTE
from tillit.consent import Choice
from tillit.console.purposes import draw_trend
from tillit.ledger import Disclosure, verify_inclusion
from tillit.workspace.people import sample_people

expect.set_options(timeout=PATIENCE_MS)

# In force before any clock of these tests.
SHOP = PURPOSES.replace("2026-01-01", "2025-01-01")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A served shop with purposes of its own."""
    folder = tmp_path_factory.mktemp("privacy") / "shop"
    with RunningServer(folder) as running:
        file = folder.parent / "purposes.yaml"
        file.write_text(SHOP, encoding="utf-8")
        typed("apply", str(file), "--yes", "--reason", "the lawyer's list", "--workspace", str(folder))
        yield running


def test_what_may_not_be_done_says_why_and_a_choice_that_is_written_down_changes_it(
    server: RunningServer, open_page: Opening
) -> None:
    user_id = send_person(server, name="Maja")
    said = {"purposes": {"newsletter": False}}
    server.send("/v1/track", {"userId": user_id, "event": "Consent Updated", "properties": said})
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    newsletter = page.locator("#may [data-purpose=newsletter]")
    expect(newsletter).to_contain_text(re.compile(r"no\s+Newsletter\s+The person said no\."))
    expect(page.locator("#may")).to_contain_text("This page is shown for the purpose Service")

    page.locator("#may").get_by_text("Write down a choice").click()
    page.get_by_label("To", exact=True).select_option("analytics")
    page.get_by_label("They", exact=True).select_option("objected")
    page.get_by_role("button", name="Write it down").click()

    expect(page.get_by_role("status")).to_contain_text("it counts now")
    expect(page.locator("#may [data-purpose=analytics]")).to_contain_text("The person objected.")
    assert faults_in_light_and_dark(page, within="main") == []


def test_a_question_about_a_day_is_answered_with_its_ground_record_and_notice(
    server: RunningServer, open_page: Opening
) -> None:
    user_id = send_person(server, name="Inga")
    server.settle()
    profile_id = id_of(server, user_id)
    place = ("--workspace", str(server.workspace))
    typed("consent", "set", profile_id, "newsletter=given", "--evidence", "form-1", *place)
    page = open_page(f"/console/privacy/question?who={profile_id}")
    expect(page.get_by_label("Person", exact=True)).to_have_value(profile_id)

    page.get_by_label("For what").select_option("newsletter")
    page.get_by_label("For whom").select_option("mailer")
    page.get_by_label("Which of their data").fill("identifiers.email, traits.city")
    page.get_by_role("button", name="Ask", exact=True).click()

    answer = page.locator("#answer")
    expect(answer).to_contain_text("Yes: on")
    expect(answer).to_contain_text("on the ground of consent")
    expect(answer).to_contain_text("We write to you twice a month.")
    expect(answer).to_contain_text("the purpose does not reach it")
    assert faults_in_light_and_dark(page, within="main") == []

    page.get_by_label("On which day").fill("2020-01-31")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(answer).to_contain_text("No: on 2020-01-31")
    page.goto(server.url + f"/console/privacy/question?who={profile_id}")
    page.get_by_label("For what").select_option("newsletter")
    page.get_by_role("button", name="Ask", exact=True).click()
    answer.locator("a[href^='/console/events/']").click()
    expect(page.locator("main")).to_contain_text("Wrote down a choice")


def test_a_request_is_opened_proved_and_done_and_its_package_loaded(server: RunningServer, open_page: Opening) -> None:
    user_id = send_person(server, name="Runa")
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    page.locator("#may").get_by_text("Open a request").click()
    page.get_by_label("They ask for").select_option("access")
    page.get_by_label("Where their word is kept").fill("ticket-4711")
    page.get_by_role("button", name="Open it").click()
    page.wait_for_url("**/console/privacy/requests/r*")

    expect(section(page, "stands")).to_contain_text("nobody proved yet who asks")
    page.locator("summary", has_text="Note a proof").click()
    page.get_by_label("Level").select_option("2")
    page.get_by_label("Where it is kept").first.fill("ticket-4711")
    page.get_by_role("button", name="Note a proof").click()
    expect(page.get_by_role("status")).to_contain_text("ready to be done")
    page.locator("summary", has_text="Run it").click()
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("status")).to_contain_text("complete")
    with page.expect_download() as loaded:
        page.get_by_role("button", name="Load the package").click()

    assert loaded.value.path().read_bytes()[:4] == b"PK\3\4"
    assert faults_in_light_and_dark(page, within="main") == []
    page.goto(server.url + "/console/privacy/requests?only=all")
    expect(page.locator(".request-row").first).to_contain_text("access")


def test_purposes_and_the_record_of_processing_show_what_is_in_force(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console/privacy")
    expect(page.locator("#purpose-newsletter")).to_contain_text("Posten Mail")
    expect(page.locator("#notice-newsletter")).to_contain_text("We write to you twice a month.")
    assert faults_in_light_and_dark(page, within="main") == []
    page.get_by_role("link", name="Record of processing").click()
    expect(section(page, "controller")).to_contain_text("Ekbergs AB")
    expect(section(page, "a-newsletter")).to_contain_text("Posten Mail")
    expect(page.locator("div.notice")).to_contain_text("how long data is kept for Analytics")
    assert faults_in_light_and_dark(page, within="main") == []


# -- without a browser


def fill(desk: DeskInProcess) -> str:
    ws = desk.ws
    ws.consent.apply(SHOP, operator="maria", reason="the lawyer's list")
    desk.clock.go_on(1)
    for who in ("ana", "bo", "cem"):
        ws.identify(user_id=who, traits={"email": f"{who}@example.org"})
    ws.track(user_id="bo", event="Consent Updated", properties={"purposes": {"newsletter": True}})
    ws.track(user_id="cem", event="Consent Updated", properties={"purposes": {"newsletter": False}})
    ws.flush()
    return str(ws.profiles.get("user_id:ana")["id"])


def words(page: bytes, beginning: str, end: str = "</section>") -> str:
    part = page.decode().partition(beginning)[2].partition(end)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))


def test_whom_a_purpose_reaches_is_counted_and_counted_anew_when_it_is_old(desk: DeskInProcess) -> None:
    fill(desk)
    first = words(desk.get("/console/privacy").body, 'id="purpose-newsletter"')
    desk.ws.consent.set("user_id:ana", [Choice("newsletter", "given")], evidence="form-1")
    kept = words(desk.get("/console/privacy").body, 'id="purpose-newsletter"')
    desk.clock.go_on(6 * MINUTE)
    anew = words(desk.get("/console/privacy").body, 'id="purpose-newsletter"')

    page = words(desk.get("/console/privacy").body, "<main", "</main>")
    assert "Counted over all 3 people" in page
    assert "permitted 1 refused 1 no yes that counts 1" in first
    assert kept == first
    assert "permitted 2 refused 1 no yes that counts 0" in anew
    assert "2 yes above the line, 1 no below it" in anew


def test_a_sample_of_people_is_the_same_each_time_and_no_larger_than_asked_for(desk: DeskInProcess) -> None:
    for number in range(60):
        desk.ws.identify(user_id=f"u{number}")
    desk.ws.flush()
    few, again, all_ = (
        [membership.profile_id for _, _, membership in sample_people(desk.ws.state, most)] for most in (20, 20, 1_000)
    )

    assert few == again
    assert 5 <= len(few) <= 20
    assert len(all_) == 60
    assert set(few) < set(all_)


def test_purposes_come_in_force_only_as_they_were_tried_and_with_a_reason(desk: DeskInProcess) -> None:
    fill(desk)
    other = desk.ws.consent.text().replace("basis: consent", "basis: legitimate_interest")
    tried = desk.post("/console/privacy/versions/plan", {"text": other}).body
    against = re.search(rb'name="against" value="(\w+)"', tried)
    assert against is not None
    form = {"text": other, "against": against[1].decode()}

    silent = desk.post("/console/privacy/versions/apply", form | {"reason": " "}).status
    wrong = desk.post("/console/privacy/versions/plan", {"text": "purposes: [1"}).status
    applied = desk.post("/console/privacy/versions/apply", form | {"reason": "counsel agreed"})
    stale = desk.post("/console/privacy/versions/apply", form | {"reason": "again"}).status
    history = desk.get("/console/privacy/versions").body
    back = desk.post("/console/privacy/versions/again", {"action": ""}).body
    desk.become("reader")
    page = desk.get("/console/privacy/versions").body

    assert "newsletter 1 2" in words(tried, 'id="plan"')
    assert (silent, wrong, applied.status, stale) == (400, 400, 303, 409)
    assert b"counsel agreed" in history
    assert b"diff-come" in history
    assert "gone" in words(back, 'id="plan"')
    assert b"<textarea" not in page
    newest = desk.ws.audit.actions(limit=1, action="purposes.apply")[0]
    assert applied.headers["location"] == f"/console/privacy?did={newest.target}"


def test_the_page_of_somebody_restricted_withholds_everything_and_says_so(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    page = f"/console/customers/{profile_id}"
    done = desk.post(page + "/choices", {"state": "restricted", "purpose": "newsletter"}).status
    body = desk.get(page).body
    desk.clock.go_on(1)
    released = desk.post(page + "/choices", {"state": "released", "purpose": "newsletter"}).status
    after = desk.get(page).body

    assert (done, released) == (303, 303)
    assert "1 withheld from this page everything The person&#39;s data is restricted" in words(body, 'id="may"')
    assert b"ana@example.org" not in body
    assert b"ana@example.org" in after


def test_a_yes_needs_evidence_and_what_is_written_down_is_in_the_audit(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    page = f"/console/customers/{profile_id}/choices"
    yes = {"state": "given", "purpose": "newsletter", "notice": "yes"}
    faults = [desk.post(page, yes).status, desk.post(page, yes | {"purpose": "none"}).status,
              desk.post(page, yes | {"state": "maybe", "evidence": "form-1"}).status]  # fmt: skip
    done = desk.post(page, yes | {"evidence": "form-1"}).status
    card = words(desk.get(f"/console/customers/{profile_id}").body, 'data-purpose="newsletter"', "</li>")

    assert faults == [400, 400, 400]
    assert done == 303
    assert "form-1 · notice newsletter@2" in card
    noted = desk.ws.audit.actions(limit=1, action="choice.set")[0]
    assert (noted.target, noted.details["state"]) == (profile_id, "given")


def test_the_ledger_is_searched_and_proves_an_entry_to_an_editor(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    ws = desk.ws
    desk.get(f"/console/customers/{profile_id}")
    ws.accesses.flush()
    left = Disclosure(
        subject_ref=profile_id,
        recipient="mailer",
        role="processor",
        purpose="newsletter",
        basis="consent",
        field_names=("identifiers.email",),
        at=desk.clock.now(),
    )
    ws.ledger.append([left])
    # Looking at the ledger is noted too, once an hour: here, before anything is counted.
    desk.get("/console/privacy/ledger")
    ws.accesses.flush()
    day = "2025-06-15"

    def rows(query: str) -> int:
        return desk.get(f"/console/privacy/ledger?{query}").body.count(b"<tr>") - 1

    n = {query: rows(query) for query in
         ("", "kind=access", "recipient=mailer", "purpose=ads", f"since={day}&until={day}", "until=2020-01-01",
          f"who={profile_id}")}  # fmt: skip
    refused = [desk.get(f"/console/privacy/ledger?{query}").status for query in ("since=x", "who=email:a", "kind=x")]
    proof = desk.get("/console/privacy/ledger/1/proof")
    desk.become("reader")
    closed = desk.get("/console/privacy/ledger/1/proof").status

    assert n == {"": 3, "kind=access": 2, "recipient=mailer": 1, "purpose=ads": -1, f"who={profile_id}": 3,
                 f"since={day}&until={day}": 3, "until=2020-01-01": -1}  # fmt: skip
    assert refused == [400, 400, 400]
    assert verify_inclusion(proof.body.decode(), ws.ledger.verifier_key()).entry_index == 1
    assert closed == 403


def test_an_erasure_that_is_held_says_so_and_its_clock_goes_on(desk: DeskInProcess) -> None:
    profile_id = fill(desk)
    form = {"kind": "erasure", "evidence": "ticket-1", "via": "session", "level": "2"}
    place = desk.post(f"/console/customers/{profile_id}/requests", form).headers["location"]
    held = desk.post(place + "/hold", {"basis": "legal_claim", "until": "2026-01-31", "reason": "a case"}).status
    early = desk.post(place + "/run").status
    desk.clock.go_on(40 * DAY)
    desk.become("admin")
    page = desk.get(place).body
    released = desk.post(place + "/release", {"reason": "it is over"}).status
    done = desk.post(place + "/run").status
    ended = desk.get(place).body

    assert (held, early, released, done) == (303, 400, 303, 303)
    assert b"10 days late" in page
    assert "Held until 2026-01-31" in words(page, 'aria-labelledby="h-stands"')
    assert b"a case" in page
    assert "not known any more" in words(ended, 'aria-labelledby="h-stands"')
    assert b"a case" not in ended
    assert desk.get(f"/console/customers/{profile_id}").status == 404


def test_the_record_of_processing_names_what_nobody_declared(desk: DeskInProcess) -> None:
    bare = json.loads(desk.get("/console/privacy/processing.json").body)
    fill(desk)
    told = json.loads(desk.get("/console/privacy/processing.json").body)

    assert "the controller" in bare["missing"]
    assert told["controller"]["name"] == "Ekbergs AB"
    newsletter = next(one for one in told["activities"] if one["name"] == "newsletter")
    assert newsletter["recipients"][0]["is_third_country"] is False
    assert newsletter["lawful_basis"] == "consent"
    assert "how long data is kept for Analytics" in told["missing"]


def test_a_drawing_of_what_was_said_stays_in_its_frame() -> None:
    trend = draw_trend(["a", "b", "c"], [[3, 0], [0, 0], [100, 40]])

    assert trend is not None
    assert (trend.n_yes, trend.n_no, len(trend.bars)) == (103, 40, 2)
    assert all(bar.yes_y >= 0 and trend.line + bar.no_tall <= trend.height for bar in trend.bars)
    assert draw_trend(["a"], [[0, 0]]) is None


def test_where_not_all_were_looked_at_whom_a_purpose_may_use_is_still_said_of_everybody(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillit.console.purposes.MOST_COUNTED", 2)
    desk.ws.consent.apply(SHOP, operator="kim", reason="")
    for number in range(7):
        said = {"purposes": {"newsletter": number < 5}}
        desk.ws.track(user_id=f"u{number}", event="Consent Updated", properties=said)
    desk.ws.flush()

    told = desk.get("/console/privacy").body.decode()
    newsletter = told[told.index("purpose-newsletter") : told.index("purpose-ads")]

    assert "taken evenly from 7" in told
    assert 'Of everybody it may use <strong class="n-everybody">5</strong>' in newsletter
