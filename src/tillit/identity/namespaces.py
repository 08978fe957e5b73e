"""Namespaces: which handles there are, how strong each is, how a value is written, which values are no handle.

In:    an event as the log holds it.
Out:   its identifiers, strongest first.
Never: a guess. A value that fails its validator is not an identifier; the event keeps it as it came.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from tillit.records import IDENTITY_ACT_TYPES, OrderNumbers

DEVICE_RANK = 9
ALIAS_RANK = -1  # marks the previous id of an alias call until it is known what it is


class Namespace(NamedTuple):
    """One kind of handle."""

    name: str
    rank: int  # lower is stronger
    normalise: Callable[[str], str | None]  # None: not a handle

    @property
    def is_device(self) -> bool:
        """Say whether a handle of this kind belongs to a thing that people share and pass on."""
        return self.rank == DEVICE_RANK


# What programs send when they have no id. From PostHog's list of illegal ids (reference: collection.md, section 1.3).
BLOCKED_VALUES = frozenset(
    "null none nil undefined unknown anonymous guest nan infinity true false 0 -1 distinct_id distinctid id "
    "not_authenticated email user test n/a na - _ 00000000-0000-0000-0000-000000000000".split()
) | {"[object object]"}

_EMAIL = re.compile(r"[^@\s\x00-\x1f,;<>()\[\]\"\\]{1,64}@[^@\s\x00-\x1f.,;]+(?:\.[^@\s\x00-\x1f.,;]+)+")
_NOT_DIGITS = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_EXTERNAL = re.compile(r"[a-z][a-z0-9_.]{0,63}")


def _plain(value: str) -> str | None:
    value = value.strip()
    # NUL: PostgreSQL's text cannot hold it, and both engines must know the same people.
    if not value or len(value) > 256 or "\0" in value or value.lower() in BLOCKED_VALUES:
        return None
    return value


def _email(value: str) -> str | None:
    # NFKC folds full-width letters; letters of another script stay different, so look-alikes never join.
    value = unicodedata.normalize("NFKC", value.strip()).lower()
    return value if len(value) <= 254 and _EMAIL.fullmatch(value) else None


def _phone(value: str) -> str | None:
    digits = _NOT_DIGITS.sub("", value.strip())
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    bare = digits.removeprefix("+")
    # 7 to 15 digits: E.164 allows 15; fewer than 7 is a short code.
    if not (bare.isascii() and bare.isdigit() and 7 <= len(bare) <= 15) or len(set(bare)) == 1:
        return None
    return digits


USER_ID = Namespace("user_id", 0, _plain)
EMAIL = Namespace("email", 2, _email)
PHONE = Namespace("phone", 3, _phone)
ANONYMOUS_ID = Namespace("anonymous_id", DEVICE_RANK, _plain)
# How many of one kind a person may have before more are held for somebody else's: a test address at the till, a shop's
# own number, would otherwise gather everybody. Taste; Segment's default is 5. User ids have a rule of their own.
LIMITS = {"email": 5, "phone": 5}
OTHER_LIMIT = 20
# Segment's names of handles that belong to a device.
_DEVICES = frozenset(
    "android.id android.idfa android.push_token ios.id ios.idfa ios.push_token ga_client_id cross_domain_id".split()
)
_BUILT_IN = {ns.name: ns for ns in (USER_ID, EMAIL, PHONE, ANONYMOUS_ID)}


@lru_cache(maxsize=4096)
def namespace(name: str) -> Namespace | None:
    """Give the namespace of this name, or None when no handle can be called so."""
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in
    if not _EXTERNAL.fullmatch(name):
        return None
    return Namespace(name, DEVICE_RANK if name in _DEVICES else 1, _plain)


class _SaidTraits(msgspec.Struct, gc=False):
    email: Any = None
    phone: Any = None


class Context(msgspec.Struct, gc=False):
    """What the fold reads of an event's context."""

    traits: _SaidTraits | None = None
    externalIds: Any = None


