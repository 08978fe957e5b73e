"""A workspace whose time a test moves, with purposes of a shop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.still_clock import Clock, clock, ws
from tillit.records import TRUST_CLAIMED, TRUST_SERVER
from tillit.workspace import Workspace

__all__ = ["Clock", "clock", "ws"]

PURPOSES = """
controller: {name: Ekbergs AB, address: Storgatan 1, contact: privacy@ekbergs.example, country: SE,
  url: "https://ekbergs.example/privacy"}
recipients:
  mailer: {name: Posten Mail, country: SE, contact: dpo@mailer.example, address: Box 1}
notices:
  newsletter: {version: "2", language: en, text: We write to you twice a month., effective_from: 2026-01-01}
sources: {site: [analytics, ads]}
purposes:
  service: {title: Service, basis: contract, fields: all}
  bookkeeping: {title: Bookkeeping, basis: legal_obligation, fields: [identifiers.user_id, events.Order Completed]}
  analytics: {title: Analytics, basis: legitimate_interest, fields: all, categories: [Analytics]}
  newsletter:
    title: Newsletter
    dpv: dpv:DirectMarketing
    basis: consent
    retention: 24 months
    fields: [identifiers.email, traits.firstName, events]
    categories: [Marketing]
    channels: [email, sms]
    recipients: [mailer]
    notice: newsletter
    valid_for: 24 months
  ads:
    title: Advertising
    basis: consent
    fields: [identifiers.email]
    categories: [Ads]
    signals: [gpc]
    confirm: true
  profiling:
    title: Recommendations
    basis: consent
    fields: all
    categories: [Personalisation, Analytics]
    jurisdictions: {US-CA: {basis: legitimate_interest, signals: [gpc]}}
"""


class Shop:
    """A workspace, and short words for what happens in it."""

    def __init__(self, ws: Workspace, clock: Clock) -> None:
        self.ws = ws
        self.clock = clock
        self._n = 0

    def say(self, trust: int = TRUST_SERVER, /, *, source: str = "shop", **event: Any) -> None:
        """One event, a second after the last."""
        self._n += 1
        self.clock.at += 1_000_000
        message = {"type": "track", "event": "Viewed", "messageId": f"m{self._n}", **event}
        self.ws.append([message], trust=trust, source=source)
        self.ws.flush()

    def web(self, **event: Any) -> None:
        """One event that anyone could send."""
        self.say(TRUST_CLAIMED, source="web", **event)

    def chooses(self, who: dict[str, str], trust: int = TRUST_SERVER, /, **purposes: Any) -> None:
        """An act of consent."""
        self.say(trust, event="Consent Updated", properties={"purposes": purposes}, **who)

    def may(self, who: str, purpose: str, **how: Any) -> bool:
        """Whether somebody's data may be used now."""
        return bool(self.ws.consent.decide(who, purpose, **how)["permitted"])

    def why_not(self, who: str, purpose: str, **how: Any) -> str | None:
        """The reason, or None when it may."""
        found: str | None = self.ws.consent.decide(who, purpose, **how)["reason"]
        return found

    def read(self, who: str, purpose: str) -> dict[str, Any]:
        """The profile for a purpose."""
        return self.ws.profiles.get(who, purpose=purpose)


@pytest.fixture
def shop(ws: Workspace, clock: Clock) -> Shop:
    ws.consent.apply(PURPOSES, operator="maria", reason="the lawyer's list")
    return Shop(ws, clock)
