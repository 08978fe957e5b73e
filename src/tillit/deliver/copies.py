"""Copies: what destinations have of people and events, and what they should have.

In:    identifiers of people of whom more was said; answers of destinations.
Out:   records, each with what the destination acknowledged; deliveries for those that are not what they should be.
Never: a step forward without an acknowledgement.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tillit.deliver.deliveries import (
    ENDED,
    RECORD,
    WAITING,
    Delivery,
    Line,
    Outcome,
    insert_deliveries,
    key_of,
    new_row,
)
from tillit.deliver.wire import DELIVERED, REFUSED, REMOVE
from tillit.store import SqliteState, Writing

# What a destination has of a record.
PENDING, ACKNOWLEDGED, REJECTED, REMOVING, REMOVED = "pending", "acknowledged", "rejected", "removing", "removed"
PEOPLE_RECORD, EVENT_RECORD = "person", "event"
# States in which a destination may have something; listed, so that an index finds them.
_THERE = f"('{PENDING}', '{ACKNOWLEDGED}', '{REJECTED}', '{REMOVING}')"


class Record(NamedTuple):
    """What a destination has. Grain: one per destination and record."""

    destination: str
    record_key: str
    kind: str
    subject_ref: str
    position: int
    payload_hash: bytes
    state: str
    code: str
    generation: int
    changed_at: int
    until_at: int | None


_RECORD_COLUMNS = ", ".join(Record._fields)


class Walk(NamedTuple):
    """A look at everybody, for destinations that follow people."""

    terms: str  # purposes, rules and destinations under which it was begun
    after_id: int
    begun_at: int
    ended_at: int | None


class Follow(NamedTuple):
    """A record that is not what it should be."""

    destination: str
    purpose: str
    record_key: str
    kind: str  # person, event
    subject_ref: str
    position: int


class Copies:
    """What the destinations of one workspace have."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Use the deliveries' store."""
        self.store = store
        self._now = now

    def find_touched(self, *, most: int) -> dict[int, bool]:
        """Give identifiers whose people are to be looked at, and whether each event that was sent of theirs is."""
        rows = self.store.read(
            "SELECT identifier_id, is_whole FROM touched WHERE due_at <= ? ORDER BY due_at LIMIT ?", (self._now(), most)
        )
        return {int(i): bool(is_whole) for i, is_whole in rows}

    def follow(self, wanted: Sequence[Follow], looked_at: Iterable[int], *, at: int) -> None:
        """Make deliveries for records that are not what they should be; people that were looked at, at `at`, are done.

        A record that is on the wire at this moment is asked about once more when it comes back.
        """
        now = self._now()
        with self.store.transaction() as tx:
            tx.executemany("DELETE FROM touched WHERE identifier_id = ? AND due_at <= ?", [(i, at) for i in looked_at])
            for one in wanted:
                _follow(tx, one, now)

    def take_back(self, subjects: Sequence[str], purposes: dict[str, str]) -> int:
        """Ask every destination to remove what it has of a person who is being forgotten; say of how many records.

        The record names nobody from then on. `purposes`: that of each destination.
        """
        now = self._now()
        held = [one for one in self.list_of(subjects) if one.state not in ("", REMOVED)]
        with self.store.transaction() as tx:
            for one in held:
                purpose = purposes.get(one.destination, "")
                tx.execute(
                    "UPDATE record SET subject_ref = '' WHERE destination = ? AND record_key = ?",
                    (one.destination, one.record_key),
                )
                told = Follow(one.destination, purpose, one.record_key, one.kind, one.subject_ref, one.position)
                _follow(tx, told, now)
        return len(held)

    def list_of(self, subjects: Sequence[str]) -> list[Record]:
        """Give what destinations have of a person."""
        rows = self.store.read_in(f"SELECT {_RECORD_COLUMNS} FROM record WHERE subject_ref IN {{in}}", subjects)
        return [Record(*row) for row in rows]

    def list_there(self, subjects: Sequence[str], kind: str) -> list[Record]:
        """Give what destinations may have of a person, of one kind, in no more time than there is of it."""
        rows = self.store.read_in(
            f"SELECT {_RECORD_COLUMNS} FROM record WHERE kind = ? AND state IN {_THERE} AND subject_ref IN {{in}}",
            subjects,
            (kind,),
        )
        return [Record(*row) for row in rows]

    def is_any_event_there(self, subjects: Sequence[str]) -> bool:
        """Say whether any destination may have an event of a person."""
        sql = f"SELECT 1 FROM record WHERE subject_ref = ? AND kind = 'event' AND state IN {_THERE} LIMIT 1"
        return any(self.store.read(sql, (one,)) for one in subjects)

    def find(self, destination: str, record_key: str) -> Record | None:
        """Find what a destination has of one record."""
        rows = self.store.read(
            f"SELECT {_RECORD_COLUMNS} FROM record WHERE destination = ? AND record_key = ?", (destination, record_key)
        )
        return Record(*rows[0]) if rows else None

    def counts(self, destination: str) -> dict[str, int]:
        """Count what a destination has, by state."""
        rows = self.store.read(
            "SELECT state, count(*) FROM record WHERE destination = ? GROUP BY state", (destination,)
        )
        return {str(state): int(n) for state, n in rows}

    def find_over(self, *, most: int) -> list[Record]:
        """Give records whose leave has ended by itself, and that nobody has asked about yet."""
        rows = self.store.read(
            f"SELECT {_RECORD_COLUMNS} FROM record r WHERE until_at <= ? AND state IN ('pending', 'acknowledged') "
            "AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.destination = r.destination "
            "AND d.record_key = r.record_key AND d.kind = 'record' AND d.state IN ('waiting', 'claimed')) LIMIT ?",
            (self._now(), most),
        )
        return [Record(*row) for row in rows]

    def list_everywhere(self, after: tuple[str, str], *, most: int) -> list[Record]:
        """Give what all destinations have, in the order of destination and key."""
        rows = self.store.read(
            f"SELECT {_RECORD_COLUMNS} FROM record WHERE (destination, record_key) > (?, ?) "
            "AND state NOT IN ('', 'removed') ORDER BY destination, record_key LIMIT ?",
            (*after, most),
        )
        return [Record(*row) for row in rows]

    def walk(self) -> Walk:
        """Say how far the look at everybody has come."""
        rows = self.store.read("SELECT terms, after_id, begun_at, ended_at FROM walk")
        return Walk(*rows[0]) if rows else Walk("", 0, 0, None)

    def begin_walk(self, terms: str) -> Walk:
        """Begin to look at everybody."""
        with self.store.transaction() as tx:
            tx.execute("DELETE FROM walk")
            tx.execute(
                "INSERT INTO walk (one, terms, after_id, begun_at, ended_at) VALUES (1, ?, 0, ?, NULL)",
                (terms, self._now()),
            )
        return self.walk()

    def walked(self, through: int) -> None:
        """Note how far the look at everybody has come."""
        with self.store.transaction() as tx:
            tx.execute("UPDATE walk SET after_id = ?", (through,))

    def end_walk(self) -> None:
        """Note that everybody was looked at."""
        with self.store.transaction() as tx:
            tx.execute("UPDATE walk SET ended_at = ?", (self._now(),))


