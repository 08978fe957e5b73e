"""Sources and their keys.

In:    the registry, the activity of sources, the log's end; what a new key is for.
Out:   how each source is, which keys there are, how to connect one; a new key, once.
Never: a key in an address, in a second answer or in a page that is kept.
"""

import asyncio
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from tillit.access import API_SCOPES, KINDS, Key
from tillit.clock import DAY, HOUR, rfc3339
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.pulse import Pulse
from tillit.console.snippets import list_snippets
from tillit.errors import InputError, NotFound
from tillit.records import KIND_EVENT

_LOOKED_ROWS = 5_000
# How long the old key goes on working beside the new one.
GRACES = {"hour": 1 * HOUR, "day": 1 * DAY, "week": 7 * DAY, "revoked": None}


def sources_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace
    pulse = Pulse(ws)

    def find_key(key_id: str) -> Key:
        found = next((key for key in ws.keys.list_all() if key.key_id == key_id), None)
        if found is None:
            raise NotFound("There is no such key. The page Sources lists all there are.", code="access.unknown-key")
        return found

    def made_page(request: Asking, plain: str, key: Key, old: Key | None = None) -> Response[str]:
        return desk.page(
            request,
            "made_key.html",
            here="sources",
            key=key,
            plain=plain,
            old=_view(old, ws.now()) if old is not None else None,
            snippets=list_snippets(_base_url(request), kind=key.kind, key=plain) if key.may_send else [],
            base_url=_base_url(request),
            heard=_heard(ws.log.head(), ws.log.head(), None),
        )

    @get("/console/sources", opt={"role": "reader"}, sync_to_thread=True)
    def show_sources(request: Asking) -> Response[str]:
        now = ws.now()
        keys = [_view(key, now) for key in ws.keys.list_all()]
        sources, counted_from = pulse.sources()
        by_source: dict[str, list[dict[str, Any]]] = {}
        for key in keys:
            by_source.setdefault(key["source"], []).append(key)
        health = {one.source: one for one in sources}
        names = sorted({*by_source, *health}, key=lambda name: (not _is_living(by_source.get(name, [])), name))
        return desk.page(
            request,
            "sources.html",
            here="sources",
            sources=[{"name": name, "health": health.get(name), "keys": by_source.get(name, [])} for name in names],
            counted_from=counted_from,
            is_waiting=ws.log.head() == 0,
            snippets=list_snippets(_base_url(request)),
            kinds=KINDS,
            scopes=API_SCOPES,
            purposes=ws.consent.declared().purposes,
        )

    @post("/console/sources/keys", opt={"role": "admin"}, status_code=200)
    async def create_key(request: Asking) -> Response[str]:
        data = await request.form()
        kind, source = str(data.get("kind", "")), str(data.get("source", "")).strip()
        scopes = tuple(str(one) for one in data.getall("scope", [])) if kind == "api" else ()
        purpose = str(data.get("purpose", "service"))
        if purpose not in ws.consent.declared().purposes:
            raise InputError("That purpose is not declared in the settings.", code="console.unknown-purpose")
        origins = tuple(str(data.get("origins", "")).split()) if kind == "public" else ()
        plain, key = await asyncio.to_thread(
            lambda: ws.keys.create(kind, source, scopes=scopes, purposes=(purpose,), origins=origins)
        )
        desk.audit(request, "key.create", key.key_id, kind=kind, source=source)
        return made_page(request, plain, key)

    @get("/console/sources/keys/{key_id:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_key(request: Asking, key_id: FromPath[str]) -> Response[str]:
        key = find_key(key_id)
        return desk.page(
            request,
            "key.html",
            here="sources",
            key=_view(key, ws.now()),
            snippets=list_snippets(_base_url(request), kind=key.kind) if key.may_send else [],
        )

    @get("/console/sources/keys/{key_id:str}/heard", opt={"role": "reader"}, sync_to_thread=True)
    def show_heard(request: Asking, key_id: FromPath[str], after: FromQuery[int] = 0) -> Response[Any]:
        key = find_key(key_id)
        after = min(max(after, 0), 2**53)
        rows = ws.log.arrivals(after, _LOOKED_ROWS)
        found = next((row[0] for row in rows if row[1] == KIND_EVENT and row[2] == key.source), None)
        heard = _heard(after, rows[-1][0] if rows else after, found, epoch=ws.log.epoch())
        if found is None:
            last = ws.quarantine.rows(limit=1, source=key.source)
            heard["refused"] = last[0] if last and last[0].received_at >= key.created_at else None
        if PART not in request.headers:
            return Redirect("/console/sources", status_code=303)
        return desk.page(request, "parts/heard.html", heard=heard, key=key)

    @post("/console/sources/keys/{key_id:str}/rotate", opt={"role": "admin"}, status_code=200)
    async def rotate_key(request: Asking, key_id: FromPath[str], data: Form) -> Response[str]:
        grace = data.get("grace", "")
        if grace not in GRACES:
            raise InputError("Choose how long the old key goes on working.", code="console.no-grace")
        find_key(key_id)
        plain, key = await asyncio.to_thread(lambda: ws.keys.rotate(key_id, old_lives_us=GRACES[grace]))
        desk.audit(request, "key.rotate", key.key_id, old_key_id=key_id, grace=grace)
        return made_page(request, plain, key, find_key(key_id))

    @post("/console/sources/keys/{key_id:str}/revoke", opt={"role": "admin"})
    async def revoke_key(request: Asking, key_id: FromPath[str], data: Form) -> Response[Any]:
        if data.get("sure") != "yes":
            raise InputError("Tick the box that says you are sure. Nothing was revoked.", code="console.not-sure")
        await asyncio.to_thread(lambda: ws.keys.revoke(key_id))
        desk.audit(request, "key.revoke", key_id)
        return Redirect(f"/console/sources/keys/{key_id}", status_code=303)

    return [show_sources, create_key, show_key, show_heard, rotate_key, revoke_key]


def _heard(after: int, reached: int, found: int | None, *, epoch: int = 0) -> dict[str, Any]:
    return {
        "after": found if found is not None else max(after, reached),
        "event_id": f"e{epoch}-{found}" if found is not None else "",
        "refused": None,
    }


def _view(key: Key, now: int) -> dict[str, Any]:
    return {
        **key._asdict(),
        "made_at": rfc3339(key.created_at),
        "ends_at": rfc3339(key.revoked_at) if key.revoked_at is not None else None,
        "is_living": key.lives_at(now),
    }


def _is_living(keys: list[dict[str, Any]]) -> bool:
    return any(key["is_living"] for key in keys)


def _base_url(request: Asking) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:8000')}"
