"""`tillit ledger`: entries, proofs, checkpoints and faults, from the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner

from tests.cli.in_process import run
from tests.ledger.shelf import access, disclosure
from tillit import clock
from tillit.cli.ledger import ledger as app
from tillit.cli.processes import _keep
from tillit.errors import InputError
from tillit.ledger import ProofInvalid
from tillit.workspace import Paths, Workspace, create_workspace, open_ledger


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as ws:
        ws.identify(user_id="ana", traits={"email": "ana@example.org"})
        ws.identify(user_id="bo")
        ws.flush()
        ana, bo = (ws.profiles.get(f"user_id:{who}")["id"] for who in ("ana", "bo"))
    with open_ledger(Paths(workspace_dir), now=clock.now_us) as ledger:
        ledger.append([disclosure(ana), access(bo, number=1), access(ana, number=2, break_glass=True)])
    return workspace_dir


def asked(shop: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--workspace", str(shop)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def listed(shop: Path, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(asked(shop, "list", *words, "--json"))["entries"]
    return found


def test_a_persons_entries_are_listed_by_any_of_their_identifiers(shop: Path) -> None:
    by_email = listed(shop, "--who", "email:ana@example.org")

    assert [one["entry"] for one in by_email] == [2, 0]
    assert by_email[1]["recipient"] == "Mailer GmbH"
    assert [one["entry"] for one in listed(shop, "--who", by_email[0]["subject_ref"])][1:] == [2, 0]
    assert listed(shop, "--who", "user_id:nobody") == []


def test_what_entries_say_is_searched(shop: Path) -> None:
    assert [one["entry"] for one in listed(shop, "--kind", "access")] == [2, 1]
    assert [one["entry"] for one in listed(shop, "--recipient", "Mailer GmbH", "--until", "9000-01-01")] == [0]
    assert "broken" in asked(shop, "list")
    with pytest.raises(InputError):
        asked(shop, "list", "--who", "user_id:ana", "--kind", "access")


def test_a_proof_is_printed_and_checked_without_the_workspace(shop: Path, tmp_path: Path) -> None:
    proof = tmp_path / "ana.tlog-proof"
    proof.write_text(asked(shop, "prove", "0"))

    done = CliRunner().invoke(app, ["verify", str(proof)])
    proof.write_text(proof.read_text().replace("index 0", "index 1"))

    assert "Mailer GmbH" in done.stdout
    assert isinstance(CliRunner().invoke(app, ["verify", str(proof)]).exception, ProofInvalid)


def test_a_check_tells_what_was_taken_out_since_a_checkpoint(shop: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "kept.txt"
    note = asked(shop, "checkpoint")
    elsewhere.write_text(note)
    sound = asked(shop, "check", "--against", str(elsewhere))
    connection = apsw.Connection(str(shop / "journal.db"))
    for table in ("ledger_entry", "ledger_node", "ledger_checkpoint"):
        connection.execute(f"DELETE FROM {table}")
    connection.close()
    (shop / "ledger-checkpoints.txt").unlink()

    found = asked(shop, "check", "--against", str(elsewhere), code=1)

    assert "3 entries" in sound
    assert "no faults" in sound
    assert "a checkpoint tells of 3 entries, there are 0" in found
    assert "no faults" in asked(shop, "check")  # nobody who kept nothing can know


def test_the_doctor_says_how_the_newest_checkpoint_stands(shop: Path) -> None:
    def told() -> tuple[int, str]:
        done = run("doctor", "--workspace", str(shop))
        return done.returncode, next(line for line in done.stdout.splitlines() if " ledger " in line)

    never = told()
    asked(shop, "checkpoint")
    fits = told()
    with apsw.Connection(str(shop / "journal.db")) as connection:
        connection.execute("UPDATE ledger_node SET hash = zeroblob(32)")

    assert never[1].endswith("3 entries, no checkpoint yet: `tillit ledger checkpoint` makes one")
    assert "newest checkpoint of 3 entries made 0 min ago; it fits" in fits[1]
    assert fits[1].startswith("ok")
    assert told()[0] != 0
    assert "checkpoint of 3 entries made 0 min ago does not fit: it was altered" in told()[1]


def test_the_keeper_signs_what_was_added_and_nothing_over_what_does_not_fit(shop: Path) -> None:
    def kept() -> str:
        """Let the keeper do one round of an hour; give the file of checkpoints."""
        file, stop = shop / "ledger-checkpoints.txt", threading.Event()
        file.unlink(missing_ok=True)
        with Workspace(shop) as ws:
            working = threading.Thread(target=_keep, args=(ws, stop))
            working.start()
            deadline = clock.monotonic_s() + 30
            while not file.exists() and clock.monotonic_s() < deadline:
                stop.wait(0.02)
            stop.set()
            working.join()
            return "\n".join(ws.ledger.checkpoints())

    first = kept()
    again = kept()
    with apsw.Connection(str(shop / "journal.db")) as connection:
        connection.execute("UPDATE ledger_node SET hash = zeroblob(32)")
    with open_ledger(Paths(shop), now=clock.now_us) as ledger:
        ledger.append([access("p1", number=3)])
    forged = kept()

    assert first.count("\n3\n") == 1
    assert forged == again == first
