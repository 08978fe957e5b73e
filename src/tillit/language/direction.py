"""Direction: which way an answer can go when one more event comes onto a tape.

In:    a definition.
Out:   tapes on which one more event can only make it hold (`rising`), and those on which it can only end that.
Never: a tape in either that could turn the answer the other way, now or when time passes.

So a member of an audience need not be judged again for an event on a rising tape, nor somebody who is none for one on a
falling tape. When they are due by themselves is then no later than was thought.
"""

from typing import NamedTuple

from tillit.language.live import apart_tape, inputs_of, main_tape, regular_tape, step_tape
from tillit.language.nodes import (
    Absolute,
    AllOf,
    AnyOf,
    Calendar,
    Compare,
    Condition,
    EventValue,
    Ever,
    Not,
    Regularly,
    Rolling,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.tapes import Tape

_UP = {"at_least", "greater"}
_DOWN = {"less", "at_most"}
_GROWS = {"count", "distinct"}  # with every event, or stays


class Direction(NamedTuple):
    """Which way events on which tape turn an answer; what is in neither may turn it either way."""

    rising: frozenset[Tape] = frozenset()
    falling: frozenset[Tape] = frozenset()


def direction_of(node: Condition) -> Direction:
    """Say which way events turn the answer of a condition."""
    match node:
        case Not(inner):
            told = direction_of(inner)
            return Direction(told.falling, told.rising)
        case AllOf(parts) | AnyOf(parts):
            return _together([(one, direction_of(one)) for one in parts])
        case Compare(EventValue() as value, tests):
            return _of_value(value, [(test.op, test.value) for test in tests])
        case Regularly():
            return Direction(rising=frozenset({regular_tape(node)}))
        case Steps():
            return _of_sequence(node)
    return Direction()


def _together(parts: list[tuple[Condition, Direction]]) -> Direction:
    """Give what all parts that look at a tape agree on."""
    rising: set[Tape] = set()
    falling: set[Tape] = set()
    mixed: set[Tape] = set()
    for node, told in parts:
        rising |= told.rising
        falling |= told.falling
        mixed |= inputs_of(node).tapes - told.rising - told.falling
    mixed |= rising & falling
    return Direction(frozenset(rising - mixed), frozenset(falling - mixed))


def _of_sequence(node: Steps) -> Direction:
    if node.unless is not None:
        return Direction()
    # One more event is one more way to go, or stands in one.
    steps = {step_tape(node, step.matcher) for step in node.steps}
    apart = {apart_tape(node, step.without) for step in node.steps if step.without is not None}
    return Direction(frozenset(steps - apart), frozenset(apart - steps))


def _of_value(value: EventValue, tests: list[tuple[str, object]]) -> Direction:
    # A mark or a visit moves where a window begins.
    if value.aggregate.kind not in _GROWS or not isinstance(value.window, Ever | Rolling | Absolute | Calendar):
        return Direction()
    tape = frozenset({main_tape(value)})
    if all(op in _UP for op, _ in tests):
        return Direction(rising=tape)
    if all(op in _DOWN or (op, wanted) == ("equals", 0.0) for op, wanted in tests):
        return Direction(falling=tape)
    return Direction()
