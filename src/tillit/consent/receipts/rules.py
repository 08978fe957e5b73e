"""The rules of consent records: each has a name, looks for one thing, and says what to do.

In:    a document as bytes, as JSON and as statements.
Out:   the places that break a rule.
Never: a value of the document in an answer; two rules that look for the same thing.

Source: ISO/IEC TS 27560:2023 as the guide to DPV-27560 (final report of 15 February 2026) renders it: its tables of
mandatory fields, with the terms of DPV 2.3.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tillit.consent.receipts.graph import SIGNATURE, Graph, Literal, Reference, Thing
from tillit.consent.receipts.json_text import DEEPEST, LONGEST
from tillit.consent.receipts.signature import judge
from tillit.consent.receipts.terms import DCT, DPV, PROFILES, STATES, XSD, is_of_family, near, shorten
from tillit.consent.receipts.times import is_date, is_duration, is_instant

RECORD = f"{DPV}ConsentRecord"
RECEIPT = f"{DPV}ConsentReceipt"

# Properties that name a concept or a party: text in their place says nothing to a program.
CONCEPTS = frozenset(
    f"{DPV}{name}"
    for name in (
        "hasApplicableLaw hasAutomationLevel hasConsentControl hasConsentStatus hasDataController hasDataSource "
        "hasDataSubject hasEntity hasJurisdiction hasLegalBasis hasLocation hasNecessity hasNotice hasPersonalData "
        "hasProcess hasProcessing hasPurpose hasRecipient hasRecordOfActivity hasRight hasStorageCondition "
        "isIndicatedBy"
    ).split()
)
_DATED = frozenset(f"{DCT}{name}" for name in ("created", "date", "issued", "modified"))
_MOST_HINTS = 20  # comparing each word of a hostile file with 7,000 others takes minutes


class Place(NamedTuple):
    """Where a rule is broken, and what more can be said without telling a value."""

    path: str
    hint: str = ""


class Reading(NamedTuple):
    """A document in every form that a rule may look at."""

    n_bytes: int
    slips: Sequence[str]  # rules of text that the bytes broke
    document: dict[str, Any]
    graph: Graph
    key: bytes | None  # of whoever should have signed it

    def records(self) -> list[Thing]:
        """Give the consent records."""
        return [thing for _, thing in self.graph.typed(RECORD)]

    def receipts(self) -> list[Thing]:
        """Give the consent receipts."""
        return [thing for _, thing in self.graph.typed(RECEIPT)]

    def both(self) -> list[Thing]:
        """Give the records and the receipts."""
        return self.records() + self.receipts()

    def parts(self, name: str) -> list[Thing]:
        """Give what the records say under a property of DPV."""
        found: dict[object, Thing] = {}
        for record in self.records():
            for value in record.values(DPV + name):
                found[value.key if isinstance(value, Reference) else value.path] = self.graph.thing(value)
        return list(found.values())


Find = Callable[[Reading], Iterator[Place]]


class Rule(NamedTuple):
    """One thing that a record must have or must not have."""

    name: str
    why: str
    then: str
    find: Find


def _slip(name: str, why: str, then: str) -> Rule:
    def find(reading: Reading) -> Iterator[Place]:
        if name in reading.slips:
            yield Place("$")

    return Rule(name, why, then, find)


def _has(
    name: str,
    things: Callable[[Reading], list[Thing]],
    properties: Sequence[str],
    why: str,
    then: str,
    *,
    least: int = 1,
    most: int | None = None,
) -> Rule:
    """Ask for so many values of a property; blank text says nothing and does not count."""

    def find(reading: Reading) -> Iterator[Place]:
        for thing in things(reading):
            n_values = sum(
                isinstance(value, Reference) or bool(value.text.strip()) for value in thing.values(*properties)
            )
            if n_values < least or (most is not None and n_values > most):
                yield Place(thing.path)

    return Rule(name, why, then, find)


def _notices(reading: Reading) -> list[Thing]:
    return reading.parts("hasNotice")


def _processes(reading: Reading) -> list[Thing]:
    return reading.parts("hasProcess")


def _entities(reading: Reading) -> list[Thing]:
    return reading.parts("hasEntity")


def _statuses(reading: Reading) -> list[Thing]:
    return reading.parts("hasConsentStatus")


def _is_too_long(reading: Reading) -> Iterator[Place]:
    if reading.n_bytes > LONGEST:
        yield Place("$")


def _odd_form(reading: Reading) -> Iterator[Place]:
    yield from map(Place, reading.graph.form)


def _remote_context(reading: Reading) -> Iterator[Place]:
    yield from map(Place, reading.graph.remote)


def _undeclared(reading: Reading) -> Iterator[Place]:
    graph = reading.graph
    for one in graph.mentions:
        if one.iri is not None and one.iri.startswith("@"):
            continue
        known = one.iri is not None and (graph.is_declared(one.iri) if one.is_name else graph.is_address(one.iri))
        if not known:
            yield Place(one.path)


def _undefined(reading: Reading) -> Iterator[Place]:
    n_hints = 0
    for one in reading.graph.mentions:
        if one.iri is None or not is_of_family(one.iri) or shorten(one.iri) is not None:
            continue
        n_hints += 1
        meant = near(one.iri) if n_hints <= _MOST_HINTS else None
        yield Place(one.path, f"Did you mean {meant}?" if meant is not None else "")


def _written_out(reading: Reading) -> Iterator[Place]:
    for thing in reading.graph.things.values():
        for name in thing.properties.keys() & CONCEPTS:
            yield from (Place(value.path) for value in thing.values(name) if isinstance(value, Literal))


def _unreadable_dates(reading: Reading) -> Iterator[Place]:
    for thing in reading.graph.things.values():
        for name, values in thing.properties.items():
            if name == f"{DPV}isIndicatedAtTime":
                continue  # has a rule of its own
            for value in values:
                if not isinstance(value, Literal):
                    continue
                if value.datatype == f"{XSD}dateTime":
                    is_good = is_instant(value.text)
                elif value.datatype == f"{XSD}date":
                    is_good = is_date(value.text)
                else:
                    is_good = name not in _DATED or is_date(value.text) or is_instant(value.text)
                if not is_good:
                    yield Place(value.path)


def _unreadable_durations(reading: Reading) -> Iterator[Place]:
    for thing in reading.graph.things.values():
        for value in thing.values(f"{DPV}hasDuration"):
            if isinstance(value, Literal) and not is_duration(value.text):
                yield Place(value.path)


def _no_record(reading: Reading) -> Iterator[Place]:
    if not reading.both():
        yield Place("$")


def _other_profile(reading: Reading) -> Iterator[Place]:
    for things, kind in ((reading.records(), "record"), (reading.receipts(), "receipt")):
        known = {f"{PROFILES}{kind}", f"{PROFILES}{kind}-eu-gdpr"}
        for thing in things:
            for value in thing.values(f"{DCT}conformsTo"):
                if (value.key if isinstance(value, Reference) else value.text) not in known:
                    yield Place(value.path)


def _no_withdrawal(reading: Reading) -> Iterator[Place]:
    for record in reading.records():
        controls = [reading.graph.thing(value) for value in record.values(f"{DPV}hasConsentControl")]
        if not any(
            f"{DPV}WithdrawConsent" in control.types and control.values(f"{DPV}isExercisedAt") for control in controls
        ):
            yield Place(record.path)


def _one_kind_of_storage(reading: Reading) -> Iterator[Place]:
    for process in _processes(reading):
        conditions = [reading.graph.thing(value) for value in process.values(f"{DPV}hasStorageCondition")]
        told = {
            kind
            for kind, name in (("StorageLocation", "hasLocation"), ("StorageDuration", "hasDuration"))
            for condition in conditions
            if DPV + kind in condition.types and condition.values(DPV + name)
        }
        if conditions and len(told) < 2:
            yield Place(process.path)


def _controller_not_told(reading: Reading) -> Iterator[Place]:
    for record in reading.records():
        told = {value.key for value in record.values(f"{DPV}hasEntity") if isinstance(value, Reference)}
        for value in record.values(f"{DPV}hasProcess"):
            for one in reading.graph.thing(value).values(f"{DPV}hasDataController"):
                if isinstance(one, Reference) and told and one.key not in told:
                    yield Place(one.path)


def _states(thing: Thing) -> int:
    return sum(DPV + state in thing.types for state in STATES)


def _no_state(reading: Reading) -> Iterator[Place]:
    yield from (Place(one.path) for one in _statuses(reading) if _states(one) == 0)


def _many_states(reading: Reading) -> Iterator[Place]:
    yield from (Place(one.path) for one in _statuses(reading) if _states(one) > 1)


def _indicated(reading: Reading) -> Iterator[Literal | Reference]:
    for one in _statuses(reading):
        yield from one.values(f"{DPV}isIndicatedAtTime")


def _untyped_time(reading: Reading) -> Iterator[Place]:
    for value in _indicated(reading):
        if not isinstance(value, Literal) or value.datatype != f"{XSD}dateTime":
            yield Place(value.path)


def _unreadable_time(reading: Reading) -> Iterator[Place]:
    for value in _indicated(reading):
        if isinstance(value, Literal) and not is_instant(value.text):
            yield Place(value.path)


def _receipt_of_nothing(reading: Reading) -> Iterator[Place]:
    records = {key for key, _ in reading.graph.typed(RECORD)}
    for receipt in reading.receipts():
        held = receipt.values(f"{DPV}hasRecordOfActivity")
        if not held or any(not isinstance(one, Reference) or one.key not in records for one in held):
            yield Place(receipt.path)


def _signatures(reading: Reading) -> list[Literal | Reference]:
    root = reading.graph.things.get(reading.graph.root)
    return root.properties.get(SIGNATURE, []) if root is not None else []


def _unsigned(reading: Reading) -> Iterator[Place]:
    if reading.key is not None and not _signatures(reading):
        yield Place("$")


def _inner_signature(reading: Reading) -> Iterator[Place]:
    for key, thing in reading.graph.things.items():
        if key != reading.graph.root and SIGNATURE in thing.properties:
            yield Place(thing.path)


def _judged(name: str, why: str, then: str) -> Rule:
    def find(reading: Reading) -> Iterator[Place]:
        given = _signatures(reading)
        if not given:
            return
        one = given[0]
        if len(given) > 1 or not isinstance(one, Literal):
            verdict = "signature.form"
        else:
            members = reading.graph.signature_members
            verdict = judge(one.text, reading.document, without=members, key=reading.key)
        if verdict == name:
            yield Place("$.tillit:signature")

    return Rule(name, why, then, find)


def _dpv(*names: str) -> list[str]:
    return [DPV + name for name in names]


# The checker's whole knowledge. A test takes each one out and sees what it alone refused go through.
RULES: tuple[Rule, ...] = (
    # the text
    Rule(
        "json.length",
        f"The file is longer than {LONGEST:,} bytes.",
        "Write one receipt for each person, and fewer records in each.",
        _is_too_long,
    ),
    _slip("json.encoding", "The file is not UTF-8.", "Save it as UTF-8."),
    _slip(
        "json.duplicate-member",
        "An object has two members of one name, and a program keeps only one of them.",
        "Write one member with an array.",
    ),
    _slip("json.number", "A number is not finite, so other programs cannot read it.", "Write it as text."),
    _slip("json.depth", f"Objects lie more than {DEEPEST} deep.", "Name a thing by its @id and describe it once."),
    _slip("json.character", "Text holds half a character.", "Write the whole character, or leave it out."),
    # the form
    Rule(
        "form.supported",
        "This is a form of JSON-LD that consent records do not need and this checker does not read.",
        "Write plain members, @id, @type and @value, with one @context at the top.",
        _odd_form,
    ),
    Rule(
        "form.own-context",
        "A context lies elsewhere: what the record says would change with that page.",
        "Write the prefixes into the record's own @context.",
        _remote_context,
    ),
    Rule(
        "term.declared",
        "A name or an address belongs to no vocabulary that the record's @context declares.",
        "Declare its prefix, or write the address in full with http, https, urn or did.",
        _undeclared,
    ),
    Rule(
        "term.defined",
        "DPV 2.3 does not define this term, or it belongs to a part of DPV that consent records do not use.",
        "Use a defined term, or one of your own under a prefix of your own.",
        _undefined,
    ),
    Rule(
        "term.reference",
        "A concept or a party is written as text, so no program can follow it.",
        'Write {"@id": ...}, or declare the property with "@type": "@id" in the @context.',
        _written_out,
    ),
    Rule(
        "time.date",
        "A date cannot be read.",
        "Write a day as 2026-01-31, or an instant as 2026-01-31T10:00:00Z.",
        _unreadable_dates,
    ),
    Rule(
        "time.duration",
        "A length of time cannot be read.",
        'Write it as ISO 8601 does, such as P24M, or as {"@id": "dpv:IndeterminateDuration"}.',
        _unreadable_durations,
    ),
    # the record
    Rule(
        "record.type",
        "There is no consent record and no consent receipt here.",
        "Give the outermost object the @type dpv:ConsentRecord or dpv:ConsentReceipt.",
        _no_record,
    ),
    _has(
        "record.conforms-to",
        Reading.both,
        [f"{DCT}conformsTo"],
        "The profile is not named, or more than one is.",
        "Write one dct:conformsTo.",
        most=1,
    ),
    Rule(
        "record.profile",
        "The profile is none of DPV-27560, or one for the other kind of document.",
        "Name https://w3id.org/dpv/schema/dpv-27560# with record, record-eu-gdpr, receipt or receipt-eu-gdpr.",
        _other_profile,
    ),
    _has(
        "record.identifier",
        Reading.both,
        [f"{DPV}hasIdentifier", f"{DCT}identifier"],
        "It has no identifier.",
        "Write dpv:hasIdentifier and dct:identifier; a UUID is advised.",
    ),
    _has(
        "record.data-subject",
        Reading.records,
        _dpv("hasDataSubject"),
        "It is not about exactly one person.",
        "Write one dpv:hasDataSubject.",
        most=1,
    ),
    _has(
        "record.jurisdiction",
        Reading.records,
        _dpv("hasJurisdiction"),
        "It does not say under which jurisdiction.",
        "Write dpv:hasJurisdiction, such as loc:DE.",
    ),
    _has(
        "record.notice",
        Reading.records,
        _dpv("hasNotice"),
        "It does not say which notice the person saw.",
        "Write dpv:hasNotice.",
    ),
    _has(
        "record.process",
        Reading.records,
        _dpv("hasProcess"),
        "It does not say what is done.",
        "Write dpv:hasProcess.",
    ),
    Rule(
        "record.withdrawal",
        "It does not say how consent is withdrawn.",
        "Write dpv:hasConsentControl with a dpv:WithdrawConsent and its dpv:isExercisedAt.",
        _no_withdrawal,
    ),
    _has(
        "record.right",
        Reading.records,
        _dpv("hasRight"),
        "It names no right of the person.",
        "Write dpv:hasRight.",
    ),
    _has(
        "record.entity",
        Reading.records,
        _dpv("hasEntity"),
        "It describes no party.",
        "Write dpv:hasEntity with the controller.",
    ),
    _has(
        "record.status",
        Reading.records,
        _dpv("hasConsentStatus"),
        "It says nothing of what the person decided.",
        "Write dpv:hasConsentStatus.",
    ),
    _has(
        "notice.language",
        _notices,
        [f"{DCT}language"],
        "A notice does not say its language.",
        "Write dct:language, such as de.",
    ),
    _has(
        "process.purpose",
        _processes,
        _dpv("hasPurpose"),
        "A process has no purpose.",
        "Write dpv:hasPurpose.",
    ),
    _has(
        "process.personal-data",
        _processes,
        _dpv("hasPersonalData"),
        "A process does not say which data it uses.",
        "Write dpv:hasPersonalData.",
    ),
    _has(
        "process.controller",
        _processes,
        _dpv("hasDataController"),
        "A process has no controller.",
        "Write dpv:hasDataController.",
    ),
    _has(
        "process.legal-basis",
        _processes,
        _dpv("hasLegalBasis"),
        "A process has no legal basis.",
        "Write dpv:hasLegalBasis, such as eu-gdpr:A6-1-a.",
    ),
    _has(
        "process.recipient",
        _processes,
        _dpv("hasRecipient"),
        "A process does not say who receives the data.",
        "Write dpv:hasRecipient; name the controller when it is nobody else.",
    ),
    _has(
        "process.storage",
        _processes,
        _dpv("hasStorageCondition"),
        "A process has fewer than two conditions of storage.",
        "Write one dpv:hasStorageCondition for where and one for how long.",
        least=2,
    ),
    Rule(
        "process.storage-kinds",
        "The conditions of storage do not tell both where and how long.",
        "Write a dpv:StorageLocation with dpv:hasLocation and a dpv:StorageDuration with dpv:hasDuration.",
        _one_kind_of_storage,
    ),
    Rule(
        "entity.controller",
        "A controller is named and not described, so the person cannot reach them.",
        "List the controller under the record's dpv:hasEntity.",
        _controller_not_told,
    ),
    _has("entity.name", _entities, _dpv("hasName"), "A party has no name.", "Write dpv:hasName."),
    _has(
        "entity.identifier", _entities, _dpv("hasIdentifier"), "A party has no identifier.", "Write dpv:hasIdentifier."
    ),
    _has("entity.address", _entities, _dpv("hasAddress"), "A party has no address.", "Write dpv:hasAddress."),
    _has("entity.contact", _entities, _dpv("hasContact"), "A party cannot be reached.", "Write dpv:hasContact."),
    Rule(
        "status.state",
        "A decision is none of the ten states of consent.",
        "Give it one of these types: " + ", ".join(f"dpv:{state}" for state in STATES) + ".",
        _no_state,
    ),
    Rule(
        "status.one-state",
        "A decision is in two states at once.",
        "Write one dpv:hasConsentStatus for each state, with its own time.",
        _many_states,
    ),
    _has(
        "status.time",
        _statuses,
        _dpv("isIndicatedAtTime"),
        "A decision does not say when, or says two times.",
        "Write one dpv:isIndicatedAtTime.",
        most=1,
    ),
    Rule(
        "status.time-type",
        "The time of a decision is not marked as one.",
        'Write {"@type": "xsd:dateTime", "@value": "2026-01-31T10:00:00Z"}.',
        _untyped_time,
    ),
    Rule(
        "status.time-readable",
        "The time of a decision cannot be read, or has no zone.",
        "Write it as 2026-01-31T10:00:00Z.",
        _unreadable_time,
    ),
    _has(
        "status.by",
        _statuses,
        _dpv("isIndicatedBy"),
        "A decision does not say whose it is.",
        "Write dpv:isIndicatedBy.",
    ),
    _has(
        "status.duration",
        _statuses,
        _dpv("hasDuration"),
        "A decision does not say how long it holds.",
        "Write dpv:hasDuration.",
    ),
    # the receipt
    _has(
        "receipt.created",
        Reading.receipts,
        [f"{DCT}created"],
        "A receipt does not say when it was made, or says two times.",
        "Write one dct:created.",
        most=1,
    ),
    Rule(
        "receipt.records",
        "A receipt holds no consent record, or something else among them.",
        "Write dpv:hasRecordOfActivity with objects of the @type dpv:ConsentRecord.",
        _receipt_of_nothing,
    ),
    # the signature
    Rule(
        "signature.present",
        "A key was given, and the document has no signature.",
        "Ask whoever sent it for the signed one.",
        _unsigned,
    ),
    Rule(
        "signature.outermost",
        "There is a signature inside: it covers nothing that can be checked here.",
        "Take the inner document out and check it by itself.",
        _inner_signature,
    ),
    _judged(
        "signature.form",
        "The signature is not a detached JWS with Ed25519 that this checker knows.",
        "Sign the canonical form (RFC 8785) with alg EdDSA and typ consent-record+jws.",
    ),
    _judged(
        "signature.key",
        "There is no key to check the signature with.",
        "Give the public key of whoever signed it.",
    ),
    _judged(
        "signature.valid",
        "The signature does not fit: the document was changed, or another key signed it.",
        "Trust nothing in it, and ask whoever sent it for the original.",
    ),
)
