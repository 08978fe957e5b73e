"""A small world of definitions and of people, for the sentences, the whys and the written forms.

In:    Hypothesis.
Out:   definitions as `reading` gives them, and people with tapes, as a fold would have left them.
Never: a value that would not collide with another within a few draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.language.groups import Place
from tillit.language.live import Inputs, inputs_of
from tillit.language.nodes import Condition, Value
from tillit.language.reading import read_condition
from tillit.language.tapes import Document, Tape, add_entries, entry_of, matches, new_document
from tillit.language.values import NEVER

NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00 UTC
NAMES = ("Order Completed", "Cart Viewed")
ZONES = ("UTC", "Europe/Stockholm", "America/New_York")

Plain = Any


class Happening(NamedTuple):
    """One event of a person."""

    at: int
    kind: str
    name: str
    properties: dict[str, Any]


class SmallPerson:
    """One person: strands of events, traits, and answers that stay or end."""

    def __init__(
        self,
        *,
        profile_id: str = "p1",
        strands: Iterable[Iterable[Happening]] = (),
        traits: Mapping[str, Any] | None = None,
        memberships: Mapping[str, int] | None = None,
        features: Mapping[str, Any] | None = None,
        purposes: Mapping[str, int] | None = None,
    ) -> None:
        """Keep what is told; `memberships` and `purposes` say until when they hold."""
        self.profile_id = profile_id
        self.strands = [list(strand) for strand in strands]
        self.traits = dict(traits or {})
        self.memberships = dict(memberships or {})
        self.features = dict(features or {})
        self.purposes = dict(purposes or {})
        self.groups: dict[str, SmallGroup] = {}
        self.logged_at = NOON
        self._documents: dict[int, list[Document]] = {}

    def with_tapes(self, inputs: Inputs | Condition | Value) -> SmallPerson:
        """Write the tapes that a definition wants. What is dated after NOON came at NOON, unless it was added later."""
        wanted = inputs if isinstance(inputs, Inputs) else inputs_of(inputs)
        for who in {id(one): one for group in self.groups.values() for one in (*group.members, self)}.values() or (
            self,
        ):
            who._documents = {tape.tape_id: who._written(tape) for tape in wanted.tapes}
        return self

    def _written(self, tape: Tape) -> list[Document]:
        documents = []
        position = 0
        for strand in self.strands:
            document = new_document(tape)
            has_any = False
            for one in strand:
                position += 1
                if matches(tape.matcher, one.kind, one.name, one.properties):
                    entry = entry_of(tape, one.at, position, one.properties)
                    if entry is not None:
                        add_entries(tape, document, [entry], min(one.at, max(NOON, self.logged_at)))
                        has_any = True
            if has_any:
                documents.append(document)
        return documents

    def documents(self, tape_id: int) -> list[Document]:
        return self._documents[tape_id]

    def trait(self, name: str) -> Any:
        return self.traits.get(name)

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        return _until(self.memberships.get(audience), at)

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        return self.features.get(name), NEVER

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        return _until(self.purposes.get(purpose), at)

    def relations(self) -> SmallRelations:
        return SmallRelations(self.groups)


class SmallGroup(NamedTuple):
    """A group of a person: their role in it, what is known of it, and who belongs to it, they among them."""

    role: str | None
    traits: dict[str, Any]
    members: list[SmallPerson]


class SmallRelations:
    """The groups of one person."""

    def __init__(self, groups: Mapping[str, SmallGroup]) -> None:
        self._groups = groups

    def places(self, _at: int) -> tuple[list[Place], int]:
        return [Place(key, group.role) for key, group in self._groups.items()], NEVER

    def is_near(self, _group_key: str) -> bool:
        return True

    def trait(self, group_key: str, name: str, _purpose: str, _at: int) -> tuple[Any, int]:
        return self._groups[group_key].traits.get(name), NEVER

    def members(self, group_key: str, _purpose: str, _at: int) -> tuple[set[str], int]:
        return {one.profile_id for one in self._groups[group_key].members}, NEVER

    def holding(self, group_key: str, _purpose: str, at: int, answers: Any) -> tuple[set[str], int]:
        told = [(one.profile_id, answers(one, at)) for one in self._groups[group_key].members]
        return {who for who, (holds, _) in told if holds}, min((until for _, (_, until) in told), default=NEVER)

    def may_name(self, _profile_id: str) -> bool:
        return True


def _until(ends: int | None, at: int) -> tuple[bool, int]:
    if ends is None or at >= ends:
        return False, NEVER
    return True, ends


# -- people

_steps = st.sampled_from(
    [0, SECOND, MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY, DAY + SECOND, 3 * DAY, 8 * DAY, 40 * DAY]
)
_numbers = st.sampled_from([0, 1, 2.5, 10, 49.99, 50, 51, 120])
_properties = st.fixed_dictionaries(
    {},
    optional={
        "total": _numbers,
        "currency": st.sampled_from(["EUR", "SEK", "", 7]),
        "vip": st.booleans(),
        "tags": st.lists(st.sampled_from(["a", "b", 1]), max_size=3),
        "shipping": st.fixed_dictionaries({"country": st.sampled_from(["SE", "DE"])}),
        "items": st.lists(st.fixed_dictionaries({"sku": st.sampled_from(["A", "B"]), "price": _numbers}), max_size=2),
    },
)
_kinds = st.sampled_from(["track", "track", "track", "page", "screen"])
_gaps = st.tuples(_steps, _kinds, st.sampled_from(NAMES), _properties)


@st.composite
def people(draw: st.DrawFn, *, has_future: bool = True) -> SmallPerson:
    """Draw somebody with a short history up to about NOON."""
    happenings = []
    then = NOON + (draw(st.sampled_from([0, 0, 0, HOUR, 2 * DAY])) if has_future else 0)
    for gap, kind, name, properties in draw(st.lists(_gaps, max_size=9)):
        then -= gap
        happenings.append(Happening(then, kind, name, properties))
    happenings.reverse()
    cut = draw(st.integers(0, len(happenings)))
    made = SmallPerson(
        profile_id=draw(st.sampled_from(["p1", "p2", "p3"])),
        strands=[happenings[:cut], happenings[cut:]],
        traits=draw(_traits),
        memberships=draw(_ends),
        features={"value": draw(st.one_of(st.none(), _numbers))},
        purposes=draw(_ends),
    )
    if draw(st.booleans()):
        other = SmallPerson(profile_id="p4", strands=[happenings[:3]], traits=draw(_traits))
        told = SmallGroup(
            draw(st.sampled_from([None, "admin"])), draw(_traits), draw(st.sampled_from([[made], [made, other]]))
        )
        made.groups[draw(st.sampled_from(["household:h1", "account:a1"]))] = told
    return made


_traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["pro", "free", "", 3]),
        "age": _numbers,
        "birthday": st.sampled_from(["2025-12-30", "2026-01-02T00:00:00Z", "2026-01-01T11:59:59Z", "soon"]),
        "address": st.fixed_dictionaries({}, optional={"city": st.sampled_from(["Lund", "Kiel"])}),
        "tags": st.lists(st.sampled_from(["a", "b", 1]), max_size=3),
    },
)
_ends = st.dictionaries(
    st.sampled_from(["loyal", "newsletter"]),
    st.sampled_from([NOON - 1, NOON + HOUR, NOON + 3 * DAY, NEVER]),
    max_size=2,
)

# -- definitions, as people write them

_spans = st.sampled_from(["1s", "30m", "1h", "36h", "1d", "7d", "30d", "90d", "1y"])
_short = st.sampled_from(["30m", "1h", "5h", "1d"])
_scalars = st.sampled_from(["EUR", "pro", "a", "", 0, 1, 50, 2.5, True, False])
_any_test = st.one_of(
    st.builds(lambda op, v: {op: v}, st.sampled_from(["equals", "not_equals"]), _scalars),
    st.builds(lambda op, v: {op: v}, st.sampled_from(["greater", "at_least", "less", "at_most"]), _numbers),
    st.builds(lambda a, b: {"between": sorted([a, b])}, _numbers, _numbers),
    st.builds(
        lambda op, v: {op: v},
        st.sampled_from(["one_of", "none_of", "all_of"]),
        st.lists(_scalars, min_size=1, max_size=3),
    ),
    st.builds(
        lambda op, v: {op: v},
        st.sampled_from(["contains", "not_contains", "starts_with", "ends_with", "matches"]),
        st.sampled_from(["E", "EUR", "pro", "a"]),
    ),
    st.builds(
        lambda op, v: {op: v},
        st.sampled_from(["before", "after"]),
        st.sampled_from(["2026-01-01", "2025-12-31T09:30Z"]),
    ),
    st.builds(lambda op, v: {op: v}, st.sampled_from(["is_set", "is_missing"]), st.booleans()),
)
_moving_test = st.builds(
    lambda op, v: {op: v}, st.sampled_from(["within_last", "more_than_ago", "within_next"]), _spans
)
_number_test = st.one_of(
    st.builds(
        lambda op, v: {op: v},
        st.sampled_from(["equals", "not_equals", "greater", "at_least", "less", "at_most"]),
        st.sampled_from([0, 1, 2, 3, 50, 100.5]),
    ),
    st.sampled_from([{"between": [1, 2]}, {"at_least": 1, "at_most": 2}, {"one_of": [0, 2]}, {"none_of": [1, 3]}]),
)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, **other}


def some_tests(*, moving: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw one or two tests."""
    one = st.one_of(_any_test, _moving_test) if moving else _any_test
    return st.one_of(one, st.builds(_merged, one, one))


