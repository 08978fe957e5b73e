"""Everybody: identifiers, tenures and the index of events in blocks, for questions about all people at once.

In:    a moment of the state.
Out:   columns of numbers; SQL that writes a profile id.
Never: a value of an identifier: ids alone.
"""

from array import array
from collections.abc import Iterator, Sequence

from tillit.identity.members import ALPHABET, profile_id
from tillit.identity.namespaces import DEVICE_RANK
from tillit.store import Reading

Columns = tuple["array[int]", ...]

_ROWS = 100_000  # read at once: some 20 MB
_FIRST = -(1 << 62)
_DIGITS = len(profile_id(0)) - 1


def iter_identifiers(reading: Reading) -> Iterator[Columns]:
    """Give every identifier: (identifier_id, root_id, 1 when it belongs to a thing or to many)."""
    return _blocks(
        reading,
        f"SELECT identifier_id, root_id, CASE WHEN rank >= {DEVICE_RANK} THEN 1 ELSE 0 END FROM identifier",
        ("identifier_id",),
    )


def iter_tenures(reading: Reading) -> Iterator[Columns]:
    """Give every tenure: (identifier_id, from_at, from_position, holder_id)."""
    return _blocks(
        reading,
        "SELECT identifier_id, from_at, from_position, holder_id FROM tenure",
        ("identifier_id", "from_at", "from_position"),
    )


def iter_index(reading: Reading) -> Iterator[Columns]:
    """Give the place of every applied event: (anchor_id, event_at, position)."""
    return _blocks(
        reading, "SELECT anchor_id, event_at, position FROM event_index", ("anchor_id", "event_at", "position")
    )


def _blocks(reading: Reading, select: str, key: Sequence[str]) -> Iterator[Columns]:
    """Give a table's rows in the order of its key, which stands first in each row."""
    listed, marks = ", ".join(key), ", ".join("?" * len(key))
    sql = f"{select} WHERE ({listed}) > ({marks}) ORDER BY {listed} LIMIT {_ROWS}"
    after: tuple[int, ...] = (_FIRST,) * len(key)
    while rows := reading.read(sql, after):
        yield tuple(array("q", column) for column in zip(*rows, strict=True))
        after = tuple(rows[-1][: len(key)])


def profile_id_sql(column: str) -> str:
    """Write the SQL for the profile id of whoever was founded by an identifier, as `profile_id` writes it."""
    digits = (f"substr('{ALPHABET}', (({column} >> {5 * n}) & 31) + 1, 1)" for n in reversed(range(_DIGITS)))
    return f"'p' || {' || '.join(digits)}"
