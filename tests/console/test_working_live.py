"""Live and the page of an event: sifted by the server, raw beside understood, refusals among the events."""

from __future__ import annotations

import json
import uuid

from playwright.sync_api import expect

from tests.console.conftest import Opening, Watched
from tests.console.desk_in_process import DeskInProcess
from tests.running import RunningServer
from tests.signing import Signer
from tillit.clock import SECOND
from tillit.console.understood import mark_lines
from tillit.records import TRUST_CLAIMED

SCRIPT = "<script>alert(1)</script>"


def told(desk: DeskInProcess) -> None:
    desk.ws.append(
        [
            {"type": "identify", "userId": "ana", "traits": {"name": "Ana Prado"}, "messageId": "a1"},
            {"type": "track", "event": "Kettle Boiled", "userId": "ana", "messageId": "a2"},
            {"type": "page", "name": "Home", "anonymousId": "visitor-1", "messageId": "a3"},
        ]
    )
    desk.ws.append([{"type": "track", "event": "Bell Rung", "userId": "bo", "messageId": "b1"}], source="till")
    desk.ws.flush()


def names(page: str) -> list[str]:
    return [name for name in ("Kettle Boiled", "Home", "Bell Rung", "event_not_defined") if f"{name}</" in page]


def refuse(desk: DeskInProcess, **fields: object) -> int:
    import contextlib

    from tillit.errors import InputError

    with contextlib.suppress(InputError):
        desk.ws.append([{"type": "track", "userId": "ana", "messageId": uuid.uuid4().hex, **fields}])
    return desk.ws.quarantine.rows(limit=1)[0].quarantine_id


def test_the_server_sifts_by_type_source_person_and_fate(desk: DeskInProcess) -> None:
    told(desk)
    refuse(desk)

    def sifted(**fields: str) -> list[str]:
        page = desk.post("/console/live", fields, **{"x-part": "1"})
        assert page.status == 200
        return names(page.body.decode())

    assert sifted() == ["Kettle Boiled", "Home", "Bell Rung", "event_not_defined"]
    assert sifted(type="page") == ["Home"]
    assert sifted(source="till") == ["Bell Rung"]
    assert sifted(text="ana prado") == ["Kettle Boiled"]  # her name stands in another event
    assert sifted(only="refused") == ["event_not_defined"]
    assert sifted(only="taken") == ["Kettle Boiled", "Home", "Bell Rung"]
    assert sifted(text="nobody") == []


def test_a_refusal_stands_among_the_events_and_can_be_replayed(server: RunningServer, open_page: Opening) -> None:
    page = open_page("/console/live")
    expect(page.locator("#state-text")).to_have_text("live")
    n_before = page.locator(".event.is-refused").count()

    server.send("/v1/track", {"userId": "u", "properties": {"mark": "red row"}})

    expect(page.locator(".event.is-refused")).to_have_count(n_before + 1)
    row = page.locator(".event.is-refused").first
    expect(row).to_contain_text("event_not_defined")
    row.locator("a.opens").click()
    expect(row.locator(".detail")).to_contain_text("red row")
    expect(row.get_by_role("button", name="Replay")).to_be_visible()
    row.get_by_role("button", name="Replay").click()
    expect(page.locator(".notice[data-told]")).to_have_text("None taken, 1 still refused.")


def test_what_is_searched_for_stays_out_of_addresses(
    server: RunningServer, open_page: Opening, watched: Watched
) -> None:
    mark = f"zebra{uuid.uuid4().hex[:6]}"
    server.send("/v1/track", {"userId": "z", "event": f"Seen {mark}"})
    server.settle()
    page = open_page("/console/live")

    page.locator("#filter").fill(mark)

    expect(page.locator(".event:visible")).to_have_count(1)
    expect(page.locator(".event")).to_have_count(1)  # the server has answered, too
    assert not [address for address in watched.addresses if mark in address]


def test_the_filter_works_without_scripts(server: RunningServer, open_page: Opening) -> None:
    mark = f"Quiet {uuid.uuid4().hex[:6]}"
    server.send("/v1/track", {"userId": "q", "event": mark})
    server.settle()
    page = open_page("/console/live", java_script_enabled=False)

    page.locator("#filter").fill(mark)
    page.get_by_role("button", name="Apply").click()

    expect(page.locator(".event")).to_have_count(1)


