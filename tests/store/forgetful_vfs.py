"""A disk that forgets at a power cut what was written and not yet synced.

In:    the file operations of SQLite, one workspace file at a time; a moment at which the power goes.
Out:   files as a disk would hold them afterwards: synced content, and of the rest nothing or, torn, a random part.
Never: kindness. Size changes, new files and deletions are forgotten too; shared memory is gone.
"""

# ruff: noqa: N802  # the methods are SQLite's, and so are their names

import random
from pathlib import Path
from typing import Any, Self

import apsw

SECTOR = 512  # bytes a disk writes whole or not at all
_CHANGES_FILES = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class PowerGone(apsw.IOError):
    """The machine is off."""


class _Unsynced:
    """What one file was at its last sync, where it has changed since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size if path.exists() else 0
        self.is_known = path.exists()  # whether the folder's entry is on disk
        self.sectors: dict[int, bytes] = {}

    def remember(self, start: int, length: int) -> None:
        """Keep what is about to be overwritten."""
        with self.path.open("rb") as file:
            for sector in range(start // SECTOR, (start + length - 1) // SECTOR + 1):
                if sector not in self.sectors:
                    file.seek(sector * SECTOR)
                    # What lay beyond the synced end was nothing.
                    old = file.read(SECTOR)[: max(0, self.size - sector * SECTOR)]
                    self.sectors[sector] = old.ljust(SECTOR, b"\0")

    def synced(self) -> None:
        self.size = self.path.stat().st_size
        self.is_known = True
        self.sectors.clear()

    def power_off(self, chance: random.Random | None) -> None:
        if not self.path.exists():
            return
        if not self.is_known and (chance is None or chance.random() < 0.5):
            self.path.unlink()
            return
        now = self.path.stat().st_size
        with self.path.open("r+b") as file:
            for sector, old in self.sectors.items():
                if chance is None or chance.random() < 0.5:
                    file.seek(sector * SECTOR)
                    file.write(old)
            file.truncate(self.size if chance is None else chance.choice((self.size, now)))


class ForgetfulVfs(apsw.VFS):
    """SQLite's own file layer, with a power switch. One process, one disk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_off = False
        self.n_operations = 0  # writes, syncs, cuts and deletions
        self.n_syncs = 0
        self.off_at: int | None = None  # the operation at which the power goes
        self._files: dict[str, _Unsynced] = {}
        self._deleted: dict[str, bytes] = {}
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        self.check_power()
        if name is None or not flags[0] & _CHANGES_FILES:
            return apsw.VFSFile("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path not in self._files:
            self._files[path] = _Unsynced(Path(path))
        return _ForgetfulFile(self, self._files[path], name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.operate()
        record = self._files.pop(filename, None)
        if record is not None and record.is_known:
            # The entry goes for good when the folder is synced next; until then it may come back, synced part only.
            record.power_off(None)
            self._deleted[filename] = Path(filename).read_bytes()
        super().xDelete(filename, syncdir)

    def operate(self) -> None:
        """Count one change; the power may go just before it."""
        self.check_power()
        self.n_operations += 1
        if self.off_at is not None and self.n_operations >= self.off_at:
            self.is_off = True
        self.check_power()

    def check_power(self) -> None:
        if self.is_off:
            raise PowerGone("the power is gone")

    def keep_folder(self) -> None:
        """A new file's first sync also syncs its folder: deletions are final."""
        self._deleted.clear()

    def power_off(self, chance: random.Random | None = None) -> None:
        """Turn the machine off, every connection closed. With `chance`, unsynced sectors survive at random."""
        self.is_off = True
        for name, content in self._deleted.items():
            if not Path(name).exists() and (chance is None or chance.random() < 0.5):
                Path(name).write_bytes(content)
        for record in self._files.values():
            record.power_off(chance)
            Path(f"{record.path}-shm").unlink(missing_ok=True)

    def power_on(self) -> Self:
        self._files.clear()
        self._deleted.clear()
        self.is_off = False
        self.off_at = None
        self.n_operations = 0
        return self


class _ForgetfulFile(apsw.VFSFile):
    def __init__(self, disk: ForgetfulVfs, record: _Unsynced, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._record = record
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.operate()
        self._record.remember(offset, len(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.operate()
        now = self._record.path.stat().st_size
        if now > newsize:
            self._record.remember(newsize, now - newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.operate()
        super().xSync(flags)
        self._disk.n_syncs += 1
        if not self._record.is_known:
            self._disk.keep_folder()
        self._record.synced()
