"""Quarantine in the console: grouped, explained, replayed, mended."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

import tillit.console.pages.quarantine as page_of_quarantine
from tests.console.conftest import Opening
from tests.console.desk_in_process import DeskInProcess
from tests.house.source_tree import ROOT
from tests.running import RunningServer
from tillit.collect.advice import ADVICE
from tillit.collect.limits import limits_from
from tillit.errors import InputError


def refuse(desk: DeskInProcess, n: int = 1, *, source: str = "till", **fields: object) -> list[int]:
    messages = [{"type": "track", "userId": f"u{i}", "messageId": f"m-{source}-{i}", **fields} for i in range(n)]
    with contextlib.suppress(InputError):
        desk.ws.append(messages, source=source)
    return [one.quarantine_id for one in desk.ws.quarantine.rows(limit=n)]


def widen(desk: DeskInProcess) -> None:
    """As an operator does who raises a limit and starts the server again."""
    desk.ws.limits = limits_from(desk.ws.settings.collect)._replace(key_bytes=400)


LONG = {"k" * 200: 1}


def test_every_code_of_the_reference_is_explained() -> None:
    page = Path(ROOT / "docs/reference/tracking-api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page.partition("## Quarantine codes")[2].partition("\n## ")[0], re.MULTILINE)

    assert sorted(ADVICE) == sorted(listed)


def test_what_waits_is_grouped_with_what_to_do(desk: DeskInProcess) -> None:
    refuse(desk, 3)
    refuse(desk, 2, source="web")

    page = desk.get("/console/quarantine").body.decode()

    assert re.search(r"<code>event_not_defined</code></a> <strong class=\"num\">5</strong>", page)
    assert "A track call says no event." in page
    assert "<bdi>till</bdi>" in page
    assert "<bdi>web</bdi>" in page


def test_the_list_is_filtered_by_code_and_source(desk: DeskInProcess) -> None:
    refuse(desk, 3)
    refuse(desk, 2, source="web", event="E", properties=7)

    def numbers(query: str) -> int:
        return desk.get(f"/console/quarantine?{query}").body.decode().count("Bytes of number")

    assert (numbers(""), numbers("source=web"), numbers("code=event_not_defined")) == (5, 2, 3)
    assert numbers("code=event_not_defined&source=web") == 0


def test_an_empty_quarantine_says_so(desk: DeskInProcess) -> None:
    assert b"Nothing is in quarantine" in desk.get("/console/quarantine").body


def test_one_is_replayed_and_the_answer_is_in_words(desk: DeskInProcess) -> None:
    (number,) = refuse(desk, event="E", properties=LONG)

    before = desk.post("/console/quarantine/replay", {"id": number}).body.decode()
    widen(desk)
    after = desk.post("/console/quarantine/replay", {"id": number}).body.decode()

    assert "None taken, 1 still refused." in before
    assert "1 taken, 0 still refused." in after
    assert desk.ws.log.head() == 1


def test_selected_ones_are_replayed_and_others_left(desk: DeskInProcess) -> None:
    numbers = refuse(desk, 3, event="E", properties=LONG)
    widen(desk)

    page = desk.post("/console/quarantine/replay", [("what", "selected"), ("id", numbers[0]), ("id", numbers[2])])

    assert "2 taken" in page.body.decode()
    assert [one.quarantine_id for one in desk.ws.quarantine.rows() if one.replayed_position is None] == [numbers[1]]


def test_all_of_a_code_are_replayed_in_parts_that_tell_how_far_they_are(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_quarantine, "_PART_ROWS", 4)
    refuse(desk, 10, event="E", properties=LONG)
    refuse(desk, 2, source="other")
    widen(desk)
    fields = {"what": "all", "code": "key_too_long"}

    told = []
    while True:
        page = desk.post("/console/quarantine/replay", fields, **{"x-part": "1"}).body.decode()
        told += re.findall(r'data-told="([^"]*)"', page)
        if "replay-more" not in page:
            break
        fields |= dict(re.findall(r'name="(from|n_taken|n_refused)" value="(\d+)"', page))

    assert told == [f"{n} taken, 0 still refused." for n in (4, 8, 10)]
    assert desk.ws.log.head() == 10
    assert desk.ws.quarantine.counts() == {"event_not_defined": 2}


def test_a_mended_event_is_taken_under_its_message_id_and_its_bytes_stay(desk: DeskInProcess) -> None:
    (number,) = refuse(desk)
    kept = desk.ws.quarantine.find(number)
    assert kept is not None
    mended = json.dumps({**json.loads(kept.raw), "event": "Mended"})

    page = desk.post(f"/console/quarantine/{number}/mend", {"text": mended})

    desk.ws.flush()
    after = desk.ws.quarantine.find(number)
    row = desk.ws.log.get([1])[1]
    assert page.status == 200
    assert after is not None
    assert (after.raw, after.replayed_position) == (kept.raw, 1)
    assert row.body is not None
    assert json.loads(row.body)["messageId"] == kept.message_id
    assert (row.source, row.received_at) == (kept.source, kept.received_at)
    again = desk.post(f"/console/quarantine/{number}/mend", {"text": mended})
    assert again.status == 422
    assert desk.ws.log.head() == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{", "not valid JSON", id="no JSON"),
        pytest.param(
            '{"userId":"u","messageId":"m-till-0"}',
            "no &#39;type&#39;|&#39;type&#39;|no &#39;event&#39;",
            id="as wrong",
        ),
        pytest.param('{"userId":"u","event":"E","messageId":"other"}', "keeps its messageId", id="another id"),
        pytest.param('{"userId":"u","event":"E"}', "keeps its messageId", id="no id"),
        pytest.param("", "not valid JSON|no event", id="empty"),
    ],
)
def test_a_mended_text_that_is_still_wrong_is_kept_in_the_form(desk: DeskInProcess, text: str, why: str) -> None:
    (number,) = refuse(desk)

    page = desk.post(f"/console/quarantine/{number}/mend", {"text": text})

    assert page.status == 422
    assert re.search(why, page.body.decode())
    assert desk.ws.log.head() == 0


def test_a_reader_sees_and_may_not_replay(desk: DeskInProcess) -> None:
    (number,) = refuse(desk)
    desk.become("reader")

    assert b"Replay selected" not in desk.get("/console/quarantine").body
    assert b"Mend and replay" not in desk.get(f"/console/quarantine/{number}").body
    assert desk.post("/console/quarantine/replay", {"id": number}).status == 403
    assert desk.post(f"/console/quarantine/{number}/mend", {"text": "{}"}).status == 403


def test_a_number_that_is_not_there_is_not_found(desk: DeskInProcess) -> None:
    assert desk.get("/console/quarantine/999").status == 404
    assert desk.post("/console/quarantine/999/mend", {"text": "{}"}).status == 404


def test_mending_in_a_browser_says_whether_it_is_json(server: RunningServer, open_page: Opening) -> None:
    server.send("/v1/track", {"userId": "mend-me", "messageId": "mend-1"})
    page = open_page("/console/quarantine")
    page.locator(".kept a", has_text="mend").first.click()

    page.locator("#text").fill("{")
    expect(page.locator("#json-state")).to_contain_text("Not valid JSON yet")
    page.locator("#text").fill('{"type":"track","userId":"mend-me","messageId":"mend-1","event":"Mended Here"}')
    expect(page.locator("#json-state")).to_have_text("This is valid JSON.")
    page.get_by_role("button", name="Replay the mended event").click()

    expect(page.locator(".notice-good")).to_contain_text("Taken.")
    server.settle()
    page.get_by_role("link", name="See the event").click()
    expect(page.locator("h1")).to_contain_text("Mended Here")
