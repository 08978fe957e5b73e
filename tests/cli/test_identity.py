"""`tillit identity` beside a running server: why two identifiers are one person, and what colleagues decide."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import in_process
from tests.looks import looks
from tests.running import Answer, RunningServer, create_key, tillit
from tillit.cli.terminal import reader
from tillit.workspace import Workspace

REASON = ("--reason", "The till mistook one for the other.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("identity") / "shop") as running:
        yield running


class Pair:
    """Two people of one test, whom a wrong identify call made one."""

    def __init__(self, server: RunningServer, mark: str) -> None:
        self.server = server
        self.ana, self.bo = f"user_id:ana-{mark}", f"user_id:bo-{mark}"
        self.anas, self.bos = f"email:ana-{mark}@example.org", f"email:bo-{mark}@example.org"
        self.device = f"anonymous_id:tablet-{mark}"
        self.identify(self.ana, self.anas, anonymousId=value(self.device))
        self.identify(self.ana, self.bos)
        self.identify(self.bo, self.bos)

    def identify(self, user: str, email: str, **more: Any) -> None:
        told = {"userId": value(user), "traits": {"email": value(email)}, **more}
        assert self.server.send("/v1/identify?wait=applied", told).status == 200

    def id_of(self, who: str) -> str:
        found = self.server.find_profile(who)
        assert found is not None
        return str(found["id"])

    def run(self, *words: str) -> in_process.Done:
        return run(*words, "--workspace", str(self.server.workspace))

    def told(self, *words: str) -> Any:
        return json.loads(tillit("identity", *words, "--workspace", str(self.server.workspace), "--json"))


def value(identifier: str) -> str:
    return identifier.partition(":")[2]


def run(*words: str) -> in_process.Done:
    return in_process.run("identity", *words)


@pytest.fixture
def pair(server: RunningServer) -> Pair:
    return Pair(server, uuid.uuid4().hex[:8])


def test_the_life_of_a_mistake_beside_a_running_server(pair: Pair) -> None:
    together = pair.id_of(pair.bos)
    why = pair.told("why", pair.anas, pair.bos)
    assert together == pair.id_of(pair.ana) != pair.id_of(pair.bo)
    assert [(one["from"], one["to"], one["rule"], one["source"]) for one in why["path"]] == [
        (pair.anas, pair.ana, "same event", "backend"),
        (pair.ana, pair.bos, "same event", "backend"),
    ]

    cut = pair.told("cut", pair.ana, pair.bos, *REASON)

    # Both answer at once by their own identifiers, and the e-mail is with whom else it was said of.
    assert [pair.id_of(pair.ana), pair.id_of(pair.bos)] == cut["profiles"]
    assert pair.id_of(pair.bos) == pair.id_of(pair.bo) != pair.id_of(pair.ana)
    pair.identify(pair.ana, pair.bos)  # as an SDK says on every page
    assert pair.id_of(pair.bos) != pair.id_of(pair.ana)

    undone = pair.told("undo", cut["action"], *REASON)

    assert undone["together"]
    assert pair.id_of(pair.bos) == pair.id_of(pair.ana) == together
    history = pair.told("history", pair.bos)["decisions"]
    assert [(one["action"], one["kind"], one["stands"], one["operator"]) for one in history] == [
        (cut["action"], "cut", False, "cli"),
        (undone["action"], "undo", True, "cli"),
    ]


def test_people_read_what_came_of_it_and_how_to_undo_it(pair: Pair) -> None:
    ana = pair.id_of(pair.ana)

    why = pair.run("why", pair.ana, pair.bos).stdout.splitlines()
    cut = pair.run("cut", pair.ana, pair.bos, *REASON, "--operator", "kim").stdout.splitlines()
    after = pair.run("why", pair.ana, pair.bos).stdout.splitlines()

    assert why[0] == f"{pair.ana} and {pair.bos} are one person ({ana}), through:"
    assert why[1].startswith(f"  {pair.ana} — {pair.bos} · same event, server, backend, 2")
    assert len(why) == 2
    bo = pair.id_of(pair.bos)
    assert cut[0] == f"Cut: {pair.ana} ({ana}) and {pair.bos} ({bo}) are two people."
    action = cut[1].split()[1].rstrip(".")
    assert cut[1] == (f"Action {action}. To undo it: tillit identity undo {action} --workspace {pair.server.workspace}")
    assert after[0] == f"{pair.ana} ({ana}) and {pair.bos} ({bo}) are two people."
    assert after[2].endswith(": withdrawn, cut by a colleague")
    assert after[4].endswith(f"cut  {pair.ana} — {pair.bos}, kim: {REASON[1]}")


def test_a_cut_that_leaves_another_way_says_it_and_how_to_hold_them_apart(pair: Pair) -> None:
    mail, phone = f"{pair.anas}.uk", f"phone:+46{int(pair.ana[-8:], 16):010d}"
    traits = {"email": value(mail), "phone": value(phone)}
    for who in ({"userId": value(pair.ana)}, {"anonymousId": "kiosk"}):
        assert pair.server.send("/v1/identify?wait=applied", {**who, "traits": traits}).status == 200

    cut = pair.run("cut", pair.ana, mail, *REASON).stdout.splitlines()

    assert cut[0].startswith(f"Cut, but {pair.ana} and {mail} are still one person (")
    assert [line.split(" · ")[0].strip() for line in cut[1:3]] == [f"{pair.ana} — {phone}", f"{phone} — {mail}"]
    assert f"tillit identity pin {pair.ana} {mail} --workspace" in cut[3]

    pinned = pair.told("pin", pair.ana, mail, *REASON)
    assert not pinned["together"]
    assert pair.id_of(pair.ana) != pair.id_of(mail)


def test_a_cut_without_a_direct_link_shows_the_path_and_exits_2(pair: Pair) -> None:
    shown = pair.run("cut", pair.anas, pair.bos, *REASON)
    told = pair.run("cut", pair.anas, pair.bos, *REASON, "--json")

    assert (shown.returncode, told.returncode) == (2, 2)
    assert [line.split(" · ")[0].strip() for line in shown.stdout.splitlines()[1:]] == [
        f"{pair.anas} — {pair.ana}",
        f"{pair.ana} — {pair.bos}",
    ]
    assert "no direct evidence" in shown.stderr
    assert [one["to"] for one in json.loads(told.stdout)["path"]] == [pair.ana, pair.bos]
    assert json.loads(told.stderr)["error"]["code"] == "identity.no-direct-link"
    # An error holds no personal value; the result does.
    assert not any(value(one) in shown.stderr + told.stderr for one in (pair.ana, pair.anas, pair.bos))
    assert pair.told("history", pair.ana) == {"decisions": []}


def test_two_user_ids_are_joined_and_parted_again(pair: Pair) -> None:
    before = pair.id_of(pair.ana), pair.id_of(pair.bo)

    joined = pair.told("join", pair.bo, pair.ana, *REASON)
    assert joined["together"]
    assert pair.id_of(pair.bo) == pair.id_of(pair.ana) == before[0]
    assert joined["path"][0]["rule"] == "colleague"

    pair.told("undo", joined["action"], *REASON)
    assert (pair.id_of(pair.ana), pair.id_of(pair.bo)) == before


def test_what_is_pinned_apart_is_not_joined_and_the_action_is_named(pair: Pair) -> None:
    action = pair.told("pin", pair.ana, pair.bo, *REASON)["action"]

    refused = pair.run("join", pair.ana, pair.bo, *REASON)

    assert refused.returncode == 2
    assert f"(action {action})" in refused.stderr


def test_what_cannot_be_is_said_and_exits_2(pair: Pair) -> None:
    outcomes = {
        "device": pair.run("pin", pair.ana, pair.device, *REASON),
        "unknown": pair.run("why", pair.ana, "user_id:nobody"),
        "no identifier": pair.run("cut", "ana", pair.bos, *REASON),
        "no text": pair.run("why", pair.ana, "user_id:\udcff"),
        "one": pair.run("join", pair.ana, pair.ana, *REASON),
        "empty reason": pair.run("cut", pair.ana, pair.bos, "--reason", " "),
        "long reason": pair.run("cut", pair.ana, pair.bos, "--reason", "x" * 501),
        "no reason": pair.run("cut", pair.ana, pair.bos),
        "no action": pair.run("undo", "e1-999999", *REASON),
        "no cursor": pair.run("violations", "--before", "then"),
        "nobody's": pair.run("history", "user_id:nobody"),
    }

    assert {name: done.returncode for name, done in outcomes.items()} == dict.fromkeys(outcomes, 2)
    assert [name for name, done in outcomes.items() if "Traceback" in done.stderr] == []
    assert pair.told("history", pair.ana) == {"decisions": []}


def test_refused_links_are_listed_newest_first(pair: Pair) -> None:
    pair.identify(pair.bo, pair.anas)

    newest = pair.told("violations", "--limit", "1")
    line = pair.run("violations", "--limit", "1").stdout.splitlines()

    assert [(one["a"], one["b"], one["reason"]) for one in newest["violations"]] == [
        (pair.bo, pair.anas, "two user ids")
    ]
    assert line[0].startswith(f"{pair.bo} — {pair.anas} · same event, server, backend, 2")
    assert line[1] == f"There are more: --before {newest['next']}"
    older = pair.told("violations", "--before", newest["next"])["violations"]
    assert newest["violations"][0] not in older


def post(server: RunningServer, path: str, key: str | None, body: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    return server.request("POST", path, body=json.dumps(body).encode(), headers=headers)


def test_programs_decide_over_http_while_the_engine_is_another_process(pair: Pair) -> None:
    server = pair.server
    both = ("--scope", "identity:read", "identity:write")
    key = create_key(server.workspace, "api", "till", *both)
    asked = {"a": pair.ana, "b": pair.bos, "reason": "x"}

    cut = post(server, "/api/identity/cut", key, asked)

    assert cut.status == 200, cut
    assert cut.json()["operator"] == "key:till"
    assert cut.json()["profiles"] == [pair.id_of(pair.ana), pair.id_of(pair.bos)]
    assert pair.id_of(pair.ana) != pair.id_of(pair.bos)
    # The door's process waited and did not fold: the engine goes on.
    pair.identify(pair.ana, pair.anas)
    undone = post(server, "/api/identity/undo", key, {"action": cut.json()["action"], "reason": "x"})
    assert undone.json()["together"]

    for sort, status in (("public", 403), ("secret", 403), ("api", 403), (None, 401)):
        refused = post(server, "/api/identity/cut", server.keys[sort] if sort else None, asked)
        assert refused.status == status, sort
    assert len(pair.told("history", pair.ana)["decisions"]) == 2


@pytest.mark.parametrize("key", ["public", "secret"])
def test_no_source_sends_a_decision(key: str, pair: Pair, tmp_path: Path) -> None:
    server = pair.server
    act = {
        "type": "cut",
        "identifiers": [["user_id", value(pair.ana)], ["email", value(pair.bos)]],
        "operator": "mallory",
        "reason": "x",
        "of": "m",
        "userId": value(pair.ana),
        "event": "Seen",
    }

    alone = server.send("/v1/track?wait=applied", act, key=key)
    whole = server.send("/v1/batch?wait=applied", {"batch": [{**act, "type": kind} for kind in KINDS]}, key=key)
    unknown = server.send("/v1/cut", act, key=key)
    (tmp_path / "acts.jsonl").write_text(json.dumps(act) + "\n", encoding="utf-8")
    mapping = "name: acts\nformat: jsonl\ntype: {}\nuser_id: userId\nevent: event\n"
    (tmp_path / "acts.yaml").write_text(mapping.format("cut"), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tillit", "import", str(tmp_path / "acts.jsonl")),
            *("--mapping", str(tmp_path / "acts.yaml"), "--workspace", str(server.workspace)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # The route says what it is: a track call, whatever its body claims.
    assert (alone.status, unknown.status, done.returncode) == (200, 404, 2)
    assert [one["code"] for one in whole.json()["rejected"]] == ["type_unknown"] * len(KINDS)
    assert pair.id_of(pair.bos) == pair.id_of(pair.ana)
    assert pair.told("history", pair.ana) == {"decisions": []}
    assert not [
        body for _, body in server.log_events() if body.get("type") in KINDS and body.get("operator") == "mallory"
    ]


KINDS = ("cut", "pin", "join", "undo")


def test_a_colleague_decides_under_their_login(workspace_dir: Path) -> None:
    tillit("init", str(workspace_dir))
    where = ("--workspace", str(workspace_dir))
    tillit("operators", "create", "maria", "--role", "admin", *where)
    script = (
        "import sys, tillit\n"
        "with tillit.open(sys.argv[1]) as ws:\n"
        "    ws.track(user_id='ana', event='Seen')\n"
        "    ws.track(user_id='bo', event='Seen')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(workspace_dir)], check=True, timeout=60)

    told = json.loads(
        tillit("identity", "join", "user_id:ana", "user_id:bo", *REASON, "--operator", "Maria", *where, "--json")
    )

    assert told["operator"].startswith("op_")
    assert f"user_id:ana — user_id:bo, maria: {REASON[1]}" in run("history", "user_id:bo", *where).stdout
    with Workspace(workspace_dir) as ws:
        noted = ws.audit.actions(action="identity.join")
        reads = [(one.actor_id, one.route, one.n_profiles) for one in looks(ws)]
    assert [(one.operator_id, one.target) for one in noted] == [(told["operator"], told["action"])]
    assert reads == [(reader(), "tillit identity history", 1), (reader(), "tillit identity join", 1)]


def test_it_works_without_a_server_and_shows_no_control_characters(workspace_dir: Path) -> None:
    tillit("init", str(workspace_dir))
    script = (
        "import sys, tillit\n"
        "with tillit.open(sys.argv[1]) as ws:\n"
        "    ws.identify(user_id='ana\\x1b[2J', traits={'email': 'ana@example.org'})\n"
    )
    subprocess.run([sys.executable, "-c", script, str(workspace_dir)], check=True, timeout=60)
    where = ("--workspace", str(workspace_dir))

    why = run("why", "user_id:ana\x1b[2J", "email:ana@example.org", *where)
    cut = run("cut", "user_id:ana\x1b[2J", "email:ana@example.org", "--reason", "\x1b[31mred", *where)
    history = run("history", "email:ana@example.org", *where)

    assert (why.returncode, cut.returncode, history.returncode) == (0, 0, 0), why.stderr + cut.stderr
    assert "\x1b" not in why.stdout + cut.stdout + history.stdout
    assert "are two people." in cut.stdout
    assert tillit("rebuild", "--check", *where).startswith("No difference")
