"""A workspace that sends: purposes with recipients, people, a webhook beside the test, its receiver in a thread.

In:    what the receiver answers.
Out:   `shop`, `receiving`, `carry`.
Never: a double of courier, gate or wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.deliver.receiver import Answering, Receiver, receiver
from tillit.consent import Choice
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
controller: {name: Ek, address: Storgatan 1, contact: privacy@ek.example, country: SE, url: "https://ek.example/p"}
recipients: {carrier: {name: Carrier AB, country: SE, contact: dpo@carrier.example, address: Box 2}}
notices: {news: {version: "1", language: en, text: We write., effective_from: 2026-01-01}}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [carrier]}
  newsletter:
    title: News
    basis: consent
    fields: [identifiers, traits.firstName]
    notice: news
    recipients: [carrier]
"""
MESSENGER = (
    "destination: messenger\nkind: webhook\npurpose: service\nsend: messages\nrecipient: carrier\n"
    "to: {{url: '{url}'}}\n"
)
CRM = (
    "destination: crm\nkind: webhook\npurpose: newsletter\nsend: people\nrecipient: carrier\n"
    "to: {{url: '{url}'}}\nfields: {{first_name: traits.firstName, mail: identifiers.email}}\n"
)
HELLO = (
    "template: hello\npurpose: service\nclass: transactional\ndestination: messenger\n"
    "body: {text: 'Hello {{ profile.traits.firstName }}, order {{ message.order }} is on its way.'}\n"
)


def make_shop(folder: Path) -> Workspace:
    """Open a workspace in which Ana said yes to news, and Bo to nothing."""
    create_workspace(folder)
    (folder / "tillit.toml").write_text('[deliver]\nallow_private = ["127.0.0.1"]\n', encoding="utf-8")
    ws = Workspace(folder)
    ws.consent.apply(PURPOSES, reason="", operator="kim")
    for name in ("ana", "bo"):
        ws.identify(user_id=name, traits={"firstName": name.title(), "email": f"{name}@example.org"})
    ws.flush()
    ws.consent.set("user_id:ana", [Choice("newsletter", "given")], evidence="form-1")
    return ws


@contextlib.contextmanager
def receiving(answering: Answering) -> Iterator[Receiver]:
    """Run a receiver in a thread of its own, as a stranger's server."""
    loop = asyncio.new_event_loop()
    is_up, is_over = threading.Event(), asyncio.Event()
    there: list[Receiver] = []

    async def stand() -> None:
        async with receiver(answering) as one:
            there.append(one)
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(stand(),))
    thread.start()
    is_up.wait()
    try:
        yield there[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()


def carry(ws: Workspace) -> None:
    """Let a courier do all there is to do."""
    ws.flush()
    asyncio.run(ws.deliveries.courier("courier").run(until_idle=True))
    ws.flush()
