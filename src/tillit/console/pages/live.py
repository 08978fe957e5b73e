"""Events as they arrive.

In:    the log's end, quarantine's end; a filter in a form's body, for it may name a person.
Out:   the newest events and refusals, and a stream of those that follow.
Never: a stream that outlives its session, or what it was begun for; a searched text in an address.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.live import FIRST_ROWS, ROUTE, Pace, Wanted, look, people_of, stream, wanted_from
from tillit.errors import TillitError

TYPES = ("track", "page", "screen", "identify", "group", "alias", "cut", "pin", "join", "undo")


def live_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def shown(request: Asking, wanted: Wanted) -> dict[str, Any]:
        # A longer look back than one glance: ticks of an idle log stand among the events.
        glance = look(ws, 0, 0, lambda: desk.scope(request), most=FIRST_ROWS, wanted=wanted)
        desk.note(request, people_of(glance), flows=True)
        return {
            "lines": glance.rows,
            "position": glance.position,
            "refused_id": glance.refused_id,
            "n_behind": glance.n_behind,
            "n_looked": glance.n_looked,
            "wanted": wanted,
            "types": TYPES,
            "sources": sorted({key.source for key in ws.keys.list_all() if key.may_send}),
            "pace": Pace(ws.log, now=ws.now()).view(),
        }

    # Not `sync_to_thread`: Litestar 2.25 wraps a function twice when another one joins it on its path.
    @get("/console/live", opt={"role": "reader"})
    async def show_live(request: Asking) -> Response[str]:
        return desk.page(request, "live.html", here="live", **await asyncio.to_thread(shown, request, Wanted()))

    @post("/console/live", opt={"role": "reader"}, status_code=200)
    async def sift_live(request: Asking, data: Form) -> Response[str]:
        found = await asyncio.to_thread(shown, request, wanted_from(data))
        name = "parts/live_list.html" if PART in request.headers else "live.html"
        return desk.page(request, name, here="live", **found)

    @post(ROUTE, opt={"role": "reader"}, status_code=200)
    async def stream_live(request: Asking, data: Form) -> Stream:
        desk.scope(request)  # who may act for nothing is told so before anything is streamed
        after, refused_after = _place(data)

        async def told() -> AsyncIterator[str]:
            # What cannot be told now is told to a browser that comes back.
            with suppress(TillitError):
                async for part in stream(
                    ws, desk.pages, after, refused_after, lambda: desk.scope(request), wanted_from(data)
                ):
                    yield part

        return Stream(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return [show_live, sift_live, stream_live]


def _place(form: Mapping[str, str]) -> tuple[int, int]:
    """Read where a browser has come: `position.quarantine_id`; the beginning when it is none."""
    after, _, refused_after = form.get("after", "").partition(".")
    return tuple(int(one) if one.isascii() and one.isdigit() and len(one) < 19 else 0 for one in (after, refused_after))  # type: ignore[return-value]  # two of two
