"""The supervisor's end is the end of each process it started.

In:    the supervisor's process id.
Out:   a call, once it is gone.
Never: a process that is left behind.
"""

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable


def stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Stop when the supervisor is gone, however and whenever it went: it may have been killed while we started."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: at once, on Linux

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        stop()

    threading.Thread(target=watch, name="tillit-parent", daemon=True).start()
