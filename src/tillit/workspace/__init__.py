"""The workspace: the object a caller holds, and its parts.

In:    a folder.
Out:   `Workspace`, with one part for each thing that can be asked.
Never: a rule of its own: rooms know, this room hands over what they need and joins what several of them say.
"""

from tillit.workspace.audience_past import end_of_day
from tillit.workspace.audience_told import call_people, people_in
from tillit.workspace.deliveries import UnknownDestination, UnknownTemplate
from tillit.workspace.delivery_views import HowItIs, Life
from tillit.workspace.folder import MARK, NoWorkspace, Paths, create_workspace, discard_unreadable_state, open_state
from tillit.workspace.ledger import open_ledger, subjects_of
from tillit.workspace.messages import words_of
from tillit.workspace.people import (
    NAMELESS,
    Related,
    find_membership_of,
    find_names,
    find_people,
    is_refused,
    name_of,
    unknown_profile,
)
from tillit.workspace.plans import AskedPlan, PlanGone, Plans, forget_plans
from tillit.workspace.quarantine import Replayed
from tillit.workspace.reads import Reads
from tillit.workspace.retention import Outlook, Swept
from tillit.workspace.rules import Progress, RulesUnchanged, people_shown
from tillit.workspace.workspace import Workspace

__all__ = [
    "MARK",
    "NAMELESS",
    "AskedPlan",
    "HowItIs",
    "Life",
    "NoWorkspace",
    "Outlook",
    "Paths",
    "PlanGone",
    "Plans",
    "Progress",
    "Reads",
    "Related",
    "Replayed",
    "RulesUnchanged",
    "Swept",
    "UnknownDestination",
    "UnknownTemplate",
    "Workspace",
    "call_people",
    "create_workspace",
    "discard_unreadable_state",
    "end_of_day",
    "find_membership_of",
    "find_names",
    "find_people",
    "forget_plans",
    "is_refused",
    "name_of",
    "open_ledger",
    "open_state",
    "people_in",
    "people_shown",
    "subjects_of",
    "unknown_profile",
    "words_of",
]
