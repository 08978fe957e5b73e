"""Judging apart: audiences are judged in a process of its own while the fold goes on, always one micro-batch behind it.

In:    from the fold's process: of whom more was said by a micro-batch, or a piece of work; from the state: that moment.
Out:   memberships, as `Judging` writes them; to the fold's process: that the moment is held, that it is done.
Never: another moment of the state than the one that was told. The fold commits nothing more before it is held, so that
       it makes no difference to what is told of anybody where they were judged.

The fold's process sends orders and reads answers; the other one takes them in order. Of each it says `held` when it
has the moment of the state open, and `done` when what came of it is written. When it dies, what was not done is noted
in the state as ever, and people are judged in the fold's process again.
"""

import contextlib
import fcntl
import os
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any, NoReturn

import msgspec

from tillit.audience import Came, Catalog, Memberships, TapeMemory, Touched
from tillit.errors import InternalError
from tillit.flow.audiences import Judging
from tillit.flow.catalog import catalog_of
from tillit.flow.fold import Garbage, quiet_garbage_collector
from tillit.language.values import NEVER
from tillit.profile import StrandMemory
from tillit.store import State

_TOUCHED, _STEP, _WALK, _LOOK = range(4)  # what an order asks for
_READY, _HELD, _DONE = range(3)  # what an answer says
# Micro-batches after which the fold waits until no moment is held: while one is, SQLite's write-ahead file only grows.
_WITHOUT_A_BREAK = 16
_PATIENCE_S = 10.0  # for a process that is to end
_SWITCH_S = 0.000_5  # between who judges and who reads orders: whoever sends one waits until it is read
_SET_PIPE_SIZE: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux alone has it
_LENGTH = 4  # bytes before each order that say how long it is


class WrongMoment(InternalError):
    """The state is not where it was said to be."""

    code = "flow.wrong-moment"

    def __init__(self, wanted: int, found: int) -> None:
        """Say both places."""
        super().__init__(
            f"People were to be judged at position {wanted}, but the state is at {found}: the fold went on before the "
            "moment was held. They are judged again beside the fold; please report this.",
            wanted=wanted,
            found=found,
        )


class _Order(msgspec.Struct, array_like=True, gc=False):
    kind: int
    epoch: int
    position: int
    at: int
    is_other_catalog: bool
    cause: str = ""
    came: Any = ()  # [identifier, tapes, traits, is_new, joined] of each
    causes: dict[int, str] = {}


class _Answer(msgspec.Struct, array_like=True, gc=False):
    kind: int
    was_any: bool = False  # whether there was a piece to do
    is_under_any: bool = False
    is_walking: bool = False
    next_due: int = NEVER


_orders = msgspec.msgpack.Decoder(_Order)
_answers = msgspec.msgpack.Decoder(_Answer)
_encode = msgspec.msgpack.Encoder().encode


# -- in the process that folds


