"""Read JSON from strangers, and say what is wrong with which event.

In:    the decompressed bytes of one request.
Out:   a `Reading`: the envelope and, per event, either its document or the `Flaw` that keeps it out.
Never: an event read two ways. Where parsers disagree (a key twice, NaN, half a surrogate, rounding) it is a flaw.

There are two ways to the same answer. The quick one decodes the whole body in C and rules trouble out for all events
at once. When it cannot, the slow one cuts the body into its events and judges each alone, so that one bad event never
costs the others.

Why counting colons finds a repeated key: JSON has one colon per pair, and colons inside texts. msgspec keeps the last
of repeated keys and writes colons in texts as they are. So an encoding of what was decoded holds exactly as many
colons as the body, less the colons of the pairs that were dropped (at least one each), unless a colon in the body was
spelled as an escape; bodies with such escapes go the slow way.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.collect.limits import Limits
from tillit.errors import InputError

Document = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

# Integers beyond this are written by some parsers and rounded by others, and no store of ours holds them.
_LARGEST_INTEGER = 2**63 - 1
_SMALLEST_INTEGER = -(2**63)

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]|"', re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\r\n,:\[\]{}"]++')
_HALF_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_A_NUMBER = re.compile(rb"(?<![\w\"])-?(?:NaN|Infinity)(?![\w\"])")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")


# What a batch says once for all its events.
SHARED = ("context", "integrations")


class Flaw(NamedTuple):
    """Why an event was not taken."""

    code: str
    reason: str


class UnreadableBody(InputError):
    """Nothing can be made of the whole request."""

    code = "collect.unreadable-body"


class BodyTooLarge(InputError):
    """The request holds more than is taken at once."""

    code = "collect.body-too-large"


class Reading:
    """One request, read: what stands beside the events, and each event or its flaw."""

    __slots__ = ("_body", "_limits", "_slices", "envelope", "events", "has_escapes", "is_batch")

    def __init__(
        self,
        body: bytes,
        limits: Limits,
        envelope: Document,
        events: Sequence[Document | Flaw],
        *,
        is_batch: bool,
        has_escapes: bool = True,
        slices: Sequence[bytes] | None = None,
    ) -> None:
        """Use `read_body`."""
        self._body = body
        self._limits = limits
        self._slices = slices
        self.envelope = envelope
        self.events = events
        self.is_batch = is_batch
        self.has_escapes = has_escapes

    def raw(self, index: int) -> bytes:
        """Give the bytes of one event as they came."""
        if self._slices is None:
            self._slices = _cut(self._body, self._limits)[1] if self.is_batch else [self._body.strip()]
        return self._slices[index]

    def write_keys(self) -> list[str]:
        """Give the keys that the body names: the envelope's first, then the first event's that has one."""
        found = [self.envelope.get("writeKey")] if self.is_batch else []
        found += [event.get("writeKey") for event in self.events if isinstance(event, dict)][:1]
        return [key for key in found if isinstance(key, str) and key]

    @property
    def is_hopeless(self) -> bool:
        """Say whether there were events and none of them is JSON that can be read."""
        return bool(self.events) and all(isinstance(e, Flaw) and e.code in _UNPARSEABLE for e in self.events)


_UNPARSEABLE = frozenset({"not_json", "not_utf8", "too_deep", "number_out_of_range", "lone_surrogate"})


def read_body(body: bytes, *, is_batch: bool, limits: Limits) -> Reading:
    """Read one request.

    Raises: UnreadableBody when it is no JSON object (or holds no list of events); BodyTooLarge.
    """
    if len(body) > limits.batch_bytes:
        raise _too_many_bytes(limits)
    body = _as_utf8(body)
    try:
        document = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return _read_slowly(body, is_batch=is_batch, limits=limits)
    if type(document) is not dict:
        raise UnreadableBody('The body is JSON but not an object. Send one event, or {"batch": [...]}.')
    has_escapes = b"\\" in body
    if has_escapes and b"\\u003" in body:
        return _read_slowly(body, is_batch=is_batch, limits=limits)
    again = _encode(document)
    # Equal bytes (every JavaScript SDK) say the same as equal counts, and comparing is cheaper than counting.
    if again != body and again.count(b":") != body.count(b":"):
        return _read_slowly(body, is_batch=is_batch, limits=limits)
    if not is_batch:
        return Reading(body, limits, {}, (_checked(document, limits),), is_batch=False, has_escapes=has_escapes)
    batch = document.pop("batch", None)
    if type(batch) is not list:
        raise UnreadableBody("The body has no list called 'batch'. Send {\"batch\": [...]}.")
    if len(batch) > limits.batch_events:
        raise _too_many_events(limits)
    _check_envelope(document, limits)
    events = _checked_batch(batch, limits)
    return Reading(body, limits, document, events, is_batch=True, has_escapes=has_escapes)


def read_messages(messages: Sequence[Document], *, limits: Limits) -> Reading:
    """Read events that were made in this process: the same checks as for bytes from outside."""
    events: list[Document | Flaw] = []
    slices: list[bytes] = []
    for message in messages:
        flaw = shape_flaw(message, limits)
        raw = b""
        if flaw is None:
            try:
                raw = _encode(message)
            except UnicodeEncodeError:
                flaw = _LONE_SURROGATE
            except (TypeError, ValueError, OverflowError) as fault:
                flaw = Flaw("not_json", f"The event holds a value that JSON cannot carry ({type(fault).__name__}).")
        # Decoded again: the caller keeps its own objects, and what is stamped holds JSON's types only.
        events.append(flaw if flaw is not None else _decode(raw))
        slices.append(raw if flaw is None else json.dumps(message, default=_type_name, skipkeys=True).encode())
    return Reading(b"", limits, {}, events, is_batch=True, slices=slices)


def read_event(raw: bytes, limits: Limits) -> Document | Flaw:
    """Read the bytes of one event, alone and exactly."""
    return _read_one(raw, limits)


def nul_in(body: bytes) -> bool:
    r"""Say whether a text in this JSON holds the character NUL (spelled \u0000)."""
    return b"\\u0000" in body and _NUL.search(body) is not None


def text_flaw(event: Document, limits: Limits) -> Flaw | None:
    """Say whether a text of an event is too long."""
    flaw = shape_flaw(event, limits)
    return flaw if flaw is not None and flaw.code == "string_too_long" else None


def shape_flaw(event: object, limits: Limits) -> Flaw | None:
    """Say whether an event is too deep, has too many keys, too long keys or texts, or numbers we cannot keep."""
    if type(event) is not dict:
        return _NOT_AN_OBJECT
    n_keys = len(event)
    longest_key, longest_text = limits.key_bytes, limits.string_bytes
    level: list[Any] = [event]
    depth = 0
    # Level by level, not by recursion: the depth is the number of rounds, and no stack is spent on a stranger.
    while level:
        depth += 1
        if depth > limits.depth:
            return _too_deep(limits)
        below: list[Any] = []
        for part in level:
            if type(part) is dict:
                for key in part:
                    if type(key) is not str:
                        return Flaw("key_not_string", "A key of the event is not a text.")
                    if len(key) * 4 > longest_key and len(key.encode("utf-8", "replace")) > longest_key:
                        return Flaw("key_too_long", f"A key is longer than {longest_key} bytes.")
                values: Any = part.values()
            else:
                values = part
            for value in values:
                kind = type(value)
                if kind is str:
                    if len(value) * 4 > longest_text and len(value.encode("utf-8", "replace")) > longest_text:
                        return Flaw("string_too_long", f"A text is longer than {longest_text} bytes.")
                elif kind is dict:
                    n_keys += len(value)
                    below.append(value)
                elif kind is list or kind is tuple:
                    below.append(value)
                elif kind is int:
                    if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
                        return _NUMBER_OUT_OF_RANGE
                elif kind is float and not -1.8e308 < value < 1.8e308:
                    return _NUMBER_OUT_OF_RANGE
        level = below
    if n_keys > limits.keys:
        return Flaw("too_many_keys", f"The event has more than {limits.keys} keys, counted through all levels.")
    return None


def _check_envelope(envelope: Document, limits: Limits) -> None:
    """Refuse a body whose shared parts are no context for any event."""
    flaw = shape_flaw(envelope, limits)
    if flaw is not None:
        raise UnreadableBody(f"Beside the events, the body has a fault: {flaw.reason} Nothing of it was kept.")
    shared = {name: envelope[name] for name in SHARED if envelope.get(name) is not None}
    # What is shared is written into each event: a large one times thousands of events would fill the disk.
    if shared and len(_encode(shared)) > limits.string_bytes:
        raise BodyTooLarge(
            f"The batch's shared context is larger than {limits.string_bytes} bytes. Put what differs into the events.",
            limit_bytes=limits.string_bytes,
        )
    for name, value in shared.items():
        if type(value) is not dict:
            raise UnreadableBody(f"The batch's {name!r} is not an object. Nothing of it was kept.")


def _checked(event: Any, limits: Limits) -> Document | Flaw:
    if type(event) is dict:
        n_keys = _count_keys(event, limits.depth)
        # Texts are not measured here: the door looks at them only when the whole event is longer than one may be.
        if n_keys is not None and n_keys <= limits.keys and limits.key_bytes >= 4 * _SHORT_KEY:
            return event
    flaw = shape_flaw(event, limits)
    return event if flaw is None else flaw


def _checked_batch(batch: list[Any], limits: Limits) -> list[Document | Flaw]:
    """Check the events of a batch; a context that repeats the one before is not walked again."""
    found: list[Document | Flaw] = []
    append = found.append
    known: Document | None = None
    n_known = 0
    most, depth = limits.keys, limits.depth
    may_be_quick = limits.key_bytes >= 4 * _SHORT_KEY and depth > 1
    for event in batch:
        if not may_be_quick or type(event) is not dict:
            append(_checked(event, limits))
            continue
        context = event.get("context")
        if known is not None and context == known:
            # Walk the event without it: it goes back in its place, which an assignment to its key leaves as it was.
            event["context"] = None
            n_keys = _count_keys(event, depth)
            event["context"] = context
            n_keys = None if n_keys is None else n_keys + n_known
        else:
            n_keys = _count_keys(event, depth)
            # With numbers, equal is not the same: the text 1e30 fits where the integer 10**30 does not.
            if n_keys is not None and type(context) is dict and context and _holds_no_number(context):
                known, n_known = context, _count_keys(context, depth) or 0
        append(event if n_keys is not None and n_keys <= most else _checked(event, limits))
    return found


def _holds_no_number(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(_holds_no_number(each) for each in value.values())
    if kind is list:
        return all(_holds_no_number(each) for each in value)
    return kind is str or kind is bool or value is None


# Keys seen to be short. Senders repeat a few dozen names for ever, and asking this set is a quarter of measuring each.
_seen_short: set[str] = set()
_SHORT_KEY = 32  # characters are at most 4 bytes: 128 is the default of max_key_bytes
_MOST_SHORT_KEYS = 10_000


def _count_keys(part: Document, depth: int) -> int | None:
    """Count the keys of a document; None when a closer look is needed."""
    if not _seen_short.issuperset(part) and not _learn(part):
        return None
    n_keys = len(part)
    for value in part.values():
        kind = type(value)
        if kind is str:
            continue
        if kind is dict:
            if value:
                below = _count_keys(value, depth - 1) if depth > 1 else None
                if below is None:
                    return None
                n_keys += below
            elif depth <= 1:
                return None
        elif kind is list:
            for element in value:
                if type(element) is not str:
                    # A list counts as a level, and what stands in it is looked at as if it had a name.
                    below = _count_keys({"": element}, depth - 1) if depth > 1 else None
                    if below is None:
                        return None
                    n_keys += below - 1
            if depth <= 1:
                return None
        elif kind is int and not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
            return None
    return n_keys


def _learn(part: Document) -> bool:
    if any(len(key) > _SHORT_KEY for key in part):
        return False
    if len(_seen_short) < _MOST_SHORT_KEYS:
        _seen_short.update(part)
    return True


def _read_slowly(body: bytes, *, is_batch: bool, limits: Limits) -> Reading:
    if not is_batch:
        raw = body.strip()
        if not raw.startswith(b"{") or _end_of_value(raw, 0) != len(raw):
            raise _not_json()
        return Reading(body, limits, {}, [_read_one(raw, limits)], is_batch=False, slices=[raw])
    envelope, slices = _cut(body, limits)
    if len(slices) > limits.batch_events:
        raise _too_many_events(limits)
    _check_envelope(envelope, limits)
    return Reading(body, limits, envelope, [_read_one(raw, limits) for raw in slices], is_batch=True, slices=slices)


def _read_one(raw: bytes, limits: Limits) -> Document | Flaw:
    try:
        event = _decode(raw)
    except RecursionError:
        return _too_deep(limits)
    except UnicodeDecodeError:
        return Flaw("not_utf8", "A text of the event is not UTF-8.")
    except msgspec.ValidationError:
        return _NUMBER_OUT_OF_RANGE
    except (msgspec.DecodeError, ValueError):
        if _HALF_SURROGATE.search(raw):
            return _LONE_SURROGATE
        if _NOT_A_NUMBER.search(_STRING.sub(b'""', raw)):
            return _NUMBER_OUT_OF_RANGE
        return Flaw("not_json", "The event is not valid JSON.")
    flaw = shape_flaw(event, limits)
    if flaw is None and _has_repeated_key(raw):
        flaw = Flaw("duplicate_key", "A key stands twice in one object; readers would disagree on which one counts.")
    return event if flaw is None else flaw


def _type_name(value: object) -> str:
    return type(value).__name__


class _Repeated(Exception):
    pass


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Repeated
    return document


def _zero(_: str) -> int:
    return 0


# Numbers are not looked at here, and the standard library refuses integers of more than 4,300 digits.
_pairs_of: Callable[[bytes], Any] = json.JSONDecoder(
    object_pairs_hook=_refuse_repeated, parse_int=_zero, parse_float=_zero
).decode  # type: ignore[assignment]


def _has_repeated_key(raw: bytes) -> bool:
    if b"\\u003" not in raw and _encode(_decode(raw)).count(b":") == raw.count(b":"):
        return False
    try:
        _pairs_of(raw.decode())  # type: ignore[arg-type]
    except _Repeated:
        return True
    return False


def _cut(body: bytes, limits: Limits) -> tuple[Document, list[bytes]]:
    """Cut a batch into its envelope and the bytes of its events, whatever the events hold."""
    envelope: Document = {}
    slices: list[bytes] | None = None
    at = _skip(body, 0)
    if body[at : at + 1] != b"{":
        raise _not_json()
    at = _skip(body, at + 1)
    if body[at : at + 1] == b"}":
        raise UnreadableBody("The body has no list called 'batch'. Send {\"batch\": [...]}.")
    while True:
        found = _STRING.match(body, at)
        if found is None:
            raise _not_json()
        key = _strictly(found[0])
        at = _skip(body, found.end())
        if body[at : at + 1] != b":":
            raise _not_json()
        at = _skip(body, at + 1)
        if key in envelope or (key == "batch" and slices is not None):
            raise UnreadableBody(
                "A key stands twice beside the events; readers would disagree on which one counts. Send it once."
            )
        if key == "batch":
            slices, at = _elements(body, at)
        else:
            end = _end_of_value(body, at)
            raw = body[at:end]
            value = _strictly(raw)
            if shape_flaw({"": value}, limits) is None and _has_repeated_key(raw):
                raise UnreadableBody("A key stands twice in one object beside the events. Send it once.")
            envelope[str(key)] = value
            at = end
        at = _skip(body, at)
        mark = body[at : at + 1]
        at = _skip(body, at + 1)
        if mark == b"}":
            break
        if mark != b",":
            raise _not_json()
    if at != len(body):
        raise _not_json()
    if slices is None:
        raise UnreadableBody("The body has no list called 'batch'. Send {\"batch\": [...]}.")
    return envelope, slices


def _elements(body: bytes, at: int) -> tuple[list[bytes], int]:
    if body[at : at + 1] != b"[":
        raise UnreadableBody("'batch' is not a list. Send {\"batch\": [...]}.")
    found: list[bytes] = []
    at = _skip(body, at + 1)
    if body[at : at + 1] == b"]":
        return found, at + 1
    while True:
        end = _end_of_value(body, at)
        found.append(body[at:end])
        at = _skip(body, end)
        mark = body[at : at + 1]
        if mark == b"]":
            return found, at + 1
        if mark != b",":
            raise _not_json()
        at = _skip(body, at + 1)


def _end_of_value(body: bytes, at: int) -> int:
    """Say where the value that begins here ends, trusting nothing but strings and brackets."""
    first = body[at : at + 1]
    if first == b'"':
        found = _STRING.match(body, at)
        if found is None:
            raise _not_json()
        return found.end()
    if first in {b"{", b"["}:
        depth = 0
        for token in _NESTING.finditer(body, at):
            mark = token[0]
            if mark in {b"{", b"["}:
                depth += 1
            elif mark in {b"}", b"]"}:
                depth -= 1
                if depth == 0:
                    return token.end()
            elif mark == b'"':  # a text that never ends
                break
        raise _not_json()
    found = _SCALAR.match(body, at)
    if found is None:
        raise _not_json()
    return found.end()


def _skip(body: bytes, at: int) -> int:
    found = _SPACE.match(body, at)
    return found.end() if found else at


def _strictly(raw: bytes) -> Any:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as fault:
        raise _not_json() from fault


def _as_utf8(body: bytes) -> bytes:
    """Turn a body with a byte order mark, or in UTF-16 or UTF-32, into UTF-8."""
    head = body[:4]
    if head[:1] in {b"{", b" ", b"\n"} and head[1:2] != b"\0":
        return body
    if head.startswith(b"\xef\xbb\xbf"):
        return body[3:]
    # The zeros of the first character tell (RFC 4627, section 3); a mark tells too.
    if head in {b"\xff\xfe\0\0", b"\0\0\xfe\xff"} or head.startswith(b"\0\0\0") or head[1:] == b"\0\0\0":
        coding = (
            "utf-32"
            if head[:1] == b"\xff" or head[2:3] == b"\xfe"
            else ("utf-32-be" if head[:1] == b"\0" else "utf-32-le")
        )
    elif head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        coding = "utf-16"
    elif head[:1] == b"\0" or head[1:2] == b"\0":
        coding = "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
    else:
        return body
    try:
        return body.decode(coding).encode()
    except UnicodeError as fault:
        raise UnreadableBody("The body looks like UTF-16 or UTF-32 but is not. Send UTF-8.") from fault


def _not_json() -> UnreadableBody:
    return UnreadableBody("The body is not JSON. Nothing of it was kept; send it again as one JSON object in UTF-8.")


def _too_many_bytes(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limits.batch_bytes} bytes. Nothing of it was kept; send smaller batches.",
        limit_bytes=limits.batch_bytes,
    )


def _too_many_events(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(
        f"The batch holds more than {limits.batch_events} events. Nothing of it was kept; send smaller batches.",
        limit_events=limits.batch_events,
    )


def _too_deep(limits: Limits) -> Flaw:
    return Flaw("too_deep", f"The event is nested deeper than {limits.depth} levels.")


_NOT_AN_OBJECT = Flaw("event_not_object", "The event is not a JSON object.")
_NUMBER_OUT_OF_RANGE = Flaw(
    "number_out_of_range", "A number is NaN, infinite or beyond 64 bits; send large numbers as texts."
)
_LONE_SURROGATE = Flaw("lone_surrogate", "A text holds half of a surrogate pair, which no UTF-8 store can keep.")
