"""Verifications: whether somebody reads what is sent to an address, by a code that is sent there.

In:    an address, who claims it, a template; later the code.
Out:   a request for a message; then an event that proves that the address is theirs.
Never: a code in the log, in a table or in an error.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from tillit.clock import rfc3339
from tillit.deliver import SOURCE, Queue, RequestInvalid, Suppressions, Template, read_request
from tillit.deliver.suppression import ADDRESS
from tillit.deliver.verification import (
    MOST_TRIES,
    VERIFICATION,
    Codes,
    CodeWrong,
    Verification,
    VerificationUnknown,
    code_of,
)
from tillit.identity import CODE, Handle, rules_in_force
from tillit.profile import event_id
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow, message_hash
from tillit.store import State
from tillit.workspace.folding import Folding

VERIFIED = "Address Verified"
_CLAIMS = {"user_id": "userId", "anonymous_id": "anonymousId"}
_WAIT_S = 5.0


class Verifications:
    """Codes that are sent to addresses, and said again."""

    def __init__(
        self,
        state: State,
        folding: Folding,
        queue: Queue,
        suppressions: Suppressions,
        *,
        send: Callable[..., Any],
        find_template: Callable[[str], Template | None],
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        secret: bytes,
        epoch: Callable[[], int],
        now: Callable[[], int],
    ) -> None:
        """Know the stores. `send` asks for a message; `secret` is the one under which messages are rendered."""
        self._suppressions = suppressions
        self._send = send
        self._find_template = find_template
        self._state = state
        self._folding = folding
        self._append = append
        self._secret = secret
        self._epoch = epoch
        self._now = now
        self._codes = Codes(queue.store, now=now)

    def ask(self, template: str, to: str, claimed_by: str, *, asked_by: str = "process") -> Verification:
        """Send a code to an address (`email:…`) that somebody claims (`user_id:…` or `anonymous_id:…`).

        Raises: RequestInvalid, UnknownTemplate, TooManyCodes.
        """
        address, claim = self._read(to), self._read(claimed_by)
        if address is None or address.namespace != "email":
            raise RequestInvalid("`to` must be an address, as email:name@example.org.")
        if claim is None or claim.namespace not in _CLAIMS:
            raise RequestInvalid("who claims the address is named by a user_id or an anonymous_id.")
        told = self._find_template(template)
        if told is not None and told.message_class != "transactional":
            raise RequestInvalid("a code goes by a template of class `transactional`.")
        hashed = self._suppressions.hash_of(ADDRESS, address.value)
        self._codes.check(hashed, asked_by)
        verification_id = f"v{secrets.token_hex(16)}"
        data = {VERIFICATION: verification_id, "claimed_by": [claim.namespace, claim.value]}
        asked = self._send(template, f"email:{address.value}", data, asked_by=asked_by)
        return self._codes.add(verification_id, asked_by=asked_by, address_hash=hashed, position=asked.position)

    def confirm(self, verification_id: str, code: str, *, asked_by: str = "process") -> str:
        """Take a code; give the id of the event by which the address is verified, once it counts.

        Raises: VerificationUnknown; CodeWrong; BusyError when it is in the log and not applied yet.
        """
        told = self._codes.try_one(verification_id, asked_by)
        row = self._folding.rows([told.position]).get(told.position)
        request = read_request(row) if row is not None else None
        if request is None:
            raise VerificationUnknown  # whoever it was about was forgotten
        right = code_of(self._secret, verification_id, request.value)
        if not hmac.compare_digest(right.encode(), code.strip().encode()):
            raise CodeWrong(MOST_TRIES - told.n_tries)
        namespace, value = request.data["claimed_by"]
        position, _ = self._append([self._proved(verification_id, request.value, str(namespace), str(value))])
        self._codes.end(verification_id)
        self._folding.reach(position, _WAIT_S)
        return event_id(position, self._epoch())

    def _read(self, who: str) -> Handle | None:
        return rules_in_force(self._state).parse(who)

    def _proved(self, verification_id: str, address: str, namespace: str, value: str) -> NewRow:
        now = self._now()
        message_id = f"verified-{verification_id}"
        told = {
            "type": "track",
            "event": VERIFIED,
            _CLAIMS[namespace]: value,
            "context": {"traits": {"email": address}},
            "properties": {},
            "messageId": message_id,
            "timestamp": rfc3339(now),
            "receivedAt": rfc3339(now),
            # As the door writes what an identity token proves.
            "proof": {
                "sub": ["email", address],
                "also": [[namespace, value]] if namespace == "user_id" else [],
                "jti": blake2b(message_id.encode(), digest_size=16).hexdigest(),
                "kid": CODE,
            },
        }
        body = msgspec.json.encode(told)
        return NewRow(KIND_EVENT, SOURCE, TRUST_SERVER, now, now, message_hash(SOURCE, message_id), body)
