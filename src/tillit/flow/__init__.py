"""The order of things: log rows become state, state and log become the lake, and all of it can be made anew.

In:    the log.
Out:   derived state, the lake.
Never: a concept of its own. Rooms say what a step means; this package says when it happens.
"""

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
from tillit.flow.forget import forget_act, is_husk
from tillit.flow.rebuild import Difference, carry_fates, compare_states, fold_anew, reset_state

__all__ = [
    "COMPARED_TABLES",
    "FOLD",
    "FOLD_VERSION",
    "Applied",
    "Difference",
    "Engine",
    "EngineBusy",
    "Fold",
    "FoldAhead",
    "FoldOutdated",
    "LakeWriter",
    "carry_fates",
    "compare_states",
    "file_lock",
    "fold_anew",
    "forget_act",
    "is_held",
    "is_husk",
    "prepare",
    "quiet_garbage_collector",
    "reset_state",
    "trusted_position",
]
