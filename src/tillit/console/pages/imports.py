"""Imports: a file, its mapping, what comes of it.

In:    files from forms, mappings as texts.
Out:   drafts, previews, progress, results, rejects; the history of who imported what.
Never: a second importer; a value of the file shown to whoever may not import.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from tillit.clock import rfc3339
from tillit.collect.files import (
    Preview,
    Upload,
    Uploads,
    as_view,
    iter_reject_csv,
    iter_reject_lines,
    preview_rows,
    read_mapping,
    retry_mapping,
    strip_mended,
    suggest_mapping,
)
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.pulse import told_bytes
from tillit.console.receive import receive_file
from tillit.errors import InputError, NotFound, TillitError
from tillit.ledger import UNKNOWN

_PREVIEW_ROWS = 500
_SHOWN_ROWS = 8
_HISTORY_ROWS = 100
_LARGEST_MAPPING = 262_144


def imports_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace
    uploads = Uploads(ws.paths.uploads, now=ws.now)

    def history(request: Asking, **more: Any) -> Response[str]:
        found = [_view(one, uploads) for one in uploads.list_all()[:_HISTORY_ROWS]]
        return desk.page(
            request,
            "imports.html",
            here="imports",
            uploads=found,
            most_mb=ws.settings.collect.max_upload_mb,
            keep_days=ws.settings.collect.quarantine_days,
            **more,
        )

    def one_page(request: Asking, upload: Upload, *, text: str | None = None, status: int = 200) -> Response[str]:
        view = _view(upload, uploads)
        if PART in request.headers:
            return desk.page(request, "parts/import.html", upload=view)
        shown: dict[str, Any] = {"upload": view, "text": "", "fault": "", "preview": None}
        if upload.state in {"draft", "failed", "stopped"} and view["has_file"]:
            shown["text"] = uploads.mapping_text(upload) if text is None else text
            shown.update(_preview(upload, shown["text"]))
            if shown["preview"]:
                desk.note(request, [UNKNOWN])
        return desk.page(request, "import.html", status=status, here="imports", **shown)

    def _preview(upload: Upload, text: str) -> dict[str, Any]:
        try:
            mapping = read_mapping(text)
            rows = preview_rows(uploads.file(upload), mapping, limits=ws.limits, now=ws.now(), most=_PREVIEW_ROWS)
        except TillitError as exc:
            return {"fault": exc.message, "preview": None}
        good = [one for one in rows if one.fault is None]
        bad = [one for one in rows if one.fault is not None]
        reasons: dict[str, int] = {}
        for one in bad:
            assert one.fault is not None
            reasons[one.fault.reason] = reasons.get(one.fault.reason, 0) + 1
        return {
            "fault": "",
            "preview": {
                "n_rows": len(rows),
                "is_all": len(rows) < _PREVIEW_ROWS,
                "n_good": len(good),
                "n_bad": len(bad),
                "good": [_row_view(one) for one in good[:_SHOWN_ROWS]],
                "bad": [_row_view(one) for one in bad[:_SHOWN_ROWS]],
                "reasons": sorted(reasons.items(), key=lambda one: -one[1])[:_SHOWN_ROWS],
                "source": mapping.source,
                "name": mapping.name,
            },
        }

    def draft(upload: Upload) -> None:
        try:
            text = suggest_mapping(uploads.file(upload))
        except TillitError as exc:
            uploads.remove_file(upload)
            upload.state, upload.failure = "failed", exc.message
            uploads.save(upload)
            return
        uploads.save_mapping(upload, text)

    @get("/console/imports", opt={"role": "editor"})
    async def show_imports(request: Asking) -> Response[str]:
        return await asyncio.to_thread(history, request)

    # The token stands in a body that is read part by part, so the route looks at it itself.
    @post("/console/imports", opt={"role": "editor", "checks_token": True}, request_max_body_size=None)
    async def upload_file(request: Asking) -> Response[Any]:
        upload = await receive_file(
            request,
            uploads,
            form_token=desk.session(request).form_token,
            asked_by=desk.session(request).asked_by,
            most_mb=ws.settings.collect.max_upload_mb,
        )
        desk.audit(request, "import.upload", upload.upload_id)
        await asyncio.to_thread(draft, upload)
        return Redirect(f"/console/imports/{upload.upload_id}", status_code=303)

    @get("/console/imports/{upload_id:str}", opt={"role": "editor"}, sync_to_thread=True)
    def show_import(request: Asking, upload_id: FromPath[str]) -> Response[str]:
        return one_page(request, uploads.get(upload_id))

    @post("/console/imports/{upload_id:str}/mapping", opt={"role": "editor"}, status_code=200,
          request_max_body_size=_LARGEST_MAPPING)  # fmt: skip
    async def map_import(request: Asking, upload_id: FromPath[str], data: Form) -> Response[Any]:
        upload = uploads.get(upload_id)
        if upload.is_open or upload.state == "done":
            raise InputError("This import has begun; its mapping stays.", code="console.import-begun")
        text = data.get("text", "").replace("\r\n", "\n")

        def judge() -> Response[Any]:
            uploads.save_mapping(upload, text)
            if data.get("what") == "start":
                told = _preview(upload, text)
                if not told["fault"]:
                    uploads.queue(upload)
                    return Redirect(f"/console/imports/{upload_id}", status_code=303)
                return one_page(request, upload, text=text, status=422)
            return one_page(request, upload, text=text)

        answer = await asyncio.to_thread(judge)
        if answer.status_code == 303:
            desk.audit(request, "import.start", upload_id)
            desk.start_imports()
        return answer

    @post("/console/imports/{upload_id:str}/stop", opt={"role": "editor"})
    async def stop_import(request: Asking, upload_id: FromPath[str]) -> Response[Any]:
        upload = uploads.get(upload_id)
        if upload.is_open:
            uploads.ask_to_stop(upload)
            if upload.state == "waiting":
                upload.state = "stopped"
                uploads.save(upload)
            desk.audit(request, "import.stop", upload_id)
        return Redirect(f"/console/imports/{upload_id}", status_code=303)

    @post("/console/imports/{upload_id:str}/remove", opt={"role": "editor"})
    async def remove_import(request: Asking, upload_id: FromPath[str]) -> Response[Any]:
        upload = uploads.get(upload_id)
        if upload.is_open:
            raise InputError("This import is under way. Stop it first.", code="console.import-begun")
        uploads.remove_file(upload)
        if upload.state == "draft":
            upload.state, upload.failure = "stopped", "The file was removed before it was imported."
            uploads.save(upload)
        desk.audit(request, "import.remove", upload_id)
        return Redirect(f"/console/imports/{upload_id}", status_code=303)

    @get("/console/imports/{upload_id:str}/rejects/{kind:str}", opt={"role": "editor"}, sync_to_thread=True)
    def load_rejects(request: Asking, upload_id: FromPath[str], kind: FromPath[str]) -> Stream:
        upload = uploads.get(upload_id)
        path = ws.paths.rejects / upload.rejects if upload.rejects else None
        if path is None or not path.is_file() or kind not in {"csv", "jsonl"}:
            raise NotFound("The rejected rows are no longer kept.", code="console.no-rejects")
        desk.note(request, [UNKNOWN])
        parts: Iterator[bytes] = (
            iter_reject_csv(path, upload.columns, upload.delimiter) if kind == "csv" else iter_reject_lines(path)
        )
        return Stream(
            parts,
            media_type="text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson",
            headers={"content-disposition": f'attachment; filename="rejects-{upload_id}.{kind}"'},
        )

    @post("/console/imports/{upload_id:str}/retry", opt={"role": "editor", "checks_token": True},
          request_max_body_size=None)  # fmt: skip
    async def retry_import(request: Asking, upload_id: FromPath[str]) -> Response[Any]:
        first = uploads.get(upload_id)
        text = retry_mapping(uploads.mapping_text(first))
        upload = await receive_file(
            request,
            uploads,
            form_token=desk.session(request).form_token,
            asked_by=desk.session(request).asked_by,
            most_mb=ws.settings.collect.max_upload_mb,
            retry_of=upload_id,
        )

        def prepare() -> None:
            uploads.save_mapping(upload, text)
            if first.format == "csv":
                strip_mended(uploads.file(upload))

        await asyncio.to_thread(prepare)
        desk.audit(request, "import.retry", upload.upload_id, retry_of=upload_id)
        return Redirect(f"/console/imports/{upload.upload_id}", status_code=303)

    return [
        show_imports,
        upload_file,
        show_import,
        map_import,
        stop_import,
        remove_import,
        load_rejects,
        retry_import,
    ]


def _view(upload: Upload, uploads: Uploads) -> dict[str, Any]:
    return {
        **as_view(upload),
        "id": upload.upload_id,
        "at": rfc3339(upload.made_at),
        "ended": rfc3339(upload.finished_at) if upload.finished_at is not None else None,
        "size": told_bytes(upload.size_bytes),
        "has_file": uploads.has_file(upload),
    }


def _row_view(one: Preview) -> dict[str, Any]:
    """Give a row of the preview: what it would become, in short."""
    message = one.message or {}
    context = message.get("context", {})
    traits = {**context.get("traits", {}), **message.get("traits", {})}
    who = [f"{name} {message[name]}" for name in ("userId", "anonymousId", "groupId") if name in message]
    who += [f"{name} {traits[name]}" for name in ("email", "phone") if name in traits]
    who += [f"{one['type']} {one['id']}" for one in context.get("externalIds", [])]
    said = {**message.get("properties", {}), **message.get("traits", {})}
    raw = one.raw if isinstance(one.raw, str) else str(one.raw)
    return {
        "number": one.number,
        "line": one.line,
        "type": message.get("type", ""),
        "name": message.get("event") or message.get("name") or "",
        "who": ", ".join(who),
        "at": message.get("timestamp", ""),
        "said": ", ".join(f"{name}: {value}" for name, value in said.items())[:300],
        "code": one.fault.code if one.fault else "",
        "reason": one.fault.reason if one.fault else "",
        "raw": raw[:300],
    }
