"""Whatever is killed, wherever: nothing is lost, and what may be twice is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.deliver.crash_matrix import run_matrix, table
from tillit.deliver.courier import STEPS

N_ROUNDS = max(1, int(os.environ.get("TILLIT_CRASH_ROUNDS", "1")) // 100)  # each kills thirteen times
FIRST_SEED = int(os.environ.get("TILLIT_CRASH_SEED", "1"))


@pytest.mark.crash
@pytest.mark.slow
def test_a_kill_at_any_step_loses_nothing_and_names_what_may_be_twice(tmp_path: Path) -> None:
    cells, faults = run_matrix(tmp_path, rounds=N_ROUNDS, n=6, seed=FIRST_SEED)

    print(table(cells))
    assert faults == [], f"TILLIT_CRASH_SEED={FIRST_SEED}"
    assert len({cell.step for cell in cells}) == len(STEPS) + 3  # and two deaths of receivers, and the engine's
    assert all(cell.n_lost == 0 for cell in cells)
    assert all(cell.n_doubled == 0 for cell in cells if cell.peer == "webhook")
    assert any(cell.n_named for cell in cells if cell.peer == "e-mail"), "no kill ever met a mail on the wire"
