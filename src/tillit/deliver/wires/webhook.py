"""Webhook: each thing that leaves is posted as JSON, signed after Standard Webhooks.

In:    what has leave to go; a URL, names of secrets, limits.
Out:   requests; what each came to, judged by the answer.
Never: a redirect followed; a connection to an address that was not checked; the word of a receiver whose answer does
       not add up.

One thing is posted by itself, or up to `together` of them as {"items": [...]}; then the answer says of each by its id
what became of it: {"results": [{"id", "status": "ok" | "rejected" | "later", "reason"}]}.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tillit.clock import SECOND, monotonic_s, rfc3339
from tillit.deliver.definitions import DefinitionInvalid, Destination, read_to_as
from tillit.deliver.outward import Allow, OutwardRefused, check_url, resolve
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import (
    DELIVERED,
    EVENT,
    HALTED,
    LATER,
    MESSAGE,
    REFUSED,
    UNKNOWN,
    UPSERT,
    Answer,
    Checked,
    Outgoing,
    cut_words,
)
from tillit.deliver.wires import Ways

_MOST_BODY = 1 << 20  # bytes of a request
_MOST_ANSWER = 1 << 16  # bytes of an answer that are read
_MOST_ANSWER_EACH = 1 << 10  # and for each of several things that it answers for
_LONGEST_PAUSE_S = 3_600.0
_MOST_HEADERS = 32

_LATER = {408, 425, 429}
_HALTED = {401, 403, 407, 410}
_SPLIT = {400, 413, 422}  # one of several may have been the reason

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,4096}")
_OUR_HEADERS = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
}


class SecretNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A header's value that is a secret."""

    secret: str


class WebhookTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a webhook goes, and how it is asked to be let in."""

    url: str
    secret: str = ""  # name of the secret that signs, whsec_ and base64; empty: not signed
    headers: dict[str, str | SecretNamed] = {}
    together: int = 1  # things in one request


class _Result(msgspec.Struct):
    id: str
    status: Literal["ok", "rejected", "later"]
    reason: str = ""


class _Results(msgspec.Struct):
    results: list[_Result]
    accepted: int | None = None  # how many are ok, when the receiver counts them


class _Told(NamedTuple):
    """What one request came to."""

    answer: Answer  # for all it carried
    status: int = 0  # 0: no answer came
    body: bytes = b""


def read_to(where: str, to: Mapping[str, Any]) -> WebhookTo:
    """Read the `to:` of a webhook. Raises DefinitionInvalid. What its URL says is judged by `check_url`."""
    told = read_to_as(where, to, WebhookTo)
    if not 1 <= told.together <= 500:
        raise DefinitionInvalid(where, f"to.together is {told.together}; it must be from 1 to 500.")
    if len(told.headers) > _MOST_HEADERS:
        raise DefinitionInvalid(where, f"there are {len(told.headers)} headers; at most {_MOST_HEADERS} are sent.")
    if len({name.lower() for name in told.headers}) < len(told.headers):
        raise DefinitionInvalid(where, "a header is given twice.")
    for name, value in told.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise DefinitionInvalid(where, f"{name!r} cannot be the name of a header.")
        if name.lower() in _OUR_HEADERS or name.lower().startswith(("webhook-", "proxy-")):
            raise DefinitionInvalid(where, f"the header {name!r} is not yours to set.")
        if isinstance(value, str):
            _check_value(where, name, value)
    return told


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where a webhook is. Raises DefinitionInvalid, OutwardInvalid."""
    check_url(read_to(f"Destination {destination.destination!r}", destination.to).url, allow=ways.allow)


def open_wire(destination: Destination, ways: Ways) -> "WebhookWire":
    """Open a webhook, in a running loop; see `WebhookWire`."""
    return WebhookWire(destination, allow=ways.allow, secret=ways.secret, now=ways.now)


