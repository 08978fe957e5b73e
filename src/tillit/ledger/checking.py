"""The check: read the whole ledger and say what does not fit.

In:    one moment of the journal, the keys that live, checkpoints that others kept.
Out:   faults, each with the entry it is about.
Never: trust in what the journal says of itself: leaves and nodes are computed again from the rows.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from tillit.ledger.entries import commit_to, decode_entry, kind_of, leaf_data
from tillit.ledger.keys import LedgerKeys, unseal
from tillit.ledger.merkle import Peaks, hash_leaf
from tillit.ledger.notes import Checkpoint, NoteInvalid, open_checkpoint
from tillit.store import Reading

ALTERED = "altered"  # a row is not what its leaf, or its own sealed text, says
MISSING = "missing"  # an index has no row
TREE = "tree"  # a stored node is not the hash of what is below it, or is missing, or too many
SHORTER = "shorter"  # a checkpoint tells of more entries than there are
CHANGED = "changed"  # at a checkpoint's size the root was another one
UNSIGNED = "unsigned"  # a checkpoint that this ledger's key did not sign

_CHUNK = 1_000
_MOST_FAULTS = 1_000  # a ledger that was rewritten has one in every row


class Fault(NamedTuple):
    """One thing that does not fit."""

    kind: str
    entry_index: int | None  # of a checkpoint: its size
    told: str


class Checked(NamedTuple):
    """What a check found."""

    faults: list[Fault]
    n_entries: int
    n_unreadable: int  # their key was destroyed: as it should be for people who were forgotten, and only for them
    n_checkpoints: int  # that were compared
    root: bytes


def check_all(reading: Reading, keys: LedgerKeys, known: Sequence[str]) -> Checked:
    """Compare rows, tree and checkpoints."""
    faults: list[Fault] = []
    checkpoints = _open_checkpoints(reading, keys, known, faults)
    by_size: dict[int, set[bytes]] = {}
    for one in checkpoints:
        by_size.setdefault(one.size, set()).add(one.root)
    peaks = Peaks(0, {})
    n_unreadable = n_nodes = 0
    _compare_root(peaks, by_size, faults)
    for rows in _chunks(reading):
        nodes: dict[tuple[int, int], bytes] = {}
        ciphers = keys.find_ciphers({bytes(row[3]) for row in rows})
        for row in rows:
            if int(row[0]) != peaks.size:
                _note(faults, MISSING, peaks.size, f"entry {peaks.size} is missing: the next is {int(row[0])}")
                # What follows cannot stand where it stood: the tree says so itself.
                return Checked(faults, peaks.size, n_unreadable, len(checkpoints), peaks.root())
            leaf, is_readable = _check_row(row, ciphers.get(bytes(row[3])), faults)
            n_unreadable += not is_readable
            nodes |= {(level, index): digest for level, index, digest in peaks.add((leaf,))}
            _compare_root(peaks, by_size, faults)
        n_nodes += len(nodes)
        _compare_nodes(reading, nodes, faults)
    [(n_stored,)] = reading.read("SELECT COUNT(*) FROM ledger_node")
    if int(n_stored) > n_nodes:
        _note(faults, TREE, peaks.size, f"the tree has {int(n_stored) - n_nodes} nodes too many: entries are gone")
    for size in sorted(by_size):
        if size > peaks.size:
            _note(faults, SHORTER, size, f"a checkpoint tells of {size} entries, there are {peaks.size}")
    return Checked(faults, peaks.size, n_unreadable, len(checkpoints), peaks.root())


def _open_checkpoints(
    reading: Reading, keys: LedgerKeys, known: Sequence[str], faults: list[Fault]
) -> list[Checkpoint]:
    kept = [str(row[0]) for row in reading.read("SELECT note FROM ledger_checkpoint ORDER BY tree_size, note")]
    opened = []
    for note in dict.fromkeys((*kept, *known)):
        try:
            opened.append(open_checkpoint(note, keys.public_key))
        except NoteInvalid as error:
            _note(faults, UNSIGNED, None, error.message)
    return opened


def _chunks(reading: Reading) -> Iterator[list[tuple[Any, ...]]]:
    after = -1
    while rows := reading.read(
        "SELECT entry_index, at, kind, subject_token, commitment, leaf_hash, sealed FROM ledger_entry "
        "WHERE entry_index > ? ORDER BY entry_index LIMIT ?",
        (after, _CHUNK),
    ):
        yield rows
        after = int(rows[-1][0])


def _check_row(row: tuple[Any, ...], cipher: Any, faults: list[Fault]) -> tuple[bytes, bool]:
    """Give the leaf that a row's columns make, and whether it can still be read."""
    index, at, kind, token, commitment, leaf_hash, sealed = row
    index, sealed, token = int(index), bytes(sealed), bytes(token)
    leaf = hash_leaf(leaf_data(int(at), str(kind), token, bytes(commitment), sha256(sealed).digest()))
    if leaf != bytes(leaf_hash):
        _note(faults, ALTERED, index, f"entry {index} was altered: it does not give its leaf")
        return leaf, cipher is not None
    if cipher is None:
        return leaf, False
    opened = unseal(cipher, token, sealed)
    if opened is None or commit_to(*opened) != bytes(commitment):
        _note(faults, ALTERED, index, f"entry {index} was altered: what is sealed is not what was committed to")
        return leaf, True
    try:
        entry = decode_entry(opened[1])
    except msgspec.MsgspecError:
        _note(faults, ALTERED, index, f"entry {index} was altered: what is sealed is no entry")
        return leaf, True
    if entry.at != int(at) or kind_of(entry) != str(kind):
        _note(faults, ALTERED, index, f"entry {index} was altered: its row tells another kind or time")
    return leaf, True


def _compare_nodes(reading: Reading, nodes: dict[tuple[int, int], bytes], faults: list[Fault]) -> None:
    by_level: dict[int, list[int]] = {}
    for level, index in nodes:
        by_level.setdefault(level, []).append(index)
    for level, indexes in by_level.items():
        stored = {
            int(index): bytes(digest)
            for index, digest in reading.read(
                "SELECT node_index, hash FROM ledger_node WHERE level = ? AND node_index BETWEEN ? AND ?",
                (level, min(indexes), max(indexes)),
            )
        }
        for index in indexes:
            if stored.get(index) != nodes[level, index]:
                first, last = index << level, ((index + 1) << level) - 1
                what = "is missing" if index not in stored else "is not the hash of what is below it"
                _note(faults, TREE, first, f"the tree's node over entries {first} to {last} {what}")


def _compare_root(peaks: Peaks, by_size: dict[int, set[bytes]], faults: list[Fault]) -> None:
    roots = by_size.get(peaks.size)
    if roots is not None and roots != {peaks.root()}:
        _note(faults, CHANGED, peaks.size, f"the first {peaks.size} entries are not those that a checkpoint signed")


def _note(faults: list[Fault], kind: str, index: int | None, told: str) -> None:
    if len(faults) < _MOST_FAULTS:
        faults.append(Fault(kind, index, told))
