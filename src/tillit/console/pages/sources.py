"""Sources and their keys.

In:    the registry, the log's end.
Out:   which keys there are, when each source was last heard, how to connect one.
Never: a key itself.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk
from tillit.records import KIND_EVENT

_TAIL_ROWS = 2_000  # log rows looked at to say when a source was last heard


def sources_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/sources", opt={"role": "reader"}, sync_to_thread=True)
    def show_sources(request: Asking) -> Response[str]:
        ws = desk.workspace
        head = ws.log.head()
        last_heard: dict[str, str] = {}
        for row in ws.log.read(max(0, head - _TAIL_ROWS), _TAIL_ROWS):
            if row.kind == KIND_EVENT:
                last_heard[row.source] = rfc3339(row.received_at)
        keys = ws.keys.list_all()
        return desk.page(
            request,
            "sources.html",
            here="sources",
            keys=keys,
            made={key.key_id: rfc3339(key.created_at) for key in keys},
            last_heard=last_heard,
            n_looked=min(head, _TAIL_ROWS),
            is_waiting=not last_heard,
            base_url=f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:8000')}",
        )

    return [show_sources]
