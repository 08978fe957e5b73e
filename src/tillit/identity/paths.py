"""Paths: why two identifiers are one person, step by step, or why they are not.

In:    two identifiers.
Out:   the shortest chain of evidence between them; all that was ever said of the pair; what colleagues decided of it.
Never: a step without an event and a rule; a path through a device: people share those.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tillit.identity.acts import Acts, IdentityAct, load_acts, standing
from tillit.identity.evidence import LINK, NAMED, LinkEvidence, Named
from tillit.identity.namespaces import DEVICE_RANK
from tillit.identity.person import PINNED_APART
from tillit.records import Membership
from tillit.store import Reading

# As the index `link_waiting` says it: engines use it for these words alone.
_WAITING = "verdict IN ('soft', 'refused')"
# Settled is what joins nobody any more because it did since, or because a colleague pinned the two apart.
_UNSETTLED = (
    "link l JOIN identifier a ON a.identifier_id = l.strong_id JOIN identifier b ON b.identifier_id = l.weak_id "
    f"WHERE l.{_WAITING} AND a.root_id <> b.root_id AND l.violation <> '{PINNED_APART}'"
)
_LINK_OF = ", ".join(f"l.{column}" for column in LINK.split(", "))


class Step(NamedTuple):
    """One step of a path, in the direction in which it was walked."""

    one: Named
    other: Named
    link: LinkEvidence


class Decision(NamedTuple):
    """What a colleague decided about two identifiers."""

    act: IdentityAct
    one: Named
    other: Named
    stands: bool


def find_named(reading: Reading, namespace: str, value: str) -> Named | None:
    """Give an identifier as it is known; None when no event named it."""
    rows = reading.read(
        f"SELECT {NAMED} FROM identifier WHERE namespace = ? AND value = ?",
        (namespace, value),
    )
    return Named(*rows[0]) if rows else None


def read_links(reading: Reading, keys: Sequence[tuple[int, int, int, int]]) -> list[LinkEvidence]:
    """Give links by their keys (strong id, weak id, trust, chapter), in that order."""
    named = read_names(reading, {end for key in keys for end in key[:2]})
    sql = f"SELECT {LINK} FROM link WHERE strong_id = ? AND weak_id = ? AND trust = ? AND chapter = ?"
    return [LinkEvidence(named[row[0]], named[row[1]], *row[2:]) for key in keys for row in reading.read(sql, key)]


def read_direct(reading: Reading, one: Named, other: Named) -> list[LinkEvidence]:
    """Give all direct evidence between two identifiers, whatever was decided about it, oldest first."""
    rows = reading.read(
        f"SELECT {LINK} FROM link WHERE (strong_id = ? AND weak_id = ?) OR (strong_id = ? AND weak_id = ?) "
        "ORDER BY position",
        (one.identifier_id, other.identifier_id, other.identifier_id, one.identifier_id),
    )
    named = {one.identifier_id: one, other.identifier_id: other}
    return [LinkEvidence(named[row[0]], named[row[1]], *row[2:]) for row in rows]


def find_path(reading: Reading, membership: Membership, one: Named, other: Named) -> list[Step]:
    """Give the shortest chain of admitted evidence between two identifiers of one person; of equal ones the strongest.

    Empty when there is none: they are not this person's, or only a device ties them.
    """
    inside = {m.identifier_id: m for m in membership.identifiers}
    came: dict[int, tuple[int, int, int, int]] = {one.identifier_id: (0, 0, 0, 0)}  # id -> from, strong, weak, trust
    edge = [one.identifier_id]
    while edge and other.identifier_id not in came:
        following: dict[int, tuple[int, int, int, int]] = {}
        for strong_id, weak_id, trust in _admitted(reading, edge):
            for start, end in ((strong_id, weak_id), (weak_id, strong_id)):
                if start in came and start in edge and end in inside and end not in came:
                    best = following.get(end)
                    if best is None or trust > best[3]:
                        following[end] = (start, strong_id, weak_id, trust)
        came.update(following)
        # A device may end a path; a path does not go on from it.
        edge = [i for i in following if inside[i].rank < DEVICE_RANK]
    if other.identifier_id not in came:
        return []
    hops: list[tuple[int, int]] = []
    at = other.identifier_id
    while at != one.identifier_id:
        hops.append((came[at][0], at))
        at = came[at][0]
    named = read_names(reading, {end for hop in hops for end in hop})
    steps = []
    for start, end in reversed(hops):
        links = [link for link in read_direct(reading, named[start], named[end]) if link.verdict == "admitted"]
        steps.append(Step(named[start], named[end], max(links, key=lambda link: (link.trust, -link.position))))
    return steps


def _admitted(reading: Reading, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    found = set()
    for column in ("strong_id", "weak_id"):
        found.update(
            reading.read_in(
                f"SELECT strong_id, weak_id, trust FROM link WHERE verdict = 'admitted' AND {column} IN {{in}}", ids
            )
        )
    return sorted(found)


def read_names(reading: Reading, ids: set[int]) -> dict[int, Named]:
    """Give identifiers by their ids."""
    return {
        row[0]: Named(*row)
        for row in reading.read_in(f"SELECT {NAMED} FROM identifier WHERE identifier_id IN {{in}}", sorted(ids))
    }


def read_decisions(reading: Reading, ids: Sequence[int]) -> list[Decision]:
    """Give what colleagues decided about any of these identifiers, oldest first, with what stands of it."""
    acts = load_acts(reading, ids)
    # Whether an act stands is said by the undos of its pair, and these name the same pair.
    stand = standing(acts)
    named = read_names(reading, {end for act in acts for end in act.pair})
    return [
        Decision(act, named[act.one_id], named[act.other_id], act.position in stand)
        for act in acts
        if act.one_id in named and act.other_id in named
    ]


def is_blocked_value(reading: Reading, one: Named) -> bool:
    """Say whether a block of this identifier stands."""
    return one.identifier_id in Acts(load_acts(reading, [one.identifier_id])).blocked


def find_decision(reading: Reading, position: int) -> IdentityAct | None:
    """Give the act at a place in the log."""
    rows = reading.read("SELECT one_id FROM identity_act WHERE position = ?", (position,))
    found = [act for act in load_acts(reading, [rows[0][0]]) if act.position == position] if rows else []
    return found[0] if found else None


def read_violations(reading: Reading, *, before: int, limit: int, only: str = "") -> list[LinkEvidence]:
    """Give links that were not admitted, newest first: all, or of one verdict those that nobody has settled."""
    if only:
        rows = reading.read(
            f"SELECT {_LINK_OF} FROM {_UNSETTLED} AND l.verdict = ? AND l.position < ? "
            "ORDER BY l.position DESC, l.strong_id, l.weak_id LIMIT ?",
            (only, before, limit),
        )
    else:
        rows = reading.read(
            f"SELECT {LINK} FROM link WHERE {_WAITING} AND position < ? "
            "ORDER BY position DESC, strong_id, weak_id LIMIT ?",
            (before, limit),
        )
    named = read_names(reading, {end for row in rows for end in row[:2]})
    return [LinkEvidence(named[r[0]], named[r[1]], *r[2:]) for r in rows if r[0] in named and r[1] in named]


def count_violations(reading: Reading) -> dict[str, int]:
    """Count links that were not admitted: by verdict those that nobody has settled, and all there are."""
    told = {
        str(verdict): int(n) for verdict, n in reading.read(f"SELECT l.verdict, count(*) FROM {_UNSETTLED} GROUP BY 1")
    }
    n_all = int(reading.read(f"SELECT count(*) FROM link WHERE {_WAITING}")[0][0])
    return {"soft": told.get("soft", 0), "refused": told.get("refused", 0), "all": n_all}
