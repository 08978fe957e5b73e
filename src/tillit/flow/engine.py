"""The engine: keeps the fold and the lake close behind the log.

In:    the log.
Out:   state and lake, a few milliseconds and a few seconds behind.
Never: two folds of one workspace at once (a kernel lock); work on an idle log beyond a look every few milliseconds.
"""

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tillit import clock
from tillit.audience import CORRECTION, Memberships, Touched, clear_touched, read_touched, unfilled
from tillit.errors import BusyError
from tillit.flow.audiences import Judging, keep_tapes
from tillit.flow.changeover import Beside, take_over
from tillit.flow.fold import Fold, Garbage, quiet_garbage_collector
from tillit.flow.forget import FORGET, forget_in_log
from tillit.flow.judges import Judge, Judges
from tillit.flow.permissions import judge_due
from tillit.identity import applied_rules, find_values_of_many, newest_rules, value_row
from tillit.language.values import NEVER
from tillit.records import KIND_ACT, KIND_EVENT, KIND_TICK, TRUST_OPERATOR, LogRow, NewRow
from tillit.store import Log, State
from tillit.store.lake import Lake

_IDLE_AFTER = 200  # looks without news before the engine looks less often
_IDLE_PAUSE_S = 0.02
_MANY_PAUSE_S = 1.0  # between two looks for values that stand for many
_LAKE_ROWS = 50_000  # rows per commit of the lake: about 40 MB while it is built
_TICKS_APART_US = 100_000  # between two rows that tell the time alone
_MOMENT_US = 1_000_000  # of the log's time between two judgements of audiences
_KEPT_APART_S = 60.0  # without news, before a process that judges is let go; it takes a second to start
_LOOK_AFTER = 8  # large micro-batches between two looks at what else audiences wait for
_EMPTY_RUN = 5_000  # log rows that hold nothing for the lake before their passing is worth a commit; below _LAKE_ROWS


class EngineBusy(BusyError):
    """Another process folds this workspace."""

    code = "flow.engine-busy"

    def __init__(self, what: str, holder: str) -> None:
        """Say who holds it."""
        super().__init__(
            f"Another process ({holder}) already holds the {what} of this workspace. Stop it first, or use its doors.",
            holder=holder,
        )


