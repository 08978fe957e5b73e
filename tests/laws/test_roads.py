"""No road around the gate: somebody who agreed to nothing is walked down every road, and nothing of theirs is found.

The lists of roads are held against the routes, commands and parts that there are. Somebody who agreed stands beside,
and is found where she should be. With any gate taken away the same walk finds what it should not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.console.walk import routes_of
from tests.laws.roads import (
    ACTS,
    API,
    API_NOT,
    COMMANDS,
    COMMANDS_NOT,
    PAGES,
    PAGES_NOT,
    PARTS_NOT,
    PYTHON,
    PYTHON_NOT,
    P,
    Road,
    World,
)
from tillit.api import quarantine
from tillit.api.app import list_routes
from tillit.cli.commands import app as commands
from tillit.consent import Many, permit_for
from tillit.privacy.erasure import find_store
from tillit.profile import document as profile_document
from tillit.profile import get_document
from tillit.records import Permit, Scope
from tillit.store.scan import find_bytes
from tillit.workspace import events, identity, leave, people, permissions, profiles, shares

# Roads on which somebody who agreed does not show, and why.
NOTHING_TO_SHOW = {
    "POST /api/identity/join": "of two people who became one each must have said yes to all",
    "GET /api/quarantine": "ids and reasons",
    "GET /api/quarantine/{number}": "bytes are nobody's who could agree",
    "GET /api/consent/{who}": "states and ids",
    "POST /api/consent/lookup": "states and ids",
    "POST /api/decide": "an answer and ids",
    "GET /metrics": "counts",
    "GET /api/requests": "ids",
    "GET /api/requests/{request_id}": "ids",
    "GET /api/messages": "states and ids",
    "POST /api/messages/lookup": "states and ids",
    "GET /api/destinations/{name}": "states and ids",
    "GET /api/features/{name}": "counts, and values that several people have",
    "audiences.distribution": "counts, and values that several people have",
    "messages.list_messages": "states and ids",
    "messages.destination": "states and ids",
    "message list": "states and ids",
    "destination show": "states and ids",
    "profiles.facts": "no fact about her is known",
    "identity.values": "nobody blocked a value of hers",
    "consent.state": "states and ids",
    "consent.decide": "an answer and ids",
    "papers.record": "states and ids",
    "papers.kantara": "states and ids",
    "requests.list": "ids",
    "requests.get": "ids",
    "ledger.search": "ids",
    "ledger.read": "ids",
    "audit.list_actions": "ids",
    "consent show": "states and ids",
    "ledger list": "ids",
    "consent export": "states and ids",
    "privacy requests list": "ids",
    "privacy requests show": "ids",
    "keys list": "keys",
    "doctor": "counts",
    "GET /console": "counts",
    "GET /console/audit": "ids",
    "GET /console/identity/values": "nobody blocked a value of hers",
    "GET /console/sources": "sources",
    "GET /console/privacy": "counts",
    "GET /console/privacy/versions": "purposes",
    "GET /console/privacy/requests": "ids",
    "GET /console/privacy/requests/{request_id}": "ids",
    "GET /console/privacy/ledger": "ids",
    "GET /console/privacy/ledger/{entry}/proof": "hashes",
    "GET /console/audiences": "counts",
    "GET /console/audiences/new": "a form",
    "GET /console/audiences/{name}/edit": "a definition",
    "GET /console/features": "definitions",
    "GET /console/features/new": "a form",
    "GET /console/features/{name}": "values that several share",
    "GET /console/features/{name}/edit": "a definition",
    "GET /console/destinations": "counts",
    "GET /console/destinations/{name}": "counts",
    "GET /console/deliveries": "ids and reasons",
    "GET /console/templates": "texts",
    "GET /console/templates/{name}": "texts",
    "POST /console/templates/{name}/preview": "nothing may be sent to her, so there is nothing to preview",
    "GET /console/definitions": "texts",
    "GET /console/privacy/question": "a form",
    "POST /console/privacy/question": "an answer and ids",
    "GET /console/privacy/processing": "purposes",
    "GET /console/privacy/processing.json": "purposes",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The marked person agreed to nothing."""
    made = World(tmp_path_factory.mktemp("roads") / "shop")
    yield made
    made.close()


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The marked person's data is restricted."""
    made = World(tmp_path_factory.mktemp("roads") / "held", restricts=True)
    yield made
    made.close()


