"""`tillit profile`: who somebody is, and who there is.

In:    a person as `namespace:value` or a profile id; the beginning of an identifier or a name.
Out:   what may be shown of them for the purpose that was named.
Never: a look that the journal does not keep.
"""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tillit.cli.terminal import JsonOption, PurposeOption, WorkspaceOption, reader, show
from tillit.workspace import Workspace

profile = typer.Typer(help="People.", no_args_is_help=True)


@profile.command("show")
def profile_show(
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Show one person."""
    with Workspace(workspace) as ws:
        ws.flush()
        document = ws.profiles.get(who, purpose=purpose)
        ws.journal.note([document["id"]], asked_by=reader(), route="tillit profile show", purpose=purpose or "service")
    if json:
        show(document)
        return
    out = Console()
    out.print(
        f"[bold]{document['id']}[/bold]  first seen {document['first_seen_at']}, last {document['last_seen_at']}",
        soft_wrap=True,
    )
    table = Table("identifier", "value", "trust", "last seen")
    for ident in document["identifiers"]:
        table.add_row(ident["namespace"], ident["value"], ident["trust"], ident["last_seen_at"])
    out.print(table)
    table = Table("trait", "value", "at", "source")
    for trait, held in document["traits"].items():
        table.add_row(trait, msgspec.json.encode(held["value"]).decode(), held["at"], held["source"])
    out.print(table)
    table = Table("event", "times")
    for event, n in document["counts"].items():
        table.add_row(event, f"{n:,}")
    out.print(table)


@profile.command("search")
def profile_search(
    text: Annotated[str, typer.Argument(help="The beginning of an identifier or a name.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Find people."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.profiles.search(text, purpose=purpose)
        people = (one["id"] for one in found)
        ws.journal.note(people, asked_by=reader(), route="tillit profile search", purpose=purpose or "service")
    if json:
        show({"profiles": found})
        return
    for document in found:
        print(document["id"], "  ".join(f"{i['namespace']}:{i['value']}" for i in document["identifiers"][:4]))


@profile.command("count")
def profile_count(
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    channel: Annotated[str, typer.Option(help="One of the purpose's channels.")] = "",
    jurisdiction: Annotated[str, typer.Option(help="Whose law counts, such as US-CA.")] = "",
    json: JsonOption = False,
) -> None:
    """Count everybody, and those of them whom a purpose may use now."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader(), channel=channel, jurisdiction=jurisdiction)
        found = ws.permissions.count(scope)
    if json:
        show({"purpose": scope.purpose, **found._asdict(), "withheld": found.withheld})
        return
    print(
        f"{found.permitted:,} of {found.people:,} people may be used for {scope.purpose}; {found.withheld:,} may not."
    )
