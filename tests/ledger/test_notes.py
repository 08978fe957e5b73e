"""A checkpoint is a signed note that other tools read, and says nothing once a character of it was changed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillit.ledger import NoteInvalid, find_notes, open_checkpoint, read_verifier_key
from tillit.ledger.notes import key_id, origin_of, public_key_of, sign_checkpoint, verifier_key

SEED = bytes(range(32))
ROOT = bytes(reversed(range(32)))
PUBLIC = public_key_of(SEED)
NOTE = sign_checkpoint(20_852_163, ROOT, SEED)


def test_a_checkpoint_is_origin_size_root_and_signature() -> None:
    lines = NOTE.split("\n")

    assert lines[0] == origin_of(PUBLIC)
    assert lines[1] == "20852163"
    assert base64.b64decode(lines[2]) == ROOT
    assert lines[3] == ""
    assert lines[4].startswith(f"— {origin_of(PUBLIC)} ")
    assert lines[5:] == [""]


def test_the_id_of_a_key_is_that_of_the_specifications_own_example() -> None:
    # The key of the example in the documentation of Go's package for signed notes: PeterNeumann+c74f20a3+ARpc2QcU...
    raw = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")

    assert key_id("PeterNeumann", raw[1:]).hex() == "c74f20a3"


def test_what_was_signed_is_read_back() -> None:
    told = open_checkpoint(NOTE, PUBLIC)

    assert told == (origin_of(PUBLIC), 20_852_163, ROOT)


def test_the_same_ledger_is_signed_with_the_same_text() -> None:
    assert sign_checkpoint(20_852_163, ROOT, SEED) == NOTE


@given(place=st.integers(0, len(NOTE) - 1), other=st.characters(codec="utf-8"))
def test_no_changed_character_is_taken(place: int, other: str) -> None:
    changed = NOTE[:place] + other + NOTE[place + 1 :]

    if changed == NOTE:
        assert open_checkpoint(changed, PUBLIC).size == 20_852_163
    else:
        with pytest.raises(NoteInvalid):
            open_checkpoint(changed, PUBLIC)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.partition("\n\n")[0] + "\n",
        NOTE.replace("20852163", "020852163"),
        NOTE.replace("\n\n", "\nan extension\n\n"),
        sign_checkpoint(20_852_163, ROOT, bytes(32)),
        "x" * 70_000,
    ],
    ids=["empty", "line", "cut", "line more", "unsigned", "leading zero", "extension", "another's", "long"],
)
def test_what_is_no_checkpoint_of_this_key_is_refused(note: str) -> None:
    with pytest.raises(NoteInvalid):
        open_checkpoint(note, PUBLIC)


def test_a_witness_may_add_its_signature() -> None:
    witnessed = NOTE + f"— witness.example {base64.b64encode(b'w' * 76).decode()}\n"

    assert open_checkpoint(witnessed, PUBLIC) == open_checkpoint(NOTE, PUBLIC)


def test_a_signature_has_one_spelling() -> None:
    # 68 bytes leave two bits of the last character free: another one would mean the same bytes.
    place = NOTE.index("=\n", NOTE.index("—")) - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = NOTE[:place] + alphabet[alphabet.index(NOTE[place]) + 1] + NOTE[place + 1 :]

    signatures = [base64.b64decode(note.split("\n")[4].rpartition(" ")[2]) for note in (NOTE, twin)]

    assert signatures[0] == signatures[1]
    with pytest.raises(NoteInvalid):
        open_checkpoint(twin, PUBLIC)


def test_one_signature_of_ours_that_does_not_fit_spoils_the_note() -> None:
    good = NOTE.split("\n")[4]
    bad = base64.b64encode(base64.b64decode(good.rpartition(" ")[2])[:4] + b"\0" * 64).decode()

    with pytest.raises(NoteInvalid):
        open_checkpoint(NOTE + f"— {origin_of(PUBLIC)} {bad}\n", PUBLIC)


def test_a_key_is_read_back_and_no_other_one() -> None:
    written = verifier_key(PUBLIC)

    assert read_verifier_key(written) == PUBLIC
    for wrong in ("", written[:-4], written.replace("+", " "), "a" + written, written.replace("tillit", "others")):
        with pytest.raises(NoteInvalid):
            read_verifier_key(wrong)


def test_checkpoints_are_found_again_in_a_file_with_a_torn_one() -> None:
    other = sign_checkpoint(7, ROOT, SEED)

    found = find_notes(f"{NOTE}\n{other[:60]}\n\n{other}")

    assert found == [NOTE, other]
