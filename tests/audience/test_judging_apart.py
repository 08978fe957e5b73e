"""Judged beside the fold, in a process of its own, people are told of as they are when the fold judges them itself."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.apart import judge_apart, kill, part
from tests.audience.shop import DEFINITIONS, PURPOSES, Town
from tests.audience.test_crashes import pour
from tests.audience.test_laws import Act, acts, events, waits
from tests.engines import PostgresServer
from tests.still_clock import Clock
from tillit.audience import Touched
from tillit.clock import DAY, HOUR
from tillit.records import NewRow
from tillit.store import Log
from tillit.workspace import Workspace, create_workspace

FIRST = {"top": {"by": {"event": "*", "count": True}, "highest": 5, "every": "1h"}}


def live(folder: Path, chance: random.Random) -> None:
    """Let weeks go by: definitions come and go, events are late, people are joined, cut, erased, and choose."""
    with Town(folder, Clock()) as town:
        town.put("first", FIRST)
        for number, name in enumerate(sorted(DEFINITIONS) * 2):
            town.apply(name, chance.randrange(2))
            pour(town, chance, 60)
            town.wait(chance.choice([HOUR, DAY, 5 * DAY]))
            one, other = chance.sample(range(40), 2)
            match number % 5:
                case 0:
                    town.cut(f"user_id:user-{one}", f"anonymous_id:device-{one % 30}")
                case 1:
                    town.join(f"user_id:user-{one}", f"user_id:user-{other}")
                case 2:
                    town.choose(f"user-{one}", is_yes=chance.random() < 0.5)
                case 3:
                    town.erase(f"user_id:user-{one}")
            town.ws.folding.engine().tick()
        # Who was among the first and is forgotten leaves a place until the next tick.
        town.look(town.ws.audiences.definitions().audiences.keys() - {"first"})


def folded_anew(folder: Path, log: Path, *, is_apart: bool) -> list[tuple[Any, ...]]:
    """Fold the same rows, each logged when it was; give what was told of everybody, of one moment in any order."""
    there = Log.open(log, read_only=True)
    rows = there.read(0, 1_000_000)
    there.close()
    create_workspace(folder)
    n_apart = 0
    with Workspace(folder, now=lambda: rows[-1].logged_at) as ws:
        for row in rows:
            ws.log.append([NewRow(*row[2:-1], row.body or b"")], now=row.logged_at)
        engine = ws.folding.engine()
        while engine.step():
            if is_apart and engine.fold.catalog.has_any:
                part(ws)
            n_apart += engine.judges.is_apart
            if engine.fold.position % 3 == 0:
                while engine.keep_audiences():
                    pass
        engine.catch_up()
        assert (n_apart > 20) == is_apart
        return sorted((one.position, *one[1:]) for one in ws.memberships.changes(limit=1_000_000))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_is_told_of_everybody_wherever_they_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    live(tmp_path / "lived", random.Random(seed))
    log = tmp_path / "lived" / "log.db"
    judge_apart(monkeypatch, batch_rows=10)
    monkeypatch.setenv("TILLIT_ENGINE__JUDGE_APART_ROWS", "0")
    here = folded_anew(tmp_path / "here", log, is_apart=False)
    judge_apart(monkeypatch, batch_rows=10)
    apart = folded_anew(tmp_path / "apart", log, is_apart=True)

    assert len(here) > 200
    assert apart == here


def test_the_same_is_told_where_the_state_is_in_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    live(tmp_path / "lived", random.Random(5))
    log = tmp_path / "lived" / "log.db"
    judge_apart(monkeypatch, batch_rows=20)
    monkeypatch.setenv("TILLIT_ENGINE__JUDGE_APART_ROWS", "0")
    here = folded_anew(tmp_path / "here", log, is_apart=False)
    judge_apart(monkeypatch, batch_rows=20)
    monkeypatch.setenv("TILLIT_STATE__URL", postgres.address)
    apart = folded_anew(tmp_path / "apart", log, is_apart=True)
    postgres.ask("DROP SCHEMA tillit CASCADE")

    assert len(here) > 200
    assert apart == here


def test_whoever_judges_beside_may_be_killed_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_apart(monkeypatch, batch_rows=20)
    chance = random.Random(3)
    n_killed = 0
    with Town(tmp_path / "town", Clock()) as town:
        for name in sorted(DEFINITIONS):
            town.apply(name, 0)
        for _ in range(4):
            pour(town, chance, 200)
            engine = town.ws.folding.engine()
            while engine.step():
                apart = part(town.ws)
                if chance.random() < 0.3:
                    kill(apart)
                    n_killed += 1
                if chance.random() < 0.5:
                    engine.keep_audiences()
            town.wait(HOUR)
            town.look()
        assert town.ws.folding.check() == []
    assert n_killed > 5


def test_who_is_told_another_moment_than_there_is_does_not_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_apart(monkeypatch, batch_rows=20)
    with Town(tmp_path / "town", Clock()) as town:
        town.apply("buyers", 0)
        pour(town, random.Random(4), 50)
        town.ws.flush()
        apart, position = part(town.ws), town.ws.folding.position()
        everybody = Touched()
        everybody.whole(
            [identifier_id for (identifier_id,) in town.ws.state.read("SELECT identifier_id FROM identifier")]
        )
        apart.judge_touched(everybody, epoch=town.ws.log.epoch(), position=position + 1, at=town.clock.at)
        apart.settle()

        assert apart.is_gone
        town.look()


@settings(max_examples=2, deadline=None)
@given(st.lists(events() | events() | acts() | waits(), min_size=20, max_size=40))
def test_live_is_batch_after_anything_that_can_happen(done: list[Act]) -> None:
    with (
        TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Town(Path(folder) / "town", Clock(), purposes=PURPOSES) as town,
    ):
        for name in sorted(DEFINITIONS):
            town.apply(name, 0)
        town.restart()
        judge_apart(patch, batch_rows=3)
        town.restart()
        part(town.ws)
        for number, act in enumerate(done):
            act(town)
            if number % 7 == 0:
                town.look()
        town.look()
        assert town.ws.folding.engine().judges.is_apart
