"""Uploads: files that somebody sent to be imported, and what became of each.

In:    a file's bytes, in parts; who sent it; a mapping.
Out:   a folder for each with the file, its mapping and a record; the record stays when the file is gone.
Never: a file held in memory; a path made from a stranger's name; a file kept after its import or beyond 30 days.

Files rather than a table: web processes write, one worker reads, and each record is replaced whole.
"""

import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from tillit.errors import InputError, NotFound

STATES = ("draft", "waiting", "running", "done", "failed", "stopped")
_UNFINISHED = frozenset({"draft", "waiting", "running", "failed", "stopped"})
_LONGEST_NAME = 80
_ID = re.compile(r"i[0-9a-f]{16}")


class UploadTooLarge(InputError):
    """An uploaded file is larger than the settings allow."""

    code = "collect.upload-too-large"

    def __init__(self, most_mb: int) -> None:
        """Say how large it may be, and the way around."""
        super().__init__(
            f"The file is larger than {most_mb:,} million bytes (setting collect.max_upload_mb). Nothing of it was "
            "kept. Import it with `tillit import`, or send it gzipped.",
            most_mb=most_mb,
        )


class UnknownUpload(NotFound):
    """There is no import under that id."""

    code = "collect.unknown-upload"

    def __init__(self) -> None:
        """Say where they are listed."""
        super().__init__("There is no such import. The page Imports lists all there are.")


class UploadGone(InputError):
    """The file of an import was removed."""

    code = "collect.upload-gone"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The file of this import was removed. Upload it again.")


class Upload(msgspec.Struct, kw_only=True):
    """One uploaded file and its import. Grain: one per upload_id. Holds no value of the file."""

    upload_id: str
    name: str  # of the file, made safe
    asked_by: str
    made_at: int  # UTC epoch microseconds, as all `_at`
    size_bytes: int = 0
    state: str = "draft"
    started_at: int | None = None
    finished_at: int | None = None
    told_at: int | None = None  # when the numbers below were written
    n_rows: int = 0
    n_rejected: int = 0
    first_row: int = 1  # where this run took up
    share: float = 0.0  # 0..1 of the file
    first_share: float = 0.0  # of the file, where this run took up
    n_new: int = 0
    n_known: int = 0
    n_other: int = 0
    n_unusable: int = 0
    reasons: dict[str, int] = {}
    rejects: str | None = None  # the file's name in the rejects folder
    format: str = ""
    columns: list[str] = []  # names, of a file that has them
    delimiter: str = ","
    failure: str = ""
    retry_of: str | None = None  # the upload whose rejects these are

    @property
    def is_open(self) -> bool:
        """Say whether the worker has, or will have, something to do with it."""
        return self.state in {"waiting", "running"}


class Uploads:
    """The uploads of one workspace."""

    def __init__(self, folder: Path, *, now: Callable[[], int]) -> None:
        """Use a folder; nothing is written yet."""
        self._folder = folder
        self._now = now

    def create(self, name: str, *, asked_by: str, retry_of: str | None = None) -> Upload:
        """Make a place for a file that is about to come."""
        upload = Upload(
            upload_id="i" + secrets.token_hex(8),
            name=safe_name(name),
            asked_by=asked_by,
            made_at=self._now(),
            retry_of=retry_of,
        )
        self._place(upload.upload_id).mkdir(mode=0o700, parents=True)
        self._folder.chmod(0o700)
        self.file(upload).touch(mode=0o600)
        return upload

    def file(self, upload: Upload) -> Path:
        """Say where its bytes lie, or lay."""
        return self._place(upload.upload_id) / upload.name

    def has_file(self, upload: Upload) -> bool:
        """Say whether its bytes are still here."""
        return self.file(upload).is_file()

    def save(self, upload: Upload) -> None:
        """Write its record, whole or not at all."""
        place = self._place(upload.upload_id)
        fresh = place / f".record-{secrets.token_hex(4)}"
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(upload))
        fresh.replace(place / ".record")

    def get(self, upload_id: str) -> Upload:
        """Give one. Raises UnknownUpload."""
        if not _ID.fullmatch(upload_id):
            raise UnknownUpload
        try:
            return msgspec.json.decode((self._place(upload_id) / ".record").read_bytes(), type=Upload)
        except (OSError, msgspec.MsgspecError) as exc:
            raise UnknownUpload from exc

    def list_all(self) -> list[Upload]:
        """Give every upload there was, newest first."""
        found = []
        for place in self._folder.glob("i*"):
            with suppress(UnknownUpload):
                found.append(self.get(place.name))
        return sorted(found, key=lambda one: (one.made_at, one.upload_id), reverse=True)

    def find_next(self) -> Upload | None:
        """Give the one whose turn it is: what was running when a server stopped, then whoever waits longest."""
        open_ones = [one for one in self.list_all() if one.is_open]
        return min(open_ones, key=lambda one: (one.state != "running", one.started_at or one.made_at), default=None)

    def mapping_text(self, upload: Upload) -> str:
        """Give the mapping as it stands."""
        try:
            return self.mapping_file(upload).read_text(encoding="utf-8")
        except OSError:
            return ""

    def mapping_file(self, upload: Upload) -> Path:
        """Say where its mapping lies."""
        return self._place(upload.upload_id) / ".mapping.yaml"

    def save_mapping(self, upload: Upload, text: str) -> None:
        """Keep a mapping, right or not yet."""
        file = self.mapping_file(upload)
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")

    def ask_to_stop(self, upload: Upload) -> None:
        """Let the worker stop after the block it is at."""
        (self._place(upload.upload_id) / ".stop").touch(mode=0o600)

    def is_asked_to_stop(self, upload: Upload) -> bool:
        """Say whether somebody asked."""
        return (self._place(upload.upload_id) / ".stop").exists()

    def queue(self, upload: Upload) -> None:
        """Put it in the line. Raises UploadGone."""
        if not self.has_file(upload):
            raise UploadGone
        (self._place(upload.upload_id) / ".stop").unlink(missing_ok=True)
        upload.state, upload.failure, upload.started_at = "waiting", "", self._now()
        self.save(upload)

    def remove_file(self, upload: Upload) -> None:
        """Remove its bytes; the record stays."""
        self.file(upload).unlink(missing_ok=True)

    def discard(self, upload: Upload) -> None:
        """Remove a file that did not arrive whole, with its place."""
        shutil.rmtree(self._place(upload.upload_id), ignore_errors=True)

    def _place(self, upload_id: str) -> Path:
        return self._folder / upload_id


