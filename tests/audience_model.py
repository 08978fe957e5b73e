"""A third reading of what an audience is: slow, plain, from all of a person's events.

In:    a definition as people write it; one person's events, traits and permissions; the other definitions.
Out:   whether they are a member at an instant, or the value of a feature.
Never: a line of the product's own reading; a short cut; anything kept from one answer to the next.

Each rule stands once, beside the function that follows it. Times are UTC epoch microseconds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
SPANS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
AGGREGATES = ("count", "sum", "average", "minimum", "maximum", "distinct", "first", "last", "most_frequent")


class Event(NamedTuple):
    """One row of the log that is this person's."""

    at: int
    position: int
    type: str
    name: str | None
    properties: dict[str, Any]
    logged_at: int


class Group(NamedTuple):
    """A household, an account: `key` begins with its kind."""

    key: str
    traits: Mapping[str, Any]
    others: tuple[Belonging, ...]  # who else belongs to it


class Belonging(NamedTuple):
    """A place in a group, from one instant on and before another."""

    who: Person | None  # None: the person themselves
    role: str | None
    since: int
    until: int
    is_near: bool = True  # among the first members, who alone are looked at for what is asked of members


class Person(NamedTuple):
    """All that is known of one person, and what everybody's definitions say."""

    profile_id: str
    events: tuple[Event, ...]
    traits: Mapping[str, Any] = {}
    permitted: Mapping[str, int] = {}  # purpose: until when
    audiences: Mapping[str, Any] = {}
    features: Mapping[str, Any] = {}
    groups: tuple[tuple[Group, Belonging], ...] = ()
    seen_for: str = ""  # the purpose for which is asked, and for which other people must be permitted


# -- conditions


def is_member(told: Any, person: Person, at: int) -> bool:
    """Say whether a condition holds of a person at an instant."""
    if told == "everybody":
        return True
    if "all" in told:
        return all(is_member(one, person, at) for one in told["all"])
    if "any" in told:
        return any(is_member(one, person, at) for one in told["any"])
    if "not" in told:
        return not is_member(told["not"], person, at)
    if "trait" in told or "feature" in told:
        tests = {word: wanted for word, wanted in told.items() if word not in ("trait", "feature")}
        return all_pass(tests, value_of(told, person, at), at)
    if "first_time" in told:
        return is_first_time(told["first_time"], person, at)
    if "stopped" in told:
        return has_stopped(told["stopped"], person, at)
    if "restarted" in told:
        return has_restarted(told["restarted"], person, at)
    if "regularly" in told:
        return is_regular(told["regularly"], person, at)
    if "sequence" in told:
        return has_gone_through(told["sequence"], person, at)
    if "audience" in told:
        return is_member(person.audiences[told["audience"]], person, at)
    if "permitted" in told:
        # A permission that ends at an instant does not hold at that instant any more.
        return at < person.permitted.get(told["permitted"], at)
    if "sample" in told:
        return is_drawn(told["sample"], person)
    if "group" in told:
        said = {"kind": told["group"]} if isinstance(told["group"], str) else told["group"]
        return any(is_in(said, group, place, person, at) for group, place in person.groups)
    # Events: the aggregate and what it is to be; without either, at least one event.
    kind = next((word for word in AGGREGATES if word in told), None)
    if kind is None or told[kind] is True:
        return bool(value_of({**told, "count": True}, person, at) >= 1)
    tests = told[kind]
    if isinstance(tests, dict):
        tests = {word: wanted for word, wanted in tests.items() if word != "of"}
    return all_pass(tests, value_of(told, person, at), at)


def is_in(told: Any, group: Group, place: Belonging, person: Person, at: int) -> bool:
    """The person belongs to this group now, and all that is asked of it is so."""
    if not place.since <= at < place.until or told.get("kind", "*") not in ("*", group.key.split(":")[0]):
        return False
    roles = told.get("role", place.role)
    if place.role != roles and place.role not in (roles if isinstance(roles, list) else []):
        return False
    tests = {word: wanted for word, wanted in told.items() if word not in GROUP_WORDS}
    if "trait" in told and not all_pass(tests, at_path(told["trait"], group.traits), at):
        return False
    if "member" not in told and "members" not in told:
        return True
    # Members are those who belong to it now and may be used for the purpose; the person is one of them.
    here = [one.who for one in group.others if one.who is not None and one.is_near and one.since <= at < one.until]
    members = [one for one in (person, *here) if not person.seen_for or at < one.permitted.get(person.seen_for, at)]
    if not place.is_near:
        return False
    if "members" in told and not all_pass(told["members"], float(len(members)), at):
        return False
    if "member" not in told:
        return True
    fitting = [one for one in members if is_member(told["member"], one, at)]
    if told.get("others_only"):
        fitting = [one for one in fitting if one is not person]
    return all_pass(told.get("count", {"at_least": 1}), float(len(fitting)), at)


