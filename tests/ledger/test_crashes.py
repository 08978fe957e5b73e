"""A process that dies while it writes leaves a ledger that verifies, with everything that it was told is there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger.shelf import Shelf
from tests.still_clock import START, Clock

# Appends for ever, in batches of any size, and says after each how many entries are on disk.
_WRITER = """
import random, sys
from pathlib import Path
from tests.ledger.shelf import Shelf, some
shelf = Shelf(Path(sys.argv[1]), synchronous="FULL")
chance = random.Random(int(sys.argv[2]))
while True:
    indexes = shelf.ledger.append(some(chance.randrange(1, 400), n_people=50))
    if chance.random() < 0.2:
        shelf.ledger.checkpoint(Path(sys.argv[1]) / "copy.txt")
    print(indexes[-1] + 1, flush=True)
"""
_ROUNDS = 6


@pytest.mark.crash
@pytest.mark.slow
def test_kill_9_while_it_writes_leaves_a_ledger_that_verifies(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    root = Path(__file__).resolve().parents[2]
    told = 0
    sizes = []
    for seed in range(_ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder), str(seed)], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert process.stdout is not None
        for _ in range(random.Random(seed).randrange(1, 12)):
            told = int(process.stdout.readline())
        process.kill()
        told = max([told, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
        process.wait()
        process.stdout.close()

        shelf = Shelf(folder, Clock(START))
        copy = folder / "copy.txt"
        found = shelf.ledger.check([copy.read_text()] if copy.exists() else [])
        readable = shelf.ledger.read([f"p{number}" for number in range(50)], limit=1_000_000)
        shelf.close()

        assert found.faults == []
        assert found.n_entries >= told  # everything it was told is there
        assert (found.n_unreadable, len(readable.entries)) == (0, found.n_entries)
        sizes.append(found.n_entries)

    assert sizes == sorted(set(sizes))
