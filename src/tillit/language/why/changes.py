"""Changes: the smallest change found that turns an answer.

In:    a definition; the person on whom changes are tried; the wanted answer.
Out:   acts, since when and until when they do, in words.
Never: a change that was not tried.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tillit.clock import SECOND
from tillit.language.imagined import Act, Imagined
from tillit.language.live import Answers, Person, compile_condition
from tillit.language.nodes import AllOf, AnyOf, Condition, InGroup, Not
from tillit.language.sentences import instant
from tillit.language.tapes import Tape
from tillit.language.why.lasting import deadline
from tillit.language.why.proposals import PROPOSALS
from tillit.language.why.trial import Acts, Trial
from tillit.language.why.turning import leaves_of, next_change, tries
from tillit.language.why.wording import said_of, worded

_MOST_OPTIONS = 4  # changes of one part that are tried together with those of others
_MOST_TRIALS = 400  # of changes of one part
_MOST_WAITS = 20  # changes of one part after which it is looked whether time does the rest


class Change(NamedTuple):
    """What would turn an answer. `holds_from`: the instant at which it turns: that of the question, or a later one.

    `before`: of what turns it at once, it works until then; None: without end.
    """

    acts: tuple[Act, ...]
    holds_from: int
    before: int | None
    words: str


def change_of(node: Condition, person: Person, tapes: Sequence[Tape], at: int, *, wanted: bool) -> Change | None:
    """Find the smallest change that gives the wanted answer, among those tried."""
    trial = Trial(person, tapes, at)
    options = _options(node, trial, wanted=wanted)
    return _at_once(node, trial, options[0], wanted=wanted) if options else None


def change_in_time(node: Condition, trial: Trial, until: int | None, *, wanted: bool) -> Change | None:
    """Find acts after which time alone gives the wanted answer, earlier than it would without them."""
    found: list[tuple[int, Acts]] = []
    answers = compile_condition(node)
    for leaf in leaves_of(node):
        proposed = (acts for turned in (True, False) for acts in _proposed(leaf, trial, wanted=turned))
        for acts in islice(proposed, max(2, tries(node, trial.person, 10 * _MOST_WAITS) // 10)):
            if trial.gives(answers, acts) == wanted:
                return _at_once(node, trial, _shrunk(answers, trial, acts, wanted=wanted), wanted=wanted)
            then, is_sure = next_change(node, Imagined(trial.person, trial.tapes, acts, trial.at), trial.at)
            if is_sure and then is not None and (until is None or then < until):
                found.append((then, acts))
    if not found:
        return None
    then, acts = min(found, key=lambda one: (_cost(one[1]), one[0]))
    return Change(
        worded(acts), then, None, f"{said_of(acts, wanted=wanted)}, and then nothing else until {instant(then)}"
    )


def _at_once(node: Condition, trial: Trial, acts: Acts, *, wanted: bool) -> Change:
    before = deadline(node, trial, acts, wanted=wanted)
    when = "" if before is None else f" before {instant(before)}"
    if before is not None and before % SECOND == 1:
        when = f" by {instant(before - 1)}"  # it does at that instant, and not after it
    return Change(worded(acts), trial.at, before, f"{said_of(acts, wanted=wanted)}{when}")


def _cost(acts: Acts) -> tuple[int, int, int]:
    """Count what has to happen; of as many things events and traits come before what others decide."""
    others = sum(act.kind not in ("event", "trait") for act in acts)
    return sum(act.n for act in acts), others, len(acts)


def _options(node: Condition, trial: Trial, *, wanted: bool) -> list[Acts]:
    """Give changes that make a part give the wanted answer, each tried, the smallest first."""
    answers = compile_condition(node)
    if answers(trial.person, trial.at)[0] == wanted:
        return [()]
    if isinstance(node, Not):
        return _options(node.condition, trial, wanted=not wanted)
    if isinstance(node, AllOf | AnyOf):
        each = [_options(one, trial, wanted=wanted) for one in node[0]]
        proposed = _together(each) if isinstance(node, AllOf) == wanted else _one_of(each)
    else:
        proposed = _proposed(node, trial, wanted=wanted)
    found: list[Acts] = []
    for acts in islice(proposed, tries(node, trial.person, _MOST_TRIALS)):
        if acts and trial.gives(answers, acts) == wanted:
            small = _shrunk(answers, trial, acts, wanted=wanted)
            if small not in found:
                found.append(small)
            if len(found) == _MOST_OPTIONS:
                break
    return sorted(found, key=_cost)


def _proposed(node: Condition, trial: Trial, *, wanted: bool) -> Iterator[Acts]:
    """Propose what could happen, which may be of no use."""
    if isinstance(node, InGroup):
        return _for_group(node, trial, wanted=wanted)
    return PROPOSALS[type(node)](node, trial, wanted)


def _for_group(node: InGroup, trial: Trial, *, wanted: bool) -> Iterator[Acts]:
    """Give what the person themselves could do: what others do, and who belongs to a group, is not theirs."""
    if node.member is not None and not node.others_only:
        for turned in (wanted, not wanted):
            yield from _options(node.member, trial, wanted=turned)


def _one_of(each: Sequence[Sequence[Acts]]) -> Iterator[Acts]:
    yield from sorted((acts for options in each for acts in options if acts), key=_cost)


def _together(each: Sequence[Sequence[Acts]]) -> Iterator[Acts]:
    if not all(each):
        return  # one part cannot be had
    first = [options[0] for options in each]
    yield from sorted(first, key=_cost)  # what serves one part may serve all
    yield _merged(_joined(first))
    yield _joined(first)
    yield _joined(reversed(first))
    for place, options in enumerate(each):
        for other in options[1:]:
            yield _joined([*first[:place], other, *first[place + 1 :]])


def _joined(several: Iterable[Acts]) -> Acts:
    return tuple(act for acts in several for act in acts)


def _merged(acts: Acts) -> Acts:
    """Let an event that several parts want happen as often as the one that wants it most."""
    most: dict[str, Act] = {}
    for act in acts:
        key = repr(act._replace(n=1, words=""))
        if key not in most or most[key].n < act.n:
            most[key] = act
    return tuple(most.values())


def _shrunk(answers: Answers, trial: Trial, acts: Acts, *, wanted: bool) -> Acts:
    """Leave out what is not needed."""
    place = 0
    while place < len(acts):
        act = acts[place]

        def works(n: int, acts: Acts = acts, place: int = place, act: Act = act) -> bool:
            return trial.gives(answers, _with_n(acts, place, act, n)) == wanted

        fewer = _fewest(works, act.n)
        acts = _with_n(acts, place, act, fewer)
        place += fewer > 0
    return acts


def _with_n(acts: Acts, place: int, act: Act, n: int) -> Acts:
    return (*acts[:place], *((act._replace(n=n),) if n else ()), *acts[place + 1 :])


def _fewest(works: Callable[[int], bool], n: int) -> int:
    """Give a number that works, of which one less does not; `n` works."""
    if works(0):
        return 0
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    return high
