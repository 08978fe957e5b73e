"""Sentences: a definition read aloud, in words that need no knowledge of queries.

In:    a condition or a value; two of them to compare.
Out:   one sentence, rows for a page, or what changed from one to the other.
Never: anything of a person. The same definition gives the same words, so that versions can be compared.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from tillit.clock import DAY, HOUR, MINUTE, SECOND, rfc3339
from tillit.language.instants import LONGEST
from tillit.language.nodes import (
    OPPOSITE,
    Absolute,
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
    Node,
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
    Window,
)
from tillit.language.nodes import Sequence as Steps

_DEFAULT_SINCE = 365 * DAY  # what `since_last` reaches back when nothing is said
_EXACT = 1_000_000_000_000_000  # greater numbers are written as they are kept
_ALIKE = 0.5  # two rows that share so much of their words are one that changed


class Row(NamedTuple):
    """One line of a definition. `joined`: and, or, then; empty for the first of its depth."""

    text: str
    depth: int
    joined: str


def sentence(node: Node) -> str:
    """Read a definition aloud, without a full stop."""
    if isinstance(node, AllOf | AnyOf):
        word, parts = _group(node)
        return f", {word} ".join(_inner(one) for one in parts) if len(parts) > 1 else sentence(parts[0])
    if isinstance(node, Not):
        return _not(node)
    return _LEAVES[type(node)](node)


def lines(node: Node) -> list[Row]:
    """Read a definition aloud in rows, what belongs together one step deeper."""
    return list(_rows(node, 0, "", is_inner=False))


def difference(before: Node, after: Node) -> list[str]:
    """Say what was added, removed and changed from one version to another; nothing when both mean the same."""
    return list(_changes(before, after))


# -- joining


def _group(node: AllOf | AnyOf) -> tuple[str, Sequence[Condition]]:
    return ("and", node.all_of) if isinstance(node, AllOf) else ("or", node.any_of)


def _is_group(node: Node) -> bool:
    return isinstance(node, AllOf | AnyOf) and len(_group(node)[1]) > 1


def _inner(node: Condition) -> str:
    return f"({sentence(node)})" if _is_group(node) or isinstance(node, Steps) else sentence(node)


def _not(node: Not) -> str:
    inner = node.condition
    match inner:
        case Not(twice):
            return sentence(twice)
        case Everybody():
            return "nobody"
        case InAudience(name):
            return f"not in the audience {_name(name)}"
        case Permitted(purpose):
            return f"use for {_name(purpose)} is not permitted"
        case Sample():
            return f"not {_sample(inner)}"
        case InGroup() if inner.member is None:
            return f"not {_in_group(inner)}"
        case Compare(value, (test,)) if test.op in _TURNED:
            return _compare(Compare(value, (Test(_TURNED[test.op], test.value),)))
        case Compare(EventValue() as value, (Test("at_least", 1.0),)) if value.aggregate.kind == "count":
            return _compare(Compare(value, (Test("equals", 0.0),)))
        case AnyOf() if _is_group(inner):
            return f"none of these: ({'; '.join(_inner(one) for one in inner.any_of)})"
        case AllOf() if _is_group(inner):
            return f"not all of these: ({'; '.join(_inner(one) for one in inner.all_of)})"
    return f"it is not so that {_inner(inner)}"


def _rows(node: Node, depth: int, joined: str, *, is_inner: bool = True) -> Iterable[Row]:
    while isinstance(node, Not) and isinstance(node.condition, Not):
        node = node.condition.condition
    turned = isinstance(node, Not) and _is_group(node.condition)
    inner = node.condition if isinstance(node, Not) and turned else node
    if isinstance(inner, AllOf | AnyOf):
        word, parts = _group(inner)
        if len(parts) == 1:
            yield from _rows(parts[0], depth, joined, is_inner=is_inner)
            return
        # The outermost row of rows that all hold needs no heading.
        if turned or is_inner or word == "or":
            yield Row(_heading(word, turned=turned), depth, joined)
            depth += 1
        for place, one in enumerate(parts):
            yield from _rows(one, depth, word if place else "")
    elif isinstance(inner, Ranked) and not isinstance(inner.of, Everybody):
        yield Row(f"{_order(inner)}{_rest_of_order(inner)}, of those of whom it is so:", depth, joined)
        yield from _rows(inner.of, depth + 1, "", is_inner=False)
    elif isinstance(inner, Steps) and len(inner.steps) > 1:
        yield Row(f"one after the other {_sequence_rest(inner)}:", depth, joined)
        for place, step in enumerate(inner.steps):
            yield Row(_step(step), depth + 1, "then" if place else "")
    else:
        yield Row(sentence(node), depth, joined)


def _heading(word: str, *, turned: bool) -> str:
    if turned:
        return "not all of these:" if word == "and" else "none of these:"
    return "all of these:" if word == "and" else "at least one of these:"


# -- what happened


def _compare(node: Compare) -> str:
    value, tests = node.value, node.tests
    if isinstance(value, EventValue) and value.aggregate.kind == "count" and len(tests) == 1:
        told = _counted(value, tests[0])
        if told is not None:
            return told
    return f"{sentence(value)} {' and '.join(predicate(test) for test in tests)}"


def _counted(value: EventValue, test: Test) -> str | None:
    happened, not_happened, never = _verbs(value.matcher)
    times = _times(test)
    if times is None:
        return None
    who, when = _events(value.matcher, is_subject=True), _spaced(window(value.window))
    if times == "not" and who.startswith("any "):
        return f"{_negated(who)} {happened}{when}"
    if times == "not":
        return f"{who} {not_happened}{when}" if when else f"{who} {never}"
    return f"{who} {happened}{_spaced(times)}{when}"


def _times(test: Test) -> str | None:
    """Say how often; empty: at all; "not": not at all; None: no number of times."""
    op, wanted = test.op, test.value
    if op == "between":
        return f"from {number(wanted[0])} to {_n_times(wanted[1])}"
    if type(wanted) is not float:
        return None
    if (op, wanted) in (("at_least", 1.0), ("greater", 0.0), ("not_equals", 0.0)):
        return ""
    if (op, wanted) in (("less", 1.0), ("at_most", 0.0), ("equals", 0.0)):
        return "not"
    word = {
        "equals": "exactly",
        "not_equals": "not exactly",
        "greater": "more than",
        "at_least": "at least",
        "less": "fewer than",
        "at_most": "at most",
    }.get(op)
    return None if word is None else f"{word} {_n_times(wanted)}"


def _n_times(n: float) -> str:
    return "once" if n == 1 else f"{number(n)} times"


def _verbs(matcher: Matcher) -> tuple[str, str, str]:
    if matcher.type in ("page", "screen"):
        return "was viewed", "was not viewed", "was never viewed"
    return "happened", "did not happen", "never happened"


def events(matcher: Matcher) -> str:
    """Say which events, in the place of a noun: "Order Completed with total over 50"."""
    return _events(matcher, is_subject=False)


def _events(matcher: Matcher, *, is_subject: bool) -> str:
    names = [_name(name) for name in matcher.names]
    kind = matcher.type if matcher.type in ("page", "screen") else ""
    if not names:
        told = f"any {kind or 'event'}"
    elif len(names) == 1:
        told = f"{kind} {names[0]}" if kind else names[0]
    else:
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        told = f"any of the {kind}s {listed}" if kind else f"any of {listed}"
    if kind and not is_subject:
        told = f"a view of {told}"
    where = matcher.where
    if where is None:
        return told
    return f"{told} with {_inner_clause(where) if isinstance(where, AnyClause) else clause(where)}"


def _no(matcher: Matcher) -> str:
    return _negated(events(matcher))


def _negated(told: str) -> str:
    if told.startswith("any of "):
        return f"none of {told.removeprefix('any of ')}"
    return f"no {told.removeprefix('any ').removeprefix('a ')}"


def _first_time(node: FirstTime) -> str:
    verb = "was viewed" if node.matcher.type in ("page", "screen") else "happened"
    return f"{_events(node.matcher, is_subject=True)} {verb} for the first time {window(node.window)}"


def _restarted(node: Restarted) -> str:
    verb = _verbs(node.matcher)[0]
    who = _events(node.matcher, is_subject=True)
    return f"{who} {verb} {_in_the_last(node.within)} after a pause of at least {span(node.quiet)}"


def _regularly(node: Regularly) -> str:
    verb = _verbs(node.matcher)[0]
    who = _events(node.matcher, is_subject=True)
    stretches = f"{number(node.at_least)} of the last {number(node.of)} stretches of {span(node.every)}"
    return f"{who} {verb} in at least {stretches}"


def _sequence(node: Steps) -> str:
    told = ", then ".join(_step(step) for step in node.steps)
    return f"{told}, all {_sequence_rest(node)}" if len(node.steps) > 1 else f"{told} {_sequence_rest(node)}"


def _sequence_rest(node: Steps) -> str:
    told = _in_the_last(node.within)
    if node.same:
        told += f" with the same {' and '.join(_path(path) for path in node.same)}"
    if node.total is not None:
        told += f", at most {span(node.total)} from first to last"
    if node.unless is not None:
        told += f", and {_no(node.unless)} within {span(node.unless_within)} after"
        told += " the last of them" if len(node.steps) > 1 else " it"
    return told


def _step(step: Step) -> str:
    told = events(step.matcher)
    if step.gap is not None:
        told = f"within {span(step.gap)} {told}"
    return told if step.without is None else f"{told} (and {_no(step.without)} in between)"


# -- values


def _event_value(node: EventValue) -> str:
    kind, path = node.aggregate
    what = f"{MADE[kind].format(_path(path))} {events(node.matcher)}"
    return what + _spaced(window(node.window))


MADE = {
    "count": "the number of",
    "sum": "the sum of {} of",
    "average": "the average {} of",
    "minimum": "the lowest {} of",
    "maximum": "the highest {} of",
    "distinct": "the number of different {} of",
    "first": "the first {} of",
    "last": "the last {} of",
    "most_frequent": "the most frequent {} of",
}


def window(node: Window) -> str:
    """Say when events count: "in the last 90 days"; empty for ever."""
    match node:
        case Ever():
            return ""
        case Rolling(within, older) if within >= LONGEST:
            return f"at least {span(older)} ago" if older else "at any time"
        case Rolling(within, older):
            return _between_ago(older, within) if older else _in_the_last(within)
        case Absolute(first, last):
            return _absolute(first, last)
        case Calendar():
            return f"{_calendar(node)} ({node.zone})"
        case SinceLast(matcher, within):
            reach = "" if within == _DEFAULT_SINCE else f" (at most {span(within)} back)"
            return f"since the last {events(matcher).removeprefix('a ')}{reach}"
        case Session(gap):
            return f"in the present visit (pauses of at most {span(gap)})"
    raise AssertionError(f"no such window: {node!r}")


def _between_ago(older: int, within: int) -> str:
    near, far = span(older), span(within)
    n_near, unit_near = near.rsplit(" ", 1)
    n_far, unit_far = far.rsplit(" ", 1)
    if unit_near.rstrip("s") == unit_far.rstrip("s") and n_near.count(" ") == n_far.count(" ") == 0:
        return f"between {n_near} and {far} ago"
    return f"between {near} and {far} ago"


def _absolute(first: int | None, last: int | None) -> str:
    if first is None or last is None:
        return f"since {instant(first)}" if first is not None else f"before {instant(last or 0)}"
    return f"from {instant(first)} and before {instant(last)}"


def _calendar(node: Calendar) -> str:
    unit, begins, ends = node.unit, -node.back, node.length - 1 - node.back
    this = "today" if unit == "day" else f"this {unit}"
    if begins == ends:
        if begins == 0:
            return this
        if begins == -1:
            return "yesterday" if unit == "day" else f"last {unit}"
        return f"in the {unit} {_n(-begins, unit)} ago"
    if ends == -1:
        return f"in the {_n(node.length, unit)} before {this}"
    if ends == 0:
        return f"{this} or in the {_n(-begins, unit)} before"
    if begins == 0:
        return f"{this} or in the {_n(ends, unit)} after"
    if ends < 0:
        return f"from the {unit} {_n(-begins, unit)} ago to the {unit} {_n(-ends, unit)} ago"
    return f"from the {unit} {_n(-begins, unit)} ago to the {unit} {_n(ends, unit)} ahead"


def _n(n: int, unit: str) -> str:
    return unit if n == 1 and unit == "" else f"{n} {unit}{'' if n == 1 else 's'}"


# -- tests


def predicate(test: Test) -> str:
    """Say what a value is to be, with the verb: "is over 50", "contains "a""."""
    return PREDICATES[test.op].format(wanted(test))


def threshold(test: Test) -> str:
    """Say what a value is to be, without the verb: "over 50"."""
    return PREDICATES[test.op].removeprefix("is ").format(wanted(test))


PREDICATES = {
    "equals": "is {}",
    "not_equals": "is not {}",
    "greater": "is over {}",
    "at_least": "is at least {}",
    "less": "is under {}",
    "at_most": "is at most {}",
    "between": "is from {}",
    "one_of": "is one of {}",
    "none_of": "is none of {}",
    "all_of": "holds all of {}",
    "contains": "contains {}",
    "not_contains": "does not contain {}",
    "starts_with": "begins with {}",
    "ends_with": "ends with {}",
    "matches": "matches the pattern {}",
    "before": "is before {}",
    "after": "is after {}",
    "within_last": "is in the last {}",
    "more_than_ago": "is at least {} ago",
    "within_next": "is in the next {}",
    "is_set": "is known",
    "is_missing": "is missing",
}
# The same of a property, behind its name: "total over 50".
_PROPERTIES = {
    "equals": "{}",
    "not_equals": "not {}",
    "all_of": "holding all of {}",
    "contains": "containing {}",
    "not_contains": "not containing {}",
    "starts_with": "beginning with {}",
    "ends_with": "ending with {}",
    "matches": "matching the pattern {}",
    "is_set": "known",
}
# Which test says the contrary, missing values included.
_TURNED = OPPOSITE | {other: one for one, other in OPPOSITE.items()}


def wanted(test: Test) -> str:
    """Say what a test compares with."""
    value = test.value
    if test.op in ("before", "after"):
        return instant(value)
    if test.op in ("within_last", "more_than_ago", "within_next"):
        told = span(value)
        return told if test.op == "more_than_ago" else told.removeprefix("1 ")
    if test.op == "between":
        return f"{number(value[0])} to {number(value[1])}"
    if isinstance(value, tuple):
        return ", ".join(scalar(one) for one in value)
    return "" if value is None else scalar(value)


def clause(node: Clause) -> str:
    """Say what properties are to be, behind "with"."""
    match node:
        case PropertyTest(path, tests):
            return f"{_path(path)} {' and '.join(_property(test) for test in tests)}"
        case Nested(path, quantifier, inner):
            how = {"some": "at least one", "every": "every one", "none": "none"}[quantifier]
            return f"{how} of {_path(path)} with {_inner_clause(inner)}"
        case AllClauses(parts) | AnyClause(parts):
            if len(parts) == 1:
                return clause(parts[0])
            return (" and " if isinstance(node, AllClauses) else " or ").join(_inner_clause(one) for one in parts)
        case NotClause(inner):
            return f"not ({clause(inner)})"
    raise AssertionError(f"no such clause: {node!r}")


def _property(test: Test) -> str:
    return _PROPERTIES.get(test.op, PREDICATES[test.op].removeprefix("is ")).format(wanted(test))


def _inner_clause(node: Clause) -> str:
    parts = (
        node.tests if isinstance(node, PropertyTest) else node[0] if isinstance(node, AllClauses | AnyClause) else ()
    )
    return f"({clause(node)})" if len(parts) > 1 or isinstance(node, Nested) else clause(node)


# -- words


def span(spent: int) -> str:
    """Say a span of time: "90 days", "36 hours", "1 hour 30 minutes"."""
    if spent and spent % (365 * DAY) == 0 and spent > 365 * DAY:
        return f"{number(spent // (365 * DAY))} years"
    if spent % DAY and spent % HOUR == 0 and spent < 100 * HOUR:
        return _n(spent // HOUR, "hour")
    if spent == DAY:
        return "24 hours"
    parts = []
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
        whole, spent = divmod(spent, size)
        if whole:
            parts.append(f"{number(whole)} {unit}{'' if whole == 1 else 's'}")
    return " ".join(parts) or "0 seconds"


def _in_the_last(spent: int) -> str:
    return f"in the last {_without_one(spent)}"


def every(spent: int) -> str:
    """Say how often something is done: "every hour", "every 7 days"."""
    return f"every {_without_one(spent)}"


def _without_one(spent: int) -> str:
    return span(spent).removeprefix("1 ") if " " not in span(spent)[2:] else span(spent)


def instant(at: int) -> str:
    """Say an instant, as short as it can be: "2026-03-01 (UTC)", "2026-03-01T09:30Z"."""
    try:
        told = rfc3339(at)
    except OverflowError:
        return "after the year 9999" if at > 0 else "before the year 1"
    if told.endswith("T00:00:00Z"):
        return f"{told[:10]} (UTC)"
    return f"{told[:-4]}Z" if told.endswith(":00Z") else told


def number(value: float) -> str:
    """Say a number: "1,250", "49.9".

    >>> number(1250.0), number(49.9), number(-3)
    ('1,250', '49.9', '-3')
    """
    if abs(value) >= _EXACT:
        return repr(value)
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"


def scalar(value: Any) -> str:
    """Say what a value is compared with: texts in quotes."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is str:
        return json.dumps(value, ensure_ascii=False)
    return number(value)


