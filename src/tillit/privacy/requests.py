"""The journal of requests: who asked what, what was done, and what stands.

In:    acts of customers, colleagues and the engine; an instant.
Out:   requests as they stand, with clocks and what is missing; rows in journal.db that are only added to.
Never: a name or an address. A person is a profile id and a keyed hash; a colleague's words lie apart and can go.

An unverified request never blocks, delays or closes a verified one: it is only counted, so that nobody floods us.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from tillit.clock import DAY
from tillit.errors import InputError, NotFound, RefusedError
from tillit.privacy.clocks import check_extension, due_at, regime_of
from tillit.privacy.kinds import (
    ASKERS,
    COOLING_US,
    PERSON,
    EvidenceMissing,
    Kind,
    Proof,
    check_proof,
    check_reference,
    judge_proofs,
    kind_of,
)
from tillit.privacy.states import (
    ANSWERS,
    DONE,
    DUPLICATE,
    ENDED,
    FAILED,
    OPEN,
    RECEIVED,
    REJECTED,
    RUNNING,
    SCOPED,
    UNDER_WAY,
    VERIFIED,
    WAITING,
    WITHDRAWN,
    NotNow,
    Standing,
    missing_of,
    next_state,
)
from tillit.store import Reading, SqliteState, Writing

# Taste: a person who asks by hand needs one; a small shop has few in a year.
MOST_CLAIMED_PER_PERSON = 3
MOST_CLAIMED = 500
LONGEST_REASON = 500

# Why a request may be refused, and data held; the words beside them are a colleague's own.
REJECTIONS = ("identity_not_proved", "mandate_not_proved", "unfounded", "excessive", "legal_obligation", "not_ours")
HOLDS = ("legal_claim", "legal_obligation", "investigation")

_WHO = re.compile(r"[\w.-]{1,80}", re.ASCII)
_NAME = re.compile(r"[a-z][\w.-]{0,63}", re.ASCII)
_CODE = re.compile(r"[a-z][\w.-]{0,63}|", re.ASCII)
# What comes with proofs has a way of its own: nobody verifies by a bare step.
_PLAIN = {"run", "hold", "release", "reject", "withdraw", "send", "check", "complete", "partial", "fail"}
# Where it came to nothing, what was closed as its duplicate stands up again.
_CAME_TO_NOTHING = {REJECTED, WITHDRAWN, FAILED}


class UnknownRequest(NotFound):
    """There is no request by that id."""

    code = "privacy.unknown-request"

    def __init__(self) -> None:
        """Say where they are listed."""
        super().__init__("There is no request by that id here. `tillit privacy requests list` shows them.")


class TooManyClaims(RefusedError):
    """More unproved requests came in a day than are taken."""

    code = "privacy.too-many"
    status = 429

    def __init__(self) -> None:
        """Say what still works."""
        super().__init__(
            "Too many requests came today without proof of who asks. Prove who asks first: proved requests are always "
            "taken. Or try again tomorrow.",
        )


class MustRest(RefusedError):
    """A request rests for a while before it runs, so that the real person can cancel it."""

    code = "privacy.must-rest"

    def __init__(self, until_at: int) -> None:
        """Give the end of the rest."""
        super().__init__(
            "This request rests for 72 hours after it was proved, so that the real person can cancel it. "
            "A stronger proof ends the rest.",
            until_at=until_at,
        )


class MayNotBeHeld(RefusedError):
    """A legal hold was put on a request that takes nothing away."""

    code = "privacy.no-hold"

    def __init__(self, kind: str) -> None:
        """Name the kind."""
        super().__init__(f"A request of the kind {kind} cannot be held: a hold keeps data, it hides nothing.")


class TooLittleProof(RefusedError):
    """A request was to be taken back by somebody who proved less than whoever filed it."""

    code = "privacy.too-little-proof"

    def __init__(self, level: int) -> None:
        """Say what is asked for."""
        super().__init__(
            f"To take this request back, prove who you are at level {level}, as when it was filed.", level=level
        )


class BadStep(InputError):
    """A step of a request was told in words that it cannot have."""

    code = "privacy.bad-step"

    def __init__(self, field: str, wanted: str) -> None:
        """Name the field and what it must be, never its value."""
        super().__init__(f"The {field} of a request must be {wanted}.", field=field)


class Subject(NamedTuple):
    """Whom a request is about."""

    profile_id: str
    token: str  # keyed hash of the profile id
    tokens: Collection[str]  # of all ids that this person's profile ever had


class Step(NamedTuple):
    """What was done about a request. Grain: one per act."""

    step_id: int
    at: int  # UTC epoch microseconds
    action: str
    state: str
    by_whom: str
    level: int
    via: str
    evidence: str
    code: str
    until_at: int | None
    original_id: str
    missing: list[str]


class Request(NamedTuple):
    """A request as it stands. Grain: one per request."""

    request_id: str
    kind: str
    profile_id: str
    subject_token: str
    regime: str
    asked_by: str
    filed_level: int
    received_at: int  # UTC epoch microseconds, as all of these
    due_at: int
    is_extended: bool
    state: str
    level: int
    rests_until: int | None  # it does not run before
    hold_code: str
    held_until: int | None
    original_id: str  # of a duplicate
    parts: dict[str, str]
    recipients: dict[str, str]
    codes: dict[str, str]  # part -> what went wrong
    missing: list[str]
    steps: list[Step]

    @property
    def is_open(self) -> bool:
        """Say whether something is still to be done."""
        return self.state not in ENDED

    @property
    def standing(self) -> Standing:
        """Say how its parts and recipients stand."""
        return Standing(self.parts, self.recipients)


class Act(NamedTuple):
    """A step to be taken."""

    action: str
    by_whom: str
    reason: str = ""
    code: str = ""
    until_at: int | None = None
    level: int = 0  # how well a person proved who they are who takes their request back
    evidence: str = ""
    missing: Sequence[str] = ()
    findings: Sequence[str] | None = None


class RequestJournal:
    """Keeps requests, one transaction per act."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int], new_id: Callable[[], str]) -> None:
        """Use the journal's store."""
        self._store = store
        self._now = now
        self._new_id = new_id

    def open(
        self,
        subject: Subject,
        kind: str,
        *,
        place: str = "",
        by_whom: str = PERSON,
        asked_by: str = PERSON,
        proof: Proof | None = None,
        evidence: str = "",
    ) -> Request:
        """File a request. `evidence`: where a customer's word to a colleague, or an agent's mandate, is kept.

        Raises: UnknownKind, UnknownRegime, BadProof, EvidenceMissing, TooManyClaims.
        """
        needs, regime = kind_of(kind), regime_of(place)
        if asked_by not in ASKERS:
            raise BadStep("asker", "person, operator or agent")
        if asked_by != PERSON and not evidence:
            raise EvidenceMissing(f"A request that an {asked_by} files for a customer needs evidence of it.")
        check_reference(evidence)
        _check_who(by_whom)
        proofs = [proof] if proof is not None else []
        for one in proofs:
            check_proof(one)
        judged = judge_proofs(needs, proofs, asked_by=asked_by)
        request_id, now = self._new_id(), self._now()
        with self._store.transaction() as tx:
            if judged.level == 0 and asked_by == PERSON:
                _check_flood(tx, subject, now)
            tx.execute(
                "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (request_id, needs.name, subject.profile_id, subject.token, regime.name, asked_by, judged.level, now),
            )
            _write(tx, request_id, now, "open", RECEIVED, by_whom, evidence=evidence)
            if proof is not None or judged.is_enough:
                self._judge(tx, _get(tx, request_id), subject.tokens, proof, by_whom)
            return _get(tx, request_id)

    def prove(self, request_id: str, subject: Subject, proof: Proof) -> Request:
        """Note that somebody proved who they are; go on when that is enough. Raises as `open`, and NotNow."""
        check_proof(proof)
        _check_who(proof.by_whom)
        with self._store.transaction() as tx:
            self._judge(tx, _get(tx, request_id), subject.tokens, proof, proof.by_whom)
            return _get(tx, request_id)

    def act(self, request_id: str, act: Act) -> Request:
        """Take a step. Raises UnknownRequest, NotNow, NotComplete, MustRest, MayNotBeHeld, BadStep."""
        now = self._now()
        with self._store.transaction() as tx:
            request = _get(tx, request_id)
            standing = request.standing._replace(findings=act.findings)
            if act.action not in _PLAIN:
                raise NotNow(request.state, act.action)
            # What is impossible now is told before what is wrong with its words.
            state = next_state(request.state, act.action, standing, missing=act.missing)
            _check_act(act, request, now)
            if act.action == "run" and request.rests_until is not None and now < request.rests_until:
                raise MustRest(request.rests_until)
            step_id = _write(
                tx,
                request_id,
                now,
                act.action,
                state,
                act.by_whom,
                code=act.code,
                until_at=act.until_at,
                evidence=act.evidence,
                missing=act.missing,
            )
            _write_reason(tx, step_id, request_id, act.reason)
            if state in _CAME_TO_NOTHING:
                self._revive(tx, request_id, now)
            return _get(tx, request_id)

    def extend(self, request_id: str, *, by_whom: str, reason: str) -> Request:
        """Take the longer time that the law gives, once and before the first is over. Raises NoExtension."""
        _check_who(by_whom)
        _check_reason(reason, is_needed=True)
        with self._store.transaction() as tx:
            request = _get(tx, request_id)
            if not request.is_open:
                raise NotNow(request.state, "extend")
            now, regime = self._now(), regime_of(request.regime)
            check_extension(request.received_at, regime, kind=request.kind, is_extended=request.is_extended, now=now)
            step_id = _write(tx, request_id, now, "extend", request.state, by_whom)
            _write_reason(tx, step_id, request_id, reason)
            return _get(tx, request_id)

    def note_part(self, request_id: str, part: str, outcome: str, *, why: str = "", n_rows: int = 0) -> Request:
        """Note what became of a part of a running request; `why` is a code. Raises UnknownRequest, NotNow, BadStep."""
        with self._store.transaction() as tx:
            request = _get(tx, request_id)
            if part not in request.parts or outcome not in {DONE, FAILED} or not _CODE.fullmatch(why):
                raise BadStep("part", "one of its parts, done or failed, with a short code")
            if request.state != RUNNING:
                raise NotNow(request.state, "part")
            tx.execute(
                "INSERT INTO request_part (request_id, part, at, outcome, code, n_rows) VALUES (?, ?, ?, ?, ?, ?)",
                (request_id, part, self._now(), outcome, why, n_rows),
            )
            return _get(tx, request_id)

    def note_recipient(self, request_id: str, recipient: str, answer: str, *, evidence: str = "") -> Request:
        """Note that a recipient was told (`waiting`), or what came of it. Raises UnknownRequest, NotNow, BadStep.

        An answer is taken also after the request has ended: a late one is news all the same.
        """
        check_reference(evidence)
        with self._store.transaction() as tx:
            request = _get(tx, request_id)
            if answer not in {WAITING, *ANSWERS} or not _NAME.fullmatch(recipient):
                raise BadStep("answer", f"waiting, {', '.join(ANSWERS[:-1])} or {ANSWERS[-1]}, of a recipient's name")
            if request.state != RUNNING and (answer == WAITING or recipient not in request.recipients):
                raise NotNow(request.state, "answer")
            tx.execute(
                "INSERT INTO request_recipient (request_id, recipient, at, answer, evidence) VALUES (?, ?, ?, ?, ?)",
                (request_id, recipient, self._now(), answer, evidence),
            )
            return _get(tx, request_id)

    def get(self, request_id: str) -> Request:
        """Give a request as it stands. Raises UnknownRequest."""
        return _get(self._store, request_id)

    def list(
        self, *, only_open: bool = False, tokens: Collection[str] | None = None, limit: int = 1_000
    ) -> list[Request]:
        """Give requests, due soonest first; of the newest so many. With `tokens`, those of one person."""
        rows = self._store.read(
            "SELECT request_id FROM request r WHERE (? = 0 OR (SELECT state FROM request_step s WHERE "
            "s.request_id = r.request_id ORDER BY s.step_id DESC LIMIT 1) NOT IN "
            f"({', '.join(repr(one) for one in sorted(ENDED))})) AND (? = 0 OR subject_token IN (SELECT value FROM "
            "json_each(?))) ORDER BY received_at DESC, request_id LIMIT ?",
            (only_open, tokens is not None, msgspec.json.encode(sorted(tokens or ())).decode(), limit),
        )
        found = list(_iter_requests(self._store, [request_id for (request_id,) in rows]))
        return sorted(found, key=lambda one: (not one.is_open, one.due_at, one.request_id))

    def reasons(self, request_id: str) -> dict[int, str]:
        """Give colleagues' words by the id of their step; none when the person was forgotten."""
        return dict(
            self._store.read(
                "SELECT step_id, reason_text FROM request_reason WHERE request_id = ? ORDER BY step_id", (request_id,)
            )
        )

    def forget_subject(self, tokens: Collection[str]) -> int:
        """Delete what colleagues wrote about a person's requests so that no byte of it stays; say how many texts.

        What was asked and done stays, under ids and hashes: it proves that a right was served.
        """
        with self._store.transaction() as tx:
            found = tx.read_in(
                "SELECT step_id FROM request_reason WHERE request_id IN "
                "(SELECT request_id FROM request WHERE subject_token IN {in})",
                sorted(tokens),
            )
            tx.executemany("DELETE FROM request_reason WHERE step_id = ?", found)
        self._store.scrub()
        return len(found)

    def _judge(self, tx: Writing, request: Request, tokens: Collection[str], proof: Proof | None, by_whom: str) -> None:
        """Add a proof; when they are enough, go on to scoped, or to duplicate of what is under way already."""
        needs, now = kind_of(request.kind), self._now()
        told = [*_proofs(request.steps), *([proof] if proof is not None else [])]
        judged = judge_proofs(needs, told, asked_by=request.asked_by)
        action = "verify" if judged.is_enough else "ask"
        state = next_state(request.state, action, request.standing)
        level, via, _, evidence = proof or Proof(0, "")
        _write(tx, request.request_id, now, action, state, by_whom, level=level, via=via, evidence=evidence)
        if state == VERIFIED:
            original = _find_original(tx, request, tokens, judged.level) if needs.may_repeat else None
            if original is not None:
                _write(tx, request.request_id, now, "duplicate", DUPLICATE, "tillit", original_id=original)
            else:
                _write(tx, request.request_id, now, "scope", SCOPED, "tillit")

    def _revive(self, tx: Writing, original_id: str, now: int) -> None:
        """Let duplicates of a request that came to nothing go on in its stead."""
        rows = tx.read("SELECT DISTINCT request_id FROM request_step WHERE original_id = ?", (original_id,))
        for (request_id,) in sorted(rows):
            request = _get(tx, request_id)
            if request.state == DUPLICATE and request.original_id == original_id:
                _write(tx, request_id, now, "revive", VERIFIED, "tillit")
                _write(tx, request_id, now, "scope", SCOPED, "tillit")


