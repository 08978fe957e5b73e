"""Audiences: what they cost the fold, how soon somebody is in one, how long a new one takes over all of history."""

import json
import time
from pathlib import Path
from typing import Any

from bench.figure import Figure
from tillit.audience import definition_row
from tillit.flow import quiet_garbage_collector
from tillit.records import LogRow, NewRow
from tillit.store import Log
from tillit.workspace import Workspace

N_EVENTS = 120_000
_NOW = 1_795_000_000_000_000
_NAMES = ("Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed")
_WINDOWS = ("30m", "1d", "7d", "30d", "90d", "365d")


def definitions(n: int) -> list[dict[str, Any]]:
    """Make audiences as shops have them: half with a window, a tenth sequences, the rest of all time or of traits."""
    return [{"audience": f"a{number}", "purpose": "service", "definition": _definition(number)} for number in range(n)]


def _definition(number: int) -> dict[str, Any]:
    name, window = _NAMES[number % 5], _WINDOWS[number // 5 % 6]
    other = _NAMES[(number + 2) % 5]
    match number % 10:
        case 0 | 1 | 2 | 3 | 4:
            told: dict[str, Any] = {"event": name, "within": window, "count": {"at_least": 2 + number // 30 % 5}}
            if number % 20 < 10:
                return told
            return {"all": [told, {"event": other, "within": "30d", "count": 0}]}
        case 5:
            steps = [{"event": name}, {"event": other, "within": "2d"}]
            return {"sequence": {"steps": steps, "within": window if window != "365d" else "90d", "same": "sku"}}
        case 6:
            return {"event": name, "sum": {"of": "price", "at_least": 100 + number}}
        case 7:
            return {"event": name, "where": {"position": {"greater": number % 30}}, "count": {"at_least": 3}}
        case 8:
            return {"all": [{"trait": "plan", "equals": "regular"}, {"event": name}]}
    return {"first_time": {"event": name, "within": window}}


def folding(folder: Path, n_audiences: int, *, n_events: int = N_EVENTS) -> tuple[float, float, str]:
    """Fold events with so many audiences in force, as an engine does; give events a second, with and without them."""
    rates = []
    notes = ""
    for n in (0, n_audiences):
        with Workspace(folder) as ws:
            if n:
                rows = [
                    definition_row(
                        "audience", one["audience"], json.dumps(one), operator="b", reason="",
                        message_id=one["audience"], now=_NOW - 1,
                    )
                    for one in definitions(n)
                ]  # fmt: skip
                ws.append_rows(rows)
                ws.flush()
            log = Log.open(folder.parent / "filled" / "log.db", read_only=True)
            engine = ws.folding.engine()
            with quiet_garbage_collector():
                seconds = 0.0
                after = 0
                while after < n_events:
                    rows_ = log.read(after, 5_000)
                    after = rows_[-1].position
                    ws.log.append([_new(one) for one in rows_], now=ws.now())
                    began = time.perf_counter()
                    while engine.step():
                        pass
                    while engine.keep_audiences():
                        pass
                    seconds += time.perf_counter() - began
            rates.append(n_events / seconds)
            log.close()
            n_members = sum(one.n_members for one in ws.memberships.standings().values())
            size = ws.state.read("SELECT count(*), sum(length(document)) FROM tape")[0]
            notes = f"{n_members:,} memberships, {size[0]:,} tapes of {size[1] or 0:,} bytes"
        for file in folder.glob("*"):
            if file.is_file() and file.name != "tillit.toml":
                file.unlink()
    return rates[1], rates[0], notes


def _new(row: LogRow) -> NewRow:
    return NewRow(*row[2:-1], row.body or b"")


def cost(folder: Path, n_audiences: int) -> list[Figure]:
    """Say how many events a second are folded and judged."""
    rate, plain, note = folding(folder, n_audiences)
    return [
        Figure(
            f"fold and judge with {n_audiences:,} audiences",
            rate,
            "events/s",
            20_000,
            True,
            "the same without audiences",
            plain,
            note,
        )
    ]
