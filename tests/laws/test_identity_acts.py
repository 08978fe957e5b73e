"""L3, exact undo: what colleagues cut, pin, join and undo is as if the evidence had, or had not, been from the start.

The model reads all acts of a log before its first event; the fold hears of each when it comes. They must agree after
every micro-batch, whatever is mixed in: late events, aliases, resends, devices that change hands, more acts.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.folding import Folded, Key, assert_tells_the_same, new_fold, orderless, tables_of
from tests.model import read_world
from tests.strategies import NOON, SECOND, USERS, cuts, logs, place, row
from tillit.flow import COMPARED_TABLES
from tillit.identity import identity_act_row
from tillit.identity.namespaces import Handle
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED, LogRow

ABOUT: list[Key] = [
    ("user_id", "ana"),
    ("user_id", "bo"),
    ("user_id", "cem"),
    ("email", "ana@example.org"),
    ("email", "bo@example.org"),
    ("card", "c1"),
    ("anonymous_id", "tablet"),
    ("anonymous_id", "kiosk"),
]


def act(position: int, kind: str, one: Key, other: Key, *, of: str = "") -> LogRow:
    """Give one act as the log holds it; its message id is `act-` and its position."""
    ends = [one] if kind in {"block", "free"} else [one, other]
    about = [] if kind == "undo" else [Handle(0, *end) for end in ends]
    now = NOON + (2_000 + position) * SECOND
    new = identity_act_row(
        kind, about, of=of, operator="kim", reason="seen on the telephone", message_id=f"act-{position}", now=now
    )
    return LogRow(position, now, *new)


def saying(position: int, keys: Sequence[Key], *, at: int, trust: int) -> LogRow:
    """Give an event that names these identifiers: the evidence that acts are about. Two user ids are an alias."""
    body: dict[str, Any] = {"type": "identify", "messageId": "m"}
    users = [value for name, value in keys if name == "user_id"]
    if users:
        body["userId"] = users[0]
    if len(users) > 1:
        body |= {"type": "alias", "previousId": users[1]}
    context: dict[str, Any] = {}
    for name, value in keys:
        if name == "anonymous_id":
            body["anonymousId"] = value
        elif name == "email":
            body["traits"] = {"email": value}
        elif name != "user_id":
            context["externalIds"] = [{"type": name, "id": value}]
    return row(position, body | ({"context": context} if context else {}), at=at, trust=trust)


@st.composite
def decided_logs(
    draw: st.DrawFn,
    *,
    max_size: int = 12,
    kinds: str = "cut cut pin join undo undo block free",
    about: Sequence[Key] = tuple(ABOUT),
    users: Sequence[str] = USERS,
) -> list[LogRow]:
    """Draw a log with acts among its events, mostly about two identifiers that events say in one breath.

    Undos name any act before them.
    """
    rows: list[LogRow] = list(draw(logs(max_size=max_size, users=users)))
    pairs = [(one, other) for one in about for other in about if one != other and one[0] != "anonymous_id"]
    pair = draw(st.sampled_from(pairs))
    for number in range(3_000, 3_000 + draw(st.integers(0, 3))):
        # The first of them mostly comes first: an act about nobody known is none.
        at = draw(st.integers(0, len(rows))) if number > 3_000 else 0
        trust = draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER, TRUST_SERVER, TRUST_VERIFIED]))
        rows.insert(at, saying(number, pair, at=draw(st.integers(1, 10)), trust=trust))
    made: list[str] = []
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(1, len(rows)))
        kind = draw(st.sampled_from(kinds.split()))
        one, other = pair if draw(st.integers(0, 3)) else draw(st.tuples(*[st.sampled_from(about)] * 2))
        of = draw(st.sampled_from(made)) if made else "nothing"
        number = 1_000 + len(made)
        rows.insert(at, act(number, kind, one, other, of=of))
        made.append(f"act-{number}")
    return place(rows)


@given(st.data())
def test_acts_are_the_models(data: st.DataObject) -> None:
    rows = data.draw(decided_logs())
    done: list[LogRow] = []
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
            done += rows[batch]
            assert_tells_the_same(folded, read_world(done))


@pytest.mark.slow
@settings(max_examples=max(20, settings.default.max_examples // 5 if settings.default is not None else 0))
@given(st.data())
def test_acts_in_a_long_log_are_the_models(data: st.DataObject) -> None:
    rows = data.draw(decided_logs(max_size=40))
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])

        assert_tells_the_same(folded, read_world(rows))


@given(st.data())
def test_where_micro_batches_are_cut_changes_nothing(data: st.DataObject) -> None:
    rows = data.draw(decided_logs())
    batches = data.draw(cuts(len(rows)))

    assert tables_of(rows, batches) == tables_of(rows, [slice(i, i + 1) for i in range(len(rows))])


def told(folded: Folded) -> dict[str, Any]:
    return {
        "documents": {key: orderless(folded.document(key)) for key in folded.identifiers()},
        "timelines": {key: folded.timeline(key) for key in folded.identifiers()},
    }


@given(st.data())
def test_an_act_that_is_undone_never_was(data: st.DataObject) -> None:
    rows = data.draw(decided_logs())
    one, other = data.draw(st.sampled_from(ABOUT)), data.draw(st.sampled_from(ABOUT))
    kind = data.draw(st.sampled_from(["cut", "pin", "join"]))
    # An act at the very end keeps the places of all others, and so profile ids.
    with_both = [*rows, act(2_000, kind, one, other), act(2_001, "undo", one, other, of="act-2000")]
    with new_fold() as before, new_fold() as after:
        before.take(rows)
        after.take(place(with_both))

        assert told(after) == told(before)


@given(st.data())
def test_an_undone_undo_is_the_act_again(data: st.DataObject) -> None:
    rows = data.draw(decided_logs())
    one, other = data.draw(st.sampled_from(ABOUT)), data.draw(st.sampled_from(ABOUT))
    first = act(2_000, data.draw(st.sampled_from(["cut", "pin", "join"])), one, other)
    undo = act(2_001, "undo", one, other, of="act-2000")
    undo_undo = act(2_002, "undo", one, other, of="act-2001")
    with new_fold() as once, new_fold() as thrice:
        once.take(place([*rows, first]))
        thrice.take(place([*rows, first, undo, undo_undo]))

        assert told(thrice) == told(once)


@given(st.data())
def test_a_rebuild_is_the_live_state(data: st.DataObject) -> None:
    rows = data.draw(decided_logs())
    live = tables_of(rows, data.draw(cuts(len(rows))))

    assert live == tables_of(rows)
    assert set(live) == set(COMPARED_TABLES)


def test_a_cut_parts_two_people_and_holds_against_the_next_event() -> None:
    joined = {"type": "identify", "messageId": "m", "userId": "ana", "traits": {"email": "bo@example.org"}}
    rows = [
        row(1, joined, at=1),
        act(2, "cut", ("user_id", "ana"), ("email", "bo@example.org")),
        row(3, joined, at=3),
    ]
    with new_fold() as folded:
        folded.take(rows[:1])
        together = folded.document(("email", "bo@example.org"))["id"]
        folded.take(rows[1:])
        ana, bo = folded.document(("user_id", "ana")), folded.document(("email", "bo@example.org"))

    assert together == ana["id"] != bo["id"]
    assert bo["n_events"] == 0
    assert ana["n_events"] == 2


def test_an_act_about_nobody_known_is_put_aside_and_may_come_again() -> None:
    digest = hashlib.blake2b(b"later", digest_size=16).digest()
    early = act(1, "cut", ("user_id", "ana"), ("user_id", "bo"))._replace(message_hash=digest)
    rows = place([early, row(2, {"type": "track", "event": "E", "userId": "ana"}, at=1), early])
    with new_fold() as folded:
        folded.take(rows)

        assert folded.fates()[1] == ("quarantined", None)
        assert json.loads(rows[0].body or b"")["type"] == "cut"


def test_who_lent_a_device_has_it_without_a_break_when_the_other_is_cut_from_it() -> None:
    tablet = ("anonymous_id", "tablet")
    claims = [
        saying(position, [("user_id", user), tablet], at=position, trust=TRUST_SERVER)
        for position, user in enumerate(["bo", "ana", "bo"], start=1)
    ]
    with new_fold() as folded:
        folded.take(claims)
        lent = folded.tables()["tenure"]
        folded.take([act(4, "cut", ("user_id", "ana"), tablet)])
        whole = folded.tables()["tenure"]
        folded.take([act(5, "undo", ("user_id", "ana"), tablet, of="act-4")])

        assert [holder for *_, holder in lent] == [64, 128, 64]
        assert [holder for *_, holder in whole] == [64]
        assert folded.tables()["tenure"] == lent


def test_a_device_that_one_alias_alone_names_stays_known_when_it_is_blocked() -> None:
    tablet = ("anonymous_id", "tablet")
    alias = {"type": "alias", "messageId": "m", "anonymousId": "kiosk", "previousId": "tablet"}
    rows = [row(1, alias, at=1), act(2, "block", tablet, tablet)]
    with new_fold() as folded:
        folded.take(rows)

        assert tablet in folded.identifiers()
        assert_tells_the_same(folded, read_world(rows))