# -- reading: a request is the fold of its rows


def _get(reading: Reading, request_id: str) -> Request:
    found = next(_iter_requests(reading, [request_id]), None)
    if found is None:
        raise UnknownRequest
    return found


def _iter_requests(reading: Reading, request_ids: Sequence[str]) -> Iterator[Request]:
    """Give requests in the order asked for."""
    heads = {
        row[0]: row
        for row in reading.read_in(
            "SELECT request_id, kind, profile_id, subject_token, regime, asked_by, filed_level, received_at "
            "FROM request WHERE request_id IN {in}",
            request_ids,
        )
    }
    steps = _by_request(
        reading,
        "SELECT request_id, step_id, at, action, state, by_whom, level, via, evidence, code, until_at, original_id, "
        "missing FROM request_step WHERE request_id IN {in} ORDER BY request_id, step_id",
        request_ids,
    )
    parts = _by_request(
        reading,
        "SELECT request_id, part, outcome, code FROM request_part WHERE request_id IN {in} ORDER BY request_id, try_id",
        request_ids,
    )
    answers = _by_request(
        reading,
        "SELECT request_id, recipient, answer FROM request_recipient WHERE request_id IN {in} "
        "ORDER BY request_id, answer_id",
        request_ids,
    )
    for one in request_ids:
        if one in heads:
            yield _request(heads[one], steps.get(one, []), parts.get(one, []), answers.get(one, []))


