"""Retention: what no purpose keeps any more is forgotten, as if somebody had asked for it.

In:    the purposes in force; the log, from where the last sweep ended; holds.
Out:   what would go; acts in the log, which the fold applies; notes of how far it was looked.
Never: the whole log each time; an event of somebody who is held or restricted; a word on which an answer about consent
       rests; another part under purposes that are no more in force.

A time is counted from when the log took an event, not from when it happened: what is imported late is kept as long as
what is new.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit import clock
from tillit.clock import HOUR, rfc3339
from tillit.consent import Purpose, Term, Terms, has_refused, is_restricted, load_restricted, policy_in_force
from tillit.flow import file_lock, find_telling, forget_act, is_husk, iter_log, named_by, read_known, roots_of
from tillit.groups import FACT_TRAITS
from tillit.identity import find_held_positions, find_membership, find_ties, profile_id, read_holdings, rules_in_force
from tillit.privacy import HELD, LastSweep, Request, RetentionNotes
from tillit.records import LogRow, Membership, NewRow
from tillit.store import Log, State
from tillit.store.lake import Lake
from tillit.workspace.folder import Paths
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of

_ROWS = 20_000  # looked at as one; their people are folded anew together
# Of one act. The next one has more or fewer, so that the fold is held for about half a second (taste).
_FIRST, _MOST, _LEAST = 250, 1_000, 10
_LONG_S, _SHORT_S = 0.5, 0.2
_MOST_CUTS = 256


class Month(NamedTuple):
    """Events that are due. Grain: one per source, month of arrival and set of purposes."""

    source: str
    month: str  # 2026-01, UTC
    purposes: tuple[str, ...]  # for which they were kept; none: no purpose may use them
    n_events: int
    oldest_at: int  # UTC epoch microseconds


class Outlook(NamedTuple):
    """What a sweep would do now."""

    policy: str
    n_due: int
    n_held: int  # due, and left: their people are held or restricted, or dead or minors by these very events
    n_proofs: int  # due, and left: the latest answer of a consent manager or a browser, and by what a no is theirs
    months: list[Month]
    is_whole: bool  # all that is due was looked at, not the first part of it


class Swept(NamedTuple):
    """What a sweep did."""

    policy: str
    n_events: int
    n_held: int
    n_proofs: int


class _Who(msgspec.Struct, gc=False):
    userId: Any = None
    anonymousId: Any = None
    traits: Any = None


_decode = msgspec.json.Decoder(_Who).decode
_Due = tuple[LogRow, Term]


class _Window(NamedTuple):
    """A part of the log, looked through."""

    span_us: int | None  # the time of keeping that was looked for; None: these were left by an earlier sweep
    looked: Sequence[int]
    held: set[int]
    proofs: set[int]
    going: list[_Due]


class Retention:
    """Carries out the times for keeping that purposes declare."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        paths: Paths,
        *,
        notes: RetentionNotes,
        lake: Callable[[], Lake],
        held: Callable[[], Iterable[Request]],
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        unshare: Callable[[], int],
        adult_age: int,
        now: Callable[[], int],
    ) -> None:
        """Know the stores; `held` gives requests that may be held, `unshare` lets go of what was made of the lake."""
        self._log = log
        self._state = state
        self._folding = folding
        self._lock = paths.retention_lock
        self._notes = notes
        self._lake = lake
        self._held = held
        self._append = append
        self._unshare = unshare
        self._adult_age = adult_age
        self._now = now
        self._cuts: dict[tuple[int, int], int] = {}

    def kept_after(self, purpose: Purpose | None, now: int) -> int:
        """Say up to which log position everything is too old for a purpose; 0: nothing is.

        To the hour, and rather too early: then it is looked up once an hour.
        """
        if purpose is None or purpose.retention_us is None:
            return 0
        instant = -(-(now - purpose.retention_us) // HOUR) * HOUR
        key = self._log.epoch(), instant
        found = self._cuts.get(key)
        if found is None:
            if len(self._cuts) >= _MOST_CUTS:
                self._cuts.clear()
            found = self._cuts[key] = self._folding.position_before(instant)
        return found

    def is_declared(self) -> bool:
        """Say whether the purposes in force ever let anything go."""
        return bool(self._terms().spans)

    def last(self) -> LastSweep | None:
        """Say when the last sweep ended, and how many events it took; None: there was none."""
        return self._notes.last()

    # -- looking first

    def outline(self, *, most: int | None = None) -> Outlook:
        """Say what a sweep would do now; with `most` no more rows than about so many are looked at."""
        terms, n_looked = self._terms(), 0
        months: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        n_held = n_proofs = n_due = 0
        is_whole = True
        for window in self._windows(terms):
            n_held, n_proofs = n_held + len(window.held), n_proofs + len(window.proofs)
            n_due += len(window.going)
            for row, term in window.going:
                key = row.source, rfc3339(row.logged_at)[:7], term.purposes
                told = months.setdefault(key, [0, row.logged_at])
                told[0], told[1] = told[0] + 1, min(told[1], row.logged_at)
            n_looked += len(window.looked)
            if most is not None and n_looked >= most:
                is_whole = False
                break
        listed = [Month(*key, *told) for key, told in sorted(months.items())]
        return Outlook(terms.policy, n_due, n_held, n_proofs, listed, is_whole)

    def _terms(self) -> Terms:
        return Terms(policy_in_force(self._state))

    def _windows(self, terms: Terms) -> Iterator[_Window]:
        """Give what is due, a part of the log at a time; first what earlier sweeps left."""
        if not terms.spans:
            return
        epoch, now, through = self._log.epoch(), self._now(), self._folding.position()
        left = self._notes.left(terms.policy, epoch)
        for start in range(0, len(left), _ROWS):
            some = left[start : start + _ROWS]
            yield self._window(None, some, _due(terms, self._folding.rows(some).values()))
        for span in terms.spans:
            end = min(self._folding.position_before(now - span + 1), through)
            after = self._notes.mark(terms.policy, span, epoch)
            for block in iter_log(self._log, self._lake, end, after=after):
                due = [(row, term) for row, term in _due(terms, block) if term.span_us == span]
                yield self._window(span, [row.position for row in block], due)

    def _window(self, span_us: int | None, looked: Sequence[int], due: Sequence[_Due]) -> _Window:
        held, proofs = self._staying(due)
        return _Window(span_us, looked, held, proofs, [one for one in due if one[0].position not in held | proofs])

    def _staying(self, due: Sequence[_Due]) -> tuple[set[int], set[int]]:
        """Give those that stay though they are due: people are held, or an answer about somebody rests on them."""
        if not due:
            return set(), set()
        positions = [row.position for row, _ in due]
        repeats: dict[int, int] = dict(
            self._state.read_in(
                "SELECT position, of_position FROM fate WHERE of_position IS NOT NULL AND position IN {in}", positions
            )
        )
        kept = self._held_positions() | self._telling([row for row, _ in due])
        held = {p for p in positions if repeats.get(p, p) in kept}
        carrying = self._named_by([row for row, term in due if term.carries])
        standing = self._state.read_in("SELECT position FROM consent_signal WHERE identifier_id IN {in}", carrying)
        proofs = {p for (p,) in standing} | self._ties([row for row, _ in due])
        return held, proofs.intersection(positions) - held

    def _ties(self, rows: Iterable[LogRow]) -> set[int]:
        """Give those by which a no reaches whoever it is of: said on a device, it would else be nobody's."""
        found: set[int] = set()
        for membership in self._holders(self._named_by(rows)):
            own = [one.identifier_id for one in membership.identifiers]
            if len(own) > 1 and has_refused(self._state, own):
                found |= find_ties(self._state, own)
        return found

    def _telling(self, rows: Iterable[LogRow]) -> set[int]:
        """Give those by which somebody is deceased or a minor now: without them a purpose might use what it may not."""
        ids = self._named_by(row for row in rows if _tells_facts(row))
        found: set[int] = set()
        for membership in self._holders(ids):
            found |= find_telling(self._state, membership, among=ids, at=self._now(), adult_age=self._adult_age)
        return found

    def _named_by(self, rows: Iterable[LogRow]) -> list[int]:
        rules = rules_in_force(self._state)
        return sorted({i for row in rows for i in named_by(self._state, row, rules)})

    def _holders(self, ids: Iterable[int]) -> Iterator[Membership]:
        for root in sorted(roots_of(self._state, sorted(ids))):
            membership = find_membership(self._state, profile_id(root))
            if membership is not None:
                yield membership

    def _held_positions(self) -> set[int]:
        now = self._now()
        told = [
            find_membership_of(self._state, request.profile_id)
            for request in self._held()
            if request.state == HELD and request.held_until is not None and request.held_until > now
        ]
        people = {one.profile_id: one for one in told if one is not None}
        for one in self._holders(load_restricted(self._state)):
            known = read_known(self._state, one, adult_age=self._adult_age, epoch=1, with_facts=False)
            if is_restricted(known.said):
                people[one.profile_id] = one
        found: set[int] = set()
        for one in people.values():
            found.update(find_held_positions(self._state, read_holdings(self._state, one)))
        return found

    # -- doing it

    def sweep(
        self, *, progress: Callable[[int], None] = lambda _: None, is_over: Callable[[], bool] = lambda: False
    ) -> Swept:
        """Forget what is due, a part at a time; a sweep that was killed goes on where it was.

        `progress` is told how many events have gone; `is_over` is asked between two parts whether to stop.
        Raises: EngineBusy while another sweep runs; BusyError when nobody folds.
        """
        with file_lock(self._lock, "sweeping of what is too old"):
            self._folding.reach_patiently(self._log.head())
            return self._sweep(progress, is_over)

    def _sweep(self, progress: Callable[[int], None], is_over: Callable[[], bool]) -> Swept:
        terms, epoch = self._terms(), self._log.epoch()
        self._notes.begin(terms.policy, epoch)
        n_gone = n_held = n_proofs = 0
        size, is_stopped = _FIRST, False
        for window in self._windows(terms):
            # One after the other, each person would be folded anew for each of their events.
            going = sorted(window.going, key=lambda one: (_who(one[0]), one[0].position))
            # What came since the window was looked at counts too: other purposes, a hold, a restriction.
            while not (is_stopped := is_over() or self._terms().policy != terms.policy) and going:
                some, going = going[:size], going[size:]
                held, proofs = self._staying(some)
                window.held.update(held)
                window.proofs.update(proofs)
                told = [row.position for row, _ in some if row.position not in held | proofs]
                if not told:
                    continue
                took_s = self._forget(told, terms.policy)
                n_gone += len(told)
                progress(n_gone)
                if took_s > _LONG_S:
                    size = max(_LEAST, size // 2)
                elif took_s < _SHORT_S:
                    size = min(_MOST, size * 2)
            if is_stopped:
                break
            left = window.held | window.proofs
            n_held, n_proofs = n_held + len(window.held), n_proofs + len(window.proofs)
            if window.span_us is None:
                self._notes.drop(set(window.looked) - left)
            else:
                self._notes.pass_over(terms.policy, window.span_us, epoch, window.looked[-1], sorted(left))
        if n_gone:
            self._folding.clear_checks()
            self._folding.write_lake()
            # What the lake still has is no more in what is made of it, from the next round on.
            self._unshare()
        if not is_stopped:
            self._notes.finish(terms.policy, now=self._now(), n_events=n_gone)
        return Swept(terms.policy, n_gone, n_held, n_proofs)

    def _forget(self, positions: Sequence[int], policy: str) -> float:
        """Put one act into the log and wait for it; say how long that took, in seconds."""
        began_s = clock.monotonic_s()
        act = forget_act(positions, now=self._now(), reason="retention", policy=policy)
        self._folding.reach_patiently(self._append([act])[1])
        return clock.monotonic_s() - began_s


def _due(terms: Terms, rows: Iterable[LogRow]) -> list[_Due]:
    """Give those events that nobody has forgotten yet and whose term has an end, each with its term."""
    told = ((row, terms.find(row)) for row in rows if not is_husk(row))
    return [(row, term) for row, term in told if term is not None and term.span_us is not None]


def _who(row: LogRow) -> str:
    told = _read(row)
    return str(told.userId or told.anonymousId or "")


def _tells_facts(row: LogRow) -> bool:
    traits = _read(row).traits
    return isinstance(traits, dict) and not FACT_TRAITS.isdisjoint(traits)


def _read(row: LogRow) -> _Who:
    try:
        return _decode(row.body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Who()  # it lies in quarantine