def walked(world: World, roads: dict[str, Road]) -> None:
    """Go down roads; none may show the mark, each shows whom it should."""
    found, missing = [], []
    for name, road in roads.items():
        told = road(world)
        if world.mark in told:
            place = told.index(world.mark)
            found.append(f"{name}: {told[max(place - 120, 0) : place + 60]}")
        if (world.glad in told) != (name not in NOTHING_TO_SHOW):
            missing.append(f"{name}: {told[:200]}")
    assert found == []
    assert missing == []


# -- the lists are whole


def listed(*lists: Any) -> list[str]:
    """Give every name of lists, of which some are grouped by their reason."""
    found: list[str] = []
    for one in lists:
        for name, more in one.items():
            found += more if isinstance(more, tuple) else [name]
    return sorted(found)


def test_every_route_of_the_api_is_a_road_or_says_why_not(world: World) -> None:
    there = {
        f"{method} {re.sub(r':[a-z]+}', '}', path)}"
        for handler in list_routes(world.api._desk)
        for path in handler.paths
        for method in handler.http_methods
    }

    assert listed(API, ACTS, API_NOT) == sorted(there)


def test_every_page_of_the_console_is_a_road_or_says_why_not(tmp_path: Path) -> None:
    there = {f"{route.method} {route.template}" for route in routes_of(tmp_path / "routes")}

    assert listed(PAGES, PAGES_NOT) == sorted(there)


def test_every_command_is_a_road_or_says_why_not() -> None:
    def below(group: typer.Typer, before: tuple[str, ...]) -> Iterator[str]:
        for one in group.registered_commands:
            assert one.callback is not None
            yield " ".join((*before, one.name or one.callback.__name__))
        for inner in group.registered_groups:
            assert inner.typer_instance is not None
            yield from below(inner.typer_instance, (*before, str(inner.name)))

    assert listed(COMMANDS, COMMANDS_NOT) == sorted(below(commands, ()))


def test_every_method_of_a_part_is_a_road_or_says_why_not(world: World) -> None:
    there = {
        f"{name}.{method}"
        for name, part in vars(world.ws).items()
        if not name.startswith("_") and name not in PARTS_NOT
        for method, _ in inspect.getmembers(type(part), callable)
        if not method.startswith("_")
    }
    there -= {f"{part}.{method}" for part in ("ledger", "journal", "audit") for method in _WRITING}

    assert listed(PYTHON, PYTHON_NOT) == sorted(there)


# Of the ledgers: what writes, proves or counts.
_WRITING = (
    "append", "check", "checkpoint", "checkpoints", "prove", "prove_growth", "shred", "size", "standing",
    "verifier_key", "note", "note_flow", "actions",
)  # fmt: skip


def test_no_reason_to_show_nothing_is_stale() -> None:
    assert NOTHING_TO_SHOW.keys() - {*API, *ACTS, *PYTHON, *COMMANDS, *PAGES} == set()


# -- the walk


def test_programs_are_told_nothing_of_somebody_who_did_not_agree(world: World) -> None:
    walked(world, API)


def test_the_parts_tell_nothing_of_somebody_who_did_not_agree(world: World) -> None:
    walked(world, PYTHON)


def test_commands_print_nothing_of_somebody_who_did_not_agree(world: World) -> None:
    walked(world, COMMANDS)


def test_staff_are_shown_nothing_of_somebody_whose_data_is_restricted(restricted: World) -> None:
    walked(restricted, PAGES)


def test_staff_who_act_for_a_purpose_are_shown_nothing_that_it_may_not_reach(world: World) -> None:
    world.desk.post("/console/me/purpose", {"purpose": P})
    try:
        walked(world, PAGES)
    finally:
        world.desk.post("/console/me/purpose", {"purpose": "service"})


def test_a_decision_about_who_is_who_answers_with_nothing_of_theirs(tmp_path: Path) -> None:
    made = World(tmp_path / "acts")
    try:
        walked(made, ACTS)
    finally:
        made.close()


# What is ours alone, and is read through the gates.
_OWN_FILES = {
    "log.db", "log.db-wal", "state.db", "state.db-wal", "deliveries.db", "deliveries.db-wal", "lake/events",
    "run/plans",
}  # fmt: skip


