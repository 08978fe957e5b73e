"""The lake for others: of each purpose that shares, a table of the events that it may use, and of nothing else.

In:    the lake of all events; the purposes that say `share: true`; leave, asked for each person.
Out:   `lake/shared/<purpose>/`, a table of the same columns; a disclosure in the ledger for each person in each round.
Never: a row of somebody who did not agree, or of nobody; a field that the purpose does not reach; a row that leaves
       before its disclosure is on disk.

A round compares the whole table with what it should be: it costs a reading of all events. So whatever took leave away
(a withdrawal, a restriction, a consent that ended, people joined, other purposes) takes rows away, and no list of
reasons can forget one.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from tillit import clock
from tillit.consent import Declared, Purpose, policy_in_force
from tillit.errors import InputError, NotFound
from tillit.flow import EngineBusy, file_lock
from tillit.ledger import Disclosure, Ledger
from tillit.profile import reaches, reduce_row
from tillit.records import ACT_TYPES, IDENTITY_ACT_TYPES, LISTED_BASES, LogRow, Permit, Scope
from tillit.store import Log, Reading, State
from tillit.store.lake import Lake
from tillit.workspace.leave import Leave, Who

T = TypeVar("T")

_ROWS = 20_000  # of one commit
_POSITIONS = 5_000  # asked for at once
_PATIENCE_S = 60.0
_LOOK_S = 0.05
_LONGEST_NAME = 64
LAKE = "lake"  # who receives what is shared, where the purpose names nobody
_OURS = ACT_TYPES | IDENTITY_ACT_TYPES
_HELD_BY = {"userId": "identifiers.user_id", "anonymousId": "identifiers.anonymous_id", "groupId": "groups"}


class NotShared(InputError):
    """A purpose was named that shares nothing."""

    code = "consent.not-shared"

    def __init__(self, purpose: str) -> None:
        """Say what to do."""
        super().__init__(f"The purpose {purpose!r} shares nothing. Write `share: true` below it, and apply.")


class Round(NamedTuple):
    """What one round did."""

    purpose: str
    n_rows: int  # in the table now
    n_added: int
    n_removed: int
    n_people: int  # to whose disclosures this round added
    through: int  # log position up to which the table tells


class Shares:
    """Keeps the tables. Several processes may ask: one works at a time (a kernel lock)."""

    def __init__(
        self,
        folder: Path,
        lock: Path,
        log: Log,
        state: State,
        *,
        lake: Callable[[], Lake],
        leave: Callable[[Reading, Scope], Leave],
        scope: Callable[..., Scope],
        ledger: Ledger,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask; nothing is written yet."""
        self._folder = folder
        self._lock = lock
        self._log = log
        self._state = state
        self._lake = lake
        self._leave = leave
        self._scope = scope
        self._ledger = ledger
        self._now = now

    def purposes(self) -> list[str]:
        """Give the purposes in force that share."""
        return [name for name, told in policy_in_force(self._state).purposes.items() if told.share]

    def path(self, purpose: str) -> Path:
        """Say where a purpose's table lies."""
        return self._folder / purpose

    def share(self, purpose: str) -> Round:
        """Bring one table up to what it should be. Raises NotFound, NotShared; BusyError while another works."""
        declared = policy_in_force(self._state)
        told = declared.purposes.get(purpose)
        if told is None:
            raise NotFound("No purpose of that name is declared here.", code="consent.no-such-purpose")
        if not told.share:
            raise NotShared(purpose)
        with self._locked():
            return self._share(purpose, told, declared)

    def share_all(self) -> list[Round]:
        """Bring every table up to what it should be; drop those of purposes that no longer share."""
        shared = self.purposes()
        self.drop(but=shared)
        return [self.share(name) for name in shared]

    def drop(self, *, but: Sequence[str] = ()) -> int:
        """Delete the tables of all purposes but these; say how many there were."""
        gone = [path for path in self._tables() if path.name not in but]
        if gone:
            with self._locked():
                for path in gone:
                    shutil.rmtree(path)
        return len(gone)

    def let_go(self) -> int:
        """Take out of all tables what the lake has forgotten; say how many rows went, with every byte of them."""
        tables = list(self._tables())
        if not tables:
            return 0
        with self._locked():
            husks = [position for (position,) in self._lake().query("SELECT position FROM events WHERE type = 'husk'")]
            return sum(self._forget(path, husks) for path in tables)

    def _forget(self, path: Path, positions: Sequence[int]) -> int:
        with closing(Lake.open(path)) as table:
            held: list[int] = []
            for some in _parts(positions, _POSITIONS):
                listed = ", ".join(str(int(one)) for one in some)
                held += [p for (p,) in table.query(f"SELECT position FROM events WHERE position IN ({listed})")]
            return table.forget(held) if held else 0

    def _tables(self) -> Iterator[Path]:
        return (path for path in sorted(self._folder.glob("*")) if path.is_dir())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = clock.monotonic_s() + _PATIENCE_S
        while True:
            with ExitStack() as held:
                try:
                    held.enter_context(file_lock(self._lock, "sharing of the lake"))
                except EngineBusy:
                    if clock.monotonic_s() > deadline:
                        raise
                else:
                    yield
                    return
            time.sleep(_LOOK_S)

    # -- one round

    def _share(self, purpose: str, told: Purpose, declared: Declared) -> Round:
        scope = self._scope(purpose, asked_by="keeper")
        through = min(self._lake().position(), scope.position)
        husks = {row.position for row in self._log.husked()}
        with self._state.snapshot() as reading, closing(Lake.open(self.path(purpose))) as table:
            table.rewind(through)  # the log was restored, and ends earlier than the table did
            passing = _Passing(self._leave(reading, scope), told)
            wanted = (
                row
                for row in self._lake().iter_rows(0, through)
                if row.position not in husks and passing.permit(row) is not None
            )
            n_before, same = table.size()[0], set[int]()
            first_new, gone = self._compare(passing, wanted, table, same)
            if first_new is not None:
                table.rewind(first_new - 1)
                gone = [one for one in gone if one < first_new]
            if gone:
                table.forget(gone)
            n_people = self._add(passing, table, through, husks, same, declared)
            table.compact()
            n_rows = table.size()[0]
        n_kept = len(same)
        return Round(purpose, n_rows, n_rows - n_kept, n_before - n_kept, n_people, through)

    def _compare(
        self, passing: "_Passing", wanted: Iterator[LogRow], table: Lake, same: set[int]
    ) -> tuple[int | None, list[int]]:
        """Read what should be there beside what is there; give the first row that is new, and what must go."""
        end = table.position()
        first_new: int | None = None
        gone: list[int] = []
        held = table.iter_rows(0, end)
        mine = next(held, None)
        for row in wanted:
            if row.position > end:
                break
            while mine is not None and mine.position < row.position:
                gone.append(mine.position)
                mine = next(held, None)
            if mine is not None and mine.position == row.position:
                if mine.body == passing.reduced(row).body:
                    same.add(row.position)
                elif first_new is None:
                    first_new = row.position
                mine = next(held, None)
            elif first_new is None:
                first_new = row.position
        while mine is not None:
            gone.append(mine.position)
            mine = next(held, None)
        return first_new, gone

    def _add(
        self,
        passing: "_Passing",
        table: Lake,
        through: int,
        husks: set[int],
        same: set[int],
        declared: Declared,
    ) -> int:
        """Append what is missing, each part after the disclosures of it."""
        people: set[str] = set()
        source = (row for row in self._lake().iter_rows(table.position(), through) if row.position not in husks)
        for some in _parts(source, _ROWS):
            rows: list[LogRow] = []
            leaving: dict[str, tuple[Permit, set[str]]] = {}
            for row in some:
                leave = passing.permit(row)
                if leave is None:
                    continue
                reduced = passing.reduced(row)
                rows.append(reduced)
                if isinstance(leave, Permit) and row.position not in same:
                    leaving.setdefault(leave.profile_id, (leave, set()))[1].update(_fields(reduced))
            self._disclose(passing, leaving, declared)
            people.update(leaving)
            table.append(rows, epoch=self._log.epoch(), through=some[-1].position)
        if table.position() < through:
            table.append([], epoch=self._log.epoch(), through=through)
        return len(people)

    def _disclose(self, passing: "_Passing", leaving: dict[str, tuple[Permit, set[str]]], declared: Declared) -> None:
        scope, parties = passing.scope, declared.policy.recipients
        self._ledger.append(
            [
                Disclosure(
                    subject_ref=profile_id,
                    recipient=name,
                    role=parties[name].role if name in parties else "processor",
                    purpose=scope.purpose,
                    basis=scope.basis,
                    record_position=leave.record,
                    field_names=tuple(sorted(names)),
                    channel=LAKE,
                    country=parties[name].country if name in parties else "",
                    decision_position=scope.position,
                    at=scope.at,
                )
                for profile_id, (leave, names) in leaving.items()
                for name in passing.recipients
            ]
        )


