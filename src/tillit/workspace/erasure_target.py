"""The target of an erasure: who is meant, and all that is theirs.

In:    whom somebody names; the state; rows of log and lake.
Out:   identifiers, places in the log, and the values by which what is left of them would be found.
Never: what others hold too taken for theirs.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from tillit.flow import is_husk
from tillit.identity import (
    Holdings,
    Rules,
    find_held_positions,
    list_claims,
    list_said,
    read_event,
    read_holdings,
    rules_in_force,
)
from tillit.privacy.erasure import Values
from tillit.records import KIND_EVENT
from tillit.store import State
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of, unknown_profile

Key = tuple[str, str]  # namespace, value

SHORT = 6  # characters; a shorter value stands in others' bytes by chance
UNREADABLE_EVENT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)  # by it nobody is named
_READ_ROWS = 20_000
_MOST_MESSAGES = 8  # message ids that are looked for afterwards: each is nobody else's (taste)


class Body(msgspec.Struct):
    """What an erasure reads of an event beside whom it names."""

    messageId: Any = None
    originalTimestamp: Any = None
    receivedAt: Any = None
    clock: Any = None
    traits: Any = None

    @property
    def has_own_time(self) -> bool:
        """Say whether it says itself when it happened."""
        return self.clock is None and self.originalTimestamp != self.receivedAt


decode_body = msgspec.json.Decoder(Body).decode


class Kept(NamedTuple):
    """Something that stays, and why. Grain: one per identifier or store."""

    what: str
    why: str


class Target(NamedTuple):
    """Whom an erasure is about, as it was found."""

    holdings: Holdings
    positions: list[int]
    words: list[str]  # values to look for: identifiers as they were written, message ids
    names: list[str]
    messages: list[tuple[bytes, tuple[Key, ...], int, bool]]  # hash, keys, event_at, has_own_time


def find_target(state: State, folding: Folding, who: str) -> Target:
    """Find whom somebody names, and all that is theirs. Raises NotFound."""
    with state.snapshot() as reading:
        membership = find_membership_of(reading, who)
        if membership is None or not membership.identifiers:
            raise unknown_profile()
        holdings = read_holdings(reading, membership)
        positions = set(find_held_positions(reading, holdings))
        rules = rules_in_force(reading)
    values = Values([value for _, value in holdings.keys])
    positions.update(_aside(state, folding, values, set(holdings.keys)))
    return _describe(folding, holdings, sorted(positions), rules)


def naming(state: State, keys: set[Key]) -> Callable[[bytes], bool]:
    """Give a way to say whether bytes, read as an event, name one of some identifiers."""
    rules = [rules_in_force(state)]

    def names(raw: bytes) -> bool:
        try:
            told, _ = list_claims(read_event(raw), rules)
        except UNREADABLE_EVENT:
            return False
        return not keys.isdisjoint(told)

    return names


def stays_of(holdings: Holdings) -> list[Kept]:
    """Say what of somebody's others hold too."""
    kept = [
        Kept(":".join(holdings.identifiers[i]), "events of other people name it too: it stays theirs")
        for i in sorted(holdings.named_by_others & set(holdings.identifiers))
    ]
    kept += [
        Kept(":".join(device.key), "other people used this device too: what they did on it stays theirs")
        for device in holdings.devices
        if not device.is_theirs_alone
    ]
    return kept


def gone_words(target: Target, gone: set[Key]) -> list[str]:
    """Give the values to look for: not those of identifiers that others hold too."""
    stay = {value for key in target.holdings.keys if key not in gone for value in (key[1], key[1].casefold())}
    return [word for word in target.words if word not in stay and word.casefold() not in stay]


def _aside(state: State, folding: Folding, values: Values, keys: set[Key]) -> list[int]:
    """Give the places of rows without effect that name them: put aside, in conflict, resent after a forgetting."""
    names = naming(state, keys)
    places = [
        p
        for (p,) in state.read(
            "SELECT f.position FROM fate f LEFT JOIN fate o ON o.position = f.of_position "
            "WHERE f.fate IN ('quarantined', 'conflict') OR (f.fate = 'duplicate' AND o.fate = 'forgotten')"
        )
    ]
    found: list[int] = []
    for start in range(0, len(places), _READ_ROWS):
        rows = folding.rows(places[start : start + _READ_ROWS])
        found += [p for p, row in rows.items() if row.body and (values.are_in(row.body) or names(row.body))]
    return found


def _describe(folding: Folding, holdings: Holdings, positions: list[int], rules: Rules) -> Target:
    """Read what is about to go: how identifiers were written, what else is nobody else's."""
    keys = set(holdings.keys)
    words: dict[str, None] = dict.fromkeys(value for _, value in keys)
    names: dict[str, None] = {}
    ids: list[str] = []
    messages = []
    for start in range(0, len(positions), _READ_ROWS):
        for _, row in sorted(folding.rows(positions[start : start + _READ_ROWS]).items()):
            if row.kind != KIND_EVENT or is_husk(row):
                continue
            try:
                event, body = read_event(row.body or b""), decode_body(row.body or b"")
            except UNREADABLE_EVENT:
                continue
            for said in list_said(event, rules):
                if (said.namespace, said.counts_as) in keys:
                    words[said.given] = None
            if isinstance(body.messageId, str) and len(body.messageId) >= 2 * SHORT:
                ids.append(body.messageId)
            if isinstance(body.traits, dict):
                names.update(dict.fromkeys(_full_names(body.traits)))
            claims, _ = list_claims(event, [rules])
            messages.append((row.message_hash, tuple(claims), row.event_at, body.has_own_time))
    step = max(1, len(ids) // _MOST_MESSAGES)
    return Target(holdings, positions, [*words, *ids[::step][:_MOST_MESSAGES]], list(names), messages)


def _full_names(traits: dict[str, Any]) -> Iterator[str]:
    for name in ("name", "displayName"):
        if isinstance(traits.get(name), str) and len(traits[name]) >= SHORT and " " in traits[name].strip():
            yield traits[name].strip()
