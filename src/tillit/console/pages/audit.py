"""The audit: what operators did.

In:    the journal's actions; an operator's id and an action's name to filter by.
Out:   actions, newest first, in pages.
Never: anything but ids, actions and short words: who a target is, its own page tells.
"""

from urllib.parse import urlencode

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from tillit.access import Action
from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk

_ROWS = 50


def audit_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/console/audit", opt={"role": "admin"}, sync_to_thread=True)
    def show_audit(
        request: Asking,
        operator: FromQuery[str] = "",
        action: FromQuery[str] = "",
        before: FromQuery[int | None] = None,
    ) -> Response[str]:
        audit = desk.workspace.audit
        found = audit.actions(limit=_ROWS + 1, before=before, operator_id=operator, action=action)
        operators = desk.workspace.operators.list_all()
        names = {one.operator_id: one.name for one in operators}
        # Why somebody was opened is kept apart: it goes when the person is erased.
        asked = [str(one.details["opening"]) for one in found if "opening" in one.details]
        reasons = {one.opening_id: one.reason for one in desk.workspace.openings.list_by(asked)}
        kept = {name: value for name, value in (("operator", operator), ("action", action)) if value}
        older = {**kept, "before": str(found[_ROWS - 1].audit_id)} if len(found) > _ROWS else None
        return desk.page(
            request,
            "audit.html",
            here="audit",
            rows=[_view(one, names, reasons) for one in found[:_ROWS]],
            operators=operators,
            actions=audit.list_actions(),
            operator=operator,
            action=action,
            older=f"/console/audit?{urlencode(older)}" if older is not None else "",
            is_filtered=bool(kept),
            before=before,
        )

    return [show_audit]


def _view(one: Action, names: dict[str, str], reasons: dict[str, str]) -> dict[str, object]:
    who = names.get(one.operator_id) or {"cli": "Command line", "": "Nobody signed in"}.get(
        one.operator_id, one.operator_id
    )
    return {
        "at": rfc3339(one.at),
        "who": who,
        "action": one.action,
        "target": one.target,
        "target_name": names.get(one.target, ""),
        "outcome": one.outcome,
        "reason": reasons.get(str(one.details.get("opening", "")), ""),
        "details": ", ".join(f"{name} {value}" for name, value in one.details.items()),
    }
