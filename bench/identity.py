"""Identity: how long a cut takes, what resolving costs as history grows, what those who mean harm can make of it."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import msgspec

from bench.figure import Figure, percentile
from tillit.flow import Fold, quiet_garbage_collector
from tillit.identity import CUT, UNDO, Handle, identity_act_row
from tillit.records import KIND_EVENT, TRUST_CLAIMED, TRUST_SERVER, LogRow, NewRow
from tillit.store import Log, SqliteState

_NOW = 1_795_000_000_000_000
_SECOND = 1_000_000
_BATCH = 1_000

Body = dict[str, Any]


def _new(number: int, body: Body, *, at: int | None = None) -> NewRow:
    event_at = _NOW + (number if at is None else at) * 1_000
    body = {"type": "track", "event": "Seen", "messageId": f"m{number}", **body}
    return NewRow(
        KIND_EVENT, "shop", TRUST_SERVER, event_at, event_at, number.to_bytes(16, "big"), msgspec.json.encode(body)
    )


def _row(position: int, body: Body, *, at: int | None = None) -> LogRow:
    return LogRow(position, _NOW + position * 1_000, *_new(position, body, at=at))


def _identify(who: str, **more: Any) -> Body:
    return {"type": "identify", "userId": who, "traits": {"email": f"{who}@example.org"}, **more}


# -- a cut


def cut(folder: Path, *, n_others: int = 1_000_000, n_events: int = 10_000) -> list[Figure]:
    """Cut, and undo the cut of, a link in a profile with many events, beside many other profiles."""
    log = Log.open(folder / "log.db", synchronous="OFF")
    state = SqliteState(folder / "state.db", synchronous="OFF")
    fold = Fold(state, log.get)
    with quiet_garbage_collector(), state.hurried():
        for start in range(0, n_others, 20_000):
            _take(log, fold, [_new(i, {"userId": f"other-{i}"}) for i in range(start, min(start + 20_000, n_others))])
        for start in range(n_others, n_others + n_events, 5_000):
            _take(log, fold, [_new(i, _of_ana(i)) for i in range(start, start + 5_000)])
    log.close()
    state.close()
    log = Log.open(folder / "log.db")
    state = SqliteState(folder / "state.db")
    fold = Fold(state, log.get)
    took: dict[str, list[float]] = {CUT: [], UNDO: []}
    ends = [Handle(0, "user_id", "ana"), Handle(0, "email", "ana@example.org")]
    for number in range(4):
        for kind, about, of in ((CUT, ends, ""), (UNDO, [], f"cut-{number}")):
            row = identity_act_row(
                kind,
                about,
                of=of,
                operator="kim",
                reason="another person",
                message_id=f"{kind}-{number}",
                now=_NOW + _SECOND * number,
            )
            began = time.perf_counter()
            _take(log, fold, [row])
            took[kind].append((time.perf_counter() - began) * 1_000)
    plain = _plain_cut(folder)
    log.close()
    state.close()
    note = f"slowest of {len(took[CUT])}, beside {n_others:,} other profiles"
    baseline = "their component by a recursive query, their bodies read and decoded"
    return [
        Figure(f"cut in a profile with {n_events:,} events", max(took[CUT]), "ms", 1_000, False, baseline, plain, note),
        Figure("undo of that cut", max(took[UNDO]), "ms", 1_000, False, baseline, plain),
    ]


def _take(log: Log, fold: Fold, rows: list[NewRow]) -> None:
    after = log.head()
    log.append(rows, now=_NOW + after * 1_000)
    fold.apply(log.read(after, len(rows)))


def _of_ana(number: int) -> Body:
    """Give an event of one person, known by a user id, an e-mail, a card and three devices."""
    told = [
        _identify("ana", anonymousId=f"ana-{number % 3}"),
        {"userId": "ana", "anonymousId": f"ana-{number % 3}"},
        {"context": {"traits": {"email": "ana@example.org"}}},
        {"anonymousId": f"ana-{number % 3}"},
        {"context": {"traits": {"email": "ana@example.org"}, "externalIds": [{"type": "card", "id": "ana"}]}},
    ]
    return told[number % len(told)]


def _plain_cut(folder: Path) -> float:
    """Find one person's identifiers by a recursive query over the same links, and read and decode their bodies."""
    state = apsw.Connection(str(folder / "state.db"), flags=apsw.SQLITE_OPEN_READONLY)
    log = apsw.Connection(str(folder / "log.db"), flags=apsw.SQLITE_OPEN_READONLY)
    began = time.perf_counter()
    start = state.execute("SELECT identifier_id FROM identifier WHERE namespace = 'user_id' AND value = 'ana'")
    ids = state.execute(
        "WITH RECURSIVE near (id) AS (VALUES (?) UNION "
        "SELECT l.weak_id FROM near JOIN link l ON l.strong_id = near.id UNION "
        "SELECT l.strong_id FROM near JOIN link l ON l.weak_id = near.id) SELECT id FROM near",
        next(start),
    ).fetchall()
    for (identifier_id,) in ids:
        for (position,) in state.execute("SELECT position FROM event_index WHERE anchor_id = ?", (identifier_id,)):
            for (body,) in log.execute("SELECT body FROM log WHERE position = ?", (position,)):
                msgspec.json.decode(body)
    seconds = time.perf_counter() - began
    state.close()
    log.close()
    return seconds * 1_000


