"""Live: a definition answered from a person's tapes, at an instant, with the instant at which the answer may change.

In:    a definition; what is kept of one person.
Out:   an answer, and until when it holds while nothing new comes: never later than it really changes.
Never: history, the clock. An event that is dated after the instant has not happened yet.

An event at `a` is within a rolling window of `d` while now < a + d; it counts from `a` on. Events at one instant are in
the order of the log.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import md5
from heapq import nsmallest
from math import ceil, floor
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from tillit.clock import DAY
from tillit.language.groups import Relations, compile_group
from tillit.language.instants import LONGEST, calendar_span, next_turn
from tillit.language.nodes import (
    Absolute,
    AllOf,
    AnyOf,
    Calendar,
    Compare,
    Condition,
    EventValue,
    Ever,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Not,
    Permitted,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Test,
    TraitValue,
    Value,
    Window,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.tapes import (
    B_FIRST,
    B_LAST,
    B_N,
    B_PATHS,
    BASE,
    ENTRIES,
    P_FIRST,
    P_LAST,
    P_MAX,
    P_MIN,
    P_N,
    P_SUM,
    P_VALUES,
    V_AT,
    V_N,
    V_POSITION,
    V_VALUE,
    Document,
    Tape,
    add_base,
    add_value,
    horizon_of,
    new_base,
)
from tillit.language.values import NEVER, at_path, changes_at, micros_of, passes

SESSION_REACHES = DAY  # a visit is looked at for a day back
_UNIT_DAYS = {"day": 2, "week": 8, "month": 32, "quarter": 93, "year": 367}  # at most, with a change of clocks
ANYTHING = Matcher("*", ())
_at = itemgetter(0)
_place = itemgetter(0, 1)


class Person(Protocol):
    """What an evaluator is told of one person."""

    @property
    def profile_id(self) -> str:
        """Give the id by which samples are drawn."""
        ...

    def documents(self, tape_id: int) -> Sequence[Document]:
        """Give what stands on a tape, for each of the person's strands that have anything."""
        ...

    def trait(self, name: str) -> Any:
        """Give a trait as the profile shows it; None when there is none."""
        ...

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        """Say whether they are in another audience, and until when."""
        ...

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        """Give the value of a feature, and until when it holds."""
        ...

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether they may be used for a purpose, and until when."""
        ...

    def relations(self) -> Relations:
        """Give what is known of the groups that they belong to."""
        ...


Somebody = TypeVar("Somebody", bound=Person)
Answers = Callable[[Person, int], tuple[bool, int]]
Measures = Callable[[Person, int], tuple[Any, int]]


class Inputs(NamedTuple):
    """What an answer hangs on."""

    tapes: frozenset[Tape] = frozenset()
    traits: frozenset[str] = frozenset()  # names
    audiences: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    groups: frozenset[InGroup] = frozenset()


def compile_condition(node: Condition) -> Answers:
    """Make a function that answers a condition."""
    return _CONDITIONS[type(node)](node)


def compile_value(node: Value) -> Measures:
    """Make a function that gives a value."""
    return _VALUES[type(node)](node)


def inputs_of(node: Condition | Value) -> Inputs:
    """Say what a definition hangs on, without what the audiences and features that it names hang on."""
    tapes: set[Tape] = set()
    named: dict[str, set[str]] = {"traits": set(), "audiences": set(), "features": set(), "purposes": set()}
    groups: set[InGroup] = set()
    waiting: list[Condition | Value] = [node]
    while waiting:
        one = waiting.pop()
        match one:
            case AllOf(parts) | AnyOf(parts):
                waiting += parts
            case Not(inner):
                waiting.append(inner)
            case Ranked(of, by):
                waiting += [of] if by is None else [of, by]
            case Compare(value, _):
                waiting.append(value)
            case TraitValue(path):
                named["traits"].add(path[0])
            case FeatureValue(name):
                named["features"].add(name)
            case InAudience(name):
                named["audiences"].add(name)
            case Permitted(purpose):
                named["purposes"].add(purpose)
            case InGroup():
                groups.add(one)
                waiting += [one.member] if one.member is not None else []
                named["purposes"] |= {one.purpose} if one.purpose else set()
            case EventValue():
                tapes.update(_tapes_of_value(one))
            case FirstTime(matcher, _):
                tapes.add(_first_tape(matcher))
            case Restarted():
                tapes.add(_restart_tape(one))
            case Regularly():
                tapes.add(regular_tape(one))
            case Steps():
                tapes.update(_sequence_tapes(one))
    traits, audiences, features, purposes = (frozenset(told) for told in named.values())
    return Inputs(frozenset(tapes), traits, audiences, features, purposes, frozenset(groups))


def reach_of(node: Condition | Value) -> int:
    """Say how far back a definition looks; NEVER when it looks at all of time."""
    match node:
        case AllOf(parts) | AnyOf(parts):
            return max(map(reach_of, parts))
        case Not(inner):
            return reach_of(inner)
        case Ranked(of, by):
            return max(reach_of(of), 0 if by is None else reach_of(by))
        case Compare(value, _):
            return reach_of(value)
        case EventValue():
            return NEVER if has_base(node.window) else _reach(node.window)
        case FirstTime():
            return NEVER
        case Restarted(_, within, quiet):
            return within + quiet
        case Regularly(_, every, _, of):
            return every * of
        case Steps():
            return node.within
        case InGroup() if node.member is not None:
            return reach_of(node.member)
    return 0


# -- logic


def _everybody(_node: Everybody) -> Answers:
    return lambda _person, _at: (True, NEVER)


def _all_of(node: AllOf) -> Answers:
    return every([compile_condition(one) for one in node.all_of])


def every(parts: Sequence[Callable[[Somebody, int], tuple[bool, int]]]) -> Callable[[Somebody, int], tuple[bool, int]]:
    """Answer that all of some answers are yes."""

    def answer(person: Somebody, at: int) -> tuple[bool, int]:
        until = NEVER
        for part in parts:
            holds, turn = part(person, at)
            if not holds:
                # As long as this one does not hold, nothing else matters.
                return False, turn
            until = min(until, turn)
        return True, until

    return answer


def _any_of(node: AnyOf) -> Answers:
    return some([compile_condition(one) for one in node.any_of])


def some(parts: Sequence[Callable[[Somebody, int], tuple[bool, int]]]) -> Callable[[Somebody, int], tuple[bool, int]]:
    """Answer that at least one of some answers is yes."""

    def answer(person: Somebody, at: int) -> tuple[bool, int]:
        until = NEVER
        for part in parts:
            holds, turn = part(person, at)
            if holds:
                return True, turn
            until = min(until, turn)
        return False, until

    return answer


def _not(node: Not) -> Answers:
    return turned(compile_condition(node.condition))


def turned(inner: Callable[[Somebody, int], tuple[bool, int]]) -> Callable[[Somebody, int], tuple[bool, int]]:
    """Answer the opposite."""

    def answer(person: Somebody, at: int) -> tuple[bool, int]:
        holds, until = inner(person, at)
        return not holds, until

    return answer


def _in_audience(node: InAudience) -> Answers:
    return lambda person, at: person.is_member(node.name, at)


def _permitted(node: Permitted) -> Answers:
    return lambda person, at: person.may(node.purpose, at)


def _sample(node: Sample) -> Answers:
    return lambda person, _at: (node.from_share <= draw(node.salt, person.profile_id) < node.until_share, NEVER)


def draw(salt: str, profile_id: str) -> float:
    """Draw a share from 0 to 1 for somebody, the same each time.

    >>> draw("", "p1") == draw("", "p1"), draw("a", "p1") == draw("b", "p1")
    (True, False)
    """
    # MD5 because every SQL engine has it; nothing is kept secret by it.
    return int(md5(f"{salt}:{profile_id}".encode(), usedforsecurity=False).hexdigest()[:8], 16) / 4_294_967_296


def _compare(node: Compare) -> Answers:
    tests, value = node.tests, node.value
    if isinstance(value, EventValue) and value.aggregate.kind == "count" and len(tests) == 1:
        return _compare_count(value, tests[0])
    measure = compile_value(value)

    def answer(person: Person, at: int) -> tuple[bool, int]:
        found, until = measure(person, at)
        for test in tests:
            until = min(until, changes_at(test, found, at))
        return all(passes(test, found, at) for test in tests), until

    return answer


def _compare_count(value: EventValue, test: Test) -> Answers:
    """Count, and say until when the comparison holds, not the number."""
    window, tape_id = value.window, main_tape(value).tape_id
    holds_of, gone_of = _count_test(test)
    if isinstance(window, Rolling) and not window.older_than and window.within < LONGEST:
        return partial(_count_rolling, tape_id, window.within, holds_of, gone_of)
    spans, with_base = _span_finder(window), has_base(window)

    def answer(person: Person, at: int) -> tuple[bool, int]:
        span = spans(person, at)
        n, until = 0, span.until
        within: list[tuple[Sequence[list[Any]], int, int]] = []
        for document in person.documents(tape_id):
            if with_base:
                n += document[BASE][B_N]
            entries = document[ENTRIES]
            if not entries:
                continue
            low, high, arrives = _bounds(entries, span)
            if arrives < until:
                until = arrives
            if low < high:
                n += high - low
                within.append((entries, low, high))
        if span.leaves_after and within:
            gone = gone_of(n)
            if 0 < gone <= n:
                until = min(until, _nth(within, gone) + span.leaves_after)
        return holds_of(n), until

    return answer


def _count_rolling(
    tape_id: int,
    span: int,
    holds_of: Callable[[int], bool],
    gone_of: Callable[[int], int],
    person: Person,
    at: int,
) -> tuple[bool, int]:
    """Count over a plain rolling window: what most audiences ask."""
    n, until, after = 0, NEVER, at - span
    within: list[tuple[Sequence[list[Any]], int, int]] = []
    for document in person.documents(tape_id):
        entries = document[ENTRIES]
        if not entries:
            continue
        high = len(entries)
        if entries[-1][0] > at:
            high = bisect_right(entries, at, key=_at)
            until = min(until, entries[high][0])
        low = 0 if entries[0][0] > after else bisect_right(entries, after, 0, high, key=_at)
        if low < high:
            n += high - low
            within.append((entries, low, high))
    if within:
        gone = gone_of(n)
        if 0 < gone <= n:
            until = min(until, _nth(within, gone) + span)
    return holds_of(n), until


def _count_test(test: Test) -> tuple[Callable[[int], bool], Callable[[int], int]]:
    """Give what says whether a number passes, and how many must go until it is otherwise; none where it never is."""
    wanted = test.value
    if test.op in ("at_least", "less"):
        least, is_less = ceil(float(wanted)), test.op == "less"
        return (lambda n: (n >= least) != is_less), (lambda n: n - least + 1)
    if test.op in ("greater", "at_most"):
        most, is_most = floor(float(wanted)), test.op == "at_most"
        return (lambda n: (n > most) != is_most), (lambda n: n - most)

    def holds(n: int) -> bool:
        return passes(test, float(n), 0)

    def gone(n: int) -> int:
        now = holds(n)
        return next((left for left in range(1, n + 1) if holds(n - left) != now), 0)

    return holds, gone


def _nth(within: Sequence[tuple[Sequence[list[Any]], int, int]], n: int) -> int:
    """Give the instant of the n-th oldest of entries in several tapes."""
    if len(within) == 1:
        entries, low, _ = within[0]
        return int(entries[low + n - 1][0])
    times = (entry[0] for entries, low, high in within for entry in entries[low:high])
    return int(nsmallest(n, times)[-1])


# -- values


def _trait(node: TraitValue) -> Measures:
    name, rest = node.path[0], node.path[1:]
    return lambda person, _at: (at_path(person.trait(name), rest), NEVER)


def _feature(node: FeatureValue) -> Measures:
    return lambda person, at: person.feature(node.name, at)


class _Span(NamedTuple):
    """Which instants count: after `after`, up to and with `through`."""

    after: int
    through: int
    now: int
    leaves_after: int = 0  # an event leaves so long after it happened; 0: not by itself
    arrives_after: int = 0  # and counts so long after it happened
    until: int = NEVER  # the span itself is another one from here on


_Spans = Callable[[Person, int], _Span]


def _bounds(entries: Sequence[list[Any]], span: _Span) -> tuple[int, int, int]:
    """Give where a span's entries begin and end, and when the next one comes into it by itself."""
    low = bisect_right(entries, span.after, key=_at)
    high = bisect_right(entries, span.through, key=_at)
    # What lies after a span that is over does not come into it any more.
    is_over = span.through + span.arrives_after < span.now
    return low, high, NEVER if is_over or high == len(entries) else entries[high][0] + span.arrives_after


