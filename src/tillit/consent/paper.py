"""On paper: what one person said of one purpose, as a consent record that anybody can read and check.

In:    the policy, a person's statements, when and for whom.
Out:   a `Record`, which `receipts/` writes as DPV-27560 or Kantara.
Never: a kind of consent that nobody told; a person named otherwise than by an address of ours.
"""

import uuid
from collections.abc import Sequence

from tillit.consent.policy import Declared, Party, Purpose
from tillit.consent.receipts import Indication, Notice, Process, Record, Right, is_defined
from tillit.consent.receipts import Party as RecordedParty
from tillit.consent.statements import Statement
from tillit.errors import InputError, NotFound

_STATES = {
    "given": "ConsentGiven",
    "renewed": "RenewedConsentGiven",
    "refused": "ConsentRefused",
    "withdrawn": "ConsentWithdrawn",
    "objected": "ConsentWithdrawn",
    "expired": "ConsentExpired",
    "revoked": "ConsentRevoked",
    "invalidated": "ConsentInvalidated",
    "requested": "ConsentRequested",
    "deferred": "ConsentRequestDeferred",
    "unknown": "ConsentUnknown",
}
_BASES = {
    "consent": "eu-gdpr:A6-1-a",
    "contract": "eu-gdpr:A6-1-b",
    "legal_obligation": "eu-gdpr:A6-1-c",
    "vital_interests": "eu-gdpr:A6-1-d",
    "public_task": "eu-gdpr:A6-1-e",
    "legitimate_interest": "eu-gdpr:A6-1-f",
}
_ROLES = {
    "controller": "dpv:DataController",
    "joint_controller": "dpv:JointDataControllers",
    "processor": "dpv:DataProcessor",
    "third_party": "dpv:ThirdParty",
}
# What a field is in the vocabulary; anything else is personal data of a kind that nobody named.
_DATA = {
    "identifiers.email": "pd:EmailAddress",
    "traits.email": "pd:EmailAddress",
    "identifiers.phone": "pd:TelephoneNumber",
    "traits.phone": "pd:TelephoneNumber",
    "traits.firstName": "pd:Name",
    "traits.lastName": "pd:Name",
    "traits.name": "pd:Name",
    "traits.birthday": "pd:BirthDate",
    "traits.address": "pd:PhysicalAddress",
    "identifiers": "pd:Identifier",
    "identifiers.user_id": "pd:AccountIdentifier",
    "events": "pd:PurchasesAndSpendingHabit",
    "groups": "pd:Household",
}
_ANY = "dpv:PersonalData"
_UNITS = {"day": "D", "week": "W", "month": "M", "year": "Y"}


class NothingToRecord(NotFound):
    """Nobody said anything of this purpose: there is nothing to put on paper."""

    code = "consent.nothing-to-record"

    def __init__(self) -> None:
        """Say so."""
        super().__init__("Nothing was said by or of this person about this purpose, so there is no record of it.")


class ControllerMissing(InputError):
    """A consent record names who is responsible, and the purposes declare nobody."""

    code = "consent.controller-missing"

    def __init__(self, what: str) -> None:
        """Say what is missing."""
        super().__init__(
            f"A consent record needs {what}. Declare `controller:` with name, address, contact, country and url (where "
            "a yes is taken back) beside the purposes."
        )


def record_of(
    declared: Declared, name: str, statements: Sequence[Statement], *, subject: str, workspace: str
) -> Record:
    """Make the record of what was said of one purpose.

    Shape:  subject: a profile id; workspace: what makes its record's id this one and no other's.
    Raises: NothingToRecord, ControllerMissing.
    """
    purpose = declared.purposes[name]
    about = {name, *(f"category:{one}" for one in purpose.categories)}
    told = sorted((one for one in statements if one.name in about), key=lambda one: (one.said_at, one.position))
    if not told:
        raise NothingToRecord
    controller = declared.policy.controller
    if controller is None:
        raise ControllerMissing("a controller")
    missing = [field for field in ("address", "contact", "url", "country") if not getattr(controller, field)]
    if missing:
        raise ControllerMissing(f"the controller's {', '.join(missing)}")
    person, ours = f"urn:tillit:subject:{subject}", _address("controller")
    recipients = {one: declared.policy.recipients[one] for one in purpose.recipients}
    notice = declared.policy.notices.get(purpose.notice)
    if notice is None:
        raise ControllerMissing(f"a notice of the purpose {name!r} (`notice:`)")
    notice_id = f"urn:tillit:notice:{purpose.notice}:{notice.version}"
    return Record(
        record_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{workspace}/{subject}/{name}")),
        subject_id=person,
        jurisdictions=(controller.country,),
        notices=(
            Notice(
                notice_id=notice_id,
                language=notice.language,
                shown_hash=notice.text_hash,
                effective_on=notice.effective_from[:10],
                url=notice.url or None,
            ),
        ),
        processes=(
            Process(
                name=name,
                purposes=(purpose.dpv if purpose.dpv and is_defined(purpose.dpv) else "dpv:Purpose",),
                personal_data=_data_of(purpose),
                legal_basis=_BASES[purpose.basis],
                controller_id=ours,
                storage_locations=(controller.country,),
                retention=_iso(purpose.retention),
                recipient_ids=tuple(_address(one) for one in recipients),
            ),
        ),
        entities=(_party(ours, controller), *(_party(_address(one), told) for one, told in recipients.items())),
        rights=(Right(term="eu-gdpr:A7-3", exercised_at=controller.url),),
        withdraw_at=controller.url,
        indications=tuple(
            Indication(
                state=_STATES[one.state],
                at=one.said_at,
                by=person if one.by == "self" else f"urn:tillit:by:{one.by}",
                method=one.method or None,
                duration=_iso(purpose.valid_for) if one.gives else None,
                notice_id=notice_id
                if one.notice in ("", purpose.notice, f"{purpose.notice}@{notice.version}")
                else None,
            )
            for one in told
            if one.state in _STATES
        ),
    )


def _address(name: str) -> str:
    return f"urn:tillit:party:{name}"


def _party(party_id: str, told: Party) -> RecordedParty:
    return RecordedParty(
        party_id=party_id,
        name=told.name,
        address=told.address or "not declared",
        contact=told.contact or "not declared",
        role=_ROLES["controller"] if party_id.endswith(":controller") else _ROLES[told.role],
        url=told.url,
    )


def _data_of(purpose: Purpose) -> tuple[str, ...]:
    if purpose.fields == "all":
        return (_ANY,)
    return tuple(dict.fromkeys(_DATA.get(one, _DATA.get(one.partition(".")[0], _ANY)) for one in purpose.fields))


def _iso(span: str) -> str | None:
    """Write `24 months` as ISO 8601 does; None for none.

    >>> _iso("24 months"), _iso("1 week"), _iso("")
    ('P24M', 'P1W', None)
    """
    if not span:
        return None
    n, unit = span.split()
    return f"P{n}{_UNITS[unit.removesuffix('s')]}"
