"""Small logs full of collisions: few people, few devices, few instants.

In:    Hypothesis.
Out:   lists of `LogRow` as a door would have written them, and ways to cut and shuffle them.
Never: a value that would not collide with another within a few draws.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tillit.audience import AUDIENCE, definition_row
from tillit.records import KIND_EVENT, KIND_TICK, TRUST_CLAIMED, TRUST_SERVER, LogRow

SECOND = 1_000_000
NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00 UTC

USERS = ["ana", "bo", "cem"]
EMAILS = ["ana@example.org", "Bo@Example.org "]
DEVICES = ["tablet", "kiosk"]
NOBODY = ["null", "anonymous", " "]  # what programs send when they have no id
TRAITS: dict[str, list[str | None]] = {
    "plan": [None, "free", "plus"],
    "firstName": [None, "Ana", "Bo Ek"],
    "email": [*EMAILS, "no address"],
    "birthday": [None, "1984-02-29", "1991-12-31"],
}
GROUPS = ["g1", "g2"]
GROUP_TRAITS: dict[str, list[Any]] = {
    "name": [None, "Ek", "Ås"],
    "kind": ["household", "household", "B2B, large"],
    "role": [None, "guardian", "", 7],
    "member": [False, False, True],
    "since": ["2026-01-01T12:00:03Z", "2025-06-01", "2031-01-01T00:00:00Z", "soon"],
    "until": [None, "2026-01-01T12:00:02Z", "2031-01-01T00:00:00Z"],
}
NAMES = ["Order Completed", "Viewed"]
PURPOSES = ["newsletter", "analytics"]
STATES: list[Any] = [True, True, False, "withdrawn", "false", 1, None, "requested"]
CARRIED: list[Any] = [
    {"categoryPreferences": {"Ads": False, "Analytics": True}},
    {"categoryPreferences": {"Ads": True, "Analytics": True}},
    {"categoryPreferences": {}},
    {"categoryPreferences": {"Ads": "true"}},
    {},
    "yes",
]
MANAGED: list[Any] = [{"allowedConsentIds": ["Ads"], "deniedConsentIds": ["Analytics"]}, {"allowedConsentIds": "Ads"}]

Body = dict[str, Any]


def row(position: int, body: Any, *, at: int, trust: int = TRUST_SERVER, message: int | None = None) -> LogRow:
    """Give one row of a log; `at` in seconds after noon."""
    number = position if message is None else message
    return LogRow(
        position=position,
        logged_at=NOON + (1_000 + position) * SECOND,
        kind=KIND_EVENT,
        source="server" if trust >= TRUST_SERVER else "web",
        trust=trust,
        received_at=NOON + (500 + position) * SECOND,
        event_at=NOON + at * SECOND,
        message_hash=hashlib.blake2b(str(number).encode(), digest_size=16).digest(),
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def tick(position: int) -> LogRow:
    """Give the engine's own note of time."""
    return LogRow(position, NOON + (1_000 + position) * SECOND, KIND_TICK, "", 2, NOON, NOON, b"", b"{}")


def audience(position: int, text: str) -> LogRow:
    """Give a definition of an audience that a colleague applied."""
    name = text.split()[1]
    told = definition_row(AUDIENCE, name, text, operator="kim", reason="", message_id=f"a{position}", now=NOON)
    return LogRow(position, NOON + (1_000 + position) * SECOND, *told)


def place(rows: Sequence[LogRow]) -> list[LogRow]:
    """Put rows into a log in this order."""
    return [
        one._replace(position=position, logged_at=NOON + (1_000 + position) * SECOND)
        for position, one in enumerate(rows, start=1)
    ]


def _maybe(name: str, values: Sequence[Any], *, of: int) -> st.SearchStrategy[Body]:
    # Absent as often as the weights say: most events carry one or two identifiers.
    weighted: list[Body] = [{}] * of + [{name: value} for value in values]
    return st.sampled_from(weighted)


@st.composite
def bodies(draw: st.DrawFn, *, aliases: bool = True, users: Sequence[str] = USERS) -> Body:
    """Draw what one event says."""
    kinds = ["track", "track", "track", "identify", "identify", "page", "group"] + ["alias"] * aliases
    body: Body = {"type": draw(st.sampled_from(kinds)), "messageId": "m"}
    body |= draw(_maybe("userId", [*users, *users, NOBODY[0]], of=4))
    body |= draw(_maybe("anonymousId", [*DEVICES, *DEVICES, NOBODY[1]], of=2))
    if body["type"] == "track":
        body |= {"event": draw(st.sampled_from(NAMES)), "properties": {"n": draw(st.integers(0, 1))}}
    if body["type"] == "identify":
        names = draw(st.sets(st.sampled_from(sorted(TRAITS))))
        body["traits"] = {name: draw(st.sampled_from(TRAITS[name])) for name in sorted(names)}
    if body["type"] == "group":
        body["groupId"] = draw(st.sampled_from([*GROUPS, *GROUPS, NOBODY[0]]))
        said = draw(st.sets(st.sampled_from(sorted(GROUP_TRAITS)), max_size=3))
        body["traits"] = {name: draw(st.sampled_from(GROUP_TRAITS[name])) for name in sorted(said)}
    if body["type"] == "alias":
        body |= draw(_maybe("previousId", [*users, *DEVICES, "fresh", NOBODY[2]], of=0))
    context: Body = draw(_maybe("traits", [*({"email": email} for email in EMAILS), "no object"], of=9))
    context |= draw(
        _maybe(
            "externalIds",
            [
                [{"type": "card", "id": "c1"}],
                [{"type": "card", "id": "c1"}, {"type": "card", "id": "c2"}],
                [{"type": "card", "id": "c3", "collection": "accounts"}, {"type": "card", "id": "c2"}],
                [{"type": "ios.idfa", "id": "phone-1"}],
                [{"type": "user_id", "id": users[0]}],
            ],
            of=12,
        )
    )
    context |= draw(_maybe("consent", CARRIED, of=12))
    context |= draw(_maybe("consentManagement", MANAGED, of=14))
    context |= draw(_maybe("gpc", [True], of=12))
    if body["type"] == "track" and draw(st.integers(0, 3)) == 0:
        body |= draw(choices())
    if draw(st.integers(0, 5)) == 0:
        body["proof"] = draw(proofs(users))
    return body | ({"context": context} if context else {})


