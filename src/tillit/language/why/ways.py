"""Ways: how far somebody came through the steps of a sequence.

In:    a sequence; what is kept of one person; an instant.
Out:   the events that went furthest.
Never: an answer: whether a sequence holds is the evaluator's to say.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from tillit.language.live import Person, _bounds, _Span, apart_tape, step_tape
from tillit.language.nodes import Sequence as Steps
from tillit.language.nodes import Step
from tillit.language.tapes import ENTRIES, Tape
from tillit.language.values import NEVER

place_of = itemgetter(0, 1)  # of an entry: when it happened, and its place in the log


def entries_of(person: Person, tape: Tape, at: int, within: int) -> list[Any]:
    """Give what stands on a tape within a time before an instant, in its order."""
    found: list[Any] = []
    for document in person.documents(tape.tape_id):
        low, high, _ = _bounds(document[ENTRIES], _Span(at - within, at, at))
        found += document[ENTRIES][low:high]
    return sorted(found, key=place_of)


class _Way(NamedTuple):
    """A way through the first steps of a sequence: its entries, in order."""

    entries: tuple[Sequence[Any], ...]

    @property
    def begun(self) -> int:
        return int(self.entries[0][0])


def furthest(node: Steps, person: Person, at: int) -> list[Sequence[Any]]:
    """Give the events that went furthest through a sequence; of several the latest begun, not denied first."""
    told = [
        [one for one in entries_of(person, step_tape(node, step.matcher), at, node.within) if is_whole(one)]
        for step in node.steps
    ]
    ways = [_Way((entry,)) for entry in told[0][-200:]]
    furthest = ways
    for step, entries in zip(node.steps[1:], told[1:], strict=True):
        apart = [] if step.without is None else entries_of(person, apart_tape(node, step.without), at, node.within)
        apart_places = [place_of(one) for one in apart]
        onward = []
        for entry in entries[-200:]:
            passed = bisect_right(apart_places, place_of(entry), hi=len(apart_places))
            while passed and apart_places[passed - 1] >= place_of(entry):
                passed -= 1
            since = apart_places[passed - 1] if passed else (-NEVER, 0)
            before = [way for way in ways if _goes_on(node, step, way, entry, since)]
            if before:
                onward.append(_Way((*max(before, key=lambda way: way.begun).entries, entry)))
        if not onward:
            break
        ways = furthest = onward
    if not furthest:
        return []
    return list(max(furthest, key=lambda way: (_is_undenied(node, way, person, at), way.begun)).entries)


def is_whole(entry: Sequence[Any]) -> bool:
    """Say whether an entry has all on which steps have to agree, each once."""
    return all(value is not None and type(value) is not list for value in entry[2:])


def _goes_on(node: Steps, step: Step, way: _Way, entry: Sequence[Any], since: tuple[int, int]) -> bool:
    last = way.entries[-1]
    return (
        place_of(last) < place_of(entry)
        and repr(last[2:]) == repr(entry[2:])
        and place_of(last) >= since
        and (step.gap is None or entry[0] - last[0] <= step.gap)
        and (node.total is None or entry[0] - way.begun <= node.total)
    )


def _is_undenied(node: Steps, way: _Way, person: Person, at: int) -> bool:
    if node.unless is None or len(way.entries) < len(node.steps):
        return True
    last = way.entries[-1]
    over = last[0] + node.unless_within
    denied = entries_of(person, apart_tape(node, node.unless), at, node.within)
    return over <= at and not any(place_of(one) > place_of(last) and one[0] <= over for one in denied)
