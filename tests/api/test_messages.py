"""Messages and destinations over the API, to a real receiver on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.asking import Asker
from tests.api.test_description import shape
from tests.deliver.receiver import Receiver, always, reply
from tests.deliver.shop_that_sends import CRM, HELLO, MESSENGER, carry, make_shop, receiving
from tests.looks import looks
from tillit.access import API_SCOPES
from tillit.api import create_api
from tillit.api.description import EXAMPLES
from tillit.workspace import Workspace

SENT = {"template": "hello", "to": "user_id:ana", "data": {"order": "4711"}}


@pytest.fixture
def ws(workspace_dir: Path) -> Iterator[Workspace]:
    with make_shop(workspace_dir) as shop:
        yield shop


@pytest.fixture
def ask(ws: Workspace) -> Iterator[Asker]:
    api = create_api(ws)
    asker = Asker(api)
    yield asker
    api.close()
    asker.close()


@pytest.fixture
def key(ws: Workspace) -> str:
    return ws.keys.create("api", "office", scopes=API_SCOPES, purposes=["service", "newsletter"])[0]


@pytest.fixture
def there(ws: Workspace) -> Iterator[Receiver]:
    with receiving(always(reply(200))) as one:
        apply(ws, MESSENGER.format(url=one.url), HELLO)
        yield one


def apply(ws: Workspace, *texts: str) -> None:
    for text in texts:
        ws.deliveries.apply(text, reason="", operator="kim")


def test_a_message_that_is_asked_for_leaves_once_and_its_life_is_told(
    ws: Workspace, ask: Asker, key: str, there: Receiver
) -> None:
    asked = ask.post("/api/messages", SENT, key)
    before = ask.get(f"/api/messages/{asked.json()['id']}", key)
    carry(ws)
    life = ask.get(f"/api/messages/{asked.json()['id']}", key)

    assert asked.status == 202, asked.json()
    assert before.json()["state"] == "asked"
    assert [one.document["data"]["fields"]["text"] for one in there.requests] == [
        "Hello Ana, order 4711 is on its way."
    ]
    assert (life.json()["state"], [one["outcome"] for one in life.json()["attempts"]]) == ("delivered", ["delivered"])
    assert shape(life.json()) == shape(EXAMPLES["GET /api/messages/{message_id}"][1])


def test_the_same_key_and_body_are_answered_alike_and_send_nothing_more(
    ws: Workspace, ask: Asker, key: str, there: Receiver
) -> None:
    told = [ask.post("/api/messages", SENT, key, headers={"Idempotency-Key": "order-4711"}) for _ in range(2)]
    carry(ws)
    told.append(ask.post("/api/messages", SENT, key, headers={"Idempotency-Key": "order-4711"}))
    carry(ws)

    assert [one.status for one in told] == [202, 200, 200]
    assert told[0].json() == told[1].json() == told[2].json()
    assert len(there.requests) == 1


def test_another_body_under_a_used_key_is_refused_and_sends_nothing(
    ws: Workspace, ask: Asker, key: str, there: Receiver
) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    ask.post("/api/messages", SENT, key, headers=headers)

    other = ask.post("/api/messages", {**SENT, "data": {"order": "4712"}}, key, headers=headers)
    carry(ws)

    assert (other.status, other.code) == (409, "deliver.key-reused")
    assert len(there.requests) == 1


def test_what_one_key_named_is_free_for_another(ws: Workspace, ask: Asker, key: str, there: Receiver) -> None:
    headers = {"Idempotency-Key": "order-4711"}
    second = ws.keys.create("api", "till", scopes=API_SCOPES)[0]

    told = [ask.post("/api/messages", SENT, one, headers=headers) for one in (key, second)]
    carry(ws)

    assert [one.status for one in told] == [202, 202]
    assert len(there.requests) == 2


@pytest.mark.parametrize("length", [0, 257])
def test_a_key_has_1_to_256_characters(ask: Asker, key: str, there: Receiver, length: int) -> None:
    told = ask.post("/api/messages", SENT, key, headers={"Idempotency-Key": "k" * length})

    assert told.status == 400


def test_what_a_request_noted_and_the_log_never_had_is_sent_when_it_is_asked_again(
    ws: Workspace, ask: Asker, key: str, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> tuple[int, int]:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(ws.deliveries, "_append", die)
        first = ask.post("/api/messages", SENT, key, headers={"Idempotency-Key": "order-4711"})
    again = ask.post("/api/messages", SENT, key, headers={"Idempotency-Key": "order-4711"})
    carry(ws)

    assert (first.status, again.status) == (500, 200)
    assert len(there.requests) == 1


def test_a_key_sends_for_the_purposes_that_it_was_made_for(ws: Workspace, ask: Asker, there: Receiver) -> None:
    news = ws.keys.create("api", "news", scopes=API_SCOPES, purposes=["newsletter"])[0]
    reader = ws.keys.create("api", "reader", scopes=["messages:read"])[0]

    told = [ask.post("/api/messages", SENT, one) for one in (news, reader)]
    carry(ws)

    assert [(one.status, one.code) for one in told] == [
        (403, "api.purpose-not-allowed"),
        (403, "api.missing-scope"),
    ]
    assert there.requests == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"template": "unknown"}, "deliver.unknown-template"),
        ({"purpose": "newsletter"}, "deliver.other-purpose"),
        ({"to": "ana"}, "deliver.request-invalid"),
        ({"data": {"order": "x" * 20_000}}, "deliver.request-invalid"),
        ({"too": "user_id:ana"}, "api.bad-request"),
    ],
    ids=["template", "purpose", "to", "data", "field"],
)
def test_what_cannot_be_sent_is_refused_with_its_code(
    ask: Asker, key: str, there: Receiver, change: dict[str, Any], code: str
) -> None:
    told = ask.post("/api/messages", {**SENT, **change}, key)

    assert (told.status, told.code) == (400, code)


def test_the_recipients_own_words_are_for_those_who_may_read_the_person(ws: Workspace, ask: Asker, key: str) -> None:
    with receiving(always(reply(422, "bo@example.org is not known here"))) as there:
        apply(ws, MESSENGER.format(url=there.url), HELLO)
        asked = ask.post("/api/messages", {**SENT, "to": "user_id:bo"}, key)
        carry(ws)
    path = f"/api/messages/{asked.json()['id']}"

    may, may_not = ask.get(path, key).json(), ask.get(f"{path}?purpose=newsletter", key).json()

    assert (may["state"], may["code"], may["reason"]) == ("refused", "http.422", "It answered 422.")
    assert "bo@example.org" in may["attempts"][0]["said"]
    assert (may_not["attempts"][0]["said"], may_not["withheld"]) == (None, "no_consent")
    assert {one.route for one in looks(ws)} == {"GET /api/messages/{message_id}"}
    assert {one.purpose for one in looks(ws)} == {"service", "newsletter"}


def test_messages_of_a_person_are_listed_by_address_and_body_alike(
    ws: Workspace, ask: Asker, key: str, there: Receiver
) -> None:
    for who in ("ana", "bo"):
        ask.post("/api/messages", {**SENT, "to": f"user_id:{who}"}, key)
    ws.deliveries.pause("messenger", by="kim")
    carry(ws)

    by_address = ask.get("/api/messages?to=email:ana@example.org", key).json()
    by_body = ask.post("/api/messages/lookup", {"identifier": "user_id:ana"}, key).json()
    unknown = ask.get("/api/messages?to=user_id:nobody", key)
    pages = [ask.get("/api/messages?limit=1", key).json()]
    pages.append(ask.get(f"/api/messages?limit=1&before={pages[0]['next']}", key).json())

    assert by_address == by_body
    assert [one["state"] for one in by_address["messages"]] == ["waiting"]
    assert (unknown.status, unknown.code) == (404, "profile.unknown")
    assert len({one["id"] for page in pages for one in page["messages"]}) == 2
    assert pages[1]["next"] is None


def test_a_message_that_nobody_asked_for_is_not_found(ask: Asker, key: str) -> None:
    told = [ask.get(f"/api/messages/{one}", key) for one in ("0" * 32, "no-hex")]

    assert [(one.status, one.code) for one in told] == [(404, "deliver.unknown-message")] * 2
    assert ask.get("/api/messages?outcome=lost", key).code == "deliver.unknown-state"


def test_whoever_is_suppressed_gets_nothing_until_they_are_taken_off(
    ws: Workspace, ask: Asker, key: str, there: Receiver
) -> None:
    added = ask.post("/api/suppressions", {"whom": "user_id:ana", "reason": "operator", "words": "Ana called."}, key)
    first = ask.post("/api/messages", SENT, key)
    carry(ws)
    listed = ask.get("/api/suppressions", key).json()["suppressions"]
    hidden = ask.get("/api/suppressions?purpose=newsletter", key).json()["suppressions"]
    number = added.json()["suppression_id"]
    lifted = ask("DELETE", f"/api/suppressions/{number}", key=key, body={"words": "She called again."})
    ask.post("/api/messages", SENT, key)
    carry(ws)

    assert (added.status, lifted.status) == (201, 200)
    assert ask.get(f"/api/messages/{first.json()['id']}", key).json()["state"] == "withheld"
    assert [one["words"] for one in listed] == ["Ana called."] == [one["words"] for one in hidden]
    assert shape(listed[0]) == shape(EXAMPLES["GET /api/suppressions"][1]["suppressions"][0])
    assert ask.get("/api/suppressions", key).json()["suppressions"] == []
    assert len(ask.get("/api/suppressions?with_lifted=true", key).json()["suppressions"]) == 1
    assert len(there.requests) == 1


def test_an_address_and_what_is_none(ws: Workspace, ask: Asker, key: str) -> None:
    good = [
        ask.post("/api/suppressions", {"whom": whom, "reason": "operator", "words": "Bo asked."}, key)
        for whom in ("address:bo@example.org", "domain:example.net")
    ]
    bad = [
        ask.post("/api/suppressions", {"whom": whom, "reason": reason}, key)
        for whom, reason in (("address:bo", "operator"), ("user_id:x", "operator"), ("domain:example.net", "mood"))
    ]
    told = ask.get("/api/suppressions?purpose=newsletter", key)

    assert [one.status for one in good] == [201, 201]
    assert [one.code for one in bad] == [
        "deliver.suppression-invalid",
        "profile.unknown",
        "deliver.unknown-reason",
    ]
    assert "bo@example.org" not in told.body.decode()
    # What was said of Bo is not told for news, to which he said nothing.
    assert [one["words"] for one in told.json()["suppressions"]] == ["Bo asked.", None]


def test_a_destination_that_refuses_is_shown_paused_resumed_and_tried_again(
    ws: Workspace, ask: Asker, key: str
) -> None:
    answers = [reply(422), reply(200)]

    async def answering(_: Any, writer: Any) -> None:
        writer.write(answers.pop(0))
        await writer.drain()

    with receiving(answering) as there:
        apply(ws, CRM.format(url=there.url))
        carry(ws)
        shown = ask.get("/api/destinations/crm", key).json()
        paused = ask.post("/api/destinations/crm/pause", None, key)
        replayed = ask.post("/api/destinations/crm/replay", {"code": "http.422"}, key)
        carry(ws)
        n_while_paused = len(there.requests)
        ask.post("/api/destinations/crm/resume", None, key)
        carry(ws)
    after = ask.get("/api/destinations", key).json()["destinations"]

    assert [(one["code"], one["n"]) for one in shown["failures"]] == [("http.422", 1)]
    assert shape({**shown, "fields": [], "records": {}, "minutes": []}) == shape(
        {**EXAMPLES["GET /api/destinations/{name}"][1], "fields": [], "records": {}, "minutes": []}
    ) | {"counts": "…"}
    assert (paused.json()["state"], paused.json()["pause_reason"]) == ("paused", "A colleague paused it.")
    assert replayed.json() == {"destination": "crm", "replayed": 1}
    assert (n_while_paused, len(there.requests)) == (1, 2)
    assert [(one["state"], one["counts"]["delivered"], "refused" in one["counts"]) for one in after] == [
        ("well", 1, False)
    ]
    assert [one.action for one in ws.audit.actions()] == [
        "destination.resume",
        "destination.replay",
        "destination.pause",
    ]


def test_a_destination_is_checked_without_anybodys_values(ws: Workspace, ask: Asker, key: str, there: Receiver) -> None:
    told = ask.post("/api/destinations/messenger/check", None, key)

    assert told.json()["is_well"], told.json()
    assert b"Ana" not in b"".join(one.body for one in there.requests)
    assert ask.get("/api/destinations/unknown", key).status == 404
