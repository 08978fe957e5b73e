"""`tillit keys`: what sources and programs show to be let in.

In:    a kind, a source, scopes, purposes.
Out:   a key, shown once; the list of keys.
Never: a key that was made before, in plain text.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tillit.cli.terminal import JsonOption, WorkspaceOption, show, talk
from tillit.clock import rfc3339
from tillit.workspace import Workspace

keys = typer.Typer(help="Keys of sources and programs.", no_args_is_help=True)


@keys.command("create")
def keys_create(
    workspace: WorkspaceOption,
    kind: Annotated[
        str, typer.Option(help="public (browsers, apps), secret (servers), api (reading) or identity (signing).")
    ],
    source: Annotated[str, typer.Option(help="The source that speaks with this key.")],
    scope: Annotated[list[str] | None, typer.Option(help="What an api key may do; several may follow.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="Pages a public key may be used from.")] = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(help="What an api key may read for; several may follow, the first holds when none is named."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It is shown once."""
    with Workspace(workspace) as ws:
        # Only api keys read.
        purposes = purpose or ([ws.scope().purpose] if kind == "api" else [])
        for one in purposes:
            ws.scope(one)
        scopes = [s for word in scope or () for s in word.replace(",", " ").split()]
        plain, key = ws.keys.create(kind, source, scopes=scopes, purposes=purposes, origins=origin or ())
    if json:
        show({"key": plain, **_key_document(key)})
    else:
        print(plain)
        talk.print(f"{kind} key {key.key_id} of source {source}. It is not kept and cannot be shown again.")


def _key_document(key: Any) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "kind": key.kind,
        "source": key.source,
        "scopes": key.scopes,
        "purpose": key.purpose,
        "purposes": key.purposes,
        "origins": key.origins,
        "created_at": rfc3339(key.created_at),
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at is not None else None,
    }


@keys.command("list")
def keys_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List the keys, the revoked too."""
    with Workspace(workspace) as ws:
        found = [_key_document(key) for key in ws.keys.list_all()]
    if json:
        show({"keys": found})
        return
    table = Table("key", "kind", "source", "scopes", "made", "revoked")
    for key in found:
        table.add_row(
            key["key_id"],
            key["kind"],
            key["source"],
            " ".join(key["scopes"]),
            key["created_at"][:10],
            (key["revoked_at"] or "")[:10],
        )
    Console().print(table)


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument()], workspace: WorkspaceOption) -> None:
    """Stop a key, at once."""
    with Workspace(workspace) as ws:
        ws.keys.revoke(key_id)
    print(f"{key_id} is revoked.")
