"""Erasure: how long it takes to erase one person of a large workspace, and to verify that nothing of them is left."""

import sys
import time
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import msgspec

from bench.figure import Figure
from tillit.flow import quiet_garbage_collector
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow
from tillit.store.lake import Lake
from tillit.workspace import Workspace, create_workspace

_NOW = 1_760_000_000_000_000
_SECOND = 1_000_000
_BLOCK = 20_000
_PER_PERSON = 50  # events: a customer's year
_ANA = "customer-ana"


def erase(folder: Path, *, n_events: int = 1_000_000, n_theirs: int = 300) -> list[Figure]:
    """Erase one person whose events are spread over all of history, and verify."""
    make_history(folder, n_events=n_events, n_theirs=n_theirs)
    with Workspace(folder) as ws:
        ws.flush()
        began = time.perf_counter()
        ws.erasure.erase(f"user_id:{_ANA}")
        seconds = time.perf_counter() - began
    with Workspace(folder) as ws:
        began = time.perf_counter()
        found = ws.erasure.verify(f"user_id:{_ANA}")
        verified = time.perf_counter() - began
    note = f"{n_theirs:,} events of theirs among {n_events:,}; {len(found)} found afterwards"
    return [
        Figure("erase one person, verified where they were", seconds, "s", 10, False, "none", None, note),
        Figure("decode and look through everything for them", verified, "s", 600, False, "none", None, note),
    ]


def make_history(folder: Path, *, n_events: int, n_theirs: int) -> None:
    """Make a workspace with a past: the log, its state and its lake."""
    create_workspace(folder)
    random = Random(1)
    every = max(n_events // n_theirs, 1)
    with Workspace(folder) as ws, quiet_garbage_collector(), ws.state.hurried():
        for start in range(0, n_events, _BLOCK):
            rows = [_row(i, random, every) for i in range(start, min(start + _BLOCK, n_events))]
            ws.log.append(rows, now=None)
            ws.folding.engine().catch_up()
        ws.folding.write_lake()
        with Lake.open(ws.paths.lake) as lake:
            lake.compact()  # as the keeper does


def _row(number: int, random: Random, every: int) -> NewRow:
    at = _NOW + number * _SECOND
    who = _ANA if number % every == every // 2 else f"customer-{int(random.random() * number / _PER_PERSON):07d}"
    body: dict[str, Any] = {
        "type": "track" if number % 10 else "identify",
        "messageId": f"message-{number:012d}",
        "userId": who,
        "anonymousId": f"browser-of-{who}",
        "event": "Product Viewed",
        "properties": {"product": f"p-{int(random.random() * 5_000)}", "price": 1_999, "url": "https://shop.example/p"},
        "context": {"page": {"path": "/p", "title": "A product"}, "locale": "en"},
        "originalTimestamp": "2026-01-01T00:00:00Z",
        "receivedAt": "2026-01-01T00:00:01Z",
    }
    if number % 10 == 0:
        body["traits"] = {"email": f"{who}@example.org", "name": f"{who} Ek"}
    return NewRow(KIND_EVENT, "shop", TRUST_SERVER, at, at, number.to_bytes(16, "big"), msgspec.json.encode(body))


if __name__ == "__main__":  # `python -m bench.erasure 10000000`
    place = Path(mkdtemp(prefix="tillit-bench-"))
    try:
        for figure in erase(place / "shop", n_events=int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
            print(figure.line())
    finally:
        rmtree(place, ignore_errors=True)
