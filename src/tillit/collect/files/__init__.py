"""Files in: bring the rows of a file into the log, once.

In:    CSV, JSONL and Parquet files, each with a mapping.
Out:   rows for the log with ids that follow from what they say; rejected rows with their number and reason.
Never: a second effect of the same row; a file read into memory as a whole.
"""

from tillit.collect.files.importer import AlreadyImporting, Outcome, Progress, forget_rejects, import_rows
from tillit.collect.files.mapping import BadMapping, Mapping, load_mapping, read_mapping
from tillit.collect.files.readers import BadFile
from tillit.collect.files.rows import BadRow
from tillit.collect.files.suggest import suggest_mapping

__all__ = [
    "AlreadyImporting",
    "BadFile",
    "BadMapping",
    "BadRow",
    "Mapping",
    "Outcome",
    "Progress",
    "forget_rejects",
    "import_rows",
    "load_mapping",
    "read_mapping",
    "suggest_mapping",
]
