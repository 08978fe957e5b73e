"""Write down what the command line says of itself.

In:    the command tree, as `--help` reads it.
Out:   `docs/reference/cli.md` as text.
Never: words of its own about a command or an option.
"""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from tillit.cli.commands import app

# Every program made with this library has them, and they say nothing of ours.
_NOT_OURS = {"--help", "--install-completion", "--show-completion"}

_HEAD = """\
# Command line

Made from the code by `make docs`; do not edit.

Results go to stdout, talk goes to stderr.
`--json` prints the same result for programs, errors too.
`tillit COMMAND --help` says what stands here.

| exit | means |
|---|---|
| 0 | done |
| 1 | a difference or a fault was found, or a bug of ours |
| 2 | what was given must change |
| 3 | a setting must change |
| 4 | the person or the law says no |
| 5 | nobody did wrong: try again |
"""


def cli_page() -> str:
    """Give the reference page of the command line, in Markdown."""
    lines = [_HEAD.rstrip()]
    for path, command in _commands(get_command(app), "tillit"):
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one for one in command.params if one.param_type_name == "option" and not _NOT_OURS & set(one.opts)]
        usage = [path, *(_shown_argument(one) for one in arguments), *(["[OPTIONS]"] if options else [])]
        lines += ["", f"## {path}", "", " ".join(str(command.help or "").split()), "", f"`{' '.join(usage)}`"]
        if arguments or options:
            lines += ["", "| what | needed | default | what it does |", "|---|---|---|---|"]
            lines += [_row(one, f"`{one.name}`") for one in arguments]
            lines += [_row(one, " ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])) for one in options]
    return "\n".join(lines) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Give every command that does something, groups left out, in the order of `--help`."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from _commands(one, f"{path} {name}")


def _shown_argument(one: Any) -> str:
    shown = str(one.name).upper() + ("..." if one.nargs == -1 else "")
    return shown if one.required else f"[{shown}]"


def _row(one: Any, shown: str) -> str:
    default = one.default
    if one.required or default is None or default is False or callable(default):
        told = ""
    elif default is True:
        told = f"`{one.opts[0]}`"
    else:
        told = f"`{default}`"
    meaning = " ".join(str(one.help or "").split()).replace("|", "\\|")
    return f"| {shown} | {'yes' if one.required else ''} | {told} | {meaning} |"
