"""The gate at the door: an event that by its own words may be used for nothing its source collects for is not kept.

In:    the policy, a row as the door made it.
Out:   what the log keeps instead, or nothing to say.
Never: a look at who the person is: the door knows no state. What hangs on that is judged where it is read.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tillit.consent.policy import Declared, Purpose
from tillit.consent.statements import PREFERENCE_EVENTS
from tillit.records import GPC, LISTED_BASES, WITHHELD_BODY, Carried, NewRow, carried_allows, carried_by


class _Context(msgspec.Struct, gc=False):
    consent: Carried | None = None
    consentManagement: Any = None
    gpc: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    event: Any = None
    context: _Context | None = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_any = msgspec.json.Decoder().decode
# What is kept of a choice that came with an event of which nothing else may be.
_OF_A_CHOICE = ("type", "event", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp", "receivedAt")
_SAID = ("purposes", "channels", "valid_until", "by", "method", "notice", "served", "evidence", "jurisdiction")


def leaves_to(purpose: Purpose, basis: str, carried: str, *, refuses_sale: bool) -> bool:
    """Say whether an event's own words leave it to a purpose on a ground: what it carries, and its browser's signal."""
    is_stopped = refuses_sale and GPC in purpose.signals and basis in LISTED_BASES
    return not is_stopped and carried_allows(carried, basis, purpose.categories)


def gate_of(declared: Declared) -> Callable[[NewRow], bytes | None] | None:
    """Give what withholds events at the door; None where every source may collect for everything."""
    sources = declared.policy.sources
    if not sources:
        return None

    def withholds(row: NewRow) -> bytes | None:
        named = sources.get(row.source)
        if named is None:
            return None
        try:
            event = _decode(row.body)
        except msgspec.MsgspecError:
            return WITHHELD_BODY  # what cannot be read gives nothing
        context = event.context
        carried = carried_by(context)
        refuses_sale = context is not None and context.gpc is True
        for name in named:
            purpose = declared.purposes[name]
            if leaves_to(purpose, purpose.basis, carried, refuses_sale=refuses_sale):
                return None
        is_choice = event.type == "track" and isinstance(event.event, str) and event.event in PREFERENCE_EVENTS
        return _choice_alone(row.body) if is_choice else WITHHELD_BODY

    return withholds


def _choice_alone(body: bytes) -> bytes:
    """Keep of an event what it says of consent, and nothing that travelled along."""
    told = _decode_any(body)
    about = told.get("properties")
    context = told.get("context")
    kept = {name: told[name] for name in _OF_A_CHOICE if name in told}
    if isinstance(about, dict):
        kept["properties"] = {name: about[name] for name in _SAID if name in about}
    if isinstance(context, dict):
        kept["context"] = {name: context[name] for name in ("consent", "consentManagement", "gpc") if name in context}
    return msgspec.json.encode(kept)
