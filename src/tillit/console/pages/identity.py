"""Why one customer is one person: the evidence drawn and told, and what colleagues decide about it.

In:    a profile id; identifiers under ids of ours in addresses, in their own words only in forms; a reason.
Out:   the page, with what came of a decision; events in the log.
Never: an identifier in an address; a decision without a reason; one about somebody else than the page shows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.console.desk import Asking, Desk, Form
from tillit.console.drawing import draw
from tillit.console.pages.leave import closed_page
from tillit.console.portrait import FIRST_ROWS, related_view
from tillit.console.ties import (
    Compared,
    DecisionView,
    End,
    Pair,
    Step,
    Tie,
    compare,
    decision_view,
    list_ends,
    list_ties,
    pair_of,
    step_of,
)
from tillit.console.views import CustomerView, customer_view
from tillit.errors import BusyError, InputError, NotFound
from tillit.identity import CUT, JOIN, PIN, UNDO, ReasonInvalid, identifier_of, takes
from tillit.identity import profile_id as key_of
from tillit.profile import position_of
from tillit.records import Membership, Scope
from tillit.workspace import Workspace, name_of

_MOST_CHOICES = 200  # of a list to choose from
_MOST_TIES = 60  # unless all are asked for: each has a form of its own
_MOST_HISTORY = 200
_LONGEST_WHO = 320


class Told(NamedTuple):
    """What is known of two identifiers: one person or not, and why."""

    pair: Pair
    is_together: bool
    steps: list[Step]
    direct: list[Step]
    may_pin: bool
    people: list[CustomerView]  # whose they are: one, or two


class Outcome(NamedTuple):
    """A decision, and what came of it."""

    decision: DecisionView
    told: Told


class Chapter(NamedTuple):
    """One line of the history: a link that held, or a decision."""

    position: int
    tie: Tie | None
    decision: DecisionView | None


class _Unknown(NotFound):
    """What a form names is not this customer's."""

    code = "console.not-theirs"

    def __init__(self) -> None:
        super().__init__("That is not about this customer, or no longer. Load the page again.")


