"""Beside: which answers about others what came to somebody may have turned, where they belong to one group.

In:    conditions by audience; what came onto somebody's tapes, and which of their traits were said.
Out:   names of audiences whose answer about the other members may be another one now.
Never: a name left out whose answer about somebody else is another one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tillit.language.groups import hangs_on_others
from tillit.language.live import inputs_of
from tillit.language.nodes import AnyOf, Condition
from tillit.language.turns import Documents, turns_of


class Beside:
    """What hangs on other people of a group."""

    def __init__(self, audiences: Mapping[str, tuple[Condition, Mapping[int, int]]]) -> None:
        """Take each audience's condition, and under which id each of its tapes is kept."""
        self._kinds: dict[str, set[str]] = {}
        self._by_trait: dict[str, set[str]] = {}
        members: dict[str, tuple[Condition, Mapping[int, int]]] = {}
        for name, (node, stored) in audiences.items():
            groups = [one for one in inputs_of(node).groups if hangs_on_others(one)]
            asked = tuple(one.member for one in groups if one.member is not None)
            if groups:
                self._kinds[name] = {one.kind for one in groups}
            if asked:
                members[name] = AnyOf(asked), stored
                for trait in inputs_of(AnyOf(asked)).traits:
                    self._by_trait.setdefault(trait, set()).add(name)
        self._turns = turns_of(members)

    @property
    def names(self) -> Collection[str]:
        """Give the audiences that hang on what others are or do."""
        return self._kinds.keys()

    def of_kind(self, names: Collection[str], kind: str) -> set[str]:
        """Give those of some audiences that ask about groups of a kind."""
        return {name for name in names if self._kinds[name] & {kind, ""}}

    def find(
        self,
        came: Mapping[int, Sequence[list[Any]]] | None,
        traits: Collection[str] | None,
        documents: Documents,
        at: int,
    ) -> set[str]:
        """Give the audiences that what came to somebody may have turned for others.

        `came`: by stored id, what was not there before; None: anything. `traits`: names of those that were said; None:
        any. `documents`: what stands on their tapes.
        """
        if came is None:
            return set(self._kinds)
        found: set[str] = set()
        for tape_id, entries in came.items():
            hanging = self._turns.get(tape_id)
            if hanging is not None:
                # Nobody keeps whether the condition held of them: it is asked as if it had, and as if it had not.
                found |= hanging.find(entries, tape_id, documents, self._kinds, at)
                found |= hanging.find(entries, tape_id, documents, (), at)
        for trait in self._by_trait if traits is None else traits:
            found |= self._by_trait.get(trait, set())
        return found
