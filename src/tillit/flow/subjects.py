"""Subjects: what decisions about one person hang on, put together from the rooms that know.

In:    a moment of the state, who is meant.
Out:   a `Known`, and of it a `Subject` at an instant; the events by which somebody is dead or a minor.
Never: a decision: `consent/` says what it comes to.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.consent import Subject, load_statements, subject_of
from tillit.groups import FACT_TRAITS, facts_of, turns_of
from tillit.identity import DEVICE_RANK, joined_at
from tillit.profile import load_facts, position_of, strand_keys
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


def find_telling(
    reading: Reading, membership: Membership, *, among: Collection[int], at: int, adult_age: int
) -> set[int]:
    """Give the places in the log of the events by which somebody is deceased or a minor at an instant.

    Also of those by which one of some identifiers would be, if it were somebody's alone: people are parted again.
    Units: at is UTC epoch microseconds.
    """
    each = [
        membership._replace(identifiers=(one._replace(spans=(span,)),))
        for one in membership.identifiers
        if one.identifier_id in among
        for span in one.spans
    ]
    found = set()
    for one in (membership, *each):
        facts = facts_of(load_facts(reading, one, FACT_TRAITS, epoch=1), at=at, adult_age=adult_age)
        for evidence in (facts["deceased"], facts["minor_evidence"] if facts["minor"] else None):
            if evidence is not None:
                found.add(position_of(evidence["event_id"], 1) or 0)
    return found


def _ids(membership: Membership) -> Sequence[int]:
    return [m.identifier_id for m in membership.identifiers]
