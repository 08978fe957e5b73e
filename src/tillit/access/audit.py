"""The audit: what operators did, when, to what, and how it went.

In:    one note per action.
Out:   rows that are only added to, newest first when read.
Never: a personal value. A target is an id, details are short words and numbers; anything else is a bug of ours.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from tillit.errors import InternalError
from tillit.store import SqliteState

Detail = str | int | bool | None

_ACTION = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")
_TARGET = re.compile(r"[\w./:-]{0,80}", re.ASCII)
_LONGEST_DETAIL = 100


class Action(NamedTuple):
    """One thing an operator did."""

    audit_id: int
    at: int
    operator_id: str  # empty: nobody was signed in; "cli": the command line
    action: str  # operator.create
    target: str  # an id of ours
    outcome: str
    details: dict[str, Detail]


class BadNote(InternalError):
    """An action was noted in words that may hold a personal value."""

    code = "access.bad-note"

    def __init__(self, part: str) -> None:
        """Name the part, not what it said."""
        super().__init__(f"An action was not noted: its {part} is no id or short word. Please report it.", part=part)


class Audit:
    """Notes actions at once, and reads them back."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Use the journal's store."""
        self._store = store
        self._now = now

    def note(
        self,
        *,
        operator_id: str,
        action: str,
        target: str = "",
        outcome: str = "done",
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        """Note one action. Raises BadNote when a part of it could be a personal value."""
        kept = dict(details or {})
        if not _ACTION.fullmatch(action):
            raise BadNote("action")
        if not _TARGET.fullmatch(target):
            raise BadNote("target")
        for name, value in kept.items():
            # An address has an @; a longer text is somebody's words.
            if isinstance(value, str) and ("@" in value or len(value) > _LONGEST_DETAIL):
                raise BadNote(f"detail {name!r}")
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT INTO audit (at, operator_id, action, target, outcome, details) VALUES (?, ?, ?, ?, ?, ?)",
                (self._now(), operator_id, action, target, outcome, msgspec.json.encode(kept).decode()),
            )

    def actions(
        self, *, limit: int = 100, before: int | None = None, operator_id: str = "", action: str = ""
    ) -> list[Action]:
        """Give the newest actions first, of one operator or of one sort when asked."""
        wheres, params = ["1 = 1"], list[object]()
        for clause, value in (("audit_id < ?", before), ("operator_id = ?", operator_id), ("action = ?", action)):
            if value:
                wheres.append(clause)
                params.append(value)
        rows = self._store.read(
            "SELECT audit_id, at, operator_id, action, target, outcome, details FROM audit "
            f"WHERE {' AND '.join(wheres)} ORDER BY audit_id DESC LIMIT ?",
            (*params, limit),
        )
        return [Action._make((*row[:-1], msgspec.json.decode(row[-1]))) for row in rows]

    def list_actions(self) -> list[str]:
        """Give the names of all actions that were ever noted."""
        return [str(row[0]) for row in self._store.read("SELECT DISTINCT action FROM audit ORDER BY action")]
