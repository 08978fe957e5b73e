"""What was turned away at the door.

In:    the quarantine.
Out:   each with its reason and its bytes.
Never: bytes shown as anything but text.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk

_MOST_ROWS = 50
_LONGEST_RAW = 4_000


def quarantine_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/quarantine", opt={"role": "reader"}, sync_to_thread=True)
    def show_quarantine(request: Asking, before: int | None = None) -> Response[str]:
        ws = desk.workspace
        kept = ws.quarantine.rows(limit=_MOST_ROWS + 1, before=before)
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
            for one in kept[:_MOST_ROWS]
        ]
        desk.note(request, len(shown))
        return desk.page(
            request,
            "quarantine.html",
            here="quarantine",
            kept=shown,
            more=shown[-1]["id"] if len(kept) > _MOST_ROWS else None,
            keep_days=ws.settings.collect.quarantine_days,
            before=before,
        )

    return [show_quarantine]
