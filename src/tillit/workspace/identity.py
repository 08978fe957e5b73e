"""Who is who: why two identifiers are one person, and what colleagues decide about it.

In:    identifiers (`namespace:value`), a reason, a colleague's name.
Out:   documents; events in the log, which the fold applies.
Never: a change that is no event in the log; a decision without a reason.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from tillit.clock import rfc3339
from tillit.collect.door import random_id
from tillit.errors import BusyError, InputError, NotFound, RefusedError
from tillit.identity import (
    AUTHOR,
    BLOCK,
    CUT,
    FREE,
    JOIN,
    PIN,
    UNDO,
    Decision,
    Handle,
    JudgedValue,
    LinkEvidence,
    Named,
    Rules,
    Step,
    count_violations,
    find_decision,
    find_membership,
    find_named,
    find_path,
    identity_act_row,
    is_blocked_value,
    profile_id,
    read_decisions,
    read_direct,
    read_evidence,
    read_judged_values,
    read_violations,
    rules_in_force,
    takes,
)
from tillit.profile import NOT_REACHED, event_id, position_of
from tillit.records import TRUST_NAMES, Membership, Refusal, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.folding import Folding
from tillit.workspace.leave import Leave, Near, PersonWithheld
from tillit.workspace.people import can_be_known, find_membership_of, unknown_profile
from tillit.workspace.quarantine import Append

_WAIT_S = 5.0
_FOREVER = 1 << 62
ANALYTICS = "analytics"
_MOST_VALUES = 200  # looked at, newest first


class DecisionRefused(InputError):
    """What a colleague asked for changes nothing, or contradicts what another decided."""

    code = "identity.refused"
    status = 409


class SoftForAnalytics(RefusedError):
    """Soft links were asked for, and not for analytics."""

    code = "identity.soft-for-analytics"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "Nobody has confirmed these links: they may be counted, and nobody is told or written to by them. Ask for "
            f"the purpose {ANALYTICS!r}, or have a colleague decide."
        )


class DecisionPending(BusyError):
    """The decision is in the log, and the fold has not come to it yet."""

    code = "identity.pending"
    retryable: ClassVar[bool] = False  # a second try would be a second decision

    def __init__(self, action: str) -> None:
        """Name the decision, so that nobody decides twice."""
        super().__init__(
            f"The decision is taken (action {action}) and not applied yet: the fold is behind. Do not decide again; "
            "ask why the two are one person in a while. `tillit doctor` shows how far the fold is.",
            action=action,
        )


class Ends(NamedTuple):
    """The two identifiers that a question or a decision is about."""

    one: Named
    other: Named


class Identity:
    """Why people are who they are, and what colleagues decide about it."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        *,
        scope: Callable[[], Scope],
        leave: Callable[[Reading, Scope], Leave],
        append: Append,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, whom to ask for leave, and the way into the log; `scope`: for whoever names none."""
        self._log = log
        self._state = state
        self._folding = folding
        self._scope = scope
        self._leave = leave
        self._append = append
        self._now = now

    def why(self, one: str, other: str, scope: Scope) -> dict[str, Any]:
        """Say why two identifiers are one person, or why they are not.

        Shape:  {"a", "b", "together", "path": [step], "direct": [evidence], "decisions": [decision]}.
        What else is told of identifiers that the purpose does not reach is left out.
        Raises: NotFound when one of them was never seen; PersonWithheld when one of the two may not be told of.
        """
        with self._state.snapshot() as reading:
            ends, leave = _ends(reading, one, other), self._leave(reading, scope)
            for end in ends:
                _check(leave, _membership(reading, end), end.namespace)
            return self._why(reading, ends, Near(leave))

    def cut(
        self, one: str, other: str, *, reason: str, operator: str = "process", scope: Scope | None = None
    ) -> dict[str, Any]:
        """Withdraw all direct evidence between two identifiers, past and future; say what came of it.

        What came of it is told as far as the scope reaches; without one, as for `service`.

        Raises: NotFound, DecisionRefused when nothing ties them directly, ReasonInvalid, DecisionPending.
        """
        with self._state.snapshot() as reading:
            ends = _ends(reading, one, other)
            if not any(link.verdict in {"admitted", "soft", "refused"} for link in read_direct(reading, *ends)):
                raise DecisionRefused(
                    "There is no direct evidence between these two to cut. Cut a link on the path between them, or pin "
                    "the two apart.",
                    code="identity.no-direct-link",
                    n_steps=len(self._path(reading, ends)),
                )
        return self._decide(CUT, ends, reason=reason, operator=operator, scope=scope)

    def block(self, value: str, *, reason: str, operator: str = "process") -> dict[str, Any]:
        """Say that a value stands for many: it joins nobody, and nobody holds it. Raises as `pin` does."""
        return self._decide_about_value(BLOCK, value, reason=reason, operator=operator)

    def free(self, value: str, *, reason: str, operator: str = "process") -> dict[str, Any]:
        """Let a value that was blocked stand for somebody again. Raises as `pin` does."""
        return self._decide_about_value(FREE, value, reason=reason, operator=operator)

    def pin(
        self, one: str, other: str, *, reason: str, operator: str = "process", scope: Scope | None = None
    ) -> dict[str, Any]:
        """Hold two identifiers apart, whatever ties them. Raises as `cut` does."""
        return self._decide_about_people(PIN, one, other, reason=reason, operator=operator, scope=scope)

    def join(
        self, one: str, other: str, *, reason: str, operator: str = "process", scope: Scope | None = None
    ) -> dict[str, Any]:
        """Say that two identifiers are one person. Raises as `cut` does."""
        return self._decide_about_people(JOIN, one, other, reason=reason, operator=operator, scope=scope)

    def undo(
        self, action_id: str, *, reason: str, operator: str = "process", scope: Scope | None = None
    ) -> dict[str, Any]:
        """Make a decision (also an undo) as if it had never been. Raises NotFound, ReasonInvalid, DecisionPending."""
        position = position_of(action_id, self._log.epoch())
        with self._state.snapshot() as reading:
            decision = _find(reading, position)
        if decision is None:
            raise NotFound("There is no decision by that action id here.", code="identity.unknown-action")
        if not decision.stands:
            raise DecisionRefused("That decision was undone before.", code="identity.already-undone")
        ends = Ends(decision.one, decision.other)
        return self._decide(UNDO, ends, reason=reason, operator=operator, of=decision.act.message_id, scope=scope)

    def decisions(self, who: str, scope: Scope) -> list[dict[str, Any]] | None:
        """Give what colleagues decided about a person's identifiers, oldest first; None when the person is unknown.

        Those that name identifiers which may not be told are left out.
        Raises: PersonWithheld.
        """
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            leave = self._leave(reading, scope)
            _check(leave, membership)
            ids = [member.identifier_id for member in membership.identifiers]
            return self._decisions(read_decisions(reading, ids), Near(leave))

    def decision(self, action_id: str, scope: Scope) -> dict[str, Any] | None:
        """Give one decision; None when there is none by that action id, or when it may not be told."""
        position = position_of(action_id, self._log.epoch())
        with self._state.snapshot() as reading:
            found = _find(reading, position)
            told = self._decisions([found] if found is not None else [], Near(self._leave(reading, scope)))
            return told[0] if told else None

    def possible(self, who: str, scope: Scope) -> list[dict[str, Any]] | None:
        """Give the people who may well be this one, each with the soft link that says so; None when unknown.

        Raises: SoftForAnalytics when the scope is for anything else; PersonWithheld.
        """
        if scope.purpose != ANALYTICS:
            raise SoftForAnalytics
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            leave = self._leave(reading, scope)
            _check(leave, membership)
            near = Near(leave)
            own = {member.identifier_id for member in membership.identifiers}
            told: dict[str, dict[str, Any]] = {}
            for link in read_evidence(reading, membership).links:
                other = link.other if link.one.identifier_id in own else link.one
                if link.verdict == "soft" and other.root_id not in own and _may_name(near, link):
                    evidence = evidence_of(link, self._log.epoch())
                    told.setdefault(profile_id(other.root_id), {"profile_id": profile_id(other.root_id), **evidence})
            return list(told.values())

    def violations(
        self, scope: Scope, *, limit: int = 100, before: str | None = None, only: str = ""
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Give links that were not admitted, newest first, and the event id to go on before (None: no more).

        With `only`, soft or refused, those that nobody has settled since. Links of people who may not be told of are
        left out, so that a page may be short while there is more.
        """
        place = _FOREVER if before is None else position_of(before, self._log.epoch())
        if place is None:
            raise InputError("`before` is the `next` of an earlier answer.", code="identity.bad-cursor")
        with self._state.snapshot() as reading:
            found = read_violations(reading, before=place, limit=limit + 1, only=only)
            near = Near(self._leave(reading, scope))
            told = [evidence_of(link, self._log.epoch()) for link in found[:limit] if _may_name(near, link)]
        more = event_id(found[limit - 1].position, self._log.epoch()) if len(found) > limit else None
        return told, more

    def n_violations(self) -> dict[str, int]:
        """Count links that were not admitted: `soft` and `refused` that nobody has settled, and `all`."""
        return count_violations(self._state)

    def values(self, scope: Scope, *, limit: int = _MOST_VALUES) -> list[dict[str, Any]]:
        """Give the values that were blocked or freed, or of which an alarm tells, newest decision first.

        Shape: [{"value", "key", "state", "action", "at", "operator", "reason"}]; state is blocked, freed or alarm, key
               an id of ours that stands for the value, operator `tillit` where it was blocked by itself.
        """
        with self._state.snapshot() as reading:
            near = Near(self._leave(reading, scope))
            return [
                self._judged(one)
                for one in read_judged_values(reading, limit=limit)
                if near.may_name(one.one.namespace, one.one.value)
            ]

    # -- rules

    def rules(self) -> Rules:
        """Give the rules in force."""
        return rules_in_force(self._state)

    # -- deciding

    def _decide_about_people(
        self, kind: str, one: str, other: str, *, reason: str, operator: str, scope: Scope | None
    ) -> dict[str, Any]:
        with self._state.snapshot() as reading:
            ends = _ends(reading, one, other)
            if not all(takes(kind, end.rank) for end in ends):
                raise DecisionRefused(
                    "A device is held for a time and by one person after another: it cannot be pinned or joined. "
                    "Cut it from the identifier that claims it.",
                    code="identity.is-device",
                )
            if kind == JOIN:
                self._check_pins(reading, ends)
        return self._decide(kind, ends, reason=reason, operator=operator, scope=scope)

    def _decide_about_value(self, kind: str, value: str, *, reason: str, operator: str) -> dict[str, Any]:
        with self._state.snapshot() as reading:
            one = _named(reading, value)
            is_blocked = is_blocked_value(reading, one)
            if is_blocked == (kind == BLOCK):
                raise DecisionRefused("That value is as you would have it already.", code="identity.value-as-it-was")
        action = self._append_act(kind, [_handle(one)], reason=reason, operator=operator)
        with self._state.snapshot() as reading:
            found = _membership(reading, one)
        return {
            "action": action,
            "kind": kind,
            "reason": reason.strip(),
            "operator": operator,
            "value": name(one),
            "profile": found.profile_id if found is not None else "",
        }

    def _check_pins(self, reading: Reading, ends: Ends) -> None:
        mine, theirs = (
            {m.identifier_id for m in membership.identifiers} if (membership := _membership(reading, end)) else set()
            for end in ends
        )
        for pin in read_decisions(reading, sorted(mine)):
            if pin.stands and pin.act.kind == PIN and {pin.act.one_id, pin.act.other_id} & theirs - mine:
                action = event_id(pin.act.position, self._log.epoch())
                raise DecisionRefused(
                    f"A colleague pinned these two people apart (action {action}). Undo that first.",
                    code="identity.pinned-apart",
                    action=action,
                )

    def _decide(
        self, kind: str, ends: Ends, *, reason: str, operator: str, scope: Scope | None, of: str = ""
    ) -> dict[str, Any]:
        # Asked for before the act is written: who may not be told what came of it decides nothing.
        scope = scope if scope is not None else self._scope()
        about = [_handle(end) for end in ends] if not of else []
        action = self._append_act(kind, about, of=of, reason=reason, operator=operator)
        with self._state.snapshot() as reading:
            told = self._outcome(reading, ends, self._leave(reading, scope))
            profiles = [m.profile_id for end in ends if (m := _membership(reading, end)) is not None]
        return {
            "action": action,
            "kind": kind,
            "reason": reason.strip(),
            "operator": operator,
            "profiles": profiles,
            **told,
        }

    def _append_act(self, kind: str, about: Sequence[Handle], *, of: str = "", reason: str, operator: str) -> str:
        """Put an act in the log, wait until it is applied, and give its action id."""
        row = identity_act_row(
            kind, about, of=of, operator=operator, reason=reason, message_id=random_id(), now=self._now()
        )
        position = self._append([row])[0]
        action = event_id(position, self._log.epoch())
        try:
            self._folding.reach(position, _WAIT_S)
        except BusyError as exc:
            raise DecisionPending(action) from exc
        return action

    # -- documents

    def _outcome(self, reading: Reading, ends: Ends, leave: Leave) -> dict[str, Any]:
        """Say what came of a decision: of people who may not be told of, no more than their ids."""
        near = Near(leave)
        told = self._why(reading, ends, near)
        for key, end in zip(("a", "b"), ends, strict=True):
            if not near.may_name(end.namespace, end.value):
                told |= {"path": [], "direct": [], "decisions": [], key: profile_id(end.root_id)}
        return told

    def _why(self, reading: Reading, ends: Ends, near: Near) -> dict[str, Any]:
        memberships = [_membership(reading, end) for end in ends]
        together = None not in memberships and len({m.profile_id for m in memberships if m is not None}) == 1
        pair = {end.identifier_id for end in ends}
        return {
            "a": name(ends.one),
            "b": name(ends.other),
            "together": together,
            "path": [self._step(step) for step in self._path(reading, ends) if _may_name(near, step)]
            if together
            else [],
            "direct": [
                evidence_of(link, self._log.epoch()) for link in read_direct(reading, *ends) if _may_name(near, link)
            ],
            "decisions": self._decisions(
                [one for one in read_decisions(reading, [ends.one.identifier_id]) if {*one.act.pair} == pair], near
            ),
        }

    def _path(self, reading: Reading, ends: Ends) -> list[Step]:
        membership = _membership(reading, ends.one)
        return find_path(reading, membership, *ends) if membership is not None else []

    def _step(self, step: Step) -> dict[str, Any]:
        return {"from": name(step.one), "to": name(step.other), **_said(step.link, self._log.epoch())}

    def judged_by_itself(self, since: int) -> set[str]:
        """Give the actions by which Tillit itself judged a value since an instant, as far as they hold still.

        Units: since is UTC epoch microseconds.
        """
        found = read_judged_values(self._state, limit=_MOST_VALUES)
        return {
            event_id(one.act.position, self._log.epoch())
            for one in found
            if one.act.operator == AUTHOR and one.act.event_at >= since
        }

    def _judged(self, judged: JudgedValue) -> dict[str, Any]:
        act = judged.act
        return {
            "value": name(judged.one),
            "key": profile_id(judged.one.identifier_id),
            "state": {BLOCK: "blocked", FREE: "freed"}.get(act.kind, act.kind),
            "action": event_id(act.position, self._log.epoch()),
            "at": rfc3339(act.event_at),
            "operator": act.operator,
            "reason": act.reason,
        }

    def _decisions(self, told: Sequence[Decision], near: Near) -> list[dict[str, Any]]:
        return [self._decision(one) for one in told if _may_name(near, one)]

    def _decision(self, decision: Decision) -> dict[str, Any]:
        act = decision.act
        return {
            "action": event_id(act.position, self._log.epoch()),
            "kind": act.kind,
            "a": name(decision.one),
            "b": name(decision.other),
            "at": rfc3339(act.event_at),
            "operator": act.operator,
            "reason": act.reason,
            "stands": decision.stands,
        }