class Apart:
    """Has people judged by another process. It is asked as `Judging` is.

    When that process is gone, `is_gone` says so and nothing is asked of it any more.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that is starting."""
        assert process.stdin is not None, "it was started with a pipe"
        assert process.stdout is not None, "it was started with a pipe"
        self._process, self._orders, self._answers = process, process.stdin, process.stdout
        if _SET_PIPE_SIZE is not None:
            with contextlib.suppress(OSError):  # an order of a large micro-batch is a megabyte
                fcntl.fcntl(self._orders, _SET_PIPE_SIZE, 1 << 20)
        self._n_sent = self._n_held = self._n_done = 0
        self._n_since_break = 0
        self._sent: list[int] = []  # positions of orders that are not done
        self._catalog: Catalog | None = None
        self._is_other_catalog = True
        self._place = 0, 0, 0  # epoch, position and time of the log that were told last
        self._last = _Answer(_READY, is_under_any=True)
        self.judged_through = 0
        self.is_gone = False

    def is_ready(self) -> bool:
        """Say whether the process has started; never waits."""
        waiting = select.poll()
        waiting.register(self._answers)
        if not waiting.poll(0):
            return False
        self._receive()
        return not self.is_gone

    def hold(self) -> None:
        """Return when everything that was sent has its moment of the state: it may be changed then."""
        self._n_since_break += 1
        if self._n_since_break >= _WITHOUT_A_BREAK:
            self.settle()
        while self._n_held < self._n_sent:
            self._receive()

    def settle(self) -> None:
        """Return when everything that was sent is done."""
        self._n_since_break = 0
        while self._n_done < self._n_sent:
            self._receive()

    def close(self) -> None:
        """Let the process end what it does, and go."""
        self.settle()
        self._end()

    def _end(self) -> None:
        self.is_gone = True
        self._n_held = self._n_done = self._n_sent
        for pipe in (self._orders, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # -- as Judging

    @property
    def is_under_any(self) -> bool:
        """Say whether people were judged by any audience, or leave those that there were."""
        return self._last.is_under_any

    @property
    def is_walking(self) -> bool:
        """Say whether a look at everybody went on when an order was last done."""
        return self._last.is_walking

    def come_under(self, catalog: Catalog, *, epoch: int, position: int, at: int) -> None:
        """Take the audiences in force; the other process looks whether they can be answered when it is asked next."""
        if catalog is not self._catalog:
            self._catalog, self._is_other_catalog = catalog, True
        self._place = epoch, position, at

    def judge_touched(self, touched: Touched, *, epoch: int, position: int, at: int) -> None:
        """Have people judged of whom more was said; does not wait for it."""
        came = [(one, came.tapes, came.traits, came.is_new, sorted(came.joined)) for one, came in touched.came.items()]
        self._send(_Order(_TOUCHED, epoch, position, at, self._is_other_catalog, "", came, touched.causes))

    def wants(self, at: int) -> bool:
        """Say whether somebody waits: for a walk, or for an instant that has come."""
        self._ask(_LOOK, *self._place)
        return self._last.is_walking or self._last.next_due <= at

    def next_due(self) -> int:
        """Say when somebody is to be judged by themselves; NEVER when nobody is."""
        return self._last.next_due

    def step(self, *, epoch: int, position: int, at: int) -> bool:
        """Have some of those judged who wait; say whether there were any."""
        self._ask(_STEP, epoch, position, at)
        return self._last.was_any

    def walk(self, cause: str, *, epoch: int, position: int, at: int) -> None:
        """Ask for a look at everybody, from the first on."""
        self._ask(_WALK, epoch, position, at, cause)

    # -- orders and answers

    def _ask(self, kind: int, epoch: int, position: int, at: int, cause: str = "") -> None:
        self._send(_Order(kind, epoch, position, at, self._is_other_catalog, cause))
        self.settle()

    def _send(self, order: _Order) -> None:
        if self.is_gone:
            return
        self._is_other_catalog = False
        try:
            _write_frame(self._orders, order)
        except OSError:
            self._end()
            return
        self._n_sent += 1
        self._sent.append(order.position)

    def _receive(self) -> None:
        told = _frame(self._answers)
        if told is None:
            self._end()
            return
        answer = _answers.decode(told)
        if answer.kind == _HELD:
            self._n_held += 1
        elif answer.kind == _DONE:
            self._n_done += 1
            self._last = answer
            self.judged_through = self._sent.pop(0)


def _write_frame(pipe: IO[bytes], told: _Order | _Answer) -> None:
    body = _encode(told)
    pipe.write(len(body).to_bytes(_LENGTH) + body)
    pipe.flush()


def _frame(pipe: IO[bytes]) -> bytes | None:
    """Read one order or answer; None: the other side is gone."""
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head)
    told = pipe.read(length)
    return told if len(told) == length else None


# -- in the process that judges


def judge_as_told(
    state: State, memberships: Memberships, orders: IO[bytes], answers: IO[bytes], *, adult_age: int
) -> None:
    """Judge until whoever sends orders is gone."""

    def say(answer: _Answer) -> None:
        try:
            _write_frame(answers, answer)
        except BrokenPipeError:
            _leave()

    profiles = StrandMemory()
    judging: Judging | None = None
    catalog: Catalog | None = None
    garbage = Garbage()
    sys.setswitchinterval(_SWITCH_S)
    say(_Answer(_READY))
    with quiet_garbage_collector():
        for order in _as_they_come(orders):
            with state.snapshot() as moment:
                position = int(moment.read("SELECT position FROM fold")[0][0])
                say(_Answer(_HELD))
                if position != order.position:
                    raise WrongMoment(order.position, position)
                if catalog is None or order.is_other_catalog:
                    catalog = catalog_of(moment)
                if judging is None:  # until the first order people were judged elsewhere
                    judging = Judging(state, memberships, TapeMemory(0), profiles, adult_age=adult_age)
                done = _done(judging, order, catalog)
            say(done)
            profiles.clear()
            garbage.hide()


def _done(judging: Judging, order: _Order, catalog: Catalog) -> _Answer:
    epoch, position, at = order.epoch, order.position, order.at
    judging.come_under(catalog, epoch=epoch, position=position, at=at)
    was_any = False
    if order.kind == _TOUCHED:
        judging.judge_touched(_read_touched(order), epoch=epoch, position=position, at=at)
    elif order.kind == _STEP:
        was_any = judging.step(epoch=epoch, position=position, at=at)
    elif order.kind == _WALK:
        judging.walk(order.cause, epoch=epoch, position=position, at=at)
    return _Answer(_DONE, was_any, judging.is_under_any, judging.is_walking, judging.next_due())


def _read_touched(order: _Order) -> Touched:
    touched = Touched()
    for one, tapes, traits, is_new, joined in order.came:
        came = touched.came[one] = Came()
        came.tapes = tapes
        came.traits = None if traits is None else set(traits)
        came.is_new = is_new
        came.joined = set(joined)
    touched.causes = order.causes
    return touched


def _leave() -> NoReturn:
    """End this process as if it was killed: what it was writing is taken back by the store."""
    sys.stderr.flush()
    os._exit(0)


def _as_they_come(orders: IO[bytes]) -> Iterator[_Order]:
    """Give orders, and end this process at once when nobody is there to send them: another one may fold by now."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        while (told := _frame(orders)) is not None:
            waiting.put(told)
        _leave()

    threading.Thread(target=read, name="tillit-orders", daemon=True).start()
    while True:
        yield _orders.decode(waiting.get())
