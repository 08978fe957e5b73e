"""Sources and keys in the console: made once, rotated, revoked; waiting turns green."""

from __future__ import annotations

import html
import json
import re
import uuid

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Opening, Watched
from tests.console.desk_in_process import DeskInProcess
from tests.running import RunningServer, basic
from tillit.clock import HOUR, SECOND
from tillit.console.snippets import list_snippets


def made(desk: DeskInProcess, **fields: str) -> tuple[str, str]:
    """Make a key; give it and its id."""
    page = desk.post("/console/sources/keys", {"kind": "secret", "source": "till", **fields})
    assert page.status == 200, page.body[-800:]
    found = re.search(rb'id="plain-key"[^>]*><code>([^<]+)</code>', page.body)
    assert found is not None
    return found[1].decode(), desk.ws.keys.list_all()[0].key_id


def test_a_key_is_shown_once_and_nowhere_again(desk: DeskInProcess) -> None:
    plain, key_id = made(desk)

    assert desk.ws.keys.find(plain) is not None
    for path in ("/console/sources", f"/console/sources/keys/{key_id}", "/console", "/console/live"):
        answer = desk.get(path)
        assert plain.encode() not in answer.body
    again = desk.post("/console/sources/keys", {"kind": "secret", "source": "till"})
    assert again.headers["cache-control"] == "no-store"
    assert plain.encode() not in again.body


def test_snippets_hold_this_servers_address_and_the_new_key() -> None:
    shown = {one.id: one.text for one in list_snippets("https://events.shop.example")}
    public = list_snippets("https://events.shop.example", kind="public", key="pk_x")

    assert set(shown) == {"browser", "node", "python", "rudder", "kotlin", "swift", "curl", "pixel"}
    assert all("events.shop.example" in text for text in shown.values())
    assert not any(word in text for text in shown.values() for word in ("BASE", "HOST"))
    assert [one.id for one in public] == ["browser", "kotlin", "swift", "pixel"]
    assert all("pk_x" in one.text for one in public)


def test_an_identity_key_is_a_private_key_of_which_the_public_half_is_kept(desk: DeskInProcess) -> None:
    written, key_id = made(desk, kind="identity", source="web")
    plain = html.unescape(written)

    key = json.loads(plain)
    kept = desk.ws.keys.find_identity(key_id)
    shown = desk.get(f"/console/sources/keys/{key_id}")

    assert kept is not None
    assert (key["kid"], key["x"], kept.may_send) == (key_id, kept.public_key, False)
    assert (shown.status, key["d"].encode() in shown.body) == (200, False)
    assert desk.ws.keys.find(plain) is None


def test_what_a_key_may_do_is_kept(desk: DeskInProcess) -> None:
    made(desk, kind="public", origins="https://a.example https://*.b.example")
    public = desk.ws.keys.list_all()[0]
    fields = [
        ("kind", "api"),
        ("source", "office"),
        ("scope", "events:read"),
        ("scope", "keys:read"),
        ("purpose", "analytics"),
    ]
    assert desk.post("/console/sources/keys", fields).status == 200
    api = next(key for key in desk.ws.keys.list_all() if key.kind == "api")

    assert public.origins == ("https://a.example", "https://*.b.example")
    assert (api.scopes, api.purpose) == (("events:read", "keys:read"), "analytics")
    for key, told in ((public, b"https://a.example, https://*.b.example"), (api, b"events:read, keys:read")):
        page = desk.get(f"/console/sources/keys/{key.key_id}")
        assert (page.status, told in page.body) == (200, True)
    assert b"<dt>Purposes</dt><dd>analytics</dd>" in desk.get(f"/console/sources/keys/{api.key_id}").body


def test_rotating_lets_the_old_key_live_for_its_grace_and_no_longer(desk: DeskInProcess) -> None:
    old, key_id = made(desk)

    page = desk.post(f"/console/sources/keys/{key_id}/rotate", {"grace": "hour"})
    new = re.search(rb'id="plain-key"[^>]*><code>([^<]+)</code>', page.body)
    assert new is not None
    fresh = new[1].decode()

    assert desk.ws.keys.find(old) is not None
    desk.clock.at += HOUR - SECOND
    assert desk.ws.keys.find(old) is not None
    desk.clock.at += SECOND
    assert desk.ws.keys.find(old) is None
    found = desk.ws.keys.find(fresh)
    assert found is not None
    assert (found.source, found.kind) == ("till", "secret")


