"""The fold: how a micro-batch of the log becomes what we believe.

In:    log rows after the fold's position.
Out:   state: identifiers, links, tenures, strands, fates, and the position, in one transaction.
Never: a second way to change derived state; a result that depends on where micro-batches are cut.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.audience import (
    CUT,
    MERGE,
    TAPE_MIGRATIONS,
    TapeMemory,
    TapeWriter,
    Touched,
    begin_tapes,
    clear_touched,
    keep_definition_of,
    touch,
)
from tillit.audience import DEFINITION_TABLES as AUDIENCE_TABLES
from tillit.collect.once import Once, Repeat
from tillit.consent import MIGRATIONS as CONSENT_MIGRATIONS
from tillit.consent import POLICY_TABLES, keep_policy, mark_joined
from tillit.deliver import OUTBOX_MIGRATIONS, Outbox, keep_delivery
from tillit.deliver import TABLES as DELIVER_TABLES
from tillit.errors import InternalError, TillitError
from tillit.flow.catalog import catalog_of
from tillit.flow.fates import (
    CONFLICT,
    DUPLICATE,
    FORGOTTEN,
    IS_ERASED,
    IS_FORGOTTEN,
    NO_IDENTIFIER,
    NOT_FOLDED,
    NOTHING_ALLOWED,
    OTHER_BODY,
    QUARANTINED,
    REFUSED,
    SAME_MESSAGE,
    WITHHELD,
)
from tillit.flow.keep import STRAND_TABLES, Keeping
from tillit.flow.refold import ReadRows, refold_people
from tillit.groups import MIGRATIONS as GROUP_MIGRATIONS
from tillit.identity import (
    ALARM,
    DEFAULT,
    AppliedRules,
    Event,
    Ident,
    Resolved,
    Resolver,
    Rules,
    Sighting,
    founded_at,
    index_events,
    is_identity_act,
    keep_act,
    keep_definition,
    list_founded,
    read_definition,
    read_event,
    rules_in_force,
)
from tillit.identity import MIGRATIONS as IDENTITY_MIGRATIONS
from tillit.identity import TABLES as IDENTITY_TABLES
from tillit.profile import MIGRATIONS as PROFILE_MIGRATIONS
from tillit.profile import StrandMemory
from tillit.records import KIND_ACT, KIND_DEFINITION, KIND_EVENT, REFUSED_BODY, TRUST_OPERATOR, WITHHELD_BODY, LogRow
from tillit.store import Reading, State, Writing, migrations_of

# Raised when the same log would fold to something else than before: derived state of another version is rebuilt.
FOLD_VERSION = 10

MIGRATIONS = (
    migrations_of("tillit.store", room="fold", folder="migrations/state"),
    migrations_of("tillit.collect", room="once", folder="migrations/state"),
    IDENTITY_MIGRATIONS,
    PROFILE_MIGRATIONS,
    GROUP_MIGRATIONS,
    CONSENT_MIGRATIONS,
    OUTBOX_MIGRATIONS,
    TAPE_MIGRATIONS,
)
# What a rebuild compares, each with its key. Message keys and their filter are compared through the fates.
COMPARED_TABLES: dict[str, tuple[str, ...]] = {
    "fold": ("one",),
    "fate": ("position",),
    **IDENTITY_TABLES,
    **POLICY_TABLES,
    **DELIVER_TABLES,
    **AUDIENCE_TABLES,
    **STRAND_TABLES,
}

_decode_many = msgspec.json.Decoder(list[Event]).decode
_decode_any = msgspec.json.Decoder().decode

# Bodies read in one go: some 400 kB, which stay in the processor's cache.
_DECODED_AT_ONCE = 512
_WORTH_HIDING = 50_000  # objects
_WORTH_A_LOOK = 20_000_000  # objects: some four minutes of 5,000 events a second
_SELDOM = 20  # the middle threshold of a quiet collector; Python's own is 10


# What the door kept nothing of, and why.
_AT_THE_DOOR: dict[bytes | None, tuple[str, str]] = {
    REFUSED_BODY: (REFUSED, IS_ERASED),
    WITHHELD_BODY: (WITHHELD, NOTHING_ALLOWED),
}


class FoldAhead(InternalError):
    """The state knows more than the log: one of them was restored without the other."""

    code = "flow.fold-ahead"

    def __init__(self, position: int, head: int) -> None:
        """Say both places."""
        super().__init__(
            f"State has folded up to position {position} but the log ends at {head}: a back-up of the log was restored "
            "beside newer state. Run `tillit rebuild` to throw the newer state away.",
            position=position,
            head=head,
        )


class FoldOutdated(InternalError):
    """The state was made by another version of the fold."""

    code = "flow.fold-outdated"

    def __init__(self, found: int) -> None:
        """Say which versions."""
        super().__init__(
            f"State was made by fold version {found}, this is version {FOLD_VERSION}. Run `tillit rebuild`: "
            "state is derived from the log and is rebuilt, not migrated.",
            found=found,
            wanted=FOLD_VERSION,
        )


class _HeldTogether(Exception):
    """Two rows must be judged one after the other; their micro-batch is halved until they are."""


class Batch:
    """One micro-batch on its way through the steps."""

    def __init__(self, rows: Sequence[LogRow]) -> None:
        """Start with rows in log order."""
        self.rows = rows
        self.fresh: list[LogRow] = []
        self.repeats: list[Repeat] = []
        self.events: list[tuple[LogRow, Event]] = []
        self.resolved: Resolved | None = None
        self.again: set[int] = set()  # identifiers of people who were folded anew
        self.fates: list[tuple[int, str, str, int | None]] = []  # position, fate, code, of_position


class Applied(NamedTuple):
    """What one micro-batch did."""

    n_rows: int
    n_applied: int
    n_duplicates: int
    position: int


class Fold:
    """The fold of one workspace. One process at a time (whoever holds the engine lock)."""

    def __init__(
        self,
        state: State,
        rows: ReadRows,
        *,
        taken: int | None = None,
        is_judged: bool = False,
        hold: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the fold where it stood; `rows` reads earlier log rows again (late claims, repeated messages).

        `taken`: the position after which it fills the outbox; None: never, it is folded beside another.
        `is_judged`: people whom a micro-batch touches are judged after it, see `take_touched`. `hold` is called before
        each commit, and returns when the state may be another one.
        """
        self.state = state
        self._rows = rows
        prepare(state)
        self.position = trusted_position(state)
        self._once = Once(state)
        self._resolver = Resolver(self._events_at, rules_in_force(state))
        self.strands = StrandMemory()
        self.tapes = TapeMemory()
        self.catalog = catalog_of(state)
        self._is_judged = is_judged
        self._hold = hold
        self._touched = Touched()
        self._judged_through = 0
        self._outbox = Outbox(state, taken) if taken is not None else None
        self._is_stale = False  # what is in memory may say more, or less, than the state
        self._are_people_stale = False  # the same, of people alone

    def check_head(self, head: int) -> None:
        """Refuse to run beyond the log's end."""
        if self.position > head:
            raise FoldAhead(self.position, head)

    def apply(self, rows: Sequence[LogRow], *, epoch: int = 1) -> Applied:
        """Fold one micro-batch in one transaction. A row that cannot be folded is quarantined; the others go on."""
        if self._is_stale:
            self._recall()
            # A commit whose answer was lost may have been kept: its rows are not folded again.
            rows = [row for row in rows if row.position > self.position]
        elif self._are_people_stale:
            self._recall_people()
        if not rows:
            return Applied(0, 0, 0, self.position)
        # What changes what is already folded, or what is kept of what comes, is a micro-batch of its own.
        parts = list(_parts(rows))
        if len(parts) > 1:
            return _sum([self.apply(part, epoch=epoch) for part in parts])
        try:
            return self._apply(rows, epoch)
        except TillitError:  # a store that is busy or damaged is no row's fault
            self.forget_memory()
            raise
        except Exception:  # noqa: BLE001 -- a rim: one row of poison must not stop the log
            self.forget_memory()
            if len(rows) == 1:
                return self._quarantine(rows[0], epoch)
        half = len(rows) // 2
        return _sum([self.apply(part, epoch=epoch) for part in (rows[:half], rows[half:])])

    def _apply(self, rows: Sequence[LogRow], epoch: int) -> Applied:
        batch = Batch(rows)
        with self.state.transaction() as tx:
            for step in FOLD:
                step(self, batch, tx)
            _keep_position(tx, rows[-1], epoch)
            self._hold()
        self.position = rows[-1].position
        n_applied = sum(len(s.events) for s in batch.resolved.sightings) if batch.resolved is not None else 0
        return Applied(len(rows), n_applied, len(batch.repeats), self.position)

    def _quarantine(self, row: LogRow, epoch: int) -> Applied:
        with self.state.transaction() as tx:
            tx.execute(
                "INSERT INTO fate (position, fate, code, of_position) VALUES (?, ?, ?, ?)",
                (row.position, QUARANTINED, NOT_FOLDED, None),
            )
            _keep_position(tx, row, epoch)
            self._hold()
        self.position = row.position
        return Applied(1, 0, 0, row.position)

    def forget_memory(self) -> None:
        """Let go of what is held in memory: after a transaction that failed, or when state was changed by an act.

        It is read again at the next micro-batch: now the state may still be out of reach.
        """
        self._is_stale = True

    def forget_people(self) -> None:
        """Let go of what is held in memory of people: some were folded anew. Message keys are as they were."""
        self._are_people_stale = True

    @property
    def rules(self) -> Rules:
        """Give the identity rules it goes by."""
        return self._resolver.rules

    def take_busy(self) -> set[int]:
        """Give the identifiers that got new evidence since this was asked last: some may stand for many."""
        busy, self._resolver.busy = self._resolver.busy, set()
        return busy

    def take_touched(self) -> Touched:
        """Give the people whose answers may have changed since this was asked last."""
        touched, self._touched = self._touched, Touched()
        return touched

    def judged(self, through: int) -> None:
        """Take note that everybody was judged whom micro-batches up to a position touched."""
        self._judged_through = through

    def _recall_people(self) -> None:
        self._resolver.rules = rules_in_force(self.state)
        self._resolver.reset()
        self.strands.clear()
        self.tapes.clear()
        self.catalog = catalog_of(self.state)
        self._are_people_stale = False

    def _recall(self) -> None:
        self._recall_people()
        if self._outbox is not None:
            self._outbox.read_definitions(self.state)
        self._once.reload()
        self.position = int(self.state.read("SELECT position FROM fold")[0][0])
        self._is_stale = False

    def _events_at(self, positions: Sequence[int]) -> dict[int, Event]:
        return {p: read_event(row.body) for p, row in self._rows(positions).items() if row.body is not None}

    # -- the steps

    def drop_repeats(self, batch: Batch, tx: Writing) -> None:
        """Judge which messages were applied before. What the door refused as erased holds no key."""
        events = [row for row in batch.rows if row.kind == KIND_EVENT and row.body not in _AT_THE_DOOR]
        if len(events) < len(batch.rows):
            batch.fates += [
                (row.position, *_AT_THE_DOOR[row.body], None)
                for row in batch.rows
                if row.kind == KIND_EVENT and row.body in _AT_THE_DOOR
            ]
        batch.fresh, batch.repeats = self._once.sift(tx, events)
        if not batch.repeats:
            return
        within = {row.position: row for row in events}
        earlier = [r.of_position for r in batch.repeats if r.of_position not in within]
        firsts = {**self._rows(earlier), **within}
        for row, of_position in batch.repeats:
            first = firsts.get(of_position)
            told = _essence(first.body) if first is not None else None
            same = told is None or _is_same(told, _essence(row.body))
            code = SAME_MESSAGE if same else OTHER_BODY
            batch.fates.append((row.position, DUPLICATE if same else CONFLICT, code, of_position))

    def keep_definitions(self, batch: Batch, tx: Writing) -> None:
        """Note definitions that were applied.

        What follows from identity rules is folded beside, and taken over whole; purposes hold from here on.
        """
        for row in batch.rows:
            if row.kind == KIND_DEFINITION:
                keep_policy(tx, row)
                if keep_delivery(tx, row) and self._outbox is not None:
                    self._outbox.read_definitions(tx)
                if (applied := read_definition(row)) is not None:
                    keep_definition(tx, applied)
                keep_definition_of(tx, row)
        if any(row.kind == KIND_DEFINITION for row in batch.rows):
            # Purposes too say which events an audience may use.
            catalog = catalog_of(tx)
            if catalog is not self.catalog:
                begin_tapes(tx, catalog.tapes)
                self.catalog = catalog
                self.tapes.clear()

    def read_events(self, batch: Batch, tx: Writing) -> None:
        """Read the bodies; a husk keeps only the identifiers that survived."""
        bodies = [row.body for row in batch.fresh if row.body is not None]
        with_body = batch.fresh
        if len(bodies) < len(with_body):
            with_body = [row for row in batch.fresh if row.body is not None]
            batch.fates += [(row.position, FORGOTTEN, IS_FORGOTTEN, None) for row in batch.fresh if row.body is None]
        try:
            events: list[Event] = []
            for at in range(0, len(bodies), _DECODED_AT_ONCE):
                events += _decode_many(b"[" + b",".join(bodies[at : at + _DECODED_AT_ONCE]) + b"]")
            batch.events = list(zip(with_body, events, strict=True))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            self._read_one_by_one(batch, tx, with_body)

    def _read_one_by_one(self, batch: Batch, tx: Writing, rows: Sequence[LogRow]) -> None:
        poison = []
        for row in rows:
            try:
                batch.events.append((row, read_event(row.body or b"")))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
                poison.append(row)
        self._set_aside(batch, tx, poison, NOT_FOLDED)

    def _set_aside(self, batch: Batch, tx: Writing, rows: Sequence[LogRow], code: str) -> None:
        """Quarantine rows and let their message keys go, so that a mended event may come under the same id."""
        batch.fates += [(row.position, QUARANTINED, code, None) for row in rows]
        self._once.forget(tx, [row.message_hash for row in rows])
        positions = {row.position for row in rows}
        if any(repeat.of_position in positions for repeat in batch.repeats):
            # A later row of this batch was taken for a repeat of one of these: they must not share a batch.
            raise _HeldTogether

    def judge_again(self, batch: Batch, tx: Writing) -> None:
        """Do what a colleague decided about who is who: fold anew whoever it touches, now that it stands."""
        if len(batch.events) != 1 or not is_identity_act(batch.events[0][0]):
            return
        row = batch.events.pop()[0]
        act = keep_act(tx, row, self._resolver.rules)
        if act is None:
            self._set_aside(batch, tx, [row], NO_IDENTIFIER)
            return
        if act.kind == ALARM:
            return
        batch.again = refold_people(tx, act.pair, self._rows, row, self._resolver.rules)
        self._resolver.reset()
        self.strands.clear()
        self.tapes.clear()

    def resolve_identities(self, batch: Batch, tx: Writing) -> None:
        """Say who each event is about, and index it in their time."""
        resolved = self._resolver.resolve(tx, batch.events)
        batch.resolved = resolved
        batch.fates += [(row.position, FORGOTTEN, IS_FORGOTTEN, None) for row in resolved.husks]
        if resolved.unassigned:
            self._set_aside(batch, tx, resolved.unassigned, NO_IDENTIFIER)

    def fold_profiles(self, batch: Batch, tx: Writing) -> None:
        """Add the events to strands and groups; fold a device's strands anew where its events changed hands."""
        resolved = batch.resolved
        assert resolved is not None, "identities are resolved before profiles"
        strands = Keeping(tx, self.strands, TapeWriter(tx, self.catalog, self.tapes, self._touched))
        for device, parts, spans in resolved.resegment:
            strands.drop([(device.identifier_id, part) for part in parts])
            strands.fold(self._earlier_sightings(tx, device, spans))
        strands.fold(resolved.sightings)
        strands.write()
        if resolved.joined:
            mark_joined(tx, resolved.joined)
        index_events(tx, resolved.sightings)

    def _earlier_sightings(self, tx: Writing, device: Ident, spans: Sequence[tuple[int, int]]) -> list[Sighting]:
        positions = sorted(
            p
            for span in spans
            for (p,) in tx.read(
                "SELECT position FROM event_index WHERE anchor_id = ? AND event_at >= ? AND event_at < ?",
                (device.identifier_id, *span),
            )
        )
        rows = self._rows(positions)
        events = [(rows[p], read_event(rows[p].body or b"{}")) for p in positions if p in rows]
        return self._resolver.sightings_again(tx, device, events)

    def fill_outbox(self, batch: Batch, tx: Writing) -> None:
        """Ask couriers for what these events cause, unless that was asked before."""
        outbox, resolved = self._outbox, batch.resolved
        if outbox is None or resolved is None:
            return
        for row in batch.rows:
            if row.kind == KIND_ACT:
                outbox.walk(tx, row.position)
        seen = [(sighting.anchor.identifier_id, sighting.events) for sighting in resolved.sightings]
        again = {*batch.again, *resolved.joined, *(device.identifier_id for device, _, _ in resolved.resegment)}
        if seen or again:
            outbox.fill(tx, batch.rows, seen, again)

    def note_touched(self, batch: Batch, tx: Writing) -> None:
        """Note whose audiences are to be judged again, so that nobody is passed over when it is killed before."""
        touched, resolved = self._touched, batch.resolved
        if not self._is_judged or not self.catalog.has_any:
            self._touched = Touched()
            return
        if resolved is not None:
            # Of whom nobody knew before, what came is all there is.
            first = batch.rows[0].position
            anchors = (seen.anchor.identifier_id for seen in resolved.sightings)
            touched.first_seen(one for one in anchors if founded_at(one) >= first)
            joined = {one for one in resolved.joined if founded_at(one) < first}
            # Where it matters who somebody is, and not only what they did, everything is asked again.
            apart = set[int]() if self.catalog.by_permission or self.catalog.by_group else joined & resolved.claimed
            touched.joins(apart, MERGE)
            touched.whole(joined - apart, MERGE)
            touched.whole((device.identifier_id for device, _, _ in resolved.resegment), MERGE)
            if self.catalog.by_permission:
                # What somebody may be used for hangs on by what they are known, too.
                touched.whole({*resolved.joined, *list_founded(tx, first)})
        touched.whole(batch.again, CUT)
        clear_touched(tx, self._judged_through)
        if touched:
            touch(tx, touched.came.keys(), batch.rows[-1].position)

    def keep_fates(self, batch: Batch, tx: Writing) -> None:
        """Record every fate other than applied, and the messages that must not be applied again."""
        self._once.write(tx)
        if batch.fates:
            tx.executemany(
                "INSERT INTO fate (position, fate, code, of_position) VALUES (?, ?, ?, ?)", sorted(batch.fates)
            )


