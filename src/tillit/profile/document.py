"""The profile document: what a program or a page is shown of one person.

In:    a membership (who), strands (what), a permit (for what purpose).
Out:   the document of the HTTP API, the same from every door.
Never: without a permit; a trait from a strand that is not this person's.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.profile.acts import SOURCE, Standing, judge_acts, load_acts
from tillit.profile.strands import (
    COUNTS,
    FIRST_AT,
    LAST_AT,
    MONTHS,
    N_ACTS,
    N_EVENTS,
    SEEN,
    T_AT,
    T_POSITION,
    T_SOURCE,
    T_TRUST,
    T_VALUE,
    TRAITS,
    TYPES,
    Document,
    StrandMemory,
    load_strands,
    parts_of,
)
from tillit.records import TRUST_NAMES, TRUST_OPERATOR, Membership, Permit, Refusal, Scope, Withheld
from tillit.store import Reading


def event_id(position: int, epoch: int) -> str:
    """Write the public id of an event: its place in one life of the log."""
    return f"e{epoch}-{position}"


def position_of(written: str, epoch: int) -> int | None:
    """Read an event's public id; None when it is none of this life of the log.

    >>> position_of(event_id(7, 1), 1), position_of("e1-7", 2), position_of("e1--7", 1)
    (7, None, None)
    """
    said, dash, place = written.removeprefix("e").partition("-")
    if not (dash and written.isascii() and said.isdigit() and place.isdigit() and len(place) < 19):
        return None
    return int(place) if said == str(epoch) else None


def _place(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


def get_document(reading: Reading, membership: Membership, permit: Permit, *, epoch: int) -> dict[str, Any]:
    """Give the document of one person.

    Shape:  {"id", "identifiers": [...], "traits": {...}, "counts": {...}, "types": {...}, "n_events",
            "first_seen_at", "last_seen_at", "withheld": [{"field", "reason"}]}; times RFC 3339 UTC.
    """
    return load_person(reading, membership, permit, epoch=epoch).document


class Person(NamedTuple):
    """One person as a page shows them."""

    document: dict[str, Any]
    months: dict[str, dict[int, int]]  # source -> month, counted from year 0 -> events; "" and 0 for what is not told
    standing: Standing


def load_person(reading: Reading, membership: Membership, permit: Permit, *, epoch: int) -> Person:
    """Give the document of one person, when they were active, and what colleagues said of them."""
    scope = permit.scope
    found = load_strands(reading, strand_keys(membership))
    parts = [told for strand in found.values() for told in parts_of(strand)]
    strands = [part for carried, part in parts if scope.allows_event(carried)]
    standing = judge_acts(load_acts(reading, [key for key, strand in found.items() if strand[N_ACTS]]))
    document = document_of(membership, strands, standing, epoch)
    if scope.fields is None and len(strands) == len(parts) and not scope.kept_after:
        return Person(document, _months(strands), standing)
    whole = document_of(membership, [part for _, part in parts], standing, epoch)
    withheld = withhold(document, scope, whole)
    if not scope.allows("notes"):
        standing = standing._replace(notes=[])
    elif scope.kept_after:
        standing = standing._replace(notes=[one for one in standing.notes if one.position > scope.kept_after])
    months = _months(strands) if scope.allows("events") else {}
    return Person({**document, "withheld": [one._asdict() for one in withheld]}, months, standing)


def withhold(document: dict[str, Any], scope: Scope, whole: dict[str, Any]) -> list[Withheld]:
    """Take out of a document what its purpose does not reach; say what is missing of the whole, and why."""
    withheld = []
    for name in whole["traits"]:
        if not scope.allows(f"traits.{name}"):
            document["traits"].pop(name, None)
            withheld.append(Withheld(f"traits.{name}", NOT_REACHED))
        elif name not in document["traits"]:
            withheld.append(Withheld(f"traits.{name}", NOT_COLLECTED_FOR))
        elif _place(document["traits"][name]["event_id"]) <= scope.kept_after:
            del document["traits"][name]
            withheld.append(Withheld(f"traits.{name}", RETENTION_OVER))
    here = [one for one in document["identifiers"] if scope.allows(f"identifiers.{one['namespace']}")]
    shown = {(one["namespace"], one["value"]) for one in here}
    for namespace in dict.fromkeys(one["namespace"] for one in whole["identifiers"]):
        if not scope.allows(f"identifiers.{namespace}"):
            withheld.append(Withheld(f"identifiers.{namespace}", NOT_REACHED))
        elif any(
            (one["namespace"], one["value"]) not in shown
            for one in whole["identifiers"]
            if one["namespace"] == namespace
        ):
            withheld.append(Withheld(f"identifiers.{namespace}", NOT_COLLECTED_FOR))
    document["identifiers"] = here
    if not scope.allows("events"):
        document["counts"] = {name: n for name, n in document["counts"].items() if scope.allows(f"events.{name}")}
        document["types"], document["n_events"] = {}, sum(document["counts"].values())
        document["first_seen_at"] = document["last_seen_at"] = None
        withheld.append(Withheld("events", NOT_REACHED))
    elif whole["n_events"] > document["n_events"]:
        withheld.append(Withheld("events", NOT_COLLECTED_FOR))
    return withheld


# Why something was not handed out.
NOT_REACHED = "not_declared_for_purpose"
NOT_COLLECTED_FOR = "refused_when_collected"
RETENTION_OVER = "retention_over"


def refused_document(refusal: Refusal) -> dict[str, Any]:
    """Give what is told of somebody whom a purpose may not reach: who is meant, and why nothing follows."""
    return {
        "id": refusal.profile_id,
        "identifiers": [],
        "traits": {},
        "counts": {},
        "types": {},
        "n_events": 0,
        "first_seen_at": None,
        "last_seen_at": None,
        "withheld": [Withheld("*", refusal.reason)._asdict()],
    }


def load_facts(reading: Reading, membership: Membership, names: frozenset[str], *, epoch: int) -> dict[str, Any]:
    """Give a few traits of a person that decide what may be told of them, for `consent/` alone."""
    found = load_strands(reading, strand_keys(membership))
    standing = judge_acts(load_acts(reading, [key for key, strand in found.items() if strand[N_ACTS]]))
    parts = [part for strand in found.values() for _, part in parts_of(strand)]
    return {name: held for name, held in _traits(parts, standing, epoch).items() if name in names}


def load_traits(
    reading: Reading,
    keys: Sequence[tuple[int, int]],
    allows: Callable[[str], bool],
    memory: StrandMemory | None = None,
) -> dict[str, Any]:
    """Give the traits of some strands together, by name, as far as what events carried allows.

    What follows from them is told of nobody by this room: audiences are answered with it. `memory`: of whoever folds,
    asked first.
    """
    held = memory.documents if memory is not None else {}
    found = {key: held[key] for key in keys if key in held}
    found.update(load_strands(reading, [key for key in keys if key not in found]))
    standing = judge_acts(load_acts(reading, [key for key, strand in found.items() if strand[N_ACTS]]))
    parts = [part for strand in found.values() for carried, part in parts_of(strand) if allows(carried)]
    return {name: held["value"] for name, held in _traits(parts, standing, 1).items()}


def strand_keys(membership: Membership) -> list[tuple[int, int]]:
    """Give the keys of a person's strands."""
    return [(m.identifier_id, part) for m in membership.identifiers for part, _, _ in m.spans]


