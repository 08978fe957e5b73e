"""The door: one request in; rows for the log, rows for quarantine and a verdict out.

In:    the bytes of a request (or events made in this process), and who sent them when.
Out:   `Taken`: what to append. Nothing is stored here.
Never: an exception for one bad event, an event lost without a quarantine row, a good event lost for a bad neighbour;
       an identity token, not even in quarantine; a byte of an event that is refused because whom it names was erased.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tillit.collect.checks import Document, Flaw, Reading, read_body, read_messages, text_flaw
from tillit.collect.limits import Limits
from tillit.collect.stamp import Prove, Stamp, hide_token
from tillit.records import KIND_EVENT, REFUSED_BODY, WITHHELD_BODY, NewRow, QuarantineRow

# A row on its way into the log -> whether it is refused because whom it names was erased.
# A row -> what the log keeps in the place of its body; None: the body as it is.
Refuses = Callable[[NewRow], bytes | None]
_HUSKS = (REFUSED_BODY, WITHHELD_BODY)

# Events whose compact form is this far below the limit are not measured as sent: only white space could differ.
_STAMP_ROOM = 1_024


class Rejected(NamedTuple):
    """The verdict on one event that was not taken."""

    index: int  # type: ignore[assignment]  # the protocol's word, over the tuple's method
    message_id: str | None
    code: str
    reason: str


class Taken(NamedTuple):
    """One request, judged: rows and quarantine belong into one commit."""

    rows: list[NewRow]
    quarantine: list[QuarantineRow]
    rejected: list[Rejected]
    is_hopeless: bool = False  # there were events and not one of them was JSON


def random_id() -> str:
    """Give a new message id (uuid4)."""
    return str(uuid.uuid4())


def take(
    sent: bytes | Reading | Sequence[Document],
    *,
    route_type: str | None,
    source: str,
    trust: int,
    received_at: int,
    limits: Limits,
    client_ip: str | None = None,
    user_agent: str | None = None,
    new_id: Callable[[], str] = random_id,
    needs_id: bool = True,
    prove: Prove | None = None,
    refuses_sale: bool = False,
    refuses: Refuses | None = None,
) -> Taken:
    """Judge one request.

    Shape:  route_type is the type of a single event, or None for a batch; documents are always a batch. `prove` says
            what an identity token proves; without it none proves anything. `refuses_sale`: the browser sent the
            Global Privacy Control. What `refuses` says is of somebody who was erased, or may be used for nothing,
            becomes a row that says so and no more: it is acknowledged like any other.
    Units:  received_at is UTC epoch microseconds.
    Raises: UnreadableBody, BodyTooLarge: nothing of the request can be taken.
    """
    if isinstance(sent, bytes):
        reading = read_body(sent, is_batch=route_type is None, limits=limits)
    elif isinstance(sent, Reading):
        reading = sent
    else:
        reading = read_messages(sent, limits=limits)
    envelope = reading.envelope
    stamp = Stamp(
        source=source,
        trust=trust,
        received_at=received_at,
        limits=limits,
        new_id=new_id,
        route_type=route_type,
        sent_at=envelope.get("sentAt"),
        shared_context=envelope.get("context"),
        shared_integrations=envelope.get("integrations"),
        client_ip=client_ip,
        user_agent=user_agent,
        has_escapes=reading.has_escapes,
        needs_id=needs_id,
        prove=prove,
        refuses_sale=refuses_sale,
    )
    rows: list[NewRow] = []
    quarantine: list[QuarantineRow] = []
    rejected: list[Rejected] = []
    to_row = stamp.row
    unmeasured = min(limits.event_bytes - _STAMP_ROOM, limits.string_bytes)
    for index, event in enumerate(reading.events):
        # A flaw has nothing to stamp. (isinstance, not type: a Flaw is a tuple and an event is a dict.)
        outcome = to_row(event) if isinstance(event, dict) else event
        if refuses is not None and isinstance(event, dict):
            instead = refuses(_as_row(event, outcome, stamp))
            if instead in _HUSKS:
                rows.append(_refused(source, trust, received_at, instead))
                continue
            if instead is not None and isinstance(outcome, NewRow):
                outcome = outcome._replace(body=instead)
        if isinstance(outcome, NewRow):
            if len(outcome.body) <= unmeasured:
                rows.append(outcome)
                continue
            flaw = _size_flaw(reading, index, outcome, limits)
            if flaw is None:
                rows.append(outcome)
                continue
            outcome = flaw
        message_id = _message_id(event, limits)
        rejected.append(Rejected(index, message_id, outcome.code, outcome.reason))
        quarantine.append(
            QuarantineRow(
                received_at, source, trust, outcome.code, outcome.reason, message_id, hide_token(reading.raw(index))
            )
        )
    return Taken(rows, quarantine, rejected, reading.is_hopeless)


def _as_row(event: Document, outcome: NewRow | Flaw, stamp: Stamp) -> NewRow:
    """Give what is judged by whom it names, also of an event that has a flaw."""
    return outcome if isinstance(outcome, NewRow) else stamp.flawed_row(event)


def _refused(source: str, trust: int, received_at: int, body: bytes) -> NewRow:
    # Neither its time nor its message id: what is refused leaves nothing.
    return NewRow(KIND_EVENT, source, trust, received_at, received_at, bytes(16), body)


def _size_flaw(reading: Reading, index: int, row: NewRow, limits: Limits) -> Flaw | None:
    """Look at the size of a long event and of its texts."""
    if len(row.body) > limits.event_bytes - _STAMP_ROOM and len(reading.raw(index)) > limits.event_bytes:
        return Flaw("event_too_large", f"The event is larger than {limits.event_bytes} bytes.")
    event = reading.events[index]
    return text_flaw(event, limits) if isinstance(event, dict) else None


def _message_id(event: Document | Flaw, limits: Limits) -> str | None:
    """Give the message id of an event that was not taken, if it has a usable one."""
    value = event.get("messageId") if isinstance(event, dict) else None
    if not isinstance(value, str) or "\0" in value or not 0 < len(value.encode("utf-8", "replace")) <= limits.id_bytes:
        return None
    return value
