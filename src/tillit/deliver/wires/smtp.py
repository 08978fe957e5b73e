"""SMTP: one mail to one person, handed to a mail server, and what became of it.

In:    mails that have leave to go; a server, names of secrets, who gives its addresses.
Out:   mails on the wire, signed; what each came to, in the server's words.
Never: a mail or a password in the clear, but to a host that the operator allows; a connection to an address that was
       not checked; an answer made up for a server that gave none.

A mail is the server's from its answer to the final dot. The dot goes to the kernel together with the text, so a
connection that breaks between the server's leave to write and that answer leaves the mail UNKNOWN: the server may have
it (RFC 5321 section 6.1, RFC 1047). Before that leave nothing was kept there, but from RCPT on it was told the address.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPResponseException, SMTPServerDisconnected

from tillit.clock import monotonic_s
from tillit.deliver.bounces import bad_address, enhanced_code
from tillit.deliver.definitions import DefinitionInvalid, Destination, read_to_as
from tillit.deliver.dkim import Key, is_name, read_key, sign
from tillit.deliver.mime import MailInvalid, write_mail
from tillit.deliver.outward import check_host
from tillit.deliver.templates import read_address
from tillit.deliver.wire import (
    DELIVERED,
    HALTED,
    LATER,
    REFUSED,
    UNKNOWN,
    Answer,
    Checked,
    Mail,
    Outgoing,
    cut_words,
)
from tillit.deliver.wires import Ways
from tillit.errors import TillitError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # a host and a port: the addresses that may be connected to

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
_SENT, _NO_LEAVE = 250, (530, 534, 535, 538)  # of AUTH: RFC 4954 section 6
_WRITE = 354
_DOT_FIRST = re.compile(rb"(?m)^\.")
# As Postfix, Exim and Amazon SES name what they took.
_REFERENCE = re.compile(
    r"queued as ([\w.@+-]{4,128})|\bid=([\w.@+-]{4,128})|^(?:2\.\d\.\d )?ok:? ([\w.@+-]{16,128})$", re.IGNORECASE
)


class DkimTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose domain signs, and with which key."""

    domain: str
    selector: str
    secret: str  # name of the secret that holds the private key, in PEM


class SmtpTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which server takes the mails, and how it is asked to."""

    host: str
    sender: str  # the From of templates that name none
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    secret: str = ""  # name of the secret that is the user's password
    return_path: str = ""  # where bounces go; empty: to the sender
    dkim: DkimTo | None = None


def read_to(where: str, to: Mapping[str, Any], *, is_private: Callable[[str], bool]) -> SmtpTo:
    """Read the `to:` of e-mail. Raises DefinitionInvalid. `is_private`: whether the operator allows a host inside."""
    told = read_to_as(where, to, SmtpTo)
    if not _HOST.fullmatch(told.host):
        raise DefinitionInvalid(where, "to.host must be the name of a mail server, or its number.")
    if not 1 <= told.port <= 65_535:
        raise DefinitionInvalid(where, f"there is no port {told.port}.")
    if told.tls == "none" and not is_private(told.host):
        raise DefinitionInvalid(where, "without TLS everybody on the way reads along. Say `tls: starttls`, or `tls`.")
    if told.tls == "none" and told.user:
        raise DefinitionInvalid(where, "without TLS no password goes out. Leave `user` out, or say `tls: starttls`.")
    if bool(told.user) != bool(told.secret):
        raise DefinitionInvalid(where, "`user` and `secret` go together: who signs in, and with what.")
    for name, address in (("sender", told.sender), ("return_path", told.return_path)):
        if address or name == "sender":
            try:
                named, _ = read_address(address)
            except ValueError as exc:
                raise DefinitionInvalid(where, f"to.{name}: {exc}.") from None
            if named and name == "return_path":
                raise DefinitionInvalid(where, "to.return_path is an address alone.")
    if told.dkim is not None and not (is_name(told.dkim.domain) and is_name(told.dkim.selector) and told.dkim.secret):
        raise DefinitionInvalid(where, "to.dkim wants a domain, a selector, and the name of a secret.")
    return told


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where mails are handed over. Raises DefinitionInvalid, OutwardInvalid, OutwardRefused."""
    _place(destination, ways)


def open_wire(destination: Destination, ways: Ways) -> "SmtpWire":
    """Open a mail server, in a running loop; see `SmtpWire`."""
    place = _place(destination, ways)
    return SmtpWire(
        destination,
        secret=lambda name: ways.revealed(name, place),
        resolve=ways.resolve,
        is_private=ways.allow.is_named,
    )


