"""My account: name, login, password, and where I am signed in.

In:    forms of whoever is signed in, about themselves.
Out:   their account; a new session when the password changed.
Never: another operator's account; a password changed without the one of before.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from tillit.access import SHORTEST, SignInDelayed, SignInRefused
from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk, Form
from tillit.console.pages.entrance import session_cookie
from tillit.errors import InputError

_VIA = {"link": "with a link", "password": "with the password", "sso": "with single sign-on"}


def account_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    operators, sessions = desk.workspace.operators, desk.sessions

    def page(request: Asking, status: int = 200, *, fault: str = "", about: str = "") -> Response[Any]:
        me = desk.session(request)
        return desk.page(
            request,
            "account.html",
            status=status,
            here="account",
            operator=operators.get(me.operator_id),
            sessions=[
                {
                    "session_id": one.session_id,
                    "via": _VIA.get(one.via, one.via),
                    "created_at": rfc3339(one.created_at),
                    "last_seen_at": rfc3339(one.last_seen_at),
                    "is_this": one.session_id == me.session_id,
                }
                for one in sessions.list_of(me.operator_id)
            ],
            shortest=SHORTEST,
            fault=fault,
            about=about,
            is_done=request.query_params.get("done") == "1",
        )

    def back() -> Response[Any]:
        return Redirect("/console/me?done=1", status_code=303)

    @get("/console/me", opt={"role": "reader"}, sync_to_thread=True)
    def show_account(request: Asking) -> Response[Any]:
        return page(request)

    @post("/console/me/name", opt={"role": "reader"}, sync_to_thread=True)
    def change_name(request: Asking, data: Form) -> Response[Any]:
        me = desk.session(request)
        try:
            operators.rename(me.operator_id, name=data.get("name", ""))
        except InputError as fault:
            return page(request, fault.status, fault=fault.message, about="name")
        desk.audit(request, "account.name", me.operator_id)
        return back()

    @post("/console/me/password", opt={"role": "reader"}, sync_to_thread=True)
    def change_password(request: Asking, data: Form) -> Response[Any]:
        me = operators.get(desk.session(request).operator_id)
        try:
            if data.get("new", "") != data.get("again", ""):
                raise InputError("The two new passwords differ. Type them once more.", code="access.passwords-differ")
            # A login is chosen once: single sign-on and colleagues know somebody by it.
            if not me.login:
                me = operators.rename(me.operator_id, name=me.name, login=data.get("login", ""))
            if me.has_password:
                desk.workspace.sign_in.confirm(me.operator_id, data.get("current", ""))
            operators.set_password(me.operator_id, data.get("new", ""))
        except SignInRefused:
            desk.audit(request, "account.password", me.operator_id, outcome="refused")
            return page(request, 403, fault="The current password is another.", about="password")
        except (InputError, SignInDelayed) as fault:
            status = 429 if isinstance(fault, SignInDelayed) else fault.status
            return page(request, status, fault=fault.message, about="password")
        desk.audit(request, "account.password", me.operator_id)
        # All sessions of before have ended, this one too: whoever held a copy of its cookie holds nothing now.
        answer = back()
        answer.set_cookie(session_cookie(desk, request, sessions.open(me.operator_id, via="password")))
        return answer

    @post("/console/me/sessions/{session_id:str}/end", opt={"role": "reader"}, sync_to_thread=True)
    def end_session(request: Asking, session_id: FromPath[str]) -> Response[Any]:
        me = desk.session(request)
        sessions.end_one(me.operator_id, session_id)
        desk.audit(request, "session.end", session_id)
        return back()

    @post("/console/me/sign-out-everywhere", opt={"role": "reader"}, sync_to_thread=True)
    def sign_out_everywhere(request: Asking) -> Response[Any]:
        me = desk.session(request)
        sessions.end_all(me.operator_id)
        desk.audit(request, "session.end-all", me.operator_id)
        answer: Response[Any] = Redirect("/console/enter", status_code=303)
        answer.set_cookie(session_cookie(desk, request, ""))
        return answer

    return [show_account, change_name, change_password, end_session, sign_out_everywhere]
