"""Everybody: identifiers, tenures and the index of events in blocks, for questions about all people at once.

In:    a moment of the state.
Out:   columns of numbers, as texts; SQL that writes a profile id.
Never: a value of an identifier: ids alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tillit.identity.members import ALPHABET, profile_id
from tillit.store import Reading

Texts = tuple[list[str], ...]  # columns, each as some texts like "3,7,12"

_ROWS = 10_000  # in one text
_TEXTS = 20  # read at once: some 5 MB
_FIRST = -(1 << 62)
_DIGITS = len(profile_id(0)) - 1


# Columns are read as texts: a number of Python's for each of so many rows takes seven times as long (measured).


def iter_identifiers(reading: Reading, dialect: str) -> Iterator[Texts]:
    """Give every identifier: (identifier_id, root_id)."""
    return _blocks(reading, dialect, "identifier", ("identifier_id", "root_id"), ("identifier_id",))


def iter_tenures(reading: Reading, dialect: str) -> Iterator[Texts]:
    """Give every tenure: (identifier_id, from_at, from_position, holder_id)."""
    columns = ("identifier_id", "from_at", "from_position", "holder_id")
    return _blocks(reading, dialect, "tenure", columns, columns[:3])


def iter_places(reading: Reading, dialect: str) -> Iterator[Texts]:
    """Give the place in the log of every applied event: (anchor_id, position)."""
    key = ("anchor_id", "event_at", "position")
    return _blocks(reading, dialect, "event_index", ("anchor_id", "position"), key)


def _blocks(reading: Reading, dialect: str, table: str, columns: Sequence[str], key: Sequence[str]) -> Iterator[Texts]:
    """Give a table's rows, a block at a time."""
    listed, marks = ", ".join(key), ", ".join("?" * len(key))
    later = f"FROM {table} WHERE ({listed}) > ({marks}) ORDER BY {listed} LIMIT"
    texts = ", ".join(_listed(column, dialect) for column in columns)
    text = f"SELECT {texts} FROM (SELECT {', '.join(columns)} {later} {_ROWS}) AS block"
    # To step over rows by number takes a third of the time that writing them as texts does (measured).
    last = f"SELECT {listed} {later} 1 OFFSET {_ROWS - 1}"
    after: tuple[int, ...] | None = (_FIRST,) * len(key)
    while after is not None:
        found: list[tuple[Any, ...]] = []
        while after is not None and len(found) < _TEXTS:
            found += reading.read(text, after)
            after = next(iter(reading.read(last, after)), None)
        if found[-1][0] is None:
            found.pop()  # the text of no rows
        if found:
            yield tuple(list(column) for column in zip(*found, strict=True))


def _listed(column: str, dialect: str) -> str:
    return f"group_concat({column})" if dialect == "sqlite" else f"string_agg({column}::text, ',')"


def profile_id_sql(column: str) -> str:
    """Write the SQL for the profile id of whoever was founded by an identifier, as `profile_id` writes it."""
    digits = (f"substr('{ALPHABET}', (({column} >> {5 * n}) & 31) + 1, 1)" for n in reversed(range(_DIGITS)))
    return f"'p' || {' || '.join(digits)}"
