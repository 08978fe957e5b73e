"""Tell what one customer does, as calls that every SDK can make.

In:    the customer's user id and the device she uses before she says who she is.
Out:   calls in the words of the protocol: a type and its fields.
Never: message ids. Each SDK makes its own, and the tests ask the SDK which it made.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

Call = dict[str, Any]


@dataclass(frozen=True)
class Customer:
    user_id: str
    device: str
    email: str


def somebody() -> Customer:
    """A customer no other test knows: all tests share one server."""
    tail = uuid.uuid4().hex[:12]
    return Customer(user_id=f"ana-{tail}", device=f"phone-{tail}", email=f"ana-{tail}@example.org")


def shopping_trip(who: Customer) -> list[Call]:
    """Three anonymous calls, then an identify, then six known ones; every type of call at least once."""
    known, unknown = {"userId": who.user_id}, {"anonymousId": who.device}
    return [
        {"type": "track", **unknown, "event": "Product Viewed", "properties": {"sku": "boot-1", "price": 89.5}},
        {"type": "page", **unknown, "name": "Boots", "properties": {"path": "/boots"}},
        {"type": "track", **unknown, "event": "Product Viewed", "properties": {"sku": "boot-2", "size": 41}},
        {"type": "identify", **known, **unknown, "traits": {"email": who.email, "first_name": "Ana"}},
        {"type": "track", **known, "event": "Product Added", "properties": {"sku": "boot-2", "quantity": 1}},
        {"type": "page", **known, "name": "Checkout", "properties": {"path": "/checkout"}},
        {"type": "screen", **known, "name": "Basket", "properties": {"items": 1}},
        {"type": "track", **known, "event": "Order Completed", "properties": {"total": 99.9, "currency": "EUR"}},
        {"type": "group", **known, "groupId": f"club-{who.user_id}", "traits": {"name": "Walkers"}},
        {"type": "alias", **known, "previousId": who.device},
    ]


# What the story adds up to, counted by hand from the calls above.
TRACKED = {"Product Viewed": 2, "Product Added": 1, "Order Completed": 1}
N_CALLS = 10
