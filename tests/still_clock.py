"""A workspace whose time goes on only when a test says so.

In:    an instant to begin at.
Out:   `clock` and `ws`, for tests of anything that looks at the time.
Never: the real clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tillit.clock import SECOND
from tillit.workspace import Workspace, create_workspace

START = 1_795_312_000 * SECOND


class Clock:
    """Time as a test wants it. Units: `at` is UTC epoch microseconds, `monotonic` seconds."""

    def __init__(self, at: int = START) -> None:
        self.at = at
        self.monotonic = 1_000.0

    def now(self) -> int:
        return self.at

    def monotonic_s(self) -> float:
        return self.monotonic

    def go_on(self, microseconds: int) -> None:
        self.at += microseconds
        self.monotonic += microseconds / SECOND


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ws(workspace_dir: Path, clock: Clock) -> Iterator[Workspace]:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir, now=clock.now) as workspace:
        yield workspace
