"""The way in and out.

In:    a link that was printed.
Out:   a session cookie.
Never: a link spent by looking at it.
"""

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.console.desk import Asking, Desk, Form


def entrance_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/enter", opt={"is_open": True}, sync_to_thread=False)
    def show_entrance(request: Asking) -> Response[str]:
        # Looking spends nothing: mail scanners and previews follow links, only a person presses the button.
        return desk.page(request, "enter.html", token=request.query_params.get("token", ""), is_spent=False)

    @post("/console/enter", opt={"is_open": True}, sync_to_thread=True)
    def enter(request: Asking, data: Form) -> Response[Any]:
        cookie = desk.sessions.redeem(data.get("token", ""))
        if cookie is None:
            return desk.page(request, "enter.html", status=401, token="", is_spent=True)
        answer: Response[Any] = Redirect("/console", status_code=303)
        answer.set_cookie(_cookie(desk, request, cookie))
        return answer

    @post("/console/leave", opt={"role": "reader"}, sync_to_thread=True)
    def leave(request: Asking) -> Response[Any]:
        desk.sessions.end(request.cookies.get(desk.sessions.cookie_name, ""))
        answer: Response[Any] = Redirect("/console", status_code=303)
        answer.set_cookie(_cookie(desk, request, ""))
        return answer

    return [show_entrance, enter, leave]


def _cookie(desk: Desk, request: Asking, value: str) -> Cookie:
    return Cookie(
        key=desk.sessions.cookie_name,
        value=value,
        path="/console",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        max_age=None if value else 0,
    )
