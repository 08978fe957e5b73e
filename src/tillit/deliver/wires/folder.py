"""Folder: records as CSV or Parquet files, in a folder of this machine or in a bucket.

In:    upserts, events and removals of one destination.
Out:   parts NAME-000001.csv of at most `rows` rows, each written whole; an answer per item.
Never: two rows of one record; a byte of a removed record in any part; a cost that grows with all that was ever sent.

A record lies in one part and stays there: an upsert or a removal writes that part anew, a new record goes into the
emptiest. Which part has which record is told by an index in the workspace, of keys alone. It is derived: before each
call the parts that changed since are read again, so an older index, or none, finds the same.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from tillit.clock import monotonic_s
from tillit.deliver.definitions import DefinitionInvalid, Destination, read_to_as
from tillit.deliver.outward import check_url
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED, UNKNOWN, Answer, Checked, Outgoing, cut_words
from tillit.deliver.wires import Ways
from tillit.deliver.wires.columns import Row, Unfit, read_columns, read_kinds
from tillit.deliver.wires.parts import Csv, Format, NotReadable, Parquet
from tillit.deliver.wires.places import (
    Bucket,
    LocalPlace,
    Place,
    PlaceFailed,
    Resolve,
    S3Place,
    Secret,
    check_path,
    is_inside,
    lock,
)
from tillit.errors import TillitError
from tillit.store import SqliteState

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9!_.*'()/-]*))?")
_INDEX = (
    "CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, tag TEXT NOT NULL, n_rows INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS place (key TEXT, part TEXT, PRIMARY KEY (key, part)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS place_part ON place (part)",
)


class FolderTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the parts lie, and how they are written."""

    path: str  # of this machine, absolute; or s3://bucket/prefix
    format: Literal["csv", "parquet"] = "csv"
    columns: dict[str, str] = {}  # the kind of a field that is not text
    rows: int = 10_000  # of one part; measured: one with ten columns is read and written anew in 0.1 s
    region: str = ""
    endpoint: str = ""  # of a bucket that is not Amazon's
    access_key_secret: str = ""  # the name of the secret that holds the id of the access key
    secret_key_secret: str = ""  # the name of the secret that holds the secret key


