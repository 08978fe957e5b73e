"""The console as one ASGI application: a gate, and the pages behind it.

In:    requests under /console.
Out:   pages, parts of pages, a stream.
Never: anything but the way in and our static files without an open session; an answer without the headers below.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.enums import MediaType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from tillit.clock import DAY, SECOND
from tillit.console.acting import PurposeMissing
from tillit.console.desk import WHO, Desk
from tillit.console.pages import list_routes
from tillit.console.pages.entrance import safe_next
from tillit.console.render import Pages
from tillit.console.sessions import NOBODY, Session, session_from
from tillit.errors import RefusedError, TillitError
from tillit.workspace import Workspace

_log = logging.getLogger("tillit.console")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_STATIC = "/console/static/"
_WAYS_IN = frozenset({"/console/enter", "/console/enter/sso", "/console/enter/return"})  # they judge for themselves
_READING = frozenset({"GET", "HEAD"})
_LARGEST_FORM = 16_384
_FOR_EVER = f"private, max-age={365 * DAY // SECOND}, immutable".encode()


def create_console(
    workspace: Workspace,
    *,
    start_imports: Callable[[], None] | None = None,
    start_plans: Callable[[], None] | None = None,
) -> App:
    """Give the pages of one workspace; only who holds an open session sees them.

    Raises: SettingsError when single sign-on is set up wrongly or its packages are missing.
    """
    pages = Pages(workspace.paths.root.name)
    desk = Desk(workspace, pages, start_imports=start_imports, start_plans=start_plans)
    handlers = list_routes(desk)
    unguarded = [str(handler) for handler in handlers if not handler.opt.keys() & {"role", "is_open"}]
    assert not unguarded, f"console routes without a role: {', '.join(unguarded)}"
    app = Litestar(
        route_handlers=handlers,
        before_request=_check,
        openapi_config=None,
        request_max_body_size=_LARGEST_FORM,
        exception_handlers={
            Exception: _Faults(pages).answer,
            PurposeMissing: lambda request, fault: desk.page(
                request, "no_purpose.html", status=fault.status, here="", message=fault.message
            ),
        },
        on_app_init=[_quiet],
    )
    return _Gate(cast("App", app), desk)


async def _check(request: Request[Any, Any, Any]) -> None:
    """Hold the session's role against the route's, and a form's token against the session's."""
    scope = cast("dict[str, Any]", request.scope)
    handler: HTTPRouteHandler = scope["route_handler"]
    if handler.opt.get("is_open"):
        return
    session: Session = scope[WHO]
    if not session.may(handler.opt["role"]):
        raise RoleMissing(handler.opt["role"], session.role)
    if request.method not in _READING and not handler.opt.get("checks_token"):
        # Beside the browser's own word on where a form came from: a token that only our pages know.
        sent = request.headers.get("x-form-token") or (await request.form()).get("form_token", "")
        if not isinstance(sent, str) or not secrets.compare_digest(sent.encode(), session.form_token.encode()):
            raise FormStale


def _quiet(config: AppConfig) -> AppConfig:
    # Litestar's own error log would hold the request's path and values.
    config.logging_config = None
    return config


class RoleMissing(RefusedError):
    """The operator's role does not reach so far."""

    code = "console.role-missing"

    def __init__(self, wanted: str, held: str) -> None:
        """Say both roles."""
        super().__init__(
            f"This needs the role {wanted}; yours is {held}. An admin can change it under Operators.",
            wanted=wanted,
            held=held,
        )


class FormStale(RefusedError):
    """A form came without the token of this session."""

    code = "console.form-stale"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("This form belongs to a session that has ended. Load the page again and send it once more.")


