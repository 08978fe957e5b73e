"""An audience at a webhook: its receiver is told who came in and who left, since when and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deliver.receiver import Receiver, Request, receiver, reply, telling
from tests.deliver.shop import Shop
from tests.still_clock import Clock
from tillit.clock import DAY, MINUTE, rfc3339

AUDIENCE = """
audience: buyers
purpose: newsletter
definition: {event: Order Completed, within: 30d}
"""
OK = reply(200)


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    with Shop(tmp_path / "shop", now=clock.now) as shop:
        shop.people(range(3))
        shop.ws.audiences.apply(AUDIENCE, reason="", operator="kim")
        yield shop


def hook(shop: Shop, far: Receiver) -> None:
    shop.destination("crm-hook", far.url, "people", audience="buyers", fields={"id": "profile.id"})


def told(requests: list[Request]) -> list[tuple[str, str, Any]]:
    """Give of each request what it is about: its type, whom it names, what it says of the membership."""
    return [
        (one.document["type"], one.document["data"]["id"], one.document["data"].get("membership")) for one in requests
    ]


def test_a_receiver_is_told_of_who_comes_in_and_who_leaves_since_when_and_why(shop: Shop, clock: Clock) -> None:
    async def story() -> list[list[tuple[str, str, Any]]]:
        async with receiver(telling(lambda _: OK)) as far:
            hook(shop, far)
            parts = []
            acts: tuple[Callable[[], None], ...] = (
                lambda: shop.buy(0),
                lambda: shop.say(1, "withdrawn"),  # who is no member, and may not be told of
                lambda: shop.buy(2),
                lambda: shop.say(2, "withdrawn"),
                lambda: clock.go_on(31 * DAY),
            )
            for act in acts:
                clock.go_on(MINUTE)
                act()
                before = len(far.requests)
                await shop.carry()
                parts.append(told(far.requests[before:]))
            return parts

    parts = asyncio.run(story())
    ana, _, cem = (shop.profile(number)["id"] for number in range(3))
    since = parts[0][0][2]["since"]

    assert parts == [
        [("person.upserted", ana, {"audience": "buyers", "since": since, "cause": "event"})],
        [],
        [("person.upserted", cem, {"audience": "buyers", "since": parts[2][0][2]["since"], "cause": "event"})],
        # They are still a member: the receiver may not have them any more, and is not told more.
        [("person.removed", cem, None)],
        [("person.removed", ana, {"audience": "buyers", "since": since, "until": parts[4][0][2]["until"],
                                  "cause": "timer"})],
    ]  # fmt: skip
    assert parts[4][0][2]["until"] > rfc3339(clock.at - 2 * DAY)
    assert {field for one in shop.disclosures() for field in one.field_names} == {"audiences.buyers"}


def test_a_retry_says_the_same_and_who_comes_again_is_said_anew(shop: Shop, clock: Clock) -> None:
    answers = iter([reply(503), OK, OK, OK])

    async def story() -> list[Request]:
        async with receiver(telling(lambda _: next(answers))) as far:
            hook(shop, far)
            shop.buy(0)
            await shop.carry()
            clock.go_on(10 * MINUTE)
            await shop.carry()
            clock.go_on(31 * DAY)
            await shop.carry()
            shop.buy(0)
            await shop.carry()
            return far.requests

    first, again, left, back = asyncio.run(story())

    assert first.document["data"] == again.document["data"]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    kinds = [one.document["type"] for one in (again, left, back)]
    assert kinds == ["person.upserted", "person.removed", "person.upserted"]
    since = [one.document["data"]["membership"]["since"] for one in (again, left, back)]
    assert since[0] == since[1] < since[2]
    assert len({one.headers["webhook-id"] for one in (again, left, back)}) == 3


def test_who_came_and_left_while_it_could_not_be_told_is_told_as_it_is(shop: Shop, clock: Clock) -> None:
    answers = iter([OK, reply(503), OK, OK])

    async def story() -> list[Request]:
        async with receiver(telling(lambda _: next(answers))) as far:
            hook(shop, far)
            shop.buy(0)
            await shop.carry()
            clock.go_on(31 * DAY)
            await shop.carry()  # the removal is not taken
            shop.buy(0)
            await shop.carry()
            clock.go_on(DAY)
            await shop.carry()
            return far.requests

    requests = asyncio.run(story())

    assert [one.document["type"] for one in requests][:2] == ["person.upserted", "person.removed"]
    last = requests[-1].document
    assert last["type"] == "person.upserted"
    assert last["data"]["membership"]["since"] > requests[0].document["data"]["membership"]["since"]
    assert requests[-1].headers["webhook-id"] not in {one.headers["webhook-id"] for one in requests[:2]}
