"""`tillit doctor`: how a workspace is, and when the disk will be full.

In:    a workspace.
Out:   findings, each with what to do, and a forecast.
Never: a personal value; a change.
"""

import shutil
from typing import Any, NamedTuple

from tillit.clock import DAY, SECOND, rfc3339
from tillit.flow import EngineBusy, FoldOutdated, file_lock
from tillit.store import bytes_per_day
from tillit.store.lake import Lake
from tillit.workspace import Workspace

_LAG_WARNS = 10_000  # rows; taste: a second or less of folding
_DISK_WARNS_DAYS = 30
_MOST_LOOKED = 200_000  # log rows that are looked at for what is due: about a second


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    is_well: bool
    told: str


class Report(NamedTuple):
    """What was found."""

    findings: list[Finding]
    facts: dict[str, Any]

    @property
    def is_well(self) -> bool:
        """Say whether nothing needs doing."""
        return all(f.is_well for f in self.findings)

    def lines(self) -> list[str]:
        """Give one line per finding."""
        return [f"{'ok  ' if f.is_well else 'LOOK'} {f.name:<11} {f.told}" for f in self.findings]

    def as_document(self) -> dict[str, Any]:
        """Give the report as JSON."""
        return {
            "is_well": self.is_well,
            "findings": [{"name": f.name, "is_well": f.is_well, "told": f.told} for f in self.findings],
            **self.facts,
        }


def examine(ws: Workspace) -> Report:
    """Look at everything that can go wrong slowly."""
    head, position = ws.log.head(), ws.folding.position()
    outdated = _outdated(ws)
    lake = Lake.open(ws.paths.lake, read_only=True)
    lake_position = lake.position()
    n_rows, lake_bytes = lake.size() if lake_position else (0, 0)
    lake.close()
    n_quarantined = ws.quarantine.count()
    used = ws.log.size_bytes() + ws.state.size_bytes() + lake_bytes
    free = shutil.disk_usage(ws.paths.root).free
    per_day = bytes_per_day(ws.log, used, now=ws.now())
    days_left = free / per_day if per_day else None
    mode = ws.paths.root.stat().st_mode & 0o077
    findings = [
        Finding("log", True, f"{head:,} rows, {_size(ws.log.size_bytes())}, epoch {ws.log.epoch()}"),
        Finding(
            "fold",
            outdated is None and head - position < _LAG_WARNS,
            outdated
            or f"{head - position:,} rows behind the log, state {_size(ws.state.size_bytes())}"
            + ("" if head - position < _LAG_WARNS else ". Is the engine running? `tillit serve` starts it"),
        ),
        Finding(
            "lake",
            True,
            f"{n_rows:,} events, {_size(lake_bytes)}, {max(position - lake_position, 0):,} rows behind the fold",
        ),
        Finding("purposes", True, _purposes(ws)),
        *_retention(ws),
        Finding("quarantine", True, f"{n_quarantined:,} events wait. `tillit quarantine list` shows why"),
        _ledger(ws),
        *_deliveries(ws),
        Finding(
            "folder", mode == 0, "only its owner may enter" if mode == 0 else "others may enter: chmod 700 the folder"
        ),
        Finding(
            "disk",
            days_left is None or days_left > _DISK_WARNS_DAYS,
            f"{_size(free)} free; "
            + (
                f"at {_size(per_day)} a day it is full in {days_left:,.0f} days"
                if days_left is not None and per_day
                else "not enough history for a forecast"
            ),
        ),
    ]
    facts = {
        "log": {"head": head, "bytes": ws.log.size_bytes(), "epoch": ws.log.epoch()},
        "fold": {"position": position, "lag": head - position, "bytes": ws.state.size_bytes()},
        "lake": {"position": lake_position, "events": n_rows, "bytes": lake_bytes},
        "quarantine": {"waiting": n_quarantined},
        "disk": {"free": free, "per_day": per_day, "days_left": days_left},
        "newest_at": rfc3339(ws.log.head_logged_at()) if head else None,
    }
    return Report(findings, facts)


def _ledger(ws: Workspace) -> Finding:
    standing, n_entries = ws.ledger.standing(), ws.ledger.size()
    if standing is None:
        return Finding(
            "ledger", True, f"{n_entries:,} entries, no checkpoint yet: `tillit ledger checkpoint` makes one"
        )
    since = f"checkpoint of {standing.size:,} entries made {_age(standing.made_at, ws.now())}"
    if not standing.is_true:
        return Finding("ledger", False, f"{since} does not fit: it was altered. `tillit ledger check` finds where")
    return Finding("ledger", True, f"{n_entries:,} entries, newest {since}; it fits")


def _deliveries(ws: Workspace) -> list[Finding]:
    told = ws.messages.destinations()
    if not told:
        return []
    sick = [one for one in told if one["state"] in ("paused", "resting", "failing")]
    why = "; ".join(f"{one['destination']} is {one['state']} ({one['pause_code'] or one['fail_code']})" for one in sick)
    is_running = _has_courier(ws)
    n_waiting = sum(one["counts"].get("waiting", 0) for one in told)
    n_unknown = ws.messages.count_doubtful()
    return [
        Finding(
            "delivery",
            not sick,
            f"{len(told):,} destinations" + (f": {why}. `tillit destination show NAME` says more" if sick else ""),
        ),
        Finding(
            "courier",
            is_running or not n_waiting,
            f"{n_waiting:,} deliveries wait; it is "
            + ("running" if is_running else "not running: nothing leaves. `tillit serve` starts it"),
        ),
        Finding(
            "messages",
            n_unknown == 0,
            f"{n_unknown:,} may have arrived, nobody knows"
            + (". `tillit message list --state unknown` names them" if n_unknown else ""),
        ),
    ]


def _has_courier(ws: Workspace) -> bool:
    try:
        with file_lock(ws.paths.courier_lock, "courier"):
            return False
    except EngineBusy:
        return True


def _age(at: int | None, now: int) -> str:
    if at is None:
        return "by an older version"
    minutes = max(now - at, 0) // (60 * SECOND)
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60:,} h ago"


def _purposes(ws: Workspace) -> str:
    declared = ws.consent.declared()
    named = ", ".join(declared.purposes)
    if declared.is_built_in:
        return f"none were declared: the two built-in ones hold ({named}). `tillit apply purposes/` declares yours"
    return f"{len(declared.purposes)} are declared: {named}"


def _retention(ws: Workspace) -> list[Finding]:
    if not ws.retention.is_declared():
        return []
    told, last = ws.retention.outline(most=_MOST_LOOKED), ws.retention.last()
    swept = f"last swept {rfc3339(last.swept_at)}" if last is not None else "never swept"
    is_late = told.n_due > 0 and (last is None or ws.now() - last.swept_at > DAY)
    rest = ". `tillit serve` sweeps hourly, `tillit privacy retention --yes` now" if is_late else ""
    least = "" if told.is_whole else "at least "
    held = f", {told.n_held:,} held" if told.n_held else ""
    return [Finding("retention", not is_late, f"{swept}, {least}{told.n_due:,} events are due{held}{rest}")]


def _outdated(ws: Workspace) -> str | None:
    try:
        ws.folding.trusted_position()
    except FoldOutdated as error:
        return error.message
    return None


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:,.0f} {unit}" if unit == "B" else f"{n_bytes:,.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} TB"
