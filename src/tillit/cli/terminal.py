"""What every command shares: options, talk on stderr, JSON on stdout.

In:    documents.
Out:   text for people and for programs.
Never: results among the talk.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help="What the values are read for.")]

talk = Console(stderr=True)


def show(document: Any) -> None:
    """Print one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(document)).decode())
