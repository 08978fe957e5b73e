"""What leaves, leaves once: through rebuilds, restored logs, late events, two couriers, and any cut of the log."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.far_end import FarEnd
from tests.deliver.receiver import Receiver, receiver, reply, telling
from tests.deliver.shop import Shop
from tests.laws.folding import Folded, new_fold
from tests.strategies import NOON, cuts, place, row
from tillit.clock import DAY, now_us, rfc3339
from tillit.deliver import SOURCE, TO_FORWARD, TO_SEND, definition_row
from tillit.flow import Fold
from tillit.records import TRUST_OPERATOR, LogRow
from tillit.workspace import Workspace


def totals(far: Receiver) -> Counter[Any]:
    """Count the orders that a receiver had, by what each says of itself."""
    told = [one.document["data"] for one in far.requests if one.document["type"] == "event"]
    return Counter(one["fields"]["total"] for one in told)


def carried(workspace: Path, scenario: Callable[[Path, Receiver], Any]) -> Receiver:
    """Let a scenario play with a receiver that takes everything."""

    async def run() -> Receiver:
        async with receiver(telling(lambda _request: reply(200))) as far:
            with Shop(workspace) as shop:
                shop.destination("orders", far.url, "events", events=["Order Completed"])
                shop.people(range(3))
            await scenario(workspace, far)
            return far

    return asyncio.run(run())


async def a_round(workspace: Path, *numbers: int) -> None:
    """Let these be bought, and what is due leave."""
    with Shop(workspace) as shop:
        for number in numbers:
            shop.buy(number % 3, total=number)
        await shop.carry()


def test_a_rebuild_sends_nothing_and_loses_nothing(workspace_dir: Path) -> None:
    async def scenario(workspace: Path, _far: Receiver) -> None:
        await a_round(workspace, 1, 2, 3)
        with Workspace(workspace) as ws:
            ws.folding.leave_to_others()
            for number in (4, 5):  # taken, and never folded before the rebuild
                ws.track(user_id="u1", event="Order Completed", properties={"total": number})
        with Workspace(workspace) as ws:
            ws.folding.rebuild()
        await a_round(workspace)

    assert totals(carried(workspace_dir, scenario)) == Counter({1: 1, 2: 1, 3: 1, 4: 1, 5: 1})


def test_a_log_that_was_restored_resends_nothing_and_what_comes_after_it_leaves(workspace_dir: Path) -> None:
    async def scenario(workspace: Path, _far: Receiver) -> None:
        await a_round(workspace, 1, 2)
        backup = workspace.parent / "backup.db"
        with apsw.Connection(str(workspace / "log.db")) as log:
            log.pragma("wal_checkpoint(TRUNCATE)")
        shutil.copy(workspace / "log.db", backup)
        await a_round(workspace, 3, 4, 5, 6)

        for end in ("", "-wal", "-shm"):
            (workspace / f"log.db{end}").unlink(missing_ok=True)
        shutil.copy(backup, workspace / "log.db")
        with apsw.Connection(str(workspace / "log.db")) as log:
            log.execute("UPDATE log_head SET epoch = epoch + 1")
        with Workspace(workspace) as ws:
            ws.folding.rebuild()
        # More come than were lost, before any courier looks.
        await a_round(workspace, *range(10, 20))

    assert totals(carried(workspace_dir, scenario)) == Counter([1, 2, 3, 4, 5, 6, *range(10, 20)])


def test_an_event_of_long_ago_or_of_a_file_is_not_sent(workspace_dir: Path) -> None:
    async def scenario(workspace: Path, _far: Receiver) -> None:
        told = {"type": "track", "userId": "u1", "event": "Order Completed"}
        with Shop(workspace) as shop:
            shop.ws.append([{**told, "properties": {"total": 1}, "timestamp": rfc3339(now_us() - 2 * DAY)}])
            library = {"context": {"library": {"name": "tillit-import"}}}
            shop.ws.append([{**told, **library, "properties": {"total": 2}}])
            shop.ws.append([{**told, "properties": {"total": 3}, "timestamp": rfc3339(now_us() - DAY // 2)}])
            await shop.carry()

    assert totals(carried(workspace_dir, scenario)) == Counter([3])


def test_a_definition_that_changes_in_the_middle_of_a_run_loses_and_doubles_nothing(workspace_dir: Path) -> None:
    async def run() -> tuple[Counter[Any], Counter[Any]]:
        async with (
            receiver(telling(lambda _request: reply(200))) as far,
            receiver(telling(lambda _request: reply(200))) as other,
        ):
            with Shop(workspace_dir) as shop:
                shop.destination("orders", far.url, "events", events=["Order Completed"])
                shop.people(range(3))
                for number in range(300):
                    shop.buy(number % 3, total=number)
                working = asyncio.create_task(shop.carry())
                while len(far.requests) < 50:  # noqa: ASYNC110 -- the receiver has no event for it
                    await asyncio.sleep(0.001)
                shop.destination("orders", other.url, "events", events=["Order Completed"])
                await working
            return totals(far), totals(other)

    before, after = asyncio.run(run())

    assert before + after == Counter(range(300))
    assert before.total() >= 50
    assert after.total() > 0


# -- two couriers


_PAUSED = """
import asyncio, os, signal, sys
from pathlib import Path
from tillit.workspace import Workspace
def at_step(step):
    if step == sys.argv[2] and not os.path.exists(sys.argv[3]):
        open(sys.argv[3], "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
with Workspace(Path(sys.argv[1])) as ws:
    ws.folding.leave_to_others()
    asyncio.run(ws.deliveries.courier("one", at_step=at_step).run(until_idle=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["gate passed", "attempt begun"])
def test_a_courier_that_slept_through_its_lease_sends_and_writes_nothing(workspace_dir: Path, step: str) -> None:
    with FarEnd("http", workspace_dir.parent / "far") as far, Shop(workspace_dir) as shop:
        shop.destination("orders", f"http://127.0.0.1:{far.port}/", "events", events=["Order Completed"])
        shop.people(range(3))
        for number in range(20):
            shop.buy(number % 3, total=number)
        shop.ws.flush()
        marker = workspace_dir.parent / "stopped"
        one = subprocess.Popen([sys.executable, "-c", _PAUSED, str(workspace_dir), step, str(marker)])
        os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        store = shop.ws.deliveries.queue.store
        held = store.read("SELECT delivery_id, fence FROM delivery WHERE state = 'claimed' AND courier = 'one'")
        assert held

        while store.read("SELECT 1 FROM delivery WHERE state = 'claimed' AND lease_until > ?", (now_us(),)):
            time.sleep(0.05)
        asyncio.run(shop.carry("two"))
        while store.read("SELECT 1 FROM delivery WHERE state = 'waiting'"):
            # What may have been on the wire goes again after its pause.
            time.sleep(0.1)
            asyncio.run(shop.carry("two"))
        before, rows = far.taken(), store.read("SELECT * FROM delivery ORDER BY delivery_id")
        one.send_signal(signal.SIGCONT)
        assert one.wait(60) == 0

        assert far.taken() == before
        assert store.read("SELECT * FROM delivery ORDER BY delivery_id") == rows
        assert Counter(number for _, _, number in before) == Counter(map(str, range(20)))
        assert max(Counter(told.delivery for told in shop.disclosures()).values()) == 1


# -- any cut of the log


def _log() -> list[LogRow]:
    destination = (
        '{"destination": "orders", "kind": "webhook", "purpose": "service", "send": "events", "to": {}, '
        '"events": ["Order Completed"], "fields": {"id": "profile.id"}}'
    )
    rows = [
        LogRow(
            1,
            0,
            *definition_row("destination", "orders", destination, operator="kim", reason="", message_id="d", now=NOON),
        )
    ]
    for n in range(2, 40):
        body: dict[str, Any] = {
            "type": "track",
            "event": "Order Completed" if n % 3 else "Seen",
            "messageId": f"m{n % 30}",
        }
        body |= {"userId": f"u{n % 4}"} if n % 5 else {"anonymousId": f"d{n % 4}"}
        if n % 7 == 0:
            body = {"type": "identify", "userId": f"u{n % 4}", "anonymousId": f"d{n % 4}", "messageId": f"i{n}"}
        if n % 11 == 0:
            body |= {"type": "track", "event": "Message Requested", "properties": {}}
        one = row(n, body, at=n, message=n % 30)
        rows.append(one._replace(source=SOURCE, trust=TRUST_OPERATOR) if n % 11 == 0 else one)
    return place(rows)


def _outbox(folded: Folded) -> tuple[list[Any], set[int]]:
    """Give what is to be sent, and who is to be looked at."""
    rows = folded.state.read("SELECT position, work, destination, identifier_id, message_hash FROM outbox")
    sent = sorted(one for one in rows if one[1] in (TO_SEND, TO_FORWARD))
    return sent, {int(one[3]) for one in rows}


def _folded(parts: list[list[LogRow]], taken: int) -> tuple[list[Any], set[int]]:
    with new_fold() as folded:
        log = {one.position: one for part in parts for one in part}
        folded.fold = Fold(folded.state, lambda positions: {p: log[p] for p in positions if p in log}, taken=taken)
        for part in parts:
            if part:
                folded.fold.apply(part)
        return _outbox(folded)


@given(where=cuts(n=39), taken=st.integers(0, 39))
def test_the_outbox_is_the_same_for_any_cut_of_the_log_and_holds_nothing_that_was_taken(
    where: list[slice], taken: int
) -> None:
    rows = _log()
    whole, _ = _folded([rows], 0)

    sent, followed = _folded([rows[part] for part in where], taken)

    assert sent == [one for one in whole if one[0] > taken]
    assert len({(one[0], one[1], one[2]) for one in sent}) == len(sent)
    if taken == 0:
        _, one_by_one = _folded([[one] for one in rows], 0)
        assert followed == one_by_one
