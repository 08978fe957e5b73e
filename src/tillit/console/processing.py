"""The record of processing (GDPR, article 30), made from what is in force.

In:    purposes, recipients and the controller as they were applied; what holds in this workspace.
Out:   a document: the parts that the article asks for, each from the live configuration.
Never: a part that nobody declared filled in by us: what is missing is named as missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tillit.consent import Declared, Party, Purpose
from tillit.privacy import UnknownRegime, regime_of

_PARTS = {
    "traits": "what the person or your systems said of them (traits)",
    "identifiers": "identifiers, such as an e-mail address or a customer number",
    "events": "what they did (events)",
    "groups": "households and accounts they belong to",
    "facts": "whether they are a minor or deceased, and who are their guardians",
    "notes": "notes of colleagues",
}


def record_of_processing(
    declared: Declared, *, made_at: str, applied: Mapping[str, Any], sources: Sequence[str], measures: Sequence[str]
) -> dict[str, Any]:
    """Write the record.

    Shape: {"made_at", "policy", "applied_at", "controller", "activities": [activity], "measures", "missing"}.
    """
    policy = declared.policy
    activities = [_activity(name, told, policy.recipients, sources) for name, told in declared.purposes.items()]
    return {
        "title": "Record of processing activities (Regulation (EU) 2016/679, article 30(1))",
        "made_at": made_at,
        "policy": declared.hash,
        "applied_at": applied["at"],
        "controller": _party(policy.controller) if policy.controller is not None else None,
        "activities": activities,
        "measures": list(measures),
        "missing": _missing(declared, activities),
    }


def _activity(name: str, told: Purpose, recipients: Mapping[str, Party], sources: Sequence[str]) -> dict[str, Any]:
    parts = dict.fromkeys(_PARTS if told.fields == "all" else (one.partition(".")[0] for one in told.fields))
    return {
        "name": name,
        "purpose": told.title,
        "description": told.description or None,
        "dpv": told.dpv or None,
        "lawful_basis": told.basis,
        "data_subjects": ["customers", "visitors"],
        "minors": told.minors,
        "data_categories": [_PARTS[part] for part in parts],
        "fields": "all" if told.fields == "all" else list(told.fields),
        "sources": list(sources),
        "channels": list(told.channels),
        "recipients": [_party(recipients[one]) for one in told.recipients],
        "retention": told.retention or None,
        "consent_lasts": told.valid_for or None,
        "notice": told.notice or None,
        "elsewhere": {place: one.basis for place, one in told.jurisdictions.items() if one.basis is not None},
    }


def _party(one: Party) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "address": one.address or None,
        "contact": one.contact or None,
        "url": one.url or None,
        "country": one.country or None,
        "is_third_country": is_third_country(one.country) if one.country else None,
    }


def is_third_country(country: str) -> bool:
    """Say whether a country lies outside the European Economic Area.

    >>> is_third_country("SE"), is_third_country("US")
    (False, True)
    """
    try:
        return regime_of(country).name != "gdpr"
    except UnknownRegime:
        return True


def _missing(declared: Declared, activities: Sequence[Mapping[str, Any]]) -> list[str]:
    policy = declared.policy
    told = ["no purposes were declared: these are the two built-in ones"] if declared.is_built_in else []
    if policy.controller is None:
        told.append("the controller")
    elif not (policy.controller.address and policy.controller.contact):
        told.append("the controller's address and contact")
    told += [f"how long data is kept for {one['purpose']}" for one in activities if one["retention"] is None]
    told += [f"the country of {one.name}" for one in policy.recipients.values() if not one.country]
    return told
