"""JSON as evidence: read without mercy, and written in one way only.

In:    the bytes of a file; a document.
Out:   the document with every slip of its text; its canonical bytes.
Never: a silent choice between two members of one name; a number that two programs read differently.

Source: RFC 8259 (JSON), RFC 7493 (what programs agree on), RFC 8785 (the canonical form).
"""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

LONGEST = 1_048_576  # bytes; taste: a receipt of a hundred purposes has about 200,000
DEEPEST = 32  # taste: a receipt of ours is 9 deep
# Beyond this a double, which is what most programs read a number into, is not exact.
_LARGEST = 2**53 - 1


class Text(NamedTuple):
    """What the bytes said, and which rules of text they broke."""

    document: Any
    slips: tuple[str, ...]  # names of rules


class NotCanonical(ValueError):
    """A document has no canonical form that two programs agree on."""


class Unreadable(ValueError):
    """The bytes are no JSON at all."""


def read(text: bytes) -> Text:
    """Read JSON and note what is wrong with its text.

    Raises: Unreadable.
    """
    slips: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            slips.add("json.duplicate-member")
        return found

    def fraction(written: str) -> float:
        number = float(written)
        if not math.isfinite(number):
            slips.add("json.number")
        return number

    def constant(written: str) -> float:
        slips.add("json.number")
        return float(written)

    try:
        told = text.decode("utf-8")
    except UnicodeDecodeError:
        slips.add("json.encoding")
        told = text.decode("utf-8", "replace")
    try:
        document = json.loads(told, object_pairs_hook=members, parse_float=fraction, parse_constant=constant)
    except (ValueError, RecursionError) as exc:
        raise Unreadable from exc
    for depth, value in _walk(document):
        if depth > DEEPEST:
            slips.add("json.depth")
        if isinstance(value, str) and not _is_whole(value):
            slips.add("json.character")
    return Text(document, tuple(sorted(slips)))


def canonical(document: Any) -> bytes:
    r"""Write a document in the one way that RFC 8785 gives: what is signed.

    Raises: NotCanonical, for fractions, numbers beyond 2**53 and half characters: none is in a record of ours.

    >>> canonical({"b": [1, True, None], "a": "\u20ac\n"})
    b'{"a":"\xe2\x82\xac\\n","b":[1,true,null]}'
    """
    try:
        told = json.dumps(_ordered(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return told.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotCanonical from exc


def _ordered(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        # By UTF-16 code units, as RFC 8785 orders: characters beyond the first plane come before U+E000.
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST:
        return value
    raise NotCanonical


def _walk(document: Any) -> Iterator[tuple[int, Any]]:
    waiting = [(1, document)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if isinstance(value, dict):
            waiting += [(depth, name) for name in value]
            waiting += [(depth + 1, one) for one in value.values()]
        elif isinstance(value, list):
            waiting += [(depth + 1, one) for one in value]


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
