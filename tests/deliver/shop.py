"""A shop that sends: purposes, destinations, people who buy, and a courier that works until nothing is due.

In:    a folder; where the receivers are.
Out:   `Shop`.
Never: a stand-in for log, state, queue, courier or wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tillit import clock
from tillit.consent import Choice
from tillit.ledger import Disclosure
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
recipients:
  crm: {name: CRM Ltd, country: SE}
  mailer: {name: Mailer GmbH, country: DE}
notices:
  letters: {version: "1", language: en, text: Letters., effective_from: 2020-01-01}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [crm, mailer]}
  newsletter: {title: Newsletter, basis: consent, fields: all, recipients: [crm, mailer], notice: letters}
"""
EVENTS_FIELDS = {"id": "profile.id", "mail": "identifiers.email", "city": "traits.city", "total": "properties.total"}
PEOPLE_FIELDS = {"id": "profile.id", "mail": "identifiers.email", "city": "traits.city"}


class Shop:
    """One workspace with what its destinations are called."""

    def __init__(self, folder: Path, *, now: Callable[[], int] = clock.now_us) -> None:
        if not (folder / "tillit.toml").exists():
            create_workspace(folder)
            (folder / "tillit.toml").write_text(
                '[deliver]\nallow_private = ["127.0.0.1"]\npublic_url = "https://shop.example"\nlease_s = 5\n'
            )
        self.ws = Workspace(folder, now=now)
        if "newsletter" not in self.ws.consent.declared().purposes:
            self.ws.consent.apply(PURPOSES, operator="kim", reason="test")
            self.ws.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ws.close()

    # -- definitions

    def destination(self, name: str, url: str, send: str, **more: Any) -> None:
        """Apply a webhook. `more`: what its definition says besides."""
        to = {"url": url, **more.pop("to", {})}
        told: dict[str, Any] = {
            "destination": name,
            "kind": "webhook",
            "purpose": "newsletter",
            "recipient": "crm",
            "send": send,
        }
        told |= {"to": to, **more}
        if send == "events":
            told.setdefault("events", ["*"])
        if send != "messages":
            told.setdefault("fields", EVENTS_FIELDS if send == "events" else PEOPLE_FIELDS)
        self.apply(told)

    def apply(self, told: dict[str, Any]) -> None:
        """Apply a definition."""
        # JSON is YAML.
        self.ws.deliveries.apply(msgspec.json.encode(told).decode(), reason="test", operator="kim")

    # -- people

    def people(self, numbers: range) -> None:
        """Make people known who want the newsletter: an address, and a city."""
        told: list[dict[str, Any]] = []
        for number in numbers:
            traits = {"email": f"u{number}@example.org", "city": f"city {number % 7}"}
            told.append({"type": "identify", "userId": f"u{number}", "traits": traits})
            said = {"purposes": {"newsletter": True}}
            told.append({"type": "track", "event": "Consent Updated", "userId": f"u{number}", "properties": said})
        self.ws.append(told)
        self.ws.flush()

    def say(self, number: int, state: str) -> None:
        """Let one of them choose about the newsletter."""
        self.ws.consent.set(f"user_id:u{number}", [Choice("newsletter", state)], evidence="a form")

    def buy(self, number: int, **properties: Any) -> None:
        """Let one of them buy."""
        self.ws.track(user_id=f"u{number}", event="Order Completed", properties=properties)

    def profile(self, number: int) -> dict[str, Any]:
        """Give what is known of one of them."""
        found = self.ws.profiles.find(f"user_id:u{number}", self.ws.own_scope())
        assert found is not None
        return found

    # -- couriers

    async def carry_once(self, name: str = "courier") -> None:
        """Send until nothing is due at a destination that takes anything."""
        self.ws.flush()
        await self.ws.deliveries.courier(name).run(until_idle=True)
        self.ws.flush()

    async def carry(self, name: str = "courier") -> None:
        """Send until nothing is due, also of what follows from it."""
        for _ in range(500):
            await self.carry_once(name)
            if not self.is_anything_left():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it does not come to an end")

    def is_anything_left(self) -> bool:
        """Say whether work waits that is due now."""
        store, now = self.ws.deliveries.queue.store, self.ws.now()
        left = store.read("SELECT 1 FROM delivery WHERE state = 'waiting' AND due_at <= ? LIMIT 1", (now,))
        left = left or store.read("SELECT 1 FROM touched LIMIT 1")
        return bool(
            left or self.ws.state.read("SELECT 1 FROM outbox WHERE position > ?", (self.ws.deliveries.taken(),))
        )

    def run(self) -> None:
        """Send until nothing is due, with receivers outside of this process."""
        asyncio.run(self.carry())

    # -- what came of it

    def disclosures(self) -> list[Disclosure]:
        """Give what the ledger says of everybody."""
        told: list[Disclosure] = []
        before: int | None = None
        while True:
            found = self.ws.ledger.search(kind="disclosure", limit=1_000, before=before)
            told += [one.entry for one in found.entries if isinstance(one.entry, Disclosure)]
            if found.next is None:
                return told
            before = found.next

    def states(self, destination: str) -> dict[str, int]:
        """Count a destination's deliveries by state."""
        return self.ws.deliveries.queue.history.counts(destination)