class _Gate:
    """Judges every request before any page is thought of: deny, unless there is a reason not to."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk
        self._pages = desk.pages
        self._sessions = desk.sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        path = scope["path"]
        if path.startswith(_STATIC):
            await self._send_asset(path.removeprefix(_STATIC), scope["query_string"], headers, send)
        elif scope["method"] not in _READING and not _is_from_here(headers):
            await self._send_page(send, "refused.html", 403)
        else:
            cookie = read_cookie(headers.get(b"cookie", b""), self._sessions.cookie_name)
            try:
                known = self._sessions.find(cookie)
                if known is not None and self._sessions.is_due(known):
                    await asyncio.to_thread(self._sessions.note_seen, known.session_id)
            except TillitError as fault:
                _log.error("%s: the session could not be read", fault.code)
                await self._send_page(send, "fault.html", status=fault.status, code=fault.code, message=fault.message)
                return
            if known is None and path not in _WAYS_IN:
                then = safe_next(path) if scope["method"] in _READING else "/console"
                await self._send_page(
                    send,
                    "enter.html",
                    401,
                    token="",
                    is_spent=False,
                    fault="",
                    login="",
                    then=then,
                    provider=self._desk.provider_name,
                )
            else:
                session = session_from(known, cookie) if known is not None else NOBODY
                await self._app({**scope, WHO: session}, receive, _dressed(self._while_open(send, session, cookie)))

    def _while_open(self, send: Send, session: Session, cookie: str) -> Send:
        """End a stream whose session has ended, or acts for something else: each part is held against it anew."""
        has_ended = False

        async def sending(message: Message) -> None:
            nonlocal has_ended
            if has_ended:
                return
            if session.operator_id and message["type"] == "http.response.body" and message.get("more_body"):
                known = self._sessions.find(cookie)
                has_ended = known is None or (known.role, known.purpose) != (session.role, session.purpose)
            # The last part tells the server that all is said, and the server tells whoever writes the stream.
            await send({"type": "http.response.body", "body": b"", "more_body": False} if has_ended else message)

        return sending

    async def _send_page(self, send: Send, name: str, status: int, **shown: Any) -> None:
        body = self._pages.render(name, me=NOBODY, theme="", status=status, **shown).encode()
        await _answer(
            send, status, [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")], body
        )

    async def _send_asset(self, name: str, query: bytes, headers: Mapping[bytes, bytes], send: Send) -> None:
        asset = self._pages.assets.get(name)
        if asset is None:
            await self._send_page(send, "missing.html", 404)
            return
        tag = f'"{asset.version}"'.encode()
        # Modules import each other by bare name: that address stays when the file changes, so it is asked for again.
        keep = _FOR_EVER if query == b"v=" + asset.version.encode() else b"no-cache"
        kept = [(b"content-type", asset.media_type.encode()), (b"cache-control", keep), (b"etag", tag)]
        if headers.get(b"if-none-match") == tag:
            await _answer(send, 304, kept, b"")
        else:
            await _answer(send, 200, kept, asset.content)


def read_cookie(header: bytes, name: str) -> str:
    """Give one cookie of a request, or an empty text."""
    try:
        found = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _is_from_here(headers: Mapping[bytes, bytes]) -> bool:
    """Say whether a form was sent by one of our own pages, as the browser tells it."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin = headers.get(b"origin", b"")
    return bool(origin) and origin.partition(b"://")[2] == headers.get(b"host")


def _dressed(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {bytes(name).lower() for name, _ in message["headers"]}
            ours = [one for one in _HEADERS if one[0] not in own]
            message["headers"] = [*message["headers"], *ours, (b"cache-control", b"no-store")]
        await send(message)

    return dressed


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS]}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


class _Faults:
    """Turns what went wrong into a page that says what to do."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def answer(self, _request: Request[Any, Any, Any], fault: Exception) -> Response[str]:
        """Give the page of one fault: ours are named, a library's keep their status, the rest is a bug."""
        if isinstance(fault, TillitError):
            status, code, message = fault.status, fault.code, fault.message
        elif isinstance(fault, HTTPException):
            if fault.status_code == 404:
                html = self._pages.render("missing.html", me=NOBODY, theme="")
                return Response(html, status_code=404, media_type=MediaType.HTML)
            status, code, message = fault.status_code, "input.invalid", "The console has no such form or address."
        else:
            status, code, message = 500, "internal", f"The page failed ({type(fault).__name__}). Please report it."
            _log.error("internal: %s at %s", type(fault).__name__, _place(fault))
        html = self._pages.render("fault.html", me=NOBODY, theme="", status=status, code=code, message=message)
        return Response(html, status_code=status, media_type=MediaType.HTML)


def _place(fault: Exception) -> str:
    """Say where it was raised; the message may hold a customer's values, so it stays out."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "an unknown place"
