"""`tillit message bounced`: a mail that came back.

In:    a file, or what a mail server pipes in.
Out:   what became of it: nothing is sent again to an address that is refused for good.
Never: a word of the mail on the screen.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tillit.cli.terminal import JsonOption, WorkspaceOption, show
from tillit.workspace import Workspace


def bounced(
    file: Annotated[Path, typer.Argument(help="The mail as it came; - reads what is piped in.")],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Take a mail that came to the return path: an address refused for good is written to no more."""
    raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    with Workspace(workspace) as ws:
        taken = ws.deliveries.feedback.bounced(raw)
    if json:
        show({"new": taken.n_new, "known": taken.n_known, "unknown": taken.n_unknown})
    else:
        print(
            f"{taken.n_new} taken, {taken.n_known} known before, {taken.n_unknown} about no message of this workspace"
        )
