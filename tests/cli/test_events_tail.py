"""`tillit events tail` counts events, not rows of the log."""

from pathlib import Path

import pytest

from tillit import clock
from tillit.cli import main
from tillit.records import KIND_TICK, TRUST_OPERATOR, NewRow
from tillit.workspace import Workspace, create_workspace

N_TICKS = 250  # more than one page of the log


@pytest.fixture
def idle_shop(workspace_dir: Path) -> Path:
    """Two events, a long time in which nothing happened, a third event."""
    create_workspace(workspace_dir)
    now = clock.now_us()
    tick = NewRow(KIND_TICK, "engine", TRUST_OPERATOR, now, now, bytes(16), b"{}")
    with Workspace(workspace_dir) as ws:
        ws.track(user_id="42", event="First")
        ws.track(user_id="42", event="Second")
        ws.append_rows([tick] * N_TICKS)
        ws.track(user_id="42", event="Third")
    return workspace_dir


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(["events", "tail", "--no-follow", *arguments])
    assert ended.value.code == 0
    return [line.split()[-1] for line in capsys.readouterr().out.splitlines()]


def test_an_idle_time_hides_no_event(idle_shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--workspace", str(idle_shop)) == ["First", "Second", "Third"]


def test_it_begins_as_many_events_back_as_it_was_told(idle_shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--workspace", str(idle_shop), "-n", "2") == ["Second", "Third"]


def test_none_is_none(idle_shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--workspace", str(idle_shop), "-n", "0") == []
