"""Cells of the tables in a package: what a spreadsheet shows and does not run, and a program reads back exactly.

In:    values of documents.
Out:   text for a cell.
Never: a cell that a spreadsheet takes for a formula, also in wide letters or behind blanks and unseen marks.

An apostrophe is put before what could be a formula, and before what begins with an apostrophe already.
So the way back needs no guess: whoever reads takes one apostrophe off wherever a cell begins with one.

Source: OWASP, CSV injection; DDE through `|`; spreadsheets that take wide signs for plain ones.
"""

import unicodedata
from typing import Any

import msgspec

# `%` begins a macro in old spreadsheets; the minus of mathematics counts as one in some.
_FORMULA = frozenset("=+-@|%\N{MINUS SIGN}")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def safe_cell(text: str) -> str:
    """Write a cell so that a spreadsheet shows it and does not run it.

    >>> safe_cell("=1+1"), safe_cell("plain"), safe_cell("'tis")
    ("'=1+1", 'plain', "''tis")
    """
    if not text or text[0].isalnum():
        return text
    return f"'{text}" if text[0] in {"'", "\t", "\r", "\n"} or _is_formula(text) else text


def plain_cell(text: str) -> str:
    """Take off what `safe_cell` put on.

    >>> plain_cell("'=1+1"), plain_cell("plain")
    ('=1+1', 'plain')
    """
    return text.removeprefix("'")


def cell_text(value: Any) -> str:
    """Write a value as text: a text as it is, nothing for None, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _is_formula(text: str) -> bool:
    for sign in text:
        if unicodedata.category(sign) not in _UNSEEN:
            return sign in _FORMULA or unicodedata.normalize("NFKC", sign)[0] in _FORMULA
    return False
