"""Refold: fold anew the events of some people, and of nobody else.

In:    identifiers whose links, tenures or strands may have to change; the rows of the log that are about them.
Out:   their state as the fold of these rows, under the identity acts that stand.
Never: a second way to judge: it is the resolver and the strands that every event goes through.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from tillit.audience import UNTOLD, touch
from tillit.consent import mark_due
from tillit.flow.catalog import catalog_of
from tillit.flow.fates import FORGOTTEN
from tillit.flow.group_members import reached_by
from tillit.flow.keep import STRAND_TABLES, Keeping
from tillit.identity import (
    DEVICE_RANK,
    SHARED_RANK,
    Acts,
    Event,
    Resolver,
    Rules,
    Sighting,
    founded_at,
    index_events,
    load_acts,
    read_event,
    rules_in_force,
)
from tillit.identity import TABLES as IDENTITY_TABLES
from tillit.records import LogRow
from tillit.store import Reading, Writing

ReadRows = Callable[[Sequence[int]], dict[int, LogRow]]
_Link = tuple[Any, ...]  # as in _LINK
Tenures = dict[int, list[tuple[int, int, int]]]  # device -> from_at, from_position, holder_id; in order
_LINK = (
    *("strong_id", "weak_id", "trust", "chapter"),  # one of each
    *("position", "event_at", "source", "rule", "verdict", "violation", "reason"),
)
_LINKS = f"SELECT {', '.join(_LINK)} FROM link WHERE strong_id IN {{in}}"
_UNLINK = "DELETE FROM link WHERE strong_id = ? AND weak_id = ?"
_RELINK = f"INSERT INTO link ({', '.join(_LINK)}) VALUES ({', '.join('?' * len(_LINK))})"


def find_closure(state: Reading, ids: Iterable[int], *, through: Iterable[int] = ()) -> set[int]:
    """Give the ids of everyone whose links, tenures or strands hang together with those of some identifiers.

    Refused and withdrawn links count: under other acts they may be judged otherwise. What stands for many ties nobody:
    when others say it too it stays as it is, unless it is one of `through`.
    """
    through = set(through)
    closure = set[int]()
    edge = set(ids) | through
    while edge:
        edge -= _staying(state, edge - through, closure | edge)
        closure |= edge
        found: set[int] = set()
        told = list(edge)
        for sql in (
            "SELECT weak_id FROM link WHERE strong_id IN {in}",
            "SELECT strong_id FROM link WHERE weak_id IN {in}",
            "SELECT holder_id FROM tenure WHERE identifier_id IN {in}",
            "SELECT identifier_id FROM tenure WHERE holder_id IN {in}",
            "SELECT root_id FROM identifier WHERE identifier_id IN {in}",
            "SELECT identifier_id FROM identifier WHERE root_id IN {in}",
            "SELECT other_id FROM identity_act WHERE one_id IN {in}",
            "SELECT one_id FROM identity_act WHERE other_id IN {in}",
        ):
            found.update(i for (i,) in state.read_in(sql, told))
        edge = found - closure
    return closure


def find_of_many(state: Reading, ids: Iterable[int]) -> set[int]:
    """Give those of some identifiers that stand for many."""
    sql = f"SELECT identifier_id FROM identifier WHERE rank >= {SHARED_RANK} AND identifier_id IN {{in}}"
    return {i for (i,) in state.read_in(sql, sorted(ids))}


def _staying(state: Reading, ids: set[int], among: set[int]) -> set[int]:
    """Give those of these that stand for many and that more say than there are among some identifiers."""
    sql = "SELECT count(*) FROM (SELECT DISTINCT strong_id FROM link WHERE weak_id = ? LIMIT ?) AS listed"
    most = len(among) + 1
    return {i for i in find_of_many(state, ids) if state.read(sql, (i, most))[0][0] == most}


def find_positions(state: Reading, ids: set[int]) -> list[int]:
    """Give the places in the log of all events and acts that are about these identifiers."""
    wanted = sorted(ids)
    found = {p for (p,) in state.read_in("SELECT position FROM event_index WHERE anchor_id IN {in}", wanted)}
    return sorted(found | {act.position for act in load_acts(state, wanted)})


def find_founding_husks(state: Reading, ids: set[int]) -> list[int]:
    """Give the places of forgotten events that founded one of these identifiers."""
    founded = sorted({founded_at(one) for one in ids})
    forgotten = state.read_in(f"SELECT position FROM fate WHERE fate = '{FORGOTTEN}' AND position IN {{in}}", founded)
    return [p for (p,) in forgotten]


def find_people(state: Reading, ids: Iterable[int], *, through: int | None = None) -> tuple[set[int], set[int]]:
    """Give the identifiers of all people whom a decision about some of these may touch, and the devices they claim.

    Other people who hold the same devices are not touched: who they are does not hang on these; but all who have to do
    with `through` are, whatever kind of identifier it is.
    """
    ranks: dict[int, int] = {}
    people: set[int] = set()
    devices: set[int] = set()
    edge, seen = set(ids), set[int]()
    while edge:
        told = list(edge)
        ranks.update(state.read_in("SELECT identifier_id, rank FROM identifier WHERE identifier_id IN {in}", told))
        devices |= {i for i in edge if i in ranks and ranks[i] >= DEVICE_RANK and i != through}
        fresh = sorted(i for i in edge if i in ranks and i not in devices)
        people.update(fresh)
        seen |= edge
        found: set[int] = set()
        for sql in (
            "SELECT weak_id FROM link WHERE strong_id IN {in}",
            "SELECT strong_id FROM link WHERE weak_id IN {in}",
            "SELECT identifier_id FROM tenure WHERE holder_id IN {in}",
            "SELECT root_id FROM identifier WHERE identifier_id IN {in}",
            "SELECT identifier_id FROM identifier WHERE root_id IN {in}",
            "SELECT other_id FROM identity_act WHERE one_id IN {in}",
            "SELECT one_id FROM identity_act WHERE other_id IN {in}",
        ):
            found.update(i for (i,) in state.read_in(sql, fresh))
        edge = found - seen
    return people, devices


def refold_people(tx: Writing, pair: tuple[int, int], rows: ReadRows, act: LogRow, rules: Rules) -> set[int]:
    """Judge anew, under the acts that stand, who two identifiers are, and fold what follows for them.

    Gives the identifiers of whom it touched.

    The device of somebody else stays theirs, and where hands do not change its own events are not looked at. An act
    about one identifier alone (a block, a free) may give it another strength: then events that name it beside a device
    may come to the device or leave it, and what the device is tied to is judged anew.
    """
    ids, again, touched = set(pair), set(pair), set[int]()
    while again:
        again, people = _refold_people(tx, ids, rows, act, rules, alone=pair[0] if pair[0] == pair[1] else None)
        touched |= people
        again -= ids
        ids |= again
    return touched


def _refold_people(
    tx: Writing, ids: set[int], rows: ReadRows, act: LogRow, rules: Rules, *, alone: int | None
) -> tuple[set[int], set[int]]:
    """Fold people anew; give those who now follow upon themselves on a device, and all whom it touched.

    The next claim of the first says nothing new.
    """

    def bodies(positions: Sequence[int]) -> dict[int, Event]:
        return {p: read_event(row.body) for p, row in rows(positions).items() if row.body}

    people, devices = find_people(tx, ids, through=alone)
    loosened = _loosen(tx, alone, sorted(devices)) if alone is not None else {}
    lifted = _lift(tx, alone, devices) if alone is not None else []
    positions = {
        *find_positions(tx, people),
        *find_founding_husks(tx, people),
        *(position for taken in loosened.values() for position in taken),
    } - {act.position}
    before = _tenures(tx, devices)
    _clear(tx, sorted(people))
    tx.executemany("DELETE FROM tenure WHERE holder_id = ?", [(i,) for i in sorted(people)])
    resolver = Resolver(bodies, rules, Acts.load(tx))
    strands = Keeping(tx)
    told = {**rows(sorted(positions)), act.position: act}
    items = [(row, read_event(row.body)) for _, row in sorted(told.items()) if row.body]
    resolved = resolver.resolve(tx, items)
    _put_back(tx, lifted)
    after = _tenures(tx, devices)
    for device in sorted(devices):
        # Part 0 is the first tenure and all before it, so that only later ones part its events.
        if device in loosened or [at for at, _, _ in before[device][1:]] != [at for at, _, _ in after[device][1:]]:
            strands.drop([(device, part) for part in (0, *(at for at, _, _ in before[device][1:]))])
            if device not in loosened:  # else its own events are among those that are resolved
                strands.fold(_own_sightings(tx, resolver, device, rows))
    strands.fold(resolved.sightings)
    strands.write()
    index_events(tx, resolved.sightings)
    mark_due(tx, people | devices)
    touch(tx, people | devices, act.position)
    holders = {holder for told in (before, after) for tenures in told.values() for _, _, holder in tenures}
    return _met(tx, before, after) - people, people | devices | holders


def _met(tx: Writing, before: Tenures, after: Tenures) -> set[int]:
    """Give the holders between whose tenures of one device somebody else's went."""
    met = []
    for device, tenures in after.items():
        known = set(pairwise(before[device]))
        met += [(one[2], other[2]) for one, other in pairwise(tenures) if (one, other) not in known]
    ends = sorted({end for ends in met for end in ends})
    roots: dict[int, int] = dict(
        tx.read_in("SELECT identifier_id, root_id FROM identifier WHERE identifier_id IN {in}", ends)
    )
    return {end for ends in met if roots.get(ends[0]) == roots.get(ends[1]) for end in ends}


