"""Leave to use personal values: only `consent/` makes these.

In:    nothing.
Out:   `Permit` (one person) and `Scope` (many), received by every function that hands out personal values.
Never: stored. They carry the log position at which they were decided and are asked for again.
"""

from typing import NamedTuple


class Permit(NamedTuple):
    """Leave to use one person's values for one purpose."""

    purpose: str
    position: int  # log position at which it was decided
    asked_by: str  # id of the key or "process" for the Python door


class Scope(NamedTuple):
    """Leave to use many people's values for one purpose."""

    purpose: str
    position: int
    asked_by: str
