"""Imagined: a person as they would be if some more had happened, and what could happen to satisfy a test.

In:    a person; acts; matchers, clauses and tests.
Out:   the same person with the acts done; events and values that pass.
Never: an act on the real person; a promise that was not tried.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import ceil, floor
from typing import Any, NamedTuple

from tillit.clock import DAY, SECOND, rfc3339
from tillit.language.groups import Relations
from tillit.language.live import Person
from tillit.language.nodes import (
    AllClauses,
    AnyClause,
    Clause,
    Nested,
    NotClause,
    Path,
    PropertyTest,
    Test,
)
from tillit.language.tapes import Document, Tape, add_entries, entry_of, matches, new_document
from tillit.language.values import NEVER, at_path, holds, passes

_LATEST = 1 << 60  # a position behind all that the log has
_MOST_TRIES = 2_000  # properties that are tried for one event


class Act(NamedTuple):
    """Something that could happen. `words`: as a part of a sentence.

    `kind`: event, trait, feature, audience or permission. `name`: of the event, trait, feature, audience or purpose.
    `value`: an event's properties; what a trait or a feature would be; whether in the audience, whether permitted.
    `type`: of an event: track, page or screen. `path`: of what lies within a trait. `n`: so many such events.
    """

    kind: str
    words: str
    name: str
    value: Any
    n: int = 1
    type: str = ""
    path: Path = ()


class Imagined:
    """A person to whom some acts happened at an instant, after everything else of it."""

    def __init__(self, person: Person, tapes: Iterable[Tape], acts: Sequence[Act], at: int) -> None:
        """Do the acts. `tapes`: all that the definition hangs on."""
        self._person = person
        self._acts = {(act.kind, act.name): act for act in acts if act.kind not in ("event", "trait")}
        self._traits = [act for act in acts if act.kind == "trait"]
        happened = [act for act in acts if act.kind == "event"]
        self._more = {tape.tape_id: document for tape in tapes if (document := _written(tape, happened, at))}

    @property
    def profile_id(self) -> str:
        """Give the id by which samples are drawn."""
        return self._person.profile_id

    def documents(self, tape_id: int) -> Sequence[Document]:
        """Give what stands on a tape, with what happened beside it."""
        there, more = self._person.documents(tape_id), self._more.get(tape_id)
        return there if more is None else [*there, more]

    def trait(self, name: str) -> Any:
        """Give a trait, as it would be."""
        value = self._person.trait(name)
        for act in self._traits:
            if act.name == name:
                value = with_path(value, act.path, act.value)
        return value

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        """Say whether they would be in another audience."""
        act = self._acts.get(("audience", audience))
        return self._person.is_member(audience, at) if act is None else (act.value, NEVER)

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        """Give the value that a feature would have."""
        act = self._acts.get(("feature", name))
        return self._person.feature(name, at) if act is None else (act.value, NEVER)

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether they might be used for a purpose."""
        act = self._acts.get(("permission", purpose))
        return self._person.may(purpose, at) if act is None else (act.value, NEVER)

    def relations(self) -> Relations:
        """Give their groups: what is imagined of one person changes nothing of others."""
        return self._person.relations()


def _written(tape: Tape, happened: Sequence[Act], at: int) -> Document | None:
    entries = []
    position = _LATEST
    for act in happened:
        if matches(tape.matcher, act.type, act.name, act.value):
            made = [entry_of(tape, at, position + i, act.value) for i in range(act.n)]
            entries += [entry for entry in made if entry is not None]
        position += act.n
    if not entries:
        return None
    document = new_document(tape)
    add_entries(tape, document, entries, at)
    return document


def with_path(document: Any, path: Path, value: Any) -> Any:
    """Give a document with another value at a path; what is in the way is replaced.

    >>> with_path({"a": 1}, ("b", "c"), 2), with_path(None, (), 3)
    ({'a': 1, 'b': {'c': 2}}, 3)
    """
    if not path:
        return value
    held = dict(document) if isinstance(document, dict) else {}
    held[path[0]] = with_path(held.get(path[0]), path[1:], value)
    return held


# -- what would pass


def example_properties(where: Clause | None, fixed: Mapping[Path, Any]) -> dict[str, Any] | None:
    """Give properties that a clause takes, with some that are fixed; None when none were found."""
    asked: dict[Path, list[Any]] = {}
    if where is not None:
        _ask(where, asked)
    choices = [(path, [fixed[path]] if path in fixed else values) for path, values in asked.items()]
    choices += [(path, [value]) for path, value in fixed.items() if path not in asked]
    for chosen in islice(product(*(values for _, values in choices)), _MOST_TRIES):
        properties: dict[str, Any] = {}
        for (path, _), value in zip(choices, chosen, strict=True):
            if value is not None:
                properties = with_path(properties, path, value)
        is_kept = all(at_path(properties, path) == value for path, value in fixed.items())
        if is_kept and (where is None or holds(where, properties)):
            return properties
    return None


def _ask(clause: Clause, asked: dict[Path, list[Any]]) -> None:
    """Gather for each property what may be tried for it; what passes its own tests first."""
    match clause:
        case AllClauses(parts) | AnyClause(parts):
            for one in parts:
                _ask(one, asked)
        case NotClause(inner):
            _ask(inner, asked)
        case Nested(path, _, inner):
            elements = (example_properties(inner, {}), example_properties(NotClause(inner), {}))
            lists = [*([element] for element in elements if element is not None), []]
            asked[path] = [*asked.get(path, []), *lists, None]
        case PropertyTest(path, tests):
            tried = [*candidates(tests, 0), None]
            tried.sort(key=lambda value: not all(passes(test, value, 0) for test in tests))
            asked[path] = [*asked.get(path, []), *tried]


def passing(tests: Sequence[Test], at: int, *, wanted: bool) -> list[Any]:
    """Give values that pass all of some tests, or that do not, likely ones first; None is a missing one."""
    tried = [*candidates(tests, at), None]
    return [value for value in tried if all(passes(test, value, at) for test in tests) == wanted]


def candidates(tests: Iterable[Test], at: int) -> list[Any]:
    """Give values at and beside what tests compare with, each once."""
    tried: list[Any] = []
    for test in tests:
        tried += _near(test, at)
    tried += ["x", 1.0, 0.0, True, False, ""]
    once: dict[str, Any] = {}
    for value in tried:
        once.setdefault(repr(value), value)
    return list(once.values())


def _near(test: Test, at: int) -> Iterator[Any]:
    op, wanted = test.op, test.value
    if op in ("before", "after", "within_last", "more_than_ago", "within_next"):
        if op in ("before", "after"):
            times: tuple[int, ...] = (wanted - DAY, wanted + DAY, wanted)
        else:
            times = (at, at - wanted, at + SECOND, at + wanted, at + wanted + DAY, at - wanted - DAY)
        for then in times:
            try:
                yield rfc3339(then)
            except OverflowError:
                continue
    elif op == "all_of":
        yield list(wanted)
    elif op == "matches":
        yield re.sub(r"[\^$\\]|\.\*", "", wanted)
    elif isinstance(wanted, tuple):
        yield from (near for one in wanted[:20] for near in _beside(one))
    elif wanted is not None:
        yield from _beside(wanted)


def _beside(value: Any) -> Iterator[Any]:
    if type(value) is bool:
        yield from (value, not value)
    elif type(value) is float:
        yield value
        if value.is_integer():
            yield from (value + 1, value - 1)
        else:
            yield from (float(ceil(value)), float(floor(value)))
    else:
        yield from (value, f"{value}x")
