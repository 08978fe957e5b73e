"""Events as they arrive.

In:    the log's end.
Out:   the newest events, and a stream of those that follow.
Never: a stream that outlives its session.
"""

from collections.abc import AsyncIterator

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from tillit.console.desk import Asking, Desk
from tillit.console.live import FIRST_ROWS, ROUTE, Pace, look, stream


def live_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/live", opt={"role": "reader"}, sync_to_thread=True)
    def show_live(request: Asking) -> Response[str]:
        ws = desk.workspace
        # A longer look back than one glance: ticks of an idle log stand among the events.
        glance = look(ws, 0, most=FIRST_ROWS, permit=desk.permit(request))
        desk.note(request, len({row.profile_id for row in glance.rows if row.profile_id}))
        return desk.page(
            request,
            "live.html",
            here="live",
            events=glance.rows,
            position=glance.position,
            n_behind=glance.n_behind,
            pace=Pace(ws.log, now=ws.now()).view(),
        )

    @get(ROUTE, opt={"role": "reader"}, sync_to_thread=False)
    def stream_live(request: Asking, after: int = 0) -> Stream:
        last = request.headers.get("last-event-id", "")
        start = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else after
        permit = desk.permit(request)

        async def told() -> AsyncIterator[str]:
            async for part in stream(desk.workspace, desk.pages, max(start, 0), permit):
                yield part

        return Stream(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return [show_live, stream_live]
