"""Definitions by operator, and people whose answers to them are balanced.

In:    a source of chance: Hypothesis's, which shrinks, or a seeded one, which is quick and says the same each time.
Out:   cases: a definition as people write it, a person, and how their events reach the strands.
Never: a value that would not collide with another within a few draws.

Time lies on a grid of six hours, and windows are made of the same hours: edges are hit, not passed by.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.audience_model import DAY, HOUR, Belonging, Event, Group, Person, calendar, drawn, instant, is_member, span
from tillit.clock import rfc3339

GRID = 6 * HOUR
START = 1_774_656_000_000_000  # 2026-03-28T00:00Z: a change of clocks, a month and a quarter lie ahead
FAR = 1 << 60  # later than anything
N_SLOTS = 24  # six days in which rows are logged
N_DRAWS = 20  # at most, for a case of which the first answer is the one that a coin asked for
PEOPLE = tuple(f"p_{number}" for number in range(6))
NAMES = ("A", "A", "A", "A", "B", "B", "C")
TYPES = ("track",) * 9 + ("page", "screen", "identify")

NUMBERS: tuple[Any, ...] = (0, -0.0, 1, 1.0, 2, 2, 2.5, 3, -1, 0.1, 0.2, 1e13, -9e12)
TEXTS: tuple[Any, ...] = ("", "1", "a", "ab", "b", "ba", "abc", "Å", "a" * 1_001)
DAYS: tuple[Any, ...] = (
    "2026-03-28",
    "2026-03-30",
    "2026-03-31 12:00",
    "2026-04-01",
    "2026-04-01T13:00+01:00",
    "2026-04-02",
    "2026-04-02T18:00:00Z",
    "2026-04-03T06:00:00.000001Z",
    "2026-04-04T18:00:00-06:00",
    "2026-02-30",
    "3 March",
    "2026-03-29T24:00:00Z",
    "2026-03-29T23:59:60Z",
)
AHEAD: tuple[Any, ...] = (*DAYS[3:9], "2026-04-05", "2026-04-06T06:00:00Z", "2026-04-07", "2026-04-09")
TRUTHS: tuple[Any, ...] = (True, False)
ODD: tuple[Any, ...] = (None, {"x": 1}, [], {})
LISTS: tuple[Any, ...] = (
    ["a"],
    ["a", "b"],
    ["b", "a", "a"],
    [1, "1", True],
    [2, 3.0],
    [2.5, None],
    [["a"]],
    [True, "ab"],
    ["2026-03-30", "2026-04-01"],
    [{"k": 1}, "b"],
)
ELEMENTS: tuple[Any, ...] = (
    [],
    [{"k": 1, "n": "a"}],
    [{"k": 2, "n": "a"}, {"k": 1}],
    [{"k": 2, "n": "b"}, {"k": 3, "n": "a"}],
    [{"k": 2, "n": "a"}],
    [{"k": 2}, 2],
    {"k": 2, "n": "a"},
    "a",
)
FEW: tuple[Any, ...] = ("a", "a", "b", 1, 1, 2, 2.5, True, ["a", 1], ["b", "a"], [1, 2], None)
EACH: dict[str, tuple[Any, ...]] = {
    "number": NUMBERS,
    "text": TEXTS,
    "day": DAYS,
    "ahead": AHEAD,
    "truth": TRUTHS,
    "list": LISTS,
    "few": FEW,
}


class Case(NamedTuple):
    """One question and one person. `strands`: which strand each event came to, by place in the log."""

    operator: str
    definition: Any
    person: Person
    strands: tuple[int, ...]

    @property
    def asked_at(self) -> int:
        """Give the log's own time: that of the newest row."""
        return newest(self.person)

    @property
    def until(self) -> int:
        """Give an instant by which every window has passed, or most of them."""
        return self.asked_at + 6 * DAY


# -- values and tests


def any_value(chance: Random, kind: str) -> Any:
    """Draw a property's value: mostly of the kind that the test is about."""
    among = chance.choice((*(kind,) * 9, "list", "truth", "text", "number", "odd"))
    return chance.choice(ODD if among == "odd" else EACH[among])


