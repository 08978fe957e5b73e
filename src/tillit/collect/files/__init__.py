"""Files in: bring the rows of a file into the log, once.

In:    CSV, JSONL and Parquet files, each with a mapping.
Out:   rows for the log with ids that follow from what they say; rejected rows with their number and reason.
Never: a second effect of the same row; a file read into memory as a whole.
"""

from tillit.collect.files.importer import (
    BLOCK_ROWS,
    AlreadyImporting,
    Outcome,
    Preview,
    Progress,
    forget_rejects,
    import_rows,
    preview_rows,
)
from tillit.collect.files.mapping import BadMapping, Mapping, load_mapping, read_mapping
from tillit.collect.files.readers import BadFile, open_rows
from tillit.collect.files.rejects import iter_reject_csv, iter_reject_lines, retry_mapping, strip_mended
from tillit.collect.files.rows import BadRow
from tillit.collect.files.suggest import suggest_mapping
from tillit.collect.files.uploads import Upload, Uploads, UploadTooLarge, as_view, forget_uploads, safe_name

__all__ = [
    "BLOCK_ROWS",
    "AlreadyImporting",
    "BadFile",
    "BadMapping",
    "BadRow",
    "Mapping",
    "Outcome",
    "Preview",
    "Progress",
    "Upload",
    "UploadTooLarge",
    "Uploads",
    "as_view",
    "forget_rejects",
    "forget_uploads",
    "import_rows",
    "iter_reject_csv",
    "iter_reject_lines",
    "load_mapping",
    "open_rows",
    "preview_rows",
    "read_mapping",
    "retry_mapping",
    "safe_name",
    "strip_mended",
    "suggest_mapping",
]
