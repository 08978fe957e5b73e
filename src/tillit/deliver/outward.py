"""Outward: where this machine may connect to on behalf of what colleagues write.

In:    URLs and host names of definitions; what the operator allowed.
Out:   the parts of a URL that may be called; the addresses of a host, each of them checked.
Never: an address found for a name in a message, which would draw the network for whoever may write a URL.

A URL is judged when its definition is saved, and its host again at each connection, which goes to an address that was
checked and to no other: a name may answer otherwise the second time.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from tillit.errors import InputError, RefusedError
from tillit.settings import BadSetting

_LONGEST_URL = 2_048
# Whatever is not written so is refused: two readers of a URL never understand one of these differently.
_URL = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?"
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label by which a host is an IPv4 address (URL Standard, 3.5)

_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Named by IANA as special, and called global by one version of Python or another.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)
# What an allowed host may have besides public addresses. Link-local, where clouds keep their metadata, is not here:
# it is allowed by its number alone.
_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7")
)


class OutwardInvalid(InputError):
    """A URL or a host may not be connected to, by what is written there."""

    code = "deliver.outward-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong with it; a URL may hold a secret, and is not shown."""
        super().__init__(f"Nothing may be sent there: {why}")


class OutwardRefused(RefusedError):
    """A host's name stands for an address that may not be connected to."""

    code = "deliver.outward-refused"

    def __init__(self, host: str) -> None:
        """Name the host, not what was found under it."""
        super().__init__(
            f"{host} is not on the public internet, so nothing is sent there. "
            "If it is one of yours, whoever runs this server can list it in deliver.allow_private.",
            host=host,
        )


class Allow(NamedTuple):
    """What the operator allows besides the public internet."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: tuple[str, ...] = ()  # patterns; * stands for any characters

    def is_named(self, host: str) -> bool:
        """Say whether a host is allowed by its name, or by its number when that is its name."""
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            return any(fnmatchcase(host, pattern) for pattern in self.hosts)
        return any(address in network for network in self.networks)


class Place(NamedTuple):
    """A URL that may be called."""

    url: str  # as it is called: small letters, the port written
    host: str  # IPv6 without brackets
    port: int
    is_tls: bool

    @property
    def name(self) -> str:
        """Give `host:port`, by which secrets are bound."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_allow(texts: Sequence[str]) -> Allow:
    """Read the setting `deliver.allow_private`. Raises BadSetting."""
    networks: list[IPv4Network | IPv6Network] = []
    hosts = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip("[]")))
        except ValueError:
            if not re.fullmatch(r"[a-z0-9*._-]+", text.lower()) or _NUMBER.fullmatch(text.lower().rpartition(".")[2]):
                wanted = "hosts such as *.internal.example and networks such as 10.1.0.0/16"
                raise BadSetting("deliver.allow_private", repr(text), wanted, "read for what leaves") from None
            hosts.append(text.lower())
    return Allow(tuple(networks), tuple(hosts))


def check_url(url: str, *, allow: Allow) -> Place:
    """Judge a URL by what is written; what its name stands for is judged at each connection.

    Raises: OutwardInvalid, OutwardRefused.
    """
    parts = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if parts is None:
        raise OutwardInvalid(
            "a URL is written https://host/path or https://host:port/path, in at most "
            f"{_LONGEST_URL:,} letters of ASCII, without a user, a password and a #fragment."
        )
    scheme, written, number, rest = parts.groups()
    host = check_host(written, allow=allow)
    is_tls = scheme == "https"
    port = int(number) if number else 443 if is_tls else 80
    if not 1 <= port <= 65_535:
        raise OutwardInvalid(f"there is no port {port}.")
    if not is_tls and not allow.is_named(host):
        raise OutwardInvalid("over http:// everybody on the way can read along. Write https://.")
    shown = f"[{host}]" if ":" in host else host
    path = f"/{(rest or '').removeprefix('/')}"
    return Place(f"{scheme}://{shown}:{port}{path}", host, port, is_tls)


def check_host(written: str, *, allow: Allow) -> str:
    """Judge a host's name or number by what is written, and give it in small letters, IPv6 without brackets.

    Raises: OutwardInvalid, OutwardRefused.
    """
    host = written.lower()
    labels = host.split(".")
    if ":" in host:
        address = _number(host.removeprefix("[").removesuffix("]"))
    elif _NUMBER.fullmatch(labels[-1]):
        address = _number(host)
    else:
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise OutwardInvalid("a host's name has letters, digits, hyphens and dots; other letters as xn--.")
        # RFC 6761, 6.3: it is this machine, whatever a resolver says.
        if labels[-1] == "localhost" and not allow.is_named(host):
            raise OutwardRefused(host)
        return host
    if not may_connect(address, str(address), allow=allow):
        raise OutwardRefused(str(address))
    return str(address)


def may_connect(address: IPv4Address | IPv6Address, host: str, *, allow: Allow) -> bool:
    """Say whether an address may be connected to that stands for a host."""
    if any(address in network for network in allow.networks) or _is_public(address):
        return True
    return allow.is_named(host) and any(address in network for network in _PRIVATE)


async def resolve(host: str, port: int, *, allow: Allow) -> list[str]:
    """Ask for the addresses of a host; connect to one of these and to no other.

    Raises: OutwardRefused when one of them may not be connected to; OSError when the name is not found.
    """
    # Definitions are judged by processes that have no loop.
    import asyncio
    import socket

    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    if not all(may_connect(ip_address(address), host, allow=allow) for address in addresses):
        raise OutwardRefused(host)
    return addresses


def _number(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        # Also short, octal and hexadecimal ones, which mean one thing here and another there.
        raise OutwardInvalid("the number of a host is written like 192.0.2.1 or [2001:db8::1].") from None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return _is_public(IPv4Address(address.packed[-4:]))
        if address not in _GLOBAL_V6:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _SPECIAL)
    )
