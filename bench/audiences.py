"""Audiences: what they cost the fold, how soon somebody is in one, how long a new one takes over all of history."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench.figure import Figure, percentile
from bench.served import Served
from bench.traffic import Visits, bodies, get, load, post
from tillit.audience import TapeMemory, definition_row
from tillit.clock import DAY, HOUR, MINUTE, rfc3339
from tillit.collect.door import take
from tillit.identity import profile_id
from tillit.records import TRUST_CLAIMED, LogRow, NewRow
from tillit.store import Log
from tillit.workspace import Workspace, create_workspace

N_BEFORE = 200_000
N_EVENTS = 120_000
N_PEOPLE = 20_000
_AT_ONCE = 5_000
_NOW = 1_795_000_000_000_000
_NAMES = ("Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed")
_WINDOWS = ("30m", "1d", "7d", "30d", "90d", "365d")


def definitions(n: int) -> list[dict[str, Any]]:
    """Make audiences as shops have them: half with a window, a tenth sequences, the rest of all time or of traits.

    No two are the same. The first hundreds ask of all events of a name, later ones of one category of goods.
    """
    return [{"audience": f"a{number}", "purpose": "service", "definition": _definition(number)} for number in range(n)]


def _definition(number: int) -> dict[str, Any]:
    kind, number = number % 10, number // 10
    name, other, window = _NAMES[number % 5], _NAMES[(number + 2) % 5], _WINDOWS[number // 5 % 6]
    where: dict[str, Any] = {"category": f"category-{number % 40}"}
    of_category: dict[str, Any] = {"event": name, "where": where}
    of_all: dict[str, Any] = {"event": name} if number < 30 else of_category
    match kind:
        case 0 | 1:
            told = {**of_all, "within": window, "count": {"at_least": 2 + (number + kind) % 5}}
            return told if kind else {"all": [told, {"event": other, "within": "30d", "count": 0}]}
        case 2 | 3 | 4:
            return {**of_category, "within": window, "count": {"at_least": kind - 1 + number % 3}}
        case 5:
            steps = [of_all if number % 2 else of_category, {"event": other, "within": "2d"}]
            return {"sequence": {"steps": steps, "within": window if window != "365d" else "90d", "same": "sku"}}
        case 6:
            return {**of_category, "sum": {"of": "price", "at_least": 50 + number}}
        case 7:
            beyond = {"position": {"greater": number % 30}}
            return {"event": name, "where": beyond if number < 30 else {**where, **beyond}, "count": {"at_least": 3}}
        case 8:
            return {"all": [{"trait": "plan", "equals": "regular"}, of_category]}
    return {"first_time": {**of_category, "within": window}}


def filled_log(folder: Path, *, part: int = 1) -> None:
    """Fill a log with what a shop of 20,000 people has: ninety days, and then what comes at the moment.

    `part`: a shop with so many times fewer people and events.
    """
    create_workspace(folder)
    visits = Visits(Random(7), N_PEOPLE // part, "filled")
    with Workspace(folder) as ws:
        log = Log.open(folder / "log.db", synchronous="OFF")
        n_before, n_all = N_BEFORE // part, (N_BEFORE + N_EVENTS) // part
        for start in range(0, n_all, _AT_ONCE):
            ago = max(0, n_before - start) * 90 * DAY // n_before
            then = rfc3339(_NOW - ago)
            taken = take(
                [visits.event(then) for _ in range(min(_AT_ONCE, n_all - start))],
                route_type=None, source="web", trust=TRUST_CLAIMED, received_at=_NOW, limits=ws.limits,
            )  # fmt: skip
            log.append(taken.rows, now=_NOW)
        log.close()


class Folded(NamedTuple):
    """What came of folding the filled log with audiences."""

    rate: float  # events a second, of those of the moment
    note: str
    n_tapes: int
    bytes_by_person: list[int]  # of tapes


def put_in_force(ws: Workspace, wanted: list[dict[str, Any]]) -> None:
    """Apply definitions."""
    now = ws.now()
    ws.append_rows(
        [
            definition_row(
                "audience", one["audience"], json.dumps(one), operator="b", reason="",
                message_id=one["audience"], now=now - 1,
            )
            for one in wanted
        ]
    )  # fmt: skip


def folding(folder: Path, n_audiences: int) -> Folded:
    """Fold events with so many audiences in force, as an engine does."""
    create_workspace(folder)
    with Workspace(folder) as ws:
        put_in_force(ws, definitions(n_audiences))
        ws.flush()
        with contextlib.closing(Log.open(folder.parent / "filled" / "log.db", read_only=True)) as log:
            n_all = log.head()
            n_past = n_all * N_BEFORE // (N_BEFORE + N_EVENTS)
            _take_over(ws, log, 0, n_all)
        n_timed, seconds, n_before = _run(ws, n_past)
        n_changes = ws.memberships.last_change_id() - n_before
        n_members = sum(one.n_members for one in ws.memberships.standings().values())
        n_tapes = _count_tapes(ws)
        by_person = [
            int(n)
            for (n,) in ws.state.read(
                "SELECT coalesce((SELECT sum(length(tape.document)) FROM identifier AS one JOIN tape "
                "ON tape.identifier_id = one.identifier_id WHERE one.root_id = identifier.identifier_id), 0) "
                "FROM identifier WHERE identifier_id = root_id"
            )
        ]
    n_people = len(by_person)
    note = (
        f"{n_changes / n_timed:.1f} memberships change per event, {n_members:,} there are; "
        f"{n_tapes / n_people:.0f} tapes of {sum(by_person) / n_people:,.0f} bytes together for each of "
        f"{n_people:,} people"
    )
    return Folded(n_timed / seconds, note, n_tapes, by_person)


def _count_tapes(ws: Workspace) -> int:
    keys = ws.state.read("SELECT DISTINCT identifier_id, part FROM tape")
    return sum(map(len, TapeMemory(0).load(ws.state, [(one, part) for one, part in keys]).values()))


def _run(ws: Workspace, after: int) -> tuple[int, float, int]:
    """Let the engine work through all that is in the log, as a server's does.

    Gives of what follows a position: how many events, in how many seconds, and the newest change before.
    """
    engine, stop, head = ws.folding.engine(), threading.Event(), ws.log.head()
    began: list[tuple[float, int, int]] = []

    def watch() -> None:
        while engine.fold.position < head:
            if not began and engine.fold.position >= after:
                began.append((time.perf_counter(), engine.fold.position, ws.memberships.last_change_id()))
            time.sleep(0.002)
        stop.set()

    watching = threading.Thread(target=watch)
    watching.start()
    engine.run(stop, poll_s=0.005)
    engine.catch_up()
    ended = time.perf_counter()
    watching.join()
    at, position, n_before = began[0]
    return head - position, ended - at, n_before


def _take_over(ws: Workspace, log: Log, after: int, until: int) -> None:
    """Put rows of another log into the workspace's, as the door does."""
    while after < until:
        rows = log.read(after, min(_AT_ONCE, until - after))
        after = rows[-1].position
        ws.log.append([_new(one) for one in rows], now=ws.now())