def _loosen(tx: Writing, ident: int, devices: list[int]) -> dict[int, list[int]]:
    """Take their own events and links from devices whose own events name an identifier; give the places, by device.

    These events may become its, and what only they tied to the device is no longer tied.
    """
    linked = tx.read_in("SELECT strong_id FROM link WHERE weak_id = ? AND strong_id IN {in}", devices, (ident,))
    taken: dict[int, list[int]] = {}
    for device in sorted({i for (i,) in linked}):
        own = tx.read("SELECT position FROM event_index WHERE anchor_id = ? ORDER BY position", (device,))
        taken[device] = [position for (position,) in own]
        tx.execute("DELETE FROM event_index WHERE anchor_id = ?", (device,))
        tx.execute("DELETE FROM link WHERE strong_id = ?", (device,))
    return taken


def _lift(tx: Writing, ident: int, devices: set[int]) -> list[_Link]:
    """Take from devices their links to whatever an identifier is tied to as well.

    Its events may become theirs, also those that came before the events that made these links.
    """
    links = tx.read(
        f"SELECT DISTINCT {', '.join(f'own.{column}' for column in _LINK)} FROM link device "
        "JOIN link own ON own.strong_id = device.weak_id "
        "JOIN link other ON other.strong_id = device.strong_id AND other.weak_id = own.weak_id "
        "WHERE device.strong_id = ?",
        (ident,),
    )
    lifted = [link for link in links if link[0] in devices]
    tx.executemany(_UNLINK, sorted({link[:2] for link in lifted}))
    return lifted


