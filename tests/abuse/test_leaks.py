"""A marked person is sent down every path, also those that fail; then all that was said is searched for her."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from tests.abuse.knocking import Stranger, raw_event
from tests.running import RunningServer

MARKS = ("Zaphod-marker", "+46700424242", "Beeblebrox")
MAIL = "Zaphod-marker@example.org"
TRAITS = {"email": MAIL, "phone": "+46700424242", "name": "Zaphod Beeblebrox-marker"}


def send_her_everywhere(server: RunningServer, stranger: Stranger) -> bytes:
    """Use every door with her values, rightly and wrongly; give all answers that are about trouble."""
    stranger.batch({"type": "identify", "userId": MAIL, "traits": TRAITS, "anonymousId": "Zaphod-marker-device"})
    stranger.batch({"type": "identify", "userId": "Zaphod-marker-2", "traits": TRAITS})  # a refused link
    stranger.batch({"type": "track", "userId": MAIL, "event": "Beeblebrox bought", "messageId": "Zaphod-marker-m"})
    stranger.batch({"type": "track", "userId": MAIL, "event": "Beeblebrox lied", "messageId": "Zaphod-marker-m"})
    said = [
        stranger.batch(raw_event(MAIL, b'{"Beeblebrox":NaN}'), {"type": MAIL}, {"type": "track", "userId": [MAIL]}),
        stranger.batch({"type": "track", "event": "E", "userId": MAIL * 20}, {"type": "group", "userId": MAIL}),
        stranger.batch(
            {"type": "track", "event": "E", "userId": MAIL, "traits": [MAIL], "context": {"traits": [MAIL]}}
        ),
        stranger.post("/v1/track", MAIL.encode()),
        stranger.post("/v1/batch", json.dumps({"batch": MAIL, MAIL: MAIL}).encode()),
        stranger.post("/v1/batch", json.dumps({"batch": [], "context": MAIL}).encode()),
        stranger.post("/v1/track", json.dumps({"userId": MAIL}).encode(), key=MAIL),
        stranger.post("/v1/track?writeKey=" + quote(MAIL), b"{}", key=None),
        stranger.post(f"/{MAIL}", b"{}"),
        stranger.post("/v1/batch", MAIL.encode(), headers={"Content-Encoding": MAIL, "Content-Type": MAIL}),
        server.request(
            "GET", f"/pixel/v1/track?userId={MAIL}&properties=%7BBeeblebrox&writeKey={server.keys['public']}"
        ),
        server.request("GET", f"/v1/projects/{MAIL}/settings"),
        server.request("GET", f"/{MAIL}", headers={"Accept": "text/html"}),
        server.request("GET", f"/api/profiles/email:{MAIL}", headers={"Authorization": f"Bearer {MAIL}"}),
        server.request("PUT", f"/api/profiles/email:{MAIL}"),
        server.read(f"/api/profiles/email:{MAIL}?purpose={MAIL}"),
        server.read(f"/api/profiles/email:{MAIL}?{MAIL}={MAIL}"),
        server.read(f"/api/profiles/email:{MAIL}/events?before={MAIL}"),
        server.read(f"/api/profiles/email:{MAIL}/events?limit={MAIL}"),
        server.read(f"/api/profiles/{quote(MAIL)}"),
        server.read("/api/profiles/email:nobody." + MAIL),
        server.read(f"/api/events?after={MAIL}"),
        server.read(f"/api/events/stream?after={MAIL}"),
        server.read(f"/api/quarantine?before={MAIL}"),
        server.read(f"/api/quarantine/{MAIL}"),
        server.read("/api/quarantine"),
        server.request("GET", f"/console/customers/{MAIL}"),
        server.request("GET", f"/console/enter?token=x&next={MAIL}"),
    ]
    reader = {"Authorization": f"Bearer {server.keys['api']}"}
    for body in (
        MAIL,
        json.dumps({"identifier": [MAIL]}),
        json.dumps({MAIL: MAIL}),
        json.dumps({"identifier": MAIL}),
        json.dumps({"namespace": MAIL, "value": MAIL}),
        json.dumps({"identifier": f"email:{MAIL}", "purpose": MAIL}),
    ):
        said.append(server.request("POST", "/api/profiles/lookup", body=body.encode(), headers=reader))
    server.request("GET", f"/api/profiles?q={MAIL}", headers=reader)
    server.request("GET", f"/api/profiles/email:{MAIL}/events", headers=reader)
    lines = [
        f"GET /{MAIL} HTTP/9.9\r\n\r\n",
        f"GET /x HTTP/1.1\r\nContent-Length: {MAIL}\r\n\r\n",
        f"{MAIL} / HTTP/1.1\r\n\r\n",
        f"GET /{MAIL}\xe9 HTTP/1.1\r\n\r\n",
        f"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{MAIL}",
        f"GET /{MAIL} HTTP/1.1\r\nX: {'Beeblebrox' * 20_000}\r\n\r\n",
    ]
    heard = [stranger.say(line.encode("latin-1"), wait_s=0.5) for line in lines]
    # The quarantine listing shows message ids, which are the sender's own; the one sent here is plain.
    told = [answer.body for answer in said if b"message_id" not in answer.body and b"messageId" not in answer.body]
    return b"\n".join([*told, *heard])


def command(*arguments: str) -> bytes:
    done = subprocess.run([sys.executable, "-m", "tillit", *arguments], capture_output=True, timeout=60, check=False)
    return done.stdout + done.stderr


def marks_in(text: bytes) -> list[str]:
    return [mark for mark in MARKS if mark.lower().encode() in text.lower()]


def lines_with_marks(text: bytes) -> list[bytes]:
    return [line[:300] for line in text.splitlines() if marks_in(line)]


def test_a_marked_person_is_in_no_log_measure_error_or_file_beside_the_stores(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    outputs: dict[str, bytes] = {}
    with RunningServer(folder) as server:
        stranger = Stranger(server)
        outputs["answers about trouble"] = send_her_everywhere(server, stranger)
        metrics = json.loads(
            command(
                *("keys", "create", "--workspace", str(folder), "--kind", "api", "--source", "m", "--json"),
                *("--scope", "metrics:read"),
            )
        )["key"]
        time.sleep(0.6)
        measured = server.request("GET", "/metrics", headers={"Authorization": f"Bearer {metrics}"})
        outputs["metrics"] = measured.body
        # A crash of the fold and of the web process, with her on their way.
        for process in server.processes()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGABRT)
        server.wait_for("/ready", timeout_s=60)
        stranger.batch({"type": "identify", "userId": MAIL, "traits": TRAITS})
        for words in (["doctor"], ["quarantine", "replay"], ["rebuild", "--check"]):
            outputs[" ".join(words)] = command(*words, "--workspace", str(folder))
        outputs["profile show"] = command("profile", "show", f"email:nobody.{MAIL}", "--workspace", str(folder))
        found = server.find_profile(f"email:{MAIL.lower()}")
    outputs["what the server said"] = server.talk.read_bytes()
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] in {"run", "tillit.toml", "registry.db", "journal.db", "rejects"}:
            outputs[inside.as_posix()] = path.read_bytes()

    assert found is not None  # she did arrive: the search was for somebody who was there
    assert measured.status == 200
    assert {name: marks for name, text in outputs.items() if (marks := lines_with_marks(text))} == {}


def test_the_search_finds_what_is_there(server: RunningServer, stranger: Stranger) -> None:
    stranger.batch({"type": "identify", "userId": MAIL, "traits": TRAITS})

    stored = b"".join(path.read_bytes() for path in server.workspace.glob("log.db*"))

    assert marks_in(stored) == list(MARKS)


def test_what_is_wrong_with_a_file_names_rows_and_not_people(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    command("init", str(folder))
    rows = tmp_path / "people.csv"
    rows.write_text(
        f"id,mail,day\n1,{MAIL},not a day {MAIL}\n,{MAIL},2026-01-01\n2,{MAIL},\x00{MAIL}\n", encoding="utf-8"
    )
    broken = tmp_path / "broken.yaml"
    broken.write_text(f"source: {MAIL}\n{MAIL}: [\n", encoding="utf-8")

    told = command("import", str(rows), "--workspace", str(folder), "--mapping", str(broken))
    drafted = command("import", str(rows), "--workspace", str(folder), "--suggest")

    assert b"Traceback" not in told + drafted
    assert marks_in(told) == []
