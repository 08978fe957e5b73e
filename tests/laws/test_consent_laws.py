"""L6: no permission, no use. What may be done with somebody's data follows from what was said, and from nothing else.

A second reading (`tests/consent_model.py`) decides everything again from the raw events of whoever the model of
identity says is one person; also after colleagues cut, joined and undid. Both must give the same answers.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.consent_model import may
from tests.laws.folding import Folded, Key, new_fold
from tests.laws.test_identity_acts import act, decided_logs
from tests.model import read_world
from tests.strategies import CARRIED, NOON, PURPOSES, SECOND, STATES, cuts, place, row
from tillit.consent import decide, hangs_on_choice, read_policy, subject_of
from tillit.flow import read_subject
from tillit.identity import Handle, find_membership
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED, LogRow

AT = NOON + 86_400 * SECOND
LOOSE = read_policy(
    """
purposes:
  service: {title: S, basis: contract, fields: all}
  newsletter: {title: N, basis: consent, fields: all, categories: [Ads], valid_for: 1 week}
  analytics: {title: A, basis: legitimate_interest, fields: all, categories: [Analytics], signals: [gpc]}
  profiling: {title: P, basis: consent, fields: all, categories: [Ads, Analytics]}
"""
)
STRICT = read_policy(
    """
purposes:
  newsletter:
    {title: N, basis: consent, fields: all, categories: [Ads, Analytics], channels: [email, sms], signals: [gpc]}
  analytics: {title: A, basis: consent, fields: all, confirm: true}
  profiling: {title: P, basis: legitimate_interest, fields: all, categories: [Ads, Analytics]}
"""
)
POLICIES = (LOOSE, STRICT)
ON_CHOICE = [(declared, name) for declared in POLICIES for name in declared.purposes if hangs_on_choice(declared, name)]


def subject(folded: Folded, key: Key) -> Any:
    membership = find_membership(folded.state, Handle(0, *key))
    assert membership is not None
    return read_subject(folded.state, membership, at=AT, adult_age=18, epoch=1)


def decisions(folded: Folded) -> dict[Key, list[Any]]:
    """What is decided of everybody, for every purpose."""
    people = {key: subject(folded, key) for key in folded.identifiers()}
    return {key: [decide(declared, one, name, at=AT) for declared, name in ON_CHOICE] for key, one in people.items()}


def permitted(folded: Folded) -> dict[Key, list[bool]]:
    return {key: [one.is_permitted for one in told] for key, told in decisions(folded).items()}


@given(st.data())
def test_nobody_is_used_for_more_than_the_strictest_reading_permits_also_after_cuts_and_merges(
    data: st.DataObject,
) -> None:
    rows = data.draw(decided_logs(max_size=10, kinds="cut cut join join undo"))
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
        told = {key: subject(folded, key) for key in folded.identifiers()}
        found = permitted(folded)
    people = read_world(rows).people

    for key, one in told.items():
        # Where it became one person is the product's word: the law test of it is the one about merges below.
        model = [may(d, name, people[key], at=AT, joined_at=one.joined_at) for d, name in ON_CHOICE]
        assert found[key] == model, (key, ON_CHOICE)


@given(st.data())
def test_neither_the_order_of_words_nor_of_batches_nor_a_rebuild_changes_an_answer(data: st.DataObject) -> None:
    rows = data.draw(decided_logs(max_size=10, kinds="cut join undo"))
    with new_fold() as live, new_fold() as rebuilt:
        for batch in data.draw(cuts(len(rows))):
            live.take(rows[batch])
        rebuilt.take(rows)
        key = data.draw(st.sampled_from(sorted(live.identifiers()))) if live.identifiers() else None
        told = subject(live, key) if key is not None else None

        assert decisions(live) == decisions(rebuilt)

    if told is not None:
        words = data.draw(st.permutations([word for some in told.statements.values() for word in some]))
        mixed = subject_of(
            "",
            words,
            selves=told.selves[::-1],
            devices=told.devices,
            is_known=told.is_known,
            joined_at=told.joined_at,
        )
        for declared, name in ON_CHOICE:
            assert decide(declared, mixed, name, at=AT) == decide(declared, told, name, at=AT)


@st.composite
def said_by(draw: st.DrawFn, *, about: str, trusts: Sequence[int] = (TRUST_CLAIMED, TRUST_SERVER)) -> LogRow:
    """Draw a word of one person's, with a token or without."""
    body: dict[str, Any] = {"type": "track", "event": "Consent Updated", "userId": about, "messageId": "m"}
    body["properties"] = {"purposes": draw(st.dictionaries(st.sampled_from(PURPOSES), st.sampled_from(STATES)))}
    if draw(st.booleans()):
        body["context"] = {"consent": draw(st.sampled_from(CARRIED))}
    if draw(st.booleans()):
        jti = draw(st.binary(min_size=16, max_size=16)).hex()
        body["proof"] = {"sub": ["user_id", about], "also": [], "jti": jti, "kid": "k", "exp": 1}
    number = draw(st.integers(10_000, 1 << 60))
    return row(number, body, at=draw(st.integers(1, 10)), trust=draw(st.sampled_from(list(trusts))))