GROUP_WORDS = ("kind", "role", "trait", "members", "member", "count", "others_only")


def is_first_time(told: Any, person: Person, at: int) -> bool:
    """The first such event ever lies in the window."""
    ever = [event for event in happened(person, at) if is_meant(told, event)]
    return bool(ever) and ever[0] in within_window(told, ever, person, at)


def has_stopped(told: Any, person: Person, at: int) -> bool:
    """No such event in the last `quiet`, and at least one in the `active` before that."""
    ages = [at - event.at for event in happened(person, at) if is_meant(told, event)]
    quiet, active = span(told["quiet"]), span(told["active"])
    return not any(age < quiet for age in ages) and any(quiet <= age < quiet + active for age in ages)


def has_restarted(told: Any, person: Person, at: int) -> bool:
    """One such event came within the span, and the one before it at least `quiet` earlier."""
    meant = [event for event in happened(person, at) if is_meant(told, event)]
    return any(
        at - later.at < span(told["within"]) and later.at - earlier.at >= span(told["quiet"])
        for earlier, later in pairwise(meant)
    )


def is_regular(told: Any, person: Person, at: int) -> bool:
    """Of the last `of` stretches, each `every` long and ending now, at least so many have such an event."""
    every = span(told["every"])
    n = 0
    for back in range(told["of"]):
        after, through = at - (back + 1) * every, at - back * every
        n += any(after < event.at <= through and is_meant(told, event) for event in happened(person, at))
    return bool(n >= told["at_least"])


def has_gone_through(told: Any, person: Person, at: int) -> bool:
    """Some choice of one event for each step, each later than the one before, meets all that is asked."""
    near = [event for event in happened(person, at) if at - event.at < span(told["within"])]
    return any(_ways(told, told["steps"], [], near, at))


def _ways(told: Any, steps: Any, gone: list[Event], near: list[Event], at: int) -> list[bool]:
    if not steps:
        return [_is_way(told, gone, near, at)]
    found: list[bool] = []
    for event in near:
        if (not gone or place(event) > place(gone[-1])) and is_meant(steps[0], event):
            found += _ways(told, steps[1:], [*gone, event], near, at)
    return found


def _is_way(told: Any, gone: list[Event], near: list[Event], at: int) -> bool:
    # Not more than `total` from the first step to the last.
    if "total" in told and gone[-1].at - gone[0].at > span(told["total"]):
        return False
    for step, before, after in zip(told["steps"][1:], gone, gone[1:], strict=False):
        # Not more than `within` after the step before.
        if "within" in step and after.at - before.at > span(step["within"]):
            return False
        # And nothing of `without` between the two, by time and then by the order of the log.
        between = [event for event in near if place(before) < place(event) < place(after)]
        if "without" in step and any(is_meant(step["without"], event) for event in between):
            return False
    # All steps carry the same properties: one value, equal in kind, and neither missing, too long, a list nor a map.
    same = told.get("same", [])
    for path in [same] if isinstance(same, str) else same:
        values = [kept(at_path(path, event.properties)) for event in gone]
        if any(one is None or isinstance(one, list) or not is_same(one, values[0]) for one in values):
            return False
    # The time in which `unless` may follow is over, and it did not.
    if "unless" in told:
        wait = span(told["unless"]["within"])
        after_it = [event for event in near if place(event) > place(gone[-1]) and event.at - gone[-1].at <= wait]
        return at - gone[-1].at >= wait and not any(is_meant(told["unless"], event) for event in after_it)
    return True


def is_drawn(told: Any, person: Person) -> bool:
    """The person's share lies in the part: from the first on, before the last."""
    first = _share(told.get("from", 0))
    until = _share(told["until"]) if "until" in told else first + _share(told["share"])
    return first <= drawn(told.get("salt", ""), person.profile_id) < until


