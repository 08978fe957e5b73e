"""The desk: what every route needs, made once per app.

In:    a workspace.
Out:   leave to read, pages of the right size, a place for slow work, notes in the ledger.
Never: slow work on the event loop: collecting shares it.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tillit import clock
from tillit.api.gate import Budget, Connection, Gate, key_of
from tillit.api.measures import Measures
from tillit.api.refusals import BadRequest, PurposeNotAllowed
from tillit.api.streams import Streams
from tillit.records import Scope
from tillit.workspace import Workspace

T = TypeVar("T")


class Desk:
    """What the routes of one app share."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
        start_plans: Callable[[], None] | None = None,
    ) -> None:
        """Set out everything. Without `start_plans` plans wait: nobody works here."""
        self.ws = workspace
        self.start_plans = start_plans if start_plans is not None else lambda: None
        self.monotonic_s = monotonic_s
        self.gate = Gate(workspace.keys, Budget(workspace.settings.api.rate_per_minute, monotonic_s))
        self.streams = Streams(workspace, self.gate)
        self.measures = Measures()
        # One thread: the stores that slow work reads are not all made for two at once.
        self._slow = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tillit-api")
        self._trial = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tillit-health")

    def scope(self, connection: Connection, purpose: str | None, *, channel: str = "", jurisdiction: str = "") -> Scope:
        """Ask for leave to read: for the purpose that was named, else for the key's own.

        Raises: PurposeNotAllowed, UnknownPurpose.
        """
        key = key_of(connection)
        scope = self.ws.scope(
            purpose if purpose is not None else key.purpose,
            asked_by=key.key_id,
            channel=channel,
            jurisdiction=jurisdiction,
        )
        if scope.purpose not in key.purposes:
            raise PurposeNotAllowed(key.purposes)
        return scope

    def note(self, connection: Connection, scope: Scope, people: Iterable[str]) -> None:
        """Note in the ledger, under the route's template, whose values are handed out. Raises AccessesBehind."""
        self.ws.journal.note(people, asked_by=scope.asked_by, route=_route(connection), purpose=scope.purpose)

    def note_flow(self, connection: Connection, scope: Scope, people: Iterable[str]) -> None:
        """Note whose values flow by, each person once an hour. Raises AccessesBehind."""
        self.ws.journal.note_flow(people, asked_by=scope.asked_by, route=_route(connection), purpose=scope.purpose)

    def limit(self, asked_for: int | None) -> int:
        """Say how many rows a page holds. Raises BadRequest when more were asked for than a page may hold."""
        most = self.ws.settings.api.max_page_limit
        if asked_for is None:
            return min(self.ws.settings.api.page_limit, most)
        if asked_for > most:
            raise BadRequest(
                f"A page holds 1 to {most} rows. Ask for fewer and go on with `next`, or raise [api] max_page_limit.",
                max_page_limit=most,
            )
        return asked_for

    async def slowly(self, work: Callable[[], T]) -> T:
        """Do slow work beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._slow, work)

    async def trial(self, work: Callable[[], T]) -> T:
        """Do the trial write of /health: its own thread, so that slow work does not look like a sick disk."""
        return await asyncio.get_running_loop().run_in_executor(self._trial, work)

    def close(self) -> None:
        """End streams and threads."""
        self.streams.close()
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._trial.shutdown(wait=False, cancel_futures=True)


def _route(connection: Connection) -> str:
    return f"{connection.scope['method']} {connection.scope['path_template']}"  # type: ignore[typeddict-item]
