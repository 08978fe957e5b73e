"""Consent records to write and to break: one of Ana's, and any that a shop could have.

In:    Hypothesis.
Out:   records as plain values.
Never: the store.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tillit.clock import SECOND
from tillit.consent.receipts import STATES, Indication, Notice, Party, Process, Record, Right, write_record
from tillit.consent.receipts.terms import vocabularies

SECRET = bytes(range(32))
OTHER_SECRET = bytes(range(1, 33))
NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00 UTC

ACME = Party(
    party_id="urn:tillit:party:acme",
    name="Acme GmbH",
    address="Straße 1, 10115 Berlin",
    contact="privacy@acme.example",
    email="privacy@acme.example",
    phone="+49 30 1",
    url="https://acme.example/",
)
ANA = "urn:tillit:subject:7f3a"
NEWSLETTER = Record(
    record_id="a6f58318-72e6-46a2-bfd7-f36d795e30cd",
    subject_id=ANA,
    jurisdictions=("DE",),
    notices=(
        Notice(
            notice_id="urn:tillit:notice:newsletter:3",
            language="de",
            shown_hash="5e" * 32,
            effective_on="2026-01-01",
            url="https://acme.example/notices/newsletter-3",
        ),
    ),
    processes=(
        Process(
            name="newsletter",
            purposes=("dpv:DirectMarketing",),
            personal_data=("pd:EmailAddress",),
            legal_basis="eu-gdpr:A6-1-a",
            controller_id=ACME.party_id,
            recipient_ids=("urn:tillit:party:mailer",),
            storage_locations=("DE",),
            retention="P24M",
        ),
        Process(
            name="fit",
            purposes=("dpv:ProvideProductRecommendations",),
            personal_data=("pd:Height",),
            special_data=("pd:Health",),
            legal_basis="eu-gdpr:A9-2-a",
            controller_id=ACME.party_id,
            storage_locations=("DE", "US-CA"),
            retention=None,
            necessity="dpv:Optional",
            data_source="dpv:DataSubjectDataSource",
            automation="dpv:FullAutomation",
            deletion="overwritten within 30 days",
            service="shop",
        ),
    ),
    entities=(ACME,),
    rights=(Right(term="eu-gdpr:A7-3", exercised_at="https://acme.example/privacy"),),
    withdraw_at="https://acme.example/privacy",
    indications=(Indication(state="ConsentGiven", at=NOON, by=ANA, method="checkbox, /signup", duration="P24M"),),
)


def document() -> dict[str, Any]:
    return write_record(NEWSLETTER)


def _terms(prefix: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{prefix}:{name}" for name in sorted(vocabularies()[prefix].names)])


_text = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
# What looks like our own words, or like JSON-LD's, in the place of a name.
_words = _text | st.sampled_from(
    ["dpv:NoSuchTerm", "@id", "@value", "null", "NaN", "https://w3id.org/dpv#Nothing", '"}']
)
_maybe_words = st.none() | _words
_place = st.sampled_from(["DE", "AT", "US-CA", "EU", "EEA"])
_durations = st.none() | st.sampled_from(["P24M", "P0D", "P1Y6M", "PT12H", "P2W", "P1DT1.5S"])
_uuids = st.uuids(version=4).map(str)
_dates = st.none() | st.dates().map(lambda day: day.isoformat())
_instants = st.integers(min_value=-2_000_000_000, max_value=100_000_000_000).map(lambda second: second * SECOND + 7)


def _some(strategy: st.SearchStrategy[Any], least: int = 1, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def _addresses(kind: str) -> st.SearchStrategy[str]:
    return st.integers(0, 3).map(lambda number: f"urn:tillit:{kind}:{number}")


_dpv_terms, _pd_terms, _gdpr_terms = _terms("dpv"), _terms("pd"), _terms("eu-gdpr")
_law_terms = _terms("legal-eu") | _terms("legal-us")
_parties = st.lists(
    st.builds(
        Party,
        party_id=_addresses("party"),
        name=_words,
        address=_words,
        contact=_words,
        role=st.sampled_from(["dpv:DataController", "dpv:DataProcessor", "dpv:JointDataControllers"]),
        email=st.just("") | _words,
        phone=st.just("") | _words,
        url=st.just("") | _words,
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda party: party.party_id,
)
_processes = _some(
    st.builds(
        Process,
        name=_words,
        purposes=_some(_dpv_terms, most=2),
        personal_data=_some(_pd_terms, most=2),
        legal_basis=_gdpr_terms,
        controller_id=_addresses("party"),
        storage_locations=_some(_place, most=2),
        retention=_durations,
        recipient_ids=_some(_addresses("party"), least=0, most=2),
        special_data=_some(_pd_terms, least=0, most=1),
        necessity=st.none() | st.sampled_from(["dpv:Required", "dpv:Optional"]),
        data_source=st.none() | st.just("dpv:DataSubjectDataSource"),
        automation=st.none() | st.just("dpv:FullAutomation"),
        deletion=_maybe_words,
        service=_maybe_words,
    ),
    most=2,
)
_notices = _some(
    st.builds(
        Notice,
        notice_id=_addresses("notice"),
        language=st.sampled_from(["de", "en-GB", "zh-Hant"]),
        shown_hash=st.sampled_from(["5e" * 32, "00" * 32]),
        effective_on=_dates,
        coverage=_maybe_words,
        url=_maybe_words,
    ),
    most=2,
)
_indications = _some(
    st.builds(
        Indication,
        state=st.sampled_from(STATES),
        at=_instants,
        by=_addresses("subject") | _addresses("party"),
        method=_maybe_words,
        duration=_durations,
        is_explicit=st.booleans(),
        notice_id=st.none() | _addresses("notice"),
    ),
    most=2,
)
_rights = _some(st.builds(Right, term=_gdpr_terms, exercised_at=_words), most=2)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw any record that a shop could have."""
    parties = draw(_parties)
    party_ids = st.sampled_from([party.party_id for party in parties])
    processes = draw(_processes)
    return Record(
        record_id=draw(_uuids),
        subject_id=draw(_addresses("subject")),
        jurisdictions=draw(_some(_place, most=2)),
        notices=draw(_notices),
        processes=tuple(replace(one, controller_id=draw(party_ids)) for one in processes),
        entities=tuple(parties),
        rights=draw(_rights),
        withdraw_at=draw(_words),
        indications=draw(_indications),
        laws=draw(_some(_law_terms, least=0, most=2)),
        is_gdpr=draw(st.booleans()),
        version_of=draw(st.none() | _uuids),
        replaces=draw(st.none() | _uuids),
    )