def test_a_key_rotated_until_it_is_revoked_lives_on(desk: DeskInProcess) -> None:
    old, key_id = made(desk)

    desk.post(f"/console/sources/keys/{key_id}/rotate", {"grace": "revoked"})
    desk.clock.at += 10 * HOUR
    assert desk.ws.keys.find(old) is not None
    desk.post(f"/console/sources/keys/{key_id}/revoke", {"sure": "yes"})

    assert desk.ws.keys.find(old) is None


def test_a_grace_is_cut_short_by_revoking_and_never_made_longer(desk: DeskInProcess) -> None:
    old, key_id = made(desk)
    desk.post(f"/console/sources/keys/{key_id}/rotate", {"grace": "week"})

    desk.post(f"/console/sources/keys/{key_id}/revoke", {"sure": "yes"})
    ended = desk.ws.keys.list_all()
    desk.post(f"/console/sources/keys/{key_id}/rotate", {"grace": "week"})

    assert desk.ws.keys.find(old) is None
    assert {key.revoked_at for key in ended if key.key_id == key_id} == {desk.clock.at}


def test_revoking_asks_whether_one_is_sure(desk: DeskInProcess) -> None:
    plain, key_id = made(desk)

    assert desk.post(f"/console/sources/keys/{key_id}/revoke").status == 400
    assert desk.ws.keys.find(plain) is not None


@pytest.mark.parametrize("role", ["reader", "editor"])
def test_only_an_admin_makes_rotates_and_revokes(desk: DeskInProcess, role: str) -> None:
    plain, key_id = made(desk)
    desk.become(role)

    answers = [
        desk.post("/console/sources/keys", {"kind": "secret", "source": "x"}),
        desk.post(f"/console/sources/keys/{key_id}/rotate", {"grace": "hour"}),
        desk.post(f"/console/sources/keys/{key_id}/revoke", {"sure": "yes"}),
    ]

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert desk.ws.keys.find(plain) is not None
    assert len(desk.ws.keys.list_all()) == 1
    assert desk.get("/console/sources").status == 200


def test_without_the_forms_token_no_key_is_made(desk: DeskInProcess) -> None:
    desk.token = "wrong"

    assert desk.post("/console/sources/keys", {"kind": "secret", "source": "x"}).status == 403
    assert desk.ws.keys.list_all() == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": "other"}, id="kind"),
        pytest.param({"source": "two words"}, id="source"),
        pytest.param({"kind": "api", "scope": "all:all"}, id="scope"),
        pytest.param({"purpose": "anything"}, id="purpose"),
    ],
)
def test_a_form_with_a_wrong_value_makes_no_key(desk: DeskInProcess, fields: dict[str, str]) -> None:
    answer = desk.post("/console/sources/keys", {"kind": "secret", "source": "till", **fields})

    assert answer.status == 400
    assert desk.ws.keys.list_all() == []


def test_waiting_turns_green_with_the_first_event_of_that_source(
    server: RunningServer, open_page: Opening, watched: Watched
) -> None:
    source = f"till-{uuid.uuid4().hex[:6]}"
    page = open_page("/console/sources")
    page.locator("#source").fill(source)
    page.locator('input[value="secret"]').check()
    page.get_by_role("button", name="Make the key").click()
    plain = page.locator("#plain-key").inner_text().strip()
    expect(page.locator("#heard")).to_contain_text(f"Waiting for the first event from {source}")
    server.send("/v1/track", {"userId": "u", "event": "Of Another Source"})

    headers = {"Content-Type": "application/json", "Authorization": basic(plain)}
    sent = server.request("POST", "/v1/track", body=b'{"userId":"u","event":"First"}', headers=headers)

    assert sent.status == 200
    expect(page.locator('#heard[data-heard="yes"]')).to_have_count(1, timeout=5_000)
    page.get_by_role("link", name="See it").click()
    expect(page.locator("h1")).to_contain_text("First")
    assert not [address for address in watched.addresses if plain in address]


def test_a_revoked_key_is_refused_by_the_next_request(server: RunningServer, open_page: Opening) -> None:
    source = f"gone-{uuid.uuid4().hex[:6]}"
    page = open_page("/console/sources")
    page.locator("#source").fill(source)
    page.locator('input[value="secret"]').check()
    page.get_by_role("button", name="Make the key").click()
    plain = page.locator("#plain-key").inner_text().strip()
    headers = {"Content-Type": "application/json", "Authorization": basic(plain)}
    page.get_by_role("link", name="Done").click()
    page.locator(".rows > li", has_text=source).locator(".keys-of a").click()

    page.get_by_label("Nothing uses this key any more").check()
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator(".health-bad")).to_have_text("revoked")

    assert server.request("POST", "/v1/track", body=b'{"userId":"u","event":"E"}', headers=headers).status == 401
