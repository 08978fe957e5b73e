"""Deliver: how fast things leave, what asking for them costs the fold, how soon nothing of somebody leaves any more."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench.baselines import only_answers
from bench.figure import Figure, percentile
from tillit.consent import Choice
from tillit.deliver import definition_row, keep_delivery
from tillit.flow import Fold, quiet_garbage_collector
from tillit.records import LogRow
from tillit.store import Log, SqliteState
from tillit.workspace import Workspace, create_workspace

_NOW = 1_795_000_000_000_000
_AT_ONCE = 8
_PURPOSES = """
recipients: {crm: {name: CRM Ltd, country: SE}}
notices: {letters: {version: "1", language: en, text: Letters., effective_from: 2020-01-01}}
purposes:
  service: {title: Service, basis: contract, fields: all}
  newsletter: {title: Newsletter, basis: consent, fields: all, recipients: [crm], notice: letters}
"""
_FIELDS = {"mail": "identifiers.email", "city": "traits.city", "total": "properties.total"}


def _shop(folder: Path, port: int, *, n_people: int) -> Workspace:
    """Make a shop whose people agreed, and that sends each order to a receiver."""
    create_workspace(folder)
    (folder / "tillit.toml").write_text('[deliver]\nallow_private = ["127.0.0.1"]\n', encoding="utf-8")
    ws = Workspace(folder)
    ws.consent.apply(_PURPOSES, operator="bench", reason="")
    told: dict[str, Any] = {
        "destination": "orders",
        "kind": "webhook",
        "purpose": "newsletter",
        "recipient": "crm",
        "send": "events",
    }
    told |= {"to": {"url": f"http://127.0.0.1:{port}/"}, "events": ["Order Completed"], "fields": _FIELDS}
    ws.deliveries.apply(json.dumps(told), reason="", operator="bench")
    _append(ws, [_known(number) for number in range(n_people)])
    _append(ws, [_agreed(number) for number in range(n_people)])
    return ws


def _known(number: int) -> dict[str, Any]:
    traits = {"email": f"u{number}@example.org", "city": f"city {number % 50}"}
    return {"type": "identify", "userId": f"u{number}", "traits": traits}


def _agreed(number: int) -> dict[str, Any]:
    said = {"purposes": {"newsletter": True}}
    return {"type": "track", "event": "Consent Updated", "userId": f"u{number}", "properties": said}


def _order(number: int, n_people: int) -> dict[str, Any]:
    who = f"u{number % n_people}"
    return {"type": "track", "event": "Order Completed", "userId": who, "properties": {"total": number}}


def _append(ws: Workspace, messages: list[dict[str, Any]]) -> None:
    for start in range(0, len(messages), 5_000):
        ws.append(messages[start : start + 5_000])
        ws.folding.reach(ws.log.head(), 60)


# -- how fast


def webhooks(folder: Path, *, n: int = 10_000, n_people: int = 2_000) -> list[Figure]:
    """Deliver events to a receiver in a process of its own: gate, attempt, wire, outcome and ledger."""
    with only_answers() as port:
        plain = asyncio.run(_plain_posts(port, n))
        with _shop(folder, port, n_people=n_people) as ws:
            asyncio.run(ws.deliveries.courier("courier").run(until_idle=True))
            _append(ws, [_order(number, n_people) for number in range(n)])
            began = time.perf_counter()
            cpu = time.process_time()
            asyncio.run(ws.deliveries.courier("courier").run(until_idle=True))
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            n_delivered = ws.deliveries.queue.history.counts("orders").get("delivered", 0)
            n_told = ws.ledger.size()
    note = f"{n_delivered:,} delivered, {n_told:,} in the ledger, {n / seconds:,.0f}/s; {cpu:.1f} s of processor time"
    baseline = "the same client posting alone"
    return [Figure(f"{n:,} webhook deliveries, one courier", seconds, "s", 20, False, baseline, plain, note)]


async def _plain_posts(port: int, n: int) -> float:
    """Post as many bodies as long, as many at once, with the client that couriers use."""
    body = msgspec.json.encode({"type": "event", "id": "0" * 32, "data": {"fields": dict.fromkeys(_FIELDS, "x" * 16)}})
    left = iter(range(n))

    async def post_all(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(f"http://127.0.0.1:{port}/", data=body) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_AT_ONCE)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(post_all(session) for _ in range(_AT_ONCE)))
        return time.perf_counter() - began


# -- what it costs the fold

_DESTINATIONS = {
    "people": {"send": "people", "fields": {"mail": "identifiers.email"}},
    "orders": {"send": "events", "events": ["Order Completed"], "fields": _FIELDS},
}


def outbox(folder: Path, fill: Callable[[Path, int, int], None], *, n_events: int = 100_000) -> list[Figure]:
    """Fold the same events with and without destinations, micro-batch by micro-batch in turn. `fill` makes the log."""
    fill(folder, n_events, 20_000)
    log = Log.open(folder / "log.db", read_only=True)
    folds = {name: _fold(folder, log, name) for name in ("none", *_DESTINATIONS)}
    took: dict[str, list[float]] = {name: [] for name in folds}
    with quiet_garbage_collector():
        while rows := log.read(folds["none"].position, 5_000):
            for name, fold in folds.items():
                began = time.process_time()
                fold.apply(rows)
                took[name].append(time.process_time() - began)
    log.close()
    plain = took["none"]
    figures = []
    for name in _DESTINATIONS:
        ratios = sorted(one / other for one, other in zip(took[name], plain, strict=True))
        n_rows = folds[name].state.read("SELECT count(*) FROM outbox")[0][0]
        cost = sum(plain) / n_events * 1e6
        note = f"median of {len(ratios)} micro-batches; {n_rows:,} rows for {n_events:,} events; {cost:.1f} µs without"
        figures.append(
            Figure(
                f"cost of the fold with a destination of {name}",
                ratios[len(ratios) // 2],
                "times",
                1.1,
                False,
                "the same fold without",
                None,
                note,
            )
        )
    for fold in folds.values():
        fold.state.close()
    return figures


def _fold(folder: Path, log: Log, name: str) -> Fold:
    state = SqliteState(folder / f"fold-{name}.db")
    Fold(state, log.get)  # it makes the tables
    if name in _DESTINATIONS:
        told = {"destination": name, "kind": "webhook", "purpose": "service", "to": {}, **_DESTINATIONS[name]}
        row = definition_row(
            "destination", name, json.dumps(told), operator="bench", reason="", message_id="d", now=_NOW
        )
        with state.transaction() as tx:
            keep_delivery(tx, LogRow(0, _NOW, *row))
    return Fold(state, log.get, taken=0 if name in _DESTINATIONS else None)


# -- how soon nothing leaves any more


def withdrawals(folder: Path, *, n: int = 100_000, n_people: int = 100, n_withdrawn: int = 100) -> list[Figure]:
    """With so many queued: from asking for a withdrawal until the last thing of that person arrives.

    They are written down by another process, which also folds.
    """
    return asyncio.run(_withdrawals(folder, n, n_people, n_withdrawn))


async def _withdrawals(folder: Path, n: int, n_people: int, n_withdrawn: int) -> list[Figure]:
    ourselves = (sys.executable, "-m", "bench.deliver")
    receiver = await asyncio.create_subprocess_exec(
        *ourselves, "receive", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert receiver.stdout is not None
    port = int(await receiver.stdout.readline())
    with _shop(folder, port, n_people=n_people) as ws:
        _append(ws, [_order(number, n_people) for number in range(n)])
        ws.folding.release()
        ws.folding.leave_to_others()
        courier = ws.deliveries.courier("courier")
        working = asyncio.create_task(courier.run())
        await asyncio.sleep(1)
        withdrawing = await asyncio.create_subprocess_exec(
            *ourselves, "withdraw", str(folder), str(n_withdrawn), stdout=subprocess.PIPE
        )
        printed, _ = await withdrawing.communicate()
        await asyncio.sleep(2)
        courier.stop()
        await working
        counts = ws.deliveries.queue.history.counts("orders")
    asked: dict[str, float] = json.loads(printed)
    told, _ = await receiver.communicate(b"")
    arrived: dict[str, float] = json.loads(told)
    took = [max(0.0, arrived.get(who, at) - at) * 1_000 for who, at in asked.items()]
    n_later = sum(one > 0 for one in took)
    note = f"{len(took)} withdrawals; of {n_later} something came after they were asked for; {counts}"
    name = f"withdrawal to last delivery with {n:,} queued, p99"
    return [Figure(name, percentile(took, 0.99), "ms", 1_000, False, "none", None, note)]


async def _receive() -> None:
    """Answer every request until nobody listens; then tell when the last thing of each person came, by address."""
    arrived: dict[str, float] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = head.lower().find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                told = msgspec.json.decode(await reader.readexactly(length))
                if told["type"] == "event":
                    arrived[told["data"]["fields"]["mail"]] = time.monotonic()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(arrived))


def _withdraw(folder: Path, n: int) -> dict[str, float]:
    """Withdraw for so many people, one after the other; give when each was asked for."""
    asked: dict[str, float] = {}
    with Workspace(folder) as ws:
        ws.folding.engine()
        for number in range(n):
            asked[f"u{number}@example.org"] = time.monotonic()
            ws.consent.set(f"user_id:u{number}", [Choice("newsletter", "withdrawn")])
            time.sleep(0.05)
    return asked


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        asyncio.run(_receive())
    else:
        print(json.dumps(_withdraw(Path(sys.argv[2]), int(sys.argv[3]))))