def touch_people(tx: Writing, touched: Mapping[int, bool], now: int) -> None:
    """Ask for a look at whoever holds identifiers, and of those marked at each event that was sent of theirs."""
    tx.executemany(
        "INSERT INTO touched (identifier_id, is_whole, due_at) VALUES (?, ?, ?) "
        "ON CONFLICT (identifier_id) DO UPDATE SET due_at = excluded.due_at, "
        "is_whole = CASE WHEN excluded.is_whole = 1 THEN 1 ELSE touched.is_whole END",
        [(identifier_id, int(is_whole), now) for identifier_id, is_whole in touched.items()],
    )


def _follow(tx: Writing, one: Follow, now: int) -> None:
    """Ask that a record becomes what it should be; what is right then is decided when it leaves."""
    open_ones = tx.read(
        "SELECT state FROM delivery WHERE destination = ? AND record_key = ? AND kind = 'record' "
        "AND state IN ('waiting', 'claimed')",
        (one.destination, one.record_key),
    )
    if open_ones and open_ones[0][0] == WAITING:
        return
    tx.execute(
        "INSERT INTO record (destination, record_key, kind, subject_ref, position, payload_hash, state, code, "
        "generation, changed_at, until_at) VALUES (?, ?, ?, ?, ?, ?, '', '', 1, ?, NULL) "
        "ON CONFLICT (destination, record_key) DO UPDATE SET generation = record.generation + 1",
        (one.destination, one.record_key, one.kind, one.subject_ref, one.position, b"", now),
    )
    on_wire = open_ones or (
        one.kind == EVENT_RECORD
        and tx.read(
            "SELECT 1 FROM delivery WHERE delivery_key = ? AND state = 'claimed'", (bytes.fromhex(one.record_key),)
        )
    )
    if not on_wire:  # else `catch_up` does it: nobody knows yet what the destination will have
        _insert(tx, one.destination, one.purpose, one.record_key, now)


