"""Name the SDKs of the matrix and run each of them unmodified, in a process of its own.

In:    a story, a host and a key.
Out:   the message ids that the SDK says it sent, and what it says it could not deliver.
Never: patches an SDK or chooses a message id for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sdk.story import Call

HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"
BROWSER_BUILDS = {
    "1.84.3": "/node_modules/@segment/analytics-next/dist/umd/index.js",
    "1.70.0": "/node_modules/analytics-next-170/dist/umd/index.js",
}


@dataclass(frozen=True)
class Told:
    """What an SDK says it did."""

    message_ids: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class ServerSdk:
    """One SDK that runs in a shop's own server."""

    name: str
    driver: str
    more: tuple[tuple[str, Any], ...] = ()
    retries_a_timeout: bool = True
    tries_a_restart: bool = True

    def tell(self, story: Sequence[Call], *, host: str, key: str, flush_at: int, timeout_ms: int = 10_000) -> Told:
        """Run the story and wait until the SDK says that all is delivered or given up."""
        job = {"key": key, "host": host, "story": story, "flushAt": flush_at, "timeoutMs": timeout_ms}
        runner = "node" if self.driver.endswith(".cjs") else sys.executable
        done = subprocess.run(
            [runner, str(DRIVERS / self.driver), json.dumps({**job, **dict(self.more)})],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{self.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        last_line = done.stdout.strip().splitlines()[-1]
        told = json.loads(last_line)
        return Told(tuple(each["messageId"] for each in told["sent"]), tuple(told["failed"]))


SEGMENT_PYTHON = (("module", "segment.analytics.client"),)
SERVER_SDKS = (
    ServerSdk("analytics-node 3.1.0", "segment_node.cjs"),
    # These two give up on a timeout (the HTTP library they use does not count it as a network error), and after three
    # resends within a second.
    ServerSdk("analytics-node 6.2.0", "segment_node_legacy.cjs", retries_a_timeout=False, tries_a_restart=False),
    ServerSdk("rudder-sdk-node 3.0.13", "rudder_node.cjs", retries_a_timeout=False, tries_a_restart=False),
    ServerSdk("segment-analytics-python", "python_sdk.py", (*SEGMENT_PYTHON, ("gzip", False))),
    # A restart is not tried a second time with the same SDK.
    ServerSdk(
        "segment-analytics-python gzip", "python_sdk.py", (*SEGMENT_PYTHON, ("gzip", True)), tries_a_restart=False
    ),
    ServerSdk("rudder-sdk-python", "python_sdk.py", (("module", "rudderstack.analytics.client"), ("gzip", True))),
)


def snippet(*, key: str, cdn: str) -> str:
    """The snippet as Segment prints it, with another host for the CDN."""
    done = subprocess.run(
        ["node", str(DRIVERS / "snippet.cjs"), json.dumps({"key": key, "cdn": cdn})],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def missing() -> list[str]:
    """Packages of `package.json` that are not installed in the stated version."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    wrong = []
    for name, version in wanted.items():
        stated = HERE / "node_modules" / name / "package.json"
        if not stated.exists() or json.loads(stated.read_text())["version"] != version.rpartition("@")[2]:
            wrong.append(f"{name} {version}")
    return wrong
