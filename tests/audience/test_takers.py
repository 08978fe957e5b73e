"""An event finds the tapes that it may stand on without asking each of them: by the value of a property, or a bound."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tillit.audience import AUDIENCE, Catalog
from tillit.audience.definitions import Applied, resolve_definitions
from tillit.language.tapes import entry_of, matches
from tillit.language.values import holds

NUMBERS = st.sampled_from([-3.5, 0, 1, 2, 2.5, 10])
VALUES = st.recursive(
    NUMBERS
    | st.sampled_from([True, False, None, "2", "books", ""])
    | st.dictionaries(st.just("n"), NUMBERS, max_size=1),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
TESTS = st.one_of(
    st.tuples(st.sampled_from(["greater", "at_least", "less", "at_most", "equals", "not_equals"]), NUMBERS),
    st.tuples(st.just("one_of"), st.lists(NUMBERS, min_size=1, max_size=2)),
    st.tuples(st.just("equals"), st.sampled_from(["books", "2", True])),
)


@st.composite
def clauses(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["n", "m"]), min_size=1, max_size=2, unique=True))
    return {name: dict(draw(st.lists(TESTS, min_size=1, max_size=2))) for name in names}


@given(
    st.lists(clauses() | st.none(), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(["n", "m"]), VALUES, max_size=2),
)
def test_an_event_finds_the_tapes_whose_clauses_hold_of_it_and_no_others(
    wheres: list[dict[str, Any] | None], properties: dict[str, Any]
) -> None:
    told = [{"event": "Bought", **({} if where is None else {"where": where})} for where in wheres]
    catalog = catalog_of(told + [{**one, "sum": {"of": "m", "at_least": 1}} for one in told[::2]])

    found = catalog.takers_of("track", "Bought").of(properties)

    taken = [kept.stored_id for kept in found if kept.where is None or holds(kept.where, properties)]
    assert len(taken) == len(set(taken))
    assert set(taken) == {
        kept.stored_id for kept in catalog.tapes.values() if matches(kept.tape.matcher, "track", "Bought", properties)
    }
    for kept in found:
        assert kept.entry(5, 1, properties) == entry_of(kept.tape, 5, 1, properties)


def catalog_of(conditions: list[dict[str, Any]]) -> Catalog:
    """Put conditions in force, each as an audience of its own."""
    texts = {
        f"a{number}": json.dumps({"audience": f"a{number}", "purpose": "service", "definition": one})
        for number, one in enumerate(conditions)
    }
    applied = [Applied(1, AUDIENCE, name, text, "kim", "", 0) for name, text in texts.items()]
    definitions = resolve_definitions(applied)
    assert not definitions.broken
    return Catalog(definitions, lambda _: None)
