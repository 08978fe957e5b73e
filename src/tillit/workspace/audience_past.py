"""As of: the instant for which somebody asks who was in an audience.

In:    a day or an instant as text, or UTC epoch microseconds; what time it is.
Out:   UTC epoch microseconds.
Never: an instant that has not come yet: nobody knows who will be in it.
"""

from tillit.clock import DAY, instant, rfc3339
from tillit.errors import InputError

AsOf = str | int  # a day, an instant (RFC 3339), or UTC epoch microseconds


class AsOfUnreadable(InputError):
    """The instant for which an audience is asked cannot be read."""

    code = "audience.as-of-unreadable"

    def __init__(self) -> None:
        """Say how it is written."""
        super().__init__(
            "`as_of` is a day such as 2026-11-01, which means its beginning in UTC, or an instant such as "
            "2026-11-01T10:00:00Z."
        )


class AsOfFuture(InputError):
    """The instant for which an audience is asked has not come yet."""

    code = "audience.as-of-future"

    def __init__(self, at: int, now: int) -> None:
        """Say both."""
        super().__init__(
            f"`as_of` is {rfc3339(at)}, and it is {rfc3339(now)}: who will be in it nobody knows. Ask for an instant "
            "that has passed, or leave it out to ask for now."
        )


def read_as_of(as_of: AsOf, now: int) -> int:
    """Read an instant that has passed. Raises AsOfUnreadable, AsOfFuture."""
    at = as_of if isinstance(as_of, int) else instant(as_of.strip())
    if at is None:
        raise AsOfUnreadable
    if at > now:
        raise AsOfFuture(at, now)
    return at


def end_of_day(text: str, now: int) -> int:
    """Read a day and give its last instant in UTC, or now when it is today. Raises AsOfUnreadable, AsOfFuture."""
    at = instant(text.strip())
    if at is None or at % DAY:
        raise AsOfUnreadable
    return min(read_as_of(at, now) + DAY - 1, now)
