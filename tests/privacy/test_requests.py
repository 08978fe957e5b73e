"""Requests of customers: proofs, floods, duplicates, holds, clocks, forgetting. Case 67 by name."""

from pathlib import Path

import pytest

from tests.privacy.conftest import Desk, token
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR
from tillit.errors import NotFound
from tillit.privacy import (
    Act,
    BadProof,
    BadStep,
    EvidenceMissing,
    MayNotBeHeld,
    MustRest,
    NoExtension,
    NotNow,
    Proof,
    Request,
    RequestJournal,
    Subject,
    TooLittleProof,
    TooManyClaims,
    UnknownKind,
    UnknownRequest,
    clock_of,
)
from tillit.privacy.requests import MOST_CLAIMED, MOST_CLAIMED_PER_PERSON
from tillit.store import SqliteState
from tillit.store.scan import find_bytes
from tillit.workspace.requests import Outcome, Work

ANA = Subject("p0000000000020", "t-ana", {"t-ana", "t-ana-before"})
SIGNED_IN, MAILBOX, TELEPHONE = Proof(2, "session"), Proof(1, "email"), Proof(1, "phone")


def another(n: int) -> Subject:
    return Subject(f"p{n:013}", f"t-{n}", {f"t-{n}"})


def steps(request: Request) -> list[str]:
    return [one.action for one in request.steps]


# -- who asks


@pytest.mark.parametrize(
    ("kind", "proofs", "state", "rests"),
    [
        ("access", [], "received", False),
        ("access", [MAILBOX], "identity_pending", False),
        ("access", [MAILBOX, MAILBOX], "identity_pending", False),
        ("access", [MAILBOX, TELEPHONE], "scoped", True),
        ("access", [SIGNED_IN], "scoped", False),
        ("portability", [Proof(3, "document")], "scoped", False),
        ("correction", [MAILBOX, TELEPHONE], "identity_pending", False),
        ("restriction", [MAILBOX], "scoped", False),
        ("objection", [], "scoped", False),
        ("withdrawal", [], "received", False),
        ("withdrawal", [MAILBOX], "scoped", False),
        ("erasure", [], "received", False),
        ("erasure", [MAILBOX], "scoped", True),
        ("erasure", [MAILBOX, SIGNED_IN], "scoped", False),
    ],
)
def test_each_kind_asks_for_its_proof(
    journal: RequestJournal, kind: str, proofs: list[Proof], state: str, rests: bool
) -> None:
    one = journal.open(ANA, kind)
    for proof in proofs:
        one = journal.prove(one.request_id, ANA, proof)

    assert (one.state, one.rests_until is not None) == (state, rests)


def test_an_erasure_on_a_mailbox_rests_and_can_be_cancelled(journal: RequestJournal, clock: Clock) -> None:
    one = journal.open(ANA, "erasure", proof=MAILBOX)
    other = journal.open(another(2), "erasure", proof=MAILBOX)

    clock.go_on(72 * HOUR - 1)
    with pytest.raises(MustRest) as refused:
        journal.act(one.request_id, Act("run", "op_1"))
    cancelled = journal.act(one.request_id, Act("withdraw", "person", level=1))
    clock.go_on(1)

    assert refused.value.details["until_at"] == one.rests_until
    assert cancelled.state == "withdrawn"
    with pytest.raises(NotNow, match="new request"):
        journal.act(one.request_id, Act("run", "op_1"))
    assert journal.act(other.request_id, Act("run", "op_1")).state == "running"


def test_a_stronger_proof_ends_the_rest(journal: RequestJournal) -> None:
    one = journal.open(ANA, "erasure", proof=MAILBOX)

    one = journal.prove(one.request_id, ANA, SIGNED_IN)

    assert journal.act(one.request_id, Act("run", "op_1")).state == "running"


@pytest.mark.parametrize("asked_by", ["operator", "agent"])
def test_nobody_speaks_for_a_customer_without_evidence(journal: RequestJournal, asked_by: str) -> None:
    for evidence in ("", "she said so on the telephone", "ana@example.org"):
        with pytest.raises(EvidenceMissing) as refused:
            journal.open(ANA, "access", asked_by=asked_by, by_whom="op_1", evidence=evidence)
        assert not evidence or evidence not in refused.value.message
    with pytest.raises(EvidenceMissing):
        journal.prove("r1", ANA, Proof(2, "document", by_whom="op_1"))

    assert journal.list() == []
    assert journal.open(ANA, "access", asked_by=asked_by, by_whom="op_1", evidence="ticket-4711").state == "received"


