"""The search for customers.

In:    a text in a form's body.
Out:   people, best first.
Never: what was searched for in an address.
"""

import asyncio
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.views import customer_view

_MOST_ROWS = 25


def customers_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    def found(request: Asking, text: str) -> dict[str, Any]:
        ws = desk.workspace
        scope = desk.scope(request)
        if text.strip():
            documents = ws.profiles.search(text, purpose=scope.purpose, limit=_MOST_ROWS, asked_by=scope.asked_by)
        else:
            documents = ws.profiles.newest(scope=scope, limit=_MOST_ROWS)
        desk.note(request, (one["id"] for one in documents))
        return {
            "query": text,
            "customers": [customer_view(document) for document in documents],
            "is_full": len(documents) == _MOST_ROWS,
        }

    # Not `sync_to_thread`: Litestar 2.25 wraps a function twice when another one joins it on its path.
    @get("/console/customers", opt={"role": "reader"})
    async def show_customers(request: Asking) -> Response[str]:
        return desk.page(request, "customers.html", here="customers", **await asyncio.to_thread(found, request, ""))

    @post("/console/customers", opt={"role": "reader"}, status_code=200)
    async def search(request: Asking, data: Form) -> Response[str]:
        shown = await asyncio.to_thread(found, request, data.get("query", "")[:256])
        if PART in request.headers:
            return desk.page(request, "parts/results.html", **shown)
        return desk.page(request, "customers.html", here="customers", **shown)

    return [show_customers, search]