def evidence_of(link: LinkEvidence, epoch: int) -> dict[str, Any]:
    """Write one piece of evidence as a document."""
    return {"a": name(link.one), "b": name(link.other), **_said(link, epoch)}


def _said(link: LinkEvidence, epoch: int) -> dict[str, Any]:
    return {
        "event_id": event_id(link.position, epoch),
        "at": rfc3339(link.event_at),
        "rule": link.rule,
        "trust": TRUST_NAMES[link.trust],
        "source": link.source,
        "verdict": link.verdict,
        "violation": link.violation,
        "reason": link.reason,
    }


def _check(leave: Leave, membership: Membership | None, namespace: str = "") -> None:
    """See whether a person, and identifiers of a kind, may be told of. Raises PersonWithheld."""
    if membership is not None and isinstance(found := leave.of(membership), Refusal):
        raise PersonWithheld(leave.scope, found.reason)
    if not (leave.scope.allows(f"identifiers.{namespace}") if namespace else leave.scope.allows_some("identifiers")):
        raise PersonWithheld(leave.scope, NOT_REACHED)


def _may_name(near: Near, of: LinkEvidence | Step | Decision) -> bool:
    return all(near.may_name(one.namespace, one.value) for one in (of.one, of.other))


def name(one: Named) -> str:
    """Write an identifier as people and programs do."""
    return f"{one.namespace}:{one.value}"


def _find(reading: Reading, position: int | None) -> Decision | None:
    act = find_decision(reading, position) if position is not None else None
    told = read_decisions(reading, [act.one_id]) if act is not None else []
    return next((one for one in told if one.act.position == position), None)


def _handle(one: Named) -> Handle:
    return Handle(one.rank, one.namespace, one.value)


def _membership(reading: Reading, one: Named) -> Any:
    return find_membership(reading, profile_id(one.identifier_id))


def _ends(reading: Reading, one: str, other: str) -> Ends:
    ends = Ends(_named(reading, one), _named(reading, other))
    if ends.one == ends.other:
        raise InputError("These two are one identifier, written twice.", code="identity.same-identifier")
    return ends


def _named(reading: Reading, text: str) -> Named:
    written = rules_in_force(reading).parse(text) if can_be_known(text) else None
    named = find_named(reading, written.namespace, written.value) if written is not None else None
    if named is None:
        raise unknown_profile()
    return named
