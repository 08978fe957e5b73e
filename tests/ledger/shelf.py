"""A ledger in a folder, its time in the test's hands, and whoever would rewrite it.

In:    a folder.
Out:   the ledger, entries to put in; rows altered, and everything computed anew over them as a thief would.
Never: a workspace: the ledger stands alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw

from tests.still_clock import START, Clock
from tillit.ledger import LEDGER_MIGRATIONS, Access, Disclosure, Ledger, LedgerKeys
from tillit.ledger.entries import leaf_data
from tillit.ledger.merkle import Peaks, hash_leaf
from tillit.store import SqliteState

SELECT = (
    "SELECT entry_index, at, kind, subject_token, commitment, leaf_hash, sealed FROM ledger_entry ORDER BY entry_index"
)


class Shelf:
    """The two files of a ledger, open."""

    def __init__(
        self, folder: Path, clock: Clock | None = None, *, synchronous: str = "OFF", timeout_s: float = 5
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.clock = clock or Clock()
        self.path = folder / "journal.db"
        self.store = SqliteState(self.path, synchronous=synchronous, cache_kb=512, timeout_s=timeout_s)
        self.store.migrate(LEDGER_MIGRATIONS)
        self.keys = LedgerKeys.open(folder / "ledger-keys.db", now=self.clock.now)
        self.ledger = Ledger(self.store, self.keys)

    def close(self) -> None:
        self.keys.close()
        self.store.close()

    def rows(self) -> list[list[Any]]:
        return [list(row) for row in self.store.read(SELECT)]

    def write(self, sql: str, *params: Any) -> None:
        """Change the journal's file as somebody would who has it in hand."""
        connection = apsw.Connection(str(self.path))
        connection.execute(sql, params)
        connection.close()

    def rewrite(self, change: Callable[[list[list[Any]]], Iterable[list[Any]]]) -> None:
        """Change rows, then compute leaves, numbers and tree anew, and take the checkpoints out: a thief with time."""
        rows = list(change(self.rows()))
        connection = apsw.Connection(str(self.path))
        for table in ("ledger_entry", "ledger_node", "ledger_checkpoint"):
            connection.execute(f"DELETE FROM {table}")
        peaks = Peaks(0, {})
        for number, (_, at, kind, token, commitment, _, sealed) in enumerate(rows):
            leaf = hash_leaf(leaf_data(at, kind, token, commitment, sha256(sealed).digest()))
            connection.execute(
                "INSERT INTO ledger_entry (entry_index, at, kind, subject_token, commitment, leaf_hash, sealed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, at, kind, token, commitment, leaf, sealed),
            )
            for node in peaks.add([leaf]):
                connection.execute("INSERT INTO ledger_node VALUES (?, ?, ?)", node)
        connection.close()


def disclosure(who: str = "p1", *, number: int = 0, **more: Any) -> Disclosure:
    told: dict[str, Any] = {
        "subject_ref": who,
        "recipient": "Mailer GmbH",
        "role": "processor",
        "purpose": "newsletter",
        "basis": "consent",
        "record_position": 40 + number,
        "field_names": ("email", "first_name"),
        "data_categories": ("contact",),
        "channel": "email",
        "payload_commitment": "ab" * 32,
        "country": "DE",
        "at": START + number,
    }
    return Disclosure(**{**told, **more})


def access(who: str = "p1", *, number: int = 0, **more: Any) -> Access:
    told: dict[str, Any] = {
        "subject_ref": who,
        "actor_id": "op_kim",
        "role": "reader",
        "route": "GET /api/profiles/{who}",
        "purpose": "service",
        "at": START + number,
    }
    return Access(**{**told, **more})


def some(n: int, *, n_people: int = 3) -> list[Disclosure | Access]:
    """Give entries of both kinds about a few people."""
    return [
        (disclosure if number % 2 else access)(f"p{number % n_people}", number=number, purpose=f"for-{number % 4}")
        for number in range(n)
    ]


def canonical(document: Any) -> bytes:
    """Write what RFC 8785 writes, for text and whole numbers: the standard library's own way is the same there."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
