"""`tillit privacy retention`: what no purpose keeps any more, and forgetting it.

In:    a workspace with purposes that declare a retention.
Out:   what would go, by source and month; how much went.
Never: an event forgotten without --yes.
"""

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tillit.cli.terminal import ACTOR, JsonOption, WorkspaceOption, find_colleague, show, talk
from tillit.clock import rfc3339
from tillit.workspace import Outlook, Swept, Workspace


def retention(
    workspace: WorkspaceOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only what would go is said.")] = False,
    operator: Annotated[str, typer.Option(help="Who does so: a login, or a name.")] = ACTOR,
    json: JsonOption = False,
) -> None:
    """Forget the events that no purpose keeps any more. It cannot be undone; a served workspace does so hourly."""
    with Workspace(workspace) as ws:
        ws.flush()
        told, last = ws.retention.outline(), ws.retention.last()
        is_declared = ws.retention.is_declared()
        if yes:
            done = _sweep(ws, told)
            note_sweep(ws, done, find_colleague(ws, operator).actor)
    if json:
        months = [{**one._asdict(), "oldest_at": rfc3339(one.oldest_at)} for one in told.months]
        show(
            {
                "done": yes,
                "policy": told.policy,
                "is_declared": is_declared,
                "n_due": told.n_due,
                "n_held": told.n_held,
                "n_proofs": told.n_proofs,
                "months": months,
                "last_at": rfc3339(last.swept_at) if last is not None else None,
                "n_swept": done.n_events if yes else None,
            }
        )
        return
    if not is_declared:
        print("Nothing is ever due: a purpose without `retention` keeps every event, or none declares one.")
        return
    if yes:
        print(f"{_n(done.n_events)} forgotten.")
        _tell_left(done.n_held, done.n_proofs)
        return
    print(f"Would forget {_n(told.n_due)}:" if told.n_due else "Nothing is due.")
    for one in told.months:
        kept = ", ".join(one.purposes) or "no purpose"
        print(f"  {one.month}  {one.source}  {_n(one.n_events)}, kept for {kept}; the oldest of {_day(one.oldest_at)}")
    _tell_left(told.n_held, told.n_proofs)
    print(f"Last swept {rfc3339(last.swept_at)}." if last is not None else "Never swept.")
    if told.n_due:
        print("Say --yes to do it; it cannot be undone.")


def note_sweep(ws: Workspace, done: Swept, actor: str) -> None:
    """Note a sweep in the audit, when it took anything."""
    if done.n_events:
        ws.audit.note(
            operator_id=actor,
            action="retention.sweep",
            target=done.policy,
            details={"n_events": done.n_events, "n_held": done.n_held},
        )


def _sweep(ws: Workspace, told: Outlook) -> Swept:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=talk) as bar:
        task = bar.add_task("forgetting", total=told.n_due)
        return ws.retention.sweep(progress=lambda n: bar.update(task, completed=n))


def _tell_left(n_held: int, n_proofs: int) -> None:
    if n_held:
        print(
            f"Held: {_n(n_held)}: of people under a legal hold or restricted, or by which somebody is dead or a minor."
        )
    if n_proofs:
        print(f"Left: {_n(n_proofs)} with the latest answer of somebody's consent manager or browser.")


def _day(at: int) -> str:
    return rfc3339(at)[:10]


def _n(number: int) -> str:
    return f"{number:,} event{'' if number == 1 else 's'}"
