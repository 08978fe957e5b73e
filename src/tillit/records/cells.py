"""Cells of tables that people open: what a spreadsheet shows and does not run, and a program reads back exactly.

In:    text.
Out:   text for a cell; the text again.
Never: a cell that a spreadsheet takes for a formula, also in wide letters or behind blanks and unseen marks.

An apostrophe is put before what could be a formula, and before what begins with an apostrophe already.
So the way back needs no guess.

Source: OWASP, CSV injection; DDE through `|`; spreadsheets that take wide signs for plain ones.
"""

import unicodedata

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
    """Take off what `safe_cell` put on, and no apostrophe that somebody typed.

    >>> plain_cell("'=1+1"), plain_cell("''tis"), plain_cell("'tis")
    ('=1+1', "'tis", "'tis")
    """
    return text[1:] if text[:1] == "'" and safe_cell(text[1:]) == text else text


def _is_formula(text: str) -> bool:
    for sign in text:
        if unicodedata.category(sign) not in _UNSEEN:
            return sign in _FORMULA or unicodedata.normalize("NFKC", sign)[0] in _FORMULA
    return False
