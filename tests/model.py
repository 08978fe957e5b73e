"""What the fold must arrive at: a slow and obvious second reading of a log.

In:    all rows of a log at once.
Out:   the fate of each row, and for each identifier the person's document and timeline.
Never: anything of the fold's own code but its records; anything kept from one row to the next that could be
       worked out from the start instead.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tillit.records import KIND_EVENT, TRUST_CLAIMED, TRUST_NAMES, TRUST_OPERATOR, TRUST_SERVER, TRUST_VERIFIED, LogRow

Key = tuple[str, str]  # namespace, value

STRENGTH = {"user_id": 0, "email": 2, "phone": 3, "anonymous_id": 9, "ios.idfa": 9}  # any other name: 1
LIMITS = {"email": 5, "phone": 5}  # any other name: 20; user ids have a rule of their own
NO_HANDLE = {"null", "undefined", "anonymous", "0", ""}
WHAT_WAS_SAID = [
    *("type", "event", "name", "userId", "anonymousId", "groupId", "previousId"),
    *("originalTimestamp", "properties", "traits"),
]


class Told(NamedTuple):
    """One applied event and the identifiers in it, the anchor first."""

    row: LogRow
    body: dict[str, Any]
    keys: list[Key]


class Person(NamedTuple):
    """What the log says of one identifier's person."""

    document: dict[str, Any]
    timeline: list[tuple[int, int]]  # event_at, position; newest first


class Decided(NamedTuple):
    """What a colleague decided about who is who."""

    position: int
    kind: str  # cut, pin, join, undo
    pair: tuple[Key, ...]
    message: str
    of: str


class World(NamedTuple):
    """What the log says."""

    fates: dict[int, tuple[str, int | None]]  # position -> fate, position of the first; events only
    people: dict[Key, Person]
    refused: list[tuple[Key, Key, str]]


def read_world(rows: Sequence[LogRow]) -> World:
    """Read a whole log."""
    fates: dict[int, tuple[str, int | None]] = {}
    applied: dict[bytes, LogRow] = {}
    founded: dict[Key, tuple[int, int]] = {}  # where an identifier was first seen
    told: list[Told] = []
    decided: list[Decided] = []
    aliases: dict[int, Key | None] = {}
    for row in rows:
        if row.kind != KIND_EVENT:
            continue
        first = applied.get(row.message_hash)
        if first is not None:
            fates[row.position] = ("duplicate" if is_resend(said(first), said(row)) else "conflict", first.position)
            continue
        if row.source == "identity" and row.trust == TRUST_OPERATOR:
            decision = decision_of(row, founded, decided)
            fates[row.position] = ("applied" if decision is not None else "quarantined", None)
            if decision is not None:
                applied[row.message_hash] = row
                decided.append(decision)
            continue
        body = read_body(row)
        keys, previous = keys_of(body, row, founded) if body is not None else ([], None)
        if body is None or (not keys and previous is None):
            fates[row.position] = ("quarantined", None)
            continue
        applied[row.message_hash] = row
        fates[row.position] = ("applied", None)
        for place, key in enumerate([*keys, previous] if previous is not None else keys):
            founded.setdefault(key, (row.position, place))
        if previous is not None and previous not in keys:
            keys.insert(1, previous)
        aliases[row.position] = previous
        told.append(Told(row, body, keys))
    people = People(decided)
    heard = {decision.position: decision for decision in decided}
    met = {one.row.position: one for one in told}
    for position in sorted({*heard, *met}):
        if position in heard:
            people.hear(heard[position])
        else:
            people.meet(met[position].keys, met[position].row, alias=aliases[position])
    everyone = {key for one in told for key in one.keys}
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


def keys_of(body: dict[str, Any], row: LogRow, founded: dict[Key, tuple[int, int]]) -> tuple[list[Key], Key | None]:
    """Give an event's identifiers, strongest first, and apart from them the previous one that an alias call names."""
    context = body.get("context") or {}
    traits = body.get("traits") if body["type"] == "identify" else None
    claims: list[tuple[str, Any]] = [("user_id", body.get("userId")), ("anonymous_id", body.get("anonymousId"))]
    for where in (traits, context.get("traits")):
        if isinstance(where, dict):
            claims += [("email", where.get("email")), ("phone", where.get("phone"))]
    claims += [(item["type"], item["id"]) for item in context.get("externalIds") or []]
    keys: list[Key] = []
    for name, value in claims:
        if isinstance(value, str) and value.strip().lower() not in NO_HANDLE:
            key = (name, value.strip().lower() if name == "email" else value.strip())
            if key not in keys and (name != "email" or "@" in value):
                keys.append(key)
    keys.sort(key=strength)
    if body["type"] != "alias" or not names_previous(body):
        return keys, None
    has_user = bool(keys) and keys[0][0] == "user_id"
    return keys, previous_of(body["previousId"], row, {*founded, *keys}, has_user=has_user)


