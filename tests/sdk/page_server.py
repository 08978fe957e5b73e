"""Serve the shop's own pages and the SDK files of `node_modules`, from another origin than the server's.

In:    pages made by a test (path -> HTML), and the files under `pages/` and `node_modules/`.
Out:   `http://localhost:PORT`, while the server under test is at `http://127.0.0.1:PORT`: another origin and
       another site, so preflights and cross-origin rules are the real ones.
Never: serves anything else.
"""

from __future__ import annotations

import mimetypes
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

HERE = Path(__file__).parent
SERVED = (HERE / "pages", HERE / "node_modules")


class PageServer:
    """A site of its own; use as a context manager."""

    def __init__(self) -> None:
        """Bind a free port; `with` starts answering."""
        pages: dict[str, bytes] = {}

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                file = (HERE / path.lstrip("/")).resolve()
                if path in pages:
                    self.answer(200, "text/html; charset=utf-8", pages[path])
                elif file.is_file() and any(file.is_relative_to(folder) for folder in SERVED):
                    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                    self.answer(200, kind, file.read_bytes())
                else:
                    self.answer(404, "text/plain", b"no such page")

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent: a test's output is its claims."""

        self.pages = pages
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def add(self, path: str, html: str) -> str:
        """Put up a page and give its address."""
        self.pages[path] = html.encode()
        return self.url + path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
