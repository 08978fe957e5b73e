"""What is kept is what the purposes may still need, by a slow reading of the rule; and a sweep may be killed.

Random purposes with and without times of keeping, sources that collect for some, events with refusals, resends, late
ones, colleagues' acts; the clock goes on by random steps, and now and then somebody sweeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import RunningServer, tillit
from tests.still_clock import Clock
from tillit.clock import DAY, now_us
from tillit.consent.statements import unpack_statements
from tillit.workspace import Workspace, create_workspace
from tillit.workspace.people import iter_people

N_EXAMPLES = int(os.environ.get("TILLIT_RETENTION_EXAMPLES", "12"))  # each has a workspace of its own
USERS, DEVICES, CATEGORIES, SOURCES = ("u1", "u2", "u3"), ("d1", "d2"), ("A", "B"), ("site", "till", "shop")

purposes = st.fixed_dictionaries(
    {
        "basis": st.sampled_from(("contract", "consent", "legitimate_interest")),
        "retention": st.sampled_from(("", "10 days", "20 days", "40 days")),
        "categories": st.sampled_from(([], ["A"], ["A", "B"])),
    }
)
policies = st.dictionaries(st.sampled_from(("p", "q", "r")), purposes, min_size=1)
answers = st.none() | st.fixed_dictionaries({name: st.booleans() for name in CATEGORIES})
events = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("track", "track", "identify", "choose", "note", "again")),
        "user": st.sampled_from((*USERS, None)),
        "device": st.sampled_from(DEVICES),
        "source": st.sampled_from(SOURCES),
        "answer": answers,
        "late_days": st.sampled_from((0, 0, 300)),
        "go_on_days": st.integers(0, 12),
        "sweep": st.sampled_from((False, False, False, True)),
    }
)


class Said:
    """One event as the test remembers it."""

    def __init__(self, logged_at: int, source: str, answer: dict[str, bool] | None, *, is_proof: bool) -> None:
        self.logged_at = logged_at
        self.source = source
        self.answer = answer
        self.is_proof = is_proof


def needs(purpose: dict[str, Any], answer: dict[str, bool] | None) -> bool:
    """Whether what an event carries leaves it to a purpose."""
    if answer is None or purpose["basis"] == "contract":
        return True
    if purpose["categories"]:
        return all(answer[name] for name in purpose["categories"])
    return all(answer.values())


def is_over(declared: dict[str, Any], sources: dict[str, list[str]], said: Said, now: int) -> bool:
    """Whether no purpose keeps an event any more, as the rule says it."""
    if said.is_proof or not any(one["retention"] for one in declared.values()):
        return False
    for name in sources.get(said.source, list(declared)):
        one = declared[name]
        if needs(one, said.answer):
            if not one["retention"]:
                return False
            if said.logged_at + int(one["retention"].split()[0]) * DAY > now:
                return False
    return True


def text_of(declared: dict[str, Any], sources: dict[str, list[str]]) -> str:
    told = {
        name: {"title": name, "fields": "all", **{k: v for k, v in one.items() if v}} for name, one in declared.items()
    }
    return json.dumps({"purposes": told, "sources": sources})


def latest_answers(ws: Workspace) -> set[int]:
    return {p for (p,) in ws.state.read("SELECT position FROM consent_signal")}


def ties_of_noes(ws: Workspace) -> set[int]:
    """The events by which somebody who ever said no came to be one person: without them a no would be nobody's."""
    said = ws.state.read("SELECT identifier_id FROM consent_signal WHERE said = 0 AND name <> '*'")
    refused = {i for (i,) in said}
    for row in ws.state.read("SELECT identifier_id, part, position, document FROM consent_statement"):
        refused |= {row[0]} if any(one.refuses for one in unpack_statements(*row)) else set()
    pairs = ws.state.read("SELECT strong_id, weak_id, position FROM link WHERE verdict = 'admitted'")
    pairs += ws.state.read("SELECT identifier_id, holder_id, from_position FROM tenure")
    found = set()
    for _, _, whom in iter_people(ws.state):
        own = {one.identifier_id for one in whom.identifiers}
        found |= {position for one, other, position in pairs if own & refused and {one, other} <= own}
    return found


def bodies(ws: Workspace) -> dict[int, bytes]:
    return {row.position: row.body or b"" for row in ws.log.read(0, 10_000)}


def check(ws: Workspace, known: dict[int, Said], declared: dict[str, Any], sources: dict[str, list[str]]) -> None:
    """Sweep, and hold what is left against the rule."""
    before = bodies(ws)
    firsts: dict[int, int] = dict(ws.state.read("SELECT position, of_position FROM fate WHERE of_position IS NOT NULL"))
    staying = latest_answers(ws) | ties_of_noes(ws)
    due = {p for p, said in known.items() if is_over(declared, sources, said, ws.now()) and p not in staying}
    due |= {p for p in known if firsts.get(p, 0) in due}  # a resend holds the same words
    swept = ws.retention.sweep()
    after = bodies(ws)

    there = {p for p in known if b'"messageId"' in before[p]}
    assert {p for p in there if b'"messageId"' not in after[p]} == due & there
    assert all(after[p] == before[p] for p in there - due)
    assert (swept.n_events > 0) == bool(due & there)
    assert ws.retention.sweep().n_events == 0
    assert ws.folding.check() == []


