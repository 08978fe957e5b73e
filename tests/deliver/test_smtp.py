"""SMTP: what a real server answered is what a mail came to."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from email import message_from_bytes
from pathlib import Path
from typing import Any

import dkim
import msgspec
import pytest

from tests.deliver.letters import KEY, news, outgoing
from tests.deliver.postbox import DROP, HOST, Postbox, certificate, opened, server_side
from tillit.deliver.definitions import DefinitionInvalid, Destination, Limits
from tillit.deliver.dkim import dns_record, make_key, read_key
from tillit.deliver.outward import OutwardRefused, read_allow
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN, Answer
from tillit.deliver.wires import Ways, check_to, open_wire
from tillit.deliver.wires.smtp import SmtpWire, read_to

PLAIN = {"host": HOST, "tls": "none", "sender": "Shop <shop@shop.example>"}
STARTTLS = {**PLAIN, "tls": "starttls"}
SIGNED_IN = {**STARTTLS, "user": "shop", "secret": "password"}


def destination_to(to: dict[str, Any]) -> Destination:
    return Destination(
        destination="mail", kind="email", purpose="newsletter", send="messages", to=to, limits=Limits(timeout_s=5)
    )


async def here(host: str, port: int) -> list[str]:
    assert host == HOST
    return ["127.0.0.1"]


def wire(
    box: Postbox,
    to: dict[str, Any] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Callable[..., Any] = here,
    **secrets: str,
) -> SmtpWire:
    destination = destination_to({**(to or PLAIN), "port": box.port})
    return SmtpWire(destination, secret=secrets.__getitem__, resolve=resolve, is_private=lambda host: True, tls=tls)


async def send_through(box: Postbox, n_mails: int = 1, **named: Any) -> list[Answer]:
    open_wire = wire(box, **named)
    try:
        return [(await open_wire.send([outgoing()]))[0] for _ in range(n_mails)]
    finally:
        await open_wire.close()


def sent_to(box: Postbox, n_mails: int = 1, **named: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        async with opened(box):
            return await send_through(box, n_mails, **named)

    return asyncio.run(run())


def test_a_mail_that_the_server_takes_is_delivered_under_its_name_for_it() -> None:
    box = Postbox()

    [answer] = sent_to(box)

    assert answer == Answer(DELIVERED, "smtp.250-2.0.0", "2.0.0 Ok: queued as 4F2A17", reference="4F2A17")
    assert [(sender, to) for sender, to, _ in box.mails] == [("shop@shop.example", ["ana@shop.example"])]
    assert message_from_bytes(box.mails[0][2])["Message-ID"] == f"<{KEY}@shop.example>"


@pytest.mark.parametrize(
    ("step", "said", "outcome", "code", "is_bad", "has_left"),
    [
        ("rcpt", "550 5.1.1 no such user", REFUSED, "smtp.550-5.1.1", True, True),
        ("rcpt", "550 no such user", REFUSED, "smtp.550", True, True),
        ("rcpt", "553 no", REFUSED, "smtp.553", True, True),
        ("rcpt", "552 5.2.2 mailbox full", REFUSED, "smtp.552-5.2.2", False, True),
        ("rcpt", "554 no", REFUSED, "smtp.554", False, True),
        ("rcpt", "451 4.3.0 come again", LATER, "smtp.451-4.3.0", False, True),
        ("rcpt", "421 4.3.2 closing", LATER, "smtp.421-4.3.2", False, True),
        ("rcpt", "550 5.7.1 relaying denied", HALTED, "smtp.550-5.7.1", False, True),
        ("rcpt", "530 5.5.1 sign in first", HALTED, "smtp.530-5.5.1", False, True),
        ("mail", "550 5.1.8 sender refused", HALTED, "smtp.550-5.1.8", False, False),
        ("mail", "421 too busy", LATER, "smtp.421", False, False),
        ("dot", "554 5.6.0 malformed", REFUSED, "smtp.554-5.6.0", False, True),
        ("dot", "550 something in it", REFUSED, "smtp.550", False, True),
        ("dot", "550 5.1.1 no such user", REFUSED, "smtp.550-5.1.1", True, True),
        ("dot", "554 5.7.1 policy", HALTED, "smtp.554-5.7.1", False, True),
        ("dot", "452 4.3.1 disk full", LATER, "smtp.452-4.3.1", False, True),
    ],
)
def test_a_no_is_judged_by_its_code_and_its_moment(
    step: str, said: str, outcome: str, code: str, is_bad: bool, has_left: bool
) -> None:
    [answer] = sent_to(Postbox(**{step: said}))

    assert answer == Answer(outcome, code, said[4:], has_left=has_left, bad_address=is_bad)


@pytest.mark.parametrize(
    ("step", "outcome", "code", "has_left"),
    [
        ("mail", LATER, "smtp.lost", False),
        ("rcpt", LATER, "smtp.lost", True),
        ("dot", UNKNOWN, "smtp.lost-after-text", True),
    ],
)
def test_a_connection_that_breaks_is_unknown_after_the_text_alone(
    step: str, outcome: str, code: str, has_left: bool
) -> None:
    [answer] = sent_to(Postbox(**{step: DROP}))

    assert answer == Answer(outcome, code, has_left=has_left)


def test_a_server_that_is_silent_after_the_text_leaves_the_mail_unknown() -> None:
    async def run() -> Answer:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hi\r\n")
            while (line := await reader.readline()) != b".\r\n":
                if line.startswith((b"EHLO", b"MAIL", b"RCPT")):
                    writer.write(b"250 ok\r\n")
                elif line == b"DATA\r\n":
                    writer.write(b"354 go\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
            is_over.set()

        is_over = asyncio.Event()
        box = Postbox()
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            box.port = server.sockets[0].getsockname()[1]
            open_wire = wire(box)
            open_wire._limits = msgspec.structs.replace(open_wire._limits, timeout_s=0.2)
            [answer] = await open_wire.send([outgoing()])
            await open_wire.close()
            await is_over.wait()
            return answer

    assert asyncio.run(run()) == Answer(UNKNOWN, "smtp.lost-after-text")


def test_a_connection_is_used_again_also_after_a_no() -> None:
    box = Postbox(rcpt="550 5.1.1 no such user")

    answers = sent_to(box, 3)

    assert [answer.outcome for answer in answers] == [REFUSED] * 3
    assert box.n_connections == 1


def test_a_kept_connection_that_broke_is_replaced() -> None:
    box = Postbox()

    async def run() -> list[Answer]:
        async with opened(box):
            open_wire = wire(box)
            first = await open_wire.send([outgoing()])
            for client in open_wire._idle:
                assert client.transport is not None
                client.transport.close()
            second = await open_wire.send([outgoing()])
            await open_wire.close()
            return first + second

    answers = asyncio.run(run())

    assert [answer.outcome for answer in answers] == [DELIVERED, DELIVERED]
    assert box.n_connections == 2


def test_mails_at_the_same_time_have_connections_of_their_own() -> None:
    box = Postbox()

    async def run() -> Sequence[list[Answer]]:
        async with opened(box):
            open_wire = wire(box)
            answers = await asyncio.gather(*(open_wire.send([outgoing(key=f"{n:032x}")]) for n in range(5)))
            await open_wire.close()
            return answers

    answers = asyncio.run(run())

    assert [one.outcome for [one] in answers] == [DELIVERED] * 5
    assert {message_from_bytes(raw)["Message-ID"] for _, _, raw in box.mails} == {
        f"<{n:032x}@shop.example>" for n in range(5)
    }


def test_nobody_at_the_port_is_tried_later() -> None:
    box = Postbox()

    async def run() -> list[Answer]:
        async with opened(box):
            pass
        return await send_through(box)

    assert asyncio.run(run()) == [Answer(LATER, "connect.refused", has_left=False)]


def test_a_host_that_is_not_allowed_halts_the_destination() -> None:
    async def refused(host: str, port: int) -> list[str]:
        raise OutwardRefused(host)

    [answer] = sent_to(Postbox(), resolve=refused)

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "deliver.outward-refused", False)


def test_a_signed_mail_is_still_signed_after_the_hop_with_both_ways_out() -> None:
    box = Postbox()
    key = make_key()
    to = {**PLAIN, "dkim": {"domain": "shop.example", "selector": "s1", "secret": "key"}}

    sent_to(box, to=to, key=key)

    [(_, _, raw)] = box.mails
    covered = raw.partition(b" h=")[2].partition(b";")[0].replace(b"\r\n ", b"").split(b":")
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: dns_record(read_key(key)).encode())
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} < set(covered)


def test_lines_that_begin_with_a_dot_arrive_as_they_were() -> None:
    box = Postbox()

    async def run() -> None:
        async with opened(box):
            open_wire = wire(box)
            await open_wire.send([outgoing(news()._replace(text=".\n..\n.a\nb", html=""))])
            await open_wire.close()

    asyncio.run(run())

    payload = message_from_bytes(box.mails[0][2]).get_payload(decode=True)
    assert payload == b".\r\n..\r\n.a\r\nb\r\n"


def test_bounces_go_to_the_return_path() -> None:
    box = Postbox()

    sent_to(box, to={**PLAIN, "return_path": "bounces@shop.example"})

    assert box.mails[0][0] == "bounces@shop.example"


# -- TLS and signing in


def through_tls(
    to: dict[str, Any], *, is_trusted: bool = True, name: str = HOST, has_auth: bool = False, password: str = ""
) -> tuple[Answer, bool, str, Postbox]:
    pem = certificate(name)
    box = Postbox()
    trusting = ssl.create_default_context()
    if is_trusted:
        trusting.load_verify_locations(cadata=pem[0].decode())

    async def run() -> tuple[Answer, bool, str]:
        async with opened(box, server_side(pem), has_auth=has_auth):
            open_wire = wire(box, to, tls=trusting, password=password)
            [answer] = await open_wire.send([outgoing()])
            checked = await open_wire.check()
            await open_wire.close()
            return answer, checked.is_well, checked.words

    return *asyncio.run(run()), box


def test_a_server_with_a_certificate_that_is_trusted_gets_the_mail() -> None:
    answer, is_well, _, box = through_tls(STARTTLS)

    assert answer.outcome == DELIVERED
    assert is_well
    assert len(box.mails) == 1


@pytest.mark.parametrize(("is_trusted", "name"), [(False, HOST), (True, "other.example")])
def test_a_server_with_another_certificate_gets_nothing(is_trusted: bool, name: str) -> None:
    answer, is_well, words, box = through_tls(STARTTLS, is_trusted=is_trusted, name=name)

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "smtp.certificate", False)
    assert not is_well
    assert words.startswith("smtp.certificate")
    assert box.mails == []


def test_a_server_without_tls_gets_nothing_when_tls_is_wanted() -> None:
    [answer] = sent_to(Postbox(), to=STARTTLS)

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "smtp.no-starttls", False)


def test_who_signs_in_may_send() -> None:
    answer, is_well, _, _ = through_tls(SIGNED_IN, has_auth=True, password="open sesame")

    assert (answer.outcome, is_well) == (DELIVERED, True)


def test_a_wrong_password_halts_the_destination_and_is_not_shown() -> None:
    answer, is_well, words, box = through_tls(SIGNED_IN, has_auth=True, password="open barley")

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "smtp.535-5.7.8", False)
    assert not is_well
    assert "barley" not in words
    assert box.mails == []


def test_a_server_inside_is_reached_by_the_ways_that_the_operator_allows(tmp_path: Path) -> None:
    box = Postbox()
    asked = []

    def secret(name: str, place: str) -> Secret:
        asked.append((name, place))
        return Secret(make_key("ed25519"))

    async def run() -> Answer:
        async with opened(box):
            to = {"host": "127.0.0.1", "port": box.port, "tls": "none", "sender": "shop@shop.example"}
            dkim_to = {"domain": "shop.example", "selector": "s1", "secret": "key"}
            ways = Ways(read_allow(["127.0.0.1"]), secret, tmp_path, lambda: 0)
            destination = destination_to({**to, "dkim": dkim_to})
            with pytest.raises(DefinitionInvalid, match="without TLS"):
                check_to(destination, ways._replace(allow=read_allow([])))
            with pytest.raises(OutwardRefused):
                check_to(destination_to({**to, "tls": "tls"}), ways._replace(allow=read_allow([])))
            check_to(destination, ways)
            open_to = open_wire(destination, ways)
            [answer] = await open_to.send([outgoing()])
            await open_to.close()
            return answer

    assert asyncio.run(run()).outcome == DELIVERED
    assert asked == [("key", f"127.0.0.1:{box.port}")]


def test_mail_cannot_be_taken_back() -> None:
    async def run() -> list[Answer]:
        async with opened(Postbox()) as box:
            return await wire(box).remove([outgoing()])

    assert asyncio.run(run()) == [Answer(REFUSED, "email.not-removable", has_left=False)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tls": "none"}, "without TLS"),
        ({"host": "a b"}, "to.host"),
        ({"port": 0}, "port"),
        ({"user": "shop"}, "go together"),
        ({"sender": "nobody"}, "to.sender"),
        ({"return_path": "Shop <a@b.example>"}, "to.return_path"),
        ({"dkim": {"domain": "a b", "selector": "s", "secret": "key"}}, "to.dkim"),
        ({"password": "x"}, "password"),
    ],
)
def test_a_server_that_cannot_be_reached_so_is_refused_when_it_is_saved(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionInvalid, match=says):
        read_to("Destination 'mail'", {**STARTTLS, **change}, is_private=lambda host: False)
