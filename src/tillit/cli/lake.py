"""`tillit lake`: the lake, and what of it is shared with others.

In:    a purpose that shares.
Out:   what one round of sharing did.
Never: a table for a purpose that does not share.
"""

from typing import Annotated

import typer

from tillit.cli.terminal import JsonOption, WorkspaceOption, show
from tillit.workspace import Workspace

lake = typer.Typer(help="The whole history as open tables.", no_args_is_help=True)


@lake.command("share")
def lake_share(
    purpose: Annotated[str, typer.Argument(help="A purpose that says `share: true`.")],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Bring the table of one purpose up to what it should be: who agreed is in it, and nobody else.

    A served workspace does so by itself. Every round reads the whole history.
    """
    with Workspace(workspace) as ws:
        ws.flush()
        ws.folding.write_lake()
        done = ws.shares.share(purpose)
        place = ws.shares.path(purpose)
    if json:
        show(done._asdict())
        return
    print(f"{done.n_rows:,} events in {place}: {done.n_added:,} added, {done.n_removed:,} taken out.")
    print(f"The ledger has the disclosure of {done.n_people:,} people. It tells up to position {done.through:,}.")
