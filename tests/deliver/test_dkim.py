"""DKIM: what we sign, another reader finds signed; what somebody changes, it finds changed."""

import re

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.letters import AT, KEY, news
from tillit.deliver.dkim import KeyInvalid, dns_record, make_key, read_key, sign
from tillit.deliver.mime import write_mail

KEYS = {"rsa": read_key(make_key()), "ed25519": read_key(make_key("ed25519"))}

FOLDS = st.sampled_from(["", " ", "\t", "  \t ", "\r\n ", "\r\n\t  "])
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
VALUES = st.lists(st.tuples(FOLDS, WORDS, FOLDS.filter(lambda fold: "\n" not in fold)), min_size=1, max_size=5).map(
    lambda parts: "".join(f"{before}{word}{after}" for before, word, after in parts)
)
LINES = st.text(st.sampled_from("ab =. \t"), max_size=20)
BODIES = st.lists(LINES, max_size=8).map(lambda lines: "".join(f"{line}\r\n" for line in lines))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["From", "FROM", "To", "Subject", "Date", "Reply-To", "X-Other", "List-Unsubscribe"]), VALUES
    ),
    max_size=6,
)


def is_signed(raw: bytes, kind: str) -> bool:
    found: bool = dkim.verify(raw, dnsfunc=lambda name, timeout=5: dns_record(KEYS[kind]).encode())
    return found


def signed(raw: bytes, kind: str) -> bytes:
    return sign(raw, domain="shop.example", selector="s1", key=KEYS[kind], at=AT)


@pytest.mark.parametrize("kind", KEYS)
@given(headers=HEADERS, body=BODIES)
def test_another_reader_finds_any_mail_signed(kind: str, headers: list[tuple[str, str]], body: str) -> None:
    head = "".join(f"{name}:{value}\r\n" for name, value in [("From", " shop@shop.example"), *headers])
    raw = f"{head}\r\n{body}".encode("ascii")

    assert is_signed(signed(raw, kind), kind)


@pytest.mark.parametrize("kind", KEYS)
def test_a_mail_is_signed_with_both_ways_out(kind: str) -> None:
    raw = signed(write_mail(news(), message_id=KEY, at=AT, dkim_domain="shop.example"), kind)
    covered = re.sub(rb"\s", b"", raw.partition(b" h=")[2].partition(b";")[0]).split(b":")

    assert is_signed(raw, kind)
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"message-id", b"reply-to", b"content-type"} < set(covered)


@pytest.mark.parametrize("added", ["From: x@y.example", "To: x@y.example", "Subject: x", "List-Unsubscribe-Post: x"])
def test_a_header_put_in_later_breaks_the_signature(added: str) -> None:
    raw = signed(write_mail(news(), message_id=KEY, at=AT, dkim_domain="shop.example"), "rsa")

    assert not is_signed(raw.replace(b"\r\n\r\n", f"\r\n{added}\r\n\r\n".encode(), 1), "rsa")


@pytest.mark.parametrize(
    "change", [(b"Dear Ana", b"Dear Bo"), (b"Subject: News", b"Subject: Olds"), (b"One-Click", b"Two-Click")]
)
def test_a_word_that_was_changed_breaks_the_signature(change: tuple[bytes, bytes]) -> None:
    raw = signed(write_mail(news(), message_id=KEY, at=AT, dkim_domain="shop.example"), "rsa")

    assert change[0] in raw
    assert not is_signed(raw.replace(*change), "rsa")


def test_the_same_mail_has_the_same_signature() -> None:
    raw = write_mail(news(), message_id=KEY, at=AT, dkim_domain="shop.example")

    assert [signed(raw, kind) for kind in KEYS] == [signed(raw, kind) for kind in KEYS]


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_without_showing_it(pem: str) -> None:
    with pytest.raises(KeyInvalid) as told:
        read_key(pem)

    assert not pem or pem not in str(told.value)