@contextmanager
def file_lock(path: Path, what: str) -> Iterator[int]:
    """Hold a kernel lock that dies with its process; raise EngineBusy when someone else has it.

    Gives the descriptor: a process that gets it holds the lock, too.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "unknown"
            raise EngineBusy(what, holder) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


class Engine:
    """Folds the log into state. Made while holding the engine lock."""

    def __init__(
        self,
        log: Log,
        state: State,
        lake_path: Path,
        beside_path: Path,
        *,
        now: Callable[[], int],
        batch_rows: int,
        tick_s: int,
        adult_age: int,
        taken: Callable[[], int] | None = None,
        memberships: Memberships | None = None,
        judge_apart_rows: int = 0,
        start_apart: "Callable[[], subprocess.Popen[bytes] | None]" = lambda: None,
    ) -> None:
        """Open the fold where it stood and refuse to run beyond the log's end.

        `beside_path` is where other rules are folded before they are taken over; `taken` says up to which position
        couriers took what the outbox asks for (None: there is none); `memberships` is where it is written who is in
        which audience (None: nobody is judged). From micro-batches of `judge_apart_rows` on (0: never) people are
        judged by a process of its own, which `start_apart` starts (None: it cannot be).
        """
        self.log = log
        self.state = state
        self._lake_path = lake_path
        self._lake: Lake | None = None
        self._beside_path = beside_path
        self._beside: Beside | None = None
        self._looked_at = -1  # where the fold was when it was last asked whether rules are to be changed
        # What another process left of a changeover: it begins anew.
        shutil.rmtree(beside_path, ignore_errors=True)
        self._now = now
        self._batch_rows = batch_rows
        self._tick_us = tick_s * 1_000_000
        self._adult_age = adult_age
        self._judged_at = -1  # where the fold was when nobody was left to be judged
        self._memberships = memberships
        self.fold = Fold(
            state,
            self.rows,
            taken=taken() if taken is not None else None,
            is_judged=memberships is not None,
            hold=self._hold,
        )
        self.fold.check_head(log.head())
        self.judges = Judges(self._judging_here, self.fold.judged, start_apart, apart_rows=judge_apart_rows)
        self._quiet = (-1, 0)  # the place of the fold at which nobody waited, and until when nobody is due

    def rows(self, positions: Sequence[int]) -> dict[int, LogRow]:
        """Read log rows again, from the lake where the log was trimmed."""
        found = self.log.get(positions)
        if len(found) < len(positions) and self.log.first_position() > 1:
            missing = [p for p in positions if p not in found]
            found.update((row.position, row) for row in self._open_lake().read_positions(missing))
        return found

    def _open_lake(self) -> Lake:
        if self._lake is None:
            self._lake = Lake.open(self._lake_path, read_only=True)
        return self._lake

    def step(self) -> int:
        """Fold the next micro-batch; say how many rows it held (0: nothing new)."""
        rows = self.log.read(self.fold.position, self._batch_rows)
        if not rows:
            return 0
        # An act changes what is already folded, so it is a micro-batch of its own.
        first_act = next((i for i, row in enumerate(rows) if row.kind == KIND_ACT), None)
        if first_act is not None:
            rows = rows[: first_act + 1] if first_act == 0 else rows[:first_act]
        if self.fold.catalog.has_any:
            # People are judged at its end: it spans no more than a moment of the log's own time.
            most = rows[0].logged_at + _MOMENT_US
            if rows[-1].logged_at > most:
                rows = rows[: next(i for i, row in enumerate(rows) if row.logged_at > most)]
        if rows[0].kind == KIND_ACT:
            self.act(rows[0])
        if self.fold.catalog.has_any:
            self.judges.part(len(rows))
        self.fold.apply(rows, epoch=self.log.epoch())
        self.judge_touched()
        return len(rows)

    # -- audiences

    def _judging_here(self) -> Judging | None:
        if self._memberships is None:
            return None
        return Judging(self.state, self._memberships, self.fold.tapes, self.fold.strands, adult_age=self._adult_age)

    def _hold(self) -> None:
        self.judges.hold()

    def judge_touched(self) -> None:
        """Judge the audiences of people of whom the last micro-batch said more, and of whoever was due by then."""
        judging, touched, is_apart = self.judges.now, self.fold.take_touched(), self.judges.is_apart
        if judging is None or not self._has_audiences(judging):
            self.fold.judged(self.fold.position)
            return
        at = self._come_under(judging)
        if self.judges.has_untold:
            self._judge_untold(judging, at)
        judging.judge_touched(touched, epoch=self.log.epoch(), position=self.fold.position, at=at)
        if not is_apart:
            self.fold.judged(self.fold.position)

    def _has_audiences(self, judging: Judge) -> bool:
        # Also while the last one that there was is being left.
        return bool(self.fold.catalog.names) or judging.is_under_any

    def _come_under(self, judging: Judge) -> int:
        rows = self.state.read("SELECT logged_at FROM fold")
        at = int(rows[0][0])
        judging.come_under(self.fold.catalog, epoch=self.log.epoch(), position=self.fold.position, at=at)
        return at

    def _judge_untold(self, judging: Judge, at: int) -> None:
        """Judge whoever was noted and not judged: a process was killed in between, or somebody was forgotten."""
        ids = read_touched(self.state)
        if ids:
            touched = Touched()
            touched.whole(ids)
            judging.judge_touched(touched, epoch=self.log.epoch(), position=self.fold.position, at=at)
            self.judges.settle()
            if judging is not self.judges.now:
                return  # it was killed meanwhile
            with self.state.transaction() as tx:
                clear_touched(tx)
        self.judges.has_untold = False

    def keep_audiences(self) -> bool:
        """Do one piece of what audiences wait for: tapes to be filled, people to be judged; say whether there was any.

        On an idle log the engine notes the time when somebody is due.
        """
        self.judges.settle()
        position, quiet_until = self._quiet
        if position == self.fold.position and self._now() < quiet_until and not self.judges.has_untold:
            return False  # an idle engine comes here fifty times a second
        self._quiet = (-1, 0)
        if keep_tapes(self.state, self.fold.catalog, self.rows, self.fold.tapes):
            return True
        judging = self.judges.now
        if judging is None or not self._has_audiences(judging):
            self._quiet = (self.fold.position, NEVER)
            return False
        at = self._come_under(judging)
        if self.judges.has_untold:
            self._judge_untold(judging, at)
        if judging.wants(at):
            return judging.step(epoch=self.log.epoch(), position=self.fold.position, at=at)
        self.judges.settle()
        if judging is not self.judges.now:
            return True  # who judges was killed
        now = self._now()
        if judging.next_due() > now:
            self._quiet = (self.fold.position, judging.next_due())
            return False
        next_tick = self.log.head_logged_at() + _TICKS_APART_US
        if now < next_tick:
            # Whoever is due one after the other leaves with one row of the log, and not with one each.
            self._quiet = (self.fold.position, next_tick)
            return False
        self.log.append([_tick_row(now)], now=now)
        return self.step() > 0

    def _is_awaited(self) -> bool:
        """Say whether audiences wait for more than what comes, as far as it is known of who judges beside."""
        judging = self.judges.now
        if judging is None or not self.judges.is_apart or self.judges.has_untold or judging.is_walking:
            return True
        if unfilled(self.state)[0]:
            return True
        return judging.next_due() <= self.log.head_logged_at()

    def walk_audiences(self) -> None:
        """Ask that everybody is judged again: what people are known by changed without a word of theirs."""
        judging = self.judges.now
        if judging is not None and self._has_audiences(judging):
            at = int(self.state.read("SELECT logged_at FROM fold")[0][0])
            judging.walk(CORRECTION, epoch=self.log.epoch(), position=self.fold.position, at=at)
            self._quiet = (-1, 0)

    def act(self, row: LogRow) -> None:
        """Do what an act in the log asks for. May be repeated."""
        act = msgspec.json.decode(row.body or b"{}")
        if act.get("act") == FORGET:
            self.judges.settle()
            forget_in_log(self.log, self.state, self.rows, act["positions"])
            self.fold.forget_people()
            self.judges.has_untold = True
            self.state.scrub()
            self._let_go()  # it may hold what was forgotten

    def catch_up(self) -> int:
        """Fold everything that is in the log now, and come under the rules that were applied last."""
        n_rows = 0
        while True:
            while n := self.step():
                n_rows += n
            self.block_what_stands_for_many()
            if self.change_rules() or self.keep_audiences():
                continue
            if self.fold.position == self.log.head():
                return n_rows

    # -- rules

    def change_rules(self) -> bool:
        """Do one piece of coming under the rules that were applied last; say whether there was any to do."""
        if self._beside is None:
            if self._looked_at == self.fold.position:
                return False
            self._looked_at = self.fold.position
            wanted = newest_rules(self.state)
            if wanted.position == applied_rules(self.state).position:
                return False
            self._beside = Beside(
                self._beside_path, wanted, log=self.log, lake=self._open_lake, rows=self.rows, live=self.state
            )
            return True
        beside = self._beside
        if newest_rules(self.state).position == beside.rules.position:
            if beside.step(self.fold.position):
                return True
            self.judges.settle()
            take_over(self.state, beside)
            self.fold.forget_memory()
            self.walk_audiences()
            self._judged_at = -1
        self._let_go()
        return True

    def _let_go(self) -> None:
        if self._beside is not None:
            self._beside.discard()
            self._beside = None
            self._looked_at = -1

    def judge(self) -> int:
        """Judge again some people of whom more was said; say how many (0: nobody is left)."""
        position = self.fold.position
        if self._judged_at == position:
            return 0
        n = judge_due(self.state, adult_age=self._adult_age, hold=self._hold)
        if n == 0:
            self._judged_at = position
        return n

    def block_what_stands_for_many(self) -> None:
        """Put into the log what the fold found to stand for many: a block, or an alarm where rules say no more."""
        busy = self.fold.take_busy()
        found = find_values_of_many(self.state, self.fold.rules, sorted(busy)) if busy else []
        if found:
            now = self._now()
            self.log.append([value_row(one, now=now) for one in found], now=now)

    def run(self, stop: threading.Event, *, poll_s: float) -> None:
        """Fold until told to stop."""
        with quiet_garbage_collector():
            self._run(stop, poll_s)

    def _run(self, stop: threading.Event, poll_s: float) -> None:
        n_looks = 0
        version = -1
        next_look_s = 0.0
        let_go_s = 0.0
        garbage = Garbage()
        while not stop.is_set():
            if clock.monotonic_s() >= next_look_s:
                # Whoever is busy would be looked at for each micro-batch.
                self.block_what_stands_for_many()
                next_look_s = clock.monotonic_s() + _MANY_PAUSE_S
            now_version = self.log.data_version()
            if now_version == version:
                if self.change_rules() or self.judge() or self.keep_audiences():
                    continue
                n_looks += 1
                if n_looks == _IDLE_AFTER:
                    garbage.look_through()
                stop.wait(poll_s if n_looks < _IDLE_AFTER else max(poll_s, _IDLE_PAUSE_S))
                if n_looks % 50 == 0:
                    self.tick()
                    if clock.monotonic_s() > let_go_s:
                        self.judges.come_here()
                continue
            version = now_version
            n_large = 0
            while n_rows := self.step():
                n_looks = 0
                self.judge()
                # Who judges beside would be waited for each time.
                n_large = n_large + 1 if n_rows == self._batch_rows and self.judges.is_apart else 0
                if not n_large or (n_large % _LOOK_AFTER == 0 and self._is_awaited()):
                    self.keep_audiences()
                garbage.hide()
            self.change_rules()
            let_go_s = clock.monotonic_s() + _KEPT_APART_S

    def tick(self) -> None:
        """Note the time in the log when it has been idle for long enough."""
        now = self._now()
        if self.log.head() and now - self.log.head_logged_at() >= self._tick_us:
            self.log.append([_tick_row(now)], now=now)


def _tick_row(now: int) -> NewRow:
    return NewRow(KIND_TICK, "engine", TRUST_OPERATOR, now, now, bytes(16), b"{}")


class LakeWriter:
    """Takes applied events from the log into the lake, in log order, each once."""

    def __init__(self, log: Log, state: State, lake: Lake) -> None:
        """Take the three stores."""
        self._log = log
        self._state = state
        self._lake = lake

    def step(self) -> int:
        """Take what the fold has applied since; say how many log rows were passed."""
        after = self._lake.position()
        folded = self._state.read("SELECT position FROM fold")
        through = min(int(folded[0][0]) if folded else 0, after + _LAKE_ROWS)
        if through <= after:
            return 0
        rows = self._log.read(after, through - after)
        rows = [row for row in rows if row.position <= through]
        first_act = next((row for row in rows if row.kind == KIND_ACT), None)
        if first_act is not None:
            if first_act.position == rows[0].position:
                self._act(first_act)
                self._lake.append([], epoch=self._log.epoch(), through=first_act.position)
                return 1
            through = first_act.position - 1
            rows = [row for row in rows if row.position <= through]
        passed_over = {
            p
            for (p,) in self._state.read(
                "SELECT position FROM fate WHERE position > ? AND position <= ? AND of_position IS NOT NULL",
                (after, through),
            )
        }
        events = [row for row in rows if row.kind == KIND_EVENT and row.position not in passed_over]
        if not events and through - after < _EMPTY_RUN and first_act is None:
            return 0
        self._lake.append(events, epoch=self._log.epoch(), through=through)
        return len(rows)

    def _act(self, row: LogRow) -> None:
        act = msgspec.json.decode(row.body or b"{}")
        if act.get("act") == FORGET:
            # Also what the fold has forgotten since: the sooner it is gone, the better.
            husks = self._log.husked()
            self._lake.forget([row.position for row in husks], husks)
            self._log.lake_forgot([row.position for row in husks])

    def catch_up(self) -> int:
        """Take everything the fold has applied so far."""
        n_rows = 0
        while n := self.step():
            n_rows += n
        return n_rows

    def trim(self, before: int) -> int:
        """Drop log rows logged before an instant that the lake has; say how many went."""
        through = self._log.position_before(before)
        through = min(through, self._lake.position())
        return self._log.trim(through) if through >= self._log.first_position() else 0


def is_held(lock: Path) -> bool:
    """Say whether a process holds a kernel lock.

    Asking takes it, shared, for a moment: an engine that starts right then tries again, as it does beside a server on
    its way out.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
