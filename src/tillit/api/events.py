"""Routes about everybody's events: pages in log order, and the live stream.

In:    a position to go on from; what to leave out.
Out:   events that the fold has applied, each once (repeats of a message are not told again).
Never: an event before it is in its profile.
"""

from collections.abc import AsyncIterator
from typing import Any, cast

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from tillit.api.desk import Desk
from tillit.api.documents import EventsDocument, QueryAfter, QueryLimit, QueryPurpose, QueryWord
from tillit.api.gate import asked, key_of
from tillit.api.refusals import BadRequest

Asking = Request[Any, Any, Any]


def event_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    @get("/api/events", opt={"scope": "events:read"}, tags=["events"])
    async def read_events(
        request: Asking,
        after: QueryAfter = None,
        limit: QueryLimit = None,
        type: QueryWord = None,
        name: QueryWord = None,
        source: QueryWord = None,
        purpose: QueryPurpose = None,
    ) -> EventsDocument:
        """Give events in log order, after a position; a page may be short when much was filtered out."""
        scope = desk.scope(request, purpose)
        found, through = ws.events.applied(
            after or 0, scope, limit=desk.limit(limit), type=type, name=name, source=source
        )
        desk.note_flow(request, scope, ws.events.people([position for position, _ in found], scope))
        return cast(EventsDocument, {"events": [document for _, document in found], "next": through})

    @get("/api/events/stream", opt={"scope": "events:read"}, media_type="text/event-stream", tags=["events"])
    async def stream_events(
        request: Asking,
        after: QueryAfter = None,
        type: QueryWord = None,
        name: QueryWord = None,
        source: QueryWord = None,
        purpose: QueryPurpose = None,
    ) -> Stream:
        """Give events as they are applied, as server-sent events; `Last-Event-ID` or `after` says where to go on."""
        desk.scope(request, purpose)  # refused now, rather than in the middle of a stream
        desk.streams.check(key_of(request).key_id)
        start = last_event_id(request)
        if start is None:
            start = after if after is not None else ws.folding.position()
        frames: AsyncIterator[bytes] = desk.streams.follow(
            asked(request),
            lambda: desk.scope(request, purpose),
            after=start,
            wanted={"type": type, "name": name, "source": source},
        )
        return Stream(frames, media_type="text/event-stream")

    return [read_events, stream_events]


def last_event_id(request: Asking) -> int | None:
    """Give where a listener who comes back goes on. Raises BadRequest."""
    told = request.headers.get("last-event-id")
    if not told:
        return None
    if not (told.isascii() and told.isdigit() and len(told) <= 16):
        raise BadRequest("`Last-Event-ID` is the `id` of an event of an earlier stream: a whole number.")
    return int(told)
