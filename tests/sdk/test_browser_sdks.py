"""Unmodified browser SDKs, in a real Chromium, on a page of another origin, against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.running import RunningServer
from tests.sdk.arrivals import assert_in_profile_once, fates_of_resends
from tests.sdk.faulty_proxy import (
    CUT,
    REFUSED,
    REFUSED_FOR_1_S,
    REFUSED_UNREADABLY,
    SLOW,
    STORED_BUT_CUT,
    STORED_BUT_REFUSED,
    STORED_BUT_REFUSED_UNREADABLY,
    Fault,
    FaultyProxy,
)
from tests.sdk.page_server import HERE, PageServer
from tests.sdk.sdks import BROWSER_BUILDS, snippet
from tests.sdk.story import N_CALLS, Call, Customer, shopping_trip, somebody

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sdk_packages")]

# The SDK doubles its pause with each resend, and a busy machine makes room for more of them.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class BrowserSdk:
    """One way in which a site may run the SDK."""

    name: str
    build: str
    delivery: dict[str, Any] | None = None

    def page(self, *, key: str, host: str, story: Sequence[Call]) -> str:
        """A page that loads this build from the site itself and tells the story."""
        segment: dict[str, Any] = {"apiHost": f"{urlsplit(host).netloc}/v1", "protocol": "http"}
        if self.delivery is not None:
            segment["deliveryStrategy"] = self.delivery
        load = {
            "settings": {"writeKey": key, "cdnURL": host},
            "options": {"integrations": {"Segment.io": segment}},
        }
        html = (HERE / "pages" / "npm.html").read_text()
        html = html.replace("__BUILD__", BROWSER_BUILDS[self.build]).replace("__LOAD__", json.dumps(load))
        return html.replace("__STORY__", json.dumps(story))


CURRENT = BrowserSdk("analytics-next 1.84.3", "1.84.3")
CURRENT_IN_BATCHES = BrowserSdk(
    "analytics-next 1.84.3 in batches", "1.84.3", {"strategy": "batching", "config": {"size": 4, "timeout": 200}}
)
# In batches this one always speaks https, so it cannot be tried without a certificate.
OLD = BrowserSdk("analytics-next 1.70.0", "1.70.0")

# What befalls which SDK. The old one reads no status: an answer its page may read, whatever it says, is a success to
# it. So only what the page may not read makes it send again; test_the_old_sdk_drops_what_a_readable_answer_refuses.
FAULTS: dict[str, list[list[Fault]]] = {
    CURRENT.name: [
        *([REFUSED, STORED_BUT_CUT], [STORED_BUT_REFUSED], [CUT, SLOW], [REFUSED_UNREADABLY], [STORED_BUT_CUT]),
        *([REFUSED_FOR_1_S], [STORED_BUT_REFUSED_UNREADABLY]),
    ],
    # One plan: until its first batch is through, this one adds what comes later to that batch.
    CURRENT_IN_BATCHES.name: [[REFUSED, STORED_BUT_CUT, STORED_BUT_REFUSED]],
    OLD.name: [
        *([REFUSED_UNREADABLY, STORED_BUT_CUT], [STORED_BUT_REFUSED_UNREADABLY], [CUT, SLOW], [STORED_BUT_CUT]),
        [CUT],
    ],
}
each_sdk = pytest.mark.parametrize("sdk", [CURRENT, CURRENT_IN_BATCHES, OLD], ids=lambda sdk: sdk.name)


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile with no cookies and no stored events."""
    context = chromium.new_context()
    yield context
    context.close()


@dataclass(frozen=True)
class Visit:
    """A page that has told its story."""

    page: Page
    message_ids: tuple[str, ...]
    anonymous_id: str
    hosts: set[str]

    def wait_until_acknowledged(self, proxy: FaultyProxy) -> None:
        """Let the page live until the server has said 200 to all it posted, resends included."""
        until = time.monotonic() + PATIENCE_S
        while not proxy.acknowledged >= {*self.message_ids, *proxy.posted} and time.monotonic() < until:
            self.page.wait_for_timeout(50)


def visit(visitor: BrowserContext, url: str) -> Visit:
    """Open the page and return when the SDK says which messages it made."""
    page = visitor.new_page()
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(url)
    page.wait_for_function("window.told", timeout=PATIENCE_S * 1000)
    told = page.evaluate("window.told")
    return Visit(page, tuple(each["messageId"] for each in told["sent"]), told["anonymousId"], hosts)


def wait_for_events(server: RunningServer, who: Customer, visit: Visit, n_events: int) -> None:
    """Let the page live until it has sent them all."""
    identifier = f"user_id:{who.user_id}"
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if server.find_profile(identifier) and len(server.events_of(identifier)) >= n_events:
            return
        visit.page.wait_for_timeout(50)


def assert_resends_had_no_effect(server: RunningServer, message_ids: Collection[str]) -> None:
    """Each resend is a duplicate, or a conflict: what was called anonymously is sent again under the user id."""
    assert set(fates_of_resends(server, message_ids)) <= {"duplicate", "conflict"}


def anonymous_among(server: RunningServer, message_ids: Collection[str]) -> int:
    """How many of the messages were sent before the SDK knew the user."""
    bodies = [body for _, body in server.log_events() if body["messageId"] in message_ids]
    return sum(1 for body in bodies if body.get("userId") is None)


