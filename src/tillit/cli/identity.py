"""`tillit identity`: why two identifiers are one person, and what colleagues decide about it.

In:    two identifiers as `namespace:value`, a reason.
Out:   paths step by step, what came of a decision, and how to undo it.
Never: a cut without a reason; a control character of somebody's identifier on the terminal.
"""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tillit.cli.definitions import plan
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
)
from tillit.errors import InputError
from tillit.records import Scope
from tillit.workspace import Workspace, unknown_profile

identity = typer.Typer(help="Why identifiers are one person, and what colleagues decide.", no_args_is_help=True)

One = Annotated[str, typer.Argument(help="An identifier, as namespace:value.")]
Other = Annotated[str, typer.Argument(help="Another identifier, as namespace:value.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later. A cut needs one.")]
OperatorOption = Annotated[str, typer.Option("--operator", help="Who decides: a login, or a name.")]

# What a decision is called, and whether the two are to be one person after it.
_DONE = {"cut": ("Cut", False), "pin": ("Pinned apart", False), "join": ("Joined", True), "undo": ("Undone", None)}


@identity.command("why")
def identity_why(
    a: One, b: Other, workspace: WorkspaceOption, purpose: PurposeOption = None, json: JsonOption = False
) -> None:
    """Say step by step why two identifiers are one person, or why they are not."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        told = ws.identity.why(a, b, scope)
        people = _people(ws, told)
        _note_read(ws, scope, "why", people)
        names = _names(ws)
    if json:
        show(told)
    else:
        print_lines(_why_lines(told, people, names))


@identity.command("cut")
def identity_cut(
    a: One,
    b: Other,
    reason: ReasonOption,
    workspace: WorkspaceOption,
    operator: OperatorOption = ACTOR,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Withdraw all direct evidence between two identifiers, past and future."""
    _decide("cut", a, b, reason=reason, operator=operator, workspace=workspace, purpose=purpose, json=json)


