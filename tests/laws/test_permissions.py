"""A question about many is answered as if each of them were asked: the table of permissions says what `decide` says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws.folding import new_fold
from tests.laws.test_identity_acts import decided_logs
from tests.strategies import NOON, SECOND, cuts, place, row
from tillit.consent import (
    decide,
    find_due,
    permit_many,
    policy_in_force,
    policy_row,
    scope_for,
    terms_of,
)
from tillit.flow import judge, judge_due, read_subject
from tillit.identity import identifier_of
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, LogRow
from tillit.store import State
from tillit.workspace.people import iter_people
from tillit.workspace.permissions import count_people

DAY = 86_400 * SECOND
# A child, and later grown up; before and after a consent ended; long after.
INSTANTS = (NOON - 8_000 * DAY, NOON + 2 * DAY, NOON + 9 * DAY, NOON + 20_000 * DAY)
POLICIES = (
    """
purposes:
  service: {title: S, basis: contract, fields: all}
  newsletter: {title: N, basis: consent, fields: all, categories: [Ads], valid_for: 1 week, channels: [email, sms]}
  analytics: {title: A, basis: legitimate_interest, fields: all, categories: [Analytics], signals: [gpc]}
  profiling: {title: P, basis: contract, fields: all, minors: never}
""",
    """
purposes:
  newsletter: {title: N, basis: consent, fields: all, categories: [Ads, Analytics], channels: [email], signals: [gpc]}
  analytics:
    title: A
    basis: consent
    fields: all
    categories: [Analytics]
    jurisdictions: {US-CA: {basis: legitimate_interest, minors: allowed}}
""",
)


def declares(position: int, text: str) -> LogRow:
    """Purposes that a colleague applied."""
    told = policy_row(text, operator="kim", reason="", message_id=f"p{position}", now=NOON)
    base = row(position, told.body, at=0)
    return base._replace(kind=told.kind, source=told.source, trust=told.trust, message_hash=told.message_hash)


@st.composite
def facts(draw: st.DrawFn, number: int) -> LogRow:
    """Somebody said of a person what decisions hang on."""
    traits: dict[str, Any] = draw(
        st.sampled_from([{"minor": True}, {"minor": False}, {"deceased": True}, {"birthday": "2009-02-28"}])
    )
    body = {"type": "identify", "userId": draw(st.sampled_from(["ana", "bo"])), "traits": traits, "messageId": "m"}
    return row(number, body, at=draw(st.integers(1, 10)))


@st.composite
def declared_logs(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log in which purposes are applied, once or twice, and facts said."""
    rows = list(draw(decided_logs(max_size=10, kinds="cut cut join undo block free")))
    for number in range(5_000, 5_000 + draw(st.integers(0, 2))):
        rows.insert(draw(st.integers(0, len(rows))), draw(facts(number)))
    for number in range(6_000, 6_000 + draw(st.integers(1, 2))):
        rows.insert(draw(st.integers(0, len(rows))), declares(number, draw(st.sampled_from(POLICIES))))
    return place(rows)


WHO: list[dict[str, Any]] = [
    {"userId": "ana"},
    {"userId": "bo"},
    {"anonymousId": "tablet"},
    {"anonymousId": "tablet"},
    {"context": {"externalIds": [{"type": "card", "id": "c1"}]}},
    {"userId": "ana", "anonymousId": "tablet"},
    {"userId": "bo", "anonymousId": "tablet"},
    {"userId": "ana", "context": {"externalIds": [{"type": "card", "id": "c1"}]}},
    {"context": {"externalIds": [{"type": "card", "id": "c1"}, {"type": "card", "id": "c2"}]}},
]
WORDS: list[dict[str, Any]] = [
    {"event": "Viewed"},
    {"event": "Viewed"},
    {"event": "Consent Updated", "properties": {"purposes": {"newsletter": True, "analytics": True}}},
    {"event": "Consent Updated", "properties": {"purposes": {"newsletter": False, "analytics": False}}},
    {"event": "Viewed", "context": {"consent": {"categoryPreferences": {"Ads": True, "Analytics": True}}}},
    {"event": "Viewed", "context": {"consent": {"categoryPreferences": {"Ads": False, "Analytics": False}}}},
]


