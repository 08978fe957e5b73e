"""Rebuild: fold the log anew, and compare.

In:    the log (and the lake, for what the log no longer holds).
Out:   a state made from nothing; differences between two states.
Never: an answer that looks at only part of the tables.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from tillit.consent import PERMISSION_TABLES
from tillit.flow.audiences import keep_tapes
from tillit.flow.fold import COMPARED_TABLES, Applied, Fold, prepare, quiet_garbage_collector
from tillit.flow.refold import ReadRows
from tillit.identity import DEFAULT, AppliedRules, read_definition
from tillit.records import LogRow
from tillit.store import Log, Reading, State
from tillit.store.lake import Lake

_BATCH = 20_000
_PAGE = 10_000
ONCE_TABLES = ("seen_run", "seen_bucket", "seen_filter")
_WORDS = frozenset({"term", "group_key", "name"})  # parts of keys that hold what people are called


class Difference(NamedTuple):
    """One row that two states do not agree on."""

    table: str
    key: tuple[Any, ...]
    live: tuple[Any, ...] | None
    anew: tuple[Any, ...] | None

    def __str__(self) -> str:
        """Say where, without any value."""
        named = zip(COMPARED_TABLES[self.table], self.key, strict=True)
        key = ", ".join(f"{name} {value!r}" for name, value in named if name not in _WORDS)
        if self.live is None:
            return f"{self.table} ({key}): missing in the live state"
        if self.anew is None:
            return f"{self.table} ({key}): only in the live state"
        columns = [str(i) for i, (a, b) in enumerate(zip(self.live, self.anew, strict=True)) if a != b]
        return f"{self.table} ({key}): differs in column {', '.join(columns)}"


def iter_log(log: Log, lake: Callable[[], Lake], through: int, *, after: int = 0) -> Iterator[list[LogRow]]:
    """Give all rows up to a position in blocks: from the lake what the log no longer holds, then from the log."""
    first = log.first_position()
    if first > after + 1 and through > after:
        husks = {row.position: row for row in log.husked() if row.position < first}
        definitions = (row for row in log.definitions() if after < row.position <= min(first - 1, through))
        block: list[LogRow] = []
        for row in merge(lake().iter_rows(after, min(first - 1, through)), definitions):
            block.append(husks.get(row.position, row))
            if len(block) == _BATCH:
                yield block
                block = []
        if block:
            yield block
        after = first - 1
    while after < through:
        rows = [row for row in log.read(after, _BATCH) if row.position <= through]
        if not rows:
            return
        yield rows
        after = rows[-1].position


def rules_of(log: Log) -> AppliedRules:
    """Give the identity rules that the log applied last."""
    told = [applied for row in log.definitions() if (applied := read_definition(row)) is not None]
    return told[-1] if told else DEFAULT


def fold_anew(
    state: State,
    blocks: Iterator[list[LogRow]],
    rows: ReadRows,
    *,
    epoch: int,
    rules: AppliedRules,
    first_position: int,
    taken: int | None = None,
    progress: Callable[[Applied], None] | None = None,
) -> Fold:
    """Fold blocks of rows into an empty state, under rules that hold from the first row on.

    `taken`: the position after which the outbox is filled: what was never folded before is not lost by a rebuild.
    What was carried over of rows before the log's first position gives way to the rows that there are.
    """
    prepare(state, rules)
    fold = Fold(state, rows, taken=taken)
    with quiet_garbage_collector():
        for block in blocks:
            if block[0].position < first_position:
                drop_carried(state, block)
            applied = fold.apply(block, epoch=epoch)
            fold.take_busy()  # what stands for many was found when it came
            if progress is not None:
                progress(applied)
        while keep_tapes(state, fold.catalog, rows, fold.tapes):
            pass
    return fold


def carry_fates(live: Reading, anew: State, *, before: int) -> None:
    """Take over what became of resends that neither log nor lake holds any more: nothing can tell it again."""
    after = 0
    sql = (
        "SELECT position, fate, code, of_position FROM fate "
        "WHERE of_position IS NOT NULL AND position > ? AND position < ?"
    )
    while rows := live.read(f"{sql} ORDER BY position LIMIT {_PAGE}", (after, before)):
        with anew.transaction() as tx:
            tx.executemany("INSERT INTO fate (position, fate, code, of_position) VALUES (?, ?, ?, ?)", rows)
        after = rows[-1][0]


def drop_carried(anew: State, rows: Sequence[LogRow]) -> None:
    """Let go of carried fates of rows that are about to be folded: under other rules a resend may not be one."""
    with anew.transaction() as tx:
        tx.executemany("DELETE FROM fate WHERE position = ?", [(row.position,) for row in rows])


def reset_state(state: State, rules: AppliedRules, *, first_position: int) -> None:
    """Throw away everything derived. What was folded is folded again from the log; a crash in between loses nothing.

    The fates of resends before the log's first position stay: they cannot be derived again.
    """
    with state.transaction() as tx:
        for table in (
            *ONCE_TABLES,
            *PERMISSION_TABLES,
            "outbox",
            *(name for name in COMPARED_TABLES if name != "fate"),
        ):
            tx.execute(f"DELETE FROM {table}")
        tx.execute("DELETE FROM fate WHERE position >= ? OR of_position IS NULL", (first_position,))
    prepare(state, rules)


def compare_states(live: Reading, anew: Reading, *, most: int = 20) -> list[Difference]:
    """Compare every derived table row by row; give the first differences (none: law L8 holds)."""
    found: list[Difference] = []
    for table, key in COMPARED_TABLES.items():
        found += islice(iter_differences(table, key, live, anew), most - len(found))
        if len(found) >= most:
            break
    return found


def iter_differences(table: str, key: tuple[str, ...], live: Reading, anew: Reading) -> Iterator[Difference]:
    """Walk over one table of two states, in the order of its key, and give what they do not agree on."""
    width = len(key)
    ours, theirs = _iter_table(live, table, key), _iter_table(anew, table, key)
    a, b = next(ours, None), next(theirs, None)
    while a is not None or b is not None:
        if a == b:
            a, b = next(ours, None), next(theirs, None)
            continue
        at_a = a[:width] if a is not None else None
        at_b = b[:width] if b is not None else None
        if at_a == at_b:
            yield _difference(table, width, a, b)
            a, b = next(ours, None), next(theirs, None)
        elif at_b is None or (at_a is not None and at_a < at_b):
            yield _difference(table, width, a, None)
            a = next(ours, None)
        else:
            yield _difference(table, width, None, b)
            b = next(theirs, None)


def _difference(table: str, width: int, live: tuple[Any, ...] | None, anew: tuple[Any, ...] | None) -> Difference:
    key = (live or anew or ())[:width]
    return Difference(table, key, live[width:] if live else None, anew[width:] if anew else None)


def _iter_table(reading: Reading, table: str, key: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    assert re.fullmatch(r"[a-z_]+", table), "tables are named by us"
    columns = ", ".join(key)
    marks = ", ".join("?" * len(key))
    rows = reading.read(f"SELECT {columns}, t.* FROM {table} t ORDER BY {columns} LIMIT {_PAGE}")
    while rows:
        yield from rows
        last = rows[-1][: len(key)]
        rows = reading.read(
            f"SELECT {columns}, t.* FROM {table} t WHERE ({columns}) > ({marks}) ORDER BY {columns} LIMIT {_PAGE}", last
        )