@pytest.mark.parametrize("proof", [Proof(4, "email"), Proof(-1, "email"), Proof(2, "Ana Ek"), Proof(2, "agent")])
def test_a_proof_has_a_level_and_a_means_of_the_customers_own(journal: RequestJournal, proof: Proof) -> None:
    with pytest.raises(BadProof):
        journal.open(ANA, "access", proof=proof)


def test_case_67_a_forged_mandate_opens_nothing_until_the_customer_answers(journal: RequestJournal) -> None:
    one = journal.open(ANA, "objection", asked_by="agent", evidence="mandate-12")

    # An objection needs no proof, but an agent's does: the mandate alone says nothing of the customer.
    assert one.state == "received"
    with pytest.raises(NotNow):
        journal.act(one.request_id, Act("run", "op_1"))
    assert journal.prove(one.request_id, ANA, MAILBOX).state == "scoped"


def test_case_67_social_engineering_gets_no_further_than_a_claim(journal: RequestJournal) -> None:
    one = journal.open(ANA, "access")

    for proof in (Proof(0, "email"), Proof(0, "document")):
        one = journal.prove(one.request_id, ANA, proof)
    with pytest.raises(NotNow):
        journal.act(one.request_id, Act("verify", "op_1"))
    with pytest.raises(NotNow):
        journal.act(one.request_id, Act("run", "op_1"))

    assert (one.state, one.level) == ("identity_pending", 0)


def test_case_67_an_ex_partner_with_the_mailbox_leaves_time_to_cancel(journal: RequestJournal) -> None:
    theirs = journal.open(ANA, "erasure", proof=MAILBOX)

    with pytest.raises(MustRest):
        journal.act(theirs.request_id, Act("run", "op_1"))

    assert journal.act(theirs.request_id, Act("withdraw", "person", level=2)).state == "withdrawn"


def test_a_strangers_claim_takes_back_nothing_that_was_proved(journal: RequestJournal) -> None:
    one = journal.open(ANA, "access", proof=SIGNED_IN)

    with pytest.raises(TooLittleProof):
        journal.act(one.request_id, Act("withdraw", "person", level=1))
    with pytest.raises(EvidenceMissing):
        journal.act(one.request_id, Act("withdraw", "op_1"))

    assert journal.get(one.request_id).state == "scoped"


# -- floods and duplicates


def test_case_67_a_flood_of_claims_is_stopped_and_shuts_out_nobody_who_proves(
    journal: RequestJournal, clock: Clock
) -> None:
    for _ in range(MOST_CLAIMED_PER_PERSON):
        journal.open(ANA, "erasure")
    with pytest.raises(TooManyClaims) as refused:
        journal.open(Subject("p-new", "t-new", ANA.tokens), "access")
    for n in range(MOST_CLAIMED - MOST_CLAIMED_PER_PERSON):
        journal.open(another(n), "access")
    with pytest.raises(TooManyClaims):
        journal.open(another(9_999), "access")

    assert refused.value.status == 429
    assert journal.open(ANA, "erasure", proof=SIGNED_IN).state == "scoped"
    assert journal.open(ANA, "access", asked_by="operator", by_whom="op_1", evidence="t-1").state == "received"
    clock.go_on(DAY)
    assert journal.open(ANA, "access").state == "received"


def test_case_67_unproved_requests_never_make_the_real_one_a_duplicate(journal: RequestJournal) -> None:
    claims = [journal.open(ANA, "erasure") for _ in range(MOST_CLAIMED_PER_PERSON)]
    weak = journal.open(ANA, "erasure", proof=MAILBOX)

    real = journal.open(ANA, "erasure", proof=SIGNED_IN)

    assert (weak.state, real.state) == ("scoped", "scoped")
    assert journal.act(real.request_id, Act("run", "op_1")).state == "running"
    assert {journal.get(one.request_id).state for one in claims} == {"received"}


def test_a_second_proved_request_is_a_duplicate_and_goes_on_when_the_first_comes_to_nothing(
    journal: RequestJournal, clock: Clock
) -> None:
    before_a_merge = Subject("p0000000000010", "t-ana-before", {"t-ana-before"})
    first = journal.open(before_a_merge, "access", proof=SIGNED_IN)
    clock.go_on(HOUR)
    second = journal.open(ANA, "access", proof=SIGNED_IN)
    other_kind = journal.open(ANA, "portability", proof=SIGNED_IN)
    other_person = journal.open(another(2), "access", proof=SIGNED_IN)

    journal.act(first.request_id, Act("reject", "op_1", code="unfounded"))

    assert (second.state, second.original_id) == ("duplicate", first.request_id)
    assert {other_kind.state, other_person.state} == {"scoped"}
    assert journal.get(second.request_id).state == "scoped"
    assert steps(journal.get(second.request_id)) == ["open", "verify", "duplicate", "revive", "scope"]


