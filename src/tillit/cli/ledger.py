"""`tillit ledger`: who received a person's values, who looked at them, and the proof that nobody changed it.

In:    a person, an index, a checkpoint or proof that was kept elsewhere.
Out:   entries, proofs, checkpoints, faults.
Never: a person's value: the ledger holds none.
"""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tillit import clock
from tillit.cli.terminal import JsonOption, WorkspaceOption, reader, show, talk
from tillit.clock import rfc3339
from tillit.consent import OWN_DATA
from tillit.errors import InputError
from tillit.ledger import KINDS, Access, Accesses, Ledger, Recorded, verify_inclusion
from tillit.workspace import NoWorkspace, Paths, Reads, Workspace, open_ledger, subjects_of

ledger = typer.Typer(help="Who received values of people, who looked at them.", no_args_is_help=True)


@ledger.command("list")
def ledger_list(
    workspace: WorkspaceOption,
    who: Annotated[str, typer.Option("--who", help="Of one person: namespace:value, or a profile id.")] = "",
    kind: Annotated[str, typer.Option(help="disclosure or access.")] = "",
    purpose: Annotated[str, typer.Option(help="For this purpose.")] = "",
    recipient: Annotated[str, typer.Option(help="Disclosures to this recipient.")] = "",
    actor: Annotated[str, typer.Option(help="Accesses by this operator or key.")] = "",
    since: Annotated[str, typer.Option(help="From this instant on.")] = "",
    until: Annotated[str, typer.Option(help="Before this instant.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most entries.")] = 100,
    before: Annotated[int | None, typer.Option(min=0, help="Go on where an earlier answer ended.")] = None,
    json: JsonOption = False,
) -> None:
    """Show entries, newest first: of one person, or of all that say what is asked for."""
    if kind and kind not in KINDS:
        raise InputError(f"An entry is one of {', '.join(KINDS)}, not {kind[:16]!r}.", code="ledger.unknown-kind")
    if who and (kind or purpose or recipient or actor or since or until):
        raise InputError("Ask for one person, or for what entries say, not for both.", code="ledger.bad-question")
    paths = _paths(workspace)
    subjects = _subjects(workspace, who) if who else []
    with open_ledger(paths, now=clock.now_us) as opened:
        if who:
            found = opened.read(subjects, limit=limit, before=before)
        else:
            found = opened.search(
                kind=kind,
                purpose=purpose,
                recipient=recipient,
                actor=actor,
                since=_instant(since),
                until=_instant(until),
                limit=limit,
                before=before,
            )
        people = [one.entry.subject_ref for one in found.entries if one.entry is not None]
        _note(opened, people, "list")
    if json:
        show({"entries": [_document(one) for one in found.entries], "next": found.next})
        return
    table = Table("entry", "at", "kind", "person", "who", "purpose", "what")
    for one in found.entries:
        table.add_row(str(one.entry_index), rfc3339(one.at), one.kind, *map(escape, _told(one)))
    Console().print(table)
    if found.next is not None:
        print(f"There may be more: --before {found.next}")


@ledger.command("prove")
def ledger_prove(
    entry: Annotated[int, typer.Argument(min=0, help="The index of an entry, as `list` shows it.")],
    workspace: WorkspaceOption,
) -> None:
    """Print a proof that an entry stands in the ledger; it holds the entry, so give it to the person only."""
    with open_ledger(_paths(workspace), now=clock.now_us) as opened:
        proof = opened.prove(entry)
        told = verify_inclusion(proof).entry
        _note(opened, [told.subject_ref] if told is not None else [], "prove")
        print(proof, end="")
        talk.print(f"To be checked with the key {opened.verifier_key()}", highlight=False, soft_wrap=True)


