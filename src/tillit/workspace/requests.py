"""Requests of customers about their data, from filing to the answer.

In:    who is meant, what they ask, proofs, answers of recipients; a way for each part of the work.
Out:   requests as they stand; a package, a correction, or what the ways did.
Never: complete on an error that a way swallowed: a part without a word of success has failed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.errors import InputError, TillitError
from tillit.privacy import (
    ACCESS,
    DONE,
    FAILED,
    PERSON,
    PORTABILITY,
    VERIFYING,
    Act,
    Proof,
    Request,
    RequestJournal,
    Subject,
    clock_of,
    days_left,
    missing_of,
    next_action,
)
from tillit.workspace.exports import Exports, founding_ids
from tillit.workspace.people import unknown_profile
from tillit.workspace.profiles import Profiles

NO_WAY = "privacy.no-way"  # nobody has said how this part is done here
NO_WORD = "privacy.no-word"  # a way came back without saying what it did
BROKEN = "privacy.broken"  # a way broke off; the error itself went up to whoever ran it


class Work(NamedTuple):
    """One part of a request, to be done."""

    request: Request
    by_whom: str
    told: Mapping[str, Any]  # what the request needs besides the person: a correction's trait and value


class Outcome(NamedTuple):
    """What a way did."""

    n_rows: int
    recipients: Sequence[str] = ()  # who was told and must answer


Way = Callable[[Work], Outcome]
Check = Callable[[Request], Sequence[str]]  # what is still found, in short words; nothing when all is well


class Requests:
    """Takes requests, does them, and says what is missing."""

    def __init__(
        self,
        journal: RequestJournal,
        profiles: Profiles,
        exports: Exports,
        *,
        token: Callable[[str], str],
        ways: Mapping[str, Way] | None = None,
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        """Know the journal and how each part is done. `token`: the keyed hash of a profile id.

        `ways`: part (object, withdraw, restrict, erase) -> what does it; package and correct are done here.
        `checks`: kind -> what looks whether it is true.
        """
        self._journal = journal
        self._profiles = profiles
        self._exports = exports
        self._token = token
        self._ways: dict[str, Way] = {"package": self._package, "correct": self._correct, **(ways or {})}
        self._checks: dict[str, Check] = {ACCESS: self._check, PORTABILITY: self._check, **(checks or {})}

    def open(
        self,
        who: str,
        kind: str,
        *,
        place: str = "",
        by_whom: str = PERSON,
        asked_by: str = PERSON,
        proof: Proof | None = None,
        evidence: str = "",
    ) -> Request:
        """File a request of whoever holds an identifier or a profile id. `place`: whose law's clock counts.

        Raises: NotFound; UnknownKind, UnknownRegime, BadProof, EvidenceMissing, TooManyClaims.
        """
        return self._journal.open(
            self._subject(who),
            kind,
            place=place,
            by_whom=by_whom,
            asked_by=asked_by,
            proof=proof,
            evidence=evidence,
        )

    def prove(self, request_id: str, proof: Proof) -> Request:
        """Note a proof of who asks; the request goes on when it is enough. Raises UnknownRequest, NotNow, BadProof."""
        return self._journal.prove(request_id, self._subject(self._journal.get(request_id).profile_id), proof)

    def hold(self, request_id: str, *, basis: str, until_at: int, reason: str, by_whom: str) -> Request:
        """Keep data that a law makes us keep. The clock goes on. Raises NotNow, MayNotBeHeld, BadStep."""
        return self._journal.act(request_id, Act("hold", by_whom, reason=reason, code=basis, until_at=until_at))

    def release(self, request_id: str, *, reason: str, by_whom: str) -> Request:
        """End a hold. Raises NotNow, BadStep."""
        return self._journal.act(request_id, Act("release", by_whom, reason=reason))

    def reject(self, request_id: str, *, ground: str, by_whom: str, reason: str = "") -> Request:
        """Refuse a request. Raises NotNow, BadStep."""
        return self._journal.act(request_id, Act("reject", by_whom, reason=reason, code=ground))

    def withdraw(
        self, request_id: str, *, by_whom: str = PERSON, level: int = 0, evidence: str = "", reason: str = ""
    ) -> Request:
        """Take a request back: also how an erasure is cancelled while it rests. Raises NotNow, TooLittleProof."""
        act = Act("withdraw", by_whom, reason=reason, level=level, evidence=evidence)
        return self._journal.act(request_id, act)

    def extend(self, request_id: str, *, reason: str, by_whom: str) -> Request:
        """Take the longer time that the law gives. Raises NoExtension, BadStep."""
        return self._journal.extend(request_id, by_whom=by_whom, reason=reason)

    def answer(self, request_id: str, recipient: str, answer: str, *, by_whom: str, evidence: str = "") -> Request:
        """Note what a recipient said: answered, no_api or failed; the last one lets the request go on."""
        request = self._journal.note_recipient(request_id, recipient, answer, evidence=evidence)
        if request.state == "awaiting_recipients" and next_action(request.standing) != "send":
            return self._settle(request, by_whom)
        return request

    def run(self, request_id: str, *, by_whom: str, told: Mapping[str, Any] | None = None) -> Request:
        """Do what is open of a request, also after it failed or broke off. `told`: see Work.

        Raises: UnknownRequest, NotNow, MustRest; whatever a way raised that has no name of ours.
        """
        request = self._journal.get(request_id)
        if request.state != VERIFYING:
            is_again = bool(request.missing) and all(one.startswith("found:") for one in request.missing)
            request = self._journal.act(request_id, Act("run", by_whom))
            # What a check found after every part was done is mended by doing them all again.
            todo = [part for part, outcome in request.parts.items() if outcome != DONE or is_again]
            for part in todo:
                request = self._do(Work(request, by_whom, told or {}), part)
        return self._settle(request, by_whom)

    def get(self, request_id: str) -> Request:
        """Give a request as it stands. Raises UnknownRequest."""
        return self._journal.get(request_id)

    def reasons(self, request_id: str) -> dict[int, str]:
        """Give what colleagues wrote, by the id of its step; nothing once the person was forgotten."""
        return self._journal.reasons(request_id)

    def list(self, *, who: str | None = None, only_open: bool = False, limit: int = 1_000) -> list[Request]:
        """Give requests, due soonest first; with `who` those of one person, also from before a merge."""
        tokens = self._subject(who).tokens if who is not None else None
        return self._journal.list(only_open=only_open, tokens=tokens, limit=limit)

    def forget(self, profile_ids: Collection[str]) -> int:
        """Delete what colleagues wrote about a person's requests, and packages of theirs; say how many of both."""
        tokens = {self._token(one) for one in profile_ids}
        return self._journal.forget_subject(tokens) + self._exports.forget(tokens)

    def _subject(self, who: str) -> Subject:
        membership = self._profiles.membership(who)
        if membership is None:
            raise unknown_profile()
        return Subject(
            membership.profile_id,
            self._token(membership.profile_id),
            {self._token(one) for one in founding_ids(membership)},
        )

    def _do(self, work: Work, part: str) -> Request:
        note, request_id = self._journal.note_part, work.request.request_id
        way = self._ways.get(part)
        if way is None:
            return note(request_id, part, FAILED, why=NO_WAY)
        try:
            outcome: object = way(work)
        except TillitError as error:
            return note(request_id, part, FAILED, why=error.code)
        except BaseException:
            note(request_id, part, FAILED, why=BROKEN)
            raise
        if not isinstance(outcome, Outcome):
            return note(request_id, part, FAILED, why=NO_WORD)
        for recipient in outcome.recipients:
            self._journal.note_recipient(request_id, recipient, "waiting")
        return note(request_id, part, DONE, n_rows=outcome.n_rows)

    def _settle(self, request: Request, by_whom: str) -> Request:
        """Take the steps that follow from how parts and recipients stand."""
        findings: Sequence[str] | None = None
        while True:
            standing = request.standing._replace(findings=findings)
            action = next_action(standing)
            missing = [one for one in missing_of(standing) if one != "check"] if action in {"partial", "fail"} else []
            act = Act(action, by_whom, missing=missing, findings=findings)
            request = self._journal.act(request.request_id, act)
            if action != "check":
                return request
            findings = self._look(request)

    def _look(self, request: Request) -> Sequence[str]:
        check = self._checks.get(request.kind)
        try:
            return list(check(request)) if check is not None else []
        except TillitError as error:
            return [f"check.{error.code}"]

    # -- what this part knows to do by itself

    def _package(self, work: Work) -> Outcome:
        request = work.request
        done = self._exports.write(request.profile_id, request.kind, request_id=request.request_id)
        return Outcome(sum(done.packed.n_rows.values()))

    def _check(self, request: Request) -> Sequence[str]:
        return self._exports.check(request.request_id)

    def _correct(self, work: Work) -> Outcome:
        name = work.told.get("trait")
        if not isinstance(name, str) or "value" not in work.told:
            raise CorrectionMissing
        self._profiles.correct(
            work.request.profile_id,
            name,
            work.told["value"],
            reason=f"request {work.request.request_id}",
            operator=work.by_whom,
        )
        return Outcome(1)


class CorrectionMissing(InputError):
    """A correction was run without what is to be corrected."""

    code = "privacy.no-correction"

    def __init__(self) -> None:
        """Say what is needed."""
        super().__init__("A correction needs the trait and its true value. Run the request with both.")


def request_document(one: Request, now: int) -> dict[str, Any]:
    """Give a request with its clock as a document, without its steps."""
    told = one._asdict()
    del told["steps"], told["subject_token"]
    for name in ("received_at", "due_at", "rests_until", "held_until"):
        told[name] = rfc3339(told[name]) if told[name] is not None else None
    clock = {key: value for key, value in clock_of(one, now).items() if key != "due_at"}
    return {**told, **clock, "days_left": days_left(one.due_at, now)}
