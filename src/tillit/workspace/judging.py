"""Judging beside the fold: the process that writes who is in which audience while another one folds.

In:    a workspace folder; orders from whoever folds, as `flow.judging_apart` sends them.
Out:   memberships and their changes.
Never: started by hand; alive without whoever sends orders, since the lock of the fold goes with it.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

from tillit.audience import Memberships
from tillit.flow import judge_as_told
from tillit.settings import Settings
from tillit.workspace.folder import Paths, open_audiences, open_state


def main(folder: Path) -> None:
    """Judge people of one workspace until whoever sends orders on standard input is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever folds says when it is over
    # What is printed goes where errors go: answers have standard output for themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    paths, settings = Paths(folder), Settings.load(folder)
    with (
        contextlib.closing(open_state(paths, settings, read_only=True)) as state,
        contextlib.closing(open_audiences(paths)) as store,
    ):
        judge_as_told(state, Memberships(store), sys.stdin.buffer, answers, adult_age=settings.people.adult_age)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
