"""The product's own answers to a case: events put on tapes, in whatever order, and the live evaluator asked.

In:    cases of `tests/language_cases.py`.
Out:   answers, until when they hold, and where they differ from the third reading.
Never: a person that knows more than the engine would: documents, traits and other definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.audience_model import DAY, Event, Person, is_member
from tests.language_cases import Case, turns
from tillit.clock import rfc3339
from tillit.language import live, tapes
from tillit.language.groups import Place, for_purpose
from tillit.language.nodes import Condition, Value
from tillit.language.reading import read_condition, read_value
from tillit.language.tapes import Document, Tape
from tillit.language.values import NEVER

Documents = dict[int, dict[int, Document]]  # strand: tape id: document
Batch = tuple[int, Sequence[Event]]  # strand, events

MOST_LOOKS = 200  # within six days of a case; what asks more often does not know what it waits for

_encode = msgspec.json.Encoder(order="deterministic").encode


@contextmanager
def short_horizons() -> Iterator[None]:
    """Let tapes add up what is older than a day: cases are of a few days, and would never see it otherwise."""
    before, tapes._HORIZONS = tapes._HORIZONS, (0, *(n * DAY for n in (1, 8, 31, 93, 366)))
    try:
        yield
    finally:
        tapes._HORIZONS = before


class Definitions:
    """A case's definition and those it names, read once."""

    def __init__(self, told: Any, person: Person) -> None:
        self.node = for_purpose(read_condition(told), person.seen_for)
        self.audiences = {name: read_condition(one) for name, one in person.audiences.items()}
        self.features = {name: read_value(one) for name, one in person.features.items()}
        self.tapes = tuple(sorted(self._all_tapes(), key=lambda tape: tape.tape_id))

    def _all_tapes(self) -> set[Tape]:
        found: set[Tape] = set()
        waiting: list[Condition | Value] = [self.node]
        while waiting:
            inputs = live.inputs_of(waiting.pop())
            found |= inputs.tapes
            waiting += [self.audiences[name] for name in inputs.audiences]
            waiting += [self.features[name] for name in inputs.features]
        return found


class Kept:
    """What the engine keeps of one person, as the live evaluator is told."""

    def __init__(self, definitions: Definitions, person: Person, documents: Documents) -> None:
        self._person, self._documents = person, documents
        self._audiences = {name: live.compile_condition(one) for name, one in definitions.audiences.items()}
        self._features = {name: live.compile_value(one) for name, one in definitions.features.items()}
        self._definitions = definitions

    @property
    def profile_id(self) -> str:
        return self._person.profile_id

    def documents(self, tape_id: int) -> list[Document]:
        return [strand[tape_id] for strand in self._documents.values() if tape_id in strand]

    def trait(self, name: str) -> Any:
        return self._person.traits.get(name)

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        return self._audiences[audience](self, at)

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        return self._features[name](self, at)

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        until = self._person.permitted.get(purpose, at)
        return (True, until) if at < until else (False, NEVER)

    def relations(self) -> KeptGroups:
        return KeptGroups(self._definitions, self, self._person)


class KeptGroups:
    """What is kept of a person's groups."""

    def __init__(self, definitions: Definitions, kept: Kept, person: Person) -> None:
        self._person = person
        self._beside = [
            (
                group,
                place,
                [(one, _kept_of(definitions, one.who) if one.who else kept) for one in (place, *group.others)],
            )
            for group, place in person.groups
        ]

    def places(self, at: int) -> tuple[list[Place], int]:
        turns = [turn for _, place, _ in self._beside for turn in (place.since, place.until) if turn > at]
        places = [Place(group.key, place.role) for group, place, _ in self._beside if place.since <= at < place.until]
        return places, min(turns, default=NEVER)

    def is_near(self, group_key: str) -> bool:
        return next(place.is_near for group, place, _ in self._beside if group.key == group_key)

    def trait(self, group_key: str, name: str, _purpose: str, _at: int) -> tuple[Any, int]:
        return next(group.traits.get(name) for group, _, _ in self._beside if group.key == group_key), NEVER

    def members(self, group_key: str, purpose: str, at: int) -> tuple[set[str], int]:
        return self.holding(group_key, purpose, at, lambda _person, _at: (True, NEVER))

    def holding(
        self, group_key: str, purpose: str, at: int, answers: Callable[[Any, int], tuple[bool, int]]
    ) -> tuple[set[str], int]:
        found, until = set(), NEVER
        for one, kept in next(told for group, _, told in self._beside if group.key == group_key):
            until = min([until, *(turn for turn in (one.since, one.until) if turn > at)])
            if one.is_near and one.since <= at < one.until:
                may, turn = kept.may(purpose, at) if purpose else (True, NEVER)
                holds, other = answers(kept, at)
                until = min(until, turn, other if may else NEVER)
                if may and holds:
                    found.add(kept.profile_id)
        return found, until

    def may_name(self, _profile_id: str) -> bool:
        return True