class WebhookWire:
    """A webhook, open."""

    is_idempotent: bool = True  # by the `webhook-id`, which a receiver compares

    def __init__(
        self, destination: Destination, *, allow: Allow, secret: Callable[[str, str], Secret], now: Callable[[], int]
    ) -> None:
        """Open it, in a running loop; nothing is connected yet. `secret` gives one by its name and `host:port`.

        Raises: DefinitionInvalid, OutwardInvalid, OutwardRefused, SecretMissing, SecretElsewhere.
        """
        where = f"Destination {destination.destination!r}"
        to = read_to(where, destination.to)
        limits = destination.limits
        self.n_together = to.together
        self._is_of_events = destination.send == "events"
        self._place = check_url(to.url, allow=allow)
        self._url = URL(self._place.url, encoded=True)
        self._allow = allow
        self._now = now
        self._timeout_s = limits.timeout_s
        self._key = _signing_key(where, secret(to.secret, self._place.name).reveal()) if to.secret else None
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "Tillit"}
        for name, value in to.headers.items():
            if isinstance(value, SecretNamed):
                value = secret(value.secret, self._place.name).reveal()
                _check_value(where, name, value)
            self._headers[name] = value
        self._tls = ssl.create_default_context()
        # Waiting for a turn is no part of a call's time.
        self._turns = asyncio.Semaphore(limits.at_once)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits.at_once,
                resolver=_Checking(allow),
                use_dns_cache=False,  # each connection is judged
                ssl=self._tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=limits.timeout_s),
            trace_configs=[_tracing()],
            auto_decompress=False,
            trust_env=False,  # a proxy of the environment would connect where we do not see it
        )

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Send; one answer per item, in order."""
        if self.n_together == 1:
            return list(await asyncio.gather(*(self._send_one(item) for item in items)))
        # A receiver that refuses all it is sent is not asked about one after the other for ever.
        until = monotonic_s() + self._timeout_s
        parts = [items[at : at + self.n_together] for at in range(0, len(items), self.n_together)]
        answers = await asyncio.gather(*(self._send_together(part, until) for part in parts))
        return [answer for some in answers for answer in some]

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Say what is to be removed; a receiver that does not have it says ok."""
        return await self.send(items)

    async def check(self) -> Checked:
        """Connect, and judge the certificate; nothing is asked for."""
        began = monotonic_s()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connect()
            is_well, words = True, "connected"
        except OutwardRefused as refused:
            is_well, words = False, refused.message
        except socket.gaierror:
            is_well, words = False, f"the name {self._place.host} was not found"
        except ssl.SSLError:
            is_well, words = False, f"the certificate of {self._place.host} does not hold"
        except TimeoutError:
            is_well, words = False, f"no connection within {self._timeout_s:g} s"
        except OSError:
            is_well, words = False, "the connection was refused"
        return Checked(is_well, words, (monotonic_s() - began) * 1_000)

    async def close(self) -> None:
        """Let go of connections."""
        await self._session.close()

    async def _connect(self) -> None:
        addresses = await resolve(self._place.host, self._place.port, allow=self._allow)
        tls, name = (self._tls, self._place.host) if self._place.is_tls else (None, None)
        fault: OSError = ConnectionRefusedError()
        for address in addresses:
            try:
                transport, _ = await asyncio.get_running_loop().create_connection(
                    asyncio.Protocol, address, self._place.port, ssl=tls, server_hostname=name
                )
            except OSError as exc:
                fault = exc
            else:
                transport.abort()
                return
        raise fault

    async def _send_one(self, item: Outgoing) -> Answer:
        body = _encode(self._document(item))
        if len(body) > _MOST_BODY:
            return _TOO_LARGE
        return (await self._call(item.key, body, _MOST_ANSWER)).answer

    async def _send_together(self, items: Sequence[Outgoing], until: float) -> list[Answer]:
        body = _encode({"items": [self._document(item) for item in items]})
        answer = _TOO_LARGE
        if len(body) <= _MOST_BODY:
            key = hashlib.sha256("\n".join(item.key for item in items).encode()).hexdigest()
            told = await self._call(key, body, _MOST_ANSWER + len(items) * _MOST_ANSWER_EACH)
            if told.answer.outcome == DELIVERED:
                return _judge_each(items, told)
            if told.status not in _SPLIT:
                return [told.answer] * len(items)
            answer = told.answer
        if len(items) == 1:
            return [answer]
        if monotonic_s() > until:
            return [answer._replace(outcome=LATER)] * len(items)
        middle = len(items) // 2
        return [
            *await self._send_together(items[:middle], until),
            *await self._send_together(items[middle:], until),
        ]

    def _document(self, item: Outgoing) -> dict[str, Any]:
        data: dict[str, Any]
        if item.kind == EVENT:
            kind, data = "event", {"name": item.name, "key": item.record_key, "fields": item.payload}
        elif item.kind == UPSERT:
            kind, data = "person.upserted", {"id": item.record_key, "fields": item.payload}
        elif item.kind == MESSAGE:
            kind, data = "message", {"id": item.record_key, "template": item.name, "fields": item.payload}
        elif self._is_of_events:
            kind, data = "event.removed", {"key": item.record_key}
        else:
            kind, data = "person.removed", {"id": item.record_key}
        if item.membership is not None:
            data["membership"] = item.membership
        return {"type": kind, "id": item.key, "timestamp": rfc3339(item.at), "data": data}

    async def _call(self, key: str, body: bytes, most: int) -> _Told:
        """Post once. An answer's status counts, whatever becomes of the rest of it."""
        at = str(self._now() // SECOND)
        headers = {**self._headers, "webhook-id": key, "webhook-timestamp": at}
        if self._key is not None:
            signed = hmac.digest(self._key, f"{key}.{at}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        trail = SimpleNamespace(is_connected=False)
        async with self._turns:
            try:
                async with self._session.post(
                    self._url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=trail
                ) as response:
                    told = await _read(response, most)
                    return _Told(_judge(response, told, self._now()), response.status, told)
            except OutwardRefused:
                return _Told(Answer(HALTED, "outward.refused", has_left=False))
            except aiohttp.ClientConnectorDNSError:
                return _Told(Answer(LATER, "connect.dns", has_left=False))
            except aiohttp.ClientSSLError:
                return _Told(Answer(LATER, "tls.invalid", has_left=False))
            except (aiohttp.ClientError, TimeoutError) as exc:
                return _Told(_judge_broken(exc, is_connected=trail.is_connected))


_TOO_LARGE = Answer(REFUSED, "outward.too-large", has_left=False)


class _Checking(AbstractResolver):
    """Finds the addresses that a connection goes to."""

    def __init__(self, allow: Allow) -> None:
        self._allow = allow

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  # the protocol has it; we ask for both
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await resolve(host, port, allow=self._allow)
        ]

    async def close(self) -> None:
        pass


def _tracing() -> aiohttp.TraceConfig:
    """Note of each request whether it got a connection: before that, nothing was written."""
    tracing = aiohttp.TraceConfig()

    async def connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.is_connected = True

    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _encode(document: object) -> bytes:
    """Write JSON, the same bytes for the same things."""
    return msgspec.json.encode(document, order="deterministic")


def _check_value(where: str, name: str, value: str) -> None:
    if not _HEADER_VALUE.fullmatch(value):
        raise DefinitionInvalid(where, f"the value of the header {name!r} must be ASCII in one line.")


def _signing_key(where: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    # 24 to 64 bytes: Standard Webhooks.
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise DefinitionInvalid(where, "the secret that signs must be whsec_ and the base64 of 24 to 64 bytes.")
    return key


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read what came of an answer's body, at most so many bytes."""
    taken = bytearray()
    try:
        async for piece in response.content.iter_any():
            taken += piece
            if len(taken) > most:
                response.close()  # the rest is not read, so the connection is of no more use
                break
    except (aiohttp.ClientError, TimeoutError):
        response.close()
    return bytes(taken[:most])


def _judge(response: aiohttp.ClientResponse, body: bytes, now: int) -> Answer:
    status = response.status
    code = f"http.{status}"
    if 200 <= status < 300:
        return Answer(DELIVERED, code)
    words = cut_words(body.decode("utf-8", "replace"))
    if status in _LATER or status >= 500:
        return Answer(LATER, code, words, _pause_s(response.headers.get("Retry-After", ""), now))
    if status in _HALTED:
        return Answer(HALTED, code, words)
    if 300 <= status < 400:
        return Answer(REFUSED, "http.redirect", words)
    return Answer(REFUSED if status >= 400 else UNKNOWN, code, words)


def _judge_broken(exc: Exception, *, is_connected: bool) -> Answer:
    if is_connected:
        if isinstance(exc, TimeoutError):
            return Answer(UNKNOWN, "http.timeout")
        return Answer(UNKNOWN, "http.garbage" if isinstance(exc, aiohttp.ClientResponseError) else "http.broken")
    if isinstance(exc, TimeoutError):
        code = "connect.timeout"
    elif isinstance(exc, aiohttp.ClientConnectorError) and isinstance(exc.os_error, ConnectionRefusedError):
        code = "connect.refused"
    else:
        code = "connect.failed"
    return Answer(LATER, code, has_left=False)


def _judge_each(items: Sequence[Outgoing], told: _Told) -> list[Answer]:
    """Read what became of each; an answer that does not add up says nothing."""
    unknown = Answer(UNKNOWN, "http.results")
    try:
        read = msgspec.json.decode(told.body, type=_Results)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [unknown] * len(items)
    named: dict[str, list[_Result]] = {item.key: [] for item in items}
    for result in read.results:
        if result.id not in named:  # it speaks of another request
            return [unknown] * len(items)
        named[result.id].append(result)
    n_ok = sum(result.status == "ok" for result in read.results)
    is_miscounted = read.accepted is not None and read.accepted != n_ok
    answers = []
    for item in items:
        results = named[item.key]
        if len(results) != 1 or is_miscounted:
            answers.append(unknown)
        elif results[0].status == "ok":
            answers.append(told.answer)
        elif results[0].status == "rejected":
            answers.append(Answer(REFUSED, "http.rejected", cut_words(results[0].reason)))
        else:
            answers.append(Answer(LATER, "http.later", cut_words(results[0].reason)))
    return answers


def _pause_s(text: str, now: int) -> float | None:
    """Read Retry-After: seconds, or a date (RFC 9110, 10.2.3); at most an hour."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), _LONGEST_PAUSE_S)
    try:
        until = parsedate_to_datetime(text)
        return min(max(until.timestamp() - now / SECOND, 0.0), _LONGEST_PAUSE_S)
    except (ValueError, OverflowError):
        return None
