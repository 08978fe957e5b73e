"""Writing down what events say of groups, beside the strands of whoever said it or of whom it was said.

In:    sightings (events with their anchor).
Out:   rows of group_member and group_trait.
Never: a read: each event is kept as it was said, so that the order of arrival says nothing, and joining and parting
       people moves their places in groups by itself.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from tillit.groups.said import Statement, may_speak, read_statement
from tillit.records import LogRow
from tillit.store import Writing

Key = tuple[int, int]  # identifier_id, part

_encode = msgspec.msgpack.Encoder().encode


class Anchor(Protocol):
    """What this room needs to know of an identifier."""

    @property
    def identifier_id(self) -> int:
        """Give its id."""
        ...


class Seen(Protocol):
    """What this room needs to know of a sighting. Events of one sighting are of one type when they are about groups."""

    @property
    def events(self) -> Sequence[tuple[LogRow, Any]]:
        """Give log rows in order, each with what it says: its type."""
        ...

    @property
    def anchor(self) -> Anchor:
        """Give the strongest identifier."""
        ...

    @property
    def part(self) -> int:
        """Say which tenure of a device they fall in."""
        ...


class GroupWriter:
    """Writes what one micro-batch of sightings says of groups."""

    def __init__(self, tx: Writing) -> None:
        """Start one batch."""
        self._tx = tx
        self._statements: list[Statement] = []
        self._traits: dict[tuple[str, str, int, int], tuple[tuple[int, int, int], str, Any]] = {}

    def fold(self, sightings: Sequence[Seen]) -> None:
        """Take what the sightings say."""
        for seen in sightings:
            row, event = seen.events[0]
            if may_speak(event.type, row.trust):
                for row, _ in seen.events:
                    self._take(row, seen.anchor.identifier_id, seen.part)

    def _take(self, row: LogRow, identifier_id: int, part: int) -> None:
        told = read_statement(row, identifier_id, part)
        if told is None:
            return
        statement, traits = told
        self._statements.append(statement)
        rank = (row.trust, row.event_at, row.position)
        for name, value in traits.items():
            key = (statement.group_key, name, identifier_id, part)
            # The better trusted wins, then the later in event time, then the later in the log.
            if key not in self._traits or rank > self._traits[key][0]:
                self._traits[key] = (rank, row.source, value)

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget what these strands said: their events are folded again."""
        for table in ("group_member", "group_trait"):
            self._tx.executemany(f"DELETE FROM {table} WHERE identifier_id = ? AND part = ?", keys)

    def write(self) -> None:
        """Put it into the state."""
        if not self._statements:
            return
        self._statements.sort(key=lambda one: (one.identifier_id, one.part, one.position))
        self._tx.executemany(
            "INSERT INTO group_member (group_key, identifier_id, part, position, event_at, trust, source, is_member, "
            "role, since_at, until_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._statements,
        )
        rows = [(*key, *rank, source, _encode(value)) for key, (rank, source, value) in sorted(self._traits.items())]
        self._tx.executemany(
            "INSERT INTO group_trait (group_key, name, identifier_id, part, trust, event_at, position, source, value) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_key, name, identifier_id, part) DO UPDATE SET "
            "trust = excluded.trust, event_at = excluded.event_at, position = excluded.position, "
            "source = excluded.source, value = excluded.value WHERE (excluded.trust, excluded.event_at, "
            "excluded.position) > (group_trait.trust, group_trait.event_at, group_trait.position)",
            rows,
        )