def _span_finder(window: Window) -> _Spans:
    match window:
        case Ever() | Absolute():
            # Of an absolute window the tape itself holds no others.
            return lambda _person, at: _Span(-NEVER, at, at)
        case Rolling(within, older) if within >= LONGEST:
            return lambda _person, at: _Span(-NEVER, at - older, at, arrives_after=older)
        case Rolling(within, older):
            return lambda _person, at: _Span(at - within, at - older, at, within, older)
        case Calendar():
            return partial(_calendar, window)
        case SinceLast():
            return partial(_since_last, window, _marker_tape(window).tape_id)
        case Session():
            return partial(_session, window, _visit_tape().tape_id)
    raise AssertionError(f"no such window: {window!r}")


def _calendar(window: Calendar, _person: Person, at: int) -> _Span:
    begins, ends = calendar_span(window, at)
    return _Span(begins - 1, min(at, ends - 1), at, until=next_turn(window.zone, window.unit, at))


def _since_last(window: SinceLast, marker_id: int, person: Person, at: int) -> _Span:
    last, until = at - window.within, NEVER
    for document in person.documents(marker_id):
        entries = document[ENTRIES]
        _, high, arrives = _bounds(entries, _Span(-NEVER, at, at))
        until = min(until, arrives)
        if high:
            last = max(last, entries[high - 1][0])
    # When the marker itself falls out of the window, what came before it has done so too.
    return _Span(last, at, at, window.within, until=until)