def drawn(salt: str, profile_id: str) -> float:
    """The first 32 bits of MD5 of "salt:profile id", as a share of all."""
    digest = hashlib.md5(f"{salt}:{profile_id}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _share(told: Any) -> float:
    return float(told[:-1]) / 100 if isinstance(told, str) else float(told)


# -- orders: the first of many


def chosen(told: Any, people: list[Person], at: int) -> set[str]:
    """Give the ids of the first of those with a place: by a number or by lot, and who stands equal by id."""
    is_drawn_by_lot = "limit" in told
    said = told["limit" if is_drawn_by_lot else "top"]
    placed: list[tuple[float, str]] = []
    for person in people:
        if not is_member(said.get("of", "everybody"), person, at):
            continue
        if is_drawn_by_lot:
            placed.append((drawn(said.get("salt", ""), person.profile_id), person.profile_id))
            continue
        value = value_of(said["by"], person, at)
        # A text or a truth is no number, and nothing stands below all numbers: it has no place.
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            placed.append((-float(value) if "highest" in said else float(value), person.profile_id))
    n = next(said[word] for word in ("highest", "lowest", "to") if word in said)
    if isinstance(n, str):
        # Of a part of them the last one is whole.
        n = -int(-(Fraction(n[:-1]) / 100 * len(placed)) // 1)
    return {profile_id for _, profile_id in sorted(placed)[:n]}


# -- values


def value_of(told: Any, person: Person, at: int) -> Any:
    """Give a value: of a trait, of a feature, or made of events."""
    if "trait" in told:
        return at_path(told["trait"], person.traits)
    if "feature" in told:
        return value_of(person.features[told["feature"]], person, at)
    meant = [event for event in happened(person, at) if is_meant(told, event)]
    counted = within_window(told, meant, person, at)
    kind = next((word for word in AGGREGATES if word in told), "count")
    if kind == "count":
        return float(len(counted))
    path = told[kind] if isinstance(told[kind], str) else told[kind]["of"]
    # An event that lacks the property, or holds a map or too long a text there, does not count.
    valued = [(event, kept(at_path(path, event.properties))) for event in counted]
    return made_of(kind, [(event, value) for event, value in valued if value is not None])


def made_of(kind: str, valued: list[tuple[Event, Any]]) -> Any:
    """Make one value of many, in order of time."""
    # Numbers below nine million millions are added up in whole millionths; others are left out.
    numbers = [value for _, value in valued if isinstance(value, float) and -9e12 < value < 9e12]
    total = sum(int((value * 1_000_000 + 0.5) // 1) for value in numbers)
    if kind == "sum":
        return total / 1_000_000
    if kind == "average":
        return total / 1_000_000 / len(numbers) if numbers else None
    if kind in ("minimum", "maximum"):
        return (sorted(numbers)[0 if kind == "minimum" else -1]) if numbers else None
    if kind in ("first", "last"):
        return valued[0 if kind == "first" else -1][1] if valued else None
    # Each element of a list counts, once for each event.
    seen: list[tuple[Any, list[Event]]] = []
    for event, value in valued:
        for one in value if isinstance(value, list) else [value]:
            held = next((events for other, events in seen if is_same(one, other)), None)
            if held is None:
                seen.append((one, [event]))
            elif held[-1] != event:
                held.append(event)
    if kind == "distinct":
        return float(len(seen))
    # Most often; then last seen; then texts before numbers before truths; then the greatest.
    rank: dict[type, int] = {str: 2, float: 1, bool: 0}
    best: Any = None
    for one, events in seen:
        order = (len(events), place(events[-1]), rank[type(one)], one)
        if best is None or order > best:
            best = order
    return best and best[-1]


def kept(value: Any) -> Any:
    """What counts of a property: truths, numbers, texts up to 1,000 characters, and the first 100 of a list."""
    if isinstance(value, list):
        return [one for one in (kept_scalar(one) for one in value[:100]) if one is not None]
    return kept_scalar(value)


def kept_scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    return value if isinstance(value, str) and len(value) <= 1_000 else None


# -- events


def place(event: Event) -> tuple[int, int]:
    """Events are in order of time, and at one instant in the order of the log."""
    return event.at, event.position


def happened(person: Person, at: int) -> list[Event]:
    """What is dated after the instant has not happened yet."""
    return sorted((event for event in person.events if event.at <= at), key=place)


def is_meant(told: Any, event: Event) -> bool:
    """The event is of the type, has one of the names, and its properties pass."""
    word = next(word for word in ("event", "page", "screen") if word in told)
    names = told[word] if isinstance(told[word], list) else [told[word]]
    kinds = ["track" if word == "event" else word]
    if "*" in names:
        # `event: "*"` means pages and screens as well.
        kinds = ["track", "page", "screen"] if word == "event" else kinds
    elif event.name not in names:
        return False
    return event.type in kinds and passes_clause(told.get("where"), event.properties)


def within_window(told: Any, meant: list[Event], person: Person, at: int) -> list[Event]:
    """Leave the events that lie in the window."""
    if "since_last" in told:
        # Later than the last marker, if there was one, and younger than the span (365 days unless said).
        within = span(told.get("within", "365d"))
        marks = [event.at for event in happened(person, at) if is_meant(told["since_last"], event)]
        return [event for event in meant if at - event.at < within and all(event.at > mark for mark in marks)]
    if "session" in told:
        # Going back from now as long as no pause between two events of any kind is over the gap, at most a day.
        start, gap = at, span(told["session"])
        for event in reversed(happened(person, at)):
            if event.type in {"track", "page", "screen"}:
                if at - event.at >= DAY or start - event.at > gap:
                    break
                start = event.at
        return [event for event in meant if event.at >= start]
    if "calendar" in told:
        first, until = calendar(told["calendar"], at)
        return [event for event in meant if first <= event.at < until]
    if "from" in told or "until" in told:
        return [
            event
            for event in meant
            if ("from" not in told or event.at >= instant_or_fail(told["from"]))
            and ("until" not in told or event.at < instant_or_fail(told["until"]))
        ]
    # Younger than `within`, and at least as old as `older_than`.
    return [
        event
        for event in meant
        if ("within" not in told or at - event.at < span(told["within"]))
        and ("older_than" not in told or at - event.at >= span(told["older_than"]))
    ]


# -- properties


def at_path(path: Any, document: Any) -> Any:
    """Go down by names; what is no map has nothing below it."""
    for name in path.split(".") if isinstance(path, str) else path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def passes_clause(told: Any, document: Any) -> bool:
    """Every property named passes; `all`, `any` and `not` join clauses."""
    if told is None:
        return True
    if "property" in told:
        rest = {word: wanted for word, wanted in told.items() if word != "property"}
        return passes_property(rest, at_path(told["property"], document))
    for word, wanted in told.items():
        if word == "all":
            holds = all(passes_clause(one, document) for one in wanted)
        elif word == "any":
            holds = any(passes_clause(one, document) for one in wanted)
        elif word == "not":
            holds = not passes_clause(wanted, document)
        else:
            holds = passes_property(wanted, at_path(word, document))
        if not holds:
            return False
    return True


def passes_property(wanted: Any, value: Any) -> bool:
    """Of a list's elements, those that are maps can pass a clause; `every` wants at least one element."""
    quantifier = next((word for word in ("some", "every", "none") if isinstance(wanted, dict) and word in wanted), None)
    if quantifier is None:
        return all_pass(wanted, value, 0)
    elements = value if isinstance(value, list) else []
    passed = [isinstance(one, dict) and passes_clause(wanted[quantifier], one) for one in elements]
    if quantifier == "every":
        return len(passed) > 0 and all(passed)
    return any(passed) if quantifier == "some" else not any(passed)


# -- tests


def all_pass(wanted: Any, value: Any, at: int) -> bool:
    """A bare value means `equals`, a bare list `one_of`; of several tests all must pass."""
    if isinstance(wanted, list):
        wanted = {"one_of": wanted}
    elif not isinstance(wanted, dict):
        wanted = {"equals": wanted}
    return all(passes(word, than, value, at) for word, than in wanted.items())


def passes(word: str, than: Any, value: Any, at: int) -> bool:
    """What is missing passes only the tests that deny; a list passes when one of its elements does."""
    if word == "not_equals":
        return not passes("equals", than, value, at)
    if word == "none_of":
        return not passes("one_of", than, value, at)
    if word == "not_contains":
        return not passes("contains", than, value, at)
    if word in ("is_set", "is_missing"):
        return (value is not None) is (bool(than) is (word == "is_set"))
    if value is None:
        return False
    values = value if isinstance(value, list) else [value]
    if word == "all_of":
        return all(any(is_same(one, element) for element in values) for one in than)
    return any(TESTS[word](element, than, at) for element in values)


def is_same(one: Any, other: Any) -> bool:
    """Equal and of one kind: a truth is no number, and a text is neither."""
    kinds = [bool if isinstance(x, bool) else str if isinstance(x, str) else float for x in (one, other)]
    if not all(isinstance(x, bool | str | int | float) for x in (one, other)):
        return False
    return kinds[0] is kinds[1] and (float(one) == float(other) if kinds[0] is float else one == other)


def _of_number(holds: Callable[[float, Any], bool]) -> Callable[[Any, Any, int], bool]:
    def test(value: Any, than: Any, _at: int) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and holds(float(value), than)

    return test


def _of_text(holds: Callable[[str, str], bool]) -> Callable[[Any, Any, int], bool]:
    return lambda value, than, _at: isinstance(value, str) and holds(value, than)


def _of_instant(holds: Callable[[int, Any, int], bool]) -> Callable[[Any, Any, int], bool]:
    def test(value: Any, than: Any, at: int) -> bool:
        then = instant(value) if isinstance(value, str) else None
        return then is not None and holds(then, than, at)

    return test


TESTS: dict[str, Callable[[Any, Any, int], bool]] = {
    "equals": lambda value, than, _at: is_same(value, than),
    "one_of": lambda value, than, _at: any(is_same(value, one) for one in than),
    "greater": _of_number(lambda value, than: value > than),
    "at_least": _of_number(lambda value, than: value >= than),
    "less": _of_number(lambda value, than: value < than),
    "at_most": _of_number(lambda value, than: value <= than),
    "between": _of_number(lambda value, than: than[0] <= value <= than[1]),
    "contains": _of_text(lambda value, than: than in value),
    "starts_with": _of_text(lambda value, than: value[: len(than)] == than),
    "ends_with": _of_text(lambda value, than: value[-len(than) :] == than),
    "matches": _of_text(lambda value, than: re.search(than, value) is not None),
    "before": _of_instant(lambda then, than, _at: then < instant_or_fail(than)),
    "after": _of_instant(lambda then, than, _at: then > instant_or_fail(than)),
    # Happened, and less than the span ago.
    "within_last": _of_instant(lambda then, than, at: 0 <= at - then < span(than)),
    # At least the span ago.
    "more_than_ago": _of_instant(lambda then, than, at: at - then >= span(than)),
    # Lies ahead, and not further than the span.
    "within_next": _of_instant(lambda then, than, at: 0 < then - at <= span(than)),
}


# -- time


def span(text: str) -> int:
    """Read a span of time: a year is 365 days, a week 7."""
    return int(text[:-1]) * SPANS[text[-1]]


def instant_or_fail(text: str) -> int:
    at = instant(text)
    assert at is not None
    return at


_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?(?:Z|([+-])([0-9]{2}):([0-9]{2}))?)?"
)


def instant(text: str) -> int | None:
    """Read an instant: a day is its first in UTC, and what names no zone is UTC; None when it is none."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[place] or 0) for place in range(1, 7))
    micros = int((found[7] or "0").ljust(6, "0"))
    away_h, away_m = int(found[9] or 0), int(found[10] or 0)
    try:
        moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    except ValueError:
        return None
    if away_h > 23 or away_m > 59:
        return None
    return micros_since(moment) + (away_h * HOUR + away_m * MINUTE) * (1 if found[8] == "-" else -1)


def micros_since(moment: datetime) -> int:
    return (moment - BEGINNING) // timedelta(microseconds=1)


def calendar(told: Any, at: int) -> tuple[int, int]:
    """The unit that began `back` units before the present one, and `length` of them."""
    zone, unit = told.get("zone", "UTC"), told["unit"]
    today = shown_on(zone, at)
    # A clock that is put back over midnight shows yesterday again; the new day goes on.
    while day_begins(zone, today + timedelta(days=1)) <= at:
        today += timedelta(days=1)
    first = unit_of(unit, today)
    for _ in range(told.get("back") or 0):
        first = unit_of(unit, first - timedelta(days=1))
    after = first
    for _ in range(told.get("length", 1)):
        after = next_unit(unit, after)
    return day_begins(zone, first), day_begins(zone, after)


def unit_of(unit: str, day: date) -> date:
    """Go back to the day on which a unit begins: Monday, the first of a month, of January, April, July, October."""
    while not _begins(unit, day):
        day -= timedelta(days=1)
    return day


def next_unit(unit: str, day: date) -> date:
    day += timedelta(days=1)
    while not _begins(unit, day):
        day += timedelta(days=1)
    return day


def _begins(unit: str, day: date) -> bool:
    if unit == "week":
        return day.isoweekday() == 1
    if unit == "month":
        return day.day == 1
    if unit == "quarter":
        return day.day == 1 and day.month in {1, 4, 7, 10}
    return unit == "day" or (day.day == 1 and day.month == 1)


def shown_on(zone: str, at: int) -> date:
    return (BEGINNING + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=10_000)
def day_begins(zone: str, day: date) -> int:
    """A day begins with the first minute at which the zone's clock shows it, or a later day."""
    # No zone is more than 14 hours ahead of UTC, or was more than 16.
    at = micros_since(datetime(day.year, day.month, day.day, tzinfo=UTC)) - 16 * HOUR
    while shown_on(zone, at) < day:
        at += MINUTE
    return at
