"""`tillit consent validate`: is a consent record sound, and did the right one sign it?

In:    a file with a record or a receipt, whoever wrote it; a public key.
Out:   its faults, one a line; exit 1 when there is any.
Never: a value of the record; a workspace: the check needs none.
"""

from pathlib import Path
from typing import Annotated

import typer

from tillit.cli.terminal import JsonOption, show, talk
from tillit.consent.receipts import check_record, read_public_key


def validate(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The record or receipt.")],
    key: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            help="Who should have signed it: a public Ed25519 key as PEM, JWK or base64url.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a consent record or receipt after ISO/IEC TS 27560 (DPV-27560), with its signature."""
    faults = check_record(file.read_bytes(), key=read_public_key(key.read_bytes()) if key is not None else None)
    if json:
        show({"valid": not faults, "faults": [fault._asdict() for fault in faults]})
    else:
        for fault in faults:
            print(fault)
        told = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}." if faults else "Valid after DPV-27560."
        talk.print(told, highlight=False)
    if faults:
        raise typer.Exit(1)
