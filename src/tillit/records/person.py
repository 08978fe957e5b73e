"""Who one person is: the identifiers that are theirs, and when.

In:    nothing.
Out:   `Membership`, made by `identity/`, read by `profile/`.
Never: stored. It is true of the moment it was made.
"""

from typing import NamedTuple


class MemberIdentifier(NamedTuple):
    """One identifier of a person and the spans of time in which it is theirs."""

    identifier_id: int
    namespace: str
    value: str
    rank: int  # lower is stronger; what people pass on or share comes last
    spans: tuple[tuple[int, int, int], ...]  # (part, from_at, until): UTC epoch microseconds, until is not included


class Membership(NamedTuple):
    """One person, strongest identifier first."""

    profile_id: str
    identifiers: tuple[MemberIdentifier, ...]
