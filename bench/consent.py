"""Consent: what one decision costs, and how long after a withdrawal nothing is read any more."""

import http.client
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from bench.figure import Figure, percentile
from bench.served import Served
from bench.traffic import bodies, load, post
from tillit.collect.door import take
from tillit.consent import Statement, Subject, decide, read_policy, subject_of
from tillit.records import TRUST_SERVER
from tillit.workspace import Workspace, create_workspace
from tillit.workspace.permissions import count_people

_NOW = 1_795_000_000_000_000
_SECOND = 1_000_000
_PURPOSES = """
notices:
  letters: {version: "2", language: en, text: Twice a month., effective_from: 2026-01-01}
purposes:
  service: {title: Service, basis: contract, fields: all}
  analytics: {title: Analytics, basis: legitimate_interest, fields: all, categories: [Analytics], signals: [gpc]}
  newsletter: {title: Newsletter, basis: consent, fields: all, categories: [Marketing], notice: letters}
  ads: {title: Ads, basis: consent, fields: all, categories: [Ads, Analytics], signals: [gpc], valid_for: 24 months}
"""


def decisions(*, n_people: int = 2_000, rounds: int = 5) -> list[Figure]:
    """Decide over people who said yes, no and yes again, for every purpose in turn."""
    declared = read_policy(_PURPOSES)
    random = Random(1)
    people = [_person(number, random) for number in range(n_people)]
    names = list(declared.purposes)
    answers = {(person.profile_id, name): True for person in people for name in names}
    took, plain = [], []
    for _ in range(rounds):
        began = time.process_time()
        for person in people:
            for name in names:
                decide(declared, person, name, at=_NOW)
        took.append((time.process_time() - began) / (n_people * len(names)) * 1e6)
        began = time.process_time()
        for person in people:
            for name in names:
                answers[person.profile_id, name]
        plain.append((time.process_time() - began) / (n_people * len(names)) * 1e6)
    note = (
        f"{n_people:,} people, {len(names)} purposes, up to 12 statements each; processor time, best of {rounds} rounds"
    )
    return [Figure("decide(), in process", min(took), "µs", 20, False, "one dict lookup", min(plain), note)]


def _person(number: int, random: Random) -> Subject:
    """Make somebody with a user id, an e-mail and a laptop, who said some things."""
    said = [
        Statement(
            random.choice(["newsletter", "analytics", "category:Marketing", "category:Ads", "category:Analytics"]),
            random.choice(["given", "given", "refused", "withdrawn"]),
            identifier_id=random.choice([1, 1, 2, 3]),
            part=0,
            position=position,
            said_at=_NOW - (100 - position) * _SECOND,
            received_at=_NOW - (99 - position) * _SECOND,
            trust=TRUST_SERVER,
            is_explicit=random.random() < 0.5,
            is_proved=random.random() < 0.2,
        )
        for position in range(random.randrange(13))
    ]
    return subject_of(f"p{number:013d}", said, selves=[1], devices=frozenset([3]), is_known=True)


def withdrawal_to_no_use(*, n_withdrawals: int = 200, per_second: int = 50) -> list[Figure]:
    """At 5,000 events a second: from sending a withdrawal until a read of the profile gives nothing.

    Each is read without pause until it gives nothing, from before the withdrawal was answered.
    """
    seconds = n_withdrawals // 10 + 6
    sent = bodies(seconds * per_second, per_request=100, n_people=20_000, run="withdrawing")
    with Served(TILLIT_API__RATE_PER_MINUTE="0") as served:
        (served.folder.parent / "purposes.yaml").write_text(_PURPOSES)
        served.tillit("apply", str(served.folder.parent / "purposes.yaml"), "--workspace", str(served.folder), "--yes")
        scopes = ("--scope", "profiles:read", "consent:write", "--purpose", "newsletter")
        asking = json.loads(
            served.tillit(
                *("keys", "create", "--workspace", str(served.folder), "--kind", "api", "--source", "asking"),
                *scopes,
                "--json",
            )
        )["key"]
        people = [{"type": "track", "event": "Consent Updated", "userId": f"w-{n}", "messageId": f"given-{n}"}
                  | {"properties": {"purposes": {"newsletter": True}}} for n in range(n_withdrawals)]  # fmt: skip
        load(
            served.port,
            [post("/v1/batch?wait=applied", json.dumps({"batch": people}).encode(), served.secret)],
            connections=1,
        )
        time.sleep(0.6)  # web processes hear of a new key within half a second
        requests = [post("/v1/batch", body, served.secret) for body in sent]
        # The load runs in a process of its own, so that the asker's clock is not held up by it.
        pid = os.fork()
        if pid == 0:
            load(served.port, requests, connections=4, per_second=per_second)
            os._exit(0)
        time.sleep(1)
        took, answered, n_shown = _withdraw(served, asking, n_withdrawals)
        os.waitpid(pid, 0)
    note = (
        f"{n_withdrawals} withdrawals, median {percentile(took, 0.5):.0f} ms; answered at p99 "
        f"{percentile(answered, 0.99):.0f} ms; {n_shown} were shown after the answer"
    )
    return [
        Figure(
            "withdrawal to no further use at 5,000 events/s, p99",
            percentile(took, 0.99),
            "ms",
            1_000,
            False,
            "none",
            None,
            note,
        )
    ]


