"""A webhook is signed, and what became of it is what its receiver truly said."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.deliver.receiver import (
    AT,
    HERE,
    Answering,
    NamesLoop,
    Request,
    always,
    break_off,
    destination,
    hang,
    outgoing,
    receiver,
    reply,
    telling,
    wire,
)
from tests.still_clock import Clock
from tillit.clock import SECOND
from tillit.deliver.definitions import DefinitionInvalid
from tillit.deliver.outward import read_allow
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import (
    DELIVERED,
    HALTED,
    LATER,
    LONGEST_WORDS,
    MESSAGE,
    REFUSED,
    REMOVE,
    UNKNOWN,
    UPSERT,
    Answer,
    Outgoing,
    Wire,
)
from tillit.deliver.wires.webhook import SecretNamed, read_to

WEBHOOKS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "webhooks.md"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OK = reply(200)


def sent(
    answering: Answering, *items: Outgoing, timeout_s: float = 5.0, **to: Any
) -> tuple[list[Answer], list[Request]]:
    """Send to a receiver; give the answers, and what the receiver had."""

    async def scenario() -> tuple[list[Answer], list[Request]]:
        async with receiver(answering) as far:
            one = destination({"url": far.url, **to}, timeout_s=timeout_s)
            async with wire(one, secret=lambda _name, _host: Secret(SIGNING)) as open_wire:
                answers = await open_wire.send(items or [outgoing()])
        return answers, far.requests

    return asyncio.run(scenario())


# -- what is sent


def test_a_receiver_s_own_library_accepts_the_signature() -> None:
    answers, (request,) = sent(always(OK), outgoing(7), secret="hooks")

    assert [answer.outcome for answer in answers] == [DELIVERED]
    assert request.headers["webhook-id"] == outgoing(7).key
    assert Webhook(SIGNING).verify(request.body, request.headers) == request.document
    with pytest.raises(WebhookVerificationError):
        Webhook(SIGNING).verify(request.body.replace(b"12.5", b"99.5"), request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(request.body, request.headers)


def test_a_request_is_json_that_is_posted() -> None:
    _, (request,) = sent(always(OK))

    assert request.head == "POST /hooks?shop=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"


def test_the_reference_shows_what_is_sent_and_an_answer_that_is_understood() -> None:
    told, answer = re.findall(r"```json\n(.*?)```", WEBHOOKS.read_text(encoding="utf-8"), flags=re.DOTALL)

    _, (request,) = sent(always(OK), outgoing(7))
    answers, _ = sent(always(reply(200, answer)), *map(outgoing, (7, 8, 9)), together=3)

    assert request.document == json.loads(told)
    assert [one.outcome for one in answers] == [DELIVERED, REFUSED, LATER]


@pytest.mark.parametrize(
    ("kind", "name", "send", "told", "data"),
    [
        (UPSERT, "", "people", "person.upserted", {"id": "record-1", "fields": {"a": 1}}),
        (REMOVE, "", "people", "person.removed", {"id": "record-1"}),
        (REMOVE, "", "events", "event.removed", {"key": "record-1"}),
        (
            MESSAGE,
            "order-sent",
            "messages",
            "message",
            {"id": "record-1", "template": "order-sent", "fields": {"a": 1}},
        ),
    ],
)
def test_each_kind_has_its_own_type(kind: str, name: str, send: str, told: str, data: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with receiver(always(OK)) as far, wire(destination({"url": far.url}, send=send)) as open_wire:
            item = outgoing(1, kind, name, a=1)
            await (open_wire.remove if kind == REMOVE else open_wire.send)([item])

        assert far.requests[0].document["type"] == told
        assert far.requests[0].document["data"] == data

    asyncio.run(scenario())


def test_a_retry_has_the_same_bytes_under_the_same_id_and_a_signature_of_its_own_time(clock: Clock) -> None:
    async def scenario() -> None:
        async with receiver(always(reply(503))) as far:
            one = destination({"url": far.url, "secret": "hooks"})
            async with wire(one, secret=lambda _name, _host: Secret(SIGNING), now=clock.now) as open_wire:
                await open_wire.send([outgoing(3, b=1, a={"z": 1, "y": [2, 3]})])
                clock.go_on(90 * SECOND)
                await open_wire.send([outgoing(3, a={"y": [2, 3], "z": 1}, b=1)._replace(is_again=True)])

        first, again = far.requests
        assert first.body == again.body
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 90
        assert first.headers["webhook-signature"] != again.headers["webhook-signature"]

    asyncio.run(scenario())


def test_headers_go_as_they_are_said_and_secret_ones_by_name() -> None:
    _, (request,) = sent(always(OK), headers={"X-Shop": "till 3", "Authorization": {"secret": "token"}})

    assert request.headers["x-shop"] == "till 3"
    assert request.headers["authorization"] == SIGNING
    assert "webhook-signature" not in request.headers


def test_connections_are_kept_and_no_more_than_allowed_are_open() -> None:
    async def scenario() -> None:
        async with receiver(always(OK)) as far, wire(destination({"url": far.url}, at_once=3)) as open_wire:
            answers = await open_wire.send([outgoing(n) for n in range(60)])

        assert Counter(answer.outcome for answer in answers) == {DELIVERED: 60}
        assert len({request.headers["webhook-id"] for request in far.requests}) == 60
        assert far.n_connections == 3

    asyncio.run(scenario())


# -- what came of it


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (101, UNKNOWN, "http.101"),
        (200, DELIVERED, "http.200"),
        (201, DELIVERED, "http.201"),
        (202, DELIVERED, "http.202"),
        (299, DELIVERED, "http.299"),
        (300, REFUSED, "http.redirect"),
        (304, REFUSED, "http.redirect"),
        (400, REFUSED, "http.400"),
        (401, HALTED, "http.401"),
        (403, HALTED, "http.403"),
        (404, REFUSED, "http.404"),
        (407, HALTED, "http.407"),
        (408, LATER, "http.408"),
        (409, REFUSED, "http.409"),
        (410, HALTED, "http.410"),
        (413, REFUSED, "http.413"),
        (422, REFUSED, "http.422"),
        (425, LATER, "http.425"),
        (429, LATER, "http.429"),
        (500, LATER, "http.500"),
        (503, LATER, "http.503"),
        (599, LATER, "http.599"),
    ],
)
def test_a_status_says_what_it_came_to(status: int, outcome: str, code: str) -> None:
    (answer,), _ = sent(always(reply(status)))

    assert (answer.outcome, answer.code, answer.has_left) == (outcome, code, True)


def test_a_recipient_s_words_are_kept_in_one_short_line() -> None:
    (answer,), _ = sent(always(reply(422, "no such\r\nfield\0 \x1b[31m" + "x" * 5_000)))

    assert answer.words.startswith("no such field")
    assert answer.words.isprintable()
    assert len(answer.words) == LONGEST_WORDS


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("86400", 3_600.0),
        ("Sun, 22 Nov 2026 01:47:40 GMT", 60.0),
        ("Sun, 22 Nov 2026 01:46:00 GMT", 0.0),
        ("Fri, 22 Nov 2030 02:26:00 GMT", 3_600.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("", None),
    ],
)
def test_a_pause_that_is_asked_for_is_kept_up_to_an_hour(said: str, pause_s: float | None) -> None:
    async def scenario() -> None:
        async with (
            receiver(always(reply(429, Retry_After=said))) as far,
            wire(destination({"url": far.url}), now=lambda: AT) as open_wire,
        ):
            (answer,) = await open_wire.send([outgoing()])
        assert (answer.outcome, answer.retry_after_s) == (LATER, pause_s)

    asyncio.run(scenario())


@pytest.mark.parametrize("zone", ["+99999", "-9999999", "UTC+1"])
def test_a_pause_until_nonsense_is_no_pause(zone: str) -> None:
    (answer,), _ = sent(always(reply(503, Retry_After=f"Sun, 22 Nov 2026 02:27:40 {zone}")))

    assert answer.outcome == LATER


async def drip(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer at once, and never come to the end of it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drip_head(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Never come to the end of the headers."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_head(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Send headers for ever, as fast as they are taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"." * 4_000 + b"\r\n")
        await writer.drain()


async def half_body(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of the answer."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()


async def half_head(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of the headers."""
    writer.write(b"HTTP/1.1 200 O")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("answering", "code"),
    [
        (hang, "http.timeout"),
        (drip_head, "http.timeout"),
        (endless_head, "http.garbage"),
        (break_off, "http.broken"),
        (half_head, "http.broken"),
        (always(b"\0\1\2 what?\r\n\r\n"), "http.garbage"),
        (always(b"SSH-2.0-OpenSSH_9.6\r\n"), "http.garbage"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "http.garbage"),
    ],
    ids=["hang", "drip-head", "endless-head", "reset", "half-head", "garbage", "other-protocol", "bad-length"],
)
def test_without_an_answer_it_is_unknown_whether_it_arrived(answering: Answering, code: str) -> None:
    (answer,), requests = sent(answering, timeout_s=0.4)

    assert (answer.outcome, answer.code, answer.has_left) == (UNKNOWN, code, True)
    assert len(requests) == 1  # nothing is sent a second time behind the courier's back


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", OK[:-2], b"HTTP/1.1 500 No\r\n"]),
)
def test_no_answer_whatever_its_bytes_is_an_error_or_taken_for_a_yes(noise: bytes, begun: bytes) -> None:
    async def answering(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(begun + noise)
        await writer.drain()
        writer.close()

    for together in (1, 10):
        (answer,), _ = sent(answering, together=together)

        assert answer.outcome in {DELIVERED, REFUSED, LATER, HALTED, UNKNOWN}
        if answer.outcome == DELIVERED:
            assert together == 1
            assert (begun + noise).lstrip(b"\r\n").startswith(b"HTTP/1.")


@pytest.mark.parametrize(
    "answering",
    [
        drip,
        half_body,
        always(reply(200, b"x" * 5_000_000)),
        always(reply(200, b"\x1f\x8b" + b"\0" * 99, Content_Encoding="gzip")),
    ],
    ids=["drip", "half", "huge", "no-gzip"],
)
def test_a_status_counts_whatever_becomes_of_the_rest(answering: Answering) -> None:
    (answer,), _ = sent(answering, timeout_s=0.4)

    assert answer.outcome == DELIVERED


def test_no_more_of_an_answer_is_read_than_its_measure() -> None:
    async def scenario() -> None:
        taken = 0

        async def pour(_request: Request, writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 10_000)
                await writer.drain()
                taken += 10_000

        async with receiver(pour) as far, wire(destination({"url": far.url})) as open_wire:
            (answer,) = await open_wire.send([outgoing()])
        assert answer.outcome == LATER
        assert taken < 50_000_000  # what lies in the buffers of two sockets, and not the thousand millions

    asyncio.run(scenario())


def test_what_never_got_a_connection_has_not_left() -> None:
    async def scenario() -> None:
        async with receiver(always(OK)) as far:
            closed = far.url
        async with wire(destination({"url": closed})) as open_wire:
            (answer,) = await open_wire.send([outgoing()])
            checked = await open_wire.check()
        assert answer == Answer(LATER, "connect.refused", has_left=False)
        assert (checked.is_well, checked.words) == (False, "the connection was refused")

    asyncio.run(scenario())


def test_a_name_that_is_not_found_is_for_later() -> None:
    async def scenario() -> None:
        async with wire(destination({"url": "https://gone.example.org/"})) as open_wire:
            (answer,) = await open_wire.send([outgoing()])
            checked = await open_wire.check()
        assert answer == Answer(LATER, "connect.dns", has_left=False)
        assert (checked.is_well, checked.words) == (False, "the name gone.example.org was not found")

    with asyncio.Runner(loop_factory=lambda: NamesLoop({})) as runner:
        runner.run(scenario())


def test_a_handshake_that_never_ends_has_let_nothing_leave() -> None:
    async def scenario() -> None:
        async with receiver(hang) as far:  # it waits for a request, and says nothing to the client's greeting
            to = {"url": f"https://127.0.0.1:{far.port}/"}
            async with wire(destination(to, timeout_s=0.3)) as open_wire:
                (answer,) = await open_wire.send([outgoing()])
                checked = await open_wire.check()
        assert answer == Answer(LATER, "connect.timeout", has_left=False)
        assert (checked.is_well, checked.words) == (False, "no connection within 0.3 s")

    asyncio.run(scenario())


def test_what_is_too_large_to_send_is_not_sent() -> None:
    (answer,), requests = sent(always(OK), outgoing(1, text="x" * (1 << 20)))

    assert (answer.outcome, answer.code, answer.has_left) == (REFUSED, "outward.too-large", False)
    assert requests == []


# -- TLS


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Give a server's papers for shop.example, from an authority that this machine trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    today = dt.datetime.fromtimestamp(time.time(), tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    held, trusted = tmp_path / "held.pem", tmp_path / "trusted.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    held.write_bytes(
        trusted.read_bytes()
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(held)
    return context


def test_the_certificate_is_held_against_the_name_and_not_the_address(papers: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with receiver(always(OK), papers) as far:
            for host, outcome, code, words in (
                ("shop.example", DELIVERED, "http.200", "connected"),
                ("other.example", LATER, "tls.invalid", "the certificate of other.example does not hold"),
            ):
                allow = read_allow(["*.example"])
                to = {"url": f"https://{host}:{far.port}/"}
                async with wire(destination(to), allow=allow) as open_wire:
                    (answer,) = await open_wire.send([outgoing()])
                    checked = await open_wire.check()
                assert (answer.outcome, answer.code) == (outcome, code)
                assert (checked.is_well, checked.words) == (outcome == DELIVERED, words)
                assert answer.has_left == (outcome == DELIVERED)
        assert len(far.requests) == 1

    here = [["127.0.0.1"]]
    with asyncio.Runner(loop_factory=lambda: NamesLoop({"shop.example": here, "other.example": here})) as runner:
        runner.run(scenario())


def test_a_certificate_nobody_vouches_for_lets_nothing_leave(
    papers: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    async def scenario() -> None:
        async with receiver(always(OK), papers) as far:
            url = f"https://127.0.0.1:{far.port}/"
            async with wire(destination({"url": url})) as open_wire:
                (answer,) = await open_wire.send([outgoing()])
        assert answer == Answer(LATER, "tls.invalid", has_left=False)
        assert far.requests == []

    asyncio.run(scenario())


def test_checking_sends_nothing() -> None:
    async def scenario() -> None:
        async with receiver(always(OK)) as far, wire(destination({"url": far.url})) as open_wire:
            checked = await open_wire.check()
        assert checked.is_well
        assert checked.took_ms > 0
        assert far.requests == []

    asyncio.run(scenario())


# -- several together


def judge_all(request: Request) -> bytes:
    """Say ok to all."""
    return results({"id": item["id"], "status": "ok"} for item in request.document["items"])


def results(each: Any, **more: Any) -> bytes:
    return reply(200, json.dumps({"results": list(each), **more}))


def keys(n: int) -> list[str]:
    return [outgoing(one).key for one in range(n)]


def test_several_go_in_one_signed_request() -> None:
    answers, requests = sent(telling(judge_all), *map(outgoing, range(7)), together=3, secret="hooks")

    assert [answer.outcome for answer in answers] == [DELIVERED] * 7
    assert sorted(len(request.document["items"]) for request in requests) == [1, 3, 3]
    assert {item["id"] for request in requests for item in request.document["items"]} == set(keys(7))
    assert len({request.headers["webhook-id"] for request in requests}) == 3
    for request in requests:
        Webhook(SIGNING).verify(request.body, request.headers)


def test_each_of_several_has_its_own_answer() -> None:
    one, two, three = keys(3)

    def judge(_request: Request) -> bytes:
        return results(
            [
                {"id": three, "status": "later"},
                {"id": one, "status": "ok", "more": 1},
                {"id": two, "status": "rejected", "reason": "no\nplan"},
            ]
        )

    answers, _ = sent(telling(judge), *map(outgoing, range(3)), together=10)

    assert answers == [
        Answer(DELIVERED, "http.200"),
        Answer(REFUSED, "http.rejected", "no plan"),
        Answer(LATER, "http.later"),
    ]


ONE, TWO, THREE = keys(3)
ALL_OK = [{"id": key, "status": "ok"} for key in keys(3)]


@pytest.mark.parametrize(
    ("answer", "trusted"),
    [
        (results(ALL_OK[:2]), {ONE, TWO}),
        (results([*ALL_OK, {"id": TWO, "status": "ok"}]), {ONE, THREE}),
        (results([*ALL_OK[:2], {"id": TWO, "status": "rejected"}]), {ONE}),
        (results([*ALL_OK, {"id": "f" * 32, "status": "ok"}]), set()),
        (results(ALL_OK, accepted=2), set()),
        (results(ALL_OK[:2], accepted=3), set()),
        (results(ALL_OK, accepted=3), {ONE, TWO, THREE}),
        (results([]), set()),
        (results([], accepted=3), set()),
        (results([{"id": key, "status": "fine"} for key in keys(3)]), set()),
        (results([{"id": 1, "status": "ok"}]), set()),
        (reply(200, "OK"), set()),
        (reply(204), set()),
        (reply(200, b"\xff\xfe{"), set()),
        (reply(200, "[" * 60_000), set()),
        (reply(200, json.dumps({"results": ALL_OK, "more": "x" * 100_000})), set()),
        (results(ALL_OK)[:-20].replace(b"Content-Length: ", b"Content-Length: 9"), set()),
    ],
    ids=[
        "one-left-out",
        "one-twice",
        "one-both",
        "a-stranger",
        "counts-fewer",
        "counts-more",
        "counts-right",
        "none",
        "none-and-counts-all",
        "another-word",
        "another-type",
        "no-json",
        "no-body",
        "no-utf-8",
        "deep",
        "huge",
        "cut-off",
    ],
)
def test_a_receiver_that_does_not_add_up_is_not_believed(answer: bytes, trusted: set[str]) -> None:
    answers, _ = sent(always(answer), *map(outgoing, range(3)), together=10, timeout_s=0.5)

    told = dict(zip(keys(3), answers, strict=True))
    expected = {key: DELIVERED if key in trusted else UNKNOWN for key in told}
    assert {key: answer.outcome for key, answer in told.items()} == expected


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_that_is_refused_is_taken_apart_until_the_bad_ones_are_alone(status: int) -> None:
    bad = {keys(40)[5], keys(40)[6], keys(40)[33]}

    def judge(request: Request) -> bytes:
        there = {item["id"] for item in request.document["items"]}
        return reply(status, "bad one in it") if there & bad else judge_all(request)

    answers, requests = sent(telling(judge), *map(outgoing, range(40)), together=40)

    refused = {key for key, answer in zip(keys(40), answers, strict=True) if answer.outcome == REFUSED}
    assert refused == bad
    assert Counter(answer.outcome for answer in answers) == {DELIVERED: 37, REFUSED: 3}
    # What was taken is not sent again.
    taken = Counter(
        item["id"]
        for request in requests
        if not {i["id"] for i in request.document["items"]} & bad
        for item in request.document["items"]
    )
    assert set(taken.values()) == {1}


def test_a_batch_that_is_refused_for_ever_leaves_the_rest_for_later() -> None:
    async def slow_no(_request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(reply(422, "no"))

    answers, requests = sent(slow_no, *map(outgoing, range(64)), together=64, timeout_s=0.5)

    assert {answer.outcome for answer in answers} <= {REFUSED, LATER}
    assert answers[-1].outcome == LATER
    assert len(requests) < 20


@pytest.mark.parametrize(
    ("status", "outcome"), [(401, HALTED), (404, REFUSED), (429, LATER), (500, LATER), (302, REFUSED)]
)
def test_a_batch_that_is_not_taken_at_all_is_sent_once(status: int, outcome: str) -> None:
    answers, requests = sent(always(reply(status)), *map(outgoing, range(5)), together=10)

    assert [answer.outcome for answer in answers] == [outcome] * 5
    assert len(requests) == 1


def test_a_batch_that_is_too_large_goes_in_parts() -> None:
    items = [outgoing(n, text="x" * 300_000) for n in range(5)]

    answers, requests = sent(telling(judge_all), *items, outgoing(5, text="x" * (1 << 20)), together=10)

    assert [answer.outcome for answer in answers] == [DELIVERED] * 5 + [REFUSED]
    assert max(len(request.body) for request in requests) <= 1 << 20


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": st.sampled_from([*keys(4), "x"]), "status": st.sampled_from(["ok", "rejected", "later"])}
        ),
        max_size=7,
    )
)
def test_nothing_is_delivered_that_was_not_named_once_and_ok(each: list[dict[str, str]]) -> None:
    answers, _ = sent(always(results(each)), *map(outgoing, range(4)), together=10)

    for key, answer in zip(keys(4), answers, strict=True):
        said = [one["status"] for one in each if one["id"] == key]
        is_ok = said == ["ok"] and all(one["id"] != "x" for one in each)
        assert (answer.outcome == DELIVERED) == is_ok


# -- what a definition says


def test_a_webhook_is_a_wire() -> None:
    async def scenario() -> None:
        async with wire(destination({"url": "https://127.0.0.1:1/", "together": 9}), allow=HERE) as open_wire:
            opened: Wire = open_wire

        assert (opened.is_idempotent, opened.n_together) == (True, 9)

    asyncio.run(scenario())


def test_a_definition_is_read_whole() -> None:
    to = read_to(
        "hooks",
        {"url": "https://a.example/", "secret": "s", "headers": {"A": "b", "C": {"secret": "d"}}, "together": 500},
    )

    assert (to.url, to.secret, to.together) == ("https://a.example/", "s", 500)
    assert to.headers == {"A": "b", "C": SecretNamed("d")}


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"url": 5},
        {"url": "https://a.example/", "method": "GET"},
        {"url": "https://a.example/", "together": 0},
        {"url": "https://a.example/", "together": 501},
        {"url": "https://a.example/", "headers": {"A": "1", "a": "2"}},
        {"url": "https://a.example/", "headers": {"A": {"secret": "x", "plain": "y"}}},
        {"url": "https://a.example/", "headers": {f"A{n}": "1" for n in range(33)}},
    ],
)
def test_a_definition_that_says_what_cannot_be_is_refused(to: dict[str, Any]) -> None:
    with pytest.raises(DefinitionInvalid, match="hooks"):
        read_to("hooks", to)


@pytest.mark.parametrize("secret", ["plain", "whsec_", "whsec_%%%", "whsec_" + "A" * 28, "whsec_" + "A" * 120])
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(secret: str) -> None:
    async def scenario() -> None:
        with pytest.raises(DefinitionInvalid, match="whsec_ and the base64") as caught:
            async with wire(
                destination({"url": "https://127.0.0.1:1/", "secret": "s"}), secret=lambda _name, _host: Secret(secret)
            ):
                pass
        assert secret.removeprefix("whsec_") == "" or secret not in caught.value.message

    asyncio.run(scenario())
