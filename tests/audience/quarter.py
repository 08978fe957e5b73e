"""A quarter of a town in which people are asked about by every operator, while everything happens to them.

In:    definitions of each operator's fixed cases (`tests/language_cases.py`), as audiences of one workspace.
Out:   `Quarter`, which lets a round of things happen and holds the answers; `Count`, how often each kind of act turned
       an answer, by operator.
Never: an answer of the product in the counts. They are those of the third reading: of an identifier's person before
       and after the act, at one instant. What the product says is held against them.

A household is a customer with two user ids and a device, known apart until something joins them. Whose an event is says
`tests/model.py`, what a person may be used for `tests/consent_model.py`, both from the rows of the log.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests import audience_model
from tests.audience.known import ADS, ASKED, REFUSED, SERVICE, Known, World, read_known, together_with
from tests.audience.shop import Town
from tests.language_cases import (
    AUDIENCES,
    FEATURES,
    GRID,
    OPERATORS,
    START,
    any_events,
    any_person,
    any_value,
    fixed_cases,
)
from tests.model import Key
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, SECOND, rfc3339
from tillit.consent import Choice, policy_in_force
from tillit.errors import InputError, NotFound
from tillit.flow.history import Needs, needs_of
from tillit.identity import profile_id
from tillit.language.sql import members_sql
from tillit.records import LogRow
from tillit.settings import Collect, Settings

PURPOSES = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  ads: {title: Ads, basis: consent, fields: all, categories: [Ads]}
  newsletter: {title: News, basis: consent, fields: all}
  analytics: {title: Counting, basis: consent, fields: all}
"""
N_ROUNDS = int(os.environ.get("TILLIT_ROUNDS", "3"))
MOST_ROUNDS = max(12, N_ROUNDS)
KINDS_OF_VALUES = ("few", "number", "day", "text", "ahead")
N_TRIED = 24
AT_ONCE = 20  # audiences asked for in one question
_MARK = re.compile(rb"-[0-9]{3}-")
Counts = dict[str, Counter[str]]  # by operator and kind of act
BEGIN = START + 6 * DAY
TIME, LATE, JOIN, CUT, WITHDRAWN, ERASED = KINDS = ("time", "late", "join", "cut", "withdrawn", "erased")
GIVEN, BACK, NOTHING = "given", "back", "nothing"


class Asked(NamedTuple):
    """One audience of the quarter."""

    name: str
    operator: str
    purpose: str
    definition: Any

    @property
    def text(self) -> str:
        told = {"audience": self.name, "purpose": self.purpose, "definition": self.definition}
        return json.dumps(told)  # JSON is YAML


class Household:
    """Three identifiers, what they will do, and what happened to them."""

    def __init__(self, number: int, chance: Random) -> None:
        self.number = number
        self.users = tuple(f"user-{number:03}-{part}-k3q9" for part in "ab")
        self.device = f"device-{number:03}-9zkw"
        self._waiting: list[audience_model.Event] = []
        self._chance = chance
        self.joined: set[tuple[str, str]] = set()
        self.is_gone = False
        self.lost: Known | None = None  # what was known of the first user when they were erased
        self.acts: list[str] = []
        self.groups = tuple((kind, f"{kind}-{number:03}-w7d") for kind in ("household", "account"))

    @property
    def keys(self) -> tuple[Key, ...]:
        return (*(("user_id", user) for user in self.users), ("anonymous_id", self.device))

    def kind(self) -> str:
        """Give of what kind the next values mostly are."""
        return self._chance.choice(KINDS_OF_VALUES)

    def take(self, n: int) -> list[audience_model.Event]:
        """Give the next things that they do."""
        while len(self._waiting) < max(n, 24):
            self._waiting += any_events(self._chance, self.kind(), is_busy=self._chance.random() < 0.7)
            self._chance.shuffle(self._waiting)
        return [self._waiting.pop() for _ in range(n)]

    @property
    def mark(self) -> bytes:
        """Give what stands in every row that names them."""
        return f"-{self.number:03}-".encode()


Act = Callable[[Household, list[int]], str]


