"""Requests and packages over a real workspace whose time a test moves."""

import hashlib
import hmac
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.still_clock import Clock
from tillit.privacy import REQUEST_MIGRATIONS, RequestJournal
from tillit.store import SqliteState
from tillit.workspace import Workspace
from tillit.workspace.exports import Exports, Others
from tillit.workspace.requests import Check, Requests, Way


def token(profile_id: str) -> str:
    return hmac.new(b"a secret of the workspace", profile_id.encode(), hashlib.sha256).hexdigest()


class Desk(NamedTuple):
    """Where requests are taken."""

    ws: Workspace
    clock: Clock
    journal: RequestJournal
    exports: Exports
    requests: Requests

    def with_ways(self, ways: Mapping[str, Way], checks: Mapping[str, Check] | None = None) -> Requests:
        return Requests(self.journal, self.ws.profiles, self.exports, token=token, ways=ways, checks=checks)


def exports_of(ws: Workspace, others: Others | None = None) -> Exports:
    return Exports(
        ws.paths.root / "exports",
        ws.profiles,
        scope=ws.own_scope,
        epoch=ws.log.epoch,
        token=token,
        now=ws.now,
        others=others,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteState]:
    store = SqliteState(tmp_path / "requests.db", cache_kb=512)
    store.migrate(REQUEST_MIGRATIONS)
    yield store
    store.close()


@pytest.fixture
def journal(store: SqliteState, clock: Clock) -> RequestJournal:
    ids = itertools.count(1)
    return RequestJournal(store, now=clock.now, new_id=lambda: f"r{next(ids)}")


@pytest.fixture
def desk(ws: Workspace, clock: Clock, journal: RequestJournal) -> Desk:
    ws.append(
        [
            {
                "type": "identify",
                "userId": "ana",
                "traits": {"email": "ana@example.org", "name": "Ana Ek", "partner": "Bo Berg"},
                "context": {"ip": "192.0.2.7"},
            },
            {
                "type": "track",
                "userId": "ana",
                "event": "Order Completed",
                "properties": {"total": 49.9, "giftRecipient": {"name": "Bo Berg"}, "note": "for bo@example.org"},
            },
            {"type": "identify", "userId": "bo", "traits": {"email": "bo@example.org", "name": "Bo Berg"}},
        ]
    )
    ws.flush()
    exports = exports_of(ws)
    return Desk(ws, clock, journal, exports, Requests(journal, ws.profiles, exports, token=token))
