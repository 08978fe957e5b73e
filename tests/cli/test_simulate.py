"""`tillit simulate` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.running import tillit
from tillit.workspace import Workspace


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tillit", "simulate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_shop_is_made_scored_and_found_out_when_somebody_joins_two_people(tmp_path: Path) -> None:
    folder = tmp_path / "shop"

    made = run("make", str(folder), "--customers", "120", "--seed", "3")
    before = run("score", str(folder), "--json")
    with Workspace(folder) as ws:
        # Two customers with no story between them, joined by the word of a server.
        ws.alias(previous_id="c-000010", user_id="c-000017")
        ws.flush()
        ws.folding.release()
    after = run("score", str(folder), "--json")
    told = run("score", str(folder))

    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("+2,")
    assert "120 customers in 180 days" in made.stdout
    assert "shop.truth.db" in made.stdout
    assert (before.returncode, after.returncode, told.returncode) == (0, 1, 1)
    assert json.loads(before.stdout)["n_wrong_outside"] == 0
    assert json.loads(after.stdout)["n_wrong_outside"] > 3
    assert json.loads(after.stdout)["precision"] < json.loads(before.stdout)["precision"]
    assert "shared-kiosk" in told.stdout
    assert "joined wrongly" in told.stdout
    assert tillit("rebuild", "--workspace", str(folder), "--check").startswith("No difference")


def test_a_folder_that_has_events_or_something_else_is_left_alone(tmp_path: Path) -> None:
    folder, other = tmp_path / "shop", tmp_path / "letters"
    other.mkdir()
    (other / "dear.txt").write_text("Ana")
    tillit("init", str(folder))
    with Workspace(folder) as ws:
        ws.track(event="Seen", user_id="ana")

    refused = [run("make", str(folder), "--customers", "5"), run("make", str(other), "--customers", "5")]

    assert [one.returncode for one in refused] == [2, 2]
    assert all("has events already" in one.stderr or "is no workspace" in one.stderr for one in refused)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters", "shop"]
    assert [path.name for path in other.iterdir()] == ["dear.txt"]


def test_a_workspace_without_a_truth_cannot_be_scored(tmp_path: Path) -> None:
    tillit("init", str(tmp_path / "shop"))

    refused = run("score", str(tmp_path / "shop"))

    assert refused.returncode == 2
    assert "tillit simulate make" in refused.stderr
