"""Routes about who is who: why two identifiers are one person, and what programs decide about it.

In:    two identifiers, in the address or, so that no personal value stands in a URL, in the body; a reason; rules.
Out:   the same documents as from Python and the command line.
Never: a decision in the name of anybody but the key's source; the event loop held while the fold comes to a decision.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import (
    DecidedDocument,
    HistoryDocument,
    Lookup,
    NewBlock,
    NewDecision,
    NewPlan,
    NewRules,
    NewRulesUndo,
    NewUndo,
    PathWho,
    PlanDocument,
    PossiblyDocument,
    QueryBefore,
    QueryEnd,
    QueryLimit,
    QueryPurpose,
    RulesDocument,
    RulesStatusDocument,
    TwoEnds,
    ValueDocument,
    ViolationsDocument,
    WhyDocument,
)
from tillit.api.gate import key_of
from tillit.api.profiles import who_of
from tillit.identity import read_rules
from tillit.records import Scope
from tillit.workspace import AskedPlan, PlanGone, people_shown, unknown_profile

Asking = Request[Any, Any, Any]


def plan_document(asked: AskedPlan, result: dict[str, Any] | None) -> PlanDocument:
    """Give a plan as the API tells it."""
    return {
        "plan": asked.plan_id,
        "state": asked.state,
        "done": asked.done,
        "of": asked.of,
        "failure": asked.failure,
        "result": result,
    }


def identity_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    identity = desk.ws.identity

    def note(request: Asking, scope: Scope, *ends: str) -> None:
        desk.note(request, scope, desk.ws.profiles.holders(ends))

    async def why(request: Asking, a: str, b: str, purpose: str | None) -> WhyDocument:
        scope = desk.scope(request, purpose)
        found = await desk.slowly(lambda: identity.why(a, b, scope))
        note(request, scope, a, b)
        return cast(WhyDocument, found)

    async def decide(
        request: Asking, purpose: str | None, act: Callable[[str, Scope], dict[str, Any]]
    ) -> DecidedDocument:
        # The answer tells identifiers and what was said of them, so it is a read too.
        scope = desk.scope(request, purpose)
        operator = f"key:{key_of(request).source}"
        found = await desk.slowly(lambda: act(operator, scope))
        desk.note(request, scope, found["profiles"])
        return cast(DecidedDocument, found)

    async def judge(request: Asking, data: NewBlock, act: Callable[..., dict[str, Any]]) -> ValueDocument:
        scope = desk.scope(request, data.purpose)
        operator = f"key:{key_of(request).source}"
        found = await desk.slowly(lambda: act(data.value, reason=data.reason, operator=operator))
        note(request, scope, found["value"])
        return cast(ValueDocument, found)

    def history(request: Asking, who: str, purpose: str | None) -> HistoryDocument:
        scope = desk.scope(request, purpose)
        found = identity.decisions(who, scope)
        if found is None:
            raise unknown_profile()
        note(request, scope, who)
        return cast(HistoryDocument, {"decisions": found})

    @get("/api/identity/why", opt={"scope": "identity:read"}, tags=["identity"])
    async def read_why(request: Asking, a: QueryEnd, b: QueryEnd, purpose: QueryPurpose = None) -> WhyDocument:
        """Say step by step why two identifiers are one person, or why they are not."""
        return await why(request, a, b, purpose)

    @post("/api/identity/why", opt={"scope": "identity:read"}, status_code=200, tags=["identity"])
    async def ask_why(request: Asking, data: JSONBody[TwoEnds]) -> WhyDocument:
        """Say why as `GET /api/identity/why` does, with the identifiers in the body."""
        return await why(request, data.a, data.b, data.purpose)

    @post("/api/identity/cut", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def cut(request: Asking, data: JSONBody[NewDecision]) -> DecidedDocument:
        """Withdraw all direct evidence between two identifiers, past and future. Answers when it is applied."""
        return await decide(
            request,
            data.purpose,
            lambda operator, scope: identity.cut(data.a, data.b, reason=data.reason, operator=operator, scope=scope),
        )

    @post("/api/identity/pin", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def pin(request: Asking, data: JSONBody[NewDecision]) -> DecidedDocument:
        """Hold two identifiers apart, whatever ties them. Answers when it is applied."""
        return await decide(
            request,
            data.purpose,
            lambda operator, scope: identity.pin(data.a, data.b, reason=data.reason, operator=operator, scope=scope),
        )

    @post("/api/identity/join", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def join(request: Asking, data: JSONBody[NewDecision]) -> DecidedDocument:
        """Say that two identifiers are one person. Answers when it is applied."""
        return await decide(
            request,
            data.purpose,
            lambda operator, scope: identity.join(data.a, data.b, reason=data.reason, operator=operator, scope=scope),
        )

    @post("/api/identity/undo", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def undo(request: Asking, data: JSONBody[NewUndo]) -> DecidedDocument:
        """Make a decision (also an undo) as if it had never been. Answers when it is applied."""
        return await decide(
            request,
            data.purpose,
            lambda operator, scope: identity.undo(data.action, reason=data.reason, operator=operator, scope=scope),
        )

    @post("/api/identity/block", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def block(request: Asking, data: JSONBody[NewBlock]) -> ValueDocument:
        """Say that a value stands for many: it joins nobody, and nobody holds it. Answers when it is applied."""
        return await judge(request, data, identity.block)

    @post("/api/identity/free", opt={"scope": "identity:write"}, status_code=200, tags=["identity"])
    async def free(request: Asking, data: JSONBody[NewBlock]) -> ValueDocument:
        """Let a value that was blocked stand for somebody again. Answers when it is applied."""
        return await judge(request, data, identity.free)

    @get("/api/identity/rules", opt={"scope": "rules:read"}, tags=["identity"])
    async def show_rules() -> RulesDocument:
        """Give the identity rules, and how far those are that were applied last."""
        rules = desk.ws.rules
        return cast(RulesDocument, {**rules.status(), "text": rules.text(), "history": rules.history()})

    @post("/api/identity/rules", opt={"scope": "rules:write"}, status_code=200, tags=["identity"])
    async def apply_rules(request: Asking, data: JSONBody[NewRules]) -> RulesStatusDocument:
        """Put identity rules in force for all of history. Under the old ones everything goes on until they are."""
        operator = f"key:{key_of(request).source}"
        status = await desk.slowly(lambda: desk.ws.rules.apply(data.text, reason=data.reason, operator=operator))
        return cast(RulesStatusDocument, status)

    @post("/api/identity/plan", opt={"scope": "rules:write"}, status_code=202, tags=["identity"])
    async def try_rules(request: Asking, data: JSONBody[NewPlan]) -> PlanDocument:
        """Find out what other rules would change on the whole of history. `GET` tells how far it is, and the result."""
        read_rules(data.text)
        ws = desk.ws
        asked = ws.plans.ask(data.text, against=ws.rules.status()["action"], asked_by=key_of(request).key_id)
        desk.start_plans()
        return plan_document(asked, None)

    @get("/api/identity/plan", opt={"scope": "rules:write"}, tags=["identity"])
    async def read_plan(request: Asking, purpose: QueryPurpose = None) -> PlanDocument:
        """Give what this key tries. A plan is kept for a day, until the next, or until somebody is forgotten."""
        scope = desk.scope(request, purpose)
        asked = desk.ws.plans.find_of(key_of(request).key_id)
        if asked is None:
            raise PlanGone
        result = desk.ws.rules.shown(desk.ws.plans.result(asked), scope) if asked.state == "done" else None
        desk.note(request, scope, people_shown(result) if result is not None else ())
        return plan_document(asked, result)

    @post("/api/identity/rules/undo", opt={"scope": "rules:write"}, status_code=200, tags=["identity"])
    async def undo_rules(request: Asking, data: JSONBody[NewRulesUndo]) -> RulesStatusDocument:
        """Apply the rules again that were applied before the last ones."""
        operator = f"key:{key_of(request).source}"
        status = await desk.slowly(lambda: desk.ws.rules.undo(reason=data.reason, operator=operator))
        return cast(RulesStatusDocument, status)

    @get("/api/identity/violations", opt={"scope": "identity:read"}, tags=["identity"])
    async def list_violations(
        request: Asking, purpose: QueryPurpose = None, limit: QueryLimit = None, before: QueryBefore = None
    ) -> ViolationsDocument:
        """List links that are soft or refused, newest first, each with the rule that it would break."""
        scope = desk.scope(request, purpose)
        found, more = identity.violations(scope, limit=desk.limit(limit), before=before)
        note(request, scope, *(one[end] for one in found for end in "ab"))
        return cast(ViolationsDocument, {"violations": found, "next": more})

    @get("/api/profiles/{who:str}/decisions", opt={"scope": "identity:read"}, tags=["identity"])
    async def read_history(request: Asking, who: PathWho, purpose: QueryPurpose = None) -> HistoryDocument:
        """List what was decided about one person's identifiers, oldest first."""
        return history(request, who, purpose)

    @get("/api/profiles/{who:str}/possible", opt={"scope": "identity:read"}, tags=["identity"])
    async def read_possible(request: Asking, who: PathWho, purpose: QueryPurpose = None) -> PossiblyDocument:
        """List the people who may well be this one: by soft links, which nobody has confirmed. For analytics alone."""
        scope = desk.scope(request, purpose)
        found = identity.possible(who, scope)
        if found is None:
            raise unknown_profile()
        note(request, scope, who, *(one["profile_id"] for one in found))
        return cast(PossiblyDocument, {"possible": found})

    @post("/api/profiles/lookup/decisions", opt={"scope": "identity:read"}, status_code=200, tags=["identity"])
    async def look_up_history(request: Asking, data: JSONBody[Lookup]) -> HistoryDocument:
        """List decisions as `GET /api/profiles/{who}/decisions` does, with the identifier in the body."""
        return history(request, who_of(data), data.purpose)

    return [
        read_why,
        ask_why,
        cut,
        pin,
        join,
        undo,
        block,
        free,
        show_rules,
        apply_rules,
        try_rules,
        read_plan,
        undo_rules,
        list_violations,
        read_history,
        read_possible,
        look_up_history,
    ]
