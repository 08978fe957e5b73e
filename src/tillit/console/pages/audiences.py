"""Audiences: which there are and how each is, who is in one and why, what came and went, its versions.

In:    an audience's name, a profile id; from a link, from where on members are shown.
Out:   pages and parts of them.
Never: somebody whom the audience's purpose may not use, or while the desk acts for another: numbers alone are shown.
"""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from tillit.audience import AUDIENCE, Change
from tillit.clock import rfc3339
from tillit.console.belonging import (
    ENTERED,
    audience_view,
    audience_views,
    change_words,
    overlap_rows,
    reason_rows,
    reason_words,
    retired_names,
    users_of,
    version_rows,
)
from tillit.console.desk import PART, Asking, Desk
from tillit.errors import BusyError, InputError, RefusedError
from tillit.identity import profile_id
from tillit.language.sentences import lines
from tillit.records import Scope
from tillit.workspace import call_people, end_of_day, find_names, people_in

_MEMBERS = 50
_CHANGES = 20
_VERSIONS = 30
_THEN = 50  # people who are named of a day that has passed
_MOST_COUNTED = 5_000  # members whose leave is asked for before a page is shown: about a second
_THEN_FAULTS = {
    "audience.as-of-future": "That day has not come yet: choose today or one before.",
    "audience.as-of-unreadable": "That is no day: choose one from the calendar, or write it as 2026-11-01.",
}
_TOLD = {
    "applied": "In force. Its history is read at once; until that is done, numbers may still rise.",
    "unchanged": "This is in force already: nothing changed.",
}


