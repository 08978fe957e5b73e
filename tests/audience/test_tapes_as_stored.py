"""Tapes of a strand lie in one row, long ones apart; what is stored hangs on what is on them and on nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audience.shop import Town
from tests.still_clock import Clock
from tillit.audience import tapes as stored
from tillit.audience.tapes import Strand, TapeMemory, write_tapes
from tillit.clock import DAY, HOUR
from tillit.flow.fold import prepare
from tillit.language.nodes import Matcher
from tillit.language.tapes import Document, Tape, add_entries, new_document
from tillit.store import SqliteState

AT = 1_795_000_000_000_000
KEY = (64, 0)
TAPES = {
    1: Tape(Matcher("track", ("A",)), horizon=31 * DAY),
    2: Tape(Matcher("track", ("B",)), (("sku",),), has_base=True, has_values=True),
    3: Tape(Matcher("track", ("C",)), (("sku",),), horizon=31 * DAY),
}
# How many events come onto which tape, how long after those before.
STEPS = st.lists(
    st.tuples(st.sampled_from(list(TAPES)), st.sampled_from([1, 3, 60, 101]), st.sampled_from([1, HOUR, 20 * DAY])),
    max_size=12,
)


@pytest.fixture(scope="module")
def state() -> Iterator[SqliteState]:
    with TemporaryDirectory() as folder:
        opened = SqliteState(Path(folder) / "state.db", synchronous="OFF", cache_kb=2_048)
        prepare(opened)
        yield opened
        opened.close()


def rows_of(state: SqliteState) -> list[tuple[Any, ...]]:
    return state.read("SELECT identifier_id, part, tape_id, document FROM tape ORDER BY identifier_id, part, tape_id")


def put(state: SqliteState, memory: TapeMemory, tape_id: int, entries: list[list[Any]], logged_at: int) -> None:
    tape = TAPES[tape_id]
    with state.transaction() as tx:
        strands = memory.load(tx, [KEY])
        strand = strands[KEY]
        document = strand.document(tape_id)
        if document is None:
            document = strand[tape_id] = new_document(tape)
        add_entries(tape, document, entries, logged_at)
        write_tapes(tx, {KEY: [tape_id]}, strands)
        memory.trim()


@given(STEPS, st.sampled_from([0, 1]))
def test_what_lies_where_hangs_on_what_is_on_the_tapes_alone(
    state: SqliteState, steps: list[tuple[int, int, int]], most: int
) -> None:
    with state.transaction() as tx:
        tx.execute("DELETE FROM tape")
    memory, at, position = TapeMemory(most), AT, 0
    whole: dict[int, Document] = {}
    for tape_id, n, later in steps:
        tape = TAPES[tape_id]
        at += later
        entries = [[at + i, position + i, *(f"sku-{i}" for _ in tape.paths)] for i in range(n)]
        position += n
        put(state, memory, tape_id, entries, at)
        add_entries(tape, whole.setdefault(tape_id, new_document(tape)), [list(one) for one in entries], at)
    # Read again: what is on each.
    found = TapeMemory(0).load(state, [KEY])[KEY]
    assert {one: found.document(one) for one in found} == whole
    # Written at once: the same rows.
    step_by_step = rows_of(state)
    at_once = Strand()
    at_once.update(whole)
    with state.transaction() as tx:
        tx.execute("DELETE FROM tape")
        write_tapes(tx, {KEY: list(whole)}, {KEY: at_once})
    assert step_by_step == rows_of(state)
    long = {one for one, document in whole.items() if len(document[1]) > 100 or _n_values(document) > 100}
    assert {row[2] for row in step_by_step} == long | ({0} if len(long) < len(whole) else set())


def _n_values(document: Document) -> int:
    return 0 if document[2] is None else max(len(told[6] or ()) for told in document[2][3])


# -- what no definition wants any more

BOUGHT, SEEN = "Order Completed", "Product Viewed"
DEFINITIONS: dict[str, Any] = {
    "twice": {"event": BOUGHT, "within": "30d", "count": {"at_least": 2}},
    "dear": {"event": BOUGHT, "sum": {"of": "total", "at_least": 200}},
    "lookers": {"event": SEEN, "count": {"at_least": 101}},
    "brand": {"event": SEEN, "most_frequent": {"of": "sku", "equals": "sku-1"}},
    "calm": {"all": [{"event": SEEN}, {"not": {"event": BOUGHT, "within": "7d"}}]},
}


def tapes_kept(town: Town) -> set[int]:
    """Give the ids of all tapes that anything stands on."""
    state = town.ws.state
    keys = state.read("SELECT DISTINCT identifier_id, part FROM tape")
    strands = TapeMemory(0).load(state, [(one, part) for one, part in keys])
    return {tape_id for strand in strands.values() for tape_id in strand}


def wanted_tapes(town: Town) -> set[int]:
    return {one for (one,) in town.ws.state.read("SELECT tape_id FROM tape_standing")}


@pytest.mark.parametrize("at_once", [1, 500])
def test_what_no_definition_wants_is_taken_away_and_made_anew_when_one_wants_it_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(stored, "_TAKEN_AT_ONCE", at_once)
    chance = Random(5)
    with Town(tmp_path / "town", clock) as town:
        engine = town.ws.folding.engine()

        def live(n: int) -> None:
            for _ in range(n):
                properties = {"total": chance.randrange(60), "sku": f"sku-{chance.randrange(3)}"}
                told = {"type": "track", "event": chance.choice([BOUGHT, SEEN]), "properties": properties}
                told["userId"] = f"user-{chance.randrange(8)}-7f3kq9"
                town.say(told, chance.choice([0, DAY, 40 * DAY]))

        def apply(name: str, number: int, *, retired: bool) -> None:
            """Let the engine fold a definition, and do nothing of what it makes necessary."""
            told = {"audience": name, "purpose": "service", "definition": DEFINITIONS[name], "retired": retired}
            town.ws.append_rows([town.row(name, json.dumps(told), number)])
            engine.step()

        for name, definition in DEFINITIONS.items():
            town.put(name, definition)
        live(60)
        for _ in range(110):  # a long tape
            town.say({"type": "track", "event": SEEN, "userId": "looker-7f3kq9"}, 0)
        town.look()
        for name in ("twice", "lookers", "brand"):
            town.put(name, DEFINITIONS[name], retired=True)
        town.look()
        assert tapes_kept(town) == wanted_tapes(town) != set()
        # One is wanted again before anything was taken away, with events in between that were not put on its tapes.
        apply("dear", 1, retired=True)
        apply("calm", 2, retired=True)
        live(20)
        engine.step()
        assert len(tapes_kept(town)) == 3
        assert wanted_tapes(town) == {0}  # in the place of a tape: that some are to go
        apply("dear", 3, retired=False)
        live(20)
        town.look()
        for name, definition in DEFINITIONS.items():
            town.put(name, definition)
        live(20)
        town.look()
        assert tapes_kept(town) == wanted_tapes(town)
        for name, definition in DEFINITIONS.items():
            town.put(name, definition, retired=True)
        town.look()
        assert (tapes_kept(town), wanted_tapes(town)) == (set(), set())
