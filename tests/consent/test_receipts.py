"""Consent records and receipts: what we write is sound, and says no more than was told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consent.paper import ACME, ANA, NEWSLETTER, NOON, document, records
from tillit.clock import SECOND
from tillit.consent.receipts import (
    STATES,
    VALID_STATES,
    Indication,
    NoConsentToReceipt,
    NotCanonical,
    Record,
    RecordIncomplete,
    canonical,
    check_document,
    check_record,
    is_defined,
    near,
    write_kantara,
    write_receipt,
    write_record,
)
from tillit.consent.receipts.terms import vocabularies
from tillit.consent.receipts.times import is_date, is_duration, is_instant

DATA = Path(__file__).parents[1] / "data" / "consent"
KANTARA = json.loads((DATA / "kantara-cr-1.1.schema.json").read_text(encoding="utf-8"))


def said(state: str, at: int = NOON, **more: Any) -> Indication:
    return Indication(state=state, at=at, by=ANA, **more)


@given(told=records())
def test_whatever_we_write_is_accepted(told: Record) -> None:
    written = json.dumps(write_record(told)).encode()

    assert check_record(written) == []


@given(told=st.lists(records(), min_size=1, max_size=2, unique_by=lambda one: one.record_id), is_gdpr=st.booleans())
def test_whatever_receipt_we_write_is_accepted(told: list[Record], *, is_gdpr: bool) -> None:
    receipt = write_receipt(told, receipt_id="2b3c5f6e-0a57-4a4c-8a0e-1f0f8f1b7f55", created_at=NOON, is_gdpr=is_gdpr)

    assert check_record(json.dumps(receipt).encode()) == []


def test_the_example_record_is_accepted() -> None:
    assert check_record((DATA / "example-record.jsonld").read_bytes()) == []


def test_a_record_says_what_was_told() -> None:
    record = document()

    assert record["@type"] == "dpv:ConsentRecord"
    assert record["dct:conformsTo"] == {"@id": "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"}
    assert record["dct:identifier"] == record["dpv:hasIdentifier"] == NEWSLETTER.record_id
    assert [one["dpv:hasPurpose"] for one in record["dpv:hasProcess"]] == [
        ["dpv:DirectMarketing"],
        ["dpv:ProvideProductRecommendations"],
    ]
    assert record["dpv:hasProcess"][1]["dpv:hasRecipient"] == [ACME.party_id]  # nobody else
    assert record["dpv:hasConsentStatus"] == [
        {
            "@type": "dpv:ConsentGiven",
            "dpv:isIndicatedBy": ANA,
            "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime", "@value": "2026-01-01T12:00:00Z"},
            "dpv:hasIndicationMethod": "checkbox, /signup",
            "dpv:hasDuration": "P24M",
        }
    ]


@pytest.mark.parametrize("state", STATES)
def test_explicit_consent_is_claimed_only_when_told(state: str) -> None:
    told = replace(NEWSLETTER, indications=(said(state), said(state, is_explicit=True)))

    types = [one["@type"] for one in write_record(told)["dpv:hasConsentStatus"]]

    assert types == [f"dpv:{state}", [f"dpv:{state}", "dpv:ExplicitlyExpressedConsent"]]


def test_versions_of_a_record_are_chained() -> None:
    first, before = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

    record = write_record(replace(NEWSLETTER, version_of=first, replaces=before))

    assert record["dct:isVersionOf"] == {"@id": f"urn:uuid:{first}"}
    assert record["dct:replaces"] == {"@id": f"urn:uuid:{before}"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"notices": ()}, "record.notice"),
        ({"processes": ()}, "record.process"),
        ({"entities": ()}, "record.entity"),
        ({"indications": ()}, "record.status"),
        ({"indications": (said("ConsentTerminated"),)}, "status.state"),
        ({"jurisdictions": ("Berlin",)}, "term.defined"),
        ({"subject_id": "ana@example.org"}, "term.declared"),
        ({"processes": (replace(NEWSLETTER.processes[0], retention="two years"),)}, "time.duration"),
        ({"processes": (replace(NEWSLETTER.processes[0], purposes=("newsletter",)),)}, "term.declared"),
        ({"processes": (replace(NEWSLETTER.processes[0], controller_id="urn:tillit:party:x"),)}, "entity.controller"),
        ({"entities": (replace(ACME, address=" "),)}, "entity.address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_standard_would_not_take_is_not_written(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(RecordIncomplete) as refused:
        write_record(replace(NEWSLETTER, **change))

    assert rule in {fault.rule for fault in refused.value.faults}
    assert "ana@example.org" not in str(refused.value)
    assert "Berlin" not in str(refused.value)


@given(told=records(), is_explicit=st.booleans(), state=st.sampled_from(VALID_STATES))
def test_every_yes_has_a_kantara_receipt_after_the_schema(told: Record, *, is_explicit: bool, state: str) -> None:
    newest = max(NOON, *(one.at for one in told.indications)) + SECOND  # the form knows no time before 1970
    yes = replace(told, indications=(*told.indications, said(state, newest, is_explicit=is_explicit)))

    receipt = write_kantara(yes, collection_method="web form")

    jsonschema.Draft202012Validator(KANTARA).validate(receipt)
    assert receipt["consentTimestamp"] == newest // SECOND
    assert {purpose["consentType"] for one in receipt["services"] for purpose in one["purposes"]} == {
        "EXPLICIT" if is_explicit else "IMPLICIT"
    }
    assert receipt["sensitive"] == any(process.special_data for process in told.processes)
    assert sum(len(one["purposes"]) for one in receipt["services"]) == len(told.processes)


@pytest.mark.parametrize("state", sorted(set(STATES) - set(VALID_STATES)))
def test_a_no_has_no_kantara_receipt(state: str) -> None:
    # The order of time counts, and not the order of the list.
    told = replace(NEWSLETTER, indications=(said(state, NOON + SECOND), said("ConsentGiven", NOON)))

    with pytest.raises(NoConsentToReceipt):
        write_kantara(told, collection_method="web form")


def test_a_kantara_receipt_names_third_parties_only_where_there_are_any() -> None:
    services = {one["service"]: one["purposes"] for one in write_kantara(NEWSLETTER, collection_method="x")["services"]}

    assert services["newsletter"][0]["thirdPartyName"] == "urn:tillit:party:mailer"
    assert services["shop"][0]["thirdPartyDisclosure"] is False
    assert "thirdPartyName" not in services["shop"][0]


def test_the_terms_of_dpv_2_3_are_held() -> None:
    # Counts of the published files: terms without concept schemes and serialisations.
    counted = {name: len(held.names) for name, held in vocabularies().items() if name in ("dpv", "pd", "dpv-27560")}

    assert counted == {"dpv": 1116, "pd": 231, "dpv-27560": 4}
    assert all(is_defined(f"dpv:{state}") for state in STATES)
    assert is_defined("dpv:ServiceManagement")  # new in 2.3
    assert is_defined("https://w3id.org/dpv/legal/eu#law-GDPR")
    assert not is_defined("dpv:ConsentTerminated")
    assert not is_defined("DirectMarketing")
    assert not is_defined("urn:shop:newsletter")


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("dpv:ConsentTerminated", "dpv:ConsentRevoked"),
        ("dpv:WithdrawingFromActivity", "dpv:WithdrawingFromProcess"),
        ("eu-gdpr:GDPR", "legal-eu:law-GDPR"),
        ("dpv:DirectMarketng", "dpv:DirectMarketing"),
        ("dpv:Qqqqqqqq", None),
        ("nonsense", None),
    ],
)
def test_a_wrong_term_is_met_with_the_right_one(term: str, meant: str | None) -> None:
    assert near(term) == meant


def test_a_fault_names_the_term_that_was_meant_and_never_the_one_that_was_written() -> None:
    record = document()
    record["dpv:hasConsentStatus"][0]["@type"] = "dpv:ConsentTerminated"

    told = [str(fault) for fault in check_document(record)]

    assert any("$.dpv:hasConsentStatus[0].@type" in one and "dpv:ConsentRevoked" in one for one in told)
    assert not any("Terminated" in one for one in told)


def test_canonical_json_is_that_of_the_standard() -> None:
    # Given the members of RFC 8785 3.2.3, whose order is by UTF-16: the emoji comes before U+FB33.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    written = canonical({name: number for number, name in enumerate(names)}).decode()

    assert list(json.loads(written)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert canonical({"b": [1, True, None], "a": '\u20ac\n\u000f"\\'}) == (
        b'{"a":"\xe2\x82\xac\\n\\u000f\\"\\\\","b":[1,true,null]}'
    )


@pytest.mark.parametrize("value", [0.5, 2**53, -(2**53), float("nan"), "\ud800", {1: 2}, b"x"], ids=repr)
def test_what_programs_write_differently_is_not_canonical(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical([value])


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (is_date, ["2026-02-28", "2024-02-29"], ["2026-02-29", "28.2.2026", "20260228", "2026-2-28", "", "0000-01-01"]),
        (
            is_instant,
            ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.123456789+02:00"],
            [
                "2026-01-31",
                "2026-01-31T10:00:00",
                "2026-01-31T25:00:00Z",
                "2026-02-30T10:00:00Z",
                "2026-01-31 10:00:00Z",
                "2026-01-31T10:00:00+14:30",
                "2026-01-31T24:00:00Z",
            ],
        ),
        (
            is_duration,
            ["P24M", "P0D", "P1Y2M3DT4H5M6.7S", "P2W", "PT1S"],
            ["P", "PT", "P1DT", "24M", "-P1D", "P1S", "P1.5Y", "two years", "P24M "],
        ),
    ],
    ids=["date", "instant", "duration"],
)
def test_times_are_read_as_written_in_the_standard(judge: Any, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not judge(text)] == []
    assert [text for text in bad if judge(text)] == []
