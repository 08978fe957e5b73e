"""`tillit group`: who belongs to a household or an account, and what colleagues say of it.

In:    a group as `kind:id`; a person as `namespace:value` or a profile id.
Out:   the group with its members; the id of the event that a colleague's word became.
Never: a member's name or traits: `tillit profile show` gives those.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tillit.cli.terminal import (
    ACTOR,
    Colleague,
    JsonOption,
    PurposeOption,
    WorkspaceOption,
    find_colleague,
    reader,
    show,
)
from tillit.workspace import Workspace

groups = typer.Typer(help="Households and accounts: who belongs to them.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="namespace:value, or a profile id.")]
Group = Annotated[str, typer.Argument(help="The group, as kind:id, such as household:h1 or account:acme.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")]
OperatorOption = Annotated[str, typer.Option("--operator", help="Who says so: a login, or a name.")]


@groups.command("show")
def group_show(
    group: Group,
    workspace: WorkspaceOption,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most members.")] = 100,
    after: Annotated[str | None, typer.Option(help="Go on where an earlier answer ended.")] = None,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Show a group and who belongs to it."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found = ws.groups.get(group, scope, limit=limit, after=after)
        members = (one["profile_id"] for one in found["members"])
        ws.journal.note(members, asked_by=scope.asked_by, route="tillit group show", purpose=scope.purpose)
    if json:
        show(found)
        return
    out = Console()
    out.print(f"[bold]{escape(found['group'])}[/bold]  {escape(found['name'] or '')}", soft_wrap=True)
    table = Table("profile", "role", "since", "until", "trust", "source", "event")
    for one in found["members"]:
        told = (one["role"] or "", one["since"], one["until"] or "", one["trust"], one["source"], one["event_id"])
        table.add_row(one["profile_id"], *map(escape, told))
    out.print(table)
    if found["next"] is not None:
        print(f"There may be more: --after {found['next']}")


@groups.command("join")
def group_join(
    who: Who,
    group: Group,
    workspace: WorkspaceOption,
    role: Annotated[str, typer.Option(help="What they are there, such as guardian, child or buyer.")] = "",
    since: Annotated[str, typer.Option(help="From when on: a day or an instant; today when not named.")] = "",
    until: Annotated[str, typer.Option(help="Until when: a day or an instant; for good when not named.")] = "",
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Say that somebody belongs to a group."""
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        event_id = ws.groups.join(
            who, group, role=role, since=since, until=until, reason=reason, operator=colleague.operator
        )
        _finish(ws, "join", colleague, event_id, json=json)


@groups.command("leave")
def group_leave(
    who: Who,
    group: Group,
    workspace: WorkspaceOption,
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Say that somebody does not belong to a group."""
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        event_id = ws.groups.leave(who, group, reason=reason, operator=colleague.operator)
        _finish(ws, "leave", colleague, event_id, json=json)


def _finish(ws: Workspace, verb: str, colleague: Colleague, event_id: str, *, json: bool) -> None:
    ws.flush()
    ws.audit.note(operator_id=colleague.actor, action=f"group.{verb}", target=event_id)
    if json:
        show({"event_id": event_id})
    else:
        print(f"It counts now, as event {event_id}.")
