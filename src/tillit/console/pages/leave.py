"""For what staff act, and what is closed to them: other purposes to choose, and a way in for emergencies.

In:    a purpose that was chosen; a person whom the page's purpose does not reach; a reason to look all the same.
Out:   the page that says why somebody is not shown; what may be done with one person's data; openings without leave.
Never: a personal value on a page that is closed; somebody opened before it is written down, in ledger and audit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.access import Opening
from tillit.clock import rfc3339
from tillit.consent import BY, REASONS, UnknownPurpose
from tillit.console.acting import PurposeClosed
from tillit.console.desk import BREAKS_GLASS, PART, Asking, Desk, Form
from tillit.console.leaving import messages_card
from tillit.console.pages.entrance import safe_next
from tillit.console.pages.requests import STATE_WORDS, VIAS
from tillit.console.purposes import BASES, May, may_views, withheld_words
from tillit.errors import InputError, NotFound
from tillit.privacy import KINDS
from tillit.profile import NOT_REACHED
from tillit.records import BREAK_GLASS, LISTED_BASES, LogRow, Scope
from tillit.workspace import is_refused, subjects_of

ROUTE = "break-glass"  # as the ledger names an opening
_MOST_REQUESTS = 20
_MOST_OPENINGS = 20
# What a colleague may write down, in the order in which forms offer it.
_CHOICES = {
    "given": "said yes",
    "refused": "said no",
    "withdrawn": "took a yes back",
    "objected": "objected",
    "restricted": "asked to restrict everything",
    "released": "ended the restriction of everything",
}


class OpeningView(NamedTuple):
    """One time that somebody was looked at without leave."""

    opening_id: str
    at: str
    until: str
    operator_id: str
    profile_id: str
    reason: str


def leave_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @post("/console/me/purpose", opt={"role": "reader"}, sync_to_thread=True)
    def choose_purpose(request: Asking, data: Form) -> Response[Any]:
        purpose = data.get("purpose", "")
        declared = ws.consent.declared().purposes
        if purpose not in declared:
            raise UnknownPurpose(purpose, declared)
        session = desk.session(request)
        if purpose not in desk.acting(request).purposes:
            desk.audit(request, "purpose.choose", purpose, outcome="refused")
            raise PurposeClosed(session.role)
        desk.sessions.choose_purpose(session.session_id, purpose)
        desk.audit(request, "purpose.choose", purpose)
        return Redirect(safe_next(data.get("next")), status_code=303)

    @post("/console/customers/{profile_id:str}/open", opt={"role": BREAKS_GLASS}, status_code=200, sync_to_thread=True)
    def open_without_leave(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        document = ws.profiles.find(profile_id, desk.scope(request)) if ":" not in profile_id else None
        if document is None:
            return desk.page(request, "unknown_customer.html", status=404, here="customers")
        there = Redirect(f"/console/customers/{document['id']}", status_code=303)
        if not is_refused(document):
            return there
        session = desk.session(request)
        membership = ws.profiles.membership(document["id"])
        try:
            if data.get("confirmed") != "yes":
                raise InputError("Nothing was opened: confirm that you look without leave.", code="access.unconfirmed")
            opening = ws.openings.plan(
                operator_id=session.operator_id,
                session_id=session.session_id,
                profile_id=document["id"],
                subjects=subjects_of(membership) if membership is not None else (),
                reason=data.get("reason", ""),
            )
        except InputError as exc:
            return closed_page(desk, request, document, status=exc.status, fault=exc.message)
        # Written down first: when the ledger takes nothing, nobody looks.
        ws.journal.note(
            [opening.profile_id],
            asked_by=session.asked_by,
            route=ROUTE,
            purpose=BREAK_GLASS,
            break_glass=True,
            reason=opening.reason,
        )
        ws.accesses.flush()
        desk.audit(request, "break-glass.open", opening.profile_id, opening=opening.opening_id)
        ws.openings.begin(opening)
        return there

    @post("/console/me/opened/close", opt={"role": "reader"}, sync_to_thread=True)
    def close_opened(request: Asking, data: Form) -> Response[Any]:
        closed = ws.openings.close(desk.session(request).session_id)
        if closed is not None:
            desk.audit(request, "break-glass.close", closed.profile_id, opening=closed.opening_id)
        return Redirect(safe_next(data.get("next")), status_code=303)

    return [choose_purpose, open_without_leave, close_opened]


def closed_page(
    desk: Desk, request: Asking, document: Mapping[str, Any], *, status: int = 200, fault: str = "", told: str = ""
) -> Response[str]:
    """Give the page that says why a person is not shown, and what can be done about it."""
    scope = desk.scope(request)
    acting = desk.acting(request)
    if PART in request.headers:
        return desk.page(request, "parts/closed.html", status=status, profile_id=document["id"], title=acting.title)
    desk.note(request, [document["id"]])
    card = may_card(desk, request, document, scope)
    why = next((one for one in card["may"] if one.name == scope.purpose), None)
    return desk.page(
        request,
        "closed_customer.html",
        status=status,
        here="customers",
        fault=fault,
        told=told,
        address=request.url.path if request.method == "GET" else f"/console/customers/{document['id']}",
        why=why,
        may_open=desk.session(request).may(BREAKS_GLASS),
        **card,
    )


def may_card(desk: Desk, request: Asking, document: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Give what stands on the card of what may be done with one person's data."""
    ws = desk.workspace
    profile_id = document["id"]
    try:
        state = ws.consent.state(profile_id)
        filed = ws.requests.list(who=profile_id, limit=_MOST_REQUESTS)
    except NotFound:  # forgotten meanwhile
        state, filed = {"purposes": [], "statements": []}, []
    declared = ws.consent.declared().purposes
    may = may_views(state, declared)
    membership = ws.profiles.membership(profile_id)
    openings = ws.openings.list_of(subjects_of(membership))[:_MOST_OPENINGS] if membership is not None else []
    return {
        "profile_id": profile_id,
        "may": may,
        "restricted": any(one.reason == "restricted" for one in may),
        "bases": BASES,
        "choices": _CHOICES,
        "speakers": [one for one in BY if one not in {"import", "controller"}],
        "kinds": list(KINDS),
        "vias": VIAS,
        "filed": [(one.request_id, one.kind, STATE_WORDS.get(one.state, one.state), one.is_open) for one in filed],
        "may_edit": desk.session(request).may("editor"),
        # What the page may not show does not leave by it: then a package is made for a request.
        "may_pack": not scope.is_break_glass and not document["withheld"],
        "is_refused": is_refused(document),
        "withheld": withheld_words(document["withheld"], REASONS),
        "page_purpose": declared.get(scope.purpose),
        "offers": _offers(desk, request, may, document["withheld"]),
        "openings": opening_views(openings),
        **messages_card(ws, membership),
    }


