"""Feedback: what came back after a message had left, and people who want no more of them.

In:    bounces, complaints and arrivals; a token of a link to unsubscribe.
Out:   entries of the suppression list, statements of consent, events in the log; each thing told, once.
Never: a word about another message than the one it names; a no said for somebody who has not the address.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tillit.collect.door import random_id
from tillit.consent import Choice, policy_in_force
from tillit.deliver import (
    BOUNCED,
    CHANNELS,
    COMPLAINED,
    MESSAGE,
    MESSAGE_DELIVERED,
    SOURCE,
    UNSUBSCRIBED,
    Delivery,
    Destination,
    Outcome,
    Queue,
    Report,
    Request,
    Suppressions,
    event_row,
    read_request,
)
from tillit.deliver.bounces import FEEDS, Feedback, read_bounce
from tillit.deliver.feeds import INCOMING, FeedRefused, check_feed
from tillit.deliver.secrets import Secrets
from tillit.deliver.suppression import ADDRESS, COMPLAINT, HARD_BOUNCE, PERSON, UNSUBSCRIBE
from tillit.deliver.unsubscribe import TokenUnknown, read_token
from tillit.errors import BusyError, NotFound
from tillit.records import TRUST_SERVER, Membership, NewRow
from tillit.store import State
from tillit.workspace.consent import Consent
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of

_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EVENTS = {"bounced": BOUNCED, "complained": COMPLAINED, "delivered": MESSAGE_DELIVERED}


class Taken(NamedTuple):
    """What became of feedback that was handed in."""

    n_new: int
    n_known: int  # told before: nothing came of it
    n_unknown: int  # about no message of ours


class Offer(NamedTuple):
    """What somebody may unsubscribe from."""

    shop: str  # its name; empty: nobody declared it
    purpose: str  # its title


class Feedbacks:
    """What came back."""

    def __init__(
        self,
        state: State,
        folding: Folding,
        queue: Queue,
        suppressions: Suppressions,
        *,
        find_destination: Callable[[str], Destination | None],
        consent: Consent,
        secrets: Secrets,
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        link_secret: bytes,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to tell."""
        self._state = state
        self._folding = folding
        self._queue = queue
        self._suppressions = suppressions
        self._find_destination = find_destination
        self._consent = consent
        self._secrets = secrets
        self._append = append
        self._link_secret = link_secret
        self._now = now

    def take(self, told: Sequence[Feedback], *, destination: str = "") -> Taken:
        """Take feedback, each once.

        `destination`: who tells it; of messages that went another way it is not believed.
        """
        n_new = n_known = n_unknown = 0
        for one in told:
            delivery = self._find(one.key, one.reference, destination)
            if delivery is None:
                n_unknown += 1
                continue
            # A provider may put anything there: what is no code could be an address, and would outlive its person.
            code = one.code if _CODE.fullmatch(one.code) else ""
            told_as = f"{code} hard".strip() if one.is_hard else code
            report = Report(delivery.delivery_id, one.kind, told_as, self._now())
            if self._queue.reports.has(report):
                n_known += 1
                continue
            self._heed(delivery, one.kind, code, is_hard=one.is_hard)
            # Last: what a crash leaves out is done again when it is told again, and comes to the same.
            self._queue.reports.add(report)
            n_new += 1
        return Taken(n_new, n_known, n_unknown)

    def admit(self, destination: str, headers: Mapping[str, str], body: bytes) -> Destination:
        """Say whose word a request is. Raises FeedRefused, SecretMissing, SecretElsewhere."""
        found = self._find_destination(destination)
        if found is None or found.feedback is None:
            raise FeedRefused
        feed = found.feedback
        secret = self._secrets.get(feed.secret, INCOMING).reveal()
        check_feed(feed.shape, secret, headers, body, now=self._now())
        return found

    def post(self, destination: Destination, body: bytes) -> Taken:
        """Take what a destination posts that was admitted. Raises FeedbackUnreadable."""
        assert destination.feedback is not None, "it was admitted by it"
        told = FEEDS[destination.feedback.shape](body)
        return self.take(told, destination=destination.destination)

    def bounced(self, raw: bytes) -> Taken:
        """Take a mail that came to the return path. Raises FeedbackUnreadable."""
        return self.take(read_bounce(raw))

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """Take that addresses were refused for good while a message was handed over."""
        for one in outcomes:
            self._suppress(one.begun.delivery, one.begun.address_hash, HARD_BOUNCE, source="bounce")

    def offer(self, token: str) -> Offer:
        """Say what a link unsubscribes from; nothing changes. Raises TokenUnknown."""
        purpose, _, _ = self._read(token)
        declared = policy_in_force(self._state)
        shop = declared.policy.controller
        known = declared.purposes.get(purpose)
        return Offer(shop.name if shop is not None else "", known.title if known is not None else purpose)

    def unsubscribe(self, token: str) -> Offer:
        """Take it that the recipient of a message wants no more for its purpose. Raises TokenUnknown.

        Said twice it comes to the same; said again after a new yes, it counts again.
        """
        purpose, channel, delivery = self._read(token)
        address_hash = self._address_of(delivery)
        request = self._request(delivery)
        who = self._whose(delivery, address_hash, request)
        report = Report(delivery.delivery_id, "unsubscribed", "", self._now())
        is_repeat = self._queue.reports.has(report)
        may = who is not None and self._may_be_written_to(who, purpose, channel)
        if is_repeat and not may:
            return self.offer(token)
        self._lift_old(delivery, address_hash, purpose)
        self._suppress(delivery, address_hash, UNSUBSCRIBE, source="one-click", purpose=purpose)
        if who is not None:
            self._withdraw(who, purpose, channel, "one-click")
        self._tell(delivery, request, UNSUBSCRIBED, "", message_id=f"{delivery.key}:{random_id()}")
        self._queue.reports.add(report)
        return self.offer(token)

    # -- which delivery, whose

    def _read(self, token: str) -> tuple[str, str, Delivery]:
        told = read_token(self._link_secret, token)
        delivery = self._find(told.key, "", "")
        if delivery is None:
            raise TokenUnknown
        return told.purpose, told.channel, delivery

    def _find(self, key: str, reference: str, destination: str) -> Delivery | None:
        history = self._queue.history
        found = history.find_by_key(bytes.fromhex(key)) if key else history.find_by_reference(destination, reference)
        if found is None or found.kind != MESSAGE or found.destination != (destination or found.destination):
            return None
        return found

    def _address_of(self, delivery: Delivery) -> bytes:
        tries = self._queue.history.attempts([delivery.delivery_id])
        return next((bytes(one.address_hash) for one in reversed(tries) if one.address_hash), b"")

    def _request(self, delivery: Delivery) -> Request | None:
        row = self._folding.rows([delivery.position]).get(delivery.position)
        return read_request(row) if row is not None else None

    def _whose(self, delivery: Delivery, address_hash: bytes, request: Request | None) -> Membership | None:
        """Say who a message went to, as people are known now: whoever has its address, else whom it was made for."""
        named = [delivery.subject_ref, *([f"{request.namespace}:{request.value}"] if request is not None else [])]
        people = [found for one in named if one and (found := find_membership_of(self._state, one)) is not None]
        if not address_hash:
            return next(iter(people), None)
        return next((one for one in people if self._has(one, address_hash)), None)

    def _has(self, membership: Membership, address_hash: bytes) -> bool:
        return any(
            one.namespace == "email" and self._suppressions.hash_of(ADDRESS, one.value) == address_hash
            for one in membership.identifiers
        )

    # -- what follows

    def _heed(self, delivery: Delivery, kind: str, code: str, *, is_hard: bool) -> None:
        address_hash = self._address_of(delivery)
        request = self._request(delivery)
        if kind == "bounced" and is_hard:
            self._suppress(delivery, address_hash, HARD_BOUNCE, source="bounce")
        if kind == "complained":
            self._suppress(delivery, address_hash, COMPLAINT, source="complaint")
            who = self._whose(delivery, address_hash, request)
            if who is not None and delivery.message_class == "marketing":
                self._withdraw(who, delivery.purpose, self._channel(delivery), "complaint")
        if kind in _EVENTS:
            self._tell(delivery, request, _EVENTS[kind], code, message_id=f"{delivery.key}:{kind}:{code}")

    def _suppress(
        self, delivery: Delivery, address_hash: bytes, reason: str, *, source: str, purpose: str = ""
    ) -> None:
        kind, subject = (ADDRESS, address_hash) if address_hash else (PERSON, delivery.subject_ref)
        if subject:
            self._suppressions.add(
                kind,
                subject,
                reason,
                source=source,
                at=self._now(),
                by=source,
                purpose=purpose,
                subject_ref=delivery.subject_ref,
                delivery_id=delivery.delivery_id,
            )

    def _lift_old(self, delivery: Delivery, address_hash: bytes, purpose: str) -> None:
        """Close the entry of an earlier no, which a yes has outlived: the new one is dated now."""
        kind, subject = (ADDRESS, address_hash) if address_hash else (PERSON, delivery.subject_ref)
        for one in self._suppressions.find(kind, subject):
            if one.reason == UNSUBSCRIBE and one.purpose == purpose and one.lifted_at is None:
                self._suppressions.lift(one.suppression_id, at=self._now(), by="one-click", words="said anew")

    def _withdraw(self, who: Membership, purpose: str, channel: str, method: str) -> None:
        with suppress(BusyError, NotFound):  # in the log already, and applied in its turn; or erased this moment
            self._consent.set(
                who.profile_id,
                [Choice(purpose, "withdrawn", (channel,) if channel else ())],
                method=method,
                trust=TRUST_SERVER,
                source=SOURCE,
            )

    def _may_be_written_to(self, who: Membership, purpose: str, channel: str) -> bool:
        return self._consent.decide(who.profile_id, purpose, channel=channel)["permitted"] is True

    def _channel(self, delivery: Delivery) -> str:
        destination = self._find_destination(delivery.destination)
        return CHANNELS[destination.kind] if destination is not None else "email"

    def _tell(self, delivery: Delivery, request: Request | None, name: str, code: str, *, message_id: str) -> None:
        if request is None:
            return  # it was forgotten: nothing more is said of it
        about: Mapping[str, Any] = {
            "message": delivery.key,
            "template": delivery.template,
            "destination": delivery.destination,
            "purpose": delivery.purpose,
            "class": delivery.message_class,
            **({"reason": code} if code else {}),
        }
        who = (request.namespace, request.value)
        self._append([event_row(name, who, about, message_id=message_id, now=self._now())])