def _session(window: Session, visit_id: int, person: Person, at: int) -> _Span:
    times = sorted(entry[0] for document in person.documents(visit_id) for entry in document[ENTRIES])
    high = bisect_right(times, at)
    arrives = times[high] if high < len(times) else NEVER
    reach = at - SESSION_REACHES
    if not high or at - times[high - 1] > window.gap or times[high - 1] <= reach:
        return _Span(at, at, at, until=arrives)  # no visit goes on
    start = times[high - 1]
    for then in reversed(times[: high - 1]):
        if then <= reach or start - then > window.gap:
            break
        start = then
    ends = times[high - 1] + window.gap + 1
    return _Span(start - 1, at, at, SESSION_REACHES, until=min(arrives, ends, start + SESSION_REACHES))


def _total(node: EventValue) -> Measures:
    """Add numbers up: what most values ask."""
    spans, tape_id = _span_finder(node.window), main_tape(node).tape_id
    with_base, is_sum = has_base(node.window), node.aggregate.kind == "sum"

    def measure(person: Person, at: int) -> tuple[Any, int]:
        span = spans(person, at)
        until, n, total = span.until, 0, 0
        for document in person.documents(tape_id):
            if with_base:
                held = document[BASE][B_PATHS][0]
                n += held[P_N]
                total += held[P_SUM]
            entries = document[ENTRIES]
            low, high, arrives = _bounds(entries, span)
            until = min(until, arrives)
            if low < high and span.leaves_after:
                until = min(until, entries[low][0] + span.leaves_after)
            for entry in entries[low:high]:
                micros = micros_of(entry[2])
                if micros is not None:
                    n += 1
                    total += micros
        if is_sum:
            return float(total) / 1_000_000, until
        return float(total) / 1_000_000 / n if n else None, until

    return measure


