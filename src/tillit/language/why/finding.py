"""Finding: what each part of a definition found of one person.

In:    a part; what is kept of the person; an instant.
Out:   its value, in words, what it is compared with, and the events that decide.
Never: whether it holds: that is the evaluator's to say.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from tillit.language.groups import is_meant
from tillit.language.live import (
    Person,
    _bounds,
    _first_tape,
    _restart_tape,
    _Span,
    _span_finder,
    apart_tape,
    compile_condition,
    compile_value,
    draw,
    main_tape,
    regular_tape,
)
from tillit.language.nodes import (
    Compare,
    EventValue,
    Everybody,
    FirstTime,
    InAudience,
    InGroup,
    Permitted,
    Regularly,
    Restarted,
    Sample,
    TraitValue,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.sentences import events, instant, sentence, span, threshold, window
from tillit.language.tapes import B_FIRST, B_LAST, B_PATHS, BASE, ENTRIES, P_FIRST, P_LAST, value_key
from tillit.language.values import at_path
from tillit.language.why.ways import entries_of, furthest, place_of
from tillit.language.why.wording import told_value

_MOST_TOLD = 10  # groups, and members of each, that are named


class Found(NamedTuple):
    """What a part found. `deciding`: entries, of which the first two are when and where.

    `people`: the profile ids that `told` names.
    """

    value: Any
    told: str
    threshold: str
    deciding: Sequence[Sequence[Any]] = ()
    people: tuple[str, ...] = ()


def _found_compare(node: Compare, person: Person, at: int) -> Found:
    value = compile_value(node.value)(person, at)[0]
    compared = " and ".join(threshold(test) for test in node.tests)
    deciding = _deciding_of_value(node.value, person, at, value) if isinstance(node.value, EventValue) else ()
    return Found(value, told_value(value), compared, deciding)


def _deciding_of_value(node: EventValue, person: Person, at: int, value: Any) -> list[Sequence[Any]]:
    kind = node.aggregate.kind
    limits = _span_finder(node.window)(person, at)
    found: list[Sequence[Any]] = []
    for document in person.documents(main_tape(node).tape_id):
        entries, base = document[ENTRIES], document[BASE]
        low, high, _ = _bounds(entries, limits)
        found += entries[low:high]
        if base is not None and kind in ("first", "last"):
            told = base[B_PATHS][0][P_FIRST if kind == "first" else P_LAST]
            found += [told] if told is not None else []
        elif base is not None:
            found += [place for place in (base[B_FIRST], base[B_LAST]) if place is not None]
    if not node.aggregate.path:
        return found
    if kind in ("first", "last"):
        valued = [entry for entry in found if len(entry) > 2 and entry[2] is not None]
        return [(min if kind == "first" else max)(valued, key=place_of)] if valued else []
    if kind in ("minimum", "maximum", "most_frequent"):
        return [entry for entry in found if len(entry) < 3 or _has_value(entry[2], value)]
    return [entry for entry in found if len(entry) < 3 or entry[2] is not None]


def _has_value(held: Any, value: Any) -> bool:
    if value is None or held is None:
        return False
    return any(value_key(one) == value_key(value) for one in (held if isinstance(held, list) else [held]))


def _found_first_time(node: FirstTime, person: Person, at: int) -> Found:
    places = []
    for document in person.documents(_first_tape(node.matcher).tape_id):
        places += [document[BASE][B_FIRST]] if document[BASE][B_FIRST] is not None else []
        places += [entry for entry in document[ENTRIES][:1] if entry[0] <= at]
    first = min((place for place in places if place[0] <= at), key=place_of, default=None)
    told = "never" if first is None else instant(first[0])
    return Found(None if first is None else first[0], told, window(node.window), () if first is None else (first,))


def _found_restarted(node: Restarted, person: Person, at: int) -> Found:
    places: list[Sequence[Any]] = []
    for document in person.documents(_restart_tape(node).tape_id):
        places += [document[BASE][B_LAST]] if document[BASE][B_LAST] is not None else []
        places += document[ENTRIES]
    places = sorted((place for place in places if place[0] <= at), key=place_of)
    pairs = [(now[0] - before[0], before, now) for before, now in pairwise(places) if now[0] > at - node.within]
    compared = f"a pause of at least {span(node.quiet)}"
    if not pairs:
        return Found(None, "no pause that ended in time", compared, places[-1:])
    pause, before, now = max(pairs, key=itemgetter(0))
    return Found(pause, f"a pause of {span(pause)}", compared, (before, now))


def _found_regularly(node: Regularly, person: Person, at: int) -> Found:
    newest: dict[int, Sequence[Any]] = {}
    for document in person.documents(regular_tape(node).tape_id):
        low, high, _ = _bounds(document[ENTRIES], _Span(at - node.every * node.of, at, at))
        for entry in document[ENTRIES][low:high]:
            stretch = (at - entry[0]) // node.every
            if stretch not in newest or place_of(newest[stretch]) < place_of(entry):
                newest[stretch] = entry
    told = f"{len(newest)} of {node.of}"
    return Found(len(newest), told, f"at least {node.at_least} of {node.of}", list(newest.values()))


def _found_sequence(node: Steps, person: Person, at: int) -> Found:
    way = furthest(node, person, at)
    n, of = len(way), len(node.steps)
    told = f"{n} of {of} {'step' if of == 1 else 'steps'}"
    if node.unless is not None and n == of:
        over = way[-1][0] + node.unless_within
        denied = [one for one in entries_of(person, apart_tape(node, node.unless), at, node.within)
                  if place_of(one) > place_of(way[-1]) and one[0] <= over]  # fmt: skip
        if denied:
            return Found(n, f"{told}, and then {events(node.unless)}", f"{of} of {of}", [*way, denied[0]])
        if over > at:
            told = f"{told}, and waiting until {instant(over)}"
    return Found(n, told, f"{of} of {of}", way)


def _found_audience(node: InAudience, person: Person, at: int) -> Found:
    is_member = person.is_member(node.name, at)[0]
    return Found(is_member, "a member" if is_member else "no member", "a member")


def _found_permitted(node: Permitted, person: Person, at: int) -> Found:
    may = person.may(node.purpose, at)[0]
    return Found(may, "permitted" if may else "not permitted", "permitted")


def _found_sample(node: Sample, person: Person, _at: int) -> Found:
    share = draw(node.salt, person.profile_id)
    return Found(share, f"{share:.2%}", f"from {node.from_share:.2%} up to {node.until_share:.2%}")


def _found_group(node: InGroup, person: Person, at: int) -> Found:
    relations = person.relations()
    places = [one for one in relations.places(at)[0] if is_meant(node, one)]
    each = [_told_of_group(node, person, one.group_key, one.role, at) for one in places[:_MOST_TOLD]]
    told = "; ".join(said for said, _ in each)
    if len(places) > _MOST_TOLD:
        told += f"; and {len(places) - _MOST_TOLD} more"
    people = tuple(dict.fromkeys(one for _, named in each for one in named))
    return Found([one.group_key for one in places], told or "in no such group", "", people=people)


def _told_of_group(node: InGroup, person: Person, group_key: str, role: str | None, at: int) -> tuple[str, list[str]]:
    """Write what a group is to a part of a definition; give with it the profile ids that stand in it."""
    relations = person.relations()
    told: list[str] = []
    named: list[str] = []
    if role is not None:
        told.append(f"as {role}")
    if node.trait:
        held = relations.trait(group_key, node.trait[0], node.purpose, at)[0]
        told.append(f"{sentence(TraitValue(node.trait))} is {told_value(at_path(held, node.trait[1:]))}")
    if (node.sizes or node.member is not None) and not relations.is_near(group_key):
        told.append("too large a group: only the first thousand are looked at")
    elif node.sizes or node.member is not None:
        members = relations.members(group_key, node.purpose, at)[0]
        told.append(f"{len(members)} {'member' if len(members) == 1 else 'members'} whom the purpose may use")
        if node.member is not None:
            holding = set(relations.holding(group_key, node.purpose, at, compile_condition(node.member))[0])
            if node.others_only:
                holding.discard(person.profile_id)
            named = [one for one in sorted(holding) if relations.may_name(one)][:_MOST_TOLD]
            fits = f"{len(holding)} {'fits' if len(holding) == 1 else 'fit'}"
            told.append(f"{fits}: {', '.join(named)}" if named else fits)
    return f"{group_key} ({', '.join(told)})" if told else group_key, named


FOUND: dict[type, Callable[[Any, Person, int], Found]] = {
    Compare: _found_compare,
    FirstTime: _found_first_time,
    Restarted: _found_restarted,
    Regularly: _found_regularly,
    Steps: _found_sequence,
    InAudience: _found_audience,
    Permitted: _found_permitted,
    Sample: _found_sample,
    InGroup: _found_group,
    Everybody: lambda _node, _person, _at: Found(True, "everybody", ""),
}