def test_the_snippet_needs_nothing_changed_but_the_host(
    server: RunningServer, pages: PageServer, visitor: BrowserContext
) -> None:
    ana = somebody()
    html = (HERE / "pages" / "snippet.html").read_text()
    html = html.replace("__SNIPPET__", snippet(key=server.keys["public"], cdn=server.url))
    url = pages.add(f"/{ana.user_id}", html.replace("__STORY__", json.dumps(shopping_trip(ana))))

    seen = visit(visitor, url)
    wait_for_events(server, ana, seen, N_CALLS + 2)

    # Two more than the story: the snippet's own first page call, and one made before the script had arrived.
    extra = [
        event for event in server.events_of(f"user_id:{ana.user_id}") if event["message_id"] not in seen.message_ids
    ]
    assert {(event["type"], event["name"]) for event in extra} >= {("track", "Arrived Early")}
    assert sorted(event["type"] for event in extra) == ["page", "track"]
    sent = [*seen.message_ids, *(event["message_id"] for event in extra)]
    assert_in_profile_once(server, ana, seen.anonymous_id, sent)
    assert fates_of_resends(server, sent) == []
    assert anonymous_among(server, sent) == 5
    # No call home: neither chunks nor metrics are fetched from or sent to anyone else.
    assert seen.hosts == {urlsplit(pages.url).netloc, urlsplit(server.url).netloc}


@each_sdk
def test_every_event_arrives_once_and_identify_joins_the_anonymous_history(
    server: RunningServer, pages: PageServer, visitor: BrowserContext, sdk: BrowserSdk
) -> None:
    ana = somebody()
    html = sdk.page(key=server.keys["public"], host=server.url, story=shopping_trip(ana))

    seen = visit(visitor, pages.add(f"/{ana.user_id}", html))
    wait_for_events(server, ana, seen, N_CALLS)

    assert len(seen.message_ids) == N_CALLS
    assert_in_profile_once(server, ana, seen.anonymous_id, seen.message_ids)
    assert fates_of_resends(server, seen.message_ids) == []
    assert anonymous_among(server, seen.message_ids) == 3
    assert seen.hosts == {urlsplit(pages.url).netloc, urlsplit(server.url).netloc}


@each_sdk
def test_refusals_and_cut_connections_lose_and_double_nothing(
    server: RunningServer, pages: PageServer, visitor: BrowserContext, sdk: BrowserSdk
) -> None:
    ana = somebody()

    with FaultyProxy(server.url, FAULTS[sdk.name]) as proxy:
        html = sdk.page(key=server.keys["public"], host=proxy.url, story=shopping_trip(ana))
        seen = visit(visitor, pages.add(f"/{ana.user_id}", html))
        seen.wait_until_acknowledged(proxy)

    assert proxy.unused() == 0, proxy.happened()
    assert proxy.acknowledged == set(seen.message_ids)
    assert_in_profile_once(server, ana, seen.anonymous_id, seen.message_ids)
    assert_resends_had_no_effect(server, seen.message_ids)


def test_the_snippet_sends_through_refusals_and_cut_connections(
    server: RunningServer, pages: PageServer, visitor: BrowserContext
) -> None:
    ana = somebody()
    html = (HERE / "pages" / "snippet.html").read_text()

    with FaultyProxy(server.url, FAULTS[CURRENT.name]) as proxy:
        html = html.replace("__SNIPPET__", snippet(key=server.keys["public"], cdn=proxy.url))
        html = html.replace("__STORY__", json.dumps(shopping_trip(ana)))
        seen = visit(visitor, pages.add(f"/{ana.user_id}", html))
        seen.wait_until_acknowledged(proxy)

    assert proxy.unused() == 0, proxy.happened()
    assert len(proxy.posted) == N_CALLS + 2
    assert_in_profile_once(server, ana, seen.anonymous_id, proxy.posted)
    assert_resends_had_no_effect(server, proxy.posted)


@pytest.mark.parametrize(("sdk", "fault"), [(CURRENT, REFUSED), (OLD, CUT)], ids=lambda it: it.name)
def test_what_was_refused_when_the_page_closed_is_sent_by_the_next_page(
    server: RunningServer, pages: PageServer, visitor: BrowserContext, sdk: BrowserSdk, fault: Fault
) -> None:
    ana = somebody()

    with FaultyProxy(server.url, meanwhile=fault) as proxy:
        html = sdk.page(key=server.keys["public"], host=proxy.url, story=shopping_trip(ana))
        first = visit(visitor, pages.add(f"/{ana.user_id}", html))
        first.page.goto(pages.add(f"/{ana.user_id}/left", "<title>Another page of the shop</title>"))
        acknowledged_when_left = proxy.acknowledged
        proxy.meanwhile = None
        html = sdk.page(key=server.keys["public"], host=proxy.url, story=[])
        first.page.goto(pages.add(f"/{ana.user_id}/back", html))
        first.wait_until_acknowledged(proxy)

    assert acknowledged_when_left == set()
    assert_in_profile_once(server, ana, first.anonymous_id, first.message_ids)
    assert_resends_had_no_effect(server, first.message_ids)


def test_the_old_sdk_drops_what_a_readable_answer_refuses(
    server: RunningServer, pages: PageServer, visitor: BrowserContext
) -> None:
    """So a 503 is safe for it only without CORS headers: to the page that is a failed connection, which it retries."""
    ana = somebody()
    identify = [call for call in shopping_trip(ana) if call["type"] == "identify"]

    with FaultyProxy(server.url, [[REFUSED]]) as proxy:
        html = OLD.page(key=server.keys["public"], host=proxy.url, story=identify)
        seen = visit(visitor, pages.add(f"/{ana.user_id}", html))
        seen.page.wait_for_timeout(2_000)  # longer than its first resend takes (100 to 600 ms)

    assert proxy.happened() == [REFUSED.name]
    assert proxy.acknowledged == set()