class Event(msgspec.Struct, gc=False):
    """What the fold reads of an event's body; the rest stays in the log."""

    type: str
    event: Any = None
    name: Any = None
    userId: str | None = None
    anonymousId: str | None = None
    previousId: str | None = None
    traits: Any = None
    context: Context | None = None
    properties: OrderNumbers | None = None
    # Of husks what survived, each at the place it had, null where one went; of identity acts the two they are about.
    identifiers: Any = None


_decode = msgspec.json.Decoder(Event).decode
_decode_any = msgspec.json.Decoder().decode


def read_event(body: bytes) -> Event:
    """Read one event of the log.

    A `context.traits` that is no object tells nobody's e-mail, `properties` that are none tell no order; neither costs
    anything else.
    Raises: msgspec.DecodeError when the body is no event at all.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        told = _decode_any(body)
        if not isinstance(told, dict):
            raise
        mended = dict(told)
        if not isinstance(told.get("properties"), dict):
            mended["properties"] = None
        context = told.get("context")
        if isinstance(context, dict) and not isinstance(context.get("traits"), dict):
            mended["context"] = {**context, "traits": None}
        if mended == told:
            raise
        return msgspec.convert(mended, Event)


class Handle(NamedTuple):
    """One identifier as an event gave it, normalised."""

    rank: int
    namespace: str
    value: str


def parse(text: str) -> Handle | None:
    """Read `namespace:value` as people write it; None when it is no handle.

    >>> parse("email: Ana@Example.org")
    Handle(rank=2, namespace='email', value='ana@example.org')
    """
    name, colon, value = text.partition(":")
    kind = namespace(name) if colon else None
    written = kind.normalise(value) if kind is not None else None
    return Handle(kind.rank, kind.name, written) if kind is not None and written is not None else None


def handle(name: str, value: object) -> Handle | None:
    """Normalise one value of one namespace; None when it is no handle."""
    kind = namespace(name)
    if kind is None or not isinstance(value, str):
        return None
    written = kind.normalise(value)
    return Handle(kind.rank, kind.name, written) if written is not None else None


_cached_handle = lru_cache(maxsize=65_536)(handle)


def handles_of(event: Event) -> list[Handle]:
    """Give an event's identifiers, strongest first, each once. At most 60; the weakest are dropped.

    An alias call's previous id comes last, with rank ALIAS_RANK: what it is depends on what is known.
    """
    found: list[Handle] = []
    if event.type == "husk" or event.type in IDENTITY_ACT_TYPES:
        pairs = event.identifiers if isinstance(event.identifiers, list) else []
        return [h for pair in pairs if pair and (h := handle(str(pair[0]), pair[1])) is not None]
    if event.userId is not None and (h := _cached_handle("user_id", event.userId)) is not None:
        found.append(h)
    # Before other devices: every event of an SDK carries it, an advertising id comes and goes.
    if event.anonymousId is not None and (h := _cached_handle("anonymous_id", event.anonymousId)) is not None:
        found.append(h)
    said = event.traits if event.type == "identify" and isinstance(event.traits, dict) else None
    context = event.context
    if said is not None:
        for name in ("email", "phone"):
            if name in said and (h := handle(name, said[name])) is not None:
                found.append(h)
    if context is not None:
        if context.traits is not None:
            for name, value in (("email", context.traits.email), ("phone", context.traits.phone)):
                if value is not None and (h := handle(name, value)) is not None:
                    found.append(h)
        if isinstance(context.externalIds, list):
            for item in context.externalIds[:50]:
                if isinstance(item, dict) and (h := handle(str(item.get("type", "")), item.get("id"))) is not None:
                    found.append(h)
    if len(found) > 2 or (len(found) == 2 and found[0].rank >= found[1].rank):
        # Of one strength the first said comes first: a user id among the external ids never outranks the event's own.
        found = sorted(dict.fromkeys(found), key=itemgetter(0))[:60]
    if event.type == "alias" and event.previousId is not None:
        previous = _plain(event.previousId)
        if previous is not None and previous != event.userId:
            found.append(Handle(ALIAS_RANK, "previous", previous))
    return found