_properties_named = st.sampled_from(["total", "currency", "vip", "tags", "shipping.country"])
_leaf_clause: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda name, t: {name: t}, _properties_named, some_tests()),
    st.builds(lambda name, v: {name: v}, _properties_named, _scalars),
    st.builds(lambda t: {"property": ["odd.name"], **t}, some_tests()),
    st.builds(
        lambda q, t: {"items": {q: t}},
        st.sampled_from(["some", "every", "none"]),
        st.builds(lambda name, t: {name: t}, st.sampled_from(["sku", "price"]), some_tests()),
    ),
    st.builds(lambda a, b: {"total": a, "currency": b}, some_tests(), _scalars),
)
clauses: st.SearchStrategy[Any] = st.recursive(
    _leaf_clause,
    lambda inner: st.one_of(
        st.builds(
            lambda word, many: {word: many}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=2)
        ),
        st.builds(lambda one: {"not": one}, inner),
        st.builds(lambda one, other: {"any": [one, other], "total": {"greater": 1}}, inner, inner),
    ),
    max_leaves=3,
)


@st.composite
def matchers(draw: st.DrawFn, *, has_where: bool = True) -> dict[str, Any]:
    """Draw which events count."""
    word = draw(st.sampled_from(["event", "event", "event", "page", "screen"]))
    name = draw(st.sampled_from([*NAMES, *NAMES, "*", list(NAMES)]))
    where = draw(st.one_of(st.none(), st.none(), clauses)) if has_where else None
    return {word: name} | ({"where": where} if where is not None else {})


