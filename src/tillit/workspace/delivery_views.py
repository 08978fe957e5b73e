"""Views of deliveries: how destinations are, and the whole life of what was to leave.

In:    deliveries.db, one moment of the state, the log, the ledger.
Out:   counts, deliveries with their tries, what was reported of them later.
Never: a change; a value, but for the recipient's own words.
"""

from typing import NamedTuple

from tillit.clock import HOUR, MINUTE
from tillit.deliver import (
    DEAD,
    RECORD,
    REMOVED,
    Attempt,
    Definitions,
    Delivery,
    Destination,
    Queue,
    Record,
    Request,
    Standing,
    asking,
    read_request,
)
from tillit.deliver.reports import Report
from tillit.deliver.wire import DELIVERED, REFUSED, UNKNOWN
from tillit.ledger import Disclosure, Ledger
from tillit.records import Membership
from tillit.store import State
from tillit.workspace.folding import Folding
from tillit.workspace.ledger import subjects_of
from tillit.workspace.origin import WorkspaceOrigin
from tillit.workspace.people import sample_people

_ENDED = (DELIVERED, REFUSED, DEAD, UNKNOWN)  # what the last hour counts
_ENTRIES, _MOST_LOOKS = 200, 20  # of one person's ledger, at once and how often


class HowItIs(NamedTuple):
    """How one destination is."""

    position: int  # log position of its definition
    told: Destination
    standing: Standing
    counts: dict[str, int]  # deliveries by state
    records: dict[str, int]  # records by state
    minutes: list[tuple[int, int]]  # of the last hour, oldest first: arrived, not taken


class Life(NamedTuple):
    """Everything there is to say of one delivery."""

    delivery: Delivery
    attempts: list[Attempt]
    request: Request | None  # of a message that was not forgotten
    entries: dict[int, int]  # attempt -> entry of the ledger
    reports: list[Report]


class Reach(NamedTuple):
    """Whom a destination that follows people would have."""

    n_people: int
    n_looked: int
    is_whole: bool  # False: a sample was looked at


class DeliveryViews:
    """What leaves a workspace, to be looked at."""

    def __init__(self, state: State, folding: Folding, queue: Queue, origin: WorkspaceOrigin, ledger: Ledger) -> None:
        """Know whom to ask."""
        self._state = state
        self._folding = folding
        self._queue = queue
        self._origin = origin
        self._ledger = ledger

    def list_destinations(self) -> list[HowItIs]:
        """Say how every destination is, by name."""
        return [self._how(position, told) for position, told in self._origin.definitions().destinations.values()]

    def find_destination(self, name: str) -> HowItIs | None:
        """Say how one is."""
        found = self._origin.definitions().destinations.get(name)
        return self._how(*found) if found is not None else None

    def _how(self, position: int, told: Destination) -> HowItIs:
        name = told.destination
        counts, records = self._queue.history.counts(name), self._queue.copies.counts(name)
        return HowItIs(position, told, self._queue.standings.of(name), counts, records, self._minutes(name))

    def _minutes(self, destination: str) -> list[tuple[int, int]]:
        end = self._queue.now() // MINUTE * MINUTE + MINUTE
        since = end - HOUR
        counts = [[0, 0] for _ in range(HOUR // MINUTE)]
        for at, state, n in self._queue.history.counts_by_minute(destination, since=since):
            if state in _ENDED and at < end:
                counts[(at - since) // MINUTE][state != DELIVERED] += n
        return [(arrived, failed) for arrived, failed in counts]

    def find_life(self, key: str) -> Life | None:
        """Give the whole life of a delivery, by its key in hex."""
        try:
            delivery = self._queue.history.find_by_key(bytes.fromhex(key))
        except ValueError:
            return None
        if delivery is None:
            return None
        row = self._folding.rows([delivery.position]).get(delivery.position)
        attempts = self._queue.history.attempts([delivery.delivery_id])
        return Life(
            delivery,
            attempts,
            read_request(row) if row is not None else None,
            self._entries(delivery, attempts),
            self._queue.reports.list_of([delivery.delivery_id]),
        )

    def _entries(self, delivery: Delivery, attempts: list[Attempt]) -> dict[int, int]:
        """Find what the ledger has of a delivery: newest first, no further back than its first try."""
        subjects = list(dict.fromkeys(one.subject_ref for one in attempts if one.disclosure))
        found: dict[int, int] = {}
        before: int | None = None
        for _ in range(_MOST_LOOKS if subjects else 0):
            part = self._ledger.read(subjects, limit=_ENTRIES, before=before)
            for one in part.entries:
                key, _, attempt = (
                    one.entry.delivery.partition("/") if isinstance(one.entry, Disclosure) else ("", "", "")
                )
                if key == delivery.key:
                    found[int(attempt)] = one.entry_index
            before = part.next
            if before is None or (part.entries and part.entries[-1].at < attempts[0].begun_at):
                break
        return found

    def about(self, membership: Membership, *, kind: str, limit: int) -> tuple[list[Delivery], list[Record]]:
        """Give the newest deliveries of a kind about a person, and what destinations have of them."""
        subjects = subjects_of(membership)
        held = [one for one in self._queue.copies.list_of(subjects) if one.state]
        return (
            self._queue.history.list_newest(subjects=subjects, kind=kind, limit=limit),
            sorted(held, key=lambda one: (one.state == REMOVED, -one.changed_at)),
        )

    def count_waiting(self, *, destination: str = "", template: str = "") -> int:
        """Count what waits to leave."""
        return self._queue.history.count_waiting(destination=destination, template=template)

    def reach(self, destination: Destination, *, most: int) -> Reach:
        """Count whom a destination that follows people would have, of no more than `most`, taken evenly."""
        name = destination.destination
        with self._state.snapshot() as reading:
            known = int(reading.read("SELECT count(*) FROM identifier WHERE identifier_id = root_id")[0][0])
            gate = self._origin.gate_at(reading, {}, Definitions({name: (0, destination)}, {}))
            judged = [
                gate.wanted(destination, asking(RECORD, name, destination.purpose, membership.profile_id))
                for _, _, membership in sample_people(reading, most)
            ]
        return Reach(sum(isinstance(one, tuple) for one in judged), len(judged), known <= most)
