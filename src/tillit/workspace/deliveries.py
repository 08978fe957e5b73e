"""Deliveries: what leaves, for doors to ask for, look at, hold and try again.

In:    a template and whom it is for; destinations and templates to try and to apply; names of destinations.
Out:   requests in the log; what would leave, and for whom; a courier. What became of each: `messages`.
Never: a send of its own: what is asked for here leaves through the outbox, the courier and the last gate.
"""

import difflib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

from tillit.consent import REASONS as CONSENT_REASONS
from tillit.consent import Purpose, policy_in_force
from tillit.deliver import (
    DESTINATION,
    EVENT,
    MESSAGE,
    RECORD,
    TEMPLATE,
    Applied,
    AskedMessages,
    Checked,
    DefinitionInvalid,
    Definitions,
    Destination,
    Going,
    Outgoing,
    Queue,
    Request,
    RequestInvalid,
    Stop,
    Suppressions,
    Template,
    asking,
    definition_row,
    key_of,
    list_applied,
    reached_fields,
    read_destination,
    read_template,
    request_row,
)
from tillit.deliver.late import load_courier, load_templates
from tillit.deliver.suppression import ADDRESS, DOMAIN, ERASED, PERSON
from tillit.errors import InputError, NotFound
from tillit.identity import DEVICE_RANK, Handle, find_membership, rules_in_force
from tillit.ledger import Ledger
from tillit.records import KIND_EVENT, Membership, NewRow, Scope, read_yaml
from tillit.store import Log, Reading, SqliteState, State
from tillit.workspace.audiences import Audiences
from tillit.workspace.consent import Consent
from tillit.workspace.delivery_views import DeliveryViews
from tillit.workspace.feedback import Feedbacks
from tillit.workspace.folding import Folding
from tillit.workspace.gate import LastGate, Renders, explain
from tillit.workspace.leave import Leave
from tillit.workspace.ledger import subjects_of
from tillit.workspace.origin import WorkspaceOrigin
from tillit.workspace.outside import Outside
from tillit.workspace.people import find_membership_of, iter_people, sample_people, unknown_profile
from tillit.workspace.verifications import Verifications

_APPLY_S = 5.0
_SAMPLED = 20  # people that are looked at for each case that is shown
_LOOKED_BACK = 2_000  # log rows in which a plan looks for events that would be forwarded
BY_COLLEAGUE = "operator"  # why a destination is paused, when no answer was the reason


class UnknownTemplate(InputError):
    """A template was named that is not applied."""

    code = "deliver.unknown-template"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        """Name those there are."""
        listed = ", ".join(known) or "none yet"
        super().__init__(f"There is no template {name[:63]!r}. Applied are: {listed}.")


class UnknownDestination(NotFound):
    """A destination was named that is not applied."""

    code = "deliver.unknown-destination"

    def __init__(self, known: Sequence[str]) -> None:
        """Name those there are."""
        listed = ", ".join(known) or "none yet"
        super().__init__(f"There is no destination of that name. Applied are: {listed}.")


class OtherPurpose(InputError):
    """A message was asked for under another purpose than its template has."""

    code = "deliver.other-purpose"

    def __init__(self, asked: str, purpose: str) -> None:
        """Name both."""
        super().__init__(
            f"The template is for the purpose {purpose!r}, not {asked[:63]!r}. Ask for it under its own, or choose "
            "another template.",
            purpose=purpose,
        )


class NothingBefore(InputError):
    """A definition is to go back to what was before, and nothing was."""

    code = "deliver.nothing-before"

    def __init__(self, kind: str, name: str) -> None:
        """Say what to do instead."""
        super().__init__(
            f"The {kind} {name!r} was applied once at most: nothing was before. A destination that says "
            "`retired: true` takes everybody back; a template that nobody asks for sends nothing."
        )


class SuppressionInvalid(InputError):
    """What is to come onto the suppression list cannot be read."""

    code = "deliver.suppression-invalid"

    def __init__(self) -> None:
        """Say how it is written."""
        super().__init__(
            "Whom nothing is to be sent to is written address:NAME@HOST, domain:HOST, or as an identifier of a person."
        )


class Asked(NamedTuple):
    """A message that was asked for."""

    key: str  # of the message: by it what became of it is found
    position: int  # of the request in the log
    is_repeat: bool  # the same was asked for before under this key: nothing new comes of it


