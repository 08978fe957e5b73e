"""What the fold promises, whatever the log: checked against a second reading of it and against itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.folding import Folded, Key, assert_tells_the_same, nameless, new_fold, tables_of
from tests.model import read_world
from tests.strategies import cuts, logs, place, row
from tillit.collect import once
from tillit.flow import COMPARED_TABLES
from tillit.identity import find_membership, identifier_of, resolve
from tillit.records import KIND_EVENT, LogRow
from tillit.store import StoreLocked

# -- the fold against the model


@given(st.data())
def test_documents_timelines_and_fates_are_the_models(data: st.DataObject) -> None:
    rows = data.draw(logs())
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])

        assert_tells_the_same(folded, read_world(rows))


@pytest.mark.slow
@settings(max_examples=max(20, settings.default.max_examples // 5 if settings.default is not None else 0))
@given(st.data())
def test_a_long_log_is_the_models(data: st.DataObject) -> None:
    rows = data.draw(logs(max_size=40))
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
    again = [one for one in rows if one.kind == KIND_EVENT and data.draw(st.booleans())]
    more = place([*rows, *again])
    with new_fold() as folded:
        folded.take(rows)
        before = folded.tables()
        folded.take(more[len(rows) :])
        after = folded.tables()
        fates = folded.fates()
    same = [name for name in COMPARED_TABLES if name not in ("fold", "fate")]

    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert {fates[one.position][0] for one in more[len(rows) :] if one.kind == KIND_EVENT} <= {
        "duplicate",
        "conflict",
        "quarantined",
    }


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

        assert {key: nameless(one.document(key)) for key in one.identifiers()} == {
            key: nameless(other.document(key)) for key in other.identifiers()
        }
        times = {key: [at for at, _ in one.timeline(key)] for key in one.identifiers()}
        assert times == {key: [at for at, _ in other.timeline(key)] for key in other.identifiers()}


@given(st.data())
def test_profile_ids_resolve_for_ever(data: st.DataObject) -> None:
    rows = data.draw(logs())
    given_out: dict[str, Key] = {}
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
            given_out |= {folded.document(key)["id"]: key for key in folded.identifiers()}
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

    assert sorted(indexed + fated) == [one.position for one in rows if one.kind == KIND_EVENT]


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