def ask_anew(tx: Writing, destination: str, record_key: str) -> None:
    """Let the next delivery of a record have a key of its own; `catch_up` makes it."""
    tx.execute(
        "UPDATE record SET generation = generation + 1 WHERE destination = ? AND record_key = ?",
        (destination, record_key),
    )


def catch_up(tx: Writing, back: Delivery, now: int) -> None:
    """Ask about a record once more that was asked about while a delivery of it was on its way."""
    _insert(tx, back.destination, back.purpose, back.record_key, now)


def _insert(tx: Writing, destination: str, purpose: str, record_key: str, now: int) -> None:
    """Make the delivery of what was asked last of a record, unless it was made."""
    rows = tx.read(
        "SELECT generation, position, subject_ref FROM record WHERE destination = ? AND record_key = ? "
        "AND generation > 0",
        (destination, record_key),
    )
    for generation, position, subject_ref in rows:
        key = key_of(destination, RECORD, f"{record_key}\0{generation}".encode())
        line = Line(destination, "", purpose, "")
        insert_deliveries(tx, [new_row(key, RECORD, line, position, record_key, subject_ref, now)])


def keep_until(tx: Writing, destination: str, record_key: str, until_at: int | None) -> None:
    """Note when the leave for what a destination has ends now."""
    tx.execute(
        "UPDATE record SET until_at = ? WHERE destination = ? AND record_key = ?", (until_at, destination, record_key)
    )


def advance(tx: Writing, one: Outcome, state: str, now: int) -> None:
    """Move a record forward, on acknowledgement alone."""
    begun, answer = one.begun, one.answer
    of = (begun.delivery.destination, begun.record_key)
    if answer.outcome == DELIVERED:
        if begun.what == REMOVE:
            tx.execute(
                "UPDATE record SET state = 'removed', code = '', payload_hash = ?, changed_at = ?, until_at = NULL "
                "WHERE destination = ? AND record_key = ?",
                (b"", now, *of),
            )
        else:
            tx.execute(
                "UPDATE record SET state = 'acknowledged', code = '', payload_hash = ?, changed_at = ?, until_at = ? "
                "WHERE destination = ? AND record_key = ?",
                (begun.payload_hash, now, begun.until_at, *of),
            )
    elif state in ENDED and begun.what != REMOVE:
        # What was refused for good is not sent again before it says something else.
        refused = begun.payload_hash if answer.outcome == REFUSED else b""
        tx.execute(
            "UPDATE record SET state = 'rejected', code = ?, payload_hash = ?, changed_at = ? "
            "WHERE destination = ? AND record_key = ?",
            (answer.code, refused, now, *of),
        )
    else:
        tx.execute(
            "UPDATE record SET code = ?, changed_at = ? WHERE destination = ? AND record_key = ?",
            (answer.code, now, *of),
        )
