"""Turning: when an answer changes by itself.

In:    a definition; what is kept of one person; an instant.
Out:   the next instant at which the answer, or a part of it, is another though nothing happens.
Never: a later instant than the right one.
"""

from collections.abc import Iterator, Sequence

from tillit.clock import DAY
from tillit.language.live import _UNIT_DAYS, Person, compile_condition, compile_value, inputs_of
from tillit.language.nodes import AllOf, AnyOf, Calendar, Compare, Condition, EventValue, FirstTime, Not
from tillit.language.tapes import B_LAST, BASE, ENTRIES
from tillit.language.values import NEVER, changes_at

_MOST_TURNS = 1_000  # until the next change of the answer; each is one evaluation
_MOST_WORK = 100_000  # events that are looked at in one search; whoever has thousands gets fewer tries, but ten


def leaves_of(node: Condition) -> Iterator[Condition]:
    """Give the parts of a definition that have no parts."""
    if isinstance(node, AllOf | AnyOf):
        for one in node[0]:
            yield from leaves_of(one)
    elif isinstance(node, Not):
        yield from leaves_of(node.condition)
    else:
        yield node


def next_change(node: Condition, person: Person, at: int) -> tuple[int | None, bool]:
    """Give the next instant at which an answer changes by itself, None when it does not, and whether that is sure.

    It is not where very many instants lie before that could change it and do not: it holds until then at least.
    """
    answers = compile_condition(node)
    leaves = list(leaves_of(node))
    settled = settled_by(leaves, person, at)
    steady = max(settled.values(), default=NEVER)
    now, (is_held, turn) = at, answers(person, at)
    for _ in range(tries(node, person, _MOST_TURNS)):
        if turn > steady:
            turn = min((_turn(leaf, person, now, settled) for leaf in leaves), default=NEVER)
        if turn >= NEVER:
            return None, True
        now = turn
        now_held, turn = answers(person, now)
        if now_held != is_held:
            return now, True
    return now, False


def tries(node: Condition, person: Person, most: int) -> int:
    """Say how many tries a search may have: fewer for whoever has very many events."""
    documents = (one for tape in inputs_of(node).tapes for one in person.documents(tape.tape_id))
    return max(10, min(most, _MOST_WORK // (1 + sum(len(one[ENTRIES]) for one in documents))))


def _turn(leaf: Condition, person: Person, at: int, settled: dict[Condition, int]) -> int:
    if at >= settled.get(leaf, NEVER):
        return NEVER
    return compile_condition(leaf)(person, at)[1]


def settled_by(leaves: Sequence[Condition], person: Person, at: int) -> dict[Condition, int]:
    """Give for each part with a calendar when no event is in its window any more: it turns, and nothing changes."""
    found = {}
    for leaf in leaves:
        limits = _calendar_of(leaf)
        if limits is not None:
            reach = (limits.back + 2) * _UNIT_DAYS[limits.unit] * DAY
            documents = [one for tape in inputs_of(leaf).tapes for one in person.documents(tape.tape_id)]
            times = [one[ENTRIES][-1][0] for one in documents if one[ENTRIES]]
            times += [one[BASE][B_LAST][0] for one in documents if one[BASE] is not None and one[BASE][B_LAST]]
            found[leaf] = max([at, *(then + reach for then in times)])
    return found


def _calendar_of(leaf: Condition) -> Calendar | None:
    match leaf:
        case Compare(EventValue(_, Calendar() as limits, _), _) | FirstTime(_, Calendar() as limits):
            return limits
    return None


def next_turn(leaf: Condition, person: Person, at: int, settled: dict[Condition, int]) -> int:
    """Give the next instant at which what a part looks at may be another; `settled` as from `settled_by`."""
    if not isinstance(leaf, Compare) or at >= settled.get(leaf, NEVER):
        return _turn(leaf, person, at, settled)
    # The number, and not the comparison alone: a change is about what is missing in it.
    return min(compile_value(leaf.value)(person, at)[1], turn_of_tests(leaf, person, at))


def turn_of_tests(leaf: Compare, person: Person, at: int) -> int:
    """Give the next instant at which the same value may pass other tests."""
    found = compile_value(leaf.value)(person, at)[0]
    return min(changes_at(test, found, at) for test in leaf.tests)
