"""Places outside log, state and lake in which somebody's values may lie: quarantined bytes, reject files, folders.

In:    the values to look for.
Out:   rows and files without them; how many went.
Never: a row of somebody else lost from quarantine; a file half written.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tillit.store import Writing

_DISTINCTIVE = 6  # bytes; taste: shorter ones stand in other people's bytes by chance
_PART = 500


class Values:
    """The values of one person, in the spellings in which they may be found."""

    def __init__(self, values: Iterable[str]) -> None:
        """Part them: those long enough to be looked for anywhere, and all of them for cells that hold one alone."""
        self.all = sorted({value for value in values if value})
        self.distinctive = [value for value in self.all if len(value.encode("utf-8", "surrogatepass")) >= _DISTINCTIVE]
        self._cells = {value.strip().casefold() for value in self.all}
        self._bytes = [way for value in self.distinctive for way in _ways(value)]

    def are_in(self, blob: bytes) -> bool:
        """Say whether bytes hold one of the distinctive values, in any letters."""
        small = blob.lower()
        return any(way in small for way in self._bytes)

    def are_in_cells(self, told: object) -> bool:
        """Say whether a document or a row holds one of the values, alone in a cell."""
        if isinstance(told, str):
            return told.strip().casefold() in self._cells
        if isinstance(told, dict):
            return any(self.are_in_cells(one) for one in told.values())
        if isinstance(told, list):
            return any(self.are_in_cells(one) for one in told)
        return isinstance(told, int | float) and str(told) in self._cells


def _ways(value: str) -> list[bytes]:
    small = value.lower()
    return list(
        dict.fromkeys(
            [
                small.encode("utf-8", "surrogatepass"),
                json.dumps(small)[1:-1].lower().encode(),
                small.encode("utf-16-le", "surrogatepass"),
            ]
        )
    )


def erase_from_quarantine(tx: Writing, values: Values, names: Callable[[bytes], bool]) -> int:
    """Delete what the door could not take and that names somebody; `names` reads it as an event. Say how many."""
    gone = 0
    after = 0
    while rows := tx.read(
        "SELECT quarantine_id, raw, message_id, reason FROM quarantine WHERE quarantine_id > ? "
        f"ORDER BY quarantine_id LIMIT {_PART}",
        (after,),
    ):
        after = int(rows[-1][0])
        found = [
            (number,)
            for number, raw, message_id, reason in rows
            if values.are_in(bytes(raw)) or values.are_in(f"{message_id}\n{reason}".encode()) or names(bytes(raw))
        ]
        tx.executemany("DELETE FROM quarantine WHERE quarantine_id = ?", found)
        gone += len(found)
    return gone


def erase_from_rejects(folder: Path, values: Values) -> int:
    """Take somebody's rows out of the files of rejected rows; say how many went."""
    gone = 0
    for path in sorted(folder.glob("*.jsonl")):
        kept, n_out = [], 0
        for line in path.read_bytes().splitlines(keepends=True):
            if values.are_in(line) or _is_of(line, values):
                n_out += 1
            else:
                kept.append(line)
        if n_out:
            gone += n_out
            _replace(path, kept)
    return gone


def _is_of(line: bytes, values: Values) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return False
    raw = told.get("raw") if isinstance(told, dict) else None
    if isinstance(raw, str):
        return any(
            values.are_in_cells(cell.strip("\"' ")) for cell in raw.replace(";", ",").replace("\t", ",").split(",")
        )
    return values.are_in_cells(raw)


def _replace(path: Path, lines: list[bytes]) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def erase_files(folder: Path) -> int:
    """Delete every file below a folder: nobody knows whom each names. Say how many went."""
    gone = 0
    for path in _files(folder):
        path.unlink(missing_ok=True)
        gone += 1
    return gone


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())
