"""What is written with operators is what the plain form says."""

from __future__ import annotations

import operator
from typing import Any

import pytest
import yaml
from hypothesis import given

from tests.language.small_world import conditions
from tillit.language import nodes
from tillit.language import python as define
from tillit.language.nodes import AllOf, AnyOf, Condition
from tillit.language.python import (
    NoAnswerYet,
    audience,
    event,
    everybody,
    feature,
    first_time,
    group,
    page,
    permitted,
    prop,
    regularly,
    restarted,
    sample,
    screen,
    sequence,
    stopped,
    trait,
)
from tillit.language.reading import LanguageInvalid, read_condition, read_value
from tillit.language.writing import stopped_spans, to_plain

SAME = {
    "{event: Order Completed}": event("Order Completed"),
    "{event: '*'}": event(),
    "{page: [Home, Sale], within: 7d}": page("Home", "Sale").within("7d"),
    "{screen: Home, within: 30d, older_than: 7d}": screen("Home").within("30d", older_than="7d"),
    "{event: Order Completed, where: {total: {greater: 50}}, within: 90d, count: {at_least: 2}}": event(
        "Order Completed"
    )
    .where(total__gt=50)
    .within("90d")
    .count()
    >= 2,
    "{event: A, within: 90d, count: 2}": event("A").count(within="90d") == 2,
    "{event: A, older_than: 1d, count: {less: 2}}": event("A").older_than("1d").count() < 2,
    "{event: A, from: '2026-01-01', until: '2026-02-01', sum: {of: total, at_most: 5}}": event("A")
    .between("2026-01-01", "2026-02-01")
    .sum("total")
    <= 5,
    "{event: A, from: '2026-01-01', average: {of: total, not_equals: 5}}": event("A").average(
        "total", from_="2026-01-01"
    )
    != 5,
    "{event: A, calendar: {unit: month, back: 1, zone: Europe/Stockholm}, minimum: {of: total, greater: 5}}": event("A")
    .during("month", back=1, zone="Europe/Stockholm")
    .minimum("total")
    > 5,
    "{event: A, since_last: {event: B}, within: 30d, maximum: {of: [a.b], between: [1, 2]}}": event("A")
    .since_last(event("B"), within="30d")
    .maximum(["a.b"])
    .passes(between=(1, 2)),
    "{event: A, session: 30m, distinct: {of: sku, equals: 3}}": event("A").session("30m").distinct("sku") == 3,
    "{event: A, first: {of: sku, equals: x}}": event("A").first("sku") == "x",
    "{event: A, last: {of: sku, one_of: [x, y]}}": event("A").last("sku").passes(one_of=["x", "y"]),
    "{event: A, most_frequent: {of: sku, is_set: true}}": event("A").most_frequent("sku").passes(is_set=True),
    "{event: A, where: {all: [{total: {at_least: 1}}, {currency: EUR}]}}": event("A").where(
        total__gte=1, currency="EUR"
    ),
    "{event: A, where: {all: [{total: 1}, {total: 2}]}}": event("A").where(total=1).where(total=2),
    "{event: A, where: {any: [{shipping.country: [SE, DE]}, {not: {vip: true}}]}}": event("A").where(
        prop("shipping.country").passes(one_of=["SE", "DE"]) | ~(prop("vip") == True)  # noqa: E712 -- a test
    ),
    "{event: A, where: {shipping.country: {not_equals: SE}}}": event("A").where(shipping__country__ne="SE"),
    "{event: A, where: {items: {some: {all: [{price: {greater: 3}}, {sku: X}]}}}}": event("A").where(
        prop("items").some((prop("price") > 3) & (prop("sku") == "X"))
    ),
    "{event: A, where: {items: {every: {price: {less: 3}}}}}": event("A").where(prop("items").every(price__lt=3)),
    "{event: A, where: {items: {none: {price: {at_most: 3}}}}}": event("A").where(prop("items").none(price__lte=3)),
    "{trait: plan, equals: pro}": trait("plan") == "pro",
    "{trait: age, greater: 1, less: 5}": trait("age").passes(greater=1, less=5),
    "{feature: value, at_least: 5}": feature("value") >= 5,
    "{first_time: {event: A, within: 30d}}": first_time(event("A").within("30d")),
    "{stopped: {event: A, quiet: 30d, active: 90d}}": stopped(event("A"), quiet="30d", active="90d"),
    "{restarted: {event: A, within: 7d, quiet: 90d}}": restarted(event("A"), within="7d", quiet="90d"),
    "{regularly: {event: A, every: 7d, at_least: 3, of: 4}}": regularly(event("A"), every="7d", at_least=3, of=4),
    """{sequence: {steps: [{event: A}, {event: B, within: 1h, without: {event: C}}], within: 7d, total: 2h,
        same: [cart_id], unless: {event: D, within: 1h}}}""": sequence(
        event("A"),
        event("B").within("1h").without(event("C")),
        within="7d",
        total="2h",
        same="cart_id",
        unless=event("D").within("1h"),
    ),
    "{all: [{audience: loyal}, {permitted: newsletter}, {not: everybody}]}": audience("loyal")
    & permitted("newsletter")
    & ~everybody,
    "{any: [{all: [{event: A}, {event: B}]}, {sample: {salt: a, share: 10%}}]}": (event("A") & event("B"))
    | sample("a", "10%"),
    "{sample: {salt: a, from: 0.1, until: 0.3}}": sample("a", from_=0.1, until=0.3),
    "{group: '*'}": group(),
    "{group: {kind: account, role: admin, trait: plan, equals: pro, members: {at_least: 3}}}": (
        (group("account", role="admin").trait("plan") == "pro").members() >= 3
    ),
    "{group: {kind: household, member: {event: A}, count: {between: [1, 2]}}}": group("household")
    .member(event("A"))
    .count()
    .passes(between=(1, 2)),
    "{group: {role: [a, b], member: {event: A}, others_only: true}}": group(role=["a", "b"]).other(event("A")),
}


