"""The Merkle tree in the journal: where its nodes lie.

In:    an open transaction or a moment of the journal, leaves' hashes.
Out:   the tree grown by them; nodes, by level and index.
Never: a node of a subtree that is not complete; a node changed.
"""

from collections.abc import Iterable

from tillit.errors import InternalError
from tillit.ledger.merkle import Address, Peaks, list_peaks
from tillit.store import Reading, Writing


class LedgerDamaged(InternalError):
    """The ledger's rows and its tree do not fit together."""

    code = "ledger.damaged"

    def __init__(self, what: str) -> None:
        """Name what is wrong and the command that finds where."""
        super().__init__(
            f"Nothing was added to the ledger in journal.db: {what}. It was altered, or restored in part. "
            "`tillit ledger check` finds where.",
            what=what,
        )


def size_of(reading: Reading) -> int:
    """Say how many entries there are."""
    [(last,)] = reading.read("SELECT MAX(entry_index) FROM ledger_entry")
    return 0 if last is None else int(last) + 1


def load_node(reading: Reading, level: int, index: int) -> bytes:
    """Give one stored node; a leaf is level 0. Raises LedgerDamaged when it is not there."""
    if level == 0:
        rows = reading.read("SELECT leaf_hash FROM ledger_entry WHERE entry_index = ?", (index,))
    else:
        rows = reading.read("SELECT hash FROM ledger_node WHERE level = ? AND node_index = ?", (level, index))
    if not rows:
        raise LedgerDamaged(f"node {index} of level {level} is missing")
    return bytes(rows[0][0])


def load_peaks(tx: Writing, n_more: int) -> Peaks:
    """Take up the tree at its right edge, to grow it by so many leaves.

    Raises: LedgerDamaged when nodes of the edge are missing, or nodes beyond it are already there: then rows are gone.
    """
    size = size_of(tx)
    peaks = list_peaks(size)
    known = {level: load_node(tx, level, index) for level, index in peaks if level == 0}
    known |= {level: digest for (level, _), digest in _load_inner(tx, (peak for peak in peaks if peak[0])).items()}
    if len(known) != len(peaks):
        raise LedgerDamaged(f"nodes of its edge at size {size} are missing")
    beyond = [(level, size >> level) for level in range(1, (size + n_more).bit_length() + 1)]
    if _load_inner(tx, beyond):
        raise LedgerDamaged(f"its tree is larger than its {size} entries")
    return Peaks(size, known)


def add_nodes(tx: Writing, nodes: Iterable[tuple[int, int, bytes]]) -> None:
    """Keep nodes: level, index, hash."""
    tx.executemany("INSERT INTO ledger_node (level, node_index, hash) VALUES (?, ?, ?)", nodes)


def _load_inner(reading: Reading, addresses: Iterable[Address]) -> dict[Address, bytes]:
    wanted = [number for address in addresses for number in address]
    if not wanted:
        return {}
    pairs = ",".join(["(?,?)"] * (len(wanted) // 2))
    rows = reading.read(
        f"SELECT level, node_index, hash FROM ledger_node WHERE (level, node_index) IN (VALUES {pairs})", wanted
    )
    return {(int(level), int(index)): bytes(digest) for level, index, digest in rows}
