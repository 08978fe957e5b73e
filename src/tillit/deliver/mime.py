"""MIME: one mail as the bytes that go over the wire.

In:    a rendered mail, its key, its instant.
Out:   bytes in CRLF, all ASCII: the same for the same mail, so that a second attempt sends the same message.
Never: a line break of a value inside a header.
"""

import hashlib
import re
from datetime import UTC, datetime
from email.header import Header
from email.quoprimime import body_encode
from email.utils import format_datetime, quote

from tillit.clock import SECOND
from tillit.deliver.templates import read_address
from tillit.deliver.wire import Mail
from tillit.errors import InputError

_LONGEST_LINE = 998  # octets; RFC 5322 section 2.1.1
_KEY = re.compile(r"[0-9a-f]{32}")
_ASCII = re.compile(r"[\x20-\x7e]+")
# What a value looks like once it is folded: printable lines, each but the first begun with a space.
_FOLDED = re.compile(rf"[\x20-\x7e]{{1,{_LONGEST_LINE - 30}}}(?:\r\n [\x20-\x7e]{{1,{_LONGEST_LINE - 1}}})*")


class MailInvalid(InputError):
    """A mail cannot be written down: a header of it would not be printable lines."""

    code = "deliver.mail-invalid"

    def __init__(self, header: str) -> None:
        """Name the header, not what is in it."""
        super().__init__(f"The header {header} of this mail cannot be written; nothing was sent.", header=header)


def write_mail(mail: Mail, *, message_id: str, at: int, dkim_domain: str) -> bytes:
    """Write a mail as bytes: plain text, or plain text and HTML beside each other.

    Shape:  message_id is the delivery's key, 32 hex digits; the Message-ID is <key@dkim_domain>.
    Units:  at is UTC epoch microseconds; Date has whole seconds.
    Raises: MailInvalid for what no header can hold.

    Headers are folded here: the mail policies of the standard library write a long address of the web as an encoded
    word, which nobody reads as an address.
    """
    if not _KEY.fullmatch(message_id):
        raise MailInvalid("Message-ID")
    headers = {
        "From": _address(mail.sender, "From"),
        "To": _address(mail.recipient, "To"),
        "Subject": _words(mail.subject, "Subject"),
        "Date": format_datetime(datetime.fromtimestamp(at // SECOND, UTC)),
        "Message-ID": f"<{message_id}@{dkim_domain}>",
    }
    if mail.reply_to:
        headers["Reply-To"] = _address(mail.reply_to, "Reply-To")
    if mail.unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    headers["MIME-Version"] = "1.0"
    plain_headers, plain = _part("plain", mail.text)
    if mail.html:
        html_headers, html = _part("html", mail.html)
        # Quoted-printable holds no "=_", so the boundary cannot stand in a part.
        boundary = f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
        headers["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
        parts = ((plain_headers, plain), (html_headers, html))
        body = (
            "".join(f"--{boundary}\r\n{_written(head)}\r\n{text}\r\n" for head, text in parts) + f"--{boundary}--\r\n"
        )
    else:
        headers |= plain_headers
        body = f"{plain}\r\n"
    return f"{_written(headers)}\r\n{body}".encode("ascii")


def _written(headers: dict[str, str]) -> str:
    for name, value in headers.items():
        if not _FOLDED.fullmatch(value):
            raise MailInvalid(name)
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _part(kind: str, text: str) -> tuple[dict[str, str], str]:
    one_ending = re.sub(r"\r\n?", "\n", text).rstrip("\n")
    # The encoder takes bytes spelled as Latin-1.
    spelled = one_ending.encode(errors="replace").decode("latin-1")
    headers = {
        "Content-Type": f'text/{kind}; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
    }
    return headers, body_encode(spelled, eol="\r\n")


def _words(text: str, header: str) -> str:
    if _ASCII.fullmatch(text) and "=?" not in text and len(text) <= 66:
        return text
    if not text.isprintable():
        raise MailInvalid(header)
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")


def _address(written: str, header: str) -> str:
    try:
        name, address = read_address(written)
    except ValueError:
        raise MailInvalid(header) from None
    if not name:
        return address
    named = _words(name, header)
    return f'"{quote(name)}" <{address}>' if named == name else f"{named}\r\n <{address}>"
