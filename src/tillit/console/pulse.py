"""How the workspace is: pace, freshness, lag, quarantine, sources, disk, and what needs somebody's hand.

In:    the log's positions, the fold's, the locks that living processes hold.
Out:   views of numbers and alarms.
Never: a walk through the log for a page. Time is found by position, whole buckets are kept, the rest is looked at
       no more often than it changes.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tillit.access import SourceActivity
from tillit.clock import DAY, HOUR, MINUTE, SECOND, rfc3339
from tillit.errors import TillitError
from tillit.flow import is_held
from tillit.records import KIND_EVENT
from tillit.store import Log, bytes_per_day
from tillit.workspace import Workspace

T = TypeVar("T")

_TAIL_ROWS = 5_000  # of the fold's end, looked at for the newest event; ticks of an idle log fill them in 14 hours
# The engine's notes of time stand in the log, too. Below so many rows a minute they would be seen, so events are
# counted one by one; above, positions are subtracted and the error is below one in a hundred.
_COUNTED_ROWS_A_MINUTE = 120
_LAG_WARNS = 10_000  # rows; taste: a second or less of folding
_LAG_GROWS_S = 5
_DISK_WARNS_DAYS = 7
_DISK_WARNS_SHARE = 0.03  # taste: below it a database has no room to tidy up
_USUAL_HOUR_WARNS = 10  # events; a source with fewer an hour may well be silent for one (taste)
_RISING_FEWEST = 20  # refused in ten minutes (taste)
_RISING_SHARE = 0.02
_QUIET_SHARE = 0.2  # of the usual hour
_VALUE_WARNS = 7 * DAY
_MOST_LOOKS = 2_000
LOOKED = "value.looked"  # the audit's word for a value that a colleague finds rightly judged


class Bucket(NamedTuple):
    """How many events arrived in one span of time."""

    at: str  # when it begins, RFC 3339
    n: int
    per_s: float


class Rates:
    """Events per bucket of time. What is over is counted once and kept."""

    def __init__(self, log: Log, *, bucket_us: int, n_buckets: int) -> None:
        """Count nothing yet."""
        self._log = log
        self._bucket_us = bucket_us
        self._n_buckets = n_buckets
        self._lock = threading.Lock()
        self._places: dict[int, int] = {}  # instant -> newest position logged before it
        self._counts: dict[int, int] = {}

    def buckets(self, *, now: int) -> list[Bucket]:
        """Give whole buckets, oldest first."""
        end = now // self._bucket_us * self._bucket_us
        begins = [end - (i + 1) * self._bucket_us for i in range(self._n_buckets)][::-1]
        with self._lock:
            self._places = {at: place for at, place in self._places.items() if at >= begins[0]}
            self._counts = {at: n for at, n in self._counts.items() if at >= begins[0]}
            return [
                Bucket(rfc3339(at), n, n * SECOND / self._bucket_us) for at in begins if (n := self._count(at)) >= 0
            ]

    def _count(self, begin: int) -> int:
        if begin not in self._counts:
            first, last = self._place(begin), self._place(begin + self._bucket_us)
            n = max(last - first, 0)
            if 0 < n <= _COUNTED_ROWS_A_MINUTE * self._bucket_us // MINUTE:
                n = sum(row[1] == KIND_EVENT for row in self._log.arrivals(first, n) if row[0] <= last)
            self._counts[begin] = n
        return self._counts[begin]

    def _place(self, at: int) -> int:
        if at not in self._places:
            self._places[at] = self._log.position_before(at)
        return self._places[at]


class Chart(NamedTuple):
    """One line, as numbers and as a drawing."""

    id: str
    title: str
    buckets: list[Bucket]
    n: int
    most: float
    line: str
    area: str
    width: int = 600
    height: int = 120


class SourceHealth(NamedTuple):
    """One source: whether it is heard as usual."""

    source: str
    n_living_keys: int
    state: str  # ok, quiet, not heard (in the last day)
    last_at: str | None
    n_last_hour: int
    usual_hour: float


class Alarm(NamedTuple):
    """Something that needs somebody's hand."""

    code: str
    level: str  # bad, warn
    title: str
    told: str
    href: str = ""
    link: str = ""


class Process(NamedTuple):
    """Whether a process of the server lives."""

    name: str
    does: str
    is_alive: bool


class Disk(NamedTuple):
    """What is used, what is free, and for how long."""

    used: str
    free: str
    days_left: float | None
    free_share: float


class PulseView(NamedTuple):
    """All of it, at one moment."""

    per_s: float  # over the last ten seconds
    n_last_hour: int
    charts: list[Chart]
    newest_at: str | None
    newest_age_s: float | None
    lag: int
    head: int
    waiting: dict[str, int]
    n_waiting: int
    sources: list[SourceHealth]
    counted_from: str | None
    disk: Disk
    processes: list[Process]
    alarms: list[Alarm]


