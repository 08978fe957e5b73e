"""Links that were refused: two people side by side, and a colleague's word on whether they are one.

In:    the refused links; from forms two identifiers, a reason.
Out:   a page of them by reason, newest first; events in the log.
Never: an identifier in an address.
"""

from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tillit.console.desk import Asking, Desk, Form
from tillit.console.pages.identity import note_pending, outcome_of, reason_of
from tillit.console.ties import Compared, Step, compare, step_of
from tillit.errors import BusyError, InputError
from tillit.identity import PIN

_MOST_ROWS = 15  # two people are read for each
PINNED = "pinned apart by a colleague"
REASONS = {
    "two user ids": (
        "Two user ids",
        "An event named what another user id already has. Two logins are two people, until somebody says otherwise.",
    ),
    "two known people, claimed by a public key": (
        "Claimed by a public key",
        "A web page or an app said that two people are one whom a server knows apart. Anybody can send that.",
    ),
    PINNED: (
        "Pinned apart",
        "A colleague decided that these are two people, and the evidence for one keeps coming.",
    ),
}
# Other reasons name a limit: more than so many identifiers of one kind.
_LIMIT = "Whoever has so many is most often several people, or a value that many share."


class Violation(NamedTuple):
    """One refused link, and how it stands now."""

    number: int
    step: Step
    one: str  # as forms send it
    other: str
    compared: Compared | None  # None: they are one person since, or somebody was forgotten
    profile_id: str  # of the first
    is_together: bool
    is_pinned: bool


class Group(NamedTuple):
    """Refused links with one reason."""

    title: str
    meaning: str
    rows: list[Violation]


def violations_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(
        request: Asking, *, before: str = "", did: str = "", at: int = 0, status: int = 200, fault: str = ""
    ) -> Response[Any]:
        permit = desk.permit(request)
        found, more = ws.identity.violations(permit, limit=_MOST_ROWS, before=before or None)
        documents: dict[str, dict[str, Any] | None] = {}
        pinned: dict[str, list[set[str]]] = {}  # by person

        def document(who: str) -> dict[str, Any] | None:
            if who not in documents:
                documents[who] = ws.profiles.find(who, permit)
            return documents[who]

        def is_pinned(told: dict[str, Any], one: dict[str, Any] | None) -> bool:
            is_judged: bool = told["reason"] == PINNED
            if is_judged or one is None:
                return is_judged
            if one["id"] not in pinned:
                decisions = ws.identity.decisions(one["id"], permit) or []
                pinned[one["id"]] = [{d["a"], d["b"]} for d in decisions if d["kind"] == PIN and d["stands"]]
            return {told["a"], told["b"]} in pinned[one["id"]]

        groups: dict[str, Group] = {}
        number = 0
        for told in found:
            title, meaning = REASONS.get(told["reason"], (told["reason"].capitalize(), _LIMIT))
            group = groups.setdefault(told["reason"], Group(title, meaning, []))
            one, other = document(told["a"]), document(told["b"])
            group.rows.append(_violation(told, one, other, is_pinned=is_pinned(told, one)))
        ordered = [
            group._replace(rows=[row._replace(number=(number := number + 1)) for row in group.rows])
            for group in groups.values()
        ]
        desk.note(request, len({one["id"] for one in documents.values() if one is not None}))
        return desk.page(
            request,
            "violations.html",
            status=status,
            here="identity",
            groups=ordered,
            n_open=sum(not (row.is_together or row.is_pinned) for group in ordered for row in group.rows),
            before=before,
            more=more,
            fault=fault,
            outcome=outcome_of(ws, permit, did),
            at=at,
            may_edit=desk.session(request).may("editor"),
        )

    def decide(request: Asking, kind: str, data: Form) -> Response[Any]:
        operator = desk.session(request).operator_id
        before = data.get("before", "")[:40]
        act = ws.identity.pin if kind == PIN else ws.identity.join
        try:
            told = act(data.get("one", ""), data.get("other", ""), reason=reason_of(data), operator=operator)
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        except BusyError as exc:
            note_pending(desk, request, kind, "", exc)
            return show(request, status=exc.status, fault=exc.message)
        target = told["profiles"][0] if told["profiles"] else ""
        desk.audit(request, f"identity.{kind}", target=target, event_id=told["action"])
        number = data.get("number", "")
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        return Redirect(f"/console/identity?did={told['action']}&at={at}{_and_before(before)}", status_code=303)

    @get("/console/identity", opt={"role": "reader"}, sync_to_thread=True)
    def show_violations(request: Asking, before: str = "", did: str = "", at: int = 0) -> Response[Any]:
        return show(request, before=before, did=did, at=at)

    @post("/console/identity/join", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def join_two(request: Asking, data: Form) -> Response[Any]:
        return decide(request, "join", data)

    @post("/console/identity/pin", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def pin_two(request: Asking, data: Form) -> Response[Any]:
        return decide(request, "pin", data)

    return [show_violations, join_two, pin_two]


def _violation(
    told: dict[str, Any], one: dict[str, Any] | None, other: dict[str, Any] | None, *, is_pinned: bool
) -> Violation:
    is_together = one is not None and other is not None and one["id"] == other["id"]
    return Violation(
        0,
        step_of(told),
        told["a"],
        told["b"],
        compare(one, other) if one is not None and other is not None and not is_together else None,
        one["id"] if one is not None else "",
        is_together,
        is_pinned,
    )


def _and_before(before: str) -> str:
    """Keep the place on the list, if it is one of ours."""
    is_place = before.startswith("e") and before.isascii() and before[1:].replace("-", "").isdigit()
    return f"&before={before}" if is_place else ""
