"""Requests of customers about their data: which wait, how their clocks stand, the next step of one.

In:    a request's id; from forms what a colleague does about it.
Out:   lists and single requests; packages to hand over.
Never: a customer's words or address: a request holds none, and its package is loaded, not shown.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import File, Redirect

from tillit.clock import instant, rfc3339
from tillit.consent import OWN_DATA
from tillit.console.desk import Asking, Desk, Form
from tillit.errors import BusyError, InputError, NotFound, RefusedError
from tillit.privacy import (
    ANSWERS,
    CORRECTION,
    HOLDS,
    PERSON,
    REJECTIONS,
    BadStep,
    Proof,
    Request,
    clock_of,
    days_left,
    possible,
)

STATE_WORDS = {
    "received": "received, nobody proved yet who asks",
    "identity_pending": "waits for a proof of who asks",
    "verified": "proved",
    "rejected": "refused",
    "scoped": "ready to be done",
    "held": "held",
    "running": "under way",
    "awaiting_recipients": "waits for recipients",
    "verifying": "being checked",
    "complete": "complete",
    "partial": "done in part",
    "failed": "failed",
    "withdrawn": "taken back",
    "duplicate": "a duplicate",
}
VIAS = ("email", "phone", "session", "passkey", "document", "in_person")
_GOOD, _BAD = {"complete"}, {"failed", "partial"}


def requests_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/privacy/requests", opt={"role": "reader"}, sync_to_thread=True)
    def list_requests(request: Asking, only: str = "open") -> Response[str]:
        found = ws.requests.list(only_open=only != "all")
        now = ws.now()
        n_open = sum(one.is_open for one in found)
        desk.note(request, ws.profiles.holders(one.profile_id for one in found))
        return desk.page(
            request,
            "requests.html",
            here="privacy",
            n_requests=n_open,
            rows=[request_view(one, now) for one in found],
            is_all=only == "all",
        )

    def show(request: Asking, request_id: str, *, status: int = 200, fault: str = "", did: str = "") -> Response[Any]:
        one = ws.requests.get(request_id)
        now = ws.now()
        desk.note(request, ws.profiles.holders([one.profile_id]))
        may_edit = desk.session(request).may("editor")
        actions = set(possible(one.state))
        is_known = ws.profiles.membership(one.profile_id) is not None
        return desk.page(
            request,
            "request.html",
            status=status,
            here="privacy",
            n_requests=len(ws.requests.list(only_open=True)),
            one=request_view(one, now),
            steps=[_step(desk, step) for step in reversed(one.steps)],
            reasons=ws.requests.reasons(request_id),
            fault=fault,
            did=did if did in _DID else "",
            may_edit=may_edit,
            may=actions,
            may_extend=one.is_open and not one.is_extended and now < one.due_at,
            is_known=is_known,
            has_package=ws.exports.find(request_id) is not None,
            vias=VIAS,
            holds=HOLDS,
            grounds=REJECTIONS,
            answers=ANSWERS,
            needs_value=one.kind == CORRECTION,
        )

    @get("/console/privacy/requests/{request_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_request(request: Asking, request_id: str, did: str = "") -> Response[Any]:
        return show(request, request_id, did=did)

    def taken(request: Asking, request_id: str, verb: str, data: Form) -> Response[Any]:
        """Take a step, and show what came of it."""
        me = desk.session(request).operator_id
        try:
            one = _DID[verb](desk, request_id, me, data)
        except NotFound:
            if not _is_request(desk, request_id):
                raise
            return show(request, request_id, status=404, fault="The person is not known any more.")
        except (InputError, RefusedError, BusyError) as exc:
            desk.audit(request, f"request.{verb}", request_id, outcome="refused", code=exc.code)
            return show(request, request_id, status=exc.status, fault=exc.message)
        desk.audit(request, f"request.{verb}", request_id, state=one.state)
        return Redirect(f"/console/privacy/requests/{request_id}?did={verb}", status_code=303)

    def way(verb: str) -> HTTPRouteHandler:
        @post(
            f"/console/privacy/requests/{{request_id:str}}/{verb}",
            opt={"role": "editor"},
            status_code=200,
            sync_to_thread=True,
        )
        def act(request: Asking, request_id: str, data: Form) -> Response[Any]:
            ws.requests.get(request_id)
            return taken(request, request_id, verb, data)

        return act

    @post(
        "/console/privacy/requests/{request_id:str}/package",
        opt={"role": "editor"},
        status_code=200,
        sync_to_thread=True,
    )
    def load_package(request: Asking, request_id: str) -> Any:
        one = ws.requests.get(request_id)
        path = ws.exports.find(request_id)
        if path is None:
            return show(request, request_id, status=404, fault="The package is gone. It is kept for a week.")
        desk.note(request, [one.profile_id], purpose=OWN_DATA)
        desk.audit(request, "package.load", request_id)
        return File(path, filename=f"package-{request_id}.zip", media_type="application/zip")

    return [list_requests, show_request, *map(way, _DID), load_package]


def request_view(one: Request, now: int) -> dict[str, Any]:
    """Give one request: its clock in words, and how it stands."""
    clock = clock_of(one, now)
    left = days_left(one.due_at, now)
    words = f"{left:.0f} day{'' if round(left) == 1 else 's'} left" if left >= 0 else f"{-left:.0f} days late"
    health = "bad" if clock["is_overdue"] or one.state in _BAD else "ok" if one.state in _GOOD else "quiet"
    return {
        **one._asdict(),
        "state_words": STATE_WORDS.get(one.state, one.state),
        "received": rfc3339(one.received_at),
        "due": rfc3339(one.due_at),
        "left_words": words if one.is_open else "",
        "is_open": one.is_open,
        "rests": _told(one.rests_until) if clock["is_resting"] else "",
        "held": _told(one.held_until),
        "is_overdue": clock["is_overdue"],
        "is_hold_over": clock["is_hold_over"],
        "health": health if one.is_open or one.state in _BAD | _GOOD else "never-heard",
        "share": round(min(max((now - one.received_at) / max(one.due_at - one.received_at, 1), 0), 1) * 100, 1),
    }


def _step(desk: Desk, step: Any) -> dict[str, Any]:
    who = "the customer" if step.by_whom == PERSON else desk.colleague(step.by_whom)
    return {
        **step._asdict(),
        "at": rfc3339(step.at),
        "until": _told(step.until_at),
        "who": who,
        "state_words": STATE_WORDS.get(step.state, step.state),
    }


def _told(at: int | None) -> str:
    return rfc3339(at) if at is not None else ""


def _is_request(desk: Desk, request_id: str) -> bool:
    with suppress(NotFound):
        return bool(desk.workspace.requests.get(request_id))
    return False


# -- what a colleague may do about a request

Step = Callable[[Desk, str, str, Mapping[str, str]], Request]


def proof_of(data: Mapping[str, str], by_whom: str) -> Proof:
    """Read how somebody proved who they are. Raises BadStep."""
    level = data.get("level", "")
    if level not in {"0", "1", "2", "3"}:
        raise BadStep("level", "0, 1, 2 or 3")
    return Proof(int(level), data.get("via", ""), by_whom, data.get("evidence", "").strip())


def _verify(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    return desk.workspace.requests.prove(request_id, proof_of(data, me))


def _reject(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    ground, reason = data.get("ground", ""), data.get("reason", "")
    return desk.workspace.requests.reject(request_id, ground=ground, by_whom=me, reason=reason)


def _hold(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    until = instant(data.get("until", ""))
    if until is None:
        raise BadStep("end", "a day such as 2027-01-31")
    basis, reason = data.get("basis", ""), data.get("reason", "")
    return desk.workspace.requests.hold(request_id, basis=basis, until_at=until, reason=reason, by_whom=me)


def _release(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    return desk.workspace.requests.release(request_id, reason=data.get("reason", ""), by_whom=me)


def _extend(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    return desk.workspace.requests.extend(request_id, reason=data.get("reason", ""), by_whom=me)


def _withdraw(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    evidence, reason = data.get("evidence", "").strip(), data.get("reason", "")
    return desk.workspace.requests.withdraw(request_id, by_whom=me, evidence=evidence, reason=reason)


def _answer(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    recipient, answer = data.get("recipient", ""), data.get("answer", "")
    evidence = data.get("evidence", "").strip()
    return desk.workspace.requests.answer(request_id, recipient, answer, by_whom=me, evidence=evidence)


def _run(desk: Desk, request_id: str, me: str, data: Mapping[str, str]) -> Request:
    told: dict[str, Any] = {}
    if data.get("trait", "").strip():
        told = {"trait": data["trait"].strip(), "value": data.get("value", "").strip() or None}
    return desk.workspace.requests.run(request_id, by_whom=me, told=told)


_DID: dict[str, Step] = {
    "verify": _verify,
    "run": _run,
    "hold": _hold,
    "release": _release,
    "extend": _extend,
    "reject": _reject,
    "withdraw": _withdraw,
    "answer": _answer,
}
