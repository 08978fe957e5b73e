"""Histories for questions about many: events and traits of made-up people, and their answers from tapes.

In:    a seed; definitions.
Out:   people; what the live evaluator says of each; the relations that the SQL reads.
Never: a second evaluator.
"""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.language.groups import Place
from tillit.language.live import compile_condition, compile_value, inputs_of
from tillit.language.nodes import Condition, Value
from tillit.language.tapes import Document, add_entries, entry_of, matches, new_document
from tillit.language.values import NEVER

NOW = 1_790_000_000_000_000  # 2026-09-21 14:13:20 UTC

# In times: edges of the windows that definitions use, to the microsecond.
STEPS = (0, 1, SECOND, MINUTE, 29 * MINUTE, 30 * MINUTE, HOUR, DAY, DAY + 1, 7 * DAY, 30 * DAY, 31 * DAY, 90 * DAY)
SCALARS = (
    *(1, 1.0, 2, 50, 50.5, -3, 0, -0.0, 0.1, 0.2, 1e15, 9e12, 123456789012345678, 1e-7, True, False, None),
    *("", "1", "a", "A", "b", "ab", "EUR", "Zoë", 'say "hi"', "back\\slash", "new\nline", "true", "null", "%", "_"),
    *("x" * 1_000, "x" * 1_001, "2026-09-21", "2026-09-21T14:13:20Z", "2026-09-22T00:00+02:00", "2026-02-30"),
    *("2025-09-21 14:13:20.5-01:30", "2026-09-21T25:00", "2024-02-29", "0000-01-01", "2026-09-21T14:13:20.123456"),
)
NAMES = ("A", "B", "C", "Order Completed", "*", "it's")
TRAITS = ("plan", "score", "renews", "tags", "address", "a.b")


class Happened(NamedTuple):
    """One event. Grain: one per position."""

    at: int
    position: int
    type: str
    name: str | None
    properties: Any


class Somebody(NamedTuple):
    """One person: events by strand, and traits."""

    person: int
    strands: tuple[tuple[Happened, ...], ...]
    traits: Mapping[str, Any]
    purposes: frozenset[str]

    @property
    def profile_id(self) -> str:
        return f"p{self.person:013d}"

    @property
    def events(self) -> list[Happened]:
        return [one for strand in self.strands for one in strand]


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if kind < 0.75 or depth > 2:
        return rng.choice(SCALARS)
    if kind < 0.9:
        n = 120 if rng.random() < 0.02 else rng.randrange(4)
        return [_value(rng, depth + 1) for _ in range(n)]
    return {rng.choice(("sku", "price", "x", "0")): _value(rng, depth + 1) for _ in range(rng.randrange(3))}


def _properties(rng: random.Random) -> Any:
    if rng.random() < 0.05:
        return None
    told: dict[str, Any] = {}
    for name in ("total", "brand", "items", "session", 'odd".*\\', "0", "nested"):
        if rng.random() < 0.6:
            told[name] = _value(rng)
    if rng.random() < 0.7:
        told["total"] = rng.choice((10, 50, 50.5, 99.99, 0.1))
    if rng.random() < 0.7:
        told["brand"] = rng.choice(("acme", "bolt", "core"))
    if rng.random() < 0.7:
        told["session"] = rng.choice(("s1", "s2"))
    if rng.random() < 0.5:
        told["items"] = [
            {"sku": rng.choice("abc"), "price": rng.choice((1, 20, 20.0, "20"))} for _ in range(rng.randrange(4))
        ]
    if rng.random() < 0.5:
        told["nested"] = {"total": rng.choice((1, 60, None)), "deep": {"x": [1, "b", {"y": 2}]}}
    return told


def make_people(seed: int, n: int) -> list[Somebody]:
    """Make people with few events each, at instants that lie on edges."""
    rng = random.Random(seed)
    position = 0
    people = []
    for person in range(1, n + 1):
        strands: list[list[Happened]] = [[], []]
        kinds = rng.sample(NAMES, 3)
        for _ in range(rng.choice((0, 1, 2, 4, 8, 16))):
            position += 1
            at = NOW - rng.choice((0, 1, 1, rng.randrange(100 * DAY))) - rng.choice(STEPS) * rng.choice((0, 1, 1, 2))
            at += rng.choice((0, 0, 0, 1, -1, DAY, 200 * DAY)) if rng.random() < 0.3 else 0
            kind = rng.choices(("track", "page", "screen", "identify"), (8, 1, 1, 1))[0]
            name = rng.choice(kinds) if rng.random() < 0.95 else None
            strands[rng.random() < 0.3].append(Happened(at, position, kind, name, _properties(rng)))
        traits = {name: _value(rng) for name in TRAITS if rng.random() < 0.6}
        if rng.random() < 0.5:
            traits["plan"] = rng.choice(("pro", "free"))
        purposes = frozenset(one for one in ("news", "ads") if rng.random() < 0.5)
        people.append(Somebody(person, tuple(map(tuple, strands)), traits, purposes))
    return people