def _name(name: str) -> str:
    # A name that could be read as the words around it stands in quotes.
    is_plain = name.isprintable() and not set(name) & set('",;:()') and name == name.strip()
    return name if is_plain and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)


_WORDS = frozenset({"any", "any event", "any page", "any screen", "nobody", "everybody", ""})


def _path(path: Path) -> str:
    return ".".join(_name(part) if "." not in part else json.dumps(part, ensure_ascii=False) for part in path)


def _spaced(text: str) -> str:
    return f" {text}" if text else ""


def _sample(node: Sample) -> str:
    first, last = _percent(node.from_share), _percent(node.until_share)
    part = f"the first {last}" if node.from_share == 0 else f"the part from {first} to {last}"
    return f"in {part} of everybody as drawn by {_name(node.salt)}"


def _ranked(node: Ranked) -> str:
    who = "" if isinstance(node.of, Everybody) else f", of those of whom it is so that {_inner(node.of)}"
    return f"{_order(node)}{who}{_rest_of_order(node)}"


def _order(node: Ranked) -> str:
    n = number(node.most) if node.most else f"{Decimal(node.millionths) / 10_000:f}%"
    people = "person" if node.most == 1 else "people" if node.most else "of them"
    if node.by is None:
        drawn = f" as drawn by {_name(node.salt)}" if node.salt else ""
        return f"{n} {people} drawn at random{drawn}"
    which = "highest" if node.is_highest else "lowest"
    return f"the {n} {people} with the {which} value: {sentence(node.by)}"


