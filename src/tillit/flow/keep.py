"""Keep: what sightings add up to, in every room that keeps it by strand.

In:    sightings; strands whose events are folded again.
Out:   the rooms' tables.
Never: a room of them left out: whoever moves strands moves all that hangs on them.
"""

from collections.abc import Sequence
from functools import partial

from tillit.audience import STRAND_TABLES as AUDIENCE_TABLES
from tillit.audience import TapeWriter
from tillit.consent import STRAND_TABLES as CONSENT_TABLES
from tillit.consent import ConsentWriter
from tillit.flow.catalog import catalog_of
from tillit.groups import FACT_TRAITS, GroupWriter
from tillit.groups import TABLES as GROUP_TABLES
from tillit.identity import Event, Ident, Sighting, find_earlier_use, rules_in_force
from tillit.profile import TABLES as PROFILE_TABLES
from tillit.profile import StrandMemory, StrandWriter
from tillit.store import Writing

# The tables whose rows hang on an anchor's identifier_id.
STRAND_TABLES = {**PROFILE_TABLES, **GROUP_TABLES, **CONSENT_TABLES, **AUDIENCE_TABLES}


class Keeping:
    """Folds one micro-batch of sightings into strands and what lies beside them."""

    def __init__(self, tx: Writing, memory: StrandMemory | None = None, tapes: TapeWriter | None = None) -> None:
        """Start one batch."""
        self._consent = ConsentWriter(tx, partial(_proves, tx), facts=FACT_TRAITS)
        self._tapes = tapes if tapes is not None else TapeWriter(tx, catalog_of(tx))
        self._written = (StrandWriter(tx, memory), GroupWriter(tx), self._consent)  # at the end of the batch
        self._rooms = (*self._written, self._tapes)

    def fold(self, sightings: Sequence[Sighting]) -> None:
        """Add the sightings to their strands."""
        for room in self._rooms:
            room.fold(sightings)

    def drop(self, keys: Sequence[tuple[int, int]]) -> None:
        """Forget these strands: their events are folded again."""
        for room in self._rooms:
            room.drop(keys)

    def write(self) -> None:
        """Put what changed into the state."""
        for room in self._written:
            room.write()
        self._tapes.permit_anew(self._consent.grounds)


# A function: a method that a room of it holds would tie all that a batch made into a knot for the collector.
def _proves(tx: Writing, event: Event, position: int, anchor: Ident) -> bool:
    """Say whether an event's token proves who it is about, and was not used before."""
    return (
        event.proof is not None
        and any(told.key == (anchor.namespace, anchor.value) for told in rules_in_force(tx).proven(event))
        and find_earlier_use(tx, event, position) is None
    )
