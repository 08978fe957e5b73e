"""The API as one ASGI application: what surrounds every route.

In:    requests of programs.
Out:   answers with the same shape of errors, the key's budget and security headers; measures by route template.
Never: a path, a value or a trace in a log; a route that was not listed in `ROUTES`.
"""

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from tillit import clock
from tillit.api.audiences import audience_routes
from tillit.api.consent import consent_routes
from tillit.api.description import description_routes, openapi_document, reference_page
from tillit.api.desk import Desk
from tillit.api.destinations import destination_routes
from tillit.api.events import event_routes
from tillit.api.features import feature_routes
from tillit.api.feedback import feedback_routes
from tillit.api.gate import ASKED, Asked
from tillit.api.groups import group_routes
from tillit.api.health import health_routes
from tillit.api.identity import identity_routes
from tillit.api.keys import key_routes
from tillit.api.measures import NO_ROUTE
from tillit.api.messages import message_routes
from tillit.api.profiles import profile_routes
from tillit.api.quarantine import quarantine_routes
from tillit.api.refusals import MAX_BODY_BYTES, answer
from tillit.api.requests import request_routes
from tillit.errors import TillitError
from tillit.workspace import Workspace

T = TypeVar("T")
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_log = logging.getLogger("tillit.api")

ROUTES = (
    profile_routes,  # one person, search
    group_routes,  # who belongs to a household or an account
    identity_routes,  # who is who, and what was decided about it
    request_routes,  # what customers ask about their data
    consent_routes,  # what somebody's data may be used for
    feedback_routes,  # mails that came back, addresses that are verified
    event_routes,  # everybody's events, live
    message_routes,  # messages to people, and whom nothing is sent to
    destination_routes,  # where values leave for
    audience_routes,  # which customers, since when, and why
    feature_routes,  # what is made of what they did
    quarantine_routes,  # what the door turned away
    key_routes,  # sources and keys
    health_routes,  # /health /ready /metrics
)

# Addresses that go on with an identifier, and what else may follow there.
_NAMING = {
    "/api/profiles/": frozenset({"count", "lookup", "lookup/events", "lookup/decisions", "search"}),
    "/api/consent/": frozenset({"lookup"}),
}
# The same where a name stands before: /api/audiences/lapsing/why/email:…
_NAMING_BELOW = re.compile(r"(/api/audiences/[a-z0-9-]+/why/)(?=.)", re.ASCII)
_BELOW = ("/events", "/decisions", "/possible")

_SAFE: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_JSON_POLICY: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Api:
    """The application. `close` ends its streams and threads; call it when the server begins to stop."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
        start_plans: Callable[[], None] | None = None,
    ) -> None:
        """Make every route; nothing runs yet. `start_plans` sees to it that plans that wait are worked on."""
        self._desk = Desk(workspace, monotonic_s=monotonic_s, start_plans=start_plans)
        self._measures = self._desk.measures
        handlers = list_routes(self._desk)
        self.litestar = Litestar(
            route_handlers=[*handlers, *description_routes(handlers)],
            # Not a guard: those get a copy of the route's handler for every request, a tenth of the cost (measured).
            before_request=self._desk.gate.check,
            exception_handlers={TillitError: answer, Exception: answer},
            # No description, page or script of the library's: they load from elsewhere.
            openapi_config=None,
            logging_config=None,
            request_max_body_size=MAX_BODY_BYTES,
            debug=False,
        )

    def close(self) -> None:
        """End the streams, so that a server which waits for its answers can stop."""
        self._desk.close()

    async def slowly(self, work: Callable[[], T]) -> T:
        """Do slow work of another door where the API does its own: the stores are read by one thread."""
        return await self._desk.slowly(work)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._live(receive, send)
            return
        began = clock.monotonic_s()
        who, path = _split(scope)
        told = Asked(who)
        method = scope["method"]
        # Probes of load balancers ask so; the server leaves the body out.
        seen_as = "GET" if method == "HEAD" and path in {"/health", "/ready"} else method
        if method == "OPTIONS":
            # No page of another origin may read here; the library would answer with a list of methods.
            seen_as = "TRACE"
        inner = {**scope, "path": path, "raw_path": path.encode(), "method": seen_as, ASKED: told}
        status = 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_headers(message["headers"], told)]}
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self.litestar(inner, receive, send_safely)  # type: ignore[arg-type]  # the same protocol, other names
        except Exception as error:  # noqa: BLE001 -- the request's rim: an answer that had begun breaks off here
            _log.error("internal %s after the answer began", type(error.__cause__ or error).__name__)
        finally:
            template = str(inner.get("path_template") or NO_ROUTE)
            self._measures.note(template, method, status, clock.monotonic_s() - began)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_api(
    workspace: Workspace,
    *,
    monotonic_s: Callable[[], float] = clock.monotonic_s,
    start_plans: Callable[[], None] | None = None,
) -> Api:
    """Make the API of a workspace.

    Answers /api/..., /health, /ready and /metrics. Serve it with the server's access log off: paths may hold
    identifiers. Measures and logs hold route templates only.
    """
    return Api(workspace, monotonic_s=monotonic_s, start_plans=start_plans)


def api_reference_page(workspace: Workspace) -> str:
    """Give the reference page of the API's routes, in Markdown."""
    desk = Desk(workspace)
    try:
        return reference_page(openapi_document(list_routes(desk)))
    finally:
        desk.close()


def list_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Give every route there is, but the ones that describe the others."""
    return [handler for make in ROUTES for handler in make(desk)]


def _split(scope: Scope) -> tuple[str | None, str]:
    """Take the identifier out of a path: (identifier, path that the router sees).

    An identifier may hold slashes, also percent-encoded ones, which the decoded path no longer tells from the route's
    own. The router sees a stand-in, so that its caches hold no personal value.
    """
    path: str = scope["path"]
    below = _NAMING_BELOW.match(path)
    head = below[0] if below is not None else next((head for head in _NAMING if path.startswith(head)), None)
    if head is None:
        return None, path
    raw = scope.get("raw_path")
    sent = raw.decode("latin-1") if raw else quote(path)
    rest = sent[len(head) :]
    if not sent.startswith(head) or rest in _NAMING.get(head, ()) or not rest:
        return None, path
    for ending in _BELOW:
        if head == "/api/profiles/" and rest.endswith(ending) and len(rest) > len(ending):
            return unquote(rest[: -len(ending)]), f"{head}-{ending}"
    return unquote(rest), f"{head}-"


def _headers(headers: Any, told: Asked) -> list[Header]:
    more: list[Header] = list(_SAFE)
    if not any(name.lower() == b"content-security-policy" for name, _ in headers):
        more.append(_JSON_POLICY)
    if told.budget is not None:
        for name, value in zip((b"limit", b"remaining", b"reset"), told.budget, strict=True):
            number = b"%d" % value
            more += [(b"ratelimit-" + name, number), (b"x-ratelimit-" + name, number)]
    return more
