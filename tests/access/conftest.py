"""A workspace whose time goes on only when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tillit.clock import SECOND
from tillit.workspace import Workspace, create_workspace

START = 1_795_312_000 * SECOND


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at

    def go_on(self, microseconds: int) -> None:
        self.at += microseconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ws(workspace_dir: Path, clock: Clock) -> Iterator[Workspace]:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir, now=clock.now) as workspace:
        yield workspace
