"""Compare what a workspace believes about who is who with the truth beside it.

In:    a folded workspace that was simulated, and its truth.
Out:   a `Score`: pairs of identifiers found, missed and wrong, events with the wrong person, each trap's outcome, and
       how often what is permitted is what people chose.
Never: a walk over all pairs of a large set: pairs are counted by groups.

A pair is two identifiers that the workspace knows. It is *one person's* when somebody held both, at whatever time; it
is *joined* when one profile holds both. Nearly all identifiers belong to one person and lie in one profile, so their
pairs follow from how many of each person lie in each profile; the few others are paired one by one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import comb
from typing import Any, NamedTuple

from tillit.identity import part_of
from tillit.simulate.score_consent import Agreement, score_consent
from tillit.simulate.traps import Handle, Trap
from tillit.simulate.truth import Truth
from tillit.simulate.visits import BOT
from tillit.workspace import Workspace

HELD, JOINED_WRONGLY, NOT_JOINED, NOT_SEEN = "held", "joined wrongly", "not joined", "not seen"
_ROWS = 50_000  # log rows looked at in one go


class TrapOutcome(NamedTuple):
    """What became of one kind of trap."""

    kind: str
    expected: str
    should: str
    outcomes: dict[str, int]


class Score(NamedTuple):
    """How well a workspace knows who is who."""

    n_identifiers: int
    n_unknown: int  # identifiers that the truth does not know: none, or the truth is another's
    n_found: int  # pairs of one person, joined
    n_missed: int  # pairs of one person, not joined
    n_wrong: int  # pairs of two people, joined
    n_wrong_outside: int  # of these, what no planted trap explains
    n_events: int
    n_events_unknown: int
    n_events_wrong: int  # in a profile most of whose events are another's
    traps: list[TrapOutcome]
    consent: list[Agreement]  # for each purpose that hangs on a choice

    @property
    def precision(self) -> float:
        """Give the share of joined pairs that are one person's."""
        return self.n_found / max(1, self.n_found + self.n_wrong)

    @property
    def recall(self) -> float:
        """Give the share of one person's pairs that are joined."""
        return self.n_found / max(1, self.n_found + self.n_missed)

    def as_document(self) -> dict[str, Any]:
        """Give it for programs."""
        traps = [trap._asdict() for trap in self.traps]
        consent = [told._asdict() for told in self.consent]
        return {
            **self._asdict(),
            "precision": self.precision,
            "recall": self.recall,
            "traps": traps,
            "consent": consent,
        }


class Pairs(NamedTuple):
    """Pairs of identifiers, counted."""

    n_found: int
    n_missed: int
    n_wrong: int
    n_wrong_outside: int


class Believed(NamedTuple):
    """Which profiles hold each identifier, and for devices since when; profiles are named by their root."""

    profiles: dict[Handle, frozenset[int]]
    roots: dict[int, int]  # identifier id -> profile, of what is no device
    tenures: dict[int, list[tuple[int, int, int]]]  # device -> since when whose


def score_workspace(ws: Workspace, truth: Truth) -> Score:
    """Compare a folded workspace with its truth."""
    believed = read_beliefs(ws)
    people: dict[Handle, set[int]] = {}
    for namespace, value, person in truth.iter_identifiers():
        holders = people.setdefault((namespace, value), set())
        if person is not None and person != BOT:
            holders.add(person)
    planted = [one.trap for one in truth.list_traps()]
    known = {handle: frozenset(people.get(handle, ())) for handle in believed.profiles}
    pairs = count_pairs(known, believed.profiles, planted)
    n_events, n_strange, n_wrong = _count_events(ws, truth, believed)
    return Score(
        n_identifiers=len(known),
        n_unknown=sum(handle not in people for handle in known),
        n_found=pairs.n_found,
        n_missed=pairs.n_missed,
        n_wrong=pairs.n_wrong,
        n_wrong_outside=pairs.n_wrong_outside,
        n_events=n_events,
        n_events_unknown=n_strange,
        n_events_wrong=n_wrong,
        traps=list(_outcomes(planted, believed.profiles)),
        consent=score_consent(ws, truth, known),
    )


def read_beliefs(ws: Workspace) -> Believed:
    """Read which profiles hold which identifiers."""
    tenures: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    roots: dict[int, int] = {}
    profiles: dict[Handle, frozenset[int]] = {}
    with ws.state.snapshot() as state:
        for device, *tenure in state.read(
            "SELECT identifier_id, from_at, from_position, holder_id FROM tenure "
            "ORDER BY identifier_id, from_at, from_position"
        ):
            tenures[device].append((tenure[0], tenure[1], tenure[2]))
        rows = state.read("SELECT identifier_id, namespace, value, root_id FROM identifier")
    roots.update((identifier_id, root) for identifier_id, _, _, root in rows)
    for identifier_id, namespace, value, root in rows:
        held = tenures.get(identifier_id)
        roots_of = frozenset(roots[holder] for _, _, holder in held) if held else frozenset((root,))
        profiles[namespace, value] = roots_of
    return Believed(profiles, roots, tenures)