def _rest_of_order(node: Ranked) -> str:
    held = "" if node.held is None else f", {_not(Not(node.held))}"
    return f"{held}, judged anew {every(node.every)}"


def _in_group(node: InGroup) -> str:
    kind = node.kind.replace("_", " ") or "group"
    if node.member is not None and not (node.roles or node.trait or node.sizes):
        who, fits = _how_many(node)
        return f"{who} in their {kind} {fits}: {_inner(node.member)}"
    roles = [_name(one) for one in node.roles]
    told = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    told = f"{' or '.join(roles)} in {told}" if roles else f"in {told}"
    if node.trait:
        told += f" whose {_path(node.trait)} {' and '.join(predicate(test) for test in node.tests)}"
    if node.sizes:
        told += f" with {_number_of(node.sizes, 'member', 'members')}"
    if node.member is not None:
        told += f" where {' '.join(_how_many(node))}: {_inner(node.member)}"
    return told


def _how_many(node: InGroup) -> tuple[str, str]:
    """Say how many members, and the verb for so many."""
    test = (node.counts[0].op, node.counts[0].value) if len(node.counts) == 1 else ("", None)
    other = " else" if node.others_only else ""
    if test in (("at_least", 1.0), ("greater", 0.0)):
        return f"someone{other}", "fits"
    if test in (("equals", 0.0), ("less", 1.0), ("at_most", 0.0)):
        return f"nobody{other}", "fits"
    told = _number_of(node.counts, *(("other", "others") if node.others_only else ("person", "people")))
    return told, "fits" if told.endswith((" other", " person")) else "fit"


