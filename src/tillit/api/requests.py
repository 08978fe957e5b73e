"""Routes about what customers ask of us about their data: filing, proving, doing, holding, answering.

In:    who is meant; the id of a request; what is done about it.
Out:   requests as they stand, with their clocks.
Never: a name or an address: a request names a profile. A proof that the key's holder does not vouch for with a
       reference.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import NewRequest, NewStep, RequestDocument, RequestsDocument
from tillit.api.gate import key_of
from tillit.api.profiles import who_of
from tillit.api.refusals import BadRequest
from tillit.clock import instant
from tillit.privacy import OPERATOR, Proof
from tillit.privacy import Request as Filed
from tillit.records import Scope
from tillit.workspace.requests import request_document

Asking = Request[Any, Any, Any]
STEPS = ("verify", "run", "hold", "release", "reject", "withdraw", "extend", "answer")


def request_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    requests = desk.ws.requests

    def told(one: Filed) -> RequestDocument:
        return cast(RequestDocument, request_document(one, desk.ws.now()))

    def note(request: Asking, scope: Scope, found: list[Filed]) -> None:
        # Of somebody who was erased no key is made anew.
        desk.note(request, scope, desk.ws.profiles.holders(one.profile_id for one in found))

    @get("/api/requests", opt={"scope": "privacy:read"}, tags=["requests"])
    async def list_requests(request: Asking) -> RequestsDocument:
        """List the requests of customers, due soonest first; at most 1,000."""
        scope = desk.scope(request, None)
        found = await desk.slowly(requests.list)
        note(request, scope, list(found))
        return {"requests": [told(one) for one in found]}

    @get("/api/requests/{request_id:str}", opt={"scope": "privacy:read"}, tags=["requests"])
    async def read_request(request: Asking, request_id: FromPath[str]) -> RequestDocument:
        """Give a request as it stands."""
        scope = desk.scope(request, None)
        one = await desk.slowly(lambda: requests.get(request_id))
        note(request, scope, [one])
        return told(one)

    @post("/api/requests", opt={"scope": "privacy:write"}, status_code=201, tags=["requests"])
    async def file_request(request: Asking, data: JSONBody[NewRequest]) -> RequestDocument:
        """File what a customer asked. Its clock begins now."""
        actor = key_of(request).key_id
        proof = Proof(data.level, data.via or "word", actor, data.evidence) if data.level or data.via else None
        return told(
            await desk.slowly(
                lambda: requests.open(
                    who_of(data),
                    data.kind,
                    place=data.place,
                    by_whom=actor,
                    asked_by=OPERATOR,
                    proof=proof,
                    evidence=data.evidence,
                )
            )
        )

    @post(
        "/api/requests/{request_id:str}/{step:str}", opt={"scope": "privacy:write"}, status_code=200, tags=["requests"]
    )
    async def take_step(
        request: Asking, request_id: FromPath[str], step: FromPath[str], data: JSONBody[NewStep]
    ) -> RequestDocument:
        """Do something about a request: verify, run, hold, release, reject, withdraw, extend or answer."""
        actor = key_of(request).key_id
        steps: dict[str, Callable[[], Filed]] = {
            "verify": lambda: requests.prove(request_id, Proof(data.level, data.via, actor, data.evidence)),
            "run": lambda: requests.run(request_id, by_whom=actor, told=data.told),
            "hold": lambda: requests.hold(
                request_id, basis=data.basis, until_at=_instant(data.until), reason=data.reason, by_whom=actor
            ),
            "release": lambda: requests.release(request_id, reason=data.reason, by_whom=actor),
            "reject": lambda: requests.reject(request_id, ground=data.ground, reason=data.reason, by_whom=actor),
            "withdraw": lambda: requests.withdraw(
                request_id, by_whom=actor, evidence=data.evidence, reason=data.reason
            ),
            "extend": lambda: requests.extend(request_id, reason=data.reason, by_whom=actor),
            "answer": lambda: requests.answer(
                request_id, data.recipient, data.answer, by_whom=actor, evidence=data.evidence
            ),
        }
        if step not in steps:
            raise BadRequest(f"A step is one of {', '.join(STEPS)}.")
        return told(await desk.slowly(steps[step]))

    return [list_requests, read_request, file_request, take_step]


def _instant(text: str) -> int:
    at = instant(text)
    if at is None:
        raise BadRequest("`until` is a day or an instant, such as 2027-01-31.")
    return at
