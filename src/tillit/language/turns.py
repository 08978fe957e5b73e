"""Turns: which answers events that came may have turned, found without answering.

In:    definitions by name; the entries that came onto a tape, and what stands on it with them.
Out:   names of definitions whose answer may be another one now.
Never: a name left out whose answer is another one, or changes by itself sooner than was thought. To name one whose
       answer is the same costs an answer, and nothing else.

A count turns where it passes a threshold, a sum likewise, a first event where another one is the first; a sequence that
does not hold turns where the step before the one that came has an event before it, and the next one an event after it,
which agree with it. Where more events can only make it hold members are not named; where they can only end it, nobody
else is. Whatever else hangs on the tape is named.
An event that is dated in the future turns nothing yet and is due later, so everything is named for it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import ceil, floor
from operator import gt, itemgetter, lt
from typing import Any, NamedTuple

from tillit.language.direction import direction_of
from tillit.language.groups import Relations
from tillit.language.live import apart_tape, compile_condition, has_base, inputs_of, main_tape, step_tape
from tillit.language.nodes import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    EventValue,
    Everybody,
    FirstTime,
    InGroup,
    Not,
    Regularly,
    Restarted,
    Rolling,
    Test,
    TraitValue,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.tapes import B_FIRST, B_N, B_PATHS, BASE, ENTRIES, P_SUM, Document, Tape
from tillit.language.values import micros_of

_THRESHOLDS = {"at_least", "greater", "less", "at_most"}
_at = itemgetter(0)
_NO_EVENTS: tuple[Document, ...] = ()
_BOTH = frozenset({True, False})

Documents = Callable[[int], Sequence[Document]]


class Count(NamedTuple):
    """A number of events passes a threshold: from `least` on it is another answer."""

    tape: Tape
    span: int | None  # microseconds up to now; None: all that the tape holds
    least: int


class Sum(NamedTuple):
    """A sum over all that a tape holds passes a threshold."""

    tape: Tape
    threshold: int  # whole millionths


class First(NamedTuple):
    """It hangs on which event was the first."""

    tape: Tape


class Step(NamedTuple):
    """A step of a sequence: it leads nowhere without an event of the step before it, and one of the step after it."""

    tape: Tape
    before: Tape | None  # None: it is the first step
    after: Tape | None  # None: it is the last one
    within: int  # microseconds up to now in which all of them are


class Other(NamedTuple):
    """Any event may turn it."""

    tape: Tape


Leaf = Count | Sum | First | Step | Other


def leaves_of(node: Condition) -> Iterator[Leaf]:
    """Say what of a condition hangs on which tape, and how."""
    match node:
        case AllOf(parts) | AnyOf(parts):
            for one in parts:
                yield from leaves_of(one)
        case Not(inner):
            yield from leaves_of(inner)
        case Compare(EventValue() as value, tests):
            yield from _of_value(value, tests)
        case InGroup():
            # What others do comes onto their tapes.
            if node.member is not None and not node.others_only:
                yield from leaves_of(node.member)
        case FirstTime():
            yield from (First(tape) for tape in inputs_of(node).tapes)
        case Steps():
            yield from _of_sequence(node)
        case _:
            yield from (Other(tape) for tape in inputs_of(node).tapes)


def _of_value(value: EventValue, tests: Sequence[Test]) -> Iterator[Leaf]:
    kind, window = value.aggregate.kind, value.window
    tape = main_tape(value)
    is_whole = has_base(window)
    if (window.older_than == 0) if isinstance(window, Rolling) else is_whole:
        span = None if is_whole else window.within  # type: ignore[union-attr]  # what is not whole is rolling
        if kind == "count" and all(_passes_once(test) for test in tests):
            for test in tests:
                yield Count(tape, span, _least(test))
            return
        if kind == "sum" and is_whole and all(test.op in _THRESHOLDS for test in tests):
            for test in tests:
                threshold = micros_of(test.value)
                yield Other(tape) if threshold is None else Sum(tape, threshold)
            return
    yield from (Other(one) for one in inputs_of(Compare(value, tuple(tests))).tapes)


def _passes_once(test: Test) -> bool:
    return test.op in _THRESHOLDS or (test.op, test.value) == ("equals", 0.0)


def _least(test: Test) -> int:
    """Give the least whole number at which a test of a count answers otherwise than below it."""
    if test.op in ("at_least", "less"):
        return ceil(float(test.value))
    return floor(float(test.value)) + 1  # greater, at_most, equals 0


def _of_sequence(node: Steps) -> Iterator[Leaf]:
    tapes = inputs_of(node).tapes
    if node.unless is not None:
        yield from (Other(tape) for tape in tapes)
        return
    steps = [step_tape(node, step.matcher) for step in node.steps]
    for before, tape, after in zip([None, *steps], steps, [*steps[1:], None], strict=False):
        yield Step(tape, before, after, node.within)
    yield from (Other(apart_tape(node, step.without)) for step in node.steps if step.without is not None)


class _Hanging(NamedTuple):
    """What may turn by an event: of members, of others, or of both."""

    name: str
    of_members: bool
    of_others: bool

    def may_turn(self, member_of: Collection[str]) -> bool:
        """Say whether it may, of somebody who is in some audiences."""
        return self.of_members if self.name in member_of else self.of_others


class Turns:
    """What hangs on one tape."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.names: dict[str, None] = {}
        self._of_members: set[str] = set()
        self._of_others: set[str] = set()
        self._counts: dict[int | None, list[tuple[int, _Hanging]]] = {}
        self._sums: list[tuple[int, _Hanging]] = []
        self._firsts: dict[str, None] = {}
        # By the ids of the tapes before and after: how far back any of them looks, and their names.
        self._steps: dict[tuple[int | None, int | None], tuple[int, frozenset[str]]] = {}

    def hang(self, name: str, leaf: Leaf, stored: Mapping[int, int], *, is_rising: bool, is_falling: bool) -> None:
        """Hang a part of a definition on the tape. `stored`: under which id each of its tapes is kept."""
        self.names[name] = None
        hanging = _Hanging(name, of_members=not is_rising, of_others=not is_falling)
        if isinstance(leaf, Count):
            insort(self._counts.setdefault(leaf.span, []), (leaf.least, hanging))
        elif isinstance(leaf, Sum):
            insort(self._sums, (leaf.threshold, hanging))
        elif isinstance(leaf, First):
            self._firsts[name] = None
        else:
            if not is_rising:
                self._of_members.add(name)
            if isinstance(leaf, Step):
                before, after = (None if one is None else stored[one.tape_id] for one in (leaf.before, leaf.after))
                widest, names = self._steps.get((before, after), (0, frozenset()))
                self._steps[before, after] = max(widest, leaf.within), names | {name}
            elif not is_falling:
                self._of_others.add(name)

    def find(
        self, came: Sequence[list[Any]], tape_id: int, documents: Documents, member_of: Collection[str], at: int
    ) -> set[str]:
        """Give the names whose answer may be another one. `came`: entries of the tape that were not there before."""
        earliest, latest = (came[0][0], came[0][0]) if len(came) == 1 else (min(came)[0], max(came)[0])
        if latest > at:
            return set(self.names)
        found = self._of_others.difference(member_of) if self._of_others else set[str]()
        if self._of_members:
            found.update(name for name in self._of_members if name in member_of)
        if self._counts or self._sums or self._firsts:
            mine = documents(tape_id)
            for span, counts in self._counts.items():
                self._find_counts(found, span, counts, came, mine, member_of, at)
            if self._sums:
                self._find_sums(found, came, mine, member_of, at)
            if self._firsts and earliest <= _first(mine):
                found.update(self._firsts)
        for (before, after), (within, names) in self._steps.items():
            since = at - within
            if before is not None:
                mine = documents(before)
                if not mine or not _agrees(mine, came, since, lt):
                    continue
            if after is not None:
                mine = documents(after)
                if not mine or not _agrees(mine, came, since, gt):
                    continue
            found |= names.difference(member_of)
        return found

    @staticmethod
    def _find_counts(
        found: set[str],
        span: int | None,
        counts: Sequence[tuple[int, _Hanging]],
        came: Sequence[list[Any]],
        documents: Sequence[Document],
        member_of: Collection[str],
        at: int,
    ) -> None:
        n_came = len(came)
        n = 0
        if span is None:
            for document in documents:
                entries = document[ENTRIES]
                n += document[BASE][B_N] + (bisect_right(entries, at, key=_at) if entries else 0)
        else:
            after = at - span
            for one in came:
                if one[0] <= after:
                    n_came -= 1
            for document in documents:
                entries = document[ENTRIES]
                if entries:
                    high = len(entries) if entries[-1][0] <= at else bisect_right(entries, at, key=_at)
                    n += high - (0 if entries[0][0] > after else bisect_right(entries, after, 0, high, key=_at))
        if n_came:
            for least, hanging in counts[bisect_left(counts, (n - n_came + 1,)) :]:
                if least > n:
                    break
                if hanging.may_turn(member_of):
                    found.add(hanging.name)

    def _find_sums(
        self,
        found: set[str],
        came: Sequence[list[Any]],
        documents: Sequence[Document],
        member_of: Collection[str],
        at: int,
    ) -> None:
        added = [micros for one in came if (micros := micros_of(one[2])) is not None]
        if not added:
            return
        total = 0
        for document in documents:
            total += document[BASE][B_PATHS][0][P_SUM]
            for one in document[ENTRIES]:
                micros = micros_of(one[2]) if one[0] <= at else None
                if micros is not None:
                    total += micros
        before = total - sum(added)
        least, most = min(before, total) - 1, max(before, total) + 1
        for threshold, hanging in self._sums[bisect_left(self._sums, (least,)) :]:
            if threshold > most:
                break
            if hanging.may_turn(member_of):
                found.add(hanging.name)


