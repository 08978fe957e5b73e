"""A real mail server on this machine that does as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "mail.shop.example"
USER, PASSWORD = b"shop", b"open sesame"
DROP = "drop"  # break the connection instead of answering


class Server(SMTP):
    """It leaves a connection where it is told to."""

    wire: asyncio.BaseTransport | None = None  # the one below TLS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = self.wire or transport
        super().connection_made(transport)

    def leave(self) -> None:
        assert isinstance(self.wire, asyncio.WriteTransport)
        self.wire.abort()


class Postbox:
    """What the server is told to answer, and what came to it."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers  # step: answer
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.n_connections = 0
        self.port = 0

    async def _answer(self, step: str, server: Server, usual: str) -> str:
        told = self.answers.get(step, usual)
        if told == DROP:
            server.leave()
        return told

    async def handle_MAIL(  # noqa: N802 - the server looks for this name
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._answer("mail", server, "250 ok")

    async def handle_RCPT(  # noqa: N802
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        told = await self._answer("rcpt", server, "250 ok")
        if told.startswith("2"):
            envelope.rcpt_tos.append(address)
        return told

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.content
        assert isinstance(raw, bytes)
        self.mails.append((envelope.mail_from or "", list(envelope.rcpt_tos), raw))
        return await self._answer("dot", server, "250 2.0.0 Ok: queued as 4F2A17")


def certificate(name: str = HOST) -> tuple[bytes, bytes]:
    """Make a certificate that signs itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), private


def server_side(pem: tuple[bytes, bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        path.write_bytes(b"".join(pem))
        context.load_cert_chain(path)
    return context


@asynccontextmanager
async def opened(box: Postbox, tls: ssl.SSLContext | None = None, *, has_auth: bool = False) -> AsyncIterator[Postbox]:
    """Serve until the block ends."""

    def is_known(server: Any, session: Any, envelope: Any, mechanism: str, told: Any) -> AuthResult:
        return AuthResult(success=(told.login, told.password) == (USER, PASSWORD), handled=False)

    def serve() -> Server:
        box.n_connections += 1
        authenticator: Callable[..., AuthResult] | None = is_known if has_auth else None
        served = Server(
            box,
            hostname=HOST,
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=authenticator,
            auth_required=has_auth,
            loop=asyncio.get_running_loop(),
        )
        everybody.append(served)
        return served

    everybody: list[Server] = []
    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for served in everybody:
            if served.wire is not None:
                served.leave()
        for _ in range(3):  # the loop closes their sockets in its next rounds
            await asyncio.sleep(0)