def _by_request(reading: Reading, sql: str, request_ids: Sequence[str]) -> dict[str, list[Any]]:
    rows = sorted(reading.read_in(sql, request_ids), key=lambda row: row[0])  # stable: each keeps its order
    return {key: [row[1:] for row in told] for key, told in groupby(rows, key=lambda row: row[0])}


def _request(head: Any, step_rows: Sequence[Any], part_rows: Sequence[Any], answer_rows: Sequence[Any]) -> Request:
    steps = [Step._make((*row[:-1], msgspec.json.decode(row[-1]))) for row in step_rows]
    request_id, kind, profile_id, token, regime_name, asked_by, filed_level, received_at = head
    needs, regime = kind_of(kind), regime_of(regime_name)
    state = steps[-1].state
    judged = judge_proofs(needs, _proofs(steps), asked_by=asked_by)
    verified = [one.at for one in steps if one.action == "verify"]
    is_extended = any(one.action == "extend" for one in steps)
    hold = next((one for one in reversed(steps) if one.action == "hold"), None) if state == "held" else None
    outcomes = dict.fromkeys(needs.parts, OPEN) | {part: outcome for part, outcome, _ in part_rows}
    codes = {part: code for part, _, code in part_rows}
    recipients = dict(answer_rows)
    told = next((one.missing for one in reversed(steps) if one.action != "extend"), [])
    left = [one for one in missing_of(Standing(outcomes, recipients)) if one != "check"]
    return Request(
        request_id=request_id,
        kind=kind,
        profile_id=profile_id,
        subject_token=token,
        regime=regime_name,
        asked_by=asked_by,
        filed_level=filed_level,
        received_at=received_at,
        due_at=due_at(received_at, regime, kind=kind, is_extended=is_extended),
        is_extended=is_extended,
        state=state,
        level=judged.level,
        rests_until=verified[0] + COOLING_US if judged.must_rest and verified else None,
        hold_code=hold.code if hold is not None else "",
        held_until=hold.until_at if hold is not None else None,
        original_id=next((one.original_id for one in reversed(steps) if one.action == "duplicate"), ""),
        parts=outcomes,
        recipients=recipients,
        codes={part: code for part, code in codes.items() if code and outcomes[part] != DONE},
        missing=told or ([] if state in ENDED else left),
        steps=steps,
    )


