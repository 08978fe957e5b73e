"""A record as statements: JSON-LD read into things that have types and properties.

In:    a JSON document with its own context.
Out:   things by address, every address that was mentioned, and where the document left the form that we read.
Never: the net: a context that lies elsewhere is not fetched; a guess at what an unknown keyword means.

This is the part of JSON-LD 1.1 that consent records need: prefixes, terms, aliases of keywords, types of values,
`@graph`, `@set`, and the same thing described in several places. Anything else is noted, and is a fault.
Source: W3C JSON-LD 1.1 and its API (context processing, IRI expansion).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tillit.consent.receipts.terms import DCT, XSD, is_of_family, shorten

SIGNATURE = "urn:tillit:consent#signature"

_NODE_WORDS = frozenset({"@id", "@type", "@graph", "@context"})
_VALUE_WORDS = frozenset({"@value", "@type", "@language"})
_KNOWN_WORDS = _NODE_WORDS | _VALUE_WORDS | {"@set"}
_TERM_WORDS = frozenset({"@id", "@type", "@container", "@prefix", "@protected"})
_CONTEXT_WORDS = frozenset({"@version", "@language", "@vocab", "@protected"})
# A short address joins to a prefix only where the prefix's own address ends like this.
_JOINTS = (":", "/", "?", "#", "[", "]", "@")
# What a path may show: our words and those of Dublin Core. Any other member may be a person's e-mail.
_SHOWN_DCT = frozenset(
    f"{DCT}{name}"
    for name in "conformsTo coverage created date description identifier isVersionOf language replaces title".split()
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
# Ways in which a thing that is not of our vocabularies may be named.
_SCHEMES = frozenset({"http", "https", "urn", "did", "mailto", "tel", "tag"})
_MOST_STEPS = 8  # from one term of a context to the next; taste


class Literal(NamedTuple):
    """A value that is written out."""

    path: str
    text: str  # of numbers and truths: as JSON writes them
    datatype: str = ""
    language: str = ""


class Reference(NamedTuple):
    """A value that names a thing, which may be described here or elsewhere."""

    path: str
    key: str


@dataclass(slots=True)
class Thing:
    """What the document says of one thing, wherever it says it."""

    path: str
    types: set[str] = field(default_factory=set)
    properties: dict[str, list[Literal | Reference]] = field(default_factory=dict)

    def values(self, *properties: str) -> list[Literal | Reference]:
        """Give the values of a property, or of several, each once."""
        found: dict[object, Literal | Reference] = {}
        for name in properties:
            for value in self.properties.get(name, ()):
                found.setdefault(value.key if isinstance(value, Reference) else value[1:], value)
        return list(found.values())


class Mention(NamedTuple):
    """An address somewhere in the document."""

    path: str
    iri: str | None  # None: it expands to nothing
    is_name: bool  # of a property or a type: these must be words of a declared vocabulary


class _Term(NamedTuple):
    iri: str
    coercion: str = ""
    may_prefix: bool = True


@dataclass(slots=True)
class Graph:
    """A document as statements."""

    things: dict[str, Thing] = field(default_factory=dict)
    mentions: list[Mention] = field(default_factory=list)
    namespaces: tuple[str, ...] = ()  # as the context declares them, and XML's types
    form: list[str] = field(default_factory=list)  # paths at which it leaves the form that we read
    remote: list[str] = field(default_factory=list)  # paths of contexts that lie elsewhere
    root: str = ""  # the key of the outermost thing
    signature_members: tuple[str, ...] = ()  # of the outermost object

    def typed(self, iri: str) -> list[tuple[str, Thing]]:
        """Give the things of a type, with their keys."""
        return [(key, thing) for key, thing in self.things.items() if iri in thing.types]

    def thing(self, value: Literal | Reference) -> Thing:
        """Give what is said of a value: nothing, of a value that is written out."""
        found = self.things.get(value.key) if isinstance(value, Reference) else None
        return found if found is not None else Thing(value.path)

    def is_declared(self, iri: str) -> bool:
        """Say whether an address belongs to a vocabulary that the context declares, to DPV, or to XML's types."""
        return is_of_family(iri) or iri.startswith(self.namespaces)

    def is_address(self, iri: str) -> bool:
        """Say whether an address can name something for somebody else too."""
        if iri.startswith("_:"):
            return True
        scheme = iri.partition(":")[0].lower()
        return _ADDRESS.fullmatch(iri) is not None and (scheme in _SCHEMES or self.is_declared(iri))


