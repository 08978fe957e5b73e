"""Leave: whether one person's values may be used under a scope, from what they said and what is known of them.

In:    a moment of the state, who is meant, a scope.
Out:   a `Permit` or a `Refusal`, made by `consent/`.
Never: an answer that is kept: whoever asks again is answered anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tillit.consent import (
    Declared,
    Subject,
    UnknownPurpose,
    hangs_on_choice,
    load_statements,
    permit_for,
    policy_in_force,
    subject_of,
)
from tillit.groups import FACT_TRAITS, facts_of
from tillit.identity import DEVICE_RANK, Handle, find_membership, joined_at, read_event, rules_in_force
from tillit.profile import load_facts, strand_keys
from tillit.records import LogRow, Membership, Permit, Refusal, Scope
from tillit.store import Reading

_SELF = "user_id"  # by which your own systems name a person


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

    def anchor(self, row: LogRow) -> tuple[str, str] | None:
        """Name the strongest identifier of an event; None when it names nobody."""
        try:
            told = rules_in_force(self.reading).handles_of(read_event(row.body or b"{}"))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return told[0].key if told and told[0].rank >= 0 else None

    def of_identifier(self, key: tuple[str, str]) -> Permit | Refusal | None:
        """Give leave for whoever holds an identifier; None when nobody does."""
        membership = find_membership(self.reading, Handle(0, *key))
        return self.of(membership) if membership is not None else None

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


def leave_for(reading: Reading, scope: Scope, *, adult_age: int, epoch: int) -> Leave:
    """Begin to ask for leave, under the purposes that are in force now."""
    declared = policy_in_force(reading)
    if declared.find(scope.purpose) is None:
        raise UnknownPurpose(scope.purpose, declared.purposes)
    return Leave(reading, scope, declared, adult_age, epoch)


def read_subject(
    reading: Reading, membership: Membership, *, at: int, adult_age: int, epoch: int, with_facts: bool = True
) -> Subject:
    """Say what decisions about one person hang on; without facts where none can matter."""
    devices = frozenset(m.identifier_id for m in membership.identifiers if m.rank >= DEVICE_RANK)
    selves = [m.identifier_id for m in membership.identifiers if m.namespace == _SELF]
    facts = {"deceased": None, "minor": None}
    if with_facts:
        traits = load_facts(reading, membership, FACT_TRAITS, epoch=epoch)
        facts = facts_of(traits, at=at, adult_age=adult_age) if traits else facts
    return subject_of(
        membership.profile_id,
        load_statements(reading, strand_keys(membership)),
        selves=selves,
        devices=devices,
        is_known=len(devices) < len(membership.identifiers),
        joined_at=joined_at(reading, _ids(membership), selves) if len(selves) > 1 else 0,
        is_deceased=facts["deceased"] is not None,
        is_minor=facts["minor"] is True,
    )


def _ids(membership: Membership) -> Sequence[int]:
    return [m.identifier_id for m in membership.identifiers]
