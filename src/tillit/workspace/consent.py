"""What may we, and who said so: purposes, what people chose, and answers to one question.

In:    who is meant, purposes and states, the text of purposes that somebody applies.
Out:   documents; events and definitions in the log, which the fold applies.
Never: a change that is no event in the log.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tillit import clock
from tillit.clock import DAY, rfc3339
from tillit.collect.door import random_id
from tillit.consent import (
    REASONS,
    AppliedPolicy,
    Choice,
    Decision,
    Declared,
    Subject,
    consent_body,
    decide,
    gate_of,
    policy_in_force,
    policy_row,
    read_policies,
    read_policy,
    write_policy,
)
from tillit.errors import InputError
from tillit.flow import read_subject
from tillit.profile import event_id
from tillit.records import TRUST_NAMES, TRUST_OPERATOR, Membership, NewRow
from tillit.store import Log, Reading, State
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of, iter_people, sample_people, unknown_profile, word_about
from tillit.workspace.quarantine import Append

_WAIT_S = 5.0
_LOOK_S = 0.2
_N_WEEKS = 26  # half a year of what people said
# No yes that counts, and no no either.
_SILENT = frozenset({"no_consent", "not_confirmed", "consent_expired", "notice_not_yet_shown", "one_of_several_people"})


class PurposesUnchanged(InputError):
    """These purposes are the ones that were applied last."""

    code = "consent.purposes-unchanged"
    status = 409

    def __init__(self) -> None:
        """Say so."""
        super().__init__("These purposes say what was applied last: nothing would change.")


class Consent:
    """Purposes, and what people said of them."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        *,
        adult_age: int,
        append: Append,
        now: Callable[[], int],
    ) -> None:
        """Know the stores and the way into the log."""
        self._log = log
        self._state = state
        self._folding = folding
        self._adult_age = adult_age
        self._append = append
        self._now = now
        self._gate: Callable[[NewRow], bytes | None] | None = None
        self._look_again_s = 0.0

    # -- purposes

    def declared(self) -> Declared:
        """Give the purposes in force."""
        return policy_in_force(self._state)

    def door(self) -> Callable[[NewRow], bytes | None] | None:
        """Give what withholds events at the door by what they themselves carry; None: nothing does."""
        now_s = clock.monotonic_s()
        if now_s >= self._look_again_s:
            # Purposes change seldom, and a busy door asks ten thousand times a second.
            self._gate, self._look_again_s = gate_of(self.declared()), now_s + _LOOK_S
        return self._gate

    def text(self) -> str:
        """Give the purposes in force, whole, as YAML."""
        return write_policy(self.declared())

    def history(self) -> list[dict[str, Any]]:
        """Give all purposes that were ever applied, newest first; the last is what is built in."""
        told = [*read_policies(self._state), AppliedPolicy(0, "", "", "", 0)]
        return [
            {
                "action": event_id(one.position, self._log.epoch()) if one.position else None,
                "at": rfc3339(one.event_at) if one.position else None,
                "operator": one.operator,
                "reason": one.reason,
                "text": one.text,
                "hash": read_policy(one.text).hash,
            }
            for one in told
        ]

    def apply(self, text: str, *, operator: str = "process", reason: str = "") -> dict[str, Any]:
        """Put purposes in force from now on.

        Shape:  {"action", "hash"}.
        Raises: PolicyInvalid, PurposesUnchanged; BusyError when they are in the log and not applied yet.
        """
        declared = read_policy(text)
        if declared.hash == self.declared().hash:
            raise PurposesUnchanged
        row = policy_row(text, operator=operator, reason=reason, message_id=random_id(), now=self._now())
        position = self._append([row])[0]
        self._folding.reach(position, _WAIT_S)
        self._look_again_s = 0.0
        return {"action": event_id(position, self._log.epoch()), "hash": declared.hash}

    def plan(
        self,
        text: str,
        *,
        n_cases: int = 20,
        most: int | None = None,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[str, Any]:
        """Say for whom other purposes would permit more or less; change nothing.

        With `most` it looks at no more than so many, taken evenly from everybody; else at everybody.
        Shape:  {"hash", "people", "purposes": [{"purpose", "is_new", "is_gone", "before", "after", "gained", "lost"}],
                "cases": [{"id", "purpose", "before", "after"}]}; a case tells permitted, or the reason why not.
        Raises: PolicyInvalid.
        """
        after = read_policy(text)
        at = self._now()
        with self._state.snapshot() as reading:
            before = policy_in_force(reading)
            names = list(dict.fromkeys([*before.purposes, *after.purposes]))
            counts = {name: [0, 0, 0, 0] for name in names}
            cases: list[dict[str, Any]] = []
            n_people = 0
            for n_looked, of, membership in _people(reading, most):
                n_people += 1
                if n_looked % 100 == 0:
                    progress(n_looked, of)
                subject = read_subject(reading, membership, at=at, adult_age=self._adult_age, epoch=self._log.epoch())
                for name in names:
                    one, other = (decide(declared, subject, name, at=at) for declared in (before, after))
                    told = counts[name]
                    told[0] += one.is_permitted
                    told[1] += other.is_permitted
                    told[2] += other.is_permitted > one.is_permitted
                    told[3] += one.is_permitted > other.is_permitted
                    if one.is_permitted != other.is_permitted and len(cases) < n_cases:
                        cases.append(
                            {
                                "id": subject.profile_id,
                                "purpose": name,
                                "before": one.reason or "permitted",
                                "after": other.reason or "permitted",
                            }
                        )
        return {
            "hash": after.hash,
            "people": n_people,
            "purposes": [
                {
                    "purpose": name,
                    "is_new": name not in before.purposes,
                    "is_gone": name not in after.purposes,
                    **dict(zip(("before", "after", "gained", "lost"), counts[name], strict=True)),
                }
                for name in names
            ],
            "cases": cases,
        }

    def tally(self, *, most: int) -> dict[str, Any]:
        """Count for each purpose how many it may reach now, and what people said of it week by week.

        Looks at no more than `most` people, taken evenly from everybody.
        Shape: {"at", "policy", "people", "of", "purposes": {name: {"permitted", "refused", "silent", "reasons":
               {reason: n}, "weeks": [[n yes, n no]]}}, "weeks": [monday]}; `of` is how many people and devices there
               are when not all were looked at, else None; `weeks` are the last half year, oldest first.
        """
        at = self._now()
        last = _week(at)
        with self._state.snapshot() as reading:
            declared = policy_in_force(reading)
            told: dict[str, dict[str, Any]] = {
                name: {
                    "permitted": 0,
                    "refused": 0,
                    "silent": 0,
                    "reasons": {},
                    "weeks": [[0, 0] for _ in range(_N_WEEKS)],
                }
                for name in declared.purposes
            }
            n_people = 0
            for _, _, membership in _people(reading, most):
                n_people += 1
                subject = read_subject(reading, membership, at=at, adult_age=self._adult_age, epoch=self._log.epoch())
                for name, counts in told.items():
                    found = decide(declared, subject, name, at=at)
                    kind = "permitted" if found.is_permitted else "silent" if found.reason in _SILENT else "refused"
                    counts[kind] += 1
                    if found.reason:
                        counts["reasons"][found.reason] = counts["reasons"].get(found.reason, 0) + 1
                    for one in subject.statements.get(name, ()):
                        week = _N_WEEKS - 1 - (last - _week(one.said_at))
                        if 0 <= week < _N_WEEKS and (one.gives or one.refuses):
                            counts["weeks"][week][one.refuses] += 1
            known = reading.read("SELECT count(*) FROM identifier WHERE identifier_id = root_id")[0][0]
        monday = (last - _N_WEEKS + 1) * 7 - 3
        return {
            "at": rfc3339(at),
            "policy": declared.hash,
            "people": n_people,
            "of": int(known) if known > most else None,
            "purposes": told,
            "weeks": [rfc3339((monday + 7 * n) * DAY)[:10] for n in range(_N_WEEKS)],
        }

    def before_last(self) -> str:
        """Give the text of the purposes before those in force. Raises PurposesUnchanged when there are none."""
        told = self.history()
        if len(told) == 1:
            raise PurposesUnchanged
        return str(told[1]["text"])

    # -- what people said

    def set(
        self,
        who: str,
        choices: Sequence[Choice],
        *,
        by: str = "self",
        method: str = "",
        notice: str = "",
        served: str = "",
        evidence: str = "",
        jurisdiction: str = "",
        reason: str = "",
        operator: str = "process",
        trust: int = TRUST_OPERATOR,
        source: str = "",
    ) -> str:
        """Write down what somebody chose; give the event's id once it counts.

        Raises: NotFound, StatementInvalid, ActInvalid; BusyError when it is in the log and not applied yet.
        """
        body = consent_body(
            choices,
            by=by,
            method=method,
            notice=notice,
            served=served,
            evidence=evidence,
            jurisdiction=jurisdiction,
            trust=trust,
        )
        row = word_about(self._state, who, body, operator=operator, reason=reason, now=self._now())
        if trust != TRUST_OPERATOR:
            row = row._replace(trust=trust, source=source)
        position = self._append([row])[0]
        self._folding.reach(position, _WAIT_S)
        return event_id(position, self._log.epoch())

    def state(self, who: str, *, at: int | None = None) -> dict[str, Any]:
        """Say for each purpose whether it may use a person's data, and on whose word. Raises NotFound.

        Shape: {"id", "policy", "purposes": [{"purpose", "title", decision}], "statements": [statement]}; a decision is
               {"permitted", "reason", "words", "basis", "record", "notice", "until"}.
        """
        instant = self._now() if at is None else at
        with self._state.snapshot() as reading:
            declared = policy_in_force(reading, before=instant)
            subject = self._subject(reading, who, instant)
            return {
                "id": subject.profile_id,
                "policy": declared.hash,
                "purposes": [
                    {"purpose": name, "title": told.title, **self._told(decide(declared, subject, name, at=instant))}
                    for name, told in declared.purposes.items()
                ],
                "statements": self._statements(subject),
            }

    def decide(
        self,
        who: str,
        purpose: str,
        *,
        at: int | None = None,
        recipient: str = "",
        channel: str = "",
        jurisdiction: str = "",
        fields: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Answer one question: may this person's data be used for this? Raises NotFound.

        Shape: {"id", "purpose", "at", "policy", decision, "withheld": [{"field", "reason"}]}; `withheld` holds those
               of the fields asked about that may not be used.
        """
        instant = self._now() if at is None else at
        with self._state.snapshot() as reading:
            declared = policy_in_force(reading, before=instant)
            subject = self._subject(reading, who, instant)
        found = decide(
            declared, subject, purpose, at=instant, recipient=recipient, channel=channel, jurisdiction=jurisdiction
        )
        told = declared.purposes.get(purpose)
        reach = told.reach if told is not None else frozenset[str]()
        return {
            "id": subject.profile_id,
            "purpose": purpose,
            "at": rfc3339(instant),
            "policy": found.policy,
            **self._told(found),
            "withheld": [
                {"field": field, "reason": found.reason or "not_declared_for_purpose"}
                for field in fields
                if not found.is_permitted or not (reach is None or field in reach or field.partition(".")[0] in reach)
            ],
        }

    def _subject(self, reading: Reading, who: str, at: int) -> Subject:
        membership = find_membership_of(reading, who)
        if membership is None:
            raise unknown_profile()
        subject = read_subject(reading, membership, at=at, adult_age=self._adult_age, epoch=self._log.epoch())
        # What was heard after an instant was not known then.
        known = {
            name: heard
            for name, told in subject.statements.items()
            if (heard := [one for one in told if one.received_at <= at])
        }
        return subject._replace(statements=known)

    def _told(self, found: Decision) -> dict[str, Any]:
        return {
            "permitted": found.is_permitted,
            "reason": found.reason or None,
            "words": REASONS.get(found.reason),
            "basis": found.basis or None,
            "record": event_id(found.record, self._log.epoch()) if found.record is not None else None,
            "notice": found.notice or None,
            "until": rfc3339(found.until) if found.until is not None else None,
        }

    def _statements(self, subject: Subject) -> list[dict[str, Any]]:
        told = [one for some in subject.statements.values() for one in some]
        return [
            {
                "about": one.name,
                "state": one.state,
                "said_at": rfc3339(one.said_at),
                "received_at": rfc3339(one.received_at),
                "trust": TRUST_NAMES[one.trust],
                "proved": one.is_proved,
                "explicit": one.is_explicit,
                "by": one.by,
                "channels": list(one.channels),
                "notice": one.notice or None,
                "evidence": one.evidence or None,
                "method": one.method or None,
                "valid_until": rfc3339(one.valid_until) if one.valid_until is not None else None,
                "jurisdiction": one.jurisdiction or None,
                "source": one.source or None,
                "event_id": event_id(one.position, self._log.epoch()),
            }
            for one in sorted(told, key=lambda one: (one.received_at, one.position, one.name, one.state), reverse=True)
        ]


def _people(reading: Reading, most: int | None) -> Iterator[tuple[int, int, Membership]]:
    return iter_people(reading) if most is None else sample_people(reading, most)


def _week(at: int) -> int:
    # The first day of the epoch was a Thursday; weeks begin on Mondays.
    return (at // DAY + 3) // 7
