"""Write consent records and receipts as ISO/IEC TS 27560 asks for them: DPV-27560 in JSON-LD.

In:    what was asked and said, as plain values; terms of DPV by their short names, such as dpv:DirectMarketing.
Out:   a document that the checker of this package accepts.
Never: a kind of consent that was not told; a record that the checker would refuse; two members of one name.

What the guide to DPV-27560 writes against DPV 2.3 is put right: the ten states and `dpv:hasConsentStatus`, arrays
instead of repeated members, `dpv:hasIdentifier` beside `dct:identifier`, `dpv:hasAutomationLevel`,
`legal-eu:law-GDPR`.
Source: guide to DPV-27560, final report of 15 February 2026, tables of section 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tillit.clock import rfc3339
from tillit.consent.receipts.check import Fault, check_document
from tillit.consent.receipts.rules import CONCEPTS
from tillit.consent.receipts.signature import NAMESPACE
from tillit.consent.receipts.terms import DCT, PROFILES, SCHEMA, XSD, shorten, vocabularies
from tillit.errors import InputError

_ALWAYS = ("dpv", "pd", "loc", "eu-gdpr", "legal-eu")


class RecordIncomplete(InputError):
    """A consent record lacks something that ISO/IEC TS 27560 asks for, or names a term that DPV 2.3 does not have."""

    code = "consent.record-incomplete"

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Name the broken rules and their places."""
        self.faults = tuple(faults)
        told = "; ".join(str(fault) for fault in faults[:5])
        more = f" And {len(faults) - 5} more." if len(faults) > 5 else ""
        super().__init__(
            f"The consent record cannot be written as ISO/IEC TS 27560 asks: {told}.{more} "
            "Complete the purpose or the notice that it comes from.",
            rules=sorted({fault.rule for fault in faults}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody who decides over the data or receives it."""

    party_id: str  # an address, such as urn:tillit:party:acme or https://acme.example/
    name: str
    address: str
    contact: str  # how a person reaches them: an e-mail or a page
    role: str = "dpv:DataController"
    email: str = ""
    phone: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A version of a notice, as it was shown."""

    notice_id: str  # an address that holds the version, such as urn:tillit:notice:newsletter:3
    language: str  # BCP 47, such as de
    shown_hash: str  # sha256 of the words that were shown, in hex
    effective_on: str | None = None  # the day from which this version was shown
    coverage: str | None = None  # to what it applies, in words
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What is done with which data for one purpose."""

    name: str  # of the purpose, as the shop calls it
    purposes: tuple[str, ...]  # terms such as dpv:DirectMarketing
    personal_data: tuple[str, ...]  # terms such as pd:EmailAddress
    legal_basis: str  # a term such as eu-gdpr:A6-1-a
    controller_id: str  # the id of a party
    storage_locations: tuple[str, ...]  # codes of places, such as DE or US-CA
    retention: str | None  # ISO 8601, such as P24M; None when it ends with an event and not with a day
    recipient_ids: tuple[str, ...] = ()  # ids of parties; nobody: the controller alone
    processing: tuple[str, ...] = ("dpv:Collect", "dpv:Store", "dpv:Use")
    special_data: tuple[str, ...] = ()  # those of special categories
    necessity: str | None = None  # dpv:Required or dpv:Optional
    data_source: str | None = None  # such as dpv:DataSubjectDataSource
    automation: str | None = None  # such as dpv:FullAutomation
    deletion: str | None = None  # how it is deleted, in words
    service: str | None = None  # which service it is part of, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Indication:
    """What was decided once, by whom and how."""

    state: str  # one of STATES, such as ConsentGiven
    at: int  # UTC epoch microseconds
    by: str  # an address: of the person, a party, or whoever acted for them
    method: str | None = None  # such as "checkbox, /signup"
    duration: str | None = None  # ISO 8601; None: until another decision
    # Only when an act said nothing but yes. Without it no kind of consent is claimed: that would make up evidence.
    is_explicit: bool = False
    notice_id: str | None = None  # the notice that was on the screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A right of the person, and where it is used."""

    term: str  # such as eu-gdpr:A7-3
    exercised_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that one person was asked and said about some processes. Grain: one per person and subject of consent."""

    record_id: str  # a UUID
    subject_id: str  # an address that stands for the person: never an e-mail
    jurisdictions: tuple[str, ...]  # codes of places, such as DE
    notices: tuple[Notice, ...]
    processes: tuple[Process, ...]
    entities: tuple[Party, ...]  # every controller, and whom the shop wants to describe beside
    rights: tuple[Right, ...]
    withdraw_at: str  # a page or an address where a yes is taken back
    indications: tuple[Indication, ...]  # oldest first
    laws: tuple[str, ...] = ("legal-eu:law-GDPR",)
    is_gdpr: bool = True  # which profile it is to conform to
    version_of: str | None = None  # the UUID of the first record of this chain
    replaces: str | None = None  # the UUID of the record before this one


def write_record(told: Record) -> dict[str, Any]:
    """Write one record.

    Raises: RecordIncomplete.
    """
    body = _record(told)
    return _checked({"@context": _context(body), **body})


def write_receipt(
    records: Sequence[Record], *, receipt_id: str, created_at: int, is_gdpr: bool = True
) -> dict[str, Any]:
    """Write a receipt for the person: their records, and when it was made.

    Shape:  receipt_id: a UUID.
    Units:  created_at is UTC epoch microseconds.
    Raises: RecordIncomplete.
    """
    body = {
        "@id": f"urn:uuid:{receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": {"@id": f"{PROFILES}receipt{'-eu-gdpr' if is_gdpr else ''}"},
        "dct:identifier": receipt_id,
        "dpv:hasIdentifier": receipt_id,
        "dct:created": _instant(created_at),
        "dpv:hasRecordOfActivity": [_record(one) for one in records],
    }
    return _checked({"@context": _context(body), **body})


def _record(told: Record) -> dict[str, Any]:
    return _without_nothing(
        {
            "@id": f"urn:uuid:{told.record_id}",
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": {"@id": f"{PROFILES}record{'-eu-gdpr' if told.is_gdpr else ''}"},
            # The guide uses now one, now the other: whoever reads either finds it.
            "dct:identifier": told.record_id,
            "dpv:hasIdentifier": told.record_id,
            "dct:isVersionOf": _named(told.version_of),
            "dct:replaces": _named(told.replaces),
            "dpv:hasDataSubject": {"@id": told.subject_id, "@type": "dpv:DataSubject"},
            "dpv:hasJurisdiction": [f"loc:{place}" for place in told.jurisdictions],
            "dpv:hasApplicableLaw": list(told.laws),
            "dpv:hasNotice": [_notice(one) for one in told.notices],
            "dpv:hasProcess": [_process(one) for one in told.processes],
            "dpv:hasConsentControl": [{"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": told.withdraw_at}],
            "dpv:hasRight": [
                {"@type": ["dpv:DataSubjectRight", one.term], "dpv:isExercisedAt": one.exercised_at}
                for one in told.rights
            ],
            "dpv:hasEntity": [_party(one) for one in told.entities],
            "dpv:hasConsentStatus": [_indication(one) for one in told.indications],
        }
    )


def _notice(told: Notice) -> dict[str, Any]:
    return _without_nothing(
        {
            "@id": told.notice_id,
            "@type": "dpv:ConsentNotice",
            "dct:language": told.language,
            "dct:date": told.effective_on,
            "dct:coverage": told.coverage,
            "dct:identifier": f"sha256:{told.shown_hash}",
            "schema:url": told.url,
        }
    )


def _process(told: Process) -> dict[str, Any]:
    duration = told.retention if told.retention is not None else {"@id": "dpv:UntilEventDuration"}
    return _without_nothing(
        {
            "@type": "dpv:Process",
            "dct:title": told.name,
            "dpv:hasPurpose": list(told.purposes),
            "dpv:hasPersonalData": [*told.personal_data, *told.special_data],
            "dpv:hasProcessing": list(told.processing),
            "dpv:hasLegalBasis": told.legal_basis,
            "dpv:hasDataController": told.controller_id,
            "dpv:hasRecipient": list(told.recipient_ids or (told.controller_id,)),
            "dpv:hasStorageCondition": [
                {"@type": "dpv:StorageLocation", "dpv:hasLocation": [f"loc:{one}" for one in told.storage_locations]},
                {"@type": "dpv:StorageDuration", "dpv:hasDuration": duration},
                *([{"@type": "dpv:StorageDeletion", "dct:description": told.deletion}] if told.deletion else []),
            ],
            "dpv:hasNecessity": told.necessity,
            "dpv:hasDataSource": told.data_source,
            "dpv:hasAutomationLevel": told.automation,
            "schema:serviceType": told.service,
        }
    )


def _party(told: Party) -> dict[str, Any]:
    return _without_nothing(
        {
            "@id": told.party_id,
            "@type": told.role,
            "dpv:hasName": told.name,
            "dpv:hasIdentifier": told.party_id,
            "dpv:hasAddress": told.address,
            "dpv:hasContact": told.contact,
            "schema:email": told.email or None,
            "schema:telephone": told.phone or None,
            "schema:url": told.url or None,
        }
    )


def _indication(told: Indication) -> dict[str, Any]:
    state = f"dpv:{told.state}"
    return _without_nothing(
        {
            "@type": [state, "dpv:ExplicitlyExpressedConsent"] if told.is_explicit else state,
            "dpv:isIndicatedBy": told.by,
            "dpv:isIndicatedAtTime": _instant(told.at),
            "dpv:hasIndicationMethod": told.method,
            "dpv:hasDuration": told.duration if told.duration is not None else {"@id": "dpv:UntilEventDuration"},
            "dpv:hasNotice": {"@id": told.notice_id} if told.notice_id is not None else None,
        }
    )


def _instant(at: int) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": rfc3339(at)}


def _named(uuid: str | None) -> dict[str, str] | None:
    return {"@id": f"urn:uuid:{uuid}"} if uuid is not None else None


def _without_nothing(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def _context(body: Mapping[str, Any]) -> dict[str, Any]:
    """Declare every prefix that the document uses, and which properties name things."""
    held = vocabularies()
    used = {*_ALWAYS, *(_prefixes(body) & held.keys())}
    prefixes = {name: held[name].namespace for name in held if name in used}
    others = {"dct": DCT, "schema": SCHEMA, "tillit": NAMESPACE, "xsd": XSD}
    named = {term: {"@type": "@id"} for iri in sorted(CONCEPTS) if (term := shorten(iri)) is not None}
    return prefixes | others | named


def _prefixes(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_prefixes, value.values()))
    if isinstance(value, list):
        return set().union(*map(_prefixes, value))
    return {value.partition(":")[0]} if isinstance(value, str) else set()


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    if faults := check_document(document):
        raise RecordIncomplete(faults)
    return document
