"""Lasting: until when a change of a person would do.

In:    a definition; the person on whom changes are tried; acts that give the wanted answer.
Out:   the instant at which they would no longer do.
Never: a later instant than the right one.
"""

from bisect import bisect_right
from collections.abc import Iterator

from tillit.language.imagined import Imagined
from tillit.language.live import compile_condition, inputs_of
from tillit.language.nodes import MOVING, Absolute, Compare, Condition, EventValue, FirstTime, Regularly, Restarted
from tillit.language.nodes import Sequence as Steps
from tillit.language.tapes import ENTRIES
from tillit.language.values import NEVER
from tillit.language.why.proposals import MOST_EVENTS
from tillit.language.why.trial import Acts, Trial
from tillit.language.why.turning import leaves_of, next_turn, settled_by, tries, turn_of_tests

_MOST_DEADLINES = 1_000  # turns that are tried with a change


def deadline(node: Condition, trial: Trial, acts: Acts, *, wanted: bool) -> int | None:
    """Give the first instant at which the acts would no longer do, or one before it; None when they always would."""
    answers = compile_condition(node)
    leaves = list(leaves_of(node))
    beside = sorted({turn for leaf in leaves for turn in _turns_beside(leaf, trial)})
    settled = settled_by(leaves, trial.person, trial.at)
    moving = [leaf for leaf in leaves if isinstance(leaf, Compare) and any(test.op in MOVING for test in leaf.tests)]
    now = trial.at
    for _ in range(tries(node, trial.person, _MOST_DEADLINES)):
        following = bisect_right(beside, now)
        turns = [next_turn(leaf, trial.person, now, settled) for leaf in leaves]
        imagined = Imagined(trial.person, trial.tapes if moving else (), acts, now)
        # What the acts would set may turn with time as well.
        turns += [turn_of_tests(leaf, imagined, now) for leaf in moving]
        now = min([*turns, *beside[following : following + 1]], default=NEVER)
        if now >= NEVER:
            return None
        if trial.gives(answers, acts, now) != wanted:
            break
    return now


def _turns_beside(leaf: Condition, trial: Trial) -> Iterator[int]:
    """Give instants from which an event that happens then would count in another way."""
    spans: set[int] = set()
    match leaf:
        case Compare(EventValue(_, Absolute() as limits, _), _) | FirstTime(_, Absolute() as limits):
            yield from (turn for turn in (limits.from_at, limits.until_at) if turn is not None)
        case Steps(steps, within, total, _, _, unless_within):
            spans = {within, unless_within + 1, (total or within) + 1}
            spans |= {step.gap + 1 for step in steps if step.gap is not None}
        case Restarted(_, within, quiet):
            spans = {within, quiet}
        case Regularly(_, every, _, of):
            spans = {every * one for one in range(1, of + 1)}
    if not spans:
        return
    for tape in inputs_of(leaf).tapes:
        for document in trial.person.documents(tape.tape_id):
            for entry in document[ENTRIES][-MOST_EVENTS:]:
                yield from (turn for one in spans if (turn := entry[0] + one) > trial.at)
