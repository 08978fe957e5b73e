"""What the fold must arrive at: a slow and obvious second reading of a log.

In:    all rows of a log at once.
Out:   the fate of each row, and for each identifier the person's document and timeline.
Never: anything of the fold's own code but its records; anything kept from one row to the next that could be
       worked out from the start instead.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import yaml

from tillit.records import (
    KIND_DEFINITION,
    KIND_EVENT,
    TRUST_CLAIMED,
    TRUST_NAMES,
    TRUST_OPERATOR,
    TRUST_SERVER,
    TRUST_VERIFIED,
    LogRow,
)

Key = tuple[str, str]  # namespace, value

CLASSES = {"strong": 0, "weak": 1_000, "device": 2_000, "shared": 3_000}
DEVICE, SHARED = 2_000, 3_000
RULES: dict[str, dict[str, Any]] = {
    "user_id": {"rank": 0, "limit": "1"},
    "email": {"rank": 20, "limit": "5"},
    "phone": {"rank": 30, "limit": "5"},
    "anonymous_id": {"strength": "device", "limit": "none"},
    "ios.idfa": {"strength": "device", "limit": "none"},
}
OTHERS = {"strength": "strong", "rank": 10, "limit": "20"}
WINDOWS = {"ever": 10**18, "hourly": 3_600, "daily": 86_400, "weekly": 7 * 86_400}  # seconds
NO_HANDLE = {"null", "undefined", "anonymous", "0", ""}
GROUPS_AT = "2026-06-01T00:00:00Z"  # as of when groups are told
WHAT_WAS_SAID = [
    *("type", "event", "name", "userId", "anonymousId", "groupId", "previousId"),
    *("originalTimestamp", "properties", "traits"),
]


class Told(NamedTuple):
    """One applied event and the identifiers in it, the anchor first."""

    row: LogRow
    body: dict[str, Any]
    keys: list[Key]
    proved: list[Key]  # what its token proves, used here first


class Person(NamedTuple):
    """What the log says of one identifier's person."""

    document: dict[str, Any]
    timeline: list[tuple[int, int]]  # event_at, position; newest first
    own: list[Told]
    keys: frozenset[Key]  # without the devices of somebody known


class Decided(NamedTuple):
    """What a colleague decided about who is who."""

    position: int
    kind: str  # cut, pin, join, undo, block, free
    pair: tuple[Key, ...]  # of a block or a free: one
    message: str
    of: str


class World(NamedTuple):
    """What the log says."""

    fates: dict[int, tuple[str, int | None]]  # position -> fate, position of the first; events only
    people: dict[Key, Person]
    refused: list[tuple[Key, Key, str]]  # also those that are only soft


