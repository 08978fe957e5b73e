"""Decide: may this person's data be used for this, now?

In:    the policy, what was said by or of the person, who they are made of, facts, an instant.
Out:   a `Decision`: yes with its ground and record, or no with its reason.
Never: a yes from silence; a clock, a store, a chance: the same words give the same answer, whenever and in whatever
       order they are read.

The order: deceased, restricted, what a minor may not, then by the basis of the purpose. What the customer's choice does
not decide (a contract, a duty) is permitted. A legitimate interest is permitted until somebody objects. Consent needs a
yes that counts and that nothing said later, or by another part of the person, takes back.

Of many words the strictest counts. A yes takes back a no only when it is later by both clocks (the sender's and ours)
and comes from the same identifier or with the customer's own proof. A device's yes never speaks for somebody known; its
no always does. When two people whom your systems know under two user ids are one, each of them must have said yes, or
the customer has proved it since.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tillit.consent.policy import Declared, Notice, Override, Purpose
from tillit.consent.statements import EVERYTHING, RELEASED, RESTRICTED, Statement
from tillit.records import GPC, TRUST_CLAIMED, TRUST_OPERATOR

SKEW_US = 600_000_000  # how wrong a sender's clock may be: 10 minutes

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
    if (
        restricting := _restriction(subject.statements.get(EVERYTHING, ()))
    ) is not None and basis != "legal_obligation":
        return no(IS_RESTRICTED, restricting)
    if subject.is_minor and minors == "never":
        return no(MINOR)
    if basis not in ("consent", "legitimate_interest"):
        return Decision(True, "", basis, None, "", None, declared.hash)

    told = _about(subject, name, purpose, channel)
    refusals = [one for one in told if one.refuses]
    refusals += [one for signal in signals for one in subject.statements.get(_signal_name(signal), ()) if one.refuses]
    yeses: list[tuple[Statement, int | None]] = []
    weak = ""  # why the best yes does not count
    for one in told:
        if one.gives:
            why = _why_not(declared, subject, purpose, one, minors)
            until = _ends(purpose, one)
            if not why and until is not None and until <= at:
                why = EXPIRED
            if why:
                weak = why
            else:
                yeses.append((one, until))
    if basis == "legitimate_interest":
        standing = [n for n in refusals if not any(_takes_back(yes, n) for yes, _ in yeses)]
        if standing:
            last = max(standing, key=_order)
            return no(_named(last, objecting=True), last)
        return Decision(True, "", basis, None, purpose.notice, None, declared.hash)

    standing_yes = [(yes, until) for yes, until in yeses if all(_takes_back(yes, n) for n in refusals)]
    if not standing_yes:
        if refusals:
            last = max(refusals, key=_order)
            return no(_named(last, objecting=False), last)
        return no(weak or NO_RECORD)
    spoken = {yes.identifier_id for yes, _ in standing_yes}
    if len(subject.selves) > 1 and not all(one in spoken for one in subject.selves):
        standing_yes = [
            (yes, until) for yes, until in standing_yes if yes.is_proved and yes.position > subject.joined_at
        ]
        if not standing_yes:
            return no(ONE_OF_SEVERAL)
    ends = [until for _, until in standing_yes if until is not None]
    yes, _ = max(standing_yes, key=lambda one: _order(one[0]))
    # It ends when the last yes does that stands by itself.
    until = max(ends) if len(ends) == len(standing_yes) else None
    return Decision(True, "", basis, yes.position, yes.notice or purpose.notice, until, declared.hash)


def basis_in(purpose: Purpose, jurisdiction: str) -> str:
    """Say on what ground a purpose rests in a jurisdiction."""
    return _where(purpose, jurisdiction)[0]


def _where(purpose: Purpose, jurisdiction: str) -> tuple[str, tuple[str, ...], str]:
    other = purpose.jurisdictions.get(jurisdiction, Override()) if jurisdiction else Override()
    basis = other.basis or purpose.basis
    of_basis = {"consent": "guardian", "legitimate_interest": "never"}.get(basis, "allowed")
    minors = other.minors or purpose.minors or of_basis
    return basis, other.signals if other.signals is not None else purpose.signals, minors


def _signal_name(signal: str) -> str:
    return GPC if signal == "gpc" else signal


def _about(subject: Subject, name: str, purpose: Purpose, channel: str) -> list[Statement]:
    """Give what was said of a purpose, by its own name or by a category that stands for it.

    Where several categories do, each must be given: a yes to one of them alone is none.
    """
    told = [one for one in subject.statements.get(name, ()) if _is_about(one, channel)]
    for category in purpose.categories:
        for one in subject.statements.get(f"category:{category}", ()):
            if not one.gives or len(purpose.categories) == 1 or _gave_all(subject, purpose, one):
                told.append(one)
    return told


def _gave_all(subject: Subject, purpose: Purpose, yes: Statement) -> bool:
    return all(
        any(
            one.gives and one.identifier_id == yes.identifier_id
            for one in subject.statements.get(f"category:{category}", ())
        )
        for category in purpose.categories
    )


def _is_about(one: Statement, channel: str) -> bool:
    if not one.channels:
        return True
    # Asked without a channel: a yes for some is one, a no for some is none for the others.
    return channel in one.channels if channel else one.gives


def _restriction(told: Sequence[Statement]) -> Statement | None:
    """Give the restriction that stands: nothing but a colleague's or the customer's own later word lifts it."""
    standing = [
        one
        for one in told
        if one.state == RESTRICTED
        and not any(
            other.state == RELEASED
            and other.received_at > one.received_at
            and (other.is_proved or other.trust >= TRUST_OPERATOR)
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
    ends = [
        end
        for end in (yes.valid_until, yes.said_at + purpose.valid_us if purpose.valid_us is not None else None)
        if end is not None
    ]
    return min(ends, default=None)


def _takes_back(yes: Statement, refusal: Statement) -> bool:
    """Say whether a yes takes back a no: it is later by both clocks, and from the same hand or proved."""
    return (
        yes.said_at > refusal.said_at
        and (yes.received_at, yes.position) > (refusal.received_at, refusal.position)
        and (yes.is_proved or (yes.identifier_id == refusal.identifier_id and yes.trust >= min(refusal.trust, 2)))
    )


def _order(one: Statement) -> tuple[int, int, str]:
    return one.received_at, one.position, one.state


def _named(refusal: Statement, *, objecting: bool) -> str:
    if refusal.name == GPC:
        return SIGNAL
    if objecting:
        return "objected"
    return {"expired": EXPIRED, "objected": "consent_withdrawn"}.get(refusal.state, f"consent_{refusal.state}")
