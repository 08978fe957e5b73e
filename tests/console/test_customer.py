"""The customer page in a real browser: corrections with their reasons, notes, the timeline over years, and nothing that
runs or stretches, whatever a customer wrote.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, StorageState, expect

from tests.console.conftest import PATIENCE_MS, Opening, Watched
from tests.console.looks import faults_in_light_and_dark
from tests.console.test_pages import PICTURE, SCRIPT, id_of, send_person
from tests.running import RunningServer

expect.set_options(timeout=PATIENCE_MS)


def section(page: Page, name: str) -> Any:
    return page.locator(f"section[aria-labelledby=h-{name}]")


def test_a_correction_counts_says_who_and_why_and_can_be_undone(server: RunningServer, open_page: Opening) -> None:
    user_id = send_person(server, name="Corin", traits={"plan": "free"})
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    plan = section(page, "traits").locator("li", has_text="plan")

    plan.get_by_text("Correct", exact=True).click()
    plan.get_by_label("Right value").fill("gold")
    plan.get_by_label("Reason").fill("said so on the phone")
    plan.get_by_role("button", name="Correct it").click()

    expect(page.get_by_role("status")).to_contain_text("The correction counts now")
    expect(plan).to_contain_text("gold")
    expect(plan).to_contain_text(re.compile("corrected by .+ because said so on the phone"))
    expect(page.locator("#events .event").first).to_contain_text("Corrected plan")
    plan.get_by_role("button", name="Earlier values of plan").click()
    expect(plan.locator(".earlier")).to_contain_text("free")
    plan.get_by_role("button", name="Undo the correction of plan").click()
    expect(plan).to_contain_text("free")
    expect(plan).not_to_contain_text("corrected by")


def test_a_household_shows_the_others_and_who_must_be_treated_with_care(
    server: RunningServer, open_page: Opening
) -> None:
    group = f"h-{uuid.uuid4().hex[:8]}"
    parent, child = send_person(server, name="Petra"), send_person(server, name="Kim", traits={"minor": True})
    for user_id, role in ((parent, "guardian"), (child, "child")):
        told = {"userId": user_id, "groupId": group, "traits": {"kind": "household", "name": "Ek", "role": role}}
        assert server.send("/v1/group?wait=applied", told).status == 200
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, child)}")

    expect(section(page, "groups")).to_contain_text("household")
    expect(section(page, "groups")).to_contain_text("Ek · child")
    expect(page.locator(".person-head")).to_contain_text("minor")
    page.locator(".person-head").get_by_role("link", name="guardian").click()
    expect(page.locator("h1")).to_have_text("Petra")
    expect(section(page, "groups").get_by_role("link", name="Kim")).to_be_visible()


def test_a_note_is_kept_and_undone_without_scripts(server: RunningServer, open_page: Opening) -> None:
    user_id = send_person(server, name="Nota")
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}", java_script_enabled=False)

    page.get_by_label("New note").fill("rings twice\n<b>not bold</b>")
    page.get_by_role("button", name="Keep the note").click()
    expect(section(page, "notes").locator("li")).to_contain_text("<b>not bold</b>")
    page.get_by_role("button", name=re.compile("Undo the note")).click()

    expect(section(page, "notes").locator("li")).to_have_count(0)


def test_a_correction_without_a_reason_or_of_another_kind_is_refused(
    server: RunningServer, open_page: Opening, session: StorageState
) -> None:
    user_id = send_person(server, name="Refa", traits={"plan": "free"})
    server.settle()
    address = f"/console/customers/{id_of(server, user_id)}"
    page = open_page(address)
    token = page.locator("meta[name=form-token]").get_attribute("content") or ""
    head = {"X-Form-Token": token, "Origin": server.url, "Sec-Fetch-Site": "same-origin"}

    def send(path: str, form: dict[str, Any], headers: dict[str, str] = head) -> int:
        return page.request.post(server.url + address + path, form=form, headers=headers).status

    said = {"trait": "plan", "value": "gold", "kind": "text", "reason": "r"}
    got = {
        "no reason": send("/corrections", said | {"reason": " "}),
        "no number": send("/corrections", said | {"kind": "number"}),
        "no kind": send("/corrections", said | {"kind": "object"}),
        "no trait": send("/corrections", said | {"trait": ""}),
        "too long": send("/notes", {"text": "x" * 4_001}),
        "not an act": send("/undo", {"event_id": "e1-1"}),
        "no token": send("/notes", {"text": "x"}, {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}),
        "another site": send("/notes", {"text": "x"}, {**head, "Sec-Fetch-Site": "cross-site"}),
    }

    assert got == {
        "no reason": 400,
        "no number": 400,
        "no kind": 400,
        "no trait": 400,
        "too long": 400,
        "not an act": 404,
        "no token": 403,
        "another site": 403,
    }


def test_who_asks_for_somebody_else_or_more_than_the_form_has_gets_nothing(
    server: RunningServer, open_page: Opening
) -> None:
    user_id = send_person(server, name="Massa", traits={"plan": "free"})
    server.settle()
    profile_id = id_of(server, user_id)
    page = open_page(f"/console/customers/{profile_id}")
    token = page.locator("meta[name=form-token]").get_attribute("content") or ""
    head = {"X-Form-Token": token, "Sec-Fetch-Site": "same-origin"}

    def answer(path: str) -> tuple[int, str]:
        got = page.request.get(server.url + path)
        return got.status, re.sub(r"\w{14}", "", got.text())

    # An id that never was, a forged one and an identifier get one and the same answer.
    unknown = [answer(f"/console/customers/{one}") for one in ("p000000000zzzz", "p1", f"user_id:{user_id}", "0")]
    form: dict[str, Any] = {
        "trait": "plan",
        "value": "gold",
        "kind": "text",
        "reason": "r",
        "operator": "forged",
        "source": "forged",
    }
    page.request.post(f"{server.url}/console/customers/{profile_id}/corrections", form=form, headers=head)
    page.reload()

    assert {status for status, _ in unknown} == {404}
    assert len({body for _, body in unknown}) == 1
    expect(section(page, "traits")).to_contain_text("gold")
    expect(section(page, "traits")).not_to_contain_text("forged")


def test_the_timeline_goes_on_while_one_scrolls_and_jumps_to_a_month(server: RunningServer, open_page: Opening) -> None:
    user_id = f"u-{uuid.uuid4().hex[:10]}"
    for year in (2022, 2023, 2024):
        batch = [
            {
                "type": "track",
                "userId": user_id,
                "event": f"Step {year}-{n:02d}",
                "timestamp": f"{year}-{1 + n % 12:02d}-03T10:00:00Z",
            }
            for n in range(60)
        ]
        assert server.send("/v1/batch", {"batch": batch}).status == 200
    server.settle()
    page = open_page(f"/console/customers/{id_of(server, user_id)}")
    expect(page.locator("#events .event")).to_have_count(40)
    expect(page.locator(".activity")).to_have_attribute("aria-label", re.compile("Jan 2022 to Dec 2024"))

    page.mouse.move(700, 500)
    for _ in range(60):
        page.mouse.wheel(0, 3_000)
        page.wait_for_timeout(50)
        if page.locator("#events .event").count() == 180:
            break
    expect(page.locator("#events .event")).to_have_count(180)
    months = page.locator("#events .month").all_text_contents()
    page.locator("#jump").select_option(label="Mar 2023")

    assert months == [
        f"{m} {y}" for y in (2024, 2023, 2022) for m in "Dec Nov Oct Sep Aug Jul Jun May Apr Mar Feb Jan".split()
    ]
    expect(page.locator("#events .month").first).to_have_text("Mar 2023")


def test_order_numbers_and_parts_of_addresses_lead_to_the_person_while_typing(
    server: RunningServer, open_page: Opening
) -> None:
    order = f"X-{uuid.uuid4().hex[:8]}"
    user_id = send_person(server, name="山田花子", properties={"order_id": order})
    server.settle()
    page = open_page("/console/customers")

    for text in (order[:6], "田花", f"{user_id}@exam", "花子 example.org"):
        page.locator("#query").press_sequentially(text)
        expect(page.locator("#results a.person")).to_have_count(1)
        expect(page.locator("#results a.person")).to_contain_text("山田花子")
        page.locator("#query").fill("")
        expect(page.locator("#found")).to_have_text("Newest customers")


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
def test_whatever_a_customer_wrote_is_text_and_fits(
    server: RunningServer, open_page: Opening, watched: Watched, width: int
) -> None:
    odd = {
        f"{SCRIPT}": SCRIPT,
        "picture": PICTURE,
        "\u202eturned": "\u202eabc",
        "family": "👩‍👩‍👧" * 40,
        "long": "Donaudampfschiff" * 200,
        "ar": "محمد الأحمد",
        "template": "{{ 7 * 7 }}",
    }
    user_id = f"{PICTURE}{uuid.uuid4().hex[:6]}"
    send_person(server, name=SCRIPT, user_id=user_id, traits=odd | {"email": None}, event=SCRIPT, page=PICTURE)
    server.send("/v1/identify", {"userId": f"{user_id}-2", "anonymousId": SCRIPT, "traits": {"name": SCRIPT}})
    server.send("/v1/track", {"userId": user_id, "anonymousId": SCRIPT, "event": "x"})
    server.settle()
    profile_id = id_of(server, user_id)
    page = open_page(f"/console/customers/{profile_id}", viewport={"width": width, "height": 800})

    page.get_by_label("New note").fill(SCRIPT + PICTURE)
    page.get_by_role("button", name="Keep the note").click()
    expect(section(page, "notes").locator("li")).to_contain_text(SCRIPT)
    trait = section(page, "traits").locator("li", has_text="picture")
    trait.get_by_text("Correct", exact=True).click()
    trait.get_by_label("Right value").fill(PICTURE)
    trait.get_by_label("Reason").fill(SCRIPT)
    trait.get_by_role("button", name="Correct it").click()
    expect(trait).to_contain_text(f"because {SCRIPT}")
    trait.get_by_role("button", name="Earlier values of picture").click()
    expect(trait.locator(".earlier li").first).to_be_visible()

    assert page.locator("main script, main img").count() == 0
    assert faults_in_light_and_dark(page, within="main") == []
    assert not any("onerror" in one for one in watched.addresses)


def test_ten_thousand_traits_and_no_trait_at_all_are_shown(server: RunningServer, open_page: Opening) -> None:
    users = [f"u-{uuid.uuid4().hex[:10]}" for _ in range(2)]
    for start in range(0, 10_000, 400):
        traits = {f"t{n:05d}": json.dumps(n) for n in range(start, start + 400)}
        assert server.send("/v1/identify", {"userId": users[0], "traits": traits}).status == 200
    server.send("/v1/page", {"anonymousId": users[1], "name": "Home"}, key="public")
    server.settle()
    empty = server.find_profile(f"anonymous_id:{users[1]}")
    assert empty is not None
    page = open_page(f"/console/customers/{id_of(server, users[0])}")
    expect(section(page, "traits").locator("#trait-list > li")).to_have_count(20)

    page.get_by_role("link", name="Show all 1,000").click()  # a strand keeps so many

    expect(section(page, "traits").locator("#trait-list > li")).to_have_count(1_000)
    page = open_page(f"/console/customers/{empty['id']}")
    expect(section(page, "traits")).to_contain_text("Nothing was said about this person yet")
    expect(section(page, "links")).to_contain_text("No event named two identifiers at once")
