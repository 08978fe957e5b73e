"""Writing down what events say of consent, beside the strands of whoever said it.

In:    sightings (events with their anchor).
Out:   rows of consent_statement and consent_signal.
Never: a verdict: each event is kept as it was said, so that the order of arrival says nothing, and joining and parting
       people moves what they said by itself.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from tillit.consent.definitions import policy_in_force
from tillit.consent.permissions import mark_due
from tillit.consent.statements import (
    EVERYTHING,
    OTHER_CATEGORIES,
    Statement,
    read_statements,
    restricts,
    says_consent,
    unpack_statements,
)
from tillit.records import GPC, TRUST_OPERATOR, LogRow, carried_choices
from tillit.store import Reading, Writing

Key = tuple[int, int]  # identifier_id, part

# Names one strand may carry. A sender that makes up categories must not grow a person without end.
MOST_SIGNALS = 64
_ALWAYS = {GPC, EVERYTHING, OTHER_CATEGORIES}  # these find room besides


class Anchor(Protocol):
    """What this room needs to know of an identifier."""

    @property
    def identifier_id(self) -> int:
        """Give its id."""
        ...


class Seen(Protocol):
    """What this room needs to know of a sighting."""

    @property
    def events(self) -> Sequence[tuple[LogRow, Any]]:
        """Give log rows in order, each with what it says: type, name, context."""
        ...

    @property
    def anchor(self) -> Anchor:
        """Give the strongest identifier."""
        ...

    @property
    def part(self) -> int:
        """Say which tenure of a device they fall in."""
        ...


Proves = Callable[[Any, int, Any], bool]


class ConsentWriter:
    """Writes what one micro-batch of sightings says of consent."""

    def __init__(self, tx: Writing, proves: Proves, *, facts: frozenset[str]) -> None:
        """Start one batch.

        `proves(event, position, anchor)` says whether the customer proved, with this event first, to be the anchor.
        `facts` are the traits on which decisions hang.
        """
        self._tx = tx
        self._proves = proves
        self._facts = facts
        self._grounds: set[int] = set()  # identifiers of which something new was said that permissions hang on
        # Where a name was said first, so that where batches are cut says nothing of which names found room.
        self._first: dict[tuple[int, int, str], int] = {}
        self._statements: list[tuple[int, int, int, bytes]] = []
        # key, name, said -> event_at, received_at, position, trust
        self._signals: dict[tuple[int, int, str, int], tuple[int, int, int, int]] = {}

    def fold(self, sightings: Sequence[Seen]) -> None:
        """Take what the sightings say."""
        for seen in sightings:
            for row, event in seen.events:
                traits = event.traits
                if row.trust == TRUST_OPERATOR or (type(traits) is dict and not self._facts.isdisjoint(traits)):
                    self._grounds.add(seen.anchor.identifier_id)
                context = event.context
                if context is not None:
                    if context.gpc is True:
                        self._note(seen, row, GPC, is_given=False)
                    if context.consent is not None or context.consentManagement is not None:
                        self._take(seen, row, event)
                        continue
                if says_consent(event, row.trust):
                    self._take(seen, row, event)

    def _take(self, seen: Seen, row: LogRow, event: Any) -> None:
        choices = carried_choices(event.context)
        if says_consent(event, row.trust):
            is_proved = self._proves(event, row.position, seen.anchor)
            document = read_statements(row, choices, is_proved=is_proved)
            if document is not None:
                self._statements.append((seen.anchor.identifier_id, seen.part, row.position, document))
                if restricts(document):
                    # Noted by name too, so that whoever reads of everybody knows at once that nobody is restricted.
                    self._note(seen, row, EVERYTHING, is_given=False)
        elif choices is not None:
            for name, is_given in choices.items():
                self._note(seen, row, f"category:{name}", is_given=is_given)

    def _note(self, seen: Seen, row: LogRow, name: str, *, is_given: bool) -> None:
        key = (seen.anchor.identifier_id, seen.part, name, int(is_given))
        told = (min(row.event_at, row.received_at), row.received_at, row.position, row.trust)
        self._first.setdefault(key[:3], row.position)
        held = self._signals.get(key)
        self._signals[key] = told if held is None else _later(held, told, is_given=is_given)

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget what these strands said: their events are folded again."""
        for table in ("consent_statement", "consent_signal"):
            self._tx.executemany(f"DELETE FROM {table} WHERE identifier_id = ? AND part = ?", keys)

    @property
    def grounds(self) -> Collection[int]:
        """Give the identifiers of which something new was said that permissions hang on, when it was written."""
        return self._grounds

    def write(self) -> None:
        """Put it into the state."""
        self._write()
        if self._grounds:
            mark_due(self._tx, self._grounds)

    def _write(self) -> None:
        if self._statements:
            self._grounds.update(row[0] for row in self._statements)
            self._tx.executemany(
                "INSERT INTO consent_statement (identifier_id, part, position, document) VALUES (?, ?, ?, ?)",
                sorted(self._statements),
            )
        if not self._signals:
            return
        stored = _stored(self._tx, sorted({key[0] for key in self._signals}))
        n_names: dict[Key, set[str]] = {}
        for identifier_id, part, name, _ in stored:
            n_names.setdefault((identifier_id, part), set()).add(name)
        found = dict(stored)
        # A yes that was heard before and is heard again says nothing new: but after a no, where a yes ends, and when it
        # is trusted otherwise than before.
        heeded = {key[0] for key in (*stored, *self._signals) if not key[3]}
        if any(one.valid_for for one in policy_in_force(self._tx).purposes.values()):
            heeded.update(key[0] for key in self._signals)
        changed: set[tuple[int, int, str, int]] = set()
        for key, told in sorted(self._signals.items(), key=lambda one: (self._first[one[0][:3]], one[0])):
            names = n_names.setdefault(key[:2], set())
            kept = key
            if key[2] in names or key[2] in _ALWAYS or len(names - _ALWAYS) < MOST_SIGNALS:
                names.add(key[2])
            elif key[3]:
                continue
            else:
                # A no that finds no room must not be lost: it is one to all.
                kept = (key[0], key[1], OTHER_CATEGORIES, 0)
            held = found.get(kept)
            stays = told if held is None else _later(held, told, is_given=bool(kept[3]))
            if held is None or kept[0] in heeded or stays[-1] != held[-1]:
                self._grounds.add(kept[0])
            found[kept] = stays
            changed.add(kept)
        rows = [(*key, *found[key]) for key in changed]
        self._tx.executemany(
            "INSERT INTO consent_signal (identifier_id, part, name, said, event_at, received_at, position, trust) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identifier_id, part, name, said) DO UPDATE SET "
            "event_at = excluded.event_at, received_at = excluded.received_at, position = excluded.position, "
            "trust = excluded.trust",
            sorted(rows),
        )


