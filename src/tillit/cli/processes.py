"""The processes of a served workspace: web (takes and answers), engine (folds), keeper (lake, retention), courier.

In:    a workspace folder; for web, the listening socket and what it shares with the others.
Out:   one process each, that stops when told or when its parent is gone.
Never: two engines (a kernel lock); what shows pages, loaded where none is shown.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from tillit import clock
from tillit.cli.parent import WorkerStarter, stop_with_parent
from tillit.collect.files import forget_rejects, forget_uploads
from tillit.errors import BusyError, TillitError
from tillit.flow import EngineBusy, LakeWriter, file_lock
from tillit.ledger import LedgerDamaged
from tillit.store.lake import Lake
from tillit.workspace import Workspace, forget_plans
from tillit.workspace.exports import KEPT, forget_exports

_HOUR_S = 3600.0
_SHARED_ANEW_S = 60.0


def imports(path: Path, parent: int) -> int:
    """Import uploaded files, one after the other, until none waits."""
    from tillit.cli.import_worker import run_imports

    os.nice(10)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        run_imports(workspace, stop)
    return 0


def plans(path: Path, parent: int) -> int:
    """Find out what rules would change that somebody tries, one after the other, until none waits."""
    from tillit.cli.plan_worker import run_plans

    os.nice(10)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        workspace.folding.leave_to_others()
        run_plans(workspace, stop)
    return 0


def retention(path: Path, parent: int) -> int:
    """Forget what no purpose keeps any more, once."""
    from tillit.cli.retention import note_sweep

    os.nice(10)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        workspace.folding.leave_to_others()
        with contextlib.suppress(EngineBusy):  # somebody sweeps at the command line
            note_sweep(workspace, workspace.retention.sweep(is_over=stop.is_set), "keeper")
    return 0


def engine(path: Path, parent: int) -> int:
    """Fold until told to stop."""
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        while not stop.is_set():
            try:
                folding = workspace.folding.engine()
            except EngineBusy:
                # The engine of a server that was killed is still on its way out.
                stop.wait(0.2)
                continue
            folding.run(stop, poll_s=workspace.settings.engine.poll_ms / 1000)
        workspace.folding.release()
    return 0


def courier(path: Path, parent: int) -> int:
    """Send what is to leave, until told to stop."""
    import asyncio

    os.nice(5)  # whoever sends events comes first
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        workspace.folding.leave_to_others()
        while not stop.is_set():
            try:
                with file_lock(workspace.paths.courier_lock, "courier"):
                    asyncio.run(_carry(workspace, stop))
            except EngineBusy:
                stop.wait(0.2)
    return 0


async def _carry(workspace: Workspace, stop: threading.Event) -> None:
    import asyncio

    carrying = workspace.deliveries.courier("courier")
    working = asyncio.create_task(carrying.run())
    told = asyncio.create_task(asyncio.to_thread(stop.wait))
    await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
    has_failed = working.done()
    stop.set()
    carrying.stop()
    await working
    assert not has_failed, "a courier that nobody stops goes on"


def keeper(path: Path, parent: int) -> int:
    """Let the lake follow the fold, trim the log, let quarantined bytes expire, sign the ledger, until told to stop."""
    stop = _stop_event(parent)
    with Workspace(path) as workspace:
        while not stop.is_set():
            try:
                with file_lock(workspace.paths.lake_lock, "lake"):
                    _keep(workspace, stop)
            except EngineBusy:
                stop.wait(0.2)
    return 0


def _keep(workspace: Workspace, stop: threading.Event) -> None:
    settings = workspace.settings
    lake = Lake.open(workspace.paths.lake)
    writer = LakeWriter(workspace.log, workspace.state, lake)
    housekeeping_at = 0.0
    sharing = Sharing(workspace)
    sweeps = WorkerStarter("retention", workspace.paths.root)
    while not stop.wait(settings.lake.flush_s):
        if writer.catch_up():
            lake.compact()
        sharing.step()
        if clock.monotonic_s() >= housekeeping_at:
            housekeeping_at = clock.monotonic_s() + _HOUR_S
            now = workspace.now()
            workspace.folding.clear_checks()
            kept_from = now - settings.collect.quarantine_days * clock.DAY
            workspace.quarantine.expire(kept_from)
            forget_rejects(workspace.paths.rejects, before=kept_from)
            forget_uploads(workspace.paths.uploads, before=kept_from)
            forget_plans(workspace.paths.plans, before=now - clock.DAY)
            forget_exports(workspace.paths.exports, before=now - KEPT)
            if workspace.retention.is_declared():
                sweeps.start()
            if workspace.ledger.size():
                with contextlib.suppress(LedgerDamaged):  # `tillit doctor` tells of it; the lake goes on
                    workspace.ledger.checkpoint(workspace.paths.ledger_checkpoints)
            if settings.log.retention_days:
                writer.trim(now - settings.log.retention_days * clock.DAY)
    lake.close()


class Sharing:
    """Lets the tables for others follow the lake: at once while that is cheap, else a tenth of the time."""

    def __init__(self, workspace: Workspace) -> None:
        """Nothing is shared yet."""
        self._workspace = workspace
        self._position = -1
        self._next_s = self._latest_s = 0.0

    def step(self) -> None:
        """Do a round when something happened since the last, or when a consent may have ended by itself."""
        position, now_s = self._workspace.folding.position(), clock.monotonic_s()
        if now_s < self._next_s or (position == self._position and now_s < self._latest_s):
            return
        with contextlib.suppress(BusyError):
            self._workspace.shares.share_all()
            self._position = position
        took_s = clock.monotonic_s() - now_s
        self._next_s, self._latest_s = now_s + 10 * took_s, now_s + max(_SHARED_ANEW_S, 10 * took_s)


def _stop_event(parent: int) -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop_with_parent(parent, stop.set)
    return stop


def main(arguments: list[str]) -> int:
    """Run one process: `engine FOLDER PARENT`, `keeper`, `courier`, `imports`, `plans`, `retention`.

    `web FOLDER PARENT LISTENER HOLDING NUMBER N`: LISTENER and HOLDING are descriptors; NUMBER of N from 0. PARENT is
    the supervisor's process id.
    """
    # Each kind loads what it needs: engine and keeper start in a third of the time without what shows pages.
    kind, folder, parent = arguments[0], Path(arguments[1]), int(arguments[2])
    try:
        if kind == "web":
            from tillit.cli.sharing import Holding
            from tillit.cli.web import web

            listener, shared, number, n_web = map(int, arguments[3:7])
            return web(folder, parent, socket.socket(fileno=listener), holding=Holding(shared, n_web), number=number)
        kinds = {
            "courier": courier,
            "engine": engine,
            "imports": imports,
            "keeper": keeper,
            "plans": plans,
            "retention": retention,
        }
        return kinds[kind](folder, parent)
    except TillitError as error:
        print(f"{kind}: {error.message}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