def test_an_event_says_which_identifiers_count_and_why_others_do_not(desk: DeskInProcess) -> None:
    desk.ws.append(
        [
            {
                "type": "identify",
                "userId": "null",
                "anonymousId": "device-1",
                "traits": {"email": "Ana@Example.ORG", "phone": "12"},
                "context": {"externalIds": [{"type": "Bad Kind!", "id": "7"}, {"type": "card", "id": "c-1"}]},
            }
        ],
        trust=TRUST_CLAIMED,
    )
    desk.ws.flush()

    page = desk.get("/console/events/e1-1").body.decode()

    assert "programs send this when they have no id" in page
    assert "came as <bdi>Ana@Example.ORG</bdi>" in page
    assert "<bdi>ana@example.org</bdi>" in page
    assert "it is not a telephone number of 7 to 15 digits" in page
    assert "no namespace can be called so" in page
    assert "Applied: it counts in a profile." in page
    assert "joins no two known people" in page


def test_an_event_says_what_its_identity_token_came_to(desk: DeskInProcess) -> None:
    signer = Signer(desk.ws.keys.create("identity", "web")[0])
    ends = desk.ws.now() // SECOND + 300
    good, late = (signer.token("user_id:ana", exp=exp) for exp in (ends, ends - 600))
    for token in (good, good, late):
        desk.ws.append([{"type": "track", "event": "E", "anonymousId": "d", "context": {"identityToken": token}}])
    desk.ws.flush()

    pages = [desk.get(f"/console/events/e1-{n}").body.decode() for n in (1, 2, 3)]

    for page, told in zip(pages, ["proves who this is", "was used before", "proves nothing: expired"], strict=True):
        assert told in page
        assert good not in page
        assert late not in page


def test_the_clock_the_robot_and_the_fate_are_told(desk: DeskInProcess) -> None:
    message = {
        "type": "track",
        "event": "E",
        "userId": "u",
        "messageId": "same",
        "timestamp": "2025-06-15T11:00:00Z",
        "sentAt": "2025-06-15T11:00:00Z",
        "context": {"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"},
    }
    desk.ws.append([message])
    desk.ws.append([message])
    desk.ws.flush()

    first, second = (desk.get(f"/console/events/e1-{n}").body.decode() for n in (1, 2))

    assert "s behind ours" in first
    assert "yes: search" in first
    assert "A repeat: the same message was applied before" in second


def test_what_the_door_stamped_is_marked_and_nothing_else() -> None:
    context = {"ip": "1", "bot": {"is_bot": True, "kind": "k"}, "page": {"ip": "x"}}
    event = {"type": "track", "timestamp": "t", "context": context, "clock": "clamped"}
    body = json.dumps({**event, "properties": {"timestamp": "mine"}}).encode()

    marked = [line.text.strip() for line in mark_lines(body) if line.is_stamped]

    assert marked == [
        '"timestamp": "t",',
        '"ip": "1",',
        '"bot": {',
        '"is_bot": true,',
        '"kind": "k"',
        "},",
        '"clock": "clamped",',
    ]


def test_a_script_in_any_shown_field_is_text(desk: DeskInProcess) -> None:
    desk.ws.append(
        [
            {
                "type": "track",
                "event": SCRIPT,
                "userId": SCRIPT,
                "messageId": SCRIPT,
                "properties": {SCRIPT: SCRIPT},
                "context": {"externalIds": [{"type": SCRIPT, "id": SCRIPT}]},
            }
        ],
        source=SCRIPT.replace(" ", ""),
    )
    number = refuse(desk, properties={SCRIPT: SCRIPT}, name=SCRIPT)
    desk.ws.flush()
    paths = (
        *("/console", "/console/live", "/console/events/e1-1", "/console/quarantine", "/console/sources"),
        f"/console/quarantine/{number}",
    )

    for path in paths:
        page = desk.get(path)

        assert page.status == 200
        assert SCRIPT.encode() not in page.body, path
    assert b"&lt;script&gt;" in desk.get("/console/events/e1-1").body