def test_no_file_that_others_read_holds_anything_of_theirs(world: World) -> None:
    world.ws.shares.share(P)

    # Of somebody who agreed it finds what was shared: so it would find the mark.
    places = {
        word: {one.file for one in find_bytes(world.folder, [word]) if not _is_ours(one.file)}
        for word in (world.mark, world.glad)
    }

    assert places[world.mark] == set()
    assert {find_store(file).file for file in places[world.glad]} == {"lake/shared/*"}  # type: ignore[union-attr]


def _is_ours(file: str) -> bool:
    return any(file == one or file.startswith(f"{one}/") for one in _OWN_FILES)


# -- with a gate taken away the walk finds the mark


def _permit(scope: Scope, declared: object, subject: Any) -> Permit:
    return Permit(scope, subject.profile_id, None, None)


def _always(*_: object, **__: object) -> bool:
    return True


_GLAD = [""]  # who is taken for everybody


GATES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the decision about a person": (leave, "permit_for", _permit),
    "leave for one person": (
        leave.Leave, "of", lambda self, whom: Permit(self.scope, whom.profile_id, None, None)
    ),
    "whom an identifier beside others names": (leave.Near, "may", _always),
    "whom a list names": (leave.Near, "may_tell", _always),
    "who spoke of a group": (leave.Near, "may_hear", _always),
    "identifiers that may be named": (identity, "_may_name", _always),
    "the person asked about, of who is who": (identity, "_check", lambda *_: None),
    "the person whom an event is about": (events.Reached, "reach", _always),
    "who had a device then": (
        leave.Leave, "whose", lambda self, row: ("user_id", _GLAD[0])
    ),
    "consent that an event carries": (Scope, "allows_event", _always),
    "fields that the purpose reaches": (Scope, "allows", _always),
    "fields taken out of a document": (profile_document, "withhold", lambda *_: []),
    "what a timeline reaches": (profiles, "reaches", _always),
    "the person whom a search found": (people, "_document", lambda reading, whom, leave: get_document(
        reading, whom, Permit(leave.scope, whom.profile_id, None, None), epoch=leave.epoch)),
    "others beside one person": (profiles, "_named_only", lambda found, _: found),
    "what may pass into the lake for others": (shares._Passing, "permit", _always),
}  # fmt: skip


@pytest.mark.parametrize("gate", GATES)
def test_without_a_gate_the_walk_finds_what_it_should_not(
    world: World, monkeypatch: pytest.MonkeyPatch, gate: str
) -> None:
    where, name, open_to_all = GATES[gate]
    _GLAD[0] = f"{world.glad}-user"
    monkeypatch.setattr(where, name, open_to_all)

    assert any(world.mark in road(world) for road in PYTHON.values())


_EVERYBODY = Many(is_open=True, otherwise="SELECT 0 WHERE 1 = 0", params=())
# Roads on which somebody is told of because they are a member, by their id.
_OF_MEMBERS = [
    name
    for name in (*PYTHON, *API, *COMMANDS)
    if (name.startswith(("audiences.", "audience ")) or "/api/audiences/" in name) and name not in NOTHING_TO_SHOW
]


@pytest.mark.parametrize("road", _OF_MEMBERS)
def test_without_the_decision_about_a_person_each_road_of_audiences_tells_of_members_it_should_not(
    world: World, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    monkeypatch.setattr(leave, "permit_for", _permit)
    monkeypatch.setattr(permissions, "permit_many", lambda *_, **__: _EVERYBODY)

    assert world.mark in {**PYTHON, **API, **COMMANDS}[road](world)


def test_without_the_gate_of_the_live_pages_the_walk_finds_what_it_should_not(
    restricted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events.Events, "reached", lambda _, rows, __: rows)

    found = {
        name
        for name in ("GET /console/live", "GET /console/events/{event_id}")
        if restricted.mark in PAGES[name](restricted)
    }
    assert found == {"GET /console/live", "GET /console/events/{event_id}"}


def test_without_the_gate_of_quarantine_the_walk_finds_what_it_should_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_check", lambda _: None)

    assert world.mark in API["GET /api/quarantine/{number}"](world)


def test_every_gate_is_what_it_was(world: World) -> None:
    assert vars(leave)["permit_for"] is permit_for
    assert not any(world.mark in road(world) for road in (PYTHON["profiles.rows"], PYTHON["shares.share"]))
