"""Groups: conditions about the households and accounts that a person belongs to, and about who else belongs to them.

In:    a condition about groups; what is known of a person's groups.
Out:   an answer at an instant, and until when it holds: never later than it really changes.
Never: a member who may not be used for the purpose for which is asked: they are not counted, and nothing of them is.

A group is looked at for the first `MOST_MEMBERS` identifiers of whom something was said of it. Whoever stands behind
these is a member for what asks about members; whoever comes later belongs to the group, and is not looked at.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

from tillit.language.nodes import AllOf, AnyOf, Condition, InGroup, Not, Test
from tillit.language.values import NEVER, at_path, changes_at, passes

MOST_MEMBERS = 1_000


class Place(NamedTuple):
    """A person's place in a group. Grain: one per group that they belong to."""

    group_key: str  # kind:id
    role: str | None


class Somebody(Protocol):
    """What is asked of a person here."""

    @property
    def profile_id(self) -> str:
        """Give their id."""
        ...

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether they may be used for a purpose, and until when."""
        ...

    def relations(self) -> "Relations":
        """Give what is known of their groups."""
        ...


class Relations(Protocol):
    """What an evaluator is told of a person's groups."""

    def places(self, at: int) -> tuple[Sequence[Place], int]:
        """Give the groups that they belong to, and until when these are all."""
        ...

    def is_near(self, group_key: str) -> bool:
        """Say whether they are among the first members of a group, who are looked at."""
        ...

    def trait(self, group_key: str, name: str, purpose: str, at: int) -> tuple[Any, int]:
        """Give a group's own trait, as people said it who may be used for a purpose; None when there is none."""
        ...

    def members(self, group_key: str, purpose: str, at: int) -> tuple[Collection[str], int]:
        """Give the profile ids of members who may be used for a purpose, and until when these are all."""
        ...

    def holding(
        self, group_key: str, purpose: str, at: int, answers: "Callable[[Any, int], tuple[bool, int]]"
    ) -> tuple[Collection[str], int]:
        """Give those of these members of whom a condition holds, and until when."""
        ...

    def may_name(self, profile_id: str) -> bool:
        """Say whether a member may be named to whoever asks why."""
        ...


_Answers = Callable[[Any, int], tuple[bool, int]]


def kind_of(group_key: str) -> str:
    """Give the kind of a group.

    >>> kind_of("household:h1")
    'household'
    """
    return group_key.partition(":")[0]


def compile_group(node: InGroup, compile_condition: Callable[[Condition], _Answers]) -> _Answers:
    """Make a function that answers a condition about groups."""
    inner = compile_condition(node.member) if node.member is not None else None

    def answer(person: Somebody, at: int) -> tuple[bool, int]:
        relations = person.relations()
        places, until = relations.places(at)
        for place in places:
            if is_meant(node, place):
                holds, turn = _fits(node, inner, person, relations, place, at)
                until = min(until, turn)
                if holds:
                    return True, until
        return False, until

    return answer


def is_meant(node: InGroup, place: Place) -> bool:
    """Say whether a place is in a group of the kind and in one of the roles that are asked for."""
    if node.kind and kind_of(place.group_key) != node.kind:
        return False
    return not node.roles or place.role in node.roles


def _fits(
    node: InGroup, inner: _Answers | None, person: Somebody, relations: Relations, place: Place, at: int
) -> tuple[bool, int]:
    until = NEVER
    if node.trait:
        held, until = relations.trait(place.group_key, node.trait[0], node.purpose, at)
        value = at_path(held, node.trait[1:])
        until = min([until, *(changes_at(test, value, at) for test in node.tests)])
        if not all(passes(test, value, at) for test in node.tests):
            return False, until
    if (node.sizes or inner is not None) and not relations.is_near(place.group_key):
        return False, until
    if node.sizes:
        members, turn = relations.members(place.group_key, node.purpose, at)
        until = min(until, turn)
        if not _is_number(len(members), node.sizes):
            return False, until
    if inner is not None:
        n, turn = count_members(node, inner, person, place, at)
        until = min(until, turn)
        if not _is_number(n, node.counts):
            return False, until
    return True, until


def count_members(node: InGroup, inner: _Answers, person: Somebody, place: Place, at: int) -> tuple[int, int]:
    """Count the members of a group of whom the condition holds, and say until when."""
    holding, until = person.relations().holding(place.group_key, node.purpose, at, inner)
    n = len(holding) - (person.profile_id in holding)
    if node.others_only:
        return n, until
    # The person is asked as they are told here: others are what is kept of them.
    is_held, turn = inner(person, at)
    until = min(until, turn)
    if is_held and node.purpose:
        is_held, turn = person.may(node.purpose, at)
        until = min(until, turn)
    return n + is_held, until


def _is_number(n: int, tests: Sequence[Test]) -> bool:
    return all(passes(test, float(n), 0) for test in tests)


def hangs_on_others(node: InGroup) -> bool:
    """Say whether a condition about groups hangs on what anybody but the person says, is or does."""
    return bool(node.trait or node.sizes or node.member is not None)


def for_purpose(node: Condition, purpose: str) -> Condition:
    """Let every condition about groups see only who may be used for a purpose."""
    match node:
        case AllOf(parts):
            return AllOf(tuple(for_purpose(one, purpose) for one in parts))
        case AnyOf(parts):
            return AnyOf(tuple(for_purpose(one, purpose) for one in parts))
        case Not(inner):
            return Not(for_purpose(inner, purpose))
        case InGroup() if hangs_on_others(node):
            return node._replace(purpose=purpose)
    return node