def read_graph(document: Mapping[str, Any]) -> Graph:
    """Read a JSON object as JSON-LD."""
    return _Reader(document).graph


class _Reader:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self.graph = Graph()
        self._raw: dict[str, Any] = {}
        self._vocabulary = ""
        self._n_unnamed = 0
        self._read_context(document.get("@context"), "$.@context")
        self._terms = {name: term for name in self._raw if (term := self._define(name)) is not None}
        spaces = {one.iri for one in self._terms.values() if one.may_prefix and one.iri.endswith(_JOINTS)}
        self.graph.namespaces = (XSD, *spaces, *([self._vocabulary] if self._vocabulary else []))
        rest = {name: value for name, value in document.items() if name != "@context"}
        self.graph.root = self._node(rest, "$")
        self.graph.signature_members = tuple(name for name in rest if self._iri(name, is_word=True) == SIGNATURE)

    def _read_context(self, told: Any, path: str) -> None:
        for place, entry in _each(told, path):
            if isinstance(entry, str):
                self.graph.remote.append(place)
            elif isinstance(entry, dict):
                self._read_entry(entry, place)
            elif entry is not None:
                self.graph.form.append(place)

    def _read_entry(self, entry: dict[str, Any], path: str) -> None:
        for number, (name, told) in enumerate(entry.items()):
            place = f"{path}.[member {number}]"
            if name == "@vocab" and isinstance(told, str):
                self._vocabulary = told
            elif name.startswith("@"):
                if name not in _CONTEXT_WORDS:
                    self.graph.form.append(place)
            elif told is None:
                self._raw.pop(name, None)
            elif isinstance(told, str) or (isinstance(told, dict) and self._is_plain_term(told)):
                self._raw[name] = told
            else:
                self.graph.form.append(place)

    @staticmethod
    def _is_plain_term(told: dict[str, Any]) -> bool:
        return (
            set(told) <= _TERM_WORDS
            and all(isinstance(told.get(word, ""), str) for word in ("@id", "@type"))
            and told.get("@type") != "@json"
            and told.get("@container", "@set") in ("@set", ["@set"])
        )

    def _define(self, name: str) -> _Term | None:
        told = self._raw[name]
        written = told if isinstance(told, str) else told.get("@id", name)
        iri = self._resolve(written, name)
        if iri is None:
            return None
        coercion = "" if isinstance(told, str) else told.get("@type", "")
        if coercion not in ("", "@id", "@vocab", "@none"):
            coercion = self._resolve(coercion, "") or ""
            self.graph.mentions.append(Mention("$.@context", coercion or None, is_name=True))
        may_prefix = ":" not in name and (
            iri.endswith(_JOINTS) if isinstance(told, str) else told.get("@prefix") is True
        )
        return _Term(iri, coercion, may_prefix)

    def _resolve(self, written: str, name: str, steps: int = 0) -> str | None:
        """Write a term's address in full while the terms are still being read."""
        if written.startswith("@"):
            return written if written in _KNOWN_WORDS else None
        if steps > _MOST_STEPS:
            return None
        if written in self._raw and written != name:
            told = self._raw[written]
            onward = told if isinstance(told, str) else told.get("@id", written)
            return self._resolve(onward, written, steps + 1)
        prefix, colon, rest = written.partition(":")
        if not colon:
            return f"{self._vocabulary}{written}" if self._vocabulary else None
        if prefix in self._raw and prefix != name and not rest.startswith("//"):
            told = self._raw[prefix]
            onward = told if isinstance(told, str) else told.get("@id", "")
            space = self._resolve(onward, prefix, steps + 1)
            return f"{space}{rest}" if space is not None else None
        return written

    def _iri(self, written: str, *, is_word: bool) -> str | None:
        """Write an address in full. A word is a member's name or a type: it may be a term, and come under @vocab."""
        if written.startswith("@"):
            return written
        if is_word and written in self._terms:
            return self._terms[written].iri
        prefix, colon, rest = written.partition(":")
        if colon:
            term = self._terms.get(prefix)
            if term is not None and term.may_prefix and not rest.startswith("//"):
                return f"{term.iri}{rest}"
            return written
        return f"{self._vocabulary}{written}" if is_word and self._vocabulary else None

    def _node(self, told: dict[str, Any], path: str) -> str:
        words = {self._iri(name, is_word=True): value for name, value in told.items()}
        key = words.get("@id")
        names = [self._iri(name, is_word=True) for name in told]
        if "@id" in words and (not isinstance(key, str) or names.count("@id") > 1):
            self.graph.form.append(path)
        key = (self._mention(key, f"{path}.@id", is_word=False) if isinstance(key, str) else None) or self._unnamed()
        thing = self.graph.things.setdefault(key, Thing(path))
        if len(told) > 1 and not thing.types and not thing.properties:
            thing.path = path  # where it is described, rather than where it is only named
        for number, (name, value) in enumerate(told.items()):
            iri = self._iri(name, is_word=True)
            place = f"{path}.{_shown(iri) or f'[member {number}]'}"
            if iri == "@type":
                self._read_types(thing, value, place)
            elif iri == "@graph" and path == "$":
                for where, one in _each(value, place):
                    if isinstance(one, dict):
                        self._node(one, where)
                    else:
                        self.graph.form.append(where)
            elif iri is not None and iri.startswith("@"):
                if iri != "@id":
                    self.graph.form.append(place)
            else:
                self.graph.mentions.append(Mention(place, iri, is_name=True))
                if iri is not None:
                    coercion = self._terms[name].coercion if name in self._terms else ""
                    values = list(self._values(value, place, coercion))
                    thing.properties.setdefault(iri, []).extend(values)
        return key

    def _read_types(self, thing: Thing, told: Any, path: str) -> None:
        for place, one in _each(told, path):
            if isinstance(one, str):
                iri = self._iri(one, is_word=True)
                self.graph.mentions.append(Mention(place, iri, is_name=True))
                if iri is not None:
                    thing.types.add(iri)
            else:
                self.graph.form.append(place)

    def _values(self, told: Any, path: str, coercion: str) -> Iterator[Literal | Reference]:
        for place, one in _each(told, path):
            if one is None:
                continue
            if isinstance(one, dict):
                words = {self._iri(name, is_word=True) for name in one}
                if "@value" in words:
                    yield from self._literal(one, place)
                elif words == {"@set"}:
                    yield from self._values(next(iter(one.values())), place, coercion)
                else:
                    yield Reference(place, self._node(one, place))
            elif isinstance(one, str) and coercion in ("@id", "@vocab"):
                key = self._mention(one, place, is_word=coercion == "@vocab") or self._unnamed()
                self.graph.things.setdefault(key, Thing(place))
                yield Reference(place, key)
            else:
                text = one if isinstance(one, str) else _json(one)
                yield Literal(place, text, coercion if coercion not in ("@id", "@vocab", "@none") else "")

    def _literal(self, told: dict[str, Any], path: str) -> Iterator[Literal]:
        words = {self._iri(name, is_word=True): value for name, value in told.items()}
        value, datatype, language = words["@value"], words.get("@type", ""), words.get("@language", "")
        is_plain = isinstance(value, str | int | float) and isinstance(datatype, str) and isinstance(language, str)
        if not is_plain or not words.keys() <= _VALUE_WORDS or len(words) != len(told):
            self.graph.form.append(path)
            return
        if datatype:
            iri = self._iri(datatype, is_word=True)
            self.graph.mentions.append(Mention(f"{path}.@type", iri, is_name=True))
            datatype = iri or ""
        yield Literal(path, value if isinstance(value, str) else _json(value), datatype, language)

    def _unnamed(self) -> str:
        self._n_unnamed += 1
        return f"unnamed {self._n_unnamed}"  # no address: those have a colon

    def _mention(self, written: str, path: str, *, is_word: bool) -> str | None:
        iri = self._iri(written, is_word=is_word)
        self.graph.mentions.append(Mention(path, iri, is_name=False))
        return iri


def _each(told: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(told, list):
        for number, one in enumerate(told):
            yield from _each(one, f"{path}[{number}]")
    else:
        yield path, told


def _shown(iri: str | None) -> str | None:
    if iri is None:
        return None
    if iri in _SHOWN_DCT:
        return f"dct:{iri.removeprefix(DCT)}"
    if iri == SIGNATURE:
        return "tillit:signature"
    return iri if iri in _KNOWN_WORDS else shorten(iri)


def _json(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
