"""Group members: who belongs to a group with whom, for audiences that ask about groups.

In:    what was said of groups; who is who; how somebody else of a group is looked at.
Out:   the places of one person, the members of a group, a group's own traits; whom a change of one person reaches.
Never: a member whom a colleague's word put there that was taken back; a member who may not be used for the purpose.

Nothing is kept between two judgements: what was worked out for one member of a group serves the others of the same.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.audience import Beside
from tillit.groups import Statement, judge_places, list_anchors, list_sayings, load_statements
from tillit.identity import Holder, find_holders
from tillit.language.groups import MOST_MEMBERS, Place, kind_of
from tillit.language.live import Person
from tillit.language.values import NEVER
from tillit.profile import judge_acts, load_acts
from tillit.records import TRUST_OPERATOR
from tillit.store import Reading

Answers = Callable[[Person, int], tuple[bool, int]]


def standing_statements(
    reading: Reading, keys: Sequence[tuple[int, int]], known: Collection[int] | None = None
) -> list[Statement]:
    """Give what was said of somebody's groups, without what colleagues took back.

    `known`: only what these positions said.
    """
    statements = [one for one in load_statements(reading, keys) if known is None or one.position in known]
    if not any(one.trust == TRUST_OPERATOR for one in statements):
        return statements
    acts = [act for act in load_acts(reading, keys) if known is None or act.position in known]
    retracted = judge_acts(acts).retracted
    gone = {act.position for act in acts if act.message_id in retracted}
    return [one for one in statements if one.position not in gone]


def turn_after(statements: Iterable[Statement], at: int) -> int:
    """Give the next instant at which somebody's places may change by themselves; NEVER when they do not."""
    turns = (turn for one in statements for turn in (one.since_at, one.until_at) if turn is not None and turn > at)
    return min(turns, default=NEVER)