def forget_uploads(folder: Path, *, before: int | None = None, reason: str = "it was kept for 30 days") -> int:
    """Remove the bytes of uploaded files (of those made before an instant, when one is named); say how many.

    An import that has not finished is stopped: its worker sees at the next block that the file is gone.
    """
    uploads = Uploads(folder, now=int)
    n_gone = 0
    if not folder.is_dir():
        return 0
    for place in folder.glob("i*"):
        try:
            upload = uploads.get(place.name)
        except UnknownUpload:
            # One that is arriving at this moment, or did not arrive whole.
            if before is None or place.stat().st_mtime_ns // 1000 < before:
                shutil.rmtree(place, ignore_errors=True)
                n_gone += 1
            continue
        if (before is None or upload.made_at < before) and uploads.has_file(upload):
            uploads.remove_file(upload)
            n_gone += 1
            if upload.state in _UNFINISHED:
                upload.state, upload.failure = "stopped", f"The file was removed: {reason}."
                uploads.save(upload)
    return n_gone


def safe_name(name: str) -> str:
    r"""Make a file's name of what a stranger called it: no path, nothing hidden, nothing unprintable.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\till\\Köp 1.csv"), safe_name("\x00.."), safe_name("-rf")
    ('passwd', 'Köp 1.csv', 'file', 'rf')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(one if one.isalnum() or one in " ._-" else "_" for one in last if one.isprintable())
    kept = re.sub(r"\s+", " ", kept).strip(" ._-") or "file"
    if len(kept.encode()) > _LONGEST_NAME:
        stem, dot, ending = kept.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 8 else ""
        whole = (kept[: -len(ending)] if ending else kept).encode()
        kept = whole[: _LONGEST_NAME - len(ending.encode())].decode("utf-8", "ignore").strip(" ._-") + ending
    return kept


def told_seconds(seconds: float) -> str:
    """Write a span as people say it.

    >>> told_seconds(7), told_seconds(200), told_seconds(9000)
    ('7 s', '3 min', '2 h 30 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def as_view(upload: Upload) -> dict[str, Any]:
    """Give what pages and programs show of one: the record, how fast it goes and how long it takes yet."""
    rate = left_s = None
    if upload.state == "running" and upload.started_at is not None and upload.told_at is not None:
        spent_s = (upload.told_at - upload.started_at) / 1_000_000
        n_done, share_done = upload.n_rows - upload.first_row + 1, upload.share - upload.first_share
        if spent_s > 0 and n_done > 0 and share_done > 0:
            rate = n_done / spent_s
            left_s = spent_s * (1 - upload.share) / share_done
    return {
        **msgspec.structs.asdict(upload),
        "is_open": upload.is_open,
        "rate": rate,
        "left": told_seconds(left_s) if left_s is not None else "",
        "percent": round(100 * upload.share),
    }
