"""Resolve identities: who is this event about?

In:    events in log order, with the identifiers they carry; rules.
Out:   for each its anchor (the strongest identifier) and, for devices, whose tenure it falls in;
       rows of identifier, link, tenure and event_index.
Never: a merge of two known people on a public key's word; a copy from one profile to another.

Persons: identifiers that people do not pass on form trees by `root_id`. A link joins two trees unless it breaks a rule:
then it is refused, or soft where it may well be true and nobody has said so who would know. Verdicts are in log order.
Devices: a device is held by one person at a time. Each event with a device and a person is that person's claim at its
event time; the device is theirs from their first claim until someone else's, whatever order the claims arrive in.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from tillit.identity.acts import JOIN, Acts
from tillit.identity.namespaces import (
    ALIAS_PLACE,
    ALIAS_RANK,
    DEVICE_RANK,
    PLACES,
    SHARED_RANK,
    Event,
    Handle,
    founded_at,
)
from tillit.identity.person import (
    KNOWN_PEOPLE_CLAIMED,
    MIXED_ALPHABETS,
    PINNED_APART,
    TWO_BIRTH_DATES,
    TWO_LOGINS,
    VALUE_BLOCKED,
    WEAK_IDENTIFIER,
    Broken,
    PersonSoFar,
    birth_date,
    broken_growth,
    broken_limit,
)
from tillit.identity.proof import note_use, rule_of
from tillit.identity.rules import Rules, is_weak, mixes_alphabets
from tillit.records import (
    ACT_TYPES,
    IDENTITY_ACT_TYPES,
    TRUST_CLAIMED,
    TRUST_OPERATOR,
    TRUST_SERVER,
    TRUST_VERIFIED,
    LogRow,
)
from tillit.store import Writing

# Identifiers kept in memory between batches, about 300 bytes each. Taste: 60 MB at most.
CACHE_SIZE = 150_000
# What a link rests on when a colleague said so.
OPERATOR_RULE = "colleague"

Tenure = tuple[int, int, int]  # from_at, from_position, holder_id
Item = tuple[LogRow, Event]
_LAST = 1 << 62  # later than any instant and any id
_COLUMNS = "identifier_id, namespace, value, rank, root_id, known, since, birth"
_NOTHING = Broken("", "")
_SHARED = "people share it"
_CROWD = 20  # links of one identifier in one batch that make it worth a look
_MANY = 16  # identifiers that are asked for one by one; more are asked for together first


class Ident(msgspec.Struct, eq=False, gc=False):
    """One identifier as the fold holds it: a row of the identifier table, and more for a device."""

    identifier_id: int
    namespace: str
    value: str
    rank: int
    root_id: int
    known: int
    since: int  # event time of its first sight
    birth: int  # the birth date that was said of it, as yyyymmdd; 0: none
    tenures: list[Tenure] | None = None  # of a device, once read; sorted

    @property
    def is_device(self) -> bool:
        """Say whether it belongs to a thing that people share and pass on."""
        return self.rank >= DEVICE_RANK


class Sighting(msgspec.Struct, eq=False, gc=False):
    """The events of one micro-batch that name the same identifiers and no others. Grain: one per such set, at least."""

    idents: list[Ident]  # strongest first
    anchor: Ident  # the first of them
    events: list[Item]  # in log order
    part: int = 0  # the tenure they fall in, when the anchor is a device


class Resegment(NamedTuple):
    """A device and the spans of time in which its earlier events change hands. Grain: one per device."""

    device: Ident
    parts: list[int]  # those that it had there before
    spans: list[tuple[int, int]]  # from_at, until; in order


class Resolved(NamedTuple):
    """What one micro-batch says about who is who."""

    sightings: list[Sighting]
    unassigned: list[LogRow]  # events without one admitted identifier
    resegment: list["Resegment"]  # devices whose earlier events change hands
    husks: list[LogRow]  # events that were forgotten
    joined: set[int]  # identifiers that came to others, and devices that came to somebody
    claimed: set[int]  # of these devices those that were nobody's before, and are one person's for ever


class _Usual(msgspec.Struct, eq=False, gc=False):
    """What the identifiers that an event said came to."""

    idents: list[Ident]
    devices: list[Ident]  # those that the anchor, a person, claims
    trust: int  # links and known people are settled up to this trust
    gathers: bool  # events with traits stay single: of traits, what comes first in the log may count


class _Touched:
    """A device whose tenures change in this batch: as they were, and what went and came since."""

    __slots__ = ("before", "come", "device", "gone")

    def __init__(self, device: Ident, before: list[Tenure]) -> None:
        self.device = device
        self.before = before
        self.gone: set[Tenure] = set()
        self.come: set[Tenure] = set()

    def put(self, tenures: list[Tenure], at: int, n_out: int, into: Sequence[Tenure]) -> None:
        """Put tenures in the place of others."""
        for tenure in tenures[at : at + n_out]:
            if tenure in self.come:
                self.come.remove(tenure)
            else:
                self.gone.add(tenure)
        for tenure in into:
            if tenure in self.gone:
                self.gone.remove(tenure)
            else:
                self.come.add(tenure)
        tenures[at : at + n_out] = into


_PLAIN_TYPES = frozenset({"track", "page", "screen"})
# User id and anonymous id; of an identify call also the e-mail and phone in its traits.
_Said = tuple[str | None, ...]


def _said_in(event: Event, rules: Rules) -> _Said | None:
    """Give all that an event's identifiers follow from, or None when they follow from more than is usual."""
    context = event.context
    if context is not None and (context.traits is not None or context.externalIds is not None):
        return None
    if event.proof is not None:
        return None
    if event.type in _PLAIN_TYPES:
        return event.userId, event.anonymousId
    traits = event.traits
    if event.type != "identify" or type(traits) is not dict or (rules.takes_addresses and "address" in traits):
        return None
    email, phone = traits.get("email"), traits.get("phone")
    if (email is None or type(email) is str) and (phone is None or type(phone) is str):
        return event.userId, event.anonymousId, email, phone
    return None


