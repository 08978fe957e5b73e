"""Who looked is written without making them wait, and never lost without a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.ledger.shelf import Shelf
from tests.still_clock import START
from tillit.ledger import Access, Accesses, AccessesBehind, BadEntry, Entry, Ledger
from tillit.store import StoreLocked

LOOKED: dict[str, Any] = {
    "actor_id": "op_kim",
    "role": "reader",
    "route": "GET /console/customers/{who}",
    "purpose": "service",
}


@pytest.fixture
def accesses(shelf: Shelf) -> Iterator[Accesses]:
    # The thread sleeps for as long as a test runs: what is written when is the test's to say.
    made = Accesses(shelf.ledger, now=shelf.clock.now, every_s=600, most_waiting=5)
    yield made
    made.close()


def test_a_look_is_written_with_the_time_it_was_noted_at(shelf: Shelf, accesses: Accesses) -> None:
    accesses.note(["p1", "p2"], **LOOKED)
    shelf.clock.go_on(7)
    waiting = shelf.ledger.size()

    accesses.flush()

    told = shelf.ledger.read(["p1"]).entries
    assert waiting == 0
    assert [(one.at, one.kind) for one in told] == [(START, "access")]
    assert shelf.ledger.size() == 2


def test_the_thread_writes_by_itself(shelf: Shelf) -> None:
    accesses = Accesses(shelf.ledger, now=shelf.clock.now, every_s=0.01)
    accesses.note(["p1"], **LOOKED)

    accesses._thread.join(0.01)
    while not shelf.ledger.size():
        accesses._thread.join(0.01)
    accesses.close()

    assert shelf.ledger.size() == 1


def test_closing_writes_what_waits(shelf: Shelf) -> None:
    accesses = Accesses(shelf.ledger, now=shelf.clock.now, every_s=600)
    accesses.note(["p1"], **LOOKED)

    accesses.close()

    assert shelf.ledger.size() == 1


def test_a_broken_glass_is_on_disk_at_once_with_what_waited_before_it(shelf: Shelf, accesses: Accesses) -> None:
    accesses.note(["p1"], **LOOKED)

    accesses.note(["p1"], **LOOKED, break_glass=True, reason_ref="r_1")

    told = shelf.ledger.read(["p1"]).entries
    assert [getattr(one.entry, "break_glass", None) for one in told] == [True, False]


def test_a_look_does_not_wait_for_the_disk_and_is_kept_when_it_fails(shelf: Shelf) -> None:
    impatient = Shelf(shelf.folder, shelf.clock, timeout_s=0.01)
    accesses = Accesses(impatient.ledger, now=shelf.clock.now, every_s=600)

    with shelf.store.transaction():
        accesses.note(["p1"], **LOOKED)
        with pytest.raises(StoreLocked):
            accesses.flush()
    accesses.close()
    impatient.close()

    assert shelf.ledger.size() == 1


def test_what_is_noted_while_others_are_written_is_kept(shelf: Shelf) -> None:
    class Interrupted(Ledger):
        def append(self, entries: Sequence[Entry]) -> list[int]:
            if not self.size():
                interrupted.note(["p2"], **LOOKED)
            return super().append(entries)

    interrupted = Accesses(Interrupted(shelf.store, shelf.keys), now=shelf.clock.now, every_s=600)
    interrupted.note(["p1"], **LOOKED)

    interrupted.close()

    assert [one.entry.subject_ref for one in shelf.ledger.search().entries if one.entry] == ["p2", "p1"]


def test_nobody_looks_when_too_much_waits_to_be_written(shelf: Shelf, accesses: Accesses) -> None:
    accesses.note([f"p{number}" for number in range(5)], **LOOKED)

    with pytest.raises(AccessesBehind):
        accesses.note(["p9"], **LOOKED)

    accesses.flush()
    accesses.note(["p9"], **LOOKED)
    accesses.flush()
    assert shelf.ledger.size() == 6


def test_whoever_notes_a_value_is_told_and_holds_up_nobody(shelf: Shelf, accesses: Accesses) -> None:
    with pytest.raises(BadEntry):
        accesses.note(["p1", "email:ana@example.org"], **LOOKED)

    accesses.note(["p1"], **LOOKED)
    accesses.flush()
    assert shelf.ledger.size() == 1


def test_what_flows_by_is_noted_once_an_hour_for_each_who_watches(shelf: Shelf, accesses: Accesses) -> None:
    for _ in range(3):
        accesses.note_flow(["p1"], **LOOKED)
    accesses.note_flow(["p1"], **{**LOOKED, "actor_id": "op_lee"})
    shelf.clock.go_on(3_600_000_000)
    accesses.note_flow(["p1"], **LOOKED)
    accesses.flush()

    told = [one.entry for one in shelf.ledger.read(["p1"]).entries if isinstance(one.entry, Access)]
    assert [(one.actor_id, one.at - START) for one in told] == [
        ("op_kim", 3_600_000_000),
        ("op_lee", 0),
        ("op_kim", 0),
    ]


def test_what_could_not_be_noted_is_not_taken_for_noted(shelf: Shelf, accesses: Accesses) -> None:
    accesses.note([f"p{number}" for number in range(5)], **LOOKED)
    with pytest.raises(AccessesBehind):
        accesses.note_flow(["p9"], **LOOKED)
    accesses.flush()

    accesses.note_flow(["p9"], **LOOKED)
    accesses.flush()

    assert len(shelf.ledger.read(["p9"]).entries) == 1


def test_a_reason_may_hold_words_and_each_entry_says_how_many_were_shown(shelf: Shelf, accesses: Accesses) -> None:
    accesses.note(["p1", "p2"], **LOOKED, reason='She wrote to help@example.org: "who am I?"')
    with pytest.raises(BadEntry):
        accesses.note(["p1"], **LOOKED, reason="x" * 501)
    accesses.flush()

    told = [one.entry for one in shelf.ledger.read(["p1"]).entries if isinstance(one.entry, Access)]
    assert [(one.n_profiles, one.reason[:9]) for one in told] == [(2, "She wrote")]
