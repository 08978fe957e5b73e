"""What somebody broke by hand: values that left without leave of the moment, or that stayed after it had ended.

In:    the real courier, gate and wires; a receiver beside the test.
Out:   one test for each thing that was broken once.
Never: a claim about what was not broken.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.deliver.mail_shop import ANA, MailShop, open_shop
from tests.deliver.receiver import Request, always, reply, telling
from tests.deliver.shop_that_sends import CRM, HELLO, MESSENGER, PURPOSES, carry, make_shop, receiving
from tests.deliver.test_feedback import signed
from tillit.ledger import Disclosure
from tillit.workspace import Workspace, create_workspace

MARKED = "zq7mark@example.org"
TWO_PARTIES = PURPOSES.replace(
    "recipients: {carrier:", "recipients: {other: {name: Other AB, country: DE, contact: a@other.example}, carrier:"
).replace("recipients: [carrier]", "recipients: [carrier, other]")


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = make_shop(tmp_path / "shop")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[MailShop]:
    with open_shop(tmp_path / "shop") as made:
        yield made


def define(ws: Workspace, *texts: str) -> None:
    for text in texts:
        ws.deliveries.apply(text, reason="", operator="kim")


def carry_and(ws: Workspace, at: str, act: Callable[[], None]) -> None:
    """Carry, and do something the first time that a step is passed."""
    done: list[str] = []

    def step(name: str) -> None:
        if name == at and not done:
            done.append(name)
            act()

    ws.flush()
    asyncio.run(ws.deliveries.courier("courier", at_step=step).run(until_idle=True))
    ws.flush()


def places_of(folder: Path, mark: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and mark.encode() in path.read_bytes()]


@pytest.mark.parametrize("step", ["claimed", "gate passed", "attempt begun"])
def test_nothing_goes_to_where_a_destination_was_before(ws: Workspace, step: str) -> None:
    with receiving(always(reply(200))) as old, receiving(always(reply(200))) as new:
        define(ws, MESSENGER.format(url=old.url), HELLO)
        ws.deliveries.send("hello", "user_id:ana", {"order": "o1"})

        carry_and(ws, step, lambda: define(ws, MESSENGER.format(url=new.url)))

        assert (len(old.requests), len(new.requests)) == (0, 1)


def test_the_ledger_names_whoever_received_when_the_destination_changed_since(ws: Workspace) -> None:
    ws.consent.apply(TWO_PARTIES, reason="", operator="kim")
    with receiving(always(reply(200))) as there:
        text = MESSENGER.format(url=there.url)
        define(ws, text, HELLO)
        ws.deliveries.send("hello", "user_id:ana", {"order": "o1"})
        other = text.replace("recipient: carrier", "recipient: other")

        carry_and(ws, "outcome written", lambda: define(ws, other))

    ana = ws.profiles.membership("user_id:ana")
    assert ana is not None
    found = [one.entry for one in ws.ledger.read([ana.profile_id], limit=50).entries]
    assert [(one.recipient, one.country) for one in found if isinstance(one, Disclosure)] == [("carrier", "SE")]


def test_what_a_recipient_said_goes_with_the_person_from_every_file(ws: Workspace, tmp_path: Path) -> None:
    ws.identify(user_id="ana", traits={"email": MARKED})
    with receiving(always(reply(422, f"no {MARKED} here"))) as there:
        define(ws, CRM.format(url=there.url))
        carry(ws)
        assert any("deliveries.db" in name for name in places_of(tmp_path / "shop", MARKED))

        ws.erasure.erase("user_id:ana")

    assert places_of(tmp_path / "shop", MARKED) == []


def test_what_a_recipient_says_of_a_removal_after_an_erasure_is_not_kept(ws: Workspace, tmp_path: Path) -> None:
    def judge(request: Request) -> bytes:
        return reply(200) if b"first_name" in request.body else reply(422, f"no {MARKED} here")

    ws.identify(user_id="ana", traits={"email": MARKED})
    with receiving(telling(judge)) as there:
        define(ws, CRM.format(url=there.url))
        carry(ws)
        ws.erasure.erase("user_id:ana")
        carry(ws)

        assert b"person.removed" in there.requests[-1].body
    assert places_of(tmp_path / "shop", MARKED) == []


def test_what_left_while_somebody_was_being_erased_is_asked_back_at_once(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(always(reply(200))) as there:
        define(ws, CRM.format(url=there.url))
        carry(ws)
        erase_places = ws.erasure._erase_places  # what takes long, between letting go and forgetting

        def meanwhile(target: object) -> dict[str, int]:
            carry(ws)
            ws.identify(user_id="ana", traits={"firstName": "Anna"})
            carry(ws)
            return erase_places(target)  # type: ignore[arg-type]

        monkeypatch.setattr(ws.erasure, "_erase_places", meanwhile)
        ws.erasure.erase("user_id:ana")

        sent = [one.document["type"] for one in there.requests]
        assert sent[:2] == ["person.upserted", "person.removed"]
        assert set(sent[2:]) == {"person.upserted"}
        assert ws.deliveries.queue.history.counts("crm").get("waiting") == 1
        assert ws.deliveries.queue.store.read("SELECT subject_ref FROM record") == [("",)]


def test_a_provider_cannot_put_an_address_where_a_code_stands(shop: MailShop) -> None:
    key = shop.send("newsletter", "user_id:ana")
    told = [{"key": key, "kind": "bounced", "is_hard": True, "code": f"550 {ANA} unknown"}]
    body, headers = signed(shop, told)

    assert shop.ask("POST", "/feedback/mail", raw=body, headers=headers).status == 200

    assert shop.ws.deliveries.queue.store.read("SELECT code FROM feedback") == [("hard",)]
    shop.ws.erasure.erase("user_id:ana")
    assert shop.ws.erasure.verify(f"email:{ANA}") == []


@pytest.mark.parametrize(
    ("listed", "held"),
    [
        ("address:ana@xn--bcher-kva.example", "ana@bücher.example"),
        ("address:ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("address:ana@straße.example", "ana@xn--strae-oqa.example"),
        ("address:\uff21NA@bücher.example", "ana@bücher.example"),
        ("address:ana@bücher.example", unicodedata.normalize("NFD", "ana@bücher.example")),
        ("domain:xn--bcher-kva.example", "ana@bücher.example"),
        ("domain:BÜCHER.example.", "ana@bücher.example"),
        ("domain:Shop.example.", "ana@shop.example"),
    ],
)
def test_an_address_is_suppressed_however_it_is_written(shop: MailShop, listed: str, held: str) -> None:
    shop.ws.identify(user_id="cai", traits={"email": held, "firstName": "Cai"})
    shop.ws.flush()
    shop.ws.deliveries.suppress(listed, "operator", source="cli", by="kim")

    key = shop.send("order", "user_id:cai", order="1")

    assert shop.state(key) == ("withheld", "suppressed_operator")
    assert shop.catcher.raw == []


def back_up(live: Path, copy: Path, *names: str) -> None:
    """Copy stores of a workspace as docs/how-to/back-up-and-restore.md says."""
    for name in names:
        with closing(sqlite3.connect(live / name)) as source, closing(sqlite3.connect(copy / name)) as target:
            source.backup(target)
    shutil.copy(live / "tillit.toml", copy)


def test_a_log_that_came_back_without_its_deliveries_sends_nothing_again(ws: Workspace, tmp_path: Path) -> None:
    with receiving(always(reply(200))) as there:
        define(ws, MESSENGER.format(url=there.url), HELLO)
        ws.deliveries.send("hello", "user_id:ana", {"order": "o1"})
        carry(ws)
        create_workspace(tmp_path / "copy")
        back_up(tmp_path / "shop", tmp_path / "copy", "registry.db", "journal.db", "log.db")
        with closing(Workspace(tmp_path / "copy")) as again:
            carry(again)
            assert len(there.requests) == 1

            again.deliveries.send("hello", "user_id:ana", {"order": "o2"})
            carry(again)
            assert len(there.requests) == 2


def test_a_delivery_is_not_about_the_row_that_took_its_place_in_an_older_log(ws: Workspace, tmp_path: Path) -> None:
    with receiving(always(reply(200))) as there:
        define(ws, MESSENGER.format(url=there.url), HELLO)
        ws.deliveries.pause("messenger", by="kim")
        create_workspace(tmp_path / "copy")
        back_up(tmp_path / "shop", tmp_path / "copy", "registry.db", "journal.db", "log.db")
        ws.deliveries.send("hello", "user_id:ana", {"order": "o1"})
        carry(ws)
        back_up(tmp_path / "shop", tmp_path / "copy", "deliveries.db")
        with closing(Workspace(tmp_path / "copy")) as again:
            again.flush()
            again.deliveries.send("hello", "user_id:bo", {"order": "o2"})
            again.deliveries.resume("messenger")
            carry(again)
            told = again.deliveries.queue.history.list_newest(kind="message")

        assert [(one.state, one.code) for one in told] == [("delivered", "http.200"), ("withheld", "forgotten")]
        assert [one.document["data"]["fields"]["text"] for one in there.requests] == [
            "Hello Bo, order o2 is on its way."
        ]


def test_whoever_was_erased_is_not_marketed_to_until_they_agree(ws: Workspace) -> None:
    ws.identify(user_id="ana", traits={"email": "ana@example.org"})
    ws.flush()
    ws.erasure.erase("user_id:ana")

    def stopped(message_class: str, yes_at: int | None = None) -> bool:
        found = ws.deliveries.suppressions.find_stop(
            message_class, "service", address="ana@example.org", people=(), yes_at=yes_at
        )
        return found is not None and found.reason == "erased"

    assert stopped("marketing")
    assert not stopped("marketing", yes_at=ws.now())
    assert not stopped("service")
