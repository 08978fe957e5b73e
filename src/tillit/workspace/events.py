"""Reading what happened, to whomever it did.

In:    positions of the log, a permit.
Out:   events in log order; what became of each row.
Never: an event that is told before it is applied, where applied ones were asked for.
"""

from typing import Any

from tillit.profile import event_document
from tillit.records import KIND_EVENT, Permit
from tillit.store import Log, State
from tillit.workspace.folding import Folding


class Events:
    """Reading what happened."""

    def __init__(self, log: Log, state: State, folding: Folding) -> None:
        """Know the stores."""
        self._log = log
        self._state = state
        self._folding = folding

    def after(self, position: int, permit: Permit, *, limit: int = 100) -> list[tuple[int, dict[str, Any]]]:
        """Give events after a log position, in order, each with its position."""
        epoch = self._log.epoch()
        rows = self._log.read(position, limit)
        return [(row.position, event_document(row, permit, epoch=epoch)) for row in rows if row.kind == 1]

    def applied(
        self,
        after: int,
        permit: Permit,
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
        for row in rows:
            if row.kind != KIND_EVENT or row.position in left_out or (source is not None and row.source != source):
                continue
            document = event_document(row, permit, epoch=epoch)
            if (
                document["type"] != "husk"
                and (type is None or document["type"] == type)
                and (name is None or document["name"] == name)
            ):
                found.append((row.position, document))
        return found, last

    def fates(self, first: int, last: int) -> dict[int, tuple[str, str]]:
        """Say what became of log rows: position -> (fate, code); rows that were simply applied are left out."""
        rows = self._state.read(
            "SELECT position, fate, code FROM fate WHERE position >= ? AND position <= ?", (first, last)
        )
        return {p: (fate, code) for p, fate, code in rows}