def _months(strands: list[Document]) -> dict[str, dict[int, int]]:
    months: dict[str, dict[int, int]] = {}
    for strand in strands:
        for source, counted in strand[MONTHS].items():
            mine = months.setdefault(source, {})
            for month, n in counted.items():
                mine[month] = mine.get(month, 0) + n
    return months


def document_of(membership: Membership, strands: list[Document], standing: Standing, epoch: int) -> dict[str, Any]:
    """Write a person's document from their strands and what colleagues said."""
    firsts = [s[FIRST_AT] for s in strands if s[FIRST_AT] is not None]
    lasts = [s[LAST_AT] for s in strands if s[LAST_AT] is not None]
    return {
        "id": membership.profile_id,
        "identifiers": _identifiers(membership, strands),
        "traits": _traits(strands, standing, epoch),
        "counts": _sums(strands, COUNTS),
        "types": _sums(strands, TYPES),
        "n_events": sum(s[N_EVENTS] for s in strands),
        "first_seen_at": rfc3339(min(firsts)) if firsts else None,
        "last_seen_at": rfc3339(max(lasts)) if lasts else None,
        "withheld": [],
    }


def _identifiers(membership: Membership, strands: list[Document]) -> list[dict[str, Any]]:
    seen: dict[int, list[list[int]]] = {}
    for strand in strands:
        for identifier_id, sight in strand[SEEN].items():
            seen.setdefault(identifier_id, []).append(sight)
    told = []
    for member in membership.identifiers:
        sights = seen.get(member.identifier_id)
        if sights:
            told.append(
                {
                    "namespace": member.namespace,
                    "value": member.value,
                    "first_seen_at": rfc3339(min(s[0] for s in sights)),
                    "last_seen_at": rfc3339(max(s[1] for s in sights)),
                    "trust": TRUST_NAMES[max(s[2] for s in sights)],
                }
            )
    return told


def _traits(strands: list[Document], standing: Standing, epoch: int) -> dict[str, Any]:
    best: dict[str, list[Any]] = {}
    for strand in strands:
        for name, held in strand[TRAITS].items():
            other = best.get(name)
            if other is None or held[: T_POSITION + 1] > other[: T_POSITION + 1]:
                best[name] = held
    for name, act in standing.corrections.items():
        # A colleague knows better than what was claimed or sent, and less than what the customer proved.
        other = best.get(name)
        if other is None or other[T_TRUST] <= TRUST_OPERATOR:
            best[name] = [TRUST_OPERATOR, act.event_at, act.position, SOURCE, act.traits[name]]
    return {
        name: {
            "value": held[T_VALUE],
            "at": rfc3339(held[T_AT]),
            "source": held[T_SOURCE],
            "event_id": event_id(held[T_POSITION], epoch),
            "trust": TRUST_NAMES[held[T_TRUST]],
        }
        for name, held in sorted(best.items())
        if held[T_VALUE] is not None  # null takes a trait back
    }


def _sums(strands: list[Document], place: int) -> dict[str, int]:
    totals: dict[str, int] = {}
    for strand in strands:
        for name, n in strand[place].items():
            totals[name] = totals.get(name, 0) + n
    return dict(sorted(totals.items()))
