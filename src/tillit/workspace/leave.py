"""Leave: whether one person's values may be used under a scope, from what they said and what is known of them.

In:    a moment of the state, who is meant, a scope.
Out:   a `Permit` or a `Refusal`, made by `consent/`.
Never: an answer that is kept: whoever asks again is answered anew.
"""

from typing import NamedTuple

import msgspec

from tillit.consent import (
    REASONS,
    Declared,
    Subject,
    UnknownPurpose,
    hangs_on_choice,
    is_anybody_restricted,
    permit_for,
    policy_in_force,
)
from tillit.errors import RefusedError
from tillit.flow import read_subject
from tillit.identity import (
    DEVICE_RANK,
    Handle,
    find_membership,
    find_profile_id,
    profile_id,
    read_event,
    rules_in_force,
)
from tillit.records import LISTED_BASES, LogRow, Membership, Permit, Refusal, Scope
from tillit.store import Reading


class PersonWithheld(RefusedError):
    """What was asked about a person may not be told for this purpose."""

    code = "consent.withheld"

    def __init__(self, scope: Scope, reason: str) -> None:
        """Say for what, and why not."""
        super().__init__(
            f"This may not be told for the purpose {scope.purpose!r}. {REASONS.get(reason, 'It does not reach this.')} "
            "Ask for another purpose, or ask the customer.",
            purpose=scope.purpose,
            reason=reason,
        )


Who = tuple[str, str] | str  # an identifier's namespace and value, or a profile id


class Leave(NamedTuple):
    """How leave to read of people is asked for at one moment of the state."""

    reading: Reading
    scope: Scope
    declared: Declared
    adult_age: int
    epoch: int

    def of(self, membership: Membership) -> Permit | Refusal:
        """Give leave for one person, or say why there is none."""
        return permit_for(self.scope, self.declared, self.subject(membership))

    def with_facts(self, membership: Membership) -> tuple[Permit | Refusal, Subject]:
        """Give leave for one person, and what is known of them beside: whoever writes to the dead is told nothing."""
        subject = read_subject(
            self.reading, membership, at=self.scope.at, adult_age=self.adult_age, epoch=self.epoch, with_facts=True
        )
        return permit_for(self.scope, self.declared, subject), subject

    def whose(self, row: LogRow) -> Who | None:
        """Say whom an event is about: its strongest identifier, of a device who had it then; None: it names nobody."""
        try:
            told = rules_in_force(self.reading).handles_of(read_event(row.body or b"{}"))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not told or told[0].rank < 0:
            return None
        if told[0].rank < DEVICE_RANK:
            return told[0].key
        held = self.reading.read(
            "SELECT t.holder_id FROM identifier i JOIN tenure t ON t.identifier_id = i.identifier_id "
            "WHERE i.namespace = ? AND i.value = ? "
            # Before anybody is known to have had it, it was its first holder's.
            "ORDER BY CASE WHEN t.from_at <= ? THEN 0 ELSE 1 END, "
            "CASE WHEN t.from_at <= ? THEN -t.from_at ELSE t.from_at END, "
            "CASE WHEN t.from_at <= ? THEN -t.from_position ELSE t.from_position END LIMIT 1",
            (*told[0].key, row.event_at, row.event_at, row.event_at),
        )
        return profile_id(held[0][0]) if held else told[0].key

    def id_of(self, who: Who) -> str | None:
        """Give the profile id of whoever `whose` named, with one read; None when nobody is known by that."""
        return find_profile_id(self.reading, who if isinstance(who, str) else Handle(0, *who))

    def find(self, who: Who) -> Membership | None:
        """Say who is meant; None when nobody is known by that."""
        return find_membership(self.reading, who if isinstance(who, str) else Handle(0, *who))

    def subject(self, membership: Membership) -> Subject:
        """Say what a decision about one person hangs on."""
        return read_subject(
            self.reading,
            membership,
            at=self.scope.at,
            adult_age=self.adult_age,
            epoch=self.epoch,
            with_facts=hangs_on_choice(self.declared, self.scope.purpose),
        )


class Near:
    """Whether people whom one answer names beside others may be told of: each is asked for once."""

    def __init__(self, leave: Leave) -> None:
        """Know nobody yet."""
        self._leave = leave
        # What the customer's choice does not decide is only ever stopped by a restriction, or by what a minor may not.
        self._is_of_known_alone = leave.scope.basis in LISTED_BASES or leave.scope.is_break_glass
        self.needs_asking = (
            leave.scope.is_break_glass
            or hangs_on_choice(leave.declared, leave.scope.purpose)
            or is_anybody_restricted(leave.reading)
        )
        self._known: dict[Who | None, bool] = {}

    def may(self, who: Who | None) -> bool:
        """Say whether whoever holds an identifier may be told of."""
        if not self.needs_asking:
            return True
        known = self._known.get(who)
        if known is None:
            found = self._leave.find(who) if who is not None else None
            # What is of nobody who is known has nobody who could have agreed.
            known = self.may_tell(found) if found is not None else not self._is_of_known_alone
            self._known[who] = known
        return known

    def may_tell(self, membership: Membership) -> bool:
        """Say whether a person may be told of."""
        if not self.needs_asking:
            return True
        known = self._known.get(membership.profile_id)
        if known is None:
            known = self._known[membership.profile_id] = isinstance(self._leave.of(membership), Permit)
        return known

    def reaches(self, namespace: str) -> bool:
        """Say whether the purpose reaches identifiers of a kind."""
        return self._leave.scope.allows(f"identifiers.{namespace}")

    def may_name(self, namespace: str, value: str) -> bool:
        """Say whether an identifier may be told: the purpose reaches it, and whoever holds it may be told of."""
        return self.reaches(namespace) and self.may((namespace, value))

    def may_hear(self, identifier_id: int) -> bool:
        """Say whether what the holder of an identifier (by its number) said may be told."""
        if not self.needs_asking:
            return True
        holders = self._leave.reading.read(
            "SELECT DISTINCT holder_id FROM tenure WHERE identifier_id = ?", (identifier_id,)
        )
        # Of a device that several had, whatever it said stays untold when one of them may not be told of.
        return all(self.may(profile_id(one)) for (one,) in holders or [(identifier_id,)])


def leave_for(reading: Reading, scope: Scope, *, adult_age: int, epoch: int) -> Leave:
    """Begin to ask for leave, under the purposes that are in force now."""
    declared = policy_in_force(reading)
    if not scope.is_break_glass and declared.find(scope.purpose) is None:
        raise UnknownPurpose(scope.purpose, declared.purposes)
    return Leave(reading, scope, declared, adult_age, epoch)
