"""Rewriting: take rows out of data files, and decode no more than the row groups that hold them.

In:    data files, the positions to forget, and the rows that take their place.
Out:   new files, and the commit that puts them in the place of the old ones.
Never: a byte of a forgotten row in a new file; a row group decoded that holds none; an old file changed.
"""

import json
import os
import shutil
import uuid
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tillit import clock
from tillit.records import LogRow
from tillit.store.lake.groups import Footer, Group, read_footer, write_groups
from tillit.store.lake.rows import WITH_STATISTICS, batch, schema

if TYPE_CHECKING:  # outside packages, loaded at their seam by those who touch the lake
    import duckdb
    from arro3.core import RecordBatch
    from deltalake import PostCommitHookProperties, WriterProperties

# A folder in the table's for row groups on their way; Delta readers pass over names that begin so.
SCRATCH = "_rewriting"
_GROUPS_PER_PART = 16  # decoded at once: 65,000 events, some 100 MB


def no_hooks() -> "PostCommitHookProperties":
    """Keep the library from making checkpoints: its own are not synced before the commits they replace are deleted."""
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


class Rewritten(NamedTuple):
    """What came of a file. Grain: one per file."""

    old: Path
    new: Path | None  # None: none of its rows stays
    groups: list[Group]  # as they lay where they were taken from


def find_places(engine: "duckdb.DuckDBPyConnection", files: Sequence[Path], predicate: str) -> dict[Path, list[int]]:
    """Say which rows of which files a predicate takes: their numbers in the file."""
    found: dict[Path, list[int]] = {}
    if files:
        source = "read_parquet(?, filename = true, file_row_number = true)"
        sql = f"SELECT filename, file_row_number FROM {source} WHERE {predicate}"
        for file, place in engine.execute(sql, [[str(file) for file in files]]).fetchall():
            found.setdefault(Path(file), []).append(place)
    return found


class Rewriting(NamedTuple):
    """What taking some rows out of data files needs."""

    engine: "duckdb.DuckDBPyConnection"
    gone: Collection[int]  # positions
    husks: Mapping[int, LogRow]  # what comes into their places, by position
    properties: "WriterProperties"
    scratch: Path

    def rewrite_all(self, places: Mapping[Path, Sequence[int]]) -> list[Rewritten]:
        """Write files anew; places are the numbers of the rows in each that are to go."""
        # Decoding and encoding let go of the interpreter: on two processors two at a time took two thirds (measured).
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.rewrite, places, places.values()))

    def rewrite(self, file: Path, places: Sequence[int]) -> Rewritten:
        """Write one file anew."""
        footer = read_footer(file)
        ends = list(accumulate(group.n_rows for group in footer.groups))
        anew, foot = self._decoded(footer, sorted({bisect_right(ends, place) for place in places}))
        if foot is not None and foot.before != footer.before:
            # Another version of the library describes the columns otherwise: nothing can be taken as it is.
            anew, foot = self._decoded(footer, range(len(ends)))
        groups = [one for i, group in enumerate(footer.groups) for one in anew.get(i, [group])]
        if not groups:
            return Rewritten(file, None, [])
        new = file.parent / f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
        write_groups(new, foot or footer, groups)
        return Rewritten(file, new, groups)

    def _decoded(self, footer: Footer, touched: Sequence[int]) -> tuple[dict[int, list[Group]], Footer | None]:
        """Decode these groups and write what stays of them; give what stands for each, and a footer of theirs."""
        anew: dict[int, list[Group]] = {}
        foot: Footer | None = None
        for first in range(0, len(touched), _GROUPS_PER_PART):
            numbers = touched[first : first + _GROUPS_PER_PART]
            old = self.scratch / f"{uuid.uuid4()}.parquet"
            write_groups(old, footer, [footer.groups[number] for number in numbers])
            written = [read_footer(one) for one in self._write(old)]
            old.unlink()
            groups = [group for one in written for group in one.groups]
            # One for one as far as it goes, so that groups of neighbouring positions stay neighbours.
            anew.update({number: groups[i : i + 1] for i, number in enumerate(numbers)})
            anew[numbers[-1]] = groups[len(numbers) - 1 :]
            foot = written[0] if written else foot
        return anew, foot

    def _write(self, old: Path) -> list[Path]:
        from arro3.core import Table
        from deltalake import write_deltalake

        staying = list(self._staying(old))
        if not staying:
            return []
        into = old.with_suffix("")
        write_deltalake(
            str(into),
            # In one piece: the library writes several in mixed order.
            Table.from_batches(staying).combine_chunks(),
            writer_properties=self.properties,
            post_commithook_properties=no_hooks(),
        )
        return sorted(into.glob("*.parquet"))

    def _staying(self, old: Path) -> "Iterator[RecordBatch]":
        """Give the rows of a file without those that are to go, or with their husks."""
        from arro3.core import RecordBatch, Table

        columns = schema()
        sql = f"SELECT {', '.join(columns.names)} FROM read_parquet($old)"
        with self.engine.cursor() as engine:
            rows = Table.from_arrow(engine.sql(sql, params={"old": str(old)}))
        for told in rows.to_batches():
            # The engine takes every column for one that may be empty; the table knows better.
            some = RecordBatch.from_arrays([told.column(i) for i in range(told.num_columns)], schema=columns)
            start = 0
            for place, position in enumerate(some["position"].to_pylist()):
                if position in self.gone:
                    if place > start:
                        yield some.slice(start, place - start)
                    if position in self.husks:
                        yield batch([self.husks[position]], [some["epoch"][place].as_py()])
                    start = place + 1
            if start < some.num_rows:
                yield some.slice(start)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for row groups on their way, and delete it."""
    path = folder / SCRATCH
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def commit(record: Path, version: int, rewritten: Sequence[Rewritten]) -> None:
    """Put new files in the place of old ones, in one commit of the Delta record. Raises FileExistsError.

    Source: Delta transaction protocol, actions `add` and `remove`.
    """
    now_ms = clock.now_us() // 1000
    actions: list[dict[str, object]] = [
        {"commitInfo": {"timestamp": now_ms, "operation": "DELETE", "operationParameters": {}, "engineInfo": "tillit"}}
    ]
    for one in rewritten:
        gone = {"path": one.old.name, "deletionTimestamp": now_ms, "dataChange": True}
        actions.append({"remove": gone})
        if one.new is not None:
            added = {"path": one.new.name, "partitionValues": {}, "size": one.new.stat().st_size}
            added |= {"modificationTime": now_ms, "dataChange": True, "stats": json.dumps(_statistics(one.groups))}
            actions.append({"add": added})
    name = record / f"{version:020d}.json"
    staged = name.with_suffix(".json.tmp")
    staged.write_text("".join(json.dumps(action) + "\n" for action in actions))
    try:
        os.link(staged, name)  # unlike a renaming, it fails where another writer was quicker
    finally:
        staged.unlink()


def _statistics(groups: Sequence[Group]) -> dict[str, object]:
    names = schema().names
    least, greatest = {}, {}
    for name in WITH_STATISTICS:
        bounds = [bound for group in groups if (bound := group.bounds[names.index(name)]) is not None]
        least[name] = min(_long(low) for low, _ in bounds)
        greatest[name] = max(_long(high) for _, high in bounds)
    n_rows = sum(group.n_rows for group in groups)
    none = dict.fromkeys(WITH_STATISTICS, 0)
    return {"numRecords": n_rows, "minValues": least, "maxValues": greatest, "nullCount": none}


def _long(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)
