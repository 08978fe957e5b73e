"""Everybody: identifiers, tenures and the index of events in blocks, for questions about all people at once.

In:    a moment of the state.
Out:   columns of numbers, as texts; SQL that writes a profile id.
Never: a value of an identifier: ids alone.
"""

from collections.abc import Iterator, Sequence

from tillit.identity.members import ALPHABET, profile_id
from tillit.store import Reading

Texts = tuple[str, ...]  # columns, each as "3,7,12"

_ROWS = 100_000  # read at once: some 5 MB
_ANCHORS = 20_000  # read at once: as much, when each has a hundred events
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


def iter_places(reading: Reading, dialect: str) -> Iterator[tuple[list[int], list[str]]]:
    """Give the places in the log of all applied events: the identifiers they count for, and each one's as "3,7,12"."""
    sql = (
        f"SELECT anchor_id, {_listed('position', dialect)} FROM event_index WHERE anchor_id > ? "
        f"GROUP BY anchor_id ORDER BY anchor_id LIMIT {_ANCHORS}"
    )
    after = _FIRST
    while rows := reading.read(sql, (after,)):
        anchors, places = zip(*rows, strict=True)
        yield list(anchors), list(places)
        after = anchors[-1]


def _blocks(reading: Reading, dialect: str, table: str, columns: Sequence[str], key: Sequence[str]) -> Iterator[Texts]:
    """Give a table's rows, a block at a time."""
    listed, marks = ", ".join(key), ", ".join("?" * len(key))
    block = f"SELECT {', '.join(columns)} FROM {table} WHERE ({listed}) > ({marks}) ORDER BY {listed} LIMIT {_ROWS}"
    texts = ", ".join(_listed(column, dialect) for column in columns)
    after: tuple[int, ...] = (_FIRST,) * len(key)
    while (found := reading.read(f"SELECT {texts} FROM ({block}) AS block", after)[0])[0] is not None:
        yield found
        after = tuple(int(text[text.rfind(",") + 1 :]) for text in found[: len(key)])


def _listed(column: str, dialect: str) -> str:
    return f"group_concat({column})" if dialect == "sqlite" else f"string_agg({column}::text, ',')"


def profile_id_sql(column: str) -> str:
    """Write the SQL for the profile id of whoever was founded by an identifier, as `profile_id` writes it."""
    digits = (f"substr('{ALPHABET}', (({column} >> {5 * n}) & 31) + 1, 1)" for n in reversed(range(_DIGITS)))
    return f"'p' || {' || '.join(digits)}"
