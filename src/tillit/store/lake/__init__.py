"""The lake: the whole history of events in an open table format.

In:    applied events of the log, in order; positions to forget; SQL questions.
Out:   a Delta table that DuckDB and any Delta reader can read; rows for timelines and rebuilds.
Never: a profile id; a personal value in statistics, file names, predicates or the transaction log; a row twice.
"""

from tillit.store.lake.faults import LakeBroken, LakeBusy, LakePathRefused, LakeQueryFailed, LakeQueryRefused, answered
from tillit.store.lake.rows import batch
from tillit.store.lake.table import Lake, files_sql, reading_engine

__all__ = [
    "Lake",
    "LakeBroken",
    "LakeBusy",
    "LakePathRefused",
    "LakeQueryFailed",
    "LakeQueryRefused",
    "answered",
    "batch",
    "files_sql",
    "reading_engine",
]