def audiences_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/audiences", opt={"role": "reader"}, sync_to_thread=True)
    def list_audiences(request: Asking, told: FromQuery[str] = "") -> Response[str]:
        return desk.page(
            request,
            "audiences.html",
            here="audiences",
            told=_TOLD.get(told, ""),
            audiences=audience_views(ws),
            retired=retired_names(ws, AUDIENCE),
            purposes=titles_of(desk),
            may_edit=desk.session(request).may("editor"),
        )

    def names_of(ids: list[str], scope: Scope) -> dict[str, str]:
        return find_names(ws.profiles.find, ids, scope)

    def was_in_it(request: Asking, name: str, day: str, *, is_ours: bool) -> dict[str, Any]:
        """Say who was in an audience at the end of a day. Raises AsOfUnreadable, AsOfFuture; LakeBusy."""
        scope = ws.audiences.scope_of(name, asked_by=desk.session(request).asked_by)
        at = end_of_day(day, ws.now())
        found = ws.audiences.count_then(name, scope, at, sample=_THEN if is_ours else 0)
        people = list(names_of(found["sample"], scope).items())
        desk.note(request, [one for one, _ in people])
        return {**found, "people": people}

    @get("/console/audiences/{name:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_audience(
        request: Asking,
        name: FromPath[str],
        after: FromQuery[int] = -1,
        told: FromQuery[str] = "",
        counted: FromQuery[str] = "",
        overlap: FromQuery[str] = "",
        on: FromQuery[str] = "",
        held: FromQuery[str] = "",
    ) -> Response[Any]:
        view = audience_view(ws, name)
        told_all = ws.audiences.definitions()
        defined = told_all.audiences.get(name)
        history = ws.audiences.history(AUDIENCE, name)
        purpose = view.purpose
        is_ours = bool(purpose) and desk.acting(request).name == purpose
        overlaps = None
        if overlap and defined is not None and may_act(desk, request, purpose):
            names = {one: told.audience.title or one for one, told in told_all.audiences.items()}
            overlaps = overlap_rows(ws.audiences.beside(name), names)
        if overlap and PART in request.headers:
            return desk.page(request, "parts/overlap.html", overlaps=overlaps or [], title=view.title)
        held_out = None
        if held and defined is not None and may_act(desk, request, purpose):
            held_out = ws.audiences.count_held_out(defined)
        changes = ws.memberships.newest(name, limit=_CHANGES)
        shown: list[Any] = []
        following, names_shown, withheld, n_permitted = None, {}, None, None
        if is_ours and defined is not None:
            scope = desk.scope(request)
            page = ws.audiences.members(name, scope, after=min(max(after, -1), 1 << 61), limit=_MEMBERS)
            following = page.after
            ids = [profile_id(one.root_id) for one in page.members]
            gone = [profile_id(one.root_id) for one in changes if one.root_id]
            names_shown = names_of([*ids, *gone], scope)
            shown = [
                {
                    "profile_id": one,
                    "name": names_shown[one],
                    "since": rfc3339(member.since_at),
                    "cause": ENTERED.get(member.cause, member.cause),
                }
                for one, member in zip(ids, page.members, strict=True)
                if one in names_shown
            ]
            desk.note(request, names_shown)
        if defined is not None and (view.n <= _MOST_COUNTED or counted) and may_act(desk, request, purpose):
            scope = ws.scope(purpose, asked_by=desk.session(request).asked_by)
            count = ws.audiences.count(name, scope)
            withheld, n_permitted = reason_words(count["withheld"]), count["permitted"]
        then, then_fault = None, ""
        if on and defined is not None and may_act(desk, request, purpose):
            try:
                then = was_in_it(request, name, on[:40], is_ours=is_ours)
            except (InputError, BusyError) as exc:
                then_fault = _THEN_FAULTS.get(exc.code, exc.message)
        return desk.page(
            request,
            "audience.html",
            status=400 if then_fault else 200,
            here="audiences",
            then=then,
            then_fault=then_fault,
            on=on[:40],
            today=rfc3339(ws.now())[:10],
            one=view,
            told=_TOLD.get(told, ""),
            text=history[0].text,
            lines=lines(defined.said) if defined is not None else [],
            members=shown,
            following=following,
            is_first=after < 0,
            is_ours=is_ours,
            offers=offers_for(desk, request, purpose),
            purposes=titles_of(desk),
            withheld=withheld,
            n_permitted=n_permitted,
            may_count=may_act(desk, request, purpose),
            changes=[_change(one, names_shown) for one in changes],
            versions=version_rows(history[: _VERSIONS + 1])[:_VERSIONS],
            users=users_of(ws, AUDIENCE, name),
            overlaps=overlaps,
            held_out=held_out,
            has_holdout=defined is not None and defined.audience.holdout is not None,
            has_others=len(told_all.audiences) > 1,
            may_edit=desk.session(request).may("editor"),
        )

    @get("/console/audiences/{name:str}/why/{profile_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_why(request: Asking, name: FromPath[str], profile_id: FromPath[str]) -> Response[Any]:
        defined = ws.audiences.get(name)
        audience = defined.audience
        # Only ids: `namespace:value` would put a person's address into an address.
        membership = ws.profiles.membership(profile_id) if ":" not in profile_id else None
        if membership is None:
            return desk.page(request, "unknown_customer.html", status=404, here="audiences")
        shown: dict[str, Any] = {
            "here": "audiences",
            "slug": name,
            "title": audience.title or name,
            "profile_id": membership.profile_id,
            "purpose": titles_of(desk).get(audience.purpose, audience.purpose),
            "offers": offers_for(desk, request, audience.purpose),
        }
        if desk.acting(request).name != audience.purpose:
            return desk.page(request, "audience_why.html", why=None, closed="", person="", **shown)
        scope = desk.scope(request)
        try:
            why = ws.audiences.why(name, membership, scope)
        except RefusedError as exc:
            return desk.page(
                request, "audience_why.html", status=exc.status, why=None, closed=exc.message, person="", **shown
            )
        everybody = people_in(why)
        desk.note(request, everybody)
        names = names_of(everybody, scope)
        person = names.get(membership.profile_id, "")
        why = {
            **why,
            "cause": ENTERED.get(why["cause"], why["cause"]) if why["cause"] else "",
            "flip": (why["flip"] or "").rstrip("."),
            "leaves": reason_rows(call_people(why["leaves"], names)),
        }
        return desk.page(request, "audience_why.html", why=why, closed="", person=person, **shown)

    return [list_audiences, show_audience, show_why]


def _change(change: Change, names: dict[str, str]) -> dict[str, Any]:
    what, why = change_words(change)
    who = profile_id(change.root_id) if change.root_id else ""
    return {
        "what": what,
        "why": why,
        "at": rfc3339(change.at),
        "profile_id": who if who in names else "",
        "name": names.get(who, ""),
        "is_forgotten": not change.root_id,
    }


def titles_of(desk: Desk) -> dict[str, str]:
    """Say what purposes are called."""
    return {name: one.title for name, one in desk.workspace.consent.declared().purposes.items()}


def may_act(desk: Desk, request: Asking, purpose: str) -> bool:
    """Say whether somebody's role may act for a purpose: then they may know how many people it reaches."""
    return purpose in desk.acting(request).purposes


def offers_for(desk: Desk, request: Asking, purpose: str) -> list[tuple[str, str]]:
    """Give the purpose to act for so that people are shown, when the role may and does not already."""
    acting = desk.acting(request)
    if purpose == acting.name or purpose not in acting.purposes:
        return []
    return [(purpose, acting.purposes[purpose].title)]
