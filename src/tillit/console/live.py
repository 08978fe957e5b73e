"""Events as they arrive: the newest now, and a stream of those that follow.

In:    the log up to where the fold has come, so that each event is shown with the person it belongs to.
Out:   event views; server-sent events with rows and the pace.
Never: more rows than eyes can follow: of a flood the newest are shown and the rest are counted.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from tillit import clock
from tillit.console.render import Pages
from tillit.console.views import EventView, event_views
from tillit.records import KIND_EVENT, LogRow, Permit
from tillit.store import Log
from tillit.workspace import Workspace

ROUTE = "/console/live/stream"
FIRST_ROWS = 60
_LOOK_S = 0.25
_MOST_ROWS = 40  # per look: 160 a second is far beyond reading
# A stream ends after this and the browser comes back: an ended session is noticed, a stopping server is not held up.
_LASTS_S = 120.0
_NOTE_S = 60.0  # how often the journal learns of what an open stream handed out

BUCKET_US = 2 * clock.SECOND
N_BUCKETS = 60
_WIDTH, _HEIGHT = 600, 64  # units of the drawing, not of the screen


class Point(NamedTuple):
    """One corner of the line."""

    x: float
    y: float


class PaceView(NamedTuple):
    """How many events a second, over the last two minutes."""

    now: float  # mean of the last ten seconds
    most: float
    is_cut: bool  # a burst is drawn no higher than makes the rest readable
    line: str  # points of an SVG polyline
    area: str
    width: int
    height: int


class Pace:
    """Counts events per bucket of time by log positions: `logged_at` rises with them, so a search finds any instant."""

    def __init__(self, log: Log, *, now: int) -> None:
        """Look back over all buckets."""
        self._log = log
        self._end = now // BUCKET_US * BUCKET_US
        first = max(log.first_position() - 1, 0)
        place = self._position_at(self._end - N_BUCKETS * BUCKET_US, first)
        self._counts: deque[int] = deque(maxlen=N_BUCKETS)
        self._place = place
        for i in range(N_BUCKETS):
            self._count(self._end - (N_BUCKETS - 1 - i) * BUCKET_US)

    def advance(self, *, now: int) -> bool:
        """Count the buckets that have become whole; say whether there was one."""
        n_new = 0
        while self._end + BUCKET_US <= now:
            self._end += BUCKET_US
            self._count(self._end)
            n_new += 1
        return n_new > 0

    def view(self) -> PaceView:
        """Give the numbers and the line."""
        seconds = BUCKET_US / clock.SECOND
        rates = [n / seconds for n in self._counts]
        last = rates[-5:]
        most = max(rates)
        usual = sorted(r for r in rates if r > 0)
        # Taste: a burst of eight times the usual stands at the top edge, or it would flatten all else to a line.
        top = max(1.0, min(most, 8 * usual[len(usual) // 2]) if usual else 1.0)
        step = _WIDTH / (N_BUCKETS - 1)
        points = [
            Point(round(i * step, 1), round(_HEIGHT - 2 - (_HEIGHT - 6) * min(r, top) / top, 1))
            for i, r in enumerate(rates)
        ]
        line = " ".join(f"{p.x},{p.y}" for p in points)
        return PaceView(
            now=sum(last) / len(last),
            most=most,
            is_cut=most > top,
            line=line,
            area=f"0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}",
            width=_WIDTH,
            height=_HEIGHT,
        )

    def _count(self, until: int) -> None:
        place = self._position_at(until, self._place)
        n = place - self._place
        if 0 < n <= _MOST_ROWS:
            # The engine's own notes of time stand in the log, too; in a flood they do not matter.
            n = sum(row.kind == KIND_EVENT for row in self._log.read(self._place, n) if row.position <= place)
        self._counts.append(n)
        self._place = place

    def _position_at(self, at: int, low: int) -> int:
        """Give the last position that was logged before an instant, at or after `low`."""
        high = self._log.head()
        while low < high:
            middle = (low + high + 1) // 2
            row = self._log.get([middle]).get(middle)
            if row is None or row.logged_at < at:
                low = middle
            else:
                high = middle - 1
        return low


class Glance(NamedTuple):
    """What came since the last look."""

    rows: list[EventView]  # newest first
    position: int
    n_skipped: int
    n_behind: int  # log rows that the fold has yet to apply


def look(workspace: Workspace, after: int, *, most: int, permit: Permit) -> Glance:
    """Give the newest events after a position."""
    folded, head = workspace.folding.position(), workspace.log.head()
    start = max(after, folded - most)
    rows: list[LogRow] = [
        row for row in workspace.log.read(start, most) if row.position <= folded and row.kind == KIND_EVENT
    ]
    views = event_views(workspace, rows, permit)
    return Glance(views[::-1], max(folded, after), max(0, start - after) if after else 0, max(0, head - folded))


async def stream(workspace: Workspace, pages: Pages, after: int, permit: Permit) -> AsyncIterator[str]:
    """Tell a browser what arrives, as server-sent events: `rows` and `pace`."""
    loop_ends = clock.monotonic_s() + _LASTS_S
    noted_at = clock.monotonic_s()
    handed: set[str] = set()
    pace = await asyncio.to_thread(lambda: Pace(workspace.log, now=workspace.now()))
    position = after
    n_behind = -1
    yield "retry: 500\n\n"
    try:
        while clock.monotonic_s() < loop_ends:
            if workspace.folding.position() > position or n_behind > 0:
                glance = await asyncio.to_thread(look, workspace, position, most=_MOST_ROWS, permit=permit)
                position = glance.position
                handed.update(row.profile_id for row in glance.rows if row.profile_id is not None)
                if glance.rows or glance.n_behind != n_behind:
                    html = pages.render("parts/events.html", events=glance.rows, with_who=True)
                    yield _event(
                        "rows",
                        {"html": html, "skipped": glance.n_skipped, "behind": glance.n_behind},
                        position,
                    )
                n_behind = glance.n_behind
            if await asyncio.to_thread(lambda: pace.advance(now=workspace.now())):
                yield _event("pace", {"html": pages.render("parts/pace.html", pace=pace.view())}, position)
            if clock.monotonic_s() - noted_at >= _NOTE_S:
                _note(workspace, handed, permit)
                noted_at = clock.monotonic_s()
            await asyncio.sleep(_LOOK_S)
    finally:
        _note(workspace, handed, permit)


def _note(workspace: Workspace, handed: set[str], permit: Permit) -> None:
    if handed:
        workspace.journal.note(asked_by=permit.asked_by, route=ROUTE, purpose=permit.purpose, n_profiles=len(handed))
        handed.clear()


def _event(name: str, document: dict[str, object], position: int) -> str:
    # JSON has no bare line breaks, so one `data:` line always holds it.
    return f"event: {name}\nid: {position}\ndata: {msgspec.json.encode(document).decode()}\n\n"
