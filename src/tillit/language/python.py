"""Python: definitions of audiences and features, written with operators.

In:    names, numbers and texts, as the YAML form has them.
Out:   the same plain values (`plain`) and the same nodes (`node`).
Never: another meaning than the plain form, or a word that it does not have: what is written here is read there.

>>> bought = event("Order Completed").where(total__gt=50).within("90d").count() >= 2
>>> (bought & (trait("plan") == "pro")).plain["all"][1]
{'trait': 'plan', 'equals': 'pro'}
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from tillit.errors import InputError
from tillit.language.nodes import Condition, Value
from tillit.language.reading import read_condition, read_value

# Short words for tests, as they stand behind two underscores.
_SHORT = {
    "eq": "equals",
    "ne": "not_equals",
    "gt": "greater",
    "gte": "at_least",
    "ge": "at_least",
    "lt": "less",
    "lte": "at_most",
    "le": "at_most",
    "in": "one_of",
}


class NoAnswerYet(InputError, TypeError):
    """A definition was asked for yes or no while it is being written."""

    code = "language.no-answer-yet"

    def __init__(self) -> None:
        """Say what to write instead."""
        super().__init__(
            "A definition has no answer before it is asked of a person. Write & for and, | for or, ~ for not, each "
            "side in parentheses; instead of 1 < x < 5 write x.passes(greater=1, less=5)."
        )


class _Part:
    """Something that is being written. `plain`: what stands in YAML or JSON."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def __bool__(self) -> NoReturn:
        raise NoAnswerYet

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.plain!r})"


class Rule(_Part):
    """A condition that holds of a person or does not."""

    def __and__(self, other: object) -> "Rule":
        return Rule(_joined("all", self, other)) if isinstance(other, Rule) else NotImplemented

    def __or__(self, other: object) -> "Rule":
        return Rule(_joined("any", self, other)) if isinstance(other, Rule) else NotImplemented

    def __invert__(self) -> "Rule":
        return Rule({"not": self.plain})

    @property
    def node(self) -> Condition:
        """Give the condition as it is read. Raises LanguageInvalid."""
        return read_condition(self.plain)


class Clause(_Part):
    """What an event's properties are to be."""

    def __and__(self, other: object) -> "Clause":
        return Clause(_joined("all", self, other)) if isinstance(other, Clause) else NotImplemented

    def __or__(self, other: object) -> "Clause":
        return Clause(_joined("any", self, other)) if isinstance(other, Clause) else NotImplemented

    def __invert__(self) -> "Clause":
        return Clause({"not": self.plain})


class _Compared(_Part):
    """What is compared with operators."""

    __hash__ = None  # type: ignore[assignment]  # == writes a test here

    def __eq__(self, other: object) -> Any:
        return self._tested({"equals": other})

    def __ne__(self, other: object) -> Any:
        return self._tested({"not_equals": other})

    def __gt__(self, other: float) -> Any:
        return self._tested({"greater": other})

    def __ge__(self, other: float) -> Any:
        return self._tested({"at_least": other})

    def __lt__(self, other: float) -> Any:
        return self._tested({"less": other})

    def __le__(self, other: float) -> Any:
        return self._tested({"at_most": other})

    def _tested(self, tests: dict[str, Any]) -> Any:
        raise NotImplementedError


class Measure(_Compared):
    """A value of a person: a trait, a feature, or what is made of events."""

    @property
    def node(self) -> Value:
        """Give the value as it is read, for a feature. Raises LanguageInvalid."""
        return read_value(self.plain)

    def passes(self, **tests: Any) -> Rule:
        """Compare with the tests of the plain form, all of which are to hold: `passes(starts_with="p")`."""
        return self._tested(tests)

    def _tested(self, tests: dict[str, Any]) -> Rule:
        return Rule({**self.plain, **_long(tests)})


