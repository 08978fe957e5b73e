"""The folder of a workspace: which file is what, made and opened alike everywhere.

In:    a path, settings.
Out:   paths, the stores that lie at them.
Never: a folder that others may enter; a state file thrown away that the log could not tell again.
"""

import contextlib
import os
from pathlib import Path

from tillit.access import JOURNAL_MIGRATIONS, REGISTRY_MIGRATIONS
from tillit.audience import MEMBERSHIP_MIGRATIONS
from tillit.deliver import DELIVERIES_MIGRATIONS
from tillit.deliver.secrets import DELIVERY_SECRET_MIGRATIONS
from tillit.errors import SettingsError
from tillit.flow import file_lock, prepare
from tillit.ledger import LEDGER_MIGRATIONS
from tillit.privacy import REQUEST_MIGRATIONS
from tillit.privacy.erasure import ERASURE_MIGRATIONS, SECRET_MIGRATIONS, make_secrets
from tillit.settings import Settings
from tillit.store import Log, PostgresState, SqliteState, State
from tillit.store.migrations import MigrationChanged
from tillit.store.sqlite import StoreBroken

MARK = "tillit.toml"


class NoWorkspace(SettingsError):
    """The folder is not a workspace."""

    code = "workspace.missing"

    def __init__(self, path: Path) -> None:
        """Name the folder and the command that makes one."""
        super().__init__(
            f"{path} is not a workspace: it has no {MARK}. Make one with `tillit init {path}`.", path=str(path)
        )


class Paths:
    """Where things lie in a workspace."""

    def __init__(self, root: Path) -> None:
        """Name every file once."""
        self.root = root
        self.settings = root / MARK
        self.log = root / "log.db"
        self.state = root / "state.db"
        self.registry = root / "registry.db"
        self.journal = root / "journal.db"
        self.deliveries = root / "deliveries.db"
        self.audiences = root / "audiences.db"
        self.erasures = root / "erasures.db"  # apart from the back-ups: it is never restored to an older moment
        self.certificates = root / "erasures"
        self.exports = root / "exports"
        self.ledger_keys = root / "ledger-keys.db"
        self.ledger_checkpoints = root / "ledger-checkpoints.txt"
        self.lake = root / "lake" / "events"
        self.shared = root / "lake" / "shared"
        self.rejects = root / "rejects"
        self.uploads = root / "uploads"
        self.run = root / "run"
        self.plans = self.run / "plans"
        self.history = self.run / "history"  # which event is whose, kept for questions about everybody
        self.engine_lock = self.run / "engine.lock"
        self.courier_lock = self.run / "courier.lock"
        self.lake_lock = self.run / "lake.lock"
        self.share_lock = self.run / "share.lock"
        self.changeover = self.run / "changeover"  # a state under rules that are to be taken over
        self.erasure_lock = self.run / "erasure.lock"
        self.retention_lock = self.run / "retention.lock"
        self.serve_lock = self.run / "serve.lock"
        self.serve_url = self.run / "serve.url"


def create_workspace(path: Path) -> Paths:
    """Make a workspace folder that only its owner may enter; an existing one is left as it is."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    paths = Paths(path)
    for folder in (paths.rejects, paths.run, paths.lake.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not paths.settings.exists():
        paths.settings.write_text(
            "# Settings of this workspace. `tillit settings sample` prints all of them.\n", encoding="utf-8"
        )
        paths.settings.chmod(0o600)
    with (
        contextlib.closing(Log.open(paths.log)),
        contextlib.closing(open_registry(paths)),
        contextlib.closing(open_journal(paths)),
        contextlib.closing(open_erasures(paths)),
        contextlib.closing(open_deliveries(paths)),
        contextlib.closing(open_audiences(paths)),
    ):
        pass
    # SQLite syncs this folder when it first writes, nobody the one above: a power cut may not take the workspace whole.
    for folder in (path, path.resolve().parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return paths


def discard_unreadable_state(path: Path) -> bool:
    """Delete a state file that is damaged or of another version, so that it can be folded anew; say whether it was.

    Raises: EngineBusy while a server runs.
    """
    paths = Paths(path)
    if Settings.load(path).state.url or not paths.state.exists():
        return False
    try:
        with contextlib.closing(SqliteState(paths.state)) as state:
            if state.read("PRAGMA quick_check(1)") == [("ok",)]:
                prepare(state)
                return False
    except (StoreBroken, MigrationChanged):
        pass  # what it holds can be told again from the log
    with file_lock(paths.engine_lock, "fold"):
        for end in ("", "-wal", "-shm"):
            Path(f"{paths.state}{end}").unlink(missing_ok=True)
    return True


def open_registry(paths: Paths) -> SqliteState:
    """Open the file of keys, operators and sessions."""
    store = SqliteState(paths.registry, synchronous="FULL", cache_kb=512)
    store.migrate(REGISTRY_MIGRATIONS)
    store.migrate(SECRET_MIGRATIONS)
    store.migrate(DELIVERY_SECRET_MIGRATIONS)
    make_secrets(store)
    return store


def open_journal(paths: Paths) -> SqliteState:
    """Open the file of who read and who did what, and who received what."""
    # FULL: a disclosure is on disk before anything leaves, also when the power goes.
    store = SqliteState(paths.journal, synchronous="FULL", cache_kb=8_192)
    store.migrate(JOURNAL_MIGRATIONS)
    store.migrate(LEDGER_MIGRATIONS)
    store.migrate(REQUEST_MIGRATIONS)
    return store


def open_deliveries(paths: Paths) -> SqliteState:
    """Open the file of what left and what is to leave."""
    # FULL: an attempt is on disk before the wire, also when the power goes.
    store = SqliteState(paths.deliveries, synchronous="FULL", cache_kb=8_192)
    store.migrate(DELIVERIES_MIGRATIONS)
    return store


def open_audiences(paths: Paths) -> SqliteState:
    """Open the file of who is in which audience, and was."""
    # FULL: a change that was told stays told, also when the power goes.
    store = SqliteState(paths.audiences, synchronous="FULL", cache_kb=65_536)
    store.migrate(MEMBERSHIP_MIGRATIONS)
    return store


def open_erasures(paths: Paths) -> SqliteState:
    """Open the file of who was erased."""
    store = SqliteState(paths.erasures, synchronous="FULL", cache_kb=512)
    store.migrate(ERASURE_MIGRATIONS)
    return store


def open_state(paths: Paths, settings: Settings, *, read_only: bool = False) -> State:
    """Open the engine that keeps derived state: SQLite in the folder, or PostgreSQL by its address."""
    if settings.state.url:
        return PostgresState(settings.state.url)
    return SqliteState(paths.state, read_only=read_only)
