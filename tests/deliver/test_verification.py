"""Addresses that are verified by a code, through a real SMTP server, the real courier and the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.asking import Answer
from tests.deliver.mail_shop import MailShop, open_shop
from tillit.deliver.verification import MOST_OF_ADDRESS, MOST_TRIES
from tillit.store.scan import find_bytes

NEW = "new@example.org"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[MailShop]:
    with open_shop(tmp_path / "shop") as made:
        yield made


def ask(shop: MailShop, claimed_by: str = "user_id:ana", to: str = f"email:{NEW}", key: str = "") -> str:
    body = {"to": to, "claimed_by": claimed_by, "template": "verify"}
    answer = shop.program.post("/api/verifications", body, key or shop.key)
    assert answer.status == 202, answer.body
    shop.carry()
    return str(answer.json()["id"])


def read_code(shop: MailShop) -> str:
    found = re.search(r"The code is (\d{6})\.", shop.catcher.mails()[-1].get_content())
    assert found is not None
    return found[1]


def say(shop: MailShop, verification_id: str, code: str, key: str = "") -> Answer:
    shop.later()
    return shop.program.post(f"/api/verifications/{verification_id}", {"code": code}, key or shop.key)


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


@pytest.mark.parametrize("claimed_by", ["user_id:ana", "anonymous_id:tablet-1"])
def test_the_code_makes_the_link_verified(shop: MailShop, claimed_by: str) -> None:
    verification_id = ask(shop, claimed_by)
    answer = say(shop, verification_id, read_code(shop))

    assert answer.status == 200, answer.body
    why = shop.ws.identity.why(claimed_by, f"email:{NEW}", shop.ws.scope())
    assert why["together"] is True
    assert ("code sent there", "verified") in {(one["rule"], one["trust"]) for one in why["path"]}


def test_nobody_is_linked_before_the_code_is_said(shop: MailShop) -> None:
    ask(shop)

    assert shop.ws.identity.why("user_id:ana", f"email:{NEW}", shop.ws.scope())["together"] is False


def test_a_wrong_code_verifies_nothing_and_five_are_the_last(shop: MailShop) -> None:
    verification_id = ask(shop)
    code = read_code(shop)

    told = [say(shop, verification_id, other_than(code)) for _ in range(MOST_TRIES)]
    late = say(shop, verification_id, code)

    assert {one.code for one in told} == {"deliver.code-wrong"}
    assert [one.json()["error"]["details"]["tries_left"] for one in told] == [4, 3, 2, 1, 0]
    assert late.code == "deliver.verification-unknown"


def test_a_code_counts_once(shop: MailShop) -> None:
    verification_id = ask(shop)
    code = read_code(shop)
    say(shop, verification_id, code)

    assert say(shop, verification_id, code).code == "deliver.verification-unknown"


def test_a_code_counts_for_ten_minutes(shop: MailShop) -> None:
    verification_id = ask(shop)
    shop.later(600)

    assert say(shop, verification_id, read_code(shop)).code == "deliver.verification-unknown"


def test_a_code_is_said_by_whoever_asked_for_it(shop: MailShop) -> None:
    verification_id = ask(shop)
    other, _ = shop.ws.keys.create("api", "else", scopes=["verifications:write"])

    assert say(shop, verification_id, read_code(shop), other).code == "deliver.verification-unknown"


def test_one_address_gets_few_codes_an_hour(shop: MailShop) -> None:
    for _ in range(MOST_OF_ADDRESS):
        ask(shop)
    body = {"to": f"email:{NEW}", "claimed_by": "user_id:ana", "template": "verify"}

    assert shop.program.post("/api/verifications", body, shop.key).code == "deliver.too-many-codes"
    shop.later(3_600)
    assert shop.program.post("/api/verifications", body, shop.key).status == 202


def test_a_message_to_another_address_holds_another_code(shop: MailShop) -> None:
    verification_id = ask(shop)
    code = read_code(shop)

    shop.send("verify", "email:bo@example.org", verification=verification_id)

    assert read_code(shop) != code


def test_trying_out_what_would_leave_shows_no_code(shop: MailShop) -> None:
    verification_id = ask(shop)

    told = shop.ws.deliveries.try_out("verify", f"email:{NEW}", {"verification": verification_id})

    assert told.outgoing is not None
    assert told.outgoing.mail is not None
    assert "000000" in told.outgoing.mail.text
    assert read_code(shop) not in told.outgoing.mail.text


def test_no_file_of_the_workspace_holds_the_code(shop: MailShop) -> None:
    verification_id = ask(shop)
    code = read_code(shop)
    say(shop, verification_id, other_than(code))
    say(shop, verification_id, code)

    # Beside it a text that is there, so that an empty list is not the fault of the search.
    found = find_bytes(shop.folder, [code, "Kettle & Moss"], apart=True)

    assert {one.marker for one in found} == {1}


def test_a_code_goes_by_a_transactional_template_alone(shop: MailShop) -> None:
    body = {"to": f"email:{NEW}", "claimed_by": "user_id:ana", "template": "order"}

    assert shop.program.post("/api/verifications", body, shop.key).code == "deliver.request-invalid"


def test_a_key_asks_for_codes_for_its_purposes_alone(shop: MailShop) -> None:
    key, _ = shop.ws.keys.create("api", "news", scopes=("verifications:write",), purposes=("newsletter",))
    body = {"to": f"email:{NEW}", "claimed_by": "user_id:ana", "template": "verify"}

    assert shop.program.post("/api/verifications", body, key).code == "api.purpose-not-allowed"
