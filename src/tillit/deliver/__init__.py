"""Deliver: what leaves, leaves once, with permission, and can be taken back.

In:    log rows; leave, asked for by whoever opens the courier; destinations and templates.
Out:   outbox rows; deliveries, attempts and their outcomes; what reached each destination.
Never: a value that leaves without the last gate; a value of a person kept beside log and state.

What talks to the outside (`wires`, `templates`, `courier`) is imported where it is opened: it is heavy.
"""

from tillit.deliver.asked import AskedFor, AskedMessages, KeyReused
from tillit.deliver.copies import (
    ACKNOWLEDGED,
    EVENT_RECORD,
    PEOPLE_RECORD,
    REJECTED,
    REMOVED,
    Follow,
    Record,
)
from tillit.deliver.definitions import (
    DESTINATION,
    TEMPLATE,
    Applied,
    DefinitionInvalid,
    Definitions,
    Destination,
    Feed,
    Limits,
    Template,
    definition_row,
    definitions_in_force,
    keep_delivery,
    list_applied,
    read_destination,
    read_template,
)
from tillit.deliver.deliveries import (
    DEAD,
    DELIVERIES_MIGRATIONS,
    ENDED,
    EVENT,
    MESSAGE,
    RECORD,
    SUPERSEDED,
    UNCHANGED,
    WAITING,
    WITHHELD,
    Attempt,
    Beginning,
    Delivery,
    Going,
    Line,
    Outcome,
    Stop,
    asking,
    key_of,
)
from tillit.deliver.mapping import Mapped, map_fields, reached_fields
from tillit.deliver.outbox import (
    TO_FOLLOW,
    TO_FORWARD,
    TO_REVIEW,
    TO_SEND,
    TO_WALK,
    Outbox,
    Work,
    clear_outbox,
    find_outbox,
)
from tillit.deliver.queue import Queue
from tillit.deliver.reports import Report
from tillit.deliver.requests import (
    BOUNCED,
    COMPLAINED,
    REQUESTED,
    SENT,
    SOURCE,
    UNSUBSCRIBED,
    Request,
    RequestInvalid,
    event_row,
    read_request,
    request_row,
)
from tillit.deliver.requests import DELIVERED as MESSAGE_DELIVERED
from tillit.deliver.requests import WITHHELD as MESSAGE_WITHHELD
from tillit.deliver.standings import Standing
from tillit.deliver.suppression import STOPS, NotSuppressed, Suppressed, Suppressions, UnknownReason
from tillit.deliver.wire import Answer, Checked, Mail, Outgoing, Wire
from tillit.store import migrations_of

OUTBOX_MIGRATIONS = migrations_of("tillit.deliver", room="deliver", folder="migrations/state")
# What a rebuild compares; the outbox is what is left to be taken, and differs.
TABLES: dict[str, tuple[str, ...]] = {"delivery_definition": ("position",)}

# The channel under which each kind of destination asks for leave: copies of data are on none.
CHANNELS = {"webhook": "", "folder": "", "table": "", "email": "email"}

__all__ = [
    "ACKNOWLEDGED",
    "BOUNCED",
    "CHANNELS",
    "COMPLAINED",
    "DEAD",
    "DELIVERIES_MIGRATIONS",
    "DESTINATION",
    "ENDED",
    "EVENT",
    "EVENT_RECORD",
    "MESSAGE",
    "MESSAGE_DELIVERED",
    "MESSAGE_WITHHELD",
    "OUTBOX_MIGRATIONS",
    "PEOPLE_RECORD",
    "RECORD",
    "REJECTED",
    "REMOVED",
    "REQUESTED",
    "SENT",
    "SOURCE",
    "STOPS",
    "SUPERSEDED",
    "TABLES",
    "TEMPLATE",
    "TO_FOLLOW",
    "TO_FORWARD",
    "TO_REVIEW",
    "TO_SEND",
    "TO_WALK",
    "UNCHANGED",
    "UNSUBSCRIBED",
    "WAITING",
    "WITHHELD",
    "Answer",
    "Applied",
    "AskedFor",
    "AskedMessages",
    "Attempt",
    "Beginning",
    "Checked",
    "DefinitionInvalid",
    "Definitions",
    "Delivery",
    "Destination",
    "Feed",
    "Follow",
    "Going",
    "KeyReused",
    "Limits",
    "Line",
    "Mail",
    "Mapped",
    "NotSuppressed",
    "Outbox",
    "Outcome",
    "Outgoing",
    "Queue",
    "Record",
    "Report",
    "Request",
    "RequestInvalid",
    "Standing",
    "Stop",
    "Suppressed",
    "Suppressions",
    "Template",
    "UnknownReason",
    "Wire",
    "Work",
    "asking",
    "clear_outbox",
    "definition_row",
    "definitions_in_force",
    "event_row",
    "find_outbox",
    "keep_delivery",
    "key_of",
    "list_applied",
    "map_fields",
    "reached_fields",
    "read_destination",
    "read_request",
    "read_template",
    "request_row",
]