class Pulse:
    """Feels a workspace's pulse. One per web process: pages of many operators share what was counted."""

    def __init__(self, workspace: Workspace) -> None:
        """Count nothing yet."""
        self._ws = workspace
        self._hour = Rates(workspace.log, bucket_us=MINUTE, n_buckets=60)
        self._day = Rates(workspace.log, bucket_us=15 * MINUTE, n_buckets=96)
        self._kept: dict[str, tuple[int, object]] = {}
        self._lags: list[tuple[int, int, int]] = []  # (when, lag, fold position)
        self._lock = threading.Lock()

    def view(self) -> PulseView:
        """Look at everything. Blocks for some milliseconds: call it beside the event loop."""
        ws, now = self._ws, self._ws.now()
        head, folded = ws.log.head(), ws.folding.position()
        hour, day = self._hour.buckets(now=now), self._day.buckets(now=now)
        newest = self._newest(folded)
        waiting = self._keep("waiting", 3, ws.quarantine.counts)
        sources, counted_from = self.sources()
        disk = self._keep("disk", 15, self._disk)
        per_s = self._keep("pace", 1, lambda: self._events_since(now - 10 * SECOND, head) / 10)
        processes = [
            Process("engine", "folds events into profiles", is_held(ws.paths.engine_lock)),
            Process("keeper", "writes the lake, lets go of what is too old", is_held(ws.paths.lake_lock)),
        ]
        lag = max(head - folded, 0)
        return PulseView(
            per_s=per_s,
            n_last_hour=sum(one.n for one in hour),
            charts=[
                _chart("hour", "Last hour, by minute", hour),
                _chart("day", "Last day, by quarter of an hour", day),
            ],
            newest_at=rfc3339(newest) if newest is not None else None,
            newest_age_s=max(now - newest, 0) / SECOND if newest is not None else None,
            lag=lag,
            head=head,
            waiting=waiting,
            n_waiting=sum(waiting.values()),
            sources=sources,
            counted_from=counted_from,
            disk=disk,
            processes=processes,
            alarms=self._alarms(now, lag, folded, processes, sources, disk, hour),
        )

    def sources(self) -> tuple[list[SourceHealth], str | None]:
        """Say how each source is, and from when on it was counted."""
        return self._keep("sources", 3, self._sources)

    def _newest(self, folded: int) -> int | None:
        """Give when the newest applied event was received, or None when none is near the end."""
        for span in (50, _TAIL_ROWS):
            rows = self._ws.log.arrivals(max(folded - span, 0), span)
            found = [row[3] for row in rows if row[0] <= folded and row[1] == KIND_EVENT]
            if found:
                return max(found)
        return None

    def _events_since(self, at: int, head: int) -> int:
        first = self._ws.log.position_before(at)
        n = max(head - first, 0)
        if 0 < n <= _COUNTED_ROWS_A_MINUTE:
            n = sum(row[1] == KIND_EVENT for row in self._ws.log.arrivals(first, n))
        return n

    def _sources(self) -> tuple[list[SourceHealth], str | None]:
        activity = self._ws.sources.activity()
        now = self._ws.now()
        counted_us = min(DAY, now - activity.counted_from) if activity.counted_from is not None else 0
        kinds = {key.source for key in self._ws.keys.list_all() if key.may_send}
        told = [
            source_health(one, counted_us)
            for one in activity.sources
            if one.source in kinds or one.last_received_at is not None
        ]
        counted_from = rfc3339(activity.counted_from) if activity.counted_from is not None else None
        return told, counted_from

    def _disk(self) -> Disk:
        ws = self._ws
        used = sum(file.stat().st_size for file in ws.paths.root.glob("*.db*"))
        used += sum(file.stat().st_size for file in ws.paths.lake.glob("**/*.parquet"))
        room = shutil.disk_usage(ws.paths.root)
        per_day = bytes_per_day(ws.log, used, now=ws.now())
        return Disk(
            told_bytes(used),
            told_bytes(room.free),
            room.free / per_day if per_day else None,
            room.free / room.total if room.total else 1.0,
        )

    def _alarms(
        self,
        now: int,
        lag: int,
        folded: int,
        processes: Sequence[Process],
        sources: Sequence[SourceHealth],
        disk: Disk,
        hour: Sequence[Bucket],
    ) -> list[Alarm]:
        found: list[Alarm] = []
        fault = self._keep("writable", 10, self._fault_of_log)
        if fault:
            found.append(
                Alarm(
                    "log",
                    "bad",
                    "The log takes no events",
                    f"{fault} Senders are told to try again; nothing they were thanked for is lost.",
                )
            )
        is_folding = processes[0].is_alive
        if not is_folding:
            found.append(
                Alarm(
                    "engine",
                    "bad",
                    "The engine is not running",
                    "Events are safe in the log, but profiles stand still. `tillit serve` starts the engine; "
                    "`tillit doctor` shows more.",
                )
            )
        elif self._is_lag_growing(now, lag, folded):
            found.append(
                Alarm(
                    "lag",
                    "warn",
                    f"{lag:,} events wait to be applied, and the number grows",
                    "They are safe in the log. A large import passes by itself; otherwise see where the time goes with "
                    "`tillit doctor`.",
                )
            )
        if is_folding and not processes[1].is_alive:
            found.append(
                Alarm(
                    "keeper",
                    "warn",
                    "The keeper is not running",
                    "The lake falls behind and nothing that is too old is removed. Start `tillit serve` again.",
                )
            )
        if disk.days_left is not None and disk.days_left < _DISK_WARNS_DAYS:
            found.append(
                Alarm(
                    "disk",
                    "bad",
                    f"The disk is full in about {_days(disk.days_left)}",
                    f"{disk.free} are free. Add space, or keep bodies for fewer days (setting log.retention_days).",
                )
            )
        elif disk.free_share < _DISK_WARNS_SHARE:
            found.append(Alarm("disk", "warn", f"Only {disk.free} of disk are free", "Add space before it is full."))
        found += [
            Alarm(
                "source",
                "warn",
                f"{one.source} is silent",
                f"It sends about {one.usual_hour:,.0f} events an hour and sent none in the last. Is its program "
                "running, and is its key still living?",
                "/console/sources",
                "Look at the sources",
            )
            for one in sources
            if one.usual_hour >= _USUAL_HOUR_WARNS and one.n_last_hour == 0
        ]
        n_values = self._keep("values", 30, lambda: len(values_to_look_at(self._ws)))
        if n_values:
            found.append(
                Alarm(
                    "values",
                    "warn",
                    f"{n_values:,} value{' was' if n_values == 1 else 's were'} found to stand for many",
                    "Very many people or devices said the same, as they say a test address. Is it right that it joins "
                    "nobody?",
                    "/console/identity/values",
                    "Look at " + ("it" if n_values == 1 else "them"),
                )
            )
        n_refused = self._keep("refused", 5, lambda: self._ws.quarantine.count_since(now - 10 * MINUTE))
        n_taken = sum(one.n for one in hour[-10:])
        if n_refused >= _RISING_FEWEST and n_refused > _RISING_SHARE * (n_taken + n_refused):
            found.append(
                Alarm(
                    "quarantine",
                    "warn",
                    f"{n_refused:,} events were refused in the last ten minutes",
                    "They lie in quarantine with their reasons. A sender has probably changed.",
                    "/console/quarantine",
                    "See why",
                )
            )
        return found

    def _is_lag_growing(self, now: int, lag: int, folded: int) -> bool:
        """Say whether a lag that is large grew since some seconds ago, or nothing at all was applied since."""
        with self._lock:
            self._lags = [one for one in self._lags if now - one[0] < MINUTE] + [(now, lag, folded)]
            old = next((one for one in reversed(self._lags) if now - one[0] >= _LAG_GROWS_S * SECOND), None)
        if old is None or lag == 0:
            return False
        return (lag > _LAG_WARNS and lag > old[1]) or (old[1] > 0 and old[2] == folded)

    def _fault_of_log(self) -> str:
        try:
            self._ws.log.check_writable()
        except TillitError as exc:
            return exc.message
        return ""

    def _keep(self, name: str, seconds: int, look: Callable[[], T]) -> T:
        """Look again only when what was seen is older than so many seconds."""
        now = self._ws.now()
        kept = self._kept.get(name)
        if kept is None or not 0 <= now - kept[0] < seconds * SECOND:
            kept = self._kept[name] = (now, look())
        return kept[1]  # type: ignore[return-value]  # each name is looked up with one kind of answer


