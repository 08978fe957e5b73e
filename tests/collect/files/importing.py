"""Run imports against a real log, and read back what it holds.

In:    bytes of a file, the text of a mapping.
Out:   the outcome, the log's rows, the reject file's records.
Never: a fold. What a second sight does is the fold's to say; here the ids tell.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tillit.collect.files import Outcome, import_rows, read_mapping
from tillit.collect.limits import Limits
from tillit.records import LogRow
from tillit.store import Log

NOON = 1_790_000_000_000_000  # September 2026
ORDERS = """
name: orders
source: till
format: csv
type: track
event: Order Completed
user_id: customer
timestamp: {column: at, format: iso, zone: Europe/Stockholm}
properties:
  total: {column: total, type: number}
"""


class Imported(NamedTuple):
    """What an import left behind."""

    outcome: Outcome
    rows: list[LogRow]
    rejects: list[dict[str, Any]]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(row.body or b"{}") for row in self.rows]

    @property
    def ids(self) -> list[str]:
        return [body["messageId"] for body in self.bodies]


class Shop:
    """A log and the folders of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log.open(folder / "log.db")

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def bring(self, path: Path, mapping: str = ORDERS, **options: Any) -> Imported:
        """Import a file and give only the rows that this import appended."""
        head = self.log.head()
        outcome = import_rows(
            path,
            read_mapping(mapping),
            append=lambda rows: self.log.append(rows, now=NOON),
            limits=Limits(),
            rejects_folder=self.folder / "rejects",
            positions_folder=self.folder / "run" / "imports",
            now=lambda: NOON,
            **options,
        )
        rejects = self.folder / "rejects" / f"{outcome.import_id}.jsonl"
        lines = rejects.read_text(encoding="ascii").splitlines() if rejects.exists() else []
        return Imported(outcome, self.log.read(head, 1_000_000), [json.loads(line) for line in lines])


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    shop = Shop(folder)
    try:
        yield shop
    finally:
        shop.log.close()