class _MadeOfEvents(Measure):
    """A count, a sum or the like."""

    def __init__(self, events: Mapping[str, Any], kind: str, path: Any) -> None:
        super().__init__({**events, kind: True if kind == "count" else path})
        self._events, self._kind, self._path = events, kind, path

    def _tested(self, tests: dict[str, Any]) -> Rule:
        of = {} if self._kind == "count" else {"of": self._path}
        return Rule({**self._events, self._kind: {**of, **_long(tests)}})


class Property(_Compared):
    """A property of an event, for `where`."""

    def __init__(self, path: str | list[str]) -> None:
        super().__init__({"property": path})

    def passes(self, **tests: Any) -> Clause:
        """Compare with the tests of the plain form, all of which are to hold."""
        return self._tested(tests)

    def some(self, *clauses: Clause, **lookups: Any) -> Clause:
        """Ask that at least one element of a list passes."""
        return self._tested({"some": _where(clauses, lookups)})

    def every(self, *clauses: Clause, **lookups: Any) -> Clause:
        """Ask that there are elements in a list, and that each one passes."""
        return self._tested({"every": _where(clauses, lookups)})

    def none(self, *clauses: Clause, **lookups: Any) -> Clause:
        """Ask that no element of a list passes."""
        return self._tested({"none": _where(clauses, lookups)})

    def _tested(self, tests: dict[str, Any]) -> Clause:
        return Clause({**self.plain, **_long(tests)})


class _Aggregated(Rule):
    """What can be made of events. Each takes a window as words: `count(within="90d")`."""

    def count(self, **window: Any) -> Measure:
        """Count the events."""
        return self._made_of("count", None, window)

    def sum(self, path: str | list[str], **window: Any) -> Measure:
        """Add up a property."""
        return self._made_of("sum", path, window)

    def average(self, path: str | list[str], **window: Any) -> Measure:
        """Give the average of a property."""
        return self._made_of("average", path, window)

    def minimum(self, path: str | list[str], **window: Any) -> Measure:
        """Give the lowest number of a property."""
        return self._made_of("minimum", path, window)

    def maximum(self, path: str | list[str], **window: Any) -> Measure:
        """Give the highest number of a property."""
        return self._made_of("maximum", path, window)

    def distinct(self, path: str | list[str], **window: Any) -> Measure:
        """Count the different values of a property."""
        return self._made_of("distinct", path, window)

    def first(self, path: str | list[str], **window: Any) -> Measure:
        """Give the first value of a property."""
        return self._made_of("first", path, window)

    def last(self, path: str | list[str], **window: Any) -> Measure:
        """Give the last value of a property."""
        return self._made_of("last", path, window)

    def most_frequent(self, path: str | list[str], **window: Any) -> Measure:
        """Give the value of a property that came most often."""
        return self._made_of("most_frequent", path, window)

    def _made_of(self, kind: str, path: Any, window: dict[str, Any]) -> Measure:
        return _MadeOfEvents(
            {**self.plain, **{word.rstrip("_"): _plain(one) for word, one in window.items()}}, kind, path
        )


