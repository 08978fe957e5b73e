"""Evidence: why these identifiers are one person, who had which device when, and who else is near.

In:    a membership.
Out:   links with their events and verdicts, tenures of devices, other people and what they share.
Never: a value of a trait; a list without an end.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tillit.identity.namespaces import DEVICE_RANK
from tillit.records import Membership
from tillit.store import Reading

# Taste: more is no longer read by anybody. Refused links come first, because they need somebody's judgement, and what
# colleagues cut follows.
_MOST_LINKS = 200
_MOST_DEVICES = 100
_MOST_NEIGHBOURS = 50
LINK = "strong_id, weak_id, trust, position, event_at, source, rule, verdict, violation, reason"
NAMED = "identifier_id, namespace, value, root_id, rank"
_FIRST = {"soft": 0, "refused": 1, "withdrawn": 2}
_ORDER = (
    "CASE verdict WHEN 'soft' THEN 0 WHEN 'refused' THEN 1 WHEN 'withdrawn' THEN 2 ELSE 3 END, trust DESC, position"
)


class Named(NamedTuple):
    """An identifier and whose it is."""

    identifier_id: int
    namespace: str
    value: str
    root_id: int
    rank: int

    @property
    def is_device(self) -> bool:
        """Say whether people may share it."""
        return self.rank >= DEVICE_RANK


class LinkEvidence(NamedTuple):
    """One reason to hold two identifiers for one person, or not to. Grain: one per pair and trust."""

    one: Named
    other: Named
    trust: int
    position: int
    event_at: int  # UTC epoch microseconds
    source: str
    rule: str
    verdict: str  # admitted, soft, refused, withdrawn, noted
    violation: str  # which rule it would break; empty: none
    reason: str


class TenureEvidence(NamedTuple):
    """A time in which a device was somebody's. Grain: one per device and change of hands."""

    device: Named
    holder: Named
    from_at: int  # UTC epoch microseconds
    from_position: int
    until: int | None  # None: still
    is_theirs: bool  # of the person who was asked about


class Neighbour(NamedTuple):
    """Somebody else, and one thing that both have to do with. Grain: one per person and reason."""

    root_id: int
    reason: str  # device, soft, refused, withdrawn
    through: Named
    position: int  # the event that says so


class Evidence(NamedTuple):
    """All of it."""

    links: list[LinkEvidence]
    tenures: list[TenureEvidence]
    neighbours: list[Neighbour]


def read_evidence(reading: Reading, membership: Membership) -> Evidence:
    """Give what a person's identifiers rest on."""
    mine = [m.identifier_id for m in membership.identifiers]
    rows = _link_rows(reading, mine)
    named = _names(reading, {i for row in rows for i in row[:2]})
    links = [LinkEvidence(named[r[0]], named[r[1]], *r[2:]) for r in rows if r[0] in named and r[1] in named]
    devices = [m.identifier_id for m in membership.identifiers if m.rank >= DEVICE_RANK]
    held = {m.identifier_id for m in membership.identifiers if m.rank < DEVICE_RANK}
    tenures = _tenures(reading, devices, held)
    return Evidence(links, tenures, _neighbours(links, tenures, held))


def _link_rows(reading: Reading, ids: list[int]) -> list[tuple[int, int, int, int, int, str, str, str, str, str]]:
    found = set()
    for column in ("strong_id", "weak_id"):
        found.update(
            reading.read_in(
                f"SELECT {LINK} FROM link WHERE {column} IN {{in}} ORDER BY {_ORDER} LIMIT {_MOST_LINKS}", ids
            )
        )
    return sorted(found, key=lambda row: (_FIRST.get(row[7], 3), -row[2], row[3], row[:2]))[:_MOST_LINKS]


def _names(reading: Reading, ids: Iterable[int]) -> dict[int, Named]:
    return {
        row[0]: Named(*row)
        for row in reading.read_in(f"SELECT {NAMED} FROM identifier WHERE identifier_id IN {{in}}", sorted(ids))
    }


def _tenures(reading: Reading, devices: list[int], held: set[int]) -> list[TenureEvidence]:
    if not devices:
        return []
    rows = sorted(
        set(
            reading.read_in(
                "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in}",
                devices[-_MOST_DEVICES:],
            )
        )
    )
    named = _names(reading, {i for row in rows for i in (row[0], row[3])})
    told = []
    for i, (device_id, from_at, from_position, holder_id) in enumerate(rows):
        after = rows[i + 1] if i + 1 < len(rows) else None
        until = after[1] if after is not None and after[0] == device_id else None
        if device_id in named and holder_id in named:
            told.append(
                TenureEvidence(named[device_id], named[holder_id], from_at, from_position, until, holder_id in held)
            )
    return told


def _neighbours(links: list[LinkEvidence], tenures: list[TenureEvidence], held: set[int]) -> list[Neighbour]:
    found: dict[tuple[int, str], Neighbour] = {}
    for tenure in tenures:
        if not tenure.is_theirs:
            one = Neighbour(tenure.holder.root_id, "device", tenure.device, tenure.from_position)
            found.setdefault((one.root_id, one.reason), one)
    for link in links:
        if link.verdict not in _FIRST:
            continue
        for end, through in ((link.one, link.other), (link.other, link.one)):
            if end.identifier_id not in held and not end.is_device:
                one = Neighbour(
                    end.root_id, link.verdict, through if through.identifier_id in held else end, link.position
                )
                found.setdefault((one.root_id, one.reason), one)
    return list(found.values())[:_MOST_NEIGHBOURS]


def joined_at(reading: Reading, ids: Sequence[int], selves: Sequence[int]) -> int:
    """Say where in the log several of a person's identifiers became one person: at the last link among them.

    Where those links alone do not tie them all, it is the last link of the person.
    """
    links = _links_among(reading, selves)
    if not _ties_all(selves, links):
        links = _links_among(reading, ids)
    return max((position for _, _, position in links), default=0)


def _links_among(reading: Reading, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    listed = ", ".join(str(int(one)) for one in ids)
    return [
        (one, other, position)
        for one, other, position in reading.read_in(
            "SELECT strong_id, weak_id, position FROM link WHERE verdict = 'admitted' AND strong_id IN {in} "
            f"AND weak_id IN ({listed})",
            list(ids),
        )
    ]


def _ties_all(ids: Sequence[int], links: Sequence[tuple[int, int, int]]) -> bool:
    held = set(ids[:1])
    while more := {end for one, other, _ in links if (one in held) != (other in held) for end in (one, other)} - held:
        held |= more
    return held == set(ids)
