"""The last gate: whether a delivery may leave, asked immediately before the wire.

In:    deliveries; one moment of the state, and of what was said since.
Out:   of each what then leaves, or why it does not.
Never: an answer that is kept. Whoever asks again is answered anew.

The order is that of docs/explanation/delivery.md; the first that says no is the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.audience import Memberships
from tillit.clock import rfc3339
from tillit.consent import Subject
from tillit.deliver import (
    ACKNOWLEDGED,
    CHANNELS,
    EVENT,
    EVENT_RECORD,
    MESSAGE,
    PEOPLE_RECORD,
    REJECTED,
    REMOVED,
    SUPERSEDED,
    UNCHANGED,
    WITHHELD,
    Beginning,
    Definitions,
    Delivery,
    Destination,
    Going,
    Mapped,
    Outgoing,
    Queue,
    Request,
    Stop,
    Suppressions,
    Template,
    key_of,
    map_fields,
    read_request,
)
from tillit.deliver.late import load_templates
from tillit.deliver.verification import with_code
from tillit.deliver.wire import EVENT as SENT_EVENT
from tillit.deliver.wire import MESSAGE as SENT_MESSAGE
from tillit.deliver.wire import REMOVE, UPSERT, Mail
from tillit.errors import InputError, TillitError
from tillit.identity import DEVICE_RANK, Handle, find_membership
from tillit.profile import event_document, get_document, reaches
from tillit.records import LogRow, Membership, Permit, Refusal, Scope
from tillit.store import Reading
from tillit.workspace.leave import Leave
from tillit.workspace.ledger import subjects_of

# Why a delivery did not leave, beside what `consent/` says (the reasons of `consent/` are its own).
REASONS = {
    "retired": "The destination or the template is retired.",
    "expired": "The message could not go in the time that its template gives it.",
    "forgotten": "What it was about has been forgotten.",
    "not_a_member": "The person is not in the destination's audience.",
    "nobody": "Nobody is known by what the request names.",
    "moved": "The address belongs to somebody else now.",
    "no_address": "The person has no address on this channel.",
    "deceased": "The person has died.",
    "not_reached": "The purpose does not reach what the template shows.",
    "too_old": "What it was about is older than the purpose keeps.",
    "not_rendered": "The template could not be rendered with what is known.",
    "unchanged": "The destination has it already.",
    "superseded": "What it was to say changed before it arrived; a newer delivery says it.",
    "never_sent": "The destination never had it.",
    "suppressed_hard_bounce": "The address was refused for good.",
    "suppressed_complaint": "The person reported a message as unwanted.",
    "suppressed_unsubscribe": "The person unsubscribed.",
    "suppressed_deceased": "A colleague says that the person has died.",
    "suppressed_erased": "The person asked to be forgotten.",
    "suppressed_operator": "A colleague put the person or the address on the suppression list.",
}


class Rendered(NamedTuple):
    """What a template came to for one person."""

    mail: Mail | None
    payload: dict[str, Any]
    fields: tuple[str, ...]


class Renders:
    """How templates are rendered: loaded only where one is."""

    def __init__(self, unsubscribe_url: Callable[[Delivery, Template], str], senders: Callable[[str], str]) -> None:
        """`unsubscribe_url`: the link of a delivery; `senders`: a destination's own From."""
        self.unsubscribe_url = unsubscribe_url
        self._senders = senders

    def needed(self, template: Template) -> tuple[str, ...]:
        """Name the fields that a template shows, as purposes name them."""
        return load_templates().check_template(template).fields

    def asks_for(self, template: Template) -> tuple[str, ...]:
        """Name what a template shows of the data that a request brings."""
        return load_templates().check_template(template).message

    def render(
        self,
        template: Template,
        document: Mapping[str, Any],
        data: Mapping[str, Any],
        recipient: str,
        unsubscribe_url: str,
    ) -> Rendered:
        """Render for one person. Raises TemplateFailed."""
        templates = load_templates()
        profile = profile_of(document)
        fields = self.needed(template)
        if template.body:
            return Rendered(
                None,
                templates.render_body(template, profile=profile, message=data, unsubscribe_url=unsubscribe_url),
                fields,
            )
        mail = templates.render(
            template,
            profile=profile,
            message=data,
            unsubscribe_url=unsubscribe_url,
            sender_default=self._senders(template.destination),
            recipient=recipient,
        )
        return Rendered(mail, {}, tuple(sorted({*fields, "identifiers.email"})))


