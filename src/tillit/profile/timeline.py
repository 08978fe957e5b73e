"""The timeline: one person's events as documents, newest first.

In:    log rows of one person, and a permit.
Out:   event documents of the HTTP API.
Never: without a permit.
"""

from typing import Any

import msgspec

from tillit.clock import rfc3339
from tillit.profile.document import event_id
from tillit.records import Carried, LogRow, Scope, carried_by


class _Context(msgspec.Struct, gc=False):
    consent: Carried | None = None
    consentManagement: Any = None


class _Told(msgspec.Struct, gc=False):
    type: str = ""
    messageId: str | None = None
    event: Any = None
    name: Any = None
    properties: Any = None
    traits: Any = None
    context: Any = None


_decode = msgspec.json.Decoder(_Told).decode


def event_document(row: LogRow, scope: Scope, *, epoch: int) -> dict[str, Any] | None:
    """Give one event as a document, as far as a purpose reaches it; None when it may not be used for that at all.

    Whether the person may be read of is asked before: see `Permit`.
    Shape: {"event_id", "message_id", "type", "name", "event_at", "received_at", "source", "properties"} and "traits"
           where the event set some.
    """
    if row.position <= scope.kept_after:
        return None
    told = _decode(row.body) if row.body is not None else _Told(type="husk")
    name = told.event if told.type == "track" else told.name
    if not scope.allows_event(_carried(told.context)) or not scope.allows(f"events.{name or told.type}"):
        return None
    document = {
        "event_id": event_id(row.position, epoch),
        "message_id": told.messageId,
        "type": told.type,
        "name": name,
        "event_at": rfc3339(row.event_at),
        "received_at": rfc3339(row.received_at),
        "source": row.source,
        "properties": told.properties if isinstance(told.properties, dict) else {},
    }
    if isinstance(told.traits, dict):
        document["traits"] = {name: value for name, value in told.traits.items() if scope.allows(f"traits.{name}")}
    return document


def reaches(row: LogRow, scope: Scope) -> bool:
    """Say whether a purpose reaches an event, by its age, by what it carries of consent and by its name."""
    if row.position <= scope.kept_after:
        return False
    if scope.fields is None and (row.body is None or b'"consent' not in row.body):
        return True
    return event_document(row, scope, epoch=0) is not None


# What an event says beside what a purpose may name. `context` is left out: it holds whatever a sender puts there.
_PLAIN = ("type", "messageId", "event", "name", "timestamp", "receivedAt", "properties", "operator", "reason", "of")
_NAMED = {"userId": "identifiers.user_id", "anonymousId": "identifiers.anonymous_id", "groupId": "groups",
          "text": "notes"}  # fmt: skip


def reduce_row(row: LogRow, scope: Scope) -> LogRow:
    """Give an event as the log holds it, with no more than the fields that a purpose names; all when it reaches all."""
    if scope.fields is None or row.body is None:
        return row
    said = msgspec.json.decode(row.body)
    told = {name: said[name] for name in _PLAIN if name in said}
    told |= {name: said[name] for name, field in _NAMED.items() if name in said and scope.allows(field)}
    if isinstance(said.get("traits"), dict):
        part = "groups" if said.get("type") == "group" else "traits"
        told["traits"] = {name: value for name, value in said["traits"].items() if scope.allows(f"{part}.{name}")}
    if isinstance(said.get("identifiers"), list):
        told["identifiers"] = [one for one in said["identifiers"] if scope.allows(f"identifiers.{one[0]}")]
    return row._replace(body=msgspec.json.encode(told, order="deterministic"))


def _carried(context: Any) -> str:
    if not isinstance(context, dict) or not (context.keys() & {"consent", "consentManagement"}):
        return ""
    consent = context.get("consent")
    told = Carried(consent.get("categoryPreferences")) if isinstance(consent, dict) else None
    return carried_by(_Context(told, context.get("consentManagement")))
