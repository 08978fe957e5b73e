"""Every recorded request of a real SDK gets the answer that expected.json reads off the request itself."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collect.knocking import FakeKey, KeyRing, Shop

WIRE = Path(__file__).parent.parent / "data" / "wire"
EXPECTED: dict[str, Any] = json.loads((WIRE / "expected.json").read_text())
SERVER_KEYS = {"WK", "WK2", "WKN", "WKL", "WKR", "k"}
RING = KeyRing(
    {f"pk_{key}": FakeKey(f"id-{key}", "public", f"source-{key}") for key in ("abc", "WKB", "WKS")}
    | {f"sk_{key}": FakeKey(f"id-{key}", "secret", f"source-{key}") for key in SERVER_KEYS}
)


def requests() -> dict[str, dict[str, Any]]:
    found = {}
    for name in ("sdk_requests", "snippet_requests"):
        for number, line in enumerate((WIRE / f"{name}.jsonl").read_text().splitlines(), start=1):
            found[f"{name}:{number}"] = json.loads(line)
    return found


REQUESTS = requests()


def ours(key: str) -> str:
    return f"sk_{key}" if key in SERVER_KEYS else f"pk_{key}"


def mapped(request: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    """Put our keys in place of the recorded ones, compress again what was compressed, count lengths anew."""
    path = request["path"]
    for key in ("abc", "WKB", "WKS"):
        path = path.replace(f"/{key}/", f"/{ours(key)}/")
    headers = dict(request["headers"])
    lower = {name.lower(): name for name in headers}
    if "authorization" in lower:
        plain = base64.b64decode(headers[lower["authorization"]].removeprefix("Basic ")).decode().rstrip(":")
        headers[lower["authorization"]] = "Basic " + base64.b64encode(f"{ours(plain)}:".encode()).decode()
    if "x-write-key" in lower:
        plain, _, secret = headers[lower["x-write-key"]].partition(":")
        headers[lower["x-write-key"]] = f"{ours(plain)}:{secret}"
    body = request["body"].encode()
    for key in ("WK", "WK2", "WKN", "WKB", "WKS"):
        for colon in (":", ": "):
            body = body.replace(f'"writeKey"{colon}"{key}"'.encode(), f'"writeKey"{colon}"{ours(key)}"'.encode())
    if headers.get(lower.get("content-encoding", ""), "") == "gzip":
        body = gzip.compress(body)
    if "content-length" in lower:
        headers[lower["content-length"]] = str(len(body))
    return path, body, headers


def test_every_line_has_an_expected_answer_but_the_two_of_other_protocols() -> None:
    assert set(REQUESTS) - set(EXPECTED) == {"sdk_requests:24", "sdk_requests:41"}


@pytest.mark.parametrize("line", EXPECTED)
def test_a_recorded_request_gets_its_status_and_its_events_stand_in_the_log(line: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, keys=RING)
    path, body, headers = mapped(REQUESTS[line])

    answer = shop.send(REQUESTS[line]["method"], path, body, headers=headers)
    ids = shop.message_ids()
    quarantined = shop.quarantined()
    shop.close()

    assert (answer.status, ids, quarantined) == (EXPECTED[line]["status"], EXPECTED[line]["message_ids"], [])


def test_recorded_preflights_get_their_headers_mirrored(shop: Shop) -> None:
    for request in REQUESTS.values():
        if request["method"] == "OPTIONS":
            answer = shop.send("OPTIONS", request["path"], headers=request["headers"])

            assert (
                answer.headers["access-control-allow-headers"] == request["headers"]["Access-Control-Request-Headers"]
            )
            assert answer.headers["access-control-allow-origin"] == request["headers"]["Origin"]


def test_requests_without_a_header_are_known_by_the_key_in_their_body(tmp_path: Path) -> None:
    shop = Shop(tmp_path, keys=RING)
    for line, request in REQUESTS.items():
        if '"writeKey"' in request["body"] and line in EXPECTED and "X-Write-Key" not in request["headers"]:
            path, body, headers = mapped(request)
            without = {name: value for name, value in headers.items() if name != "Authorization"}

            assert shop.send("POST", path, body, headers=without).status == 200
    shop.close()