class Resolver:
    """Resolves one micro-batch after another; used by the one process that folds."""

    def __init__(
        self, bodies: Callable[[Sequence[int]], dict[int, Event]], rules: Rules, acts: Acts | None = None
    ) -> None:
        """Take a way to read earlier events again (for claims that arrive late); without acts they are read first."""
        self._bodies = bodies
        self.rules = rules
        # Identifiers that were there and got new evidence: some may turn out to stand for many. Emptied by who looks.
        self.busy: set[int] = set()
        self.reset(acts)

    def reset(self, acts: Acts | None = None) -> None:
        """Forget what is in memory: after a transaction that failed, or an act."""
        self._acts = acts
        self._by_handle: dict[tuple[str, str], Ident] = {}
        self._by_id: dict[int, Ident] = {}
        self._pairs: dict[tuple[int, int, int], int] = {}  # pair and chapter -> the best trust that said so
        self._moved: dict[int, int] = {}
        # What the same identifiers came to the last time: nine events of ten say nothing new.
        self._usual: dict[_Said, _Usual] = {}

    def resolve(self, tx: Writing, batch: Sequence[Item]) -> Resolved:
        """Say who each event is about and write what follows for identifiers, links and tenures."""
        if len(self._by_handle) > CACHE_SIZE:
            self.reset()
        if self._acts is None:
            self._acts = Acts.load(tx)
        work = _Batch(self, tx, self._acts)
        usual = self._usual
        # The handles of each event; or what was said came to before; or None: it stands earlier in this batch.
        told: list[list[Handle] | _Usual | None] = []
        unusual: list[list[Handle]] = []
        in_batch: set[_Said] = set()
        for _, event in batch:
            said = _said_in(event, self.rules)
            if said is not None:
                as_usual = usual.get(said)
                if as_usual is not None or said in in_batch:
                    told.append(as_usual)
                    continue
                in_batch.add(said)
            handles = self.rules.handles_of(event)
            told.append(handles)
            unusual.append(handles)
        work.load(unusual)
        gathering, gathered = work.gathering, work.gathered
        for item, known in zip(batch, told, strict=True):
            if type(known) is list:
                work.take(item, known)
                continue
            row, event = item
            as_usual = known if type(known) is _Usual else usual.get(_said_in(event, self.rules) or ())
            if as_usual is None or row.trust > as_usual.trust:
                work.take(item, self.rules.handles_of(event))
                continue
            if not as_usual.gathers and type(event.traits) is dict:
                work.note_birth(as_usual.idents[0], event.traits)
            sighting = gathering.get(as_usual)
            if sighting is not None and as_usual.gathers:
                sighting.events.append(item)
                if as_usual.devices:
                    gathered.append((row, as_usual))
            else:
                gathering[as_usual] = work.sighting(as_usual.idents, item)
            for device in as_usual.devices:
                person = as_usual.idents[0]
                # Nearly always: still theirs, and later than their first claim.
                if device.tenures:
                    from_at, _, holder_id = device.tenures[-1]
                    if holder_id == person.identifier_id and from_at < row.event_at:
                        continue
                work.claim(person, device, row)
        return work.finish()

    def sightings_again(self, tx: Writing, device: Ident, events: Sequence[Item]) -> list[Sighting]:
        """Give the sightings of a device's own earlier events under its present tenures; nothing is written."""
        work = _Batch(self, tx, self._acts if self._acts is not None else Acts.load(tx))
        told = [self.rules.handles_of(event) for _, event in events]
        work.load(told)
        again = []
        for (row, event), handles in zip(events, told, strict=True):
            idents = [self._by_handle[h[1:3]] for h in handles if h.rank != ALIAS_RANK]
            idents.sort(key=_rank)
            for rank, _, value, _ in handles:
                previous = self._by_handle.get(("anonymous_id", value)) if rank == ALIAS_RANK else None
                if previous is not None and previous not in idents and _was_known(previous, row.position):
                    idents.insert(_place_of(previous, idents), previous)
            again.append(Sighting(idents, idents[0], [(row, event)], part_of(device.tenures, row.event_at)))
        return again

    def load_device(self, tx: Writing, identifier_id: int) -> Ident:
        """Give a device with its tenures as the store has them."""
        work = _Batch(self, tx, self._acts if self._acts is not None else Acts.load(tx))
        device = work.by_id(identifier_id)
        device.tenures = None
        work._load_tenures([device])
        return device

    def root(self, ident: Ident) -> int:
        """Give the id of the strongest identifier of this identifier's person."""
        root = ident.root_id
        moved = self._moved
        if root not in moved:
            return root
        top = moved[root]
        while top in moved:
            top = moved[top]
        # Long ways are walked once: a chain of identifiers may have been joined from its weak end.
        while moved[root] != top:
            moved[root], root = top, moved[root]
        ident.root_id = top
        return top


