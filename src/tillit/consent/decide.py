"""Decide: may this person's data be used for this, now?

In:    the policy, what was said by or of the person, who they are made of, facts, an instant.
Out:   a `Decision`: yes with its ground and record, or no with its reason.
Never: a yes from silence; a clock, a store, a chance: the same words give the same answer, whenever and in whatever
       order they are read.

The order: deceased, restricted, what a minor may not, then by the basis of the purpose. What the customer's choice does
not decide (a contract, a duty) is permitted. A legitimate interest is permitted until somebody objects. Consent needs a
yes that counts and that nothing said later, or by another part of the person, takes back. So does whatever a minor may
with a guardian's yes alone. Asked without a channel, it is permitted where it is for some channel.

Of many words the strictest counts. A yes takes back a no only when it is later by both clocks (the sender's and ours)
and comes from the same identifier or with the customer's own proof. A yes to a category takes back a no to that
category and nothing more, and a yes that an event about something else carries takes back only what was carried. Where
several categories stand for a purpose, each needs a yes that counts. A device's yes never speaks for somebody known;
its no always does. When two people whom your systems know under two user ids are one, each of them must have said yes,
or the customer has proved it since; a proof from before says nothing of the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tillit.consent.policy import Declared, Notice, Override, Purpose
from tillit.consent.statements import (
    CATEGORY,
    EVERYTHING,
    GIVES,
    OTHER_CATEGORIES,
    REFUSES,
    RELEASED,
    RESTRICTED,
    Statement,
)
from tillit.records import GPC, TRUST_CLAIMED, TRUST_OPERATOR

_NOTHING_ELSE = Override()
_MOST_CHANNELS = 64  # that are looked at one by one; taste

# Why not. Each is told to whoever asks.
UNDECLARED = "purpose_undeclared"
DECEASED = "deceased"
IS_RESTRICTED = "restricted"
MINOR = "minor"
NO_RECORD = "no_consent"
UNCONFIRMED = "not_confirmed"
EXPIRED = "consent_expired"
OTHER_CHANNEL = "other_channel"
OTHER_RECIPIENT = "recipient_undeclared"
SIGNAL = "browser_signal"
ONE_OF_SEVERAL = "one_of_several_people"
NOT_YET = "notice_not_yet_shown"
NOT_OPENED = "not_opened"

REASONS = {
    UNDECLARED: "The purpose is not declared.",
    DECEASED: "The person has died.",
    IS_RESTRICTED: "The person's data is restricted (GDPR, article 18).",
    MINOR: "The person is a minor, and no guardian agreed.",
    NO_RECORD: "Nobody said yes, and silence is no consent.",
    UNCONFIRMED: "A yes was said for the person, but not confirmed by them.",
    EXPIRED: "The consent has ended.",
    OTHER_CHANNEL: "The consent is for other channels.",
    OTHER_RECIPIENT: "The recipient is not declared for the purpose.",
    SIGNAL: "The browser says no (Global Privacy Control).",
    ONE_OF_SEVERAL: "Two people became this one, and only one of them said yes.",
    NOT_YET: "The yes is dated before the notice that it answers.",
    NOT_OPENED: "Somebody else was opened without leave, not this person.",
    "consent_refused": "The person said no.",
    "consent_withdrawn": "The person withdrew their consent.",
    "consent_revoked": "The consent was taken back by the controller.",
    "consent_invalidated": "The consent was found to be invalid.",
    "objected": "The person objected.",
}


class Subject(NamedTuple):
    """What is known of one person that a decision hangs on."""

    profile_id: str
    statements: Mapping[str, Sequence[Statement]]  # by the name of what they are about
    selves: tuple[int, ...]  # identifiers by which your own systems name a person
    devices: frozenset[int]  # identifiers that things have
    is_known: bool  # there is more than devices
    joined_at: int = 0  # log position at which two selves became one; 0: there is one
    is_deceased: bool = False
    is_minor: bool = False
    jurisdiction: str = ""


class Decision(NamedTuple):
    """An answer and its ground."""

    is_permitted: bool
    reason: str  # empty when permitted
    basis: str
    record: int | None  # log position of the statement that decides
    notice: str
    until: int | None  # when a yes ends by itself; UTC epoch microseconds
    policy: str

    @property
    def words(self) -> str:
        """Give the reason as a sentence."""
        return REASONS.get(self.reason, "")


def subject_of(
    profile_id: str,
    statements: Sequence[Statement],
    *,
    selves: Sequence[int],
    devices: frozenset[int],
    is_known: bool,
    joined_at: int = 0,
    is_deceased: bool = False,
    is_minor: bool = False,
    jurisdiction: str = "",
) -> Subject:
    """Sort what was said by what it is about."""
    by_name: dict[str, list[Statement]] = {}
    for one in statements:
        by_name.setdefault(one.name, []).append(one)
    return Subject(
        profile_id, by_name, tuple(selves), devices, is_known, joined_at, is_deceased, is_minor, jurisdiction
    )


def decide(
    declared: Declared,
    subject: Subject,
    name: str,
    *,
    at: int,
    recipient: str = "",
    channel: str = "",
    jurisdiction: str = "",
) -> Decision:
    """Say whether one person's data may be used for a purpose at an instant.

    Units: at is UTC epoch microseconds.
    """
    purpose = declared.find(name)
    if purpose is None:
        return Decision(False, UNDECLARED, "", None, "", None, declared.hash)
    basis, signals, minors = _where(purpose, jurisdiction or subject.jurisdiction)

    def no(reason: str, record: Statement | None = None) -> Decision:
        return Decision(False, reason, basis, record.position if record is not None else None, "", None, declared.hash)

    if recipient and recipient not in purpose.recipients:
        return no(OTHER_RECIPIENT)
    if channel and purpose.channels and channel not in purpose.channels:
        return no(OTHER_CHANNEL)
    if subject.is_deceased and basis in ("consent", "legitimate_interest"):
        return no(DECEASED)
    if (restricting := _restriction(subject)) is not None and basis != "legal_obligation":
        return no(IS_RESTRICTED, restricting)
    if subject.is_minor and minors == "never":
        return no(MINOR)
    needs_guardian = subject.is_minor and minors == "guardian"
    if basis not in ("consent", "legitimate_interest") and not needs_guardian:
        return Decision(True, "", basis, None, "", None, declared.hash)

    said = _about(subject, name, purpose, signals)
    if not said:
        if basis == "consent" or needs_guardian:
            return no(MINOR if needs_guardian else NO_RECORD)
        return Decision(True, "", basis, None, purpose.notice, None, declared.hash)
    answers = []
    for way in (channel,) if channel else _channels(purpose, said):
        told = [one for one in said if not one.channels or way in one.channels]
        refusals = [one for one in told if one.state in REFUSES]
        yeses, weak = _counted(declared, subject, purpose, told, minors, at)
        if basis != "consent" and not needs_guardian:
            standing = [n for n in refusals if not any(_takes_back(subject, yes, n) for yes, _ in yeses)]
            if not standing:
                return Decision(True, "", basis, None, purpose.notice, None, declared.hash)
            last = max(standing, key=_order)
            answers.append(no(_named(last, objecting=True), last))
            continue
        leave = _leave(subject, purpose, yeses, refusals)
        if leave is None and refusals:
            last = max(refusals, key=_order)
            answers.append(no(_named(last, objecting=False), last))
        elif leave is None:
            answers.append(no(weak or (MINOR if needs_guardian else NO_RECORD)))
        elif not leave.of_all:
            answers.append(no(ONE_OF_SEVERAL))
        else:
            yes = leave.record
            answers.append(
                Decision(True, "", basis, yes.position, yes.notice or purpose.notice, leave.until, declared.hash)
            )
    if len(answers) == 1:
        return answers[0]
    # Asked without a channel: as for the one that may be used longest.
    return max(answers, key=lambda one: (one.is_permitted, one.until is None, one.until or 0))


def is_restricted(subject: Subject) -> bool:
    """Say whether a person's data may be stored and nothing else (GDPR, article 18)."""
    return _restriction(subject) is not None


