"""The tracking API: Segment's HTTP protocol as one bare ASGI application.

In:    requests of unmodified SDKs.
Out:   200 once the log has the events on disk; 4xx only for what no retry can mend; 503 for trouble of ours.
Never: an acknowledgement before the commit; a 4xx for our own trouble (SDKs then throw the events away for ever).
"""

import base64
import binascii
import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tillit.collect.bodies import SenderGone, receive_body, unpack
from tillit.collect.checks import Reading, UnreadableBody, read_body
from tillit.collect.door import Refuses, Rejected, random_id, take
from tillit.collect.limits import Limits
from tillit.collect.rate import RateLimit
from tillit.collect.script import find_part, script_for
from tillit.collect.settings_document import settings_document
from tillit.collect.stamp import Prove
from tillit.errors import InputError, NotFound, RefusedError, TillitError
from tillit.records import NewRow, QuarantineRow

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_log = logging.getLogger("tillit.collect")

_TYPE_OF = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
_BATCHES = ("b", "batch", "import", "batch/b", "batch/v1/batch", "batch/batch")
# A transparent GIF of one pixel, the smallest that every browser takes.
_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_SETTINGS_PATH = re.compile(r"(?:/v1)?(?:/projects){1,2}/([^/]{1,200})/settings/?")
_SCRIPT_PATH = re.compile(r"/analytics\.js/v1/([^/]{1,200})/analytics(?:\.min)?\.js")
_PART_PATH = re.compile(r"/analytics-next/bundles/([\w.-]{1,120})")
_HOST = re.compile(rb"[A-Za-z0-9.\-_]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
# A key is written into a script: nothing that could end the text it stands in.
_KEY = re.compile(r"[A-Za-z0-9_\-]{1,200}")
_OUR_TROUBLE = 503
_WAIT_APPLIED_S = 5.0  # LAWS: `?wait=applied` gives up after 5 s and says so
_PREFLIGHT_AGE = b"86400"  # a day: browsers cap it themselves, Chromium at two hours

_JSON: Header = (b"content-type", b"application/json")


class Key(Protocol):
    """What the door needs to know of a key."""

    @property
    def key_id(self) -> str:
        """Name the key without giving it away."""

    @property
    def kind(self) -> str:
        """Say public, secret or api."""

    @property
    def source(self) -> str:
        """Name the source that its events come from."""

    @property
    def origins(self) -> Sequence[str]:
        """List the web origins that may use it; none is any."""

    @property
    def trust(self) -> int:
        """Say how well its senders are known."""


class Keys(Protocol):
    """Who may knock."""

    def find(self, plain: str) -> Key | None:
        """Give the key with this text, unless it is unknown or revoked."""


class Commit(Protocol):
    """Where rows become durable."""

    async def append(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        """Return first and last position once the rows are on disk."""


class NoKey(InputError):
    """The request names no key."""

    code = "collect.no-key"
    status = 401

    def __init__(self) -> None:
        """Say where a key may stand."""
        super().__init__(
            "The request names no write key. Send it as Basic user name, X-Write-Key, ?writeKey= or in the body."
        )


class UnknownKey(InputError):
    """The key is not known here, or was revoked."""

    code = "collect.unknown-key"
    status = 401

    def __init__(self) -> None:
        """Never repeat the key."""
        super().__init__("The write key is not known here, or was revoked. Make one with `tillit keys create`.")


class KeyMayNotAppend(RefusedError):
    """A reading key was used to send events."""

    code = "collect.key-may-not-append"


class OriginRefused(RefusedError):
    """The web page is not one of those that may use this key."""

    code = "collect.origin-refused"


class SecretKeyInBrowser(RefusedError):
    """A server's key came from a web page, where everybody can read it."""

    code = "collect.secret-key-in-browser"


class TooManyRequests(InputError):
    """The key sends faster than its limit."""

    code = "collect.too-many-requests"
    status = 429


class WrongMethod(InputError):
    """Events come with POST (and, for pixels, GET)."""

    code = "collect.wrong-method"
    status = 405


class _Route(NamedTuple):
    type: str | None  # of a single event; None for a batch
    is_pixel: bool = False
    is_metrics: bool = False


def _table() -> dict[str, _Route]:
    """List every path that takes events, so that finding one is a single look-up."""
    routes: dict[str, _Route] = {}
    for short, full in _TYPE_OF.items():
        for name in (short, full):
            route = _Route(full)
            for path in (f"/v1/{name}", f"/{name}", f"/api/s/{name}"):
                routes[path] = route
    for name in _BATCHES:
        for path in (f"/v1/{name}", f"/{name}"):
            routes[path] = _Route(None)
    for path in ("/beacon/v1/batch", "/v1/beacon/v1/batch", "/api/s/batch", "/api/s/b"):
        routes[path] = _Route(None)
    for path in ("/v1/m", "/m"):
        routes[path] = _Route(None, is_metrics=True)
    for name in ("track", "page"):
        for path in (f"/pixel/v1/{name}", f"/v1/pixel/{name}"):
            routes[path] = _Route(name, is_pixel=True)
    return {**routes, **{path + "/": route for path, route in routes.items()}}


ROUTES = _table()


class TrackingApi:
    """The ASGI application. Every part it works with is handed in."""

    def __init__(
        self,
        *,
        keys: Keys,
        commit: Commit,
        limits: Limits,
        now: Callable[[], int],
        wait_applied: Callable[[int, float], Awaitable[bool]],
        monotonic_s: Callable[[], float],
        new_id: Callable[[], str] = random_id,
        prove: Prove | None = None,
        erased: Callable[[], Refuses | None] | None = None,
    ) -> None:
        """Put the parts together. Without `prove` an identity token proves nothing.

        `erased` is asked once a request for what refuses events of people who were erased; None: there are none.
        """
        self._keys = keys
        self._commit = commit
        self._limits = limits
        self._now = now
        self._wait_applied = wait_applied
        self._new_id = new_id
        self._prove = prove
        self._erased = erased
        self._rate = RateLimit(limits.rate_per_key_per_s, monotonic_s) if limits.rate_per_key_per_s else None

    @staticmethod
    def knows(path: str) -> bool:
        """Say whether a path belongs to the tracking API."""
        return (
            path in ROUTES
            or path == "/robots.txt"
            or path.startswith(("/analytics.js/", "/analytics-next/"))
            or _SETTINGS_PATH.fullmatch(path) is not None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Two Content-Encoding lines are two layers; for the rest the first one counts.
            headers[name] = (
                headers[name] + b"," + value
                if name == b"content-encoding" and name in headers
                else (headers.get(name, value))
            )
        origin = headers.get(b"origin")
        method = scope["method"]
        if method == "OPTIONS":
            await _answer(send, 204, b"", [*_preflight(headers), *_cross_origin(origin)])
            return
        try:
            status, body, extra = await self._respond(method, scope, headers, receive)
        except SenderGone:
            return
        except TillitError as fault:
            status, body, extra = _refusal(fault)
        except Exception as fault:  # noqa: BLE001  # a rim: whatever we did wrong, the sender keeps its events
            # Kind and place only: the message of a stranger's error may hold what was sent.
            frame = traceback.extract_tb(fault.__traceback__)[-1]
            _log.error("unexpected %s in %s line %s", type(fault).__name__, frame.name, frame.lineno)
            status, body, extra = _refusal(None)
        # Our own trouble carries no leave for other origins: to the page it then is a network error. Old browser SDKs
        # (1.70) take any answer they may read for a success and drop the events; every one retries a network error.
        shown = [] if status == _OUR_TROUBLE else _cross_origin(origin)
        await _answer(send, status, body, [*extra, *shown])

    async def _respond(
        self, method: str, scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[int, bytes, list[Header]]:
        path: str = scope["path"]
        route = ROUTES.get(path)
        if route is None:
            if method in {"GET", "HEAD"}:
                return self._document(path, scope, headers)
            raise NotFound("There is no such path in the tracking API. See docs/reference for the list.")
        if route.is_metrics:
            # What a browser's SDK counts about itself: taken so that it is content, and not kept.
            return 200, b'{"success":true}', [_JSON]
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
        user = _basic_user(headers)
        # A stranger's body is not even read: Basic counts before all other places a key may stand.
        early = self._key([user]) if user else None
        if route.is_pixel and method in {"GET", "HEAD"}:
            body = _pixel_event(query)
        elif method == "POST":
            received = await receive_body(receive, declared=headers.get(b"content-length"), limits=self._limits)
            body = unpack(received, headers.get(b"content-encoding", b""), limits=self._limits)
        else:
            raise WrongMethod("This path takes events, which come with POST. Nothing was kept.")
        received_at = self._now()
        reading = read_body(body, is_batch=route.type is None, limits=self._limits)
        key = early if early is not None else self._key(_candidates(headers, query, reading))
        self._check_origin(key, headers)
        self._check_rate(key)
        client = scope.get("client")
        taken = take(
            reading,
            route_type=route.type,
            source=key.source,
            trust=key.trust,
            received_at=received_at,
            limits=self._limits,
            client_ip=client[0] if client else None,
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            refuses_sale=headers.get(b"sec-gpc") == b"1",
            new_id=self._new_id,
            prove=self._prove,
            refuses=self._erased() if self._erased is not None else None,
        )
        last = 0
        if taken.rows or taken.quarantine:
            last = (await self._commit.append(taken.rows, taken.quarantine))[1]
        if taken.is_hopeless:
            raise UnreadableBody(
                f"No event of the body could be read ({taken.rejected[0].code}). The bytes lie in quarantine.",
                reasons=sorted({rejected.code for rejected in taken.rejected}),
            )
        if route.is_pixel:
            return 200, _PIXEL, [(b"content-type", b"image/gif"), (b"cache-control", b"no-store")]
        applied: bool | None = None
        if query.get("wait") == "applied":
            applied = await self._wait_applied(last, _WAIT_APPLIED_S) if taken.rows else True
        return 200, _verdict(len(taken.rows), taken.rejected, applied), [_JSON]

    def _key(self, candidates: Iterable[str]) -> Key:
        """Find the key of a request and see that it may send."""
        named = False
        for plain in candidates:
            named = True
            found = self._keys.find(plain)
            if found is None:
                continue
            if found.kind == "api":
                raise KeyMayNotAppend("A key of kind api reads; it may not send events. Use a public or secret key.")
            return found
        raise UnknownKey if named else NoKey

    def _check_origin(self, key: Key, headers: dict[bytes, bytes]) -> None:
        origin = headers.get(b"origin")
        if key.kind == "secret" and origin is not None:
            raise SecretKeyInBrowser(
                "A secret key was used from a web page, where everybody can read it. Revoke it and use a public key."
            )
        if key.kind == "public" and key.origins and not _is_allowed(origin or _referring(headers), key.origins):
            raise OriginRefused("This key may not be used from this web origin. See its list of origins.")

    def _check_rate(self, key: Key) -> None:
        wait_s = self._rate.wait_s(key.key_id) if self._rate is not None else 0
        if wait_s:
            raise TooManyRequests("This key sends more requests than its limit. Try again later.", wait_s=wait_s)

    def _document(self, path: str, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, bytes, list[Header]]:
        """Answer what browsers and phones fetch before they send."""
        if path == "/robots.txt":
            return 200, b"User-agent: *\nDisallow: /\n", [(b"content-type", b"text/plain")]
        if (match := _SETTINGS_PATH.fullmatch(path)) is not None:
            self._must_be_public(match[1])
            # A cache between us may not answer for another host name: the document points at the one that was asked.
            extra: list[Header] = [_JSON, (b"cache-control", b"public, max-age=300"), (b"vary", b"Host")]
            document = settings_document(match[1], host=_host(scope, headers), scheme=scope.get("scheme", "http"))
            return 200, document, extra
        if (match := _SCRIPT_PATH.fullmatch(path)) is not None:
            self._must_be_public(match[1])
            plain, packed = script_for(match[1])
            extra = [
                (b"content-type", b"text/javascript; charset=utf-8"),
                (b"cache-control", b"public, max-age=3600"),
                (b"vary", b"Accept-Encoding"),
            ]
            if b"gzip" in headers.get(b"accept-encoding", b""):
                return 200, packed, [*extra, (b"content-encoding", b"gzip")]
            return 200, plain, extra
        if (match := _PART_PATH.fullmatch(path)) is not None and (part := find_part(match[1])) is not None:
            return (
                200,
                part,
                [
                    (b"content-type", b"text/javascript; charset=utf-8"),
                    (b"cache-control", b"public, max-age=31536000, immutable"),
                ],
            )
        raise NotFound("There is no such path in the tracking API. See docs/reference for the list.")

    def _must_be_public(self, plain: str) -> None:
        # A secret key is not answered either: written into a page it would be everybody's.
        found = self._keys.find(plain) if _KEY.fullmatch(plain) else None
        if found is None or found.kind != "public":
            raise NotFound("There is no source with this write key. Make one with `tillit keys create --kind public`.")


def _candidates(headers: dict[bytes, bytes], query: dict[str, str], reading: Reading) -> Iterable[str]:
    """Give the keys that a request names, in the order in which they count, apart from Basic."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        # A token of an OAuth server names no source: the body's key does. A bare key is a source.
        yield token.strip().decode("latin-1")
    elsewhere = headers.get(b"x-write-key", b"").decode("latin-1") or query.get("writeKey") or query.get("writekey")
    for plain in [elsewhere] if elsewhere else reading.write_keys()[:1]:
        yield plain
        if ":" in plain:  # "id:secret", as Jitsu writes it
            yield plain.partition(":")[0]


def _basic_user(headers: dict[bytes, bytes]) -> str:
    scheme, _, encoded = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        # Some senders leave the padding away, some the colon.
        decoded = base64.b64decode(encoded.strip() + b"=" * (-len(encoded.strip()) % 4), validate=True)
    except binascii.Error:
        return ""
    return decoded.partition(b":")[0].decode("latin-1")


def _referring(headers: dict[bytes, bytes]) -> bytes | None:
    """Give the origin of the referring page: pixels carry no Origin."""
    try:
        parts = urlsplit(headers.get(b"referer", b"").decode("latin-1"))
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".encode("latin-1") if parts.scheme and parts.netloc else None


def _is_allowed(origin: bytes | None, allowed: Sequence[str]) -> bool:
    if origin is None:
        return False
    text = origin.decode("latin-1").rstrip("/").lower()
    for pattern in allowed:
        pattern = pattern.rstrip("/").lower()
        if pattern in {"*", text}:
            return True
        scheme, star, domain = pattern.partition("://*.")
        if star and text.startswith(f"{scheme}://") and text.endswith(f".{domain}"):
            return True
    return False


def _pixel_event(query: dict[str, str]) -> bytes:
    """Make the event that a pixel's query string tells."""
    if "data" in query:
        text = query["data"]
        try:
            return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as fault:
            raise UnreadableBody("The pixel's 'data' is not base64. Nothing of it was kept.") from fault
    event: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"writeKey", "writekey", "wait"}:
            continue
        if name in {"userId", "anonymousId", "messageId", "event", "name", "category", "timestamp", "sentAt"}:
            event[name] = value
        elif name in {"properties", "context"}:
            try:
                event[name] = msgspec.json.decode(value)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
                raise UnreadableBody(f"The pixel's {name!r} is not JSON. Nothing of it was kept.") from fault
        else:
            properties[name] = value
    if properties and type(event.setdefault("properties", {})) is dict:
        event["properties"] = {**properties, **event["properties"]}
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError as fault:
        raise UnreadableBody("The pixel's query is not UTF-8. Nothing of it was kept.") from fault


def _host(scope: Scope, headers: dict[bytes, bytes]) -> str:
    host = headers.get(b"host", b"")
    if _HOST.fullmatch(host):
        return host.decode("ascii")
    server = scope.get("server") or ("localhost", None)
    return f"{server[0]}:{server[1]}" if server[1] else str(server[0])


def _verdict(accepted: int, rejected: Sequence[Rejected], applied: bool | None) -> bytes:
    if not rejected and applied is None:
        return b'{"success":true,"accepted":%d,"rejected":[]}' % accepted
    document: dict[str, Any] = {
        "success": True,
        "accepted": accepted,
        "rejected": [
            {"index": each.index, "messageId": each.message_id, "code": each.code, "reason": each.reason}
            for each in rejected
        ],
    }
    if applied is not None:
        document["applied"] = applied
    return msgspec.json.encode(document)


def _refusal(fault: TillitError | None) -> tuple[int, bytes, list[Header]]:
    """Compose the answer to what went wrong. Trouble of ours is always 503: the events stay with the sender."""
    if fault is None:
        fault = TillitError("Something went wrong here. Nothing was kept; send it again.", code="internal")
    extra: list[Header] = [_JSON]
    if not isinstance(fault, InputError | RefusedError):
        _log.warning("collect.unavailable %s", fault.code)
        return _OUR_TROUBLE, msgspec.json.encode(fault.as_document()), [*extra, (b"retry-after", b"1")]
    if isinstance(fault, TooManyRequests):
        extra.append((b"retry-after", str(fault.details["wait_s"]).encode()))
    return fault.status, msgspec.json.encode(fault.as_document()), extra


def _preflight(headers: dict[bytes, bytes]) -> list[Header]:
    asked = headers.get(b"access-control-request-headers")
    found: list[Header] = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-max-age", _PREFLIGHT_AGE),
        (b"allow", b"GET, POST, OPTIONS"),
    ]
    if asked is not None:
        # Mirrored, not listed: a retry adds X-Retry-Count, and the next SDK will add something else.
        found.append((b"access-control-allow-headers", asked))
    return found


def _cross_origin(origin: bytes | None) -> list[Header]:
    if origin is None:
        return [(b"vary", b"Origin")]
    return [
        (b"vary", b"Origin"),
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
    ]


async def _answer(send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    if status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
