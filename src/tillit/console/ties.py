"""What the identity page shows: ties between identifiers, what colleagues decided, two people side by side.

In:    evidence, documents, decisions.
Out:   views: plain texts for templates; each identifier under an id of ours, so that addresses name nobody.
Never: a verdict of its own: it shows what was judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.console.portrait import shown
from tillit.console.views import CustomerView, customer_view
from tillit.identity import DEVICE_RANK, UNDO, LinkEvidence, Named, profile_id
from tillit.profile import event_id
from tillit.records import TRUST_NAMES, Membership, Scope

PERSON, ADDRESS, DEVICE = "person", "address", "device"
RULES = {
    "same event": "one event named both",
    "alias": "an alias call said so",
    "colleague": "a colleague said so",
    "identity token": "the customer proved it",
}
# Of all that was said of a pair, what counts: the first of these.
_COUNTS = ("admitted", "soft", "refused", "withdrawn", "noted")
# The order in which they need somebody's eyes.
_URGENT = {"soft": 0, "refused": 1, "withdrawn": 2, "admitted": 3, "noted": 4}
_MOST_TRAITS = 12  # of a comparison: beyond, the customer pages are open side by side
_MOST_IDENTIFIERS = 6
_LONGEST = 120


class End(NamedTuple):
    """One end of a tie: an identifier, and whose it is now."""

    key: str  # an id of ours that stands for it
    kind: str
    value: str
    sort: str  # person, address, device
    profile_id: str
    is_theirs: bool  # of the person whom the page is about

    @property
    def written(self) -> str:
        """Write it as forms send it."""
        return f"{self.kind}:{self.value}"


class Word(NamedTuple):
    """One piece of evidence about a pair, or one step of a path."""

    event_id: str
    at: str
    rule: str
    trust: str
    source: str
    verdict: str
    reason: str


class Tie(NamedTuple):
    """All that was said of two identifiers. Grain: one per pair."""

    number: int
    one: End
    other: End
    verdict: str
    best: Word  # the best trusted of those that count
    words: list[Word]  # oldest first
    position: int  # of the best
    may_cut: bool

    @property
    def drawn_as(self) -> str:
        """Say how it is drawn: by its trust when it holds, else by its verdict."""
        return self.best.trust if self.verdict == "admitted" else self.verdict


class Pair(NamedTuple):
    """Two identifiers as they are written."""

    one_kind: str
    one: str
    other_kind: str
    other: str

    @property
    def one_written(self) -> str:
        """Write the first as forms send it."""
        return f"{self.one_kind}:{self.one}"

    @property
    def other_written(self) -> str:
        """Write the second as forms send it."""
        return f"{self.other_kind}:{self.other}"


class Step(NamedTuple):
    """One step of a path."""

    pair: Pair
    word: Word


class DecisionView(NamedTuple):
    """What a colleague decided about two identifiers."""

    position: int
    action: str
    kind: str
    pair: Pair
    at: str
    operator: str
    reason: str
    stands: bool
    undone: str  # of an undo: the kind of what it took back


class Side(NamedTuple):
    """One of two people who are compared."""

    view: CustomerView
    identifiers: list[tuple[str, str]]
    n_more: int


class Compared(NamedTuple):
    """Two people side by side."""

    left: Side
    right: Side
    differing: list[tuple[str, str, str]]  # name, left, right; empty: nothing was said
    same: list[tuple[str, str]]
    n_more: int


def sort_of(kind: str, rank: int) -> str:
    """Say how an identifier of a namespace is drawn."""
    if rank >= DEVICE_RANK:
        return DEVICE
    return ADDRESS if kind in {"email", "phone"} else PERSON


def list_ends(membership: Membership, document: Mapping[str, Any], scope: Scope) -> list[End]:
    """Give a person's own identifiers, strongest first, as far as the scope reaches and their document tells them."""
    own = membership.profile_id
    told = {(one["namespace"], one["value"]) for one in document["identifiers"]}
    held = {one["field"] for one in document["withheld"]}
    return [
        End(profile_id(m.identifier_id), m.namespace, m.value, sort_of(m.namespace, m.rank), own, is_theirs=True)
        for m in membership.identifiers
        # A document has the first of very many: where nothing of a kind is withheld, all of it is told.
        if scope.allows(f"identifiers.{m.namespace}")
        and (f"identifiers.{m.namespace}" not in held or (m.namespace, m.value) in told)
    ]


