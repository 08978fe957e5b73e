"""Claims that every test of the matrix makes about what has arrived.

In:    a server, a customer, and the message ids that the SDK says it sent.
Out:   nothing, or a failed assertion.
Never: waits for an SDK: whoever calls knows when it is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from tests.running import RunningServer
from tests.sdk.story import TRACKED, Customer


def assert_in_profile_once(server: RunningServer, who: Customer, device: str, message_ids: Collection[str]) -> None:
    """Every message is in the one profile of user and device, once, and the counts and traits say the same."""
    server.settle()
    by_user = server.find_profile(f"user_id:{who.user_id}")
    by_device = server.find_profile(f"anonymous_id:{device}")
    arrived = server.events_of(f"user_id:{who.user_id}")

    assert Counter(event["message_id"] for event in arrived) == Counter(message_ids)
    assert by_user is not None
    assert by_device is not None
    assert by_user["id"] == by_device["id"]
    assert {name: by_user["counts"][name] for name in TRACKED} == TRACKED
    assert by_user["traits"]["email"]["value"] == who.email


def fates_of_resends(server: RunningServer, message_ids: Collection[str]) -> list[str]:
    """What became of the messages that stand in the log more than once; all must stand there as applied once."""
    fates = server.fates()
    rows = [(position, body["messageId"]) for position, body in server.log_events() if body["messageId"] in message_ids]
    applied = [message_id for position, message_id in rows if position not in fates]

    assert Counter(applied) == Counter(message_ids)
    return [fates[position] for position, _ in rows if position in fates]
