"""Forget: take events out of log, state and lake so that no byte of them stays and everyone else is as before.

In:    positions to forget, as an act in the log (`forget_act`).
Out:   husks in the log and the lake; a state that equals the fold of the log as it now reads.
Never: an identifier lost that another event still carries; a byte left in a free page or a write-ahead file.

A colleague's act is forgotten like any event: then it never was, and what undoes it goes with it.

A husk names the identifiers that were founded at its place and that others still carry: they keep their ids. While a
later event used the same identity token it says that the token was used, so that the later event proves no more than
before. Nothing else of an event outlives it. A row that had gone to quarantine becomes an empty body, which goes there
again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from tillit.flow.fates import DUPLICATE, FORGOTTEN, IS_FORGOTTEN, NOT_FOLDED, QUARANTINED, SAME_MESSAGE
from tillit.flow.refold import ReadRows, find_closure, find_founding_husks, find_of_many, find_positions, refold
from tillit.identity import PLACES, Rules, find_uses, forget_uses, read_event, rules_in_force
from tillit.records import KIND_ACT, KIND_EVENT, TRUST_OPERATOR, LogRow, NewRow
from tillit.store import Log, Reading, State

FORGET = "forget"


def forget_act(positions: Sequence[int], *, now: int, name: bytes = bytes(16), **why: str) -> NewRow:
    """Write the act that asks for events to be forgotten: positions and `why`, nothing of a person.

    `name` is the row's message hash: by it an act is known again in a log that was restored.
    """
    body = msgspec.json.encode({"act": FORGET, **why, "positions": sorted(set(positions))})
    return NewRow(KIND_ACT, "operator", TRUST_OPERATOR, now, now, name, body)


def forget_in_log(log: Log, state: State, rows: ReadRows, positions: Sequence[int]) -> None:
    """Replace bodies by husks and fold anew whoever these events were about. May be repeated after a crash."""
    rules = rules_in_force(state)
    wanted = _with_repeats(state, positions)
    undone = _with_repeats(state, _undoing(state, wanted))
    told = {p: row for p, row in rows(wanted).items() if row.kind == KIND_EVENT and not is_husk(row)}
    named = [named_by(state, row, rules) for row in told.values()]
    # Events of what stands for many are its own, and nobody else's.
    shared = find_of_many(state, set().union(*named))
    anchors = set[int]().union(*(ids for ids in named if ids <= shared))
    # An undo names nobody: whom it touches is said by what it undoes.
    decided = state.read_in("SELECT one_id, other_id FROM identity_act WHERE position IN {in}", [*told, *undone])
    closure = find_closure(state, set().union(*named), through=anchors.union(*decided))
    alive = rows([p for p in find_positions(state, closure) if p not in told and p not in undone])
    carried = _carried(alive.values(), rules)
    founding = [p for p in find_founding_husks(state, closure) if p not in told]
    uses = find_uses(state, [*told, *founding])
    others = rows(sorted({p for places in uses.values() for p in places} - told.keys()))
    earlier = rows(founding) | {p: row for p, row in others.items() if is_husk(row)}
    used = _used_again(uses, others.keys() - earlier.keys())
    aside = _aside(state, list(told))
    husks = {
        p: row._replace(body=b"" if p in aside else _husk(state, p, carried, closure, used.get(p)))
        for p, row in {**earlier, **told}.items()
    }
    husks |= {p: row._replace(body=None) for p, row in rows(undone).items() if p not in told}
    changed = {p: row for p, row in husks.items() if p not in earlier or row.body != earlier[p].body}
    first = [row for p, row in sorted(changed.items()) if p not in told]
    # The log is written in two parts, since a repetition after a crash in between reads from it. What the state leads
    # to comes before the state lets it go; what the act names comes last: it leads to the state.
    if first:
        log.forget(first)
    _refold(state, closure, {**alive, **husks}, told={*told, *undone}, aside=aside, spent=earlier.keys() | told.keys())
    log.forget([husks[p] for p in sorted(told)])


def _undoing(state: Reading, positions: Sequence[int]) -> list[int]:
    """Give the places of what undoes one of these acts, or undoes that: with them it goes, it would name nothing."""
    found: list[int] = []
    edge = list(positions)
    while edge:
        edge = [
            p
            for (p,) in state.read_in(
                "SELECT u.position FROM identity_act a JOIN identity_act u ON u.of_message = a.message_id "
                "WHERE u.kind = 'undo' AND a.position IN {in}",
                edge,
            )
        ]
        found += edge
    return found


def is_husk(row: LogRow) -> bool:
    """Say whether a row was forgotten before."""
    return not row.body or row.body.startswith(b'{"type":"husk"')


def _with_repeats(state: Reading, positions: Sequence[int]) -> list[int]:
    # A resend holds the same words.
    repeats = state.read_in("SELECT position FROM fate WHERE of_position IN {in}", list(positions))
    return sorted({*positions, *(p for (p,) in repeats)})


def named_by(state: Reading, row: LogRow, rules: Rules) -> set[int]:
    """Give the ids of the identifiers that an event names."""
    try:
        event = read_event(row.body or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return set()  # it lies in quarantine: nobody was shaped by it
    ids: set[int] = set()
    for h in rules.handles_of(event):
        for name in ("user_id", "anonymous_id") if h.rank < 0 else (h.namespace,):
            found = state.read(
                "SELECT identifier_id FROM identifier WHERE namespace = ? AND value = ?", (name, h.value)
            )
            ids.update(i for (i,) in found)
    return ids


def _used_again(uses: Mapping[bytes, Sequence[int]], living: Collection[int]) -> dict[int, bytes]:
    """Give the uses of tokens that a living event used later: their places and the tokens' hashes."""
    found = {}
    for token_hash, places in uses.items():
        last = max((p for p in places if p in living), default=0)
        found.update({p: token_hash for p in places if p < last})
    return found


