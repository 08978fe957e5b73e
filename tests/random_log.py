"""A long log of many people, with everything that makes folding hard, from a seed.

In:    a random generator and a number of rows.
Out:   log rows as the door would have written them, in log order.
Never: a row that depends on anything but the seed.
"""

import json
import random
from typing import Any

from tests.strategies import AUDIENCES, NOON, POISON, audience, place, row, tick
from tillit.consent import policy_row
from tillit.deliver import definition_row
from tillit.identity import rules_row
from tillit.records import TRUST_CLAIMED, TRUST_OPERATOR, TRUST_SERVER, LogRow

GIVEN = ["Ana", "Bo", "Cem", "Zoë", "Ångström", "あい", "Ольга", "👩‍👩‍👧 Ek", "O'Hara", "50 % ?", "nul\0l"]
EVENTS = ["Order Completed", "Product Viewed", "Sökte", "🛒", ""]

CRM = """
destination: crm
kind: webhook
purpose: service
send: people
to: {url: "https://crm.example/people"}
fields: {id: profile.id}
"""


def random_log(seed: int, n_rows: int, *, n_people: int = 300) -> list[LogRow]:
    """Give a log: a few in a hundred rows each are late, sent twice, conflicting, poison, an alias or a tick."""
    chance = random.Random(seed)
    rows: list[LogRow] = []
    for position in range(1, n_rows + 1):
        fate = chance.random()
        at = position - chance.randrange(n_rows) if chance.random() < 0.05 else position
        trust = TRUST_CLAIMED if chance.random() < 0.7 else TRUST_SERVER
        if fate < 0.03 and rows:
            again = chance.choice(rows)
            rows.append(again if chance.random() < 0.7 else again._replace(body=json.dumps(body(chance, 3)).encode()))
        elif fate < 0.035:
            rows.append(tick(position))
        elif fate < 0.036:
            rows.append(LogRow(position, 0, *rules_row("{}", operator="kim", reason="", message_id="m", now=NOON)))
        elif fate < 0.037:
            rows.append(LogRow(position, 0, *policy_row("", operator="kim", reason="", message_id="p", now=NOON)))
        elif fate < 0.038:
            rows.append(
                LogRow(
                    position,
                    0,
                    *definition_row("destination", "crm", CRM, operator="kim", reason="", message_id="d", now=NOON),
                )
            )
        elif fate < 0.0395:
            rows.append(audience(position, chance.choice(AUDIENCES)))
        elif fate < 0.045:
            rows.append(row(position, chance.choice(POISON), at=at, trust=trust))
        elif fate < 0.06:
            rows.append(row(position, act(chance, n_people), at=at, trust=TRUST_OPERATOR))
        elif fate < 0.066:
            told = decision(chance, n_people, position)
            rows.append(row(position, told, at=at, trust=TRUST_OPERATOR)._replace(source="identity"))
        else:
            rows.append(row(position, body(chance, n_people), at=at, trust=trust))
    return place(rows)


