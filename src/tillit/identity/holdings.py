"""Holdings: everything that is one person's, so that all of it can be erased.

In:    a membership; an event that comes later.
Out:   identifiers, devices with the times in which they held them, the places of all their events and of acts about
       them; which identifiers nobody holds any more; what an event claims of whom.
Never: a list that ends early: what is left out would stay.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from tillit.identity.acts import load_acts
from tillit.identity.namespaces import ALIAS_RANK, DEVICE_RANK, Event, founded_at
from tillit.identity.rules import Rules
from tillit.records import Membership
from tillit.store import Reading

Key = tuple[str, str]
Span = tuple[int, int]  # from, until (UTC epoch microseconds)

_EVER = 1 << 62


class HeldDevice(NamedTuple):
    """A device that was theirs for a time."""

    identifier_id: int
    key: Key
    spans: tuple[Span, ...]
    is_theirs_alone: bool


class Holdings(NamedTuple):
    """What is one person's."""

    identifiers: dict[int, Key]
    devices: list[HeldDevice]
    named_by_others: frozenset[int]  # those of the identifiers that events of other people name too

    @property
    def keys(self) -> dict[Key, bool]:
        """Give what could be theirs alone, with whether each is a device."""
        return {
            **dict.fromkeys(self.identifiers.values(), False),
            **{device.key: True for device in self.devices if device.is_theirs_alone},
        }


def read_holdings(reading: Reading, membership: Membership) -> Holdings:
    """Give all that one person holds or held, without the limits under which a profile is shown."""
    own: dict[int, Key] = {}
    first = [m.identifier_id for m in membership.identifiers if m.rank < DEVICE_RANK][:1]
    for identifier_id, namespace, value in reading.read_in(
        "SELECT m.identifier_id, m.namespace, m.value FROM identifier s JOIN identifier m ON m.root_id = s.root_id "
        "WHERE s.identifier_id IN {in}",
        first,
    ):
        own[identifier_id] = (namespace, value)
    if not own:
        # Nobody claims it: the device alone.
        devices = [
            HeldDevice(m.identifier_id, (m.namespace, m.value), ((-_EVER, _EVER),), is_theirs_alone=True)
            for m in membership.identifiers
        ]
        return Holdings({}, devices, frozenset())
    others = {
        weak
        for strong, weak in reading.read_in("SELECT strong_id, weak_id FROM link WHERE weak_id IN {in}", sorted(own))
        if strong not in own
    }
    devices = _devices(reading, own)
    return Holdings(own, devices, frozenset(others - {device.identifier_id for device in devices}))


def _devices(reading: Reading, own: Collection[int]) -> list[HeldDevice]:
    held = {i for (i,) in reading.read_in("SELECT identifier_id FROM tenure WHERE holder_id IN {in}", sorted(own))}
    tenures: dict[int, list[tuple[int, int, int]]] = {}
    for device_id, *tenure in sorted(
        set(
            reading.read_in(
                "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in}",
                sorted(held),
            )
        )
    ):
        tenures.setdefault(device_id, []).append((tenure[0], tenure[1], tenure[2]))
    names = {
        i: (namespace, value)
        for i, namespace, value in reading.read_in(
            "SELECT identifier_id, namespace, value FROM identifier WHERE identifier_id IN {in}", sorted(tenures)
        )
    }
    found = []
    for device_id, told in tenures.items():
        spans = []
        for i, (from_at, _, holder_id) in enumerate(told):
            until = told[i + 1][0] if i + 1 < len(told) else _EVER
            # The first tenure reaches back before its first claim.
            start = -_EVER if i == 0 else from_at
            if holder_id in own and start < until:
                spans.append((start, until))
        alone = all(holder_id in own for _, _, holder_id in told)
        found.append(HeldDevice(device_id, names[device_id], tuple(spans), alone))
    return found


def find_held_positions(reading: Reading, holdings: Holdings) -> list[int]:
    """Give the places in the log of all their events, also of those dated in the future, and of acts about them."""
    own = sorted(holdings.identifiers)
    found = {p for (p,) in reading.read_in("SELECT position FROM event_index WHERE anchor_id IN {in}", own)}
    for device in holdings.devices:
        for start, until in device.spans:
            found.update(
                p
                for (p,) in reading.read(
                    "SELECT position FROM event_index WHERE anchor_id = ? AND event_at >= ? AND event_at < ?",
                    (device.identifier_id, start, until),
                )
            )
    alone = {*own, *(device.identifier_id for device in holdings.devices if device.is_theirs_alone)}
    # What was decided about a value that others name too is not theirs alone to take away.
    theirs = alone - holdings.named_by_others
    found.update(act.position for act in load_acts(reading, sorted(alone)) if theirs & set(act.pair))
    return sorted(found)


def find_ties(reading: Reading, ids: Collection[int]) -> set[int]:
    """Give the places in the log of the events by which some identifiers came to be one person's."""
    own = set(ids)
    links = reading.read_in(
        "SELECT weak_id, position FROM link WHERE verdict = 'admitted' AND strong_id IN {in}", sorted(own)
    )
    claims = reading.read_in("SELECT holder_id, from_position FROM tenure WHERE identifier_id IN {in}", sorted(own))
    return {position for other, position in (*links, *claims) if other in own}


def find_unheld(reading: Reading, keys: Iterable[Key], *, through: int) -> set[Key]:
    """Give those of some identifiers that no event up to a position names any more.

    What was first seen after it counts for nobody: it is what the person's own devices went on to say meanwhile.
    """
    held = set()
    told = list(keys)
    for namespace, value in told:
        rows = reading.read(
            "SELECT identifier_id FROM identifier WHERE namespace = ? AND value = ?", (namespace, value)
        )
        if rows and founded_at(rows[0][0]) <= through:
            held.add((namespace, value))
    return set(told) - held


def list_claims(event: Event, rules: Sequence[Rules]) -> tuple[list[Key], frozenset[Key]]:
    """Give whom an event names under any of these rules, and which of them its identity token proves."""
    keys: dict[Key, None] = {}
    proven: set[Key] = set()
    for one in rules:
        for h in one.handles_of(event):
            # An alias does not say what kind its previous id is.
            for name in ("user_id", "anonymous_id") if h.rank == ALIAS_RANK else (h.namespace,):
                keys[(name, h.value)] = None
        proven.update(h.key for h in one.proven(event))
    return list(keys), frozenset(proven)
