"""`tillit import`: a file into the log, with what changed as the last line.

In:    a workspace, a file, its mapping.
Out:   on stdout what changed (or the drafted mapping); on stderr a bar with rows, rate and time left.
Never: a value of the file on the screen.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tillit import clock
from tillit.cli.terminal import JsonOption, WorkspaceOption
from tillit.collect.files import BLOCK_ROWS, Mapping, Outcome, import_rows, load_mapping, suggest_mapping
from tillit.collect.files import Progress as Reached
from tillit.errors import BusyError, InputError
from tillit.workspace import Workspace

_FATES_AT_ONCE = 100_000  # positions; bounds memory when millions of rows were here before
_STALLED_S = 60.0  # a fold that has not moved for so long is not going to (taste)


class Import(NamedTuple):
    """What an import changed."""

    file: str
    outcome: Outcome
    n_new: int
    n_known: int  # the same rows were here before
    n_other: int  # other values under a known key: what came first stays
    n_unusable: int  # nobody to whom they could belong
    n_refused: int = 0  # whom they name was erased

    def line(self) -> str:
        """Say in one line what changed."""
        outcome = self.outcome
        rejected = f"{outcome.n_rejected:,} rejected"
        if outcome.rejects is not None:
            rejected += f" (see rejects/{outcome.rejects.name})"
        if self.n_new:
            parts = [f"+{self.n_new:,} events from {self.file}", rejected]
            parts += [f"{self.n_known:,} were already here"] * bool(self.n_known)
        elif self.n_known:
            parts = [f"nothing new: {self.n_known:,} rows were already here"]
            parts += [rejected] * bool(outcome.n_rejected)
        else:
            parts = [f"nothing new from {self.file}", rejected]
        parts += [f"{self.n_other:,} not taken: other values under a key that is known"] * bool(self.n_other)
        parts += [f"{self.n_unusable:,} set aside: no usable identifier"] * bool(self.n_unusable)
        parts += [f"{self.n_refused:,} refused: whom they name was erased"] * bool(self.n_refused)
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        """Give the same for programs."""
        outcome = self.outcome
        return {
            "file": self.file,
            "rows": outcome.n_rows,
            "new": self.n_new,
            "known": self.n_known,
            "other_values": self.n_other,
            "unusable": self.n_unusable,
            "refused_as_erased": self.n_refused,
            "rejected": outcome.n_rejected,
            "rejects": f"rejects/{outcome.rejects.name}" if outcome.rejects is not None else None,
            "reasons": outcome.reasons,
            "resumed_at_row": outcome.first_row if outcome.first_row > 1 else None,
        }


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet.")],
    workspace: WorkspaceOption,
    mapping: Annotated[Path | None, typer.Option(help="The mapping file.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Draft a mapping from the data and print it.")] = False,
    json: JsonOption = False,
) -> None:
    """Import a file. Importing it again changes nothing."""
    raise typer.Exit(import_command(workspace, file, mapping, suggest=suggest, json=json))


def import_command(workspace: Path, file: Path, mapping: Path | None, suggest: bool, json: bool) -> int:
    """Import a file, or draft its mapping; give the exit code. Importing again changes nothing."""
    if not file.is_file():
        raise InputError(f"There is no file {file.name}. Check the path.", code="collect.no-such-file")
    if suggest:
        print(suggest_mapping(file), end="")
        return 0
    if mapping is None:
        raise InputError(
            f"How the columns of {file.name} are to be read is not said. Draft a mapping and check it:\n"
            f"  tillit import {file.name} --workspace {workspace} --suggest > mapping.yaml\n"
            f"  tillit import {file.name} --workspace {workspace} --mapping mapping.yaml",
            code="collect.no-mapping",
        )
    with Workspace(workspace) as ws:
        done = import_into(ws, file, mapping, talk=Console(stderr=True))
    print(msgspec.json.encode(done.document()).decode() if json else done.line())
    return 0


def import_into(ws: Workspace, file: Path, mapping_file: Path, *, talk: Console) -> Import:
    """Bring a file into an open workspace and say what changed, once everything is applied."""
    mapping = load_mapping(mapping_file)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
    )
    begun_at = clock.monotonic_s()
    with Progress(*columns, console=talk) as bar:
        task = bar.add_task(file.name, total=1.0, rows=0, rate=0.0)

        def show(reached: Reached) -> None:
            if reached.first_row > 1 and not bar.tasks[task].fields["rows"]:
                talk.print(f"Taken up at row {reached.first_row:,}, where an earlier import stopped.")
            rate = (reached.n_rows - reached.first_row + 1) / max(clock.monotonic_s() - begun_at, 1e-6)
            bar.update(task, completed=reached.share, rows=reached.n_rows, rate=rate)

        outcome = append_file(ws, file, mapping, on_progress=show)
        bar.update(task, completed=1.0)
    if outcome.reasons:
        talk.print("Rejected: " + ", ".join(f"{n:,} {code}" for code, n in outcome.reasons.items()), highlight=False)
    with talk.status("Joining profiles"):
        wait_until_applied(ws, outcome.ranges[-1][1] if outcome.ranges else 0)
    fates = count_fates(ws, outcome.ranges)
    return Import(
        file=file.name,
        outcome=outcome,
        n_new=outcome.n_taken - fates.total(),
        n_known=fates.pop("duplicate", 0),
        n_other=fates.pop("conflict", 0),
        n_refused=fates.pop("refused", 0),
        n_unusable=fates.total(),
    )


def append_file(
    ws: Workspace,
    file: Path,
    mapping: Mapping,
    *,
    on_progress: Callable[[Reached], None],
    block_rows: int = BLOCK_ROWS,
) -> Outcome:
    """Put a file's rows in the log of an open workspace; what is rejected and how far it came lie in its folders."""
    return import_rows(
        file,
        mapping,
        append=ws.append_rows,
        limits=ws.limits,
        rejects_folder=ws.paths.rejects,
        positions_folder=ws.paths.run / "imports",
        now=ws.now,
        epoch=ws.log.epoch(),
        block_rows=block_rows,
        on_progress=on_progress,
        erased=ws.door,
    )


def count_fates(ws: Workspace, ranges: tuple[tuple[int, int], ...]) -> Counter[str]:
    """Count what became of the rows at these log positions, other than being applied."""
    counts: Counter[str] = Counter()
    for first, last in ranges:
        for start in range(first, last + 1, _FATES_AT_ONCE):
            found = ws.events.fates(start, min(last, start + _FATES_AT_ONCE - 1))
            counts.update(fate for fate, _ in found.values())
    return counts


def wait_until_applied(ws: Workspace, position: int) -> None:
    """Fold here when nobody else does; else wait as long as the other process gets on."""
    reached, moved_at = ws.folding.position(), clock.monotonic_s()
    while True:
        try:
            ws.folding.reach(position, 1.0)
        except BusyError:
            now_at, now_s = ws.folding.position(), clock.monotonic_s()
            if now_at == reached and now_s - moved_at > _STALLED_S:
                raise
            if now_at != reached:
                reached, moved_at = now_at, now_s
        else:
            return
