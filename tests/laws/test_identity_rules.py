"""Rules of who is who: whatever they say, the fold is the model's, and other rules hold as if they always had."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.folding import Folded, assert_tells_the_same
from tests.laws.test_forgetting import Shop, marked, new_shop
from tests.laws.test_identity_acts import act, decided_logs
from tests.model import read_world
from tests.strategies import NOON, cuts, logs, place, row
from tillit.flow import prepare
from tillit.flow.refold import refold
from tillit.identity import AppliedRules, RulesInvalid, read_rules, rules_row
from tillit.records import KIND_DEFINITION, TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED, LogRow
from tillit.store import SqliteState
from tillit.workspace import Workspace

RULES = [
    "",
    "namespaces: {email: {strength: weak}}",
    "namespaces: {email: {strength: device}}",
    "namespaces: {email: {strength: shared}, card: {limit: 1}}",
    "namespaces: {card: {strength: device}, email: {rank: 5}}",
    "namespaces: {user_id: {limit: 2}, email: {limit: 1}}",
    "namespaces: {user_id: {limit: none}, card: {limit: 1 hourly}}",
    "namespaces: {email: {rank: 5}, card: {rank: 50}}",
    "namespaces: {email: {block: {values: [ana@example.org]}}, user_id: {block: {values: [bo]}}}",
    "namespaces: {anonymous_id: {strength: shared}}",
    "namespaces: {anonymous_id: {strength: weak}}",
    "others: {strength: weak}",
]
rule_texts = st.sampled_from(RULES)


def definition(text: str, number: int) -> LogRow:
    new = rules_row(text, operator="kim", reason="", message_id=f"rules-{number}", now=NOON)
    return LogRow(number, NOON, *new)


class FoldedUnder(Folded):
    """A fold that goes by rules from its first event on."""

    def __init__(self, path: Path, rules: AppliedRules) -> None:
        state = SqliteState(path, synchronous="OFF")
        prepare(state, rules)
        state.close()
        super().__init__(path)


@given(st.data())
def test_nobody_gets_more_identifiers_of_a_kind_than_one_person_may_have(data: st.DataObject) -> None:
    text = "namespaces: {email: {limit: 1}, card: {limit: 1}}"
    rows = place([definition(text, 1), *data.draw(logs(max_size=20))])
    with tempfile.TemporaryDirectory() as folder:
        folded = FoldedUnder(Path(folder) / "state.db", AppliedRules(1, text, "kim", "", NOON))
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])

        assert_tells_the_same(folded, read_world(rows))
        for key in folded.identifiers():
            kinds = [one["namespace"] for one in folded.document(key)["identifiers"]]
            assert kinds.count("card") <= 1
        folded.state.close()


@given(st.data())
@settings(max_examples=40)
def test_under_any_rules_the_fold_is_the_models(data: st.DataObject) -> None:
    text = data.draw(rule_texts)
    rows = place([definition(text, 1), *data.draw(decided_logs())])
    with tempfile.TemporaryDirectory() as folder:
        folded = FoldedUnder(Path(folder) / "state.db", AppliedRules(1, text, "kim", "", NOON))
        done: list[LogRow] = []
        for batch in data.draw(cuts(len(rows))):
            folded.take(rows[batch])
            done += rows[batch]
            assert_tells_the_same(folded, read_world(done if batch.start else [rows[0], *done]))
        folded.state.close()


@st.composite
def few_words(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log in which few words are said again and again, at every trust, and colleagues decide in between."""
    words = [
        {
            "type": "identify",
            "messageId": "m",
            **draw(st.sampled_from([{}, {}, {"userId": "ana"}])),
            **draw(st.sampled_from([{}, *[{"anonymousId": "tablet"}] * 3])),
        }
        for _ in range(draw(st.integers(1, 2)))
    ]
    traits: list[dict[str, Any]] = [
        {"email": "ana@example.org"},
        {"email": "ana@example.org", "address": "1 High Street, Lund"},
        {"address": {"street": "2 High Street", "city": "Lund"}},
    ]
    said = draw(st.lists(st.sampled_from(traits), min_size=1, max_size=2))
    keys = [("email", "ana@example.org"), ("user_id", "ana"), ("anonymous_id", "tablet")]
    pair = draw(st.permutations(keys))[:2]
    rows: list[LogRow] = []
    for number in range(draw(st.integers(4, 9))):
        if number and draw(st.integers(0, 3)) == 0:
            rows.append(act(number, draw(st.sampled_from(["block", "block", "free", "cut", "join"])), *pair))
        else:
            trust = draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED]))
            body = draw(st.sampled_from(words)) | {"traits": draw(st.sampled_from(said))}
            rows.append(row(number, body, at=draw(st.integers(1, 5)), trust=trust))
    return rows


