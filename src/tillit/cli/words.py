"""The first words of the command line: where each stands, and what it is for.

In:    a word, as typed.
Out:   its command, loaded when it runs; all words, with nothing loaded.
Never: a room on import: each run would wait for what it does not use.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

_ABOUT = "A customer data platform in one package."


class Word(NamedTuple):
    """A word that may follow `tillit`."""

    name: str
    place: str  # module:function of a command, module:group of several
    help: str  # what stands in `tillit --help`


WORDS = (
    Word(
        "plan",
        "tillit.cli.definitions:plan",
        "Say what other definitions would change, on the real history; change nothing.",
    ),
    Word(
        "apply",
        "tillit.cli.definitions:apply",
        "Put identity rules in force for all of history, or all else from now on, while everything goes on.",
    ),
    Word(
        "rules",
        "tillit.cli.definitions:rules",
        "Print the identity rules, whole; with --history, all that were ever applied.",
    ),
    Word(
        "purposes",
        "tillit.cli.definitions:purposes",
        "Print the purposes in force, whole; with --history, all that were ever applied.",
    ),
    Word("init", "tillit.cli.folder:init", "Make a workspace."),
    Word("serve", "tillit.cli.serving:serve", "Serve a workspace: tracking, API, console."),
    Word("import", "tillit.cli.import_file:import_file", "Import a file. Importing it again changes nothing."),
    Word("doctor", "tillit.cli.folder:doctor", "Say how the workspace is, and when the disk will be full."),
    Word("rebuild", "tillit.cli.folder:rebuild", "Fold the log anew; with --check, compare and change nothing."),
    Word("forget", "tillit.cli.folder:forget", "Forget events: no byte of them stays in log, state or lake."),
    Word(
        "demo",
        "tillit.cli.demo:demo",
        "Show a shop with six months of past, live, in a workspace that is thrown away at the end.",
    ),
    Word("version", "tillit.cli.version:version", "Print the version."),
    Word("keys", "tillit.cli.keys:keys", "Keys of sources and programs."),
    Word("profile", "tillit.cli.profile:profile", "People."),
    Word("group", "tillit.cli.groups:groups", "Households and accounts: who belongs to them."),
    Word("audience", "tillit.cli.audiences:audience", "Which customers: who is in it, since when, and why."),
    Word("feature", "tillit.cli.audiences:feature", "Values that are made of what customers did."),
    Word("consent", "tillit.cli.consent:consent", "What people's data may be used for, and what they said of it."),
    Word("privacy", "tillit.cli.privacy:privacy", "What customers ask of us about their data."),
    Word("destination", "tillit.cli.destinations:destination", "Where values of people leave for."),
    Word("message", "tillit.cli.messages:message", "Messages to people, and what became of them."),
    Word("suppression", "tillit.cli.suppression:suppression", "Whom nothing is sent to."),
    Word("ledger", "tillit.cli.ledger:ledger", "Who received values of people, who looked at them."),
    Word("lake", "tillit.cli.lake:lake", "The whole history as open tables."),
    Word("identity", "tillit.cli.identity:identity", "Why identifiers are one person, and what colleagues decide."),
    Word("events", "tillit.cli.events:events", "What happened."),
    Word("quarantine", "tillit.cli.quarantine:quarantine", "Events that could not be taken."),
    Word("settings", "tillit.cli.settings:settings", "Settings and where they come from."),
    Word("console", "tillit.cli.serving:console", "The pages for staff."),
    Word("simulate", "tillit.cli.simulate:app", "A shop with invented customers, and the truth about them."),
    Word("operators", "tillit.cli.operators:operators", "Staff who may open the console."),
)


def tree(words: Iterable[Word] = WORDS) -> typer.Typer:
    """Load these words and all below them."""
    loaded = typer.Typer(name="tillit", help=_ABOUT, no_args_is_help=True, pretty_exceptions_enable=False)
    for word in words:
        module, _, name = word.place.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            loaded.add_typer(found, name=word.name)
        else:
            loaded.command(word.name)(found)
    return loaded


class _Late(TyperGroup):
    """Lists every word, loads the one that runs."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.commands = {word.name: TyperCommand(word.name, help=word.help) for word in WORDS}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = get_group(tree(word for word in WORDS if word.name == name)).commands[name]
        return name, command, rest


app = typer.Typer(name="tillit", cls=_Late, help=_ABOUT, no_args_is_help=True, pretty_exceptions_enable=False)
app.callback()(lambda: None)
