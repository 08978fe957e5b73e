"""Strands: what the events anchored at one identifier add up to.

In:    sightings (events with their anchor and identifiers).
Out:   rows of strand and search_term.
Never: anything that depends on links. A strand knows its own events only, so joining and parting people moves strands
       and changes none. Every part of it is order-free (sums, least, greatest, for traits the best of trust and time)
       until a bound on its size is met; from there on the first in log order stay.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from tillit.records import LogRow
from tillit.store import Reading, Writing

# Names beyond these are counted together: a runaway sender must not make one person's document grow without end.
MAX_NAMES = 1_000
MAX_TRAITS = 1_000
MAX_NAME_CHARS = 256
# All values of one strand's traits together. Taste: eight of the largest events; each event rewrites its strand.
MAX_TRAIT_BYTES = 262_144
# Identifiers seen beside one another. A server that makes up a device for every event must not slow every event.
MAX_SEEN = 1_000
OTHER_NAMES = "(other names)"
NO_NAME = "(no name)"

_NAME_TRAITS = frozenset({"name", "firstName", "lastName", "first_name", "last_name", "username", "company_name"})

# Places in a strand's document: a list, not a dict, because it is read and written for every event.
N_EVENTS, FIRST_AT, LAST_AT, COUNTS, TYPES, TRAITS, SEEN, TRAIT_BYTES = range(8)
# Places in one trait.
T_TRUST, T_AT, T_POSITION, T_SOURCE, T_VALUE = range(5)

_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode

Document = list[Any]
Key = tuple[int, int]  # identifier_id, part


class Identified(Protocol):
    """What this room needs to know of an identifier."""

    @property
    def identifier_id(self) -> int:
        """Give its id."""
        ...

    @property
    def is_device(self) -> bool:
        """Say whether it belongs to a thing, of which a person may have many."""
        ...


class Seen(Protocol):
    """What this room needs to know of a sighting."""

    @property
    def events(self) -> Sequence[tuple[LogRow, Any]]:
        """Give log rows in order, each with what it says: type, event, traits."""
        ...

    @property
    def idents(self) -> Sequence[Identified]:
        """Give every identifier in each of the events."""
        ...

    @property
    def anchor(self) -> Identified:
        """Give the strongest."""
        ...

    @property
    def part(self) -> int:
        """Say which tenure of a device they fall in."""
        ...


def new_document() -> Document:
    """Begin an empty strand."""
    return [0, None, None, {}, {}, {}, {}, 0]


def fold_sightings(document: Document, sightings: Sequence[Seen]) -> bool:
    """Add events to a strand; say whether a trait that colleagues search by changed."""
    named = False
    before = len(document[COUNTS]), len(document[TYPES]), len(document[SEEN])
    if len(sightings) > 1 and _may_meet_a_bound(document, sightings):
        # What comes first in the log stays: now the order counts, event by event.
        singles = [(item[0].position, item, seen.idents) for seen in sightings for item in seen.events]
        for _, item, idents in sorted(singles, key=itemgetter(0)):
            named = _fold_events(document, (item,), idents) or named
    else:
        for seen in sightings:
            named = _fold_events(document, seen.events, seen.idents) or named
    # The same strand is the same bytes, however its events were grouped. Traits lie as the log brought them.
    for place, n_before in zip((COUNTS, TYPES, SEEN), before, strict=True):
        if n_before < len(document[place]) > 1:
            document[place] = dict(sorted(document[place].items()))
    return named


def _may_meet_a_bound(document: Document, sightings: Sequence[Seen]) -> bool:
    # Traits have bounds too, but a sighting with traits is one event, and these stand in log order.
    n_events = n_idents = 0
    for seen in sightings:
        n_events += len(seen.events)
        n_idents += len(seen.idents)
    return len(document[COUNTS]) + n_events > MAX_NAMES or len(document[SEEN]) + n_idents > MAX_SEEN


def _fold_events(document: Document, events: Sequence[tuple[LogRow, Any]], idents: Sequence[Identified]) -> bool:
    """Add events that name the same identifiers."""
    counts, types = document[COUNTS], document[TYPES]
    named = False
    first_at = last_at = events[0][0].event_at
    most_trust = 0
    for row, event in events:
        at, trust = row.event_at, row.trust
        if at > last_at:
            last_at = at
        elif at < first_at:
            first_at = at
        if trust > most_trust:
            most_trust = trust
        kind = event.type
        types[kind] = types.get(kind, 0) + 1
        if kind == "track":
            name = event.event
            if type(name) is not str:
                name = NO_NAME
            if name in counts:
                counts[name] += 1
            elif len(counts) < MAX_NAMES and len(name) <= MAX_NAME_CHARS:
                counts[name] = 1
            else:
                counts[OTHER_NAMES] = counts.get(OTHER_NAMES, 0) + 1
        elif kind == "identify" and isinstance(event.traits, dict):
            named = _fold_traits(document, event.traits, (trust, at, row.position), row.source) or named
    if document[N_EVENTS] == 0:
        document[FIRST_AT], document[LAST_AT] = first_at, last_at
    else:
        document[FIRST_AT] = min(document[FIRST_AT], first_at)
        document[LAST_AT] = max(document[LAST_AT], last_at)
    document[N_EVENTS] += len(events)
    sights = document[SEEN]
    for ident in idents:
        sight = sights.get(ident.identifier_id)
        if sight is None:
            # Made-up devices must not crowd out the e-mail that comes after them.
            if len(sights) < MAX_SEEN or (len(sights) < 2 * MAX_SEEN and not ident.is_device):
                sights[ident.identifier_id] = [first_at, last_at, most_trust]
            continue
        if last_at > sight[1]:
            sight[1] = last_at
        if first_at < sight[0]:
            sight[0] = first_at
        if most_trust > sight[2]:
            sight[2] = most_trust
    return named


def _fold_traits(document: Document, said: dict[str, Any], rank: tuple[int, int, int], source: str) -> bool:
    traits: dict[str, list[Any]] = document[TRAITS]
    named = False
    for name, value in said.items():
        held = traits.get(name)
        # The better trusted wins, then the later in event time, then the later in the log.
        if held is None:
            if len(traits) >= MAX_TRAITS:
                continue
        elif (held[T_TRUST], held[T_AT], held[T_POSITION]) >= rank:
            continue
        grown = _weight(value) - (0 if held is None else _weight(held[T_VALUE]))
        if document[TRAIT_BYTES] + grown > MAX_TRAIT_BYTES:
            if held is None:
                continue
            # No value rather than one that was taken over by another.
            value, grown = None, -_weight(held[T_VALUE])
        document[TRAIT_BYTES] += grown
        traits[name] = [*rank, source, value]
        named = named or (name in _NAME_TRAITS and (held is None or held[T_VALUE] != value))
    return named


def _weight(value: object) -> int:
    kind = type(value)
    if kind is str:
        return len(value)  # type: ignore[arg-type]  # a text, as `kind` says
    return len(_encode(value)) if kind is dict or kind is list else 0


class StrandMemory:
    """The strands that changed last, kept between batches by the one process that folds."""

    def __init__(self, most: int = 8_192, most_bytes: int = 16_000_000) -> None:
        """Hold at most so many, about 3 kB each (measured); fewer when they are fat, by their size in the store."""
        self._most = most
        self._most_bytes = most_bytes
        self._sizes: dict[Key, int] = {}
        self.documents: dict[Key, Document] = {}

    def clear(self) -> None:
        """Forget all: after a transaction that failed, or when strands were changed by an act."""
        self.documents.clear()
        self._sizes.clear()

    def keep(self, changed: dict[Key, Document], sizes: dict[Key, int]) -> None:
        """Take what a batch changed, with its size in the store; let the oldest go."""
        documents, held = self.documents, self._sizes
        documents.update(changed)
        held.update(sizes)
        # The order is that of first arrival: a strand that is used again is read again now and then, which is cheap.
        for key in list(islice(documents, max(0, len(documents) - self._most))):
            del documents[key], held[key]
        n_bytes = sum(held.values())
        while n_bytes > self._most_bytes:
            key = next(iter(documents))
            n_bytes -= held[key]
            del documents[key], held[key]

    def drop(self, key: Key) -> None:
        """Forget one."""
        del self.documents[key], self._sizes[key]


class StrandWriter:
    """Folds one micro-batch of sightings into strands."""

    def __init__(self, tx: Writing, memory: StrandMemory | None = None) -> None:
        """Start one batch."""
        self._tx = tx
        self._memory = memory if memory is not None else StrandMemory(0)
        self._held: dict[Key, Document] = {}
        self._stored: set[Key] = set()
        self._named: set[Key] = set()

    def fold(self, sightings: Sequence[Seen]) -> None:
        """Add the sightings to their strands."""
        strands: dict[Key, list[Seen]] = {}
        for seen in sightings:
            key = (seen.anchor.identifier_id, seen.part)
            if key in strands:
                strands[key].append(seen)
            else:
                strands[key] = [seen]
        self._load(strands.keys())
        held = self._held
        for key, mine in strands.items():
            document = held.get(key)
            if document is None:
                document = held[key] = new_document()
            if fold_sightings(document, mine):
                self._named.add(key)

    def drop(self, identifier_ids: Iterable[int]) -> None:
        """Forget all strands of these identifiers: their events are folded again."""
        for identifier_id in identifier_ids:
            self._tx.execute("DELETE FROM strand WHERE identifier_id = ?", (identifier_id,))
            self._tx.execute("DELETE FROM search_term WHERE identifier_id = ?", (identifier_id,))
            for key in [key for key in self._memory.documents if key[0] == identifier_id]:
                self._memory.drop(key)

    def write(self) -> None:
        """Put what changed into the state."""
        rows = sorted((*key, _encode(document)) for key, document in self._held.items())
        self._tx.executemany(
            "INSERT INTO strand (identifier_id, part, document) VALUES (?, ?, ?) "
            "ON CONFLICT (identifier_id, part) DO UPDATE SET document = excluded.document",
            rows,
        )
        named = sorted(self._named)
        self._tx.executemany(
            "DELETE FROM search_term WHERE identifier_id = ? AND part = ?",
            [key for key in named if key in self._stored],
        )
        self._tx.executemany(
            "INSERT INTO search_term (term, identifier_id, part) VALUES (?, ?, ?)",
            sorted((term, *key) for key in named for term in search_terms(self._held[key][TRAITS])),
        )
        self._memory.keep(self._held, {(row[0], row[1]): len(row[2]) for row in rows})

    def _load(self, keys: Collection[Key]) -> None:
        remembered = self._memory.documents
        missing = []
        for key in keys:
            if key in remembered:
                self._held[key] = remembered[key]
                self._stored.add(key)
            elif key not in self._held:
                missing.append(key)
        whole = [identifier_id for identifier_id, part in missing if part == 0]
        for identifier_id, document in self._tx.read_in(
            "SELECT identifier_id, document FROM strand WHERE part = 0 AND identifier_id IN {in}", whole
        ):
            self._held[(identifier_id, 0)] = _decode(document)
            self._stored.add((identifier_id, 0))
        for key in missing:
            if key[1] != 0:
                for (document,) in self._tx.read(
                    "SELECT document FROM strand WHERE identifier_id = ? AND part = ?", key
                ):
                    self._held[key] = _decode(document)
                    self._stored.add(key)


def search_terms(traits: dict[str, list[Any]]) -> set[str]:
    """Give the words of a strand's name-like traits, folded for search."""
    words: set[str] = set()
    for name in _NAME_TRAITS & traits.keys():
        value = traits[name][T_VALUE]
        if isinstance(value, str):
            words.update(fold_text(value).split()[:8])
    return {word[:64] for word in words}


