"""`tillit destination`: where values of people leave for; how each is, holding it, trying again; its secrets.

In:    the name of a destination; a person; a secret from the terminal or standard input.
Out:   what each takes and how it is; what did not arrive and why; what would leave for one person.
Never: a secret in an argument, a list or an answer; something sent again without `--yes`.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from tillit.cli.terminal import ACTOR, JsonOption, WorkspaceOption, find_colleague, print_lines, reader, show, talk
from tillit.clock import rfc3339
from tillit.workspace import Workspace
from tillit.workspace.deliveries import dry_document

destination = typer.Typer(help="Where values of people leave for.", no_args_is_help=True)
secret = typer.Typer(help="What destinations are entered and signed with, each for one host.", no_args_is_help=True)
destination.add_typer(secret, name="secret")

Name = Annotated[str, typer.Argument(help="The destination's name.")]
SecretName = Annotated[str, typer.Argument(help="The secret's name, as definitions say it.")]
OperatorOption = Annotated[str, typer.Option("--operator", help="Who does it: a login.")]


@destination.command("list")
def destination_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List destinations: what each takes, how it is."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.messages.destinations()
    if json:
        show({"destinations": found})
        return
    table = Table(
        Column("destination", no_wrap=True), "kind", "sends", "purpose", "recipient", "state", "did not arrive"
    )
    for one in found:
        failed = sum(one["counts"].get(state, 0) for state in ("refused", "dead", "unknown"))
        table.add_row(
            *(one[name] for name in ("destination", "kind", "send", "purpose", "recipient", "state")), f"{failed:,}"
        )
    Console().print(table)


@destination.command("show")
def destination_show(name: Name, workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Say how a destination is, and what did not arrive there and why."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.messages.destination(name)
        people = ws.messages.people_of(found["newest_failed"])
        ws.journal.note(people, asked_by=reader(), route="tillit destination show", purpose=found["purpose"])
    if json:
        show(found)
    else:
        print_lines(destination_lines(found))


@destination.command("check")
def destination_check(name: Name, workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Reach a destination without sending anybody's values."""
    with Workspace(workspace) as ws:
        ws.flush()
        checked = asyncio.run(ws.deliveries.check(ws.deliveries.destination(name)))
    if json:
        show({"destination": name, **checked._asdict()})
    else:
        print_lines(iter([f"{'ok  ' if checked.is_well else 'LOOK'} {checked.words} ({checked.took_ms:.0f} ms)"]))
    raise typer.Exit(0 if checked.is_well else 1)


@destination.command("pause")
def destination_pause(name: Name, workspace: WorkspaceOption, operator: OperatorOption = ACTOR) -> None:
    """Hold everything for a destination; what is on the wire ends."""
    with Workspace(workspace) as ws:
        ws.flush()
        actor = find_colleague(ws, operator).actor
        ws.deliveries.pause(name, by=actor)
        ws.audit.note(operator_id=actor, action="destination.pause", target=name)
    print(f"{name} is paused. To go on: tillit destination resume {name}")


@destination.command("resume")
def destination_resume(name: Name, workspace: WorkspaceOption, operator: OperatorOption = ACTOR) -> None:
    """Let a destination go on, at once."""
    with Workspace(workspace) as ws:
        ws.flush()
        actor = find_colleague(ws, operator).actor
        ws.deliveries.resume(name)
        ws.audit.note(operator_id=actor, action="destination.resume", target=name)
    print(f"{name} goes on.")


