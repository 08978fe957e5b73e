"""Judging people again of whom more was said, so that a question about many is one join.

In:    identifiers of which something new was said; who holds them, and what decisions about them hang on.
Out:   permissions of these people.
Never: a decision of its own: `consent/` says what each stretch of time comes to.
"""

from collections.abc import Callable, Collection

from tillit.consent import (
    Declared,
    Judged,
    find_due,
    hangs_on_choice,
    keep_judged,
    lanes_of,
    policy_in_force,
    stretches,
    terms_of,
)
from tillit.flow.subjects import read_known
from tillit.identity import DEVICE_RANK, find_membership, identifier_of, profile_id
from tillit.store import Reading, State

# People judged in one transaction, between two micro-batches: some 10 ms.
AT_ONCE = 25


def judge_due(state: State, *, adult_age: int, most: int = AT_ONCE, hold: Callable[[], None] = lambda: None) -> int:
    """Judge again some of those of whom more was said, or all while purposes have changed; say how many (0: none are).

    Only who folds may call it. `hold` is called before the state is changed.
    """
    declared = policy_in_force(state)
    terms = terms_of(declared, adult_age)
    if not find_due(state, terms, most=1):
        return 0
    hold()
    with state.transaction() as tx:
        due = find_due(tx, terms, most=most)
        keep_judged(tx, due, judge(tx, declared, due, adult_age=adult_age), terms=terms)
    return len(due)


def judge(reading: Reading, declared: Declared, ids: Collection[int], *, adult_age: int) -> Judged:
    """Say what whoever holds some identifiers is judged to be, by the root of their identifiers."""
    lanes = lanes_of(declared)
    with_facts = any(hangs_on_choice(declared, name) for name in declared.purposes)
    found: Judged = {}
    for root in sorted(roots_of(reading, ids)):
        membership = find_membership(reading, profile_id(root))
        if membership is None:
            continue
        of = identifier_of(membership.profile_id)
        if of is None or of in found:
            continue
        known = read_known(reading, membership, adult_age=adult_age, epoch=1, with_facts=with_facts)
        found[of] = stretches(declared, lanes, known.at, turns=known.turns())
    return found


def roots_of(reading: Reading, ids: Collection[int]) -> set[int]:
    """Give the roots of whoever holds identifiers, or has had them for a time."""
    rows = reading.read_in("SELECT identifier_id, root_id, rank FROM identifier WHERE identifier_id IN {in}", [*ids])
    devices = [identifier_id for identifier_id, _, rank in rows if rank >= DEVICE_RANK]
    held = reading.read_in(
        "SELECT t.identifier_id, h.root_id FROM tenure t JOIN identifier h ON h.identifier_id = t.holder_id "
        "WHERE t.identifier_id IN {in}",
        devices,
    )
    return {root for _, root, _ in rows} | {root for _, root in held}
