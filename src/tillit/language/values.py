"""Values and tests: what a property of an event or a trait is compared with, and when that holds.

In:    a value as JSON gives it; tests.
Out:   yes or no, and the instant at which the answer changes by itself.
Never: a conversion in silence. A number in quotes is a text, and a text is no number.

Kinds: missing (absent or null), truth, number, text, list, object. A list passes a test when one of its elements does;
an object passes none but `is_set`. Numbers are compared as 64-bit floats, texts letter by letter.
"""

import math
from functools import lru_cache
from typing import Any

import re2

from tillit.language.instants import read_instant
from tillit.language.nodes import (
    OPPOSITE,
    AllClauses,
    AnyClause,
    Clause,
    Nested,
    NotClause,
    Path,
    PropertyTest,
    Test,
)

NEVER = 1 << 62  # later than any instant
_MICRO = 1_000_000
_LARGEST = 9e12  # numbers beyond are left out of sums: 64 bits hold no more with six decimals


def at_path(document: Any, path: Path) -> Any:
    """Give what lies at a path; None when nothing does.

    >>> at_path({"a": {"b": 1}}, ("a", "b")), at_path({"a": 1}, ("a", "b"))
    (1, None)
    """
    for name in path:
        if type(document) is not dict:
            return None
        document = document.get(name)
    return document


def micros_of(value: Any) -> int | None:
    """Give a number in whole millionths, as sums add them; None when it is no number.

    >>> micros_of(1.5), micros_of("1.5"), micros_of(True), micros_of(0.1) + micros_of(0.2) == micros_of(0.3)
    (1500000, None, None, True)
    """
    if type(value) is not float and type(value) is not int:
        return None
    number = float(value)
    return math.floor(number * _MICRO + 0.5) if -_LARGEST < number < _LARGEST else None


def holds(clause: Clause, document: Any) -> bool:
    """Say whether a clause holds of an event's properties, or of one element of a list."""
    kind = type(clause)
    if kind is PropertyTest:
        value = at_path(document, clause.path)  # type: ignore[union-attr]
        tests = clause.tests  # type: ignore[union-attr]
        return passes(tests[0], value, 0) if len(tests) == 1 else all(passes(test, value, 0) for test in tests)
    if isinstance(clause, AllClauses):
        return all(holds(one, document) for one in clause.all_of)
    if isinstance(clause, AnyClause):
        return any(holds(one, document) for one in clause.any_of)
    if isinstance(clause, NotClause):
        return not holds(clause.clause, document)
    assert isinstance(clause, Nested)
    listed = at_path(document, clause.path)
    elements = listed if type(listed) is list else []
    told = [type(one) is dict and holds(clause.clause, one) for one in elements]
    if clause.quantifier == "every":
        return bool(told) and all(told)
    return any(told) == (clause.quantifier == "some")


def passes(test: Test, value: Any, at: int) -> bool:
    """Say whether a value passes a test at an instant."""
    op = test.op
    turned = OPPOSITE.get(op)
    if turned is not None:
        return not _passes(turned, test.value, value, at)
    return _passes(op, test.value, value, at)


def changes_at(test: Test, value: Any, at: int) -> int:
    """Give the next instant at which the answer of a test changes by itself; NEVER when it does not."""
    if test.op not in ("within_last", "more_than_ago", "within_next"):
        return NEVER
    turns = [NEVER]
    for one in value if type(value) is list else (value,):
        then = read_instant(one) if type(one) is str else None
        if then is not None:
            turns += _turns(test, then)
    return min(turn for turn in turns if turn > at)


def _turns(test: Test, then: int) -> tuple[int, ...]:
    if test.op == "within_last":
        return then, then + test.value
    if test.op == "more_than_ago":
        return (then + test.value,)
    return then - test.value, then


def _passes(op: str, wanted: Any, value: Any, at: int) -> bool:
    if value is None:
        return False
    if op == "is_set":
        return True
    if type(value) is list:
        if op == "all_of":
            return all(any(_is(one, element) for element in value) for one in wanted)
        return any(_scalar_passes(op, wanted, one, at) for one in value)
    return _scalar_passes(op, wanted, value, at)


def _is(wanted: Any, value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool:
        return type(wanted) is kind and value == wanted
    if kind is int or kind is float:
        return type(wanted) is float and float(value) == wanted
    return False


def _scalar_passes(op: str, wanted: Any, value: Any, at: int) -> bool:
    if op == "equals":
        return _is(wanted, value)
    if op == "one_of":
        return any(_is(one, value) for one in wanted)
    if op == "all_of":
        return all(_is(one, value) for one in wanted)
    kind = type(value)
    if kind is int or kind is float:
        return _number_passes(op, wanted, float(value))
    if kind is str:
        return _text_passes(op, wanted, value, at)
    return False


def _number_passes(op: str, wanted: Any, value: float) -> bool:
    if op == "greater":
        return bool(value > wanted)
    if op == "at_least":
        return bool(value >= wanted)
    if op == "less":
        return bool(value < wanted)
    if op == "at_most":
        return bool(value <= wanted)
    return op == "between" and bool(wanted[0] <= value <= wanted[1])


def _text_passes(op: str, wanted: Any, value: str, at: int) -> bool:
    if op == "contains":
        return wanted in value
    if op == "starts_with":
        return value.startswith(wanted)
    if op == "ends_with":
        return value.endswith(wanted)
    if op == "matches":
        return _pattern(wanted).search(value) is not None
    if op not in ("before", "after", "within_last", "more_than_ago", "within_next"):
        return False
    then = read_instant(value)
    if then is None:
        return False
    if op == "before":
        return bool(then < wanted)
    if op == "after":
        return bool(then > wanted)
    if op == "within_last":
        return bool(at - wanted < then <= at)
    if op == "more_than_ago":
        return bool(then <= at - wanted)
    return bool(at < then <= at + wanted)


@lru_cache(maxsize=1_024)
def _pattern(pattern: str) -> Any:
    # RE2: time grows with the text and with nothing else, whatever the pattern.
    return re2.compile(pattern)


def why_no_pattern(pattern: str) -> str:
    """Say why a pattern cannot be read; empty when it can."""
    try:
        _pattern(pattern)
    except re2.error as exc:
        return str(exc.args[0] if not isinstance(exc.args[0], bytes) else exc.args[0].decode(errors="replace"))
    return ""
