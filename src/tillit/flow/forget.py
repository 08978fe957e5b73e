"""Forget: take events out of log, state and lake so that no byte of them stays and everyone else is as before.

In:    positions to forget, as an act in the log (`forget_act`).
Out:   husks in the log and the lake; a state that equals the fold of the log as it now reads.
Never: an identifier lost that another event still carries; a byte left in a free page or a write-ahead file.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from tillit.flow.fold import DUPLICATE, FORGOTTEN, ReadRows
from tillit.identity import TABLES as IDENTITY_TABLES
from tillit.identity import Event, Resolver, handles_of
from tillit.profile import StrandWriter
from tillit.records import KIND_ACT, TRUST_OPERATOR, LogRow, NewRow
from tillit.store import Log, Reading, State, Writing

FORGET = "forget"

_decode = msgspec.json.Decoder(Event).decode


def forget_act(positions: Sequence[int], *, now: int) -> NewRow:
    """Write the act that asks for events to be forgotten: positions only, nothing of a person."""
    body = msgspec.json.encode({"act": FORGET, "positions": sorted(set(positions))})
    return NewRow(KIND_ACT, "operator", TRUST_OPERATOR, now, now, bytes(16), body)


def with_repeats(state: Reading, positions: Sequence[int]) -> list[int]:
    """Add the repeats of these messages: a resend holds the same words."""
    repeats = state.read_in("SELECT position FROM fate WHERE of_position IN {in}", list(positions))
    return sorted({*positions, *(p for (p,) in repeats)})


def forget_in_log(log: Log, state: State, rows: ReadRows, positions: Sequence[int]) -> None:
    """Replace bodies by husks that keep the identifiers which other events still carry. May be repeated."""
    wanted = with_repeats(state, positions)
    told = {p: row for p, row in rows(wanted).items() if row.body is not None and not is_husk(row)}
    closure = _closure(state, [_decode(row.body or b"{}") for row in told.values()])
    kept_elsewhere = _carried(state, rows, closure, leaving_out=set(wanted))
    husks: dict[int, bytes | None] = {}
    for position, row in told.items():
        left = [
            [h.namespace, h.value] if (h.namespace, h.value) in kept_elsewhere else None
            for h in handles_of(_decode(row.body or b"{}"))
            if h.rank >= 0
        ]
        husks[position] = msgspec.json.encode({"type": "husk", "identifiers": left}) if any(left) else None
    # The state is judged by what was there before; the log changes first, so that a crash in between is repeated whole.
    _refold(state, rows, closure, husks)
    log.forget(husks)


def is_husk(row: LogRow) -> bool:
    """Say whether a row was forgotten before."""
    return row.body is None or row.body.startswith(b'{"type":"husk"')


def forgotten_rows(log: Log, state: Reading, positions: Sequence[int]) -> dict[int, LogRow]:
    """Give the husks as the log now holds them."""
    return log.get(with_repeats(state, positions))


def _closure(state: Reading, events: Sequence[Event]) -> set[int]:
    """Give the ids of everyone whose links, tenures or strands these events may have shaped."""
    ids: set[int] = set()
    for event in events:
        for h in handles_of(event):
            names = ("user_id", "anonymous_id") if h.rank < 0 else (h.namespace,)
            for name in names:
                ids.update(
                    i
                    for (i,) in state.read(
                        "SELECT identifier_id FROM identifier WHERE namespace = ? AND value = ?", (name, h.value)
                    )
                )
    edge = set(ids)
    while edge:
        found: set[int] = set()
        told = list(edge)
        for sql in (
            "SELECT weak_id FROM link WHERE strong_id IN {in}",
            "SELECT strong_id FROM link WHERE weak_id IN {in}",
            "SELECT holder_id FROM tenure WHERE identifier_id IN {in}",
            "SELECT identifier_id FROM tenure WHERE holder_id IN {in}",
            "SELECT root_id FROM identifier WHERE identifier_id IN {in}",
            "SELECT identifier_id FROM identifier WHERE root_id IN {in}",
        ):
            found.update(i for (i,) in state.read_in(sql, told))
        edge = found - ids
        ids |= edge
    return ids


def _positions(state: Reading, ids: set[int]) -> list[int]:
    return sorted(p for (p,) in state.read_in("SELECT position FROM event_index WHERE anchor_id IN {in}", sorted(ids)))


def _carried(state: Reading, rows: ReadRows, ids: set[int], *, leaving_out: set[int]) -> set[tuple[str, str]]:
    left = [p for p in _positions(state, ids) if p not in leaving_out]
    return {h[1:] for row in rows(left).values() if row.body is not None for h in handles_of(_decode(row.body))}


def _refold(state: State, rows: ReadRows, ids: set[int], husks: dict[int, bytes | None]) -> None:
    positions = sorted({*_positions(state, ids), *_husk_positions(state, ids), *husks})
    stored = rows(positions)
    with state.transaction() as tx:
        _clear(tx, sorted(ids))
        told: list[tuple[LogRow, Event]] = []
        repeats = {
            p
            for (p,) in tx.read_in(
                "SELECT position FROM fate WHERE of_position IS NOT NULL AND position IN {in}", positions
            )
        }
        for position in positions:
            row = stored[position]
            body = husks[position] if position in husks else row.body
            if position in repeats or body is None:
                continue
            told.append((row._replace(body=body), _decode(body)))
        resolved = Resolver(lambda ps: {p: _decode(r.body) for p, r in rows(ps).items() if r.body is not None}).resolve(
            tx, told
        )
        strands = StrandWriter(tx)
        strands.fold(resolved.sightings)
        strands.write()
        tx.executemany(
            "INSERT INTO event_index (anchor_id, event_at, position) VALUES (?, ?, ?)",
            sorted((s.anchor.identifier_id, s.row.event_at, s.row.position) for s in resolved.sightings),
        )
        for position in husks:
            fate: tuple[Any, ...] = (
                (DUPLICATE, "collect.same-message") if position in repeats else (FORGOTTEN, "privacy.forgotten")
            )
            known = tx.read("SELECT of_position FROM fate WHERE position = ?", (position,))
            of_position = known[0][0] if known else None
            tx.execute("DELETE FROM fate WHERE position = ?", (position,))
            tx.execute(
                "INSERT INTO fate (position, fate, code, of_position) VALUES (?, ?, ?, ?)",
                (position, *fate, of_position),
            )


def _husk_positions(state: Reading, ids: set[int]) -> list[int]:
    """Give earlier husks that founded one of these identifiers: they keep its id."""
    founded = sorted({i // 64 for i in ids})
    forgotten = state.read_in(f"SELECT position FROM fate WHERE fate = '{FORGOTTEN}' AND position IN {{in}}", founded)
    return [p for (p,) in forgotten]


def _clear(tx: Writing, ids: list[int]) -> None:
    for table, column in (
        ("identifier", "identifier_id"),
        ("link", "strong_id"),
        ("tenure", "identifier_id"),
        ("event_index", "anchor_id"),
        ("strand", "identifier_id"),
        ("search_term", "identifier_id"),
    ):
        assert table in IDENTITY_TABLES or table in ("strand", "search_term")
        tx.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(i,) for i in ids])
