"""Ranks: audiences that rank everybody are judged at ticks: who is among the first then, is in until the next.

In:    audiences that rank; people to look at; the log's own time.
Out:   snapshots: memberships, their changes, and the instant of each, in one transaction.
Never: a snapshot of two moments. Everybody is looked at piece by piece while events come; whoever was touched since, or
       whose number does not hold any more, is looked at again, so that in the end all of it is so at one instant.

A tick is a whole multiple of `every` of the log's time. The instant of a snapshot is that of the log when it was done:
what a person's tapes held earlier cannot be asked any more. What is gathered is in memory: killed, it begins anew.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from tillit.audience import (
    EDIT,
    ENTER,
    EXIT,
    NOBODY,
    RANK,
    Came,
    Catalog,
    Change,
    Entry,
    Judged,
    Member,
    Memberships,
    RankedEntry,
    Ranking,
    Touched,
    drop_ranking,
    read_rankings,
    write_ranking,
)
from tillit.identity import Holder, profile_id
from tillit.language.live import Person
from tillit.language.ranks import Places, first_of
from tillit.language.values import NEVER
from tillit.store import Writing

_AGAIN_AT_ONCE = 5_000  # people looked at again in one piece: more than one micro-batch can touch
_PAGE = 10_000


class View(Person, Protocol):
    """What an evaluator is told of one person, as a purpose may look at them."""

    def through(self, entry: Entry) -> None:
        """Look as the purpose of an audience may."""
        ...


class Seen(NamedTuple):
    """One person who is looked at."""

    holder: Holder
    view: View


def _under(ranked: RankedEntry, policy: str) -> str:
    """Write by what people are chosen beside the version: by what is named, and for what purpose."""
    entry = ranked.entry
    return f"{entry.meaning} {entry.lens!r} {policy if entry.hangs_on_permissions else ''}"


class _Walk:
    """A look at everybody for some audiences."""

    def __init__(self, entries: Mapping[str, RankedEntry], under: Mapping[str, tuple[int, str]]) -> None:
        self.entries = entries
        self.under = under  # by which each is asked
        self.places = {name: Places() for name in entries}
        self.onward = 0  # the next identifier; NOBODY: everybody was looked at
        self.again: set[int] = set()  # of whom more was said since
        self._tapes = {one for ranked in entries.values() for one in ranked.entry.tapes.values()}
        self._traits = {one for ranked in entries.values() for one in ranked.entry.traits}

    def touch(self, touched: Touched) -> None:
        self.again.update(one for one, came in touched.came.items() if self._may_move(came))

    def _may_move(self, came: Came) -> bool:
        """Say whether what came may give somebody another place, or is the first that is known of them."""
        if came.is_new or came.joined or came.tapes is None or not self._tapes.isdisjoint(came.tapes):
            return True
        return bool(self._traits) and (came.traits is None or not self._traits.isdisjoint(came.traits))

    def look(self, ids: Collection[int], people: Iterable[Seen], at: int) -> None:
        left = set(ids)
        for holder, view in people:
            others = [one for one in holder.identifiers if one != holder.root_id]
            left.update(others)
            left.discard(holder.root_id)
            for name, ranked in self.entries.items():
                view.through(ranked.entry)
                self.places[name].put(holder.root_id, *ranked.scores(view, at))
        for places in self.places.values():
            for one in left:
                places.drop(one)

    def over(self, at: int) -> set[int]:
        return {one for places in self.places.values() for one in places.over(at)}


class Ranks:
    """Judges audiences that rank; used by the one process that folds."""

    def __init__(self, memberships: Memberships, people: Callable[[Collection[int]], Iterable[Seen]]) -> None:
        """Know the journal, and who gives people to look at."""
        self._memberships = memberships
        self._people = people
        self._rankings = read_rankings(memberships.store)
        self._ranked: Mapping[str, RankedEntry] = {}
        self._ready: dict[str, RankedEntry] = {}
        self._under: dict[str, str] = {}
        self._gone: list[str] = []
        self._stay: Collection[str] = ()
        self._walk: _Walk | None = None

    @property
    def has_any(self) -> bool:
        """Say whether there are snapshots."""
        return bool(self._rankings)

    def come_under(self, catalog: Catalog, whole: Collection[int], policy: str) -> None:
        """Take the audiences that can be answered. `whole`: tapes that are filled; `policy`: the purposes in force."""
        self._ranked = catalog.ranked
        self._ready = {
            name: one for name, one in catalog.ranked.items() if all(tape in whole for tape in one.entry.tapes.values())
        }
        self._under = {name: _under(one, policy) for name, one in self._ready.items()}
        kept = {*catalog.ranked, *(name for name in catalog.names if name not in catalog.entries)}
        # Of one that ranks nobody any more the members are judged as of others; of one that is no more they leave.
        self._gone = [name for name in self._rankings if name not in kept]
        self._stay = catalog.names
        if self._walk is not None and self._walk.under != self._asked(self._walk.entries):
            self.begin_anew()

    def _asked(self, names: Iterable[str]) -> dict[str, tuple[int, str]]:
        return {name: (self._ready[name].entry.version, self._under[name]) for name in names if name in self._ready}

    def begin_anew(self) -> None:
        """Let go of what was gathered: who is who, or what is asked, is otherwise than it was."""
        self._walk = None

    def entry(self, name: str) -> Entry | None:
        """Give an audience that ranks."""
        found = self._ranked.get(name)
        return None if found is None else found.entry

    def touch(self, touched: Touched) -> None:
        """Note of whom more was said."""
        if self._walk is not None:
            self._walk.touch(touched)

    def next_due(self) -> int:
        """Say when everybody is to be looked at; NEVER when no audience ranks."""
        if self._gone or self._walk is not None:
            return 0
        return min((self._due(name) for name in self._ready), default=NEVER)

    def _due(self, name: str) -> int:
        ranking = self._rankings.get(name)
        if ranking is None or self._is_other(name, ranking):
            return 0
        return ranking.next_tick(self._ready[name].node.every)

    def _is_other(self, name: str, ranking: Ranking) -> bool:
        return (ranking.version, ranking.under) != (self._ready[name].entry.version, self._under[name])

    def step(self, judged: Judged, after: Callable[[int], list[int]]) -> bool:
        """Do one piece of what is due; say whether there was any. `after`: people from an identifier on, some."""
        if self._gone:
            self._leave(self._gone.pop(), judged)
            return True
        if self._walk is None:
            due = {name: one for name, one in self._ready.items() if self._due(name) <= judged.at}
            if not due:
                return False
            self._walk = _Walk(due, self._asked(due))
        walk = self._walk
        if walk.onward != NOBODY:
            ids = after(walk.onward)
            walk.look(ids, self._people(ids), judged.at)
            walk.onward = ids[-1] + 1 if ids else NOBODY
            return True
        again = sorted(walk.again | walk.over(judged.at))
        if again:
            some = again[:_AGAIN_AT_ONCE]
            walk.look(some, self._people(some), judged.at)
            walk.again.difference_update(some)
        if len(again) <= _AGAIN_AT_ONCE:
            self._walk = None
            for name in walk.entries:
                self._settle(name, walk, judged)
        return True

    def _settle(self, name: str, walk: _Walk, judged: Judged) -> None:
        ranked, before = walk.entries[name], self._rankings.get(name)
        first, n_ranked = first_of(ranked.node, walk.places[name].placed(), profile_id)
        is_edit = before is None or self._is_other(name, before)
        version = ranked.entry.version
        ranking = Ranking(name, version, self._under[name], judged.at, judged.epoch, judged.position, n_ranked)
        self._write(name, version, first, EDIT if is_edit else RANK, judged, lambda tx: write_ranking(tx, ranking))
        self._rankings[name] = ranking

    def _leave(self, name: str, judged: Judged) -> None:
        del self._rankings[name]
        if name in self._stay:
            self._memberships.write(judged, (), {}, versions={}, also=lambda tx: drop_ranking(tx, name))
        else:
            self._write(name, 0, set(), EDIT, judged, lambda tx: drop_ranking(tx, name))

    def _write(
        self, name: str, version: int, first: set[int], cause: str, judged: Judged, also: Callable[[Writing], None]
    ) -> None:
        members = {one.root_id: one for one in self._members(name)}
        at, position = judged.at, judged.position
        changes = [
            Change(0, name, version, root, EXIT, at, cause, position, member.since_at)
            for root, member in members.items()
            if root not in first
        ]
        changes += [
            Change(0, name, version, root, ENTER, at, cause, position, at) for root in sorted(first - members.keys())
        ]
        self._memberships.write(judged, changes, {}, versions={name: version}, also=also)

    def _members(self, name: str) -> Iterable[Member]:
        after = -1
        while members := self._memberships.members(name, after=after, limit=_PAGE):
            yield from members
            after = members[-1].root_id
