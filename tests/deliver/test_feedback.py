"""What comes back: links that are followed, bounces, complaints; through a real SMTP server and the real courier."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import dkim
import pytest

from tests.deliver.mail_shop import ANA, BO, DOMAIN, SELECTOR, MailShop, open_shop
from tillit.clock import SECOND
from tillit.deliver.dkim import dns_record, read_key


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[MailShop]:
    with open_shop(tmp_path / "shop") as made:
        yield made


def dsn(key: str, status: str, words: str, action: str = "failed") -> bytes:
    return (
        "From: MAILER-DAEMON@mx.example.net\r\nTo: tea@shop.example.org\r\nSubject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; x@example.org\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {words}\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{key}@{DOMAIN}>\r\n\r\n--b--\r\n"
    ).encode()


def complaint(key: str) -> list[dict[str, object]]:
    return [{"key": key, "kind": "complained"}]


def signed(shop: MailShop, told: object, *, at: int | None = None) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(told).encode()
    stamp = str((shop.clock.at if at is None else at) // SECOND)
    key = base64.b64decode("c2VjcmV0" * 6)
    mark = base64.b64encode(hmac.digest(key, f"m1.{stamp}.".encode() + body, "sha256")).decode()
    return body, {"webhook-id": "m1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{mark}"}


# -- the mail


def test_a_letter_is_signed_over_both_headers_that_unsubscribe(shop: MailShop) -> None:
    key = shop.send("newsletter", "user_id:ana")
    raw = shop.catcher.raw[-1]
    record = dns_record(read_key(shop.ws.outside.secrets.get("dkim", f"127.0.0.1:{shop.port}").reveal()))

    assert shop.state(key)[0] == "delivered"
    assert dkim.verify(
        raw, dnsfunc=lambda name, **_: record.encode() if name.startswith(f"{SELECTOR}.".encode()) else b""
    )
    covered = str(shop.catcher.mails()[-1]["DKIM-Signature"]).split("h=")[1].split(";")[0]
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= {one.strip() for one in covered.split(":")}
    assert shop.catcher.mails()[-1]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_message_about_an_order_carries_no_link_to_unsubscribe(shop: MailShop) -> None:
    shop.send("order", "user_id:ana", order="o1")

    assert shop.catcher.mails()[-1]["List-Unsubscribe"] is None


# -- unsubscribing


def test_one_click_unsubscribes(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")

    answer = shop.click(shop.token())

    assert answer.status == 200
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert not shop.may("ana")
    assert "Message Unsubscribed" in shop.events("ana")
    key = shop.send("newsletter", "user_id:ana")
    assert shop.state(key)[0] == "withheld"


def test_one_click_as_form_data_unsubscribes(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")

    answer = shop.click(
        shop.token(), b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    )

    assert answer.status == 200
    assert not shop.may("ana")


def test_scanners_change_nothing(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")
    link, before = shop.token(), shop.ws.log.head()

    told = []
    for _ in range(20):
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            told.append(shop.ask(method, link).status)
        shop.pass_a_second()
    told.append(shop.click(link, b"").status)
    told.append(shop.click(link, b"List-Unsubscribe=Maybe").status)

    assert set(told) == {200, 204, 400, 405}
    assert shop.ws.log.head() == before
    assert shop.may("ana")


def test_the_page_loads_and_runs_nothing_and_names_nobody(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")

    answer = shop.ask.get(shop.token())
    text = answer.body.decode()

    assert "Kettle &amp; Moss" in text
    assert "News about tea" in text
    assert all(word not in text.lower() for word in ("ana", "<script", "src=", "http://", "https://"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_unsubscribing_twice_says_one_thing(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")
    shop.click(shop.token())
    head = shop.ws.log.head()

    answer = shop.click(shop.token())

    assert answer.status == 200
    assert shop.ws.log.head() == head


def test_who_agrees_again_is_written_to_and_may_unsubscribe_again(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")
    link = shop.token()
    shop.click(link)
    shop.agree("ana")

    again = shop.send("newsletter", "user_id:ana")
    assert shop.state(again)[0] == "delivered"
    shop.later()
    shop.click(link)

    assert not shop.may("ana")
    assert shop.state(shop.send("newsletter", "user_id:ana"))[0] == "withheld"


def test_somebody_who_unsubscribes_still_hears_of_their_order(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")
    shop.click(shop.token())

    assert shop.state(shop.send("order", "user_id:ana", order="o1"))[0] == "delivered"


def test_a_link_unsubscribes_nobody_else(shop: MailShop) -> None:
    shop.send("newsletter", "user_id:ana")

    shop.click(shop.token())

    assert shop.may("bo")
    assert shop.state(shop.send("newsletter", "user_id:bo"))[0] == "delivered"


def test_a_link_that_was_changed_is_not_found_and_changes_nothing(shop: MailShop) -> None:
    ana, bo = shop.send("newsletter", "user_id:ana"), shop.send("newsletter", "user_id:bo")
    link, before = shop.token(), shop.ws.log.head()
    said, _, seal = link.removeprefix("/u/").partition(".")
    other = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)).replace(bo.encode(), ana.encode())
    ).decode()

    tried = ["/u/", "/u/x", f"/u/{said}", f"{link}x", f"/u/{said}.{seal[::-1]}", f"/u/{other.rstrip('=')}.{seal}"]
    told = [shop.click(one) for one in tried] + [shop.ask.get(one) for one in tried]

    assert {one.status for one in told} == {404}
    assert len({one.body for one in told}) == 1
    assert shop.ws.log.head() == before
    assert shop.may("ana")
    assert shop.may("bo")


# -- bounces and complaints


def test_an_address_refused_at_the_door_is_written_to_no_more(shop: MailShop) -> None:
    shop.catcher.refuses[ANA] = "550 5.1.1 no such user"

    first = shop.send("order", "user_id:ana", order="o1")
    shop.catcher.refuses.clear()
    second = shop.send("order", "user_id:ana", order="o2")

    assert shop.state(first) == ("refused", "smtp.550-5.1.1")
    assert shop.state(second) == ("withheld", "suppressed_hard_bounce")
    assert "Message Bounced" in shop.events("ana")
    assert shop.catcher.raw == []


def test_a_hard_bounce_that_comes_later_stops_all_mail_to_the_address(shop: MailShop) -> None:
    key = shop.send("order", "user_id:ana", order="o1")

    answer = shop.program(
        "POST", "/api/messages/bounces", key=shop.key, raw=dsn(key, "5.1.1", "550 5.1.1 no such user")
    )

    assert answer.json() == {"new": 1, "known": 0, "unknown": 0}
    assert shop.state(shop.send("order", "user_id:ana", order="o2")) == ("withheld", "suppressed_hard_bounce")
    assert shop.state(shop.send("order", "user_id:bo", order="o3"))[0] == "delivered"
    assert "Message Bounced" in shop.events("ana")


def test_a_soft_bounce_stops_nothing(shop: MailShop) -> None:
    key = shop.send("order", "user_id:ana", order="o1")

    shop.ws.deliveries.feedback.bounced(dsn(key, "4.2.2", "452 4.2.2 mailbox full", action="delayed"))

    assert shop.state(shop.send("order", "user_id:ana", order="o2"))[0] == "delivered"
    found = shop.ws.deliveries.queue.history.find_by_key(bytes.fromhex(key))
    assert found is not None
    assert [one.kind for one in shop.ws.deliveries.queue.reports.list_of([found.delivery_id])] == ["delayed"]


def test_a_bounce_that_is_told_twice_counts_once(shop: MailShop) -> None:
    raw = dsn(shop.send("order", "user_id:ana", order="o1"), "5.1.1", "550 5.1.1 no")
    shop.ws.deliveries.feedback.bounced(raw)
    head = shop.ws.log.head()

    taken = shop.ws.deliveries.feedback.bounced(raw)

    assert taken == (0, 1, 0)
    assert shop.ws.log.head() == head


def test_who_complains_has_said_no(shop: MailShop) -> None:
    key = shop.send("newsletter", "user_id:ana")
    body, headers = signed(shop, complaint(key))

    answer = shop.ask("POST", "/feedback/mail", raw=body, headers=headers)

    assert answer.json() == {"new": 1, "known": 0, "unknown": 0}
    assert not shop.may("ana")
    assert shop.state(shop.send("order", "user_id:ana", order="o1")) == ("withheld", "suppressed_complaint")
    assert "Message Complained" in shop.events("ana")


def test_feedback_is_believed_of_whom_the_secret_is_alone(shop: MailShop) -> None:
    key = shop.send("newsletter", "user_id:ana")
    body, headers = signed(shop, complaint(key))
    stale = signed(shop, complaint(key), at=shop.clock.at - 301 * SECOND)

    told = [
        shop.ask("POST", "/feedback/mail", raw=body),
        shop.ask("POST", "/feedback/mail", raw=body + b" ", headers=headers),
        shop.ask("POST", "/feedback/mail", raw=stale[0], headers=stale[1]),
        shop.ask("POST", "/feedback/other", raw=body, headers=headers),
        shop.ask("POST", "/feedback/", raw=body, headers=headers),
    ]

    assert {(one.status, one.body) for one in told} == {(401, told[0].body)}
    assert shop.may("ana")


def test_feedback_about_a_message_of_nobody_is_counted_and_dropped(shop: MailShop) -> None:
    body, headers = signed(shop, complaint("0" * 32))

    assert shop.ask("POST", "/feedback/mail", raw=body, headers=headers).json() == {"new": 0, "known": 0, "unknown": 1}


def test_feedback_without_end_is_cut_off(shop: MailShop) -> None:
    assert shop.ask("POST", "/feedback/mail", raw=b" " * ((1 << 20) + 1)).code == "collect.body-too-large"


def test_what_came_back_is_kept_without_an_address(shop: MailShop) -> None:
    shop.catcher.refuses[BO] = f"550 5.1.1 {BO} is unknown here"
    shop.send("order", "user_id:bo", order="o1")
    shop.send("newsletter", "user_id:ana")
    shop.click(shop.token())

    rows = shop.ws.deliveries.queue.store.read("SELECT * FROM suppression") + shop.ws.deliveries.queue.store.read(
        "SELECT * FROM feedback"
    )
    assert len(rows) == 3
    assert all(address not in repr(rows) for address in (ANA, BO))
