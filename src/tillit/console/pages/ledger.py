"""The ledger: who received values of people, and who looked at them.

In:    kind, purpose, recipient, actor and days to filter by; or one person's id.
Out:   entries, newest first, in pages; a proof of one as a file.
Never: a person's value: the ledger holds none, and a search by one is refused.
"""

from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from tillit.clock import DAY, instant, rfc3339
from tillit.consent import OWN_DATA
from tillit.console.desk import BREAKS_GLASS, Asking, Desk
from tillit.errors import InputError, NotFound
from tillit.ledger import KINDS, UNKNOWN, Access, Recorded, verify_inclusion
from tillit.records import BREAK_GLASS
from tillit.workspace import subjects_of

# What nobody declares, in words.
OTHER_PURPOSES = {BREAK_GLASS: "without leave", OWN_DATA: "their own rights"}
_ROWS = 50
_LONGEST = 64


class _BadSearch(InputError):
    """The ledger was searched for something that no entry says."""

    code = "console.bad-ledger-search"

    def __init__(self) -> None:
        super().__init__("An entry names ids, purposes and recipients. Write days as 2026-11-22.")


def ledger_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def found_by(asked: dict[str, str], before: int | None) -> Any:
        if any(":" in value or "@" in value or len(value) > _LONGEST for value in asked.values()):
            raise _BadSearch
        if asked["kind"] and asked["kind"] not in KINDS:
            raise _BadSearch
        if asked["who"]:
            # What each of a person's identifiers would have founded, so that no entry of theirs is missed.
            membership = ws.profiles.membership(asked["who"])
            subjects = subjects_of(membership) if membership is not None else [asked["who"]]
            return ws.ledger.read(subjects, limit=_ROWS, before=before)
        until = _day(asked["until"])
        return ws.ledger.search(
            kind=asked["kind"],
            purpose=asked["purpose"],
            recipient=asked["recipient"],
            actor=asked["actor"],
            since=_day(asked["since"]),
            until=until + DAY if until is not None else None,
            limit=_ROWS,
            before=before,
        )

    @get("/console/privacy/ledger", opt={"role": "reader"}, sync_to_thread=True)
    def search_ledger(
        request: Asking,
        who: FromQuery[str] = "",
        kind: FromQuery[str] = "",
        purpose: FromQuery[str] = "",
        recipient: FromQuery[str] = "",
        actor: FromQuery[str] = "",
        since: FromQuery[str] = "",
        until: FromQuery[str] = "",
        before: FromQuery[int | None] = None,
    ) -> Response[str]:
        asked = {"who": who, "kind": kind, "purpose": purpose, "recipient": recipient, "actor": actor,
                 "since": since, "until": until}  # fmt: skip
        asked = {name: value.strip() for name, value in asked.items()}
        status, fault, rows, older = 200, "", [], ""
        # Why the glass was broken may tell of the person what a page would withhold.
        reads_why = desk.session(request).may(BREAKS_GLASS)
        try:
            found = found_by(asked, before)
        except (InputError, NotFound) as exc:
            status, fault = exc.status, exc.message
            asked = dict.fromkeys(asked, "")
        else:
            rows = [_view(desk, one, reads_why=reads_why) for one in found.entries]
            kept = {name: value for name, value in asked.items() if value}
            more = {**kept, "before": str(found.next)}
            older = f"/console/privacy/ledger?{urlencode(more)}" if found.next is not None else ""
        desk.note(request, (row["subject"] for row in rows), flows=not asked["who"])
        declared = ws.consent.declared()
        standing = ws.ledger.standing()
        return desk.page(
            request,
            "ledger.html",
            status=status,
            here="privacy",
            n_requests=len(ws.requests.list(only_open=True)),
            asked=asked,
            fault=fault,
            rows=rows,
            older=older,
            is_filtered=any(asked.values()) or before is not None,
            kinds=KINDS,
            purposes={name: one.title for name, one in declared.purposes.items()} | OTHER_PURPOSES,
            recipients=declared.policy.recipients,
            actors=[(one.operator_id, one.name or one.login) for one in ws.operators.list_all()]
            + [(one.key_id, f"key of {one.source}") for one in ws.keys.list_all() if not one.may_send],
            n_entries=ws.ledger.size(),
            standing=standing,
            signed_at=rfc3339(standing.made_at) if standing is not None and standing.made_at is not None else "",
            verifier=ws.ledger.verifier_key(),
            may_edit=desk.session(request).may("editor"),
        )

    @get("/console/privacy/ledger/{entry:int}/proof", opt={"role": "editor"}, sync_to_thread=True)
    def load_proof(request: Asking, entry: int) -> Response[str]:
        proof = ws.ledger.prove(entry)
        told = verify_inclusion(proof).entry
        desk.note(request, [told.subject_ref] if told is not None else [])
        desk.audit(request, "entry.prove", str(entry))
        head = {"content-disposition": f'attachment; filename="ledger-{entry}.tlog-proof"'}
        return Response(proof, media_type=MediaType.TEXT, headers=head)

    return [search_ledger, load_proof]


def _day(text: str) -> int | None:
    if not text:
        return None
    at = instant(text)
    if at is None:
        raise _BadSearch
    return at


def _view(desk: Desk, one: Recorded, *, reads_why: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"index": one.entry_index, "at": rfc3339(one.at), "kind": one.kind, "subject": ""}
    entry = one.entry
    if entry is None:
        return {**told, "who": "", "purpose": "", "what": "its person was forgotten: nobody can read it any more"}
    told |= {
        "subject": entry.subject_ref,
        "is_known": entry.subject_ref != UNKNOWN,
        "purpose": OTHER_PURPOSES.get(entry.purpose, entry.purpose),
    }
    if isinstance(entry, Access):
        broken = ", the glass was broken" if entry.break_glass else ""
        why = f": {entry.reason}" if entry.reason and reads_why else ""
        return {**told, "who": desk.colleague(entry.actor_id), "what": f"{entry.route}{broken}{why}"}
    return {**told, "who": entry.recipient, "what": ", ".join((*entry.field_names, *entry.data_categories))}
