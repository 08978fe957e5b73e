"""Once: the same message a second time has no effect.

In:    log rows in order.
Out:   those seen for the first time, and the others with the position of the first.
Never: a key forgotten while the log lives; work that grows with history.

Keys lie in slices of a fixed number of keys, so that inserts touch few pages however long the log is.
The newest slice is also held in memory. Older ones are asked only when a filter (a Bloom filter whose cells are
64-bit masks, one bit per slice) says that they may hold the key: four reads of memory for 64 slices.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tillit.records import LogRow
from tillit.store import State, Writing

SLICE_KEYS = 131_072
# 32 cells a key and 4 probes: 0.02 % false alarms a slice, about 1 % over a shelf of 64 (derived).
_CELLS = 1 << 22
_SHELF = 64  # slices per filter: the bits of one cell
_KEEP_EVERY = 16  # slices between two written copies of the filter: a start reads at most 2 M keys again

_probes = struct.Struct("<4I").unpack


class Repeat(NamedTuple):
    """A row whose message was applied before."""

    row: LogRow
    of_position: int


class Once:
    """The keys of one workspace, used by the one process that folds."""

    def __init__(self, state: State, *, slice_keys: int = SLICE_KEYS) -> None:
        """Load the newest slice and the filters."""
        self._state = state
        self._slice_keys = slice_keys
        self._blob = "BLOB" if state.dialect == "sqlite" else "BYTEA"
        self._integer = "INTEGER" if state.dialect == "sqlite" else "BIGINT"
        self._tail = " WITHOUT ROWID" if state.dialect == "sqlite" else ""
        self.reload()

    def reload(self) -> None:
        """Forget what is in memory and read it again: after a start, or after a transaction that failed."""
        rows = self._state.read("SELECT slice, n_keys FROM seen_slice ORDER BY slice")
        self._newest = rows[-1][0] if rows else -1
        self._current: dict[bytes, int] = {}
        self._shelves: list[array[int]] = []
        kept = {
            shelf: (upto, bits)
            for shelf, upto, bits in self._state.read("SELECT shelf, upto_slice, bits FROM seen_filter")
        }
        done = -1
        for shelf in sorted(kept):
            upto, bits = kept[shelf]
            cells = array("Q")
            cells.frombytes(bytes(bits))
            self._shelves.append(cells)
            done = upto
        for slice_ in range(done + 1, self._newest):
            self._mark_all(
                slice_, [bytes(key) for (key,) in self._state.read(f"SELECT message_hash FROM {_table(slice_)}")]
            )
        if self._newest >= 0:
            for key, position in self._state.read(f"SELECT message_hash, position FROM {_table(self._newest)}"):
                self._current[bytes(key)] = position
            if self._newest > 0:
                self._mark_all(self._newest, self._current)

    def sift(self, tx: Writing, rows: Sequence[LogRow]) -> tuple[list[LogRow], list[Repeat]]:
        """Part the rows into first sights and repeats, and remember the first sights."""
        repeats: list[Repeat] = []
        fresh: list[LogRow] = []
        if self._newest < 0:
            self._open_slice(tx, 0)
        start = 0
        while start < len(rows):
            # Never more rows at a time than the newest slice has room for.
            room = self._slice_keys - len(self._current)
            if room <= 0:
                self._seal(tx)
                room = self._slice_keys
            self._sift_into_newest(tx, rows[start : start + room], fresh, repeats)
            start += room
        return fresh, repeats

    def _sift_into_newest(
        self, tx: Writing, rows: Sequence[LogRow], fresh: list[LogRow], repeats: list[Repeat]
    ) -> None:
        current = self._current
        pending: list[tuple[bytes, int]] = []
        shelf, bit_place = divmod(self._newest, _SHELF)
        # Slice 0 is marked when it is sealed: a small log needs no filter.
        cells = self._shelves[shelf] if self._newest > 0 else None
        bit = 1 << bit_place
        sealed = bit - 1
        within = _CELLS - 1
        for row in rows:
            key = row.message_hash
            before = current.get(key)
            if before is None and cells is not None:
                a, b, c, d = _probes(key)
                a, b, c, d = a & within, b & within, c & within, d & within
                in_a, in_b, in_c, in_d = cells[a], cells[b], cells[c], cells[d]
                if in_a & in_b & in_c & in_d & sealed or shelf:
                    before = self._older(tx, key)
                if before is None:
                    cells[a], cells[b], cells[c], cells[d] = in_a | bit, in_b | bit, in_c | bit, in_d | bit
            if before is not None:
                repeats.append(Repeat(row, before))
                continue
            position = row.position
            current[key] = position
            pending.append((key, position))
            fresh.append(row)
        if pending:
            pending.sort()  # in key order each page is touched once
            tx.executemany(f"INSERT INTO {_table(self._newest)} (message_hash, position) VALUES (?, ?)", pending)

    def forget(self, tx: Writing, keys: Iterable[bytes]) -> None:
        """Let keys go that must not be held (a row that turned out to be quarantined)."""
        for key in keys:
            is_newest = self._current.pop(key, None) is not None
            # Else its slice was sealed within this micro-batch.
            for slice_ in [self._newest] if is_newest else list(self._slices_of(key)):
                tx.execute(f"DELETE FROM {_table(slice_)} WHERE message_hash = ?", (key,))

    def _open_slice(self, tx: Writing, number: int) -> None:
        tx.execute(
            f"CREATE TABLE {_table(number)} "
            f"(message_hash {self._blob} PRIMARY KEY, position {self._integer} NOT NULL){self._tail}"
        )
        tx.execute("INSERT INTO seen_slice (slice, n_keys) VALUES (?, ?)", (number, 0))
        self._newest = number
        self._current = {}
        if number > 0 and len(self._shelves) <= number // _SHELF:
            self._shelves.append(array("Q", bytes(8 * _CELLS)))

    def _seal(self, tx: Writing) -> None:
        tx.execute("UPDATE seen_slice SET n_keys = ? WHERE slice = ?", (len(self._current), self._newest))
        if self._newest == 0:
            self._mark_all(0, self._current)
        if self._newest % _KEEP_EVERY == _KEEP_EVERY - 1:
            shelf = self._newest // _SHELF
            tx.execute("DELETE FROM seen_filter WHERE shelf = ?", (shelf,))
            bits = self._shelves[shelf].tobytes()
            tx.execute(
                "INSERT INTO seen_filter (shelf, upto_slice, bits) VALUES (?, ?, ?)", (shelf, self._newest, bits)
            )
        self._open_slice(tx, self._newest + 1)

    def _mark_all(self, slice_: int, keys: Iterable[bytes]) -> None:
        shelf, bit = divmod(slice_, _SHELF)
        while len(self._shelves) <= shelf:
            self._shelves.append(array("Q", bytes(8 * _CELLS)))
        cells, mask, within = self._shelves[shelf], 1 << bit, _CELLS - 1
        for key in keys:
            for probe in _probes(key):
                cells[probe & within] |= mask

    def _older(self, tx: Writing, key: bytes) -> int | None:
        for slice_ in self._slices_of(key):
            found = tx.read(f"SELECT position FROM {_table(slice_)} WHERE message_hash = ?", (key,))
            if found:
                return int(found[0][0])
        return None

    def _slices_of(self, key: bytes) -> Iterator[int]:
        """Give the sealed slices that may hold a key."""
        a, b, c, d = (probe & (_CELLS - 1) for probe in _probes(key))
        for shelf, cells in enumerate(self._shelves):
            mask = cells[a] & cells[b] & cells[c] & cells[d]
            if shelf == self._newest // _SHELF:
                mask &= (1 << self._newest % _SHELF) - 1
            while mask:
                low = mask & -mask
                mask ^= low
                yield shelf * _SHELF + low.bit_length() - 1


def _table(slice_: int) -> str:
    return f"seen_{slice_:05d}"
