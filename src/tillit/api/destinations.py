"""Routes about destinations: how each is, what did not arrive, holding it and trying again.

In:    a destination's name.
Out:   destinations with their standing, counts and reasons.
Never: a secret: a definition names it; a definition put in force: `tillit apply` does that, with a plan before.
"""

from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import (
    CheckedDocument,
    DestinationDocument,
    DestinationsDocument,
    NewReplay,
    QueryPurpose,
    ReplayedMessagesDocument,
    WholeDestinationDocument,
)
from tillit.api.gate import key_of

Asking = Request[Any, Any, Any]
_PATH = "/api/destinations/{name:str}"
_WRITES: dict[str, Any] = {"scope": "destinations:write"}


def destination_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    def _standing(name: str) -> DestinationDocument:
        found = next(one for one in ws.messages.destinations() if one["destination"] == name)
        return cast(DestinationDocument, found)

    @get("/api/destinations", opt={"scope": "destinations:read"}, tags=["destinations"])
    async def list_destinations() -> DestinationsDocument:
        """List destinations: what each takes, how it is, how much it has."""
        found = await desk.slowly(ws.messages.destinations)
        return {"destinations": cast(list[DestinationDocument], found)}

    @get(_PATH, opt={"scope": "destinations:read"}, tags=["destinations"])
    async def read_destination(
        request: Asking, name: FromPath[str], purpose: QueryPurpose = None
    ) -> WholeDestinationDocument:
        """Say everything of one destination: what did not arrive and why, and the last hour minute by minute."""
        scope = desk.scope(request, purpose)
        found = await desk.slowly(lambda: ws.messages.destination(name))
        desk.note(request, scope, ws.messages.people_of(found["newest_failed"]))
        return cast(WholeDestinationDocument, found)

    @post(f"{_PATH}/pause", opt=_WRITES, status_code=200, tags=["destinations"])
    async def pause_destination(request: Asking, name: FromPath[str]) -> DestinationDocument:
        """Hold everything for a destination; what is on the wire ends."""
        actor = key_of(request).key_id

        def pause() -> DestinationDocument:
            ws.deliveries.pause(name, by=actor)
            ws.audit.note(operator_id=actor, action="destination.pause", target=name)
            return _standing(name)

        return await desk.slowly(pause)

    @post(f"{_PATH}/resume", opt=_WRITES, status_code=200, tags=["destinations"])
    async def resume_destination(request: Asking, name: FromPath[str]) -> DestinationDocument:
        """Let a destination go on, at once."""
        actor = key_of(request).key_id

        def resume() -> DestinationDocument:
            ws.deliveries.resume(name)
            ws.audit.note(operator_id=actor, action="destination.resume", target=name)
            return _standing(name)

        return await desk.slowly(resume)

    @post(f"{_PATH}/replay", opt=_WRITES, status_code=200, tags=["destinations"])
    async def replay_destination(
        request: Asking, name: FromPath[str], data: JSONBody[NewReplay]
    ) -> ReplayedMessagesDocument:
        """Let what did not arrive go once more, under its key; whether it may is asked anew of each."""
        actor = key_of(request).key_id

        def replay() -> int:
            n = ws.deliveries.replay(name, ids=data.ids, code=data.code)
            ws.audit.note(operator_id=actor, action="destination.replay", target=name, details={"deliveries": n})
            return n

        return {"destination": name, "replayed": await desk.slowly(replay)}

    @post(f"{_PATH}/check", opt=_WRITES, status_code=200, tags=["destinations"])
    async def check_destination(name: FromPath[str]) -> CheckedDocument:
        """Reach a destination without sending anybody's values."""
        checked = await ws.deliveries.check(ws.deliveries.destination(name))
        return {"destination": name, "is_well": checked.is_well, "words": checked.words, "took_ms": checked.took_ms}

    return [
        list_destinations,
        read_destination,
        pause_destination,
        resume_destination,
        replay_destination,
        check_destination,
    ]