def _new(row: LogRow) -> NewRow:
    return NewRow(*row[2:-1], row.body or b"")


def cost(n_audiences: int, folder: Path) -> list[Figure]:
    """Say how many events a second are folded and judged, in a shop with a history."""
    filled_log(folder / "filled")
    plain = folding(folder / "without", 0)
    told = folding(folder / "with", n_audiences)
    return [
        Figure(
            f"fold and judge with {n_audiences:,} audiences",
            told.rate,
            "events/s",
            20_000,
            True,
            "the same without audiences",
            plain.rate,
            told.note,
        )
    ]


# -- what is kept


_MOST_BYTES = 10_000  # for each person with a thousand audiences; taste: ten million people are then 100 GB
_ONE_NAME = 10_000  # events


def state(folder: Path) -> list[Figure]:
    """Say what is kept for each person, so that a hundred and a thousand audiences are answered."""
    filled_log(folder / "filled", part=4)
    with contextlib.closing(Log.open(folder / "filled" / "log.db", read_only=True)) as log:
        n_events = log.head()
        n_bytes = sum(len(row.body or b"") for after in range(0, n_events, _AT_ONCE)
                      for row in log.read(after, _AT_ONCE))  # fmt: skip
    figures = []
    for n in (100, 1_000):
        told = folding(folder / f"with-{n}", n)
        kept = [float(one) for one in told.bytes_by_person]
        figures.append(
            Figure(
                f"live state of a person with {n:,} audiences, mean",
                sum(kept) / len(kept),
                "bytes",
                _MOST_BYTES,
                False,
                "the person's events as they came",
                n_bytes / len(kept),
                f"{len(kept):,} people of {n_events / len(kept):.0f} events; "
                f"{told.n_tapes / len(kept):.0f} tapes each; p99 {percentile(kept, 0.99):,.0f}, most {max(kept):,.0f}",
            )
        )
    return [*figures, _of_one_name(folder / "one")]


