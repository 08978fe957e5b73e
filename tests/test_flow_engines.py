"""The fold arrives at the same tables on every engine, byte for byte."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from tests.engines import AnyState, Engine, PostgresServer
from tests.laws.test_permissions import DAY, INSTANTS, POLICIES, check, declares
from tests.random_log import random_log
from tests.strategies import NOON, place, row
from tillit.collect.once import Once
from tillit.consent import find_due, load_restricted, policy_in_force, terms_of
from tillit.flow import COMPARED_TABLES, Fold, judge_due, prepare
from tillit.flow.audiences import keep_tapes
from tillit.flow.refold import find_closure, find_positions
from tillit.identity import (
    DEFAULT_RULES,
    Handle,
    find_decision,
    find_membership,
    find_named,
    find_path,
    iter_events,
    load_acts,
    read_decisions,
    read_direct,
    read_violations,
    search_identifiers,
)
from tillit.profile import search_strands
from tillit.records import LogRow
from tillit.store import PostgresState, SqliteState, State, StoreUnreachable, Writing

Tables = dict[str, list[tuple[Any, ...]]]


class Rows:
    """The log's rows, as the fold reads them again."""

    def __init__(self, rows: Sequence[LogRow]) -> None:
        self.rows = {one.position: one for one in rows}

    def __call__(self, positions: Sequence[int]) -> dict[int, LogRow]:
        return {p: self.rows[p] for p in positions if p in self.rows}


def fold(state: State, rows: Sequence[LogRow], *, n_batch: int, slice_keys: int | None = None) -> Fold:
    opened = Fold(state, Rows(rows))
    if slice_keys is not None:
        opened._once = Once(state, slice_keys=slice_keys)
    for start in range(0, len(rows), n_batch):
        opened.apply(rows[start : start + n_batch])
    while keep_tapes(state, opened.catalog, Rows(rows), opened.tapes):
        pass
    return opened


def tables(state: AnyState) -> Tables:
    # Sorted here: what is compared is rows, not the engine's idea of order.
    return {name: sorted(state.read(f"SELECT * FROM {name}"), key=repr) for name in COMPARED_TABLES}


def differences(one: Tables, other: Tables) -> list[str]:
    return [
        f"{name}: {len(one[name])} and {len(other[name])} rows, first at {first}"
        for name in COMPARED_TABLES
        if one[name] != other[name]
        for first in [next((a, b) for a, b in zip([*one[name], ()], [*other[name], ()], strict=False) if a != b)]
    ]


@pytest.mark.parametrize(("seed", "n_batch"), [(1, 500), (2, 97), (3, 3_000)])
def test_one_log_folds_to_the_same_rows_on_every_engine(
    engines: tuple[Engine, Engine], seed: int, n_batch: int
) -> None:
    rows = random_log(seed, 3_000)
    sqlite, postgres = (engine.open() for engine in engines)

    fold(sqlite, rows, n_batch=n_batch)
    fold(postgres, rows, n_batch=n_batch)

    assert differences(tables(sqlite), tables(postgres)) == []
    assert all(tables(sqlite).values()), "the log is to touch every table"


def test_the_engines_agree_whatever_the_size_of_their_batches(engines: tuple[Engine, Engine]) -> None:
    rows = random_log(4, 1_500, n_people=60)
    sqlite, postgres = (engine.open() for engine in engines)

    fold(sqlite, rows, n_batch=40)
    fold(postgres, rows, n_batch=1_000)

    assert differences(tables(sqlite), tables(postgres)) == []


