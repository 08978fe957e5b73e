"""Definitions are read aloud: every part of them is heard, and versions are compared by what is heard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.language.small_world import NOON, SmallPerson, conditions, event_values, people
from tillit.language import nodes
from tillit.language.instants import LONGEST
from tillit.language.live import compile_condition
from tillit.language.nodes import AllOf, AnyOf, Condition, Not
from tillit.language.reading import read_condition, read_value
from tillit.language.sentences import difference, lines, sentence
from tillit.language.writing import to_plain

ORDERS = "event: Order Completed"

SAID = {
    f"{{{ORDERS}}}": "Order Completed happened",
    f"{{{ORDERS}, count: 0}}": "Order Completed never happened",
    f"{{{ORDERS}, where: {{total: {{greater: 50}}}}, within: 90d, count: {{at_least: 2}}}}": (
        "Order Completed with total over 50 happened at least 2 times in the last 90 days"
    ),
    f"{{{ORDERS}, within: 1d, count: {{less: 2}}}}": "Order Completed happened fewer than 2 times in the last 24 hours",
    f"{{{ORDERS}, within: 1h, count: 1}}": "Order Completed happened exactly once in the last hour",
    f"{{{ORDERS}, within: 90m, count: {{between: [1, 3]}}}}": (
        "Order Completed happened from 1 to 3 times in the last 1 hour 30 minutes"
    ),
    f"{{{ORDERS}, within: 2y, count: {{at_least: 2, at_most: 1250.5}}}}": (
        "the number of Order Completed in the last 2 years is at least 2 and is at most 1,250.5"
    ),
    f"{{not: {{{ORDERS}, within: 30d}}}}": "Order Completed did not happen in the last 30 days",
    "{event: '*', within: 1h, count: 0}": "no event happened in the last hour",
    "{page: [Home, Sale], count: 0}": "none of the pages Home and Sale was viewed",
    "{screen: Home, since_last: {page: '*'}, within: 7d}": (
        "screen Home was viewed since the last view of any page (at most 7 days back)"
    ),
    f"{{{ORDERS}, since_last: {{{ORDERS}}}}}": "Order Completed happened since the last Order Completed",
    f"{{{ORDERS}, within: 30d, older_than: 7d}}": "Order Completed happened between 7 and 30 days ago",
    f"{{{ORDERS}, within: 30d, older_than: 12h}}": "Order Completed happened between 12 hours and 30 days ago",
    f"{{{ORDERS}, older_than: 30d}}": "Order Completed happened at least 30 days ago",
    f"{{{ORDERS}, session: 30m}}": "Order Completed happened in the present visit (pauses of at most 30 minutes)",
    f"{{{ORDERS}, from: '2026-01-01', until: '2026-02-01T09:30Z'}}": (
        "Order Completed happened from 2026-01-01 (UTC) and before 2026-02-01T09:30Z"
    ),
    f"{{{ORDERS}, until: '2026-02-01'}}": "Order Completed happened before 2026-02-01 (UTC)",
    f"{{{ORDERS}, calendar: {{unit: month, zone: Europe/Stockholm}}}}": (
        "Order Completed happened this month (Europe/Stockholm)"
    ),
    f"{{{ORDERS}, calendar: {{unit: day, back: 1}}}}": "Order Completed happened yesterday (UTC)",
    f"{{{ORDERS}, calendar: {{unit: week, back: 2}}}}": "Order Completed happened in the week 2 weeks ago (UTC)",
    f"{{{ORDERS}, calendar: {{unit: day, back: 3, length: 3}}}}": (
        "Order Completed happened in the 3 days before today (UTC)"
    ),
    f"{{{ORDERS}, calendar: {{unit: year, back: 2, length: 3}}}}": (
        "Order Completed happened this year or in the 2 years before (UTC)"
    ),
    f"{{{ORDERS}, calendar: {{unit: quarter, length: 2}}}}": (
        "Order Completed happened this quarter or in the 1 quarter after (UTC)"
    ),
    f"{{{ORDERS}, calendar: {{unit: month, back: 4, length: 2}}}}": (
        "Order Completed happened from the month 4 months ago to the month 3 months ago (UTC)"
    ),
    f"{{{ORDERS}, within: 90d, sum: {{of: total, greater: 1250}}}}": (
        "the sum of total of Order Completed in the last 90 days is over 1,250"
    ),
    f"{{{ORDERS}, most_frequent: {{of: brand.name, equals: Ek}}}}": (
        'the most frequent brand.name of Order Completed is "Ek"'
    ),
    f"{{{ORDERS}, where: {{any: [{{a: 1}}, {{b: {{between: [1, 2]}}}}], c: [x, y]}}}}": (
        'Order Completed with (a 1 or b from 1 to 2) and c one of "x", "y" happened'
    ),
    f"{{{ORDERS}, where: {{items: {{some: {{sku: X, price: {{greater: 3, less: 9}}}}}}}}}}": (
        'Order Completed with at least one of items with (sku "X" and (price over 3 and under 9)) happened'
    ),
    "{trait: plan, equals: pro}": 'plan is "pro"',
    "{trait: vip, equals: true}": "vip is true",
    "{not: {trait: plan, equals: pro}}": 'plan is not "pro"',
    "{not: {trait: age, at_least: 18}}": "it is not so that age is at least 18",
    "{trait: [address.city], is_missing: true}": '"address.city" is missing',
    "{trait: birthday, within_next: 7d}": "birthday is in the next 7 days",
    "{trait: seen, more_than_ago: 1d}": "seen is at least 24 hours ago",
    "{feature: lifetime value, at_most: 5}": "feature lifetime value is at most 5",
    f"{{first_time: {{{ORDERS}, within: 30d}}}}": "Order Completed happened for the first time in the last 30 days",
    f"{{restarted: {{{ORDERS}, within: 7d, quiet: 90d}}}}": (
        "Order Completed happened in the last 7 days after a pause of at least 90 days"
    ),
    f"{{regularly: {{{ORDERS}, every: 7d, at_least: 3, of: 4}}}}": (
        "Order Completed happened in at least 3 of the last 4 stretches of 7 days"
    ),
    f"{{stopped: {{{ORDERS}, quiet: 30d, active: 90d}}}}": (
        "Order Completed happened between 30 and 120 days ago, and Order Completed did not happen in the last 30 days"
    ),
    """{sequence: {steps: [{page: Cart}, {event: Checkout Started, within: 1h, without: {event: [A, B]}}],
        within: 7d, total: 2h, same: cart_id, unless: {event: Order Completed, within: 1d}}}""": (
        "a view of page Cart, then within 1 hour Checkout Started (and none of A and B in between), all in the last "
        "7 days with the same cart_id, at most 2 hours from first to last, and no Order Completed within 24 hours "
        "after the last of them"
    ),
    f"{{sequence: {{steps: [{{event: A}}], within: 7d, unless: {{{ORDERS}, within: 1h}}}}}}": (
        "A in the last 7 days, and no Order Completed within 1 hour after it"
    ),
    "{any: [{audience: loyal}, {all: [{permitted: newsletter}, {sample: {salt: a, from: 0.07, until: 0.3}}]}]}": (
        "in the audience loyal, or (use for newsletter is permitted, and in the part from 7% to 30% of everybody as "
        "drawn by a)"
    ),
    "{not: {any: [{audience: loyal}, everybody]}}": "none of these: (in the audience loyal; everybody)",
    "{not: {not: {audience: loyal}}}": "in the audience loyal",
    "{not: everybody}": "nobody",
    "{not: {audience: 'a, b'}}": 'not in the audience "a, b"',
}


@pytest.mark.parametrize(("plain", "said"), SAID.items(), ids=list(SAID.values()))
def test_a_definition_is_read_aloud(plain: str, said: str) -> None:
    assert sentence(read_condition(yaml.safe_load(plain))) == said


@settings(max_examples=200)
@given(node=conditions)
def test_every_part_of_a_definition_is_heard(node: Condition) -> None:
    said = sentence(node)

    deaf = [other for other in altered(node) if sentence(other) == said and not means_the_same(node, other)]

    assert deaf == []


def altered(node: Any) -> Iterator[Any]:
    """Give definitions that differ in one place."""
    for place, one in enumerate(node):
        name = node._fields[place] if hasattr(node, "_fields") else ""
        if name == "unless_within" and node.unless is None:
            continue
        if name in ("kind", "op") and not isinstance(node, nodes.Aggregate | nodes.Test):
            continue
        for other in others(node, name, one):
            yield node._replace(**{name: other}) if name else (*node[:place], other, *node[place + 1 :])


def others(node: Any, name: str, one: Any) -> Iterator[Any]:
    if isinstance(node, nodes.Test) and name == "op":
        alike = [
            {"greater", "at_least", "less", "at_most"},
            {"starts_with", "ends_with", "contains", "not_contains", "matches"},
            {"equals", "not_equals"},
            {"one_of", "none_of", "all_of"},
            {"within_last", "more_than_ago", "within_next"},
            {"before", "after"},
            {"is_set", "is_missing"},
        ]
        yield from (other for ops in alike if one in ops for other in ops - {one})
    elif isinstance(node, nodes.Aggregate):
        if name == "kind" and one != "count":
            yield from set(nodes.AGGREGATES) - {"count", one}
        elif name == "path" and one:
            yield (*one, "deeper")
    elif isinstance(node, nodes.Calendar) and name in ("unit", "zone"):
        yield from {"day", "week", "month", "quarter", "year"} - {one} if name == "unit" else {"Asia/Tokyo"}
    elif isinstance(node, nodes.Matcher) and name == "type":
        yield from {"page", "screen", "track"} - {one} if node.names else {"page", "screen", "*"} - {one}
    elif isinstance(node, nodes.Nested) and name == "quantifier":
        yield from {"some", "every", "none"} - {one}
    elif name == "names" and one:
        yield (*one, "Zoo")
    elif isinstance(one, bool):
        yield not one
    elif isinstance(one, int):
        yield one + 1_000_000 if abs(one) > 10_000 else one + 1
    elif isinstance(one, float):
        yield one + 0.5
    elif isinstance(one, str):
        yield f"{one}y"
    elif isinstance(one, tuple):
        yield from altered(one)


def means_the_same(node: Condition, other: Condition) -> bool:
    """Say whether two definitions are the same in other words, as counts at least 1 and not 0 are."""
    return bool(counts_turned(node) == counts_turned(other))


_SOME = {("at_least", 1.0), ("greater", 0.0)}
_NONE = {("less", 1.0), ("at_most", 0.0), ("equals", 0.0)}


def counts_turned(node: Any) -> Any:
    match node:
        case Not(Not(inner)):
            return counts_turned(inner)
        case Not(
            nodes.Compare(nodes.EventValue(_, _, nodes.Aggregate("count")) as value, (nodes.Test("at_least", 1.0),))
        ):
            return counts_turned(nodes.Compare(value, (nodes.Test("equals", 0.0),)))
        case nodes.Compare(nodes.EventValue(_, _, nodes.Aggregate("count")) as value, (nodes.Test(op, wanted),)):
            if (op, wanted) in (("at_least", 1.0), ("greater", 0.0), ("not_equals", 0.0)):
                return "some", counts_turned(value)
            if (op, wanted) in (("less", 1.0), ("at_most", 0.0), ("equals", 0.0)):
                return "none", counts_turned(value)
        case Not(nodes.Compare(value, (nodes.Test(op, wanted),))) if op in nodes.OPPOSITE:
            return counts_turned(nodes.Compare(value, (nodes.Test(nodes.OPPOSITE[op], wanted),)))
        case AllOf((inner,)) | AnyOf((inner,)):
            return counts_turned(inner)
        case nodes.InGroup() if node.purpose or (node.others_only and node.member is None):
            # Nobody writes a purpose there, and there are others of members alone.
            return counts_turned(node._replace(purpose="", others_only=node.others_only and node.member is not None))
        case nodes.InGroup(counts=(nodes.Test(op, wanted),)) if (op, wanted) in _SOME | _NONE:
            return "some" if (op, wanted) in _SOME else "none", counts_turned(node._replace(counts=()))
        case nodes.Rolling(within, older) if within >= LONGEST:
            return "ever", older
    if isinstance(node, tuple):
        return type(node).__name__, tuple(counts_turned(one) for one in node)
    return repr(node)


@given(plain=event_values())
def test_a_value_is_read_aloud(plain: dict[str, Any]) -> None:
    said = sentence(read_value(plain))

    assert said.startswith("the ")
    assert "  " not in said
    assert said == said.strip()


@given(node=conditions)
def test_rows_say_what_the_sentence_says(node: Condition) -> None:
    rows = lines(node)

    assert rows[0].depth == 0
    assert rows[0].joined == ""
    for before, row in itertools.pairwise(rows):
        assert row.depth <= before.depth + 1
        # A row begins a depth exactly when nothing joins it to one before.
        assert (row.joined == "") == (row.depth == before.depth + 1)
        assert row.text
    said = sentence(node)
    assert [row.text for row in rows if not row.text.endswith(":") and row.text not in said] == []


def test_groups_stand_one_step_deeper() -> None:
    node = read_condition(
        yaml.safe_load("{all: [{event: A}, {any: [{audience: b}, {not: {all: [{event: C}, {event: D}]}}]}]}")
    )

    assert [tuple(row) for row in lines(node)] == [
        ("A happened", 0, ""),
        ("at least one of these:", 0, "and"),
        ("in the audience b", 1, ""),
        ("not all of these:", 1, "or"),
        ("C happened", 2, ""),
        ("D happened", 2, "and"),
    ]


# -- versions


def changed(before: str, after: str) -> list[str]:
    return difference(read_condition(yaml.safe_load(before)), read_condition(yaml.safe_load(after)))


def test_what_was_added_removed_and_changed_is_said() -> None:
    before = "{all: [{event: A, within: 30d}, {trait: plan, equals: pro}, {any: [{event: X}, {event: Y}]}]}"
    after = "{all: [{any: [{event: Y}, {audience: b}]}, {event: A, within: 90d}, {permitted: newsletter}]}"

    assert changed(before, after) == [
        "changed: A happened in the last 30 days → A happened in the last 90 days",
        "removed as an alternative: X happened",
        "added as an alternative: in the audience b",
        'removed: plan is "pro"',
        "added: use for newsletter is permitted",
    ]


def test_a_first_condition_that_becomes_a_list_stays_the_same() -> None:
    assert changed("{event: A}", "{all: [{event: A}, {event: B}]}") == ["added: B happened"]
    assert changed("{any: [{event: A}, {event: B}]}", "{event: A}") == ["removed as an alternative: B happened"]


def test_all_that_becomes_any_is_said() -> None:
    assert changed("{all: [{event: A}, {event: B}]}", "{any: [{event: B}, {event: A}]}") == [
        "changed: all of these → at least one of these"
    ]


def test_another_order_is_no_change() -> None:
    assert changed("{all: [{event: A}, {event: B}]}", "{all: [{event: B}, {event: A}]}") == []


@given(node=conditions)
def test_a_definition_does_not_differ_from_itself(node: Condition) -> None:
    assert difference(node, node) == []
    assert difference(node, read_condition(to_plain(node))) == []


@given(node=conditions)
def test_whatever_differs_is_said_to_differ(node: Condition) -> None:
    silent = [other for other in altered(node) if not difference(node, other) and not means_the_same(node, other)]

    assert silent == []


@given(node=conditions, person=people(), data=st.data())
def test_parts_in_another_order_are_answered_alike(node: Condition, person: SmallPerson, data: st.DataObject) -> None:
    other = shuffled(node, data)

    assert difference(node, other) == []
    assert answer(node, person) == answer(other, person)


def shuffled(node: Condition, data: st.DataObject) -> Condition:
    if isinstance(node, AllOf | AnyOf):
        return type(node)(tuple(data.draw(st.permutations([shuffled(one, data) for one in node[0]]))))
    return Not(shuffled(node.condition, data)) if isinstance(node, Not) else node


def answer(node: Condition, person: SmallPerson) -> bool:
    return compile_condition(node)(person.with_tapes(node), NOON)[0]
