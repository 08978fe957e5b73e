"""The seam to a destination: what is handed to it, and what it answers.

In:    nothing.
Out:   the records that couriers and destinations exchange; the protocol of a destination.
Never: leave. What comes here has passed the last gate.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

# What an attempt came to.
DELIVERED = "delivered"
REFUSED = "refused"  # by the recipient, for good: this one alone
LATER = "later"  # nothing was kept there; try again
HALTED = "halted"  # nobody can be sent to until somebody mends the destination
UNKNOWN = "unknown"  # it may have been kept there

# What leaves.
EVENT, UPSERT, REMOVE, MESSAGE = "event", "upsert", "remove", "message"

LONGEST_WORDS = 500


class Mail(NamedTuple):
    """One rendered e-mail, not yet written down as bytes."""

    sender: str  # as in the From header: a name and an address
    recipient: str  # the address alone
    reply_to: str
    subject: str
    text: str
    html: str  # empty: plain text alone
    unsubscribe_url: str  # empty: no List-Unsubscribe headers
    is_marketing: bool


class Outgoing(NamedTuple):
    """One thing that has leave to go."""

    key: str  # idempotency key, 32 hex digits: the same in every attempt, and in every duplicate
    kind: str  # event, upsert, remove, message
    record_key: str  # what it is about, there: a profile id, or the key of an event
    name: str  # event: its name; message: the template; else empty
    payload: Mapping[str, Any]  # the mapped fields, by the recipient's names; of a removal: empty
    at: int  # UTC epoch microseconds: the instant of what it tells (event_at, or the moment of the decision)
    mail: Mail | None = None  # of a message by e-mail
    is_again: bool = False  # an attempt before may have been kept there
    membership: Mapping[str, str] | None = None  # of a person of an audience: which, since when, until when, why


class Answer(NamedTuple):
    """What one attempt came to. Grain: one per Outgoing."""

    outcome: str
    code: str = ""  # ours, stable and short: "http.503", "smtp.550-5.1.1", "connect.refused", "table.constraint"
    words: str = ""  # the recipient's own, at most LONGEST_WORDS; may hold a personal value
    retry_after_s: float | None = None  # the recipient asked for so long a pause
    has_left: bool = True  # whether values may have reached the recipient; False: nothing was written to the wire
    reference: str = ""  # what the recipient calls it
    bad_address: bool = False  # the address itself is refused for good (SMTP 5.1.1 and its like)


class Checked(NamedTuple):
    """Whether a destination can be reached, without sending anybody's values."""

    is_well: bool
    words: str
    took_ms: float


class Wire(Protocol):
    """A destination, open. Each method raises nothing but programming errors: what goes wrong is an answer."""

    is_idempotent: bool  # the recipient honours `key`: the same may be sent again
    n_together: int  # items that one call of send or remove may take

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Send; one answer per item, in order. An item that may have been applied is UNKNOWN, never LATER."""
        ...

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Take back what was sent under `record_key`; what is not there is removed already."""
        ...

    async def check(self) -> Checked:
        """Reach the destination without sending anybody's values."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def cut_words(words: str) -> str:
    """Shorten a recipient's words for keeping: one line, no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in words[: 4 * LONGEST_WORDS]).split())[:LONGEST_WORDS]
