"""Leave to use personal values: only `consent/` makes these.

In:    nothing.
Out:   `Scope` (a purpose, over many people), which doors ask for; `Permit` (one person, under a scope), which every
       function that hands out a person's values takes.
Never: stored. They carry the log position at which they were decided and are asked for again.
"""

from typing import NamedTuple

from tillit.records.carried import carried_allows

# What a colleague looks for without the person's leave: no policy declares it, and no key may ask for it.
BREAK_GLASS = "break_glass"


class Withheld(NamedTuple):
    """One thing that was not handed out, and why."""

    field: str  # "*": everything
    reason: str


class Scope(NamedTuple):
    """Leave to use values of many people for one purpose, of each as far as it holds for them."""

    purpose: str
    position: int  # log position at which it was decided
    asked_by: str  # id of the key, or "process" for the Python door
    at: int  # UTC epoch microseconds: the instant for which it holds
    basis: str
    policy: str  # hash of the purposes in force
    fields: frozenset[str] | None  # None: all
    categories: tuple[str, ...]  # that stand for the purpose in what an event carries
    channel: str = ""
    recipient: str = ""
    jurisdiction: str = ""
    kept_after: int = 0  # log position: what lies at it or before is too old for the purpose
    only: str = ""  # the profile id that it is about, alone; empty: anybody

    @property
    def is_break_glass(self) -> bool:
        """Say whether a colleague looks without leave: it is for looking, and nothing may leave under it."""
        return self.purpose == BREAK_GLASS

    def allows(self, field: str) -> bool:
        """Say whether the purpose reaches a field: `traits.email`, `identifiers.phone`, `events.Signed Up`, `groups`.

        A part that is named alone stands for all in it.
        """
        fields = self.fields
        return fields is None or field in fields or field.partition(".")[0] in fields

    def allows_some(self, part: str) -> bool:
        """Say whether anything of a part (`traits`, `identifiers`, `events`) is within reach."""
        return self.fields is None or any(one.partition(".")[0] == part for one in self.fields)

    def allows_event(self, carried: str) -> bool:
        """Say whether an event that carries this consent may be used."""
        return carried_allows(carried, self.basis, self.categories)


class Permit(NamedTuple):
    """Leave to use one person's values for one purpose."""

    scope: Scope
    profile_id: str
    record: int | None  # log position of the statement it rests on; None: on none
    until: int | None  # when it ends by itself


class Refusal(NamedTuple):
    """No leave, and why."""

    scope: Scope
    profile_id: str
    reason: str
    record: int | None  # log position of the statement that refuses, if one does