class Events(_Aggregated):
    """Events of a kind. As a condition: at least one of them happened."""

    def where(self, *clauses: Clause, **lookups: Any) -> "Events":
        """Say what properties are to be: `where(total__gt=50, currency="EUR")`, or clauses of `prop`."""
        asked = _where(clauses, lookups)
        held = self.plain.get("where")
        return self._with(where=asked if held is None else {"all": [held, asked]})

    def within(self, span: str, *, older_than: str | None = None) -> "Events":
        """Count those of the last span of time. As a step of a sequence: how soon after the step before."""
        return self._with(within=span) if older_than is None else self._with(within=span, older_than=older_than)

    def older_than(self, span: str) -> "Events":
        """Count those that happened at least so long ago."""
        return self._with(older_than=span)

    def between(self, from_: str | None, until: str | None) -> "Events":
        """Count those from an instant on and before another; None leaves a side open."""
        return self._with(**{word: at for word, at in (("from", from_), ("until", until)) if at is not None})

    def during(self, unit: str, *, back: int = 0, length: int = 1, zone: str = "UTC") -> "Events":
        """Count those of whole days, weeks, months, quarters or years of a time zone."""
        return self._with(calendar={"unit": unit, "back": back, "length": length, "zone": zone})

    def since_last(self, marker: "Events", *, within: str | None = None) -> "Events":
        """Count those after the last of other events."""
        reach = {} if within is None else {"within": within}
        return self._with(since_last=marker.plain, **reach)

    def session(self, gap: str) -> "Events":
        """Count those of the visit that goes on, whose pauses are at most `gap`."""
        return self._with(session=gap)

    def without(self, others: "Events") -> "Events":
        """Say, of a step of a sequence, what may not lie between the step before and this one."""
        return self._with(without=others.plain)

    def _with(self, **words: Any) -> "Events":
        return Events({**self.plain, **words})


class Group(Rule):
    """A group that the person belongs to. As a condition: there is one of which all is so that is said here."""

    def trait(self, path: str | list[str]) -> "GroupTrait":
        """Name a trait of the group itself, to be compared."""
        return GroupTrait(self.plain["group"], {"trait": path}, "")

    def members(self) -> "GroupTrait":
        """Count its members, the person among them."""
        return GroupTrait(self.plain["group"], {}, "members")

    def member(self, rule: Rule) -> "GroupMembers":
        """Ask that at least one member fits, who may be the person; `count` for more."""
        return GroupMembers({"group": {**self.plain["group"], "member": rule.plain}})

    def other(self, rule: Rule) -> "GroupMembers":
        """Ask that at least one member fits who is somebody else; `count` for more."""
        return GroupMembers({"group": {**self.plain["group"], "member": rule.plain, "others_only": True}})


class GroupMembers(Group):
    """Members of a group who fit."""

    def count(self) -> "GroupTrait":
        """Count those who fit."""
        return GroupTrait(self.plain["group"], {}, "count")


class GroupTrait(_Compared):
    """What is compared of a group: a trait of it, how many members it has, how many of them fit."""

    def __init__(self, group: Mapping[str, Any], plain: Mapping[str, Any], word: str) -> None:
        super().__init__({"group": {**group, **plain}})
        self._word = word

    def passes(self, **tests: Any) -> Group:
        """Compare with the tests of the plain form, all of which are to hold."""
        return self._tested(tests)

    def _tested(self, tests: dict[str, Any]) -> Group:
        told = {self._word: _long(tests)} if self._word else _long(tests)
        return Group({"group": {**self.plain["group"], **told}})


everybody = Rule("everybody")


def event(*names: str) -> Events:
    """Name events, any of them; without a name: any event, page or screen."""
    return _named("event", names)


def page(*names: str) -> Events:
    """Name pages."""
    return _named("page", names)


def screen(*names: str) -> Events:
    """Name screens."""
    return _named("screen", names)


def prop(path: str | list[str]) -> Property:
    """Name a property of an event, for `where`."""
    return Property(path)


def trait(path: str | list[str]) -> Measure:
    """Name a trait."""
    return Measure({"trait": path})


def feature(name: str) -> Measure:
    """Name a feature that is defined elsewhere."""
    return Measure({"feature": name})


def audience(name: str) -> Rule:
    """Ask for members of another audience."""
    return Rule({"audience": name})


def permitted(purpose: str) -> Rule:
    """Ask for people who may be used for a purpose."""
    return Rule({"permitted": purpose})


def group(kind: str = "*", *, role: str | list[str] | None = None) -> Group:
    """Ask for people who belong to a group of a kind now, in one of some roles."""
    return Group({"group": {"kind": kind} | ({} if role is None else {"role": _plain(role)})})


