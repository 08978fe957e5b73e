"""The nouns, frozen, no input or output.

In:    nothing.
Out:   records that travel between rooms.
Never: behaviour that touches a store, a clock or the network.
"""

from tillit.records.log import (
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
)
from tillit.records.permit import Permit, Scope
from tillit.records.person import MemberIdentifier, Membership

__all__ = [
    "KIND_ACT",
    "KIND_DEFINITION",
    "KIND_EVENT",
    "KIND_TICK",
    "TRUST_CLAIMED",
    "TRUST_NAMES",
    "TRUST_OPERATOR",
    "TRUST_SERVER",
    "TRUST_VERIFIED",
    "LogRow",
    "MemberIdentifier",
    "Membership",
    "NewRow",
    "Permit",
    "QuarantineRow",
    "Scope",
]
