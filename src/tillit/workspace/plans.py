"""Plans: identity rules that somebody tries, and what a worker found that they would change.

In:    a text of rules, who asks; from the worker how far it is, and the result.
Out:   one plan of each who asks, in a folder that only its owner may enter.
Never: a result kept beyond a day, beside a newer one of the same person, or past somebody's being forgotten.

Files rather than a table: web processes ask, one worker reads, and each file is replaced whole.
"""

import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from tillit.clock import DAY
from tillit.errors import NotFound

_KEPT = DAY


class PlanGone(NotFound):
    """A plan is no longer kept."""

    code = "identity.plan-gone"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "This plan is no longer kept: a newer one was made, a day has passed, or somebody was forgotten since. "
            "Try the rules again."
        )


class AskedPlan(msgspec.Struct, kw_only=True):
    """Rules that somebody tries. Grain: one per plan_id; of each who asks there is one. Holds nobody's values."""

    plan_id: str
    text: str
    against: str | None  # the action by which the rules came that held when it was asked for; None: the default
    asked_by: str
    purpose: str = ""  # for which the people in it are shown; empty: service
    asked_at: int  # UTC epoch microseconds
    state: str = "waiting"  # waiting, running, done, failed
    done: int = 0  # rows of history
    of: int = 0
    failure: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether the worker has, or will have, something to do with it."""
        return self.state in {"waiting", "running"}


class Plans:
    """The plans of one workspace."""

    def __init__(self, folder: Path, *, now: Callable[[], int]) -> None:
        """Use a folder; nothing is written yet."""
        self._folder = folder
        self._now = now

    def ask(self, text: str, *, against: str | None, asked_by: str, purpose: str = "") -> AskedPlan:
        """Put rules in the line; what the same person asked for before goes."""
        self.discard_of(asked_by)
        plan = AskedPlan(
            plan_id="p" + secrets.token_hex(8),
            text=text,
            against=against,
            asked_by=asked_by,
            purpose=purpose,
            asked_at=self._now(),
        )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / plan.plan_id).mkdir(mode=0o700)
        self.save(plan)
        return plan

    def find_of(self, asked_by: str) -> AskedPlan | None:
        """Give somebody's own plan, or None."""
        return next((one for one in self._list() if one.asked_by == asked_by), None)

    def find_next(self) -> AskedPlan | None:
        """Give the one whose turn it is: what was running when a server stopped, then whoever waits longest."""
        open_ones = [one for one in self._list() if one.is_open]
        return min(open_ones, key=lambda one: (one.state != "running", one.asked_at), default=None)

    def save(self, plan: AskedPlan) -> None:
        """Write how far it is, whole or not at all. Raises PlanGone."""
        self._write(plan, "plan", msgspec.json.encode(plan))

    def save_result(self, plan: AskedPlan, told: dict[str, Any]) -> None:
        """Write what was found. Raises PlanGone."""
        self._write(plan, "result", msgspec.json.encode(told))

    def result(self, plan: AskedPlan) -> dict[str, Any]:
        """Give what was found. Raises PlanGone."""
        try:
            found: dict[str, Any] = msgspec.json.decode((self._folder / plan.plan_id / "result").read_bytes())
        except (OSError, msgspec.MsgspecError) as exc:
            raise PlanGone from exc
        return found

    def discard_of(self, asked_by: str) -> None:
        """Remove somebody's plan; a worker that is at it sees so and stops."""
        for one in self._list():
            if one.asked_by == asked_by:
                _remove(self._folder / one.plan_id)

    def _list(self) -> list[AskedPlan]:
        found = []
        for place in self._folder.glob("p*"):
            with suppress(OSError, msgspec.MsgspecError):
                one = msgspec.json.decode((place / "plan").read_bytes(), type=AskedPlan)
                if self._now() - one.asked_at < _KEPT:
                    found.append(one)
        return found

    def _write(self, plan: AskedPlan, name: str, content: bytes) -> None:
        fresh = self._folder / plan.plan_id / f".{name}"
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(content)
            fresh.replace(self._folder / plan.plan_id / name)
        except FileNotFoundError as exc:
            raise PlanGone from exc


def forget_plans(folder: Path, *, before: int | None = None) -> None:
    """Remove plans with their results (of those asked for before an instant, when one is named)."""
    for place in folder.glob("*"):
        with suppress(FileNotFoundError):
            if before is None or place.stat().st_mtime_ns // 1000 < before:
                _remove(place)


def _remove(place: Path) -> None:
    # Away from where its worker writes before it is emptied: what is written meanwhile finds no place.
    gone = place.with_name(f".gone-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        place.replace(gone)
        shutil.rmtree(gone)
