"""`tillit plan`, `tillit apply`, `tillit rules`: what identity rules would change, and putting them in force.

In:    a file of rules.
Out:   a report with sampled cases; rules in the log, with how far they are folded.
Never: rules in force that nobody was shown the effect of, unless they say `--yes`.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tillit.cli.identity import evidence_line, print_lines
from tillit.cli.terminal import ACTOR, JsonOption, PurposeOption, WorkspaceOption, find_colleague, show, talk
from tillit.errors import BusyError, InputError
from tillit.identity import RulesInvalid
from tillit.records import Scope
from tillit.workspace import Workspace, people_shown

FileArgument = Annotated[
    Path | None, typer.Argument(help="A file of rules. Without one: identity.yaml of the workspace.")
]
_LOOK_S = 0.2
_DEFAULT_FILE = "identity.yaml"


class NoDefinition(InputError):
    """There is no file of rules where it was looked for."""

    code = "definition.not-found"

    def __init__(self, path: Path) -> None:
        """Name the file, and how one comes to one."""
        super().__init__(
            f"There is no file {path.name!r} to read rules from. `tillit rules --workspace …` prints those in force: "
            "begin with them.",
            file=path.name,
        )


def plan(
    workspace: WorkspaceOption,
    file: FileArgument = None,
    cases: Annotated[int, typer.Option(min=0, max=200, help="How many sampled cases to show.")] = 20,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Say what other identity rules would change, on the whole of the real history; change nothing."""
    text = _read(workspace, file)
    with Workspace(workspace) as ws:
        ws.flush()
        told = _plan(ws, text, ws.scope(purpose, asked_by=ACTOR), cases)
    if json:
        show(told)
    else:
        print_lines(plan_lines(told))


def apply(
    workspace: WorkspaceOption,
    file: FileArgument = None,
    undo: Annotated[bool, typer.Option("--undo", help="Apply the rules again that were applied before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not plan and ask first.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")] = "",
    operator: Annotated[str, typer.Option("--operator", help="Who decides: a login, or a name.")] = ACTOR,
    json: JsonOption = False,
) -> None:
    """Put identity rules in force for all of history, while everything goes on."""
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        text = ws.rules.before_last() if undo else _read(workspace, file)
        if not yes:
            scope = ws.scope(asked_by=ACTOR)
            print_lines(plan_lines(_plan(ws, text, scope, 5)))
            typer.confirm("Put these rules in force?", abort=True)
        status = ws.rules.apply(text, reason=reason, operator=colleague.operator)
        ws.audit.note(operator_id=colleague.actor, action="rules.apply", target=status["action"] or "")
        status = _wait(ws, status)
    if json:
        show(status)
    else:
        print("In force. To go back: tillit apply --undo")


def rules(workspace: WorkspaceOption, history: bool = False, json: JsonOption = False) -> None:
    """Print the identity rules, whole; with --history, all that were ever applied."""
    with Workspace(workspace) as ws:
        ws.flush()
        if history:
            told = ws.rules.history()
            names = {one.operator_id: one.login for one in ws.operators.list_all()}
            if json:
                show({"history": told})
            else:
                print_lines(_history_lines(told, names))
        elif json:
            show(ws.rules.status() | {"text": ws.rules.text()})
        else:
            print(ws.rules.text(), end="")


# -- at work


def _read(workspace: Path, file: Path | None) -> str:
    path = file if file is not None else workspace / _DEFAULT_FILE
    if not path.is_file():
        raise NoDefinition(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RulesInvalid(f"{path.name} is not written in UTF-8.") from None


def _plan(ws: Workspace, text: str, scope: Scope, cases: int) -> dict[str, Any]:
    with _bar() as bar:
        task = bar.add_task("folding under these rules", total=ws.folding.position())
        told = ws.rules.plan(text, scope, n_cases=cases, progress=lambda at: bar.update(task, completed=at.done))
    n_shown = len(people_shown(told))
    ws.journal.note(asked_by=ACTOR, route="tillit plan", purpose=scope.purpose, profile_id="", n_profiles=n_shown)
    return told


def _wait(ws: Workspace, status: dict[str, Any]) -> dict[str, Any]:
    if status["in_force"]:
        return status
    with _bar() as bar:
        task = bar.add_task("folding under these rules", total=status["of"])
        while not status["in_force"]:
            time.sleep(_LOOK_S)
            with contextlib.suppress(BusyError):
                ws.flush()  # whoever folded may be gone: then it is done here
            status = ws.rules.status()
            bar.update(task, completed=status["done"], total=status["of"])
    return status


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=talk
    )


def plan_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan for a terminal."""
    before, after = told["people"]["before"], told["people"]["after"]
    yield f"Looked at {told['position']:,} rows of history."
    yield f"People: {before:,} now, {after:,} under these rules; {told['affected_people']:,} of them would change."
    yield f"  {told['merged_people']:,} would become {told['merges']:,}; {told['splits']:,} would part."
    if told["devices_changing_hands"]:
        yield f"  {told['devices_changing_hands']:,} devices would be somebody else's."
    for words, counts in (("no longer stand for", "no_longer_counting"), ("begin to stand for", "beginning_to_count")):
        for namespace, n in told[counts].items():
            yield f"  {n:,} of {namespace} would {words} a person."
    for what in ("soft", "refused"):
        links = told[f"{what}_links"]
        yield f"Links that are {what}: {links['before']:,} now, {links['after']:,} under these rules."
    if told["largest"]:
        yield "Largest people made of several:"
        for one in told["largest"]:
            yield f"  {one['identifiers']:,} identifiers of {one['people']:,} people: {_people(one['of'])}"
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        if case["kind"] == "merge":
            yield f"  + {case['people_before']} people would become one: {_people(case['of'])}"
        else:
            parts = ", ".join(case["identifiers"])
            yield f"  - {_people(case['of'])} would become {case['people_after']} people: {parts}"
        for one in case["evidence"]:
            yield f"      {evidence_line(one['a'], one['b'], one)}" + (f": {one['reason']}" if one["reason"] else "")


def _people(told: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['name'] or (one['identifiers'] or ['nobody named'])[0]} ({one['id']})" for one in told)


def _history_lines(told: list[dict[str, Any]], names: dict[str, str]) -> Iterator[str]:
    for one in told:
        force = "  in force" if one["in_force"] else ""
        if one["action"] is None:
            yield f"default{force}"
        else:
            why = f": {one['reason']}" if one["reason"] else ""
            yield f"{one['action']}  {one['at']}  {names.get(one['operator'], one['operator'])}{why}{force}"
