"""Write a shop's past straight into a workspace, as the door would have taken it.

In:    a fresh workspace, a shop, an open truth file.
Out:   rows in the log (and in quarantine), received when they arrived; the truth beside them.
Never: a row that the door did not make; a past under events that are there already.
"""

import multiprocessing
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import NamedTuple

import msgspec

from tillit.clock import DAY, MINUTE
from tillit.collect.checks import Reading
from tillit.collect.door import take
from tillit.collect.limits import Limits
from tillit.consent import Choice, consent_body
from tillit.errors import InputError
from tillit.flow import quiet_garbage_collector
from tillit.profile import act_row
from tillit.records import KIND_EVENT, TRUST_CLAIMED, TRUST_SERVER, NewRow, QuarantineRow
from tillit.simulate.catalogue import SOURCES
from tillit.simulate.lives import Life
from tillit.simulate.purposes import policy_rows
from tillit.simulate.seasons import NEVER
from tillit.simulate.shop import Shop
from tillit.simulate.truth import LifeRows, Truth, rows_of
from tillit.simulate.voices import Held, Said, Scene, text_of
from tillit.workspace import Workspace

# What arrives within a minute (five in large shops: a request costs half of an event) is one request per source.
# Senders put their own time into `sentAt`, so this moves no event; it is the delay that batching libraries have.
_SLOT, _LARGE_SLOT = MINUTE, 5 * MINUTE
_LARGE_SHOP = 10_000  # customers
_PER_REQUEST = 250  # some 250 KB: below any limit

_encode = msgspec.json.Encoder().encode


class HasEvents(InputError):
    """A past cannot be put under what is in the log already."""

    code = "simulate.has-events"

    def __init__(self, name: str) -> None:
        """Say what to do."""
        super().__init__(
            f"{name} has events already, and a past cannot be put under them. Name a folder that is new or empty."
        )


class Written(NamedTuple):
    """What a history came to."""

    n_events: int
    n_quarantined: int
    n_customers: int


class Reached(NamedTuple):
    """How far a history is written."""

    share: float
    n_events: int


class Day(NamedTuple):
    """What the visits that begin on one day lead to."""

    rows: list[NewRow]  # some arrive on a later day
    quarantine: list[QuarantineRow]
    whose: list[tuple[bytes, int]]  # one per row: its hash and the person
    held: list[Held]


def write_history(
    ws: Workspace,
    shop: Shop,
    truth: Truth,
    *,
    n_processes: int = 1,
    at_once: bool = False,
    progress: Callable[[Reached], None] | None = None,
) -> Written:
    """Write all of a shop's past and its truth. Nothing is folded here; the rows do not depend on n_processes.

    At once means in one commit: an engine that runs already would note today's time between two days of the past.
    Raises: HasEvents when the workspace is not fresh.
    """
    if has_events(ws):
        raise HasEvents(ws.paths.root.name)
    received_at = attrgetter("received_at")
    n_events = n_quarantined = 0
    waiting = policy_rows(shop.calendar)
    n_definitions = len(waiting)
    held: list[Held] = []
    with ExitStack() as processes:
        if n_processes == 1:
            streams = [iter_days(shop, ws.limits)]
        else:
            streams = [processes.enter_context(_elsewhere(shop, ws.limits, i, n_processes)) for i in range(n_processes)]
        quarantine: list[QuarantineRow] = []
        for day in range(1, shop.days + 1):
            for stream in streams:
                told = next(stream)
                assert isinstance(told, Day)
                waiting += told.rows
                quarantine += told.quarantine
                held += told.held
                truth.add_events(told.whose)
            if not at_once or day == shop.days:
                waiting.sort(key=_PLACE)
                n_arrived = bisect_left(waiting, shop.calendar.begin + day * DAY, key=received_at)
                ws.log.append(waiting[:n_arrived], quarantine, now=None)
                waiting = waiting[n_arrived:]
                n_events += n_arrived
                n_quarantined += len(quarantine)
                quarantine = []
            if progress is not None:
                progress(Reached(day / shop.days, n_events))
        for stream in streams:
            for told in stream:
                assert isinstance(told, LifeRows)
                truth.add_lives(told)
    truth.finish(shop, held)
    return Written(n_events - n_definitions, n_quarantined, shop.n_customers)


# Two events of one request are in the order in which they happened; the hash settles the rest.
_PLACE = attrgetter("received_at", "event_at", "message_hash")


def iter_days(shop: Shop, limits: Limits, first: int = 0, step: int = 1) -> Iterator[Day | LifeRows]:
    """Give each day of every so-many-th customer, taken at the door; in the end what their lives come to."""
    scene = Scene()
    numbers = range(first, shop.n_customers, step)
    slot = _SLOT if shop.n_customers < _LARGE_SHOP else _LARGE_SLOT
    words = staff_words(map(shop.life, numbers), end=shop.calendar.end)
    for day, said in enumerate(shop.days_of(scene, numbers), 1):
        said.sort(key=attrgetter("arrives_at"))
        rows, quarantine, whose = take_all(limits, said, end=shop.calendar.end, slot=slot)
        while words and words[-1][0].received_at < shop.calendar.begin + day * DAY:
            word, person = words.pop()
            rows.append(word)
            whose.append((word.message_hash, person))
        yield Day(rows, quarantine, whose, scene.held.copy())
        scene.held.clear()
    yield rows_of([shop.life(number) for number in numbers])