def _husk(
    state: Reading, position: int, carried: set[tuple[str, str]], closure: set[int], token_hash: bytes | None
) -> bytes | None:
    """Write what stays of an event: who was first seen there and is still carried by others, each at its place.

    An earlier husk may also hold identifiers outside the closure: who carries those was not asked, and did not change.
    """
    founded = state.read(
        "SELECT identifier_id, namespace, value FROM identifier WHERE identifier_id >= ? AND identifier_id < ? "
        "ORDER BY identifier_id",
        (position * PLACES, (position + 1) * PLACES),
    )
    places: list[list[str] | None] = []
    for identifier_id, namespace, value in founded:
        if identifier_id not in closure or (namespace, value) in carried:
            places += [None] * (identifier_id % PLACES - len(places))
            places.append([namespace, value])
    told: dict[str, Any] = {"identifiers": places} if places else {}
    if token_hash is not None:
        told["proof"] = {"jti": token_hash.hex()}
    return msgspec.json.encode({"type": "husk", **told}) if told else None


def _carried(rows: Any, rules: Rules) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for row in rows:
        for h in rules.handles_of(read_event(row.body)):
            # An alias does not say what kind its previous id is.
            found.update((name, h.value) for name in (("user_id", "anonymous_id") if h.rank < 0 else (h.namespace,)))
    return found


def _aside(state: Reading, positions: Sequence[int]) -> set[int]:
    found = state.read_in(f"SELECT position FROM fate WHERE fate = '{QUARANTINED}' AND position IN {{in}}", positions)
    return {p for (p,) in found}


def _refold(
    state: State, ids: set[int], rows: Mapping[int, LogRow], *, told: set[int], aside: set[int], spent: Collection[int]
) -> None:
    """Fold anew the events of these identifiers, as their rows will read."""
    repeats = {
        p
        for (p,) in state.read_in(
            "SELECT position FROM fate WHERE of_position IS NOT NULL AND position IN {in}", sorted(rows)
        )
    }
    with state.transaction() as tx:
        tx.executemany("DELETE FROM identity_act WHERE position = ?", [(p,) for p in sorted(told)])
        forget_uses(tx, sorted(spent))
        refold(tx, ids, {p: row for p, row in rows.items() if p not in repeats})
        for position in sorted(told - repeats - aside):
            tx.execute(
                "INSERT INTO fate (position, fate, code, of_position) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (position) DO NOTHING",
                (position, FORGOTTEN, IS_FORGOTTEN, None),
            )
        changed = [(DUPLICATE, SAME_MESSAGE, p) for p in sorted(told & repeats)]
        changed += [(QUARANTINED, NOT_FOLDED, p) for p in sorted(aside)]
        tx.executemany("UPDATE fate SET fate = ?, code = ? WHERE position = ?", changed)