def _later(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int], *, is_given: bool
) -> tuple[int, int, int, int]:
    """Give what stays of two equal answers. A yes is one of them whole; a no is as late as either by both clocks."""
    if is_given:
        return max(one, other)
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _stored(reading: Reading, ids: Sequence[int]) -> dict[tuple[int, int, str, int], tuple[int, int, int, int]]:
    rows = reading.read_in(
        "SELECT identifier_id, part, name, said, event_at, received_at, position, trust FROM consent_signal "
        "WHERE identifier_id IN {in}",
        ids,
    )
    return {tuple(row[:4]): tuple(row[4:]) for row in rows}


def load_statements(reading: Reading, keys: Sequence[Key]) -> list[Statement]:
    """Read what was said, by or of whoever these strands are, of what their data may be used for."""
    told = set(keys)
    ids = sorted({identifier_id for identifier_id, _ in keys})
    found: list[Statement] = []
    for identifier_id, part, position, document in reading.read_in(
        "SELECT identifier_id, part, position, document FROM consent_statement WHERE identifier_id IN {in}", ids
    ):
        if (identifier_id, part) in told:
            found += unpack_statements(identifier_id, part, position, document)
    for (identifier_id, part, name, said), (event_at, received_at, position, trust) in _stored(reading, ids).items():
        if (identifier_id, part) in told:
            state = "given" if said else "refused"
            found.append(
                Statement(
                    name, state, identifier_id, part, position, event_at, received_at, trust,
                    is_explicit=False, is_proved=False,
                )
            )  # fmt: skip
    return found


def load_restricted(reading: Reading) -> list[int]:
    """Give the identifiers of which it was ever said that their data is restricted."""
    return [
        i for (i,) in reading.read("SELECT DISTINCT identifier_id FROM consent_signal WHERE name = ?", (EVERYTHING,))
    ]


def has_refused(reading: Reading, ids: Sequence[int]) -> bool:
    """Say whether a no was ever said at one of these identifiers."""
    refused = reading.read_in("SELECT name FROM consent_signal WHERE said = 0 AND identifier_id IN {in}", ids)
    if any(name != EVERYTHING for (name,) in refused):
        return True
    told = reading.read_in(
        "SELECT identifier_id, part, position, document FROM consent_statement WHERE identifier_id IN {in}", ids
    )
    return any(one.refuses for row in told for one in unpack_statements(*row))


def is_anybody_restricted(reading: Reading) -> bool:
    """Say whether anybody's data was ever restricted."""
    return bool(reading.read("SELECT 1 FROM consent_signal WHERE name = ? LIMIT 1", (EVERYTHING,)))
