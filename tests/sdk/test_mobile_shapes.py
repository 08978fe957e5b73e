"""What the mobile SDKs put on the wire, sent over a real socket: no SDK of theirs can run here.

The shapes are those of analytics-kotlin's and analytics-swift's HTTP clients: a file of events is posted as it lies
on the device, with the key in the body and in no header, and posted again whole until it is answered with success.
"""

from __future__ import annotations

import gzip
import http.client
import json
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.running import RunningServer
from tests.sdk.arrivals import assert_in_profile_once, fates_of_resends
from tests.sdk.story import N_CALLS, Customer, shopping_trip, somebody

pytestmark = pytest.mark.slow

Event = dict[str, Any]

ANDROID = {
    "app": {"name": "Shop", "version": "3.1", "namespace": "org.example.shop", "build": "31"},
    "device": {"id": "d1", "manufacturer": "Acme", "model": "One", "name": "one", "type": "android"},
    "library": {"name": "analytics-kotlin", "version": "1.19.1"},
    "locale": "de-DE",
    "network": {"cellular": False, "wifi": True, "bluetooth": False},
    "os": {"name": "Android", "version": "14"},
    "screen": {"density": 2.625, "height": 2154, "width": 1080},
    "timezone": "Europe/Berlin",
}
IPHONE = {
    "app": {"name": "Shop", "version": "3.1", "namespace": "org.example.shop", "build": "31"},
    "device": {"id": "d2", "manufacturer": "Apple", "model": "iPhone15,2", "name": "iPhone", "type": "ios"},
    "instanceId": "7C2D1A55-8C0B-4B57-9C1C-0B7F6B2C9E11",
    "library": {"name": "analytics-swift", "version": "1.7.3"},
    "locale": "de-DE",
    "os": {"name": "iOS", "version": "18.2"},
    "timezone": "Europe/Berlin",
}


def on_the_device(who: Customer, context: dict[str, Any], *, user_id_when_unknown: dict[str, Any]) -> list[Event]:
    """The story as a mobile SDK keeps it: every event names the device, and has its message id already."""
    empty = {"integrations": {}, "context": context, "timestamp": "2026-11-21T23:34:27.367Z"}
    metadata: dict[str, list[str]] = {"bundled": [], "bundledIds": [], "unbundled": []}
    return [
        {
            **empty,
            **user_id_when_unknown,
            **call,
            "anonymousId": who.device,
            "messageId": str(uuid.uuid4()).upper(),
            "_metadata": metadata,
        }
        for call in shopping_trip(who)
    ]


def file_on_the_device(events: list[Event], key: str) -> bytes:
    """The upload file: written event by event, closed with when and for whom."""
    lines = ",\n".join(json.dumps(event) for event in events)
    return f'{{ "batch": [\n{lines}\n],"sentAt":"2026-11-21T23:34:29.001Z","writeKey":"{key}"}}'.encode()


def in_pieces(body: bytes, size: int) -> Iterable[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def post_like_android(server: RunningServer, body: bytes, *, piece: int) -> int:
    """POST as HttpURLConnection does with chunked streaming: gzip, no length, text/plain, no Authorization."""
    target = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=15)
    headers = {
        "Content-Type": "text/plain",
        "Content-Encoding": "gzip",
        "Transfer-Encoding": "chunked",
        "User-Agent": "analytics-kotlin/1.19.1",
        "Accept-Encoding": "gzip",
    }
    try:
        connection.request("POST", "/v1/b", in_pieces(gzip.compress(body), piece), headers, encode_chunked=True)
        return connection.getresponse().status
    finally:
        connection.close()


def post_like_ios(server: RunningServer, body: bytes) -> int:
    """POST as URLSession does: plain, application/json with a charset, no Authorization."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "analytics-ios/1.0",
        "Accept-Encoding": "gzip",
    }
    return server.request("POST", "/v1/b", body=body, headers=headers).status


# The smallest piece puts the boundary of a chunk between any two bytes; the largest sends one chunk.
@pytest.mark.parametrize("piece", [1, 997, 1_000_000], ids="{} bytes a chunk".format)
def test_an_android_upload_arrives_once_however_it_is_chunked(server: RunningServer, piece: int) -> None:
    ana = somebody()
    # Before a login this SDK sends an empty user id, which is nobody's.
    events = on_the_device(ana, ANDROID, user_id_when_unknown={"userId": ""})
    body = file_on_the_device(events, server.keys["public"])

    statuses = [post_like_android(server, body, piece=piece) for _ in range(2)]

    assert statuses == [200, 200]
    message_ids = [event["messageId"] for event in events]
    assert_in_profile_once(server, ana, ana.device, message_ids)
    assert fates_of_resends(server, message_ids) == ["duplicate"] * N_CALLS


def test_an_iphone_upload_arrives_once(server: RunningServer) -> None:
    ana = somebody()
    events = on_the_device(ana, IPHONE, user_id_when_unknown={})
    body = file_on_the_device(events, server.keys["public"])

    statuses = [post_like_ios(server, body) for _ in range(2)]

    assert statuses == [200, 200]
    message_ids = [event["messageId"] for event in events]
    assert_in_profile_once(server, ana, ana.device, message_ids)
    assert fates_of_resends(server, message_ids) == ["duplicate"] * N_CALLS


def test_two_devices_with_an_empty_user_id_are_not_one_person(server: RunningServer) -> None:
    ana, bo = somebody(), somebody()
    for who in (ana, bo):
        events = on_the_device(who, ANDROID, user_id_when_unknown={"userId": ""})[:3]  # before she says who she is
        assert post_like_android(server, file_on_the_device(events, server.keys["public"]), piece=4096) == 200
    server.settle()

    profiles = [server.find_profile(f"anonymous_id:{who.device}") for who in (ana, bo)]

    assert profiles[0] is not None
    assert profiles[1] is not None
    assert profiles[0]["id"] != profiles[1]["id"]


@pytest.mark.parametrize("path", ["/v1/projects/{key}/settings", "/projects/{key}/settings"])
def test_the_settings_are_where_the_mobile_sdks_ask_for_them(server: RunningServer, path: str) -> None:
    answer = server.request("GET", path.format(key=server.keys["public"]))

    assert answer.status == 200
    assert set(answer.json()["integrations"]) == {"Segment.io"}


def test_an_upload_with_an_unknown_key_is_refused_for_good(server: RunningServer) -> None:
    events = on_the_device(somebody(), ANDROID, user_id_when_unknown={"userId": ""})

    status = post_like_android(server, file_on_the_device(events, "no-such-key"), piece=4096)

    # 401 makes the SDK give the upload up; 5xx would have every phone send it again for ever.
    assert status == 401