def test_a_repeat_is_found_in_any_slice_on_every_engine(engine: Engine) -> None:
    rows = random_log(5, 700)
    state = engine.open()

    opened = fold(state, rows, n_batch=64, slice_keys=50)
    again = [one._replace(position=one.position + len(rows)) for one in rows]
    opened.apply(again)

    fresh = [
        position for (position,) in state.read("SELECT position FROM event_index WHERE position > ?", (len(rows),))
    ]
    # What was never applied (poison quarantined alone) may be tried again; every applied event is a repeat.
    applied = {
        position for (position,) in state.read("SELECT position FROM event_index WHERE position <= ?", (len(rows),))
    }
    assert {position - len(rows) for position in fresh} & applied == set()
    assert state.read("SELECT max(bucket) / 256 FROM seen_bucket")[0][0] > 10
    assert len(applied) > 500


def test_once_remembers_over_a_restart_on_every_engine(engine: Engine) -> None:
    rows = [row(position, {"type": "track"}, at=position) for position in range(1, 1_201)]
    state = engine.open()
    Fold(state, Rows(rows))
    once = Once(state, slice_keys=50)
    for start in range(0, len(rows), 70):
        with state.transaction() as tx:
            once.sift(tx, rows[start : start + 70])
            once.write(tx)

    reopened = Once(engine.open(), slice_keys=50)
    with state.transaction() as tx:
        fresh, repeats = reopened.sift(tx, rows)

    assert fresh == []
    assert [repeat.of_position for repeat in repeats] == [one.position for one in rows]


def test_a_key_that_others_only_hold_across_their_border_was_not_seen(engine: Engine) -> None:
    ones, first, second = b"\1" * 16, b"\1" + b"\2" * 7 + b"\1" * 8, b"\1" * 8 + b"\3" * 8
    rows = [
        row(position, {"type": "track"}, at=position)._replace(message_hash=key)
        for position, key in enumerate((first, second, ones, ones, second), start=1)
    ]
    state = engine.open()
    Fold(state, Rows(rows))
    once = Once(state, slice_keys=2)

    with state.transaction() as tx:
        once.sift(tx, rows[:2])
        once.sift(tx, [rows[0]._replace(message_hash=b"\4" * 16, position=9)])  # the first two are a full slice now
        fresh, repeats = once.sift(tx, rows[2:])

    assert ones in bytes(state.read("SELECT message_hashes FROM seen_bucket WHERE bucket = 1")[0][0])
    assert [one.position for one in fresh] == [3]
    assert [(repeat.row.position, repeat.of_position) for repeat in repeats] == [(4, 3), (5, 2)]


def test_people_are_found_alike_on_every_engine(engines: tuple[Engine, Engine]) -> None:
    rows = random_log(6, 1_500, n_people=80)
    told = []
    for engine in engines:
        state = engine.open()
        fold(state, rows, n_batch=300)
        with state.snapshot() as moment:
            told.append(
                (
                    [search_strands(moment, text, limit=20) for text in ("a", "zoe", "あ", "o'h", "50", "nul\0l")],
                    [search_identifiers(moment, text, limit=20) for text in ("u1", "U1", "+49", "d", "%", "a\0b")],
                    [
                        (membership, iter_events(moment, membership, before=None, limit=50))
                        for n in range(80)
                        if (handle := DEFAULT_RULES.parse(f"user_id:u{n}"))
                        and (membership := find_membership(moment, handle))
                    ],
                )
            )

    assert told[0] == told[1]
    assert len(told[0][2]) > 50


def test_what_is_asked_about_identity_is_answered_alike_on_every_engine(engines: tuple[Engine, Engine]) -> None:
    rows = random_log(7, 2_000, n_people=60)
    told: list[list[Any]] = []
    for engine in engines:
        state = engine.open()
        fold(state, rows, n_batch=300)
        with state.snapshot() as moment:
            acts = load_acts(moment)
            refused = read_violations(moment, before=len(rows), limit=30)
            named = [find_named(moment, "user_id", f"u{n}") for n in range(60)]
            ends = [
                (one, other, find_membership(moment, Handle(0, one.namespace, one.value)))
                for one, other in pairwise(one for one in named if one is not None)
            ]
            told.append(
                [
                    acts,
                    [load_acts(moment, [act.one_id, act.other_id]) for act in acts],
                    [read_decisions(moment, [act.one_id]) for act in acts],
                    [find_decision(moment, position) for position in range(1, len(rows), 7)],
                    refused,
                    read_violations(moment, before=refused[9].position, limit=5),
                    [find_closure(moment, act.pair) for act in acts],
                    [find_positions(moment, set(act.pair)) for act in acts],
                    [read_direct(moment, link.one, link.other) for link in refused],
                    [find_path(moment, membership, *pair) for *pair, membership in ends if membership is not None],
                ]
            )

    assert told[0] == told[1]
    assert all(told[0])
    assert any(told[0][-1]), "somebody was joined to the next"


