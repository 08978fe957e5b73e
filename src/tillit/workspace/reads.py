"""Reads: whoever is handed personal values of people is noted in the ledger, in the list of each of those people.

In:    the profile ids of the people that one answer shows, before it is given.
Out:   accesses of the ledger, each sealed for its person.
Never: a value; a person named otherwise than by their profile's id; an answer that is given and not noted.
"""

from collections.abc import Iterable
from typing import TypedDict

from tillit.ledger import Accesses

_PROGRAM = "k_"  # how ids of keys begin


class _Look(TypedDict):
    actor_id: str
    role: str
    route: str
    purpose: str


class Reads:
    """Notes who read what, and what for."""

    def __init__(self, accesses: Accesses) -> None:
        """Write to the ledger."""
        self._accesses = accesses

    def note(
        self,
        people: Iterable[str],
        *,
        asked_by: str,
        route: str,
        purpose: str,
        break_glass: bool = False,
        reason: str = "",
    ) -> None:
        """Note that values of these people are handed out; of nobody, nothing. `unknown` where nobody can say whose.

        Raises: AccessesBehind: then they are not.
        """
        subjects = _each_once(people)
        if subjects:
            self._accesses.note(subjects, **_look(asked_by, route, purpose), break_glass=break_glass, reason=reason)

    def note_flow(self, people: Iterable[str], *, asked_by: str, route: str, purpose: str) -> None:
        """Note who is shown in what flows by, each person once an hour. Raises AccessesBehind, as `note` does."""
        subjects = _each_once(people)
        if subjects:
            self._accesses.note_flow(subjects, **_look(asked_by, route, purpose))


def _each_once(people: Iterable[str]) -> list[str]:
    return [one for one in dict.fromkeys(people) if one]


def _look(asked_by: str, route: str, purpose: str) -> _Look:
    role = "program" if asked_by.startswith(_PROGRAM) else "staff"
    return {"actor_id": asked_by, "role": role, "route": route, "purpose": purpose}
