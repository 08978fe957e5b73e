"""Reading what happened, to whomever it did.

In:    positions of the log, a scope.
Out:   events in log order; what became of each row.
Never: an event that is told before it is applied, where applied ones were asked for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tillit.profile import event_document, reaches, reduce_row
from tillit.records import KIND_EVENT, LogRow, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.folding import Folding
from tillit.workspace.leave import Leave, Near


class Reached:
    """Whether the people whom events are about may be read of, each asked for once."""

    def __init__(self, leave: Leave) -> None:
        """Know nobody yet."""
        self._leave = leave
        self._near = Near(leave)

    def reach(self, row: LogRow) -> bool:
        """Say whether the person whom an event is about may be read of."""
        return not self._near.needs_asking or self._near.may(self._leave.whose(row))


class Events:
    """Reading what happened."""

    def __init__(self, log: Log, state: State, folding: Folding, *, leave: Callable[[Reading, Scope], Leave]) -> None:
        """Know the stores, and whom to ask for leave."""
        self._leave = leave
        self._log = log
        self._state = state
        self._folding = folding

    def applied(
        self,
        after: int,
        scope: Scope,
        *,
        limit: int = 100,
        type: str | None = None,
        name: str | None = None,
        source: str | None = None,
    ) -> tuple[list[tuple[int, dict[str, Any]]], int]:
        """Give events that the fold has applied, after a position, in log order, and where to go on.

        Shape: ([(position, document)], position). Looks at `limit` rows and leaves out repeats, what was forgotten,
               and what was not asked for, so that a page may be short or empty while there is more.
        """
        through = self._folding.position()
        rows = [row for row in self._log.read(after, limit) if row.position <= through]
        if not rows:
            return [], after
        last = rows[-1].position
        # An event without an identifier is in nobody's profile, but it did happen: the lake keeps it as well.
        left_out = {p for p, (fate, _) in self.fates(rows[0].position, last).items() if fate != "quarantined"}
        epoch = self._log.epoch()
        found = []
        may = Reached(self._leave(self._state, scope))
        for row in rows:
            if row.kind != KIND_EVENT or row.position in left_out or (source is not None and row.source != source):
                continue
            document = event_document(row, scope, epoch=epoch)
            if (
                document is not None
                and document["type"] != "husk"
                and (type is None or document["type"] == type)
                and (name is None or document["name"] == name)
                and may.reach(row)
            ):
                found.append((row.position, document))
        return found, last

    def reached(self, rows: Sequence[LogRow], scope: Scope) -> list[LogRow]:
        """Give those log rows that a scope reaches, by what they carry and whom they are about, as far as it does."""
        may = Reached(self._leave(self._state, scope))
        return [reduce_row(row, scope) for row in rows if reaches(row, scope) and may.reach(row)]

    def people(self, positions: Sequence[int], scope: Scope) -> list[str]:
        """Give the profile ids of the people whom log rows are about, each once; whoever is not known is left out."""
        leave = self._leave(self._state, scope)
        named = dict.fromkeys(leave.whose(row) for row in self._log.get(positions).values())
        found = (leave.id_of(who) for who in named if who is not None)
        return list(dict.fromkeys(one for one in found if one is not None))

    def about(self, row: LogRow, scope: Scope) -> str | None:
        """Say by their id whom an event is about; None: nobody who is known. Asks for no leave and tells no value."""
        leave = self._leave(self._state, scope)
        who = leave.whose(row)
        return leave.id_of(who) if who is not None else None

    def fates(self, first: int, last: int) -> dict[int, tuple[str, str]]:
        """Say what became of log rows: position -> (fate, code); rows that were simply applied are left out."""
        rows = self._state.read(
            "SELECT position, fate, code FROM fate WHERE position >= ? AND position <= ?", (first, last)
        )
        return {p: (fate, code) for p, fate, code in rows}
