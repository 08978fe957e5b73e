"""The ledger keeps what was said of whom, sealed, and gives it back to whoever asks rightly."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.shelf import Shelf, access, canonical, disclosure, some
from tests.ledger.test_merkle import textbook
from tests.still_clock import START
from tillit.ledger import (
    ACCESS,
    DISCLOSURE,
    BadEntry,
    Entry,
    LedgerDamaged,
    NoteInvalid,
    ProofInvalid,
    UnknownEntry,
    open_checkpoint,
    read_verifier_key,
    verify_consistency,
    verify_inclusion,
)
from tillit.ledger.entries import encode_entry
from tillit.store.scan import find_bytes

TEXTS = st.text(max_size=30).filter(lambda text: "@" not in text)


def test_entries_come_back_newest_first_and_only_the_persons_own(shelf: Shelf) -> None:
    entries = some(20)

    indexes = shelf.ledger.append(entries)
    found = shelf.ledger.read(["p1"])

    assert indexes == list(range(20))
    assert [one.entry for one in found.entries] == [entry for entry in reversed(entries) if entry.subject_ref == "p1"]
    assert found.next is None


def test_a_person_is_read_in_pages(shelf: Shelf) -> None:
    shelf.ledger.append([access(number=number) for number in range(7)])

    first = shelf.ledger.read(["p1"], limit=3)
    second = shelf.ledger.read(["p1"], limit=3, before=first.next)
    third = shelf.ledger.read(["p1"], limit=3, before=second.next)

    told = [[one.entry_index for one in page.entries] for page in (first, second, third)]
    assert told == [[6, 5, 4], [3, 2, 1], [0]]
    assert (first.next, second.next, third.next) == (4, 1, None)


def test_a_person_is_found_however_far_apart_their_entries_are(shelf: Shelf) -> None:
    shelf.ledger.append([access("p1"), access("p2")])
    far = [0, 16_383, 16_384, 1_048_575, 1_048_576, 5_000_000]
    for index in far[1:]:
        shelf.write(
            "INSERT INTO ledger_entry SELECT ?, at, kind, subject_token, commitment, leaf_hash, sealed "
            "FROM ledger_entry WHERE entry_index = 0",
            index,
        )

    whole = shelf.ledger.read(["p1"])
    page = shelf.ledger.read(["p1"], limit=2)
    rest = shelf.ledger.read(["p1"], limit=4, before=page.next)

    assert [one.entry_index for one in whole.entries] == far[::-1]
    assert [one.entry_index for one in page.entries + rest.entries] == far[::-1]


def test_people_who_were_joined_are_read_together_and_parted_apart(shelf: Shelf) -> None:
    shelf.ledger.append([access("p1"), access("p2"), access("p3")])

    assert {one.entry.subject_ref for one in shelf.ledger.read(["p1", "p3"]).entries if one.entry} == {"p1", "p3"}
    assert {one.entry.subject_ref for one in shelf.ledger.read(["p1"]).entries if one.entry} == {"p1"}


def test_reading_of_somebody_unknown_gives_nothing_and_makes_no_key(shelf: Shelf) -> None:
    assert shelf.ledger.read(["p9"]).entries == []
    assert shelf.ledger.read([]).entries == []
    assert shelf.keys.count() == (0, 0)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"kind": DISCLOSURE}, [5, 3, 1]),
        ({"kind": ACCESS, "purpose": "for-2"}, [2]),
        ({"recipient": "Mailer GmbH"}, [5, 3, 1]),
        ({"recipient": "Others GmbH"}, []),
        ({"actor": "op_kim"}, [4, 2, 0]),
        ({"since": START + 2, "until": START + 4}, [3, 2]),
        ({"since": START + 6}, []),
    ],
    ids=str,
)
def test_a_search_gives_what_says_what_was_asked(shelf: Shelf, asked: dict[str, str], wanted: list[int]) -> None:
    shelf.ledger.append(some(6))

    found = shelf.ledger.search(**asked)  # type: ignore[arg-type]  # a case each

    assert [one.entry_index for one in found.entries] == wanted


def test_a_search_goes_on_where_it_ended_also_when_times_are_out_of_order(shelf: Shelf) -> None:
    # A process that writes a quarter of a second later brings older times.
    shelf.ledger.append([access(number=number) for number in (5, 1, 5, 9, 5, 2)])

    pages = []
    before = None
    while True:
        page = shelf.ledger.search(limit=2, before=before)
        pages += [(one.at - START, one.entry_index) for one in page.entries]
        before = page.next
        if before is None:
            break

    assert pages == [(9, 3), (5, 4), (5, 2), (5, 0), (2, 5), (1, 1)]


def test_nothing_that_an_entry_says_lies_in_clear(shelf: Shelf) -> None:
    shelf.ledger.append([disclosure("p0000000000042"), access("p0000000000042")])
    shelf.ledger.checkpoint(shelf.folder / "copy.txt")

    markers = ["p0000000000042", "Mailer GmbH", "newsletter", "first_name", "op_kim", "/api/profiles", "ab" * 32]

    assert find_bytes(shelf.folder, markers) == []


def test_the_journal_alone_opens_nothing(shelf: Shelf) -> None:
    shelf.ledger.append(some(4))
    others = Shelf(shelf.folder.parent / "others")

    opened = others.keys.find_ciphers({bytes(row[3]) for row in shelf.rows()})
    others.close()

    assert opened == {}
    assert len(shelf.keys.find_ciphers({bytes(row[3]) for row in shelf.rows()})) == 3


def test_only_its_owner_may_read_the_keys(shelf: Shelf) -> None:
    shelf.ledger.append(some(1))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in shelf.folder.glob("ledger-keys.db*")}

    assert set(modes.values()) == {0o600}
    assert "ledger-keys.db" in modes
    assert shelf.keys.signing_seed.hex() not in repr(shelf.keys)


@given(
    recipient=TEXTS,
    fields=st.lists(TEXTS, max_size=4),
    position=st.none() | st.integers(0, 1 << 53),
    at=st.integers(-(1 << 53), 1 << 53),
)
def test_an_entrys_text_is_canonical(recipient: str, fields: list[str], position: int | None, at: int) -> None:
    entry = disclosure(recipient=recipient, field_names=tuple(fields), record_position=position, at=at)

    told = {name: getattr(entry, name) for name in entry.__struct_fields__}

    assert encode_entry(entry) == canonical({**told, "kind": DISCLOSURE})


@pytest.mark.parametrize(
    "entry",
    [
        access(""),
        disclosure(""),
        access("ana@example.org"),
        disclosure(recipient="ana@example.org"),
        disclosure(field_names=("email", "ana@example.org")),
        access(route="GET /api/profiles/email:ana@example.org"),
        access(reason_ref="Ana rang and was in tears " * 10),
        access(reason_ref='Ana "rang"' * 30),
        disclosure(field_names=tuple(f"field_{number}" for number in range(2_000))),
    ],
    ids=range(9),
)
def test_what_may_be_a_personal_value_is_not_written_and_nothing_with_it(shelf: Shelf, entry: Entry) -> None:
    with pytest.raises(BadEntry) as refused:
        shelf.ledger.append([access(), entry])

    assert "ana" not in refused.value.message.lower()
    assert shelf.ledger.size() == 0


def test_words_with_quotation_marks_and_many_fields_are_written(shelf: Shelf) -> None:
    entry = disclosure(recipient='The "Mailer"', field_names=tuple(f"field_{number}" for number in range(600)))

    shelf.ledger.append([entry])

    assert shelf.ledger.read(["p1"]).entries[0].entry == entry


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_any_batches_give_the_textbooks_root(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("batches"))
    notes = []

    for size in sizes:
        shelf.ledger.append(some(size))
        notes.append(shelf.ledger.checkpoint())
    leaves = [bytes(row[5]) for row in shelf.rows()]
    public_key = read_verifier_key(shelf.ledger.verifier_key())
    told = [open_checkpoint(note, public_key) for note in notes]
    found = shelf.ledger.check()
    proofs = [shelf.ledger.prove(index) for index in range(0, len(leaves), 7)]
    shelf.close()

    assert [one.size for one in told] == [sum(sizes[: n + 1]) for n in range(len(sizes))]
    assert [one.root for one in told] == [textbook(leaves[: one.size]) for one in told]
    assert found.faults == []
    assert [verify_inclusion(proof).entry_index for proof in proofs] == list(range(0, len(leaves), 7))


def test_a_leaf_is_made_of_every_column_of_its_row(shelf: Shelf) -> None:
    shelf.ledger.append([disclosure()])

    [[_, at, kind, token, commitment, leaf_hash, sealed]] = shelf.rows()

    told = at.to_bytes(8, "big") + token + commitment + hashlib.sha256(sealed).digest() + kind.encode()
    assert leaf_hash == hashlib.sha256(b"\0" + told).digest()


def test_a_proof_needs_nothing_but_its_text_and_tells_the_entry(shelf: Shelf) -> None:
    entries = some(13)
    shelf.ledger.append(entries)
    key = shelf.ledger.verifier_key()

    proofs = [shelf.ledger.prove(index) for index in range(13)]

    assert [verify_inclusion(proof).entry for proof in proofs] == entries
    assert [verify_inclusion(proof, key).entry_index for proof in proofs] == list(range(13))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_altered_proof_is_taken(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    proof = cached_proof(tmp_path_factory)
    place = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != proof[place]))

    with pytest.raises((ProofInvalid, NoteInvalid)):
        verify_inclusion(proof[:place] + other + proof[place + 1 :])


def respelled(extra: bytes) -> bytes:
    return extra.replace(b'{"at":', b'{ "at":')


def with_a_byte_moved_into_the_salt(extra: bytes) -> bytes:
    leaf = json.loads(extra)
    salt, text = base64.b64decode(leaf["salt"]), base64.b64decode(leaf["text"])
    moved = {"salt": base64.b64encode(salt + b"{").decode(), "text": base64.b64encode(text.lstrip(b"{")).decode()}
    return json.dumps({**leaf, **moved}, separators=(",", ":")).encode()


def without_its_salt(extra: bytes) -> bytes:
    return json.dumps({**json.loads(extra), "salt": None}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (respelled, "handed out"),
        (with_a_byte_moved_into_the_salt, "committed"),
        (without_its_salt, "committed"),
    ],
)
def test_what_a_proof_says_of_its_leaf_has_one_spelling(
    tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes], why: str
) -> None:
    lines = cached_proof(tmp_path_factory).split("\n")
    extra = base64.b64decode(lines[1].removeprefix("extra "))
    changed = change(extra)
    lines[1] = f"extra {base64.b64encode(changed).decode()}"

    with pytest.raises(ProofInvalid, match=why):
        verify_inclusion("\n".join(lines))

    assert changed != extra


_PROOFS: list[str] = []


def cached_proof(folders: pytest.TempPathFactory) -> str:
    if not _PROOFS:
        shelf = Shelf(folders.mktemp("proof"))
        shelf.ledger.append(some(11))
        _PROOFS.append(shelf.ledger.prove(6))
        shelf.close()
    return _PROOFS[0]


def test_a_proof_of_another_ledger_is_refused_when_the_key_is_known(shelf: Shelf, tmp_path: Path) -> None:
    others = Shelf(tmp_path / "others")
    others.ledger.append(some(3))
    forged = others.ledger.prove(1)
    others.close()

    with pytest.raises(ProofInvalid):
        verify_inclusion(forged, shelf.ledger.verifier_key())


def test_an_entry_that_is_not_there_cannot_be_proved(shelf: Shelf) -> None:
    shelf.ledger.append(some(3))

    with pytest.raises(UnknownEntry):
        shelf.ledger.prove(3)


def test_growth_is_proved_between_any_two_checkpoints(shelf: Shelf) -> None:
    notes = [shelf.ledger.checkpoint()]
    for size in (1, 2, 5, 8, 1):
        shelf.ledger.append(some(size))
        notes.append(shelf.ledger.checkpoint())
    key = shelf.ledger.verifier_key()

    proofs = [shelf.ledger.prove_growth(note) for note in notes]
    told = [verify_consistency(note, proof, key) for note, proof in zip(notes, proofs, strict=True)]

    assert [(old.size, new.size) for old, new in told] == [(0, 17), (1, 17), (3, 17), (8, 17), (16, 17), (17, 17)]
    for (one, _), (_, proof) in pairwise(zip(notes[1:-1], proofs[1:-1], strict=True)):
        with pytest.raises(ProofInvalid):
            verify_consistency(one, proof, key)


def test_a_checkpoint_is_kept_and_copied_once(shelf: Shelf, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    shelf.ledger.append(some(2))
    first = shelf.ledger.checkpoint(copy)
    again = shelf.ledger.checkpoint(copy)
    shelf.ledger.append(some(1))
    last = shelf.ledger.checkpoint(copy)

    assert again == first
    assert shelf.ledger.checkpoints() == [first, last]
    assert copy.read_text() == f"{first}\n{last}"


def test_a_checkpoint_that_a_crash_cut_short_spoils_no_later_one(shelf: Shelf, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    shelf.ledger.append(some(2))
    first = shelf.ledger.checkpoint(copy)
    copy.write_text(f"{first}\n{first[:70]}")
    shelf.ledger.append(some(1))
    shelf.ledger.checkpoint(copy)

    found = shelf.ledger.check([copy.read_text()])

    assert (found.faults, found.n_checkpoints) == ([], 2)


def test_two_processes_write_one_ledger(shelf: Shelf) -> None:
    other = Shelf(shelf.folder, shelf.clock)

    indexes = [
        index for n in range(6) for index in (shelf if n % 2 else other).ledger.append([access(f"p{n % 2}", number=n)])
    ]
    found = other.ledger.check()
    told = other.ledger.read(["p0", "p1"])
    other.close()

    assert indexes == list(range(6))
    assert found.faults == []
    assert len(told.entries) == 6


def test_a_ledger_that_was_cut_takes_nothing_more(shelf: Shelf) -> None:
    shelf.ledger.append(some(8))
    shelf.write("DELETE FROM ledger_entry WHERE entry_index >= 5")

    with pytest.raises(LedgerDamaged):
        shelf.ledger.append(some(1))

    assert shelf.ledger.size() == 5


def test_nothing_is_appended_without_entries(shelf: Shelf) -> None:
    assert shelf.ledger.append([]) == []
    assert shelf.ledger.size() == 0
