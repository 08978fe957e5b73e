"""What may we? Purposes, what people said of them, and the leave that every read of personal values needs.

In:    a policy (purposes, notices, recipients), sightings that say something of consent, who asks.
Out:   consent_policy, consent_statement, consent_signal; decisions; a `Scope`, a `Permit` or a `Refusal`, which nobody
       else makes.
Never: leave for a purpose that was not declared; a yes from silence.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from tillit.consent.decide import NOT_OPENED, REASONS, Decision, Subject, basis_in, decide, is_restricted, subject_of
from tillit.consent.definitions import (
    AppliedPolicy,
    keep_policy,
    policy_applied,
    policy_in_force,
    policy_row,
    read_policies,
)
from tillit.consent.gate import gate_of
from tillit.consent.permissions import (
    ChannelUndeclared,
    Judged,
    Lane,
    Many,
    count_due,
    find_due,
    keep_judged,
    lanes_of,
    load_grounds,
    mark_all,
    mark_due,
    mark_joined,
    permit_many,
    stretches,
    terms_of,
)
from tillit.consent.policy import (
    BUILT_IN,
    OWN_DATA,
    SECTIONS,
    SERVICE,
    Declared,
    Notice,
    Party,
    Policy,
    PolicyInvalid,
    Purpose,
    join_policies,
    read_policy,
    staff_of,
    write_policy,
)
from tillit.consent.retention import Term, Terms
from tillit.consent.statements import (
    BY,
    CONSENT,
    EVERYTHING,
    STATES,
    Choice,
    Statement,
    StatementInvalid,
    consent_body,
)
from tillit.consent.writer import ConsentWriter, has_refused, is_anybody_restricted, load_restricted, load_statements
from tillit.errors import InputError
from tillit.records import BREAK_GLASS, LISTED_BASES, Permit, Refusal, Scope
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.consent", room="consent")
# Each table with its key; the second kind hangs on strands.
POLICY_TABLES = {"consent_policy": ("position",)}
STRAND_TABLES = {
    "consent_statement": ("identifier_id", "part", "position"),
    "consent_signal": ("identifier_id", "part", "name", "said"),
}
# What decisions come to, kept for questions about many; derived from all of the above, now and then.
PERMISSION_TABLES = {
    "permission": ("lane", "from_at", "until_at", "root_id"),
    "permission_ground": ("identifier_id",),
}

_NAME = re.compile(r"[A-Za-z_-]{1,32}")


class UnknownPurpose(InputError):
    """A purpose was named that this workspace has not declared."""

    code = "consent.unknown-purpose"

    def __init__(self, purpose: str, declared: Mapping[str, Purpose]) -> None:
        """Name the nearest one."""
        near = get_close_matches(purpose, declared, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        # What is no name may be a person's e-mail that went into the wrong place: it is not repeated.
        named = f"Purpose {purpose!r}" if _NAME.fullmatch(purpose) else "The purpose that was named"
        super().__init__(
            f"{named} is not declared here.{hint} Declared: {', '.join(declared)}. `tillit apply` declares purposes.",
            declared=list(declared),
        )


class PurposeUnnamed(InputError):
    """No purpose was named, and the one that holds then is not declared."""

    code = "consent.purpose-unnamed"

    def __init__(self, declared: Mapping[str, Purpose]) -> None:
        """Say which there are."""
        super().__init__(
            f"No purpose was named, and {SERVICE!r}, which holds then, is not declared here. "
            f"Name one, as in --purpose {next(iter(declared), SERVICE)}. Declared: {', '.join(declared)}.",
            declared=list(declared),
        )


def scope_for(
    purpose: str,
    *,
    declared: Declared,
    position: int,
    asked_by: str,
    at: int,
    kept_after: int = 0,
    recipient: str = "",
    channel: str = "",
    jurisdiction: str = "",
) -> Scope:
    """Give leave to use values for a purpose, of each person as far as it holds for them. Raises UnknownPurpose.

    `kept_after`: the log position up to which everything is older than the purpose's retention.
    """
    told = declared.purposes.get(purpose)
    if told is None:
        raise UnknownPurpose(purpose, declared.purposes)
    return Scope(
        purpose=purpose,
        position=position,
        asked_by=asked_by,
        at=at,
        basis=basis_in(told, jurisdiction),
        policy=declared.hash,
        fields=told.reach,
        categories=told.categories,
        channel=channel,
        recipient=recipient,
        jurisdiction=jurisdiction,
        kept_after=kept_after,
    )


def own_scope(*, declared: Declared, position: int, asked_by: str, at: int) -> Scope:
    """Give leave to use everything about a person for their own request about it, and for nothing else."""
    return Scope(OWN_DATA, position, asked_by, at, "legal_obligation", declared.hash, None, ())


def break_glass_scope(*, declared: Declared, position: int, asked_by: str, at: int, profile_id: str) -> Scope:
    """Let a colleague see everything about one person who gave no leave; nobody else, and nothing may leave by it."""
    return Scope(BREAK_GLASS, position, asked_by, at, BREAK_GLASS, declared.hash, None, (), only=profile_id)


def permit_for(scope: Scope, declared: Declared, subject: Subject) -> Permit | Refusal:
    """Give leave to use one person's values, or say why there is none."""
    if scope.is_break_glass:
        if subject.profile_id == scope.only:
            return Permit(scope, subject.profile_id, None, None)
        return Refusal(scope, subject.profile_id, NOT_OPENED, None)
    found = decide(
        declared,
        subject,
        scope.purpose,
        at=scope.at,
        recipient=scope.recipient,
        channel=scope.channel,
        jurisdiction=scope.jurisdiction,
    )
    if found.is_permitted:
        return Permit(scope, subject.profile_id, found.record, found.until)
    return Refusal(scope, subject.profile_id, found.reason, found.record)