@st.composite
def choices(draw: st.DrawFn) -> Body:
    """Draw what somebody chooses."""
    told: Body = {"purposes": draw(st.dictionaries(st.sampled_from(PURPOSES), st.sampled_from(STATES), max_size=2))}
    told |= draw(_maybe("channels", [["email"], ["sms", "email"], "email"], of=3))
    told |= draw(_maybe("valid_until", ["2026-01-01T12:00:05Z", "2031-01-01", "soon"], of=4))
    return {"event": "Consent Updated", "properties": told}


@st.composite
def proofs(draw: st.DrawFn, users: Sequence[str] = USERS) -> Body:
    """Draw what the door writes in the place of an identity token: few tokens, so that some are used again."""
    subject = draw(st.sampled_from([*(["user_id", user] for user in users), ["email", EMAILS[0]], ["card", "c1"]]))
    also = draw(
        st.sampled_from([[], [["email", EMAILS[0]]], [["email", "cem@example.org"], ["phone", "+46701234567"]]])
    )
    told = f"{subject[1]} {also} {draw(st.integers(0, 1))}"
    jti = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    return {"sub": subject, "also": [one for one in also if one != subject], "jti": jti, "kid": "k_1", "exp": 1}


@st.composite
def logs(
    draw: st.DrawFn,
    *,
    max_size: int = 12,
    aliases: bool = True,
    repeats: bool = True,
    poison: bool = True,
    users: Sequence[str] = USERS,
    trusts: Sequence[int] = (TRUST_CLAIMED, TRUST_SERVER),
    distinct_times: bool = False,
) -> list[LogRow]:
    """Draw a log."""
    n = draw(st.integers(1, max_size))
    times = draw(st.permutations(range(1, n + 1))) if distinct_times else None
    rows: list[LogRow] = []
    for position in range(1, n + 1):
        at = times[position - 1] if times is not None else draw(st.integers(1, 10))
        body: Any = draw(bodies(aliases=aliases, users=users))
        if poison and draw(st.integers(0, 11)) == 0:
            body = draw(st.sampled_from(POISON))
        message = None
        if repeats and rows and draw(st.integers(0, 5)) == 0:
            message = draw(st.integers(1, position - 1))
            if draw(st.booleans()):
                body = rows[message - 1].body
        rows.append(row(position, body, at=at, trust=draw(st.sampled_from(list(trusts))), message=message))
        if poison and draw(st.integers(0, 20)) == 0:
            rows[-1] = tick(position)
        elif poison and draw(st.integers(0, 9)) == 0:
            rows[-1] = audience(position, draw(st.sampled_from(AUDIENCES)))
    return rows


# Definitions that keep something of nearly every event, in every way in which tapes keep it.
AUDIENCES = [
    """
audience: busy
purpose: service
definition:
  any:
    - {event: "*", within: 4s, count: {at_least: 2}}
    - {event: "*", sum: {of: n, at_least: 2}}
    - {page: "*", within: 1d}
""",
    """
audience: busy
purpose: analytics
definition:
  all:
    - {event: "*", distinct: {of: n, at_least: 1}, within: 2d}
    - first_time: {event: "*", within: 5s}
    - trait: name
      is_set: true
""",
    "audience: nobody purpose: service",
]

# Bodies that are no event: each must be put aside alone.
POISON: list[Any] = [
    {"type": "track", "event": "x", "userId": ["ana"]},
    {"type": "track", "event": "x", "userId": "ana", "context": []},
    {"event": "x", "userId": "ana"},
    {"type": "identify", "userId": "ana", "traits": {"points": 10**30}},  # more than any store's integer
    ["no object"],
    b"",
    b'{"type": "track", "userId": "ana"',
    b'{"type": "track", "event": "x", "userId": "ana"},{"type": "track", "event": "x", "userId": "ana"}',
    {"type": "track", "event": "x"},  # an event, but nobody's
]


@st.composite
def cuts(draw: st.DrawFn, n: int) -> list[slice]:
    """Draw a way to cut n rows into micro-batches."""
    edges = sorted(draw(st.sets(st.integers(1, n - 1)))) if n > 1 else []
    return [slice(start, end) for start, end in zip([0, *edges], [*edges, n], strict=True)]
