"""Baselines: what bare alternatives reach on this machine: a server that only answers, SQLite alone, NATS JetStream."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from bench.traffic import Sent, load

_RAW = """
import sys, socket, uvicorn
async def app(scope, receive, send):
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", access_log=False, log_config=None,
    lifespan="off")).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


def raw_server(requests: list[bytes], *, connections: int, per_second: float | None = None) -> Sent:
    """Send the requests to a server that reads the body and answers 200, no more."""
    with only_answers() as port:
        return load(port, requests, connections=connections, per_second=per_second)


@contextlib.contextmanager
def only_answers() -> Iterator[int]:
    """Run a server that reads bodies and answers 200, no more; give its port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    process = subprocess.Popen([sys.executable, "-c", _RAW, str(listener.fileno())], pass_fds=[listener.fileno()])
    try:
        _wait_for(listener.getsockname()[1])
        yield int(listener.getsockname()[1])
    finally:
        process.terminate()
        process.wait(10)
        listener.close()


def _wait_for(port: int) -> None:
    # The socket listens before the process reads from it: an answer says that it does.
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            if probe.recv(16):
                return
        time.sleep(0.05)


def sqlite_appends(events: list[bytes], *, per_commit: int) -> float:
    """Append the same events to a plain SQLite table, synced; give events a second."""
    folder = Path(tempfile.mkdtemp(prefix="tillit-bench-"))
    connection = apsw.Connection(str(folder / "plain.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, key BLOB, body BLOB)")
    began = time.perf_counter()
    for start in range(0, len(events), per_commit):
        with connection:
            connection.executemany(
                "INSERT INTO event (key, body) VALUES (?, ?)",
                [(os.urandom(16), body) for body in events[start : start + per_commit]],
            )
    seconds = time.perf_counter() - began
    connection.close()
    shutil.rmtree(folder)
    return len(events) / seconds


def nats_publishes(messages: list[bytes], *, in_flight: int) -> float:
    """Publish the same bytes to a JetStream file stream of one node, each acknowledged; give messages a second."""
    import nats

    folder = tempfile.mkdtemp(prefix="tillit-bench-")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    async def run() -> float:
        for _ in range(100):
            try:
                client = await nats.connect(f"nats://127.0.0.1:{port}")
                break
            except OSError:
                await asyncio.sleep(0.05)
        stream = client.jetstream()
        await stream.add_stream(name="events", subjects=["events"])
        began = time.perf_counter()
        for start in range(0, len(messages), in_flight):
            await asyncio.gather(*(stream.publish("events", m) for m in messages[start : start + in_flight]))
        seconds = time.perf_counter() - began
        await client.close()
        return len(messages) / seconds

    try:
        return asyncio.run(run())
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
