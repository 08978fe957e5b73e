"""Keeping derived state up: here when nobody else does, else by waiting for whoever does.

In:    the log, the state, where locks lie.
Out:   how far the fold is, rows by position, a rebuild, a comparison with one.
Never: two who fold.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tillit import clock
from tillit.audience import Memberships
from tillit.errors import BusyError
from tillit.flow import (
    Applied,
    Difference,
    Engine,
    EngineBusy,
    LakeWriter,
    carry_fates,
    compare_states,
    file_lock,
    fold_anew,
    iter_log,
    prepare,
    reset_state,
    rules_of,
    trusted_position,
)
from tillit.identity import applied_rules
from tillit.records import KIND_ACT, LogRow
from tillit.settings import Engine as EngineSettings
from tillit.store import Log, SqliteState, State
from tillit.store.lake import Lake
from tillit.workspace.folder import Paths

_LOOK_S = 0.005
_TRY_AGAIN_S = 0.5  # before it is tried again to fold here
_PATIENCE_S = 600.0  # a large person on a busy machine; taste


class Folding:
    """Keeping derived state up: here when nobody else does, else by waiting for whoever does."""

    def __init__(
        self,
        log: Log,
        state: State,
        paths: Paths,
        *,
        settings: EngineSettings,
        adult_age: int,
        lake: Callable[[], Lake],
        taken: Callable[[], int],
        memberships: Memberships,
        is_as_on_disk: Callable[[], bool],
        now: Callable[[], int],
    ) -> None:
        """Know the stores; take no lock yet.

        `is_as_on_disk` says whether another process would find the settings that hold here.
        """
        self._log = log
        self._state = state
        self._paths = paths
        self._settings = settings
        self._adult_age = adult_age
        self._lake = lake
        self._taken = taken
        self._memberships = memberships
        self._is_as_on_disk = is_as_on_disk
        self._now = now
        self._lock = -1  # the descriptor by which the engine's lock is held
        self._locks = contextlib.ExitStack()
        self._engine: Engine | None = None
        self._mutex = threading.RLock()
        self._may_fold = True

    def position(self) -> int:
        """Say how far the fold has come."""
        found = self._state.read("SELECT position FROM fold")
        return int(found[0][0]) if found else 0

    def trusted_position(self) -> int:
        """Say how far the fold has come, for whoever reads what it made. Raises FoldOutdated."""
        return trusted_position(self._state)

    def rows(self, positions: Sequence[int]) -> dict[int, LogRow]:
        """Read log rows, from the lake where the log was trimmed."""
        found = self._log.get(positions)
        missing = [p for p in positions if p not in found]
        if missing:
            found.update((row.position, row) for row in self._lake().read_positions(missing))
        return found

    def position_before(self, instant: int) -> int:
        """Say the newest position that was logged before an instant, also where the log was trimmed; 0: none was."""
        found, first = self._log.position_before(instant), self._log.first_position()
        if found >= first or first == 1:
            return found
        rows = self._lake().query("SELECT max(position) FROM events WHERE logged_at < ?", (instant,))
        return min(int(rows[0][0] or 0), found) if rows else 0

    def engine(self) -> Engine:
        """Become the one who folds. Raises EngineBusy when another process is."""
        with self._mutex:
            if self._engine is None:
                self._lock = self._locks.enter_context(file_lock(self._paths.engine_lock, "fold"))
                try:
                    self._engine = self._engine_here()
                except BaseException:
                    self._locks.close()
                    raise
            return self._engine

    def _engine_here(self) -> Engine:
        """Make an engine; the lock is held."""
        return Engine(
            self._log,
            self._state,
            self._paths.lake,
            self._paths.changeover,
            now=self._now,
            batch_rows=self._settings.batch_rows,
            tick_s=self._settings.tick_s,
            adult_age=self._adult_age,
            taken=self._taken,
            memberships=self._memberships,
            judge_apart_rows=self._settings.judge_apart_rows,
            start_apart=self._start_apart,
        )

    def _start_apart(self) -> "subprocess.Popen[bytes] | None":
        """Start a process that judges beside the fold. It holds the engine's lock as long as it lives."""
        if not self._is_as_on_disk():
            return None
        command = [sys.executable, "-m", "tillit.workspace.judging", str(self._paths.root)]
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(self._lock,), start_new_session=True
            )
        except OSError:
            return None

    def judge(self) -> None:
        """Judge again some people of whom more was said; while somebody else folds, wait a little for them to."""
        if self._may_fold:
            with self._mutex, contextlib.suppress(EngineBusy):
                self.engine().judge()
                return
        time.sleep(_LOOK_S)

    def leave_to_others(self) -> None:
        """From now on only wait in `reach`: a server's engine may be starting anew, and must find its lock free."""
        self._may_fold = False

    def reach(self, position: int, timeout_s: float) -> None:
        """Return when the fold has come to a position. Raises BusyError when it does not in time.

        When whoever folds ends meanwhile, it is done here.
        """
        deadline = clock.monotonic_s() + timeout_s
        while True:
            if self._may_fold:
                with self._mutex:
                    try:
                        self.engine().catch_up()
                    except EngineBusy:
                        pass
                    else:
                        return
            # Whoever folds may end meanwhile, or be killed.
            left_s = deadline - clock.monotonic_s()
            if self.wait(position, min(left_s, _TRY_AGAIN_S)):
                return
            if left_s <= _TRY_AGAIN_S:
                raise BusyError(
                    f"The events are on disk, but the fold did not reach position {position} in {timeout_s:.0f} s. "
                    "`tillit doctor` shows how far it is.",
                    code="flow.behind",
                )

    def reach_patiently(self, position: int) -> None:
        """Return when the fold has come to a position, for whoever must not give up. Raises BusyError after minutes."""
        self.reach(position, _PATIENCE_S)

    def wait(self, position: int, timeout_s: float) -> bool:
        """Wait for whoever folds to come to a position; say whether they did in time. Never folds here."""
        deadline = clock.monotonic_s() + timeout_s
        while self.position() < position:
            if clock.monotonic_s() > deadline:
                return False
            time.sleep(_LOOK_S)
        return True

    def write_lake(self) -> None:
        """Let the lake follow the fold, unless another process keeps it."""
        try:
            with file_lock(self._paths.lake_lock, "lake"):
                lake = Lake.open(self._paths.lake)
                LakeWriter(self._log, self._state, lake).catch_up()
                lake.close()
        except EngineBusy:
            return

    def check(self, progress: Callable[[Applied], None] | None = None) -> list[Difference]:
        """Fold the log anew beside the live state and compare (law L8): no difference is the good answer."""
        self.clear_checks()
        folder = Path(tempfile.mkdtemp(prefix="check-", dir=self._paths.run))
        try:
            with file_lock(folder / "lock", "check"), self._state.snapshot() as live:
                position, _, epoch = live.read("SELECT position, logged_at, epoch FROM fold")[0]
                anew = SqliteState(folder / "state.db", synchronous="OFF")
                rules = applied_rules(live)
                prepare(anew, rules)
                carry_fates(live, anew, before=self._log.first_position())
                blocks = iter_log(self._log, self._lake, position)
                first = self._log.first_position()
                fold_anew(anew, blocks, self.rows, epoch=epoch, rules=rules, first_position=first, progress=progress)
                found = compare_states(live, anew)
                anew.close()
            return found
        finally:
            shutil.rmtree(folder)

    def clear_checks(self) -> None:
        """Delete what checks and plans left behind that were killed: it holds what people ask to be forgotten."""
        for folder in [*self._paths.run.glob("check-*"), *self._paths.run.glob("plan-*")]:
            with contextlib.suppress(EngineBusy, FileNotFoundError), file_lock(folder / "lock", "check"):
                shutil.rmtree(folder)

    def rebuild(self, progress: Callable[[Applied], None] | None = None) -> int:
        """Throw derived state away and fold the log anew. Raises EngineBusy while a server runs."""
        with self._mutex:
            if self._engine is None:
                self._lock = self._locks.enter_context(file_lock(self._paths.engine_lock, "fold"))
            else:
                self._engine.judges.come_here()
            rules = rules_of(self._log)
            self._drop_history()
            reset_state(self._state, rules, first_position=self._log.first_position())
            acts: list[LogRow] = []

            def noting_acts() -> Iterator[list[LogRow]]:
                for block in iter_log(self._log, self._lake, self._log.head()):
                    acts.extend(row for row in block if row.kind == KIND_ACT)
                    yield block

            with self._state.hurried():
                fold = fold_anew(
                    self._state,
                    noting_acts(),
                    self.rows,
                    epoch=self._log.epoch(),
                    rules=rules,
                    first_position=self._log.first_position(),
                    taken=self._taken(),
                    progress=progress,
                )
            position = fold.position
            engine = self._engine_here()
            # An engine may have been killed in the middle of an act: the fold has now passed it for good.
            for row in acts:
                engine.act(row)
            engine.walk_audiences()
            while engine.keep_audiences():
                pass
            self._drop_history()
            self.release()
            return position

    def _drop_history(self) -> None:
        """Take away what is kept of who is who in a state that is thrown away; whoever reads it looks for it again."""
        for path in self._paths.history.glob("history-*"):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another process fold."""
        if self._engine is not None:
            self._engine.judges.come_here()
        self._engine = None
        self._locks.close()

    def close(self) -> None:
        """Apply what is left when we are the one who folds, and let go."""
        with self._mutex:
            if self._engine is not None:
                self._engine.catch_up()
                self.write_lake()
            self.release()
