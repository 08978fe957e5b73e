"""Messages and destinations, to be looked at: what became of each, try by try, and how each destination is.

In:    the key of a message; a person; a destination; a scope.
Out:   documents of ids, states, codes and counts, each said in words, the same for every door.
Never: what a recipient said of a person without leave to read that person; a change.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tillit.clock import HOUR, rfc3339
from tillit.consent import REASONS as CONSENT_REASONS
from tillit.deliver import (
    DEAD,
    DESTINATION,
    MESSAGE,
    WITHHELD,
    Applied,
    AskedFor,
    AskedMessages,
    Attempt,
    Definitions,
    Delivery,
    Destination,
    Queue,
    Standing,
    Suppressed,
    Suppressions,
    list_applied,
    reached_fields,
)
from tillit.deliver.suppression import DOMAIN
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN
from tillit.errors import InputError, NotFound
from tillit.identity import find_membership
from tillit.profile import event_id
from tillit.records import Permit, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.gate import explain
from tillit.workspace.leave import Leave
from tillit.workspace.ledger import subjects_of
from tillit.workspace.people import find_membership_of, unknown_profile

ASKED = "asked"  # no courier has taken it yet
STATES = {
    ASKED: "It was asked for, and no courier has taken it yet.",
    "waiting": "It waits to be sent.",
    "claimed": "It is on its way.",
    "unchanged": "The destination has it already.",
    DELIVERED: "The recipient took it.",
    REFUSED: "The recipient refused it for good.",
    DEAD: "It could not be sent, and is not tried again by itself.",
    UNKNOWN: "It may have arrived; nobody knows.",
    WITHHELD: "It was not sent.",
}
_OUTCOMES = {
    "": "It is under way, or its courier died.",
    DELIVERED: "The recipient took it.",
    REFUSED: "The recipient refused it for good.",
    LATER: "Nothing was taken; it is tried again.",
    HALTED: "Nothing can be sent there until somebody mends the destination.",
    UNKNOWN: "It may have arrived; nobody knows.",
    "stopped": "It was called back before it went.",
}
_CODES = {
    "operator": "A colleague paused it.",
    "deliver.outward-refused": "The address is not on the public internet, or is not allowed.",
    "deliver.secret-missing": "The secret that it names was never set.",
    "deliver.secret-elsewhere": "Its secret was set for another host.",
    "deliver.no-public-url": "Nobody said under which address customers reach this server.",
    "courier.died": "The process that sent it died while it was on the wire.",
    "wire.broken": "The connection broke in a way that nobody foresaw.",
    "connect.refused": "Nobody answers at the address.",
    "connect.timeout": "Nobody answered in time.",
    "connect.failed": "No connection was made.",
    "connect.dns": "The name of the host is not known.",
    "connect.no-address": "The host has no address that may be used.",
    "tls.invalid": "The certificate of the host does not hold.",
    "http.timeout": "The answer did not come in time.",
    "http.broken": "The connection broke before an answer came.",
    "http.garbage": "The answer was no HTTP.",
    "http.redirect": "It answered with another address, which is not followed.",
    "http.rejected": "The recipient refused this one of several.",
    "http.later": "The recipient put this one of several off.",
    "http.results": "The answer does not say what became of each.",
    "smtp.lost": "The connection to the mail server broke.",
    "smtp.lost-after-text": "The connection broke after the text: the mail may have been taken.",
    "smtp.timeout": "The mail server did not answer in time.",
    "smtp.tls": "No safe connection to the mail server was made.",
    "smtp.certificate": "The certificate of the mail server does not hold.",
    "smtp.no-starttls": "The mail server offers no safe connection.",
    "smtp.no-auth": "The mail server takes no login.",
}
_NEWEST_FAILED = 20


class MessageUnknown(NotFound):
    """A message was named that nobody asked for."""

    code = "deliver.unknown-message"

    def __init__(self) -> None:
        """Say what its name looks like."""
        super().__init__("There is no such message. Its id has 32 hex digits, as the answer to the request says.")


class UnknownState(InputError):
    """Messages were asked for in a state that there is not."""

    code = "deliver.unknown-state"

    def __init__(self) -> None:
        """Name those there are."""
        super().__init__(f"There is no such state of a message. There are: {', '.join(_LISTED)}.")


_LISTED = tuple(state for state in STATES if state != ASKED)


class Messages:
    """What became of messages, and how destinations are."""

    def __init__(
        self,
        log: Log,
        state: State,
        queue: Queue,
        asked: AskedMessages,
        suppressions: Suppressions,
        *,
        definitions: Callable[[], Definitions],
        destination: Callable[[str], Destination],
        leave: Callable[[Reading, Scope], Leave],
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask."""
        self._log = log
        self._state = state
        self._queue = queue
        self._asked = asked
        self._suppressions = suppressions
        self._definitions = definitions
        self._destination = destination
        self._leave = leave
        self._now = now

    # -- messages

    def get(self, message_id: str, scope: Scope) -> dict[str, Any]:
        """Give the whole life of a message: what became of it and why, and each try.

        What the recipient said stands in it only for who may read the person: `withheld` says why not.
        Raises: MessageUnknown.
        """
        asked, one = self._find(message_id)
        if one is None:
            if asked is None:
                raise MessageUnknown
            return {**self._asked_document(asked), "attempts": [], "withheld": None}
        withheld = self._why_withheld(one.subject_ref, scope)
        tries = self._queue.history.attempts([one.delivery_id])
        return {
            **self._document(one),
            "attempts": [_attempt_document(told, may_be_told=withheld is None) for told in tries],
            "withheld": withheld,
        }

    def list_messages(
        self,
        *,
        who: str | None = None,
        state: str = "",
        destination: str = "",
        kind: str = MESSAGE,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """List messages without what anybody said, newest first; and where the next page begins.

        `state`: "unknown" names also those that may have left twice. `who`: those for one person.
        Raises: NotFound of somebody unknown, UnknownState, UnknownDestination.
        """
        if state and state not in _LISTED:
            raise UnknownState
        if destination:
            self._destination(destination)
        subjects: Sequence[str] = ()
        if who is not None:
            membership = find_membership_of(self._state, who)
            if membership is None:
                raise unknown_profile()
            subjects = subjects_of(membership)
        found = self._queue.history.list_newest(
            destination=destination,
            states=(state,) if state and state != UNKNOWN else (),
            kind=kind,
            subjects=subjects,
            is_doubtful=state == UNKNOWN,
            before=before,
            limit=limit + 1,
        )
        page = found[:limit]
        return [self._document(one) for one in page], page[-1].delivery_id if len(found) > limit else None

    def people_of(self, told: Sequence[dict[str, Any]]) -> list[str]:
        """Name whose messages these are, as they are called now: who was erased is nobody."""
        with self._state.snapshot() as reading:
            found = [find_membership(reading, one["profile_id"]) for one in told if one["profile_id"]]
        return [one.profile_id for one in found if one is not None]

    def _find(self, message_id: str) -> tuple[AskedFor | None, Delivery | None]:
        try:
            key = bytes.fromhex(message_id)
        except ValueError:
            raise MessageUnknown from None
        one = self._queue.history.find_by_key(key)
        asked = self._asked.find(key) if one is None else None
        if asked is not None and asked.position:
            # Its template was applied anew between the request and the courier: it goes through another destination.
            one = next(iter(self._queue.history.find_by_position(asked.position)), None)
        return asked, one

    def _why_withheld(self, subject_ref: str, scope: Scope) -> str | None:
        with self._state.snapshot() as reading:
            membership = find_membership(reading, subject_ref) if subject_ref else None
            if membership is None:
                return "unknown"
            told = self._leave(reading, scope).of(membership)
        return None if isinstance(told, Permit) else told.reason

    def _document(self, one: Delivery) -> dict[str, Any]:
        return {
            "id": one.key,
            "kind": one.kind,
            "template": one.template or None,
            "destination": one.destination,
            "purpose": one.purpose,
            "class": one.message_class or None,
            "profile_id": one.subject_ref or None,
            "event_id": event_id(one.position, self._log.epoch()) if one.position else None,
            "state": one.state,
            "words": STATES[one.state],
            "code": one.code or None,
            "reason": say(one.code),
            "maybe_duplicate": one.is_again,
            "n_attempts": one.n_attempts,
            "asked_at": rfc3339(one.created_at),
            "due_at": rfc3339(one.due_at) if one.ended_at is None else None,
            "ended_at": _instant(one.ended_at),
        }

    def _asked_document(self, asked: AskedFor) -> dict[str, Any]:
        template = self._definitions().template(asked.template)
        return {
            "id": asked.delivery_key.hex(),
            "kind": MESSAGE,
            "template": asked.template,
            "destination": template.destination if template is not None else None,
            "purpose": template.purpose if template is not None else None,
            "class": template.message_class if template is not None else None,
            "profile_id": None,
            "event_id": event_id(asked.position, self._log.epoch()) if asked.position else None,
            "state": ASKED,
            "words": STATES[ASKED],
            "code": None,
            "reason": None,
            "maybe_duplicate": False,
            "n_attempts": 0,
            "asked_at": rfc3339(asked.asked_at),
            "due_at": None,
            "ended_at": None,
        }

    # -- whom nothing is sent to

    def suppressions(
        self,
        scope: Scope,
        *,
        with_lifted: bool = False,
        reason: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """List whom nothing is sent to, newest first; and where the next page begins.

        What colleagues wrote of a person stands in it only for who may read that person.
        """
        found = self._suppressions.list_newest(before=before, limit=limit + 1, lifted=with_lifted, reason=reason)
        page = found[:limit]
        with self._state.snapshot() as reading:
            leave = self._leave(reading, scope)
            told = [_suppression_document(one, leave) for one in page]
        return told, page[-1].suppression_id if len(found) > limit else None

    # -- destinations

    def destinations(self) -> list[dict[str, Any]]:
        """List the destinations in force: what each takes, how it is, how much it has."""
        return [self._destination_document(one) for _, one in self._definitions().destinations.values()]

    def destination(self, name: str) -> dict[str, Any]:
        """Say everything of one destination, with what did not arrive and why. Raises UnknownDestination."""
        one = self._destination(name)
        newest = self._queue.history.list_newest(
            destination=name, states=(REFUSED, DEAD, UNKNOWN), limit=_NEWEST_FAILED
        )
        return {
            **self._destination_document(one),
            "text": _newest(self._state, name).text,
            "fields": one.fields,
            "reaches": list(reached_fields(one)),
            "records": self._queue.copies.counts(name),
            "failures": [
                {"state": state, "code": code, "reason": say(code), "n": n}
                for state, code, n in self._queue.history.failures(name)
            ],
            "newest_failed": [self._document(told) for told in newest],
            "minutes": self._minutes(name),
        }

    def _destination_document(self, one: Destination) -> dict[str, Any]:
        name = one.destination
        standing, applied = self._queue.standings.of(name), _newest(self._state, name)
        return {
            "destination": name,
            "title": one.title or None,
            "kind": one.kind,
            "send": one.send,
            "purpose": one.purpose,
            "recipient": one.party,
            "state": self._standing_of(one, standing),
            "paused_at": _instant(standing.paused_at),
            "paused_by": standing.paused_by or None,
            "pause_code": standing.pause_code or None,
            "pause_reason": say(standing.pause_code),
            "n_failed": standing.n_failed,
            "delivered_at": _instant(standing.delivered_at),
            "failed_at": _instant(standing.failed_at),
            "fail_code": standing.fail_code or None,
            "fail_reason": say(standing.fail_code),
            "counts": self._queue.history.counts(name),
            "applied_at": rfc3339(applied.event_at),
        }

    def _standing_of(self, one: Destination, standing: Standing) -> str:
        if one.retired:
            return "retired"
        if standing.paused_at is not None:
            return "paused"
        if standing.resting_until > self._now():
            return "resting"
        return "failing" if standing.n_failed else "well"

    def _minutes(self, name: str) -> list[dict[str, Any]]:
        told: dict[int, dict[str, int]] = {}
        for at, state, n in self._queue.history.counts_by_minute(name, since=self._now() - HOUR):
            told.setdefault(at, {})[state] = n
        return [{"at": rfc3339(at), "counts": counts} for at, counts in told.items()]

    def count_doubtful(self) -> int:
        """Count messages that nobody knows the outcome of."""
        return self._queue.history.count_doubtful()


def words_of(code: str) -> str:
    """Say in words what a code of a gate, a wire or a pause means; empty for one that says it itself."""
    return explain(code, CONSENT_REASONS) or _CODES.get(code, "")


def say(code: str) -> str | None:
    """Say in words what a code of a delivery means; None of an empty one, and of one that says it itself."""
    if not code:
        return None
    if known := words_of(code):
        return known
    of, _, number = code.partition(".")
    if of == "http" and number.isdigit():
        return f"It answered {number}."
    if of == "smtp" and number[:1].isdigit():
        return f"The mail server answered {number.replace('-', ' ')}."
    return None


def _attempt_document(one: Attempt, *, may_be_told: bool) -> dict[str, Any]:
    return {
        "attempt": one.attempt,
        "what": one.what,
        "begun_at": rfc3339(one.begun_at),
        "ended_at": _instant(one.ended_at),
        "outcome": one.outcome or None,
        "words": _OUTCOMES[one.outcome],
        "code": one.code or None,
        "reason": say(one.code),
        "said": one.words if may_be_told else None,
        "reference": one.reference if may_be_told else None,
        "fields": list(one.fields),
        "maybe_duplicate": bool(one.is_again),
    }


def _suppression_document(one: Suppressed, leave: Leave) -> dict[str, Any]:
    person = leave.find(one.subject_ref) if one.subject_ref else None
    may_be_told = one.subject_kind == DOMAIN or (person is not None and isinstance(leave.of(person), Permit))
    return {
        "suppression_id": one.suppression_id,
        "about": one.subject_kind,
        "reason": one.reason,
        "purpose": one.purpose or None,
        "source": one.source,
        "at": rfc3339(one.at),
        "by": one.by_whom,
        "words": one.words if may_be_told else None,
        "profile_id": person.profile_id if person is not None else None,
        "lifted_at": _instant(one.lifted_at),
        "lifted_by": one.lifted_by or None,
        "lifted_words": one.lifted_words if may_be_told and one.lifted_at is not None else None,
    }


def _newest(state: State, name: str) -> Applied:
    return list_applied(state, DESTINATION, name)[0]


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
