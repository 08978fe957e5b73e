"""Rows for the store's tests.

In:    a position and what the event says.
Out:   log rows as the door would have made them.
Never: a random value or the clock.
"""

from hashlib import blake2b
from typing import Any

import msgspec

from tillit.records import KIND_EVENT, TRUST_CLAIMED, LogRow

BEGINNING = 1_770_000_000_000_000  # UTC epoch microseconds, a day in February 2026


def event_row(position: int, *, source: str = "web", event: str = "Product Viewed", **fields: Any) -> LogRow:
    """Make the log row of one track call."""
    message_id = f"message-{position}"
    body: dict[str, Any] = {"type": "track", "messageId": message_id, "event": event}
    body |= {"userId" if name == "user_id" else "anonymousId" if name == "anonymous_id" else name: value
             for name, value in fields.items()}  # fmt: skip
    at = BEGINNING + position * 1_000
    message_hash = blake2b(f"{source}\0{message_id}".encode(), digest_size=16).digest()
    return LogRow(
        position, at + 2, KIND_EVENT, source, TRUST_CLAIMED, at + 1, at, message_hash, msgspec.json.encode(body)
    )