def _proofs(steps: Sequence[Step]) -> list[Proof]:
    return [
        Proof(one.level, one.via, one.by_whom, one.evidence)
        for one in steps
        if one.action in {"ask", "verify"} and one.via
    ]


def _find_original(tx: Writing, request: Request, tokens: Collection[str], level: int) -> str | None:
    """Find the request that this one repeats: earlier, under way, of the same person, proved at least as well."""
    rows = tx.read_in(
        "SELECT request_id FROM request WHERE subject_token IN {in}", sorted({request.subject_token, *tokens})
    )
    others = [
        one
        for one in _iter_requests(tx, sorted(row[0] for row in rows))
        if one.request_id != request.request_id
        and one.kind == request.kind
        and one.state in UNDER_WAY
        and one.level >= level
        and one.due_at <= request.due_at
    ]
    return min(others, key=lambda one: (one.received_at, one.request_id)).request_id if others else None


# -- writing


def _write(
    tx: Writing,
    request_id: str,
    at: int,
    action: str,
    state: str,
    by_whom: str,
    *,
    level: int = 0,
    via: str = "",
    evidence: str = "",
    code: str = "",
    until_at: int | None = None,
    original_id: str = "",
    missing: Sequence[str] = (),
) -> int:
    tx.execute(
        "INSERT INTO request_step (request_id, at, action, state, by_whom, level, via, evidence, code, until_at, "
        "original_id, missing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            request_id,
            at,
            action,
            state,
            by_whom,
            level,
            via,
            evidence,
            code,
            until_at,
            original_id,
            msgspec.json.encode(list(missing)).decode(),
        ),
    )
    return int(tx.read("SELECT max(step_id) FROM request_step")[0][0])


