"""Judges: who judges people at the moment, in the process that folds or in one beside it.

In:    how much there is to fold; two ways to judge.
Out:   who judges now; that they hold, or have done, all that they were told.
Never: two that judge at once; a state that changes before whoever judges beside holds the moment they were told of.
"""

import subprocess
from collections.abc import Callable
from typing import Protocol

from tillit.audience import Catalog, Touched
from tillit.flow.audiences import Judging
from tillit.flow.judging_apart import Apart

_LARGE_IN_A_ROW = 2  # micro-batches after which it is no chance that they are large


class Judge(Protocol):
    """Whoever judges people: at once, or behind the fold."""

    @property
    def is_under_any(self) -> bool:
        """Say whether people were judged by any audience, or leave those that there were."""
        ...

    @property
    def is_walking(self) -> bool:
        """Say whether a look at everybody goes on."""
        ...

    def come_under(self, catalog: Catalog, *, epoch: int, position: int, at: int) -> None:
        """Take the audiences that can be answered."""
        ...

    def judge_touched(self, touched: Touched, *, epoch: int, position: int, at: int) -> None:
        """Judge people of whom more was said, and whoever is due by then."""
        ...

    def wants(self, at: int) -> bool:
        """Say whether somebody waits: for a walk, or for an instant that has come."""
        ...

    def next_due(self) -> int:
        """Say when somebody is to be judged by themselves; NEVER when nobody is."""
        ...

    def step(self, *, epoch: int, position: int, at: int) -> bool:
        """Judge some of those who wait; say whether there were any."""
        ...

    def walk(self, cause: str, *, epoch: int, position: int, at: int) -> None:
        """Ask for a look at everybody, from the first on."""
        ...


class Judges:
    """Whoever judges the people of one workspace."""

    def __init__(
        self,
        here: Callable[[], Judging | None],
        judged: Callable[[int], None],
        start_apart: "Callable[[], subprocess.Popen[bytes] | None]",
        *,
        apart_rows: int,
    ) -> None:
        """Begin in this process.

        `here` makes who judges here (None: nobody is judged); `judged` is told up to which position everybody was
        judged. From micro-batches of `apart_rows` on (0: never) people are judged by a process of its own, which
        `start_apart` starts (None: it cannot be).
        """
        self._here = here
        self._judged = judged
        self._start_apart = start_apart
        self._apart_rows = apart_rows
        self._starting: Apart | None = None  # that will judge once it is ready
        self._n_large = 0  # micro-batches in a row that are worth judging beside them
        self._now: Judging | Apart | None = here()
        self.has_untold = True  # people may wait to be judged of whom the fold says nothing

    @property
    def now(self) -> Judge | None:
        """Give who judges; None: nobody is judged."""
        return self._now

    @property
    def is_apart(self) -> bool:
        """Say whether it is a process beside this one."""
        return isinstance(self._now, Apart)

    @property
    def may_be_apart(self) -> bool:
        """Say whether a process could be started."""
        return bool(self._apart_rows)

    def part(self, n_rows: int) -> None:
        """Let a process of its own judge once there is more to fold than comes as one goes."""
        if not self._apart_rows or not isinstance(self._now, Judging):
            return
        self._n_large = self._n_large + 1 if n_rows >= self._apart_rows else 0
        if self._starting is not None:
            if self._starting.is_ready():
                self._now, self._starting = self._starting, None
            elif self._starting.is_gone:
                self._starting, self._apart_rows = None, 0  # it cannot be started here
        elif self._n_large >= _LARGE_IN_A_ROW:
            process = self._start_apart()
            if process is None:
                self._apart_rows = 0
            else:
                self._starting = Apart(process)

    def hold(self) -> None:
        """Return when the state may be changed: whoever judges beside has the moment that they were told of."""
        if isinstance(self._now, Apart):
            self._now.hold()
            self._note_judged(self._now)

    def settle(self) -> None:
        """Return when everybody is judged who was to be."""
        if isinstance(self._now, Apart):
            self._now.settle()
            self._note_judged(self._now)

    def _note_judged(self, apart: Apart) -> None:
        self._judged(apart.judged_through)
        if apart.is_gone:
            # It was killed. What it had not done is noted in the state.
            self._now, self.has_untold, self._n_large = self._here(), True, 0

    def come_here(self) -> None:
        """Let people be judged in this process, as at the beginning."""
        self.settle()
        if isinstance(self._now, Apart):
            self._now.close()
            self._now = self._here()
        if self._starting is not None:
            self._starting.close()
        self._starting, self._n_large = None, 0
