"""The pages, one function each: read, note the read, render.

In:    requests of a colleague who was let in.
Out:   HTML, whole or in part (the header X-Part asks for the part alone).
Never: a personal value in an address. What is searched for comes in a form's body, people and events by id.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import MediaType, RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body
from litestar.response import Redirect, Stream

from tillit.clock import rfc3339
from tillit.console.live import FIRST_ROWS, ROUTE, Pace, look, stream
from tillit.console.render import Pages
from tillit.console.sessions import Sessions
from tillit.console.views import customer_detail, customer_view, event_detail, event_views
from tillit.records import KIND_EVENT
from tillit.workspace import Workspace

_ASKED_BY = "console"
_PURPOSE = "service"
_SEARCH_ROWS = 25
_TIMELINE_ROWS = 40
_QUARANTINE_ROWS = 50
_TAIL_ROWS = 2_000  # log rows looked at to say when a source was last heard
_LONGEST_RAW = 4_000

_Request = Request[Any, Any, Any]
_Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Desk:
    """What every page needs."""

    def __init__(self, workspace: Workspace, pages: Pages, sessions: Sessions) -> None:
        """Hold the three."""
        self.workspace = workspace
        self.pages = pages
        self.sessions = sessions

    def page(self, name: str, status: int = 200, **shown: Any) -> Response[str]:
        """Render one page."""
        return Response(self.pages.render(name, **shown), status_code=status, media_type=MediaType.HTML)

    def note(self, route: str, n_profiles: int, profile_id: str = "") -> None:
        """Note in the journal that personal values were shown."""
        if n_profiles:
            self.workspace.journal.note(
                asked_by=_ASKED_BY, route=route, purpose=_PURPOSE, profile_id=profile_id, n_profiles=n_profiles
            )


def routes_of(desk: Desk) -> list[HTTPRouteHandler]:
    """Give all routes of the console."""
    return [*_entrance(desk), *_live(desk), *_customers(desk), *_events(desk), *_workshop(desk)]


def _entrance(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/console/enter", sync_to_thread=False)
    def show_entrance(request: _Request) -> Response[str]:
        # Looking spends nothing: mail scanners and previews follow links, only a person presses the button.
        return desk.page("enter.html", token=request.query_params.get("token", ""), is_spent=False)

    @post("/console/enter", sync_to_thread=True)
    def enter(request: _Request, data: _Form) -> Response[Any]:
        cookie = desk.sessions.redeem(data.get("token", ""))
        if cookie is None:
            return desk.page("enter.html", status=401, token="", is_spent=True)
        answer: Response[Any] = Redirect("/console", status_code=303)
        answer.set_cookie(_cookie(desk, request, cookie))
        return answer

    @post("/console/leave", sync_to_thread=True)
    def leave(request: _Request) -> Response[Any]:
        desk.sessions.end(request.cookies.get(desk.sessions.cookie_name, ""))
        answer: Response[Any] = Redirect("/console", status_code=303)
        answer.set_cookie(_cookie(desk, request, ""))
        return answer

    return [show_entrance, enter, leave]


def _cookie(desk: Desk, request: _Request, value: str) -> Cookie:
    return Cookie(
        key=desk.sessions.cookie_name,
        value=value,
        path="/console",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        max_age=None if value else 0,
    )


def _live(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/console", sync_to_thread=True)
    def show_live() -> Response[str]:
        ws = desk.workspace
        # A longer look back than one glance: ticks of an idle log stand among the events.
        glance = look(ws, 0, most=FIRST_ROWS)
        desk.note("/console", len({row.profile_id for row in glance.rows if row.profile_id}))
        return desk.page(
            "live.html",
            here="live",
            events=glance.rows,
            position=glance.position,
            n_behind=glance.n_behind,
            pace=Pace(ws.log, now=ws.now()).view(),
        )

    @get(ROUTE, sync_to_thread=False)
    def stream_live(request: _Request, after: int = 0) -> Stream:
        last = request.headers.get("last-event-id", "")
        start = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else after

        async def told() -> AsyncIterator[str]:
            async for part in stream(desk.workspace, desk.pages, max(start, 0)):
                yield part

        return Stream(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return [show_live, stream_live]


def _customers(desk: Desk) -> list[HTTPRouteHandler]:
    def found(text: str) -> dict[str, Any]:
        ws = desk.workspace
        if text.strip():
            documents = ws.profiles.search(text, limit=_SEARCH_ROWS, asked_by=_ASKED_BY)
        else:
            documents = ws.profiles.newest(permit=ws.permit(asked_by=_ASKED_BY), limit=_SEARCH_ROWS)
        desk.note("/console/customers", len(documents))
        return {
            "query": text,
            "customers": [customer_view(document) for document in documents],
            "is_full": len(documents) == _SEARCH_ROWS,
        }

    # Not `sync_to_thread`: Litestar 2.25 wraps a function twice when another one joins it on its path.
    @get("/console/customers")
    async def show_customers() -> Response[str]:
        return desk.page("customers.html", here="customers", **await asyncio.to_thread(found, ""))

    @post("/console/customers", status_code=200)
    async def search(request: _Request, data: _Form) -> Response[str]:
        shown = await asyncio.to_thread(found, data.get("query", "")[:256])
        if "x-part" in request.headers:
            return desk.page("parts/results.html", **shown)
        return desk.page("customers.html", here="customers", **shown)

    @get("/console/customers/{profile_id:str}", sync_to_thread=True)
    def show_customer(request: _Request, profile_id: str, before: str | None = None) -> Response[Any]:
        ws = desk.workspace
        permit = ws.permit(asked_by=_ASKED_BY)
        # Only ids: `namespace:value` would put a person's address into an address.
        document = ws.profiles.find(profile_id, permit) if ":" not in profile_id else None
        if document is None:
            return desk.page("unknown_customer.html", status=404, here="customers")
        if document["id"] != profile_id:
            return Redirect(f"/console/customers/{document['id']}", status_code=307)
        told = ws.profiles.events(profile_id, permit, limit=_TIMELINE_ROWS, before=before)
        documents, more = told if told is not None else ([], None)
        desk.note("/console/customers/{profile_id}", 1, profile_id)
        positions = [int(one["event_id"].partition("-")[2]) for one in documents]
        rows = ws.folding.rows(positions)
        events = event_views(ws, [rows[p] for p in positions if p in rows], permit)
        shown: dict[str, Any] = {"events": events, "with_who": False, "more": more, "profile_id": profile_id}
        if "x-part" in request.headers:
            return desk.page("parts/timeline.html", **shown)
        return desk.page("customer.html", here="customers", customer=customer_detail(document), before=before, **shown)

    return [show_customers, search, show_customer]


def _events(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/console/events/{event_id:str}", sync_to_thread=True)
    def show_event(request: _Request, event_id: str) -> Response[str]:
        ws = desk.workspace
        detail = event_detail(ws, event_id, ws.permit(asked_by=_ASKED_BY))
        if detail is None:
            return desk.page("unknown_event.html", status=404, here="live")
        desk.note("/console/events/{event_id}", 1, detail.view.profile_id or "")
        if "x-part" in request.headers:
            return desk.page("parts/event.html", event=detail)
        return desk.page("event.html", here="live", event=detail)

    return [show_event]


def _workshop(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/console/quarantine", sync_to_thread=True)
    def show_quarantine(before: int | None = None) -> Response[str]:
        ws = desk.workspace
        kept = ws.quarantine.rows(limit=_QUARANTINE_ROWS + 1, before=before)
        shown = [
            {
                "id": one.quarantine_id,
                "at": rfc3339(one.received_at),
                "source": one.source,
                "code": one.code,
                "reason": one.reason,
                "message_id": one.message_id or "",
                "raw": one.raw[:_LONGEST_RAW].decode("utf-8", "replace"),
                "is_cut": len(one.raw) > _LONGEST_RAW,
                "is_replayed": one.replayed_position is not None,
            }
            for one in kept[:_QUARANTINE_ROWS]
        ]
        desk.note("/console/quarantine", len(shown))
        return desk.page(
            "quarantine.html",
            here="quarantine",
            kept=shown,
            more=shown[-1]["id"] if len(kept) > _QUARANTINE_ROWS else None,
            keep_days=ws.settings.collect.quarantine_days,
            before=before,
        )

    @get("/console/sources", sync_to_thread=True)
    def show_sources(request: _Request) -> Response[str]:
        ws = desk.workspace
        head = ws.log.head()
        last_heard: dict[str, str] = {}
        for row in ws.log.read(max(0, head - _TAIL_ROWS), _TAIL_ROWS):
            if row.kind == KIND_EVENT:
                last_heard[row.source] = rfc3339(row.received_at)
        return desk.page(
            "sources.html",
            here="sources",
            keys=ws.keys.list_all(),
            made={key.key_id: rfc3339(key.created_at) for key in ws.keys.list_all()},
            last_heard=last_heard,
            n_looked=min(head, _TAIL_ROWS),
            is_waiting=not last_heard,
            base_url=f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:8000')}",
        )

    return [show_quarantine, show_sources]
