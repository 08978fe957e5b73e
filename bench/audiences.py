"""Audiences: what they cost the fold, how soon somebody is in one, how long a new one takes over all of history."""

import json
import time
from pathlib import Path
from random import Random
from typing import Any

from bench.figure import Figure
from bench.traffic import Visits
from tillit.audience import definition_row
from tillit.clock import DAY, rfc3339
from tillit.collect.door import take
from tillit.flow import quiet_garbage_collector
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


def filled_log(folder: Path) -> None:
    """Fill a log with what a shop of 20,000 people has: ninety days, and then what comes at the moment."""
    create_workspace(folder)
    visits = Visits(Random(7), N_PEOPLE, "filled")
    with Workspace(folder) as ws:
        log = Log.open(folder / "log.db", synchronous="OFF")
        n_all = N_BEFORE + N_EVENTS
        for start in range(0, n_all, _AT_ONCE):
            ago = max(0, N_BEFORE - start) * 90 * DAY // N_BEFORE
            then = rfc3339(_NOW - ago)
            taken = take(
                [visits.event(then) for _ in range(min(_AT_ONCE, n_all - start))],
                route_type=None, source="web", trust=TRUST_CLAIMED, received_at=_NOW, limits=ws.limits,
            )  # fmt: skip
            log.append(taken.rows, now=_NOW)
        log.close()


def folding(folder: Path, n_audiences: int) -> tuple[float, str]:
    """Fold events with so many audiences in force, as an engine does; give events a second of those of the moment."""
    create_workspace(folder)
    with Workspace(folder) as ws:
        ws.append_rows(
            [definition_row("audience", one["audience"], json.dumps(one), operator="b", reason="",
                           message_id=one["audience"], now=_NOW - 1)
             for one in definitions(n_audiences)]
        )  # fmt: skip
        ws.flush()
        engine = ws.folding.engine()
        log = Log.open(folder.parent / "filled" / "log.db", read_only=True)
        with quiet_garbage_collector():
            after, seconds, n_before = 0, 0.0, 0
            while after < N_BEFORE + N_EVENTS:
                rows = log.read(after, _AT_ONCE)
                after = rows[-1].position
                ws.log.append([_new(one) for one in rows], now=ws.now())
                began = time.perf_counter()
                while engine.step():
                    pass
                while engine.keep_audiences():
                    pass
                if after > N_BEFORE:
                    seconds += time.perf_counter() - began
                else:
                    n_before = ws.memberships.last_change_id()
        log.close()
        n_changes = ws.memberships.last_change_id() - n_before
        n_members = sum(one.n_members for one in ws.memberships.standings().values())
        n_tapes, n_bytes = ws.state.read("SELECT count(*), coalesce(sum(length(document)), 0) FROM tape")[0]
        n_people = ws.state.read("SELECT count(*) FROM identifier WHERE identifier_id = root_id")[0][0]
    note = (
        f"{n_changes / N_EVENTS:.1f} memberships change per event, {n_members:,} there are; "
        f"{n_tapes / n_people:.0f} tapes of {n_bytes / n_people:,.0f} bytes together for each of {n_people:,} people"
    )
    return N_EVENTS / seconds, note


def _new(row: LogRow) -> NewRow:
    return NewRow(*row[2:-1], row.body or b"")


def cost(n_audiences: int, folder: Path) -> list[Figure]:
    """Say how many events a second are folded and judged, in a shop with a history."""
    filled_log(folder / "filled")
    plain, _ = folding(folder / "without", 0)
    rate, note = folding(folder / "with", n_audiences)
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
