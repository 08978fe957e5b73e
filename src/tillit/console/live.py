"""Events as they arrive: the newest now, and a stream of those that follow.

In:    the log up to where the fold has come, so that each event is shown with the person it belongs to; quarantine.
Out:   views of events and of what was refused, sifted; server-sent events with rows and the pace.
Never: more rows than eyes can follow: of a flood the newest are shown and the rest are counted.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

import msgspec

from tillit import clock
from tillit.clock import rfc3339
from tillit.collect.quarantine import Quarantined
from tillit.console.render import Pages
from tillit.console.views import EventView, event_views
from tillit.records import KIND_EVENT, LogRow, Scope
from tillit.store import Log
from tillit.workspace import Workspace

ROUTE = "/console/live/stream"
FIRST_ROWS = 60
_LOOKED_ROWS = 3_000  # log rows looked through for those that a filter wants: half a second at worst (measured)
_LOOK_S = 0.25
_MOST_ROWS = 40  # per look: 160 a second is far beyond reading
# A stream ends after this and the browser comes back: an ended session is noticed, a stopping server is not held up.
_LASTS_S = 120.0

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


class RefusedView(NamedTuple):
    """One event that was turned away, in one line."""

    number: int
    at: str  # when it came, RFC 3339
    source: str
    code: str
    reason: str
    message_id: str
    is_replayed: bool


class Wanted(NamedTuple):
    """Which events somebody wants to see."""

    type: str = ""
    source: str = ""
    text: str = ""  # words that all must stand in the line
    only: str = ""  # refused: only what is in quarantine; taken: only what is not

    @property
    def is_all(self) -> bool:
        """Say whether everything is wanted."""
        return not any(self)

    def takes_row(self, row: LogRow) -> bool:
        """Say whether a row may be wanted, before anybody is looked up."""
        return row.kind == KIND_EVENT and self.only != "refused" and self.source in {"", row.source}

    def takes(self, view: EventView) -> bool:
        """Say whether an event is wanted."""
        if self.type and view.type != self.type:
            return False
        return self._has_words(f"{view.name} {view.type} {view.source} {view.who} {view.summary} {view.fate}")

    def takes_refused(self, view: RefusedView) -> bool:
        """Say whether something refused is wanted; it has no type that could be relied on."""
        if self.only == "taken" or self.type or self.source not in {"", view.source}:
            return False
        return self._has_words(f"{view.code} {view.reason} {view.source} {view.message_id} refused")

    def _has_words(self, line: str) -> bool:
        line = line.lower()
        return all(word in line for word in self.text.lower().split())


def wanted_from(form: Mapping[str, str]) -> Wanted:
    """Read a filter from a form."""
    only = form.get("only", "")
    return Wanted(
        type=form.get("type", "")[:32],
        source=form.get("source", "").strip()[:64],
        text=form.get("text", "")[:200],
        only=only if only in {"refused", "taken"} else "",
    )


class Glance(NamedTuple):
    """What came since the last look."""

    rows: list[EventView | RefusedView]  # newest first
    position: int
    refused_id: int  # the newest of quarantine
    n_skipped: int
    n_behind: int  # log rows that the fold has yet to apply
    n_looked: int
    scope: Scope  # under which it was asked for


def look(
    workspace: Workspace,
    after: int,
    refused_after: int,
    leave: Callable[[], Scope],
    *,
    most: int,
    wanted: Wanted | None = None,
) -> Glance:
    """Give the newest events and refusals after a position and a quarantine id, sifted. Raises what `leave` does."""
    wanted = wanted or Wanted()
    folded, head = workspace.folding.position(), workspace.log.head()
    # After the place: what comes later than this word of what may be shown is shown by the next.
    scope = leave()
    reach = most if wanted.is_all else _LOOKED_ROWS
    start = max(after, folded - reach)
    found: list[tuple[int, EventView | RefusedView]] = []
    if wanted.only != "refused":
        found += _events_after(workspace, start, folded, most, scope, wanted)
    refused = [one for one in workspace.quarantine.rows(limit=most) if one.quarantine_id > refused_after]
    found += [(one.received_at, view) for one in refused if wanted.takes_refused(view := refused_view(one))]
    found.sort(key=lambda one: one[0], reverse=True)
    return Glance(
        rows=[view for _, view in found[:most]],
        position=max(folded, after),
        refused_id=max([one.quarantine_id for one in refused], default=refused_after),
        n_skipped=max(0, start - after) if after else 0,
        n_behind=max(0, head - folded),
        n_looked=max(folded - start, 0),
        scope=scope,
    )


def _events_after(
    workspace: Workspace, start: int, folded: int, most: int, scope: Scope, wanted: Wanted
) -> list[tuple[int, EventView | RefusedView]]:
    """Look from the newest backwards, a block at a time, until enough is found."""
    found: list[tuple[int, EventView | RefusedView]] = []
    block = most if wanted.is_all else 300
    end = folded
    while end > start and len(found) < most:
        begin = max(start, end - block)
        rows = [row for row in workspace.log.read(begin, end - begin) if row.position <= end and wanted.takes_row(row)]
        rows = workspace.events.reached(rows, scope)
        views = event_views(workspace, rows, scope)
        found += [(row.received_at, view) for row, view in zip(rows, views, strict=True) if wanted.takes(view)][::-1]
        end = begin
    return found[:most]


def refused_view(one: Quarantined) -> RefusedView:
    """Give something refused in one line."""
    return RefusedView(
        one.quarantine_id,
        rfc3339(one.received_at),
        one.source,
        one.code,
        one.reason,
        one.message_id or "",
        one.replayed_position is not None,
    )


async def stream(
    workspace: Workspace, pages: Pages, after: int, refused_after: int, leave: Callable[[], Scope], wanted: Wanted
) -> AsyncIterator[str]:
    """Tell a browser what arrives, as server-sent events: `rows` and `pace`. Asks for leave anew at each look.

    Raises: what `leave` does; AccessesBehind. The browser comes back to where it was.
    """
    loop_ends = clock.monotonic_s() + _LASTS_S
    pace = await asyncio.to_thread(lambda: Pace(workspace.log, now=workspace.now()))
    position, refused_id = after, refused_after
    n_behind, version = -1, -1
    yield ": listening\n\n"
    while clock.monotonic_s() < loop_ends:
        now_version = workspace.log.data_version()
        if workspace.folding.position() > position or n_behind > 0 or now_version != version:
            version = now_version
            glance = await asyncio.to_thread(
                look, workspace, position, refused_id, leave, most=_MOST_ROWS, wanted=wanted
            )
            position, refused_id, scope = glance.position, glance.refused_id, glance.scope
            workspace.journal.note_flow(people_of(glance), asked_by=scope.asked_by, route=ROUTE, purpose=scope.purpose)
            if glance.rows or glance.n_behind != n_behind:
                html = pages.render("parts/live_rows.html", lines=glance.rows)
                told = {"html": html, "skipped": glance.n_skipped, "behind": glance.n_behind}
                yield _event("rows", told, f"{position}.{refused_id}")
            n_behind = glance.n_behind
        if await asyncio.to_thread(lambda: pace.advance(now=workspace.now())):
            html = pages.render("parts/pace.html", pace=pace.view())
            yield _event("pace", {"html": html}, f"{position}.{refused_id}")
        await asyncio.sleep(_LOOK_S)


def people_of(glance: Glance) -> list[str]:
    """Give the ids of the people whose events are shown."""
    return [row.profile_id for row in glance.rows if isinstance(row, EventView) and row.profile_id]


def _event(name: str, document: dict[str, object], place: str) -> str:
    # JSON has no bare line breaks, so one `data:` line always holds it.
    return f"event: {name}\nid: {place}\ndata: {msgspec.json.encode(document).decode()}\n\n"