def hangs_on_choice(declared: Declared, purpose: str) -> bool:
    """Say whether facts about a person can matter for a purpose, in any jurisdiction."""
    told = declared.purposes.get(purpose)
    if told is None:
        return False
    bases = {told.basis, *(one.basis or told.basis for one in told.jurisdictions.values())}
    minors = {told.minors, *(one.minors for one in told.jurisdictions.values())}
    return bool(bases & LISTED_BASES) or bool(minors & {"never", "guardian"})


__all__ = [
    "BUILT_IN",
    "BY",
    "CONSENT",
    "EVERYTHING",
    "MIGRATIONS",
    "OWN_DATA",
    "PERMISSION_TABLES",
    "POLICY_TABLES",
    "REASONS",
    "SECTIONS",
    "SERVICE",
    "STATES",
    "STRAND_TABLES",
    "AppliedPolicy",
    "ChannelUndeclared",
    "Choice",
    "ConsentWriter",
    "Decision",
    "Declared",
    "Judged",
    "Lane",
    "Many",
    "Notice",
    "Party",
    "Policy",
    "PolicyInvalid",
    "Purpose",
    "PurposeUnnamed",
    "Statement",
    "StatementInvalid",
    "Subject",
    "Term",
    "Terms",
    "UnknownPurpose",
    "break_glass_scope",
    "consent_body",
    "count_due",
    "decide",
    "find_due",
    "gate_of",
    "hangs_on_choice",
    "has_refused",
    "is_anybody_restricted",
    "is_restricted",
    "join_policies",
    "keep_judged",
    "keep_policy",
    "lanes_of",
    "load_grounds",
    "load_restricted",
    "load_statements",
    "mark_all",
    "mark_due",
    "mark_joined",
    "own_scope",
    "permit_for",
    "permit_many",
    "policy_applied",
    "policy_in_force",
    "policy_row",
    "read_policies",
    "read_policy",
    "scope_for",
    "staff_of",
    "stretches",
    "subject_of",
    "terms_of",
    "write_policy",
]
