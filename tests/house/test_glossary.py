"""One word per idea, and every record and table has its line."""

import re

from scripts.reference_tables import tables
from tests.house.source_tree import ROOT
from tillit import records

PAGE = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")


def listed(heading: str) -> set[str]:
    """Give the first cells of the table under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))


def test_every_record_is_listed() -> None:
    known = {name for name in records.__all__ if isinstance(getattr(records, name), type)}

    assert {"missing": known - listed("Records"), "gone": listed("Records") - known} == {
        "missing": set(),
        "gone": set(),
    }


def test_every_table_is_listed() -> None:
    known = {table.name for table in tables()}

    assert {"missing": known - listed("Tables"), "gone": listed("Tables") - known} == {"missing": set(), "gone": set()}


def test_no_word_is_listed_twice() -> None:
    words = re.findall(r"^\| (\S[^|]*?) \|", PAGE.partition("\n## Ideas\n")[2], flags=re.MULTILINE)
    twice = sorted({word for word in words if words.count(word) > 1} - {"---", "Word", "Record", "Table"})

    assert twice == []
