"""Courier: takes what the outbox asks for, asks the last gate, and turns to the wire.

In:    a queue; an origin (the workspace, as couriers see it).
Out:   calls to destinations; attempts and outcomes in the queue; disclosures, and events that tell what came of it.
Never: a wire call without an attempt on disk, without leave of this very moment, or past its lease; one destination
       that waits for another.

Each destination has a lane of its own. The steps are named (`STEPS`), so that a test can end the process between any
two of them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tillit import clock
from tillit.deliver.copies import Follow, Record
from tillit.deliver.definitions import Definitions, Destination
from tillit.deliver.deliveries import WAITING, Attempt, Beginning, Delivery, Going, Line, Outcome, Stop
from tillit.deliver.outbox import Work
from tillit.deliver.queue import Queue
from tillit.deliver.wire import HALTED, REMOVE, UNKNOWN, Answer, Wire
from tillit.errors import TillitError

STEPS = (
    "outbox read",
    "work taken",
    "outbox cleared",
    "claimed",
    "gate passed",
    "attempt begun",
    "wire answered",
    "outcome written",
    "disclosed",
    "told",
)

_TURN_S = 0.02
_IDLE_S = 0.1
_LONGEST_WAIT_S = 0.25  # of a lane for work: what is due again after a failure comes without anybody saying so
_GATHER_S = 0.02  # beside a commit that waits for the disk
_TAKEN_AT_ONCE = 2_000
_LOOKED_AT_ONCE = 50  # people: meanwhile nothing leaves
_WINDOW = 256  # deliveries of a destination that are claimed ahead of the wire, at least
_WALK_S = 3_600.0  # between two looks at everybody, at least


class Origin(Protocol):
    """The workspace, as couriers see it."""

    def ends(self) -> tuple[int, int]:
        """Give the log's epoch, and its last position."""
        ...

    def is_behind(self) -> bool:
        """Say whether the state knows less than when work was taken: it is being rebuilt, and judges nobody."""
        ...

    def find_work(self, after: int, *, most: int) -> tuple[list[Work], int]:
        """Give what waits in the outbox after a position, and the position it goes through."""
        ...

    def find_changed(self, after: int, *, most: int) -> tuple[list[int], int]:
        """Give identifiers of people who came into audiences or went, after a change, and the change it goes through.

        Of nobody where no destination has an audience.
        """
        ...

    def clear_work(self, through: int) -> None:
        """Delete from the outbox what was taken."""
        ...

    def definitions(self) -> Definitions:
        """Give the destinations and templates in force."""
        ...

    def lines_of(self, work: Sequence[Work]) -> list[Line | None]:
        """Say of each through what a message or an event is to be sent; None: nothing any more, or it is neither."""
        ...

    def look_at(self, touched: Mapping[int, bool]) -> list[Follow]:
        """Give the records of whoever holds identifiers that are not what they should be.

        Of those marked, each event that was sent is looked at by itself; of others, whether any may be there at all.
        """
        ...

    def look_over(self, records: Sequence[Record]) -> list[Follow]:
        """Give those of some records that are not what they should be."""
        ...

    def look_ended(self, records: Sequence[Record]) -> list[Follow]:
        """Ask about records of which leave ended."""
        ...

    def walk(self, after: int, *, most: int) -> list[int]:
        """Give people in order, by the number of their identifier."""
        ...

    def terms(self) -> str:
        """Name what everybody's records hang on beside what is said of them: purposes, rules, destinations."""
        ...

    def version(self) -> tuple[int, int]:
        """Give numbers of which one changes when anything was said since, or somebody was suppressed."""
        ...

    def pass_gate(self, deliveries: Sequence[Delivery]) -> list[Going | Stop]:
        """Say of each whether it may leave now, and what then leaves."""
        ...

    def disclose(self, told: Sequence[tuple[Delivery, Attempt]], *, may_be_there: bool) -> None:
        """Write disclosures into the ledger, each once; with `may_be_there`, those that it does not have."""
        ...

    def tell(self, deliveries: Sequence[Delivery]) -> None:
        """Write into the log what became of messages, each once."""
        ...

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """Hear of addresses that were refused for good: nothing is sent there again."""
        ...

    def open_wire(self, destination: Destination) -> Wire:
        """Open a destination. Raises TillitError when it cannot be."""
        ...