class _Passing:
    """What of an event may pass, and on whose leave."""

    def __init__(self, leave: Leave, purpose: Purpose) -> None:
        self._leave = leave
        self.scope = leave.scope
        self.recipients = purpose.recipients or (LAKE,)
        self._known: dict[Who | None, Permit | bool | None] = {}

    def permit(self, row: LogRow) -> Permit | bool | None:
        """Give the leave on which an event may pass; True when it is nobody's, None when it may not."""
        if row.body is None or not reaches(row, self.scope) or _kind(row) in _OURS:
            return None
        who = self._leave.whose(row)
        if who not in self._known:
            found = self._leave.find(who) if who is not None else None
            if found is None:
                self._known[who] = None if self.scope.basis in LISTED_BASES else True
            else:
                told = self._leave.of(found)
                self._known[who] = told if isinstance(told, Permit) else None
        return self._known[who]

    def reduced(self, row: LogRow) -> LogRow:
        """Give an event with the fields that the purpose reaches."""
        return reduce_row(row, self.scope)


def _parts(told: Iterable[T], n: int) -> Iterator[list[T]]:
    rest = iter(told)
    while part := list(islice(rest, n)):
        yield part


def _kind(row: LogRow) -> Any:
    return msgspec.json.decode(row.body or b"{}").get("type")


def _fields(row: LogRow) -> Iterator[str]:
    """Name what an event tells, as purposes name it; names alone, as the ledger wants them."""
    said = msgspec.json.decode(row.body or b"{}")
    yield "events"
    for name, field in _HELD_BY.items():
        if name in said:
            yield field
    part = "groups" if said.get("type") == "group" else "traits"
    for name in said.get("traits") or ():
        # A name that is no word may be a value that somebody put in the wrong place.
        yield f"{part}.{name}" if name.isidentifier() and len(name) < _LONGEST_NAME else part
