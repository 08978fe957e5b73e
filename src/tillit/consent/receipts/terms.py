"""The words of consent records: what the Data Privacy Vocabulary 2.3 defines, held offline.

In:    terms.txt of this package: names by namespace.
Out:   whether an address is one of its terms, how it is written short, and which term was probably meant.
Never: the net; a word that is not in the list.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import NamedTuple

DPV = "https://w3id.org/dpv#"
DCT = "http://purl.org/dc/terms/"
SCHEMA = "https://schema.org/"
XSD = "http://www.w3.org/2001/XMLSchema#"
PROFILES = "https://w3id.org/dpv/schema/dpv-27560#"
# Where all vocabularies of DPV live, those too that we do not hold.
FAMILY = "https://w3id.org/dpv"

VALID_STATES = ("ConsentGiven", "RenewedConsentGiven")
STATES = (
    *VALID_STATES,
    "ConsentUnknown",
    "ConsentRequested",
    "ConsentRequestDeferred",
    "ConsentRefused",
    "ConsentWithdrawn",
    "ConsentExpired",
    "ConsentRevoked",
    "ConsentInvalidated",
)

# What the guide to DPV-27560 and older versions write, and what 2.3 calls it.
_RENAMED = {
    f"{DPV}ConsentTerminated": f"{DPV}ConsentRevoked",
    f"{DPV}WithdrawingFromActivity": f"{DPV}WithdrawingFromProcess",
    f"{DPV}hasProcessingAutomation": f"{DPV}hasAutomationLevel",
    "https://w3id.org/dpv/legal/eu/gdpr#GDPR": "https://w3id.org/dpv/legal/eu#law-GDPR",
}


class Vocabulary(NamedTuple):
    """One namespace of DPV and the names in it."""

    prefix: str
    namespace: str
    names: frozenset[str]


@cache
def vocabularies() -> Mapping[str, Vocabulary]:
    """Give what is held, by prefix."""
    held: dict[str, tuple[str, set[str]]] = {}
    prefix = ""
    for line in files("tillit.consent.receipts").joinpath("terms.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@ "):
            _, prefix, namespace = line.split()
            held[prefix] = (namespace, set())
        elif not line.startswith("#"):
            held[prefix][1].update(line.split())
    return {name: Vocabulary(name, space, frozenset(names)) for name, (space, names) in held.items()}


@cache
def _by_namespace() -> Mapping[str, Vocabulary]:
    return {one.namespace: one for one in vocabularies().values()}


def expand(term: str) -> str:
    """Write `dpv:DirectMarketing` in full; what has no prefix of ours stays as it is."""
    prefix, colon, name = term.partition(":")
    held = vocabularies().get(prefix)
    return f"{held.namespace}{name}" if colon and held is not None else term


def shorten(iri: str) -> str | None:
    """Write a term of DPV short; None when it is no term that is held."""
    space, hash_sign, name = iri.rpartition("#")
    held = _by_namespace().get(space + hash_sign)
    return f"{held.prefix}:{name}" if held is not None and name in held.names else None


def is_defined(term: str) -> bool:
    """Say whether DPV 2.3 defines a term, written short or in full.

    >>> is_defined("dpv:DirectMarketing"), is_defined("dpv:ConsentTerminated"), is_defined("loc:DE")
    (True, False, True)
    """
    return shorten(expand(term)) is not None


def is_of_family(iri: str) -> bool:
    """Say whether an address belongs to DPV, defined or not."""
    return iri.startswith((f"{FAMILY}#", f"{FAMILY}/"))


def near(term: str) -> str | None:
    """Give the term that was probably meant, written short; None when nothing is like it.

    >>> near("dpv:ConsentTerminated"), near("eu-gdpr:GDPR"), near("dpv:DirectMarketng")
    ('dpv:ConsentRevoked', 'legal-eu:law-GDPR', 'dpv:DirectMarketing')
    """
    iri = expand(term)
    if iri in _RENAMED:
        return shorten(_RENAMED[iri])
    space, hash_sign, name = iri.rpartition("#")
    held = _by_namespace().get(space + hash_sign)
    found = get_close_matches(name[:64], sorted(held.names), n=1, cutoff=0.75) if held is not None else []
    return f"{held.prefix}:{found[0]}" if held is not None and found else None
