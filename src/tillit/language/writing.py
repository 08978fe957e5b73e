"""Writing: nodes become the plain form again that reading takes.

In:    a condition or a value that was read.
Out:   maps, lists, texts and numbers, as they stand in YAML or JSON.
Never: another meaning: what is written is read as the same nodes.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from tillit.clock import DAY, rfc3339
from tillit.language.instants import LONGEST, write_span
from tillit.language.nodes import (
    Absolute,
    Aggregate,
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Calendar,
    Clause,
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
    Nested,
    Not,
    NotClause,
    Path,
    Permitted,
    PropertyTest,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Step,
    Test,
    TraitValue,
    Value,
    Window,
)
from tillit.language.nodes import Sequence as Steps

Plain = dict[str, Any]

_TAKEN = frozenset({"all", "any", "not", "property"})  # words of a clause that no property may stand for
_EXACT = 1 << 53  # whole numbers beyond are not all floats
_TURNED = {"is_set": "is_missing", "is_missing": "is_set"}
_HAPPENED = (Test("at_least", 1.0),)
_COUNT = Aggregate("count")


def to_plain(node: Condition | Value) -> Any:
    """Write a definition as `read_condition` or `read_value` reads it: the same nodes come back.

    >>> to_plain(TraitValue(("address", "city")))
    {'trait': 'address.city'}
    """
    return _WRITERS[type(node)](node)


def stopped_spans(node: Condition) -> tuple[Matcher, int, int] | None:
    """Give of what is written as `stopped` the events, `quiet` and `active`; None for everything else."""
    match node:
        case AllOf(
            (
                Compare(EventValue(before, Rolling(within, older), aggregate), tests),
                Compare(EventValue(after, Rolling(quiet, 0), other), (Test("equals", zero),)),
            )
        ) if (
            before == after
            and older == quiet < within
            and aggregate == other == _COUNT
            and tests == _HAPPENED
            and zero == 0.0
            and zero is not False
        ):
            return before, quiet, within - quiet
    return None


# -- conditions


def _all_of(node: AllOf) -> Plain:
    stopped = stopped_spans(node)
    if stopped is not None:
        matcher, quiet, active = stopped
        return {"stopped": {**plain_matcher(matcher), "quiet": write_span(quiet), "active": write_span(active)}}
    return {"all": [to_plain(one) for one in node.all_of]}


def _compare(node: Compare) -> Plain:
    value, tests = node.value, node.tests
    if not isinstance(value, EventValue):
        return {**to_plain(value), **_plain_tests(tests)}
    plain = _plain_events(value)
    kind = value.aggregate.kind
    if kind != "count":
        plain[kind] = {"of": _plain_path(value.aggregate.path), **_plain_tests(tests)}
    elif tests != _HAPPENED:
        plain[kind] = _plain_tests(tests)
    return plain


def _first_time(node: FirstTime) -> Plain:
    return {"first_time": {**plain_matcher(node.matcher), **plain_window(node.window)}}


def _restarted(node: Restarted) -> Plain:
    spans = {"within": write_span(node.within), "quiet": write_span(node.quiet)}
    return {"restarted": {**plain_matcher(node.matcher), **spans}}


def _regularly(node: Regularly) -> Plain:
    rest = {"every": write_span(node.every), "at_least": node.at_least, "of": node.of}
    return {"regularly": {**plain_matcher(node.matcher), **rest}}


def _sequence(node: Steps) -> Plain:
    plain: Plain = {"steps": [_plain_step(step) for step in node.steps], "within": write_span(node.within)}
    if node.total is not None:
        plain["total"] = write_span(node.total)
    if node.same:
        plain["same"] = [_plain_path(path) for path in node.same]
    if node.unless is not None:
        plain["unless"] = {**plain_matcher(node.unless), "within": write_span(node.unless_within)}
    return {"sequence": plain}


def _plain_step(step: Step) -> Plain:
    plain = plain_matcher(step.matcher)
    if step.gap is not None:
        plain["within"] = write_span(step.gap)
    if step.without is not None:
        plain["without"] = plain_matcher(step.without)
    return plain


def _sample(node: Sample) -> Plain:
    if node.from_share == 0:
        return {"sample": {"salt": node.salt, "share": node.until_share}}
    return {"sample": {"salt": node.salt, "from": node.from_share, "until": node.until_share}}


def _ranked(node: Ranked) -> Plain:
    n: Any = node.most or f"{Decimal(node.millionths) / 10_000:f}%"
    plain: Plain = {} if node.of == Everybody() else {"of": to_plain(node.of)}
    if node.by is None:
        plain["to"] = n
        if node.salt:
            plain["salt"] = node.salt
    else:
        plain["by"] = to_plain(node.by)
        plain["highest" if node.is_highest else "lowest"] = n
    if node.every != DAY:
        plain["every"] = write_span(node.every)
    return {"limit" if node.by is None else "top": plain}


def _group(node: InGroup) -> Plain:
    plain: Plain = {"kind": node.kind} if node.kind else {}
    if node.roles:
        plain["role"] = node.roles[0] if len(node.roles) == 1 else list(node.roles)
    if node.trait:
        plain |= {"trait": _plain_path(node.trait), **_plain_tests(node.tests)}
    if node.sizes:
        plain["members"] = _plain_tests(node.sizes)
    if node.member is not None:
        plain["member"] = to_plain(node.member)
        if node.counts != _HAPPENED:
            plain["count"] = _plain_tests(node.counts)
        if node.others_only:
            plain["others_only"] = True
    return {"group": (plain if plain.keys() - {"kind"} else node.kind or "*")}


# -- values


def _event_value(node: EventValue) -> Plain:
    kind, path = node.aggregate
    written = _plain_path(path)
    made: Any = True if kind == "count" else written if isinstance(written, str) else {"of": written}
    return {**_plain_events(node), kind: made}


def _plain_events(node: EventValue) -> Plain:
    return {**plain_matcher(node.matcher), **plain_window(node.window)}


def plain_window(window: Window) -> Plain:
    """Write when events count, to stand beside which."""
    match window:
        case Ever():
            return {}
        case Rolling(within, older) if within >= LONGEST and older:
            return {"older_than": write_span(older)}
        case Rolling(within, older):
            return {"within": write_span(within), **({"older_than": write_span(older)} if older else {})}
        case Absolute(first, last):
            ends = (("from", first), ("until", last))
            return {word: rfc3339(at) for word, at in ends if at is not None}
        case Calendar(unit, back, length, zone):
            plain: Plain = {"unit": unit}
            if back:
                plain["back"] = back
            if length != 1:
                plain["length"] = length
            if zone != "UTC":
                plain["zone"] = zone
            return {"calendar": plain}
        case SinceLast(matcher, within):
            return {"since_last": plain_matcher(matcher), "within": write_span(within)}
        case Session(gap):
            return {"session": write_span(gap)}
    raise AssertionError(f"no such window: {window!r}")


# -- events


def plain_matcher(matcher: Matcher) -> Plain:
    """Write which events count."""
    word = matcher.type if matcher.type in ("page", "screen") else "event"
    names = list(matcher.names)
    plain: Plain = {word: "*" if not names else names[0] if len(names) == 1 else names}
    if matcher.where is not None:
        plain["where"] = plain_clause(matcher.where)
    return plain


def plain_clause(clause: Clause) -> Plain:
    """Write what properties are to be."""
    match clause:
        case AllClauses(parts):
            written = [plain_clause(one) for one in parts]
            together: Plain = {}
            for one in written:
                together.update(one)
            # One map says as much as a list when every part is one word of its own.
            if len(parts) > 1 and len(together) == len(parts) and all(len(one) == 1 for one in written):
                return together
            return {"all": written}
        case AnyClause(parts):
            return {"any": [plain_clause(one) for one in parts]}
        case NotClause(inner):
            return {"not": plain_clause(inner)}
        case Nested(path, quantifier, inner):
            return _of_property(path, {quantifier: plain_clause(inner)})
        case PropertyTest(path, tests):
            return _of_property(path, _plain_tests(tests))
    raise AssertionError(f"no such clause: {clause!r}")


def _of_property(path: Path, told: Plain) -> Plain:
    written = _plain_path(path)
    if not isinstance(written, str) or written in _TAKEN:
        return {"property": written, **told}
    only = next(iter(told)) if len(told) == 1 else ""
    return {written: told[only] if only in ("equals", "one_of") else told}


def _plain_path(path: Path) -> str | list[str]:
    return list(path) if any("." in part for part in path) else ".".join(path)


# -- tests


def _plain_tests(tests: Iterable[Test]) -> Plain:
    plain: Plain = {}
    for test in tests:
        if test.op in _TURNED:
            word, is_so = (test.op, True) if test.op not in plain else (_TURNED[test.op], False)
            plain[word] = is_so
        else:
            plain[test.op] = plain_wanted(test)
    return plain


def plain_wanted(test: Test) -> Any:
    """Write what a test compares with."""
    if test.op in ("before", "after"):
        return rfc3339(test.value)
    if test.op in ("within_last", "more_than_ago", "within_next"):
        return write_span(test.value)
    if isinstance(test.value, tuple):
        return [_plain_scalar(one) for one in test.value]
    return _plain_scalar(test.value)


def _plain_scalar(value: bool | float | str) -> bool | float | str:
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    Everybody: lambda _node: "everybody",
    AllOf: _all_of,
    AnyOf: lambda node: {"any": [to_plain(one) for one in node.any_of]},
    Not: lambda node: {"not": to_plain(node.condition)},
    InAudience: lambda node: {"audience": node.name},
    Permitted: lambda node: {"permitted": node.purpose},
    Sample: _sample,
    Ranked: _ranked,
    InGroup: _group,
    Compare: _compare,
    FirstTime: _first_time,
    Restarted: _restarted,
    Regularly: _regularly,
    Steps: _sequence,
    TraitValue: lambda node: {"trait": _plain_path(node.path)},
    FeatureValue: lambda node: {"feature": node.name},
    EventValue: _event_value,
}
