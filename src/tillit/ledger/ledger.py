"""The ledger: who received a person's values, and who looked at them, so that nobody can quietly change it later.

In:    entries; profile ids; checkpoints that were handed out.
Out:   the entries again, proofs, signed checkpoints, faults.
Never: an entry changed or taken out; what an entry says in the journal's file, unless sealed; an entry of somebody
       whose key was destroyed.

Keys are on disk before the entries that need them, and an entry is on disk before `append` returns.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tillit.errors import NotFound
from tillit.ledger.checking import Checked, check_all
from tillit.ledger.entries import (
    SALT_BYTES,
    Entry,
    Recorded,
    commit_to,
    decode_entry,
    encode_entry,
    kind_of,
    leaf_data,
)
from tillit.ledger.keys import NONCE_BYTES, LedgerKeys, seal, unseal
from tillit.ledger.merkle import consistency_path, hash_leaf, inclusion_path, root_at
from tillit.ledger.notes import NoteInvalid, find_notes, open_checkpoint, sign_checkpoint, verifier_key
from tillit.ledger.proofs import Leaf, ProofInvalid, write_consistency, write_inclusion
from tillit.ledger.tree import LedgerDamaged, add_nodes, load_node, load_peaks, size_of
from tillit.store import Reading, SqliteState, migrations_of

LEDGER_MIGRATIONS = migrations_of("tillit.ledger", room="ledger", folder="migrations/journal")

_COLUMNS = "entry_index, at, kind, subject_token, commitment, sealed"
_LAST = (1 << 63) - 1  # beyond every index and every instant
_SLICE_BITS = 14  # as the index of tokens has it
_SLICES_AT_ONCE = 64
_FIND = (
    "SELECT entry_index FROM ledger_entry WHERE entry_index < ? "
    f"AND entry_index >> {_SLICE_BITS} IN ({','.join('?' * _SLICES_AT_ONCE)}) AND subject_token IN {{in}}"
)
_CHUNK = 1_000  # rows that are opened at a time
_MOST_SEARCHED = 50_000  # rows that one search opens, about half a second; more is another question


class UnknownEntry(NotFound):
    """The ledger has no entry with this index."""

    code = "ledger.unknown-entry"

    def __init__(self, index: int, size: int) -> None:
        """Name the index, and how far they go."""
        super().__init__(f"The ledger has no entry {index}: it has {size}, counted from 0.", index=index, size=size)


class Found(NamedTuple):
    """A part of the ledger, newest first."""

    entries: list[Recorded]
    next: int | None  # ask again with `before` = this; None: that was all


class Standing(NamedTuple):
    """The newest checkpoint, and whether the tree of today says the same."""

    size: int  # entries that it covers
    made_at: int | None  # None: by a version that did not write it down
    is_true: bool


class Ledger:
    """The ledger of one workspace. Several processes may hold it; each append is one transaction."""

    def __init__(
        self,
        store: SqliteState,
        keys: LedgerKeys,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Use the journal's store, and the file of keys."""
        self._store = store
        self._keys = keys
        self._random_bytes = random_bytes

    # -- writing

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Add entries in one transaction; give their indexes. They are on disk when this returns.

        Raises: BadEntry when one may hold a personal value; LedgerDamaged. Then none was added.
        """
        if not entries:
            return []
        rows = self._sealed(entries)
        with self._store.transaction() as tx:
            peaks = load_peaks(tx, len(rows))
            first = peaks.size
            nodes = peaks.add(row[4] for row in rows)
            tx.executemany(
                "INSERT INTO ledger_entry (entry_index, at, kind, subject_token, commitment, leaf_hash, sealed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(index, *row) for index, row in enumerate(rows, first)],
            )
            add_nodes(tx, nodes)
        return list(range(first, first + len(rows)))

    def _sealed(self, entries: Sequence[Entry]) -> list[tuple[int, str, bytes, bytes, bytes, bytes]]:
        # Everything that costs time is done before the journal is locked.
        texts = [encode_entry(entry) for entry in entries]
        keys = self._keys.of_subjects(dict.fromkeys(entry.subject_ref for entry in entries))
        width = SALT_BYTES + NONCE_BYTES
        random = self._random_bytes(width * len(entries))
        rows = []
        ciphers = {subject: key.cipher() for subject, key in keys.items()}
        for number, (entry, text) in enumerate(zip(entries, texts, strict=True)):
            key, cipher = keys[entry.subject_ref], ciphers[entry.subject_ref]
            if entry.at <= key.shredded_at:
                key = self._keys.make_throwaway()
                cipher = key.cipher()
            start = number * width
            salt = random[start : start + SALT_BYTES]
            token = key.token
            sealed = seal(cipher, token, text, salt=salt, nonce=random[start + SALT_BYTES : start + width])
            kind, commitment = kind_of(entry), commit_to(salt, text)
            leaf = hash_leaf(leaf_data(entry.at, kind, token, commitment, sha256(sealed).digest()))
            rows.append((entry.at, kind, token, commitment, leaf, sealed))
        return rows

    def shred(self, subjects: Sequence[str]) -> int:
        """Destroy what opens these people's entries, for good; say how many had any. The tree stays as it is."""
        return self._keys.shred(subjects)

    # -- reading

    def size(self) -> int:
        """Say how many entries there are."""
        return size_of(self._store)

    def read(self, subjects: Sequence[str], *, limit: int = 100, before: int | None = None) -> Found:
        """Give one person's entries, newest first.

        `subjects` are all profile ids that were ever theirs: those that each of their identifiers would have founded.
        """
        tokens = self._keys.find_tokens(subjects)
        newest = self._find_newest(tokens, limit + 1, _LAST if before is None else before) if tokens else []
        rows = self._store.read_in(f"SELECT {_COLUMNS} FROM ledger_entry WHERE entry_index IN {{in}}", newest[:limit])
        told = sorted(self._opened(rows), key=lambda one: one.entry_index, reverse=True)
        return Found(told, newest[limit - 1] if len(newest) > limit else None)

    def _find_newest(self, tokens: Sequence[bytes], limit: int, before: int) -> list[int]:
        found: list[int] = []
        last = min(before, self.size()) - 1 >> _SLICE_BITS
        while last >= 0 and len(found) < limit:
            # Below slice 0 there is none; the list has always one length, so that the statement is found again.
            slices = range(last, last - _SLICES_AT_ONCE, -1)
            rows = self._store.read_in(_FIND, tokens, (before, *slices))
            found += sorted((int(row[0]) for row in rows), reverse=True)
            last = slices[-1] - 1
        return found[:limit]

    def search(
        self,
        *,
        kind: str = "",
        purpose: str = "",
        recipient: str = "",
        actor: str = "",
        since: int | None = None,
        until: int | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> Found:
        """Give entries of everybody, newest first, that say what is asked for.

        Units:  since and until are UTC epoch microseconds, until excluded.
        What is sealed can only be compared once it is opened, so at most 50,000 are looked at; `next` goes on there.
        Entries whose key is gone are given when only kind and time are asked for.
        """
        wheres, params = ["(at, entry_index) < (?, ?)"], list[Any]()
        for clause, value in (("kind = ?", kind or None), ("at >= ?", since), ("at < ?", until)):
            if value is not None:
                wheres.append(clause)
                params.append(value)
        wanted = {"purpose": purpose, "recipient": recipient, "actor_id": actor}
        wanted = {name: value for name, value in wanted.items() if value}
        found: list[Recorded] = []
        end = self._place_of(before)
        n_looked_at = 0
        while n_looked_at < _MOST_SEARCHED:
            # By time and then by index, as the index of times lies: an old window costs no more than a new one.
            rows = self._store.read(
                f"SELECT {_COLUMNS} FROM ledger_entry WHERE {' AND '.join(wheres)} "
                "ORDER BY at DESC, entry_index DESC LIMIT ?",
                (*end, *params, _CHUNK),
            )
            for one in self._opened(rows):
                if _says(one, wanted):
                    found.append(one)
                    if len(found) == limit:
                        return Found(found, one.entry_index)
            if len(rows) < _CHUNK:
                return Found(found, None)
            end = (int(rows[-1][1]), int(rows[-1][0]))
            n_looked_at += len(rows)
        return Found(found, end[1])

    def _place_of(self, before: int | None) -> tuple[int, int]:
        if before is None:
            return _LAST, _LAST
        rows = self._store.read("SELECT at FROM ledger_entry WHERE entry_index = ?", (before,))
        if not rows:
            raise UnknownEntry(before, self.size())
        return int(rows[0][0]), before

    def _opened(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Recorded]:
        ciphers = self._keys.find_ciphers({bytes(row[3]) for row in rows})
        for index, at, kind, token, _, sealed in rows:
            cipher = ciphers.get(bytes(token))
            opened = None if cipher is None else unseal(cipher, bytes(token), bytes(sealed))
            yield Recorded(int(index), int(at), str(kind), None if opened is None else decode_entry(opened[1]))

    # -- proving

    def verifier_key(self) -> str:
        """Give the public key that checkpoints and proofs are checked with: name+id+key."""
        return verifier_key(self._keys.public_key)

    def checkpoint(self, copy_to: Path | None = None) -> str:
        """Sign what the ledger is now, keep it, and add it to a second file. The same ledger gives the same text."""
        with self._store.snapshot() as reading:
            note = self._sign(reading)
        self._keep(note)
        if copy_to is not None:
            _add_to_file(copy_to, note)
        return note

    def prove(self, index: int) -> str:
        """Prove that an entry stands in the ledger, as a text that `verify_inclusion` needs nothing else for.

        The text holds the entry itself while its key lives: hand it to nobody but the person, or who may read it.
        """
        with self._store.snapshot() as reading:
            size = size_of(reading)
            rows = reading.read(f"SELECT {_COLUMNS} FROM ledger_entry WHERE entry_index = ?", (index,))
            if not rows:
                raise UnknownEntry(index, size)
            path = inclusion_path(index, size, partial(load_node, reading))
            note = self._sign(reading)
        self._keep(note)
        _, at, kind, token, commitment, sealed = rows[0]
        cipher = self._keys.find_ciphers([bytes(token)]).get(bytes(token))
        opened = None if cipher is None else unseal(cipher, bytes(token), bytes(sealed))
        salt, text = opened or (None, None)
        leaf = Leaf(
            int(at),
            str(kind),
            bytes(token),
            bytes(commitment),
            sha256(bytes(sealed)).digest(),
            self._keys.public_key,
            salt,
            text,
        )
        return write_inclusion(leaf, index, path, note)

    def prove_growth(self, old_note: str) -> str:
        """Prove that the ledger of an old checkpoint is the beginning of this one. Raises NoteInvalid, ProofInvalid."""
        old = open_checkpoint(old_note, self._keys.public_key)
        with self._store.snapshot() as reading:
            size = size_of(reading)
            if old.size > size:
                raise ProofInvalid("the ledger is shorter than the checkpoint: entries are gone")
            path = consistency_path(old.size, size, partial(load_node, reading))
            note = self._sign(reading)
        self._keep(note)
        return write_consistency(old.size, path, note)

    def standing(self) -> Standing | None:
        """Say how the newest checkpoint stands to the tree, in a few reads; None when there is none yet."""
        with self._store.snapshot() as reading:
            rows = reading.read(
                "SELECT tree_size, note, made_at FROM ledger_checkpoint "
                "WHERE tree_size = (SELECT MAX(tree_size) FROM ledger_checkpoint)"
            )
            if not rows:
                return None
            size, _, made_at = rows[0]
            return Standing(int(size), made_at, all(self._is_true(reading, int(size), str(row[1])) for row in rows))

    def _is_true(self, reading: Reading, size: int, note: str) -> bool:
        try:
            told = open_checkpoint(note, self._keys.public_key)
            return told.size == size <= size_of(reading) and told.root == root_at(size, partial(load_node, reading))
        except (NoteInvalid, LedgerDamaged):
            return False

    def checkpoints(self) -> list[str]:
        """Give every checkpoint that was signed, the oldest first."""
        return [str(row[0]) for row in self._store.read("SELECT note FROM ledger_checkpoint ORDER BY tree_size, note")]

    def check(self, known: Iterable[str] = ()) -> Checked:
        """Read the whole ledger and say what does not fit: row by row, node by node, checkpoint by checkpoint.

        `known` are checkpoints that somebody else kept, or texts that hold many. Without any, only those in the
        journal itself are compared, which whoever altered it may have taken out too.
        """
        notes = [note for text in known for note in (find_notes(text) or [text])]
        with self._store.snapshot() as reading:
            return check_all(reading, self._keys, notes)

    def _sign(self, reading: Reading) -> str:
        size = size_of(reading)
        return sign_checkpoint(size, root_at(size, partial(load_node, reading)), self._keys.signing_seed)

    def _keep(self, note: str) -> None:
        standing = self.standing()
        if standing is not None and not standing.is_true:
            return  # kept as the newest, it would hide the one that does not fit
        size = int(note.split("\n", 2)[1])
        if not self._store.read("SELECT 1 FROM ledger_checkpoint WHERE tree_size = ? AND note = ?", (size, note)):
            with self._store.transaction() as tx:
                tx.execute(
                    "INSERT INTO ledger_checkpoint (tree_size, note, made_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (size, note, self._keys.now()),
                )


def _says(one: Recorded, wanted: dict[str, str]) -> bool:
    if not wanted:
        return True
    return one.entry is not None and all(getattr(one.entry, name, None) == value for name, value in wanted.items())


def _add_to_file(path: Path, note: str) -> None:
    """Add a checkpoint to a file, unless it stands last there; it is on disk when this returns."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        last = os.pread(descriptor, len(note.encode()), max(0, size - len(note.encode())))
        if last == note.encode():
            return
        # An empty line between two; a line of its own for what a crash cut short.
        gap = "" if size == 0 else "\n" if last.endswith(b"\n") else "\n\n"
        os.write(descriptor, (gap + note).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
