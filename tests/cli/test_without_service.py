"""Commands in a workspace that declares no `service`: they ask for a purpose where they read people, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.in_process import run
from tillit.consent import PurposeUnnamed
from tillit.workspace import Workspace, create_workspace

CARE = """
purposes:
  care: {title: Care, basis: contract, fields: all}
  letters: {title: Letters, basis: consent, fields: all, share: true}
"""
READING = [
    ["profile", "show", "user_id:ana"],
    ["profile", "search", "ana"],
    ["events", "tail", "--no-follow"],
    ["identity", "why", "user_id:ana", "user_id:bo"],
    ["identity", "pin", "user_id:ana", "user_id:bo"],
    ["identity", "cut", "user_id:ana", "email:ana@example.org", "--reason", "a typing mistake"],
    ["keys", "create", "--kind", "api", "--source", "mailer"],
]
NOT_READING = [
    ["keys", "create", "--kind", "secret", "--source", "till"],
    ["keys", "create", "--kind", "public", "--source", "web"],
    ["keys", "create", "--kind", "identity", "--source", "web"],
    ["rules"],
    ["doctor"],
    ["lake", "share", "letters"],
    ["privacy", "requests", "list"],
    ["consent", "show", "user_id:ana"],
    ["ledger", "list"],
]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with two people, and purposes of its own."""
    folder = tmp_path / "shop"
    create_workspace(folder)
    with Workspace(folder) as ws:
        for who in ("ana", "bo"):
            ws.identify(user_id=who, traits={"email": f"{who}@example.org"})
        ws.flush()
        ws.consent.apply(CARE, operator="maria", reason="ours")
    return folder


def test_who_reads_without_a_purpose_is_told_which_there_are(shop: Path) -> None:
    for words in READING:
        without = run(*words, "--workspace", str(shop))
        named = run(*words, "--purpose", "care", "--workspace", str(shop))

        assert without.returncode == 2, words
        assert "Name one, as in --purpose care. Declared: care, letters." in without.stderr, words
        assert named.returncode == 0, (words, named.stderr)


def test_what_reads_nobody_needs_no_purpose(shop: Path) -> None:
    for words in NOT_READING:
        done = run(*words, "--workspace", str(shop))

        assert done.returncode == 0, (words, done.stderr)


def test_rules_are_planned_and_applied_for_a_purpose_that_is_named(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "identity.yaml"
    rules = run("rules", "--workspace", str(shop)).stdout
    file.write_text(rules.replace("devices: 200", "devices: 199"), encoding="utf-8")

    planned = [run("plan", str(file), *purpose, "--workspace", str(shop)).returncode
               for purpose in ([], ["--purpose", "care"])]  # fmt: skip
    applied = [run("apply", str(file), *purpose, "--workspace", str(shop), typed="y\n").returncode
               for purpose in ([], ["--purpose", "care"])]  # fmt: skip

    assert (planned, applied) == ([2, 0], [2, 0])


def test_a_decision_is_not_written_where_its_outcome_may_not_be_told(shop: Path) -> None:
    with Workspace(shop) as ws:
        head = ws.log.head()
        with pytest.raises(PurposeUnnamed):
            ws.identity.pin("user_id:ana", "user_id:bo", reason="two people")

        assert ws.log.head() == head


def test_what_is_done_for_a_person_s_own_rights_is_in_the_ledger_for_that(shop: Path) -> None:
    run("consent", "show", "user_id:ana", "--workspace", str(shop))
    with Workspace(shop) as ws:
        newest = ws.ledger.search().entries[0].entry

        assert newest is not None
        assert newest.purpose == "own_data"
