"""Folders that an older version wrote: their rows are there after the newer tables were made, but for what went."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.console.desk_in_process import NOON
from tests.still_clock import Clock
from tillit.access import JOURNAL_MIGRATIONS, REGISTRY_MIGRATIONS
from tillit.access.sessions import hash_secret
from tillit.ledger import LEDGER_MIGRATIONS
from tillit.store import SqliteState
from tillit.workspace import Workspace, create_workspace


def write_old(folder: Path) -> None:
    """Write a journal with accesses and a checkpoint, and a registry with a session, as they were before."""
    create_workspace(folder)
    with Workspace(folder) as ws:
        names = ws.paths
    names.journal.unlink()
    names.registry.unlink()
    with closing(SqliteState(names.journal)) as journal:
        journal.migrate(JOURNAL_MIGRATIONS[:2])
        journal.migrate(LEDGER_MIGRATIONS[:1])
        with journal.transaction() as tx:
            tx.execute("INSERT INTO access VALUES (1, ?, 'k_1', 'GET /x', 'service', 'p-read-by-many', 1)", (NOON,))
            tx.execute("INSERT INTO ledger_checkpoint (tree_size, note) VALUES (0, 'of before')")
    with closing(SqliteState(names.registry)) as registry:
        registry.migrate(REGISTRY_MIGRATIONS[:3])
        with registry.transaction() as tx:
            tx.execute("INSERT INTO operator VALUES ('op_1', 'kim', 'Kim', 'admin', NULL, NULL, ?, NULL)", (NOON,))
            row = (hash_secret("cookie"), "s_1", "op_1", "link", NOON, NOON, NOON + 1)
            tx.execute("INSERT INTO console_session VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def test_a_folder_of_before_is_opened_with_its_sessions_and_checkpoints_and_without_the_old_list(
    tmp_path: Path,
) -> None:
    write_old(tmp_path / "shop")
    for _ in range(2):
        with Workspace(tmp_path / "shop", now=Clock(NOON).now) as ws:
            session = ws.sessions.find("cookie")
            standing = ws.ledger.standing()
            opened = ws.openings.list_since(0)
            journal = ws.paths.journal

    assert session is not None
    assert (session.operator_id, session.purpose) == ("op_1", "")
    assert standing is not None
    assert (standing.made_at, standing.is_true) == (None, False)
    assert opened == []
    assert b"p-read-by-many" not in journal.read_bytes()