Step = Callable[[Fold, Batch, Writing], None]

FOLD: tuple[Step, ...] = (
    Fold.drop_repeats,  # rows           -> fresh rows, fates     was it applied before?
    Fold.keep_definitions,  # rows   -> identity_rules, consent_policy, delivery_definition
    Fold.read_events,  # fresh rows      -> events
    Fold.judge_again,  # an identity act -> identifiers, links, tenures, strands of whom it touches
    Fold.resolve_identities,  # events   -> identifiers, links, tenures, sightings     who is this?
    Fold.fold_profiles,  # sightings     -> strands, groups, event_index  what do we know, whose permissions may change?
    Fold.fill_outbox,  # sightings       -> outbox                            what is to be sent for it?
    Fold.note_touched,  # sightings      -> audience_touched      whose audiences may be others?
    Fold.keep_fates,  # everything       -> fate, seen_run        what became of each row?
)


@contextlib.contextmanager
def quiet_garbage_collector(young: int = 1_000_000) -> Iterator[None]:
    """Let the collector look seldom, after so many new objects: the fold makes and drops records that hold no cycles.

    Where requests are answered some do, with whole bodies in them: there a million would be hundreds of megabytes.
    Inside another of its kind it only sets the number: what is frozen stays so, and nothing is looked through again.
    """
    before = gc.get_threshold()
    is_inner = before[1] == _SELDOM  # to count what is frozen would take longer the more it is
    if not is_inner:
        gc.collect()
        gc.freeze()
    gc.set_threshold(young, _SELDOM, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not is_inner:
            gc.unfreeze()


class Garbage:
    """What a process that folds hides from the collector: a look through all that it holds takes a third of a second.

    What lives after a micro-batch is hidden, and freed as ever when nobody holds it any more. What holds itself would
    stay: so everything is looked through when there is nothing to do, if much was hidden since.
    """

    def __init__(self) -> None:
        """Begin with nothing hidden."""
        self._n_hidden = 0

    def hide(self) -> None:
        """Hide what lives, once there is enough of it to be worth it."""
        n_new = gc.get_count()[0]
        if n_new > _WORTH_HIDING:
            gc.freeze()
            self._n_hidden += n_new

    def look_through(self) -> None:
        """Free what holds itself; to be done when nobody waits."""
        if self._n_hidden > _WORTH_A_LOOK:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._n_hidden = 0


def prepare(state: State, rules: AppliedRules = DEFAULT) -> None:
    """Bring the state's tables to the newest number and put the fold at the start of the log when it is new.

    A new fold goes by these rules from the first event on.
    """
    for migrations in MIGRATIONS:
        state.migrate(migrations)
    if not state.read("SELECT 1 FROM fold"):
        with state.transaction() as tx:
            tx.execute(
                "INSERT INTO fold (one, position, logged_at, epoch, version, rules) VALUES (1, 0, 0, 1, ?, ?) "
                "ON CONFLICT (one) DO NOTHING",
                (FOLD_VERSION, rules.position),
            )
            if rules.text:
                keep_definition(tx, rules)


def trusted_position(state: Reading) -> int:
    """Say how far the fold has come, for whoever reads what it made.

    Raises: FoldOutdated when another version made it: then its tables say nothing.
    """
    found = state.read("SELECT position, version FROM fold")
    if found and found[0][1] != FOLD_VERSION:
        raise FoldOutdated(found[0][1])
    return int(found[0][0]) if found else 0


def _sum(parts: Sequence[Applied]) -> Applied:
    return Applied(
        sum(one.n_rows for one in parts),
        sum(one.n_applied for one in parts),
        sum(one.n_duplicates for one in parts),
        parts[-1].position,
    )


def _parts(rows: Sequence[LogRow]) -> Iterator[Sequence[LogRow]]:
    """Part rows, in order: each act about who is who by itself, definitions that follow one another together."""
    start = 0
    for place, row in enumerate(rows):
        is_act = row.trust == TRUST_OPERATOR and is_identity_act(row)
        is_other = (row.kind == KIND_DEFINITION) != (rows[start].kind == KIND_DEFINITION)
        if place > start and (is_act or is_other):
            yield rows[start:place]
            start = place
        if is_act:
            yield rows[place : place + 1]
            start = place + 1
    if start < len(rows):
        yield rows[start:]


def _keep_position(tx: Writing, row: LogRow, epoch: int) -> None:
    tx.execute("UPDATE fold SET position = ?, logged_at = ?, epoch = ?", (row.position, row.logged_at, epoch))


_ESSENCE = (
    "type",
    "event",
    "name",
    "userId",
    "anonymousId",
    "groupId",
    "previousId",
    "originalTimestamp",
    "properties",
    "traits",
)


def _essence(body: bytes | None) -> tuple[Any, ...] | None:
    """Give what makes two sends of one message the same: what was said, not how it travelled."""
    if body is None:
        return None
    told: Any = {}
    with contextlib.suppress(msgspec.DecodeError):
        told = _decode_any(body)
    if not isinstance(told, dict):
        return (told,)
    if told.get("type") == "husk":
        return None
    if told.get("originalTimestamp") == told.get("receivedAt"):
        told["originalTimestamp"] = None  # the door's own stamp: the sender named no time
    return tuple(told.get(name) for name in _ESSENCE)


def _is_same(first: tuple[Any, ...], again: tuple[Any, ...] | None) -> bool:
    """Say whether a resend says what the first send said. Browser SDKs add the user id they learnt in between."""
    if again is None or first == again:
        return True
    at = _ESSENCE.index("userId")
    return len(first) > at and first[at] is None and first == (*again[:at], None, *again[at + 1 :])
