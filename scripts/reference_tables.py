"""Write down every table of a workspace, from the migrations that make them.

In:    the rooms' `NNNN_name.sql` files, with their comments; the lake's own schema.
Out:   `docs/reference/workspace-tables.md` as text; the tables' names.
Never: a column or a grain that the SQL does not state.
"""

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from tillit.store.lake import Lake

SOURCE = Path(__file__).resolve().parent.parent / "src" / "tillit"

# Which file a folder of migrations makes tables in; `migrations/` itself is derived state.
_FILES = {
    "log": "log.db",
    "registry": "registry.db",
    "journal": "journal.db",
    "truth": "NAME.truth.db",
    "erasures": "erasures.db",
    "keys": "ledger-keys.db",
    "deliveries": "deliveries.db",
}
_JOURNALS = {"audience": "audiences.db"}  # rooms whose journal is a file of its own
_STATE = "state.db"
_ORDER = (
    "log.db",
    _STATE,
    "registry.db",
    "journal.db",
    "deliveries.db",
    "audiences.db",
    "erasures.db",
    "ledger-keys.db",
    "NAME.truth.db",
)
_TYPES = {
    "{int64}": "whole number",
    "INTEGER": "whole number",
    "{text}": "text",
    "TEXT": "text",
    "{bytes}": "bytes",
    "BLOB": "bytes",
}
_ENGINE_TYPES = {"BIGINT": "whole number", "VARCHAR": "text", "BLOB": "bytes"}
_CREATE = re.compile(r"((?:^--[^\n]*\n)*)^CREATE TABLE (\w+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
_DROP = re.compile(r"^DROP TABLE (\w+);", re.MULTILINE)
_ADD = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+) (\{\w+\}|[A-Z]+)(.*);", re.MULTILINE)
_COLUMN = re.compile(r"^\s+(\w+)\s+(\{\w+\}|[A-Z]+)(.*?),?$")
_KEY = re.compile(r"^\s+(?:PRIMARY KEY|UNIQUE) \(.*?\)", re.MULTILINE)

_HEAD = """\
# Workspace tables

Made from the migrations by `make docs`; do not edit.

Every table of a workspace: which room owns it, what one row is, and its columns.
Only the owner writes to it.
Columns that end in `_at` are microseconds since 1970, UTC; `position` is a place in the log; `_id` is ours.
`trust` is 1 for a public key (claimed), 2 for a secret key or a file (server), 3 for an operator, 4 for verified.
These are for looking: programs that must keep working read the [HTTP API](http-api.md) or the lake.

Each SQLite file also has `migration(room, number, checksum)`: which of the files behind this page it has seen.
With `state.url` set, the tables of `state.db` are in PostgreSQL instead.
`NAME.truth.db` is no part of a workspace: it lies beside the folder `NAME` of a simulated one.
"""


class Table(NamedTuple):
    """One table, as its migration states it."""

    file: str
    name: str
    room: str
    told: str  # the comment above it
    columns: list[tuple[str, str, str]]  # name, type, what else
    keys: list[str]


def tables() -> list[Table]:
    """List every table that the migrations make, as the last of them leaves it."""
    found: dict[tuple[str, str], Table] = {}
    for path in sorted(SOURCE.rglob("migrations/**/*.sql")):
        parts = path.relative_to(SOURCE).parts
        file = _FILES.get(parts[-2], _STATE)
        if parts[-2] == "journal":
            file = _JOURNALS.get(parts[0], file)
        text = path.read_text(encoding="utf-8")
        # What a table is stays said when it is made anew without a word.
        said = {name: old.told for name in _DROP.findall(text) if (old := found.pop((file, name), None)) is not None}
        for comment, name, body in _CREATE.findall(text):
            told = " ".join(line.removeprefix("--").strip() for line in comment.splitlines()) or said.get(name, "")
            keys = [" ".join(key.split()) for key in _KEY.findall(body)]
            columns = [
                (column[1], _TYPES[column[2]], _more(column[3]))
                for line in body.splitlines()
                if (column := _COLUMN.match(line)) is not None and column[1] not in {"PRIMARY", "UNIQUE"}
            ]
            found[file, name] = Table(file, name, parts[0], told, columns, keys)
        for altered, name, kind, rest in _ADD.findall(text):
            found[file, altered].columns.append((name, _TYPES[kind], _more(rest)))
    return sorted(found.values(), key=lambda table: _ORDER.index(table.file))


def tables_page() -> str:
    """Give the reference page of tables, in Markdown."""
    lines = [_HEAD.rstrip()]
    for file in _ORDER:
        lines += ["", f"## {file}"]
        for table in tables():
            if table.file != file:
                continue
            lines += ["", f"### {table.name}", "", f"Owner: `{table.room}/`."]
            lines += [_sentences(table.told)] if table.told else []
            lines += ["", "| column | holds | |", "|---|---|---|"]
            lines += [f"| `{name}` | {kind} | {more} |" for name, kind, more in table.columns]
            lines += ["", f"Keys: {'; '.join(f'`{key}`' for key in table.keys)}."] if table.keys else []
    lines += ["", "## lake/events", "", "Owner: `store/`.", _sentences(" ".join(str(Lake.__doc__).split()))]
    lines += ["", "| column | holds |", "|---|---|"]
    lines += [f"| `{name}` | {kind} |" for name, kind in lake_columns()]
    return "\n".join(lines) + "\n"


def lake_columns() -> list[tuple[str, str]]:
    """Ask an empty lake for its columns."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder) / "events", sync=False)
        told = lake.query("DESCRIBE events")
        lake.close()
    return [(str(row[0]), _ENGINE_TYPES[str(row[1])]) for row in told]


def _more(rest: str) -> str:
    words = []
    if "PRIMARY KEY" in rest:
        words.append("key")
    if "UNIQUE" in rest:
        words.append("unique")
    if "NOT NULL" not in rest and "PRIMARY KEY" not in rest:
        words.append("may be unknown")
    return ", ".join(words)


def _sentences(text: str) -> str:
    """Put each sentence on a line of its own."""
    return re.sub(r"(?<=[.!?]) (?=[A-Z])", "\n", text)