def counts(*, n_people: int = 1_000_000) -> list[Figure]:
    """Count people under a scope, and the same people without: everybody, and those who did something of late."""
    folder = Path(mkdtemp(prefix="tillit-bench-"))
    try:
        return _counts(folder, n_people)
    finally:
        rmtree(folder, ignore_errors=True)


def _counts(folder: Path, n_people: int) -> list[Figure]:
    create_workspace(folder)
    with Workspace(folder, now=lambda: _NOW + _SECOND) as ws:
        ws.consent.apply(_PURPOSES, operator="bench", reason="")
        for start in range(0, n_people, 5_000):
            messages = [_word(number) for number in range(start, min(start + 5_000, n_people))]
            taken = take(
                messages, route_type=None, source="shop", trust=TRUST_SERVER, received_at=_NOW, limits=ws.limits
            )
            ws.log.append(taken.rows, now=_NOW)
        ws.flush()
        began = time.perf_counter()
        engine = ws.folding.engine()
        n_judged = 0
        while n := engine.judge():
            n_judged += n
        judging = time.perf_counter() - began
        note = f"{n_judged:,} of {n_people:,} said something and were judged in {judging:.0f} s"
        return [
            _everybody(ws, "newsletter", note),
            _everybody(ws, "analytics", ""),
            _active(ws, "newsletter"),
            _active(ws, "analytics"),
        ]


def _word(number: int) -> dict[str, Any]:
    """Of a hundred people forty say yes to letters and five no to analytics; of three one was here long ago."""
    told = {"newsletter": True} if number % 100 < 40 else {"analytics": False} if number % 100 < 45 else None
    at = "2026-11-18T00:00:00Z" if number % 3 else "2026-08-01T00:00:00Z"
    said = {"event": "Consent Updated", "properties": {"purposes": told}} if told else {"event": "Viewed"}
    return {"type": "track", "userId": f"c-{number}", "messageId": f"c{number}", "timestamp": at, **said}


def _everybody(ws: Workspace, purpose: str, note: str) -> Figure:
    scope = ws.scope(purpose)
    found = ws.permissions.count(scope)
    plain, under = _beside(lambda: count_people(ws.state), lambda: ws.permissions.count(scope))
    told = f"{found.permitted:,} of {found.people:,}; {plain * 1000:.0f} ms without{'; ' + note if note else ''}"
    return Figure(
        f"count under a scope ({purpose})", under / plain, "times", 1.3, False, "the same count without", None, told
    )


def _active(ws: Workspace, purpose: str) -> Figure:
    """Whoever did something in the last 30 days."""
    scope = ws.scope(purpose)
    since = _NOW - 30 * 86_400 * _SECOND
    sql = (
        "SELECT count(*) FROM identifier i WHERE i.root_id = i.identifier_id AND EXISTS "
        "(SELECT 1 FROM event_index e WHERE e.anchor_id = i.identifier_id AND e.event_at >= ?)"
    )

    def under() -> int:
        with ws.state.snapshot() as reading:
            return ws.permissions.count_where(
                reading, ws.permissions.permit(reading, scope), sql, "i.identifier_id", (since,)
            )

    plain, scoped = _beside(lambda: ws.state.read(sql, (since,)), under)
    return Figure(
        f"count of the active under a scope ({purpose})",
        scoped / plain,
        "times",
        1.3,
        False,
        "the same count without",
        None,
        f"{under():,}; {plain * 1000:.0f} ms without",
    )


def _beside(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Give how long each takes, in seconds: best of seven, in turn, since the machine's speed changes."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(7):
        for do, mine in zip((one, other), took, strict=True):
            began = time.perf_counter()
            do()
            mine.append(time.perf_counter() - began)
    return min(took[0]), min(took[1])


def _withdraw(served: Served, key: str, n: int) -> tuple[list[float], list[float], int]:
    """Withdraw for each in turn; give how long until nothing is read, how long until it was answered, in ms."""
    took, answered, n_shown = [], [], 0
    writes = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    reads = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for number in range(n):
        who = f"user_id:w-{number}"
        assert _is_shown(reads, who, head), "a yes must be readable before it is withdrawn"
        said = {"identifier": who, "choices": [{"purpose": "newsletter", "state": "withdrawn"}]}
        began = time.perf_counter()
        writes.request("POST", "/api/consent", json.dumps(said).encode(), head)
        answer = writes.getresponse()
        answer.read()
        assert answer.status == 201, answer.status
        answered.append((time.perf_counter() - began) * 1000)
        while _is_shown(reads, who, head):
            n_shown += 1
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    writes.close()
    reads.close()
    return took, answered, n_shown


def _is_shown(connection: http.client.HTTPConnection, who: str, head: dict[str, str]) -> bool:
    connection.request("GET", f"/api/profiles/{who}", headers=head)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    return bool(told["n_events"])
