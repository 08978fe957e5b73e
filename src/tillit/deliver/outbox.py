"""Outbox: what the head of the log asks couriers to do, written in the fold's own transaction.

In:    folded events, people folded anew, definitions; how far the outbox was ever taken.
Out:   rows of outbox.
Never: a row for a position that was taken before: a rebuild sends nothing. A look at who the person is or what they
       agreed to: that is asked when it leaves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tillit.deliver.definitions import Definitions, definitions_in_force
from tillit.deliver.requests import REQUESTED, SOURCE
from tillit.records import TRUST_OPERATOR, LogRow
from tillit.store import Reading, State, Writing

# The kinds of work.
TO_SEND, TO_FORWARD, TO_FOLLOW, TO_WALK, TO_REVIEW = 1, 2, 3, 4, 5
_SECOND = 1_000_000
_EVERY = "*"
_IMPORTED = b'"library":{"name":"tillit-import"}'


class Work(NamedTuple):
    """One row of the outbox. Grain: one per log position, kind of work, destination and identifier."""

    position: int
    work: int
    destination: str
    identifier_id: int
    message_hash: bytes


class Outbox:
    """Fills the outbox of one fold. `after`: the position up to which it was ever taken."""

    def __init__(self, state: Reading, after: int) -> None:
        """Read the definitions in force."""
        self.after = after
        self.read_definitions(state)

    def read_definitions(self, state: Reading) -> None:
        """Read anew what is in force: a definition came, or a transaction was lost."""
        told = definitions_in_force(state)
        self._follows = _follows(told)
        self._forwards: dict[str, list[tuple[str, int, int]]] = {}  # event name -> destination, since, late
        for name, (position, one) in told.destinations.items():
            if one.send == "events" and not one.retired:
                for event in one.events:
                    self._forwards.setdefault(event, []).append((name, position, one.late_s * _SECOND))
        self._every = self._forwards.pop(_EVERY, [])
        for told_of in self._forwards.values():
            told_of += self._every

    def fill(
        self,
        tx: Writing,
        rows: Sequence[LogRow],
        seen: Iterable[tuple[int, Sequence[tuple[LogRow, Any]]]],
        again: Iterable[int],
    ) -> None:
        """Write what one micro-batch asks for.

        `seen`: events that were folded, by the identifier they hang on. `again`: identifiers of people folded anew.
        """
        last = rows[-1].position
        if last <= self.after:
            return
        # Plain tuples, as Work has them: this runs for each event of the fold.
        work: list[tuple[int, int, str, int, bytes]] = []
        after, forwards, every = self.after, self._forwards, self._every
        has_forwards = bool(forwards or every)
        for identifier_id, events in seen:
            n_before = len(work)
            for row, event in events:
                if row.position <= after:
                    continue
                if row.trust == TRUST_OPERATOR and row.source == SOURCE:
                    if event.event == REQUESTED:
                        work.append((row.position, TO_SEND, "", identifier_id, row.message_hash))
                elif has_forwards and event.type == "track" and (told := forwards.get(event.event, every)):
                    for name, since, late in told:
                        if row.position > since and row.received_at - row.event_at <= late and not _is_imported(row):
                            work.append((row.position, TO_FORWARD, name, identifier_id, row.message_hash))
            # For whom anything is to leave is looked at for that.
            if self._follows and len(work) == n_before:
                work.append((last, TO_FOLLOW, "", identifier_id, b""))
        if self._follows:
            work += [(last, TO_REVIEW, "", one, b"") for one in again]
        if work:
            tx.executemany(
                "INSERT INTO outbox (position, work, destination, identifier_id, message_hash) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                work,
            )

    def walk(self, tx: Writing, position: int) -> None:
        """Ask for a look at everybody: what people are known by changed without a word of theirs."""
        if position > self.after and self._follows:
            tx.execute(
                "INSERT INTO outbox (position, work, destination, identifier_id, message_hash) "
                "VALUES (?, ?, '', 0, ?) ON CONFLICT DO NOTHING",
                (position, TO_WALK, b""),
            )


def _follows(told: Definitions) -> bool:
    # Also where events are forwarded: whoever withdraws is taken back there.
    return bool(told.destinations)


def _is_imported(row: LogRow) -> bool:
    # As an import of a file writes it; whoever says so without being one is not forwarded either.
    return _IMPORTED in (row.body or b"")


def find_outbox(reading: Reading, after: int, *, most: int) -> tuple[list[Work], int]:
    """Give what waits after a position, whole positions, about `most` rows; and the position it goes through.

    When nothing waits, that is how far the fold has come.
    """
    edge = reading.read(
        "SELECT position FROM outbox WHERE position > ? ORDER BY position LIMIT 1 OFFSET ?", (after, most)
    )
    if edge:
        through = int(edge[0][0])
    else:
        folded = reading.read("SELECT position FROM fold")
        through = max(after, int(folded[0][0]) if folded else 0)
    rows = reading.read(
        "SELECT position, work, destination, identifier_id, message_hash FROM outbox "
        "WHERE position > ? AND position <= ? ORDER BY position, work, destination, identifier_id",
        (after, through),
    )
    return [Work(int(p), int(w), str(d), int(i), bytes(h)) for p, w, d, i, h in rows], through


def clear_outbox(state: State, through: int) -> None:
    """Delete what was taken."""
    if state.read("SELECT 1 FROM outbox WHERE position <= ? LIMIT 1", (through,)):
        with state.transaction() as tx:
            tx.execute("DELETE FROM outbox WHERE position <= ?", (through,))
