"""The overview: how the workspace is, now and lately.

In:    the pulse.
Out:   alarms first, then numbers and lines; a part that the page asks for again every few seconds.
Never: a personal value.
"""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.console.desk import PART, Asking, Desk
from tillit.console.pulse import Pulse


def overview_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    pulse = Pulse(desk.workspace)

    @get("/console", opt={"role": "reader"}, sync_to_thread=True)
    def show_overview(request: Asking) -> Response[Any]:
        shown: dict[str, Any] = {"pulse": pulse.view(), "is_new": desk.workspace.log.head() == 0}
        if PART in request.headers:
            return desk.page(request, "parts/overview.html", **shown)
        return desk.page(request, "overview.html", here="overview", **shown)

    return [show_overview]
