"""Who is this? Identifiers, the links between them, and the people they make.

In:    events in log order.
Out:   identifier, link, tenure, event_index; a `Membership` for whoever asks about one person.
Never: traits; a merge that cannot be explained by an event and a rule.
"""

from tillit.identity.acts import (
    CUT,
    JOIN,
    PIN,
    UNDO,
    Acts,
    IdentityAct,
    ReasonInvalid,
    identity_act_row,
    is_identity_act,
    keep_act,
    load_acts,
    standing,
    takes,
)
from tillit.identity.evidence import Evidence, LinkEvidence, Named, Neighbour, TenureEvidence, read_evidence
from tillit.identity.members import (
    find_membership,
    identifier_of,
    is_device,
    iter_events,
    profile_id,
    search_identifiers,
)
from tillit.identity.namespaces import ALIAS_RANK, Event, Handle, handle, handles_of, parse, read_event
from tillit.identity.paths import (
    Decision,
    Step,
    find_decision,
    find_named,
    find_path,
    read_decisions,
    read_direct,
    read_violations,
)
from tillit.identity.resolve import Ident, Resolved, Resolver, Sighting, index_events, part_of
from tillit.identity.said import Said, list_said
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.identity", room="identity")
# Each table with its key.
TABLES = {
    "identifier": ("identifier_id",),
    "link": ("strong_id", "weak_id", "trust", "chapter"),
    "identity_act": ("position",),
    "tenure": ("identifier_id", "from_at", "from_position"),
    "event_index": ("anchor_id", "event_at", "position"),
}

__all__ = [
    "ALIAS_RANK",
    "CUT",
    "JOIN",
    "MIGRATIONS",
    "PIN",
    "TABLES",
    "UNDO",
    "Acts",
    "Decision",
    "Event",
    "Evidence",
    "Handle",
    "Ident",
    "IdentityAct",
    "LinkEvidence",
    "Named",
    "Neighbour",
    "ReasonInvalid",
    "Resolved",
    "Resolver",
    "Said",
    "Sighting",
    "Step",
    "TenureEvidence",
    "find_decision",
    "find_membership",
    "find_named",
    "find_path",
    "handle",
    "handles_of",
    "identifier_of",
    "identity_act_row",
    "index_events",
    "is_device",
    "is_identity_act",
    "iter_events",
    "keep_act",
    "list_said",
    "load_acts",
    "parse",
    "part_of",
    "profile_id",
    "read_decisions",
    "read_direct",
    "read_event",
    "read_evidence",
    "read_violations",
    "search_identifiers",
    "standing",
    "takes",
]
