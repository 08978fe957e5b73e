"""The kinds of request, and what each needs before it is done.

In:    a kind; proofs of who asks.
Out:   whether the proofs are enough, and whether the request must rest first.
Never: a level from a channel that only the request named; a customer's word through a colleague without evidence.

Levels of proof: 0 claimed; 1 a channel that we knew before; 2 signed in, or a passkey; 3 a document.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from tillit.clock import HOUR
from tillit.errors import InputError, RefusedError

ACCESS, PORTABILITY, CORRECTION, RESTRICTION = "access", "portability", "correction", "restriction"
OBJECTION, WITHDRAWAL, ERASURE = "objection", "withdrawal", "erasure"

PERSON, OPERATOR, AGENT = "person", "operator", "agent"
ASKERS = (PERSON, OPERATOR, AGENT)
LEVELS = range(4)

# The reference's figure: long enough for the owner of a mailbox to see the notice and cancel.
COOLING_US = 72 * HOUR

_WORD = re.compile(r"[a-z][a-z_]{0,31}")
_REFERENCE = re.compile(r"[A-Za-z0-9][\w.:/#-]{0,79}", re.ASCII)


class Kind(NamedTuple):
    """What one kind of request needs. Grain: one per kind."""

    name: str
    level: int  # of proof
    parts: tuple[str, ...]  # what is to be done, each told by itself
    may_be_held: bool = False  # a legal hold keeps data; it never keeps somebody from seeing it
    rests_below: int = 0  # proved below this level it rests before it runs, so that the real person can cancel
    takes_two_channels: bool = False  # two known channels are enough, too
    may_repeat: bool = False  # a second one is about the same, so it may be closed as a duplicate


KINDS: dict[str, Kind] = {
    one.name: one
    for one in (
        Kind(ACCESS, 2, ("package",), rests_below=2, takes_two_channels=True, may_repeat=True),
        Kind(PORTABILITY, 2, ("package",), rests_below=2, takes_two_channels=True, may_repeat=True),
        Kind(CORRECTION, 2, ("correct",), may_be_held=True),
        Kind(RESTRICTION, 1, ("restrict",), may_repeat=True),
        # Saying no must cost nothing: nobody is harmed by a no that was not theirs as by a yes.
        Kind(OBJECTION, 0, ("object",), may_repeat=True),
        Kind(WITHDRAWAL, 1, ("withdraw",), may_repeat=True),
        Kind(ERASURE, 1, ("erase",), may_be_held=True, rests_below=2, may_repeat=True),
    )
}


class UnknownKind(InputError):
    """A kind of request was named that there is not."""

    code = "privacy.unknown-kind"

    def __init__(self, kind: str) -> None:
        """Name the nearest one."""
        near = get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"There is no such kind of request.{hint} There are: {', '.join(KINDS)}.", kinds=list(KINDS))


class EvidenceMissing(RefusedError):
    """A colleague or an agent spoke for a customer without a reference to evidence."""

    code = "privacy.no-evidence"

    def __init__(self, what: str) -> None:
        """Say what is missing and how it is written."""
        super().__init__(
            f"{what} Give the reference under which it is kept, such as ticket-4711: letters, digits and . : / # - _, "
            "at most 80. Never a name or an address.",
        )


class BadProof(InputError):
    """A proof of who asks is not written as one."""

    code = "privacy.bad-proof"

    def __init__(self, part: str, wanted: str) -> None:
        """Name the part and how it is written."""
        super().__init__(f"The {part} of a proof must be {wanted}.", part=part)


class Proof(NamedTuple):
    """How somebody proved who they are. Grain: one per act."""

    level: int
    via: str  # the means: email, phone, session, passkey, document, in_person
    by_whom: str = PERSON  # who says so: the person, or a colleague's id
    evidence: str = ""  # a colleague's: where it is kept


class Judged(NamedTuple):
    """What proofs amount to."""

    level: int
    is_enough: bool
    must_rest: bool


def kind_of(name: str) -> Kind:
    """Give a kind by its name. Raises UnknownKind."""
    found = KINDS.get(name)
    if found is None:
        raise UnknownKind(name)
    return found


def check_proof(proof: Proof) -> None:
    """Refuse what is no proof. Raises BadProof, EvidenceMissing."""
    if proof.level not in LEVELS:
        raise BadProof("level", "0, 1, 2 or 3")
    if not _WORD.fullmatch(proof.via):
        raise BadProof("means", "a short word such as email, phone, session, passkey, document or in_person")
    if proof.via == AGENT:
        raise BadProof("means", "the customer's own: what an agent says proves nothing of the customer")
    if proof.by_whom != PERSON and not proof.evidence:
        raise EvidenceMissing("A colleague may say who a customer is only with evidence.")
    check_reference(proof.evidence)


def check_reference(text: str) -> None:
    """Refuse what may be somebody's words or address in the place of a reference. Raises EvidenceMissing."""
    if text and not _REFERENCE.fullmatch(text):
        raise EvidenceMissing("That is no reference.")


def judge_proofs(kind: Kind, proofs: Iterable[Proof], *, asked_by: str) -> Judged:
    """Say whether proofs are enough for a kind of request. Their order does not count.

    >>> judge_proofs(KINDS["erasure"], [Proof(1, "email")], asked_by="person")
    Judged(level=1, is_enough=True, must_rest=True)
    """
    told = list(proofs)
    level = max((one.level for one in told), default=0)
    # An agent's mandate can be forged: the customer answers for themselves, whatever the kind.
    needed = max(kind.level, 1) if asked_by == AGENT else kind.level
    is_two = kind.takes_two_channels and level == 1 and len({one.via for one in told if one.level == 1}) > 1
    is_enough = level >= needed or is_two
    return Judged(level, is_enough, is_enough and level < kind.rests_below)
