"""The checker: each rule alone refuses what breaks it, and nothing gets past a rule by spelling."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from pyshacl import validate as shacl

from tests.consent.paper import NEWSLETTER, NOON, OTHER_SECRET, SECRET, document, records
from tillit.consent.receipts import RULES, Record, check_record, public_key, sign, write_receipt, write_record
from tillit.consent.receipts.graph import Literal, Reference, read_graph
from tillit.consent.receipts.json_text import LONGEST

DATA = Path(__file__).parents[1] / "data" / "consent"
SHAPES = rdflib.Graph().parse(DATA / "dpv27560-shapes.ttl", format="turtle")
KEY = public_key(SECRET)
# rdflib warns of a class of its own that its JSON-LD parser uses.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

Change = Callable[[dict[str, Any]], object]


def written(record: Any) -> bytes:
    return json.dumps(record).encode()


def receipt() -> dict[str, Any]:
    return write_receipt([NEWSLETTER], receipt_id="2b3c5f6e-0a57-4a4c-8a0e-1f0f8f1b7f55", created_at=NOON)


def record_that(*changes: Change) -> bytes:
    record = copy.deepcopy(document())
    for change in changes:
        change(record)
    return written(record)


def receipt_that(*changes: Change) -> bytes:
    told = copy.deepcopy(receipt())
    for change in changes:
        change(told)
    return written(told)


def signed_that(*changes: Change) -> bytes:
    told = sign(document(), SECRET)
    for change in changes:
        change(told)
    return written(told)


def at(told: Any, *path: str | int) -> Any:
    for step in path:
        told = told[step]
    return told


def drop(*path: str | int) -> Change:
    return lambda told: at(told, *path[:-1]).pop(path[-1])


def put(value: object, *path: str | int) -> Change:
    def change(told: dict[str, Any]) -> None:
        at(told, *path[:-1])[path[-1]] = copy.deepcopy(value)

    return change


def process(name: str) -> Change:
    return drop("dpv:hasProcess", 0, name)


def entity(name: str) -> Change:
    return drop("dpv:hasEntity", 0, name)


STATUS = ("dpv:hasConsentStatus", 0)
TIME = {"@type": "xsd:dateTime", "@value": "2026-01-01T12:00:00Z"}
CONTEXT = document()["@context"]

# For every rule, documents that only this rule refuses.
MUTANTS: dict[str, list[bytes]] = {
    "json.length": [written(document()) + b" " * LONGEST],
    "json.encoding": [written(document()).replace(b"Acme", b"Acm\xe9")],
    "json.duplicate-member": [
        written(document()).replace(b'"dpv:hasRight":', b'"dpv:hasRight": [], "dpv:hasRight":', 1),
        written(document()).replace(b'"dct:title": "fit"', b'"dct:title": "a", "dct:title": "fit"', 1),
    ],
    "json.number": [
        written(document())[:-1] + b', "schema:size": ' + number + b"}"
        for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999")
    ],
    "json.depth": [written(document())[:-1] + b', "schema:size": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}"],
    "json.character": [record_that(put("Acme \ud800", "dpv:hasEntity", 0, "dpv:hasName"))],
    "form.supported": [
        record_that(put([{"@id": "urn:x:1"}], "@included")),
        record_that(put("x", "@index")),
        record_that(put({"schema:x": [{"@id": "urn:x:1"}]}, "@reverse")),
        record_that(put({"dpv": "urn:x:"}, "dpv:hasEntity", 0, "@context")),
        record_that(put({"@list": ["a"]}, "schema:x")),
        record_that(put({"@value": {"a": 1}, "@type": "@json"}, "schema:x")),
        record_that(put({"@value": "a", "schema:x": 1}, "schema:x")),
        record_that(put({"@id": "schema:x", "@container": "@list"}, "@context", "x")),
        record_that(put({"@id": "schema:x", "@context": {}}, "@context", "x")),
        record_that(put("https://example.org/", "@context", "@base")),
        record_that(put(7, "@context", "x")),
        record_that(put([CONTEXT, 7], "@context")),
        record_that(put(7, "dpv:hasNotice", 0, "@id")),
        record_that(put(["dpv:DataController", 7], "dpv:hasEntity", 0, "@type")),
    ],
    "form.own-context": [record_that(put([CONTEXT, "https://example.org/context"], "@context"))],
    "term.declared": [
        record_that(put("a word without a vocabulary", "note")),
        record_that(put("x", "foaf:name")),
        record_that(put("x", "https://elsewhere.example/name")),
        record_that(put(["dpv:DataController", "foaf:Agent"], "dpv:hasEntity", 0, "@type")),
        record_that(put(["dpv:DataController", "Agent"], "dpv:hasEntity", 0, "@type")),
        record_that(put("mailer", "dpv:hasProcess", 0, "dpv:hasRecipient")),
        record_that(put("shop:mailer", "dpv:hasProcess", 0, "dpv:hasRecipient")),
        record_that(put("urn:two words", "dpv:hasProcess", 0, "dpv:hasRecipient")),
        record_that(put("ana@example.org", "dpv:hasDataSubject", "@id")),
        record_that(put({"@value": "x", "@type": "Text"}, "schema:x")),
    ],
    "term.defined": [
        record_that(put("dpv:Newsletter", "dpv:hasProcess", 0, "dpv:hasPurpose")),
        record_that(put("https://w3id.org/dpv#Newsletter", "dpv:hasProcess", 0, "dpv:hasPurpose")),
        record_that(put("pd:Shoes", "dpv:hasProcess", 0, "dpv:hasPersonalData")),
        record_that(put("eu-gdpr:A99", "dpv:hasProcess", 0, "dpv:hasLegalBasis")),
        record_that(put("eu-gdpr:GDPR", "dpv:hasApplicableLaw")),
        record_that(put("loc:XX", "dpv:hasJurisdiction")),
        record_that(put("dpv:DataControler", "dpv:hasEntity", 0, "@type")),
        record_that(put("x", "dpv:hasColour")),
        record_that(put("https://w3id.org/dpv/ai#Model", "dpv:hasProcess", 0, "dpv:hasPurpose")),
        record_that(put({"@id": "dpv:SomeDuration"}, *STATUS, "dpv:hasDuration")),
        record_that(put({"@value": "x", "@type": "dpv:Words"}, "schema:x")),
        record_that(put("dpv:Words", "@context", "words"), put("x", "words")),
        record_that(put("https://w3id.org/dpv#", "@context", "@vocab"), put("x", "hasColour")),
    ],
    "term.reference": [
        record_that(put({"@value": "newsletter"}, "dpv:hasProcess", 0, "dpv:hasPurpose")),
        record_that(
            put("dpv:DirectMarketing", "dpv:hasProcess", 0, "dpv:hasPurpose"), drop("@context", "dpv:hasPurpose")
        ),
    ],
    "time.date": [
        record_that(put("1.1.2026", "dpv:hasNotice", 0, "dct:date")),
        record_that(put({"@value": "2026-02-30", "@type": "xsd:date"}, "schema:x")),
        record_that(put({"@value": "noon", "@type": "xsd:dateTime"}, "schema:x")),
        receipt_that(put("yesterday", "dct:created")),
    ],
    "time.duration": [
        record_that(put("two years", *STATUS, "dpv:hasDuration")),
        record_that(put(24, *STATUS, "dpv:hasDuration")),
        record_that(put("P", "dpv:hasProcess", 0, "dpv:hasStorageCondition", 1, "dpv:hasDuration")),
    ],
    "record.type": [record_that(drop("@type")), record_that(put("dpv:Process", "@type")), b"{}"],
    "record.conforms-to": [
        record_that(drop("dct:conformsTo")),
        record_that(
            put(
                [{"@id": f"https://w3id.org/dpv/schema/dpv-27560#record{x}"} for x in ("", "-eu-gdpr")],
                "dct:conformsTo",
            )
        ),
    ],
    "record.profile": [
        record_that(put({"@id": "https://w3id.org/dpv/schema/dpv-27560#receipt"}, "dct:conformsTo")),
        record_that(put({"@id": "https://example.org/profile"}, "dct:conformsTo")),
        receipt_that(put({"@id": "https://w3id.org/dpv/schema/dpv-27560#record"}, "dct:conformsTo")),
    ],
    "record.identifier": [
        record_that(drop("dct:identifier"), drop("dpv:hasIdentifier")),
        record_that(drop("dct:identifier"), put("", "dpv:hasIdentifier")),
    ],
    "record.data-subject": [
        record_that(drop("dpv:hasDataSubject")),
        record_that(put([{"@id": "urn:x:ana"}, {"@id": "urn:x:bo"}], "dpv:hasDataSubject")),
    ],
    "record.jurisdiction": [record_that(drop("dpv:hasJurisdiction")), record_that(put([], "dpv:hasJurisdiction"))],
    "record.notice": [record_that(drop("dpv:hasNotice")), record_that(put(None, "dpv:hasNotice"))],
    "record.process": [record_that(drop("dpv:hasProcess"))],
    "record.withdrawal": [
        record_that(drop("dpv:hasConsentControl")),
        record_that(put("dpv:ProvideConsent", "dpv:hasConsentControl", 0, "@type")),
        record_that(drop("dpv:hasConsentControl", 0, "dpv:isExercisedAt")),
    ],
    "record.right": [record_that(drop("dpv:hasRight"))],
    "record.entity": [record_that(drop("dpv:hasEntity"))],
    "record.status": [record_that(drop("dpv:hasConsentStatus"))],
    "notice.language": [
        record_that(drop("dpv:hasNotice", 0, "dct:language")),
        record_that(put({"@id": "urn:x:notice"}, "dpv:hasNotice", 0)),
    ],
    "process.purpose": [record_that(process("dpv:hasPurpose"))],
    "process.personal-data": [record_that(process("dpv:hasPersonalData"))],
    "process.controller": [record_that(process("dpv:hasDataController"))],
    "process.legal-basis": [record_that(process("dpv:hasLegalBasis"))],
    "process.recipient": [record_that(process("dpv:hasRecipient"))],
    "process.storage": [
        record_that(process("dpv:hasStorageCondition")),
        record_that(
            put(
                {
                    "@type": ["dpv:StorageLocation", "dpv:StorageDuration"],
                    "dpv:hasLocation": "loc:DE",
                    "dpv:hasDuration": "P24M",
                },
                "dpv:hasProcess",
                0,
                "dpv:hasStorageCondition",
            )
        ),
    ],
    "process.storage-kinds": [
        record_that(put("dpv:StorageLocation", "dpv:hasProcess", 0, "dpv:hasStorageCondition", 1, "@type")),
        record_that(drop("dpv:hasProcess", 0, "dpv:hasStorageCondition", 0, "dpv:hasLocation")),
    ],
    "entity.controller": [record_that(put("urn:x:somebody", "dpv:hasProcess", 1, "dpv:hasDataController"))],
    "entity.name": [record_that(entity("dpv:hasName")), record_that(put(" ", "dpv:hasEntity", 0, "dpv:hasName"))],
    "entity.identifier": [record_that(entity("dpv:hasIdentifier"))],
    "entity.address": [record_that(entity("dpv:hasAddress"))],
    "entity.contact": [record_that(entity("dpv:hasContact"))],
    "status.state": [
        record_that(drop(*STATUS, "@type")),
        record_that(put("dpv:ConsentStatusValidForProcessing", *STATUS, "@type")),
        record_that(put("dpv:ExplicitlyExpressedConsent", *STATUS, "@type")),
    ],
    "status.one-state": [record_that(put(["dpv:ConsentGiven", "dpv:ConsentWithdrawn"], *STATUS, "@type"))],
    "status.time": [
        record_that(drop(*STATUS, "dpv:isIndicatedAtTime")),
        record_that(put([TIME, {**TIME, "@value": "2026-01-02T12:00:00Z"}], *STATUS, "dpv:isIndicatedAtTime")),
    ],
    "status.time-type": [
        record_that(put("2026-01-01T12:00:00Z", *STATUS, "dpv:isIndicatedAtTime")),
        record_that(put({**TIME, "@type": "xsd:string"}, *STATUS, "dpv:isIndicatedAtTime")),
    ],
    "status.time-readable": [
        record_that(put({**TIME, "@value": told}, *STATUS, "dpv:isIndicatedAtTime"))
        for told in ("2026-13-01T12:00:00Z", "2026-01-01T12:00:00", "soon")
    ],
    "status.by": [record_that(drop(*STATUS, "dpv:isIndicatedBy"))],
    "status.duration": [record_that(drop(*STATUS, "dpv:hasDuration"))],
    "receipt.created": [
        receipt_that(drop("dct:created")),
        receipt_that(put(["2026-01-01", "2026-01-02"], "dct:created")),
    ],
    "receipt.records": [
        receipt_that(drop("dpv:hasRecordOfActivity")),
        receipt_that(put("dpv:Record", "dpv:hasRecordOfActivity", 0, "@type")),
    ],
    "signature.present": [written(document())],
    "signature.outermost": [record_that(put("a..b", "dpv:hasEntity", 0, "tillit:signature"))],
    "signature.form": [
        record_that(put(told, "tillit:signature"))
        for told in ("", "nonsense", "a.b.c", "..", "e30..AAAA", {"@id": "urn:x:1"}, "x" * 5_000)
    ],
    "signature.key": [],  # made below: a header without a key
    "signature.valid": [
        signed_that(put("Acme Ltd", "dpv:hasEntity", 0, "dpv:hasName")),
        signed_that(put("dpv:ConsentWithdrawn", *STATUS, "@type")),
        signed_that(put({**CONTEXT, "dpv:hasPurpose": {"@type": "@vocab"}}, "@context")),
        written(
            {**sign(document(), SECRET), "tillit:signature": sign(document(), OTHER_SECRET)["tillit:signature"]}
        ).replace(b"Acme", b"Acne"),
    ],
}
# What the shapes ask for too; the other rules are ours.
SHAPED = [
    name
    for name in MUTANTS
    if name.startswith(("record.", "notice.", "process.", "entity.", "status."))
    and name not in {"record.type", "record.profile", "process.storage-kinds", "entity.controller", "status.one-state"}
]


def _bare_header() -> bytes:
    header = base64.urlsafe_b64encode(b'{"alg":"EdDSA","typ":"consent-record+jws"}').rstrip(b"=").decode()
    return record_that(put(f"{header}..AAAA", "tillit:signature"))


MUTANTS["signature.key"] = [_bare_header()]
CASES = [
    pytest.param(name, number, id=f"{name}-{number}") for name, made in MUTANTS.items() for number in range(len(made))
]


def key_for(rule: str) -> bytes | None:
    return KEY if rule == "signature.present" else None


def test_every_rule_has_something_that_it_alone_refuses() -> None:
    assert [rule.name for rule in RULES] == [name for name, made in MUTANTS.items() if made]


@pytest.mark.parametrize(("rule", "number"), CASES)
def test_a_broken_record_is_refused_by_the_rule_it_breaks(rule: str, number: int) -> None:
    faults = check_record(MUTANTS[rule][number], key=key_for(rule))

    assert {fault.rule for fault in faults} == {rule}


@pytest.mark.parametrize(("rule", "number"), CASES)
def test_without_its_rule_a_broken_record_goes_through(rule: str, number: int) -> None:
    others = [one for one in RULES if one.name != rule]

    assert check_record(MUTANTS[rule][number], key=key_for(rule), rules=others) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "json.syntax"),
        (b"{", "json.syntax"),
        (b"\xef\xbb\xbf{}", "json.syntax"),
        (b"\xff\xfe{\x00}\x00", "json.syntax"),
        (written(document()) + b"{}", "json.syntax"),
        (b"[" * 200_000, "json.syntax"),
        (b'{"a":' * 100_000, "json.syntax"),
        (b"1" * 5_000, "json.syntax"),
        (b"[]", "json.object"),
        (b"null", "json.object"),
        (b'"dpv:ConsentRecord"', "json.object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_json_object_is_refused(text: bytes, rule: str) -> None:
    assert [fault.rule for fault in check_record(text)] == [rule]


@given(text=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_answered(text: bytes) -> None:
    assert check_record(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@value", "@context", "@graph", "@set", "@vocab", "dpv", "dpv:hasNotice", "x"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(told=_json)
def test_any_json_is_answered(told: Any) -> None:
    assert check_record(written(told))


@given(told=_json, step=st.sampled_from(sorted(document())))
def test_any_json_in_any_place_is_answered(told: Any, step: str) -> None:
    record = {**document(), step: told}

    assert isinstance(check_record(written(record)), list)


@given(at_number=st.integers(0, 200))
def test_a_fault_never_tells_a_value(at_number: int) -> None:
    # Given a person's name in the place of some name or value.
    text = written(document())
    strings = [found for found in _strings(text) if len(found) > 2]
    broken = text.replace(strings[at_number % len(strings)], b'"Ana Ek"')

    told = " ".join(str(fault) for fault in check_record(broken))

    assert "Ana" not in told


def _strings(text: bytes) -> list[bytes]:
    return sorted(set(re.findall(rb'"[^"\\]*"', text)))


def spelt_in_full(told: Any) -> Any:
    """Write a document with full addresses and no context, as another program may."""
    space = {name: iri for name, iri in told["@context"].items() if isinstance(iri, str)}
    named = {name for name, term in told["@context"].items() if isinstance(term, dict)}

    def full(text: str) -> str:
        prefix, colon, rest = text.partition(":")
        return f"{space[prefix]}{rest}" if colon and prefix in space else text

    def write(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {full(one): write(inner, one) for one, inner in value.items() if one != "@context"}
        if isinstance(value, list):
            return [write(one, name) for one in value]
        if isinstance(value, str) and name in named:
            return {"@id": full(value)}
        return full(value) if name in ("@type", "@id") else value

    # Vocabularies that are not of DPV must be declared all the same.
    return {"@context": {name: space[name] for name in ("dct", "schema")}, **write(told)}


def in_a_graph(told: dict[str, Any]) -> dict[str, Any]:
    """Describe the parties beside the record, and name them in it."""
    record = {name: value for name, value in told.items() if name != "@context"}
    parties = record["dpv:hasEntity"]
    record["dpv:hasEntity"] = [{"@id": party["@id"]} for party in parties]
    return {"@context": told["@context"], "@graph": [record, *parties]}


def with_aliases(told: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({name: value for name, value in told.items() if name != "@context"})
    renamed = json.loads(text.replace('"@id"', '"id"').replace('"@type"', '"type"'))
    return {"@context": [told["@context"], {"id": "@id", "type": "@type"}], **renamed}


@pytest.mark.parametrize("spell", [spelt_in_full, in_a_graph, with_aliases])
@given(told=records())
@settings(max_examples=20)
def test_the_same_record_spelt_otherwise_is_accepted(spell: Callable[[Any], Any], told: Record) -> None:
    assert check_record(written(spell(write_record(told)))) == []


@pytest.mark.parametrize("spell", [spelt_in_full, in_a_graph, with_aliases])
@pytest.mark.parametrize("rule", [*SHAPED, "term.defined"])
def test_a_broken_record_spelt_otherwise_is_refused(spell: Callable[[Any], Any], rule: str) -> None:
    broken = json.loads(MUTANTS[rule][0])
    if "dpv:hasEntity" not in broken and spell is in_a_graph:
        broken["dpv:hasEntity"] = []

    assert rule in {fault.rule for fault in check_record(written(spell(broken)))}


def test_a_rebound_prefix_is_no_way_around_the_rules() -> None:
    elsewhere = record_that(put("https://elsewhere.example/dpv#", "@context", "dpv"))

    assert [fault.rule for fault in check_record(elsewhere)] == ["record.type"]


def conforms(text: bytes) -> bool:
    data = rdflib.Graph().parse(data=text, format="json-ld")
    accepted, _, _ = shacl(data, shacl_graph=SHAPES)
    return bool(accepted)


@given(told=records())
@settings(max_examples=10)
def test_the_shapes_accept_what_we_write(told: Record) -> None:
    assert conforms(written(write_record(told)))


@pytest.mark.parametrize("rule", SHAPED)
def test_the_shapes_refuse_what_our_rule_refuses(rule: str) -> None:
    assert not conforms(MUTANTS[rule][0])


def test_the_shapes_refuse_a_time_that_is_none() -> None:
    assert [conforms(text) for text in MUTANTS["status.time-type"]] == [False, False]


@given(told=records(), place=st.integers(0, 10_000), value=_json, data=st.data())
def test_what_we_accept_the_shapes_accept(told: Record, place: int, value: Any, data: st.DataObject) -> None:
    # Given a record in which something is gone, or is something else.
    record = write_record(told)
    places = list(_places({name: one for name, one in record.items() if name != "@context"}))
    *path, last = places[place % len(places)]
    holder = at(record, *path)
    if data.draw(st.booleans()):
        del holder[last]
    else:
        others = [copy.deepcopy(at(record, *one)) for one in places]
        holder[last] = data.draw(st.just(value) | st.sampled_from(others))
    text = json.dumps(record).encode()

    # Then we are never the milder judge.
    assert check_record(text) or conforms(text)


def _places(told: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for name, value in told.items() if isinstance(told, dict) else enumerate(told):
        yield (*path, name)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, name))


@given(told=records())
@settings(max_examples=20)
def test_our_reader_finds_the_statements_that_another_finds(told: Record) -> None:
    record = write_record(told)

    theirs = rdflib.Graph().parse(data=written(record), format="json-ld")
    ours = read_graph(record)

    assert _statements_of(theirs) == sorted(
        {
            (key if ":" in key else "", name, *_object(value))
            for key, thing in ours.things.items()
            for name, values in thing.properties.items()
            for value in values
        }
        | {
            (key if ":" in key else "", str(rdflib.RDF.type), iri, "")
            for key, thing in ours.things.items()
            for iri in thing.types
        }
    )


def _object(value: Literal | Reference) -> tuple[str, str]:
    if isinstance(value, Reference):
        return (value.key if ":" in value.key else "", "")
    # Their way of writing a time.
    datatype = rdflib.URIRef(value.datatype) if value.datatype else None
    return (str(rdflib.Literal(value.text, datatype=datatype)), value.datatype or "text")


def _statements_of(graph: rdflib.Graph) -> list[tuple[str, ...]]:
    found = set()
    for subject, name, value in graph:
        if isinstance(value, rdflib.Literal):
            told = (str(value), str(value.datatype or "text"))
        else:
            told = ("" if isinstance(value, rdflib.BNode) else str(value), "")
        found.add(("" if isinstance(subject, rdflib.BNode) else str(subject), str(name), *told))
    return sorted(found)
