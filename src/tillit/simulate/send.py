"""Send messages to a server as Segment's libraries do: HTTP, Basic authentication, batches, retries.

In:    messages and a key for each source.
Out:   how many the server took.
Never: another way in than a customer's browser or a shop's server has; a key in an error.
"""

import base64
import http.client
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tillit.clock import monotonic_s, rfc3339
from tillit.errors import BusyError, SettingsError
from tillit.simulate.voices import Said

# Segment's own libraries stop at 500 KB a request; half of it leaves room for any limit below the default.
_BATCH_BYTES = 250_000
_TRIES = 8
_PAUSE_S = 0.5
_TIMEOUT_S = 15.0

_encode = msgspec.json.Encoder().encode


class DemoRefused(SettingsError):
    """The server turned the sender away."""

    code = "simulate.refused"

    def __init__(self, status: int, source: str) -> None:
        """Name the answer and whose key it was."""
        super().__init__(
            f"The server answered {status} to the key of the simulated shop's source {source!r}. "
            "Make new keys with `tillit keys create`, or start `tillit demo` in a folder of its own.",
            status=status,
            source=source,
        )


class ServerGone(BusyError):
    """The server does not answer."""

    code = "simulate.no-answer"

    def __init__(self, base_url: str) -> None:
        """Say where it should be."""
        super().__init__(f"Nothing answers at {base_url}. Start it with `tillit serve`, or look at why it stopped.")


class Sender:
    """A connection that is kept, with the keys. One thread at a time."""

    def __init__(
        self,
        base_url: str,
        *,
        keys: Mapping[str, str],
        now: Callable[[], int],
        stop: threading.Event | None = None,
    ) -> None:
        """Note where to send; the connection opens with the first request."""
        self._base_url = base_url
        self._target = urlsplit(base_url)
        self._keys = keys
        self._now = now
        self._stop = stop if stop is not None else threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def send(self, said: Sequence[Said]) -> int:
        """Send messages in batches, one per source; say how many the server took."""
        n_taken = 0
        for source in dict.fromkeys(one.source for one in said):
            messages = [one.message for one in said if one.source == source]
            for batch in _batches(messages):
                sent = {"batch": batch, "sentAt": rfc3339(self._now())}
                n_taken += self._post("/v1/batch", sent, source, len(batch))
        return n_taken

    def send_one(self, said: Said) -> int:
        """Send one message to the route of its type, as a browser does; 1 when it was taken, 0 when it was not."""
        message = {**said.message, "sentAt": rfc3339(self._now() + said.skew)}
        return self._post(f"/v1/{message['type']}", message, said.source, 1, gpc=said.gpc)

    def wait(self, timeout_s: float) -> None:
        """Return once the server answers. Raises ServerGone when it does not in time."""
        deadline = monotonic_s() + timeout_s
        while self._once("GET", "/health", b"", {})[0] != http.HTTPStatus.OK:
            if monotonic_s() > deadline:
                raise ServerGone(self._base_url)
            if self._stop.wait(0.1):
                return

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, document: dict[str, Any], source: str, n_events: int, *, gpc: bool = False) -> int:
        basic = base64.b64encode(f"{self._keys[source]}:".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
        if gpc:
            headers["Sec-GPC"] = "1"
        body = _encode(document)
        for _ in range(_TRIES):
            status, answer = self._once("POST", path, body, headers)
            if status == http.HTTPStatus.OK:
                return n_events - len(answer.get("rejected") or ())
            if status in {401, 403}:
                raise DemoRefused(status, source)
            if 400 <= status < 500:  # a bad event, which is what some of them are for
                return 0
            # The same bytes again: the server knows a message id that it has seen.
            if self._stop.wait(_PAUSE_S):
                return 0
        raise ServerGone(self._base_url)

    def _once(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            if self._connection is None:
                kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
                self._connection = kind(str(self._target.hostname), self._target.port, timeout=_TIMEOUT_S)
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            told = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, {}
        try:
            document = msgspec.json.decode(told)
        except msgspec.DecodeError:
            document = {}
        return response.status, document if isinstance(document, dict) else {}


def _batches(messages: Sequence[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        length = len(_encode(message))
        if batch and size + length > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