def _agrees(
    documents: Sequence[Document],
    came: Sequence[list[Any]],
    since: int,
    lies: Callable[[list[Any], list[Any]], bool],
) -> bool:
    """Say whether a tape has an event after `since` that agrees with one that came, and lies as wanted beside it."""
    for document in documents:
        entries = document[ENTRIES]
        low = 0 if not entries or entries[0][0] > since else bisect_right(entries, since, key=_at)
        for entry in entries[low:]:
            for one in came:
                if entry[2:] == one[2:] and lies(entry[:2], one[:2]):
                    return True
    return False


def _first(documents: Sequence[Document]) -> int:
    """Give when the first event of all happened."""
    first = 1 << 62
    for document in documents:
        base = document[BASE]
        if base is not None and base[B_FIRST] is not None:
            first = min(first, base[B_FIRST][0])
        if document[ENTRIES]:
            first = min(first, document[ENTRIES][0][0])
    return first


# -- somebody of whom nothing is known


class _Nobody:
    profile_id = ""

    def documents(self, _tape_id: int) -> Sequence[Document]:
        return _NO_EVENTS

    def trait(self, _name: str) -> Any:
        return None

    def is_member(self, _audience: str, _at: int) -> tuple[bool, int]:
        raise AssertionError("what hangs on others is not asked of nobody")

    feature = may = is_member

    def relations(self) -> Relations:
        raise AssertionError("nobody belongs to no group")


