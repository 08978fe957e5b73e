"""The way in and out.

In:    a login and a password; a link that was printed; an answer of the provider.
Out:   a session cookie, always a new one.
Never: a link spent by looking at it; a way on that leads out of the console.

The session cookie is SameSite=Strict: no other site's link or form comes with it. The cookie that waits for the
provider's answer is Lax, for that answer is a link from another site, and opens nothing by itself. For the same reason
the way back ends on a page that moves on by itself: a redirect would still count as coming from the provider, and
browsers would not send the new session cookie along. Names carry no `__Host-` prefix: it asks for Path=/, and ours are
sent to the console alone; whoever wants that too gives each workspace a host name of its own.
"""

from typing import Any
from urllib.parse import quote, unquote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from litestar.response import Redirect

from tillit.access import NotAnOperator, Operator, SignInDelayed, SignInRefused, SsoRefused
from tillit.clock import DAY, SECOND
from tillit.console.desk import Asking, Desk, Form
from tillit.errors import TillitError

_DEVICE_S = 90 * DAY // SECOND
_AWAY_S = 600  # to type a password at the provider


def entrance_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/enter", opt={"is_open": True}, sync_to_thread=False)
    def show_entrance(request: Asking) -> Response[str]:
        # Looking spends nothing: mail scanners and previews follow links, only a person presses the button.
        return _form(desk, request, token=request.query_params.get("token", ""), then=request.query_params.get("next"))

    @post("/console/enter", opt={"is_open": True}, sync_to_thread=True)
    def enter(request: Asking, data: Form) -> Response[Any]:
        then = data.get("next")
        if "token" in data:
            operator_id = desk.sessions.redeem(data["token"])
            if operator_id is None:
                _note_refused(desk, "", "link")
                return _form(desk, request, status=401, is_spent=True, then=then)
            return _let_in(desk, request, desk.workspace.operators.get(operator_id), via="link", then=then)
        client = request.client
        try:
            operator = desk.workspace.sign_in.by_password(
                data.get("login", ""),
                data.get("password", ""),
                address=client.host if client is not None else "",
                device=request.cookies.get(_device_name(desk), ""),
            )
        except SignInRefused as fault:
            _note_refused(desk, fault.operator_id, "password")
            return _form(desk, request, status=401, fault=fault, login=data.get("login", ""), then=then)
        except SignInDelayed as fault:
            answer = _form(desk, request, status=429, fault=fault, login=data.get("login", ""), then=then)
            answer.headers["retry-after"] = str(fault.details["wait_s"])
            return answer
        answer = _let_in(desk, request, operator, via="password", then=then)
        device = desk.sessions.know_device(operator.operator_id)
        answer.set_cookie(_cookie(desk, request, _device_name(desk), device, "/console/enter", max_age=_DEVICE_S))
        return answer

    @get("/console/enter/sso", opt={"is_open": True}, sync_to_thread=True)
    def leave_for_provider(request: Asking, next: FromQuery[str] = "") -> Response[Any]:
        provider = desk.provider
        if provider is None:
            return _form(desk, request, status=404)
        try:
            address, kept = provider.begin(return_to=_return_to(desk, request))
        except TillitError as fault:
            return _form(desk, request, status=fault.status, fault=fault, then=next)
        answer: Response[Any] = Redirect(address, status_code=303)
        # Where to go then rides along with the secret; it is judged when it is used.
        answer.set_cookie(
            _cookie(
                desk,
                request,
                _away_name(desk),
                f"{kept}.{quote(safe_next(next), safe='')}",
                "/console/enter",
                max_age=_AWAY_S,
                samesite="lax",
            )
        )
        return answer

    @get("/console/enter/return", opt={"is_open": True}, sync_to_thread=True)
    def return_from_provider(request: Asking) -> Response[Any]:
        provider = desk.provider
        if provider is None:
            return _form(desk, request, status=404)
        kept, _, then = request.cookies.get(_away_name(desk), "").partition(".")
        settings = desk.workspace.settings.console_oidc
        forget = _cookie(desk, request, _away_name(desk), "", "/console/enter", max_age=0, samesite="lax")
        try:
            told = provider.finish(kept, dict(request.query_params), return_to=_return_to(desk, request))
            operator = desk.workspace.sign_in.by_provider(told, may_create=settings.create, default_role=settings.role)
        except TillitError as fault:
            if isinstance(fault, SsoRefused | NotAnOperator):
                who = fault.operator_id if isinstance(fault, NotAnOperator) else ""
                _note_refused(desk, who, "sso", reason=fault.code.partition(".")[2])
            answer = _form(desk, request, status=fault.status, fault=fault)
            answer.set_cookie(forget)
            return answer
        let_in = _let_in(desk, request, operator, via="sso", then=None)
        answer = desk.page(request, "arrived.html", then=safe_next(unquote(then)))
        answer.cookies = [*let_in.cookies, forget]
        return answer

    @post("/console/leave", opt={"role": "reader"}, sync_to_thread=True)
    def leave(request: Asking) -> Response[Any]:
        desk.sessions.end(request.cookies.get(desk.sessions.cookie_name, ""))
        desk.audit(request, "session.sign-out", desk.session(request).session_id)
        answer: Response[Any] = Redirect("/console/enter", status_code=303)
        answer.set_cookie(session_cookie(desk, request, ""))
        return answer

    return [show_entrance, enter, leave_for_provider, return_from_provider, leave]


