"""The states of a request: what may follow what, and what must be true before it is called complete.

In:    a state, an action, how parts and recipients stand.
Out:   the next state.
Never: complete while a part is open or failed, a recipient has not answered, or nobody checked.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tillit.errors import InputError, InternalError

RECEIVED, IDENTITY_PENDING, VERIFIED, REJECTED = "received", "identity_pending", "verified", "rejected"
SCOPED, HELD, RUNNING, AWAITING = "scoped", "held", "running", "awaiting_recipients"
VERIFYING, COMPLETE, PARTIAL, FAILED = "verifying", "complete", "partial", "failed"
WITHDRAWN, DUPLICATE = "withdrawn", "duplicate"

UNVERIFIED = frozenset({RECEIVED, IDENTITY_PENDING})
# Under way with somebody's identity proved: what a later request of the same person may be a duplicate of.
UNDER_WAY = frozenset({SCOPED, HELD, RUNNING, AWAITING, VERIFYING})
ENDED = frozenset({REJECTED, COMPLETE, WITHDRAWN, DUPLICATE})

OPEN, DONE = "open", "done"  # a part; or FAILED
WAITING = "waiting"  # a recipient who was told and has not answered
ANSWERS = ("answered", "no_api", "failed")

# (state, action) -> state; what is not here is refused.
TABLE: dict[tuple[str, str], str] = {
    (RECEIVED, "ask"): IDENTITY_PENDING,
    (RECEIVED, "verify"): VERIFIED,
    (RECEIVED, "reject"): REJECTED,
    (RECEIVED, "withdraw"): WITHDRAWN,
    (IDENTITY_PENDING, "ask"): IDENTITY_PENDING,
    (IDENTITY_PENDING, "verify"): VERIFIED,
    (IDENTITY_PENDING, "reject"): REJECTED,
    (IDENTITY_PENDING, "withdraw"): WITHDRAWN,
    (VERIFIED, "scope"): SCOPED,
    (VERIFIED, "duplicate"): DUPLICATE,
    (VERIFIED, "reject"): REJECTED,
    (VERIFIED, "withdraw"): WITHDRAWN,
    (SCOPED, "verify"): SCOPED,  # a stronger proof ends the rest
    (SCOPED, "run"): RUNNING,
    (SCOPED, "hold"): HELD,
    (SCOPED, "reject"): REJECTED,
    (SCOPED, "withdraw"): WITHDRAWN,
    (HELD, "hold"): HELD,  # for another reason, until another day
    (HELD, "release"): SCOPED,
    (HELD, "reject"): REJECTED,
    (HELD, "withdraw"): WITHDRAWN,
    (RUNNING, "run"): RUNNING,  # after a crash
    (RUNNING, "send"): AWAITING,
    (RUNNING, "check"): VERIFYING,
    (RUNNING, "partial"): PARTIAL,
    (RUNNING, "fail"): FAILED,
    (AWAITING, "check"): VERIFYING,
    (AWAITING, "partial"): PARTIAL,
    (AWAITING, "fail"): FAILED,
    (VERIFYING, "check"): VERIFYING,  # after a crash
    (VERIFYING, "complete"): COMPLETE,
    (VERIFYING, "partial"): PARTIAL,
    (VERIFYING, "fail"): FAILED,
    # Told as not done, and tried again: nobody is locked out by our failure.
    (PARTIAL, "run"): RUNNING,
    (PARTIAL, "hold"): HELD,
    (FAILED, "run"): RUNNING,
    (FAILED, "hold"): HELD,
    (FAILED, "reject"): REJECTED,
    (FAILED, "withdraw"): WITHDRAWN,
    (DUPLICATE, "revive"): VERIFIED,  # what it was a duplicate of came to nothing
}
STATES = tuple(dict.fromkeys([*(state for state, _ in TABLE), *TABLE.values()]))
ACTIONS = tuple(dict.fromkeys(action for _, action in TABLE))


class NotNow(InputError):
    """A request cannot be treated so in the state it is in."""

    code = "privacy.not-now"

    def __init__(self, state: str, action: str) -> None:
        """Name the state and what is possible in it."""
        may = possible(state)
        next_ = f"Possible is: {', '.join(may)}." if may else "It has ended; ask anew with a new request."
        super().__init__(
            f"A request that is {state} cannot take the step {action!r}. {next_}",
            state=state,
            action=action,
            possible=may,
        )


class NotComplete(InputError):
    """A request was to be called complete and is not."""

    code = "privacy.not-complete"

    def __init__(self, missing: Sequence[str]) -> None:
        """Name what is missing."""
        super().__init__(
            f"The request is not complete: {', '.join(missing)} missing. Run it again, or record the answers.",
            missing=list(missing),
        )


class NothingMissing(InternalError):
    """A request was to be called partial or failed without a word on what is missing."""

    code = "privacy.nothing-missing"

    def __init__(self, action: str) -> None:
        """Name the step."""
        super().__init__(f"The step {action!r} was to be taken without a list of what is missing. Please report it.")


class Standing(NamedTuple):
    """How a request stands."""

    parts: Mapping[str, str]  # part -> open, done, failed
    recipients: Mapping[str, str]  # recipient -> waiting, answered, no_api, failed
    findings: Sequence[str] | None = None  # what a check still found; None: nobody has checked


def possible(state: str) -> list[str]:
    """Say which actions a state takes."""
    return [action for at, action in TABLE if at == state]


def missing_of(standing: Standing) -> list[str]:
    """Say what stands between a request and complete.

    >>> missing_of(Standing({"erase": "failed"}, {"mailer": "waiting"}, []))
    ['part:erase', 'recipient:mailer']
    """
    missing = [f"part:{part}" for part, outcome in standing.parts.items() if outcome != DONE]
    missing += [f"recipient:{who}" for who, answer in standing.recipients.items() if answer not in ANSWERS]
    # What nobody looked at is not proved, whatever the steps said of themselves.
    return missing + (["check"] if standing.findings is None else [f"found:{one}" for one in standing.findings])


def next_state(state: str, action: str, standing: Standing, *, missing: Sequence[str] = ()) -> str:
    """Give the state after an action. Raises NotNow, NotComplete, NothingMissing."""
    found = TABLE.get((state, action))
    if found is None:
        raise NotNow(state, action)
    left = missing_of(standing)
    if found == COMPLETE and (left or not standing.parts):
        raise NotComplete(left or ["scope"])
    if action == "check" and (open_ones := [one for one in left if one.startswith(("part:", "recipient:"))]):
        raise NotComplete(open_ones)
    if found in {PARTIAL, FAILED} and not missing:
        raise NothingMissing(action)
    return found


def next_action(standing: Standing) -> str:
    """Say what follows when the parts have run: partial, fail, send, check or complete."""
    outcomes = set(standing.parts.values())
    if outcomes != {DONE}:
        return "partial" if DONE in outcomes else "fail"
    if WAITING in standing.recipients.values():
        return "send"
    if standing.findings is None:
        return "check"
    return "partial" if standing.findings else "complete"
