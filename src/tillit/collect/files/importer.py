"""Import a file: rows through the door into the log, in blocks that can be taken up again.

In:    a file, its mapping, the door's check of messages, and a durable append.
Out:   rows in the log; rejected ones with number, code and reason in a file of their own; a summary.
Never: a row twice. A message id follows from what the row says, so the fold drops what it has seen.

Ids: with `key` columns, a hash of the mapping's name and their values. Without, a hash of the mapping's name, the row's
content and its occurrence number (the first such row of the file, the second, ...): repeated rows are kept, and the
same rows in another order get the same ids. To count occurrences, the import holds one number of 8 bytes for each
distinct row (about 100 bytes of memory each in CPython: 1 GB for 10 million rows); files with a key need none.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from tillit.clock import DAY, instant, rfc3339
from tillit.collect.door import Refuses, take
from tillit.collect.files.mapping import Mapping
from tillit.collect.files.readers import Fault, FileRow, RowReader, content_of, open_rows
from tillit.collect.files.rows import BadRow, build_message, key_of
from tillit.collect.limits import Limits
from tillit.errors import BusyError
from tillit.records import TRUST_SERVER, NewRow

BLOCK_ROWS = 5_000  # one sync for so many rows; larger blocks gained nothing (measured on the log)
REJECT_DAYS = 30  # LAWS: reject files hold values of people and go after 30 days
_EDGE = 1 << 20  # bytes from either end that go into a file's fingerprint


# Durable when it returns: first and last position of the rows.
Append = Callable[[Sequence[NewRow]], tuple[int, int]]


class Progress(NamedTuple):
    """How far an import is."""

    n_rows: int
    n_rejected: int
    share: float  # 0..1 of the file
    first_row: int  # where this run took up


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an import did. Grain: one per run."""

    import_id: str
    n_rows: int  # of the file
    n_taken: int  # in the log now, whether new or known before
    n_rejected: int
    first_row: int  # 1, or where an interrupted import was taken up
    ranges: tuple[tuple[int, int], ...]  # log positions (first, last) between which the rows lie
    rejects: Path | None  # None when nothing was rejected
    reasons: dict[str, int] = field(default_factory=dict)  # code -> rows


class AlreadyImporting(BusyError):
    """The same file is being imported by another process."""

    code = "collect.already-importing"

    def __init__(self, name: str) -> None:
        """Name the file."""
        super().__init__(f"{name} is being imported by another process. Wait for it, or stop it first.", file=name)


