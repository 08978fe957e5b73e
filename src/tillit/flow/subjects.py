"""Subjects: what decisions about one person hang on, put together from the rooms that know.

In:    a moment of the state, who is meant.
Out:   a `Known`, and of it a `Subject` at an instant.
Never: a decision: `consent/` says what it comes to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tillit.consent import Subject, load_statements, subject_of
from tillit.groups import FACT_TRAITS, facts_of, turns_of
from tillit.identity import DEVICE_RANK, joined_at
from tillit.profile import load_facts, strand_keys
from tillit.records import Membership
from tillit.store import Reading

_SELF = "user_id"  # by which your own systems name a person


class Known(NamedTuple):
    """What is known of one person that decisions hang on."""

    said: Subject  # all but facts
    traits: Mapping[str, Any]  # those that are facts
    adult_age: int

    def at(self, instant: int) -> Subject:
        """Give it as it is at an instant. Units: UTC epoch microseconds."""
        if not self.traits:
            return self.said
        facts = facts_of(self.traits, at=instant, adult_age=self.adult_age)
        return self.said._replace(is_deceased=facts["deceased"] is not None, is_minor=facts["minor"] is True)

    def turns(self) -> set[int]:
        """Give the instants at which facts change by themselves. Units: UTC epoch microseconds."""
        return turns_of(self.traits, adult_age=self.adult_age)


def read_known(
    reading: Reading, membership: Membership, *, adult_age: int, epoch: int, with_facts: bool = True
) -> Known:
    """Say what decisions about one person hang on; without facts where none can matter."""
    devices = frozenset(m.identifier_id for m in membership.identifiers if m.rank >= DEVICE_RANK)
    selves = [m.identifier_id for m in membership.identifiers if m.namespace == _SELF]
    keys = strand_keys(membership)
    said = subject_of(
        membership.profile_id,
        load_statements(reading, keys),
        selves=selves,
        devices=devices,
        is_known=len(devices) < len(membership.identifiers),
        joined_at=joined_at(reading, _ids(membership), selves) if len(selves) > 1 else 0,
    )
    traits = load_facts(reading, membership, FACT_TRAITS, epoch=epoch) if with_facts else {}
    return Known(said, traits, adult_age)


def read_subject(
    reading: Reading, membership: Membership, *, at: int, adult_age: int, epoch: int, with_facts: bool = True
) -> Subject:
    """Say what decisions about one person hang on at an instant. Units: at is UTC epoch microseconds."""
    return read_known(reading, membership, adult_age=adult_age, epoch=epoch, with_facts=with_facts).at(at)


def _ids(membership: Membership) -> Sequence[int]:
    return [m.identifier_id for m in membership.identifiers]