def values_to_look_at(ws: Workspace) -> set[str]:
    """Give the actions of the last days by which Tillit itself judged a value, and that no colleague looked at."""
    found = ws.identity.judged_by_itself(ws.now() - _VALUE_WARNS)
    return found - {one.target for one in ws.audit.actions(limit=_MOST_LOOKS, action=LOOKED)} if found else found


def source_health(one: SourceActivity, counted_us: int) -> SourceHealth:
    """Say how one source is, from its counts of the last hour and day.

    Units: counted_us is how much of the last day was counted.
    """
    hours = max(counted_us - HOUR, 0) / HOUR
    # Less than an hour of history before the last one says nothing of what is usual.
    usual = max(one.n_last_day - one.n_last_hour, 0) / hours if hours >= 1 else 0.0
    if one.last_received_at is None:
        state = "not heard"
    elif usual >= 1 and one.n_last_hour < _QUIET_SHARE * usual:
        state = "quiet"
    else:
        state = "ok"
    return SourceHealth(
        one.source,
        one.n_living_keys,
        state,
        rfc3339(one.last_received_at) if one.last_received_at is not None else None,
        one.n_last_hour,
        usual,
    )


def told_bytes(n_bytes: float) -> str:
    """Write a size as people say it.

    >>> told_bytes(999), told_bytes(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:,.0f} {unit}" if unit == "B" else f"{n_bytes:,.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} TB"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def _chart(id: str, title: str, buckets: list[Bucket]) -> Chart:
    width, height = 600, 120
    rates = [one.per_s for one in buckets]
    most = max(rates, default=0.0)
    top = max(most, 0.01)
    step = width / max(len(rates) - 1, 1)
    line = " ".join(f"{i * step:.1f},{height - 2 - (height - 6) * rate / top:.1f}" for i, rate in enumerate(rates))
    return Chart(id, title, buckets, sum(one.n for one in buckets), most, line, f"0,{height} {line} {width},{height}")
