"""One customer: who, what is known and from where, what they did, what we may do; what colleagues say of them.

In:    a profile id, old or new; a colleague's correction, note or change of mind; a choice or a request of theirs.
Out:   the page and its parts; events in the log; requests; packages.
Never: an identifier in an address; a change that is no event; what the page's own purpose does not permit.
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import File, Redirect

from tillit.consent import EVERYTHING, OWN_DATA, Choice
from tillit.console.belonging import ENTERED
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.drawing import draw
from tillit.console.pages.leave import closed_page, may_card
from tillit.console.pages.requests import proof_of
from tillit.console.portrait import (
    FIRST_ROWS,
    FIRST_TRAITS,
    GroupView,
    act_view,
    draw_activity,
    fact_views,
    group_view,
    link_view,
    month_of,
    parse_value,
    related_view,
    shown,
    taken_back,
    tenure_view,
    trait_views,
)
from tillit.console.ties import list_ends, list_ties
from tillit.console.views import customer_detail, event_views
from tillit.errors import BusyError, InputError, NotFound, RefusedError
from tillit.privacy import ACCESS, OPERATOR, PORTABILITY
from tillit.profile import ActInvalid, position_of
from tillit.records import Membership, Scope
from tillit.workspace import Related, Workspace, is_refused, name_of

_TIMELINE_ROWS = 40
_MOST_TRAITS = 5_000  # of the whole list: a page, not a download
_MOST_GROUPS = 8
_MOST_OTHERS = 10
_APPLIED_WITHIN_S = 2.0
_OF_EVERYTHING = {"restricted", "released"}
_PACKAGE_CLOSED = (
    "Not everything about this person is shown to you, so no package is made from here. Open a request: its package "
    "holds everything, for the person."
)
_TOLD = {
    "corrected": "The correction counts now.",
    "noted": "The note is kept.",
    "chosen": "Written down: it counts now.",
    "undone": "Taken back: it is as if it had never been.",
    "waiting": "It is safe in the log and on its way; load the page again in a moment.",
}


def customer_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def unknown(request: Asking) -> Response[str]:
        # The same answer for whoever never was, was forgotten, or is no id at all.
        return desk.page(request, "unknown_customer.html", status=404, here="customers")

    def is_known(profile_id: str) -> bool:
        # Only ids: `namespace:value` would put a person's address into an address.
        return ":" not in profile_id and ws.profiles.membership(profile_id) is not None

    def show(request: Asking, profile_id: str, *, status: int = 200, fault: str = "", **asked: str) -> Response[Any]:
        scope = desk.scope(request, profile_id)
        # Only ids: `namespace:value` would put a person's address into an address.
        person = ws.profiles.person(profile_id, scope) if ":" not in profile_id else None
        if person is None:
            return unknown(request)
        document = person.document
        if document["id"] != profile_id and status == 200:
            return Redirect(f"/console/customers/{document['id']}", status_code=307)
        evidence_and_near = ws.profiles.evidence(profile_id, scope)
        told = _TOLD.get(asked.get("told", ""), "")
        if evidence_and_near is None:
            return closed_page(desk, request, document, status=status, fault=fault, told=told)
        evidence, related = evidence_and_near
        before = asked.get("before") or None
        part = _timeline(ws, scope, profile_id, before)
        if PART in request.headers:
            desk.note(request, [profile_id])
            return desk.page(request, "parts/timeline.html", **part)
        groups = _groups(desk, document, scope)
        beside = [one.document["id"] for one in related]
        members = [who for one in groups for who, _, _ in one.others]
        desk.note(request, [profile_id, *beside, *members])
        epoch = ws.log.epoch()
        membership = ws.profiles.membership(profile_id)
        own = list_ends(membership, document, scope) if membership is not None else []
        names = {one.document["id"]: name_of(one.document) for one in related if one.document["identifiers"]}
        most = _MOST_TRAITS if asked.get("traits") == "all" else FIRST_TRAITS
        return desk.page(
            request,
            "customer.html",
            status=status,
            here="customers",
            customer=customer_detail(document),
            before=before,
            told=told,
            fault=fault,
            traits=trait_views(person, epoch, most=most),
            n_traits=len(document["traits"]),
            n_first=FIRST_TRAITS,
            n_rows=FIRST_ROWS,
            taken_back=taken_back(person, epoch),
            notes=[act_view(note, epoch) for note in person.standing.notes],
            links=[link_view(link, epoch) for link in evidence.links],
            tenures=[tenure_view(tenure, epoch) for tenure in evidence.tenures],
            possibly=[related_view(one, epoch) for one in related if _is_possibly(one)],
            related=[related_view(one, epoch) for one in related if not _is_possibly(one)],
            drawing=draw(list_ties(evidence.links, own, epoch), own, names),
            groups=groups,
            facts=fact_views(document["facts"]),
            activity=draw_activity(person.months),
            proved=frozenset(document["traits"]),
            **part
            | may_card(desk, request, document, scope)
            | _belonging(ws, membership, scope, asked.get("audiences", "")),
        )

    @get("/console/customers/{profile_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_customer(
        request: Asking, profile_id: str, before: str = "", traits: str = "", told: str = "", audiences: str = ""
    ) -> Response[Any]:
        return show(request, profile_id, before=before, traits=traits, told=told, audiences=audiences)

    # The name of a trait is what a sender wrote: it travels in the body.
    @post("/console/customers/{profile_id:str}/earlier", opt={"role": "reader"}, status_code=200, sync_to_thread=True)
    def show_earlier(request: Asking, profile_id: str, data: Form) -> Response[str]:
        name = data.get("trait", "")[:256]
        scope = desk.scope(request, profile_id)
        document = ws.profiles.find(profile_id, scope) if ":" not in profile_id else None
        found = ws.profiles.earlier(profile_id, name, scope) if document is not None else None
        if found is None or document is None:
            return unknown(request)
        if is_refused(document):
            return closed_page(desk, request, document)
        desk.note(request, [profile_id])
        template = "parts/earlier.html" if PART in request.headers else "earlier.html"
        values = [one._replace(value=shown(one.value)) for one in found.values]
        return desk.page(
            request,
            template,
            here="customers",
            profile_id=profile_id,
            trait=name,
            values=values,
            n_events=found.n_events,
            is_all=found.is_all,
        )

    def applied(profile_id: str, event_id: str, told: str, place: str) -> Response[Any]:
        """Wait a moment until the fold has applied an act, then show the page."""
        position = position_of(event_id, ws.log.epoch()) or 0
        if not ws.folding.wait(position, _APPLIED_WITHIN_S):
            told = "waiting"
        return Redirect(f"/console/customers/{profile_id}?told={told}#{place}", status_code=303)

    @post(
        "/console/customers/{profile_id:str}/corrections", opt={"role": "editor"}, status_code=200, sync_to_thread=True
    )
    def correct(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        if not is_known(profile_id):
            return unknown(request)
        name, reason = data.get("trait", "").strip(), data.get("reason", "").strip()
        if not reason:
            return show(request, profile_id, status=400, fault="A correction needs a reason: say how you know.")
        try:
            value = parse_value(data.get("kind", "text"), data.get("value", ""))
        except (ValueError, KeyError, msgspec.MsgspecError):
            fault = "That value is not of the kind that was chosen. Write a number as 12.5, a truth as true or false."
            return show(request, profile_id, status=400, fault=fault)
        operator = desk.session(request).operator_id
        try:
            event_id = ws.profiles.correct(profile_id, name, value, reason=reason, operator=operator)
        except ActInvalid as exc:
            return show(request, profile_id, status=400, fault=exc.message)
        desk.audit(request, "trait.correct", target=profile_id, event_id=event_id)
        return applied(profile_id, event_id, "corrected", "traits")

    @post("/console/customers/{profile_id:str}/notes", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def note(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        if not is_known(profile_id):
            return unknown(request)
        operator = desk.session(request).operator_id
        try:
            event_id = ws.profiles.note(profile_id, data.get("text", ""), operator=operator)
        except ActInvalid as exc:
            return show(request, profile_id, status=400, fault=exc.message)
        desk.audit(request, "customer.note", target=profile_id, event_id=event_id)
        return applied(profile_id, event_id, "noted", "notes")

    @post("/console/customers/{profile_id:str}/undo", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def undo(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        if not is_known(profile_id):
            return unknown(request)
        operator = desk.session(request).operator_id
        reason = data.get("reason", "")[:500]
        event_id = ws.profiles.undo(data.get("event_id", ""), reason=reason, operator=operator, who=profile_id)
        desk.audit(request, "customer.undo", target=profile_id, event_id=event_id)
        return applied(profile_id, event_id, "undone", "traits")

    # -- what we may do, and what the customer asks

    @post("/console/customers/{profile_id:str}/choices", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def write_choice(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        if not is_known(profile_id):
            return unknown(request)
        purpose, state = data.get("purpose", ""), data.get("state", "")
        purpose = EVERYTHING if state in _OF_EVERYTHING else purpose
        declared = ws.consent.declared()
        told = declared.purposes.get(purpose)
        if purpose != EVERYTHING and told is None:
            return show(request, profile_id, status=400, fault="That purpose is not declared. Choose one of the list.")
        shown_notice = ""
        if told is not None and told.notice and data.get("notice"):
            shown_notice = f"{told.notice}@{declared.policy.notices[told.notice].version}"
        try:
            event_id = ws.consent.set(
                profile_id,
                [Choice(purpose, state)],
                by=data.get("by", "self"),
                method="console",
                notice=shown_notice,
                evidence=data.get("evidence", ""),
                operator=desk.session(request).operator_id,
            )
        except InputError as exc:
            return show(request, profile_id, status=exc.status, fault=exc.message)
        except BusyError:
            desk.audit(request, "choice.set", target=profile_id, outcome="pending", purpose=purpose, state=state)
            return Redirect(f"/console/customers/{profile_id}?told=waiting#may", status_code=303)
        desk.audit(request, "choice.set", target=profile_id, event_id=event_id, purpose=purpose, state=state)
        return Redirect(f"/console/customers/{profile_id}?told=chosen#may", status_code=303)

    @post("/console/customers/{profile_id:str}/requests", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def open_request(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        if not is_known(profile_id):
            return unknown(request)
        me = desk.session(request).operator_id
        kind = data.get("kind", "")
        try:
            filed = ws.requests.open(
                profile_id,
                kind,
                place=data.get("place", ""),
                by_whom=me,
                asked_by=OPERATOR,
                proof=proof_of(data, me) if data.get("via") else None,
                evidence=data.get("evidence", "").strip(),
            )
        except (InputError, RefusedError) as exc:
            return show(request, profile_id, status=exc.status, fault=exc.message)
        desk.audit(request, "request.open", filed.request_id, kind=kind, state=filed.state)
        return Redirect(f"/console/privacy/requests/{filed.request_id}", status_code=303)

    @post("/console/customers/{profile_id:str}/package", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def write_package(request: Asking, profile_id: str, data: Form) -> Any:
        kind = data.get("kind", ACCESS)
        if not is_known(profile_id):
            return unknown(request)
        if kind not in {ACCESS, PORTABILITY}:
            return show(request, profile_id, status=400, fault="A package is of access or of portability.")
        document = ws.profiles.find(profile_id, desk.scope(request))
        if document is None:
            return unknown(request)
        if document["withheld"]:
            return show(request, profile_id, status=403, fault=_PACKAGE_CLOSED)
        desk.note(request, [document["id"]], purpose=OWN_DATA)
        try:
            done = ws.exports.write(profile_id, kind)
        except NotFound:  # forgotten meanwhile
            return unknown(request)
        desk.audit(request, "package.write", done.profile_id, kind=kind)
        return File(done.path, filename=f"package-{done.profile_id}.zip", media_type="application/zip")

    return [show_customer, show_earlier, correct, note, undo, write_choice, open_request, write_package]


def _is_possibly(related: Related) -> bool:
    """Say whether somebody may be the same person: a link between the two waits for a colleague's word."""
    return any(one.reason == "soft" for one in related.reasons)