def read_to(where: str, to: Mapping[str, Any]) -> FolderTo:
    """Read the `to:` of a folder. Raises DefinitionInvalid."""
    told = read_to_as(where, to, FolderTo)
    read_kinds(where, told.columns)
    if not 100 <= told.rows <= 1_000_000:
        raise DefinitionInvalid(where, f"to.rows is {told.rows:,}; it must be from 100 to 1,000,000.")
    of_a_bucket = (told.region, told.access_key_secret, told.secret_key_secret)
    if told.path.startswith("s3:"):
        found = _S3.fullmatch(told.path)
        if found is None or ".." in told.path or "//" in told.path[5:]:
            raise DefinitionInvalid(where, "to.path is not s3://bucket/prefix.")
        if not all(of_a_bucket):
            raise DefinitionInvalid(where, "a bucket wants to.region, to.access_key_secret and to.secret_key_secret.")
    elif any(of_a_bucket) or told.endpoint:
        raise DefinitionInvalid(where, "region, endpoint and secrets are of a bucket, s3://bucket/prefix.")
    else:
        check_path(where, told.path)
    return told


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where a folder is, and its columns. Raises DefinitionInvalid, OutwardInvalid, OutwardRefused."""
    where = f"Destination {destination.destination!r}"
    told = read_to(where, destination.to)
    read_columns(where, destination.fields, told.columns)
    if told.endpoint:
        check_url(told.endpoint, allow=ways.allow)
    elif told.path.startswith("/") and is_inside(Path(told.path), ways.workspace):
        raise DefinitionInvalid(where, "to.path lies inside the workspace.")


def open_wire(destination: Destination, ways: Ways) -> "FolderWire":
    """Open a folder, in a running loop; see `FolderWire`."""
    check_to(destination, ways)
    cache = ways.workspace / "folders" / destination.destination
    return FolderWire(destination, workspace=ways.workspace, cache=cache, secret=ways.revealed, resolve=ways.resolve)


class FolderWire:
    """A folder, open. Calls follow each other in a thread of its own."""

    is_idempotent = True
    n_together = 500

    def __init__(
        self, destination: Destination, *, workspace: Path, cache: Path, secret: Secret, resolve: Resolve
    ) -> None:
        """Take a destination of kind folder; nothing is written yet.

        `cache`: a folder for the index and what passes through it; whatever is in it may be deleted at any time.
        Raises: DefinitionInvalid, MissingExtra.
        """
        where = f"Destination {destination.destination!r}"
        self._to = read_to(where, destination.to)
        self._name = destination.destination
        self._limit_s = destination.limits.timeout_s
        self._columns = read_columns(where, destination.fields, self._to.columns)
        self._workspace, self._cache = workspace, cache
        self._scratch = cache / "scratch.parquet"
        self._secret, self._resolve = secret, resolve
        self._is_part = re.compile(re.escape(self._name) + r"-[0-9]{6}\.(?:csv|parquet)").fullmatch
        self._place: Place | None = None
        self._index: SqliteState | None = None
        self._formats: dict[str, Format] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="folder")

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Write records, each into its part."""
        return await self._run(lambda: self._send(items), len(items))

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Take records out of every part that has them."""
        whose = _by_key(items)
        return await self._run(lambda: self._apply(dict.fromkeys(whose), whose, len(items)), len(items))

    async def check(self) -> Checked:
        """Look whether the folder is there and may be written, without writing."""
        began = monotonic_s()
        answer = (await self._run(self._look, 1))[0]
        return Checked(answer.outcome == DELIVERED, answer.words, (monotonic_s() - began) * 1000)

    async def close(self) -> None:
        """Let go of the index."""
        if self._index is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._index.close)
        self._thread.shutdown(wait=False)

    async def _run(self, act: Callable[[], list[Answer]], n: int) -> list[Answer]:
        try:
            if self._to.endpoint:
                parts = urlsplit(self._to.endpoint)
                await self._resolve(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except PlaceFailed as exc:
            failed = Answer(exc.outcome, exc.code, exc.words, has_left=False)
        except TillitError as exc:
            failed = Answer(LATER if exc.retryable else HALTED, exc.code, cut_words(exc.message), has_left=False)
        except OSError as exc:
            failed = Answer(LATER, "folder.unreachable", cut_words(exc.strerror or ""), has_left=False)
        return [failed] * n

    # -- in the thread

    def _look(self) -> list[Answer]:
        with self._held() as (place, _):
            n_parts = len(place.tags(self._is_ours))
        if isinstance(place, LocalPlace) and not os.access(self._to.path, os.W_OK):
            return [Answer(HALTED, "folder.eacces", "The folder may not be written.")]
        return [Answer(DELIVERED, words=f"{n_parts} parts are there.")]

    def _is_ours(self, name: str) -> bool:
        return self._is_part(name) is not None

    def _send(self, items: Sequence[Outgoing]) -> list[Answer]:
        rows: dict[str, Row | None] = {}
        refused: dict[int, Answer] = {}
        for n, item in enumerate(items):
            try:
                rows[item.record_key] = self._columns.row(item)
            except Unfit as exc:
                refused[n] = Answer(REFUSED, "folder.value", str(exc), has_left=False)
        answers = self._apply(rows, _by_key(items), len(items))
        return [refused.get(n, answer) for n, answer in enumerate(answers)]

    def _apply(self, rows: dict[str, Row | None], whose: Mapping[str, Sequence[int]], n: int) -> list[Answer]:
        """Write rows, or take them out where they are None; answer for all whose they are."""
        answers = [Answer(DELIVERED)] * n
        with self._held() as (place, index):
            tags = self._sync(place, index)
            changes = self._plan(index, rows)
            failed: PlaceFailed | None = None
            for name, change in changes.items():
                is_tried = failed is None
                if failed is None:
                    try:
                        self._write(place, index, name, tags.get(name), change)
                    except PlaceFailed as exc:
                        failed = exc
                    except OSError as exc:
                        failed = PlaceFailed(LATER, "folder.scratch", exc.strerror or "No part could be prepared.")
                if failed is not None:
                    # What was not begun after a failure was not kept either.
                    outcome = LATER if failed.outcome == UNKNOWN and not is_tried else failed.outcome
                    answer = Answer(outcome, failed.code, failed.words, has_left=is_tried)
                    for key in change:
                        for i in whose[key]:
                            answers[i] = answer if answers[i].outcome in (DELIVERED, LATER) else answers[i]
        return answers

    @contextmanager
    def _held(self) -> Iterator[tuple[Place, SqliteState]]:
        """Open what is needed, and keep other processes out: of the cache, and of the folder."""
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._cache, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lock(folder)
            # A killed process may have left values there.
            self._scratch.unlink(missing_ok=True)
            if self._index is None:
                self._index = SqliteState(self._cache / "index.db")
                with self._index.transaction() as tx:
                    for sql in _INDEX:
                        tx.execute(sql)
            if self._place is None:
                self._place = self._open()
            with self._place.held():
                yield self._place, self._index
        finally:
            os.close(folder)

    def _open(self) -> Place:
        to = self._to
        found = _S3.fullmatch(to.path)
        if found is None:
            return LocalPlace(Path(to.path), workspace=self._workspace)
        parts = urlsplit(to.endpoint or f"https://s3.{to.region}.amazonaws.com")
        host = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        bucket = Bucket(
            found[1],
            (found[2] or "").strip("/"),
            to.region,
            to.endpoint,
            self._secret(to.access_key_secret, host),
            self._secret(to.secret_key_secret, host),
        )
        return S3Place(bucket, timeout_s=self._limit_s)

    def _format(self, name: str) -> Format:
        # A part keeps the format it was made in; what is new comes in the format of today.
        suffix = name.rpartition(".")[2]
        if suffix not in self._formats:
            self._formats[suffix] = Csv(self._columns) if suffix == "csv" else Parquet(self._columns, self._scratch)
        return self._formats[suffix]

    def _read(self, place: Place, name: str) -> tuple[dict[str, Row], bool]:
        try:
            return self._format(name).read(place.read(name))
        except NotReadable:
            words = f"{name} is not as it was written. Delete it or mend it; what was in it can be sent again."
            raise PlaceFailed(HALTED, "folder.not-readable", words) from None

    def _sync(self, place: Place, index: SqliteState) -> dict[str, str]:
        """Bring the index up to the parts that are there; give their tags."""
        tags = place.tags(self._is_ours)
        known = {str(name): str(tag) for name, tag in index.read("SELECT name, tag FROM part")}
        for name in known.keys() - tags.keys():
            with index.transaction() as tx:
                tx.execute("DELETE FROM place WHERE part = ?", (name,))
                tx.execute("DELETE FROM part WHERE name = ?", (name,))
        for name, tag in tags.items():
            if known.get(name) != tag:
                keys = list(self._read(place, name)[0])
                with index.transaction() as tx:
                    tx.execute("DELETE FROM place WHERE part = ?", (name,))
                    _note(tx, name, tag, len(keys))
                    tx.executemany("INSERT INTO place (key, part) VALUES (?, ?)", [(key, name) for key in keys])
        return tags

    def _plan(self, index: SqliteState, rows: Mapping[str, Row | None]) -> dict[str, dict[str, Row | None]]:
        """Say what becomes of which part."""
        changes: dict[str, dict[str, Row | None]] = {}
        found: dict[str, list[str]] = {}
        for key, part in index.read_in("SELECT key, part FROM place WHERE key IN {in}", list(rows)):
            found.setdefault(str(key), []).append(str(part))
        fresh = []
        for key, row in rows.items():
            first, *copies = found.get(key, [""])
            if first:
                changes.setdefault(first, {})[key] = row
            elif row is not None:
                fresh.append((key, row))
            # Somebody copied a part: one row of a record stays.
            for copy in copies:
                changes.setdefault(copy, {})[key] = None
        if fresh:
            sizes = {str(name): int(size) for name, size in index.read("SELECT name, n_rows FROM part")}
            suffix = self._to.format
            while fresh:
                usable = [name for name, size in sizes.items() if size < self._to.rows and name.endswith(suffix)]
                last = max((int(name.rpartition("-")[2].partition(".")[0]) for name in sizes), default=0)
                name = min(usable, key=lambda one: (sizes[one], one), default=f"{self._name}-{last + 1:06d}.{suffix}")
                room = self._to.rows - sizes.get(name, 0)
                changes.setdefault(name, {}).update(fresh[:room])
                sizes[name] = sizes.get(name, 0) + len(fresh[:room])
                fresh = fresh[room:]
        return changes

    def _write(
        self, place: Place, index: SqliteState, name: str, tag: str | None, change: Mapping[str, Row | None]
    ) -> None:
        """Write one part anew, unless it is as it is to be."""
        format_ = self._format(name)
        rows, is_current = self._read(place, name) if tag is not None else ({}, False)
        before = dict(rows)
        for key, row in change.items():
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = format_.row(row)
        if rows == before and is_current:
            return
        new = place.write(name, format_.write(rows.values()), tag)
        gone, come = [key for key in change if key not in rows], [key for key in change if key in rows]
        # An index that falls behind is mended by the next call: the part has another tag.
        with suppress(TillitError), index.transaction() as tx:
            _note(tx, name, new, len(rows))
            tx.executemany("DELETE FROM place WHERE key = ? AND part = ?", [(key, name) for key in gone])
            tx.executemany(
                "INSERT INTO place (key, part) VALUES (?, ?) ON CONFLICT (key, part) DO NOTHING",
                [(key, name) for key in come],
            )


def _note(tx: Any, name: str, tag: str, n_rows: int) -> None:
    tx.execute(
        "INSERT INTO part (name, tag, n_rows) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET tag = excluded.tag, n_rows = excluded.n_rows",
        (name, tag, n_rows),
    )


def _by_key(items: Sequence[Outgoing]) -> dict[str, list[int]]:
    whose: dict[str, list[int]] = {}
    for n, item in enumerate(items):
        whose.setdefault(item.record_key, []).append(n)
    return whose
