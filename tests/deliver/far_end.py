"""A receiver in a process of its own, that writes to disk what it took, and dies when it is told to.

In:    `python -m tests.deliver.far_end http|smtp FOLDER PORT`; a file `FOLDER/die`, which says when.
Out:   `FOLDER/taken`, one line for each thing it took: by the key of it. Synced before it answers.
Never: a thing that it answered for and did not write down.

`die` holds `before` or `after`: the next thing is not written, or is written and not answered, and the process ends.
"""

from __future__ import annotations

import asyncio
import email
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.deliver.receiver import Request, receiver, reply


class Taking:
    """What is on disk of a far end."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "taken").open("ab")
        self._die = folder / "die"

    def take(self, told: str) -> None:
        """Write down one thing; die when it is time."""
        when = self._die.read_text() if self._die.exists() else ""
        self._die.unlink(missing_ok=True)
        if when != "before":
            self._file.write(told.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        if when:
            os.kill(os.getpid(), signal.SIGKILL)


async def serve_http(folder: Path, port: int) -> None:
    """Take webhooks: `key kind number`, the number being what the event or message says of itself."""
    taking = Taking(folder)

    async def answering(request: Request, writer: asyncio.StreamWriter) -> None:
        told = request.document
        fields: dict[str, Any] = told["data"].get("fields", {})
        number = fields.get("total", fields.get("number", fields.get("mail", "")))
        taking.take(f"{request.headers['webhook-id']} {told['type']} {number}")
        writer.write(reply(200))
        await writer.drain()

    async with receiver(answering, port=port):
        await asyncio.Event().wait()


class _Mails:
    def __init__(self, folder: Path) -> None:
        self._taking = Taking(folder)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.content
        assert isinstance(raw, bytes)
        mail = email.message_from_bytes(raw)
        key = mail["Message-ID"].strip("<>").partition("@")[0]
        self._taking.take(f"{key} {envelope.rcpt_tos[0]} {mail['Subject'].rpartition(' ')[2]}")
        return "250 2.0.0 Ok: queued as 4F2A17"


async def serve_smtp(folder: Path, port: int) -> None:
    """Take mails: `key address number`, the number being the last word of the subject."""
    mails = _Mails(folder)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(mails, hostname="mail.example"), "127.0.0.1", port)
    await asyncio.Event().wait()


class FarEnd:
    """A far end that runs; it is started again on its port when it died."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "taken").touch()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [sys.executable, "-m", "tests.deliver.far_end", kind, str(folder), str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs; it listens when this returns."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(self._command)
        for _ in range(2_000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("the far end does not listen")

    def die(self, when: str) -> None:
        """Let it die `before` or `after` it takes the next thing."""
        (self.folder / "die").write_text(when)

    def taken(self) -> list[list[str]]:
        """Give what it took, in order: key, kind or address, number."""
        return [line.split(" ") for line in (self.folder / "taken").read_text().splitlines()]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


async def serve(kind: str, folder: Path, port: int) -> None:
    """Serve until whoever started it is gone."""
    parent = os.getppid()
    serving = asyncio.create_task((serve_http if kind == "http" else serve_smtp)(folder, port))
    while os.getppid() == parent and not serving.done():  # noqa: ASYNC110 -- nobody tells of a parent's end
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
