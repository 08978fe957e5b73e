"""Who is not asked again after an event has the answer that they had, and are due no sooner than was thought."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.language.asking import Definitions, Documents, Kept
from tests.language.small_world import SmallPerson
from tests.language.table import fixed
from tests.language_cases import OPERATORS, as_written
from tillit.language import live, tapes
from tillit.language.inlining import inline
from tillit.language.reading import read_condition
from tillit.language.turns import leaves_of, may_hold_of_nobody, needed_by, turns_of

N_CASES = 12
NAME = "it"
HOUR = 3_600_000_000
WHEN = st.integers(20, 60)  # hours


def came_onto(definitions: Definitions, documents: Documents, strand: int, event: Any) -> dict[int, list[list[Any]]]:
    """Put an event on the tapes of its strand; give what came onto which."""
    came = {}
    for tape in definitions.tapes:
        if not tapes.matches(tape.matcher, event.type, event.name, event.properties):
            continue
        entry = tapes.entry_of(tape, event.at, event.position, event.properties)
        if entry is not None:
            kept = documents.setdefault(strand, {})
            document = kept.setdefault(tape.tape_id, tapes.new_document(tape))
            tapes.add_entries(tape, document, [entry], event.logged_at)
            came[tape.tape_id] = [entry]
    return came


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_answer_that_is_not_named_is_the_same(operator: str) -> None:
    n_kept = n_asked = 0
    for case, _, _ in fixed(operator)[:N_CASES]:
        definitions = Definitions(case.definition, case.person)
        node = inline(definitions.node, definitions.audiences, definitions.features)
        turns = turns_of({NAME: (node, {tape.tape_id: tape.tape_id for tape in definitions.tapes})})
        documents: Documents = {}
        answers = live.compile_condition(node)
        told, due = answers(Kept(definitions, case.person, {}), 0)
        if not live.inputs_of(node).traits:
            assert may_hold_of_nobody(node) or not told, as_written(case)
        needed = needed_by(node)
        at = 0
        waiting = list(zip(case.strands, case.person.events, strict=True))
        while waiting:
            size = len(waiting) % 3 + 1
            batch, waiting = waiting[:size], waiting[size:]
            at = max(at, *(event.logged_at for _, event in batch))
            came: dict[int, list[list[Any]]] = {}
            for strand, event in batch:
                for tape_id, entries in came_onto(definitions, documents, strand, event).items():
                    came[tape_id] = came.get(tape_id, []) + entries
            person = Kept(definitions, case.person, documents)
            members = {NAME} if told else set()
            is_named = any(
                NAME in turns[tape_id].find(entries, tape_id, person.documents, members, at)
                for tape_id, entries in came.items()
                if tape_id in turns
            )
            now, until = answers(person, at)
            assert not now or needed is None or any(person.documents(tape.tape_id) for tape in needed), as_written(case)
            if due <= at or is_named:
                n_asked += 1
                told, due = now, until
            else:
                n_kept += 1
                assert now == told, as_written(case)
                while until < due:  # one may be told to look too soon, not too late
                    now, until = answers(person, until)
                    assert now == told, as_written(case)
    assert n_asked or not any(True for _ in leaves_of(node))
    assert n_kept + n_asked


SUMS = st.builds(
    lambda op, wanted: {"event": "A", "sum": {"of": "n", op: wanted}},
    st.sampled_from(["at_least", "greater", "less", "at_most"]),
    st.integers(-3, 3),
)


def sequence(gap: str | None, total: str | None, *, without: bool) -> Any:
    last: dict[str, Any] = {"event": "B"}
    if gap is not None:
        last["within"] = gap
    if without:
        last["without"] = {"event": "C"}
    told: dict[str, Any] = {"steps": [{"event": "A"}, last], "within": "2d"}
    return {"sequence": told if total is None else {**told, "total": total}}


SEQUENCES = st.builds(
    sequence, st.sampled_from([None, "2h", "9h"]), st.sampled_from([None, "5h"]), without=st.booleans()
)


EVENTS = st.lists(
    st.tuples(st.sampled_from("ABC"), WHEN, st.integers(0, 3), st.sampled_from([None, -2, -1, 1, 2])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=400)
@given(st.one_of(SUMS, SEQUENCES), EVENTS)
@example(sequence(None, None, without=True), [("A", 30, 0, 1), ("B", 40, 0, 1), ("C", 35, 0, 1)])
@example(sequence("9h", None, without=False), [("B", 40, 0, 1), ("A", 35, 0, 1)])
def test_sums_that_fall_and_ways_that_are_cut_are_named(
    told_as: Any, events: list[tuple[str, int, int, int | None]]
) -> None:
    node = read_condition(told_as)
    wanted = live.inputs_of(node).tapes
    answers = live.compile_condition(node)
    turns = turns_of({NAME: (node, {tape.tape_id: tape.tape_id for tape in wanted})})
    person = SmallPerson()
    kept = {tape.tape_id: tapes.new_document(tape) for tape in wanted}
    person.documents = lambda tape_id: [kept[tape_id]]  # type: ignore[method-assign]
    told, due = answers(person, 0)
    at = 60 * HOUR
    for position, (name, hours, later, n) in enumerate(events, 1):
        at += later * HOUR
        is_named = False
        for tape in wanted:
            if name in tape.matcher.names:
                entry = tapes.entry_of(tape, hours * HOUR, position, {} if n is None else {"n": n})
                assert entry is not None
                tapes.add_entries(tape, kept[tape.tape_id], [entry], at)
        for tape in wanted:
            if name in tape.matcher.names:
                entry = tapes.entry_of(tape, hours * HOUR, position, {} if n is None else {"n": n})
                members = {NAME} if told else set[str]()
                found = turns[tape.tape_id].find([entry or []], tape.tape_id, person.documents, members, at)
                is_named = is_named or NAME in found
        now, until = answers(person, at)
        if due <= at or is_named:
            told, due = now, until
            continue
        assert now == told
        while until < due:
            now, until = answers(person, until)
            assert now == told
