"""Who may knock: sources, their keys, and the journal of what was read.

In:    keys as they are sent.
Out:   what each may do and how busy it is; registry.db (keys), journal.db (reads).
Never: a key in plain.
"""

from tillit.access.journal import Journal, Read
from tillit.access.keys import API_SCOPES, KINDS, Key, Keys
from tillit.access.sources import Activity, SourceActivity, Sources
from tillit.store import migrations_of

REGISTRY_MIGRATIONS = migrations_of("tillit.access", room="access", folder="migrations/registry")
JOURNAL_MIGRATIONS = migrations_of("tillit.access", room="access", folder="migrations/journal")

__all__ = [
    "API_SCOPES",
    "JOURNAL_MIGRATIONS",
    "KINDS",
    "REGISTRY_MIGRATIONS",
    "Activity",
    "Journal",
    "Key",
    "Keys",
    "Read",
    "SourceActivity",
    "Sources",
]