@st.composite
def dense_logs(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log of few people who say much, and come to each other as they do."""
    rows = [declares(1, draw(st.sampled_from(POLICIES)))]
    for number in range(2, 2 + draw(st.integers(3, 8))):
        who, said = draw(st.sampled_from(WHO)), draw(st.sampled_from(WORDS))
        context = {**who.get("context", {}), **said.get("context", {})}
        body = {"type": "track", "messageId": "m", **who, **said} | ({"context": context} if context else {})
        one = row(number, body, at=draw(st.sampled_from([1, 2, 3, 4, 5 * 86_400])))
        rows.append(one._replace(received_at=NOON + 6 * DAY + number * SECOND))
    return place(rows)


def asked_one_by_one(state: State, name: str, at: int, channel: str, jurisdiction: str) -> set[int]:
    """The roots of everybody who may be used."""
    declared = policy_in_force(state)
    found = set()
    for _, _, whom in iter_people(state):
        subject = read_subject(state, whom, at=at, adult_age=18, epoch=1)
        if decide(declared, subject, name, at=at, channel=channel, jurisdiction=jurisdiction).is_permitted:
            found.add(identifier_of(whom.profile_id) or 0)
    return found


def check(state: State, at: int) -> None:
    """Ask about everybody at once, in every way."""
    declared = policy_in_force(state)
    due = find_due(state, terms_of(declared, 18), most=10_000)
    judged = judge(state, declared, due, adult_age=18)
    everybody = sorted(identifier_of(whom.profile_id) or 0 for _, _, whom in iter_people(state))
    assert count_people(state) == len(everybody)
    marks = ", ".join("?" * len(everybody))
    for name, purpose in declared.purposes.items():
        for channel in ("", *purpose.channels):
            for jurisdiction in ("", *purpose.jurisdictions):
                scope = scope_for(
                    name,
                    declared=declared,
                    position=0,
                    asked_by="test",
                    at=at,
                    channel=channel,
                    jurisdiction=jurisdiction,
                )
                expected = asked_one_by_one(state, name, at, channel, jurisdiction)
                many = permit_many(declared, scope, due=due, judged=judged)
                sql = f"SELECT identifier_id FROM identifier WHERE identifier_id IN ({marks})"
                asked = f"{sql} AND {many.condition('identifier_id')}"
                found = {i for (i,) in state.read(asked, (*everybody, *many.params))}
                ((n,),) = state.read(f"SELECT count(*) FROM ({many.otherwise}) AS listed", many.params)

                assert found == expected, (name, channel, jurisdiction, at)
                assert (len(everybody) - n if many.is_open else n) == len(expected), (name, channel, jurisdiction, at)


@given(st.data())
def test_many_are_permitted_exactly_as_each_of_them_is_whenever_they_were_judged(data: st.DataObject) -> None:
    rows = data.draw(declared_logs())
    at = data.draw(st.sampled_from(INSTANTS))
    with new_fold() as folded:
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
            # Judged now, in part, or later.
            judge_due(folded.state, adult_age=18, most=data.draw(st.sampled_from([1, 3, 100])))
        check(folded.state, at)
        while judge_due(folded.state, adult_age=18, most=3):
            pass
        check(folded.state, at)


@given(st.data())
def test_whoever_comes_to_somebody_or_says_more_is_judged_again(data: st.DataObject) -> None:
    rows = data.draw(dense_logs())
    with new_fold() as folded:
        for one in rows:
            folded.take([one])
            while judge_due(folded.state, adult_age=18):
                pass
        check(folded.state, data.draw(st.sampled_from(INSTANTS)))


def test_a_yes_that_ends_and_is_heard_again_ends_later() -> None:
    body = {"type": "track", "userId": "ana", "messageId": "m", **WORDS[4]}
    with new_fold() as folded:
        folded.take([declares(1, POLICIES[0])])
        for position, at in ((2, 1), (3, 5 * 86_400)):
            folded.take([row(position, body, at=at)._replace(received_at=NOON + 6 * DAY)])
            judge_due(folded.state, adult_age=18)

        check(folded.state, NOON + 9 * DAY)
        assert len(asked_one_by_one(folded.state, "newsletter", NOON + 9 * DAY, "", "")) == 1


def test_a_yes_that_was_anybodys_word_counts_when_a_server_says_it_too() -> None:
    body = {"type": "track", "userId": "ana", "messageId": "m", **WORDS[4]}
    with new_fold() as folded:
        folded.take([declares(1, POLICIES[1])])
        for position, trust in ((2, TRUST_CLAIMED), (3, TRUST_SERVER)):
            folded.take([row(position, body, at=position, trust=trust)])
            judge_due(folded.state, adult_age=18)
            check(folded.state, NOON + 2 * DAY)

        assert len(asked_one_by_one(folded.state, "newsletter", NOON + 2 * DAY, "", "")) == 1


def test_a_table_of_everybody_says_nothing_of_names() -> None:
    with new_fold() as folded:
        told = {"type": "track", "event": "Consent Updated", "userId": "ana", "messageId": "m"}
        said = row(2, told | {"properties": {"purposes": {"newsletter": True}}}, at=1)
        folded.take([declares(1, POLICIES[0]), said])
        judge_due(folded.state, adult_age=18)

        rows = folded.state.read("SELECT * FROM permission")
        assert rows
        assert "ana" not in json.dumps(rows)
