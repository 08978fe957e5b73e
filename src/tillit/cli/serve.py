"""The supervisor: starts the processes of a workspace, watches them, starts again what fell, stops all together.

In:    a workspace, an address.
Out:   a served workspace until Ctrl-C or SIGTERM.
Never: two supervisors of one workspace; a process left behind.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tillit import clock
from tillit.cli.sharing import Holding
from tillit.errors import BusyError, SettingsError
from tillit.flow import EngineBusy, file_lock
from tillit.workspace import Paths

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_STEADY_S = 30.0  # a process that lived this long starts afresh without a pause
_GRACE_S = 10.0
_SETTINGS_EXIT = SettingsError.exit_code


class AlreadyServed(BusyError):
    """Another server runs on this workspace."""

    code = "serve.already-served"

    def __init__(self, where: str) -> None:
        """Say where it listens."""
        super().__init__(f"This workspace is already served at {where}. Use that one, or stop it first.", url=where)


class AddressTaken(SettingsError):
    """The port cannot be had."""

    code = "serve.address-taken"

    def __init__(self, host: str, port: int, reason: str) -> None:
        """Say which one and what to do."""
        super().__init__(
            f"Cannot listen on {host}:{port} ({reason}). Choose another with --port, or stop what uses it.",
            host=host,
            port=port,
        )


class Child:
    """One process and its luck."""

    def __init__(
        self, name: str, command: list[str], descriptors: tuple[int, ...], *, left: Callable[[], None] = lambda: None
    ) -> None:
        """Note how it is started; `left` is called when it has ended."""
        self.name = name
        self._left = left
        self._command = command
        self._descriptors = descriptors
        self._pause_s = _FIRST_PAUSE_S
        self._started_at = 0.0
        self.start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._started_at = clock.monotonic_s()
        self.process = subprocess.Popen(self._command, pass_fds=self._descriptors, stdin=subprocess.DEVNULL)

    def ended(self) -> int | None:
        """Give its exit code once it has ended; then it is due to start again after a pause that grows."""
        if self.process is None:
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        self._left()
        lived = clock.monotonic_s() - self._started_at
        self._pause_s = _FIRST_PAUSE_S if lived > _STEADY_S else min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self.start_at = clock.monotonic_s() + self._pause_s
        return code


class Server:
    """A workspace that is being served."""

    def __init__(self, folder: Path, *, host: str, port: int, workers: int) -> None:
        """Take the workspace and the address; nothing runs yet. Raises AlreadyServed, AddressTaken."""
        self.paths = Paths(folder)
        # The workspace first: whoever starts a second server is told that, not that the port is taken.
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(file_lock(self.paths.serve_lock, "server"))
            except EngineBusy as exc:
                url = self.paths.serve_url
                raise AlreadyServed(url.read_text(encoding="utf-8") if url.exists() else "another port") from exc
            self._listener = _listen(host, port)
            held.callback(self._listener.close)
            self._held = held.pop_all()
        self.port = int(self._listener.getsockname()[1])
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 -- compared, not bound
        self.url = f"http://{shown}:{self.port}"
        base = [sys.executable, "-m", "tillit.cli.processes"]
        descriptor = self._listener.fileno()
        parent = str(os.getpid())  # a child that finds another parent was orphaned while it started, and ends
        shared = Holding.create(self.paths.run, workers)
        self._held.callback(os.close, shared)
        self._holding = Holding(shared, workers)
        web = [*base, "web", str(folder), parent, str(descriptor), str(shared)]
        self._children = [Child("engine", [*base, "engine", str(folder), parent], ())]
        self._children += [
            Child(
                f"web {i + 1}", [*web, str(i), str(workers)], (descriptor, shared), left=partial(self._holding.leave, i)
            )
            for i in range(workers)
        ]
        self._children += [Child(name, [*base, name, str(folder), parent], ()) for name in ("keeper", "courier")]
        self.stop = threading.Event()

    def run(self, started: Callable[[], None]) -> int:
        """Serve until told to stop; 0 when all ended well."""
        with self._held:
            self.paths.serve_url.write_text(self.url, encoding="utf-8")
            try:
                return self._watch(started)
            finally:
                self.paths.serve_url.unlink(missing_ok=True)

    def _watch(self, started: Callable[[], None]) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        for child in self._children:
            child.start()
        started()
        outcome = 0
        while not self.stop.wait(0.1):
            for child in self._children:
                code = child.ended()
                if code is not None:
                    print(f"tillit: {child.name} ended with {code}; starting it again", file=sys.stderr, flush=True)
                if code == _SETTINGS_EXIT:
                    outcome = code
                    self.stop.set()
                if child.process is None and clock.monotonic_s() >= child.start_at and not self.stop.is_set():
                    child.start()
        self._end()
        return outcome

    def _end(self) -> None:
        # Web first: once the door is closed engine, keeper and courier finish what is there.
        for child in sorted(self._children, key=lambda c: not c.name.startswith("web")):
            if child.process is not None:
                child.process.terminate()
        deadline = clock.monotonic_s() + _GRACE_S
        for child in self._children:
            if child.process is not None:
                try:
                    child.process.wait(max(0.1, deadline - clock.monotonic_s()))
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise AddressTaken(host, port, os.strerror(exc.errno) if exc.errno else "unknown") from exc
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener
