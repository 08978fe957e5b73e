"""Routes about messages that went: mails that came back, addresses that are verified.

In:    a bounce as it came; an address and who claims it; a code.
Out:   counts; ids.
Never: a code, or a word about whose address it is.
"""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tillit.api.desk import Desk
from tillit.api.documents import NewVerification, SaidCode, TakenDocument, VerificationDocument, VerifiedDocument
from tillit.api.gate import key_of
from tillit.clock import rfc3339
from tillit.deliver.verification import Verification

Asking = Request[Any, Any, Any]
_MAIL_BYTES = 1 << 20


def feedback_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    deliveries = desk.ws.deliveries

    @post(
        "/api/messages/bounces",
        opt={"scope": "feedback:write"},
        status_code=200,
        tags=["messages"],
        request_max_body_size=_MAIL_BYTES,
    )
    async def take_bounce(request: Asking) -> TakenDocument:
        """Take a mail that came to the return path, as it came (`Content-Type: message/rfc822`)."""
        raw = await request.body()
        taken = await desk.slowly(lambda: deliveries.feedback.bounced(raw))
        return {"new": taken.n_new, "known": taken.n_known, "unknown": taken.n_unknown}

    @post("/api/verifications", opt={"scope": "verifications:write"}, status_code=202, tags=["verifications"])
    async def ask_code(request: Asking, data: JSONBody[NewVerification]) -> VerificationDocument:
        """Send a code of six digits to an address that somebody claims. It counts for ten minutes and five tries."""
        key = key_of(request).key_id

        def ask() -> Verification:
            # A key sends for the purposes that it was made for.
            desk.scope(request, deliveries.template(data.template).purpose)
            return deliveries.verifications.ask(data.template, data.to, data.claimed_by, asked_by=key)

        told = await desk.slowly(ask)
        return {"id": told.verification_id, "expires_at": rfc3339(told.expires_at)}

    @post(
        "/api/verifications/{verification_id:str}",
        opt={"scope": "verifications:write"},
        status_code=200,
        tags=["verifications"],
    )
    async def say_code(request: Asking, verification_id: FromPath[str], data: JSONBody[SaidCode]) -> VerifiedDocument:
        """Say the code: the address is then verified as whose it was claimed to be."""
        key = key_of(request).key_id
        found = await desk.slowly(lambda: deliveries.verifications.confirm(verification_id, data.code, asked_by=key))
        return {"event_id": found}

    return [take_bounce, ask_code, say_code]