def may_hold_of_nobody(node: Condition) -> bool:
    """Say whether a condition may hold of somebody who did nothing and of whom nothing is known."""
    return True in _answers_of_nobody(node, traits=False)


def needed_by(node: Condition) -> frozenset[Tape] | None:
    """Give tapes of which one at least has something while a condition holds; None: it may hold without any event."""
    match node:
        case AllOf(parts):
            told = [needed for one in parts if (needed := needed_by(one)) is not None]
            return min(told, key=len, default=None)
        case AnyOf(parts):
            each = [needed_by(one) for one in parts]
            return None if None in each else frozenset[Tape]().union(*(one for one in each if one is not None))
        case Steps():
            return frozenset({step_tape(node, node.steps[-1].matcher)})
        case InGroup():
            return None
    return None if True in _answers_of_nobody(node, traits=True) else inputs_of(node).tapes


def _answers_of_nobody(node: Condition, *, traits: bool) -> frozenset[bool]:
    """Give the answers that somebody may have who did nothing. `traits`: they may have said something of themselves."""
    match node:
        case AllOf(parts) | AnyOf(parts):
            told = [_answers_of_nobody(one, traits=traits) for one in parts]
            by_one = isinstance(node, AnyOf)  # the answer that one part gives alone
            return frozenset(
                answer for answer in _BOTH if (any if answer == by_one else all)(answer in one for one in told)
            )
        case Not(inner):
            return frozenset(not answer for answer in _answers_of_nobody(inner, traits=traits))
        case Compare(TraitValue(), _) if traits:
            return _BOTH
        case Everybody() | FirstTime() | Restarted() | Regularly() | Steps() | Compare(EventValue() | TraitValue(), _):
            return frozenset({compile_condition(node)(_Nobody(), 0)[0]})
        case InGroup():
            return frozenset({False})
    return _BOTH  # drawings, permissions, what others say


def turns_of(
    definitions: Mapping[str, tuple[Condition, Mapping[int, int]]],
) -> dict[int, Turns]:
    """Hang definitions on the tapes that they look at, by the ids under which these are kept."""
    found: dict[int, Turns] = {}
    for name, (node, stored) in definitions.items():
        direction = direction_of(node)
        for leaf in set(leaves_of(node)):
            tape = leaf.tape
            found.setdefault(stored[tape.tape_id], Turns()).hang(
                name, leaf, stored, is_rising=tape in direction.rising, is_falling=tape in direction.falling
            )
    return found
