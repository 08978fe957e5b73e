"""Once: the same message a second time has no effect.

In:    log rows in order.
Out:   those seen for the first time, and the others with the position of the first.
Never: a key forgotten while the log lives; work that grows with history.

Keys lie in slices of a fixed number of keys. The newest slice is held in memory, and on disk as it came: one row for
each micro-batch. A full slice is cut into buckets by the first byte of the key and is never written again. It is asked
only when a filter (a Bloom filter whose cells are 64-bit masks, one bit per slice) says that it may hold the key: four
reads of memory for 64 slices, and one row of some 500 keys for each that may.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tillit.records import LogRow
from tillit.store import State, Writing

SLICE_KEYS = 131_072
_BUCKETS = 256  # of one slice: as many as a byte has values
# 32 cells a key and 4 probes: 0.02 % false alarms a slice, about 1 % over a shelf of 64 (derived).
_CELLS = 1 << 22
_SHELF = 64  # slices per filter: the bits of one cell
_KEEP_EVERY = 16  # slices between two written copies of the filter: a start reads at most 2 M keys again
_KEY_BYTES = 16

_probes = struct.Struct("<4I").unpack
_position = struct.Struct("<q")


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
        self.reload()

    def reload(self) -> None:
        """Forget what is in memory and read it again: after a start, or after a transaction that failed."""
        read = self._state.read
        last_bucket = read("SELECT max(bucket) FROM seen_bucket")[0][0]
        self._newest = 0 if last_bucket is None else last_bucket // _BUCKETS + 1
        self._current: dict[bytes, int] = {}
        self._unwritten: dict[bytes, int] = {}  # those of the newest slice that this micro-batch brought
        self._shelves: list[array[int]] = []
        done = -1
        for _, upto, bits in read("SELECT shelf, upto_slice, bits FROM seen_filter ORDER BY shelf"):
            cells = array("Q")
            cells.frombytes(bytes(bits))
            self._shelves.append(cells)
            done = upto
        for slice_ in range(done + 1, self._newest):
            for (keys,) in read(
                "SELECT message_hashes FROM seen_bucket WHERE bucket >= ? AND bucket < ?",
                (slice_ * _BUCKETS, (slice_ + 1) * _BUCKETS),
            ):
                self._mark(slice_, _cut(keys))
        for row in read("SELECT message_hashes, positions FROM seen_run ORDER BY first_position"):
            self._current.update(_unpack(*row))
        if self._newest > 0:
            self._mark(self._newest, self._current)

    def sift(self, tx: Writing, rows: Sequence[LogRow]) -> tuple[list[LogRow], list[Repeat]]:
        """Part the rows into first sights and repeats, and remember the first sights. `write` ends the micro-batch."""
        repeats: list[Repeat] = []
        fresh: list[LogRow] = []
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
        current, unwritten = self._current, self._unwritten
        shelf, bit_place = divmod(self._newest, _SHELF)
        # Slice 0 is marked when it is full: a small log needs no filter.
        cells = self._shelves[shelf] if self._newest > 0 else None
        bit = 1 << bit_place
        full = bit - 1
        within = _CELLS - 1
        for row in rows:
            key = row.message_hash
            before = current.get(key)
            if before is None and cells is not None:
                a, b, c, d = _probes(key)
                a, b, c, d = a & within, b & within, c & within, d & within
                in_a, in_b, in_c, in_d = cells[a], cells[b], cells[c], cells[d]
                if in_a & in_b & in_c & in_d & full or shelf:
                    before = self._older(tx, key)
                if before is None:
                    cells[a], cells[b], cells[c], cells[d] = in_a | bit, in_b | bit, in_c | bit, in_d | bit
            if before is not None:
                repeats.append(Repeat(row, before))
                continue
            current[key] = unwritten[key] = row.position
            fresh.append(row)

    def forget(self, tx: Writing, keys: Iterable[bytes]) -> None:
        """Let keys of this micro-batch go that must not be held (their rows turned out to be quarantined)."""
        for key in keys:
            if self._unwritten.pop(key, None) is not None:
                del self._current[key]
                continue
            # Its slice became full within this micro-batch.
            for bucket, *packed in self._buckets_of(tx, key):
                held = dict(_unpack(*packed))
                if held.pop(key, None) is not None:
                    tx.execute(
                        "UPDATE seen_bucket SET message_hashes = ?, positions = ? WHERE bucket = ?",
                        (*_pack(held), bucket),
                    )

    def write(self, tx: Writing) -> None:
        """Put what this micro-batch brought to the newest slice into the state."""
        if self._unwritten:
            first_position = next(iter(self._unwritten.values()))
            tx.execute(
                "INSERT INTO seen_run (first_position, message_hashes, positions) VALUES (?, ?, ?)",
                (first_position, *_pack(self._unwritten)),
            )
            self._unwritten = {}

    def _seal(self, tx: Writing) -> None:
        """Put the newest slice, which is full, into buckets and begin another."""
        buckets: dict[int, dict[bytes, int]] = {}
        for key, position in self._current.items():
            if key[0] in buckets:
                buckets[key[0]][key] = position
            else:
                buckets[key[0]] = {key: position}
        first = self._newest * _BUCKETS
        tx.executemany(
            "INSERT INTO seen_bucket (bucket, message_hashes, positions) VALUES (?, ?, ?)",
            [(first + byte, *_pack(buckets[byte])) for byte in sorted(buckets)],
        )
        tx.execute("DELETE FROM seen_run")
        shelf = self._newest // _SHELF
        if self._newest == 0:
            self._mark(0, self._current)
        if self._newest % _KEEP_EVERY == _KEEP_EVERY - 1:
            tx.execute("DELETE FROM seen_filter WHERE shelf = ?", (shelf,))
            tx.execute(
                "INSERT INTO seen_filter (shelf, upto_slice, bits) VALUES (?, ?, ?)",
                (shelf, self._newest, self._shelves[shelf].tobytes()),
            )
        self._newest += 1
        self._current = {}
        self._unwritten = {}
        if len(self._shelves) <= self._newest // _SHELF:
            self._shelves.append(array("Q", bytes(8 * _CELLS)))

    def _mark(self, slice_: int, keys: Iterable[bytes]) -> None:
        shelf, bit = divmod(slice_, _SHELF)
        while len(self._shelves) <= shelf:
            self._shelves.append(array("Q", bytes(8 * _CELLS)))
        cells, mask, within = self._shelves[shelf], 1 << bit, _CELLS - 1
        for key in keys:
            for probe in _probes(key):
                cells[probe & within] |= mask

    def _older(self, tx: Writing, key: bytes) -> int | None:
        for _, keys, positions in self._buckets_of(tx, key):
            at = keys.find(key)
            while at > 0 and at % _KEY_BYTES:  # it began within another key
                at = keys.find(key, at + 1)
            if at >= 0:
                return int(_position.unpack_from(positions, at // _KEY_BYTES * _position.size)[0])
        return None

    def _buckets_of(self, tx: Writing, key: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        """Give the buckets that may hold a key: their number, keys and positions."""
        for slice_ in self._slices_of(key):
            bucket = slice_ * _BUCKETS + key[0]
            for row in tx.read("SELECT message_hashes, positions FROM seen_bucket WHERE bucket = ?", (bucket,)):
                yield bucket, bytes(row[0]), bytes(row[1])

    def _slices_of(self, key: bytes) -> Iterator[int]:
        """Give the full slices that may hold a key."""
        a, b, c, d = (probe & (_CELLS - 1) for probe in _probes(key))
        for shelf, cells in enumerate(self._shelves):
            mask = cells[a] & cells[b] & cells[c] & cells[d]
            if shelf == self._newest // _SHELF:
                mask &= (1 << self._newest % _SHELF) - 1
            while mask:
                low = mask & -mask
                mask ^= low
                yield shelf * _SHELF + low.bit_length() - 1


def _pack(held: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Write keys and their positions as two texts of bytes, in the same order."""
    return b"".join(held), struct.pack(f"<{len(held)}q", *held.values())


def _unpack(keys: bytes, positions: bytes) -> Iterator[tuple[bytes, int]]:
    return zip(_cut(keys), struct.unpack(f"<{len(keys) // _KEY_BYTES}q", positions), strict=True)


def _cut(keys: bytes) -> Iterator[bytes]:
    return (keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES))
