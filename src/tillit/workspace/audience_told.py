"""What doors tell of audiences: documents of members, changes and values, the same from every door.

In:    memberships, changes, definitions in force; leave for each person.
Out:   documents; pages of them, with how many were withheld and why; one audience or feature as Python holds it.
Never: somebody whom the purpose may not use, also not as the one from whom another came.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from tillit.audience import ENTER, EXIT, MOVE, Change, Defined, DefinedFeature, Member
from tillit.clock import rfc3339
from tillit.identity import find_membership, profile_id
from tillit.language.sentences import lines, sentence
from tillit.records import Membership, Permit, Scope
from tillit.store import Reading
from tillit.workspace.audience_past import AsOf
from tillit.workspace.leave import Leave
from tillit.workspace.people import NAMELESS

_PAGE = 1_000
_ALL = 1 << 62


class ShownChanges(NamedTuple):
    """A page of changes."""

    changes: list[dict[str, Any]]
    withheld: Counter[str]  # reason -> changes that are not told
    through: int  # the last change that was looked at: the next page begins after it
    people: dict[str, list[str]]  # whom the page names, by the purpose for which they are
    is_last: bool


class ShownValues(NamedTuple):
    """A page of people's values of one feature."""

    values: list[dict[str, Any]]
    withheld: Counter[str]
    after: int | None  # where the next page begins; None: this is the last


class Source(Protocol):
    """What a view of one audience asks."""

    def get(self, name: str) -> Defined:
        """Give an audience in force."""
        ...

    def feature(self, name: str) -> DefinedFeature:
        """Give a feature in force."""
        ...

    def scope_of(self, name: str) -> Scope:
        """Ask for leave for the audience's purpose."""
        ...

    def iter_members(self, name: str, scope: Scope) -> Iterator[tuple[Member, Membership, Permit | None, str]]:
        """Give every member."""
        ...

    def count(self, name: str, scope: Scope, *, as_of: AsOf | None = None) -> dict[str, Any]:
        """Count the members, of now or of an instant."""
        ...

    def members_then(
        self, name: str, scope: Scope, as_of: AsOf, *, after: int = -1, limit: int = 100
    ) -> dict[str, Any]:
        """Give a page of those who were in it at an instant."""
        ...

    def why_of(self, name: str, who: str, scope: Scope, *, at: int | None = None) -> dict[str, Any]:
        """Say why somebody is in it or not."""
        ...

    def shown_changes(
        self, purposes: Callable[[str], Scope | None], *, after: int = 0, name: str = "", limit: int = 100
    ) -> ShownChanges:
        """Give changes that may be told."""
        ...