def _write_reason(tx: Writing, step_id: int, request_id: str, reason: str) -> None:
    if reason:
        tx.execute("INSERT INTO request_reason VALUES (?, ?, ?)", (step_id, request_id, reason.strip()))


def _check_flood(tx: Writing, subject: Subject, now: int) -> None:
    since = now - DAY
    [(n_all,)] = tx.read(
        "SELECT count(*) FROM request WHERE received_at > ? AND filed_level = 0 AND asked_by = ?", (since, PERSON)
    )
    mine = tx.read_in(
        "SELECT request_id FROM request WHERE received_at > ? AND filed_level = 0 AND asked_by = ? "
        "AND subject_token IN {in}",
        sorted({subject.token, *subject.tokens}),
        (since, PERSON),
    )
    if n_all >= MOST_CLAIMED or len(mine) >= MOST_CLAIMED_PER_PERSON:
        raise TooManyClaims


def _check_act(act: Act, request: Request, now: int) -> None:
    kind: Kind = kind_of(request.kind)
    _check_who(act.by_whom)
    check_reference(act.evidence)
    _check_reason(act.reason, is_needed=act.action in {"hold", "release"})
    if act.action == "hold":
        if not kind.may_be_held:
            raise MayNotBeHeld(kind.name)
        if act.code not in HOLDS:
            raise BadStep("basis of a hold", f"one of {', '.join(HOLDS)}")
        if act.until_at is None or act.until_at <= now:
            raise BadStep("end of a hold", "a day to come: no hold is for ever")
    elif act.action == "reject" and act.code not in REJECTIONS:
        raise BadStep("ground of a refusal", f"one of {', '.join(REJECTIONS)}")
    elif act.action == "withdraw":
        # Whoever could file in somebody's name could otherwise take back what the real person proved.
        if act.by_whom == PERSON and act.level < request.level:
            raise TooLittleProof(request.level)
        if act.by_whom != PERSON and not act.evidence:
            raise EvidenceMissing("A colleague takes a customer's request back only with evidence of the wish.")


