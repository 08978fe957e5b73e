"""Reads: every answer with personal values is noted, in the journal and, where it was about one person, in the ledger.

In:    one note per answered request.
Out:   rows of the journal; entries of the ledger, sealed for the person.
Never: a value; a person named otherwise than by their profile's id.
"""

from tillit.access import Journal, Read
from tillit.ledger import Accesses

_PROGRAM = "k_"  # how ids of keys begin


class Reads:
    """Notes who read what, and what for."""

    def __init__(self, journal: Journal, accesses: Accesses) -> None:
        """Write to both."""
        self._journal = journal
        self._accesses = accesses

    def note(
        self,
        *,
        asked_by: str,
        route: str,
        purpose: str,
        profile_id: str = "",
        n_profiles: int = 1,
    ) -> None:
        """Note that personal values were handed out. Raises AccessesBehind: then they are not."""
        self._journal.note(
            asked_by=asked_by, route=route, purpose=purpose, profile_id=profile_id, n_profiles=n_profiles
        )
        if profile_id:
            role = "program" if asked_by.startswith(_PROGRAM) else "staff"
            self._accesses.note([profile_id], actor_id=asked_by, role=role, route=route, purpose=purpose)

    def reads(self, limit: int = 100) -> list[Read]:
        """Give the newest notes first."""
        return self._journal.reads(limit)