def basis_in(purpose: Purpose, jurisdiction: str) -> str:
    """Say on what ground a purpose rests in a jurisdiction."""
    return _where(purpose, jurisdiction)[0]


def _where(purpose: Purpose, jurisdiction: str) -> tuple[str, tuple[str, ...], str]:
    other = purpose.jurisdictions.get(jurisdiction, _NOTHING_ELSE) if jurisdiction else _NOTHING_ELSE
    basis = other.basis or purpose.basis
    of_basis = {"consent": "guardian", "legitimate_interest": "never"}.get(basis, "allowed")
    minors = other.minors or purpose.minors or of_basis
    return basis, other.signals if other.signals is not None else purpose.signals, minors


def _about(subject: Subject, name: str, purpose: Purpose, signals: Sequence[str]) -> list[Statement]:
    """Give what was said of a purpose: by its name, by a category that stands for it, or by a browser."""
    told = [*subject.statements.get(name, ())]
    for category in purpose.categories:
        told += subject.statements.get(CATEGORY + category, ())
    if purpose.categories:
        # More was said than is kept apart: it is a no to each.
        told += [one for one in subject.statements.get(OTHER_CATEGORIES, ()) if one.state in REFUSES]
    for signal in signals:
        told += [one for one in subject.statements.get(signal, ()) if one.state in REFUSES]
    return told


