"""Reading in one process while another folds: every answer is of one moment, also from read-only state."""

import subprocess
import sys
from pathlib import Path

from tillit.identity import DEFAULT_RULES, find_membership
from tillit.profile import get_document
from tillit.records import Permit, Scope
from tillit.store import SqliteState
from tillit.workspace import Workspace, create_workspace

# Folds events of one person, three to a transaction, each with a count of its own: they rise together. Until it is told
# that enough was seen.
ENGINE = """
import sys
import threading
from pathlib import Path
from tillit.workspace import Workspace

told = threading.Thread(target=sys.stdin.read, daemon=True)
told.start()
with Workspace(Path(sys.argv[1])) as ws:
    n = -1
    while told.is_alive():
        n += 1
        ws.append([{"type": "track", "userId": "42", "event": name} for name in ("a", "b", "c")])
        ws.flush()
        if n == 0:
            print("begun", flush=True)
"""
PERMIT = Permit(Scope("service", 0, "test", 0, "contract", "", None, ()), "", None, None)


def test_answers_are_of_one_moment_while_another_process_folds(workspace_dir: Path) -> None:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir):
        pass
    who = DEFAULT_RULES.parse("user_id:42")
    assert who is not None

    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(workspace_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    engine.stdout.readline()
    state = SqliteState(workspace_dir / "state.db", read_only=True)
    seen: set[int] = set()
    torn = []
    while engine.poll() is None:
        with state.snapshot() as reading:
            position = reading.read("SELECT position FROM fold")[0][0]
            membership = find_membership(reading, who)
            assert membership is not None
            document = get_document(reading, membership, PERMIT, epoch=1)
        counts = document["counts"]
        seen.add(counts["a"])
        if not counts["a"] == counts["b"] == counts["c"] == document["n_events"] / 3 == position / 3:
            torn.append((position, counts))
        if len(seen) == 20:
            engine.stdin.close()
    state.close()
    engine.stdout.close()

    assert engine.returncode == 0
    assert torn == []
    assert len(seen) >= 20  # it did read while the other wrote