def count_pairs(
    people: dict[Handle, frozenset[int]], profiles: dict[Handle, frozenset[int]], traps: Sequence[Trap]
) -> Pairs:
    """Count pairs of identifiers by whether they are one person's and whether one profile holds them."""
    of_person: dict[int, list[Handle]] = defaultdict(list)
    of_profile: dict[int, list[Handle]] = defaultdict(list)
    cells: dict[int, Counter[int]] = defaultdict(Counter)  # profile -> person -> identifiers, of the plain ones
    n_of_person: Counter[int] = Counter()
    odd: list[Handle] = []
    nobody = BOT
    by_handle = _traps_by_handle(traps)
    for handle, roots in profiles.items():
        holders = people[handle]
        for root in roots:
            of_profile[root].append(handle)
        for person in holders:
            of_person[person].append(handle)
        if len(roots) > 1 or len(holders) > 1 or (not holders and handle in by_handle):
            odd.append(handle)
            continue
        if holders:
            (person,) = holders
        else:
            nobody = person = nobody - 1  # what is nobody's is nobody else's, either
        (root,) = roots
        cells[root][person] += 1
        n_of_person[person] += 1
    found = sum(comb(n, 2) for cell in cells.values() for n in cell.values())
    missed = sum(comb(n, 2) for n in n_of_person.values()) - found
    wrong = outside = 0
    for root, cell in cells.items():
        if len(cell) > 1:
            wrong += comb(cell.total(), 2) - sum(comb(n, 2) for n in cell.values())
            explained = _explained(of_profile[root], people, by_handle)
            groups: Counter[int] = Counter()
            for person, n in cell.items():
                groups[explained.get(person, person)] += n
            outside += comb(cell.total(), 2) - sum(comb(n, 2) for n in groups.values())
    seen: set[Handle] = set()
    for handle in odd:
        seen.add(handle)
        mine = {other for person in people[handle] for other in of_person[person]} - seen
        beside = {other for root in profiles[handle] for other in of_profile[root]} - seen
        found += len(mine & beside)
        missed += len(mine - beside)
        strangers = beside - mine
        wrong += len(strangers)
        if strangers and handle not in by_handle:
            told = [_explained(of_profile[root], people, by_handle) for root in profiles[handle]]
            near = [{groups.get(person, person) for person in people[handle]} for groups in told]
            outside += sum(
                other not in by_handle
                and not any(
                    mine_too & {groups.get(person, person) for person in people[other]}
                    for groups, mine_too in zip(told, near, strict=True)
                )
                for other in strangers
            )
    return Pairs(found, missed, wrong, outside)


def _traps_by_handle(traps: Sequence[Trap]) -> dict[Handle, list[Trap]]:
    found: dict[Handle, list[Trap]] = defaultdict(list)
    for trap in traps:
        for handle in _handles(trap):
            found[handle].append(trap)
    return found


def _handles(trap: Trap) -> Iterator[Handle]:
    yield from trap.shared
    for side in trap.sides:
        yield from side


def _explained(
    handles: Iterable[Handle], people: dict[Handle, frozenset[int]], by_handle: dict[Handle, list[Trap]]
) -> dict[int, int]:
    """Give, for the people of one profile, whom a trap that reaches into it explains together: person -> group."""
    group: dict[int, int] = {}
    names: dict[Handle, int] = {}

    def root(node: int) -> int:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    done: set[int] = set()
    for handle in handles:
        for trap in by_handle.get(handle, ()):
            if id(trap) in done:
                continue
            done.add(id(trap))
            # A shared identifier chains its traps: the test address is one, however many type it.
            nodes = [-(1 << 40) - names.setdefault(shared, len(names)) for shared in trap.shared]
            nodes += [person for one in _handles(trap) for person in people.get(one, ())]
            for node in nodes[1:]:
                group[root(node)] = root(nodes[0])
    return {node: root(node) for node in group}


def _count_events(ws: Workspace, truth: Truth, believed: Believed) -> tuple[int, int, int]:
    """Say how many events there are, how many are not in the truth, and how many lie with the wrong person."""
    profile_at: dict[int, int] = {}
    for anchor, event_at, position in ws.state.read("SELECT anchor_id, event_at, position FROM event_index"):
        held = believed.tenures.get(anchor)
        if held:
            part = part_of(held, event_at)
            holder = held[0][2] if part == 0 else next(h for at, _, h in reversed(held) if at == part)
            profile_at[position] = believed.roots[holder]
        else:
            profile_at[position] = believed.roots[anchor]
    whose: dict[int, Counter[int]] = defaultdict(Counter)
    n_strange = 0
    position = 0
    while block := ws.log.message_hashes(position, _ROWS):
        position = block[-1][0]
        people = truth.people_of([told for _, told in block])
        for place, told in block:
            profile = profile_at.get(place)
            if profile is None:
                continue
            person = people.get(told)
            if person is None:
                n_strange += 1
            else:
                whose[profile][person] += 1
    n_wrong = sum(counts.total() - max(counts.values()) for counts in whose.values())
    return len(profile_at), n_strange, n_wrong


def _outcomes(traps: Sequence[Trap], profiles: dict[Handle, frozenset[int]]) -> Iterator[TrapOutcome]:
    """Give each kind of trap with how often it came out how."""
    by_kind: dict[str, tuple[Trap, Counter[str]]] = {}
    for trap in traps:
        by_kind.setdefault(trap.kind, (trap, Counter()))[1][trap_outcome(trap, profiles)] += 1
    for kind, (trap, counts) in sorted(by_kind.items()):
        yield TrapOutcome(kind, trap.expected, trap.should, dict(sorted(counts.items())))


def trap_outcome(trap: Trap, profiles: dict[Handle, frozenset[int]]) -> str:
    """Say what became of one trap."""
    sides = [
        frozenset[int]().union(*(profiles[handle] for handle in side if handle in profiles)) for side in trap.sides
    ]
    if not all(sides):
        return NOT_SEEN
    if trap.expected == "joined":
        return HELD if frozenset.intersection(*sides) else NOT_JOINED
    n_profiles = sum(len(side) for side in sides)
    return HELD if len(frozenset().union(*sides)) == n_profiles else JOINED_WRONGLY


__all__ = ["Pairs", "Score", "TrapOutcome", "count_pairs", "read_beliefs", "score_workspace", "trap_outcome"]