class DryRun(NamedTuple):
    """What would leave for one person, or why it would not."""

    subject_ref: str
    outgoing: Outgoing | None
    fields: tuple[str, ...]
    code: str
    words: str


class Deliveries:
    """What leaves a workspace."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        store: SqliteState,
        *,
        scope: Callable[..., Scope],
        leave: Callable[[Reading, Scope], Leave],
        ledger: Ledger,
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        outside: Outside,
        consent: Consent,
        audiences: Audiences,
        lease_s: float,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask."""
        self._log = log
        self._state = state
        self._folding = folding
        self._append = append
        self._audiences = audiences
        self._outside = outside
        self._lease_s = lease_s
        self._now = now
        self.queue = queue_of(store, now=now)
        self.queue.start(log.epoch(), log.head())
        self.suppressions = Suppressions(store, secret=outside.hash_secret)
        self.asked = AskedMessages(store, secret=outside.hash_secret, now=now)
        self.renders = Renders(outside.unsubscribe_url, self._sender_of)
        self.feedback = Feedbacks(
            state,
            folding,
            self.queue,
            self.suppressions,
            find_destination=lambda name: self.definitions().destination(name),
            consent=consent,
            secrets=outside.secrets,
            append=append,
            link_secret=outside.link_secret,
            now=now,
        )
        self.origin = WorkspaceOrigin(
            log,
            state,
            folding,
            self.queue,
            self.suppressions,
            self.renders,
            scope=scope,
            leave=leave,
            ledger=ledger,
            append=append,
            open_wire=outside.open_wire,
            refused=self.feedback.refused,
            secret=outside.hash_secret,
            memberships=audiences.memberships,
            now=now,
        )
        self.views = DeliveryViews(state, folding, self.queue, self.origin, ledger)
        self._scope = scope
        self.verifications = Verifications(
            state,
            folding,
            self.queue,
            self.suppressions,
            send=self.send,
            find_template=lambda name: self.definitions().template(name),
            append=append,
            secret=outside.hash_secret,
            epoch=log.epoch,
            now=now,
        )

    def _sender_of(self, name: str) -> str:
        return str(self.destination(name).to.get("sender", ""))

    # -- definitions

    def definitions(self) -> Definitions:
        """Give the destinations and templates in force."""
        return self.origin.definitions()

    def destination(self, name: str) -> Destination:
        """Give a destination. Raises UnknownDestination."""
        told = self.definitions()
        found = told.destination(name)
        if found is None:
            raise UnknownDestination(sorted(told.destinations))
        return found

    def history(self, kind: str, name: str = "") -> list[Applied]:
        """Give every definition of a kind that was applied, newest first."""
        return list_applied(self._state, kind, name)

    def before_last(self, kind: str, name: str) -> str:
        """Give the text of a definition before the one in force. Raises NothingBefore."""
        told = self.history(kind, name)
        if len(told) < 2:
            raise NothingBefore(kind, name)
        return told[1].text

    def judge(self, text: str, planned: Mapping[str, Destination] | None = None) -> Destination | Template:
        """Read a destination or a template, and hold it against purposes, the outside and each other.

        `planned`: destinations that are to be applied before it.
        Raises: DefinitionInvalid, OutwardInvalid.
        """
        told = read_yaml(text)
        if isinstance(told, dict) and TEMPLATE in told:
            return self._judge_template(read_template(text), planned or {})
        return self._judge_destination(read_destination(text))

    def _judge_template(self, template: Template, planned: Mapping[str, Destination]) -> Template:
        where = f"Template {template.template!r}"
        purpose = self._hold_purpose(where, template.purpose, self.renders.needed(template))
        if purpose.basis == "consent" and template.message_class != "marketing":
            raise DefinitionInvalid(
                where,
                f"the purpose {template.purpose!r} rests on consent: whoever gets it may unsubscribe. Say "
                "`class: marketing`.",
            )
        named = template.destination
        destination = planned.get(named) or self.definitions().destination(named)
        if destination is None:
            raise DefinitionInvalid(where, f"there is no destination {template.destination!r}. Apply it first.")
        if destination.send != "messages" or (destination.kind == "email") == bool(template.body):
            raise DefinitionInvalid(
                where,
                f"the destination {template.destination!r} takes no such messages. E-mail wants a subject and a "
                "text, a webhook that says `send: messages` wants a `body`.",
            )
        if template.message_class == "marketing" and destination.kind == "email":
            if not load_templates().check_template(template).has_unsubscribe:
                raise DefinitionInvalid(where, "marketing shows a link to unsubscribe by: `{{ unsubscribe_url }}`.")
            # Without an address for the link it could never leave.
            self._outside.unsubscribe_url(asking(MESSAGE, template.destination, template.purpose), template)
        return template

    def _judge_destination(self, destination: Destination) -> Destination:
        where = f"Destination {destination.destination!r}"
        purpose = self._hold_purpose(where, destination.purpose, reached_fields(destination))
        if destination.party not in purpose.recipients:
            listed = ", ".join(purpose.recipients) or "none"
            raise DefinitionInvalid(
                where,
                f"the purpose {destination.purpose!r} does not declare the recipient {destination.party!r}. "
                f"It declares: {listed}. Add it below `recipients:` of the purposes, and to those of this purpose.",
            )
        if destination.audience:
            self._hold_audience(where, destination)
        self._outside.check(destination)
        return destination

    def _hold_audience(self, where: str, destination: Destination) -> None:
        """See that an audience is in force and has the destination's purpose. Raises DefinitionInvalid."""
        defined = self._audiences.definitions().audiences.get(destination.audience)
        if defined is None:
            raise DefinitionInvalid(where, f"there is no audience {destination.audience!r} in force. Apply it first.")
        if defined.audience.purpose != destination.purpose:
            raise DefinitionInvalid(
                where,
                f"the audience {destination.audience!r} is for the purpose {defined.audience.purpose!r}, and the "
                f"destination for {destination.purpose!r}. Members leave under their audience's purpose alone.",
            )

    def _hold_purpose(self, where: str, name: str, fields: Sequence[str]) -> Purpose:
        """Give a declared purpose that reaches these fields. Raises DefinitionInvalid."""
        declared = policy_in_force(self._state)
        purpose = declared.purposes.get(name)
        if purpose is None:
            listed = ", ".join(sorted(declared.purposes))
            raise DefinitionInvalid(where, f"the purpose {name!r} is not declared. Declared: {listed}.")
        scope = self._scope(name)
        beyond = [one for one in fields if not (scope.allows_some("events") if one == "events" else scope.allows(one))]
        if beyond:
            raise DefinitionInvalid(
                where, f"the purpose {name!r} does not reach {', '.join(beyond)}. Take them out, or declare them there."
            )
        return purpose

    def apply(self, text: str, *, reason: str, operator: str) -> Applied:
        """Put a destination or a template in force. Raises DefinitionInvalid."""
        told = self.judge(text)
        kind, name = (DESTINATION, told.destination) if isinstance(told, Destination) else (TEMPLATE, told.template)
        message_id = f"{kind}-{secrets.token_hex(8)}"
        row = definition_row(kind, name, text, operator=operator, reason=reason, message_id=message_id, now=self._now())
        _, last = self._append([row])
        self._folding.reach(last, _APPLY_S)
        return self.history(kind, name)[0]

    def _tally(self, destination: Destination, progress: Callable[[int, int], None]) -> Counter[str]:
        """Count everybody by the reason why they would not be in a destination; an empty one: they would."""
        told: Counter[str] = Counter()
        if destination.send != "people" or destination.retired:
            return told
        with self._state.snapshot() as reading:
            gate = self.origin.gate_at(reading, {}, Definitions({destination.destination: (0, destination)}, {}))
            for n_looked, of, membership in iter_people(reading):
                told[self._dry_record(gate, destination, membership).code] += 1
                if n_looked % 100 == 0:
                    progress(n_looked, of)
        return told

    def plan(
        self,
        text: str,
        *,
        n_cases: int = 5,
        planned: Mapping[str, Destination] | None = None,
        progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> dict[str, Any]:
        """Say what a destination or a template would change, and what would leave in sampled cases; change nothing.

        Shape:  {"kind", "name", "is_new", "diff", "purpose", "cases": [what would leave for one person]}; of a
                destination also {"recipient", "send", "fields", "people", "withheld": {reason: n}}, of a template
                {"destination", "class", "fields", "asks_for"}.
        Raises: DefinitionInvalid, OutwardInvalid.
        """
        told = self.judge(text, planned)
        kind, name = (DESTINATION, told.destination) if isinstance(told, Destination) else (TEMPLATE, told.template)
        before = next((one.text for one in self.history(kind, name)), None)
        lines = difflib.unified_diff(
            (before or "").splitlines(), text.splitlines(), "in force", "then", lineterm="", n=1
        )
        common = {
            "kind": kind,
            "name": name,
            "is_new": before is None,
            "diff": list(lines),
            "purpose": told.purpose,
        }
        if isinstance(told, Destination):
            tally = self._tally(told, progress)
            return {
                **common,
                "recipient": told.party,
                "send": told.send,
                "fields": told.fields,
                "people": tally.pop("", 0) if told.send == "people" else None,
                "withheld": {explain(code, CONSENT_REASONS) or code: n for code, n in tally.most_common()},
                "cases": [dry_document(one) for one in self._destination_cases(told, n_cases)],
            }
        destination = (planned or {}).get(told.destination) or self.destination(told.destination)
        return {
            **common,
            "destination": told.destination,
            "recipient": destination.party,
            "class": told.message_class,
            "fields": list(self.renders.needed(told)),
            "asks_for": list(self.renders.asks_for(told)),
            "cases": [dry_document(one) for one in self._template_cases(told, destination, n_cases)],
        }

    def _destination_cases(self, told: Destination, n_cases: int) -> list[DryRun]:
        definitions = Definitions({told.destination: (0, told)}, {})
        found: list[DryRun] = []
        with self._state.snapshot() as reading:
            if told.send == "people":
                gate = self.origin.gate_at(reading, {}, definitions)
                people = sample_people(reading, n_cases * _SAMPLED)
                found += [self._dry_record(gate, told, membership) for _, _, membership in people]
            elif told.send == "events":
                rows = self._log.read(max(self._log.head() - _LOOKED_BACK, 0), _LOOKED_BACK)
                named = [row for row in rows if row.kind == KIND_EVENT and _name_of(row.body) in told.events]
                every = [row for row in rows if row.kind == KIND_EVENT and _name_of(row.body)]
                wanted = (every if "*" in told.events else named)[-n_cases * _SAMPLED :]
                gate = self.origin.gate_at(reading, {row.position: row for row in wanted}, definitions)
                for row in reversed(wanted):
                    key = key_of(told.destination, EVENT, row.message_hash).hex()
                    one = asking(EVENT, told.destination, told.purpose, key, position=row.position)
                    found.append(_dry(gate.judge(one)))
        return _shown_first(found)[:n_cases]

    def _template_cases(self, told: Template, destination: Destination, n_cases: int) -> list[DryRun]:
        definitions = Definitions({destination.destination: (0, destination)}, {told.template: (0, told)})
        renders = Renders(self._outside.unsubscribe_url, lambda _: str(destination.to.get("sender", "")))
        data = {name: f"[{name}]" for name in renders.asks_for(told)}
        request = Request(0, self._now(), told.template, "", "", data, "", "")
        one = asking(MESSAGE, destination.destination, told.purpose, template=told.template)
        with self._state.snapshot() as reading:
            gate = self.origin.gate_at(reading, {}, definitions, renders)
            found = [
                _dry(gate.message_to(one, destination, told, request, membership))
                for _, _, membership in sample_people(reading, n_cases * _SAMPLED)
            ]
        return _shown_first(found)[:n_cases]

    async def check(self, destination: Destination) -> Checked:
        """Reach a destination, applied or not, without sending anybody's values. Raises TillitError, as opening it."""
        wire = self._outside.open_wire(destination)
        try:
            return await wire.check()
        finally:
            await wire.close()

    # -- holding, and trying again

    def pause(self, name: str, *, by: str) -> None:
        """Hold everything for a destination. Raises UnknownDestination."""
        self.queue.standings.pause(self.destination(name).destination, by=by, code=BY_COLLEAGUE)

    def resume(self, name: str) -> None:
        """Let a destination go on. Raises UnknownDestination."""
        self.queue.standings.resume(self.destination(name).destination)

    def replay(self, name: str, *, ids: Sequence[str] = (), code: str = "", is_dry: bool = False) -> int:
        """Let what did not arrive at a destination go once more, under its key; say how many. All is asked anew.

        `ids`: of deliveries, as they are listed; without any, all whose reason is `code`, or all. `is_dry`: only count.
        Raises: UnknownDestination.
        """
        destination = self.destination(name).destination
        found = [self.queue.history.find_by_key(_key_bytes(one)) for one in ids]
        numbers = [one.delivery_id for one in found if one is not None]
        if ids and not numbers:
            return 0
        return self.queue.replay(destination=destination, ids=numbers, code=code, is_dry=is_dry)

    # -- whom nothing is sent to

    def suppress(self, whom: str, reason: str, *, source: str, by: str, words: str = "", purpose: str = "") -> int:
        """Put `address:…`, `domain:…` or a person on the suppression list; give the number of the entry.

        Raises: UnknownReason, SuppressionInvalid; NotFound when nobody is known by an identifier.
        """
        named, _, value = whom.partition(":")
        kind = named if named in (ADDRESS, DOMAIN) else PERSON
        if kind != PERSON and (not value.strip() or ("@" in value) != (kind == ADDRESS)):
            raise SuppressionInvalid
        membership = find_membership_of(self._state, f"email:{value.strip()}" if kind == ADDRESS else whom)
        if kind == PERSON and membership is None:
            raise unknown_profile()
        subject_ref = membership.profile_id if membership is not None and kind != DOMAIN else ""
        return self.suppressions.add(
            kind,
            subject_ref if kind == PERSON else value,
            reason,
            source=source,
            at=self._now(),
            by=by,
            words=words,
            purpose=purpose,
            subject_ref=subject_ref,
        )

    def lift(self, number: int, *, by: str, words: str) -> None:
        """Take an entry off the suppression list; it stays to be seen. Raises NotSuppressed."""
        self.suppressions.lift(number, at=self._now(), by=by, words=words)

    # -- messages

    def send(
        self,
        template: str,
        who: str,
        data: Mapping[str, Any],
        *,
        purpose: str = "",
        key: str = "",
        asked_by: str = "process",
    ) -> Asked:
        """Ask for a message to whoever holds an identifier (`namespace:value`); the same `key` of `asked_by` asks once.

        Raises: UnknownTemplate, OtherPurpose, RequestInvalid; KeyReused when the key came with another message.
        """
        told = self.template(template, purpose)
        handle = _handle(self._state, who)
        membership = find_membership(self._state, handle)
        name = self.asked.name(asked_by, key)
        row = request_row(
            template,
            (handle.namespace, handle.value),
            data,
            of=membership.profile_id if membership is not None else "",
            asked_by=asked_by,
            message_id=f"request-{name.hex()}",
            now=self._now(),
        )
        delivery_key = key_of(told.destination, MESSAGE, row.message_hash)
        body = (template, handle.namespace, handle.value, dict(data))
        earlier = self.asked.note(name, body, delivery_key, template)
        if earlier is not None and earlier.position:
            return Asked(earlier.delivery_key.hex(), earlier.position, is_repeat=True)
        # Whoever noted it may have died before the log had it; the fold drops the second of two.
        first, _ = self._append([row])
        self.asked.place(name, first)
        is_repeat = earlier is not None
        return Asked((earlier.delivery_key if earlier else delivery_key).hex(), first, is_repeat=is_repeat)

    def try_out(self, template: str, who: str, data: Mapping[str, Any], *, purpose: str = "") -> DryRun:
        """Say what a message would be, to the last byte, or why it would not leave. Nothing is kept."""
        told = self.template(template, purpose)
        with self._state.snapshot() as reading:
            definitions = self.definitions()
            gate = self.origin.gate_at(reading, {}, definitions)
            handle = _handle(reading, who)
            membership = find_membership(reading, handle)
            if membership is None:
                return DryRun("", None, (), "nobody", explain("nobody", CONSENT_REASONS))
            request = Request(0, self._now(), template, handle.namespace, handle.value, dict(data), "", "")
            destination = self.destination(told.destination)
            one = asking(MESSAGE, told.destination, told.purpose, template=template)
            return _dry(gate.message_to(one, destination, told, request, membership))

    def try_record(self, destination: str, who: str) -> DryRun:
        """Say what a destination that follows people would be told of somebody, or why nothing. Nothing is kept."""
        told = self.destination(destination)
        with self._state.snapshot() as reading:
            gate = self.origin.gate_at(reading, {}, self.definitions())
            membership = find_membership_of(reading, who)
            if membership is None:
                return DryRun("", None, (), "nobody", explain("nobody", CONSENT_REASONS))
            return self._dry_record(gate, told, membership)

    def _dry_record(self, gate: LastGate, destination: Destination, membership: Membership) -> DryRun:
        one = asking(RECORD, destination.destination, destination.purpose, membership.profile_id)
        wanted = gate.wanted(destination, one)
        if not isinstance(wanted, tuple):
            return DryRun(membership.profile_id, None, (), wanted, explain(wanted, CONSENT_REASONS))
        permit, mapped = wanted
        outgoing = Outgoing(one.key, "upsert", one.record_key, "", mapped.payload, self._now())
        return DryRun(permit.profile_id, outgoing, mapped.fields, "", "")

    def template(self, name: str, purpose: str = "") -> Template:
        """Give a template. Raises UnknownTemplate; OtherPurpose when it is for another purpose than is named."""
        told = self.definitions()
        found = told.template(name)
        if found is None:
            raise UnknownTemplate(name, sorted(told.templates))
        if purpose and purpose != found.purpose:
            raise OtherPurpose(purpose, found.purpose)
        return found

    # -- at work

    def taken(self) -> int:
        """Say up to which log position couriers took what the outbox asks for."""
        return self.queue.taken(self.origin.ends)

    def courier(self, name: str, *, at_step: Callable[[str], None] = lambda _: None) -> Any:
        """Give a courier; `name` must be held by nobody else (a kernel lock)."""
        return load_courier()(self.queue, self.origin, name=name, lease_s=self._lease_s, at_step=at_step)

    def forget(self, membership: Membership) -> None:
        """Let go of what is kept about somebody who is being erased, and ask destinations to remove them."""
        subjects = subjects_of(membership)
        self.asked.forget(subjects)
        self.queue.forget(subjects)
        self.suppressions.forget(subjects)
        for one in membership.identifiers:
            if one.namespace == "email" and one.rank < DEVICE_RANK:
                # A list that is bought or restored may bring the address back; they did not.
                self.suppressions.add(ADDRESS, one.value, ERASED, source="erasure", at=self._now(), by="erasure")
        told = self.definitions()
        self.queue.copies.take_back(subjects, {name: one.purpose for name, (_, one) in told.destinations.items()})
        self.queue.store.scrub()


def queue_of(store: SqliteState, *, now: Callable[[], int]) -> Queue:
    """Open the queue alone."""
    return Queue(store, now=now, chance=Random())  # noqa: S311 -- it spreads tries, it protects nothing


def _handle(reading: Reading, who: str) -> Handle:
    handle = rules_in_force(reading).parse(who) if ":" in who else None
    if handle is None:
        raise RequestInvalid("`to` must be an identifier, as namespace:value.")
    return handle


def _dry(judged: Going | Stop) -> DryRun:
    if isinstance(judged, Stop):
        return DryRun(judged.subject_ref, None, (), judged.code, explain(judged.code, CONSENT_REASONS))
    return DryRun(judged.begin.subject_ref, judged.outgoing, judged.begin.fields, "", "")


def dry_document(one: DryRun) -> dict[str, Any]:
    """Write what would leave for one person, whole, or why nothing.

    Shape: {"profile_id", "leaves", "code", "reason", "fields", "mail", "payload"}; an e-mail has `mail`, all else
           `payload`.
    """
    outgoing = one.outgoing
    mail = outgoing.mail if outgoing is not None else None
    return {
        "profile_id": one.subject_ref or None,
        "leaves": outgoing is not None,
        "code": one.code or None,
        "reason": one.words or None,
        "fields": list(one.fields),
        "mail": mail._asdict() if mail is not None else None,
        "payload": dict(outgoing.payload) if outgoing is not None and mail is None else None,
    }


class _Named(msgspec.Struct):
    type: str = ""
    event: str = ""


def _name_of(body: bytes | None) -> str:
    """Name an event as a destination would; empty: it is none that is forwarded."""
    try:
        said = msgspec.json.decode(body or b"{}", type=_Named)
    except msgspec.MsgspecError:
        return ""
    return said.event if said.type == "track" else ""


def _shown_first(found: Sequence[DryRun]) -> list[DryRun]:
    """Give first those for whom something would leave."""
    return sorted(found, key=lambda one: one.outgoing is None)


def _key_bytes(told: str) -> bytes:
    try:
        return bytes.fromhex(told)
    except ValueError:
        return b""
