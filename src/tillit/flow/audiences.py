"""Audiences: people are judged as the log goes on, and by the clock of the log when it does not.

In:    whose answers may have changed; what is kept of them; the catalog of audiences in force.
Out:   memberships and their changes; how far tapes are filled.
Never: an answer by another clock than the log's. Who is in an audience at a place in the log follows from the events up
       to it and the time at which its row was logged, and from nothing else.

People are judged at the end of each micro-batch, which never spans more than a second of the log's time: what came and
went within it is not told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from tillit.audience import (
    CORRECTION,
    EDIT,
    ENTER,
    ERASURE,
    EVENT,
    EXIT,
    JOINED,
    MERGE,
    MOVE,
    NOBODY,
    TIMER,
    WHOLE,
    Came,
    Catalog,
    Change,
    Entry,
    Judged,
    Lens,
    Member,
    Memberships,
    Strand,
    TapeMemory,
    TapeWriter,
    Touched,
    is_any_going,
    lens_allows,
    read_standing,
    set_through,
    take_away,
    unfilled,
)
from tillit.consent import Declared, lanes_of, policy_in_force, stretches
from tillit.flow.group_members import Circles, OfPerson, Reached, reached_by
from tillit.flow.ranks import Ranks, Seen
from tillit.flow.refold import ReadRows
from tillit.flow.subjects import read_known
from tillit.identity import Holder, find_holders, find_membership, part_of, profile_id, read_event
from tillit.language.tapes import B_N, BASE, ENTRIES, Document
from tillit.language.values import NEVER
from tillit.profile import StrandMemory, load_traits
from tillit.records import LogRow
from tillit.store import Reading, State

_Strands = Mapping[tuple[int, int], Strand]  # what stands on the tapes of each

_MOST_KNOWN = 100_000  # permissions of people, some 200 bytes each
_JUDGED_AT_ONCE = 256  # people
_WALK_AT_ONCE = 200  # people of a walk judged between two micro-batches: some 20 ms
_FILL_AT_ONCE = 1_000  # events read again between two micro-batches
_MOST_TURNS = 1_000  # instants of one person gone through after a long pause; then the present one


# -- tapes that are filled from history, and tapes that go


def keep_tapes(state: State, catalog: Catalog, rows: ReadRows, memory: TapeMemory) -> bool:
    """Do one piece of what is to be done on tapes: say whether there was any."""
    try:
        return _fill_some(state, catalog, rows, memory) or _take_some(state, memory)
    except BaseException:
        memory.clear()  # it holds what was not written
        raise


def _fill_some(state: State, catalog: Catalog, rows: ReadRows, memory: TapeMemory) -> bool:
    """Put the events of some more strands onto tapes that are not whole."""
    tapes, through = unfilled(state)
    if not tapes:
        return False
    with state.transaction() as tx:
        anchors = _next_anchors(tx, through)
        if anchors:
            writer = TapeWriter(tx, catalog, memory, filling=tapes)
            writer.fold([one for anchor, told in anchors.items() for one in _sightings(tx, anchor, told, rows)])
        set_through(tx, tapes, max(anchors) if anchors else WHOLE)
    return True


def _take_some(state: State, memory: TapeMemory) -> bool:
    """Take from some more strands what no definition wants any more."""
    if not is_any_going(state):
        return False
    with state.transaction() as tx:
        take_away(tx, memory)
    return True


def _next_anchors(reading: Reading, after: int) -> dict[int, list[int]]:
    """Give the next identifiers that have events, each with the places of all of them."""
    found: dict[int, list[int]] = {}
    listed = reading.read(
        "SELECT anchor_id, position FROM event_index WHERE anchor_id > ? ORDER BY anchor_id LIMIT ?",
        (after, _FILL_AT_ONCE),
    )
    for anchor, position in listed:
        found.setdefault(anchor, []).append(position)
    if len(listed) == _FILL_AT_ONCE:
        last = listed[-1][0]
        if len(found) > 1:
            del found[last]
        else:
            places = reading.read("SELECT position FROM event_index WHERE anchor_id = ?", (last,))
            found[last] = [position for (position,) in places]
    return found


class _Anchor(NamedTuple):
    identifier_id: int


class _Stretch(NamedTuple):
    """Events of one strand, as the writer reads them."""

    events: list[tuple[LogRow, Any]]
    anchor: _Anchor
    part: int


def _sightings(reading: Reading, anchor: int, places: Sequence[int], rows: ReadRows) -> list[_Stretch]:
    tenures = reading.read(
        "SELECT from_at, from_position, holder_id FROM tenure WHERE identifier_id = ? ORDER BY from_at, from_position",
        (anchor,),
    )
    by_part: dict[int, list[tuple[LogRow, Any]]] = {}
    for _, row in sorted(rows(places).items()):
        if row.body:
            part = part_of(tenures, row.event_at) if tenures else 0
            by_part.setdefault(part, []).append((row, read_event(row.body)))
    return [_Stretch(events, _Anchor(anchor), part) for part, events in by_part.items()]


# -- one person


class PersonView:
    """What an evaluator is told of one person."""

    def __init__(
        self,
        reading: Reading,
        holder: Holder,
        strands: Iterable[Strand],
        permits: "Callable[[Reading, int, str, int], tuple[bool, int]]",
        memory: StrandMemory | None = None,
    ) -> None:
        """Know whose tapes these are; traits and permissions are read when they are asked for."""
        self._reading = reading
        self._holder = holder
        self._strands = [strand for strand in strands if strand]
        self._tapes: dict[int, list[Document]] = {}  # those that were asked for
        self._permits = permits
        self._memory = memory
        self._traits: dict[Lens, dict[str, Any]] = {}
        self._lens: Lens = None
        self._ids: Mapping[int, int] | None = None  # None: tapes are stored under their own ids
        self.circles: Circles | None = None  # of an audience that asks about groups
        self.known: dict[int, tuple[bool, int]] = {}  # what was answered of them at the instant that is looked at

    def through(self, entry: Entry) -> None:
        """Look at the person as the purpose of an audience may."""
        self._lens = entry.lens
        self._ids = entry.tapes if entry.lens is not None else None

    def documents(self, tape_id: int) -> Sequence[Document]:
        """Give what stands on a tape, for each strand that has anything."""
        return self.stored(tape_id if self._ids is None else self._ids[tape_id])

    @property
    def profile_id(self) -> str:
        """Give the id by which samples are drawn."""
        return profile_id(self._holder.root_id)

    @property
    def stored_ids(self) -> Collection[int]:
        """Give the ids of tapes that anything stands on."""
        return set[int]().union(*self._strands)

    def stored(self, stored_id: int) -> Sequence[Document]:
        """Give what stands on a tape, by the id under which it is stored."""
        found = self._tapes.get(stored_id)
        if found is None:
            told = [strand.document(stored_id) for strand in self._strands]
            found = self._tapes[stored_id] = [document for document in told if document is not None]
        return found

    def trait(self, name: str) -> Any:
        """Give a trait as the profile shows it for the purpose."""
        lens = self._lens
        if lens not in self._traits:
            allows = partial(lens_allows, lens)
            self._traits[lens] = load_traits(self._reading, self._holder.keys, allows, self._memory)
        return self._traits[lens].get(name)

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether they may be used for a purpose, and until when."""
        return self._permits(self._reading, self._holder.root_id, purpose, at)

    def relations(self) -> OfPerson:
        """Give what is known of their groups."""
        assert self.circles is not None, "circles are drawn for audiences that ask about groups"
        return self.circles.of(self._holder, self)

    def look_as(self, other: "PersonView") -> "PersonView":
        """See this person as another one is seen."""
        self._lens, self._ids = other._lens, other._ids
        return self

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        """Never asked: what an audience names of others stands in the place of the name."""
        raise AssertionError(f"{audience} was to be put in its place before {at}")

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        """Never asked either."""
        raise AssertionError(f"{name} was to be put in its place before {at}")


