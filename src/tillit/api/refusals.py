"""What the API says no with, and how any error becomes the one shape of answers.

In:    errors of ours, of Litestar, of Python.
Out:   `{"error": {"code", "message", "details"}}` with a status.
Never: a value that somebody sent, a trace, a path.
"""

import logging
import re
import traceback
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from tillit.errors import BusyError, InputError, InternalError, NotFound, RefusedError, TillitError

_log = logging.getLogger("tillit.api")
encode = msgspec.json.Encoder().encode


class NoSuchRoute(NotFound):
    """There is no such route."""

    code = "api.no-such-route"

    def __init__(self) -> None:
        """Say where the routes are listed."""
        super().__init__("There is no such route. /api/docs lists all there are.")


class MethodNotAllowed(InputError):
    """The route does not take this method."""

    code = "api.method-not-allowed"
    status: ClassVar[int] = 405

    def __init__(self, allowed: list[str]) -> None:
        """Name the methods it takes."""
        super().__init__(f"This route takes {', '.join(allowed)}.", allowed=allowed)


class BadRequest(InputError):
    """A parameter or a field of the body is missing, unknown or wrong."""

    code = "api.bad-request"


class UnknownParameter(InputError):
    """The address names a parameter that the route does not have."""

    code = "api.unknown-parameter"

    def __init__(self, known: list[str]) -> None:
        """List the parameters there are; what was sent is not repeated."""
        listed = ", ".join(known) if known else "none"
        super().__init__(f"The address has a parameter that this route does not know. It knows: {listed}.", known=known)


class QuestionTooLarge(InputError):
    """The body is larger than any question."""

    code = "api.body-too-large"
    status: ClassVar[int] = 413

    def __init__(self, most_bytes: int) -> None:
        """Say how large it may be."""
        super().__init__(f"The body may hold {most_bytes} bytes.", most_bytes=most_bytes)


class KeyNeeded(RefusedError):
    """No key came along, or one that is unknown or revoked."""

    code = "api.no-key"
    status: ClassVar[int] = 401

    def __init__(self) -> None:
        """Say how a key is sent and made."""
        super().__init__(
            "A living key is needed: `Authorization: Bearer KEY`. Make one: `tillit keys create --kind api`."
        )


class WrongKind(RefusedError):
    """The key is not one for reading."""

    code = "api.wrong-kind"

    def __init__(self, kind: str) -> None:
        """Say which kind it is."""
        super().__init__(f"This is a {kind} key: it can only send events. Use a key of kind api.", kind=kind)


class PurposeNotAllowed(RefusedError):
    """The key may not read for this purpose."""

    code = "api.purpose-not-allowed"

    def __init__(self, purposes: Sequence[str]) -> None:
        """Say for which it may."""
        super().__init__(
            f"This key reads for {', '.join(purposes)} and for nothing else. Make one for the purpose: `tillit keys "
            "create --purpose …`.",
            purposes=list(purposes),
        )


class MissingScope(RefusedError):
    """The key lacks a scope."""

    code = "api.missing-scope"

    def __init__(self, scopes: list[str]) -> None:
        """Name what is lacking."""
        super().__init__(f"The key lacks {', '.join(scopes)}. Make one that has it.", scopes=scopes)


class RateLimited(BusyError):
    """The key has asked too much."""

    code = "api.rate-limited"
    status: ClassVar[int] = 429

    def __init__(self, retry_after_s: int, per_minute: int) -> None:
        """Say how long to wait."""
        self.retry_after_s = retry_after_s
        super().__init__(
            f"The key may ask {per_minute} times a minute. Try again in {retry_after_s} s, "
            "or raise [api] rate_per_minute.",
            retry_after_s=retry_after_s,
            per_minute=per_minute,
        )


class TooManyStreams(BusyError):
    """The key holds as many streams as one key may."""

    code = "api.too-many-streams"
    status: ClassVar[int] = 429

    def __init__(self, most: int) -> None:
        """Say how many that is."""
        super().__init__(f"The key already holds {most} streams. Close one first.", most=most)


class FoldStopped(BusyError):
    """The fold does not run, so profiles do not follow the log."""

    code = "api.fold-stopped"


class FoldBehind(BusyError):
    """The fold is far behind the log, or stands still."""

    code = "api.fold-behind"