class Remembered:
    """A person as the live evaluator is told of them."""

    def __init__(
        self, who: Somebody, audiences: Mapping[str, Condition], features: Mapping[str, Value], known_at: int
    ) -> None:
        self._who = who
        self._audiences = audiences
        self._features = features
        self._known_at = known_at
        self._tapes: dict[int, list[Document]] = {}
        self._learnt: list[Condition | Value] = []
        self.people: Sequence[Somebody] = (who,)
        self.person = who.person

    def learn(self, node: Condition | Value) -> None:
        self._learnt.append(node)
        for tape in inputs_of(node).tapes:
            documents = []
            for strand in self._who.strands:
                entries = [
                    entry
                    for one in strand
                    if matches(tape.matcher, one.type, one.name, one.properties)
                    and (entry := entry_of(tape, one.at, one.position, one.properties)) is not None
                ]
                if entries:
                    document = new_document(tape)
                    add_entries(tape, document, entries, self._known_at)
                    documents.append(document)
            self._tapes[tape.tape_id] = documents

    @property
    def profile_id(self) -> str:
        return self._who.profile_id

    def documents(self, tape_id: int) -> Sequence[Document]:
        return self._tapes[tape_id]

    def trait(self, name: str) -> Any:
        return self._who.traits.get(name)

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        self.learn(self._audiences[audience])
        return compile_condition(self._audiences[audience])(self, at)

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        self.learn(self._features[name])
        return compile_value(self._features[name])(self, at)

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        return purpose in self._who.purposes, NEVER

    def relations(self) -> "Together":
        return Together(self)

    def beside(self, group_key: str) -> "list[Remembered]":
        """Give everybody of a group, who is told as they are."""
        found = []
        for who in self.people:
            if group_key in groups_of(who.person):
                told = Remembered(who, self._audiences, self._features, self._known_at)
                for node in self._learnt:
                    told.learn(node)
                found.append(told)
        return found


def groups_of(person: int) -> dict[str, str | None]:
    """Give the groups of somebody, with the role in each: by threes, and by every seventh."""
    found: dict[str, str | None] = {f"household:h{person // 3}": "admin" if person % 3 == 0 else None}
    return found | ({f"account:a{person % 7}": "owner"} if person % 2 else {})


def traits_of_group(group_key: str) -> dict[str, Any]:
    """Give what is known of a group."""
    number = int(group_key[-1])
    if not group_key.startswith("account:") or number == 6:
        return {}
    return {"plan": "pro" if number % 2 else "free", "renews": {"on": f"202{number}-06-01"}}


class Together:
    """The groups of one person."""

    def __init__(self, told: Remembered) -> None:
        self._told = told

    def places(self, _at: int) -> tuple[list[Place], int]:
        return [Place(key, role) for key, role in groups_of(self._told.person).items()], NEVER

    def is_near(self, _group_key: str) -> bool:
        return True

    def trait(self, group_key: str, name: str, _purpose: str, _at: int) -> tuple[Any, int]:
        return traits_of_group(group_key).get(name), NEVER

    def members(self, group_key: str, _purpose: str, _at: int) -> tuple[set[str], int]:
        return {one.profile_id for one in self._told.beside(group_key)}, NEVER

    def holding(self, group_key: str, _purpose: str, at: int, answers: Any) -> tuple[set[str], int]:
        return {one.profile_id for one in self._told.beside(group_key) if answers(one, at)[0]}, NEVER

    def may_name(self, _profile_id: str) -> bool:
        return True


Named = Mapping[str, Any]


def live_members(node: Condition, people: Sequence[Somebody], audiences: Named, features: Named) -> set[int]:
    """Give whom a condition holds of, by the live evaluator."""
    ask = compile_condition(node)
    found = set()
    for who in people:
        told = Remembered(who, audiences, features, NOW)
        told.people = people
        told.learn(node)
        if ask(told, NOW)[0]:
            found.add(who.person)
    return found


def live_values(node: Value, people: Sequence[Somebody], audiences: Named, features: Named) -> dict[int, Any]:
    """Give the value of each person, by the live evaluator."""
    ask = compile_value(node)
    found = {}
    for who in people:
        told = Remembered(who, audiences, features, NOW)
        told.learn(node)
        found[who.person] = ask(told, NOW)[0]
    return found


TABLES = (
    "CREATE TABLE people (person BIGINT, profile_id TEXT)",
    'CREATE TABLE events (person BIGINT, "at" BIGINT, position BIGINT, type TEXT, name TEXT, properties TEXT)',
    "CREATE TABLE traits (person BIGINT, name TEXT, value TEXT)",
    "CREATE TABLE permitted (person BIGINT, purpose TEXT)",
    "CREATE TABLE group_places (person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN)",
    "CREATE TABLE group_traits (group_key TEXT, name TEXT, value TEXT)",
)


def rows_of(people: Sequence[Somebody]) -> dict[str, list[tuple[Any, ...]]]:
    """Give the rows of the relations."""
    places = [(who.person, key, role) for who in people for key, role in groups_of(who.person).items()]
    return {
        "group_places": [(person, key, key.partition(":")[0], role, True) for person, key, role in places],
        "group_traits": [
            (key, name, json.dumps(value))
            for key in sorted({key for _, key, _ in places})
            for name, value in traits_of_group(key).items()
        ],
        "people": [(who.person, who.profile_id) for who in people],
        "events": [
            (who.person, one.at, one.position, one.type, one.name, json.dumps(one.properties))
            for who in people
            for one in who.events
        ],
        "traits": [(who.person, name, json.dumps(value)) for who in people for name, value in who.traits.items()],
        "permitted": [(who.person, purpose) for who in people for purpose in who.purposes],
    }
