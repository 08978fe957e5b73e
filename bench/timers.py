"""Timers: memberships that end with no event: how many a second are judged, and how late the last one is told."""

import contextlib
import sys
import threading
import time
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import apsw
import msgspec

from bench.audiences import definitions, put_in_force
from bench.figure import Figure, percentile
from bench.served import Served
from tillit.audience import EXIT, TIMER, Change
from tillit.clock import HOUR, SECOND, now_us, rfc3339
from tillit.flow import quiet_garbage_collector
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow, message_hash
from tillit.workspace import Workspace, create_workspace

PER_SECOND = 278  # a million an hour
_AT_ONCE = 5_000
_SECONDS = 20
_WINDOW = 2 * HOUR  # a million an hour are of one hour, all of it past when they come
_AHEAD_S = 15  # for the server to start, and to fold what it finds
_BEEN = {"audience": "been", "purpose": "service", "definition": {"event": "Bench Asked", "within": "2h"}}


def expiries(folder: Path, *, n_people: int = 60_000) -> list[Figure]:
    """Say how many ends of memberships are judged a second, alone and beside a hundred audiences, and how late."""
    rate, note = _judged(folder / "many", n_people, n_audiences=0)
    beside, _ = _judged(folder / "beside", n_people // 3, n_audiences=100)
    plain = _plain(folder / "plain.db", n_people)
    return [
        Figure(
            "memberships that end by themselves",
            rate,
            "expiries/s",
            PER_SECOND,
            True,
            "rows of a due and a membership table of plain SQLite",
            plain,
            f"{note}; with 100 more audiences in force {beside:,.0f}/s",
        ),
        _lag(),
    ]


def _event(who: int, at: int, now: int) -> NewRow:
    body = {
        "type": "track", "event": "Bench Asked", "userId": f"user-{who}", "messageId": f"been-{who}",
        "timestamp": rfc3339(at), "receivedAt": rfc3339(now), "properties": {"category": f"category-{who % 40}"},
    }  # fmt: skip
    hashed = message_hash("web", str(body["messageId"]))
    return NewRow(KIND_EVENT, "web", TRUST_SERVER, now, at, hashed, msgspec.json.encode(body))


def _judged(folder: Path, n_people: int, *, n_audiences: int) -> tuple[float, str]:
    """Let people be in an audience until they are due one after the other, a million an hour; judge them by ticks."""
    create_workspace(folder)
    began = now_us()
    due_from = began + SECOND
    here = [began]

    def due_at(who: int) -> int:
        return due_from + who * SECOND // PER_SECOND

    with Workspace(folder, now=lambda: here[0]) as ws:
        put_in_force(ws, [_BEEN, *definitions(n_audiences)])
        for start in range(0, n_people, _AT_ONCE):
            people = range(start, min(n_people, start + _AT_ONCE))
            ws.append_rows([_event(who, due_at(who) - _WINDOW, began) for who in people])
        ws.flush()
        n_before = ws.memberships.count("been")
        engine, head = ws.folding.engine(), ws.log.head()
        seconds = n_people // PER_SECOND + 2
        timed = time.perf_counter()
        with quiet_garbage_collector():
            # The log's clock goes on by a second each time, as fast as the engine is done with the one before.
            for second in range(seconds):
                here[0] = due_from + second * SECOND
                while engine.keep_audiences():
                    pass
        timed = time.perf_counter() - timed
        n_after, n_ticks = ws.memberships.count("been"), ws.log.head() - head
    note = f"{n_before - n_after:,} of {n_people:,} people left in {seconds} seconds of the log's time, {n_ticks} ticks"
    return (n_before - n_after) / timed, note


def _plain(path: Path, n_people: int) -> float:
    """Take as many rows that are due out of two tables, second by second."""
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "normal")
        connection.execute(
            "CREATE TABLE due (root_id INTEGER PRIMARY KEY, due_at INTEGER); CREATE INDEX due_at ON due (due_at); "
            "CREATE TABLE membership (audience TEXT, root_id INTEGER, PRIMARY KEY (audience, root_id)) WITHOUT ROWID"
        )
        with connection:
            connection.executemany("INSERT INTO due VALUES (?, ?)", ((one, one) for one in range(n_people)))
            connection.executemany("INSERT INTO membership VALUES ('been', ?)", ((one,) for one in range(n_people)))
        began = time.perf_counter()
        for until in range(PER_SECOND, n_people + PER_SECOND, PER_SECOND):
            with connection:
                found = connection.execute("SELECT root_id FROM due WHERE due_at <= ? ORDER BY due_at", (until,))
                gone = found.fetchall()
                connection.executemany("DELETE FROM membership WHERE audience = 'been' AND root_id = ?", gone)
                connection.executemany("DELETE FROM due WHERE root_id = ?", gone)
        return n_people / (time.perf_counter() - began)


def _lag() -> Figure:
    """Serve, and let a million an hour be due in real time; say how late the last of each is written."""
    n_people = PER_SECOND * _SECONDS
    served = Served()
    due_from = now_us() + _AHEAD_S * SECOND
    with Workspace(served.folder) as ws:
        put_in_force(ws, [_BEEN, *definitions(100)])
        now = ws.now()
        dues = [due_from + who * SECOND // PER_SECOND for who in range(n_people)]
        ws.append_rows([_event(who, at - _WINDOW, now) for who, at in enumerate(dues)])
    seen: list[tuple[float, Change]] = []
    with served, Workspace(served.folder) as ws:
        until = now_us() + (_AHEAD_S + _SECONDS + 15) * SECOND
        while ws.memberships.count("been") < n_people and now_us() < due_from:
            time.sleep(0.1)
        n_before, head, version = ws.memberships.count("been"), ws.log.head(), -1
        last = ws.memberships.last_change_id()
        is_over = threading.Event()
        while not is_over.wait(0.001):
            if (newest := ws.memberships.version()) != version:
                version = newest
                looked_at = now_us()
                for change in ws.memberships.changes(after=last, limit=_AT_ONCE):
                    last = change.change_id
                    if change.audience == "been" and change.kind == EXIT:
                        seen.append((looked_at, change))
            if len(seen) >= n_before or now_us() > until:
                is_over.set()
        n_ticks = ws.log.head() - head
        due_of = {
            root: dues[int(user.removeprefix("user-"))]
            for root, user in ws.state.read("SELECT root_id, value FROM identifier WHERE value LIKE 'user-%'")
        }
    lags = [(looked_at - due_of[change.root_id]) / SECOND for looked_at, change in seen]
    wrong = sum(change.cause != TIMER or change.at != due_of[change.root_id] for _, change in seen)
    return Figure(
        f"lag of memberships that end by themselves, {PER_SECOND} a second for {_SECONDS} s, longest",
        max(lags, default=float("inf")),
        "s",
        1,
        False,
        note=f"median {percentile(lags, 0.5) * 1_000 if lags else 0:.1f} ms, "
        f"p99 {percentile(lags, 0.99) * 1_000 if lags else 0:.1f} ms; {len(lags):,} of {n_before:,} people left, "
        f"{wrong} not at their instant; {n_ticks} ticks in the log; 100 more audiences in force",
    )


if __name__ == "__main__":  # `python -m bench.timers 1000000`
    place = Path(mkdtemp(prefix="tillit-bench-"))
    try:
        for figure in expiries(place, n_people=int(sys.argv[1]) if len(sys.argv) > 1 else 60_000):
            print(figure.line())
    finally:
        rmtree(place, ignore_errors=True)
