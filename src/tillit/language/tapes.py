"""Tapes: what is kept of the events of one strand, so that a definition is answered without reading history.

In:    events that a matcher takes, in any order.
Out:   one small document for each strand and tape.
Never: anything that depends on the order in which events came, or on when somebody looked: the same events are the same
       document. What is older than the horizon, counted from the newest row seen, is added up or let go.

Shape of a document: [known_at, entries, base].
  known_at  logged_at of the newest row on it
  entries   [event_at, position, value, ...] in order of time, a value for each path
  base      null, or what went before: [n, first, last, [of each path]]; first and last are entries without values
  of a path [n_numbers, sum, minimum, maximum, first, last, values]; sum in whole millionths, first and last
            [event_at, position, value], values {key: [n_events, event_at, position, value]} where the tape keeps them
"""

import hashlib
from bisect import insort
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from tillit.clock import DAY
from tillit.language.nodes import Matcher, Path
from tillit.language.values import at_path, holds, micros_of

KNOWN_AT, ENTRIES, BASE = range(3)
B_N, B_FIRST, B_LAST, B_PATHS = range(4)
P_N, P_SUM, P_MIN, P_MAX, P_FIRST, P_LAST, P_VALUES = range(7)
V_N, V_AT, V_POSITION, V_VALUE = range(4)

Document = list[Any]

# Horizons are rounded up to one of these, so that definitions with other windows share a tape; then whole years.
_HORIZONS: tuple[int, ...] = (0, 31 * DAY, 366 * DAY)
MOST_ELEMENTS = 100  # of a list that a property holds
LONGEST_VALUE = 1_000  # characters; a longer text counts as missing in what is made of events
_place = itemgetter(0, 1)
_encode = msgspec.json.Encoder().encode


class Tape(NamedTuple):
    """Which events of a strand are kept, and what of each."""

    matcher: Matcher
    paths: tuple[Path, ...] = ()
    horizon: int = 0  # microseconds for which entries are kept apart
    has_base: bool = False  # what is older is added up
    has_values: bool = False  # and how often each value came
    from_at: int | None = None  # events before it do not count
    until_at: int | None = None  # nor from it on

    @property
    def tape_id(self) -> int:
        """Give its id: the same content is the same tape, in every definition and every workspace."""
        return _tape_id(self)


