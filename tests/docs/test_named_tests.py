"""Tests that the pages name are there, and each example of another product has its row."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(test_\w+)`")
DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def defined(folder: Path) -> set[str]:
    return {name for path in folder.rglob("test_*.py") for name in DEFINED.findall(path.read_text(encoding="utf-8"))}


def named(page: Path) -> set[str]:
    return set(NAMED.findall(page.read_text(encoding="utf-8")))


def test_every_test_that_a_page_names_is_there() -> None:
    known = defined(ROOT / "tests")
    # A name that ends with an underscore stands for all that begin so.
    missing = sorted(
        f"{page.relative_to(ROOT)}  {name}"
        for page in (ROOT / "docs").rglob("*.md")
        for name in named(page)
        if not (any(one.startswith(name) for one in known) if name.endswith("_") else name in known)
    )

    assert missing == []


def test_every_example_of_another_product_stands_on_the_page_of_differences() -> None:
    shown = named(ROOT / "docs" / "reference" / "differences.md")
    examples = defined(ROOT / "tests" / "other_products")

    assert {"not shown": examples - shown, "elsewhere": shown - examples} == {"not shown": set(), "elsewhere": set()}
