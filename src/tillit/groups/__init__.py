"""To which groups does somebody belong? Households and accounts with roles and time bounds, and facts about a person.

In:    sightings in log order; strands and an instant when someone asks.
Out:   group_member, group_trait; places in groups, facts.
Never: two people made one: a group is a list of people, never a person.
"""

from tillit.groups.facts import FACT_TRAITS, facts_of, turns_of
from tillit.groups.memberships import (
    GroupPlace,
    GroupTrait,
    find_trait,
    iter_sayings,
    iter_statements,
    judge_places,
    list_anchors,
    list_large,
    list_sayings,
    list_traits,
    load_statements,
)
from tillit.groups.said import (
    GUARDIAN,
    HOUSEHOLD,
    GroupInvalid,
    Statement,
    join_body,
    leave_body,
    parse_group,
)
from tillit.groups.writer import GroupWriter
from tillit.store import migrations_of

MIGRATIONS = migrations_of("tillit.groups", room="groups")
# Each table with its key.
TABLES = {
    "group_member": ("identifier_id", "part", "position"),
    "group_trait": ("group_key", "name", "identifier_id", "part"),
}

__all__ = [
    "FACT_TRAITS",
    "GUARDIAN",
    "HOUSEHOLD",
    "MIGRATIONS",
    "TABLES",
    "GroupInvalid",
    "GroupPlace",
    "GroupTrait",
    "GroupWriter",
    "Statement",
    "facts_of",
    "find_trait",
    "iter_sayings",
    "iter_statements",
    "join_body",
    "judge_places",
    "leave_body",
    "list_anchors",
    "list_large",
    "list_sayings",
    "list_traits",
    "load_statements",
    "parse_group",
    "turns_of",
]
