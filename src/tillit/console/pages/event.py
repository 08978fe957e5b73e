"""One event, raw and understood.

In:    an event id.
Out:   what it says as the log holds it, beside what the fold made of it.
Never: an event of another life of the log.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from tillit.console.desk import PART, Asking, Desk
from tillit.console.pages.leave import closed_page, offers_of_event
from tillit.console.understood import row_of, understand
from tillit.ledger import UNKNOWN
from tillit.records import LogRow
from tillit.workspace import is_refused


def event_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    def closed(request: Asking, row: LogRow, profile_id: str | None) -> Response[str]:
        ws = desk.workspace
        document = ws.profiles.find(profile_id, desk.scope(request)) if profile_id is not None else None
        if document is not None and is_refused(document):
            return closed_page(desk, request, document)
        name = "parts/withheld_event.html" if PART in request.headers else "withheld_event.html"
        return desk.page(request, name, here="live", profile_id=profile_id, offers=offers_of_event(desk, request, row))

    @get("/console/events/{event_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_event(request: Asking, event_id: FromPath[str]) -> Response[str]:
        ws = desk.workspace
        row = row_of(ws, event_id)
        if row is None:
            return desk.page(request, "unknown_event.html", status=404, here="live")
        profile_id = ws.events.about(row, desk.scope(request))
        event = understand(ws, row, desk.scope(request, profile_id or ""))
        if event is None:
            return closed(request, row, profile_id)
        desk.note(request, [event.view.profile_id or UNKNOWN])
        if PART in request.headers:
            return desk.page(request, "parts/event.html", event=event)
        return desk.page(request, "event.html", here="live", event=event)

    return [show_event]