class Courier:
    """One courier. `name` is held by one process at a time (a kernel lock)."""

    def __init__(
        self,
        queue: Queue,
        origin: Origin,
        *,
        name: str,
        lease_s: float,
        at_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take a queue and an origin; nothing runs yet."""
        self._queue = queue
        self._origin = origin
        self._name = name
        self._lease_s = lease_s
        self._at_step = at_step
        self._lanes: dict[str, _Lane] = {}
        self._stop = asyncio.Event()
        self._renewed_s = clock.monotonic_s()
        self._n_slept = 0
        self._walk_next_s = 0.0
        self._strayed = ("", "")  # how far a walk has come over what destinations have

    def stop(self) -> None:
        """Finish what is on the wire, begin nothing new."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        """Say whether it was told to stop."""
        return self._stop.is_set()

    def lease(self) -> int:
        """Name the stretch in which it is awake: what was claimed in an earlier one may be somebody else's by now."""
        now_s = clock.monotonic_s()
        if now_s - self._renewed_s >= self._lease_s * 0.9:
            self._n_slept += 1
            self._renewed_s = now_s
        return self._n_slept

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until told to stop; with `until_idle`, until nothing is due."""
        self._settle_lost(is_start=True)
        keep = asyncio.create_task(self._keep_leases())
        try:
            while not self._stop.is_set():
                n = self.turn()
                for lane in self._lanes.values():
                    lane.raise_broken()
                if until_idle and not n and not self._is_anything_due():
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _TURN_S if n or until_idle else _IDLE_S)
        finally:
            self._stop.set()
            await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
            keep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keep

    def _is_anything_due(self) -> bool:
        return any(lane.is_busy or self._queue.has_due(name) for name, lane in self._lanes.items())

    # -- one turn: everything but the wire

    def turn(self) -> int:
        """Take work, look at people, open and close lanes; say how much there was to do."""
        n = self.take() + self.look()
        self._settle_lost(is_start=False)
        self._open_lanes()
        if n:
            for lane in self._lanes.values():
                lane.wake()
        return n

    def take(self) -> int:
        """Take what the outbox asks for; say how many rows."""
        after = self._queue.taken(self._origin.ends)
        work, through = self._origin.find_work(after, most=_TAKEN_AT_ONCE)
        self._at_step("outbox read")
        if through > after:
            if work or through - after >= _TAKEN_AT_ONCE:
                epoch, _ = self._origin.ends()
                self._queue.take(work, self._origin.lines_of, epoch=epoch, through=through)
            self._at_step("work taken")
        if work:
            self._origin.clear_work(through)
            self._at_step("outbox cleared")
        return len(work) + self._follow_audiences()

    def _follow_audiences(self) -> int:
        after = self._queue.followed()
        changed, through = self._origin.find_changed(after, most=_TAKEN_AT_ONCE)
        if through != after:
            self._queue.follow_changes(changed, through)
            self._at_step("audiences followed")
        return len(changed)

    def look(self) -> int:
        """Look at people of whom more was said, at leave that ended, and at everybody when that is due."""
        at = self._queue.now()
        touched = self._queue.copies.find_touched(most=_LOOKED_AT_ONCE)
        found = self._origin.look_at(touched) if touched else []
        if self._origin.is_behind():
            return 0
        if touched:
            self._queue.copies.follow(found, touched, at=at)
        over = self._queue.copies.find_over(most=_LOOKED_AT_ONCE)
        if over:
            self._queue.copies.follow(self._origin.look_ended(over), (), at=at)
        return len(touched) or self._walk()

    def _walk(self) -> int:
        """Look at some more of everybody, when purposes, rules or destinations changed, and once in a while."""
        if not self._origin.definitions().destinations:
            return 0
        walk = self._queue.copies.walk()
        terms = self._origin.terms()
        if walk.ended_at is not None and walk.terms == terms and clock.monotonic_s() < self._walk_next_s:
            return 0
        if walk.terms != terms or walk.ended_at is not None:
            walk = self._queue.copies.begin_walk(terms)
        at = self._queue.now()
        ids = self._origin.walk(walk.after_id, most=_LOOKED_AT_ONCE)
        found = self._origin.look_at(dict.fromkeys(ids, False)) if ids else []
        if self._origin.is_behind():
            return 0
        if not ids:
            # Whoever is gone is met on no walk over people, and an event may be somebody else's now: each record is
            # looked at too.
            records = self._queue.copies.list_everywhere(self._strayed, most=_LOOKED_AT_ONCE)
            if records:
                found = self._origin.look_over(records)
                if self._origin.is_behind():
                    return 0
                self._queue.copies.follow(found, (), at=at)
                self._strayed = (records[-1].destination, records[-1].record_key)
                return len(records)
            self._strayed = ("", "")
            self._queue.copies.end_walk()
            took_s = (self._queue.now() - walk.begun_at) / 1e6
            self._walk_next_s = clock.monotonic_s() + max(_WALK_S, 10 * took_s)
            return 0
        self._queue.copies.follow(found, (), at=at)
        self._queue.copies.walked(ids[-1])
        return len(ids)

    def _settle_lost(self, *, is_start: bool) -> None:
        """Settle what this courier left when it died, and what others hold whose lease is over."""
        self._recover(self._queue.find_lost(self._name, is_start=is_start))
        while left := self._queue.find_undisclosed(self._name, is_start=is_start, lease_s=self._lease_s):
            self._disclose(left, may_be_there=True)
        if is_start:
            self.settle()

    def _recover(self, lost: list[Delivery]) -> None:
        if not lost:
            return
        told = self._origin.definitions()

        def most(name: str) -> int:
            one = told.destination(name)
            return one.most_attempts if one is not None else 1

        def is_idempotent(name: str) -> bool:
            one = told.destination(name)
            return one is not None and one.kind != "email"

        self._queue.recover(lost, is_idempotent, most, courier=self._name)

    def _disclose(self, undisclosed: list[tuple[Delivery, Attempt]], *, may_be_there: bool) -> None:
        self._origin.disclose(undisclosed, may_be_there=may_be_there)
        self._at_step("disclosed")
        self._queue.mark_disclosed([attempt for _, attempt in undisclosed])

    def settle(self) -> None:
        """Write what is still missing in ledger and log of what this courier did."""
        while undisclosed := self._queue.find_undisclosed(self._name):
            self._disclose(undisclosed, may_be_there=False)
        while untold := self._queue.find_untold():
            self._origin.tell(untold)
            self._at_step("told")
            self._queue.mark_told(untold)

    def _open_lanes(self) -> None:
        told = self._origin.definitions().destinations
        for name, (position, destination) in told.items():
            lane = self._lanes.get(name)
            if lane is not None and lane.position != position and not lane.is_closing:
                lane.is_closing = True  # what is on the wire goes under the old definition; the rest under the new
            if lane is not None and lane.is_closing and lane.is_done:
                del self._lanes[name]
                lane = None
            if lane is None:
                self._lanes[name] = _Lane(self, self._queue, self._origin, position, destination)

    async def _keep_leases(self) -> None:
        while True:
            before = self.lease()
            await asyncio.sleep(self._lease_s / 3)
            if self.lease() == before:
                self._queue.renew(self._name, lease_s=self._lease_s)
                self._renewed_s = clock.monotonic_s()

    def claim(self, destination: str, most: int) -> list[Delivery]:
        """Claim deliveries for a lane."""
        return self._queue.claim(destination, courier=self._name, lease_s=self._lease_s, most=most)

    def passed(self, step: str) -> None:
        """Say that a step was passed."""
        self._at_step(step)


class _Lane:
    """One destination at work."""

    def __init__(self, courier: Courier, queue: Queue, origin: Origin, position: int, destination: Destination) -> None:
        self.position = position
        self.is_closing = False
        self._courier = courier
        self._queue = queue
        self._origin = origin
        self._destination = destination
        self._name = destination.destination
        self._wire: Wire | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._ended: list[Outcome] = []
        self._n_claimed = 0
        self._slots = asyncio.Semaphore(destination.limits.at_once)
        self._next_call_s = 0.0
        self._is_halted = False
        self._is_drained = False  # no outcome comes any more
        self._has_ended = asyncio.Event()
        self._woken = asyncio.Event()
        self._broken: BaseException | None = None  # what ended a call, other than its destination
        self._working = asyncio.create_task(self._work(), name=f"lane {self._name}")
        self._writing = asyncio.create_task(self._write(), name=f"outcomes {self._name}")

    @property
    def is_busy(self) -> bool:
        """Say whether anything is on its way."""
        return self._n_claimed > 0

    @property
    def is_done(self) -> bool:
        """Say whether it was closed and nothing is on its way."""
        return self._working.done() and self._writing.done()

    def raise_broken(self) -> None:
        """Raise what ended the lane, if anything did: the process ends, and whoever starts it anew settles the rest."""
        if self._broken is not None:
            raise self._broken
        for task in (self._working, self._writing):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def close(self) -> None:
        """Finish what is on the wire."""
        self.is_closing = True
        await asyncio.gather(self._working, self._writing)

    @property
    def _is_over(self) -> bool:
        return self.is_closing or self._courier.is_stopping

    async def _work(self) -> None:
        try:
            while not self._is_over:
                standing = self._queue.standings.of(self._name)
                if standing.paused_at is not None or standing.resting_until > self._queue.now():
                    await self._wait()
                    continue
                self._is_halted = False
                n_free = self._window() - self._n_claimed
                lease = self._courier.lease()
                claimed = self._courier.claim(self._name, n_free) if n_free > self._window() // 2 else []
                if not claimed:
                    await self._wait()
                    continue
                self._courier.passed("claimed")
                self._n_claimed += len(claimed)
                self._send(claimed, lease)
                await asyncio.sleep(0)  # also where nothing may go: others have their turn
        finally:
            if self._calls:
                await asyncio.wait(self._calls)
            self._is_drained = True
            self._has_ended.set()
            if self._wire is not None:
                await self._wire.close()

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    async def _wait(self) -> None:
        """Wait for work, or for what is under way to make room."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), _LONGEST_WAIT_S)
        self._woken.clear()

    def _window(self) -> int:
        limits = self._destination.limits
        together = self._wire.n_together if self._wire is not None else 1
        if self._wire is None or not self._wire.is_idempotent:
            # Each has its attempt begun: what waits for its turn when a process dies may not be told from what left.
            return limits.at_once * together
        window = max(_WINDOW, 2 * limits.at_once * together)
        return min(window, max(together, 5 * limits.per_second)) if limits.per_second else window

    def _send(self, claimed: list[Delivery], lease: int) -> None:
        wire = self._opened(claimed)
        if wire is None:
            return
        version = self._origin.version()
        if self._has_changed():
            self._queue.release(claimed)
            self._n_claimed -= len(claimed)
            return
        judged = self._origin.pass_gate(claimed)
        stops = [one for one in judged if isinstance(one, Stop)]
        if stops:
            self._queue.stop(stops)
            self._courier.settle()
        going = [one for one in judged if isinstance(one, Going)]
        self._n_claimed -= len(claimed) - len(going)
        self._courier.passed("gate passed")
        if not going:
            return
        may = self._queue.begin([one.begin for one in going])
        self._n_claimed -= may.count(False)
        going = [one for one, held in zip(going, may, strict=True) if held]
        self._courier.passed("attempt begun")
        for group in _grouped(going, wire.n_together):
            call = asyncio.create_task(self._call(wire, group, version, lease))
            self._calls.add(call)
            call.add_done_callback(self._called)

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and (error := call.exception()) is not None:
            self._broken = error

    def _has_changed(self) -> bool:
        """Say whether the destination was defined anew, and close if so: leave for the new is none for the old wire."""
        position, _ = self._origin.definitions().destinations.get(self._name, (None, None))
        self.is_closing = self.is_closing or position != self.position
        return self.is_closing

    def _opened(self, claimed: Sequence[Delivery]) -> Wire | None:
        if self._wire is None:
            try:
                self._wire = self._origin.open_wire(self._destination)
            except TillitError as error:
                self._queue.standings.pause(self._name, by="courier", code=error.code)
                self._queue.release(claimed)
                self._n_claimed -= len(claimed)
        return self._wire

    async def _call(self, wire: Wire, group: list[Going], version: tuple[int, int], lease: int) -> None:
        async with self._slots:
            await self._pace()
            group = self._look_again(group, version, lease)
            if not group:
                return
            items = [one.outgoing for one in group]
            try:
                answers = await (wire.remove(items) if items[0].kind == REMOVE else wire.send(items))
            except Exception:  # noqa: BLE001 -- a rim: what a destination does must not end the courier
                answers = [Answer(UNKNOWN, "wire.broken") for _ in items]
            self._courier.passed("wire answered")
            if any(one.outcome == HALTED for one in answers):
                self._is_halted = True
            for one, answer in zip(group, answers, strict=True):
                self._ended.append(
                    Outcome(one.begin, answer, self._destination.most_attempts, is_idempotent=wire.is_idempotent)
                )
            self._has_ended.set()

    def _look_again(self, group: list[Going], version: tuple[int, int], lease: int) -> list[Going]:
        """Ask once more, right before the wire, when anything was said since the gate."""
        claimed = [one.begin.delivery for one in group]
        is_same = self._origin.version() == version
        if self._is_halted or self._is_over or self._courier.lease() != lease or (not is_same and self._has_changed()):
            code = claimed[0].code
            self._back([(one.begin, Stop(one.begin.delivery, WAITING, code)) for one in group])
            return []
        if is_same:
            return group
        stays: list[Going] = []
        back: list[tuple[Beginning, Stop]] = []
        for one, again in zip(group, self._origin.pass_gate(claimed), strict=True):
            if isinstance(again, Stop):
                back.append((one.begin, again))
            elif again.begin._replace(delivery=one.begin.delivery, decided_at=one.begin.decided_at) != one.begin:
                # What would leave is not what was written down: from the beginning.
                back.append((one.begin, Stop(one.begin.delivery, WAITING, one.begin.delivery.code)))
            else:
                stays.append(one)
        if back:
            self._back(back)
        return stays

    def _back(self, back: list[tuple[Beginning, Stop]]) -> None:
        self._queue.call_back(back)
        self._n_claimed -= len(back)
        self._courier.settle()

    async def _pace(self) -> None:
        per_second = self._destination.limits.per_second
        if per_second:
            now_s = clock.monotonic_s()
            at_s = max(now_s, self._next_call_s)
            self._next_call_s = at_s + 1 / per_second
            if at_s > now_s:
                await asyncio.sleep(at_s - now_s)

    async def _write(self) -> None:
        """Write outcomes as they come, all that are there in one transaction."""
        while not self._is_drained or self._ended:
            await self._has_ended.wait()
            if not self._is_drained:
                await asyncio.sleep(_GATHER_S)  # what comes in this while is written with it
            self._has_ended.clear()
            ended, self._ended = self._ended, []
            if ended:
                self._origin.refused([one for one in ended if one.answer.bad_address])
                self._queue.end(ended)
                self._n_claimed -= len(ended)
                self._woken.set()
                self._courier.passed("outcome written")
                self._courier.settle()


def _grouped(going: Sequence[Going], n_together: int) -> list[list[Going]]:
    """Part what goes into calls: removals apart from the rest, in order."""
    groups: list[list[Going]] = []
    for one in going:
        last = groups[-1] if groups else None
        if (
            last is not None
            and len(last) < n_together
            and (last[0].outgoing.kind == REMOVE) == (one.outgoing.kind == REMOVE)
        ):
            last.append(one)
        else:
            groups.append([one])
    return groups