def test_what_would_be_answered_later_is_no_original(journal: RequestJournal) -> None:
    first = journal.open(ANA, "access", proof=SIGNED_IN)
    journal.extend(first.request_id, by_whom="op_1", reason="many orders to look through")

    assert journal.open(ANA, "access", proof=SIGNED_IN).state == "scoped"


def test_two_corrections_are_two_requests(journal: RequestJournal) -> None:
    told = [journal.open(ANA, "correction", proof=SIGNED_IN).state for _ in range(2)]

    assert told == ["scoped", "scoped"]


# -- holds and clocks


def test_case_67_a_legal_hold_keeps_what_an_erasure_would_take_and_says_until_when(
    journal: RequestJournal, clock: Clock
) -> None:
    one = journal.open(ANA, "erasure", proof=SIGNED_IN)
    until_at = clock.now() + 90 * DAY

    held = journal.act(one.request_id, Act("hold", "op_1", "a claim is in court", "legal_claim", until_at))
    with pytest.raises(NotNow, match="release"):
        journal.act(one.request_id, Act("run", "op_1"))
    clock.go_on(90 * DAY)

    assert (held.state, held.hold_code, held.held_until, held.due_at) == ("held", "legal_claim", until_at, one.due_at)
    assert clock_of(held, clock.now()) == {
        "due_at": one.due_at,
        "is_overdue": True,
        "is_hold_over": True,
        "is_resting": False,
    }
    # It does not end by itself: somebody looks.
    with pytest.raises(NotNow):
        journal.act(one.request_id, Act("run", "op_1"))
    journal.act(one.request_id, Act("release", "op_1", "the court has decided"))
    assert journal.act(one.request_id, Act("run", "op_1")).state == "running"


def test_case_67_erasing_to_dodge_a_debt_is_held_for_the_claim(journal: RequestJournal, clock: Clock) -> None:
    one = journal.open(ANA, "erasure", proof=SIGNED_IN)

    held = journal.act(one.request_id, Act("hold", "op_1", "an open invoice", "legal_claim", clock.now() + DAY))

    assert held.state == "held"
    assert held.is_open


@pytest.mark.parametrize(
    ("reason", "basis", "days"),
    [("", "legal_claim", 9), ("a claim", "because", 9), ("a claim", "legal_claim", -1), ("x" * 501, "legal_claim", 9)],
)
def test_a_hold_has_a_basis_a_reason_and_an_end(
    journal: RequestJournal, clock: Clock, reason: str, basis: str, days: int
) -> None:
    one = journal.open(ANA, "erasure", proof=SIGNED_IN)

    with pytest.raises(BadStep):
        journal.act(one.request_id, Act("hold", "op_1", reason, basis, clock.now() + days * DAY))

    assert journal.get(one.request_id).state == "scoped"


def test_a_hold_hides_nothing_from_the_person(journal: RequestJournal, clock: Clock) -> None:
    one = journal.open(ANA, "access", proof=SIGNED_IN)

    with pytest.raises(MayNotBeHeld):
        journal.act(one.request_id, Act("hold", "op_1", "a claim", "legal_claim", clock.now() + DAY))


def test_an_extension_shows_and_counts_once(journal: RequestJournal, clock: Clock) -> None:
    one = journal.open(ANA, "access", place="US-CA", proof=SIGNED_IN)

    longer = journal.extend(one.request_id, by_whom="op_1", reason="many orders to look through")

    assert (longer.due_at - one.due_at, longer.is_extended, longer.state) == (45 * DAY, True, "scoped")
    assert [*journal.reasons(one.request_id).values()] == ["many orders to look through"]
    with pytest.raises(NoExtension):
        journal.extend(one.request_id, by_whom="op_1", reason="more")
    with pytest.raises(BadStep):
        journal.extend(one.request_id, by_whom="op_1", reason=" ")