class Quarter(Town):
    """One workspace with some audiences of every operator."""

    def __init__(self, folder: Path, *, n_definitions: int, n_households: int, seed: str) -> None:
        super().__init__(
            folder, Clock(BEGIN), purposes=PURPOSES, settings=Settings(collect=Collect(future_tolerance_s=86_400))
        )
        self.chance = Random(seed)
        self.of_groups = Random(f"{seed} of groups")
        self.asked = list(_audiences(n_definitions))
        self.households = [Household(number, self.chance) for number in range(n_households)]
        self.worlds: dict[int, World] = {}
        self.counts: Counts = {operator: Counter() for operator in OPERATORS}
        self.n_said = 0
        self.now = BEGIN  # the instant of the last look
        self._answers: dict[tuple[str, str, int, int], tuple[bool, audience_model.Person]] = {}
        self._apply()

    def _apply(self) -> None:
        """Put everything in force at once: a definition each through the door would judge everybody each time."""
        for name, told in FEATURES.items():
            self.ws.audiences.define(name, told, purpose=SERVICE, kind="feature")
        for name, told in AUDIENCES.items():
            self.ws.audiences.define(name, told, purpose=SERVICE)
        for one in self.asked:
            self.ws.audiences.judge(one.text)
        self.ws.append_rows([self.row(one.name, one.text, number) for number, one in enumerate(self.asked)])
        self.ws.flush()
        assert self.ws.audiences.catalog().broken == {}

    # -- what happens

    def move_in(self) -> None:
        """Let everybody do half of what they do, each under identifiers of their own."""
        told = []
        for one in self.households:
            told += [self._message(one, event, key=self.chance.choice(one.keys)) for event in one.take(8)]
            told += [self._traits(one, key, START + self.chance.randrange(20) * GRID) for key in one.keys]
            for key in one.keys * 2:
                told += self._belonging(one, key, START)
            if one.number % 2:
                pair = one.users[0], one.device
                one.joined.add(pair)
                told.append(self._met(*pair, START))
        told.sort(key=lambda message: str(message["timestamp"]))
        self._append(told)
        for one in self.households:
            for user in one.users:
                self._choose(one, user, is_yes=self.chance.random() < 0.7)
        self.ws.flush()
        self.worlds = self._read(self.households)
        self.hold(most=len(self.asked) // 4)

    def round(self) -> None:
        """Let something happen to each household, and count what it turned; then let some time pass."""
        self._answers.clear()
        done: dict[int, str] = {}
        forgotten: list[int] = []
        for one in self.households:
            done[one.number] = self.chance.choice(self._possible(one))(one, forgotten)
            one.acts.append(done[one.number])
        if forgotten:
            self.ws.flush()
            self.ws.forget(forgotten)
        self.clock.go_on(SECOND)
        self.ws.flush()
        at = self.ws.memberships.judged().at
        before, after = self.worlds, self._read(self.households)
        for one in self.households:
            self._count(one, done[one.number], before[one.number], after[one.number], at)
        self.worlds = after
        self.hold(most=len(self.asked) // 4)

    def pass_by(self, microseconds: int) -> None:
        """Let time pass, with no event; count what it turned."""
        before = self.now
        self.clock.go_on(microseconds)
        self.ws.folding.engine().tick()
        self.ws.flush()
        at = self.ws.memberships.judged().at
        for _, who in self._everybody().values():
            for asked in self.asked:
                was, is_one = self._answer(asked, who, before), self._answer(asked, who, at)
                self.counts[asked.operator][TIME] += was != is_one
        self.hold(most=len(self.asked) // 4)

    def _possible(self, one: Household) -> list[Act]:
        if one.is_gone:
            return [self._come_back]
        acts: list[Act] = [self._withdraw, self._agree, self._erase, self._erase]
        acts += [self._say_late] * 4 + [self._say_refusing] * 4 + [self._forget] * 3
        n_pairs = len(one.users)  # the two users, and the first of them and the device
        acts += [self._join] * 4 * (len(one.joined) < n_pairs) + [self._cut] * 6 * bool(one.joined)
        return acts

    def _say_late(self, one: Household, _: list[int]) -> str:
        key = self.chance.choice(one.keys)
        taken = one.take(3)
        self._append(
            [
                *(self._message(one, event._replace(at=self._ago(1, 26)), key=key) for event in taken),
                self._traits(one, key, self._ago(1, 12)),
                *self._belonging(one, key, self.clock.at - self.of_groups.randrange(1, 12) * GRID),
            ]
        )
        return LATE

    def _say_refusing(self, one: Household, _: list[int]) -> str:
        key = self.chance.choice(one.keys)
        taken = one.take(3)
        told = [self._message(one, event._replace(at=self._ago(0, 26)), key=key) for event in taken]
        told.append(self._traits(one, key, self._ago(0, 1)))
        told += self._belonging(one, key, self.clock.at)
        self._append([{**message, "context": REFUSED} for message in told])
        return WITHDRAWN

    def _withdraw(self, one: Household, _: list[int]) -> str:
        return self._choose(one, self.chance.choice(one.users), is_yes=False)

    def _agree(self, one: Household, _: list[int]) -> str:
        return self._choose(one, self.chance.choice(one.users), is_yes=True)

    def _choose(self, one: Household, user: str, *, is_yes: bool) -> str:
        self.ws.flush()
        self.clock.go_on(SECOND)
        choices = [Choice(purpose, "given" if is_yes else "withdrawn") for purpose in (*ASKED, ADS)]
        try:
            self.ws.consent.set(f"user_id:{user}", choices, evidence="form-1")
        except NotFound:
            return NOTHING  # nobody knows them any more
        return GIVEN if is_yes else WITHDRAWN

    def _join(self, one: Household, _: list[int]) -> str:
        self.ws.flush()
        first, second = one.users
        pair = self.chance.choice([each for each in ((first, second), (first, one.device)) if each not in one.joined])
        one.joined.add(pair)
        if pair == (first, second):
            try:
                self.ws.identity.join(f"user_id:{first}", f"user_id:{second}", operator="kim", reason="test")
            except (InputError, NotFound):
                return NOTHING  # nobody knows one of them any more
        else:
            self._append([self._met(*pair, self._ago(0, 8))])
        return JOIN

    def _cut(self, one: Household, _: list[int]) -> str:
        self.ws.flush()
        pair = self.chance.choice(sorted(one.joined))
        one.joined.remove(pair)
        other = "anonymous_id" if pair[1] == one.device else "user_id"
        try:
            self.ws.identity.cut(f"user_id:{pair[0]}", f"{other}:{pair[1]}", operator="kim", reason="test")
        except (InputError, NotFound):
            return NOTHING  # what tied them was forgotten
        return CUT

    def _forget(self, one: Household, forgotten: list[int]) -> str:
        places = [event.position for known in self.worlds[one.number].values() for event in known.events]
        forgotten += self.chance.sample(sorted(set(places)), min(5, len(set(places))))
        return ERASED

    def _erase(self, one: Household, _: list[int]) -> str:
        self.ws.flush()
        try:
            self.ws.erasure.erase(f"user_id:{one.users[0]}")
        except NotFound:
            return NOTHING  # all that they did was forgotten
        one.lost = self.worlds[one.number].get(("user_id", one.users[0]))
        one.is_gone = True
        one.joined.clear()
        return ERASED

    def _come_back(self, one: Household, _: list[int]) -> str:
        one.is_gone = False
        key: Key = ("user_id", one.users[0])
        taken = one.take(4)
        self.clock.go_on(SECOND)
        self._append(
            [
                *(self._message(one, event._replace(at=self.clock.at), key=key) for event in taken),
                self._traits(one, key, self.clock.at),
                *self._belonging(one, key, self.clock.at),
            ]
        )
        return BACK

    def _ago(self, least: int, most: int) -> int:
        most = self.chance.choice((most, min(most, 5)))
        return self.clock.at - self.chance.randrange(least, most) * GRID

    def _message(self, one: Household, event: audience_model.Event, *, key: Key) -> dict[str, Any]:
        if event.type == "identify":
            return self._traits(one, key, event.at)
        told = self._begun(event.type, key, event.at)
        return told | {"event" if event.type == "track" else "name": event.name, "properties": event.properties}

    def _traits(self, one: Household, key: Key, at: int) -> dict[str, Any]:
        t, o = any_value(self.chance, one.kind()), {"t": any_value(self.chance, one.kind())}
        traits = {name: value for name, value in (("t", t), ("o", o)) if self.chance.random() < 0.9}
        return self._begun("identify", key, at) | {"traits": traits}

    def _belonging(self, one: Household, key: Key, at: int) -> list[dict[str, Any]]:
        """Let somebody say, or not, that they belong to a group or left it, and what is so of it."""
        chance = self.of_groups
        if chance.random() < 0.3:
            return []
        kind, group_id = chance.choice(one.groups)
        traits: dict[str, Any] = {"kind": kind}
        if chance.random() < 0.15:
            traits["member"] = False
        if chance.random() < 0.5:
            traits["role"] = chance.choice(("admin", "owner", None))
        for word in ("since", "until"):
            if chance.random() < 0.15:
                traits[word] = rfc3339(BEGIN + chance.randrange(-8, 12) * GRID)
        if chance.random() < 0.7:
            t, o = (any_value(chance, chance.choice(KINDS_OF_VALUES)) for _ in range(2))
            traits |= {"t": t, "o": {"t": o}}
        return [self._begun("group", key, at) | {"groupId": group_id, "traits": traits}]

    def _met(self, user: str, device: str, at: int) -> dict[str, Any]:
        return self._begun("identify", ("user_id", user), at) | {"anonymousId": device, "traits": {"met": True}}

    def _begun(self, kind: str, key: Key, at: int) -> dict[str, Any]:
        self.n_said += 1
        named = "userId" if key[0] == "user_id" else "anonymousId"
        return {"type": kind, named: key[1], "timestamp": rfc3339(at), "messageId": f"message-{self.n_said}"}

    def _append(self, told: list[dict[str, Any]]) -> None:
        self.clock.go_on(SECOND)
        for begin in range(0, len(told), 1_000):
            self.ws.append(told[begin : begin + 1_000])

    # -- the third reading

    def _read(self, households: Iterable[Household]) -> dict[int, World]:
        declared = policy_in_force(self.ws.state)
        rows: list[LogRow] = []
        while found := self.ws.log.read(rows[-1].position if rows else 0, 10_000):
            rows += found
        by_mark: dict[bytes, list[LogRow]] = {}
        for row in rows:
            for mark in set(_MARK.findall(row.body or b"")):
                by_mark.setdefault(mark, []).append(row)
        return {one.number: read_known(by_mark.get(one.mark, []), declared) for one in households}

    def _count(self, one: Household, act: str, before: World, after: World, at: int) -> None:
        """Count the answers that an act turned: for each identifier, that of whoever has it."""
        first: Key = ("user_id", one.users[0])
        together = together_with(one.lost, after[first]) if act == BACK and one.lost is not None else None
        # Who is known for the first time was turned by nothing that they said; who is known no more was.
        keys = before.keys() | after.keys() if act in (ERASED, BACK) else before.keys() & after.keys()
        for asked in self.asked:
            counted = self.counts[asked.operator]
            for key in keys:
                was, is_one = self._answer(asked, before.get(key), at), self._answer(asked, after.get(key), at)
                if act == WITHDRAWN and asked.purpose == ADS and was == is_one:
                    was = self._answer(asked._replace(purpose=SERVICE), after.get(key), at)  # had the refused counted
                if together is not None and key == first:
                    was = self._answer(asked, together, at)  # had the erased counted
                counted[ERASED if act == BACK else act] += was != is_one
                counted["pairs"] += 1
                counted["in"] += is_one

    def _answer(self, asked: Asked, who: Known | None, at: int) -> bool:
        """Give the third reading's answer; of nobody nothing holds."""
        if who is None:
            return False
        person = who.by_purpose[asked.purpose]
        key = (asked.name, asked.purpose, id(person), at)
        if key not in self._answers:
            # With the person, so that nobody else gets their place in memory.
            self._answers[key] = audience_model.is_member(asked.definition, person, at), person
        return self._answers[key][0]

    def _everybody(self) -> dict[str, tuple[Household, Known]]:
        return {who.profile_id: (one, who) for one in self.households for who in self.worlds[one.number].values()}

    # -- what holds

    def hold(self, *, most: int | None = None) -> None:
        """Hold live against the third reading of everybody, and against batch: of all audiences, or of the next."""
        self._follow()
        judged = self.ws.memberships.judged()
        self.now = judged.at
        live = {
            asked.name: {profile_id(one.root_id) for one in self.ws.memberships.members(asked.name, limit=100_000)}
            for asked in self.asked
        }
        assert {name: {profile_id(root) for root in self.told.get(name, ())} for name in live} == live
        some = self.asked[:most]
        self.asked = self.asked[len(some) :] + some
        batch = self._ask_batch(some, judged.at)
        assert self.ws.memberships.judged() == judged
        wrong = [one for one in some if live[one.name] != batch[one.name]]
        assert wrong == [], (wrong[0], sorted(live[wrong[0].name] ^ batch[wrong[0].name]))
        everybody = self._everybody()
        for asked in self.asked:
            assert live[asked.name] <= everybody.keys(), asked
            for profile, (one, who) in everybody.items():
                said, expected = profile in live[asked.name], self._answer(asked, who, judged.at)
                assert said == expected, self._fault(one, asked, who, judged.at, is_said=said)

    def _fault(self, one: Household, asked: Asked, known: Known, at: int, *, is_said: bool) -> str:
        """Write what somebody needs to see why an answer is another one."""
        keys = [key for key, each in self.worlds[one.number].items() if each.profile_id == known.profile_id]
        person = known.by_purpose[asked.purpose]
        told = [asked.text, f"{rfc3339(at)} the product says {is_said}, of {keys}", f"{one.acts}", f"{person.traits}"]
        return "\n".join(told + [f"  {rfc3339(event.at)} {event}" for event in person.events])

    def _ask_batch(self, some: list[Asked], at: int) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {one.name: set() for one in some}
        for purpose, lens in ((SERVICE, None), (ADS, ("consent", ("Ads",)))):
            names = [one.name for one in some if one.purpose == purpose]
            for begin in range(0, len(names), AT_ONCE):
                nodes = {name: self.ws.audiences.get(name).node for name in names[begin : begin + AT_ONCE]}
                needs = [needs_of(node, {}, {}) for node in nodes.values()]
                listed = " UNION ALL ".join(
                    f"SELECT '{name}', person FROM ({members_sql(node, at, audiences={}, features={})})"
                    for name, node in nodes.items()
                )
                together = Needs(
                    frozenset().union(*(one.traits for one in needs)),
                    frozenset().union(*(one.purposes for one in needs)),
                    at,
                    frozenset().union(*(one.groups for one in needs)),
                    lens=lens,
                )
                for name, person in self.ws.history.ask(listed, together):
                    found[name].add(profile_id(person))
        return found


def live_through(folder: Path, *, until: Callable[[Counts], bool] = lambda _: True, n_rounds: int = N_ROUNDS) -> Counts:
    """Let a quarter go through its rounds, and on until the counts are enough; hold all of it, opened anew."""
    with Quarter(folder, n_definitions=2, n_households=36, seed="1") as quarter:
        quarter.move_in()
        for done in range(1, MOST_ROUNDS + 1):
            quarter.round()
            quarter.pass_by((3 if done % 2 else 12) * HOUR)
            if done >= n_rounds and until(quarter.counts):
                break
        quarter.restart()
        quarter.hold()
        quarter.look([one.name for one in quarter.asked[:: len(quarter.asked) // 6]])
        assert quarter.ws.folding.check() == []
        return quarter.counts


def _audiences(n: int) -> Iterator[Asked]:
    """Give of each operator's fixed cases the definitions that hang most on what people do."""
    number = 0
    for operator in OPERATORS:
        drawn = [case.definition for case, _ in fixed_cases(operator, 8 * n)]
        told = {json.dumps(one): one for one in drawn}
        for written in sorted(told, key=lambda one: (-_n_turned(operator, told[one]), one))[:n]:
            number += 1
            yield Asked(f"a{number}", operator, SERVICE if number % 7 == 0 else ADS, told[written])


def _n_turned(operator: str, definition: Any) -> int:
    """Count the answers that turn where the newest events are left out, or the oldest: the rarer of the two."""
    newest = oldest = 0
    for number in range(N_TRIED):
        chance = Random(f"{operator} {number}")
        kind = KINDS_OF_VALUES[number % len(KINDS_OF_VALUES)]
        events = sorted(any_events(chance, kind, is_busy=number % 2 == 0), key=audience_model.place)
        traits = {"t": any_value(chance, kind), "o": {"t": any_value(chance, kind)}}
        person = any_person(chance, definition)._replace(events=tuple(events), traits=traits)
        whole = audience_model.is_member(definition, person, BEGIN)
        fewer = tuple((group._replace(traits={}, others=group.others[1:]), place) for group, place in person.groups)
        old = person._replace(events=tuple(events[:-3]), groups=fewer)
        new = person._replace(events=tuple(events[3:]), traits={}, groups=person.groups[1:])
        newest += audience_model.is_member(definition, old, BEGIN) != whole
        oldest += audience_model.is_member(definition, new, BEGIN) != whole
    return 3 * min(newest, oldest) + max(newest, oldest)