def import_rows(
    path: Path,
    mapping: Mapping,
    *,
    append: Append,
    limits: Limits,
    rejects_folder: Path,
    positions_folder: Path,
    now: Callable[[], int],
    epoch: int = 0,
    block_rows: int = BLOCK_ROWS,
    on_progress: Callable[[Progress], None] | None = None,
    erased: Callable[[], Refuses | None] | None = None,
) -> Outcome:
    """Bring the rows of a file into the log; an import that was interrupted goes on where it was.

    Units:  epoch is the log's: a log that was restored since knows nothing of what was imported after its back-up.
    Shape:  `erased` is asked once a block for what refuses rows of people who were erased; None: there are none.
    Raises: BadFile, AlreadyImporting, and whatever append raises. What was appended before stays; run it again.
    """
    import_id = id_of_import(path, mapping)
    for folder in (rejects_folder, positions_folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    forget_rejects(rejects_folder, before=now() - REJECT_DAYS * DAY)
    rejects_path = rejects_folder / f"{import_id}.jsonl"
    with _sole_import(positions_folder / f"{import_id}.lock", path.name):
        position_path = positions_folder / f"{import_id}.json"
        place = _load_place(position_path, epoch)
        reader = open_rows(path, mapping)
        try:
            with _open_rejects(rejects_path, place.reject_bytes) as rejects:
                run = _Run(mapping, append, limits, now, place, rejects, erased)
                for block in _blocks(reader, mapping, place.n_rows, block_rows, _Span.of(limits, now())):
                    run.take(block)
                    _save_place(position_path, place, epoch)
                    if on_progress is not None:
                        on_progress(Progress(place.n_rows, place.n_rejected, reader.share_read(), run.first_row))
                outcome = Outcome(
                    import_id=import_id,
                    n_rows=place.n_rows,
                    n_taken=place.n_rows - place.n_rejected,
                    n_rejected=place.n_rejected,
                    first_row=run.first_row,
                    ranges=tuple((first, last) for first, last in place.ranges),
                    rejects=rejects_path if place.n_rejected else None,
                    reasons=dict(sorted(place.reasons.items())),
                )
                if place.n_rejected:
                    _write(rejects, _summary(outcome, path.name, mapping, rfc3339(now())))
        finally:
            reader.close()
        if outcome.rejects is None:
            rejects_path.unlink(missing_ok=True)
        position_path.unlink(missing_ok=True)
    return outcome


class Preview(NamedTuple):
    """What one row of a file would become."""

    number: int
    line: int | None
    message: dict[str, Any] | None
    fault: Fault | None
    raw: object


def preview_rows(path: Path, mapping: Mapping, *, limits: Limits, now: int, most: int) -> list[Preview]:
    """Say of the first rows of a file what an import would make of them; nothing is kept.

    Raises: BadFile.
    """
    reader = open_rows(path, mapping)
    try:
        seen, span = Occurrences(), _Span.of(limits, now)
        block = [_message_of(row, mapping, seen, span) for row in islice(reader, most)]
    finally:
        reader.close()
    sent = [one for one in block if one.message is not None]
    faults = {one.row.number: one.fault for one in block if one.fault is not None}
    taken = take(
        [one.message for one in sent if one.message is not None],
        route_type=None,
        source=mapping.source,
        trust=TRUST_SERVER,
        received_at=now,
        limits=limits,
        needs_id=False,
    )
    for index, _, code, reason in taken.rejected:
        faults[sent[index].row.number] = Fault(f"collect.{code}", reason)
    return [
        Preview(one.row.number, one.row.line, one.message, faults.get(one.row.number), one.row.raw) for one in block
    ]


def id_of_import(path: Path, mapping: Mapping) -> str:
    """Name this file under this mapping: by size, time of change, and the first and last megabyte."""
    found = path.stat()
    digest = blake2b(f"{found.st_size}\0{found.st_mtime_ns}\0{mapping.text_hash}\0".encode(), digest_size=8)
    with path.open("rb") as file:
        digest.update(file.read(_EDGE))
        if found.st_size > _EDGE:
            file.seek(max(_EDGE, found.st_size - _EDGE))
            digest.update(file.read(_EDGE))
    return digest.hexdigest()


def message_id(mapping: Mapping, *parts: bytes) -> str:
    """Give the id that follows from what a row says, within its mapping's name."""
    digest = blake2b(digest_size=16)
    for part in (mapping.name.encode(), *parts):
        digest.update(len(part).to_bytes(8, "big"))  # so that ("ab", "c") and ("a", "bc") differ
        digest.update(part)
    return f"file-{digest.hexdigest()}"


class Occurrences:
    """How often each content was seen in this file so far."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._counts: dict[int, int] = {}

    def next(self, content: bytes) -> int:
        """Say which occurrence this is, from 1."""
        # 8 bytes of hash: two different rows sharing one (once in 370,000 files of 10 million rows) still get two ids.
        short = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
        count = self._counts.get(short, 0) + 1
        self._counts[short] = count
        return count


def forget_rejects(folder: Path, *, before: int) -> int:
    """Remove reject files last written before an instant (UTC epoch microseconds); say how many."""
    gone = 0
    for path in folder.glob("*.jsonl"):
        if path.stat().st_mtime_ns // 1000 < before:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


@dataclass(slots=True)
class _Place:
    """Where an import stands. Saved after each durable block."""

    n_rows: int = 0
    n_rejected: int = 0
    reject_bytes: int = 0
    ranges: list[list[int]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)


class _Numbered(NamedTuple):
    row: FileRow
    message: dict[str, Any] | None
    fault: Fault | None


class _Run:
    """One run over the rows that are left."""

    def __init__(
        self,
        mapping: Mapping,
        append: Append,
        limits: Limits,
        now: Callable[[], int],
        place: _Place,
        rejects: BinaryIO,
        erased: Callable[[], Refuses | None] | None,
    ) -> None:
        self._erased = erased
        self._mapping = mapping
        self._append = append
        self._limits = limits
        self._now = now
        self._place = place
        self._rejects = rejects
        self.first_row = place.n_rows + 1

    def take(self, block: list[_Numbered]) -> None:
        place = self._place
        sent = [one for one in block if one.message is not None]
        faults = {one.row.number: one.fault for one in block if one.fault is not None}
        # No sentAt goes with a file, so the door takes each time as it stands: history has no clock skew.
        taken = take(
            [one.message for one in sent if one.message is not None],
            route_type=None,
            source=self._mapping.source,
            trust=TRUST_SERVER,
            received_at=self._now(),
            limits=self._limits,
            needs_id=False,  # an e-mail, a phone or a card is enough: `build_message` has seen to one of them
            refuses=self._erased() if self._erased is not None else None,
        )
        for index, _, code, reason in taken.rejected:
            faults[sent[index].row.number] = Fault(f"collect.{code}", reason)
        rows = taken.rows
        if rows:
            first, last = self._append(rows)
            if place.ranges and place.ranges[-1][1] + 1 == first:
                place.ranges[-1][1] = last
            else:
                place.ranges.append([first, last])
        for one in block:
            fault = faults.get(one.row.number)
            if fault is not None:
                self._reject(one.row, fault)
        if faults:
            self._rejects.flush()
            os.fsync(self._rejects.fileno())
            place.reject_bytes = self._rejects.tell()
        place.n_rows += len(block)
        place.n_rejected += len(faults)

    def _reject(self, row: FileRow, fault: Fault) -> None:
        place = {"row": row.number} if row.line is None else {"row": row.number, "line": row.line}
        _write(self._rejects, {**place, "code": fault.code, "reason": fault.reason, "raw": row.raw})
        self._place.reasons[fault.code] = self._place.reasons.get(fault.code, 0) + 1


class _Span(NamedTuple):
    """When a row may have happened."""

    first_at: int
    last_at: int

    @classmethod
    def of(cls, limits: Limits, now: int) -> Self:
        return cls(limits.oldest_event_at, now + limits.future_tolerance_us)

    def check(self, message: dict[str, Any]) -> None:
        # The door would put such an event at today. That is right for a clock that runs wrong, not for history.
        at = instant(message["timestamp"]) if "timestamp" in message else None
        if at is not None and not self.first_at <= at <= self.last_at:
            side = "in the future" if at > self.last_at else "before the oldest day that is taken"
            raise BadRow(f"Its time lies {side} (setting collect.oldest_event_on).", code="collect.row-time-range")


def _blocks(reader: RowReader, mapping: Mapping, skip: int, size: int, span: _Span) -> Iterator[list[_Numbered]]:
    seen = Occurrences()
    block: list[_Numbered] = []
    for row in reader:
        if row.number <= skip:
            # Taken before: only its occurrence counts, so that the rows after it get the ids they would have got.
            if row.fault is None and not mapping.key:
                seen.next(content_of(row, mapping))
            continue
        block.append(_message_of(row, mapping, seen, span))
        if len(block) >= size:
            yield block
            block = []
    if block:
        yield block


def _message_of(row: FileRow, mapping: Mapping, seen: Occurrences, span: _Span) -> _Numbered:
    if row.fault is not None:
        return _Numbered(row, None, row.fault)
    try:
        if mapping.key:
            key = json.dumps(key_of(row.values, mapping), separators=(",", ":")).encode()
            made_id = message_id(mapping, b"key", key)
        else:
            content = content_of(row, mapping)
            made_id = message_id(mapping, b"row", content, str(seen.next(content)).encode())
        message = build_message(row.values, mapping, made_id)
        span.check(message)
        return _Numbered(row, message, None)
    except BadRow as exc:
        return _Numbered(row, None, Fault(exc.code, exc.message))


@contextmanager
def _sole_import(path: Path, name: str) -> Iterator[None]:
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyImporting(name) from exc
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _open_rejects(path: Path, keep_bytes: int) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        # What was written after the last saved place is written again.
        file.truncate(min(keep_bytes, os.fstat(descriptor).st_size))
        file.seek(0, os.SEEK_END)
        yield file


def _write(file: BinaryIO, record: dict[str, Any]) -> None:
    # ASCII: bytes that were no text stand as \udcXX, which every JSON reader takes and no UTF-8 writer would.
    file.write(json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")


def _summary(outcome: Outcome, file: str, mapping: Mapping, at: str) -> dict[str, Any]:
    return {
        "summary": {
            "file": file,
            "mapping": mapping.name,
            "finished_at": at,
            "n_rows": outcome.n_rows,
            "n_taken": outcome.n_taken,
            "n_rejected": outcome.n_rejected,
            "reasons": outcome.reasons,
        }
    }


def _load_place(path: Path, epoch: int) -> _Place:
    try:
        found = json.loads(path.read_bytes())
        if found.pop("epoch") != epoch:
            return _Place()
        return _Place(**found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return _Place()  # none, or half written at a power cut: from the start is always right


def _save_place(path: Path, place: _Place, epoch: int) -> None:
    written = {
        "epoch": epoch,
        "n_rows": place.n_rows,
        "n_rejected": place.n_rejected,
        "reject_bytes": place.reject_bytes,
        "ranges": place.ranges,
        "reasons": place.reasons,
    }
    fresh = path.with_suffix(".new")
    fresh.write_bytes(json.dumps(written).encode())
    fresh.replace(path)