class _Batch:
    """One micro-batch on its way through the resolver."""

    def __init__(self, resolver: Resolver, tx: Writing, acts: Acts) -> None:
        self.r = resolver
        self.tx = tx
        self.acts = acts
        self.new: list[Ident] = []
        self.new_ids: set[int] = set()
        self.known: list[Ident] = []
        self.links: list[tuple[object, ...]] = []
        self.moves: list[tuple[int, int]] = []
        self.people: dict[int, PersonSoFar] = {}  # root -> what is known of its person's identifiers
        self.births: list[Ident] = []  # whose birth date was said in this batch
        self.joined: dict[int, list[int]] = {}  # root -> roots that joined it in this batch
        self.touched: dict[int, _Touched] = {}  # device -> what becomes of its tenures
        self.claiming: dict[int, list[Tenure]] = {}  # device -> this batch's claims that are not in `claims` yet
        self.gathered: list[tuple[LogRow, _Usual]] = []  # claims that are not in `claiming` yet
        self.claims: dict[int, list[Tenure]] = {}  # device -> this batch's claims, in time order; made when asked for
        self.sightings: list[Sighting] = []
        self.unassigned: list[LogRow] = []
        self.husks: list[LogRow] = []
        self.gathering: dict[_Usual, Sighting] = {}

    # -- reading ahead: a few questions for the whole batch

    def load(self, told: Sequence[list[Handle]]) -> None:
        by_handle = self.r._by_handle
        wanted: dict[str, set[str]] = {}
        for handles in told:
            for rank, name, value, _ in handles:
                if rank == ALIAS_RANK:
                    wanted.setdefault("user_id", set()).add(value)
                    wanted.setdefault("anonymous_id", set()).add(value)
                elif (name, value) not in by_handle:
                    wanted.setdefault(name, set()).add(value)
        roots: set[int] = set()
        devices: list[Ident] = []
        for name, values in wanted.items():
            missing = [value for value in values if (name, value) not in by_handle]
            for row in self.tx.read_in(
                f"SELECT {_COLUMNS} FROM identifier WHERE namespace = ? AND value IN {{in}}",
                missing,
                (name,),
            ):
                ident = self._remember(row)
                if ident.rank >= DEVICE_RANK:
                    devices.append(ident)
                else:
                    roots.add(self.r.root(ident))
        self._load_ids(roots)
        self._load_tenures(devices)

    def _remember(self, row: tuple[Any, ...]) -> Ident:
        found = self.r._by_id.get(row[0])
        if found is not None:
            return found
        ident = Ident(*row)
        identifier_id, name, value = row[:3]
        self.r._by_handle[(name, value)] = ident
        self.r._by_id[identifier_id] = ident
        return ident

    def _load_ids(self, ids: "set[int]") -> None:
        missing = [i for i in ids if i not in self.r._by_id]
        for row in self.tx.read_in(
            f"SELECT {_COLUMNS} FROM identifier WHERE identifier_id IN {{in}}",
            missing,
        ):
            self._remember(row)

    def _load_tenures(self, devices: Sequence[Ident]) -> None:
        fresh = {d.identifier_id: d for d in devices if d.tenures is None}
        for device in fresh.values():
            device.tenures = []
        holders: set[int] = set()
        for identifier_id, from_at, from_position, holder_id in self.tx.read_in(
            "SELECT identifier_id, from_at, from_position, holder_id FROM tenure WHERE identifier_id IN {in} "
            "ORDER BY identifier_id, from_at, from_position",
            list(fresh),
        ):
            tenures = fresh[identifier_id].tenures
            # A short IN list repeats its last key, which never repeats rows; order is per question.
            if tenures is not None:
                tenures.append((from_at, from_position, holder_id))
            holders.add(holder_id)
        self._load_ids(holders)
        self._load_ids({self.r.root(self.r._by_id[h]) for h in holders})

    def by_id(self, identifier_id: int) -> Ident:
        """Give an identifier by its id, from memory or the store."""
        found = self.r._by_id.get(identifier_id)
        if found is None:
            self._load_ids({identifier_id})
            found = self.r._by_id[identifier_id]
        return found

    def root(self, ident: Ident) -> Ident:
        """Give the root identifier of this identifier's person."""
        return self.by_id(self.r.root(ident))

    # -- one event

    def take(self, item: Item, handles: list[Handle]) -> None:
        row, event = item
        if event.type == "husk":
            self._take_husk(row, event)
            return
        if row.trust == TRUST_OPERATOR and event.type in ACT_TYPES:
            self._take_act(item, handles)
            return
        if row.trust == TRUST_OPERATOR and event.type in IDENTITY_ACT_TYPES:
            self._take_join(row, event, handles)
            return
        idents: list[Ident] = []
        previous = None
        passed_over = None
        for told in handles:
            if told.rank == ALIAS_RANK:
                has_user = any(ident.namespace == "user_id" for ident in idents)
                previous = self._previous(row, told.value, has_user=has_user)
                passed_over = self._known_user(row, told.value) if previous is None else None
            else:
                idents.append(self._ident(row, told))
        if self.acts.blocked:
            idents.sort(key=_rank)  # what stands for many comes last, whatever the rules say of its kind
        if previous is not None and previous not in idents:
            # Right after the anchor: what an alias call is about is judged before what else it carries.
            idents.insert(_place_of(previous, idents), previous)
        if not idents:
            self.unassigned.append(row)
            return
        anchor = idents[0]
        sighting = self.sighting(idents, item)
        # Used again it proves nothing.
        is_proof = event.proof is not None and note_use(self.tx, event, row.position)
        if passed_over is not None and passed_over not in idents:
            # Were this person forgotten, the alias would name a device: whoever forgets them must find it.
            self._link(anchor, passed_over, row, "alias", noted="a user id that it may not join")
        if anchor.rank >= DEVICE_RANK:
            for ident in idents[1:]:
                # Two devices in one event join nobody; whoever forgets one must find the events that name it.
                rule = "alias" if ident is previous else "same event"
                self._link(anchor, ident, row, rule, noted="two devices" if ident.rank < SHARED_RANK else _SHARED)
            self._keep_usual(event, sighting, row.trust)
            return
        if row.trust >= TRUST_SERVER:
            for ident in idents:
                if not ident.known and ident.rank < DEVICE_RANK:
                    self._make_known(ident)
        if event.type == "identify" and type(event.traits) is dict:
            self.note_birth(anchor, event.traits)
        if is_proof:
            self._take_proof(item, idents)
        for ident in idents[1:]:
            # Only the previous id is what an alias call joins; an e-mail in its context says no more than in any event.
            rule = "alias" if ident is previous else "same event"
            self._link(anchor, ident, row, rule, noted="" if ident.rank < SHARED_RANK else _SHARED)
        self._keep_usual(event, sighting, row.trust)

    def _take_proof(self, item: Item, idents: list[Ident]) -> None:
        """Link what an identity token proves, or a code, and nothing else of its event."""
        row, event = item
        row, rule = row._replace(trust=TRUST_VERIFIED), rule_of(event)
        named = {(ident.namespace, ident.value): ident for ident in idents}
        told = [named[h.key] for h in self.r.rules.proven(event) if named[h.key].rank < DEVICE_RANK]
        for ident in told:
            if not ident.known:
                self._make_known(ident)
        for ident in told[1:]:
            one, other = sorted((told[0], ident), key=_rank)
            self._link(one, other, row, rule)
        written = self.r.rules.handle("anonymous_id", event.anonymousId)
        device = named.get(written.key) if written is not None else None
        if device is not None and DEVICE_RANK <= device.rank < SHARED_RANK and idents[0] in told:
            self._link(idents[0], device, row, rule)

    def _take_act(self, item: Item, handles: list[Handle]) -> None:
        """Give a colleague's own act to whom it is about: it founds nobody, links nothing, makes nobody known."""
        anchor = self.r._by_handle.get(handles[0][1:3]) if handles else None
        if anchor is None or not _was_known(anchor, item[0].position):
            self.unassigned.append(item[0])
        else:
            self.sighting([anchor], item)

    def _take_join(self, row: LogRow, event: Event, handles: list[Handle]) -> None:
        """Link two identifiers on a colleague's word. What other acts say is asked by each piece of evidence."""
        if event.type != JOIN or not self.acts.stands_join(row.position):
            return
        ends = sorted((end for told in handles if (end := self.r._by_handle.get(told[1:3])) is not None), key=_strength)
        if len(ends) == 2 and ends[1].rank < DEVICE_RANK:
            self._link(ends[0], ends[1], row, OPERATOR_RULE)

    def sighting(self, idents: list[Ident], item: Item) -> Sighting:
        anchor = idents[0]
        sighting = Sighting(idents, anchor, [item])
        self.sightings.append(sighting)
        if anchor.rank < DEVICE_RANK:
            for ident in idents[1:]:
                if DEVICE_RANK <= ident.rank < SHARED_RANK and not self._is_cut(anchor, ident, item[0]):
                    self.note_claim(anchor, ident, item[0])
        return sighting

    def note_claim(self, person: Ident, device: Ident, row: LogRow) -> None:
        """Remember who says to have a device when, for claims that turn out to come between."""
        claim = (row.event_at, row.position, person.identifier_id)
        noted = self.claiming.get(device.identifier_id)
        if noted is None:
            self.claiming[device.identifier_id] = [claim]
        else:
            noted.append(claim)

    def _keep_usual(self, event: Event, sighting: Sighting, trust: int) -> None:
        said = _said_in(event, self.r.rules)
        if said is not None:
            idents = sighting.idents
            anchor = idents[0]
            if any(self.acts.names(anchor.identifier_id, ident.identifier_id) for ident in idents[1:]):
                return  # the same words may say something else after the next act, also where all is folded in one go
            devices = []
            if anchor.rank < DEVICE_RANK:
                devices = [ident for ident in idents[1:] if DEVICE_RANK <= ident.rank < SHARED_RANK]
            usual = self.r._usual[said] = _Usual(idents, devices, trust, event.type in _PLAIN_TYPES)
            self.gathering[usual] = sighting

    def _take_husk(self, row: LogRow, event: Event) -> None:
        self.husks.append(row)
        # The event is forgotten; identifiers that others still use keep the id they were given here.
        for survivor in self.r.rules.handles_of(event):
            self._ident(row, survivor)
        if event.proof is not None:
            note_use(self.tx, event, row.position)

    def _ident(self, row: LogRow, told: Handle) -> Ident:
        key = told[1:3]
        found = self.r._by_handle.get(key)
        if found is not None:
            return found
        identifier_id = row.position * PLACES + told.place
        rank = told.rank
        if rank < SHARED_RANK and identifier_id in self.acts.blocked:
            rank = SHARED_RANK
        ident = Ident(identifier_id, *key, rank, identifier_id, 0, row.event_at, 0)
        ident.tenures = []
        self.r._by_handle[key] = ident
        self.r._by_id[identifier_id] = ident
        self.new.append(ident)
        self.new_ids.add(identifier_id)
        return ident

    def _previous(self, row: LogRow, value: str, *, has_user: bool) -> Ident | None:
        # An alias does not say what kind its previous id is: a device we know, else (from a server) a user id.
        device = self.r._by_handle.get(("anonymous_id", value))
        # When a part of the log is folded again, later identifiers are there already: then they were not known.
        if device is not None and _was_known(device, row.position):
            return device
        if row.trust >= TRUST_SERVER and has_user:
            user = self.r.rules.handle("user_id", value, ALIAS_PLACE)
            return self._ident(row, user) if user is not None else None
        if self._known_user(row, value) is not None:
            return None
        unknown = self.r.rules.handle("anonymous_id", value, ALIAS_PLACE)
        return self._ident(row, unknown) if unknown is not None else None

    def _known_user(self, row: LogRow, value: str) -> Ident | None:
        user = self.r._by_handle.get(("user_id", value))
        return user if user is not None and _was_known(user, row.position) else None

    def note_birth(self, anchor: Ident, traits: dict[str, Any]) -> None:
        """Remember the first birth date that was said of somebody: two people who were born on two days are two."""
        if anchor.birth or anchor.rank >= DEVICE_RANK or not (told := birth_date(traits)):
            return
        anchor.birth = told
        if anchor.identifier_id not in self.new_ids:
            self.births.append(anchor)
        person = self.people.get(self.r.root(anchor))
        if person is not None:
            person.births.add(told)

    def _make_known(self, ident: Ident) -> None:
        ident.known = 1
        self.known.append(ident)
        root = self.root(ident)
        if not root.known:
            root.known = 1
            self.known.append(root)

    # -- links

    def _link(self, anchor: Ident, ident: Ident, row: LogRow, rule: str, *, noted: str = "") -> None:
        pair = (anchor.identifier_id, ident.identifier_id)
        # Nearly always 0: colleagues cut and join few.
        chapter = self.acts.chapter(*pair, row.position) if self.acts.names(*pair) else 0
        told = self.r._pairs.get((*pair, chapter))
        if told is None and pair[0] not in self.new_ids and pair[1] not in self.new_ids:
            rows = self.tx.read(
                "SELECT max(trust) FROM link WHERE strong_id = ? AND weak_id = ? AND chapter = ?", (*pair, chapter)
            )
            told = rows[0][0] or 0
            self.r._pairs[(*pair, chapter)] = told
        is_cut = self._is_cut(anchor, ident, row)
        if told is None or row.trust > told:
            self.r._pairs[(*pair, chapter)] = row.trust
            if pair[0] not in self.new_ids:
                self.r.busy.add(pair[0])
            if pair[1] not in self.new_ids:
                self.r.busy.add(pair[1])
            verdict, broken = "admitted", _NOTHING
            if noted:
                verdict, broken = "noted", Broken("", noted)
                if ident.identifier_id in self.acts.blocked:
                    broken = Broken(VALUE_BLOCKED, "it stands for many")
            elif is_cut:
                verdict, broken = "withdrawn", Broken("", "cut by a colleague")
            elif ident.rank < DEVICE_RANK:
                verdict, broken = self._judge(anchor, ident, row, rule)
            self.links.append(
                (*pair, row.trust, chapter, row.position, row.event_at, row.source, rule, verdict, *broken)
            )
        if ident.rank >= DEVICE_RANK and not noted and not is_cut:
            self.claim(anchor, ident, row)

    def _is_cut(self, one: Ident, other: Ident, row: LogRow) -> bool:
        pair = one.identifier_id, other.identifier_id
        # Having a device in hand proves nothing about whose it is.
        trust = TRUST_CLAIMED if other.rank >= DEVICE_RANK else row.trust
        return self.acts.names(*pair) and self.acts.withdraws(*pair, row.position, trust)

    def _judge(self, one: Ident, other: Ident, row: LogRow, rule: str) -> tuple[str, Broken]:
        """Join the people of two identifiers, or say what stands against it."""
        a, b = self.root(one), self.root(other)
        if a is b:
            return "admitted", _NOTHING
        if self.acts.hold_apart(a.identifier_id, b.identifier_id):
            return "refused", Broken(PINNED_APART, "pinned apart by a colleague")
        mine, theirs = self._person(a), self._person(b)
        if row.trust != TRUST_OPERATOR:
            if row.trust == TRUST_CLAIMED and a.known and b.known:
                return "refused", Broken(KNOWN_PEOPLE_CLAIMED, "two known people, claimed by a public key")
            # An alias call of a server joins two user ids: that is what it is for.
            but = "user_id" if rule == "alias" and row.trust >= TRUST_SERVER else ""
            # Not on a customer's word either: what somebody else tied to their address before would come along.
            broken = broken_limit(mine, theirs, self.r.rules, row.event_at, but=but)
            if broken is not None:
                return ("soft" if broken.violation == TWO_LOGINS else "refused"), broken
            risk = self._risk((one, other), (a, b), mine, theirs, row.event_at) if row.trust < TRUST_OPERATOR else None
            if risk is not None:
                return "soft", risk
        winner, loser = (a, b) if _strength(a) <= _strength(b) else (b, a)
        self.r._moved[loser.identifier_id] = winner.identifier_id
        self.acts.move(winner.identifier_id, loser.identifier_id)
        mine.take_in(theirs)
        self.people[winner.identifier_id] = mine
        self.people.pop(loser.identifier_id, None)
        self.moves.append((winner.identifier_id, loser.identifier_id))
        self.joined.setdefault(winner.identifier_id, []).append(loser.identifier_id)
        if loser.known and not winner.known:
            winner.known = 1
            self.known.append(winner)
        return "admitted", _NOTHING

    def _risk(
        self, ends: Sequence[Ident], roots: Sequence[Ident], mine: PersonSoFar, theirs: PersonSoFar, at: int
    ) -> Broken | None:
        """Say why a link may well be wrong, though no limit forbids it."""
        rules = self.r.rules
        for end in ends:
            if is_weak(end.rank) and not any(is_weak(root.rank) for root in roots):
                return Broken(WEAK_IDENTIFIER, f"{end.namespace} alone joins no two people")
            if not end.value.isascii() and mixes_alphabets(end.value):
                kind = rules.namespace(end.namespace)
                if kind is not None and kind.one_alphabet:
                    return Broken(MIXED_ALPHABETS, f"the {end.namespace} mixes alphabets")
        if rules.one_birth_date and mine.births and theirs.births and mine.births.isdisjoint(theirs.births):
            return Broken(TWO_BIRTH_DATES, "two birth dates")
        return broken_growth(mine, theirs, rules, at)

    def _person(self, root: Ident) -> PersonSoFar:
        """Say what is known of a person's identifiers, also by this batch."""
        found = self.people.get(root.identifier_id)
        if found is None:
            if root.identifier_id in self.new_ids:
                found = PersonSoFar([(root.namespace, root.since, root.birth)])
            else:
                found = PersonSoFar(
                    self.tx.read(
                        "SELECT namespace, since, birth FROM identifier WHERE root_id = ?", (root.identifier_id,)
                    )
                )
                found.births.update(ident.birth for ident in self.births if self.r.root(ident) == root.identifier_id)
            self.people[root.identifier_id] = found
        return found

    # -- tenures of devices

    def claim(self, person: Ident, device: Ident, row: LogRow) -> None:
        tenures = device.tenures
        if tenures is None:
            self._load_tenures([device])
            tenures = device.tenures or []
            device.tenures = tenures
        at = (row.event_at, row.position)
        if tenures:
            from_at, from_position, holder_id = tenures[-1]
            if (from_at, from_position) <= at and (
                holder_id == person.identifier_id or self._same_person(holder_id, person)
            ):
                return  # the usual case: still theirs
        touched = self.touched.get(device.identifier_id)
        if touched is None:
            touched = self.touched[device.identifier_id] = _Touched(device, list(tenures))
        self._place_claim(person, tenures, at, touched)

    def _same_person(self, holder_id: int, person: Ident) -> bool:
        return holder_id == person.identifier_id or self.r.root(self.by_id(holder_id)) == self.r.root(person)

    def _place_claim(self, person: Ident, tenures: list[Tenure], at: tuple[int, int], touched: _Touched) -> None:
        mine: Tenure = (*at, person.identifier_id)
        before = bisect_right(tenures, (*at, _LAST))
        if before == 0:
            if tenures and self._same_person(tenures[0][2], person):
                touched.put(tenures, 0, 1, [(*at, tenures[0][2])])
            else:
                touched.put(tenures, 0, 0, [mine])
            return
        holder_id = tenures[before - 1][2]
        if self._same_person(holder_id, person):
            return
        after = tenures[before] if before < len(tenures) else None
        again = self._next_claim(holder_id, touched.device, at, after[:2] if after else None)
        if again is not None:
            touched.put(tenures, before, 0, [mine, again])
        elif after is not None and self._same_person(after[2], person):
            touched.put(tenures, before, 1, [(*at, after[2])])
        else:
            touched.put(tenures, before, 0, [mine])

    def _next_claim(
        self, holder_id: int, device: Ident, at: tuple[int, int], until: tuple[int, int] | None
    ) -> Tenure | None:
        """Find the holder's next claim on the device after an instant: their events are walked in time order."""
        root_id = self.r.root(self.by_id(holder_id))
        found: list[Tenure] = []
        end = until if until is not None else (_LAST, 0)
        claims = self._claims_of(device)
        for claim in claims[bisect_right(claims, (*at, _LAST)) :]:
            if claim[:2] >= end:
                break
            if self.r.root(self.by_id(claim[2])) == root_id:
                found.append(claim)
                break
        for member in self._present(self._stored_members(root_id), at, end):
            if self.acts.names(member, device.identifier_id) and self.acts.withdraws(
                member, device.identifier_id, at[1], TRUST_CLAIMED
            ):
                continue
            stored = self._first_stored_claim(member, device, at, end)
            if stored is not None:
                found.append(stored)
        return min(found, default=None)

    def _stored_members(self, root_id: int) -> list[int]:
        """Give the stored identifiers of a person, also of those who joined them in this batch."""
        members: list[int] = []
        roots = [root_id]
        for root in roots:
            roots += self.joined.get(root, ())
            if root not in self.new_ids:
                members += [
                    i for (i,) in self.tx.read("SELECT identifier_id FROM identifier WHERE root_id = ?", (root,))
                ]
        return members

    def _present(self, members: list[int], at: tuple[int, int], end: tuple[int, int]) -> list[int]:
        """Leave out, when they are many, identifiers without an event between two instants."""
        if len(members) < _MANY:
            return members
        there = self.tx.read_in(
            "SELECT DISTINCT anchor_id FROM event_index WHERE event_at >= ? AND event_at <= ? AND anchor_id IN {in}",
            members,
            (at[0], end[0]),
        )
        return sorted({i for (i,) in there})

    def _claims_of(self, device: Ident) -> list[Tenure]:
        """Give this batch's claims on a device so far, in time order."""
        for row, usual in self.gathered:
            for claimed in usual.devices:
                self.note_claim(usual.idents[0], claimed, row)
        self.gathered.clear()
        found = self.claims.setdefault(device.identifier_id, [])
        for claim in self.claiming.pop(device.identifier_id, ()):
            insort(found, claim)
        return found

    def _first_stored_claim(
        self, member: int, device: Ident, at: tuple[int, int], end: tuple[int, int]
    ) -> Tenure | None:
        cursor = at
        while True:
            rows = self.tx.read(
                "SELECT event_at, position FROM event_index WHERE anchor_id = ? AND event_at >= ? AND event_at <= ? "
                "AND (event_at > ? OR position > ?) ORDER BY event_at, position LIMIT 50",
                (member, cursor[0], end[0], cursor[0], cursor[1]),
            )
            inside = [(a, p) for a, p in rows if (a, p) < end]
            bodies = self.r._bodies([p for _, p in inside])
            for event_at, position in inside:
                event = bodies.get(position)
                if event is not None and self._names(event, position, device):
                    return event_at, position, member
            if len(inside) < 50:
                return None
            cursor = inside[-1]

    def _names(self, event: Event, position: int, device: Ident) -> bool:
        """Say whether an applied event names this device, as its own or as the previous id of an alias."""
        for rank, name, value, _ in self.r.rules.handles_of(event):
            if value == device.value:
                if name == device.namespace:
                    return True
                if rank == ALIAS_RANK and device.namespace == "anonymous_id" and _was_known(device, position):
                    return True
        return False

    # -- the end of the batch

    def finish(self) -> Resolved:
        self._write()
        changed = [touched for touched in self.touched.values() if touched.gone or touched.come]
        resegment = [moved for touched in changed if (moved := self._moved_events(touched)) is not None]
        self._write_tenures(changed)
        parted = [part for sighting in self.sightings for part in self._by_tenure(sighting)]
        joined = {loser_id for _, loser_id in self.moves} | {one.device.identifier_id for one in changed}
        claimed = {one.device.identifier_id for one in changed if not one.before and len(one.device.tenures or ()) == 1}
        return Resolved(parted, self.unassigned, resegment, self.husks, joined, claimed)

    def _by_tenure(self, sighting: Sighting) -> Sequence[Sighting]:
        """Part the events of a device by whose time they fall in."""
        anchor = sighting.anchor
        if not DEVICE_RANK <= anchor.rank < SHARED_RANK:
            return (sighting,)
        if anchor.tenures is None:
            self._load_tenures([anchor])
        tenures = anchor.tenures
        if not tenures or len(tenures) == 1:
            return (sighting,)
        parts: dict[int, list[Item]] = {}
        for item in sighting.events:
            parts.setdefault(part_of(tenures, item[0].event_at), []).append(item)
        return [Sighting(sighting.idents, anchor, items, part) for part, items in parts.items()]

    def _write(self) -> None:
        tx = self.tx
        if self.new:
            tx.executemany(
                f"INSERT INTO identifier ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (i.identifier_id, i.namespace, i.value, i.rank, self.r.root(i), i.known, i.since, i.birth)
                    for i in self.new
                ],
            )
        for _, loser_id in self.moves:
            # Once each, with the final root: a chain may be joined from its weak end, link by link. New identifiers
            # are written with theirs.
            if loser_id not in self.new_ids:
                root_id = self.r.root(self.by_id(loser_id))
                tx.execute("UPDATE identifier SET root_id = ? WHERE root_id = ?", (root_id, loser_id))
        if self.known:
            tx.executemany(
                "UPDATE identifier SET known = 1 WHERE identifier_id = ?",
                [(i,) for i in sorted({k.identifier_id for k in self.known} - self.new_ids)],
            )
        if self.births:
            tx.executemany(
                "UPDATE identifier SET birth = ? WHERE identifier_id = ?",
                [(ident.birth, ident.identifier_id) for ident in self.births],
            )
        if self.links:
            if len(self.links) > _CROWD:
                # Also what came only now: a whole file may hold nothing but one address of everybody.
                ends = Counter(map(itemgetter(0), self.links))
                ends.update(map(itemgetter(1), self.links))
                self.r.busy.update(end for end, n in ends.items() if n > _CROWD)
            tx.executemany(
                "INSERT INTO link "
                "(strong_id, weak_id, trust, chapter, position, event_at, source, rule, verdict, violation, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                sorted(self.links),
            )

    def _write_tenures(self, changed: Sequence[_Touched]) -> None:
        gone = [(one.device.identifier_id, *tenure[:2]) for one in changed for tenure in sorted(one.gone)]
        come = [(one.device.identifier_id, *tenure) for one in changed for tenure in one.come]
        # Together: PostgreSQL is asked once for the batch, not once for each device.
        self.tx.executemany("DELETE FROM tenure WHERE identifier_id = ? AND from_at = ? AND from_position = ?", gone)
        self.tx.executemany(
            "INSERT INTO tenure (identifier_id, from_at, from_position, holder_id) VALUES (?, ?, ?, ?)", sorted(come)
        )

    def _moved_events(self, touched: _Touched) -> Resegment | None:
        """Find the spans in which an event stored earlier now falls into another tenure than it was folded into."""
        device, before, after = touched.device, touched.before, touched.device.tenures or []
        if device.identifier_id in self.new_ids:
            return None
        # The first tenure also covers what came before it: where it begins parts nothing.
        asked = {t[0] for t in (*touched.gone, *touched.come, *before[:1], *after[:1])}
        parts: list[int] = []
        spans: list[tuple[int, int]] = []
        high = -_LAST
        for edge in sorted(asked):
            if edge < high or _parts_at(before, edge) == _parts_at(after, edge):
                continue
            # From the last edge before it that stays to the next one.
            i = bisect_left(after, (edge,)) - 1
            while i > 0 and not _parts_at(before, after[i][0]):
                i -= 1
            low = after[i][0] if i > 0 else -_LAST
            k = max(bisect_right(after, (edge, _LAST)), 1)
            while k < len(after) and not _parts_at(before, after[k][0]):
                k += 1
            high = after[k][0] if k < len(after) else _LAST
            if self._moves_some(device, before, after, low, high):
                spans.append((low, high))
                parts.append(low if i > 0 else 0)
                inside = before[max(bisect_right(before, (low, _LAST)), 1) : bisect_left(before, (high,))]
                parts += sorted({t[0] for t in inside})
        return Resegment(device, parts, spans) if spans else None

    def _moves_some(self, device: Ident, before: list[Tenure], after: list[Tenure], low: int, high: int) -> bool:
        rows = self.tx.read(
            "SELECT event_at FROM event_index WHERE anchor_id = ? AND event_at >= ? AND event_at < ?",
            (device.identifier_id, low, high),
        )
        return any(part_of(before, at) != part_of(after, at) for (at,) in rows)


