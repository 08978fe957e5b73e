"""Routes about what the door turned away.

In:    ids of quarantined events.
Out:   why each was turned away, its bytes, and another try.
Never: bytes to a key without the scope.
"""

import base64
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter, QueryParameter

from tillit.api.desk import Desk
from tillit.api.documents import (
    QuarantinedBytesDocument,
    QuarantinedDocument,
    QuarantineDocument,
    QueryLimit,
    QueryPurpose,
    QueryWord,
    Replay,
    ReplayedDocument,
)
from tillit.clock import rfc3339
from tillit.collect.quarantine import Quarantined as _Quarantined
from tillit.errors import NotFound, RefusedError
from tillit.ledger import UNKNOWN
from tillit.records import LISTED_BASES, TRUST_NAMES, Scope

Asking = Request[Any, Any, Any]
_Number = Annotated[int, PathParameter(ge=1, le=2**53, description="The quarantine_id.")]
_Before = Annotated[int | None, QueryParameter(ge=1, le=2**53, description="The `next` of the page before.")]


class BytesWithheld(RefusedError):
    """Bytes that could not be taken were asked for, for a purpose that hangs on somebody's choice."""

    code = "api.bytes-withheld"

    def __init__(self, purpose: str) -> None:
        """Say why not, and what to do."""
        super().__init__(
            f"Nobody can say whose these bytes are, so nobody can have agreed to {purpose!r}. Ask for a purpose that "
            "reaches all fields and hangs on no choice, such as 'service'.",
            purpose=purpose,
        )


def quarantine_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    quarantine = desk.ws.quarantine

    @get("/api/quarantine", opt={"scope": "quarantine:read"}, tags=["quarantine"])
    async def list_quarantine(
        limit: QueryLimit = None, before: _Before = None, code: QueryWord = None
    ) -> QuarantineDocument:
        """List events that were not taken, newest first, without their bytes."""
        rows = desk.limit(limit)
        found = quarantine.rows(limit=rows + 1, before=before, code=code)
        more = found[rows - 1].quarantine_id if len(found) > rows else None
        return {"quarantine": [_document(one) for one in found[:rows]], "next": more}

    @get("/api/quarantine/{number:int}", opt={"scope": "quarantine:read"}, tags=["quarantine"])
    async def read_quarantined(
        request: Asking, number: _Number, purpose: QueryPurpose = None
    ) -> QuarantinedBytesDocument:
        """Give one event that was not taken, with its bytes: base64, and as text when they are UTF-8."""
        scope = desk.scope(request, purpose)
        found = quarantine.find(number)
        if found is None:
            raise NotFound(
                "There is nothing in quarantine under that id; bytes are kept for [collect] quarantine_days.",
                code="api.not-in-quarantine",
            )
        _check(scope)
        desk.note(request, scope, [UNKNOWN])
        try:
            text = found.raw.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        return {**_document(found), "raw_base64": base64.b64encode(found.raw).decode(), "text": text}

    @post("/api/quarantine/replay", opt={"scope": "quarantine:write"}, status_code=200, tags=["quarantine"])
    async def replay_quarantined(data: JSONBody[Replay]) -> ReplayedDocument:
        """Judge quarantined events again under today's rules; those that pass go into the log, each once."""
        outcome = await desk.slowly(lambda: quarantine.replay(data.ids))
        return {"replayed": outcome.n_replayed, "still_refused": outcome.n_refused}

    return [list_quarantine, read_quarantined, replay_quarantined]


def _check(scope: Scope) -> None:
    """See whether bytes may be told for a purpose. Raises BytesWithheld."""
    if scope.fields is not None or scope.basis in LISTED_BASES:
        # Nobody could read whom they are about, so nobody can be asked, and no field told from another.
        raise BytesWithheld(scope.purpose)


def _document(one: _Quarantined) -> QuarantinedDocument:
    return {
        "quarantine_id": one.quarantine_id,
        "received_at": rfc3339(one.received_at),
        "source": one.source,
        "trust": TRUST_NAMES[one.trust],
        "code": one.code,
        "reason": one.reason,
        "message_id": one.message_id,
        "replayed": one.replayed_position is not None,
    }