def _place(destination: Destination, ways: Ways) -> str:
    """Name the server as `host:port`, by which secrets are bound: the key that signs too."""
    told = read_to(f"Destination {destination.destination!r}", destination.to, is_private=ways.allow.is_named)
    host = check_host(told.host, allow=ways.allow)
    return f"[{host}]:{told.port}" if ":" in host else f"{host}:{told.port}"


# Inside this file alone; it becomes an answer.
class _Halt(Exception):
    def __init__(self, code: str, words: str) -> None:
        self.code, self.words = code, words


class SmtpWire:
    """A mail server, open. Its connections are kept and used again."""

    is_idempotent: bool = False
    n_together: int = 1

    def __init__(
        self,
        destination: Destination,
        *,
        secret: Callable[[str], str],
        resolve: Resolve,
        is_private: Callable[[str], bool],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Open it, in a running loop; nothing is connected yet.

        Shape:  secret gives one by its name; tls is what judges certificates, of itself as this machine does.
        Raises: DefinitionInvalid, and what `secret` raises.
        """
        self._to = read_to(f"Destination {destination.destination!r}", destination.to, is_private=is_private)
        self._limits = destination.limits
        self._resolve = resolve
        self._password = secret(self._to.secret) if self._to.secret else ""
        self._key: Key | None = read_key(secret(self._to.dkim.secret)) if self._to.dkim is not None else None
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._idle: list[SMTP] = []

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Send each mail; one answer per item, in order."""
        return [await self._send(item) for item in items]

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Say that mail cannot be taken back."""
        return [Answer(REFUSED, "email.not-removable", has_left=False) for _ in items]

    async def check(self) -> Checked:
        """Connect, sign in and leave, without naming anybody."""
        began = monotonic_s()
        client: SMTP | None = None
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                client = await self._open()
                said = client.last_ehlo_response.message if client.last_ehlo_response is not None else ""
                await client.quit()
            answer = Answer(DELIVERED, words=said.partition("\n")[0])
        except (SMTPException, OSError, TillitError, _Halt) as exc:
            answer = _broken(exc, "connect")
        finally:
            if client is not None:
                client.close()
        words = answer.words if answer.outcome == DELIVERED else f"{answer.code} {answer.words}".strip()
        return Checked(answer.outcome == DELIVERED, cut_words(words), (monotonic_s() - began) * 1_000)

    async def close(self) -> None:
        """Leave, and let go of the connections."""
        idle, self._idle = self._idle, []
        for client in idle:
            with suppress(SMTPException, OSError):
                async with asyncio.timeout(1):
                    await client.quit()
            client.close()

    async def _send(self, item: Outgoing) -> Answer:
        if item.mail is None:
            return Answer(REFUSED, "email.no-mail", has_left=False)
        try:
            raw = self._written(item, item.mail)
        except MailInvalid as exc:
            return Answer(REFUSED, "email.invalid", exc.message, has_left=False)
        sender = self._to.return_path or read_address(item.mail.sender)[1]
        client: SMTP | None = None
        step = "connect"
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                client = await self._take()
                step = "mail"
                await client.mail(sender)
                step = "rcpt"
                await client.rcpt(item.mail.recipient)
                step = "data"
                leave = await client.execute_command(b"DATA")
                if leave.code != _WRITE:
                    raise SMTPDataError(leave.code, leave.message)
            async with asyncio.timeout(self._limits.timeout_s):
                if client.protocol is None:
                    raise SMTPServerDisconnected("it left")
                step = "dot"
                client.protocol.write(_DOT_FIRST.sub(b"..", raw) + b".\r\n")
                reply = await client.protocol.read_response()
            answer = self._answered(reply.code, reply.message)
        except SMTPResponseException as exc:
            answer = _said_no(step, exc.code, exc.message)
            if client is not None and not 400 <= exc.code < 600:
                client.close()
        except (SMTPException, OSError, TillitError, _Halt) as exc:
            if client is not None:
                client.close()
            answer = _broken(exc, step)
        except BaseException:
            # Called off between two commands: who comes next must not read the answer to the first.
            if client is not None:
                client.close()
            raise
        if client is not None:
            self._give_back(client)
        return answer

    def _written(self, item: Outgoing, mail: Mail) -> bytes:
        to = self._to
        domain = to.dkim.domain if to.dkim is not None else read_address(mail.sender)[1].rpartition("@")[2]
        raw = write_mail(mail, message_id=item.key, at=item.at, dkim_domain=domain)
        if to.dkim is None or self._key is None:
            return raw
        return sign(raw, domain=domain, selector=to.dkim.selector, key=self._key, at=item.at)

    def _answered(self, code: int, message: str) -> Answer:
        """Judge what the server said to the final dot."""
        if code != _SENT:
            return _said_no("dot", code, message)
        words = cut_words(message)
        named = _REFERENCE.search(words)
        reference = next((one for one in named.groups() if one), "") if named else ""
        return Answer(DELIVERED, _code(code, message), words, reference=reference)

    # -- connections

    async def _take(self) -> SMTP:
        """Give a connection that was just seen alive."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.rset()
            except (SMTPException, OSError):
                client.close()
            except BaseException:
                client.close()
                raise
            else:
                return client
        return await self._open()

    def _give_back(self, client: SMTP) -> None:
        if client.is_connected and len(self._idle) < self._limits.at_once:
            self._idle.append(client)
        else:
            client.close()

    async def _open(self) -> SMTP:
        to = self._to
        addresses = await self._resolve(to.host, to.port)
        client = SMTP(
            hostname=to.host,  # by which its certificate is judged; connected is the address below
            sock=await _connected(addresses, to.port),
            local_hostname=read_address(to.return_path or to.sender)[1].rpartition("@")[2],
            use_tls=to.tls == "tls",
            start_tls=False,
            tls_context=self._tls,
            timeout=None,  # whoever calls sets one over all of it
        )
        try:
            await client.connect()
            await client.ehlo()
            if to.tls == "starttls":
                if not client.supports_extension("starttls"):
                    raise _Halt(
                        "smtp.no-starttls", "The server offers no STARTTLS, and nothing goes there in the clear."
                    )
                await client.starttls(server_hostname=to.host)
                await client.ehlo()
            if to.user:
                if not client.supported_auth_methods:
                    raise _Halt("smtp.no-auth", "The server offers no way to sign in that is known here.")
                await client.login(to.user, self._password)
        except BaseException:
            client.close()
            raise
        return client


async def _connected(addresses: Sequence[str], port: int) -> socket.socket:
    """Connect to the first of these addresses that answers, and to no other."""
    failed: OSError = OSError("no address")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError as exc:
            sock.close()
            failed = exc
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


# -- what went wrong


def _code(code: int, message: str) -> str:
    enhanced = enhanced_code(message)
    return f"smtp.{code}-{enhanced}" if enhanced else f"smtp.{code}"


def _said_no(step: str, code: int, message: str) -> Answer:
    """Judge a server's no: who it is about, and whether it is for good."""
    enhanced = enhanced_code(message)
    told = Answer(LATER, _code(code, message), cut_words(message), has_left=step in ("rcpt", "data", "dot"))
    if 400 <= code < 500:
        return told
    if not 500 <= code < 600:
        # An answer that SMTP does not know: to the dot, nobody can say what it means.
        return told._replace(outcome=UNKNOWN if step == "dot" else LATER)
    if step in ("connect", "mail") or code in _NO_LEAVE or enhanced.startswith("5.7."):
        return told._replace(outcome=HALTED)
    # After the text a bare 550 is as likely about what was written.
    is_bad = bad_address(code, enhanced) if step == "rcpt" else bool(enhanced) and bad_address(code, enhanced)
    return told._replace(outcome=REFUSED, bad_address=is_bad)


def _broken(exc: Exception, step: str) -> Answer:
    """Judge what kept the server from answering."""
    if isinstance(exc, SMTPResponseException):
        return _said_no(step, exc.code, exc.message)
    has_left = step in ("rcpt", "data", "dot")
    if isinstance(exc, _Halt):
        return Answer(HALTED, exc.code, exc.words, has_left=False)
    if isinstance(exc, TillitError):
        return Answer(HALTED, exc.code, cut_words(exc.message), has_left=False)
    if step == "dot":
        return Answer(UNKNOWN, "smtp.lost-after-text")
    cause: BaseException = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Answer(HALTED, "smtp.certificate", cut_words(cause.verify_message), has_left=False)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return Answer(HALTED, "smtp.tls", cut_words(str(cause.reason or "")), has_left=False)
    if isinstance(cause, TimeoutError):
        code = "connect.timeout" if step == "connect" else "smtp.timeout"
    elif isinstance(cause, ConnectionRefusedError):
        code = "connect.refused"
    elif isinstance(cause, socket.gaierror):
        code = "connect.no-address"
    else:
        code = "connect.failed" if step == "connect" else "smtp.lost"
    return Answer(LATER, code, has_left=has_left)
