"""Whatever the language can say, the rows of the builder can say: shown and read again it means the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillit.clock import DAY, SECOND
from tillit.console.drafts import (
    Written,
    act_on,
    draft_of,
    draft_of_value,
    fields_of,
    read_fields,
    read_list,
    read_names,
    read_path,
    read_scalar,
    tidy,
    tidy_value,
    write_list,
    write_names,
    write_path,
    write_scalar,
)
from tillit.language.instants import LONGEST
from tillit.language.nodes import (
    AGGREGATES,
    UNITS,
    Absolute,
    Aggregate,
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Calendar,
    Compare,
    EventValue,
    Ever,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Nested,
    Not,
    NotClause,
    Permitted,
    PropertyTest,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Step,
    TraitValue,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.nodes import Test as Comparison
from tillit.language.writing import to_plain

# Texts that could be taken for something else.
words = st.sampled_from(
    ["total", "a, b", "5", "true", '"quoted"', "1e5", " edge ", "[x", "né", "a\nb", "b.c", "*x", "not"]
)
names = st.sampled_from(["Order Completed", "a, b", "5", 'say "hi"', "tëst"])
numbers = st.one_of(st.integers(-1_000, 1_000).map(float), st.floats(-1e9, 1e9, allow_nan=False).map(lambda n: n + 0.0))
scalars = st.one_of(st.booleans(), numbers, words, st.just(""))
spans = st.integers(1, 800).flatmap(lambda n: st.sampled_from([n * SECOND, n * DAY, n * 7 * DAY]))
paths = st.lists(words, min_size=1, max_size=2).map(tuple)
instants = st.integers(0, 20_000).flatmap(lambda n: st.sampled_from([n * DAY, n * DAY + 5_000_001]))

of_texts = st.builds(Comparison, st.sampled_from(["contains", "not_contains", "starts_with", "ends_with"]), words)
of_scalars = st.builds(Comparison, st.sampled_from(["equals", "not_equals"]), scalars)
of_lists = st.builds(
    Comparison,
    st.sampled_from(["one_of", "none_of", "all_of"]),
    st.lists(scalars, min_size=1, max_size=3, unique_by=write_scalar).map(tuple),
)
of_numbers = st.one_of(
    st.builds(Comparison, st.sampled_from(["greater", "at_least", "less", "at_most"]), numbers),
    st.tuples(numbers, numbers).map(lambda two: Comparison("between", (min(two), max(two)))),
)
of_instants = st.builds(Comparison, st.sampled_from(["before", "after"]), instants)
of_spans = st.builds(Comparison, st.sampled_from(["within_last", "more_than_ago", "within_next"]), spans)
of_presence = st.sampled_from(
    [Comparison("is_set", None), Comparison("is_missing", None), Comparison("matches", "^a+$")]
)
fixed = st.one_of(of_texts, of_scalars, of_lists, of_numbers, of_instants, of_presence)


def several(one: st.SearchStrategy[Comparison]) -> st.SearchStrategy[tuple[Comparison, ...]]:
    return st.lists(one, min_size=1, max_size=2, unique_by=lambda test: test.op.replace("missing", "set")).map(tuple)


property_tests = st.builds(PropertyTest, paths, several(fixed))
clauses = st.recursive(
    property_tests,
    lambda inner: st.one_of(
        st.builds(AllClauses, st.lists(inner, min_size=2, max_size=2).map(tuple)),
        st.builds(AnyClause, st.lists(inner, min_size=2, max_size=2).map(tuple)),
        st.builds(NotClause, inner),
        st.builds(Nested, paths, st.sampled_from(["some", "every", "none"]), inner),
    ),
    max_leaves=4,
)
matchers = st.builds(
    Matcher,
    st.sampled_from(["track", "page", "screen"]),
    st.lists(names, min_size=1, max_size=2, unique=True).map(lambda some: tuple(sorted(some))),
    st.one_of(st.none(), clauses),
) | st.sampled_from([Matcher("*", ()), Matcher("page", ())])
rolling = st.one_of(spans.map(Rolling), spans.map(lambda span: Rolling(span + DAY, span)))
older = spans.map(lambda span: Rolling(LONGEST, span))
calendars = st.builds(
    Calendar, st.sampled_from(UNITS), st.integers(0, 30), st.integers(1, 9), st.sampled_from(["UTC", "Europe/Berlin"])
)
absolutes = st.one_of(
    st.builds(Absolute, instants, st.none()),
    st.builds(Absolute, st.none(), instants),
    instants.map(lambda at: Absolute(at, at + DAY)),
)
windows = st.one_of(
    st.just(Ever()), rolling, older, calendars, absolutes, st.builds(SinceLast, matchers, spans),
    st.builds(Session, st.integers(1, 86_400).map(lambda n: n * SECOND)),
)  # fmt: skip
event_values = st.one_of(
    st.builds(EventValue, matchers, windows, st.just(Aggregate("count"))),
    st.builds(EventValue, matchers, windows, st.builds(Aggregate, st.sampled_from(AGGREGATES[1:]), paths)),
)
values = st.one_of(event_values, st.builds(TraitValue, paths), st.builds(FeatureValue, names))
moving = ("first", "last", "most_frequent")
compares = values.flatmap(
    lambda value: st.builds(
        Compare,
        st.just(value),
        several(
            fixed
            if isinstance(value, EventValue) and value.aggregate.kind not in moving
            else st.one_of(fixed, of_spans)
        ),
    )
)
stopped = st.tuples(matchers, spans, spans).map(
    lambda told: AllOf(
        (
            Compare(
                EventValue(told[0], Rolling(told[1] + told[2], told[1]), Aggregate("count")),
                (Comparison("at_least", 1.0),),
            ),
            Compare(EventValue(told[0], Rolling(told[1]), Aggregate("count")), (Comparison("equals", 0.0),)),
        )
    )
)
steps = st.builds(Step, matchers, st.one_of(st.none(), spans), st.one_of(st.none(), matchers))
sequences = st.tuples(
    matchers.map(Step), st.lists(steps, min_size=1, max_size=2), spans, st.one_of(st.none(), spans),
    st.lists(paths, max_size=2).map(tuple), st.one_of(st.none(), matchers), spans,
).map(
    lambda told: Steps((told[0], *told[1]), told[2], told[3], told[4], told[5], told[6] if told[5] is not None else 0)
)  # fmt: skip
numbered = several(st.builds(Comparison, st.sampled_from(["at_least", "less", "equals"]), numbers))


@st.composite
def in_groups(draw: st.DrawFn, members: st.SearchStrategy[Any]) -> InGroup:
    node = InGroup(draw(st.sampled_from(["", "household"])), draw(st.sampled_from([(), ("admin",), ("5", "a, b")])))
    if draw(st.booleans()):
        node = node._replace(trait=draw(paths), tests=draw(several(st.one_of(fixed, of_spans))))
    if draw(st.booleans()):
        node = node._replace(sizes=draw(numbered))
    if draw(st.booleans()):
        node = node._replace(member=draw(members), counts=draw(numbered), others_only=draw(st.booleans()))
    return node


leaves = st.one_of(
    compares,
    stopped,
    sequences,
    st.builds(FirstTime, matchers, st.one_of(spans.map(Rolling), calendars, absolutes)),
    st.builds(Restarted, matchers, spans, spans),
    st.integers(1, 6).flatmap(lambda of: st.builds(Regularly, matchers, spans, st.integers(1, of), st.just(of))),
    st.builds(InAudience, names),
    st.builds(Permitted, names),
    st.tuples(names, st.integers(0, 49), st.integers(50, 100)).map(lambda s: Sample(s[0], s[1] / 100, s[2] / 100)),
    st.just(Everybody()),
)
of_members = st.deferred(
    lambda: st.one_of(leaves, st.builds(Not, leaves), st.lists(leaves, min_size=2, max_size=2).map(tuple).map(AnyOf))
)
conditions = st.recursive(
    st.one_of(leaves, leaves, in_groups(of_members)),
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=4,
)


def meaning(node: Any) -> Any:
    """Leave out groups of one and what is denied twice: they say what stands in them."""
    if isinstance(node, AllOf | AnyOf | AllClauses | AnyClause) and len(node[0]) == 1:
        return meaning(node[0][0])
    if isinstance(node, Not | NotClause):
        inner = meaning(node[0])
        return inner[0] if isinstance(inner, Not | NotClause) else type(node)(inner)
    if isinstance(node, tuple):
        parts = [meaning(one) for one in node]
        return type(node)(*parts) if hasattr(node, "_fields") else tuple(parts)
    return node


def through_a_form(draft: dict[str, Any], *, is_value: bool = False) -> Written:
    sent = fields_of((tidy_value if is_value else tidy)(draft))
    # As a browser sends it: texts of one line.
    assert not any("\n" in text or text != text.strip("\r") for text in sent.values())
    told = read_fields(sent)
    return Written((tidy_value if is_value else tidy)(told), is_value=is_value)


@given(conditions)
def test_every_condition_can_be_shown_in_rows_and_comes_back_the_same(node: Any) -> None:
    written = through_a_form(draft_of(node))

    assert written.faults == {}
    assert meaning(written.node) == meaning(node)


@given(values)
def test_every_value_can_be_shown_in_a_row_and_comes_back_the_same(node: Any) -> None:
    written = through_a_form(draft_of_value(node), is_value=True)

    assert written.faults == {}
    assert meaning(written.node) == meaning(node)


sent_places = st.from_regex(r"d(\.(rows|kind|not|tests|[0-9]{1,2}|op|where|window|steps)){1,6}", fullmatch=True)
sent_texts = st.sampled_from(["", "group", "sequence", "nested", "event", "x", "between"])


@given(st.dictionaries(sent_places, sent_texts, max_size=20))
def test_whatever_a_form_sends_is_a_draft_that_says_what_it_lacks(fields: dict[str, str]) -> None:
    written = Written(tidy(read_fields(fields)))

    assert written.faults or written.node is not None


@given(st.lists(scalars, min_size=1, max_size=4), st.lists(names, min_size=1), paths)
def test_what_is_typed_is_read_as_it_was_written(several: list[Any], named: list[str], path: tuple[str, ...]) -> None:
    read = [read_scalar(write_scalar(one)) for one in several]
    assert read == several == read_list(write_list(several))
    # True is 1 for Python, and neither is a text.
    assert [(isinstance(one, bool), isinstance(one, str)) for one in read] == [
        (isinstance(one, bool), isinstance(one, str)) for one in several
    ]
    assert read_names(write_names(named)) == named
    told = read_path(write_path(path))
    assert told == (".".join(path) if isinstance(told, str) else list(path))


def test_each_row_says_what_it_lacks_and_the_others_do_not() -> None:
    draft = tidy({"rows": [{"kind": "everybody"}, {"kind": "stopped", "names": "A", "quiet": {"n": "", "unit": "d"}},
                           {"kind": "trait"}]})  # fmt: skip

    faults = Written(draft).faults

    assert faults.keys() == {"d.rows.1", "d.rows.2"}
    assert faults["d.rows.1"] == "“quiet” wants a span of time, as 30m, 36h, 90d, 2w or 1y."
    assert "trait" in faults["d.rows.2"]


@pytest.mark.parametrize(
    ("act", "rows"),
    [
        ("add-row d.rows", ["A", "B", "C", ""]),
        ("remove d.rows.1", ["A", "C"]),
        ("up d.rows.1", ["B", "A", "C"]),
        ("down d.rows.1", ["A", "C", "B"]),
        ("down d.rows.2", ["A", "B", "C"]),
        ("copy d.rows.0", ["A", "A", "B", "C"]),
        ("wrap d.rows.0", [["A"], "B", "C"]),
        ("remove d.rows.9", ["A", "B", "C"]),
        ("remove d.nowhere.0", ["A", "B", "C"]),
        ("shout d.rows.0", ["A", "B", "C"]),
    ],
)
def test_a_button_does_to_the_rows_what_it_says(act: str, rows: list[Any]) -> None:
    def named(draft: dict[str, Any]) -> list[Any]:
        return [named(one) if one["kind"] == "group" else one["names"] for one in draft["rows"]]

    draft = tidy({"rows": [{"kind": "event", "names": name} for name in "ABC"]})

    assert named(tidy(act_on(draft, act))) == rows


def test_a_group_is_taken_apart_into_the_rows_around_it() -> None:
    node = AllOf((Everybody(), AnyOf((InAudience("a"), InAudience("b")))))

    draft = tidy(act_on(tidy(draft_of(node)), "unwrap d.rows.1"))

    assert [one["kind"] for one in draft["rows"]] == ["everybody", "audience", "audience"]


def test_what_the_rows_say_is_written_as_files_have_it() -> None:
    orders = EventValue(Matcher("track", ("Order Completed",)), Rolling(90 * DAY), Aggregate("count"))
    node = AllOf((Compare(orders, (Comparison("at_least", 2.0),)), Not(InAudience("staff"))))

    plain = Written(tidy(draft_of(node))).plain

    assert plain == to_plain(node)


ranked = st.builds(
    Ranked,
    conditions,
    st.one_of(st.none(), values),
    st.booleans(),
    st.integers(1, 5_000),
    st.just(0),
    st.sampled_from([60_000_000, 3_600_000_000, 7 * 86_400_000_000]),
    st.just(""),
    st.none(),
)


@given(ranked, st.integers(0, 1_000_000), st.sampled_from(["", "spring"]))
def test_every_order_can_be_shown_and_comes_back_the_same(node: Ranked, millionths: int, salt: str) -> None:
    if millionths:
        node = node._replace(most=0, millionths=millionths)
    if node.by is None:
        node = node._replace(is_highest=False, salt=salt)

    written = through_a_form(draft_of(node))

    assert written.faults == {}
    assert isinstance(written.node, Ranked)
    assert meaning(written.node.of) == meaning(node.of)
    assert (written.node.by is None) == (node.by is None)
    assert node.by is None or meaning(written.node.by) == meaning(node.by)
    assert written.node._replace(of=node.of, by=node.by) == node


def test_what_an_order_lacks_is_said_beside_it() -> None:
    draft = tidy({"rows": [{"kind": "everybody"}], "rank": {"how": "highest", "n": "most"}})

    assert "d.rank" in Written(draft).faults


def test_what_a_row_about_members_lacks_is_said_in_their_row() -> None:
    member = {"rows": [{"kind": "event", "names": ""}, {"kind": "in_group"}, {"kind": "everybody"}]}

    written = Written(tidy({"rows": [{"kind": "in_group", "member": member}]}))

    assert sorted(written.faults) == ["d.rows.0.member.rows.0"]
    member["rows"][0]["names"] = "A"
    assert sorted(Written(tidy({"rows": [{"kind": "in_group", "member": member}]})).faults) == [
        "d.rows.0.member.rows.1"
    ]
