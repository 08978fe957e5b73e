"""Changeover: other identity rules over all of history, folded beside the live state and then taken over whole.

In:    rules, the log, the lake; a state that goes on being folded under the rules it has.
Out:   a second state under the new rules; the live state made equal to it, in one transaction.
Never: a moment in which part of what is read follows one set of rules and part another.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tillit.consent import load_grounds, mark_all
from tillit.flow.audiences import keep_tapes
from tillit.flow.fates import QUARANTINED
from tillit.flow.fold import COMPARED_TABLES, Fold, prepare
from tillit.flow.rebuild import ONCE_TABLES, carry_fates, drop_carried, iter_differences, iter_log
from tillit.flow.refold import ReadRows
from tillit.identity import AppliedRules
from tillit.records import LogRow
from tillit.store import Log, Reading, SqliteState, State, Writing
from tillit.store.lake import Lake

# Rows folded at once: the live fold waits for as long, some 50 ms.
_BLOCK = 2_000
_PAGE = 10_000


class Beside:
    """A state beside the live one, folded under other rules."""

    def __init__(
        self, folder: Path, rules: AppliedRules, *, log: Log, lake: Callable[[], Lake], rows: ReadRows, live: Reading
    ) -> None:
        """Begin anew in a folder of its own; what lay there is gone."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self.rules = rules
        self._folder = folder
        self._log = log
        self._rows = rows
        self.state = SqliteState(folder / "state.db", synchronous="OFF")
        prepare(self.state, rules)
        first = log.first_position()
        carry_fates(live, self.state, before=first)
        # Blocks of the lake are larger.
        self._earlier: Iterator[list[LogRow]] = (
            block[at : at + _BLOCK] for block in iter_log(log, lake, first - 1) for at in range(0, len(block), _BLOCK)
        )
        self.fold = Fold(self.state, rows)

    @property
    def position(self) -> int:
        """Say how far it has come."""
        return self.fold.position

    def step(self, through: int) -> int:
        """Fold on, at most up to a position; say how many rows were passed (0: it is there)."""
        rows = next(self._earlier, None)
        if rows is None:
            rows = self._log.read(self.position, _BLOCK)
            rows = [row for row in rows if row.position <= through]
        else:
            drop_carried(self.state, rows)
        self.fold.apply(rows, epoch=self._log.epoch())
        self.fold.take_busy()
        if not rows and keep_tapes(self.state, self.fold.catalog, self._rows, self.fold.tapes):
            return 1
        return len(rows)

    def discard(self) -> None:
        """Let it go, with everything in it."""
        self.state.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def take_over(live: State, beside: Beside) -> int:
    """Make the live state equal to one that folded as much of the log under other rules; say how many rows differed.

    Readers see all of it at once, when it is done.
    """
    n_rows = 0
    is_otherwise_applied = False
    with live.transaction() as tx:
        for table, key in COMPARED_TABLES.items():
            if table == "fold":
                continue
            come = []
            where = " AND ".join(f"{column} = ?" for column in key)
            gone = []
            for difference in iter_differences(table, key, tx, beside.state):
                n_rows += 1
                if difference.live is not None:
                    gone.append(difference.key)
                    if len(gone) == _PAGE:
                        tx.executemany(f"DELETE FROM {table} WHERE {where}", gone)
                        gone = []
                if difference.anew is not None:
                    come.append(difference.anew)
                if table == "fate" and QUARANTINED in {
                    (row or (0, ""))[1] for row in (difference.live, difference.anew)
                }:
                    is_otherwise_applied = True
            tx.executemany(f"DELETE FROM {table} WHERE {where}", gone)
            # Only now: what is unique in the table besides its key may have gone from one row to another.
            _insert(tx, table, come)
        if is_otherwise_applied:
            # Messages that are applied now and were not before, or the other way round, hold their keys accordingly.
            for table in ONCE_TABLES:
                tx.execute(f"DELETE FROM {table}")
                _insert(tx, table, beside.state.read(f"SELECT * FROM {table}"))
        mark_all(tx, load_grounds(beside.state))
        tx.execute("UPDATE fold SET rules = ?", (beside.rules.position,))
    return n_rows


def _insert(tx: Writing, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        tx.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
