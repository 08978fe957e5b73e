"""L5 under `kill -9`: whoever folds, fills and judges dies at random points, and nothing is told twice or missed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.audience.apart import judge_apart
from tests.audience.shop import DEFINITIONS, Town
from tests.still_clock import Clock
from tillit import clock
from tillit.audience import set_through
from tillit.clock import SECOND, rfc3339
from tillit.store import StoreFull, Writing

N_ROUNDS = int(os.environ.get("TILLIT_CRASH_ROUNDS", "2"))
FIRST_SEED = int(os.environ.get("TILLIT_CRASH_SEED", "1"))
N_PEOPLE = 60
# Folds, fills and judges until nothing is left; a definition or more events may come before each.
FOLD = """
import sys
from pathlib import Path
from tillit.workspace import Workspace
ws = Workspace(Path(sys.argv[1]))
ws.flush()
ws.close()
"""


def fold_and_kill(folder: Path, after_s: float) -> bool:
    """Fold what is there in a process of its own; say whether it was killed before it was done."""
    folding = subprocess.Popen([sys.executable, "-c", FOLD, str(folder)])
    time.sleep(after_s)
    is_killed = folding.poll() is None
    if is_killed:
        folding.send_signal(signal.SIGKILL)
    folding.wait()
    return is_killed


def pour(town: Town, chance: random.Random, n: int) -> None:
    """Put events into the log that nobody has folded yet: some late, some of shared devices, some identify."""
    now = town.clock.now()
    told = []
    for number in range(n):
        who = chance.randrange(N_PEOPLE)
        one = {
            "type": "track",
            "event": chance.choice(["Order Completed", "Product Viewed", "Cart Viewed"]),
            "anonymousId": f"device-{who % 40}",
            "properties": {"total": chance.choice([20, 60.5]), "sku": chance.choice("ab")},
            "timestamp": rfc3339(now - chance.choice([0, 0, 1, 3_600, 500_000]) * 1_000_000 - number),
        }
        if chance.random() < 0.5:
            one["userId"] = f"user-{who}"
        told.append(one)
    town.ws.append(told)


@pytest.mark.crash
@pytest.mark.parametrize(
    ("seed", "is_apart"), [(seed, seed % 2 == 0) for seed in range(FIRST_SEED, FIRST_SEED + N_ROUNDS)]
)
def test_killed_while_it_folds_fills_and_judges_everything_is_told_once(
    tmp_path: Path, seed: int, *, is_apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_apart:
        judge_apart(monkeypatch, batch_rows=20)
    chance = random.Random(seed)
    real = Clock()
    real.now = clock.now_us  # type: ignore[method-assign]
    names = sorted(DEFINITIONS)
    n_killed = 0
    with Town(tmp_path / "town", real) as town:
        town.ws.folding.leave_to_others()
        for number in range(6):
            pour(town, chance, 400)
            if number < len(names):
                text = town.text(names[number], chance.randrange(2))
                town.ws.append_rows([town.row(names[number], text, number)])
            n_killed += fold_and_kill(tmp_path / "town", chance.uniform(0.3, 1.6))
        town.restart()
        town.look()

        assert town.ws.folding.check() == []
    assert n_killed, "nothing was killed in the middle"


def test_a_piece_of_filling_that_failed_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_failed = 0

    def fail_once(tx: Writing, tapes: Sequence[int], through: int) -> None:
        nonlocal n_failed
        if not n_failed:
            n_failed += 1
            raise StoreFull("no room")
        set_through(tx, tapes, through)

    with Town(tmp_path / "town", Clock()) as town:
        for number in range(3):
            order = {"type": "track", "event": "Order Completed", "userId": "ada", "properties": {"total": 40}}
            town.say(order, number * 3_600 * SECOND)
        town.ws.flush()
        monkeypatch.setattr("tillit.flow.audiences.set_through", fail_once)
        with pytest.raises(StoreFull):
            town.apply("spenders", 0)
        town.look()

        assert n_failed == 1
        assert town.ws.folding.check() == []
        assert town.ws.memberships.count("spenders") == 1
