"""`tillit plan`, `apply`, `rules`, `purposes`: what other definitions would change, and putting them in force.

In:    a file of identity rules, a file or a folder of purposes.
Out:   a report with sampled cases; definitions in the log, with how far they are folded.
Never: a definition in force that nobody was shown the effect of, unless they say `--yes`.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tillit.cli.terminal import (
    ACTOR,
    JsonOption,
    PurposeOption,
    WorkspaceOption,
    evidence_line,
    find_colleague,
    print_lines,
    reader,
    show,
    talk,
)
from tillit.consent import OWN_DATA, SECTIONS, join_policies
from tillit.errors import BusyError, InputError
from tillit.identity import RulesInvalid
from tillit.records import NotReadable, Scope, read_yaml
from tillit.workspace import Workspace, people_shown

FileArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A file of identity rules, or a file or folder of purposes. Without one: identity.yaml and purposes/ of "
        "the workspace."
    ),
]
_LOOK_S = 0.2
_DEFAULT_FILE, _DEFAULT_FOLDER = "identity.yaml", "purposes"
RULES, PURPOSES = "identity rules", "purposes"


class Definition(NamedTuple):
    """What somebody wrote, and of what."""

    kind: str
    text: str


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
    """Say what other identity rules or purposes would change, on the whole of the real history; change nothing."""
    definitions = _read(workspace, file)
    told: dict[str, Any] = {}
    with Workspace(workspace) as ws:
        ws.flush()
        for one in definitions:
            if one.kind == PURPOSES:
                told[PURPOSES] = _plan_purposes(ws, one.text, cases)
            else:
                told[RULES] = _plan(ws, one.text, ws.scope(purpose, asked_by=reader()), cases)
    if json:
        show(told if len(told) > 1 else next(iter(told.values())))
        return
    for kind, found in told.items():
        print_lines(purpose_lines(found) if kind == PURPOSES else plan_lines(found))


def apply(
    workspace: WorkspaceOption,
    file: FileArgument = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Apply what was in force before; purposes: name them too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not plan and ask first.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")] = "",
    operator: Annotated[str, typer.Option("--operator", help="Who decides: a login, or a name.")] = ACTOR,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Put identity rules in force for all of history, or purposes from now on, while everything goes on."""
    if undo:
        # What was in force before stands in the log; a file only says of what.
        is_purposes = file is not None and (file.name == _DEFAULT_FOLDER or _definition(file).kind == PURPOSES)
        definitions = [Definition(PURPOSES if is_purposes else RULES, "")]
    else:
        definitions = _read(workspace, file)
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        outcomes = []
        for kind, written in definitions:
            if kind == PURPOSES:
                text = ws.consent.before_last() if undo else written
                if not yes:
                    print_lines(purpose_lines(_plan_purposes(ws, text, 5)))
                    typer.confirm("Put these purposes in force?", abort=True)
                status = ws.consent.apply(text, reason=reason, operator=colleague.operator)
                ws.audit.note(operator_id=colleague.actor, action="purposes.apply", target=status["action"])
            else:
                text = ws.rules.before_last() if undo else written
                if not yes:
                    scope = ws.scope(purpose, asked_by=reader())
                    print_lines(plan_lines(_plan(ws, text, scope, 5)))
                    typer.confirm("Put these rules in force?", abort=True)
                status = ws.rules.apply(text, reason=reason, operator=colleague.operator)
                ws.audit.note(operator_id=colleague.actor, action="rules.apply", target=status["action"] or "")
                status = _wait(ws, status)
            outcomes.append(status)
    if json:
        show(outcomes if len(outcomes) > 1 else outcomes[0])
        return
    for kind, _ in definitions:
        again = " purposes" if kind == PURPOSES else ""
        print(f"In force. To go back: tillit apply{again} --undo")


def purposes(
    workspace: WorkspaceOption,
    history: Annotated[bool, typer.Option("--history", help="All that were ever applied.")] = False,
    json: JsonOption = False,
) -> None:
    """Print the purposes in force, whole; with --history, all that were ever applied."""
    with Workspace(workspace) as ws:
        ws.flush()
        if not history:
            text = ws.consent.text()
            if json:
                show({"hash": ws.consent.declared().hash, "text": text})
            else:
                print(text, end="")
            return
        told = ws.consent.history()
        names = {one.operator_id: one.login for one in ws.operators.list_all()}
    if json:
        show({"history": told})
    else:
        print_lines(_history_lines([{**one, "in_force": place == 0} for place, one in enumerate(told)], names))


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


def _read(workspace: Path, file: Path | None) -> list[Definition]:
    if file is not None:
        return [_definition(file)]
    found = [path for path in (workspace / _DEFAULT_FILE, workspace / _DEFAULT_FOLDER) if path.exists()]
    if not found:
        raise NoDefinition(workspace / _DEFAULT_FILE)
    return [_definition(path) for path in found]


def _definition(path: Path) -> Definition:
    if path.is_dir():
        files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        if not files:
            raise NoDefinition(path)
        return Definition(PURPOSES, join_policies({one.name: _text(one) for one in files}))
    if not path.is_file():
        raise NoDefinition(path)
    text = _text(path)
    try:
        told = read_yaml(text)
    except NotReadable:
        told = None  # the rules say where
    is_policy = isinstance(told, dict) and bool(told.keys() & set(SECTIONS))
    return Definition(PURPOSES if is_policy else RULES, text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RulesInvalid(f"{path.name} is not written in UTF-8.") from None


def _plan_purposes(ws: Workspace, text: str, cases: int) -> dict[str, Any]:
    with _bar() as bar:
        task = bar.add_task("looking at everybody", total=None)
        told = ws.consent.plan(text, n_cases=cases, progress=lambda at, of: bar.update(task, completed=at, total=of))
    people = (one["id"] for one in told["cases"])
    ws.journal.note(people, asked_by=reader(), route="tillit plan", purpose=OWN_DATA)
    return told


def _plan(ws: Workspace, text: str, scope: Scope, cases: int) -> dict[str, Any]:
    with _bar() as bar:
        task = bar.add_task("folding under these rules", total=ws.folding.position())
        told = ws.rules.plan(text, scope, n_cases=cases, progress=lambda at: bar.update(task, completed=at.done))
    ws.journal.note(people_shown(told), asked_by=reader(), route="tillit plan", purpose=scope.purpose)
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


def purpose_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan of purposes for a terminal."""
    yield f"Looked at {told['people']:,} people."
    for one in told["purposes"]:
        mark = " (new)" if one["is_new"] else " (no longer declared)" if one["is_gone"] else ""
        yield f"  {one['purpose']}{mark}: {one['before']:,} people may be reached now, {one['after']:,} then" + (
            f"; {one['gained']:,} more, {one['lost']:,} no longer" if one["gained"] or one["lost"] else ""
        )
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        yield f"  {case['id']}  {case['purpose']}: {case['before']} now, {case['after']} then"


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
