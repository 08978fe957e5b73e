"""Nodes: what a definition of an audience or a feature is made of, once it has been read.

In:    nothing.
Out:   frozen values that say the same when they are equal: what is shared between definitions is found by them.
Never: code. A definition is data, and is read by an evaluator, a compiler and whoever reads it aloud.

Units: spans of time are microseconds, instants UTC epoch microseconds.
"""

from typing import Any, NamedTuple, TypeVar

Path = tuple[str, ...]  # a property within properties: ("shipping", "country")
Scalar = bool | float | str

_Kind = TypeVar("_Kind", bound=type)


def _apart(kind: _Kind) -> _Kind:
    """Let nodes be equal only to nodes of their own kind: tuples of the same parts are equal, "all" is not "any"."""

    def is_equal(one: Any, other: object) -> bool:
        return type(other) is kind and tuple.__eq__(one, other)

    def is_other(one: Any, other: object) -> bool:
        return not is_equal(one, other)

    for name, method in (("__eq__", is_equal), ("__ne__", is_other)):
        setattr(kind, name, method)
    return kind


class Test(NamedTuple):
    """One comparison. Grain: one operator and what it compares with.

    Operators: see `TESTS`. Values: a scalar, a tuple of scalars (one_of, none_of, all_of, between), an instant
    (before, after) or a span (within_last, within_next, more_than_ago).
    """

    op: str
    value: Any

    def __eq__(self, other: object) -> bool:
        """Say whether they ask the same: true is not 1."""
        return type(other) is Test and _spelled(self) == _spelled(other)

    def __ne__(self, other: object) -> bool:
        """Say whether they ask something else."""
        return not self == other

    def __hash__(self) -> int:
        """Hash what is asked."""
        return hash((self.op, self.value))


def _spelled(test: Test) -> tuple[Any, ...]:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    return test.op, type(test.value), *((type(one), one) for one in values)


@_apart
class PropertyTest(NamedTuple):
    """A property passes every one of some tests."""

    path: Path
    tests: tuple[Test, ...]


@_apart
class Nested(NamedTuple):
    """Of the elements of a list `some`, `every` or `none` pass a clause, each with its own fields."""

    path: Path
    quantifier: str
    clause: "Clause"


@_apart
class AllClauses(NamedTuple):
    """Every clause holds."""

    all_of: tuple["Clause", ...]


@_apart
class AnyClause(NamedTuple):
    """At least one clause holds."""

    any_of: tuple["Clause", ...]


@_apart
class NotClause(NamedTuple):
    """The clause does not hold."""

    clause: "Clause"


Clause = PropertyTest | Nested | AllClauses | AnyClause | NotClause


@_apart
class Matcher(NamedTuple):
    """Which events count.

    `type`: track, page or screen; "*" any of them. `names`: of the event, page or screen; empty: any.
    """

    type: str
    names: tuple[str, ...]
    where: Clause | None = None


@_apart
class Ever(NamedTuple):
    """All events up to now."""

    kind: str = "ever"


@_apart
class Rolling(NamedTuple):
    """Events that happened after now - `within`, and not after now - `older_than`."""

    within: int
    older_than: int = 0


@_apart
class Absolute(NamedTuple):
    """Events from one instant on, and before another (None: without end on that side)."""

    from_at: int | None
    until_at: int | None


@_apart
class Calendar(NamedTuple):
    """Events in whole days, weeks (from Monday), months, quarters or years of a time zone.

    The unit that began `back` units ago, and `length` of them from there. 0 and 1: the present one.
    """

    unit: str
    back: int
    length: int
    zone: str


@_apart
class SinceLast(NamedTuple):
    """Events after the last of some other events, at most `within` back; when there was none: all within."""

    matcher: Matcher
    within: int


@_apart
class Session(NamedTuple):
    """Events of the visit that goes on now: none of its pauses, nor the one since its last event, is over `gap`."""

    gap: int


Window = Ever | Rolling | Absolute | Calendar | SinceLast | Session


@_apart
class Aggregate(NamedTuple):
    """What is made of the events: count; sum, average, minimum, maximum, distinct, first, last, most_frequent of."""

    kind: str
    path: Path = ()


@_apart
class EventValue(NamedTuple):
    """A value made of a person's events."""

    matcher: Matcher
    window: Window
    aggregate: Aggregate


@_apart
class TraitValue(NamedTuple):
    """A trait as the profile shows it."""

    path: Path


@_apart
class FeatureValue(NamedTuple):
    """The value of a feature that is defined elsewhere."""

    name: str


Value = EventValue | TraitValue | FeatureValue


@_apart
class Compare(NamedTuple):
    """A value passes every one of some tests."""

    value: Value
    tests: tuple[Test, ...]


