"""A served workspace for a benchmark, in its own processes and folder."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Served:
    """`tillit serve` on a fresh workspace, until the block ends."""

    def __init__(self, *, n_customers: int = 0, **environ: str) -> None:
        """Make the workspace and its keys; with customers it has a simulated shop's past."""
        self.folder = Path(tempfile.mkdtemp(prefix="tillit-bench-")) / "shop"
        self._environ = {**os.environ, **environ}
        if n_customers:
            self.tillit("simulate", "make", str(self.folder), "--customers", str(n_customers), "--seed", "7")
        else:
            self.tillit("init", str(self.folder))
        self.secret = self._key("secret")
        self.api = self._key("api", "--scope", "profiles:read", "events:read", "metrics:read", "audiences:read")

    def tillit(self, *words: str) -> str:
        """Run one command; give what it printed."""
        command = [sys.executable, "-m", "tillit", *words]
        return subprocess.run(command, env=self._environ, check=True, capture_output=True, text=True).stdout

    def _key(self, kind: str, *more: str) -> str:
        told = self.tillit(
            "keys", "create", "--workspace", str(self.folder), "--kind", kind, "--source", "bench", *more, "--json"
        )
        return str(json.loads(told)["key"])

    def __enter__(self) -> Self:
        """Start and wait until it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tillit", "serve", "--workspace", str(self.folder), "--port", "0"],
            env=self._environ,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        url = self.folder / "run" / "serve.url"
        while time.monotonic() < deadline:
            try:
                self.port = int(url.read_text().rsplit(":", 1)[1])
                if self.ask("GET", "/ready")[0] == 200:
                    # The first web process has answered; connections made now would all be its own.
                    time.sleep(1.5)
                    return self
            except (OSError, ValueError, IndexError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        raise RuntimeError("the server did not become ready in 30 s")

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Send one request with the api key."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers={"Authorization": f"Bearer {self.api}"})
        answer = connection.getresponse()
        told = answer.status, answer.read()
        connection.close()
        return told

    def memory_mb(self) -> dict[str, float]:
        """Give the memory of each kind of process, shared pages counted by share (PSS)."""
        told = {"supervisor": _pss(self.process.pid)}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.folder).encode() in words and b"tillit.cli.processes" in words:
                    name = words[words.index(b"tillit.cli.processes") + 1].decode()
                    told[name] = told.get(name, 0.0) + _pss(int(entry.name))
        return told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and clear away."""
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