def _kept_of(definitions: Definitions, person: Person) -> Kept:
    return Kept(definitions, person, record(definitions, [(0, [event]) for event in person.events]))


def record(definitions: Definitions, batches: Iterable[Batch]) -> Documents:
    """Put batches of events on the tapes of their strands."""
    documents: Documents = {}
    for strand, events in batches:
        for tape in definitions.tapes:
            taken = [event for event in events if tapes.matches(tape.matcher, event.type, event.name, event.properties)]
            told = [(event, tapes.entry_of(tape, event.at, event.position, event.properties)) for event in taken]
            entries = [entry for _, entry in told if entry is not None]
            if entries:
                kept = documents.setdefault(strand, {})
                document = kept.setdefault(tape.tape_id, tapes.new_document(tape))
                newest = max(event.logged_at for event, entry in told if entry is not None)
                tapes.add_entries(tape, document, entries, newest)
    return documents


def in_order(case: Case) -> list[Batch]:
    """Give the rows of the log, one by one."""
    return [(strand, [event]) for strand, event in zip(case.strands, case.person.events, strict=True)]


def in_batches(case: Case, chance: Random) -> list[Batch]:
    """Give the rows in any order, in batches of any size."""
    left = [(strand, event) for strand, (event,) in in_order(case)]
    chance.shuffle(left)
    batches: list[Batch] = []
    while left:
        strand = left[0][0]
        size = chance.choice((1, 1, 2, 3))
        batch = [event for other, event in left if other == strand][:size]
        left = [(other, event) for other, event in left if event not in batch]
        batches.append((strand, batch))
    return batches


def written(documents: Documents) -> dict[int, dict[int, bytes]]:
    """Write the documents of each strand."""
    return {
        strand: {tape_id: _encode(document) for tape_id, document in sorted(kept.items())}
        for strand, kept in sorted(documents.items())
    }


class Walk(NamedTuple):
    """What somebody hears who asks when a row comes, and then each time the answer may have changed."""

    looks: list[tuple[int, bool]]  # instant, answer
    faults: list[str]


def walk(case: Case, documents: Documents, definitions: Definitions) -> Walk:
    """Ask at the newest row, and on at each due instant."""
    answers = live.compile_condition(definitions.node)
    kept = Kept(definitions, case.person, documents)
    at = case.asked_at
    looks: list[tuple[int, bool]] = []
    while at < case.until:
        answer, until = answers(kept, at)
        looks.append((at, answer))
        if until <= at or len(looks) > MOST_LOOKS:
            return Walk(looks, [f"look {len(looks)}, at {rfc3339(at)}: due at {until}"])
        at = until
    return Walk(looks, [])


Answers = list[tuple[int, bool]]  # instant, answer


def expect(case: Case, chance: Random, *, most: int = 24) -> Answers:
    """Ask the third reading at the newest row, and at instants around those at which something may turn."""
    near = sorted({one + away for one in turns(case) for away in (-1, 0, 1)})
    soon = [one for one in near if case.asked_at < one < case.asked_at + 2 * DAY]
    later = [one for one in near if case.asked_at + 2 * DAY <= one < case.until]
    chosen = {case.asked_at, case.until - 1}
    for among, n in ((soon, most), (later, most // 4)):
        chosen |= set(chance.sample(among, n) if len(among) > n else among)
    return [(at, is_member(case.definition, case.person, at)) for at in sorted(chosen)]


def differences(expected: Answers, heard: Walk) -> list[str]:
    """Say where what was heard is not what the third reading says."""
    if heard.faults:
        return heard.faults
    found, place = [], 0
    for at, answer in expected:
        while place + 1 < len(heard.looks) and heard.looks[place + 1][0] <= at:
            place += 1
        since, said = heard.looks[place]
        if said != answer:
            found.append(f"at {rfc3339(at)} the model says {answer}, and since {rfc3339(since)} one hears {said}")
    return found