def _event_value(node: EventValue) -> Measures:
    if node.aggregate.kind in ("sum", "average"):
        return _total(node)
    tape = main_tape(node)
    spans, tape_id = _span_finder(node.window), tape.tape_id
    with_base, make = has_base(node.window), _MADE[node.aggregate.kind]

    def measure(person: Person, at: int) -> tuple[Any, int]:
        span = spans(person, at)
        until = span.until
        base = new_base(tape)
        for document in person.documents(tape_id):
            if with_base:
                add_base(base, document[BASE])
            entries = document[ENTRIES]
            low, high, arrives = _bounds(entries, span)
            until = min(until, arrives)
            if low < high and span.leaves_after:
                until = min(until, entries[low][0] + span.leaves_after)
            for entry in entries[low:high]:
                base[B_N] += 1
                if len(entry) > 2 and entry[2] is not None:
                    add_value(base[B_PATHS][0], entry[0], entry[1], entry[2])
        return make(base), until

    return measure


def _most_frequent(base: list[Any]) -> Any:
    values = base[B_PATHS][0][P_VALUES].values()
    # Of several that are as frequent the one that was seen last; of one event's list texts before numbers before
    # truths, and the greatest of them.
    return max(values, key=_frequency)[V_VALUE] if values else None


def _frequency(held: list[Any]) -> tuple[Any, ...]:
    value = held[V_VALUE]
    kind = 2 if type(value) is str else 0 if type(value) is bool else 1
    return held[V_N], held[V_AT], held[V_POSITION], kind, value


