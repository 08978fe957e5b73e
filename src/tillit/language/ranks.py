"""Ranks: the first of many people in an order, and who they are when everybody was looked at.

In:    a definition that ranks; what is kept of each person; an instant.
Out:   each person's place in the order as a number, until when it holds; of all numbers the first ones.
Never: two orders of the same people: who stands equal is told apart by profile id; a place without a number.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from math import isnan, nan
from typing import Any

from tillit.language.live import Person, compile_condition, compile_value, draw
from tillit.language.nodes import MOST_NUMBER, Condition, Ranked

_DRAWN = 1 << 32

Scores = Callable[[Person, int], tuple[float | None, int]]


def compile_score(node: Ranked) -> Scores:
    """Make a function that gives what somebody is ranked by, None when they are not, and until when that holds."""
    answers = compile_condition(node.of)
    if node.by is None:
        salt = node.salt

        def drawn(person: Person, at: int) -> tuple[float | None, int]:
            holds, until = answers(person, at)
            return (draw(salt, person.profile_id) * _DRAWN if holds else None), until

        return drawn
    measure = compile_value(node.by)

    def score(person: Person, at: int) -> tuple[float | None, int]:
        holds, until = answers(person, at)
        if not holds:
            return None, until
        value, turn = measure(person, at)
        return number_of(value), min(until, turn)

    return score


def number_of(value: Any) -> float | None:
    """Give a value as a number to rank by; None when it is none.

    >>> number_of(3), number_of("3"), number_of(True), number_of(None)
    (3.0, None, None, None)
    """
    return float(value) if type(value) in (int, float) and abs(value) < MOST_NUMBER else None


def n_kept(node: Ranked, n: int) -> int:
    """Say how many of so many with a place are kept: of a part the last one is whole.

    >>> from tillit.language.nodes import Everybody
    >>> n_kept(Ranked(Everybody(), None, False, 0, 50_000, 1), 21), n_kept(Ranked(Everybody(), None, False, 3, 0, 1), 2)
    (2, 2)
    """
    return min(n, node.most) if node.most else -(-n * node.millionths // 1_000_000)


def instant_for(node: Condition, at: int) -> int:
    """Give the instant whose answer stands at another one: of a definition that ranks that of its last tick."""
    return at - at % node.every if isinstance(node, Ranked) else at


def is_held_out(node: Ranked, profile_id: str) -> bool:
    """Say whether somebody who has a place that counts is left alone."""
    held = node.held
    return held is not None and held.from_share <= draw(held.salt, profile_id) < held.until_share


class Places:
    """What everybody is ranked by, while they are looked at one after the other. 24 bytes for each person."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._roots = array("q")
        self._scores = array("d")  # not a number: no place
        self._untils = array("q")

    def __len__(self) -> int:
        """Say how many were looked at."""
        return len(self._roots)

    def put(self, root: int, score: float | None, until: int) -> None:
        """Note somebody, in the place of what was known of them."""
        told = nan if score is None else score
        at = len(self._roots) if not self._roots or self._roots[-1] < root else bisect_left(self._roots, root)
        if at < len(self._roots) and self._roots[at] == root:
            self._scores[at], self._untils[at] = told, until
        else:
            self._roots.insert(at, root)
            self._scores.insert(at, told)
            self._untils.insert(at, until)

    def drop(self, root: int) -> None:
        """Forget somebody who is nobody any more, or was never looked at."""
        at = bisect_left(self._roots, root)
        if at < len(self._roots) and self._roots[at] == root:
            del self._roots[at], self._scores[at], self._untils[at]

    def over(self, at: int) -> list[int]:
        """Give those of whom what is known does not hold at an instant any more."""
        return [root for root, until in zip(self._roots, self._untils, strict=True) if until <= at]

    def placed(self) -> Iterator[tuple[int, float]]:
        """Give those who have a place, with what they are ranked by."""
        return ((root, score) for root, score in zip(self._roots, self._scores, strict=True) if not isnan(score))


def first_of(node: Ranked, placed: Iterable[tuple[int, float]], name_of: Callable[[int], str]) -> tuple[set[int], int]:
    """Give the first of those who have a place, without those held out, and how many have one.

    `name_of`: the profile id of somebody, by which those who stand equal are told apart.
    """
    listed = list(placed)
    kept = n_kept(node, len(listed))
    if not kept:
        return set(), len(listed)
    edge = sorted((score for _, score in listed), reverse=node.is_highest)[kept - 1]
    first = {root for root, score in listed if (score > edge if node.is_highest else score < edge)}
    tied = sorted((root for root, score in listed if score == edge), key=name_of)
    first.update(tied[: kept - len(first)])
    if node.held is not None:
        first = {root for root in first if not is_held_out(node, name_of(root))}
    return first, len(listed)


def members_of(node: Ranked, people: Iterable[Person], at: int) -> set[str]:
    """Give the profile ids of those whom a definition that ranks takes, of all people there are."""
    score, names = compile_score(node), [*people]
    placed = ((i, found) for i, one in enumerate(names) if (found := score(one, at)[0]) is not None)
    first, _ = first_of(node, placed, lambda i: names[i].profile_id)
    return {names[i].profile_id for i in first}
