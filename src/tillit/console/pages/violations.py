"""Links that wait for somebody's word, and those that were refused: two people side by side, and a colleague's word.

In:    links that were not admitted; from forms two identifiers, a reason.
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
SHOWN = ("soft", "refused", "all")
PINNED = "pinned_apart"
# By what a link would break.
REASONS = {
    "two_logins": (
        "Two user ids",
        "An event named what another user id already has. Two logins are two people, until somebody says otherwise.",
    ),
    "two_birth_dates": (
        "Two birth dates",
        "Both said when they were born, and not the same. They may share a house, or one of the dates is mistyped.",
    ),
    "weak_identifier": (
        "A weak identifier",
        "All that ties them is something that many share, which by your rules joins no two people.",
    ),
    "mixed_alphabets": (
        "Mixed alphabets",
        "One word of it has letters of several alphabets: it looks like another and is not. It may be a trick.",
    ),
    "profile_merge_limit_exceeded": (
        "Sudden growth",
        "So many identifiers came together within so short a time that one person has hardly done that.",
    ),
    "known_people_claimed": (
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
    """One link that was not admitted, and how it stands now."""

    number: int
    step: Step
    one: str  # as forms send it
    other: str
    compared: Compared | None  # None: they are one person since, or somebody was forgotten
    profile_id: str  # of the first
    is_together: bool
    is_pinned: bool
    is_soft: bool


class Group(NamedTuple):
    """Links with one reason."""

    title: str
    meaning: str
    rows: list[Violation]


def violations_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(
        request: Asking,
        *,
        only: str = "",
        before: str = "",
        did: str = "",
        at: int = 0,
        status: int = 200,
        fault: str = "",
    ) -> Response[Any]:
        only = only if only in SHOWN else SHOWN[0]
        scope = desk.scope(request)
        found, more = ws.identity.violations(
            scope, limit=_MOST_ROWS, before=before or None, only=only if only != "all" else ""
        )
        documents: dict[str, dict[str, Any] | None] = {}
        pinned: dict[str, list[set[str]]] = {}  # by person

        def document(who: str) -> dict[str, Any] | None:
            if who not in documents:
                documents[who] = ws.profiles.find(who, scope)
            return documents[who]

        def is_pinned(told: dict[str, Any], one: dict[str, Any] | None) -> bool:
            is_judged: bool = told["violation"] == PINNED
            if is_judged or one is None:
                return is_judged
            if one["id"] not in pinned:
                decisions = ws.identity.decisions(one["id"], scope) or []
                pinned[one["id"]] = [{d["a"], d["b"]} for d in decisions if d["kind"] == PIN and d["stands"]]
            return {told["a"], told["b"]} in pinned[one["id"]]

        groups: dict[str, Group] = {}
        number = 0
        for told in found:
            title, meaning = REASONS.get(told["violation"], (told["reason"].capitalize(), _LIMIT))
            group = groups.setdefault(title, Group(title, meaning, []))
            one, other = document(told["a"]), document(told["b"])
            group.rows.append(_violation(told, one, other, is_pinned=is_pinned(told, one)))
        ordered = [
            group._replace(rows=[row._replace(number=(number := number + 1)) for row in group.rows])
            for group in groups.values()
        ]
        desk.note(request, (one["id"] for one in documents.values() if one is not None))
        return desk.page(
            request,
            "violations.html",
            status=status,
            here="identity",
            groups=ordered,
            n_open=sum(not (row.is_together or row.is_pinned) for group in ordered for row in group.rows),
            only=only,
            n_waiting=ws.identity.n_violations(),
            before=before,
            more=more,
            fault=fault,
            outcome=outcome_of(ws, scope, did),
            at=min(at, number),
            may_edit=desk.session(request).may("editor"),
        )

    def decide(request: Asking, kind: str, data: Form) -> Response[Any]:
        operator = desk.session(request).operator_id
        before, only = data.get("before", "")[:40], data.get("only", "")
        act = ws.identity.pin if kind == PIN else ws.identity.join
        scope = desk.scope(request)
        try:
            told = act(
                data.get("one", ""), data.get("other", ""), reason=reason_of(data), operator=operator, scope=scope
            )
        except InputError as exc:
            return show(request, only=only, status=exc.status, fault=exc.message)
        except BusyError as exc:
            note_pending(desk, request, kind, "", exc)
            return show(request, only=only, status=exc.status, fault=exc.message)
        target = told["profiles"][0] if told["profiles"] else ""
        desk.audit(request, f"identity.{kind}", target=target, event_id=told["action"])
        number = data.get("number", "")
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        shown = f"&only={only}" if only in SHOWN else ""
        return Redirect(f"/console/identity?did={told['action']}&at={at}{shown}{_and_before(before)}", status_code=303)

    @get("/console/identity", opt={"role": "reader"}, sync_to_thread=True)
    def show_violations(request: Asking, only: str = "", before: str = "", did: str = "", at: int = 0) -> Response[Any]:
        return show(request, only=only, before=before, did=did, at=at)

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
        told["verdict"] == "soft",
    )


def _and_before(before: str) -> str:
    """Keep the place on the list, if it is one of ours."""
    is_place = before.startswith("e") and before.isascii() and before[1:].replace("-", "").isdigit()
    return f"&before={before}" if is_place else ""