@settings(max_examples=N_EXAMPLES, deadline=None)
@given(policies, st.dictionaries(st.sampled_from(SOURCES[:2]), st.integers(0, 2)), st.lists(events, max_size=25))
def test_what_is_kept_is_what_a_purpose_may_still_need(
    declared: dict[str, Any], picks: dict[str, int], told: list[dict[str, Any]]
) -> None:
    names = sorted(declared)
    sources = {source: [names[pick % len(names)]] for source, pick in picks.items()}
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        create_workspace(Path(folder) / "shop")
        with Workspace(Path(folder) / "shop", now=clock.now) as ws:
            ws.consent.apply(text_of(declared, sources))
            known: dict[int, Said] = {}
            last: dict[str, Any] | None = None
            for n, one in enumerate(told):
                clock.go_on(one["go_on_days"] * DAY + 1_000)
                source, answer = one["source"], one["answer"]
                message: dict[str, Any] = {"type": "track", "event": "Viewed", "messageId": f"m{n}"}
                if one["kind"] == "note":
                    if not ws.state.read("SELECT 1 FROM identifier WHERE value = 'u1'"):
                        continue
                    ws.profiles.note("user_id:u1", "a note", operator="kim")
                    source, answer = "console", None
                else:
                    if one["kind"] == "identify":
                        message |= {"type": "identify", "traits": {"x": n}}
                    elif one["kind"] == "choose":
                        message |= {"event": "Consent Updated", "properties": {"purposes": {names[0]: bool(n % 2)}}}
                    message |= {"anonymousId": one["device"]} | ({"userId": one["user"]} if one["user"] else {})
                    message |= {"timestamp": "2020-01-01T00:00:00Z"} if one["late_days"] else {}
                    message |= {"context": {"consent": {"categoryPreferences": answer}}} if answer is not None else {}
                    if one["kind"] == "again" and last is not None:
                        message, source, answer = last["message"], last["source"], last["answer"]
                    last = {"message": message, "source": source, "answer": answer}
                    ws.append([message], source=source)
                ws.flush()
                position = ws.log.head()
                is_proof = message.get("event") == "Consent Updated" and one["kind"] != "note"
                known[position] = Said(ws.log.head_logged_at(), source, answer, is_proof=is_proof)
                if one["sweep"]:
                    check(ws, known, declared, sources)
            clock.go_on(15 * DAY)
            check(ws, known, declared, sources)
            ws.folding.write_lake()
            assert ws.folding.check() == []


# -- killed


N_KILLED = 400


@pytest.fixture
def old_shop(tmp_path: Path) -> Path:
    """A workspace of a month ago, with a purpose that keeps ten days."""
    folder = tmp_path / "shop"
    create_workspace(folder)
    clock = Clock(now_us() - 30 * DAY)
    with Workspace(folder, now=clock.now) as ws:
        ws.consent.apply("purposes: {service: {title: S, basis: contract, fields: all, retention: 10 days}}")
        for n in range(N_KILLED):
            who = {"userId": f"user-{n % 40}", "anonymousId": f"device-{n % 50}"}
            ws.append([{"type": "track", "event": "Old", "messageId": f"m{n}", **who}])
        ws.flush()
        clock.at = now_us() - DAY
        ws.append([{"type": "track", "event": "New", "messageId": "new", "userId": "user-1"}])
        ws.flush()
    return folder


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_that_is_killed_goes_on_where_it_was(old_shop: Path, seed: int) -> None:
    command = [sys.executable, "-m", "tillit", "privacy", "retention", "--yes", "--workspace", str(old_shop)]
    chance, n_kills = random.Random(seed), 0
    while n_kills < 2:
        head = _n_rows(old_shop)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while process.poll() is None and _n_rows(old_shop) == head and time.monotonic() < until:
            time.sleep(0.002)
        if process.poll() is not None:
            break
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        n_kills += 1

    assert n_kills > 0
    done = json.loads(tillit("privacy", "retention", "--yes", "--json", "--workspace", str(old_shop)))
    assert done["n_due"] == done["n_swept"]
    with Workspace(old_shop) as ws:
        left = [body for body in bodies(ws).values() if b'"messageId"' in body]
        assert [json.loads(body)["event"] for body in left] == ["New"]
        assert ws.retention.outline().n_due == 0
    assert "No difference" in tillit("rebuild", "--check", "--workspace", str(old_shop))


def test_a_served_workspace_sweeps_by_itself(old_shop: Path) -> None:
    with RunningServer(old_shop, arguments=("--workers", "1")) as server:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            events = [body.get("event") for _, body in server.log_events()]
            if "Old" not in events and _noted(old_shop):
                break
            time.sleep(0.1)
    assert "Old" not in events
    assert "New" in events
    assert _noted(old_shop) == [("keeper", N_KILLED)]


def _noted(folder: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True)) as journal:
        rows = journal.execute("SELECT operator_id, details FROM audit WHERE action = 'retention.sweep'").fetchall()
    return [(operator_id, json.loads(details)["n_events"]) for operator_id, details in rows]


def _n_rows(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)) as log:
        return int(log.execute("SELECT position FROM log_head").fetchone()[0])
