"""What was turned away at the door, and another try for it.

In:    the quarantine; numbers, codes and mended texts from forms.
Out:   groups with what each code means, the events with their bytes, what a second try came to.
Never: bytes shown as anything but text; the bytes that came replaced by mended ones.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from tillit.clock import rfc3339
from tillit.collect.advice import advice_for
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.understood import refused_detail
from tillit.errors import InputError, NotFound
from tillit.ledger import UNKNOWN
from tillit.workspace import Replayed

_MOST_ROWS = 50
_PART_ROWS = 500  # judged in one request, in one commit: some tens of milliseconds (measured)
_LARGEST_FORM = 4_000_000  # the largest event, three times over for its percent signs


def quarantine_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    def shown(request: Asking, *, code: str = "", source: str = "", before: int | None = None) -> dict[str, Any]:
        kept = ws.quarantine.rows(limit=_MOST_ROWS + 1, before=before, code=code or None, source=source or None)
        groups: dict[str, dict[str, Any]] = {}
        for one_code, one_source, n, newest in ws.quarantine.groups():
            group = groups.setdefault(
                one_code, {"code": one_code, "advice": advice_for(one_code), "n": 0, "sources": [], "newest": 0}
            )
            group["n"] += n
            group["sources"].append((one_source, n))
            group["newest"] = max(group["newest"], newest)
        for group in groups.values():
            group["newest_at"] = rfc3339(group["newest"])
        desk.note(request, [UNKNOWN] if kept else [])
        return {
            "here": "quarantine",
            "kept": [refused_detail(ws, one) for one in kept[:_MOST_ROWS]],
            "groups": sorted(groups.values(), key=lambda group: -group["n"]),
            "all_sources": sorted({name for group in groups.values() for name, _ in group["sources"]}),
            "code": code,
            "source": source,
            "more": kept[_MOST_ROWS - 1].quarantine_id if len(kept) > _MOST_ROWS else None,
            "keep_days": ws.settings.collect.quarantine_days,
            "before": before,
            "told": "",
            "go_on": None,
        }

    def replay(request: Asking, ids: list[int], form: dict[str, str]) -> dict[str, Any]:
        code, source = form.get("code", ""), form.get("source", "")
        if form.get("what") == "all":
            n_before, n_refused_before = _whole(form.get("n_taken")), _whole(form.get("n_refused"))
            part = ws.quarantine.replay_part(
                limit=_PART_ROWS,
                before=_whole(form.get("from")) or None,
                code=code or None,
                source=source or None,
            )
            desk.audit(request, "quarantine.replay", code=code, source=source, n_taken=part.n_replayed)
            done = Replayed(part.n_replayed + n_before, part.n_refused + n_refused_before, part.next)
        else:
            if not ids:
                raise InputError("Nothing was selected. Tick at least one event.", code="console.nothing-selected")
            done = ws.quarantine.replay(ids)
            desk.audit(request, "quarantine.replay", n_named=len(ids), n_taken=done.n_replayed)
        return {
            **shown(request, code=code, source=source),
            "told": _told(done),
            "go_on": done if done.next is not None else None,
        }

    # Not `sync_to_thread`: Litestar 2.25 wraps a function twice when another one joins it on its path.
    @get("/console/quarantine", opt={"role": "reader"})
    async def show_quarantine(
        request: Asking, code: FromQuery[str] = "", source: FromQuery[str] = "", before: FromQuery[int | None] = None
    ) -> Response[str]:
        found = await asyncio.to_thread(
            lambda: shown(request, code=code[:100], source=source[:64], before=min(before, 2**53) if before else None)
        )
        return desk.page(request, "quarantine.html", **found)

    @post("/console/quarantine/replay", opt={"role": "editor"}, status_code=200)
    async def replay_quarantined(request: Asking) -> Response[str]:
        data = await request.form()
        form = {name: str(data.get(name, "")) for name in ("what", "code", "source", "from", "n_taken", "n_refused")}
        ids = [number for one in data.getall("id", []) if (number := _whole(str(one)))]
        found = await asyncio.to_thread(replay, request, ids, form)
        name = "parts/replayed.html" if PART in request.headers else "quarantine.html"
        return desk.page(request, name, **found)

    @get("/console/quarantine/{number:int}", opt={"role": "reader"}, sync_to_thread=True)
    def show_quarantined(request: Asking, number: FromPath[int]) -> Response[str]:
        kept = ws.quarantine.find(min(number, 2**53))
        if kept is None:
            return desk.page(request, "unknown_event.html", status=404, here="quarantine")
        desk.note(request, [UNKNOWN])
        detail = refused_detail(ws, kept)
        if PART in request.headers:
            return desk.page(request, "parts/refused.html", one=detail)
        return desk.page(
            request, "quarantined.html", here="quarantine", one=detail, text=_spread(detail.raw), told="", fault=""
        )

    @post("/console/quarantine/{number:int}/mend", opt={"role": "editor"}, status_code=200,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    async def mend_quarantined(request: Asking, number: FromPath[int], data: Form) -> Response[str]:
        # A browser writes each line's end as CR LF, inside a form's text, too.
        text = data.get("text", "").replace("\r\n", "\n")

        def mend() -> dict[str, Any]:
            told, fault = "", ""
            try:
                refused = ws.quarantine.mend(min(number, 2**53), text.strip().encode("utf-8", "surrogatepass"))
            except NotFound:
                raise
            except InputError as exc:
                refused = exc.message
            if refused is None:
                told = "Taken. The mended event is in the log; the bytes that came stay here until their time is over."
                desk.audit(request, "quarantine.mend", str(number))
            else:
                fault = refused
            kept = ws.quarantine.find(number)
            assert kept is not None
            return {"one": refused_detail(ws, kept), "text": text, "told": told, "fault": fault}

        found = await asyncio.to_thread(mend)
        status = 422 if found["fault"] else 200
        return desk.page(request, "quarantined.html", status=status, here="quarantine", **found)

    return [show_quarantine, replay_quarantined, show_quarantined, mend_quarantined]


def _told(done: Replayed) -> str:
    taken = f"{done.n_replayed:,} taken" if done.n_replayed else "None taken"
    return f"{taken}, {done.n_refused:,} still refused."


def _spread(raw: str) -> str:
    """Write JSON line by line, so that it can be mended; what is no JSON stays as it came."""
    try:
        msgspec.json.decode(raw)
        return msgspec.json.format(raw, indent=2)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return raw


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else 0
