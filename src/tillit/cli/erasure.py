"""`tillit privacy erase` and `tillit privacy verify-erasure`.

In:    a person as `namespace:value` or a profile id; a certificate.
Out:   what would go and what stays; the certificate's path; places where something was found, exit 1.
Never: an erasure without --yes.
"""

from pathlib import Path
from typing import Annotated

import typer

from tillit.cli.terminal import ACTOR, JsonOption, WorkspaceOption, find_colleague, reader, show
from tillit.consent import OWN_DATA
from tillit.workspace import Workspace


def erase(
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only what would happen is said.")] = False,
    reason: Annotated[str, typer.Option(help="One word that the certificate keeps, such as request.")] = "request",
    operator: Annotated[str, typer.Option(help="Who does so: a login, or a name.")] = ACTOR,
    json: JsonOption = False,
) -> None:
    """Erase a person: everything of theirs, everywhere, with a certificate. It cannot be undone."""
    with Workspace(workspace) as ws:
        ws.flush()
        told = ws.erasure.outline(who)
        if not yes:
            people = ws.profiles.holders([who])
            ws.journal.note(people, asked_by=reader(), route="tillit privacy erase", purpose=OWN_DATA)
            if json:
                show({"done": False, **told._asdict(), "stays": [one._asdict() for one in told.stays]})
                return
            print(f"Would erase {_n(told.n_events, 'event')} and {_n(told.n_identifiers, 'identifier')}:")
            for key in told.keys:
                print(f"  {key}")
            if told.n_quarantined:
                print(f"Would delete {_n(told.n_quarantined, 'quarantined event')}.")
            if told.n_uploads:
                print(f"Would delete {_n(told.n_uploads, 'uploaded file')}: nobody knows whom it names.")
            for kept in told.stays:
                print(f"Stays: {kept.what} ({kept.why})")
            print("Say --yes to do it; it cannot be undone.")
            return
        colleague = find_colleague(ws, operator)
        done = ws.erasure.erase(who, reason=reason, operator=colleague.actor)
        ws.audit.note(
            operator_id=colleague.actor,
            action="person.erase",
            target=done.erasure_id,
            details={"n_events": done.n_events, "reason": reason},
        )
    if json:
        show(
            {
                "done": True,
                "erasure_id": done.erasure_id,
                "n_events": done.n_events,
                "certificate": str(done.certificate),
            }
        )
        return
    print(
        f"{_n(done.n_events, 'event')} and {_n(done.n_identifiers, 'identifier')} erased; nothing was found afterwards."
    )
    print(done.certificate)


def verify_erasure(
    what: Annotated[str, typer.Argument(help="namespace:value, or the path of a certificate.")],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Look through every store for somebody who was erased; exit 1 when anything is found."""
    path = Path(what)
    with Workspace(workspace) as ws:
        ws.flush()
        is_certificate = what.endswith(".json") and path.is_file()
        found = ws.erasure.verify_certificate(path) if is_certificate else ws.erasure.verify(what)
    if json:
        show({"found": [{"place": one.place, "is_readable": one.is_readable} for one in found]})
    elif found:
        print(f"Found in {_n(len(found), 'place')}:")
        for one in found:
            print(f"  {one.place}" + ("" if one.is_readable else " (could not be looked into)"))
    else:
        print("Nothing was found.")
    raise typer.Exit(1 if found else 0)


def _n(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
