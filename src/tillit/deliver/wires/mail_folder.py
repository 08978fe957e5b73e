"""Mail folder: mails as files NAME.eml in a folder of this machine, for who tries mail without a mail server.

In:    mails that have leave to go; a folder.
Out:   one file per mail, written whole.
Never: a mail that somebody receives: it lies there, and is deleted by whoever keeps the folder.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tillit.deliver.definitions import DefinitionInvalid, Destination, read_to_as
from tillit.deliver.mime import MailInvalid, write_mail
from tillit.deliver.templates import read_address
from tillit.deliver.wire import DELIVERED, LATER, REFUSED, Answer, Checked, Outgoing, cut_words
from tillit.deliver.wires import Ways


class MailFolderTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the mails lie."""

    folder: str  # of this machine, absolute
    sender: str  # the From of templates that name none


def read_to(where: str, to: Mapping[str, Any]) -> MailFolderTo:
    """Read the `to:` of a mail folder. Raises DefinitionInvalid."""
    told = read_to_as(where, to, MailFolderTo)
    path = told.folder
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable() or not path.strip("/."):
        raise DefinitionInvalid(where, "to.folder begins with `/` and has no `..` and no control characters.")
    try:
        read_address(told.sender)
    except ValueError as exc:
        raise DefinitionInvalid(where, f"to.sender: {exc}.") from None
    return told


def check_to(destination: Destination, ways: Ways) -> None:
    """Judge where the mails are to lie. Raises DefinitionInvalid."""
    where = f"Destination {destination.destination!r}"
    if Path(read_to(where, destination.to).folder).resolve().is_relative_to(ways.workspace.resolve()):
        raise DefinitionInvalid(where, "to.folder lies in the workspace, whose files are forgotten and backed up.")


def open_wire(destination: Destination, ways: Ways) -> "MailFolderWire":
    """Open a folder of mails; see `MailFolderWire`. Raises DefinitionInvalid."""
    check_to(destination, ways)
    return MailFolderWire(destination)


class MailFolderWire:
    """A folder of mails, open."""

    is_idempotent = True  # a file is named after the key
    n_together = 50

    def __init__(self, destination: Destination) -> None:
        """Take a destination; nothing is written yet. Raises DefinitionInvalid."""
        self._folder = Path(read_to(f"Destination {destination.destination!r}", destination.to).folder)

    async def send(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Write each mail; one answer per item, in order."""
        return [self._write(item) for item in items]

    async def remove(self, items: Sequence[Outgoing]) -> list[Answer]:
        """Say that mail cannot be taken back."""
        return [Answer(REFUSED, "email.not-removable", has_left=False) for _ in items]

    async def check(self) -> Checked:
        """Look whether the folder can be written to."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            return Checked(False, cut_words(exc.strerror or "The system said no."), 0.0)
        return Checked(os.access(self._folder, os.W_OK), "", 0.0)

    async def close(self) -> None:
        """Hold nothing."""

    def _write(self, item: Outgoing) -> Answer:
        mail = item.mail
        if mail is None:
            return Answer(REFUSED, "email.no-mail", has_left=False)
        domain = read_address(mail.sender)[1].rpartition("@")[2]
        try:
            raw = write_mail(mail, message_id=item.key, at=item.at, dkim_domain=domain)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._folder / f".{item.key}.part"
            part.write_bytes(raw)
            part.replace(self._folder / f"{item.key}.eml")
        except MailInvalid as exc:
            return Answer(REFUSED, "email.invalid", exc.message, has_left=False)
        except OSError as exc:
            return Answer(LATER, "folder.not-written", cut_words(exc.strerror or ""), has_left=False)
        return Answer(DELIVERED)