_calendars = st.fixed_dictionaries(
    {"unit": st.sampled_from(["day", "week", "month", "quarter", "year"])},
    optional={"back": st.integers(0, 3), "length": st.integers(1, 4), "zone": st.sampled_from(ZONES)},
)
_absolutes = st.sampled_from(
    [{"from": "2025-12-25"}, {"until": "2026-01-01T12:00:00.5Z"}, {"from": "2025-12-01", "until": "2026-01-05"}]
)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw when events count."""
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return {}
    if kind == 1:
        return {"within": draw(_spans)}
    if kind == 2:
        return {"within": "90d", "older_than": draw(_short)}
    if kind == 3:
        return {"older_than": draw(_spans)}
    if kind == 4:
        return dict(draw(_absolutes))
    if kind == 5:
        return {"calendar": draw(_calendars)}
    if kind == 6:
        within = draw(st.one_of(st.none(), _spans))
        return {"since_last": draw(matchers())} | ({"within": within} if within else {})
    return {"session": draw(_short)}


_aggregates = st.sampled_from(["sum", "average", "minimum", "maximum", "distinct", "first", "last", "most_frequent"])


@st.composite
def event_values(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a value made of events."""
    plain = draw(matchers()) | draw(windows())
    kind = draw(st.one_of(st.just("count"), _aggregates))
    return plain | {kind: True if kind == "count" else draw(st.sampled_from(["total", "currency", "tags"]))}


