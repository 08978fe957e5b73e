"""Who is this? Identifiers, the links between them, and the people they make.

In:    events in log order.
Out:   identifier, link, tenure, event_index; a `Membership` for whoever asks about one person.
Never: traits; a merge that cannot be explained by an event and a rule.
"""

from tillit.identity.evidence import Evidence, LinkEvidence, Neighbour, TenureEvidence, read_evidence
from tillit.identity.members import find_membership, identifier_of, iter_events, profile_id, search_identifiers
from tillit.identity.namespaces import Event, Handle, handle, handles_of, parse, read_event
from tillit.identity.resolve import Ident, Resolved, Resolver, Sighting, index_events, part_of
from tillit.identity.said import Said, list_said
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.identity", room="identity")
# Each table with its key.
TABLES = {
    "identifier": ("identifier_id",),
    "link": ("strong_id", "weak_id", "trust"),
    "tenure": ("identifier_id", "from_at", "from_position"),
    "event_index": ("anchor_id", "event_at", "position"),
}

__all__ = [
    "MIGRATIONS",
    "TABLES",
    "Event",
    "Evidence",
    "Handle",
    "Ident",
    "LinkEvidence",
    "Neighbour",
    "Resolved",
    "Resolver",
    "Said",
    "Sighting",
    "TenureEvidence",
    "find_membership",
    "handle",
    "handles_of",
    "identifier_of",
    "index_events",
    "iter_events",
    "list_said",
    "parse",
    "part_of",
    "profile_id",
    "read_event",
    "read_evidence",
    "search_identifiers",
]