def strength(key: Key) -> int:
    return STRENGTH.get(key[0], 1)


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


def decision_of(row: LogRow, founded: dict[Key, tuple[int, int]], before: list[Decided]) -> Decided | None:
    body = json.loads(row.body or b"{}")
    if body["type"] == "undo":
        undone = next((one for one in before if one.message == body["of"]), None)
        return Decided(row.position, "undo", undone.pair, body["messageId"], body["of"]) if undone is not None else None
    pair = tuple((name, value) for name, value in body["identifiers"])
    if len(set(pair)) != 2 or not all(key in founded for key in pair):
        return None
    if body["type"] != "cut" and any(strength(key) == 9 for key in pair):
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

    def __init__(self, decided: list[Decided]) -> None:
        self.decided = decided
        self.stand = those_that_stand(decided)
        self.sets: list[set[Key]] = []
        self.known: set[Key] = set()
        self.judged: dict[tuple[Key, Key, int], int] = {}
        self.claims: dict[Key, list[tuple[int, int, Key]]] = {}
        self.refused: list[tuple[Key, Key, str]] = []

    def meet(self, keys: list[Key], row: LogRow, *, alias: Key | None) -> None:
        anchor = keys[0]
        for key in keys:
            if strength(key) < 9 and not any(key in one for one in self.sets):
                self.sets.append({key})
        if strength(anchor) == 9:
            return
        if row.trust >= TRUST_SERVER:
            self.known |= {key for key in keys if strength(key) < 9}
        for key in keys[1:]:
            turns = [d for d in self.decided if d.kind in ("cut", "join") and {*d.pair} == {anchor, key}]
            chapter = len([turn for turn in turns if turn.position < row.position])
            if self.is_withdrawn(anchor, key, row.position, row.trust):
                continue
            if strength(key) == 9:
                self.claims.setdefault(key, []).append((row.event_at, row.position, anchor))
            elif row.trust > self.judged.get((anchor, key, chapter), 0):
                self.judged[(anchor, key, chapter)] = row.trust
                self.judge(anchor, key, row.trust, is_alias=key == alias)

    def is_withdrawn(self, one: Key, other: Key, position: int, trust: int) -> bool:
        """A cut that stands, and neither a join that stands between it and this place nor, since, the customer's proof.

        Holding a device proves nothing.
        """
        about = [each for each in self.stand if {*each.pair} == {one, other}]
        ends = [each.position for each in about if each.kind == "join" and each.position <= position]
        if trust == TRUST_VERIFIED and strength(other) < 9:
            ends.append(position)
        return any(each.kind == "cut" and not any(each.position < end for end in ends) for each in about)

    def hear(self, decision: Decided) -> None:
        if decision.kind == "join" and decision in self.stand:
            one, other = decision.pair
            if not self.is_withdrawn(one, other, decision.position, TRUST_OPERATOR):
                self.judge(one, other, TRUST_OPERATOR, is_alias=False)

    def judge(self, one: Key, other: Key, trust: int, *, is_alias: bool) -> None:
        a, b = self.set_of(one), self.set_of(other)
        if a is b:
            return
        pinned = any(
            each.kind == "pin" and {len({*each.pair} & a), len({*each.pair} & b)} == {1} for each in self.stand
        )
        users = [any(name == "user_id" for name, _ in each) for each in (a, b)]
        if pinned:
            self.refused.append((one, other, "pinned apart by a colleague"))
        elif all(users) and not (trust >= TRUST_OPERATOR or (is_alias and trust >= TRUST_SERVER)):
            self.refused.append((one, other, "two user ids"))
        elif trust == TRUST_CLAIMED and a & self.known and b & self.known:
            self.refused.append((one, other, "two known people, claimed by a public key"))
        elif trust < TRUST_OPERATOR and any(self.is_too_many(name, a | b) for name in {name for name, _ in a | b}):
            self.refused.append((one, other, "more than one person may have"))
        else:
            self.sets.remove(b)
            a |= b

    def is_too_many(self, name: str, together: set[Key]) -> bool:
        return name != "user_id" and len([key for key in together if key[0] == name]) > LIMITS.get(name, 20)

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
        holder = self.holder(key, at) if strength(key) == 9 else key
        return frozenset(self.set_of(holder)) if holder is not None else frozenset([key])

    def devices(self, person: frozenset[Key]) -> set[Key]:
        return {device for device, claims in self.claims.items() if any(claim[2] in person for claim in claims)}


# -- what is told of one person


def tell(key: Key, told: list[Told], people: People, founded: dict[Key, tuple[int, int]]) -> Person:
    person = people.person(key)
    own = [one for one in told if people.person(one.keys[0], one.row.event_at) == person]
    root = min(person, key=lambda each: (strength(each), founded[each]))
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
    }
    return Person(document, sorted(((one.row.event_at, one.row.position) for one in own), reverse=True))


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
