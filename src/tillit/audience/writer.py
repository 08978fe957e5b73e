"""Writer: events come onto the tapes of their strands, in the fold's own transaction.

In:    sightings (events with their anchor and the part of its time); the catalog in force.
Out:   tapes of strands; rows of audience_touched.
Never: a person. A tape hangs on its strand alone, so that joining and parting people moves it and changes nothing.

While a tape is being filled from history, events of strands that are not on it yet are not put there, since each is
read whole when it is its turn. So nothing is missed and nothing is there twice, wherever it is killed.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from tillit.audience.catalog import Catalog, Kept, lens_allows
from tillit.audience.memberships import LATE
from tillit.audience.tapes import WHOLE, Key, TapeMemory, drop_tapes, read_standing, write_tapes
from tillit.language.tapes import add_entries, new_document
from tillit.language.values import holds
from tillit.records import TRUST_OPERATOR, LogRow, carried_by
from tillit.store import Reading, Writing

UNTOLD = 1 << 62  # people to be judged again wherever the fold is
_AT_ONCE = 256  # strands
LATE_US = 60_000_000  # what came so long after it happened came late; taste


class _Said(msgspec.Struct, gc=False):
    properties: Any = None


_properties = msgspec.json.Decoder(_Said).decode


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
        """Give log rows in order, each with what it says: type, event, name, traits, context."""
        ...

    @property
    def anchor(self) -> Anchor:
        """Give the strongest identifier."""
        ...

    @property
    def part(self) -> int:
        """Say which tenure of a device they fall in."""
        ...


class Came:
    """What came to a strand, or to a person with all of theirs.

    `tapes`: by stored id, the entries that were not there before; None: every answer may be another one. `traits`:
    names of those that were said; None: any. `is_new`: nobody was known by it before. `joined`: devices that were
    nobody's and came with all that stands on their tapes, of which `tapes` says nothing.
    """

    __slots__ = ("is_new", "joined", "tapes", "traits")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.tapes: dict[int, list[list[Any]]] | None = {}
        self.traits: set[str] | None = set()
        self.is_new = False
        self.joined: set[int] = set()

    def add(self, tape_id: int, entries: list[list[Any]]) -> None:
        """Add what came onto a tape."""
        if self.tapes is not None:
            self.tapes[tape_id] = self.tapes[tape_id] + entries if tape_id in self.tapes else entries

    def say(self, names: Iterable[str] | None) -> None:
        """Add the names of traits that were said; None: any."""
        if names is None:
            self.traits = None
        elif self.traits is not None:
            self.traits.update(names)

    def take(self, other: "Came") -> None:
        """Add what came to another strand."""
        if other.tapes is None:
            self.tapes = None
        else:
            for tape_id, entries in other.tapes.items():
                self.add(tape_id, entries)
        self.say(other.traits)
        self.is_new = self.is_new or other.is_new
        self.joined |= other.joined


class Touched:
    """Whose answers may have changed, and why, by the strand's identifier."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.came: dict[int, Came] = {}
        self.causes: dict[int, str] = {}  # where it is another one than an event that just happened

    def __bool__(self) -> bool:
        """Say whether there is anybody."""
        return bool(self.came)

    def of(self, identifier_id: int) -> Came:
        """Give what came to one, to be added to."""
        found = self.came.get(identifier_id)
        if found is None:
            found = self.came[identifier_id] = Came()
        return found

    def whole(self, ids: Iterable[int], cause: str = "") -> None:
        """Note people of whom everything is to be judged again."""
        for one in ids:
            self.of(one).tapes = None
            if cause:
                self.causes[one] = cause

    def joins(self, ids: Iterable[int], cause: str) -> None:
        """Note devices that were nobody's and came to somebody."""
        for one in ids:
            came = self.of(one)
            if came.tapes is not None:
                came.tapes, came.traits = {}, None
                came.joined.add(one)
            self.causes[one] = cause

    def first_seen(self, ids: Iterable[int]) -> None:
        """Note identifiers by which nobody was known before."""
        for one in ids:
            self.of(one).is_new = True


class _Coming:
    """What comes onto one tape of a strand."""

    __slots__ = ("entries", "kept", "logged_at")

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.entries: list[list[Any]] = []
        self.logged_at = 0  # of the newest of their rows