@lru_cache(maxsize=20_000)
def _tape_id(tape: Tape) -> int:
    digest = hashlib.blake2b(_encode(_spelled(tape)), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _spelled(node: Any) -> Any:
    if isinstance(node, tuple):
        kind = type(node).__name__
        return [kind, *(_spelled(one) for one in node)]
    return node


def horizon_of(span: int) -> int:
    """Give the horizon for a window that reaches so far back."""
    return next((one for one in _HORIZONS if one >= span), -(-span // (366 * DAY)) * 366 * DAY)


def project(value: Any) -> Any:
    """Give what is kept of a property's value: scalars, and lists of them; None for the rest.

    >>> project(3), project({"a": 1}), project(["a", {"b": 1}, 2])
    (3.0, None, ['a', 2.0])
    """
    if type(value) is list:
        return [one for one in map(_scalar, value[:MOST_ELEMENTS]) if one is not None]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    kind = type(value)
    if kind is bool:
        return value
    if kind is int or kind is float:
        return float(value) + 0.0  # there is one zero: -0.0 is spelled otherwise and equals it
    return value if kind is str and len(value) <= LONGEST_VALUE else None


def value_key(value: Any) -> str:
    """Write a scalar so that equal ones are equal, and one kind is never taken for another.

    >>> value_key(True), value_key(1.0), value_key("1")
    ('b1', 'n1.0', 't1')
    """
    if type(value) is str:
        return "t" + value
    return f"b{value:d}" if type(value) is bool else f"n{float(value) + 0.0!r}"


def matches(matcher: Matcher, kind: str, name: Any, properties: Any) -> bool:
    """Say whether an event is one that a matcher takes. `kind`: its type; `name`: of the event or page."""
    if matcher.type != kind and not (matcher.type == "*" and kind in ("track", "page", "screen")):
        return False
    if matcher.names and name not in matcher.names:
        return False
    return matcher.where is None or holds(matcher.where, properties)


def entry_of(tape: Tape, event_at: int, position: int, properties: Any) -> list[Any] | None:
    """Give what a tape keeps of an event that its matcher takes; None when it lies outside."""
    if (tape.from_at is not None and event_at < tape.from_at) or (
        tape.until_at is not None and event_at >= tape.until_at
    ):
        return None
    return [event_at, position, *(project(at_path(properties, path)) for path in tape.paths)]


def entries_of(tape: Tape) -> Callable[[int, int, Any], list[Any] | None]:
    """Make `entry_of` for one tape: quick for the shapes that most of them have."""
    if tape.from_at is None and tape.until_at is None and [len(path) for path in tape.paths] in ([], [1]):
        if not tape.paths:
            return lambda event_at, position, _: [event_at, position]
        name = tape.paths[0][0]

        def with_one(event_at: int, position: int, properties: Any) -> list[Any]:
            return [event_at, position, project(properties.get(name)) if type(properties) is dict else None]

        return with_one
    return partial(entry_of, tape)


def new_document(tape: Tape) -> Document:
    """Begin an empty tape."""
    return [0, [], new_base(tape) if tape.has_base else None]


def new_base(tape: Tape) -> list[Any]:
    """Begin with nothing added up."""
    return [0, None, None, [[0, 0, None, None, None, None, {} if tape.has_values else None] for _ in tape.paths]]


def add_entries(tape: Tape, document: Document, entries: Sequence[list[Any]], logged_at: int) -> None:
    """Put entries on a tape. `logged_at`: of the newest of their rows."""
    kept = document[ENTRIES]
    for entry in entries:
        if not kept or kept[-1] < entry:  # their places differ, so nothing beyond is compared
            kept.append(entry)
        else:
            insort(kept, entry, key=_place)
    if logged_at > document[KNOWN_AT]:
        document[KNOWN_AT] = logged_at
    boundary = document[KNOWN_AT] - tape.horizon
    n_old = 0
    for entry in kept:
        if entry[0] > boundary:
            break
        n_old += 1
    if n_old:
        if tape.has_base:
            for entry in kept[:n_old]:
                _add_up(document[BASE], entry)
        del kept[:n_old]


def _add_up(base: list[Any], entry: list[Any]) -> None:
    base[B_N] += 1
    place = entry[:2]
    if base[B_FIRST] is None or place < base[B_FIRST]:
        base[B_FIRST] = place
    if base[B_LAST] is None or place > base[B_LAST]:
        base[B_LAST] = place
    for told, value in zip(base[B_PATHS], entry[2:], strict=True):
        if value is not None:
            add_value(told, entry[0], entry[1], value)


def add_value(told: list[Any], at: int, position: int, value: Any) -> None:
    """Add one event's value to what is known of a path."""
    micros = micros_of(value)
    if micros is not None:
        told[P_N] += 1
        told[P_SUM] += micros
        told[P_MIN] = value if told[P_MIN] is None or value < told[P_MIN] else told[P_MIN]
        told[P_MAX] = value if told[P_MAX] is None or value > told[P_MAX] else told[P_MAX]
    if told[P_FIRST] is None or (at, position) < (told[P_FIRST][0], told[P_FIRST][1]):
        told[P_FIRST] = [at, position, value]
    if told[P_LAST] is None or (at, position) > (told[P_LAST][0], told[P_LAST][1]):
        told[P_LAST] = [at, position, value]
    if told[P_VALUES] is not None:
        count_value(told[P_VALUES], at, position, value)


def count_value(values: dict[str, list[Any]], at: int, position: int, value: Any) -> None:
    """Count each different element of one event's value."""
    for key, one in {value_key(one): one for one in (value if type(value) is list else (value,))}.items():
        held = values.get(key)
        if held is None:
            values[key] = [1, at, position, one]
        else:
            held[V_N] += 1
            if (at, position) > (held[V_AT], held[V_POSITION]):
                held[V_AT], held[V_POSITION] = at, position


def add_base(base: list[Any], other: list[Any]) -> None:
    """Add what another strand added up."""
    base[B_N] += other[B_N]
    for place, better in ((B_FIRST, min), (B_LAST, max)):
        told = [one for one in (base[place], other[place]) if one is not None]
        base[place] = better(told) if told else None
    for mine, theirs in zip(base[B_PATHS], other[B_PATHS], strict=True):
        for place, choose in ((P_MIN, min), (P_MAX, max)):
            numbers = [one for one in (mine[place], theirs[place]) if one is not None]
            mine[place] = choose(numbers) if numbers else None
        for place, later in ((P_FIRST, min), (P_LAST, max)):
            valued = [one for one in (mine[place], theirs[place]) if one is not None]
            mine[place] = later(valued, key=_place) if valued else None
        if mine[P_VALUES] is not None:
            for key, (n, at, position, value) in theirs[P_VALUES].items():
                held = mine[P_VALUES].get(key)
                if held is None:
                    mine[P_VALUES][key] = [n, at, position, value]
                else:
                    held[V_N] += n
                    if (at, position) > (held[V_AT], held[V_POSITION]):
                        held[V_AT], held[V_POSITION] = at, position
