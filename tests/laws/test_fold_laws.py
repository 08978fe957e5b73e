"""What the fold promises, whatever the log: checked against a second reading of it and against itself."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model import World, read_world
from tests.strategies import cuts, logs, place, row
from tillit.collect import once
from tillit.flow import COMPARED_TABLES, Fold
from tillit.identity import find_membership, identifier_of, iter_events, resolve
from tillit.profile import get_document
from tillit.records import LogRow, Permit
from tillit.store import SqliteState, StoreLocked

PERMIT = Permit("service", 0, "test")
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
        return {name: sorted(self.state.read(f"SELECT * FROM {name}")) for name in COMPARED_TABLES}

    def keys(self) -> list[Key]:
        return [(ns, value) for ns, value in self.state.read("SELECT namespace, value FROM identifier")]

    def document(self, key: Key) -> dict[str, Any]:
        membership = find_membership(self.state, resolve.Handle(0, *key))
        assert membership is not None
        return get_document(self.state, membership, PERMIT, epoch=1)

    def timeline(self, key: Key, *, page: int = 3) -> list[tuple[int, int]]:
        membership = find_membership(self.state, resolve.Handle(0, *key))
        assert membership is not None
        found: list[tuple[int, int]] = []
        before = None
        while some := iter_events(self.state, membership, before=before, limit=page):
            found += some
            before = some[-1]
        return found

    def fates(self) -> dict[int, tuple[str, int | None]]:
        told = {p: (fate, of) for p, fate, of in self.state.read("SELECT position, fate, of_position FROM fate")}
        return {p: told.get(p, ("applied", None)) for p, one in self.log.items() if one.kind == 1}

    def refused(self) -> list[tuple[Any, ...]]:
        return self.state.read("SELECT * FROM link WHERE verdict = 'refused'")


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
    return told


def assert_tells_the_same(folded: Folded, world: World) -> None:
    assert folded.fates() == world.fates
    assert set(folded.keys()) == set(world.people)
    for key, person in world.people.items():
        assert orderless(folded.document(key)) == orderless(person.document), key
        assert folded.timeline(key) == person.timeline, key


# -- the fold against the model


@given(st.data())
def test_documents_timelines_and_fates_are_the_models(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])

        assert_tells_the_same(folded, read_world(rows))


@given(st.data())
def test_a_shared_device_belongs_to_whoever_claimed_it_last(data: st.DataObject) -> None:
    # Nothing but a kiosk and three people: every event is a claim or waits for one.
    n = data.draw(st.integers(2, 14))
    rows = []
    for position in range(1, n + 1):
        user = data.draw(st.sampled_from([{}, {}, {"userId": "ana"}, {"userId": "bo"}, {"userId": "cem"}]))
        body = {"type": "track", "event": "Viewed", "anonymousId": "kiosk", **user}
        if user and data.draw(st.integers(0, 7)) == 0:
            body = {"type": "alias", "previousId": "bo", "userId": "ana"}
        if data.draw(st.integers(0, 7)) == 0:
            body = {"type": "alias", "previousId": "kiosk", **user}
        rows.append(row(position, body, at=data.draw(st.integers(1, 8))))
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])

        assert_tells_the_same(folded, read_world(rows))


# -- the fold against itself


@given(st.data())
def test_where_micro_batches_are_cut_changes_nothing(data: st.DataObject) -> None:
    rows = data.draw(logs())
    batches = data.draw(cuts(len(rows)))

    assert tables_of(rows, batches) == tables_of(rows, [slice(i, i + 1) for i in range(len(rows))])


@given(st.data())
def test_stopping_and_starting_changes_nothing(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.reopen()
            folded.take(rows[batch])
        assert folded.fold.position == len(rows)

        assert folded.tables() == tables_of(rows)


@given(st.data())
def test_a_small_memory_changes_nothing(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "CACHE_SIZE", 0)
        forgetful = tables_of(rows, data.draw(cuts(len(rows))))

    assert forgetful == tables_of(rows)


@given(st.data())
def test_sending_everything_again_changes_nothing_but_fates(data: st.DataObject) -> None:
    rows = data.draw(logs())
    again = [one for one in rows if data.draw(st.booleans())]
    more = place([*rows, *again])
    with new_fold() as folded:
        folded.take(rows)
        before = folded.tables()
        folded.take(more[len(rows) :])
        after = folded.tables()
        fates = folded.fates()
    same = [name for name in COMPARED_TABLES if name not in ("fold", "fate")]

    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert {fates[one.position][0] for one in more[len(rows) :] if one.kind == 1} <= {"duplicate", "conflict", "quarantined"}


@given(st.data())
def test_arrival_order_changes_no_document(data: st.DataObject) -> None:
    # Where nothing was refused. The kind of an alias's previous id is a verdict in log order, so there are none here.
    users = data.draw(st.sampled_from([["ana"], ["ana", "bo"]]))
    rows = data.draw(logs(repeats=False, poison=False, aliases=False, users=users, distinct_times=True))
    shuffled = place(data.draw(st.permutations(rows)))
    with new_fold() as one, new_fold() as other:
        one.take(rows)
        other.take(shuffled)
        if one.refused() or other.refused():
            return

        assert {key: nameless(one.document(key)) for key in one.keys()} == {
            key: nameless(other.document(key)) for key in other.keys()
        }
        times = {key: [at for at, _ in one.timeline(key)] for key in one.keys()}
        assert times == {key: [at for at, _ in other.timeline(key)] for key in other.keys()}


@given(st.data())
def test_profile_ids_resolve_for_ever(data: st.DataObject) -> None:
    rows = data.draw(logs())
    given_out: dict[str, Key] = {}
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
            given_out |= {folded.document(key)["id"]: key for key in folded.keys()}
        for profile_id in given_out:
            membership = find_membership(folded.state, profile_id)
            assert membership is not None
            founder = folded.state.read(
                "SELECT namespace, value FROM identifier WHERE identifier_id = ?", (identifier_of(profile_id),)
            )
            assert membership.profile_id == folded.document(founder[0])["id"]


@given(st.data())
def test_every_event_has_exactly_one_fate(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
        indexed = [p for (p,) in folded.state.read("SELECT position FROM event_index")]
        fated = [p for (p,) in folded.state.read("SELECT position FROM fate")]

    assert sorted(indexed + fated) == [one.position for one in rows if one.kind == 1]


@given(st.data())
def test_sealed_slices_and_failures_keep_every_key(data: st.DataObject) -> None:
    rows = data.draw(logs(max_size=16))
    with pytest.MonkeyPatch.context() as patch, new_fold() as folded:
        patch.setattr(once, "_CELLS", 1 << 6)  # small filters, so that false alarms happen too
        patch.setattr(once, "_KEEP_EVERY", 2)
        patch.setattr(once, "_SHELF", 4)
        for batch in data.draw(cuts(len(rows))):
            folded.fold._once._slice_keys = data.draw(st.integers(1, 3))
            if data.draw(st.booleans()):
                fail_once(folded, rows[batch])
            if data.draw(st.booleans()):
                folded.reopen()
                folded.fold._once._slice_keys = 2
            folded.take(rows[batch])

        assert folded.fates() == read_world(rows).fates


def fail_as_locked(*_: object) -> None:
    raise StoreLocked("state.db is locked.", file="state.db")


def fail_once(folded: Folded, rows: Sequence[LogRow]) -> None:
    """Let one micro-batch fail at its very end: nothing of it may stay, on disk or in memory."""
    before = folded.tables()
    folded.log.update({one.position: one for one in rows})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tillit.flow.fold._keep_position", fail_as_locked)
        with pytest.raises(StoreLocked):
            folded.fold.apply(rows)
    assert folded.tables() == before
