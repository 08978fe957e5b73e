"""Routes about what somebody's data may be used for: what they chose, what follows, one question.

In:    who is meant, in the address or in the body; what was chosen.
Out:   decisions with their ground; the event that a choice became.
Never: a customer's values beyond what they said of consent itself.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import (
    AnswerDocument,
    ConsentDocument,
    Lookup,
    NewConsent,
    PathWho,
    Question,
    SaidConsentDocument,
)
from tillit.api.gate import key_of
from tillit.api.profiles import instant_of, who_of
from tillit.api.refusals import BadRequest
from tillit.consent import Choice
from tillit.records import TRUST_SERVER

Asking = Request[Any, Any, Any]


def consent_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    consent = desk.ws.consent

    async def state(request: Asking, who: str) -> ConsentDocument:
        scope = desk.scope(request, None)
        found = await desk.slowly(lambda: consent.state(who))
        desk.note(request, scope, [found["id"]])
        return cast(ConsentDocument, found)

    @get("/api/consent/{who:str}", opt={"scope": "consent:read"}, tags=["consent"])
    async def read_consent(request: Asking, who: PathWho) -> ConsentDocument:
        """Say for each purpose whether it may use somebody's data, and on whose word."""
        return await state(request, who)

    @post("/api/consent/lookup", opt={"scope": "consent:read"}, status_code=200, tags=["consent"])
    async def look_up_consent(request: Asking, data: JSONBody[Lookup]) -> ConsentDocument:
        """Say what `GET /api/consent/{who}` does, with the identifier in the body."""
        return await state(request, who_of(data))

    @post("/api/consent", opt={"scope": "consent:write"}, status_code=201, tags=["consent"])
    async def say_consent(request: Asking, data: JSONBody[NewConsent]) -> SaidConsentDocument:
        """Write down what somebody chose. It counts when the answer is given."""
        key = key_of(request)
        choices = [
            Choice(
                one.purpose,
                one.state,
                tuple(one.channels),
                instant_of(one.valid_until, "valid_until") if one.valid_until is not None else None,
            )
            for one in data.choices
        ]
        said: Callable[[], str] = lambda: consent.set(  # noqa: E731 -- one call, made on another thread
            who_of(data),
            choices,
            by=data.by,
            method=data.method,
            notice=data.notice,
            served=data.served,
            evidence=data.evidence,
            jurisdiction=data.jurisdiction,
            trust=TRUST_SERVER,
            source=key.source,
        )
        return {"event_id": await desk.slowly(said)}

    @post("/api/decide", opt={"scope": "consent:read"}, status_code=200, tags=["consent"])
    async def answer_question(request: Asking, data: JSONBody[Question]) -> AnswerDocument:
        """Answer one question: may this person's data be used for this, now or at an instant?"""
        if data.purpose is None:
            raise BadRequest("Send `purpose`: what the data would be used for.")
        scope = desk.scope(request, None)
        purpose, at = data.purpose, instant_of(data.at, "at") if data.at is not None else None
        found = await desk.slowly(
            lambda: consent.decide(
                who_of(data),
                purpose,
                at=at,
                recipient=data.recipient,
                channel=data.channel,
                jurisdiction=data.jurisdiction,
                fields=data.fields,
            )
        )
        desk.note(request, scope, [found["id"]])
        return cast(AnswerDocument, found)

    return [read_consent, look_up_consent, say_consent, answer_question]
