"""Routes about audiences: which customers, since when, why, and every change of it.

In:    an audience's name; a person, in the address or, so that no personal value stands in a URL, in the body; a
       definition to try.
Out:   sizes, ids of members, reasons; changes page by page and as they come.
Never: a member for whom the audience's purpose has no permission: how many is told; an audience whose purpose the key
       was not made for; a definition put in force: `tillit apply` does that, with a plan before.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.response import Stream

from tillit.api.audience_documents import (
    AudienceDocument,
    AudienceMembersDocument,
    AudiencesDocument,
    ChangesDocument,
    LookupWhy,
    NewPreview,
    PathAudience,
    PreviewDocument,
    QueryAfterChange,
    QueryAfterPerson,
    QueryThen,
    WholeAudienceDocument,
    WhyAudienceDocument,
)
from tillit.api.desk import Desk
from tillit.api.documents import PathWho, QueryLimit
from tillit.api.events import last_event_id
from tillit.api.gate import asked, key_of
from tillit.api.profiles import who_of
from tillit.api.streams import frame
from tillit.records import Scope
from tillit.workspace import people_in

Asking = Request[Any, Any, Any]
_READS: dict[str, Any] = {"scope": "audiences:read"}
_PATH = "/api/audiences/{name:str}"
_TAGS = ["audiences"]
_AT_ONCE = 200  # changes of one look of a stream


def audience_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    async def leave(request: Asking, name: str) -> Scope:
        defined = await desk.slowly(lambda: ws.audiences.get(name))
        return desk.scope(request, defined.audience.purpose)

    async def reason(request: Asking, name: str, who: str) -> WhyAudienceDocument:
        scope = await leave(request, name)
        found = await desk.slowly(lambda: ws.audiences.why_of(name, who, scope))
        desk.note(request, scope, people_in(found))
        return cast(WhyAudienceDocument, found)

    def purposes_of(request: Asking) -> Callable[[str], Scope | None]:
        key = key_of(request)
        known = ws.consent.declared().purposes
        return lambda name: desk.scope(request, name) if name in key.purposes and name in known else None

    @get("/api/audiences", opt=_READS, tags=_TAGS)
    async def list_audiences() -> AudiencesDocument:
        """List audiences: how many are in each, what changed since yesterday, how it stands."""
        return {"audiences": cast(list[AudienceDocument], await desk.slowly(ws.audiences.overview))}

    @get(_PATH, opt=_READS, tags=_TAGS)
    async def read_audience(request: Asking, name: PathAudience) -> WholeAudienceDocument:
        """Give an audience with its definition, its size in 90 days, and its versions."""
        await leave(request, name)
        return cast(WholeAudienceDocument, await desk.slowly(lambda: ws.audiences.whole(name)))

    @get(f"{_PATH}/members", opt=_READS, tags=_TAGS)
    async def list_audience_members(
        request: Asking,
        name: PathAudience,
        limit: QueryLimit = None,
        after: QueryAfterPerson = None,
        as_of: QueryThen = None,
    ) -> AudienceMembersDocument:
        """Give the members whom the audience's purpose may use, in the order in which they came to us."""
        scope = await leave(request, name)
        rows, start = desk.limit(limit), -1 if after is None else after
        found = await desk.slowly(lambda: ws.audiences.list_members(name, scope, after=start, limit=rows, as_of=as_of))
        desk.note(request, scope, (one["profile_id"] for one in found["members"]))
        return cast(AudienceMembersDocument, found)

    @get(f"{_PATH}/why/{{who:str}}", opt=_READS, tags=_TAGS)
    async def why_audience(request: Asking, name: PathAudience, who: PathWho) -> WhyAudienceDocument:
        """Say why somebody is in an audience or not, and what would change it."""
        return await reason(request, name, who)

    @post(f"{_PATH}/why", opt=_READS, status_code=200, tags=_TAGS)
    async def look_up_why_audience(
        request: Asking, name: PathAudience, data: JSONBody[LookupWhy]
    ) -> WhyAudienceDocument:
        """Say why as `GET /api/audiences/{name}/why/{who}` does, with the identifier in the body."""
        return await reason(request, name, who_of(data))

    @get(f"{_PATH}/changes", opt=_READS, tags=_TAGS)
    async def list_audience_changes(
        request: Asking, name: PathAudience, limit: QueryLimit = None, after: QueryAfterChange = None
    ) -> ChangesDocument:
        """Give who came into an audience and who went, in the order in which it was published.

        Each change is held to the purpose for which it was decided: of versions for another purpose than the key's
        nothing is told.
        """
        # Of an audience that is retired the last changes are still to be read.
        newest = await desk.slowly(lambda: ws.audiences.purpose_of(name))
        desk.scope(request, newest)
        rows, purposes = desk.limit(limit), purposes_of(request)
        found = await desk.slowly(lambda: ws.audiences.shown_changes(purposes, after=after or 0, name=name, limit=rows))
        for purpose, people in found.people.items():
            desk.note(request, desk.scope(request, purpose), people)
        return cast(
            ChangesDocument,
            {
                "changes": found.changes,
                "withheld": dict(sorted(found.withheld.items())),
                "next": found.through,
                "is_last": found.is_last,
            },
        )

    @get("/api/audiences/changes/stream", opt=_READS, media_type="text/event-stream", tags=_TAGS)
    async def stream_audience_changes(request: Asking, after: QueryAfterChange = None) -> Stream:
        """Give changes of every audience that the key's purposes reach, as they come, as server-sent events.

        `Last-Event-ID` or `after` says where to go on; each event's `id` is its `change_id`. Without either it begins
        with what comes next.
        """
        desk.streams.check(key_of(request).key_id)
        start = last_event_id(request)
        if start is None:
            start = after if after is not None else ws.memberships.last_change_id()

        def look(position: int) -> tuple[bytes, int]:
            found = ws.audiences.shown_changes(purposes_of(request), after=position, limit=_AT_ONCE)
            for purpose, people in found.people.items():
                desk.note_flow(request, desk.scope(request, purpose), people)
            return b"".join(frame(one["change_id"], one) for one in found.changes), found.through

        frames = desk.streams.flow(
            asked(request),
            desk.streams.changes,
            lambda position: desk.slowly(lambda: look(position)),
            after=start,
            of="change",
        )
        return Stream(frames, media_type="text/event-stream")

    @post("/api/audiences/preview", opt=_READS, status_code=200, tags=_TAGS)
    async def preview_audience(request: Asking, data: JSONBody[NewPreview]) -> PreviewDocument:
        """Say who would be in an audience now, how that changed in 90 days, and whom it shares with others."""
        scope = desk.scope(request, data.purpose)
        found = await desk.slowly(
            lambda: ws.audiences.preview(
                cast(Any, data.definition),
                scope.purpose,
                scope,
                sample=data.sample,
                after=data.after,
                holdout=data.holdout,
                name=data.name,
                as_of=data.as_of,
            )
        )
        desk.note(request, scope, found["sample"])
        return cast(PreviewDocument, {"purpose": scope.purpose, **found})

    return [
        list_audiences,
        read_audience,
        list_audience_members,
        why_audience,
        look_up_why_audience,
        list_audience_changes,
        stream_audience_changes,
        preview_audience,
    ]
