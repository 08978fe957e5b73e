"""Live events: one look at the fold for all who listen.

In:    where the fold stands; what each listener wants.
Out:   server-sent events, a comment when there is nothing for a while, an end when the server ends.
Never: a thread or a poll per listener; a listener whose key was revoked; a stream that outlives the server.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from tillit import clock
from tillit.api.gate import Asked, Gate
from tillit.api.refusals import TooManyStreams, encode
from tillit.errors import BusyError
from tillit.ledger import AccessesBehind
from tillit.records import Scope
from tillit.workspace import Workspace

MOST_PER_KEY = 10  # taste: a program needs one; a team's dashboards share a key
HEARTBEAT_S = 15.0  # below the 30 s after which common proxies give up
ROUTE = "GET /api/events/stream"
_LOOK_EVERY_S = 0.02
_KEY_EVERY_S = 1.0
_BLOCK_ROWS = 200  # about 3 ms of the event loop, then others have their turn (measured)


# One look for what is new after an id: the frames to send, and the last id that was looked at. Raises AccessesBehind.
Look = Callable[[int], Awaitable[tuple[bytes, int]]]


class Pulse:
    """Watches a number that grows while somebody listens, and wakes whoever waits."""

    def __init__(self, position: Callable[[], int]) -> None:
        """Watch nothing yet."""
        self._position = position
        self._waiting: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    async def wait(self, beyond: int, timeout_s: float) -> None:
        """Return when the number is beyond a position, when the time is over, or when the server ends."""
        if self.is_closed:
            return
        woken = asyncio.Event()
        self._waiting.add(woken)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch(beyond))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), timeout_s)
        finally:
            self._waiting.discard(woken)

    def close(self) -> None:
        """End all streams. May be called from a signal or another thread: the watch sees it at its next look."""
        self.is_closed = True

    async def _watch(self, seen: int) -> None:
        while self._waiting:
            # A store that is busy now is asked again at the next look.
            with contextlib.suppress(BusyError):
                position = self._position()
                if position != seen or self.is_closed:
                    seen = position
                    for woken in self._waiting:
                        woken.set()
            await asyncio.sleep(_LOOK_EVERY_S)


class Streams:
    """The open streams of this process."""

    def __init__(self, workspace: Workspace, gate: Gate) -> None:
        """Open none yet."""
        self._workspace = workspace
        self._gate = gate
        self._open: dict[str, int] = {}
        self.pulse = Pulse(workspace.folding.position)
        self.changes = Pulse(workspace.memberships.last_change_id)

    @property
    def n_open(self) -> int:
        """Say how many there are."""
        return sum(self._open.values())

    def close(self) -> None:
        """End all streams."""
        self.pulse.close()
        self.changes.close()

    @contextlib.contextmanager
    def place(self, key_id: str) -> Iterator[None]:
        """Hold one of a key's places. Raises TooManyStreams."""
        self.check(key_id)
        self._open[key_id] = self._open.get(key_id, 0) + 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]

    def check(self, key_id: str) -> None:
        """See whether a key may hold one more. Raises TooManyStreams."""
        if self._open.get(key_id, 0) >= MOST_PER_KEY:
            raise TooManyStreams(MOST_PER_KEY)

    def follow(
        self, told: Asked, scope: Callable[[], Scope], *, after: int, wanted: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """Give frames of server-sent events until the listener, its key or the server is gone."""

        async def look(position: int) -> tuple[bytes, int]:
            leave = scope()
            events, seen = self._workspace.events.applied(position, leave, limit=_BLOCK_ROWS, **wanted)
            self._note([place for place, _ in events], leave)
            return b"".join(frame(place, document) for place, document in events), seen

        return self.flow(told, self.pulse, look, after=after, of="position")

    async def flow(self, told: Asked, pulse: Pulse, look: Look, *, after: int, of: str) -> AsyncIterator[bytes]:
        """Give what one look after the other finds, and signs of life between; `of`: what ids count."""
        assert told.key is not None
        with self.place(told.key.key_id):
            position = after
            yield f"retry: 2000\n: from {of} {position}\n\n".encode()
            spoke_at = looked_at = clock.monotonic_s()
            while not pulse.is_closed:
                try:
                    frames, seen = await look(position)
                except AccessesBehind:
                    # What cannot be noted is not handed out: it is told when it can.
                    frames, seen = b"", position
                moved, position = seen != position, seen
                now = clock.monotonic_s()
                if frames:
                    spoke_at = now
                    yield frames
                elif now - spoke_at >= HEARTBEAT_S:
                    spoke_at = now
                    # An id without data is not dispatched, but a listener that returns goes on from there.
                    yield f": alive\nid: {position}\n\n".encode()
                if now - looked_at >= _KEY_EVERY_S:
                    looked_at = now
                    if not self._gate.living(told):
                        return
                if moved:
                    await asyncio.sleep(0)
                else:
                    await pulse.wait(position, _KEY_EVERY_S)

    def _note(self, positions: Sequence[int], scope: Scope) -> None:
        people = self._workspace.events.people(positions, scope)
        self._workspace.journal.note_flow(people, asked_by=scope.asked_by, route=ROUTE, purpose=scope.purpose)


def frame(position: int, document: dict[str, Any]) -> bytes:
    """Write one event of a stream."""
    # The encoder escapes line breaks within texts, so one line holds the whole document.
    return b"id: %d\ndata: %b\n\n" % (position, encode(document))