def _channels(purpose: Purpose, said: Sequence[Statement]) -> Sequence[str]:
    """Give the channels by which it could be done; "" is one that nobody named."""
    named = {channel for one in said for channel in one.channels}
    if not named or (len(named) > _MOST_CHANNELS and not purpose.channels):
        return ("",)
    return purpose.channels or (*sorted(named), "")


class _Leave(NamedTuple):
    """The yeses that stand, as one."""

    record: Statement
    until: int | None
    of_all: bool  # whoever the person is made of agreed, or the customer has proved it since


_Counted = tuple[Statement, int | None]  # a yes, and when it ends


def _counted(
    declared: Declared, subject: Subject, purpose: Purpose, told: Sequence[Statement], minors: str, at: int
) -> tuple[list[_Counted], str]:
    """Give the yeses that count, and why the last of the others does not."""
    yeses: list[_Counted] = []
    weak = ""
    for one in told:
        if one.state in GIVES:
            why = _why_not(declared, subject, purpose, one, minors)
            until = _ends(purpose, one)
            if not why and until is not None and until <= at:
                why = EXPIRED
            if why:
                weak = why
            else:
                yeses.append((one, until))
    return yeses, weak


def _leave(
    subject: Subject, purpose: Purpose, yeses: Sequence[_Counted], refusals: Sequence[Statement]
) -> _Leave | None:
    """Join the yeses that nothing takes back; None when there are none."""
    given = _given(subject, purpose, yeses, refusals)
    if not given:
        return None
    record = max((yes for some in given for yes, _ in some), key=_order)
    if len(subject.selves) < 2:
        return _Leave(record, _last(_first(some) for some in given), of_all=True)
    proved = [
        _first(some) for some in given if all(yes.is_proved and yes.position > subject.joined_at for yes, _ in some)
    ]
    each = [[_first(some) for some in given if some[0][0].identifier_id == one] for one in subject.selves]
    ends = [_last(proved)] if proved else []
    if all(each):
        ends.append(_earliest([_last(some) for some in each]))
    return _Leave(record, _last(ends) if ends else None, of_all=bool(ends))


def _given(
    subject: Subject, purpose: Purpose, yeses: Sequence[_Counted], refusals: Sequence[Statement]
) -> list[list[_Counted]]:
    """Give every way in which it was agreed to: by one yes, or where several categories stand for it by one to each.

    A yes to one category takes back no no to another: that is for a yes to the other, of the same identifier.
    """
    if len(purpose.categories) < 2:
        return [[one] for one in yeses if all(_takes_back(subject, one[0], n) for n in refusals)]
    parts = {CATEGORY + category for category in purpose.categories}
    found = [
        [one] for one in yeses if one[0].name not in parts and all(_takes_back(subject, one[0], n) for n in refusals)
    ]
    standing = [
        one
        for one in yeses
        if one[0].name in parts
        and all(_takes_back(subject, one[0], n) for n in refusals if n.name not in parts or n.name == one[0].name)
    ]
    for identifier_id in sorted({yes.identifier_id for yes, _ in standing}):
        # Once with whatever was said, once with what was proved alone: that counts for more.
        for is_enough in (lambda _: True, lambda yes: yes.is_proved):
            mine = [one for one in standing if one[0].identifier_id == identifier_id and is_enough(one[0])]
            some = [[one for one in mine if one[0].name == part] for part in sorted(parts)]
            if all(some):
                found.append([max(one, key=lambda told: _order(told[0])) for one in some])
    return found


