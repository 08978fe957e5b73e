"""Once a person's key is destroyed nobody reads or finds their entries, and the tree stays what it was."""

from __future__ import annotations

import secrets

from tests.ledger.shelf import Shelf, access, disclosure, some
from tillit.ledger import verify_inclusion
from tillit.store.scan import find_bytes


def keys_of(shelf: Shelf, who: str) -> list[bytes]:
    """Give everything in the file of keys that leads from a person to their entries."""
    [(digest, token, key)] = shelf.keys._store.read(
        "SELECT subject_hash, subject_token, key FROM subject_key WHERE subject_token = ?",
        (shelf.keys.find_tokens([who])[0],),
    )
    return [bytes(digest), bytes(token), bytes(key)]


def test_what_was_shredded_is_unreadable_for_everybody(shelf: Shelf) -> None:
    shelf.ledger.append(some(9))
    before = shelf.ledger.checkpoint()

    n_keys = shelf.ledger.shred(["p1", "p1", "p9"])
    found = shelf.ledger.check([before])
    seen = shelf.ledger.search(limit=100).entries

    assert n_keys == 1
    assert shelf.ledger.read(["p1"]).entries == []
    assert [one.entry is None for one in reversed(seen)] == [number % 3 == 1 for number in range(9)]
    assert (found.faults, found.n_unreadable) == ([], 3)
    assert len(shelf.ledger.read(["p0", "p2"]).entries) == 6


def test_nothing_of_the_key_stays_on_disk_and_nothing_leads_to_the_entries(shelf: Shelf) -> None:
    shelf.ledger.append(some(9))
    digest, token, key = keys_of(shelf, "p1")
    planted = {finding.marker for finding in find_bytes(shelf.folder, [digest, token, key])}

    shelf.ledger.shred(["p1"])

    found = find_bytes(shelf.folder, [digest, token, key])
    assert planted == {0, 1, 2}
    assert {(finding.file, finding.marker) for finding in found if finding.file.startswith("ledger-keys")} == {
        ("ledger-keys.db", 0)  # that they were forgotten, as a keyed hash
    }
    assert {finding.marker for finding in found if not finding.file.startswith("ledger-keys")} == {1}


def test_no_word_of_a_shredded_entry_is_found_anywhere(shelf: Shelf) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    shelf.ledger.append([disclosure("p1", recipient=marker), access("p1", reason_ref=marker)])
    proof = shelf.ledger.prove(0)

    shelf.ledger.shred(["p1"])

    assert find_bytes(shelf.folder, [marker]) == []
    assert marker in str(verify_inclusion(proof).entry)  # whoever was given a proof keeps it


def test_what_was_shredded_is_still_proved_to_have_been_there(shelf: Shelf) -> None:
    shelf.ledger.append(some(5))
    before = verify_inclusion(shelf.ledger.prove(1))

    shelf.ledger.shred(["p1"])
    after = verify_inclusion(shelf.ledger.prove(1), shelf.ledger.verifier_key())

    assert before.entry is not None
    assert after == before._replace(entry=None)


def test_what_was_noted_before_and_is_written_after_stays_unreadable(shelf: Shelf) -> None:
    shelf.ledger.append([access("p1")])
    late = access("p1", number=5)
    shelf.clock.go_on(10)
    shelf.ledger.shred(["p1"])

    shelf.ledger.append([late])

    assert shelf.ledger.read(["p1"]).entries == []
    assert shelf.ledger.check().faults == []
    assert shelf.ledger.size() == 2


def test_somebody_else_under_the_same_id_is_written_about_again(shelf: Shelf) -> None:
    # The id's identifier was shared, and stays with the other person.
    shelf.ledger.append([access("p1")])
    shelf.ledger.shred(["p1"])
    shelf.clock.go_on(10)
    later = access("p1", number=20)

    shelf.ledger.append([later])
    shelf.ledger.append([access("p1"), later])  # and what was noted before still is not

    assert [one.entry for one in shelf.ledger.read(["p1"]).entries] == [later, later]
    assert shelf.ledger.search(limit=100).entries[-1].entry is None


def test_a_key_that_another_process_destroyed_is_not_used_again(shelf: Shelf) -> None:
    shelf.ledger.append([access("p1")])  # the key is remembered here
    other = Shelf(shelf.folder, shelf.clock)
    old = shelf.keys.find_tokens(["p1"])

    other.ledger.shred(["p1"])
    other.close()
    shelf.clock.go_on(10)
    shelf.ledger.append([access("p1", number=20)])

    assert [bytes(row[3]) in old for row in shelf.rows()] == [True, False]
    assert len(shelf.ledger.read(["p1"]).entries) == 1


def test_shredding_twice_is_shredding_once(shelf: Shelf) -> None:
    shelf.ledger.append([access("p1")])

    assert (shelf.ledger.shred(["p1"]), shelf.ledger.shred(["p1"])) == (1, 0)
    assert shelf.keys.count() == (0, 1)
