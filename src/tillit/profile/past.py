"""The past: a profile as it was known at an instant, folded from the events that were known then.

In:    a membership (who, as of today), the person's events up to then, a permit.
Out:   the document of the HTTP API, as of then.
Never: a stored copy; a second way to fold: it is the strands' own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tillit.profile.acts import judge_acts, read_act
from tillit.profile.document import document_of, withhold
from tillit.profile.strands import Identified, News, fold_sightings, new_document, parts_of
from tillit.records import LogRow, Membership, Permit


class Told(NamedTuple):
    """One event of a person and the person's identifiers in it, the anchor first."""

    row: LogRow
    event: Any
    idents: Sequence[Identified]

    @property
    def events(self) -> Sequence[tuple[LogRow, Any]]:
        """Give itself as a sighting's events."""
        return ((self.row, self.event),)

    @property
    def anchor(self) -> Identified:
        """Give the strongest."""
        return self.idents[0]

    @property
    def part(self) -> int:
        """Give no tenure: these events are the person's, whatever the device."""
        return 0


def past_document(membership: Membership, told: Iterable[Told], permit: Permit, *, epoch: int) -> dict[str, Any]:
    """Give the document of one person as these events, and no others, make it. Shape: as `get_document`."""
    scope = permit.scope
    strand = new_document()
    news = News()
    in_log_order: list[Told] = sorted(told, key=lambda one: one.row.position)
    fold_sightings(strand, in_log_order, news)
    standing = judge_acts([act for row in news.acts if (act := read_act(row)) is not None])
    parts = list(parts_of(strand))
    document = document_of(
        membership, [part for carried, part in parts if scope.allows_event(carried)], standing, epoch
    )
    whole = document_of(membership, [part for _, part in parts], standing, epoch)
    return {**document, "withheld": [one._asdict() for one in withhold(document, scope, whole)]}
