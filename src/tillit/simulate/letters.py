"""What the simulated shop writes to its customers, and what it tells others.

In:    a folded workspace, a folder for mails; what customers do.
Out:   destinations and templates in force; requests for messages.
Never: a mail on its way to anybody: they lie in the folder.
"""

from pathlib import Path
from random import Random

import yaml

from tillit.errors import BusyError
from tillit.simulate.shop import Shop
from tillit.simulate.voices import Said
from tillit.workspace import Workspace

_OPERATOR = "maria"
_REASON = "what we write to customers"
_LETTER_EVERY, _CODE_EVERY = 12, 40  # messages of customers between two letters, and between two codes

_PARCELS = {
    "destination": "parcels",
    "title": "Slow Parcels, who do not answer",
    "kind": "webhook",
    "purpose": "service",
    "send": "events",
    "events": ["Order Completed"],
    "fields": {"order": "properties.order_id"},
    "most_attempts": 2,
    "to": {"url": "http://127.0.0.1:9/orders"},  # the port that throws away what it is told, and nobody opens
}
_TEMPLATES = (
    {
        "template": "order-confirmation",
        "title": "Thank you for your order",
        "purpose": "service",
        "class": "service",
        "destination": "mail",
        "subject": "Your order {{ message.order }}",
        "text": "Hello {{ profile.traits.firstName | default: 'there' }},\n\nthank you. Your order {{ message.order }} "
        "is being packed.\n\nKettle and Moss\n",
    },
    {
        "template": "letter",
        "title": "The letter about tea",
        "purpose": "newsletter",
        "class": "marketing",
        "destination": "mail",
        "subject": "The first flush is here",
        "html": "<p>Hello {{ profile.traits.firstName | default: 'there' }},</p><p>the first flush is here.</p>"
        '<p><a href="{{ unsubscribe_url }}">No more letters</a></p>',
    },
    {
        "template": "code",
        "title": "A code that verifies an address",
        "purpose": "service",
        "class": "transactional",
        "destination": "mail",
        "subject": "Your code",
        "text": "Your code is {{ message.code }}. It counts for ten minutes.\n",
        "expires_s": 600,
    },
)


class Letters:
    """The shop's post room."""

    def __init__(self, ws: Workspace, folder: Path, shop: Shop) -> None:
        """Write to customers of a workspace; the mails go into a folder."""
        self._deliveries = ws.deliveries
        self._folder = folder
        self._shop = shop
        self._rng = Random(f"tillit letters {shop.seed}")
        self._seen: list[str] = []
        self._n = 0

    def open(self) -> None:
        """Put destinations and templates in force, unless they are."""
        if self._deliveries.definitions().destination("mail") is not None:
            return
        mail = {
            "destination": "mail",
            "title": "Quiet Mail",
            "kind": "email",
            "purpose": "service",
            "send": "messages",
            "recipient": "mailer",
            "to": {"folder": str(self._folder), "sender": "Kettle and Moss <tea@shop.example.com>"},
        }
        for told in (mail, _PARCELS, *_TEMPLATES):
            self._deliveries.apply(yaml.safe_dump(told, sort_keys=False), reason=_REASON, operator=_OPERATOR)

    def hear(self, said: Said) -> None:
        """Write to whoever it is time to write to."""
        user = said.message.get("userId")
        if not isinstance(user, str):
            return
        self._n += 1
        self._seen = [*self._seen[-199:], f"user_id:{user}"]
        try:
            if said.message.get("event") == "Order Completed":
                order = str((said.message.get("properties") or {}).get("order_id", ""))
                self._deliveries.send("order-confirmation", self._seen[-1], {"order": order}, key=f"order-{order}")
            if self._n % _LETTER_EVERY == 0:
                self._deliveries.send("letter", self._rng.choice(self._seen), {})
            if self._n % _CODE_EVERY == 0:
                address = self._shop.customer(said.person).email
                self._deliveries.verifications.ask("code", f"email:{address}", self._seen[-1])
        except BusyError:
            return  # asked for too often, or the store is busy: customers go on