@identity.command("pin")
def identity_pin(
    a: One,
    b: Other,
    workspace: WorkspaceOption,
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Hold two identifiers apart, whatever ties them."""
    _decide("pin", a, b, reason=reason, operator=operator, workspace=workspace, purpose=purpose, json=json)


@identity.command("join")
def identity_join(
    a: One,
    b: Other,
    workspace: WorkspaceOption,
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Say that two identifiers are one person."""
    _decide("join", a, b, reason=reason, operator=operator, workspace=workspace, purpose=purpose, json=json)


@identity.command("undo")
def identity_undo(
    action_id: Annotated[str, typer.Argument(help="The action id that the decision was answered with, such as e1-42.")],
    workspace: WorkspaceOption,
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Make a decision as if it had never been; an undo can be undone too."""
    _decide("undo", action_id, reason=reason, operator=operator, workspace=workspace, purpose=purpose, json=json)


@identity.command("block")
def identity_block(
    value: One,
    reason: ReasonOption,
    workspace: WorkspaceOption,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Say that a value stands for many: it joins nobody, and nobody holds it."""
    _decide_value("block", value, reason=reason, operator=operator, workspace=workspace, json=json)


@identity.command("free")
def identity_free(
    value: One,
    workspace: WorkspaceOption,
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Let a value that was blocked stand for somebody again."""
    _decide_value("free", value, reason=reason, operator=operator, workspace=workspace, json=json)


@identity.command("violations")
def identity_violations(
    workspace: WorkspaceOption,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows.")] = 50,
    before: Annotated[str | None, typer.Option(help="Go on where an earlier answer ended.")] = None,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """List links that were not admitted, newest first: soft ones wait for somebody's word, others are refused."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found, more = ws.identity.violations(scope, limit=limit, before=before)
        _note_read(ws, scope, "violations", ws.profiles.holders(one[end] for one in found for end in "ab"))
    if json:
        show({"violations": found, "next": more})
        return
    print_lines(f"{evidence_line(one['a'], one['b'], one)}: {one['verdict']}, {one['reason']}" for one in found)
    if not found:
        print("No link is soft or refused.")
    if more is not None:
        print(f"There are more: --before {more}")


@identity.command("history")
def identity_history(
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """List what colleagues decided about a person's identifiers, oldest first."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found = ws.identity.decisions(who, scope)
        membership = ws.profiles.membership(who)
        if found is None or membership is None:
            raise unknown_profile()
        _note_read(ws, scope, "history", [membership.profile_id])
        names = _names(ws)
    if json:
        show({"decisions": found})
    else:
        print_lines(_decision(one, names) for one in found)
        if not found:
            print("Nothing was decided about this person.")


def _decide_value(kind: str, value: str, *, reason: str, operator: str, workspace: Path, json: bool) -> None:
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        told = getattr(ws.identity, kind)(value, reason=reason, operator=colleague.operator)
        ws.audit.note(operator_id=colleague.actor, action=f"identity.{kind}", target=told["action"])
    if json:
        show(told)
        return
    done = "stands for nobody now" if kind == "block" else "may stand for somebody again"
    print_lines(iter([f"{told['value']} {done}.", _how_to_undo(told, workspace)]))


def _decide(
    kind: str, *about: str, reason: str, operator: str, workspace: Path, purpose: str | None, json: bool
) -> None:
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        colleague = find_colleague(ws, operator)
        try:
            told = getattr(ws.identity, kind)(*about, reason=reason, operator=colleague.operator, scope=scope)
        except InputError as refused:
            if refused.code == "identity.no-direct-link":
                told = ws.identity.why(about[0], about[1], scope)
                people = _people(ws, told)
                _note_read(ws, scope, kind, people)
                if json:
                    show(told)
                else:
                    print_lines(_why_lines(told, people, _names(ws)))
            raise
        people = _people(ws, told)
        _note_read(ws, scope, kind, people)
        ws.audit.note(operator_id=colleague.actor, action=f"identity.{kind}", target=told["action"])
    if json:
        show(told)
    else:
        print_lines(_decided_lines(told, people, workspace))


# -- views


def _why_lines(told: dict[str, Any], people: list[str | None], names: dict[str, str]) -> Iterator[str]:
    yield _verdict(told, people)
    yield from _steps(told)
    said = [one for one in told["direct"] if one["verdict"] != "admitted"]
    if said:
        yield "Said of the two directly, without effect:"
        yield from map(_unheeded, said)
    if told["decisions"]:
        yield "Decided about the two:"
        for one in told["decisions"]:
            yield f"  {_decision(one, names)}"


def _decided_lines(told: dict[str, Any], people: list[str | None], workspace: Path) -> Iterator[str]:
    done, wanted = _DONE[told["kind"]]
    is_otherwise = wanted is not None and told["together"] != wanted
    where = f"--workspace {shlex.quote(str(workspace))}"
    yield f"{done}, but {_verdict(told, people, 'still ')}" if is_otherwise else f"{done}: {_verdict(told, people)}"
    yield from _steps(told)
    if is_otherwise and wanted:
        yield from (_unheeded(one) for one in told["direct"] if one["verdict"] != "admitted")
    elif is_otherwise:
        ends = f"{shlex.quote(told['a'])} {shlex.quote(told['b'])}"
        yield f"To hold them apart whatever ties them: tillit identity pin {ends} {where}"
    yield _how_to_undo(told, workspace)


def _how_to_undo(told: dict[str, Any], workspace: Path) -> str:
    where = f"--workspace {shlex.quote(str(workspace))}"
    return f"Action {told['action']}. To undo it: tillit identity undo {told['action']} {where}"


def _verdict(told: dict[str, Any], people: list[str | None], still: str = "") -> str:
    a, b = told["a"], told["b"]
    if told["together"]:
        return f"{a} and {b} are {still}one person ({people[0]})" + (", through:" if told["path"] else ".")
    mine, theirs = (one if one is not None else "nobody's" for one in people)
    return f"{a} ({mine}) and {b} ({theirs}) are {still}two people."


def _steps(told: dict[str, Any]) -> Iterator[str]:
    for step in told["path"]:
        yield f"  {evidence_line(step['from'], step['to'], step)}"


def _unheeded(one: dict[str, Any]) -> str:
    return f"  {evidence_line(one['a'], one['b'], one)}: {one['verdict']}, {one['reason']}"


def _decision(one: dict[str, Any], names: dict[str, str]) -> str:
    by = names.get(one["operator"], one["operator"])
    undone = "" if one["stands"] else " (undone)"
    why = f": {one['reason']}" if one["reason"] else ""
    return f"{one['action']}  {one['at']}  {one['kind']}  {one['a']} — {one['b']}, {by}{why}{undone}"


# -- loaders


def _people(ws: Workspace, told: dict[str, Any]) -> list[str | None]:
    found = [ws.profiles.membership(told[end]) for end in "ab"]
    return [one.profile_id if one is not None else None for one in found]


def _names(ws: Workspace) -> dict[str, str]:
    return {one.operator_id: one.login for one in ws.operators.list_all()}


def _note_read(ws: Workspace, scope: Scope, verb: str, people: Iterable[str | None]) -> None:
    known = (one for one in people if one is not None)
    ws.journal.note(known, asked_by=scope.asked_by, route=f"tillit identity {verb}", purpose=scope.purpose)


identity.command("plan")(plan)
