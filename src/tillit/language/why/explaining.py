"""Explaining: a definition, part by part.

In:    a definition; what is kept of one person; an instant.
Out:   a reason for each part; when the answer changes by itself; what would change it.
Never: another answer than the evaluator's.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tillit.language.live import Person, compile_condition, inputs_of
from tillit.language.nodes import AllOf, AnyOf, Condition, Not
from tillit.language.sentences import instant, sentence
from tillit.language.tapes import Tape
from tillit.language.why.changes import Change, change_in_time, change_of
from tillit.language.why.finding import FOUND
from tillit.language.why.trial import Trial
from tillit.language.why.turning import next_change
from tillit.language.why.ways import place_of

MOST_DECIDING = 20


class Deciding(NamedTuple):
    """An event that an answer hangs on. `at`: when it happened; `position`: its place in the log."""

    at: int
    position: int


class Reason(NamedTuple):
    """One part of a definition.

    `kind`: leaf; all, any, none, not_all for what stands in `parts`. `value`, `told`: what was found, and in words.
    `threshold`: what it is compared with. `until`: when it changes by itself, or not before; None: it does not.
    `change`: what would turn this part alone. `people`: the profile ids that `told` names.
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
    people: tuple[str, ...] = ()


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
    change = change_of(node, person, tapes, at, wanted=not is_held)
    if change is None:
        change = change_in_time(node, Trial(person, tapes, at), until, wanted=not is_held)
    reason = _reason(node, person, tapes, at, turned=False)
    return Explained(is_held, at, until, is_sure, change, reason, tuple(_words(is_held, until, is_sure, change)))


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
    found = FOUND[type(node)](node, person, at)
    change = change_of(Not(node) if turned else node, person, tapes, at, wanted=not is_held)
    compared = f"not {found.threshold}" if turned and found.threshold else found.threshold
    deciding = tuple(Deciding(*place_of(one)) for one in sorted(found.deciding, key=place_of)[-MOST_DECIDING:])
    return Reason(
        "leaf", said, is_held, until, found.value, found.told, compared, deciding, change, people=found.people
    )
