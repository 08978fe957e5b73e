"""Engines: log, state, lake. Connections, transactions, bulk reads and writes, migrations, leases.

In:    rows and SQL that rooms own.
Out:   the same, kept.
Never: a concept.
"""

from tillit.store.growth import bytes_per_day
from tillit.store.log import GroupCommit, Log
from tillit.store.migrations import Migration, migrations_of
from tillit.store.postgres import PostgresState
from tillit.store.sqlite import StoreFull, StoreLocked, StoreReadOnly, StoreUnreachable
from tillit.store.state import Reading, SqliteState, State, Writing

__all__ = [
    "GroupCommit",
    "Log",
    "Migration",
    "PostgresState",
    "Reading",
    "SqliteState",
    "State",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "StoreUnreachable",
    "Writing",
    "bytes_per_day",
    "migrations_of",
]