class TapeWriter:
    """Puts one micro-batch of sightings onto tapes."""

    def __init__(
        self,
        tx: Writing,
        catalog: Catalog,
        memory: TapeMemory | None = None,
        touched: Touched | None = None,
        *,
        filling: Collection[int] | None = None,
    ) -> None:
        """Start one batch. `filling`: tapes that strands come onto which were not on them; no others."""
        self._tx = tx
        self._catalog = catalog
        self._memory = memory if memory is not None else TapeMemory(0)
        self.touched = touched if touched is not None else Touched()
        self._read: tuple[int, Any] = (-1, None)  # the properties of the event that was looked into last
        if filling is not None:
            self._through = dict.fromkeys(filling, WHOLE)
        else:
            self._through = read_standing(tx) if catalog.tapes else {}
        self._is_filling = filling is not None

    def fold(self, sightings: Sequence[Seen]) -> None:
        """Add the sightings to the tapes of their strands."""
        if not self._catalog.has_any:
            return
        wanted: dict[Key, dict[int, _Coming]] = {}
        takers_of, through = self._catalog.takers_of, self._through
        by_trait, by_group = bool(self._catalog.by_trait), bool(self._catalog.by_group)
        touched, is_judged = self.touched, not self._is_filling  # nobody is judged by a tape before it is whole
        for seen in sightings:
            identifier_id = seen.anchor.identifier_id
            mine = None
            is_late = True
            for row, event in seen.events:
                is_late = is_late and row.logged_at - row.event_at > LATE_US
                if is_judged and by_group and (event.type == "group" or row.trust == TRUST_OPERATOR):
                    touched.of(identifier_id).tapes = None
                if is_judged and by_trait and (row.trust == TRUST_OPERATOR or type(event.traits) is dict):
                    touched.of(identifier_id).say(None if row.trust == TRUST_OPERATOR else event.traits)
                told = takers_of(event.type, event.event if event.type == "track" else event.name)
                looks = told.by_value or told.by_number
                takers = told.of(self._properties_of(row)) if looks else told.always
                if not takers:
                    continue
                if mine is None:
                    mine = wanted.setdefault((identifier_id, seen.part), {})
                place = [row.event_at, row.position]
                for kept in takers:
                    tape_id = kept.stored_id
                    coming = mine.get(tape_id)
                    if coming is None and identifier_id > through.get(tape_id, -1):
                        continue
                    entry = place if kept.is_plain else self._entry_of(kept, row, event)
                    if entry is None:
                        continue
                    if coming is None:
                        coming = mine[tape_id] = _Coming(kept)
                    coming.entries.append(entry)
                    if row.logged_at > coming.logged_at:
                        coming.logged_at = row.logged_at
            if is_late:
                touched.causes.setdefault(identifier_id, LATE)
            else:
                touched.causes.pop(identifier_id, None)
        if wanted:
            self._put(wanted)

    def _entry_of(self, kept: Kept, row: LogRow, event: Any) -> list[Any] | None:
        """Give what a tape keeps of an event, None when it is not for it."""
        if kept.lens is not None and not lens_allows(kept.lens, carried_by(event.context)):
            return None
        told: Any = None
        if kept.where is not None or kept.tape.paths:
            told = self._properties_of(row)
            if kept.where is not None and not holds(kept.where, told):
                return None
        return kept.entry(row.event_at, row.position, told)

    def _put(self, wanted: dict[Key, dict[int, _Coming]]) -> None:
        is_judged = not self._is_filling
        keys = sorted(key for key, mine in wanted.items() if mine)
        # Some at a time: what is read, added to and written within a moment is in the processor's cache all the while.
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            strands = self._memory.load(self._tx, some)
            for key in some:
                strand = strands[key]
                came = self.touched.of(key[0]) if is_judged else None
                for tape_id, coming in wanted[key].items():
                    # What is filled begins anew: something may be left from when it was wanted before.
                    document = strand.document(tape_id) if is_judged else None
                    if document is None:
                        document = strand[tape_id] = new_document(coming.kept.tape)
                    add_entries(coming.kept.tape, document, coming.entries, coming.logged_at)
                    if came is not None:
                        came.add(tape_id, coming.entries)
            write_tapes(self._tx, {key: wanted[key] for key in some}, strands)
            self._memory.trim()

    def _properties_of(self, row: LogRow) -> Any:
        if self._read[0] != row.position:
            self._read = row.position, _properties(row.body or b"{}").properties
        return self._read[1]

    def permit_anew(self, ids: Iterable[int]) -> None:
        """Note people of whom more was said that permissions hang on."""
        if self._catalog.by_permission and not self._is_filling:
            self.touched.whole(ids)

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget the tapes of these strands: their events are folded again."""
        if not self._catalog.tapes:
            return
        drop_tapes(self._tx, keys)
        for key in keys:
            self._memory.strands.pop(key, None)
            self.touched.of(key[0]).tapes = None


def touch(tx: Writing, ids: Collection[int], position: int) -> None:
    """Note that whoever holds some identifiers is to be judged again."""
    tx.executemany(
        "INSERT INTO audience_touched (identifier_id, position) VALUES (?, ?) "
        "ON CONFLICT (identifier_id) DO UPDATE SET position = excluded.position",
        [(one, position) for one in sorted(ids)],
    )


def read_touched(reading: Reading) -> list[int]:
    """Give the identifiers of people who wait to be judged again."""
    return [one for (one,) in reading.read("SELECT identifier_id FROM audience_touched ORDER BY identifier_id")]


def clear_touched(tx: Writing, position: int = UNTOLD) -> None:
    """Forget who was judged, up to a position of the fold."""
    tx.execute("DELETE FROM audience_touched WHERE position <= ?", (position,))
