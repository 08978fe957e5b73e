"""Values that stand for many: what was blocked by itself or by a colleague, and a colleague's word on it.

In:    from forms a value, a reason.
Out:   the values, newest decision first; events in the log.
Never: a value in an address.
"""

from collections.abc import Callable
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.console.desk import Asking, Desk, Form
from tillit.console.pages.identity import note_pending, reason_of
from tillit.console.pulse import LOOKED, values_to_look_at
from tillit.console.rulebook import part
from tillit.errors import BusyError, InputError
from tillit.ledger import UNKNOWN

_MOST_ROWS = 200


def values_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(request: Asking, *, status: int = 200, fault: str = "", did: str = "") -> Response[Any]:
        found = ws.identity.values(desk.scope(request), limit=_MOST_ROWS)
        desk.note(request, ws.profiles.holders(one["value"] for one in found) or ([UNKNOWN] if found else []))
        waiting = values_to_look_at(ws)
        rows = []
        for one in found:
            kind, text = part(one["value"])
            rows.append({**one, "kind": kind, "text": text, "is_new": one["action"] in waiting})
        return desk.page(
            request,
            "values.html",
            status=status,
            here="identity",
            n_waiting=ws.identity.n_violations(),
            rows=sorted(rows, key=lambda row: not row["is_new"]),
            is_cut_short=len(found) == _MOST_ROWS,
            fault=fault,
            did=next((row for row in rows if row["action"] == did), None),
            may_edit=desk.session(request).may("editor"),
        )

    def decide(request: Asking, kind: str, data: Form, act: Callable[..., dict[str, Any]]) -> Response[Any]:
        operator = desk.session(request).operator_id
        try:
            told = act(data.get("value", ""), reason=reason_of(data), operator=operator)
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        except BusyError as exc:
            note_pending(desk, request, kind, "", exc)
            return show(request, status=exc.status, fault=exc.message)
        desk.audit(request, f"identity.{kind}", target=told["profile"], event_id=told["action"])
        return Redirect(f"/console/identity/values?did={told['action']}", status_code=303)

    @get("/console/identity/values", opt={"role": "reader"}, sync_to_thread=True)
    def show_values(request: Asking, did: str = "") -> Response[Any]:
        return show(request, did=did)

    @post("/console/identity/values/block", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def block(request: Asking, data: Form) -> Response[Any]:
        return decide(request, "block", data, ws.identity.block)

    @post("/console/identity/values/free", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def free(request: Asking, data: Form) -> Response[Any]:
        return decide(request, "free", data, ws.identity.free)

    @post("/console/identity/values/looked", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def look(request: Asking, data: Form) -> Response[Any]:
        action = data.get("action", "")
        if action in values_to_look_at(ws):
            desk.audit(request, LOOKED, target=action)
        return Redirect("/console/identity/values", status_code=303)

    return [show_values, block, free, look]