def _put_back(tx: Writing, lifted: list[_Link]) -> None:
    """Put links back between those that came meanwhile: as all along, each says more than what came before it."""
    pairs = {link[:2] for link in lifted}
    came = [link for link in tx.read_in(_LINKS, sorted({link[0] for link in lifted})) if link[:2] in pairs]
    best: dict[tuple[int, ...], int] = {}
    kept = []
    for link in sorted([*lifted, *came], key=itemgetter(_LINK.index("position"))):
        strong_id, weak_id, trust, chapter = link[:4]
        if trust > best.get((strong_id, weak_id, chapter), 0):
            best[(strong_id, weak_id, chapter)] = trust
            kept.append(link)
    tx.executemany(_UNLINK, sorted(pairs))
    tx.executemany(_RELINK, sorted(kept))


def _tenures(reading: Reading, devices: set[int]) -> Tenures:
    told: Tenures = {device: [] for device in devices}
    for device, *tenure in sorted(
        set(
            reading.read_in(
                "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in}",
                sorted(devices),
            )
        )
    ):
        told[device].append((tenure[0], tenure[1], tenure[2]))
    return told


def _own_sightings(tx: Writing, resolver: Resolver, device: int, rows: ReadRows) -> list[Sighting]:
    """Give the sightings of a device's own events under its present tenures."""
    found = tx.read("SELECT position FROM event_index WHERE anchor_id = ? ORDER BY position", (device,))
    told = rows([p for (p,) in found])
    events = [(told[p], read_event(told[p].body or b"{}")) for (p,) in found if p in told]
    return resolver.sightings_again(tx, resolver.load_device(tx, device), events)


def refold(tx: Writing, ids: set[int], rows: Mapping[int, LogRow]) -> None:
    """Clear the state of these identifiers and fold these rows into it, in the order of the log."""
    # Whoever shares a group with somebody who is forgotten: afterwards nothing says so any more.
    hanging = catalog_of(tx).beside
    beside = reached_by(tx, dict.fromkeys(ids, hanging.names), hanging).told.keys() if hanging.names else set()
    _clear(tx, sorted(ids))
    acts = Acts.load(tx)  # now each of these identifiers is on its own again
    events = {p: read_event(row.body) for p, row in sorted(rows.items()) if row.body}
    resolver = Resolver(lambda positions: {p: events[p] for p in positions if p in events}, rules_in_force(tx), acts)
    resolved = resolver.resolve(tx, [(rows[p], event) for p, event in events.items()])
    strands = Keeping(tx)
    strands.fold(resolved.sightings)
    strands.write()
    index_events(tx, resolved.sightings)
    mark_due(tx, ids)
    touch(tx, ids | beside, UNTOLD)


def _clear(tx: Writing, ids: list[int]) -> None:
    for table, column in (
        ("identifier", "identifier_id"),
        ("link", "strong_id"),
        ("tenure", "identifier_id"),
        ("event_index", "anchor_id"),
        ("strand", "identifier_id"),
        ("search_term", "identifier_id"),
        ("operator_act", "identifier_id"),
        ("group_member", "identifier_id"),
        ("group_trait", "identifier_id"),
        ("consent_statement", "identifier_id"),
        ("consent_signal", "identifier_id"),
        ("tape", "identifier_id"),
    ):
        assert table in IDENTITY_TABLES or table in STRAND_TABLES
        tx.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(i,) for i in ids])