def sample(salt: str, share: float | str | None = None, *, from_: float | str = 0, until: float | str = 1) -> Rule:
    """Draw a part of everybody that stays the same: its share, or from one share until another."""
    return Rule({"sample": {"salt": salt, "share": share} if share is not None else
                 {"salt": salt, "from": from_, "until": until}})  # fmt: skip


def top(
    by: Measure,
    *,
    highest: int | str | None = None,
    lowest: int | str | None = None,
    of: Rule | None = None,
    every: str | None = None,
) -> Rule:
    """Take those with the highest or the lowest value, of everybody or of some: `top(spent, highest=1000)`."""
    said = {"of": of, "by": by, "highest": highest, "lowest": lowest, "every": every}
    return Rule({"top": {word: _plain(one) for word, one in said.items() if one is not None}})


def limit(of: Rule | None = None, *, to: int | str, salt: str | None = None, every: str | None = None) -> Rule:
    """Take no more than so many, drawn at random and staying as they are drawn: `limit(bought, to=500)`."""
    said = {"of": of, "to": to, "salt": salt, "every": every}
    return Rule({"limit": {word: _plain(one) for word, one in said.items() if one is not None}})


def first_time(events: Events) -> Rule:
    """Ask that the first such event ever lies in the window that the events name."""
    return Rule({"first_time": events.plain})


def stopped(events: Events, *, quiet: str, active: str) -> Rule:
    """Ask that such events happened, and then none for `quiet`."""
    return Rule({"stopped": {**events.plain, "quiet": quiet, "active": active}})


def restarted(events: Events, *, within: str, quiet: str) -> Rule:
    """Ask for such an event within a span, after a pause of at least `quiet`."""
    return Rule({"restarted": {**events.plain, "within": within, "quiet": quiet}})


def regularly(events: Events, *, every: str, at_least: int, of: int) -> Rule:
    """Ask that such events happened in at least so many of the last `of` stretches of time."""
    return Rule({"regularly": {**events.plain, "every": every, "at_least": at_least, "of": of}})


def sequence(
    *steps: Events,
    within: str,
    total: str | None = None,
    same: str | list[Any] | None = None,
    unless: Events | None = None,
) -> Rule:
    """Ask for steps one after the other; `unless` names events with `within`, which may not follow the last."""
    rest = {"total": total, "same": same, "unless": None if unless is None else unless.plain}
    said = {word: one for word, one in rest.items() if one is not None}
    return Rule({"sequence": {"steps": [step.plain for step in steps], "within": within, **said}})


def _named(word: str, names: tuple[str, ...]) -> Events:
    return Events({word: "*" if not names else names[0] if len(names) == 1 else list(names)})


def _long(tests: Mapping[str, Any]) -> dict[str, Any]:
    return {_SHORT.get(word, word): _plain(one) for word, one in tests.items()}


def _where(clauses: tuple[Clause, ...], lookups: Mapping[str, Any]) -> Any:
    asked = [one.plain for one in clauses] + [_lookup(word, one) for word, one in lookups.items()]
    return asked[0] if len(asked) == 1 else {"all": asked}


def _lookup(word: str, wanted: Any) -> dict[str, Any]:
    path, _, op = word.rpartition("__")
    # What stands behind the last underscores is a test: a path with a slip of the pen would be asked in silence.
    if not path:
        return {"property": word, "equals": _plain(wanted)}
    return {"property": path.replace("__", "."), **_long({op: wanted})}


def _joined(word: str, one: _Part, other: _Part) -> dict[str, Any]:
    parts: list[Any] = []
    for part in (one, other):
        # a & b & c is one list, and not a list in a list.
        is_same = isinstance(part.plain, dict) and list(part.plain) == [word]
        parts += part.plain[word] if is_same else [part.plain]
    return {word: parts}


def _plain(told: Any) -> Any:
    if isinstance(told, _Part):
        return told.plain
    return list(told) if isinstance(told, tuple) else told