class AudienceView:
    """One audience in force, as Python asks it, for its own purpose."""

    def __init__(self, source: Source, name: str) -> None:
        """Look at one. Raises UnknownAudience."""
        self._source = source
        self.name = name
        self.purpose = source.get(name).audience.purpose

    def members(self, as_of: AsOf | None = None) -> Iterator[dict[str, Any]]:
        """Give the members whom the audience's purpose may use, in the order of their ids.

        Shape:  {"profile_id", "since", "cause"}. With `as_of` (a day, an instant as text, or UTC epoch microseconds)
                those who were in it then by the definition of now; since when and why is then None.
        Raises: AsOfUnreadable, AsOfFuture; LakeBusy.
        """
        scope = self._source.scope_of(self.name)
        if as_of is not None:
            yield from self._source.members_then(self.name, scope, as_of, limit=_ALL)["members"]
            return
        for member, _, permit, _ in self._source.iter_members(self.name, scope):
            if permit is not None:
                yield member_document(member)

    def count(self, as_of: AsOf | None = None) -> dict[str, Any]:
        """Count the members: in all, those who may be used for its purpose, and why others may not.

        `as_of` as for `members`.
        """
        return self._source.count(self.name, self._source.scope_of(self.name), as_of=as_of)

    def why(self, who: str) -> dict[str, Any]:
        """Say why somebody (`namespace:value`, or a profile id) is a member or not. Raises NotFound, PersonWithheld."""
        return self._source.why_of(self.name, who, self._source.scope_of(self.name))

    def changes(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Give the changes after one of them, in the order in which they were published."""
        scope = self._source.scope_of(self.name)
        while True:
            page = self._source.shown_changes(
                lambda purpose: scope if purpose == self.purpose else None, after=after, name=self.name, limit=_PAGE
            )
            yield from page.changes
            if page.is_last:
                return
            after = page.through


# -- documents


def member_document(member: Member) -> dict[str, Any]:
    """Give a member as every door shows them."""
    return {"profile_id": profile_id(member.root_id), "since": rfc3339(member.since_at), "cause": member.cause}


def audience_document(defined: Defined, overview: Mapping[str, Any], history: Sequence[Any]) -> dict[str, Any]:
    """Give an audience with its definition as every door shows it; nobody is in it."""
    return {
        **overview,
        "sentence": sentence(defined.said),
        "lines": [row._asdict() for row in lines(defined.said)],
        "definition": defined.audience.definition,
        "after": list(defined.audience.after),
        "holdout": msgspec.to_builtins(defined.audience.holdout),
        "versions": [
            {
                "version": one.position,
                "at": rfc3339(one.event_at),
                "operator": one.operator,
                "reason": one.reason,
            }
            for one in history
        ],
    }


def feature_document(defined: DefinedFeature) -> dict[str, Any]:
    """Give a feature as every door lists it; nobody's value is in it."""
    return {
        "feature": defined.feature.feature,
        "title": defined.feature.title,
        "description": defined.feature.description,
        "purpose": defined.feature.purpose,
        "sentence": sentence(defined.said),
        "definition": defined.feature.definition,
        "version": defined.position,
    }


def people_in(why: Mapping[str, Any]) -> list[str]:
    """Give the profile ids of everybody of whom an explanation tells: who was asked about, and whom it names."""
    return list(dict.fromkeys([why["profile_id"], *(one for leaf in why["leaves"] for one in leaf["people"])]))


def call_people(leaves: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give parts of an explanation that call people by their names; whoever has none is left with their id.

    `names`: by profile id, of those of whom may be told.

    >>> call_people([{"value": "2 fit: p1, p2", "people": ["p1", "p2"]}], {"p2": "Bo"})
    [{'value': '2 fit: p1, Bo', 'people': ['p1', 'p2']}]
    """
    called = []
    for leaf in leaves:
        known = [one for one in leaf["people"] if names.get(one, NAMELESS) != NAMELESS]
        value = leaf["value"]
        if known:
            # In one go: a name may look like the id of another.
            value = re.sub("|".join(map(re.escape, known)), lambda found: names[found[0]], value)
        called.append({**leaf, "value": value})
    return called


# -- pages


def tell_changes(
    reading: Reading, changes: Sequence[Change], purposes: Callable[[Change], Leave | None]
) -> ShownChanges:
    """Give those of some changes that may be told, and count the others.

    A change of somebody who was erased since names nobody: it is told without an id.
    """
    told: list[dict[str, Any]] = []
    withheld: Counter[str] = Counter()
    people: dict[str, list[str]] = {}
    known: dict[tuple[str, int], tuple[str | None, str]] = {}
    for change in changes:
        leave = purposes(change)
        if leave is None:
            continue
        found = []
        for root in (change.root_id, change.from_root):
            key = (leave.scope.purpose, root)
            if key not in known:
                known[key] = _named(reading, leave, root)
            found.append(known[key])
        (person, refused), (former, _) = found
        if refused:
            withheld[refused] += 1
            continue
        people.setdefault(leave.scope.purpose, []).extend(one for one in (person, former) if one is not None)
        told.append(
            {
                "change_id": change.change_id,
                "audience": change.audience,
                "kind": change.kind,
                "profile_id": person,
                "from_profile_id": former,
                "at": rfc3339(change.at),
                "cause": change.cause,
                "since": rfc3339(change.since_at) if change.kind != ENTER else rfc3339(change.at),
                "version": change.version,
            }
        )
    through = changes[-1].change_id if changes else 0
    return ShownChanges(told, withheld, through, people, is_last=False)


def _named(reading: Reading, leave: Leave, root: int) -> tuple[str | None, str]:
    """Give the id by which somebody may be told of, or None, and why not; nobody who is known is neither."""
    membership = find_membership(reading, profile_id(root)) if root else None
    if membership is None:
        return None, ""
    permit = leave.of(membership)
    return (profile_id(root), "") if isinstance(permit, Permit) else (None, permit.reason)


def held_at(changes: Iterable[Change], instant: int) -> dict[str, tuple[int, str]]:
    """Say in which audiences somebody was at an instant, from their changes: {name: (since, cause)}.

    Units: UTC epoch microseconds.
    """
    held: dict[tuple[str, int], tuple[int, str]] = {}
    for change in sorted(changes):
        if change.at > instant:
            break
        if change.kind == MOVE:
            held.pop((change.audience, change.from_root), None)
        if change.kind == EXIT:
            held.pop((change.audience, change.root_id), None)
        else:
            since = change.since_at if change.kind == MOVE else change.at
            held.setdefault((change.audience, change.root_id), (since, change.cause))
    found: dict[str, tuple[int, str]] = {}
    for (name, _), one in sorted(held.items(), key=lambda item: item[1], reverse=True):
        found[name] = one
    return found


def iter_roots(reading: Reading, after: int) -> Iterator[tuple[int, Membership]]:
    """Give everybody after one of them, in the order of their ids."""
    while rows := reading.read(
        "SELECT identifier_id FROM identifier WHERE identifier_id > ? AND identifier_id = root_id "
        "ORDER BY identifier_id LIMIT ?",
        (after, _PAGE),
    ):
        for (identifier_id,) in rows:
            membership = find_membership(reading, profile_id(identifier_id))
            # A device that somebody holds is theirs.
            if membership is not None and membership.profile_id == profile_id(identifier_id):
                yield identifier_id, membership
        after = rows[-1][0]
