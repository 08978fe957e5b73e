"""`tillit init`, `doctor`, `rebuild`, `forget`: the folder of a workspace, from making it to mending it.

In:    a folder; event ids.
Out:   a workspace; how it is; its state folded anew; events gone from all of it.
Never: something gone for good without `--yes`.
"""

from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tillit.cli.doctor import examine
from tillit.cli.terminal import JsonOption, WorkspaceOption, show, talk
from tillit.errors import InputError, NotFound
from tillit.flow import is_husk
from tillit.records import KIND_EVENT
from tillit.workspace import Workspace, create_workspace, discard_unreadable_state


def init(folder: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Make a workspace."""
    create_workspace(folder)
    print(f"{folder} is a workspace. Next: tillit keys create --workspace {folder} --kind public --source web")


def doctor(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Say how the workspace is, and when the disk will be full."""
    with Workspace(workspace) as ws:
        report = examine(ws)
    if json:
        show(report.as_document())
    else:
        for line in report.lines():
            print(line)
    raise typer.Exit(0 if report.is_well else 1)


def rebuild(
    workspace: WorkspaceOption,
    check: Annotated[bool, typer.Option("--check", help="Only compare with the live state.")] = False,
    json: JsonOption = False,
) -> None:
    """Fold the log anew; with --check, compare and change nothing."""
    if not check and discard_unreadable_state(workspace):
        talk.print("The state could not be read and was thrown away.")
    with Workspace(workspace) as ws:
        if not check:
            with _progress(ws) as bar:
                position = ws.folding.rebuild(bar)
            print(f"State folded anew up to position {position:,}.")
            return
        ws.flush()
        with _progress(ws) as bar:
            found = ws.folding.check(bar)
    if json:
        show({"differences": [str(d) for d in found]})
    elif found:
        print(f"The live state differs from the fold of the log, first in {len(found)} rows:")
        for difference in found:
            print(f"  {difference}")
    else:
        print("No difference: the live state equals the fold of the log.")
    raise typer.Exit(1 if found else 0)


class _progress:  # noqa: N801 -- reads as a verb in `with`
    """A bar over log rows with rate and time left, on stderr."""

    def __init__(self, ws: Workspace) -> None:
        self._total = ws.folding.position() or ws.log.head()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} rows/s"),
            TimeRemainingColumn(),
            console=talk,
        )
        self._n = 0

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("folding", total=self._total, rate="-")
        return self

    def __call__(self, applied: Any) -> None:
        self._n += applied.n_rows
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, completed=self._n, rate=f"{speed:,.0f}" if speed else "-")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def forget(
    workspace: WorkspaceOption,
    event_ids: Annotated[list[str], typer.Argument(help="Event ids, such as e1-42.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only what would happen is said.")] = False,
) -> None:
    """Forget events: no byte of them stays in log, state or lake."""
    positions = []
    for event_id in event_ids:
        _, dash, position = event_id.partition("-")
        if not dash or not position.isdigit():
            raise InputError(f"{event_id[:32]!r} is not an event id. They look like e1-42.", code="cli.bad-event-id")
        positions.append(int(position))
    with Workspace(workspace) as ws:
        rows = ws.folding.rows(positions)
        n_unknown = len(set(positions)) - len(rows)
        if n_unknown:
            raise NotFound(
                f"{n_unknown:,} of these event ids are not in this workspace. Nothing was forgotten.",
                code="cli.unknown-event",
            )
        known = [position for position, row in rows.items() if row.kind == KIND_EVENT and not is_husk(row)]
        told = f"{len(known):,} event{'' if len(known) == 1 else 's'}"
        if not yes:
            print(f"Would forget {told}. Say --yes to do it; it cannot be undone.")
            return
        if known:
            ws.forget(known)
    print(f"{told} forgotten.")
