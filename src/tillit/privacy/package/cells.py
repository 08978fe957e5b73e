"""Values of documents as text, for the tables of a package.

In:    values.
Out:   text; `records/cells.py` makes a safe cell of it.
Never: a text that reads as another value.
"""

from typing import Any

import msgspec


def cell_text(value: Any) -> str:
    """Write a value as text: a text as it is, nothing for None, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