# -- as history grows


def growth(folder: Path, *, n_millions: int = 10) -> list[Figure]:
    """Resolve events that each bring identifiers and links, and say what the last million cost beside the first."""
    state = SqliteState(folder / "state.db", synchronous="OFF")
    fold = Fold(state, lambda _: {})
    costs, slowest, rates = [], [], []
    position = 0
    with quiet_garbage_collector(), state.hurried():
        for _ in range(n_millions):
            slices, took = [], []
            n_new = 0
            while n_new < 1_000_000:
                rows = [_met(position + i) for i in range(1, 5 * _BATCH + 1)]
                position += len(rows)
                n_new += len(rows) // len(_MEETINGS) * len(_KINDS)
                plain = _decoding_s(rows)
                for start in range(0, len(rows), _BATCH):
                    cost_began, wall_began = time.process_time(), time.perf_counter()
                    fold.apply(rows[start : start + _BATCH])
                    took.append((time.perf_counter() - wall_began) * 1_000)
                    slices.append((time.process_time() - cost_began) * 5 / (plain + _decoding_s(rows)) * 2)
            costs.append(sorted(slices)[len(slices) // 2])
            slowest.append(percentile(took, 0.99))
            rates.append(len(took) * _BATCH / (sum(took) / 1_000))
    n_links = state.read("SELECT count(*) FROM link")[0][0]
    n_identifiers = state.read("SELECT count(*) FROM identifier")[0][0]
    plain_us = _recursive_us(folder, n_identifiers)
    state.close()
    told = "; ".join(f"{rate:,.0f}/s, {ms:.0f} ms" for rate, ms in zip(rates, slowest, strict=True))
    return [
        Figure(
            f"resolving, the last of {n_identifiers:,} identifiers with {n_links:,} links beside the first million",
            costs[-1] / costs[0],
            "times",
            1.2,
            False,
            note="processor time by its ratio to JSON decoding of the same rows; events a second and p99 of a "
            f"micro-batch of {_BATCH:,} for each million: {told}",
        ),
        Figure(
            "resolving and folding one event among them",
            1_000_000 / rates[-1],
            "µs",
            1_000,
            False,
            "whose it is by a recursive query over the same links",
            plain_us,
        ),
    ]


_KINDS = ("user", "card", "email", "phone", "browser", "app")
# Which of a person's six identifiers each of five events names: eighteen links, those of the first said twice.
_MEETINGS = (
    ("user", "email", "phone", "browser", "app"),
    ("user", "card", "email", "phone", "browser", "app"),
    ("card", "email", "phone", "browser", "app"),
    ("email", "phone", "browser", "app"),
    ("phone", "browser", "app"),
)


def _met(position: int) -> LogRow:
    who, meeting = divmod(position - 1, len(_MEETINGS))
    row = _row(position, _meeting(who, meeting))
    return row if meeting else row._replace(trust=TRUST_CLAIMED)


def _meeting(who: int, meeting: int) -> Body:
    named = _MEETINGS[meeting]
    context: Body = {}
    traits = {
        name: value for name, value in (("email", f"{who}@example.org"), ("phone", f"+46{who:09d}")) if name in named
    }
    if traits:
        context["traits"] = traits
    told: Body = {"context": context, "anonymousId": f"browser-{who}"}
    if "user" in named:
        told["userId"] = f"user-{who}"
    handles = [("card", f"card-{who}")] * ("card" in named) + [("ios.idfa", f"app-{who}")] * ("app" in named)
    if handles:
        context["externalIds"] = [{"type": name, "id": value} for name, value in handles]
    return told


def _recursive_us(folder: Path, n_identifiers: int, *, n: int = 1_000) -> float:
    """Find people by a recursive query over the same links, each from one of their identifiers."""
    state = apsw.Connection(str(folder / "state.db"), flags=apsw.SQLITE_OPEN_READONLY)
    some = [
        row
        for number in range(n)
        for row in state.execute(
            "SELECT identifier_id FROM identifier WHERE namespace = 'user_id' AND value = ?",
            (f"user-{number * n_identifiers // len(_KINDS) // n}",),
        )
    ]
    began = time.perf_counter()
    for start in some:
        state.execute(
            "WITH RECURSIVE near (id) AS (VALUES (?) UNION "
            "SELECT l.weak_id FROM near JOIN link l ON l.strong_id = near.id UNION "
            "SELECT l.strong_id FROM near JOIN link l ON l.weak_id = near.id) SELECT min(id) FROM near",
            start,
        ).fetchall()
    seconds = time.perf_counter() - began
    state.close()
    return seconds * 1_000_000 / len(some)


def _decoding_s(rows: list[LogRow]) -> float:
    began = time.process_time()
    for row in rows:
        msgspec.json.decode(row.body or b"{}")
    return time.process_time() - began


# -- what those who mean harm can make of it


def harm(folder: Path, *, n: int = 100_000) -> list[Figure]:
    """Fold long chains and identifiers that everybody has, and say how long the longest micro-batches took."""
    plain = _fold_all(folder / "plain.db", ({"userId": f"u{i}", "anonymousId": f"d{i}"} for i in range(n)))
    figures: list[Figure] = []
    for what, bodies in (
        (f"a chain of {n:,} identifiers", _chain(n)),
        (f"a chain of {n:,} identifiers joined from its weak end", _chain_backwards(n)),
        (f"an e-mail that {n:,} people have", _shared_email(n)),
        (f"a tablet that {n:,} people use", _shared_tablet(n)),
        (f"a tablet that {n:,} people used, heard of out of order", _late(n)),
    ):
        took, rate = _fold_all(folder / f"harm-{len(figures)}.db", bodies)
        figures.append(
            Figure(
                f"{what}, p99 of a micro-batch of {_BATCH:,}",
                took,
                "ms",
                1_000,
                False,
                f"{n:,} unrelated people",
                plain[0],
                f"{rate:,.0f} events/s (unrelated: {plain[1]:,.0f})",
            )
        )
    return figures


def _fold_all(path: Path, bodies: Iterator[Body]) -> tuple[float, float]:
    """Fold events in micro-batches; give the p99 of their times in milliseconds, and events a second."""
    state = SqliteState(path, synchronous="OFF")
    log: dict[int, LogRow] = {}
    fold = Fold(state, lambda positions: {p: log[p] for p in positions if p in log})
    took = []
    with quiet_garbage_collector(), state.hurried():
        rows: list[LogRow] = []
        for position, body in enumerate(bodies, start=1):
            at = body.pop("at", None)
            row = log[position] = _row(position, body, at=at)
            rows.append(row)
            if len(rows) == _BATCH:
                began = time.perf_counter()
                fold.apply(rows)
                took.append((time.perf_counter() - began) * 1_000)
                rows = []
    state.close()
    return percentile(took, 0.99), len(took) * _BATCH / (sum(took) / 1_000)


def _cards(*numbers: int) -> Body:
    return {"context": {"externalIds": [{"type": "card", "id": f"c{number}"} for number in numbers]}}


def _chain(n: int) -> Iterator[Body]:
    yield from (_cards(i, i + 1) for i in range(n))


def _chain_backwards(n: int) -> Iterator[Body]:
    # Each on its own first: then every link joins all that were joined before to somebody stronger.
    yield from (_cards(i) for i in range(n))
    yield from (_cards(i, i - 1) for i in range(n - 1, -1, -1))


def _shared_email(n: int) -> Iterator[Body]:
    yield from ({"type": "identify", "userId": f"u{i}", "traits": {"email": "shop@example.org"}} for i in range(n))


def _shared_tablet(n: int) -> Iterator[Body]:
    yield from ({"userId": f"u{i}", "anonymousId": "tablet"} for i in range(n))


def _late(n: int) -> Iterator[Body]:
    chance = Random(1)
    order = list(range(n))
    chance.shuffle(order)
    for i in order:
        yield {"anonymousId": "tablet", "at": i} | ({"userId": f"u{i}"} if chance.random() < 0.5 else {})
