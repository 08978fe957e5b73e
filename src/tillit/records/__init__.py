"""The nouns, frozen, no input or output.

In:    nothing.
Out:   records that travel between rooms.
Never: behaviour that touches a store, a clock or the network.
"""

from tillit.records.log import (
    ACT_TYPES,
    IDENTITY_ACT_TYPES,
    KIND_ACT,
    KIND_DEFINITION,
    KIND_EVENT,
    KIND_TICK,
    TRUST_CLAIMED,
    TRUST_NAMES,
    TRUST_OPERATOR,
    TRUST_SERVER,
    TRUST_VERIFIED,
    LogRow,
    NewRow,
    QuarantineRow,
    message_hash,
)
from tillit.records.order import NO_ORDER, OrderNumbers
from tillit.records.permit import Permit, Scope
from tillit.records.person import MemberIdentifier, Membership

__all__ = [
    "ACT_TYPES",
    "IDENTITY_ACT_TYPES",
    "KIND_ACT",
    "KIND_DEFINITION",
    "KIND_EVENT",
    "KIND_TICK",
    "NO_ORDER",
    "TRUST_CLAIMED",
    "TRUST_NAMES",
    "TRUST_OPERATOR",
    "TRUST_SERVER",
    "TRUST_VERIFIED",
    "LogRow",
    "MemberIdentifier",
    "Membership",
    "NewRow",
    "OrderNumbers",
    "Permit",
    "QuarantineRow",
    "Scope",
    "message_hash",
]
