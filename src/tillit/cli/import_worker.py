"""The worker that imports what was uploaded in the console.

In:    uploads that wait, one at a time per workspace (a kernel lock).
Out:   rows in the log; the record of each upload, with what changed.
Never: another importer than `tillit import`'s; a file left behind by an import that is done.
"""

import logging
import threading

from tillit import clock
from tillit.cli.import_file import append_file, count_fates
from tillit.collect.files import Outcome, Progress, Upload, Uploads, load_mapping, open_rows
from tillit.errors import TillitError
from tillit.flow import EngineBusy, file_lock
from tillit.workspace import Workspace

_log = logging.getLogger("tillit.imports")

# Smaller than the command line's: while a block is being written, the door waits.
_BLOCK_ROWS = 1_000
_PAUSE_S = 0.02  # and between blocks it has the log to itself
_TELL_EVERY_S = 0.5
_STALLED_S = 60.0  # a fold that has not moved for so long is not going to (taste)


class _Stopped(Exception):
    """The import was told to stop."""


def run_imports(ws: Workspace, stop: threading.Event) -> None:
    """Import whatever waits; return when nothing does, or when told to stop."""
    uploads = Uploads(ws.paths.uploads, now=ws.now)
    while not stop.is_set() and uploads.find_next() is not None:
        try:
            with file_lock(ws.paths.run / "imports.lock", "import"):
                while not stop.is_set() and (upload := uploads.find_next()) is not None:
                    _Run(ws, uploads, upload, stop).run()
        except EngineBusy:
            # Another web process's worker is at it; it may end right before it sees what came last.
            stop.wait(0.5)


class _Run:
    """One upload on its way into the log."""

    def __init__(self, ws: Workspace, uploads: Uploads, upload: Upload, stop: threading.Event) -> None:
        self._ws = ws
        self._uploads = uploads
        self._upload = upload
        self._stop = stop
        self._told_at = 0.0

    def run(self) -> None:
        """Import it and write what became of it."""
        upload = self._upload
        upload.state, upload.started_at, upload.told_at = "running", self._ws.now(), None
        self._uploads.save(upload)
        try:
            outcome = self._import()
            self._wait_until_applied(outcome.ranges[-1][1] if outcome.ranges else 0)
            self._note(outcome)
        except _Stopped:
            if self._stop.is_set():
                return  # the server stops: the next one goes on here
            upload.state = "stopped"
            if not self._uploads.has_file(upload):
                upload.failure = "The file was removed while it was being imported. What was taken before is kept."
        except TillitError as exc:
            upload.state, upload.failure = "failed", exc.message
        except Exception as exc:  # noqa: BLE001 -- the worker's rim: the next file must have its turn
            upload.state, upload.failure = "failed", f"The import failed ({type(exc).__name__}). Please report it."
            _log.error("internal: %s in an import", type(exc).__name__)
        else:
            upload.state, upload.share = "done", 1.0
            self._uploads.remove_file(upload)
        upload.finished_at = upload.told_at = self._ws.now()
        self._uploads.save(upload)

    def _import(self) -> Outcome:
        ws, upload = self._ws, self._upload
        mapping = load_mapping(self._uploads.mapping_file(upload))
        file = self._uploads.file(upload)
        reader = open_rows(file, mapping)
        upload.format = mapping.format
        # Of JSON each row has its own; the names of columns are needed to show what was rejected as a table.
        upload.columns = [str(name) for name in getattr(reader, "columns", [])]
        upload.delimiter = getattr(reader, "delimiter", ",")
        reader.close()
        return append_file(ws, file, mapping, on_progress=self._tell, block_rows=_BLOCK_ROWS)

    def _tell(self, reached: Progress) -> None:
        upload = self._upload
        is_first = upload.told_at is None
        upload.n_rows, upload.n_rejected, upload.share = reached.n_rows, reached.n_rejected, reached.share
        upload.first_row = reached.first_row
        if is_first:
            upload.first_share = upload.share if reached.first_row > 1 else 0.0
        now_s = clock.monotonic_s()
        if is_first or now_s - self._told_at >= _TELL_EVERY_S:
            self._told_at = now_s
            upload.told_at = self._ws.now()
            self._uploads.save(upload)
        if self._stop.is_set() or self._uploads.is_asked_to_stop(upload) or not self._uploads.has_file(upload):
            raise _Stopped
        self._stop.wait(_PAUSE_S)

    def _wait_until_applied(self, position: int) -> None:
        """Wait for the engine; this process never becomes one."""
        reached, moved_at = self._ws.folding.position(), clock.monotonic_s()
        while not self._ws.folding.wait(position, 0.1):
            now_at = self._ws.folding.position()
            if now_at != reached:
                reached, moved_at = now_at, clock.monotonic_s()
            if clock.monotonic_s() - moved_at > _STALLED_S:
                return  # every row is in the log; how many were known is then told as if all were new
            if self._stop.is_set():
                raise _Stopped

    def _note(self, outcome: Outcome) -> None:
        upload = self._upload
        fates = count_fates(self._ws, outcome.ranges)
        upload.n_new = outcome.n_taken - fates.total()
        upload.n_known, upload.n_other = fates.pop("duplicate", 0), fates.pop("conflict", 0)
        upload.n_unusable = fates.total()
        upload.n_rows, upload.n_rejected = outcome.n_rows, outcome.n_rejected
        upload.reasons = outcome.reasons
        upload.rejects = outcome.rejects.name if outcome.rejects is not None else None
