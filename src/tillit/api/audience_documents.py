"""The shapes of audiences and features that go in and out.

In:    nothing.
Out:   records for bodies and the types that OpenAPI shows.
Never: a cursor that holds an identifier of a person: they are numbers of ours.
"""

from typing import Annotated, Any, TypedDict

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from tillit.api.documents import Lookup, Purpose
from tillit.audience import Holdout

# -- bodies


class NewPreview(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A definition to try: what stands under `definition:` of an audience."""

    definition: Annotated[dict[str, Any] | str, Meta(description="As in an audience's file, as JSON.")]
    purpose: Purpose | None = None
    after: Annotated[list[str], Meta(max_length=50, description="Audiences whose members are not in it.")] = []
    holdout: Annotated[
        float | str | Holdout | None, Meta(description="A share of everybody that is left alone, as in a file.")
    ] = None
    name: Annotated[str, Meta(max_length=63, description="The audience's name: its holdout is drawn by it.")] = ""
    sample: Annotated[int, Meta(ge=0, le=100, description="How many people to name.")] = 20
    as_of: Annotated[str, Meta(max_length=40)] | None = None  # an instant that has passed: all is as of then


class LookupWhy(Lookup, forbid_unknown_fields=True, kw_only=True):
    """Of whom it is asked. The purpose is the audience's own."""


class LookupValue(Lookup, forbid_unknown_fields=True, kw_only=True):
    """Whose value. The purpose is the feature's own."""


# -- parameters of addresses

PathAudience = Annotated[str, PathParameter(max_length=63, description="The audience's name.")]
PathFeature = Annotated[str, PathParameter(max_length=63, description="The feature's name.")]
QueryAfterPerson = Annotated[int | None, QueryParameter(ge=0, le=2**62, description="The `next` of the page before.")]
QueryThen = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description=(
            "An instant that has passed (RFC 3339, or a day): who was in it then by the definition in force now, "
            "under who is who and who may be used today."
        ),
    ),
]
QueryAfterChange = Annotated[
    int | None,
    QueryParameter(ge=0, le=2**62, description="A `change_id`, or the `next` of the page before."),
]

# -- documents


class AudienceDocument(TypedDict):
    """An audience: its size, what changed since yesterday (UTC), how it stands. `state`: live, filling or broken.

    `as_of`: of an audience that ranks, the instant for which its members were chosen; null of others.
    """

    audience: str
    title: str
    purpose: str
    description: str
    members: int
    change_since_yesterday: int
    state: str
    words: str
    version: int | None
    as_of: str | None


class AudiencesDocument(TypedDict):
    """Every audience in force."""

    audiences: list[AudienceDocument]


class LineDocument(TypedDict):
    """One line of a definition, read aloud."""

    text: str
    depth: int
    joined: str


class VersionDocument(TypedDict):
    """A definition as somebody applied it."""

    version: int
    at: str
    operator: str
    reason: str


class WholeAudienceDocument(AudienceDocument):
    """An audience with its definition, its size in 90 days, and its versions, newest first.

    `trend`: [day since 1970 in UTC, members at its end]. `after`: audiences whose members are not in it. `held_out`:
    people who would be in it and are left alone; null when there is no holdout, or while the lake is busy.
    """

    trend: list[list[int]]
    sentence: str
    lines: list[LineDocument]
    definition: Any
    after: list[str]
    holdout: float | str | dict[str, Any] | None
    held_out: int | None
    versions: list[VersionDocument]


class AudienceMemberDocument(TypedDict):
    """One member; with `as_of`, since when and why is null."""

    profile_id: str
    since: str | None
    cause: str | None


class AudienceMembersDocument(TypedDict):
    """A page of members. `withheld` counts those on it whom the purpose may not use, by the reason.

    `as_of`: the instant that was asked for; null: now. Of an audience that ranks, the instant for which they were
    chosen.
    """

    audience: str
    purpose: str
    as_of: str | None
    members: list[AudienceMemberDocument]
    withheld: dict[str, int]
    next: int | None


class DecidingEventDocument(TypedDict):
    """An event that decided."""

    event_id: str
    at: str


class LeafDocument(TypedDict):
    """One part of a definition, and whether it holds for one person; parts of a part stand one deeper.

    `flip`: what alone would turn it. `people`: the profile ids that `value` names.
    """

    kind: str
    sentence: str
    holds: bool
    value: str | None
    wanted: str | None
    events: list[DecidingEventDocument]
    changes_at: str | None
    flip: str | None
    depth: int
    joined_by: str
    people: list[str]


class WhyAudienceDocument(TypedDict):
    """Why somebody is in an audience or not, and what would change it."""

    audience: str
    profile_id: str
    at: str
    is_member: bool
    since: str | None
    cause: str | None
    sentence: str
    changes_at: str | None
    leaves: list[LeafDocument]
    flip: str | None
    words: list[str]


class ChangeDocument(TypedDict):
    """One change of one person's membership: enter, exit or move.

    `profile_id` is null when the person was erased since. `from_profile_id`: of a move, who they were before.
    """

    change_id: int
    audience: str
    kind: str
    profile_id: str | None
    from_profile_id: str | None
    at: str
    cause: str
    since: str
    version: int


class ChangesDocument(TypedDict):
    """A page of changes in the order in which they were published; it may be short while there are more.

    `withheld` counts changes of people whom the purpose may not use. `next` is where to go on, now or later.
    """

    changes: list[ChangeDocument]
    withheld: dict[str, int]
    next: int
    is_last: bool


class OverlapDocument(TypedDict):
    """How an audience shares people with another one."""

    audience: str
    both: int
    here_only: int
    there_only: int


class NearDocument(TypedDict):
    """An audience that has nearly the same people."""

    audience: str
    similarity: float


class CostDocument(TypedDict):
    """What an audience adds to what is kept of each person, and how long the question took."""

    tapes_shared: int
    tapes_new: int
    seconds: float


class PreviewDocument(TypedDict):
    """Who would be in an audience. `sample` names people whom the purpose may use.

    With `as_of` all is as of then, and there are no overlaps.
    """

    purpose: str
    as_of: str | None
    sentence: str
    people: int
    of: int
    share: float
    permitted: int
    withheld: dict[str, int]
    sample: list[str]
    trend: list[list[int]]
    overlaps: list[OverlapDocument]
    near: list[NearDocument]
    cost: CostDocument


class FeatureDocument(TypedDict):
    """A feature: what it is made of. `state`: live or broken."""

    feature: str
    title: str
    description: str
    purpose: str
    sentence: str
    definition: Any
    version: int | None
    state: str
    words: str


class FeaturesDocument(TypedDict):
    """Every feature in force."""

    features: list[FeatureDocument]


class WholeFeatureDocument(FeatureDocument):
    """A feature and how its values are spread over the people whom its purpose may use.

    A bar is {"value", "n"}, or {"from", "until", "n"} of numbers.
    """

    n: int
    missing: int
    rare: int
    bars: list[dict[str, Any]]


class PersonValueDocument(TypedDict):
    """One person's value; null when there is none."""

    profile_id: str
    value: Any


class ValueOfFeatureDocument(PersonValueDocument):
    """One person's value, and when it changes with nothing new happening."""

    feature: str
    changes_at: str | None


class ValuesDocument(TypedDict):
    """A page of people's values. `withheld` counts those on it whom the purpose may not use, by the reason."""

    feature: str
    purpose: str
    values: list[PersonValueDocument]
    withheld: dict[str, int]
    next: int | None
