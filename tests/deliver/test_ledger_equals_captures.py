"""The ledger says what left: field by field, attempt by attempt, as the receiver has it."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.deliver.receiver import Request, receiver, reply
from tests.deliver.shop import EVENTS_FIELDS, PEOPLE_FIELDS, Shop
from tillit import clock
from tillit.clock import SECOND
from tillit.ledger import Disclosure
from tillit.workspace import Workspace

N_PEOPLE = 120
# `make crash` sends as many as make a rare thing likely.
N_DELIVERIES = 10_000 if "TILLIT_CRASH_ROUNDS" in os.environ else 2_500
TEMPLATE = {
    "template": "hello",
    "purpose": "newsletter",
    "class": "marketing",
    "destination": "letters",
    "body": {"city": "{{ profile.traits.city | default: '' }}", "mail": "{{ profile.identifiers.email }}"},
}


class Hasty:
    """The real clock, and a lead over it that a test lets grow, so that nobody waits for the next try."""

    def __init__(self) -> None:
        self.lead = 0

    def now(self) -> int:
        return clock.now_us() + self.lead

    async def hurry(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.lead += 60 * SECOND


class Moody:
    """A receiver that takes, refuses, fails, throttles, hangs, and breaks off, as it comes."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.captured: list[tuple[str, Any]] = []

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.captured.append((request.headers["webhook-id"], request.document))
        fate = self._chance.random()
        if fate < 0.01:
            await asyncio.sleep(1.0)  # longer than anybody waits
            return
        if fate < 0.03:
            writer.close()
            return
        status = 200 if fate < 0.85 else self._chance.choice([422, 500, 503, 429])
        writer.write(reply(status, "no" if status != 200 else "", **({"Retry_After": "1"} if status == 429 else {})))
        await writer.drain()


def things_happen(shop: Shop, chance: random.Random, n: int, marks: list[str]) -> None:
    """Let `n` things happen that something leaves for."""
    messages: list[dict[str, Any]] = []
    for _ in range(n):
        number, kind = chance.randrange(N_PEOPLE), chance.random()
        who = f"u{number}"
        if kind < 0.75:
            told = {"type": "track", "event": chance.choice(["Order Completed", "Product Viewed"])}
            total = {"total": chance.randrange(100)} if chance.random() < 0.8 else {}
            messages.append({**told, "userId": who, "properties": total})
        elif kind < 0.85:
            traits = {"city": f"city {chance.randrange(1_000)}", "email": f"{who}@example.org"}
            messages.append({"type": "identify", "userId": who, "traits": traits})
        elif kind < 0.97:
            marks.append(f"k{len(marks)}")
            shop.ws.deliveries.send("hello", f"user_id:{who}", {}, key=marks[-1])
        else:
            state = {"newsletter": chance.random() < 0.6}
            messages.append(
                {"type": "track", "event": "Consent Updated", "userId": who, "properties": {"purposes": state}}
            )
    shop.ws.append(messages)
    shop.ws.flush()


async def a_day(
    shop: Shop, moody: Moody, hasty: Hasty, chance: random.Random, *, n_captured: int, erase: int
) -> set[str]:
    """Let things happen while a courier works, until so much has left; give the ids of whoever was erased."""
    erased: set[str] = set()
    marks: list[str] = []
    async with receiver(moody) as far:
        for name, send in (("orders", "events"), ("people", "people"), ("letters", "messages")):
            shop.destination(name, far.url, send, limits={"timeout_s": 0.25, "at_once": 16}, most_attempts=6)
        shop.apply(TEMPLATE)
        shop.people(range(N_PEOPLE))
        hurrying = asyncio.create_task(hasty.hurry())
        erase_at = [n_captured * (i + 1) // (erase + 1) for i in range(erase)]
        while len(moody.captured) < n_captured:
            things_happen(shop, chance, n_captured // 12, marks)
            carrying = asyncio.create_task(shop.carry())
            await asyncio.sleep(0.1 * chance.random())
            things_happen(shop, chance, 40, marks)
            if erase_at and len(moody.captured) > erase_at[0]:
                del erase_at[0]
                who = f"user_id:u{len(erased)}"
                erased.add(shop.profile(len(erased))["id"])
                shop.ws.erasure.erase(who)
            await carrying
        hurrying.cancel()
    return erased


def fields_of(document: Any) -> tuple[str, ...]:
    """Say by our names what a receiver was told."""
    told = document["data"]["fields"]
    if document["type"] == "message":
        return ("identifiers.email", "traits.city")
    mapping = EVENTS_FIELDS if document["type"] == "event" else PEOPLE_FIELDS
    ours = {mapping[name] for name, value in told.items() if value is not None and name != "id"}
    ours = {"events" if one.startswith("properties.") else one for one in ours}
    return tuple(sorted(ours | ({"events"} if document["type"] == "event" else set())))


CHANNELS = {"event": "orders", "person.upserted": "people", "message": "letters"}


def check_the_ledger(ws: Workspace, shop: Shop, captured: list[tuple[str, Any]], erased: set[str]) -> None:
    """Hold each disclosure against each capture."""
    told = shop.disclosures()
    n_sealed = ws.ledger.size() - sum(1 for _ in told) - n_accesses(ws)
    by_key: dict[str, list[Disclosure]] = defaultdict(list)
    for one in told:
        by_key[one.delivery.partition("/")[0]].append(one)
    for disclosures in by_key.values():
        disclosures.sort(key=lambda one: int(one.delivery.partition("/")[2]))
    seen: dict[str, list[Any]] = defaultdict(list)
    for key, document in captured:
        assert document["id"] == key
        if not document["type"].endswith(".removed"):
            seen[key].append(document)

    assert sorted(set(by_key) - set(seen)) == [], "the ledger has what nobody was told"
    n_unseen = 0
    for key, documents in seen.items():
        disclosures = by_key.get(key, [])
        names = {document["data"]["fields"].get("id") for document in documents}
        if not disclosures and (names & erased or documents[0]["type"] == "message"):
            n_unseen += len(documents)  # whose entries were made unreadable
            continue
        assert [one.field_names for one in disclosures] == [fields_of(document) for document in documents], key
        assert len({one.delivery for one in disclosures}) == len(disclosures)
        for one, document in zip(disclosures, documents, strict=True):
            assert (one.channel, one.recipient, one.purpose) == (CHANNELS[document["type"]], "crm", "newsletter")
            assert (one.basis, one.country) == ("consent", "SE")
            assert one.subject_ref == document["data"]["fields"].get("id", one.subject_ref)
            assert one.record_position is not None
    assert n_unseen == n_sealed


def n_accesses(ws: Workspace) -> int:
    ws.accesses.flush()
    found, before = 0, None
    while True:
        page = ws.ledger.search(kind="access", limit=1_000, before=before)
        found += len(page.entries)
        if page.next is None:
            return found
        before = page.next


@pytest.mark.slow
@pytest.mark.crash
def test_what_the_ledger_says_is_what_the_receiver_has(workspace_dir: Path) -> None:
    chance, hasty = random.Random(1), Hasty()
    moody = Moody(1)

    with Shop(workspace_dir, now=hasty.now) as shop:
        erased = asyncio.run(a_day(shop, moody, hasty, chance, n_captured=N_DELIVERIES, erase=3))

        kinds = Counter(document["type"] for _, document in moody.captured)
        assert set(kinds) == {"event", "event.removed", "person.upserted", "person.removed", "message"}
        assert len(erased) == 3
        check_the_ledger(shop.ws, shop, moody.captured, erased)
