"""Turn an event as it came into a row of the log.

In:    one checked JSON document, and what the request tells: key, time of arrival, address, browser.
Out:   a `NewRow` whose body is the event in one spelling, or the `Flaw` that keeps it out.
Never: an identifier changed silently. A number that a text cannot hold exactly is refused, not rounded.
       An identity token: what it proves takes its place, in a field `proof` that no sender can write.

Time: event_at = received_at - (sentAt - timestamp), Segment's correction for clocks that are wrong.
"""

import hashlib
import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from tillit.clock import SECOND, instant, rfc3339
from tillit.collect.bots import bot_kind
from tillit.collect.checks import Document, Flaw, nul_in
from tillit.collect.limits import Limits
from tillit.records import KIND_EVENT, TRUST_CLAIMED, NewRow

TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias"})

# token, time of arrival -> what it proves, or why nothing
Prove = Callable[[object, int], Document]

_encode = msgspec.json.Encoder().encode
_blake2b = hashlib.blake2b
_new = tuple.__new__
# JavaScript writes years outside 0..9999 with a sign and six digits: readable, and far outside any range.
_FAR_YEAR = re.compile(r"[+-]\d{6}-\d\d-\d\d")
# Beyond this a double no longer tells neighbours apart, and most senders' numbers are doubles.
_LARGEST_EXACT = 2**53
_PROVING = "identityToken"
# Judging one costs ten times what an event costs; a browser sends one. Taste.
_MOST_TOKENS = 100
# Also one that breaks off.
_TOKEN_AS_SENT = re.compile(rb'("identityToken"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.DOTALL)

_IDS = ("userId", "anonymousId", "messageId", "groupId", "previousId")
_OBJECTS = (
    ("properties", Flaw("properties_not_object", "'properties' is not an object.")),
    ("traits", Flaw("traits_not_object", "'traits' is not an object.")),
    ("integrations", Flaw("integrations_not_object", "'integrations' is not an object.")),
)
_TEXTS = (
    ("event", Flaw("event_not_string", "'event' is not a text.")),
    ("name", Flaw("name_not_string", "'name' is not a text.")),
    ("category", Flaw("category_not_string", "'category' is not a text.")),
)
_OBJECT_TYPES = frozenset({dict, type(None)})
_TEXT_TYPES = frozenset({str, type(None)})
_WRONG_ID_TYPE = {
    "userId": Flaw("user_id_invalid", "'userId' is neither a text nor a number."),
    "anonymousId": Flaw("anonymous_id_invalid", "'anonymousId' is neither a text nor a number."),
    "messageId": Flaw("message_id_invalid", "'messageId' is neither a text nor a number."),
    "groupId": Flaw("group_id_invalid", "'groupId' is neither a text nor a number."),
    "previousId": Flaw("previous_id_invalid", "'previousId' is neither a text nor a number."),
}
_TYPE_UNKNOWN = Flaw("type_unknown", "'type' is missing or none of track, identify, page, screen, group, alias.")
_NO_ID = Flaw("no_user_anon_id", "The event has neither a 'userId' nor an 'anonymousId'.")
_NO_EVENT = Flaw("event_not_defined", "A track call has no 'event'.")
_NO_GROUP = Flaw("id_required", "A group call has no 'groupId'.")
_NO_PREVIOUS = Flaw("id_required", "An alias call has no 'previousId'.")
_CONTEXT = Flaw("context_not_object", "'context' is not an object.")
_NUL_TEXT = Flaw("nul_in_text", "A text holds the character NUL, which stores disagree on.")
_CONSENT_OBJECT = Flaw(
    "consent_categorypreferences_should_be_object", "'context.consent.categoryPreferences' is not an object."
)
_CONSENT_BOOLEAN = Flaw(
    "consent_categorypreferences_fields_should_be_bool",
    "A field of 'context.consent.categoryPreferences' is not true or false.",
)


class Stamp:
    """What all events of one request share, worked out once."""

    def __init__(
        self,
        *,
        source: str,
        trust: int,
        received_at: int,
        limits: Limits,
        new_id: Callable[[], str],
        route_type: str | None = None,
        sent_at: object = None,
        shared_context: Document | None = None,
        shared_integrations: Document | None = None,
        client_ip: str | None = None,
        user_agent: str | None = None,
        has_escapes: bool = True,
        needs_id: bool = True,
        prove: Prove | None = None,
        refuses_sale: bool = False,
    ) -> None:
        """Prepare to stamp the events of one request.

        Shape: needs_id is the protocol's rule; a file may name a person by e-mail, phone or card alone. Without
               `prove` an identity token proves nothing.
        Units: received_at is UTC epoch microseconds.
        """
        self._source = source
        self._trust = trust
        self._limits = limits
        self._new_id = new_id
        self._route_type = route_type
        self._shared_context = shared_context
        self._shared_integrations = shared_integrations
        self._has_escapes = has_escapes
        self._needs_id = needs_id
        self._prove = prove
        self._proofs: dict[str, Document] = {}
        self._received_at = received_at
        self._received_text = rfc3339(received_at)
        self._sent_text = sent_at if isinstance(sent_at, str) else None
        self._sent_at = instant(self._sent_text) if self._sent_text is not None else None
        self._short_id = limits.id_bytes // 4  # characters are at most 4 bytes
        self._latest = received_at + limits.future_tolerance_us
        self._hash_head = source.encode() + b"\0"
        # A browser cannot know its own address; what it claims would only be an invention.
        self._is_claimed = trust == TRUST_CLAIMED
        self._client_ip = shown_ip(client_ip, limits.ip) if client_ip else None
        self._user_agent = user_agent if self._is_claimed else None
        self._refuses_sale = refuses_sale
        self._touches_context = self._is_claimed or refuses_sale or shared_context is not None

    def row(self, event: Document) -> NewRow | Flaw:
        """Give the log row of one event. The document is changed on the way."""
        if None in event.values():
            event = {name: value for name, value in event.items() if value is not None}
        get = event.get
        kind = self._route_type or get("type")
        if type(kind) is not str or kind not in TYPES:
            return _TYPE_UNKNOWN
        event["type"] = kind
        if "writeKey" in event:
            del event["writeKey"]
        if "clock" in event:
            del event["clock"]
        if "proof" in event:
            del event["proof"]

        short = 0 if self._has_escapes else self._short_id
        for name in _IDS:
            value = get(name)
            if value is not None and not (type(value) is str and 0 < len(value) <= short and not value.isspace()):
                flaw = self._set_id(event, name, value)
                if flaw is not None:
                    return flaw
        # Looked up in one go, and looked at one by one only when something is there that should not be.
        if not {type(get("properties")), type(get("traits")), type(get("integrations"))} <= _OBJECT_TYPES:
            return next(flaw for name, flaw in _OBJECTS if type(get(name)) not in _OBJECT_TYPES)
        if not {type(get("event")), type(get("name")), type(get("category"))} <= _TEXT_TYPES:
            return next(flaw for name, flaw in _TEXTS if type(get(name)) not in _TEXT_TYPES)
        if "userId" not in event and "anonymousId" not in event and self._needs_id:
            return _NO_ID
        if kind == "track":
            if not get("event"):
                return _NO_EVENT
        elif kind == "group":
            if "groupId" not in event:
                return _NO_GROUP
        elif kind == "alias" and "previousId" not in event:
            return _NO_PREVIOUS

        context = get("context")
        if kind == "identify" and not get("traits") and type(context) is dict and type(context.get("traits")) is dict:
            # RudderStack's SDKs say who somebody is in the context alone.
            event["traits"] = context["traits"]
        if context is not None or self._touches_context:
            flaw = self._set_context(event, context)
            if flaw is not None:
                return flaw
        if self._shared_integrations is not None:
            event["integrations"] = merged(self._shared_integrations, get("integrations") or {})

        event_at = self._set_times(event)
        message_id = get("messageId")
        if message_id is None:
            message_id = event["messageId"] = self._new_id()
        body = _encode(event)
        if self._has_escapes and nul_in(body):
            return _NUL_TEXT
        digest = _blake2b(self._hash_head + message_id.encode(), digest_size=16).digest()
        # The plain constructor of a NamedTuple takes twice as long.
        return _new(NewRow, (KIND_EVENT, self._source, self._trust, self._received_at, event_at, digest, body))

    def flawed_row(self, event: Document) -> NewRow:
        """Give the row that an event with a flaw would be, as far as it can be written, to see whom it names."""
        at = self._received_at
        try:
            body = _encode(event)
        except (TypeError, ValueError, RecursionError):
            body = b"{}"
        return NewRow(KIND_EVENT, self._source, self._trust, at, at, bytes(16), body)

    def _set_id(self, event: Document, name: str, value: object) -> Flaw | None:
        """Look closely at one identifier: leave it away when it is blank, spell it as a text."""
        if type(value) is not str:
            text = _as_text(name, value)
            if isinstance(text, Flaw):
                return text
            event[name] = text
            return None
        if not value or value.isspace():
            del event[name]
            return None
        longest = self._limits.id_bytes
        if len(value.encode()) > longest:
            if name == "messageId":
                return Flaw("message_id_invalid", f"'messageId' is longer than {longest} bytes.")
            return Flaw("id_too_large", f"'{name}' is longer than {longest} bytes.")
        if "\0" in value:
            return Flaw("nul_in_id", f"'{name}' holds the character NUL, which stores disagree on.")
        return None

    def _proof(self, token: object) -> Document:
        """Say what a token proves; the same one is judged once for the whole request."""
        if self._prove is None:
            return {"refused": "not_checked"}
        if type(token) is not str:
            return self._prove(token, self._received_at)
        found = self._proofs.get(token)
        if found is None:
            if len(self._proofs) >= _MOST_TOKENS:
                return {"refused": "too_many"}
            found = self._proofs[token] = self._prove(token, self._received_at)
        return found

    def _set_times(self, event: Document) -> int:
        """Write the four times into the event; say when it happened."""
        received_at = self._received_at
        given = event.get("timestamp")
        if given is None:
            given = event.get("originalTimestamp")
        sent_at = self._sent_at
        if self._sent_text is not None:
            event["sentAt"] = self._sent_text
        elif "sentAt" in event:
            sent_text = event["sentAt"]
            if type(sent_text) is str:
                sent_at = instant(sent_text)
            else:
                del event["sentAt"]
        event["receivedAt"] = self._received_text
        if type(given) is not str:
            event["originalTimestamp"] = event["timestamp"] = self._received_text
            if given is not None:
                event["clock"] = "unreadable"
            return received_at
        event["originalTimestamp"] = given
        event_at = instant(given)
        if event_at is None:
            event["clock"] = "clamped" if _FAR_YEAR.match(given) else "unreadable"
            event["timestamp"] = self._received_text
            return received_at
        if sent_at is not None:
            event_at += received_at - sent_at
        if event_at > self._latest or event_at < self._limits.oldest_event_at:
            event["clock"] = "clamped"
            event["timestamp"] = self._received_text
            return received_at
        event["timestamp"] = _text_of(event_at)
        return event_at

    def _set_context(self, event: Document, context: Any) -> Flaw | None:
        if context is not None and type(context) is not dict:
            return _CONTEXT
        if self._shared_context is not None:
            context = merged(self._shared_context, context or {})
            event["context"] = context
        elif context is None:
            event["context"] = context = {}
        if self._is_claimed or context.get("direct") is True:
            if self._client_ip is not None:
                context["ip"] = self._client_ip
            elif "ip" in context:
                del context["ip"]
        elif "ip" in context:
            shown = shown_ip(context["ip"], self._limits.ip) if type(context["ip"]) is str else None
            if shown is None:
                del context["ip"]
            else:
                context["ip"] = shown
        agent = context.get("userAgent") or self._user_agent
        if type(agent) is str:
            found = bot_kind(agent)
            if found is not None:
                context["bot"] = {"is_bot": True, "kind": found}
        if self._refuses_sale:
            context["gpc"] = True
        if _PROVING in context:
            token = context.pop(_PROVING)
            if token is not None:
                event["proof"] = self._proof(token)
        if "consent" in context:
            return _consent_flaw(context["consent"])
        return None


def hide_token(raw: bytes) -> bytes:
    """Take identity tokens out of bytes that are kept as they came.

    >>> hide_token(b'{"context": {"identityToken": "ey.J.x"}}')
    b'{"context": {"identityToken": ""}}'
    """
    return _TOKEN_AS_SENT.sub(rb'\1""', raw)


def _as_text(name: str, value: object) -> str | Flaw:
    """Spell a numeric identifier as a text, if it is one that cannot have been rounded on its way."""
    if type(value) is int:
        if -_LARGEST_EXACT <= value <= _LARGEST_EXACT:
            return str(value)
        return Flaw(
            "id_out_of_range", f"'{name}' is a number beyond 2^53, where numbers are rounded. Send it as a text."
        )
    if type(value) is float:
        return Flaw("id_out_of_range", f"'{name}' is a number with a fraction or an exponent. Send it as a text.")
    return _WRONG_ID_TYPE[name]


def _consent_flaw(consent: object) -> Flaw | None:
    if type(consent) is not dict:
        return _CONSENT_OBJECT
    preferences = consent.get("categoryPreferences")
    if preferences is None:
        return None
    if type(preferences) is not dict:
        return _CONSENT_OBJECT
    return None if all(type(answer) is bool for answer in preferences.values()) else _CONSENT_BOOLEAN


def merged(under: Document, over: Document) -> Document:
    """Lay one document over another, key by key; objects are merged, everything else is replaced."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if type(below) is dict and type(value) is dict else value
    return result


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return rfc3339(second * SECOND)[:-1]


def _text_of(at: int) -> str:
    second, micro = divmod(at, SECOND)
    # Sliced, not formatted: "1001234"[1:] pads with zeros in a third of the time.
    if micro % 1000 == 0:
        return f"{_second_text(second)}.{str(1000 + micro // 1000)[1:]}Z"
    return f"{_second_text(second)}.{str(SECOND + micro)[1:]}Z"


@lru_cache(maxsize=1024)
def shown_ip(address: str, policy: str) -> str | None:
    """Give an address as the policy lets it be kept: whole, without its last octet (IPv6: 80 bits), or not at all.

    >>> shown_ip("203.0.113.77", "truncate"), shown_ip("2001:db8:1:2::7", "truncate"), shown_ip("203.0.113.77", "drop")
    ('203.0.113.0', '2001:db8:1::', None)
    """
    if policy == "drop":
        return None
    try:
        found = ipaddress.ip_address(address.strip().split("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if policy == "keep":
        return str(found)
    cut = 8 if isinstance(found, ipaddress.IPv4Address) else 80
    return str(type(found)((int(found) >> cut) << cut))
