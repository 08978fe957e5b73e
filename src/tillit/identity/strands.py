"""Strands of people: which stretches of events are whose, for many people at once.

In:    identifiers.
Out:   whoever holds them or has had them for a time, each with all their identifiers and strands.
Never: a limit. What decides who is in an audience is a person's whole history.
"""

from collections.abc import Collection
from typing import NamedTuple

from tillit.identity.namespaces import DEVICE_RANK, PLACES
from tillit.store import Reading

Key = tuple[int, int]  # identifier_id, part
_EVER = 1 << 62


class Holder(NamedTuple):
    """One person, by what is theirs."""

    root_id: int
    identifiers: tuple[int, ...]  # that stand for them; of a device nobody holds, the device
    keys: tuple[Key, ...]  # their strands


def find_holders(reading: Reading, ids: Collection[int]) -> dict[int, Holder]:
    """Give everybody who holds one of some identifiers, or has had it for a time, by their root.

    What is no identifier any more is nobody's.
    """
    rows = reading.read_in("SELECT identifier_id, root_id, rank FROM identifier WHERE identifier_id IN {in}", [*ids])
    roots = {root for _, root, rank in rows if rank < DEVICE_RANK}
    devices = {one for one, _, rank in rows if rank >= DEVICE_RANK}
    held = reading.read_in(
        "SELECT t.identifier_id, h.root_id FROM tenure t JOIN identifier h ON h.identifier_id = t.holder_id "
        "WHERE t.identifier_id IN {in}",
        sorted(devices),
    )
    roots |= {root for _, root in held}
    found = {device: Holder(device, (device,), ((device, 0),)) for device in devices - {device for device, _ in held}}
    if not roots:
        return found
    own: dict[int, list[int]] = {}
    for one, root in reading.read_in("SELECT identifier_id, root_id FROM identifier WHERE root_id IN {in}",
                                     sorted(roots)):  # fmt: skip
        own.setdefault(root, []).append(one)
    root_of = {one: root for root, mine in own.items() for one in mine}
    parts = _parts(reading, root_of)
    for root, mine in own.items():
        keys = [(one, 0) for one in sorted(mine)]
        found[root] = Holder(root, tuple(sorted(mine)), (*keys, *sorted(parts.get(root, ()))))
    return found


def list_founded(reading: Reading, since: int) -> list[int]:
    """Give the identifiers that were named first at a position of the log or later."""
    return [
        one
        for (one,) in reading.read("SELECT identifier_id FROM identifier WHERE identifier_id >= ?", (since * PLACES,))
    ]


def _parts(reading: Reading, root_of: dict[int, int]) -> dict[int, set[Key]]:
    """Give the strands of devices, by the root of whoever had the device then."""
    theirs = {one for (one,) in reading.read_in("SELECT identifier_id FROM tenure WHERE holder_id IN {in}",
                                                sorted(root_of))}  # fmt: skip
    tenures: dict[int, list[tuple[int, int, int]]] = {}
    for device, from_at, from_position, holder in reading.read_in(
        "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in}",
        sorted(theirs),
    ):
        tenures.setdefault(device, []).append((from_at, from_position, holder))
    parts: dict[int, set[Key]] = {}
    for device, told in tenures.items():
        told.sort()
        for place, (from_at, _, holder) in enumerate(told):
            until = told[place + 1][0] if place + 1 < len(told) else _EVER
            # Two claims at one instant leave the earlier in the log no time at all; the first reaches back for ever.
            if holder in root_of and (place == 0 or from_at < until):
                parts.setdefault(root_of[holder], set()).add((device, from_at if place else 0))
    return parts
