"""Visit the console without a socket, as a browser does.

In:    the console's ASGI application; where to go and what to send.
Out:   answers; of a stream its beginning.
Never: a form without the token of the page it would stand on, unless a test asks for that.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, MutableMapping
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tillit.console.app import App
from tillit.console.sessions import form_token_of
from tillit.workspace import Workspace

PATIENCE_S = 20.0


class Page(NamedTuple):
    """One answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    text: str

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known == name), "")

    @property
    def cookies(self) -> dict[str, Any]:
        jar: SimpleCookie = SimpleCookie()
        for name, value in self.headers:
            if name == "set-cookie":
                jar.load(value)
        return dict(jar)

    @property
    def fault(self) -> str:
        found = re.search(r'role="alert"[^>]*>([^<]*)<', self.text) or re.search(
            r"<h1>[^<]*</h1>\s*<p>([^<]*)", self.text
        )
        return found[1] if found else ""


class Visitor:
    """One browser: it keeps cookies, and knows which session it holds."""

    def __init__(self, app: App, ws: Workspace, *, address: str = "192.0.2.1", scheme: str = "http") -> None:
        self.app = app
        self.ws = ws
        self.address = address
        self.scheme = scheme
        self.cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The session's cookie; empty when there is none."""
        return self.cookies.get(self.ws.sessions.cookie_name, "")

    def get(self, path: str, **headers: str) -> Page:
        return self._knock("GET", path, b"", headers)

    def post(self, path: str, *, token: str | None = None, site: str = "same-origin", **fields: str) -> Page:
        """Send a form; its token is the session's own unless another is given."""
        told = {"form_token": form_token_of(self.cookie) if token is None else token, **fields}
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": site}
        return self._knock("POST", path, urlencode(told).encode(), headers)

    def sign_in(self, login: str, password: str, **fields: str) -> Page:
        return self.post("/console/enter", login=login, password=password, **fields)

    def use_link(self, token: str) -> Page:
        # Not a keyword of `post`, which has one of that name for the form.
        body = urlencode({"token": token}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return self._knock("POST", "/console/enter", body, headers)

    def hold(self, operator_id: str) -> Visitor:
        """Open a session for an operator and hold it."""
        self.cookies = {self.ws.sessions.cookie_name: self.ws.sessions.open(operator_id, via="link")}
        return self

    def _knock(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Page:
        sent = {"host": "console.example", **headers}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        page = asyncio.run(_knock(self.app, method, target, body, sent, self.address, self.scheme))
        for name, morsel in page.cookies.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return page


async def _knock(
    app: App, method: str, target: str, body: bytes, headers: Mapping[str, str], address: str, scheme: str
) -> Page:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode("ascii"),
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in {**headers, "content-length": str(len(body))}.items()
        ],
        "client": (address, 1),
        "server": ("127.0.0.1", 8000),
    }
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    told: list[dict[str, Any]] = []
    is_over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(dict(message))
        # Of a stream its first part is enough.
        if message["type"] == "http.response.body":
            is_over.set()

    task = asyncio.ensure_future(app(scope, receive, send))
    over = asyncio.create_task(is_over.wait())
    await asyncio.wait((task, over), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    assert told, f"{method} {target} did not answer"
    await asyncio.wait((task,), timeout=PATIENCE_S)
    over.cancel()
    if task.done() and not task.cancelled():
        task.result()
    whole = b"".join(message.get("body", b"") for message in told if message["type"] == "http.response.body")
    pairs = tuple((name.decode().lower(), value.decode("latin-1")) for name, value in told[0]["headers"])
    # Of a file that is loaded only the status is asked.
    return Page(told[0]["status"], pairs, whole.decode(errors="replace"))
