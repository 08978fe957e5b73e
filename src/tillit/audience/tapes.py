"""Tapes as they are stored: those of a strand together, how far each is filled, and what none wants any more.

In:    documents of tapes by strand; which tapes definitions in force want.
Out:   rows of tape, tape_standing.
Never: what an event says. Which of them a tape holds is the writer's and the language's.

The tapes of a strand lie together in one row: what an event adds to, and what a question asks about one person, is read
and written at once. A long one has a row of its own, which is not written again for what comes onto the others.

A definition that comes to a workspace with history finds its tapes empty: they are filled strand by strand, in the
order of identifiers. `through` says how far that is. What no definition wants any more is taken from them in the same
order. Whatever is left of it meanwhile is made anew when its tape is wanted again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tillit.language.tapes import B_PATHS, BASE, ENTRIES, P_VALUES, Document
from tillit.store import Reading, Writing

WHOLE = 1 << 62  # a tape that every strand is on
_TOGETHER = 0  # in the place of a tape's id: the short tapes of a strand
_GOING = 0  # in the place of a tape's id: up to which identifier tapes were taken away that none wants any more
_LONG = 100  # entries, or values that are counted: such a tape has a row of its own; taste: some kilobytes
_TAKEN_AT_ONCE = 500  # identifiers

Key = tuple[int, int]  # identifier_id, part

_decode = msgspec.msgpack.Decoder().decode
_decode_together = msgspec.msgpack.Decoder(list[tuple[int, msgspec.Raw]]).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode  # else values would lie as they came


class Strand(dict[int, Any]):
    """The tapes of one strand by their ids: documents, or the bytes of them until somebody looks."""

    __slots__ = ("apart",)

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.apart: set[int] = set()  # tapes with rows of their own

    def document(self, tape_id: int) -> Document | None:
        """Give what stands on a tape; None: nothing does."""
        found = self.get(tape_id)
        if found is not None and type(found) is not list:
            found = self[tape_id] = _decode(found)
        return found

    def take_row(self, tape_id: int, document: bytes) -> None:
        """Take what lies in one row."""
        if tape_id == _TOGETHER:
            self.update(_decode_together(document))
        else:
            self[tape_id] = document
            self.apart.add(tape_id)

    def rows_of(self, changed: Collection[int]) -> dict[int, bytes | None]:
        """Give the rows that are others when some tapes have changed; None: there is none any more."""
        rows: dict[int, bytes | None] = {}
        apart = self.apart
        is_together = False
        for tape_id in changed:
            document = self.get(tape_id)
            was_apart = tape_id in apart
            if document is not None and (len(document[ENTRIES]) > _LONG or _counts_many(document[BASE])):
                apart.add(tape_id)
                rows[tape_id] = _encode(document)
                is_together = is_together or not was_apart
            else:
                is_together = is_together or document is not None or not was_apart
                if was_apart:
                    apart.remove(tape_id)
                    rows[tape_id] = None
        if is_together:
            short = [one for one in self.items() if one[0] not in apart] if apart else list(self.items())
            rows[_TOGETHER] = _encode(sorted(short)) if short else None
        return rows


def _counts_many(base: list[Any] | None) -> bool:
    return base is not None and any(told[P_VALUES] and len(told[P_VALUES]) > _LONG for told in base[B_PATHS])


class TapeMemory:
    """The tapes of strands that were used last, kept between batches by the one process that folds."""

    def __init__(self, most: int = 256) -> None:
        """Hold the tapes of so many strands: few, so that they are let go while the processor has them in its cache."""
        self._most = most
        self.strands: dict[Key, Strand] = {}

    def clear(self) -> None:
        """Forget all: after a transaction that failed, or when strands were changed by an act."""
        self.strands.clear()

    def trim(self) -> None:
        """Let the oldest go."""
        while len(self.strands) > self._most:
            del self.strands[next(iter(self.strands))]

    def load(self, reading: Reading, keys: Iterable[Key]) -> dict[Key, Strand]:
        """Give the tapes of strands, those that are not in memory from the state."""
        wanted = list(keys)
        missing = {key: Strand() for key in wanted if key not in self.strands}
        self.strands.update(missing)
        for identifier_id, part, tape_id, document in reading.read_in(
            "SELECT identifier_id, part, tape_id, document FROM tape WHERE identifier_id IN {in}",
            sorted({key[0] for key in missing}),
        ):
            strand = missing.get((identifier_id, part))
            if strand is not None:
                strand.take_row(tape_id, document)
        return {key: self.strands[key] for key in wanted}


def write_tapes(tx: Writing, changed: Mapping[Key, Collection[int]], strands: Mapping[Key, Strand]) -> None:
    """Write the tapes of strands that have changed."""
    rows: list[tuple[int, int, int, bytes]] = []
    gone: list[tuple[int, int, int]] = []
    for key, tape_ids in changed.items():
        for tape_id, document in strands[key].rows_of(tape_ids).items():
            if document is None:
                gone.append((*key, tape_id))
            else:
                rows.append((*key, tape_id, document))
    if gone:
        tx.executemany("DELETE FROM tape WHERE identifier_id = ? AND part = ? AND tape_id = ?", gone)
    tx.executemany(
        "INSERT INTO tape (identifier_id, part, tape_id, document) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (identifier_id, part, tape_id) DO UPDATE SET document = excluded.document",
        rows,
    )


def drop_tapes(tx: Writing, keys: Sequence[Key]) -> None:
    """Forget the tapes of strands."""
    tx.executemany("DELETE FROM tape WHERE identifier_id = ? AND part = ?", keys)


# -- tapes that are filled, and tapes that go


def read_standing(reading: Reading) -> dict[int, int]:
    """Give how far each tape is filled, by its id."""
    return dict(reading.read("SELECT tape_id, through FROM tape_standing WHERE tape_id <> ?", (_GOING,)))


def begin_tapes(tx: Writing, wanted: Collection[int]) -> None:
    """Make room for the tapes that definitions in force want, and begin to let go of those that none wants any more."""
    standing = read_standing(tx)
    # Without anybody there is nothing to fill them from.
    through = -1 if tx.read("SELECT 1 FROM identifier LIMIT 1") else WHOLE
    _stand(tx, [(one, through) for one in sorted(set(wanted) - standing.keys())])
    gone = sorted(standing.keys() - set(wanted))
    tx.executemany("DELETE FROM tape_standing WHERE tape_id = ?", [(one,) for one in gone])
    if gone:
        _stand(tx, [(_GOING, -1)])


def _stand(tx: Writing, rows: Sequence[tuple[int, int]]) -> None:
    tx.executemany(
        "INSERT INTO tape_standing (tape_id, through) VALUES (?, ?) "
        "ON CONFLICT (tape_id) DO UPDATE SET through = excluded.through",
        rows,
    )


def unfilled(reading: Reading) -> tuple[list[int], int]:
    """Give the tapes that are filled next, all that stand at one place, and the place. None: all are whole."""
    rows = reading.read(
        "SELECT tape_id, through FROM tape_standing WHERE tape_id <> ? AND through < ? AND through = "
        "(SELECT min(through) FROM tape_standing WHERE tape_id <> ?) ORDER BY tape_id",
        (_GOING, WHOLE, _GOING),
    )
    return [one for one, _ in rows], rows[0][1] if rows else WHOLE


def set_through(tx: Writing, tapes: Sequence[int], through: int) -> None:
    """Note how far tapes are filled."""
    tx.executemany("UPDATE tape_standing SET through = ? WHERE tape_id = ?", [(through, one) for one in tapes])


def is_any_going(reading: Reading) -> bool:
    """Say whether tapes are to be taken away that no definition wants any more."""
    return bool(reading.read("SELECT 1 FROM tape_standing WHERE tape_id = ?", (_GOING,)))


def take_away(tx: Writing, memory: TapeMemory) -> None:
    """Take what no definition wants any more from some more strands."""
    after = int(tx.read("SELECT through FROM tape_standing WHERE tape_id = ?", (_GOING,))[0][0])
    listed = tx.read(
        "SELECT DISTINCT identifier_id FROM tape WHERE identifier_id > ? ORDER BY identifier_id LIMIT ?",
        (after, _TAKEN_AT_ONCE),
    )
    ids = [one for (one,) in listed]
    if not ids:
        tx.execute("DELETE FROM tape_standing WHERE tape_id = ?", (_GOING,))
        return
    standing = read_standing(tx)
    parts = tx.read_in("SELECT DISTINCT identifier_id, part FROM tape WHERE identifier_id IN {in}", ids)
    strands = memory.load(tx, [(one, part) for one, part in parts])
    changed: dict[Key, list[int]] = {}
    for key, strand in strands.items():
        gone = [tape_id for tape_id in strand if tape_id not in standing]
        for tape_id in gone:
            del strand[tape_id]
        if gone:
            changed[key] = gone
    write_tapes(tx, changed, strands)
    memory.trim()
    set_through(tx, [_GOING], ids[-1])
