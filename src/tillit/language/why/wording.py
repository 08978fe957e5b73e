"""Wording: values, and what would have to happen, as parts of a sentence.

In:    values; tests; acts.
Out:   words.
Never: a promise: what is worded here was tried elsewhere.
"""

from collections.abc import Sequence
from typing import Any

from tillit.language.nodes import Test
from tillit.language.sentences import number, predicate, scalar
from tillit.language.why.trial import Acts


def told_value(value: Any) -> str:
    """Write a value that was found."""
    if value is None:
        return "missing"
    if isinstance(value, list):
        return ", ".join(told_value(one) for one in value) or "an empty list"
    if isinstance(value, dict):
        return "several values"
    return scalar(float(value) if type(value) is int else value)


def braced(text: str) -> str:
    """Write a text so that `worded` leaves it as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def set_to(what: str, tests: Sequence[Test], value: Any, *, wanted: bool) -> str:
    """Say that something is set to a value that passes some tests, or that does not."""
    if value is None:
        return f"{what} taken away"
    if wanted and len(tests) == 1 and tests[0].op in ("equals", "one_of"):
        return f"{what} set to {told_value(value)}"
    if wanted:
        return f"{what} set so that it {' and '.join(predicate(test) for test in tests)} (such as {told_value(value)})"
    return f"{what} set to something else (such as {told_value(value)})"


def worded(acts: Acts) -> Acts:
    """Put into the words of each act how often it happens."""
    return tuple(act._replace(words=act.words.format(n=number(act.n))) for act in acts)


def said_of(acts: Acts, *, wanted: bool) -> str:
    """Say what an answer needs, or would end with."""
    parts = [act.words for act in worded(acts)]
    told = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{'needs' if wanted else 'would end with'} {told}"
