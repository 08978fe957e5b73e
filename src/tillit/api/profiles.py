"""Routes about one person, and the search for people.

In:    an identifier or a profile id, in the address or, so that no personal value stands in a URL, in the body.
Out:   profile documents and timelines, the same as from Python and the command line.
Never: a different answer for a person who is unknown, an identifier that cannot be, and an id of nobody.
"""

from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import (
    CountDocument,
    Lookup,
    LookupEvents,
    PathWho,
    ProfileDocument,
    ProfilesDocument,
    QueryAsOf,
    QueryBefore,
    QueryChannel,
    QueryJurisdiction,
    QueryLimit,
    QueryPurpose,
    QueryText,
    Search,
    TimelineDocument,
)
from tillit.api.refusals import BadRequest
from tillit.clock import instant
from tillit.workspace import unknown_profile

Asking = Request[Any, Any, Any]
_MOST_FOUND = 100  # a search answers with whole documents


def profile_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    profiles = desk.ws.profiles

    def document(request: Asking, who: str, purpose: str | None) -> ProfileDocument:
        scope = desk.scope(request, purpose)
        found = profiles.find(who, scope)
        if found is None:
            raise unknown_profile()
        desk.note(request, scope, [found["id"]])
        return cast(ProfileDocument, found)

    async def timeline(
        request: Asking, who: str, purpose: str | None, limit: int | None, before: str | None
    ) -> TimelineDocument:
        scope = desk.scope(request, purpose)
        rows = desk.limit(limit)
        # A trimmed log leaves old events to the lake, which takes many milliseconds to ask.
        if desk.ws.log.first_position() > 1:
            found = await desk.slowly(lambda: profiles.timeline(who, scope, limit=rows, before=before))
        else:
            found = profiles.timeline(who, scope, limit=rows, before=before)
        if found is None:
            raise unknown_profile()
        desk.note(request, scope, [found.profile_id])
        return cast(TimelineDocument, {"events": found.events, "next": found.next})

    def search(request: Asking, text: str, purpose: str | None, limit: int | None) -> ProfilesDocument:
        scope = desk.scope(request, purpose)
        rows = min(desk.limit(limit if limit is not None else 20), _MOST_FOUND)
        found = profiles.search(text, purpose=scope.purpose, limit=rows, asked_by=scope.asked_by)
        desk.note(request, scope, (one["id"] for one in found))
        return cast(ProfilesDocument, {"profiles": found})

    async def past(request: Asking, who: str, purpose: str | None, as_of: str) -> ProfileDocument:
        at = instant_of(as_of, "as_of")
        scope = desk.scope(request, purpose)
        found = await desk.slowly(lambda: profiles.as_of(who, at, scope))
        if found is None:
            raise unknown_profile()
        desk.note(request, scope, [found["id"]])
        return cast(ProfileDocument, found)

    @get("/api/profiles/{who:str}", opt={"scope": "profiles:read"}, tags=["profiles"])
    async def read_profile(
        request: Asking, who: PathWho, purpose: QueryPurpose = None, as_of: QueryAsOf = None
    ) -> ProfileDocument:
        """Give the profile of whoever holds an identifier, or whose id (old or new) it is."""
        return document(request, who, purpose) if as_of is None else await past(request, who, purpose, as_of)

    @get("/api/profiles/{who:str}/events", opt={"scope": "profiles:read"}, tags=["profiles"])
    async def read_profile_events(
        request: Asking,
        who: PathWho,
        purpose: QueryPurpose = None,
        limit: QueryLimit = None,
        before: QueryBefore = None,
    ) -> TimelineDocument:
        """Give one person's events, newest first."""
        return await timeline(request, who, purpose, limit, before)

    @post("/api/profiles/lookup", opt={"scope": "profiles:read"}, status_code=200, tags=["profiles"])
    async def look_up_profile(request: Asking, data: JSONBody[Lookup]) -> ProfileDocument:
        """Give a profile as `GET /api/profiles/{who}` does, with the identifier in the body."""
        return document(request, who_of(data), data.purpose)

    @post("/api/profiles/lookup/events", opt={"scope": "profiles:read"}, status_code=200, tags=["profiles"])
    async def look_up_profile_events(request: Asking, data: JSONBody[LookupEvents]) -> TimelineDocument:
        """Give one person's events, newest first, with the identifier in the body."""
        return await timeline(request, who_of(data), data.purpose, data.limit, data.before)

    @get("/api/profiles/count", opt={"scope": "profiles:read"}, tags=["profiles"])
    async def count_profiles(
        request: Asking, purpose: QueryPurpose = None, channel: QueryChannel = "", jurisdiction: QueryJurisdiction = ""
    ) -> CountDocument:
        """Count everybody, and those of them whom the purpose may use now."""
        scope = desk.scope(request, purpose, channel=channel, jurisdiction=jurisdiction)
        found = await desk.slowly(lambda: desk.ws.permissions.count(scope, timeout_s=0))
        return {
            "purpose": scope.purpose,
            "people": found.people,
            "permitted": found.permitted,
            "withheld": found.withheld,
        }

    @get("/api/profiles", opt={"scope": "profiles:read"}, tags=["profiles"])
    async def search_profiles(
        request: Asking, q: QueryText, purpose: QueryPurpose = None, limit: QueryLimit = None
    ) -> ProfilesDocument:
        """Find people by the beginning of an identifier or of their names' words; at most 100, best first."""
        return search(request, q, purpose, limit)

    @post("/api/profiles/search", opt={"scope": "profiles:read"}, status_code=200, tags=["profiles"])
    async def search_profiles_by_body(request: Asking, data: JSONBody[Search]) -> ProfilesDocument:
        """Find people as `GET /api/profiles` does, with the text in the body."""
        return search(request, data.q, data.purpose, data.limit)

    return [
        read_profile,
        read_profile_events,
        look_up_profile,
        look_up_profile_events,
        count_profiles,
        search_profiles,
        search_profiles_by_body,
    ]


def who_of(data: JSONBody[Lookup]) -> str:
    """Say who is meant by a body. Raises BadRequest."""
    is_whole = data.identifier is not None and data.namespace is None and data.value is None
    is_parts = data.identifier is None and data.namespace is not None and data.value is not None
    if is_whole:
        return str(data.identifier)
    if is_parts:
        return f"{data.namespace}:{data.value}"
    raise BadRequest("Send either `identifier`, or `namespace` and `value`.")


def instant_of(text: str, field: str) -> int:
    """Read an instant that was sent; UTC epoch microseconds. Raises BadRequest."""
    at = instant(text)
    if at is None:
        raise BadRequest(f"`{field}` is an instant such as 2026-11-22T10:00:00Z.")
    return at
