"""The budgets, one function each. All give figures; none asserts."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread

import apsw
import msgspec

import tillit
from bench import audiences, consent, customers, deliver, erasure, everybody, identity, ledger, mail, timers
from bench.baselines import nats_publishes, raw_server, sqlite_appends
from bench.figure import Figure, percentile
from bench.pages import console_pages
from bench.served import Served
from bench.traffic import Visits, bodies, get, load, post
from tillit.collect.door import take
from tillit.flow import Fold, quiet_garbage_collector
from tillit.records import TRUST_CLAIMED, LogRow
from tillit.store import Log, SqliteState
from tillit.workspace import Workspace, create_workspace

_NOW = 1_795_000_000_000_000


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="tillit-bench-"))
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def collect_batches() -> list[Figure]:
    """Collect over HTTP in batches of 100, each acknowledged after the sync."""
    n_requests = 2_500
    sent = bodies(n_requests, per_request=100, n_people=20_000, run="batches")
    events = [msgspec.json.encode(e) for e in msgspec.json.decode(sent[0])["batch"]] * 400
    plain = sqlite_appends(events, per_commit=1_000)
    nats = nats_publishes(events[:20_000], in_flight=1_000)
    raw = raw_server([post("/v1/batch", body, "x") for body in sent], connections=8)
    # The engine is held still: this is the door alone, as the design's budget states it.
    with Served(TILLIT_ENGINE__POLL_MS="60000") as served:
        load(served.port, [post("/v1/batch", sent[0], served.secret)], connections=1)
        told = load(served.port, [post("/v1/batch", body, served.secret) for body in sent], connections=8)
    rate = n_requests * 100 / told.seconds
    note = f"{told.n_refused} refused; plain SQLite {plain:,.0f}/s; JetStream (1 node, unsynced) {nats:,.0f}/s"
    return [
        Figure(
            "collect, batches of 100",
            rate,
            "events/s",
            50_000,
            True,
            "answers only",
            n_requests * 100 / raw.seconds,
            note,
        )
    ]


def collect_singles() -> list[Figure]:
    """Collect single events over HTTP, each acknowledged after the sync."""
    n_requests = 40_000
    sent = bodies(n_requests, per_request=1, n_people=20_000, run="singles")
    raw = raw_server([post("/v1/t", body, "x") for body in sent], connections=64)
    with Served(TILLIT_ENGINE__POLL_MS="60000") as served:
        requests = [post("/v1/batch", b'{"batch":[' + body + b"]}", served.secret) for body in sent]
        load(served.port, requests[:500], connections=64)
        told = load(served.port, requests, connections=64)
    return [
        Figure(
            "collect, single events",
            n_requests / told.seconds,
            "events/s",
            6_000,
            True,
            "answers only",
            n_requests / raw.seconds,
        ),
        Figure(
            "collect, single events, p99",
            percentile(told.latencies_ms, 0.99),
            "ms",
            50,
            False,
            "answers only",
            percentile(raw.latencies_ms, 0.99),
            f"64 connections, {told.n_refused} refused",
        ),
    ]


def collect_to_profile() -> list[Figure]:
    """Collect, resolve and fold at once, sustained: until the last profile holds the last event."""
    n_requests = 3_000
    sent = bodies(n_requests, per_request=100, n_people=20_000, run="sustained")
    with Served() as served:
        requests = [post("/v1/batch", body, served.secret) for body in sent]
        began = time.perf_counter()
        told = load(served.port, requests, connections=4)
        last = post(
            "/v1/batch?wait=applied",
            bodies(1, per_request=1, n_people=1, run="last")[0].join((b'{"batch":[', b"]}")),
            served.secret,
        )
        while True:
            answer = load(served.port, [last], connections=1)
            with tillit.open(served.folder) as ws:
                if ws.folding.position() >= ws.log.head():
                    break
            del answer
        seconds = time.perf_counter() - began
    return [
        Figure(
            "collect to profile, sustained",
            n_requests * 100 / seconds,
            "events/s",
            20_000,
            True,
            "collect alone in this run",
            n_requests * 100 / told.seconds,
        )
    ]


def visible_after() -> list[Figure]:
    """At 5,000 events a second: how long from sending an event until it is in the profile."""
    seconds, per_second = 8, 50
    sent = bodies(seconds * per_second, per_request=100, n_people=20_000, run="steady")
    with Served() as served:
        requests = [post("/v1/batch", body, served.secret) for body in sent]
        ask = bodies(seconds * 20, per_request=1, n_people=20_000, run="asked", seed=2)
        asking = [post("/v1/batch?wait=applied", b'{"batch":[' + body + b"]}", served.secret) for body in ask]
        load(served.port, requests[:50], connections=4, per_second=per_second)
        steady = Thread(
            target=load, args=(served.port, requests[50:]), kwargs={"connections": 4, "per_second": per_second}
        )
        # The load runs in a process of its own, so that the asker's clock is not held up by it.
        pid = os.fork()
        if pid == 0:
            steady.run()
            os._exit(0)
        time.sleep(0.5)
        told = load(served.port, asking[: (seconds - 2) * 20], connections=8, per_second=20)
        os.waitpid(pid, 0)
    return [
        Figure(
            "event to profile at 5,000 events/s, p99",
            percentile(told.latencies_ms, 0.99),
            "ms",
            100,
            False,
            note=f"median {percentile(told.latencies_ms, 0.5):.1f} ms, {len(told.latencies_ms)} asked with ?wait",
        )
    ]


def _filled_log(folder: Path, n_events: int, n_people: int, *, run: str = "filled") -> None:
    create_workspace(folder)
    log = Log.open(folder / "log.db", synchronous="OFF")
    visits = Visits(Random(7), n_people, run)
    with Workspace(folder) as ws:
        for start in range(0, n_events, 5_000):
            messages = [visits.event() for _ in range(min(5_000, n_events - start))]
            stamp = _NOW + start * 1_000
            taken = take(
                messages, route_type=None, source="web", trust=TRUST_CLAIMED, received_at=stamp, limits=ws.limits
            )
            log.append(taken.rows, now=stamp)
    log.close()


def profile_reads() -> list[Figure]:
    """Read profiles in process, and over HTTP at 1,000 requests a second."""
    n_people = 10_000
    figures = []
    with Served(TILLIT_API__RATE_PER_MINUTE="0") as served:
        sent = bodies(1_000, per_request=100, n_people=n_people, run="reads")
        load(served.port, [post("/v1/batch", body, served.secret) for body in sent], connections=4)
        rng = Random(3)
        # Those who signed in: half of all visitors never say who they are.
        known = sorted({who.decode() for body in sent for who in re.findall(rb'"userId":"([^"]+)"', body)})
        with tillit.open(served.folder) as ws:
            ws.flush()
            scope = ws.scope()
            took = []
            for _ in range(20_000):
                who = f"user_id:{rng.choice(known)}"
                began = time.perf_counter()
                ws.profiles.find(who, scope)
                took.append((time.perf_counter() - began) * 1000)
            plain = _plain_reads(ws.state.path) if isinstance(ws.state, SqliteState) else None
        figures.append(
            Figure(
                "profile read in process, p99", percentile(took, 0.99), "ms", 1, False, "one plain SQLite read", plain
            )
        )
        asks = [get(f"/api/profiles/user_id:{rng.choice(known)}", served.api) for _ in range(10_000)]
        load(served.port, asks[:500], connections=16)
        told = load(served.port, asks, connections=16, per_second=1_000)
        raw = raw_server(asks, connections=16, per_second=1_000)
        figures.append(
            Figure(
                "profile read over HTTP at 1,000/s, p99",
                percentile(told.latencies_ms, 0.99),
                "ms",
                10,
                False,
                "answers only",
                percentile(raw.latencies_ms, 0.99),
                f"median {percentile(told.latencies_ms, 0.5):.2f} ms, {told.n_refused} not found",
            )
        )
    return figures


def _plain_reads(path: Path) -> float:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    ids = [i for (i,) in connection.execute("SELECT identifier_id FROM strand LIMIT 5000")]
    took = []
    for identifier_id in ids:
        began = time.perf_counter()
        connection.execute("SELECT document FROM strand WHERE identifier_id = ?", (identifier_id,)).fetchall()
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return percentile(took, 0.99)


def rebuild() -> list[Figure]:
    """Fold a log anew."""
    n_events = 400_000
    with _folder() as folder:
        _filled_log(folder, n_events, 20_000)
        plain = _plain_scan(folder / "log.db")
        with Workspace(folder) as ws:
            began = time.perf_counter()
            ws.folding.rebuild()
            rate = n_events / (time.perf_counter() - began)
    return [Figure("rebuild from the log", rate, "events/s", 50_000, True, "plain SQLite scan and JSON decode", plain)]


def _plain_scan(path: Path) -> float:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    decode = msgspec.json.decode
    began = time.perf_counter()
    n = 0
    for (body,) in connection.execute("SELECT body FROM log"):
        decode(body)
        n += 1
    seconds = time.perf_counter() - began
    connection.close()
    return n / seconds


def history() -> list[Figure]:
    """Cost per event with ten times the history: ten times the events, people and days."""
    small = 100_000
    with _folder() as folder:
        (before, plain_before), (after, plain_after) = _fold_cost(folder, small=small, more=60_000)
    return [
        Figure(
            "cost per event at ten times the history",
            after / plain_after / (before / plain_before),
            "times",
            1.2,
            False,
            note=f"{before:.1f} µs after {small:,} events, {after:.1f} after {small * 10:,} (processor time), by their "
            f"ratio to plain JSON decoding of the same rows ({plain_before:.1f} and {plain_after:.1f} µs)",
        )
    ]


def _fold_cost(folder: Path, *, small: int, more: int) -> list[tuple[float, float]]:
    """Fold, and say what an event cost after `small` events and after ten times as many, with the baseline beside."""
    _filled_log(folder, small * 10 + more * 2, 50_000)
    log = Log.open(folder / "log.db", read_only=True)
    state = SqliteState(folder / "fold.db")
    fold = Fold(state, log.get)
    costs = []
    with quiet_garbage_collector():
        for upto in (small, small + more, small * 10, small * 10 + more):
            slices = []
            while fold.position < upto:
                rows = log.read(fold.position, min(5_000, upto - fold.position))
                # Beside each micro-batch, because machines change their speed from one second to the next.
                plain = _decoding_s(rows)
                began = time.process_time()
                fold.apply(rows)
                seconds = time.process_time() - began
                plain = (plain + _decoding_s(rows)) / 2
                slices.append((seconds / plain, seconds / len(rows) * 1e6, plain / len(rows) * 1e6))
            _, cost, plain = sorted(slices)[len(slices) // 2]
            costs.append((cost, plain))
    state.close()
    log.close()
    return [costs[1], costs[3]]


def _decoding_s(rows: list[LogRow]) -> float:
    decode = msgspec.json.decode
    began = time.process_time()
    for row in rows:
        decode(row.body or b"{}")
    return time.process_time() - began


def memory() -> list[Figure]:
    """Memory of an idle server: every process, shared pages counted by share."""
    with Served() as served:
        sent = bodies(50, per_request=100, n_people=1_000, run="memory")
        load(served.port, [post("/v1/batch", body, served.secret) for body in sent], connections=2)
        time.sleep(6)
        told = served.memory_mb()
    note = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(told.items()))
    return [Figure("memory of an idle server", sum(told.values()), "MB", 400, False, note=note)]


def identity_cut() -> list[Figure]:
    """Cut a link in a large profile."""
    with _folder() as folder:
        return identity.cut(folder)


def identity_growth() -> list[Figure]:
    """Resolve as history grows."""
    with _folder() as folder:
        return identity.growth(folder)


def identity_harm() -> list[Figure]:
    """Fold long chains, and identifiers that everybody has."""
    with _folder() as folder:
        return identity.harm(folder)


def erase_person() -> list[Figure]:
    """Erase one person of a million events; `python -m bench.erasure 10000000` measures the size of the budget."""
    with _folder() as folder:
        return erasure.erase(folder / "shop")


def ledger_appends() -> list[Figure]:
    """Append to the ledger, sealed."""
    with _folder() as folder:
        return ledger.appends(folder)


def deliver_webhooks() -> list[Figure]:
    """Deliver to a webhook."""
    with _folder() as folder:
        return deliver.webhooks(folder / "shop")


def deliver_outbox() -> list[Figure]:
    """Fold with destinations."""
    with _folder() as folder:
        return deliver.outbox(folder, _filled_log)


def deliver_withdrawal() -> list[Figure]:
    """Withdraw while much is queued."""
    with _folder() as folder:
        return deliver.withdrawals(folder / "shop")


def audiences_100() -> list[Figure]:
    """Fold and judge with a hundred audiences."""
    return _with_audiences(100)


def audiences_1000() -> list[Figure]:
    """Fold and judge with a thousand."""
    return _with_audiences(1_000)


def audiences_state() -> list[Figure]:
    """Weigh what is kept for each person, so that audiences are answered."""
    with _folder() as folder:
        return audiences.state(folder)


def audiences_timers() -> list[Figure]:
    """Let memberships end with no event: many at once, and as they are due."""
    with _folder() as folder:
        return timers.expiries(folder)


def audiences_new() -> list[Figure]:
    """Ask for a new audience over a million people and ten million events."""
    with _folder() as folder:
        return everybody.new_audience(folder)


def _with_audiences(n: int) -> list[Figure]:
    with _folder() as folder:
        return audiences.cost(n, folder)


BUDGETS: dict[str, Callable[[], list[Figure]]] = {
    "collect-batches": collect_batches,
    "collect-singles": collect_singles,
    "collect-to-profile": collect_to_profile,
    "visible-after": visible_after,
    "profile-reads": profile_reads,
    "console-pages": console_pages,
    "search": customers.many_people,
    "customer-page": customers.customer_page,
    "rebuild": rebuild,
    "history": history,
    "memory": memory,
    "identity-cut": identity_cut,
    "identity-growth": identity_growth,
    "identity-harm": identity_harm,
    "erasure": erase_person,
    "ledger": ledger_appends,
    "decide": consent.decisions,
    "withdrawal": consent.withdrawal_to_no_use,
    "mails": mail.mails,
    "deliver-webhooks": deliver_webhooks,
    "deliver-outbox": deliver_outbox,
    "deliver-withdrawal": deliver_withdrawal,
    "audiences-100": audiences_100,
    "audiences-new": audiences_new,
    "audiences-1000": audiences_1000,
    "audiences-sustained": audiences.sustained,
    "audiences-visible": audiences.visible,
    "audiences-timers": audiences_timers,
    "audiences-state": audiences_state,
}
