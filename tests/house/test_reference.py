"""Pages made from the code say what the code says; every package is accounted for."""

import re
import tomllib

from scripts.build_reference import REFERENCE
from scripts.reference_cli import cli_page
from scripts.reference_language import language_page
from scripts.reference_tables import tables_page
from tests.house.source_tree import ROOT
from tillit import settings

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_reference_of_settings_is_up_to_date() -> None:
    is_same = (REFERENCE / "settings.md").read_text(encoding="utf-8") == settings.reference_page()

    assert is_same, "docs/reference/settings.md is out of date. Run `make docs`."


def test_the_reference_of_the_command_line_is_up_to_date() -> None:
    is_same = (REFERENCE / "cli.md").read_text(encoding="utf-8") == cli_page()

    assert is_same, "docs/reference/cli.md is out of date. Run `make docs`."


def test_the_reference_of_tables_is_up_to_date() -> None:
    is_same = (REFERENCE / "workspace-tables.md").read_text(encoding="utf-8") == tables_page()

    assert is_same, "docs/reference/workspace-tables.md is out of date. Run `make docs`."


def test_the_reference_of_the_language_is_up_to_date() -> None:
    is_same = (REFERENCE / "audience-language.md").read_text(encoding="utf-8") == language_page()

    assert is_same, "docs/reference/audience-language.md is out of date. Run `make docs`."


def test_every_dependency_says_what_we_would_write_without_it() -> None:
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    explained = {name.lower() for name in re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE)}
    wanted = PROJECT["dependencies"] + [one for group in PROJECT["optional-dependencies"].values() for one in group]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in wanted} - {"tillit"}

    assert {"missing": sorted(names - explained), "gone": sorted(explained - names)} == {"missing": [], "gone": []}


def test_every_dependency_has_a_tested_version() -> None:
    pinned = {
        canonical(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    wanted = PROJECT["dependencies"] + [one for group in PROJECT["optional-dependencies"].values() for one in group]
    names = {canonical(re.split(r"[\[<>=!~; ]", one)[0]) for one in wanted} - {"tillit"}

    assert sorted(names - pinned) == []


def test_constraints_hold_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)]

    assert odd == []


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
