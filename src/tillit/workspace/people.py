"""People across rooms: who is meant by a text, and who stands near somebody.

In:    a moment of the state, a scope.
Out:   documents of the people found, best first; people near one person, each with the reason; what a colleague says of
       somebody, as a row for the log; what to call a person.
Never: somebody who does not answer every word that was typed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.collect.door import random_id
from tillit.errors import NotFound
from tillit.identity import Evidence, Neighbour, find_membership, profile_id, rules_in_force, search_identifiers
from tillit.profile import (
    act_row,
    answer,
    get_document,
    order_terms,
    read_question,
    search_strands,
    shown_by,
    strand_keys,
)
from tillit.records import Membership, NewRow, Permit, Scope
from tillit.store import Reading
from tillit.workspace.leave import Leave

_MOST_IDENTIFIERS = 100  # by one word
_MOST_STRANDS = 600
_AT_ONCE = 1_000
NAMELESS = "Nobody named"  # of whom no name and no identifier may be shown
_LONGEST_NAME = 80
_SPREAD, _SPREAD_BY = 1 << 32, 2_654_435_761  # Knuth's multiplicative hash


class Related(NamedTuple):
    """Somebody else, with the reason to name them here. Grain: one per person."""

    document: dict[str, Any]
    reasons: list[Neighbour]


def find_membership_of(reading: Reading, who: str) -> Membership | None:
    """Say who holds an identifier (`namespace:value`) or a profile id."""
    if not can_be_known(who):
        return None
    told = rules_in_force(reading).parse(who) if ":" in who else who
    return find_membership(reading, told) if told is not None else None


def iter_people(reading: Reading) -> Iterator[tuple[int, int, Membership]]:
    """Give everybody, in the order in which the log first met them: (looked at so far, of so many, who)."""
    of = reading.read("SELECT count(*) FROM identifier")[0][0]
    after, n_looked = -1, 0
    while rows := reading.read(
        "SELECT identifier_id, root_id FROM identifier WHERE identifier_id > ? ORDER BY identifier_id LIMIT ?",
        (after, _AT_ONCE),
    ):
        for identifier_id, root_id in rows:
            n_looked += 1
            if identifier_id == root_id:
                membership = find_membership(reading, profile_id(identifier_id))
                # A device that somebody holds is theirs.
                if membership is not None and membership.profile_id == profile_id(identifier_id):
                    yield n_looked, of, membership
        after = rows[-1][0]


def sample_people(reading: Reading, most: int) -> Iterator[tuple[int, int, Membership]]:
    """Give no more than `most` people, the same ones each time: (looked at so far, of so many, who).

    Ids are given out in the order in which people came, often a device and then a name: each is hashed, so that
    neither the first comers nor every second id stand for all.
    """
    of = int(reading.read("SELECT count(*) FROM identifier WHERE identifier_id = root_id")[0][0])
    part = _SPREAD if of <= most else _SPREAD * most // of
    rows = reading.read(
        "SELECT identifier_id FROM identifier WHERE identifier_id = root_id "
        f"AND (identifier_id * {_SPREAD_BY}) % {_SPREAD} < ? ORDER BY identifier_id LIMIT ?",
        (part, most),
    )
    for n_looked, (identifier_id,) in enumerate(rows, 1):
        membership = find_membership(reading, profile_id(identifier_id))
        # A device that somebody holds is theirs.
        if membership is not None and membership.profile_id == profile_id(identifier_id):
            yield n_looked, len(rows), membership


def unknown_profile() -> NotFound:
    """Say that nobody is known by what was asked for, without repeating it."""
    return NotFound("Nobody is known here by that identifier or id.", code="profile.unknown")


def word_about(reading: Reading, who: str, body: Mapping[str, Any], *, operator: str, reason: str, now: int) -> NewRow:
    """Write a colleague's word about somebody for the log. Raises NotFound, ActInvalid."""
    membership = find_membership_of(reading, who)
    if membership is None or not membership.identifiers:
        raise unknown_profile()
    whose = membership.identifiers[0]
    return act_row(body, whose, operator=operator, reason=reason, message_id=random_id(), now=now, event_at=now)


