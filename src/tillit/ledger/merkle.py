"""The Merkle tree of RFC 6962: one root that commits to every entry and to their order.

In:    hashes of leaves, and a way to get the stored ones.
Out:   nodes to store, roots, paths of proofs, and yes or no to somebody's proof.
Never: a store, or an entry's content.

A node is written (level, index): it stands over the 2**level leaves from index * 2**level on. Only nodes over a
complete run of leaves are stored; those at the right edge are put together when they are asked for.
Source: RFC 6962 section 2.1 (the tree and its proofs), RFC 9162 section 2.1 (how proofs are verified).
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Address = tuple[int, int]  # level, index
GetNode = Callable[[int, int], bytes]

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32
_LEAF, _NODE = b"\x00", b"\x01"


def hash_leaf(entry: bytes) -> bytes:
    """Hash one entry as a leaf."""
    return sha256(_LEAF + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two nodes as their parent."""
    return sha256(_NODE + left + right).digest()


def list_peaks(size: int) -> list[Address]:
    """Give the complete subtrees that a tree of this size falls into, the smallest (rightmost) first.

    >>> list_peaks(6)
    [(1, 2), (2, 0)]
    """
    return [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]


class Peaks:
    """The right edge of a tree: all that is needed to go on growing it."""

    def __init__(self, size: int, peaks: dict[int, bytes]) -> None:
        """Take up a tree where it stands: the hash of each of `list_peaks`, by its level."""
        self.size = size
        self._peaks = peaks

    def add(self, leaves: Iterable[bytes]) -> list[tuple[int, int, bytes]]:
        """Add leaves' hashes; give the nodes that they complete: level, index, hash. On average that is one each."""
        peaks, size, nodes = self._peaks, self.size, []
        for known in leaves:
            index, level = size, 0
            while index & 1:
                known = sha256(_NODE + peaks.pop(level) + known).digest()  # hash_node, without a call for each leaf
                index >>= 1
                level += 1
                nodes.append((level, index, known))
            peaks[level] = known
            size += 1
        self.size = size
        return nodes

    def root(self) -> bytes:
        """Give the root of the tree as it stands."""
        return fold_peaks(self._peaks[level] for level in sorted(self._peaks))


def fold_peaks(hashes: Iterable[bytes]) -> bytes:
    """Put subtrees side by side under one hash, the rightmost first."""
    root = b""
    for known in hashes:
        root = hash_node(known, root) if root else known
    return root or EMPTY_ROOT


def root_at(size: int, get: GetNode) -> bytes:
    """Give the root that the tree had at this size."""
    return fold_peaks(get(level, index) for level, index in list_peaks(size))


def inclusion_path(index: int, size: int, get: GetNode) -> list[bytes]:
    """Give what turns the hash of leaf `index` into the root at `size`, from the leaf upwards."""
    path = []
    level = 0
    while (last := (size - 1) >> level) > 0:
        sibling = index >> level ^ 1
        if sibling <= last:
            path.append(_over(level, sibling, size, get))
        level += 1
    return path


def consistency_path(old_size: int, size: int, get: GetNode) -> list[bytes]:
    """Give what shows that the tree at `size` begins with the tree at `old_size`."""
    if not 0 < old_size < size:
        return []
    # The smallest complete subtree at the old right edge; the old root itself when that is the whole old tree.
    level, index = list_peaks(old_size)[0]
    path = [] if index == 0 else [get(level, index)]
    while (last := (size - 1) >> level) > 0:
        sibling = index ^ 1
        if sibling <= last:
            path.append(_over(level, sibling, size, get))
        level, index = level + 1, index >> 1
    return path


def _over(level: int, index: int, size: int, get: GetNode) -> bytes:
    """Give a node, also one at the right edge that is not complete yet."""
    first = index << level
    n_leaves = min(size - first, 1 << level)
    if n_leaves == 1 << level:
        return get(level, index)
    return fold_peaks(get(low, (first >> low) + at) for low, at in list_peaks(n_leaves))


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Say whether a path proves that this leaf stands at this index of the tree with this root."""
    if not 0 <= index < size:
        return False
    here, last, known = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            known = hash_node(sibling, known)
            # A node without a right neighbour rises unchanged to where it is somebody's right.
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            known = hash_node(known, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and known == root


def is_consistent(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether a path proves that the newer tree begins with the older one."""
    if old_size == size:
        return not path and old_root == root
    if not 0 < old_size < size:
        # Every tree begins with the empty one, and there is nothing to show for it.
        return old_size == 0 and not path and old_root == EMPTY_ROOT
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    here, last = old_size - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    known_old = known = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            known_old = hash_node(sibling, known_old)
            known = hash_node(sibling, known)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            known = hash_node(known, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and known_old == old_root and known == root
