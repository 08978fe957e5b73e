"""Namespaces: how an event names somebody, how a value is written, which values are no handle.

In:    an event as the log holds it, a value as it came.
Out:   the fields that name identifiers; values in one spelling.
Never: a guess. A value that fails its validator is not an identifier; the event keeps it as it came.
"""

import re
import unicodedata
from typing import Any, NamedTuple

import msgspec

from tillit.records import Carried, OrderNumbers

ALIAS_RANK = -1  # marks the previous id of an alias call until it is known what it is
# Below it an identifier stands for a person; from it on for a thing that people pass on, which one of them holds at a
# time; from SHARED_RANK on for something that many have at once: it joins nobody and nobody holds it.
DEVICE_RANK = 2_000
SHARED_RANK = 3_000
# identifier_id = position of its first sight * PLACES + which of the event's fields named it: user id 0, anonymous id
# 1, e-mail and phone in traits 2 and 3, in the context 4 and 5, then these.
EXTERNAL_PLACE, MAX_EXTERNAL = 6, 50
ADDRESS_PLACE = 56
PROVEN_PLACE, MAX_PROVEN = 57, 5  # the subject of an identity token, and what else it names
ALIAS_PLACE = 63

PLACES = 64

# What programs send when they have no id. From PostHog's list of illegal ids (reference: collection.md, section 1.3).
BLOCKED_VALUES = frozenset(
    "null none nil undefined unknown anonymous guest nan infinity true false -1 distinct_id distinctid id "
    "not_authenticated email user test n/a na _".split()
) | {"[object object]"}

_EMAIL = re.compile(r"[^@\s\x00-\x1f,;<>()\[\]\"\\]{1,64}@[^@\s\x00-\x1f.,;]+(?:\.[^@\s\x00-\x1f.,;]+)+")
_NOT_DIGITS = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_SPACES = re.compile(r"\s+")
_ADDRESS = (("street", "line1", "address1"), ("postalCode", "postal_code", "zip"), ("city",), ("country",))


def founded_at(identifier_id: int) -> int:
    """Give the position of the event that named an identifier first."""
    return identifier_id // PLACES


def is_for_nobody(value: str) -> bool:
    """Say whether a value without space around it is what programs send when they have no id.

    >>> is_for_nobody("NULL"), is_for_nobody("000-000"), is_for_nobody("100")
    (True, True, False)
    """
    return value.lower() in BLOCKED_VALUES or not value.strip("0-")


def is_of_group(external: dict[str, Any]) -> bool:
    """Say whether one of an event's external ids is a group's, as Segment marks it: its members are no one person."""
    return external.get("collection") == "accounts"


def is_name(name: str) -> bool:
    """Say whether a kind of identifier can be called so."""
    return _NAME.fullmatch(name) is not None


def plain(value: str) -> str | None:
    """Take a value as it is, without space around it."""
    value = value.strip()
    # NUL: PostgreSQL's text cannot hold it, and both engines must know the same people.
    if len(value) > 256 or "\0" in value or is_for_nobody(value):
        return None
    return value


def lower(value: str) -> str | None:
    """Take a value in small letters."""
    return plain(unicodedata.normalize("NFKC", value).lower())


def digits(value: str) -> str | None:
    """Take a number, without what people put between its digits."""
    written = _NOT_DIGITS.sub("", value.strip())
    return plain(written) if written.isascii() and written.isdigit() and len(set(written)) > 1 else None


def address(value: str | dict[str, Any]) -> str | None:
    """Take a postal address, in one piece or in parts, in small letters; without street and town it is none."""
    if isinstance(value, dict):
        parts = [next((str(value[n]).strip() for n in names if value.get(n)), "") for names in _ADDRESS]
        if not parts[0] or not (parts[1] or parts[2]):
            return None
        value = ", ".join(part for part in parts if part)
    return plain(_SPACES.sub(" ", unicodedata.normalize("NFKC", value)).casefold()[:256])


def email(value: str) -> str | None:
    """Take an e-mail address, in small letters."""
    # NFKC folds full-width letters; letters of another script stay different, so look-alikes never join.
    value = unicodedata.normalize("NFKC", value.strip()).lower()
    return value if len(value) <= 254 and _EMAIL.fullmatch(value) else None


def phone(value: str) -> str | None:
    """Take a telephone number, without what people put between its digits."""
    number = _NOT_DIGITS.sub("", value.strip())
    if number.startswith("00"):
        number = "+" + number[2:]
    bare = number.removeprefix("+")
    # 7 to 15 digits: E.164 allows 15; fewer than 7 is a short code.
    if not (bare.isascii() and bare.isdigit() and 7 <= len(bare) <= 15) or len(set(bare)) == 1:
        return None
    return number


class _SaidTraits(msgspec.Struct, gc=False):
    email: Any = None
    phone: Any = None


class Context(msgspec.Struct, gc=False):
    """What the fold reads of an event's context."""

    traits: _SaidTraits | None = None
    externalIds: Any = None
    # What the event carries of consent.
    consent: Carried | None = None
    consentManagement: Any = None
    gpc: Any = None


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
    # What an identity token proved: the door's own words, in the place of the token.
    proof: Any = None


_decode = msgspec.json.Decoder(Event).decode
_decode_any = msgspec.json.Decoder().decode


def read_event(body: bytes) -> Event:
    """Read one event of the log.

    A `context.traits` that is no object tells nobody's e-mail, a `context.consent` that is none no consent, and
    `properties` that are none no order; none of them costs anything else.
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
        if isinstance(context, dict):
            for name in ("traits", "consent"):
                if not isinstance(context.get(name), dict):
                    mended["context"] = {**mended["context"], name: None}
        if mended == told:
            raise
        return msgspec.convert(mended, Event)


class Handle(NamedTuple):
    """One identifier as an event gave it, normalised."""

    rank: int
    namespace: str
    value: str
    # Which of the event's fields named it: the same under all rules, so that ids of identifiers and profiles last.
    place: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Give what makes it this identifier and no other."""
        return self.namespace, self.value
