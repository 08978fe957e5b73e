"""One customer.

In:    a profile id, old or new.
Out:   who, what is known and from where, what they did.
Never: an identifier in an address.
"""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.console.desk import PART, Asking, Desk
from tillit.console.views import customer_detail, event_views

_TIMELINE_ROWS = 40


def customer_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/customers/{profile_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_customer(request: Asking, profile_id: str, before: str | None = None) -> Response[Any]:
        ws = desk.workspace
        permit = desk.permit(request)
        # Only ids: `namespace:value` would put a person's address into an address.
        document = ws.profiles.find(profile_id, permit) if ":" not in profile_id else None
        if document is None:
            return desk.page(request, "unknown_customer.html", status=404, here="customers")
        if document["id"] != profile_id:
            return Redirect(f"/console/customers/{document['id']}", status_code=307)
        told = ws.profiles.events(profile_id, permit, limit=_TIMELINE_ROWS, before=before)
        documents, more = told if told is not None else ([], None)
        desk.note(request, 1, profile_id)
        positions = [int(one["event_id"].partition("-")[2]) for one in documents]
        rows = ws.folding.rows(positions)
        events = event_views(ws, [rows[p] for p in positions if p in rows], permit)
        shown: dict[str, Any] = {"events": events, "with_who": False, "more": more, "profile_id": profile_id}
        if PART in request.headers:
            return desk.page(request, "parts/timeline.html", **shown)
        return desk.page(
            request, "customer.html", here="customers", customer=customer_detail(document), before=before, **shown
        )

    return [show_customer]