@pytest.mark.parametrize(
    "text",
    ["", "namespaces: {email: {strength: shared}}", "namespaces: {address: {}}"],
    ids=["default", "e-mails of many", "addresses"],
)
@given(rows=few_words())
def test_what_the_fold_remembers_of_the_same_words_changes_nothing(text: str, rows: list[LogRow]) -> None:
    rows = place([definition(text, 1), *rows])
    applied = AppliedRules(1, text, "kim", "", NOON)
    with tempfile.TemporaryDirectory() as folder:
        whole = FoldedUnder(Path(folder) / "whole.db", applied)
        whole.take(rows)
        singly = FoldedUnder(Path(folder) / "singly.db", applied)
        for one in rows:
            singly.reopen()
            singly.take([one])

        assert whole.tables() == singly.tables()
        whole.state.close()
        singly.state.close()


@st.composite
def blocked_words(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log in which one person, an address and two devices are named together and apart, blocked and freed."""
    user, email, tablet = ("user_id", "ana"), ("email", "ana@example.org"), ("anonymous_id", "tablet")
    beside: dict[str, Any] = {"type": "identify", "messageId": "m", "anonymousId": "tablet"}
    beside["traits"] = {"email": email[1]}
    alias = {"type": "alias", "messageId": "m", "anonymousId": "tablet", "previousId": "kiosk"}
    rows = [row(0, {"type": "track", "messageId": "m", "anonymousId": "kiosk"}, at=1)]
    made: list[str] = []
    for number in range(1, draw(st.integers(5, 9))):
        if number > 2 and draw(st.integers(0, 4)) < 3:
            kind = draw(st.sampled_from(["block", "block", "block", "free", "undo", "cut"]))
            one, other = draw(st.sampled_from([(user, email), (email, user), (user, tablet), (tablet, email)]))
            of = draw(st.sampled_from(made[::-1])) if made else ""
            rows.append(act(number, kind, one, other, of=of))
            made.append(f"act-{number}")
        else:
            said = draw(st.sampled_from([beside, beside, alias]))
            said = said | {"userId": user[1]} if draw(st.booleans()) else said
            trust = draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED]))
            rows.append(row(number, said, at=draw(st.integers(1, 5)), trust=trust))
    return rows


@pytest.mark.parametrize(
    "text",
    ["", "namespaces: {email: {strength: shared}}", "namespaces: {email: {strength: device}}"],
    ids=["default", "e-mails of many", "e-mails as devices"],
)
@given(rows=blocked_words())
def test_what_acts_leave_is_what_folding_all_in_one_go_under_them_makes(text: str, rows: list[LogRow]) -> None:
    rows = place([definition(text, 1), *rows])
    with tempfile.TemporaryDirectory() as folder:
        folded = FoldedUnder(Path(folder) / "state.db", AppliedRules(1, text, "kim", "", NOON))
        folded.take(rows)
        live = folded.tables()
        with folded.state.transaction() as tx:
            aside = {position for (position,) in tx.read("SELECT position FROM fate")}
            known = {one for (one,) in tx.read("SELECT identifier_id FROM identifier")}
            refold(tx, known, {one.position: one for one in rows[1:] if one.position not in aside})

        assert folded.tables() == live
        folded.state.close()


def held_against_the_model(shop: Shop) -> None:
    rows = shop.log.read(0, 10_000)
    asked = object.__new__(Folded)
    asked.state, asked.log = shop.state, {one.position: one for one in rows}
    assert_tells_the_same(asked, read_world(rows))
    assert shop.differences() == []


def with_rules(data: st.DataObject, rows: Sequence[LogRow]) -> list[LogRow]:
    told = list(rows)
    for number in range(data.draw(st.integers(1, 3))):
        told.insert(data.draw(st.integers(0, len(told))), definition(data.draw(rule_texts), 5_000 + number))
    return place(told)


@pytest.mark.slow
@settings(max_examples=max(20, settings.default.max_examples // 5 if settings.default is not None else 0))
@given(st.data())
def test_other_rules_hold_as_if_they_always_had(data: st.DataObject) -> None:
    rows = with_rules(data, data.draw(decided_logs()))
    with new_shop() as shop:
        for batch in data.draw(cuts(len(rows))):
            shop.take(rows[batch])
            held_against_the_model(shop)


@given(st.data())
@settings(max_examples=10)
def test_rules_survive_what_is_trimmed_and_what_is_forgotten(data: st.DataObject) -> None:
    # The lake knows a message by the id in its body, which these have each to itself.
    rows = with_rules(data, marked(data.draw(decided_logs(max_size=20)))[0])
    with new_shop() as shop:
        shop.take(rows[: len(rows) // 2])
        shop.trim(data.draw(st.integers(0, len(rows))))
        shop.forget(data.draw(st.lists(st.integers(1, max(len(rows) // 2, 1)), max_size=2)))
        shop.take(rows[len(rows) // 2 :])

        assert shop.differences() == []
        assert len(shop.log.definitions()) == sum(row.kind == KIND_DEFINITION for row in rows)


# -- cases


def said(ws: Workspace, who: str) -> list[str]:
    found = ws.profiles.events(who, ws.scope())
    assert found is not None
    return [one["message_id"] for one in reversed(found[0])]


def test_an_id_given_out_resolves_under_any_rules(ws: Workspace) -> None:
    ws.identify(user_id="void", traits={"email": "ana@example.org"})
    ws.flush()
    before = ws.profiles.get("email:ana@example.org")["id"]

    ws.rules.apply("namespaces: {user_id: {block: {values: [void]}}}")
    blocked = ws.profiles.get("email:ana@example.org")["id"]
    ws.rules.undo()

    assert blocked != before
    assert ws.profiles.get(blocked)["id"] == ws.profiles.get("user_id:void")["id"] == before


def test_a_device_that_takes_over_events_ties_what_the_first_of_them_said() -> None:
    # Found by folding anew after one of these was forgotten: the better word of its own stood in the way.
    body = {"type": "identify", "anonymousId": "tablet", "traits": {"email": "ana@example.org"}}
    user = ("user_id", "ana")
    rows = [
        definition("namespaces: {email: {strength: device}}", 1),
        row(2, body | {"userId": "ana"}, at=1, trust=TRUST_SERVER),
        row(3, body, at=2, trust=TRUST_CLAIMED),
        row(4, body, at=3, trust=TRUST_VERIFIED),
        act(5, "block", user, user),
        act(6, "undo", user, user, of="act-5"),
    ]
    with new_shop() as shop:
        tied = "SELECT l.trust, l.position FROM link l JOIN identifier i ON i.identifier_id = l.strong_id "
        tied += "WHERE i.namespace = 'anonymous_id' AND l.reason = 'two devices' ORDER BY l.position"
        shop.take(marked(rows)[0][:-1])
        assert shop.state.read(tied) == [(TRUST_SERVER, 2), (TRUST_VERIFIED, 4)]

        shop.forget([3])
        assert shop.differences() == []
        shop.take(marked(rows)[0][-1:])
        assert shop.state.read(tied) == [(TRUST_VERIFIED, 4)]
        assert shop.differences() == []


def test_what_only_the_events_of_somebody_who_is_freed_tied_to_their_device_is_tied_no_longer() -> None:
    user, email = ("user_id", "ana"), ("email", "ana@example.org")
    body = {"type": "identify", "userId": "ana", "anonymousId": "tablet", "traits": {"email": email[1]}}
    rows = [row(1, body, at=1), act(2, "block", user, user), act(3, "block", email, email), act(4, "free", user, user)]
    with new_shop() as shop:
        shop.take(marked(rows)[0])

        assert shop.state.read("SELECT DISTINCT strong_id FROM link") == [(64,)]
        assert shop.differences() == []


def test_a_telephone_that_is_passed_on_is_each_persons_in_their_time(ws: Workspace) -> None:
    ws.rules.apply("namespaces: {phone: {strength: device, rank: 5}}")

    def call(day: int, **who: Any) -> None:
        phone = {"traits": {"phone": "+46701234567"}}
        ws.track(event="Called", message_id=f"day-{day}", context=phone, timestamp=f"2025-03-0{day}T12:00:00Z", **who)

    call(1, user_id="ana")
    call(2, anonymous_id="text-2")
    call(3, user_id="bo")
    call(4, anonymous_id="text-4")
    ws.flush()

    assert said(ws, "user_id:ana") == ["day-1", "day-2"]
    assert said(ws, "user_id:bo") == ["day-3", "day-4"]


def test_every_postal_address_that_somebody_says_is_taken_also_after_the_same_words(ws: Workspace) -> None:
    ws.rules.apply("namespaces: {address: {}}")
    for street in ("1 High Street", "2 High Street"):
        ws.identify(user_id="ana", traits={"email": "ana@example.org", "address": {"street": street, "city": "Lund"}})
    ws.flush()

    first, second = (ws.profiles.get(f"address:{number} high street, lund") for number in (1, 2))
    assert first["id"] != second["id"]


def test_an_address_that_mixes_alphabets_waits_for_somebodys_word(ws: Workspace) -> None:
    mixed = "\u0430na@example.org"  # it begins with a Cyrillic letter
    ws.identify(user_id="ana", traits={"email": "ana@example.org"})
    ws.identify(user_id="ana", traits={"email": mixed})
    ws.flush()

    found, _ = ws.identity.violations(ws.scope())
    assert [(one["verdict"], one["violation"]) for one in found] == [("soft", "mixed_alphabets")]
    assert [one["value"] for one in ws.profiles.get("user_id:ana")["identifiers"]] == ["ana", "ana@example.org"]


def bomb() -> str:
    """Ten to the twelfth pairs in a few lines."""
    lines = ["x0: &x0 {a: b}"]
    lines += [f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(),
        "others: &a {rank: 5}\nnamespaces: {card: *a}",
        "person: {identifiers: " + "9" * 5_000 + "}",
        "person: {identifiers: '" + "9" * 5_000 + " hourly'}",
        "person: {growth: 0x" + "f" * 5_000 + "}",
        "automatic: {people: -1}",
        "automatic: {devices: 1" + "0" * 30 + "}",
        "namespaces: {" + ", ".join(f"kind{i}: {{}}" for i in range(201)) + "}",
        "namespaces: {email: {pattern: '(?<=a)b'}}",
        "namespaces: {email: {pattern: '((a{100}){100}){100}'}}",
        "namespaces: {}\0",
        "[" * 5_000,
        "# " + "x" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_rules_that_no_fold_could_go_by_are_refused(text: str) -> None:
    with pytest.raises(RulesInvalid):
        read_rules(text)


def test_a_kind_that_a_sender_made_up_goes_by_the_rules_of_others() -> None:
    rules = read_rules("others: {strength: weak, block: {values: [x1]}}")

    assert rules.parse("made_up:x1") is None
    assert rules.parse("made_up:x2") == (1_010, "made_up", "x2", 0)
    assert rules.namespace("no kind") is None