def can_be_known(text: str) -> bool:
    """Say whether the state can be asked for a text: no identifier holds a NUL or half a character."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def find_people(reading: Reading, text: str, leave: Leave, *, limit: int) -> list[tuple[dict[str, Any], Membership]]:
    """Find people by names, identifiers and order numbers.

    Every word must be answered. Whole words come before beginnings, of equal ones whoever was active last.
    """
    text = text.strip()
    asked = read_question(text)
    if not asked or not can_be_known(text):
        return []
    exact = find_membership_of(reading, text)
    ids = search_identifiers(reading, text, limit=_MOST_IDENTIFIERS)
    ways = [way for one in asked for way in one.ways if len(way) > 2 and way != text]
    if len(asked) > 1 or ways:
        ids += [i for way in ways for i in search_identifiers(reading, way, limit=_MOST_IDENTIFIERS)]
    by_strand = search_strands(reading, text, limit=_MOST_STRANDS)
    people = {exact.profile_id: exact} if exact is not None else {}
    found: list[tuple[int, str, dict[str, Any], Membership]] = []
    document = _document(reading, exact, leave) if exact is not None else None
    # By an identifier that is withheld nobody is found.
    if exact is not None and document is not None and (":" not in text or _is_shown(document, text)):
        found.append((-9, "", document, exact))
    hit = set(by_strand)
    # Twice as many as asked for are judged: the best of them by recency, without reading everybody.
    n_judged = 0
    for identifier_id in _one_each(reading, ids[:10] + by_strand[: limit * 4] + ids[10:] + by_strand[limit * 4 :]):
        if n_judged == limit * 2 + 10 or len(found) >= limit * 2:
            break
        membership = find_membership(reading, profile_id(identifier_id))
        if membership is None or membership.profile_id in people:
            continue
        people[membership.profile_id] = membership
        n_judged += 1
        document = _document(reading, membership, leave)
        if document is None:
            continue
        orders: list[str] = []
        shown = shown_by(document, orders)
        if not all(answer(one, shown) for one in asked) and leave.scope.allows("events"):
            keys = [key for key in strand_keys(membership) if key[0] in hit]
            shown = shown_by(document, order_terms(reading, keys, asked))
        marks = [answer(one, shown) for one in asked]
        if all(marks):
            found.append((-sum(marks), document["last_seen_at"] or "", document, membership))
    found.sort(key=lambda one: one[1], reverse=True)
    found.sort(key=lambda one: one[0])
    return [(document, membership) for _, _, document, membership in found[:limit]]


def _document(reading: Reading, membership: Membership, leave: Leave) -> dict[str, Any] | None:
    permit = leave.of(membership)
    return get_document(reading, membership, permit, epoch=leave.epoch) if isinstance(permit, Permit) else None


def _is_shown(document: Mapping[str, Any], text: str) -> bool:
    namespaces = {one["namespace"] for one in document["identifiers"]}
    return text.partition(":")[0].strip() in namespaces


def _one_each(reading: Reading, ids: Sequence[int]) -> list[int]:
    """Give ids in order, one for each person as far as their roots say."""
    roots: dict[int, int] = dict(
        reading.read_in("SELECT identifier_id, root_id FROM identifier WHERE identifier_id IN {in}", [*ids])
    )
    first: dict[int, int] = {}
    for identifier_id in ids:
        first.setdefault(roots.get(identifier_id, identifier_id), identifier_id)
    return list(first.values())


def find_related(reading: Reading, own_id: str, evidence: Evidence, leave: Leave, *, most: int) -> list[Related]:
    """Give the people near one person, each with the reasons."""
    told: dict[str, Related] = {}
    for neighbour in evidence.neighbours:
        membership = find_membership(reading, profile_id(neighbour.root_id))
        if membership is None or membership.profile_id == own_id:
            continue
        known = told.get(membership.profile_id)
        if known is not None:
            known.reasons.append(neighbour)
        elif len(told) < most:
            document = _document(reading, membership, leave)
            if document is not None:
                told[membership.profile_id] = Related(document, [neighbour])
    return list(told.values())


def name_of(document: dict[str, Any]) -> str:
    """Say what to call a person: a name, else the strongest identifier."""
    traits = document["traits"]

    def told(name: str) -> str:
        value = traits.get(name, {}).get("value")
        return value.strip() if isinstance(value, str) else ""

    whole = told("name")
    parts = " ".join(filter(None, (told("firstName") or told("first_name"), told("lastName") or told("last_name"))))
    by_namespace: dict[str, str] = {}
    for one in document["identifiers"]:
        by_namespace.setdefault(one["namespace"], one["value"])
    found = whole or parts or by_namespace.get("email") or by_namespace.get("user_id")
    if found:
        return _short(found)
    others = [value for namespace, value in by_namespace.items() if namespace != "anonymous_id"]
    if others:
        return _short(others[0])
    return f"Visitor {by_namespace['anonymous_id'][:8]}" if by_namespace else NAMELESS


def find_names(find: Callable[[str, Scope], dict[str, Any] | None], ids: Iterable[str], scope: Scope) -> dict[str, str]:
    """Give what to call people, by profile id; of those alone of whom the purpose may tell."""
    documents = {one: find(one, scope) for one in dict.fromkeys(ids)}
    return {one: name_of(told) for one, told in documents.items() if told is not None and not is_refused(told)}


def is_refused(document: Mapping[str, Any]) -> bool:
    """Say whether nothing of a person may be shown for the purpose of a document."""
    return any(one["field"] == "*" for one in document["withheld"])


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