def _check_who(by_whom: str) -> None:
    if not _WHO.fullmatch(by_whom):
        raise BadStep("actor", "an id of ours, never an address")


def _check_reason(reason: str, *, is_needed: bool) -> None:
    if is_needed and not reason.strip():
        raise BadStep("reason", "given: the person may ask for it")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise BadStep("reason", f"at most {LONGEST_REASON} characters without a NUL")


def clock_of(request: Request, now: int) -> Mapping[str, Any]:
    """Say how a request's clock stands: {"due_at", "is_overdue", "is_hold_over", "is_resting"}."""
    return {
        "due_at": request.due_at,
        "is_overdue": request.is_open and now > request.due_at,
        "is_hold_over": request.held_until is not None and now >= request.held_until,
        "is_resting": request.rests_until is not None and now < request.rests_until,
    }


__all__ = [
    "HOLDS",
    "LONGEST_REASON",
    "MOST_CLAIMED",
    "MOST_CLAIMED_PER_PERSON",
    "REJECTIONS",
    "Act",
    "BadStep",
    "MayNotBeHeld",
    "MustRest",
    "Request",
    "RequestJournal",
    "Step",
    "Subject",
    "TooLittleProof",
    "TooManyClaims",
    "UnknownRequest",
    "clock_of",
]