def profile_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a person as templates see them."""
    identifiers: dict[str, str] = {}
    for one in document["identifiers"]:
        identifiers.setdefault(one["namespace"], one["value"])
    return {
        "id": document["id"],
        "traits": {name: held["value"] for name, held in document["traits"].items()},
        "identifiers": identifiers,
    }


class LastGate:
    """Judges deliveries at one moment of the state."""

    def __init__(
        self,
        reading: Reading,
        rows: Mapping[int, LogRow],
        *,
        definitions: Definitions,
        queue: Queue,
        suppressions: Suppressions,
        renders: Renders,
        scope: Callable[..., Scope],
        leave: Callable[[Reading, Scope], Leave],
        epoch: int,
        secret: bytes,
        memberships: Memberships,
    ) -> None:
        """Know the moment, and the log rows that the deliveries are about."""
        self._reading = reading
        self._rows = rows
        self._definitions = definitions
        self._queue = queue
        self._suppressions = suppressions
        self._renders = renders
        self._scope = scope
        self._leave = leave
        self._epoch = epoch
        self._secret = secret
        self._memberships = memberships
        self._leaves: dict[tuple[str, str, str], Leave] = {}

    def add_rows(self, rows: Mapping[int, LogRow]) -> None:
        """Know more log rows."""
        self._rows = {**self._rows, **rows}

    def leave_for(self, purpose: str, channel: str, party: str) -> Leave:
        """Give what asks leave for a purpose, a channel and a recipient."""
        key = (purpose, channel, party)
        if key not in self._leaves:
            scope = self._scope(purpose, asked_by="courier", channel=channel, recipient=party)
            self._leaves[key] = self._leave(self._reading, scope)
        return self._leaves[key]

    def judge(self, one: Delivery) -> Going | Stop:
        """Say whether a delivery may leave."""
        destination = self._definitions.destination(one.destination)
        if destination is None:
            return _withheld(one, "retired")
        row = self._rows.get(one.position)
        if one.kind in (MESSAGE, EVENT) and (row is None or not _is_about(one, row)):
            return _withheld(one, "forgotten")
        if one.kind == MESSAGE:
            return self._message(one, destination)
        if one.kind == EVENT:
            return self._event(one, destination)
        return self._record(one, destination)

    # -- messages

    def _message(self, one: Delivery, destination: Destination) -> Going | Stop:
        template = self._definitions.template(one.template)
        row = self._rows.get(one.position)
        request = read_request(row) if row is not None else None
        if template is None or destination.retired:
            return _withheld(one, "retired")
        if request is None:
            return _withheld(one, "forgotten")
        if self._queue.now() - request.asked_at > template.expires_s * 1_000_000:
            return _withheld(one, "expired", one.subject_ref)
        membership = find_membership(self._reading, Handle(0, request.namespace, request.value))
        if membership is None:
            return _withheld(one, "nobody")
        return self.message_to(one, destination, template, request, membership)

    def message_to(
        self,
        one: Delivery,
        destination: Destination,
        template: Template,
        request: Request,
        membership: Membership,
    ) -> Going | Stop:
        """Judge a message to somebody who is known; also for whoever tries what would leave."""
        subject_ref = membership.profile_id
        if request.of and self._now_called(request.of) != subject_ref:
            return _withheld(one, "moved", subject_ref)
        leave = self.leave_for(template.purpose, CHANNELS[destination.kind], destination.party)
        permit, subject = leave.with_facts(membership)
        if subject.is_deceased:
            return _withheld(one, "deceased", subject_ref)
        if isinstance(permit, Refusal):
            return _withheld(one, permit.reason, subject_ref)
        document = get_document(self._reading, membership, permit, epoch=self._epoch)
        address = ""
        if destination.kind == "email":
            address = _address(request, membership, document)
            if not address:
                return _withheld(one, "no_address", subject_ref)
        stop = self._suppressions.find_stop(
            template.message_class,
            template.purpose,
            address=address,
            people=subjects_of(membership),
            yes_at=_heard_at(subject, permit.record),
        )
        if stop is not None:
            return _withheld(one, f"suppressed_{stop.reason}", subject_ref)
        missing = [name for name in self._renders.needed(template) if not permit.scope.allows(name)]
        if missing or (address and not permit.scope.allows("identifiers.email")):
            return _withheld(one, "not_reached", subject_ref)
        is_marketing = template.message_class == "marketing"
        try:
            url = self._renders.unsubscribe_url(one, template) if address and is_marketing else ""
            data = with_code(request, address, self._secret)
            told = self._renders.render(template, document, data, address, url)
        except InputError:
            return _withheld(one, "not_rendered", subject_ref)
        hashed = self._suppressions.hash_of("address", address) if address else b""
        mapped = Mapped({"mail": told.mail, **told.payload} if told.mail is None else _seen(told.mail), told.fields)
        begin = self._beginning(one, SENT_MESSAGE, "", "", permit, mapped, hashed)
        outgoing = Outgoing(
            one.key, SENT_MESSAGE, one.key, template.template, told.payload, request.asked_at, told.mail, one.is_again
        )
        return Going(begin, outgoing)

    def _now_called(self, profile_id: str) -> str:
        found = find_membership(self._reading, profile_id)
        return found.profile_id if found is not None else ""

    # -- events

    def _event(self, one: Delivery, destination: Destination) -> Going | Stop:
        if destination.retired:
            return _withheld(one, "retired")
        row = self._rows.get(one.position)
        if row is None or row.body is None:
            return _withheld(one, "forgotten")
        leave = self.leave_for(destination.purpose, CHANNELS[destination.kind], destination.party)
        who = leave.whose(row)
        membership = leave.find(who) if who is not None else None
        if membership is None:
            return _withheld(one, "nobody")
        permit = leave.of(membership)
        if isinstance(permit, Refusal):
            return _withheld(one, permit.reason, membership.profile_id)
        scope = permit.scope
        told = event_document(row, scope, epoch=self._epoch) if reaches(row, scope) else None
        if told is None:
            reason = "too_old" if row.position <= scope.kept_after else "not_reached"
            return _withheld(one, reason, membership.profile_id)
        document = get_document(self._reading, membership, permit, epoch=self._epoch)
        event = {**told, "at": told["event_at"], "key": one.record_key}
        mapped = map_fields(destination, document, event)
        begin = self._beginning(one, SENT_EVENT, one.record_key, EVENT_RECORD, permit, mapped)
        outgoing = Outgoing(
            one.key, SENT_EVENT, one.record_key, told["name"] or told["type"], mapped.payload, row.event_at,
            is_again=one.is_again,
        )  # fmt: skip
        return Going(begin, outgoing)

    # -- records

    def _record(self, one: Delivery, destination: Destination) -> Going | Stop:
        judged = self._record_now(one, destination)
        if one.n_attempts and isinstance(judged, Going):
            # A recipient that compares keys would take no notice of something else under a key that it knows.
            last = self._queue.history.find_last_left(one.delivery_id)
            if last is not None and (last.what, last.payload_hash) != (judged.begin.what, judged.begin.payload_hash):
                return Stop(one, UNCHANGED, SUPERSEDED, judged.begin.subject_ref)
        return judged

    def _record_now(self, one: Delivery, destination: Destination) -> Going | Stop:
        held = self._queue.copies.find(one.destination, one.record_key)
        is_there = held is not None and held.state not in ("", REMOVED)
        # Of whom nobody is named any more was erased: what is there goes, whoever has the id now.
        is_erased = held is not None and is_there and not held.subject_ref
        wanted = "retired" if destination.retired else "forgotten" if is_erased else self.wanted(destination, one)
        if not isinstance(wanted, tuple):
            code = wanted
            if not is_there:
                return Stop(one, WITHHELD, code, held.subject_ref if held is not None else "")
            subject_ref = held.subject_ref if held is not None else ""
            left = self._left(destination, one.record_key) if code == "not_a_member" else None
            said = Mapped(left, ()).hash(self._secret) if left is not None else b""
            begin = Beginning(
                one, REMOVE, one.record_key, held.kind if held is not None else "", subject_ref, (), said, "", None,
                self._epoch, None,
            )  # fmt: skip
            outgoing = Outgoing(one.key, REMOVE, one.record_key, "", {}, self._queue.now(), membership=left)
            return Going(begin, outgoing)
        permit, mapped = wanted
        belongs = self._belongs(destination, one.record_key)
        payload = mapped.payload
        if belongs is not None:
            fields = tuple(sorted({*mapped.fields, f"audiences.{destination.audience}"}))
            mapped = Mapped({"fields": payload, "membership": belongs}, fields)
        if held is not None and held.kind == EVENT_RECORD:
            return Stop(one, UNCHANGED, "unchanged", permit.profile_id, until_at=permit.until)
        if (
            held is not None
            and held.state in (ACKNOWLEDGED, REJECTED)
            and held.payload_hash == mapped.hash(self._secret)
        ):
            return Stop(one, UNCHANGED, "unchanged", permit.profile_id, until_at=permit.until)
        begin = self._beginning(one, UPSERT, one.record_key, PEOPLE_RECORD, permit, mapped)
        return Going(
            begin,
            Outgoing(
                one.key, UPSERT, one.record_key, "", payload, self._queue.now(),
                is_again=one.is_again, membership=belongs,
            ),
        )  # fmt: skip

    def _belongs(self, destination: Destination, who: str) -> dict[str, Any] | None:
        """Give what a webhook is told of somebody's place in its audience; None: it has none, or is no webhook."""
        member = self._memberships.find_member(destination.audience, self._told_of(destination, who))
        if member is None:
            return None
        return {"audience": destination.audience, "since": rfc3339(member.since_at), "cause": member.cause}

    def _left(self, destination: Destination, who: str) -> dict[str, Any] | None:
        """Give what a webhook is told of somebody who left its audience."""
        change = self._memberships.find_exit(destination.audience, self._told_of(destination, who))
        if change is None:
            return None
        return {
            "audience": destination.audience,
            "since": rfc3339(change.since_at),
            "until": rfc3339(change.at),
            "cause": change.cause,
        }

    def _told_of(self, destination: Destination, who: str) -> list[int]:
        """Give the roots by which an audience knows somebody; none for a destination that is not told of members."""
        if not destination.audience or destination.kind != "webhook":
            return []
        membership = find_membership(self._reading, who)
        return _roots(membership) if membership is not None else []

    def may_have(self, destination: Destination, membership: Membership) -> bool:
        """Say whether a destination may be told of a person at all."""
        leave = self.leave_for(destination.purpose, CHANNELS[destination.kind], destination.party)
        return isinstance(leave.of(membership), Permit)

    def wanted(self, destination: Destination, one: Delivery) -> tuple[Permit, Mapped] | str:
        """Say what a destination should have under a record: leave and values, or the reason why nothing."""
        leave = self.leave_for(destination.purpose, CHANNELS[destination.kind], destination.party)
        if destination.send == "events":
            row = self._rows.get(one.position)
            who = leave.whose(row) if row is not None and row.body is not None else None
            membership = leave.find(who) if who is not None else None
            permit = leave.of(membership) if membership is not None else None
            if isinstance(permit, Refusal):
                return permit.reason
            if permit is None or row is None or not reaches(row, permit.scope):
                return "forgotten"
            return permit, Mapped({}, ())
        membership = find_membership(self._reading, one.record_key)
        if membership is None:
            return "nobody"
        if membership.profile_id != one.record_key:
            return "moved"  # they are somebody else's now, who has a record of their own
        if all(member.rank >= DEVICE_RANK for member in membership.identifiers):
            return "nobody"  # a device that nobody is known to hold
        told = leave.of(membership)
        if isinstance(told, Refusal):
            return told.reason
        if destination.audience and not self._memberships.is_member(destination.audience, _roots(membership)):
            return "not_a_member"
        document = get_document(self._reading, membership, told, epoch=self._epoch)
        return told, map_fields(destination, document, None)

    def _beginning(
        self,
        one: Delivery,
        what: str,
        record_key: str,
        record_kind: str,
        permit: Permit,
        mapped: Mapped,
        address_hash: bytes = b"",
    ) -> Beginning:
        return Beginning(
            one,
            what,
            record_key,
            record_kind,
            permit.profile_id,
            mapped.fields,
            mapped.hash(self._secret),
            permit.scope.basis,
            permit.record,
            permit.scope.position,
            permit.until,
            address_hash,
        )


