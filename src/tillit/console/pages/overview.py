"""The overview: how the workspace is, now and lately.

In:    the pulse.
Out:   alarms first, then numbers and lines; a part that the page asks for again every few seconds.
Never: a personal value; who was opened without leave, to anybody but admins.
"""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.clock import DAY
from tillit.console.desk import BREAKS_GLASS, PART, Asking, Desk
from tillit.console.pages.leave import opening_views
from tillit.console.pulse import Pulse

_OPENED_WITHIN_US = 30 * DAY
_MOST_OPENINGS = 5


def overview_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace
    pulse = Pulse(ws)

    @get("/console", opt={"role": "reader"}, sync_to_thread=True)
    def show_overview(request: Asking) -> Response[Any]:
        session = desk.session(request)
        openings = ws.openings.list_since(ws.now() - _OPENED_WITHIN_US) if session.may(BREAKS_GLASS) else []
        shown: dict[str, Any] = {
            "openings": opening_views(openings[:_MOST_OPENINGS]),
            "n_openings": len(openings),
            "pulse": pulse.view(),
            "is_new": ws.log.head() == 0,
        }
        if PART in request.headers:
            return desk.page(request, "parts/overview.html", **shown)
        return desk.page(request, "overview.html", here="overview", **shown)

    return [show_overview]