def heard(rows: Sequence[LogRow]) -> list[LogRow]:
    """Put rows into a log in this order, each heard in its place."""
    return [one._replace(received_at=NOON + (500 + one.position) * SECOND) for one in place(rows)]


@given(st.data())
def test_after_a_cut_each_may_be_used_as_if_they_had_never_been_one(data: st.DataObject) -> None:
    words = st.lists(st.one_of(said_by(about="ana"), said_by(about="bo")), max_size=5)
    before, after = data.draw(words), data.draw(words)
    alias = {"type": "alias", "userId": "ana", "previousId": "bo", "messageId": "m"}
    apart = [{"type": "page", "userId": who, "messageId": "m"} for who in ("ana", "bo")]
    known = [row(9_000 + i, body, at=1) for i, body in enumerate(apart)]
    cut = act(9_500, "cut", ("user_id", "ana"), ("user_id", "bo"))
    joined = heard([*known, *before, row(9_400, alias, at=5), *after, cut])
    never = heard([*known, *before, row(9_400, apart[0], at=5), *after, cut])
    with new_fold() as one, new_fold() as other:
        one.take(joined[:-1])
        assert len({subject(one, ("user_id", who)).profile_id for who in ("ana", "bo")}) == 1
        one.take(joined[-1:])
        other.take(never)

        assert decisions(one) == decisions(other)


@given(st.data())
def test_whoever_became_one_may_be_used_for_no_more_than_each_alone_unless_proved_since(data: st.DataObject) -> None:
    words = st.lists(st.one_of(said_by(about="ana"), said_by(about="bo")), max_size=6)
    before = data.draw(words)
    after = [said for said in data.draw(words) if "proof" not in str(said.body)]
    alias = row(9_400, {"type": "alias", "userId": "ana", "previousId": "bo", "messageId": "m"}, at=5)
    plain = row(9_400, {"type": "page", "userId": "ana", "messageId": "n"}, at=5)
    apart = [{"type": "page", "userId": who, "messageId": "m"} for who in ("ana", "bo")]
    known = [row(9_000 + i, body, at=1) for i, body in enumerate(apart)]
    with new_fold() as one, new_fold() as two:
        one.take(heard([*known, *before, alias, *after]))
        two.take(heard([*known, *before, plain, *after]))
        together = permitted(one)[("user_id", "ana")]
        each = permitted(two)

    for merged, ana, bo in zip(together, each[("user_id", "ana")], each[("user_id", "bo")], strict=True):
        assert merged <= (ana and bo)


@given(st.data())
def test_a_withdrawal_is_a_no_at_once_whatever_was_said_before(data: st.DataObject) -> None:
    rows = data.draw(decided_logs(max_size=8, kinds="cut join"))
    trust = data.draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED]))
    with new_fold() as folded:
        folded.take(rows)
        key = data.draw(st.sampled_from(sorted(folded.identifiers()))) if folded.identifiers() else ("user_id", "ana")
        says: dict[str, Any] = {
            "user_id": {"userId": key[1]},
            "anonymous_id": {"anonymousId": key[1]},
        }.get(key[0], {"context": {"externalIds": [{"type": key[0], "id": key[1]}]}})
        # Dated back as far as it likes: a no counts from when it is heard.
        body = {"type": "track", "event": "Consent Updated", "messageId": "m", **says}
        body["properties"] = {"purposes": dict.fromkeys(("newsletter", "analytics", "profiling"), "withdrawn")}
        # What a shared device says of another's time is theirs, and not its present holder's.
        at = 900 if key[0] in {"anonymous_id", "ios.idfa"} else data.draw(st.integers(-9, 900))
        last = place([*rows, row(9_900, body, at=at, trust=trust)])[-1]
        folded.take([last._replace(received_at=NOON + 3_600 * SECOND, event_at=last.event_at)])
        told = subject(folded, key)

        assert not any(decide(declared, told, name, at=AT).is_permitted for declared, name in ON_CHOICE)
        assert decide(LOOSE, told, "service", at=AT).is_permitted