def _of_one_name(folder: Path) -> Figure:
    """Say what is kept of somebody who did one thing every hour for more than a year, under a window of 30 days."""
    create_workspace(folder)
    with Workspace(folder) as ws:
        put_in_force(
            ws, [{"audience": "often", "purpose": "service",
                  "definition": {"event": "Bench Asked", "within": "30d", "count": {"at_least": 5}}}]
        )  # fmt: skip
        now, n_bytes, sizes = ws.now(), 0, []
        for start in range(0, _ONE_NAME, 1_000):
            for spread, who in ((HOUR, "hourly"), (MINUTE, "at once")):
                told = [
                    {
                        "type": "track", "event": "Bench Asked", "userId": who, "messageId": f"{who}-{number}",
                        "timestamp": rfc3339(now - (_ONE_NAME - number) * spread),
                    }
                    for number in range(start, start + 1_000)
                ]  # fmt: skip
                taken = take(
                    told, route_type=None, source="web", trust=TRUST_CLAIMED, received_at=now, limits=ws.limits
                )
                n_bytes += sum(len(row.body or b"") for row in taken.rows) // 2
                ws.append_rows(taken.rows)
            ws.flush()
        for who in ("hourly", "at once"):
            found = ws.state.read(
                "SELECT sum(length(document)) FROM tape JOIN identifier AS one ON one.identifier_id = "
                "tape.identifier_id WHERE one.value = ?",
                (who,),
            )
            sizes.append(int(found[0][0]))
    return Figure(
        f"live state of {_ONE_NAME:,} events of one name, one an hour, 30 days asked about",
        sizes[0],
        "bytes",
        _MOST_BYTES * 5,
        False,
        "the events as they came",
        n_bytes,
        f"of {31 * 24} events within the 31 days that are kept apart, the others added up; all {_ONE_NAME:,} within a "
        f"week: {sizes[1]:,} bytes",
    )


# -- how soon


_SECONDS, _BATCHES_PER_SECOND, _ASKS_PER_SECOND = 10, 50, 20
_ASKED = {
    "audience": "asked", "purpose": "service",
    "definition": {"event": "Bench Asked", "where": {"kind": "visible"}},
}  # fmt: skip


def visible() -> list[Figure]:
    """At 5,000 events a second with 100 audiences: how long from sending an event until the membership is seen."""
    without, _ = _asked([], _applied)
    journal, n_all = _asked([*definitions(100), _ASKED], _in_journal)
    stream, _ = _asked([*definitions(100), _ASKED], _in_stream)
    figures = []
    for name, told in (("in the journal", journal), ("by server-sent events", stream)):
        figures.append(
            Figure(
                f"event to membership at 5,000 events/s with 100 audiences, {name}, p99",
                percentile(told, 0.99),
                "ms",
                100,
                False,
                "event to profile without audiences",
                percentile(without, 0.99),
                f"median {percentile(told, 0.5):.1f} ms, {percentile(without, 0.5):.1f} without; "
                f"{len(told)} of {_n_asks()} seen; {n_all / _SECONDS:,.0f} memberships change a second",
            )
        )
    return figures


_N_REQUESTS = 3_000


def sustained() -> list[Figure]:
    """Collect, fold and judge at once with 100 audiences: until whoever sent the last event is in their audience."""
    seconds, collecting = _until_judged([*definitions(100), _ASKED])
    without, _ = _until_judged([_ASKED])
    return [
        Figure(
            "collect to 100 audiences, sustained",
            _N_REQUESTS * 100 / seconds,
            "events/s",
            20_000,
            True,
            "the same with one audience",
            _N_REQUESTS * 100 / without,
            f"collected at {_N_REQUESTS * 100 / collecting:,.0f} events/s meanwhile; the sender's process is the third",
        )
    ]


def _until_judged(wanted: list[dict[str, Any]]) -> tuple[float, float]:
    """Give the seconds until all is judged that was sent as fast as it was taken, and those until it was taken."""
    served = Served()
    with Workspace(served.folder) as ws:
        put_in_force(ws, wanted)
    sent = bodies(_N_REQUESTS, per_request=100, n_people=N_PEOPLE, run="sustained")
    with served:
        requests = [post("/v1/batch", body, served.secret) for body in sent]
        began = time.perf_counter()
        load(served.port, requests, connections=4)
        taken = time.perf_counter() - began
        load(served.port, _asks(served)[:1], connections=1)
        with Workspace(served.folder) as ws:
            while not ws.memberships.count("asked"):
                time.sleep(0.01)
        return time.perf_counter() - began, taken


