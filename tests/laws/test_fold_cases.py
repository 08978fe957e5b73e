"""Named cases of the fold: each once went wrong, or is a decision that the laws leave open."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.laws.folding import Folded, assert_tells_the_same, nameless, new_fold, tables_of
from tests.model import read_world
from tests.strategies import place, row
from tillit.errors import TillitError
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, LogRow
from tillit.store.sqlite import StoreBroken

ANA, BO, CEM = ("user_id", "ana"), ("user_id", "bo"), ("user_id", "cem")
TABLET = ("anonymous_id", "tablet")

Body = dict[str, Any]


def said(kind: str = "track", user: str | None = None, device: str | None = None, **more: Any) -> Body:
    body: Body = {"type": kind, **more}
    if kind == "track":
        body.setdefault("event", "Viewed")
    if user is not None:
        body["userId"] = user
    if device is not None:
        body["anonymousId"] = device
    return body


def fold_singly(folded: Folded, rows: Sequence[LogRow]) -> None:
    for one in rows:
        folded.take([one])


def check(rows: Sequence[LogRow]) -> Folded:
    """Fold one by one and all at once; both must be what the model says."""
    with new_fold() as folded:
        fold_singly(folded, rows)
        assert_tells_the_same(folded, read_world(rows))
        assert folded.tables() == tables_of(rows)
    return folded


# -- devices


def test_a_tablet_is_anas_in_the_morning_and_bos_at_night() -> None:
    rows = [
        row(1, said(device="tablet"), at=1),
        row(2, said(user="bo", device="tablet"), at=20),
        row(3, said(device="tablet"), at=21),
        row(4, said(device="tablet"), at=12),
        row(5, said(user="ana", device="tablet"), at=10),  # arrives last, was first
    ]
    check(rows)
    with new_fold() as folded:
        fold_singly(folded, rows)

        assert [p for _, p in folded.timeline(ANA)] == [4, 5, 1]
        assert [p for _, p in folded.timeline(BO)] == [3, 2]
        assert folded.document(TABLET)["id"] == folded.document(BO)["id"]  # whoever holds it now


def test_two_claims_at_one_instant_give_the_device_to_the_later_in_the_log() -> None:
    rows = [
        row(1, said(user="ana", device="tablet"), at=1),
        row(2, said(user="bo", device="tablet"), at=5),
        row(3, said(user="cem", device="tablet"), at=5),
        row(4, said(device="tablet"), at=7),
    ]
    check(rows)
    with new_fold() as folded:
        fold_singly(folded, rows)

        assert folded.document(CEM)["n_events"] == 2
        assert folded.document(BO)["n_events"] == 1  # not the tablet's event as well


def test_a_claim_made_by_an_alias_is_found_again() -> None:
    check(
        [
            row(1, said(device="tablet"), at=1),
            row(2, said("alias", user="ana", previousId="tablet"), at=2),
            row(3, said("alias", user="ana", previousId="tablet"), at=8),
            row(4, said(user="bo", device="tablet"), at=5),  # between two claims of hers
            row(5, said(device="tablet"), at=9),
        ]
    )


def test_a_device_named_by_an_alias_alone_may_change_hands() -> None:
    check(
        [
            row(1, said("alias", previousId="tablet"), at=4),
            row(2, said(user="ana", device="tablet"), at=2),
            row(3, said(user="bo", device="tablet"), at=3),
        ]
    )


# -- joining


def test_a_server_joins_two_user_ids_by_alias() -> None:
    rows = [row(1, said(user="bo"), at=1), row(2, said("alias", user="ana", previousId="bo"), at=2)]
    check(rows)
    with new_fold() as folded:
        fold_singly(folded, rows)

        assert folded.document(ANA) == folded.document(BO)
        assert folded.document(ANA)["n_events"] == 2


def test_a_public_key_joins_no_user_ids_by_alias() -> None:
    rows = [
        row(1, said(user="bo"), at=1),
        row(2, said("alias", user="ana", previousId="bo"), at=2, trust=TRUST_CLAIMED),
    ]
    check(rows)
    with new_fold() as folded:
        fold_singly(folded, rows)

        assert folded.document(ANA)["id"] != folded.document(BO)["id"]


def test_an_alias_joins_its_previous_id_and_not_whoever_has_the_email_in_its_context() -> None:
    email: Body = {"traits": {"email": "bo@example.org"}}
    rows = [
        row(1, said("identify", user="bo", **email), at=1),
        row(2, said("alias", user="ana", previousId="tablet", context=email), at=2),
    ]
    check(rows)
    with new_fold() as folded:
        fold_singly(folded, rows)

        assert folded.document(ANA)["id"] != folded.document(BO)["id"]
        assert [link[-1] for link in folded.refused()] == ["two user ids"]


def test_an_email_joins_what_was_said_before_with_a_user_id() -> None:
    email: Body = {"traits": {"email": "ana@example.org"}}
    rows = [
        row(1, said("identify", **email), at=1),
        row(2, said("identify", user="ana", **email), at=2),
    ]
    check(rows)
    with new_fold() as folded:
        folded.take(rows[:1])
        old = folded.document(("email", "ana@example.org"))["id"]
        folded.take(rows[1:])

        assert folded.document(ANA)["n_events"] == 2
        assert folded.document(ANA)["id"] != old


def test_a_public_key_never_joins_two_people_whom_a_server_knows() -> None:
    card = {"externalIds": [{"type": "card", "id": "c1"}]}
    known = [row(1, said(user="ana"), at=1), row(2, said(context=card), at=2)]
    claim = said(user="ana", context=card)
    with new_fold() as folded:
        folded.take([*known, row(3, claim, at=3, trust=TRUST_CLAIMED)])
        assert folded.document(("card", "c1"))["id"] != folded.document(ANA)["id"]

        folded.take([row(4, claim, at=4, trust=TRUST_SERVER)])  # a server may
        assert folded.document(("card", "c1"))["id"] == folded.document(ANA)["id"]


def test_a_public_key_never_overwrites_nor_takes_back_a_trait_of_higher_trust() -> None:
    rows = [
        row(1, said("identify", user="ana", traits={"plan": "plus"}), at=1),
        row(2, said("identify", user="ana", traits={"plan": "free"}), at=2, trust=TRUST_CLAIMED),
        row(3, said("identify", user="ana", traits={"plan": None}), at=3, trust=TRUST_CLAIMED),
    ]
    check(rows)
    with new_fold() as folded:
        folded.take(rows)

        assert folded.document(ANA)["traits"]["plan"]["value"] == "plus"


def test_an_event_is_about_its_own_user_id_before_one_among_its_external_ids() -> None:
    rows = [row(1, said(user="bo", context={"externalIds": [{"type": "user_id", "id": "ana"}]}), at=1)]
    check(rows)
    with new_fold() as folded:
        folded.take(rows)

        assert folded.document(BO)["n_events"] == 1


# -- decided: what an alias's previous id is, is judged at its place in the log


def test_an_aliass_previous_id_is_a_device_only_when_it_was_seen_as_one_before() -> None:
    alias, event = said("alias", user="ana", previousId="tablet"), said(device="tablet")
    with new_fold() as first, new_fold() as last:
        first.take([row(1, event, at=1), row(2, alias, at=2)])
        last.take([row(1, alias, at=2), row(2, event, at=1)])

        assert first.document(TABLET)["id"] == first.document(ANA)["id"]
        assert last.document(("user_id", "tablet"))["id"] == last.document(ANA)["id"]
        assert last.document(TABLET)["id"] != last.document(ANA)["id"]


# -- decided: refusals are verdicts in log order


def test_whoever_came_first_keeps_the_email() -> None:
    email: Body = {"traits": {"email": "ana@example.org"}}
    rows = [row(1, said("identify", user="ana", **email), at=1), row(2, said("identify", user="bo", **email), at=2)]
    for order, keeper in ((rows, ANA), (rows[::-1], BO)):
        with new_fold() as folded:
            folded.take(place(order))

            assert folded.document(("email", "ana@example.org"))["id"] == folded.document(keeper)["id"]


# -- once, and poison


POISONED = {
    "no_json": b'{"type": "track", "userId": "ana"',
    "two_events_in_one": b'{"type":"track","userId":"ana"},{"type":"track","userId":"ana"}',
    "a_listed_user_id": said(user="ana") | {"userId": ["ana"]},
    "more_than_64_bits": said("identify", user="ana", traits={"points": 10**30}),
    "nobody": said(),
}


@pytest.mark.parametrize("body", POISONED.values(), ids=POISONED.keys())
def test_poison_is_put_aside_alone_and_does_not_hold_its_key(body: Any) -> None:
    rows = [
        row(1, said(user="ana"), at=1),
        row(2, body, at=2),
        row(3, said(user="ana"), at=3, message=2),  # mended, under the same message id
        row(4, said(user="ana"), at=3, message=2),
        row(5, said(user="bo"), at=4),
    ]
    check(rows)
    with new_fold() as folded:
        folded.take(rows)

        fates = [fate for fate, _ in folded.fates().values()]
        assert fates == ["applied", "quarantined", "applied", "duplicate", "applied"]


@pytest.mark.parametrize("name", [None, 5, ["x"], {"x": 1}], ids=["none", "number", "list", "object"])
def test_an_event_without_a_readable_name_is_counted_without_one(name: Any) -> None:
    rows = [row(1, said(user="ana"), at=1), row(2, said(user="ana", event=name), at=2)]
    check(rows)
    with new_fold() as folded:
        folded.take(rows)

        assert folded.document(ANA)["counts"] == {"(no name)": 1, "Viewed": 1}


def test_another_body_under_the_same_message_id_is_a_conflict_and_the_first_stays() -> None:
    rows = [row(1, said(user="ana"), at=1)]
    rows += [row(2, other, at=2, message=1) for other in [said(user="bo"), ["no object"], b"{"]]
    with new_fold() as folded:
        folded.take(place(rows))

        assert folded.fates() == {1: ("applied", None), **dict.fromkeys([2, 3, 4], ("conflict", 1))}
        assert folded.identifiers() == [ANA]


def test_nothing_to_fold_changes_nothing() -> None:
    with new_fold() as folded:
        folded.take([])

        assert folded.fold.position == 0


def test_a_damaged_store_stops_the_fold_and_condemns_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise StoreBroken("state.db is damaged.", file="state.db")

    with new_fold() as folded:
        with monkeypatch.context() as patch:
            patch.setattr("tillit.flow.fold._keep_position", break_down)
            with pytest.raises(TillitError):
                folded.take([row(1, said(user="ana"), at=1)])
        assert folded.fold.position == 0
        folded.take([row(1, said(user="ana"), at=1)])

        assert folded.fates() == {1: ("applied", None)}


# -- arrival order


def test_late_and_early_make_one_story() -> None:
    rows = [
        row(1, said(user="ana", device="tablet"), at=10),
        row(2, said("identify", user="ana", traits={"plan": "plus"}), at=8),
        row(3, said("identify", user="ana", traits={"plan": "free"}), at=5),
        row(4, said(user="bo", device="tablet"), at=6),
        row(5, said(device="tablet"), at=7),
    ]
    with new_fold() as forth, new_fold() as back:
        forth.take(rows)
        fold_singly(back, place(rows[::-1]))

        for key in (ANA, BO, TABLET):
            assert nameless(forth.document(key)) == nameless(back.document(key))
