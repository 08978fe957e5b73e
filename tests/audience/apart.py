"""Judging beside the fold, from the first event on: left to itself an engine begins it when it has much to do."""

import pytest

from tillit.flow.judging_apart import Apart
from tillit.workspace import Workspace


def judge_apart(monkeypatch: pytest.MonkeyPatch, *, batch_rows: int) -> None:
    """Let engines that are made from here on, in any process, judge beside the fold as soon as they can."""
    monkeypatch.setenv("TILLIT_ENGINE__JUDGE_APART_ROWS", "1")
    monkeypatch.setenv("TILLIT_ENGINE__BATCH_ROWS", str(batch_rows))


def part(ws: Workspace) -> Apart:
    """Wait until somebody judges beside."""
    judges = ws.folding.engine().judges
    while not isinstance(judges.now, Apart):
        judges.part(1)
        assert judges.may_be_apart, "it could not be started"
    return judges.now


def kill(apart: Apart) -> None:
    """Kill who judges beside."""
    apart._process.kill()
