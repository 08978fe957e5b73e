"""One event, raw and understood.

In:    an event id.
Out:   what it says as the log holds it, beside what the fold made of it.
Never: an event of another life of the log.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from tillit.console.desk import PART, Asking, Desk
from tillit.console.understood import understand
from tillit.ledger import UNKNOWN


def event_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/events/{event_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_event(request: Asking, event_id: FromPath[str]) -> Response[str]:
        event = understand(desk.workspace, event_id, desk.scope(request))
        if event is None:
            return desk.page(request, "unknown_event.html", status=404, here="live")
        desk.note(request, [event.view.profile_id or UNKNOWN])
        if PART in request.headers:
            return desk.page(request, "parts/event.html", event=event)
        return desk.page(request, "event.html", here="live", event=event)

    return [show_event]