@pytest.mark.parametrize(("plain", "written"), SAME.items(), ids=list(SAME))
def test_operators_write_what_the_plain_form_says(plain: str, written: define.Rule) -> None:
    assert written.node == read_condition(yaml.safe_load(plain))


def test_a_value_is_written_as_a_feature_says_it() -> None:
    assert event("A").within("90d").sum("total").node == read_value({"event": "A", "within": "90d", "sum": "total"})
    assert event("A").count().node == read_value({"event": "A"})
    assert trait("plan").node == read_value({"trait": "plan"})


@given(node=conditions)
def test_any_definition_can_be_joined_with_operators(node: Condition) -> None:
    assert written(node).node == flattened(node)


def written(node: Condition) -> define.Rule:
    """Write a definition with the operators, its leaves as they stand."""
    if isinstance(node, AllOf | AnyOf) and len(node[0]) > 1 and stopped_spans(node) is None:
        one, *others = (written(part) for part in node[0])
        for other in others:
            one = one & other if isinstance(node, AllOf) else one | other
        return one
    if isinstance(node, nodes.Not):
        return ~written(node.condition)
    return define.Rule(to_plain(node))


def flattened(node: Condition) -> Condition:
    """Put lists within lists of the same kind into one, as operators do."""
    if isinstance(node, nodes.Not):
        return nodes.Not(flattened(node.condition))
    if isinstance(node, AllOf | AnyOf) and len(node[0]) > 1 and stopped_spans(node) is None:
        parts: list[Condition] = []
        for one in node[0]:
            inner = flattened(one)
            is_same = type(inner) is type(node) and stopped_spans(inner) is None
            parts += inner[0] if is_same else [inner]  # type: ignore[arg-type]
        return type(node)(tuple(parts))
    return node


def test_asking_for_yes_or_no_while_writing_says_what_to_write() -> None:
    for asked in (
        lambda: bool(event("A")),
        lambda: all([event("A"), event("B")]),
        lambda: not trait("plan"),
        lambda: 1 < trait("age") < 5,
        lambda: bool(prop("total") > 1),
    ):
        with pytest.raises(NoAnswerYet, match="&"):
            asked()


@pytest.mark.parametrize("join", [operator.and_, operator.or_])
def test_what_is_no_condition_cannot_be_joined(join: Any) -> None:
    for other in (prop("total") > 1, trait("plan"), True, 2):
        with pytest.raises(TypeError):
            join(event("A"), other)


def test_a_slip_of_the_pen_is_refused_and_not_taken_for_a_path() -> None:
    with pytest.raises(LanguageInvalid, match="'grater' is not known here"):
        _ = event("A").where(total__grater=50).node


def test_building_on_a_definition_leaves_the_first_as_it_was() -> None:
    orders = event("Order Completed")

    _ = orders.within("90d").where(total__gt=50).count() >= 2

    assert orders.plain == {"event": "Order Completed"}
