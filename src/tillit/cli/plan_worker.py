"""The worker that finds out what identity rules would change that somebody tries in the console.

In:    plans that wait, one at a time per workspace (a kernel lock).
Out:   how far each is; its result.
Never: another way to plan than `tillit plan`'s; a result of a plan that was let go.
"""

import logging
import threading

from tillit import clock
from tillit.errors import TillitError
from tillit.flow import EngineBusy, file_lock
from tillit.workspace import AskedPlan, PlanGone, Progress, Workspace

_log = logging.getLogger("tillit.plans")

_TELL_EVERY_S = 0.3


class _Stopped(Exception):
    """The plan was let go, or the server stops."""


def run_plans(ws: Workspace, stop: threading.Event) -> None:
    """Work out whatever waits; return when nothing does, or when told to stop."""
    while not stop.is_set() and ws.plans.find_next() is not None:
        try:
            with file_lock(ws.paths.run / "plans.lock", "plan"):
                while not stop.is_set() and (plan := ws.plans.find_next()) is not None:
                    _run(ws, plan, stop)
        except EngineBusy:
            # Another web process's worker is at it; it may end right before it sees what came last.
            stop.wait(0.5)


def _run(ws: Workspace, plan: AskedPlan, stop: threading.Event) -> None:
    told_at = 0.0

    def tell(reached: Progress) -> None:
        nonlocal told_at
        if stop.is_set():
            raise _Stopped
        if clock.monotonic_s() - told_at >= _TELL_EVERY_S:
            told_at = clock.monotonic_s()
            plan.state, plan.done, plan.of = "running", reached.done, reached.of
            ws.plans.save(plan)

    try:
        found = ws.rules.plan(plan.text, ws.scope(plan.purpose or None, asked_by=plan.asked_by), progress=tell)
        ws.plans.save_result(plan, found)
        plan.state, plan.done = "done", plan.of
    except (_Stopped, PlanGone):
        return  # when the server stops, the next one begins it anew
    except TillitError as exc:
        plan.state, plan.failure = "failed", exc.message
    except Exception as exc:  # noqa: BLE001 -- the worker's rim: the next plan must have its turn
        plan.state, plan.failure = "failed", f"The plan failed ({type(exc).__name__}). Please report it."
        _log.error("internal: %s in a plan", type(exc).__name__)
    try:
        ws.plans.save(plan)
    except PlanGone:
        return
