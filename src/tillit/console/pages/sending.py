"""Sending an audience somewhere: a form, and what the destination that comes of it would do.

In:    an audience's name; from the form where to, to whom, what of each person.
Out:   the form; a destination as text with its plan, which the page of definitions puts in force.
Never: a destination in force: that is asked for once its effect was shown.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from tillit.console.desk import Asking, Desk, Form
from tillit.console.offered import Names
from tillit.console.pages.audiences import titles_of
from tillit.console.pages.definitions import plan_of
from tillit.console.sending import WAYS, Asked, begin, choices, read_asked, text_of
from tillit.deliver import DESTINATION
from tillit.errors import InputError, RefusedError


def sending_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace
    names = Names(ws.log, now=ws.now)

    def recipients_of(purpose: str) -> list[tuple[str, str]]:
        declared = ws.consent.declared()
        found = declared.purposes.get(purpose)
        parties = declared.policy.recipients
        return [(one, parties[one].name if one in parties else one) for one in (found.recipients if found else ())]

    def offered_for(purpose: str) -> list[tuple[str, str]]:
        return choices(names.offered().trait, ws.scope(purpose).allows)

    def show(request: Asking, name: str, asked: Asked | None, *, status: int = 200, fault: str = "") -> Response[Any]:
        audience = ws.audiences.get(name).audience
        recipients, offered = recipients_of(audience.purpose), offered_for(audience.purpose)
        return desk.page(
            request,
            "audience_send.html",
            status=status,
            here="audiences",
            slug=name,
            title=audience.title or name,
            purpose=audience.purpose,
            purposes=titles_of(desk),
            asked=asked or begin(audience, [one for one, _ in recipients], offered),
            ways=WAYS,
            recipients=recipients,
            offered=offered,
            fault=fault,
        )

    @get("/console/audiences/{name:str}/send", opt={"role": "editor"}, sync_to_thread=True)
    def send_audience(request: Asking, name: FromPath[str]) -> Response[Any]:
        return show(request, name, None)

    @post("/console/audiences/{name:str}/send/plan", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def plan_sending(request: Asking, name: FromPath[str], data: Form) -> Response[Any]:
        audience, asked = ws.audiences.get(name).audience, read_asked(data)
        taken = list(ws.deliveries.definitions().destinations)
        try:
            text = text_of(audience, asked, offered_for(audience.purpose), taken)
            plan = plan_of(ws, ws.deliveries.judge(text), text)
        except (InputError, RefusedError) as exc:
            return show(request, name, asked, status=exc.status, fault=exc.message)
        desk.audit(request, "definition.plan", plan["name"])
        return desk.page(
            request, "definition.html", here="deliveries", kind=DESTINATION, text=text, fault="", plan=plan
        )

    return [send_audience, plan_sending]
