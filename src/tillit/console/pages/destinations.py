"""Destinations: where values of people go, how each is, what did not arrive; holding one, trying one.

In:    a destination's name; from forms a reason, a code of failures, whom to try.
Out:   pages; deliveries that go once more; a destination held or let go on.
Never: values of a person whom the page's own purpose does not reach; a secret.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.consent import REASONS
from tillit.console.desk import Asking, Desk, Form
from tillit.console.leaving import (
    destination_view,
    failure_rows,
    history_rows,
    missing_words,
    unshown_fields,
)
from tillit.deliver import DESTINATION, reached_fields
from tillit.errors import InputError, TillitError
from tillit.workspace import UnknownDestination

_HISTORY_ROWS = 30
_TOLD = {
    "paused": "Held: nothing is sent there until somebody lets it go on.",
    "resumed": "It goes on, at once.",
    "applied": "In force: what leaves from now on leaves by this definition.",
}


def destinations_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/destinations", opt={"role": "reader"}, sync_to_thread=True)
    def list_destinations(request: Asking) -> Response[str]:
        now = ws.now()
        found = [
            destination_view(one, now=now, colleague=desk.colleague) for one in ws.deliveries.views.list_destinations()
        ]
        return desk.page(
            request,
            "destinations.html",
            here="deliveries",
            destinations=found,
            purposes=_titles(desk),
            may_edit=desk.session(request).may("editor"),
        )

    def show(request: Asking, name: str, *, status: int = 200, fault: str = "", told: str = "", tried: Any = None,
             who: str = "") -> Response[str]:  # fmt: skip
        one = ws.deliveries.views.find_destination(name)
        if one is None:
            raise UnknownDestination(sorted(ws.deliveries.definitions().destinations))
        history = ws.deliveries.history(DESTINATION, name)[: _HISTORY_ROWS + 1]
        failures = failure_rows(ws.deliveries.queue.history.failures(name))
        return desk.page(
            request,
            "destination.html",
            status=status,
            here="deliveries",
            fault=fault,
            told=told,
            one=destination_view(one, now=ws.now(), colleague=desk.colleague),
            definition=one.told,
            failures=failures,
            n_mendable=sum(row["n"] for row in failures if row["may_replay"]),
            templates=sorted(
                told.template for _, told in ws.deliveries.definitions().templates.values() if told.destination == name
            ),
            history=history_rows(history)[:_HISTORY_ROWS],
            purposes=_titles(desk),
            tried=tried,
            who=who,
            may_edit=desk.session(request).may("editor"),
        )

    @get("/console/destinations/{name:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_destination(request: Asking, name: str, told: str = "", n: int = 0) -> Response[str]:
        words = f"{n:,} go once more. Each is asked anew whether it may leave." if told == "replayed" else ""
        return show(request, name, told=words or _TOLD.get(told, ""))

    @post("/console/destinations/{name:str}/pause", opt={"role": "editor"}, sync_to_thread=True)
    def pause(request: Asking, name: str) -> Response[Any]:
        ws.deliveries.pause(name, by=desk.session(request).operator_id)
        desk.audit(request, "destination.pause", name)
        return Redirect(f"/console/destinations/{name}?told=paused", status_code=303)

    @post("/console/destinations/{name:str}/resume", opt={"role": "editor"}, sync_to_thread=True)
    def resume(request: Asking, name: str) -> Response[Any]:
        ws.deliveries.resume(name)
        desk.audit(request, "destination.resume", name)
        return Redirect(f"/console/destinations/{name}?told=resumed", status_code=303)

    @post("/console/destinations/{name:str}/replay", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def replay(request: Asking, name: str, data: Form) -> Response[Any]:
        ws.deliveries.destination(name)
        if data.get("confirmed") != "yes":
            return show(request, name, status=400, fault="Nothing was replayed: tick that it may go once more.")
        code = data.get("code", "")[:100]
        n = ws.deliveries.replay(name, code=code)
        desk.audit(request, "delivery.replay", name, code=code, n=n)
        return Redirect(f"/console/destinations/{name}?told=replayed&n={n}", status_code=303)

    @post("/console/destinations/{name:str}/check", opt={"role": "editor"}, status_code=200)
    async def check(request: Asking, name: str) -> Response[str]:
        told = await asyncio.to_thread(ws.deliveries.destination, name)
        try:
            checked = await ws.deliveries.check(told)
        except TillitError as exc:
            return await asyncio.to_thread(show, request, name, status=exc.status, fault=exc.message)
        desk.audit(request, "destination.check", name, is_well=checked.is_well)
        took = f" It took {checked.took_ms:,.0f} ms."
        if checked.is_well:
            return await asyncio.to_thread(show, request, name, told=f"It can be reached. {checked.words}{took}")
        return await asyncio.to_thread(show, request, name, fault=f"It cannot be reached: {checked.words}{took}")

    @post("/console/destinations/{name:str}/try", opt={"role": "reader"}, status_code=200, sync_to_thread=True)
    def try_out(request: Asking, name: str, data: Form) -> Response[str]:
        told, who = ws.deliveries.destination(name), data.get("who", "").strip()[:500]
        scope = desk.scope(request)
        document = ws.profiles.find(who, scope) if who else None
        if document is None:
            return show(request, name, status=404, fault="Nobody is known by that.", who=who)
        try:
            found = ws.deliveries.try_record(name, document["id"])
        except InputError as exc:
            return show(request, name, status=exc.status, fault=exc.message, who=who)
        desk.note(request, [document["id"]])
        closed = unshown_fields(document, scope.allows, reached_fields(told)) if found.outgoing is not None else []
        payload = b""
        if found.outgoing is not None and not closed:
            payload = msgspec.json.format(msgspec.json.encode(found.outgoing.payload), indent=2)
        tried = {
            "profile_id": document["id"],
            "would_leave": found.outgoing is not None,
            "why": found.words or found.code,
            "payload": payload.decode(),
            "fields": found.fields,
            "closed": missing_words(document, closed, REASONS),
        }
        return show(request, name, tried=tried, who=who)

    return [list_destinations, show_destination, pause, resume, replay, check, try_out]


def _titles(desk: Desk) -> dict[str, str]:
    return {name: one.title for name, one in desk.workspace.consent.declared().purposes.items()}