@ledger.command("verify")
def ledger_verify(
    proof: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file that holds the proof.")],
    key: Annotated[str, typer.Option(help="The ledger's key, as you got it from elsewhere.")] = "",
    json: JsonOption = False,
) -> None:
    """Check a proof. No workspace is needed."""
    proven = verify_inclusion(proof.read_text(encoding="utf-8"), key or None)
    found = Recorded(proven.entry_index, proven.at, proven.kind, proven.entry)
    if json:
        show({**_document(found), "origin": proven.checkpoint.origin, "size": proven.checkpoint.size})
        return
    print(f"Entry {proven.entry_index} of {proven.checkpoint.size} in {proven.checkpoint.origin}: {proven.kind}")
    print(" · ".join(word for word in (rfc3339(proven.at), *_told(found)) if word))


@ledger.command("checkpoint")
def ledger_checkpoint(
    workspace: WorkspaceOption,
    to: Annotated[Path | None, typer.Option(help="Also add it to this file instead of the workspace's own.")] = None,
    json: JsonOption = False,
) -> None:
    """Sign what the ledger is now. A copy proves something only when somebody else keeps it."""
    paths = _paths(workspace)
    with open_ledger(paths, now=clock.now_us) as opened:
        note = opened.checkpoint(to or paths.ledger_checkpoints)
        key = opened.verifier_key()
    if json:
        show({"checkpoint": note, "key": key})
        return
    print(note, end="")
    talk.print(f"To be checked with the key {key}", highlight=False, soft_wrap=True)


@ledger.command("check")
def ledger_check(
    workspace: WorkspaceOption,
    against: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Files with checkpoints that were kept elsewhere."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read the whole ledger and say what was altered, removed, put in another order or cut off."""
    paths = _paths(workspace)
    files = list(against or [])
    if paths.ledger_checkpoints.exists():
        files.append(paths.ledger_checkpoints)
    with open_ledger(paths, now=clock.now_us) as opened:
        found = opened.check(file.read_text(encoding="utf-8") for file in files)
    if json:
        show(
            {
                "entries": found.n_entries,
                "unreadable": found.n_unreadable,
                "checkpoints": found.n_checkpoints,
                "root": found.root.hex(),
                "faults": [fault._asdict() for fault in found.faults],
            }
        )
    else:
        print(
            f"{found.n_entries} entries, {found.n_unreadable} of them unreadable for good, "
            f"compared with {found.n_checkpoints} checkpoints: {len(found.faults) or 'no'} faults."
        )
        for fault in found.faults:
            print(f"  {fault.kind}: {fault.told}")
    raise typer.Exit(1 if found.faults else 0)


def _paths(workspace: Path) -> Paths:
    paths = Paths(workspace)
    if not paths.settings.exists():
        raise NoWorkspace(workspace)
    return paths


def _note(opened: Ledger, people: list[str], verb: str) -> None:
    """Note whose entries are about to be shown: to read who looked is to look, too."""
    with contextlib.closing(Accesses(opened, now=clock.now_us)) as accesses:
        Reads(accesses).note(people, asked_by=reader(), route=f"tillit ledger {verb}", purpose=OWN_DATA)


def _subjects(workspace: Path, who: str) -> list[str]:
    with Workspace(workspace) as ws:
        ws.flush()
        membership = ws.profiles.membership(who)
    # An id that nobody holds any more may still have entries.
    return subjects_of(membership) if membership is not None else [who]


def _instant(text: str) -> int | None:
    if not text:
        return None
    at = clock.instant(text)
    if at is None:
        raise InputError("Write an instant as 2026-03-01T09:00:00Z, or a day as 2026-03-01.", code="ledger.bad-instant")
    return at


def _document(one: Recorded) -> dict[str, Any]:
    told: dict[str, Any] = {"entry": one.entry_index, "at": rfc3339(one.at), "kind": one.kind}
    if one.entry is None:
        return told | {"is_readable": False}
    return {**msgspec.to_builtins(one.entry), **told, "is_readable": True}


def _told(one: Recorded) -> tuple[str, str, str, str]:
    entry = one.entry
    if entry is None:
        return "", "", "", "its key was destroyed"
    if isinstance(entry, Access):
        return entry.subject_ref, entry.actor_id, entry.purpose, entry.route + (", broken glass" * entry.break_glass)
    return entry.subject_ref, entry.recipient, entry.purpose, ", ".join(entry.field_names)
