"""Tillit: a customer data platform in one package.

In:    a workspace folder.
Out:   the object a caller holds.
Never: does anything on import.

>>> import tillit, tempfile
>>> with tillit.open(tempfile.mkdtemp() + "/shop") as ws:
...     ws.track(user_id="42", event="Order Completed", properties={"total": 12.5})
...     ws.flush()
...     ws.profiles.get("user_id:42")["counts"]
{'Order Completed': 1}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rooms load when a workspace is opened: every run of the command line passes here
    from tillit.workspace import Workspace

__version__ = "0.1.0"

__all__ = ["__version__", "open"]


def open(path: str | Path) -> Workspace:  # noqa: A001 -- `tillit.open` reads as it means
    """Open a workspace in this process, safely beside a running server; a missing or empty folder becomes one.

    With a server running, events are appended to the log and `flush` waits until the server's engine has applied
    them; alone, this process folds.

    Raises: NoWorkspace when the folder holds other things.
    """
    from tillit.workspace import Workspace, create_workspace

    folder = Path(path)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        create_workspace(folder)
    return Workspace(folder)
