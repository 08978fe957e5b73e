"""Deliveries: what was to leave, what became of each, and why.

In:    destination, template, state, reason or person to filter by; the key of one delivery.
Out:   pages; a delivery that goes once more.
Never: a value that left; the recipient's words where the page's purpose does not reach who they are about.
"""

from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from litestar.response import Redirect

from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk, Form
from tillit.console.leaving import MENDABLE, OUTCOMES, STATES, delivery_view, why
from tillit.console.purposes import BASES
from tillit.errors import InputError, NotFound
from tillit.profile import event_id
from tillit.workspace import Life, is_refused, name_of, subjects_of

_ROWS = 50
_LONGEST = 100
_WHAT = {"message": "The message", "event": "An event", "upsert": "A copy", "remove": "That it is to be removed"}


class UnknownDelivery(NotFound):
    """A delivery was named that is not there."""

    code = "console.unknown-delivery"

    def __init__(self) -> None:
        """Say where to look."""
        super().__init__("There is no delivery of that key. The list of deliveries shows those that there are.")


def deliveries_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/deliveries", opt={"role": "reader"}, sync_to_thread=True)
    def list_deliveries(
        request: Asking,
        destination: FromQuery[str] = "",
        template: FromQuery[str] = "",
        became: FromQuery[str] = "",
        code: FromQuery[str] = "",
        who: FromQuery[str] = "",
        before: FromQuery[int | None] = None,
    ) -> Response[str]:
        asked = {"destination": destination, "template": template, "became": became, "code": code, "who": who}
        asked = {name: value.strip()[:_LONGEST] for name, value in asked.items()}
        # Only ids: `namespace:value` would put a person's address into an address.
        membership = ws.profiles.membership(asked["who"]) if asked["who"] and ":" not in asked["who"] else None
        found = []
        if not asked["who"] or membership is not None:
            found = ws.deliveries.queue.history.list_newest(
                destination=asked["destination"],
                template=asked["template"],
                states=[asked["became"]] if asked["became"] else (),
                code=asked["code"],
                subjects=subjects_of(membership) if membership is not None else (),
                before=min(before, 1 << 60) if before is not None else None,
                limit=_ROWS + 1,
            )
        if membership is None:
            asked["who"] = ""
        rows = found[:_ROWS]
        desk.note(request, dict.fromkeys(one.subject_ref for one in rows if one.subject_ref), flows=not asked["who"])
        kept = {name: value for name, value in asked.items() if value}
        more = {**kept, "before": str(rows[-1].delivery_id)} if len(found) > _ROWS else {}
        told = ws.deliveries.definitions()
        return desk.page(
            request,
            "deliveries.html",
            here="deliveries",
            asked=asked,
            rows=[delivery_view(one) for one in rows],
            older=f"/console/deliveries?{urlencode(more)}" if more else "",
            is_filtered=bool(kept) or before is not None,
            destinations=sorted(told.destinations),
            templates=sorted(told.templates),
            states=STATES,
            reason=why(asked["code"]),
        )

    def show(request: Asking, key: str, *, status: int = 200, fault: str = "", told: str = "") -> Response[str]:
        life = ws.deliveries.views.find_life(key)
        if life is None:
            raise UnknownDelivery
        one = life.delivery
        scope = desk.scope(request, one.subject_ref)
        document = ws.profiles.find(one.subject_ref, scope) if one.subject_ref else None
        if document is not None:
            desk.note(request, [document["id"]])
        is_shown = document is not None and not is_refused(document)
        # A recipient's words may repeat the address.
        may_hear = is_shown and scope.allows("identifiers.email")
        person = name_of(document) if document is not None and is_shown else ""
        destination = ws.deliveries.definitions().destination(one.destination)
        return desk.page(
            request,
            "delivery.html",
            status=status,
            here="deliveries",
            fault=fault,
            told=told,
            one=delivery_view(one),
            kind=one.kind,
            message_class=one.message_class,
            purpose=_title(desk, one.purpose),
            party=destination.party if destination is not None else one.destination,
            is_known=destination is not None,
            has_template=one.template in ws.deliveries.definitions().templates,
            profile_id=document["id"] if document is not None else "",
            person=person,
            attempts=[_attempt(desk, life, n, may_hear=may_hear) for n in range(len(life.attempts))],
            asked=_asked(desk, life),
            cause=event_id(one.position, ws.log.epoch()) if one.position else "",
            reports=[(report.kind.replace("_", " "), why(report.code), rfc3339(report.at)) for report in life.reports],
            may_replay=one.state in MENDABLE and desk.session(request).may("editor"),
            may_edit=desk.session(request).may("editor"),
        )

    @get("/console/deliveries/{key:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_delivery(request: Asking, key: str, told: str = "") -> Response[str]:
        words = "It goes once more, under the same key. It is asked anew whether it may leave."
        return show(request, key, told=words if told == "replayed" else "")

    @post("/console/deliveries/{key:str}/replay", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def replay_one(request: Asking, key: str, data: Form) -> Response[Any]:
        life = ws.deliveries.views.find_life(key)
        if life is None:
            raise UnknownDelivery
        try:
            if data.get("confirmed") != "yes":
                raise InputError("Nothing was replayed: tick that it may go once more.", code="console.unconfirmed")
            n = ws.deliveries.queue.replay(ids=[life.delivery.delivery_id])
            if not n:
                raise InputError(
                    "Nothing was replayed: it waits already, it arrived, or a newer one does its work.",
                    code="console.nothing-to-replay",
                )
        except InputError as exc:
            return show(request, key, status=exc.status, fault=exc.message)
        desk.audit(request, "delivery.replay", life.delivery.key, n=n)
        return Redirect(f"/console/deliveries/{life.delivery.key}?told=replayed", status_code=303)

    return [list_deliveries, show_delivery, replay_one]


def _title(desk: Desk, purpose: str) -> str:
    told = desk.workspace.consent.declared().purposes.get(purpose)
    return told.title if told is not None else purpose


def _asked(desk: Desk, life: Life) -> dict[str, Any] | None:
    request = life.request
    if request is None:
        return None
    return {
        "by": desk.colleague(request.asked_by),
        "at": rfc3339(request.asked_at),
        "namespace": request.namespace,
        "data": sorted(request.data),
    }


def _attempt(desk: Desk, life: Life, nth: int, *, may_hear: bool) -> dict[str, Any]:
    one = life.attempts[nth]
    epoch = desk.workspace.log.epoch()
    return {
        "n": one.attempt,
        "what": _WHAT.get(one.what, one.what),
        "begun": rfc3339(one.begun_at),
        "ended": rfc3339(one.ended_at) if one.ended_at is not None else "",
        "outcome": OUTCOMES.get(one.outcome, one.outcome),
        "health": {"delivered": "ok", "refused": "bad", "unknown": "bad", "halted": "bad"}.get(one.outcome, "quiet"),
        "reason": why(one.code),
        "words": one.words if may_hear else "",
        "is_hushed": bool(one.words) and not may_hear,
        "reference": one.reference if may_hear else "",
        "fields": one.fields,
        "ground": BASES.get(one.basis, (one.basis, ""))[0],
        "statement": event_id(one.record_position, epoch) if one.record_position is not None else "",
        "until": rfc3339(one.until_at) if one.until_at is not None else "",
        "entry": life.entries.get(one.attempt),
        "is_owed": one.disclosure == 1,
        "is_again": bool(one.is_again),
    }
