"""Rejected rows as a table that people mend: out as CSV that no spreadsheet runs, back in as rows to import.

In:    a reject file as the importer writes it; a table that somebody mended.
Out:   CSV or JSON lines, row by row; the same rows without what was added for reading.
Never: a cell that a spreadsheet would take for a formula; a file in memory.
"""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from tillit.collect.files.mapping import read_mapping
from tillit.collect.files.readers import sniff_delimiter
from tillit.records import plain_cell, safe_cell

ADDED = ("row", "line", "code", "reason")  # columns before the file's own
_SNIFF_BYTES = 65_536
csv.field_size_limit(1 << 24)  # a row of a file of ours is at most a megabyte; a mended one is not longer


def iter_reject_csv(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[bytes]:
    """Give the rejected rows as CSV, in parts: why each was refused, then its cells under the file's own columns."""
    # Excel takes a file for UTF-8 only when it begins with the mark.
    yield b"\xef\xbb\xbf" + _csv_line([*ADDED, *(columns or ["whole row"])])
    for reject in _iter_rejects(path):
        raw = reject["raw"]
        if not columns:
            cells = [raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)]
        elif isinstance(raw, dict):
            cells = [_cell_text(raw.get(column)) for column in columns]
        elif delimiter == "whitespace":
            cells = str(raw).split()
        else:
            cells = next(csv.reader(StringIO(str(raw), newline=""), delimiter=delimiter), [])
        yield _csv_line([str(reject.get(name, "")) for name in ADDED] + cells)


def iter_reject_lines(path: Path) -> Iterator[bytes]:
    """Give the rejected rows of a file of JSON or Parquet as they stood, one JSON object a line."""
    for reject in _iter_rejects(path):
        raw = reject["raw"]
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=True)
        yield text.encode("utf-8", "backslashreplace") + b"\n"


def strip_mended(path: Path) -> None:
    """Turn a mended table of rejects into the file's own rows: without what was added to them."""
    fresh = path.with_name(".mended")
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as mended:
        sample = mended.read(_SNIFF_BYTES).splitlines()
        mended.seek(0)
        # Spreadsheets of half of Europe save with semicolons.
        rows = csv.reader(mended, delimiter=sniff_delimiter(sample) if sample else ",")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
            writer = csv.writer(out)
            head = next(rows, [])
            n_ours = len(ADDED) if tuple(cell.strip() for cell in head[: len(ADDED)]) == ADDED else 0
            writer.writerow([plain_cell(cell) for cell in head[n_ours:]])
            writer.writerows([plain_cell(cell) for cell in row[n_ours:]] for row in rows)
    fresh.replace(path)


def retry_mapping(text: str) -> str:
    """Give the mapping under which mended rejects are read: the same, but for how the file is written."""
    document: dict[str, Any] = yaml.safe_load(text)
    is_table = read_mapping(text).format == "csv"
    for key in ("encoding", "delimiter", "header", "columns"):
        document.pop(key, None)
    document["format"] = "csv" if is_table else "jsonl"
    if is_table:
        document["delimiter"] = "comma"
    head = "# The mapping of the first import; the mended rows come as a table of their own.\n"
    return head + str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _iter_rejects(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="ascii") as file:
        for line in file:
            found = json.loads(line)
            if "raw" in found:  # the last line sums up
                yield found


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _csv_line(cells: Sequence[str]) -> bytes:
    out = StringIO(newline="")
    csv.writer(out).writerow([safe_cell(cell) for cell in cells])
    return out.getvalue().encode("utf-8", "backslashreplace")