@_apart
class FirstTime(NamedTuple):
    """The first such event ever lies in the window."""

    matcher: Matcher
    window: Rolling | Absolute | Calendar


@_apart
class Restarted(NamedTuple):
    """Such an event happened within a span, and the one before it at least `quiet` earlier."""

    matcher: Matcher
    within: int
    quiet: int


@_apart
class Regularly(NamedTuple):
    """In at least `at_least` of the last `of` stretches of time, each `every` long, such an event happened."""

    matcher: Matcher
    every: int
    at_least: int
    of: int


@_apart
class Step(NamedTuple):
    """One event of a sequence: what it is, how soon after the step before, and what may not lie in between."""

    matcher: Matcher
    gap: int | None = None
    without: Matcher | None = None


@_apart
class Sequence(NamedTuple):
    """Steps one after the other, all of them within a span up to now.

    `total`: from the first step to the last; None: as long as `within`. `same`: properties that all steps agree on.
    `unless`: what may not follow the last step within `unless_within`, which must be over.
    """

    steps: tuple[Step, ...]
    within: int
    total: int | None = None
    same: tuple[Path, ...] = ()
    unless: Matcher | None = None
    unless_within: int = 0


@_apart
class InAudience(NamedTuple):
    """Is a member of another audience."""

    name: str


@_apart
class Permitted(NamedTuple):
    """May be used for a purpose now."""

    purpose: str


@_apart
class Sample(NamedTuple):
    """Falls into a part of everybody that is drawn once and stays: shares from 0 to 1 of a salt's drawing."""

    salt: str
    from_share: float
    until_share: float


@_apart
class InGroup(NamedTuple):
    """Belongs now to a group of which all of this is so; what is left empty is not asked.

    `trait`, `tests`: of the group itself. `sizes`: how many members it has. `counts`: for how many members a condition
    holds; with `others_only` the person is none of them. `purpose`: for which members must be allowed to be used to be
    seen at all; it is never written, but put in by whoever asks for a purpose.
    """

    kind: str = ""  # household, account; empty: any
    roles: tuple[str, ...] = ()
    trait: Path = ()
    tests: tuple[Test, ...] = ()
    sizes: tuple[Test, ...] = ()
    member: "Condition | None" = None
    counts: tuple[Test, ...] = ()
    others_only: bool = False
    purpose: str = ""


@_apart
class Everybody(NamedTuple):
    """Holds for everyone."""

    kind: str = "everybody"


@_apart
class AllOf(NamedTuple):
    """Every condition holds."""

    all_of: tuple["Condition", ...]


@_apart
class AnyOf(NamedTuple):
    """At least one condition holds."""

    any_of: tuple["Condition", ...]


@_apart
class Not(NamedTuple):
    """The condition does not hold."""

    condition: "Condition"


@_apart
class Ranked(NamedTuple):
    """The first of those whom a condition holds of, in the order of a value, or drawn; judged at ticks for everybody.

    `by`: None draws by the salt. `most`: so many; 0: `millionths`, of those who have a place. `every`: from one tick to
    the next. `held`: those left alone of the ones it comes to. It stands at the root of an audience alone.
    """

    of: "Condition"
    by: Value | None
    is_highest: bool
    most: int
    millionths: int
    every: int
    salt: str = ""
    held: Sample | None = None


Condition = (
    Compare
    | FirstTime
    | Restarted
    | Regularly
    | Sequence
    | InAudience
    | Permitted
    | Sample
    | Ranked
    | InGroup
    | Everybody
    | AllOf
    | AnyOf
    | Not
)

Node = Condition | Value

# A greater one is no number to rank by: not every engine has room for it.
MOST_NUMBER = 1e300
# Tests: what is true of a value that is missing.
OF_MISSING = {
    "equals": False,
    "not_equals": True,
    "greater": False,
    "at_least": False,
    "less": False,
    "at_most": False,
    "between": False,
    "one_of": False,
    "none_of": True,
    "all_of": False,
    "contains": False,
    "not_contains": True,
    "starts_with": False,
    "ends_with": False,
    "matches": False,
    "before": False,
    "after": False,
    "within_last": False,
    "more_than_ago": False,
    "within_next": False,
    "is_set": False,
    "is_missing": True,
}
# A test that is another one turned round: it holds where the other does not.
OPPOSITE = {"not_equals": "equals", "none_of": "one_of", "not_contains": "contains", "is_missing": "is_set"}
# Those whose answer changes with time alone.
MOVING = frozenset({"within_last", "more_than_ago", "within_next"})
AGGREGATES = ("count", "sum", "average", "minimum", "maximum", "distinct", "first", "last", "most_frequent")
UNITS = ("day", "week", "month", "quarter", "year")
