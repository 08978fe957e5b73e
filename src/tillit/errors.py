"""The errors of Tillit, sorted by who must act.

In:    facts (a field, a row number, a setting), never a personal value.
Out:   exceptions with a stable dotted code, one message, and the HTTP status and exit code of their family.
Never: a personal value, a secret or a stack trace in a message.

    TillitError
      InputError      the sender must change the data        400   exit 2
      NotFound        there is no such thing                 404   exit 2
      SettingsError   the operator must change a setting     500   exit 3
      RefusedError    the person or the law says no          403   exit 4
      BusyError       nobody: try again (retryable = True)   503   exit 5
      InternalError   we must fix a bug                      500   exit 1
"""

from typing import ClassVar


class TillitError(Exception):
    """Something went wrong that we can name."""

    code: str = "tillit.error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, **details: object) -> None:
        """Compose an error from a message and the facts behind it (kept in `details`)."""
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.details = details

    def as_document(self) -> dict[str, object]:
        """Give the one JSON shape that every door answers with."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


class InputError(TillitError):
    """The sender must change the data."""

    code = "input.invalid"
    status = 400
    exit_code = 2


class NotFound(InputError):
    """There is no such thing here."""

    code = "input.not-found"
    status = 404


class SettingsError(TillitError):
    """The operator must change a setting."""

    code = "settings.invalid"
    exit_code = 3


class RefusedError(TillitError):
    """The person, the law or the key says no."""

    code = "refused"
    status = 403
    exit_code = 4


class BusyError(TillitError):
    """Nobody did wrong: try again."""

    code = "busy"
    status = 503
    exit_code = 5
    retryable = True


class InternalError(TillitError):
    """We must fix a bug."""

    code = "internal"


class MissingExtra(SettingsError):
    """An optional package is needed for this and is not installed."""

    code = "settings.missing-extra"

    def __init__(self, extra: str, what: str) -> None:
        """Name the extra and the exact line that installs it."""
        super().__init__(f"{what} needs an optional part. Install it: pip install 'tillit[{extra}]'.", extra=extra)