def _n_asks() -> int:
    return (_SECONDS - 3) * _ASKS_PER_SECOND


Measure = Callable[[Served], list[float]]


def _asked(wanted: list[dict[str, Any]], measure: Measure) -> tuple[list[float], int]:
    """Serve with audiences under a steady load; give what a measure says meanwhile, and how many changes there were."""
    served = Served()
    if wanted:
        with Workspace(served.folder) as ws:
            put_in_force(ws, wanted)
    sent = bodies((_SECONDS + 4) * _BATCHES_PER_SECOND, per_request=100, n_people=N_PEOPLE, run="steady")
    n_warm = 4 * _BATCHES_PER_SECOND
    with served:
        requests = [post("/v1/batch", body, served.secret) for body in sent]
        load(served.port, requests[:n_warm], connections=4, per_second=_BATCHES_PER_SECOND)
        with Workspace(served.folder) as ws:
            n_before = ws.memberships.last_change_id()
        # The load runs in a process of its own, so that the asker's clock is not held up by it.
        pid = os.fork()
        if pid == 0:
            load(served.port, requests[n_warm:], connections=4, per_second=_BATCHES_PER_SECOND)
            os._exit(0)
        time.sleep(0.5)
        told = measure(served)
        os.waitpid(pid, 0)
        with Workspace(served.folder) as ws:
            return told, ws.memberships.last_change_id() - n_before


def _asks(served: Served, *, path: str = "/v1/batch") -> list[bytes]:
    made = []
    for number in range(_n_asks()):
        one = {
            "type": "track", "event": "Bench Asked", "userId": f"asker-{number}", "messageId": f"asked-{number}",
            "properties": {"kind": "visible"},
        }  # fmt: skip
        made.append(post(path, json.dumps({"batch": [one]}).encode(), served.secret))
    return made


def _applied(served: Served) -> list[float]:
    asking = _asks(served, path="/v1/batch?wait=applied")
    return load(served.port, asking, connections=8, per_second=_ASKS_PER_SECOND).latencies_ms


def _in_journal(served: Served) -> list[float]:
    seen: dict[str, float] = {}  # by profile

    def look(is_over: threading.Event) -> None:
        with Workspace(served.folder) as ws:
            version = -1
            while not is_over.wait(0.001):
                if (newest := ws.memberships.version()) != version:
                    version = newest
                    for change in ws.memberships.newest("asked", limit=50):
                        seen.setdefault(profile_id(change.root_id), time.perf_counter())

    began_s = _ask_while(served, look)
    return [(at - began_s[profile]) * 1_000 for profile, at in seen.items()]


def _in_stream(served: Served) -> list[float]:
    seen: dict[str, float] = {}  # by profile

    def look(is_over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", served.port)) as line:
            line.settimeout(0.2)
            line.sendall(get("/api/audiences/changes/stream", served.api))
            for text, at in _lines(line, is_over):
                if text.startswith(b"data: ") and b'"audience":"asked"' in text:
                    seen.setdefault(json.loads(text[6:])["profile_id"], at)

    began_s = _ask_while(served, look)
    return [(at - began_s[profile]) * 1_000 for profile, at in seen.items()]


def _lines(line: socket.socket, is_over: threading.Event) -> Iterator[tuple[bytes, float]]:
    held = b""
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            block = line.recv(1 << 20)
            at = time.perf_counter()
            *whole, held = (held + block).split(b"\n")
            yield from ((one, at) for one in whole)


def _ask_while(served: Served, look: Callable[[threading.Event], None]) -> dict[str, float]:
    """Ask while somebody looks; give by profile when its event was due to be sent."""
    is_over = threading.Event()
    looking = threading.Thread(target=look, args=(is_over,))
    looking.start()
    time.sleep(0.5)
    told = load(served.port, _asks(served), connections=8, per_second=_ASKS_PER_SECOND)
    time.sleep(2)
    is_over.set()
    looking.join()
    with Workspace(served.folder) as ws:
        found = ws.state.read("SELECT root_id, value FROM identifier WHERE value LIKE 'asker-%'")
    return {
        profile_id(root): told.began_s + int(user.removeprefix("asker-")) / _ASKS_PER_SECOND for root, user in found
    }
