"""Questions about many people under a scope: how many there are, and a join for rooms that ask more.

In:    a scope.
Out:   counts; a condition for SQL.
Never: an answer that leaves out what somebody said a moment ago: who is not judged yet is judged for the answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tillit import clock
from tillit.consent import (
    Many,
    count_due,
    find_due,
    permit_many,
    policy_in_force,
    terms_of,
)
from tillit.errors import BusyError
from tillit.flow import judge
from tillit.records import Scope
from tillit.store import Reading, State
from tillit.workspace.folding import Folding

_MOST_DUE = 2_000  # judged for one answer: half a second
_WAIT_S = 600.0


class Counted(NamedTuple):
    """How many people there are, and how many of them the purpose may use."""

    people: int
    permitted: int

    @property
    def withheld(self) -> int:
        """Count those whom it may not."""
        return self.people - self.permitted


class Permissions:
    """Answers questions about many people."""

    def __init__(self, state: State, folding: Folding, *, adult_age: int) -> None:
        """Know the state and who folds."""
        self._state = state
        self._folding = folding
        self._adult_age = adult_age

    def count(self, scope: Scope, *, timeout_s: float = _WAIT_S) -> Counted:
        """Count everybody, and those of them whom the purpose may use at the scope's instant.

        Raises: BusyError while most are still being judged under purposes that have just changed; ChannelUndeclared.
        """
        self.settle(timeout_s)
        with self._state.snapshot() as reading:
            people = count_people(reading)
            many = self.permit(reading, scope)
            n = int(reading.read(f"SELECT count(*) FROM ({many.otherwise}) AS listed", many.params)[0][0])
        return Counted(people, people - n if many.is_open else n)

    def count_where(self, reading: Reading, many: Many, query: str, column: str, params: Sequence[int] = ()) -> int:
        """Count what a query counts (SELECT count(*) … WHERE …) of whom the purpose may use.

        `column` holds the root of a person's identifiers. Where strangers are permitted the few who are not are taken
        away: nobody else is asked for.
        """
        some = reading.read(f"{query} AND {column} IN ({many.otherwise})", (*params, *many.params))[0][0]
        return int(reading.read(query, params)[0][0]) - int(some) if many.is_open else int(some)

    def permit(self, reading: Reading, scope: Scope) -> Many:
        """Give leave for many, for this reading alone.

        Raises: ChannelUndeclared; BusyError as `count` does, at once.
        """
        declared, due = policy_in_force(reading), self._due(reading)
        if len(due) > _MOST_DUE:
            raise self._behind(reading)
        judged = judge(reading, declared, due, adult_age=self._adult_age) if due else {}
        return permit_many(declared, scope, due=due, judged=judged)

    def settle(self, timeout_s: float = _WAIT_S) -> None:
        """Return when nearly everybody is judged: here when nobody else folds, else by waiting for whoever does.

        Raises BusyError when it takes longer.
        """
        deadline = clock.monotonic_s() + timeout_s
        while len(self._due(self._state)) > _MOST_DUE:
            if clock.monotonic_s() > deadline:
                raise self._behind(self._state)
            self._folding.judge()

    def _due(self, reading: Reading) -> list[int]:
        terms = terms_of(policy_in_force(reading), self._adult_age)
        return find_due(reading, terms, most=_MOST_DUE + 1)

    def _behind(self, reading: Reading) -> BusyError:
        n = count_due(reading, terms_of(policy_in_force(reading), self._adult_age))
        return BusyError(
            f"Purposes have changed, and {n:,} people are still being judged under them. Reads of one person are right "
            "at once; ask about many again in a few minutes.",
            code="consent.being-judged",
            n_left=n,
        )


def count_people(reading: Reading) -> int:
    """Count people: a device that nobody is known to have is somebody, too."""
    roots = reading.read("SELECT count(*) FROM identifier WHERE root_id = identifier_id")
    held = reading.read("SELECT count(*) FROM (SELECT DISTINCT identifier_id FROM tenure) AS held")
    return int(roots[0][0]) - int(held[0][0])
