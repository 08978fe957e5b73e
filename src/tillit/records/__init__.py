"""The nouns, frozen, no input or output.

In:    nothing.
Out:   records that travel between rooms.
Never: behaviour that touches a store, a clock or the network.
"""

from tillit.records.carried import (
    GPC,
    LISTED_BASES,
    Carried,
    Carrying,
    carried_allows,
    carried_by,
    carried_choices,
    carried_text,
)
from tillit.records.cells import plain_cell, safe_cell
from tillit.records.definition_text import NotReadable, read_yaml
from tillit.records.log import (
    ACT_TYPES,
    IDENTITY_ACT_TYPES,
    KIND_ACT,
    KIND_DEFINITION,
    KIND_EVENT,
    KIND_TICK,
    REFUSED_BODY,
    TRUST_CLAIMED,
    TRUST_NAMES,
    TRUST_OPERATOR,
    TRUST_SERVER,
    TRUST_VERIFIED,
    WITHHELD_BODY,
    LogRow,
    NewRow,
    QuarantineRow,
    message_hash,
)
from tillit.records.order import NO_ORDER, OrderNumbers
from tillit.records.permit import BREAK_GLASS, Permit, Refusal, Scope, Withheld
from tillit.records.person import MemberIdentifier, Membership

__all__ = [
    "ACT_TYPES",
    "BREAK_GLASS",
    "GPC",
    "IDENTITY_ACT_TYPES",
    "KIND_ACT",
    "KIND_DEFINITION",
    "KIND_EVENT",
    "KIND_TICK",
    "LISTED_BASES",
    "NO_ORDER",
    "REFUSED_BODY",
    "TRUST_CLAIMED",
    "TRUST_NAMES",
    "TRUST_OPERATOR",
    "TRUST_SERVER",
    "TRUST_VERIFIED",
    "WITHHELD_BODY",
    "Carried",
    "Carrying",
    "LogRow",
    "MemberIdentifier",
    "Membership",
    "NewRow",
    "NotReadable",
    "OrderNumbers",
    "Permit",
    "QuarantineRow",
    "Refusal",
    "Scope",
    "Withheld",
    "carried_allows",
    "carried_by",
    "carried_choices",
    "carried_text",
    "message_hash",
    "plain_cell",
    "read_yaml",
    "safe_cell",
]
