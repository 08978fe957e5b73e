"""Routes about sources and keys.

In:    what a new key is for; the id of one to revoke.
Out:   keys without themselves, except a new one, once.
Never: a key that can do more than the key that made it.
"""

from typing import Any, cast

from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tillit.access import Key
from tillit.api.desk import Desk
from tillit.api.documents import KeyDocument, KeysDocument, MadeKeyDocument, NewKey, SourcesDocument
from tillit.api.gate import key_of
from tillit.api.refusals import MissingScope
from tillit.clock import rfc3339

Asking = Request[Any, Any, Any]
_USUAL_SCOPES = ("profiles:read", "events:read", "quarantine:read")  # what an api key gets when none is named


def key_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    @get("/api/sources", opt={"scope": "keys:read"}, tags=["sources and keys"])
    async def list_sources() -> SourcesDocument:
        """List sources with their keys and how busy each is.

        The first call counts at most 200,000 rows of the log's last day, later calls what is new.
        """
        found = await desk.slowly(ws.sources.activity)
        told = [
            {
                **one._asdict(),
                "last_received_at": None if one.last_received_at is None else rfc3339(one.last_received_at),
            }
            for one in found.sources
        ]
        counted_from = None if found.counted_from is None else rfc3339(found.counted_from)
        return cast(SourcesDocument, {"sources": told, "counted_from": counted_from})

    @get("/api/keys", opt={"scope": "keys:read"}, tags=["sources and keys"])
    async def list_keys() -> KeysDocument:
        """List every key ever made, newest first, the revoked too; never the keys themselves."""
        return {"keys": [_document(key) for key in await desk.slowly(ws.keys.list_all)]}

    @post("/api/keys", opt={"scope": "keys:write"}, status_code=201, tags=["sources and keys"])
    async def create_key(request: Asking, data: JSONBody[NewKey]) -> MadeKeyDocument:
        """Make a key. It is shown this once. An api key can give only scopes that it has."""
        purposes = (data.purpose, *data.purposes)
        scopes = tuple(data.scopes)
        if data.kind == "api":  # only they read
            for purpose in purposes:
                desk.scope(request, purpose)
            beyond = sorted(set(scopes or _USUAL_SCOPES) - set(key_of(request).scopes))
            if beyond:
                raise MissingScope(beyond)
        plain, key = await desk.slowly(
            lambda: ws.keys.create(data.kind, data.source, scopes=scopes, purposes=purposes, origins=data.origins)
        )
        return cast(MadeKeyDocument, {"key": plain, **_document(key)})

    @delete("/api/keys/{key_id:str}", opt={"scope": "keys:write"}, status_code=200, tags=["sources and keys"])
    async def revoke_key(key_id: FromPath[str]) -> KeyDocument:
        """Revoke a key. What it sent stays; no process takes it any more."""

        def revoke() -> Key:
            ws.keys.revoke(key_id)
            return next(key for key in ws.keys.list_all() if key.key_id == key_id)

        return _document(await desk.slowly(revoke))

    return [list_sources, list_keys, create_key, revoke_key]


def _document(key: Key) -> KeyDocument:
    return {
        "key_id": key.key_id,
        "kind": key.kind,
        "source": key.source,
        "scopes": list(key.scopes),
        "purpose": key.purpose,
        "purposes": list(key.purposes),
        "origins": list(key.origins),
        "created_at": rfc3339(key.created_at),
        "revoked_at": None if key.revoked_at is None else rfc3339(key.revoked_at),
    }
