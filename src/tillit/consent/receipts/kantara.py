"""The flat receipt that older systems read: Kantara Consent Receipt 1.1.

In:    a record, as for the export after ISO/IEC TS 27560.
Out:   one flat document.
Never: a receipt for a no: this form has no way to write one; EXPLICIT where nobody told so.

Source: field names as several public implementations write them; the schema in tests/data/consent is restated from
these, the official file was not at hand.
"""

from typing import Any

from tillit.clock import SECOND
from tillit.consent.receipts.export import Party, Process, Record
from tillit.consent.receipts.terms import VALID_STATES
from tillit.errors import InputError

VERSION = "KI-CR-v1.1.0"


class NoConsentToReceipt(InputError):
    """A Kantara receipt was asked for where no consent holds: it cannot tell a no from a yes."""

    code = "consent.no-consent-to-receipt"

    def __init__(self) -> None:
        """Say what to use instead."""
        super().__init__(
            "A Kantara receipt can only say yes, and the newest decision is none. "
            "Export the record as ISO/IEC TS 27560: that tells every state."
        )


def write_kantara(told: Record, *, collection_method: str) -> dict[str, Any]:
    """Write one record flat.

    Shape:  collection_method: in words, such as "web form".
    Raises: NoConsentToReceipt, when the newest decision is not a yes.
    """
    newest = max(told.indications, key=lambda one: one.at, default=None)
    if newest is None or newest.state not in VALID_STATES:
        raise NoConsentToReceipt
    parties = {party.party_id: party for party in told.entities}
    special = sorted({term for process in told.processes for term in process.special_data})
    controllers = dict.fromkeys(process.controller_id for process in told.processes)
    services: dict[str, list[dict[str, Any]]] = {}
    for number, process in enumerate(told.processes):
        purpose = _purpose(process, parties, told.withdraw_at, is_explicit=newest.is_explicit, is_first=number == 0)
        services.setdefault(process.service or process.name, []).append(purpose)
    return {
        "version": VERSION,
        "jurisdiction": ", ".join(told.jurisdictions),
        "consentTimestamp": newest.at // SECOND,  # whole seconds since 1970, as the form asks
        "collectionMethod": collection_method,
        "consentReceiptID": told.record_id,
        "language": told.notices[-1].language if told.notices else "",
        "piiPrincipalId": told.subject_id,
        "piiControllers": [_controller(parties[one]) for one in controllers if one in parties],
        "policyUrl": next((one.url for one in reversed(told.notices) if one.url), ""),
        "services": [{"service": name, "purposes": purposes} for name, purposes in services.items()],
        "sensitive": bool(special),
        "spiCat": special,
    }


def _controller(party: Party) -> dict[str, Any]:
    told: dict[str, Any] = {
        "piiController": party.name,
        "contact": party.contact,
        "address": {"streetAddress": party.address},
        "email": party.email,
        "phone": party.phone,
    }
    return told | ({"piiControllerUrl": party.url} if party.url else {})


def _purpose(
    process: Process, parties: dict[str, Party], withdraw_at: str, *, is_explicit: bool, is_first: bool
) -> dict[str, Any]:
    others = [one for one in process.recipient_ids if one != process.controller_id]
    told: dict[str, Any] = {
        "purpose": process.name,
        "purposeCategory": list(process.purposes),
        # The form knows only these two. IMPLICIT claims less, so it stands for everything that was not told.
        "consentType": "EXPLICIT" if is_explicit else "IMPLICIT",
        "piiCategory": [*process.personal_data, *process.special_data],
        "primaryPurpose": is_first,
        "termination": withdraw_at,
        "thirdPartyDisclosure": bool(others),
    }
    names = [parties[one].name if one in parties else one for one in others]
    return told | ({"thirdPartyName": ", ".join(names)} if names else {})
