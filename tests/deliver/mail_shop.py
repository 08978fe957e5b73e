"""A shop that writes to people through a real SMTP server on this machine.

In:    a folder; how the server answers.
Out:   a workspace with a destination and three templates; the mails that arrived, byte by byte.
Never: a clock of its own: time stands until a test moves it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from tests.api.asking import Answer, Asker
from tests.running import free_port
from tests.still_clock import Clock
from tillit.access import API_SCOPES
from tillit.api import create_api
from tillit.consent import Choice
from tillit.deliver.dkim import make_key
from tillit.portal import create_portal
from tillit.settings import Settings
from tillit.workspace import Workspace, create_workspace

NOON = 1_795_312_000_000_000
SELECTOR, DOMAIN = "tea", "shop.example.org"
PUBLIC = "https://mail.shop.example.org"
ANA, BO = "ana@example.org", "bo@example.org"

PURPOSES = """
controller: {name: Kettle & Moss, address: Kanelgatan 1, contact: privacy@example.com, country: SE, url: "https://k.example"}
recipients: {mailer: {name: Quiet Mail, contact: dpo@example.net, country: DE, role: processor}}
notices: {letters: {version: "1", language: en, text: We write about tea., effective_from: 2026-01-01}}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [mailer]}
  newsletter:
    title: News about tea
    basis: consent
    fields: [identifiers.email, traits.firstName]
    channels: [email]
    recipients: [mailer]
    notice: letters
"""
DESTINATION = """
destination: mail
kind: email
purpose: service
send: messages
recipient: mailer
feedback: {{shape: plain, secret: bounces}}
to:
  host: 127.0.0.1
  port: {port}
  tls: none
  sender: Kettle and Moss <tea@shop.example.org>
  dkim: {{domain: shop.example.org, selector: tea, secret: dkim}}
"""
TEMPLATES = (
    (
        "template: newsletter\npurpose: newsletter\nclass: marketing\ndestination: mail\nsubject: News about tea\n"
        "html: '<p>Hello {{ profile.traits.firstName }}. <a href=\"{{ unsubscribe_url }}\">No more</a></p>'\n"
    ),
    (
        "template: order\npurpose: service\nclass: service\ndestination: mail\nsubject: Thank you\n"
        "text: 'Your order {{ message.order }} is on its way.'\n"
    ),
    (
        "template: verify\npurpose: service\nclass: transactional\ndestination: mail\nsubject: Your code\n"
        "expires_s: 600\ntext: 'The code is {{ message.code }}.'\n"
    ),
)


class Catcher:
    """Takes mails, and says no where a test wants it."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.refuses: dict[str, str] = {}  # address -> answer to RCPT

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:  # noqa: N802 -- aiosmtpd's
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's
        self.raw.append(envelope.original_content)
        return "250 2.0.0 Ok: queued as 4Xabcd1234"

    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one, policy=policy.default) for one in self.raw]


class MailShop:
    """The shop. Ana and Bo agreed to letters."""

    def __init__(self, folder: Path, port: int, catcher: Catcher) -> None:
        create_workspace(folder)
        self.folder, self.catcher, self.port = folder, catcher, port
        self.clock = Clock(NOON)
        settings = Settings.load(
            folder, environ={}, given={"deliver.public_url": PUBLIC, "deliver.allow_private": ("127.0.0.1",)}
        )
        self.ws = Workspace(folder, settings=settings, now=self.clock.now)
        self.ws.consent.apply(PURPOSES)
        self.ws.outside.secrets.set("dkim", f"127.0.0.1:{port}", make_key("ed25519"), "kim")
        self.ws.outside.secrets.set("bounces", "feedback:0", "whsec_" + "c2VjcmV0" * 6, "kim")
        for text in (DESTINATION.format(port=port), *TEMPLATES):
            self.ws.deliveries.apply(text, reason="", operator="kim")
        for name, address in (("ana", ANA), ("bo", BO)):
            self.later()
            self.ws.identify(user_id=name, traits={"email": address, "firstName": name.title()})
            self.ws.flush()
            self.agree(name)
        self.api = create_api(self.ws)
        self.seconds = 0.0
        self.ask = Asker(create_portal(self.ws, slowly=self.api.slowly, monotonic_s=lambda: self.seconds))
        self.program = Asker(self.api)
        self.key, _ = self.ws.keys.create("api", "shop", scopes=API_SCOPES)

    def later(self, seconds: int = 1) -> None:
        """Let time pass."""
        self.clock.at += seconds * 1_000_000

    def pass_a_second(self) -> None:
        """Let the door's own clock go on."""
        self.seconds += 1

    def agree(self, name: str) -> None:
        """Let somebody agree to letters."""
        self.later()
        self.ws.consent.set(f"user_id:{name}", [Choice("newsletter", "given", ("email",))], evidence="form-1")

    def send(self, template: str, who: str, **data: Any) -> str:
        """Ask for a message and carry it; give its key."""
        self.later()
        asked = self.ws.deliveries.send(template, who, data)
        self.carry()
        return asked.key

    def carry(self) -> None:
        """Let the courier do all there is."""
        self.ws.flush()
        asyncio.run(self.ws.deliveries.courier("courier").run(until_idle=True))
        self.ws.flush()

    def state(self, key: str) -> tuple[str, str]:
        """Say what became of a message."""
        found = self.ws.deliveries.queue.history.find_by_key(bytes.fromhex(key))
        assert found is not None
        return found.state, found.code

    def events(self, name: str) -> list[str]:
        """Give what the last events of a person are called."""
        self.ws.flush()
        found = self.ws.profiles.events(f"user_id:{name}", self.ws.scope())
        assert found is not None
        return [str(one["name"]) for one in found[0]]

    def may(self, name: str) -> bool:
        """Say whether somebody may be sent letters."""
        return bool(self.ws.consent.decide(f"user_id:{name}", "newsletter", channel="email")["permitted"])

    def token(self) -> str:
        """Give the token of the last mail's link."""
        link = str(self.catcher.mails()[-1]["List-Unsubscribe"])
        found = re.fullmatch(rf"<{re.escape(PUBLIC)}(/u/[^>]+)>", link)
        assert found is not None
        return found[1]

    def click(self, target: str, body: bytes = b"List-Unsubscribe=One-Click") -> Answer:
        """Post as a mail server does: no cookie, no page before."""
        return self.ask("POST", target, raw=body, headers={"content-type": "application/x-www-form-urlencoded"})

    def close(self) -> None:
        self.ask.close()
        self.program.close()
        self.api.close()
        self.ws.close()


@contextmanager
def open_shop(folder: Path) -> Iterator[MailShop]:
    """Open a shop and its mail server."""
    catcher = Catcher()
    port = free_port()
    server = Controller(catcher, hostname="127.0.0.1", port=port)
    server.start()
    shop = MailShop(folder, port, catcher)
    try:
        yield shop
    finally:
        shop.close()
        server.stop()
