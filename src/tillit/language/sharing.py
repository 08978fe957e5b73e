"""Sharing: what many definitions ask of one person is answered once.

In:    definitions.
Out:   functions that answer them, and look first at what was answered of the person at this instant.
Never: an answer of another instant, or as another purpose may look at the person.
"""

from collections.abc import Callable, Hashable
from typing import Protocol

from tillit.language.live import Person, compile_condition, every, some, turned
from tillit.language.nodes import AllOf, AnyOf, Condition, Not

Told = tuple[bool, int]  # the answer, and until when it holds


class Remembering(Person, Protocol):
    """Somebody of whom it is kept what was answered; whoever asks at another instant empties it."""

    @property
    def known(self) -> dict[int, Told]:
        """Give the answers, by number."""
        ...


SharedAnswers = Callable[[Remembering, int], Told]


class Sharing:
    """The parts of some definitions; equal ones are one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parts: dict[tuple[Hashable, Condition], SharedAnswers] = {}

    def compile(self, node: Condition, through: Hashable) -> SharedAnswers:
        """Make a function that answers a condition. `through`: parts that look at people in another way are others."""
        match node:
            case AllOf(parts):
                return every([self.compile(one, through) for one in parts])
            case AnyOf(parts):
                return some([self.compile(one, through) for one in parts])
            case Not(inner):
                return turned(self.compile(inner, through))
        found = self._parts.get((through, node))
        if found is None:
            found = self._parts[through, node] = _once(compile_condition(node), len(self._parts))
        return found


def _once(answers: Callable[[Person, int], Told], number: int) -> SharedAnswers:
    def answer(person: Remembering, at: int) -> Told:
        known = person.known
        told = known.get(number)
        if told is None:
            told = known[number] = answers(person, at)
        return told

    return answer
