"""Check a consent record or receipt, whoever wrote it.

In:    the bytes of a file; the public key of whoever should have signed it, if known.
Out:   every fault: the rule, the place, why it is one, what to do.
Never: a value of the record in a fault: it may be somebody's name; the net.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tillit.consent.receipts.graph import Graph, read_graph
from tillit.consent.receipts.json_text import Unreadable, read
from tillit.consent.receipts.rules import RULES, Reading, Rule

# Beyond these nothing more is read: they are what a hostile file is made of.
_STOP = frozenset({"json.length", "json.depth"})


class Fault(NamedTuple):
    """One broken rule at one place."""

    rule: str
    path: str  # names of our vocabularies and numbers only
    why: str
    then: str

    def __str__(self) -> str:
        """Write it for a person: where, why, what next."""
        return f"{self.path}: {self.why} {self.then} [{self.rule}]"


_UNREADABLE = Fault(
    "json.syntax", "$", "The file is not JSON.", "Export it again; if a person wrote it, a JSON editor shows the place."
)
_NO_OBJECT = Fault(
    "json.object", "$", "The file is JSON and not one object.", "Write one record or one receipt to a file."
)


def check_record(text: bytes, *, key: bytes | None = None, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """Give all faults of a record or a receipt; none means that it may be relied on in form.

    Shape: key: the 32 bytes of a public Ed25519 key. With it the record must be signed, and by that key; without it
           a signature is judged by the key in its own header, which proves only that nothing was changed since.
    """
    first = [rule for rule in rules if rule.name in _STOP]
    empty = Reading(len(text), (), {}, Graph(), key)
    if found := _apply([rule for rule in first if rule.name == "json.length"], empty):
        return found
    try:
        told = read(text)
    except Unreadable:
        return [_UNREADABLE]
    if not isinstance(told.document, dict):
        return [_NO_OBJECT]
    if found := _apply(first, empty._replace(slips=told.slips)):
        return found
    return _apply(rules, Reading(len(text), told.slips, told.document, read_graph(told.document), key))


def check_document(document: dict[str, Any], *, key: bytes | None = None) -> list[Fault]:
    """Give all faults of a record that was never text: the same rules, those of text apart."""
    return _apply(RULES, Reading(0, (), document, read_graph(document), key))


def _apply(rules: Sequence[Rule], reading: Reading) -> list[Fault]:
    return [
        Fault(rule.name, place.path, rule.why, f"{rule.then} {place.hint}".rstrip())
        for rule in rules
        for place in rule.find(reading)
    ]
