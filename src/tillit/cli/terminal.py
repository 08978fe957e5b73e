"""What every command shares: options, talk on stderr, JSON on stdout.

In:    documents.
Out:   text for people and for programs.
Never: results among the talk.
"""

import os
import pwd
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


def reader() -> str:
    """Say who reads at the command line: the system's user, as the system knows them and not as they say."""
    user_id = os.getuid()
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:  # a container's user may have no name
        name = str(user_id)
    return f"{ACTOR}/{name.partition('@')[0]}"


class Colleague(NamedTuple):
    """Who decides at the command line."""

    operator: str  # their operator id, else the name that was typed
    actor: str  # whom the audit names: never a name that was only typed
    reader: str  # whom the ledger names


def find_colleague(ws: Workspace, told: str) -> Colleague:
    """Say who is meant by a login, or by a name."""
    found = ws.operators.find(told)
    if found is None:
        return Colleague(told, ACTOR, reader())
    return Colleague(found.operator_id, found.operator_id, found.operator_id)


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