@st.composite
def event_conditions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a comparison of what is made of events."""
    plain = draw(matchers()) | draw(windows())
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return plain
    if kind == 1:
        return plain | {"count": draw(_number_test)}
    made = draw(_aggregates)
    fits = some_tests(moving=True) if made in ("first", "last", "most_frequent") else _number_test
    path = draw(st.sampled_from(["total", "currency", "tags"]))
    return plain | {made: {"of": path, **draw(fits)}}


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a sequence."""
    steps = [draw(matchers()) for _ in range(draw(st.integers(1, 3)))]
    for step in steps[1:]:
        if draw(st.booleans()):
            step["within"] = draw(_spans)
        if draw(st.integers(0, 2)) == 0:
            step["without"] = draw(matchers())
    plain: dict[str, Any] = {"steps": steps, "within": draw(_spans)}
    if draw(st.booleans()):
        plain["same"] = draw(st.sampled_from(["currency", ["currency", "shipping.country"]]))
    if draw(st.booleans()):
        plain["total"] = draw(_spans)
    if len(steps) == 1 or draw(st.integers(0, 2)) == 0:
        plain["unless"] = draw(matchers()) | {"within": draw(_short)}
    return {"sequence": plain}


_group_words = st.builds(
    lambda some, trait: {"kind": "account", **some, **trait},
    st.fixed_dictionaries(
        {},
        optional={"role": st.sampled_from(["admin", ["admin", "owner"]]), "members": _number_test},
    ),
    st.one_of(st.just({}), st.builds(lambda t: {"trait": "plan.name", **t}, some_tests(moving=True))),
)
leaves: st.SearchStrategy[Any] = st.one_of(
    event_conditions(),
    event_conditions(),
    st.builds(
        lambda name, t: {"trait": name, **t},
        st.sampled_from(["plan", "age", "birthday", "address.city", "tags"]),
        some_tests(moving=True),
    ),
    st.builds(lambda t: {"feature": "value", **t}, some_tests(moving=True)),
    st.builds(lambda m, s: {"first_time": m | {"within": s}}, matchers(), _spans),
    st.builds(lambda m, c: {"first_time": m | {"calendar": c}}, matchers(), _calendars),
    st.builds(lambda m, a: {"first_time": m | a}, matchers(), _absolutes),
    st.builds(lambda m, q, a: {"stopped": m | {"quiet": q, "active": a}}, matchers(), _spans, _spans),
    st.builds(lambda m, w, q: {"restarted": m | {"within": w, "quiet": q}}, matchers(), _spans, _spans),
    st.builds(
        lambda m, e, n, k: {"regularly": m | {"every": e, "at_least": n, "of": n + k}},
        matchers(),
        _spans,
        st.integers(1, 3),
        st.integers(0, 2),
    ),
    sequences(),
    st.builds(lambda told: {"group": told}, _group_words),
    st.builds(
        lambda kind, member, more: {"group": {"kind": kind, "member": member, **more}},
        st.sampled_from(["household", "*"]),
        st.one_of(event_conditions(), st.builds(lambda t: {"not": {"trait": "plan", **t}}, some_tests())),
        st.sampled_from([{}, {"others_only": True}, {"count": {"at_least": 2}}, {"count": 0, "others_only": True}]),
    ),
    st.sampled_from(
        [
            "everybody",
            {"group": "household"},
            {"group": "*"},
            {"audience": "loyal"},
            {"permitted": "newsletter"},
            {"sample": {"salt": "a", "share": "50%"}},
            {"sample": {"salt": "a", "from": 0.3, "until": 0.7}},
        ]
    ),
)
plain_conditions: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda word, many: {word: many}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)
        ),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=4,
)
conditions: st.SearchStrategy[Condition] = plain_conditions.map(read_condition)
