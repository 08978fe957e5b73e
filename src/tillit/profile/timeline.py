"""The timeline: one person's events as documents, newest first.

In:    log rows of one person, and a permit.
Out:   event documents of the HTTP API.
Never: without a permit.
"""

from typing import Any

import msgspec

from tillit.clock import rfc3339
from tillit.profile.document import event_id
from tillit.records import LogRow, Permit


class _Told(msgspec.Struct, gc=False):
    type: str = ""
    messageId: str | None = None
    event: Any = None
    name: Any = None
    properties: Any = None
    traits: Any = None


_decode = msgspec.json.Decoder(_Told).decode


def event_document(row: LogRow, permit: Permit, *, epoch: int) -> dict[str, Any]:
    """Give one event as a document.

    Shape: {"event_id", "message_id", "type", "name", "event_at", "received_at", "source", "properties"} and "traits"
           where the event set some.
    """
    del permit  # proof that the caller asked; the timeline shows what the purpose's reader may see whole
    told = _decode(row.body) if row.body is not None else _Told(type="husk")
    document = {
        "event_id": event_id(row.position, epoch),
        "message_id": told.messageId,
        "type": told.type,
        "name": told.event if told.type == "track" else told.name,
        "event_at": rfc3339(row.event_at),
        "received_at": rfc3339(row.received_at),
        "source": row.source,
        "properties": told.properties if isinstance(told.properties, dict) else {},
    }
    if isinstance(told.traits, dict):
        document["traits"] = told.traits
    return document
