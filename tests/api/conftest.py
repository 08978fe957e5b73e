"""A workspace with three people and an API before it.

In:    an empty folder.
Out:   `ws`, `ask`, `keys`; time goes on only when a test says so.
Never: a socket.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.api.asking import Asker
from tests.still_clock import Clock
from tillit.access import API_SCOPES
from tillit.api import create_api
from tillit.clock import SECOND
from tillit.workspace import Workspace

START = 1_772_355_600 * SECOND  # 2026-03-01T09:00:00Z


class KeyRing(NamedTuple):
    """One key of each sort, in plain."""

    all: str  # api, every scope
    reader: str  # api, what a key gets when no scope is named
    analyst: str  # api, profiles:read, made for analytics
    scopeless: str  # api, only a scope that no reading route takes
    revoked: str
    public: str
    secret: str


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def keys(ws: Workspace) -> KeyRing:
    create = ws.keys.create
    revoked, key = create("api", "old", scopes=API_SCOPES)
    ws.keys.revoke(key.key_id)
    return KeyRing(
        all=create("api", "office", scopes=API_SCOPES, purposes=["service", "analytics"])[0],
        reader=create("api", "reader", purposes=["service", "analytics"])[0],
        analyst=create("api", "analyst", scopes=["profiles:read"], purposes=["analytics"])[0],
        scopeless=create("api", "meter", scopes=["metrics:read"])[0],
        revoked=revoked,
        public=create("public", "web")[0],
        secret=create("secret", "shop")[0],
    )


@pytest.fixture
def ask(ws: Workspace, clock: Clock) -> Iterator[Asker]:
    api = create_api(ws, monotonic_s=clock.monotonic_s)
    asker = Asker(api)
    yield asker
    api.close()
    asker.close()


@pytest.fixture
def people(ws: Workspace) -> Workspace:
    """Ana (browses, signs in, buys twice), Bo (one order), and somebody unknown."""
    at = "2026-03-01T08:0{}:00Z".format
    ws.page(anonymous_id="dev-1", name="Home", timestamp=at(0), message_id="m1")
    ws.identify(
        user_id="42",
        anonymous_id="dev-1",
        traits={"email": "ana@example.org", "firstName": "Ana"},
        timestamp=at(1),
        message_id="m2",
    )
    ws.track(user_id="42", event="Order Completed", properties={"total": 10}, timestamp=at(2), message_id="m3")
    ws.track(user_id="42", event="Order Completed", properties={"total": 20}, timestamp=at(3), message_id="m4")
    ws.track(user_id="7", event="Order Completed", properties={"total": 5}, timestamp=at(4), message_id="m5")
    ws.page(anonymous_id="dev-9", name="Home", timestamp=at(5), message_id="m6")
    ws.flush()
    return ws
