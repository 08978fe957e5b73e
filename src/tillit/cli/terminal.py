"""What every command shares: options, talk on stderr, JSON on stdout.

In:    documents.
Out:   text for people and for programs.
Never: results among the talk.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.console import Console

from tillit.workspace import Workspace

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help="What the values are read for.")]

ACTOR = "cli"  # who asks and acts, when no colleague is named
talk = Console(stderr=True)


class Colleague(NamedTuple):
    """Who decides at the command line."""

    operator: str  # their operator id, else the name that was typed
    actor: str  # whom the audit names: never a name that was only typed


def find_colleague(ws: Workspace, told: str) -> Colleague:
    """Say who is meant by a login, or by a name."""
    found = ws.operators.find(told)
    return Colleague(found.operator_id, found.operator_id) if found is not None else Colleague(told, ACTOR)


def show(document: Any) -> None:
    """Print one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(document)).decode())


def print_lines(lines: Iterator[str]) -> None:
    """Print what may hold words of strangers."""
    for line in lines:
        # Anybody can send an identifier that would move the cursor or change the colours.
        print("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


def evidence_line(a: str, b: str, said: dict[str, Any]) -> str:
    """Write one piece of evidence for a terminal."""
    return f"{a} — {b} · {said['rule']}, {said['trust']}, {said['source']}, {said['at']}, {said['event_id']}"
