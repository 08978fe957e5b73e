"""Requests: that a message is to be sent to somebody, as an event of the log; and what came of it, as another.

In:    a template, whom it is for, what it says besides; a delivery that ended.
Out:   log rows; a request read again.
Never: a request that a source's key could send: no door takes this source at this trust.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.records import KIND_EVENT, TRUST_OPERATOR, LogRow, NewRow, message_hash

SOURCE = "deliver"
REQUESTED = "Message Requested"
SENT, DELIVERED, BOUNCED, WITHHELD, COMPLAINED, UNSUBSCRIBED = (
    "Message Sent",
    "Message Delivered",
    "Message Bounced",
    "Message Withheld",
    "Message Complained",
    "Message Unsubscribed",
)
_MOST_DATA = 16_384  # bytes: an event may have twice as many


class RequestInvalid(InputError):
    """A message cannot be asked for like this."""

    code = "deliver.request-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong, never a value."""
        super().__init__(f"The message was not taken: {why}")


class Request(NamedTuple):
    """What somebody asked to be sent. Grain: one per request in the log."""

    position: int
    asked_at: int  # UTC epoch microseconds
    template: str
    namespace: str
    value: str
    data: Mapping[str, Any]
    asked_by: str
    of: str  # the profile id of whoever was known by it then; empty: nobody was


class _About(msgspec.Struct):
    template: str
    to: tuple[str, str]
    data: dict[str, Any] = {}
    asked_by: str = ""
    of: str = ""


class _Said(msgspec.Struct):
    event: str
    properties: _About


_decode = msgspec.json.Decoder(_Said).decode


def request_row(
    template: str,
    who: tuple[str, str],
    data: Mapping[str, Any],
    *,
    of: str,
    asked_by: str,
    message_id: str,
    now: int,
) -> NewRow:
    """Write a request for the log.

    Units:  now is UTC epoch microseconds.
    Raises: RequestInvalid when its data are too large.
    """
    about = {"template": template, "to": list(who), "data": dict(data), "asked_by": asked_by, "of": of}
    if len(msgspec.json.encode(about["data"])) > _MOST_DATA:
        raise RequestInvalid(f"its data are over {_MOST_DATA:,} bytes. Send what the template shows, no more.")
    return event_row(REQUESTED, who, about, message_id=message_id, now=now)


def event_row(name: str, who: tuple[str, str], about: Mapping[str, Any], *, message_id: str, now: int) -> NewRow:
    """Write an event of ours about whoever holds an identifier."""
    told = {
        "type": "track",
        "event": name,
        **_naming(*who),
        "properties": dict(about),
        "messageId": message_id,
        "timestamp": rfc3339(now),
        "receivedAt": rfc3339(now),
    }
    digest = message_hash(SOURCE, message_id)
    return NewRow(KIND_EVENT, SOURCE, TRUST_OPERATOR, now, now, digest, msgspec.json.encode(told))


def read_request(row: LogRow) -> Request | None:
    """Read a request of the log; None when the row is none, or was forgotten."""
    if row.source != SOURCE or row.trust != TRUST_OPERATOR or row.body is None:
        return None
    try:
        said = _decode(row.body)
    except msgspec.MsgspecError:
        return None
    about = said.properties
    return Request(row.position, row.event_at, about.template, *about.to, about.data, about.asked_by, about.of)


def _naming(namespace: str, value: str) -> dict[str, Any]:
    if namespace == "user_id":
        return {"userId": value}
    if namespace == "anonymous_id":
        return {"anonymousId": value}
    if namespace in {"email", "phone"}:
        return {"context": {"traits": {namespace: value}}}
    return {"context": {"externalIds": [{"type": namespace, "id": value}]}}