def identity_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(request: Asking, profile_id: str, *, status: int = 200, fault: str = "", **asked: str) -> Response[Any]:
        scope = desk.scope(request, profile_id)
        # Only ids: `namespace:value` would put a person's address into an address.
        membership = ws.profiles.membership(profile_id) if ":" not in profile_id else None
        document = ws.profiles.find(profile_id, scope) if membership is not None else None
        found = ws.profiles.evidence(profile_id, scope) if document is not None else None
        if membership is None or document is None:
            return desk.page(request, "unknown_customer.html", status=404, here="customers")
        if document["id"] != profile_id and status == 200:
            query = f"?{request.url.query}" if request.url.query else ""
            return Redirect(f"/console/customers/{document['id']}/identity{query}", status_code=307)
        if found is None:
            return closed_page(desk, request, document, status=status, fault=fault)
        evidence, related = found
        own = list_ends(membership, document, scope)
        ties = list_ties(evidence.links, own, ws.log.epoch())
        decisions = decisions_of(ws, profile_id, scope)
        choices = _choices(own, ties)
        beside = _find_beside(ws, scope, document, asked.get("beside", ""))
        if asked.get("beside") and beside is None and not fault:
            fault = "Nobody else is known by that. Look for typing mistakes, or search under Customers."
        names = _names(
            ties, {one.document["id"]: name_of(one.document) for one in related if one.document["identifiers"]}
        )
        people = [profile_id, *(one.document["id"] for one in related)]
        desk.note(request, [*people, *ws.profiles.holders([asked.get("beside", "")] if beside is not None else [])])
        return desk.page(
            request,
            "identity.html",
            status=status,
            here="customers",
            profile_id=profile_id,
            customer=_named(customer_view(document), own[0].kind, own[0].value) if own else customer_view(document),
            fault=fault,
            outcome=outcome_of(ws, scope, asked.get("did", "")),
            own=own,
            ties=ties,
            n_shown=len(ties) if asked.get("links") == "all" else min(len(ties), _MOST_TIES),
            is_cut_short=len(evidence.links) >= 200,
            n_rows=FIRST_ROWS,
            drawing=draw(ties, own, names),
            names=names,
            choices=choices[:_MOST_CHOICES],
            n_choices=len(choices),
            one=asked.get("one", ""),
            other=asked.get("other", ""),
            why=_why(ws, scope, own, asked.get("one", ""), asked.get("other", "")),
            near=[related_view(one, ws.log.epoch()) for one in related],
            beside=beside,
            beside_key=asked.get("beside", ""),
            history=_history(ties, decisions),
            acts=_acts_on(ties, decisions),
            may_edit=desk.session(request).may("editor"),
        )

    def done(
        request: Asking, profile_id: str, kind: str, decide: Callable[[str, Scope], dict[str, Any]]
    ) -> Response[Any]:
        """Let a colleague decide, note it, and show what came of it."""
        try:
            scope = desk.scope(request, profile_id)
            action = str(decide(desk.session(request).operator_id, scope)["action"])
        except InputError as exc:
            return show(request, profile_id, status=exc.status, fault=exc.message)
        except BusyError as exc:
            note_pending(desk, request, kind, profile_id, exc)
            return show(request, profile_id, status=exc.status, fault=exc.message)
        desk.audit(request, f"identity.{kind}", target=profile_id, event_id=action)
        return Redirect(f"/console/customers/{profile_id}/identity?did={action}", status_code=303)

    def theirs(profile_id: str, data: Form) -> tuple[str, str]:
        """Read two identifiers from a form, one of them at least this customer's."""
        membership = ws.profiles.membership(profile_id) if ":" not in profile_id else None
        one, other = data.get("one", ""), data.get("other", "")
        own = {f"{m.namespace}:{m.value}" for m in membership.identifiers} if membership is not None else set()
        if not own & {one, other}:
            raise _Unknown
        return one, other

    @get("/console/customers/{profile_id:str}/identity", opt={"role": "reader"}, sync_to_thread=True)
    def show_identity(
        request: Asking,
        profile_id: str,
        one: str = "",
        other: str = "",
        did: str = "",
        beside: str = "",
        links: str = "",
    ) -> Response[Any]:
        return show(request, profile_id, one=one, other=other, did=did, beside=beside, links=links)

    @post("/console/customers/{profile_id:str}/identity/cut", opt={"role": "editor"}, status_code=200,
          sync_to_thread=True)  # fmt: skip
    def cut(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        def decide(operator: str, scope: Scope) -> dict[str, Any]:
            one, other = theirs(profile_id, data)
            return ws.identity.cut(one, other, reason=reason_of(data), operator=operator, scope=scope)

        return done(request, profile_id, "cut", decide)

    @post("/console/customers/{profile_id:str}/identity/pin", opt={"role": "editor"}, status_code=200,
          sync_to_thread=True)  # fmt: skip
    def pin(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        def decide(operator: str, scope: Scope) -> dict[str, Any]:
            one, other = theirs(profile_id, data)
            return ws.identity.pin(one, other, reason=reason_of(data), operator=operator, scope=scope)

        return done(request, profile_id, "pin", decide)

    # What was typed travels in the body; the address of the answer holds an id of ours.
    @post("/console/customers/{profile_id:str}/identity/beside", opt={"role": "editor"}, status_code=200,
          sync_to_thread=True)  # fmt: skip
    def look_beside(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        found = _key_of(ws, data.get("who", "")[:_LONGEST_WHO])
        if found is None:
            fault = "Nobody is known by that. Write it as namespace:value, such as email:ana@example.org."
            return show(request, profile_id, status=404, fault=fault)
        return Redirect(f"/console/customers/{profile_id}/identity?beside={found}#beside", status_code=303)

    @post("/console/customers/{profile_id:str}/identity/join", opt={"role": "editor"}, status_code=200,
          sync_to_thread=True)  # fmt: skip
    def join(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        def decide(operator: str, scope: Scope) -> dict[str, Any]:
            membership = ws.profiles.membership(profile_id) if ":" not in profile_id else None
            one = _strongest(membership, profile_id)
            key = data.get("beside", "")
            other = _strongest(ws.profiles.membership(key) if ":" not in key else None, key)
            if one is None or other is None:
                raise _Unknown
            return ws.identity.join(one, other, reason=reason_of(data), operator=operator, scope=scope)

        return done(request, profile_id, "join", decide)

    @post("/console/customers/{profile_id:str}/identity/undo", opt={"role": "editor"}, status_code=200,
          sync_to_thread=True)  # fmt: skip
    def undo(request: Asking, profile_id: str, data: Form) -> Response[Any]:
        def decide(operator: str, scope: Scope) -> dict[str, Any]:
            action = data.get("action", "")
            known = ws.identity.decisions(profile_id, scope) if ":" not in profile_id else None
            if all(one["action"] != action for one in known or ()):
                raise _Unknown
            return ws.identity.undo(action, reason=reason_of(data), operator=operator, scope=scope)

        return done(request, profile_id, "undo", decide)

    return [show_identity, cut, pin, look_beside, join, undo]


def reason_of(data: Form) -> str:
    """Read why a colleague decides: other doors may leave it open, here somebody sits who can say it."""
    reason = data.get("reason", "").strip()
    if not reason:
        raise ReasonInvalid("is missing: whoever looks at this later wants to know why.")
    return reason


def note_pending(desk: Desk, request: Asking, kind: str, profile_id: str, exc: BusyError) -> None:
    """Note a decision that is in the log and waits for the fold."""
    action = exc.details.get("action")
    if isinstance(action, str):
        desk.audit(request, f"identity.{kind}", target=profile_id, outcome="pending", event_id=action)


def decisions_of(ws: Workspace, who: str, scope: Scope) -> list[DecisionView]:
    """Give what colleagues decided about a person, oldest first, each undo with what it took back."""
    told = ws.identity.decisions(who, scope) or []
    epoch = ws.log.epoch()
    places = {one["action"]: position_of(one["action"], epoch) or 0 for one in told}
    undone = _undone(ws, places) if any(one["kind"] == UNDO for one in told) else {}
    return [decision_view(one, places[one["action"]], undone.get(one["action"], "")) for one in told]


def _undone(ws: Workspace, places: dict[str, int]) -> dict[str, str]:
    """Say of each undo what kind of decision it took back."""
    rows = ws.folding.rows(list(places.values()))
    bodies = {
        action: msgspec.json.decode(rows[place].body or b"{}") for action, place in places.items() if place in rows
    }
    kinds = {body.get("messageId"): body.get("type", "") for body in bodies.values()}
    return {action: kinds.get(body["of"], "") for action, body in bodies.items() if "of" in body}


def outcome_of(ws: Workspace, scope: Scope, action: str) -> Outcome | None:
    """Say what came of a decision; None when there is none by that id."""
    decision = ws.identity.decision(action, scope) if action else None
    if decision is None or decision["a"] == decision["b"]:  # of a value, which two people do not come of
        return None
    known = decisions_of(ws, decision["a"], scope)
    told = next((one for one in known if one.action == action), decision_view(decision, 0))
    return Outcome(told, tell(ws, scope, decision["a"], decision["b"]))


def tell(ws: Workspace, scope: Scope, one: str, other: str) -> Told:
    """Say whether two identifiers are one person, and why."""
    told = ws.identity.why(one, other, scope)
    people = {
        document["id"]: _named(customer_view(document), *end.split(":", 1))
        for end in (told["a"], told["b"])
        if (document := ws.profiles.find(end, scope)) is not None
    }
    return Told(
        pair_of(told["a"], told["b"]),
        told["together"],
        [step_of(step) for step in told["path"]],
        [step_of(link) for link in told["direct"]],
        told["together"]
        and all((end := ws.identity.rules().parse(text)) is not None and takes(PIN, end.rank) for text in (one, other)),
        list(people.values()),
    )


def _named(view: CustomerView, kind: str, value: str) -> CustomerView:
    """Call somebody of whom nothing was said by their identifier."""
    return view if view.n_handles else view._replace(name=value, initials=value[:1].upper(), handles=[(kind, value)])


def _names(ties: list[Tie], known: dict[str, str]) -> dict[str, str]:
    """Say what others are called: by name, else by what ties them."""
    told = {end.profile_id: end.value for tie in ties for end in (tie.one, tie.other) if not end.is_theirs}
    return told | known


def _acts_on(ties: list[Tie], decisions: list[DecisionView]) -> dict[int, DecisionView]:
    """Give the decision on which a tie's verdict rests, by the tie's number."""
    standing = [one for one in decisions if one.stands]
    cuts = {frozenset({one.pair.one_written, one.pair.other_written}): one for one in standing if one.kind == CUT}
    joins = {one.action: one for one in standing if one.kind == JOIN}
    found = {
        tie.number: cuts.get(frozenset({tie.one.written, tie.other.written}))
        if tie.verdict == "withdrawn"
        else joins.get(tie.best.event_id)
        for tie in ties
    }
    return {number: one for number, one in found.items() if one is not None}


def _why(ws: Workspace, scope: Scope, own: list[End], one: str, other: str) -> Told | None:
    ends = {end.key: end.written for end in own}
    if one == other or one not in ends or other not in ends:
        return None
    return tell(ws, scope, ends[one], ends[other])


def _choices(own: list[End], ties: list[Tie]) -> list[End]:
    """Give the identifiers that one may ask about: of very many those first that a link names."""
    if len(own) <= _MOST_CHOICES:
        return own
    tied = {end.key for tie in ties for end in (tie.one, tie.other)}
    return sorted(own, key=lambda end: end.key not in tied)


def _find_beside(ws: Workspace, scope: Scope, document: dict[str, Any], key: str) -> Compared | None:
    other = ws.profiles.find(key, scope) if key and ":" not in key else None
    return compare(document, other) if other is not None and other["id"] != document["id"] else None


def _key_of(ws: Workspace, who: str) -> str | None:
    """Give an id of ours for what a colleague typed: `namespace:value`, an e-mail address, a profile id."""
    who = who.strip()
    if ":" not in who:
        who = f"email:{who}" if "@" in who else who
    membership = ws.profiles.membership(who)
    written = ws.identity.rules().parse(who) if ":" in who else None
    if membership is None:
        return None
    for member in membership.identifiers:
        if written is not None and (member.namespace, member.value) == (written.namespace, written.value):
            return key_of(member.identifier_id)
    return membership.profile_id


def _strongest(membership: Membership | None, key: str) -> str | None:
    """Give the identifier that an id of ours stands for, or the strongest of that person's that people can have."""
    if membership is None:
        return None
    asked = identifier_of(key)
    named = [m for m in membership.identifiers if m.identifier_id == asked]
    fit = [m for m in [*named, *membership.identifiers] if takes(PIN, m.rank)]
    found = (fit or list(membership.identifiers))[0]
    return f"{found.namespace}:{found.value}"


def _history(ties: list[Tie], decisions: list[DecisionView]) -> list[Chapter]:
    """Give what happened, newest first: links that hold people's identifiers together, and decisions."""
    told = [
        Chapter(tie.position, tie, None)
        for tie in ties
        if tie.verdict == "admitted" and "device" not in {tie.one.sort, tie.other.sort}
    ]
    told += [Chapter(one.position, None, one) for one in decisions]
    return sorted(told, key=lambda one: one.position, reverse=True)[:_MOST_HISTORY]
