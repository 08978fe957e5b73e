"""Mapping: what leaves of a person or an event, by the recipient's names.

In:    a destination's fields; a person's document and an event, both already reduced to what the purpose may know.
Out:   a payload, and the names of the fields that it tells something of.
Never: a field that is not mapped. What is not known, or may not be, is null: a copy elsewhere is then emptied of it.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from tillit.deliver.definitions import Destination

_encode = msgspec.json.Encoder(order="deterministic").encode


class Mapped(NamedTuple):
    """What would leave."""

    payload: dict[str, Any]
    fields: tuple[str, ...]  # as purposes name them, sorted: those that tell something

    def hash(self, secret: bytes) -> bytes:
        """Give 16 bytes that change when the payload does, and tell nothing of it without the secret."""
        return blake2b(_encode(self.payload), digest_size=16, key=secret[:64]).digest()


def reached_fields(destination: Destination) -> tuple[str, ...]:
    """Name what a destination maps, as purposes name it: what its purpose must reach."""
    return tuple(sorted({_reached(ours) for ours in destination.fields.values()} - {""}))


def map_fields(destination: Destination, document: Mapping[str, Any], event: Mapping[str, Any] | None) -> Mapped:
    """Map a document, and an event if one is sent.

    `event`: {"name", "at", "key", "source", "properties"}.
    """
    payload: dict[str, Any] = {}
    told: set[str] = set()
    for theirs, ours in destination.fields.items():
        value = _value(ours, document, event)
        payload[theirs] = value
        if value is not None and (reached := _reached(ours)):
            told.add(reached)
    if event is not None:
        told.add("events")
    return Mapped(payload, tuple(sorted(told)))


def _reached(ours: str) -> str:
    part, _, _ = ours.partition(".")
    return {"profile": "", "event": "events", "properties": "events"}.get(part, ours)


def _value(ours: str, document: Mapping[str, Any], event: Mapping[str, Any] | None) -> Any:
    part, _, name = ours.partition(".")
    if part == "profile":
        return document["id"]
    if part == "traits":
        held = document["traits"].get(name)
        return held["value"] if held is not None else None
    if part == "identifiers":
        return next((one["value"] for one in document["identifiers"] if one["namespace"] == name), None)
    if event is None:
        return None
    return event.get(name) if part == "event" else event["properties"].get(name)
