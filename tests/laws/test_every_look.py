"""Nobody is shown unseen: every road on which somebody who agreed is shown leaves an access in her own list.

The roads are those of the law that holds permissions; a new one is walked here, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.roads import ACTS, API, COMMANDS, PAGES, P, Road, World
from tests.laws.test_roads import NOTHING_TO_SHOW
from tillit.cli.terminal import reader
from tillit.consent import OWN_DATA
from tillit.ledger import Access
from tillit.workspace import subjects_of

# Python itself is not walked: `ws.profiles.get` is the shop's own program, which notes nothing of itself.
# Roads that show no value of hers and note her all the same: they tell that she is known, and of her choices.
NOTED_TOO = {
    "GET /api/consent/{who}",
    "POST /api/consent/lookup",
    "POST /api/decide",
    "POST /api/identity/join",
    "GET /api/messages",
    "POST /api/messages/lookup",
    "GET /api/destinations/{name}",
    "message list",
    "destination show",
    "GET /api/requests",
    "GET /api/requests/{request_id}",
    "GET /console/deliveries",
    "POST /console/templates/{name}/preview",
    "GET /console/privacy/ledger",
    "GET /console/privacy/ledger/{entry}/proof",
    "GET /console/privacy/requests",
    "GET /console/privacy/requests/{request_id}",
    "POST /console/privacy/question",
    "consent show",
    "consent export",
    "privacy requests list",
    "privacy requests show",
    "ledger list",
}
# Roads that show her, and leave no access.
NOT_NOTED = {
    "lake share": "a disclosure, with its recipient, stands in the ledger",
    "POST /console/live": "the same page as GET /console/live, within the hour",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("looks") / "shop")
    yield made
    made.close()


def hers(world: World) -> list[Access]:
    """Give every access in the list of her who agreed."""
    world.ws.accesses.flush()
    membership = world.ws.profiles.membership(f"user_id:{world.glad}-user")
    assert membership is not None
    found = world.ws.ledger.read(subjects_of(membership), limit=10_000).entries
    return [one.entry for one in found if isinstance(one.entry, Access)]


def unnoted(world: World, roads: dict[str, Road], *, purposes: set[str], actors: set[str]) -> list[str]:
    """Walk roads; name those that showed her and left no access with a route, a purpose and somebody who asked."""
    missing = []
    for name, road in roads.items():
        n_before = len(hers(world))
        road(world)
        new = hers(world)
        new = new[: len(new) - n_before]
        good = [one for one in new if one.purpose in purposes and one.actor_id in actors and one.route]
        is_owed = (name not in NOTHING_TO_SHOW or name in NOTED_TOO) and name not in NOT_NOTED
        if is_owed != bool(good) or len(good) != len(new):
            missing.append(f"{name}: {[(one.route, one.purpose, one.actor_id) for one in new]}")
    return missing


def test_a_program_that_is_told_of_her_stands_in_her_list(world: World) -> None:
    key = world.ws.keys.find(world.key)
    assert key is not None

    assert unnoted(world, API, purposes={P, "service"}, actors={key.key_id}) == []


def test_whoever_decides_who_she_is_stands_in_her_list(tmp_path: Path) -> None:
    for name, road in ACTS.items():
        made = World(tmp_path / name.rpartition("/")[2])
        key = made.ws.keys.find(made.key)
        assert key is not None
        try:
            assert unnoted(made, {name: road}, purposes={P, "service"}, actors={key.key_id}) == []
        finally:
            made.close()


def test_whoever_asks_at_the_command_line_stands_in_her_list(world: World) -> None:
    assert unnoted(world, COMMANDS, purposes={P, "service", OWN_DATA}, actors={reader()}) == []


def test_whoever_sits_at_the_console_stands_in_her_list(world: World) -> None:
    kim = world.ws.sessions.find(world.desk.cookie.partition("=")[2])
    assert kim is not None

    assert unnoted(world, PAGES, purposes={"service", OWN_DATA}, actors={kim.operator_id}) == []


def test_who_reads_her_list_stands_in_it(world: World) -> None:
    world.command("ledger", "list", "--who", world.who(world.glad))

    newest = hers(world)[0]
    assert (newest.route, newest.actor_id) == ("tillit ledger list", reader())


def test_no_reason_is_stale() -> None:
    assert (NOTED_TOO | NOT_NOTED.keys()) - {*API, *ACTS, *COMMANDS, *PAGES} == set()
    assert NOTHING_TO_SHOW.keys() >= NOTED_TOO