@destination.command("replay")
def destination_replay(
    name: Name,
    workspace: WorkspaceOption,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A delivery; several may follow.")] = None,
    code: Annotated[str, typer.Option(help="Only what did not arrive for this reason, as `show` names it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only how many is said.")] = False,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Let what did not arrive go once more, under its key; whether it may is asked anew of each."""
    with Workspace(workspace) as ws:
        ws.flush()
        n = ws.deliveries.replay(name, ids=ids or (), code=code, is_dry=not yes)
        if yes:
            actor = find_colleague(ws, operator).actor
            ws.audit.note(operator_id=actor, action="destination.replay", target=name, details={"deliveries": n})
    if json:
        show({"destination": name, "replayed" if yes else "would_replay": n})
    elif yes:
        print(f"{n:,} deliveries go once more.")
    else:
        print(f"Would let {n:,} deliveries go once more. Say --yes to do it.")


@destination.command("dry-run")
def destination_dry_run(
    name: Name,
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Say what a destination that follows people would be told of somebody, or why nothing; send nothing."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = dry_document(ws.deliveries.try_record(name, who))
        purpose = ws.deliveries.destination(name).purpose
        note_dry(ws, found, "tillit destination dry-run", purpose)
    if json:
        show(found)
    else:
        print_lines(dry_lines(found))


@secret.command("set")
def secret_set(
    name: SecretName,
    workspace: WorkspaceOption,
    host: Annotated[str, typer.Option(help="The one place it may be told, as host:port.")],
    operator: OperatorOption = ACTOR,
) -> None:
    """Keep a secret for one host; it is typed, or comes on standard input."""
    told = typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        ws.outside.secrets.set(name, host, told, actor)
        ws.audit.note(operator_id=actor, action="destination-secret.set", target=name)
    talk.print(f"{name} is kept for {host}, and cannot be shown again.")


@secret.command("list")
def secret_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List secrets by name, with the host of each; never the secrets."""
    with Workspace(workspace) as ws:
        found = [{**one._asdict(), "created_at": rfc3339(one.created_at)} for one in ws.outside.secrets.list()]
    if json:
        show({"secrets": found})
        return
    table = Table("secret", "host", "set", "by")
    for one in found:
        table.add_row(one["name"], one["host"], one["created_at"][:10], one["by_whom"])
    Console().print(table)


@secret.command("remove")
def secret_remove(name: SecretName, workspace: WorkspaceOption, operator: OperatorOption = ACTOR) -> None:
    """Forget a secret; destinations that name it are paused at the next try."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        ws.outside.secrets.remove(name)
        ws.audit.note(operator_id=actor, action="destination-secret.remove", target=name)
    print(f"{name} is gone.")


# -- printing


def note_dry(ws: Workspace, found: dict[str, Any], route: str, purpose: str) -> None:
    """Note that somebody looked at what would leave for a person."""
    ws.journal.note([found["profile_id"] or ""], asked_by=reader(), route=route, purpose=purpose)


def destination_lines(found: dict[str, Any]) -> Iterator[str]:
    """Write a destination for a terminal."""
    title = f" ({found['title']})" if found["title"] else ""
    yield f"{found['destination']}{title}: {found['kind']}, sends {found['send']} to {found['recipient']}"
    yield f"  for {found['purpose']}, applied {found['applied_at']}"
    state, why = found["state"], found["pause_reason"] or found["pause_code"]
    if state == "paused":
        yield f"  paused {found['paused_at']} by {found['paused_by']}: {why}"
    elif state in ("failing", "resting"):
        yield f"  {state}: {found['n_failed']:,} in a row, last {found['failed_at']}: " + _reason(
            found["fail_code"], found["fail_reason"]
        )
    else:
        yield f"  {state}" + (f", last delivered {found['delivered_at']}" if found["delivered_at"] else "")
    for theirs, ours in found["fields"].items():
        yield f"  {ours} leaves as {theirs}"
    for what, counts in (("deliveries", found["counts"]), ("records there", found["records"])):
        if counts:
            yield f"{what}: " + ", ".join(f"{n:,} {state}" for state, n in counts.items())
    if found["failures"]:
        yield "did not arrive:"
        for one in found["failures"]:
            yield f"  {one['n']:,} {one['state']}: {_reason(one['code'], one['reason'])}"
    for one in found["newest_failed"]:
        yield f"  {one['id']}  {one['asked_at']}  {one['state']}  {one['code'] or ''}"


def dry_lines(found: dict[str, Any]) -> Iterator[str]:
    """Write what would leave for one person."""
    if not found["leaves"]:
        yield f"Nothing would leave: {_reason(found['code'], found['reason'])}"
        return
    yield f"This would leave for {found['profile_id']}:"
    mail = found["mail"]
    if mail is None:
        for name, value in found["payload"].items():
            yield f"  {name}: {value}"
    else:
        way_out = mail["unsubscribe_url"] and f"<{mail['unsubscribe_url']}>"
        for name, value in (
            ("From", mail["sender"]),
            ("To", mail["recipient"]),
            ("Reply-To", mail["reply_to"]),
            ("Subject", mail["subject"]),
            ("List-Unsubscribe", way_out),
        ):
            if value:
                yield f"  {name}: {value}"
        yield ""
        yield from mail["text"].splitlines()
        if mail["html"]:
            yield f"and {len(mail['html'].encode()):,} bytes of HTML; --json shows them."
    yield f"It tells {', '.join(found['fields']) or 'nothing of the person'}."


def _reason(code: str | None, words: str | None) -> str:
    return f"{code}: {words}" if code and words else code or words or "no reason was given"
