"""The suppression list: whom nothing is sent to, why, since when, on whose word; adding and lifting.

In:    from forms an address, a domain or a person, a reason; the number of an entry.
Out:   the list, with people where they still hold what stands there; entries added and lifted.
Never: an address that was looked up backwards: the list holds hashes alone, and a person is asked what they hold.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from tillit.clock import rfc3339
from tillit.console.desk import Asking, Desk, Form
from tillit.console.leaving import SUPPRESSED
from tillit.console.pages.identity import reason_of
from tillit.deliver import Suppressed
from tillit.errors import InputError
from tillit.records import Scope
from tillit.workspace import is_refused, name_of

_ROWS = 50
_BY_HAND = (
    "operator",
    "complaint",
    "hard_bounce",
    "deceased",
)  # what a colleague may say; the rest people say themselves
_SOURCES = {"console": "in the console", "cli": "at the command line", "api": "by a program", "bounce": "by a bounce",
            "complaint": "by a complaint", "one-click": "by the link in a mail", "fold": "from the log"}  # fmt: skip
_TOLD = {
    "added": "On the list. What waits to leave is asked anew.",
    "lifted": "Off the list. The entry stays to be seen under “also what was lifted”.",
}


class _BadSubject(InputError):
    """What is to stand on the list is none of what can."""

    code = "console.bad-suppression"

    def __init__(self) -> None:
        super().__init__(
            "Write an address such as ana@example.org, a domain such as example.org, or the id of a person."
        )


def suppressions_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def show(
        request: Asking,
        *,
        status: int = 200,
        fault: str = "",
        told: str = "",
        reason: str = "",
        with_lifted: bool = False,
        before: int | None = None,
        found: list[Suppressed] | None = None,
    ) -> Response[str]:
        entries = found
        if entries is None:
            entries = ws.deliveries.suppressions.list_newest(
                before=before, limit=_ROWS + 1, lifted=with_lifted, reason=reason
            )
        scope = desk.scope(request)
        rows = [_view(desk, one, scope) for one in entries[:_ROWS]]
        desk.note(request, dict.fromkeys(row["profile_id"] for row in rows if row["profile_id"]), flows=found is None)
        return desk.page(
            request,
            "suppressions.html",
            status=status,
            here="deliveries",
            fault=fault,
            told=told,
            rows=rows,
            more=entries[_ROWS - 1].suppression_id if len(entries) > _ROWS else None,
            reason=reason,
            with_lifted=with_lifted,
            reasons=SUPPRESSED,
            by_hand=_BY_HAND,
            is_search=found is not None,
            is_filtered=bool(reason or before),
            may_edit=desk.session(request).may("editor"),
        )

    # Not `sync_to_thread` beside another of its path: Litestar 2.25 wraps a function twice then.
    @get("/console/suppressions", opt={"role": "reader"}, sync_to_thread=True)
    def list_suppressions(
        request: Asking,
        reason: FromQuery[str] = "",
        lifted: FromQuery[str] = "",
        before: FromQuery[int | None] = None,
        told: FromQuery[str] = "",
    ) -> Response[str]:
        return show(
            request,
            told=_TOLD.get(told, ""),
            reason=reason if reason in SUPPRESSED else "",
            with_lifted=lifted == "yes",
            before=min(before, 1 << 60) if before is not None else None,
        )

    # An address travels in the body.
    @post("/console/suppressions/find", opt={"role": "reader"}, status_code=200, sync_to_thread=True)
    def find_suppressed(request: Asking, data: Form) -> Response[str]:
        try:
            kind, value, _ = subject(data)
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        return show(request, found=ws.deliveries.suppressions.find(kind, value))

    def subject(data: Form) -> tuple[str, str, str]:
        """Read what is meant: its kind, the value, and whose it is now. Raises _BadSubject."""
        text = data.get("who", "").strip()
        if "@" in text and not any(c.isspace() for c in text):
            holder = ws.profiles.membership(f"email:{text}")
            return "address", text, holder.profile_id if holder is not None else ""
        person = ws.profiles.membership(text) if text and ":" not in text else None
        if person is not None:
            return "person", person.profile_id, person.profile_id
        if "." in text and ":" not in text and not any(c.isspace() for c in text):
            return "domain", text, ""
        raise _BadSubject

    @post("/console/suppressions/add", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def add_suppressed(request: Asking, data: Form) -> Response[Any]:
        try:
            kind, value, subject_ref = subject(data)
            words, reason = reason_of(data), data.get("ground", "")
            if reason not in _BY_HAND:
                raise _BadSubject
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        number = ws.deliveries.suppressions.add(
            kind,
            value,
            reason,
            source="console",
            at=ws.now(),
            by=desk.session(request).operator_id,
            words=words,
            subject_ref=subject_ref,
        )
        desk.audit(request, "suppression.add", str(number), reason=reason)
        return Redirect("/console/suppressions?told=added", status_code=303)

    @post("/console/suppressions/{number:int}/lift", opt={"role": "editor"}, status_code=200, sync_to_thread=True)
    def lift_suppressed(request: Asking, number: FromPath[int], data: Form) -> Response[Any]:
        try:
            lifted = ws.deliveries.suppressions.lift(
                min(number, 1 << 60), at=ws.now(), by=desk.session(request).operator_id, words=reason_of(data)
            )
        except InputError as exc:
            return show(request, status=exc.status, fault=exc.message)
        desk.audit(request, "suppression.lift", str(lifted.suppression_id), reason=lifted.reason)
        return Redirect("/console/suppressions?told=lifted", status_code=303)

    return [list_suppressions, find_suppressed, add_suppressed, lift_suppressed]


def _view(desk: Desk, one: Suppressed, scope: Scope) -> dict[str, Any]:
    ws = desk.workspace
    document = ws.profiles.find(one.subject_ref, scope) if one.subject_ref else None
    is_shown = document is not None and not is_refused(document)
    value, name = "", ""
    if document is not None and is_shown:
        name = name_of(document)
        if one.subject_kind == "address":
            value = next(
                (
                    told["value"]
                    for told in document["identifiers"]
                    if told["namespace"] == "email"
                    and ws.deliveries.suppressions.hash_of("address", told["value"]) == one.subject_hash
                ),
                "",
            )
    is_held = one.subject_kind == "person" or bool(value)
    return {
        "number": one.suppression_id,
        "kind": one.subject_kind,
        "profile_id": document["id"] if document is not None else "",
        "is_closed": document is not None and not is_shown,
        "is_held": is_held and is_shown,
        "name": name,
        "value": value,
        "reason": SUPPRESSED.get(one.reason, one.reason),
        "purpose": one.purpose,
        "source": _SOURCES.get(one.source, one.source),
        "at": rfc3339(one.at),
        "by": desk.colleague(one.by_whom) if one.by_whom else "",
        # What a colleague wrote may tell of the person what the page withholds.
        "words": one.words if is_shown or document is None else "",
        "lifted_at": rfc3339(one.lifted_at) if one.lifted_at is not None else "",
        "lifted_by": desk.colleague(one.lifted_by) if one.lifted_by else "",
        "lifted_words": one.lifted_words if is_shown or document is None else "",
    }
