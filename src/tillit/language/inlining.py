"""Inlining: what a definition names of others is put in the place of the name.

In:    a definition; the others, by name.
Out:   a definition that hangs on nothing but events, traits and permissions.
Never: a circle. An audience that hangs on itself is refused, with the way round.
"""

from collections.abc import Mapping
from typing import TypeVar, cast

from tillit.errors import InputError
from tillit.language.nodes import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    FeatureValue,
    InAudience,
    InGroup,
    Not,
    Ranked,
    Value,
)

_MOST_PARTS = 5_000
NESTED = (
    "What it asks of members (`member:`) asks about groups in turn: what members of members do is not looked at. Take "
    "out the one or the other, also in what it names."
)
_RANKED = (
    "It ranks everybody and asks about groups (`group:`): what others of a group do between two looks at everybody is "
    "not heard. Take out the one or the other, also in what it names and in what it comes `after`."
)

Some = TypeVar("Some", bound=Condition | Value)


class Unresolved(InputError):
    """A definition names what is not there, or hangs on itself."""

    code = "language.unresolved"


def inline(
    node: Some,
    audiences: Mapping[str, Condition],
    features: Mapping[str, Value],
    *,
    within: tuple[str, ...] = (),
) -> Some:
    """Put what a definition names in the place of the names. `within`: the names that led here.

    Raises: Unresolved.
    """
    return cast(Some, _Inlining(audiences, features).node(node, within))


class _Inlining:
    def __init__(self, audiences: Mapping[str, Condition], features: Mapping[str, Value]) -> None:
        self._audiences = audiences
        self._features = features
        self._n_parts = 0
        self._is_of_member = False
        self._is_ranked = False

    def node(self, node: Condition | Value, within: tuple[str, ...]) -> Condition | Value:
        self._n_parts += 1
        if self._n_parts > _MOST_PARTS:
            raise Unresolved(f"With all that it names it has over {_MOST_PARTS:,} parts. Name fewer others.")
        match node:
            case AllOf(parts):
                return AllOf(tuple(cast(Condition, self.node(one, within)) for one in parts))
            case AnyOf(parts):
                return AnyOf(tuple(cast(Condition, self.node(one, within)) for one in parts))
            case Not(inner):
                return Not(cast(Condition, self.node(inner, within)))
            case Compare(value, tests):
                return Compare(cast(Value, self.node(value, within)), tests)
            case InGroup():
                return self._group(node, within)
            case InAudience(name):
                return self._named(name, self._audiences, "audience", within)
            case Ranked():
                self._is_ranked = True
                of = cast(Condition, self.node(node.of, within))
                by = None if node.by is None else cast(Value, self.node(node.by, within))
                return node._replace(of=of, by=by)
            case FeatureValue(name):
                return self._named(name, self._features, "feature", within)
        return node

    def _group(self, node: InGroup, within: tuple[str, ...]) -> InGroup:
        if self._is_ranked:
            raise Unresolved(_RANKED)
        if self._is_of_member:
            raise Unresolved(NESTED)
        if node.member is None:
            return node
        self._is_of_member = True
        member = cast(Condition, self.node(node.member, within))
        self._is_of_member = False
        return node._replace(member=member)

    def _named(
        self, name: str, known: Mapping[str, Condition] | Mapping[str, Value], kind: str, within: tuple[str, ...]
    ) -> Condition | Value:
        mark = name if kind == "audience" else f"{name} "
        if mark in within:
            way = " → ".join(one.strip() for one in (*within[within.index(mark) :], mark))
            raise Unresolved(f"It hangs on itself: {way}.")
        found = known.get(name)
        if found is None:
            listed = ", ".join(sorted(known)[:20]) or "none"
            raise Unresolved(f"There is no {kind} {name[:63]!r} in force. There are: {listed}.")
        if isinstance(found, Ranked):
            raise Unresolved(
                f"The audience {name!r} ranks everybody at ticks, and others cannot name it. Say in this one what "
                f"that one says in its `of`, or send both to one destination."
            )
        return self.node(found, (*within, mark))
