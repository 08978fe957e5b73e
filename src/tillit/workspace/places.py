"""Places: where somebody stands in an order, in words.

In:    a definition that ranks; rows of `places_sql` of one person and of the last one that counts.
Out:   words for why somebody is in or not.
Never: who the others are. What the last one is ranked by that counts is told as the edge that it is, but not where so
       few count that it would say who they are.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tillit.language.nodes import Ranked
from tillit.language.ranks import is_held_out
from tillit.language.sentences import instant, number

_FEWEST = 3  # people who count, for the edge to be told; taste


class Place(NamedTuple):
    """Where one person stands."""

    place: int | None  # from 1; None: they have none
    score: float | None  # what they are ranked by; None of a draw
    n: int  # people who have a place
    kept: int  # as many of them count
    edge: float | None  # what the last one is ranked by that counts
    is_held_out: bool

    @classmethod
    def of(cls, node: Ranked, profile_id: str, root: int, rows: Sequence[Sequence[Any]]) -> "Place":
        """Read the rows (person, score, place, n, kept) of somebody and of the last one that counts."""
        mine = next((row for row in rows if row[0] == root), None)
        last = next((row for row in rows if row[2] == row[4]), None)
        known = mine or last
        return cls(
            None if mine is None else int(mine[2]),
            None if mine is None or node.by is None else float(mine[1]),
            0 if known is None else int(known[3]),
            0 if known is None else int(known[4]),
            None if last is None or node.by is None or int(last[4]) < _FEWEST else float(last[1]),
            is_held_out(node, profile_id),
        )

    @property
    def is_first(self) -> bool:
        """Say whether they are among those who count."""
        return self.place is not None and self.place <= self.kept and not self.is_held_out

    @property
    def value(self) -> str:
        """Say where they stand."""
        if self.place is None:
            return "no place"
        told = f"place {number(self.place)} of {number(self.n)}"
        told += "" if self.score is None else f" with {number(self.score)}"
        return f"{told}, held out" if self.is_held_out and self.place <= self.kept else told

    @property
    def wanted(self) -> str:
        """Say up to where it counts."""
        if not self.kept:
            return "a place, which nobody has"
        told = f"place {number(self.kept)} or before"
        return told if self.edge is None else f"{told} (the last one in has {number(self.edge)})"

    def words(self, at: int, next_tick: int | None) -> list[str]:
        """Say it in sentences."""
        told = [f"As of {instant(at)}: {self.value}; wanted is {self.wanted}."]
        if next_tick is not None:
            told.append(f"Everybody is ranked anew at {instant(next_tick)}.")
        return told
