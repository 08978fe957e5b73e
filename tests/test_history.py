"""Questions about everybody see the people that questions about one person see: their events, traits and ids.

In:    workspaces with shared devices, joins, cuts, late events, corrections; a random log, on both engines of state.
Out:   nothing: a difference fails.
Never: a second notion of who somebody is: the profile's own reading is compared with.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.engines import Engine
from tests.laws.folding import PERMIT
from tests.random_log import random_log
from tillit.clock import HOUR, rfc3339
from tillit.consent import Choice, Many
from tillit.flow import Fold, LakeWriter
from tillit.flow.fold import prepare
from tillit.flow.history import History
from tillit.identity import iter_events, iter_identifiers, iter_places, iter_tenures, profile_id
from tillit.language.live import draw
from tillit.language.nodes import TraitValue
from tillit.language.reading import read_condition, read_value
from tillit.profile import get_document
from tillit.records import LogRow, NewRow
from tillit.store import Log, Reading
from tillit.store.lake import Lake
from tillit.workspace import Workspace, create_workspace
from tillit.workspace.people import iter_people

NOON = 1_790_000_000_000_000
TYPES = ("track", "page", "screen")
EVERYBODY = read_condition("everybody")


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    create_workspace(tmp_path / "shop")
    with Workspace(tmp_path / "shop") as workspace:
        yield workspace


def history_of(ws: Workspace) -> History:
    def permits(reading: Reading, purpose: str, at: int) -> Many:
        return ws.permissions.permit(reading, ws.scope(purpose)._replace(at=at))

    ws.flush()
    return History(ws.log, ws.state, lambda: ws.lake, ws.paths.run, permits=permits)


def at(hours: float) -> str:
    return rfc3339(NOON + int(hours * HOUR))


def names(history: History, person: int) -> list[str | None]:
    return [one.name for one in history.events(person)]


def person_of(ws: Workspace, who: tuple[str, str]) -> int:
    return int(ws.state.read("SELECT root_id FROM identifier WHERE namespace = ? AND value = ?", who)[0][0])


def check(history: History, reading: Reading, bodies: dict[int, LogRow]) -> int:
    """Compare everybody with the reading of one person each; give how many people there are."""
    people = list(iter_people(reading))
    ids = {identifier: membership for _, _, membership in people if (identifier := _id(membership.profile_id))}
    told = history.ask("SELECT person, profile_id FROM people")
    assert sorted(told) == sorted((person, one.profile_id) for person, one in ids.items())
    assert history.members(EVERYBODY, NOON) == sorted(ids)
    known = sorted({name for one in ids.values() for name in get_document(reading, one, PERMIT, epoch=1)["traits"]})
    values = {name: history.values(TraitValue((name,)), NOON) for name in known}
    for person, membership in ids.items():
        wanted = [
            (event_at, position)
            for event_at, position in reversed(iter_events(reading, membership, before=None, limit=100_000))
            if json.loads(bodies[position].body or b"{}").get("type") in TYPES
        ]
        assert [(one.at, one.position) for one in history.events(person)] == wanted
        shown = get_document(reading, membership, PERMIT, epoch=1)["traits"]
        assert {name: value[person] for name, value in values.items() if value[person] is not None} == {
            name: one["value"] for name, one in shown.items()
        }
    return len(ids)


def _id(profile: str) -> int:
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    found = 0
    for c in profile[1:]:
        found = found * 32 + digits.index(c)
    assert profile_id(found) == profile
    return found


def check_workspace(ws: Workspace, history: History) -> int:
    head = ws.log.head()
    return check(history, ws.state, ws.folding.rows(range(1, head + 1)))


def test_what_somebody_did_before_they_were_known_is_theirs(ws: Workspace) -> None:
    ws.track(anonymous_id="d1", event="Seen", timestamp=at(-3))
    history = history_of(ws)
    device = person_of(ws, ("anonymous_id", "d1"))
    assert names(history, device) == ["Seen"]

    ws.track(user_id="ana", anonymous_id="d1", event="Bought", timestamp=at(-1))
    history = history_of(ws)

    assert names(history, person_of(ws, ("user_id", "ana"))) == ["Seen", "Bought"]
    assert names(history, device) == []
    assert check_workspace(ws, history) == 1


def test_a_shared_tablet_is_whose_it_was_at_the_time_also_of_late_events(ws: Workspace) -> None:
    ws.track(user_id="ana", anonymous_id="tablet", event="Morning", timestamp=at(-9))
    ws.track(user_id="bo", anonymous_id="tablet", event="Night", timestamp=at(-2))
    ws.track(anonymous_id="tablet", event="Late", timestamp=at(-5))
    ws.track(anonymous_id="tablet", event="Before all", timestamp=at(-50))
    ws.track(anonymous_id="tablet", event="After all", timestamp=at(-1))
    history = history_of(ws)

    assert names(history, person_of(ws, ("user_id", "ana"))) == ["Before all", "Morning", "Late"]
    assert names(history, person_of(ws, ("user_id", "bo"))) == ["Night", "After all"]
    assert check_workspace(ws, history) == 2


def test_people_who_are_joined_and_cut_bring_and_take_their_events(ws: Workspace) -> None:
    ws.track(user_id="ana", event="One", timestamp=at(-3))
    ws.track(anonymous_id="d2", event="Two", timestamp=at(-2), context={"traits": {"email": "a@x.org"}})
    once = read_condition({"event": "*", "count": {"at_least": 2}})
    assert history_of(ws).members(once, NOON) == []

    ws.identify(user_id="ana", traits={"email": "a@x.org", "plan": "pro"}, timestamp=at(-1))
    joined = history_of(ws)
    ana = person_of(ws, ("user_id", "ana"))
    assert joined.members(once, NOON) == [ana]
    assert check_workspace(ws, joined) == 1

    ws.identity.cut("user_id:ana", "email:a@x.org", reason="two people", operator="kim")
    apart = history_of(ws)
    assert apart.members(once, NOON) == []
    assert names(apart, ana) == ["One"]
    assert check_workspace(ws, apart) == 2


def test_traits_are_those_that_the_profile_shows(ws: Workspace) -> None:
    ws.identify(user_id="ana", traits={"plan": "free", "score": 3, "tags": ["a", 1.5], "gone": "x"}, timestamp=at(-3))
    ws.identify(user_id="ana", traits={"plan": "old", "gone": None}, timestamp=at(-2))
    ws.append([{"type": "identify", "userId": "ana", "traits": {"plan": "claimed"}, "timestamp": at(-1)}], trust=1)
    ws.identify(user_id="bo", traits={"plan": "pro"}, timestamp=at(-2))
    ws.flush()
    ws.profiles.correct("user_id:bo", "plan", "gold", reason="on the phone", operator="kim")
    taken_back = ws.profiles.correct("user_id:ana", "plan", "wrong", reason="on the phone", operator="kim")
    ws.flush()
    ws.profiles.undo(taken_back, operator="kim")
    history = history_of(ws)
    ana, bo = person_of(ws, ("user_id", "ana")), person_of(ws, ("user_id", "bo"))

    assert history.values(read_value({"trait": "plan"}), NOON) == {ana: "old", bo: "gold"}
    assert history.values(read_value({"trait": "gone"}), NOON) == {ana: None, bo: None}
    assert history.values(read_value({"trait": "tags"}), NOON) == {ana: ["a", 1.5], bo: None}
    assert check_workspace(ws, history) == 2

    ws.identify(user_id="bo", traits={"score": 5}, timestamp=at(-1))
    ws.profiles.correct("user_id:bo", "plan", None, reason="left", operator="kim")
    ws.flush()
    assert history.values(read_value({"trait": "plan"}), NOON) == {ana: "old", bo: None}
    assert history.count(read_condition({"trait": "score", "at_least": 3}), NOON) == 2


def test_the_answer_is_the_same_wherever_the_lake_stands(ws: Workspace) -> None:
    bought = read_condition({"event": "Bought", "where": {"total": {"greater": 50}}, "within": "1d"})
    for i in range(20):
        ws.track(user_id=f"u{i % 7}", event="Bought", properties={"total": i * 10}, timestamp=at(-i))
    history = history_of(ws)
    wanted = history.members(bought, NOON)
    ws.folding.write_lake()
    for i in range(5):
        ws.track(user_id=f"new{i}", event="Bought", properties={"total": 10}, timestamp=at(-1))
    ws.flush()

    assert ws.lake.position() == 20
    assert history.members(bought, NOON) == wanted
    assert history.position == 25
    assert len(wanted) == 7
    assert history.count(EVERYBODY, NOON) == 12
    ws.folding.write_lake()
    assert history.members(bought, NOON) == wanted


def test_what_was_sent_twice_or_forgotten_counts_no_more(ws: Workspace) -> None:
    for message in ("m1", "m1", "m2"):
        ws.track(user_id="ana", event="Bought", timestamp=at(-1), message_id=message)
    ws.track(user_id="ana", event="Bought", timestamp=at(-2), message_id="m2")
    ws.track(user_id="ana", event="Seen", timestamp=at(-1))
    history = history_of(ws)
    counted = read_value({"event": "Bought", "count": True})
    ana = person_of(ws, ("user_id", "ana"))
    assert history.values(counted, NOON) == {ana: 2.0}

    ws.folding.write_lake()
    ws.forget([3])
    assert history.values(counted, NOON) == {ana: 1.0}
    assert check_workspace(ws, history) == 1


def test_a_sample_is_drawn_by_the_profile_id(ws: Workspace) -> None:
    for i in range(40):
        ws.track(user_id=f"u{i}", event="Seen", timestamp=at(-1))
    history = history_of(ws)
    node = read_condition({"sample": {"salt": "a", "share": "40%"}})

    everybody = history.members(EVERYBODY, NOON)
    assert history.members(node, NOON) == [one for one in everybody if draw("a", profile_id(one)) < 0.4]


def test_what_is_kept_beside_the_log_holds_ids_alone(ws: Workspace) -> None:
    ws.identify(user_id="ana-marker", traits={"plan": "plan-marker"}, timestamp=at(-1))
    ws.track(user_id="ana-marker", event="event-marker", properties={"x": "value-marker"}, timestamp=at(-1))
    history = history_of(ws)
    history.values(read_value({"trait": "plan"}), NOON)
    first = sorted(ws.paths.run.glob("history-*"))
    columns = {name for path in first for (name, _) in _columns(path)}
    assert {kind for path in first for (_, kind) in _columns(path)} == {"BIGINT", "BOOLEAN"}
    assert columns == {"anchor_id", "from_at", "identifier_id", "is_somebody", "part", "person", "position"}

    ws.track(user_id="ana-marker", event="Seen", timestamp=at(-1))
    ws.flush()
    assert history.members(EVERYBODY, NOON) == history_of(ws).members(EVERYBODY, NOON)
    assert sorted(ws.paths.run.glob("history-*")) == first
    ws.identity.block("user_id:ana-marker", reason="many")
    ws.flush()
    history.members(EVERYBODY, NOON)
    later = sorted(ws.paths.run.glob("history-*"))
    assert len(later) == len(first) == 5
    assert not set(first) & set(later)


def _columns(path: Path) -> list[tuple[str, str]]:
    with duckdb.connect() as engine:
        rows = engine.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("lake_share", [0.0, 0.6])
def test_a_random_log_gives_everybody_what_is_theirs(engine: Engine, tmp_path: Path, lake_share: float) -> None:
    rows = random_log(seed=11, n_rows=500, n_people=40)
    state = engine.open()
    with closing(Log.open(tmp_path / "log.db")) as log, Lake.open(tmp_path / "lake", sync=False) as lake:
        for one in rows:
            log.append([NewRow(one.kind, *one[3:8], one.body or b"{}")], now=None)
        told = {one.position: one for one in log.read(0, len(rows))}
        fold = Fold(state, lambda positions: {p: told[p] for p in positions if p in told})
        n_lake = int(len(rows) * lake_share)
        for some in (log.read(0, n_lake), log.read(n_lake, len(rows))):
            if some:
                fold.apply(some)
            if lake_share and lake.position() == 0:
                LakeWriter(log, state, lake).catch_up()
        history = History(log, state, lambda: lake, tmp_path / "run")

        assert lake.position() == n_lake
        assert check(history, state, told) > 20
        history.close()


@pytest.mark.parametrize(("n_rows", "n_texts"), [(1, 1), (3, 2), (4, 3), (12, 1), (50, 20)])
def test_everybody_is_read_whole_in_blocks_of_any_size(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, n_rows: int, n_texts: int
) -> None:
    monkeypatch.setattr("tillit.identity.everybody._ROWS", n_rows)
    monkeypatch.setattr("tillit.identity.everybody._TEXTS", n_texts)
    state = engine.open()
    prepare(state)
    assert [*iter_identifiers(state, state.dialect), *iter_places(state, state.dialect)] == []

    # One anchor has more events than a block, some at one instant; twelve are a whole number of most blocks.
    places = [(64 if i < 8 else 64 * i, NOON - i // 2, i) for i in range(12)]
    tenures = [(64 * (i // 3), -(1 << 61) + i // 2, i, 128) for i in range(12)]
    with state.transaction() as tx:
        tx.executemany("INSERT INTO event_index (anchor_id, event_at, position) VALUES (?, ?, ?)", places)
        tx.executemany(
            "INSERT INTO tenure (identifier_id, from_at, from_position, holder_id) VALUES (?, ?, ?, ?)", tenures
        )

    assert sorted(rows_of(iter_places(state, state.dialect), n_texts)) == sorted((a, p) for a, _, p in places)
    assert sorted(rows_of(iter_tenures(state, state.dialect), n_texts)) == sorted(tenures)


def rows_of(blocks: Iterator[tuple[list[str], ...]], n_texts: int) -> list[tuple[int, ...]]:
    """Put columns of texts together to rows again."""
    rows: list[tuple[int, ...]] = []
    for block in blocks:
        assert {len(texts) for texts in block} <= set(range(1, n_texts + 1))
        columns = ([int(one) for text in texts for one in text.split(",")] for texts in block)
        rows += zip(*columns, strict=True)
    return rows


def test_permitted_are_those_whom_the_purpose_may_use(ws: Workspace) -> None:
    for name in ("ana", "bo", "cem"):
        ws.track(user_id=name, event="Seen", timestamp=at(-1))
    ws.flush()
    ws.consent.set("user_id:bo", [Choice("*", "restricted")])
    history = history_of(ws)
    ana, bo, cem = (person_of(ws, ("user_id", name)) for name in ("ana", "bo", "cem"))

    assert history.members(read_condition({"permitted": "service"}), NOON) == [ana, cem]
    assert history.members(read_condition({"not": {"permitted": "service"}}), NOON) == [bo]
