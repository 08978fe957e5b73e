"""A run loads what it uses, and the list of commands says what the commands say."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.running import tillit
from tillit.cli.commands import app
from tillit.cli.words import WORDS

# Each costs a run a twentieth of a second or more, or stands for a room that does.
HEAVY = {"asyncio", "deltalake", "duckdb", "jinja2", "litestar", "pyarrow", "re2", "rich.progress", "uvicorn", "yaml"}
RUN = """
import sys
from tillit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def loaded_by(code: str, *arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("word", ["version", "--help"])
def test_a_run_that_touches_no_workspace_loads_no_room(word: str) -> None:
    loaded = loaded_by(RUN, word)

    assert "tillit.cli.words" in loaded
    assert loaded & (HEAVY | {"tillit.records", "tillit.settings", "tillit.store", "tillit.workspace"}) == set()


def test_showing_somebody_loads_what_one_look_needs(workspace_dir: Path) -> None:
    tillit("init", str(workspace_dir))

    loaded = loaded_by(RUN, "profile", "search", "nobody", "--workspace", str(workspace_dir))

    assert "tillit.workspace" in loaded
    assert loaded & {"asyncio", "duckdb", "jinja2", "litestar", "pyarrow", "uvicorn", "tillit.simulate"} == set()


def test_engine_and_keeper_load_no_pages() -> None:
    loaded = loaded_by("import sys, tillit.cli.processes; print(*sys.modules, sep='\\n', file=sys.stderr)")

    assert "tillit.workspace" in loaded
    assert loaded & {"asyncio", "jinja2", "litestar", "typer", "uvicorn"} == set()


def test_a_caller_loads_rooms_when_it_opens_a_workspace() -> None:
    loaded = loaded_by("import sys, tillit; print(*sys.modules, sep='\\n', file=sys.stderr)")

    assert {name for name in loaded if name.startswith("tillit")} == {"tillit"}


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    told = {
        name: " ".join((command.help or "").split("\n\n")[0].split())
        for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]  # it is a group
    }

    assert {word.name: word.help for word in WORDS} == told