def _number_of(tests: Sequence[Test], one: str, many: str) -> str:
    told = " and ".join(threshold(test).replace("under", "fewer than").replace("over", "more than") for test in tests)
    return f"{told} {one if told.endswith(' 1') or told == '1' else many}"


def _percent(share: float) -> str:
    return f"{(Decimal(repr(share)) * 100).normalize():f}%"


_LEAVES: dict[type, Callable[[Any], str]] = {
    Everybody: lambda _node: "everybody",
    InAudience: lambda node: f"in the audience {_name(node.name)}",
    InGroup: _in_group,
    Permitted: lambda node: f"use for {_name(node.purpose)} is permitted",
    Sample: _sample,
    Ranked: _ranked,
    Compare: _compare,
    FirstTime: _first_time,
    Restarted: _restarted,
    Regularly: _regularly,
    Steps: _sequence,
    TraitValue: lambda node: _path(node.path),
    FeatureValue: lambda node: f"feature {_name(node.name)}",
    EventValue: _event_value,
}


# -- what changed


def _changes(before: Node, after: Node) -> Iterable[str]:
    if _sorted(before) == _sorted(after):
        return
    if isinstance(before, Not) and isinstance(after, Not):
        old_inner, new_inner = before.condition, after.condition
        if _is_group(old_inner) and _is_group(new_inner) and type(old_inner) is type(new_inner):
            yield from (f"{one} ({_not_heading(before)})" for one in _changes(old_inner, new_inner))
            return
    if isinstance(before, Ranked) and isinstance(after, Ranked):
        if _order(before) + _rest_of_order(before) != _order(after) + _rest_of_order(after):
            whole = (f"{_order(one)}{_rest_of_order(one)}" for one in (before, after))
            yield f"changed: {' → '.join(whole)}"
        yield from _changes(before.of, after.of)
        return
    if isinstance(before, Ranked) or isinstance(after, Ranked):
        yield f"changed: {sentence(before)} → {sentence(after)}"
        return
    if not isinstance(before, AllOf | AnyOf) and not isinstance(after, AllOf | AnyOf):
        yield f"changed: {sentence(before)} → {sentence(after)}"
        return
    word_before, old = _parts(before, after)
    word_after, new = _parts(after, before)
    if word_before != word_after:
        yield f"changed: {_heading(word_before, turned=False)[:-1]} → {_heading(word_after, turned=False)[:-1]}"
    yield from _changes_of_parts(old, new, word_after)