def _belonging(ws: Workspace, membership: Membership | None, scope: Scope, asked: str) -> dict[str, Any]:
    """Give the audiences of one person for the page's purpose; those they are not in when they are asked for."""
    told = ws.audiences.definitions().audiences
    held = ws.audiences.of_person(membership, scope) if membership is not None else {}
    ours = [name for name, one in sorted(told.items()) if one.audience.purpose == scope.purpose]
    rows = [
        {"name": name, "title": told[name].audience.title or name, **held.get(name, {"since": "", "cause": ""})}
        for name in ours
    ]
    return {
        "belongs": [{**one, "cause": ENTERED.get(one["cause"], one["cause"])} for one in rows if one["name"] in held],
        "lacks": [one for one in rows if one["name"] not in held] if asked == "all" else None,
        "n_lacks": len(ours) - len(held),
        "n_elsewhere": len(told) - len(ours),
    }


def _groups(desk: Desk, document: dict[str, Any], scope: Scope) -> list[GroupView]:
    """Give a person's groups, each with the first others in it."""
    ws = desk.workspace
    views = []
    for place in document["groups"][:_MOST_GROUPS]:
        found = ws.groups.get(place["group"], scope, limit=_MOST_OTHERS)
        others = []
        for one in found["members"]:
            other = ws.profiles.find(one["profile_id"], scope) if one["profile_id"] != document["id"] else None
            if other is not None:
                others.append((one["profile_id"], name_of(other), one["role"] or ""))
        views.append(group_view(place, others, has_more=found["next"] is not None))
    return views


def _timeline(ws: Workspace, scope: Scope, profile_id: str, before: str | None) -> dict[str, Any]:
    """Give one part of the timeline, each month under its name."""
    found = ws.profiles.rows(profile_id, scope, limit=_TIMELINE_ROWS, before=before)
    events = event_views(ws, found.rows, scope, with_who=False) if found is not None else []
    months: list[tuple[str, list[Any]]] = []
    for event in events:
        month = month_of(event.at)
        if not months or months[-1][0] != month:
            months.append((month, []))
        months[-1][1].append(event)
    more = found.next if found is not None else None
    return {"events": events, "months": months, "with_who": False, "more": more, "profile_id": profile_id}
