"""Corrections and notes: events like all others, which count for nothing but what they say, and can be taken back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.folding import Folded, new_fold, tables_of
from tests.strategies import logs, place, row
from tillit.errors import InputError, NotFound
from tillit.profile import ActInvalid
from tillit.records import TRUST_CLAIMED, TRUST_OPERATOR, TRUST_SERVER, TRUST_VERIFIED, LogRow
from tillit.workspace import Workspace, create_workspace


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    create_workspace(tmp_path / "shop")
    with Workspace(tmp_path / "shop") as workspace:
        workspace.identify(
            user_id="ana", anonymous_id="tablet", traits={"name": "Ana Ek", "plan": "free", "email": "ana@example.org"}
        )
        workspace.track(user_id="ana", event="Viewed")
        workspace.flush()
        yield workspace


def value(ws: Workspace, name: str, who: str = "user_id:ana") -> Any:
    return ws.profiles.get(who)["traits"].get(name, {}).get("value")


def test_a_correction_beats_a_server_and_not_the_customers_proof(ws: Workspace) -> None:
    ws.profiles.correct("user_id:ana", "plan", "gold", reason="on the phone", operator="maria")
    ws.identify(user_id="ana", traits={"plan": "plus"})
    ws.flush()
    corrected = ws.profiles.get("user_id:ana")["traits"]["plan"]
    ws.append([{"type": "identify", "userId": "ana", "traits": {"plan": "proved"}}], trust=TRUST_VERIFIED)
    ws.flush()

    assert (corrected["value"], corrected["source"], corrected["trust"]) == ("gold", "console", "operator")
    assert value(ws, "plan") == "proved"


def test_what_is_taken_back_was_never_there(ws: Workspace) -> None:
    before = ws.profiles.get("user_id:ana")

    done = [
        ws.profiles.correct("user_id:ana", "name", "Ana Berg", reason="married", operator="maria"),
        ws.profiles.correct("user_id:ana", "plan", None, reason="left", operator="maria"),
        ws.profiles.note("user_id:ana", "rings twice", operator="maria"),
    ]
    ws.flush()
    between = ws.profiles.get("user_id:ana")
    found = [one["id"] for one in ws.profiles.search("berg")]
    for event_id in done:
        ws.profiles.undo(event_id, operator="bo")
    ws.flush()

    assert (between["traits"]["name"]["value"], "plan" in between["traits"]) == ("Ana Berg", False)
    assert found == [before["id"]]
    assert ws.profiles.search("berg") == []
    assert ws.profiles.get("user_id:ana") == before
    assert ws.folding.check() == []


def test_taking_back_twice_is_once_and_the_last_correction_that_stands_counts(ws: Workspace) -> None:
    first = ws.profiles.correct("user_id:ana", "plan", "one", reason="r")
    second = ws.profiles.correct("user_id:ana", "plan", "two", reason="r")
    for _ in range(2):
        ws.profiles.undo(second)
    ws.flush()
    after_one = value(ws, "plan")
    ws.profiles.undo(first)
    ws.flush()

    assert (after_one, value(ws, "plan")) == ("one", "free")


def test_a_merge_carries_corrections_along(ws: Workspace) -> None:
    ws.append([{"type": "track", "anonymousId": "d", "event": "x", "context": {"traits": {"email": "bo@example.org"}}}])
    ws.flush()
    event_id = ws.profiles.correct("email:bo@example.org", "plan", "gold", reason="r")
    ws.identify(user_id="bo", traits={"email": "bo@example.org"})
    ws.flush()
    merged = value(ws, "plan", "user_id:bo")
    ws.profiles.undo(event_id, who="user_id:bo")
    ws.flush()

    assert (merged, value(ws, "plan", "user_id:bo")) == ("gold", None)


def test_a_nameless_visitor_can_be_noted_and_corrected_and_it_can_be_undone(ws: Workspace) -> None:
    ws.page(anonymous_id="visitor", name="Home")
    ws.flush()
    event_id = ws.profiles.correct("anonymous_id:visitor", "plan", "gold", reason="r")
    ws.flush()
    told = value(ws, "plan", "anonymous_id:visitor")
    ws.profiles.undo(event_id)
    ws.flush()

    assert (told, value(ws, "plan", "anonymous_id:visitor")) == ("gold", None)


def test_forgetting_takes_corrections_and_notes_along(ws: Workspace) -> None:
    ws.profiles.correct("user_id:ana", "name", "Quetzal", reason="she said", operator="maria")
    ws.profiles.note("user_id:ana", "likes Quetzal", operator="maria")
    ws.flush()
    told = ws.profiles.rows("user_id:ana", ws.scope())
    assert told is not None

    ws.forget([one.position for one in told.rows])

    assert ws.state.read("SELECT * FROM operator_act") == []
    assert ws.profiles.search("quetzal") == []
    assert ws.folding.check() == []


@pytest.mark.parametrize("kind", ["correct", "note", "retract"])
def test_no_door_takes_a_colleagues_act_from_a_source(ws: Workspace, kind: str) -> None:
    forged = {"type": kind, "userId": "ana", "traits": {"plan": "gold"}, "of": "x", "text": "x", "operator": "maria"}

    for trust in (TRUST_CLAIMED, TRUST_SERVER, TRUST_OPERATOR):
        with pytest.raises(InputError, match="type"):
            ws.append([forged], source="console", trust=trust)
    ws.flush()

    assert value(ws, "plan") == "free"


@pytest.mark.parametrize("trust", [TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED])
def test_an_act_in_the_log_that_is_no_colleagues_changes_nothing(trust: int) -> None:
    rows = [
        row(1, {"type": "identify", "userId": "ana", "traits": {"plan": "free"}}, at=1),
        row(2, {"type": "correct", "userId": "ana", "messageId": "m", "traits": {"plan": "gold"}}, at=2, trust=trust),
    ]
    with new_fold() as folded:
        folded.take(rows)

        assert folded.document(("user_id", "ana"))["traits"]["plan"]["value"] == "free"


def test_an_act_about_somebody_unknown_makes_nobody() -> None:
    with new_fold() as folded:
        folded.take([row(1, {"type": "note", "userId": "ana", "messageId": "m"}, at=1, trust=TRUST_OPERATOR)])

        assert folded.identifiers() == []
        assert folded.fates() == {1: ("quarantined", None)}


def test_what_cannot_be_kept_is_refused_before_the_log(ws: Workspace) -> None:
    head = ws.log.head()

    for text in ("  ", "x" * 4_001, "nul \0"):
        with pytest.raises(ActInvalid):
            ws.profiles.note("user_id:ana", text)
    for name, told, reason in (("", "x", "r"), ("plan", "x", "r" * 501), ("plan", "\ud800", "r")):
        with pytest.raises(ActInvalid):
            ws.profiles.correct("user_id:ana", name, told, reason=reason)
    with pytest.raises(NotFound):
        ws.profiles.note("user_id:nobody", "x")

    assert ws.log.head() == head


def test_only_an_act_about_this_person_is_taken_back(ws: Workspace) -> None:
    ws.track(user_id="bo", event="Viewed")
    ws.flush()
    event_id = ws.profiles.note("user_id:ana", "x")
    ws.flush()

    for wrong in ("e1-1", "e1-999", "e2-1", "e1-0", "nonsense", "e1--1"):
        with pytest.raises(NotFound):
            ws.profiles.undo(wrong)
    with pytest.raises(NotFound):
        ws.profiles.undo(event_id, who="user_id:bo")


# -- whatever the log

ACTS: list[dict[str, Any]] = [
    {"type": "correct", "messageId": "c1", "traits": {"plan": "gold"}, "operator": "o", "reason": "r"},
    {"type": "correct", "messageId": "c2", "traits": {"firstName": "Corrected"}, "operator": "o", "reason": "r"},
    {"type": "note", "messageId": "n1", "text": "x", "operator": "o"},
]
ANCHORS: list[dict[str, Any]] = [
    {"userId": "ana"},
    {"userId": "bo"},
    {"context": {"traits": {"email": "ana@example.org"}}},
]


def acted(data: st.DataObject, n: int) -> list[LogRow]:
    """Draw acts and, for each, what takes it back."""
    told = []
    for i, act in enumerate(ACTS):
        anchor = data.draw(st.sampled_from(ANCHORS))
        at = data.draw(st.integers(1, 10))
        told.append(row(n + 2 * i, act | anchor, at=at, trust=TRUST_OPERATOR))
        back = {"type": "retract", "messageId": f"undo-{i}", "of": act["messageId"]} | anchor
        told.append(row(n + 2 * i + 1, back, at=at + 1, trust=TRUST_OPERATOR))
    return told


def documents(folded: Folded) -> dict[Any, Any]:
    return {key: folded.document(key) for key in folded.identifiers()}


@settings(deadline=None)
@given(st.data())
def test_undo_gives_exactly_what_stood_before(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with new_fold() as plain, new_fold() as other:
        plain.take(rows)
        other.take(place([*rows, *acted(data, 100)]))

        assert documents(other) == documents(plain)
        for table in ("identifier", "link", "tenure"):
            assert other.tables()[table] == plain.tables()[table]


@settings(deadline=None)
@given(st.data())
def test_acts_say_the_same_in_any_order_and_batch(data: st.DataObject) -> None:
    rows = data.draw(logs(repeats=False, poison=False, aliases=False))
    acts = [one for one in acted(data, 100) if data.draw(st.booleans())]
    shuffled = data.draw(st.permutations(acts))
    one, other = place([*rows, *acts]), place([*rows, *shuffled])
    with new_fold() as first, new_fold() as second:
        first.take(one)
        for single in other:
            second.take([single])

        assert {k: values(d) for k, d in documents(first).items()} == {
            k: values(d) for k, d in documents(second).items()
        }
    assert tables_of(one) == tables_of(one, [slice(i, i + 1) for i in range(len(one))])


def values(document: dict[str, Any]) -> dict[str, Any]:
    return {name: held["value"] for name, held in document["traits"].items()}