def body(chance: random.Random, n_people: int) -> dict[str, Any]:
    """Give what one event says of one of the people."""
    # Some people turn up far more often than others, and every tenth device is shared by everyone.
    who = int(n_people * chance.random() ** 2)
    device = f"d{who % 7}-shared" if chance.random() < 0.1 else f"d{who}-{chance.randrange(3)}-\t{GIVEN[who % 10]}"
    told: dict[str, Any] = {"messageId": "m", "anonymousId": device}
    kind = chance.random()
    if kind < 0.6:
        told |= {"type": "track", "event": chance.choice(EVENTS), "properties": {"n": chance.randrange(3)}}
        if chance.random() < 0.4:
            told["userId"] = f"u{who}"
    elif kind < 0.85:
        told |= {"type": "identify", "traits": traits(chance, who)}
        if chance.random() < 0.8:
            told["userId"] = f"u{who}" if chance.random() < 0.9 else f"{GIVEN[who % len(GIVEN)]}{who}"
        if chance.random() < 0.2:
            told["context"] = {"externalIds": [{"type": "card", "id": f"c{who // 2}"}]}
    elif kind < 0.9:
        told |= {
            "type": "alias",
            "userId": f"u{who}",
            "previousId": chance.choice([f"u{who + 1}", device, f"new{who}"]),
        }
    elif kind < 0.93:
        told |= {"type": "group", "groupId": f"g{who // 3}", "traits": group(chance, who)}
        if chance.random() < 0.7:
            told["userId"] = f"u{who}"
    else:
        told |= {"type": "page", "name": "/", "userId": f"u{who}"}
        told.pop("anonymousId" if chance.random() < 0.5 else "name")
    if chance.random() < 0.05:
        told.setdefault("context", {})["consent"] = {
            "categoryPreferences": {"Ads": chance.random() < 0.5, "Analytics": chance.random() < 0.8}
        }
    if told["type"] == "track" and chance.random() < 0.05:
        told |= {"event": "Consent Updated", "properties": {"purposes": {"newsletter": chance.random() < 0.6}}}
    if chance.random() < 0.03:
        told["proof"] = {
            "sub": ["user_id", f"u{who}"],
            "also": [["email", f"u{who}@example.org"]],
            "jti": f"{who:030x}{chance.randrange(3):02x}",
        }
    return told


def act(chance: random.Random, n_people: int) -> dict[str, Any]:
    """Give what a colleague says of one of the people, or takes back."""
    number = chance.randrange(20)
    told: dict[str, Any] = {"userId": f"u{int(n_people * chance.random() ** 2)}", "operator": "maria", "reason": "r"}
    said: list[dict[str, Any]] = [
        {"type": "correct", "messageId": f"c{number}", "traits": {"firstName": chance.choice(GIVEN), "plan": None}},
        {"type": "note", "messageId": f"n{number}", "text": chance.choice(GIVEN)},
        {"type": "retract", "messageId": f"r{number}", "of": f"{chance.choice('cng')}{number}"},
        {
            "type": chance.choice(["group_join", "group_leave"]),
            "messageId": f"g{number}",
            "groupId": f"g{number // 3}",
            "traits": {"kind": "household", "role": "guardian"},
        },
    ]
    return told | chance.choice(said)


def decision(chance: random.Random, n_people: int, number: int) -> dict[str, Any]:
    """Give what a colleague decides about who is who, or takes back."""
    one, other = (int(n_people * chance.random() ** 2) for _ in range(2))
    ends = [["user_id", f"u{one}"], chance.choice([["email", f"u{one}@example.org"], ["user_id", f"u{other}"]])]
    told = {"messageId": f"d{number}", "operator": "maria", "reason": "r"}
    if chance.random() < 0.2:
        return told | {"type": "undo", "of": f"d{chance.randrange(number)}", "identifiers": []}
    return told | {"type": chance.choice(["cut", "pin", "join"]), "identifiers": ends}


def group(chance: random.Random, who: int) -> dict[str, Any]:
    """Give what an event says of a group and of somebody's place in it."""
    told = {
        "kind": "household",
        "name": f"{GIVEN[who % len(GIVEN)]} & co",
        "role": chance.choice([None, "guardian", "child"]),
        "member": chance.random() < 0.8,
        "since": "2025-06-01",
    }
    return {name: value for name, value in told.items() if chance.random() < 0.6}


def traits(chance: random.Random, who: int) -> dict[str, Any]:
    told = {
        "email": f"U{who}@Example.org" if chance.random() < 0.9 else "family@example.org",
        "phone": f"+49 170 {who:07d}",
        "firstName": chance.choice(GIVEN),
        "lastName": f"{GIVEN[who % len(GIVEN)]} {who}",
        "plan": chance.choice([None, "free", "plus"]),
        "deep": {"liste": [1, 2.5, None, chance.choice(GIVEN)]},
    }
    return {name: value for name, value in told.items() if chance.random() < 0.6}
