"""What the door turned away can be seen, read as bytes and tried again."""

import base64

import pytest

from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tests.looks import looks
from tillit.errors import InputError
from tillit.ledger import UNKNOWN
from tillit.records import TRUST_CLAIMED, QuarantineRow
from tillit.workspace import Workspace


@pytest.fixture
def refused(ws: Workspace) -> Workspace:
    """Three that could not be taken: without anybody, with bytes that are no text, and one that is fine by now."""
    with pytest.raises(InputError):
        ws.append([{"type": "track", "event": "Nobody did it", "messageId": "q1"}])
    now = ws.now()
    good = b'{"type":"track","userId":"42","event":"Paid","messageId":"q3"}'
    ws.append_rows(
        [],
        [
            QuarantineRow(now, "web", TRUST_CLAIMED, "not_json", "The event is no JSON.", None, b"\xff\xfe\x00"),
            QuarantineRow(now, "web", TRUST_CLAIMED, "event_too_large", "The event is too large.", "q3", good),
        ],
    )
    return ws


def test_it_is_listed_newest_first_page_by_page_without_bytes(ask: Asker, refused: Workspace, keys: KeyRing) -> None:
    first = ask.get("/api/quarantine?limit=2", keys.reader).json()
    second = ask.get(f"/api/quarantine?limit=2&before={first['next']}", keys.reader).json()

    assert [one["quarantine_id"] for one in first["quarantine"] + second["quarantine"]] == [3, 2, 1]
    assert second["next"] is None
    assert first["quarantine"][1] == {
        "quarantine_id": 2,
        "received_at": "2026-03-01T09:00:00Z",
        "source": "web",
        "trust": "claimed",
        "code": "not_json",
        "reason": "The event is no JSON.",
        "message_id": None,
        "replayed": False,
    }


def test_it_can_be_listed_by_code(ask: Asker, refused: Workspace, keys: KeyRing) -> None:
    told = ask.get("/api/quarantine?code=event_too_large", keys.reader).json()

    assert [one["quarantine_id"] for one in told["quarantine"]] == [3]


def test_the_bytes_come_as_they_came_and_are_noted(ask: Asker, refused: Workspace, keys: KeyRing) -> None:
    text = ask.get("/api/quarantine/3", keys.reader).json()
    binary = ask.get("/api/quarantine/2", keys.reader).json()

    assert text["text"].startswith('{"type":"track"')
    assert base64.b64decode(text["raw_base64"]).decode() == text["text"]
    assert (base64.b64decode(binary["raw_base64"]), binary["text"]) == (b"\xff\xfe\x00", None)
    assert [(one.route, one.subject_ref) for one in looks(refused)] == [("GET /api/quarantine/{number}", UNKNOWN)] * 2


def test_what_is_fine_by_now_goes_into_the_log_once(ask: Asker, refused: Workspace, keys: KeyRing) -> None:
    first = ask.post("/api/quarantine/replay", {"ids": [1, 2, 3]}, keys.all)
    again = ask.post("/api/quarantine/replay", {"ids": [1, 2, 3]}, keys.all)
    refused.flush()

    assert first.json() == {"replayed": 1, "still_refused": 2}
    assert again.json() == {"replayed": 0, "still_refused": 2}
    assert refused.profiles.get("user_id:42")["counts"] == {"Paid": 1}
    assert ask.get("/api/quarantine/3", keys.reader).json()["replayed"] is True
