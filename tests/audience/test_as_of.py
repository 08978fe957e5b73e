"""Who was in an audience then: as the live answer was, under what may be told and who is who today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.asking import Asker
from tests.audience_shop import apply, buy, id_of, let_pass, make_shop
from tests.cli.in_process import run
from tests.still_clock import START, Clock
from tillit.access import API_SCOPES
from tillit.api import create_api
from tillit.clock import DAY, HOUR, SECOND, rfc3339
from tillit.consent import Choice
from tillit.workspace import Workspace
from tillit.workspace.audience_past import AsOfFuture, AsOfUnreadable, end_of_day

RECENT = "audience: recent\npurpose: service\ndefinition: {event: Order Completed, within: 1d}\n"
STEADY = "audience: steady\npurpose: newsletter\ndefinition: {event: Order Completed, count: {at_least: 2}}\n"
NEVER = "audience: never\npurpose: service\ndefinition: {not: {event: Order Completed, within: 2d}}\n"
REST = "audience: rest\npurpose: service\ndefinition: everybody\nafter: [recent]\nholdout: 40%\n"
BEST = """
audience: best
purpose: service
definition: {top: {by: {event: Order Completed, count: true}, highest: 1, every: 1h}}
"""
WHO = ("ana", "bo", "cem")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ws(workspace_dir: Path, clock: Clock) -> Iterator[Workspace]:
    with make_shop(workspace_dir, clock) as shop:
        apply(shop, RECENT, STEADY, NEVER)
        yield shop


@settings(max_examples=5)
@given(
    story=st.lists(
        st.tuples(st.sampled_from((*WHO, "dag", "eva")), st.sampled_from([SECOND, 7 * HOUR, DAY])),
        min_size=4, max_size=8,
    )
)  # fmt: skip
def test_with_nothing_late_it_is_what_the_live_answer_was(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int]]
) -> None:
    clock = Clock()
    with make_shop(tmp_path_factory.mktemp("then") / "shop", clock) as ws:
        apply(ws, RECENT, NEVER, REST)
        seen: dict[tuple[str, int], set[str]] = {}
        for who, passes in story:
            clock.go_on(passes)
            buy(ws, clock, who)
            for name in ("recent", "never", "rest"):
                seen[name, clock.at] = {one["profile_id"] for one in ws.audiences[name].members()}

        told = {(name, at): {one["profile_id"] for one in ws.audiences[name].members(as_of=at)} for name, at in seen}

    assert told == seen
    assert any(seen.values())


def test_it_is_the_definition_of_now_that_is_asked(ws: Workspace, clock: Clock) -> None:
    then = clock.at
    clock.go_on(DAY)
    apply(ws, RECENT.replace("within: 1d", "count: {at_least: 3}"))

    members = list(ws.audiences["recent"].members(as_of=then))

    assert members == [{"profile_id": id_of(ws, "ana"), "since": None, "cause": None}]


def test_it_is_told_under_the_permissions_of_today(ws: Workspace, clock: Clock) -> None:
    then = rfc3339(clock.at)
    before = [one["profile_id"] for one in ws.audiences["steady"].members(as_of=then)]
    clock.go_on(DAY)
    ws.consent.set("user_id:ana", [Choice("newsletter", "withdrawn")], evidence="form-2")
    ws.consent.set("user_id:bo", [Choice("newsletter", "given")], evidence="form-3")

    after = [one["profile_id"] for one in ws.audiences["steady"].members(as_of=then)]
    count = ws.audiences["steady"].count(as_of=then)

    assert (before, after) == ([id_of(ws, "ana")], [id_of(ws, "bo")])
    assert (count["members"], count["permitted"], count["withheld"]) == (2, 1, {"consent_withdrawn": 1})
    assert count["as_of"] == then


def test_of_one_that_ranks_it_is_the_last_tick_or_the_newest_snapshot(ws: Workspace, clock: Clock) -> None:
    apply(ws, BEST)
    clock.go_on(HOUR - clock.at % HOUR)
    let_pass(ws, clock, 2 * SECOND)
    tick = clock.at - clock.at % HOUR
    for _ in range(4):
        buy(ws, clock, "bo")
    between = clock.at
    let_pass(ws, clock, HOUR)
    live = ws.audiences.list_members("best", ws.scope("service"))

    def then(as_of: int) -> tuple[str, list[str]]:
        told = ws.audiences.list_members("best", ws.scope("service"), as_of=as_of)
        return told["as_of"], [one["profile_id"] for one in told["members"]]

    assert then(between) == (rfc3339(tick), [id_of(ws, "ana")]), "in between nobody enters"
    assert then(clock.at) == (live["as_of"], [id_of(ws, "bo")])
    assert live["as_of"] > rfc3339(tick + HOUR)
    assert then(tick + HOUR)[0] == rfc3339(tick + HOUR), "the snapshot is of a moment later"
    assert then(START - DAY)[1] == []


def test_whoever_was_not_heard_of_takes_nobodys_place(ws: Workspace, clock: Clock) -> None:
    clock.go_on(HOUR)
    tick = clock.at - clock.at % HOUR
    let_pass(ws, clock, HOUR)
    for number in range(20):
        buy(ws, clock, f"new-{number}")
    definition = {"limit": {"to": 3, "every": "1h"}}

    told = ws.audiences.preview(definition, "service", ws.scope("service"), as_of=tick + HOUR - 1)
    now = ws.audiences.preview(definition, "service", ws.scope("service"))

    assert (told["as_of"], told["of"]) == (rfc3339(tick), 3)
    assert set(told["sample"]) == {id_of(ws, who) for who in WHO}
    assert (now["people"], now["of"]) == (3, 23)
    assert set(now["sample"]) != set(told["sample"])
    assert [n for _, n in now["trend"]] == [0] * 13 + [3]


def test_who_was_forgotten_since_was_never_there(ws: Workspace, clock: Clock) -> None:
    then = clock.at
    clock.go_on(HOUR)
    ws.erasure.erase("user_id:ana")

    assert {one["profile_id"] for one in ws.audiences["recent"].members(as_of=then)} == {
        id_of(ws, "bo"),
        id_of(ws, "cem"),
    }


def test_nobody_was_there_before_anything_was_heard_of_them(ws: Workspace) -> None:
    assert ws.audiences["never"].count(as_of=START - DAY)["members"] == 0
    assert ws.audiences["never"].count(as_of="1970-01-01")["members"] == 0


def test_a_preview_is_asked_of_then_too(ws: Workspace, clock: Clock) -> None:
    then = clock.at
    clock.go_on(40 * DAY)
    buy(ws, clock, "dag")
    definition = {"event": "Order Completed"}

    told = ws.audiences.preview(definition, "service", ws.scope("service"), as_of=then)
    now = ws.audiences.preview(definition, "service", ws.scope("service"))

    assert (told["people"], told["of"], told["as_of"]) == (3, 3, rfc3339(then))
    assert (now["people"], now["of"], now["as_of"]) == (4, 4, None)
    # Thirteen weeks: the five last of them begin within forty days.
    assert [n for _, n in now["trend"]] == [0] * 8 + [3] * 5 + [4]
    assert told["trend"][-1] == [then // DAY, 3]


def test_the_halves_of_a_preview_are_the_whole(ws: Workspace) -> None:
    definition, scope = {"event": "Order Completed", "count": {"at_least": 2}}, ws.scope("newsletter")

    halves = {
        **ws.audiences.preview_count(definition, "newsletter", scope),
        **ws.audiences.preview_rest(definition, "newsletter"),
    }
    whole = ws.audiences.preview(definition, "newsletter", scope)

    assert {**halves, "cost": None} == {**whole, "cost": None}
    assert whole["near"] == [{"audience": "steady", "similarity": 1.0}]


@pytest.mark.parametrize(
    ("as_of", "code"),
    [
        ("yesterday", "audience.as-of-unreadable"),
        ("2026-13-01", "audience.as-of-unreadable"),
        ("", "audience.as-of-unreadable"),
        ("2999-01-01", "audience.as-of-future"),
    ],
)
def test_an_instant_that_cannot_be_is_refused_at_every_door(
    ws: Workspace, clock: Clock, workspace_dir: Path, as_of: str, code: str
) -> None:
    api = create_api(ws, monotonic_s=clock.monotonic_s)
    ask = Asker(api)
    key = ws.keys.create("api", "office", scopes=API_SCOPES, purposes=["service"])[0]

    listed = ask.get(f"/api/audiences/recent/members?as_of={as_of}", key)
    tried = ask.post(
        "/api/audiences/preview", {"definition": {"event": "x"}, "purpose": "service", "as_of": as_of}, key
    )
    api.close()
    ask.close()
    ws.close()
    typed = run("audience", "members", "recent", "--as-of", as_of, "--workspace", str(workspace_dir))

    assert [(one.status, one.code) for one in (listed, tried)] == [(400, code)] * 2
    assert (typed.returncode, "`as_of` is" in typed.stderr) == (2, True)


def test_pages_of_then_hold_each_once_and_doors_agree(ws: Workspace, clock: Clock, workspace_dir: Path) -> None:
    then = rfc3339(clock.at)
    clock.go_on(2 * DAY)
    api = create_api(ws, monotonic_s=clock.monotonic_s)
    ask = Asker(api)
    key = ws.keys.create("api", "office", scopes=API_SCOPES, purposes=["service"])[0]
    people = [id_of(ws, who) for who in WHO]
    pages: list[Any] = [ask.get(f"/api/audiences/recent/members?limit=1&as_of={then}", key).json()]
    while pages[-1]["next"] is not None:
        after = pages[-1]["next"]
        pages.append(ask.get(f"/api/audiences/recent/members?limit=1&after={after}&as_of={then}", key).json())
    api.close()
    ask.close()
    ws.close()

    typed = run("audience", "members", "recent", "--as-of", then, "--workspace", str(workspace_dir), "--json")
    counted = run("audience", "count", "recent", "--as-of", then, "--workspace", str(workspace_dir))

    assert [one["profile_id"] for page in pages for one in page["members"]] == people
    assert {page["as_of"] for page in pages} == {then}
    assert [one["profile_id"] for one in json.loads(typed.stdout)["members"]] == people
    assert f"3 members at {then}; 3 may be used for service." in counted.stdout


def test_a_day_is_asked_for_at_its_end() -> None:
    noon = 20_000 * DAY + DAY // 2

    assert end_of_day("2024-10-03", noon) == 20_000 * DAY - 1  # the day before
    assert end_of_day("2024-10-04", noon) == noon
    with pytest.raises(AsOfFuture):
        end_of_day("2024-10-05", noon)
    with pytest.raises(AsOfUnreadable):
        end_of_day("2024-10-03T10:00:00Z", noon)
