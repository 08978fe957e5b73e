"""A fold in a folder of its own, and what can be asked of it.

In:    log rows.
Out:   tables, documents, timelines, fates.
Never: an opinion about what they should be.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.model import GROUPS_AT, World
from tillit.clock import instant
from tillit.flow import COMPARED_TABLES, Fold
from tillit.flow.audiences import keep_tapes
from tillit.identity import Handle, find_membership, identifier_of, iter_events
from tillit.profile import get_document
from tillit.records import KIND_EVENT, LogRow, Permit, Scope
from tillit.store import SqliteState
from tillit.workspace.groups import View, with_groups

PERMIT = Permit(Scope("service", 0, "test", 0, "contract", "", None, ()), "", None, None)
VIEW = View(epoch=1, at=instant(GROUPS_AT) or 0, adult_age=18)
Key = tuple[str, str]
Tables = dict[str, list[tuple[Any, ...]]]


class Folded:
    """One state, and a fold that can be stopped and opened again."""

    def __init__(self, path: Path) -> None:
        self.state = SqliteState(path, synchronous="OFF", cache_kb=2_048)
        self.log: dict[int, LogRow] = {}
        self.reopen()

    def reopen(self) -> None:
        self.fold = Fold(self.state, lambda positions: {p: self.log[p] for p in positions if p in self.log})

    def take(self, rows: Sequence[LogRow]) -> None:
        self.log.update({one.position: one for one in rows})
        self.fold.apply(rows)

    def tables(self) -> Tables:
        while keep_tapes(self.state, self.fold.catalog, self.fold._rows, self.fold.tapes):
            pass
        return {name: sorted(self.state.read(f"SELECT * FROM {name}")) for name in COMPARED_TABLES}

    def identifiers(self) -> list[Key]:
        return [(ns, value) for ns, value in self.state.read("SELECT namespace, value FROM identifier")]

    def document(self, key: Key) -> dict[str, Any]:
        membership = find_membership(self.state, Handle(0, *key))
        assert membership is not None
        document = get_document(self.state, membership, PERMIT, epoch=1)
        told = with_groups(self.state, document, membership, VIEW)
        del told["facts"]  # they follow from traits and groups
        # Who shares an address or a card follows from the links, and is held by tests/groups.
        told["groups"] = [one for one in told["groups"] if identifier_of(one["group"].partition(":")[2]) is None]
        return told

    def timeline(self, key: Key, *, page: int = 3) -> list[tuple[int, int]]:
        membership = find_membership(self.state, Handle(0, *key))
        assert membership is not None
        found: list[tuple[int, int]] = []
        before = None
        while some := iter_events(self.state, membership, before=before, limit=page):
            found += some
            before = some[-1]
        return found

    def fates(self) -> dict[int, tuple[str, int | None]]:
        told = {p: (fate, of) for p, fate, of in self.state.read("SELECT position, fate, of_position FROM fate")}
        return {p: told.get(p, ("applied", None)) for p, one in self.log.items() if one.kind == KIND_EVENT}

    def refused(self) -> list[tuple[Any, ...]]:
        return self.state.read("SELECT * FROM link WHERE verdict IN ('refused', 'soft')")


@contextlib.contextmanager
def new_fold() -> Iterator[Folded]:
    with tempfile.TemporaryDirectory() as folder:
        folded = Folded(Path(folder) / "state.db")
        try:
            yield folded
        finally:
            folded.state.close()


def tables_of(rows: Sequence[LogRow], batches: Sequence[slice] | None = None) -> Tables:
    with new_fold() as folded:
        for batch in batches or [slice(0, len(rows))]:
            folded.take(rows[batch])
        return folded.tables()


def orderless(document: dict[str, Any]) -> dict[str, Any]:
    told = dict(document)
    told["identifiers"] = sorted(told["identifiers"], key=lambda one: (one["namespace"], one["value"]))
    return told


def nameless(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what comes from log positions: they differ when the same events arrive in another order."""
    told = orderless(document)
    del told["id"]
    told["traits"] = {name: {k: v for k, v in t.items() if k != "event_id"} for name, t in told["traits"].items()}
    told["groups"] = [{k: v for k, v in one.items() if k != "event_id"} for one in told["groups"]]
    return told


def assert_tells_the_same(folded: Folded, world: World) -> None:
    assert folded.fates() == world.fates
    assert set(folded.identifiers()) == set(world.people)
    for key, person in world.people.items():
        assert orderless(folded.document(key)) == orderless(person.document), key
        assert folded.timeline(key) == person.timeline, key
