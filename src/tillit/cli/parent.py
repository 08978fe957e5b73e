"""Processes that start others, and the end of one: it is the end of each that it started.

In:    the process id of the one who started us; a kind of work.
Out:   a call, once it is gone; a process that works.
Never: a process that is left behind.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Stop when the supervisor is gone, however and whenever it went: it may have been killed while we started."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: at once, on Linux

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        stop()

    threading.Thread(target=watch, name="tillit-parent", daemon=True).start()


class WorkerStarter:
    """Starts a process that does long work: beside its own, so that the door is as quick as ever."""

    def __init__(self, kind: str, path: Path) -> None:
        """Work on one workspace, at imports or at plans; nothing is started yet."""
        self._kind = kind
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless this process has one running; of several processes' workers one gets the lock."""
        if self._process is None or self._process.poll() is not None:
            arguments = (self._kind, str(self._path), str(os.getpid()))
            self._process = subprocess.Popen([sys.executable, "-m", "tillit.cli.processes", *arguments])