def list_ties(links: Iterable[LinkEvidence], own: Sequence[End], epoch: int) -> list[Tie]:
    """Give the pairs that evidence is about: those that need somebody's judgement first, devices last."""
    theirs = {end.key for end in own}
    pairs: dict[tuple[int, int], list[LinkEvidence]] = {}
    for link in sorted(links, key=lambda one: one.position):
        pairs.setdefault((link.one.identifier_id, link.other.identifier_id), []).append(link)

    def order(told: list[LinkEvidence]) -> tuple[int, bool, int]:
        return _URGENT[_counting(told)], told[0].one.is_device or told[0].other.is_device, told[0].position

    ties = []
    for number, told in enumerate(sorted(pairs.values(), key=order), start=1):
        verdict = _counting(told)
        best = max((link for link in told if link.verdict == verdict), key=lambda link: (link.trust, -link.position))
        ties.append(
            Tie(
                number,
                _end(told[0].one, theirs),
                _end(told[0].other, theirs),
                verdict,
                _word(best, epoch),
                [_word(link, epoch) for link in told],
                best.position,
                may_cut=verdict in {"admitted", "soft", "refused"},
            )
        )
    return ties


def _counting(told: list[LinkEvidence]) -> str:
    return min((link.verdict for link in told), key=_COUNTS.index)


def _end(one: Named, theirs: set[str]) -> End:
    key = profile_id(one.identifier_id)
    return End(key, one.namespace, one.value, sort_of(one.namespace, one.rank), profile_id(one.root_id), key in theirs)


def _word(link: LinkEvidence, epoch: int) -> Word:
    return Word(
        event_id(link.position, epoch),
        rfc3339(link.event_at),
        RULES.get(link.rule, link.rule),
        TRUST_NAMES.get(link.trust, ""),
        link.source,
        link.verdict,
        link.reason,
    )


def step_of(told: Mapping[str, Any]) -> Step:
    """Give one step of a path, or one piece of direct evidence, from its document."""
    one, other = (told["from"], told["to"]) if "from" in told else (told["a"], told["b"])
    word = Word(
        told["event_id"],
        told["at"],
        RULES.get(told["rule"], told["rule"]),
        told["trust"],
        told["source"],
        told["verdict"],
        told["reason"],
    )
    return Step(pair_of(one, other), word)


def pair_of(one: str, other: str) -> Pair:
    """Part two identifiers from their namespaces."""
    kind, _, value = one.partition(":")
    other_kind, _, other_value = other.partition(":")
    return Pair(kind, value, other_kind, other_value)


def decision_view(told: Mapping[str, Any], position: int, undone: str = "") -> DecisionView:
    """Give one decision from its document."""
    return DecisionView(
        position,
        told["action"],
        told["kind"],
        pair_of(told["a"], told["b"]),
        told["at"],
        told["operator"],
        told["reason"],
        told["stands"],
        undone if told["kind"] == UNDO else "",
    )


def compare(left: Mapping[str, Any], right: Mapping[str, Any]) -> Compared:
    """Put two people's documents side by side: traits that differ first."""
    told = [{name: _cut(shown(held["value"])) for name, held in one["traits"].items()} for one in (left, right)]
    names = sorted(told[0].keys() | told[1].keys(), key=lambda name: (name not in told[0] or name not in told[1], name))
    differing = [
        (name, told[0].get(name, ""), told[1].get(name, "")) for name in names if told[0].get(name) != told[1].get(name)
    ]
    same = [(name, told[0][name]) for name in names if told[0].get(name) == told[1].get(name)]
    kept = same[: max(_MOST_TRAITS - len(differing), 0)]
    return Compared(
        _side(left),
        _side(right),
        differing[:_MOST_TRAITS],
        kept,
        len(names) - len(differing[:_MOST_TRAITS]) - len(kept),
    )


def _side(document: Mapping[str, Any]) -> Side:
    found = document["identifiers"]
    return Side(
        customer_view(dict(document)),
        [(one["namespace"], _cut(one["value"])) for one in found[:_MOST_IDENTIFIERS]],
        max(len(found) - _MOST_IDENTIFIERS, 0),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