def _first(some: Sequence[_Counted]) -> int | None:
    return _earliest([until for _, until in some])


def _earliest(ends: Sequence[int | None]) -> int | None:
    return min((end for end in ends if end is not None), default=None)


def _last(ends: Iterable[int | None]) -> int | None:
    """Give the last of some ends; None is never."""
    told = list(ends)
    known = [end for end in told if end is not None]
    return max(known) if len(known) == len(told) else None


def _restriction(subject: Subject) -> Statement | None:
    """Give the restriction that stands: nothing but a colleague's or the customer's own later word lifts it."""
    told = subject.statements.get(EVERYTHING, ())
    if not told:
        return None
    standing = [
        one
        for one in told
        if one.state == RESTRICTED
        and not any(
            other.state == RELEASED
            and other.received_at > one.received_at
            and (other.is_proved or other.trust >= TRUST_OPERATOR)
            # Said of one before two became one, it is not said of the other.
            and (other.identifier_id == one.identifier_id or other.position > subject.joined_at)
            for other in told
        )
    ]
    return max(standing, key=_order, default=None)


def _why_not(declared: Declared, subject: Subject, purpose: Purpose, yes: Statement, minors: str) -> str:
    """Say why a yes does not count; empty when it does."""
    if subject.is_known and yes.identifier_id in subject.devices and not yes.is_proved:
        return NO_RECORD  # a device does not speak for somebody known
    if subject.is_known and yes.trust == TRUST_CLAIMED and not yes.is_proved:
        return UNCONFIRMED  # anyone can send it
    if purpose.confirm and not yes.is_proved:
        return UNCONFIRMED
    if yes.by == "import" and not yes.evidence:
        return UNCONFIRMED
    if yes.trust == TRUST_OPERATOR and not yes.evidence:
        return UNCONFIRMED
    if (
        subject.is_minor
        and minors == "guardian"
        and not (yes.by in ("parent", "guardian") and yes.trust > TRUST_CLAIMED)
    ):
        return MINOR
    if yes.notice:
        shown = _notice(declared, yes.notice)
        if shown is None or yes.said_at < shown.from_at:
            return NOT_YET
    return ""


def _notice(declared: Declared, written: str) -> Notice | None:
    name, _, version = written.partition("@")
    found = declared.policy.notices.get(name)
    # Of an earlier version only the definitions before this one know the day: it was shown before it.
    if found is not None and version and version != found.version:
        return msgspec.structs.replace(found, effective_from="1970-01-01")
    return found


def _ends(purpose: Purpose, yes: Statement) -> int | None:
    if not purpose.valid_for:
        return yes.valid_until
    end = yes.said_at + (purpose.valid_us or 0)
    return end if yes.valid_until is None else min(end, yes.valid_until)


def _takes_back(subject: Subject, yes: Statement, refusal: Statement) -> bool:
    """Say whether a yes takes back a no: it is later by both clocks, and from the same hand or proved.

    A yes to a category takes back a no to that category alone, and what an event merely carries no act of its own. A
    proof from before two became one says nothing of what the other said.
    """
    return (
        yes.said_at > refusal.said_at
        and (yes.received_at, yes.position) > (refusal.received_at, refusal.position)
        and (yes.name == refusal.name or not yes.name.startswith(CATEGORY))
        and (yes.is_explicit or not refusal.is_explicit)
        and (
            (yes.is_proved and yes.position > subject.joined_at)
            or (yes.identifier_id == refusal.identifier_id and (yes.is_proved or yes.trust >= min(refusal.trust, 2)))
        )
    )


def _order(one: Statement) -> tuple[int, int, str]:
    return one.received_at, one.position, one.state


def _named(refusal: Statement, *, objecting: bool) -> str:
    if refusal.name == GPC:
        return SIGNAL
    if objecting:
        return "objected"
    return {"expired": EXPIRED, "objected": "consent_withdrawn"}.get(refusal.state, f"consent_{refusal.state}")
