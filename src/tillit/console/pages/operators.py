"""Operators: who may open the console.

In:    forms of an admin.
Out:   operators, their roles; a link that signs a new one in once, shown once.
Never: a link in an address or in the audit; a workspace without an admin.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from tillit.access import INVITATION_US, ROLES, Operator
from tillit.clock import HOUR, rfc3339
from tillit.console.desk import Asking, Desk, Form
from tillit.errors import InputError, RefusedError

_NOTHING_ASKED = {"login": "", "name": "", "role": "reader"}


def operators_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    operators, sessions = desk.workspace.operators, desk.sessions

    def page(request: Asking, status: int = 200, **shown: Any) -> Response[Any]:
        known = {"link": "", "link_for": "", "fault": "", "asked": _NOTHING_ASKED, **shown}
        return desk.page(
            request,
            "operators.html",
            status=status,
            here="operators",
            operators=[_view(one, len(sessions.list_of(one.operator_id))) for one in operators.list_all()],
            roles=ROLES,
            link_hours=INVITATION_US // HOUR,
            **known,
        )

    def with_link(request: Asking, operator: Operator) -> Response[Any]:
        token = sessions.issue(operator.operator_id, lasts_us=INVITATION_US)
        link = f"{desk.address(request)}/console/enter?token={token}"
        return page(request, link=link, link_for=operator.name)

    def done(request: Asking, action: str, operator_id: str, **details: str) -> Response[Any]:
        desk.audit(request, action, operator_id, **details)
        # Whoever ended their own session by this is shown the way in.
        return Redirect("/console/operators", status_code=303)

    @get("/console/operators", opt={"role": "admin"}, sync_to_thread=True)
    def show_operators(request: Asking) -> Response[Any]:
        return page(request)

    @post("/console/operators/invite", opt={"role": "admin"}, status_code=200, sync_to_thread=True)
    def invite(request: Asking, data: Form) -> Response[Any]:
        asked = {word: data.get(word, "")[:200] for word in ("login", "name", "role")}
        try:
            made = operators.create(login=asked["login"], name=asked["name"], role=asked["role"])
        except InputError as fault:
            return page(request, fault.status, fault=fault.message, asked=asked)
        desk.audit(request, "operator.create", made.operator_id, role=made.role)
        return with_link(request, made)

    @post("/console/operators/{operator_id:str}/link", opt={"role": "admin"}, status_code=200, sync_to_thread=True)
    def make_link(request: Asking, operator_id: FromPath[str]) -> Response[Any]:
        operator = operators.get(operator_id)
        try:
            answer = with_link(request, operator)
        except RefusedError as fault:
            return page(request, 409, fault=fault.message)
        desk.audit(request, "operator.link", operator_id)
        return answer

    @post("/console/operators/{operator_id:str}/role", opt={"role": "admin"}, sync_to_thread=True)
    def change_role(request: Asking, operator_id: FromPath[str], data: Form) -> Response[Any]:
        try:
            changed = operators.set_role(operator_id, data.get("role", ""))
        except RefusedError as fault:
            desk.audit(request, "operator.role", operator_id, outcome="refused")
            return page(request, 409, fault=fault.message)
        return done(request, "operator.role", operator_id, role=changed.role)

    @post("/console/operators/{operator_id:str}/disable", opt={"role": "admin"}, sync_to_thread=True)
    def disable(request: Asking, operator_id: FromPath[str]) -> Response[Any]:
        try:
            operators.disable(operator_id)
        except RefusedError as fault:
            desk.audit(request, "operator.disable", operator_id, outcome="refused")
            return page(request, 409, fault=fault.message)
        return done(request, "operator.disable", operator_id)

    @post("/console/operators/{operator_id:str}/enable", opt={"role": "admin"}, sync_to_thread=True)
    def enable(request: Asking, operator_id: FromPath[str]) -> Response[Any]:
        operators.enable(operator_id)
        return done(request, "operator.enable", operator_id)

    @post("/console/operators/{operator_id:str}/sign-out", opt={"role": "admin"}, sync_to_thread=True)
    def sign_out(request: Asking, operator_id: FromPath[str]) -> Response[Any]:
        operators.get(operator_id)
        sessions.end_all(operator_id)
        return done(request, "operator.sign-out", operator_id)

    return [show_operators, invite, make_link, change_role, disable, enable, sign_out]


def _view(operator: Operator, n_sessions: int) -> dict[str, Any]:
    ways = [way for way, has in (("password", operator.has_password), ("single sign-on", operator.has_sso)) if has]
    return {
        **operator._asdict(),
        "made_at": rfc3339(operator.created_at),
        "ways": " and ".join(ways) or "no password yet",
        "n_sessions": n_sessions,
    }