class Circles:
    """The groups of some people, each read once. Good for one moment of the state."""

    def __init__(
        self,
        reading: Reading,
        make: Callable[[Holder], Any],
        see: Callable[[Any, Any], Any] = lambda person, _: person,
        may_name: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Know where to read, and how other people are told of.

        `see` gives somebody as the person is seen about whom is asked; `may_name` says who may be named.
        """
        self._reading = reading
        self._make = make
        self._see = see
        self.may_name = may_name
        self._said: dict[int, list[Statement]] = {}
        self._near: dict[str, list[tuple[Holder, list[Statement]]]] = {}
        self._first: dict[str, frozenset[int]] = {}
        self._people: dict[int, Any] = {}
        self._may: dict[tuple[int, str, int], tuple[bool, int]] = {}
        self._held: dict[tuple[object, ...], tuple[frozenset[str], int]] = {}

    def of(self, holder: Holder, asker: Any) -> "OfPerson":
        """Give the groups of one person. `asker`: the person as they are looked at."""
        return OfPerson(self, holder, asker)

    def said_of(self, holder: Holder) -> list[Statement]:
        """Give what was said of somebody's groups."""
        found = self._said.get(holder.root_id)
        if found is None:
            found = self._said[holder.root_id] = standing_statements(self._reading, holder.keys)
        return found

    def first(self, group_key: str) -> frozenset[int]:
        """Give the first identifiers of whom something was said of a group: those that are looked at."""
        found = self._first.get(group_key)
        if found is None:
            anchors = list_anchors(self._reading, group_key, after=-1, limit=MOST_MEMBERS)
            found = self._first[group_key] = frozenset(anchors)
        return found

    def is_in_any(self, holder: Holder, groups: Collection[str]) -> bool:
        """Say whether somebody belongs to one of some groups, or did."""
        return bool(groups) and any(one.group_key in groups for one in self.said_of(holder))

    def near(self, group_key: str) -> list[tuple[Holder, list[Statement]]]:
        """Give whoever stands behind the first identifiers of a group, with what was said of them and the group."""
        found = self._near.get(group_key)
        if found is None:
            anchors = self.first(group_key)
            found = self._near[group_key] = []
            for _, holder in sorted(find_holders(self._reading, anchors).items()):
                said = [one for one in self.said_of(holder) if one.group_key == group_key]
                if any(one.identifier_id in anchors for one in said):
                    found.append((holder, said))
        return found

    def members(self, group_key: str, purpose: str, at: int, asker: Any) -> tuple[list[tuple[Holder, Person]], int]:
        """Give the members of a group who may be used for a purpose, and until when these are all."""
        members, until = [], NEVER
        for holder, said in self.near(group_key):
            until = min(until, turn_after(said, at))
            if judge_places(said, at):
                person = self.look(holder, asker)
                may, turn = self.may(holder.root_id, person, purpose, at)
                until = min(until, turn)
                if may:
                    members.append((holder, person))
        return members, until

    def holding(
        self, group_key: str, purpose: str, at: int, answers: Answers | None, asker: Any
    ) -> tuple[frozenset[str], int]:
        """Give the members of whom a condition holds (None: all), by profile id, and until when."""
        key = (group_key, purpose, at, answers)
        found = self._held.get(key)
        if found is None:
            members, until = self.members(group_key, purpose, at, asker)
            held = set()
            for _, person in members:
                holds, turn = answers(person, at) if answers is not None else (True, NEVER)
                until = min(until, turn)
                if holds:
                    held.add(person.profile_id)
            found = self._held[key] = frozenset(held), until
        return found

    def look(self, holder: Holder, asker: Any) -> Person:
        """Look at somebody as the person is looked at about whom is asked."""
        found = self._people.get(holder.root_id)
        if found is None:
            found = self._people[holder.root_id] = self._make(holder)
        person: Person = self._see(found, asker)
        return person

    def may(self, root: int, person: Person, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether somebody may be used for a purpose; without a purpose everybody may."""
        if not purpose:
            return True, NEVER
        key = (root, purpose, at)
        found = self._may.get(key)
        if found is None:
            found = self._may[key] = person.may(purpose, at)
        return found

    def trait(self, group_key: str, name: str, purpose: str, at: int, asker: Any) -> tuple[Any, int]:
        """Give a group's own trait: the best that somebody said who may be used for a purpose."""
        until = NEVER
        for key, value in list_sayings(self._reading, group_key, name):
            for root, holder in find_holders(self._reading, [key[0]]).items():
                if key in holder.keys:
                    may, turn = self.may(root, self.look(holder, asker), purpose, at)
                    until = min(until, turn)
                    if may:
                        return value, until
        return None, until


class OfPerson:
    """What an evaluator is told of one person's groups."""

    def __init__(self, circles: Circles, holder: Holder, asker: Any) -> None:
        """Know whose they are."""
        self._circles = circles
        self._holder = holder
        self._asker = asker

    def places(self, at: int) -> tuple[list[Place], int]:
        """Give the groups that they belong to, and until when these are all."""
        said = self._circles.said_of(self._holder)
        return [Place(one.group_key, one.role) for one in judge_places(said, at)], turn_after(said, at)

    def is_near(self, group_key: str) -> bool:
        """Say whether they are among the first members of a group, who are looked at."""
        first = self._circles.first(group_key)
        said = self._circles.said_of(self._holder)
        return any(one.group_key == group_key and one.identifier_id in first for one in said)

    def trait(self, group_key: str, name: str, purpose: str, at: int) -> tuple[Any, int]:
        """Give a group's own trait."""
        return self._circles.trait(group_key, name, purpose, at, self._asker)

    def members(self, group_key: str, purpose: str, at: int) -> tuple[Collection[str], int]:
        """Give the members of a group who may be used for a purpose."""
        return self._circles.holding(group_key, purpose, at, None, self._asker)

    def holding(self, group_key: str, purpose: str, at: int, answers: Answers) -> tuple[Collection[str], int]:
        """Give those of them of whom a condition holds."""
        return self._circles.holding(group_key, purpose, at, answers, self._asker)

    def may_name(self, profile_id: str) -> bool:
        """Say whether a member may be named."""
        return self._circles.may_name(profile_id)


# -- whom a change reaches


class Reached(NamedTuple):
    """Who shares a group with some people: by identifier, what is told to them. `groups`: those of these people."""

    told: dict[int, set[str]]
    groups: Collection[str]


def reached_by(reading: Reading, told: Mapping[int, Collection[str]], beside: Beside) -> Reached:
    """Tell whoever shares a group with some identifiers what they tell: names of audiences.

    Groups are looked at as far as their first members go, and beyond by as many as these identifiers are: so many may
    have come before others, or have gone.
    """
    by_group: dict[str, set[str]] = {}
    for group_key, one in reading.read_in(
        "SELECT DISTINCT group_key, identifier_id FROM group_member WHERE identifier_id IN {in}", [*told]
    ):
        by_group.setdefault(group_key, set()).update(beside.of_kind(told[one], kind_of(group_key)))
    found: dict[int, set[str]] = {}
    for group_key, names in sorted(by_group.items()):
        if names:
            for one in list_anchors(reading, group_key, after=-1, limit=MOST_MEMBERS + len(told)):
                found.setdefault(one, set()).update(names)
    return Reached(found, by_group.keys())
