"""`tillit plan|apply` on purposes, `tillit purposes` and `tillit consent`, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.consent.conftest import PURPOSES
from tests.running import tillit
from tillit.workspace import Workspace, create_workspace


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as ws:
        ws.identify(user_id="ana", traits={"firstName": "Ana", "email": "ana@example.org"})
    folder = workspace_dir / "purposes"
    folder.mkdir()
    head, purposes = PURPOSES.split("purposes:")
    (folder / "parties.yaml").write_text(head)
    (folder / "shop.yaml").write_text(f"purposes:{purposes}")
    return workspace_dir


def test_a_folder_of_purposes_is_planned_applied_and_taken_back(shop: Path) -> None:
    at = ("--workspace", str(shop))
    planned = json.loads(tillit("plan", *at, "--json"))
    tillit("apply", *at, "--yes", "--reason", "the lawyer's list")
    told = tillit("purposes", *at)
    tillit("consent", "set", "user_id:ana", "newsletter=given", "--evidence", "form 7", *at)
    allowed = json.loads(tillit("consent", "show", "user_id:ana", *at, "--json"))
    found = json.loads(tillit("profile", "show", "user_id:ana", *at, "--purpose", "newsletter", "--json"))
    tillit("apply", "purposes", "--undo", "--yes", *at)

    assert planned["people"] == 1
    assert {one["purpose"] for one in planned["purposes"] if one["is_new"]} > {"newsletter", "ads"}
    assert "Newsletter" in told
    assert {one["purpose"]: one["permitted"] for one in allowed["purposes"]}["newsletter"]
    assert list(found["traits"]) == ["firstName"]
    assert json.loads(tillit("purposes", *at, "--history", "--json"))["history"][0]["text"] == ""
    assert "two built-in" in tillit("doctor", *at)


def test_a_yes_without_evidence_and_a_purpose_declared_twice_are_refused(shop: Path) -> None:
    (shop / "purposes" / "more.yaml").write_text("purposes: {ads: {title: Ads, basis: contract, fields: all}}\n")

    with pytest.raises(AssertionError, match="evidence"):
        tillit("consent", "set", "user_id:ana", "service=given", "--workspace", str(shop))
    with pytest.raises(AssertionError, match="a second time"):
        tillit("apply", "--yes", "--workspace", str(shop))
