"""The page of the tracking API lists the paths and the codes that there are."""

import ast
import re

from tests.house.source_tree import ROOT, list_modules
from tillit.collect.limits import Limits
from tillit.collect.routes import ROUTES

PAGE = (ROOT / "docs" / "reference" / "tracking-api.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def flaw_codes() -> set[str]:
    """Every first argument of a Flaw in the package."""
    return {
        str(node.args[0].value)
        for module in list_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Flaw"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_quarantine_code_is_explained() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", section("Quarantine codes"), flags=re.MULTILINE))
    known = flaw_codes()

    assert {"missing": sorted(known - told), "gone": sorted(told - known)} == {"missing": [], "gone": []}


def test_every_path_that_takes_events_is_listed() -> None:
    told = set(re.findall(r"`(/[\w./]+)`", section("Routes that take events")))
    known = {path for path in ROUTES if not path.endswith("/")}

    assert {"missing": sorted(known - told), "gone": sorted(told - known)} == {"missing": [], "gone": []}


def test_the_limits_are_the_defaults() -> None:
    told = {
        int(number.replace(",", ""))
        for number in re.findall(r"^\| [^|]+ \| ([\d,]+)", section("Limits"), flags=re.MULTILINE)
    }
    limits = Limits()

    assert told == {
        limits.batch_bytes,
        limits.batch_events,
        limits.event_bytes,
        limits.depth,
        limits.keys,
        limits.key_bytes,
        limits.string_bytes,
        limits.id_bytes,
    }
