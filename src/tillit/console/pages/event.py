"""One event, whole.

In:    an event id.
Out:   what it says, where it came from, what became of it.
Never: an event of another life of the log.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.console.desk import PART, Asking, Desk
from tillit.console.views import event_detail


def event_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/events/{event_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_event(request: Asking, event_id: str) -> Response[str]:
        detail = event_detail(desk.workspace, event_id, desk.permit(request))
        if detail is None:
            return desk.page(request, "unknown_event.html", status=404, here="live")
        desk.note(request, 1, detail.view.profile_id or "")
        if PART in request.headers:
            return desk.page(request, "parts/event.html", event=detail)
        return desk.page(request, "event.html", here="live", event=detail)

    return [show_event]