def fold_text(text: str) -> str:
    """Fold a text for search: compatibility forms, case, and accents are set aside.

    >>> fold_text("Zoë Ångström")
    'zoe angstrom'
    """
    # NUL parts words: PostgreSQL's text cannot hold it.
    apart = unicodedata.normalize("NFKD", text.replace("\0", " ").casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


def load_strands(reading: Reading, keys: Sequence[Key]) -> dict[Key, Document]:
    """Read strands."""
    found: dict[Key, Document] = {}
    whole = [identifier_id for identifier_id, part in keys if part == 0]
    for identifier_id, document in reading.read_in(
        "SELECT identifier_id, document FROM strand WHERE part = 0 AND identifier_id IN {in}", whole
    ):
        found[(identifier_id, 0)] = _decode(document)
    for key in keys:
        if key[1] != 0:
            for (document,) in reading.read("SELECT document FROM strand WHERE identifier_id = ? AND part = ?", key):
                found[key] = _decode(document)
    return found


def search_strands(reading: Reading, text: str, *, limit: int) -> list[int]:
    """Give ids of identifiers whose names hold every word of a text, each as a beginning."""
    found: list[int] | None = None
    for word in fold_text(text).split()[:4]:
        rows = reading.read(
            "SELECT DISTINCT identifier_id FROM search_term WHERE term >= ? AND term < ? "
            "ORDER BY identifier_id LIMIT ?",
            (word, word + "\U0010ffff", 2_000),
        )
        ids = [i for (i,) in rows]
        held = set(ids)
        found = ids if found is None else [i for i in found if i in held]
    return (found or [])[:limit]