class Permissions:
    """Whether people may be used for purposes, for conditions that ask for it."""

    def __init__(self, declared: Declared, adult_age: int) -> None:
        """Take the purposes in force."""
        self._declared = declared
        self._lanes = {lane.purpose: lane for lane in lanes_of(declared) if not lane.channel and not lane.jurisdiction}
        self._adult_age = adult_age

    def __call__(self, reading: Reading, root: int, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether somebody may be used for a purpose, and until when."""
        lane, membership = self._lanes.get(purpose), find_membership(reading, profile_id(root))
        if lane is None or membership is None:
            return False, NEVER
        known = read_known(reading, membership, adult_age=self._adult_age, epoch=1)
        spans = stretches(self._declared, [lane], known.at, turns=known.turns())
        is_otherwise = any(from_at <= at < until for _, from_at, until in spans)
        turns = [turn for _, *ends in spans for turn in ends if turn > at]
        return lane.is_open != is_otherwise, min(turns, default=NEVER)


# -- judging


class Judging:
    """Judges people; used by the one process that folds."""

    def __init__(
        self, state: State, memberships: Memberships, memory: TapeMemory, profiles: StrandMemory, *, adult_age: int
    ) -> None:
        """Know the stores, and what whoever folds has in memory of them."""
        self._state = state
        self._memberships = memberships
        self._memory = memory
        self._profiles = profiles
        self._adult_age = adult_age
        self._judged = memberships.judged()
        self._ready_of: tuple[Catalog, dict[int, int]] | None = None
        self._ready: dict[str, Entry] = {}
        self._permits: Permissions | None = None
        self._ranks = Ranks(memberships, self._seen)
        # By root and purpose: the answer, and from when until when it holds. Of nobody of whom more was said since.
        self._may: dict[int, dict[str, tuple[bool, int, int]]] = {}

    @property
    def judged(self) -> Judged:
        """Say how far everybody was judged."""
        return self._judged

    @property
    def is_under_any(self) -> bool:
        """Say whether people were judged by any audience, or leave those that there were."""
        return bool(self._judged.under) or self._judged.walk != NOBODY or self._ranks.has_any

    @property
    def is_walking(self) -> bool:
        """Say whether a look at everybody goes on."""
        return self._judged.walk != NOBODY

    def come_under(self, catalog: Catalog, *, epoch: int, position: int, at: int) -> None:
        """Take the audiences that can be answered; where they are others than before, everybody is looked at again."""
        standing = read_standing(self._state) if catalog.tapes else {}
        if self._ready_of is not None and self._ready_of[0] is catalog and self._ready_of[1] == standing:
            return
        self._ready_of = catalog, standing
        self._ready = {
            name: entry
            for name, entry in catalog.entries.items()
            if all(standing.get(one) == WHOLE for one in entry.tapes.values())
        }
        declared = policy_in_force(self._state)
        self._permits = Permissions(declared, self._adult_age)
        self._may.clear()
        self._ranks.come_under(catalog, [one for one, through in standing.items() if through == WHOLE], declared.hash)
        told = ((one.name, one.version, one.meaning, one.lens) for one in self._ready.values())
        under = repr(sorted(told)) if self._ready else ""
        if any(one.hangs_on_permissions for one in self._ready.values()):
            under += declared.hash
        if under != self._judged.under:
            self.walk(EDIT, under=under, epoch=epoch, position=position, at=at)

    def walk(self, cause: str, *, under: str | None = None, epoch: int, position: int, at: int) -> None:
        """Ask for a look at everybody, from the first on."""
        self._judged = Judged(epoch, position, at, 0, cause, self._judged.under if under is None else under)
        self._memberships.write(self._judged, (), {}, versions={})
        self._ranks.begin_anew()

    def wants(self, at: int) -> bool:
        """Say whether somebody waits: for a walk, or for an instant that has come."""
        return self.is_walking or self.next_due() <= at

    def next_due(self) -> int:
        """Say when somebody is to be judged by themselves; NEVER when nobody is."""
        due = self._memberships.next_due()
        return min(NEVER if due is None else due, self._ranks.next_due())

    def judge_touched(self, touched: Touched, *, epoch: int, position: int, at: int) -> None:
        """Judge people of whom more was said, and whoever is due by then."""
        self._ranks.touch(touched)
        due = self._memberships.due(at, most=_WALK_AT_ONCE)
        if touched or due:
            self._judge(touched, due, epoch=epoch, position=position, at=at, cause=EVENT)
        else:
            self._judged = self._judged._replace(epoch=epoch, position=position, at=at)

    def step(self, *, epoch: int, position: int, at: int) -> bool:
        """Judge some of those who wait; say whether there were any."""
        due = self._memberships.due(at, most=_WALK_AT_ONCE)
        if due:
            self._judge(Touched(), due, epoch=epoch, position=position, at=at, cause=TIMER)
            return True
        walk = self._judged.walk
        if walk == NOBODY:
            self._judged = self._judged._replace(epoch=epoch, position=position, at=at)
            return self._ranks.step(self._judged, self._roots)
        ids = self._roots(walk)
        if not ids:
            ids = self._lost()
        cause, onward = self._judged.cause, (ids[-1] + 1 if ids and ids[-1] >= walk else NOBODY)
        touched = Touched()
        touched.whole(ids)
        self._judged = self._judged._replace(walk=onward)
        self._judge(touched, (), epoch=epoch, position=position, at=at, cause=cause)
        return True

    def _roots(self, onward: int) -> list[int]:
        rows = self._state.read(
            "SELECT identifier_id FROM identifier WHERE identifier_id >= ? AND identifier_id = root_id "
            "ORDER BY identifier_id LIMIT ?",
            (onward, _WALK_AT_ONCE),
        )
        return [one for (one,) in rows]

    def _seen(self, ids: Collection[int]) -> list[Seen]:
        """Give people to look at, by the ids of what they are known by."""
        holders = find_holders(self._state, ids)
        strands = self._memory.load(self._state, (key for holder in holders.values() for key in holder.keys))
        found = [Seen(one, self._view(one, strands)) for one in holders.values()]
        self._memory.trim()
        return found

    def _lost(self) -> list[int]:
        """Give roots of memberships that are nobody's root any more."""
        found: list[int] = []
        after = -1
        while rows := self._memberships.store.read(
            "SELECT DISTINCT root_id FROM membership WHERE root_id > ? ORDER BY root_id LIMIT 1000", (after,)
        ):
            roots = [one for (one,) in rows]
            after = roots[-1]
            own = {
                one
                for one, root in self._state.read_in(
                    "SELECT identifier_id, root_id FROM identifier WHERE identifier_id IN {in}", roots
                )
                if one == root
            }
            found += [one for one in roots if one not in own]
        return found

    def _judge(self, touched: Touched, due: Sequence[int], *, epoch: int, position: int, at: int, cause: str) -> None:
        state = self._state
        ids = touched.came.keys() | set(due)
        holders = find_holders(state, ids)
        assert self._ready_of is not None, "come under a catalog first"
        catalog = self._ready_of[0]
        came_to = self._came_to(touched, holders, _former(holders))
        for root in (*touched.came, *(root for root, came in came_to.items() if came.tapes is None)):
            self._may.pop(root, None)
        circles = Circles(state, self._look_at, PersonView.look_as) if catalog.by_group else None
        beside: dict[int, set[str]] = {}
        stirred: Collection[str] = ()
        # Who walks looks at everybody.
        if cause == EVENT and touched and catalog.beside.names:
            shared = self._shared_by(touched, holders, came_to, at)
            near, stirred = find_holders(state, shared.told.keys()), shared.groups
            for root, holder in near.items():
                beside[root] = set().union(*(shared.told.get(one, ()) for one in {key[0] for key in holder.keys}))
            ids, holders = ids | shared.told.keys(), near | holders
        look = _Look(touched, came_to, circles, beside, stirred, position, at, cause)
        changes: list[Change] = []
        dues: dict[int, int | None] = {}
        # Nobody has these any more.
        nobody = ids - _former(holders).keys()
        for mine in self._memberships.of_roots(nobody).values():
            changes += [self._exit(member, at, ERASURE, position) for member in mine.values()]
        dues.update(dict.fromkeys(self._memberships.dues_of(nobody)))
        # Some at a time: what is read of them is in the processor's cache while they are judged.
        everybody = list(holders.items())
        for start in range(0, len(everybody), _JUDGED_AT_ONCE):
            self._judge_some(catalog, dict(everybody[start : start + _JUDGED_AT_ONCE]), look, changes, dues)
        self._judged = self._judged._replace(epoch=epoch, position=position, at=at)
        is_over = self._judged.walk == NOBODY and cause in (EDIT, CORRECTION)
        if changes or dues or is_over or cause != EVENT:
            versions = {name: entry.version for name, entry in self._ready.items()} if is_over else {}
            self._memberships.write(self._judged, changes, dues, versions=versions)

    def _judge_some(
        self,
        catalog: Catalog,
        holders: Mapping[int, Holder],
        look: "_Look",
        changes: list[Change],
        new_dues: dict[int, int | None],
    ) -> None:
        """Add what some people are judged to be."""
        touched, circles, at = look.touched, look.circles, look.at
        former = _former(holders)
        held = self._memberships.of_roots(former.keys())
        dues = self._memberships.dues_of(former.keys())
        strands = self._memory.load(self._state, (key for holder in holders.values() for key in holder.keys))
        declared = catalog.names
        before: dict[int, dict[int, dict[str, Member]]] = {}
        for one, told_of in held.items():
            before.setdefault(former[one], {})[one] = told_of
        other_dues: dict[int, list[int]] = {}  # of a root, by what else they were due
        for one in dues:
            if former[one] != one:
                other_dues.setdefault(former[one], []).append(one)
        for root, holder in holders.items():
            view = self._view(holder, strands)
            view.circles = circles
            mine = before.get(root, {})
            came = look.came_to.get(root, _NOTHING)
            wanted = _to_ask(catalog, came, holder, strands, view, mine.get(root, ()), at)
            others = other_dues.get(root, ())
            due_at = dues.get(root)
            before_it = {*mine, *others} - {root}  # what they were known by, too
            if not before_it <= came.joined or (due_at is not None and due_at <= at):
                wanted = None
            if wanted is not None:
                wanted.update(look.beside.get(root, ()), *(mine.get(one, ()) for one in before_it))
            new_dues.update(dict.fromkeys(others))
            if wanted is not None and not wanted:
                continue
            why = touched.causes.get(root) or next(
                (touched.causes[one] for one in holder.identifiers if one in touched.causes), look.cause
            )
            told = _Told(catalog, self._ready, declared, view, mine, root, look.position, self._ranks.entry)
            if (
                (due_at is not None and due_at <= at)
                and not _is_touched(touched, holder)
                and not (circles is not None and circles.is_in_any(holder, look.stirred))
            ):
                told.go_through(due_at, at)
                why = TIMER
            until = told.judge(wanted, at, why)
            changes += told.changes
            if wanted is None:
                if due_at is None or not at < due_at <= until:
                    _note_due(new_dues, root, until, was_due=due_at is not None)
            elif until < (NEVER if due_at is None else due_at):
                new_dues[root] = until
        self._memory.trim()

    def _shared_by(
        self, touched: Touched, holders: Mapping[int, Holder], came_to: Mapping[int, Came], at: int
    ) -> Reached:
        """Give whoever shares a group with those of whom more was said, where that may have turned their answers."""
        assert self._ready_of is not None, "come under a catalog first"
        hanging = self._ready_of[0].beside
        told: dict[int, set[str]] = {}
        for root, holder in holders.items():
            came = came_to.get(root)
            if came is not None:
                names = hanging.find(came.tapes, came.traits, self._look_at(holder).stored, at)
                for one, _ in holder.keys:
                    told.setdefault(one, set()).update(names)
        # Of whoever is nobody any more, anything.
        for one in touched.came.keys() - told.keys():
            told[one] = set(hanging.names)
        return reached_by(self._state, told, hanging)

    def _look_at(self, holder: Holder) -> PersonView:
        return self._view(holder, self._memory.load(self._state, holder.keys))

    def _view(self, holder: Holder, strands: _Strands) -> PersonView:
        mine = (strands[key] for key in holder.keys)
        return PersonView(self._state, holder, mine, self._permissions, self._profiles)

    def _permissions(self, reading: Reading, root: int, purpose: str, at: int) -> tuple[bool, int]:
        assert self._permits is not None, "permissions are read when audiences are"
        if root not in self._may and len(self._may) >= _MOST_KNOWN:
            self._may.clear()
        mine = self._may.setdefault(root, {})
        told = mine.get(purpose)
        if told is None or not told[1] <= at < told[2]:
            answer, until = self._permits(reading, root, purpose, at)
            told = mine[purpose] = answer, at, until
        return told[0], told[2]

    def _exit(self, member: Member, at: int, cause: str, position: int) -> Change:
        entry = self._ready.get(member.audience) or self._ranks.entry(member.audience)
        version = entry.version if entry is not None else 0
        return Change(0, member.audience, version, member.root_id, EXIT, at, cause, position, member.since_at)

    @staticmethod
    def _came_to(touched: Touched, holders: Mapping[int, Holder], former: Mapping[int, int]) -> dict[int, Came]:
        """Give of each person what came."""
        found: dict[int, Came] = {}
        roots_of: dict[int, list[int]] = {}
        for root, holder in holders.items():
            for one in {key[0] for key in holder.keys if key[0] in touched.came}:
                roots_of.setdefault(one, []).append(root)
        for one, came in touched.came.items():
            for root in roots_of.get(one, (former[one],) if one in former else ()):
                found.setdefault(root, Came()).take(came)
        return found


_NOTHING = Came()


class _Look(NamedTuple):
    """What people are judged by, of whom more was said or who are due."""

    touched: Touched
    came_to: Mapping[int, Came]  # by root
    circles: Circles | None
    beside: Mapping[int, set[str]]  # of whoever shares a group with them, by root: what is to be asked again
    stirred: Collection[str]  # groups of those of whom more was said
    position: int
    at: int
    cause: str


def _note_due(dues: dict[int, int | None], root: int, until: int, *, was_due: bool) -> None:
    if until < NEVER:
        dues[root] = until
    elif was_due:
        dues[root] = None


def _former(holders: Mapping[int, Holder]) -> dict[int, int]:
    """Give of each identifier whose it is: of a root that went into another, of a device that came to somebody."""
    return {
        one: holder.root_id
        for holder in holders.values()
        for one in (*holder.identifiers, *(key[0] for key in holder.keys if key[1] == 0))
    }


def _to_ask(
    catalog: Catalog,
    came: Came,
    holder: Holder,
    strands: _Strands,
    view: PersonView,
    member_of: Collection[str],
    at: int,
) -> set[str] | None:
    """Give the audiences whose answer about somebody may be another one for what came; None: any."""
    if came.tapes is None:
        return None
    found: set[str] = set()
    tapes: Mapping[int, Sequence[list[Any]]] = came.tapes
    if came.joined:
        brought = _brought(came, holder, strands)
        tapes = {one: entries for one, (entries, _) in brought.items() if entries}
        # Of what was added up nobody knows what it turns.
        found.update(*(catalog.turns[one].names for one, (_, n) in brought.items() if n and one in catalog.turns))
    found |= catalog.to_judge(tapes, view.stored, member_of, at)
    found |= catalog.of_traits(came.traits, view.stored_ids)
    if came.is_new:
        found.update(catalog.of_nobody)
    return found


def _brought(came: Came, holder: Holder, strands: _Strands) -> dict[int, tuple[list[list[Any]], int]]:
    """Give by tape what came with all that devices brought: single entries, and how many are added up beside them."""
    found = {one: (entries, 0) for one, entries in (came.tapes or {}).items()}
    for key in holder.keys:
        if key[0] not in came.joined:
            continue
        for tape_id in strands[key]:
            document = strands[key].document(tape_id)
            assert document is not None, "it is a tape of theirs"
            entries, n_added = found.get(tape_id, ([], 0))
            base = document[BASE]
            found[tape_id] = [*entries, *document[ENTRIES]], n_added + (base[B_N] if base is not None else 0)
    return found


def _is_touched(touched: Touched, holder: Holder) -> bool:
    return any(key[0] in touched.came for key in holder.keys)


class _Told:
    """What one person is judged to be, one instant after another."""

    def __init__(
        self,
        catalog: Catalog,
        ready: Mapping[str, Entry],
        declared: Collection[str],
        view: PersonView,
        before: Mapping[int, Mapping[str, Member]],
        root: int,
        position: int,
        ranked: Callable[[str], Entry | None],
    ) -> None:
        self._catalog = catalog
        self._ready = ready
        self._ranked = ranked
        self._declared = declared
        self._view = view
        self._root = root
        self._position = position
        self._own = dict(before.get(root, {}))
        self._others = {one: dict(mine) for one, mine in before.items() if one != root}
        self.changes: list[Change] = []

    def go_through(self, first: int, at: int) -> None:
        """Judge at each instant at which something changes by itself, before another."""
        for _ in range(_MOST_TURNS):
            if first >= at:
                return
            first = self.judge(None, first, TIMER)

    def judge(self, wanted: Collection[str] | None, at: int, cause: str) -> int:
        """Judge at an instant; give the next one at which something may change by itself."""
        until = NEVER
        ready, view, own = self._ready, self._view, self._own
        others = set[str]().union(*self._others.values())  # what whoever they were before is in
        view.known.clear()
        lens: Any = ()
        for name in self._whole() if wanted is None else wanted:
            entry = ready.get(name)
            if entry is None:
                continue
            if entry.lens is not None or lens is not None:
                view.through(entry)
                lens = entry.lens
            holds, turn = entry.answers(view, at)
            if turn < until:
                until = turn
            if holds != (name in own) or name in others:
                self._settle(entry, holds, at, cause)
        for name in others:
            entry = self._ranked(name)
            if entry is not None:
                self._settle(entry, True, at, cause)  # who has a place keeps it until the next tick
        if wanted is None:
            # Audiences that are no more. Those that are being filled stay as they were.
            for root, mine in ((self._root, self._own), *self._others.items()):
                for name in [one for one in mine if one not in self._declared]:
                    member = mine.pop(name)
                    self._note(name, 0, root, EXIT, at, EDIT, member.since_at)
        return until

    def _whole(self) -> Iterable[str]:
        """Give the audiences that they may be in, and those that they were in."""
        may_be = self._catalog.may_hold(self._view.stored_ids)
        return may_be.union(self._own, *self._others.values())

    def _settle(self, entry: Entry, holds: bool, at: int, cause: str) -> None:
        name = entry.name
        own = self._own.get(name)
        for root, mine in self._others.items():
            member = mine.pop(name, None)
            if member is None:
                continue
            if not holds:
                self._note(name, entry.version, root, EXIT, at, cause, member.since_at)
            elif own is None:
                self._note(name, entry.version, self._root, MOVE, at, MERGE, member.since_at, root)
                own = self._own[name] = member._replace(root_id=self._root)
            else:
                self._note(name, entry.version, self._root, MOVE, at, JOINED, member.since_at, root)
        if holds and own is None:
            self._note(name, entry.version, self._root, ENTER, at, cause, at)
            self._own[name] = Member(name, self._root, at, cause, self._position)
        elif not holds and own is not None:
            self._note(name, entry.version, self._root, EXIT, at, cause, own.since_at)
            del self._own[name]

    def _note(
        self, name: str, version: int, root: int, kind: str, at: int, cause: str, since: int, from_root: int = 0
    ) -> None:
        self.changes.append(Change(0, name, version, root, kind, at, cause, self._position, since, from_root))
