"""Routes that say how the server is.

In:    the log, the fold's position, the engine's lock.
Out:   200 or 503 with the reason; measures.
Never: a write more often than once a second, a wait of more than two; anything about a person.
"""

import asyncio
import os

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from tillit.api.desk import Desk
from tillit.api.documents import HealthDocument, ReadyDocument
from tillit.api.measures import Gauge
from tillit.api.refusals import FoldBehind, FoldStopped, LogSlow
from tillit.flow import is_held

_TRIAL_EVERY_S = 1.0
_TRIAL_WAIT_S = 2.0
_STILL_S = 5.0  # a fold that has rows to apply and stands for this long is stuck


class Health:
    """Whether events are taken, and whether the fold runs, each looked at no more often than it must be."""

    def __init__(self, desk: Desk) -> None:
        """Know nothing yet."""
        self._desk = desk
        self._tried_at = -1e9
        self._trial: asyncio.Future[None] | None = None
        self._position = -1
        self._moved_at = 0.0

    async def check_log(self) -> None:
        """Return when the log takes rows. Raises what stands in the way: StoreFull, StoreReadOnly, LogSlow."""
        now = self._desk.monotonic_s()
        if self._trial is None or (self._trial.done() and now - self._tried_at >= _TRIAL_EVERY_S):
            self._tried_at = now
            self._trial = asyncio.ensure_future(self._desk.trial(self._desk.ws.log.check_writable))
        try:
            await asyncio.wait_for(asyncio.shield(self._trial), _TRIAL_WAIT_S)
        except TimeoutError as exc:
            raise LogSlow(_TRIAL_WAIT_S) from exc

    def check_fold(self) -> ReadyDocument:
        """Say how far the fold is. Raises FoldOutdated, FoldStopped, FoldBehind."""
        ws = self._desk.ws
        ws.folding.trusted_position()  # when it raises no process folds, and none will before a rebuild
        now = self._desk.monotonic_s()
        head = ws.log.head()
        position = ws.folding.position()
        lag = max(head - position, 0)
        is_first_look = self._position < 0
        if position != self._position or lag == 0:
            self._position, self._moved_at = position, now
            is_moving = not is_first_look
        else:
            is_moving = now - self._moved_at < _STILL_S
        if not is_held(ws.paths.engine_lock):
            raise FoldStopped("Events are taken, but no process folds them. `tillit doctor` shows more.", lag=lag)
        if lag > ws.settings.engine.batch_rows and not is_moving:
            raise FoldBehind(f"The fold is {lag} rows behind the log and has not been seen to move yet.", lag=lag)
        if lag and not is_moving and not is_first_look:
            raise FoldBehind(f"The fold has stood at position {position} for 5 s with {lag} rows to apply.", lag=lag)
        return {"status": "ready", "fold": {"position": position, "head": head, "lag": lag}}

    def gauges(self) -> list[Gauge]:
        """Give the numbers of the moment."""
        ws = self._desk.ws
        head, position = ws.log.head(), ws.folding.position()
        return [
            Gauge("tillit_log_head", "Position of the newest row of the log.", head),
            Gauge("tillit_fold_position", "Position up to which the fold has applied the log.", position),
            Gauge("tillit_fold_lag_rows", "Rows of the log that are not applied yet.", max(head - position, 0)),
            Gauge("tillit_log_bytes", "Disk that the log takes.", ws.log.size_bytes()),
            Gauge("tillit_streams_open", "Live streams of this process.", self._desk.streams.n_open),
        ]


def health_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    health = Health(desk)

    @get("/health", opt={"is_open": True}, tags=["operations"])
    async def read_health() -> HealthDocument:
        """Say that events are taken: a trial write reached the disk, at most a second ago."""
        await health.check_log()
        return {"status": "ok"}

    @get("/ready", opt={"is_open": True}, tags=["operations"])
    async def read_readiness() -> ReadyDocument:
        """Say that the fold runs: a process holds it, and it is near the log's head or moving."""
        return health.check_fold()

    @get("/metrics", opt={"scope": "metrics:read"}, media_type=MediaType.TEXT, tags=["operations"])
    async def read_metrics() -> Response[str]:
        """Give this process's measures in Prometheus' text format; other web processes count for themselves."""
        text = desk.measures.text(health.gauges(), process=os.getpid())
        return Response(text, media_type="text/plain; version=0.0.4")

    return [read_health, read_readiness, read_metrics]
