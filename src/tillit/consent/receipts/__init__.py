"""Consent on paper: records and receipts that a person can keep and anybody can check.

In:    what was asked and said, as plain values; a key to sign with; files of others.
Out:   DPV-27560 documents after ISO/IEC TS 27560, flat Kantara receipts, signatures, faults.
Never: the store, the net or the clock.
"""

from tillit.consent.receipts.check import Fault, check_document, check_record
from tillit.consent.receipts.export import (
    Indication,
    Notice,
    Party,
    Process,
    Record,
    RecordIncomplete,
    Right,
    write_receipt,
    write_record,
)
from tillit.consent.receipts.json_text import NotCanonical, canonical
from tillit.consent.receipts.kantara import NoConsentToReceipt, write_kantara
from tillit.consent.receipts.rules import RULES, Rule
from tillit.consent.receipts.signature import KeyUnreadable, NotSignable, public_key, read_public_key, sign, thumbprint
from tillit.consent.receipts.terms import STATES, VALID_STATES, is_defined, near

__all__ = [
    "RULES",
    "STATES",
    "VALID_STATES",
    "Fault",
    "Indication",
    "KeyUnreadable",
    "NoConsentToReceipt",
    "NotCanonical",
    "NotSignable",
    "Notice",
    "Party",
    "Process",
    "Record",
    "RecordIncomplete",
    "Right",
    "Rule",
    "canonical",
    "check_document",
    "check_record",
    "is_defined",
    "near",
    "public_key",
    "read_public_key",
    "sign",
    "thumbprint",
    "write_kantara",
    "write_receipt",
    "write_record",
]
