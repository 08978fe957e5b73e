"""`tillit settings`: what they are and where they come from.

In:    a setting's name.
Out:   its value, every place looked at and which won; a file with all of them.
Never: a secret's value.
"""

from pathlib import Path
from typing import Annotated

import typer

from tillit.settings import explain, sample_file

settings = typer.Typer(help="Settings and where they come from.", no_args_is_help=True)


@settings.command("explain")
def settings_explain(
    name: Annotated[str, typer.Argument(help="Such as collect.max_event_bytes.")],
    workspace: Annotated[Path | None, typer.Option("--workspace", "-w")] = None,
) -> None:
    """Say what a setting is, where it was looked for, and which place won."""
    print(explain(name, workspace))


@settings.command("sample")
def settings_sample() -> None:
    """Print a settings file with every setting and its default."""
    print(sample_file())
