"""The lake's files after a crash: what a power cut or a kill left behind.

In:    the table's folder.
Out:   a record of commits in which each is whole.
Never: a commit undone that was synced.
"""

import json
import os
import re
from pathlib import Path

# Left behind by a process that was killed while it wrote. The Delta library's own vacuum does not see these names.
STAGED = re.compile(r"#\d+$|\.tmp$")
COMMIT = re.compile(r"^(\d{20})\.json$")
CHECKPOINT = re.compile(r"^\d{20}\.checkpoint.*\.parquet$")


def mend(path: Path) -> None:
    """Undo the newest commit when a power cut tore it: the log still has its rows.

    Only the newest can be torn, since each is synced before the next begins.
    """
    record = path / "_delta_log"
    if not record.is_dir():
        return
    pointer = record / "_last_checkpoint"
    for entry in record.iterdir():
        if CHECKPOINT.match(entry.name) and not is_whole_parquet(entry):
            pointer.unlink(missing_ok=True)
            entry.unlink()
    if pointer.exists() and not _is_json(pointer.read_bytes()):
        pointer.unlink()
    versions = sorted(int(found[1]) for entry in record.iterdir() if (found := COMMIT.match(entry.name)))
    if versions and versions[-1] > checkpoint_version(path):
        newest = record / f"{versions[-1]:020d}.json"
        if _is_torn(newest, path):
            newest.unlink()
            fsync(record)


def _is_torn(commit: Path, root: Path) -> bool:
    content = commit.read_bytes()
    lines = content.splitlines()
    if not lines or not all(_is_json(line) for line in lines):
        return True
    return not all(is_whole_parquet(root / name) for name in added_by(commit))


def added_by(commit: Path) -> list[str]:
    """Give the data files that a commit added."""
    actions = (json.loads(line) for line in commit.read_bytes().splitlines())
    return [action["add"]["path"] for action in actions if "add" in action]


def is_whole_parquet(file: Path) -> bool:
    """Say whether a Parquet file has its beginning and its end; a torn one lacks the end or holds zeros."""
    try:
        with file.open("rb") as opened:
            head = opened.read(4)
            opened.seek(-4, os.SEEK_END)
            return head == opened.read(4) == b"PAR1"
    except OSError:
        return False


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def checkpoint_version(path: Path) -> int:
    """Say which commit the newest checkpoint stands for (-1: there is none)."""
    pointer = path / "_delta_log" / "_last_checkpoint"
    return int(json.loads(pointer.read_bytes())["version"]) if pointer.exists() else -1


def fsync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
