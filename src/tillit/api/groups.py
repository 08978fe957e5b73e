"""The route about one group: what it is, and who belongs to it.

In:    a group as `kind:id`.
Out:   its traits and its members page by page, the same as from Python and the command line.
Never: a member's own values: they are read with their profile.
"""

from typing import Any, cast

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler

from tillit.api.desk import Desk
from tillit.api.documents import GroupDocument, PathGroup, QueryAfterMember, QueryLimit, QueryPurpose

Asking = Request[Any, Any, Any]


def group_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""

    @get("/api/groups/{group:str}", opt={"scope": "profiles:read"}, tags=["profiles"])
    async def read_group(
        request: Asking,
        group: PathGroup,
        purpose: QueryPurpose = None,
        limit: QueryLimit = None,
        after: QueryAfterMember = None,
    ) -> GroupDocument:
        """Give a group's traits and a page of its members, in the order in which the log first met them."""
        scope = desk.scope(request, purpose)
        rows = desk.limit(limit)
        found = await desk.slowly(lambda: desk.ws.groups.get(group, scope, limit=rows, after=after))
        desk.note(request, scope, (one["profile_id"] for one in found["members"]))
        return cast(GroupDocument, found)

    return [read_group]
