"""Destinations and templates as text: what another definition would change, putting it in force.

In:    from forms a text, a reason.
Out:   the text in force or one to begin with; what others would change; a definition in the log.
Never: a definition in force that nobody was shown the effect of.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from litestar.response import Redirect

from tillit.console.desk import Asking, Desk, Form
from tillit.console.leaving import changed_text
from tillit.console.pages.identity import reason_of
from tillit.console.purposes import MOST_COUNTED
from tillit.deliver import DESTINATION, TEMPLATE, Destination, Template, reached_fields
from tillit.errors import BusyError, InputError, RefusedError
from tillit.workspace import Workspace

_LARGEST_FORM = 700_000  # a definition has at most 200,000 characters, three times over for their percent signs
_BEGINNINGS = {
    DESTINATION: """destination: crm
title: Our CRM
kind: webhook
purpose: service
recipient: crm
send: people
to: {url: "https://crm.example.com/hooks/people"}
fields:
  id: profile.id
  first_name: traits.firstName
""",
    TEMPLATE: """template: order-ready
title: Your order is ready
purpose: service
class: transactional
destination: mail
subject: Order {{ message.order_id }} is ready
text: |
  Hello {{ profile.traits.firstName | default: "there" }},

  your order {{ message.order_id }} is ready.
""",
}


class _DefinitionStale(InputError):
    """Another version was applied since a plan was made."""

    code = "console.definition-stale"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "Somebody put another version in force since this was tried. Try it again to see what it changes."
        )


class _DefinitionUnchanged(InputError):
    """The text is the one in force."""

    code = "console.definition-unchanged"

    def __init__(self) -> None:
        super().__init__("This is in force already: nothing would change.")


def definitions_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(
        request: Asking, kind: str, *, text: str, status: int = 200, fault: str = "", plan: Any = None
    ) -> Response[Any]:
        return desk.page(
            request,
            "definition.html",
            status=status,
            here="deliveries",
            kind=kind,
            text=text,
            fault=fault,
            plan=plan,
        )

    @get("/console/definitions", opt={"role": "editor"}, sync_to_thread=True)
    def edit_definition(
        request: Asking, kind: FromQuery[str] = DESTINATION, name: FromQuery[str] = ""
    ) -> Response[Any]:
        if kind not in _BEGINNINGS:
            kind = DESTINATION
        return show(request, kind, text=in_force(ws, kind, name)[1] or _BEGINNINGS[kind])

    @post("/console/definitions/plan", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def plan_definition(request: Asking, data: Form) -> Response[Any]:
        text, kind = data.get("text", "").replace("\r\n", "\n"), _kind(data)
        try:
            told = ws.deliveries.judge(text)
            plan = plan_of(ws, told, text)
        except (InputError, RefusedError) as exc:
            return show(request, kind, text=text, status=exc.status, fault=exc.message)
        desk.audit(request, "definition.plan", plan["name"])
        return show(request, kind, text=text, plan=plan)

    @post("/console/definitions/apply", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def apply_definition(request: Asking, data: Form) -> Response[Any]:
        text, kind = data.get("text", "").replace("\r\n", "\n"), _kind(data)
        try:
            told = ws.deliveries.judge(text)
            kind, name = (DESTINATION, told.destination) if isinstance(told, Destination) else (TEMPLATE, told.template)
            if data.get("against") != str(in_force(ws, kind, name)[0]):
                raise _DefinitionStale
            ws.deliveries.apply(text, reason=reason_of(data), operator=desk.session(request).operator_id)
        except (InputError, RefusedError, BusyError) as exc:
            return show(request, kind, text=text, status=exc.status, fault=exc.message)
        desk.audit(request, "definition.apply", name, kind=kind)
        place = "destinations" if kind == DESTINATION else "templates"
        return Redirect(f"/console/{place}/{name}?told=applied", status_code=303)

    return [edit_definition, plan_definition, apply_definition]


def in_force(ws: Workspace, kind: str, name: str) -> tuple[int, str]:
    """Give the position and the text of a definition in force; 0 and nothing when there is none."""
    history = ws.deliveries.history(kind, name) if name else []
    return (history[0].position, history[0].text) if history else (0, "")


def plan_of(ws: Workspace, told: Destination | Template, text: str) -> dict[str, Any]:
    """Say what a destination or a template would change. Raises _DefinitionUnchanged."""
    is_destination = isinstance(told, Destination)
    name = told.destination if isinstance(told, Destination) else told.template
    position, current = in_force(ws, DESTINATION if is_destination else TEMPLATE, name)
    if current == text:
        raise _DefinitionUnchanged
    plan: dict[str, Any] = {
        "name": name,
        "against": position,
        "is_new": not current,
        "changes": changed_text(current, text) if current else [],
        "purpose": told.purpose,
        "audience": told.audience if isinstance(told, Destination) else "",
        "members": None,
        "reach": None,
        "is_retired": False,
    }
    if isinstance(told, Destination):
        before = ws.deliveries.definitions().destination(name)
        fields, earlier = set(reached_fields(told)), set(reached_fields(before)) if before is not None else set()
        follows = told.send == "people" and not told.retired
        return plan | {
            "party": told.party,
            "fields": sorted(fields),
            "come": sorted(fields - earlier) if before is not None else [],
            "gone": sorted(earlier - fields),
            "members": ws.memberships.count(told.audience) if told.audience else None,
            "reach": ws.deliveries.views.reach(told, most=MOST_COUNTED) if follows else None,
            "is_retired": told.retired,
            "n_there": sum(
                n for state, n in ws.deliveries.queue.copies.counts(name).items() if state not in ("", "removed")
            ),
            "n_waiting": ws.deliveries.views.count_waiting(destination=name),
        }
    return plan | {
        "party": ws.deliveries.destination(told.destination).party,
        "fields": ws.deliveries.renders.needed(told),
        "come": [],
        "gone": [],
        "n_there": 0,
        "n_waiting": ws.deliveries.views.count_waiting(template=name),
    }


def _kind(data: Form) -> str:
    kind = data.get("kind", "")
    return kind if kind in _BEGINNINGS else DESTINATION