_MADE: dict[str, Callable[[list[Any]], Any]] = {
    "count": lambda base: float(base[B_N]),
    "minimum": lambda base: base[B_PATHS][0][P_MIN],
    "maximum": lambda base: base[B_PATHS][0][P_MAX],
    "distinct": lambda base: float(len(base[B_PATHS][0][P_VALUES])),
    "first": lambda base: base[B_PATHS][0][P_FIRST][2] if base[B_PATHS][0][P_FIRST] else None,
    "last": lambda base: base[B_PATHS][0][P_LAST][2] if base[B_PATHS][0][P_LAST] else None,
    "most_frequent": _most_frequent,
}


# -- habits


def _first_time(node: FirstTime) -> Answers:
    tape_id = _first_tape(node.matcher).tape_id
    window = node.window

    def answer(person: Person, at: int) -> tuple[bool, int]:
        first, arrives = NEVER, NEVER
        for document in person.documents(tape_id):
            base, entries = document[BASE], document[ENTRIES]
            if base[B_FIRST] is not None:
                first = min(first, base[B_FIRST][0])
            if entries and entries[0][0] <= at:
                first = min(first, entries[0][0])
            elif entries:
                arrives = min(arrives, entries[0][0])
        if first == NEVER:
            return False, arrives
        if isinstance(window, Rolling):
            ends, begins = first + window.within, first + window.older_than
            return begins <= at < ends, min(turn for turn in (begins, ends, NEVER) if turn > at)
        if isinstance(window, Calendar):
            begins, ends = calendar_span(window, at)
            return begins <= first < ends, next_turn(window.zone, window.unit, at)
        begins = -NEVER if window.from_at is None else window.from_at
        return begins <= first < (NEVER if window.until_at is None else window.until_at), NEVER

    return answer


def _restarted(node: Restarted) -> Answers:
    tape_id = _restart_tape(node).tape_id

    def answer(person: Person, at: int) -> tuple[bool, int]:
        times: list[int] = []
        for document in person.documents(tape_id):
            if document[BASE][B_LAST] is not None:
                times.append(document[BASE][B_LAST][0])
            times += [entry[0] for entry in document[ENTRIES]]
        times.sort()
        high = bisect_right(times, at)
        until = times[high] if high < len(times) else NEVER
        holds = False
        for place in range(1, high):
            if times[place] > at - node.within and times[place] - times[place - 1] >= node.quiet:
                holds = True
                until = min(until, times[place] + node.within)
        return holds, until

    return answer


