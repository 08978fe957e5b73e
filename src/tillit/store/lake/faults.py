"""What can go wrong with the lake, in our words.

In:    what the Delta library, the engine and the operating system raise.
Out:   errors that say who must act.
Never: a path's folders or a value in a message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tillit.errors import BusyError, InputError, InternalError, SettingsError
from tillit.store.sqlite import StoreFull, StoreReadOnly, StoreUnreachable


class LakeBusy(BusyError):
    """Another process wrote to the lake at the same moment, or rewrote what was being read."""

    code = "store.lake-busy"


class LakeBroken(InternalError):
    """The table's own record of its files cannot be read."""

    code = "store.lake-broken"


class LakePathRefused(SettingsError):
    """The table format cannot live in a folder of this name."""

    code = "store.lake-path"


class LakeQueryRefused(InputError):
    """The lake answers one reading statement at a time."""

    code = "store.lake-query-refused"


class LakeQueryFailed(InternalError):
    """The engine could not answer."""

    code = "store.lake-query-failed"


def busy(path: Path) -> LakeBusy:
    """Say that another process was quicker."""
    return LakeBusy(f"The lake {path.name} was changed by another process at the same moment. Try again.")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the Delta library and the operating system raise into our errors."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as exc:
        said = str(exc)
        name = path.name
        if "No space left" in said or "os error 28" in said:
            raise StoreFull(
                f"The lake {name} could not grow: the disk is full. Free space; the log has it all."
            ) from exc
        if "Read-only file system" in said or "Permission denied" in said:
            raise StoreReadOnly(
                f"The lake {name} may not be written. Check the folder's owner, mode and mount."
            ) from exc
        if isinstance(exc, OSError):
            raise StoreUnreachable(f"The lake {name} could not be read or written. Check the disk.") from exc
        raise LakeBroken(
            f"The lake {name} has a record of its files that cannot be read. Restore it, or rebuild it from the log.",
            kind=type(exc).__name__,
        ) from exc


@contextmanager
def answered() -> Iterator[None]:
    """Turn what the engine raises into our error; that a file is gone stays DuckDB's, for whoever can ask again."""
    import duckdb

    try:
        yield
    except duckdb.IOException:
        raise
    except duckdb.Error as exc:
        # Without the engine's own text and without the chain: it quotes values.
        raise LakeQueryFailed(
            f"The lake could not answer: DuckDB raised {type(exc).__name__}. "
            "Check the statement's columns and types, or ask for fewer rows.",
            kind=type(exc).__name__,
        ) from None
