"""Routes about messages to people: asking for one, what became of each, and whom nothing is sent to.

In:    a template, whom it is for, data; the id of a message; a person.
Out:   the id of what was asked for; the life of a message, in states, codes and words.
Never: a message for a purpose that the key was not made for; a second message under one `Idempotency-Key`; what a
       recipient said of a person without leave to read that person.

A key sends for the purposes that it was made for, as it reads for them: the template names the purpose.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import (
    AskedMessageDocument,
    HeaderIdempotencyKey,
    LookupMessages,
    MessageDocument,
    MessageLifeDocument,
    MessagesDocument,
    NewLift,
    NewMessage,
    NewSuppression,
    QueryAfter,
    QueryDestination,
    QueryLimit,
    QueryPurpose,
    QueryReason,
    QueryState,
    QueryTo,
    QueryWithLifted,
    SuppressedDocument,
    SuppressionNumberDocument,
    SuppressionsDocument,
)
from tillit.api.gate import key_of
from tillit.api.profiles import who_of

Asking = Request[Any, Any, Any]
_SOURCE = "api"


def message_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    async def listed(
        request: Asking,
        who: str | None,
        *,
        purpose: str | None,
        state: str | None,
        destination: str | None,
        limit: int | None,
        before: int | None,
    ) -> MessagesDocument:
        scope = desk.scope(request, purpose)
        rows = desk.limit(limit)

        def look() -> tuple[list[dict[str, Any]], int | None, list[str]]:
            found, following = ws.messages.list_messages(
                who=who, state=state or "", destination=destination or "", before=before, limit=rows
            )
            return found, following, ws.messages.people_of(found)

        found, following, people = await desk.slowly(look)
        desk.note(request, scope, people)
        return {"messages": cast(list[MessageDocument], found), "next": following}

    @post(
        "/api/messages",
        opt={"scope": "messages:send"},
        status_code=202,
        tags=["messages"],
        responses={200: ResponseSpec(AskedMessageDocument, description="The same was asked for before.")},
    )
    async def send_message(
        request: Asking, data: JSONBody[NewMessage], idempotency_key: HeaderIdempotencyKey = None
    ) -> Response[AskedMessageDocument]:
        """Ask for a message to whoever holds an identifier; what became of it is at `GET /api/messages/{message_id}`.

        The same body under the same `Idempotency-Key` of the same key is answered alike, with 200, and sends nothing
        more; another body under it is refused with 409. The key must be made for the purpose of the template.
        """

        def ask() -> tuple[AskedMessageDocument, bool]:
            template = ws.deliveries.template(data.template, data.purpose or "")
            desk.scope(request, template.purpose)
            asked = ws.deliveries.send(
                data.template,
                data.to,
                data.data,
                purpose=data.purpose or "",
                key=idempotency_key or "",
                asked_by=key_of(request).key_id,
            )
            return {"id": asked.key, "template": data.template, "purpose": template.purpose}, asked.is_repeat

        told, is_repeat = await desk.slowly(ask)
        return Response(told, status_code=200 if is_repeat else 202)

    @get("/api/messages", opt={"scope": "messages:read"}, tags=["messages"])
    async def list_messages(
        request: Asking,
        to: QueryTo = None,
        outcome: QueryState = None,
        destination: QueryDestination = None,
        purpose: QueryPurpose = None,
        limit: QueryLimit = None,
        before: QueryAfter = None,
    ) -> MessagesDocument:
        """List messages, newest first; of one person with `to`. `outcome=unknown` adds what may have left twice."""
        return await listed(
            request, to, purpose=purpose, state=outcome, destination=destination, limit=limit, before=before
        )

    @post("/api/messages/lookup", opt={"scope": "messages:read"}, status_code=200, tags=["messages"])
    async def look_up_messages(request: Asking, data: JSONBody[LookupMessages]) -> MessagesDocument:
        """List one person's messages as `GET /api/messages` does, with the identifier in the body."""
        return await listed(
            request,
            who_of(data),
            purpose=data.purpose,
            state=None,
            destination=None,
            limit=data.limit,
            before=data.before,
        )

    @get("/api/messages/{message_id:str}", opt={"scope": "messages:read"}, tags=["messages"])
    async def read_message(
        request: Asking, message_id: FromPath[str], purpose: QueryPurpose = None
    ) -> MessageLifeDocument:
        """Give the whole life of a message: what became of it, why, and each try.

        What the recipient said stands in it only where the purpose may read the person; else `withheld` says why not.
        """
        scope = desk.scope(request, purpose)
        found, people = await desk.slowly(_with_people(desk, lambda: ws.messages.get(message_id, scope)))
        desk.note(request, scope, people)
        return cast(MessageLifeDocument, found)

    @get("/api/suppressions", opt={"scope": "messages:read"}, tags=["messages"])
    async def list_suppressions(
        request: Asking,
        reason: QueryReason = None,
        with_lifted: QueryWithLifted = False,
        purpose: QueryPurpose = None,
        limit: QueryLimit = None,
        before: QueryAfter = None,
    ) -> SuppressionsDocument:
        """List whom nothing is sent to, newest first. Addresses are kept as keyed hashes, and not given."""
        scope = desk.scope(request, purpose)
        rows = desk.limit(limit)
        found, following = await desk.slowly(
            lambda: ws.messages.suppressions(
                scope, with_lifted=with_lifted, reason=reason or "", before=before, limit=rows
            )
        )
        desk.note(request, scope, (one["profile_id"] or "" for one in found))
        return {"suppressions": cast(list[SuppressedDocument], found), "next": following}

    @post("/api/suppressions", opt={"scope": "destinations:write"}, status_code=201, tags=["messages"])
    async def suppress(request: Asking, data: JSONBody[NewSuppression]) -> SuppressionNumberDocument:
        """Put an address, a domain or a person on the list of whom nothing is sent to; give the entry's number."""
        actor = key_of(request).key_id
        number = await desk.slowly(
            lambda: ws.deliveries.suppress(
                data.whom, data.reason, source=_SOURCE, by=actor, words=data.words, purpose=data.purpose
            )
        )
        return {"suppression_id": number}

    @delete(
        "/api/suppressions/{number:int}",
        opt={"scope": "destinations:write"},
        status_code=200,
        tags=["messages"],
    )
    async def lift_suppression(
        request: Asking, number: FromPath[int], data: JSONBody[NewLift]
    ) -> SuppressionNumberDocument:
        """Take an entry off the list, with a reason; it stays to be seen with `with_lifted`."""
        actor = key_of(request).key_id
        await desk.slowly(lambda: ws.deliveries.lift(number, by=actor, words=data.words))
        return {"suppression_id": number}

    return [
        send_message,
        list_messages,
        look_up_messages,
        read_message,
        list_suppressions,
        suppress,
        lift_suppression,
    ]


def _with_people(desk: Desk, look: Callable[[], dict[str, Any]]) -> Callable[[], tuple[dict[str, Any], list[str]]]:
    def both() -> tuple[dict[str, Any], list[str]]:
        found = look()
        return found, desk.ws.messages.people_of([found])

    return both
