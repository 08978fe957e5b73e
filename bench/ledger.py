"""The ledger: how many disclosures and accesses a second it takes, sealed and on disk."""

import time
from pathlib import Path

from bench.baselines import sqlite_appends
from bench.figure import Figure
from tillit.ledger import LEDGER_MIGRATIONS, Access, Disclosure, Entry, Ledger, LedgerKeys
from tillit.ledger.entries import encode_entry
from tillit.store import SqliteState

_NOW = 1_795_000_000_000_000
_BATCH = 1_000


def appends(folder: Path, *, n_entries: int = 100_000, n_people: int = 20_000) -> list[Figure]:
    """Append in batches of 1,000, each synced, about people of whom each has a key of their own."""
    entries = [_entry(number, n_people) for number in range(n_entries)]
    plain = sqlite_appends([encode_entry(entry) for entry in entries], per_commit=_BATCH)
    store = SqliteState(folder / "journal.db", synchronous="FULL", cache_kb=8_192)
    store.migrate(LEDGER_MIGRATIONS)
    keys = LedgerKeys.open(folder / "ledger-keys.db", now=lambda: _NOW)
    ledger = Ledger(store, keys)
    began = time.perf_counter()
    for start in range(0, n_entries, _BATCH):
        ledger.append(entries[start : start + _BATCH])
    rate = n_entries / (time.perf_counter() - began)
    began = time.perf_counter()
    found = ledger.check()
    checked = n_entries / (time.perf_counter() - began)
    keys.close()
    store.close()
    note = f"{n_people:,} people; checked at {checked:,.0f}/s, {len(found.faults)} faults"
    return [
        Figure(
            "ledger, sealed appends in batches of 1,000", rate, "entries/s", 20_000, True, "plain SQLite", plain, note
        )
    ]


def _entry(number: int, n_people: int) -> Entry:
    who = f"p{number * 7_919 % n_people:013d}"
    if number % 2:
        return Access(
            subject_ref=who,
            actor_id="op_3f9a1c",
            role="editor",
            route="GET /api/profiles/{who}",
            purpose="service",
            at=_NOW + number,
        )
    return Disclosure(
        subject_ref=who,
        recipient="Mailer GmbH",
        role="processor",
        purpose="newsletter",
        basis="consent",
        record_position=number,
        field_names=("email", "first_name", "city"),
        data_categories=("contact",),
        channel="email",
        payload_commitment=f"{number:064x}",
        country="DE",
        decision_position=number,
        at=_NOW + number,
    )
