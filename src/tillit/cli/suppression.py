"""`tillit suppression`: whom nothing is sent to, whatever anybody agreed to.

In:    an address, a domain or a person, with a reason; the number of an entry.
Out:   the list.
Never: an address in the list: its hash alone is kept.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tillit.cli.terminal import ACTOR, JsonOption, PurposeOption, WorkspaceOption, find_colleague, reader, show
from tillit.workspace import Workspace

suppression = typer.Typer(help="Whom nothing is sent to.", no_args_is_help=True)

OperatorOption = Annotated[str, typer.Option("--operator", help="Who does it: a login.")]


@suppression.command("list")
def suppression_list(
    workspace: WorkspaceOption,
    lifted: Annotated[bool, typer.Option("--lifted", help="Also entries that were taken off.")] = False,
    reason: Annotated[str, typer.Option(help="Only entries of this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows.")] = 50,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """List whom nothing is sent to, newest first."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found, _ = ws.messages.suppressions(scope, with_lifted=lifted, reason=reason, limit=limit)
        people = [one["profile_id"] or "" for one in found]
        ws.journal.note(people, asked_by=reader(), route="tillit suppression list", purpose=scope.purpose)
    if json:
        show({"suppressions": found})
        return
    table = Table("number", "about", "reason", "purpose", "since", "by", "person", "words", "taken off")
    for one in found:
        table.add_row(
            str(one["suppression_id"]),
            one["about"],
            one["reason"],
            one["purpose"] or "all",
            one["at"][:10],
            one["by"],
            one["profile_id"] or "",
            one["words"] or "",
            (one["lifted_at"] or "")[:10],
        )
    Console().print(table)


@suppression.command("add")
def suppression_add(
    whom: Annotated[str, typer.Argument(help="address:…, domain:…, or a person as namespace:value.")],
    workspace: WorkspaceOption,
    reason: Annotated[str, typer.Option(help="operator, complaint, unsubscribe, deceased, hard_bounce or erased.")],
    words: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")],
    purpose: Annotated[str, typer.Option(help="Of an unsubscribe: from what; all when not named.")] = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Put an address, a domain or a person on the list; from now on nothing is sent there."""
    with Workspace(workspace) as ws:
        ws.flush()
        actor = find_colleague(ws, operator).actor
        number = ws.deliveries.suppress(whom, reason, source="cli", by=actor, words=words, purpose=purpose)
        ws.audit.note(operator_id=actor, action="suppression.add", target=str(number), details={"reason": reason})
    if json:
        show({"suppression_id": number})
    else:
        print(f"Number {number}. To take it off: tillit suppression remove {number} --words …")


@suppression.command("remove")
def suppression_remove(
    number: Annotated[int, typer.Argument(help="The entry's number; `list` shows it.")],
    workspace: WorkspaceOption,
    words: Annotated[str, typer.Option(help="Why it is taken off.")],
    operator: OperatorOption = ACTOR,
) -> None:
    """Take an entry off the list; it stays to be seen with `list --lifted`."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        ws.deliveries.lift(number, by=actor, words=words)
        ws.audit.note(operator_id=actor, action="suppression.remove", target=str(number))
    print(f"Number {number} is off the list.")
