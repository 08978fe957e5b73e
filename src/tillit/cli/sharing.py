"""Sharing: several web processes take connections from one listening socket, each about as many as the others.

In:    the listening socket, a file that the processes share with one number for each of them.
Out:   accepted connections.
Never: a process that takes all while another idles; a connection that waits for a process that is gone.

Left alone, the kernel hands connections to whoever asks first, and whoever asks takes all there are: of eight senders
seven may end up in one process. So a process that holds more than another leaves a new connection to it for a moment.
"""

import asyncio
import mmap
import os
import socket
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

# For each connection held more than another holds: time for the other to wake up, even on a busy machine. Not to be
# seen from outside: a connection is made once and kept.
_PATIENCE_S = 0.003
_MOST_PATIENCE_S = 0.05
_AFTER_FAILURE_S = 1.0
_GONE = 2**31 - 1
_slot = struct.Struct("<i")


class Holding:
    """How many connections each web process holds, in memory that all of them share."""

    def __init__(self, descriptor: int, n_processes: int) -> None:
        """Map the shared file."""
        self._n_processes = n_processes
        self._memory = mmap.mmap(descriptor, n_processes * _slot.size)

    @staticmethod
    def create(folder: Path, n_processes: int) -> int:
        """Make the shared file, nameless, with nobody there yet; give its descriptor."""
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_slot.pack(_GONE) * n_processes)
            file.flush()
            return os.dup(file.fileno())

    def write(self, process: int, n_connections: int) -> None:
        """Say how many connections a process holds."""
        _slot.pack_into(self._memory, process * _slot.size, n_connections)

    def leave(self, process: int) -> None:
        """Say that a process takes no more connections."""
        self.write(process, _GONE)

    def least(self) -> int:
        """Give the smallest number that a process holds."""
        return min(int(_slot.unpack_from(self._memory, i * _slot.size)[0]) for i in range(self._n_processes))


class Acceptor:
    """Takes connections for one web process. Runs in its event loop."""

    def __init__(
        self,
        listener: socket.socket,
        holding: Holding,
        process: int,
        *,
        make_protocol: Callable[[], asyncio.Protocol],
        n_connections: Callable[[], int],
    ) -> None:
        """Take the parts; `start` begins."""
        self._listener = listener
        self._holding = holding
        self._process = process
        self._make_protocol = make_protocol
        self._n_connections = n_connections
        self._being_made: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        """Begin to take connections."""
        self._loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        self.tell()
        self._loop.add_reader(self._listener.fileno(), self._on_ready)

    def tell(self) -> int:
        """Tell the others how many connections are here. To be called now and then: connections end by themselves."""
        held = self._n_connections() + len(self._being_made)
        if not self._is_closed:
            self._holding.write(self._process, held)
        return held

    def close(self) -> None:
        """Take no more."""
        self._is_closed = True
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._holding.leave(self._process)

    def _on_ready(self) -> None:
        more = self.tell() - self._holding.least()
        if more > 0:
            self._pause(min(more * _PATIENCE_S, _MOST_PATIENCE_S))
        else:
            self._accept()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._later = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        # Nobody else may have come: what still waits is taken whoever holds how many.
        self._later = None
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._on_ready)
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the sender is gone
        except OSError:
            # Out of descriptors, most likely: it stays ready, and asking again at once would burn the processor.
            self._pause(_AFTER_FAILURE_S)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._make(connection))
        self._being_made.add(task)
        task.add_done_callback(self._being_made.discard)
        self.tell()

    async def _make(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # it ended before it began
