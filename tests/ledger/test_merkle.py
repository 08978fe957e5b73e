"""The tree is that of RFC 6962, and its proofs prove that and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillit.ledger.merkle import (
    EMPTY_ROOT,
    Peaks,
    consistency_path,
    hash_leaf,
    inclusion_path,
    is_consistent,
    is_included,
    root_at,
)

# The entries and roots that the implementations of Certificate Transparency test each other with.
ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = st.integers(min_value=1, max_value=130)


class Tree:
    """A tree grown leaf by leaf, with what it would have stored."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.stored = {(0, index): leaf for index, leaf in enumerate(leaves)}
        self.peaks = Peaks(0, {})
        self.stored |= {(level, index): digest for level, index, digest in self.peaks.add(leaves)}

    def get(self, level: int, index: int) -> bytes:
        return self.stored[level, index]


def textbook(leaves: list[bytes]) -> bytes:
    """Hash as RFC 6962 section 2.1 is written: split at the largest power of two below the size."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + textbook(leaves[:middle]) + textbook(leaves[middle:])).digest()


def textbook_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    if index < middle:
        return [*textbook_path(index, leaves[:middle]), textbook(leaves[middle:])]
    return [*textbook_path(index - middle, leaves[middle:]), textbook(leaves[:middle])]


def textbook_growth(old: int, leaves: list[bytes], *, is_whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if is_whole else [textbook(leaves)]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= middle:
        return [*textbook_growth(old, leaves[:middle], is_whole=is_whole), textbook(leaves[middle:])]
    return [*textbook_growth(old - middle, leaves[middle:], is_whole=False), textbook(leaves[:middle])]


def leaves_of(n: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(n)]


def flipped(told: bytes, bit: int) -> bytes:
    changed = bytearray(told)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    tree = Tree([hash_leaf(entry) for entry in ENTRIES[:size]])

    assert tree.peaks.root().hex() == ROOTS[size]
    assert root_at(size, tree.get).hex() == ROOTS[size]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert sha256(b"").digest() == EMPTY_ROOT


@given(size=SIZES)
def test_a_tree_has_the_textbooks_root_at_every_size_it_had(size: int) -> None:
    leaves = leaves_of(size)

    tree = Tree(leaves)

    assert [root_at(n, tree.get) for n in range(size + 1)] == [textbook(leaves[:n]) for n in range(size + 1)]


@given(size=SIZES)
def test_growing_stores_one_node_for_each_leaf_at_most(size: int) -> None:
    tree = Tree(leaves_of(size))

    assert len(tree.stored) - size == size - size.bit_count()  # a tree of 2**k leaves has 2**k - 1 inner nodes


@given(size=SIZES, data=st.data())
def test_a_path_is_the_textbooks_and_proves_its_leaf(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    tree = Tree(leaves)
    index = data.draw(st.integers(0, size - 1))

    path = inclusion_path(index, size, tree.get)

    assert path == textbook_path(index, leaves)
    assert is_included(leaves[index], index, size, path, textbook(leaves))


@given(size=SIZES, data=st.data())
def test_an_altered_path_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path, root = textbook_path(index, leaves), textbook(leaves)
    bit = data.draw(st.integers(0, 255))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index)) if size > 1 else size

    wrong = [
        is_included(flipped(leaves[index], bit), index, size, path, root),
        is_included(leaves[index], other, size, path, root),
        is_included(leaves[index], index, size, path, flipped(root, bit)),
        is_included(leaves[index], index, size, [*path, root], root),
        is_included(leaves[index], index, index, path, root),
        *(
            is_included(leaves[index], index, size, [*path[:at], flipped(path[at], bit), *path[at + 1 :]], root)
            for at in range(len(path))
        ),
        *(is_included(leaves[index], index, size, path[:at] + path[at + 1 :], root) for at in range(len(path))),
    ]

    assert not any(wrong)


@given(size=SIZES, data=st.data())
def test_growth_is_proved_as_in_the_textbook(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    tree = Tree(leaves)
    old = data.draw(st.integers(1, size))

    path = consistency_path(old, size, tree.get)

    assert path == textbook_growth(old, leaves)
    assert is_consistent(old, textbook(leaves[:old]), size, textbook(leaves), path)


@given(size=st.integers(min_value=2, max_value=130), data=st.data())
def test_an_altered_proof_of_growth_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    old = data.draw(st.integers(1, size - 1))
    bit = data.draw(st.integers(0, 255))
    path, old_root, root = textbook_growth(old, leaves), textbook(leaves[:old]), textbook(leaves)
    changed = leaves.copy()
    changed[data.draw(st.integers(0, old - 1))] = hash_leaf(b"another entry")

    wrong = [
        is_consistent(old, flipped(old_root, bit), size, root, path),
        is_consistent(old, old_root, size, flipped(root, bit), path),
        is_consistent(old, old_root, size, root, [*path, root]),
        is_consistent(old, old_root, size, textbook(changed), textbook_growth(old, changed)),
        is_consistent(size, root, old, old_root, path),
        *(
            is_consistent(old, old_root, size, root, [*path[:at], flipped(path[at], bit), *path[at + 1 :]])
            for at in range(len(path))
        ),
        *(is_consistent(old, old_root, size, root, path[:at] + path[at + 1 :]) for at in range(len(path))),
    ]

    assert not any(wrong)


def test_every_tree_continues_the_empty_one_and_no_other_start_of_size_zero() -> None:
    root = textbook(leaves_of(5))

    assert is_consistent(0, EMPTY_ROOT, 5, root, [])
    assert not is_consistent(0, root, 5, root, [])
    assert not is_consistent(0, EMPTY_ROOT, 5, root, [root])
