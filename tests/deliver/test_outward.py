"""No definition makes this machine connect to what is not on the public internet."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.deliver.receiver import HERE, NamesLoop, always, destination, outgoing, receiver, reply, wire
from tillit.deliver.definitions import DefinitionInvalid
from tillit.deliver.outward import (
    Allow,
    OutwardInvalid,
    OutwardRefused,
    check_host,
    check_url,
    may_connect,
    read_allow,
    resolve,
)
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import DELIVERED, HALTED, REFUSED
from tillit.deliver.wires.webhook import read_to
from tillit.settings import BadSetting

NOTHING = Allow()

LOOPBACK = """
https://127.0.0.1/ https://127.0.0.1:8443/x https://127.1/ https://127.0.1/ https://2130706433/ https://017700000001/
https://0x7f000001/ https://0x7f.0.0.1/ https://0x7F.1/ https://0177.0.0.1/ https://127.0.0.01/ https://127.0.0.1./
https://0x/ https://1/ https://0/ https://0.0.0.0/ https://0.0.0.0:443/ https://[::1]/ https://[::]/ https://[0:0::0:1]/
https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::127.0.0.1]/ https://[64:ff9b::127.0.0.1]/
https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::7f00:1]/ https://[2002:7f00:1::]/ https://[2001:0:7f00:1::]/
https://[::ffff:0:127.0.0.1]/ https://localhost/ https://LOCALHOST:443/ https://a.localhost/
""".split()
PRIVATE = """
https://10.0.0.1/ https://10.255.255.255/ https://172.16.0.1/ https://172.31.255.1/ https://192.168.1.1/
https://100.64.0.1/ https://100.127.255.254/ https://169.254.169.254/latest/meta-data https://169.254.0.1/
https://[fe80::1]/ https://[fe80::1%25eth0]/ https://[fe80::1%eth0]/ https://[fc00::1]/ https://[fd00:ec2::254]/
https://[fec0::1]/ https://[::ffff:169.254.169.254]/ https://[::ffff:a9fe:a9fe]/ https://[64:ff9b::a9fe:a9fe]/
https://[2002:a9fe:a9fe::1]/ https://2852039166/ https://0xa9fea9fe/ https://0251.0376.0251.0376/ https://224.0.0.1/
https://239.1.2.3/ https://255.255.255.255/ https://240.0.0.1/ https://198.18.0.1/ https://192.0.0.8/ https://192.0.2.1/
https://192.88.99.1/ https://203.0.113.7/ https://[ff02::1]/ https://[2001:db8::1]/ https://[3fff::1]/ https://[5f00::1]/
https://[100::1]/ https://[2001:20::1]/
""".split()
WRITTEN_OTHERWISE = [
    "",
    "hooks.example.org",
    "//hooks.example.org/",
    "http:/hooks.example.org/",
    "https:hooks.example.org",
    "https:///hooks.example.org",
    "file:///etc/passwd",
    "gopher://hooks.example.org/",
    "ftp://hooks.example.org/",
    "javascript:alert(1)",
    "https+unix://socket/",
    "https://ana@hooks.example.org/",
    "https://ana:secret@hooks.example.org/",
    "https://hooks.example.org@127.0.0.1/",
    "https://hooks.example.org:443@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.org/",
    "https://hooks.example.org/#part",
    "https://hooks.example.org\\@127.0.0.1/",
    "https:\\\\127.0.0.1/",
    "https://hooks.example.org/a b",
    " https://hooks.example.org/",
    "https://hooks.example.org/\r\nHost: 127.0.0.1",
    "https://hooks.example.org\n",
    "https://hooks.example.org/\0",
    "https://hooks.example.org\t/",
    "https://hooks.example.org:0/",
    "https://hooks.example.org:65536/",
    "https://hooks.example.org:+80/",
    "https://hooks.example.org:80:80/",
    "https://hooks..example.org/",
    "https://.example.org/",
    "https://hooks.example.org./",
    "https://-hooks.example.org/",
    "https://%31%32%37.0.0.1/",
    "https://127%2e0%2e0%2e1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",  # the full stop of another script
    "https://１２７.0.0.1/",
    "https://ⓛocalhost/",
    "https://loca\u00adlhost/",
    "https://münchen.example/",
    "https://[::1",
    "https://[::1]x/",
    "https://[v1.fe]/",
    "https://[127.0.0.1]/",
    "https://[::1]:x/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 130 + "example/",
    "https://hooks.example.org/" + "a" * 2_048,
]


@pytest.mark.parametrize("url", LOOPBACK + PRIVATE + WRITTEN_OTHERWISE)
def test_a_url_that_leads_inside_or_can_be_read_two_ways_is_refused(url: str) -> None:
    with pytest.raises((OutwardInvalid, OutwardRefused)):
        check_url(url, allow=NOTHING)


@pytest.mark.parametrize(
    ("url", "called", "name"),
    [
        ("https://hooks.example.org", "https://hooks.example.org:443/", "hooks.example.org:443"),
        (
            "https://Hooks.Example.ORG:8443/A?b=%20C",
            "https://hooks.example.org:8443/A?b=%20C",
            "hooks.example.org:8443",
        ),
        ("https://xn--mnchen-3ya.example?x=1", "https://xn--mnchen-3ya.example:443/?x=1", "xn--mnchen-3ya.example:443"),
        ("https://8.8.8.8/a", "https://8.8.8.8:443/a", "8.8.8.8:443"),
        ("https://[2606:4700::0001]/a", "https://[2606:4700::1]:443/a", "[2606:4700::1]:443"),
        ("https://[64:ff9b::8.8.8.8]/", "https://[64:ff9b::808:808]:443/", "[64:ff9b::808:808]:443"),
    ],
)
def test_a_public_url_is_called_as_it_was_read(url: str, called: str, name: str) -> None:
    place = check_url(url, allow=NOTHING)

    assert (place.url, place.name) == (called, name)


def test_http_is_for_hosts_that_the_operator_named() -> None:
    allow = read_allow(["*.shop.example", "10.1.0.0/16"])

    with pytest.raises(OutwardInvalid, match="https"):
        check_url("http://hooks.example.org/", allow=allow)
    assert check_url("http://till.shop.example/", allow=allow).name == "till.shop.example:80"
    assert check_url("http://10.1.2.3:8000/", allow=allow).name == "10.1.2.3:8000"
    with pytest.raises(OutwardRefused):
        check_url("http://10.2.2.3:8000/", allow=allow)


def test_a_host_allowed_by_name_may_be_private_and_never_a_cloud_s_metadata() -> None:
    allow = read_allow(["*.shop.example"])

    def may(address: str, host: str = "till.shop.example") -> bool:
        return may_connect(ip_address(address), host, allow=allow)

    assert may("10.0.0.1")
    assert may("fd00::1")
    assert may("127.0.0.1")
    assert may("8.8.8.8")
    assert not may("169.254.169.254")
    assert not may("fe80::1")
    assert not may("0.0.0.0")
    assert not may("::ffff:10.0.0.1")
    assert not may("10.0.0.1", "shop.example.evil.example")


@given(st.ip_addresses(v=4))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("169.254.169.254"))
@example(IPv4Address("8.8.8.8"))
def test_no_other_notation_of_an_address_gets_further_than_the_plain_one(address: IPv4Address) -> None:
    number = int(address)
    octets = address.packed
    is_fine = may_connect(address, str(address), allow=NOTHING)

    assert is_passed(f"https://{address}/") == is_fine
    assert is_passed(f"https://[{IPv6Address((0x64FF9B << 96) | number)}]/") == is_fine
    for other in (
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(hex(one) for one in octets),
        ".".join(f"0{one:o}" for one in octets),
        f"{octets[0]}.{number & 0xFFFFFF}",
        f"{octets[0]}.{octets[1]}.{number & 0xFFFF}",
        f"[::ffff:{address}]",
        f"[::{address}]",
        f"[{IPv6Address((0x2002 << 112) | (number << 80))}]",
    ):
        assert not is_passed(f"https://{other}/"), other


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{0,40}", fullmatch=True))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        place = check_url(text, allow=NOTHING)
    except (OutwardInvalid, OutwardRefused):
        return
    assert check_url(place.url, allow=NOTHING) == place


def is_passed(url: str) -> bool:
    try:
        check_url(url, allow=NOTHING)
    except (OutwardInvalid, OutwardRefused):
        return False
    return True


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "https://x.example", "a b", "", "10.0.0.999", "*.0x7f"])
def test_what_is_allowed_must_be_a_host_or_a_network(text: str) -> None:
    with pytest.raises(BadSetting, match=r"deliver\.allow_private"):
        read_allow([text])


def test_a_host_of_another_protocol_is_judged_alike() -> None:
    assert check_host("Mail.Example.org", allow=NOTHING) == "mail.example.org"
    for host in ("127.0.0.1", "127.1", "::1", "localhost", "mail.example.org:25", "mail example", "fe80::1%eth0"):
        with pytest.raises((OutwardInvalid, OutwardRefused)):
            check_host(host, allow=NOTHING)


# -- again at each connection


def run(loop: NamesLoop, scenario: object) -> object:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(scenario)  # type: ignore[arg-type]  # a coroutine


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "fe80::1%2"], ["2606:4700::1", "::ffff:10.0.0.1"]],
    ids=["inside", "one-of-two", "link-local", "mapped"],
)
def test_a_name_that_came_to_lead_inside_after_it_was_saved_is_not_connected_to(answers: list[str]) -> None:
    async def scenario() -> None:
        url = "https://hooks.example.org/x"
        check_url(url, allow=NOTHING)
        async with wire(destination({"url": url}), allow=NOTHING) as open_wire:
            (answer,) = await open_wire.send([outgoing()])
            checked = await open_wire.check()

        assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "outward.refused", False)
        assert not checked.is_well
        assert not any(one in f"{answer} {checked}" for one in answers)

    loop = NamesLoop({"hooks.example.org": [answers]})
    run(loop, scenario())

    assert loop.connected == []


def test_a_refusal_names_the_host_and_not_what_was_found() -> None:
    async def scenario() -> None:
        with pytest.raises(OutwardRefused) as caught:
            await resolve("hooks.example.org", 443, allow=NOTHING)
        assert "hooks.example.org" in caught.value.message
        assert "10.9.8.7" not in f"{caught.value.as_document()}"

    run(NamesLoop({"hooks.example.org": [["10.9.8.7"]]}), scenario())


def test_the_connection_goes_to_the_address_that_was_checked_and_a_later_one_is_checked_anew() -> None:
    async def scenario() -> None:
        allow = read_allow(["127.0.0.1", "hooks.example.org"])
        async with receiver(always(reply(200, Connection="close"))) as far:
            to = {"url": f"http://hooks.example.org:{far.port}/"}
            async with wire(destination(to), allow=allow) as open_wire:
                (first,) = await open_wire.send([outgoing(1)])
                # Asked once, connected to what was answered then: there is no second answer to fall for.
                assert (loop.n_asked, loop.connected) == (1, ["127.0.0.1"])
                (second,) = await open_wire.send([outgoing(2)])

            assert first.outcome == DELIVERED
            assert far.requests[0].headers["host"] == f"hooks.example.org:{far.port}"
            assert (second.outcome, second.code) == (HALTED, "outward.refused")
            assert len(far.requests) == 1

    loop = NamesLoop({"hooks.example.org": [["127.0.0.1"], ["169.254.169.254"]]})
    run(loop, scenario())

    assert loop.connected == ["127.0.0.1"]


def test_an_address_that_is_no_longer_allowed_is_refused_when_the_destination_is_opened() -> None:
    async def scenario() -> None:
        with pytest.raises(OutwardRefused):
            async with wire(destination({"url": "https://127.0.0.1:1/"}), allow=NOTHING):
                pass

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inside_is_not_followed(status: int) -> None:
    async def scenario() -> None:
        async with receiver(always(reply(200))) as inside:
            away = always(reply(status, Location=inside.url))
            async with receiver(away) as far, wire(destination({"url": far.url})) as open_wire:
                (answer,) = await open_wire.send([outgoing()])

            assert (answer.outcome, answer.code) == (REFUSED, "http.redirect")
            assert inside.n_connections == 0

    asyncio.run(scenario())


def test_a_chain_of_redirects_ends_at_the_first() -> None:
    async def scenario() -> None:
        async with receiver(always(reply(302, Location="/hooks"))) as far:
            async with wire(destination({"url": far.url})) as open_wire:
                (answer,) = await open_wire.send([outgoing()])

            assert answer.code == "http.redirect"
            assert len(far.requests) == 1

    asyncio.run(scenario())


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with receiver(always(reply(200))) as proxy, receiver(always(reply(200))) as far:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            async with wire(destination({"url": far.url})) as open_wire:
                (answer,) = await open_wire.send([outgoing()])

            assert answer.outcome == DELIVERED
            assert (far.n_connections, proxy.n_connections) == (1, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b", "a\x7f", "München"])
def test_a_header_cannot_begin_another(value: str) -> None:
    with pytest.raises(DefinitionInvalid, match="X-Shop"):
        read_to("hooks", {"url": "https://hooks.example.org/", "headers": {"X-Shop": value}})

    async def scenario() -> None:
        to = {"url": "https://hooks.example.org/", "headers": {"X-Shop": {"secret": "token"}}}
        with pytest.raises(DefinitionInvalid, match="X-Shop") as caught:
            async with wire(destination(to), allow=HERE, secret=lambda _name, _host: Secret(value)):
                pass
        assert value not in caught.value.message

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "Webhook-Id", "Proxy-Authorization", "a b", "a:", "", "a\r\nb"],
)
def test_a_header_that_would_change_where_a_request_goes_cannot_be_set(name: str) -> None:
    with pytest.raises(DefinitionInvalid):
        read_to("hooks", {"url": "https://hooks.example.org/", "headers": {name: "x"}})