class RulesRead:
    """The rules that were applied last: they hold for the whole log."""

    def __init__(self, rows: Sequence[LogRow]) -> None:
        applied = [json.loads(row.body or b"{}") for row in rows if row.kind == KIND_DEFINITION]
        texts = [told["text"] for told in applied if told["kind"] == "identity"]
        told = yaml.safe_load(texts[-1]) or {} if texts else {}
        named = told.get("namespaces", {})
        self.others = OTHERS | told.get("others", {})
        self.named = {name: OTHERS | RULES.get(name, self.others) | named.get(name, {}) for name in {**RULES, **named}}

    def of(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.named.get(name, self.others)
        return found

    def rank(self, key: Key) -> int:
        return CLASSES[self.of(key[0])["strength"]] + int(self.of(key[0])["rank"])

    def limit(self, name: str) -> tuple[int, int] | None:
        words = str(self.of(name)["limit"]).split()
        return None if words == ["none"] else (int(words[0]), WINDOWS[words[1] if words[1:] else "ever"] * 1_000_000)

    def takes(self, key: Key) -> bool:
        return key[1] not in self.of(key[0]).get("block", {}).get("values", ())


def read_world(rows: Sequence[LogRow]) -> World:
    """Read a whole log."""
    rules = RulesRead(rows)
    fates: dict[int, tuple[str, int | None]] = {}
    applied: dict[bytes, LogRow] = {}
    founded: dict[Key, tuple[int, int]] = {}  # where an identifier was first seen
    told: list[Told] = []
    decided: list[Decided] = []
    left: dict[int, list[Key]] = {}  # by position, whom forgotten rows still name
    aliases: dict[int, Key | None] = {}
    used: set[Any] = set()  # tokens
    proofs: dict[int, list[Key]] = {}
    for row in rows:
        if row.kind != KIND_EVENT:
            continue
        first = applied.get(row.message_hash)
        if first is not None:
            fates[row.position] = ("duplicate" if is_resend(said(first), said(row)) else "conflict", first.position)
            continue
        if row.source == "identity" and row.trust == TRUST_OPERATOR:
            decision = decision_of(row, founded, decided, rules)
            fates[row.position] = ("applied" if decision is not None else "quarantined", None)
            if decision is not None:
                applied[row.message_hash] = row
                decided.append(decision)
            continue
        body = read_body(row)
        if body is not None and body["type"] == "husk":
            # What was forgotten still says who was seen there first; of the rest there is nothing.
            for place, name in enumerate(body.get("identifiers", [])):
                if name is not None:
                    founded.setdefault((name[0], name[1]), (row.position, place))
                    left.setdefault(row.position, []).append((name[0], name[1]))
            fates[row.position] = ("forgotten", None)
            continue
        places = keys_of(body, rules) if body is not None else {}
        previous = previous_in(body, row, {*founded, *places}, rules) if body is not None else None
        keys = list(places)
        if body is None or (not keys and previous is None):
            fates[row.position] = ("quarantined", None)
            continue
        applied[row.message_hash] = row
        fates[row.position] = ("applied", None)
        for key, place in places.items():
            founded.setdefault(key, (row.position, place))
        if previous is not None:
            founded.setdefault(previous, (row.position, 63))
        aliases[row.position] = previous
        token = (body.get("proof") or {}).get("jti")
        proofs[row.position] = [key for key in proof_keys(body) if provable(key, rules)] if token not in used else []
        used |= {token}
        told.append(Told(row, body, keys, proofs[row.position]))
    people = People(decided, rules)
    for one in told:
        one.keys.sort(key=people.rank)
        previous = aliases[one.row.position]
        if previous is not None and previous not in one.keys:
            stronger = one.keys and people.rank(previous) < people.rank(one.keys[0])
            one.keys.insert(0 if stronger else 1, previous)
    heard = {decision.position: decision for decision in decided}
    met = {one.row.position: one for one in told}
    for position in sorted({*heard, *met, *left}):
        for key in left.get(position, ()):
            people.see(key)
        if position in heard:
            people.hear(heard[position])
        elif position in met:
            people.meet(met[position], alias=aliases[position], proof=proofs[position])
    everyone = {key for one in told for key in one.keys}.union(*left.values())
    return World(fates, {key: tell(key, told, people, founded) for key in everyone}, people.refused)


# -- one row


def said(row: LogRow) -> Any:
    try:
        body = json.loads(row.body or b"")
    except ValueError:
        return None
    return {name: body.get(name) for name in WHAT_WAS_SAID} if isinstance(body, dict) else None


def is_resend(first: Any, again: Any) -> bool:
    if isinstance(first, dict) and isinstance(again, dict) and first["userId"] is None:
        again = {**again, "userId": None}  # learnt between the two sends
    return bool(first == again)


def read_body(row: LogRow) -> dict[str, Any] | None:
    try:
        body = json.loads(row.body or b"")
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return None
    texts = [body.get(name) for name in ("userId", "anonymousId", "previousId")]
    context = body.get("context")
    context = {} if context is None else context
    if not all(text is None or isinstance(text, str) for text in texts) or not isinstance(context, dict):
        return None
    said = body.get("traits") if body["type"] == "identify" else None
    if isinstance(said, dict) and any(isinstance(value, int) and abs(value) >= 2**64 for value in said.values()):
        return None
    return body


def keys_of(body: dict[str, Any], rules: RulesRead) -> dict[Key, int]:
    """Give an event's identifiers with the field that named each first, but for the previous one of an alias call."""
    context = body.get("context") or {}
    traits = body.get("traits") if body["type"] == "identify" else None
    claims: list[tuple[str, Any, int]] = [
        (*key, 57 + i) for i, key in enumerate(proof_keys(body)) if provable(key, rules)
    ]
    claims += [("user_id", body.get("userId"), 0), ("anonymous_id", body.get("anonymousId"), 1)]
    for where, place in ((traits, 2), (context.get("traits"), 4)):
        if isinstance(where, dict):
            claims += [("email", where.get("email"), place), ("phone", where.get("phone"), place + 1)]
    for i, item in enumerate(context.get("externalIds") or []):
        if item.get("collection") != "accounts":
            claims.append((item["type"], item["id"], 6 + i))
    keys: dict[Key, int] = {}
    for name, value, place in claims:
        if isinstance(value, str) and value.strip().lower() not in NO_HANDLE:
            key = (name, value.strip().lower() if name == "email" else value.strip())
            if (name != "email" or "@" in value) and rules.takes(key):
                keys.setdefault(key, place)
    return keys


def previous_in(body: dict[str, Any], row: LogRow, seen: set[Key], rules: RulesRead) -> Key | None:
    """Give the identifier that an alias call names as the previous one."""
    if body["type"] != "alias" or not names_previous(body):
        return None
    has_user = any(name == "user_id" for name in (key[0] for key in keys_of(body, rules)))
    found = previous_of(body["previousId"], row, seen, has_user=has_user)
    return found if found is not None and rules.takes(found) else None


def proof_keys(body: dict[str, Any]) -> list[Key]:
    """Give what an identity token names, its subject first."""
    proof = body.get("proof") or {}
    return [(name, value) for name, value in [proof["sub"], *proof["also"]]] if "sub" in proof else []


def provable(key: Key, rules: RulesRead) -> bool:
    return rules.takes(key) and rules.rank(key) < DEVICE


def names_previous(body: dict[str, Any]) -> bool:
    previous = body.get("previousId")
    return previous is not None and previous.strip().lower() not in NO_HANDLE and previous.strip() != body.get("userId")


def previous_of(text: str, row: LogRow, seen: set[Key], *, has_user: bool) -> Key | None:
    text = text.strip()
    if ("anonymous_id", text) in seen:
        return ("anonymous_id", text)
    if row.trust >= TRUST_SERVER and has_user:
        return ("user_id", text)
    return None if ("user_id", text) in seen else ("anonymous_id", text)


# -- what colleagues decided


def decision_of(
    row: LogRow, founded: dict[Key, tuple[int, int]], before: list[Decided], rules: RulesRead
) -> Decided | None:
    body = json.loads(row.body or b"{}")
    if body["type"] == "undo":
        undone = next((one for one in before if one.message == body["of"]), None)
        return Decided(row.position, "undo", undone.pair, body["messageId"], body["of"]) if undone is not None else None
    pair = tuple((name, value) for name, value in body["identifiers"])
    about_one = body["type"] in ("block", "free")
    if len(set(pair)) != (1 if about_one else 2) or not all(key in founded for key in pair):
        return None
    if body["type"] in ("pin", "join") and any(rules.rank(key) >= DEVICE for key in pair):
        return None
    return Decided(row.position, body["type"], pair, body["messageId"], "")


def those_that_stand(decided: list[Decided]) -> list[Decided]:
    stand: list[Decided] = []
    for one in reversed(decided):
        if not any(undo.of == one.message for undo in stand):
            stand.append(one)
    return stand


# -- who is who


class People:
    """Sets of identifiers that are one person, and who claimed which device when."""

    def __init__(self, decided: list[Decided], rules: RulesRead) -> None:
        self.decided = decided
        self.rules = rules
        self.stand = those_that_stand(decided)
        self.blocked = {one.pair[0] for one in self.stand if one.kind == "block"}
        for one in sorted(self.stand):
            if one.kind in ("block", "free"):
                (self.blocked.add if one.kind == "block" else self.blocked.discard)(one.pair[0])
        self.births: dict[Key, str] = {}
        self.since: dict[Key, int] = {}
        self.sets: list[set[Key]] = []
        self.known: set[Key] = set()
        self.judged: dict[tuple[Key, Key, int], int] = {}
        self.claims: dict[Key, list[tuple[int, int, Key]]] = {}
        self.refused: list[tuple[Key, Key, str]] = []

    def rank(self, key: Key) -> int:
        return max(self.rules.rank(key), SHARED) if key in self.blocked else self.rules.rank(key)

    def see(self, key: Key) -> None:
        if self.rank(key) < DEVICE and not any(key in people for people in self.sets):
            self.sets.append({key})

    def meet(self, one: Told, *, alias: Key | None, proof: list[Key]) -> None:
        keys, row = one.keys, one.row
        anchor = keys[0]
        for key in keys:
            self.since.setdefault(key, row.event_at)
            self.see(key)
        if self.rank(anchor) >= DEVICE:
            return
        if row.trust >= TRUST_SERVER:
            self.known |= {key for key in keys if self.rank(key) < DEVICE}
        if one.body["type"] == "identify" and isinstance(one.body.get("traits"), dict):
            birth = one.body["traits"].get("birthday")
            if isinstance(birth, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", birth):
                self.births.setdefault(anchor, birth)
        proof = [key for key in proof if self.rank(key) < DEVICE]
        self.known |= set(proof)
        for key in proof[1:]:
            if key != proof[0]:
                strong, weak = sorted((proof[0], key), key=self.rank)
                self.link(strong, weak, row, TRUST_VERIFIED, is_alias=False)
        for key in keys[1:]:
            if self.rank(key) < SHARED:
                self.link(anchor, key, row, row.trust, is_alias=key == alias)

    def link(self, anchor: Key, key: Key, row: LogRow, trust: int, *, is_alias: bool) -> None:
        turns = [d for d in self.decided if d.kind in ("cut", "join") and {*d.pair} == {anchor, key}]
        chapter = len([turn for turn in turns if turn.position < row.position])
        if self.is_withdrawn(anchor, key, row.position, trust):
            return
        if self.rank(key) >= DEVICE:
            self.claims.setdefault(key, []).append((row.event_at, row.position, anchor))
        elif trust > self.judged.get((anchor, key, chapter), 0):
            self.judged[(anchor, key, chapter)] = trust
            self.judge(anchor, key, trust, at=row.event_at, is_alias=is_alias)

    def is_withdrawn(self, one: Key, other: Key, position: int, trust: int) -> bool:
        """A cut that stands, and neither a join that stands between it and this place nor, since, the customer's proof.

        Holding a device proves nothing.
        """
        about = [each for each in self.stand if {*each.pair} == {one, other}]
        ends = [each.position for each in about if each.kind == "join" and each.position <= position]
        if trust == TRUST_VERIFIED and self.rank(other) < DEVICE:
            ends.append(position)
        return any(each.kind == "cut" and not any(each.position < end for end in ends) for each in about)

    def hear(self, decision: Decided) -> None:
        if decision.kind == "join" and decision in self.stand:
            one, other = decision.pair
            if max(self.rank(one), self.rank(other)) >= DEVICE:
                return
            if not self.is_withdrawn(one, other, decision.position, TRUST_OPERATOR):
                self.judge(one, other, TRUST_OPERATOR, at=0, is_alias=False)

    def judge(self, one: Key, other: Key, trust: int, *, at: int, is_alias: bool) -> None:
        a, b = self.set_of(one), self.set_of(other)
        if a is b:
            return
        pinned = any(
            each.kind == "pin" and {len({*each.pair} & a), len({*each.pair} & b)} == {1} for each in self.stand
        )
        births = [{self.births[key] for key in each if key in self.births} for each in (a, b)]
        if pinned:
            self.refused.append((one, other, "pinned apart by a colleague"))
        elif trust == TRUST_CLAIMED and a & self.known and b & self.known:
            self.refused.append((one, other, "two known people, claimed by a public key"))
        elif trust != TRUST_OPERATOR and (
            name := self.beyond_limit(a, b, at, knows_better=is_alias and trust >= TRUST_SERVER)
        ):
            self.refused.append((one, other, "two user ids" if name == "user_id" else f"too many of {name}"))
        elif trust < TRUST_OPERATOR and self.is_weak_bridge(one, other, a, b):
            self.refused.append((one, other, "weak"))
        elif trust < TRUST_OPERATOR and births[0] and births[1] and not births[0] & births[1]:
            self.refused.append((one, other, "two birth dates"))
        else:
            self.sets.remove(b)
            a |= b

    def beyond_limit(self, a: set[Key], b: set[Key], at: int, *, knows_better: bool) -> str:
        for name in sorted({name for name, _ in a | b}):
            limit = self.rules.limit(name)
            if limit is None or (name == "user_id" and knows_better):
                continue
            counts = [len([k for k in each if k[0] == name and abs(self.since[k] - at) < limit[1]]) for each in (a, b)]
            if all(counts) and sum(counts) > limit[0]:
                return name
        return ""

    def is_weak_bridge(self, one: Key, other: Key, a: set[Key], b: set[Key]) -> bool:
        strong = [any(self.rank(key) < CLASSES["weak"] for key in each) for each in (a, b)]
        return all(strong) and max(self.rank(one), self.rank(other)) >= CLASSES["weak"]

    def set_of(self, key: Key) -> set[Key]:
        return next(one for one in self.sets if key in one)

    def holder(self, device: Key, at: int | None) -> Key | None:
        """Whose device it was at an instant (None: last of all): the latest claim until then, else the first ever."""
        claims = sorted(self.claims.get(device, []))
        before = [claim for claim in claims if at is None or claim[0] <= at]
        held = before[-1:] or claims[:1]
        return held[0][2] if held else None

    def person(self, key: Key, at: int | None = None) -> frozenset[Key]:
        """The identifiers, without devices, of the person who has this one; an unclaimed device stands for itself."""
        holder = self.holder(key, at) if self.rank(key) >= DEVICE else key
        return frozenset(self.set_of(holder)) if holder is not None else frozenset([key])

    def devices(self, person: frozenset[Key]) -> set[Key]:
        return {device for device, claims in self.claims.items() if any(claim[2] in person for claim in claims)}


# -- what is told of one person


def tell(key: Key, told: list[Told], people: People, founded: dict[Key, tuple[int, int]]) -> Person:
    person = people.person(key)
    own = [one for one in told if people.person(one.keys[0], one.row.event_at) == person]
    root = min(person, key=lambda each: (people.rank(each), founded[each]))
    traits: dict[str, tuple[tuple[int, int, int], LogRow, Any]] = {}
    for one in own:
        rank = (one.row.trust, one.row.event_at, one.row.position)
        if one.body["type"] == "identify" and isinstance(one.body.get("traits"), dict):
            for name, value in one.body["traits"].items():
                if name not in traits or rank > traits[name][0]:
                    traits[name] = (rank, one.row, value)
    names = [name_of(one.body) for one in own if one.body["type"] == "track"]
    types = [one.body["type"] for one in own]
    times = [one.row.event_at for one in own]
    document = {
        "id": profile_id(*founded[root]),
        "identifiers": [seen for each in person | people.devices(person) if (seen := see(each, own)) is not None],
        "traits": {
            name: {
                "value": value,
                "at": instant(row.event_at),
                "source": row.source,
                "event_id": f"e1-{row.position}",
                "trust": TRUST_NAMES[row.trust],
            }
            for name, (_, row, value) in traits.items()
            if value is not None
        },
        "counts": {name: names.count(name) for name in names},
        "types": {kind: types.count(kind) for kind in types},
        "n_events": len(own),
        "first_seen_at": instant(min(times)) if times else None,
        "last_seen_at": instant(max(times)) if times else None,
        "withheld": [],
        "groups": groups_of(own, told),
    }
    return Person(document, sorted(((one.row.event_at, one.row.position) for one in own), reverse=True), own, person)


def groups_of(own: list[Told], told: list[Told]) -> list[dict[str, Any]]:
    """The groups of whoever these events are of; names come from whatever anybody said of a group."""
    found = []
    for key in sorted({group_of(one) for one in own} - {""}):
        mine = ranked([one for one in own if group_of(one) == key])
        mine = [one for one in mine if one.row.trust == mine[-1].row.trust]
        left = [place for place, one in enumerate(mine) if traits_of(one).get("member") is False]
        mine = mine[left[-1] + 1 :] if left else mine
        roles = [traits_of(one)["role"] for one in mine if "role" in traits_of(one)]
        roles = [role for role in roles if role is None or isinstance(role, str)]
        since = [day for one in mine if (day := written(traits_of(one).get("since"))) is not None]
        ends = [traits_of(one)["until"] for one in mine if "until" in traits_of(one)]
        begin = since[-1] if since else instant(mine[0].row.event_at) if mine else ""
        end = ends[-1] if ends else None
        if not mine or (since and begin > GROUPS_AT) or (end is not None and end <= GROUPS_AT):
            continue
        names = [one for one in ranked(told) if group_of(one) == key and "name" in traits_of(one)]
        found.append(
            {
                "group": key,
                "kind": key.split(":")[0],
                "name": traits_of(names[-1])["name"] if names else None,
                "role": (roles[-1] or None) if roles else None,
                "since": begin,
                "until": end,
                "source": mine[-1].row.source,
                "event_id": f"e1-{mine[-1].row.position}",
                "trust": TRUST_NAMES[mine[-1].row.trust],
            }
        )
    return found


def ranked(some: list[Told]) -> list[Told]:
    return sorted(some, key=lambda one: (one.row.trust, one.row.event_at, one.row.position))


def traits_of(one: Told) -> dict[str, Any]:
    traits = one.body.get("traits")
    return traits if isinstance(traits, dict) else {}


def group_of(one: Told) -> str:
    if one.body["type"] != "group" or one.body.get("groupId", "null") in NO_HANDLE:
        return ""
    kind = traits_of(one).get("kind")
    return f"{kind if kind == 'household' else 'account'}:{one.body['groupId']}"


def written(day: Any) -> str | None:
    """An instant or a day as documents write it; None for what is neither."""
    if not isinstance(day, str) or not day.startswith("20"):
        return None
    return day if day.endswith("Z") else f"{day}T00:00:00Z"


def see(key: Key, own: list[Told]) -> dict[str, Any] | None:
    sights = [one.row for one in own if key in one.keys]
    if not sights:
        return None
    return {
        "namespace": key[0],
        "value": key[1],
        "first_seen_at": instant(min(row.event_at for row in sights)),
        "last_seen_at": instant(max(row.event_at for row in sights)),
        "trust": TRUST_NAMES[max(row.trust for row in sights)],
    }


def name_of(body: dict[str, Any]) -> str:
    name = body.get("event")
    return name if isinstance(name, str) else "(no name)"


def instant(at: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")  # the strategies use whole seconds


def profile_id(position: int, place: int) -> str:
    number, digits = position * 64 + place, ""
    for _ in range(13):
        number, digit = divmod(number, 32)
        digits = "0123456789abcdefghjkmnpqrstvwxyz"[digit] + digits
    return "p" + digits
