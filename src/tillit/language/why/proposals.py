"""Proposals: what could happen so that one part of a definition gives another answer.

In:    a part; the person on whom changes are tried; the wanted answer.
Out:   acts, likely and small ones first.
Never: a promise: each is tried by whoever asks.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import floor
from typing import Any

from tillit.language.imagined import Act, candidates, example_properties, passing
from tillit.language.live import compile_value, step_tape
from tillit.language.nodes import (
    Compare,
    EventValue,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    Matcher,
    Path,
    Permitted,
    Regularly,
    Restarted,
    Sample,
    SinceLast,
    Test,
    TraitValue,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.sentences import events, sentence
from tillit.language.values import passes
from tillit.language.why.trial import Acts, Trial
from tillit.language.why.ways import entries_of, is_whole
from tillit.language.why.wording import braced, set_to, told_value

MOST_EVENTS = 1_000  # more are not proposed


def _event(matcher: Matcher, name: str, properties: dict[str, Any], words: str) -> Act:
    kind = "track" if matcher.type == "*" else matcher.type
    return Act("event", words, name, properties, type=kind)


def _events_of(matcher: Matcher, fixed: dict[Path, Any] | None = None, words: str = "") -> Iterator[Act]:
    """Make up events that a matcher takes, one for each of a few names."""
    properties = example_properties(matcher.where, fixed or {})
    if properties is None:
        return
    said = words or f"{{n}} more {braced(events(matcher)).removeprefix('any ').removeprefix('a ')}"
    for name in matcher.names[:3] or ("any",):
        yield _event(matcher, name, properties, said)


def _for_compare(node: Compare, trial: Trial, wanted: bool) -> Iterator[Acts]:
    value = node.value
    if isinstance(value, TraitValue):
        for one in passing(node.tests, trial.at, wanted=wanted):
            said = braced(set_to(sentence(value), node.tests, one, wanted=wanted))
            yield (Act("trait", said, value.path[0], one, path=value.path[1:]),)
    elif isinstance(value, FeatureValue):
        for one in passing(node.tests, trial.at, wanted=wanted):
            said = braced(set_to(sentence(value), node.tests, one, wanted=wanted))
            yield (Act("feature", said, value.name, one),)
    elif value.aggregate.kind == "count":
        yield from _for_count(value, node.tests, trial, wanted)
    else:
        yield from _for_aggregate(value, node.tests, trial, wanted)


def _markers(node: EventValue) -> Iterator[Act]:
    """Make up what begins the window anew."""
    if isinstance(node.window, SinceLast):
        yield from _events_of(node.window.matcher)


def _for_count(node: EventValue, tests: Sequence[Test], trial: Trial, wanted: bool) -> Iterator[Acts]:
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


def _for_aggregate(node: EventValue, tests: Sequence[Test], trial: Trial, wanted: bool) -> Iterator[Acts]:
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
    what = braced(sentence(TraitValue(path)))
    said = f"{{n}} {braced(events(node.matcher))} whose {what} is {braced(told_value(value))}"
    yield from _events_of(node.matcher, {path: value}, said)


def _amounts(node: EventValue, tests: Sequence[Test], now: float | None, trial: Trial) -> Iterator[float]:
    """Give what one more event would have to bring for a sum or an average to come to what tests name."""
    counted = EventValue(node.matcher, node.window, node.aggregate._replace(kind="sum"))
    total = float(compile_value(counted)(trial.person, trial.at)[0])
    n = round(total / now) if node.aggregate.kind == "average" and now else 0
    for value in candidates(tests, trial.at):
        if type(value) is float:
            yield round(value * (n + 1) - total if node.aggregate.kind == "average" else value - total, 6)


def _for_distinct(node: EventValue, tests: Sequence[Test], now: float, wanted: bool) -> Iterator[Acts]:
    for more in _how_many(tests, now, wanted=wanted):
        for make in (lambda i: f"value {i}", lambda i: 1e6 + i):
            acts = [act for i in range(min(more, 100)) for act in islice(_valued(node, make(i)), 1)]
            if len(acts) == more:
                yield tuple(acts)


def _for_matcher(node: Any, _trial: Trial, _wanted: bool) -> Iterator[Acts]:
    for act in _events_of(node.matcher):
        yield (act,)


def _for_sequence(node: Steps, trial: Trial, wanted: bool) -> Iterator[Acts]:
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


def _agreements(node: Steps, trial: Trial) -> Iterator[tuple[Any, ...]]:
    """Give values on which steps could agree: those of the newest events, then new ones."""
    if node.same:
        seen: dict[str, tuple[Any, ...]] = {}
        for step in node.steps:
            for entry in reversed(entries_of(trial.person, step_tape(node, step.matcher), trial.at, node.within)[-50:]):
                if is_whole(entry):
                    seen.setdefault(repr(entry[2:]), tuple(entry[2:]))
        yield from islice(seen.values(), 10)
        asked = [step.matcher.where for step in node.steps if step.matcher.where is not None]
        for where in asked:
            properties = example_properties(where, {}) or {}
            values = tuple(_value_at(properties, path) for path in node.same)
            if all(value is not None for value in values):
                yield values
    yield tuple("x" for _ in node.same)


def _for_audience(node: InAudience, _trial: Trial, wanted: bool) -> Iterator[Acts]:
    said = braced(sentence(node).removeprefix("in "))
    yield (
        Act("audience", f"membership of {said}" if wanted else f"an end of membership of {said}", node.name, wanted),
    )


def _for_permitted(node: Permitted, _trial: Trial, wanted: bool) -> Iterator[Acts]:
    said = braced(node.purpose)
    yield (
        Act("permission", f"permission for {said}" if wanted else f"no permission for {said}", node.purpose, wanted),
    )


# What members of a group could do is looked for in `changes`: it is the search itself, for a part of the part.
PROPOSALS: dict[type, Callable[[Any, Trial, bool], Iterator[Acts]]] = {
    Compare: _for_compare,
    FirstTime: _for_matcher,
    Restarted: _for_matcher,
    Regularly: _for_matcher,
    Steps: _for_sequence,
    InAudience: _for_audience,
    Permitted: _for_permitted,
    Sample: lambda _node, _trial, _wanted: iter(()),
    Everybody: lambda _node, _trial, _wanted: iter(()),
}
