"""No path of acts, failures and answers calls a request complete while something is missing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tillit.clock import DAY, HOUR
from tillit.errors import TillitError
from tillit.privacy import (
    KINDS,
    REQUEST_MIGRATIONS,
    Act,
    NotComplete,
    NotNow,
    Proof,
    Request,
    RequestJournal,
    Standing,
    Subject,
    missing_of,
    next_action,
)
from tillit.privacy.requests import HOLDS, REJECTIONS
from tillit.privacy.states import (
    ACTIONS,
    COMPLETE,
    DUPLICATE,
    ENDED,
    FAILED,
    PARTIAL,
    STATES,
    TABLE,
    UNDER_WAY,
    UNVERIFIED,
    NothingMissing,
    next_state,
    possible,
)
from tillit.store import SqliteState

DONE = Standing({"erase": "done"}, {"mailer": "answered"}, [])

standings = st.builds(
    Standing,
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["open", "done", "failed"])),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["waiting", "answered", "no_api", "failed"])),
    st.none() | st.lists(st.sampled_from(["store.log", "lake"]), max_size=2),
)


def test_every_state_of_the_reference_is_there() -> None:
    assert sorted(STATES) == sorted(
        "received identity_pending verified rejected scoped held running awaiting_recipients verifying complete "
        "partial failed withdrawn duplicate".split()
    )


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_the_table_does_not_have_is_refused_with_what_is_possible(state: str, action: str) -> None:
    if (state, action) in TABLE:
        assert next_state(state, action, DONE, missing=["part:x"]) == TABLE[state, action]
        return

    with pytest.raises(NotNow) as refused:
        next_state(state, action, DONE)

    assert refused.value.details["possible"] == possible(state)
    assert all(one in refused.value.message for one in possible(state))


@pytest.mark.parametrize(
    ("standing", "missing"),
    [
        (Standing({"erase": "open"}, {}, []), ["part:erase"]),
        (Standing({"erase": "failed"}, {}, []), ["part:erase"]),
        (Standing({"erase": "done"}, {"mailer": "waiting"}, []), ["recipient:mailer"]),
        (Standing({"erase": "done"}, {}, ["lake"]), ["found:lake"]),
        (Standing({"erase": "done"}, {}, None), ["check"]),
        (Standing({}, {}, []), ["scope"]),
    ],
)
def test_complete_is_refused_while_something_is_missing(standing: Standing, missing: list[str]) -> None:
    with pytest.raises(NotComplete) as refused:
        next_state("verifying", "complete", standing)

    assert refused.value.details["missing"] == missing


@pytest.mark.parametrize("answer", ["answered", "no_api", "failed"])
def test_a_recipient_who_was_told_does_not_stand_in_the_way_whatever_they_answer(answer: str) -> None:
    assert next_state("verifying", "complete", Standing({"erase": "done"}, {"mailer": answer}, [])) == COMPLETE


@pytest.mark.parametrize("action", ["partial", "fail"])
def test_partial_and_failed_carry_what_is_missing(action: str) -> None:
    with pytest.raises(NothingMissing):
        next_state("running", action, DONE)


def walk(standing: Standing) -> str:
    """Follow what comes next from running to an end, as a check that finds nothing lets it."""
    state = "running"
    while state not in {"complete", "partial", "failed", "awaiting_recipients"}:
        action = next_action(standing)
        missing = [one for one in missing_of(standing) if one != "check"]
        state = next_state(state, action, standing, missing=missing)
        if action == "check":
            standing = standing._replace(findings=[])
    return state


@pytest.mark.parametrize(
    ("parts", "recipients", "end"),
    [
        ({"a": "done"}, {}, "complete"),
        ({"a": "done"}, {"x": "failed"}, "complete"),
        ({"a": "done"}, {"x": "waiting"}, "awaiting_recipients"),
        ({"a": "done", "b": "failed"}, {}, "partial"),
        ({"a": "failed"}, {}, "failed"),
        ({"a": "open"}, {"x": "answered"}, "failed"),
    ],
)
def test_a_run_ends_as_its_parts_and_recipients_say(
    parts: dict[str, str], recipients: dict[str, str], end: str
) -> None:
    assert walk(Standing(parts, recipients)) == end


class Paths(RuleBasedStateMachine):
    """Three people ask anything, prove anything, in any order; colleagues and recipients do anything."""

    requests = Bundle("requests")

    @initialize(target=requests)
    def begin(self) -> MultipleResults[str]:
        self.folder = TemporaryDirectory()
        self.now, self.count = 1_767_225_600_000_000, 0
        self.store = SqliteState(Path(self.folder.name) / "journal.db", cache_kb=512)
        self.store.migrate(REQUEST_MIGRATIONS)
        self.journal = RequestJournal(self.store, now=lambda: self.now, new_id=self.new_id)
        self.ids: list[str] = []
        proved = [self.open(who, "erasure", 2, "person") for who in range(2)]
        claimed = [self.open(0, "access", None, "person")]
        return multiple(*map(str, [*proved, *claimed]))

    def new_id(self) -> str:
        self.count += 1
        return f"r{self.count}"

    def subject(self, who: int) -> Subject:
        return Subject(f"p{who}", f"t{who}", {f"t{who}"})

    def attempt(self, act: Any) -> Request | None:
        try:
            found: Request = act()
        except TillitError:
            return None
        return found

    @rule(
        target=requests,
        who=st.integers(0, 2),
        kind=st.sampled_from([*KINDS]),
        level=st.none() | st.integers(0, 3),
        asked_by=st.sampled_from(["person", "operator", "agent"]),
    )
    def open(self, who: int, kind: str, level: int | None, asked_by: str) -> str | MultipleResults[str]:
        proof = Proof(level, "email") if level is not None else None
        found = self.attempt(
            lambda: self.journal.open(
                self.subject(who), kind, proof=proof, asked_by=asked_by, evidence="t-1" if asked_by != "person" else ""
            )
        )
        if level is not None and level >= 1:
            assert found is not None, "whoever proves something is never refused for what others filed"
        if found is None:
            return multiple()
        if level is not None and level >= max(KINDS[kind].level, asked_by == "agent"):
            assert found.state not in UNVERIFIED
            if found.state == DUPLICATE:
                original = self.journal.get(found.original_id)
                assert original.state in UNDER_WAY
                assert original.level >= found.level
                assert original.due_at <= found.due_at
        self.ids.append(found.request_id)
        return found.request_id

    @rule(which=requests, level=st.integers(0, 3), via=st.sampled_from(["email", "phone"]))
    def prove(self, which: str, level: int, via: str) -> None:
        who = int(self.journal.get(which).profile_id[1:])
        self.attempt(lambda: self.journal.prove(which, self.subject(who), Proof(level, via)))

    @rule(
        which=requests,
        action=st.sampled_from([*ACTIONS, "open", "extend"]),
        level=st.integers(0, 3),
        missing=st.lists(st.sampled_from(["part:erase", "recipient:x"]), max_size=1),
        findings=st.none() | st.lists(st.just("lake"), max_size=1),
    )
    def act(self, which: str, action: str, level: int, missing: list[str], findings: list[str] | None) -> None:
        before = self.journal.get(which)
        code = {"hold": HOLDS[0], "reject": REJECTIONS[0]}.get(action, "")
        until_at = self.now + 9 * DAY if action == "hold" else None
        act = Act(action, "person", "for a reason", code, until_at, level, "", missing, findings)
        after = self.attempt(lambda: self.journal.act(which, act))
        if after is None:
            assert self.journal.get(which) == before, "a refused step leaves no trace"
            return
        assert TABLE[before.state, action] == after.state
        assert action not in {"ask", "verify", "scope", "duplicate", "revive"}, "proofs and we ourselves alone do that"
        if action == "run":
            assert before.rests_until is None or self.now >= before.rests_until
        if after.state == COMPLETE:
            assert findings == []

    @rule(
        which=requests,
        outcome=st.sampled_from(["done", "failed", ""]),
        is_told=st.booleans(),
        findings=st.none() | st.lists(st.just("lake"), max_size=1),
    )
    def push(self, which: str, outcome: str, is_told: bool, findings: list[str] | None) -> None:
        """Try for complete, whatever went wrong on the way."""
        self.act(which, "run", 0, [], None)
        if outcome:
            self.do_part(which, outcome)
        if is_told:
            self.hear(which, "waiting")
        self.act(which, "check", 0, [], None)
        self.act(which, "complete", 0, [], findings)

    @rule(which=requests, outcome=st.sampled_from(["done", "failed"]))
    def do_part(self, which: str, outcome: str) -> None:
        [part] = KINDS[self.journal.get(which).kind].parts
        self.attempt(lambda: self.journal.note_part(which, part, outcome))

    @rule(which=requests, answer=st.sampled_from(["waiting", "answered", "no_api", "failed"]))
    def hear(self, which: str, answer: str) -> None:
        self.attempt(lambda: self.journal.note_recipient(which, "mailer", answer))

    @rule(hours=st.sampled_from([1, 24, 73]))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @invariant()
    def complete_means_complete(self) -> None:
        for one in self.journal.list() if self.ids else []:
            if one.state == COMPLETE:
                assert set(one.parts.values()) == {"done"}
                assert "waiting" not in one.recipients.values()
                assert one.level >= KINDS[one.kind].level or one.rests_until is not None
            if one.state in {PARTIAL, FAILED}:
                assert one.missing
            if one.state == DUPLICATE:
                assert self.journal.get(one.original_id).state not in {"rejected", "withdrawn"}
            if one.state in {"running", "awaiting_recipients", "verifying", COMPLETE, PARTIAL}:
                verified = [step for step in one.steps if step.action in {"verify", "revive"}]
                assert verified, "nothing is done for somebody who proved nothing"

    @invariant()
    def what_is_open_can_go_on(self) -> None:
        for one in self.journal.list(only_open=True) if self.ids else []:
            assert one.state not in ENDED
            assert possible(one.state)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


TestPaths = pytest.mark.slow(Paths.TestCase)
