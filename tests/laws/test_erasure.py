"""L7 for a whole person: everything of theirs is gone from every kind of store, and stays gone.

The self-test walks the list of stores that the code declares: what a store is said to hold of a person must be found
there before, and nowhere after.
"""

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_forgetting import killed_at
from tillit.clock import DAY, rfc3339
from tillit.collect.door import random_id
from tillit.collect.files import Uploads
from tillit.consent import Choice
from tillit.deliver import TO_SEND, Answer, Beginning, Line, Work
from tillit.deliver.deliveries import Outcome
from tillit.errors import NotFound
from tillit.flow import is_husk
from tillit.identity import identity_act_row
from tillit.identity.namespaces import Handle
from tillit.privacy.erasure import PERSON, STORES, CertificateInvalid, PepperLost, find_database, find_store
from tillit.records import KIND_EVENT, TRUST_CLAIMED, TRUST_SERVER, NewRow
from tillit.store.scan import find_bytes
from tillit.workspace import Workspace, create_workspace

NOW = 1_790_000_000_000_000
N_EXAMPLES = int(os.environ.get("TILLIT_ERASE_EXAMPLES", "6"))
ANA, BO = "user-ana-7f3kq9", "user-bo-x81mmz"


class Clock:
    """Time that moves when it is told to, and a little with each look."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> int:
        self.at += 1
        return self.at


@contextlib.contextmanager
def shop(folder: Path, now: Clock) -> Iterator[Workspace]:
    create_workspace(folder)
    with Workspace(folder, now=now) as ws:
        yield ws


def told(now: Clock, **event: Any) -> dict[str, Any]:
    at = now()
    return {"type": "track", "event": "Seen", "messageId": random_id(), "timestamp": rfc3339(at), **event}


def identify(now: Clock, user: str, **more: Any) -> dict[str, Any]:
    return told(now, type="identify", userId=user, **more)


def found_in(folder: Path, markers: list[str]) -> set[str]:
    """Give the stores in which any of the markers lies, as they are declared."""
    places = set()
    for one in find_bytes(folder, markers):
        assert one.marker >= 0, "a file could not be looked into"
        if one.place.startswith("table "):
            table, _, column = one.place.removeprefix("table ").partition(", column ")
            store = find_store(one.file, table)
            assert store is not None, f"{one.file} {table} is not declared"
            assert column.partition(",")[0] in store.personal, f"{table}.{column} is said to hold nobody's values"
            places.add(store.name)
        elif not find_database(one.file):
            store = find_store(one.file)
            assert store is not None, f"{one.file} is not declared"
            assert store.owner == PERSON, f"{one.file} is said to hold nobody's values"
            places.add(store.name)
    return places


SECRETIVE = "audience: secretive\npurpose: service\ndefinition: {event: Seen, last: {of: secret, is_set: true}}\n"


def plant(ws: Workspace, now: Clock, marker: str) -> None:
    """Put a random word of Ana's into every kind of store."""
    ws.audiences.apply(SECRETIVE, reason="", operator="kim")
    user = f"{ANA}-{marker}"
    said = {"name": f"Ana {marker}", "email": f"{marker}@example.org", "birthday": "1984-02-29"}
    ws.append([identify(now, user, anonymousId=f"laptop-{marker}", traits=said)])
    group = {"type": "group", "groupId": f"g-{marker}", "traits": {"kind": "household", "role": marker, marker: "x"}}
    ws.append([told(now, userId=user, **group), told(now, userId=user, properties={"secret": marker})])
    ws.flush()
    ws.profiles.note(f"user_id:{user}", f"called {marker}", operator="kim")
    ws.identity.cut(f"user_id:{user}", f"email:{marker}@example.org", reason=f"not {marker}")
    decided = ws.identity.decisions(f"user_id:{user}", ws.scope()) or []
    ws.identity.undo(decided[0]["action"], reason=f"yes {marker}")
    ws.consent.set(f"user_id:{user}", [Choice("service", "refused")], evidence=f"call {marker}", operator="kim")
    category = {"consent": {"categoryPreferences": {marker: True}}}
    ws.append([told(now, userId=user, context=category)])
    ws.flush()
    whose = ws.profiles.get(f"user_id:{user}")["id"]
    ws.openings.begin(
        ws.openings.plan(
            operator_id="kim", session_id="s", profile_id=whose, subjects=[whose], reason=f"called about {marker}"
        )
    )
    asked = ws.requests.open(f"user_id:{user}", "correction", by_whom="kim", asked_by="person", evidence="form-7")
    ws.requests.reject(asked.request_id, ground="unfounded", reason=f"for {marker}", by_whom="kim")
    _deliver(ws, whose, marker)
    with contextlib.suppress(Exception):
        ws.append([{"type": "track", "userId": user, "event": [marker]}])
    ws.paths.rejects.mkdir(exist_ok=True)
    rejected = {"row": 1, "code": "collect.x", "reason": "no", "raw": {"id": user}}
    (ws.paths.rejects / "a.jsonl").write_text(json.dumps(rejected) + "\n" + json.dumps({"raw": {"id": BO}}) + "\n")
    uploads = Uploads(ws.paths.uploads, now=now)
    upload = uploads.create("people.csv", asked_by="kim")
    uploads.file(upload).write_text(f"id\n{user}\n")
    uploads.save(upload)
    plan = ws.plans.ask("namespaces: {}", against=None, asked_by="kim")
    ws.plans.save_result(plan, {"sample": user})
    for folder, name in ((ws.paths.exports, "x.json"), (ws.paths.run / "check-1", "state.db")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(user)
    ws.folding.write_lake()
    ws.consent.apply("purposes: {service: {title: Service, basis: contract, fields: all, share: true}}")
    ws.shares.share("service")


def _deliver(ws: Workspace, whose: str, marker: str) -> None:
    """Leave what a recipient and a colleague wrote about somebody, as a courier and a console would."""
    queue = ws.deliveries.queue
    work, line = Work(1, TO_SEND, "", 0, bytes(16)), Line("mail", "letter", "service", "service")
    queue.take([work], lambda _: [line], epoch=ws.log.epoch(), through=ws.log.head())
    (one,) = queue.claim("mail", courier="courier", lease_s=30, most=1)
    begun = Beginning(one, "message", "", "", whose, (), b"", "contract", None, 0, None)
    queue.begin([begun])
    queue.end([Outcome(begun, Answer("refused", "smtp.550", f"{marker} is unknown"), 12, is_idempotent=False)])
    ws.deliveries.suppress(whose, "operator", source="cli", by="kim", words=f"{marker} called")


# Derived tables that hold no text of a person, and places that no part of this version writes.
_WITHOUT_TEXT = {
    "state.db: tenure",
    "state.db: event_index",
    "state.db: token_use",
    "state.db: link",
    "state.db: permission",
    "state.db: permission_ground",
    "deliveries.db: message_request",
    "run/plan-*",
    "run/changeover/*",
}


def test_a_random_marker_is_found_in_every_kind_of_store_and_after_the_erasure_in_none(workspace_dir: Path) -> None:
    marker, now = f"m{secrets.token_hex(8)}", Clock()
    with shop(workspace_dir, now) as ws:
        ws.append([identify(now, BO, traits={"name": "Bo Ek"})])
        plant(ws, now, marker)
        before = found_in(workspace_dir, [marker])
        assert before == {store.name for store in STORES if store.owner == PERSON} - _WITHOUT_TEXT

        done = ws.erasure.erase(f"user_id:{ANA}-{marker}")

        assert found_in(workspace_dir, [marker]) == set()
        assert ws.erasure.verify(f"user_id:{ANA}-{marker}") == []
        assert ws.erasure.verify_certificate(done.certificate) == []
        assert marker not in done.certificate.read_text()
        assert (ws.paths.rejects / "a.jsonl").read_text().count(BO) == 1, "others' rows stay"
        assert ws.folding.check() == []


def test_every_file_table_and_column_written_at_run_time_is_declared(workspace_dir: Path) -> None:
    now = Clock()
    with shop(workspace_dir, now) as ws:
        plant(ws, now, f"m{secrets.token_hex(8)}")
        ws.append([identify(now, ANA)])
        ws.flush()
        ws.erasure.erase(f"user_id:{ANA}")
        undeclared = []
        for path in workspace_dir.rglob("*"):
            name = path.relative_to(workspace_dir).as_posix()
            if not path.is_file():
                continue
            if not find_database(name):
                undeclared += [name] if find_store(name) is None else []
            elif path.suffix == ".db":
                undeclared += _undeclared_columns(path, name)

    assert undeclared == []


def _undeclared_columns(path: Path, name: str) -> list[str]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = []
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        columns = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
        store = find_store(name, str(table))
        if store is None or {*store.personal, *store.plain} != columns:
            found.append(f"{name} {table}")
    connection.close()
    return found


def test_what_was_sent_or_dated_before_is_refused_without_a_byte_and_what_comes_later_is_new(
    workspace_dir: Path,
) -> None:
    now = Clock()
    with shop(workspace_dir, now) as ws:
        first = identify(now, ANA, anonymousId="laptop-of-ana", traits={"email": "ana@example.org"})
        future = told(now, userId=ANA, timestamp=rfc3339(now() + 20 * DAY), properties={"w": "from-the-future"})
        ws.append([first])
        ws.append([future])
        ws.flush()
        old_id = ws.profiles.get(f"user_id:{ANA}")["id"]
        ws.erasure.erase(f"user_id:{ANA}")
        dated = told(now, userId=ANA, timestamp=rfc3339(NOW - DAY), properties={"w": "late-word"})

        ws.append([dated, first, future])  # late, resent, resent and dated in the future
        ws.append([told(now, userId=ANA, anonymousId="laptop-of-ana")], trust=TRUST_CLAIMED)  # a tab left open
        ws.append([{"type": "identify", "userId": ANA, "traits": {"a": "nightly"}}])  # a server without a time
        ws.flush()

        fates = ws.events.fates(1, ws.log.head())
        assert sorted(fate for fate, _ in fates.values()) == ["forgotten"] * 2 + ["refused"] * 5
        assert found_in(workspace_dir, [ANA, "ana@example.org", "late-word", "from-the-future", "nightly"]) == set()
        with pytest.raises(NotFound):
            ws.profiles.get(f"user_id:{ANA}")

        ws.append([told(now, anonymousId="laptop-of-ana")], trust=TRUST_CLAIMED)
        ws.append([told(now, userId=ANA, event="Bought")])
        ws.append([told(now, userId=ANA, event="Read")], trust=TRUST_CLAIMED)
        ws.flush()

        document = ws.profiles.get(f"user_id:{ANA}")
        assert document["id"] != old_id
        assert document["counts"] == {"Bought": 1, "Read": 1}
        assert ws.folding.check() == []


@pytest.mark.parametrize("step", [
    "tillit.workspace.erasure.Erasures._erase_places",
    "tillit.workspace.erasure.Erasures._forget",
    "tillit.privacy.erasure.journal.ErasureJournal.place",
    "tillit.privacy.erasure.journal.ErasureJournal.settle",
    "tillit.workspace.erasure.Erasures._follow_lake",
    "tillit.privacy.erasure.journal.ErasureJournal.finish",
])  # fmt: skip
@pytest.mark.parametrize("is_after", [False, True])
def test_an_erasure_that_was_killed_is_finished_by_the_next_start(
    workspace_dir: Path, step: str, is_after: bool
) -> None:
    now = Clock()
    with shop(workspace_dir, now) as ws:
        ws.append([identify(now, BO), identify(now, ANA, traits={"email": "ana@example.org"})])
        ws.flush()
        with killed_at(step, is_after=is_after), contextlib.suppress(BaseException):
            ws.erasure.erase(f"user_id:{ANA}")

    with shop(workspace_dir, now) as ws:
        assert ws.erasure.verify(f"user_id:{ANA}") == []
        assert ws.erasure.verify("email:ana@example.org") == []
        ws.append([told(now, userId=ANA)], trust=TRUST_CLAIMED)
        ws.flush()
        assert found_in(workspace_dir, [ANA]) == set()
        assert ws.profiles.get(f"user_id:{BO}")["counts"] == {}


def test_a_certificate_that_was_changed_or_that_another_workspace_signed_is_refused(workspace_dir: Path) -> None:
    now = Clock()
    with shop(workspace_dir / "a", now) as ws:
        ws.append([identify(now, ANA)])
        ws.flush()
        path = ws.erasure.erase(f"user_id:{ANA}").certificate
        document = json.loads(path.read_text())
        with shop(workspace_dir / "b", now) as other, pytest.raises(CertificateInvalid):
            other.erasure.verify_certificate(path)
        path.write_text(json.dumps({**document, "n_events": 7}))
        with pytest.raises(CertificateInvalid):
            ws.erasure.verify_certificate(path)


def test_tombstones_without_their_secret_open_no_workspace(workspace_dir: Path) -> None:
    now = Clock()
    with shop(workspace_dir, now) as ws:
        ws.append([identify(now, ANA)])
        ws.flush()
        ws.erasure.erase(f"user_id:{ANA}")
    for end in ("", "-wal", "-shm"):
        (workspace_dir / f"registry.db{end}").unlink(missing_ok=True)

    with pytest.raises(PepperLost):
        Workspace(workspace_dir, now=now)


def test_a_restored_log_lets_go_of_whom_it_still_knew_before_it_is_served(workspace_dir: Path) -> None:
    now = Clock()
    with shop(workspace_dir, now) as ws:
        ws.append([identify(now, BO), identify(now, ANA, anonymousId="tablet-one-9zk")])
        ws.append([identify(now, BO, anonymousId="tablet-one-9zk")])
        ws.flush()
    shutil.copytree(workspace_dir, workspace_dir.with_name("copy"))
    with Workspace(workspace_dir, now=now) as ws:
        ws.erasure.erase(f"user_id:{ANA}")
    for name in ("log.db", "state.db", "journal.db"):
        for end in ("-wal", "-shm"):
            (workspace_dir / f"{name}{end}").unlink(missing_ok=True)
        shutil.copy(workspace_dir.with_name("copy") / name, workspace_dir / name)
    shutil.rmtree(workspace_dir / "lake")
    shutil.copytree(workspace_dir.with_name("copy") / "lake", workspace_dir / "lake")

    with Workspace(workspace_dir, now=now) as ws:
        assert found_in(workspace_dir, [ANA]) == set()
        assert ws.profiles.get(f"user_id:{BO}") is not None
        ws.folding.rebuild()
        assert found_in(workspace_dir, [ANA]) == set()
        assert ws.folding.check() == []


PEOPLE = [ANA, BO, "user-cem-0wq5tt"]
DEVICES = ["device-one-9zk", "device-two-4hx"]
PHONES = ["+46701234567", "+46709999999"]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what few people do with few devices and telephones, some of it dated in the future."""
    events = []
    for number in range(draw(st.integers(2, 9))):
        who = draw(st.sampled_from([*PEOPLE, None]))
        event: dict[str, Any] = {"type": "identify", "messageId": f"message-{number:04d}-q8z", "n": number}
        event["at"] = draw(st.integers(-5, 5))
        if who is not None:
            event["userId"] = who
        if who is None or draw(st.booleans()):
            event["anonymousId"] = draw(st.sampled_from(DEVICES))
        traits: dict[str, Any] = {"word": f"word-{number:04d}-{who or 'nobody'}"}
        if draw(st.booleans()):
            traits["phone"] = draw(st.sampled_from(PHONES))
        if who is not None and draw(st.booleans()):
            traits["email"] = f"{who}@example.org"
        events.append({**event, "traits": traits})
    return events


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_after_random_histories_no_byte_stays_others_do_and_the_erased_stay_so(data: st.DataObject) -> None:
    events = data.draw(histories())
    with tempfile.TemporaryDirectory() as name:
        now = Clock()
        folder = Path(name) / "shop"
        with shop(folder, now) as ws:
            sent = [{**e, "timestamp": rfc3339(NOW + e["at"] * DAY // 10)} for e in events]
            trusts = [data.draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER])) for _ in sent]
            for event, trust in zip(sent, trusts, strict=True):
                ws.append([dict(event)], trust=trust)
            ws.append([identify(now, "user-dana-5kk2", anonymousId="phone-of-dana", traits={"email": "d@example.org"})])
            ws.flush()
            if data.draw(st.booleans()):
                _decide(ws, now, data.draw(st.sampled_from(["cut", "join", "pin"])))
            if data.draw(st.booleans()):
                ws.folding.write_lake()
            dana = ws.profiles.get("user_id:user-dana-5kk2")
            users = sorted({e["userId"] for e in events if "userId" in e})
            if not users:
                return
            who = data.draw(st.sampled_from(users))
            document = ws.profiles.get(f"user_id:{who}")
            held = ws.log.read(0, 1_000)

            done = ws.erasure.erase(f"user_id:{who}")

            stays = {kept.what.partition(":")[2] for kept in done.stays}
            said = [json.loads(row.body or b"{}") for row in held if _is_husk(ws, row.position)]
            assert len(said) == done.n_events
            gone = [v for v in _values(document) if v not in stays]
            gone += [
                word for body in said for word in (body.get("messageId"), body.get("traits", {}).get("word")) if word
            ]
            for again in (False, True):
                assert found_in(folder, gone) == set()
                assert ws.erasure.verify_certificate(done.certificate) == []
                assert ws.folding.check() == []
                assert ws.profiles.get("user_id:user-dana-5kk2") == dana
                if not again:
                    before = _everybody(ws)
                    for event, trust in zip(sent, trusts, strict=True):  # a replay of all that was ever sent
                        ws.append([dict(event)], trust=trust)
                    ws.flush()
                    ws.folding.rebuild()
                    ws.folding.write_lake()
                    assert _everybody(ws) == before

            ws.append([told(now, userId=who, event="Came Back")])
            ws.flush()
            back = ws.profiles.get(f"user_id:{who}")
            assert back["counts"] == {"Came Back": 1}
            assert back["id"] != document["id"]


def _decide(ws: Workspace, now: Clock, kind: str) -> None:
    ends = [Handle(0, "user_id", ANA), Handle(0, "user_id", BO)]
    rows: list[NewRow] = [
        identity_act_row(kind, ends, of="", operator="kim", reason="why", message_id="decided-0001-q8z", now=now())
    ]
    ws.append_rows(rows)
    ws.flush()


def _is_husk(ws: Workspace, position: int) -> bool:
    row = ws.log.get([position])[position]
    return row.kind == KIND_EVENT and is_husk(row)


def _values(document: dict[str, Any]) -> list[str]:
    return [one["value"] for one in document["identifiers"] if one["namespace"] != "anonymous_id"]


def _everybody(ws: Workspace) -> dict[str, Any]:
    return {
        f"{namespace}:{value}": ws.profiles.get(f"{namespace}:{value}")
        for namespace, value in ws.state.read("SELECT namespace, value FROM identifier ORDER BY namespace, value")
    }
