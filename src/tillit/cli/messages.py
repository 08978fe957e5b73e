"""`tillit message`: asking for a message to somebody, and what became of those that were asked for.

In:    a template, a person, data; the id of a message.
Out:   what would leave, or the id of what was asked for; lives of messages.
Never: a message sent without `--yes`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from tillit.cli.bounced import bounced
from tillit.cli.destinations import dry_lines, note_dry
from tillit.cli.terminal import JsonOption, PurposeOption, WorkspaceOption, print_lines, reader, show
from tillit.errors import InputError
from tillit.workspace import Workspace
from tillit.workspace.deliveries import dry_document

message = typer.Typer(help="Messages to people, and what became of them.", no_args_is_help=True)


class DataUnreadable(InputError):
    """The data of a message cannot be read."""

    code = "cli.data-unreadable"

    def __init__(self) -> None:
        """Say how they are written; what was typed is not repeated."""
        super().__init__("Data are NAME=VALUE, or a file with one JSON object.")


message.command("bounced")(bounced)


@message.command("send")
def message_send(
    template: Annotated[str, typer.Argument(help="The template's name.")],
    who: Annotated[str, typer.Argument(help="Whom it is for, as namespace:value.")],
    workspace: WorkspaceOption,
    purpose: Annotated[str, typer.Option(help="What it is sent for: the purpose of the template.")],
    data: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; several may follow.")] = None,
    data_file: Annotated[Path | None, typer.Option("--data-file", help="A file with one JSON object.")] = None,
    key: Annotated[str, typer.Option(help="The same key sends once, however often it is asked for.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Send it; without this only what would leave is shown.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would leave, whatever else is said.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Ask for a message to somebody; without --yes show what would leave, or why nothing."""
    told = _data(data or (), data_file)
    with Workspace(workspace) as ws:
        ws.flush()
        if yes and not dry_run:
            asked = ws.deliveries.send(template, who, told, purpose=purpose, key=key, asked_by=reader())
            ws.flush()
            if json:
                show({"id": asked.key, "is_repeat": asked.is_repeat})
            else:
                print(asked.key)
            return
        found = dry_document(ws.deliveries.try_out(template, who, told, purpose=purpose))
        note_dry(ws, found, "tillit message send", purpose)
    if json:
        show(found)
    else:
        print_lines(dry_lines(found))
        print("Nothing was sent. Say --yes to send it.")


@message.command("list")
def message_list(
    workspace: WorkspaceOption,
    state: Annotated[
        str,
        typer.Option(
            help="waiting, claimed, delivered, refused, dead, withheld; unknown: also what may have left twice."
        ),
    ] = "",
    destination: Annotated[str, typer.Option(help="Only through this destination.")] = "",
    who: Annotated[str | None, typer.Option(help="Only for this person.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows.")] = 50,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """List messages, newest first."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found, _ = ws.messages.list_messages(who=who, state=state, destination=destination, limit=limit)
        people = ws.messages.people_of(found)
        ws.journal.note(people, asked_by=reader(), route="tillit message list", purpose=scope.purpose)
    if json:
        show({"messages": found})
        return
    table = Table(Column("message", no_wrap=True, min_width=32), "asked", "template", "for", "state", "why")
    for one in found:
        marks = ["twice?"] if one["maybe_duplicate"] else []
        table.add_row(
            one["id"],
            one["asked_at"][:19],
            one["template"],
            one["profile_id"] or "",
            " ".join([one["state"], *marks]),
            one["reason"] or one["code"] or "",
        )
    Console().print(table)


@message.command("show")
def message_show(
    message_id: Annotated[str, typer.Argument(help="The message's id; `send` printed it, `list` shows it.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Show a message's whole life: what became of it, why, and each try."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by=reader())
        found = ws.messages.get(message_id, scope)
        people = ws.messages.people_of([found])
        ws.journal.note(people, asked_by=reader(), route="tillit message show", purpose=scope.purpose)
    if json:
        show(found)
    else:
        print_lines(_life_lines(found))


def _life_lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['kind']} {found['template'] or ''} through {found['destination']} for {found['purpose']}"
    yield f"  for {found['profile_id'] or 'nobody who is known yet'}, asked {found['asked_at']} ({found['event_id']})"
    why = found["reason"] or found["code"]
    yield f"{found['state']}: {found['words']}" + (f" {why}" if why else "")
    if found["maybe_duplicate"]:
        yield "It may have left twice."
    for one in found["attempts"]:
        why = one["reason"] or one["code"]
        yield f"  try {one['attempt']}, {one['begun_at']}: {one['words']}" + (f" {why}" if why else "")
        if one["said"]:
            yield f"    they said: {one['said']}"
    if found["attempts"] and found["withheld"] is not None:
        yield f"What they said is not shown: {found['withheld']}."


def _data(pairs: tuple[str, ...] | list[str], file: Path | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if file is not None:
        try:
            told = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            raise DataUnreadable from None
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not name or not mark:
            raise DataUnreadable
        told[name] = value
    return told
