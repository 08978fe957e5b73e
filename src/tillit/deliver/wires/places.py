"""Places: where the parts of a folder destination lie, on this machine or in a bucket.

In:    names and bytes of parts.
Out:   each part whole, old or new; a tag that changes with it.
Never: half a part; a part written over a change that was not seen; a link followed; a file inside the workspace.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tillit.deliver.definitions import DefinitionInvalid
from tillit.deliver.wire import HALTED, LATER, UNKNOWN, cut_words
from tillit.errors import MissingExtra

if TYPE_CHECKING:
    pass

# Gives a secret by its name, for use at one place, `host:port`.
Secret = Callable[[str, str], str]
# Gives the addresses of a host and port that may be connected to.
Resolve = Callable[[str, int], Awaitable[list[str]]]

_TEMPORARY = ".tmp"
# What trying again does not mend.
_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ELOOP,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
    }
)


class PlaceFailed(Exception):
    """A place did not do what was asked: the outcome, a code and the system's words."""

    def __init__(self, outcome: str, code: str, words: str) -> None:
        """Keep all three."""
        super().__init__(code)
        self.outcome, self.code, self.words = outcome, code, cut_words(words)


class Place(Protocol):
    """Where parts lie. Each method raises PlaceFailed."""

    def held(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine out, as far as the place can."""
        ...

    def tags(self, pattern: Callable[[str], bool]) -> dict[str, str]:
        """Give the parts that are there, by name, each with a tag that changes when the part does."""
        ...

    def read(self, name: str) -> bytes:
        """Give a part."""
        ...

    def write(self, name: str, data: bytes, tag: str | None) -> str:
        """Put a part where one with this tag lies, or none when it is None; give its new tag."""
        ...


class LocalPlace:
    """A folder of this machine. What is made in it is its owner's alone."""

    def __init__(self, path: Path, *, workspace: Path) -> None:
        """Take the folder; its parent must be there, or a disk that is not mounted would be written beside."""
        self._path = path
        self._workspace = workspace
        self._folder = -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Open the folder, alone; made when there is none. Raises PlaceFailed."""
        with _translated():
            if is_inside(self._path, self._workspace):
                raise PlaceFailed(HALTED, "folder.inside-workspace", "The folder lies inside the workspace.")
            with suppress(FileExistsError):
                self._path.mkdir(mode=0o700)
            self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with _translated():
                lock(self._folder)
            yield
        finally:
            os.close(self._folder)
            self._folder = -1

    def tags(self, pattern: Callable[[str], bool]) -> dict[str, str]:
        """Give the parts that are there, and delete what a killed process left of one. Raises PlaceFailed."""
        found = {}
        with _translated(), os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name
                if pattern(name):
                    found[name] = self._tag(name)
                elif name.endswith(_TEMPORARY) and pattern(name.removesuffix(_TEMPORARY)):
                    os.unlink(name, dir_fd=self._folder)
        return found

    def read(self, name: str) -> bytes:
        """Give a part. Raises PlaceFailed."""
        with _translated(), os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._folder), "rb") as file:
            return file.read()

    def write(self, name: str, data: bytes, tag: str | None) -> str:
        """Put a part: under another name first, then in its place at once. Raises PlaceFailed."""
        temporary = name + _TEMPORARY
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with _translated():
            if (self._tag(name) if self._is_there(name) else None) != tag:
                raise PlaceFailed(LATER, "folder.changed", "Somebody else wrote to the part.")
            try:
                with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=self._folder), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=self._folder)
                raise
        with _translated(outcome=UNKNOWN):
            os.fsync(self._folder)
            return self._tag(name)

    def _is_there(self, name: str) -> bool:
        try:
            os.lstat(name, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        return True

    def _tag(self, name: str) -> str:
        told = os.lstat(name, dir_fd=self._folder)
        if not stat.S_ISREG(told.st_mode):
            raise PlaceFailed(HALTED, "folder.no-file", f"{name} is a link or no file.")
        return f"{told.st_ino}-{told.st_size}-{told.st_mtime_ns}"


class Bucket(NamedTuple):
    """Where a bucket is, and how to sign in."""

    name: str
    prefix: str
    region: str
    endpoint: str  # empty: Amazon's own
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, {self.prefix!r})"


class S3Place:
    """A bucket that speaks S3 and writes on condition (If-Match, If-None-Match). Nothing is tried twice in here."""

    def __init__(self, bucket: Bucket, *, timeout_s: float) -> None:
        """Take the bucket. Raises MissingExtra without obstore."""
        try:
            from obstore.store import S3Store
        except ImportError as exc:
            raise MissingExtra("s3", "A folder in a bucket") from exc
        endpoint: dict[str, Any] = {"endpoint": bucket.endpoint} if bucket.endpoint else {}
        self._store: S3Store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.region,
            access_key_id=bucket.access_key,
            secret_access_key=bucket.secret_key,
            client_options={"timeout": f"{timeout_s:g}s", "allow_http": bucket.endpoint.startswith("http://")},
            # A second try of a write that was kept would be told that somebody else wrote.
            retry_config={"max_retries": 0},
            **endpoint,
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do nothing: each write is on condition."""
        yield

    def tags(self, pattern: Callable[[str], bool]) -> dict[str, str]:
        """Give the parts that are there. Raises PlaceFailed."""
        import obstore

        with _s3_translated():
            found = obstore.list_with_delimiter(self._store)["objects"]
        return {one["path"]: one["e_tag"] or "" for one in found if pattern(one["path"])}

    def read(self, name: str) -> bytes:
        """Give a part. Raises PlaceFailed."""
        import obstore

        with _s3_translated():
            return bytes(obstore.get(self._store, name).bytes())

    def write(self, name: str, data: bytes, tag: str | None) -> str:
        """Put a part in one request, on condition. Raises PlaceFailed."""
        import obstore

        with _s3_translated(outcome=UNKNOWN):
            put = obstore.put(
                self._store, name, data, mode="create" if tag is None else {"e_tag": tag}, use_multipart=False
            )
        return put["e_tag"] or ""


def check_path(where: str, path: str) -> None:
    """Judge a path of this machine by what is written. Raises DefinitionInvalid."""
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable() or not path.strip("/."):
        raise DefinitionInvalid(
            where, "a path of this machine begins with `/` and has no `..` and no control characters."
        )


def is_inside(path: Path, workspace: Path) -> bool:
    """Say whether a path lies in the workspace, links followed."""
    return path.resolve().is_relative_to(workspace.resolve())


def lock(folder: int) -> None:
    """Lock an open folder until it is closed. Raises PlaceFailed when another process holds it."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PlaceFailed(LATER, "folder.busy", "Another process is writing there.") from None


@contextmanager
def _translated(*, outcome: str = LATER) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        code = errno.errorcode.get(exc.errno or 0, "other").lower()
        raise PlaceFailed(
            HALTED if exc.errno in _LASTING else outcome, f"folder.{code}", exc.strerror or "The system said no."
        ) from None


@contextmanager
def _s3_translated(*, outcome: str = LATER) -> Iterator[None]:
    from obstore import exceptions

    try:
        yield
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as exc:
        raise PlaceFailed(HALTED, "folder.credentials", str(exc)) from None
    except exceptions.NotFoundError as exc:
        raise PlaceFailed(HALTED, "folder.not-found", str(exc)) from None
    except (exceptions.PreconditionError, exceptions.AlreadyExistsError) as exc:
        raise PlaceFailed(LATER, "folder.changed", str(exc)) from None
    except exceptions.BaseError as exc:
        if "NoSuchBucket" in str(exc):  # a list tells it in its words alone
            raise PlaceFailed(HALTED, "folder.not-found", str(exc)) from None
        raise PlaceFailed(outcome, "folder.unreachable", str(exc)) from None
