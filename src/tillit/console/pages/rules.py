"""The rules of who is who: which hold, what others would change, putting them in force.

In:    from forms a text of rules, a reason.
Out:   the rules in words and as a table; the plan of whoever asked, with sampled people; a definition in the log.
Never: rules in force that nobody was shown the effect of; a plan worked out here: a worker does it.
"""

import asyncio
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.clock import rfc3339
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.pages.identity import reason_of
from tillit.console.rulebook import case_view, changed_lines, in_words, kind_rows, what_is_wrong
from tillit.errors import InputError
from tillit.identity import RulesInvalid, read_rules, write_rules
from tillit.workspace import AskedPlan, PlanGone, RulesUnchanged, people_shown

_LARGEST_FORM = 524_288  # a definition has at most 100,000 characters
_HISTORY_ROWS = 50


class _PlanStale(InputError):
    """Other rules were applied since a plan was made."""

    code = "console.plan-stale"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "Other rules were put in force since these were tried. Try them again to see what they change now."
        )


def rules_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def own_plan(request: Asking) -> AskedPlan | None:
        session = desk.session(request)
        return ws.plans.find_of(session.operator_id) if session.may("editor") else None

    def show(request: Asking, *, status: int = 200, fault: str = "", wrong: Any = None, text: str | None = None,
             did: str = "") -> Response[Any]:  # fmt: skip
        plan = own_plan(request)
        shown: dict[str, Any] = {"plan": plan, "standing": ws.rules.status(), "result": None}
        if plan is not None and plan.state == "done":
            try:
                shown["result"] = ws.rules.shown(ws.plans.result(plan), desk.scope(request))
            except PlanGone:
                shown["plan"] = None
        if PART in request.headers:
            return desk.page(request, "parts/rules_progress.html", **shown)
        current = ws.rules.text()
        if shown["result"]:
            desk.note(request, people_shown(shown["result"]))
        rules = ws.identity.rules()
        return desk.page(
            request,
            "rules.html",
            status=status,
            here="identity",
            n_waiting=ws.identity.n_violations(),
            fault=fault,
            wrong=wrong,
            text=text if text is not None else (plan.text if plan is not None else current),
            words=in_words(rules),
            kinds=kind_rows(rules),
            changes=changed_lines(current, plan.text) if plan is not None and plan.state == "done" else [],
            cases=[case_view(one) for one in shown["result"]["cases"]] if shown["result"] else [],
            asked_at=rfc3339(plan.asked_at) if plan is not None else "",
            history=ws.rules.history()[:_HISTORY_ROWS],
            did=did,
            may_edit=desk.session(request).may("editor"),
            **shown,
        )

    def ask(request: Asking, text: str) -> Response[Any]:
        try:
            rules = read_rules(text)
        except RulesInvalid as exc:
            return show(request, status=exc.status, wrong=what_is_wrong(text, exc), text=text)
        if write_rules(rules) == ws.rules.text():
            unchanged = RulesUnchanged()
            return show(request, status=unchanged.status, fault=unchanged.message, text=text)
        scope = desk.scope(request)
        against = ws.rules.status()["action"]
        plan = ws.plans.ask(text, against=against, asked_by=scope.asked_by, purpose=scope.purpose)
        desk.audit(request, "rules.plan", plan.plan_id)
        desk.start_plans()
        return Redirect("/console/identity/rules#plan", status_code=303)

    @get("/console/identity/rules", opt={"role": "reader"}, sync_to_thread=True)
    def show_rules(request: Asking, did: str = "") -> Response[Any]:
        return show(request, did=did)

    @post("/console/identity/rules/plan", opt={"role": "editor"}, status_code=200,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    async def plan_rules(request: Asking, data: Form) -> Response[Any]:
        return await asyncio.to_thread(ask, request, data.get("text", "").replace("\r\n", "\n"))

    @post("/console/identity/rules/again", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def plan_earlier(request: Asking, data: Form) -> Response[Any]:
        action = data.get("action") or None
        earlier = next((one for one in ws.rules.history() if one["action"] == action), None)
        if earlier is None:
            return show(request, status=404, fault="These rules are not in the history. Load the page again.")
        return ask(request, earlier["text"])

    @post("/console/identity/rules/drop", opt={"role": "editor"}, sync_to_thread=True)
    def drop_plan(request: Asking) -> Response[Any]:
        ws.plans.discard_of(desk.session(request).operator_id)
        return Redirect("/console/identity/rules", status_code=303)

    @post("/console/identity/rules/apply", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def apply_rules(request: Asking, data: Form) -> Response[Any]:
        operator = desk.session(request).operator_id
        plan = own_plan(request)
        try:
            if plan is None or plan.state != "done" or plan.plan_id != data.get("plan"):
                raise PlanGone
            if plan.against != ws.rules.status()["action"]:
                raise _PlanStale
            status = ws.rules.apply(plan.text, reason=reason_of(data), operator=operator)
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        ws.plans.discard_of(operator)
        desk.audit(request, "rules.apply", status["action"] or "")
        return Redirect(f"/console/identity/rules?did={status['action']}", status_code=303)

    return [show_rules, plan_rules, plan_earlier, drop_plan, apply_rules]
