"""A person as the fold knows them while it judges: how many identifiers of each kind, how new, which birth dates.

In:    rows of their identifiers; rules.
Out:   which rule it would break to make two people one.
Never: anything kept beyond one micro-batch.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from tillit.identity.rules import Limit, Rules

# What a link may break. The first six are Segment's (Profiles Insights); a limit of one is its `set to unique`.
VALUE_LIMIT = "identifier_value_limit_exceeded"
VALUE_TIME_LIMIT = "identifier_value_time_limit_exceeded"
VALUE_BLOCKED = "id_value_blocked"
MERGE_LIMIT = "profile_merge_limit_exceeded"
MAPPING_LIMIT = "identifier_mapping_limit_exceeded"
UNIQUE = "identifier_value_set_to_unique"
TWO_LOGINS = "two_logins"
TWO_BIRTH_DATES = "two_birth_dates"
WEAK_IDENTIFIER = "weak_identifier"
MIXED_ALPHABETS = "mixed_alphabets"
KNOWN_PEOPLE_CLAIMED = "known_people_claimed"
PINNED_APART = "pinned_apart"

_BIRTH_TRAITS = ("birthday", "birthDate", "dateOfBirth", "birthdate", "date_of_birth")
_ANY_BIRTH_TRAIT = frozenset(_BIRTH_TRAITS)
_EVER = 1 << 62
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ].*)?")


class Broken(NamedTuple):
    """A rule that making two people one would break."""

    violation: str
    reason: str


class PersonSoFar:
    """What counts of a person's identifiers when somebody else is to be joined to them."""

    __slots__ = ("births", "counts", "since")

    def __init__(self, identifiers: Iterable[tuple[str, int, int]]) -> None:
        """Take (namespace, event time of the first sight, birth date or 0) of each."""
        self.counts: dict[str, int] = {}
        self.since: list[tuple[int, str]] = []
        self.births: set[int] = set()
        for name, since, birth in identifiers:
            self.counts[name] = self.counts.get(name, 0) + 1
            self.since.append((since, name))
            if birth:
                self.births.add(birth)

    def take_in(self, other: "PersonSoFar") -> None:
        """Become one with somebody else."""
        for name, n in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + n
        self.since += other.since
        self.births |= other.births

    def n_near(self, at: int, window: int, name: str | None = None) -> int:
        """Count identifiers, or those of one kind, that were first seen within a window before or after an instant.

        Also after it: what is told late about last year says nothing of this year.
        """
        return sum(1 for since, its_name in self.since if abs(since - at) < window and name in {None, its_name})


def broken_limit(mine: PersonSoFar, theirs: PersonSoFar, rules: Rules, at: int, *, but: str = "") -> Broken | None:
    """Give the limit of identifiers that two people would break together at an instant, if there is one.

    A kind that only one of them has is not made more by joining; `but` is not counted.
    """
    # Nearly always one of them is a single new identifier.
    few, more = (mine.counts, theirs.counts) if len(mine.counts) < len(theirs.counts) else (theirs.counts, mine.counts)
    for name in few if len(few) == 1 else sorted(few):
        if name not in more:
            continue
        kind = rules.namespace(name)
        limit = kind.limit if kind is not None else None
        if limit is None or name == but:
            continue
        if not limit.window:
            if mine.counts[name] + theirs.counts[name] > limit.n:
                return _too_many(name, limit)
        elif _beyond(mine, theirs, limit, at, name):
            return Broken(VALUE_TIME_LIMIT, f"more than {limit.text} of {name}")
    limit = rules.identifiers
    if limit is not None and _beyond(mine, theirs, limit, at, None):
        return Broken(MAPPING_LIMIT, f"more than {limit.n} identifiers")
    return None


def _too_many(name: str, limit: Limit) -> Broken:
    if name == "user_id" and limit.n == 1:
        return Broken(TWO_LOGINS, "two user ids")
    return Broken(UNIQUE if limit.n == 1 else VALUE_LIMIT, f"more than {limit.n} of {name}")


def broken_growth(mine: PersonSoFar, theirs: PersonSoFar, rules: Rules, at: int) -> Broken | None:
    """Say whether two people would grow too fast together."""
    limit = rules.growth
    if limit is not None and _beyond(mine, theirs, limit, at, None):
        return Broken(MERGE_LIMIT, f"more than {limit.text} new identifiers")
    return None


def _beyond(mine: PersonSoFar, theirs: PersonSoFar, limit: Limit, at: int, name: str | None) -> bool:
    if len(mine.since) + len(theirs.since) <= limit.n:
        return False
    window = limit.window or _EVER
    ours, others = mine.n_near(at, window, name), theirs.n_near(at, window, name)
    return ours > 0 and others > 0 and ours + others > limit.n


def birth_date(traits: dict[str, Any]) -> int:
    """Give the birth date that traits say, as yyyymmdd; 0 when they say none.

    >>> birth_date({"birthday": "1984-02-29T00:00:00Z"})
    19840229
    """
    if _ANY_BIRTH_TRAIT.isdisjoint(traits):
        return 0
    for name in _BIRTH_TRAITS:
        value = traits.get(name)
        if type(value) is str and (told := _DATE.fullmatch(value)) is not None:
            year, month, day = (int(part) for part in told.groups())
            if year >= 1900 and 1 <= month <= 12 and 1 <= day <= 31:
                return year * 10_000 + month * 100 + day
    return 0
