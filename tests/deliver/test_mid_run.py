"""In the middle of a long run: who withdraws, is erased, is cut off or is suppressed gets nothing more from then on."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deliver.receiver import Request, receiver, reply, telling
from tests.deliver.shop import Shop
from tillit.clock import now_us

N_PEOPLE = 60
LETTER = {
    "template": "letter",
    "purpose": "newsletter",
    "class": "marketing",
    "destination": "letters",
    "body": {"mail": "{{ profile.identifiers.email }}"},
}
# `make crash` queues many.
N_QUEUED = 100_000 if "TILLIT_CRASH_ROUNDS" in os.environ else 3_000


class Taken:
    """What a receiver took: by profile id, what and how many requests had come before it."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.keys: dict[str, str] = {}  # of an event there, whose it is
        self.n = 0

    def answer(self, request: Request) -> bytes:
        told = request.document
        data = told["data"]
        who = data["fields"]["id"] if "fields" in data and "id" in data["fields"] else data.get("id", "")
        if told["type"] == "event":
            self.keys[data["key"]] = who
        if told["type"] == "event.removed":
            who = self.keys[data["key"]]
        if told["type"] == "message":
            who = data["fields"]["mail"]
        self.of[who].append((told["type"], self.n))
        self.n += 1
        return reply(200)

    def after(self, who: str, n: int, kind: str) -> int:
        """Count what of a kind came for somebody after so many requests."""
        return sum(1 for one, at in self.of[who] if one == kind and at >= n)

    def there(self, who: str, kind: str) -> int:
        return sum(1 for one, _ in self.of[who] if one == kind)


def profile_id(shop: Shop, number: int) -> str:
    return str(shop.profile(number)["id"])


async def run_with_changes(shop: Shop, taken: Taken, n: int, changes: list[Callable[[], str]]) -> list[tuple[str, int]]:
    """Queue `n` events, and let the changes happen while they leave; give whom each was about, and when it counted."""
    async with receiver(telling(taken.answer)) as far:
        shop.destination("orders", far.url, "events", events=["Order Completed"])
        shop.destination("people", far.url, "people")
        shop.destination("letters", far.url, "messages")
        shop.apply(LETTER)
        shop.people(range(N_PEOPLE))
        await shop.carry()
        for start in range(0, n, 5_000):
            shop.ws.append(
                [
                    {
                        "type": "track",
                        "userId": f"u{i % N_PEOPLE}",
                        "event": "Order Completed",
                        "properties": {"total": i},
                    }
                    for i in range(start, min(n, start + 5_000))
                ]
            )
            shop.ws.folding.reach(shop.ws.log.head(), 60)
        for number in range(N_PEOPLE):
            shop.ws.deliveries.send("letter", f"user_id:u{number}", {}, key=f"l{number}")
        shop.ws.flush()
        before, store = taken.n, shop.ws.deliveries.queue.store
        working = asyncio.create_task(shop.carry())
        applied: list[tuple[str, int]] = []
        for i, change in enumerate(changes, 1):
            while taken.n < before + n * i // (len(changes) + 2):
                await asyncio.sleep(0.001)
                assert not working.done()
            who = change()
            at = shop.ws.now()
            open_ones = "SELECT 1 FROM attempt WHERE ended_at IS NULL AND begun_at <= ?"
            while store.read(open_ones, (at,)):  # noqa: ASYNC110 -- no event tells of it
                await asyncio.sleep(0.001)  # what was on the wire right then arrives
            applied.append((who, taken.n))
        await working
    return applied


@pytest.mark.slow
@pytest.mark.crash
def test_after_it_counts_nothing_more_leaves_and_what_left_is_taken_back(workspace_dir: Path) -> None:
    n = N_QUEUED
    with Shop(workspace_dir) as shop:
        taken = Taken()

        def withdraw(number: int) -> Callable[[], str]:
            def change() -> str:
                who = profile_id(shop, number)
                shop.say(number, "withdrawn")
                return who

            return change

        def erase(number: int) -> Callable[[], str]:
            def change() -> str:
                who = profile_id(shop, number)
                shop.ws.erasure.erase(f"user_id:u{number}")
                return who

            return change

        changes = [withdraw(1), erase(2), withdraw(3), erase(4)]
        applied = asyncio.run(run_with_changes(shop, taken, n, changes))

        for who, at in applied:
            assert taken.there(who, "event") > 0, "it was not in the middle of a run"
            assert taken.after(who, at, "event") == 0
            assert taken.after(who, at, "person.upserted") == 0
            assert taken.there(who, "event.removed") == taken.there(who, "event")
            assert taken.there(who, "person.removed") == 1
        n_rest = sum(taken.there(profile_id(shop, i), "event") for i in range(N_PEOPLE) if i not in (1, 2, 3, 4))
        assert n_rest == sum(1 for i in range(n) if i % N_PEOPLE not in (1, 2, 3, 4))
        # What the receiver said to each removal is in the journal.
        for who, _ in applied[::2]:
            records = shop.ws.deliveries.queue.copies.list_of([who])
            assert {record.state for record in records} - {""} == {"removed"}  # empty: it never left
            removals = shop.ws.deliveries.queue.store.read(
                "SELECT outcome, code FROM attempt WHERE subject_ref = ? AND what = 'remove'", (who,)
            )
            assert set(removals) == {("delivered", "http.200")}
            assert len(removals) == taken.there(who, "event") + 1


def test_a_suppression_in_the_middle_stops_what_waits(workspace_dir: Path) -> None:
    with Shop(workspace_dir) as shop:
        taken = Taken()

        def suppress(number: int) -> Callable[[], str]:
            def change() -> str:
                shop.ws.deliveries.suppressions.add(
                    "person", profile_id(shop, number), "operator", source="cli", at=now_us(), by="kim"
                )
                shop.ws.deliveries.send("letter", f"user_id:u{number}", {}, key=f"late{number}")
                return f"u{number}@example.org"

            return change

        applied = asyncio.run(run_with_changes(shop, taken, 600, [suppress(N_PEOPLE - 1), suppress(N_PEOPLE - 2)]))

        for who, at in applied:
            assert taken.after(who, at, "message") == 0
        codes = {one.code for one in shop.ws.deliveries.queue.history.list_newest(states=["withheld"])}
        assert "suppressed_operator" in codes


def test_records_follow_people_who_become_one_and_part(workspace_dir: Path) -> None:
    with Shop(workspace_dir) as shop:
        taken = Taken()

        async def scenario() -> tuple[list[str], list[str], list[str]]:
            async with receiver(telling(taken.answer)) as far:
                shop.destination("people", far.url, "people")
                shop.people(range(2))
                await shop.carry()
                apart = there(taken)
                shop.ws.identity.join("user_id:u0", "user_id:u1", reason="one", operator="kim")
                await shop.carry()
                together = there(taken)
                decisions = shop.ws.identity.decisions("user_id:u0", shop.ws.own_scope())
                assert decisions
                shop.ws.identity.undo(decisions[0]["action"], reason="two", operator="kim")
                await shop.carry()
                return apart, together, there(taken)

        apart, together, again = asyncio.run(scenario())

        assert len(apart) == 2
        assert len(together) == 1
        assert set(together) < set(apart)
        assert again == apart == sorted(profile_id(shop, i) for i in range(2))


def there(taken: Taken) -> list[str]:
    """Give whom the receiver has now."""
    last = {who: told[-1][0] for who, told in taken.of.items()}
    return sorted(who for who, kind in last.items() if kind == "person.upserted")