def session_cookie(desk: Desk, request: Asking, value: str) -> Cookie:
    """Give the cookie of a session; an empty value takes it away."""
    return _cookie(desk, request, desk.sessions.cookie_name, value, "/console", max_age=None if value else 0)


def safe_next(path: str | None) -> str:
    """Give where to go after signing in: a place in the console, whatever was asked for.

    >>> (
    ...     safe_next("/console/customers/p1?x=1"),
    ...     safe_next("//evil.example"),
    ...     safe_next("/console/../v1"),
    ...     safe_next(None),
    ... )
    ('/console/customers/p1', '/console', '/console', '/console')
    """
    told = (path or "").partition("?")[0].partition("#")[0]
    is_ours = told == "/console" or told.startswith("/console/")
    is_plain = all(c.isascii() and (c.isalnum() or c in "/-_.~") for c in told)
    is_odd = ".." in told or "//" in told or told.startswith(("/console/enter", "/console/leave"))
    return told if is_ours and is_plain and not is_odd and len(told) <= 200 else "/console"


def _let_in(desk: Desk, request: Asking, operator: Operator, *, via: str, then: str | None) -> Response[Any]:
    before = request.cookies.get(desk.sessions.cookie_name, "")
    cookie = desk.sessions.open(operator.operator_id, via=via, instead_of=before)
    desk.workspace.audit.note(
        operator_id=operator.operator_id, action="session.sign-in", target=operator.operator_id, details={"via": via}
    )
    answer: Response[Any] = Redirect(safe_next(then), status_code=303)
    answer.set_cookie(session_cookie(desk, request, cookie))
    return answer


def _note_refused(desk: Desk, operator_id: str, via: str, **details: str) -> None:
    desk.workspace.audit.note(
        operator_id="",
        action="session.refused",
        target=operator_id,
        outcome="refused",
        details={"via": via, **details},
    )


def _form(
    desk: Desk,
    request: Asking,
    *,
    status: int = 200,
    token: str = "",
    is_spent: bool = False,
    fault: TillitError | None = None,
    login: str = "",
    then: str | None = None,
) -> Response[Any]:
    return desk.page(
        request,
        "enter.html",
        status=status,
        token=token,
        is_spent=is_spent,
        fault=fault.message if fault is not None else "",
        login=login[:200],
        then=safe_next(then),
        provider=desk.provider_name,
    )


def _return_to(desk: Desk, request: Asking) -> str:
    return f"{desk.address(request)}/console/enter/return"


def _device_name(desk: Desk) -> str:
    return f"{desk.sessions.cookie_name}_known"


def _away_name(desk: Desk) -> str:
    return f"{desk.sessions.cookie_name}_away"


def _cookie(
    desk: Desk,
    request: Asking,
    name: str,
    value: str,
    path: str,
    *,
    max_age: int | None,
    samesite: Any = "strict",
) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path=path,
        httponly=True,
        samesite=samesite,
        secure=desk.address(request).startswith("https:"),
        max_age=max_age,
    )
