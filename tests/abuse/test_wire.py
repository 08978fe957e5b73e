"""Beyond the list: what a stranger may do with HTTP itself, with pages of results, and with other people's devices."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn

from tests.abuse.knocking import Stranger, status_of
from tillit.cli import connections
from tillit.cli.connections import BoundedConnection
from tillit.settings import Serve

EVENT = b'{"userId":"%b","event":"Smuggled"}'


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 60\r\nContent-Length: 5\r\n",
        b"Content-Length: +60\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x20\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"X: a\r\n b\r\n",
    ],
    ids=lambda lengths: lengths.decode().strip().replace("\r\n", " + "),
)
def test_a_request_that_two_readers_could_read_differently_is_refused_whole(stranger: Stranger, lengths: bytes) -> None:
    body = EVENT % stranger.name("smuggled").encode()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + stranger.authorization() + lengths + b"\r\n"

    heard = stranger.say(head + chunked)

    assert status_of(heard) == 400
    assert heard.count(b"HTTP/1.1 4") == 1
    assert b"200 OK" not in heard
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["error"]["code"] == "http.unreadable-request"
    assert stranger.taken() == []


def test_pipelined_requests_are_answered_in_order_and_once(stranger: Stranger) -> None:
    parts = []
    for n in range(5):
        body = EVENT % stranger.name(f"p{n}").encode()
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        parts.append(b"POST /v1/track?wait=applied HTTP/1.1\r\nHost: x\r\n" + stranger.authorization() + length + body)
    parts.append(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    heard = stranger.say(b"".join(parts), wait_s=10)

    assert heard.count(b"HTTP/1.1 200 OK") == 6
    assert heard.rstrip().endswith(b'{"status":"ok"}')
    assert all(stranger.profile(f"p{n}") is not None for n in range(5))


@pytest.mark.parametrize("place", ["header", "headers", "address"])
def test_a_head_without_end_is_refused_and_not_kept(stranger: Stranger, place: str) -> None:
    long = {
        "header": b"GET /health HTTP/1.1\r\nX: " + b"a" * 3_000_000,
        "headers": b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 500_000,
        "address": b"GET /api/profiles/user_id:" + b"a" * 3_000_000,
    }[place]

    heard = stranger.say(long + b"\r\n\r\n")

    # A sender who is still talking may find the connection gone before it reads the answer.
    assert status_of(heard) in {431, 0}
    assert stranger.is_served_as_before()


def test_a_large_batch_in_many_pieces_is_no_head(stranger: Stranger) -> None:
    body = json.dumps({"batch": [{**stranger.good(f"n{n}"), "properties": {"x": "y" * 4_000}} for n in range(100)]})
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\n" + stranger.authorization()
    pieces = [body.encode()[at : at + 9_000] for at in range(0, len(body), 9_000)]
    whole = head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    assert status_of(stranger.say(whole, more=pieces)) == 200
    assert status_of(stranger.say(whole + body.encode())) == 200


@contextlib.contextmanager
def serving() -> Iterator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=BoundedConnection, lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_case_09_whoever_says_nothing_half_a_head_or_half_a_body_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    monkeypatch.setattr(connections, "_LOOK_EVERY_S", 0.05)
    starts = (b"", b"GET / HT", b"POST / HTTP/1.1\r\nX: a\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
    with serving() as port:
        for start in starts:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
                wire.sendall(start)
                assert wire.recv(100) in {b"", b"ok"}  # closed from the other side
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
            time.sleep(0.6)  # an idle connection between two requests is no slow request
            assert status_of(wire.recv(1_000)) == 200
            wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
            time.sleep(0.1)
            assert status_of(wire.recv(1_000)) == 200


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PATHS = (
    "/v1/track",
    "/v1/batch",
    "/health",
    "/ready",
    "/metrics",
    "/api/profiles/user_id:1",
    "/api/profiles/lookup",
    "/api/profiles/",
    "/api/profiles//events",
    "/api/keys",
    "/api/events",
    "/api/quarantine/1",
    "/nothing",
    "/api",
    "//",
    "/%00",
    "/%ff",
    "/v1/track%2f",
    "/api/profiles/user_id:%00",
    "/api/profiles/%",
    "/v1/projects/x/settings",
)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_every_path_has_an_answer_in_the_one_shape(stranger: Stranger, method: str) -> None:
    for path in PATHS:
        answer = stranger.server.request(
            method, path, headers={"Accept": "text/html", "Origin": "https://evil.example"}
        )

        assert answer.status < 500, f"{method} {path}"
        if answer.status >= 400 and method != "HEAD":
            assert set(answer.json()["error"]) == {"code", "message", "details"}, f"{method} {path}"
        if path.startswith(("/api", "/metrics")):
            assert "access-control-allow-origin" not in answer.headers, f"{method} {path}"
    assert stranger.is_served_as_before()


@pytest.mark.parametrize(
    "asked",
    [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=",
        "limit=１",
        "limit=99999999999999999999",
        "before=x",
        "before=1",
        "before=.",
        "before=-1.-1",
        "before=9e9.1",
        "before=99999999999999999999.1",
        "before=%00",
        "after=1",
        "limit=1&x=1",
    ],
)
def test_a_page_that_cannot_be_is_400(stranger: Stranger, asked: str) -> None:
    stranger.batch(stranger.good())

    answer = stranger.server.read(f"/api/profiles/user_id:{stranger.name('good')}/events?{quote(asked, safe='=&%')}")

    allowed = {200} if asked == "before=-1.-1" else {400}
    assert answer.status in allowed
    assert answer.status == 200 or set(answer.json()["error"]) == {"code", "message", "details"}


ODD_NAMES = (
    "a/b",
    "a%2Fb",
    "a b",
    "a?b#c",
    "..",
    "ö",
    "\N{GRINNING FACE}",
    "\u202eabc",
    "é vs e\u0301",
    "a:b:c",
    "%",
    "<script>",
    "' OR 1=1 --",
    "x" * 100,
    "events",
    "lookup",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u0661\u0662",
)


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_an_odd_identifier_is_found_under_its_own_name_and_no_other(stranger: Stranger, odd: str) -> None:
    who = f"{odd}-{stranger.mark}-{odd}"
    stranger.batch({"type": "track", "event": "E", "userId": who})
    sent = quote(who, safe="")

    by_address = stranger.server.read(f"/api/profiles/user_id:{sent}")
    events = stranger.server.read(f"/api/profiles/user_id:{sent}/events")

    assert (by_address.status, events.status) == (200, 200)
    assert [one["value"] for one in by_address.json()["identifiers"]] == [who]
    assert len(events.json()["events"]) == 1


@pytest.mark.parametrize(
    "who",
    [
        "user_id:",
        "user_id",
        ":",
        "",
        "nobody:x",
        "user_id:" + "x" * 20_000,
        "user_id:null",
        "p" + "z" * 13,
        "p0000000000000",
        "p" * 14,
        "email:x",
        "phone:1",
        "User_Id:x",
        "a" * 5_000,
    ],
)
def test_an_identifier_that_cannot_be_is_the_same_404(stranger: Stranger, who: str) -> None:
    answer = stranger.server.read(f"/api/profiles/{who}")

    assert answer.status in ({404, 400} if who else {404, 400, 401})
    if who and answer.status == 404:
        assert answer.json()["error"]["code"] in {"profile.unknown", "api.no-such-route"}


def test_a_purpose_nobody_declared_reads_nothing(stranger: Stranger) -> None:
    stranger.batch(stranger.good())
    who = f"/api/profiles/user_id:{stranger.name('good')}"

    for purpose in ("marketing", "Service", "service ", "", "*", "service,analytics", "x" * 65):
        for path in (who, f"{who}/events", "/api/events", "/api/profiles"):
            answer = stranger.server.read(f"{path}?purpose={purpose.replace(' ', '%20')}&q=a")
            assert answer.status in {400, 403}, f"{path} {purpose}"
    assert stranger.server.read(f"{who}?purpose=service").status == 200
    assert stranger.server.read(f"{who}?purpose=service&purpose=marketing").status in {200, 400, 403}


def test_a_stream_is_one_of_ten_to_a_process_and_ends_with_its_key(stranger: Stranger) -> None:
    head = f"GET /api/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stranger.server.keys['api']}\r\n\r\n"
    streams = []
    n_most = 10 * Serve().workers
    answers = []
    for _ in range(n_most + 1):
        wire = socket.create_connection(("127.0.0.1", stranger.server.port), timeout=5)
        wire.sendall(head.encode())
        answer = wire.recv(4_096)
        if not answer.startswith(b"HTTP/1.1 200") and b"too-many" not in answer:
            answer += wire.recv(4_096)  # the body came by itself
        answers.append(answer)
        streams.append(wire)
    for wire in streams:
        wire.close()
    until = time.monotonic() + 10
    while stranger.server.read("/api/events?limit=1").status != 200 and time.monotonic() < until:
        time.sleep(0.05)

    refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200")]
    assert refused
    assert 10 <= len(answers) - len(refused) <= n_most
    assert all(answer.startswith(b"HTTP/1.1 429") and b"api.too-many-streams" in answer for answer in refused)
    assert stranger.is_served_as_before()


def test_five_thousand_people_on_one_tablet_cost_no_more_each_than_the_first(stranger: Stranger) -> None:
    tablet = stranger.name("tablet")

    def storm(first: int) -> float:
        began = time.monotonic()
        people = range(first, first + 500)
        events = [{"type": "identify", "userId": f"{tablet}-{n}", "anonymousId": tablet} for n in people]
        assert stranger.batch(*events).status == 200
        return time.monotonic() - began

    took_s = [storm(first) for first in range(0, 5_000, 500)]

    # Generous: the machine is shared. A cost that grew with the people would be ten times the first, and more.
    assert sorted(took_s[-3:])[1] < 5 * sorted(took_s[:3])[1] + 0.5
    began = time.monotonic()
    last = stranger.server.find_profile(f"anonymous_id:{tablet}")
    assert last is not None
    # As soon as it is found to be of many it is nobody's; before, it is the last one's.
    assert last["n_events"] <= 1
    assert time.monotonic() - began < 2
    stranger.batch(
        {
            "type": "track",
            "event": "Late",
            "userId": f"{tablet}-0",
            "anonymousId": tablet,
            "timestamp": "2020-01-01T00:00:00Z",
        },
        key="public",
    )
    assert stranger.is_served_as_before()