def _parts(node: Node, other: Node) -> tuple[str, list[Condition]]:
    if isinstance(node, AllOf | AnyOf):
        word, parts = _group(node)
        if len(parts) > 1 or not isinstance(other, AllOf | AnyOf):
            return word, list(parts)
        return _group(other)[0], list(parts)
    # One condition is a group of one, of whichever kind the other is.
    assert isinstance(other, AllOf | AnyOf)
    return _group(other)[0], [node]  # type: ignore[list-item]


def _changes_of_parts(old: list[Condition], new: list[Condition], word: str) -> Iterable[str]:
    gone, come = list(old), []
    for one in new:
        same = next((other for other in gone if _sorted(other) == _sorted(one)), None)
        if same is None:
            come.append(one)
        else:
            gone.remove(same)
    for one in list(gone):
        best = max(come, key=lambda other: _likeness(one, other), default=None)
        if best is not None and _likeness(one, best) >= _ALIKE:
            gone.remove(one)
            come.remove(best)
            yield from _changes(one, best)
    as_what = " as an alternative" if word == "or" else ""
    yield from (f"removed{as_what}: {sentence(one)}" for one in gone)
    yield from (f"added{as_what}: {sentence(one)}" for one in come)


def _likeness(one: Condition, other: Condition) -> float:
    if isinstance(one, AllOf | AnyOf) != isinstance(other, AllOf | AnyOf):
        return 0.0
    if isinstance(one, AllOf | AnyOf) and isinstance(other, AllOf | AnyOf):
        known = [_sorted(part) for part in other[0]]
        if any(_sorted(part) in known for part in one[0]):
            return 1.0
    return SequenceMatcher(None, sentence(one).split(), sentence(other).split(), autojunk=False).ratio()


def _not_heading(node: Not) -> str:
    return _heading(_group(node.condition)[0], turned=True)[:-1]  # type: ignore[arg-type]


def _sorted(node: Any) -> Any:
    """Give a form that is equal for definitions that differ in the order of what is joined alone."""
    while isinstance(node, Not) and isinstance(node.condition, Not):
        node = node.condition.condition
    if isinstance(node, AllOf | AnyOf | AllClauses | AnyClause):
        return type(node).__name__, sorted((_sorted(one) for one in node[0]), key=repr)
    if isinstance(node, tuple):
        return type(node).__name__, [_sorted(one) for one in node]
    return type(node).__name__, node
