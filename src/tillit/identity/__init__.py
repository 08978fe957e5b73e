"""Who is this? Identifiers, the links between them, and the people they make.

In:    events in log order.
Out:   identifier, link, tenure, event_index, token_use; a `Membership` for whoever asks about one person.
Never: traits; a merge that cannot be explained by an event and a rule.
"""

from tillit.identity.acts import (
    BLOCK,
    CUT,
    FREE,
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
from tillit.identity.definitions import (
    DEFAULT,
    AppliedRules,
    applied_rules,
    keep_definition,
    newest_rules,
    read_applied,
    read_definition,
    rules_in_force,
    rules_row,
)
from tillit.identity.evidence import Evidence, LinkEvidence, Named, Neighbour, TenureEvidence, read_evidence
from tillit.identity.many import (
    ALARM,
    AUTHOR,
    JudgedValue,
    ValueOfMany,
    find_values_of_many,
    read_judged_values,
    value_row,
)
from tillit.identity.members import (
    find_membership,
    identifier_of,
    iter_events,
    profile_id,
    search_identifiers,
)
from tillit.identity.namespaces import ALIAS_RANK, DEVICE_RANK, SHARED_RANK, Event, Handle, read_event
from tillit.identity.paths import (
    Decision,
    Step,
    count_violations,
    find_decision,
    find_named,
    find_path,
    is_blocked_value,
    read_decisions,
    read_direct,
    read_links,
    read_violations,
)
from tillit.identity.proof import find_earlier_use, forget_uses, read_provable
from tillit.identity.resolve import Ident, Resolved, Resolver, Sighting, index_events, part_of
from tillit.identity.rules import DEFAULT_RULES, Rules, RulesInvalid, read_rules, write_rules
from tillit.identity.said import Said, list_said
from tillit.identity.shared import find_shared, find_shared_identifier, list_sharing
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.identity", room="identity")
# Each table with its key.
TABLES = {
    "identifier": ("identifier_id",),
    "link": ("strong_id", "weak_id", "trust", "chapter"),
    "identity_act": ("position",),
    "identity_rules": ("position",),
    "token_use": ("position",),
    "tenure": ("identifier_id", "from_at", "from_position"),
    "event_index": ("anchor_id", "event_at", "position"),
}

__all__ = [
    "ALARM",
    "ALIAS_RANK",
    "AUTHOR",
    "BLOCK",
    "CUT",
    "DEFAULT",
    "DEFAULT_RULES",
    "DEVICE_RANK",
    "FREE",
    "JOIN",
    "MIGRATIONS",
    "PIN",
    "SHARED_RANK",
    "TABLES",
    "UNDO",
    "Acts",
    "AppliedRules",
    "Decision",
    "Event",
    "Evidence",
    "Handle",
    "Ident",
    "IdentityAct",
    "JudgedValue",
    "LinkEvidence",
    "Named",
    "Neighbour",
    "ReasonInvalid",
    "Resolved",
    "Resolver",
    "Rules",
    "RulesInvalid",
    "Said",
    "Sighting",
    "Step",
    "TenureEvidence",
    "ValueOfMany",
    "applied_rules",
    "count_violations",
    "find_decision",
    "find_earlier_use",
    "find_membership",
    "find_named",
    "find_path",
    "find_shared",
    "find_shared_identifier",
    "find_values_of_many",
    "forget_uses",
    "identifier_of",
    "identity_act_row",
    "index_events",
    "is_blocked_value",
    "is_identity_act",
    "iter_events",
    "keep_act",
    "keep_definition",
    "list_said",
    "list_sharing",
    "load_acts",
    "newest_rules",
    "part_of",
    "profile_id",
    "read_applied",
    "read_decisions",
    "read_definition",
    "read_direct",
    "read_event",
    "read_evidence",
    "read_judged_values",
    "read_links",
    "read_provable",
    "read_rules",
    "read_violations",
    "rules_in_force",
    "rules_row",
    "search_identifiers",
    "standing",
    "takes",
    "value_row",
    "write_rules",
]