def staff_words(lives: Iterable[Life], *, end: int) -> list[tuple[NewRow, int]]:
    """Write down what customers told a colleague on the telephone, and who they were; the last word first."""
    told = []
    for life in lives:
        at, number = life.choices.objects_at, life.customer.number
        if at >= end or at == NEVER:
            continue
        body = consent_body([Choice("analytics", "objected")], method="telephone", evidence=f"call a-{number:05d}")
        row = act_row(
            {**body, "userId": life.customer.user_id},
            None,
            operator="maria",
            reason="asked us on the telephone",
            message_id=f"objection-{number:05d}",
            now=at,
            event_at=at,
        )
        told.append((row, number))
    return sorted(told, key=lambda one: (one[0].received_at, one[1]), reverse=True)


@contextmanager
def _elsewhere(shop: Shop, limits: Limits, first: int, step: int) -> Iterator[Iterator[Day | LifeRows]]:
    """Do the same in another process, a few days ahead."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    asked = (shop.seed, shop.n_customers, shop.calendar.end, shop.days, limits, first, step)
    process = context.Process(target=_send_days, args=(theirs, *asked), daemon=True)
    process.start()
    theirs.close()

    def received() -> Iterator[Day | LifeRows]:
        for _ in range(shop.days + 1):
            yield ours.recv()

    try:
        yield received()
    finally:
        ours.close()
        process.join(1)
        if process.is_alive():
            process.terminate()


def _send_days(
    pipe: Connection, seed: int, n_customers: int, end: int, days: int, limits: Limits, first: int, step: int
) -> None:
    shop = Shop(seed, n_customers, end=end, days=days)
    # Who reads has gone away when the pipe breaks: there is nothing to tell anybody.
    with quiet_garbage_collector(), suppress(BrokenPipeError):
        for told in iter_days(shop, limits, first, step):
            pipe.send(told)


def has_events(ws: Workspace) -> bool:
    """Say whether anything ever happened in a workspace; ticks do not count."""
    return ws.log.first_position() > 1 or any(row.kind == KIND_EVENT for row in ws.log.read(0, 1_000))


def take_all(
    limits: Limits, said: Sequence[Said], *, end: int, slot: int = _SLOT, as_bytes: bool = False
) -> tuple[list[NewRow], list[QuarantineRow], list[tuple[bytes, int]]]:
    """Hand messages through the door in the order of arrival; give the rows and, for each, whose it is.

    What is sound by its making is handed over as read: writing JSON for the door to read back and look for faults
    of strangers takes longer than all the rest. `as_bytes` takes the long way; the rows are the same (tested).
    """
    rows: list[NewRow] = []
    quarantine: list[QuarantineRow] = []
    whose: list[tuple[bytes, int]] = []
    for source, skew, received_at, is_sound, gpc, request in _requests(said, slot, end):
        sent_at = text_of(received_at + skew)
        sent: bytes | Reading
        if is_sound and not as_bytes:
            # The door writes into what it is given.
            copies = [{**one.message, "context": {**one.message["context"]}} for one in request]
            sent = Reading(b"", limits, {"sentAt": sent_at}, copies, is_batch=True, has_escapes=False)
        else:
            sent = _encode({"batch": [one.message for one in request], "sentAt": sent_at})
        taken = take(
            sent,
            route_type=None,
            source=source,
            trust=TRUST_SERVER if SOURCES[source] == "secret" else TRUST_CLAIMED,
            received_at=received_at,
            limits=limits,
            refuses_sale=gpc,
        )
        rows += taken.rows
        quarantine += taken.quarantine
        people = [one.person for one in request]
        if taken.rejected:
            gone = {rejected.index for rejected in taken.rejected}
            people = [person for index, person in enumerate(people) if index not in gone]
        whose += [(row.message_hash, person) for row, person in zip(taken.rows, people, strict=True)]
    return rows, quarantine, whose


def _requests(said: Sequence[Said], slot: int, end: int) -> Iterator[tuple[str, int, int, bool, bool, list[Said]]]:
    """Give (source, skew of its clock, when it arrived, is it sound, Sec-GPC, messages), in the order of arrival."""
    arriving = (one for one in said if one.arrives_at < end)
    for number, arrived in groupby(arriving, key=lambda one: one.arrives_at // slot):
        received_at = min((number + 1) * slot, end) - 1_000
        by_sender: dict[tuple[str, int, bool, bool], list[Said]] = {}
        for one in arrived:
            # Only what a hasty integration sends comes without a context.
            by_sender.setdefault((one.source, one.skew, "context" in one.message, one.gpc), []).append(one)
        for (source, skew, is_sound, gpc), messages in by_sender.items():
            for start in range(0, len(messages), _PER_REQUEST):
                yield source, skew, received_at, is_sound, gpc, messages[start : start + _PER_REQUEST]