def _roots(membership: Membership) -> list[int]:
    return [one.identifier_id for one in membership.identifiers]


def _heard_at(subject: Subject, record: int | None) -> int | None:
    """Say when the statement was heard on which leave rests."""
    told = (one for said in subject.statements.values() for one in said if one.position == record)
    return max((one.received_at for one in told), default=None)


def _seen(mail: Mail) -> dict[str, Any]:
    return mail._asdict()


def _withheld(one: Delivery, code: str, subject_ref: str = "") -> Stop:
    return Stop(one, WITHHELD, code, subject_ref)


def _address(request: Request, membership: Membership, document: Mapping[str, Any]) -> str:
    """Give the address that a message goes to: the one that was named, else the best that the person has."""
    held = {one.value for one in membership.identifiers if one.namespace == "email" and one.rank < DEVICE_RANK}
    if request.namespace == "email":
        return request.value if request.value in held else ""
    told = [one for one in document["identifiers"] if one["namespace"] == "email" and one["value"] in held]
    told.sort(key=lambda one: (one["trust"] == "verified", one["last_seen_at"]), reverse=True)
    return str(told[0]["value"]) if told else ""


def explain(code: str, consent: Mapping[str, str]) -> str:
    """Say in words why something did not leave."""
    return REASONS.get(code) or consent.get(code, "")


def judge_all(gate: LastGate, deliveries: Sequence[Delivery]) -> list[Going | Stop]:
    """Judge deliveries; one that cannot be judged is put off, the others go on."""
    found: list[Going | Stop] = []
    for one in deliveries:
        try:
            found.append(gate.judge(one))
        except TillitError as error:
            if error.retryable:
                raise
            found.append(_withheld(one, error.code))
    return found


def _is_about(one: Delivery, row: LogRow) -> bool:
    """Say whether a delivery came of a row: the log may have been restored, and its positions given anew."""
    key = key_of(one.destination, one.kind, row.message_hash)
    return key.hex() == one.record_key if one.kind == EVENT else key == one.delivery_key
