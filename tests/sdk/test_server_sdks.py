"""Unmodified server SDKs against a real server: all arrives, once, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.running import RunningServer
from tests.sdk.arrivals import assert_in_profile_once, fates_of_resends
from tests.sdk.faulty_proxy import (
    CUT,
    PASSES,
    REFUSED,
    REFUSED_FOR_1_S,
    SLOW,
    STORED_BUT_CUT,
    STORED_BUT_REFUSED,
    STORED_BUT_REFUSED_FOR_1_S,
    FaultyProxy,
    too_slow,
)
from tests.sdk.sdks import SERVER_SDKS, ServerSdk
from tests.sdk.story import N_CALLS, shopping_trip, somebody

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sdk_packages")]
each_sdk = pytest.mark.parametrize("sdk", SERVER_SDKS, ids=lambda sdk: sdk.name)


@each_sdk
def test_every_event_arrives_once_and_identify_joins_the_anonymous_history(
    server: RunningServer, sdk: ServerSdk
) -> None:
    ana = somebody()

    told = sdk.tell(shopping_trip(ana), host=server.url, key=server.keys["secret"], flush_at=4)

    assert told.failed == ()
    assert len(told.message_ids) == N_CALLS
    assert_in_profile_once(server, ana, ana.device, told.message_ids)
    assert fates_of_resends(server, told.message_ids) == []


@each_sdk
def test_refusals_and_cut_connections_lose_and_double_nothing(server: RunningServer, sdk: ServerSdk) -> None:
    ana = somebody()
    # At most two faults a body: two of the SDKs give up after three resends.
    plans = [[REFUSED, STORED_BUT_CUT], [STORED_BUT_REFUSED], [CUT, SLOW], [STORED_BUT_CUT]]

    with FaultyProxy(server.url, plans) as proxy:
        told = sdk.tell(shopping_trip(ana), host=proxy.url, key=server.keys["secret"], flush_at=2)

    assert proxy.unused() == 0
    assert told.failed == ()
    assert proxy.acknowledged == set(told.message_ids)
    assert_in_profile_once(server, ana, ana.device, told.message_ids)
    n_resent = sum(len(it.message_ids) for it in proxy.attempts if it.server_said == 200 and it.told != 200)
    assert fates_of_resends(server, told.message_ids) == ["duplicate"] * n_resent


@each_sdk
def test_a_refusal_that_says_when_to_come_back_loses_and_doubles_nothing(server: RunningServer, sdk: ServerSdk) -> None:
    ana = somebody()
    plans = [[REFUSED_FOR_1_S], [STORED_BUT_REFUSED_FOR_1_S]]

    with FaultyProxy(server.url, plans) as proxy:
        told = sdk.tell(shopping_trip(ana), host=proxy.url, key=server.keys["secret"], flush_at=5)

    assert proxy.unused() == 0
    assert told.failed == ()
    assert_in_profile_once(server, ana, ana.device, told.message_ids)


@pytest.mark.parametrize("sdk", [sdk for sdk in SERVER_SDKS if sdk.retries_a_timeout], ids=lambda sdk: sdk.name)
def test_an_answer_later_than_the_sdk_waits_loses_and_doubles_nothing(server: RunningServer, sdk: ServerSdk) -> None:
    ana = somebody()

    with FaultyProxy(server.url, [[too_slow(1.5)], [PASSES]]) as proxy:
        told = sdk.tell(shopping_trip(ana), host=proxy.url, key=server.keys["secret"], flush_at=5, timeout_ms=1_000)

    assert proxy.unused() == 0
    assert told.failed == ()
    assert_in_profile_once(server, ana, ana.device, told.message_ids)
    assert fates_of_resends(server, told.message_ids) == ["duplicate"] * 5


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that others do not need."""
    with RunningServer(tmp_path_factory.mktemp("mortal") / "shop") as running:
        yield running


# The SDKs that are left out give up after three resends, which is sooner than a server is back.
@pytest.mark.parametrize("sdk", [sdk for sdk in SERVER_SDKS if sdk.tries_a_restart], ids=lambda sdk: sdk.name)
def test_a_server_killed_and_started_again_loses_and_doubles_nothing(mortal: RunningServer, sdk: ServerSdk) -> None:
    ana = somebody()

    with FaultyProxy(mortal.url, [[STORED_BUT_CUT]]) as proxy, ThreadPoolExecutor(1) as beside:
        telling = beside.submit(sdk.tell, shopping_trip(ana), host=proxy.url, key=mortal.keys["secret"], flush_at=1)
        while not any(attempt.server_said for attempt in proxy.attempts):
            time.sleep(0.01)
        mortal.kill9()
        mortal.start()
        told = telling.result()

    assert told.failed == ()
    assert len(told.message_ids) == N_CALLS
    assert_in_profile_once(mortal, ana, ana.device, told.message_ids)
    assert set(fates_of_resends(mortal, told.message_ids)) == {"duplicate"}