def index_events(tx: Writing, sightings: Sequence[Sighting]) -> None:
    """Note where each event stands in its anchor's time."""
    rows = [(s.anchor.identifier_id, row.event_at, row.position) for s in sightings for row, _ in s.events]
    # Near enough to the order of the key: within an anchor the log's order is nearly that of time.
    rows.sort(key=itemgetter(0))
    tx.executemany("INSERT INTO event_index (anchor_id, event_at, position) VALUES (?, ?, ?)", rows)


def part_of(tenures: Sequence[Tenure] | None, event_at: int) -> int:
    """Say which part of a device's time an instant falls in: 0 is the first tenure and all before it.

    >>> part_of([(10, 1, 7), (20, 2, 8)], 5), part_of([(10, 1, 7), (20, 2, 8)], 20)
    (0, 20)
    """
    if not tenures or len(tenures) == 1 or event_at < tenures[1][0]:
        return 0
    return tenures[bisect_right(tenures, (event_at, _LAST)) - 1][0]


def _parts_at(tenures: Sequence[Tenure], at: int) -> bool:
    """Say whether another part of a device's time begins at an instant."""
    i = max(bisect_left(tenures, (at,)), 1)
    return i < len(tenures) and tenures[i][0] == at


def _was_known(ident: Ident, position: int) -> bool:
    return founded_at(ident.identifier_id) <= position


def _place_of(previous: Ident, idents: Sequence[Ident]) -> int:
    # The anchor stands for many when the other is stronger: else an alias names somebody as strong.
    return 0 if idents and previous.rank < idents[0].rank else 1


def _rank(ident: Ident) -> int:
    return ident.rank


def _strength(ident: Ident) -> tuple[int, int]:
    return ident.rank, ident.identifier_id