def _number(chance: Random) -> Any:
    return chance.choice((0, 1, 1, 2, 2, 2.5))


def _text(chance: Random) -> str:
    return chance.choice(("a", "a", "b", "ab"))


def _scalar(chance: Random) -> Any:
    return chance.choice((1, 1, 2, "a", "a", "b", "1", 0, True, False))


def _day(chance: Random) -> str:
    days: list[str] = [one for one in DAYS if instant(one) is not None]
    return chance.choice(days)


def _days(chance: Random) -> str:
    return chance.choice(("6h", "1d", "2d", "3d", "3d"))


# For each test: how what it compares with is drawn, and of which kind values mostly are.
TESTS: dict[str, tuple[Callable[[Random], Any], str]] = {
    "equals": (_scalar, "few"),
    "not_equals": (_scalar, "few"),
    "greater": (_number, "number"),
    "at_least": (_number, "number"),
    "less": (_number, "number"),
    "at_most": (_number, "number"),
    "between": (lambda chance: sorted((_number(chance), _number(chance))), "number"),
    "one_of": (lambda chance: [_scalar(chance) for _ in range(chance.randrange(1, 4))], "few"),
    "none_of": (lambda chance: [_scalar(chance) for _ in range(chance.randrange(1, 4))], "few"),
    "all_of": (lambda chance: [chance.choice(("a", "b", 1)) for _ in range(chance.choice((1, 1, 2, 2)))], "few"),
    "contains": (_text, "text"),
    "not_contains": (_text, "text"),
    "starts_with": (_text, "text"),
    "ends_with": (_text, "text"),
    "matches": (lambda chance: chance.choice(("a", "^a", "b$", "^(ab|b)", "[0-9]", "a.")), "text"),
    "before": (_day, "day"),
    "after": (_day, "day"),
    "is_set": (lambda chance: chance.random() < 0.5, "few"),
    "is_missing": (lambda chance: chance.random() < 0.5, "few"),
}
MOVING: dict[str, tuple[Callable[[Random], Any], str]] = dict.fromkeys(
    ("within_last", "more_than_ago", "within_next"), (_days, "day")
)
MOVING["within_next"] = (lambda chance: chance.choice(("6h", "3d", "5d", "1w")), "ahead")


def test_of(chance: Random, word: str) -> dict[str, Any]:
    """Draw one test."""
    return {word: (TESTS | MOVING)[word][0](chance)}


def _count(chance: Random) -> Any:
    """Draw what a number of events is to be."""
    return chance.choice(
        (
            True,
            {"at_least": chance.choice((1, 2, 2.5))},
            {"at_most": chance.choice((0, 1, 2))},
            {"greater": chance.choice((0, 1, 1.5))},
            {"less": chance.choice((1, 2))},
            {"equals": chance.choice((1, 2))},
            {"not_equals": chance.choice((0, 1))},
            {"between": [1, 2]},
            {"one_of": [1, 3]},
            {"none_of": [0, 2]},
            {"at_least": 1, "at_most": 2},
            chance.choice((1, 2)),
        )
    )


# -- windows


def _rolling(chance: Random) -> dict[str, Any]:
    return {"within": chance.choice(("6h", "12h", "1d", "2d", "3d"))}


def _older(chance: Random) -> dict[str, Any]:
    if chance.random() < 0.3:
        return {"older_than": chance.choice(("12h", "1d", "2d"))}
    older, within = chance.choice((("6h", "1d"), ("12h", "2d"), ("1d", "3d"), ("1d", "30h")))
    return {"within": within, "older_than": older}


def _absolute(chance: Random) -> dict[str, Any]:
    first, last = chance.choice(
        (("2026-03-28", "2026-03-30"), ("2026-03-29T06:00:00Z", "2026-04-01"), ("2026-03-30", "2026-03-31"))
    )
    return chance.choice(({"from": first}, {"until": last}, {"from": first, "until": last}))


def _calendar(chance: Random) -> dict[str, Any]:
    unit = chance.choice(("day", "day", "week", "month", "month", "quarter", "quarter", "year"))
    told: dict[str, Any] = {"unit": unit, "zone": chance.choice(("UTC", "UTC", "Asia/Dhaka", "Europe/Stockholm"))}
    back = chance.choice((0, 0, 1, 1, 2) if unit in {"day", "week"} else (0, 1))
    return {"calendar": told | ({"back": back, "length": chance.choice((1, back or 1, back + 1))} if back else {})}


