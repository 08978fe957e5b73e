"""`tillit quarantine`: events that could not be taken, and taking them after all.

In:    ids.
Out:   which they are and why; how many pass now.
Never: what an event says.
"""

from typing import Annotated, Any

import typer

from tillit.cli.terminal import JsonOption, WorkspaceOption, show
from tillit.clock import rfc3339
from tillit.workspace import Workspace

quarantine = typer.Typer(help="Events that could not be taken.", no_args_is_help=True)


@quarantine.command("list")
def quarantine_list(
    workspace: WorkspaceOption,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    json: JsonOption = False,
) -> None:
    """List events that could not be taken, newest first."""
    with Workspace(workspace) as ws:
        found = [_quarantine_document(kept) for kept in ws.quarantine.rows(limit=limit)]
    if json:
        show({"quarantine": found})
        return
    for row in found:
        print(
            f"{row['quarantine_id']}  {row['received_at'][:19]}Z  {row['source']}  {row['code']}  {row['reason']}"
            + ("  (replayed)" if row["replayed"] else "")
        )


def _quarantine_document(kept: Any) -> dict[str, Any]:
    return {
        "quarantine_id": kept.quarantine_id,
        "received_at": rfc3339(kept.received_at),
        "source": kept.source,
        "code": kept.code,
        "reason": kept.reason,
        "message_id": kept.message_id,
        "n_bytes": len(kept.raw),
        "replayed": kept.replayed_position is not None,
    }


@quarantine.command("replay")
def quarantine_replay(
    workspace: WorkspaceOption,
    ids: Annotated[
        list[int] | None, typer.Argument(help="Which; all that were not replayed when none is named.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge quarantined events again under today's rules; those that pass go into the log."""
    with Workspace(workspace) as ws:
        outcome = ws.quarantine.replay(ids)
        ws.flush()
    if json:
        show({"replayed": outcome.n_replayed, "still_refused": outcome.n_refused})
    else:
        print(f"+{outcome.n_replayed:,} events, {outcome.n_refused:,} still refused")