class LosesTheAnswer:
    """A state whose third commit is kept, although the caller is told that the server is gone."""

    def __init__(self, state: AnyState) -> None:
        self._state = state
        self._n_commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        with self._state.transaction() as tx:
            yield tx
        self._n_commits += 1
        if self._n_commits == 3:
            raise StoreUnreachable("The server went away at the very end of a commit.")


def test_a_commit_whose_answer_was_lost_is_not_folded_twice(engine: Engine, tmp_path: Path) -> None:
    rows = random_log(8, 400, n_people=30)
    log = Rows(rows)
    plain = SqliteState(tmp_path / "plain.db")
    fold(plain, rows, n_batch=100)
    state = engine.open()
    prepare(state)
    opened = Fold(cast("State", LosesTheAnswer(state)), log)

    lost = 0
    for start in range(0, len(rows), 100):
        try:
            opened.apply(rows[start : start + 100])
        except StoreUnreachable:
            lost += 1
            opened.apply(rows[start : start + 100])

    assert lost == 1
    assert differences(tables(plain), tables(state)) == []
    plain.close()


class GoesAway(PostgresState):
    """A state with something about to happen at the end of its transactions."""

    before_commit: Callable[[], None] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        with super().transaction() as tx:
            yield tx
            if self.before_commit is not None:
                self.before_commit()


def test_a_server_out_of_reach_loses_and_doubles_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    rows = [
        row(position, {"type": "track", "event": "x", "userId": f"u{position % 9}"}, at=position)
        for position in range(1, 301)
    ]
    plain = SqliteState(tmp_path / "plain.db")
    fold(plain, rows, n_batch=100)
    name = f"outage_{uuid.uuid4().hex[:12]}"
    postgres.ask(f"CREATE DATABASE {name}")
    state = GoesAway(postgres.address.replace("/postgres?", f"/{name}?"))
    opened = Fold(state, Rows(rows))
    opened.apply(rows[:100])

    state.before_commit = lambda: end_sessions(postgres, name, come_again=False)
    for _ in range(3):
        with pytest.raises(StoreUnreachable):
            opened.apply(rows[100:200])
    state.before_commit = None
    postgres.ask(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    opened.apply(rows[100:200])
    end_sessions(postgres, name)
    opened.apply(rows[200:])

    assert differences(tables(plain), tables(state)) == []
    state.close()
    plain.close()
    postgres.ask(f"DROP DATABASE {name}")


def end_sessions(postgres: PostgresServer, database: str, *, come_again: bool = True) -> None:
    if not come_again:
        postgres.ask(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    postgres.ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", database)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_question_about_many_is_answered_as_each_of_them_is_on_every_engine(engine: Engine, policy: str) -> None:
    rows = place([declares(1, policy), *random_log(5, 400, n_people=30)])
    state = engine.open()
    opened = Fold(state, Rows(rows))
    for start in range(0, len(rows), 60):
        opened.apply(rows[start : start + 60])
        judge_due(state, adult_age=18, most=20)

    assert find_due(state, terms_of(policy_in_force(state), 18), most=1)
    check(state, NOON + 2 * DAY)
    while judge_due(state, adult_age=18):
        pass
    assert state.read("SELECT * FROM permission")
    for at in INSTANTS:
        check(state, at)
    assert load_restricted(state) == []
