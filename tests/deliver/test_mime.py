"""MIME: the bytes of a mail, as another reader reads them."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.letters import AT, KEY, news
from tillit.deliver.mime import MailInvalid, write_mail
from tillit.deliver.templates import write_address
from tillit.deliver.wire import Mail

ONE_LINE = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn", "Zs")), min_size=1, max_size=120
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


def written(mail: Mail) -> bytes:
    return write_mail(mail, message_id=KEY, at=AT, dkim_domain="shop.example")


def in_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def test_the_headers_say_who_what_when_and_how_to_stop() -> None:
    read = message_from_bytes(written(news()), policy=policy.default)

    assert dict(read.items()) == {
        "From": '"Shop, Ltd" <shop@shop.example>',
        "To": "ana@shop.example",
        "Subject": "News for Ana",
        "Date": "Wed, 18 Nov 2026 11:06:40 +0000",
        "Message-ID": f"<{KEY}@shop.example>",
        "Reply-To": "answers@shop.example",
        "List-Unsubscribe": "<https://shop.example/unsubscribe/abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": read["Content-Type"],
    }
    assert [part.get_content_type() for part in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_who_cannot_unsubscribe_is_told_of_no_way_to() -> None:
    read = message_from_bytes(written(news()._replace(unsubscribe_url="")))

    assert "List-Unsubscribe" not in read
    assert "List-Unsubscribe-Post" not in read


def test_a_long_way_out_stays_one_address() -> None:
    url = f"https://shop.example/unsubscribe/{'a' * 300}"

    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in written(news()._replace(unsubscribe_url=url))


@given(subject=ONE_LINE, name=ONE_LINE, text=TEXTS, html=TEXTS)
def test_another_reader_reads_what_was_written(subject: str, name: str, text: str, html: str) -> None:
    sender = write_address(name, "shop@shop.example")
    mail = news()._replace(subject=subject, sender=sender, text=text, html=html)

    raw = written(mail)
    read = message_from_bytes(raw, policy=policy.default)
    parts = [part.get_content() for part in read.walk() if not part.is_multipart()]

    assert read["Subject"] == subject
    # The newer reader of addresses puts a space between encoded words.
    named, address = parseaddr(str(message_from_bytes(raw)["From"]).replace("\r\n", ""))
    assert (str(make_header(decode_header(named))), address) == (name, "shop@shop.example")
    assert [in_lines(part) for part in parts] == [in_lines(one) for one in ([text, html] if html else [text])]
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert written(mail) == raw


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "a\r\nBcc: bo@shop.example"),
        ("sender", "a@b.example\r\nBcc: bo@shop.example"),
        ("recipient", "a@b.example\r\nBcc: bo@shop.example"),
        ("unsubscribe_url", "https://a.example/\r\nBcc: bo@shop.example"),
        ("unsubscribe_url", "https://a.example/" + "a" * 1_000),
        ("reply_to", "jörg@b.example"),
        ("subject", ""),
    ],
)
def test_what_no_header_can_hold_is_refused_without_naming_it(field: str, value: str) -> None:
    with pytest.raises(MailInvalid) as told:
        written(Mail(**{**news()._asdict(), field: value}))

    assert not value or value not in str(told.value)
