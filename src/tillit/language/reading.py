"""Reading: a definition as people write it, in YAML or JSON, becomes nodes.

In:    plain values: maps, lists, texts, numbers.
Out:   a condition or a value.
Never: anything run. A word that is not known is refused with the place where it stands and the words that are.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from tillit.clock import DAY, MINUTE
from tillit.errors import InputError
from tillit.language.instants import LONGEST, is_zone, read_instant, read_span
from tillit.language.nodes import (
    AGGREGATES,
    OF_MISSING,
    UNITS,
    Absolute,
    Aggregate,
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Calendar,
    Clause,
    Compare,
    Condition,
    EventValue,
    Ever,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Nested,
    Not,
    NotClause,
    Path,
    Permitted,
    PropertyTest,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Step,
    Test,
    TraitValue,
    Value,
    Window,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.values import why_no_pattern

MOST_NODES = 500
_DEEPEST = 20
_MOST_NAMES = 50
_MOST_STEPS = 10
_LONGEST_TEXT = 1_000
_MATCHING = ("event", "page", "screen")
_WINDOWS = ("within", "older_than", "from", "until", "calendar", "since_last", "session")
_TESTS = tuple(OF_MISSING)
_NUMERIC = frozenset({"greater", "at_least", "less", "at_most", "between"})
_TEXTUAL = frozenset({"contains", "not_contains", "starts_with", "ends_with", "matches"})
_LISTS = frozenset({"one_of", "none_of", "all_of"})
_SPANS = frozenset({"within_last", "more_than_ago", "within_next"})
_CLAUSES = ("all", "any", "not", "property", "some", "every", "none")
_GROUP = ("kind", "role", "trait", "members", "member", "count", "others_only")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ONE = (Test("at_least", 1.0),)
_DEFAULT_SINCE = 365 * DAY
_ORDERS = ("top", "limit")  # at the root of an audience alone
_MOST_RANKED = 100_000_000
_MOST_UNITS = {"day": 4_000, "week": 4_000, "month": 1_200, "quarter": 400, "year": 100}  # 100 years at most


class LanguageInvalid(InputError):
    """A definition says something that cannot be read."""

    code = "language.invalid"

    def __init__(self, where: str, why: str) -> None:
        """Name the place and say what is wrong there."""
        super().__init__(f"{where}: {why}", where=where)


def read_condition(told: Any, where: str = "definition") -> Condition:
    """Read a condition. Raises LanguageInvalid."""
    return _Reader().condition(told, where)


def read_value(told: Any, where: str = "definition") -> Value:
    """Read a value, as features are defined. Raises LanguageInvalid."""
    return _Reader().value(told, where)


def _refuse(where: str, why: str) -> NoReturn:
    raise LanguageInvalid(where, why)


def _unknown(where: str, word: object, known: Sequence[str]) -> NoReturn:
    near = difflib.get_close_matches(str(word), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else f" Known are: {', '.join(known)}."
    _refuse(where, f"{str(word)[:64]!r} is not known here.{hint}")


class _Reader:
    """Reads one definition, and counts what it is made of."""

    def __init__(self) -> None:
        self._n_nodes = 0
        self._depth = 0
        self._is_of_member = False

    def _count(self, where: str) -> None:
        self._n_nodes += 1
        if self._n_nodes > MOST_NODES:
            _refuse(where, f"the definition has over {MOST_NODES} parts. Make audiences of some and name them here.")

    @contextmanager
    def _within(self, where: str) -> Iterator[None]:
        self._count(where)
        self._depth += 1
        if self._depth > _DEEPEST:
            _refuse(where, f"more than {_DEEPEST} stand in one another.")
        yield
        self._depth -= 1

    # -- conditions

    def condition(self, told: Any, where: str) -> Condition:
        """Read a condition, whichever it is."""
        if told == "everybody":
            return Everybody()
        said = _map(told, where)
        for word in _ORDERS:
            if word in said:
                with self._within(where):
                    return self._ranked(said, word, where)
        for word, read in self._conditions().items():
            if word in said:
                with self._within(where):
                    return read(said, where)
        _unknown(where, next(iter(said)), (*self._conditions(), *(_ORDERS if not self._depth else ())))

    def _conditions(self) -> Mapping[str, Callable[[dict[str, Any], str], Condition]]:
        return {
            "all": self._all,
            "any": self._any,
            "not": self._not,
            **dict.fromkeys(_MATCHING, self._event_condition),
            "trait": self._compare,
            "feature": self._compare,
            "first_time": self._first_time,
            "stopped": self._stopped,
            "restarted": self._restarted,
            "regularly": self._regularly,
            "sequence": self._sequence,
            "audience": self._audience,
            "permitted": self._permitted,
            "sample": self._sample,
            "group": self._group,
        }

    def _all(self, said: dict[str, Any], where: str) -> Condition:
        return AllOf(self._many(said, "all", where))

    def _any(self, said: dict[str, Any], where: str) -> Condition:
        return AnyOf(self._many(said, "any", where))

    def _many(self, said: dict[str, Any], word: str, where: str) -> tuple[Condition, ...]:
        _only(said, (word,), where)
        listed = said[word]
        if not isinstance(listed, list) or not listed:
            _refuse(f"{where}.{word}", "wants a list of conditions, at least one.")
        return tuple(self.condition(one, f"{where}.{word}[{i}]") for i, one in enumerate(listed))

    def _not(self, said: dict[str, Any], where: str) -> Condition:
        _only(said, ("not",), where)
        return Not(self.condition(said["not"], f"{where}.not"))

    def _event_condition(self, said: dict[str, Any], where: str) -> Condition:
        value, tests = self._event_value(said, where)
        if not tests:
            if value.aggregate.kind != "count":
                _refuse(where, f"say what {value.aggregate.kind} is to be, as in `at_least: 5`.")
            tests = (Test("at_least", 1.0),)
        return Compare(value, tests)

    def _compare(self, said: dict[str, Any], where: str) -> Condition:
        word = "trait" if "trait" in said else "feature"
        tests = _tests({name: one for name, one in said.items() if name != word}, where, moving=True)
        if not tests:
            _refuse(where, f"say what the {word} is to be, as in `equals: pro` or `is_set: true`.")
        return Compare(self.value({word: said[word]}, where), tests)

    def _first_time(self, said: dict[str, Any], where: str) -> Condition:
        inner = _alone(said, "first_time", where)
        _only(inner, (*_MATCHING, "where", "within", "from", "until", "calendar"), f"{where}.first_time")
        window = self._window(inner, f"{where}.first_time")
        if not isinstance(window, Rolling | Absolute | Calendar):
            _refuse(f"{where}.first_time", "say when: `within`, `from` and `until`, or `calendar`.")
        return FirstTime(self.matcher(inner, f"{where}.first_time"), window)

    def _stopped(self, said: dict[str, Any], where: str) -> Condition:
        inner, here = _alone(said, "stopped", where), f"{where}.stopped"
        _only(inner, (*_MATCHING, "where", "quiet", "active"), here)
        matcher = self.matcher(inner, here)
        quiet, active = _span(inner, "quiet", here), _span(inner, "active", here)
        before = EventValue(matcher, Rolling(quiet + active, quiet), Aggregate("count"))
        since = EventValue(matcher, Rolling(quiet), Aggregate("count"))
        return AllOf((Compare(before, (Test("at_least", 1.0),)), Compare(since, (Test("equals", 0.0),))))

    def _restarted(self, said: dict[str, Any], where: str) -> Condition:
        inner, here = _alone(said, "restarted", where), f"{where}.restarted"
        _only(inner, (*_MATCHING, "where", "within", "quiet"), here)
        return Restarted(self.matcher(inner, here), _span(inner, "within", here), _span(inner, "quiet", here))

    def _regularly(self, said: dict[str, Any], where: str) -> Condition:
        inner, here = _alone(said, "regularly", where), f"{where}.regularly"
        _only(inner, (*_MATCHING, "where", "every", "at_least", "of"), here)
        of, at_least = _whole(inner, "of", here, most=400), _whole(inner, "at_least", here, most=400)
        if at_least > of:
            _refuse(here, f"`at_least` is {at_least}, and there are {of} stretches.")
        every = _span(inner, "every", here)
        if every * of > LONGEST:
            _refuse(here, "the stretches together are longer than 100 years.")
        return Regularly(self.matcher(inner, here), every, at_least, of)

    def _sequence(self, said: dict[str, Any], where: str) -> Condition:
        inner, here = _alone(said, "sequence", where), f"{where}.sequence"
        _only(inner, ("steps", "within", "total", "same", "unless"), here)
        listed = inner.get("steps")
        if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_STEPS:
            _refuse(f"{here}.steps", f"wants a list of one to {_MOST_STEPS} steps.")
        steps = tuple(self._step(_map(one, f"{here}.steps[{i}]"), f"{here}.steps[{i}]", i) for i, one in
                      enumerate(listed))  # fmt: skip
        unless, unless_within = None, 0
        if inner.get("unless") is not None:
            apart = _map(inner["unless"], f"{here}.unless")
            _only(apart, (*_MATCHING, "where", "within"), f"{here}.unless")
            unless, unless_within = self.matcher(apart, f"{here}.unless"), _span(apart, "within", f"{here}.unless")
        elif len(steps) == 1:
            _refuse(
                f"{here}.steps", "one step alone is an event: write `event:`, or say what may not follow (`unless`)."
            )
        same = inner.get("same", [])
        paths = [same] if isinstance(same, str) else same
        if not isinstance(paths, list) or len(paths) > 3:
            _refuse(f"{here}.same", "wants the names of at most 3 properties on which all steps agree.")
        return Steps(
            steps,
            _span(inner, "within", here),
            _span(inner, "total", here) if "total" in inner else None,
            tuple(_path(one, f"{here}.same") for one in paths),
            unless,
            unless_within,
        )

    def _step(self, said: dict[str, Any], where: str, place: int) -> Step:
        _only(said, (*_MATCHING, "where", "within", "without"), where)
        self._count(where)
        if place == 0 and ("within" in said or "without" in said):
            _refuse(where, "`within` and `without` are about the step before, and this is the first.")
        gap = _span(said, "within", where) if "within" in said else None
        without = None
        if said.get("without") is not None:
            apart = _map(said["without"], f"{where}.without")
            _only(apart, (*_MATCHING, "where"), f"{where}.without")
            without = self.matcher(apart, f"{where}.without")
        return Step(self.matcher(said, where), gap, without)

    def _audience(self, said: dict[str, Any], where: str) -> Condition:
        _only(said, ("audience",), where)
        return InAudience(_text(said["audience"], f"{where}.audience"))

    def _permitted(self, said: dict[str, Any], where: str) -> Condition:
        _only(said, ("permitted",), where)
        return Permitted(_text(said["permitted"], f"{where}.permitted"))

    def _sample(self, said: dict[str, Any], where: str) -> Condition:
        inner, here = _alone(said, "sample", where), f"{where}.sample"
        _only(inner, ("salt", "from", "until", "share"), here)
        first = _share(inner, "from", here) if "from" in inner else 0.0
        last = _share(inner, "until", here) if "until" in inner else min(1.0, first + _share(inner, "share", here))
        if "until" in inner and "share" in inner:
            _refuse(here, "say `share` or `until`, not both.")
        if not first < last:
            _refuse(here, "is empty: `until` must be more than `from`.")
        return Sample(_text(inner["salt"], f"{here}.salt") if "salt" in inner else "", first, last)

    def _ranked(self, said: dict[str, Any], word: str, where: str) -> Condition:
        inner, here = _alone(said, word, where), f"{where}.{word}"
        if self._depth > 1:
            _refuse(
                where,
                f"`{word}` ranks everybody, and stands at the root of an audience alone. Say in its `of` of whom it "
                "is to take the first.",
            )
        of = self.condition(inner["of"], f"{here}.of") if "of" in inner else Everybody()
        every = _span(inner, "every", here) if "every" in inner else DAY
        if every < MINUTE:
            _refuse(f"{here}.every", "wants a minute at least: everybody is looked at each time.")
        if word == "limit":
            _only(inner, ("of", "to", "salt", "every"), here)
            salt = _text(inner["salt"], f"{here}.salt") if "salt" in inner else ""
            return Ranked(of, None, False, *_so_many(inner.get("to"), f"{here}.to"), every, salt)
        _only(inner, ("of", "by", "highest", "lowest", "every"), here)
        if ("highest" in inner) == ("lowest" in inner):
            _refuse(here, "say how many to take, `highest: 1000` or `lowest: 5%`, one of the two.")
        if "by" not in inner:
            _refuse(here, "say what to rank by: `by: {event: Order Completed, sum: total}`.")
        by, which = self.value(inner["by"], f"{here}.by"), "highest" if "highest" in inner else "lowest"
        return Ranked(of, by, which == "highest", *_so_many(inner[which], f"{here}.{which}"), every)

    def _group(self, said: dict[str, Any], where: str) -> Condition:
        _only(said, ("group",), where)
        here = f"{where}.group"
        if self._is_of_member:
            _refuse(here, "stands in a condition about members of a group: what their groups are is not looked at.")
        told = said["group"]
        if isinstance(told, str):
            told = {"kind": told}
        told = _map(told, here)
        _only(told, (*_GROUP, *(_TESTS if "trait" in told else ())), here)
        sizes = _tests(told["members"], f"{here}.members", moving=False) if "members" in told else ()
        member, counts = self._member(told, here)
        if sizes == () and "members" in told:
            _refuse(f"{here}.members", "wants a number, as in `at_least: 3`.")
        tests: tuple[Test, ...] = ()
        if "trait" in told:
            tests = _tests({name: one for name, one in told.items() if name not in _GROUP}, here, moving=True)
            if not tests:
                _refuse(here, "say what the trait is to be, as in `equals: pro` or `is_set: true`.")
        return InGroup(
            _kind(told["kind"], f"{here}.kind") if "kind" in told else "",
            _roles(told["role"], f"{here}.role") if "role" in told else (),
            _path(told["trait"], f"{here}.trait") if "trait" in told else (),
            tests,
            sizes,
            member,
            counts,
            _truth(told, "others_only", here),
        )

    def _member(self, told: dict[str, Any], where: str) -> tuple[Condition | None, tuple[Test, ...]]:
        if "member" not in told:
            for word in ("count", "others_only"):
                if word in told:
                    _refuse(f"{where}.{word}", "is about `member`: say what is to hold of how many.")
            return None, ()
        counts = _tests(told["count"], f"{where}.count", moving=False) if "count" in told else _ONE
        if not counts:
            _refuse(f"{where}.count", "wants a number, as in `at_least: 2`.")
        self._is_of_member = True
        member = self.condition(told["member"], f"{where}.member")
        self._is_of_member = False
        return member, counts

    # -- values

    def value(self, told: Any, where: str) -> Value:
        """Read a value, whichever it is."""
        said = _map(told, where)
        self._count(where)
        if "trait" in said:
            _only(said, ("trait",), where)
            return TraitValue(_path(said["trait"], f"{where}.trait"))
        if "feature" in said:
            _only(said, ("feature",), where)
            return FeatureValue(_text(said["feature"], f"{where}.feature"))
        if any(word in said for word in _MATCHING):
            value, tests = self._event_value(said, where)
            if tests:
                _refuse(where, "a value is compared with nothing here: leave the comparison out.")
            return value
        _unknown(where, next(iter(said), ""), (*_MATCHING, "trait", "feature"))

    def _event_value(self, said: dict[str, Any], where: str) -> tuple[EventValue, tuple[Test, ...]]:
        _only(said, (*_MATCHING, "where", *_WINDOWS, *AGGREGATES), where)
        made = [word for word in AGGREGATES if word in said]
        if len(made) > 1:
            _refuse(where, f"`{made[0]}` and `{made[1]}` stand beside each other: put them below `all`.")
        tests: tuple[Test, ...] = ()
        aggregate = Aggregate("count")
        if made:
            aggregate, tests = self._aggregate(made[0], said[made[0]], f"{where}.{made[0]}")
        return EventValue(self.matcher(said, where), self._window(said, where), aggregate), tests

    def _aggregate(self, kind: str, told: Any, where: str) -> tuple[Aggregate, tuple[Test, ...]]:
        if kind == "count":
            return Aggregate("count"), () if told is True or told == {} else _tests(told, where, moving=False)
        if isinstance(told, str):
            return Aggregate(kind, _path(told, where)), ()
        said = _map(told, where)
        if "of" not in said:
            _refuse(where, "say of which property: `of: total`.")
        rest = {name: one for name, one in said.items() if name != "of"}
        tests = _tests(rest, where, moving=kind in ("first", "last", "most_frequent"))
        return Aggregate(kind, _path(said["of"], f"{where}.of")), tests

    def _window(self, said: dict[str, Any], where: str) -> Window:
        if "since_last" in said:
            _apart(said, "since_last", ("within",), where)
            inner = _map(said["since_last"], f"{where}.since_last")
            _only(inner, (*_MATCHING, "where"), f"{where}.since_last")
            within = _span(said, "within", where) if "within" in said else _DEFAULT_SINCE
            return SinceLast(self.matcher(inner, f"{where}.since_last"), within)
        if "session" in said:
            _apart(said, "session", (), where)
            gap = _span(said, "session", where)
            if gap > DAY:
                _refuse(f"{where}.session", "a pause within a visit is at most a day.")
            return Session(gap)
        if "calendar" in said:
            _apart(said, "calendar", (), where)
            return _calendar(_map(said["calendar"], f"{where}.calendar"), f"{where}.calendar")
        if "from" in said or "until" in said:
            _apart(said, "from" if "from" in said else "until", ("from", "until"), where)
            first = _instant(said["from"], f"{where}.from") if "from" in said else None
            last = _instant(said["until"], f"{where}.until") if "until" in said else None
            if first is not None and last is not None and first >= last:
                _refuse(where, "`until` must be later than `from`.")
            return Absolute(first, last)
        if "within" in said:
            older = _span(said, "older_than", where) if "older_than" in said else 0
            within = _span(said, "within", where)
            if older >= within:
                _refuse(where, "`older_than` must be less than `within`: nothing lies between.")
            return Rolling(within, older)
        if "older_than" in said:
            return Rolling(LONGEST, _span(said, "older_than", where))
        return Ever()

    # -- events

    def matcher(self, said: dict[str, Any], where: str) -> Matcher:
        """Read which events count."""
        self._count(where)
        words = [word for word in _MATCHING if word in said]
        if len(words) != 1:
            _refuse(where, "say which events: `event:`, `page:` or `screen:` with a name, and only one of them.")
        word = words[0]
        told = said[word]
        names = [told] if isinstance(told, str) else told
        if not isinstance(names, list) or not 1 <= len(names) <= _MOST_NAMES:
            _refuse(f"{where}.{word}", f"wants a name, or a list of one to {_MOST_NAMES}; `*` means any.")
        texts = tuple(sorted({_text(one, f"{where}.{word}") for one in names}))
        kind = "track" if word == "event" else word
        if "*" in texts:
            kind, texts = ("*" if word == "event" else word), ()
        clause = self.clause(said["where"], f"{where}.where") if said.get("where") is not None else None
        return Matcher(kind, texts, clause)

    def clause(self, told: Any, where: str) -> Clause:
        """Read what properties are to be."""
        with self._within(where):
            return self._clause(told, where)

    def _clause(self, told: Any, where: str) -> Clause:
        said = _map(told, where)
        if not said:
            _refuse(where, "is empty: leave it out, or name a property.")
        if "property" in said:
            return self._property(said["property"], {n: o for n, o in said.items() if n != "property"}, where)
        found = [
            self._joined(word, one, f"{where}.{word}")
            if word in ("all", "any", "not")
            else self._property(word, one, f"{where}.{word}")
            for word, one in said.items()
        ]
        return found[0] if len(found) == 1 else AllClauses(tuple(found))

    def _joined(self, word: str, told: Any, where: str) -> Clause:
        if word == "not":
            return NotClause(self.clause(told, where))
        if not isinstance(told, list) or not told:
            _refuse(where, "wants a list of clauses, at least one.")
        parts = tuple(self.clause(one, f"{where}[{i}]") for i, one in enumerate(told))
        return AllClauses(parts) if word == "all" else AnyClause(parts)

    def _property(self, name: Any, told: Any, where: str) -> Clause:
        path = _path(name, where)
        if isinstance(told, dict):
            nested = [word for word in ("some", "every", "none") if word in told]
            if nested:
                _only(told, (nested[0],), where)
                return Nested(path, nested[0], self.clause(told[nested[0]], f"{where}.{nested[0]}"))
        tests = _tests(told, where, moving=False)
        if not tests:
            _refuse(where, "say what the property is to be, as in `equals: EUR` or `greater: 50`.")
        return PropertyTest(path, tests)


# -- words


def _map(told: Any, where: str) -> dict[str, Any]:
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        _refuse(where, "wants names with values behind them.")
    if not told:
        _refuse(where, "is empty.")
    return told


def _alone(said: dict[str, Any], word: str, where: str) -> dict[str, Any]:
    _only(said, (word,), where)
    return _map(said[word], f"{where}.{word}")


def _only(said: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in said:
        if name not in known:
            _unknown(where, name, known)


def _apart(said: Mapping[str, Any], word: str, beside: Sequence[str], where: str) -> None:
    for other in _WINDOWS:
        if other in said and other != word and other not in beside:
            _refuse(where, f"`{word}` and `{other}` are two ways to say when: keep one.")


def _text(told: Any, where: str) -> str:
    if not isinstance(told, str) or not told or len(told) > 256 or "\0" in told:
        _refuse(where, "wants a text of 1 to 256 characters.")
    return told


def _kind(told: Any, where: str) -> str:
    if told == "*":
        return ""
    if not isinstance(told, str) or not _KIND.fullmatch(told):
        _refuse(where, "wants a kind of group in small letters, as household or account; `*` means any.")
    return told


def _roles(told: Any, where: str) -> tuple[str, ...]:
    listed = [told] if isinstance(told, str) else told
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_NAMES:
        _refuse(where, f"wants a role, or a list of one to {_MOST_NAMES}.")
    return tuple(sorted({_text(one, where) for one in listed}))


def _truth(said: Mapping[str, Any], word: str, where: str) -> bool:
    told = said.get(word, False)
    if not isinstance(told, bool):
        _refuse(f"{where}.{word}", "wants true or false.")
    return told


def _path(told: Any, where: str) -> Path:
    parts = told.split(".") if isinstance(told, str) else told
    if not isinstance(parts, list) or not 1 <= len(parts) <= 8:
        _refuse(where, "wants the name of a property; a dot goes into it: `shipping.country`.")
    return tuple(_text(one, where) for one in parts)


def _span(said: Mapping[str, Any], word: str, where: str) -> int:
    told = said.get(word)
    span = read_span(told) if isinstance(told, str) else None
    if not span:
        _refuse(f"{where}.{word}", "wants a span of time, as 30m, 36h, 90d, 2w or 1y.")
    return span


def _instant(told: Any, where: str) -> int:
    at = read_instant(told) if isinstance(told, str) else None
    if at is None:
        _refuse(where, "wants a day or an instant, as 2026-03-01 or 2026-03-01T09:00:00Z.")
    return at


def _whole(said: Mapping[str, Any], word: str, where: str, *, most: int) -> int:
    told = said.get(word)
    if type(told) is not int or not 1 <= told <= most:
        _refuse(f"{where}.{word}", f"wants a whole number from 1 to {most}.")
    return told


def _so_many(told: Any, where: str) -> tuple[int, int]:
    """Read how many: a number of people, or millionths of those who have a place."""
    if type(told) is int and 1 <= told <= _MOST_RANKED:
        return told, 0
    if isinstance(told, str) and told.endswith("%"):
        millionths = round(_share({"share": told}, "share", where) * 1_000_000)
        if millionths:
            return 0, millionths
    _refuse(where, f"wants a number of people from 1 to {_MOST_RANKED:,}, or a part of them, as 5%.")


def _share(said: Mapping[str, Any], word: str, where: str) -> float:
    told = said.get(word)
    if isinstance(told, str) and told.endswith("%"):
        try:
            told = float(told[:-1]) / 100
        except ValueError:
            told = None
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 1:
        _refuse(f"{where}.{word}", "wants a share, as 10% or 0.1.")
    return float(told)


def _calendar(said: dict[str, Any], where: str) -> Calendar:
    _only(said, ("unit", "back", "length", "zone"), where)
    unit, zone = said.get("unit"), said.get("zone", "UTC")
    if unit not in UNITS:
        _refuse(f"{where}.unit", f"wants one of {', '.join(UNITS)}.")
    if not isinstance(zone, str) or not is_zone(zone):
        _refuse(f"{where}.zone", "wants the name of a time zone, as Europe/Stockholm.")
    most = _MOST_UNITS[unit]
    back = _whole(said, "back", where, most=most) if said.get("back") else 0
    return Calendar(unit, back, _whole(said, "length", where, most=most) if "length" in said else 1, zone)


def _tests(told: Any, where: str, *, moving: bool) -> tuple[Test, ...]:
    if isinstance(told, list):
        told = {"one_of": told}
    elif not isinstance(told, dict):
        told = {"equals": told}
    return tuple(_test(op, one, f"{where}.{op}", moving=moving) for op, one in told.items())


def _test(op: Any, told: Any, where: str, *, moving: bool) -> Test:
    if op not in OF_MISSING:
        _unknown(where.rpartition(".")[0], op, _TESTS)
    if op in ("is_set", "is_missing"):
        if not isinstance(told, bool):
            _refuse(where, "wants true or false.")
        return Test(op if told else ("is_missing" if op == "is_set" else "is_set"), None)
    if op in _NUMERIC:
        return Test(op, _numbers(told, where) if op == "between" else _number(told, where))
    if op in _TEXTUAL:
        if not isinstance(told, str) or not told or len(told) > _LONGEST_TEXT:
            _refuse(where, "wants a text.")
        why = why_no_pattern(told) if op == "matches" else ""
        if why:
            _refuse(where, f"is no pattern: {why}")
        return Test(op, told)
    if op in _LISTS:
        if not isinstance(told, list) or not 1 <= len(told) <= 1_000:
            _refuse(where, "wants a list of 1 to 1,000 values.")
        # Each once: what is said twice asks for nothing more. True and 1 are two.
        return Test(op, tuple({(type(one), one): one for one in (_scalar(one, where) for one in told)}.values()))
    if op in ("before", "after"):
        return Test(op, _instant(told, where))
    if op in _SPANS:
        if not moving:
            _refuse(where, "compares with now, and an event stays what it was: it works for traits and features alone.")
        return Test(op, _span({op: told}, op, where.rpartition(".")[0]))
    return Test(op, _scalar(told, where))


def _scalar(told: Any, where: str) -> bool | float | str:
    if isinstance(told, bool):
        return told
    if isinstance(told, str) and len(told) <= _LONGEST_TEXT and "\0" not in told:
        return told
    return _number(told, where, "wants a text, a number, true or false.")


def _number(told: Any, where: str, why: str = "wants a number.") -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        _refuse(where, why)
    number = float(told) if abs(told) < 1e300 else math.inf
    if not math.isfinite(number):
        _refuse(where, why)
    return number


def _numbers(told: Any, where: str) -> tuple[float, float]:
    if not isinstance(told, list) or len(told) != 2:
        _refuse(where, "wants two numbers: [10, 20]. Both count.")
    low, high = _number(told[0], where), _number(told[1], where)
    if low > high:
        _refuse(where, "the first number must not be more than the second.")
    return low, high