def offers_of_event(desk: Desk, request: Asking, row: LogRow) -> list[tuple[str, str]]:
    """Give the purposes for which an event would be shown that this one withholds: name, title."""
    acting = desk.acting(request)
    asked_by = desk.session(request).asked_by
    return [
        (name, purpose.title)
        for name, purpose in acting.purposes.items()
        if name != acting.name and desk.workspace.events.reached([row], desk.workspace.scope(name, asked_by=asked_by))
    ]


def opening_views(openings: Sequence[Opening]) -> list[OpeningView]:
    """Write openings as pages tell them."""
    return [
        OpeningView(one.opening_id, rfc3339(one.at), rfc3339(one.until), one.operator_id, one.profile_id, one.reason)
        for one in openings
    ]


def _offers(
    desk: Desk, request: Asking, may: Sequence[May], withheld: Sequence[Mapping[str, str]]
) -> list[tuple[str, str]]:
    """Give the purposes for which something would be shown that this one withholds: name, title."""
    acting = desk.acting(request)
    found = []
    for one in may:
        if one.is_permitted and one.name in acting.purposes and one.name != acting.name:
            other = desk.workspace.scope(one.name)
            if any(_would_show(other, told["field"], told["reason"]) for told in withheld):
                found.append((one.name, one.title))
    return found


def _would_show(other: Scope, field: str, reason: str) -> bool:
    if field == "*":
        return True
    # What was refused when it was collected is shown for what no choice decides.
    return other.allows(field) and (reason == NOT_REACHED or other.basis not in LISTED_BASES)
