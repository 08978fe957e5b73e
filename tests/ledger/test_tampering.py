"""Whatever somebody does to the journal's file is found; what only an old checkpoint shows is found with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ledger.shelf import Shelf, disclosure, some
from tillit.ledger import Standing

COLUMNS: dict[str, Callable[[Any], Any]] = {
    "entry_index": lambda index: index + 400,
    "at": lambda at: at + 1,
    "kind": lambda kind: "access" if kind == "disclosure" else "disclosure",
    "subject_token": lambda token: bytes(16),
    "commitment": lambda told: bytes(32),
    "leaf_hash": lambda told: bytes(32),
    "sealed": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
}
N = 11


@pytest.fixture
def full(shelf: Shelf) -> Shelf:
    shelf.ledger.append(some(N))
    return shelf


@pytest.mark.parametrize("is_shredded", [False, True], ids=["readable", "shredded"])
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("index", [0, 4, N - 1])
def test_any_column_of_any_row_that_was_altered_is_found(
    full: Shelf, column: str, index: int, is_shredded: bool
) -> None:
    if is_shredded:
        full.ledger.shred([f"p{index % 3}"])
    [(before,)] = full.store.read(f"SELECT {column} FROM ledger_entry WHERE entry_index = ?", (index,))

    full.write(f"UPDATE ledger_entry SET {column} = ? WHERE entry_index = ?", COLUMNS[column](before), index)

    assert index in {fault.entry_index for fault in full.ledger.check().faults}


@pytest.mark.parametrize("index", [0, 4, N - 1])
def test_a_row_that_was_taken_out_is_found(full: Shelf, index: int) -> None:
    if index == N - 1:
        # The last entry of an odd number completes no node: only a checkpoint tells of it.
        note = full.ledger.checkpoint()
        known = [note]
    else:
        known = []

    full.write("DELETE FROM ledger_entry WHERE entry_index = ?", index)

    assert full.ledger.check(known).faults != []


def test_a_node_that_was_altered_or_taken_out_is_found(full: Shelf) -> None:
    sound = full.ledger.check().faults
    full.write("UPDATE ledger_node SET hash = zeroblob(32) WHERE level = 2 AND node_index = 1")
    altered = full.ledger.check().faults
    full.write("DELETE FROM ledger_node WHERE level = 2 AND node_index = 1")
    gone = full.ledger.check().faults

    assert sound == []
    assert [(fault.kind, fault.entry_index) for fault in altered] == [("tree", 4)]
    assert [(fault.kind, fault.entry_index) for fault in gone] == [("tree", 4)]


def test_a_node_that_was_put_in_is_found(full: Shelf) -> None:
    full.write("INSERT INTO ledger_node VALUES (9, 9, zeroblob(32))")

    assert [fault.kind for fault in full.ledger.check().faults] == ["tree"]


def test_an_end_that_was_cut_off_with_its_nodes_left_is_found(full: Shelf) -> None:
    full.write("DELETE FROM ledger_entry WHERE entry_index >= 9")

    assert [fault.kind for fault in full.ledger.check().faults] == ["tree"]


def altered(rows: list[list[Any]]) -> list[list[Any]]:
    rows[3][1] += 1
    return rows


def removed(rows: list[list[Any]]) -> list[list[Any]]:
    return rows[:3] + rows[4:]


def reordered(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows[:3], rows[4], rows[3], *rows[5:]]


def truncated(rows: list[list[Any]]) -> list[list[Any]]:
    return rows[:-1]


def put_in(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows[:3], rows[0], *rows[3:]]


@pytest.mark.parametrize("change", [altered, removed, reordered, truncated, put_in])
def test_a_ledger_that_was_rewritten_whole_is_found_by_an_old_checkpoint(full: Shelf, change: Any) -> None:
    note = full.ledger.checkpoint()

    full.rewrite(change)

    assert {fault.kind for fault in full.ledger.check([note]).faults} & {"changed", "shorter"}


@pytest.mark.parametrize("change", [removed, reordered, truncated, put_in])
def test_a_ledger_that_was_rewritten_whole_is_not_found_without_one(full: Shelf, change: Any) -> None:
    # What the page says of the limits: this is why a checkpoint belongs with somebody else.
    full.ledger.checkpoint()

    full.rewrite(change)

    assert full.ledger.check().faults == []


@pytest.mark.parametrize("column", ["at", "kind", "subject_token", "commitment", "sealed"])
def test_a_row_that_was_rewritten_with_its_leaf_does_not_fit_what_is_sealed(full: Shelf, column: str) -> None:
    place = ["entry_index", "at", "kind", "subject_token", "commitment", "leaf_hash", "sealed"].index(column)

    def changed(rows: list[list[Any]]) -> list[list[Any]]:
        # Of another living person, so that there is a key to try.
        rows[3][place] = rows[4][3] if column == "subject_token" else COLUMNS[column](rows[3][place])
        return rows

    full.rewrite(changed)

    assert [(fault.kind, fault.entry_index) for fault in full.ledger.check().faults] == [("altered", 3)]


def test_a_checkpoint_that_was_altered_is_told(full: Shelf) -> None:
    note = full.ledger.checkpoint()

    faults = full.ledger.check([note.replace("\n11\n", "\n10\n")]).faults

    assert [fault.kind for fault in faults] == ["unsigned"]


def test_a_checkpoint_of_the_whole_ledger_stays_good_while_it_grows(full: Shelf) -> None:
    notes = [full.ledger.checkpoint()]
    full.ledger.append([disclosure(number=99)])
    notes.append(full.ledger.checkpoint())

    found = full.ledger.check(["\n".join(notes)])

    assert (found.faults, found.n_entries, found.n_checkpoints) == ([], N + 1, 2)


def test_the_newest_checkpoint_says_when_it_was_made_and_no_more_fits_once_the_tree_was_altered(shelf: Shelf) -> None:
    shelf.ledger.append(some(8))
    none = shelf.ledger.standing()
    shelf.ledger.checkpoint()
    shelf.ledger.append(some(3))
    good = shelf.ledger.standing()

    shelf.write("UPDATE ledger_node SET hash = zeroblob(32) WHERE level = 3")

    assert (none, good) == (None, Standing(8, shelf.clock.now(), True))
    assert shelf.ledger.standing() == Standing(8, shelf.clock.now(), False)


def test_a_checkpoint_that_does_not_fit_is_not_hidden_by_a_newer_one(shelf: Shelf) -> None:
    shelf.ledger.append(some(8))
    shelf.ledger.checkpoint()
    shelf.write("UPDATE ledger_node SET hash = zeroblob(32) WHERE level = 3")
    shelf.ledger.append(some(3))

    shelf.ledger.checkpoint()
    shelf.ledger.prove(9)

    assert shelf.ledger.standing() == Standing(8, shelf.clock.now(), False)
