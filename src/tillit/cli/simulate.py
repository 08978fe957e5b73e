"""`tillit simulate`: a shop whose truth is known, and how much of it a workspace knows.

In:    a folder that is new or empty; later the same folder.
Out:   a folded workspace with six months of a shop's past, the truth beside it; a score against that truth.
Never: a past under events that are there already.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from tillit import clock
from tillit.cli.import_file import wait_until_applied
from tillit.cli.terminal import show
from tillit.errors import InputError
from tillit.flow import quiet_garbage_collector
from tillit.simulate import (
    HISTORY_DAYS,
    HasEvents,
    Reached,
    Score,
    Shop,
    Truth,
    Written,
    count_customers,
    file_requests,
    has_events,
    score_workspace,
    truth_path,
    write_history,
)
from tillit.workspace import MARK, Workspace, create_workspace

app = typer.Typer(help="A shop with invented customers, and the truth about them.", no_args_is_help=True)

# From here on a second process pays for its start of about a second.
_MANY_CUSTOMERS = 10_000
_CUSTOMERS = 3_000
_PAUSE_S = 0.05

Folder = Annotated[Path, typer.Argument(help="The workspace folder.")]


@app.command("make")
def make(
    folder: Folder,
    events: Annotated[int | None, typer.Option(min=1, help="About how many events.")] = None,
    customers: Annotated[
        int | None, typer.Option(min=1, help="How many customers (3,000 when nothing is said).")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long the past is.")] = HISTORY_DAYS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
) -> None:
    """Make a workspace with a shop's past in it, and the truth beside it (FOLDER.truth.db)."""
    if events is not None and customers is not None:
        raise InputError("Say --events or --customers, not both.", code="cli.events-or-customers")
    began_at = clock.monotonic_s()
    now = clock.now_us()
    if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder.name} has files and is no workspace. Name a folder that is new or empty.", code="cli.not-empty"
        )
    n_customers = customers or _CUSTOMERS
    if events is not None:
        n_customers = count_customers(seed, events, end=now, days=days)
    create_workspace(folder)
    with Workspace(folder) as ws:
        if has_events(ws):
            raise HasEvents(folder.name)
        shop = Shop(seed, n_customers, end=now, days=days)
        with closing(Truth.begin(truth_path(folder), shop)) as truth, quiet_garbage_collector(), _folding(folder):
            written = _write(ws, shop, truth)
        with Console(stderr=True).status("Joining profiles"), quiet_garbage_collector():
            _catch_up(ws)
            file_requests(ws, shop)
            ws.folding.release()
    print(
        f"+{written.n_events:,} events of {written.n_customers:,} customers in {days} days, "
        f"{written.n_quarantined:,} in quarantine, in {clock.monotonic_s() - began_at:.0f} s; "
        f"the truth is in {truth_path(folder).name}"
    )


def _catch_up(ws: Workspace) -> None:
    """Fold what is left; the lake is for whoever serves the workspace."""
    wait_until_applied(ws, ws.log.head())
    ws.folding.release()


def _write(ws: Workspace, shop: Shop, truth: Truth) -> Written:
    """Write the past with a bar on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} events"),
        TextColumn("{task.fields[rate]:,.0f} events/s"),
        TimeRemainingColumn(),
    )
    begun_at = clock.monotonic_s()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(ws.paths.root.name, total=1.0, rows=0, rate=0.0)

        def show(reached: Reached) -> None:
            rate = reached.n_events / max(clock.monotonic_s() - begun_at, 1e-6)
            bar.update(task, completed=reached.share, rows=reached.n_events, rate=rate)

        n_processes = 2 if shop.n_customers >= _MANY_CUSTOMERS else 1
        return write_history(ws, shop, truth, n_processes=n_processes, progress=show)


@contextmanager
def _folding(folder: Path) -> Iterator[None]:
    """Let another process fold meanwhile. Not the engine of `tillit serve`: it would note today's time in the past."""
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    process = context.Process(target=_fold_along, args=(folder, done), daemon=True)
    process.start()
    try:
        yield
    finally:
        done.set()
        process.join()


def _fold_along(folder: Path, done: Event) -> None:
    with Workspace(folder) as ws, quiet_garbage_collector():
        engine = ws.folding.engine()
        while not done.is_set():
            if not engine.step():
                done.wait(_PAUSE_S)
        # Only now, when the past is whole: what stands for many is noted with today's time.
        engine.catch_up()
        ws.folding.release()


@app.command("score")
def score(folder: Folder, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say how well the workspace knows who is who and what they chose.

    Exit 1 when people are joined whom no planted trap explains, or when more is permitted than somebody chose.
    """
    with closing(Truth(truth_path(folder), read_only=True)) as truth, Workspace(folder) as ws:
        _catch_up(ws)
        found = score_workspace(ws, truth)
    if json:
        show(found.as_document())
    else:
        _show(found)
    raise typer.Exit(1 if found.n_wrong_outside or any(one.n_more for one in found.consent) else 0)


def _show(found: Score) -> None:
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"pairs found          {found.n_found:>12,}   one person's, in one profile")
    out.print(f"pairs missed         {found.n_missed:>12,}   one person's, in no profile together")
    out.print(f"pairs wrong          {found.n_wrong:>12,}   two people's, in one profile")
    out.print(f"  outside the traps  {found.n_wrong_outside:>12,}")
    out.print(f"precision            {found.precision:>12.4f}")
    out.print(f"recall               {found.recall:>12.4f}")
    out.print(f"events               {found.n_events:>12,}")
    out.print(f"  with the wrong one {found.n_events_wrong:>12,}")
    for n, what in ((found.n_unknown, "identifiers"), (found.n_events_unknown, "events")):
        if n:
            out.print(
                f"{n:,} {what} are not in the truth: this is the truth of another workspace, or others wrote here."
            )
    table = Table("trap", "expected", "outcome")
    for trap in found.traps:
        told = ", ".join(f"{n:,} {outcome}" for outcome, n in trap.outcomes.items())
        table.add_row(trap.kind, trap.expected, told)
    out.print(table)
    table = Table("purpose", "profiles", "permitted", "as they chose", "less", "more", "more, of two people")
    for one in found.consent:
        table.add_row(one.purpose, *(f"{n:,}" for n in one[1:]))
    out.print(table)