def test_the_list_has_the_soonest_due_first_and_can_be_of_one_person(journal: RequestJournal) -> None:
    slow = journal.open(ANA, "access", place="US-CA", proof=SIGNED_IN)
    fast = journal.open(another(2), "access", place="KR", proof=SIGNED_IN)
    ended = journal.open(another(3), "access", proof=SIGNED_IN)
    journal.act(ended.request_id, Act("reject", "op_1", code="excessive"))

    assert [one.request_id for one in journal.list()] == [fast.request_id, slow.request_id, ended.request_id]
    assert [one.request_id for one in journal.list(only_open=True)] == [fast.request_id, slow.request_id]
    assert [one.request_id for one in journal.list(tokens=ANA.tokens)] == [slow.request_id]


def test_what_there_is_not_is_named_without_being_repeated(journal: RequestJournal) -> None:
    with pytest.raises(UnknownRequest):
        journal.get("ana@example.org")
    with pytest.raises(UnknownKind, match="erasure") as refused:
        journal.open(ANA, "erasures of ana@example.org")

    assert "ana@" not in refused.value.message


# -- forgetting


def test_colleagues_words_go_when_the_person_is_forgotten_and_the_acts_stay(
    journal: RequestJournal, store: SqliteState, tmp_path: Path, clock: Clock
) -> None:
    mark = "MARKER-of-what-ana-told-us"
    one = journal.open(ANA, "erasure", proof=SIGNED_IN)
    journal.act(one.request_id, Act("hold", "op_1", mark, "legal_claim", clock.now() + DAY))
    other = journal.open(another(2), "erasure", proof=SIGNED_IN)
    journal.act(other.request_id, Act("hold", "op_1", "another's words", "legal_claim", clock.now() + DAY))
    assert find_bytes(tmp_path, [mark.encode()]) != []
    before = journal.get(one.request_id)

    n_gone = journal.forget_subject(ANA.tokens)

    assert n_gone == 1
    assert find_bytes(tmp_path, [mark.encode()]) == []
    assert journal.get(one.request_id) == before
    assert journal.reasons(one.request_id) == {}
    assert [*journal.reasons(other.request_id).values()] == ["another's words"]


def test_a_request_holds_no_name_and_no_address(desk: Desk, tmp_path: Path) -> None:
    one = desk.requests.open("email:ana@example.org", "erasure", proof=SIGNED_IN)

    assert one.subject_token == token(one.profile_id)
    files = {found.file for found in find_bytes(tmp_path, ["ana@example.org"])}
    assert "workspace/log.db" in files
    assert not [file for file in files if file.startswith("requests.db")]


# -- doing what was asked


def test_access_is_complete_with_a_package_that_was_read_back(desk: Desk) -> None:
    one = desk.requests.open("email:ana@example.org", "access", proof=SIGNED_IN)

    done = desk.requests.run(one.request_id, by_whom="op_1")

    assert (done.state, done.parts, done.missing) == ("complete", {"package": "done"}, [])
    assert steps(done) == ["open", "verify", "scope", "run", "check", "complete"]
    path = desk.exports.find(one.request_id)
    assert path is not None
    assert desk.exports.check(one.request_id) == []


def test_a_package_that_went_missing_is_told_as_not_complete_and_can_be_made_again(desk: Desk) -> None:
    def lose(work: Work) -> Outcome:
        return Outcome(1)

    broken = desk.with_ways({"package": lose})
    one = broken.open("user_id:ana", "access", proof=SIGNED_IN)

    partial = broken.run(one.request_id, by_whom="op_1")
    done = desk.requests.run(one.request_id, by_whom="op_1")

    assert (partial.state, partial.missing) == ("partial", ["found:file.gone"])
    assert done.state == "complete"


def test_a_correction_becomes_what_is_known(desk: Desk) -> None:
    one = desk.requests.open("user_id:ana", "correction", proof=SIGNED_IN)

    empty = desk.requests.run(one.request_id, by_whom="op_1")
    done = desk.requests.run(one.request_id, by_whom="op_1", told={"trait": "name", "value": "Ana Eklund"})
    desk.ws.flush()

    assert (empty.state, empty.codes) == ("failed", {"correct": "privacy.no-correction"})
    assert (done.state, done.codes) == ("complete", {})
    assert desk.ws.profiles.get("user_id:ana")["traits"]["name"]["value"] == "Ana Eklund"