def _regularly(node: Regularly) -> Answers:
    tape_id = regular_tape(node).tape_id
    reach = node.every * node.of

    def answer(person: Person, at: int) -> tuple[bool, int]:
        stretches: set[int] = set()
        until = NEVER
        for document in person.documents(tape_id):
            entries = document[ENTRIES]
            low, high, arrives = _bounds(entries, _Span(at - reach, at, at))
            until = min(until, arrives)
            for entry in entries[low:high]:
                age = at - entry[0]
                stretches.add(age // node.every)
                until = min(until, entry[0] + (age // node.every + 1) * node.every)
        return len(stretches) >= node.at_least, until

    return answer


_Place = tuple[int, int]  # event_at, position


def _sequence(node: Steps) -> Answers:
    ids = [step_tape(node, step.matcher).tape_id for step in node.steps]
    apart_ids = [None if step.without is None else apart_tape(node, step.without).tape_id for step in node.steps]
    unless_id = None if node.unless is None else apart_tape(node, node.unless).tape_id
    wanted_ids = {one for one in (*ids, *apart_ids, unless_id) if one is not None}

    def answer(person: Person, at: int) -> tuple[bool, int]:
        span = _Span(at - node.within, at, at)
        until = NEVER
        told: dict[int, list[list[Any]]] = {}
        if not person.documents(ids[0]):
            return False, NEVER  # it never began
        for tape_id in wanted_ids:
            found: list[list[Any]] = []
            for document in person.documents(tape_id):
                entries = document[ENTRIES]
                low, high, arrives = _bounds(entries, span)
                found += entries[low:high]
                until = min(until, arrives)
            told[tape_id] = sorted(found, key=_place)
        # By what they agree on: where each way stands, and when the latest of those that stand there began.
        ways: dict[str, list[tuple[_Place, int]]] = {}
        for entry in told[ids[0]]:
            if _has_all(entry):
                ways.setdefault(_agreed(entry), []).append((_place(entry), entry[0]))
        for step, tape_id, apart_id in zip(node.steps[1:], ids[1:], apart_ids[1:], strict=True):
            onward: dict[str, list[_Place]] = {}
            for entry in told[tape_id]:
                if _has_all(entry):
                    onward.setdefault(_agreed(entry), []).append(_place(entry))
            apart = [_place(entry) for entry in told[apart_id]] if apart_id is not None else []
            ways = {
                agreed: _go_on(ways[agreed], places, apart, NEVER if step.gap is None else step.gap, node.total)
                for agreed, places in onward.items()
                if agreed in ways
            }
        ends = [way for there in ways.values() for way in there]
        if node.unless is None:
            return bool(ends), min([until, *(begun + node.within for _, begun in ends)], default=NEVER)
        assert unless_id is not None
        return _unless(node, ends, [_place(entry) for entry in told[unless_id]], at, until)

    return answer


def _go_on(
    ways: Sequence[tuple[_Place, int]], places: Sequence[_Place], apart: Sequence[_Place], gap: int, total: int | None
) -> list[tuple[_Place, int]]:
    """Go one step on from where ways stand: to each place from that one before it, of those allowed, that began last.

    Of two ways to one place the one that began later is as good at least: it lasts longer and is shorter.
    """
    found = []
    best: deque[tuple[_Place, int]] = deque()  # of those that may go on to here: begun falls from the left
    taken = 0
    for here in places:
        while taken < len(ways) and ways[taken][0] < here:
            while best and best[-1][1] <= ways[taken][1]:
                best.pop()
            best.append(ways[taken])
            taken += 1
        passed = bisect_left(apart, here)
        since = apart[passed - 1] if passed else (-NEVER, 0)
        while best and (best[0][0] < since or here[0] - best[0][0][0] > gap):
            best.popleft()
        if best and (total is None or here[0] - best[0][1] <= total):
            found.append((here, best[0][1]))
    return found


def _unless(
    node: Steps, ends: Sequence[tuple[_Place, int]], denied: Sequence[_Place], at: int, until: int
) -> tuple[bool, int]:
    """Say whether one way ended, its wait is over, and nothing that would deny it came in time."""
    holds_until = 0
    for place, begun in ends:
        over = place[0] + node.unless_within
        following = bisect_right(denied, place)
        if following < len(denied) and denied[following][0] <= over:
            continue
        if over > at:
            until = min(until, over)
        else:
            holds_until = max(holds_until, begun + node.within)
    return (True, min(until, holds_until)) if holds_until else (False, until)


def _agreed(entry: list[Any]) -> str:
    return repr(entry[2:])


def _has_all(entry: list[Any]) -> bool:
    return all(value is not None and type(value) is not list for value in entry[2:])


# -- which tapes


def has_base(window: Window) -> bool:
    """Say whether a window takes in all that a tape holds, also what is added up."""
    return isinstance(window, Ever | Absolute) or (isinstance(window, Rolling) and window.within >= LONGEST)


def _reach(window: Window) -> int:
    """Say how far back single events are looked at."""
    match window:
        case Rolling(within, older):
            return older if within >= LONGEST else within
        case Calendar(unit, back, _, _):
            return (back + 1) * _UNIT_DAYS[unit] * DAY
        case SinceLast(_, within):
            return within
        case Session():
            return SESSION_REACHES
    return 0


def plain_tape(matcher: Matcher, reach: int) -> Tape:
    """Give the tape that says when events happened, and no more.

    What is asked most is on as few tapes as may be: a month of single events at least, and how many there were before.
    """
    return Tape(matcher, (), horizon_of(max(reach, 1)), has_base=True)


def main_tape(node: EventValue) -> Tape:
    """Give the tape on which the events of a value stand."""
    window, aggregate = node.window, node.aggregate
    if not aggregate.path and not isinstance(window, Absolute):
        return plain_tape(node.matcher, _reach(window))
    paths = (aggregate.path,) if aggregate.path else ()
    from_at, until_at = (window.from_at, window.until_at) if isinstance(window, Absolute) else (None, None)
    return Tape(
        node.matcher,
        paths,
        horizon_of(_reach(window)),
        has_base(window),
        aggregate.kind in ("distinct", "most_frequent"),
        from_at,
        until_at,
    )


def _tapes_of_value(node: EventValue) -> Iterable[Tape]:
    yield main_tape(node)
    if isinstance(node.window, SinceLast):
        yield _marker_tape(node.window)
    if isinstance(node.window, Session):
        yield _visit_tape()


def _marker_tape(window: SinceLast) -> Tape:
    return plain_tape(window.matcher, window.within)


def _visit_tape() -> Tape:
    return Tape(ANYTHING, (), SESSION_REACHES)


def _first_tape(matcher: Matcher) -> Tape:
    return plain_tape(matcher, 0)


def _restart_tape(node: Restarted) -> Tape:
    return plain_tape(node.matcher, node.within)


def regular_tape(node: Regularly) -> Tape:
    """Give the tape on which the events of a habit stand."""
    return plain_tape(node.matcher, node.every * node.of)


def step_tape(node: Steps, matcher: Matcher) -> Tape:
    """Give the tape on which the events of a step stand."""
    return Tape(matcher, node.same, horizon_of(node.within)) if node.same else plain_tape(matcher, node.within)


def _sequence_tapes(node: Steps) -> Iterable[Tape]:
    for step in node.steps:
        yield step_tape(node, step.matcher)
        if step.without is not None:
            yield apart_tape(node, step.without)
    if node.unless is not None:
        yield apart_tape(node, node.unless)


def apart_tape(node: Steps, matcher: Matcher) -> Tape:
    """Give the tape on which events stand that a sequence does without."""
    return plain_tape(matcher, node.within)


_CONDITIONS: dict[type, Callable[[Any], Answers]] = {
    Everybody: _everybody,
    AllOf: _all_of,
    AnyOf: _any_of,
    Not: _not,
    InAudience: _in_audience,
    Permitted: _permitted,
    Sample: _sample,
    InGroup: lambda node: compile_group(node, compile_condition),
    Compare: _compare,
    FirstTime: _first_time,
    Restarted: _restarted,
    Regularly: _regularly,
    Steps: _sequence,
}
_VALUES: dict[type, Callable[[Any], Measures]] = {
    TraitValue: _trait,
    FeatureValue: _feature,
    EventValue: _event_value,
}
