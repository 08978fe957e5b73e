"""The portal as one bare ASGI application: `/u/TOKEN` for recipients, `/feedback/DESTINATION` for providers.

In:    requests without a key of ours.
Out:   a page; what was taken.
Never: a change by GET, HEAD or OPTIONS: programs that look at links follow them all. A cookie, a redirect. A path or
       a body in a log: a token is somebody's.
"""

import logging
import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from tillit import clock
from tillit.collect.bodies import SenderGone, receive_body
from tillit.collect.rate import RateLimit
from tillit.deliver.feeds import FeedRefused
from tillit.errors import BusyError, InternalError, SettingsError, TillitError
from tillit.portal import page
from tillit.workspace import Workspace
from tillit.workspace.feedback import Taken

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Slowly = Callable[[Callable[[], Any]], Awaitable[Any]]
Header = tuple[bytes, bytes]
Answer = tuple[int, Sequence[Header], bytes]

_log = logging.getLogger("tillit.portal")

_LEAVE, _TELL = "/u/", "/feedback/"
_FORM_BYTES, _TOLD_BYTES = 4_096, 1 << 20
_PER_S = 5  # of one link; taste: a person clicks, a mail server asks once or twice
_TOLD_PER_S = 200  # of one destination; providers post in batches
_JSON = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
# One field of multipart/form-data, as mail servers write it.
_FIELD = re.compile(rb'name="?List-Unsubscribe"?\r?\n(?:[^\r\n]+\r?\n)*\r?\nOne-Click\r?\n', re.IGNORECASE)


class TooFast(BusyError):
    """A destination tells faster than it may."""

    code = "portal.too-fast"
    status: ClassVar[int] = 429

    def __init__(self) -> None:
        """Say how fast it may."""
        super().__init__(f"At most {_TOLD_PER_S} notifications a second are taken of one destination. Try again.")


class Portal:
    """The application."""

    def __init__(self, workspace: Workspace, *, slowly: Slowly, monotonic_s: Callable[[], float]) -> None:
        """Know whom to tell. `slowly` does work beside the loop."""
        self._feedback = workspace.deliveries.feedback
        self._slowly = slowly
        self._limits = workspace.limits
        self._links = RateLimit(_PER_S, monotonic_s)
        self._feeds = RateLimit(_TOLD_PER_S, monotonic_s)

    def knows(self, path: str) -> bool:
        """Say whether a path is answered here."""
        return path.startswith((_LEAVE, _TELL))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_page = scope["path"].startswith(_LEAVE)
        answer = self._leave if is_page else self._tell
        try:
            status, headers, body = await answer(scope, receive)
        except SenderGone:
            return
        except Exception as error:  # noqa: BLE001 -- the request's rim
            status, headers, body = _refused(_named(error), is_page=is_page)
        told = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _leave(self, scope: Scope, receive: Receive) -> Answer:
        token, method = scope["path"].removeprefix(_LEAVE), scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            return _not_so(page.HEADERS, "GET, HEAD, POST", is_asked=method == "OPTIONS")
        offer = await self._slowly(lambda: self._feedback.offer(token))
        # After the look: only links that are ours take a place in the table.
        if self._links.wait_s(token):
            return 429, (*page.HEADERS, (b"retry-after", b"1")), page.failed("One moment", "Please try again.")
        if method != "POST":
            return 200, page.HEADERS, page.question(offer)
        body = await self._body(scope, receive, _FORM_BYTES)
        if not _is_one_click(body):
            return 400, page.HEADERS, page.failed("Not changed", "Please open the link and press the button.")
        return 200, page.HEADERS, page.done(await self._slowly(lambda: self._feedback.unsubscribe(token)))

    async def _tell(self, scope: Scope, receive: Receive) -> Answer:
        destination, method = scope["path"].removeprefix(_TELL), scope["method"]
        if method != "POST":
            return _not_so(_JSON, "POST", is_asked=method == "OPTIONS")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await self._body(scope, receive, _TOLD_BYTES)
        taken = await self._take(destination, headers, body)
        told = {"new": taken.n_new, "known": taken.n_known, "unknown": taken.n_unknown}
        return 200, _JSON, msgspec.json.encode(told)

    async def _take(self, destination: str, headers: dict[str, str], body: bytes) -> Taken:
        feed = await self._slowly(lambda: self._feedback.admit(destination, headers, body))
        if self._feeds.wait_s(destination):
            raise TooFast
        taken: Taken = await self._slowly(lambda: self._feedback.post(feed, body))
        return taken

    async def _body(self, scope: Scope, receive: Receive, most: int) -> bytes:
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        return await receive_body(receive, declared=declared, limits=self._limits._replace(batch_bytes=most))


def create_portal(
    workspace: Workspace, *, slowly: Slowly, monotonic_s: Callable[[], float] = clock.monotonic_s
) -> Portal:
    """Make the portal of a workspace."""
    return Portal(workspace, slowly=slowly, monotonic_s=monotonic_s)


def _is_one_click(body: bytes) -> bool:
    if _FIELD.search(body):
        return True
    return page.ONE_CLICK in parse_qsl(body.decode("latin-1"))


def _not_so(headers: Sequence[Header], allowed: str, *, is_asked: bool) -> Answer:
    return (204 if is_asked else 405), (*headers, (b"allow", allowed.encode())), b""


def _named(error: Exception) -> TillitError:
    if isinstance(error, TillitError):
        return error
    place = traceback.extract_tb(error.__traceback__)[-1:]
    _log.error("internal %s in %s", type(error).__name__, f"{place[0].name}:{place[0].lineno}" if place else "unknown")
    return InternalError("Something went wrong on our side. Try again.")


def _refused(error: TillitError, *, is_page: bool) -> Answer:
    more: list[Header] = [(b"retry-after", b"1")] if error.retryable else []
    if not is_page:
        if isinstance(error, SettingsError):
            # Whoever posts is told no more than that it was not taken.
            _log.warning("feedback refused: %s", error.code)
            error = FeedRefused()
        if error.status == 401:
            more.append((b"www-authenticate", b'Basic realm="tillit"'))
        return error.status, (*_JSON, *more), msgspec.json.encode(error.as_document())
    if error.status == 404:
        return 404, page.HEADERS, page.failed("This link is not complete", "Please open it again from the message.")
    return error.status, (*page.HEADERS, *more), page.failed("That did not work", "Please try again in a moment.")
