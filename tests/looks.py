"""Who looked at whom, as the ledger tells it.

In:    a workspace.
Out:   its accesses, the newest first, those that waited among them.
Never: an entry that nobody can read any more.
"""

from __future__ import annotations

from tillit.ledger import ACCESS, Access
from tillit.workspace import Workspace


def looks(ws: Workspace) -> list[Access]:
    """Give every look at somebody."""
    ws.accesses.flush()
    return [one.entry for one in ws.ledger.search(kind=ACCESS, limit=10_000).entries if isinstance(one.entry, Access)]
