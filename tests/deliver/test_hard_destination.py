"""A destination that is hard to live with ends with what it should have: no more, no less, and the newest of each."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deliver.receiver import Request, receiver, reply
from tests.deliver.shop import Shop
from tests.deliver.test_ledger_equals_captures import Hasty

N_PEOPLE = 8
FATES = ["ok", "rejected", "later", "throttled", "broken", "late", "lie-count", "lie-missing", "lie-twice"]
steps = st.lists(
    st.tuples(st.sampled_from(["say", "say", "say", "withdrawn", "given", "carry"]), st.integers(0, N_PEOPLE - 1)),
    min_size=5,
    max_size=25,
)


class Hard:
    """It keeps what it takes by id, compares keys as it should, and answers as it likes."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.is_tame = False
        self.kept: dict[str, Any] = {}
        self.refused: set[str] = set()  # an id whose newest it refused
        self._seen: set[str] = set()

    def _take(self, item: dict[str, Any]) -> None:
        if item["id"] in self._seen:
            return
        self._seen.add(item["id"])
        who = item["data"]["id"]
        if item["type"] == "person.removed":
            self.kept.pop(who, None)
        else:
            self.kept[who] = item["data"]["fields"]
        self.refused.discard(who)

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        items = request.document["items"]
        fate = "ok" if self.is_tame else self._chance.choice(FATES)
        results = []
        if fate in ("throttled", "broken"):
            writer.write(reply(429, Retry_After="2") if fate == "throttled" else reply(503))
            return
        for item in items:
            each = fate if fate in ("rejected", "later") and self._chance.random() < 0.5 else "ok"
            if each == "rejected" and item["type"] == "person.removed":
                each = "later"  # what it is asked to remove it must not keep: a receiver may put it off
            if each == "ok":
                self._take(item)
            if each == "rejected":
                self.refused.add(item["data"]["id"])
            results.append({"id": item["id"], "status": each})
        if fate == "late":
            writer.close()  # it has applied all, and says nothing
            return
        told: dict[str, Any] = {"results": results}
        if fate == "lie-count":
            told["accepted"] = len(results) + 1
        if fate == "lie-missing":
            told["results"] = results[1:]
        if fate == "lie-twice":
            told["results"] = results + results[:1]
        writer.write(reply(200, json.dumps(told)))
        await writer.drain()


async def go_through(shop: Shop, hard: Hard, hasty: Hasty, asked: list[tuple[str, int]]) -> None:
    async with receiver(hard) as far:
        hurrying = asyncio.create_task(hasty.hurry())
        shop.destination("people", far.url, "people", to={"together": 5}, limits={"timeout_s": 5.0}, most_attempts=100)
        shop.people(range(N_PEOPLE))
        for n, (what, number) in enumerate(asked):
            if what == "say":
                shop.ws.identify(user_id=f"u{number}", traits={"city": f"city {n}"})
                shop.ws.flush()
            elif what == "carry":
                await shop.carry_once()
            else:
                shop.say(number, what)
        await shop.carry()
        hard.is_tame = True
        hasty.lead += 7 * 3600 * 1_000_000  # the longest pause is over
        await shop.carry()
        hurrying.cancel()


@settings(max_examples=10)
@given(asked=steps, seed=st.integers(0, 1_000_000))
def test_in_the_end_it_has_what_it_should(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int]], seed: int
) -> None:
    hard, hasty = Hard(seed), Hasty()
    folder: Path = tmp_path_factory.mktemp("hard")

    with Shop(folder / "shop", now=hasty.now) as shop:
        asyncio.run(go_through(shop, hard, hasty, asked))

        # The model: whoever agrees now is there, as known now, but for whom it refused what it was told last.
        wanted = {}
        for number in range(N_PEOPLE):
            profile = shop.profile(number)
            said = [what for what, of in asked if of == number and what in ("given", "withdrawn")]
            if said[-1:] != ["withdrawn"]:
                city = profile["traits"]["city"]["value"]
                wanted[profile["id"]] = {"id": profile["id"], "mail": f"u{number}@example.org", "city": city}
        rejected = {
            record.record_key
            for record in shop.ws.deliveries.queue.copies.list_everywhere(("people", ""), most=1_000)
            if (record.destination, record.state) == ("people", "rejected")
        }
        assert rejected == hard.refused & set(wanted)
        assert {who: kept for who, kept in hard.kept.items() if who not in rejected} == {
            who: fields for who, fields in wanted.items() if who not in rejected
        }
        assert set(hard.kept) <= set(wanted)
