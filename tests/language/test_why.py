"""A definition is explained as it is answered, and what is said to change the answer does change it."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.language.small_world import NOON, Happening, SmallPerson, conditions, people
from tillit.clock import DAY, HOUR, SECOND, instant
from tillit.language.imagined import Act, with_path
from tillit.language.live import compile_condition
from tillit.language.nodes import Condition
from tillit.language.reading import read_condition
from tillit.language.values import NEVER
from tillit.language.why import Explained, Reason, explain


def with_acts(person: SmallPerson, node: Condition, acts: tuple[Act, ...], at: int) -> SmallPerson:
    """Give the person to whom the acts happened: written into the log, and folded anew."""
    more = [Happening(at, act.type, act.name, act.value) for act in acts if act.kind == "event" for _ in range(act.n)]
    traits = dict(person.traits)
    memberships, purposes, features = dict(person.memberships), dict(person.purposes), dict(person.features)
    for act in acts:
        if act.kind == "trait":
            traits[act.name] = with_path(traits.get(act.name), act.path, act.value)
        elif act.kind == "feature":
            features[act.name] = act.value
        elif act.kind in ("audience", "permission"):
            held = memberships if act.kind == "audience" else purposes
            held[act.name] = NEVER if act.value else 0
    changed = SmallPerson(
        profile_id=person.profile_id,
        strands=[*person.strands[:-1], [*(person.strands or [[]])[-1], *more]],
        traits=traits,
        memberships=memberships,
        features=features,
        purposes=purposes,
    )
    changed.logged_at = at
    changed.groups = person.groups
    return changed.with_tapes(node)


def answer(node: Condition, person: SmallPerson, at: int) -> bool:
    return compile_condition(node)(person.with_tapes(node), at)[0]


@settings(max_examples=300)
@given(node=conditions, person=people(), after=st.sampled_from([-1, 0, SECOND, HOUR, DAY]))
def test_the_explanation_says_what_the_evaluator_says(node: Condition, person: SmallPerson, after: int) -> None:
    at = NOON + after

    told = explain(node, person.with_tapes(node), at)

    assert told.holds == told.reason.holds == answer(node, person, at)
    assert composed(told.reason) == told.holds


def composed(reason: Reason) -> bool:
    """Put an answer together from the parts of an explanation."""
    parts = [composed(one) for one in reason.parts]
    return {"leaf": lambda: reason.holds, "all": lambda: all(parts), "any": lambda: any(parts),
            "none": lambda: not any(parts), "not_all": lambda: not all(parts)}[reason.kind]()  # fmt: skip


@settings(max_examples=300)
@given(node=conditions, person=people())
def test_until_is_when_the_answer_changes_and_not_before(node: Condition, person: SmallPerson) -> None:
    told = explain(node, person.with_tapes(node), NOON)

    event(f"until: {told.until is not None}, sure: {told.is_sure}")
    if told.until is None:
        assert all(answer(node, person, NOON + days * DAY) == told.holds for days in (1, 9, 100, 800))
    else:
        if told.is_sure:  # else it was looked for no further: what others of a group do today is asked every day anew
            assert answer(node, person, told.until) != told.holds
        assert answer(node, person, told.until - 1) == told.holds
        assert answer(node, person, (NOON + told.until) // 2) == told.holds


@settings(max_examples=400)
@given(node=conditions, person=people())
def test_a_change_turns_the_answer_and_nothing_less_does(node: Condition, person: SmallPerson) -> None:
    told = explain(node, person.with_tapes(node), NOON)

    event(f"{told.holds} {'no change' if told.change is None else sorted({act.kind for act in told.change.acts})}")
    event(f"waits {told.change is not None and told.change.holds_from > NOON}")
    if told.change is None:
        return
    acts = told.change.acts
    if told.change.holds_from > NOON:
        # What is done now, and then time.
        assert told.until is None or told.change.holds_from < told.until
        done = with_acts(person, node, acts, NOON)
        assert compile_condition(node)(done, told.change.holds_from)[0] != told.holds
        assert compile_condition(node)(done, told.change.holds_from - 1)[0] == told.holds
        return
    assert turned(node, person, acts, NOON) != told.holds
    for place, act in enumerate(acts):
        less = (act._replace(n=act.n - 1),) if act.n > 1 else ()
        assert turned(node, person, (*acts[:place], *less, *acts[place + 1 :]), NOON) == told.holds
    if told.change.before is not None:
        assert turned(node, person, acts, told.change.before - 1) != told.holds
        assert turned(node, person, acts, (NOON + told.change.before) // 2) != told.holds
        if told.is_sure:  # else that was looked for no further either
            assert turned(node, person, acts, told.change.before) == told.holds


def turned(node: Condition, person: SmallPerson, acts: tuple[Act, ...], at: int) -> bool:
    return compile_condition(node)(with_acts(person, node, acts, at), at)[0]


# -- people one can follow


def ana(*told: tuple[str, str, dict[str, Any]], **rest: Any) -> SmallPerson:
    happened = [Happening(instant(at) or 0, "track", name, properties) for at, name, properties in told]
    return SmallPerson(strands=[happened], **rest)


def why(text: str, person: SmallPerson) -> Explained:
    node = read_condition(yaml.safe_load(text))
    return explain(node, person.with_tapes(node), NOON)


BOUGHT = "{event: Order Completed, where: {total: {greater: 50}}, within: 90d, count: {at_least: 2}}"


def test_what_is_missing_is_said_with_the_instant_until_which_it_helps() -> None:
    person = ana(("2025-10-15T14:00:00Z", "Order Completed", {"total": 80}), ("2025-12-30", "Order Completed", {}))

    told = why(BOUGHT, person)

    assert told.words == ("needs 1 more Order Completed with total over 50 before 2026-01-13T14:00Z",)
    assert (told.reason.value, told.reason.told, told.reason.threshold) == (1.0, "1", "at least 2")
    assert [(one.at, one.position) for one in told.reason.deciding] == [(instant("2025-10-15T14:00:00Z"), 1)]


def test_who_is_in_leaves_by_itself() -> None:
    person = ana(
        ("2025-10-15T14:00:00Z", "Order Completed", {"total": 80}), ("2025-12-30", "Order Completed", {"total": 51})
    )

    told = why(BOUGHT, person)

    assert told.words == (
        "leaves by itself at 2026-01-13T14:00Z",
        "no event, trait or permission changes it now",
    )


def test_of_alternatives_the_cheapest_is_proposed_and_of_all_that_is_missing_everything() -> None:
    three = "{event: Order Completed, count: {at_least: 3}}"

    assert why(f"{{any: [{three}, {{event: Cart Viewed, within: 1d}}]}}", ana()).words == ("needs 1 more Cart Viewed",)
    assert why(f"{{all: [{three}, {{trait: plan, equals: pro}}, {{permitted: newsletter}}]}}", ana()).words == (
        'needs 3 more Order Completed, plan set to "pro" and permission for newsletter',
    )


def test_one_event_that_serves_two_parts_is_asked_for_once() -> None:
    told = why("{all: [{event: '*'}, {event: Order Completed, where: {total: {greater: 50}}}]}", ana())

    assert told.words == ("needs 1 more Order Completed with total over 50",)
    assert told.change is not None
    assert [act.words for act in told.change.acts] == ["1 more Order Completed with total over 50"]


def test_one_event_that_may_happen_only_once_is_asked_for_once() -> None:
    once = "{event: A, count: {equals: 1}}"

    for other in ("{first_time: {event: A, within: 1s}}", "{event: A, where: {total: {greater: 50}}}"):
        assert why(f"{{all: [{once}, {other}]}}", ana()).words[-1].startswith("needs 1 more A")


def test_what_would_spoil_another_part_is_not_proposed() -> None:
    told = why("{all: [{event: [Order Completed, Cart Viewed]}, {not: {event: Cart Viewed}}]}", ana())

    assert told.change is not None
    assert [act.name for act in told.change.acts] == ["Order Completed"]


def test_what_cannot_be_changed_is_said_to_stay() -> None:
    stays = "stays as it is: no event, trait or permission changes it now, and time does not"

    for text in (
        "{event: Order Completed, until: '2025-01-01'}",
        "{sample: {salt: a, from: 0.999999, until: 1.0}}",
        "{not: everybody}",
        "{all: [{event: A}, {not: {event: A}}]}",
    ):
        assert why(text, ana()).words == (stays,)


def test_what_only_time_can_finish_is_said_to_wait() -> None:
    left = "{sequence: {steps: [{event: Cart Viewed}], within: 7d, unless: {event: Order Completed, within: 12h}}}"

    assert why(left, ana()).words == ("needs 1 more Cart Viewed, and then nothing else until 2026-01-02 (UTC)",)
    waiting = why(left, ana(("2026-01-01T06:00:00Z", "Cart Viewed", {})))
    assert waiting.words[0] == "enters by itself at 2026-01-01T18:00Z"
    assert waiting.reason.told == "1 of 1 step, and waiting until 2026-01-01T18:00Z"


def test_a_sequence_says_how_far_it_came_and_asks_for_the_rest_of_it() -> None:
    told = why(
        "{sequence: {steps: [{event: A}, {event: B}, {event: C, within: 1h}], within: 7d, same: cart}}",
        ana(
            ("2025-12-31", "A", {"cart": "x"}),
            ("2026-01-01T11:30:00Z", "B", {"cart": "x"}),
            ("2026-01-01T11:40:00Z", "C", {"cart": "y"}),
        ),
    )

    assert told.reason.told == "2 of 3 steps"
    assert [one.position for one in told.reason.deciding] == [1, 2]
    assert told.change is not None
    assert [(act.name, act.value) for act in told.change.acts] == [("C", {"cart": "x"})]
    # An hour after B is in time; a microsecond more is not.
    assert told.change.before == (instant("2026-01-01T12:30:00Z") or 0) + 1


def test_the_events_that_matter_are_named() -> None:
    orders = [(f"2025-12-{day:02d}", "Order Completed", {"total": day % 7}) for day in range(1, 31)]
    person = ana(*orders)

    newest = why("{event: Order Completed, within: 90d, count: {at_least: 2}}", person).reason.deciding
    highest = why("{event: Order Completed, within: 90d, maximum: {of: total, at_least: 2}}", person).reason
    first = why("{event: Order Completed, first: {of: total, at_least: 2}}", person).reason

    assert [one.position for one in newest] == list(range(11, 31))
    assert [one.position for one in highest.deciding] == [6, 13, 20, 27]  # 6, the highest remainder of seven
    assert [one.position for one in first.deciding] == [1]


def test_what_is_turned_round_is_one_part_and_not_two() -> None:
    told = why("{not: {event: Order Completed, within: 30d}}", ana(("2025-12-30", "Order Completed", {})))

    assert told.reason.kind == "leaf"
    assert told.reason.sentence == "Order Completed did not happen in the last 30 days"
    assert (told.reason.holds, told.reason.threshold) == (False, "not at least 1")
    assert told.words[0] == "enters by itself at 2026-01-29 (UTC)"


@given(
    n=st.integers(0, 4),
    wanted=st.integers(1, 9),
    age=st.sampled_from([HOUR, DAY, 40 * DAY]),
    op=st.sampled_from(["at_least", "greater", "equals"]),
)
def test_of_a_count_exactly_what_is_missing_is_asked_for(n: int, wanted: int, age: int, op: str) -> None:
    node = read_condition({"event": "A", "within": "30d", "count": {op: wanted}})
    person = SmallPerson(strands=[[Happening(NOON - age, "track", "A", {})] * n])
    there = n if age < 30 * DAY else 0
    missing = wanted + (op == "greater") - there

    told = explain(node, person.with_tapes(node), NOON)

    if missing > 0:
        assert told.change is not None
        assert [act.n for act in told.change.acts] == [missing]
        assert told.change.before == (NOON - age + 30 * DAY if there else None)
    elif op != "equals":
        assert told.holds


def test_a_large_definition_is_explained_in_full() -> None:
    parts = [{"event": f"E{i}", "where": {"total": {"greater": i}}, "within": "30d"} for i in range(60)]
    node = read_condition({"all": [{"any": parts[:30]}, {"all": parts[30:]}]})

    told = explain(node, ana().with_tapes(node), NOON)

    assert told.change is not None
    assert len(told.change.acts) == 31


def test_where_too_much_would_have_to_be_looked_at_it_is_said_not_to_change_before() -> None:
    node = read_condition({"event": "A", "within": "90d", "sum": {"of": "total", "at_least": 10}})
    person = SmallPerson(
        strands=[[Happening(NOON - (1_200 - i) * HOUR, "track", "A", {"total": 5}) for i in range(1_200)]]
    )

    told = explain(node, person.with_tapes(node), NOON)

    assert (told.holds, told.is_sure) == (True, False)
    assert told.words[0].startswith("does not change by itself before ")
    assert told.until is not None
    assert told.until > NOON
    assert compile_condition(node)(person, told.until)[0]
