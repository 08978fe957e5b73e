"""Tell a story with an unmodified Python SDK: segment-analytics-python or rudder-sdk-python.

In:    argv[1]: {"module", "key", "host", "story", "flushAt", "timeoutMs", "gzip"} as JSON.
Out:   one line: {"sent": [{"type", "messageId"}], "failed": [what the SDK's on_error was given]}.
Never: chooses a message id.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found.group(1).lower(), name)


def main() -> None:
    job = json.loads(sys.argv[1])
    sent: list[dict[str, str]] = []
    failed: list[str] = []
    client: Any = importlib.import_module(job["module"]).Client(
        job["key"],
        host=job["host"],
        upload_size=job["flushAt"],
        upload_interval=0.05,
        timeout=job["timeoutMs"] / 1000,
        gzip=job["gzip"],
        on_error=lambda error, batch: failed.append(f"{len(batch)} messages: {error!r}"),
    )

    for call in job["story"]:
        fields = {snake(name): value for name, value in call.items() if name != "type"}
        taken, message = getattr(client, call["type"])(**fields)
        assert taken, "the SDK's own queue refused the call"
        sent.append({"type": message["type"], "messageId": message["messageId"]})

    client.flush()
    client.join()
    print(json.dumps({"sent": sent, "failed": failed}))


if __name__ == "__main__":
    main()
