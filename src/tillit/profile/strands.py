"""Strands: what the events anchored at one identifier add up to.

In:    sightings (events with their anchor and identifiers).
Out:   rows of strand, search_term and operator_act.
Never: anything that depends on links. A strand knows its own events only, so joining and parting people moves strands
       and changes none. Every part of it is order-free (sums, least, greatest, for traits the best of trust and time)
       until a bound on its size is met; from there on the first in log order stay.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from tillit.clock import DAY
from tillit.profile.acts import judge_acts, load_acts, pack_act
from tillit.profile.search import (
    NAME_TRAITS,
    OF_CORRECTION,
    OF_IDENTIFIER,
    OF_NAME,
    OF_ORDER,
    identifier_terms,
    name_terms,
    order_term,
)
from tillit.records import ACT_TYPES, NO_ORDER, TRUST_OPERATOR, LogRow, carried_by
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
# Months, by source, that are counted apart. Taste: ten sources for ten years.
MAX_MONTHS = 1_200
OTHER_MONTHS = ""  # the source under which the rest is counted, in month 0
# Combinations of consent that are kept apart; beyond, an event counts as one that gave nothing. Taste: a consent
# manager has four to twelve categories, and a person few habits.
MAX_CARRIED = 16
NOTHING_GIVEN = "-"


# Places in a strand's document: a list, not a dict, because it is read and written for every event.
# CARRIED holds what events add up to that carry consent of their own: one document for each combination.
N_EVENTS, FIRST_AT, LAST_AT, COUNTS, TYPES, TRAITS, SEEN, TRAIT_BYTES, MONTHS, N_ACTS, CARRIED = range(11)
# Places in one trait.
T_TRUST, T_AT, T_POSITION, T_SOURCE, T_VALUE = range(5)

_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode

# The first instant of each month of three centuries, in UTC: what lies outside counts for the first or the last.
_FIRST_YEAR = 1900
_MONTH_STARTS = [
    int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000
    for year in range(_FIRST_YEAR, 2200)
    for month in range(1, 13)
]
_BEFORE_FIRST = _FIRST_YEAR * 12 - 1
# Looked up by the day: most events of a log fall on few days.
_month_of_day: dict[int, int] = {}
_MOST_DAYS = 10_000

Document = list[Any]
Key = tuple[int, int]  # identifier_id, part


class Identified(Protocol):
    """What this room needs to know of an identifier."""

    @property
    def identifier_id(self) -> int:
        """Give its id."""
        ...

    @property
    def namespace(self) -> str:
        """Give its kind."""
        ...

    @property
    def value(self) -> str:
        """Give it as it is written."""
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
    return [0, None, None, {}, {}, {}, {}, 0, {}, 0, {}]


class News:
    """What events say that is kept beside a strand: by what to search for it, and what colleagues said."""

    __slots__ = ("acts", "has_month", "idents", "is_named", "orders")

    def __init__(self) -> None:
        """Know nothing yet."""
        self.clear()

    def clear(self) -> None:
        """Begin the next strand."""
        self.is_named = False  # a trait that colleagues search by changed
        self.has_month = False  # a month of a source came up first
        self.idents: list[Identified] = []  # seen here for the first time, and no device
        self.orders: list[str] = []
        self.acts: list[LogRow] = []


def month_of(at: int) -> int:
    """Give the month of an instant, counted from year 0.

    >>> month_of(0) == 1970 * 12
    True
    """
    day = at // DAY
    month = _month_of_day.get(day)
    if month is None:
        if len(_month_of_day) > _MOST_DAYS:
            _month_of_day.clear()
        month = _month_of_day[day] = _BEFORE_FIRST + max(1, bisect_right(_MONTH_STARTS, at))
    return month


def fold_sightings(document: Document, sightings: Sequence[Seen], news: News) -> None:
    """Add events to a strand; note in `news` what is kept beside it."""
    _fold_plain(
        document, _fold_carried(document, sightings, news) if any(map(_carries, sightings)) else sightings, news
    )


def _fold_plain(document: Document, sightings: "Sequence[Seen | _Some]", news: News) -> None:
    before = [len(document[place]) for place in (COUNTS, TYPES, SEEN, TRAITS)]
    if len(sightings) > 1 and _may_meet_a_bound(document, sightings):
        # What comes first in the log stays: now the order counts, event by event.
        singles = [(item[0].position, item, seen.idents) for seen in sightings for item in seen.events]
        for _, item, idents in sorted(singles, key=itemgetter(0)):
            _fold_events(document, (item,), idents, news)
    else:
        for seen in sightings:
            _fold_events(document, seen.events, seen.idents, news)
    # The same strand is the same bytes, however its events were grouped.
    for place, n_before in zip((COUNTS, TYPES, SEEN, TRAITS), before, strict=True):
        if n_before < len(document[place]) > 1:
            document[place] = dict(sorted(document[place].items()))
    if news.has_month:
        news.has_month = False
        months = document[MONTHS]
        document[MONTHS] = {source: dict(sorted(told.items())) for source, told in sorted(months.items())}


class _Some(NamedTuple):
    """Some events of a sighting."""

    events: Sequence[tuple[LogRow, Any]]
    idents: Sequence[Identified]


def _carries(seen: Seen | _Some) -> bool:
    for _, event in seen.events:
        context = event.context
        if context is not None and (context.consent is not None or context.consentManagement is not None):
            return True
    return False


def _fold_carried(document: Document, sightings: Sequence[Seen | _Some], news: News) -> list[_Some]:
    """Add the events that carry consent to documents of their own; give the others."""
    apart = document[CARRIED]
    told = sorted(
        (item[0].position, place, carried_by(item[1].context))
        for place, seen in enumerate(sightings)
        for item in seen.events
    )
    texts: dict[int, str] = {}
    for position, _, text in told:
        # In the order of the log, so that where batches are cut says nothing of which combinations found room.
        if text and text not in apart:
            text = text if len(apart) < MAX_CARRIED else NOTHING_GIVEN
            apart.setdefault(text, new_document())
        texts[position] = text
    parts: dict[str, list[_Some]] = {}
    for seen in sightings:
        mine: dict[str, list[tuple[LogRow, Any]]] = {}
        for item in seen.events:
            mine.setdefault(texts[item[0].position], []).append(item)
        for text, events in mine.items():
            parts.setdefault(text, []).append(_Some(events, seen.idents))
    for text, some in sorted(parts.items()):
        if text:
            _fold_plain(apart[text], some, news)
    document[CARRIED] = dict(sorted(apart.items()))
    return parts.get("", [])


def parts_of(document: Document) -> Iterator[tuple[str, Document]]:
    """Give what a strand adds up to, in parts: what its events carried of consent, and the document."""
    yield "", document
    yield from document[CARRIED].items()


def _may_meet_a_bound(document: Document, sightings: Sequence[Seen | _Some]) -> bool:
    # Traits have bounds too, but a sighting with traits is one event, and these stand in log order.
    n_events = n_idents = 0
    for seen in sightings:
        n_events += len(seen.events)
        n_idents += len(seen.idents)
    return (
        len(document[COUNTS]) + n_events > MAX_NAMES
        or len(document[SEEN]) + n_idents > MAX_SEEN
        or sum(map(len, document[MONTHS].values())) + n_events > MAX_MONTHS
    )


def _fold_events(
    document: Document, events: Sequence[tuple[LogRow, Any]], idents: Sequence[Identified], news: News
) -> None:
    """Add events that name the same identifiers."""
    if events[0][1].type in ACT_TYPES and events[0][0].trust == TRUST_OPERATOR:
        # What colleagues say is nothing that the customer did: it counts nowhere and makes nobody seen.
        document[N_ACTS] += len(events)
        news.acts += [row for row, _ in events]
        return
    counts, types = document[COUNTS], document[TYPES]
    row = events[0][0]
    source: str | None = row.source
    first_at = last_at = row.event_at
    most_trust = 0
    for row, event in events:
        at, trust = row.event_at, row.trust
        if at > last_at:
            last_at = at
        elif at < first_at:
            first_at = at
        if trust > most_trust:
            most_trust = trust
        if row.source != source:
            source = None
        named = event.properties
        if named is not None and named != NO_ORDER:
            news.orders += filter(None, map(order_term, msgspec.structs.astuple(named)))
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
            is_named = _fold_traits(document, event.traits, (trust, at, row.position), row.source)
            news.is_named = is_named or news.is_named
    month = month_of(first_at)
    counted = document[MONTHS].get(source) if last_at == first_at or month_of(last_at) == month else None
    if counted is not None and month in counted:
        # Nearly always: the events of one micro-batch are of one source and one month.
        counted[month] += len(events)
    else:
        _count_months(document[MONTHS], events, news)
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
                if not ident.is_device:
                    news.idents.append(ident)
            continue
        if last_at > sight[1]:
            sight[1] = last_at
        if first_at < sight[0]:
            sight[0] = first_at
        if most_trust > sight[2]:
            sight[2] = most_trust


def _count_months(months: dict[str, dict[int, int]], events: Sequence[tuple[LogRow, Any]], news: News) -> None:
    """Count events by month and source."""
    for row, _ in events:
        source, month = row.source, month_of(row.event_at)
        counted = months.get(source)
        if counted is None or month not in counted:
            if sum(map(len, months.values())) >= MAX_MONTHS:
                source, month = OTHER_MONTHS, 0
            counted = months.setdefault(source, {})
            news.has_month = True
        counted[month] = counted.get(month, 0) + 1


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
        named = named or (name in NAME_TRAITS and (held is None or held[T_VALUE] != value))
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
        self._terms: set[tuple[str, int, int, int]] = set()
        self._acts: list[tuple[int, int, int, int, bytes]] = []

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
        news = News()
        for key, mine in strands.items():
            document = held.get(key)
            if document is None:
                document = held[key] = new_document()
            fold_sightings(document, mine, news)
            if news.is_named or news.idents or news.orders or news.acts:
                self._keep_news(key, news)
                news.clear()

    def _keep_news(self, key: Key, news: News) -> None:
        if news.is_named:
            self._named.add(key)
        for ident in news.idents:
            for term in identifier_terms(ident.namespace, ident.value):
                self._terms.add((term, *key, OF_IDENTIFIER))
        for term in news.orders:
            self._terms.add((term, *key, OF_ORDER))
        for row in news.acts:
            packed = pack_act(row)
            if packed is not None:
                self._acts.append((*key, row.position, row.event_at, packed))

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget these strands: their events are folded again."""
        for table in ("strand", "search_term", "operator_act"):
            self._tx.executemany(f"DELETE FROM {table} WHERE identifier_id = ? AND part = ?", keys)
        for key in keys:
            if key in self._memory.documents:
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
            f"DELETE FROM search_term WHERE identifier_id = ? AND part = ? AND kind = {OF_NAME}",
            [key for key in named if key in self._stored],
        )
        self._terms.update(
            (term, *key, OF_NAME)
            for key in named
            for _, part in parts_of(self._held[key])
            for term in search_terms(part[TRAITS])
        )
        self._write_acts()
        self._tx.executemany(
            "INSERT INTO search_term (term, identifier_id, part, kind) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (term, identifier_id, part, kind) DO NOTHING",
            sorted(self._terms),
        )
        self._memory.keep(self._held, {(row[0], row[1]): len(row[2]) for row in rows})

    def _write_acts(self) -> None:
        if not self._acts:
            return
        self._tx.executemany(
            "INSERT INTO operator_act (identifier_id, part, position, event_at, document) VALUES (?, ?, ?, ?, ?)",
            sorted(self._acts),
        )
        # Corrected names are few: they are settled anew from all acts of the strand.
        for key in sorted({(row[0], row[1]) for row in self._acts}):
            self._tx.execute(
                f"DELETE FROM search_term WHERE identifier_id = ? AND part = ? AND kind = {OF_CORRECTION}", key
            )
            corrected = judge_acts(load_acts(self._tx, [key])).corrections
            terms = name_terms(corrected[name].traits[name] for name in NAME_TRAITS & corrected.keys())
            self._terms.update((term, *key, OF_CORRECTION) for term in terms)

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
    """Give the terms of a strand's name-like traits."""
    return name_terms(traits[name][T_VALUE] for name in NAME_TRAITS & traits.keys())


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
