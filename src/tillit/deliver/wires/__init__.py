"""Wires: the kinds of destinations, each behind the one seam of `deliver/wire.py`.

In:    a destination, and the ways out that it may take.
Out:   an open wire; whether a destination says where it is in a way that can be.
Never: a kind's packages loaded before one of its kind is named.

Each kind is a module with `check_to(destination, ways)` and `open_wire(destination, ways)`.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from tillit.deliver.definitions import Destination
from tillit.deliver.outward import Allow, resolve
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import Wire

_KINDS = {"webhook": "webhook", "folder": "folder", "table": "table", "email": "smtp"}


class Ways(NamedTuple):
    """The ways out, and what is on them."""

    allow: Allow  # private places that may be sent to
    secret: Callable[[str, str], Secret]  # by its name and the `host:port` it is going to
    workspace: Path  # a folder inside it is no destination
    now: Callable[[], int]  # UTC epoch microseconds

    def revealed(self, name: str, host: str) -> str:
        """Give the text of a secret."""
        return self.secret(name, host).reveal()

    @property
    def resolve(self) -> Callable[[str, int], Awaitable[list[str]]]:
        """Give what resolves a host to addresses that may be connected to."""

        async def judged(host: str, port: int) -> list[str]:
            return await resolve(host, port, allow=self.allow)

        return judged


class _Kind(Protocol):
    def check_to(self, destination: Destination, ways: Ways) -> None: ...

    def open_wire(self, destination: Destination, ways: Ways) -> Wire: ...


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where a destination is, without going there. Raises DefinitionInvalid, OutwardInvalid."""
    _kind_of(destination).check_to(destination, ways)


def open_wire(destination: Destination, ways: Ways) -> Wire:
    """Open a destination, in a running loop. Raises TillitError when secrets or address stand in the way."""
    return _kind_of(destination).open_wire(destination, ways)


def _kind_of(destination: Destination) -> _Kind:
    # Mails that are files in a folder: no mail server has them.
    is_mail_folder = destination.kind == "email" and "folder" in destination.to
    name = "mail_folder" if is_mail_folder else _KINDS[destination.kind]
    return cast("_Kind", import_module(f"tillit.deliver.wires.{name}"))
