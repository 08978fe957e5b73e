"""`tillit privacy export` and `tillit privacy requests`, as a colleague types them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.looks import looks
from tillit.cli.privacy import privacy
from tillit.errors import TillitError
from tillit.workspace import Workspace, create_workspace


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as ws:
        ws.identify(user_id="ana", traits={"name": "Ana Ek", "email": "ana@example.org"})
        ws.flush()
    return workspace_dir


def run(shop: Path, *words: str) -> str:
    done = CliRunner().invoke(privacy, [*words, "--workspace", str(shop)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def told(shop: Path, *words: str) -> Any:
    return json.loads(run(shop, *words, "--json"))


def test_export_prints_where_the_package_is(shop: Path) -> None:
    path = Path(run(shop, "export", "email:ana@example.org").strip())
    carried = told(shop, "export", "user_id:ana", "--kind", "portability", "--format", "zip")

    assert json.loads(zipfile.ZipFile(path).read("data.json"))["traits"][1]["value"] == "Ana Ek"
    assert "facts" not in carried["n_rows"]
    assert "ana" not in path.name
    with Workspace(shop) as ws:
        assert [one.route for one in looks(ws)] == ["tillit privacy export"] * 2
        assert {one.action for one in ws.audit.actions()} == {"package.write"}


@pytest.mark.parametrize("words", [("--kind", "erasure"), ("--format", "xlsx")])
def test_export_names_what_it_can(shop: Path, words: tuple[str, str]) -> None:
    with pytest.raises(TillitError, match="must be"):
        run(shop, "export", "user_id:ana", *words)


def test_a_request_goes_from_the_telephone_to_its_package(shop: Path) -> None:
    opened = told(shop, "requests", "open", "user_id:ana", "access", "--evidence", "ticket-1", "--place", "DE")
    verify = ("--level", "2", "--via", "document", "--evidence", "ticket-1")
    verified = told(shop, "requests", "verify", opened["request_id"], *verify)
    extended = told(shop, "requests", "extend", opened["request_id"], "--reason", "many orders")
    listed = run(shop, "requests", "list")
    said = run(shop, "requests", "run", opened["request_id"])
    shown = json.loads(run(shop, "requests", "show", opened["request_id"]))

    assert [opened["state"], verified["state"]] == ["received", "scoped"]
    assert extended["due_at"] > verified["due_at"]
    assert opened["request_id"] in listed
    assert "is complete" in said
    assert Path(shown["package"]).exists()
    assert [one["action"] for one in shown["steps"]][-3:] == ["run", "check", "complete"]
    assert "subject_token" not in shown
    assert told(shop, "requests", "list") == []
    assert len(told(shop, "requests", "list", "--all", "--who", "user_id:ana")) == 1


def test_an_erasure_is_held_released_refused_and_another_taken_back(shop: Path) -> None:
    proof = ("--evidence", "ticket-1", "--level", "2", "--via", "document")
    one = told(shop, "requests", "open", "user_id:ana", "erasure", *proof)["request_id"]
    hold = ("--until", "2999-01-31", "--basis", "legal_claim", "--reason", "in court")
    held = told(shop, "requests", "hold", one, *hold)
    released = told(shop, "requests", "release", one, "--reason", "decided")
    refused = told(shop, "requests", "reject", one, "--ground", "legal_obligation")
    other = told(shop, "requests", "open", "user_id:ana", "erasure", *proof)["request_id"]
    back = told(shop, "requests", "withdraw", other, "--evidence", "ticket-2")

    assert (held["state"], held["held_until"]) == ("held", "2999-01-31T00:00:00Z")
    assert [released["state"], refused["state"], back["state"]] == ["scoped", "rejected", "withdrawn"]
    with pytest.raises(TillitError, match="a day such as"):
        run(shop, "requests", "hold", other, "--until", "soon", "--basis", "legal_claim", "--reason", "x")
    with pytest.raises(TillitError):
        run(shop, "requests", "answer", other, "mailer", "answered")
