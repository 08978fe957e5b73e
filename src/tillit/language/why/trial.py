"""Trial: one person at one instant, on whom changes are tried.

In:    what is kept of the person; acts.
Out:   what an answer would be if the acts happened.
Never: an act on the real person.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tillit.language.imagined import Act, Imagined
from tillit.language.live import Answers, Person
from tillit.language.tapes import Tape

Acts = tuple[Act, ...]


class Trial(NamedTuple):
    """Where changes are tried."""

    person: Person
    tapes: Sequence[Tape]
    at: int

    def gives(self, answers: Answers, acts: Sequence[Act], at: int | None = None) -> bool:
        """Say what an answer would be if the acts happened, now or at another instant."""
        then = self.at if at is None else at
        return answers(Imagined(self.person, self.tapes, acts, then), then)[0]
