"""Erasing a person: tombstones, the erasure journal, certificates, and what lies where.

In:    somebody's identifiers; files and rows that may hold their values.
Out:   erasures.db, certificates, refusals of what comes back.
Never: an identifier kept in plain to know whom to refuse.
"""

from tillit.privacy.erasure.certificate import (
    KIND,
    VERSION,
    CertificateInvalid,
    digest,
    read_certificate,
    save_certificate,
    sign,
)
from tillit.privacy.erasure.journal import BEGUN, DONE, Erasure, ErasureJournal
from tillit.privacy.erasure.places import Values, erase_files, erase_from_quarantine, erase_from_rejects
from tillit.privacy.erasure.secrets import load_pepper, load_signing_bytes, load_signing_key, make_secrets
from tillit.privacy.erasure.stores import NOBODY, PERSON, SHOP, STAFF, STORES, Store, find_database, find_store
from tillit.privacy.erasure.tombstones import Judged, PepperLost, Said, Tombstones
from tillit.store import migrations_of

ERASURE_MIGRATIONS = migrations_of("tillit.privacy.erasure", room="erasure", folder="migrations/erasures")
SECRET_MIGRATIONS = migrations_of("tillit.privacy.erasure", room="erasure", folder="migrations/registry")

__all__ = [
    "BEGUN",
    "DONE",
    "ERASURE_MIGRATIONS",
    "KIND",
    "NOBODY",
    "PERSON",
    "SECRET_MIGRATIONS",
    "SHOP",
    "STAFF",
    "STORES",
    "VERSION",
    "CertificateInvalid",
    "Erasure",
    "ErasureJournal",
    "Judged",
    "PepperLost",
    "Said",
    "Store",
    "Tombstones",
    "Values",
    "digest",
    "erase_files",
    "erase_from_quarantine",
    "erase_from_rejects",
    "find_database",
    "find_store",
    "load_pepper",
    "load_signing_bytes",
    "load_signing_key",
    "make_secrets",
    "read_certificate",
    "save_certificate",
    "sign",
]