class LogSlow(BusyError):
    """The log did not take a trial write in time."""

    code = "api.log-slow"

    def __init__(self, waited_s: float) -> None:
        """Say how long was waited."""
        super().__init__(f"The log did not take a trial write within {waited_s:.0f} s. Check the disk.")


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`$][^`]*`")
_MISSING = re.compile(r"Missing required query parameter '([a-z]{1,32})'")
_PLACE = re.compile(r"`\$\.?([^`]*)`$")


def answer(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Give any error its answer. This is the API's rim: what nobody named is logged by type and place."""
    ours = named(error)
    headers = {}
    if isinstance(ours, KeyNeeded):
        headers["WWW-Authenticate"] = 'Bearer realm="tillit"'
    if isinstance(ours, RateLimited):
        headers["Retry-After"] = str(ours.retry_after_s)
    elif ours.retryable:
        headers["Retry-After"] = "1"
    if isinstance(ours, MethodNotAllowed):
        headers["Allow"] = ", ".join(ours.details["allowed"])  # type: ignore[arg-type]  # a list of texts
    return Response(encode(ours.as_document()), status_code=ours.status, media_type=MediaType.JSON, headers=headers)


def named(error: Exception) -> TillitError:
    """Turn any error into one of ours, without a value of the request."""
    if isinstance(error, TillitError):
        return error
    if isinstance(error, (ValidationException, SerializationException)):
        if lacking := _MISSING.match(error.detail):
            return BadRequest(f"The address lacks the parameter `{lacking[1]}`. /api/docs has examples.")
        problems = list(_problems(error))
        said = " ".join(f"{one['field']}: {one['problem']}" for one in problems if "field" in one)
        return BadRequest(
            f"The request is not as the route wants it. {said} /api/docs has examples.".replace("  ", " "),
            problems=problems,
        )
    if isinstance(error, HTTPException):
        return _named_by_status(error)
    place = traceback.extract_tb(error.__traceback__)[-1:]
    if isinstance(error, RecursionError) and place and place[0].name == "decode_json":
        return BadRequest("The body is nested too deeply. /api/docs has examples.")
    where = f"{place[0].name}:{place[0].lineno}" if place else "unknown"
    _log.error("internal %s in %s", type(error).__name__, where)
    return InternalError("Something went wrong on our side. The server's log names the place; try again or report it.")


def _named_by_status(error: HTTPException) -> TillitError:
    if error.status_code == 404:
        return NoSuchRoute()
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "").split(", ")
        return MethodNotAllowed(sorted(method for method in allowed if method and method != "OPTIONS"))
    if error.status_code == 413:
        return QuestionTooLarge(MAX_BODY_BYTES)
    if error.status_code < 500:
        return BadRequest("The request cannot be read. Send JSON as /api/docs shows it.")
    return InternalError("Something went wrong on our side. The server's log names the place; try again or report it.")


MAX_BODY_BYTES = 65_536  # questions are short; only replay lists ids by the hundred


def _problems(error: ValidationException | SerializationException) -> list[dict[str, str]]:
    told = []
    extra = getattr(error, "extra", None)
    for one in extra if isinstance(extra, list) else []:
        message = str(one.get("message", ""))
        place = _PLACE.search(message)
        problem = {"problem": _safe(message)}
        field = str(one.get("key") or (place.group(1) if place else ""))
        # A field of ours is a short name; anything else is a text that somebody sent.
        if re.fullmatch(r"[a-z_]{1,32}(\[\.*\d*\])?", field) and "unknown field" not in message:
            problem["field"] = field
        if field == "data":
            problem = {"problem": "The body is missing, or is not the JSON object that the route wants."}
        told.append(problem)
    return told or [{"problem": "The body is not the JSON that the route wants."}]


def _safe(message: str) -> str:
    """Leave out whatever is quoted in a message of a library: it may be a value."""
    if "unknown field" in message:
        return "There is a field that this route does not know."
    text = message.partition(" - at `$")[0]
    return _QUOTED.sub(lambda found: found[0] if found[0][1:-1] in _TYPE_WORDS else "what was sent", text)[:200]


_TYPE_WORDS = frozenset("int str bool array object null float int|null str|null bool|null array|null".split()) | {
    "int | null",
    "str | null",
    "array | null",
}
