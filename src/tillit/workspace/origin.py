"""The workspace as couriers see it: where work comes from, who gives leave, where what came of it is written.

In:    the stores of a workspace, and whom to ask.
Out:   work, judged deliveries, wires; disclosures in the ledger; events in the log.
Never: a value handed on that the last gate did not let pass.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tillit.audience import Memberships
from tillit.consent import policy_in_force
from tillit.deliver import (
    DESTINATION,
    ENDED,
    EVENT_RECORD,
    MESSAGE,
    PEOPLE_RECORD,
    RECORD,
    SENT,
    TO_SEND,
    WAITING,
    Attempt,
    Definitions,
    Delivery,
    Destination,
    Follow,
    Going,
    Line,
    Outcome,
    Queue,
    Record,
    Stop,
    Suppressions,
    Wire,
    Work,
    asking,
    clear_outbox,
    definitions_in_force,
    event_row,
    find_outbox,
    list_applied,
    read_destination,
    read_request,
)
from tillit.deliver import MESSAGE_WITHHELD as WITHHELD_EVENT
from tillit.deliver.requests import BOUNCED
from tillit.deliver.wire import DELIVERED
from tillit.flow import roots_of, trusted_position
from tillit.identity import DEVICE_RANK, applied_rules, find_membership, profile_id
from tillit.ledger import Disclosure, Ledger
from tillit.records import LogRow, Membership, NewRow, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.folding import Folding
from tillit.workspace.gate import LastGate, Renders, judge_all
from tillit.workspace.leave import Leave
from tillit.workspace.ledger import subjects_of

_UNTIL_FOLDED = 1_000_000  # microseconds until a delivery is judged by a state that is being rebuilt
_RECENT = 200  # entries of one person that are read to see whether a disclosure is there already


class WorkspaceOrigin:
    """The workspace as couriers see it; see `deliver.courier.Origin`."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        queue: Queue,
        suppressions: Suppressions,
        renders: Renders,
        *,
        scope: Callable[..., Scope],
        leave: Callable[[Reading, Scope], Leave],
        ledger: Ledger,
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        open_wire: Callable[[Destination], Wire],
        refused: Callable[[Sequence[Outcome]], None],
        secret: bytes,
        memberships: Memberships,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask."""
        self._log = log
        self._state = state
        self._folding = folding
        self._queue = queue
        self._suppressions = suppressions
        self._renders = renders
        self._scope = scope
        self._leave = leave
        self._ledger = ledger
        self._append = append
        self._open_wire = open_wire
        self.refused = refused
        self._secret = secret
        self._memberships = memberships
        self._now = now
        self._known: tuple[int, int, Definitions] | None = None  # version of the state, newest of them, they

    # -- work

    def ends(self) -> tuple[int, int]:
        """Give the log's epoch, and its last position."""
        return self._log.epoch(), self._log.head()

    def is_behind(self) -> bool:
        """Say whether the state knows less than when work was taken: it is being rebuilt, and judges nobody."""
        return self._is_behind(self._state)

    def _is_behind(self, reading: Reading) -> bool:
        return trusted_position(reading) < self._queue.taken(self.ends)

    def find_work(self, after: int, *, most: int) -> tuple[list[Work], int]:
        """Give what waits in the outbox after a position, and the position it goes through."""
        with self._state.snapshot() as reading:
            return find_outbox(reading, after, most=most)

    def find_changed(self, after: int, *, most: int) -> tuple[list[int], int]:
        """Give identifiers of people who came into audiences or went, after a change, and the change it goes through.

        Of nobody where no destination has an audience.
        """
        followed = {one.audience for _, one in self.definitions().destinations.values() if one.audience}
        if not followed:
            return [], after
        if not after:
            # A destination that comes is followed by a look at everybody.
            return [], self._memberships.last_change_id()
        changes = self._memberships.changes(after=after, limit=most)
        ids = {one for change in changes for one in (change.root_id, change.from_root) if change.audience in followed}
        return sorted(ids - {0}), changes[-1].change_id if changes else after

    def clear_work(self, through: int) -> None:
        """Delete from the outbox what was taken."""
        clear_outbox(self._state, through)

    def definitions(self) -> Definitions:
        """Give the destinations and templates in force."""
        version = self._state.data_version()
        if self._known is None or self._known[0] != version:
            rows = self._state.read("SELECT coalesce(max(position), 0) FROM delivery_definition")
            newest = int(rows[0][0])
            is_same = self._known is not None and self._known[1] == newest
            told = self._known[2] if self._known is not None and is_same else definitions_in_force(self._state)
            self._known = version, newest, told
        return self._known[2]

    def lines_of(self, work: Sequence[Work]) -> list[Line | None]:
        """Say of each through what a message or an event is to be sent; None: nothing any more, or it is neither."""
        told = self.definitions()
        rows = self._folding.rows([one.position for one in work if one.work == TO_SEND])
        return [_line_of(one, told, rows) for one in work]

    # -- people

    def look_at(self, touched: Mapping[int, bool]) -> list[Follow]:
        """Give the records of whoever holds identifiers that are not what they should be."""
        wanted: list[Follow] = []
        with self._moment(()) as (gate, reading):
            done: set[str] = set()
            # Those that are looked at whole first: who is done is not looked at again.
            for identifier_id, is_whole in sorted(touched.items(), key=lambda one: not one[1]):
                for root in sorted(roots_of(reading, [identifier_id])):
                    membership = find_membership(reading, profile_id(root))
                    if membership is None or membership.profile_id in done:
                        continue
                    done.add(membership.profile_id)
                    wanted += self._of_person(gate, membership)
                    wanted += self._of_events(gate, membership, is_whole=is_whole)
        return wanted

    def look_over(self, records: Sequence[Record]) -> list[Follow]:
        """Give those of some records that are not what they should be."""
        with self._moment({one.position for one in records if one.kind == EVENT_RECORD}) as (gate, _):
            return [found for one in records if (found := self._wrong(gate, one)) is not None]

    def look_ended(self, records: Sequence[Record]) -> list[Follow]:
        """Ask about records of which leave ended."""
        told = self.definitions()
        return [
            Follow(one.destination, destination.purpose, one.record_key, one.kind, one.subject_ref, one.position)
            for one in records
            if (destination := told.destination(one.destination)) is not None
        ]

    def _wrong(self, gate: LastGate, record: Record) -> Follow | None:
        """Say what is to be done about a record; None: it is as it should be."""
        destination = self.definitions().destination(record.destination)
        if destination is None:
            return None
        name, purpose = record.destination, destination.purpose
        one = asking(RECORD, name, purpose, record.record_key, position=record.position)
        if not isinstance(gate.judge(one), Going):
            return None
        return Follow(name, purpose, record.record_key, record.kind, record.subject_ref, record.position)

    def _of_person(self, gate: LastGate, membership: Membership) -> Iterator[Follow]:
        there = self._queue.copies.list_there(subjects_of(membership), PEOPLE_RECORD)
        held = {(one.destination, one.record_key) for one in there}
        is_person = any(one.rank < DEVICE_RANK for one in membership.identifiers)
        who = membership.profile_id
        for name, (_, destination) in self.definitions().destinations.items():
            if destination.send == "people" and is_person and (name, who) not in held and not destination.retired:
                one = asking(RECORD, name, destination.purpose, who)
                if isinstance(gate.wanted(destination, one), tuple):
                    yield Follow(name, destination.purpose, who, PEOPLE_RECORD, who, 0)
        for record in there:
            if (wrong := self._wrong(gate, record)) is not None:
                yield wrong

    def _of_events(self, gate: LastGate, membership: Membership, *, is_whole: bool) -> Iterator[Follow]:
        subjects = subjects_of(membership)
        if not self._queue.copies.is_any_event_there(subjects):
            return
        told = self.definitions().destinations
        ended = {name for name, (_, one) in told.items() if one.retired or not gate.may_have(one, membership)}
        # While somebody may be told of, what was sent of theirs is right, unless they were folded anew.
        if not ended and not is_whole:
            return
        there = self._queue.copies.list_there(subjects, EVENT_RECORD)
        yield from self.look_ended([one for one in there if one.destination in ended])
        if is_whole:
            there = [one for one in there if one.destination not in ended]
            gate.add_rows(self._folding.rows(sorted({one.position for one in there})))
            for record in there:
                if (wrong := self._wrong(gate, record)) is not None:
                    yield wrong

    def walk(self, after: int, *, most: int) -> list[int]:
        """Give people in order, by the number of their identifier."""
        rows = self._state.read(
            "SELECT identifier_id FROM identifier WHERE identifier_id > ? AND root_id = identifier_id "
            "ORDER BY identifier_id LIMIT ?",
            (after, most),
        )
        return [int(i) for (i,) in rows]

    def terms(self) -> str:
        """Name what everybody's records hang on beside what is said of them."""
        self.definitions()
        assert self._known is not None, "it was read just now"
        policy = policy_in_force(self._state).hash
        return f"{policy} {applied_rules(self._state).position} {self._known[1]}"

    # -- leaving

    def version(self) -> tuple[int, int]:
        """Give numbers of which one changes when more was said, somebody was suppressed, or came or went."""
        return self._state.data_version() + self._memberships.version(), self._suppressions.version()

    def pass_gate(self, deliveries: Sequence[Delivery]) -> list[Going | Stop]:
        """Say of each whether it may leave now, and what then leaves."""
        with self._moment({one.position for one in deliveries if one.position}) as (gate, reading):
            if self._is_behind(reading):
                due_at = self._queue.now() + _UNTIL_FOLDED
                return [Stop(one, WAITING, one.code, due_at=due_at) for one in deliveries]
            return judge_all(gate, deliveries)

    @contextmanager
    def _moment(self, positions: Iterable[int]) -> Iterator[tuple[LastGate, Reading]]:
        rows = self._folding.rows(sorted(positions))
        definitions = self.definitions()
        with self._state.snapshot() as reading:
            yield self.gate_at(reading, rows, definitions), reading

    def gate_at(
        self,
        reading: Reading,
        rows: dict[int, LogRow],
        definitions: Definitions,
        renders: Renders | None = None,
    ) -> LastGate:
        """Give the last gate at one moment of the state; `renders`: of templates that are not applied."""
        return LastGate(
            reading,
            rows,
            definitions=definitions,
            queue=self._queue,
            suppressions=self._suppressions,
            renders=renders or self._renders,
            scope=self._scope,
            leave=self._leave,
            epoch=self._log.epoch(),
            secret=self._secret,
            memberships=self._memberships,
        )

    def open_wire(self, destination: Destination) -> Wire:
        """Open a destination."""
        return self._open_wire(destination)

    # -- what came of it

    def disclose(self, told: Sequence[tuple[Delivery, Attempt]], *, may_be_there: bool) -> None:
        """Write disclosures into the ledger, each once: what a courier that died wrote is not written again."""
        parties = policy_in_force(self._state).policy.recipients
        entries = []
        for delivery, attempt in told:
            if not attempt.subject_ref:
                continue
            party = self._party_at(delivery.destination, attempt.decided_at)
            known = parties.get(party)
            entries.append(
                Disclosure(
                    subject_ref=attempt.subject_ref,
                    recipient=party,
                    role=known.role if known is not None else "processor",
                    purpose=delivery.purpose,
                    basis=attempt.basis,
                    record_position=attempt.record_position,
                    field_names=attempt.fields,
                    channel=delivery.destination,
                    country=known.country if known is not None else "",
                    decision_position=attempt.decided_at,
                    delivery=f"{delivery.key}/{attempt.attempt}",
                    at=attempt.begun_at,
                )
            )
        if may_be_there:
            entries = [one for one in entries if not self._is_written(one)]
        self._ledger.append(entries)

    def _party_at(self, name: str, position: int) -> str:
        """Name who received when a destination was as it was at a log position: it may have been defined anew since."""
        since, destination = self.definitions().destinations.get(name, (0, None))
        if destination is not None and since > position:
            told = list_applied(self._state, DESTINATION, name)
            before = next((one for one in told if one.position <= position), told[-1])
            destination = read_destination(before.text)
        return destination.party if destination is not None else name

    def _is_written(self, entry: Disclosure) -> bool:
        found = self._ledger.read([entry.subject_ref], limit=_RECENT).entries
        return any(isinstance(one.entry, Disclosure) and one.entry.delivery == entry.delivery for one in found)

    def tell(self, deliveries: Sequence[Delivery]) -> None:
        """Write into the log what became of messages, each once: the log drops what it has."""
        rows = self._folding.rows([one.position for one in deliveries])
        told = []
        for one in deliveries:
            row = rows.get(one.position)
            request = read_request(row) if row is not None else None
            name = _event_of(one)
            if request is None or not name:
                continue
            about = {
                "message": one.key,
                "template": one.template,
                "destination": one.destination,
                "purpose": one.purpose,
                "class": one.message_class,
                "outcome": one.state,
                **({"reason": one.code} if one.code else {}),
            }
            message_id = f"{one.key}:{one.state}:{one.n_attempts}"
            told.append(
                event_row(name, (request.namespace, request.value), about, message_id=message_id, now=self._now())
            )
        if told:
            self._append(told)


def _line_of(work: Work, told: Definitions, rows: Mapping[int, LogRow]) -> Line | None:
    if work.work != TO_SEND:
        destination = told.destination(work.destination)
        return Line(destination.destination, "", destination.purpose, "") if destination is not None else None
    row = rows.get(work.position)
    request = read_request(row) if row is not None else None
    template = told.template(request.template) if request is not None else None
    if request is None or template is None:
        return None  # it was forgotten before anybody took it; the request itself stands as a husk
    return Line(
        template.destination, template.template, template.purpose, template.message_class, subject_ref=request.of
    )


def _event_of(one: Delivery) -> str:
    if one.kind != MESSAGE or one.state not in ENDED:
        return ""
    return {DELIVERED: SENT, "unknown": SENT, "refused": BOUNCED}.get(one.state, WITHHELD_EVENT)