@pytest.mark.parametrize("kind", ["restriction", "objection", "withdrawal", "erasure"])
def test_what_nobody_can_do_here_fails_and_says_so(desk: Desk, kind: str) -> None:
    one = desk.requests.open("user_id:ana", kind, proof=SIGNED_IN)

    done = desk.requests.run(one.request_id, by_whom="op_1")

    assert done.state == "failed"
    assert {*done.codes.values()} == {"privacy.no-way"}
    assert done.missing == [f"part:{part}" for part in done.parts]


def test_a_way_that_says_nothing_or_breaks_is_never_complete(desk: Desk) -> None:
    def silent(work: Work) -> Outcome:
        return None  # type: ignore[return-value]  # the swallowed error of the claim

    def refused(work: Work) -> Outcome:
        raise NotFound("Nobody is there.", code="profile.unknown")

    def broken(work: Work) -> Outcome:
        raise ZeroDivisionError

    ends = []
    for way in (silent, refused):
        requests = desk.with_ways({"erase": way})
        one = requests.open("user_id:ana", "erasure", proof=SIGNED_IN)
        done = requests.run(one.request_id, by_whom="op_1")
        ends.append((done.state, done.codes))
    last = desk.with_ways({"erase": broken})
    one = last.open("user_id:ana", "erasure", proof=SIGNED_IN)
    with pytest.raises(ZeroDivisionError):
        last.run(one.request_id, by_whom="op_1")

    assert ends == [("failed", {"erase": "privacy.no-word"}), ("failed", {"erase": "profile.unknown"})]
    stuck = last.get(one.request_id)
    assert (stuck.state, stuck.codes) == ("running", {"erase": "privacy.broken"})
    # Nobody is locked out by our failure: the same request is run again.
    mended = desk.with_ways({"erase": lambda work: Outcome(1)})
    assert mended.run(one.request_id, by_whom="op_1").state == "complete"


def test_a_request_waits_for_every_recipient_and_keeps_their_answers(desk: Desk) -> None:
    requests = desk.with_ways({"erase": lambda work: Outcome(3, ("mailer", "ads.example", "fax"))})
    one = requests.open("user_id:ana", "erasure", proof=SIGNED_IN)

    waiting = requests.run(one.request_id, by_whom="op_1")
    requests.answer(one.request_id, "mailer", "answered", by_whom="op_1", evidence="ack-1")
    requests.answer(one.request_id, "ads.example", "failed", by_whom="op_1")
    with pytest.raises(NotNow):
        requests.answer(one.request_id, "stranger", "answered", by_whom="op_1")
    still = requests.get(one.request_id)
    done = requests.answer(one.request_id, "fax", "no_api", by_whom="op_1")

    assert (waiting.state, len(waiting.missing)) == ("awaiting_recipients", 3)
    assert (still.state, still.missing) == ("awaiting_recipients", ["recipient:fax"])
    assert done.state == "complete"
    assert done.recipients == {"mailer": "answered", "ads.example": "failed", "fax": "no_api"}
    assert requests.answer(one.request_id, "ads.example", "answered", by_whom="op_1").state == "complete"


def test_what_a_check_still_finds_makes_it_partial(desk: Desk) -> None:
    left = ["lake"]
    requests = desk.with_ways(
        {"erase": lambda work: Outcome(1)}, checks={"erasure": lambda request: [left.pop()] if left else []}
    )
    one = requests.open("user_id:ana", "erasure", proof=SIGNED_IN)

    first = requests.run(one.request_id, by_whom="op_1")
    second = requests.run(one.request_id, by_whom="op_1")

    assert (first.state, first.missing) == ("partial", ["found:lake"])
    assert second.state == "complete"


def test_requests_follow_a_person_through_a_merge(desk: Desk) -> None:
    desk.ws.append([{"type": "track", "anonymousId": "a-1", "event": "Page Viewed"}])
    desk.ws.flush()
    before = desk.requests.open("anonymous_id:a-1", "objection")
    desk.ws.append([{"type": "identify", "userId": "cy", "anonymousId": "a-1"}])
    desk.ws.flush()

    found = desk.requests.list(who="user_id:cy")

    assert [one.request_id for one in found] == [before.request_id]


def test_a_person_forgotten_leaves_no_package(desk: Desk) -> None:
    one = desk.requests.open("user_id:ana", "access", proof=SIGNED_IN)
    desk.requests.run(one.request_id, by_whom="op_1")
    desk.exports.write("user_id:ana", "portability")
    kept = desk.exports.write("user_id:bo", "access").path

    n_gone = desk.requests.forget([one.profile_id])

    assert n_gone == 2
    assert [*(desk.ws.paths.root / "exports").iterdir()] == [kept]