def _since_last(chance: Random) -> dict[str, Any]:
    told = {"since_last": {"event": chance.choice(("B", "B", "C"))}}
    return told | chance.choice(({}, {"within": "1d"}, {"within": "2d"}, {"within": "3d"}))


def _session(chance: Random) -> dict[str, Any]:
    return {"session": chance.choice(("6h", "6h", "12h", "18h", "1d"))}


WINDOWS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "ever": lambda _chance: {},
    "within": _rolling,
    "older_than": _older,
    "from_until": _absolute,
    "calendar": _calendar,
    "since_last": _since_last,
    "session": _session,
}


def any_window(chance: Random) -> dict[str, Any]:
    """Draw any window."""
    return chance.choice(list(WINDOWS.values()))(chance)


def matcher(chance: Random) -> dict[str, Any]:
    """Draw which events count."""
    return chance.choice(
        (
            {"event": "A"},
            {"event": "A"},
            {"event": ["A", "C"]},
            {"event": "B"},
            {"event": "A", "where": {"p": {"is_set": True}}},
        )
    )


# -- definitions, by operator


def _of_property(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        return {"event": "A", **any_window(chance), "where": {"p": test_of(chance, word)}}

    return draw


def _of_trait(word: str) -> Callable[[Random], Any]:
    return lambda chance: {"trait": chance.choice(("t", "t", "o.t")), **test_of(chance, word)}


def _nested(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        clause = chance.choice(({"k": 2}, {"k": {"at_least": 2}}, {"k": 2, "n": "a"}, {"n": {"is_missing": True}}))
        return {"event": "A", "where": {"items": {word: clause}}, "count": _count(chance)}

    return draw


def _clauses(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        def one() -> Any:
            both = {"at_least": 1, "less": 2}
            word = chance.choice(("equals", "one_of", "is_set", "at_least", "less"))
            return {"p": both if chance.random() < 0.3 else test_of(chance, word)}

        parts: Any = {"all": [one(), one()], "any": [one(), one()], "not": one()}[word]
        other = {"property": ["o", "p"], "one_of": [1, "a", 2]}
        return {"event": "A", "where": chance.choice(({word: parts}, {word: parts}, {"not": {word: parts}}, other))}

    return draw


def _aggregate(kind: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        window = {} if kind == "most_frequent" and chance.random() < 0.5 else any_window(chance)
        return {**matcher(chance), **window, **_made(chance, kind)}

    return draw


def _made(chance: Random, kind: str) -> dict[str, Any]:
    if kind == "count":
        return {"count": _count(chance)}
    of: Any = chance.choice(("p", "q", ["o", "p"]))
    if kind == "distinct":
        return {kind: {"of": of, **chance.choice(({"at_least": 1}, {"at_least": 2}, {"less": 3}, {"equals": 2}))}}
    if kind in {"sum", "average", "minimum", "maximum"}:
        word = chance.choice(("greater", "at_least", "less", "at_most", "equals", "not_equals", "between", "is_set"))
        return {kind: {"of": "n", **({word: True} if word == "is_set" else test_of(chance, word))}}
    if kind == "most_frequent" and chance.random() < 0.7:
        return {kind: {"of": "m", chance.choice(("equals", "not_equals")): chance.choice(("a", "a", "b", 1, True))}}
    word = chance.choice(("equals", "not_equals", "one_of", "none_of", "is_set", "is_missing", *MOVING))
    return {kind: {"of": "d" if word in MOVING else of, **test_of(chance, word)}}


def _windowed(name: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        kind = chance.choice(("count", "count", "count", "sum", "last", "most_frequent", "distinct"))
        return {**matcher(chance), **WINDOWS[name](chance), **_made(chance, kind)}

    return draw


def _events(chance: Random) -> Any:
    which = chance.choice(
        (
            {"page": chance.choice(("A", "*"))},
            {"screen": chance.choice(("A", "*", ["A", "B"]))},
            {"event": "*"},
            {"event": ["B", "C"]},
            {"event": "A"},
        )
    )
    return {**which, **chance.choice(({}, {"within": "1d"}, {"within": "3d"})), "count": _count(chance)}


def _first_time(chance: Random) -> Any:
    window = chance.choice((_rolling, _absolute, _calendar, _calendar))(chance)
    return {"first_time": {**matcher(chance), **window}}


def _stopped(chance: Random) -> Any:
    quiet, active = chance.choice(("6h", "12h", "1d")), chance.choice(("1d", "2d", "3d"))
    return {"stopped": {**matcher(chance), "quiet": quiet, "active": active}}


def _restarted(chance: Random) -> Any:
    within, quiet = chance.choice(("1d", "2d", "3d")), chance.choice(("6h", "12h", "1d"))
    return {"restarted": {**matcher(chance), "within": within, "quiet": quiet}}


def _regularly(chance: Random) -> Any:
    of = chance.randrange(1, 5)
    every = chance.choice(("6h", "12h", "1d", "1d", "2d"))
    return {"regularly": {**matcher(chance), "every": every, "of": of, "at_least": chance.randrange(1, min(of, 2) + 1)}}


def _sequence(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        names = chance.choice((("A", "B"), ("A", "A"), ("A", "B", "A"), ("A", ["B", "C"]), ("A", "A", "B")))
        steps: list[Any] = [{"event": name} for name in names]
        told: dict[str, Any] = {"steps": steps, "within": chance.choice(("2d", "3d", "5d", "5d"))}
        words = {word} | {one for one in ("gap", "total", "same", "without", "unless") if chance.random() < 0.1}
        if "unless" in words:
            told["unless"] = {"event": chance.choice(("C", "A")), "within": chance.choice(("6h", "12h", "1d"))}
            if chance.random() < 0.5:
                del steps[1:]
        for step in steps[1:]:
            if "gap" in words:
                step["within"] = chance.choice(("6h", "12h", "1d", "2d", "3d"))
            if "without" in words:
                step["without"] = {"event": chance.choice(("C", "C", "B", "A"))}
        if "total" in words:
            told["total"] = chance.choice(("12h", "1d", "2d", "3d"))
        if "same" in words:
            told["same"] = chance.choice(("q", "q", "q", ["q"], ["q", "o.q"]))
        return {"sequence": told}

    return draw


def _leaf(chance: Random) -> Any:
    kind = chance.choice((_windowed("within"), _windowed("ever"), _first_time, _stopped, _sequence("gap"), _of_plan))
    return kind(chance)


def _of_plan(chance: Random) -> Any:
    return {"trait": "t", **test_of(chance, chance.choice(("equals", "within_last", "within_next", "is_set")))}


def _logic(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        if word == "not":
            return {"not": _leaf(chance)}
        parts = [_leaf(chance) for _ in range(chance.choice((1, 2, 2, 2)))]
        if chance.random() < 0.3:
            parts.insert(0, "everybody" if word == "all" else {"not": "everybody"})
        if word == "all" and chance.random() < 0.5:
            parts[-1] = {"not": parts[-1]}
        return {word: parts}

    return draw


def _sample(chance: Random) -> Any:
    salt = chance.choice(("s", "other", ""))
    edge = drawn(salt, chance.choice(PEOPLE))
    part = chance.choice(
        (
            {"share": "50%"},
            {"from": 0.25, "until": 0.75},
            {"from": "40%", "share": 0.4},
            {"until": 0.3},
            {"from": edge},
            {"until": edge},
        )
    )
    if part == {"from": edge}:
        part = {"from": edge, "until": 1}
    return {"sample": {"salt": salt, **part} if salt else part}


def _feature(chance: Random) -> Any:
    name = chance.choice(("spent", "often", "lately", "again"))
    if name == "spent":
        return {"feature": name, **test_of(chance, chance.choice(("at_least", "less", "between")))}
    if name == "often":
        return {"feature": name, **chance.choice(({"at_least": 2}, {"less": 2}, {"equals": 0}))}
    return {"feature": name, **test_of(chance, chance.choice(("within_last", "more_than_ago", "within_next")))}


def an_order(chance: Random) -> Any:
    """Draw a definition that ranks everybody."""
    n = chance.choice((1, 2, 3, 5, 100, "10%", "50%", "33.3%", "100%"))
    of = chance.choice(({}, {"of": "everybody"}, {"of": _leaf(chance)}, {"of": {"event": "A", "within": "3d"}}))
    if chance.random() < 0.3:
        return {"limit": {**of, "to": n, **chance.choice(({}, {"salt": "s"}))}}
    kind = chance.choice(("count", "sum", "average", "minimum", "maximum", "distinct", "first", "last", "trait"))
    by: Any = {"trait": chance.choice(("t", "o.t"))} if kind == "trait" else {**matcher(chance), **any_window(chance)}
    if kind == "count":
        by["count"] = True
    elif kind != "trait":
        by[kind] = "n"
    return {"top": {**of, "by": by, chance.choice(("highest", "lowest")): n}}


def _group(word: str) -> Callable[[Random], Any]:
    def draw(chance: Random) -> Any:
        told: dict[str, Any] = {"kind": chance.choice(("household", "household", "account", "*"))}
        if chance.random() < (0.5 if word == "place" else 0.2):
            told["role"] = chance.choice(("admin", ["admin", "owner"]))
        if word == "place" and len(told) == 1 and chance.random() < 0.5:
            return {"group": told["kind"]}
        if word == "trait":
            both = {"at_least": 1, "less": 2} if chance.random() < 0.3 else test_of(chance, chance.choice(_OF_GROUPS))
            told |= {"trait": chance.choice(("t", "t", "o.t")), **both}
        if word == "members" or chance.random() < 0.1:
            told["members"] = chance.choice(
                ({"at_least": 2}, {"at_least": 3}, {"less": 3}, 1, 2, {"at_least": 2, "less": 3})
            )
        if word in ("member", "other"):
            told["member"] = _leaf(chance) if chance.random() < 0.7 else {"not": _leaf(chance)}
            if chance.random() < 0.6:
                told["count"] = chance.choice(({"at_least": 2}, {"less": 2}, 0, 1, {"greater": 0}, {"at_most": 1}))
            if word == "other":
                told["others_only"] = True
        return {"group": told}

    return draw


_OF_GROUPS = ("equals", "not_equals", "one_of", "is_missing", "at_least", "within_last", "within_next")


OPERATORS: dict[str, Callable[[Random], Any]] = {
    **{f"property.{word}": _of_property(word) for word in TESTS},
    **{f"trait.{word}": _of_trait(word) for word in (*TESTS, *MOVING)},
    **{f"elements.{word}": _nested(word) for word in ("some", "every", "none")},
    **{f"where.{word}": _clauses(word) for word in ("all", "any", "not")},
    "events": _events,
    **{
        kind: _aggregate(kind)
        for kind in ("count", "sum", "average", "minimum", "maximum", "distinct", "first", "last", "most_frequent")
    },
    **{f"window.{name}": _windowed(name) for name in WINDOWS},
    "first_time": _first_time,
    "stopped": _stopped,
    "restarted": _restarted,
    "regularly": _regularly,
    **{f"sequence.{word}": _sequence(word) for word in ("steps", "gap", "total", "same", "without", "unless")},
    "audience": lambda chance: {"audience": chance.choice(("buyers", "quiet", "both"))},
    "feature": _feature,
    "sample": _sample,
    "permitted": lambda chance: {"permitted": chance.choice(("newsletter", "analytics"))},
    **{f"group.{word}": _group(word) for word in ("place", "trait", "members", "member", "other")},
    **{word: _logic(word) for word in ("all", "any", "not")},
}

# What other definitions there are to speak of.
AUDIENCES: dict[str, Any] = {
    "buyers": {"event": "A", "within": "2d"},
    "quiet": {"stopped": {"event": "A", "quiet": "12h", "active": "3d"}},
    "both": {"any": [{"audience": "quiet"}, {"event": "B", "within": "1d", "count": {"at_least": 2}}]},
}
FEATURES: dict[str, Any] = {
    "spent": {"event": "A", "within": "3d", "sum": "n"},
    "often": {"event": ["A", "B"], "within": "2d"},
    "lately": {"event": "A", "within": "5d", "last": "d"},
    "again": {"feature": "lately"},
}


# -- people


def any_person(chance: Random, definition: Any) -> Person:
    """Draw a person whose history is about what a definition asks."""
    traits = {"t": any_value(chance, _kind_of(definition)), "o": {"t": any_value(chance, _kind_of(definition))}}
    ends = {name: START + chance.randrange(2 * N_SLOTS) * GRID for name in ("newsletter", "analytics")}
    return Person(
        chance.choice(PEOPLE),
        tuple(any_events(chance, _kind_of(definition), is_busy="most_frequent" in definition or chance.random() < 0.3)),
        {name: value for name, value in traits.items() if chance.random() < 0.9},
        {name: until for name, until in ends.items() if chance.random() < 0.9},
        AUDIENCES,
        FEATURES,
        *(_seen_groups(chance, definition) if "'group'" in repr(definition) else ()),
    )


def _seen_groups(chance: Random, definition: Any) -> tuple[Any, str]:
    return any_groups(chance, definition), chance.choice(("newsletter", "newsletter", ""))


def any_groups(chance: Random, definition: Any) -> tuple[tuple[Group, Belonging], ...]:
    """Draw the groups of a person, and who else belongs to them."""
    kinds = chance.sample(("household", "account", "family"), chance.choice((0, 1, 1, 2, 2)))
    without = {"trait": "t", "is_set": True}  # of people who have no groups of their own
    found = []
    for kind in kinds:
        others = tuple(
            _belonging(chance, any_person(chance, without)._replace(profile_id=f"o_{kind}_{number}"))
            for number in range(chance.choice((0, 1, 1, 2, 3)))
        )
        held = {"t": any_value(chance, _kind_of(definition)), "o": {"t": any_value(chance, _kind_of(definition))}}
        traits = {name: value for name, value in held.items() if chance.random() < 0.8}
        found.append((Group(f"{kind}:g", traits, others), _belonging(chance, None)))
    return tuple(found)


def _belonging(chance: Random, who: Person | None) -> Belonging:
    first, last = sorted(START + chance.randrange(-4, 2 * N_SLOTS) * GRID for _ in range(2))
    since = first if chance.random() < 0.4 else START - DAY
    until = last if chance.random() < 0.4 else FAR
    return Belonging(who, chance.choice((None, "admin", "owner")), since, until, chance.random() < 0.85)


def _kind_of(definition: Any) -> str:
    said = repr(definition)
    return next((kind for word, (_, kind) in (TESTS | MOVING).items() if f"'{word}'" in said), "few")


def any_events(chance: Random, kind: str, *, is_busy: bool) -> list[Event]:
    """Draw events: most of them logged as they happen, some late, some dated ahead, several at one instant.

    Who is busy does much of one thing.
    """
    events = []
    n = chance.randrange(6, 13) if is_busy else chance.randrange(1, 10)
    slots = sorted(chance.randrange(N_SLOTS) for _ in range(n))
    for position, slot in enumerate(slots, start=1):
        logged_at = START + slot * GRID + position
        away = chance.choice((0, 0, 0, 0, 0, -1, -2, -4, -8, 1, 2, 6))
        at = START + (slot + away) * GRID + chance.choice((0, 0, 0, 0, 0, 0, 1, -1))
        properties = {
            "p": any_value(chance, kind),
            "n": any_value(chance, "number"),
            "d": any_value(chance, "day"),
            "q": chance.choice((*("a",) * 9, 1, 1.0, True, ["a"], None)),
            "m": chance.choice(("a", "b", "a", "b", 1, True, ["a", "b", 1], ["b", True])),
            "items": chance.choice(ELEMENTS),
            "o": chance.choice(({"p": any_value(chance, kind), "q": chance.choice((1, "a"))}, {}, "none", None)),
        }
        told = {name: value for name, value in properties.items() if chance.random() < 0.9}
        events.append(
            Event(
                at,
                position,
                chance.choice(TYPES[:3] if is_busy else TYPES),
                chance.choice(NAMES[:5] if is_busy else NAMES),
                told,
                logged_at,
            )
        )
    return events


def any_case(chance: Random, operator: str, *, n_draws: int = N_DRAWS) -> Case:
    """Draw a case of an operator: as many at first in as out, where some draws find them."""
    wanted = chance.random() < 0.5
    for _ in range(n_draws):
        definition = OPERATORS[operator](chance)
        person = any_person(chance, definition)
        if is_member(definition, person, newest(person)) == wanted:
            break
    return Case(operator, definition, person, tuple(chance.randrange(3) for _ in person.events))


@st.composite
def cases(draw: st.DrawFn, operator: str) -> tuple[Case, Random]:
    """Draw a case, and more chance to do something with it."""
    chance = draw(st.randoms(use_true_random=False))
    return any_case(chance, operator, n_draws=1), chance


def fixed_cases(operator: str, n: int) -> list[tuple[Case, Random]]:
    """Give the same cases each time."""
    chances = [Random(f"{operator} {number}") for number in range(n)]
    return [(any_case(chance, operator), chance) for chance in chances]


def newest(person: Person) -> int:
    """Give when the newest row was logged, of somebody or of who else is in their groups."""
    return max(one.events[-1].logged_at for one in (person, *people_beside(person)))


def people_beside(person: Person) -> list[Person]:
    """Give who else belongs to somebody's groups."""
    return [one.who for group, _ in person.groups for one in group.others if one.who is not None]


# -- instants worth a look


def turns(case: Case) -> list[int]:
    """List each instant at which anything may change of itself: what the definition's spans say of each event."""
    spans, units = {0}, []
    everybody = [case.person, *people_beside(case.person)]
    dates: list[int] = [until for one in everybody for until in one.permitted.values()]
    dates += [
        at
        for group, place in case.person.groups
        for one in (place, *group.others)
        for at in (one.since, one.until)
        if at < FAR
    ]
    for word, told in _words([case.definition, *case.person.audiences.values(), *case.person.features.values()]):
        if word == "every":
            spans |= {span(told["every"]) * n for n in range(1, told["of"] + 1)}
        elif word == "calendar":
            units.append(told)
        elif word == "span":
            spans.add(told)
    said = [[one.traits, [event.properties for event in one.events]] for one in everybody]
    for word, told in _words([*said, *(group.traits for group, _ in case.person.groups)]):
        if word == "text" and (then := instant(told)) is not None:
            dates.append(then)
    found = set()
    sums = {one + other for one in spans for other in spans}
    for at in {event.at for one in everybody for event in one.events}:
        # A pause is over an instant after its length.
        found |= {at + one for one in sums} | {at + one + 1 for one in spans}
    for then in dates:
        found |= {then + sign * one for one in spans for sign in (1, -1)}
    for told in units:
        day = START - 2 * DAY
        while day < case.until:
            day = calendar({"unit": "day", "zone": told["zone"]}, day)[1]
            found.add(day)
    return sorted(found | {at + DAY for at in found if "session" in repr(case.definition)})


def _words(told: Any) -> list[tuple[str, Any]]:
    """List what a definition or a document says that has to do with time."""
    found: list[tuple[str, Any]] = []
    if isinstance(told, dict):
        found += [("every", told)] if "every" in told and "of" in told else []
        found += [("calendar", told["calendar"])] if "calendar" in told else []
        for one in told.values():
            found += _words(one)
    elif isinstance(told, list):
        for one in told:
            found += _words(one)
    elif isinstance(told, str):
        found.append(("text", told))
        if told[:-1].isdigit() and told[-1] in "smhdwy":
            found.append(("span", span(told)))
    return found


def as_written(case: Case) -> str:
    """Write a case so that a failure can be read."""
    events = "\n".join(
        f"  {rfc3339(one.at)} #{one.position} {one.type} {one.name} {one.properties} logged {rfc3339(one.logged_at)}"
        for one in case.person.events
    )
    person = case.person
    beside = "".join(f"\n  {group} {place}" for group, place in person.groups)
    told = f"{person.profile_id} {person.traits} {person.permitted}"
    return f"{case.operator}: {case.definition}\n{told}\n{events}{beside}"
