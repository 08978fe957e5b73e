"""Why: a definition explained for one person at one instant, and what would change the answer.

In:    a definition; what is kept of one person; an instant.
Out:   each part with its value, what it is compared with and the events that decide; when the answer changes by itself;
       the smallest change found that would turn it.
Never: another answer than the evaluator's, or a change that was not tried on the person's tapes.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from math import floor
from operator import itemgetter
from typing import Any, NamedTuple

from tillit.clock import DAY, SECOND
from tillit.language.groups import is_meant
from tillit.language.imagined import Act, Imagined, candidates, example_properties, passing
from tillit.language.live import (
    _UNIT_DAYS,
    Answers,
    Person,
    _bounds,
    _first_tape,
    _restart_tape,
    _Span,
    _span_finder,
    apart_tape,
    compile_condition,
    compile_value,
    draw,
    inputs_of,
    main_tape,
    regular_tape,
    step_tape,
)
from tillit.language.nodes import (
    MOVING,
    Absolute,
    AllOf,
    AnyOf,
    Calendar,
    Compare,
    Condition,
    EventValue,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Not,
    Path,
    Permitted,
    Regularly,
    Restarted,
    Sample,
    SinceLast,
    Step,
    Test,
    TraitValue,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.sentences import events, instant, number, predicate, scalar, sentence, span, threshold, window
from tillit.language.tapes import B_FIRST, B_LAST, B_PATHS, BASE, ENTRIES, P_FIRST, P_LAST, Tape, value_key
from tillit.language.values import NEVER, at_path, changes_at, passes

MOST_DECIDING = 20
_MOST_TOLD = 10  # groups, and members of each, that are named
MOST_EVENTS = 1_000  # more are not proposed
_MOST_TURNS = 1_000  # until the next change of the answer; each is one evaluation
_MOST_DEADLINES = 1_000  # turns that are tried with a change
_MOST_OPTIONS = 4  # changes of one part that are tried together with those of others
_MOST_TRIALS = 400  # of changes of one part
_MOST_WAITS = 20  # changes of one part after which it is looked whether time does the rest
_MOST_WORK = 100_000  # events that are looked at in one search; whoever has thousands gets fewer tries, but ten
_place = itemgetter(0, 1)


class Deciding(NamedTuple):
    """An event that an answer hangs on. `at`: when it happened; `position`: its place in the log."""

    at: int
    position: int


class Change(NamedTuple):
    """What would turn an answer. `holds_from`: the instant at which it turns: that of the question, or a later one.

    `before`: of what turns it at once, it works until then; None: without end.
    """

    acts: tuple[Act, ...]
    holds_from: int
    before: int | None
    words: str


class Reason(NamedTuple):
    """One part of a definition.

    `kind`: leaf; all, any, none, not_all for what stands in `parts`. `value`, `told`: what was found, and in words.
    `threshold`: what it is compared with. `until`: when it changes by itself, or not before; None: it does not.
    `change`: what would turn this part alone.
    """

    kind: str
    sentence: str
    holds: bool
    until: int | None
    value: Any = None
    told: str = ""
    threshold: str = ""
    deciding: tuple[Deciding, ...] = ()
    change: Change | None = None
    parts: tuple["Reason", ...] = ()


class Explained(NamedTuple):
    """A definition, explained. `until`: the next instant at which the whole answer changes by itself, None: never.

    `is_sure`: False where that is only known not to be earlier. `words`: what would change it, in sentences.
    """

    holds: bool
    at: int
    until: int | None
    is_sure: bool
    change: Change | None
    reason: Reason
    words: tuple[str, ...]


def explain(node: Condition, person: Person, at: int) -> Explained:
    """Explain why a definition holds of a person at an instant, or why not, and what would change that."""
    tapes = tuple(inputs_of(node).tapes)
    is_held = compile_condition(node)(person, at)[0]
    until, is_sure = next_change(node, person, at)
    change = _change(node, person, tapes, at, wanted=not is_held)
    if change is None:
        change = _change_in_time(node, _Trial(person, tapes, at), until, wanted=not is_held)
    reason = _reason(node, person, tapes, at, turned=False)
    return Explained(is_held, at, until, is_sure, change, reason, tuple(_words(is_held, until, is_sure, change)))


def next_change(node: Condition, person: Person, at: int) -> tuple[int | None, bool]:
    """Give the next instant at which an answer changes by itself, None when it does not, and whether that is sure.

    It is not where very many instants lie before that could change it and do not: it holds until then at least.
    """
    answers = compile_condition(node)
    leaves = list(_leaves(node))
    settled = _settled(leaves, person, at)
    steady = max(settled.values(), default=NEVER)
    now, (is_held, turn) = at, answers(person, at)
    for _ in range(_tries(node, person, _MOST_TURNS)):
        if turn > steady:
            turn = min((_turn(leaf, person, now, settled) for leaf in leaves), default=NEVER)
        if turn >= NEVER:
            return None, True
        now = turn
        now_held, turn = answers(person, now)
        if now_held != is_held:
            return now, True
    return now, False


def _tries(node: Condition, person: Person, most: int) -> int:
    documents = (one for tape in inputs_of(node).tapes for one in person.documents(tape.tape_id))
    return max(10, min(most, _MOST_WORK // (1 + sum(len(one[ENTRIES]) for one in documents))))


def _turn(leaf: Condition, person: Person, at: int, settled: dict[Condition, int]) -> int:
    if at >= settled.get(leaf, NEVER):
        return NEVER
    return compile_condition(leaf)(person, at)[1]


def _settled(leaves: Sequence[Condition], person: Person, at: int) -> dict[Condition, int]:
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


def _words(is_held: bool, until: int | None, is_sure: bool, change: Change | None) -> Iterator[str]:
    if until is not None and is_sure:
        yield f"{'leaves' if is_held else 'enters'} by itself at {instant(until)}"
    elif until is not None:
        yield f"does not change by itself before {instant(until)}"
    if change is not None:
        yield change.words
    elif until is None:
        yield "stays as it is: no event, trait or permission changes it now, and time does not"
    else:
        yield "no event, trait or permission changes it now"


# -- each part


def _reason(node: Condition, person: Person, tapes: Sequence[Tape], at: int, *, turned: bool) -> Reason:
    if isinstance(node, Not):
        return _reason(node.condition, person, tapes, at, turned=not turned)
    is_held = compile_condition(node)(person, at)[0] != turned
    until = next_change(node, person, at)[0]
    said = sentence(Not(node) if turned else node)
    if isinstance(node, AllOf | AnyOf):
        kind = {AllOf: ("all", "not_all"), AnyOf: ("any", "none")}[type(node)][turned]
        parts = tuple(_reason(one, person, tapes, at, turned=False) for one in node[0])
        return Reason(kind, said, is_held, until, parts=parts)
    found = _FOUND[type(node)](node, person, at)
    change = _change(Not(node) if turned else node, person, tapes, at, wanted=not is_held)
    compared = f"not {found.threshold}" if turned and found.threshold else found.threshold
    deciding = tuple(Deciding(*_place(one)) for one in sorted(found.deciding, key=_place)[-MOST_DECIDING:])
    return Reason("leaf", said, is_held, until, found.value, found.told, compared, deciding, change)


class _Found(NamedTuple):
    """What a part found. `deciding`: entries, of which the first two are when and where."""

    value: Any
    told: str
    threshold: str
    deciding: Sequence[Sequence[Any]] = ()


def _found_compare(node: Compare, person: Person, at: int) -> _Found:
    value = compile_value(node.value)(person, at)[0]
    compared = " and ".join(threshold(test) for test in node.tests)
    deciding = _deciding_of_value(node.value, person, at, value) if isinstance(node.value, EventValue) else ()
    return _Found(value, _told(value), compared, deciding)


def _told(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return ", ".join(_told(one) for one in value) or "an empty list"
    if isinstance(value, dict):
        return "several values"
    return scalar(float(value) if type(value) is int else value)


def _deciding_of_value(node: EventValue, person: Person, at: int, value: Any) -> list[Sequence[Any]]:
    kind = node.aggregate.kind
    limits = _span_finder(node.window)(person, at)
    found: list[Sequence[Any]] = []
    for document in person.documents(main_tape(node).tape_id):
        entries, base = document[ENTRIES], document[BASE]
        low, high, _ = _bounds(entries, limits)
        found += entries[low:high]
        if base is not None and kind in ("first", "last"):
            told = base[B_PATHS][0][P_FIRST if kind == "first" else P_LAST]
            found += [told] if told is not None else []
        elif base is not None:
            found += [place for place in (base[B_FIRST], base[B_LAST]) if place is not None]
    if not node.aggregate.path:
        return found
    if kind in ("first", "last"):
        valued = [entry for entry in found if len(entry) > 2 and entry[2] is not None]
        return [(min if kind == "first" else max)(valued, key=_place)] if valued else []
    if kind in ("minimum", "maximum", "most_frequent"):
        return [entry for entry in found if len(entry) < 3 or _has_value(entry[2], value)]
    return [entry for entry in found if len(entry) < 3 or entry[2] is not None]


def _has_value(held: Any, value: Any) -> bool:
    if value is None or held is None:
        return False
    return any(value_key(one) == value_key(value) for one in (held if isinstance(held, list) else [held]))


def _found_first_time(node: FirstTime, person: Person, at: int) -> _Found:
    places = []
    for document in person.documents(_first_tape(node.matcher).tape_id):
        places += [document[BASE][B_FIRST]] if document[BASE][B_FIRST] is not None else []
        places += [entry for entry in document[ENTRIES][:1] if entry[0] <= at]
    first = min((place for place in places if place[0] <= at), key=_place, default=None)
    told = "never" if first is None else instant(first[0])
    return _Found(None if first is None else first[0], told, window(node.window), () if first is None else (first,))


def _found_restarted(node: Restarted, person: Person, at: int) -> _Found:
    places: list[Sequence[Any]] = []
    for document in person.documents(_restart_tape(node).tape_id):
        places += [document[BASE][B_LAST]] if document[BASE][B_LAST] is not None else []
        places += document[ENTRIES]
    places = sorted((place for place in places if place[0] <= at), key=_place)
    pairs = [(now[0] - before[0], before, now) for before, now in pairwise(places) if now[0] > at - node.within]
    compared = f"a pause of at least {span(node.quiet)}"
    if not pairs:
        return _Found(None, "no pause that ended in time", compared, places[-1:])
    pause, before, now = max(pairs, key=itemgetter(0))
    return _Found(pause, f"a pause of {span(pause)}", compared, (before, now))


def _found_regularly(node: Regularly, person: Person, at: int) -> _Found:
    newest: dict[int, Sequence[Any]] = {}
    for document in person.documents(regular_tape(node).tape_id):
        low, high, _ = _bounds(document[ENTRIES], _Span(at - node.every * node.of, at, at))
        for entry in document[ENTRIES][low:high]:
            stretch = (at - entry[0]) // node.every
            if stretch not in newest or _place(newest[stretch]) < _place(entry):
                newest[stretch] = entry
    told = f"{len(newest)} of {node.of}"
    return _Found(len(newest), told, f"at least {node.at_least} of {node.of}", list(newest.values()))


def _found_sequence(node: Steps, person: Person, at: int) -> _Found:
    way = _furthest(node, person, at)
    n, of = len(way), len(node.steps)
    told = f"{n} of {of} {'step' if of == 1 else 'steps'}"
    if node.unless is not None and n == of:
        over = way[-1][0] + node.unless_within
        denied = [one for one in _entries(person, apart_tape(node, node.unless), at, node.within)
                  if _place(one) > _place(way[-1]) and one[0] <= over]  # fmt: skip
        if denied:
            return _Found(n, f"{told}, and then {events(node.unless)}", f"{of} of {of}", [*way, denied[0]])
        if over > at:
            told = f"{told}, and waiting until {instant(over)}"
    return _Found(n, told, f"{of} of {of}", way)


def _entries(person: Person, tape: Tape, at: int, within: int) -> list[Any]:
    found: list[Any] = []
    for document in person.documents(tape.tape_id):
        low, high, _ = _bounds(document[ENTRIES], _Span(at - within, at, at))
        found += document[ENTRIES][low:high]
    return sorted(found, key=_place)


class _Way(NamedTuple):
    """A way through the first steps of a sequence: its entries, in order."""

    entries: tuple[Sequence[Any], ...]

    @property
    def begun(self) -> int:
        return int(self.entries[0][0])


def _furthest(node: Steps, person: Person, at: int) -> list[Sequence[Any]]:
    """Give the events that went furthest through a sequence; of several the latest begun, not denied first."""
    told = [
        [one for one in _entries(person, step_tape(node, step.matcher), at, node.within) if _is_whole(one)]
        for step in node.steps
    ]
    ways = [_Way((entry,)) for entry in told[0][-200:]]
    furthest = ways
    for step, entries in zip(node.steps[1:], told[1:], strict=True):
        apart = [] if step.without is None else _entries(person, apart_tape(node, step.without), at, node.within)
        apart_places = [_place(one) for one in apart]
        onward = []
        for entry in entries[-200:]:
            passed = bisect_right(apart_places, _place(entry), hi=len(apart_places))
            while passed and apart_places[passed - 1] >= _place(entry):
                passed -= 1
            since = apart_places[passed - 1] if passed else (-NEVER, 0)
            before = [way for way in ways if _goes_on(node, step, way, entry, since)]
            if before:
                onward.append(_Way((*max(before, key=lambda way: way.begun).entries, entry)))
        if not onward:
            break
        ways = furthest = onward
    if not furthest:
        return []
    return list(max(furthest, key=lambda way: (_is_undenied(node, way, person, at), way.begun)).entries)


def _is_whole(entry: Sequence[Any]) -> bool:
    return all(value is not None and type(value) is not list for value in entry[2:])


def _goes_on(node: Steps, step: Step, way: _Way, entry: Sequence[Any], since: tuple[int, int]) -> bool:
    last = way.entries[-1]
    return (
        _place(last) < _place(entry)
        and repr(last[2:]) == repr(entry[2:])
        and _place(last) >= since
        and (step.gap is None or entry[0] - last[0] <= step.gap)
        and (node.total is None or entry[0] - way.begun <= node.total)
    )


def _is_undenied(node: Steps, way: _Way, person: Person, at: int) -> bool:
    if node.unless is None or len(way.entries) < len(node.steps):
        return True
    last = way.entries[-1]
    over = last[0] + node.unless_within
    denied = _entries(person, apart_tape(node, node.unless), at, node.within)
    return over <= at and not any(_place(one) > _place(last) and one[0] <= over for one in denied)


def _found_audience(node: InAudience, person: Person, at: int) -> _Found:
    is_member = person.is_member(node.name, at)[0]
    return _Found(is_member, "a member" if is_member else "no member", "a member")


def _found_permitted(node: Permitted, person: Person, at: int) -> _Found:
    may = person.may(node.purpose, at)[0]
    return _Found(may, "permitted" if may else "not permitted", "permitted")


def _found_sample(node: Sample, person: Person, _at: int) -> _Found:
    share = draw(node.salt, person.profile_id)
    return _Found(share, f"{share:.2%}", f"from {node.from_share:.2%} up to {node.until_share:.2%}")


def _found_group(node: InGroup, person: Person, at: int) -> _Found:
    relations = person.relations()
    places = [one for one in relations.places(at)[0] if is_meant(node, one)]
    told = "; ".join(_told_of_group(node, person, one.group_key, one.role, at) for one in places[:_MOST_TOLD])
    if len(places) > _MOST_TOLD:
        told += f"; and {len(places) - _MOST_TOLD} more"
    return _Found([one.group_key for one in places], told or "in no such group", "")


def _told_of_group(node: InGroup, person: Person, group_key: str, role: str | None, at: int) -> str:
    relations, told = person.relations(), []
    if role is not None:
        told.append(f"as {role}")
    if node.trait:
        held = relations.trait(group_key, node.trait[0], node.purpose, at)[0]
        told.append(f"{sentence(TraitValue(node.trait))} is {_told(at_path(held, node.trait[1:]))}")
    if (node.sizes or node.member is not None) and not relations.is_near(group_key):
        told.append("too large a group: only the first thousand are looked at")
    elif node.sizes or node.member is not None:
        members = relations.members(group_key, node.purpose, at)[0]
        told.append(f"{len(members)} {'member' if len(members) == 1 else 'members'} whom the purpose may use")
        if node.member is not None:
            holding = set(relations.holding(group_key, node.purpose, at, compile_condition(node.member))[0])
            if node.others_only:
                holding.discard(person.profile_id)
            named = [one for one in sorted(holding) if relations.may_name(one)][:_MOST_TOLD]
            fits = f"{len(holding)} {'fits' if len(holding) == 1 else 'fit'}"
            told.append(f"{fits}: {', '.join(named)}" if named else fits)
    return f"{group_key} ({', '.join(told)})" if told else group_key


_FOUND: dict[type, Callable[[Any, Person, int], _Found]] = {
    Compare: _found_compare,
    FirstTime: _found_first_time,
    Restarted: _found_restarted,
    Regularly: _found_regularly,
    Steps: _found_sequence,
    InAudience: _found_audience,
    Permitted: _found_permitted,
    Sample: _found_sample,
    InGroup: _found_group,
    Everybody: lambda _node, _person, _at: _Found(True, "everybody", ""),
}


# -- what would change it


class _Trial(NamedTuple):
    """Where changes are tried."""

    person: Person
    tapes: Sequence[Tape]
    at: int

    def gives(self, answers: Answers, acts: Sequence[Act], at: int | None = None) -> bool:
        """Say what an answer would be if the acts happened, now or at another instant."""
        then = self.at if at is None else at
        return answers(Imagined(self.person, self.tapes, acts, then), then)[0]


_Acts = tuple[Act, ...]


def _change(node: Condition, person: Person, tapes: Sequence[Tape], at: int, *, wanted: bool) -> Change | None:
    """Find the smallest change that gives the wanted answer, among those tried."""
    trial = _Trial(person, tapes, at)
    options = _options(node, trial, wanted=wanted)
    return _at_once(node, trial, options[0], wanted=wanted) if options else None


def _at_once(node: Condition, trial: _Trial, acts: _Acts, *, wanted: bool) -> Change:
    before = _deadline(node, trial, acts, wanted=wanted)
    when = "" if before is None else f" before {instant(before)}"
    if before is not None and before % SECOND == 1:
        when = f" by {instant(before - 1)}"  # it does at that instant, and not after it
    return Change(_worded(acts), trial.at, before, f"{_said(acts, wanted=wanted)}{when}")


def _change_in_time(node: Condition, trial: _Trial, until: int | None, *, wanted: bool) -> Change | None:
    """Find acts after which time alone gives the wanted answer, earlier than it would without them."""
    found: list[tuple[int, _Acts]] = []
    answers = compile_condition(node)
    for leaf in _leaves(node):
        proposed = (acts for turned in (True, False) for acts in _PROPOSALS[type(leaf)](leaf, trial, turned))
        for acts in islice(proposed, max(2, _tries(node, trial.person, 10 * _MOST_WAITS) // 10)):
            if trial.gives(answers, acts) == wanted:
                return _at_once(node, trial, _shrunk(answers, trial, acts, wanted=wanted), wanted=wanted)
            then, is_sure = next_change(node, Imagined(trial.person, trial.tapes, acts, trial.at), trial.at)
            if is_sure and then is not None and (until is None or then < until):
                found.append((then, acts))
    if not found:
        return None
    then, acts = min(found, key=lambda one: (_cost(one[1]), one[0]))
    return Change(
        _worded(acts), then, None, f"{_said(acts, wanted=wanted)}, and then nothing else until {instant(then)}"
    )


def _worded(acts: _Acts) -> _Acts:
    return tuple(act._replace(words=act.words.format(n=number(act.n))) for act in acts)


def _said(acts: _Acts, *, wanted: bool) -> str:
    parts = [act.words for act in _worded(acts)]
    told = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{'needs' if wanted else 'would end with'} {told}"


def _cost(acts: _Acts) -> tuple[int, int, int]:
    """Count what has to happen; of as many things events and traits come before what others decide."""
    others = sum(act.kind not in ("event", "trait") for act in acts)
    return sum(act.n for act in acts), others, len(acts)


def _options(node: Condition, trial: _Trial, *, wanted: bool) -> list[_Acts]:
    """Give changes that make a part give the wanted answer, each tried, the smallest first."""
    answers = compile_condition(node)
    if answers(trial.person, trial.at)[0] == wanted:
        return [()]
    if isinstance(node, Not):
        return _options(node.condition, trial, wanted=not wanted)
    if isinstance(node, AllOf | AnyOf):
        each = [_options(one, trial, wanted=wanted) for one in node[0]]
        proposed = _together(each) if isinstance(node, AllOf) == wanted else _one_of(each)
    else:
        proposed = _PROPOSALS[type(node)](node, trial, wanted)
    found: list[_Acts] = []
    for acts in islice(proposed, _tries(node, trial.person, _MOST_TRIALS)):
        if acts and trial.gives(answers, acts) == wanted:
            small = _shrunk(answers, trial, acts, wanted=wanted)
            if small not in found:
                found.append(small)
            if len(found) == _MOST_OPTIONS:
                break
    return sorted(found, key=_cost)


def _one_of(each: Sequence[Sequence[_Acts]]) -> Iterator[_Acts]:
    yield from sorted((acts for options in each for acts in options if acts), key=_cost)


def _together(each: Sequence[Sequence[_Acts]]) -> Iterator[_Acts]:
    if not all(each):
        return  # one part cannot be had
    first = [options[0] for options in each]
    yield from sorted(first, key=_cost)  # what serves one part may serve all
    yield _merged(_joined(first))
    yield _joined(first)
    yield _joined(reversed(first))
    for place, options in enumerate(each):
        for other in options[1:]:
            yield _joined([*first[:place], other, *first[place + 1 :]])


def _joined(several: Iterable[_Acts]) -> _Acts:
    return tuple(act for acts in several for act in acts)


def _merged(acts: _Acts) -> _Acts:
    """Let an event that several parts want happen as often as the one that wants it most."""
    most: dict[str, Act] = {}
    for act in acts:
        key = repr(act._replace(n=1, words=""))
        if key not in most or most[key].n < act.n:
            most[key] = act
    return tuple(most.values())


def _shrunk(answers: Answers, trial: _Trial, acts: _Acts, *, wanted: bool) -> _Acts:
    """Leave out what is not needed."""
    place = 0
    while place < len(acts):
        act = acts[place]

        def works(n: int, acts: _Acts = acts, place: int = place, act: Act = act) -> bool:
            return trial.gives(answers, _with_n(acts, place, act, n)) == wanted

        fewer = _fewest(works, act.n)
        acts = _with_n(acts, place, act, fewer)
        place += fewer > 0
    return acts


def _with_n(acts: _Acts, place: int, act: Act, n: int) -> _Acts:
    return (*acts[:place], *((act._replace(n=n),) if n else ()), *acts[place + 1 :])


def _fewest(works: Callable[[int], bool], n: int) -> int:
    """Give a number that works, of which one less does not; `n` works."""
    if works(0):
        return 0
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    return high


# -- proposals for one part


def _event(matcher: Matcher, name: str, properties: dict[str, Any], words: str) -> Act:
    kind = "track" if matcher.type == "*" else matcher.type
    return Act("event", words, name, properties, type=kind)


def _events_of(matcher: Matcher, fixed: dict[Path, Any] | None = None, words: str = "") -> Iterator[Act]:
    """Make up events that a matcher takes, one for each of a few names."""
    properties = example_properties(matcher.where, fixed or {})
    if properties is None:
        return
    said = words or f"{{n}} more {_braced(events(matcher)).removeprefix('any ').removeprefix('a ')}"
    for name in matcher.names[:3] or ("any",):
        yield _event(matcher, name, properties, said)


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _for_compare(node: Compare, trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    value = node.value
    if isinstance(value, TraitValue):
        for one in passing(node.tests, trial.at, wanted=wanted):
            said = _braced(_set_to(sentence(value), node.tests, one, wanted=wanted))
            yield (Act("trait", said, value.path[0], one, path=value.path[1:]),)
    elif isinstance(value, FeatureValue):
        for one in passing(node.tests, trial.at, wanted=wanted):
            said = _braced(_set_to(sentence(value), node.tests, one, wanted=wanted))
            yield (Act("feature", said, value.name, one),)
    elif value.aggregate.kind == "count":
        yield from _for_count(value, node.tests, trial, wanted)
    else:
        yield from _for_aggregate(value, node.tests, trial, wanted)


def _set_to(what: str, tests: Sequence[Test], value: Any, *, wanted: bool) -> str:
    if value is None:
        return f"{what} taken away"
    if wanted and len(tests) == 1 and tests[0].op in ("equals", "one_of"):
        return f"{what} set to {_told(value)}"
    if wanted:
        return f"{what} set so that it {' and '.join(predicate(test) for test in tests)} (such as {_told(value)})"
    return f"{what} set to something else (such as {_told(value)})"


def _markers(node: EventValue) -> Iterator[Act]:
    """Make up what begins the window anew."""
    if isinstance(node.window, SinceLast):
        yield from _events_of(node.window.matcher)


def _for_count(node: EventValue, tests: Sequence[Test], trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    n = compile_value(node)(trial.person, trial.at)[0]
    for more in _how_many(tests, n, wanted=wanted):
        for act in _events_of(node.matcher):
            yield (act._replace(n=more),)
    for marker in _markers(node):
        yield (marker,)
        for more in _how_many(tests, 0.0, wanted=wanted):
            for act in _events_of(node.matcher):
                yield (marker, act._replace(n=more))


def _how_many(tests: Sequence[Test], n: float, *, wanted: bool) -> list[int]:
    """Say how many more there have to be, the fewest first."""
    targets = {int(n) + 1}
    for test in tests:
        for one in test.value if isinstance(test.value, tuple) else (test.value,):
            if type(one) is float:
                targets |= {floor(one) + step for step in (-1, 0, 1, 2)}
    more = sorted(target - int(n) for target in targets)
    return [one for one in more if 0 < one <= MOST_EVENTS and all(passes(test, n + one, 0) for test in tests) == wanted]


def _for_aggregate(node: EventValue, tests: Sequence[Test], trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    kind, path = node.aggregate
    now = compile_value(node)(trial.person, trial.at)[0]
    if kind == "distinct":
        yield from _for_distinct(node, tests, now, wanted)
    tried = candidates(tests, trial.at)
    if kind in ("sum", "average"):
        tried = [*_amounts(node, tests, now, trial), *tried]
    natural = [act.value for act in islice(_events_of(node.matcher), 1)]
    tried += [_value_at(one, path) for one in natural]
    for marker in (None, *_markers(node)):
        for many in (1, 2, 4, 16, 64):
            for value in tried if many == 1 or kind in ("sum", "average", "most_frequent") else ():
                if value is None:
                    continue
                for act in _valued(node, value):
                    yield ((marker,) if marker is not None else ()) + (act._replace(n=many),)
        if marker is not None:
            yield (marker,)


def _value_at(properties: dict[str, Any], path: Path) -> Any:
    held: Any = properties
    for name in path:
        held = held.get(name) if isinstance(held, dict) else None
    return held


def _valued(node: EventValue, value: Any) -> Iterator[Act]:
    path = node.aggregate.path
    said = (
        f"{{n}} {_braced(events(node.matcher))} whose {_braced(sentence(TraitValue(path)))} is {_braced(_told(value))}"
    )
    yield from _events_of(node.matcher, {path: value}, said)


def _amounts(node: EventValue, tests: Sequence[Test], now: float | None, trial: _Trial) -> Iterator[float]:
    """Give what one more event would have to bring for a sum or an average to come to what tests name."""
    counted = EventValue(node.matcher, node.window, node.aggregate._replace(kind="sum"))
    total = float(compile_value(counted)(trial.person, trial.at)[0])
    n = round(total / now) if node.aggregate.kind == "average" and now else 0
    for value in candidates(tests, trial.at):
        if type(value) is float:
            yield round(value * (n + 1) - total if node.aggregate.kind == "average" else value - total, 6)


def _for_distinct(node: EventValue, tests: Sequence[Test], now: float, wanted: bool) -> Iterator[_Acts]:
    for more in _how_many(tests, now, wanted=wanted):
        for make in (lambda i: f"value {i}", lambda i: 1e6 + i):
            acts = [act for i in range(min(more, 100)) for act in islice(_valued(node, make(i)), 1)]
            if len(acts) == more:
                yield tuple(acts)


def _for_matcher(node: Any, _trial: _Trial, _wanted: bool) -> Iterator[_Acts]:
    for act in _events_of(node.matcher):
        yield (act,)


def _for_sequence(node: Steps, trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    if not wanted:
        if node.unless is not None:
            yield from ((act,) for act in _events_of(node.unless))
        return
    for agreed in _agreements(node, trial):
        fixed = dict(zip(node.same, agreed, strict=True))
        acts: list[Act] = []
        for step in reversed(node.steps):
            acts[:0] = islice(_events_of(step.matcher, fixed), 1)
            yield tuple(acts)


def _agreements(node: Steps, trial: _Trial) -> Iterator[tuple[Any, ...]]:
    """Give values on which steps could agree: those of the newest events, then new ones."""
    if node.same:
        seen: dict[str, tuple[Any, ...]] = {}
        for step in node.steps:
            for entry in reversed(_entries(trial.person, step_tape(node, step.matcher), trial.at, node.within)[-50:]):
                if _is_whole(entry):
                    seen.setdefault(repr(entry[2:]), tuple(entry[2:]))
        yield from islice(seen.values(), 10)
        asked = [step.matcher.where for step in node.steps if step.matcher.where is not None]
        for where in asked:
            properties = example_properties(where, {}) or {}
            values = tuple(_value_at(properties, path) for path in node.same)
            if all(value is not None for value in values):
                yield values
    yield tuple("x" for _ in node.same)


def _for_audience(node: InAudience, _trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    said = _braced(sentence(node).removeprefix("in "))
    yield (
        Act("audience", f"membership of {said}" if wanted else f"an end of membership of {said}", node.name, wanted),
    )


def _for_permitted(node: Permitted, _trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    said = _braced(node.purpose)
    yield (
        Act("permission", f"permission for {said}" if wanted else f"no permission for {said}", node.purpose, wanted),
    )


def _for_group(node: InGroup, trial: _Trial, wanted: bool) -> Iterator[_Acts]:
    """Give what the person themselves could do: what others do, and who belongs to a group, is not theirs."""
    if node.member is not None and not node.others_only:
        for turned in (wanted, not wanted):
            yield from _options(node.member, trial, wanted=turned)


_PROPOSALS: dict[type, Callable[[Any, _Trial, bool], Iterator[_Acts]]] = {
    Compare: _for_compare,
    FirstTime: _for_matcher,
    Restarted: _for_matcher,
    Regularly: _for_matcher,
    Steps: _for_sequence,
    InAudience: _for_audience,
    Permitted: _for_permitted,
    Sample: lambda _node, _trial, _wanted: iter(()),
    InGroup: _for_group,
    Everybody: lambda _node, _trial, _wanted: iter(()),
}


# -- until when a change works


def _deadline(node: Condition, trial: _Trial, acts: _Acts, *, wanted: bool) -> int | None:
    """Give the first instant at which the acts would no longer do, or one before it; None when they always would."""
    answers = compile_condition(node)
    leaves = list(_leaves(node))
    beside = sorted({turn for leaf in leaves for turn in _turns_beside(leaf, trial)})
    settled = _settled(leaves, trial.person, trial.at)
    moving = [leaf for leaf in leaves if isinstance(leaf, Compare) and any(test.op in MOVING for test in leaf.tests)]
    now = trial.at
    for _ in range(_tries(node, trial.person, _MOST_DEADLINES)):
        following = bisect_right(beside, now)
        turns = [_next_turn(leaf, trial.person, now, settled) for leaf in leaves]
        imagined = Imagined(trial.person, trial.tapes if moving else (), acts, now)
        # What the acts would set may turn with time as well.
        turns += [_turn_of_tests(leaf, imagined, now) for leaf in moving]
        now = min([*turns, *beside[following : following + 1]], default=NEVER)
        if now >= NEVER:
            return None
        if trial.gives(answers, acts, now) != wanted:
            break
    return now


def _leaves(node: Condition) -> Iterator[Condition]:
    if isinstance(node, AllOf | AnyOf):
        for one in node[0]:
            yield from _leaves(one)
    elif isinstance(node, Not):
        yield from _leaves(node.condition)
    else:
        yield node


def _next_turn(leaf: Condition, person: Person, at: int, settled: dict[Condition, int]) -> int:
    if not isinstance(leaf, Compare) or at >= settled.get(leaf, NEVER):
        return _turn(leaf, person, at, settled)
    # The number, and not the comparison alone: a change is about what is missing in it.
    return min(compile_value(leaf.value)(person, at)[1], _turn_of_tests(leaf, person, at))


def _turn_of_tests(leaf: Compare, person: Person, at: int) -> int:
    found = compile_value(leaf.value)(person, at)[0]
    return min(changes_at(test, found, at) for test in leaf.tests)


def _turns_beside(leaf: Condition, trial: _Trial) -> Iterator[int]:
    """Give instants from which an event that happens then would count in another way."""
    spans: set[int] = set()
    match leaf:
        case Compare(EventValue(_, Absolute() as limits, _), _) | FirstTime(_, Absolute() as limits):
            yield from (turn for turn in (limits.from_at, limits.until_at) if turn is not None)
        case Steps(steps, within, total, _, _, unless_within):
            spans = {within, unless_within + 1, (total or within) + 1}
            spans |= {step.gap + 1 for step in steps if step.gap is not None}
        case Restarted(_, within, quiet):
            spans = {within, quiet}
        case Regularly(_, every, _, of):
            spans = {every * one for one in range(1, of + 1)}
    if not spans:
        return
    for tape in inputs_of(leaf).tapes:
        for document in trial.person.documents(tape.tape_id):
            for entry in document[ENTRIES][-MOST_EVENTS:]:
                yield from (turn for one in spans if (turn := entry[0] + one) > trial.at)
