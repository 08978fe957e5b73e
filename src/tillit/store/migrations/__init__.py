"""Numbered migrations: each room's tables grow by files that are never edited once released.

In:    a folder of `NNNN_name.sql` files and a store.
Out:   the store's tables at the newest number, with a checksum kept per file.
Never: guesses. A file that changed after it was applied is an error.
"""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from tillit.errors import InternalError


class Migration(NamedTuple):
    """One numbered step of one room's tables."""

    room: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Give the first 16 hex digits of the file's sha256."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]

    def statements(self, types: dict[str, str]) -> list[str]:
        """Give the statements with this engine's types filled in."""
        text = self.sql
        for name, spelled in types.items():
            text = text.replace("{" + name + "}", spelled)
        lines = [line.split("--", 1)[0].rstrip() for line in text.splitlines()]
        return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


class MigrationChanged(InternalError):
    """A migration that was applied does not read as it did."""

    code = "store.migration-changed"

    def __init__(self, migration: Migration) -> None:
        """Name the file."""
        super().__init__(
            f"Migration {migration.number:04d}_{migration.name} of {migration.room} changed after it was applied here. "
            "Use the version of Tillit that wrote this workspace, or rebuild derived state with `tillit rebuild`.",
            room=migration.room,
            number=migration.number,
        )


def migrations_of(package: str, *, room: str, folder: str = "migrations") -> tuple[Migration, ...]:
    """Read a package's migration files, in number order."""
    found = []
    for entry in files(package).joinpath(folder).iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            found.append(Migration(room, int(number), name, entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda m: m.number))


def pending(wanted: tuple[Migration, ...], applied: dict[int, str]) -> list[Migration]:
    """Say which migrations are still to be applied; raise MigrationChanged when an applied one differs."""
    for migration in wanted:
        known = applied.get(migration.number)
        if known is not None and known != migration.checksum:
            raise MigrationChanged(migration)
    return [migration for migration in wanted if migration.number not in applied]
