"""The proxy does what its faults say: without this, a test through it would have shown nothing."""

from __future__ import annotations

import http.client
import json
import uuid
from urllib.parse import urlsplit

import pytest

from tests.running import RunningServer, basic
from tests.sdk.faulty_proxy import (
    CUT,
    PASSES,
    REFUSED,
    REFUSED_FOR_1_S,
    REFUSED_UNREADABLY,
    SLOW,
    STORED_BUT_CUT,
    STORED_BUT_REFUSED,
    STORED_BUT_REFUSED_FOR_1_S,
    STORED_BUT_REFUSED_UNREADABLY,
    Fault,
    FaultyProxy,
)

pytestmark = pytest.mark.slow

STORED = (PASSES, SLOW, STORED_BUT_CUT, STORED_BUT_REFUSED, STORED_BUT_REFUSED_FOR_1_S, STORED_BUT_REFUSED_UNREADABLY)
NOT_STORED = (CUT, REFUSED, REFUSED_FOR_1_S, REFUSED_UNREADABLY)


@pytest.mark.parametrize("fault", [*STORED, *NOT_STORED], ids=lambda fault: fault.name)
def test_a_fault_does_what_it_says_and_then_all_passes(server: RunningServer, fault: Fault) -> None:
    user_id = f"bo-{uuid.uuid4()}"
    message = json.dumps({"userId": user_id, "event": "Door Opened", "messageId": user_id})
    headers = {"Authorization": basic(server.keys["public"]), "Origin": "http://shop.example"}

    with FaultyProxy(server.url, [[fault]]) as proxy:
        target = urlsplit(proxy.url)
        answers: list[http.client.HTTPResponse | None] = []
        stored = []
        for _ in range(2):
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=15)
            try:
                connection.request("POST", "/v1/track", message, headers)
                answers.append(connection.getresponse())
            except ConnectionError:
                answers.append(None)
            finally:
                connection.close()
            server.settle()
            stored.append(server.find_profile(f"user_id:{user_id}") is not None)

    first, second = answers
    assert stored == [fault in STORED, True]
    assert second is not None
    assert second.status == 200
    assert (first is None) == fault.cut
    if first is not None:
        assert first.status == (fault.status or 200)
        assert first.headers["Retry-After"] == fault.retry_after
        assert (first.headers["Access-Control-Allow-Origin"] is not None) == fault.readable
    assert [it.fault for it in proxy.attempts] == [fault, PASSES]
    assert proxy.unused() == 0
