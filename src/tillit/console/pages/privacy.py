"""Purposes and what follows from them: whom each may reach, their versions, one question, the record of processing.

In:    from forms a text of purposes, a reason; who, what for, for whom, on which day.
Out:   purposes with counts, versions with what changed; an answer with its ground; the record, to print or as JSON.
Never: purposes in force that nobody was shown the effect of; a person's identifier in an address.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.clock import DAY, instant, rfc3339
from tillit.consent import REASONS, read_policy, write_policy
from tillit.console.desk import Asking, Desk, Form
from tillit.console.pages.identity import reason_of
from tillit.console.processing import record_of_processing
from tillit.console.purposes import (
    BASES,
    MOST_COUNTED,
    Counted,
    answer_words,
    changed_purposes,
    due_by_purpose,
    notice_views,
    purpose_views,
    withheld_words,
)
from tillit.errors import BusyError, InputError, NotFound

_LARGEST_FORM = 786_432  # a definition has at most 200,000 characters
_HISTORY_ROWS = 50
_N_CASES = 12
_LONGEST = 200
_MOST_LOOKED = 100_000  # log rows that are looked at for what is due: about half a second


class _PurposesStale(InputError):
    """Other purposes were applied since some were tried."""

    code = "console.purposes-stale"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "Other purposes were put in force since these were tried. Try them again to see what they change now."
        )


class _BadDay(InputError):
    """A question was asked for a day that is none."""

    code = "console.bad-day"

    def __init__(self) -> None:
        super().__init__("Write the day as 2026-11-22, or leave it empty for now.", field="day")


def privacy_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def count_due(**_: int) -> dict[str, Any]:
        return due_by_purpose(ws.retention.outline(most=_MOST_LOOKED), ws.retention.last())

    def permitted(name: str) -> int | None:
        try:
            return ws.permissions.count(ws.scope(name), timeout_s=0).permitted
        except BusyError:  # purposes have just changed, and people are being judged under them
            return None

    def tally(*, most: int) -> dict[str, Any]:
        found = ws.consent.tally(most=most)
        # Where not all were looked at, at least whom a purpose may use is said of everybody.
        names = found["purposes"] if found["of"] is not None else ()
        return {**found, "everybody": {name: permitted(name) for name in names}}

    counted = Counted(tally, now=ws.now)
    due = Counted(count_due, now=ws.now)

    def tabs() -> int:
        return len(ws.requests.list(only_open=True))

    @get("/console/privacy", opt={"role": "reader"}, sync_to_thread=True)
    def show_purposes(request: Asking, did: str = "") -> Response[str]:
        declared = ws.consent.declared()
        history = ws.consent.history()
        found = counted.find(declared.hash)
        return desk.page(
            request,
            "privacy.html",
            here="privacy",
            n_requests=tabs(),
            purposes=purpose_views(declared.policy, declared.purposes, found),
            notices=notice_views(declared.policy, history),
            is_built_in=declared.is_built_in,
            counted=found,
            most_counted=MOST_COUNTED,
            words=REASONS,
            newest=history[0],
            did=bool(did) and did == history[0]["action"],
            kept=due.find(declared.hash),
        )

    # -- versions

    def show_versions(
        request: Asking, *, status: int = 200, fault: str = "", text: str | None = None, plan: Any = None
    ) -> Response[str]:
        history = ws.consent.history()
        if plan is not None:
            desk.note(request, (one["id"] for one in plan["cases"]))
        current = ws.consent.text()
        rows = [
            {**one, "changes": changed_purposes(older["text"], one["text"]) if older is not None else []}
            for one, older in zip(history, [*history[1:], None], strict=True)
        ]
        return desk.page(
            request,
            "purpose_versions.html",
            status=status,
            here="privacy",
            n_requests=tabs(),
            fault=fault,
            text=text if text is not None else current,
            plan=plan,
            changes=changed_purposes(current, text) if plan is not None and text is not None else [],
            against=ws.consent.declared().hash,
            words={**REASONS, "permitted": "permitted"},
            most_counted=MOST_COUNTED,
            history=rows[:_HISTORY_ROWS],
            may_edit=desk.session(request).may("editor"),
        )

    def try_purposes(request: Asking, text: str) -> Response[str]:
        try:
            plan = ws.consent.plan(text, n_cases=_N_CASES, most=MOST_COUNTED)
        except InputError as exc:
            return show_versions(request, status=exc.status, fault=exc.message, text=text)
        desk.audit(request, "purposes.plan", plan["hash"])
        return show_versions(request, text=text, plan=plan)

    @get("/console/privacy/versions", opt={"role": "reader"}, sync_to_thread=True)
    def list_versions(request: Asking) -> Response[str]:
        return show_versions(request)

    @post("/console/privacy/versions/plan", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def plan_purposes(request: Asking, data: Form) -> Response[str]:
        return try_purposes(request, data.get("text", "").replace("\r\n", "\n"))

    @post("/console/privacy/versions/again", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def plan_earlier(request: Asking, data: Form) -> Response[str]:
        action = data.get("action") or None
        earlier = next((one for one in ws.consent.history() if one["action"] == action), None)
        if earlier is None:
            return show_versions(request, status=404, fault="These purposes are not in the history.")
        return try_purposes(request, earlier["text"] or write_policy(read_policy("")))

    @post("/console/privacy/versions/apply", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def apply_purposes(request: Asking, data: Form) -> Response[Any]:
        text = data.get("text", "").replace("\r\n", "\n")
        try:
            if data.get("against") != ws.consent.declared().hash:
                raise _PurposesStale
            applied = ws.consent.apply(text, operator=desk.session(request).operator_id, reason=reason_of(data))
        except (InputError, BusyError) as exc:
            return show_versions(request, status=exc.status, fault=exc.message, text=text)
        counted.clear()
        desk.audit(request, "purposes.apply", applied["action"])
        return Redirect(f"/console/privacy?did={applied['action']}", status_code=303)

    # -- one question

    def ask(
        request: Asking, asked: dict[str, str], *, status: int = 200, fault: str = "", answer: Any = None
    ) -> Response[str]:
        declared = ws.consent.declared()
        return desk.page(
            request,
            "question.html",
            status=status,
            here="privacy",
            n_requests=tabs(),
            asked=asked,
            fault=fault,
            answer=answer,
            purposes=declared.purposes,
            recipients=declared.policy.recipients,
            today=rfc3339(ws.now())[:10],
        )

    def answer(request: Asking, data: Form) -> Response[str]:
        asked = _asked(data)
        try:
            at = _day_of(asked["day"], ws.now())
            found = ws.consent.decide(
                asked["who"],
                asked["purpose"],
                at=at,
                recipient=asked["recipient"],
                channel=asked["channel"],
                jurisdiction=asked["jurisdiction"],
                fields=asked["fields"].replace(",", " ").split()[:50],
            )
        except NotFound:
            return ask(request, asked, status=404, fault="Nobody is known by that.")
        except InputError as exc:
            return ask(request, asked, status=exc.status, fault=exc.message)
        desk.note(request, [found["id"]])
        declared = ws.consent.declared()
        told = declared.purposes.get(asked["purpose"])
        notice = declared.policy.notices.get((found["notice"] or "").partition("@")[0])
        words = answer_words(found, told.title if told is not None else "that purpose", found["at"][:10])
        told_answer = {
            **found,
            "sentence": words,
            "article": BASES.get(found["basis"] or "", ("", ""))[1],
            "told_notice": notice,
            "withheld": withheld_words(found["withheld"], REASONS),
        }
        return ask(request, asked, answer=told_answer)

    # Not `sync_to_thread`: Litestar 2.25 wraps a function twice when another one joins it on its path.
    @get("/console/privacy/question", opt={"role": "reader"})
    async def show_question(request: Asking, who: str = "") -> Response[str]:
        # Only ids: `namespace:value` would put a person's address into an address.
        return await asyncio.to_thread(ask, request, _asked({"who": who if ":" not in who else ""}))

    @post("/console/privacy/question", opt={"role": "reader"}, status_code=200)
    async def answer_question(request: Asking, data: Form) -> Response[str]:
        return await asyncio.to_thread(answer, request, data)

    # -- the record of processing

    def record() -> dict[str, Any]:
        operators = ws.operators.list_all()
        keys = [one for one in ws.keys.list_all() if one.lives_at(ws.now())]
        measures = [
            f"Staff sign in; {len(operators)} have an account, each with a role that says what they may see and do.",
            f"Programs have keys; {len(keys)} live, each with its own rights and purposes. Secrets are kept as hashes.",
            "Every read of personal values asks for leave for a declared purpose, and is noted.",
            (
                f"Reads and disclosures stand in a ledger that shows when it was altered; it has {ws.ledger.size():,} "
                "entries, readable only with keys that lie apart from it."
            ),
            "An erasure is searched for in every store, certified, and holds when a back-up is restored.",
            *(["Sign-in is by the house's own provider."] if desk.provider is not None else []),
        ]
        return record_of_processing(
            ws.consent.declared(),
            made_at=rfc3339(ws.now()),
            applied=ws.consent.history()[0],
            sources=sorted({one.source for one in keys if one.may_send}),
            measures=measures,
        )

    @get("/console/privacy/processing", opt={"role": "reader"}, sync_to_thread=True)
    def show_record(request: Asking) -> Response[str]:
        return desk.page(request, "processing.html", here="privacy", n_requests=tabs(), record=record(), bases=BASES)

    @get("/console/privacy/processing.json", opt={"role": "reader"}, sync_to_thread=True)
    def load_record(request: Asking) -> Response[bytes]:
        desk.audit(request, "processing.export")
        told = msgspec.json.format(msgspec.json.encode(record()), indent=2)
        head = {"content-disposition": 'attachment; filename="record-of-processing.json"'}
        return Response(told, media_type=MediaType.JSON, headers=head)

    return [
        show_purposes,
        list_versions,
        plan_purposes,
        plan_earlier,
        apply_purposes,
        show_question,
        answer_question,
        show_record,
        load_record,
    ]


def _asked(data: dict[str, str]) -> dict[str, str]:
    names = ("who", "purpose", "recipient", "channel", "jurisdiction", "day", "fields")
    return {name: data.get(name, "").strip()[:_LONGEST] for name in names}


def _day_of(text: str, now: int) -> int | None:
    """Give the end of a day, but no later than now when it is today; None: now."""
    if not text:
        return None
    at = instant(text)
    if at is None or len(text) != len("2026-11-22"):
        raise _BadDay
    end = at + DAY - 1
    return now if at <= now <= end else end
