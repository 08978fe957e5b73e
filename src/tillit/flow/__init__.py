"""The order of things: log rows become state, state and log become the lake, and all of it can be made anew.

In:    the log.
Out:   derived state, the lake.
Never: a concept of its own. Rooms say what a step means; this package says when it happens.
"""

from tillit.flow.audiences import Permissions
from tillit.flow.catalog import catalog_of
from tillit.flow.changeover import Beside, take_over
from tillit.flow.engine import Engine, EngineBusy, LakeWriter, file_lock, is_held
from tillit.flow.fold import (
    COMPARED_TABLES,
    FOLD,
    FOLD_VERSION,
    Applied,
    Fold,
    FoldAhead,
    FoldOutdated,
    prepare,
    quiet_garbage_collector,
    trusted_position,
)
from tillit.flow.forget import forget_act, is_husk, named_by
from tillit.flow.group_members import Circles, OfPerson, standing_statements
from tillit.flow.history import History, needs_of
from tillit.flow.judging_apart import judge_as_told
from tillit.flow.past import count_met, counts_then, members_then
from tillit.flow.permissions import judge, judge_due, roots_of
from tillit.flow.plan import Case, Cluster, Planned, measure
from tillit.flow.rebuild import Difference, carry_fates, compare_states, fold_anew, iter_log, reset_state, rules_of
from tillit.flow.subjects import find_telling, read_known, read_subject

__all__ = [
    "COMPARED_TABLES",
    "FOLD",
    "FOLD_VERSION",
    "Applied",
    "Beside",
    "Case",
    "Circles",
    "Cluster",
    "Difference",
    "Engine",
    "EngineBusy",
    "Fold",
    "FoldAhead",
    "FoldOutdated",
    "History",
    "LakeWriter",
    "OfPerson",
    "Permissions",
    "Planned",
    "carry_fates",
    "catalog_of",
    "compare_states",
    "count_met",
    "counts_then",
    "file_lock",
    "find_telling",
    "fold_anew",
    "forget_act",
    "is_held",
    "is_husk",
    "iter_log",
    "judge",
    "judge_as_told",
    "judge_due",
    "measure",
    "members_then",
    "named_by",
    "needs_of",
    "prepare",
    "quiet_garbage_collector",
    "read_known",
    "read_subject",
    "reset_state",
    "roots_of",
    "rules_of",
    "standing_statements",
    "take_over",
    "trusted_position",
]
