"""A command, typed in this process.

In:    the words after `tillit`, what is typed when it asks.
Out:   its exit code, what it printed, what it said.
Never: a process: starting one costs more than most commands. `tests.running.tillit` is for one run of each kind.
"""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from tillit.cli import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str, typed: str = "") -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch("sys.stdin", io.StringIO(typed)):
        try:
            main(list(words))
        except SystemExit as end:
            return Done(int(end.code or 0), out.getvalue(), err.getvalue())
    return Done(0, out.getvalue(), err.getvalue())
